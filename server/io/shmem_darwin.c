/* shmem_darwin.c - see shmem.h. A name is needed for a moment (PSHMNAMLEN: 31 characters); whoever
 * took it first makes O_EXCL fail, and another one is tried. */
#include "server/io/shmem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define TRIES 16u

static int open_nameless(void)
{
	for (unsigned i = 0; i < TRIES; i++) {
		char name[32];
		uint64_t nonce;
		arc4random_buf(&nonce, sizeof(nonce));
		snprintf(name, sizeof(name), "/fethd-%016llx", (unsigned long long)nonce);
		const int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd >= 0) {
			(void)shm_unlink(name);
			return fd;
		}
		if (errno != EEXIST)
			break;
	}
	return -errno;
}

int shmem_make(size_t bytes, void **out)
{
	const int fd = open_nameless();
	if (fd < 0)
		return fd;
	void *map = MAP_FAILED;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && ftruncate(fd, (off_t)bytes) == 0)
		map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		const int rc = -errno;
		close(fd);
		return rc;
	}
	*out = map;
	return fd;
}
