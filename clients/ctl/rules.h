/* rules.h - the settings of a port on the command line: --isolated on, --link down, ... */
#ifndef CLIENTS_CTL_RULES_H
#define CLIENTS_CTL_RULES_H

#include "clients/ctl/ctl.h"

/* Those of an option table that take rules. */
#define RULE_OPTIONS                                                                               \
	{ "isolated", "on|off", false, "reach the host and ports that are not isolated only" },    \
		{ "link", "up|down", false, "down: no frame in or out" },                          \
		{ "vlan", "N|TRUNK", false,                                                        \
			"access port of VLAN N; native=N,tagged=N,N-M; none" },                    \
		{ "cap", "BYTES", false, "longest frame, with its header and one tag" },           \
		{ "queue", "BYTES", false, "frames that may wait for its client" },                \
		{ "rx-rate", "RATE", false, "from the client, as 10Mbit or 2MB (a second); off" }, \
		{ "tx-rate", "RATE", false, "to the client" },                                     \
		{ "storm", "N|off", false, "flooded frames a second from the client" },            \
		{ "loop-guard", "on|off", false, "cut it where it brings back what was flooded" }, \
	{                                                                                          \
		"raw-offload", "on|off", false, "its frames owe work that nothing says: libkrun"   \
	}

/* Puts what was given into open params. Return: 0, or CTL_FAILED after a sentence */
int rules_put(const struct args *args, struct rpc_out *params);
/* The same for `--default RULE=VALUE`, as often as it is given, as `defaults`; `none` clears them.
 */
int rules_put_defaults(const struct args *args, struct rpc_out *params);

/* vlan.c: the value of `--vlan`; and what it is written as. */
int vlan_put(struct rpc_out *params, const char *field, const char *where, const char *value);
out_format vlan_text;

/* Of a port: what is not as usual. */
out_format rules_text;

#endif
