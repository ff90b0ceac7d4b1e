/* out.h - what commands print: tables for people, one JSON document for programs.
 *
 * A command hands over what the server sent and says which fields a person wants to see, under
 * which names. JSON gets all fields as they came. */
#ifndef CLIENTS_CTL_OUT_H
#define CLIENTS_CTL_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <msgpack.h>

/* Writes one value for a person; `value` is NULL where the field is missing or nil. Text that is
 * not ours goes through out_print_text(). */
typedef void out_format(FILE *f, const msgpack_object *value);

struct out_field {
	const char *head;
	const char *key; /* NULL: the format looks at the whole row */
	out_format *format;
	bool right; /* numbers: aligned to the right */
};

/* Items of a list. */
struct rows {
	const msgpack_object **items; /* owned; the objects are borrowed */
	size_t n;
	size_t capacity; /* items */
};

bool rows_add(struct rows *rows, const msgpack_object *item); /* false: out of memory */
void rows_fini(struct rows *rows);

struct out {
	/* A list. `rows` are for people; `doc` is the document, NULL: an array of the rows. */
	void (*table)(struct out *out, const struct out_field *fields, size_t n_fields,
		const struct rows *rows, const msgpack_object *doc);
	/* One object. People see no fields that are missing. */
	void (*record)(struct out *out, const struct out_field *fields, size_t n_fields,
		const msgpack_object *map);
	/* One of many that come as time passes: a line of its own, written at once. */
	void (*event)(
		struct out *out, uint64_t time_ms, const char *name, const msgpack_object *params);
	/* One table of many that come as time passes; @doc on a line of its own. Written at once.
	 */
	void (*stream)(struct out *out, const struct out_field *fields, size_t n_fields,
		const struct rows *rows, const msgpack_object *doc);
	/* It worked, and there is nothing to say: silence, or {}. */
	void (*nothing)(struct out *out);
	bool streamed; /* a table was printed before */
	bool failed;   /* out of memory; a failing standard output is found at its end */
};

struct out *out_text_new(void); /* NULL: out of memory; free() it */
struct out *out_json_new(void);

/* A field of a map, or the map where @key is NULL; NULL where it is missing, nil, or `map` is none.
 */
const msgpack_object *out_get(const msgpack_object *map, const char *key);

/* Text of a peer: what could move a terminal's cursor becomes '?'. */
void out_print_text(FILE *f, const char *text, size_t len);

/* Formats. All print "-" for a missing value. */
out_format out_any;     /* by its type; arrays with commas, maps as `key value` */
out_format out_up;      /* up, down */
out_format out_carrier; /* yes, lost */
out_format out_age;     /* milliseconds, as 12.3 s */
out_format out_fixed;   /* of fdb.list: static, learned */
out_format out_rate;    /* so many a second */
out_format out_left;    /* milliseconds until it ends; missing: stays */

#define OUT_FIELDS(array) (array), sizeof(array) / sizeof((array)[0])

#endif
