/* keys.h - the keys of configuration files, a line each in a table: which field of network.apply
 * each is, and how its value is written.
 *
 * What a value may be is not said here: the method's own parser judges it (server/rpc), so that a
 * file and a call are told the same. Pure. */
#ifndef SERVER_CONF_KEYS_H
#define SERVER_CONF_KEYS_H

#include "protocol/rpc.h"

enum key_kind {
	KEY_TEXT,
	KEY_UINT,
	KEY_BOOL,      /* yes, no, true, false, on or off */
	KEY_LIST,      /* an array of texts: the key may be repeated */
	KEY_ALLOW,     /* the same of rules such as "user:anna=attach,observe" */
	KEY_VLAN,      /* as vlantext.h says; may be repeated, too */
	KEY_BOOL_TEXT, /* as KEY_BOOL, or any text */
};

enum {
	KEY_PINNED = 1, /* saved even where it is the default */
	KEY_OWN = 2,    /* of a port itself: not in [defaults] */
};

struct key {
	const char *name;
	const char *field;
	enum key_kind kind;
	unsigned flags;
};

#define KEYS_MAX 64u /* of a table */

extern const struct key keys_network[]; /* of [network]; ends with an empty name */
extern const struct key keys_port[];    /* of [port NAME] and [defaults] */

/* Whether it may be repeated. */
bool key_is_list(const struct key *key);

/* NULL: there is none. */
const struct key *key_find(const struct key *keys, const char *name);

/* Whether a text is a possible value; *why is said where it is not. */
bool key_takes(const struct key *key, const char *text, const char **why);

/* Writes the field's value from @n texts that key_takes(); more than one of a list only. */
void key_put(const struct key *key, const char *const *texts, unsigned n, struct rpc_out *out);

/* The same backwards: what stands behind the =, of a list for its i-th element. False: there is
 * no (further) such value, or none that this key can say. */
bool key_text(
	const struct key *key, const msgpack_object *value, unsigned i, char *out, size_t size);

#endif
