/* frames_darwin.c - see frames_darwin.h. */
#include "server/hostif/frames_darwin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/hostif/bpfrec_darwin.h"
#include "server/hostif/darwin_abi.h"
#include "server/hostif/darwin_sys.h"
#include "server/hostif/errno_darwin.h"
#include "server/hostif/inject_darwin.h"

#define BUFFER_MIN 4096u               /* bytes; what a device begins with (debug.bpf_bufsize) */
#define BUFFER_MAX (32u * 1024 * 1024) /* debug.bpf_bufsize_cap */

struct hostif {
	int rx_fd, tx_fd;       /* owned; one number where BPF injects too */
	char name[HOSTIF_NAME]; /* of the service member */
	struct inject inject;
	uint8_t *buf;            /* owned */
	uint32_t size;           /* of buf, and of each read: the device takes no other (rule 29) */
	struct bpfrec_reader in; /* what of buf was not given away yet */
	bool warned;
};

static void close_both(int rx_fd, int tx_fd)
{
	if (rx_fd >= 0)
		darwin_sys.close(rx_fd);
	if (tx_fd >= 0 && tx_fd != rx_fd)
		darwin_sys.close(tx_fd);
}

/* The buffer's size is asked of the device: what was set may have been cut down (rule 28). */
static int buffer_make(struct hostif *hif)
{
	const int rc = darwin_sys.ioctl(hif->rx_fd, DW_BIOCGBLEN, &hif->size);
	if (rc < 0)
		return dw_native(rc);
	if (hif->size < BUFFER_MIN || hif->size > BUFFER_MAX)
		return -EIO;
	hif->buf = malloc(hif->size);
	return hif->buf ? 0 : -ENOMEM;
}

int frames_open(struct hostif **out, const struct hostif_made *made, const struct hostif_spec *spec,
	struct err *err)
{
	struct hostif *hif = calloc(1, sizeof(*hif));
	int rc = -ENOMEM;
	if (hif) {
		hif->rx_fd = made->rx_fd;
		hif->tx_fd = made->tx_fd;
		memcpy(hif->name, spec->service, sizeof(hif->name));
		rc = buffer_make(hif);
	}
	if (rc < 0) {
		close_both(made->rx_fd, made->tx_fd);
		free(hif);
		return err_set(err, rc,
			"%s: cannot read interface %s (BIOCGBLEN): %s; delete the network and "
			"create it anew",
			spec->network, spec->service, strerror(-rc));
	}
	hif->in.data = hif->buf;
	inject_init(&hif->inject, hif->rx_fd, hif->tx_fd, spec->mtu);
	*out = hif;
	return 0;
}

void frames_close(struct hostif *hif)
{
	if (!hif)
		return;
	close_both(hif->rx_fd, hif->tx_fd);
	free(hif->buf);
	free(hif);
}

int frames_fd(const struct hostif *hif)
{
	return hif->rx_fd;
}

bool frames_more(const struct hostif *hif)
{
	return hif->in.at < hif->in.len;
}

/* Up to @max of the frames of the last read. */
static int take(struct hostif *hif, struct frame *frames, unsigned max)
{
	const unsigned n = bpfrec_next(&hif->in, frames, max < HOSTIF_BATCH ? max : HOSTIF_BATCH);
	if ((hif->in.cut || hif->in.bad) && !hif->warned) {
		hif->warned = true;
		log_warn("feth",
			"frames lost if=%s truncated=%u senseless=%u: an offload of "
			"its peer was switched on?",
			hif->name, hif->in.cut, hif->in.bad);
	}
	return (int)n;
}

/* One read gives all that has come, hundreds of frames perhaps. They are handed out in the
 * backend's own memory, 64 at a time; more() says that some are left, which the descriptor, being
 * read empty, does not. */
int frames_recv(struct hostif *hif, struct frame *frames, unsigned max, uint8_t *buf, size_t size)
{
	(void)buf;
	(void)size;
	if (!max)
		return 0;
	const int left = take(hif, frames, max);
	if (left)
		return left;

	const long got = darwin_sys.read(hif->rx_fd, hif->buf, hif->size);
	if (got == -DW_EAGAIN || got == -DW_EINTR)
		return 0;
	if (got < 0) /* ENXIO: the interface is gone, and no read will give anything again */
		return dw_native((int)got);
	hif->in.len = (size_t)got <= hif->size ? (size_t)got : 0;
	hif->in.at = 0;
	return take(hif, frames, max);
}

unsigned frames_send(struct hostif *hif, const struct frame *frames, unsigned n)
{
	return inject_frames(&hif->inject, frames, n);
}
