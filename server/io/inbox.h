/* inbox.h - what other threads ask of a loop: messages, carried out in the order they came.
 *
 * The only thing that threads of the daemon write to in common, but for io/shared.h. A message is
 * given away by posting it; whoever posts sees to it that there is an end to what it has posted and
 * is not carried out yet: a session has one call under way, an event counts against
 * NETLOOP_EVENTS_MAX, and the rest are single. */
#ifndef SERVER_IO_INBOX_H
#define SERVER_IO_INBOX_H

#include "server/base/message.h"

struct inbox;

struct inbox *inbox_new(void *uv); /* for this uv_loop_t, which it keeps running; or NULL */
/* On its loop: carries out what has come, now. Descriptors and messages that came in one turn are
 * seen in any order; who acts on what it reads from a descriptor, and must know what was posted
 * before that was sent, says so by this. */
void inbox_take(struct inbox *in);

/* On its loop, when nobody posts any more; what has come is carried out. */
void inbox_close(struct inbox *in);
void inbox_free(struct inbox *in); /* when that loop has no handles left */

/* Has msg->fn called on the loop, in a turn to come. From any thread. */
void inbox_post(struct inbox *in, struct message *msg);

#endif
