/* taps.c - the interfaces of ports of kind tap: made when the port is declared, and again when
 * somebody removed them, or their namespace. See daemon_priv.h.
 *
 * Main makes them, in whatever namespace (verb_tap_make()); the network's loop has their
 * descriptors. Where one cannot be made now, as before its container runs, it is tried now and
 * then; the port waits meanwhile. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/io/daemon_priv.h"
#include "server/priv/verbs.h"

enum tap_state {
	TAP_NONE,   /* there is no interface */
	TAP_POSTED, /* its descriptor is on its way to the network's loop */
	TAP_OPEN,
};

struct tap {
	struct tap *next;
	struct tap_spec spec;
	enum tap_state state;
	bool told; /* that it cannot be made */
};

static struct tap *find(const struct netctl *ent, const char *port)
{
	struct tap *tap = ent->taps;
	while (tap && !name_same(tap->spec.port, port))
		tap = tap->next;
	return tap;
}

static void retry(struct netctl *ent, uint32_t ms);

/* Says so once, and tries again. */
static void failed(struct netctl *ent, struct tap *tap, const struct err *err)
{
	tap->state = TAP_NONE;
	if (!tap->told)
		log_warn("port", "no interface yet, trying every %u ms: %s", RETRY_MS, err->text);
	tap->told = true;
	retry(ent, RETRY_MS);
}

static void opened(struct command *cmd)
{
	struct netctl *ent = cmd->owner;
	struct tap *tap = find(ent, cmd->in.conf.name);
	if (tap && tap->state == TAP_POSTED && cmd->err.code == -ENOENT)
		taps_remove(ent, cmd->in.conf.name); /* there is no such port */
	else if (tap && tap->state == TAP_POSTED && cmd->err.code)
		failed(ent, tap, &cmd->err);
	else if (tap && tap->state == TAP_POSTED)
		taps_opened(ent, tap->spec.port);
	command_free(cmd);
}

struct command *taps_command(const struct netctl *ent, const char *port, int fd)
{
	struct command *cmd = command_new(CMD_PORT_TAP);
	if (!cmd) {
		close(fd);
		return NULL;
	}
	memcpy(cmd->network, ent->facts.spec.network, sizeof(cmd->network));
	strncpy(cmd->in.conf.name, port, FETH_NAME_MAX);
	cmd->fds[0] = fd;
	cmd->n_fds = 1;
	return cmd;
}

static int make(struct netctl *ent, struct tap *tap, int *out_fd, struct err *err)
{
	tap->spec.mtu = ent->facts.spec.mtu;
	const int rc = verb_tap_make(&tap->spec, out_fd, err);
	if (!rc)
		tap->state = TAP_POSTED;
	return rc;
}

static void try(struct netctl *ent, struct tap *tap)
{
	struct err err = { 0 };
	struct command *cmd = NULL;
	int fd;
	if (!make(ent, tap, &fd, &err)) {
		cmd = taps_command(ent, tap->spec.port, fd);
		if (!cmd)
			err_set(&err, -ENOMEM, "%s: out of memory", ent->facts.spec.network);
	}
	if (!cmd) {
		failed(ent, tap, &err);
		return;
	}
	cmd->owner = ent;
	cmd->done = opened;
	netloop_post(ent->nl, cmd);
}

/* -- again -- */

static void on_retry(uv_timer_t *timer)
{
	struct netctl *ent = timer->data;
	/* the loop, which knows a port by its name only, may have it anew already, elsewhere */
	if (ent->busy || ent->applying) {
		retry(ent, RETRY_FIRST_MS);
		return;
	}
	for (struct tap *tap = ent->taps; tap; tap = tap->next)
		if (tap->state == TAP_NONE)
			try(ent, tap);
}

static void retry(struct netctl *ent, uint32_t ms)
{
	if (!ent->taps_retry) {
		ent->taps_retry = calloc(1, sizeof(*ent->taps_retry));
		if (!ent->taps_retry)
			return;
		uv_timer_init(&ent->d->uv, ent->taps_retry);
		ent->taps_retry->data = ent;
	}
	if (!uv_is_active((uv_handle_t *)ent->taps_retry))
		uv_timer_start(ent->taps_retry, on_retry, ms, 0);
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

/* -- what others see of it -- */

static struct tap *add(struct netctl *ent, const char *port, struct feth_mac mac,
	const struct tap_place *place, struct err *err)
{
	taps_remove(ent, port); /* of the port that had this name */
	struct tap *tap = calloc(1, sizeof(*tap));
	if (!tap) {
		err_set(err, -ENOMEM, "%s: out of memory", ent->facts.spec.network);
		return NULL;
	}
	memcpy(tap->spec.network, ent->facts.spec.network, sizeof(tap->spec.network));
	strncpy(tap->spec.port, port, FETH_NAME_MAX);
	tap->spec.place = *place;
	tap->spec.mac = mac;
	tap->next = ent->taps;
	ent->taps = tap;
	return tap;
}

int taps_make(struct netctl *ent, const struct port_info *port, int *out_fd, struct err *err)
{
	struct tap *tap = add(ent, port->name, port->mac, &port->tap, err);
	if (!tap)
		return err->code;
	const int rc = make(ent, tap, out_fd, err);
	if (rc < 0)
		taps_remove(ent, port->name);
	return rc;
}

void taps_opened(struct netctl *ent, const char *port)
{
	struct tap *tap = find(ent, port);
	if (!tap)
		return;
	tap->state = TAP_OPEN;
	tap->told = false;
	if (tap->spec.mtu != ent->facts.spec.mtu) /* it changed meanwhile */
		taps_mtu(ent);
}

void taps_begin(struct netctl *ent, const struct apply_done *port)
{
	struct err err = { 0 };
	struct tap *tap = add(ent, port->name, port->mac, &port->tap, &err);
	if (tap)
		try(ent, tap);
	else
		log_warn("port", "%s", err.text);
}

void taps_remove(struct netctl *ent, const char *port)
{
	for (struct tap **link = &ent->taps; *link;) {
		struct tap *tap = *link;
		if (port && !name_same(tap->spec.port, port)) {
			link = &tap->next;
			continue;
		}
		*link = tap->next;
		free(tap);
	}
	if (!ent->taps && ent->taps_retry) {
		uv_close((uv_handle_t *)ent->taps_retry, free_handle);
		ent->taps_retry = NULL;
	}
}

void taps_lost(struct netctl *ent, const char *port)
{
	struct tap *tap = find(ent, port);
	if (!tap || ent->stopping)
		return;
	log_warn("port", "lost its interface net=%s port=%s if=%s: making it anew",
		ent->facts.spec.network, tap->spec.port, tap->spec.place.ifname);
	tap->state = TAP_NONE;
	retry(ent, RETRY_FIRST_MS);
}

void taps_mtu(struct netctl *ent)
{
	for (struct tap *tap = ent->taps; tap; tap = tap->next) {
		struct err err = { 0 };
		tap->spec.mtu = ent->facts.spec.mtu;
		if (tap->state == TAP_OPEN && verb_tap_mtu(&tap->spec, &err) < 0)
			log_warn("port", "%s", err.text);
	}
}
