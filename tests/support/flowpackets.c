/* flowpackets.c - see flowpackets.h. Shares nothing with server/core on purpose. */
#include "tests/support/flowpackets.h"

#include <stdlib.h>

#include "tests/support/eth.h"

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

uint16_t segment_sum(uint32_t sum, const uint8_t *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		sum += i % 2 ? b[i] : (uint32_t)b[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

uint32_t segment_l3(const uint8_t *b)
{
	uint32_t at = 12;
	while (get16(b + at) == 0x8100 || get16(b + at) == 0x88a8)
		at += 4;
	return at + 2;
}

static bool is_v6(const uint8_t *b)
{
	return b[segment_l3(b)] >> 4 == 6;
}

/* What follows the headers of IP that a test may put there, and where. */
static uint32_t above(const uint8_t *b, uint8_t *protocol)
{
	const uint32_t l3 = segment_l3(b);
	if (!is_v6(b)) {
		*protocol = b[l3 + 9];
		return l3 + (b[l3] & 15u) * 4;
	}
	uint32_t at = l3 + 40;
	*protocol = b[l3 + 6];
	while (*protocol == 0 || *protocol == 43 || *protocol == 60) {
		*protocol = b[at];
		at += (b[at + 1] + 1u) * 8;
	}
	return at;
}

uint32_t segment_l4(const uint8_t *b)
{
	uint8_t protocol;
	return above(b, &protocol);
}

static uint16_t pseudo_sum(const uint8_t *b, uint32_t len)
{
	const uint32_t l3 = segment_l3(b);
	uint8_t protocol;
	const uint32_t l4 = above(b, &protocol);
	uint8_t p[40] = { 0 };
	uint32_t n = is_v6(b) ? 32 : 8;
	memcpy(p, b + l3 + (is_v6(b) ? 8 : 12), n);
	put16(p + n, protocol);
	put16(p + n + 2, len - l4);
	return (uint16_t)~segment_sum(0, p, n + 4);
}

static uint32_t sum_at(const uint8_t *b)
{
	uint8_t protocol;
	const uint32_t l4 = above(b, &protocol);
	return l4 + (protocol == 17 ? 6 : 16);
}

void segment_sums(uint8_t *b, uint32_t len)
{
	const uint32_t l3 = segment_l3(b);
	uint8_t protocol;
	const uint32_t l4 = above(b, &protocol), at = sum_at(b);
	if (!is_v6(b)) {
		put16(b + l3 + 10, 0);
		put16(b + l3 + 10, segment_sum(0, b + l3, l4 - l3));
	}
	put16(b + at, 0);
	const uint16_t sum = segment_sum(pseudo_sum(b, len), b + l4, len - l4);
	put16(b + at, protocol == 17 && !sum ? 0xffff : sum);
}

uint32_t segment_write(uint8_t *out, const struct segment_conf *c)
{
	uint8_t *p = out + 12;
	memcpy(out, mac_n(c->dst).b, 6);
	memcpy(out + 6, mac_n(c->src).b, 6);
	if (c->vlan) {
		put16(p, 0x8100);
		put16(p + 2, c->vlan);
		p += 4;
	}
	put16(p, c->v6 ? 0x86dd : 0x0800);
	p += 2;
	const uint32_t header = c->udp ? 8 : 20u + c->options, rest = header + c->size;
	const uint8_t protocol = c->udp ? 17 : 6;
	if (c->v6) {
		put32(p, 6u << 28 | (uint32_t)c->tos << 20 | c->label);
		put16(p + 4, rest);
		p[6] = protocol;
		p[7] = c->ttl;
		for (unsigned i = 0; i < 2; i++) {
			memset(p + 8 + 16 * i, 0, 16);
			p[8 + 16 * i] = 0xfd;
			p[23 + 16 * i] = (uint8_t)(i ? c->dst : c->src);
		}
		p += 40;
	} else {
		p[0] = 0x45;
		p[1] = c->tos;
		put16(p + 2, 20 + rest);
		put16(p + 4, c->id);
		put16(p + 6, c->df ? 0x4000 : 0);
		p[8] = c->ttl;
		p[9] = protocol;
		put32(p + 12, 10u << 24 | c->src);
		put32(p + 16, 10u << 24 | c->dst);
		p += 20;
	}
	put16(p, c->sport);
	put16(p + 2, c->dport);
	if (c->udp) {
		put16(p + 4, rest);
	} else {
		put32(p + 4, c->seq);
		put32(p + 8, c->ack);
		p[12] = (uint8_t)(header / 4 << 4);
		p[13] = c->flags;
		put16(p + 14, c->window);
		put16(p + 18, 0);
		memset(p + 20, 1, c->options);
		if (c->options >= 12) {
			p[22] = 8;
			p[23] = 10;
			put32(p + 24, c->stamp);
		}
	}
	p += header;
	if (c->payload)
		memcpy(p, c->payload, c->size);
	else
		memset(p, 0, c->size);
	const uint32_t len = (uint32_t)(p - out) + c->size;
	segment_sums(out, len);
	return len;
}

uint8_t *frame_flat(const struct frame *frame)
{
	uint8_t *flat = malloc(frame->len + 1u);
	uint32_t n = frame->head_len;
	if (!flat || n > frame->len)
		abort();
	memcpy(flat, frame->head, n);
	for (unsigned i = 0; i < frame->more_n; i++) {
		if (frame->more[i].len > frame->len - n)
			abort();
		memcpy(flat + n, frame->more[i].base, frame->more[i].len);
		n += (uint32_t)frame->more[i].len;
	}
	if (n != frame->len)
		abort();
	return flat;
}

bool super_has_pseudo(const uint8_t *flat, uint32_t len)
{
	return get16(flat + sum_at(flat)) == pseudo_sum(flat, len);
}

uint32_t super_segment(
	const uint8_t *flat, uint32_t len, const struct offload *owed, unsigned k, uint8_t *out)
{
	const uint32_t l3 = segment_l3(flat);
	uint8_t protocol;
	const uint32_t l4 = above(flat, &protocol);
	const uint32_t header = l4 + (protocol == 17 ? 8 : (uint32_t)(flat[l4 + 12] >> 4) * 4);
	const uint64_t from = header + (uint64_t)k * owed->gso_size;
	if (from >= len)
		return 0;
	const bool last = from + owed->gso_size >= len;
	const uint32_t size = last ? len - (uint32_t)from : owed->gso_size;
	memcpy(out, flat, header);
	memcpy(out + header, flat + from, size);
	if (is_v6(flat)) {
		put16(out + l3 + 4, header + size - l3 - 40);
	} else {
		put16(out + l3 + 2, header + size - l3);
		put16(out + l3 + 4, get16(flat + l3 + 4) + k);
	}
	if (protocol == 17) {
		put16(out + l4 + 4, 8 + size);
	} else {
		put32(out + l4 + 4, get32(flat + l4 + 4) + k * owed->gso_size);
		if (!last)
			out[l4 + 13] &= (uint8_t) ~(FLAG_PSH | FLAG_FIN);
		if (k)
			out[l4 + 13] &= (uint8_t)~FLAG_CWR;
	}
	segment_sums(out, header + size);
	return header + size;
}

bool segment_same(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	const uint32_t id = segment_l3(a) + 4, sum = id + 6, rest = sum + 2;
	if (!memcmp(a, b, len))
		return true;
	return len >= rest + 8 && !memcmp(a, b, id) && !memcmp(a + id + 2, b + id + 2, 4) &&
	       !memcmp(a + rest, b + rest, len - rest) && !segment_sum(0, a + id - 4, 20) &&
	       !segment_sum(0, b + id - 4, 20);
}
