/* fuzz_place.c - where a peer says its socket is: what verb_connect_peer() makes of any address. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "server/core/access.h"
#include "server/priv/sock.h"
#include "server/priv/verbs.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	if (len < 2)
		return 0;
	const uint32_t uid = data[0] & 1 ? geteuid() : geteuid() + 1;
	const socklen_t said = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + data[1]);
	len -= 2;
	memcpy(name.sun_path, data + 2, len < sizeof(name.sun_path) ? len : sizeof(name.sun_path));

	const int fd = sock_new(AF_UNIX, SOCK_DGRAM);
	struct verb_place place = { .fd = -1 };
	struct err err = { 0 };
	must(fd >= 0);
	const int rc = verb_connect_peer(fd, &name, said, uid, &place, &err);
	must(rc <= 0 && !rc == !err.code && !rc == !err.text[0]);
	must(rc == 0 || rc == -EPERM || place.fd < 0); /* nobody would close it */
	if (!rc)
		must(place.len > offsetof(struct sockaddr_un, sun_path));
	verb_place_close(&place);
	close(fd);
	const int next = sock_new(AF_UNIX, SOCK_DGRAM);
	must(next == fd); /* nothing was left open */
	close(next);
	return 0;
}
