/* groupnet.h - a network with a host side and four ports, for tests of multicast groups: who gets a
 * frame is written down. */
#ifndef TESTS_SUPPORT_GROUPNET_H
#define TESTS_SUPPORT_GROUPNET_H

#include "tests/support/test.h"

#include <stdlib.h>

#include "server/core/network_priv.h"
#include "tests/support/eth.h"
#include "tests/support/fakenet.h"
#include "tests/support/mpacket.h"

#define V4 MCAST_IP4
#define V6 MCAST_IP6

/* A network with a host side, whose groups are not known at first, and four ports, 1 to 4. */
struct fixture {
	struct fakenet fn;
	struct fake_port p[5]; /* [0] is not used */
};

static struct mpacket packet; /* long */

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	*state = f;
	f->fn.now_ms = 0;
	int rc = fakenet_open(&f->fn, true, 9000);
	f->fn.now_ms = 1000;
	for (unsigned i = 1; i < 5; i++) {
		const char name[2] = { (char)('a' + i - 1), '\0' };
		rc = rc ? rc : fake_attach(&f->fn, &f->p[i], name, 0, false, NULL);
	}
	return rc;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 1; i < 5; i++)
		if (f->p[i].attached)
			fake_detach(&f->p[i]);
	const size_t kept = network_pool(f->fn.net)->used;
	fakenet_close(&f->fn);
	free(f);
	return kept ? -1 : 0;
}

/* Who got a frame with tag @tag since the last time, of all but flushes: "h24". */
static inline void got(struct fixture *f, const char *want)
{
	char who[6] = "", *at = who;
	if (strchr(f->fn.host_log, 'x'))
		*at++ = 'h';
	f->fn.host_log[0] = '\0';
	for (unsigned i = 1; i < 5; i++) {
		if (strchr(f->p[i].log, 'x'))
			*at++ = (char)('0' + i);
		f->p[i].log[0] = '\0';
	}
	assert_string_equal(who, want);
}

/* From port @in, 0 the host. */
static inline void put_in(struct fixture *f, unsigned in, struct mpacket *p)
{
	mpacket_pad(p, 1);
	p->b[p->len - 1] = 'x';
	struct frame frame = mpacket_frame(p);
	fake_batch(&f->fn, in ? &f->p[in] : NULL, &frame, 1);
}

static inline struct frame data_frame(uint8_t buf[60], struct feth_mac dst, uint16_t type)
{
	struct frame frame = eth_frame(buf, 1, 1, type, 60, 'x');
	memcpy(buf, dst.b, 6);
	buf[11] = 99;
	buf[14 + 9] = 17; /* UDP over IPv4 */
	buf[14 + 6] = 17; /* UDP over IPv6 */
	return frame;
}

static inline void data_to(struct fixture *f, unsigned in, struct feth_mac dst, uint16_t type)
{
	uint8_t buf[60];
	struct frame frame = data_frame(buf, dst, type);
	fake_batch(&f->fn, in ? &f->p[in] : NULL, &frame, 1);
}

static inline void data(struct fixture *f, enum mcast_family family, unsigned in, unsigned group)
{
	data_to(f, in, mgroup_mac(family, group), family ? 0x86dd : 0x0800);
}

static inline void report(struct fixture *f, enum mcast_family family, unsigned in, unsigned group)
{
	mpacket_report(&packet, family, family ? 1 : 2, group, true);
	put_in(f, in, &packet);
}

static inline void leave(struct fixture *f, enum mcast_family family, unsigned in, unsigned group)
{
	mpacket_report(&packet, family, family ? 1 : 2, group, false);
	put_in(f, in, &packet);
}

static inline void query(struct fixture *f, enum mcast_family family, unsigned in, unsigned src)
{
	mpacket_query(&packet, family, family ? 2 : 3, src, 0, family ? 10000 : 100, 2, 125, 0);
	put_in(f, in, &packet);
}

static inline void clear(struct fixture *f)
{
	f->fn.host_log[0] = f->fn.groups[0] = '\0';
	for (unsigned i = 1; i < 5; i++)
		f->p[i].log[0] = '\0';
}

static inline void wait_ms(struct fixture *f, uint64_t ms)
{
	for (uint64_t part; ms; ms -= part) {
		part = ms < 1000 ? ms : 1000;
		network_tick(f->fn.net, f->fn.now_ms += part);
	}
}

static inline void configure(
	struct fixture *f, enum mcast_policy policy, bool querier, bool ask_new)
{
	const struct mcast_conf conf = { policy, querier, ask_new };
	assert_int_equal(network_set_multicast(f->fn.net, &conf), 0);
}

static inline int join(struct fixture *f, unsigned port, enum mcast_family family, unsigned group)
{
	const int rc =
		network_group_join(f->fn.net, (uint16_t)port, mgroup_mac(family, group), NULL);
	if (!rc) /* as io/memberships.c does: from now on it chooses */
		network_groups_all(f->fn.net, (uint16_t)port,
			portset_has(&f->fn.net->sw.mcast.all, (uint16_t)port));
	return rc;
}

static inline int drop(struct fixture *f, unsigned port, enum mcast_family family, unsigned group)
{
	return network_group_leave(f->fn.net, (uint16_t)port, mgroup_mac(family, group), NULL);
}

static inline const struct mcast_stats *stats(const struct fixture *f)
{
	return network_multicast_stats(f->fn.net);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
