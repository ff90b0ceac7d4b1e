/* shm.c - see shm.h. */
#include "clients/lib/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

int shm_open_rings(struct shm **out, int fd, uint64_t size, uint64_t ring)
{
	struct stat st;
	if (!ring_size_good(ring) || size < ring_area((uint32_t)ring) || size > SIZE_MAX)
		return -EPROTO;
#ifdef F_GET_SEALS
	const int seals = fcntl(fd, F_GET_SEALS); /* what can be made shorter will be */
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return -EPROTO;
#endif
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < 0 || (uint64_t)st.st_size < size) /* to touch it would be fatal */
		return -EPROTO;
	struct shm *shm = calloc(1, sizeof(*shm));
	if (!shm)
		return -ENOMEM;
	shm->bytes = ring_area((uint32_t)ring);
	void *area = mmap(NULL, shm->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (area == MAP_FAILED) {
		const int rc = -errno;
		free(shm);
		return rc;
	}
	shm->area = area;
	ring_writer_init(&shm->tx, area, RING_TO_SERVER, (uint32_t)ring);
	ring_reader_init(&shm->rx, area, RING_TO_CLIENT, (uint32_t)ring);
	shm_wants_wake(shm);
	*out = shm;
	return 0;
}

void shm_free(struct shm *shm)
{
	if (!shm)
		return;
	munmap(shm->area, shm->bytes);
	free(shm);
}

int shm_take(struct shm *shm, struct feth_frame *frames, const uint8_t **vnet, size_t max,
	uint64_t *ignored)
{
	struct ring_record rec = { 0 };
	enum ring_item got = RING_NONE;
	const uint32_t start = shm->rx.tail;
	size_t n = 0;
	while (n < max && shm->rx.tail - start < shm->rx.size &&
		(got = ring_next(&shm->rx, &rec)) == RING_RECORD) {
		const uint32_t head = rec.flags ? WIRE_OFFLOAD_LEN : 0;
		if ((rec.flags && (rec.flags != RING_OFFLOAD || !vnet)) ||
			rec.len < head + FETH_FRAME_MIN || rec.len - head > FETH_FRAME_MAX) {
			(*ignored)++;
			continue;
		}
		if (vnet)
			vnet[n] = head ? rec.body : NULL;
		frames[n++] = (struct feth_frame){ .data = rec.body + head, .len = rec.len - head };
	}
	if (got == RING_BROKEN && !n)
		return -EPROTO;
	return (int)n;
}

size_t shm_put(
	struct shm *shm, const struct feth_frame *frames, const uint8_t *const *vnet, size_t n)
{
	size_t i = 0;
	for (; i < n && frames[i].len >= FETH_FRAME_MIN && frames[i].len <= FETH_FRAME_MAX; i++) {
		const uint8_t *head = vnet ? vnet[i] : NULL;
		const uint32_t head_len = head ? WIRE_OFFLOAD_LEN : 0;
		uint8_t *at =
			ring_reserve(&shm->tx, head_len + frames[i].len, head ? RING_OFFLOAD : 0);
		if (!at)
			break;
		if (head)
			memcpy(at, head, head_len);
		memcpy(at + head_len, frames[i].data, frames[i].len);
	}
	return i;
}
