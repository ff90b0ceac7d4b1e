/* cmd_config.c - reload. */
#include <string.h>

#include "clients/ctl/ctl.h"

static const struct out_field lines[] = {
	{ "Created", "created", out_any, false },
	{ "Changed", "changed", out_any, false },
	{ "Removed", "removed", out_any, false },
	{ "Unchanged", "unchanged", out_any, false },
	{ "At the next start", "restart", out_any, false },
};

/* Each network that could not be made what its file says is a sentence. */
static int say_failed(const msgpack_object *result)
{
	const msgpack_object *failed = out_get(result, "failed");
	int status = 0;
	for (uint32_t i = 0;
		failed && failed->type == MSGPACK_OBJECT_ARRAY && i < failed->via.array.size; i++) {
		char name[64] = "", why[512] = "";
		const msgpack_object *item = &failed->via.array.ptr[i];
		const msgpack_object *network = out_get(item, "network");
		const msgpack_object *message = out_get(item, "message");
		if (network)
			(void)rpc_text(network, name, sizeof(name));
		if (message)
			(void)rpc_text(message, why, sizeof(why));
		status = ctl_fail("cannot apply the configuration of %s: %s", name, why);
	}
	return status;
}

int cmd_reload(struct ctl *ctl, const struct args *args)
{
	struct rpc_out params;
	struct ctl_result result;
	if (ctl_connect(ctl, NULL))
		return CTL_FAILED;
	ctl_params(&params, NULL);
	if (args_flag(args, "replace"))
		rpc_put_bool(&params, "replace", true);
	if (ctl_call(ctl, "daemon.reload", &params, "reload the configuration", "", &result))
		return CTL_FAILED;
	ctl->out->record(ctl->out, OUT_FIELDS(lines), &result.value);
	return say_failed(&result.value);
}
