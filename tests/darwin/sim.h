/* sim.h - a simulated Darwin kernel: as much of XNU as a program meets that makes feth pairs, reads
 * them with BPF and injects with AF_NDRV.
 *
 * It follows XNU (the function is named beside each rule it keeps), never the backend. A `sim` is a
 * machine; a `sim_proc` is a process on it, with a user and descriptors. Calls take and give what
 * Darwin's do, in Darwin's numbers (darwin_abi.h), and return 0 or more or -DW_E*. Everything
 * happens at once and in order unless a knob says otherwise; time is virtual unless a clock is
 * given.
 *
 * Two doors lead in: darwin_sys (sim_local.c) is the table that code in the same process is linked
 * against; darwinsim (server.c) is a program that serves a machine to other processes, whose table
 * is in client.c. */
#ifndef TESTS_DARWIN_SIM_H
#define TESTS_DARWIN_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/hostif/darwin_abi.h"
#include "server/hostif/darwin_sys.h"

struct sim;
struct sim_proc;

/* Releases that differ in what is simulated; ascending. */
enum sim_profile { SIM_10_14, SIM_12, SIM_13, SIM_14_0, SIM_14_1, SIM_15, SIM_PROFILES };
const char *sim_profile_name(enum sim_profile profile); /* "14.1" */
bool sim_profile_find(enum sim_profile *out, const char *name);

/* What can be made to go wrong. All zero: nothing does. */
struct sim_knobs {
	unsigned busy_calls;    /* create of a name just destroyed: EBUSY this often, then works */
	uint64_t busy_us;       /* and EBUSY until so long after the destroy */
	unsigned queue_limit;   /* frames an output queue holds while stalled; 0: 2048 */
	bool hold_output;       /* every output queue stalls, until sim_run() */
	unsigned enobufs_every; /* each n-th injection: ENOBUFS */
	unsigned lose_every;    /* each n-th injection is accepted and lost */
	unsigned fail_after;    /* the n-th privileged call from now fails once with fail_errno */
	int fail_errno;         /* a DW_E number */
	char fail_call[24];     /* only calls of this name count for fail_after, such as
				   "SIOCSIFMTU", "open", "socket", "bind"; empty: all */
	bool no_ndrv;           /* socket(AF_NDRV): EPROTONOSUPPORT */
	bool bpf_group_only; /* /dev/bpf* is readable by the caller, though not root (ChmodBPF) */
	unsigned bpf_max;    /* highest number of BPF devices; 0: 256 */
};

/* -- the machine -- */

struct sim *sim_new(enum sim_profile profile);
void sim_free(struct sim *sim);
struct sim_knobs *sim_knobs(struct sim *sim);
enum sim_profile sim_profile_of(const struct sim *sim);
/* Virtual time, microseconds; with a clock given, that one's. */
uint64_t sim_now_us(const struct sim *sim);
void sim_advance_us(struct sim *sim, uint64_t us);
void sim_set_clock(struct sim *sim, uint64_t (*now_us)(void));
/* Lets everything asynchronous happen that is due: destroys finish, held output goes. Called by
 * every entry point; in addition releases what hold_output holds. */
void sim_run(struct sim *sim);

/* -- processes -- */

struct sim_proc *sim_proc_new(struct sim *sim, uint32_t euid);
void sim_proc_exit(struct sim_proc *proc); /* closes all its descriptors (rule 9) */

int sim_socket(struct sim_proc *p, int domain, int type, int protocol);
int sim_open(struct sim_proc *p, const char *path); /* /dev/bpfN; non-blocking */
int sim_close(struct sim_proc *p, int fd);
int sim_ioctl(struct sim_proc *p, int fd, unsigned long request, void *arg);
int sim_setsockopt(
	struct sim_proc *p, int fd, int level, int option, const void *value, size_t len);
int sim_getsockopt(struct sim_proc *p, int fd, int level, int option, void *value, size_t *len);
int sim_bind(struct sim_proc *p, int fd, const void *addr, size_t len);
int sim_connect(struct sim_proc *p, int fd, const void *addr, size_t len);
int sim_shutdown(struct sim_proc *p, int fd, int how);
long sim_read(struct sim_proc *p, int fd, void *buf, size_t size);
long sim_write(struct sim_proc *p, int fd, const void *buf, size_t size);
long sim_writev(struct sim_proc *p, int fd, const struct seg *pieces, unsigned n);
long sim_sendto(struct sim_proc *p, int fd, const void *buf, size_t size, const void *addr,
	size_t addr_len);
int sim_sysctlbyname(struct sim_proc *p, const char *name, void *old, size_t *old_len,
	const void *new, size_t new_len);
int sim_sysctl(struct sim_proc *p, const int *mib, unsigned n, void *old, size_t *old_len);
int sim_socketpair(struct sim_proc *p, int domain, int type, int out[2]);
bool sim_sigpipe(struct sim_proc *p); /* whether a SIGPIPE came; clears it */

/* Readiness. poll: revents (DW_POLL*) for one descriptor; select: 1, 0 or -DW_E*. A kqueue has
 * knotes; sim_kevent() says whether this one is ready (level-triggered), as a waiter would learn.
 */
#define DW_POLLIN 0x1
#define DW_POLLOUT 0x4
#define DW_POLLNVAL 0x20
#define DW_EVFILT_READ (-1)
#define DW_EVFILT_WRITE (-2)
int sim_poll(struct sim_proc *p, int fd, int events);
int sim_select(struct sim_proc *p, int fd, bool write);
int sim_kqueue(struct sim_proc *p);
int sim_kevent_add(struct sim_proc *p, int kq, int fd, int filter);
int sim_kevent_delete(struct sim_proc *p, int kq, int fd, int filter);
int sim_kevent(struct sim_proc *p, int kq, int fd, int filter);

/* Called when a waiter in a kqueue, or in poll() or epoll of a served process, would be woken. */
void sim_on_ready(struct sim *sim, void (*fn)(void *ctx, struct sim_proc *p, int fd), void *ctx);

/* -- the host's side of things: what the network stack and other programs of the machine do -- */

/* The stack sends a frame out of an interface: -DW_ENETDOWN, -DW_ENXIO. */
int sim_host_output(struct sim *sim, const char *ifname, const void *frame, size_t len);
/* The stack sends a packet out of a utun: -DW_ENETDOWN. */
int sim_utun_output(struct sim *sim, const char *ifname, const void *packet, size_t len);
/* The next frame (of a utun, packet) that came in at an interface (its ifnet_input), oldest first:
 * its length, or 0. At most 4096 are kept for each; older ones are forgotten. */
size_t sim_host_input(struct sim *sim, const char *ifname, void *buf, size_t size);
/* A program joins or leaves an IP group on an interface (IP_ADD_MEMBERSHIP); @family DW_AF_INET or
 * DW_AF_INET6, @group 4 or 16 bytes. -DW_ENXIO; -DW_EADDRNOTAVAIL where it never joined. */
int sim_host_join(struct sim *sim, const char *ifname, int family, const void *group, bool join);
/* Adds an interface that is no feth ("lo0", "en0", "bridge0"). */
void sim_host_interface(struct sim *sim, const char *name, uint8_t type);

/* What there is, for tests that compare. */
struct sim_if_info {
	char name[DW_IFNAMSIZ], peer[DW_IFNAMSIZ]; /* peer "" for none */
	uint16_t index;
	uint32_t flags, mtu, max_mtu;
	uint8_t mac[6];
	unsigned n_inet, n_inet6; /* addresses */
	unsigned n_ndrv, n_bpf;   /* open descriptors on it */
};
unsigned sim_interfaces(const struct sim *sim, struct sim_if_info *out, unsigned max);
bool sim_interface(const struct sim *sim, const char *name, struct sim_if_info *out);
/* "10.0.0.1/24" and so on, a line each, sorted; lengths without the NUL. */
size_t sim_addresses(const struct sim *sim, const char *ifname, char *out, size_t size);

/* -- the table for code in this process (sim_local.c defines darwin_sys) -- */

void sim_become(
	struct sim_proc *p); /* whose descriptors and user the table's calls have from now on */

#endif
