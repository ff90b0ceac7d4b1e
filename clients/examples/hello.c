/* hello.c - the smallest port: says one sentence to everybody on a network, and prints what it
 * hears.
 *
 *   hello PATH-OF-feth.sock MAC TEXT SECONDS
 *   cc hello.c $(pkg-config --cflags --libs feth) -o hello */
#define _POSIX_C_SOURCE 200809L /* clock_gettime(), also with -std=c11 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <feth/client.h>

/* The first of two ethertypes for local experiments (IEEE 802, 9.2.4). */
static const uint8_t ETHERTYPE[2] = { 0x88, 0xb5 };

static int fail(struct feth_conn *conn, const char *what, const char *why)
{
	fprintf(stderr, "hello: %s: %s\n", what, why);
	feth_close(conn);
	return 1;
}

static bool parse_mac(struct feth_mac *mac, const char *p)
{
	for (int i = 0; i < 6; i++, p += 3) {
		char *end;
		mac->b[i] = (uint8_t)strtoul(p, &end, 16);
		if (end != p + 2 || *end != (i < 5 ? ':' : '\0'))
			return false;
	}
	return true;
}

static void print_frame(const struct feth_frame *frame)
{
	for (int i = 6; i < 12; i++)
		printf("%02x%c", frame->data[i], i < 11 ? ':' : ' ');
	if (memcmp(frame->data + 12, ETHERTYPE, sizeof(ETHERTYPE)) != 0)
		printf("(%u bytes)\n", frame->len);
	else
		printf("%.*s\n", (int)(frame->len - FETH_FRAME_MIN), frame->data + FETH_FRAME_MIN);
	fflush(stdout);
}

/* Of a clock that nobody sets. */
static time_t seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

int main(int argc, char **argv)
{
	struct feth_conn *conn = NULL;
	struct feth_mac mac;
	struct feth_port port;
	if (argc != 5 || !parse_mac(&mac, argv[2]))
		return fail(NULL, "usage", "hello PATH-OF-feth.sock MAC TEXT SECONDS");
	const int rc = feth_open(&conn, argv[1], NULL);
	if (rc < 0)
		return fail(NULL, argv[1], strerror(-rc));
	const struct feth_attach_opts opts = { .mac = &mac };
	if (feth_attach(conn, &opts, &port, 5000) < 0)
		return fail(conn, "attach", feth_error(conn));
	fprintf(stderr, "hello: port %s of %s, MTU %u\n", port.name, port.network, port.mtu);

	uint8_t data[FETH_FRAME_MIN + 1500] = { 255, 255, 255, 255, 255, 255 }; /* to all */
	memcpy(data + 6, mac.b, 6);
	memcpy(data + 12, ETHERTYPE, 2);
	snprintf((char *)data + FETH_FRAME_MIN, 1500, "%s", argv[3]);
	const uint32_t len = FETH_FRAME_MIN + (uint32_t)strlen((char *)data + FETH_FRAME_MIN);
	if (feth_send(conn, &(struct feth_frame){ data, len }, 1) < 0)
		return fail(conn, "send", feth_error(conn));

	for (const time_t end = seconds() + strtol(argv[4], NULL, 10); seconds() < end;) {
		struct feth_frame frames[64];
		const int n = feth_recv(conn, frames, 64, 100);
		if (n < 0)
			return fail(conn, "receive", feth_error(conn));
		for (int i = 0; i < n; i++)
			print_frame(&frames[i]);
	}
	feth_close(conn);
	return 0;
}
