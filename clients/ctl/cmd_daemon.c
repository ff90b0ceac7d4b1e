/* cmd_daemon.c - daemon show, daemon set, daemon stop, version. */
#include <errno.h>
#include <string.h>

#include "clients/ctl/ctl.h"

static const struct out_field lines[] = {
	{ "Version", "version", out_any, false },
	{ "Process", "pid", out_any, false },
	{ "User id", "uid", out_any, false },
	{ "Run directory", "run_dir", out_any, false },
	{ "Rootless", "rootless", out_any, false },
	{ "Up for", "uptime", out_age, false },
	{ "Log level", "log_level", out_any, false },
	{ "Admin group", "admin_group", out_any, false },
	{ "Networks", "networks", out_any, false },
	{ "Counters", "counters", out_any, false },
};

static const struct out_field version_lines[] = {
	{ "fethctl", "client", out_any, false },
	{ "Protocol", "protocol", out_any, false },
	{ "Daemon", "daemon", out_any, false },
	{ "Its protocol", "daemon_protocol", out_any, false },
	{ "Socket", "socket", out_any, false },
	{ "No answer", "error", out_any, false },
};

int cmd_daemon_show(struct ctl *ctl, const struct args *args)
{
	struct rpc_out params;
	struct ctl_result daemon;
	(void)args;
	if (ctl_connect(ctl, NULL))
		return CTL_FAILED;
	ctl_params(&params, NULL);
	if (ctl_call(ctl, "daemon.show", &params, "show the daemon", "", &daemon))
		return CTL_FAILED;
	ctl->out->record(ctl->out, OUT_FIELDS(lines), &daemon.value);
	return 0;
}

int cmd_daemon_set(struct ctl *ctl, const struct args *args)
{
	struct rpc_out params;
	struct ctl_result daemon;
	const char *level = args_value(args, "log-level");
	if (!level)
		return ctl_usage(args->cmd, "daemon set: nothing to change");
	if (ctl_connect(ctl, NULL))
		return CTL_FAILED;
	ctl_params(&params, NULL);
	rpc_put_text(&params, "log_level", level);
	if (ctl_call(ctl, "daemon.set", &params, "change the daemon", "", &daemon))
		return CTL_FAILED;
	ctl->out->record(ctl->out, OUT_FIELDS(lines), &daemon.value);
	return 0;
}

int cmd_daemon_stop(struct ctl *ctl, const struct args *args)
{
	struct rpc_out params;
	(void)args;
	if (ctl_connect(ctl, NULL))
		return CTL_FAILED;
	ctl_params(&params, NULL);
	if (ctl_call(ctl, "daemon.stop", &params, "stop the daemon", "", NULL))
		return CTL_FAILED;
	ctl->out->nothing(ctl->out);
	return 0;
}

/* What the daemon says of itself; the reason if it says nothing is part of the answer. */
static void put_daemon(struct ctl *ctl, struct rpc_out *doc)
{
	struct rpc_out params;
	struct feth_reply reply;
	msgpack_object hello;
	size_t used = 0;
	const int rc = ctl_try_connect(ctl);
	if (ctl->socket[0])
		rpc_put_text(doc, "socket", ctl->socket);
	if (rc < 0) {
		rpc_put_text(doc, "error", strerror(-rc));
		return;
	}
	ctl_params(&params, NULL);
	rpc_put_uint(&params, "version", FETH_PROTOCOL_VERSION);
	rpc_put_text(&params, "client", "fethctl");
	rpc_out_close(&params);
	if (feth_call(ctl->conn, "hello", (const uint8_t *)params.buf.data, params.buf.size, &reply,
		    CTL_TIMEOUT_MS) < 0) {
		rpc_put_text(doc, "error", reply.message);
	} else if (msgpack_unpack((const char *)reply.result, reply.result_len, &used, &ctl->zone,
			   &hello) == MSGPACK_UNPACK_SUCCESS) {
		char text[256];
		const msgpack_object *server = out_get(&hello, "server");
		const msgpack_object *version = out_get(&hello, "version");
		if (server && rpc_text(server, text, sizeof(text)))
			rpc_put_text(doc, "daemon", text);
		if (version && version->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
			rpc_put_uint(doc, "daemon_protocol", version->via.u64);
	}
	rpc_out_fini(&params);
}

int cmd_version(struct ctl *ctl, const struct args *args)
{
	struct rpc_out doc;
	msgpack_object versions;
	size_t used = 0;
	(void)args;
	rpc_out_init(&doc);
	rpc_out_map(&doc);
	rpc_put_text(&doc, "client", feth_version());
	rpc_put_uint(&doc, "protocol", FETH_PROTOCOL_VERSION);
	put_daemon(ctl, &doc);
	rpc_out_close(&doc);

	const bool good =
		rpc_out_ok(&doc) && msgpack_unpack(doc.buf.data, doc.buf.size, &used, &ctl->zone,
					    &versions) == MSGPACK_UNPACK_SUCCESS;
	if (good)
		ctl->out->record(ctl->out, OUT_FIELDS(version_lines), &versions);
	rpc_out_fini(&doc);
	return good ? 0 : ctl_fail("out of memory");
}
