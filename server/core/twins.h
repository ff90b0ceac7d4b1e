/* twins.h - several stations with one address: an address that goes to and fro between ports.
 *
 * Theory of operation. An address that turns up on another port has moved: a guest was migrated, a
 * cable of a bond failed, a client came back under another number. That happens once, or there and
 * back. Two machines with one address (QEMUs without `mac=` are all 52:54:00:12:34:56) move it with
 * nearly every frame they send, for as long as they run: even two that do nothing but ask for an
 * address by DHCP or solicit routers move it several times in their first seconds. So TWINS_MOVES
 * moves within TWINS_MS are twins, between whichever ports: there may be three of them. A loop
 * moves addresses as well, a thousand times at once, until it is cut, here or elsewhere; so of
 * moves in quick succession one in TWINS_GAP_MS counts.
 *
 * An address is told of once in TWINS_TOLD_MS, and TWINS_TOLD of them in that time: there is one
 * thing to do about all of them.
 *
 * Pure: no I/O, no clock, no allocation. */
#ifndef SERVER_CORE_TWINS_H
#define SERVER_CORE_TWINS_H

#include "server/core/fdb.h"

/* There and back is two, and again is four; five is once more than a bond that fails over, comes
 * back and does so again. */
#define TWINS_MOVES 5u
#define TWINS_MS 10000u
#define TWINS_GAP_MS 100u /* five of these are longer than a loop lasts before it is cut */
#define TWINS_MAX 64u /* addresses watched at once; then the one that moved least recently goes */
#define TWINS_TOLD_MS 60000u
#define TWINS_TOLD 8u

struct twin {
	mac_key key;
	uint16_t from, to; /* the last move */
	uint16_t moves;    /* since first_ms, TWINS_MOVES at most; 0: the place is free */
	uint64_t first_ms;
	uint64_t last_ms; /* when it last moved */
	uint64_t counted_ms;
	uint64_t told_ms;
	bool told;
};

/* All zero is empty. */
struct twins {
	struct twin twin[TWINS_MAX];
	unsigned n_due;  /* with TWINS_MOVES; may be too many */
	unsigned n_told; /* since told_ms */
	uint64_t told_ms;
};

/* An address has moved. */
void twins_moved(struct twins *t, mac_key key, uint16_t from, uint16_t to, uint64_t now_ms);

/* One that is to be told of, now; false where there is none. The next call knows that it was. */
bool twins_next(struct twins *t, uint64_t now_ms, struct twin *out);

/* A port has another client, or loops: what moved from or to it last counts no longer. */
void twins_forget(struct twins *t, uint16_t port);

#endif
