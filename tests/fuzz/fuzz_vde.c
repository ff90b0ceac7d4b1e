/* fuzz_vde.c - what a client of vde/ctl sends, at every length up to what there is. */
#include <string.h>

#include "protocol/vde.h"
#include "tests/support/bytes.h"
#include "tests/support/fuzz.h"

static bool may_be_connected(const struct vde_request *req)
{
	if (req->abstract)
		return !req->path[0];
	const char *path = req->path;
	if (path[0] != '/' || !memchr(path, 0, sizeof(req->path)) || strstr(path, "/../"))
		return false;
	const size_t len = strlen(path);
	return len < 3 || strcmp(path + len - 3, "/..") != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	for (size_t n = 0;;) {
		uint8_t *copy = exact_copy(data, n);
		struct vde_request req;
		size_t need = 0;
		const char *reason = NULL;
		const enum vde_found found = vde_next(copy, n, &req, &need, &reason);
		free(copy);
		if (found == VDE_REQUEST) {
			must(req.len == n && may_be_connected(&req));
			uint8_t out[VDE_ADDR_LEN];
			vde_answer(out, req.path);
			if (!req.abstract) /* as a client of ours would name it */
				must(!strcmp((const char *)out + 2, req.path));
		}
		if (found == VDE_BAD)
			must(reason && reason[0]);
		if (found != VDE_MORE)
			return 0;
		must(need > n && need <= VDE_REQUEST_MAX);
		if (need > len)
			return 0;
		n = need;
	}
}
