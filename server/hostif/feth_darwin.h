/* feth_darwin.h - what the files of the feth backend share: how a failure is told. */
#ifndef SERVER_HOSTIF_FETH_DARWIN_H
#define SERVER_HOSTIF_FETH_DARWIN_H

#include "server/core/hostif.h"

/* What was attempted: "lab: cannot @verb interface @name (@call): ...". */
struct attempt {
	const char *network;
	const char *verb; /* "set the MTU of" */
	const char *name; /* of the interface */
	const char *call; /* "SIOCSIFMTU" */
};

/* Says why that failed, which is @dw (-DW_E*), and what to do about it. Returns what hostif_ops
 * return: -EPERM without privilege, -EBUSY where an interface has gone, never -EEXIST, else the
 * error as it is. */
int feth_refused(struct err *err, const struct attempt *a, int dw);

#endif
