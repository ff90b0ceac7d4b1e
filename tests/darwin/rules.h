/* rules.h - what the kernel does with feth, BPF and AF_NDRV, as tests: 59 numbered rules, each run
 * against the simulated kernel in every release it applies to, and against a real one on a Mac.
 *
 *   rules_create.c   1-9    create, destroy
 *   rules_peer.c     10-13  peers, unknown calls
 *   rules_mtu.c      14-19  MTU, sysctls, flags, link address
 *   rules_path.c     20-26  the way of a frame
 *   rules_bpf.c      27-32, rules_tap.c 33-43   BPF devices
 *   rules_ndrv.c     44-53  AF_NDRV sockets
 *   rules_events.c   54-56  multicast, routing messages, kernel events
 *   rules_unix.c     57-59  Unix sockets
 *
 *   rules_run.c      the table, the checks and what is printed
 *   rules_net.c      interfaces, and what is read about them
 *   rules_frame.c    frames, taps and sockets that inject
 *   rules_main_sim.c, rules_main_macos.c   the two ways in: struct rules_sys, main()
 *
 * Calls go through the table darwin_sys that the backend has too, and through struct rules_sys
 * below for what the backend never calls. Both speak darwin_abi.h: 0 or more, or -DW_E*.
 *
 * A check that fails ends its test by longjmp(). So whatever a test opens or makes is noted where
 * it is made (own(), if_create()), and the runner takes it away again. */
#ifndef TESTS_DARWIN_RULES_H
#define TESTS_DARWIN_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/hostif/darwin_abi.h"
#include "server/hostif/darwin_sys.h"
#include "tests/darwin/sim.h" /* releases, knobs, DW_POLL*, DW_EVFILT_*: no function of it */

/* -- what both kernels offer beyond darwin_sys -- */

struct rules_sys {
	bool simulated;

	int (*getsockopt)(int fd, int level, int option, void *value, size_t *len);
	int (*shutdown)(int fd, int how);
	int (*socketpair)(int domain, int type, int out[2]);
	long (*sendto)(int fd, const void *buf, size_t size, const void *addr, size_t addr_len);
	bool (*sigpipe)(void); /* whether one came since the last time */

	/* as sim_poll(), sim_select() and sim_kevent*(); none of them waits */
	int (*poll)(int fd, int events);
	int (*select)(int fd, bool write);
	int (*kqueue)(void);
	int (*kevent_add)(int kq, int fd, int filter);
	int (*kevent_delete)(int kq, int fd, int filter);
	int (*kevent)(int kq, int fd, int filter); /* 1: it says that fd is ready */

	/* From now on calls are those of somebody who is not root (uid 501), or of root again.
	 * Descriptors belong to the one who opened them. */
	void (*as_user)(bool user);
	/* Runs @fn in a process of its own, as root, which then exits without closing anything. */
	void (*in_process)(void (*fn)(void *arg), void *arg);
	/* Whether @fn ends its process by abort(): false on a Mac, where it is not run. */
	bool (*aborts)(void (*fn)(void *arg), void *arg);

	/* Whether /dev/bpf* is as delivered, for root alone (Wireshark's ChmodBPF changes that). */
	bool (*bpf_for_root)(void);

	/* The network stack of the machine: sends this frame out of an interface; sends a UDP
	 * datagram; has got a datagram at @port since host_udp_listen() (its length, or 0); has
	 * joined or left a group. Addresses are IPv4 but for the group. */
	int (*host_output)(const char *ifname, const void *frame, size_t len);
	int (*host_udp_send)(const char *ifname, const uint8_t from[4], const uint8_t to[4],
		uint16_t port, const void *payload, size_t len);
	int (*host_udp_listen)(const char *ifname, uint16_t port);
	size_t (*host_udp_recv)(const char *ifname, uint16_t port, void *payload, size_t size);
	int (*host_join)(const char *ifname, int family, const void *group, bool join);

	/* Simulation only: NULL on a Mac. */
	struct sim_knobs *(*knobs)(void);
	void (*run)(void);
	void (*foreign_interface)(const char *name, uint8_t type);
};

extern const struct rules_sys rules_sys;

/* -- the table -- */

struct rule {
	unsigned number;
	const char *sentence;
	void (*fn)(void);
	enum sim_profile from;   /* the first release with it */
	enum sim_profile before; /* the first without; 0: none is */
	const char *sim_only;    /* why a Mac cannot be asked; NULL: it can */
	const char *ask;         /* why a Mac is asked only with --all; NULL: always */
};

struct rule_list {
	const struct rule *rules;
	size_t n;
};

extern const struct rule_list rules_create, rules_peer, rules_mtu, rules_path, rules_bpf, rules_tap,
	rules_ndrv, rules_events, rules_unix;

#define RULES_OF(array)                                                                            \
	{                                                                                          \
		(array), sizeof(array) / sizeof((array)[0])                                        \
	}

struct rules_options {
	unsigned only; /* one rule; 0: all */
	bool all;      /* the ones with `ask` too */
};

const char *rules_release(enum sim_profile profile); /* "14.1" */
enum sim_profile rules_profile(void);                /* the release that the test runs on */
unsigned rules_unit(void); /* a unit that nothing in this run has had yet */
/* Runs the rules for one release and prints a line for each test; @begin and @end, which may be
 * NULL, surround each. Return: how many failed. */
unsigned rules_run(enum sim_profile profile, const struct rules_options *options,
	void (*begin)(enum sim_profile profile), void (*end)(void));
/* The last lines: counts, and whether each number has appeared. Return: the exit status. */
int rules_sum(const struct rules_options *options);
bool rules_options(struct rules_options *out, const char **profile, int argc, char **argv);

/* -- checks: each ends the test where it does not hold -- */

#define expect(condition) rules_expect(__FILE__, __LINE__, #condition, (condition))
#define expect_eq(got, want) rules_eq(__FILE__, __LINE__, #got, (long)(got), (long)(want))
#define expect_err(got, error) rules_eq(__FILE__, __LINE__, #got, (long)(got), -(long)(error))
#define expect_str(got, want) rules_str(__FILE__, __LINE__, #got, (got), (want))
#define expect_mem(got, want, len) rules_mem(__FILE__, __LINE__, #got, (got), (want), (len))
/* what a real kernel gets done in its own time: holds within @ms; asked until then, and no more */
#define eventually(condition, ms)                                                                  \
	do {                                                                                       \
		bool held_ = (condition);                                                          \
		for (unsigned wait_ = 0; !held_ && wait_ < (ms); wait_++) {                        \
			darwin_sys.sleep_us(1000);                                                 \
			held_ = (condition);                                                       \
		}                                                                                  \
		rules_expect(__FILE__, __LINE__, #condition, held_);                               \
	} while (0)

void rules_expect(const char *file, int line, const char *text, bool holds);
void rules_eq(const char *file, int line, const char *text, long got, long want);
void rules_str(const char *file, int line, const char *text, const char *got, const char *want);
void rules_mem(const char *file, int line, const char *text, const void *got, const void *want,
	size_t len);
/* Ends the test with a sentence. */
_Noreturn void rules_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

int own(int fd);   /* notes a descriptor and gives it back; negative: fails the test */
void drop(int fd); /* closes it */
void rules_own_if(const char *name, bool ours);
void rules_clean(void); /* closes and destroys what the test has left (Mac) */

/* -- interfaces (rules_net.c) -- */

void if_name(char out[DW_IFNAMSIZ], unsigned unit); /* "feth31000" */
void if_fresh(char out[DW_IFNAMSIZ]);               /* the name of a unit never used in this run */
int if_ctl(void); /* an AF_INET socket for ioctls, of whoever is calling now */
int if_ioctl(unsigned long request, const char *name, struct dw_ifreq *req); /* sets the name */
int if_create(const char *name); /* SIOCIFCREATE; in time undone */
int if_destroy(const char *name);
/* As if_create(), waiting while the kernel says EBUSY. */
void if_must_create(char out[DW_IFNAMSIZ]);
long if_flags(const char *name); /* 0 to 0xffff */
int if_set_flags(const char *name, uint32_t flags);
void if_up(const char *name, bool up); /* changes that flag alone; must work */
long if_mtu(const char *name);
int if_set_mtu(const char *name, unsigned mtu);
int if_set_peer(const char *name, const char *peer);
int if_get_peer(const char *name, char out[DW_IFNAMSIZ]);
int if_drvspec(unsigned long request, const char *name, uint64_t cmd, void *data, uint64_t len);
int if_add_addr(const char *name, const uint8_t addr[4], unsigned prefix);
int if_add_addr6(const char *name, const uint8_t addr[16], unsigned prefix);

/* From the blocks for documentation (RFC 5737, RFC 3849), each subnet (/30, /64) once in a run. */
void if_fresh_addr(uint8_t out[4]);
void if_fresh_addr6(uint8_t out[16]);

struct pair {
	char h[DW_IFNAMSIZ], s[DW_IFNAMSIZ]; /* host, service */
};
void pair_new(struct pair *p, bool up); /* made, peered; both up or neither */

struct link { /* what NET_RT_IFLIST2 says of an interface */
	uint16_t index;
	uint32_t flags, mtu;
	uint8_t alen, mac[6];
};
bool if_listed(const char *name, struct link *out);
/* The whole dump, or that of one interface (@index) and family; the caller frees it. */
uint8_t *if_dump(int family, unsigned index, size_t *out_len);

int sysctl_int(const char *name, int *out);
int sysctl_set_int(const char *name, int value); /* puts the old value back when the test ends */

/* -- frames and taps (rules_frame.c) -- */

#define FRAME_MAX 20000u

/* One of our own, 14 bytes or more: an experimental Ethernet type, a number in its source address,
 * a pattern behind. */
void frame_make(uint8_t *frame, size_t len, unsigned number);
bool frame_ours(const uint8_t *frame, size_t len);
unsigned frame_number(const uint8_t *frame);
size_t frame_udp(uint8_t *frame, const uint8_t mac[6], const uint8_t from[4], const uint8_t to[4],
	uint16_t port, const void *payload, size_t len);
uint16_t checksum(const void *data, size_t len, uint32_t sum);

enum {
	TAP_IN_ONLY = 1,   /* BIOCSSEESENT 0 */
	TAP_HDRCMPLT = 2,  /* it injects */
	TAP_GATHER = 4,    /* BIOCIMMEDIATE off */
	TAP_LOOSE = 8,     /* not attached */
	TAP_BLOCKING = 16, /* reads wait */
	TAP_HEADDROP = 32,
};
struct tap {
	int fd;
	uint32_t blen;
	uint8_t *buf; /* lives until the test ends */
	size_t len, at;
};
void tap_open(struct tap *tap, const char *ifname, unsigned flags, uint32_t blen);
int tap_u32(const struct tap *tap, unsigned long request, uint32_t value);
int tap_attach(const struct tap *tap, const char *ifname);
long tap_read(struct tap *tap); /* one read of the whole buffer */
int bpf_open(void);             /* the first that is free */
/* The next frame of ours, waited for if need be; NULL: none came. */
const uint8_t *tap_next(struct tap *tap, size_t *out_len, unsigned wait_ms);
void tap_expect(struct tap *tap, const uint8_t *frame, size_t len);
void tap_expect_number(struct tap *tap, unsigned number);
void tap_expect_nothing(struct tap *tap);

void ndrv_addr(struct dw_sockaddr_ndrv *out, const char *ifname);
int ndrv_socket(void);
int ndrv_open(const char *ifname);                     /* bound and connected */
void inject(int fd, const uint8_t *frame, size_t len); /* must be taken */
void inject_number(int fd, unsigned number, size_t len);

#endif
