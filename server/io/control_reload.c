/* control_reload.c - the networks that files declare: at start, when they are read again, and those
 * that the system would not let us make so far. See daemon_priv.h.
 *
 * Files are judged all together before anything is done. Then what is to be removed goes, and what
 * is pending is applied, one after the other, by network.apply as anybody could call it: first
 * those with a unit of their own, lest others take it by the formula. What fails then stays
 * pending. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/io/daemon_priv.h"
#include "server/rpc/apply.h"

/* How often what the system refused is tried again: an interface that is in the way, a program that
 * was not installed. Somebody has to do something about it, so it need not be soon. */
#define PENDING_MS 5000u

struct reloading {
	struct daemon *d;
	struct command *cmd;   /* to be answered; NULL: nobody asked */
	struct reload *result; /* the command's, or owned */
	struct confset *old;   /* owned; NULL: the set is the one that is there */
	unsigned next;         /* old's, then those with a unit, then the others */
	enum { REMOVING, WITH_UNIT, WITHOUT, THROUGH } phase;
	bool running, again;
	bool signal; /* SIGHUP came: the files may be others since they were read */
};

static void run(struct reloading *r);

/* -- judging -- */

static void judge_unit(
	const struct confset *set, const uint32_t *units, unsigned i, struct faults *faults)
{
	for (unsigned k = 0; k < i && units[i]; k++)
		if (units[k] == units[i])
			faults_add(faults, netfile_path(set->nets[i].nf),
				netfile_line(set->nets[i].nf, "unit: "),
				"unit: %u is the one of %s; give another", (unsigned)units[i],
				netfile_path(set->nets[k].nf));
}

void control_judge_files(struct daemon *d, const struct confset *set, struct faults *faults)
{
	uint32_t units[CONF_NETWORKS_MAX] = { 0 };
	for (unsigned i = 0; i < set->n; i++) {
		const struct netfile *nf = set->nets[i].nf;
		struct command *cmd = netfile_command(nf);
		const struct hostif_ops *ops;
		struct network_facts facts;
		struct err err = { 0 };
		if (!cmd)
			err_set(&err, -ENOMEM, "out of memory");
		else if (control_describe(d, &cmd->in.want, true, &ops, &facts, &err) == 0 &&
			 cmd->in.want.has_unit)
			units[i] = cmd->in.want.unit;
		for (uint32_t k = 0; cmd && !err.code && k < cmd->apply->n_ports; k++)
			(void)dials_check(d, &cmd->apply->ports[k], &err);
		command_free(cmd);
		/* -EOPNOTSUPP: a program that is not installed is not the file's fault */
		if (err.code && err.code != -EOPNOTSUPP)
			faults_add(faults, netfile_path(nf), netfile_line(nf, err.text), "%s",
				err.text);
		judge_unit(set, units, i, faults);
	}
}

/* -- doing -- */

static struct reload_done *note(struct reloading *r, const char *name, enum reload_what what)
{
	struct reload_done *done = &r->result->done[r->result->n++];
	done->what = what;
	snprintf(done->name, sizeof(done->name), "%s", name);
	return done;
}

static void note_failed(struct reloading *r, const char *name, const char *why)
{
	struct declared *decl = conffiles_find(r->d->conf, name);
	struct reload_done *done = note(r, name, RELOAD_FAILED);
	snprintf(done->why, sizeof(done->why), "%s", why);
	if (decl && !strcmp(decl->why, why))
		return; /* as before */
	log_error("config", "networks.d/%s.conf cannot be applied%s: %s", name,
		decl ? ", trying again now and then" : "", why);
	if (decl)
		snprintf(decl->why, sizeof(decl->why), "%s", why);
}

/* Whoever asked, or we ourselves. */
static void sign(const struct reloading *r, struct command *cmd)
{
	if (r->cmd) {
		peer_assign(&cmd->who, &r->cmd->who);
	} else {
		cmd->who.uid = r->d->access.uid;
		cmd->who.pid = (uint32_t)getpid();
	}
}

static void removed(struct command *cmd)
{
	struct reloading *r = cmd->owner;
	if (cmd->err.code)
		note_failed(r, cmd->network, cmd->err.text);
	else
		note(r, cmd->network, RELOAD_REMOVED);
	command_free(cmd);
	run(r);
}

static void applied(struct command *cmd)
{
	struct reloading *r = cmd->owner;
	const struct apply *a = cmd->apply;
	struct declared *decl = conffiles_find(r->d->conf, cmd->network);
	struct netctl *ent = control_find(r->d, cmd->network);
	if (cmd->err.code) {
		note_failed(r, cmd->network, cmd->err.text);
	} else {
		const bool same =
			!a->created && !a->n_done && facts_same(&a->before, &cmd->out.facts);
		note(r, cmd->network,
			a->created ? RELOAD_CREATED
			: same     ? RELOAD_SAME
				   : RELOAD_CHANGED);
		if (decl) {
			decl->pending = false;
			decl->why[0] = '\0';
		}
		if (ent)
			control_mark_saved(ent, true);
	}
	command_free(cmd);
	run(r);
}

/* True: a step has begun. */
static bool remove_next(struct reloading *r)
{
	while (r->old && r->next < r->old->n) {
		const char *name = netfile_name(r->old->nets[r->next++].nf);
		struct netctl *ent = control_find(r->d, name);
		if (conffiles_find(r->d->conf, name) || !ent || ent->stopping || !ent->facts.saved)
			continue; /* where it is not saved no file has made it what it is */
		struct command *cmd = command_new(CMD_NETWORK_DELETE);
		if (!cmd)
			continue;
		memcpy(cmd->network, ent->facts.spec.network, sizeof(cmd->network));
		cmd->owner = r;
		sign(r, cmd);
		cmd->done = removed;
		control_submit(r->d, cmd);
		return true;
	}
	return false;
}

static bool apply_next(struct reloading *r)
{
	struct confset *set = r->d->conf;
	while (r->next < set->n && !r->d->stopping) {
		struct declared *decl = &set->nets[r->next++];
		struct command *cmd = decl->pending ? netfile_command(decl->nf) : NULL;
		if (!cmd || cmd->in.want.has_unit != (r->phase == WITH_UNIT)) {
			command_free(cmd);
			continue;
		}
		cmd->apply->replace = r->result->replace;
		cmd->owner = r;
		sign(r, cmd);
		cmd->done = applied;
		control_submit(r->d, cmd);
		return true;
	}
	return false;
}

static void on_pending(uv_timer_t *timer)
{
	control_pending(timer->data);
}

static bool any_pending(const struct daemon *d)
{
	for (unsigned i = 0; i < d->conf->n; i++)
		if (d->conf->nets[i].pending)
			return true;
	return false;
}

static void through(struct reloading *r)
{
	struct daemon *d = r->d;
	struct command *cmd = r->cmd;
	const bool signal = r->signal;
	d->reloading = NULL;
	if (any_pending(d) && !d->stopping)
		uv_timer_start(&d->pending, on_pending, PENDING_MS, 0);
	conffiles_free(r->old);
	if (!cmd)
		reload_free(r->result);
	free(r);
	daemon_ready(d);
	if (cmd)
		cmd->done(cmd);
	if (signal && !d->stopping)
		control_reload(d, NULL);
}

/* Steps may end at once or later: no step begins inside of another. */
static void run(struct reloading *r)
{
	r->again = true;
	if (r->running)
		return;
	r->running = true;
	while (r->again && r->phase != THROUGH) {
		r->again = false;
		const bool begun = r->phase == REMOVING ? remove_next(r) : apply_next(r);
		if (begun)
			continue;
		r->phase++;
		r->next = 0;
		r->again = true;
	}
	r->running = false;
	if (r->phase == THROUGH)
		through(r);
}

/* @old: what was there before the daemon's set, or NULL; given. */
static void begin(struct daemon *d, struct command *cmd, struct confset *old)
{
	struct reloading *r = calloc(1, sizeof(*r));
	struct reload *result = cmd ? cmd->reload : calloc(1, sizeof(*result));
	if (result)
		result->done = calloc(2 * CONF_NETWORKS_MAX, sizeof(*result->done));
	if (!r || !result || !result->done) {
		log_error("config", "the configuration is not applied: out of memory");
		free(r);
		conffiles_free(old);
		if (!cmd)
			reload_free(result);
		if (cmd) {
			err_set(&cmd->err, -ENOMEM, "out of memory");
			cmd->done(cmd);
		}
		daemon_ready(d);
		return;
	}
	*r = (struct reloading){ .d = d, .cmd = cmd, .result = result, .old = old };
	for (unsigned i = 0; i < d->conf->n; i++)
		if (!d->conf->nets[i].pending)
			note(r, netfile_name(d->conf->nets[i].nf), RELOAD_SAME);
	d->reloading = r;
	uv_timer_stop(&d->pending);
	run(r);
}

void control_pending(struct daemon *d)
{
	if (!d->reloading && !d->stopping)
		begin(d, NULL, NULL);
}

/* -- reading again -- */

/* What of a new set is to be done: what is new, or another than before, or not there. */
static void compare(struct daemon *d, struct confset *set)
{
	for (unsigned i = 0; i < set->n; i++) {
		struct declared *decl = &set->nets[i];
		const struct declared *was = conffiles_find(d->conf, netfile_name(decl->nf));
		decl->pending = !was || was->pending || !netfile_same(was->nf, decl->nf) ||
				!control_find(d, netfile_name(decl->nf));
		if (was)
			memcpy(decl->why, was->why, sizeof(decl->why));
	}
}

static void restart_for(struct reload *result, bool differs, const char *key)
{
	if (result && differs && result->n_restart < RELOAD_RESTART_MAX)
		result->restart[result->n_restart++] = key;
}

/* Of fethd.conf only the log level counts at once. */
static void take_daemon(struct daemon *d, const struct confset *set, struct reload *result)
{
	struct daemon_settings now = d->options.given;
	const struct daemon_settings *was = &d->options.settings;
	daemon_settings_merge(&now, &set->daemon);
	if (now.has_level != was->has_level || now.level != was->level)
		log_set_level(now.has_level ? now.level : LOG_INFO);
	restart_for(result, strcmp(now.admin_group, was->admin_group) != 0, "admin-group");
	restart_for(result, now.control_mode != was->control_mode, "control-mode");
	restart_for(result,
		now.has_unit_base != was->has_unit_base || now.unit_base != was->unit_base,
		"unit-base");
	restart_for(result, now.rootless != was->rootless, "rootless");
	restart_for(result, now.dial_anywhere != was->dial_anywhere, "dial-anywhere");
	d->options.settings.has_level = now.has_level;
	d->options.settings.level = now.level;
}

static int read_again(struct daemon *d, struct confset **out, struct err *err)
{
	struct faults faults = { 0 };
	struct confset *set = conffiles_load(&faults);
	if (!set)
		return err_set(err, -ENOMEM, "the configuration cannot be read: out of memory");
	if (!faults.n)
		control_judge_files(d, set, &faults);
	const int rc = faults_err(&faults, err);
	faults_fini(&faults);
	if (rc < 0) {
		conffiles_free(set);
		return rc;
	}
	*out = set;
	return 0;
}

void control_reload(struct daemon *d, struct command *cmd)
{
	struct err err = { 0 };
	struct confset *set = NULL;
	if (d->reloading && !cmd) { /* who signals hears of no refusal */
		d->reloading->signal = true;
		return;
	}
	if (d->reloading || d->stopping)
		err_set(&err, -EBUSY, "the configuration is being applied already; try again");
	else
		(void)read_again(d, &set, &err);
	if (!set) {
		log_error("config", "not reloaded, all is as it was: %s", err.text);
		if (cmd) {
			cmd->err = err;
			cmd->done(cmd);
		}
		return;
	}
	struct confset *old = d->conf;
	compare(d, set);
	take_daemon(d, set, cmd ? cmd->reload : NULL);
	d->conf = set;
	if (cmd)
		log_info("config", "reloaded networks=%u uid=%u pid=%u", set->n,
			(unsigned)cmd->who.uid, (unsigned)cmd->who.pid);
	else
		log_info("config", "reloaded networks=%u", set->n);
	begin(d, cmd, old);
}
