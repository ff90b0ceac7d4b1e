/* apply.h - what network.apply shares with the files that stand for it. */
#ifndef SERVER_RPC_APPLY_H
#define SERVER_RPC_APPLY_H

#include "server/core/apply.h"
#include "server/rpc/method.h"

/* Whether the settings of two networks, as results show them, are the same. */
bool facts_same(const struct network_facts *a, const struct network_facts *b);

#endif
