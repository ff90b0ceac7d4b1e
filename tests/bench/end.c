/* end.c - what all ends share. See ends.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "tests/bench/ends.h"

static double seconds_of(const struct timeval *tv)
{
	return (double)tv->tv_sec + (double)tv->tv_usec / 1e6;
}

double end_cpu(void)
{
	struct rusage ru;
	getrusage(RUSAGE_SELF, &ru);
	return seconds_of(&ru.ru_utime) + seconds_of(&ru.ru_stime);
}

double end_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void tally_frame(struct tally *t, const uint8_t *frame, size_t len)
{
	if (len < END_SEQ + 4 || frame[12] != END_ETHERTYPE >> 8 ||
		frame[13] != (END_ETHERTYPE & 0xff) ||
		(t->only && memcmp(frame, t->only, 6) != 0)) {
		t->other++;
		return;
	}
	uint32_t seq;
	memcpy(&seq, frame + END_SEQ, sizeof(seq));
	t->disorder += seq < t->next;
	t->next = seq + 1;
	memcpy(t->from, frame + 6, 6);
	t->frames++;
	t->bytes += len;
}

void end_station(uint8_t out[6], uint8_t high, uint32_t n)
{
	const uint32_t mixed = n * 0x9e3779b1u; /* odd, so no two of 2^24 are the same */
	out[0] = 0x02;
	out[1] = 0xbe;
	out[2] = high;
	out[3] = (uint8_t)(mixed >> 16);
	out[4] = (uint8_t)(mixed >> 8);
	out[5] = (uint8_t)mixed;
}

void batch_stamp(struct batch *b)
{
	uint8_t *at = b->bytes + b->hdr;
	for (uint32_t i = 0; i < b->n; i++, at += b->hdr + b->size) {
		const uint32_t seq = b->next + i;
		memcpy(at + END_SEQ, &seq, sizeof(seq));
		if (b->stations)
			end_station(at, b->station, seq % b->stations);
	}
}

int batch_make(struct end *end, const uint8_t dst[6], uint32_t size, unsigned n)
{
	struct batch *b = &end->out;
	uint8_t hdr[8];
	b->n = n;
	b->size = size;
	b->hdr = end->ops->header ? end->ops->header(hdr, size) : 0;
	b->bytes = calloc(n, b->hdr + size);
	if (!b->bytes)
		return -1;
	for (unsigned i = 0; i < n; i++) {
		uint8_t *at = b->bytes + i * (b->hdr + size);
		memcpy(at, hdr, b->hdr);
		memcpy(at + b->hdr, dst, 6);
		memcpy(at + b->hdr + 6, end->mac, 6);
		at[b->hdr + 12] = END_ETHERTYPE >> 8;
		at[b->hdr + 13] = END_ETHERTYPE & 0xff;
		for (uint32_t k = END_SEQ; k < size; k++)
			at[b->hdr + k] = (uint8_t)(k * 31 + i);
	}
	return 0;
}

int end_stations(struct end *end, uint8_t high, uint32_t stations)
{
	static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	if (batch_make(end, everybody, 60, 1) < 0)
		return -1;
	uint8_t *frame = end->out.bytes + end->out.hdr;
	frame[13] = (END_ETHERTYPE & 0xff) + 1; /* of those that are not counted */
	int rc = 0;
	for (uint32_t i = 0; i < stations && rc >= 0; i++) {
		end_station(frame + 6, high, i);
		do
			rc = end->ops->send(end);
		while (!rc);
	}
	free(end->out.bytes);
	end->out = (struct batch){ 0 };
	return rc < 0 ? -1 : 0;
}

size_t end_hello(const struct end *end, uint8_t out[60])
{
	memset(out, 0, 60);
	memset(out, 0xff, 6);
	memcpy(out + 6, end->mac, 6);
	out[12] = 0x88; /* 88b6: the other experimental type */
	out[13] = 0xb6;
	return 60;
}

void end_socket(int fd)
{
	const int bytes = END_SNDBUF;
	const struct timeval in = { .tv_usec = 100000 }, out = { .tv_usec = 200000 };
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &in, sizeof(in));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &out, sizeof(out));
}
