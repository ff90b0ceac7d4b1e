/* errors.h - the error names of the wire, one line each.
 *
 * Numbers of errno differ between systems, so only these names travel. */
#ifndef FETH_ERRORS_H
#define FETH_ERRORS_H

#include <errno.h>

/* X(symbol, name on the wire, errno it stands for, meaning) */
#define FETH_ERRORS(X)                                                                             \
	X(NOT_FOUND, "not_found", ENOENT, "no such network, port or object")                       \
	X(EXISTS, "exists", EEXIST, "the name or address is taken")                                \
	X(DENIED, "denied", EACCES, "not allowed for this caller")                                 \
	X(INVALID, "invalid", EINVAL, "a field is missing, of the wrong type or out of range")     \
	X(TOO_LARGE, "too_large", EMSGSIZE, "over a limit of size or number")                      \
	X(BUSY, "busy", EBUSY, "in use, or too much at once")                                      \
	X(UNSUPPORTED, "unsupported", EOPNOTSUPP, "not known here, or not on this socket")         \
	X(SYSTEM, "system", EIO, "the operating system refused")

#endif
