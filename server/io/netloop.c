/* netloop.c - see netloop.h.
 *
 * Of struct netloop main has the first part and the loop the rest, but for the messages, which are
 * whoever's they were posted to. netloop_start() makes all of it before there is a thread, and
 * on_gone() frees it when there is none any more. */
#include "server/io/netloop.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "server/base/log.h"
#include "server/core/apply.h"
#include "server/io/client.h"
#include "server/io/dialled.h"
#include "server/io/doors.h"
#include "server/io/hostside.h"
#include "server/io/newsdesk.h"
#include "server/io/port_tap.h"
#include "server/io/session.h"

#define TICK_MS 1000u /* ageing; and IGMP and MLD count in seconds (mcast_tick()) */

/* Of the thread. Frames are decided and calls decoded in less than 64 KiB (sanitizers make it four
 * times as much); what a system gives without asking is 8 MiB, of which a huge page may become
 * resident at the first touch. */
#define STACK_BYTES (1024u * 1024u)

struct netloop {
	/* main's */
	struct ioloop *main_loop;
	const struct netloop_events *events;
	void *ctx;
	uv_thread_t thread;
	bool stopped; /* netloop_stop() was called: nothing is posted any more */

	/* on their way */
	struct message stop, gone, lost, ports, events_lost;
	atomic_uint attached;     /* what `ports` tells of when it arrives: the newest */
	atomic_bool ports_posted; /* it is on its way */
	atomic_size_t untold;     /* bytes of events that are */
	atomic_uint kinds_lost; /* of events: mask of EVENT_BIT(); else than 0: it is on its way */

	/* the loop's */
	uv_loop_t uv;
	struct ioloop *loop;
	struct network *net;
	struct access access;
	struct session_host sessions;
	struct dialled_host dialled;
	struct newsdesk desk;
	struct client_list clients;
	struct doors doors;
	uv_timer_t tick;
	struct hostside host;
	unsigned away; /* commands of its own sessions that are with main */
	bool stopping;
	bool tick_closed;
};

/* The last of its loop: without handles it ends, and run() with it. */
static void maybe_gone(struct netloop *nl)
{
	if (nl->stopping && !nl->clients.n && !nl->doors.n && !nl->away && nl->tick_closed)
		ioloop_close(nl->loop);
}

void netloop_made_close(const struct hostif_made *made)
{
	if (made->rx_fd >= 0)
		close(made->rx_fd);
	if (made->tx_fd >= 0 && made->tx_fd != made->rx_fd)
		close(made->tx_fd);
}

void netloop_doors_close(const struct netloop_conf *conf)
{
	for (unsigned i = 0; i < conf->n_doors; i++)
		close(conf->doors[i].fd);
}

/* -- commands -- */

/* On its way to main: a tap has lost its interface. There is one at most for each that main gave.
 */
struct tap_lost {
	struct message msg;
	struct netloop *nl;
	char port[FETH_NAME_MAX + 1];
};

static void on_tap_lost_told(void *arg)
{
	struct tap_lost *lost = arg;
	lost->nl->events->port_lost(lost->nl->ctx, lost->port);
	free(lost);
}

static void on_tap_lost(void *ctx, const char *port)
{
	struct netloop *nl = ctx;
	struct tap_lost *lost = malloc(sizeof(*lost));
	if (!lost) {
		log_error("port",
			"net=%s: port %s has lost its interface, and is not made anew: "
			"out of memory; remove and add it",
			network_facts(nl->net)->spec.network, port);
		return;
	}
	lost->msg = (struct message){ .fn = on_tap_lost_told, .arg = lost };
	lost->nl = nl;
	snprintf(lost->port, sizeof(lost->port), "%s", port);
	ioloop_post(nl->main_loop, &lost->msg);
}

static void open_tap(struct netloop *nl, struct command *cmd)
{
	const struct port_tap_host host = { .loop = nl->loop,
		.net = nl->net,
		.clients = &nl->clients,
		.lost = on_tap_lost,
		.ctx = nl };
	(void)port_tap_open(&host, cmd->fds[0], cmd->in.conf.name, &cmd->out.port, &cmd->err);
	cmd->n_fds = 0; /* taken over */
}

/* On main's loop. */
static void on_dial_lost(void *ctx, const char *port, uint32_t serial, const char *why)
{
	const struct netloop *nl = ctx;
	nl->events->dial_lost(nl->ctx, port, serial, why);
}

static void set_facts(struct netloop *nl, struct command *cmd)
{
	const struct access_rules was = network_facts(nl->net)->access;
	network_command(nl->net, cmd, ioloop_now(nl->loop));
	const struct network_facts *facts = network_facts(nl->net);
	struct hostif_spec is = facts->spec;
	is.up &= facts->carrier; /* the host may have taken it down itself */
	hostside_changed(&nl->host, &is);
	if (access_same(&was, &facts->access))
		return;
	doors_renew(&nl->doors); /* one may have been made meanwhile as the rules were */
	clients_judge(&nl->clients, &nl->access, facts->spec.network, &facts->access);
}

static void log_removed(const struct command *cmd, const char *name)
{
	log_info("port", "removed net=%s path=%s/ports/%s uid=%u pid=%u", cmd->network, cmd->dir,
		name, (unsigned)cmd->who.uid, (unsigned)cmd->who.pid);
}

/* Calls @fn for each port that a command has removed. */
static void each_removed(struct netloop *nl, const struct command *cmd,
	void (*fn)(struct netloop *nl, const struct command *cmd, const char *name))
{
	if (cmd->kind == CMD_PORT_REMOVE && !cmd->err.code)
		fn(nl, cmd, cmd->out.port.name);
	if (cmd->kind != CMD_APPLY_PORTS)
		return;
	for (uint32_t i = 0; i < cmd->asked->n_done; i++) /* also where it failed */
		if (cmd->asked->done[i].what == APPLY_REMOVED)
			fn(nl, cmd, cmd->asked->done[i].name);
}

static void set_host(struct netloop *nl, const struct command *cmd, struct err *err)
{
	hostside_close(&nl->host);
	if (cmd->in.host.given)
		(void)hostside_open(
			&nl->host, cmd->in.host.ops, &cmd->in.host.made, &cmd->in.host.spec, err);
}

/* Between main's two steps a session of ours may have removed the port, and declared another. */
static void listen_for(struct netloop *nl, struct command *cmd)
{
	const struct port_conf *conf = &cmd->in.conf;
	cmd->n_fds = 0;
	if (!network_calls(nl->net, conf->name, conf->kind, &conf->dial)) {
		close(cmd->fds[0]);
		err_set(&cmd->err, -ENOENT, "%s: port %s was removed meanwhile", cmd->network,
			conf->name);
		return;
	}
	doors_close(&nl->doors, conf->name);
	const int rc =
		doors_open(&nl->doors, conf->name, conf->kind, conf->dial.remote, cmd->fds[0]);
	if (rc < 0)
		err_set(&cmd->err, rc, "%s: cannot serve port %s: %s", cmd->network, conf->name,
			strerror(-rc));
}

/* What is not carried out any more, with the descriptors that came along. */
static void refuse_command(struct command *cmd)
{
	if (cmd->kind == CMD_HOST && cmd->in.host.given)
		netloop_made_close(&cmd->in.host.made);
	if (cmd->kind == CMD_PORT_LISTEN || cmd->kind == CMD_PORT_TAP ||
		(cmd->kind == CMD_PORT_DIAL && cmd->n_fds))
		close(cmd->fds[0]);
	cmd->n_fds = 0;
	err_set(&cmd->err, -ENOENT, "%s: the network is being removed", cmd->network);
}

static void shut_door(struct netloop *nl, const struct command *cmd, const char *name)
{
	doors_close(&nl->doors, name);
	log_removed(cmd, name);
}

static void carry_out(struct netloop *nl, struct command *cmd)
{
	if (nl->stopping)
		return refuse_command(cmd);
	switch (cmd->kind) {
	case CMD_PORT_OPEN:
		return doors_pair(&nl->doors, cmd);
	case CMD_PORT_LISTEN:
		return listen_for(nl, cmd);
	case CMD_PORT_TAP:
		return open_tap(nl, cmd);
	case CMD_PORT_DIAL:
		return dialled(&nl->dialled, cmd);
	case CMD_HOST:
		return set_host(nl, cmd, &cmd->err);
	case CMD_EVENTS:
		return newsdesk_forward(&nl->desk, cmd->in.events);
	case CMD_FACTS:
		return set_facts(nl, cmd);
	case CMD_COUNTERS:
		cmd->out.daemon.counters = *ioloop_counters(nl->loop);
		return;
	default:
		break;
	}
	network_command(nl->net, cmd, ioloop_now(nl->loop));
	each_removed(nl, cmd, shut_door);
	if (cmd->kind == CMD_HOST_GROUPS)
		newsdesk_host_groups(&nl->desk, &cmd->items.groups[0], &cmd->items.groups[1]);
}

/* -- messages -- */

static void say_removed(struct netloop *nl, const struct command *cmd, const char *name)
{
	(void)cmd;
	nl->events->port_removed(nl->ctx, name);
}

/* On main: a command of main's is back. */
static void on_back(void *arg)
{
	struct command *cmd = arg;
	each_removed(cmd->way, cmd, say_removed);
	cmd->done(cmd);
}

/* On the loop: a command of main's has come. */
static void on_command(void *arg)
{
	struct command *cmd = arg;
	struct netloop *nl = cmd->way;
	carry_out(nl, cmd);
	cmd->msg.fn = on_back;
	ioloop_post(nl->main_loop, &cmd->msg);
}

void netloop_post(struct netloop *nl, struct command *cmd)
{
	if (nl->stopped) {
		refuse_command(cmd);
		return cmd->done(cmd);
	}
	cmd->way = nl;
	cmd->msg = (struct message){ .fn = on_command, .arg = cmd };
	ioloop_post(nl->loop, &cmd->msg);
}

/* On the loop: a command of one of its own sessions is back from main. */
static void on_home(void *arg)
{
	struct command *cmd = arg;
	struct netloop *nl = cmd->way;
	nl->away--;
	cmd->done(cmd);
	maybe_gone(nl);
}

/* On main: it takes away what is left of a port, before whoever removed it hears that it is. */
static void on_removed(void *arg)
{
	struct command *cmd = arg;
	struct netloop *nl = cmd->way;
	each_removed(nl, cmd, say_removed);
	cmd->msg.fn = on_home;
	ioloop_post(nl->loop, &cmd->msg);
}

/* On the loop: session_host.submit. */
static void submit(void *ctx, struct command *cmd)
{
	struct netloop *nl = ctx;
	carry_out(nl, cmd);
	if (cmd->kind != CMD_PORT_REMOVE || cmd->err.code)
		return cmd->done(cmd);
	nl->away++;
	cmd->way = nl;
	cmd->msg = (struct message){ .fn = on_removed, .arg = cmd };
	ioloop_post(nl->main_loop, &cmd->msg);
}

/* On the loop: hostside.lost. */
static void post_host_lost(void *ctx)
{
	struct netloop *nl = ctx;
	ioloop_post(nl->main_loop, &nl->lost);
}

static void on_host_lost(void *arg)
{
	const struct netloop *nl = arg;
	nl->events->host_lost(nl->ctx);
}

static void on_ports_posted(void *arg)
{
	struct netloop *nl = arg;
	atomic_store(&nl->ports_posted, false); /* before it is read: a newer one is told again */
	nl->events->ports(nl->ctx, atomic_load(&nl->attached));
}

static void on_events_lost(void *arg)
{
	struct netloop *nl = arg;
	nl->events->events_lost(nl->ctx, atomic_exchange(&nl->kinds_lost, 0));
}

/* An event on its way. */
struct told {
	struct message msg;
	struct netloop *nl;
	unsigned kind;
	uint64_t object;
	size_t len;
	char data[];
};

static void on_told(void *arg)
{
	struct told *told = arg;
	struct netloop *nl = told->nl;
	atomic_fetch_sub(&nl->untold, sizeof(*told) + told->len);
	nl->events->event(nl->ctx, told->kind, told->object, told->data, told->len);
	free(told);
}

/* On the loop: newsdesk.forward. */
static void forward(void *ctx, enum event_kind kind, uint64_t object, const void *data, size_t len)
{
	struct netloop *nl = ctx;
	const size_t size = sizeof(struct told) + len;
	struct told *told =
		atomic_load(&nl->untold) + size <= NETLOOP_EVENTS_MAX ? malloc(size) : NULL;
	if (!told) {
		if (!atomic_fetch_or(&nl->kinds_lost, EVENT_BIT(kind)))
			ioloop_post(nl->main_loop, &nl->events_lost);
		return;
	}
	*told = (struct told){ .nl = nl, .kind = kind, .object = object, .len = len };
	told->msg = (struct message){ .fn = on_told, .arg = told };
	memcpy(told->data, data, len);
	atomic_fetch_add(&nl->untold, size);
	ioloop_post(nl->main_loop, &told->msg);
}

/* -- life -- */

static void on_tick(uv_timer_t *timer)
{
	struct netloop *nl = timer->data;
	network_tick(nl->net, ioloop_now(nl->loop));
	hostside_tick(&nl->host);
	newsdesk_tick(&nl->desk);
}

static void on_tick_closed(uv_handle_t *handle)
{
	struct netloop *nl = handle->data;
	nl->tick_closed = true;
	maybe_gone(nl);
}

/* Of its clients, or its doors. */
static void on_empty(void *ctx)
{
	maybe_gone(ctx);
}

static void on_ports(void *ctx, unsigned attached)
{
	struct netloop *nl = ctx;
	atomic_store(&nl->attached, attached);
	if (!atomic_exchange(&nl->ports_posted, true))
		ioloop_post(nl->main_loop, &nl->ports);
}

static void on_group(void *ctx, const struct feth_mac *group, bool joined, uint16_t only)
{
	struct netloop *nl = ctx;
	newsdesk_group(&nl->desk, *group, joined, only);
}

static void on_port(void *ctx, const struct port_info *info, bool changed)
{
	struct netloop *nl = ctx;
	newsdesk_port(&nl->desk, info, changed);
}

static void on_moved(void *ctx, struct feth_mac mac, uint16_t from, uint16_t to)
{
	struct netloop *nl = ctx;
	newsdesk_moved(&nl->desk, mac, from, to);
}

/* Seldom: twins.h. */
static void on_duplicate(
	void *ctx, struct feth_mac mac, uint16_t from, uint16_t to, struct feth_mac own)
{
	struct netloop *nl = ctx;
	char mac_text[MAC_TEXT], own_text[MAC_TEXT];
	mac_format(mac_text, mac);
	mac_format(own_text, own);
	log_warn("switch",
		"net=%s: two machines have the address %s, at port %s and at port %s, and neither "
		"is reached for long; start each QEMU with its own mac=, such as mac=%s at port %s",
		network_facts(nl->net)->spec.network, mac_text, network_port_name(nl->net, from),
		network_port_name(nl->net, to), own_text, network_port_name(nl->net, to));
	newsdesk_duplicate(&nl->desk, mac, from, to, own);
}

/* Seldom: the longer a port loops the longer it is cut. */
static void on_looped(void *ctx, const struct port_info *info, uint16_t first, uint32_t hold_ms)
{
	struct netloop *nl = ctx;
	const char *name = network_facts(nl->net)->spec.network;
	if (info->looped)
		log_warn("switch",
			"net=%s: port %s brings back what was sent to all, first sent by port %s: "
			"there is a loop behind it; no frame goes in or out there for %u s. Join "
			"it to the network once only, or end the bridge or client that sends back "
			"what it gets",
			name, info->name, network_port_name(nl->net, first),
			(unsigned)(hold_ms / 1000));
	else
		log_info("switch", "net=%s: port %s is tried again after a loop", name, info->name);
	newsdesk_port(&nl->desk, info, true);
}

static void on_changed(void *ctx, const struct network_facts *facts)
{
	struct netloop *nl = ctx;
	(void)facts;
	newsdesk_changed(&nl->desk);
}

static void on_host_waits(void *ctx)
{
	struct netloop *nl = ctx;
	hostside_waits(&nl->host);
}

static const struct network_events network_events = {
	.ports = on_ports,
	.group = on_group,
	.port = on_port,
	.moved = on_moved,
	.duplicate = on_duplicate,
	.looped = on_looped,
	.host_waits = on_host_waits,
	.changed = on_changed,
};

/* On the loop: netloop_stop(). */
static void on_stop(void *arg)
{
	struct netloop *nl = arg;
	nl->stopping = true;
	newsdesk_stop(&nl->desk);
	hostside_close(&nl->host);
	doors_close_all(&nl->doors);
	clients_close(&nl->clients, true);
	uv_close((uv_handle_t *)&nl->tick, on_tick_closed);
}

/* The thread. */
static void run(void *arg)
{
	struct netloop *nl = arg;
	uv_run(&nl->uv, UV_RUN_DEFAULT);
	ioloop_post(nl->main_loop, &nl->gone);
}

/* When nothing runs on it, and it has no handles left. */
static void destroy(struct netloop *nl)
{
	network_free(nl->net);
	ioloop_free(nl->loop);
	(void)uv_loop_close(&nl->uv);
	free(nl);
}

/* On main: the thread has ended, or is about to. */
static void on_gone(void *arg)
{
	struct netloop *nl = arg;
	uv_thread_join(&nl->thread);
	const struct daemon_counters counters = *ioloop_counters(nl->loop);
	const struct netloop_events *events = nl->events;
	void *ctx = nl->ctx;
	destroy(nl);
	events->gone(ctx, &counters);
}

/* Signals are main's; but for those that a fault raises where it happens. */
static int start_thread(struct netloop *nl)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP };
	const uv_thread_options_t options = {
		.flags = UV_THREAD_HAS_STACK_SIZE,
		.stack_size = STACK_BYTES,
	};
	sigset_t block, before;
	sigfillset(&block);
	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&block, faults[i]);
	pthread_sigmask(SIG_BLOCK, &block, &before);
	const int rc = uv_thread_create_ex(&nl->thread, &options, run, nl);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

/* The switch, and a loop with nothing on it but its clock. 0 or a negative errno. */
static int make(struct netloop **out, struct ioloop *main_loop, const struct netloop_conf *conf)
{
	struct netloop *nl = calloc(1, sizeof(*nl));
	int rc = nl ? network_new(
			      &nl->net, &conf->facts, &conf->key, conf->seed, &network_events, nl)
		    : -ENOMEM;
	if (rc < 0)
		goto memory;
	rc = uv_loop_init(&nl->uv);
	if (rc < 0)
		goto network;
	nl->loop = ioloop_new(&nl->uv, ioloop_shared(main_loop));
	if (!nl->loop) {
		rc = -ENOMEM;
		goto uv;
	}
	uv_timer_init(&nl->uv, &nl->tick);
	nl->tick.data = nl;
	nl->main_loop = main_loop;
	nl->access = conf->access;
	nl->stop = (struct message){ .fn = on_stop, .arg = nl };
	nl->gone = (struct message){ .fn = on_gone, .arg = nl };
	nl->lost = (struct message){ .fn = on_host_lost, .arg = nl };
	nl->ports = (struct message){ .fn = on_ports_posted, .arg = nl };
	nl->events_lost = (struct message){ .fn = on_events_lost, .arg = nl };
	*out = nl;
	return 0;
uv:
	(void)uv_loop_close(&nl->uv);
network:
	network_free(nl->net);
memory:
	free(nl);
	return rc;
}

static unsigned rights_of(void *ctx, const struct peer *who, const char *network)
{
	const struct netloop *nl = ctx;
	(void)network;
	return access_rights(&nl->access, who, &network_facts(nl->net)->access);
}

static struct dgram *dgram_door(void *ctx, const char *port)
{
	const struct netloop *nl = ctx;
	return doors_dgram(&nl->doors, port);
}

/* Who may talk to it, and who hears of what happens. */
static void furnish(struct netloop *nl, const struct netloop_conf *conf)
{
	nl->clients.empty = on_empty;
	nl->clients.ctx = nl;
	nl->sessions = (struct session_host){
		.loop = nl->loop,
		.net = nl->net,
		.clients = &nl->clients,
		.hub = &nl->desk.hub,
		.rights = rights_of,
		.submit = submit,
		.ctx = nl,
	};
	nl->doors = (struct doors){
		.host = { .loop = nl->loop, .net = nl->net, .clients = &nl->clients },
		.sessions = &nl->sessions,
		.access = &nl->access,
		.empty = on_empty,
		.ctx = nl,
	};
	nl->host = (struct hostside){
		.loop = nl->loop, .net = nl->net, .lost = post_host_lost, .ctx = nl
	};
	nl->dialled = (struct dialled_host){
		.loop = nl->loop,
		.main_loop = nl->main_loop,
		.net = nl->net,
		.clients = &nl->clients,
		.uid = nl->access.uid,
		.lost = on_dial_lost,
		.door = dgram_door,
		.ctx = nl,
	};
	newsdesk_init(&nl->desk, nl->loop, nl->net, conf->events);
	nl->desk.forward = forward;
	nl->desk.ctx = nl;
	(void)network_set_multicast(nl->net, &conf->facts.multicast);
}

/* What it listens to and reads from; takes all descriptors. */
static int open_all(struct netloop *nl, const struct netloop_conf *conf, struct err *err)
{
	const struct hostif_spec *spec = &conf->facts.spec;
	int served = 0;
	for (unsigned i = 0; i < conf->n_doors; i++) {
		const int rc =
			doors_open(&nl->doors, "", conf->doors[i].kind, "", conf->doors[i].fd);
		served = rc < 0 ? rc : served;
	}
	const int rc = conf->ops->has_host
			       ? hostside_open(&nl->host, conf->ops, &conf->made, spec, err)
			       : 0;
	if (served < 0)
		return err_set(err, served, "%s: cannot serve its sockets: %s", spec->network,
			strerror(-served));
	return rc;
}

/* Ends without ever having had a thread. */
static void undo(struct netloop *nl)
{
	on_stop(nl);
	uv_run(&nl->uv, UV_RUN_DEFAULT);
	destroy(nl);
}

int netloop_start(struct netloop **out, struct ioloop *main_loop, const struct netloop_conf *conf,
	const struct netloop_events *events, void *ctx, struct err *err)
{
	const char *name = conf->facts.spec.network;
	struct netloop *nl = NULL;
	int rc = make(&nl, main_loop, conf);
	if (rc < 0) {
		netloop_doors_close(conf);
		netloop_made_close(&conf->made);
		return err_set(err, rc, "%s: cannot start its switch: %s", name, strerror(-rc));
	}
	nl->events = events;
	nl->ctx = ctx;
	furnish(nl, conf);
	rc = open_all(nl, conf, err);
	if (!rc) {
		uv_timer_start(&nl->tick, on_tick, TICK_MS, TICK_MS);
		rc = start_thread(nl);
		if (rc < 0)
			err_set(err, rc, "%s: cannot start a thread for it: %s", name,
				strerror(-rc));
	}
	if (rc < 0) {
		undo(nl);
		return rc;
	}
	*out = nl;
	return 0;
}

void netloop_stop(struct netloop *nl)
{
	if (nl->stopped)
		return;
	nl->stopped = true;
	ioloop_post(nl->loop, &nl->stop);
}
