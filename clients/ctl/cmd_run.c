/* cmd_run.c - run: a program with a port of a network at a descriptor.
 *
 * The network's own socket suffices, so that its users need no access to control.sock. The program
 * takes the place of fethctl: its signals, its exit status and the port's life are its own. */
#include "clients/ctl/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/ctl/rules.h"
#include "protocol/text.h"

/* Where programs look for it that know socket_vmnet_client. */
#define PORT_FD 3u
/* Below it the standard ones are; above no shell could name it, and few limits let it be. */
#define PORT_FD_MAX 1023u

/* What a port may speak, and where the same can be had by connecting. */
struct run_kind {
	const char *name;
	const char *socket; /* in the network's directory */
	bool connects;      /* the program must: there is no descriptor to pass */
};

static const struct run_kind kinds[] = {
	{ "qemu", "qemu.sock", false }, { "native", "feth.sock", false },
	{ "dgram", "dgram/sock", false }, { "seqpacket", "seqpacket.sock", false },
	{ "vde", "vde", true }, /* what programs want to know is the folder that ctl is in */
};

struct run {
	const struct run_kind *kind;
	const char *network;
	uint32_t fd; /* where the program finds it */
};

int exec_command(char *const argv[])
{
	fflush(stdout);
	execvp(argv[0], argv);
	const int rc = errno;
	ctl_fail("cannot run %s: %s", argv[0], strerror(rc));
	return rc == ENOENT ? EXEC_NOT_FOUND : EXEC_NOT_RUN;
}

/* Puts `fd` at `wanted`, whatever was there, to be inherited. Return: 0 or -errno, `fd` is closed
 */
static int place(int fd, int wanted)
{
	if (fd == wanted)
		return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
	const int rc = dup2(fd, wanted) < 0 ? -errno : 0; /* the copy has no FD_CLOEXEC */
	close(fd);
	return rc;
}

static int set_text(const char *name, const msgpack_object *value)
{
	char text[64];
	if (!value || !rpc_text(value, text, sizeof(text)))
		return -EPROTO;
	return setenv(name, text, 1) < 0 ? -errno : 0;
}

static int set_number(const char *name, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRIu64, value);
	return setenv(name, text, 1) < 0 ? -errno : 0;
}

/* The socket of this kind stands beside feth.sock. */
static int set_socket(const struct ctl *ctl, const struct run_kind *kind)
{
	char path[sizeof(ctl->socket) + 16];
	const char *slash = strrchr(ctl->socket, '/');
	const int dir = slash ? (int)(slash + 1 - ctl->socket) : 0;
	snprintf(path, sizeof(path), "%.*s%s", dir, ctl->socket, kind->socket);
	return setenv("FETH_SOCKET", path, 1) < 0 ? -errno : 0;
}

/* @result: of port.open or, where the program connects, of network.show. What is not so is not
 * left from another run either. */
static int set_environment(
	const struct ctl *ctl, const struct run *run, const msgpack_object *result)
{
	const msgpack_object *mtu = out_get(result, "mtu");
	if (!mtu || mtu->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return -EPROTO;
	int rc = set_number("FETH_MTU", mtu->via.u64);
	if (!rc)
		rc = set_socket(ctl, run->kind);
	if (!rc && setenv("FETH_NET", run->network, 1) < 0)
		rc = -errno;
	if (!rc && run->kind->connects) {
		unsetenv("FETH_FD");
		unsetenv("FETH_MAC");
		return 0;
	}
	if (!rc)
		rc = set_number("FETH_FD", run->fd);
	return rc ? rc : set_text("FETH_MAC", out_get(result, "mac"));
}

static int find_kind(const struct args *args, const struct run_kind **out)
{
	const char *name = args_value(args, "kind");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!name || !strcmp(kinds[i].name, name)) {
			*out = &kinds[i];
			return 0;
		}
	return ctl_usage(args->cmd, "--kind %s: it is qemu, native, dgram, seqpacket or vde", name);
}

static int find_fd(const struct args *args, uint32_t *out)
{
	*out = PORT_FD;
	if (args_uint(args, "fd", out) < 0)
		return CTL_FAILED;
	if (*out < PORT_FD || *out > PORT_FD_MAX)
		return ctl_fail("--fd %u: it must be %u to %u", *out, PORT_FD, PORT_FD_MAX);
	return 0;
}

/* The port of a program that connects is made when it does: nothing can be said of it before. */
static int show_network(
	struct ctl *ctl, const struct args *args, const struct run *run, struct ctl_result *result)
{
	struct rpc_out params;
	for (unsigned i = 0; i < args->n_given; i++)
		if (strcmp(args->given[i].option->name, "kind") != 0)
			return ctl_fail("--%s: with --kind %s the program connects by itself, and "
					"to a port of its own; declare that with `fethctl port add "
					"%s NAME --kind %s`, with --mac MAC --lock for an address",
				args->given[i].option->name, run->kind->name, run->network,
				run->kind->name);
	if (ctl_connect(ctl, run->network))
		return CTL_FAILED;
	ctl_params(&params, NULL);
	return ctl_call(ctl, "network.show", &params, "show network", run->network, result);
}

/* Gets the port; its descriptor and result are in *port. */
static int open_port(
	struct ctl *ctl, const struct args *args, const struct run *run, struct ctl_result *port)
{
	struct rpc_out params;
	struct feth_mac mac;
	const char *name = NULL;
	if (args_name(args, "name", &name) < 0)
		return CTL_FAILED;
	const int has_mac = args_mac(args, "mac", &mac);
	if (has_mac < 0)
		return CTL_FAILED;
	ctl_params(&params, NULL); /* the socket says which network */
	rpc_put_text(&params, "kind", run->kind->name);
	if (name)
		rpc_put_text(&params, "name", name);
	if (has_mac) {
		rpc_put_mac(&params, "mac", mac);
		rpc_put_bool(&params, "locked", true);
	}
	if (rules_put(args, &params) || ctl_connect(ctl, run->network)) {
		rpc_out_fini(&params);
		return CTL_FAILED;
	}
	if (ctl_call(ctl, "port.open", &params, "open a port of network", run->network, port))
		return CTL_FAILED;
	if (port->n_fds != 1)
		return ctl_fail("cannot open a port of network %s: no descriptor came with it",
			run->network);
	return 0;
}

int cmd_run(struct ctl *ctl, const struct args *args)
{
	struct ctl_result result;
	struct run run = { .network = args_operand_name(args, 0, "network") };
	if (!args->command)
		return ctl_usage(args->cmd, "run: which command? It goes behind --");
	if (!run.network)
		return CTL_FAILED;
	int status = find_kind(args, &run.kind);
	if (!status)
		status = find_fd(args, &run.fd);
	if (!status)
		status = run.kind->connects ? show_network(ctl, args, &run, &result)
					    : open_port(ctl, args, &run, &result);
	if (status)
		return status;

	/* The connection may itself be where the port belongs. The port lives on without it. */
	feth_close(ctl->conn);
	ctl->conn = NULL;
	int rc = run.kind->connects ? 0 : place(result.fds[0], (int)run.fd);
	if (!rc)
		rc = set_environment(ctl, &run, &result.value);
	if (rc < 0)
		return ctl_fail("cannot prepare %s: %s", args->command[0], strerror(-rc));
	return exec_command(args->command);
}
