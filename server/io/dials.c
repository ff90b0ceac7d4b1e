/* dials.c - ports that call: whoever an administrator named is connected to when the port is
 * declared, and again whenever that ends. See daemon_priv.h.
 *
 * Main connects (verb_dial()), the network's loop has the connection and says when it is lost. In
 * between it is tried again and again, ever more seldom (dial.h): a guest that is not started yet,
 * an uplink that is started anew. What is in the way is said once in the log, and shown by
 * port.list. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/io/daemon_priv.h"
#include "server/priv/verbs.h"

enum dial_state {
	DIAL_WAITING, /* for the next try */
	DIAL_CALLING, /* a try is under way */
	DIAL_POSTED,  /* connected; on its way to the network's loop */
	DIAL_OPEN,
};

struct dialling {
	struct dialling *next;
	struct netctl *ent;
	char port[FETH_NAME_MAX + 1];
	enum port_kind kind;
	struct dial_text text;
	struct dial dial;
	uint32_t serial; /* of the connection; 0 is none */
	enum dial_state state;
	struct dial_pace pace;
	char why[DIAL_WHY];    /* what port.list says of the last that failed */
	char logged[DIAL_WHY]; /* what the log said last, since a connection held */
	int fd;                /* owned; while calling */
	uv_poll_t *poll;       /* owned; while calling */
	uv_timer_t timer;      /* until the next try; or until this one has taken too long */
};

static struct dialling *find(const struct netctl *ent, const char *port)
{
	struct dialling *dl = ent->dials;
	while (dl && !name_same(dl->port, port))
		dl = dl->next;
	return dl;
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

/* Its descriptor, which nobody waits for any more. */
static int take_fd(struct dialling *dl)
{
	const int fd = dl->fd;
	if (dl->poll)
		uv_close((uv_handle_t *)dl->poll, free_handle); /* while the number is ours */
	dl->poll = NULL;
	dl->fd = -1;
	return fd;
}

static void on_timer(uv_timer_t *timer);

static void told(struct command *cmd)
{
	command_free(cmd);
}

static struct command *command_for(const struct dialling *dl, void (*done)(struct command *cmd))
{
	struct command *cmd = command_new(CMD_PORT_DIAL);
	if (!cmd)
		return NULL;
	memcpy(cmd->network, dl->ent->facts.spec.network, sizeof(cmd->network));
	memcpy(cmd->in.dialled.name, dl->port, sizeof(dl->port));
	cmd->in.dialled.kind = dl->kind;
	cmd->in.dialled.dial = dl->text;
	cmd->in.dialled.serial = dl->serial;
	cmd->owner = dl->ent;
	cmd->done = done;
	return cmd;
}

/* Says so, where it is another reason than before; the log, where it is another than it said: who
 * takes us in and closes at once would fill it. */
static void say(struct dialling *dl, const char *why)
{
	char text[DIAL_WHY];
	snprintf(text, sizeof(text), "%s", why);
	if (!strcmp(dl->why, text))
		return;
	memcpy(dl->why, text, sizeof(text));
	if (strcmp(dl->logged, text) != 0)
		log_warn("port", "not connected, trying again net=%s port=%s: %s",
			dl->ent->facts.spec.network, dl->port, text);
	memcpy(dl->logged, text, sizeof(text));
	struct command *cmd = command_for(dl, told);
	if (!cmd)
		return; /* the log knows */
	memcpy(cmd->in.dialled.why, text, sizeof(text));
	netloop_post(dl->ent->nl, cmd);
}

static void failed(struct dialling *dl, const char *why)
{
	uint32_t random;
	if (getentropy(&random, sizeof(random)) < 0)
		random = 0; /* then all wait the same */
	dl->state = DIAL_WAITING;
	dl->serial = 0;
	const uint64_t now = uv_now(&dl->ent->d->uv);
	uv_timer_start(&dl->timer, on_timer, dial_pace_wait_ms(&dl->pace, now, random), 0);
	if (dl->pace.tries == 1) /* the first one since a connection held */
		dl->logged[0] = '\0';
	say(dl, why);
}

static void opened(struct command *cmd)
{
	struct netctl *ent = cmd->owner;
	struct dialling *dl = find(ent, cmd->in.dialled.name);
	if (dl && dl->state == DIAL_POSTED && dl->serial == cmd->in.dialled.serial) {
		if (cmd->err.code == -ENOENT) {
			dials_remove(ent, cmd->in.dialled.name); /* there is no such port */
		} else if (cmd->err.code) {
			failed(dl, cmd->err.text);
		} else {
			dl->state = DIAL_OPEN;
			dial_pace_opened(&dl->pace, uv_now(&ent->d->uv));
			dl->why[0] = '\0';
		}
	}
	command_free(cmd);
}

static void connected(struct dialling *dl)
{
	static uint32_t serials;
	const int fd = take_fd(dl);
	uv_timer_stop(&dl->timer);
	if (!++serials)
		serials++;
	dl->serial = serials;
	dl->state = DIAL_POSTED;
	struct command *cmd = command_for(dl, opened);
	if (!cmd) {
		close(fd);
		failed(dl, "out of memory");
		return;
	}
	cmd->fds[0] = fd;
	cmd->n_fds = 1;
	netloop_post(dl->ent->nl, cmd);
}

static void on_decided(uv_poll_t *poll, int status, int events)
{
	struct dialling *dl = poll->data;
	struct err err = { 0 };
	(void)status;
	(void)events;
	if (!verb_dialled(&dl->dial, dl->fd, &err)) {
		connected(dl);
		return;
	}
	close(take_fd(dl));
	failed(dl, err.text);
}

static int wait_for(struct dialling *dl)
{
	dl->poll = calloc(1, sizeof(*dl->poll));
	const int rc = dl->poll ? uv_poll_init(&dl->ent->d->uv, dl->poll, dl->fd) : -ENOMEM;
	if (rc < 0) {
		free(dl->poll);
		dl->poll = NULL;
		return rc;
	}
	dl->poll->data = dl;
	uv_poll_start(dl->poll, UV_WRITABLE, on_decided);
	uv_timer_start(&dl->timer, on_timer, DIAL_CONNECT_MS, 0);
	return 0;
}

static void call(struct dialling *dl)
{
	struct err err = { 0 };
	int rc = verb_dial(&dl->dial, &dl->fd, &err);
	dl->state = DIAL_CALLING;
	if (rc < 0) {
		failed(dl, err.text);
	} else if (!rc) {
		connected(dl);
	} else if (wait_for(dl) < 0) {
		close(take_fd(dl));
		failed(dl, "out of memory");
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct dialling *dl = timer->data;
	if (dl->state == DIAL_CALLING) {
		close(take_fd(dl));
		failed(dl, "nobody answers there");
	} else {
		call(dl);
	}
}

/* -- what others see of it -- */

int dials_check(const struct daemon *d, const struct port_conf *conf, struct err *err)
{
	const struct dial_text *text = &conf->dial;
	struct dial dial;
	const char *field, *why;
	if (!dial_text_any(text) || !dial_parse(&dial, text, &field, &why) ||
		dial_is_local(&dial) || d->options.settings.dial_anywhere)
		return 0;
	if (dial.way == DIAL_UDP && endpoint_is_loopback(&dial.remote))
		return err_set(err, -EACCES,
			"port %s: local: %s is reached from other machines; give one of 127.0.0.1 "
			"or [::1], or set dial-anywhere = yes in fethd.conf to allow that",
			conf->name, text->local);
	return err_set(err, -EACCES,
		"port %s: %s: %s is on another machine; set dial-anywhere = yes in fethd.conf "
		"to allow that",
		conf->name, text->connect[0] ? "connect" : "remote",
		text->connect[0] ? text->connect : text->remote);
}

void dials_begin(
	struct netctl *ent, const char *port, enum port_kind kind, const struct dial_text *text)
{
	const char *field, *why;
	dials_remove(ent, port); /* of the port that had this name */
	struct dialling *dl = calloc(1, sizeof(*dl));
	if (!dl) {
		log_error("port", "net=%s: port %s cannot call: out of memory; remove and add it",
			ent->facts.spec.network, port);
		return;
	}
	snprintf(dl->port, sizeof(dl->port), "%s", port);
	dl->ent = ent;
	dl->kind = kind;
	dl->text = *text;
	dl->fd = -1;
	(void)dial_parse(&dl->dial, text, &field, &why); /* it was fine when it was asked for */
	uv_timer_init(&ent->d->uv, &dl->timer);
	dl->timer.data = dl;
	dl->next = ent->dials;
	ent->dials = dl;
	call(dl);
}

void dials_lost(struct netctl *ent, const char *port, uint32_t serial, const char *why)
{
	struct dialling *dl = find(ent, port);
	if (!dl || dl->serial != serial || ent->stopping)
		return;
	char text[DIAL_WHY];
	snprintf(text, sizeof(text), "the connection has ended: %s", why);
	failed(dl, text);
}

static void on_closed(uv_handle_t *timer)
{
	free(timer->data);
}

void dials_remove(struct netctl *ent, const char *port)
{
	for (struct dialling **link = &ent->dials; *link;) {
		struct dialling *dl = *link;
		if (port && !name_same(dl->port, port)) {
			link = &dl->next;
			continue;
		}
		*link = dl->next;
		if (dl->fd >= 0)
			close(take_fd(dl));
		uv_close((uv_handle_t *)&dl->timer, on_closed);
	}
}
