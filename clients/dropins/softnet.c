/* softnet.c - stands in for the program that Tart starts as `softnet`.
 *
 *	softnet --vm-fd N --vm-mac-address MAC [OPTION...]
 *
 * Descriptor N is one end of a pair of datagram sockets; the virtual machine has the other, with a
 * frame in each datagram. softnet is a native client of the network $FETH_NET, else of the one
 *called as --vm-net-type, `nat` or `host`, and carries frames between both.
 *
 * The machine's own end cannot be replaced while it runs, but ours can: where fethd goes away and
 * comes back, softnet attaches again, and the machine does not notice. Meanwhile what it sends is
 * dropped, as on a wire without a link.
 *
 * What softnet promises of the machine holds as far as a switch can see to it: the port is locked
 *to its address (also in ARP and neighbour discovery), and isolated from other ports unless --allow
 * names everything. What is a packet filter's (--block, --expose) is refused. No privilege is
 *needed: Tart makes its softnet set-user-id root, so that is given up before anything else. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "feth/client.h"

#define BATCH 64u            /* frames between two system calls of the network's side */
#define BUFFER (256u * 1024) /* and how much they may be; a frame has 64 KiB and less */
#define CALL_TIMEOUT_MS 10000
#define RETRY_MS 100 /* before the first attempt to come back, twice as long each time */
#define RETRY_MAX_MS 3000
/* macOS does not tell when a datagram socket has room again, so one looks again and again: as long
 * as vmnet-helper does. */
#define FULL_WAIT_NS 50000
#define FULL_TRIES 10

enum { OPT_FD = 256, OPT_MAC, OPT_TYPE, OPT_ALLOW, OPT_FILTER, OPT_USER, OPT_IGNORED, OPT_DONE };

static const struct option options[] = {
	{ "vm-fd", required_argument, NULL, OPT_FD },
	{ "vm-mac-address", required_argument, NULL, OPT_MAC },
	{ "vm-net-type", required_argument, NULL, OPT_TYPE },
	{ "allow", required_argument, NULL, OPT_ALLOW },
	{ "block", required_argument, NULL, OPT_FILTER },
	{ "expose", required_argument, NULL, OPT_FILTER },
	{ "user", required_argument, NULL, OPT_USER },
	{ "group", required_argument, NULL, OPT_USER },
	{ "bootpd-lease-time", required_argument, NULL, OPT_IGNORED },
	{ "sudo-escalation-probing", no_argument, NULL, OPT_DONE },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const char usage[] =
	"usage: softnet --vm-fd N --vm-mac-address MAC [OPTION...]\n"
	"Carries frames between a virtual machine and a network of fethd. Options are softnet's:\n"
	"  --vm-net-type TYPE   nat or host: the network of that name, unless $FETH_NET says\n"
	"                       which (default nat)\n"
	"  --allow LIST         with 0.0.0.0/0 in it the machine reaches others on the network\n"
	"  --bootpd-lease-time  ignored\n"
	"  --block, --expose    refused: fethd filters no addresses and forwards no ports\n";

/* Of the whole program. Frames from the machine are collected in `buffer`. */
struct softnet {
	int vm;
	char mac[18];
	const char *network;
	bool isolated;
	struct feth_conn *conn; /* NULL while there is no server */
	uint8_t buffer[BUFFER];
};

__attribute__((format(printf, 1, 2))) static int fail(const char *fmt, ...)
{
	va_list ap;
	fputs("softnet: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXIT_FAILURE;
}

/* -- the command line -- */

static int take_fd(const char *text, int *out)
{
	char *end;
	int type;
	socklen_t len = sizeof(type);
	errno = 0;
	const long n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < 0 || n > INT_MAX)
		return fail("--vm-fd %s: it must be the number of a descriptor", text);
	if (getsockopt((int)n, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_DGRAM)
		return fail("--vm-fd %s: it is no datagram socket that was passed on", text);
	*out = (int)n;
	return -1;
}

/* In the form that the protocol has, whatever case it was in. */
static int take_mac(const char *text, char out[18])
{
	unsigned b[6];
	char rest;
	/* NOLINTNEXTLINE(cert-err34-c): two digits are always in range */
	if (strlen(text) != 17 || sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2],
					  &b[3], &b[4], &b[5], &rest) != 6)
		return fail("--vm-mac-address %s: it must look like 02:00:00:00:00:01", text);
	snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", b[0] & 255, b[1] & 255, b[2] & 255,
		b[3] & 255, b[4] & 255, b[5] & 255);
	return -1;
}

static bool names_everything(const char *list)
{
	const char *at = list;
	for (;;) {
		const size_t len = strcspn(at, ",");
		if (len == strlen("0.0.0.0/0") && !memcmp(at, "0.0.0.0/0", len))
			return true;
		if (!at[len])
			return false;
		at += len + 1;
	}
}

/* Return: -1 to go on, else the exit status */
static int take(int option, const char *given, struct softnet *sn)
{
	switch (option) {
	case OPT_FD:
		return take_fd(optarg, &sn->vm);
	case OPT_MAC:
		return take_mac(optarg, sn->mac);
	case OPT_TYPE:
		if (strcmp(optarg, "nat") != 0 && strcmp(optarg, "host") != 0)
			return fail("--vm-net-type %s: it is nat or host", optarg);
		sn->network = optarg;
		return -1;
	case OPT_ALLOW:
		if (names_everything(optarg))
			sn->isolated = false;
		return -1;
	case OPT_FILTER:
		return fail("%s: fethd filters no addresses and forwards no ports; the firewall of "
			    "this machine does, at the network's interface",
			given);
	case OPT_USER:
		return fail("%s: there is nothing to give up; start softnet as that user", given);
	case OPT_IGNORED:
		return -1;
	case OPT_DONE:
		return EXIT_SUCCESS;
	case 'V':
		printf("softnet of fethd %s\n", FETHD_VERSION);
		return EXIT_SUCCESS;
	case 'h':
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	case ':':
		return fail("%s: its value is missing", given);
	default:
		return fail("%s: there is no such option", given);
	}
}

static int parse(int argc, char **argv, struct softnet *sn)
{
	const char *network = getenv("FETH_NET");
	sn->vm = -1;
	sn->network = "nat";
	sn->isolated = true;
	opterr = 0;
	for (;;) {
		const char *given = argv[optind];
		const int option = getopt_long(argc, argv, ":", options, NULL);
		if (option < 0)
			break;
		const int status = take(option, given, sn);
		if (status >= 0)
			return status;
	}
	if (argv[optind])
		return fail("%s: no such thing was expected", argv[optind]);
	if (sn->vm < 0 || !sn->mac[0])
		return fail("--vm-fd and --vm-mac-address are needed");
	if (network && *network)
		sn->network = network;
	return -1;
}

/* -- the network's side -- */

/* {"mac": …, "locked": true, "isolated": …}: libfeth's own feth_attach() knows no rules. */
static int attach(struct softnet *sn)
{
	uint8_t params[64];
	size_t n = 0;
	struct feth_reply reply;
#define PUT(text) (memcpy(params + n, text, sizeof(text) - 1), n += sizeof(text) - 1)
	PUT("\x83\xa3"
	    "mac"
	    "\xb1");
	memcpy(params + n, sn->mac, 17);
	n += 17;
	PUT("\xa6"
	    "locked"
	    "\xc3"
	    "\xa8"
	    "isolated");
#undef PUT
	params[n++] = sn->isolated ? 0xc3 : 0xc2;
	return feth_call(sn->conn, "attach", params, n, &reply, CALL_TIMEOUT_MS);
}

/* Return: 0; else negative, with a sentence if `aloud`, and there is no connection */
static int join(struct softnet *sn, bool aloud)
{
	int rc = feth_open(&sn->conn, NULL, sn->network);
	if (rc < 0) {
		sn->conn = NULL;
		if (aloud)
			fail("cannot reach network %s of fethd: %s (`fethctl list` shows all there "
			     "are)",
				sn->network, strerror(-rc));
		return rc;
	}
	rc = attach(sn);
	if (rc < 0) {
		if (aloud)
			fail("cannot attach to network %s: %s", sn->network, feth_error(sn->conn));
		feth_close(sn->conn);
		sn->conn = NULL;
	}
	return rc;
}

static void leave(struct softnet *sn)
{
	feth_close(sn->conn);
	sn->conn = NULL;
}

/* -- the machine's side -- */

static bool vm_is_gone(int error)
{
	return error == ECONNREFUSED || error == ECONNRESET || error == ENOTCONN || error == EPIPE;
}

static bool vm_hung_up(const struct softnet *sn)
{
	struct pollfd p = { .fd = sn->vm };
	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLNVAL);
}

/* Gathers what the machine has sent, as far as there is room. Return: how many frames; -1: it is
 * gone */
static int from_vm(struct softnet *sn, struct feth_frame *frames)
{
	uint32_t used = 0;
	int n = 0;
	for (unsigned reads = 0; reads < BATCH && BUFFER - used > FETH_FRAME_MAX; reads++) {
		const ssize_t len =
			recv(sn->vm, sn->buffer + used, FETH_FRAME_MAX + 1, MSG_DONTWAIT);
		if (len < 0 && vm_is_gone(errno))
			return -1;
		if (len < 0)
			break;
		if (!len && vm_hung_up(sn))
			return -1;
		if (len < (ssize_t)FETH_FRAME_MIN || len > (ssize_t)FETH_FRAME_MAX)
			continue; /* no frame: the switch would drop it, too */
		frames[n].data = sn->buffer + used;
		frames[n++].len = (uint32_t)len;
		used += (uint32_t)len;
	}
	return n;
}

/* Return: 0; 1: it has no room now; -1: it is gone */
static int to_vm(const struct softnet *sn, const struct feth_frame *f)
{
	if (send(sn->vm, f->data, f->len, MSG_DONTWAIT) >= 0)
		return 0;
	if (vm_is_gone(errno))
		return -1;
	/* Anything else is about this frame alone. */
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
}

/* Return: false: the machine is gone. What it has no room for is dropped: the wire does not wait.
 */
static bool all_to_vm(const struct softnet *sn, const struct feth_frame *frames, int n)
{
	const struct timespec wait = { .tv_nsec = FULL_WAIT_NS };
	unsigned tries = 0;
	for (int i = 0; i < n;) {
		const int rc = to_vm(sn, &frames[i]);
		if (rc < 0)
			return false;
		if (rc > 0 && tries++ < FULL_TRIES)
			nanosleep(&wait, NULL);
		else
			i++;
	}
	return true;
}

/* -- both -- */

enum { GO_ON, SERVER_GONE, VM_GONE };

static int carry_out(struct softnet *sn)
{
	struct feth_frame frames[BATCH];
	const int n = from_vm(sn, frames);
	if (n < 0)
		return VM_GONE;
	for (int sent = 0; sent < n;) {
		const int rc = feth_send(sn->conn, frames + sent, (size_t)(n - sent));
		if (rc < 0 && rc != -EINTR)
			return SERVER_GONE;
		sent += rc > 0 ? rc : 0;
	}
	return GO_ON;
}

/* One batch, so that the other direction has its turn. *more: there may be another; it may have
 * been read already, also by a call or by what was sent, and then nothing would wake us for it. */
static int carry_in(struct softnet *sn, bool *more)
{
	struct feth_frame frames[BATCH];
	const int n = feth_recv(sn->conn, frames, BATCH, 0);
	*more = n > 0;
	if (n > 0)
		return all_to_vm(sn, frames, n) ? GO_ON : VM_GONE;
	return n < 0 && n != -EINTR ? SERVER_GONE : GO_ON;
}

static int carry(struct softnet *sn)
{
	bool more;
	const int rc = carry_in(sn, &more);
	if (rc != GO_ON)
		return rc;
	struct pollfd p[2] = {
		{ .fd = sn->vm, .events = POLLIN },
		{ .fd = feth_fd(sn->conn), .events = feth_events(sn->conn) },
	};
	if (poll(p, 2, more ? 0 : -1) < 0)
		return errno == EINTR ? GO_ON : SERVER_GONE;
	if (p[0].revents & (POLLHUP | POLLNVAL) && !(p[0].revents & POLLIN))
		return VM_GONE;
	return p[0].revents ? carry_out(sn) : GO_ON;
}

/* Waits, and drops what the machine sends meanwhile. Return: false: it is gone */
static bool idle(struct softnet *sn, int ms)
{
	struct timespec begin, now;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int left = ms; left > 0;) {
		struct feth_frame frames[BATCH];
		struct pollfd p = { .fd = sn->vm, .events = POLLIN };
		if (poll(&p, 1, left) > 0 &&
			(p.revents & (POLLHUP | POLLNVAL) || from_vm(sn, frames) < 0))
			return false;
		clock_gettime(CLOCK_MONOTONIC, &now);
		left = ms - (int)((now.tv_sec - begin.tv_sec) * 1000 +
				    (now.tv_nsec - begin.tv_nsec) / 1000000);
	}
	return true;
}

static bool come_back(struct softnet *sn)
{
	leave(sn);
	for (int wait = RETRY_MS;; wait = 2 * wait < RETRY_MAX_MS ? 2 * wait : RETRY_MAX_MS) {
		if (!idle(sn, wait))
			return false;
		if (!join(sn, false))
			return true;
	}
}

int main(int argc, char **argv)
{
	static struct softnet sn; /* its buffer is no stack's */
	if (setgid(getgid()) < 0 || setuid(getuid()) < 0)
		return fail("cannot give up privilege: %s", strerror(errno));
	const int status = parse(argc, argv, &sn);
	if (status >= 0)
		return status;
	signal(SIGPIPE, SIG_IGN); /* where either end is gone, errno says so */
	if (join(&sn, true) < 0)
		return EXIT_FAILURE;
	for (;;) {
		const int rc = carry(&sn);
		if (rc == VM_GONE || (rc == SERVER_GONE && !come_back(&sn)))
			break;
	}
	leave(&sn);
	return EXIT_SUCCESS;
}
