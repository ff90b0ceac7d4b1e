/* soak_feth.c - the feth backend through tens of thousands of random operations on the simulated
 * kernel, against a naive model of what must exist.
 *
 * Operations: make (also where a call fails, a name is taken, a destroy is not through), remove,
 * change, frames both ways, members destroyed or parted by other programs and put right again, a
 * crash and a restart, foreign interfaces. After each: exactly the interfaces that must exist do,
 * with the right MAC, MTU, addresses, peer and number of open descriptors, and
 * net.link.fake.max_mtu is what it was. Every frame carries where it belongs; one that comes in
 * anywhere else, twice, out of order or not at all ends the run. FETHD_SOAK_OPS sets how many
 * operations, FETHD_SEED which. */
#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/core/hostif.h"
#include "server/core/netid.h"
#include "server/hostif/backends.h"
#include "tests/darwin/sim.h"
#include "tests/support/rng.h"

#define SLOTS 6u
#define FOREIGNERS 4u
#define UNIT 10100u
#define OPS_PER_MACHINE 5000u
#define BURST_BYTES 200000u /* of one burst: well inside one BPF buffer, so nothing may be lost */
#define RECV_BYTES (1u << 20)

enum damage { WHOLE, HOST_GONE, SERVICE_GONE, PARTED };

struct slot {
	bool made;
	enum damage damage;
	struct hostif_spec spec;
	uint32_t mtu_max;
	struct hostif *hif;
	uint32_t sent_up, sent_down; /* frames from the host, to the host */
};

struct soak {
	struct rng rng;
	struct sim *sim;
	struct sim_proc *us, *other;
	int other_fd;
	int watch;
	bool limited; /* nobody may raise max_mtu: the sysctl refuses */
	struct slot slots[SLOTS];
	bool foreign[FOREIGNERS]; /* feth at the unit of a slot: UNIT + i */
	uint8_t buf[RECV_BYTES];
	unsigned ops, made, failed, busy, restarts, repaired, up, down;
};

static const struct hostif_ops *const feth = &hostif_feth;

/* -- other programs -- */

static int other_ioctl(struct soak *s, unsigned long request, const char *name)
{
	struct dw_ifreq req = { 0 };
	snprintf(req.name, sizeof(req.name), "%s", name);
	return sim_ioctl(s->other, s->other_fd, request, &req);
}

static void part(struct soak *s, const char *name)
{
	struct dw_fake_request fake = { 0 };
	struct dw_ifdrv drv = { .cmd = DW_FETH_SET_PEER, .len = sizeof(fake), .data = &fake };
	snprintf(drv.name, sizeof(drv.name), "%s", name);
	assert_int_equal(sim_ioctl(s->other, s->other_fd, DW_SIOCSDRVSPEC, &drv), 0);
}

static int max_mtu(struct soak *s)
{
	int value = 0;
	size_t len = sizeof(value);
	const int rc = sim_sysctlbyname(s->other, "net.link.fake.max_mtu", &value, &len, NULL, 0);
	return rc == -DW_ENOENT ? 0 : value;
}

/* -- what must exist -- */

static void check_member(struct soak *s, const struct slot *slot, bool host)
{
	const struct hostif_spec *spec = &slot->spec;
	const bool gone = slot->damage == (host ? HOST_GONE : SERVICE_GONE);
	struct sim_if_info info;
	const bool there = sim_interface(s->sim, host ? spec->host : spec->service, &info);
	if (!slot->made || gone) {
		assert_false(there);
		return;
	}
	assert_true(there);
	assert_memory_equal(info.mac, (host ? spec->mac : spec->service_mac).b, 6);
	assert_int_equal(info.mtu, spec->mtu);
	assert_string_equal(info.peer, slot->damage != WHOLE ? ""
				       : host                ? spec->service
							     : spec->host);
	assert_int_equal(info.flags & DW_IFF_UP, host && !spec->up ? 0 : DW_IFF_UP);
	assert_int_equal(info.n_bpf, host ? 0 : 1);
	assert_in_range(info.n_ndrv, 0, host ? 0 : 1);
	unsigned inet = 0, inet6 = 0;
	for (unsigned i = 0; i < spec->n_addrs && host; i++) {
		inet += spec->addrs[i].family == 4;
		inet6 += spec->addrs[i].family == 6;
	}
	assert_int_equal(info.n_inet, inet);
	assert_true(info.n_inet6 >= inet6); /* and a link-local one of the kernel's */
	if (!host)
		assert_int_equal(info.n_inet + info.n_inet6, 0);
}

static void check(struct soak *s)
{
	static struct sim_if_info all[4 * SLOTS + FOREIGNERS];
	unsigned expected = 0;
	for (unsigned i = 0; i < SLOTS; i++) {
		const struct slot *slot = &s->slots[i];
		if (i < FOREIGNERS && s->foreign[i]) {
			assert_false(slot->made);
			expected++;
			continue;
		}
		check_member(s, slot, true);
		check_member(s, slot, false);
		expected += !slot->made                                       ? 0
			    : slot->damage == WHOLE || slot->damage == PARTED ? 2
									      : 1;
	}
	const unsigned n = sim_interfaces(s->sim, all, sizeof(all) / sizeof(all[0]));
	unsigned feths = 0;
	for (unsigned i = 0; i < n; i++)
		feths += !strncmp(all[i].name, "feth", 4);
	assert_int_equal(feths, expected);
	if (max_mtu(s))
		assert_int_equal(max_mtu(s), DW_FETH_MTU_DEFAULT);
}

/* -- frames -- */

static unsigned frame_fill(uint8_t *out, unsigned len, unsigned slot, bool down, uint32_t seq)
{
	for (unsigned i = 14; i < len; i++)
		out[i] = (uint8_t)(seq * 31 + i);
	const uint8_t head[14] = { 0x02, down ? 0xd0 : 0x0b, (uint8_t)slot, (uint8_t)(seq >> 16),
		(uint8_t)(seq >> 8), (uint8_t)seq, 0x02, 0, 0, 0, 0, 1, 0x88, 0xb5 };
	memcpy(out, head, 14);
	return len;
}

static unsigned random_len(struct soak *s, uint32_t mtu)
{
	return rng_one_in(&s->rng, 3) ? rng_between(&s->rng, 14, mtu + 14)
				      : rng_between(&s->rng, 14, mtu < 100 ? mtu + 14 : 100);
}

/* Takes all that waits at a slot; how many frames, each checked to be the next of this slot. */
static unsigned take_up(struct soak *s, unsigned i, uint32_t first)
{
	static uint8_t want[20000];
	struct slot *slot = &s->slots[i];
	struct frame frames[HOSTIF_BATCH];
	unsigned taken = 0;
	for (;;) {
		const int n = feth->recv(slot->hif, frames, HOSTIF_BATCH, s->buf, RECV_BYTES);
		if (n == 0 && !feth->more(slot->hif))
			return taken;
		assert_true(n >= 0);
		for (int k = 0; k < n; k++, taken++) {
			assert_int_equal(frames[k].more_n, 0);
			frame_fill(want, frames[k].len, i, false, first + taken);
			assert_memory_equal(frames[k].head, want, frames[k].len);
		}
	}
}

static void frames_up(struct soak *s, unsigned i)
{
	static uint8_t frame[20000];
	struct slot *slot = &s->slots[i];
	const unsigned n = rng_between(&s->rng, 1, 200);
	const uint32_t first = slot->sent_up;
	unsigned bytes = 0;
	for (unsigned k = 0; k < n && bytes < BURST_BYTES; k++) {
		const unsigned len =
			frame_fill(frame, random_len(s, slot->spec.mtu), i, false, slot->sent_up);
		const int rc = sim_host_output(s->sim, slot->spec.host, frame, len);
		assert_int_equal(rc, slot->spec.up ? 0 : -DW_ENETDOWN);
		slot->sent_up += rc == 0;
		bytes += len + 32;
	}
	const unsigned got = take_up(s, i, first);
	assert_int_equal(got, slot->damage == PARTED ? 0 : slot->sent_up - first);
	s->up += got;
	for (unsigned k = 0; k < SLOTS; k++) /* and nobody else got any */
		if (k != i && s->slots[k].made && s->slots[k].hif &&
			s->slots[k].damage != SERVICE_GONE)
			assert_int_equal(take_up(s, k, s->slots[k].sent_up), 0);
}

static void frames_down(struct soak *s, unsigned i)
{
	static uint8_t bytes[HOSTIF_BATCH][20000], got[20000];
	struct slot *slot = &s->slots[i];
	struct frame frames[HOSTIF_BATCH];
	const unsigned n = rng_between(&s->rng, 1, HOSTIF_BATCH);
	for (unsigned k = 0; k < n; k++) {
		const unsigned len = frame_fill(
			bytes[k], random_len(s, slot->spec.mtu), i, true, slot->sent_down + k);
		frames[k] = (struct frame){ .head = bytes[k], .head_len = len, .len = len };
	}
	struct seg rest; /* one in two pieces, as a block ring hands them over */
	if (frames[0].len > 20) {
		rest = (struct seg){ bytes[0] + 20, frames[0].len - 20 };
		frames[0].head_len = 20;
		frames[0].more = &rest;
		frames[0].more_n = 1;
	}
	assert_int_equal(feth->send(slot->hif, frames, n), n);
	for (unsigned k = 0; k < n && slot->damage == WHOLE; k++) {
		assert_int_equal(
			sim_host_input(s->sim, slot->spec.host, got, sizeof(got)), frames[k].len);
		assert_memory_equal(got, bytes[k], frames[k].len);
	}
	slot->sent_down += n;
	s->down += n;
	for (unsigned k = 0; k < SLOTS; k++) /* none anywhere else, and none echoed */
		if (s->slots[k].made && s->slots[k].damage == WHOLE) {
			assert_int_equal(
				sim_host_input(s->sim, s->slots[k].spec.host, got, sizeof(got)), 0);
			assert_int_equal(take_up(s, k, s->slots[k].sent_up), 0);
		}
}

/* -- our operations -- */

static struct hostif_spec random_spec(struct soak *s, unsigned i)
{
	struct hostif_spec spec = { .up = !rng_one_in(&s->rng, 4) };
	snprintf(spec.network, sizeof(spec.network), "net%u", i);
	netid_names(UNIT + i, spec.host, spec.service);
	snprintf(spec.tag, sizeof(spec.tag), "fethd:/run/fethd:net%u", i);
	/* what RUN/state would say: the MACs of a slot stay, but for a change */
	spec.mac = (struct feth_mac){ { 2, 0xaa, 0, 0, 0, (uint8_t)i } };
	spec.service_mac = (struct feth_mac){ { 2, 0xbb, 0, 0, 0, (uint8_t)i } };
	const uint32_t mtus[] = { 72, 1280, 1500, 2034, 2048, 9000, 16370 };
	spec.mtu = rng_one_in(&s->rng, 2) ? mtus[rng_below(&s->rng, 7)]
					  : rng_between(&s->rng, 72, 16370);
	spec.n_addrs = (uint8_t)rng_below(&s->rng, 4);
	const char *why;
	for (unsigned k = 0; k < spec.n_addrs; k++) {
		char text[CIDR_TEXT];
		if (spec.mtu >= 1280 && rng_one_in(&s->rng, 2))
			snprintf(text, sizeof(text), "fd00:%u::%u/64", i + 1, k + 1);
		else
			snprintf(text, sizeof(text), "10.%u.%u.1/24", i, k);
		assert_true(cidr_parse(&spec.addrs[k], text, &why));
	}
	return spec;
}

static void slot_close(struct slot *slot)
{
	feth->close(slot->hif);
	slot->hif = NULL;
}

static void random_fault(struct soak *s)
{
	static const int errors[] = { DW_EBUSY, DW_ENOMEM, DW_ENXIO, DW_EINVAL, DW_ENOBUFS };
	if (!rng_one_in(&s->rng, 4))
		return;
	struct sim_knobs *k = sim_knobs(s->sim);
	k->fail_after = rng_between(&s->rng, 1, 30);
	k->fail_errno = errors[rng_below(&s->rng, 5)];
}

static void no_fault(struct soak *s)
{
	sim_knobs(s->sim)->fail_after = 0;
}

/* make() and open(); false where it was refused, which then has a sentence and left nothing. */
static bool slot_make(struct soak *s, unsigned i, const struct hostif_spec *spec)
{
	struct slot *slot = &s->slots[i];
	struct hostif_made made = { .rx_fd = -1, .tx_fd = -1 };
	struct err err = { 0 };
	random_fault(s);
	int rc = feth->make(spec, &made, &err);
	no_fault(s);
	for (unsigned tries = 0; rc == -EBUSY; tries++) { /* what the daemon does by a timer */
		assert_true(tries < 10);
		assert_non_null(strstr(err.text, spec->network));
		if (i >= FOREIGNERS || !s->foreign[i]) {
			check_member(s, slot, true);
			check_member(s, slot, false);
		}
		s->busy++;
		sim_advance_us(s->sim, 20000);
		rc = feth->make(spec, &made, &err);
	}
	if (rc < 0) {
		assert_non_null(strstr(err.text, spec->network));
		s->failed++;
		return false;
	}
	assert_int_equal(feth->open(&slot->hif, &made, spec, &err), 0);
	slot->made = true;
	slot->damage = WHOLE;
	slot->spec = *spec;
	slot->mtu_max = made.mtu_max ? made.mtu_max : feth->mtu_max;
	assert_true(spec->mtu <= slot->mtu_max);
	slot->sent_up = slot->sent_down = rng_below(&s->rng, 1u << 20);
	s->made++;
	return true;
}

static void op_make(struct soak *s, unsigned i)
{
	struct slot *slot = &s->slots[i];
	if (slot->made)
		return;
	const struct hostif_spec spec = random_spec(s, i);
	const bool foreign = i < FOREIGNERS && s->foreign[i];
	assert_false(slot_make(s, i, &spec) && foreign);
}

static void op_remove(struct soak *s, unsigned i)
{
	struct slot *slot = &s->slots[i];
	if (!slot->made)
		return;
	slot_close(slot);
	feth->remove(&slot->spec);
	slot->made = false;
}

/* What hostwatch.c does once it knows. */
static void op_repair(struct soak *s, unsigned i)
{
	struct slot *slot = &s->slots[i];
	struct err err = { 0 };
	const struct hostif_spec spec = slot->spec;
	if (!slot->made || slot->damage == WHOLE)
		return;
	if (slot->damage == PARTED) {
		assert_int_equal(feth->change(&spec, &spec, &err), 0);
		slot->damage = WHOLE;
		s->repaired++;
		return;
	}
	op_remove(s, i);
	s->repaired += slot_make(s, i, &spec);
}

static void op_change(struct soak *s, unsigned i)
{
	struct slot *slot = &s->slots[i];
	struct err err = { 0 };
	struct hostif_spec want = random_spec(s, i);
	if (!slot->made)
		return;
	want.mac.b[1] = (uint8_t)rng_between(&s->rng, 0xa0, 0xaf);
	want.mtu = want.mtu > slot->mtu_max ? slot->mtu_max : want.mtu;
	if (slot->damage == HOST_GONE || slot->damage == SERVICE_GONE) {
		assert_int_equal(feth->change(&slot->spec, &want, &err), -ENODEV);
		return;
	}
	random_fault(s);
	const int rc = feth->change(&slot->spec, &want, &err);
	no_fault(s);
	if (rc == 0) {
		slot->spec = want;
		slot->damage = WHOLE; /* a change puts together what was parted */
	} else {
		assert_non_null(strstr(err.text, slot->spec.network));
		s->failed++;
		struct sim_if_info info;
		if (sim_interface(s->sim, slot->spec.host, &info) && info.peer[0])
			slot->damage = WHOLE;
	}
}

static void op_damage(struct soak *s, unsigned i)
{
	struct slot *slot = &s->slots[i];
	struct hostif_event events[32];
	if (!slot->made || slot->damage != WHOLE)
		return;
	slot->damage = (enum damage)rng_between(&s->rng, HOST_GONE, PARTED);
	if (slot->damage == PARTED)
		return part(s, rng_one_in(&s->rng, 2) ? slot->spec.host : slot->spec.service);
	while (feth->watch_read(s->watch, events, 32) != 0)
		;
	const bool host = slot->damage == HOST_GONE;
	assert_int_equal(
		other_ioctl(s, DW_SIOCIFDESTROY, host ? slot->spec.host : slot->spec.service), 0);
	/* the kernel tells of it where it was up (if_down()), or does not: hence check_ms */
	if (!host || slot->spec.up)
		assert_true(feth->watch_read(s->watch, events, 32) != 0);
	assert_false(feth->whole(&slot->spec));
	if (!host) {
		struct frame frames[HOSTIF_BATCH];
		sim_advance_us(s->sim, 20000); /* bpfdetach() is in the destroy's later half */
		assert_int_equal(
			feth->recv(slot->hif, frames, HOSTIF_BATCH, s->buf, RECV_BYTES), -ENXIO);
	}
}

/* A foreign interface at the unit of a slot comes or goes. */
static void op_foreign(struct soak *s)
{
	const unsigned i = rng_below(&s->rng, FOREIGNERS);
	char name[HOSTIF_NAME];
	snprintf(name, sizeof(name), "feth%u", UNIT + i);
	if (s->foreign[i]) {
		assert_int_equal(other_ioctl(s, DW_SIOCIFDESTROY, name), 0);
		s->foreign[i] = false;
	} else if (!s->slots[i].made) {
		s->foreign[i] = other_ioctl(s, DW_SIOCIFCREATE, name) == 0;
	}
}

static void come_up(struct soak *s)
{
	struct err err = { 0 };
	s->us = sim_proc_new(s->sim, 0);
	sim_become(s->us);
	s->watch = feth->watch_open(&err);
	assert_true(s->watch >= 0);
}

/* The daemon dies, and another one begins with what RUN/state says. */
static void op_crash(struct soak *s)
{
	struct hostif_spec known[SLOTS];
	struct err err = { 0 };
	unsigned n = 0, pairs = 0;
	sim_proc_exit(s->us);
	come_up(s);
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *slot = &s->slots[i];
		if (slot->made) /* one with a member gone counts too: something of it is left */
			pairs++;
		known[n++] = slot->made ? slot->spec : random_spec(s, i);
		if (slot->hif)
			slot_close(slot); /* its memory; its descriptors are no more */
		slot->made = false;
	}
	assert_int_equal(feth->sweep("fethd:/run/fethd:", known, n, &err), (int)pairs);
	s->restarts++;
}

/* -- machines -- */

static void machine_begin(struct soak *s, enum sim_profile profile)
{
	s->sim = sim_new(profile);
	s->other = sim_proc_new(s->sim, 0);
	s->other_fd = sim_socket(s->other, DW_AF_INET, DW_SOCK_DGRAM, 0);
	assert_true(s->other_fd >= 0);
	struct sim_knobs *k = sim_knobs(s->sim);
	k->busy_calls = rng_below(&s->rng, 3);
	k->busy_us = rng_below(&s->rng, 20000);
	k->no_ndrv = rng_one_in(&s->rng, 4);
	come_up(s);
}

static void machine_end(struct soak *s)
{
	for (unsigned i = 0; i < SLOTS; i++)
		op_remove(s, i);
	for (unsigned i = 0; i < FOREIGNERS; i++) {
		char name[HOSTIF_NAME];
		snprintf(name, sizeof(name), "feth%u", UNIT + i);
		struct sim_if_info info; /* untouched to the last */
		assert_int_equal(sim_interface(s->sim, name, &info), s->foreign[i]);
		s->foreign[i] = false;
	}
	sim_proc_exit(s->us);
	sim_proc_exit(s->other);
	sim_free(s->sim);
}

static void one_op(struct soak *s)
{
	const unsigned i = rng_below(&s->rng, SLOTS);
	const struct slot *slot = &s->slots[i];
	switch (rng_below(&s->rng, 32)) {
	case 0 ... 4:
		return op_make(s, i);
	case 5 ... 6:
		return op_remove(s, i);
	case 7 ... 10:
		return op_change(s, i);
	case 11 ... 12:
		return op_damage(s, i);
	case 13 ... 15:
		return op_repair(s, i);
	case 16:
		return op_foreign(s);
	case 17:
		if (rng_one_in(&s->rng, 8))
			op_crash(s);
		return;
	case 18:
		return sim_advance_us(s->sim, rng_below(&s->rng, 30000));
	case 19 ... 25:
		if (slot->made && (slot->damage == WHOLE || slot->damage == PARTED))
			frames_up(s, i);
		return;
	default:
		if (slot->made && slot->damage == WHOLE)
			frames_down(s, i);
	}
}

static void test_soak(void **state)
{
	(void)state;
	static struct soak s;
	const char *env = getenv("FETHD_SOAK_OPS");
	const unsigned long total = env ? strtoul(env, NULL, 10) : 50000;
	s.rng = rng_start("soak_feth");
	unsigned machines = 0;
	while (s.ops < total) {
		machine_begin(&s, (enum sim_profile)(machines++ % SIM_PROFILES));
		for (unsigned k = 0; k < OPS_PER_MACHINE && s.ops < total; k++, s.ops++) {
			one_op(&s);
			check(&s);
		}
		machine_end(&s);
	}
	printf("%u operations on %u machines: %u pairs made, %u calls refused, %u tries "
	       "while a name was busy, %u repaired, %u crashes, %u frames from the host, %u to "
	       "it\n",
		s.ops, machines, s.made, s.failed, s.busy, s.repaired, s.restarts, s.up, s.down);
	assert_true(s.made && s.failed && s.busy && s.repaired && s.restarts && s.up && s.down);
}

int main(void)
{
	log_set_level(LOG_ERROR); /* thousands of faults are told of otherwise */
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_soak) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
