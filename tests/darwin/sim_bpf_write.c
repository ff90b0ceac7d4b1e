/* sim_bpf_write.c - injection by BPF. net/bpf.c:bpfwrite(), bpf_movein(), bpf_movein_batch(). */
#include "tests/darwin/sim_bpf.h"

#include <stdlib.h>
#include <string.h>

#define MCLBYTES 2048u
#define WRITE_MAX_14_0 65535u /* BPF_WRITE_MAX of 14.0 */
#define WRITE_LEEWAY 18u      /* BPF_WRITE_LEEWAY: a link header with a tag */
#define BATCH_LEFT 20u        /* sizeof(struct bpf_hdr): less than that is not a record */

/* Until 13: a frame has to fit one cluster, and what follows the Ethernet header the MTU; the
 * difference is unsigned, and 10.14 does not ask before whether there is a header. */
static int check_len_13(const struct sim_bpf *d, uint32_t len)
{
	if (len > MCLBYTES)
		return -DW_EIO;
	if (d->file->sim->profile > SIM_10_14 && len < SIM_BPF_ETHER)
		return -DW_EIO;
	return len - SIM_BPF_ETHER > d->ifp->mtu ? -DW_EMSGSIZE : 0;
}

/* bpf_movein(). With a complete header it is payload that is measured, header and all. */
static int check_len(const struct sim_bpf *d, uint32_t len)
{
	const uint32_t link = d->hdrcmplt ? 0 : SIM_BPF_ETHER;
	const enum sim_profile profile = d->file->sim->profile;

	if (profile < SIM_14_0)
		return check_len_13(d, len);
	if (len < link || len > (profile < SIM_14_1 ? WRITE_MAX_14_0 : SIM_BPF_WRITE_MAX))
		return -DW_EMSGSIZE;
	if (d->write_max == 0 && len - link > d->ifp->mtu + WRITE_LEEWAY)
		return -DW_EMSGSIZE;
	return 0; /* over write_max there is a line in the log and no more */
}

/* dlil_output(). Where the header is not complete, through IPv4 and its framer, which puts the
 * interface's address in. */
static int send_frame(const struct sim_bpf *d, const uint8_t *frame, uint32_t len)
{
	if (d->hdrcmplt)
		return sim_output(d->ifp, frame, len);
	if (!d->ifp->attached || !d->ifp->proto_inet)
		return -DW_ENXIO;
	uint8_t *copy = malloc(len);
	if (!copy)
		return -DW_ENOBUFS;
	memcpy(copy, frame, len);
	memcpy(copy + 6, d->ifp->mac, sizeof(d->ifp->mac));
	int rc = sim_output(d->ifp, copy, len);
	free(copy);
	return rc;
}

/* One record of a batch at @at. Returns what it takes of the @left bytes, or -DW_E*; the frame, if
 * it has one, in *frame and *len. */
static long record_next(const struct sim_bpf *d, const uint8_t *at, size_t left,
	const uint8_t **frame, uint32_t *len)
{
	struct dw_bpf_hdr head = { 0 };

	*len = 0;
	memcpy(&head, at, DW_BPF_HDR);
	if (head.hdrlen < DW_BPF_HDR || head.caplen != head.datalen || head.hdrlen > left)
		return -DW_EINVAL;
	if (head.caplen > 0) {
		if (head.caplen > left - head.hdrlen)
			return -DW_EMSGSIZE;
		int rc = check_len(d, head.caplen);
		if (rc < 0)
			return rc;
		*frame = at + head.hdrlen;
		*len = head.caplen;
	}
	const size_t used = DW_BPF_WORDALIGN((size_t)head.hdrlen + head.caplen);
	return (long)(used < left ? used : left);
}

/* All records are looked at before the first frame goes. Of several errors in sending the last
 * frame's counts, since dlil_output() goes on. */
static long write_batch(const struct sim_bpf *d, const uint8_t *buf, size_t size)
{
	const uint8_t *frame = NULL;
	uint32_t len;
	size_t at = 0;
	int rc = 0;

	while (size - at >= BATCH_LEFT) {
		const long used = record_next(d, buf + at, size - at, &frame, &len);
		if (used < 0)
			return used;
		at += (size_t)used;
	}
	const size_t end = at;
	for (at = 0; at < end;) {
		at += (size_t)record_next(d, buf + at, size - at, &frame, &len);
		if (len > 0)
			rc = send_frame(d, frame, len);
	}
	return rc < 0 ? rc : (long)end;
}

long sim_bpf_write(
	struct sim_file *f, const void *buf, size_t size, const void *addr, size_t addr_len)
{
	const struct sim_bpf *d = f->priv;

	(void)addr_len;
	if (addr)
		return -DW_ENOTSOCK;
	if (size > INT32_MAX)
		return -DW_EINVAL;
	if (!d->ifp)
		return -DW_ENXIO;
	if (!(d->ifp->flags & DW_IFF_UP))
		return -DW_ENETDOWN;
	if (size == 0)
		return 0;
	if (d->batch_write)
		return write_batch(d, buf, size);
	int rc = check_len(d, (uint32_t)size);
	if (rc == 0)
		rc = send_frame(d, buf, (uint32_t)size);
	return rc < 0 ? rc : (long)size;
}
