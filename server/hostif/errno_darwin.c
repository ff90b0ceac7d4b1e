/* errno_darwin.c - see errno_darwin.h. */
#include "server/hostif/errno_darwin.h"

#include <errno.h>

#include "server/hostif/darwin_abi.h"

#ifdef __APPLE__
_Static_assert(EAGAIN == DW_EAGAIN && ENETDOWN == DW_ENETDOWN && ENOBUFS == DW_ENOBUFS,
	"these are the system's own numbers");

int dw_native(int rc)
{
	return rc;
}
#else
int dw_native(int rc)
{
	if (rc >= -DW_EPIPE)
		return rc; /* up to here they are the same everywhere */
	switch (-rc) {
	case DW_EAGAIN:
		return -EAGAIN;
	case DW_EALREADY:
		return -EALREADY;
	case DW_ENOTSOCK:
		return -ENOTSOCK;
	case DW_EDESTADDRREQ:
		return -EDESTADDRREQ;
	case DW_EMSGSIZE:
		return -EMSGSIZE;
	case DW_EPROTOTYPE:
		return -EPROTOTYPE;
	case DW_EPROTONOSUPPORT:
		return -EPROTONOSUPPORT;
	case DW_ENOTSUP:
	case DW_EOPNOTSUPP:
		return -EOPNOTSUPP;
	case DW_EAFNOSUPPORT:
		return -EAFNOSUPPORT;
	case DW_EADDRINUSE:
		return -EADDRINUSE;
	case DW_EADDRNOTAVAIL:
		return -EADDRNOTAVAIL;
	case DW_ENETDOWN:
		return -ENETDOWN;
	case DW_ECONNREFUSED:
		return -ECONNREFUSED;
	case DW_ECONNRESET:
		return -ECONNRESET;
	case DW_ENOBUFS:
		return -ENOBUFS;
	case DW_EISCONN:
		return -EISCONN;
	case DW_ENOTCONN:
		return -ENOTCONN;
	default:
		return -EIO;
	}
}
#endif
