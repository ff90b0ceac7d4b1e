/* prop_rpc.c - what the builders of rpc.h write is what its readers read; text forms likewise. */
#include "tests/support/test.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "protocol/rpc.h"
#include "protocol/text.h"
#include "protocol/wire.h"
#include "server/rpc/event.h"
#include "server/rpc/method.h"
#include "tests/support/bytes.h"
#include "tests/support/rng.h"

#define FIELDS_MAX 40u

struct field {
	char key[16];
	enum { UINT, BOOL, TEXT, NIL, ARRAY, MAP, KINDS } kind;
	uint64_t n; /* UINT, BOOL; ARRAY: its length, MAP: its only value */
	char text[80];
};

static void random_text(struct rng *rng, char *out, size_t size)
{
	static const char *const letters[] = { "a", "Z", " ", "\n", "\xc3\xa9", "\xe2\x82\xac",
		"\xf0\x9f\x98\x80", "\"" };
	size_t len = 0;
	out[0] = '\0';
	for (uint32_t n = rng_below(rng, 30); n; n--) {
		const char *letter = letters[rng_below(rng, 8)];
		if (len + strlen(letter) >= size)
			break;
		strcpy(out + len, letter);
		len += strlen(letter);
	}
}

/* Small numbers, and those around each width's end. */
static uint64_t random_number(struct rng *rng)
{
	const uint64_t v = rng_next(rng) >> rng_below(rng, 64);
	return rng_one_in(rng, 3) ? (UINT64_C(1) << rng_below(rng, 64)) - rng_below(rng, 2) : v;
}

static void write_field(struct rpc_out *out, struct rng *rng, struct field *f, unsigned i)
{
	snprintf(f->key, sizeof(f->key), "k%u", i);
	f->kind = rng_below(rng, KINDS);
	f->n = random_number(rng);
	switch (f->kind) {
	case UINT:
		rpc_put_uint(out, f->key, f->n);
		break;
	case BOOL:
		rpc_put_bool(out, f->key, f->n & 1);
		break;
	case TEXT:
		random_text(rng, f->text, sizeof(f->text));
		rpc_put_text(out, f->key, f->text);
		break;
	case NIL:
		rpc_out_text(out, f->key);
		rpc_out_nil(out);
		break;
	case ARRAY:
		f->n %= 20;
		rpc_put_array(out, f->key);
		for (uint64_t k = 0; k < f->n; k++)
			rpc_out_uint(out, k);
		rpc_out_close(out);
		break;
	case MAP:
	case KINDS:
		rpc_put_map(out, f->key);
		rpc_put_uint(out, "in", f->n);
		rpc_out_close(out);
		break;
	}
}

/* Every getter, whatever the field is: only the right one may say OK. */
static void read_field(const msgpack_object_map *map, const struct field *f)
{
	uint64_t n = 0;
	bool b = false;
	char text[80];
	const msgpack_object *o = NULL;
	const msgpack_object_array *a = NULL;
	const enum rpc_field other = f->kind == NIL ? RPC_FIELD_ABSENT : RPC_FIELD_BAD;
	assert_int_equal(rpc_get_uint(map, f->key, &n), f->kind == UINT ? RPC_FIELD_OK : other);
	assert_int_equal(rpc_get_bool(map, f->key, &b), f->kind == BOOL ? RPC_FIELD_OK : other);
	assert_int_equal(rpc_get_text(map, f->key, text, sizeof(text)),
		f->kind == TEXT ? RPC_FIELD_OK : other);
	assert_int_equal(rpc_get_array(map, f->key, &a), f->kind == ARRAY ? RPC_FIELD_OK : other);
	assert_int_equal(
		rpc_get(map, f->key, &o), f->kind == NIL ? RPC_FIELD_ABSENT : RPC_FIELD_OK);
	if (f->kind == UINT)
		assert_true(n == f->n);
	if (f->kind == BOOL)
		assert_int_equal(b, f->n & 1);
	if (f->kind == TEXT)
		assert_string_equal(text, f->text);
	if (f->kind == ARRAY)
		assert_int_equal(a->size, f->n);
	if (f->kind == MAP) {
		assert_int_equal(rpc_get_uint(&o->via.map, "in", &n), RPC_FIELD_OK);
		assert_true(n == f->n);
	}
}

static void begin(struct rpc_out *out, enum rpc_kind kind, uint32_t msgid)
{
	rpc_out_clear(out);
	if (kind == RPC_REQUEST)
		rpc_out_request(out, msgid, "a.method");
	else if (kind == RPC_NOTIFY)
		rpc_out_notify(out, "a.method");
	else
		rpc_out_response(out, msgid);
	rpc_out_map(out);
}

static void test_what_is_written_is_read(void **state)
{
	(void)state;
	struct rng rng = rng_start("round trip");
	struct rpc_out out;
	rpc_out_init(&out);
	for (unsigned round = 0; round < 3000; round++) {
		struct field fields[FIELDS_MAX];
		const enum rpc_kind kind = rng_below(&rng, 3);
		const uint32_t msgid = (uint32_t)random_number(&rng);
		const unsigned n = rng_below(&rng, FIELDS_MAX + 1);
		begin(&out, kind, msgid);
		for (unsigned i = 0; i < n; i++)
			write_field(&out, &rng, &fields[i], i);
		rpc_out_end(&out);
		assert_true(rpc_out_ok(&out));

		struct wire_scan scan = { 0 };
		struct wire_item item;
		const uint8_t *data = (const uint8_t *)out.buf.data;
		assert_int_equal(wire_next(&scan, data, out.buf.size, &item), WIRE_RPC);
		assert_int_equal(item.total, out.buf.size);
		struct rpc_msg msg;
		assert_int_equal(rpc_decode(&msg, item.data, item.len), RPC_OK);
		assert_int_equal(msg.kind, kind);
		assert_int_equal(msg.msgid, kind == RPC_NOTIFY ? 0 : msgid);
		assert_true(rpc_str_is(msg.method, kind == RPC_RESPONSE ? "" : "a.method"));
		const msgpack_object_map *map =
			kind == RPC_RESPONSE ? &msg.result->via.map : msg.params;
		assert_int_equal(map->size, n);
		for (unsigned i = 0; i < n; i++)
			read_field(map, &fields[i]);
		rpc_msg_fini(&msg);
	}
	rpc_out_fini(&out);
}

static void test_too_long_is_told_exactly(void **state)
{
	(void)state;
	struct rng rng = rng_start("size limit");
	struct rpc_out out;
	static char text[FETH_RPC_MAX];
	rpc_out_init(&out);
	for (unsigned round = 0; round < 300; round++) {
		begin(&out, RPC_RESPONSE, 1);
		size_t want = 9; /* dc 0004 01 01 c0 de nnnn */
		for (unsigned i = 0; i < 3; i++) {
			const uint32_t len = rng_between(&rng, 21700, 21850);
			memset(text, 'x', len);
			text[len] = '\0';
			rpc_put_text(&out, "k", text);
			want += 2 + 3 + len;
		}
		rpc_out_end(&out);
		assert_int_equal(rpc_out_ok(&out), want <= FETH_RPC_MAX);
	}
	rpc_out_fini(&out);
}

/* -- server/rpc -- */

/* A field of one kind for any method: what a client may write there. */
static void random_value(struct rpc_out *out, struct rng *rng, const char *key)
{
	static const char *const texts[] = { "all", "01:00:5e:00:00:fb", "33-33-00-00-00-01",
		"02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", "port.*", "*", "host.groups", "lab", "",
		"snoop", "flood", "x.y", "10.0.0.1/24" };
	const uint32_t n = rng_one_in(rng, 5) ? rng_below(rng, 300) : rng_below(rng, 4);
	switch (rng_below(rng, 5)) {
	case 0:
		rpc_put_uint(out, key, random_number(rng));
		break;
	case 1:
		rpc_put_bool(out, key, rng_one_in(rng, 2));
		break;
	case 2:
		rpc_put_text(out, key, texts[rng_below(rng, 14)]);
		break;
	default: { /* mostly of one text, so that long ones are taken too */
		const char *text = texts[rng_below(rng, 14)];
		rpc_put_array(out, key);
		for (uint32_t i = 0; i < n; i++) {
			if (rng_one_in(rng, 50))
				rpc_out_uint(out, i);
			else
				rpc_out_text(out,
					rng_one_in(rng, 50) ? texts[rng_below(rng, 14)] : text);
		}
		rpc_out_close(out);
	}
	}
}

static void groups_are_groups(const struct command *cmd)
{
	static const struct feth_mac broadcast = { { 255, 255, 255, 255, 255, 255 } };
	assert_true(cmd->groups.n <= PORT_GROUPS_MAX);
	assert_false(cmd->groups.all && cmd->groups.n);
	assert_true(cmd->groups.given || !(cmd->groups.all || cmd->groups.n));
	for (uint32_t i = 0; i < cmd->groups.n; i++) {
		assert_true(mac_is_group(cmd->groups.mac[i]));
		assert_false(mac_equal(cmd->groups.mac[i], broadcast));
	}
}

/* Whatever a method is given, it either fills a command that keeps its bounds, or says in one line
 * which field is wrong. */
static void test_params_are_taken_or_refused_by_name(void **state)
{
	(void)state;
	static const char *const keys[] = { "network", "groups", "events", "after", "limit", "name",
		"multicast", "querier", "mac", "kind" };
	static const char *const methods[] = { "attach", "group.join", "group.leave", "group.list",
		"event.subscribe", "network.create", "network.set", "port.add", "port.open" };
	static struct command cmd;
	struct rng rng = rng_start("params");
	struct rpc_out out;
	unsigned taken = 0;
	rpc_out_init(&out);
	for (unsigned round = 0; round < 30000; round++) {
		begin(&out, RPC_REQUEST, 1);
		for (unsigned i = 0; i < 10; i++)
			if (rng_one_in(&rng, 4))
				random_value(&out, &rng, keys[i]);
		rpc_out_end(&out);
		struct rpc_msg msg;
		assert_int_equal(
			rpc_decode(&msg, (const uint8_t *)out.buf.data, out.buf.size), RPC_OK);
		const char *name = methods[rng_below(&rng, 9)];
		memset(&cmd, 0, sizeof(cmd));
		if (rng_one_in(&rng, 2)) /* as on a network's own socket */
			strcpy(cmd.network, "lab");
		const struct method *m =
			method_find((struct rpc_str){ name, (uint32_t)strlen(name) });
		const int rc = m->parse(msg.params, &cmd, &cmd.err);
		assert_int_equal(rc, cmd.err.code);
		bool named = rc == 0;
		for (unsigned i = 0; i < 10; i++)
			named |= !strncmp(cmd.err.text, keys[i], strlen(keys[i])) &&
				 cmd.err.text[strlen(keys[i])] == ':';
		assert_true(named);
		assert_null(strchr(cmd.err.text, '\n'));
		if (!rc)
			groups_are_groups(&cmd);
		if (m->kind == CMD_EVENT_SUBSCRIBE)
			assert_true(cmd.in.events < EVENT_BIT(EVENT_N));
		taken += rc == 0;
		rpc_msg_fini(&msg);
	}
	rpc_out_fini(&out);
	assert_true(taken > 1000); /* else this has seen sentences only */
}

/* The C library's opinion of "address/prefix". */
static bool libc_parses(const char *text, uint8_t addr[16], int *family, long *prefix)
{
	char buf[64];
	char *slash, *end;
	snprintf(buf, sizeof(buf), "%s", text);
	slash = strchr(buf, '/');
	if (!slash || slash[1] < '1' || slash[1] > '9')
		return false;
	*slash = '\0';
	*prefix = strtol(slash + 1, &end, 10);
	*family = inet_pton(AF_INET, buf, addr) == 1    ? 4
		  : inet_pton(AF_INET6, buf, addr) == 1 ? 6
							: 0;
	return *family && !*end && *prefix <= (*family == 4 ? 32 : 128);
}

static void random_cidr(struct rng *rng, struct cidr *c)
{
	*c = (struct cidr){ .family = rng_one_in(rng, 3) ? 4 : 6 };
	c->prefix = (uint8_t)rng_between(rng, 1, c->family == 4 ? 32 : 128);
	for (unsigned i = 0; i < (c->family == 4 ? 4u : 16u); i++)
		c->addr[i] = (uint8_t)(rng_one_in(rng, 2) ? 0 : rng_below(rng, 256));
}

static void test_addresses_are_read_and_written_as_libc_does(void **state)
{
	(void)state;
	struct rng rng = rng_start("addresses");
	for (unsigned round = 0; round < 40000; round++) {
		struct cidr c, got;
		char text[CIDR_TEXT], want[INET6_ADDRSTRLEN + 8], *slash;
		const char *why;
		random_cidr(&rng, &c);
		cidr_format(text, &c);
		inet_ntop(c.family == 4 ? AF_INET : AF_INET6, c.addr, want, sizeof(want));
		snprintf(want + strlen(want), 8, "/%u", c.prefix);
		if (c.family == 4 || !strchr(want, '.')) /* ours never writes ::1.2.3.4 */
			assert_string_equal(text, want);

		/* with a letter or two changed: taken only if libc takes it, and then the same */
		for (unsigned n = rng_below(&rng, 3); n; n--) {
			slash = text + rng_below(&rng, (uint32_t)strlen(text));
			*slash = "0123456789abcdefF:./%x"[rng_below(&rng, 22)];
		}
		uint8_t addr[16] = { 0 };
		int family;
		long prefix;
		const bool fine = libc_parses(text, addr, &family, &prefix);
		if (cidr_parse(&got, text, &why)) {
			assert_true(fine);
			assert_int_equal(got.family, family);
			assert_int_equal(got.prefix, prefix);
			assert_memory_equal(got.addr, addr, family == 4 ? 4 : 16);
		} else if (fine) { /* then it is one of those that no interface can have */
			assert_true(!strncmp(why, "no interface", 12) ||
				    !strncmp(why, "it is the network's", 19));
		}
	}
}

/* RFC 3629 by way of code points: decode, and see whether encoding gives the same bytes. */
static bool naive_utf8(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len;) {
		const unsigned n = p[i] < 0x80 ? 1 : p[i] < 0xe0 ? 2 : p[i] < 0xf0 ? 3 : 4;
		static const uint32_t least[] = { 0, 1, 0x80, 0x800, 0x10000 };
		uint32_t v = n == 1 ? p[i] : p[i] & (0x7fu >> n);
		if ((p[i] >= 0x80 && p[i] < 0xc0) || p[i] >= 0xf8 || len - i < n)
			return false;
		for (unsigned k = 1; k < n; k++) {
			if (p[i + k] >> 6 != 2)
				return false;
			v = v << 6 | (p[i + k] & 0x3f);
		}
		if (v < least[n] || v > 0x10ffff || v >> 11 == 0x1b)
			return false;
		i += n;
	}
	return true;
}

static void test_utf8_is_judged_as_by_code_points(void **state)
{
	(void)state;
	struct rng rng = rng_start("utf-8");
	static const uint8_t heads[] = { 0x41, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf4,
		0xf5, 0xff, 0x80 };
	static const uint8_t tails[] = { 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0x7f, 0x01 };
	for (unsigned round = 0; round < 100000; round++) {
		uint8_t buf[6];
		const uint32_t len = rng_below(&rng, 7);
		for (uint32_t i = 0; i < len; i++)
			buf[i] = rng_one_in(&rng, 3) ? heads[rng_below(&rng, sizeof(heads))]
						     : tails[rng_below(&rng, sizeof(tails))];
		uint8_t *copy = exact_copy(buf, len);
		assert_int_equal(utf8_valid((const char *)copy, len), naive_utf8(buf, len));
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_too_long_is_told_exactly),
		cmocka_unit_test(test_addresses_are_read_and_written_as_libc_does),
		cmocka_unit_test(test_params_are_taken_or_refused_by_name),
		cmocka_unit_test(test_utf8_is_judged_as_by_code_points),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
