/* feth_offload.c - libfeth as a program uses it that leaves work on its frames to others.
 * test_offload.py runs it:
 *
 *   feth_offload PATH-OF-feth.sock
 *
 * Prints what is wrong, and exits with 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feth/client.h"

#define WAIT_MS 20000
#define PAYLOAD 40000u
#define HEADERS 54u
#define SIZE 1000u /* of a segment */

#define check(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "feth_offload: line %d: %s\n", __LINE__, #x);              \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static struct feth_conn *attach(
	const char *path, uint8_t n, struct feth_offload offload, struct feth_port *port)
{
	const struct feth_mac mac = { { 2, 0, 0, 0, 0, n } };
	const struct feth_attach_opts opts = { .mac = &mac, .offload = offload };
	struct feth_conn *conn;
	check(feth_open(&conn, path, NULL) == 0);
	check(feth_attach(conn, &opts, port, WAIT_MS) == 0);
	return conn;
}

/* TCP from 02:00:00:00:00:01 to all, whose checksum is owed: what it must be is another test's. */
static uint32_t make(uint8_t *b)
{
	static const uint8_t headers[HEADERS] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,
		1, 0x08, 0x00, /* IPv4 */
		0x45, 0, (20 + 20 + PAYLOAD) >> 8, (20 + 20 + PAYLOAD) & 0xff, 0, 0, 0x40, 0, 64, 6,
		0, 0, 10, 0, 0, 1, 10, 0, 0, 2, /* TCP */
		3, 0xe8, 7, 0xd0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0x20, 0 };
	memcpy(b, headers, sizeof(headers));
	for (uint32_t i = 0; i < PAYLOAD; i++)
		b[HEADERS + i] = (uint8_t)(i * 7 + i / 251);
	return HEADERS + PAYLOAD;
}

/* The next frame of IPv4; what the switch itself says is passed over. */
static struct feth_frame next(struct feth_conn *conn, bool vnets, const uint8_t **vnet)
{
	for (;;) {
		struct feth_frame f;
		const int n = vnets ? feth_recv_vnet(conn, &f, vnet, 1, WAIT_MS)
				    : feth_recv(conn, &f, 1, WAIT_MS);
		check(n == 1);
		if (f.data[12] == 0x08 && f.data[13] == 0x00)
			return f;
	}
}

int main(int argc, char **argv)
{
	static uint8_t data[HEADERS + PAYLOAD];
	const struct feth_offload most = {
		.rx = FETH_OFFLOAD_CSUM | FETH_OFFLOAD_TSO4,
		.tx = FETH_OFFLOAD_CSUM | FETH_OFFLOAD_TSO4 | FETH_OFFLOAD_ECN | 0x400,
	};
	const uint8_t header[FETH_VNET_LEN] = { 1, 1, HEADERS, 0, SIZE & 0xff, SIZE >> 8, 34, 0, 16,
		0, 1, 0 };
	const uint8_t *vnet[2] = { header, NULL }, *got;
	struct feth_port port;
	check(argc == 2);
	struct feth_conn *a = attach(argv[1], 1, most, &port);
	check(port.offload.rx == most.rx);
	check(port.offload.tx == (FETH_OFFLOAD_CSUM | FETH_OFFLOAD_TSO4 | FETH_OFFLOAD_ECN));
	check(port.offload.max == FETH_FRAME_MAX);
	struct feth_conn *b = attach(argv[1], 2, most, NULL);
	struct feth_conn *c = attach(argv[1], 3, (struct feth_offload){ 0 }, &port);
	check(!port.offload.rx && !port.offload.tx);

	const struct feth_frame frames[2] = { { data, make(data) }, { data, HEADERS } };
	check(feth_send_vnet(a, frames, vnet, 1) == 1);
	struct feth_frame f = next(b, true, &got);
	check(f.len == sizeof(data) && !memcmp(f.data, data, f.len));
	check(got && !memcmp(got, header, sizeof(header)));
	for (uint32_t at = 0; at < PAYLOAD; at += SIZE) {
		f = next(c, false, NULL);
		check(f.len == HEADERS + SIZE);
		check(!memcmp(f.data + HEADERS, data + HEADERS + at, SIZE));
	}
	check(feth_send_vnet(a, frames + 1, vnet + 1, 1) == 1);
	f = next(b, true, &got);
	check(f.len == HEADERS && !got);
	check(next(c, false, NULL).len == HEADERS);

	/* who does not look for what is owed gets the rest */
	check(feth_send_vnet(a, frames, vnet, 2) == 2);
	check(next(b, false, NULL).len == HEADERS);
	struct feth_counters counters;
	feth_get_counters(b, &counters);
	check(counters.ignored == 1);
	feth_close(a);
	feth_close(b);
	feth_close(c);
	return 0;
}
