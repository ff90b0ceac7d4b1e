/* feth_shm.c - libfeth as a program uses it, with frames in shared memory. test_shm.py runs it:
 *
 *   feth_shm PATH-OF-feth.sock PID-OF-fethd
 *
 * The daemon is stopped for a while, and killed in the end. Prints what is wrong, and exits with 1.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "feth/client.h"

#define WAIT_MS 20000
#define FLOOD 300000u
#define END UINT32_MAX /* the number of the frame that says there are no more */

#define check(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "feth_shm: line %d: %s\n", __LINE__, #x);                  \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

struct end {
	struct feth_conn *conn;
	struct feth_port port;
	struct feth_mac mac;
};

static struct end attach(const char *path, uint8_t n, bool shm, uint32_t offload)
{
	struct end e = { .mac = { { 2, 0, 0, 0, 0, n } } };
	const struct feth_attach_opts opts = {
		.mac = &e.mac, .shm = shm, .offload = { .rx = offload, .tx = offload }
	};
	check(feth_open(&e.conn, path, NULL) == 0);
	const int rc = feth_attach(e.conn, &opts, &e.port, WAIT_MS);
	if (rc)
		fprintf(stderr, "feth_shm: %s\n", feth_error(e.conn));
	check(rc == 0);
	check(e.port.shm == shm && e.port.offload.rx == offload && e.port.offload.tx == offload);
	return e;
}

/* Frame number `n`, filled with what follows from that. */
static void fill(
	uint8_t *data, uint32_t len, const struct end *to, const struct end *from, uint32_t n)
{
	memcpy(data, to->mac.b, 6);
	memcpy(data + 6, from->mac.b, 6);
	data[12] = 0x88;
	data[13] = 0xb5;
	memcpy(data + 14, &n, sizeof(n));
	memset(data + 18, (int)(n & 0xff), len - 18);
}

/* Receives our own frames only: the switch has a word to say now and then. */
static int receive(struct end *e, struct feth_frame *in, size_t max, int timeout_ms)
{
	int n, kept = 0;
	do {
		n = feth_recv(e->conn, in, max, timeout_ms);
		for (int i = 0; i < n; i++)
			if (in[i].data[12] == 0x88 && in[i].data[13] == 0xb5)
				in[kept++] = in[i];
	} while (n > 0 && !kept);
	return n > 0 ? kept : n;
}

/* Its number; it must be whole. */
static uint32_t number(const struct feth_frame *f)
{
	uint32_t n;
	check(f->len >= 60);
	memcpy(&n, f->data + 14, sizeof(n));
	for (uint32_t i = 18; i < f->len; i += 7)
		check(f->data[i] == (uint8_t)n);
	check(f->data[f->len - 1] == (uint8_t)n);
	return n;
}

/* One batch at a time, each awaited: nothing may be lost. */
static void exchange(struct end *from, struct end *to)
{
	static const uint32_t lens[] = { 60, 61, 64, 300, 600, 1514 };
	static uint8_t data[64][1514];
	struct feth_frame out[64], in[64];
	for (uint32_t round = 0; round < 60; round++) {
		for (uint32_t i = 0; i < 64; i++) {
			const uint32_t len = lens[(round + i) % 6];
			fill(data[i], len, to, from, round * 64 + i);
			out[i] = (struct feth_frame){ data[i], len };
		}
		check(feth_send(from->conn, out, 64) == 64);
		for (uint32_t got = 0; got < 64;) {
			const int n = receive(to, in, 64, WAIT_MS);
			check(n > 0);
			for (int k = 0; k < n; k++, got++) {
				check(got < 64 && in[k].len == out[got].len);
				check(number(&in[k]) == round * 64 + got);
			}
		}
	}
}

struct flood {
	struct end *from, *to;
};

static void *flood(void *arg)
{
	const struct flood *fl = arg;
	static uint8_t data[32][200];
	struct feth_frame out[32];
	for (uint32_t n = 0; n < FLOOD; n += 32) {
		for (uint32_t i = 0; i < 32; i++) {
			fill(data[i], 200, fl->to, fl->from, n + i);
			out[i] = (struct feth_frame){ data[i], 200 };
		}
		check(feth_send(fl->from->conn, out, 32) == 32);
	}
	return NULL;
}

/* As fast as it goes: what finds no room is dropped, all else comes whole and in order. Then the
 * last word, until it is heard. */
static void overrun(struct end *from, struct end *to)
{
	struct flood fl = { from, to };
	struct feth_frame in[64];
	uint8_t last[60];
	pthread_t thread;
	uint32_t next = 0, got = 0;
	bool joined = false;
	check(pthread_create(&thread, NULL, flood, &fl) == 0);
	for (bool end = false; !end;) {
		const int n = receive(to, in, 64, 200);
		check(n >= 0);
		for (int i = 0; i < n; i++) {
			const uint32_t k = number(&in[i]);
			check(k >= next);
			end |= k == END;
			next = k;
			got++;
		}
		if (n)
			continue;
		if (!joined)
			check(pthread_join(thread, NULL) == 0);
		joined = true;
		fill(last, 60, to, from, END);
		check(feth_send(from->conn, &(struct feth_frame){ last, 60 }, 1) == 1);
	}
	if (!joined)
		check(pthread_join(thread, NULL) == 0);
	check(got > 1000);
}

static bool ready(struct end *e, int timeout_ms)
{
	struct pollfd p = { .fd = feth_fd(e->conn), .events = feth_events(e->conn) };
	return poll(&p, 1, timeout_ms) == 1;
}

/* What an event loop does. */
static void events(struct end *a, struct end *b)
{
	struct feth_frame in[4];
	uint8_t data[60];
	check(receive(b, in, 4, 0) == 0);
	check(receive(b, in, 4, 30) == 0);
	check(feth_events(b->conn) == POLLIN);
	check(!ready(b, 0));
	fill(data, 60, b, a, 7);
	check(feth_send(a->conn, &(struct feth_frame){ data, 60 }, 1) == 1);
	check(ready(b, WAIT_MS));
	int n;
	while (!(n = receive(b, in, 4, 0)))
		check(ready(b, WAIT_MS));
	check(n == 1 && number(&in[0]) == 7);
}

/* A server that stands still: the ring fills, and it says when there is room again. */
static void stop_and_go(struct end *a, pid_t server)
{
	static uint8_t data[1514];
	struct feth_frame out[64], in[1];
	unsigned sent = 0;
	int n;
	fill(data, sizeof(data), a, a, 1); /* dropped: it is on the port it comes from */
	for (unsigned i = 0; i < 64; i++)
		out[i] = (struct feth_frame){ data, sizeof(data) };
	check(kill(server, SIGSTOP) == 0);
	feth_set_nonblocking(a->conn, true);
	while ((n = feth_send(a->conn, out, 64)) == 64)
		check((sent += 64) < 10000);
	check(n >= 0 && feth_send(a->conn, out, 1) == 0);
	check(sent > 600); /* a ring has 1 MiB */
	check(feth_events(a->conn) == POLLIN && !ready(a, 0));
	check(kill(server, SIGCONT) == 0);
	check(ready(a, WAIT_MS));
	check(receive(a, in, 1, 0) == 0);
	check(feth_send(a->conn, out, 64) == 64);
	feth_set_nonblocking(a->conn, false);
	for (unsigned i = 0; i < 100; i++) /* and waits where it has to */
		check(feth_send(a->conn, out, 64) == 64);
}

/* Calls and frames do not get into each other's way. */
static void calls(struct end *a, struct end *b)
{
	struct feth_frame in[8];
	uint8_t data[60];
	fill(data, 60, b, a, 5);
	check(feth_send(a->conn, &(struct feth_frame){ data, 60 }, 1) == 1);
	check(feth_call(a->conn, "hello", NULL, 0, NULL, WAIT_MS) == 0);
	check(feth_call(b->conn, "hello", NULL, 0, NULL, WAIT_MS) == 0);
	check(receive(b, in, 8, WAIT_MS) == 1 && number(&in[0]) == 5);
	check(feth_call(b->conn, "port.list", NULL, 0, NULL, WAIT_MS) == 0);
}

/* Who attached just now, or has called, and waits at once. */
static void waits_at_once(const char *path, struct end *from)
{
	struct end e = attach(path, 6, true, 0);
	struct feth_frame in[4];
	uint8_t data[60];
	fill(data, 60, &e, from, 8);
	const struct feth_frame out = { data, 60 };
	check(feth_send(from->conn, &out, 1) == 1);
	check(ready(&e, WAIT_MS));
	check(receive(&e, in, 4, WAIT_MS) == 1);
	while (receive(&e, in, 4, 0) > 0)
		;
	check(feth_send(from->conn, &out, 1) == 1);
	check(ready(&e, WAIT_MS)); /* the wake is there, and the call reads it */
	check(feth_call(e.conn, "hello", NULL, 0, NULL, WAIT_MS) == 0);
	check(feth_send(from->conn, &out, 1) == 1);
	check(ready(&e, WAIT_MS));
	for (int got = 0; got < 2;) {
		const int n = receive(&e, in, 4, WAIT_MS);
		check(n > 0);
		got += n;
	}
	feth_close(e.conn);
}

struct late {
	struct end *from;
	struct end end;
};

static void attach_late(struct feth_conn *conn, const struct feth_reply *reply, void *user)
{
	struct late *late = user;
	const struct feth_attach_opts opts = { .mac = &late->end.mac, .shm = true };
	uint8_t data[60];
	check(reply->status == 0);
	check(feth_attach(conn, &opts, &late->end.port, WAIT_MS) == 0 && late->end.port.shm);
	fill(data, 60, &late->end, late->from, 9);
	check(feth_send(late->from->conn, &(struct feth_frame){ data, 60 }, 1) == 1);
	check(feth_call(late->from->conn, "hello", NULL, 0, NULL, WAIT_MS) == 0); /* it is there */
}

/* The rings may come while a program receives. @from: by the socket */
static void attaches_while_it_receives(const char *path, struct end *from)
{
	struct late late = { .from = from, .end = { .mac = { { 2, 0, 0, 0, 0, 7 } } } };
	struct feth_frame in[4];
	check(feth_open(&late.end.conn, path, NULL) == 0);
	check(feth_call_start(late.end.conn, "hello", NULL, 0, attach_late, &late) == 0);
	check(receive(&late.end, in, 4, WAIT_MS) == 1 && number(&in[0]) == 9);
	feth_close(late.end.conn);
}

/* A frame whose checksum is owed has its header with it, both ways. */
static void unfinished(const char *path)
{
	struct end a = attach(path, 4, true, FETH_OFFLOAD_CSUM),
		   b = attach(path, 5, true, FETH_OFFLOAD_CSUM);
	static const uint8_t head[12] = { 1, 0, 0, 0, 0, 0, 14, 0, 2, 0, 1, 0 };
	const uint8_t *vnet[2] = { head, NULL }, *got[4];
	uint8_t data[60];
	struct feth_frame in[4];
	fill(data, 60, &b, &a, 3);
	const struct feth_frame out[2] = { { data, 60 }, { data, 60 } };
	check(feth_send_vnet(a.conn, out, vnet, 2) == 2);
	for (int seen = 0; seen < 2;) {
		const int n = feth_recv_vnet(b.conn, in, got, 4, WAIT_MS);
		check(n > 0);
		for (int i = 0; i < n; i++) {
			if (in[i].data[12] != 0x88 || in[i].data[13] != 0xb5)
				continue;
			check(in[i].len == 60 && !memcmp(in[i].data, data, 60));
			check(seen ? !got[i]
				   : got[i] && got[i][0] == 1 && !memcmp(got[i] + 6, head + 6, 4));
			seen++;
		}
	}
	feth_close(a.conn);
	feth_close(b.conn);
}

static void again_by_socket(struct end *a, struct end *b)
{
	struct feth_port port;
	const struct feth_attach_opts opts = { .mac = &a->mac };
	check(feth_detach(a->conn, WAIT_MS) == 0);
	check(feth_attach(a->conn, &opts, &port, WAIT_MS) == 0 && !port.shm);
	exchange(a, b);
	exchange(b, a);
}

static void end_of(struct end *e, pid_t server, bool kills)
{
	static uint8_t data[1514];
	struct feth_frame f = { data, sizeof(data) }, in[4];
	int rc;
	fill(data, sizeof(data), e, e, 1);
	if (kills)
		check(kill(server, SIGKILL) == 0);
	while ((rc = feth_send(e->conn, &f, 1)) == 1)
		;
	check(rc == -EPIPE);
	while ((rc = receive(e, in, 4, WAIT_MS)) > 0)
		;
	check(rc == -ECONNRESET);
	check(receive(e, in, 4, WAIT_MS) == -ECONNRESET);
	check(strlen(feth_error(e->conn)) > 0);
	feth_close(e->conn);
}

int main(int argc, char **argv)
{
	const pid_t server = argc == 3 ? (pid_t)strtol(argv[2], NULL, 10) : 0;
	if (server <= 0) {
		fputs("usage: feth_shm PATH PID\n", stderr);
		return 2;
	}
	struct end a = attach(argv[1], 1, true, 0), b = attach(argv[1], 2, true, 0),
		   c = attach(argv[1], 3, false, 0);
	unfinished(argv[1]);
	waits_at_once(argv[1], &c);
	attaches_while_it_receives(argv[1], &c);
	exchange(&a, &b);
	exchange(&b, &c);
	exchange(&c, &a);
	events(&a, &b);
	calls(&a, &b);
	overrun(&a, &b);
	overrun(&c, &a);
	stop_and_go(&a, server);
	again_by_socket(&a, &b);
	end_of(&b, server, true);
	end_of(&c, server, false);
	feth_close(a.conn);
	puts("all is well");
	return 0;
}
