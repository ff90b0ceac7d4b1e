/* twins.c - see twins.h. */
#include "server/core/twins.h"

/* The entry of an address, or else one that is free, or else the one that moved least recently. */
static struct twin *find(struct twins *t, mac_key key)
{
	struct twin *other = &t->twin[0];
	for (unsigned i = 0; i < TWINS_MAX; i++) {
		struct twin *w = &t->twin[i];
		if (w->key == key && (w->moves || w->told))
			return w;
		if (other->moves && (!w->moves || w->last_ms < other->last_ms))
			other = w;
	}
	*other = (struct twin){ .key = key };
	return other;
}

void twins_moved(struct twins *t, mac_key key, uint16_t from, uint16_t to, uint64_t now_ms)
{
	struct twin *w = find(t, key);
	w->from = from;
	w->to = to;
	w->last_ms = now_ms;
	if (w->moves && now_ms - w->counted_ms < TWINS_GAP_MS)
		return;
	w->counted_ms = now_ms;
	if (!w->moves || now_ms - w->first_ms > TWINS_MS) {
		w->moves = 1;
		w->first_ms = now_ms;
	} else if (w->moves < TWINS_MOVES && ++w->moves == TWINS_MOVES) {
		t->n_due++;
	}
}

static bool may_tell(struct twins *t, const struct twin *w, uint64_t now_ms)
{
	if (w->told && now_ms - w->told_ms < TWINS_TOLD_MS)
		return false;
	if (now_ms - t->told_ms >= TWINS_TOLD_MS) {
		t->told_ms = now_ms;
		t->n_told = 0;
	}
	return t->n_told < TWINS_TOLD;
}

bool twins_next(struct twins *t, uint64_t now_ms, struct twin *out)
{
	for (unsigned i = 0; t->n_due && i < TWINS_MAX; i++) {
		struct twin *w = &t->twin[i];
		if (w->moves < TWINS_MOVES)
			continue;
		const bool tell = may_tell(t, w, now_ms);
		w->moves = 0; /* from here on they are counted anew */
		if (!tell)
			continue;
		w->told = true;
		w->told_ms = now_ms;
		t->n_told++;
		*out = *w;
		return true;
	}
	t->n_due = 0;
	return false;
}

void twins_forget(struct twins *t, uint16_t port)
{
	for (unsigned i = 0; i < TWINS_MAX; i++) {
		struct twin *w = &t->twin[i];
		if (w->from == port || w->to == port)
			w->moves = 0;
	}
}
