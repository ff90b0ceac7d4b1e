/* control_save.c - `save`: what was done is kept in a file, networks.d/NAME.conf. See
 * daemon_priv.h.
 *
 * The operation comes first and knows nothing of it; its answer passes here. What is written is
 * what is true then, read back by our own reader before it replaces a file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/io/daemon_priv.h"
#include "server/priv/verbs.h"

struct saving {
	struct daemon *d;
	struct command *cmd;
	void (*done)(struct command *cmd); /* the command's own, as owner */
	void *owner;
	bool save;
};

static void end(struct saving *sv)
{
	struct command *cmd = sv->cmd;
	cmd->done = sv->done;
	cmd->owner = sv->owner;
	free(sv);
	cmd->done(cmd);
}

void control_mark_saved(struct netctl *ent, bool saved)
{
	struct command *cmd = ent->facts.saved != saved ? command_new(CMD_FACTS) : NULL;
	if (!cmd)
		return;
	ent->facts.saved = saved;
	cmd->out.facts = ent->facts;
	cmd->done = command_free;
	netloop_post(ent->nl, cmd);
}

static int write_file(struct netctl *ent, const struct command *ports, struct err *err)
{
	struct network_want nothing = { 0 };
	struct network_facts standard;
	struct faults faults = { 0 };
	const char *name = ent->facts.spec.network;
	memcpy(nothing.name, name, sizeof(nothing.name));
	int rc = control_whole(ent, &nothing, &standard, err);
	if (rc < 0)
		return rc;
	char *text = netfile_write(&ent->facts, &standard, ports->items.ports,
		ports->items.ports + ports->n_items, ports->n_items, err);
	if (!text)
		return err->code;
	char path[FETH_NAME_MAX + 32];
	snprintf(path, sizeof(path), "networks.d/%s.conf", name);
	struct netfile *nf = netfile_read(name, path, text, strlen(text), &faults);
	rc = faults_err(&faults, err);
	faults_fini(&faults);
	if (!rc)
		rc = verb_conf_write(name, text, err);
	free(text);
	if (rc < 0)
		netfile_free(nf);
	return rc < 0 ? rc : conffiles_put(ent->d->conf, nf, err);
}

/* The ports of a file are its own to remove, whoever declared them at first. */
static void remember_ports(struct netctl *ent, const struct command *ports)
{
	struct port_name *names = calloc(ports->n_items + 1u, sizeof(*names));
	if (!names)
		return;
	for (uint32_t i = 0; i < ports->n_items; i++)
		memcpy(names[i].text, ports->items.ports[i].name, sizeof(names[i].text));
	free(ent->applied);
	ent->applied = names;
	ent->n_applied = ports->n_items;
}

static void ports_listed(struct command *cmd)
{
	struct saving *sv = cmd->owner;
	struct err err = cmd->err;
	struct netctl *ent = control_find(sv->d, sv->cmd->network);
	if (!err.code && ent)
		(void)write_file(ent, cmd, &err);
	else if (!err.code)
		err_set(&err, -ENOENT, "it has just gone");
	if (!err.code && ent) {
		remember_ports(ent, cmd);
		control_mark_saved(ent, true);
		sv->cmd->out.facts.saved = true;
		log_info("network", "saved net=%s uid=%u pid=%u", sv->cmd->network,
			(unsigned)sv->cmd->who.uid, (unsigned)sv->cmd->who.pid);
	} else {
		err_set(&sv->cmd->err, err.code,
			"%s is as you asked, but was not saved, so it will not be at the next "
			"start: "
			"%.380s",
			sv->cmd->network, err.text);
	}
	command_free(cmd);
	end(sv);
}

static void save(struct saving *sv)
{
	const struct netctl *ent = control_find(sv->d, sv->cmd->network);
	struct command *cmd = ent ? command_new(CMD_LIST_DECLARED) : NULL;
	if (!cmd) {
		err_set(&sv->cmd->err, -ENOMEM, "%s: it was not saved: out of memory",
			sv->cmd->network);
		return end(sv);
	}
	cmd->owner = sv;
	cmd->done = ports_listed;
	memcpy(cmd->network, sv->cmd->network, sizeof(cmd->network));
	netloop_post(ent->nl, cmd);
}

/* A network was deleted: so is its file, or it comes back. */
static void forget(struct saving *sv)
{
	struct command *cmd = sv->cmd;
	struct declared *decl = conffiles_find(sv->d->conf, cmd->network);
	if (decl && sv->save && !verb_conf_write(cmd->network, NULL, &cmd->err)) {
		conffiles_remove(sv->d->conf, cmd->network);
		decl = NULL;
	}
	if (decl) {
		decl->dropped = true;
		decl->pending = false;
	}
	cmd->out.facts.saved = decl;
	end(sv);
}

static void done(struct command *cmd)
{
	struct saving *sv = cmd->owner;
	const bool deleted = cmd->kind == CMD_NETWORK_DELETE;
	/* a network that could not be made has a file, too */
	const bool only_file = cmd->err.code == -ENOENT && deleted && sv->save &&
			       conffiles_find(sv->d->conf, cmd->network);
	if (only_file)
		cmd->err = (struct err){ 0 };
	if (cmd->err.code)
		end(sv);
	else if (deleted)
		forget(sv);
	else
		save(sv);
}

bool control_save_after(struct daemon *d, struct command *cmd)
{
	const bool deletes = cmd->kind == CMD_NETWORK_DELETE;
	const bool makes = cmd->kind == CMD_NETWORK_CREATE || cmd->kind == CMD_NETWORK_SET ||
			   cmd->kind == CMD_NETWORK_APPLY;
	if (!deletes && !(makes && cmd->in.want.save))
		return true;
	struct saving *sv = calloc(1, sizeof(*sv));
	if (!sv) {
		err_set(&cmd->err, -ENOMEM, "%s: out of memory", cmd->network);
		return false;
	}
	*sv = (struct saving){ d, cmd, cmd->done, cmd->owner, cmd->in.want.save };
	cmd->done = done;
	cmd->owner = sv;
	return true;
}
