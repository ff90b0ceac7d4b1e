/* message.h - a call that one loop asks of another (io/inbox.h). It lies in what it is about, so
 * that posting it needs no memory and cannot fail. */
#ifndef SERVER_BASE_MESSAGE_H
#define SERVER_BASE_MESSAGE_H

struct message {
	struct message *next;  /* of the inbox, while it is in one */
	void (*fn)(void *arg); /* is called on the loop it was posted to; may free the message */
	void *arg;
};

#endif
