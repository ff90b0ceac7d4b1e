/* l3io.c - see l3io.h. */
#include "server/hostif/l3io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef __APPLE__
#include <sys/random.h>
#endif

#include "server/base/log.h"

int l3io_open(struct l3io *io, const struct hostif_spec *spec, struct err *err)
{
	struct netid_key key;
	if (getentropy(&key, sizeof(key)) < 0)
		return err_set(err, -EIO, "%s: the system gives no random numbers", spec->network);
	const int rc = l3glue_new(&io->glue, &key, spec);
	if (rc < 0)
		return err_set(err, rc, "%s: out of memory", spec->network);
	memcpy(io->network, spec->network, sizeof(io->network));
	memcpy(io->host, spec->host, sizeof(io->host));
	return 0;
}

void l3io_close(struct l3io *io)
{
	l3glue_free(io->glue);
	io->glue = NULL;
}

unsigned l3io_out(struct l3io *io, struct frame *frames, unsigned n, unsigned max)
{
	n = l3glue_out(io->glue, frames, n);
	return n + l3glue_pull(io->glue, frames + n, max - n);
}

/* Seldom: of each address every ten seconds. */
static void tell_conflict(const struct l3io *io)
{
	struct l3_conflict c;
	char ip[INET6_ADDRSTRLEN] = "", mac[MAC_TEXT];
	if (!l3glue_conflict(io->glue, &c))
		return;
	(void)inet_ntop(c.ip.family == 4 ? AF_INET : AF_INET6, c.ip.b, ip, sizeof(ip));
	mac_format(mac, c.mac);
	if (c.given_up)
		log_warn("hostif",
			"net=%s: %s has the address %s, which is declared for %s too: it is not "
			"answered for until the network's addresses change; give one of the two "
			"another",
			io->network, mac, ip, io->host);
	else
		log_warn("hostif",
			"net=%s: %s has the address %s, which is that of %s: give one of the two "
			"another",
			io->network, mac, ip, io->host);
}

unsigned l3io_in(struct l3io *io, const struct frame *frames, unsigned n,
	unsigned (*write)(void *ctx, const struct frame *packets, unsigned n), void *ctx)
{
	struct frame packets[HOSTIF_BATCH];
	unsigned taken = 0, n_packets = 0;
	for (unsigned i = 0; i < n; i++) {
		packets[n_packets] = frames[i];
		switch (l3glue_in(io->glue, &packets[n_packets])) {
		case L3_PASS:
			n_packets++;
			break;
		case L3_TAKEN:
			taken++;
			break;
		case L3_REFUSED:
			break;
		}
		if (n_packets == HOSTIF_BATCH || i + 1 == n) {
			taken += write(ctx, packets, n_packets);
			n_packets = 0;
		}
	}
	tell_conflict(io);
	return taken;
}

void l3io_tick(struct l3io *io, uint64_t now_ms, struct hostif_lost *lost)
{
	l3glue_tick(io->glue, now_ms);
	l3glue_lost(io->glue, &lost->frames, &lost->bytes);
}
