/* fuzz_toobig.c - a frame that is too long, from anybody: what is answered is a whole packet with
 * the right sums, no longer than it may be, to who sent it. */
#include "server/core/toobig.h"
#include "tests/support/bytes.h"
#include "tests/support/eth.h"
#include "tests/support/fuzz.h"

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* The ones' complement sum of what has its own sum in it. */
static uint32_t sum_of(const uint8_t *p, uint32_t len, uint64_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += (uint64_t)p[i] * (i % 2 ? 1 : 256);
	return sum ? (uint32_t)((sum - 1) % 65535 + 1) : 0;
}

static void check(const uint8_t *frame, const uint8_t *a, uint32_t len, uint32_t mtu, uint32_t room)
{
	const uint32_t header = get16(a + 12) == ETH_P_CTAG ? 18 : 14;
	const uint8_t *ip = a + header;
	must(len <= TOOBIG_FRAME_MAX && len >= header + 28 + 20);
	must(len - header <= room);
	must(!memcmp(a, frame + 6, 6) && !(a[0] & 1) && !(frame[0] & 1));
	must(!memcmp(a + 12, frame + 12, header - 12));
	len -= header;
	if (get16(a + header - 2) == 0x0800) {
		must(get16(ip + 2) == len && len <= 576);
		must(sum_of(ip, 20, 0) == 65535 && sum_of(ip + 20, len - 20, 0) == 65535);
		must(ip[20] == 3 && ip[21] == 4 && get16(ip + 26) == mtu);
		must(ip[16] && ip[16] < 224 && ip[16] != 127); /* to one host */
		must(!memcmp(ip + 16, ip + 28 + 12, 4));       /* who sent it */
		must(get16(ip + 28 + 2) > mtu && ip[28 + 6] & 0x40);
		return;
	}
	must(get16(a + header - 2) == 0x86dd && 40u + get16(ip + 4) == len && len <= 1280);
	must(sum_of(ip + 40, len - 40, sum_of(ip + 8, 32, len - 40 + 58)) == 65535);
	must(ip[40] == 2 && !ip[41] && get16(ip + 46) == mtu && mtu >= 1280);
	must(ip[24] != 0xff && !memcmp(ip + 24, ip + 48 + 8, 16));
	must(40u + get16(ip + 48 + 4) > mtu);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct cidr nets[] = {
		{ 4, 24, { 10, 0, 0, 1 } },
		{ 6, 64, { 0xfd, 0, [15] = 1 } },
		{ 4, 31, { 192, 168, 0, 1 } },
	};
	uint8_t answer[TOOBIG_FRAME_MAX];
	if (len < 6 + 14)
		return 0;
	/* caps of ports, and how the frame lies in memory */
	const uint32_t mtu = get16(data), room = get16(data + 2), cut = get16(data + 4);
	data += 6;
	len -= 6;
	uint8_t *b = exact_copy(data, len);
	const uint32_t head = cut % 3 ? (uint32_t)len : 14 + cut % ((uint32_t)len - 13);
	uint8_t *first = exact_copy(b, head);
	const struct seg more[2] = { { b + head, 0 }, { b + head, len - head } };
	const struct frame frame = { .head = first,
		.head_len = head,
		.len = (uint32_t)len,
		.more = head < len ? more : NULL,
		.more_n = head < len ? 2 : 0 };
	const uint32_t n = toobig_answer(&frame, mtu, room, mac_n(HOST_MAC), nets, 3, answer);
	if (n)
		check(b, answer, n, mtu, room);
	free(first);
	free(b);
	return 0;
}
