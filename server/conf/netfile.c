/* netfile.c - reads files; see netfile.h. netfile_write.c writes them. */
#include "server/conf/netfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/conf/keys.h"
#include "server/conf/lines.h"
#include "server/rpc/method.h"

#define SECTIONS_MAX 1024u /* as many ports as a network can have */
/* How often a key may be repeated: no method takes more of anything than the 64 rules of `allow`.
 */
#define VALUES_MAX 128u

enum section_kind { SECTION_NETWORK, SECTION_DEFAULTS, SECTION_PORT, SECTION_WRONG };

struct section {
	enum section_kind kind;
	char name[FETH_NAME_MAX + 1]; /* of the port */
	unsigned line;
	unsigned from, to; /* its items */
};

struct item {
	const struct key *key;
	unsigned line;
	const char *value; /* in the arena */
};

struct netfile {
	char name[FETH_NAME_MAX + 1];
	char file[FAULT_FILE];
	struct section *sections; /* owned */
	unsigned n_sections;
	struct item *items; /* owned */
	unsigned n_items, items_room;
	char *arena; /* owned: all values; a value is shorter than its line */
	size_t arena_used;
	struct rpc_out request;
	/* while it is read */
	struct faults *faults;
	unsigned seen[KEYS_MAX];  /* lines of this section's keys, in the order of their table */
	unsigned times[KEYS_MAX]; /* how often each was given in it */
	bool no_memory;
};

#define fault(nf, line, ...) faults_add((nf)->faults, (nf)->file, line, __VA_ARGS__)

/* -- sections and entries -- */

static const struct key *keys_of(const struct section *s)
{
	return s->kind == SECTION_NETWORK ? keys_network : keys_port;
}

static enum section_kind section_kind(struct netfile *nf, unsigned line, const char *name)
{
	if (!strcmp(name, "network"))
		return SECTION_NETWORK;
	if (!strcmp(name, "defaults"))
		return SECTION_DEFAULTS;
	if (strncmp(name, "port ", 5) != 0) {
		fault(nf, line,
			"there is no section [%s]; a file has [network], [defaults] and [port "
			"NAME]",
			name);
		return SECTION_WRONG;
	}
	if (name_valid(name + 5) && !name_same(name + 5, "host"))
		return SECTION_PORT;
	fault(nf, line,
		"[%s]: a port's name is a letter or digit, then up to 31 letters, digits, '-' or "
		"'_', and not host",
		name);
	return SECTION_WRONG;
}

static void on_section(void *ctx, unsigned line, const char *name)
{
	struct netfile *nf = ctx;
	if (nf->n_sections == SECTIONS_MAX) {
		fault(nf, line, "there are too many sections; %u are possible", SECTIONS_MAX);
		nf->sections[nf->n_sections - 1].kind = SECTION_WRONG;
		return;
	}
	struct section s = { .line = line, .from = nf->n_items, .to = nf->n_items };
	s.kind = section_kind(nf, line, name);
	if (s.kind == SECTION_PORT)
		memcpy(s.name, name + 5, strlen(name + 5) + 1);
	for (unsigned i = 0; i < nf->n_sections && s.kind != SECTION_WRONG; i++) {
		const struct section *other = &nf->sections[i];
		if (other->kind != s.kind || !name_same(other->name, s.name))
			continue;
		fault(nf, line, "[%s] is there already, in line %u", name, other->line);
		s.kind = SECTION_WRONG;
	}
	nf->sections[nf->n_sections++] = s;
	memset(nf->seen, 0, sizeof(nf->seen));
	memset(nf->times, 0, sizeof(nf->times));
}

static void add_item(struct netfile *nf, struct section *s, unsigned line, const struct key *key,
	const char *value)
{
	if (nf->n_items == nf->items_room) {
		const unsigned room = nf->items_room ? 2 * nf->items_room : 32;
		struct item *more = realloc(nf->items, room * sizeof(*more));
		if (!more) {
			nf->no_memory = true;
			return;
		}
		nf->items = more;
		nf->items_room = room;
	}
	const size_t size = strlen(value) + 1;
	char *copy = nf->arena + nf->arena_used;
	memcpy(copy, value, size);
	nf->arena_used += size;
	nf->items[nf->n_items++] = (struct item){ .key = key, .line = line, .value = copy };
	s->to = nf->n_items;
}

static void on_entry(void *ctx, unsigned line, const char *name, const char *value)
{
	struct netfile *nf = ctx;
	const char *why;
	if (!nf->n_sections) {
		fault(nf, line, "%s is in no section; [network] begins one", name);
		return;
	}
	struct section *s = &nf->sections[nf->n_sections - 1];
	if (s->kind == SECTION_WRONG)
		return; /* one sentence about it is enough */
	const struct key *keys = keys_of(s);
	const struct key *key = key_find(keys, name);
	if (!key || (s->kind == SECTION_DEFAULTS && key->flags & KEY_OWN)) {
		fault(nf, line, "there is no key %s in [%s]; fethd.conf(5) lists them", name,
			s->kind == SECTION_NETWORK    ? "network"
			: s->kind == SECTION_DEFAULTS ? "defaults"
						      : "port NAME");
		return;
	}
	unsigned *seen = &nf->seen[key - keys], *times = &nf->times[key - keys];
	if (*seen && !key_is_list(key)) {
		fault(nf, line, "%s is given twice; the first time in line %u", name, *seen);
		return;
	}
	if (++*times > VALUES_MAX) {
		fault(nf, line, "%s is given too often; %u times are possible", name, VALUES_MAX);
		return;
	}
	*seen = line;
	if (key_takes(key, value, &why))
		add_item(nf, s, line, key, value);
	else
		fault(nf, line, "%s: %s", name, why);
}

static void on_fault(void *ctx, unsigned line, const char *text)
{
	struct netfile *nf = ctx;
	fault(nf, line, "%s", text);
}

/* -- the call that it is -- */

/* The items from `from` to `to`, all of one section; those of one key become one field. */
static void put_items(const struct netfile *nf, unsigned from, unsigned to, struct rpc_out *out)
{
	for (unsigned i = from; i < to; i++) {
		const struct key *key = nf->items[i].key;
		const char *values[VALUES_MAX];
		unsigned n = 0;
		bool first = true;
		for (unsigned k = from; k < i && key_is_list(key) && first; k++)
			first = nf->items[k].key != key;
		if (!first)
			continue;
		for (unsigned k = i; k < to && n < VALUES_MAX; k++)
			if (nf->items[k].key == key)
				values[n++] = nf->items[k].value;
		rpc_out_text(out, key->field);
		key_put(key, values, n, out);
	}
}

static void put_port(const struct netfile *nf, const struct section *s, unsigned from, unsigned to,
	struct rpc_out *out)
{
	rpc_out_map(out);
	rpc_put_text(out, "name", s->name);
	put_items(nf, from, to, out);
	rpc_out_close(out);
}

static void begin_request(const struct netfile *nf, struct rpc_out *out)
{
	rpc_out_request(out, 0, "network.apply");
	rpc_out_map(out);
	rpc_put_text(out, "network", nf->name);
}

static void end_request(struct rpc_out *out)
{
	rpc_out_close(out);
	rpc_out_end(out);
}

static void put_all(struct netfile *nf, struct rpc_out *out)
{
	begin_request(nf, out);
	for (unsigned i = 0; i < nf->n_sections; i++) {
		const struct section *s = &nf->sections[i];
		if (s->kind == SECTION_NETWORK)
			put_items(nf, s->from, s->to, out);
		if (s->kind != SECTION_DEFAULTS)
			continue;
		rpc_put_map(out, "defaults");
		put_items(nf, s->from, s->to, out);
		rpc_out_close(out);
	}
	rpc_put_array(out, "ports");
	for (unsigned i = 0; i < nf->n_sections; i++)
		if (nf->sections[i].kind == SECTION_PORT)
			put_port(nf, &nf->sections[i], nf->sections[i].from, nf->sections[i].to,
				out);
	rpc_out_close(out);
	end_request(out);
}

/* The value of a key in a section, or NULL. */
static const char *value_of(const struct netfile *nf, const struct section *s, const char *field)
{
	for (unsigned i = s->from; i < s->to; i++)
		if (!strcmp(nf->items[i].key->field, field))
			return nf->items[i].value;
	return NULL;
}

/* An end that goes with @end, and is not it, whatever that is. */
static const char *other_end(const char *end)
{
	const size_t len = strlen(end);
	const bool one = len >= 2 && !strcmp(end + len - 2, ":1");
	if (*end == '[')
		return one ? "[::1]:2" : "[::1]:1";
	return one ? "127.0.0.1:2" : "127.0.0.1:1";
}

/* What a port must have for one of its items to be judged; so that what is missing is the fault of
 * the line with its kind, and of no other. */
static void put_needed(
	const struct netfile *nf, const struct section *s, unsigned i, struct rpc_out *out)
{
	const struct item *item = &nf->items[i];
	const char *field = item->key->field, *kind = value_of(nf, s, "kind");
	const bool is_kind = !strcmp(field, "kind"), is_local = !strcmp(field, "local");
	enum port_kind known;
	if (!kind || !port_kind_find(kind, &known) || known == PORT_KIND_HOST)
		kind = "native"; /* which needs nothing */
	const struct {
		const char *kind, *field, *value;
	} needs[] = {
		{ "tap", "ifname", "eth0" },
		{ "udp", "local",
			!strcmp(field, "remote") ? other_end(item->value) : "127.0.0.1:1" },
		{ "udp", "remote", is_local ? other_end(item->value) : "127.0.0.1:2" },
	};
	if (!is_kind)
		rpc_put_text(out, "kind", kind);
	for (unsigned k = 0; k < sizeof(needs) / sizeof(needs[0]); k++)
		if (!strcmp(kind, needs[k].kind) && strcmp(field, needs[k].field) != 0 &&
			(!is_kind || value_of(nf, s, needs[k].field)))
			rpc_put_text(out, needs[k].field, needs[k].value);
}

/* One item as a call of its own, whose fault is then this line's. */
static void put_one(
	const struct netfile *nf, const struct section *s, unsigned i, struct rpc_out *out)
{
	begin_request(nf, out);
	switch (s->kind) {
	case SECTION_NETWORK:
		put_items(nf, i, i + 1, out);
		break;
	case SECTION_DEFAULTS:
		rpc_put_map(out, "defaults");
		put_items(nf, i, i + 1, out);
		rpc_out_close(out);
		break;
	case SECTION_PORT:
		rpc_put_array(out, "ports");
		rpc_out_map(out);
		rpc_put_text(out, "name", s->name);
		put_needed(nf, s, i, out);
		put_items(nf, i, i + 1, out);
		rpc_out_close(out);
		rpc_out_close(out);
		break;
	case SECTION_WRONG:
		break;
	}
	end_request(out);
}

/* What the method says of a request; @cmd is to be empty. */
static int judge(const struct rpc_out *request, struct command *cmd, struct err *err)
{
	static const char name[] = "network.apply";
	struct rpc_msg msg;
	const struct method *m =
		method_find((struct rpc_str){ .ptr = name, .len = sizeof(name) - 1 });
	int rc = -ENOMEM;
	if (rpc_decode(&msg, (const uint8_t *)request->buf.data, request->buf.size) == RPC_OK)
		rc = m->parse(msg.params, cmd, err);
	if (!rc)
		rc = method_check(m->kind, true, msg.params, err);
	rpc_msg_fini(&msg);
	return rc;
}

/* "FIELD: why" as "KEY: why", without the port's name, which the line's section has. */
static const char *of_key(const struct key *key, const char *sentence)
{
	const size_t len = strlen(key->field);
	if (!strncmp(sentence, "port ", 5) && strstr(sentence, ": "))
		sentence = strstr(sentence, ": ") + 2;
	if (!strncmp(sentence, key->field, len) && !strncmp(sentence + len, ": ", 2))
		return sentence + len + 2;
	return sentence;
}

static bool judge_item(struct netfile *nf, const struct section *s, unsigned i)
{
	struct rpc_out out;
	struct err err = { 0 };
	struct command *cmd = command_new(CMD_NETWORK_APPLY);
	rpc_out_init(&out);
	put_one(nf, s, i, &out);
	const int rc = cmd && rpc_out_ok(&out) ? judge(&out, cmd, &err) : 0;
	if (rc == -ENOMEM)
		nf->no_memory = true;
	else if (rc < 0)
		fault(nf, nf->items[i].line, "%s: %s", nf->items[i].key->name,
			of_key(nf->items[i].key, err.text));
	rpc_out_fini(&out);
	command_free(cmd);
	return rc < 0;
}

/* Each line by itself, so that all that is wrong is found; how many are. */
static unsigned judge_items(struct netfile *nf)
{
	unsigned wrong = 0;
	for (unsigned s = 0; s < nf->n_sections; s++)
		for (unsigned i = nf->sections[s].from;
			i < nf->sections[s].to && nf->sections[s].kind != SECTION_WRONG; i++)
			wrong += judge_item(nf, &nf->sections[s], i);
	return wrong;
}

static void judge_all(struct netfile *nf)
{
	struct err err = { 0 };
	struct command *cmd = command_new(CMD_NETWORK_APPLY);
	put_all(nf, &nf->request);
	if (!rpc_out_ok(&nf->request))
		fault(nf, 0, "it declares more than the %u bytes that a call may have",
			FETH_RPC_MAX);
	else if (!cmd)
		nf->no_memory = true;
	else if (judge(&nf->request, cmd, &err) < 0 && !judge_items(nf))
		fault(nf, netfile_line(nf, err.text), "%s", err.text);
	command_free(cmd);
}

/* -- whole -- */

void netfile_free(struct netfile *nf)
{
	if (!nf)
		return;
	rpc_out_fini(&nf->request);
	free(nf->sections);
	free(nf->items);
	free(nf->arena);
	free(nf);
}

static bool has_network(const struct netfile *nf)
{
	for (unsigned i = 0; i < nf->n_sections; i++)
		if (nf->sections[i].kind == SECTION_NETWORK)
			return true;
	return false;
}

static void read_all(struct netfile *nf, const char *text, size_t len)
{
	static const struct lines_sink sink = { on_section, on_entry, on_fault };
	const unsigned before = nf->faults->n;
	lines_read(text, len, &sink, nf);
	if (!has_network(nf) && nf->faults->n == before)
		fault(nf, 1, "there is no section [network], which every network has");
	if (nf->faults->n == before && !nf->no_memory)
		judge_all(nf);
	else
		(void)judge_items(nf);
	if (nf->no_memory)
		fault(nf, 0, "it cannot be read: out of memory");
}

struct netfile *netfile_read(
	const char *name, const char *file, const char *text, size_t len, struct faults *faults)
{
	const unsigned before = faults->n;
	if (len > NETFILE_BYTES) {
		faults_add(faults, file, 0, "the file has more than the %u bytes that are possible",
			NETFILE_BYTES);
		return NULL;
	}
	struct netfile *nf = calloc(1, sizeof(*nf));
	if (nf) {
		rpc_out_init(&nf->request);
		nf->sections = calloc(SECTIONS_MAX, sizeof(*nf->sections));
		nf->arena = malloc(len + 1);
	}
	if (!nf || !nf->sections || !nf->arena) {
		faults_add(faults, file, 0, "it cannot be read: out of memory");
		netfile_free(nf);
		return NULL;
	}
	strncpy(nf->name, name, FETH_NAME_MAX);
	strncpy(nf->file, file, FAULT_FILE - 1);
	nf->faults = faults;
	read_all(nf, text, len);
	nf->faults = NULL;
	if (faults->n == before)
		return nf;
	netfile_free(nf);
	return NULL;
}

const char *netfile_name(const struct netfile *nf)
{
	return nf->name;
}

const char *netfile_path(const struct netfile *nf)
{
	return nf->file;
}

bool netfile_same(const struct netfile *a, const struct netfile *b)
{
	return a->request.buf.size == b->request.buf.size &&
	       !memcmp(a->request.buf.data, b->request.buf.data, a->request.buf.size);
}

struct command *netfile_command(const struct netfile *nf)
{
	struct command *cmd = command_new(CMD_NETWORK_APPLY);
	if (cmd && judge(&nf->request, cmd, &cmd->err) < 0) { /* it was fine before */
		command_free(cmd);
		return NULL;
	}
	return cmd;
}

/* Whether @text is about @name: begins with it, and ends or goes on with ": ". */
static bool about(const char *text, const char *name)
{
	const size_t len = strlen(name);
	return !strncmp(text, name, len) && (text[len] == ':' || text[len] == ' ');
}

static unsigned line_in(const struct netfile *nf, const struct section *s, const char *sentence)
{
	for (unsigned i = s->from; i < s->to; i++)
		if (about(sentence, nf->items[i].key->field))
			return nf->items[i].line;
	return s->line;
}

unsigned netfile_line(const struct netfile *nf, const char *sentence)
{
	unsigned line = 0;
	if (about(sentence, nf->name)) /* "lab: ..." */
		sentence += strlen(nf->name) + 2;
	for (unsigned i = 0; i < nf->n_sections; i++) {
		const struct section *s = &nf->sections[i];
		if (s->kind == SECTION_NETWORK)
			line = line_in(nf, s, sentence);
		if (s->kind == SECTION_PORT && about(sentence, "port") &&
			about(sentence + 5, s->name))
			return line_in(nf, s, sentence + 5 + strlen(s->name) + 2);
	}
	return line;
}
