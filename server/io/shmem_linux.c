/* shmem_linux.c - see shmem.h. */
#include "server/io/shmem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* Never to be executed, as Linux has it from 6.3 on; a system may refuse any other
 * (vm.memfd_noexec). */
static int make(void)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	const int fd = memfd_create("fethd-rings", flags | MFD_NOEXEC_SEAL);
	return fd < 0 && errno == EINVAL ? memfd_create("fethd-rings", flags) : fd;
}

int shmem_make(size_t bytes, void **out)
{
	const int fd = make();
	if (fd < 0)
		return -errno;
	void *map = MAP_FAILED;
	if (ftruncate(fd, (off_t)bytes) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		const int rc = -errno;
		close(fd);
		return rc;
	}
	*out = map;
	return fd;
}
