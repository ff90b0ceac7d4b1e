/* hostif.h - what a host side backend is: the interface between a network and the system's own
 * network stack.
 *
 * Two halves. The *control half* changes the system: it makes a pair of interfaces, changes and
 * removes them. It takes plain data and returns descriptors, and is called through priv/verbs.h
 * only, so that a small privileged process can one day serve it. The *data half* moves frames over
 * the descriptors that make() returned and needs no privilege; the network's loop calls it.
 *
 * Life cycle of a host side:
 *   1. make()    control. Both members exist, tagged as ours, MTU, MACs, addresses and link state
 *                as specified, or nothing exists and a sentence says why.
 *   2. open()    data. Takes the descriptors of make(), which are closed by close().
 *   3. recv()/send() as often as wanted; change() meanwhile, both members or neither.
 *   4. close()   data; no I/O afterwards.
 *   5. remove()  control. Both members are gone, unless the system refuses. */
#ifndef SERVER_CORE_HOSTIF_H
#define SERVER_CORE_HOSTIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/text.h"
#include "server/base/err.h"
#include "server/core/frame.h"

#define HOSTIF_NAME 16u      /* IFNAMSIZ on Linux and macOS */
#define HOSTIF_TAG 256u      /* IFALIASZ on Linux */
#define HOSTIF_ADDRS_MAX 16u /* declared addresses of one host member; more is a routing job */
#define HOSTIF_BATCH 64u     /* frames per recv(): limits.md, 2: 32 to 64 reach all of the rate */
/* And about so many bytes: eight super-frames, which are as fast as more (limits.md, 2), and hold
 * up others of the loop an eighth as long as 64. */
#define HOSTIF_BATCH_BYTES (512u * 1024u)

/* All that is declared of one pair. */
struct hostif_spec {
	char network[FETH_NAME_MAX + 1];
	char host[HOSTIF_NAME];      /* the member with the addresses, "feth101" */
	char service[HOSTIF_NAME];   /* the member we read and write, "feth5101"; empty: none */
	char tag[HOSTIF_TAG];        /* "fethd:<run dir>:<network>": what marks a pair as ours */
	struct feth_mac mac;         /* of the host member */
	struct feth_mac service_mac; /* of the service member; never on the wire */
	uint32_t mtu;                /* bytes, within the backend's mtu_min and mtu_max */
	bool up;                     /* link state of the host member */
	uint8_t n_addrs;
	struct cidr addrs[HOSTIF_ADDRS_MAX]; /* of the host member */
	char bridge[HOSTIF_NAME]; /* of the system, that the host member is in; empty: none */
};

/* What make() gives: descriptors, O_CLOEXEC and O_NONBLOCK, -1 where there is none; they may be the
 * same number. */
struct hostif_made {
	int rx_fd;
	int tx_fd;
	uint32_t mtu_max; /* the most this pair will ever take; 0: as the backend says */
};

/* Something happened to an interface. Its memberships may have changed with any event: a link that
 * goes down takes them along, and brings them back. */
struct hostif_event {
	char name[HOSTIF_NAME];
	bool gone;    /* removed; false: made or changed */
	bool down;    /* there, but administratively down */
	bool groups;  /* only its multicast memberships changed: ask groups() */
	uint32_t mtu; /* bytes; 0 where not known */
};

/* What a backend dropped of what came from the host. */
struct hostif_lost {
	uint64_t frames, bytes;
};

/* Of which changes to the host members' memberships a watch tells. */
enum hostif_told {
	HOSTIF_TOLD_ALL,
	HOSTIF_TOLD_IP, /* not of groups joined below IP, as by a packet socket: ask now and then */
	HOSTIF_TOLD_NONE, /* ask often */
};

struct hostif;

struct hostif_ops {
	const char *name; /* "veth" */
	bool has_host;    /* false: `none`, a private switch; then only the fields up here count */
	bool single;      /* there is no service member: spec.service is empty */
	const char *prefix; /* of the host member's name, before the unit; NULL: "feth" */
	bool layer3;        /* the host member knows IP packets only: no bridge takes it */
	bool untagged; /* whose pair it is rests on RUN/state: no make() before it is written */
	uint32_t mtu_min, mtu_max;
	uint32_t unit_base; /* where units begin if nobody says otherwise */

	/* -- control half -- */

	/* Whether this process may make pairs. */
	bool (*allowed)(void);

	/* -EEXIST where a member's name is taken by somebody else, who is left alone. A pair with
	 * our own tag is replaced. -EBUSY where it may work in a moment. Does not wait: it is
	 * called on main's loop, where all calls of administrators are. */
	int (*make)(const struct hostif_spec *spec, struct hostif_made *out, struct err *err);

	/* Makes the pair of @now what @want says: MTU, MAC, addresses, up (names and tag do not
	 * change). On failure everything is as it was. Declared addresses that the kernel dropped
	 * on the way (Linux: IPv6 on link down or an MTU below 1280) are there again afterwards. */
	int (*change)(
		const struct hostif_spec *now, const struct hostif_spec *want, struct err *err);

	/* 0 where nothing of it is left. */
	int (*remove)(const struct hostif_spec *spec);

	/* Whether no interface of this name exists. */
	bool (*name_free)(const char *name);

	/* Whether the pair of @spec is there, is ours and works; if not, change() may mend it, or
	 * it is made anew. Asked when something happened, and every check_ms. NULL: it is as long
	 * as the service member's name is taken.
	 */
	bool (*whole)(const struct hostif_spec *spec);
	unsigned check_ms; /* milliseconds; 0: the system tells of everything */

	/* Whether the wire to the host is there: both members are, and the host has its end up,
	 * wherever that has gone. Needs no privilege. */
	bool (*carrier)(const struct hostif_spec *spec);

	/* After a crash: removes every pair of ours and returns how many. Ours is what has a tag
	 * that begins with @prefix, "fethd:<run dir>:"; where the system has no tags, what is in
	 * @known (what RUN/state remembers: names and MACs) and still looks so. NULL: nothing of a
	 * pair outlives its daemon. */
	int (*sweep)(
		const char *prefix, const struct hostif_spec *known, unsigned n, struct err *err);

	/* The groups that the host member listens to, ascending, each once; at most @max of them,
	 * the lowest. Returns how many there are, which may be more; -ENODEV where there is no such
	 * interface, others where the system does not answer. Needs no privilege. */
	int (*groups)(const char *host, struct feth_mac *out, unsigned max);

	/* A descriptor that becomes readable when interfaces come, change or go; and what happened:
	 * the number of events written, 0 for none, -ENOBUFS where some were lost (then look at
	 * all; how what is still there is now may follow as events). @max: 32 is good; with less
	 * room it may stop early. */
	int (*watch_open)(struct err *err);
	int (*watch_read)(int fd, struct hostif_event *events, unsigned max);

	/* What the watch @fd tells of memberships; NULL: HOSTIF_TOLD_ALL. */
	enum hostif_told (*groups_told)(int fd);

	/* -- data half -- */

	/* Takes over made's descriptors, also on failure. */
	int (*open)(struct hostif **out, const struct hostif_made *made,
		const struct hostif_spec *spec, struct err *err);
	void (*close)(struct hostif *hif); /* NULL is fine */

	/* Up to @max (at most HOSTIF_BATCH) frames from the host, whole and with their tags, as
	 * views into @buf of @size bytes, or into memory of the backend's that stands until the
	 * next recv(). Returns how many; 0: none now; -errno: -ENETDOWN where the service member is
	 * down, -ENODEV or -ENXIO where it is gone, others may pass. */
	int (*recv)(
		struct hostif *hif, struct frame *frames, unsigned max, uint8_t *buf, size_t size);

	/* Nobody looks at the frames of the last recv() any more, so that their memory can be used
	 * again before the next. NULL: nothing to be done. */
	void (*done)(struct hostif *hif);

	/* How many frames from the host were lost since the last call, since recv() was not called
	 * as often as they came. Called about once a second, when no frames of recv() are looked
	 * at; a backend may see to itself then. NULL: not known. */
	uint32_t (*missed)(struct hostif *hif);

	/* Whether recv() has frames that fd() will not tell of, since they were read already, or
	 * answer one that send() was given. NULL: never. */
	bool (*more)(const struct hostif *hif);

	/* Gives @n frames to the host. Returns how many it took; the others are lost (Ethernet
	 * may), and every frame after a refused one is still tried. None is under FETH_FRAME_MIN
	 * bytes. */
	unsigned (*send)(struct hostif *hif, const struct frame *frames, unsigned n);

	/* The descriptor to poll for reading, or -1. */
	int (*fd)(const struct hostif *hif);

	/* Frames come so fast that some shall gather before recv() is called again: when the
	 * descriptor that this returns is readable. fd() is not to be polled meanwhile, so that
	 * nobody is woken for each frame. -1: they do not. Asked after each recv(); the descriptor
	 * is always the same. NULL: -1. */
	int (*gathers)(const struct hostif *hif);

	/* OFFLOAD_*: what send() takes unfinished (offload.h), the same as long as it is open.
	 * NULL: nothing. Only where there is one, which may return 0, may the frames of recv() have
	 * `offload` set, for whoever calls recv() to judge by offload_valid(). */
	uint8_t (*offload)(const struct hostif *hif);

	/* Of backends that speak for the host themselves (l3glue.h), which have more() too; else
	 * NULL: what time it is, monotonic milliseconds, before recv() and every second. @lost:
	 * since the call before: packets for neighbours that do not answer. */
	void (*tick)(struct hostif *hif, uint64_t now_ms, struct hostif_lost *lost);
	/* Likewise: what is declared is this now; `up` is whether it is. */
	void (*changed)(struct hostif *hif, const struct hostif_spec *spec);
};

/* Every backend compiled in, NULL-terminated; and one by name, or NULL. (hostif/backends.c) */
extern const struct hostif_ops *const hostif_backends[];
const struct hostif_ops *hostif_find(const char *name);

#endif
