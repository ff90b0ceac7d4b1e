/* cmd_capture.c - capture: a monitor of a network, until something ends it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/ctl/capture.h"
#include "clients/ctl/ctl.h"
#include "clients/ctl/sigpipe.h"
#include "protocol/text.h"

#define RECORDS 64u
#define STATS_TIMEOUT_MS 2000 /* for the last word on what was missed */

_Static_assert(sizeof(struct feth_insn) == sizeof(struct bpf_insn) &&
		       offsetof(struct feth_insn, k) == offsetof(struct bpf_insn, k),
	"libpcap's programs are ours");

struct capturing {
	struct ctl *ctl;
	const char *network;
	const char *path; /* -w; NULL: lines */
	pcap_t *pcap;     /* owned */
	struct bpf_program filter;
	struct feth_monitor_opts opts;
	uint16_t port_number;
	uint32_t left; /* records until the end */
	bool endless;
	struct capture_names *names; /* owned; NULL with a pcap file */
	struct capture_out out;
	struct feth_port self;
	uint64_t captured, dropped; /* of them by the switch */
	const char *end;            /* why it ends, where there is something to say */
};

/* A write to a reader that has stopped must end with them, too. */
static int catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction ignore = { .sa_handler = SIG_IGN }; /* writing says EPIPE */
	sigaction(SIGPIPE, &ignore, NULL);
	return sigpipe_open(signals, sizeof(signals) / sizeof(signals[0]), true);
}

static bool signalled(void)
{
	struct pollfd p = { .fd = sigpipe_fd(), .events = POLLIN };
	return poll(&p, 1, 0) > 0;
}

/* -- what is wanted -- */

/* The operands behind the network as one expression, as tcpdump reads them. */
static char *expression(const struct args *args)
{
	size_t len = 1;
	for (unsigned i = 1; i < args->n_operands; i++)
		len += strlen(args->operands[i]) + 1;
	char *text = calloc(1, len);
	size_t at = 0;
	for (unsigned i = 1; text && i < args->n_operands; i++)
		at += (size_t)snprintf(
			text + at, len - at, "%s%s", i > 1 ? " " : "", args->operands[i]);
	return text;
}

static int compile(struct capturing *c, const struct args *args)
{
	const uint32_t snaplen = c->opts.snaplen ? c->opts.snaplen : CAPTURE_SNAPLEN_MAX;
	c->pcap = pcap_open_dead_with_tstamp_precision(
		DLT_EN10MB, (int)snaplen, PCAP_TSTAMP_PRECISION_NANO);
	if (!c->pcap)
		return ctl_fail("out of memory");
	if (args->n_operands < 2)
		return 0;
	char *text = expression(args);
	if (!text)
		return ctl_fail("out of memory");
	int status = 0;
	if (pcap_compile(c->pcap, &c->filter, text, 1, PCAP_NETMASK_UNKNOWN) < 0)
		status = ctl_fail("'%s' is no filter: %s", text, pcap_geterr(c->pcap));
	else if (c->filter.bf_len > FETH_FILTER_MAX)
		status = ctl_fail("'%s' is too long a filter: %u instructions, and the daemon runs "
				  "%u at most; ask for less, and choose from that",
			text, c->filter.bf_len, FETH_FILTER_MAX);
	free(text);
	c->opts.filter = (const struct feth_insn *)c->filter.bf_insns;
	c->opts.n_filter = c->filter.bf_len;
	return status;
}

/* --port: a number or a name. */
static int want_port(struct capturing *c, const char *text)
{
	if (!text)
		return 0;
	if (strspn(text, "0123456789") == strlen(text)) {
		const unsigned long n = strlen(text) < 6 ? strtoul(text, NULL, 10) : ULONG_MAX;
		c->port_number = (uint16_t)n;
		c->opts.port = &c->port_number;
		if (*text && n <= UINT16_MAX)
			return 0;
	} else if (name_valid(text)) {
		c->opts.port_name = text;
		return 0;
	}
	return ctl_fail("--port %s: it must be a port's number or name; `fethctl port list %s` "
			"shows them",
		text, c->network);
}

static int read_args(struct capturing *c, const struct args *args)
{
	c->network = args_operand_name(args, 0, "network");
	if (!c->network)
		return CTL_FAILED;
	const int has_count = args_uint(args, "count", &c->left);
	if (has_count < 0 || args_uint(args, "snaplen", &c->opts.snaplen) < 0)
		return CTL_FAILED;
	if (has_count && !c->left)
		return ctl_fail("--count 0: it must be 1 or more");
	c->endless = !has_count;
	if (c->opts.snaplen > CAPTURE_SNAPLEN_MAX)
		c->opts.snaplen = 0; /* all there is */
	c->path = args_value(args, "w");
	if (c->path && c->ctl->json)
		return ctl_usage(args->cmd, "-w and --json: it is one or the other");
	if (c->path && !strcmp(c->path, "-") && isatty(STDOUT_FILENO))
		return ctl_fail("standard output is a terminal, which shows no pcap file: pipe it, "
				"name a file, or leave -w out");
	return want_port(c, args_value(args, "port"));
}

/* -- names -- */

static void note_name(struct capturing *c, const msgpack_object *port)
{
	const msgpack_object *number = out_get(port, "port");
	const msgpack_object *name = out_get(port, "name");
	char text[FETH_NAME_MAX + 1];
	if (!number || number->type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
		number->via.u64 >= CAPTURE_PORTS || !name || !rpc_text(name, text, sizeof(text)) ||
		!name_valid(text))
		return;
	memcpy(c->names->name[number->via.u64], text, sizeof(text));
}

static void on_notice(struct feth_conn *conn, const struct feth_notice *notice, void *user)
{
	struct capturing *c = user;
	msgpack_unpacked params;
	size_t used = 0;
	(void)conn;
	if (!c->names || !notice->params || strncmp(notice->method, "port.", 5) != 0)
		return;
	msgpack_unpacked_init(&params);
	if (msgpack_unpack_next(&params, (const char *)notice->params, notice->params_len, &used) ==
		MSGPACK_UNPACK_SUCCESS)
		note_name(c, &params.data);
	msgpack_unpacked_destroy(&params);
}

/* What the ports are called, now and as they come. */
static int learn_names(struct capturing *c)
{
	struct rpc_out params;
	struct rows rows;
	c->names = calloc(1, sizeof(*c->names));
	c->out.names = c->names;
	if (!c->names)
		return ctl_fail("out of memory");
	ctl_params(&params, NULL);
	rpc_put_array(&params, "events");
	rpc_out_text(&params, "port.attached");
	rpc_out_text(&params, "port.changed");
	rpc_out_close(&params);
	int status = ctl_call(c->ctl, "event.subscribe", &params, "hear of the ports of network",
		c->network, NULL);
	if (status)
		return status;
	status = ctl_list(
		c->ctl, "port.list", NULL, "list the ports of network", c->network, &rows, NULL);
	for (size_t i = 0; !status && i < rows.n; i++)
		note_name(c, rows.items[i]);
	rows_fini(&rows);
	return status;
}

/* -- the end -- */

/* Reads a count of drops of our own queue. False: the daemon no longer says. */
static bool read_missed(struct capturing *c, uint64_t *missed)
{
	struct rpc_out params;
	struct feth_reply reply;
	struct feth_conn *conn = c->ctl->conn;
	msgpack_unpacked result;
	size_t used = 0;
	bool good = false;
	ctl_params(&params, NULL);
	rpc_put_uint(&params, "after", c->self.port - 1u);
	rpc_put_uint(&params, "limit", 1);
	rpc_out_close(&params);
	const int rc = feth_call(conn, "stats.get", (const uint8_t *)params.buf.data,
		params.buf.size, &reply, STATS_TIMEOUT_MS);
	rpc_out_fini(&params);
	if (rc < 0)
		return false;
	msgpack_unpacked_init(&result);
	*missed = 0;
	if (msgpack_unpack_next(&result, (const char *)reply.result, reply.result_len, &used) ==
		MSGPACK_UNPACK_SUCCESS) {
		const msgpack_object *items = out_get(&result.data, "items");
		const msgpack_object *drops =
			items && items->type == MSGPACK_OBJECT_ARRAY && items->via.array.size
				? out_get(&items->via.array.ptr[0], "drops")
				: NULL;
		good = drops && drops->type == MSGPACK_OBJECT_MAP;
		for (uint32_t i = 0; good && i < drops->via.map.size; i++)
			if (drops->via.map.ptr[i].val.type == MSGPACK_OBJECT_POSITIVE_INTEGER)
				*missed += drops->via.map.ptr[i].val.via.u64;
	}
	msgpack_unpacked_destroy(&result);
	return good;
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void say_sum(struct capturing *c)
{
	uint64_t missed;
	fprintf(stderr, "fethctl: %s%s%" PRIu64 " frame%s captured", c->end ? c->end : "",
		c->end ? ": " : "", c->captured, plural(c->captured));
	if (c->dropped)
		fprintf(stderr, ", %" PRIu64 " of them dropped by the switch", c->dropped);
	if (!c->end && read_missed(c, &missed))
		fprintf(stderr, ", %" PRIu64 " missed%s", missed,
			missed ? ": they came faster than they were written" : "");
	fputc('\n', stderr);
}

/* The reader of standard output wants no more: that is no failure, and main() must not find one. */
static void forget_output(void)
{
	const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null >= 0)
		dup2(null, STDOUT_FILENO);
	clearerr(stdout);
}

static int cannot_write(struct capturing *c, int rc)
{
	if (rc == -EPIPE || (rc == -EINTR && signalled())) {
		forget_output();
		return 0;
	}
	return ctl_fail("cannot write to %s: %s",
		c->path && strcmp(c->path, "-") != 0 ? c->path : "standard output", strerror(-rc));
}

/* -- capturing -- */

/* Waits for records. Return: 0; -EINTR: a signal; -EPIPE: the reader of what we write has gone */
static int wait_for_more(const struct capturing *c)
{
	struct pollfd p[] = {
		{ .fd = feth_fd(c->ctl->conn), .events = POLLIN },
		{ .fd = sigpipe_fd(), .events = POLLIN },
		{ .fd = fileno(c->out.file) }, /* its reader may go while nothing happens */
	};
	while (poll(p, 3, -1) < 0)
		if (errno != EINTR)
			return -errno;
	if (p[2].revents & (POLLERR | POLLHUP))
		return -EPIPE;
	return p[1].revents ? -EINTR : 0;
}

/* Takes what is there. Return: how many; 0: none now; a negative errno: the connection is over */
static int take(struct capturing *c, int *wrote)
{
	struct feth_record records[RECORDS];
	const size_t max = c->endless || c->left > RECORDS ? RECORDS : c->left;
	const int n = feth_recv_records(c->ctl->conn, records, max, 0);
	for (int i = 0; i < n && !*wrote; i++) {
		*wrote = capture_put(&c->out, &records[i]);
		if (*wrote)
			break;
		c->captured++;
		c->dropped += records[i].verdict == FETH_DROPPED;
		c->left -= !c->endless;
	}
	return n;
}

static int capture(struct capturing *c)
{
	int wrote = 0; /* what went wrong with that */
	int waited = 0;
	while (!wrote && !waited && (c->endless || c->left)) {
		const int n = take(c, &wrote);
		if (n == -ENODEV) {
			c->end = "the network was removed";
			break;
		}
		if (n < 0 && n != -EINTR) {
			(void)capture_flush(&c->out);
			return ctl_fail("no more frames: %s", feth_error(c->ctl->conn));
		}
		if (n > 0 && !signalled())
			continue;
		if (!wrote)
			wrote = capture_flush(&c->out);
		if (!wrote)
			waited = wait_for_more(c);
	}
	if (!wrote)
		wrote = waited == -EPIPE ? waited : capture_flush(&c->out);
	if (wrote && wrote != -EINTR)
		return cannot_write(c, wrote);
	say_sum(c);
	return wrote ? cannot_write(c, wrote) : 0;
}

static int begin(struct capturing *c, const struct args *args)
{
	int status = read_args(c, args);
	if (!status)
		status = compile(c, args);
	if (!status)
		status = ctl_connect(c->ctl, c->network);
	if (status)
		return status;
	feth_on_notice(c->ctl->conn, on_notice, c);
	if (!c->path)
		status = learn_names(c);
	if (status)
		return status;
	int rc = catch_signals();
	if (rc < 0)
		return ctl_fail("cannot catch signals: %s", strerror(-rc));
	if (feth_monitor(c->ctl->conn, &c->opts, &c->self, CTL_TIMEOUT_MS) < 0)
		return ctl_fail(
			"cannot watch network %s: %s", c->network, feth_error(c->ctl->conn));
	rc = capture_open(&c->out,
		c->path        ? CAPTURE_PCAP
		: c->ctl->json ? CAPTURE_JSON
			       : CAPTURE_LINES,
		c->pcap, c->path);
	return rc < 0 ? cannot_write(c, rc) : 0;
}

int cmd_capture(struct ctl *ctl, const struct args *args)
{
	struct capturing c = { .ctl = ctl };
	int status = begin(&c, args);
	if (!status && c.out.file)
		status = capture(&c);
	const int rc = capture_close(&c.out);
	if (rc < 0 && !status)
		status = cannot_write(&c, rc);
	pcap_freecode(&c.filter);
	if (c.pcap)
		pcap_close(c.pcap);
	free(c.names);
	return status;
}
