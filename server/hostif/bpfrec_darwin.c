/* bpfrec_darwin.c - see bpfrec_darwin.h. */
#include "server/hostif/bpfrec_darwin.h"

#include <string.h>

#include "feth/types.h"

/* Takes one record. False: it made no sense, and nothing behind it can be found. */
static bool take(struct bpfrec_reader *r, struct frame *out)
{
	const uint8_t *p = r->data + r->at;
	const size_t left = r->len - r->at;
	struct dw_bpf_hdr head;

	out->len = 0;
	if (left < DW_BPF_HDR)
		return false;
	memcpy(&head, p, DW_BPF_HDR);
	if (head.hdrlen < DW_BPF_HDR || head.hdrlen > left || head.caplen > left - head.hdrlen)
		return false;
	/* the sum fits: it is at most `left` */
	const size_t step = DW_BPF_WORDALIGN((size_t)head.hdrlen + head.caplen);
	r->at += step < left ? step : left; /* the last one is not padded */
	if (head.caplen < head.datalen)
		r->cut++;
	else if (head.caplen >= FETH_FRAME_MIN && head.caplen <= FETH_FRAME_MAX)
		*out = (struct frame){
			.head = p + head.hdrlen,
			.head_len = head.caplen,
			.len = head.caplen,
		};
	else
		r->bad++;
	return true;
}

unsigned bpfrec_next(struct bpfrec_reader *r, struct frame *frames, unsigned max)
{
	unsigned n = 0;
	while (n < max && r->at < r->len) {
		if (!take(r, &frames[n])) {
			r->bad++;
			r->at = r->len;
		} else if (frames[n].len) {
			n++;
		}
	}
	return n;
}

bool bpfrec_add(struct bpfrec_writer *w, struct dw_bpf_hdr *header, const struct frame *f)
{
	static const uint8_t zeros[DW_BPF_ALIGN];
	const size_t len = DW_BPF_HDR + (size_t)f->len;
	const size_t pad = DW_BPF_WORDALIGN(len) - len;
	if (w->max - w->n < 3u + f->more_n)
		return false;
	*header = (struct dw_bpf_hdr){
		.caplen = f->len, .datalen = f->len, .hdrlen = (uint16_t)DW_BPF_HDR
	};
	struct seg *out = w->pieces + w->n;
	*out++ = (struct seg){ header, DW_BPF_HDR };
	*out++ = (struct seg){ f->head, f->head_len };
	if (f->more_n)
		memcpy(out, f->more, f->more_n * sizeof(*out));
	out += f->more_n;
	if (pad) /* behind the last record too */
		*out++ = (struct seg){ zeros, pad };
	w->n = (unsigned)(out - w->pieces);
	return true;
}
