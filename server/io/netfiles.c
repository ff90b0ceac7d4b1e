/* netfiles.c - see netfiles.h. */
#include "server/io/netfiles.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "server/io/doors.h"
#include "server/priv/verbs.h"

void netfiles_path(char out[2 * PATH_TEXT], const char *path, const char *name)
{
	snprintf(out, 2 * PATH_TEXT, "%s/%s", path, name);
}

void netfiles_port(char out[2 * PATH_TEXT], const char *path, const char *port)
{
	snprintf(out, 2 * PATH_TEXT, "%s/ports/%s", path, port);
}

/* Where a door is in a directory that clients write to: that directory, and what it is called
 * there. False: it is in the network's own. */
static bool shared_door(
	const char *path, enum port_kind kind, char dir[2 * PATH_TEXT], const char **out_name)
{
	const char *name = door_path(kind);
	const char *slash = name ? strchr(name, '/') : NULL;
	if (!slash)
		return false;
	snprintf(dir, 2 * PATH_TEXT, "%s/%.*s", path, (int)(slash - name), name);
	*out_name = slash + 1;
	return true;
}

static int make_door(
	const struct netloop_conf *conf, enum port_kind kind, int *out_fd, struct err *err)
{
	const char *path = conf->facts.path, *name;
	const struct access_rules *rules = &conf->facts.access;
	const int type = door_socket_type(kind);
	char dir[2 * PATH_TEXT], door[2 * PATH_TEXT];
	if (!shared_door(path, kind, dir, &name)) {
		const struct access_files files = access_files(&conf->access, rules);
		netfiles_path(door, path, door_path(kind));
		return verb_listen(door, type, &files, out_fd, err);
	}
	const struct access_files files = access_files_shared(&conf->access, rules);
	int rc = verb_shared_make(dir, err);
	if (!rc)
		rc = verb_shared_listen(dir, name, type, &files, out_fd, err);
	return rc < 0 ? rc : verb_shared_give(dir, name, &files, err);
}

int netfiles_make(struct netloop_conf *conf, struct err *err)
{
	char ports[2 * PATH_TEXT];
	const char *path = conf->facts.path;
	netfiles_path(ports, path, "ports");
	int rc = verb_dir_make(path, err);
	if (!rc)
		rc = verb_dir_make(ports, err);
	for (unsigned kind = 0; kind < PORT_KINDS && !rc; kind++) {
		struct netloop_door *door = &conf->doors[conf->n_doors];
		if (!door_path((enum port_kind)kind))
			continue;
		*door = (struct netloop_door){ .kind = (enum port_kind)kind, .fd = -1 };
		rc = make_door(conf, door->kind, &door->fd, err);
		conf->n_doors += door->fd >= 0;
	}
	if (rc < 0) {
		netloop_doors_close(conf);
		netfiles_clear(path);
	}
	return rc;
}

int netfiles_give(const char *path, const struct access *access, const struct access_rules *rules,
	struct err *err)
{
	const struct access_files files = access_files(access, rules);
	const struct access_files shared = access_files_shared(access, rules);
	char dir[2 * PATH_TEXT];
	const char *name;
	int rc = verb_dir_give(path, &files, err);
	for (unsigned kind = 0; kind < PORT_KINDS && !rc; kind++)
		if (shared_door(path, (enum port_kind)kind, dir, &name))
			rc = verb_shared_give(dir, name, &shared, err);
	return rc;
}

int netfiles_renew(const struct network_facts *facts, const struct access *access, const char *port,
	int *out_fd, struct err *err)
{
	char dir[2 * PATH_TEXT];
	const char *name;
	if (!port[0] && shared_door(facts->path, PORT_KIND_DGRAM, dir, &name)) {
		const struct access_files shared = access_files_shared(access, &facts->access);
		return verb_shared_listen(dir, name, SOCK_DGRAM, &shared, out_fd, err);
	}
	const struct access_files files = access_files(access, &facts->access);
	netfiles_port(dir, facts->path, port);
	return verb_listen(dir, SOCK_DGRAM, &files, out_fd, err);
}

void netfiles_clear(const char *path)
{
	char dir[2 * PATH_TEXT], door[2 * PATH_TEXT];
	const char *name;
	for (unsigned kind = 0; kind < PORT_KINDS; kind++)
		if (shared_door(path, (enum port_kind)kind, dir, &name)) {
			netfiles_path(door, path, door_path((enum port_kind)kind));
			verb_unlink(door); /* it may still be about to be closed (shared_close()) */
			verb_shared_clear(dir);
		}
	netfiles_path(dir, path, "ports");
	verb_dir_clear(dir);
	verb_dir_clear(path);
}
