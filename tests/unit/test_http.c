/* test_http.c - clients/ctl/http.c: which request gets what. */
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#include "clients/ctl/http.h"

static struct http_request parsed(const char *text, bool loopback)
{
	struct http_request r = { 0 };
	const size_t len = strlen(text);
	for (size_t n = 0; n < len; n++) /* not before it is there whole */
		assert_false(http_parse(text, n, loopback, &r));
	assert_true(http_parse(text, len, loopback, &r));
	return r;
}

static unsigned status_of(const char *text)
{
	return parsed(text, false).status;
}

#define HOST "Host: localhost\r\n"

static void test_the_metrics_are_for_who_asks_for_them(void **state)
{
	(void)state;
	assert_int_equal(status_of("GET /metrics HTTP/1.1\r\n" HOST "\r\n"), 200);
	assert_int_equal(status_of("GET /metrics HTTP/1.0\r\n\r\n"), 200);
	assert_int_equal(status_of("GET /metrics HTTP/1.0\n\n"), 200); /* RFC 9112, 2.2 */
	assert_int_equal(status_of("GET /metrics?name[]=x HTTP/1.1\r\n" HOST "\r\n"), 200);
	assert_int_equal(status_of("GET http://localhost:1/metrics HTTP/1.1\r\n" HOST "\r\n"), 200);
	assert_true(parsed("HEAD /metrics HTTP/1.0\r\n\r\n", false).head);
	assert_int_equal(status_of("HEAD /metrics HTTP/1.0\r\n\r\n"), 200);
}

static void test_other_requests_are_refused(void **state)
{
	(void)state;
	assert_int_equal(status_of("GET / HTTP/1.0\r\n\r\n"), 404);
	assert_int_equal(status_of("GET /metrics/ HTTP/1.0\r\n\r\n"), 404);
	assert_int_equal(status_of("GET /../metrics HTTP/1.0\r\n\r\n"), 404);
	assert_int_equal(status_of("GET http://localhost HTTP/1.0\r\n\r\n"), 404);
	assert_int_equal(status_of("OPTIONS * HTTP/1.0\r\n\r\n"), 404);
	assert_int_equal(status_of("POST /metrics HTTP/1.0\r\n\r\n"), 405);
	assert_int_equal(status_of("get /metrics HTTP/1.0\r\n\r\n"), 405);
	assert_int_equal(status_of("GET /metrics HTTP/2.0\r\n\r\n"), 505);
	assert_int_equal(status_of("GET /metrics HTTP/1.1\r\n\r\n"), 400); /* no Host */
	assert_int_equal(status_of("GET /metrics HTTP/1.1\r\n" HOST HOST "\r\n"), 400);
	assert_int_equal(status_of("\r\n\r\n"), 400);
	assert_int_equal(status_of("GET\r\n\r\n"), 400);
	assert_int_equal(status_of("GET /metrics\r\n\r\n"), 400); /* HTTP/0.9 */
	assert_int_equal(status_of("GET  /metrics HTTP/1.0\r\n\r\n"), 400);
	assert_int_equal(status_of("GET /metrics HTTP/1.0 \r\n\r\n"), 400);
	assert_int_equal(status_of("GET /metrics FTP/1.00\r\n\r\n"), 400);
	assert_int_equal(status_of("GET /metrics HTTP/1.0\r\nNo colon\r\n\r\n"), 400);
	assert_int_equal(status_of("GET /metrics HTTP/1.0\r\nName : x\r\n\r\n"), 400);
	assert_int_equal(status_of("GET /metrics HTTP/1.0\r\n: x\r\n\r\n"), 400);
	assert_int_equal(status_of("GET /metrics HTTP/1.0\r\nA: x\r\n folded\r\n\r\n"), 400);
	assert_int_equal(status_of("GET /metrics HTTP/1.0\r\nA: \x01\r\n\r\n"), 400);
	assert_int_equal(status_of("GET /\x7fmetrics HTTP/1.0\r\n\r\n"), 400);
	assert_int_equal(status_of("\x16\x03\x01\x02\r\n\r\n"), 400); /* TLS, say */
}

static void test_a_request_without_end_is_cut(void **state)
{
	static char text[HTTP_REQUEST_MAX + 1];
	struct http_request r;
	(void)state;
	memset(text, 'a', HTTP_REQUEST_MAX);
	assert_false(http_parse(text, HTTP_REQUEST_MAX - 1, false, &r));
	assert_true(http_parse(text, HTTP_REQUEST_MAX, false, &r));
	assert_int_equal(r.status, 414);
	memcpy(text, "GET /metrics HTTP/1.0\r\nX: ", 26);
	assert_false(http_parse(text, HTTP_REQUEST_MAX - 1, false, &r));
	assert_true(http_parse(text, HTTP_REQUEST_MAX, false, &r));
	assert_int_equal(r.status, 431);
	memcpy(text + HTTP_REQUEST_MAX - 4, "\r\n\r\n", 4); /* as long as may be */
	assert_true(http_parse(text, HTTP_REQUEST_MAX, false, &r));
	assert_int_equal(r.status, 200);
}

static unsigned status_by_tcp(const char *host)
{
	char text[256];
	snprintf(text, sizeof(text), "GET /metrics HTTP/1.1\r\nHost: %s\r\n\r\n", host);
	return parsed(text, true).status;
}

static void test_by_tcp_only_the_loopback_is_answered(void **state)
{
	(void)state;
	assert_int_equal(status_by_tcp("localhost"), 200);
	assert_int_equal(status_by_tcp("LocalHost:9464"), 200);
	assert_int_equal(status_by_tcp("127.0.0.1"), 200);
	assert_int_equal(status_by_tcp("127.0.0.2:80"), 200);
	assert_int_equal(status_by_tcp("[::1]:9464"), 200);
	assert_int_equal(status_by_tcp("localhost.evil.example"), 403);
	assert_int_equal(status_by_tcp("127.0.0.1.evil.example"), 403);
	assert_int_equal(status_by_tcp("[::1].evil.example"), 403);
	assert_int_equal(status_by_tcp("evil.example:9464"), 403);
	assert_int_equal(status_by_tcp(""), 403);
	/* a page of somebody else's is refused whatever it asks for */
	assert_int_equal(parsed("GET / HTTP/1.1\r\nHost: evil\r\n\r\n", true).status, 403);
	assert_int_equal(parsed("GET /metrics HTTP/1.0\r\n\r\n", true).status, 200);
}

static enum metrics_format format_of(const char *accept)
{
	char text[512];
	snprintf(text, sizeof(text), "GET /metrics HTTP/1.1\r\naccept:%s\r\n" HOST "\r\n", accept);
	const struct http_request r = parsed(text, false);
	assert_int_equal(r.status, 200);
	return r.format;
}

static void test_the_older_format_is_for_who_wants_it_more(void **state)
{
	(void)state;
	assert_int_equal(parsed("GET /metrics HTTP/1.0\r\n\r\n", false).format, METRICS_OPEN);
	assert_int_equal(format_of(" */*"), METRICS_OPEN);
	assert_int_equal(format_of(""), METRICS_OPEN);
	assert_int_equal(format_of(" text/plain"), METRICS_TEXT);
	assert_int_equal(format_of("text/plain; version=0.0.4; q=0.5, */*;q=0.1"), METRICS_TEXT);
	/* what Prometheus sends */
	assert_int_equal(format_of(" application/openmetrics-text;version=1.0.0;q=0.75,"
				   "application/openmetrics-text;version=0.0.1;q=0.5,"
				   "text/plain;version=0.0.4;q=0.25,*/*;q=0.1"),
		METRICS_OPEN);
	assert_int_equal(
		format_of(" application/openmetrics-text;q=0.2, text/plain;q=0.9"), METRICS_TEXT);
	assert_int_equal(format_of(" application/openmetrics-text;q=0, text/plain"), METRICS_TEXT);
	assert_int_equal(format_of(" text/plain;q=0"), METRICS_OPEN);
	assert_int_equal(format_of(" text/plain;q=9999999999.5, ,;,=;q="), METRICS_TEXT);
}

static void test_an_answer_has_its_length_and_ends_the_connection(void **state)
{
	char head[HTTP_HEAD_MAX];
	(void)state;
	const size_t n = http_head(200, metrics_content_type(METRICS_OPEN), 1234, head);
	assert_int_equal(n, strlen(head));
	assert_string_equal(head,
		"HTTP/1.1 200 OK\r\n"
		"Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
		"Content-Length: 1234\r\n"
		"Cache-Control: no-store\r\n"
		"Connection: close\r\n\r\n");
	http_head(405, "text/plain", 1, head);
	assert_non_null(strstr(head, "HTTP/1.1 405 Method Not Allowed\r\n"));
	assert_non_null(strstr(head, "\r\nAllow: GET, HEAD\r\n"));
	assert_non_null(strstr(http_sentence(404), "/metrics"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_metrics_are_for_who_asks_for_them),
		cmocka_unit_test(test_other_requests_are_refused),
		cmocka_unit_test(test_a_request_without_end_is_cut),
		cmocka_unit_test(test_by_tcp_only_the_loopback_is_answered),
		cmocka_unit_test(test_the_older_format_is_for_who_wants_it_more),
		cmocka_unit_test(test_an_answer_has_its_length_and_ends_the_connection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
