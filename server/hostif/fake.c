/* fake.c - a host side made of files, so that tests drive the whole daemon without privilege.
 *
 * It exists where the environment variable FETHD_FAKE_DIR names a directory. There, for a
 * network NET with the members HOST and SERVICE, are
 *
 *  - NET.host, a bound AF_UNIX datagram socket of ours: a datagram sent there is a frame
 *    from the host. A sender waits while ten are unread (net.unix.max_dgram_qlen).
 *  - NET.peer, the same for frames to the host, if the test has bound it; else they are
 *    taken and forgotten. One that does not fit there is lost. Where the test has connected
 *    that socket to NET.host, the limit of ten does not hold.
 *  - NET.state, what "the kernel" knows, replaced as a whole at each change: lines tag=
 *    host= service= mac= service_mac= mtu= up=(yes|no), and an addr= for each address. When
 *    a test removes it, the pair has been removed by somebody else.
 *  - HOST.if and SERVICE.if: that these interfaces exist; in them stands NET.
 *  - NET.fail, the test's, optional, words in it: make, change-mtu, change-mac, change-up,
 *    change-addr have that step fail with -EPERM, and what was done before it undone; taken
 *    has make() fail with -EEXIST.
 *  - IF.fail, the test's, optional: the word taken says that an interface of this name is
 *    somebody else's, so name_free(IF) is false and make() fails with -EEXIST.
 *  - NET.groups, the test's, optional: a MAC a line, the groups that HOST listens to, in any
 *    order; what is no group is skipped. Written, replaced or removed, it is an event.
 *
 * There is no state in memory, so two processes, or two daemons in a row, see the same. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/inotify.h>
#endif

#include "server/core/groups.h"
#include "server/hostif/backends.h"

#define PATH_BYTES 512u
#define STATE_BYTES 4096u /* tag, names and 16 addresses: below 1500 */
#define SEGS_MAX 1024u

struct hostif {
	int fd; /* owned */
	char state[PATH_BYTES];
	struct sockaddr_un peer;
};

/* -- files -- */

static const char *fake_dir(void)
{
	const char *dir = getenv("FETHD_FAKE_DIR");
	struct stat st;
	return dir && !stat(dir, &st) && S_ISDIR(st.st_mode) ? dir : NULL;
}

/* DIR/@name.@ext; "" where that is too long or there is no directory, which no file is called. */
static const char *path_of(char out[PATH_BYTES], const char *name, const char *ext)
{
	const char *dir = fake_dir();
	const int n = dir ? snprintf(out, PATH_BYTES, "%s/%s.%s", dir, name, ext) : -1;
	if (n < 0 || (unsigned)n >= PATH_BYTES)
		out[0] = '\0';
	return out;
}

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

/* The whole of a small file as text, "" where there is none. */
static const char *read_text(char out[STATE_BYTES], const char *path)
{
	size_t len = 0;
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n;
		while ((n = read(fd, out + len, STATE_BYTES - 1 - len)) > 0)
			len += (size_t)n;
		close(fd);
	}
	out[len] = '\0';
	return out;
}

/* Replaces a file as a whole. */
static int write_text(const char *path, const char *text)
{
	char temp[PATH_BYTES + 4];
	snprintf(temp, sizeof(temp), "%s.new", path);
	const int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	const size_t len = strlen(text);
	int rc = write(fd, text, len) == (ssize_t)len ? 0 : -EIO;
	close(fd);
	if (!rc && rename(temp, path) < 0)
		rc = -errno;
	if (rc < 0)
		unlink(temp);
	return rc;
}

/* Whether the test has put @word into NAME.fail. */
static bool told(const char *name, const char *word)
{
	char path[PATH_BYTES], text[STATE_BYTES];
	read_text(text, path_of(path, name, "fail"));
	char *rest = NULL;
	for (char *w = strtok_r(text, " \t\n", &rest); w; w = strtok_r(NULL, " \t\n", &rest))
		if (!strcmp(w, word))
			return true;
	return false;
}

/* The value of the first line "key=value" of NET.state; "" where there is none. */
static const char *state_get(char out[STATE_BYTES], const char *network, const char *key)
{
	char path[PATH_BYTES], text[STATE_BYTES];
	const size_t len = strlen(key);
	out[0] = '\0';
	read_text(text, path_of(path, network, "state"));
	char *rest = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (!strncmp(line, key, len) && line[len] == '=')
			return memcpy(out, line + len + 1, strlen(line + len + 1) + 1);
	return out;
}

/* As with a kernel: what is so already is no news. */
static int state_write(const struct hostif_spec *spec)
{
	char path[PATH_BYTES], text[STATE_BYTES], was[STATE_BYTES];
	char mac[MAC_TEXT], service_mac[MAC_TEXT], addr[CIDR_TEXT];
	mac_format(mac, spec->mac);
	mac_format(service_mac, spec->service_mac);
	size_t len = (size_t)snprintf(text, sizeof(text),
		"tag=%s\nhost=%s\nservice=%s\nmac=%s\nservice_mac=%s\nmtu=%u\nup=%s\n", spec->tag,
		spec->host, spec->service, mac, service_mac, spec->mtu, spec->up ? "yes" : "no");
	for (unsigned i = 0; i < spec->n_addrs; i++) {
		cidr_format(addr, &spec->addrs[i]);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "addr=%s\n", addr);
	}
	path_of(path, spec->network, "state");
	return strcmp(read_text(was, path), text) != 0 ? write_text(path, text) : 0;
}

/* The network that interface @name belongs to; "" where there is no such interface. An .if file
 * without a state is what is left of a pair that the test removed. */
static const char *interface_network(char out[STATE_BYTES], const char *name)
{
	char path[PATH_BYTES];
	read_text(out, path_of(path, name, "if"));
	if (!exists(path_of(path, out, "state")))
		out[0] = '\0';
	return out;
}

static void unlink_file(const char *name, const char *ext)
{
	char path[PATH_BYTES];
	unlink(path_of(path, name, ext));
}

/* Calls @each with NAME of every file NAME.EXT; returns how often that was true. */
static int each_file(
	const char *ext, bool (*each)(const char *name, const void *data), const void *data)
{
	const char *path = fake_dir();
	DIR *dir = path ? opendir(path) : NULL;
	if (!dir)
		return 0;
	int n = 0;
	for (struct dirent *e; (e = readdir(dir));) {
		char *dot = strrchr(e->d_name, '.');
		if (!dot || strcmp(dot + 1, ext) != 0)
			continue;
		*dot = '\0';
		n += each(e->d_name, data);
	}
	closedir(dir);
	return n;
}

/* -- control half -- */

/* Whether the test wants this step to fail; then the sentence is in *err. */
static bool refused(const struct hostif_spec *spec, const char *step, struct err *err)
{
	if (!told(spec->network, step))
		return false;
	err_set(err, -EPERM, "%s: cannot %s interface %s: refused by %s.fail", spec->network, step,
		spec->host, spec->network);
	return true;
}

static void pair_remove(const char *network, const char *host, const char *service)
{
	unlink_file(network, "state");
	unlink_file(network, "host");
	unlink_file(host, "if");
	unlink_file(service, "if");
}

static int fake_remove(const struct hostif_spec *spec)
{
	char text[STATE_BYTES];
	if (!strcmp(state_get(text, spec->network, "tag"), spec->tag))
		pair_remove(spec->network, spec->host, spec->service);
	return 0;
}

static bool fake_allowed(void)
{
	return true;
}

static bool fake_name_free(const char *name)
{
	char text[STATE_BYTES];
	return !told(name, "taken") && !interface_network(text, name)[0];
}

static int nonblocking(int fd)
{
	const int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
		fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

static int address_of(struct sockaddr_un *out, const char *network, const char *ext)
{
	char path[PATH_BYTES];
	const size_t len = strlen(path_of(path, network, ext));
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!len || len >= sizeof(out->sun_path))
		return -ENAMETOOLONG;
	memcpy(out->sun_path, path, len);
	return 0;
}

/* A datagram socket bound to NET.host, in place of what may be there. */
static int host_socket(const char *network)
{
	struct sockaddr_un addr;
	int rc = address_of(&addr, network, "host");
	if (rc < 0)
		return rc;
	const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd < 0)
		return -errno;
	unlink(addr.sun_path);
	rc = nonblocking(fd);
	if (!rc && bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		rc = -errno;
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

static int fake_make(const struct hostif_spec *spec, struct hostif_made *out, struct err *err)
{
	char path[PATH_BYTES];

	if (!fake_dir())
		return err_set(err, -EINVAL,
			"%s: cannot make interface %s: the backend fake is for tests and needs a "
			"directory in FETHD_FAKE_DIR",
			spec->network, spec->host);
	if (refused(spec, "make", err))
		return -EPERM;
	fake_remove(spec); /* an earlier one of ours is replaced */
	if (told(spec->network, "taken") || exists(path_of(path, spec->network, "state")) ||
		!fake_name_free(spec->host) || !fake_name_free(spec->service))
		return err_set(err, -EEXIST,
			"%s: cannot make interface %s: it or %s exists already and is not ours",
			spec->network, spec->host, spec->service);

	const int fd = host_socket(spec->network);
	int rc = fd < 0 ? fd : 0;
	if (!rc)
		rc = write_text(path_of(path, spec->host, "if"), spec->network);
	if (!rc)
		rc = write_text(path_of(path, spec->service, "if"), spec->network);
	if (!rc)
		rc = state_write(spec);
	if (rc < 0) {
		pair_remove(spec->network, spec->host, spec->service);
		if (fd >= 0)
			close(fd);
		return err_set(err, rc, "%s: cannot make interface %s in %s: %s", spec->network,
			spec->host, fake_dir(), strerror(-rc));
	}
	*out = (struct hostif_made){ .rx_fd = fd, .tx_fd = fd };
	return 0;
}

static bool same_addrs(const struct hostif_spec *a, const struct hostif_spec *b)
{
	bool same = a->n_addrs == b->n_addrs;
	for (unsigned i = 0; same && i < a->n_addrs; i++)
		same = cidr_equal(&a->addrs[i], &b->addrs[i]);
	return same;
}

/* The steps of the veth backend in its order, each visible in the state. */
static int change_steps(
	const struct hostif_spec *now, const struct hostif_spec *want, struct err *err)
{
	struct hostif_spec at = *now;
	int rc = 0;

	if (want->mtu != now->mtu && refused(want, "change-mtu", err))
		return -EPERM;
	at.mtu = want->mtu;
	rc = state_write(&at);
	if (rc < 0)
		return rc;
	if (!mac_equal(want->mac, now->mac) && refused(want, "change-mac", err))
		return -EPERM;
	at.mac = want->mac;
	at.service_mac = want->service_mac;
	rc = state_write(&at);
	if (rc < 0)
		return rc;
	if (want->up != now->up && refused(want, "change-up", err))
		return -EPERM;
	at.up = want->up;
	rc = state_write(&at);
	if (rc < 0)
		return rc;
	if (!same_addrs(now, want) && refused(want, "change-addr", err))
		return -EPERM;
	return state_write(want);
}

static int fake_change(
	const struct hostif_spec *now, const struct hostif_spec *want, struct err *err)
{
	char text[STATE_BYTES];
	if (strcmp(state_get(text, now->network, "tag"), now->tag) != 0)
		return err_set(err, -ENODEV,
			"%s: cannot change interface %s: it or %s is gone, or not ours any more",
			want->network, now->host, now->service);
	struct err why = { 0 };
	const int rc = change_steps(now, want, &why);
	if (rc < 0) {
		(void)state_write(now);
		err_set(err, rc, "%s", why.code ? why.text : strerror(-rc));
	}
	return rc;
}

static bool fake_carrier(const struct hostif_spec *spec)
{
	char up[STATE_BYTES];
	return !strcmp(state_get(up, spec->network, "up"), "yes");
}

static bool sweep_one(const char *network, const void *data)
{
	char tag[STATE_BYTES], host[STATE_BYTES], service[STATE_BYTES];
	const char *prefix = data;
	if (strncmp(state_get(tag, network, "tag"), prefix, strlen(prefix)) != 0)
		return false;
	pair_remove(
		network, state_get(host, network, "host"), state_get(service, network, "service"));
	return true;
}

static int fake_sweep(
	const char *prefix, const struct hostif_spec *known, unsigned n, struct err *err)
{
	(void)known;
	(void)n;
	if (!prefix[0])
		return err_set(err, -EINVAL, "nothing says which interfaces are ours");
	return each_file("state", sweep_one, prefix);
}

static int fake_groups(const char *host, struct feth_mac *out, unsigned max)
{
	char network[STATE_BYTES], path[PATH_BYTES], text[STATE_BYTES];
	if (!interface_network(network, host)[0])
		return -ENODEV;
	read_text(text, path_of(path, network, "groups"));
	struct groups g = { 0 };
	struct feth_mac mac;
	char *rest = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (mac_parse(&mac, line) && groups_is(mac))
			groups_put(&g, mac);
	return groups_give(&g, out, max);
}

/* -- news -- */

#ifdef __linux__
static int fake_watch_open(struct err *err)
{
	const char *dir = fake_dir();
	const int fd = dir ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1;
	if (fd < 0 || inotify_add_watch(fd, dir,
			      IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE) < 0) {
		const int rc = dir ? -errno : -EINVAL;
		if (fd >= 0)
			close(fd);
		return err_set(
			err, rc, "cannot watch the directory in FETHD_FAKE_DIR: %s", strerror(-rc));
	}
	return fd;
}

static bool interface_drop(const char *name, const void *data)
{
	char path[PATH_BYTES], text[STATE_BYTES];
	const char *network = data;
	if (strcmp(read_text(text, path_of(path, name, "if")), network) != 0)
		return false;
	unlink(path);
	return true;
}

static unsigned note(
	struct hostif_event *events, unsigned n, const char *name, struct hostif_event what)
{
	events[n] = what;
	snprintf(events[n].name, sizeof(events[n].name), "%.*s", (int)HOSTIF_NAME - 1, name);
	return n + 1;
}

/* NET.groups changed: an event of NET's host member, unless there is one. */
static unsigned groups_news(const char *network, struct hostif_event *events, unsigned n)
{
	char host[STATE_BYTES];
	if (!state_get(host, network, "host")[0])
		return n;
	for (unsigned i = 0; i < n; i++)
		if (events[i].groups && !strcmp(events[i].name, host))
			return n;
	return note(events, n, host, (struct hostif_event){ .groups = true });
}

/* What one change in the directory means: at most two events, at events[n]; returns the new n. */
static unsigned watch_one(const struct inotify_event *in, struct hostif_event *events, unsigned n)
{
	const struct hostif_event changed = { .gone = false };
	char name[NAME_MAX + 1], text[STATE_BYTES];
	snprintf(name, sizeof(name), "%s", in->len ? in->name : "");
	char *dot = strrchr(name, '.');
	if (!dot)
		return n;
	*dot = '\0';
	const bool gone = in->mask & (IN_MOVED_FROM | IN_DELETE);

	if (!strcmp(dot + 1, "groups"))
		return groups_news(name, events, n);
	if (in->mask & IN_CLOSE_WRITE)
		return n; /* ours are replaced, never written */
	if (!strcmp(dot + 1, "if"))
		return gone ? note(events, n, name, (struct hostif_event){ .gone = true }) : n;
	if (strcmp(dot + 1, "state") != 0)
		return n;
	if (gone) {
		/* By the test: then its interfaces go, which we hear of next. By remove(), or made
		 * again since: nothing. */
		char path[PATH_BYTES];
		if (!exists(path_of(path, name, "state")))
			each_file("if", interface_drop, name);
		return n;
	}
	if (state_get(text, name, "host")[0])
		n = note(events, n, text, changed);
	if (state_get(text, name, "service")[0])
		n = note(events, n, text, changed);
	return n;
}

static int fake_watch_read(int fd, struct hostif_event *events, unsigned max)
{
	/* Two events may come of one change, so there must be room for two. */
	_Alignas(struct inotify_event) char buf[sizeof(struct inotify_event) + NAME_MAX + 1];
	unsigned n = 0;

	if (max < 2)
		return -EINVAL;
	while (n + 2 <= max) {
		const ssize_t got = read(fd, buf, sizeof(buf));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			break;
		if (got < 0)
			return -errno;
		for (ssize_t at = 0; at < got;) {
			const struct inotify_event *in = (const void *)(buf + at);
			at += (ssize_t)(sizeof(*in) + in->len);
			if (in->mask & IN_Q_OVERFLOW || n + 2 > max)
				return -ENOBUFS;
			n = watch_one(in, events, n);
		}
	}
	return (int)n;
}
#else
static int fake_watch_open(struct err *err)
{
	return err_set(err, -EOPNOTSUPP, "the backend fake watches its directory on Linux only");
}

static int fake_watch_read(int fd, struct hostif_event *events, unsigned max)
{
	(void)fd;
	(void)events;
	(void)max;
	return -EOPNOTSUPP;
}
#endif

/* -- data half -- */

static int fake_open(struct hostif **out, const struct hostif_made *made,
	const struct hostif_spec *spec, struct err *err)
{
	struct hostif *hif = calloc(1, sizeof(*hif));
	int rc = hif ? address_of(&hif->peer, spec->network, "peer") : -ENOMEM;
	if (rc < 0) {
		close(made->rx_fd);
		free(hif);
		return err_set(err, rc, "%s: cannot open interface %s: %s", spec->network,
			spec->service, strerror(-rc));
	}
	hif->fd = made->rx_fd;
	path_of(hif->state, spec->network, "state");
	*out = hif;
	return 0;
}

static void fake_close(struct hostif *hif)
{
	if (!hif)
		return;
	close(hif->fd);
	free(hif);
}

static int fake_fd(const struct hostif *hif)
{
	return hif->fd;
}

static int fake_recv(
	struct hostif *hif, struct frame *frames, unsigned max, uint8_t *buf, size_t size)
{
	size_t at = 0;
	unsigned n = 0;

	if (size < FETH_FRAME_MAX)
		return -ENOBUFS;
	if (!exists(hif->state))
		return -ENODEV;
	while (n < max && n < HOSTIF_BATCH && size - at >= FETH_FRAME_MAX) {
		struct iovec iov = { .iov_base = buf + at, .iov_len = FETH_FRAME_MAX };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		const ssize_t got = recvmsg(hif->fd, &msg, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (got < 0)
			return n ? (int)n : -errno;
		if (msg.msg_flags & MSG_TRUNC || got < (ssize_t)FETH_FRAME_MIN)
			continue;
		const uint32_t len = (uint32_t)got;
		frames[n++] = (struct frame){ .head = buf + at, .head_len = len, .len = len };
		at += len;
	}
	return (int)n;
}

static bool send_one(struct hostif *hif, const struct frame *f)
{
	struct iovec iov[SEGS_MAX];
	if (f->more_n >= SEGS_MAX)
		return false;
	iov[0] = (struct iovec){ .iov_base = (void *)f->head, .iov_len = f->head_len };
	for (unsigned i = 0; i < f->more_n; i++)
		iov[i + 1] = (struct iovec){ .iov_base = (void *)f->more[i].base,
			.iov_len = f->more[i].len };
	const struct msghdr msg = {
		.msg_name = &hif->peer,
		.msg_namelen = sizeof(hif->peer),
		.msg_iov = iov,
		.msg_iovlen = 1u + f->more_n,
	};
	ssize_t sent;
	do
		sent = sendmsg(hif->fd, &msg, MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	/* nobody is there: as a host without a listener takes them */
	return sent >= 0 || errno == ENOENT || errno == ECONNREFUSED;
}

static unsigned fake_send(struct hostif *hif, const struct frame *frames, unsigned n)
{
	unsigned taken = 0;
	if (!exists(hif->state))
		return 0;
	for (unsigned i = 0; i < n; i++)
		taken += send_one(hif, &frames[i]);
	return taken;
}

const struct hostif_ops hostif_fake = {
	.name = "fake",
	.has_host = true,
	.mtu_min = HOSTIF_MTU_MIN,
	.mtu_max = HOSTIF_MTU_MAX,
	.allowed = fake_allowed,
	.make = fake_make,
	.change = fake_change,
	.remove = fake_remove,
	.name_free = fake_name_free,
	.carrier = fake_carrier,
	.sweep = fake_sweep,
	.groups = fake_groups,
	.watch_open = fake_watch_open,
	.watch_read = fake_watch_read,
	.open = fake_open,
	.close = fake_close,
	.recv = fake_recv,
	.send = fake_send,
	.fd = fake_fd,
};
