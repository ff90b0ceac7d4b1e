/* vlan.c - the field `vlan` of a port (core/vlan.h). */
#include <errno.h>

#include "server/rpc/method.h"

static const char how[] =
	"must be a VLAN of 1 to 4094 (an access port), a map of native and tagged (a trunk), or 0 "
	"(transparent)";

/* A number, or an array of the first and the last. */
static int want_range(const msgpack_object *o, struct vlan_rule *rule, struct err *err)
{
	const msgpack_object *ends = o;
	uint32_t n = 1;
	if (o->type == MSGPACK_OBJECT_ARRAY) {
		ends = o->via.array.ptr;
		n = o->via.array.size;
	}
	int rc = -EINVAL;
	if ((ends == o || n == 2) && ends[0].type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
		ends[n - 1].type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		rc = vlan_add(rule, ends[0].via.u64, ends[n - 1].via.u64);
	if (rc == -E2BIG)
		return err_set(err, rc,
			"vlan: tagged: %u ranges are possible, and these are more; join some",
			VLAN_RANGES);
	if (rc < 0)
		return bad_field(err, "vlan",
			"tagged must be VLANs of 1 to 4094, or arrays of the first and the last");
	return 0;
}

static int want_trunk(const msgpack_object_map *map, struct vlan_rule *rule, struct err *err)
{
	const msgpack_object_array *tagged;
	uint64_t native = 0;
	rule->kind = VLAN_TRUNK;
	if (rpc_get_uint(map, "native", &native) == RPC_FIELD_BAD || native > VLAN_MAX)
		return bad_field(err, "vlan", "native must be a VLAN of 1 to 4094, or 0 for none");
	rule->native = (uint16_t)native;
	switch (rpc_get_array(map, "tagged", &tagged)) {
	case RPC_FIELD_ABSENT:
		break;
	case RPC_FIELD_BAD:
		return bad_field(err, "vlan", "tagged must be an array of VLANs");
	case RPC_FIELD_OK:
		for (uint32_t i = 0; i < tagged->size; i++) {
			const int rc = want_range(&tagged->ptr[i], rule, err);
			if (rc < 0)
				return rc;
		}
		break;
	}
	if (!rule->native && !rule->n)
		return bad_field(err, "vlan",
			"this trunk carries nothing; give it a native VLAN or tagged ones");
	return 0;
}

int want_vlan(const msgpack_object_map *params, struct port_rules *rules, struct err *err)
{
	const msgpack_object *o;
	struct vlan_rule *rule = &rules->vlan;
	switch (rpc_get(params, "vlan", &o)) {
	case RPC_FIELD_ABSENT:
		return 0;
	case RPC_FIELD_BAD:
		return bad_field(err, "vlan", how);
	case RPC_FIELD_OK:
		break;
	}
	*rule = (struct vlan_rule){ .kind = VLAN_TRANSPARENT };
	rules->given |= RULE_VLAN;
	if (o->type == MSGPACK_OBJECT_MAP)
		return want_trunk(&o->via.map, rule, err);
	if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > VLAN_MAX)
		return bad_field(err, "vlan", how);
	if (o->via.u64) {
		rule->kind = VLAN_ACCESS;
		rule->native = (uint16_t)o->via.u64;
	}
	return 0;
}

void pack_vlan(const struct vlan_rule *rule, struct rpc_out *out)
{
	switch ((enum vlan_kind)rule->kind) {
	case VLAN_TRANSPARENT:
		return;
	case VLAN_ACCESS:
		rpc_put_uint(out, "vlan", rule->native);
		return;
	case VLAN_TRUNK:
		break;
	}
	rpc_put_map(out, "vlan");
	rpc_put_uint(out, "native", rule->native);
	rpc_put_array(out, "tagged");
	for (unsigned i = 0; i < rule->n; i++) {
		const struct vlan_range *r = &rule->tagged[i];
		if (r->from == r->to) {
			rpc_out_uint(out, r->from);
			continue;
		}
		rpc_out_array(out);
		rpc_out_uint(out, r->from);
		rpc_out_uint(out, r->to);
		rpc_out_close(out);
	}
	rpc_out_close(out);
	rpc_out_close(out);
}
