/* lag.h - how many bytes may wait for a slow reader, so that what it reads is not old.
 *
 * Theory of operation. What waits for a reader waits in two places: in its socket, and behind that
 * in its queue (sendq.h). Both are bounded in bytes, which is milliseconds for a fast reader and
 * half a second for one of 10 Mbit/s. So whoever stays behind is measured: over LAG_WINDOW_MS, what
 * was written, and by how much what is unread became less, is what it has read. Of that the *cap*
 * follows, LAG_MS of its reading, for both places together.
 *
 * Everything is done to leave a fast reader alone. It is not measured before it has been behind for
 * LAG_PATIENCE_MS without a break: on a busy machine a process waits for a processor so long. One
 * that reads nothing at all has no speed; it has stopped, and what it is owed stays. And who under
 * a cap empties its socket may only have come by seldom: then the cap doubles, as it does when
 * nothing had to wait for a window.
 *
 * Bytes unread are as the kernel counts them against the buffer, with its overhead: more than were
 * written, above all of short frames written singly. So LAG_MIN may always wait in the queue.
 *
 * Pure: no socket, no clock. */
#ifndef SERVER_CORE_LAG_H
#define SERVER_CORE_LAG_H

#include <stdbool.h>
#include <stdint.h>

#define LAG_MS 25u /* rounded up to a power of two, a cap is at most 50 ms of reading */
#define LAG_WINDOW_MS 100u
#define LAG_PATIENCE_MS 50u
#define LAG_MIN 8192u           /* 5 frames of 1514 bytes */
#define LAG_ANY (1024u * 1024u) /* no cap: about what socket and queue hold (IOLOOP_SNDBUF) */
#define LAG_FORGET_MS 1000u     /* without traffic */

struct lag {
	uint64_t since_ms; /* of this window */
	uint64_t written;  /* when it began */
	uint32_t unread;
	uint32_t cap; /* bytes that may wait in all; LAG_ANY */
	bool open;    /* there is a window */
	bool behind;  /* something had to wait in it */
	bool emptied; /* its socket was empty, and something waited */
};

static inline void lag_init(struct lag *lag)
{
	*lag = (struct lag){ .cap = LAG_ANY };
}

static inline bool lag_capped(const struct lag *lag)
{
	return lag->cap != LAG_ANY;
}

/* Nothing waits any more for a reader that has no cap. */
static inline void lag_caught_up(struct lag *lag)
{
	lag->open = lag_capped(lag);
}

/* Whether lag_look() has a use for what is unread, which costs a call of the kernel's to know.
 * @behind_ms: for how long something has waited without a break. Under a cap: always. */
bool lag_asks(const struct lag *lag, uint64_t now_ms, uint64_t behind_ms);

/**
 * lag_look() - look at a reader
 * @written:	bytes written to it so far, in all
 * @unread:	bytes of them that it has not read
 * @waits:	something waits in its queue
 *
 * Return: whether the cap is another
 */
bool lag_look(struct lag *lag, uint64_t now_ms, uint64_t written, uint32_t unread, bool waits);

/* How many bytes may wait in the queue, with @unread in the socket. UINT32_MAX where there is no
 * cap. */
uint32_t lag_room(const struct lag *lag, uint32_t unread);

#endif
