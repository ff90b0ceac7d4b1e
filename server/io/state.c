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
#include "server/priv/verbs.h"

static void state_path(const struct daemon *d, char out[PATH_TEXT + 8])
{
	snprintf(out, PATH_TEXT + 8, "%s/state", d->options.run_dir);
}

static void clean_network(const struct daemon *d, const char *name)
{
	char path[PATH_TEXT + FETH_NAME_MAX + 16];
	snprintf(path, sizeof(path), "%s/%s/ports", d->options.run_dir, name);
	verb_dir_clear(path);
	snprintf(path, sizeof(path), "%s/%s", d->options.run_dir, name);
	verb_dir_clear(path);
}

static void remember(struct daemon *d, const char *name, uint32_t unit)
{
	struct remembered *r = calloc(1, sizeof(*r));
	if (!r)
		return;
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->unit = unit;
	r->next = d->remembered;
	d->remembered = r;
}

/* The pair that a line tells of; false where it had none. */
static bool known_pair(
	const struct daemon *d, struct hostif_spec *out, const char *name, const char *line)
{
	char mac[MAC_TEXT];
	unsigned unit;
	*out = (struct hostif_spec){ 0 };
	if (sscanf(line, "%*s %u %17s", &unit, mac) != 2 || !mac_parse(&out->mac, mac) ||
		unit < NETID_UNIT_MIN || unit > NETID_BASE_MAX + NETID_UNIT_MIN + NETID_UNITS)
		return false;
	snprintf(out->network, sizeof(out->network), "%s", name);
	netid_names(unit, out->host, out->service);
	snprintf(out->tag, sizeof(out->tag), "fethd:%s:%s", d->options.run_dir, name);
	out->service_mac = netid_service_mac(&d->key, out->tag);
	return true;
}

static void sweep(const struct daemon *d, const struct hostif_spec *known, unsigned n)
{
	char prefix[PATH_TEXT + 8];
	struct err err;
	snprintf(prefix, sizeof(prefix), "fethd:%s:", d->options.run_dir);
	const int swept = verb_pair_sweep(prefix, known, n, &err);
	if (swept < 0)
		log_warn("state", "%s", err.text);
	else if (swept)
		log_info("state", "removed pairs=%d of a daemon that did not end well", swept);
}

void state_load(struct daemon *d)
{
	char path[PATH_TEXT + 8], line[128];
	struct hostif_spec *known = calloc(NETWORKS_MAX, sizeof(*known));
	unsigned n_known = 0, n = 0;
	state_path(d, path);
	FILE *f = fopen(path, "re");
	while (f && n++ < NETWORKS_MAX && fgets(line, sizeof(line), f)) {
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
		if (known && known_pair(d, &known[n_known], name, line))
			n_known++;
	}
	if (f)
		fclose(f);
	sweep(d, known, n_known);
	free(known);
}

static void write_line(FILE *f, const struct network_facts *facts)
{
	char mac[MAC_TEXT];
	mac_format(mac, facts->spec.mac);
	fprintf(f, "%s %u %s\n", facts->spec.network, (unsigned)facts->unit, mac);
}

void state_save(struct daemon *d)
{
	char path[PATH_TEXT + 8], *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	if (!f)
		return;
	for (const struct netctl *e = d->networks; e; e = e->next)
		write_line(f, &e->facts);
	if (d->making)
		write_line(f, &d->making->facts);
	for (const struct remembered *r = d->remembered; r; r = r->next)
		if (!control_find(d, r->name) &&
			(!d->making || strcmp(d->making->facts.spec.network, r->name) != 0))
			fprintf(f, "%s %u -\n", r->name, (unsigned)r->unit);
	struct err err;
	state_path(d, path);
	if (!fclose(f) && verb_write(path, size ? text : NULL, &err) < 0)
		log_warn("state", "%s", err.text);
	free(text);
}

void state_clear(struct daemon *d)
{
	char path[PATH_TEXT + 8];
	state_path(d, path);
	(void)verb_write(path, NULL, NULL);
	while (d->remembered)
		state_forget(d, d->remembered->name);
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
