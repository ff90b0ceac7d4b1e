/* command.c - see command.h. */
#include "server/core/command.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/apply.h"

struct command *command_new(enum command_kind kind)
{
	struct command *cmd = calloc(1, sizeof(*cmd));
	if (cmd)
		cmd->kind = kind;
	return cmd;
}

void command_free(struct command *cmd)
{
	if (!cmd)
		return;
	free(cmd->items.any);
	free(cmd->monitor);
	apply_free(cmd->apply);
	reload_free(cmd->reload);
	free(cmd);
}

void daemon_counters_add(struct daemon_counters *sum, const struct daemon_counters *more)
{
	sum->accepted += more->accepted;
	sum->denied += more->denied;
	sum->slow += more->slow;
	sum->protocol_error += more->protocol_error;
	sum->ignored += more->ignored;
	sum->revoked += more->revoked;
	sum->unreachable += more->unreachable;
}

const char *port_kind_name(enum port_kind kind)
{
	switch (kind) {
	case PORT_KIND_HOST:
		return "host";
	case PORT_KIND_NATIVE:
		return "native";
	case PORT_KIND_QEMU:
		return "qemu";
	case PORT_KIND_TAP:
		return "tap";
	case PORT_KIND_DGRAM:
		return "dgram";
	case PORT_KIND_SEQPACKET:
		return "seqpacket";
	case PORT_KIND_VDE:
		return "vde";
	case PORT_KIND_UDP:
		return "udp";
	}
	return "?";
}

bool port_kind_find(const char *name, enum port_kind *out)
{
	for (unsigned kind = 0; kind < PORT_KINDS; kind++) {
		if (strcmp(port_kind_name((enum port_kind)kind), name) != 0)
			continue;
		*out = (enum port_kind)kind;
		return true;
	}
	return false;
}
