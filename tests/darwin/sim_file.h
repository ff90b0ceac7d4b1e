/* sim_file.h - what kinds of files have in common: the knotes of kqueues (sim_ready.c), and the
 * state and options of sockets (sim_sock.c). */
#ifndef TESTS_DARWIN_SIM_FILE_H
#define TESTS_DARWIN_SIM_FILE_H

#include "tests/darwin/sim_priv.h"

/* Numbers of Darwin's that nothing but the simulation meets. */
#define SIM_ENOPROTOOPT 42
#define SIM_ENAMETOOLONG 63
#define SIM_POLLHUP 0x10

/* The test does what cannot go on: sleeps with nothing to wake it, or asks for a call of XNU's
 * that is not simulated. Says so and aborts. */
_Noreturn void sim_halt(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* sim_ready.c: KNOTE(): the knotes on this file whose filter says ready become active. Only for
 * files with a knote_add of their own; for the others a kqueue asks poll. */
void sim_knotes_wake(struct sim_file *f);

/* A socket's state, as far as it is the same for every family; uipc_socket.c, uipc_socket2.c. */
struct sim_sock {
	enum sim_profile profile;
	uint32_t snd_hiwat, rcv_hiwat; /* bytes */
	bool nosigpipe;
	bool connected;         /* SS_ISCONNECTED */
	bool cantsend, cantrcv; /* SS_CANTSENDMORE, SS_CANTRCVMORE */
	int error;              /* so_error: a DW_E* that the next call gives */
};

/* sosetoptlock(), sogetoptlock() at DW_SOL_SOCKET; the other levels are the family's. */
int sim_sock_setopt(struct sim_sock *so, int option, const void *value, size_t len);
int sim_sock_getopt(const struct sim_sock *so, int option, void *value, size_t *len);
/* sooptcopyout(): no more than there is room for. */
int sim_sock_copyout(const void *from, size_t size, void *value, size_t *len);
/* getsockaddr(): whether so long an address gets past the system call. */
int sim_sock_check_addr(const void *addr, size_t len);
/* soshutdown() without the family's part: 0, and what is to be shut in *rd and *wr. */
int sim_sock_shutdown(struct sim_sock *so, int how, bool *rd, bool *wr);
/* The end of every write that failed: psignal(SIGPIPE) where that is due. Returns @rc. */
long sim_sock_sent(struct sim_file *f, const struct sim_sock *so, long rc);

#endif
