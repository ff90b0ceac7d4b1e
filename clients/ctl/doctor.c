/* doctor.c - see doctor.h: the means, and what concerns the daemon and its directory. */
#include "clients/ctl/doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A client costs one descriptor, and 1024 a network are possible; what services get is often 1024,
 * of which only a few networks can live. */
#define DESCRIPTORS_WANTED 4096

extern char **environ;

/* -- the means -- */

const char *verdict_name(enum verdict v)
{
	static const char *const names[] = { "ok", "warn", "fail" };
	return names[v];
}

void doctor_note(struct doctor *d, enum verdict v, const char *check, const char *advice,
	const char *fmt, ...)
{
	va_list ap;
	if (d->n == FINDINGS_MAX)
		return;
	struct finding *f = &d->found[d->n++];
	f->verdict = v;
	snprintf(f->check, sizeof(f->check), "%s", check);
	snprintf(f->advice, sizeof(f->advice), "%s", advice ? advice : "");
	va_start(ap, fmt);
	vsnprintf(f->what, sizeof(f->what), fmt, ap);
	va_end(ap);
}

static void below(const struct doctor *d, const char *path, char out[1024])
{
	snprintf(out, 1024, "%s%s", d->root, path);
}

bool doctor_exists(const struct doctor *d, const char *path)
{
	char full[1024];
	struct stat st;
	below(d, path, full);
	return stat(full, &st) == 0;
}

/* Files of /proc have no size, so they are read until nothing comes. */
static bool read_all(int fd, char *out, size_t size)
{
	size_t have = 0;
	ssize_t n = 0;
	while (have + 1 < size && (n = read(fd, out + have, size - 1 - have)) > 0)
		have += (size_t)n;
	out[have] = '\0';
	return n >= 0;
}

bool doctor_read(const struct doctor *d, const char *path, char *out, size_t size)
{
	char full[1024];
	below(d, path, full);
	const int fd = open(full, O_RDONLY | O_CLOEXEC);
	out[0] = '\0';
	if (fd < 0)
		return false;
	const bool good = read_all(fd, out, size);
	close(fd);
	return good;
}

long doctor_number(const struct doctor *d, const char *path)
{
	char text[32], *end;
	if (!doctor_read(d, path, text, sizeof(text)))
		return -1;
	const long v = strtol(text, &end, 10);
	return end == text || v < 0 ? -1 : v;
}

bool doctor_grep(const struct doctor *d, const char *dir, const char *suffix, const char *text)
{
	char full[1024], path[1024], content[16384];
	below(d, dir, full);
	DIR *list = opendir(full);
	bool found = false;
	const struct dirent *e;
	while (list && !found && (e = readdir(list))) {
		const size_t len = strlen(e->d_name), end = strlen(suffix);
		if (len < end || strcmp(e->d_name + len - end, suffix) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		found = doctor_read(d, path, content, sizeof(content)) && strstr(content, text);
	}
	if (list)
		closedir(list);
	return found;
}

bool doctor_tool(const struct doctor *d, const char *name, char out[512])
{
	static const char *const dirs[] = { "/usr/local/sbin", "/usr/sbin", "/sbin",
		"/opt/homebrew/sbin", "/usr/local/bin", "/usr/bin", "/bin", "/opt/homebrew/bin" };
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(out, 512, "%s%s/%s", d->root, dirs[i], name);
		if (!access(out, X_OK))
			return true;
	}
	return false;
}

bool doctor_run(
	const struct doctor *d, const char *name, const char *const args[3], char *out, size_t size)
{
	char path[512];
	int fds[2], status = 0;
	pid_t pid;
	posix_spawn_file_actions_t actions;
	out[0] = '\0';
	if (!doctor_tool(d, name, path) || pipe(fds) < 0)
		return false;
	fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	char *const argv[] = { path, (char *)(uintptr_t)args[0], (char *)(uintptr_t)args[1],
		(char *)(uintptr_t)args[2], NULL };
	bool good = !posix_spawn_file_actions_init(&actions);
	if (good) {
		good = !posix_spawn_file_actions_addopen(
			       &actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) &&
		       !posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO) &&
		       !posix_spawn_file_actions_addopen(
			       &actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) &&
		       !posix_spawn(&pid, path, &actions, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	close(fds[1]);
	if (good) {
		good = read_all(fds[0], out, size);
		close(fds[0]); /* what does not fit ends it */
		fds[0] = -1;
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		good = good && WIFEXITED(status) && !WEXITSTATUS(status);
	}
	if (fds[0] >= 0)
		close(fds[0]);
	return good;
}

/* -- the daemon -- */

/* A call without params whose failure is no news. */
static bool ask(struct doctor *d, const char *method, msgpack_object *out)
{
	struct rpc_out params;
	struct feth_reply reply;
	size_t used = 0;
	ctl_params(&params, NULL);
	rpc_out_close(&params);
	const int rc = feth_call(d->ctl->conn, method, (const uint8_t *)params.buf.data,
		params.buf.size, &reply, CTL_TIMEOUT_MS);
	rpc_out_fini(&params);
	char *copy = rc < 0 ? NULL : msgpack_zone_malloc(&d->ctl->zone, reply.result_len);
	if (!copy)
		return false;
	memcpy(copy, reply.result, reply.result_len);
	return msgpack_unpack(copy, reply.result_len, &used, &d->ctl->zone, out) ==
	       MSGPACK_UNPACK_SUCCESS;
}

static void text_of(const msgpack_object *map, const char *key, char *out, size_t size)
{
	const msgpack_object *v = out_get(map, key);
	if (!v || !rpc_text(v, out, size))
		out[0] = '\0';
}

static bool true_of(const msgpack_object *map, const char *key)
{
	const msgpack_object *v = out_get(map, key);
	return v && (v->type == MSGPACK_OBJECT_STR ||
			    (v->type == MSGPACK_OBJECT_BOOLEAN && v->via.boolean));
}

static void learn(struct doctor *d)
{
	const msgpack_object *items = NULL;
	if (ask(d, "daemon.show", &d->daemon)) {
		const msgpack_object *pid = out_get(&d->daemon, "pid");
		d->pid = pid && pid->type == MSGPACK_OBJECT_POSITIVE_INTEGER
				 ? (uint32_t)pid->via.u64
				 : 0;
		d->rootless = true_of(&d->daemon, "rootless");
		text_of(&d->daemon, "admin_group", d->admin_group, sizeof(d->admin_group));
	}
	if (ask(d, "network.list", &d->networks))
		items = out_get(&d->networks, "items");
	for (uint32_t i = 0;
		items && items->type == MSGPACK_OBJECT_ARRAY && i < items->via.array.size; i++) {
		const msgpack_object *net = &items->via.array.ptr[i];
		char backend[16];
		text_of(net, "backend", backend, sizeof(backend));
		d->veth |= !strcmp(backend, "veth");
		d->nat += true_of(net, "nat");
		d->dhcp += true_of(net, "dhcp");
	}
}

static void check_version(struct doctor *d)
{
	msgpack_object hello;
	char server[64] = "";
	if (ask(d, "hello", &hello))
		text_of(&hello, "server", server, sizeof(server));
	if (!strncmp(server, "fethd ", 6) && !strcmp(server + 6, feth_version()))
		doctor_note(d, DOCTOR_OK, "version", NULL, "daemon and fethctl are both %s",
			feth_version());
	else
		doctor_note(d, DOCTOR_WARN, "version",
			"restart the daemon, or use the fethctl that came with it",
			"the daemon is %.60s, fethctl is %s", *server ? server : "of no version",
			feth_version());
}

static void check_daemon(struct doctor *d, int rc)
{
	const char *at = d->ctl->socket;
	switch (rc) {
	case 0:
		d->reached = true;
		doctor_note(d, DOCTOR_OK, "daemon", NULL, "answers at %s", at);
		learn(d);
		return check_version(d);
	case -EACCES:
	case -EPERM:
		return doctor_note(d, DOCTOR_WARN, "daemon",
			"use sudo, or have yourself added to the group of that socket (sudo "
			"usermod -aG GROUP USER) and log in again; networks that you may use need "
			"neither",
			"you may not open %s", at);
	default:
		return doctor_note(d, DOCTOR_FAIL, "daemon",
			"start it (sudo fethd, or fethd --rootless), or say where it is with "
			"--run-dir; its log says why it ended",
			"none answers at %s: %s", at, strerror(-rc));
	}
}

/* A group that one was added to counts from the next login on. */
static void check_group(struct doctor *d)
{
	if (!d->admin_group[0])
		return;
	const struct group *g = getgrnam(d->admin_group);
	const struct passwd *me = getpwuid(geteuid());
	gid_t mine[256];
	const int n = getgroups(256, mine);
	bool listed = false, counts = geteuid() == 0;
	for (int i = 0; g && i < n; i++)
		counts |= mine[i] == g->gr_gid;
	for (char **m = g ? g->gr_mem : NULL; m && *m && me; m++)
		listed |= !strcmp(*m, me->pw_name);
	if (!g)
		doctor_note(d, DOCTOR_WARN, "admin-group",
			"make it (sudo groupadd NAME), then restart the daemon",
			"the daemon's admin group %s is not known here", d->admin_group);
	else if (listed && !counts)
		doctor_note(d, DOCTOR_WARN, "admin-group", "log out and in again, or use newgrp",
			"you are a member of %s, but not yet in this session", d->admin_group);
	else
		doctor_note(
			d, DOCTOR_OK, "admin-group", NULL, "%s may administrate", d->admin_group);
}

static void check_run_dir(struct doctor *d)
{
	struct stat st;
	char *slash;
	snprintf(d->run_dir, sizeof(d->run_dir), "%s", d->ctl->socket);
	slash = strrchr(d->run_dir, '/');
	if (!slash)
		return;
	*slash = '\0';
	if (lstat(d->run_dir, &st) < 0)
		return doctor_note(d, d->reached ? DOCTOR_FAIL : DOCTOR_WARN, "run-dir",
			"the daemon makes it when it starts", "%s: %s", d->run_dir,
			strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return doctor_note(d, DOCTOR_FAIL, "run-dir",
			"remove it, or choose another --run-dir: the daemon follows no link",
			"%s is no directory", d->run_dir);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return doctor_note(d, DOCTOR_FAIL, "run-dir",
			"chmod go-w it: the daemon refuses such a directory",
			"%s is writable by others than its owner", d->run_dir);
	if (!(st.st_mode & S_IXOTH))
		return doctor_note(d, DOCTOR_WARN, "run-dir",
			"chmod 755 it, unless you want nobody else to use its networks",
			"%s lets nobody in but its owner", d->run_dir);
	doctor_note(d, DOCTOR_OK, "run-dir", NULL, "%s belongs to uid %u, who alone may write it",
		d->run_dir, (unsigned)st.st_uid);
}

/* "Max open files  1024  524288  files" of /proc/PID/limits; ours where that cannot be read. */
static void check_descriptors(struct doctor *d)
{
	char path[64], text[4096];
	const char *who = "the daemon";
	unsigned long long limit = 0;
	snprintf(path, sizeof(path), "/proc/%u/limits", (unsigned)d->pid);
	const char *line = d->pid && doctor_read(d, path, text, sizeof(text))
				   ? strstr(text, "Max open files")
				   : NULL;
	if (line) {
		limit = strtoull(line + strlen("Max open files"), NULL, 10);
	} else {
		struct rlimit mine;
		who = "a program started from here";
		if (getrlimit(RLIMIT_NOFILE, &mine) == 0)
			limit = mine.rlim_max;
	}
	if (limit >= DESCRIPTORS_WANTED)
		return doctor_note(
			d, DOCTOR_OK, "descriptors", NULL, "%s may open %llu", who, limit);
	doctor_note(d, DOCTOR_WARN, "descriptors",
		"raise the hard limit where the daemon is started: LimitNOFILE= in a systemd "
		"service, ulimit -Hn in a shell",
		"%s may open %llu, which is not many clients", who, limit);
}

static uint64_t uint_of(const msgpack_object *map, const char *key)
{
	const msgpack_object *v = out_get(map, key);
	return v && v->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? v->via.u64 : 0;
}

static void check_bridge(struct doctor *d, const msgpack_object *net)
{
	char name[64], bridge[64];
	const unsigned mtu = (unsigned)uint_of(net, "mtu");
	const unsigned carries = (unsigned)uint_of(net, "bridge_mtu");
	text_of(net, "name", name, sizeof(name));
	text_of(net, "bridge", bridge, sizeof(bridge));
	if (!*bridge)
		return;
	if (!true_of(net, "bridged"))
		doctor_note(d, DOCTOR_WARN, "bridge",
			"make the bridge and bring it up; fethctl set NET --bridge BRIDGE puts the "
			"host's interface into it and says what is in the way",
			"network %s is not in its bridge %s, or that is down", name, bridge);
	else if (carries && carries < mtu)
		doctor_note(d, DOCTOR_WARN, "bridge",
			"fethctl set NET --mtu BYTES, or a larger MTU for that port",
			"network %s has an MTU of %u, and a port of its bridge %s one of %u: "
			"longer "
			"packets are dropped",
			name, mtu, bridge, carries);
	else
		doctor_note(d, DOCTOR_OK, "bridge", NULL, "network %s is in %s", name, bridge);
}

static void check_bridges(struct doctor *d)
{
	const msgpack_object *items = out_get(&d->networks, "items");
	if (items && items->type == MSGPACK_OBJECT_ARRAY)
		for (uint32_t i = 0; i < items->via.array.size; i++)
			check_bridge(d, &items->via.array.ptr[i]);
}

void doctor_examine(struct doctor *d)
{
	check_daemon(d, ctl_try_connect(d->ctl));
	check_group(d);
	check_run_dir(d);
	check_descriptors(d);
	check_bridges(d);
	doctor_system(d);
}
