/* mpacket.c - see mpacket.h. */
#include "tests/support/mpacket.h"

#include <stdlib.h>
#include <string.h>

void mgroup_put(enum mcast_family family, unsigned group, uint8_t *out)
{
	if (family == MCAST_IP4) {
		const uint8_t a[4] = { 239, 1, (uint8_t)(group >> 8), (uint8_t)group };
		memcpy(out, a, 4);
	} else {
		const uint8_t a[16] = { 0xff,
			0x05, [13] = 1, [14] = (uint8_t)(group >> 8), [15] = (uint8_t)group };
		memcpy(out, a, 16);
	}
}

struct feth_mac mgroup_mac(enum mcast_family family, unsigned group)
{
	const uint8_t hi = (uint8_t)(group >> 8), lo = (uint8_t)group;
	if (family == MCAST_IP4)
		return (struct feth_mac){ { 0x01, 0x00, 0x5e, 0x01, hi, lo } };
	return (struct feth_mac){ { 0x33, 0x33, 0x00, 0x01, hi, lo } };
}

/* The checksum as arithmetic instead of carries: a number to base 65536, modulo 65535. Never 0 in
 * ones' complement, as long as one word is not. */
static void put_sum(uint8_t *at, uint64_t number)
{
	const uint64_t rest = number % 65535;
	const uint16_t sum = (uint16_t)(rest ? 65535 - rest : 0);
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

static uint64_t number_of(const uint8_t *p, uint32_t len)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < len; i++)
		n += (uint64_t)p[i] * (i % 2 ? 1 : 256);
	return n;
}

void mpacket_sum(struct mpacket *p)
{
	uint8_t *ip = p->b + p->ip, *msg = p->b + p->msg;
	const uint32_t len = p->end - p->msg;
	const uint8_t next = p->family == MCAST_IP4 || ip[6] == 0 ? 58 : ip[6];
	uint64_t pseudo = 0;
	if (p->family == MCAST_IP4) {
		memset(ip + 10, 0, 2);
		put_sum(ip + 10, number_of(ip, (ip[0] & 15) * 4u));
	} else {
		pseudo = number_of(ip + 8, 32) + len + next;
	}
	if (len < 4)
		return;
	memset(msg + 2, 0, 2);
	put_sum(msg + 2, pseudo + number_of(msg, len));
}

static uint8_t *append(struct mpacket *p, const void *bytes, uint32_t len)
{
	if (MPACKET_MAX - p->len < len)
		abort();
	memcpy(p->b + p->len, bytes, len);
	p->len += len;
	return p->b + p->len - len;
}

void mpacket_make(struct mpacket *p, enum mcast_family family, unsigned src, const uint8_t *dst,
	const uint8_t *msg, uint32_t len)
{
	const bool pim = len && msg[0] == 0x20;
	*p = (struct mpacket){ .family = family };
	if (family == MCAST_IP4) {
		const uint8_t eth[14] = { 0x01, 0x00, 0x5e, dst[1] & 0x7f, dst[2], dst[3], 2, 0, 0,
			0, 0, (uint8_t)src, 0x08, 0x00 };
		const uint16_t total = (uint16_t)(24 + len);
		const uint8_t ip[24] = { 0x46, 0xc0, (uint8_t)(total >> 8), (uint8_t)total, 0, 0,
			0x40, 0, 1, pim ? 103 : 2, 0, 0, src ? 10 : 0, 0, 0, (uint8_t)src, dst[0],
			dst[1], dst[2], dst[3], 0x94, 4, 0, 0 };
		append(p, eth, sizeof(eth));
		append(p, ip, sizeof(ip));
	} else {
		const uint8_t eth[14] = { 0x33, 0x33, dst[12], dst[13], dst[14], dst[15], 2, 0, 0,
			0, 0, (uint8_t)src, 0x86, 0xdd };
		const uint16_t payload = (uint16_t)(len + (pim ? 0 : 8));
		const uint8_t ip[24] = { 0x60, 0, 0, 0, (uint8_t)(payload >> 8), (uint8_t)payload,
			pim ? 103 : 0, 1, src ? 0xfe : 0, src ? 0x80 : 0, [23] = (uint8_t)src };
		const uint8_t options[8] = { 58, 0, 5, 2, 0, 0, 1, 0 };
		append(p, eth, sizeof(eth));
		append(p, ip, sizeof(ip));
		append(p, dst, 16);
		append(p, options, pim ? 0 : sizeof(options));
	}
	p->ip = 14;
	p->msg = p->len;
	append(p, msg, len);
	p->end = p->len;
	mpacket_sum(p);
}

static void all_hosts(enum mcast_family family, uint8_t last, uint8_t *out)
{
	memset(out, 0, 16);
	out[0] = family == MCAST_IP4 ? 224 : 0xff;
	if (family == MCAST_IP4) {
		out[3] = last;
	} else {
		out[1] = 2;
		out[15] = last;
	}
}

void mpacket_query(struct mpacket *p, enum mcast_family family, unsigned version, unsigned src,
	unsigned group, uint16_t code, uint8_t qrv, uint8_t qqic, uint16_t sources)
{
	const bool six = family == MCAST_IP6;
	const bool tail = version == (six ? 2 : 3);
	static uint8_t msg[MPACKET_MAX];
	uint8_t dst[16];
	uint32_t len = six ? 24 : 8;
	memset(msg, 0, sizeof(msg));
	all_hosts(family, 1, dst);
	if (six) {
		msg[0] = 130;
		msg[4] = (uint8_t)(code >> 8);
		msg[5] = (uint8_t)code;
	} else {
		msg[0] = 0x11;
		msg[1] = (uint8_t)code;
	}
	if (group) {
		mgroup_put(family, group, dst);
		mgroup_put(family, group, msg + (six ? 8 : 4));
	}
	if (tail) {
		msg[len] = qrv;
		msg[len + 1] = qqic;
		msg[len + 2] = (uint8_t)(sources >> 8);
		msg[len + 3] = (uint8_t)sources;
		len += 4 + sources * (six ? 16u : 4u);
	}
	mpacket_make(p, family, src, dst, msg, len);
}

void mpacket_report(
	struct mpacket *p, enum mcast_family family, unsigned version, unsigned group, bool join)
{
	const bool six = family == MCAST_IP6;
	uint8_t msg[24] = { 0 }, dst[16];
	if (six)
		msg[0] = join ? 131 : 132;
	else
		msg[0] = !join ? 0x17 : version == 1 ? 0x12 : 0x16;
	mgroup_put(family, group, msg + (six ? 8 : 4));
	if (join)
		mgroup_put(family, group, dst);
	else
		all_hosts(family, 2, dst);
	mpacket_make(p, family, 7, dst, msg, six ? 24 : 8);
}

void mpacket_records(
	struct mpacket *p, enum mcast_family family, const struct mrecord *records, unsigned n)
{
	const uint32_t address = family == MCAST_IP6 ? 16 : 4;
	static uint8_t msg[MPACKET_MAX];
	uint8_t dst[16];
	uint32_t len = 8;
	memset(msg, 0, sizeof(msg));
	msg[0] = family == MCAST_IP6 ? 143 : 0x22;
	msg[6] = (uint8_t)(n >> 8);
	msg[7] = (uint8_t)n;
	for (unsigned i = 0; i < n; i++) {
		const struct mrecord *r = &records[i];
		const uint32_t more = 4 + address + r->sources * address + r->aux * 4u;
		if (sizeof(msg) - len < more)
			abort();
		msg[len] = r->type;
		msg[len + 1] = r->aux;
		msg[len + 2] = (uint8_t)(r->sources >> 8);
		msg[len + 3] = (uint8_t)r->sources;
		mgroup_put(family, r->group, msg + len + 4);
		memset(msg + len + 4 + address, 0x5a, more - 4 - address);
		len += more;
	}
	all_hosts(family, family == MCAST_IP6 ? 0x16 : 22, dst);
	mpacket_make(p, family, 7, dst, msg, len);
}

void mpacket_hello(struct mpacket *p, enum mcast_family family, unsigned src, int hold)
{
	/* an option that is none of ours, then the hold time */
	const uint8_t msg[18] = { 0x20, 0, 0, 0, 0, 20, 0, 4, 1, 2, 3, 4, 0, 1, 0, 2,
		(uint8_t)(hold >> 8), (uint8_t)hold };
	uint8_t dst[16];
	all_hosts(family, 13, dst);
	mpacket_make(p, family, src, dst, msg, hold < 0 ? 12 : 18);
}

void mpacket_tag(struct mpacket *p, uint16_t type)
{
	const uint8_t tag[4] = { (uint8_t)(type >> 8), (uint8_t)type, 0, 42 };
	memmove(p->b + 16, p->b + 12, p->len - 12);
	memcpy(p->b + 12, tag, 4);
	p->len += 4;
	p->ip += 4;
	p->msg += 4;
	p->end += 4;
}

void mpacket_pad(struct mpacket *p, uint32_t n)
{
	if (MPACKET_MAX - p->len < n)
		abort();
	memset(p->b + p->len, 0xa5, n);
	p->len += n;
}
