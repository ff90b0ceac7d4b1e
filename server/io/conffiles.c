/* conffiles.c - see conffiles.h. */
#include "server/io/conffiles.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/priv/verbs.h"

#define SUFFIX ".conf"

static void read_daemon(struct confset *set, struct faults *faults)
{
	static const char name[] = "fethd.conf";
	struct err err = { 0 };
	char *text;
	size_t len;
	const int rc = verb_conf_read(name, DAEMONFILE_BYTES, &text, &len, &err);
	if (rc == -ENOENT)
		return;
	if (rc < 0) {
		faults_add(faults, name, 0, "%s", err.text);
		return;
	}
	daemonfile_read(&set->daemon, name, text, len, faults);
	free(text);
}

/* "lab" of "lab.conf"; a name that no network can have is a fault. */
static bool network_of(
	const char *file, char out[FETH_NAME_MAX + 1], const char *path, struct faults *faults)
{
	const size_t len = strlen(file) - strlen(SUFFIX);
	if (len <= FETH_NAME_MAX) {
		memcpy(out, file, len);
		out[len] = '\0';
		if (name_valid(out))
			return true;
	}
	faults_add(faults, path, 0,
		"a file is called as its network: a letter or digit, then up to 31 letters, "
		"digits, "
		"'-' or '_', then .conf");
	return false;
}

static void read_network(struct confset *set, const char *file, struct faults *faults)
{
	char path[VERB_CONF_NAME + 16], name[FETH_NAME_MAX + 1], *text;
	struct err err = { 0 };
	size_t len;
	snprintf(path, sizeof(path), "networks.d/%.63s", file);
	if (!network_of(file, name, path, faults))
		return;
	for (unsigned i = 0; i < set->n; i++)
		if (name_same(netfile_name(set->nets[i].nf), name))
			faults_add(faults, path, 0,
				"there is %s as well; names of networks differ by more than case",
				netfile_path(set->nets[i].nf));
	const int rc = verb_conf_read(path, NETFILE_BYTES, &text, &len, &err);
	if (rc < 0) {
		faults_add(faults, path, 0, "%s", rc == -ENOENT ? "it has just gone" : err.text);
		return;
	}
	struct netfile *nf = netfile_read(name, path, text, len, faults);
	free(text);
	if (nf)
		set->nets[set->n++] = (struct declared){ .nf = nf, .pending = true };
}

struct confset *conffiles_load(struct faults *faults)
{
	char names[CONF_NETWORKS_MAX][VERB_CONF_NAME];
	struct err err = { 0 };
	struct confset *set = calloc(1, sizeof(*set));
	if (!set)
		return NULL;
	read_daemon(set, faults);
	const int n = verb_conf_names(names, CONF_NETWORKS_MAX, &err);
	if (n < 0)
		faults_add(faults, "networks.d", 0, "%s", err.text);
	if (n > (int)CONF_NETWORKS_MAX)
		faults_add(faults, "networks.d", 0, "there are %d files; %u networks are possible",
			n, CONF_NETWORKS_MAX);
	for (int i = 0; i < n && i < (int)CONF_NETWORKS_MAX; i++)
		read_network(set, names[i], faults);
	return set;
}

void conffiles_free(struct confset *set)
{
	if (!set)
		return;
	for (unsigned i = 0; i < set->n; i++)
		netfile_free(set->nets[i].nf);
	free(set);
}

struct declared *conffiles_find(struct confset *set, const char *network)
{
	for (unsigned i = 0; i < set->n; i++)
		if (!strcmp(netfile_name(set->nets[i].nf), network))
			return &set->nets[i];
	return NULL;
}

int conffiles_put(struct confset *set, struct netfile *nf, struct err *err)
{
	struct declared *at = conffiles_find(set, netfile_name(nf));
	if (at) {
		netfile_free(at->nf);
		*at = (struct declared){ .nf = nf };
		return 0;
	}
	if (set->n == CONF_NETWORKS_MAX) {
		netfile_free(nf);
		return err_set(err, -ENOSPC, "there are %u files of networks, which is the limit",
			CONF_NETWORKS_MAX);
	}
	unsigned i = set->n++;
	for (; i && strcmp(netfile_name(set->nets[i - 1].nf), netfile_name(nf)) > 0; i--)
		set->nets[i] = set->nets[i - 1];
	set->nets[i] = (struct declared){ .nf = nf };
	return 0;
}

void conffiles_remove(struct confset *set, const char *network)
{
	struct declared *at = conffiles_find(set, network);
	if (!at)
		return;
	netfile_free(at->nf);
	set->n--;
	for (unsigned i = (unsigned)(at - set->nets); i < set->n; i++)
		set->nets[i] = set->nets[i + 1];
}
