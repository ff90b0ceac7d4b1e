/* ethtool_linux.c - see ethtool_linux.h.
 *
 * The features are found by their names (linux, net/ethtool/common.c, netdev_features_strings), so
 * that those of later kernels - 6.18 has tx-tcp-accecn-segmentation - are found as well, which the
 * old ioctls, one per group, do not promise. */
#include "server/hostif/ethtool_linux.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/core/offload.h"

#define FEATURES_MAX 1024u /* 64 to 70 today; what the kernel says is bounded by this */
#define BLOCKS_MAX (FEATURES_MAX / 32)

_Static_assert(ETHTOOL_FEATURE == ETH_GSTRING_LEN, "a feature's name");

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* Whether a feature leaves frames unfinished. Not among them:
 *  - tx-generic-segmentation and scatter-gather: the stack then builds large packets of
 *    scattered pages, but splits, sums and gathers them before a device that lacks the features
 *    above gets them. Off they make no difference that exceeds the noise (TCP between two pairs,
 *    MTU 1500, 9000 and 65521, five rounds each), but frames of 64 KiB then need 64 KiB in one
 *    piece, from the allocator's last reserves;
 *  - rx-checksumming: says only that a received sum need not be checked again;
 *  - the VLAN offloads: a packet socket finds the tag put aside in any case. */
static bool is_unfinished(const char *feature)
{
	if (!strcmp(feature, "tx-generic-segmentation"))
		return false;
	return starts(feature, "tx-checksum-") || starts(feature, "tx-gso-") ||
	       starts(feature, "tx-tunnel-remcsum-") ||
	       (starts(feature, "tx-") && strstr(feature, "-segmentation")) ||
	       starts(feature, "rx-gro") || starts(feature, "rx-udp-gro") ||
	       starts(feature, "rx-lro");
}

/* The features that a virtio_net_hdr says, by what of OFFLOAD_* each is. Not among them are, on
 * purpose: the checksums of SCTP and FCoE, which are no Internet checksums and look the same in the
 * header; segmentation with fixed IP ids or with accurate ECN, which a header cannot tell from the
 * ordinary kind; and all kinds within tunnels, which it cannot say. */
static const struct {
	const char *name;
	uint8_t offload;
} said[] = {
	{ "tx-checksum-ipv4", OFFLOAD_CSUM },
	{ "tx-checksum-ip-generic", OFFLOAD_CSUM },
	{ "tx-checksum-ipv6", OFFLOAD_CSUM },
	{ "tx-tcp-segmentation", OFFLOAD_TSO4 },
	{ "tx-tcp6-segmentation", OFFLOAD_TSO6 },
	{ "tx-tcp-ecn-segmentation", OFFLOAD_ECN },
	{ "tx-udp-segmentation", OFFLOAD_USO4 },
};

static bool is_said(const char *feature, uint8_t offload)
{
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (!strcmp(feature, said[i].name))
			return offload & said[i].offload;
	return false;
}

static int ask(int fd, const char *name, void *data)
{
	struct ifreq ifr = { .ifr_data = data };
	memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	return ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

/* The kernel's structures of the same names (linux/ethtool.h) end in arrays without a length; these
 * have room behind them. */
struct sset_info {
	uint32_t cmd, reserved;
	uint64_t mask;
	uint32_t n;
};

struct feature_get {
	uint32_t cmd, size; /* blocks */
	struct ethtool_get_features_block block[BLOCKS_MAX];
};

struct feature_set {
	uint32_t cmd, size;
	struct ethtool_set_features_block block[BLOCKS_MAX];
};

_Static_assert(
	offsetof(struct sset_info, n) == offsetof(struct ethtool_sset_info, data) &&
		offsetof(struct feature_get, block) ==
			offsetof(struct ethtool_gfeatures, features) &&
		offsetof(struct feature_set, block) == offsetof(struct ethtool_sfeatures, features),
	"the kernel's layout");

static int feature_count(int fd, const char *name, uint32_t *out_n)
{
	struct sset_info q = { .cmd = ETHTOOL_GSSET_INFO, .mask = 1u << ETH_SS_FEATURES };
	const int rc = ask(fd, name, &q);
	if (rc < 0)
		return rc;
	if (!q.mask || !q.n || q.n > FEATURES_MAX)
		return -EOPNOTSUPP;
	*out_n = q.n;
	return 0;
}

static int feature_names(int fd, const char *name, uint32_t n, struct ethtool_gstrings **out)
{
	struct ethtool_gstrings *s = calloc(1, sizeof(*s) + (size_t)n * ETH_GSTRING_LEN);
	if (!s)
		return -ENOMEM;
	s->cmd = ETHTOOL_GSTRINGS;
	s->string_set = ETH_SS_FEATURES;
	s->len = n;
	const int rc = ask(fd, name, s);
	if (rc < 0) {
		free(s);
		return rc;
	}
	*out = s;
	return 0;
}

static int feature_state(int fd, const char *name, uint32_t n, struct feature_get *out)
{
	*out = (struct feature_get){ .cmd = ETHTOOL_GFEATURES, .size = (n + 31) / 32 };
	return ask(fd, name, out);
}

static int switch_off(int fd, const char *name, const struct ethtool_gstrings *names, uint32_t n,
	uint8_t offload, char out_on[ETHTOOL_FEATURE])
{
	struct feature_set set = { .cmd = ETHTOOL_SFEATURES, .size = (n + 31) / 32 };
	struct feature_get get;

	int rc = feature_state(fd, name, n, &get);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < n; i++) {
		const char *feature = (const char *)names->data + (size_t)i * ETH_GSTRING_LEN;
		const uint32_t bit = 1u << i % 32;
		/* only what can be changed: the kernel refuses the whole request otherwise */
		if (is_unfinished(feature) && !is_said(feature, offload) &&
			get.block[i / 32].available & bit && ~get.block[i / 32].never_changed & bit)
			set.block[i / 32].valid |= bit;
	}
	rc = ask(fd, name, &set);
	if (rc < 0)
		return rc;

	rc = feature_state(fd, name, n, &get);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < n; i++) {
		const char *feature = (const char *)names->data + (size_t)i * ETH_GSTRING_LEN;
		if (is_unfinished(feature) && !is_said(feature, offload) &&
			get.block[i / 32].active & 1u << i % 32) {
			memcpy(out_on, feature, ETHTOOL_FEATURE);
			out_on[ETHTOOL_FEATURE - 1] = '\0';
			return -EOPNOTSUPP;
		}
	}
	return 0;
}

int ethtool_offloads_set(const char *name, uint8_t offload, char out_on[ETHTOOL_FEATURE])
{
	struct ethtool_gstrings *names = NULL;
	uint32_t n = 0;
	out_on[0] = '\0';

	/* any socket serves as the handle of an interface ioctl (netdevice(7)) */
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int rc = feature_count(fd, name, &n);
	if (!rc)
		rc = feature_names(fd, name, n, &names);
	if (!rc)
		rc = switch_off(fd, name, names, n, offload, out_on);
	free(names);
	close(fd);
	return rc;
}
