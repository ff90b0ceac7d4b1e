/* ctl.c - see ctl.h: reaching the daemon, calling it, and saying why that failed. */
#include "clients/ctl/ctl.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* -- sentences -- */

__attribute__((format(printf, 1, 0))) static void print_sentence(const char *fmt, va_list ap)
{
	char text[2048];
	vsnprintf(text, sizeof(text), fmt, ap);
	fputs("fethctl: ", stderr);
	out_print_text(stderr, text, strlen(text));
}

int ctl_fail(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	print_sentence(fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CTL_FAILED;
}

int ctl_usage(const struct command *cmd, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	print_sentence(fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see `fethctl help%s%s`\n", cmd ? " " : "", cmd ? cmd->name : "");
	return CTL_USAGE;
}

/* -- connecting -- */

static int socket_path(struct ctl *ctl, const char *network)
{
	const int rc = feth_socket_path(ctl->run_dir, network, ctl->socket, sizeof(ctl->socket));
	if (rc < 0)
		ctl->socket[0] = '\0';
	return rc;
}

int ctl_try_connect(struct ctl *ctl)
{
	const int rc = socket_path(ctl, NULL);
	return rc < 0 ? rc : feth_open(&ctl->conn, ctl->socket, NULL);
}

int ctl_try_observer(struct ctl *ctl, const char *network)
{
	int rc = ctl_try_connect(ctl);
	if (!network || (rc != -EACCES && rc != -EPERM))
		return rc;
	rc = socket_path(ctl, network);
	return rc < 0 ? rc : feth_open(&ctl->conn, ctl->socket, NULL);
}

#ifdef __linux__
#define START_AS_USER "`fethd --rootless` (or `sudo fethd`)"
#else
#define START_AS_USER "`sudo fethd`"
#endif

static int no_daemon(const char *socket)
{
	return ctl_fail("no daemon answers at %s: start it with %s, or say where it is with "
			"--run-dir",
		socket, geteuid() ? START_AS_USER : "`fethd`");
}

static int not_allowed(const char *socket)
{
	struct stat st;
	const bool known = !stat(socket, &st) && st.st_gid != 0;
	const struct group *group = known ? getgrgid(st.st_gid) : NULL;
	return ctl_fail("you may not connect to %s: use root%s%s", socket,
		group ? ", or join the group " : "", group ? group->gr_name : "");
}

/* Says why a network's socket is not there: no daemon, or no such network. */
static int no_network(struct ctl *ctl, const char *network)
{
	char missing[sizeof(ctl->socket)];
	struct feth_conn *conn;
	memcpy(missing, ctl->socket, sizeof(missing));
	int rc = socket_path(ctl, NULL);
	if (!rc)
		rc = feth_open(&conn, ctl->socket, NULL);
	if (rc == -ENOENT || rc == -ECONNREFUSED)
		return no_daemon(ctl->socket);
	if (!rc)
		feth_close(conn);
	return ctl_fail("there is no network %s (nothing listens at %s): `fethctl list` shows all "
			"there are, `fethctl create %s` makes it",
		network, missing, network);
}

static int connect_failed(struct ctl *ctl, const char *network, int rc)
{
	switch (rc) {
	case -ENOENT:
	case -ENOTDIR:
	case -ECONNREFUSED:
		return network ? no_network(ctl, network) : no_daemon(ctl->socket);
	case -EACCES:
	case -EPERM:
		return not_allowed(ctl->socket);
	case -ENAMETOOLONG:
		return ctl_fail("the path of the socket in %s is too long: use a shorter --run-dir",
			ctl->run_dir ? ctl->run_dir : "the run directory");
	case -ETIMEDOUT:
		return ctl_fail(
			"the daemon at %s accepts no connections: look at its log", ctl->socket);
	default:
		return ctl_fail("cannot connect to %s: %s", ctl->socket, strerror(-rc));
	}
}

int ctl_connect(struct ctl *ctl, const char *network)
{
	int rc = socket_path(ctl, network);
	if (!rc)
		rc = feth_open(&ctl->conn, ctl->socket, NULL);
	return rc < 0 ? connect_failed(ctl, network, rc) : 0;
}

int ctl_connect_observer(struct ctl *ctl, const char *network)
{
	const int rc = ctl_try_connect(ctl);
	if (rc == -EACCES || rc == -EPERM)
		return ctl_connect(ctl, network);
	return rc < 0 ? connect_failed(ctl, NULL, rc) : 0;
}

/* -- calling -- */

void ctl_params(struct rpc_out *params, const char *network)
{
	rpc_out_init(params);
	rpc_out_map(params);
	if (network)
		rpc_put_text(params, "network", network);
}

/* The daemon's sentences say why, and what to do. */
static int call_failed(
	const struct ctl *ctl, const char *verb, const char *object, const struct feth_reply *reply)
{
	if (ctl->may_be_gone && !strcmp(reply->code, "not_found"))
		return CTL_GONE;
	return ctl_fail("cannot %s%s%s: %s", verb, *object ? " " : "", object, reply->message);
}

/* Copies a result where it may stay, and reads it. */
static int keep_result(struct ctl *ctl, const struct feth_reply *reply, msgpack_object *out)
{
	size_t used = 0;
	char *copy = msgpack_zone_malloc(&ctl->zone, reply->result_len);
	if (!copy)
		return ctl_fail("out of memory");
	memcpy(copy, reply->result, reply->result_len);
	if (msgpack_unpack(copy, reply->result_len, &used, &ctl->zone, out) !=
		MSGPACK_UNPACK_SUCCESS)
		return ctl_fail("out of memory");
	return 0;
}

int ctl_call(struct ctl *ctl, const char *method, struct rpc_out *params, const char *verb,
	const char *object, struct ctl_result *result)
{
	struct feth_reply reply;
	int status = 0;
	rpc_out_close(params);
	if (!rpc_out_ok(params)) {
		rpc_out_fini(params);
		return ctl_fail("cannot %s %s: the call would be too long", verb, object);
	}
	const int rc = feth_call(ctl->conn, method, (const uint8_t *)params->buf.data,
		params->buf.size, &reply, CTL_TIMEOUT_MS);
	rpc_out_fini(params);
	if (rc < 0)
		return call_failed(ctl, verb, object, &reply);

	if (result) {
		memset(result, 0, sizeof(*result));
		status = keep_result(ctl, &reply, &result->value);
	}
	for (unsigned i = 0; i < reply.n_fds; i++) {
		if (result && !status)
			result->fds[result->n_fds++] = reply.fds[i];
		else
			close(reply.fds[i]);
	}
	return status;
}

/* Adds `after` as the server gave it: it may be of any type. */
static void put_after(struct rpc_out *params, const msgpack_object *after)
{
	msgpack_sbuffer buf;
	msgpack_packer pk;
	msgpack_sbuffer_init(&buf);
	msgpack_packer_init(&pk, &buf, msgpack_sbuffer_write);
	if (msgpack_pack_object(&pk, *after) < 0) {
		params->failed = true;
	} else {
		rpc_out_text(params, "after");
		rpc_out_raw(params, (const uint8_t *)buf.data, buf.size);
	}
	msgpack_sbuffer_destroy(&buf);
}

int ctl_list(struct ctl *ctl, const char *method, const char *network, const char *verb,
	const char *object, struct rows *rows, msgpack_object *first)
{
	const msgpack_object *after = NULL;
	memset(rows, 0, sizeof(*rows));
	do {
		struct rpc_out params;
		struct ctl_result page;
		ctl_params(&params, network);
		rpc_put_uint(&params, "limit", 256); /* the most that may be asked for */
		if (after)
			put_after(&params, after);
		const int status = ctl_call(ctl, method, &params, verb, object, &page);
		if (status)
			return status;
		if (first && !after)
			*first = page.value;

		const msgpack_object *items = out_get(&page.value, "items");
		const bool good = items && items->type == MSGPACK_OBJECT_ARRAY;
		after = out_get(&page.value, "next");
		if (!good || (after && !items->via.array.size))
			return ctl_fail("cannot %s %s: the daemon's answer is not as documented",
				verb, object);
		for (uint32_t i = 0; i < items->via.array.size; i++)
			if (!rows_add(rows, &items->via.array.ptr[i]))
				return ctl_fail("out of memory");
	} while (after);
	return 0;
}

int ctl_show_list(struct ctl *ctl, const struct args *args, const char *method, const char *verb,
	const struct out_field *fields, size_t n_fields)
{
	struct rows rows;
	const char *network = args_operand_name(args, 0, "network");
	if (!network || ctl_connect_observer(ctl, network))
		return CTL_FAILED;
	const int status = ctl_list(ctl, method, network, verb, network, &rows, NULL);
	if (!status)
		ctl->out->table(ctl->out, fields, n_fields, &rows, NULL);
	rows_fini(&rows);
	return status;
}
