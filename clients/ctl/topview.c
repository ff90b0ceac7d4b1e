/* topview.c - see topview.h. */
#include "clients/ctl/topview.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/rates.h"

const char *top_sort_name(enum top_sort sort)
{
	static const char *const names[TOP_SORTS] = { "rate", "rx", "tx", "drops", "queue",
		"name" };
	return names[sort];
}

void top_number(bool known, double value, char out[TOP_NUMBER])
{
	static const char units[] = "kMGTPE";
	unsigned u = 0;
	if (!known) {
		snprintf(out, TOP_NUMBER, "-");
		return;
	}
	if (value < 0.05) {
		snprintf(out, TOP_NUMBER, "0");
		return;
	}
	if (value < 999.5) {
		snprintf(out, TOP_NUMBER, value < 9.95 ? "%.1f" : "%.0f", value);
		return;
	}
	value /= 1000;
	while (value >= 999.5 && units[u + 1]) {
		value /= 1000;
		u++;
	}
	if (value >= 999.5) {
		snprintf(out, TOP_NUMBER, "lots");
		return;
	}
	const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
	snprintf(out, TOP_NUMBER, "%.*f%c", decimals, value, units[u]);
}

/* -- rows -- */

struct row {
	const struct snap_network *net;
	const struct snap_port *port; /* NULL: the network itself */
	struct rate rate;
	double queue; /* fill of the fullest, 0 to 1; negative: not known */
};

static double queue_of(const struct snap_port *port)
{
	return port->queue_bytes ? (double)port->queued_bytes / port->queue_bytes : -1;
}

/* What a row is sorted by, the largest first. */
static double weight(const struct row *r, enum top_sort sort)
{
	switch (sort) {
	case TOP_BY_RATE:
		return r->rate.rx_bytes + r->rate.tx_bytes;
	case TOP_BY_RX:
		return r->rate.rx_bytes;
	case TOP_BY_TX:
		return r->rate.tx_bytes;
	case TOP_BY_DROPS:
		return r->rate.drops;
	case TOP_BY_QUEUE:
		return r->queue;
	case TOP_BY_NAME:
	case TOP_SORTS:
		break;
	}
	return 0;
}

/* qsort() has no place for what to sort by, so there is a function for each. */
static int compare(const void *a, const void *b, enum top_sort sort)
{
	const struct row *x = a, *y = b;
	const double wx = weight(x, sort), wy = weight(y, sort);
	if (wx < wy || wx > wy)
		return wx < wy ? 1 : -1;
	const int names =
		x->port ? strcmp(x->port->name, y->port->name) : strcmp(x->net->name, y->net->name);
	return names || !x->port ? names
				 : (x->port->id > y->port->id) - (x->port->id < y->port->id);
}

#define COMPARE(name, sort)                                                                        \
	static int name(const void *a, const void *b)                                              \
	{                                                                                          \
		return compare(a, b, sort);                                                        \
	}
COMPARE(by_rate, TOP_BY_RATE)
COMPARE(by_rx, TOP_BY_RX)
COMPARE(by_tx, TOP_BY_TX)
COMPARE(by_drops, TOP_BY_DROPS)
COMPARE(by_queue, TOP_BY_QUEUE)
COMPARE(by_name, TOP_BY_NAME)
#undef COMPARE

static void sort_rows(struct row *rows, size_t n, enum top_sort sort)
{
	static int (*const by[TOP_SORTS])(const void *, const void *) = { by_rate, by_rx, by_tx,
		by_drops, by_queue, by_name };
	if (n > 1)
		qsort(rows, n, sizeof(*rows), by[sort]);
}

static struct row row_of_network(const struct snapshot *before, const struct snap_network *net)
{
	struct row r = { .net = net, .queue = -1 };
	rates_network(before, net, &r.rate);
	for (size_t i = 0; i < net->n_ports; i++)
		if (queue_of(&net->ports[i]) > r.queue)
			r.queue = queue_of(&net->ports[i]);
	return r;
}

/* All rows in their order; *n of them. NULL: none, or no memory. */
static struct row *make_rows(const struct top_view *view, const struct snapshot *before,
	const struct snapshot *now, size_t *n)
{
	size_t n_nets = 0, room = 0;
	*n = 0;
	for (size_t i = 0; now && i < now->n_networks; i++)
		room += 1 + now->networks[i].n_ports;
	struct row *nets = room ? malloc(now->n_networks * sizeof(*nets)) : NULL;
	struct row *rows = nets ? malloc(room * sizeof(*rows)) : NULL;
	for (size_t i = 0; rows && i < now->n_networks; i++)
		if (!view->network || !strcmp(view->network, now->networks[i].name))
			nets[n_nets++] = row_of_network(before, &now->networks[i]);
	sort_rows(nets, n_nets, view->sort);
	for (size_t i = 0; i < n_nets; i++) {
		const struct snap_network *net = nets[i].net;
		rows[(*n)++] = nets[i];
		struct row *ports = rows + *n;
		for (size_t k = 0; k < net->n_ports; k++) {
			struct row *r = &rows[(*n)++];
			*r = (struct row){ net, &net->ports[k], { 0 }, queue_of(&net->ports[k]) };
			rates_port(before, net, r->port, &r->rate);
		}
		sort_rows(ports, net->n_ports, view->sort);
	}
	free(nets);
	return rows;
}

/* Cells that the longest name takes. */
static size_t longest_name(const struct row *rows, size_t n)
{
	size_t longest = 0;
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &rows[i];
		const size_t len = r->port ? 2 + strlen(r->port->name) : strlen(r->net->name);
		longest = len > longest ? len : longest;
	}
	return longest;
}

/* -- columns -- */

enum column {
	NAME,
	KIND,
	MAC,
	RX_FRAMES,
	RX_BYTES,
	TX_FRAMES,
	TX_BYTES,
	DROPS,
	REASON,
	QUEUE,
	COLUMNS
};

struct layout {
	unsigned width[COLUMNS]; /* cells; 0: not shown */
};

#define GAP 2u /* cells between columns */
#define NAME_MIN 8u
#define NAME_USUAL 18u   /* so that columns stay where they are while ports come and go */
#define NAME_LONGEST 34u /* there can be, indented */

static unsigned width_of(const struct layout *l)
{
	unsigned sum = 0;
	for (unsigned c = 0; c < COLUMNS; c++)
		if (l->width[c])
			sum += l->width[c] + (c ? GAP : 0);
	return sum;
}

/* Shows a column if there is room for it still. */
static void add_column(struct layout *l, enum column c, unsigned width, unsigned columns)
{
	l->width[c] = width;
	if (width_of(l) > columns)
		l->width[c] = 0;
}

/* The more a column says, the sooner it gets its place. @longest: of the names, with their indent.
 */
static struct layout choose(unsigned columns, size_t longest)
{
	struct layout l = { .width = { [NAME] = NAME_MIN } };
	add_column(&l, RX_BYTES, 6, columns);
	add_column(&l, TX_BYTES, 6, columns);
	add_column(&l, DROPS, 6, columns);
	add_column(&l, RX_FRAMES, 6, columns);
	add_column(&l, TX_FRAMES, 6, columns);
	add_column(&l, QUEUE, 5, columns);
	add_column(&l, REASON, 11, columns);
	const unsigned used = width_of(&l);
	const unsigned left = used < columns ? columns - used : 0;
	const unsigned wish = longest < NAME_USUAL     ? NAME_USUAL
			      : longest > NAME_LONGEST ? NAME_LONGEST
						       : (unsigned)longest;
	l.width[NAME] += left < wish - NAME_MIN ? left : wish - NAME_MIN;
	if (l.width[NAME] > columns)
		l.width[NAME] = columns;
	add_column(&l, KIND, 9, columns);
	add_column(&l, MAC, 17, columns);
	if (l.width[REASON] && width_of(&l) + 5 <= columns)
		l.width[REASON] += 5; /* too_big_for_port */
	return l;
}

static const bool to_the_right[COLUMNS] = { [RX_FRAMES] = true,
	[RX_BYTES] = true,
	[TX_FRAMES] = true,
	[TX_BYTES] = true,
	[DROPS] = true,
	[QUEUE] = true };

/* A text in its cells; one that is too long ends with '~'. */
static void put_cell(char *at, unsigned width, const char *text, bool right)
{
	const size_t len = strlen(text);
	const size_t take = len < width ? len : width;
	char *to = right ? at + (width - take) : at;
	for (size_t i = 0; i < take; i++) {
		const unsigned char c = (unsigned char)text[i];
		to[i] = c < 0x20 || c > 0x7e ? '?' : (char)c;
	}
	if (len > width && width)
		at[width - 1] = '~';
}

static void blank(struct top_line *line, enum top_style style, unsigned columns)
{
	line->style = style;
	memset(line->text, ' ', columns);
	line->text[columns] = '\0';
}

static void put_cells(struct top_line *line, const struct layout *l, const char *const *texts)
{
	unsigned at = 0;
	for (unsigned c = 0; c < COLUMNS; c++) {
		if (!l->width[c])
			continue;
		put_cell(line->text + at, l->width[c], texts[c], to_the_right[c]);
		at += l->width[c] + GAP;
	}
}

static void put_row(struct top_line *line, const struct layout *l, const struct row *r, bool bits)
{
	char numbers[5][TOP_NUMBER], name[64], queue[16] = "-";
	const double unit = bits ? 8 : 1;
	const struct rate *rate = &r->rate;
	const struct snap_port *p = r->port;
	top_number(rate->known, rate->rx_frames, numbers[0]);
	top_number(rate->known, rate->rx_bytes * unit, numbers[1]);
	top_number(rate->known, rate->tx_frames, numbers[2]);
	top_number(rate->known, rate->tx_bytes * unit, numbers[3]);
	top_number(rate->known, rate->drops, numbers[4]);
	snprintf(name, sizeof(name), p ? "  %s" : "%s", p ? p->name : r->net->name);
	if (r->queue >= 0)
		snprintf(queue, sizeof(queue), "%.0f%%", r->queue > 9.99 ? 999 : 100 * r->queue);
	const char *texts[COLUMNS] = {
		[NAME] = name,
		[KIND] = !p             ? r->net->backend
			 : !p->kind[0]  ? ""
			 : !p->up       ? "down"
			 : !p->attached ? "waiting"
					: p->kind,
		[MAC] = p ? p->mac : r->net->host,
		[RX_FRAMES] = numbers[0],
		[RX_BYTES] = numbers[1],
		[TX_FRAMES] = numbers[2],
		[TX_BYTES] = numbers[3],
		[DROPS] = numbers[4],
		[REASON] = rate->reason ? rate->reason : "",
		[QUEUE] = queue,
	};
	put_cells(line, l, texts);
}

/* -- the screen -- */

static void put_duration(char *out, size_t size, uint64_t ms)
{
	const unsigned long long s = ms / 1000;
	if (s < 86400)
		snprintf(out, size, "%llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(out, size, "%llud %llu:%02llu", s / 86400, s / 3600 % 24, s / 60 % 60);
}

static void put_title(struct top_line *line, const struct top_view *view,
	const struct snapshot *now, unsigned columns)
{
	char left[256], right[64], up[32];
	size_t ports = 0;
	for (size_t i = 0; now && i < now->n_networks; i++)
		for (size_t k = 0; k < now->networks[i].n_ports; k++)
			ports += now->networks[i].ports[k].attached;
	blank(line, TOP_PLAIN, columns);
	snprintf(right, sizeof(right), "%s, by %s, %g s", view->network ? view->network : "all",
		top_sort_name(view->sort), view->every_ms / 1000.0);
	if (view->note || !now) {
		snprintf(left, sizeof(left), "%s", view->note ? view->note : "fethd");
	} else if (now->has_daemon) {
		put_duration(up, sizeof(up), now->uptime_ms);
		snprintf(left, sizeof(left), "fethd %s  up %s  networks %zu  attached %zu",
			now->version, up, now->n_networks, ports);
	} else {
		snprintf(left, sizeof(left), "fethd  attached %zu", ports);
	}
	put_cell(line->text, columns, left, false);
	const size_t l = strlen(left), r = strlen(right);
	if (l + GAP + r <= columns)
		put_cell(line->text + (columns - r), (unsigned)r, right, false);
}

static void put_head(struct top_line *line, const struct layout *l, bool bits, unsigned columns)
{
	const char *texts[COLUMNS] = {
		[NAME] = "NETWORK",
		[KIND] = "KIND",
		[MAC] = "MAC",
		[RX_FRAMES] = "RX-F/S",
		[RX_BYTES] = bits ? "RX-b/S" : "RX-B/S",
		[TX_FRAMES] = "TX-F/S",
		[TX_BYTES] = bits ? "TX-b/S" : "TX-B/S",
		[DROPS] = "DROP/S",
		[REASON] = "REASON",
		[QUEUE] = "QUEUE",
	};
	blank(line, TOP_REVERSE, columns);
	put_cells(line, l, texts);
}

static void put_keys(struct top_line *line, const struct top_view *view, size_t shown, size_t n,
	unsigned columns)
{
	static const char keys[] = "q quit  s sort  b bits  n network  arrows, pages  +- interval";
	char rows[64] = "";
	if (shown < n)
		snprintf(rows, sizeof(rows), "%zu-%zu of %zu", view->first + 1, view->first + shown,
			n);
	blank(line, TOP_REVERSE, columns);
	put_cell(line->text, columns, keys, false);
	const size_t len = strlen(rows);
	if (len && len < columns) {
		put_cell(line->text + (columns - len), (unsigned)len, rows, false);
		line->text[columns - len - 1] = ' ';
	}
}

size_t top_lay_out(struct top_view *view, const struct snapshot *before, const struct snapshot *now,
	unsigned columns, struct top_line *lines, unsigned rows)
{
	size_t n;
	struct row *all = make_rows(view, before, now, &n);
	if (columns > TOP_COLUMNS_MAX)
		columns = TOP_COLUMNS_MAX;
	const struct layout layout = choose(columns, longest_name(all, n));
	const unsigned around = rows >= 4 ? 3 : rows >= 2 ? rows - 1 : 0;
	const size_t fit = rows - around;
	if (view->first + fit > n)
		view->first = n > fit ? n - fit : 0;
	const size_t shown = n - view->first < fit ? n - view->first : fit;

	unsigned at = 0;
	if (around)
		put_title(&lines[at++], view, now, columns);
	if (around > 1)
		put_head(&lines[at++], &layout, view->bits, columns);
	for (size_t i = 0; i < fit; i++, at++) {
		const struct row *r = i < shown ? &all[view->first + i] : NULL;
		blank(&lines[at], r && !r->port ? TOP_BOLD : TOP_PLAIN, columns);
		if (r)
			put_row(&lines[at], &layout, r, view->bits);
	}
	if (around > 2)
		put_keys(&lines[at], view, shown, n, columns);
	free(all);
	return fit;
}

/* -- keys -- */

static enum top_key plain_key(unsigned char c)
{
	switch (c) {
	case 'q':
	case 'Q':
	case 3: /* ^C, where the terminal does not make a signal of it */
		return TOP_KEY_QUIT;
	case 's':
		return TOP_KEY_SORT;
	case 'b':
		return TOP_KEY_BITS;
	case 'n':
	case '\t':
		return TOP_KEY_NETWORK;
	case 'k':
		return TOP_KEY_UP;
	case 'j':
	case '\r':
	case '\n':
		return TOP_KEY_DOWN;
	case ' ':
		return TOP_KEY_PAGE_DOWN;
	case 'g':
		return TOP_KEY_HOME;
	case 'G':
		return TOP_KEY_END;
	case '+':
	case '=':
		return TOP_KEY_FASTER;
	case '-':
		return TOP_KEY_SLOWER;
	case 12: /* ^L */
		return TOP_KEY_REDRAW;
	default:
		return TOP_KEY_NONE;
	}
}

/* The end of a sequence such as ESC [ 5 ~ (ECMA-48, 5.4), and the number in it. */
static enum top_key sequence_key(unsigned char final, unsigned number)
{
	switch (final) {
	case 'A':
		return TOP_KEY_UP;
	case 'B':
		return TOP_KEY_DOWN;
	case 'H':
		return TOP_KEY_HOME;
	case 'F':
		return TOP_KEY_END;
	case '~':
		return number == 5                  ? TOP_KEY_PAGE_UP
		       : number == 6                ? TOP_KEY_PAGE_DOWN
		       : number == 1 || number == 7 ? TOP_KEY_HOME
		       : number == 4 || number == 8 ? TOP_KEY_END
						    : TOP_KEY_NONE;
	default:
		return TOP_KEY_NONE;
	}
}

enum top_key top_key(const unsigned char *bytes, size_t n, size_t *used)
{
	unsigned number = 0;
	*used = 1;
	if (bytes[0] != 0x1b)
		return plain_key(bytes[0]);
	if (n == 1) {
		*used = 0;
		return TOP_KEY_NONE;
	}
	if (bytes[1] != '[' && bytes[1] != 'O')
		return TOP_KEY_NONE; /* the key itself, and then another */
	for (size_t i = 2; i < n; i++) {
		*used = i + 1;
		if (bytes[i] >= '0' && bytes[i] <= '9')
			number = number < 100 ? 10 * number + (bytes[i] - '0') : number;
		else if (bytes[i] >= 0x40 && bytes[i] <= 0x7e)
			return sequence_key(bytes[i], number);
		else if (bytes[i] < 0x20 || bytes[i] > 0x7e)
			return TOP_KEY_NONE; /* no sequence: it is given up */
	}
	*used = n < 32 ? 0 : n;
	return TOP_KEY_NONE;
}
