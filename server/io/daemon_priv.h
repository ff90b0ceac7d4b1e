/* daemon_priv.h - the inside of the daemon: daemon.c lives and dies, control*.c carry out what
 * concerns networks as a whole, hostwatch.c looks after host sides, state.c remembers over a
 * crash. */
#ifndef SERVER_IO_DAEMON_PRIV_H
#define SERVER_IO_DAEMON_PRIV_H

#include <uv.h>

#include "server/core/apply.h"
#include "server/io/client.h"
#include "server/io/conffiles.h"
#include "server/io/daemon.h"
#include "server/io/hub.h"
#include "server/io/listener.h"
#include "server/io/netloop.h"
#include "server/io/session.h"

/* Each costs a switch of 0.5 MiB and a handful of descriptors; with a veth, 3.25 MiB that are never
 * paged (packetring_linux.h). */
#define NETWORKS_MAX 64u
/* Between tries to make what is in the way now: at first, and at most, doubled each time. */
#define RETRY_FIRST_MS 20u
#define RETRY_MS 1000u

/* A network as the control plane knows it. */
struct netctl {
	struct netctl *next;
	struct daemon *d;
	struct network_facts facts;
	const struct hostif_ops *ops;
	struct netloop *nl;
	bool busy;     /* an operation is under way */
	bool applying; /* network.apply is, of which that may be a step */
	bool stopping;
	bool paired;           /* the pair exists */
	bool hosted;           /* the loop has its descriptors, and they are good */
	bool remaking;         /* hostwatch.c: it is being made anew */
	bool remake_again;     /* and something happened to it meanwhile */
	uv_timer_t *retry;     /* owned; while the host side is lost and could not be made */
	uint32_t retry_ms;     /* the next wait of it */
	unsigned slot;         /* its number in topics of events (rpc/event.h), 1 to NETWORKS_MAX */
	bool announced;        /* events tell of it */
	bool look;             /* its host member's groups may have changed */
	bool telling_groups;   /* what they are now is on its way to the loop */
	bool look_at_wire;     /* and so may have its carrier */
	struct groups *groups; /* owned: what the host listens to and the loop knows of; NULL:
				  nothing was ever read */
	struct command *asker; /* answered when it is gone */
	struct dhcpd *dhcpd;   /* owned; NULL: none is wanted */
	bool natted;           /* its rules are there */
	bool look_at_bridge;   /* bridges.c: it may be otherwise */
	bool bridge_tool;      /* to look takes a program, which may know the host member still */
	bool bridge_anew;      /* the host member is another one than it knows */
	bool bridge_failed;    /* the last look, or what followed */
	uint64_t bridge_after; /* no look before that, where it did; uv_now() */
	int bridge_index;      /* of the bridge the host member was put into last; 0: none */
	struct port_name *applied; /* owned: ports that network.apply declared, or a file does */
	unsigned n_applied;
	struct tap *taps;       /* owned: ports of kind tap (taps.c) */
	uv_timer_t *taps_retry; /* owned; while some have no interface */
	struct dialling *dials; /* owned: ports that call (dials.c) */
};

/* A unit that a network had before a crash. */
struct remembered {
	struct remembered *next;
	char name[FETH_NAME_MAX + 1];
	uint32_t unit;
};

/* What of a pair could not be removed: the next daemon tries again. */
struct leftover {
	struct leftover *next;
	char name[FETH_NAME_MAX + 1];
	uint32_t unit;
	struct feth_mac mac;
	bool bridge; /* gone itself, but maybe a port in Open vSwitch: its name must not be again */
};

struct refusals;
struct shared;
struct watch;
struct watching;
struct creating;
struct dhcpd;
struct reloading;

struct daemon {
	struct daemon_options options;
	struct access access;
	struct netid_key key;
	uv_loop_t uv;
	struct ioloop *loop;
	uv_signal_t sigterm, sigint, sighup;
	struct confset *conf;        /* owned: what the files say */
	struct reloading *reloading; /* control_reload.c: while it is applied */
	uv_timer_t pending;          /* until what could not be applied is tried again */
	uv_timer_t bridges;          /* until the next look at bridges */
	unsigned bridge_wait;        /* ms, after a look that failed last; 0: none does */
	uint64_t bridge_hangs_until; /* uv_now(): until then Open vSwitch is not asked of itself */
	bool bridge_owed;            /* it may have ports of ours that it should not */
	uint64_t bridge_owed_after;  /* uv_now() of the next try to take them out */
	struct listener *control;
	struct client_list clients;
	struct session_host sessions;
	struct hub hub;                 /* control sessions that hear of events */
	struct watching *watching;      /* control_events.c: subscriptions under way */
	uint32_t posted;                /* what networks were told last that main wants to hear */
	struct shared *shared;          /* owned: what all loops have in common */
	struct refusals *refusals;      /* owned */
	struct daemon_counters retired; /* of networks that are gone */
	struct netctl *networks;
	unsigned n_networks;
	const struct netctl *making; /* its pair may exist from now on; not in networks yet */
	struct creating *creating;   /* control_create.c */
	unsigned n_creating;
	struct remembered *remembered;
	struct leftover *leftovers;
	struct watch *watches;
	bool ready; /* what the configuration declares was tried: control.sock is served */
	bool stopping;
	uint64_t started_ms;
};

/* control.c: carries out a command of a control session; cmd->done when it is through. */
void control_submit(void *ctx, struct command *cmd);
struct netctl *control_find(const struct daemon *d, const char *name);
/* session_host.rights, of control sessions. */
unsigned control_rights(void *ctx, const struct peer *who, const char *network);
/* The rules of @ent are new: ends what control sessions hear of it and may no longer. */
void control_judge(struct netctl *ent);
/* The network that a command names, or NULL and cmd->err. */
struct netctl *control_find_or_err(struct daemon *d, struct command *cmd);
/* control_settings.c: puts what is given in @w into @f, whose backend and MTU limits are set. 0, or
 * the sentence; @f is then of no use. */
int control_settings(const struct network_want *w, struct network_facts *f, struct err *err);
/* Whether something is wanted that only a host side has. */
bool control_wants_host(const struct network_want *w);
/* Whether the kernel is to be asked, as it is where nothing in particular is wanted: that mends the
 * pair. How multicast goes, say, is none of its business. */
bool control_wants_kernel(const struct network_want *w);

/* services.c: DHCP and NAT, on the host member. Whether what @want says can be had here. */
int services_check(const struct network_facts *want, struct err *err);
/* Makes the rules of @want true. 0, or nothing has changed and the sentence says why. */
int services_rules(struct netctl *ent, const struct network_facts *want, struct err *err);
/* Has DHCP served as ent->facts say; @anew: also where nothing changed, as for a new pair. */
void services_dhcp(struct netctl *ent, const struct network_facts *before, bool anew);
void services_stop(struct netctl *ent);
/* What a daemon that crashed left of a network, and in general. */
void services_clean(const char *network);
void services_sweep(void);

/* bridges.c: the host member in spec.bridge. Whether that can be, with the network's MTU. */
int bridges_check(const struct network_facts *want, struct err *err);
/* Out of the one of @now, into that of @want, whose `bridged` and `bridge_mtu` are set. 0, or it is
 * as it was; with @later 0 also where it will be tried when something changes. */
int bridges_change(struct netctl *ent, const struct hostif_spec *now, struct network_facts *want,
	bool later, struct err *err);
/* The pair is there anew; it is about to go. False: Open vSwitch could not be told, and will be. */
void bridges_made(struct netctl *ent);
bool bridges_end(struct netctl *ent);
/* Takes out of Open vSwitch what daemons left there, where it answers. Whether nothing is left. */
bool bridges_sweep(struct daemon *d);
/* Something happened to an interface; NULL: to any. */
void bridges_event(struct daemon *d, const char *name);
void bridges_look(uv_timer_t *timer);
/* Whether the wire is whole: to the host, or beyond it to the bridge. */
bool bridges_carrier(const struct netctl *ent, const struct network_facts *f);

/* dhcpd.c: keeps a dnsmasq running. */
void dhcpd_start(struct netctl *ent); /* or starts it anew */
void dhcpd_stop(struct netctl *ent);
/* control_create.c: what @w asks for, with everything that follows from it but the unit: @ops and
 * the facts. @judge: as if we had every privilege. 0, or the sentence. */
int control_describe(struct daemon *d, const struct network_want *w, bool judge,
	const struct hostif_ops **ops, struct network_facts *f, struct err *err);
/* The same of a network that is there, whose unit and name of backend stay where @w has none. */
int control_whole(const struct netctl *ent, const struct network_want *w, struct network_facts *f,
	struct err *err);

/* control_create.c: network.create. Tries for a while where the pair cannot be made yet. */
void control_create(struct daemon *d, struct command *cmd);
void control_create_stop(struct daemon *d); /* answers those that wait */

/* control_events.c: event.subscribe; and what a network's loop tells (netloop_events.event). */
void control_events_init(struct daemon *d);
void control_subscribe(struct daemon *d, struct command *cmd);
/* What main wants to hear of networks: mask of EVENT_BIT(). */
uint32_t control_wanted(const struct daemon *d);
void control_event(void *ctx, unsigned kind, uint64_t object, const void *data, size_t len);
/* A network is there, or is no more: tells, and looks to what its host listens. */
void control_announce(struct netctl *ent);
void control_announce_gone(const struct netctl *ent);

/* control_ops.c: network.set; port.add and port.remove. */
void control_set(struct daemon *d, struct command *cmd);
void control_port(struct daemon *d, struct command *cmd);
/* Begins to remove a network; its asker is answered when it is gone. */
void control_stop(struct netctl *ent);

/* control_ops.c: the socket of a declared port. @cmd is a CMD_PORT_LISTEN with the port's name and
 * kind; its `done` begins with control_port_listened(). Then it is served, or cmd->err says why
 * there is none. */
void control_port_listen(struct netctl *ent, struct command *cmd);
void control_port_listened(const struct netctl *ent, const struct command *cmd);

/* taps.c: the interfaces of ports of kind tap, which were declared. Makes one, whose descriptor is
 * for taps_command(), or says why it cannot be, and it is forgotten. */
int taps_make(struct netctl *ent, const struct port_info *port, int *out_fd, struct err *err);
/* A CMD_PORT_TAP; NULL: out of memory, and @fd is closed. When it went well: taps_opened(). */
struct command *taps_command(const struct netctl *ent, const char *port, int fd);
void taps_opened(struct netctl *ent, const char *port);
/* All of that in one, and where it fails once more, now and then. */
void taps_begin(struct netctl *ent, const struct apply_done *port);
void taps_lost(struct netctl *ent, const char *port);
void taps_remove(struct netctl *ent, const char *port); /* NULL: all of them */
void taps_mtu(struct netctl *ent);                      /* the network's is another now */

/* dials.c: ports that call, which were declared. Whether this daemon may call whom @conf says; an
 * error begins with the port's name. */
int dials_check(const struct daemon *d, const struct port_conf *conf, struct err *err);
/* Calls, and calls again, until dials_remove(). */
void dials_begin(
	struct netctl *ent, const char *port, enum port_kind kind, const struct dial_text *text);
/* Its connection has ended; @serial as of CMD_PORT_DIAL. */
void dials_lost(struct netctl *ent, const char *port, uint32_t serial, const char *why);
void dials_remove(struct netctl *ent, const char *port); /* NULL: all of them */

/* control_apply.c: network.apply. */
void control_apply(struct daemon *d, struct command *cmd);

/* control_save.c: where a command is to be saved, its answer will wait for that. False: cmd->err.
 */
bool control_save_after(struct daemon *d, struct command *cmd);
void control_mark_saved(struct netctl *ent, bool saved);

/* control_reload.c: daemon.reload, and SIGHUP where @cmd is NULL: one during a reload is followed
 * by another. */
void control_reload(struct daemon *d, struct command *cmd);
/* Applies what is pending, at start all of it. */
void control_pending(struct daemon *d);
/* What of a configuration no daemon with these options could do, as faults with their lines. */
void control_judge_files(struct daemon *d, const struct confset *set, struct faults *faults);

/* daemon.c: a network has gone, or a client; ends the daemon if it was the last it waited for. */
void daemon_maybe_end(struct daemon *d);
void daemon_stop(struct daemon *d);
/* daemon.c: what files declare has been applied, or could not be; once, at start. */
void daemon_ready(struct daemon *d);

/* hostwatch.c: notices interfaces that vanish, and groups they listen to. Watches of a backend are
 * opened at its first network. */
void hostwatch_need(struct daemon *d, const struct hostif_ops *ops);
void hostwatch_close(struct daemon *d);
/* The host side of a network is lost: makes it anew, now and then every RETRY_MS until it works. */
void hostwatch_recover(struct netctl *ent);
void hostwatch_forget(struct netctl *ent); /* stop trying */
/* Reads to which groups the host member listens, and tells if that has changed. */
void hostwatch_groups(struct netctl *ent);

/* state.c: RUN/state, a line per network: name, unit, host member's MAC. */
void state_load(struct daemon *d);                 /* and cleans what a crashed daemon left */
int state_save(struct daemon *d, struct err *err); /* logs a failure, too */
/* Its pair is still there; @bridge: or a port of it in Open vSwitch. */
void state_leave(struct daemon *d, const struct network_facts *facts, bool bridge);
bool state_left(const struct daemon *d, uint32_t unit); /* whether such a port may be */
void state_left_bridge(struct daemon *d);               /* no more is */
void state_clear(struct daemon *d);                     /* an end in order */
void state_free(struct daemon *d);
bool state_unit(const struct daemon *d, const char *name, uint32_t *out);
void state_forget(struct daemon *d, const char *name);

#endif
