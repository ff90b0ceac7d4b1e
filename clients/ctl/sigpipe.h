/* sigpipe.h - signals that a loop hears by poll(2), through a pipe. A program has one of each
 * signal, so there is one of these. */
#ifndef CLIENTS_CTL_SIGPIPE_H
#define CLIENTS_CTL_SIGPIPE_H

#include <stdbool.h>
#include <stddef.h>

#define SIGPIPE_MAX 16u /* signals that may be caught */

/* Catches these. @interrupt: what waits at that moment, such as a write, returns EINTR. Return: 0
 * or a negative errno; sigpipe_close() either way. */
int sigpipe_open(const int *signals, size_t n, bool interrupt);
/* What the signals did before, they do again. */
void sigpipe_close(void);

int sigpipe_fd(void);   /* readable when one has come */
int sigpipe_next(void); /* takes one; 0: none */

#endif
