/* dnsmasq.c - the verbs that start and end DHCP servers. See verbs.h, keeper.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/priv/keeper.h"
#include "server/priv/tool.h"
#include "server/priv/verbs.h"
#include "server/priv/verbs_priv.h"

int verb_dhcp_available(struct err *err)
{
	char path[PATH_MAX];
	if (!tool_find("dnsmasq", path))
		return 0;
	return err_set(
		err, -EOPNOTSUPP, "dhcp: there is no dnsmasq here; %s", tool_where("dnsmasq"));
}

/* Debian's and Fedora's packages make a user for it; nobody is everywhere, macOS included. Without
 * root there is nobody else to become, and in a namespace where root is alone neither. */
static struct dhcp_runas run_as(char group[TOOL_GROUP])
{
	static const char *const users[] = { "dnsmasq", "nobody" };
	if (geteuid() != 0)
		return (struct dhcp_runas){ 0 };
	if (verb_is_rootless())
		return (struct dhcp_runas){ .stay = true };
	for (unsigned i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		if (tool_user(users[i], group))
			return (struct dhcp_runas){ .user = users[i], .group = group };
	return (struct dhcp_runas){ 0 }; /* whom it chooses itself */
}

/* What is behind its configuration's path is an argument of no other program. */
static int conf_argument(char out[2 * PATH_TEXT + 16], const char *network, struct err *err)
{
	char path[2 * PATH_TEXT];
	const int rc = verbs_path(path, network, "dnsmasq.conf", err);
	if (!rc)
		snprintf(out, 2 * PATH_TEXT + 16, "--conf-file=%s", path);
	return rc;
}

int verb_dhcp_start(struct dhcp_server *out, const struct hostif_spec *spec,
	const struct dhcp_facts *dhcp, bool router, struct err *err)
{
	char group[TOOL_GROUP], program[PATH_MAX], path[2 * PATH_TEXT], text[DHCP_CONF_TEXT];
	char conf[2 * PATH_TEXT + 16], leases[2 * PATH_TEXT + 32], pid[2 * PATH_TEXT + 16];
	int rc = verb_dhcp_available(err);
	if (!rc && !verbs_name_ours(spec->host))
		rc = err_set(err, -EINVAL, "%s is no interface of ours", spec->host);
	if (!rc)
		rc = conf_argument(conf, spec->network, err);
	if (rc < 0)
		return rc;
	const struct dhcp_runas who = run_as(group);
	dhcp_conf(text, spec, dhcp, router, &who);
	(void)tool_find("dnsmasq", program);
	(void)verbs_path(path, spec->network, "dnsmasq.leases", NULL);
	snprintf(leases, sizeof(leases), "--dhcp-leasefile=%s", path);
	(void)verbs_path(path, spec->network, "dnsmasq.pid", NULL);
	snprintf(pid, sizeof(pid), "--pid-file=%s", path);
	(void)verbs_path(path, spec->network, "dnsmasq.conf", NULL);
	rc = verb_write(path, text, err);
	if (rc < 0)
		return rc;

	const char *const argv[] = { program, conf, leases, pid, NULL };
	struct kept kept;
	rc = kept_start(&kept, argv, err);
	if (!rc)
		*out = (struct dhcp_server){ .pid = (int)kept.pid, .fd = kept.fd };
	return rc;
}

void verb_dhcp_end(struct dhcp_server *server, const char *network)
{
	char conf[2 * PATH_TEXT + 16];
	struct kept kept = { .pid = (pid_t)server->pid, .fd = server->fd };
	if (!kept_end(&kept) && !conf_argument(conf, network, NULL))
		(void)process_kill_by_argument(conf);
	*server = (struct dhcp_server){ .fd = -1 };
}

void verb_dhcp_clear(const char *network, bool crashed)
{
	static const char *const files[] = { "dnsmasq.pid", "dnsmasq.leases",
		"dnsmasq.conf.new", /* a crash while it was written */
		"dnsmasq.conf" };
	char conf[2 * PATH_TEXT + 16], path[2 * PATH_TEXT];
	/* the configuration is written before one is started, and goes last */
	if (crashed && !verbs_path(path, network, "dnsmasq.conf", NULL) && !access(path, F_OK) &&
		!conf_argument(conf, network, NULL))
		(void)process_kill_by_argument(conf);
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (!verbs_path(path, network, files[i], NULL))
			unlink(path);
}
