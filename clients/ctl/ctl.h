/* ctl.h - one run of fethctl: the command table's types, and what all commands share.
 *
 * A command reads its arguments (options.h), makes calls over libfeth, and gives what came back to
 * `struct out` (out.h). It returns the exit status: 0, CTL_FAILED with one sentence on standard
 * error, or CTL_USAGE. */
#ifndef CLIENTS_CTL_CTL_H
#define CLIENTS_CTL_CTL_H

#include <stdbool.h>

#include "clients/ctl/options.h"
#include "clients/ctl/out.h"
#include "feth/client.h"
#include "protocol/rpc.h"

#define CTL_FAILED 1
#define CTL_USAGE 2
#define CTL_GONE (-1) /* see ctl.may_be_gone; never an exit status */
/* Making a network may wait for the kernel and for udev; nothing else takes long. */
#define CTL_TIMEOUT_MS 30000

struct ctl {
	const char *run_dir; /* --run-dir; NULL: search */
	bool json;
	struct out *out;        /* owned */
	struct feth_conn *conn; /* owned; NULL before ctl_connect() */
	char socket[128];       /* where it leads */
	bool may_be_gone;  /* a call that says not_found returns CTL_GONE, without a sentence */
	msgpack_zone zone; /* results live here until the end */
};

struct command {
	const char *name;             /* one word or two: "port add" */
	const char *usage;            /* what follows the name */
	const char *summary;          /* one line of `fethctl help` */
	const char *text;             /* more of `fethctl help NAME`; NULL for none */
	const struct option *options; /* ends with an empty name; NULL for none */
	unsigned min, max;            /* operands */
	bool command;                 /* takes `-- CMD…` */
	int (*run)(struct ctl *ctl, const struct args *args);
};

extern const struct command commands[]; /* ends with an empty name */

/* Finds `first` or `first second`. *more: `first` begins a command of two words. NULL: none. */
const struct command *command_find(const char *first, const char *second, bool *more);

/* One sentence on standard error, behind "fethctl: "; what a server sent may be in it. Return:
 * CTL_FAILED */
int ctl_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same for a wrong command line, with a pointer to the help. Return: CTL_USAGE */
int ctl_usage(const struct command *cmd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * ctl_connect() - reach the daemon
 * @network:	NULL: control.sock; else this network's feth.sock, which its users may open
 *
 * Return: 0, or CTL_FAILED after a sentence
 */
int ctl_connect(struct ctl *ctl, const char *network);

/* For what both sockets answer: control.sock, or the network's own for who may not open that, such
 * as its owner. */
int ctl_connect_observer(struct ctl *ctl, const char *network);

/* The same as ctl_connect(ctl, NULL), but without a sentence: 0 or a negative errno. */
int ctl_try_connect(struct ctl *ctl);
/* Likewise as ctl_connect_observer(); NULL: control.sock alone. */
int ctl_try_observer(struct ctl *ctl, const char *network);

/* Begins the params of a call; `network` is its first field unless NULL. Fields may follow. */
void ctl_params(struct rpc_out *params, const char *network);

struct ctl_result {
	msgpack_object value;  /* lives as long as the zone */
	int fds[FETH_FDS_MAX]; /* given */
	unsigned n_fds;
};

/**
 * ctl_call() - make a call and wait
 * @params:	from ctl_params(); ended and freed here, whatever happens
 * @verb:	for the sentence: "create network"
 * @object:	likewise: "lab"; "" for none
 * @result:	out; NULL: not wanted
 *
 * Return: 0; CTL_FAILED after "fethctl: cannot VERB OBJECT: why"
 */
int ctl_call(struct ctl *ctl, const char *method, struct rpc_out *params, const char *verb,
	const char *object, struct ctl_result *result);

/**
 * ctl_list() - call a list method until the end of the list
 * @network:	NULL where the method takes none
 * @rows:	out: all items; rows_fini() it, also after failure
 * @first:	out: the result of the first call, for what stands beside the items; NULL: not
 * wanted
 */
int ctl_list(struct ctl *ctl, const char *method, const char *network, const char *verb,
	const char *object, struct rows *rows, msgpack_object *first);

/* A whole command: the list that @method gives of the network that is the first operand, as a
 * table. @verb: "list the ports of network". */
int ctl_show_list(struct ctl *ctl, const struct args *args, const char *method, const char *verb,
	const struct out_field *fields, size_t n_fields);

/* stats --watch: prints rates every so many seconds, @count times (0: for ever). */
int ctl_watch(struct ctl *ctl, const char *network, uint32_t seconds, uint32_t count);

/* The commands, by file. */
int cmd_create(struct ctl *ctl, const struct args *args);
int cmd_delete(struct ctl *ctl, const struct args *args);
int cmd_reload(struct ctl *ctl, const struct args *args);
int cmd_list(struct ctl *ctl, const struct args *args);
int cmd_show(struct ctl *ctl, const struct args *args);
int cmd_set(struct ctl *ctl, const struct args *args);
int cmd_port_list(struct ctl *ctl, const struct args *args);
int cmd_port_add(struct ctl *ctl, const struct args *args);
int cmd_port_set(struct ctl *ctl, const struct args *args);
int cmd_port_remove(struct ctl *ctl, const struct args *args);
int cmd_fdb(struct ctl *ctl, const struct args *args);
int cmd_fdb_flush(struct ctl *ctl, const struct args *args);
int cmd_groups(struct ctl *ctl, const struct args *args);
int cmd_events(struct ctl *ctl, const struct args *args);
int cmd_capture(struct ctl *ctl, const struct args *args);
int cmd_stats(struct ctl *ctl, const struct args *args);
int cmd_metrics(struct ctl *ctl, const struct args *args);
int cmd_top(struct ctl *ctl, const struct args *args);
int cmd_run(struct ctl *ctl, const struct args *args);
int cmd_enter(struct ctl *ctl, const struct args *args);
int cmd_daemon_show(struct ctl *ctl, const struct args *args);
int cmd_daemon_set(struct ctl *ctl, const struct args *args);
int cmd_daemon_stop(struct ctl *ctl, const struct args *args);
int cmd_version(struct ctl *ctl, const struct args *args);
int cmd_doctor(struct ctl *ctl, const struct args *args);
int cmd_help(struct ctl *ctl, const struct args *args);
/* `fethctl help rpc [METHOD]`; all where @method is NULL. */
int help_rpc(struct ctl *ctl, const char *method);
/* `fethctl help CMD`, or of everything where cmd is NULL. */
void help_print(const struct command *cmd);

#endif
