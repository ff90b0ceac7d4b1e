/* network.h - one network: a switch, a host side and ports; carries out verdicts.
 *
 * Shares nothing with any other network, so each can live on a loop of its own. The control plane
 * reaches it through network_command() alone, with plain data in and out; the edges of its own loop
 * call the rest. Reports what others must know through `struct network_events`. No libuv, no clock.
 */
#ifndef SERVER_CORE_NETWORK_H
#define SERVER_CORE_NETWORK_H

#include "protocol/text.h"
#include "server/base/err.h"
#include "server/core/block.h"
#include "server/core/command.h"
#include "server/core/hostif.h"
#include "server/core/mcast.h"
#include "server/core/netid.h"
#include "server/core/port.h"
#include "server/core/vswitch.h"

#define PORTS_MAX 1024u /* per network: numbers fit a fixed table; more VMs are more networks */

struct network;

struct network_events {
	/* The number of attached ports changed. */
	void (*ports)(void *ctx, unsigned attached);
	/* A group got its first member, lost its last, or is down to or up from a single one; NULL
	 * is fine. @only: the port that is its one member, PORT_NONE where there are more or none.
	 * So whoever tunnels from port p wants the group if @joined and @only is not p itself.
	 * Comes once a batch is flushed, with the newest state; may call whatever it likes but
	 * network_free(). */
	void (*group)(void *ctx, const struct feth_mac *group, bool joined, uint16_t only);
	/* A client came (attached), went (not attached; gone for good unless declared), or
	 * (@changed) a port was declared or has other rules. NULL is fine. */
	void (*port)(void *ctx, const struct port_info *info, bool changed);
	/* An address turned up on another port, in the middle of a batch: nothing may be called
	 * that sends. NULL is fine. */
	void (*moved)(void *ctx, struct feth_mac mac, uint16_t from, uint16_t to);
	/* Several stations have one address: it moves to and fro between ports, of which @from and
	 * @to are the last two. @own: an address that the one at @to could have instead. Seldom,
	 * and never in the middle of a batch; NULL is fine. */
	void (*duplicate)(
		void *ctx, struct feth_mac mac, uint16_t from, uint16_t to, struct feth_mac own);
	/* A port loops, for @hold_ms, as it brought back what port @first had sent; or (not
	 * info->looped) it is tried again. Never in the middle of a batch; NULL is fine. */
	void (*looped)(void *ctx, const struct port_info *info, uint16_t first, uint32_t hold_ms);
	/* The host side has frames to be read of which its descriptor does not tell
	 * (hostif_ops.more), at the end of a batch; NULL is fine. */
	void (*host_waits)(void *ctx);
	/* What network.show says is not what it was; NULL is fine. */
	void (*changed)(void *ctx, const struct network_facts *facts);
};

/**
 * network_new() - a network without a host side yet
 * @seed:	random and secret
 * @key:	of the machine, for derived port addresses
 *
 * Return: 0, -ENOMEM, or -EEXIST where the facts contradict themselves
 */
int network_new(struct network **out, const struct network_facts *facts,
	const struct netid_key *key, uint64_t seed, const struct network_events *events, void *ctx);
/* All ports must be detached; the host side is the caller's. NULL is fine. */
void network_free(struct network *net);

/* Sets (or with NULL takes away) the host side; borrowed. Frames for it are dropped meanwhile. */
void network_set_host(struct network *net, const struct hostif_ops *ops, struct hostif *host);

const struct network_facts *network_facts(const struct network *net);
struct block_pool *network_pool(struct network *net);

/**
 * network_attach() - make a client a port
 * @conf:	name (empty: one is chosen), kind, address, rules; a declared port of this name
 *that waits is taken over, and its address and lock win
 * @port:	the client; `stats` and `id` are set
 * @now_ms:	monotonic milliseconds
 * @out:	what became of it
 *
 * With conf->monitor it becomes a monitor (monitor.h), of which only the name counts besides.
 *
 * Return: 0; -EBUSY name in use, or MONITORS_MAX are there; -ENOENT no such port to watch; -EEXIST
 *name or address taken; -EINVAL; -EACCES rules looser than those of the declared port, or of the
 *network's defaults; -ENOSPC no number left; -ENOMEM
 */
int network_attach(struct network *net, const struct port_conf *conf, struct port *port,
	uint64_t now_ms, struct port_info *out, struct err *err);

/* Ends a port; its addresses are forgotten. A declared port goes back to waiting. Also of
 * monitors. */
void network_detach(struct network *net, struct port *port);

/* Whether there is a declared port of that name and kind, and it calls that one, or nobody. */
bool network_calls(const struct network *net, const char *name, enum port_kind kind,
	const struct dial_text *dial);

/* Why a declared port that calls is not connected; told where it is another reason than before. */
void network_set_why(struct network *net, const char *name, const char *why);

/* Whether a port may more than was said of it: who attached had the right to control. */
bool network_port_loosened(const struct network *net, uint16_t id);

/**
 * network_set_port() - change rules of a port, whether or not it has a client
 * @id:		its number; PORT_HOST: of its rules the rates and storm
 * @conf:	`rules`: those given change; `control`: they may loosen what others said of the
 *		port, and stay when its client goes
 * @out:	the port as it is then
 *
 * Return: 0; -ENOENT no such port; -EACCES; -EINVAL a rule that the host side has not
 */
int network_set_port(struct network *net, uint16_t id, const struct port_conf *conf,
	uint64_t now_ms, struct port_info *out, struct err *err);

/* Judges what frames that an edge has read are said to owe (offload_valid()), and drops those that
 * are not as they are said to be: counted, and out of @frames. Returns how many are left. */
unsigned network_judge(struct network *net, uint16_t in, struct frame *frames, unsigned n);

/**
 * network_input() - switch a batch
 * @in:		the port it came from, or PORT_HOST
 * @frames:	views, living until network_flush(); their order is kept per destination
 * @now_ms:	monotonic milliseconds, never less than before
 */
void network_input(
	struct network *net, uint16_t in, struct frame *frames, unsigned n, uint64_t now_ms);

/* Ends the batch of one or more network_input() calls: everything taken is sent, queued or dropped.
 */
void network_flush(struct network *net);

/* Whether views of the batch so far are still looked at before or by network_flush(). If not, their
 * memory may be written again at once. */
bool network_holds(const struct network *net);

/* What a batch has cost so far beside plain unicast: frames given to ports by floods and to groups,
 * or looked at by monitors, and finished ones (offload.h), when they are made and for each port
 * that is given them. Of a port's frames an edge takes no more in one turn once this is
 * NETWORK_WORK: a read of 256 KiB holds 4000 broadcasts, which to 256 ports take 25 to 50 ms, and a
 * call had to wait for all of them. So many are half a millisecond. */
#define NETWORK_WORK 16384u
uint32_t network_work(const struct network *net);

/* Counts frames the edge itself had to drop, from a port or (PORT_NONE) from none. */
void network_count(
	struct network *net, uint16_t in, enum drop_reason reason, uint64_t n, uint64_t bytes);

/* Forgets aged addresses and memberships, and asks for reports if that is our part; every second.
 */
void network_tick(struct network *net, uint64_t now_ms);

/**
 * network_group_join() - a client wants the frames of a group
 * @port:	attached
 * @group:	any group address
 *
 * It stays until network_group_leave() or network_detach(). That a port gets of the IP groups only
 * those it is in is said by network_groups_all().
 *
 * Return: 0, also where it is in already; -ENOENT no such port; -EINVAL not a group; -ENOSPC
 */
int network_group_join(struct network *net, uint16_t port, struct feth_mac group, struct err *err);
/* Ends it: 0; -ENOENT no such port, or it has not joined. What was snooped of the port stays. */
int network_group_leave(struct network *net, uint16_t port, struct feth_mac group, struct err *err);
/* Whether an attached port gets every multicast. False also makes it a port that gets only the IP
 * groups it is in, as joining one does. */
void network_groups_all(struct network *net, uint16_t port, bool all);

/* Members in the order of (group, port), the first behind (@after, @after_port) if @has_after;
 * PORT_NONE as @after_port passes the rest of the group over. Returns how many, @max at most. */
unsigned network_group_list(const struct network *net, struct feth_mac after, uint16_t after_port,
	bool has_after, struct group_row *out, unsigned max);

/* The groups the host's kernel wants on its side, instead of those said before. NULL: they are not
 * known, and the host gets every multicast. */
void network_set_host_groups(struct network *net, const struct feth_mac *macs, unsigned n);

/* Return: 0; -EINVAL where the policy is none of mcast_policy. With
 * MCAST_FLOOD what was heard of IGMP and MLD is forgotten; the rest stays. */
int network_set_multicast(struct network *net, const struct mcast_conf *conf);
const struct mcast_conf *network_multicast(const struct network *net);
const struct mcast_stats *network_multicast_stats(const struct network *net);

/* What a port is called, for people; the host side is "host". "" where there is no such port. */
const char *network_port_name(const struct network *net, uint16_t id);

/* Carries out a command of the control plane (command.h); sets cmd->err. Those kinds that need more
 * than the network itself are the loop's: see netloop.h. */
void network_command(struct network *net, struct command *cmd, uint64_t now_ms);

#endif
