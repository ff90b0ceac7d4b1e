/* topview.h - the screen of `fethctl top` as lines of text: what to show, in which order, in which
 * columns. Pure: snapshots and a size in, lines out; cmd_top.c draws them.
 *
 * Everything is printable ASCII, a character a cell: names are by protocol, and whatever else a
 * daemon sends becomes '?'. A network is a line with its sum, and below it its ports. */
#ifndef CLIENTS_CTL_TOPVIEW_H
#define CLIENTS_CTL_TOPVIEW_H

#include "clients/ctl/snapshot.h"

enum top_sort {
	TOP_BY_RATE,
	TOP_BY_RX,
	TOP_BY_TX,
	TOP_BY_DROPS,
	TOP_BY_QUEUE,
	TOP_BY_NAME,
	TOP_SORTS
};
const char *top_sort_name(enum top_sort sort);

/* What the keys have chosen. All zero is a good start. */
struct top_view {
	const char *network; /* only this one; NULL: all */
	enum top_sort sort;
	bool bits;        /* bits a second instead of bytes */
	size_t first;     /* the first row shown; top_lay_out() keeps it within what there is */
	const char *note; /* a sentence in place of the totals; NULL: none */
	unsigned every_ms;
};

enum top_style { TOP_PLAIN, TOP_BOLD, TOP_REVERSE };

/* As many cells as anybody's terminal has; a wider one shows blanks there. */
#define TOP_COLUMNS_MAX 512u

struct top_line {
	enum top_style style;
	char text[TOP_COLUMNS_MAX + 1];
};

/**
 * top_lay_out() - make a screen
 * @before:	an older snapshot, for the rates; NULL: none yet
 * @now:	NULL: nothing is known
 * @columns:	of the terminal, 1 or more
 * @lines:	out: as many as @rows, each at most @columns long
 * @rows:	1 or more. Two are the heading, the last one tells the keys, from four on
 *
 * Return: how many rows of the table fit at once, for paging
 */
size_t top_lay_out(struct top_view *view, const struct snapshot *before, const struct snapshot *now,
	unsigned columns, struct top_line *lines, unsigned rows);

#define TOP_NUMBER 8u
/* A number in at most five characters, such as "0", "0.3", "999", "12.3k", "1.23M"; a rate that is
 * not known is "-". */
void top_number(bool known, double value, char out[TOP_NUMBER]);

enum top_key {
	TOP_KEY_NONE, /* not one of ours */
	TOP_KEY_QUIT,
	TOP_KEY_SORT,
	TOP_KEY_BITS,
	TOP_KEY_NETWORK, /* the next one; after the last all */
	TOP_KEY_UP,
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_HOME,
	TOP_KEY_END,
	TOP_KEY_FASTER,
	TOP_KEY_SLOWER,
	TOP_KEY_REDRAW,
};

/* Takes a key from what a terminal sent; *used: bytes of it, 0 where more must come. @n: 1 or more.
 */
enum top_key top_key(const unsigned char *bytes, size_t n, size_t *used);

#endif
