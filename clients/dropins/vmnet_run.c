/* vmnet_run.c - vmnet-run: stands in for vmnet-helper's program of that name.
 *
 *	vmnet-run [OPTION...] -- COMMAND [ARG...]
 *
 * COMMAND finds a datagram socket with a frame a datagram at descriptor 4, as in `-netdev
 * dgram,local.type=fd,local.str=4` and vfkit's `--device virtio-net,fd=4`. fethctl does it: what
 * is here is the way from vmnet-run's options to those of `fethctl run`. The network is that of
 * --network, else $FETH_NET, else the one that is called as the operation mode. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_FD "4"
#define NAME_MAX_LEN 32 /* of a port: what a UUID has without its dashes */

enum {
	OPT_ID = 256,
	OPT_MODE,
	OPT_NETWORK,
	OPT_OFFLOAD,
	OPT_ISOLATION,
	OPT_ADDRESS,
	OPT_IGNORED,
	OPT_VERSION
};

static const struct option options[] = {
	{ "interface-id", required_argument, NULL, OPT_ID },
	{ "operation-mode", required_argument, NULL, OPT_MODE },
	{ "network", required_argument, NULL, OPT_NETWORK },
	{ "enable-tso", no_argument, NULL, OPT_OFFLOAD },
	{ "enable-checksum-offload", no_argument, NULL, OPT_OFFLOAD },
	{ "enable-isolation", no_argument, NULL, OPT_ISOLATION },
	{ "shared-interface", required_argument, NULL, OPT_ADDRESS },
	{ "start-address", required_argument, NULL, OPT_ADDRESS },
	{ "end-address", required_argument, NULL, OPT_ADDRESS },
	{ "subnet-mask", required_argument, NULL, OPT_ADDRESS },
	{ "stats-interval", required_argument, NULL, OPT_IGNORED },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const char usage[] =
	"usage: vmnet-run [OPTION...] -- COMMAND [ARG...]\n"
	"COMMAND finds a port of a network of fethd at descriptor 4. Options are vmnet-helper's:\n"
	"  --network NAME           which network\n"
	"  --operation-mode MODE    shared, host or bridged: the network of that name, unless\n"
	"                           --network or $FETH_NET says which (default shared)\n"
	"  --interface-id UUID      the port is called so, and its address follows from it\n"
	"  --enable-isolation       reach the host alone, and no other client\n"
	"  --enable-tso, --enable-checksum-offload\n"
	"                           COMMAND's frames leave both undone, as krunkit's do\n"
	"  --start-address, --end-address, --subnet-mask, --shared-interface\n"
	"                           are the network's own, and said with `fethctl set`: ignored\n"
	"  --stats-interval, -v     ignored; `fethctl stats NET --watch` shows them\n";

struct wish {
	const char *network;
	const char *mode;
	char name[NAME_MAX_LEN + 1];
	bool offload, isolated, addresses;
};

static int fail(const char *what, const char *object, const char *why)
{
	fprintf(stderr, "vmnet-run: %s %s: %s\n", what, object, why);
	return EXIT_FAILURE;
}

/* 32 hexadecimal digits, the dashes left out. */
static bool uuid_name(const char *text, char out[NAME_MAX_LEN + 1])
{
	size_t n = 0;
	if (strlen(text) != 36)
		return false;
	for (size_t i = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return false;
		} else if (isxdigit((unsigned char)text[i])) {
			out[n++] = (char)tolower((unsigned char)text[i]);
		} else {
			return false;
		}
	}
	out[n] = '\0';
	return true;
}

static bool is_mode(const char *text)
{
	return !strcmp(text, "shared") || !strcmp(text, "host") || !strcmp(text, "bridged");
}

/* Return: -1 to go on, else the exit status */
static int take(int option, const char *given, struct wish *wish)
{
	switch (option) {
	case OPT_ID:
		if (!uuid_name(optarg, wish->name))
			return fail("--interface-id", optarg, "it must be a UUID");
		return -1;
	case OPT_MODE:
		if (!is_mode(optarg))
			return fail("--operation-mode", optarg, "it is shared, host or bridged");
		wish->mode = optarg;
		return -1;
	case OPT_NETWORK:
		wish->network = optarg;
		return -1;
	case OPT_OFFLOAD:
		wish->offload = true;
		return -1;
	case OPT_ISOLATION:
		wish->isolated = true;
		return -1;
	case OPT_ADDRESS:
		wish->addresses = true;
		return -1;
	case OPT_IGNORED:
	case 'v':
		return -1;
	case OPT_VERSION:
		printf("version: fethd %s\n", FETHD_VERSION);
		return EXIT_SUCCESS;
	case 'h':
		fputs(usage, stderr);
		return EXIT_SUCCESS;
	case ':':
		return fail("option", given, "its value is missing");
	default:
		return fail("option", given, "there is none of that name");
	}
}

static int parse(int argc, char **argv, struct wish *wish)
{
	opterr = 0;
	for (;;) {
		const char *given = argv[optind];
		const int option = getopt_long(argc, argv, "+:vh", options, NULL);
		if (option < 0)
			break;
		const int status = take(option, given, wish);
		if (status >= 0)
			return status;
	}
	if (!argv[optind]) {
		fputs(usage, stderr);
		return EXIT_FAILURE;
	}
	if (wish->network && (wish->mode || wish->addresses))
		return fail("--network", wish->network,
			"nothing else can be said of a network that is there already");
	return -1;
}

static const char *network_of(const struct wish *wish)
{
	const char *net = getenv("FETH_NET");
	if (wish->network)
		return wish->network;
	if (net && *net)
		return net;
	return wish->mode ? wish->mode : "shared";
}

/* Where fethctl was installed, unless $FETHCTL says otherwise; else wherever PATH has it. */
static const char *fethctl(void)
{
	const char *given = getenv("FETHCTL");
	if (given && *given)
		return given;
	return access(FETHCTL_PATH, X_OK) ? "fethctl" : FETHCTL_PATH;
}

int main(int argc, char **argv)
{
	struct wish wish = { 0 };
	const int status = parse(argc, argv, &wish);
	if (status >= 0)
		return status;

	const char *network = network_of(&wish);
	if (wish.addresses)
		fprintf(stderr,
			"vmnet-run: network %s has addresses of its own; those given are ignored\n",
			network);
	const char *head[16] = { fethctl(), "run", network, "--kind", "dgram", "--fd", COMMAND_FD };
	size_t n = 7;
	if (wish.name[0]) {
		head[n++] = "--name";
		head[n++] = wish.name;
	}
	if (wish.isolated) {
		head[n++] = "--isolated";
		head[n++] = "on";
	}
	if (wish.offload) {
		head[n++] = "--raw-offload";
		head[n++] = "on";
	}
	head[n++] = "--";

	const size_t rest = (size_t)(argc - optind) + 1; /* with the NULL */
	char **command = malloc((n + rest) * sizeof(*command));
	if (!command)
		return fail("cannot run", argv[optind], "out of memory");
	memcpy(command, head, n * sizeof(*command));
	memcpy(command + n, argv + optind, rest * sizeof(*command));
	execvp(command[0], command);
	const int rc = errno;
	free(command);
	return fail("cannot run", head[0], strerror(rc));
}
