/* server.h - the inside of darwinsim, the simulated machine as a program.
 *
 *   server.c        the loop, connections, and descriptors' ends that are polled
 *   server_calls.c  what processes ask: one simulated call a request (wire.h)
 *   server_door.c   what tests ask: the host's side of things, faults, other programs' deeds */
#ifndef TESTS_DARWIN_SERVER_H
#define TESTS_DARWIN_SERVER_H

#include "tests/darwin/sim.h"
#include "tests/darwin/wire.h"

#define DESCS_MAX 1024u /* open descriptors of one process */

/* What an epoll event is of. */
enum source_kind { SOURCE_LISTENER, SOURCE_SIGNAL, SOURCE_HANGUPS, SOURCE_CONN, SOURCE_DESC };
struct source {
	enum source_kind kind;
};

/* A descriptor of a process that lives in two worlds. */
struct desc {
	struct source source; /* first */
	struct conn *conn;
	uint64_t id;    /* what requests call it; its simulated number in the low 16 bits */
	int pair;       /* owned: our end */
	bool announced; /* a byte lies there that says: readable */
};

struct bytes {
	uint8_t *data; /* owned */
	size_t len, capacity;
};

struct conn {
	struct source source; /* first */
	struct conn *next;
	struct machine *m;
	int fd;                        /* owned */
	bool greeted, waiting;         /* waiting: for room to write the rest of `out` */
	struct sim_proc *proc;         /* owned; NULL: a test's door */
	struct desc *descs[DESCS_MAX]; /* by simulated number */
	uint64_t serial;               /* of the next desc */
	struct bytes in, out;          /* requests come, a reply goes */
	size_t out_at;                 /* sent so far */
	int pass_fd;                   /* owned: goes with the first byte of `out`; -1 for none */
};

struct machine {
	struct sim *sim;
	struct sim_proc *others; /* the test's hand: root's other programs */
	int others_fd;           /* AF_INET, for interface ioctls */
	int epoll;
	int hangups; /* an epoll of its own, looked at before every request */
	struct conn *conns;
	char refused[24];     /* the call that no process may make; "": none */
	int refused_errno;    /* a DW_E number */
	struct conn *current; /* whose request is being served; NULL once that has closed */
};

/* Appends room for @n bytes and returns it, or NULL without memory. */
uint8_t *bytes_add(struct bytes *b, size_t n);
void bytes_text(struct bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One request of a process, without its length; writes the reply to @out. A descriptor that is to
 * go with it is left in conn->pass_fd. False: no request at all, so the connection is closed. */
bool call_serve(struct conn *conn, const uint8_t *data, size_t len, struct bytes *out);

/* One request of a test. False as above. */
bool door_serve(struct conn *conn, const uint8_t *data, size_t len, struct bytes *out);

/* Makes the pair for the simulated descriptor @fd: the id, or -DW_EMFILE with @fd closed. */
int64_t desc_new(struct conn *conn, int fd);
struct desc *desc_find(const struct conn *conn, uint64_t id);
/* Says that it is readable, unless that was said. @taken: the other side has read what was said. */
void desc_announce(struct desc *desc);

#endif
