/* portset.h - a set of port numbers, the host side among them: a bit each. */
#ifndef SERVER_CORE_PORTSET_H
#define SERVER_CORE_PORTSET_H

#include "server/core/fdb.h"

#define PORTSET_WORDS ((FDB_PORTS + 63) / 64)

struct portset {
	uint64_t w[PORTSET_WORDS];
};

static inline bool portset_has(const struct portset *set, uint16_t port)
{
	return set->w[port / 64] >> port % 64 & 1;
}

static inline void portset_add(struct portset *set, uint16_t port)
{
	set->w[port / 64] |= UINT64_C(1) << port % 64;
}

static inline void portset_remove(struct portset *set, uint16_t port)
{
	set->w[port / 64] &= ~(UINT64_C(1) << port % 64);
}

static inline void portset_put(struct portset *set, uint16_t port, bool in)
{
	if (in)
		portset_add(set, port);
	else
		portset_remove(set, port);
}

static inline void portset_join(struct portset *set, const struct portset *more)
{
	for (unsigned i = 0; i < PORTSET_WORDS; i++)
		set->w[i] |= more->w[i];
}

static inline void portset_without(struct portset *set, const struct portset *less)
{
	for (unsigned i = 0; i < PORTSET_WORDS; i++)
		set->w[i] &= ~less->w[i];
}

/* The first number from @from on; PORT_NONE where there is none. Skips 64 that are not at a time.
 */
static inline uint16_t portset_next(const struct portset *set, unsigned from)
{
	for (unsigned p = from; p < FDB_PORTS;) {
		const uint64_t rest = set->w[p / 64] >> p % 64;
		if (!rest)
			p = (p / 64 + 1) * 64;
		else if (rest & 1)
			return (uint16_t)p;
		else
			p++;
	}
	return PORT_NONE;
}

static inline bool portset_empty(const struct portset *set)
{
	return portset_next(set, 0) == PORT_NONE;
}

#endif
