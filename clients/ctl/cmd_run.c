/* cmd_run.c - run: a program with a port of a network at descriptor 3.
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

#define PORT_FD 3
#define PORT_FD_TEXT "3"

int exec_command(char *const argv[])
{
	fflush(stdout);
	execvp(argv[0], argv);
	const int rc = errno;
	ctl_fail("cannot run %s: %s", argv[0], strerror(rc));
	return rc == ENOENT ? EXEC_NOT_FOUND : EXEC_NOT_RUN;
}

/* Puts `fd` at PORT_FD, whatever was there, to be inherited. Return: 0 or -errno, `fd` is closed */
static int place(int fd)
{
	if (fd == PORT_FD)
		return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
	const int rc = dup2(fd, PORT_FD) < 0 ? -errno : 0; /* the copy has no FD_CLOEXEC */
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

static int set_environment(const char *network, const msgpack_object *port)
{
	char mtu[24];
	const msgpack_object *value = out_get(port, "mtu");
	if (!value || value->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return -EPROTO;
	snprintf(mtu, sizeof(mtu), "%" PRIu64, value->via.u64);
	if (setenv("FETH_NET", network, 1) < 0 || setenv("FETH_FD", PORT_FD_TEXT, 1) < 0 ||
		setenv("FETH_MTU", mtu, 1) < 0)
		return -errno;
	return set_text("FETH_MAC", out_get(port, "mac"));
}

/* Gets the port; its descriptor and result are in *port. */
static int open_port(struct ctl *ctl, const struct args *args, struct ctl_result *port)
{
	struct rpc_out params;
	struct feth_mac mac;
	const char *name = NULL;
	const char *network = args_operand_name(args, 0, "network");
	if (!network || args_name(args, "name", &name) < 0)
		return CTL_FAILED;
	const int has_mac = args_mac(args, "mac", &mac);
	if (has_mac < 0)
		return CTL_FAILED;
	ctl_params(&params, NULL); /* the socket says which network */
	rpc_put_text(&params, "kind", "qemu");
	if (name)
		rpc_put_text(&params, "name", name);
	if (has_mac) {
		rpc_put_mac(&params, "mac", mac);
		rpc_put_bool(&params, "locked", true);
	}
	if (rules_put(args, &params) || ctl_connect(ctl, network)) {
		rpc_out_fini(&params);
		return CTL_FAILED;
	}
	if (ctl_call(ctl, "port.open", &params, "open a port of network", network, port))
		return CTL_FAILED;
	if (port->n_fds != 1)
		return ctl_fail(
			"cannot open a port of network %s: no descriptor came with it", network);
	return 0;
}

int cmd_run(struct ctl *ctl, const struct args *args)
{
	struct ctl_result port;
	if (!args->command)
		return ctl_usage(args->cmd, "run: which command? It goes behind --");
	const int status = open_port(ctl, args, &port);
	if (status)
		return status;

	/* The connection may itself be descriptor 3. The port lives on without it. */
	feth_close(ctl->conn);
	ctl->conn = NULL;
	int rc = place(port.fds[0]);
	if (!rc)
		rc = set_environment(args->operands[0], &port.value);
	if (rc < 0)
		return ctl_fail("cannot prepare %s: %s", args->command[0], strerror(-rc));
	return exec_command(args->command);
}
