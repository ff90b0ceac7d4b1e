/* fuzz_conf.c - files of the configuration: whatever is in them there is a network to apply, or at
 * least one fault, whose line is one of the file. */
#include <string.h>

#include "server/conf/daemonfile.h"
#include "server/conf/netfile.h"
#include "server/core/apply.h"
#include "tests/support/bytes.h"
#include "tests/support/fuzz.h"

static unsigned lines_in(const uint8_t *data, size_t len)
{
	unsigned n = 1;
	for (size_t i = 0; i < len; i++)
		n += data[i] == '\n';
	return n;
}

static void check_faults(struct faults *faults, unsigned lines)
{
	char text[FAULT_FILE + ERR_TEXT + 16];
	struct err err = { 0 };
	must(!faults->n == !faults_err(faults, &err));
	for (unsigned i = 0; i < faults->n && i < FAULTS_MAX; i++) {
		must(faults->list[i].line <= lines && faults->list[i].text[0]);
		fault_text(faults, i, text);
	}
	faults_fini(faults);
}

static void check_command(const struct netfile *nf)
{
	struct command *cmd = netfile_command(nf);
	must(cmd && !cmd->err.code && cmd->apply && !strcmp(cmd->network, "lab"));
	must(cmd->apply->n_ports <= APPLY_PORTS_MAX);
	for (uint32_t i = 0; i < cmd->apply->n_ports; i++)
		must(name_valid(cmd->apply->ports[i].name));
	(void)netfile_line(nf, "mtu: 1");
	command_free(cmd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct faults faults = { 0 };
	struct daemon_settings settings = { 0 };
	char *text = (char *)exact_copy(data, len);
	const unsigned lines = lines_in(data, len);

	struct netfile *nf = netfile_read("lab", "lab.conf", text, len, &faults);
	must(!nf == (faults.n > 0));
	check_faults(&faults, lines);
	if (nf) {
		must(netfile_same(nf, nf));
		check_command(nf);
	}
	netfile_free(nf);

	daemonfile_read(&settings, "fethd.conf", text, len, &faults);
	check_faults(&faults, lines);
	free(text);
	return 0;
}
