/* fuzz_http.c - a request of a stranger (clients/ctl/http.h), and the keys of a terminal
 * (topview.h). The first byte tells by which door it came. */
#include "clients/ctl/http.h"
#include "clients/ctl/topview.h"
#include "tests/support/bytes.h"
#include "tests/support/fuzz.h"

static void check(const struct http_request *r)
{
	static const unsigned known[] = { 200, 400, 403, 404, 405, 414, 431, 505 };
	bool found = false;
	char head[HTTP_HEAD_MAX];
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		found |= r->status == known[i];
	must(found);
	must(r->format < METRICS_FORMATS);
	must((r->status == 200) == !http_sentence(r->status)[0]);
	const size_t n = http_head(r->status, metrics_content_type(r->format), SIZE_MAX, head);
	must(n < HTTP_HEAD_MAX && strlen(head) == n && !memcmp(head + n - 4, "\r\n\r\n", 4));
}

/* What a request comes to does not depend on the pieces it comes in. */
static void request(const uint8_t *data, size_t len, bool loopback)
{
	struct http_request whole = { 0 }, r = { 0 };
	const size_t most = len < HTTP_REQUEST_MAX ? len : HTTP_REQUEST_MAX;
	const bool done = http_parse((const char *)data, most, loopback, &whole);
	must(done || len < HTTP_REQUEST_MAX);
	if (done)
		check(&whole);
	const size_t step = most / 64 + 1;
	for (size_t n = 0; n < most; n += step) {
		uint8_t *copy = exact_copy(data, n);
		if (http_parse((const char *)copy, n, loopback, &r)) {
			must(done && r.status == whole.status && r.head == whole.head &&
				r.format == whole.format);
		}
		free(copy);
	}
}

static void keys(const uint8_t *data, size_t len)
{
	size_t used;
	while (len) {
		uint8_t *copy = exact_copy(data, len);
		(void)top_key(copy, len, &used);
		free(copy);
		must(used <= len && (used || len < 32));
		if (!used)
			return;
		data += used;
		len -= used;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!len)
		return 0;
	uint8_t *copy = exact_copy(data + 1, len - 1);
	request(copy, len - 1, data[0] & 1);
	free(copy);
	keys(data + 1, len - 1 < 256 ? len - 1 : 256);
	return 0;
}
