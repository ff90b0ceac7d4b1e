/* fuzz_route.c - what the kernel says of interfaces (route_darwin.h), and what it does not. The
 * first byte tells whether it is a dump or news. */
#include "server/hostif/darwin_abi.h"
#include "server/hostif/route_darwin.h"
#include "tests/support/bytes.h"
#include "tests/support/fuzz.h"

static void check(const struct route_record *rec, bool news)
{
	must(rec->kind <= ROUTE_GROUPS_NEWS);
	must(memchr(rec->name, 0, sizeof(rec->name)));
	must(rec->has_mac || mac_is_zero(rec->mac));
	must(!news || rec->kind != ROUTE_ADDR);
	must(rec->kind == ROUTE_ADDR || !rec->addr.family);
	must(rec->addr.family == 0 || rec->addr.family == 4 || rec->addr.family == 6);
	must(rec->addr.prefix <= (rec->addr.family == 6 ? 128 : 32));
	must(rec->kind == ROUTE_LINK || !rec->mtu);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!len)
		return 0;
	const bool news = data[0] & 1;
	uint8_t *copy = exact_copy(data + 1, len - 1);
	struct route_reader r = { copy, len - 1 };
	struct route_record rec;
	size_t left = r.left;
	while (route_next(&r, news, &rec)) {
		must(r.left + sizeof(struct dw_ifma_msghdr) <= left); /* it goes on */
		left = r.left;
		check(&rec, news);
	}
	must(!r.left && !route_next(&r, news, &rec));
	free(copy);
	return 0;
}
