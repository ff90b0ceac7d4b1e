/* shmem.h - memory that is shared with a client by a descriptor, by each system's own means. */
#ifndef SERVER_IO_SHMEM_H
#define SERVER_IO_SHMEM_H

#include <stddef.h>

/**
 * shmem_make() - memory that another process can map as well, and nobody can make shorter
 * @bytes:	how much; all zero, and taken from the system when it is first written
 * @out:	where it is mapped here; munmap() it
 *
 * On Linux a sealed memfd. On macOS a POSIX object whose name is gone, and which takes a length
 * once only (XNU, bsd/kern/posix_shm.c:pshm_truncate): an access never finds its page missing.
 *
 * Return: a descriptor for the client, close-on-exec, or -errno
 */
int shmem_make(size_t bytes, void **out);

#endif
