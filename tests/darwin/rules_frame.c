/* rules_frame.c - frames, the taps that read them and the sockets that inject them. See rules.h. */
#include "tests/darwin/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* IEEE 802-2014, 9.2.4: for experiments within one site. No stack answers it. */
#define TYPE_OURS 0x88b5u

static const uint8_t destination[6] = { 0x02, 0xfe, 0x00, 0x00, 0x00, 0x01 };

/* -- frames -- */

void frame_make(uint8_t *frame, size_t len, unsigned number)
{
	const uint8_t head[14] = { destination[0], destination[1], destination[2], destination[3],
		destination[4], destination[5], 0x02, 0xfe, (uint8_t)(number >> 24),
		(uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number, TYPE_OURS >> 8,
		TYPE_OURS & 0xff };
	memcpy(frame, head, len < sizeof(head) ? len : sizeof(head));
	for (size_t i = sizeof(head); i < len; i++)
		frame[i] = (uint8_t)(i * 7 + number);
}

bool frame_ours(const uint8_t *frame, size_t len)
{
	if (len < 14 || frame[6] != 0x02 || frame[7] != 0xfe)
		return false;
	unsigned type = (unsigned)frame[12] << 8 | frame[13];
	if (type == 0x8100 && len >= 18)
		type = (unsigned)frame[16] << 8 | frame[17];
	return type == TYPE_OURS || type == 0x0800;
}

unsigned frame_number(const uint8_t *frame)
{
	return (unsigned)frame[8] << 24 | (unsigned)frame[9] << 16 | (unsigned)frame[10] << 8 |
	       frame[11];
}

/* RFC 1071; @sum is what came before. */
uint16_t checksum(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (len % 2)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

size_t frame_udp(uint8_t *frame, const uint8_t mac[6], const uint8_t from[4], const uint8_t to[4],
	uint16_t port, const void *payload, size_t len)
{
	uint8_t *ip = frame + 14, *udp = ip + 20;
	frame_make(frame, 14, port);
	memcpy(frame, mac, 6);
	put16(frame + 12, 0x0800);
	memset(ip, 0, 28);
	ip[0] = 0x45;
	put16(ip + 2, (unsigned)(28 + len));
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, from, 4);
	memcpy(ip + 16, to, 4);
	put16(ip + 10, checksum(ip, 20, 0));
	put16(udp, port);
	put16(udp + 2, port);
	put16(udp + 4, (unsigned)(8 + len));
	memcpy(udp + 8, payload, len);
	/* RFC 768: a pseudo header of the addresses, the protocol and the length counts too */
	uint32_t sum = 17 + 8 + (uint32_t)len;
	for (unsigned i = 12; i < 20; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	put16(udp + 6, checksum(udp, 8 + len, sum));
	return 14 + 28 + len;
}

/* -- taps -- */

int bpf_open(void)
{
	char path[24];
	int rc = -DW_ENOENT;
	for (unsigned i = 0; i < 256; i++) {
		snprintf(path, sizeof(path), "/dev/bpf%u", i);
		rc = darwin_sys.open(path);
		if (rc != -DW_EBUSY)
			break;
	}
	return rc;
}

int tap_u32(const struct tap *tap, unsigned long request, uint32_t value)
{
	return darwin_sys.ioctl(tap->fd, request, &value);
}

int tap_attach(const struct tap *tap, const char *ifname)
{
	struct dw_ifreq req = { 0 };
	memcpy(req.name, ifname, strnlen(ifname, sizeof(req.name)));
	return darwin_sys.ioctl(tap->fd, DW_BIOCSETIF, &req);
}

/* Buffers are small and the process ends soon: they are kept until then, as a test may end at any
 * check. One in each tap's place is used again and again. */
static uint8_t *buffer(size_t size)
{
	static struct {
		uint8_t *p;
		size_t size;
	} pool[16];
	static unsigned next;
	unsigned i = next++ % 16;
	if (pool[i].size < size) {
		free(pool[i].p);
		pool[i].p = malloc(size);
		pool[i].size = pool[i].p ? size : 0;
	}
	expect(pool[i].p != NULL);
	return pool[i].p;
}

void tap_open(struct tap *tap, const char *ifname, unsigned flags, uint32_t blen)
{
	*tap = (struct tap){ .fd = own(bpf_open()), .blen = blen };
	expect_eq(darwin_sys.ioctl(tap->fd, DW_BIOCSBLEN, &tap->blen), 0);
	tap->buf = buffer(tap->blen);
	if (!(flags & TAP_GATHER))
		expect_eq(tap_u32(tap, DW_BIOCIMMEDIATE, 1), 0);
	if (flags & TAP_IN_ONLY)
		expect_eq(tap_u32(tap, DW_BIOCSSEESENT, 0), 0);
	if (flags & TAP_HDRCMPLT)
		expect_eq(tap_u32(tap, DW_BIOCSHDRCMPLT, 1), 0);
	if (flags & TAP_HEADDROP)
		expect_eq(tap_u32(tap, DW_BIOCSHEADDROP, 1), 0);
	if (flags & TAP_BLOCKING) {
		int32_t on = 0;
		expect_eq(darwin_sys.ioctl(tap->fd, DW_FIONBIO, &on), 0);
	}
	if (!(flags & TAP_LOOSE))
		expect_eq(tap_attach(tap, ifname), 0);
}

long tap_read(struct tap *tap)
{
	long n = darwin_sys.read(tap->fd, tap->buf, tap->blen);
	tap->at = 0;
	tap->len = n > 0 ? (size_t)n : 0;
	return n;
}

/* The next record, ours or not. */
static const uint8_t *next_record(struct tap *tap, size_t *out_len)
{
	struct dw_bpf_hdr head;
	if (tap->at >= tap->len)
		return NULL;
	expect(tap->len - tap->at >= DW_BPF_HDR);
	memcpy(&head, tap->buf + tap->at, DW_BPF_HDR);
	expect_eq(head.hdrlen, DW_BPF_HDR);
	expect_eq(head.caplen, head.datalen);
	expect(head.caplen <= tap->len - tap->at - DW_BPF_HDR);
	const uint8_t *frame = tap->buf + tap->at + DW_BPF_HDR;
	*out_len = head.caplen;
	tap->at += DW_BPF_WORDALIGN((size_t)DW_BPF_HDR + head.caplen);
	return frame;
}

const uint8_t *tap_next(struct tap *tap, size_t *out_len, unsigned wait_ms)
{
	for (unsigned ms = 0;;) {
		const uint8_t *frame;
		while ((frame = next_record(tap, out_len)) != NULL)
			if (frame_ours(frame, *out_len))
				return frame;
		long n = tap_read(tap);
		if (n > 0)
			continue;
		expect_err(n, DW_EAGAIN);
		if (ms++ >= wait_ms)
			return NULL;
		darwin_sys.sleep_us(1000);
	}
}

void tap_expect(struct tap *tap, const uint8_t *frame, size_t len)
{
	size_t got_len = 0;
	const uint8_t *got = tap_next(tap, &got_len, 2000);
	expect(got != NULL);
	expect_eq(got_len, len);
	expect_mem(got, frame, len);
}

void tap_expect_number(struct tap *tap, unsigned number)
{
	size_t len = 0;
	const uint8_t *got = tap_next(tap, &len, 2000);
	expect(got != NULL);
	expect_eq(frame_number(got), number);
}

void tap_expect_nothing(struct tap *tap)
{
	size_t len = 0;
	const uint8_t *got = tap_next(tap, &len, 60);
	if (got)
		rules_fail(__FILE__, __LINE__, "a frame came that should not: number %u, %zu bytes",
			frame_number(got), len);
}

/* -- AF_NDRV -- */

void ndrv_addr(struct dw_sockaddr_ndrv *out, const char *ifname)
{
	*out = (struct dw_sockaddr_ndrv){ .len = sizeof(*out), .family = DW_AF_NDRV };
	memcpy(out->name, ifname, strnlen(ifname, sizeof(out->name)));
}

int ndrv_socket(void)
{
	return own(darwin_sys.socket(DW_AF_NDRV, DW_SOCK_RAW, 0));
}

int ndrv_open(const char *ifname)
{
	struct dw_sockaddr_ndrv addr;
	int fd = ndrv_socket();
	ndrv_addr(&addr, ifname);
	expect_eq(darwin_sys.bind(fd, &addr, sizeof(addr)), 0);
	expect_eq(darwin_sys.connect(fd, &addr, sizeof(addr)), 0);
	return fd;
}

void inject(int fd, const uint8_t *frame, size_t len)
{
	expect_eq(darwin_sys.write(fd, frame, len), len);
}

void inject_number(int fd, unsigned number, size_t len)
{
	static uint8_t frame[FRAME_MAX];
	frame_make(frame, len, number);
	inject(fd, frame, len);
}
