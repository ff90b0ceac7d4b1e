/* term.h - the terminal while a screen is shown: raw keys, the alternate screen, its size, and that
 * it is afterwards as it was, whatever ended us: a key, a signal, a fault of ours.
 *
 * There is one terminal, so its state is the one static of fethctl: a signal handler must find it.
 */
#ifndef CLIENTS_CTL_TERM_H
#define CLIENTS_CTL_TERM_H

#include <stdbool.h>
#include <stddef.h>

/* What signals have said since term_news() was last called. */
struct term_news {
	bool end;    /* SIGINT, SIGTERM, SIGHUP or SIGQUIT */
	bool redraw; /* another size, or we were stopped and go on */
};

/* Begins: standard input and output are the terminal. Return: 0, -ENOTTY, or another errno. */
int term_open(void);
/* Ends: all is as it was. May be called more than once. */
void term_close(void);

/* Becomes readable when there is news. */
int term_fd(void);
struct term_news term_news(void);

/* Cells there are now, 1 or more each; 80 and 24 where the terminal does not say. */
void term_size(unsigned *columns, unsigned *rows);

/* Writes all of it; false: the terminal is gone. */
bool term_write(const char *data, size_t len);

#endif
