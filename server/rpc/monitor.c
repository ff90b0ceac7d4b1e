/* monitor.c - the field `monitor` of attach: what somebody who watches wants to see. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/monitor.h"
#include "server/rpc/method.h"

static int bad(struct err *err, const char *what)
{
	return bad_field(err, "monitor", what);
}

static int want_snaplen(const msgpack_object_map *map, struct monitor_conf *conf, struct err *err)
{
	uint64_t n = MONITOR_SNAPLEN_MAX;
	if (rpc_get_uint(map, "snaplen", &n) == RPC_FIELD_BAD || !n || n > MONITOR_SNAPLEN_MAX)
		return bad(err,
			"snaplen must be a whole number, 1 to 65549; without it frames come "
			"whole");
	conf->snaplen = (uint32_t)n;
	return 0;
}

static int want_port(const msgpack_object_map *map, struct monitor_conf *conf, struct err *err)
{
	const msgpack_object *o;
	uint64_t n;
	const enum rpc_field f = rpc_get(map, "port", &o);
	conf->port = PORT_NONE;
	if (f == RPC_FIELD_ABSENT)
		return 0;
	conf->one = true;
	if (rpc_get_uint(map, "port", &n) == RPC_FIELD_OK && n < FDB_PORTS) {
		conf->port = (uint16_t)n;
		return 0;
	}
	if (rpc_get_text(map, "port", conf->name, sizeof(conf->name)) == RPC_FIELD_OK &&
		name_valid(conf->name))
		return 0;
	return bad(err, "port must be a port's number or name");
}

/* One number of an instruction. */
static bool number(const msgpack_object *o, uint64_t max, uint32_t *out)
{
	if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > max)
		return false;
	*out = (uint32_t)o->via.u64;
	return true;
}

static bool want_step(const msgpack_object *o, struct bpf_step *out)
{
	uint32_t code, jt, jf, k;
	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != 4)
		return false;
	const msgpack_object *v = o->via.array.ptr;
	if (!number(&v[0], UINT16_MAX, &code) || !number(&v[1], UINT8_MAX, &jt) ||
		!number(&v[2], UINT8_MAX, &jf) || !number(&v[3], UINT32_MAX, &k))
		return false;
	*out = (struct bpf_step){ (uint16_t)code, (uint8_t)jt, (uint8_t)jf, k };
	return true;
}

static int want_filter(const msgpack_object_map *map, struct monitor_conf *conf, struct err *err)
{
	const msgpack_object_array *list;
	unsigned at;
	switch (rpc_get_array(map, "filter", &list)) {
	case RPC_FIELD_ABSENT:
		return 0;
	case RPC_FIELD_BAD:
		return bad(err, "filter must be an array of instructions [code, jt, jf, k]");
	case RPC_FIELD_OK:
		break;
	}
	if (list->size > BPF_STEPS_MAX)
		return err_set(err, -E2BIG,
			"monitor: filter has %u instructions; at most %u can be run for each frame",
			(unsigned)list->size, BPF_STEPS_MAX);
	for (uint32_t i = 0; i < list->size; i++)
		if (!want_step(&list->ptr[i], &conf->steps[i]))
			return err_set(err, -EINVAL,
				"monitor: instruction %u of filter must be [code, jt, jf, k], "
				"whole "
				"numbers of 16, 8, 8 and 32 bits",
				(unsigned)i);
	conf->n_steps = (uint16_t)list->size;
	const char *why = bpf_check(conf->steps, conf->n_steps, &at);
	if (!why)
		return 0;
	if (!list->size)
		return bad(err, "filter is empty; leave it out to see every frame");
	return err_set(err, -EINVAL, "monitor: instruction %u of filter %s", at, why);
}

int want_monitor(const msgpack_object_map *params, struct monitor_conf **out, struct err *err)
{
	static const msgpack_object_map all = { 0 };
	const msgpack_object *o;
	const enum rpc_field f = rpc_get(params, "monitor", &o);
	if (f == RPC_FIELD_ABSENT)
		return 0;
	const bool is_bool = f == RPC_FIELD_OK && o->type == MSGPACK_OBJECT_BOOLEAN;
	const bool is_map = f == RPC_FIELD_OK && o->type == MSGPACK_OBJECT_MAP;
	if (!is_bool && !is_map)
		return bad(err, "must be given once, as true or a map of snaplen, filter and port");
	if (is_bool && !o->via.boolean)
		return 0;
	struct monitor_conf *conf = calloc(1, sizeof(*conf));
	if (!conf)
		return err_set(err, -ENOMEM, "out of memory");
	const msgpack_object_map *map = is_map ? &o->via.map : &all;
	int rc = want_snaplen(map, conf, err);
	if (!rc)
		rc = want_port(map, conf, err);
	if (!rc)
		rc = want_filter(map, conf, err);
	if (rc < 0)
		free(conf);
	else
		*out = conf;
	return rc;
}

bool wants_monitor(const msgpack_object_map *params)
{
	bool monitor = true;
	return rpc_get_bool(params, "monitor", &monitor) != RPC_FIELD_ABSENT && monitor;
}
