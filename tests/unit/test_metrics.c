/* test_metrics.c - clients/ctl/metrics.c: the text, in both formats, line by line. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "clients/ctl/metrics.h"
#include "tests/support/snap.h"

/* free() it */
static char *text_of(const struct snap *s, enum metrics_format format)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	assert_non_null(f);
	metrics_write(f, &s->s, format);
	assert_int_equal(fclose(f), 0);
	return text;
}

/* The lines that begin so, and no others that hold it. */
static void lines_are(const char *text, const char *word, const char *want)
{
	char got[4096] = "";
	for (const char *line = text; *line;) {
		const size_t len = strcspn(line, "\n") + 1;
		const size_t n = strlen(word);
		const bool comment = line[0] == '#' && len > 7; /* but for the end */
		const char *name = comment ? line + 7 : line;
		if (!strncmp(name, word, n) && strchr(" {", name[n]))
			strncat(got, line, len);
		line += len;
	}
	assert_string_equal(got, want);
}

static void test_a_family_has_its_type_unit_help_and_samples(void **state)
{
	struct snap s = { 0 };
	(void)state;
	struct snap_network *n = snap_network(&s, "lab", 0);
	snap_port(n, 1, "a", 700);
	snap_port(n, 2, "b", 300)->traffic.drops = SNAP_DROPS({ "runt", 5 }, { "spoofed", 2 });
	char *text = text_of(&s, METRICS_OPEN);
	lines_are(text, "fethd_port_received_bytes",
		"# TYPE fethd_port_received_bytes counter\n"
		"# UNIT fethd_port_received_bytes bytes\n"
		"# HELP fethd_port_received_bytes Bytes of these.\n");
	lines_are(text, "fethd_port_received_bytes_total",
		"fethd_port_received_bytes_total{network=\"lab\",port=\"a\"} 700\n"
		"fethd_port_received_bytes_total{network=\"lab\",port=\"b\"} 300\n");
	lines_are(text, "fethd_network_received_bytes_total",
		"fethd_network_received_bytes_total{network=\"lab\"} 1000\n");
	lines_are(text, "fethd_port_dropped_frames_total",
		"fethd_port_dropped_frames_total{network=\"lab\",port=\"b\",reason=\"runt\"} 5\n"
		"fethd_port_dropped_frames_total{network=\"lab\",port=\"b\",reason=\"spoofed\"} "
		"2\n");
	lines_are(text, "fethd_port_info",
		"fethd_port_info{network=\"lab\",port=\"a\",number=\"1\",kind=\"qemu\","
		"mac=\"02:00:00:00:00:01\"} 1\n"
		"fethd_port_info{network=\"lab\",port=\"b\",number=\"2\",kind=\"qemu\","
		"mac=\"02:00:00:00:00:01\"} 1\n");
	lines_are(text, "fethd_network_ports",
		"# TYPE fethd_network_ports gauge\n"
		"# HELP fethd_network_ports Ports beside the host side, by state.\n"
		"fethd_network_ports{network=\"lab\",state=\"attached\"} 2\n"
		"fethd_network_ports{network=\"lab\",state=\"waiting\"} 0\n");
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
	assert_null(strstr(text, "fethd_build")); /* a network's own socket does not know */
	assert_null(strstr(text, "fethd_network_up{"));
	free(text);
}

static void test_the_older_format_calls_them_by_their_samples(void **state)
{
	struct snap s = { 0 };
	(void)state;
	snap_port(snap_network(&s, "lab", 0), 1, "a", 700);
	s.s.has_daemon = true;
	s.s.version = "1.2";
	s.s.uptime_ms = 61005;
	s.s.counters = SNAP_DROPS({ "accepted", 3 });
	char *text = text_of(&s, METRICS_TEXT);
	lines_are(text, "fethd_port_received_bytes_total",
		"# TYPE fethd_port_received_bytes_total counter\n"
		"# HELP fethd_port_received_bytes_total Bytes of these.\n"
		"fethd_port_received_bytes_total{network=\"lab\",port=\"a\"} 700\n");
	lines_are(text, "fethd_build_info",
		"# TYPE fethd_build_info gauge\n"
		"# HELP fethd_build_info Version of the daemon.\n"
		"fethd_build_info{version=\"1.2\"} 1\n");
	lines_are(text, "fethd_uptime_seconds",
		"# TYPE fethd_uptime_seconds gauge\n"
		"# HELP fethd_uptime_seconds Time since the daemon began.\n"
		"fethd_uptime_seconds 61.005\n");
	lines_are(text, "fethd_daemon_events_total",
		"# TYPE fethd_daemon_events_total counter\n"
		"# HELP fethd_daemon_events_total Connections accepted, denied, too slow, of "
		"broken "
		"protocol, not reached; messages ignored; by event.\n"
		"fethd_daemon_events_total{event=\"accepted\"} 3\n");
	assert_null(strstr(text, "# EOF"));
	assert_null(strstr(text, "# UNIT"));
	free(text);
}

static void test_any_text_becomes_a_good_label(void **state)
{
	struct snap s = { 0 };
	(void)state;
	struct snap_network *n = snap_network(&s, "a\"b\\c\nd", 0);
	n->backend = "\xc3\xa9\xf0\x9f\x90\x8d"; /* stays */
	n->host = "\x01\xff\xc3_\xed\xa0\x80\xc0\x80\xf4\x90\x80\x80\xe2\x82";
	char *text = text_of(&s, METRICS_OPEN);
	lines_are(text, "fethd_network_info",
		"fethd_network_info{network=\"a\\\"b\\\\c\\nd\",backend="
		"\"\xc3\xa9\xf0\x9f\x90\x8d\","
		"host=\"???_"
		"???????????\"} 1\n");
	free(text);
}

static void test_the_host_side_has_no_queue_and_tells_its_link(void **state)
{
	struct snap s = { 0 };
	(void)state;
	struct snap_network *n = snap_network(&s, "lab", 0);
	snap_port(n, 0, "host", 0)->queue_bytes = 0;
	n->has_up = n->has_carrier = n->up = true;
	char *text = text_of(&s, METRICS_OPEN);
	lines_are(text, "fethd_network_up",
		"# TYPE fethd_network_up gauge\n"
		"# HELP fethd_network_up Whether the host interface is set up; missing without a "
		"host "
		"side.\n"
		"fethd_network_up{network=\"lab\"} 1\n");
	assert_non_null(strstr(text, "fethd_network_carrier{network=\"lab\"} 0\n"));
	assert_non_null(
		strstr(text, "fethd_network_ports{network=\"lab\",state=\"attached\"} 0\n"));
	assert_null(strstr(text, "fethd_port_queued_bytes{"));
	assert_null(strstr(text, "fethd_port_queue_limit_bytes{"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_family_has_its_type_unit_help_and_samples),
		cmocka_unit_test(test_the_older_format_calls_them_by_their_samples),
		cmocka_unit_test(test_any_text_becomes_a_good_label),
		cmocka_unit_test(test_the_host_side_has_no_queue_and_tells_its_link),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
