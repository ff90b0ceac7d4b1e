/* daemon.c - hello and the daemon.* methods. */
#include <errno.h>
#include <stdio.h>

#include "server/base/log.h"
#include "server/rpc/method.h"

#define CALLS_MAX 64u /* unanswered calls of one connection; docs/protocol.md, 2 */

int parse_HELLO(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	uint64_t version = 1;
	if (rpc_get_uint(params, "version", &version) == RPC_FIELD_BAD)
		return bad_field(err, "version", "must be a number, the highest version you speak");
	if (rpc_get_text(params, "client", cmd->in.hello.client, sizeof(cmd->in.hello.client)) ==
		RPC_FIELD_BAD)
		return bad_field(err, "client", "must be UTF-8 text of at most 64 bytes");
	if (!version)
		return err_set(err, -EOPNOTSUPP, "version 0 is not spoken; versions 1 to %u are",
			FETH_PROTOCOL_VERSION);
	cmd->in.hello.version = version;
	return 0;
}

int parse_DAEMON_SHOW(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	(void)params;
	(void)cmd;
	(void)err;
	return 0;
}

int parse_DAEMON_STOP(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	return parse_DAEMON_SHOW(params, cmd, err);
}

int parse_DAEMON_SET(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	struct daemon_want *w = &cmd->in.daemon;
	char text[8];
	const enum rpc_field f = rpc_get_text(params, "log_level", text, sizeof(text));
	if (f == RPC_FIELD_ABSENT)
		return 0;
	enum log_level level;
	if (f == RPC_FIELD_BAD || !log_level_parse(text, &level))
		return bad_field(err, "log_level", "must be error, warn, info or debug");
	w->has_log_level = true;
	w->log_level = (uint8_t)level;
	return 0;
}

void pack_HELLO(const struct command *cmd, struct rpc_out *out)
{
	const uint64_t theirs = cmd->in.hello.version;
	rpc_out_map(out);
	rpc_put_uint(
		out, "version", theirs < FETH_PROTOCOL_VERSION ? theirs : FETH_PROTOCOL_VERSION);
	rpc_put_text(out, "server", "fethd " FETHD_VERSION);
	if (cmd->network[0])
		rpc_put_text(out, "network", cmd->network);
	rpc_put_map(out, "limits");
	rpc_put_uint(out, "frame", FETH_FRAME_MAX);
	rpc_put_uint(out, "rpc", FETH_RPC_MAX);
	rpc_put_uint(out, "calls", CALLS_MAX);
	rpc_out_close(out);
	rpc_put_array(out, "features");
	rpc_out_text(out, "shm");
	rpc_out_text(out, "offload");
	rpc_out_close(out);
	rpc_out_close(out);
}

void pack_DAEMON_SHOW(const struct command *cmd, struct rpc_out *out)
{
	const struct daemon_facts *d = &cmd->out.daemon;
	rpc_out_map(out);
	rpc_put_text(out, "version", FETHD_VERSION);
	rpc_put_uint(out, "pid", d->pid);
	rpc_put_uint(out, "uid", d->uid);
	rpc_put_text(out, "run_dir", d->run_dir);
	rpc_put_bool(out, "rootless", d->rootless);
	rpc_put_uint(out, "uptime", d->uptime_ms);
	rpc_put_text(out, "log_level", log_level_name((enum log_level)d->log_level));
	if (d->admin_group[0])
		rpc_put_text(out, "admin_group", d->admin_group);
	rpc_put_uint(out, "networks", d->networks);
	rpc_put_map(out, "counters");
	rpc_put_uint(out, "accepted", d->counters.accepted);
	rpc_put_uint(out, "denied", d->counters.denied);
	rpc_put_uint(out, "slow", d->counters.slow);
	rpc_put_uint(out, "protocol_error", d->counters.protocol_error);
	rpc_put_uint(out, "ignored", d->counters.ignored);
	rpc_put_uint(out, "revoked", d->counters.revoked);
	rpc_put_uint(out, "unreachable", d->counters.unreachable);
	rpc_out_close(out);
	rpc_out_close(out);
}

void pack_DAEMON_SET(const struct command *cmd, struct rpc_out *out)
{
	pack_DAEMON_SHOW(cmd, out);
}

void pack_DAEMON_STOP(const struct command *cmd, struct rpc_out *out)
{
	(void)cmd;
	rpc_out_map(out);
	rpc_out_close(out);
}
