/* feth_rig.h - what test_feth.c stands on: a machine, two processes on it - the backend's, and
 * another program's - pairs, and frames that can be told apart. */
#ifndef TESTS_DARWIN_FETH_RIG_H
#define TESTS_DARWIN_FETH_RIG_H

#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/core/hostif.h"
#include "server/core/netid.h"
#include "server/hostif/backends.h"
#include "tests/darwin/sim_priv.h" /* to look, and to meddle, behind everybody's back */

#define UNIT 10100u
#define FRAME_LEN_MAX (16370u + 18u)

static const struct hostif_ops *const feth = &hostif_feth;
static struct sim *sim;
static struct sim_proc *us, *other;
static int other_fd; /* other's, for ioctls */
static struct err err;
static bool on_all; /* the test runs through all releases */

/* -- machines -- */

/* What happens in the middle of a call of the backend's: asked again and again, whenever the kernel
 * looks at the clock (it does while the removal of some interface is not through), until it says
 * that it has done what it waited for. */
static bool (*meanwhile)(uint64_t gap_us);

static void machine_end(void)
{
	meanwhile = NULL;
	sim_free(sim);
	sim = NULL;
}

/* A machine with a few interfaces that are no business of ours. */
static bool machine(enum sim_profile profile)
{
	machine_end();
	sim = sim_new(profile);
	sim_host_interface(sim, "lo0", 0x18);
	sim_host_interface(sim, "en0", DW_IFT_ETHER);
	other = sim_proc_new(sim, 0);
	other_fd = sim_socket(other, DW_AF_INET, DW_SOCK_DGRAM, 0);
	us = sim_proc_new(sim, 0);
	sim_become(us);
	err = (struct err){ 0 };
	return true;
}

/* From now on the backend is this user's. */
static void become_user(uint32_t euid)
{
	us = sim_proc_new(sim, euid);
	sim_become(us);
}

#define ON_ALL_RELEASES                                                                            \
	on_all = true;                                                                             \
	for (enum sim_profile at = SIM_10_14; at < SIM_PROFILES && machine(at); at++)

/* What the fallback of a release can do. */
static bool has_batches(void)
{
	return sim_profile_of(sim) >= SIM_14_1;
}

static bool has_long_writes(void)
{
	return sim_profile_of(sim) >= SIM_14_0;
}

static int setup(void **state)
{
	(void)state;
	on_all = false;
	machine(SIM_15);
	return 0;
}

/* Says where it was that a loop over the releases failed. */
static int teardown(void **state)
{
	(void)state;
	if (on_all && sim_profile_of(sim) != SIM_15)
		print_message("this was on %s\n", sim_profile_name(sim_profile_of(sim)));
	machine_end();
	return 0;
}

/* How many descriptors the backend has open: the same again means that none was lost. */
static unsigned open_files(void)
{
	unsigned n = 0;
	for (int fd = 0; fd < SIM_FD_MAX; fd++)
		n += us->files[fd] != NULL;
	return n;
}

static uint64_t meanwhile_clock(void)
{
	static uint64_t last;
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	const uint64_t now = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
	bool (*fn)(uint64_t gap_us) = meanwhile;
	meanwhile = NULL; /* what it does may look at the clock too */
	if (fn && !fn(now - last))
		meanwhile = fn;
	last = now;
	return now;
}

static void do_meanwhile(bool (*fn)(uint64_t gap_us))
{
	sim_set_clock(sim, meanwhile_clock);
	(void)sim_now_us(sim);
	meanwhile = fn;
}

static int max_mtu(void)
{
	int value = 0;
	size_t len = sizeof(value);
	const int rc = sim_sysctlbyname(other, "net.link.fake.max_mtu", &value, &len, NULL, 0);
	assert_true(rc == 0 || rc == -DW_ENOENT);
	return rc < 0 ? (int)DW_FETH_MTU_DEFAULT : value;
}

static int set_sysctl(const char *name, int value)
{
	return sim_sysctlbyname(other, name, NULL, NULL, &value, sizeof(value));
}

/* Something that fails: the @after-th call of this name, or of any (""). */
static void fail_at(const char *call, unsigned after, int error)
{
	struct sim_knobs *k = sim_knobs(sim);
	k->fail_after = after;
	k->fail_errno = error;
	snprintf(k->fail_call, sizeof(k->fail_call), "%s", call);
}

/* -- other programs -- */

static int other_ifreq(unsigned long request, struct dw_ifreq req, const char *name)
{
	snprintf(req.name, sizeof(req.name), "%s", name);
	return sim_ioctl(other, other_fd, request, &req);
}

static void other_create(const char *name)
{
	assert_int_equal(other_ifreq(DW_SIOCIFCREATE, (struct dw_ifreq){ 0 }, name), 0);
}

static void other_destroy(const char *name)
{
	assert_int_equal(other_ifreq(DW_SIOCIFDESTROY, (struct dw_ifreq){ 0 }, name), 0);
}

static void other_mac(const char *name, struct feth_mac mac)
{
	struct dw_ifreq req = { 0 };
	req.u.addr.len = sizeof(mac.b);
	memcpy(req.u.addr.data, mac.b, sizeof(mac.b));
	assert_int_equal(other_ifreq(DW_SIOCSIFLLADDR, req, name), 0);
}

static void other_mtu(const char *name, int mtu)
{
	assert_int_equal(other_ifreq(DW_SIOCSIFMTU, (struct dw_ifreq){ .u.mtu = mtu }, name), 0);
}

static void other_up(const char *name, bool up)
{
	const struct dw_ifreq req = { .u.flags = up ? DW_IFF_UP : 0 };
	assert_int_equal(other_ifreq(DW_SIOCSIFFLAGS, req, name), 0);
}

/* @peer "": parts it from the one it has. */
static void other_peer(const char *name, const char *peer)
{
	struct dw_fake_request fake = { 0 };
	struct dw_ifdrv drv = { .cmd = DW_FETH_SET_PEER, .len = sizeof(fake), .data = &fake };
	snprintf(drv.name, sizeof(drv.name), "%s", name);
	snprintf(fake.u.peer_name, sizeof(fake.u.peer_name), "%s", peer);
	assert_int_equal(sim_ioctl(other, other_fd, DW_SIOCSDRVSPEC, &drv), 0);
}

static void other_addr(const char *name, const uint8_t addr[4])
{
	struct dw_ifaliasreq req = { .addr = { .len = 16, .family = DW_AF_INET },
		.mask = { .len = 16, .family = DW_AF_INET, .addr = { 255, 255, 255, 0 } } };
	snprintf(req.name, sizeof(req.name), "%s", name);
	memcpy(req.addr.addr, addr, 4);
	assert_int_equal(sim_ioctl(other, other_fd, DW_SIOCAIFADDR, &req), 0);
}

/* -- pairs -- */

static struct hostif_spec spec_of(unsigned unit)
{
	struct hostif_spec s = {
		.network = "lab",
		.mac = { { 2, 0xaa, 0, 0, (uint8_t)(unit >> 8), (uint8_t)unit } },
		.service_mac = { { 2, 0xbb, 0, 0, (uint8_t)(unit >> 8), (uint8_t)unit } },
		.mtu = 1500,
		.up = true,
	};
	netid_names(unit, s.host, s.service);
	return s;
}

static void add_addr(struct hostif_spec *s, const char *text)
{
	const char *why;
	assert_true(cidr_parse(&s->addrs[s->n_addrs++], text, &why));
}

struct rig {
	struct hostif_spec spec;
	struct hostif_made made;
	struct hostif *hif;
};

static void must(int rc)
{
	if (rc < 0)
		fail_msg("%d %s", rc, err.text);
}

static void rig_start(struct rig *r)
{
	must(feth->make(&r->spec, &r->made, &err));
	must(feth->open(&r->hif, &r->made, &r->spec, &err));
}

static struct rig rig_open(struct hostif_spec spec)
{
	struct rig r = { .spec = spec };
	rig_start(&r);
	return r;
}

static void rig_change(struct rig *r, struct hostif_spec want)
{
	must(feth->change(&r->spec, &want, &err));
	r->spec = want;
}

static struct sim_if_info info_of(const char *name)
{
	struct sim_if_info info = { 0 };
	assert_true(sim_interface(sim, name, &info));
	return info;
}

static bool exists(const char *name)
{
	struct sim_if_info info;
	return sim_interface(sim, name, &info);
}

static unsigned interfaces(void)
{
	struct sim_if_info all[64];
	return sim_interfaces(sim, all, 64);
}

static const char *addresses(const char *name)
{
	static char text[1024];
	sim_addresses(sim, name, text, sizeof(text));
	return text;
}

/* Everything that a pair is, as text: what must be the same before and after. */
static char *describe(char out[2048], const struct hostif_spec *s)
{
	size_t len = 0;
	for (int i = 0; i < 2; i++) {
		const struct sim_if_info m = info_of(i ? s->service : s->host);
		len += (size_t)snprintf(out + len, 2048 - len,
			"%s index=%u flags=%x mtu=%u max=%u mac=%02x:%02x:%02x peer=%s bpf=%u "
			"ndrv=%u\n%s",
			m.name, m.index, m.flags, m.mtu, m.max_mtu, m.mac[1], m.mac[4], m.mac[5],
			m.peer, m.n_bpf, m.n_ndrv, addresses(m.name));
	}
	return out;
}

static void assert_pair(const struct hostif_spec *s)
{
	const struct sim_if_info host = info_of(s->host), service = info_of(s->service);
	assert_int_equal(host.mtu, s->mtu);
	assert_int_equal(service.mtu, s->mtu);
	assert_memory_equal(host.mac, s->mac.b, 6);
	assert_memory_equal(service.mac, s->service_mac.b, 6);
	assert_string_equal(host.peer, s->service);
	assert_string_equal(service.peer, s->host);
	assert_int_equal(host.flags & DW_IFF_UP, s->up ? DW_IFF_UP : 0);
	assert_true(service.flags & DW_IFF_UP);
	assert_int_equal(host.n_bpf + host.n_ndrv, 0);
	assert_int_equal(service.n_inet + service.n_inet6, 0);
	assert_int_equal(max_mtu(), DW_FETH_MTU_DEFAULT);
}

/* -- what a person reads -- */

static void assert_says(const char *text)
{
	if (!strstr(err.text, text))
		fail_msg("no \"%s\" in: %s", text, err.text);
}

/* Refused: a sentence about network and interface, and nothing left behind. */
static void assert_refused(const struct hostif_spec *spec, int rc)
{
	struct hostif_made made = { -1, -1, 0 };
	const unsigned files = open_files();
	const unsigned n = interfaces();
	err = (struct err){ 0 };
	const int got = feth->make(spec, &made, &err);
	if (got != rc)
		fail_msg("%d, not %d: %s", got, rc, err.text);
	assert_int_equal(err.code, rc);
	assert_says("lab: ");
	assert_says("feth1"); /* host or service member, whichever it was about */
	assert_int_equal(interfaces(), n);
	assert_int_equal(open_files(), files);
	assert_int_equal(made.rx_fd, -1);
}

/* -- frames -- */

static uint8_t frame_bytes[FRAME_LEN_MAX + 64];
static uint8_t recv_buf[1024]; /* the backend has memory of its own */

/* Bytes of a frame that no other has: @seq says which it is. */
static const uint8_t *frame_of(uint32_t seq, size_t len)
{
	static const uint8_t head[8] = { 2, 1, 1, 1, 1, 1, 2, 2 };
	for (size_t i = 0; i < len; i++)
		frame_bytes[i] = (uint8_t)(seq * 31 + i * 7 + (i >> 8));
	memcpy(frame_bytes, head, len < sizeof(head) ? len : sizeof(head));
	if (len >= 12)
		memcpy(frame_bytes + 8, &seq, 4);
	return frame_bytes;
}

static void host_sends(const struct rig *r, uint32_t seq, size_t len)
{
	assert_int_equal(sim_host_output(sim, r->spec.host, frame_of(seq, len), len), 0);
}

static int receive(struct rig *r, struct frame *frames)
{
	return feth->recv(r->hif, frames, HOSTIF_BATCH, recv_buf, sizeof(recv_buf));
}

static void assert_frame(const struct frame *f, uint32_t seq, size_t len)
{
	assert_int_equal(f->len, len);
	assert_int_equal(f->head_len, len);
	assert_int_equal(f->more_n, 0);
	assert_memory_equal(f->head, frame_of(seq, len), len);
}

static unsigned send_one(struct rig *r, uint32_t seq, size_t len)
{
	const struct frame f = {
		.head = frame_of(seq, len), .head_len = (uint32_t)len, .len = (uint32_t)len
	};
	return feth->send(r->hif, &f, 1);
}

/* The next frame that came in at the host member is this one. */
static void assert_host_got(const struct rig *r, uint32_t seq, size_t len)
{
	static uint8_t got[FRAME_LEN_MAX + 64];
	assert_int_equal(sim_host_input(sim, r->spec.host, got, sizeof(got)), len);
	assert_memory_equal(got, frame_of(seq, len), len);
}

static void assert_host_got_nothing(const struct rig *r)
{
	uint8_t got[64];
	assert_int_equal(sim_host_input(sim, r->spec.host, got, sizeof(got)), 0);
}

/* Nothing comes, and what we sent does not come back. */
static void assert_silence(struct rig *r)
{
	struct frame frames[HOSTIF_BATCH];
	assert_false(feth->more(r->hif));
	assert_int_equal(receive(r, frames), 0);
}

#endif
