/* bytes.h - byte strings of tests. */
#ifndef TESTS_SUPPORT_BYTES_H
#define TESTS_SUPPORT_BYTES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Two arguments, pointer and length: f(BYTES(0xc4, 0x0e)). */
#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static inline void bytes_put(uint8_t *out, const uint8_t *bytes, size_t len)
{
	memcpy(out, bytes, len);
}

/* A copy with no byte behind it, so that ASan sees whoever reads too far. free() it. */
static inline uint8_t *exact_copy(const void *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	if (!copy)
		abort();
	if (len)
		memcpy(copy, data, len);
	return len ? copy : memset(copy, 0, 1);
}

/* Bytes that grow. Zero it to start; free(data) at the end. */
struct bytes {
	uint8_t *data;
	size_t len, capacity;
};

/* Adds @len bytes to be filled in; the pointer lives until the next call. */
static inline uint8_t *bytes_room(struct bytes *b, size_t len)
{
	if (!b->data || b->capacity - b->len < len) {
		b->capacity = 2 * b->capacity + len + 64;
		b->data = realloc(b->data, b->capacity);
		if (!b->data)
			abort();
	}
	b->len += len;
	return b->data + b->len - len;
}

static inline void bytes_add(struct bytes *b, const void *data, size_t len)
{
	uint8_t *at = bytes_room(b, len);
	if (len)
		memcpy(at, data, len);
}

static inline void bytes_byte(struct bytes *b, unsigned v)
{
	const uint8_t byte = (uint8_t)v;
	bytes_add(b, &byte, 1);
}

#endif
