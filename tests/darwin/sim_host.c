/* sim_host.c - the host's side: what its network stack sends and gets, and what a test may look at.
 */
#include "tests/darwin/sim_priv.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ETHER_HDR 14u

/* -- the host's stack -- */

static void put_sum(uint8_t *at, uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

static uint32_t add_words(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(data[i] << 8 | data[i + 1]);
	return sum;
}

/* What the stack leaves to an interface that says it does checksums: no sum in the IPv4 header, and
 * the pseudo header's alone in TCP's and UDP's (ip_output.c:in_finalize_cksum is not called). */
static void leave_sums(uint8_t *frame, size_t len)
{
	uint8_t *ip = frame + ETHER_HDR, proto;
	size_t header;
	uint32_t pseudo;

	if (len < ETHER_HDR + 20)
		return;
	unsigned type = (unsigned)(frame[12] << 8 | frame[13]);
	if (type == 0x0800) {
		header = (size_t)(ip[0] & 15) * 4;
		ip[10] = ip[11] = 0;
		proto = ip[9];
		pseudo = add_words(ip + 12, 8) + (uint32_t)(ip[2] << 8 | ip[3]) - (uint32_t)header;
	} else if (type == 0x86dd && len >= ETHER_HDR + 40) {
		header = 40;
		proto = ip[6];
		pseudo = add_words(ip + 8, 32) + (uint32_t)(ip[4] << 8 | ip[5]);
	} else {
		return;
	}
	size_t at = header + (proto == 6 ? 16 : 6); /* th_sum, uh_sum */
	if ((proto == 6 || proto == 17) && ETHER_HDR + at + 2 <= len)
		put_sum(ip + at, pseudo + proto);
}

int sim_host_output(struct sim *sim, const char *ifname, const void *frame, size_t len)
{
	sim_settle(sim);
	struct sim_ifnet *ifp = sim_ifnet_find(sim, ifname);
	if (!ifp)
		return -DW_ENXIO;
	int rc = sim_output_ready(ifp);
	if (rc)
		return rc;

	uint8_t *copy = malloc(len ? len : 1);
	if (!copy)
		abort();
	memcpy(copy, frame, len);
	if (ifp->hwcsum)
		leave_sums(copy, len);
	sim_enqueue(ifp, copy, len);
	free(copy);
	return 0;
}

size_t sim_host_input(struct sim *sim, const char *ifname, void *buf, size_t size)
{
	sim_settle(sim);
	struct sim_ifnet *ifp = sim_ifnet_find(sim, ifname);
	struct sim_frame *frame = ifp ? sim_queue_take(&ifp->in) : NULL;
	if (!frame)
		return 0;
	size_t len = frame->len;
	memcpy(buf, frame->data, len < size ? len : size);
	free(frame);
	return len;
}

/* -- what there is -- */

static void describe(const struct sim_ifnet *ifp, struct sim_if_info *out)
{
	*out = (struct sim_if_info){ .index = ifp->index,
		.flags = ifp->flags,
		.mtu = ifp->mtu,
		.max_mtu = ifp->max_mtu,
		.n_ndrv = ifp->n_ndrv,
		.n_bpf = sim_bpf_count(ifp) };
	memcpy(out->name, ifp->name, sizeof(out->name));
	if (ifp->peer)
		memcpy(out->peer, ifp->peer->name, sizeof(out->peer));
	memcpy(out->mac, ifp->mac, sizeof(out->mac));
	for (const struct sim_addr *a = ifp->addrs; a; a = a->next) {
		if (a->family == DW_AF_INET)
			out->n_inet++;
		else
			out->n_inet6++;
	}
}

unsigned sim_interfaces(const struct sim *sim, struct sim_if_info *out, unsigned max)
{
	unsigned n = 0;

	for (const struct sim_ifnet *ifp = sim->ifnets; ifp; ifp = ifp->next) {
		if (!ifp->attached)
			continue;
		if (n < max)
			describe(ifp, &out[n]);
		n++;
	}
	return n;
}

static const struct sim_ifnet *named(const struct sim *sim, const char *name)
{
	for (const struct sim_ifnet *ifp = sim->ifnets; ifp; ifp = ifp->next) {
		if (ifp->attached && strcmp(ifp->name, name) == 0)
			return ifp;
	}
	return NULL;
}

bool sim_interface(const struct sim *sim, const char *name, struct sim_if_info *out)
{
	const struct sim_ifnet *ifp = named(sim, name);

	if (ifp && out)
		describe(ifp, out);
	return ifp != NULL;
}

#define LINE 64

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

size_t sim_addresses(const struct sim *sim, const char *ifname, char *out, size_t size)
{
	const struct sim_ifnet *ifp = named(sim, ifname);
	size_t n = 0, len = 0;

	for (const struct sim_addr *a = ifp ? ifp->addrs : NULL; a; a = a->next)
		n++;
	char(*lines)[LINE] = calloc(n ? n : 1, LINE);
	if (!lines)
		abort();
	n = 0;
	for (const struct sim_addr *a = ifp ? ifp->addrs : NULL; a; a = a->next) {
		char text[INET6_ADDRSTRLEN];
		uint8_t addr[16];
		memcpy(addr, a->addr, sizeof(addr));
		if (a->family == DW_AF_INET6 && addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80)
			addr[2] = addr[3] = 0; /* the embedded scope */
		inet_ntop(a->family == DW_AF_INET ? AF_INET : AF_INET6, addr, text, sizeof(text));
		snprintf(lines[n++], LINE, "%s/%u", text, a->prefix);
	}
	qsort(lines, n, LINE, by_text);
	for (size_t i = 0; i < n; i++) {
		size_t line = strlen(lines[i]) + 1;
		if (len + line < size)
			snprintf(out + len, size - len, "%s\n", lines[i]);
		len += line;
	}
	if (n == 0 && size > 0)
		out[0] = '\0';
	free(lines);
	return len;
}
