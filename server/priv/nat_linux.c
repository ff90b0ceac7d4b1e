/* nat_linux.c - the verbs of NAT, by nft(8) and the forwarding switch of the kernel. See verbs.h.
 *
 * What is switched is global (net.ipv4.ip_forward): answers come in by any interface, and it is the
 * one they come in by that must forward. The kernel then sets every interface's own switch and
 * accept_redirects; what these were is in RUN/nat.state, so that it can be put back, also by the
 * next daemon. The file counts for this boot and this network namespace only. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/nat.h"
#include "server/priv/tool.h"
#include "server/priv/verbs.h"
#include "server/priv/verbs_priv.h"

#define STATE_FILE "nat.state"
#define IPV4 "/proc/sys/net/ipv4/"
#define FORWARD "ip_forward"
#define REDIRECTS "conf/all/accept_redirects"
#define STATE_TEXT 8192u /* one line for each interface that forwards by itself: hundreds */

/* Some could not be removed: then the file stays, with nothing to put back, and by it the next
 * daemon looks for them. */
static bool tables_left;

/* -- small files -- */

static bool read_line(const char *path, char *out, size_t size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return true;
}

/* One switch below /proc/sys/net/ipv4; -1: cannot be read. */
static int read_switch(const char *name)
{
	char path[300], text[16];
	snprintf(path, sizeof(path), IPV4 "%s", name);
	return read_line(path, text, sizeof(text)) && isdigit((unsigned char)text[0])
		       ? text[0] - '0'
		       : -1;
}

static int write_switch(const char *name, int value)
{
	char path[300];
	const char digit = (char)('0' + value);
	snprintf(path, sizeof(path), IPV4 "%s", name);
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc = fd < 0 || write(fd, &digit, 1) != 1 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Where and since when what is remembered is true. */
static void here(char out[128])
{
	char boot[64] = "", ns[32] = "";
	(void)read_line("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
	const ssize_t n = readlink("/proc/self/ns/net", ns, sizeof(ns) - 1);
	ns[n < 0 ? 0 : n] = '\0';
	snprintf(out, 128, "%s %s", boot, ns);
}

/* -- forwarding -- */

/* Lines "NAME VALUE", in the order in which they are put back. */
static void remember_switches(char *out, size_t size)
{
	size_t at = strlen(out);
	at += (size_t)snprintf(out + at, size - at, FORWARD " 0\n");
	const int redirects = read_switch(REDIRECTS);
	if (redirects >= 0)
		at += (size_t)snprintf(out + at, size - at, REDIRECTS " %d\n", redirects);
	DIR *dir = opendir(IPV4 "conf");
	const struct dirent *e;
	while (dir && (e = readdir(dir))) {
		char name[300];
		if (e->d_name[0] == '.' || !strcmp(e->d_name, "all") || strlen(e->d_name) > 32)
			continue;
		snprintf(name, sizeof(name), "conf/%s/forwarding", e->d_name);
		if (read_switch(name) == 1 && size - at > sizeof(name))
			at += (size_t)snprintf(out + at, size - at, "%s 1\n", name);
	}
	if (dir)
		closedir(dir);
}

/* Only what remember_switches() can have written. */
static bool is_switch(const char *name)
{
	if (!strcmp(name, FORWARD) || !strcmp(name, REDIRECTS))
		return true;
	const size_t len = strlen(name);
	const char *interface = name + strlen("conf/");
	return len > strlen("conf//forwarding") && !strncmp(name, "conf/", 5) &&
	       !strcmp(name + len - strlen("/forwarding"), "/forwarding") && interface[0] != '.' &&
	       strcspn(interface, "/") == len - strlen("conf/") - strlen("/forwarding");
}

static int forwarding_on(struct err *err)
{
	char path[2 * PATH_TEXT], text[STATE_TEXT];
	int rc = verbs_path(path, NULL, STATE_FILE, err);
	if (rc < 0)
		return rc;
	const int on = read_switch(FORWARD);
	/* off in spite of the file: somebody switched it, or there was nothing to put back */
	if (on == 0 || access(path, F_OK) < 0) {
		here(text);
		strcat(text, "\n"); /* NOLINT(clang-analyzer-security.insecureAPI.strcpy) */
		if (on == 0)
			remember_switches(text, sizeof(text));
		rc = verb_write(path, text, err);
	}
	if (!rc && on != 1)
		rc = write_switch(FORWARD, 1);
	return rc < 0 && !(err && err->code)
		       ? err_set(err, rc, "nat: cannot switch " IPV4 FORWARD " on: %s",
				 strerror(-rc))
		       : rc;
}

static void put_back(char *line)
{
	char *space = strrchr(line, ' ');
	if (!space || (space[1] != '0' && space[1] != '1'))
		return;
	*space = '\0';
	if (is_switch(line))
		(void)write_switch(line, space[1] - '0');
}

static void forwarding_back(void)
{
	char path[2 * PATH_TEXT], now[128], line[400];
	if (verbs_path(path, NULL, STATE_FILE, NULL) < 0)
		return;
	FILE *f = fopen(path, "re");
	here(now);
	bool valid = f && fgets(line, sizeof(line), f);
	if (valid) {
		line[strcspn(line, "\n")] = '\0';
		valid = !strcmp(line, now);
	}
	while (valid && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		put_back(line);
	}
	if (f)
		fclose(f);
	strcat(now, "\n"); /* NOLINT(clang-analyzer-security.insecureAPI.strcpy) */
	(void)verb_write(path, tables_left ? now : NULL, NULL);
}

/* -- rules -- */

int verb_nat_available(struct err *err)
{
	char path[PATH_MAX];
	return tool_find("nft", path) ? err_set(err, -EOPNOTSUPP, "nat: there is no nft here; %s",
						tool_where("nft"))
				      : 0;
}

static int feed(const char *text, struct err *err)
{
	char path[PATH_MAX], said[1024];
	int rc = verb_nat_available(err);
	if (rc < 0)
		return rc;
	(void)tool_find("nft", path);
	const char *const argv[] = { path, "-f", "-", NULL };
	return tool_run(argv, text, said, sizeof(said), err);
}

static int remove_table(const char *table, struct err *err)
{
	char text[NAT_TEXT];
	nat_nft(text, table, NULL);
	const int rc = feed(text, err);
	tables_left |= rc < 0;
	return rc;
}

int verb_nat_set(const struct hostif_spec *spec, struct err *err)
{
	char table[NAT_NAME], text[NAT_TEXT];
	if (!verbs_name_ours(spec->host) || !name_valid(spec->network))
		return err_set(err, -EINVAL, "%s is no interface of ours", spec->host);
	nat_name(table, verbs_run_dir(), spec->network);
	nat_nft(text, table, spec);
	/* the file first: without it the next daemon would not look for tables */
	int rc = forwarding_on(err);
	return rc < 0 ? rc : feed(text, err);
}

int verb_nat_clear(const char *network, bool last, struct err *err)
{
	char table[NAT_NAME];
	int rc = 0;
	if (network) {
		nat_name(table, verbs_run_dir(), network);
		rc = remove_table(table, err);
	}
	if (last)
		forwarding_back();
	return rc;
}

int verb_nat_sweep(void)
{
	char path[2 * PATH_TEXT], prefix[NAT_NAME], table[NAT_NAME];
	if (verbs_path(path, NULL, STATE_FILE, NULL) < 0 || access(path, F_OK) < 0)
		return 0;
	const size_t size = 256u * 1024;
	char *list = malloc(size), nft[PATH_MAX];
	int n = 0;
	const char *const argv[] = { nft, "list", "tables", "ip", NULL };
	nat_prefix(prefix, verbs_run_dir());
	tables_left = !list || tool_find("nft", nft) || tool_run(argv, NULL, list, size, NULL);
	/* not after a failure: a tool that hangs would hang for each */
	for (const char *p = list; !tables_left && nat_find(&p, prefix, table);)
		n += remove_table(table, NULL) == 0;
	free(list);
	forwarding_back();
	return n;
}
