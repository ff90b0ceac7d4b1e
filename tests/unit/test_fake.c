/* test_fake.c - the backend that whole-daemon tests stand on does what it says (fake.c). */
#include "tests/support/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/hostif/backends.h"

static const struct hostif_ops *const fake = &hostif_fake;
static struct err err;
static uint8_t buf[256u * 1024u];
static char dir[64];

static char *path(const char *name)
{
	static char out[512];
	snprintf(out, sizeof(out), "%s/%s", dir, name);
	return out;
}

static int setup(void **state)
{
	(void)state;
	err = (struct err){ 0 };
	snprintf(dir, sizeof(dir), "/tmp/test_fake.XXXXXX");
	return mkdtemp(dir) ? setenv("FETHD_FAKE_DIR", dir, 1) : -1;
}

/* How many files there are, but for the test's own .fail, .peer and .groups. */
static unsigned files(bool remove_all)
{
	unsigned n = 0;
	DIR *d = opendir(dir);
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d));) {
		const char *dot = strrchr(e->d_name, '.');
		if (!dot || !dot[1] || !strcmp(e->d_name, ".."))
			continue;
		n += strcmp(dot, ".fail") != 0 && strcmp(dot, ".peer") != 0 &&
		     strcmp(dot, ".groups") != 0;
		if (remove_all)
			unlink(path(e->d_name));
	}
	closedir(d);
	return n;
}

static int teardown(void **state)
{
	(void)state;
	files(true);
	return rmdir(dir);
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(path(name), "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static const char *get(const char *name)
{
	static char text[4096];
	FILE *f = fopen(path(name), "r");
	const size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[n] = '\0';
	if (f)
		fclose(f);
	return text;
}

static struct hostif_spec spec_of(const char *network, unsigned unit)
{
	struct hostif_spec s = {
		.mac = { { 2, 0, 0, 0, 0, 1 } },
		.service_mac = { { 2, 0, 0, 0, 0, 2 } },
		.mtu = 1500,
		.up = true,
		.n_addrs = 1,
	};
	const char *why;
	snprintf(s.network, sizeof(s.network), "%s", network);
	snprintf(s.host, sizeof(s.host), "feth%u", unit);
	snprintf(s.service, sizeof(s.service), "feth%u", unit + 5000);
	snprintf(s.tag, sizeof(s.tag), "fethd:/run/fethd:%s", network);
	assert_true(cidr_parse(&s.addrs[0], "10.0.0.1/24", &why));
	return s;
}

static struct hostif *open_pair(const struct hostif_spec *s)
{
	struct hostif_made made;
	struct hostif *hif = NULL;
	if (fake->make(s, &made, &err) < 0 || fake->open(&hif, &made, s, &err) < 0)
		fail_msg("%s", err.text);
	return hif;
}

static int make_only(const struct hostif_spec *s)
{
	struct hostif_made made;
	const int rc = fake->make(s, &made, &err);
	if (!rc)
		close(made.rx_fd);
	return rc;
}

/* -- control -- */

static void test_without_a_directory_make_refuses_with_a_sentence(void **state)
{
	(void)state;
	const struct hostif_spec s = spec_of("lab", 101);
	unsetenv("FETHD_FAKE_DIR");
	assert_int_equal(make_only(&s), -EINVAL);
	assert_non_null(strstr(err.text, "lab: cannot make interface feth101: "));
	assert_non_null(strstr(err.text, "FETHD_FAKE_DIR"));
	assert_true(fake->watch_open(&err) < 0);
	assert_int_equal(fake->sweep("fethd:", NULL, 0, &err), 0);
	assert_true(fake->name_free("feth101"));

	put("file", "");
	setenv("FETHD_FAKE_DIR", path("file"), 1);
	assert_int_equal(make_only(&s), -EINVAL);
	unlink(path("file"));

	char deep[400];
	memset(deep, 'd', sizeof(deep));
	snprintf(deep, 16, "/tmp/%s", strrchr(dir, '.') + 1);
	deep[strlen(deep)] = '/';
	deep[sizeof(deep) - 1] = '\0';
	setenv("FETHD_FAKE_DIR", deep, 1);
	assert_int_equal(make_only(&s), -EINVAL);
}

static void test_state_shows_what_the_kernel_was_told(void **state)
{
	(void)state;
	struct hostif_spec s = spec_of("lab", 101);
	const char *why;
	assert_true(cidr_parse(&s.addrs[s.n_addrs++], "fd00::1/64", &why));
	struct hostif *hif = open_pair(&s);
	assert_string_equal(get("lab.state"),
		"tag=fethd:/run/fethd:lab\nhost=feth101\nservice=feth5101\nmac=02:00:00:00:00:01\n"
		"service_mac=02:00:00:00:00:02\nmtu=1500\nup=yes\naddr=10.0.0.1/24\naddr=fd00::1/"
		"64\n");
	assert_false(fake->name_free("feth101"));
	assert_false(fake->name_free("feth5101"));
	assert_true(fake->name_free("feth102"));

	struct hostif_spec want = s;
	want.mtu = 9000;
	want.up = false;
	want.mac.b[5] = 9;
	want.n_addrs = 0;
	assert_int_equal(fake->change(&s, &want, &err), 0);
	assert_string_equal(get("lab.state"),
		"tag=fethd:/run/fethd:lab\nhost=feth101\nservice=feth5101\nmac=02:00:00:00:00:09\n"
		"service_mac=02:00:00:00:00:02\nmtu=9000\nup=no\n");

	fake->close(hif);
	fake->close(NULL);
	fake->remove(&want);
	assert_int_equal(files(false), 0);
	assert_true(fake->name_free("feth101"));
	fake->remove(&want);
}

static void test_each_step_can_be_made_to_fail_and_is_undone(void **state)
{
	(void)state;
	static const char *const steps[] = { "change-mtu", "change-mac", "change-up",
		"change-addr" };
	const struct hostif_spec s = spec_of("lab", 101);
	struct hostif_spec want = s;
	want.mtu = 9000;
	want.mac.b[5] = 9;
	want.up = false;
	want.n_addrs = 0;

	put("lab.fail", "make\n");
	assert_int_equal(make_only(&s), -EPERM);
	assert_non_null(strstr(err.text, "lab.fail"));
	assert_int_equal(files(false), 0);
	unlink(path("lab.fail"));

	assert_int_equal(make_only(&s), 0);
	char before[4096];
	snprintf(before, sizeof(before), "%s", get("lab.state"));
	for (int i = 0; i < 4; i++) {
		char text[64];
		snprintf(text, sizeof(text), "nonsense %s\n", steps[i]);
		put("lab.fail", text);
		err = (struct err){ 0 };
		assert_int_equal(fake->change(&s, &want, &err), -EPERM);
		assert_int_equal(err.code, -EPERM);
		assert_non_null(strstr(err.text, steps[i]));
		assert_string_equal(get("lab.state"), before);
		assert_int_equal(fake->change(&s, &s, &err), 0); /* nothing to do: not refused */
	}
	put("lab.fail", "change-mt change-mtux");
	assert_int_equal(fake->change(&s, &want, &err), 0);
}

static void test_taken_names(void **state)
{
	(void)state;
	const struct hostif_spec s = spec_of("lab", 101);
	put("lab.fail", "taken");
	assert_int_equal(make_only(&s), -EEXIST);
	unlink(path("lab.fail"));
	put("feth5101.fail", "taken");
	assert_int_equal(make_only(&s), -EEXIST);
	assert_false(fake->name_free("feth5101"));
	assert_true(fake->name_free("feth101"));
	assert_int_equal(files(false), 0);
	unlink(path("feth5101.fail"));

	/* names in use by another network, a network of another daemon; our own is replaced */
	assert_int_equal(make_only(&s), 0);
	struct hostif_spec other = spec_of("other", 101);
	assert_int_equal(make_only(&other), -EEXIST);
	struct hostif_spec foreign = spec_of("lab", 102);
	snprintf(foreign.tag, sizeof(foreign.tag), "fethd:/tmp/x:lab");
	assert_int_equal(make_only(&foreign), -EEXIST);
	fake->remove(&foreign);
	assert_false(fake->name_free("feth101"));
	assert_int_equal(make_only(&s), 0);
}

static void test_sweep_removes_only_ours(void **state)
{
	(void)state;
	const struct hostif_spec a = spec_of("a", 101), b = spec_of("b", 102);
	struct hostif_spec c = spec_of("c", 103);
	snprintf(c.tag, sizeof(c.tag), "fethd:/run/fethd2:c");
	assert_int_equal(make_only(&a), 0);
	assert_int_equal(make_only(&b), 0);
	assert_int_equal(make_only(&c), 0);
	assert_int_equal(fake->sweep("", NULL, 0, &err), -EINVAL);
	assert_int_equal(fake->sweep("fethd:/run/fethd:", NULL, 0, &err), 2);
	assert_true(fake->name_free("feth101"));
	assert_true(fake->name_free("feth5102"));
	assert_false(fake->name_free("feth103"));
	assert_int_equal(files(false), 4); /* c's state, socket and interfaces */
	assert_int_equal(fake->sweep("fethd:/run/fethd:", NULL, 0, &err), 0);
}

/* -- frames -- */

static struct sockaddr_un address(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *where = path(name);
	assert_true(strlen(where) < sizeof(a.sun_path));
	memcpy(a.sun_path, where, strlen(where) + 1);
	return a;
}

/* The test's side: bound to lab.peer, connected to lab.host. */
static int play_host(void)
{
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	struct sockaddr_un a = address("lab.peer");
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	a = address("lab.host");
	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void test_frames_come_from_the_host(void **state)
{
	(void)state;
	const struct hostif_spec s = spec_of("lab", 101);
	struct hostif *hif = open_pair(&s);
	struct frame f[HOSTIF_BATCH];
	assert_int_equal(fake->recv(hif, f, HOSTIF_BATCH, buf, sizeof(buf)), 0);
	const int host = play_host();
	assert_int_equal(fcntl(fake->fd(hif), F_GETFD), FD_CLOEXEC);

	static uint8_t out[FETH_FRAME_MAX + 1];
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 11);
	static const size_t lens[] = { 14, 13, 60, 1514, 0, 1518, FETH_FRAME_MAX + 1, 100 };
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		assert_int_equal(send(host, out, lens[i], 0), lens[i]);
	struct pollfd p = { .fd = fake->fd(hif), .events = POLLIN };
	assert_int_equal(poll(&p, 1, 1000), 1);
	assert_int_equal(fake->recv(hif, f, 2, buf, sizeof(buf)), 2); /* no more than asked for */
	assert_int_equal(f[0].len, 14);
	assert_int_equal(f[1].len, 60);
	assert_memory_equal(f[1].head, out, 60);
	assert_int_equal(fake->recv(hif, f, HOSTIF_BATCH, buf, sizeof(buf)), 3);
	assert_int_equal(f[0].len, 1514);
	assert_memory_equal(f[0].head, out, 1514);
	assert_int_equal(f[1].len, 1518);
	assert_memory_equal(f[1].head, out, 1518);
	assert_int_equal(f[2].head_len, 100);
	assert_int_equal(fake->recv(hif, f, HOSTIF_BATCH, buf, 1000), -ENOBUFS);

	assert_int_equal(send(host, out, FETH_FRAME_MAX, 0), FETH_FRAME_MAX);
	assert_int_equal(fake->recv(hif, f, HOSTIF_BATCH, buf, sizeof(buf)), 1);
	assert_int_equal(f[0].len, FETH_FRAME_MAX);
	assert_memory_equal(f[0].head, out, FETH_FRAME_MAX);
	close(host);
	fake->close(hif);
}

static void test_frames_go_to_the_host(void **state)
{
	(void)state;
	const struct hostif_spec s = spec_of("lab", 101);
	struct hostif *hif = open_pair(&s);
	uint8_t one[60], got[100];
	memset(one, 7, sizeof(one));
	const struct seg more[] = { { one, 10 }, { one, 0 }, { one, 36 } };
	struct frame batch[20];
	for (unsigned i = 0; i < 20; i++)
		batch[i] = (struct frame){ .head = one, .head_len = 60, .len = 60 };
	batch[1] =
		(struct frame){ .head = one, .head_len = 14, .len = 60, .more = more, .more_n = 3 };

	assert_int_equal(fake->send(hif, batch, 20), 20); /* nobody listens: taken */
	const int host = play_host();
	assert_int_equal(fake->send(hif, batch, 20), 20);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(recv(host, got, sizeof(got), 0), 60);
		assert_memory_equal(got, one, 60);
	}
	assert_int_equal(recv(host, got, sizeof(got), 0), -1);
	close(host);
	assert_int_equal(fake->send(hif, batch, 20), 20); /* it has gone */
	fake->close(hif);
}

/* -- news -- */

static bool has_event(const struct hostif_event *ev, int n, const char *name, bool gone)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(ev[i].name, name) && ev[i].gone == gone)
			return true;
	return false;
}

static void test_vanished_pair_is_reported_and_can_be_made_anew(void **state)
{
	(void)state;
	const struct hostif_spec s = spec_of("lab", 101);
	struct hostif_event ev[32];
	const int watch = fake->watch_open(&err);
	assert_true(watch >= 0);
	assert_int_equal(fake->watch_read(watch, ev, 32), 0);

	struct hostif *hif = open_pair(&s);
	int n = fake->watch_read(watch, ev, 32);
	assert_int_equal(n, 2);
	assert_true(has_event(ev, n, "feth101", false));
	assert_true(has_event(ev, n, "feth5101", false));

	unlink(path("lab.state"));
	struct pollfd p = { .fd = watch, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 1000), 1);
	n = fake->watch_read(watch, ev, 32);
	assert_int_equal(n, 2);
	assert_true(has_event(ev, n, "feth101", true));
	assert_true(has_event(ev, n, "feth5101", true));
	assert_true(fake->name_free("feth5101"));
	struct frame f;
	assert_int_equal(fake->recv(hif, &f, 1, buf, sizeof(buf)), -ENODEV);
	f = (struct frame){ .head = buf, .head_len = 60, .len = 60 };
	assert_int_equal(fake->send(hif, &f, 1), 0);
	assert_int_equal(fake->change(&s, &s, &err), -ENODEV);
	assert_string_equal(get("lab.state"), "");
	fake->close(hif);

	hif = open_pair(&s);
	n = fake->watch_read(watch, ev, 32);
	assert_true(has_event(ev, n, "feth5101", false));
	assert_false(has_event(ev, n, "feth5101", true));
	fake->close(hif);

	/* a removal of our own is news as well, as it is with a real one */
	fake->remove(&s);
	n = fake->watch_read(watch, ev, 32);
	assert_true(has_event(ev, n, "feth5101", true));
	assert_int_equal(fake->watch_read(watch, ev, 32), 0);

	/* vanished and made anew before anybody looked: it is there */
	assert_int_equal(make_only(&s), 0);
	unlink(path("lab.state"));
	assert_int_equal(make_only(&s), 0);
	(void)fake->watch_read(watch, ev, 32);
	assert_false(fake->name_free("feth5101"));
	assert_true(get("lab.state")[0]);
	close(watch);
}

static void test_too_many_news_are_said_to_be_lost(void **state)
{
	(void)state;
	const struct hostif_spec s = spec_of("lab", 101);
	struct hostif_event ev[3];
	const int watch = fake->watch_open(&err);
	for (int i = 0; i < 10; i++)
		assert_int_equal(make_only(&s), 0);
	bool lost = false;
	int n;
	while ((n = fake->watch_read(watch, ev, 3)) != 0) {
		assert_true(n == -ENOBUFS || (n > 0 && n <= 3));
		lost |= n == -ENOBUFS;
	}
	assert_true(lost);
	close(watch);
}

/* -- groups -- */

static void test_groups_are_in_order_and_each_once(void **state)
{
	(void)state;
	const struct hostif_spec s = spec_of("lab", 101);
	static const uint8_t want[3][6] = { { 1, 0, 0x5e, 0, 0, 1 }, { 1, 0, 0x5e, 0, 0, 0xfb },
		{ 0x33, 0x33, 0, 0, 0, 1 } };
	struct feth_mac got[4];
	assert_int_equal(fake->groups("feth101", got, 4), -ENODEV);
	assert_int_equal(make_only(&s), 0);
	assert_int_equal(fake->groups("feth101", got, 4), 0);
	put("lab.groups", "33:33:00:00:00:01\n01:00:5e:00:00:fb\nnonsense\n"
			  "02:00:00:00:00:01\n01:00:5e:00:00:01\n33:33:00:00:00:01\n");
	assert_int_equal(fake->groups("feth101", got, 4), 3);
	assert_memory_equal(got, want, sizeof(want));

	memset(got, 0, sizeof(got));
	assert_int_equal(fake->groups("feth101", got, 1), 3); /* the lowest, and how many */
	assert_memory_equal(got, want, 6);
	assert_int_equal(got[1].b[0], 0);
	assert_int_equal(fake->groups("feth101", NULL, 0), 3);
	unlink(path("lab.state"));
	assert_int_equal(fake->groups("feth101", got, 4), -ENODEV);
}

static void assert_groups_event(int watch)
{
	struct hostif_event ev[8];
	struct pollfd p = { .fd = watch, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 1000), 1);
	assert_int_equal(fake->watch_read(watch, ev, 8), 1);
	assert_string_equal(ev[0].name, "feth101");
	assert_true(ev[0].groups);
	assert_false(ev[0].gone || ev[0].down || ev[0].mtu);
}

static void test_changed_groups_are_one_event_of_the_host_member(void **state)
{
	(void)state;
	const struct hostif_spec s = spec_of("lab", 101);
	struct hostif_event ev[8];
	put("lab.groups", "01:00:5e:00:00:01\n");
	assert_int_equal(make_only(&s), 0);
	const int watch = fake->watch_open(&err);
	assert_true(watch >= 0);
	assert_null(fake->groups_told); /* of all */

	put("lab.groups", "01:00:5e:00:00:02\n");
	put("lab.groups", "01:00:5e:00:00:03\n");
	assert_groups_event(watch);
	char from[512];
	put("new.groups", "01:00:5e:00:00:04\n");
	snprintf(from, sizeof(from), "%s", path("new.groups"));
	assert_int_equal(fake->watch_read(watch, ev, 8), 0); /* of no network */
	assert_int_equal(rename(from, path("lab.groups")), 0);
	assert_groups_event(watch);
	unlink(path("lab.groups"));
	assert_groups_event(watch);
	put("lab.fail", "");
	assert_int_equal(fake->watch_read(watch, ev, 8), 0);
	close(watch);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_without_a_directory_make_refuses_with_a_sentence),
		TEST(test_state_shows_what_the_kernel_was_told),
		TEST(test_each_step_can_be_made_to_fail_and_is_undone),
		TEST(test_taken_names),
		TEST(test_sweep_removes_only_ours),
		TEST(test_frames_come_from_the_host),
		TEST(test_frames_go_to_the_host),
		TEST(test_vanished_pair_is_reported_and_can_be_made_anew),
		TEST(test_too_many_news_are_said_to_be_lost),
		TEST(test_groups_are_in_order_and_each_once),
		TEST(test_changed_groups_are_one_event_of_the_host_member),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
