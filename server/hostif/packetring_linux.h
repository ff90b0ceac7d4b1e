/* packetring_linux.h - the receive ring of a packet socket: packet(7), PACKET_RX_RING, in version 2
 * (linux, Documentation/networking/packet_mmap.rst; net/packet/af_packet.c, tpacket_rcv()).
 *
 * The kernel copies each frame into the next of PACKET_RING_SLOTS slots of memory that is mapped
 * here, so that a frame costs no call and nobody's socket buffer but the sender's. Of a frame that
 * is too long for a slot only the beginning is there; all of it waits in the socket's queue
 * (PACKET_COPY_THRESH), in the order of the slots, if the queue had room. So slots are small,
 * whatever the MTU is. Where all are full, frames are lost and counted.
 *
 * Below packet_linux.c. */
#ifndef SERVER_HOSTIF_PACKETRING_LINUX_H
#define SERVER_HOSTIF_PACKETRING_LINUX_H

#include <linux/if_packet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A frame of an MTU of 1500 with two tags, and 76 bytes before it; a multiple of cache lines that
 * is none of pages, since what lies a multiple of 4 KiB apart is in each other's way in the cache.
 */
#define PACKET_RING_SLOT 1600u
#define PACKET_RING_BLOCK (64u * 1024u) /* what the kernel allocates in one piece */
/* 3.25 MiB, never paged; 2080 slots, 3.5 ms of what one sender can send. On a busy machine, 60
 * bytes at full speed to a tap, of 100 frames 20 were not delivered with half as many, 4 with these
 * and none with twice as many, before they gathered (packet_linux.c). */
#define PACKET_RING_BLOCKS 52u
#define PACKET_RING_BYTES ((size_t)PACKET_RING_BLOCKS * PACKET_RING_BLOCK)
#define PACKET_RING_SLOTS (PACKET_RING_BLOCKS * (PACKET_RING_BLOCK / PACKET_RING_SLOT))

struct packet_ring {
	uint8_t *map;  /* owned; NULL: there is none */
	unsigned next; /* the slot that is filled next, or is full */
	unsigned held; /* so many before it are full, and ours */
};

/* Gives a ring to the socket @fd, which receives nothing yet; its virtio_net_hdr and the like are
 * set before. 0, or -errno: then it has none, and is as before. */
int packet_ring_make(int fd);

/* Maps the ring of @fd into *out. 0, and out->map is NULL where it has none; -errno: where it had
 * one it has none any more. */
int packet_ring_open(struct packet_ring *out, int fd);

/* Unmaps it; the socket still has it. */
void packet_ring_close(struct packet_ring *ring);

/* Takes it from the socket as well: frames go to its queue from now on. What is in either now is
 * lost. */
void packet_ring_end(struct packet_ring *ring, int fd);

/* The next full slot; NULL: there is none. Its header lies at its start, the frame tp_mac bytes
 * behind, tp_snaplen of tp_len bytes of it. */
struct tpacket2_hdr *packet_ring_peek(const struct packet_ring *ring);

/* Takes that slot: it stays ours until it is given back. There is one. */
void packet_ring_take(struct packet_ring *ring);

/* Gives back all of them. */
void packet_ring_give_back(struct packet_ring *ring);

#endif
