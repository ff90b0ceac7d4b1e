/* command.h - what the control plane asks: plain data in, plain data out, no pointers into anybody.
 *
 * A command is allocated by the asker, travels to the loop that can carry it out, and comes back to
 * the asker's loop through `done`, always, exactly once. Meanwhile nobody else touches it, nor what
 * it points to: where the loops are two, it is a message both ways (netloop.h). */
#ifndef SERVER_CORE_COMMAND_H
#define SERVER_CORE_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "feth/types.h"
#include "protocol/text.h"
#include "server/base/err.h"
#include "server/base/message.h"
#include "server/core/access.h"
#include "server/core/dhcp.h"
#include "server/core/dial.h"
#include "server/core/drop.h"
#include "server/core/fdb.h"
#include "server/core/groups.h"
#include "server/core/hostif.h"
#include "server/core/mcast.h"
#include "server/core/netid.h"
#include "server/core/rules.h"
#include "server/core/tapplace.h"

#define PATH_TEXT 108u /* sun_path of Linux, the longer one */
/* Items of one answer, if they fit into its 64 KiB: of ports that is some 250. */
#define LIST_LIMIT 256u
#define LIST_DEFAULT 64u
/* Groups that one port may have joined: a host has about ten, a tunnel that stands for a whole
 * office some hundred; 1024 ports with so many are what the network's table is for. */
#define PORT_GROUPS_MAX 256u

/* What is true of a network, for whoever asks. */
struct network_facts {
	uint64_t id;
	char backend[16];
	bool has_host; /* else unit, host, service, addresses and up mean nothing */
	uint32_t unit;
	uint32_t mtu_min, mtu_max;
	struct hostif_spec spec; /* name, interfaces, MAC, MTU, up, addresses */
	struct access_rules access;
	char path[PATH_TEXT]; /* the directory of its sockets */
	bool saved;           /* a file of the configuration declares it */
	uint32_t ports;       /* attached now */
	bool carrier;         /* the wire to the host is whole, and the host has its end up */
	bool bridged;         /* the host member is in spec.bridge, and that is up */
	uint32_t bridge_mtu;  /* the least of the bridge's other ports, bytes; 0: it has none */
	struct mcast_conf multicast;
	bool too_big;               /* answers packets that are too long (toobig.h) */
	struct dhcp_facts dhcp;     /* of the host side, as nat */
	bool nat;                   /* what comes from its IPv4 addresses may leave by the host's */
	struct port_rules defaults; /* of ports that do not say */
};

/* What a port's client speaks. */
enum port_kind {
	PORT_KIND_HOST,
	PORT_KIND_NATIVE,
	PORT_KIND_QEMU,
	PORT_KIND_TAP,
	PORT_KIND_DGRAM,     /* a frame a datagram */
	PORT_KIND_SEQPACKET, /* a frame a message */
	PORT_KIND_VDE,       /* datagrams behind vde_switch's control protocol */
	PORT_KIND_UDP,       /* a frame a datagram, over UDP */
};
#define PORT_KINDS 8u
const char *port_kind_name(enum port_kind kind);
/* The kind of that name; false where there is none. */
bool port_kind_find(const char *name, enum port_kind *out);

struct monitor_conf;

/* What is wanted of a port. */
/* Work on frames that is left to others; OFFLOAD_* of offload.h. */
struct port_offload {
	bool asked;
	uint8_t rx, tx; /* what its client takes unfinished, and what its own frames may owe */
	uint32_t max;   /* bytes of the longest frame it takes */
};

struct port_conf {
	char name[FETH_NAME_MAX + 1]; /* empty: choose one */
	enum port_kind kind;
	bool mac_given;
	struct feth_mac mac;
	bool has_locked, locked;            /* to `mac` and rules.macs */
	uint32_t uid, pid;                  /* the client, as the kernel attested it */
	bool take_only;                     /* only the declared port of this name will do */
	bool dialled;                       /* whom a port that calls has reached; nobody else is */
	const struct monitor_conf *monitor; /* borrowed; NULL: a port is wanted, not a monitor */
	struct port_rules rules;            /* those given */
	struct tap_place tap;               /* of kind tap: its interface */
	struct dial_text dial;              /* whom it calls; but for dgram it has no socket then */
	uint32_t ring; /* bytes of each ring in shared memory; 0: frames go by the stream */
	struct port_offload offload;
	bool control; /* who asks may loosen what others said of the port: has RIGHT_CONTROL */
};

/* What is true of a port. */
struct port_info {
	uint16_t id;
	char name[FETH_NAME_MAX + 1];
	enum port_kind kind;
	bool attached;
	bool declared;
	bool monitor; /* no port: it only watches; of the rest name, uid and pid count */
	struct feth_mac mac;
	bool locked;
	struct port_rules rules; /* in force: all are given */
	bool looped;             /* it brings back what was flooded: no frame goes in or out */
	uint32_t mtu;
	uint32_t cap;         /* longest frame it takes or gets, with one tag; bytes */
	uint32_t uid, pid;    /* where attached */
	struct tap_place tap; /* of kind tap */
	struct dial_text dial;
	char why[DIAL_WHY]; /* of one that calls and waits: why it is not connected */
	uint32_t ring;      /* where attached: bytes of each of its rings; 0: it has none */
	struct port_offload offload; /* where attached: what was granted */
};

struct port_counters {
	uint16_t id;
	char name[FETH_NAME_MAX + 1];
	uint64_t age_ms; /* since they began; of the host side 0 */
	uint32_t queued_bytes;
	struct port_stats stats;
};

/* The counters of a network, and how full its tables are. */
struct network_sum {
	struct port_stats stats; /* of all ports that ever were */
	uint64_t moves;          /* addresses that changed port */
	struct mcast_stats multicast;
	uint64_t too_big_answered, too_big_limited; /* struct toobig */
	uint32_t learned, statics;                  /* addresses */
	uint32_t groups;                            /* with members */
	uint64_t queue_memory;                      /* bytes held by frames that wait */
};

/* The groups that group.join, group.leave and attach name. */
struct group_want {
	bool given;
	bool all;   /* every multicast; then there are no others */
	uint32_t n; /* in mac[]; one may be there more than once */
	struct feth_mac mac[PORT_GROUPS_MAX];
};

/* A member of a group, and what its port is called. */
struct group_info {
	struct group_row row;
	char name[FETH_NAME_MAX + 1];
};

struct fdb_row {
	struct fdb_info info;
	char name[FETH_NAME_MAX + 1]; /* of the port */
};

/* What network.create and network.set want; `has_*` says what was given. */
struct network_want {
	char name[FETH_NAME_MAX + 1];
	char backend[16]; /* empty: auto */
	bool has_mtu, has_mac, has_addrs, has_up, has_unit, has_multicast, has_querier, has_too_big,
		has_defaults;
	bool has_dhcp, has_nat, has_bridge;
	bool has_owner, has_group, has_mode, has_allow;
	bool whole; /* what is not given is the default, not what it was (network.apply) */
	bool save;  /* keep what comes of it in a file */
	uint32_t mtu;
	struct feth_mac mac;
	bool up;
	uint32_t unit;
	uint8_t n_addrs;
	struct cidr addrs[HOSTIF_ADDRS_MAX];
	char owner[UNIX_NAME], group[UNIX_NAME];
	uint16_t mode;
	uint16_t n_allow;
	struct allow allow[ALLOW_MAX];
	enum mcast_policy multicast;
	bool querier;
	bool too_big;
	struct dhcp_want dhcp;
	bool nat;
	char bridge[HOSTIF_NAME];   /* empty: none */
	struct port_rules defaults; /* instead of those before */
};

/* Which learned addresses to forget: all, or those that are both of the port and this one. */
struct fdb_want {
	bool has_port;
	uint16_t port;                /* by number, where `name` is empty */
	char name[FETH_NAME_MAX + 1]; /* of the port */
	bool has_mac;
	struct feth_mac mac;
};

/* What daemon.set wants. */
struct daemon_want {
	bool has_log_level;
	uint8_t log_level; /* base/log.h */
};

struct daemon_counters {
	uint64_t accepted;       /* connections */
	uint64_t denied;         /* connections and calls refused for who asked */
	uint64_t slow;           /* peers closed because they did not read their RPC */
	uint64_t protocol_error; /* peers closed for what they sent */
	uint64_t ignored;        /* notifications and stray responses */
	uint64_t revoked;     /* ports and subscriptions ended: the right to them was taken away */
	uint64_t unreachable; /* clients refused, since nobody is at the socket they named */
};

/* Adds @more to @sum. */
void daemon_counters_add(struct daemon_counters *sum, const struct daemon_counters *more);

struct daemon_facts {
	uint32_t pid, uid, networks;
	uint64_t uptime_ms;
	bool rootless;
	uint8_t log_level; /* base/log.h */
	char run_dir[PATH_TEXT];
	char admin_group[UNIX_NAME];
	struct daemon_counters counters;
};

enum command_kind {
	/* the session's own */
	CMD_HELLO,
	CMD_ATTACH,
	CMD_DETACH,
	CMD_GROUP_JOIN,
	CMD_GROUP_LEAVE,
	CMD_RPC_METHODS,
	CMD_EVENT_SUBSCRIBE, /* on the control socket main's first, then the session's */
	/* carried out by main */
	CMD_NETWORK_CREATE,
	CMD_NETWORK_DELETE,
	CMD_NETWORK_LIST,
	CMD_NETWORK_SET,
	CMD_NETWORK_ENTER,
	CMD_PORT_ADD,
	CMD_DAEMON_SHOW,
	CMD_DAEMON_SET,
	CMD_DAEMON_STOP,
	CMD_NETWORK_APPLY,
	CMD_DAEMON_RELOAD,
	/* carried out by the network's loop */
	CMD_NETWORK_SHOW,
	CMD_PORT_OPEN,
	CMD_PORT_SET, /* of one that is named; its own is the session's */
	CMD_PORT_LIST,
	CMD_PORT_REMOVE,
	CMD_GROUP_LIST,
	CMD_FDB_LIST,
	CMD_FDB_FLUSH,
	CMD_STATS_GET,
	/* from main to the network's loop, for its own ends */
	CMD_PREPARE,     /* in: facts wanted. Checks them; what must shrink before the kernel does,
			    shrinks */
	CMD_FACTS,       /* in: facts. They are true now */
	CMD_APPLY_CHECK, /* in: asked. Whether its ports are possible */
	CMD_APPLY_PORTS, /* in and out: asked. They are made so */
	CMD_LIST_DECLARED, /* out: items.ports: n_items declared ones without what their clients
			      asked for, and as many that say what would be if nothing were said */
	CMD_PORT_TAP,  /* in: conf's name, of a declared port of kind tap; fds[0]: its interface,
			  given, also on failure. out: port */
	CMD_PORT_DIAL, /* in: dialled: fds[0], what the port of that name and kind, which calls so,
			  is connected to; given, also on failure. Or none, and why. out: port */
	CMD_EVENTS,    /* in: events, of which main wants to hear */
	CMD_PORT_LISTEN, /* in: conf's name, kind and dial, fds[0]: the listening socket of a
			    declared port; given, also on failure */
	CMD_HOST,        /* in: host. The host side instead of the one before, which is closed */
	CMD_COUNTERS,    /* out: daemon.counters, of what happened on this loop */
	CMD_HOST_GROUPS, /* in: items.groups, those before and those now; or none: not known */
};

struct apply;
struct reload;

struct command {
	struct message msg; /* while it is on its way */
	void *way;          /* netloop.c's, meanwhile */
	enum command_kind kind;
	void (*done)(struct command *cmd); /* takes the command back */
	void *owner;                       /* the asker's */
	char network[FETH_NAME_MAX + 1];   /* which one, where the kind needs one */
	struct peer who;                   /* the caller, as the kernel attested it */
	unsigned rights;                   /* the caller's, on that network */
	unsigned right;                    /* of these, what the call needed */
	bool inner;                        /* a step of network.apply, which keeps others off */
	struct err err;                    /* out: code 0 on success */

	/* lists */
	uint32_t limit; /* 1 to LIST_LIMIT */
	bool has_after;
	uint64_t after_n; /* port number; of groups, that beside after_mac; of addresses the VLAN */
	char after_name[FETH_NAME_MAX + 1];
	struct feth_mac after_mac;
	uint32_t n_items; /* out */
	bool more;        /* out */
	union {           /* out, owned: freed with the command */
		void *any;
		struct network_facts *networks;
		struct port_info *ports;
		struct port_counters *counters;
		struct fdb_row *fdb;
		struct group_info *members;
		struct groups *groups; /* two: before and now */
	} items;

	char dir[PATH_TEXT]; /* out: the directory of the network's sockets */

	struct apply *apply;   /* network.apply: in and out, owned (apply.h) */
	struct apply *asked;   /* CMD_APPLY_*: that of the command they are steps of, borrowed */
	struct reload *reload; /* daemon.reload: in and out, owned */

	int fds[2]; /* out, owned by the command; CMD_PORT_LISTEN: in */
	uint8_t n_fds;

	union {
		struct network_want want;
		struct port_conf conf;
		struct {
			uint64_t version;
			char client[65];
		} hello;
		uint32_t events; /* a mask of rpc/event.h's kinds */
		struct fdb_want fdb;
		struct daemon_want daemon;
		struct {
			char name[FETH_NAME_MAX + 1];
			enum port_kind kind;
			struct dial_text dial;
			uint32_t serial; /* said when it is lost */
			char why[DIAL_WHY];
		} dialled;
		struct {
			const struct hostif_ops *ops;
			bool given;              /* false: there shall be none */
			struct hostif_made made; /* what verb_pair_make() returned; given, also on
						    failure */
			struct hostif_spec spec;
		} host;
	} in;
	struct group_want groups;     /* in: beside conf, where the kind is attach */
	struct monitor_conf *monitor; /* in, owned: likewise; NULL: none */
	union {
		struct network_facts facts;
		struct port_info port;
		struct network_sum sum;
		struct daemon_facts daemon;
		uint32_t flushed; /* addresses */
		struct {
			uint32_t n; /* joined now */
			bool all;
		} groups;
	} out;
};

/* A zeroed command, or NULL; free with command_free(), which closes nothing: fds are the holder's.
 */
struct command *command_new(enum command_kind kind);
void command_free(struct command *cmd);

#endif
