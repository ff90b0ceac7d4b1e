/* packetring_linux.c - see packetring_linux.h. */
#include "server/hostif/packetring_linux.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "server/hostif/kernel_linux.h"

#define PER_BLOCK (PACKET_RING_BLOCK / PACKET_RING_SLOT)

_Static_assert(PACKET_RING_SLOT % TPACKET_ALIGNMENT == 0, "the kernel wants it so");

static int set_ring(int fd, unsigned blocks)
{
	const struct tpacket_req req = { .tp_block_size = PACKET_RING_BLOCK,
		.tp_block_nr = blocks,
		.tp_frame_size = PACKET_RING_SLOT,
		.tp_frame_nr = blocks * PER_BLOCK };
	return setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) < 0 ? -errno : 0;
}

/* Which version a socket has tells whether it has a ring: sockets begin with version 1. */
static int set_version(int fd, int version)
{
	return setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ? -errno
											 : 0;
}

int packet_ring_make(int fd)
{
	const char *said = getenv("FETHD_RING");
	const int on = 1;

	/* Before Linux 5.6 a ring that is full may get a frame whose slot another processor still
	 * fills (linux 61fad6816fc1); stable versions that have this mended do not tell. */
	if ((said && !strcmp(said, "off")) || !kernel_since(5, 6))
		return -EOPNOTSUPP;
	if (setsockopt(fd, SOL_PACKET, PACKET_COPY_THRESH, &on, sizeof(on)) < 0)
		return -errno;
	int rc = set_version(fd, TPACKET_V2);
	if (rc < 0)
		return rc;
	rc = set_ring(fd, PACKET_RING_BLOCKS);
	if (rc < 0)
		(void)set_version(fd, TPACKET_V1);
	return rc;
}

static void take_away(int fd)
{
	(void)set_ring(fd, 0);
	(void)set_version(fd, TPACKET_V1);
}

int packet_ring_open(struct packet_ring *out, int fd)
{
	int version = TPACKET_V1;
	socklen_t len = sizeof(version);

	*out = (struct packet_ring){ 0 };
	if (getsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, &len) < 0)
		return -errno;
	if (version != TPACKET_V2)
		return 0;
	void *map = mmap(NULL, PACKET_RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		const int rc = -errno;
		take_away(fd);
		return rc;
	}
	(void)madvise(map, PACKET_RING_BYTES, MADV_DONTFORK);
	out->map = map;
	return 0;
}

void packet_ring_close(struct packet_ring *ring)
{
	if (ring->map)
		munmap(ring->map, PACKET_RING_BYTES);
	*ring = (struct packet_ring){ 0 };
}

void packet_ring_end(struct packet_ring *ring, int fd)
{
	packet_ring_close(ring); /* a mapped one cannot be taken away */
	take_away(fd);
}

static struct tpacket2_hdr *slot_at(const struct packet_ring *ring, unsigned i)
{
	return (void *)(ring->map + (size_t)(i / PER_BLOCK) * PACKET_RING_BLOCK +
			(size_t)(i % PER_BLOCK) * PACKET_RING_SLOT);
}

struct tpacket2_hdr *packet_ring_peek(const struct packet_ring *ring)
{
	struct tpacket2_hdr *slot = slot_at(ring, ring->next);
	if (ring->held == PACKET_RING_SLOTS ||
		!(__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
		return NULL;
	return slot;
}

void packet_ring_take(struct packet_ring *ring)
{
	ring->next = ring->next + 1 < PACKET_RING_SLOTS ? ring->next + 1 : 0;
	ring->held++;
}

void packet_ring_give_back(struct packet_ring *ring)
{
	for (; ring->held; ring->held--) {
		const unsigned i = ring->next >= ring->held
					   ? ring->next - ring->held
					   : ring->next + PACKET_RING_SLOTS - ring->held;
		__atomic_store_n(&slot_at(ring, i)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	}
}
