/* rawframe.c - send and receive raw Ethernet frames from a shell, for the tests.
 *
 * Runs in the QEMU guests (statically linked) and in network namespaces on the host. Linux only.
 *
 *   rawframe send IF HEX [COUNT]
 *   rawframe recv IF ETHERTYPE|all COUNT TIMEOUT_MS
 *   rawframe join IF GROUP...
 *
 * send puts the frame HEX (destination MAC first, no FCS; ':' and blanks are ignored) on IF, COUNT
 * times. Exit 0; 1 when the kernel refuses it.
 *
 * recv makes IF promiscuous for as long as it runs, prints "ready", and then every frame that comes
 * in by IF (nothing that leaves by it), one line of hex each, until COUNT frames came (exit 0) or
 * TIMEOUT_MS milliseconds passed (exit 1). The frame is shown as it was on the wire: the kernel
 * moves the outer 802.1Q or 802.1ad tag out of the frame before a packet socket sees it, and
 * PACKET_AUXDATA gives it back. ETHERTYPE is hexadecimal; a frame matches by its type field or,
 * when tagged, by that of any tag or of what the tags carry: "8100" means tagged, "88b5" that
 * payload, tagged or not.
 *
 * join joins the IPv4 and IPv6 multicast groups on IF, prints "joined", and stays in them until it
 * is killed.
 *
 * Wrong usage and what should not happen at all exit 2. */
#define _GNU_SOURCE /* the packet socket and its options are Linux only */

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define HEADER_LEN 14u
#define TAG_LEN 4u
#define TYPE_OFFSET 12u
#define FRAME_MAX 65600u /* above 14 + 4 + 65535 */
#define TYPE_ALL (-1)

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "rawframe: %s: %s\n", what, strerror(errno));
	exit(2);
}

_Noreturn static void usage(void)
{
	fputs("usage: rawframe send IF HEX [COUNT]\n"
	      "       rawframe recv IF ETHERTYPE|all COUNT TIMEOUT_MS\n"
	      "       rawframe join IF GROUP...\n",
		stderr);
	exit(2);
}

static unsigned long parse_number(const char *text, int base, unsigned long max)
{
	char *end;

	errno = 0;
	unsigned long value = strtoul(text, &end, base);
	if (errno || end == text || *end || value > max || *text == '-') {
		fprintf(stderr, "rawframe: not a number up to %lu: %s\n", max, text);
		exit(2);
	}
	return value;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) < 0)
		die("clock_gettime");
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A packet socket of @ifname. @protocol 0 receives nothing. */
static int packet_socket(const char *ifname, uint16_t protocol, int *out_ifindex)
{
	unsigned ifindex = if_nametoindex(ifname);
	if (!ifindex)
		die(ifname);

	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("packet socket");

	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(protocol),
		.sll_ifindex = (int)ifindex,
	};
	*out_ifindex = (int)ifindex;
	if (!protocol)
		return fd;

	/* All options before bind(), so that no frame comes in without them. */
	int on = 1;
	if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0)
		die("PACKET_AUXDATA");
	int bytes = 8 << 20;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	struct packet_mreq promisc = { .mr_ifindex = (int)ifindex, .mr_type = PACKET_MR_PROMISC };
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promisc, sizeof(promisc)) < 0)
		die("PACKET_MR_PROMISC");
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("bind");
	return fd;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Return: how many bytes @text is, at most FRAME_MAX. */
static size_t parse_frame(const char *text, unsigned char *out_frame)
{
	size_t digits = 0;

	for (; *text; text++) {
		if (*text == ':' || isspace((unsigned char)*text))
			continue;
		int digit = hex_digit(*text);
		if (digit < 0 || digits == 2 * FRAME_MAX) {
			fputs("rawframe: not hexadecimal, or too long\n", stderr);
			exit(2);
		}
		unsigned char *byte = &out_frame[digits / 2];
		*byte = (unsigned char)(digits % 2 ? *byte << 4 | digit : digit);
		digits++;
	}
	if (digits % 2) {
		fputs("rawframe: an odd number of hex digits\n", stderr);
		exit(2);
	}
	return digits / 2;
}

static int cmd_send(const char *ifname, const char *hex, unsigned long count)
{
	static unsigned char frame[FRAME_MAX];
	size_t len = parse_frame(hex, frame);
	int ifindex;
	int fd = packet_socket(ifname, 0, &ifindex);
	struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_ifindex = ifindex };

	/* The kernel allows MTU + 4 only to a frame it can see is tagged. */
	if (len >= HEADER_LEN)
		memcpy(&addr.sll_protocol, frame + TYPE_OFFSET, sizeof(addr.sll_protocol));

	for (unsigned long i = 0; i < count;) {
		if (sendto(fd, frame, len, 0, (const struct sockaddr *)&addr, sizeof(addr)) >= 0) {
			i++;
		} else if (errno == ENOBUFS) {
			poll(NULL, 0,
				1); /* the device queue is full and tells nobody when it is not */
		} else if (errno != EINTR) {
			fprintf(stderr, "rawframe: send %zu bytes: %s\n", len, strerror(errno));
			return 1;
		}
	}
	close(fd);
	return 0;
}

static unsigned type_at(const unsigned char *frame, size_t offset)
{
	return (unsigned)frame[offset] << 8 | frame[offset + 1];
}

static bool frame_matches(const unsigned char *frame, size_t len, long wanted)
{
	if (wanted == TYPE_ALL)
		return true;
	for (size_t at = TYPE_OFFSET; at + 2 <= len; at += TAG_LEN) {
		unsigned type = type_at(frame, at);
		if (type == (unsigned long)wanted)
			return true;
		if (type != ETH_P_8021Q && type != ETH_P_8021AD)
			break;
	}
	return false;
}

/* Puts the tag in @aux, if there is one, back into @frame. Return: the new length. */
static size_t restore_tag(unsigned char *frame, size_t len, const struct tpacket_auxdata *aux)
{
	if (!(aux->tp_status & TP_STATUS_VLAN_VALID) || len < TYPE_OFFSET)
		return len;
	unsigned tpid =
		aux->tp_status & TP_STATUS_VLAN_TPID_VALID ? aux->tp_vlan_tpid : ETH_P_8021Q;
	memmove(frame + TYPE_OFFSET + TAG_LEN, frame + TYPE_OFFSET, len - TYPE_OFFSET);
	frame[TYPE_OFFSET] = (unsigned char)(tpid >> 8);
	frame[TYPE_OFFSET + 1] = (unsigned char)(tpid & 0xff);
	frame[TYPE_OFFSET + 2] = (unsigned char)(aux->tp_vlan_tci >> 8);
	frame[TYPE_OFFSET + 3] = (unsigned char)(aux->tp_vlan_tci & 0xff);
	return len + TAG_LEN;
}

/* Return: length of the next incoming frame in @frame (FRAME_MAX + TAG_LEN bytes), 0 if none. */
static size_t next_frame(int fd, unsigned char *frame)
{
	struct sockaddr_ll from;
	struct iovec iov = { .iov_base = frame, .iov_len = FRAME_MAX };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		die("recvmsg"); /* ENETDOWN as well: the interface went down or away */
	}
	if (msg.msg_flags & MSG_TRUNC) {
		fprintf(stderr, "rawframe: a frame of more than %u bytes\n", FRAME_MAX);
		exit(2);
	}
	if (from.sll_pkttype == PACKET_OUTGOING)
		return 0;

	size_t len = (size_t)n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		struct tpacket_auxdata aux;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		len = restore_tag(frame, len, &aux);
	}
	return len;
}

static void print_frame(const unsigned char *frame, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	static char line[2 * (FRAME_MAX + TAG_LEN) + 1];
	char *p = line;

	for (size_t i = 0; i < len; i++) {
		*p++ = digits[frame[i] >> 4];
		*p++ = digits[frame[i] & 0x0f];
	}
	*p++ = '\n';
	fwrite(line, 1, (size_t)(p - line), stdout);
	fflush(stdout);
}

static int cmd_recv(const char *ifname, long type, unsigned long count, int64_t timeout_ms)
{
	static unsigned char frame[FRAME_MAX + TAG_LEN];
	int ifindex;
	int fd = packet_socket(ifname, ETH_P_ALL, &ifindex);

	puts("ready");
	fflush(stdout);

	int64_t end = now_ms() + timeout_ms;
	for (unsigned long got = 0; got < count;) {
		int64_t left = end - now_ms();
		if (left <= 0)
			return 1;
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		if (poll(&wait, 1, (int)left) < 0 && errno != EINTR)
			die("poll");
		size_t len = next_frame(fd, frame);
		if (!len || !frame_matches(frame, len, type))
			continue;
		print_frame(frame, len);
		got++;
	}
	close(fd);
	return 0;
}

static void join(unsigned ifindex, const char *group)
{
	struct group_req req = { .gr_interface = ifindex };
	struct sockaddr_in *in = (struct sockaddr_in *)&req.gr_group;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&req.gr_group;
	int level = IPPROTO_IP;
	if (inet_pton(AF_INET, group, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
	} else if (inet_pton(AF_INET6, group, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		level = IPPROTO_IPV6;
	} else {
		usage();
	}
	int fd = socket(req.gr_group.ss_family, SOCK_DGRAM, 0); /* open until the end */
	if (fd < 0 || setsockopt(fd, level, MCAST_JOIN_GROUP, &req, sizeof(req)) < 0)
		die(group);
}

static int cmd_join(const char *ifname, char **groups)
{
	unsigned ifindex = if_nametoindex(ifname);
	if (!ifindex)
		die(ifname);
	for (; *groups; groups++)
		join(ifindex, *groups);
	puts("joined");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	if ((argc == 4 || argc == 5) && !strcmp(argv[1], "send"))
		return cmd_send(
			argv[2], argv[3], argc == 5 ? parse_number(argv[4], 10, ULONG_MAX) : 1);

	if (argc == 6 && !strcmp(argv[1], "recv")) {
		long type = TYPE_ALL;
		if (strcmp(argv[3], "all"))
			type = (long)parse_number(argv[3], 16, 0xffff);
		return cmd_recv(argv[2], type, parse_number(argv[4], 10, ULONG_MAX),
			(int64_t)parse_number(argv[5], 10, INT_MAX));
	}
	if (argc >= 4 && !strcmp(argv[1], "join"))
		return cmd_join(argv[2], argv + 3);
	usage();
}
