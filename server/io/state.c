/* state.c - RUN/state: what this daemon owns, so that a crash can be cleaned up after. See
 * daemon_priv.h.
 *
 * A line per network: "lab 1234 02:..:..". Only units are believed, and only as a wish; what is
 * removed is found by its tag (pairs) and by being a socket in our own directories. */
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

void state_load(struct daemon *d)
{
	char path[PATH_TEXT + 8], line[128];
	struct err err;
	snprintf(path, sizeof(path), "fethd:%s:", d->options.run_dir);
	const int swept = verb_pair_sweep(path, &err);
	if (swept < 0)
		log_warn("state", "%s", err.text);
	else if (swept)
		log_info("state", "removed pairs=%d of a daemon that did not end well", swept);

	state_path(d, path);
	FILE *f = fopen(path, "re");
	if (!f)
		return;
	unsigned n = 0;
	while (n++ < NETWORKS_MAX && fgets(line, sizeof(line), f)) {
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
	}
	fclose(f);
}

void state_save(struct daemon *d)
{
	char path[PATH_TEXT + 8], *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	if (!f)
		return;
	for (const struct netctl *e = d->networks; e; e = e->next) {
		char mac[MAC_TEXT];
		mac_format(mac, e->facts.spec.mac);
		fprintf(f, "%s %u %s\n", e->facts.spec.network, (unsigned)e->facts.unit, mac);
	}
	for (const struct remembered *r = d->remembered; r; r = r->next)
		if (!control_find(d, r->name))
			fprintf(f, "%s %u -\n", r->name, (unsigned)r->unit);
	struct err err;
	state_path(d, path);
	if (!fclose(f) && verb_write(path, text, &err) < 0)
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
