/* watch_darwin.h - news of interfaces, from a PF_ROUTE socket. See hostif.h. */
#ifndef SERVER_HOSTIF_WATCH_DARWIN_H
#define SERVER_HOSTIF_WATCH_DARWIN_H

#include "server/core/hostif.h"

int watch_open(struct err *err);
int watch_read(int fd, struct hostif_event *events, unsigned max);

#endif
