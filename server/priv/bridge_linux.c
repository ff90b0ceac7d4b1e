/* bridge_linux.c - the verbs of bridges: the host member as a port of a bridge that others made,
 * the kernel's own or one of Open vSwitch. See verbs.h.
 *
 * The kernel's is asked by rtnetlink, Open vSwitch by ovs-vsctl(8). To which of them a name belongs
 * is seen by the kind of its interface; an interface that is neither a bridge nor of Open vSwitch
 * is refused.
 *
 * A port of the kernel's bridge goes with its interface. One of Open vSwitch is a line of a
 * database that stays, and takes in whatever interface gets that name next: so ours are marked
 * there (external_ids:fethd), and RUN/bridge.state says that there may be any, until
 * verb_bridge_sweep() has seen that there are none. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/core/nat.h"
#include "server/hostif/member_linux.h"
#include "server/priv/tool.h"
#include "server/priv/verbs.h"
#include "server/priv/verbs_priv.h"

#define STATE_FILE "bridge.state"
#define OVS "ovs-vsctl"
/* Seconds. It waits for ovs-vswitchd to do as it was told, for ever where that does not run. Less
 * than TOOL_MS, so that it says so itself. */
#define OVS_PATIENCE "--timeout=3"
#define OVS_SAID 32768u /* names of ports, a line each: two thousand */

/* -- the interfaces -- */

struct place {
	struct nl nl;
	struct nl_link host, bridge; /* index 0: not there, or not ours */
};

static void place_close(struct place *p)
{
	nl_close(&p->nl);
}

static bool linux_bridge(const struct place *p)
{
	return !strcmp(p->bridge.kind, "bridge");
}

/* What the interface of an Open vSwitch bridge is: its kernel's own kind, or a tap where its switch
 * is a process. */
static bool may_be_ovs(const struct place *p)
{
	return !strcmp(p->bridge.kind, "openvswitch") || !strcmp(p->bridge.kind, "tun");
}

/* Opens netlink and looks for both. */
static int place_open(struct place *p, const struct hostif_spec *spec, struct err *err)
{
	*p = (struct place){ 0 };
	const bool made = spec->host[0]; /* before it is, its name is not known */
	if ((made && !verbs_name_ours(spec->host)) || !name_valid(spec->network) ||
		tapplace_ifname(spec->bridge))
		return err_set(err, -EINVAL, "%s and %s are no interface of ours and a bridge",
			spec->host, spec->bridge);
	int rc = nl_open(&p->nl);
	if (!rc)
		rc = member_named(&p->nl, spec->bridge, &p->bridge);
	if (rc == -ENODEV || rc == -EEXIST)
		rc = 0;
	if (!rc && made)
		rc = member_named(&p->nl, spec->host, &p->host);
	if (!rc && strcmp(p->host.alias, spec->tag) != 0)
		p->host = (struct nl_link){ 0 };
	if (rc < 0 && rc != -ENODEV && rc != -EEXIST)
		return member_refused(err, spec, rc, &p->nl, "look for bridge", spec->bridge);
	return 0;
}

/* -- Open vSwitch -- */

/* 0, or -errno and what it said as the sentence. */
static int ovs_run(const char *const words[], char *said, size_t size, struct err *err)
{
	const char *argv[16] = { NULL, OVS_PATIENCE };
	char path[PATH_MAX];
	unsigned n = 2;
	said[0] = '\0';
	if (tool_find(OVS, path) < 0)
		return err_set(err, -EOPNOTSUPP, "there is no " OVS " here; %s", tool_where(OVS));
	argv[0] = path;
	while (*words && n + 1 < sizeof(argv) / sizeof(argv[0]))
		argv[n++] = *words++;
	return tool_run(argv, NULL, said, size, err);
}

static int ovs_ports(const char *bridge, char said[OVS_SAID], struct err *err)
{
	return ovs_run((const char *const[]){ "list-ports", bridge, NULL }, said, OVS_SAID, err);
}

/* The next line of @text, which is cut there, and moves behind it; NULL: there is none. */
static const char *next_line(char **text)
{
	char *line = *text;
	if (!*line)
		return NULL;
	*text = line + strcspn(line, "\n");
	if (**text)
		*(*text)++ = '\0';
	return line;
}

/* What marks our ports: "external_ids:fethd=" and a number for the run directory. */
#define OVS_MARK (NAT_NAME + 24u)
static void ovs_mark(char out[OVS_MARK])
{
	char prefix[NAT_NAME];
	nat_prefix(prefix, verbs_run_dir());
	snprintf(out, OVS_MARK, "external_ids:fethd=%s", prefix);
}

/* That there may be ports of ours, before there is one. */
static int ovs_remember(bool any, struct err *err)
{
	char path[2 * PATH_TEXT];
	const int rc = verbs_path(path, NULL, STATE_FILE, err);
	return rc < 0 ? rc : verb_write(path, any ? OVS "\n" : NULL, err);
}

static bool ovs_any(void)
{
	char path[2 * PATH_TEXT];
	return !verbs_path(path, NULL, STATE_FILE, NULL) && !access(path, F_OK);
}

static int ovs_leave(const char *host, bool wait, struct err *err)
{
	char said[1024];
	const char *const words[] = { "--no-wait", "--if-exists", "del-port", host, NULL };
	return ovs_run(words + wait, said, sizeof(said), err);
}

static int ovs_join(const struct hostif_spec *spec, bool was_in, struct err *err)
{
	char said[1024], mark[OVS_MARK];
	ovs_mark(mark);
	int rc = ovs_remember(true, err);
	if (!rc)
		rc = ovs_run((const char *const[]){ "--may-exist", "add-port", spec->bridge,
				     spec->host, "--", "set", "Interface", spec->host, mark, NULL },
			said, sizeof(said), err);
	/* it ends well also where the switch could not take the interface */
	const char *error = rc ? NULL : strstr(said, "Error detected");
	if (error)
		rc = err_set(err, -EIO, "%.*s", (int)strcspn(error, "\n"), error);
	if (rc < 0 && !was_in) /* the line is there all the same */
		(void)ovs_leave(spec->host, false, NULL);
	return rc;
}

/* -- what limits frames -- */

static void narrow(struct bridge_state *to, const struct nl_link *link)
{
	if (to->mtu && link->mtu >= to->mtu)
		return;
	to->mtu = link->mtu;
	memcpy(to->narrow, link->name, sizeof(to->narrow));
}

struct look {
	const struct place *place;
	struct bridge_state *to;
};

static void look_at_link(void *data, const struct nl_link *link)
{
	const struct look *look = data;
	if (link->master != look->place->bridge.index)
		return;
	if (link->index == look->place->host.index)
		look->to->in = look->place->bridge.up;
	else
		narrow(look->to, link);
}

/* A port without an interface here, as a tunnel of Open vSwitch's own, says nothing of its MTU. */
static int look_at_ovs(
	struct place *p, const struct hostif_spec *spec, struct bridge_state *to, struct err *err)
{
	char said[OVS_SAID];
	const int rc = ovs_ports(spec->bridge, said, err);
	if (rc < 0)
		return rc;
	to->tool = true;
	char *rest = said;
	for (const char *name; (name = next_line(&rest));) {
		struct nl_link link;
		if (!strcmp(name, spec->host))
			to->in = p->host.index && p->bridge.up;
		else if (!member_named(&p->nl, name, &link))
			narrow(to, &link);
	}
	return 0;
}

/* -- the verbs -- */

static int no_bridge(const struct hostif_spec *spec, const struct place *p, struct err *err)
{
	if (!p->bridge.index)
		return err_set(err, -ENODEV,
			"bridge: %s: there is no bridge %s here; ip link add %s type bridge makes "
			"one, ovs-vsctl add-br %s one of Open vSwitch",
			spec->network, spec->bridge, spec->bridge, spec->bridge);
	return err_set(err, -EINVAL,
		"bridge: %s: the interface %s is no bridge; name one of the kernel's or of Open "
		"vSwitch, and put %s into that",
		spec->network, spec->bridge, spec->bridge);
}

static int look(
	struct place *p, const struct hostif_spec *spec, struct bridge_state *out, struct err *err)
{
	struct bridge_state state = { .index = p->bridge.index };
	struct look each = { .place = p, .to = &state };
	struct err why = { 0 };
	int rc;
	if (!p->bridge.index || (!linux_bridge(p) && !may_be_ovs(p)))
		return no_bridge(spec, p, err);
	if (linux_bridge(p)) {
		rc = nl_link_ports(&p->nl, p->bridge.index, look_at_link, &each);
		if (rc < 0)
			return member_refused(
				err, spec, rc, &p->nl, "look at bridge", spec->bridge);
	} else {
		rc = look_at_ovs(p, spec, &state, &why);
		/* where it answered once it does not run now, but will */
		const bool none = rc == -EOPNOTSUPP || strstr(why.text, "no bridge named") ||
				  (!ovs_any() && strstr(why.text, "database connection failed"));
		if (none && strcmp(p->bridge.kind, "tun") == 0)
			return no_bridge(spec, p, err); /* somebody's tap */
		if (rc < 0)
			return err_set(err, rc, "bridge: %s: cannot look at %s of Open vSwitch: %s",
				spec->network, spec->bridge, why.text);
	}
	*out = state;
	return 0;
}

int verb_bridge_look(const struct hostif_spec *spec, struct bridge_state *out, struct err *err)
{
	struct place p;
	int rc = place_open(&p, spec, err);
	if (!rc)
		rc = look(&p, spec, out, err);
	place_close(&p);
	return rc;
}

int verb_bridge_join(const struct hostif_spec *spec, struct bridge_state *out, struct err *err)
{
	struct place p;
	struct bridge_state state = { 0 };
	struct nl_link after;
	struct err why = { 0 };
	int rc = place_open(&p, spec, err);
	if (!rc)
		rc = look(&p, spec, &state, err);
	if (rc < 0)
		goto done;
	if (!p.host.index) {
		rc = err_set(err, -ENODEV, "bridge: %s: cannot put %s into %s: it is not here",
			spec->network, spec->host, spec->bridge);
		goto done;
	}
	if (state.tool) {
		rc = ovs_join(spec, state.in, &why);
		if (rc < 0)
			err_set(err, rc, "bridge: %s: cannot put %s into %s: %s", spec->network,
				spec->host, spec->bridge, why.text);
	} else if (p.host.master != p.bridge.index) {
		rc = nl_link_set_master(&p.nl, p.host.index, p.bridge.index);
		if (rc < 0)
			member_refused(err, spec, rc, &p.nl, "put the host's interface into bridge",
				spec->bridge);
	}
	state.in = !rc && p.bridge.up;
	if (!rc && !member_named(&p.nl, spec->bridge, &after) && after.mtu < p.bridge.mtu) {
		state.was = p.bridge.mtu;
		state.now = after.mtu;
	}
	if (!rc)
		*out = state;
done:
	place_close(&p);
	return rc;
}

int verb_bridge_leave(const struct hostif_spec *spec, int joined, bool wait, struct err *err)
{
	struct place p;
	struct err why = { 0 };
	int rc = place_open(&p, spec, err);
	if (rc < 0)
		goto done;
	const int master = p.host.master;
	if (master && (master == joined || (master == p.bridge.index && linux_bridge(&p)))) {
		rc = nl_link_set_master(&p.nl, p.host.index, 0);
		if (rc < 0)
			member_refused(err, spec, rc, &p.nl,
				"take the host's interface out of bridge", spec->bridge);
	} else if (!linux_bridge(&p) && ovs_any()) { /* also where its bridge is gone */
		rc = ovs_leave(spec->host, wait, &why);
		if (rc < 0)
			err_set(err, rc, "bridge: %s: cannot take %s out of Open vSwitch: %s",
				spec->network, spec->host, why.text);
	}
done:
	place_close(&p);
	return rc;
}

static bool among(const char *name, const struct hostif_spec *const specs[], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(name, specs[i]->host))
			return true;
	return false;
}

int verb_bridge_sweep(const struct hostif_spec *const keep[], unsigned n, struct err *err)
{
	char mark[OVS_MARK], said[OVS_SAID], *rest = said;
	if (!ovs_any())
		return 0;
	ovs_mark(mark);
	int rc = ovs_run((const char *const[]){ "--bare", "--columns=name", "find", "Interface",
				 mark, NULL },
		said, sizeof(said), err);
	for (const char *name; !rc && (name = next_line(&rest));) {
		if (verbs_name_ours(name) && !among(name, keep, n))
			rc = ovs_leave(name, false, err);
	}
	return !rc && !n ? ovs_remember(false, err) : rc;
}
