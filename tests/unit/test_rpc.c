/* test_rpc.c - protocol/rpc.c: envelopes, fields and builders; and server/rpc: params that hold
 * lists. */
#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "protocol/rpc.h"
#include "protocol/wire.h"
#include "server/rpc/event.h"
#include "server/rpc/method.h"
#include "tests/support/bytes.h"

/* Decodes as the daemon does: wire_next() first. rpc_msg_fini() afterwards. */
static enum rpc_fault decode(struct rpc_msg *msg, const uint8_t *bytes, size_t len)
{
	struct wire_scan scan = { 0 };
	struct wire_item item;
	assert_int_equal(wire_next(&scan, bytes, len, &item), WIRE_RPC);
	assert_int_equal(item.total, len);
	return rpc_decode(msg, item.data, item.len);
}

static void decodes_to(enum rpc_fault want, const uint8_t *bytes, size_t len)
{
	struct rpc_msg msg;
	assert_int_equal(decode(&msg, bytes, len), want);
	rpc_msg_fini(&msg);
}

static void test_a_request_is_read(void **state)
{
	(void)state;
	struct rpc_msg msg;
	/* [0, 4294967295, "hi", [{"k": 7}]] */
	assert_int_equal(decode(&msg, BYTES(0x94, 0x00, 0xce, 0xff, 0xff, 0xff, 0xff, 0xa2, 'h',
					      'i', 0x91, 0x81, 0xa1, 'k', 0x07)),
		RPC_OK);
	assert_int_equal(msg.kind, RPC_REQUEST);
	assert_int_equal(msg.msgid, UINT32_MAX);
	assert_true(rpc_str_is(msg.method, "hi"));
	assert_int_equal(msg.params->size, 1);
	uint64_t v;
	assert_int_equal(rpc_get_uint(msg.params, "k", &v), RPC_FIELD_OK);
	assert_int_equal(v, 7);
	rpc_msg_fini(&msg);
	rpc_msg_fini(&msg); /* twice is fine */
}

static void test_empty_params_are_no_params(void **state)
{
	(void)state;
	struct rpc_msg msg;
	assert_int_equal(decode(&msg, BYTES(0x94, 0, 1, 0xa1, 'x', 0x90)), RPC_OK);
	assert_null(msg.params);
	rpc_msg_fini(&msg);
	assert_int_equal(decode(&msg, BYTES(0x94, 0, 1, 0xa1, 'x', 0x91, 0x80)), RPC_OK);
	assert_int_equal(msg.params->size, 0);
	rpc_msg_fini(&msg);
}

static void test_a_notification_is_read(void **state)
{
	(void)state;
	struct rpc_msg msg;
	assert_int_equal(decode(&msg, BYTES(0x93, 2, 0xa2, 'h', 'i', 0x90)), RPC_OK);
	assert_int_equal(msg.kind, RPC_NOTIFY);
	assert_true(rpc_str_is(msg.method, "hi"));
	assert_null(msg.params);
	rpc_msg_fini(&msg);
}

static void test_responses_are_read(void **state)
{
	(void)state;
	struct rpc_msg msg;
	/* [1, 7, nil, {}] */
	assert_int_equal(decode(&msg, BYTES(0x94, 1, 7, 0xc0, 0x80)), RPC_OK);
	assert_int_equal(msg.kind, RPC_RESPONSE);
	assert_int_equal(msg.msgid, 7);
	assert_false(msg.failed);
	assert_int_equal(msg.result->type, MSGPACK_OBJECT_MAP);
	rpc_msg_fini(&msg);

	/* [1, 7, ["denied", "no"], nil] */
	assert_int_equal(decode(&msg, BYTES(0x94, 1, 7, 0x92, 0xa6, 'd', 'e', 'n', 'i', 'e', 'd',
					      0xa2, 'n', 'o', 0xc0)),
		RPC_OK);
	assert_true(msg.failed);
	assert_true(rpc_str_is(msg.code, "denied"));
	assert_true(rpc_str_is(msg.text, "no"));
	rpc_msg_fini(&msg);

	/* an error of another shape is an error all the same: [1, 7, "no", nil] */
	assert_int_equal(decode(&msg, BYTES(0x94, 1, 7, 0xa2, 'n', 'o', 0xc0)), RPC_OK);
	assert_true(msg.failed);
	assert_true(rpc_str_is(msg.code, ""));
	rpc_msg_fini(&msg);
}

static void test_a_request_with_a_msgid_can_be_answered_invalid(void **state)
{
	(void)state;
	decodes_to(RPC_BAD_PARAMS, BYTES(0x92, 0, 1));                        /* no method */
	decodes_to(RPC_BAD_PARAMS, BYTES(0x93, 0, 1, 0xa1, 'x'));             /* no params */
	decodes_to(RPC_BAD_PARAMS, BYTES(0x95, 0, 1, 0xa1, 'x', 0x90, 0xc0)); /* too many */
	decodes_to(RPC_BAD_PARAMS, BYTES(0x94, 0, 1, 0xc0, 0x90));            /* method nil */
	decodes_to(RPC_BAD_PARAMS, BYTES(0x94, 0, 1, 0xc4, 1, 'x', 0x90));    /* method bin */
	decodes_to(RPC_BAD_PARAMS, BYTES(0x94, 0, 1, 0xa1, 'x', 0x80));       /* no array */
	decodes_to(RPC_BAD_PARAMS, BYTES(0x94, 0, 1, 0xa1, 'x', 0xc0));       /* nil */
	decodes_to(RPC_BAD_PARAMS, BYTES(0x94, 0, 1, 0xa1, 'x', 0x91, 0x01)); /* not a map */
	decodes_to(RPC_BAD_PARAMS, BYTES(0x94, 0, 1, 0xa1, 'x', 0x91, 0xc0));
	decodes_to(RPC_BAD_PARAMS, BYTES(0x94, 0, 1, 0xa1, 'x', 0x92, 0x80, 0x80)); /* two */

	struct rpc_msg msg;
	assert_int_equal(decode(&msg, BYTES(0x93, 0, 42, 0xc0)), RPC_BAD_PARAMS);
	assert_int_equal(msg.msgid, 42);
	rpc_msg_fini(&msg);
}

static void test_other_arrays_are_no_envelopes(void **state)
{
	(void)state;
	decodes_to(RPC_BAD_ENVELOPE, BYTES(0x90));
	decodes_to(RPC_BAD_ENVELOPE, BYTES(0x91, 0));
	decodes_to(RPC_BAD_ENVELOPE, BYTES(0x91, 1));
	decodes_to(RPC_BAD_ENVELOPE, BYTES(0x94, 3, 1, 0xa1, 'x', 0x90)); /* kind 3 */
	decodes_to(RPC_BAD_ENVELOPE, BYTES(0x94, 0xff, 1, 0xa1, 'x', 0x90));
	decodes_to(RPC_BAD_ENVELOPE, BYTES(0x94, 0xc0, 1, 0xa1, 'x', 0x90));
	decodes_to(RPC_BAD_ENVELOPE, BYTES(0x94, 0, 0xff, 0xa1, 'x', 0x90)); /* msgid -1 */
	decodes_to(RPC_BAD_ENVELOPE, BYTES(0x94, 0, 0xa1, '1', 0xa1, 'x', 0x90));
	decodes_to(RPC_BAD_ENVELOPE, /* msgid 2^32 */
		BYTES(0x94, 0, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0, 0xa1, 'x', 0x90));
	decodes_to(RPC_BAD_ENVELOPE, BYTES(0x93, 1, 1, 0xc0)); /* a response without result */
	decodes_to(RPC_BAD_ENVELOPE, BYTES(0x95, 1, 1, 0xc0, 0xc0, 0xc0));
	decodes_to(RPC_BAD_ENVELOPE, BYTES(0x92, 2, 0xa1, 'x')); /* a notification without params */
	decodes_to(RPC_BAD_ENVELOPE, BYTES(0x93, 2, 0xa1, 'x', 0x80));
	decodes_to(RPC_BAD_ENVELOPE, BYTES(0x93, 2, 1, 0x90));
	decodes_to(RPC_BAD_ENVELOPE, BYTES(0x94, 2, 0xa1, 'x', 0x90, 0xc0));
}

static void test_bytes_behind_the_envelope_are_refused(void **state)
{
	(void)state;
	struct rpc_msg msg;
	assert_int_equal(
		rpc_decode(&msg, BYTES(0x94, 0, 1, 0xa1, 'x', 0x90, 0xc0)), RPC_BAD_ENVELOPE);
	rpc_msg_fini(&msg);
	assert_int_equal(rpc_decode(&msg, BYTES(0x94, 0, 1, 0xa1)), RPC_BAD_ENVELOPE);
	rpc_msg_fini(&msg);
}

static void test_the_five_bytes_that_cost_a_gigabyte_do_not_reach_msgpack_c(void **state)
{
	(void)state;
	struct wire_scan scan = { 0 };
	struct wire_item item = { 0 };
	static const uint8_t alone[] = { 0xdd, 0x03, 0x00, 0x00, 0x00 };
	assert_int_equal(wire_next(&scan, alone, sizeof(alone), &item), WIRE_BAD);
	/* [0, 1, "x", [{"k": <them>}]] */
	static const uint8_t inside[] = { 0x94, 0, 1, 0xa1, 'x', 0x91, 0x81, 0xa1, 'k', 0xdd, 0x03,
		0x00, 0x00, 0x00 };
	scan = (struct wire_scan){ 0 };
	assert_int_equal(wire_next(&scan, inside, sizeof(inside), &item), WIRE_BAD);
}

/* A request [0, 1, "x", [{...}]] around the pairs given, for the getters. */
static const msgpack_object_map *params(
	struct rpc_msg *msg, struct bytes *b, unsigned pairs, const uint8_t *bytes, size_t len)
{
	b->len = 0;
	bytes_add(b, BYTES(0x94, 0, 1, 0xa1, 'x', 0x91));
	bytes_byte(b, 0x80 + pairs);
	bytes_add(b, bytes, len);
	assert_int_equal(decode(msg, b->data, b->len), RPC_OK);
	return msg->params;
}

static void test_fields_are_ok_absent_or_bad(void **state)
{
	(void)state;
	struct bytes b = { 0 };
	struct rpc_msg msg;
	const msgpack_object_map *m = params(&msg, &b, 7,
		BYTES(0xa1, 'n', 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* 2^64-1 */
			0xa1, 'm', 0xff,                                               /* -1 */
			0xa1, 't', 0xc3, 0xa1, 'z', 0xc0,      /* true, nil */
			0xa1, 's', 0xa2, 'h', 'i', 0x07, 0x08, /* "hi"; a key that is a number */
			0xa1, 'a', 0x92, 0x01, 0x02));         /* [1, 2] */
	uint64_t n = 5;
	bool t = false;
	char s[3] = "--";
	const msgpack_object *o = NULL;
	const msgpack_object_array *a = NULL;

	assert_int_equal(rpc_get_uint(m, "n", &n), RPC_FIELD_OK);
	assert_true(n == UINT64_MAX);
	assert_int_equal(rpc_get_uint(m, "m", &n), RPC_FIELD_BAD);
	assert_int_equal(rpc_get_uint(m, "t", &n), RPC_FIELD_BAD);
	assert_int_equal(rpc_get_uint(m, "z", &n), RPC_FIELD_ABSENT);
	assert_int_equal(rpc_get_uint(m, "y", &n), RPC_FIELD_ABSENT);
	assert_int_equal(rpc_get_uint(NULL, "n", &n), RPC_FIELD_ABSENT);
	assert_true(n == UINT64_MAX); /* left alone */

	assert_int_equal(rpc_get_bool(m, "t", &t), RPC_FIELD_OK);
	assert_true(t);
	assert_int_equal(rpc_get_bool(m, "n", &t), RPC_FIELD_BAD);
	assert_int_equal(rpc_get_bool(m, "z", &t), RPC_FIELD_ABSENT);

	assert_int_equal(rpc_get_text(m, "s", s, sizeof(s)), RPC_FIELD_OK);
	assert_string_equal(s, "hi");
	assert_int_equal(rpc_get_text(m, "s", s, 2), RPC_FIELD_BAD); /* no room for its end */
	assert_int_equal(rpc_get_text(m, "n", s, sizeof(s)), RPC_FIELD_BAD);
	assert_int_equal(rpc_get_text(m, "z", s, sizeof(s)), RPC_FIELD_ABSENT);
	assert_string_equal(s, "hi");

	assert_int_equal(rpc_get_array(m, "a", &a), RPC_FIELD_OK);
	assert_int_equal(a->size, 2);
	assert_int_equal(rpc_get_array(m, "s", &a), RPC_FIELD_BAD);
	assert_int_equal(rpc_get_array(m, "y", &a), RPC_FIELD_ABSENT);

	assert_int_equal(rpc_get(m, "a", &o), RPC_FIELD_OK);
	assert_int_equal(o->type, MSGPACK_OBJECT_ARRAY);
	assert_int_equal(rpc_get(m, "", &o), RPC_FIELD_ABSENT);
	rpc_msg_fini(&msg);
	free(b.data);
}

static void test_a_field_given_twice_is_bad(void **state)
{
	(void)state;
	struct bytes b = { 0 };
	struct rpc_msg msg;
	uint64_t n;
	const msgpack_object_map *m =
		params(&msg, &b, 3, BYTES(0xa1, 'n', 0x01, 0xa1, 'o', 0x01, 0xa1, 'n', 0x01));
	assert_int_equal(rpc_get_uint(m, "n", &n), RPC_FIELD_BAD);
	assert_int_equal(rpc_get_uint(m, "o", &n), RPC_FIELD_OK);
	rpc_msg_fini(&msg);
	m = params(&msg, &b, 2, BYTES(0xa1, 'n', 0xc0, 0xa1, 'n', 0x01)); /* nil, then 1 */
	assert_int_equal(rpc_get_uint(m, "n", &n), RPC_FIELD_BAD);
	rpc_msg_fini(&msg);
	free(b.data);
}

static void test_text_is_utf8_without_nul(void **state)
{
	(void)state;
	struct bytes b = { 0 };
	struct rpc_msg msg;
	char s[8];
	const msgpack_object_map *m = params(&msg, &b, 4,
		BYTES(0xa1, 'a', 0xa1, 0x00, 0xa1, 'b', 0xa1, 0xff, 0xa1, 'c', 0xa0, 0xa1, 'd',
			0xc4, 1, 'x'));
	assert_int_equal(rpc_get_text(m, "a", s, sizeof(s)), RPC_FIELD_BAD);
	assert_int_equal(rpc_get_text(m, "b", s, sizeof(s)), RPC_FIELD_BAD);
	assert_int_equal(rpc_get_text(m, "c", s, sizeof(s)), RPC_FIELD_OK);
	assert_string_equal(s, "");
	assert_int_equal(rpc_get_text(m, "d", s, sizeof(s)), RPC_FIELD_BAD); /* bin is no text */
	rpc_msg_fini(&msg);
	free(b.data);
}

static void wrote(struct rpc_out *out, const uint8_t *bytes, size_t len)
{
	assert_true(rpc_out_ok(out));
	assert_int_equal(out->buf.size, len);
	assert_memory_equal(out->buf.data, bytes, len);
	rpc_out_clear(out);
}

static void test_builders_fill_in_their_counts(void **state)
{
	(void)state;
	struct rpc_out out;
	rpc_out_init(&out);

	rpc_out_request(&out, 1, "x");
	rpc_out_map(&out);
	rpc_put_uint(&out, "n", 256);
	rpc_put_bool(&out, "b", false);
	rpc_out_end(&out);
	wrote(&out, BYTES(0xdc, 0, 4, 0, 1, 0xa1, 'x', 0xdc, 0, 1, 0xde, 0, 2, /* [0,1,"x",[{ */
			    0xa1, 'n', 0xcd, 1, 0, 0xa1, 'b', 0xc2));

	rpc_out_notify(&out, "x");
	rpc_out_end(&out);
	wrote(&out, BYTES(0xdc, 0, 3, 2, 0xa1, 'x', 0xdc, 0, 0)); /* [2, "x", []] */

	rpc_out_response(&out, 7);
	rpc_out_map(&out);
	rpc_put_text(&out, "t", "hi");
	rpc_put_mac(&out, "m", (struct feth_mac){ { 2, 0, 0, 0, 0, 0xaf } });
	rpc_put_array(&out, "a");
	rpc_out_nil(&out);
	rpc_out_raw(&out, BYTES(0x92, 1, 2));
	rpc_out_bool(&out, true);
	rpc_out_close(&out);
	rpc_put_map(&out, "o");
	rpc_out_close(&out);
	rpc_out_end(&out);
	wrote(&out, BYTES(0xdc, 0, 4, 1, 7, 0xc0, 0xde, 0, 4, /* [1, 7, nil, { */
			    0xa1, 't', 0xa2, 'h', 'i',        /* "t": "hi" */
			    0xa1, 'm', 0xb1, '0', '2', ':', '0', '0', ':', '0', '0', ':', '0', '0',
			    ':', '0', '0', ':', 'a', 'f',                  /* "m": "02:..." */
			    0xa1, 'a', 0xdc, 0, 3, 0xc0, 0x92, 1, 2, 0xc3, /* [nil, [1, 2], true] */
			    0xa1, 'o', 0xde, 0, 0));                       /* "o": {} */

	rpc_out_error(&out, 7, "denied", "no");
	wrote(&out, BYTES(0xdc, 0, 4, 1, 7, 0xdc, 0, 2, 0xa6, 'd', 'e', 'n', 'i', 'e', 'd', 0xa2,
			    'n', 'o', 0xc0)); /* [1, 7, ["denied", "no"], nil] */
	rpc_out_fini(&out);
}

static void test_what_is_not_closed_is_not_ok(void **state)
{
	(void)state;
	struct rpc_out out;
	rpc_out_init(&out);
	rpc_out_response(&out, 1);
	rpc_out_map(&out);
	assert_false(rpc_out_ok(&out));
	rpc_out_close(&out);
	assert_false(rpc_out_ok(&out));
	rpc_out_end(&out);
	assert_true(rpc_out_ok(&out));
	rpc_out_close(&out); /* one too many */
	assert_false(rpc_out_ok(&out));

	rpc_out_clear(&out);
	rpc_out_map(&out);
	rpc_out_text(&out, "a key without a value");
	rpc_out_close(&out);
	assert_false(rpc_out_ok(&out));

	rpc_out_clear(&out);
	for (unsigned i = 0; i < RPC_OUT_DEPTH; i++)
		rpc_out_array(&out);
	rpc_out_end(&out);
	assert_true(rpc_out_ok(&out));
	rpc_out_clear(&out);
	for (unsigned i = 0; i <= RPC_OUT_DEPTH; i++)
		rpc_out_array(&out);
	rpc_out_end(&out);
	assert_false(rpc_out_ok(&out));
	rpc_out_fini(&out);
}

static void test_a_message_of_65536_bytes_is_the_longest(void **state)
{
	(void)state;
	static char text[FETH_RPC_MAX];
	memset(text, 'x', sizeof(text) - 1);
	/* [0, 1, "x", [<text>]]: 10 bytes around str 16's 3 */
	text[FETH_RPC_MAX - 13] = '\0';
	struct rpc_out out;
	rpc_out_init(&out);
	rpc_out_request(&out, 1, "x");
	rpc_out_text(&out, text);
	rpc_out_end(&out);
	assert_int_equal(out.buf.size, FETH_RPC_MAX);
	assert_true(rpc_out_ok(&out));
	decodes_to(RPC_BAD_PARAMS, (const uint8_t *)out.buf.data, out.buf.size);

	text[FETH_RPC_MAX - 13] = 'x';
	text[FETH_RPC_MAX - 12] = '\0';
	rpc_out_clear(&out);
	rpc_out_request(&out, 1, "x");
	rpc_out_text(&out, text);
	rpc_out_end(&out);
	assert_false(rpc_out_ok(&out));
	rpc_out_clear(&out); /* failure ends here */
	rpc_out_notify(&out, "x");
	rpc_out_end(&out);
	assert_true(rpc_out_ok(&out));
	rpc_out_fini(&out);
}

static void test_errors_travel_by_name(void **state)
{
	(void)state;
	static const struct {
		int rc;
		const char *name;
	} rows[] = {
		{ -ENOENT, "not_found" },
		{ -ENODEV, "not_found" },
		{ -ENXIO, "not_found" },
		{ -EEXIST, "exists" },
		{ -EADDRINUSE, "exists" },
		{ -EACCES, "denied" },
		{ -EPERM, "denied" },
		{ -EINVAL, "invalid" },
		{ -ERANGE, "invalid" },
		{ -ENAMETOOLONG, "invalid" },
		{ -EMSGSIZE, "too_large" },
		{ -E2BIG, "too_large" },
		{ -ENOSPC, "too_large" },
		{ -EBUSY, "busy" },
		{ -EAGAIN, "busy" },
		{ -EOPNOTSUPP, "unsupported" },
		{ -EIO, "system" },
		{ -ENOMEM, "system" },
		{ -EPIPE, "system" },
		{ -4095, "system" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_string_equal(rpc_error_name(rows[i].rc), rows[i].name);

	assert_int_equal(rpc_error_number((struct rpc_str){ "busy", 4 }), -EBUSY);
	assert_int_equal(rpc_error_number((struct rpc_str){ "unsupported", 11 }), -EOPNOTSUPP);
	assert_int_equal(rpc_error_number((struct rpc_str){ "bus", 3 }), -EIO);
	assert_int_equal(rpc_error_number((struct rpc_str){ NULL, 0 }), -EIO);
}

/* -- server/rpc: what a method makes of its params -- */

static char list_text[400][24]; /* elements of the list under test */

/* Calls the parser of @method with {@key: the first @n of list_text}, or @text if @n is negative.
 */
static int parse_list(struct command *cmd, const char *method, const char *key, int n,
	const char *text, struct err *err)
{
	struct rpc_out out;
	struct rpc_msg msg;
	rpc_out_init(&out);
	rpc_out_request(&out, 1, method);
	rpc_out_map(&out);
	if (n < 0)
		rpc_put_text(&out, key, text);
	else
		rpc_put_array(&out, key);
	for (int i = 0; i < n; i++)
		rpc_out_text(&out, list_text[i]);
	rpc_out_end(&out);
	assert_int_equal(rpc_decode(&msg, (const uint8_t *)out.buf.data, out.buf.size), RPC_OK);
	memset(cmd, 0, sizeof(*cmd));
	memset(err, 0, sizeof(*err));
	const int rc = method_find(msg.method)->parse(msg.params, cmd, err);
	assert_int_equal(rc, err->code);
	rpc_msg_fini(&msg);
	rpc_out_fini(&out);
	return rc;
}

static void groups_of_texts(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		snprintf(list_text[i], sizeof(list_text[i]), "33:33:00:00:%02X:%02x", i >> 8,
			i & 255);
}

static void test_groups_are_all_or_a_list(void **state)
{
	(void)state;
	static struct command cmd;
	struct err err;
	static const char *const methods[] = { "group.join", "group.leave", "attach" };
	for (unsigned m = 0; m < 3; m++) {
		groups_of_texts(257);
		assert_int_equal(parse_list(&cmd, methods[m], "groups", -1, "all", &err), 0);
		assert_true(cmd.groups.given && cmd.groups.all);
		assert_int_equal(cmd.groups.n, 0);
		assert_int_equal(parse_list(&cmd, methods[m], "groups", 0, "", &err), 0);
		assert_true(cmd.groups.given && !cmd.groups.all);
		assert_int_equal(parse_list(&cmd, methods[m], "groups", 256, "", &err), 0);
		assert_int_equal(cmd.groups.n, 256);
		assert_int_equal(cmd.groups.mac[255].b[5], 255);
		assert_int_equal(parse_list(&cmd, methods[m], "groups", 257, "", &err), -E2BIG);
		assert_non_null(strstr(err.text, "groups: "));
		assert_non_null(strstr(err.text, "256"));
		assert_int_equal(parse_list(&cmd, methods[m], "groups", -1, "ALL", &err), -EINVAL);
		assert_non_null(strstr(err.text, "groups: "));
		/* attach can do without, the others cannot */
		assert_int_equal(
			parse_list(&cmd, methods[m], "x", 0, "", &err), m < 2 ? -EINVAL : 0);
		assert_false(cmd.groups.given);
	}
}

static void test_no_station_and_no_broadcast_is_a_group(void **state)
{
	(void)state;
	static struct command cmd;
	struct err err;
	static const char *const bad[] = { "02:00:00:00:00:01", "00:00:00:00:00:00",
		"ff:ff:ff:ff:ff:ff", "FF-FF-FF-FF-FF-FF", "", "all", "01:00:5e:00:00",
		"01:00:5e:00:00:001" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		groups_of_texts(3);
		strcpy(list_text[1], bad[i]);
		assert_int_equal(parse_list(&cmd, "group.join", "groups", 3, "", &err), -EINVAL);
		assert_non_null(strstr(err.text, "groups: "));
	}
	strcpy(list_text[0], "ff:ff:ff:ff:ff:fe"); /* odd, but a group */
	assert_int_equal(parse_list(&cmd, "group.join", "groups", 1, "", &err), 0);
}

static void test_events_are_names_and_patterns(void **state)
{
	(void)state;
	static struct command cmd;
	struct err err;
	strcpy(list_text[0], "port.*");
	strcpy(list_text[1], "host.groups");
	strcpy(list_text[2], "port.changed");
	assert_int_equal(parse_list(&cmd, "event.subscribe", "events", 3, "", &err), 0);
	assert_int_equal(cmd.in.events,
		EVENT_BIT(EVENT_PORT_ATTACHED) | EVENT_BIT(EVENT_PORT_CHANGED) |
			EVENT_BIT(EVENT_PORT_DETACHED) | EVENT_BIT(EVENT_HOST_GROUPS));
	assert_int_equal(parse_list(&cmd, "event.subscribe", "events", 0, "", &err), 0);
	assert_int_equal(cmd.in.events, 0);
	for (unsigned i = 0; i < 65; i++)
		strcpy(list_text[i], "*");
	assert_int_equal(parse_list(&cmd, "event.subscribe", "events", 64, "", &err), 0);
	assert_int_equal(parse_list(&cmd, "event.subscribe", "events", 65, "", &err), -E2BIG);
	strcpy(list_text[3], "port.gone");
	assert_int_equal(parse_list(&cmd, "event.subscribe", "events", 5, "", &err), -EINVAL);
	assert_non_null(strstr(err.text, "port.gone"));
	for (unsigned k = 0; k < EVENT_N; k++)
		assert_non_null(strstr(err.text, event_name((enum event_kind)k)));
	strcpy(list_text[3], "a\nb\x1b[2J"); /* a sentence stays one line */
	assert_int_equal(parse_list(&cmd, "event.subscribe", "events", 5, "", &err), -EINVAL);
	assert_null(strpbrk(err.text, "\n\x1b"));
	assert_int_equal(parse_list(&cmd, "event.subscribe", "events", -1, "*", &err), -EINVAL);
	assert_int_equal(parse_list(&cmd, "event.subscribe", "x", 0, "", &err), -EINVAL);
}

/* What the table of fields itself says, whatever a method's own parser would. */
static void checked(enum command_kind method, bool control, const char *want, unsigned pairs,
	const uint8_t *bytes, size_t len)
{
	struct bytes b = { 0 };
	struct rpc_msg msg;
	struct err err = { 0 };
	const msgpack_object_map *m = params(&msg, &b, pairs, bytes, len);
	assert_int_equal(method_check(method, control, m, &err), want ? -EINVAL : 0);
	if (want)
		assert_ptr_equal(strstr(err.text, want), err.text);
	rpc_msg_fini(&msg);
	free(b.data);
}

static void test_params_are_held_to_the_table_of_fields(void **state)
{
	(void)state;
	checked(CMD_HELLO, true, NULL, 0, NULL, 0);
	checked(CMD_HELLO, true, NULL, 1, BYTES(0xa1, 'x', 0xc0)); /* not known: not looked at */
	checked(CMD_GROUP_JOIN, false, "groups: must be given", 0, NULL, 0);
	checked(CMD_GROUP_JOIN, false, NULL, 1, BYTES(0xa6, 'g', 'r', 'o', 'u', 'p', 's', 0x90));
	checked(CMD_GROUP_JOIN, false, NULL, 1,
		BYTES(0xa6, 'g', 'r', 'o', 'u', 'p', 's', 0xa1, 'x'));
	checked(CMD_GROUP_JOIN, false, "groups: must be text|array", 1,
		BYTES(0xa6, 'g', 'r', 'o', 'u', 'p', 's', 0x07));
	checked(CMD_PORT_LIST, true, "network: must be given", 0, NULL, 0);
	checked(CMD_PORT_LIST, false, NULL, 0, NULL, 0);
	checked(CMD_PORT_LIST, false, "limit: must be uint", 1,
		BYTES(0xa5, 'l', 'i', 'm', 'i', 't', 0xff));
	checked(CMD_PORT_LIST, false, "limit: is given twice", 2,
		BYTES(0xa5, 'l', 'i', 'm', 'i', 't', 1, 0xa5, 'l', 'i', 'm', 'i', 't', 1));
	/* on a network's own socket the network is not looked at */
	checked(CMD_PORT_LIST, false, NULL, 1,
		BYTES(0xa7, 'n', 'e', 't', 'w', 'o', 'r', 'k', 0x07));
	checked(CMD_PORT_LIST, true, "network: must be name", 1,
		BYTES(0xa7, 'n', 'e', 't', 'w', 'o', 'r', 'k', 0x07));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request_is_read),
		cmocka_unit_test(test_empty_params_are_no_params),
		cmocka_unit_test(test_a_notification_is_read),
		cmocka_unit_test(test_responses_are_read),
		cmocka_unit_test(test_a_request_with_a_msgid_can_be_answered_invalid),
		cmocka_unit_test(test_other_arrays_are_no_envelopes),
		cmocka_unit_test(test_bytes_behind_the_envelope_are_refused),
		cmocka_unit_test(test_the_five_bytes_that_cost_a_gigabyte_do_not_reach_msgpack_c),
		cmocka_unit_test(test_fields_are_ok_absent_or_bad),
		cmocka_unit_test(test_a_field_given_twice_is_bad),
		cmocka_unit_test(test_text_is_utf8_without_nul),
		cmocka_unit_test(test_builders_fill_in_their_counts),
		cmocka_unit_test(test_what_is_not_closed_is_not_ok),
		cmocka_unit_test(test_a_message_of_65536_bytes_is_the_longest),
		cmocka_unit_test(test_errors_travel_by_name),
		cmocka_unit_test(test_groups_are_all_or_a_list),
		cmocka_unit_test(test_no_station_and_no_broadcast_is_a_group),
		cmocka_unit_test(test_events_are_names_and_patterns),
		cmocka_unit_test(test_params_are_held_to_the_table_of_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
