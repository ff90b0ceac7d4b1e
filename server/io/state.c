/* state.c - RUN/state: what this daemon owns, so that a crash can be cleaned up after. See
 * daemon_priv.h.
 *
 * A line per network: "lab 1234 02:..:..". Written before a pair is made, so that none is ever
 * without its line: macOS has no other mark to tell ours by (hostif_ops.sweep). Units are believed
 * as a wish only; what is removed looks as the line says or has our tag (pairs), or is a socket in
 * our own directories. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/io/daemon_priv.h"
#include "server/io/netfiles.h"
#include "server/priv/verbs.h"

#define LINES_MAX (4 * NETWORKS_MAX) /* networks, and pairs that were left */

static void state_path(const struct daemon *d, char out[PATH_TEXT + 8])
{
	snprintf(out, PATH_TEXT + 8, "%s/state", d->options.run_dir);
}

static void clean_network(const struct daemon *d, const char *name)
{
	char path[2 * PATH_TEXT];
	services_clean(name);
	netfiles_path(path, d->options.run_dir, name);
	netfiles_clear(path);
}

/* The first line of a name counts; further ones are of pairs that were left. */
static void remember(struct daemon *d, const char *name, uint32_t unit)
{
	uint32_t known;
	if (state_unit(d, name, &known))
		return;
	struct remembered *r = calloc(1, sizeof(*r));
	if (!r)
		return;
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->unit = unit;
	r->next = d->remembered;
	d->remembered = r;
}

/* The pair that a line tells of behind its name, " 1234 02:.."; false where it had none. */
static bool known_pair(
	const struct daemon *d, struct hostif_spec *out, const char *name, const char *rest)
{
	char mac[MAC_TEXT], *end;
	const unsigned long unit = strtoul(rest, &end, 10);
	*out = (struct hostif_spec){ 0 };
	if (*end != ' ' || unit < NETID_UNIT_MIN ||
		unit > NETID_BASE_MAX + NETID_UNIT_MIN + NETID_UNITS)
		return false;
	snprintf(mac, sizeof(mac), "%.17s", end + 1);
	if (!mac_parse(&out->mac, mac))
		return false;
	snprintf(out->network, sizeof(out->network), "%s", name);
	netid_names((uint32_t)unit, out->host, out->service);
	snprintf(out->tag, sizeof(out->tag), "fethd:%s:%s", d->options.run_dir, name);
	out->service_mac = netid_service_mac(&d->key, out->tag);
	return true;
}

static void leave(
	struct daemon *d, const char *name, uint32_t unit, struct feth_mac mac, bool bridge)
{
	struct leftover *l = calloc(1, sizeof(*l));
	if (!l)
		return;
	snprintf(l->name, sizeof(l->name), "%s", name);
	l->unit = unit;
	l->mac = mac;
	l->bridge = bridge;
	l->next = d->leftovers;
	d->leftovers = l;
}

void state_leave(struct daemon *d, const struct network_facts *facts, bool bridge)
{
	leave(d, facts->spec.network, facts->unit, facts->spec.mac, bridge);
}

bool state_left(const struct daemon *d, uint32_t unit)
{
	for (const struct leftover *l = d->leftovers; l; l = l->next)
		if (l->bridge && l->unit == unit)
			return true;
	return false;
}

void state_left_bridge(struct daemon *d)
{
	for (struct leftover **link = &d->leftovers; *link;) {
		struct leftover *l = *link;
		if (!l->bridge) {
			link = &l->next;
			continue;
		}
		*link = l->next;
		free(l);
	}
}

static void leave_known(struct daemon *d, const struct hostif_spec *known, unsigned n, bool bridge)
{
	for (unsigned i = 0; i < n; i++) {
		const char *unit = known[i].host + strlen("feth"); /* netid_names() */
		leave(d, known[i].network, (uint32_t)strtoul(unit, NULL, 10), known[i].mac, bridge);
	}
}

/* Where some of the pairs could not be removed it is not told which: all lines stay. */
static void sweep(struct daemon *d, const struct hostif_spec *known, unsigned n)
{
	char prefix[PATH_TEXT + 8];
	struct err err;
	snprintf(prefix, sizeof(prefix), "fethd:%s:", d->options.run_dir);
	const int swept = verb_pair_sweep(prefix, known, n, &err);
	if (swept < 0)
		log_warn("state", "%s", err.text);
	else if (swept)
		log_info("state", "removed pairs=%d of a daemon that did not end well", swept);
	if (swept < 0)
		leave_known(d, known, n, false);
}

void state_load(struct daemon *d)
{
	char path[PATH_TEXT + 8], line[128];
	struct hostif_spec *known = calloc(LINES_MAX, sizeof(*known));
	unsigned n_known = 0, n = 0;
	state_path(d, path);
	FILE *f = fopen(path, "re");
	while (f && n++ < LINES_MAX && fgets(line, sizeof(line), f)) {
		char name[FETH_NAME_MAX + 1];
		const size_t len = strcspn(line, " ");
		if (len >= sizeof(name) || line[len] != ' ')
			continue;
		memcpy(name, line, len);
		name[len] = '\0';
		const unsigned long unit = strtoul(line + len, NULL, 10);
		if (!name_valid(name) || unit > UINT32_MAX)
			continue;
		clean_network(d, name);
		remember(d, name, (uint32_t)unit);
		if (known && known_pair(d, &known[n_known], name, line + len))
			n_known++;
	}
	if (f)
		fclose(f);
	services_sweep();
	if (!bridges_sweep(d)) /* any of them */
		leave_known(d, known, n_known, true);
	sweep(d, known, n_known);
	free(known);
}

static void write_line(FILE *f, const char *name, uint32_t unit, struct feth_mac mac)
{
	char text[MAC_TEXT];
	mac_format(text, mac);
	fprintf(f, "%s %u %s\n", name, (unsigned)unit, text);
}

static void write_facts(FILE *f, const struct network_facts *facts)
{
	write_line(f, facts->spec.network, facts->unit, facts->spec.mac);
}

static bool is_there(const struct daemon *d, const char *name)
{
	return control_find(d, name) || (d->making && !strcmp(d->making->facts.spec.network, name));
}

static void write_all(const struct daemon *d, FILE *f)
{
	for (const struct netctl *e = d->networks; e; e = e->next)
		write_facts(f, &e->facts);
	if (d->making)
		write_facts(f, &d->making->facts);
	for (const struct remembered *r = d->remembered; r; r = r->next)
		if (!is_there(d, r->name))
			fprintf(f, "%s %u -\n", r->name, (unsigned)r->unit);
	for (const struct leftover *l = d->leftovers; l; l = l->next)
		write_line(f, l->name, l->unit, l->mac);
}

int state_save(struct daemon *d, struct err *err)
{
	char path[PATH_TEXT + 8], *text = NULL;
	size_t size = 0;
	struct err why = { 0 };
	FILE *f = open_memstream(&text, &size);
	state_path(d, path);
	if (f)
		write_all(d, f);
	if (!f || fclose(f))
		err_set(&why, -ENOMEM, "cannot write %s: out of memory", path);
	else
		(void)verb_write(path, size ? text : NULL, &why);
	free(text);
	if (why.code)
		log_warn("state", "%s", why.text);
	return why.code ? err_set(err, -EIO, "%s", why.text) : 0;
}

void state_clear(struct daemon *d)
{
	char path[PATH_TEXT + 8];
	while (d->remembered)
		state_forget(d, d->remembered->name);
	state_path(d, path);
	if (d->leftovers)
		(void)state_save(d, NULL);
	else
		(void)verb_write(path, NULL, NULL);
}

void state_free(struct daemon *d)
{
	while (d->remembered)
		state_forget(d, d->remembered->name);
	while (d->leftovers) {
		struct leftover *l = d->leftovers;
		d->leftovers = l->next;
		free(l);
	}
}

bool state_unit(const struct daemon *d, const char *name, uint32_t *out)
{
	for (const struct remembered *r = d->remembered; r; r = r->next) {
		if (strcmp(r->name, name))
			continue;
		*out = r->unit;
		return true;
	}
	return false;
}

void state_forget(struct daemon *d, const char *name)
{
	for (struct remembered **link = &d->remembered; *link; link = &(*link)->next) {
		struct remembered *r = *link;
		if (strcmp(r->name, name))
			continue;
		*link = r->next;
		free(r);
		return;
	}
}
