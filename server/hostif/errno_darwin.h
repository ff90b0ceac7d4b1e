/* errno_darwin.h - Darwin's error numbers in this system's. */
#ifndef SERVER_HOSTIF_ERRNO_DARWIN_H
#define SERVER_HOSTIF_ERRNO_DARWIN_H

/* Functions over darwin_sys return 0 or more, or -DW_E*; those of hostif_ops -E*. This goes from
 * one to the other: what is not negative stays, and on macOS all of it. */
int dw_native(int rc);

#endif
