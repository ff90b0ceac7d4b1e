/* rules.c - the rules of ports (core/rules.h) as fields of params and results. */
#include <errno.h>

#include "server/core/sendq.h"
#include "server/rpc/method.h"

/* RFC 791, 3.2: every link carries 68 bytes of IPv4; with a header and a tag before them. */
#define CAP_MIN 86u
/* One page: less would be under a frame of the usual MTU, and none could ever wait. */
#define QUEUE_MIN 4096u
/* Beyond 1 to 3 MiB a queue makes nothing faster (limits.md, 4), only older; and sixteen such
 * clients are the network's 64 MiB (BLOCK_POOL_LIMIT). */
#define QUEUE_MAX (4u * 1024u * 1024u)

static int want_truth(const msgpack_object_map *params, const char *field, uint32_t bit, bool *out,
	struct port_rules *rules, struct err *err)
{
	bool has;
	const int rc = want_bool(params, field, &has, out, err);
	if (!rc && has)
		rules->given |= bit;
	return rc;
}

/* @min, @max: beside 0 where @none says that this stands for no limit. */
static int want_number(const msgpack_object_map *params, const char *field, uint32_t bit,
	uint32_t min, uint32_t max, uint32_t *out, struct port_rules *rules, struct err *err)
{
	bool has;
	const int rc = want_u32(params, field, &has, out, err);
	if (rc < 0 || !has)
		return rc;
	if (*out < min || *out > max)
		return err_set(err, -EINVAL, "%s: %u is out of range; %u to %u are possible", field,
			*out, min, max);
	rules->given |= bit;
	return 0;
}

static int want_macs(const msgpack_object_map *params, struct port_rules *rules, struct err *err)
{
	const msgpack_object_array *list;
	const enum rpc_field f = rpc_get_array(params, "macs", &list);
	if (f == RPC_FIELD_ABSENT)
		return 0;
	if (f == RPC_FIELD_BAD)
		return bad_field(
			err, "macs", "must be an array of texts such as \"02:00:00:00:00:01\"");
	if (list->size > PORT_MACS_MAX)
		return err_set(err, -E2BIG, "macs: at most %u are possible", PORT_MACS_MAX);
	for (uint32_t i = 0; i < list->size; i++) {
		char text[MAC_TEXT];
		struct feth_mac mac;
		if (!rpc_text(&list->ptr[i], text, sizeof(text)) || !mac_parse(&mac, text))
			return bad_field(err, "macs", "a MAC address looks like 02:00:00:00:00:01");
		if (mac_is_group(mac) || mac_is_zero(mac))
			return bad_field(
				err, "macs", "one of them is not that of a single station");
		for (unsigned k = 0; k < i; k++)
			if (mac_equal(mac, rules->macs[k]))
				return err_set(err, -EINVAL, "macs: %s is given twice", text);
		rules->macs[i] = mac;
	}
	rules->n_macs = (uint8_t)list->size;
	rules->given |= RULE_MACS;
	return 0;
}

int want_rules(const msgpack_object_map *params, struct port_rules *r, struct err *err)
{
	const uint32_t any = UINT32_MAX;
	int rc = want_truth(params, "isolated", RULE_ISOLATED, &r->isolated, r, err);
	if (!rc)
		rc = want_truth(params, "up", RULE_UP, &r->up, r, err);
	if (!rc)
		rc = want_truth(params, "loop_guard", RULE_LOOP_GUARD, &r->loop_guard, r, err);
	if (!rc)
		rc = want_truth(params, "raw_offload", RULE_RAW_OFFLOAD, &r->raw_offload, r, err);
	if (!rc)
		rc = want_number(params, "cap", RULE_CAP, CAP_MIN, FETH_FRAME_MAX, &r->cap, r, err);
	if (!rc)
		rc = want_number(
			params, "queue", RULE_QUEUE, QUEUE_MIN, QUEUE_MAX, &r->queue, r, err);
	if (!rc)
		rc = want_number(params, "rx_rate", RULE_RX_RATE, 0, any, &r->rx_rate, r, err);
	if (!rc)
		rc = want_number(params, "tx_rate", RULE_TX_RATE, 0, any, &r->tx_rate, r, err);
	if (!rc)
		rc = want_number(params, "storm", RULE_STORM, 0, any, &r->storm, r, err);
	if (!rc)
		rc = want_vlan(params, r, err);
	return rc < 0 ? rc : want_macs(params, r, err);
}

int want_defaults(
	const msgpack_object_map *params, bool *has, struct port_rules *out, struct err *err)
{
	static const char *const own[] = { "mac", "macs", "locked" };
	struct err why = { 0 };
	const msgpack_object *o;
	const enum rpc_field f = rpc_get(params, "defaults", &o);
	if (f == RPC_FIELD_ABSENT)
		return 0;
	if (f == RPC_FIELD_BAD || o->type != MSGPACK_OBJECT_MAP)
		return bad_field(err, "defaults", "must be a map of the rules of ports");
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (rpc_get(&o->via.map, own[i], &(const msgpack_object *){ NULL }) !=
			RPC_FIELD_ABSENT)
			return err_set(err, -EINVAL,
				"defaults: %s is of one port; say it where that is declared",
				own[i]);
	*has = true;
	if (want_rules(&o->via.map, out, &why) < 0)
		return err_set(err, why.code, "defaults: %s", why.text);
	return 0;
}

void pack_rules(const struct port_rules *rules, struct rpc_out *out)
{
	if (rules->given & RULE_ISOLATED)
		rpc_put_bool(out, "isolated", rules->isolated);
	if (rules->given & RULE_UP)
		rpc_put_bool(out, "up", rules->up);
	if (rules->given & RULE_QUEUE)
		rpc_put_uint(out, "queue", rules->queue);
	if (rules->given & RULE_RX_RATE)
		rpc_put_uint(out, "rx_rate", rules->rx_rate);
	if (rules->given & RULE_TX_RATE)
		rpc_put_uint(out, "tx_rate", rules->tx_rate);
	if (rules->given & RULE_STORM)
		rpc_put_uint(out, "storm", rules->storm);
	if (rules->given & RULE_LOOP_GUARD)
		rpc_put_bool(out, "loop_guard", rules->loop_guard);
	if (rules->given & RULE_RAW_OFFLOAD)
		rpc_put_bool(out, "raw_offload", rules->raw_offload);
	if (rules->given & RULE_VLAN)
		pack_vlan(&rules->vlan, out);
}

void pack_defaults(const struct port_rules *rules, struct rpc_out *out)
{
	pack_rules(rules, out);
	if (rules->given & RULE_CAP)
		rpc_put_uint(out, "cap", rules->cap);
}
