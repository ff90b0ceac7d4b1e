/* doctor_linux.c - what a Linux machine has to have for fethd, and what may stand in its way. See
 * doctor.h, docs/host.md. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/ctl/doctor.h"

#define HOST_MD "docs/host.md has the lines"
/* What a stream socket asks for (IOLOOP_SNDBUF); the kernel cuts it to this limit. */
#define SEND_BUFFER (416 * 1024)
#define RULES_TEXT (512u * 1024u)

static void check_kernel(struct doctor *d)
{
	char release[128], path[256], *modules = malloc(4u << 20);
	bool there = d->veth || doctor_exists(d, "/sys/module/veth");
	bool listed = false;
	static const char *const lists[] = { "modules.builtin", "modules.dep" };
	if (!doctor_read(d, "/proc/sys/kernel/osrelease", release, sizeof(release)))
		release[0] = '\0';
	release[strcspn(release, "\n")] = '\0';
	for (size_t i = 0; modules && !there && i < 2; i++) {
		snprintf(path, sizeof(path), "/lib/modules/%s/%s", release, lists[i]);
		if (doctor_read(d, path, modules, 4u << 20)) {
			listed = true;
			there = strstr(modules, "/veth.ko");
		}
	}
	free(modules);
	if (there)
		doctor_note(d, DOCTOR_OK, "kernel", NULL, "Linux %s has veth interfaces", release);
	else if (listed)
		doctor_note(d, DOCTOR_FAIL, "kernel",
			"install your distribution's further modules for it "
			"(linux-modules-extra-...), or use --backend none",
			"Linux %s has no veth interfaces", release);
	else
		doctor_note(d, DOCTOR_WARN, "kernel",
			"try: fethctl create probe --backend veth; fethctl delete probe",
			"whether Linux %s has veth interfaces cannot be seen from here", release);
	if (!doctor_exists(d, "/proc/net/packet"))
		doctor_note(d, DOCTOR_FAIL, "packet-sockets",
			"load the module af_packet, or use --backend none",
			"this kernel has no packet sockets");
	else
		doctor_note(d, DOCTOR_OK, "packet-sockets", NULL, "are there");
}

static void check_buffers(struct doctor *d)
{
	const long most = doctor_number(d, "/proc/sys/net/core/wmem_max");
	if (most < 0)
		doctor_note(d, DOCTOR_WARN, "buffers", "look at sysctl net.core.wmem_max",
			"the limit of send buffers cannot be read");
	else if (most < SEND_BUFFER)
		doctor_note(d, DOCTOR_WARN, "buffers", "sysctl -w net.core.wmem_max=425984",
			"send buffers are limited to %ld bytes; fethd wants %d for each client, so "
			"bursts are dropped earlier",
			most, SEND_BUFFER);
	else
		doctor_note(d, DOCTOR_OK, "buffers", NULL, "send buffers may have %ld bytes", most);
}

static void check_namespaces(struct doctor *d)
{
	const char *why = NULL, *advice = NULL;
	if (!doctor_exists(d, "/proc/self/ns/user")) {
		why = "this kernel has no user namespaces";
		advice = "use fethd as root";
	} else if (doctor_number(d, "/proc/sys/user/max_user_namespaces") == 0) {
		why = "user namespaces are limited to 0";
		advice = "sysctl -w user.max_user_namespaces=1000, or use fethd as root";
	} else if (doctor_number(d, "/proc/sys/kernel/unprivileged_userns_clone") == 0) {
		why = "user namespaces are for root alone";
		advice = "sysctl -w kernel.unprivileged_userns_clone=1, or use fethd as root";
	} else if (doctor_number(d, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns") > 0) {
		why = "AppArmor takes the privilege out of users' namespaces";
		advice = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or use fethd "
			 "as root";
	}
	if (why)
		doctor_note(d, DOCTOR_WARN, "namespaces", advice,
			"%s: fethd --rootless cannot work", why);
	else
		doctor_note(d, DOCTOR_OK, "namespaces", NULL, "fethd --rootless can have its own");
}

/* -- programs that manage interfaces -- */

static void check_networkmanager(struct doctor *d)
{
	static const char *const dirs[] = { "/etc/NetworkManager", "/etc/NetworkManager/conf.d",
		"/run/NetworkManager/conf.d", "/usr/lib/NetworkManager/conf.d" };
	if (!doctor_exists(d, "/run/NetworkManager"))
		return doctor_note(d, DOCTOR_OK, "NetworkManager", NULL, "does not run");
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (doctor_grep(d, dirs[i], ".conf", "interface-name:feth"))
			return doctor_note(d, DOCTOR_OK, "NetworkManager", NULL,
				"is told to leave feth* alone");
	doctor_note(d, DOCTOR_WARN, "NetworkManager",
		"put \"[keyfile]\" and \"unmanaged-devices=interface-name:feth*\" into "
		"/etc/NetworkManager/conf.d/fethd.conf, then nmcli general reload",
		"runs, and may ask for addresses on fethd's interfaces");
}

static void check_networkd(struct doctor *d)
{
	static const char *const dirs[] = { "/etc/systemd/network", "/run/systemd/network",
		"/usr/lib/systemd/network" };
	bool all = false, told = false;
	if (!doctor_exists(d, "/run/systemd/netif"))
		return doctor_note(d, DOCTOR_OK, "systemd-networkd", NULL, "does not run");
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		all |= doctor_grep(d, dirs[i], ".network", "\nName=*");
		told |= doctor_grep(d, dirs[i], ".network", "Name=feth");
	}
	if (all && !told)
		doctor_note(d, DOCTOR_WARN, "systemd-networkd",
			"write /etc/systemd/network/10-fethd.network (" HOST_MD
			"), then networkctl reload",
			"runs, and a file of its matches every interface, fethd's too");
	else
		doctor_note(
			d, DOCTOR_OK, "systemd-networkd", NULL, "leaves fethd's interfaces alone");
}

/* -- DHCP -- */

/* "  sl  local_address ...": whether a line has this end of its address. Others than ours only
 * where it is of all addresses. */
static bool somebody_has_dns(const struct doctor *d)
{
	char text[65536];
	return (doctor_read(d, "/proc/net/udp", text, sizeof(text)) &&
		       strstr(text, ": 00000000:0035 ")) ||
	       (doctor_read(d, "/proc/net/udp6", text, sizeof(text)) &&
		       strstr(text, ": 00000000000000000000000000000000:0035 "));
}

static void check_dnsmasq(struct doctor *d)
{
	char path[512], profiles[65536];
	if (!doctor_tool(d, "dnsmasq", path)) {
		doctor_note(d, d->dhcp ? DOCTOR_FAIL : DOCTOR_WARN, "dnsmasq",
			"install the package dnsmasq-base (Debian, Ubuntu) or dnsmasq",
			"is not there, which --dhcp needs");
		return;
	}
	doctor_note(d, DOCTOR_OK, "dnsmasq", NULL, "is %s", path + strlen(d->root));
	if (somebody_has_dns(d))
		doctor_note(d, DOCTOR_WARN, "dns-port",
			"have that server listen on its own addresses only (dnsmasq: "
			"bind-interfaces; named: listen-on), so that --dhcp can serve names",
			"some program serves DNS on every address of this machine");
	else
		doctor_note(d, DOCTOR_OK, "dns-port", NULL, "port 53 is free for --dhcp");
	if (!doctor_read(d, "/sys/kernel/security/apparmor/profiles", profiles, sizeof(profiles)))
		return;
	const char *confined = strstr(profiles, "dnsmasq (enforce)");
	if (confined && !doctor_grep(d, "/etc/apparmor.d/local", "dnsmasq", "fethd"))
		doctor_note(d, DOCTOR_WARN, "apparmor",
			"put \"/run/fethd/*/dnsmasq.* rwk,\" into "
			"/etc/apparmor.d/local/usr.sbin.dnsmasq, then apparmor_parser -r "
			"/etc/apparmor.d/usr.sbin.dnsmasq",
			"AppArmor confines dnsmasq, and may keep it from its files in the run "
			"directory");
	else
		doctor_note(d, DOCTOR_OK, "apparmor", NULL, "leaves dnsmasq to its files");
}

/* -- NAT -- */

static void check_forwarding(struct doctor *d)
{
	char path[512];
	const long on = doctor_number(d, "/proc/sys/net/ipv4/ip_forward");
	if (!doctor_tool(d, "nft", path))
		doctor_note(d, d->nat ? DOCTOR_FAIL : DOCTOR_WARN, "nft",
			"install the package nftables", "is not there, which --nat needs");
	else
		doctor_note(d, DOCTOR_OK, "nft", NULL, "is %s", path + strlen(d->root));
	if (d->nat && !d->rootless && on != 1)
		doctor_note(d, DOCTOR_FAIL, "forwarding",
			"fethctl set NET --nat switches it on again; look who does that",
			"%u networks have nat, but somebody has switched forwarding off", d->nat);
	else
		doctor_note(d, DOCTOR_OK, "forwarding", NULL, "%s",
			on == 1 ? "is on" : "is off, and --nat switches it on while it is needed");
}

/* Takes fethd's own tables out of a ruleset, and returns how many there were. In the output of nft
 * a table ends with a brace that nothing stands before. */
static unsigned take_ours(char *rules)
{
	unsigned n = 0;
	char *table;
	while ((table = strstr(rules, "table ip fethd-"))) {
		char *end = strstr(table, "\n}");
		n++;
		if (!end) {
			*table = '\0';
			return n;
		}
		memmove(table, end + 2, strlen(end + 2) + 1);
	}
	return n;
}

/* Whether a chain that sees forwarded packets drops what it does not know: it has a line such as
 * "type filter hook forward priority filter; policy drop;". */
static bool drops_forwarded(const char *chains)
{
	for (const char *p = chains; (p = strstr(p, "hook forward")); p++) {
		const size_t line = strcspn(p, "\n");
		const char *policy = strstr(p, "policy drop");
		if (policy && (size_t)(policy - p) < line)
			return true;
	}
	return false;
}

static void check_chains(struct doctor *d, const char *rules, const char *iptables)
{
	const bool docker = strstr(rules, "DOCKER-USER") || strstr(iptables, "DOCKER-USER");
	const bool allowed = strstr(rules, "\"feth") || strstr(iptables, "-i feth");
	if (!drops_forwarded(rules) && !strstr(iptables, "-P FORWARD DROP"))
		return doctor_note(
			d, DOCTOR_OK, "firewall", NULL, "no policy drops what is forwarded");
	if (allowed)
		return doctor_note(d, DOCTOR_OK, "firewall", NULL,
			"drops what is forwarded, but has rules for feth interfaces");
	doctor_note(d, DOCTOR_WARN, "firewall",
		docker ? "iptables -I DOCKER-USER -i fethN -j ACCEPT; iptables -I DOCKER-USER -o "
			 "fethN -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
		       : "have it accept what comes from fethN, and what answers it; " HOST_MD,
		"%s drops forwarded packets, so guests with nat do not get out",
		docker ? "Docker's policy" : "a policy of this machine's firewall");
}

static void check_firewall(struct doctor *d)
{
	static const char *const ruleset[3] = { "list", "ruleset" };
	static const char *const forward[3] = { "-S", "FORWARD" };
	char *rules = calloc(1, RULES_TEXT), *iptables = calloc(1, RULES_TEXT), ufw[4096];
	if (!rules || !iptables)
		goto out;
	const bool nft = doctor_run(d, "nft", ruleset, rules, RULES_TEXT);
	const bool ipt = doctor_run(d, "iptables", forward, iptables, RULES_TEXT);
	const unsigned ours = take_ours(rules);
	if (nft || ipt)
		check_chains(d, rules, iptables);
	else
		doctor_note(d, DOCTOR_WARN, "firewall", "sudo fethctl doctor",
			"its rules cannot be read%s", geteuid() ? " without root" : "");
	if (nft && d->nat && !d->rootless) {
		if (ours < d->nat)
			doctor_note(d, DOCTOR_FAIL, "nat-rules",
				"fethctl set NET --nat puts them back; who flushes all rules "
				"(nftables.service does on reload) takes them away",
				"%u networks have nat, but rules are there for %u", d->nat, ours);
		else
			doctor_note(d, DOCTOR_OK, "nat-rules", NULL, "are there");
	}
	if (doctor_read(d, "/etc/ufw/ufw.conf", ufw, sizeof(ufw)) && strstr(ufw, "ENABLED=yes")) {
		if (doctor_grep(d, "/etc/ufw", "user.rules", "feth"))
			doctor_note(d, DOCTOR_OK, "ufw", NULL, "has rules for feth interfaces");
		else
			doctor_note(d, DOCTOR_WARN, "ufw",
				"ufw allow in on fethN to any port 67 proto udp; ufw allow in on "
				"fethN to any port 53; ufw route allow in on fethN",
				"is on, and drops what guests ask the host for: addresses, names, "
				"the way out");
	}
	if (strstr(rules, "table inet firewalld")) {
		if (doctor_grep(d, "/etc/firewalld/zones", ".xml", "\"feth"))
			doctor_note(
				d, DOCTOR_OK, "firewalld", NULL, "has feth interfaces in a zone");
		else
			doctor_note(d, DOCTOR_WARN, "firewalld",
				"firewall-cmd --permanent --zone=trusted --add-interface=fethN; "
				"firewall-cmd --reload",
				"runs, and puts fethd's interfaces into its default zone, which "
				"lets "
				"little in and forwards nothing");
	}
out:
	free(rules);
	free(iptables);
}

void doctor_system(struct doctor *d)
{
	check_kernel(d);
	check_buffers(d);
	check_namespaces(d);
	check_networkmanager(d);
	check_networkd(d);
	check_dnsmasq(d);
	check_forwarding(d);
	check_firewall(d);
}
