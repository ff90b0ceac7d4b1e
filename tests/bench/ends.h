/* ends.h - the two ends of a measurement: how frames get into a switch and out of it.
 *
 * One `struct end_ops` for each way to attach. bench_client.c runs the loop, keeps the time and
 * prints; an end sends one batch or reads once. What is measured is the switch, so an end does as
 * little as a correct client can: its frames are laid out once, and a receiver looks at length,
 * type and sequence number only. */
#ifndef TESTS_BENCH_ENDS_H
#define TESTS_BENCH_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define END_BATCH 64u /* limits.md, 2: 32 to 64 reach all of the rate */
#define END_BATCH_MAX 128u
#define END_SIZE_MAX 9216u           /* as long as libvdeplug's frames may be */
#define END_READ (256u * 1024u)      /* limits.md, 4: less than 128 KiB loses */
#define END_SLOT (END_SIZE_MAX + 64) /* of recvmmsg */
#define END_SNDBUF (416 * 1024)      /* limits.md, 1: 2.4 times the default at 1514 bytes */
#define END_ETHERTYPE 0x88b5u        /* IEEE 802: for local experiments */
#define END_SEQ 14u                  /* a frame's sequence number: 32 bits behind its header */

/* What a receiver has seen. */
struct tally {
	uint64_t frames, bytes; /* of ours */
	uint64_t other;         /* of others */
	uint64_t disorder;      /* ours that did not come in the order sent */
	uint32_t next;          /* the least sequence number that may come */
	uint8_t from[6];        /* who sent the last of ours */
	const uint8_t *only;    /* ours are those to this address; NULL: to any */
};

/* What a sender repeats: a batch of frames, each behind its framing, back to back. */
struct batch {
	uint8_t *bytes;    /* owned */
	unsigned n;        /* frames */
	uint32_t size;     /* of a frame */
	uint8_t hdr;       /* framing bytes before each */
	uint32_t next;     /* sequence number of the first frame of the next batch */
	uint32_t stations; /* destinations taken in turn, as end_station() numbers them; 0: one */
	uint8_t station;   /* their high byte */
};

struct end {
	const struct end_ops *ops;
	int fd;
	void *conn;   /* of vde, shm */
	bool listens; /* of direct: fd waits for the other end */
	uint8_t mac[6];
	struct batch out;
	uint8_t *buf; /* owned: what was read; END_BATCH_MAX slots, which is more than END_READ */
	size_t kept;  /* bytes of buf that are the beginning of a frame */
	struct tally in;
	uint64_t calls; /* reads or writes that moved something */
};

struct end_ops {
	const char *name;
	uint8_t (*header)(uint8_t *out, uint32_t len); /* framing; NULL: none */
	/* Connects; sets fd. Has the switch learn end->mac where @hello. 0, or -1 with errno. */
	int (*open)(struct end *end, const char *where, bool hello);
	/* One batch. Frames sent; 0: none for now; -1 with errno. */
	int (*send)(struct end *end);
	/* Reads once and counts. 1; 0: nothing came for a while; -1: it ended. */
	int (*recv)(struct end *end);
};

extern const struct end_ops end_native, end_qemu, end_raw, end_direct, end_packet;
#ifdef BENCH_VDE
extern const struct end_ops end_vde;
#endif
#ifdef BENCH_SHM
extern const struct end_ops end_shm, end_raw_shm, end_direct_shm;
#endif

/* CPU seconds of this process; seconds of a clock that only goes forward. */
double end_cpu(void);
double end_now(void);
/* Connects end->fd to a Unix stream. 0, or -1 with errno. */
int end_connect(struct end *end, const char *path);
/* Connects to fethd's native socket and has a call to `attach` of msgid 1 answered; what came
 * behind that is the first end->kept bytes of end->buf. 0, or -1 with errno. */
int end_attach(struct end *end, const char *path, const void *request, size_t bytes);
/* Writes all of it. 0, or -1 with errno. */
int end_write(int fd, const uint8_t *bytes, size_t len);
/* Makes end->out: @n frames of @size bytes to @dst. 0, or -1 without memory. */
int batch_make(struct end *end, const uint8_t dst[6], uint32_t size, unsigned n);
/* Has the switch learn @stations addresses at this end. 0, or -1 with errno. */
int end_stations(struct end *end, uint8_t high, uint32_t stations);
/* Counts a frame. */
void tally_frame(struct tally *t, const uint8_t *frame, size_t len);
/* Writes the sequence numbers of the next batch. */
void batch_stamp(struct batch *b);
/* A broadcast frame from end->mac of another type than those that are counted. Returns its length.
 */
size_t end_hello(const struct end *end, uint8_t out[60]);
/* The address of station n of those behind one end: 02:be:HIGH and n, so mixed that neighbours in n
 * are none in a table. */
void end_station(uint8_t out[6], uint8_t high, uint32_t n);
/* Reads give up after 100 ms, writes after 200 ms; send buffer as END_SNDBUF. */
void end_socket(int fd);

#endif
