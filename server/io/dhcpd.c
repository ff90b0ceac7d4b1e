/* dhcpd.c - keeps one dnsmasq running for a network: passes on what it says, and starts it anew
 * when it has ended, soon at first, then less often. See daemon_priv.h, priv/verbs.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/io/daemon_priv.h"
#include "server/priv/verbs.h"

/* Between the end of one and the next: at first, and at most, doubled each time; from the first
 * again where one ran for long. A dnsmasq that cannot start (somebody else has port 53) says so in
 * two lines, and every half minute is often enough for these. */
#define AGAIN_FIRST_MS 200u
#define AGAIN_MS 30000u
#define RAN_WELL_MS 60000u

/* Lines of one in a second that go to the log: it says what guests make it say. */
#define LINES_PER_SECOND 10u

struct dhcpd {
	struct netctl *ent;        /* NULL: stopped, closing */
	struct dhcp_server server; /* fd -1: none runs */
	uv_poll_t poll;            /* open while one runs */
	uv_timer_t again;
	unsigned n_open; /* of the two handles */
	bool polled;
	uint64_t since_ms;  /* it was started */
	uint32_t again_ms;  /* the next wait */
	uint64_t second_ms; /* of n_lines */
	unsigned n_lines;
	char line[256]; /* the beginning of one */
	size_t len;
};

static void begin(struct dhcpd *s);

/* A line without what its program puts before it ("dnsmasq-dhcp[123]: "). */
static const char *without_head(const char *line)
{
	const char *head = strncmp(line, "dnsmasq", 7) ? NULL : strstr(line, "]: ");
	return head ? head + 3 : line;
}

static void log_it(struct dhcpd *s)
{
	char text[2 * sizeof(s->line)];
	const uint64_t now = uv_now(&s->ent->d->uv);
	s->line[s->len] = '\0';
	s->len = 0;
	if (now - s->second_ms >= 1000) {
		s->second_ms = now;
		s->n_lines = 0;
	}
	if (s->n_lines++ < LINES_PER_SECOND)
		log_info("dnsmasq", "net=%s %s", s->ent->facts.spec.network,
			log_text(text, sizeof(text), without_head(s->line)));
}

static void take(struct dhcpd *s, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\n')
			log_it(s);
		else if (s->len + 1 < sizeof(s->line))
			s->line[s->len++] = text[i];
	}
}

static void on_closed(uv_handle_t *handle)
{
	struct dhcpd *s = handle->data;
	s->n_open--;
	if (!s->n_open && !s->ent)
		free(s);
}

static void end(struct dhcpd *s)
{
	if (s->server.fd < 0)
		return;
	if (s->polled) {
		uv_poll_stop(&s->poll);
		uv_close((uv_handle_t *)&s->poll, on_closed);
	}
	verb_dhcp_end(&s->server, s->ent->facts.spec.network);
}

static void on_again(uv_timer_t *timer)
{
	begin(timer->data);
}

static void again(struct dhcpd *s)
{
	if (s->since_ms && uv_now(&s->ent->d->uv) - s->since_ms >= RAN_WELL_MS)
		s->again_ms = AGAIN_FIRST_MS;
	log_warn("dnsmasq", "not running, next try in %u ms net=%s", (unsigned)s->again_ms,
		s->ent->facts.spec.network);
	uv_timer_start(&s->again, on_again, s->again_ms, 0);
	s->again_ms = 2 * s->again_ms < AGAIN_MS ? 2 * s->again_ms : AGAIN_MS;
}

static void on_said(uv_poll_t *poll, int status, int events)
{
	struct dhcpd *s = poll->data;
	char text[1024];
	(void)events;
	const ssize_t n = status < 0 ? 0 : read(s->server.fd, text, sizeof(text));
	if (n > 0)
		return take(s, text, (size_t)n);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	end(s);
	again(s);
}

static void begin(struct dhcpd *s)
{
	struct netctl *ent = s->ent;
	struct err err = { 0 };
	s->since_ms = uv_now(&ent->d->uv);
	s->len = 0;
	if (verb_dhcp_start(&s->server, &ent->facts.spec, &ent->facts.dhcp, ent->facts.nat, &err) <
		0) {
		s->server.fd = -1;
		log_error("dnsmasq", "%s", err.text);
		return again(s);
	}
	s->polled = s->n_open < 2 && uv_poll_init(&ent->d->uv, &s->poll, s->server.fd) == 0;
	if (!s->polled) { /* the one before is not closed yet, or libuv is out of memory */
		end(s);
		return again(s);
	}
	s->poll.data = s;
	s->n_open++;
	uv_poll_start(&s->poll, UV_READABLE, on_said);
}

void dhcpd_start(struct netctl *ent)
{
	dhcpd_stop(ent);
	struct dhcpd *s = calloc(1, sizeof(*s));
	if (!s) {
		log_error("dnsmasq", "out of memory net=%s", ent->facts.spec.network);
		return;
	}
	s->ent = ent;
	s->server.fd = -1;
	s->again_ms = AGAIN_FIRST_MS;
	uv_timer_init(&ent->d->uv, &s->again);
	s->again.data = s;
	s->n_open = 1;
	ent->dhcpd = s;
	begin(s);
}

void dhcpd_stop(struct netctl *ent)
{
	struct dhcpd *s = ent->dhcpd;
	if (!s)
		return;
	end(s);
	s->ent = NULL;
	ent->dhcpd = NULL;
	uv_close((uv_handle_t *)&s->again, on_closed);
}
