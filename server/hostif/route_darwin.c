/* route_darwin.c - see route_darwin.h. The formats: XNU rtsock.c:rt_msg2(), sysctl_iflist2(),
 * rt_ifmsg(), rt_newaddrmsg(), rt_newmaddrmsg(). */
#include "server/hostif/route_darwin.h"

#include <string.h>

#include "server/hostif/darwin_abi.h"

#define LINK_MAC 6u

/* The addresses behind a message's header; NULL where one is not there. */
struct addrs {
	const uint8_t *at[DW_RTAX_MAX];
};

/* Finds the addresses that @mask tells of, each led by its length. False where they do not fit. */
static bool addrs_split(struct addrs *out, uint32_t mask, const uint8_t *p, size_t left)
{
	*out = (struct addrs){ { NULL } };
	for (unsigned i = 0; i < DW_RTAX_MAX; i++) {
		if (!(mask & 1u << i))
			continue;
		if (!left || p[0] > left)
			return false;
		/* a length of 0 or 1 has no family in it, and says nothing */
		out->at[i] = p[0] >= 2 ? p : NULL;
		const size_t step = DW_RT_ROUNDUP(p[0]);
		/* the last may lack its padding */
		p += step < left ? step : left;
		left -= step < left ? step : left;
	}
	return true;
}

/* A link address: the name of its interface, and the MAC. */
static void take_link(struct route_record *out, const uint8_t *sdl)
{
	const size_t head = offsetof(struct dw_sockaddr_dl, data);
	if (!sdl || sdl[1] != DW_AF_LINK || sdl[0] < head)
		return;
	const size_t nlen = sdl[offsetof(struct dw_sockaddr_dl, nlen)];
	const size_t alen = sdl[offsetof(struct dw_sockaddr_dl, alen)];
	if (nlen + alen > sdl[0] - head)
		return;
	if (nlen && nlen < sizeof(out->name) && !memchr(sdl + head, 0, nlen)) {
		memcpy(out->name, sdl + head, nlen);
		out->name[nlen] = '\0';
	}
	if (alen == LINK_MAC) {
		memcpy(out->mac.b, sdl + head + nlen, LINK_MAC);
		out->has_mac = true;
	}
}

/* How many leading ones a netmask has. Trailing zeros may have been cut off it together with the
 * family (in.c:in_socktrim()); @from is where the address begins in it. */
static unsigned prefix_of(const uint8_t *mask, size_t from, unsigned max)
{
	unsigned n = 0;
	for (size_t i = from; mask && i < mask[0] && n < max; i++)
		for (unsigned bit = 0x80; bit; bit >>= 1, n++)
			if (!(mask[i] & bit) || n == max)
				return n;
	return n;
}

static void take_ip(struct route_record *out, const uint8_t *addr, const uint8_t *mask)
{
	const size_t at4 = offsetof(struct dw_sockaddr_in, addr);
	const size_t at6 = offsetof(struct dw_sockaddr_in6, addr);
	if (addr && addr[1] == DW_AF_INET && addr[0] >= at4 + 4) {
		out->addr.family = 4;
		memcpy(out->addr.addr, addr + at4, 4);
		out->addr.prefix = (uint8_t)prefix_of(mask, at4, 32);
	} else if (addr && addr[1] == DW_AF_INET6 && addr[0] >= at6 + 16) {
		uint8_t *a = out->addr.addr;
		out->addr.family = 6;
		memcpy(a, addr + at6, 16);
		out->addr.prefix = (uint8_t)prefix_of(mask, at6, 128);
		if (a[0] == 0xfe && (a[1] & 0xc0) == 0x80)
			a[2] = a[3] = 0; /* the kernel keeps the scope there (in6_setscope()) */
	}
}

/* Bytes before the addresses of a message of @type; 0: none of ours. */
static size_t header_len(uint8_t type)
{
	switch (type) {
	case DW_RTM_IFINFO:
		return sizeof(struct dw_if_msghdr);
	case DW_RTM_IFINFO2:
		return sizeof(struct dw_if_msghdr2);
	case DW_RTM_NEWADDR:
	case DW_RTM_DELADDR:
		return sizeof(struct dw_ifa_msghdr);
	case DW_RTM_NEWMADDR:
	case DW_RTM_DELMADDR:
		return sizeof(struct dw_ifma_msghdr);
	case DW_RTM_NEWMADDR2:
		return sizeof(struct dw_ifma_msghdr2);
	default:
		return 0;
	}
}

static enum route_kind kind_of(uint8_t type, bool news)
{
	switch (type) {
	case DW_RTM_IFINFO2:
		return ROUTE_LINK;
	case DW_RTM_NEWMADDR2:
		return ROUTE_GROUP;
	case DW_RTM_IFINFO:
		return ROUTE_LINK_NEWS;
	case DW_RTM_NEWMADDR:
	case DW_RTM_DELMADDR:
		return ROUTE_GROUPS_NEWS;
	default:
		return news || type == DW_RTM_DELADDR ? ROUTE_ADDRS_NEWS : ROUTE_ADDR;
	}
}

/* Reads one message of @len bytes, whose kind has a header of @head. */
static bool parse(struct route_record *out, const uint8_t *p, size_t len, size_t head, bool news)
{
	/* the front of all of them is the same, but for RTM_IFINFO2's own MTU */
	struct dw_ifma_msghdr front;
	struct addrs a;
	memcpy(&front, p, sizeof(front));
	if (!addrs_split(&a, (uint32_t)front.addrs, p + head, len - head))
		return false;
	*out = (struct route_record){
		.kind = kind_of(front.type, news),
		.index = front.index,
		.flags = (uint32_t)front.flags,
	};
	if (out->kind == ROUTE_GROUP) {
		take_link(out, a.at[DW_RTAX_IFA]);
		out->name[0] = '\0';
		return true;
	}
	take_link(out, a.at[DW_RTAX_IFP]);
	if (out->kind == ROUTE_LINK)
		memcpy(&out->mtu, p + offsetof(struct dw_if_msghdr2, mtu), sizeof(out->mtu));
	if (out->kind == ROUTE_ADDR)
		take_ip(out, a.at[DW_RTAX_IFA], a.at[DW_RTAX_NETMASK]);
	return true;
}

bool route_next(struct route_reader *r, bool news, struct route_record *out)
{
	struct dw_rt_head front;
	while (r->left >= sizeof(front)) {
		memcpy(&front, r->at, sizeof(front));
		if (front.msglen < sizeof(front) || front.msglen > r->left ||
			front.version != DW_RTM_VERSION)
			break;
		const uint8_t *p = r->at;
		const size_t head = header_len(front.type);
		r->at += front.msglen;
		r->left -= front.msglen;
		if (head && front.msglen >= head && parse(out, p, front.msglen, head, news))
			return true;
	}
	r->left = 0;
	return false;
}
