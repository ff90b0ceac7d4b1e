/* test_feth.c - the feth backend on the simulated kernel (sim.h), in each release where they
 * differ.
 *
 * What the backend promises is looked at from outside: by what there is on the machine afterwards,
 * what the host gets and what we get. One file, long as it is, since all tests stand on one rig. */
#include "tests/darwin/feth_rig.h"

#include "server/core/membership.h"
#include "server/hostif/bpfrec_darwin.h"
#include "server/hostif/iflist_darwin.h"
#include "server/hostif/route_darwin.h"
#include "tests/support/bytes.h"

/* -- making -- */

static void test_make_gives_the_pair_that_was_specified(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct hostif_spec spec = spec_of(UNIT);
		add_addr(&spec, "10.1.2.3/24");
		add_addr(&spec, "fd00::1/64");
		spec.mtu = 9000;
		struct rig r = rig_open(spec);
		assert_pair(&r.spec);
		assert_non_null(strstr(addresses(spec.host), "10.1.2.3/24\n"));
		assert_non_null(strstr(addresses(spec.host), "fd00::1/64\n"));
		assert_int_equal(r.made.mtu_max, DW_FETH_MTU_MAX);
		assert_int_equal(info_of(spec.service).n_bpf, 1);
		assert_int_equal(info_of(spec.service).n_ndrv, 1);
		assert_int_equal(feth->fd(r.hif), r.made.rx_fd);
		feth->close(r.hif);
		feth->close(NULL);
		assert_int_equal(info_of(spec.service).n_bpf + info_of(spec.service).n_ndrv, 0);
		feth->remove(&r.spec);
		assert_int_equal(interfaces(), 2);
	}
}

/* Rule 19: the first address raises an interface. */
static void test_a_host_member_that_is_to_be_down_is_down(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct hostif_spec spec = spec_of(UNIT);
		spec.up = false;
		add_addr(&spec, "10.0.0.1/24");
		add_addr(&spec, "fd00::1/64");
		struct rig r = rig_open(spec);
		assert_pair(&r.spec);
		assert_int_equal(info_of(spec.host).n_inet, 1);
		add_addr(&spec, "10.0.1.1/24");
		rig_change(&r, spec);
		assert_pair(&r.spec);
		feth->close(r.hif);
	}
}

static void test_every_mtu_of_the_range(void **state)
{
	(void)state;
	static const uint32_t mtus[] = { 72, 1500, 2048, 2049, 16369, 16370 };
	assert_int_equal(feth->mtu_min, 72);
	assert_int_equal(feth->mtu_max, 16370);
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		struct hostif_spec spec = spec_of(UNIT + (unsigned)i);
		spec.mtu = mtus[i];
		struct rig r = rig_open(spec);
		assert_pair(&r.spec);
		feth->close(r.hif);
	}
	struct hostif_spec spec = spec_of(UNIT + 10);
	spec.mtu = 71;
	assert_refused(&spec, -EINVAL);
	assert_says("72 to 16370");
	spec.mtu = 16371;
	assert_refused(&spec, -EINVAL);
	spec.mtu = 1279;
	add_addr(&spec, "fd00::1/64");
	assert_refused(&spec, -EINVAL);
	assert_says("IPv6");
}

static void test_only_root_makes_pairs(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		const struct hostif_spec spec = spec_of(UNIT);
		assert_true(feth->allowed());
		become_user(501);
		assert_false(feth->allowed());
		assert_refused(&spec, -EPERM);
		assert_says("run fethd as root");
		sim_knobs(sim)->bpf_group_only = true; /* ChmodBPF: BPF alone makes no pair */
		assert_false(feth->allowed());
		assert_refused(&spec, -EPERM);
		assert_says("run fethd as root");
		assert_int_equal(max_mtu(), DW_FETH_MTU_DEFAULT);
	}
}

/* Lets each privileged call fail in turn, until none is left to. */
static void refuse_each(const struct hostif_spec *spec, int error)
{
	const unsigned files = open_files();
	unsigned refused = 0;
	for (unsigned n = 1;; n++) {
		struct hostif_made made;
		err = (struct err){ 0 };
		fail_at("", n, error);
		const int rc = feth->make(spec, &made, &err);
		const bool fired = !sim_knobs(sim)->fail_after;
		fail_at("", 0, 0);
		assert_int_equal(max_mtu(), DW_FETH_MTU_DEFAULT);
		if (rc < 0) {
			assert_true(fired);
			assert_int_equal(err.code, rc);
			assert_says("lab: ");
			assert_says(strstr(err.text, spec->host) ? spec->host : spec->service);
			assert_int_equal(interfaces(), 2);
			refused++;
		} else {
			assert_pair(spec);
			sim_close(us, made.rx_fd);
			if (made.tx_fd != made.rx_fd)
				sim_close(us, made.tx_fd);
			feth->remove(spec);
		}
		assert_int_equal(open_files(), files);
		if (!fired)
			break;
		assert_true(n < 100);
	}
	assert_in_range(refused, 10, 100);
}

static void test_make_is_all_or_nothing(void **state)
{
	(void)state;
	static const int errors[] = { DW_EIO, DW_ENOMEM, DW_EPERM, DW_EINVAL, DW_ENXIO };
	ON_ALL_RELEASES
	{
		struct hostif_spec spec = spec_of(UNIT);
		add_addr(&spec, "10.0.0.1/24");
		add_addr(&spec, "fd00::1/64");
		spec.mtu = 2000;
		spec.up = false;
		for (size_t i = 0; i < 2 * sizeof(errors) / sizeof(errors[0]); i++) {
			sim_knobs(sim)->no_ndrv = i % 2;
			refuse_each(&spec, errors[i / 2]);
		}
	}
}

/* Rule 7. A typical one is through in a moment. */
static void test_make_rides_out_a_destroy_that_is_under_way(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct rig r = rig_open(spec_of(UNIT));
		feth->close(r.hif);
		for (unsigned calls = 1; calls <= 2; calls++) {
			sim_knobs(sim)->busy_calls = calls;
			sim_knobs(sim)->busy_us = calls * 1000 - 100;
			feth->remove(&r.spec);
			assert_true(feth->name_free(r.spec.host));
			rig_start(&r);
			assert_pair(&r.spec);
			struct hostif *old = r.hif;
			rig_start(&r); /* and where it replaces one itself */
			assert_pair(&r.spec);
			feth->close(old);
			feth->close(r.hif);
		}
	}
}

/* Another moment is the caller's to wait for: all frames wait with us. */
static void test_make_does_not_wait_longer(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct rig r = rig_open(spec_of(UNIT));
		feth->close(r.hif);
		sim_knobs(sim)->busy_calls = 1000;
		feth->remove(&r.spec);
		const uint64_t start = sim_now_us(sim);
		assert_refused(&r.spec, -EBUSY);
		assert_says("feth10100 (SIOCIFCREATE)");
		assert_says("try again in a few seconds");
		assert_in_range(sim_now_us(sim) - start, 0, 2000);
		assert_int_equal(max_mtu(), DW_FETH_MTU_DEFAULT);
	}
}

/* As the daemon does, by a timer. What a try took back is busy in its turn. */
static void test_a_busy_name_can_be_made_later(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct rig r = rig_open(spec_of(UNIT));
		feth->close(r.hif);
		sim_knobs(sim)->busy_us = 20000;
		sim_knobs(sim)->busy_calls = 4;
		feth->remove(&r.spec);
		unsigned tries = 0;
		while (feth->make(&r.spec, &r.made, &err) < 0) {
			assert_int_equal(err.code, -EBUSY);
			assert_int_equal(interfaces(), 2);
			assert_int_equal(open_files(), 0);
			assert_true(++tries < 10);
			sim_advance_us(sim, 10000);
		}
		assert_true(tries > 1);
		must(feth->open(&r.hif, &r.made, &r.spec, &err));
		assert_pair(&r.spec);
		feth->close(r.hif);
	}
}

/* Busy is the second of the two names: the first member goes again. */
static void test_a_busy_service_member_leaves_no_host_member(void **state)
{
	(void)state;
	const struct hostif_spec spec = spec_of(UNIT);
	other_create(spec.service);
	sim_knobs(sim)->busy_calls = 3;
	other_destroy(spec.service);
	sim_knobs(sim)->busy_calls = 0;
	assert_refused(&spec, -EBUSY);
	assert_says("feth15100 (SIOCIFCREATE)");
	struct rig r = rig_open(spec);
	assert_pair(&spec);
	feth->close(r.hif);
}

static void test_prefixes_are_those_declared(void **state)
{
	(void)state;
	static const char *const prefixes[] = { "10.1.2.3/32", "10.9.16.1/20", "172.16.0.1/9",
		"fd00::1/61", "fd01::1/128" };
	struct hostif_spec spec = spec_of(UNIT);
	for (int i = 0; i < 5; i++)
		add_addr(&spec, prefixes[i]);
	struct rig r = rig_open(spec);
	for (int i = 0; i < 5; i++) {
		char line[CIDR_TEXT + 1];
		snprintf(line, sizeof(line), "%s\n", prefixes[i]);
		assert_non_null(strstr(addresses(spec.host), line));
	}
	feth->close(r.hif);
}

/* hostwatch.c would make a pair anew that is there. */
static void test_a_name_is_free_only_if_the_kernel_says_so(void **state)
{
	(void)state;
	const struct hostif_spec spec = spec_of(UNIT);
	fail_at("socket", 1, DW_EMFILE);
	assert_false(feth->name_free(spec.host));
	assert_true(feth->name_free(spec.host));
}

/* -- whose it is -- */

static void test_foreign_interfaces_are_never_touched(void **state)
{
	(void)state;
	const struct hostif_spec spec = spec_of(UNIT);
	char before[2048], after[2048];

	/* a pair of ZeroTier's, say, at our unit */
	other_create(spec.host);
	other_create(spec.service);
	other_peer(spec.service, spec.host);
	other_up(spec.host, true);
	other_mtu(spec.host, 2000);
	describe(before, &spec);
	assert_refused(&spec, -EEXIST);
	assert_says("feth10100 (SIOCIFCREATE)");
	assert_says("another unit");
	assert_int_equal(feth->change(&spec, &spec, &err), -ENODEV);
	feth->remove(&spec);
	assert_int_equal(feth->sweep("fethd:", &spec, 1, &err), 0);
	assert_string_equal(describe(after, &spec), before);

	/* one of the two names */
	other_destroy(spec.host);
	assert_refused(&spec, -EEXIST);
	assert_says(spec.service);
	feth->remove(&spec);
	assert_true(exists(spec.service));
	assert_false(exists(spec.host));
}

static void test_a_member_of_ours_with_a_foreign_peer_is_not_ours(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of(UNIT));
	feth->close(r.hif);
	other_create("feth7");
	other_peer(r.spec.service, "");
	other_peer(r.spec.service, "feth7");
	assert_refused(&r.spec, -EEXIST);
	assert_says(r.spec.service);
	assert_int_equal(feth->change(&r.spec, &r.spec, &err), -ENODEV);
	assert_says("lab: cannot change interface feth10100");
	assert_int_equal(feth->sweep("", &r.spec, 1, &err), 1); /* the host member is */
	assert_false(exists(r.spec.host));
	assert_string_equal(info_of("feth7").peer, r.spec.service);

	/* a host member that somebody made anew is his */
	other_peer("feth7", "");
	other_create(r.spec.host);
	assert_refused(&r.spec, -EEXIST);
	feth->remove(&r.spec);
	assert_true(exists(r.spec.host));
	assert_false(exists(r.spec.service));
}

/* Of two daemons with a network of the same name only the service members' MACs differ. */
static void test_the_pair_of_another_daemon_is_not_ours(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of(UNIT));
	struct hostif_spec theirs = r.spec;
	theirs.service_mac.b[5] ^= 1;
	assert_refused(&theirs, -EEXIST);
	assert_int_equal(feth->sweep("", &theirs, 1, &err), 0);
	assert_true(feth->whole(&r.spec));

	other_peer(r.spec.host, "");
	assert_refused(&theirs, -EEXIST);
	assert_int_equal(feth->sweep("", &theirs, 1, &err), 0);
	assert_true(exists(r.spec.host));
	assert_true(exists(r.spec.service));
	feth->close(r.hif);
}

/* As after a crash between the service member's create and its MAC. */
static void test_a_host_member_beside_a_nameless_one_is_ours(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		const struct hostif_spec spec = spec_of(UNIT);
		other_create(spec.host);
		other_mac(spec.host, spec.mac);
		other_create(spec.service);
		struct sim_if_info info = info_of(spec.service);
		assert_memory_equal(info.mac, "feth\x3a\xfc", 6); /* 15100 */

		/* with a peer it is somebody's, and with another MAC */
		other_create("feth7");
		other_peer(spec.service, "feth7");
		assert_int_equal(feth->sweep("", &spec, 1, &err), 0);
		other_peer(spec.service, "");
		other_mac(spec.service, (struct feth_mac){ { 'f', 'e', 't', 'h', 0x3a, 0xfd } });
		assert_int_equal(feth->sweep("", &spec, 1, &err), 0);
		assert_refused(&spec, -EEXIST);
		assert_says(spec.host);
		other_destroy(spec.service);
		other_create(spec.service);

		assert_int_equal(feth->sweep("", &spec, 1, &err), 1);
		assert_false(exists(spec.host));
		assert_true(exists(spec.service)); /* whose it is nobody can tell */
		assert_refused(&spec, -EEXIST);
		assert_says(spec.service);
		assert_int_equal(feth->sweep("", &spec, 1, &err), 0);
		assert_true(exists(spec.service));
	}
}

static void test_whole_is_a_pair_that_works(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct rig r = rig_open(spec_of(UNIT));
		const struct hostif_spec spec = r.spec;
		assert_true(feth->whole(&spec));
		other_peer(spec.host, "");
		assert_false(feth->whole(&spec));
		rig_change(&r, spec);
		assert_true(feth->whole(&spec));
		other_up(spec.service, false);
		assert_false(feth->whole(&spec));
		rig_change(&r, spec);
		other_mtu(spec.service, 100);
		assert_false(feth->whole(&spec));
		rig_change(&r, spec);
		other_up(spec.host, false); /* theirs to decide */
		assert_true(feth->whole(&spec));
		/* but not a MAC, by which alone the next daemon knows the pair */
		other_mac(spec.host, (struct feth_mac){ { 2, 9, 9, 9, 9, 9 } });
		assert_false(feth->whole(&spec));
		rig_change(&r, spec);
		assert_true(feth->whole(&spec));
		other_mac(spec.service, (struct feth_mac){ { 2, 9, 9, 9, 9, 9 } });
		assert_false(feth->whole(&spec));
		rig_change(&r, spec);
		assert_true(feth->whole(&spec));
		assert_pair(&spec);
		struct hostif_spec want = spec; /* one that was asked for is none of others' */
		want.mac.b[1] = 0xcc;
		rig_change(&r, want);
		assert_true(feth->whole(&want));
		assert_false(feth->whole(&spec));
		rig_change(&r, spec);
		other_destroy(spec.host);
		assert_false(feth->whole(&spec));
		feth->close(r.hif);
	}
}

static void test_a_pair_of_ours_is_replaced(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of(UNIT));
	const uint8_t addr[4] = { 192, 168, 7, 7 };
	other_addr(r.spec.host, addr); /* shows that it is another one afterwards */
	feth->close(r.hif);
	rig_start(&r);
	assert_pair(&r.spec);
	assert_string_equal(addresses(r.spec.host), "");

	feth->close(r.hif); /* half of one */
	other_destroy(r.spec.service);
	rig_start(&r);
	assert_pair(&r.spec);

	feth->close(r.hif); /* parted */
	other_peer(r.spec.host, "");
	rig_start(&r);
	assert_pair(&r.spec);

	feth->close(r.hif); /* a MAC that somebody changed: its peer speaks for it */
	other_mac(r.spec.host, (struct feth_mac){ { 2, 9, 9, 9, 9, 9 } });
	rig_start(&r);
	assert_pair(&r.spec);

	feth->close(r.hif); /* but not alone */
	other_mac(r.spec.host, (struct feth_mac){ { 2, 9, 9, 9, 9, 9 } });
	other_peer(r.spec.host, "");
	assert_refused(&r.spec, -EEXIST);
}

static void test_remove_takes_what_is_ours(void **state)
{
	(void)state;
	const struct hostif_spec spec = spec_of(UNIT), second = spec_of(UNIT + 1);
	struct rig r = rig_open(spec), r2 = rig_open(second);
	assert_false(feth->name_free(spec.host));
	assert_false(feth->name_free(spec.service));
	assert_true(feth->name_free("feth10099"));
	feth->close(r.hif);
	other_destroy(spec.host); /* the other one outlives it: rule 8 */
	assert_false(feth->name_free(spec.service));
	feth->remove(&spec);
	assert_true(feth->name_free(spec.service));
	feth->remove(&spec);
	assert_pair(&second);
	feth->close(r2.hif);
	fail_at("SIOCIFDESTROY", 1, DW_EBUSY); /* once is no reason to leave it */
	feth->remove(&second);
	assert_int_equal(interfaces(), 2);
}

static void test_sweep_removes_what_a_crash_left(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct hostif_spec known[5];
		for (unsigned i = 0; i < 5; i++)
			known[i] = spec_of(UNIT + i);
		struct hostif *lost[3];
		for (unsigned i = 0; i < 3; i++)
			lost[i] = rig_open(known[i]).hif;
		sim_proc_exit(us); /* rule 9: it destroys nothing */
		assert_int_equal(interfaces(), 2 + 6);
		become_user(0);
		for (unsigned i = 0; i < 3; i++)
			feth->close(lost[i]);    /* no more than its memory is left */
		other_destroy(known[1].service); /* half of it is left */
		other_mac(known[2].host, (struct feth_mac){ { 2, 9, 9, 9, 9, 9 } });
		other_create(known[3].host); /* foreign, at a unit of ours */
		other_create("feth4711");
		assert_int_equal(feth->sweep("fethd:/run/fethd:", known, 0, &err), 0);
		assert_int_equal(feth->sweep("fethd:/run/fethd:", known, 5, &err), 3);
		assert_int_equal(interfaces(), 2 + 2);
		assert_true(exists(known[3].host));
		assert_true(exists("feth4711"));
		assert_int_equal(feth->sweep("fethd:/run/fethd:", known, 5, &err), 0);
	}
}

static void test_sweep_says_what_it_could_not_remove(void **state)
{
	(void)state;
	struct hostif_spec known[2] = { spec_of(UNIT), spec_of(UNIT + 1) };
	for (unsigned i = 0; i < 2; i++)
		feth->close(rig_open(known[i]).hif);
	become_user(501);
	assert_int_equal(feth->sweep("", known, 2, &err), -EPERM);
	assert_says("lab: ");
	assert_says("feth10100 (SIOCIFDESTROY)");
	assert_says("run fethd as root");
	assert_int_equal(interfaces(), 6);
}

/* -- the settings of the machine -- */

static void test_settings_that_damage_frames_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int bad, good;
	} settings[] = {
		{ "net.link.fake.hwcsum", 1, 0 },
		{ "net.link.fake.tso_support", 1, 0 },
		{ "net.link.fake.lro", 1, 0 },
		{ "net.link.fake.fcs", 1, 0 },
		{ "net.link.fake.trailer_length", 28, 0 },
		{ "net.link.fake.separate_frame_header", 1, 0 },
		{ "net.link.fake.bsd_mode", 0, 1 },
	};
	unsigned refused = 0;
	ON_ALL_RELEASES
	{
		const struct hostif_spec spec = spec_of(UNIT);
		for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
			char text[64];
			if (set_sysctl(settings[i].name, settings[i].bad) == -DW_ENOENT)
				continue; /* not in this release, and nothing to refuse */
			assert_refused(&spec, -EIO);
			snprintf(text, sizeof(text), "%s is %d", settings[i].name, settings[i].bad);
			assert_says(text);
			snprintf(text, sizeof(text), "sudo sysctl %s=%d", settings[i].name,
				settings[i].good);
			assert_says(text);
			assert_int_equal(set_sysctl(settings[i].name, settings[i].good), 0);
			refused++;
		}
		struct rig r = rig_open(spec);
		feth->close(r.hif);
	}
	assert_int_equal(refused, 2 + 4 + 5 + 6 + 6 + 7);
}

/* As when it was switched on between our look and the create. */
static void test_offloads_of_the_interface_are_refused(void **state)
{
	(void)state;
	machine(SIM_13); /* which has the capability and no setting to read */
	const struct hostif_spec spec = spec_of(UNIT);
	assert_int_equal(set_sysctl("net.link.fake.lro", 1), -DW_ENOENT);
	sim->fake.lro = 1;
	assert_refused(&spec, -EIO);
	assert_says("SIOCGIFCAP");
	assert_says("sudo sysctl");
}

static void test_max_mtu_is_everybodys(void **state)
{
	(void)state;
	for (enum sim_profile at = SIM_12; at < SIM_PROFILES && machine(at); at++) {
		struct hostif_spec spec = spec_of(UNIT);
		spec.mtu = 16370;
		set_sysctl("net.link.fake.max_mtu", 10000); /* what ZeroTier makes of it */
		struct rig r = rig_open(spec);
		assert_int_equal(max_mtu(), 10000);
		assert_int_equal(r.made.mtu_max, 16370);
		feth->close(r.hif);
		feth->remove(&spec);
		set_sysctl("net.link.fake.max_mtu", 16370);
		r = rig_open(spec);
		assert_int_equal(max_mtu(), 16370);
		feth->close(r.hif);
	}
}

/* Is called at the kernel's every step, and meanwhile somebody else has a wish of his own. */
static uint64_t sets_max_mtu(void)
{
	static bool within;
	if (!within) {
		within = true;
		if (exists("feth10100") && max_mtu() == 16370)
			set_sysctl("net.link.fake.max_mtu", 4000);
		within = false;
	}
	return 0;
}

/* Each member captures what is so at its own moment; and the last who set it wins. */
static void test_max_mtu_that_others_set_meanwhile_stays(void **state)
{
	(void)state;
	for (enum sim_profile at = SIM_12; at < SIM_PROFILES && machine(at); at++) {
		/* while a destroy is under way, the kernel looks at the clock */
		other_create("feth1");
		sim_knobs(sim)->busy_us = 1;
		sim_set_clock(sim, sets_max_mtu);
		other_destroy("feth1");
		struct rig r = rig_open(spec_of(UNIT));
		assert_int_equal(info_of(r.spec.host).max_mtu, 16370);
		assert_int_equal(info_of(r.spec.service).max_mtu, 4000);
		assert_int_equal(r.made.mtu_max, 4000);
		assert_int_equal(max_mtu(), 4000);
		feth->close(r.hif);
	}
}

static void test_where_max_mtu_cannot_be_raised_less_is_told(void **state)
{
	(void)state;
	for (enum sim_profile at = SIM_12; at < SIM_PROFILES && machine(at); at++) {
		struct hostif_spec spec = spec_of(UNIT);
		spec.mtu = 2049;
		fail_at("sysctlbyname", 1, DW_EINVAL);
		assert_refused(&spec, -EINVAL);
		assert_says("feth10100 cannot have an MTU of 2049");
		assert_says("2048");
		assert_says("net.link.fake.max_mtu=16370");
		spec.mtu = 2048;
		fail_at("sysctlbyname", 1, DW_EINVAL);
		struct rig r = rig_open(spec);
		assert_int_equal(r.made.mtu_max, 2048);
		assert_pair(&r.spec);
		struct hostif_spec want = spec;
		want.mtu = 2049;
		err = (struct err){ 0 };
		assert_int_equal(feth->change(&spec, &want, &err), -EINVAL);
		assert_says("feth10100 cannot have an MTU of 2049");
		assert_pair(&r.spec);
		feth->close(r.hif);
	}
}

static struct hostif_spec slow; /* whose service member is still being removed */

/* So that make() has to wait between its two creates. */
static void wait_for_service(void)
{
	slow = spec_of(UNIT);
	other_create(slow.service);
	sim_knobs(sim)->busy_calls = 2;
	other_destroy(slow.service);
	sim_knobs(sim)->busy_calls = 0;
	sim_knobs(sim)->busy_us = UINT64_MAX; /* one that is never through: see `meanwhile` */
	do_meanwhile(NULL);
	other_create("feth7");
	other_destroy("feth7");
}

/* A pause between the two, and it is not raised. */
static bool is_not_raised_in_a_pause(uint64_t gap_us)
{
	return exists(slow.host) && gap_us >= 900 && sim->fake.max_mtu == (int)DW_FETH_MTU_DEFAULT;
}

static void test_max_mtu_is_not_raised_while_make_waits(void **state)
{
	(void)state;
	wait_for_service();
	do_meanwhile(is_not_raised_in_a_pause);
	struct rig r = rig_open(slow);
	assert_null(meanwhile);
	assert_pair(&slow);
	assert_int_equal(r.made.mtu_max, 16370);
	feth->close(r.hif);
}

/* While it is raised for the second member. */
static bool somebody_sets_max_mtu(uint64_t gap_us)
{
	(void)gap_us;
	if (!exists(slow.host) || info_of(slow.host).mac[0] != 2 ||
		sim->fake.max_mtu != (int)DW_FETH_MTU_MAX)
		return false;
	sim->fake.max_mtu = 5000;
	return true;
}

static void test_what_somebody_makes_of_max_mtu_meanwhile_stays(void **state)
{
	(void)state;
	wait_for_service();
	assert_int_equal(set_sysctl("net.link.fake.max_mtu", 3000), 0);
	do_meanwhile(somebody_sets_max_mtu);
	struct rig r = rig_open(slow);
	assert_null(meanwhile);
	assert_int_equal(max_mtu(), 5000); /* which was so for the tries that followed, too */
	assert_int_equal(r.made.mtu_max, 16370);
	feth->close(r.hif);
}

/* -- changing -- */

static void test_change_makes_it_what_is_wanted(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct hostif_spec spec = spec_of(UNIT);
		add_addr(&spec, "10.0.0.1/24");
		add_addr(&spec, "10.0.1.1/24");
		struct rig r = rig_open(spec);
		const uint8_t theirs[4] = { 192, 168, 7, 7 };
		other_addr(spec.host, theirs);

		struct hostif_spec want = spec_of(UNIT);
		want.mtu = 9000;
		want.mac.b[1] = 0xcc;
		want.service_mac.b[1] = 0xdd;
		add_addr(&want, "10.0.1.1/24");
		add_addr(&want, "10.0.2.1/16");
		add_addr(&want, "fd00::2/64");
		add_addr(&want, "fe80::7/64");
		rig_change(&r, want);
		assert_pair(&r.spec);
		const char *text = addresses(want.host);
		assert_null(strstr(text, "10.0.0.1/"));
		assert_non_null(strstr(text, "10.0.1.1/24\n"));
		assert_non_null(strstr(text, "10.0.2.1/16\n"));
		assert_non_null(strstr(text, "fd00::2/64\n"));
		assert_non_null(strstr(text, "192.168.7.7/24\n")); /* not ours to take */

		want.mtu = 72; /* IPv6 must go first */
		assert_int_equal(feth->change(&r.spec, &want, &err), -EINVAL);
		assert_says("IPv6");
		want.n_addrs = 1;
		want.up = false;
		rig_change(&r, want);
		assert_pair(&r.spec);
		assert_null(strstr(addresses(want.host), "fd00::2"));
		want.up = true;
		rig_change(&r, want);
		assert_pair(&r.spec);
		feth->close(r.hif);
	}
}

static void test_change_leaves_alone_what_is_so_already(void **state)
{
	(void)state;
	struct hostif_event events[8];
	struct hostif_spec spec = spec_of(UNIT);
	add_addr(&spec, "10.0.0.1/24");
	add_addr(&spec, "fd00::1/64");
	add_addr(&spec, "fe80::1/64"); /* the kernel writes its scope into it */
	struct rig r = rig_open(spec);
	char before[2048], after[2048];
	describe(before, &spec);
	const int watch = feth->watch_open(&err);
	fail_at("", 1000, DW_EIO);
	rig_change(&r, spec);
	assert_int_equal(sim_knobs(sim)->fail_after, 999); /* one socket and no more was needed */
	assert_int_equal(feth->watch_read(watch, events, 8), 0);
	assert_string_equal(describe(after, &spec), before);
	feth->close(r.hif);
}

static void test_change_puts_right_what_others_did(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct hostif_spec spec = spec_of(UNIT);
		add_addr(&spec, "10.0.0.1/24");
		struct rig r = rig_open(spec);
		other_up(spec.service, false);
		other_mtu(spec.service, 100);
		other_mac(spec.service, (struct feth_mac){ { 2, 9, 9, 9, 9, 9 } });
		rig_change(&r, spec);
		assert_pair(&spec);
		other_peer(spec.host, "");
		other_mtu(spec.host, 100);
		rig_change(&r, spec);
		assert_pair(&spec);
		host_sends(&r, 1, 60);
		struct frame f[HOSTIF_BATCH];
		assert_int_equal(receive(&r, f), 1);
		feth->close(r.hif);
	}
}

/* It goes while it is changed: that is another matter than a network that does not exist, which
 * ENODEV is told as. */
static void test_a_member_that_goes_meanwhile_is_for_another_try(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of(UNIT));
	struct hostif_spec want = r.spec;
	want.mtu = 9000;
	fail_at("SIOCSIFMTU", 1, DW_ENXIO);
	assert_int_equal(feth->change(&r.spec, &want, &err), -EBUSY);
	assert_int_equal(err.code, -EBUSY);
	assert_says("another program has removed it");
	assert_says("try again");
	assert_pair(&r.spec);
	feth->close(r.hif);
}

static void test_change_says_that_the_pair_is_gone(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of(UNIT));
	const struct hostif_spec spec = r.spec;
	other_destroy(spec.host);
	assert_int_equal(feth->change(&spec, &spec, &err), -ENODEV);
	assert_says("lab: cannot change interface feth10100: it or feth15100 is gone");
	assert_true(exists(spec.service));
	feth->close(r.hif);
	rig_start(&r);
	other_destroy(spec.service);
	assert_int_equal(feth->change(&spec, &spec, &err), -ENODEV);
	feth->close(r.hif);
}

/* Each privileged call fails in turn; what was there is there again. */
static void refuse_each_change(const struct hostif_spec *spec, const struct hostif_spec *want)
{
	char before[2048], after[2048];
	const unsigned files = open_files();
	unsigned n = 1;
	describe(before, spec);
	for (;; n++) {
		err = (struct err){ 0 };
		fail_at("", n, n % 2 ? DW_ENOMEM : DW_EINVAL);
		const int rc = feth->change(spec, want, &err);
		const bool fired = !sim_knobs(sim)->fail_after;
		fail_at("", 0, 0);
		assert_int_equal(rc < 0, fired);
		assert_int_equal(open_files(), files);
		if (!fired)
			break;
		assert_says("lab: ");
		assert_says("feth1");
		assert_string_equal(describe(after, spec), before);
	}
	assert_in_range(n, 8, 30);
	assert_pair(want);
}

static void test_change_is_all_or_nothing(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct hostif_spec spec = spec_of(UNIT), want = spec_of(UNIT);
		add_addr(&spec, "10.0.0.1/24");
		add_addr(&spec, "10.0.1.1/24");
		add_addr(&spec, "fd00::1/64");
		add_addr(&want, "10.0.0.1/16");
		add_addr(&want, "fd00::2/64");
		want.mtu = 9000;
		want.mac.b[1] = 0xcc;
		want.up = false;
		struct rig r = rig_open(spec);
		refuse_each_change(&spec, &want);
		refuse_each_change(&want, &spec);
		feth->close(r.hif);
	}
}

/* So that whoever takes the host member's MTU for a promise finds it kept. */
static void test_the_service_mtu_is_never_the_smaller_one(void **state)
{
	(void)state;
	struct hostif_event ev[8];
	struct rig r = rig_open(spec_of(UNIT));
	struct hostif_spec want = r.spec;
	const int watch = feth->watch_open(&err);
	want.mtu = 9000;
	rig_change(&r, want);
	assert_int_equal(feth->watch_read(watch, ev, 8), 2); /* in the order of what happened */
	assert_string_equal(ev[0].name, want.service);
	want.mtu = 1500;
	rig_change(&r, want);
	assert_int_equal(feth->watch_read(watch, ev, 8), 2);
	assert_string_equal(ev[0].name, want.host);
	feth->close(r.hif);
}

/* -- groups, news -- */

static struct hostif_spec spec_with_ip(unsigned unit)
{
	struct hostif_spec spec = spec_of(unit);
	add_addr(&spec, "10.0.0.1/24");
	add_addr(&spec, "fd00::1/64");
	return spec;
}

static void join(const char *name, const char *text, bool join)
{
	uint8_t group[16] = { 0 };
	struct cidr addr = { 0 };
	if (strchr(text, ':')) {
		/* ff02::xyzt */
		const unsigned long low = strtoul(strrchr(text, ':') + 1, NULL, 16);
		group[0] = 0xff;
		group[1] = 0x02;
		group[14] = (uint8_t)(low >> 8);
		group[15] = (uint8_t)low;
	} else {
		sscanf(text, "%hhu.%hhu.%hhu.%hhu", &addr.addr[0], &addr.addr[1], &addr.addr[2],
			&addr.addr[3]);
		memcpy(group, addr.addr, 4);
	}
	assert_int_equal(
		sim_host_join(sim, name, strchr(text, ':') ? DW_AF_INET6 : DW_AF_INET, group, join),
		0);
}

static bool has_group(const struct feth_mac *macs, int n, const char *text)
{
	struct feth_mac mac;
	assert_true(mac_parse(&mac, text));
	for (int i = 0; i < n; i++)
		if (mac_equal(macs[i], mac))
			return true;
	return false;
}

static void test_groups_are_those_of_the_host_member(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct feth_mac macs[64];
		struct rig r = rig_open(spec_with_ip(UNIT)), r2 = rig_open(spec_with_ip(UNIT + 1));
		const char *host = r.spec.host;
		const int before = feth->groups(host, macs, 64);
		assert_true(before >= 0);
		join(host, "239.1.2.3", true);
		join(host, "238.1.2.3", true); /* one MAC with the last: RFC 1112, 6.4 */
		join(host, "224.0.0.251", true);
		join(host, "ff02::fb", true);
		join(r2.spec.host, "239.9.9.9", true);
		const int n = feth->groups(host, macs, 64);
		assert_int_equal(n, before + 3);
		assert_true(has_group(macs, n, "01:00:5e:01:02:03"));
		assert_true(has_group(macs, n, "01:00:5e:00:00:fb"));
		assert_true(has_group(macs, n, "33:33:00:00:00:fb"));
		assert_false(has_group(macs, n, "01:00:5e:09:09:09"));
		for (int i = 1; i < n; i++)
			assert_true(memcmp(macs[i - 1].b, macs[i].b, 6) < 0);
		struct feth_mac two[2];
		assert_int_equal(feth->groups(host, two, 2), n); /* and no more are written */
		assert_memory_equal(two, macs, sizeof(two));
		assert_int_equal(feth->groups(host, NULL, 0), n);

		join(host, "239.1.2.3", false);
		assert_int_equal(feth->groups(host, macs, 64), n); /* the other keeps the MAC */
		join(host, "238.1.2.3", false);
		assert_int_equal(feth->groups(host, macs, 64), n - 1);
		assert_int_equal(feth->groups("feth1010", macs, 64), -ENODEV);
		assert_int_equal(feth->groups("feth101000", macs, 64), -ENODEV);
		feth->close(r.hif);
		feth->close(r2.hif);
	}
}

/* Between the kernel's two passes, or between the question how long it is and the list. */
static void test_a_list_that_grows_meanwhile_is_asked_for_again(void **state)
{
	(void)state;
	static const int errors[] = { DW_ENOBUFS, DW_ENOMEM };
	struct rig r = rig_open(spec_with_ip(UNIT));
	struct feth_mac macs[64];
	const int n = feth->groups(r.spec.host, macs, 64);
	assert_true(n > 0);
	for (unsigned i = 0; i < 4; i++) {
		fail_at("sysctl", i / 2 + 1, errors[i % 2]);
		assert_int_equal(feth->groups(r.spec.host, macs, 64), n);
		assert_int_equal(sim_knobs(sim)->fail_after, 0);
	}
	fail_at("sysctl", 1, DW_EPERM); /* which no other try would mend */
	assert_int_equal(feth->groups(r.spec.host, macs, 64), -EPERM);
	feth->close(r.hif);
}

static const struct hostif_event *event_of(
	const struct hostif_event *events, int n, const char *name, bool groups)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(events[i].name, name) && events[i].groups == groups)
			return &events[i];
	return NULL;
}

static void test_the_watch_tells_of_interfaces_and_groups(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct hostif_event ev[8];
		const int watch = feth->watch_open(&err);
		assert_true(watch >= 0);
		assert_int_equal(feth->watch_read(watch, ev, 8), 0);
		struct rig r = rig_open(spec_with_ip(UNIT));
		int n = feth->watch_read(watch, ev, 8);
		const struct hostif_event *e = event_of(ev, n, r.spec.service, false);
		assert_non_null(e);
		assert_false(e->down || e->gone);
		assert_int_equal(e->mtu, 1500);
		assert_int_equal(feth->watch_read(watch, ev, 8), 0);

		other_up(r.spec.service, false);
		other_mtu(r.spec.service, 700);
		other_mtu(r.spec.service, 800);
		n = feth->watch_read(watch, ev, 8);
		assert_int_equal(n, 1); /* many messages, one event: what it is now */
		assert_string_equal(ev[0].name, r.spec.service);
		assert_true(ev[0].down);
		assert_false(ev[0].gone || ev[0].groups);
		assert_int_equal(ev[0].mtu, 800);

		join(r.spec.host, "239.1.2.3", true);
		join(r.spec.host, "239.1.2.4", true);
		n = feth->watch_read(watch, ev, 8);
		assert_int_equal(n, 1);
		assert_string_equal(ev[0].name, r.spec.host);
		assert_true(ev[0].groups);
		assert_false(ev[0].gone || ev[0].down);
		join(r.spec.host, "239.1.2.4", false);
		assert_int_equal(feth->watch_read(watch, ev, 8), 1);
		assert_true(ev[0].groups);

		join(r.spec.host, "239.1.2.4", true); /* both of one interface */
		other_mtu(r.spec.host, 800);
		n = feth->watch_read(watch, ev, 8);
		assert_int_equal(n, 2);
		assert_non_null(event_of(ev, n, r.spec.host, true));
		assert_int_equal(event_of(ev, n, r.spec.host, false)->mtu, 800);

		other_mtu(r.spec.host, 700); /* more than there is room for */
		other_mtu(r.spec.service, 700);
		assert_int_equal(feth->watch_read(watch, ev, 1), -ENOBUFS);
		feth->close(r.hif);
	}
}

/* Nothing else tells: rule 40. */
static void test_the_watch_tells_that_an_interface_has_gone(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct hostif_event ev[8];
		struct rig r = rig_open(spec_of(UNIT));
		const int watch = feth->watch_open(&err);
		other_destroy(r.spec.service);
		assert_int_equal(feth->watch_read(watch, ev, 8), -ENOBUFS); /* look at all */
		assert_true(feth->name_free(r.spec.service));
		assert_false(feth->name_free(r.spec.host));
		assert_int_equal(feth->watch_read(watch, ev, 8), 0);
		feth->close(r.hif);
	}
}

static bool service_goes_in_a_pause(uint64_t gap_us)
{
	if (gap_us < 900)
		return false;
	other_destroy(spec_of(UNIT).service);
	return true;
}

/* The message that it went down comes while it is still listed (dlil.c:ifnet_detach()), and none
 * after that. */
static void test_the_watch_looks_twice_at_an_interface_that_went_down(void **state)
{
	(void)state;
	struct hostif_event ev[8];
	struct rig r = rig_open(spec_of(UNIT));
	const int watch = feth->watch_open(&err);
	sim_knobs(sim)->busy_us = UINT64_MAX; /* one that is never through */
	do_meanwhile(NULL);
	other_create("feth7");
	other_destroy("feth7");
	other_up(r.spec.service, false);
	do_meanwhile(service_goes_in_a_pause);
	assert_int_equal(feth->watch_read(watch, ev, 8), -ENOBUFS);
	assert_null(meanwhile);
	feth->close(r.hif);
}

/* Many messages wait when the one comes that matters: a socket's own buffer takes about 70. */
static void test_the_watch_has_room_for_a_storm(void **state)
{
	(void)state;
	struct hostif_event ev[8];
	struct rig r = rig_open(spec_of(UNIT));
	const int watch = feth->watch_open(&err);
	for (int i = 0; i < 500; i++)
		other_mtu(r.spec.host, 1000 + i);
	other_destroy(r.spec.service);
	bool lost = false;
	int n;
	for (int calls = 0; (n = feth->watch_read(watch, ev, 8)) != 0; calls++) {
		assert_true(calls < 20 && (n == 1 || n == -ENOBUFS));
		lost |= n == -ENOBUFS;
	}
	assert_true(lost);
	feth->close(r.hif);
}

/* -- frames from the host -- */

static void test_frames_come_from_the_host_whole_and_in_order(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct hostif_spec spec = spec_of(UNIT);
		spec.mtu = 1500;
		sim_knobs(sim)->no_ndrv = at % 2; /* no matter how we inject */
		struct rig r = rig_open(spec);
		struct frame f[HOSTIF_BATCH];
		assert_silence(&r);
		/* every length modulo 4, so that a wrong alignment loses its way */
		uint32_t seq = 0, got = 0;
		for (size_t len = 14; len < 314; len++)
			host_sends(&r, seq++, len);
		assert_int_equal(sim_poll(us, feth->fd(r.hif), DW_POLLIN), DW_POLLIN);
		while (got < seq) { /* one read, 64 at a time */
			const int n = receive(&r, f);
			assert_int_equal(n, seq - got < 64 ? seq - got : 64);
			for (int i = 0; i < n; i++, got++)
				assert_frame(&f[i], got, 14 + got);
			assert_int_equal(feth->more(r.hif), got < seq);
		}
		assert_silence(&r);
		feth->close(r.hif);
	}
}

static void test_recv_gives_no_more_than_it_is_asked_for(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of(UNIT));
	struct frame f[3];
	for (uint32_t i = 0; i < 4; i++)
		host_sends(&r, i, 61);
	assert_int_equal(feth->recv(r.hif, f, 0, recv_buf, sizeof(recv_buf)), 0);
	assert_int_equal(feth->recv(r.hif, f, 3, recv_buf, 0), 3); /* needs none of our memory */
	assert_true(feth->more(r.hif));
	host_sends(&r, 4, 61); /* comes behind what is left */
	assert_int_equal(feth->recv(r.hif, f, 3, recv_buf, 0), 1);
	assert_frame(&f[0], 3, 61);
	assert_int_equal(feth->recv(r.hif, f, 3, recv_buf, 0), 1);
	assert_frame(&f[0], 4, 61);
	feth->close(r.hif);
}

/* Rule 32: without BIOCIMMEDIATE a frame waits until a buffer is full. */
static void test_one_frame_makes_the_descriptor_readable(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct rig r = rig_open(spec_of(UNIT));
		const int fd = feth->fd(r.hif), kq = sim_kqueue(us);
		assert_int_equal(sim_kevent_add(us, kq, fd, DW_EVFILT_READ), 0);
		assert_int_equal(sim_kevent(us, kq, fd, DW_EVFILT_READ), 0);
		host_sends(&r, 1, 60);
		assert_int_equal(sim_kevent(us, kq, fd, DW_EVFILT_READ), 1);
		struct frame f[HOSTIF_BATCH];
		assert_int_equal(receive(&r, f), 1);
		assert_int_equal(sim_kevent(us, kq, fd, DW_EVFILT_READ), 0);
		feth->close(r.hif);
	}
}

static void test_as_much_comes_at_once_as_the_kernel_keeps(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct hostif_spec spec = spec_of(UNIT);
		spec.mtu = 16370;
		struct rig r = rig_open(spec);
		struct frame f[HOSTIF_BATCH];
		/* two buffers of 512 KiB: 31 each of these */
		for (uint32_t i = 0; i < 62; i++)
			host_sends(&r, i, 16384);
		assert_int_equal(receive(&r, f), 31);
		assert_frame(&f[30], 30, 16384);
		assert_int_equal(receive(&r, f), 31);
		assert_frame(&f[30], 61, 16384);
		assert_silence(&r);
		feth->close(r.hif);
	}
}

/* On 15 the kernel is spared work: no time stamps, and no frame goes on into the service member. */
static void test_what_a_release_offers_is_used(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct rig r = rig_open(spec_of(UNIT));
		int32_t on = 0;
		uint8_t got[100];
		const int rc = sim_ioctl(us, r.made.rx_fd, DW_BIOCGNOTSTAMP, &on);
		assert_int_equal(rc, at == SIM_15 ? 0 : -DW_EINVAL);
		assert_int_equal(on, at == SIM_15);
		host_sends(&r, 1, 60);
		assert_int_equal(sim_host_input(sim, r.spec.service, got, sizeof(got)),
			at == SIM_15 ? 0 : 60);
		struct frame f[HOSTIF_BATCH];
		assert_int_equal(receive(&r, f), 1);
		feth->close(r.hif);
	}
}

/* hostif_made promises it; the loop of all networks would wait. */
static void test_no_descriptor_blocks(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		for (int fallback = 0; fallback < 2; fallback++) {
			sim_knobs(sim)->no_ndrv = fallback;
			struct rig r = rig_open(spec_of(UNIT + (unsigned)fallback));
			assert_int_equal(r.made.tx_fd == r.made.rx_fd, fallback);
			assert_true(us->files[r.made.rx_fd]->nonblock);
			assert_true(us->files[r.made.tx_fd]->nonblock);
			feth->close(r.hif);
		}
	}
}

/* -- frames to the host -- */

static void test_frames_go_to_the_host_and_do_not_come_back(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		for (int fallback = 0; fallback < 2; fallback++) {
			struct hostif_spec spec = spec_of(UNIT + (unsigned)fallback);
			sim_knobs(sim)->no_ndrv = fallback;
			struct rig r = rig_open(spec);
			static const size_t lens[] = { 14, 15, 16, 17, 59, 60, 61, 1000, 1513,
				1514 };
			for (uint32_t i = 0; i < 10; i++) {
				assert_int_equal(send_one(&r, i, lens[i]), 1);
				assert_host_got(&r, i, lens[i]);
				assert_host_got_nothing(&r); /* once */
			}
			assert_silence(&r);
			/* while the host's own come, and only here */
			host_sends(&r, 77, 99);
			struct frame f[HOSTIF_BATCH];
			assert_int_equal(receive(&r, f), 1);
			assert_frame(&f[0], 77, 99);
			assert_host_got_nothing(&r);
			feth->close(r.hif);
		}
	}
}

/* Rule 24: over 8192 bytes AF_NDRV needs a larger buffer. */
static void test_jumbo_frames_both_ways(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		struct hostif_spec spec = spec_of(UNIT);
		spec.mtu = 16370;
		struct rig r = rig_open(spec);
		struct frame f[HOSTIF_BATCH];
		static const size_t lens[] = { 8192, 8193, 9014, 16384,
			16388 }; /* the last tagged */
		for (uint32_t i = 0; i < 5; i++) {
			assert_int_equal(send_one(&r, i, lens[i]), 1);
			assert_host_got(&r, i, lens[i]);
			host_sends(&r, 100 + i, lens[i]);
			assert_int_equal(receive(&r, f), 1);
			assert_frame(&f[0], 100 + i, lens[i]);
		}
		feth->close(r.hif);
	}
}

static void test_frames_in_pieces(void **state)
{
	(void)state;
	static const size_t cuts[] = { 14, 0, 1, 20, 0, 25 };
	ON_ALL_RELEASES
	{
		for (int fallback = 0; fallback < 2; fallback++) {
			sim_knobs(sim)->no_ndrv = fallback;
			struct rig r = rig_open(spec_of(UNIT + (unsigned)fallback));
			struct seg more[5];
			const uint8_t *b = frame_of(3, 60);
			size_t done = cuts[0];
			for (int i = 0; i < 5; i++) {
				more[i] = (struct seg){ b + done, cuts[i + 1] };
				done += cuts[i + 1];
			}
			const struct frame f = {
				.head = b, .head_len = 14, .len = 60, .more = more, .more_n = 5
			};
			assert_int_equal(feth->send(r.hif, &f, 1), 1);
			assert_host_got(&r, 3, 60);
			feth->close(r.hif);
		}
	}
}

/* More pieces than one call takes: that frame is lost, not its neighbours. */
static void test_a_frame_of_too_many_pieces_is_lost(void **state)
{
	(void)state;
	static struct seg more[2000];
	static uint8_t many[2000], two[2][60];
	memset(many, 9, sizeof(many));
	for (int i = 0; i < 2000; i++)
		more[i] = (struct seg){ many + i, 1 };
	for (int fallback = 0; fallback < 2; fallback++) {
		sim_knobs(sim)->no_ndrv = fallback;
		struct rig r = rig_open(spec_of(UNIT + (unsigned)fallback));
		struct frame f[3] = { { 0 } };
		for (uint32_t i = 0; i < 2; i++)
			memcpy(two[i], frame_of(i, 60), 60);
		f[0] = (struct frame){ .head = two[0], .head_len = 60, .len = 60 };
		f[2] = (struct frame){ .head = two[1], .head_len = 60, .len = 60 };
		f[1] = (struct frame){
			.head = many, .head_len = 14, .len = 14 + 1400, .more = more, .more_n = 1400
		};
		assert_int_equal(feth->send(r.hif, f, 3), 2);
		assert_host_got(&r, 0, 60);
		assert_host_got(&r, 1, 60);
		assert_host_got_nothing(&r);
		feth->close(r.hif);
	}
}

/* Rule 23: the simulated kernel ends this program, the real one the machine. */
static void test_no_frame_under_14_bytes_reaches_the_kernel(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		for (int fallback = 0; fallback < 2; fallback++) {
			sim_knobs(sim)->no_ndrv = fallback;
			struct rig r = rig_open(spec_of(UNIT + (unsigned)fallback));
			for (size_t len = 0; len < 14; len++)
				assert_int_equal(send_one(&r, 1, len), 0);
			assert_host_got_nothing(&r);
			assert_int_equal(send_one(&r, 1, 14), 1);
			assert_host_got(&r, 1, 14);
			feth->close(r.hif);
		}
	}
}

/* Frames of all lengths, in memory that stands. */
static struct frame *burst(unsigned n, const size_t *lens, unsigned n_lens)
{
	static uint8_t memory[300][2048];
	static struct frame frames[300];
	for (unsigned i = 0; i < n; i++) {
		const size_t len = lens[i % n_lens];
		memcpy(memory[i], frame_of(i, len), len);
		frames[i] = (struct frame){
			.head = memory[i], .head_len = (uint32_t)len, .len = (uint32_t)len
		};
	}
	return frames;
}

static void test_bursts_arrive_in_order(void **state)
{
	(void)state;
	static const size_t lens[] = { 14, 60, 61, 1514, 62, 63, 1513 };
	ON_ALL_RELEASES
	{
		for (int fallback = 0; fallback < 2; fallback++) {
			sim_knobs(sim)->no_ndrv = fallback;
			struct rig r = rig_open(spec_of(UNIT + (unsigned)fallback));
			assert_int_equal(feth->send(r.hif, burst(300, lens, 7), 300), 300);
			for (uint32_t i = 0; i < 300; i++)
				assert_host_got(&r, i, lens[i % 7]);
			assert_host_got_nothing(&r);
			assert_silence(&r);
			assert_int_equal(feth->send(r.hif, NULL, 0), 0);
			feth->close(r.hif);
		}
	}
}

/* -- the fallback -- */

/* Table 5.7 of what BPF takes: 2048 bytes up to 13, the MTU and 18 bytes afterwards. */
static void test_the_fallback_is_bpf_within_its_limits(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		sim_knobs(sim)->no_ndrv = true;
		const uint32_t most = has_long_writes() ? 16370 : 2034;
		struct hostif_spec spec = spec_of(UNIT);
		spec.mtu = most + 1;
		if (most < 16370) {
			assert_refused(&spec, -EINVAL);
			assert_says("feth10100 cannot have an MTU of 2035");
			assert_says("2034 or less");
		}
		spec.mtu = most;
		struct rig r = rig_open(spec);
		assert_pair(&spec);
		assert_int_equal(r.made.mtu_max, most);
		assert_int_equal(r.made.tx_fd, r.made.rx_fd);
		assert_int_equal(info_of(spec.service).n_ndrv, 0);
		int32_t batch = 0;
		const int rc = sim_ioctl(us, r.made.tx_fd, DW_BIOCGBATCHWRITE, &batch);
		assert_int_equal(rc, has_batches() ? 0 : -DW_EINVAL);
		assert_int_equal(batch, has_batches());

		assert_int_equal(send_one(&r, 1, most + 14), 1);
		assert_host_got(&r, 1, most + 14);
		/* a tag at full MTU: refused where the release does, and that is all */
		assert_int_equal(send_one(&r, 2, most + 18), has_long_writes());
		if (has_long_writes())
			assert_host_got(&r, 2, most + 18);
		assert_int_equal(send_one(&r, 3, 60), 1);
		assert_host_got(&r, 3, 60);
		host_sends(&r, 4, most + 14);
		struct frame f[HOSTIF_BATCH];
		assert_int_equal(receive(&r, f), 1);
		assert_frame(&f[0], 4, most + 14);
		feth->close(r.hif);
	}
}

/* A batch is refused as a whole (rule 37), so it must hold nothing that could be. */
static void test_one_bad_frame_does_not_take_its_batch_along(void **state)
{
	(void)state;
	static uint8_t big[70000];
	static const size_t lens[] = { 60, 61, 62, 63 };
	ON_ALL_RELEASES
	{
		for (int fallback = 0; fallback < 2; fallback++) {
			sim_knobs(sim)->no_ndrv = fallback;
			struct hostif_spec spec = spec_of(UNIT + (unsigned)fallback);
			struct rig r = rig_open(spec);
			struct frame *f = burst(200, lens, 4);
			f[3].head_len = f[3].len = 13;
			f[9] = (struct frame){ .head = big, .head_len = 65554, .len = 65554 };
			f[10] = (struct frame){ .head = big, .head_len = 70000, .len = 70000 };
			f[199].head_len = f[199].len = 0;
			assert_int_equal(feth->send(r.hif, f, 200), 196);
			for (uint32_t i = 0; i < 199; i++)
				if (i != 3 && i != 9 && i != 10)
					assert_host_got(&r, i, lens[i % 4]);
			assert_host_got_nothing(&r);
			feth->close(r.hif);
		}
	}
}

static void test_the_mtu_may_change_under_the_fallback(void **state)
{
	(void)state;
	for (enum sim_profile at = SIM_14_0; at < SIM_PROFILES && machine(at); at++) {
		sim_knobs(sim)->no_ndrv = true;
		struct rig r = rig_open(spec_of(UNIT));
		struct hostif_spec want = r.spec;
		want.mtu = 9000;
		rig_change(&r, want);
		assert_int_equal(send_one(&r, 1, 9018), 1);
		assert_host_got(&r, 1, 9018);
		feth->close(r.hif);
	}
}

/* -- what may happen meanwhile -- */

static void test_a_service_member_that_is_down_takes_nothing(void **state)
{
	(void)state;
	static const size_t lens[] = { 60 };
	ON_ALL_RELEASES
	{
		for (int fallback = 0; fallback < 2; fallback++) {
			sim_knobs(sim)->no_ndrv = fallback;
			struct rig r = rig_open(spec_of(UNIT + (unsigned)fallback));
			struct frame f[HOSTIF_BATCH];
			other_up(r.spec.service, false);
			assert_int_equal(feth->send(r.hif, burst(100, lens, 1), 100), 0);
			host_sends(&r, 1, 60); /* rule 22: that way it goes on */
			assert_int_equal(receive(&r, f), 1);
			rig_change(&r, r.spec);
			assert_int_equal(feth->send(r.hif, burst(100, lens, 1), 100), 100);
			/* a host member that is down receives; it cannot send */
			other_up(r.spec.host, false);
			assert_int_equal(send_one(&r, 1, 60), 1);
			assert_int_equal(sim_host_output(sim, r.spec.host, frame_of(1, 60), 60),
				-DW_ENETDOWN);
			feth->close(r.hif);
		}
	}
}

static void test_a_frame_without_memory_is_lost_alone(void **state)
{
	(void)state;
	static const size_t lens[] = { 60, 61 };
	struct rig r = rig_open(spec_of(UNIT));
	sim_knobs(sim)->enobufs_every = 3;
	assert_int_equal(feth->send(r.hif, burst(90, lens, 2), 90), 60);
	for (uint32_t i = 0; i < 90; i++)
		if (i % 3 != 2)
			assert_host_got(&r, i, lens[i % 2]);
	assert_host_got_nothing(&r);
	feth->close(r.hif);
}

static void test_a_full_queue_loses_the_oldest_without_a_word(void **state)
{
	(void)state;
	static const size_t lens[] = { 60 };
	struct rig r = rig_open(spec_of(UNIT));
	sim_knobs(sim)->hold_output = true;
	sim_knobs(sim)->queue_limit = 100;
	assert_int_equal(feth->send(r.hif, burst(250, lens, 1), 250), 250);
	sim_run(sim);
	for (uint32_t i = 150; i < 250; i++)
		assert_host_got(&r, i, 60);
	assert_host_got_nothing(&r);
	feth->close(r.hif);
}

/* ZeroTier starts, say. */
static void test_a_pair_that_vanishes_is_noticed_and_made_anew(void **state)
{
	(void)state;
	static const size_t lens[] = { 60 };
	ON_ALL_RELEASES
	{
		for (int fallback = 0; fallback < 2; fallback++) {
			sim_knobs(sim)->no_ndrv = fallback;
			struct rig r = rig_open(spec_of(UNIT + (unsigned)fallback));
			struct frame f[HOSTIF_BATCH];
			struct hostif_event ev[8];
			const int watch = feth->watch_open(&err), kq = sim_kqueue(us);
			assert_int_equal(
				sim_kevent_add(us, kq, feth->fd(r.hif), DW_EVFILT_READ), 0);
			host_sends(&r, 1, 60);
			other_destroy(r.spec.host);
			other_destroy(r.spec.service);
			sim_run(sim);
			assert_int_equal(feth->watch_read(watch, ev, 8), -ENOBUFS);
			assert_int_equal(feth->send(r.hif, burst(5, lens, 1), 5), 0);
			int n = receive(&r, f); /* what came before */
			assert_true(n == 1 || n == -ENXIO);
			if (n == 1)
				n = receive(&r, f);
			assert_int_equal(n, -ENXIO);
			assert_int_equal(feth->change(&r.spec, &r.spec, &err), -ENODEV);

			/* as hostwatch.c does: while the old descriptors are still open or not */
			feth->close(r.hif);
			feth->remove(&r.spec);
			rig_start(&r);
			assert_pair(&r.spec);
			host_sends(&r, 2, 60);
			assert_int_equal(receive(&r, f), 1);
			assert_frame(&f[0], 2, 60);
			assert_int_equal(send_one(&r, 3, 60), 1);
			assert_host_got(&r, 3, 60);
			feth->close(r.hif);
		}
	}
}

static void test_pairs_do_not_hear_each_other(void **state)
{
	(void)state;
	struct rig r[3];
	struct frame f[HOSTIF_BATCH];
	for (unsigned i = 0; i < 3; i++)
		r[i] = rig_open(spec_of(UNIT + i));
	host_sends(&r[1], 1, 60);
	assert_int_equal(send_one(&r[2], 2, 60), 1);
	assert_silence(&r[0]);
	assert_silence(&r[2]);
	assert_int_equal(receive(&r[1], f), 1);
	assert_host_got_nothing(&r[0]);
	assert_host_got_nothing(&r[1]);
	assert_host_got(&r[2], 2, 60);
	for (unsigned i = 0; i < 3; i++)
		feth->close(r[i].hif);
}

/* -- BPF devices -- */

static void test_devices_in_use_are_passed_over(void **state)
{
	(void)state;
	char path[24];
	for (int i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "/dev/bpf%d", i);
		assert_true(sim_open(other, path) >= 0);
	}
	struct rig r = rig_open(spec_of(UNIT));
	assert_pair(&r.spec);
	feth->close(r.hif);
	assert_true(sim_open(other, "/dev/bpf5") >= 0); /* it was that one */
}

static void test_all_devices_in_use(void **state)
{
	(void)state;
	ON_ALL_RELEASES
	{
		const struct hostif_spec spec = spec_of(UNIT);
		char path[24];
		sim_knobs(sim)->bpf_max = 6;
		for (int i = 0; i < 6; i++) {
			snprintf(path, sizeof(path), "/dev/bpf%d", i);
			assert_true(sim_open(other, path) >= 0);
		}
		assert_refused(&spec, -EBUSY);
		assert_says("feth15100 (open /dev/bpf)");
		assert_says("Wireshark");
	}
}

/* -- what a person reads -- */

static void test_every_failure_says_what_to_do(void **state)
{
	(void)state;
	static const struct {
		const char *call;
		int error, rc;
		const char *says[3];
	} cases[] = {
		{ "open", DW_EACCES, -EPERM, { "feth15100 (open /dev/bpf)", "run fethd as root" } },
		{ "open", DW_ENOENT, -ENOENT, { "no BPF devices", "backend none" } },
		{ "open", DW_EMFILE, -EMFILE, { "too many files", "NumberOfFiles" } },
		{ "socket", DW_EMFILE, -EMFILE, { "feth10100", "too many files" } },
		{ "socket", DW_ENOBUFS, -ENOBUFS, { "short of memory" } },
		{ "bind", DW_EADDRNOTAVAIL, -EADDRNOTAVAIL, { "(bind AF_NDRV)", "removed it" } },
		{ "SIOCIFCREATE", DW_EPERM, -EPERM, { "feth10100 (SIOCIFCREATE)", "as root" } },
		{ "SIOCIFCREATE", DW_EINVAL, -EINVAL, { "(SIOCIFCREATE)", "no feth", "10.14" } },
		{ "SIOCIFCREATE", DW_ENOMEM, -ENOMEM, { "short of memory" } },
		{ "SIOCSIFLLADDR", DW_ENXIO, -EBUSY, { "set the MAC of", "ZeroTier" } },
		{ "SIOCSDRVSPEC", DW_EBUSY, -EBUSY, { "(SIOCSDRVSPEC)", "another unit" } },
		{ "BIOCSETIF", DW_ENXIO, -EBUSY, { "feth15100 (BIOCSETIF)", "ZeroTier" } },
		/* -EEXIST says that a name is taken, which none of these does */
		{ "SIOCSIFLLADDR", DW_EEXIST, -EIO, { "set the MAC of", "log show" } },
		{ "SIOCSDRVSPEC", DW_EEXIST, -EIO, { "pair", "log show" } },
		{ "SIOCAIFADDR", DW_EEXIST, -EIO, { "give 10.0.0.1/24 to", "log show" } },
		{ "SIOCIFCREATE", DW_EEXIST, -EEXIST, { "not ours", "another unit" } },
		{ "BIOCSBLEN", DW_EINVAL, -EINVAL, { "feth15100 (BIOCSBLEN)", "try again" } },
		{ "SIOCSIFFLAGS", DW_EIO, -EIO, { "bring up interface feth1", "log show" } },
		{ "SIOCAIFADDR", DW_EINVAL, -EINVAL, { "give 10.0.0.1/24 to", "feth10100" } },
	};
	struct hostif_spec spec = spec_of(UNIT);
	add_addr(&spec, "10.0.0.1/24");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hostif_made made = { -1, -1, 0 };
		fail_at(cases[i].call, 1, cases[i].error);
		err = (struct err){ 0 };
		const int rc = feth->make(&spec, &made, &err);
		if (rc != cases[i].rc)
			fail_msg(
				"%s, error %d: %d %s", cases[i].call, cases[i].error, rc, err.text);
		assert_says("lab: cannot ");
		for (int k = 0; k < 3 && cases[i].says[k]; k++)
			assert_says(cases[i].says[k]);
		assert_int_equal(interfaces(), 2);
		assert_true(strlen(err.text) < ERR_TEXT - 1); /* none is cut off */
	}
}

static void test_a_watch_that_cannot_be_opened_says_so(void **state)
{
	(void)state;
	fail_at("socket", 1, DW_EMFILE);
	assert_int_equal(feth->watch_open(&err), -EMFILE);
	assert_says("PF_ROUTE");
}

/* -- who is in a group, as a slow directory said it -- */

static struct memberships known;

static void assert_known(uint32_t uid, uint32_t gid, uint64_t now, bool member)
{
	bool got = !member;
	assert_true(membership_get(&known, uid, gid, now, &got));
	assert_int_equal(got, member);
}

static bool is_known(uint32_t uid, uint32_t gid, uint64_t now)
{
	bool got;
	return membership_get(&known, uid, gid, now, &got);
}

static void test_an_answer_holds_for_a_minute(void **state)
{
	(void)state;
	const uint64_t t = 5000000000; /* a machine that has been up for long */
	known = (struct memberships){ 0 };
	assert_false(is_known(501, 80, t));
	assert_false(is_known(0, 0, 0)); /* none is not root's */
	membership_put(&known, 501, 80, true, t);
	membership_put(&known, 502, 80, false, t); /* a no is as costly */
	assert_known(501, 80, t, true);
	assert_known(502, 80, t, false);
	assert_false(is_known(501, 81, t));
	assert_false(is_known(80, 501, t));
	assert_known(501, 80, t + 59999, true);
	assert_false(is_known(501, 80, t + 60000));
	assert_false(is_known(502, 80, t + 60000));

	membership_put(&known, 501, 80, false, t + 60000); /* asked again: it is another by now */
	assert_known(501, 80, t + 60000, false);
	assert_known(501, 80, t + 119999, false);
}

/* More than there is room for: the oldest are asked for again, and nobody gets another's answer. */
static void test_answers_find_room(void **state)
{
	(void)state;
	known = (struct memberships){ 0 };
	for (uint32_t i = 0; i < MEMBERSHIPS_MAX + 36; i++) {
		membership_put(&known, 500 + i, i % 3, i % 2, 1000 + i);
		for (uint32_t k = 0; k <= i; k++) {
			if (k + MEMBERSHIPS_MAX > i)
				assert_known(500 + k, k % 3, 1000 + i, k % 2);
			else
				assert_false(is_known(500 + k, k % 3, 1000 + i));
		}
	}
	/* the same again takes no other's place, and is no longer the oldest */
	membership_put(&known, 536, 0, true, 2000);
	assert_known(536, 0, 2000, true);
	assert_known(537, 1, 2000, true);
	membership_put(&known, 700, 0, true, 2001);
	assert_known(536, 0, 2001, true);
	assert_false(is_known(537, 1, 2001));
	unsigned used = 0;
	for (unsigned i = 0; i < MEMBERSHIPS_MAX; i++)
		used += known.all[i].uid == 536;
	assert_int_equal(used, 1);
}

/* -- what the kernel writes is not believed -- */

struct record {
	uint16_t hdrlen;
	uint32_t caplen, datalen, there;
};

static void put_record(struct bytes *b, struct record r)
{
	struct dw_bpf_hdr head = { .caplen = r.caplen, .datalen = r.datalen, .hdrlen = r.hdrlen };
	while (b->len % 4)
		bytes_byte(b, 0);
	bytes_add(b, &head, DW_BPF_HDR);
	for (size_t i = DW_BPF_HDR; i < r.hdrlen && i < 64; i++)
		bytes_byte(b, 0xee);
	bytes_add(b, frame_of(b->len > 100 ? 2 : 1, r.there), r.there);
}

static unsigned records(const uint8_t *data, size_t len, struct bpfrec_reader *r)
{
	struct frame frames[4];
	uint8_t *copy = exact_copy(data, len);
	*r = (struct bpfrec_reader){ .data = copy, .len = len };
	unsigned n, all = 0;
	while ((n = bpfrec_next(r, frames, 4))) {
		for (unsigned i = 0; i < n; i++) {
			assert_in_range(frames[i].len, FETH_FRAME_MIN, FETH_FRAME_MAX);
			assert_true(frames[i].head >= copy &&
				    frames[i].head + frames[i].len <= copy + len);
			free(exact_copy(frames[i].head, frames[i].len)); /* ASan reads it all */
			assert_memory_equal(frames[i].head, frame_of(1, 14), 8);
		}
		all += n;
	}
	assert_int_equal(r->at, r->len);
	free(copy);
	return all;
}

static void test_records_without_sense_are_dropped(void **state)
{
	(void)state;
	static const struct {
		struct record bad;
		unsigned frames; /* of the two around it */
		unsigned cut, senseless;
	} cases[] = {
		{ { 18, 61, 61, 61 }, 3, 0, 0 },
		{ { 26, 61, 61, 61 }, 3, 0, 0 },  /* a longer header is fine */
		{ { 18, 61, 100, 61 }, 2, 1, 0 }, /* truncated */
		{ { 18, 13, 13, 13 }, 2, 0, 1 }, { { 18, 0, 0, 0 }, 2, 0, 1 },
		{ { 17, 61, 61, 61 }, 1, 0, 1 }, { { 0, 61, 61, 61 }, 1, 0, 1 },
		{ { 65535, 61, 61, 61 }, 1, 0, 1 }, { { 18, 0xffffffff, 0xffffffff, 61 }, 1, 0, 1 },
		{ { 18, 0xfffffff0, 0xffffffff, 61 }, 1, 0, 1 },
		{ { 18, 70000, 70000, 70000 }, 2, 0, 1 }, /* longer than any frame */
	};
	struct bpfrec_reader r;
	static uint8_t zeros[70000];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bytes b = { 0 };
		put_record(&b, (struct record){ 18, 60, 60, 60 });
		struct record bad = cases[i].bad;
		const uint32_t there = bad.there;
		bad.there = there < 100 ? there : 0;
		put_record(&b, bad);
		if (there > 100)
			bytes_add(&b, zeros, there);
		put_record(&b, (struct record){ 18, 60, 60, 60 });
		assert_int_equal(records(b.data, b.len, &r), cases[i].frames);
		assert_int_equal(r.cut, cases[i].cut);
		assert_int_equal(r.bad, cases[i].senseless);
		for (size_t cut = 0; cut < b.len && cut < 1000; cut++)
			assert_true(records(b.data, cut, &r) <= cases[i].frames);
		free(b.data);
	}
}

/* What the kernel lists, cut off anywhere, and with each byte changed. */
static void test_lists_without_sense_are_survived(void **state)
{
	(void)state;
	const struct hostif_spec spec = spec_with_ip(UNIT);
	struct rig r = rig_open(spec);
	join(spec.host, "239.1.2.3", true);
	struct iflist list;
	struct route_record rec;
	assert_int_equal(iflist_get(&list, 0, 0), 0);
	assert_true(iflist_find(&list, spec.host, &rec));
	assert_memory_equal(rec.mac.b, spec.mac.b, 6);
	assert_int_equal(rec.mtu, 1500);
	assert_true(iflist_find_index(&list, rec.index, &rec));
	assert_string_equal(rec.name, spec.host);
	assert_false(iflist_find(&list, "feth1010", &rec));
	assert_false(iflist_find(&list, "", &rec));
	for (size_t i = 0; i < list.len; i++) {
		uint8_t *copy = exact_copy(list.data, i);
		struct route_reader reader = { copy, i };
		while (route_next(&reader, i % 2, &rec))
			assert_null(memchr(rec.name, 0, sizeof(rec.name)) ? NULL : "no end");
		free(copy);
		copy = exact_copy(list.data, list.len);
		copy[i] = (uint8_t)~copy[i];
		reader = (struct route_reader){ copy, list.len };
		while (route_next(&reader, false, &rec))
			assert_in_range(rec.addr.prefix, 0, 128);
		free(copy);
	}
	iflist_free(&list);
	feth->close(r.hif);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_make_gives_the_pair_that_was_specified),
		TEST(test_a_host_member_that_is_to_be_down_is_down),
		TEST(test_every_mtu_of_the_range),
		TEST(test_only_root_makes_pairs),
		TEST(test_make_is_all_or_nothing),
		TEST(test_make_rides_out_a_destroy_that_is_under_way),
		TEST(test_make_does_not_wait_longer),
		TEST(test_a_busy_name_can_be_made_later),
		TEST(test_a_busy_service_member_leaves_no_host_member),
		TEST(test_prefixes_are_those_declared),
		TEST(test_a_name_is_free_only_if_the_kernel_says_so),
		TEST(test_foreign_interfaces_are_never_touched),
		TEST(test_a_member_of_ours_with_a_foreign_peer_is_not_ours),
		TEST(test_the_pair_of_another_daemon_is_not_ours),
		TEST(test_a_host_member_beside_a_nameless_one_is_ours),
		TEST(test_whole_is_a_pair_that_works),
		TEST(test_a_pair_of_ours_is_replaced),
		TEST(test_remove_takes_what_is_ours),
		TEST(test_sweep_removes_what_a_crash_left),
		TEST(test_sweep_says_what_it_could_not_remove),
		TEST(test_settings_that_damage_frames_are_refused),
		TEST(test_offloads_of_the_interface_are_refused),
		TEST(test_max_mtu_is_everybodys),
		TEST(test_max_mtu_that_others_set_meanwhile_stays),
		TEST(test_where_max_mtu_cannot_be_raised_less_is_told),
		TEST(test_max_mtu_is_not_raised_while_make_waits),
		TEST(test_what_somebody_makes_of_max_mtu_meanwhile_stays),
		TEST(test_change_makes_it_what_is_wanted),
		TEST(test_change_leaves_alone_what_is_so_already),
		TEST(test_change_puts_right_what_others_did),
		TEST(test_a_member_that_goes_meanwhile_is_for_another_try),
		TEST(test_change_says_that_the_pair_is_gone),
		TEST(test_change_is_all_or_nothing),
		TEST(test_the_service_mtu_is_never_the_smaller_one),
		TEST(test_groups_are_those_of_the_host_member),
		TEST(test_a_list_that_grows_meanwhile_is_asked_for_again),
		TEST(test_the_watch_tells_of_interfaces_and_groups),
		TEST(test_the_watch_tells_that_an_interface_has_gone),
		TEST(test_the_watch_looks_twice_at_an_interface_that_went_down),
		TEST(test_the_watch_has_room_for_a_storm),
		TEST(test_frames_come_from_the_host_whole_and_in_order),
		TEST(test_recv_gives_no_more_than_it_is_asked_for),
		TEST(test_one_frame_makes_the_descriptor_readable),
		TEST(test_as_much_comes_at_once_as_the_kernel_keeps),
		TEST(test_what_a_release_offers_is_used),
		TEST(test_no_descriptor_blocks),
		TEST(test_frames_go_to_the_host_and_do_not_come_back),
		TEST(test_jumbo_frames_both_ways),
		TEST(test_frames_in_pieces),
		TEST(test_a_frame_of_too_many_pieces_is_lost),
		TEST(test_no_frame_under_14_bytes_reaches_the_kernel),
		TEST(test_bursts_arrive_in_order),
		TEST(test_the_fallback_is_bpf_within_its_limits),
		TEST(test_one_bad_frame_does_not_take_its_batch_along),
		TEST(test_the_mtu_may_change_under_the_fallback),
		TEST(test_a_service_member_that_is_down_takes_nothing),
		TEST(test_a_frame_without_memory_is_lost_alone),
		TEST(test_a_full_queue_loses_the_oldest_without_a_word),
		TEST(test_a_pair_that_vanishes_is_noticed_and_made_anew),
		TEST(test_pairs_do_not_hear_each_other),
		TEST(test_devices_in_use_are_passed_over),
		TEST(test_all_devices_in_use),
		TEST(test_every_failure_says_what_to_do),
		TEST(test_a_watch_that_cannot_be_opened_says_so),
		TEST(test_an_answer_holds_for_a_minute),
		TEST(test_answers_find_room),
		TEST(test_records_without_sense_are_dropped),
		TEST(test_lists_without_sense_are_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
