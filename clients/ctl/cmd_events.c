/* cmd_events.c - events: a line for each, until something ends it. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "clients/ctl/ctl.h"

struct listening {
	struct ctl *ctl;
	const char *network; /* NULL: all */
	uint32_t left;       /* events until the end */
	bool endless;
	bool over;
};

static uint64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void on_notice(struct feth_conn *conn, const struct feth_notice *notice, void *user)
{
	struct listening *l = user;
	msgpack_unpacked params;
	size_t used = 0;
	(void)conn;
	if (l->over || !notice->params || !strcmp(notice->method, "protocol.error"))
		return;
	msgpack_unpacked_init(&params);
	if (msgpack_unpack_next(&params, (const char *)notice->params, notice->params_len, &used) ==
		MSGPACK_UNPACK_SUCCESS)
		l->ctl->out->event(l->ctl->out, now_ms(), notice->method, &params.data);
	msgpack_unpacked_destroy(&params);
	if (!l->endless && !--l->left)
		l->over = true;
	if (l->network && !strcmp(notice->method, "network.removed"))
		l->over = true;
	l->over |= l->ctl->out->failed || ferror(stdout); /* the end of main() says so */
}

static int subscribe(struct ctl *ctl, const struct args *args, const char *network)
{
	struct rpc_out params;
	ctl_params(&params, network);
	rpc_put_array(&params, "events");
	if (!args_flag(args, "event"))
		rpc_out_text(&params, "*");
	for (unsigned i = 0; i < args->n_given; i++)
		if (!strcmp(args->given[i].option->name, "event"))
			rpc_out_text(&params, args->given[i].value);
	rpc_out_close(&params);
	return ctl_call(ctl, "event.subscribe", &params, "hear of events", "", NULL);
}

int cmd_events(struct ctl *ctl, const struct args *args)
{
	struct listening l = { .ctl = ctl };
	struct feth_frame frame; /* none can come: this is no port */
	if (args->n_operands && !(l.network = args_operand_name(args, 0, "network")))
		return CTL_FAILED;
	const int has_count = args_uint(args, "count", &l.left);
	if (has_count < 0)
		return CTL_FAILED;
	if (has_count && !l.left)
		return ctl_fail("--count 0: it must be 1 or more");
	l.endless = !has_count;
	if (l.network ? ctl_connect_observer(ctl, l.network) : ctl_connect(ctl, NULL))
		return CTL_FAILED;
	feth_on_notice(ctl->conn, on_notice, &l);
	int rc = subscribe(ctl, args, l.network);
	if (rc)
		return rc;
	while (!l.over) {
		rc = feth_recv(ctl->conn, &frame, 1, FETH_FOREVER);
		if (rc < 0 && rc != -EINTR && !l.over)
			return ctl_fail("no more events: %s", feth_error(ctl->conn));
	}
	return 0;
}
