/* daemon.c - start, serve, and stop in reverse. See daemon.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/io/daemon_priv.h"
#include "server/io/machine.h"
#include "server/io/refusals.h"
#include "server/io/shared.h"
#include "server/priv/verbs.h"

static void on_accepted(void *ctx, int fd, const struct peer *peer)
{
	struct daemon *d = ctx;
	const unsigned rights = access_rights(&d->access, peer, NULL);
	if (!shared_enter(d->shared, peer->uid, rights & RIGHT_ADMIN)) {
		refusals_put(d->loop, "connect", "", peer->uid, peer->pid, "control.sock");
		close(fd);
		return;
	}
	(void)session_open(&d->sessions, fd, peer, NULL);
}

static void on_control_closed(void *ctx)
{
	struct daemon *d = ctx;
	d->control = NULL;
	daemon_maybe_end(d);
}

static const struct listener_ops control_ops = {
	.accepted = on_accepted,
	.closed = on_control_closed,
};

static void control_path(const struct daemon *d, char out[PATH_TEXT + 16])
{
	snprintf(out, PATH_TEXT + 16, "%s/control.sock", d->options.run_dir);
}

void daemon_maybe_end(struct daemon *d)
{
	if (!d->stopping || d->networks || d->control || d->clients.n)
		return;
	if (uv_is_closing((uv_handle_t *)&d->sigterm))
		return;
	hostwatch_close(d);
	(void)bridges_sweep(d);
	uv_close((uv_handle_t *)&d->sigterm, NULL);
	uv_close((uv_handle_t *)&d->sigint, NULL);
	uv_close((uv_handle_t *)&d->sighup, NULL);
	uv_close((uv_handle_t *)&d->pending, NULL);
	uv_close((uv_handle_t *)&d->bridges, NULL);
	refusals_close(d->refusals);
	ioloop_close(d->loop);
}

static void on_clients_empty(void *ctx)
{
	daemon_maybe_end(ctx);
}

void daemon_stop(struct daemon *d)
{
	if (d->stopping)
		return;
	d->stopping = true;
	log_info("daemon", "stopping networks=%u", d->n_networks);
	char path[PATH_TEXT + 16];
	control_path(d, path);
	verb_unlink(path);
	if (d->control)
		listener_close(d->control);
	control_create_stop(d);
	for (struct netctl *e = d->networks, *next; e; e = next) {
		next = e->next;
		control_stop(e);
	}
	clients_close(&d->clients, true);
}

static void on_signal(uv_signal_t *handle, int signum)
{
	log_info("daemon", "signal=%d", signum);
	daemon_stop(handle->data);
}

static void on_hangup(uv_signal_t *handle, int signum)
{
	log_info("daemon", "signal=%d", signum);
	control_reload(handle->data, NULL);
}

static void read_machine_id(struct netid_key *key)
{
	char id[MACHINE_ID];
	machine_id(id);
	if (!id[0])
		log_warn("daemon", "%s is empty: addresses are the same as on other such machines",
			machine.id_source);
	*key = netid_key(id);
}

static int serve_control(struct daemon *d, struct err *err)
{
	char path[PATH_TEXT + 16];
	int fd;
	control_path(d, path);
	const bool grouped = d->access.admin_gid != ACCESS_NO_ONE;
	const struct access_files files = {
		.uid = d->access.uid,
		.gid = d->access.admin_gid,
		.mode = d->options.settings.control_mode ? d->options.settings.control_mode
			: grouped                        ? 0660
							 : 0600,
	};
	int rc = verb_listen(path, SOCK_STREAM, &files, &fd, err);
	if (rc < 0)
		return rc;
	rc = listener_open(&d->control, d->loop, fd, &control_ops, d);
	if (rc < 0) {
		verb_unlink(path);
		return err_set(err, rc, "cannot serve %s: %s", path, strerror(-rc));
	}
	return 0;
}

/* Who we are, and where. */
static int look_around(struct daemon *d, struct err *err)
{
	d->access = (struct access){
		.uid = geteuid(),
		.admin_gid = ACCESS_NO_ONE,
		.rootless = d->options.rootless,
		.elsewhere = peer_group_elsewhere,
	};
	read_machine_id(&d->key);
	if (!d->options.settings.admin_group[0])
		return 0;
	return group_find(d->options.settings.admin_group, &d->access.admin_gid, err);
}

static int judge(struct daemon *d, struct err *err)
{
	struct faults faults = { 0 };
	control_judge_files(d, d->conf, &faults);
	const int rc = faults_err(&faults, err);
	faults_fini(&faults);
	return rc;
}

/* d->loop is NULL where there is none. */
static int make_loop(struct daemon *d)
{
	d->shared = shared_new();
	int rc = d->shared ? uv_loop_init(&d->uv) : -ENOMEM;
	if (rc < 0)
		return rc;
	d->loop = ioloop_new(&d->uv, d->shared);
	if (d->loop)
		d->refusals = refusals_new(d->loop);
	if (!d->refusals) {
		if (d->loop)
			ioloop_close(d->loop);
		uv_run(&d->uv, UV_RUN_DEFAULT);
		uv_loop_close(&d->uv);
		ioloop_free(d->loop);
		d->loop = NULL;
		return -ENOMEM;
	}
	shared_set(d->shared, d->loop, d->refusals);
	return 0;
}

static int start(struct daemon *d, struct err *err)
{
	int rc = look_around(d, err);
	if (!rc)
		rc = judge(d, err);
	if (!rc)
		rc = verb_run_dir(d->options.run_dir, err);
	if (rc < 0)
		return rc;
	rc = make_loop(d);
	if (rc < 0)
		return err_set(err, rc, "cannot start the event loop: %s", strerror(-rc));
	d->started_ms = uv_now(&d->uv);
	d->clients.empty = on_clients_empty;
	d->clients.ctx = d;
	d->sessions = (struct session_host){
		.loop = d->loop,
		.clients = &d->clients,
		.hub = &d->hub,
		.rights = control_rights,
		.submit = control_submit,
		.ctx = d,
	};
	control_events_init(d);
	uv_signal_init(&d->uv, &d->sigterm);
	uv_signal_init(&d->uv, &d->sigint);
	uv_signal_init(&d->uv, &d->sighup);
	uv_timer_init(&d->uv, &d->pending);
	uv_timer_init(&d->uv, &d->bridges);
	d->sigterm.data = d->sigint.data = d->sighup.data = d->pending.data = d;
	d->bridges.data = d;
	uv_signal_start(&d->sigterm, on_signal, SIGTERM);
	uv_signal_start(&d->sigint, on_signal, SIGINT);
	uv_signal_start(&d->sighup, on_hangup, SIGHUP);
	state_load(d);
	rc = serve_control(d, err);
	if (rc < 0)
		return rc;
	listener_wait(d->control);
	control_pending(d);
	return 0;
}

void daemon_ready(struct daemon *d)
{
	if (d->ready || d->stopping)
		return;
	d->ready = true;
	listener_go(d->control);
	log_info("daemon", "ready run_dir=%s version=" FETHD_VERSION, d->options.run_dir);
}

void daemon_judge(
	const struct daemon_options *options, const struct confset *conf, struct faults *faults)
{
	struct err err = { 0 };
	struct daemon *d = calloc(1, sizeof(*d));
	if (!d)
		return faults_add(faults, "fethd", 0, "out of memory");
	d->options = *options;
	if (look_around(d, &err) < 0)
		faults_add(faults, "fethd.conf", 0, "admin-group: %s", err.text);
	control_judge_files(d, conf, faults);
	free(d);
}

int daemon_run(const struct daemon_options *options, struct confset *conf, struct err *err)
{
	struct daemon *d = calloc(1, sizeof(*d));
	if (!d) {
		conffiles_free(conf);
		return err_set(err, -ENOMEM, "out of memory");
	}
	d->options = *options;
	d->conf = conf;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN); /* a closed terminal must not end the guests' network; until there
				    is something to reload */

	int rc = start(d, err);
	if (rc < 0 && d->loop)
		d->stopping = true;
	if (d->loop) {
		if (rc < 0)
			daemon_maybe_end(d);
		uv_run(&d->uv, UV_RUN_DEFAULT);
		uv_loop_close(&d->uv);
		ioloop_free(d->loop);
		refusals_free(d->refusals);
		if (rc == 0) {
			state_clear(d);
			verb_run_dir_leave();
		}
	}
	shared_free(d->shared);
	state_free(d);
	conffiles_free(d->conf);
	free(d);
	return rc;
}
