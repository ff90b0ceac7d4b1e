/* transport.h - what the files around unix.c share: the connection as a whole. */
#ifndef CLIENTS_LIB_TRANSPORT_H
#define CLIENTS_LIB_TRANSPORT_H

#include "clients/lib/conn.h"
#include "clients/lib/shm.h"

struct feth_conn {
	struct conn core;
	int fd;           /* owned */
	struct shm *shm;  /* owned: where frames go; NULL: they go by the socket */
	bool nonblocking; /* feth_send() does not wait */
	bool unsent;      /* feth_send() took fewer than there were */
	bool send_over;   /* the server reads no more; what it wrote can still be read */
	feth_notice_fn *on_notice;
	void *notice_user;
};

#endif
