/* cmd_top.c - top: the screen of topview.h, drawn again and again, until a key or a signal.
 *
 * One loop waits for the terminal, for signals and for the daemon, so that keys are heard while a
 * daemon is slow or gone. One that is gone is tried again with every turn. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/ctl/clock.h"
#include "clients/ctl/ctl.h"
#include "clients/ctl/snapread.h"
#include "clients/ctl/term.h"
#include "clients/ctl/topview.h"

#define EVERY_MIN_MS 100u
#define EVERY_MAX_MS 60000u
#define ROWS_MAX 1024u
/* A daemon that says nothing for so long is told of; the call goes on waiting. */
#define SLOW_MS 3000u

struct top {
	struct ctl *ctl;
	const char *network; /* as given: then there is no other; NULL */
	struct top_view view;
	char shown[FETH_NAME_MAX + 1]; /* what view.network points to */
	char note[256];                /* likewise view.note */
	struct snapshot *before, *now;
	bool reading; /* a snapshot is on its way */
	bool dead;    /* the connection is to be closed */
	bool dirty;   /* the screen is not what it should be */
	bool clear;   /* all of the screen is to be wiped first */
	bool over;
	uint64_t due_ms;   /* when to read the next one */
	uint64_t asked_ms; /* when reading began */
	size_t page;       /* rows that fit */
	unsigned char keys[64];
	size_t n_keys;
	struct top_line lines[ROWS_MAX];
};

/* -- the daemon -- */

static void set_note(struct top *t, const char *what, const char *why)
{
	snprintf(t->note, sizeof(t->note), "%s%s%s", what, *why ? ": " : "", why);
	t->view.note = t->note;
	t->dirty = true;
}

static void on_read(void *user, struct snapshot *s, const char *code, const char *why)
{
	struct top *t = user;
	t->reading = false;
	t->dirty = true;
	if (!s) {
		/* what the daemon said itself is no reason to leave it */
		t->dead = !*code;
		set_note(t, *code ? "fethd says" : "fethd is gone, trying again", why);
		return;
	}
	snapshot_free(t->before);
	t->before = t->now;
	t->now = s;
	t->view.note = NULL;
}

/* What was counted before is another daemon's. */
static void forget(struct top *t)
{
	snapshot_free(t->before);
	snapshot_free(t->now);
	t->before = t->now = NULL;
}

static void disconnect(struct top *t)
{
	feth_close(t->ctl->conn); /* may call on_read() */
	t->ctl->conn = NULL;
	t->dead = false;
	forget(t);
}

/* Begins to read, if nothing is on its way. */
static void refresh(struct top *t, uint64_t now)
{
	if (t->dead)
		disconnect(t);
	t->due_ms = now + t->view.every_ms;
	if (t->reading)
		return;
	if (!t->ctl->conn) {
		const int rc = ctl_try_observer(t->ctl, t->network);
		if (rc < 0)
			return set_note(t, "no daemon answers, trying again", strerror(-rc));
	}
	t->reading = true;
	t->asked_ms = now;
	snapread_start(t->ctl->conn, t->network, on_read, t);
}

static void hear_daemon(struct top *t)
{
	struct feth_frame frame; /* none can come: this is no port */
	const int rc = feth_recv(t->ctl->conn, &frame, 1, 0);
	if (rc >= 0 || rc == -EINTR)
		return;
	if (!t->dead)
		set_note(t, "fethd is gone, trying again", feth_error(t->ctl->conn));
	t->dead = true;
}

/* -- keys -- */

/* The network behind the one that is shown alone; after the last one all. */
static void next_network(struct top *t)
{
	const struct snapshot *s = t->now;
	size_t i = 0;
	if (!s || t->network)
		return;
	if (t->view.network) {
		while (i < s->n_networks && strcmp(s->networks[i].name, t->view.network) != 0)
			i++;
		i = i == s->n_networks ? 0 : i + 1;
	}
	t->view.network = NULL;
	t->view.first = 0;
	if (i == s->n_networks)
		return;
	snprintf(t->shown, sizeof(t->shown), "%s", s->networks[i].name);
	t->view.network = t->shown;
}

static void scroll(struct top *t, bool down, size_t rows)
{
	if (down)
		t->view.first += rows;
	else
		t->view.first -= rows < t->view.first ? rows : t->view.first;
}

static void change_interval(struct top *t, bool faster)
{
	const unsigned ms = faster ? t->view.every_ms / 2 : t->view.every_ms * 2;
	t->view.every_ms = ms < EVERY_MIN_MS ? EVERY_MIN_MS : ms > EVERY_MAX_MS ? EVERY_MAX_MS : ms;
	t->due_ms = clock_now_ms() + t->view.every_ms;
}

static void act(struct top *t, enum top_key key)
{
	t->dirty = true;
	switch (key) {
	case TOP_KEY_QUIT:
		t->over = true;
		return;
	case TOP_KEY_SORT:
		t->view.sort = (t->view.sort + 1) % TOP_SORTS;
		t->view.first = 0;
		return;
	case TOP_KEY_BITS:
		t->view.bits = !t->view.bits;
		return;
	case TOP_KEY_NETWORK:
		return next_network(t);
	case TOP_KEY_UP:
	case TOP_KEY_DOWN:
		return scroll(t, key == TOP_KEY_DOWN, 1);
	case TOP_KEY_PAGE_UP:
	case TOP_KEY_PAGE_DOWN:
		return scroll(t, key == TOP_KEY_PAGE_DOWN, t->page);
	case TOP_KEY_HOME:
		t->view.first = 0;
		return;
	case TOP_KEY_END:
		t->view.first = SIZE_MAX / 2; /* top_lay_out() knows the end */
		return;
	case TOP_KEY_FASTER:
	case TOP_KEY_SLOWER:
		return change_interval(t, key == TOP_KEY_FASTER);
	case TOP_KEY_REDRAW:
		t->clear = true;
		return;
	case TOP_KEY_NONE:
		t->dirty = false;
		return;
	}
}

static void hear_keys(struct top *t)
{
	const ssize_t n = read(STDIN_FILENO, t->keys + t->n_keys, sizeof(t->keys) - t->n_keys);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		t->over = true; /* the terminal is gone */
		return;
	}
	t->n_keys += (size_t)n;
	size_t at = 0, used = 1;
	while (at < t->n_keys && used && !t->over) {
		const enum top_key key = top_key(t->keys + at, t->n_keys - at, &used);
		const bool was = t->dirty;
		if (used)
			act(t, key);
		t->dirty |= was;
		at += used;
	}
	t->n_keys -= at;
	memmove(t->keys, t->keys + at, t->n_keys);
}

/* -- the screen -- */

static void draw(struct top *t)
{
	static const char *const styles[] = { "\x1b[0m", "\x1b[0;1m", "\x1b[0;7m" };
	unsigned columns, rows;
	char *text = NULL;
	size_t len;
	term_size(&columns, &rows);
	if (rows > ROWS_MAX)
		rows = ROWS_MAX;
	t->page = top_lay_out(&t->view, t->before, t->now, columns, t->lines, rows);
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return;
	if (t->clear) /* lines are as wide as the screen, so else there is nothing beside them */
		fputs("\x1b[0m\x1b[2J", f);
	t->clear = false;
	for (unsigned i = 0; i < rows; i++)
		fprintf(f, "\x1b[%u;1H%s%s", i + 1, styles[t->lines[i].style], t->lines[i].text);
	fputs("\x1b[0m", f);
	if (!fclose(f) && !term_write(text, len))
		t->over = true;
	free(text);
	t->dirty = false;
}

/* Waits for whichever comes first, and hears it. */
static void wait_for_something(struct top *t)
{
	struct pollfd fds[3] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = term_fd(), .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
	};
	if (t->ctl->conn && !t->dead) {
		fds[2].fd = feth_fd(t->ctl->conn);
		if (feth_wants_write(t->ctl->conn))
			fds[2].events |= POLLOUT;
	}
	const uint64_t now = clock_now_ms();
	const int timeout = t->due_ms > now ? (int)(t->due_ms - now) : 0;
	if (poll(fds, 3, timeout) < 0)
		return; /* a signal: the pipe has it */
	if (fds[1].revents) {
		const struct term_news news = term_news();
		t->over |= news.end;
		t->dirty |= news.redraw;
		t->clear |= news.redraw;
	}
	if (fds[2].revents)
		hear_daemon(t);
	if (fds[0].revents)
		hear_keys(t);
}

static void show(struct top *t)
{
	while (!t->over) {
		const uint64_t now = clock_now_ms();
		if (now >= t->due_ms)
			refresh(t, now);
		if (t->reading && now - t->asked_ms > SLOW_MS && !t->view.note)
			set_note(t, "fethd does not answer, waiting", "");
		if (t->dirty)
			draw(t);
		wait_for_something(t);
	}
}

int cmd_top(struct ctl *ctl, const struct args *args)
{
	const char *network = NULL;
	uint32_t every = 1;
	const int given = args_uint(args, "interval", &every);
	if (given < 0 || (args->n_operands && !(network = args_operand_name(args, 0, "network"))))
		return CTL_FAILED;
	if (ctl->json)
		return ctl_usage(args->cmd, "top is a screen for people; `fethctl stats --watch "
					    "--json` is for programs");
	if (!every || every > EVERY_MAX_MS / 1000)
		return ctl_fail("--interval: it must be 1 to %u seconds", EVERY_MAX_MS / 1000);
	struct top *t = calloc(1, sizeof(*t));
	if (!t)
		return ctl_fail("out of memory");
	t->ctl = ctl;
	t->network = t->view.network = network;
	t->view.every_ms = 1000 * every;
	t->dirty = true;

	/* who mistypes a name, or has no daemon, is told so and sees no screen */
	int status = network ? ctl_connect_observer(ctl, network) : ctl_connect(ctl, NULL);
	if (!status && network) {
		struct rpc_out params;
		ctl_params(&params, network);
		status = ctl_call(ctl, "network.show", &params, "show network", network, NULL);
	}
	const int rc = status ? 0 : term_open();
	if (rc == -ENOTTY)
		status = ctl_fail(
			"top needs a terminal; `fethctl stats --watch` prints to anything");
	else if (rc < 0)
		status = ctl_fail("cannot use the terminal: %s", strerror(-rc));
	if (!status && !rc) {
		show(t);
		term_close();
	}
	if (ctl->conn)
		disconnect(t);
	forget(t);
	free(t);
	return status;
}
