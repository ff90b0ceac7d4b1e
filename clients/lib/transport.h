/* transport.h - what the files around unix.c share: the connection as a whole. */
#ifndef CLIENTS_LIB_TRANSPORT_H
#define CLIENTS_LIB_TRANSPORT_H

#include "clients/lib/conn.h"

struct feth_conn {
	struct conn core;
	int fd;           /* owned */
	bool nonblocking; /* feth_send() does not wait */
	bool send_over;   /* the server reads no more; what it wrote can still be read */
	feth_notice_fn *on_notice;
	void *notice_user;
};

#endif
