/* announce.c - see announce.h. */
#include "server/core/announce.h"

#include <string.h>

#include "server/core/be.h"
#include "server/core/csum.h"

#define ARP_FRAME 60u /* the least of Ethernet, without its FCS */
#define ARP_REQUEST 1u
#define RARP_REQUEST 3u

static void put_header(uint8_t *p, const uint8_t *to, struct feth_mac from, uint16_t type)
{
	memcpy(p, to, 6);
	memcpy(p + 6, from.b, 6);
	put16(p + 12, type);
}

/* Of Ethernet and IPv4: RFC 826. Targets are left zero. */
static void put_arp(uint8_t *p, uint16_t type, uint16_t operation, struct feth_mac sender)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	memset(p, 0, ARP_FRAME);
	put_header(p, broadcast, sender, type);
	put16(p + 14, 1);
	put16(p + 16, 0x0800);
	p[18] = 6;
	p[19] = 4;
	put16(p + 20, operation);
	memcpy(p + 22, sender.b, 6);
}

uint32_t announce_rarp(struct feth_mac mac, uint8_t out[ANNOUNCE_MAX])
{
	put_arp(out, 0x8035, RARP_REQUEST, mac);
	memcpy(out + 32, mac.b, 6);
	return ARP_FRAME;
}

/* RFC 4861, 4.4, to all nodes. Of the flags O has caches take the new address. R is set: the one
 * thing a host concludes from it missing is that its router is none any more (7.2.5), and whether
 * this one is is not known here. */
static uint32_t put_advertisement(struct feth_mac mac, const uint8_t *addr, uint8_t *p)
{
	static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
	uint8_t *ip = p + 14, *msg = ip + 40;
	memset(p, 0, 86);
	put_header(p, all_nodes_mac, mac, 0x86dd);
	ip[0] = 0x60;
	put16(ip + 4, 32);
	ip[6] = 58;
	ip[7] = 255;
	memcpy(ip + 8, addr, 16);
	memcpy(ip + 24, all_nodes, 16);
	msg[0] = 136;
	msg[4] = 0x80 | 0x20; /* R, O */
	memcpy(msg + 8, addr, 16);
	msg[24] = 2; /* target link-layer address */
	msg[25] = 1;
	memcpy(msg + 26, mac.b, 6);
	csum_put(msg + 2, csum_add(csum_pseudo(ip, true, 58, 32), msg, 32));
	return 86;
}

uint32_t announce_address(struct feth_mac mac, const struct cidr *addr, uint8_t out[ANNOUNCE_MAX])
{
	if (addr->family == 6)
		return put_advertisement(mac, addr->addr, out);
	put_arp(out, 0x0806, ARP_REQUEST, mac);
	memcpy(out + 28, addr->addr, 4);
	memcpy(out + 38, addr->addr, 4);
	return ARP_FRAME;
}
