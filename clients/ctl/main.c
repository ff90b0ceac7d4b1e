/* main.c - fethctl: the table of commands, and the way from the command line to one of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/ctl/ctl.h"
#include "clients/ctl/rules.h"

#define NET_OPTIONS                                                                                \
	{ "mtu", "BYTES", false, "largest payload of a frame" },                                   \
		{ "mac", "MAC", false, "of the host's interface" },                                \
		{ "address", "ADDR/LEN", true, "of the host's interface; may be repeated" },       \
		{ "dhcp", "[FROM-TO|off]", false, "serve DHCP and DNS there, by dnsmasq" },        \
		{ "nat", "[on|off]", false, "let the network out by this machine's address" },     \
		{ "bridge", "BRIDGE|off", false, "put the host's interface into this bridge" },    \
		{ "multicast", "POLICY", false, "snoop (default), strict or flood" },              \
		{ "default", "RULE=VALUE", true, "for ports that do not say; may be repeated" },   \
		{ "querier", "on|off", false, "ask who is in which group (default off)" },         \
		{ "too-big", "on|off", false,                                                      \
			"answer packets that are too long by ICMP (default off)" },                \
		{ "owner", "USER", false, "who attaches, observes and controls, beside root" },    \
		{ "group", "GROUP", false, "who attaches and observes (default: the admins)" },    \
		{ "mode", "MODE", false, "what owner, group and others may (default 0660)" },      \
	{                                                                                          \
		"allow", "WHO=RIGHT,...", true,                                                    \
			"user:NAME or group:NAME; attach, observe, control; may be repeated"       \
	}

static const struct option create_options[] = {
	{ "backend", "NAME", false, "auto (default), veth, tap, tun, feth, none" },
	NET_OPTIONS,
	{ "unit", "N", false, "number of the host's interface" },
	{ "down", NULL, false, "leave the host's interface down" },
	{ "save", NULL, false, "keep it in a file, for the next start" },
	{ 0 },
};

static const struct option set_options[] = {
	NET_OPTIONS,
	{ "up", NULL, false, "bring the host's interface up" },
	{ "down", NULL, false, "bring it down" },
	{ "save", NULL, false, "keep it as it is then in a file, for the next start" },
	{ 0 },
};

static const struct option delete_options[] = {
	{ "save", NULL, false, "remove its file, too" },
	{ 0 },
};

static const struct option reload_options[] = {
	{ "replace", NULL, false, "make anew what cannot be changed: clients lose their port" },
	{ 0 },
};

static const struct option port_add_options[] = {
	{ "kind", "KIND", false, "native (default), qemu, dgram, seqpacket, vde, udp or tap" },
	{ "ifname", "IF", false, "with --kind tap: the interface to make" },
	{ "netns", "NS", false, "the namespace to make it in: a name, or a path" },
	{ "connect", "TO", false, "with --kind qemu: whom to call, a path or tcp:ADDRESS:PORT" },
	{ "local", "ADDRESS:PORT", false, "with --kind udp: where it gets datagrams" },
	{ "remote", "WHERE", false,
		"where it sends them, and alone hears; with --kind dgram: its client's path" },
	{ "mac", "MAC", false, "an address registered with the port" },
	{ "also", "MAC", true, "a further one; may be repeated" },
	{ "lock", NULL, false, "drop frames from other addresses" },
	RULE_OPTIONS,
	{ 0 },
};

static const struct option port_set_options[] = {
	{ "mac", "MAC", false, "an address registered with the port" },
	{ "also", "MAC", true, "a further one instead of those before, or none; may be repeated" },
	{ "locked", "on|off", false, "drop frames from other addresses" },
	RULE_OPTIONS,
	{ 0 },
};

static const struct option fdb_flush_options[] = {
	{ "port", "PORT", false, "only those of this port: its number or name" },
	{ "mac", "MAC", false, "only this one" },
	{ 0 },
};

static const struct option daemon_set_options[] = {
	{ "log-level", "LEVEL", false, "error, warn, info or debug" },
	{ 0 },
};

static const struct option stats_options[] = {
	{ "watch", "[SECONDS]", false, "print rates, every so often (default 1)" },
	{ "count", "N", false, "with --watch: end after so many" },
	{ 0 },
};

static const char stats_text[] =
	"With --watch and --json each look is one line. A rate that is not known, as of a port\n"
	"that was not there before, is '-', or null.\n";

static const struct option metrics_options[] = {
	{ "listen", "WHERE", false, "serve them by HTTP: a path, or 127.0.0.1:PORT" },
	{ 0 },
};

static const char metrics_text[] =
	"With --listen it serves GET /metrics at a Unix socket, or at a port of the loopback,\n"
	"until interrupted, and prints where. Who asks for text/plain gets the older format "
	"0.0.4.\n";

static const struct option top_options[] = {
	{ "interval", "SECONDS", false, "between looks (default 1)" },
	{ 0 },
};

static const char top_text[] =
	"RX is what comes from a port's client, TX what goes to it, REASON why most of the frames\n"
	"were dropped, QUEUE how full the queue to the client is. Keys: q quits; s sorts by rate\n"
	"(both ways), rx, tx, drops, queue, name; b shows bits; n shows the next network alone;\n"
	"arrows and pages scroll; + and - change the interval. Goes on when fethd is started "
	"anew.\n";

static const struct option events_options[] = {
	{ "event", "NAME", true, "only these; may be repeated" },
	{ "count", "N", false, "end after so many" },
	{ 0 },
};

static const char events_text[] =
	"Of one network, or of all. With --json each event is one line. Ends when NET is\n"
	"removed. NAME may be a pattern such as `port.*`. Names are:\n"
#define EVENT(symbol, name, summary) "  " name " - " summary "\n"
#include "protocol/events.def"
#undef EVENT
	;

static const struct option capture_options[] = {
	{ "port", "PORT", false, "only frames from or for this one: a name or number" },
	{ "w", "FILE", false, "write a pcap file; -: to standard output" },
	{ "snaplen", "BYTES", false, "of each frame; all if not given" },
	{ "count", "N", false, "end after so many" },
	{ 0 },
};

static const char capture_text[] =
	"FILTER is an expression of tcpdump's (pcap-filter(7)), such as `tcp port 80`; it is\n"
	"run by the daemon. Each frame is shown once, where it came into the switch: the port\n"
	"it came from, and where it goes: to one port, all, or a group; or why it was dropped.\n"
	"Dropped ones are in a pcap file as well. Ends with --count, when interrupted, when its\n"
	"reader goes, or when NET is removed. To watch live:\n"
	"  fethctl capture NET -w - | wireshark -k -i -\n";

static const struct option run_options[] = {
	{ "kind", "KIND", false, "qemu (default), native, dgram, seqpacket or vde" },
	{ "fd", "N", false, "where CMD finds its port (default 3)" },
	{ "name", "NAME", false, "of the port; a declared one is taken over" },
	{ "mac", "MAC", false, "its address; the port is locked to it" },
	RULE_OPTIONS,
	{ 0 },
};

static const struct option doctor_options[] = {
	{ "report", "FILE", false, "write it all to a file, to be shown to others" },
	{ 0 },
};

const struct command commands[] = {
	{ "create", "NET [options]", "make a network", NULL, create_options, 1, 1, false,
		cmd_create },
	{ "delete", "NET [--save]", "remove a network, its ports and its host side", NULL,
		delete_options, 1, 1, false, cmd_delete },
	{ "reload", "[--replace]", "read the configuration again and apply the difference",
		"Networks whose file is as it was are not touched. With an error in any file all\n"
		"stays as it was.\n",
		reload_options, 0, 0, false, cmd_reload },
	{ "list", "", "list the networks", NULL, NULL, 0, 0, false, cmd_list },
	{ "show", "NET", "show one network", NULL, NULL, 1, 1, false, cmd_show },
	{ "set", "NET [options]", "change a living network",
		"What is given is changed, all or nothing. The addresses given replace all there\n"
		"were, and so do the rules of --allow; `none` leaves none.\n",
		set_options, 1, 1, false, cmd_set },
	{ "port list", "NET", "list the ports of a network", NULL, NULL, 1, 1, false,
		cmd_port_list },
	{ "port add", "NET NAME [options]", "declare a port with a socket of its own", NULL,
		port_add_options, 2, 2, false, cmd_port_add },
	{ "port set", "NET NAME [options]", "change the rules of a port",
		"What is given is changed, at once, whether or not the port has a client. Of a "
		"port\n"
		"that is not declared it goes with its client. NAME may be host, whose rates,\n"
		"storm and loop guard can be set.\n",
		port_set_options, 2, 2, false, cmd_port_set },
	{ "port remove", "NET NAME", "remove a port and close its client", NULL, NULL, 2, 2, false,
		cmd_port_remove },
	{ "groups", "NET", "show who is in which multicast group", NULL, NULL, 1, 1, false,
		cmd_groups },
	{ "fdb", "NET", "show which addresses are where", NULL, NULL, 1, 1, false, cmd_fdb },
	{ "fdb flush", "NET [options]", "forget addresses that were learned",
		"Static ones stay. What still sends is learned again with its next frame.\n",
		fdb_flush_options, 1, 1, false, cmd_fdb_flush },
	{ "stats", "[NET] [options]", "show the counters of ports", stats_text, stats_options, 0, 1,
		false, cmd_stats },
	{ "metrics", "[NET] [options]", "print all counters as OpenMetrics text, or serve them",
		metrics_text, metrics_options, 0, 1, false, cmd_metrics },
	{ "top", "[NET] [options]", "show rates of ports on a screen, live", top_text, top_options,
		0, 1, false, cmd_top },
	{ "events", "[NET] [options]", "print changes as they happen, until interrupted",
		events_text, events_options, 0, 1, false, cmd_events },
	{ "capture", "NET [options] [FILTER…]", "watch the frames of a network", capture_text,
		capture_options, 1, ARGS_MAX, false, cmd_capture },
	{ "run", "NET [options] -- CMD [ARG…]", "run a program with a port at a descriptor",
		"Descriptor 3 of CMD, or N, is a connected socket: a stream in QEMU's framing "
		"(qemu)\n"
		"or the native protocol (native), or of one frame a message (dgram, seqpacket).\n"
		"With vde there is none: CMD connects to the folder in FETH_SOCKET. CMD finds\n"
		"FETH_NET, FETH_SOCKET, FETH_MTU and, but of vde, FETH_FD and FETH_MAC in its\n"
		"environment, and its exit status is fethctl's.\nFor QEMU: -netdev "
		"stream,id=n,addr.type=fd,addr.str=3\n",
		run_options, 1, 1, true, cmd_run },
	{ "enter", "NET [-- CMD [ARG…]]", "run a program in the namespaces of the host side",
		"Without CMD it is your shell. Needed where the daemon runs --rootless.\n", NULL, 1,
		1, true, cmd_enter },
	{ "daemon show", "", "show the daemon's version, paths and counters", NULL, NULL, 0, 0,
		false, cmd_daemon_show },
	{ "daemon set", "[options]", "change what the daemon logs", NULL, daemon_set_options, 0, 0,
		false, cmd_daemon_set },
	{ "daemon stop", "", "remove all networks and end the daemon", NULL, NULL, 0, 0, false,
		cmd_daemon_stop },
	{ "doctor", "[--report FILE]", "look for what stands in the way on this machine",
		"Each line is ok, warn or fail, with what to do. Nothing is changed. Some can only "
		"be\n"
		"seen by root. The exit status is 1 where something failed.\n",
		doctor_options, 0, 0, false, cmd_doctor },
	{ "version", "", "show the versions of client and daemon", NULL, NULL, 0, 0, false,
		cmd_version },
	{ "help", "[COMMAND | rpc [METHOD]]", "explain a command, or the daemon's methods", NULL,
		NULL, 0, 2, false, cmd_help },
	{ 0 },
};

const struct command *command_find(const char *first, const char *second, bool *more)
{
	const size_t len = strlen(first);
	*more = false;
	for (const struct command *c = commands; c->name; c++) {
		if (strncmp(c->name, first, len) != 0)
			continue;
		if (!c->name[len] && !second)
			return c;
		if (c->name[len] != ' ')
			continue;
		*more = true;
		if (second && !strcmp(c->name + len + 1, second))
			return c;
	}
	return NULL;
}

/* A descriptor of ours must never be taken for standard input, output or error. */
static int occupy_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_WRONLY : O_RDONLY) != fd)
			return CTL_FAILED;
	return 0;
}

/* What is buffered may meet a full disk only now. */
static int finish_output(const struct ctl *ctl, int status)
{
	if ((ferror(stdout) || fflush(stdout)) && !status)
		return ctl_fail("cannot write to standard output: %s", strerror(errno));
	if (ctl->out && ctl->out->failed && !status)
		return ctl_fail("cannot print the result: out of memory");
	return status;
}

static int run(struct ctl *ctl, const struct args *args)
{
	if (args->version) {
		printf("fethctl %s\n", feth_version());
		return 0;
	}
	if (args->help) {
		help_print(args->cmd);
		return 0;
	}
	if (!args->cmd)
		return ctl_usage(NULL, "which command?");
	ctl->out = ctl->json ? out_json_new() : out_text_new();
	if (!ctl->out || !msgpack_zone_init(&ctl->zone, 8192))
		return ctl_fail("out of memory");
	return args->cmd->run(ctl, args);
}

int main(int argc, char **argv)
{
	struct ctl ctl = { 0 };
	struct args args;
	if (!argc || occupy_standard_fds())
		return CTL_FAILED;
	int status = args_parse(argv, &ctl, &args);
	if (!status)
		status = run(&ctl, &args);
	status = finish_output(&ctl, status);

	feth_close(ctl.conn);
	if (ctl.zone.chunk_list.head)
		msgpack_zone_destroy(&ctl.zone);
	free(ctl.out);
	return status;
}
