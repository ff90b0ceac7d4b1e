/* door.h - a listening socket of fethctl's own: a Unix socket, or TCP on this machine's loopback.
 */
#ifndef CLIENTS_CTL_DOOR_H
#define CLIENTS_CTL_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct door {
	int fd;
	bool tcp;
	char path[108];   /* of a Unix socket */
	struct stat made; /* the file that is ours */
};

/**
 * door_open() - listen
 * @where:	a path, or 127.x.x.x:PORT, or [::1]:PORT; port 0: any that is free. What is no
 * loopback is refused
 *
 * A socket at the path that nobody listens at is replaced; anything else there is left alone. Who
 * may connect is for the umask and the directory to say.
 *
 * Return: 0, or a negative errno and a sentence in @why
 */
int door_open(struct door *door, const char *where, char *why, size_t size);
void door_close(struct door *door); /* and removes the file, if it is still ours */

/* What to ask for: a path, or http://127.0.0.1:PORT/metrics. */
void door_name(const struct door *door, char *out, size_t size);

/* A connection, non-blocking; negative: none now. */
int door_accept(struct door *door);

#endif
