/* sock.c - what of sock.h is the same everywhere. */
#include "server/priv/sock.h"

#include <stddef.h>

unsigned sock_fds(const struct msghdr *msg, struct cmsghdr *c)
{
	const unsigned char *data = CMSG_DATA(c);
	const size_t before = (size_t)(data - (const unsigned char *)msg->msg_control);
	const size_t said = c->cmsg_len - CMSG_LEN(0);
	const size_t room = before < msg->msg_controllen ? msg->msg_controllen - before : 0;
	return (unsigned)((said < room ? said : room) / sizeof(int));
}
