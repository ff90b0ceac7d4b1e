/* vde.c - see vde.h. */
#include "protocol/vde.h"

#include <string.h>

#define FAMILY_UNIX 1u /* AF_UNIX, on every system */
#ifdef __linux__
#define ABSTRACT true
#else
#define ABSTRACT false /* nothing else has names that are no paths */
#endif

/* The low byte of a type: REQ_NEW_CONTROL, and REQ_NEW_PORT0, which is vde_switch's port for
 * management and here one as any other. Above is the number that a client would like its port to
 * have, which is passed over: numbers are the network's to give. */
#define TYPES 2u

static uint32_t word(const uint8_t *at)
{
	uint32_t v;
	memcpy(&v, at, sizeof(v));
	return v;
}

static unsigned family(const uint8_t *addr)
{
#ifdef __APPLE__
	return addr[1]; /* behind sun_len, which is not always filled in */
#else
	uint16_t v;
	memcpy(&v, addr, sizeof(v));
	return v;
#endif
}

static bool goes_up(const char *path)
{
	for (const char *p = strstr(path, "/.."); p; p = strstr(p + 1, "/.."))
		if (!p[3] || p[3] == '/')
			return true;
	return false;
}

/* NULL, or what is wrong with it. */
static const char *read_address(const uint8_t *addr, struct vde_request *out)
{
	if (family(addr) != FAMILY_UNIX)
		return "the address of its data socket is no Unix address";
	memcpy(out->path, addr + 2, VDE_PATH_LEN);
	out->abstract = !out->path[0];
	if (out->abstract)
		return ABSTRACT ? NULL : "its data socket has no path";
	if (!memchr(out->path, 0, VDE_PATH_LEN))
		return "the path of its data socket has no end";
	if (out->path[0] != '/')
		return "the path of its data socket is not absolute";
	if (goes_up(out->path))
		return "the path of its data socket goes up by \"..\"";
	return NULL;
}

/* How long a request is that begins so; 0: it is none. @len: at least 8. */
static size_t length(const uint8_t *buf)
{
	const uint32_t second = word(buf + 4); /* version 3, or the type of version 1 */
	if (second == 3)
		return VDE_REQUEST_V3;
	return second < TYPES ? VDE_REQUEST_V1 : 0;
}

enum vde_found vde_next(
	const uint8_t *buf, size_t len, struct vde_request *out, size_t *need, const char **reason)
{
	if (len >= 4 && word(buf) != VDE_MAGIC) {
		*reason = "no request of VDE";
		return VDE_BAD;
	}
	const size_t total = len < 8 ? 8 : length(buf);
	if (!total) {
		*reason = "a version of VDE's protocol that is not 1 or 3";
		return VDE_BAD;
	}
	if (len < total) {
		*need = total;
		return VDE_MORE;
	}
	if (total == VDE_REQUEST_V3 && (word(buf + 8) & 0xff) >= TYPES) {
		*reason = "a type of request that VDE does not have";
		return VDE_BAD;
	}
	struct vde_request req = { .len = (uint32_t)total };
	*reason = read_address(buf + total - VDE_ADDR_LEN, &req);
	if (*reason)
		return VDE_BAD;
	*out = req;
	return VDE_REQUEST;
}

void vde_answer(uint8_t out[VDE_ADDR_LEN], const char *path)
{
	memset(out, 0, VDE_ADDR_LEN);
#ifdef __APPLE__
	out[0] = VDE_ADDR_LEN;
	out[1] = FAMILY_UNIX;
#else
	const uint16_t v = FAMILY_UNIX;
	memcpy(out, &v, sizeof(v));
#endif
	const size_t len = strlen(path);
	memcpy(out + 2, path, len < VDE_PATH_LEN ? len : VDE_PATH_LEN - 1);
}
