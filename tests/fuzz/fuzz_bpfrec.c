/* fuzz_bpfrec.c - what one read of a BPF device gives (bpfrec_darwin.h): the frames in it are whole
 * and inside, and written as a batch they are read as the same ones again. */
#include "feth/types.h"
#include "server/hostif/bpfrec_darwin.h"
#include "tests/support/bytes.h"
#include "tests/support/fuzz.h"

#define FRAMES 5u /* as many at a time, so that a read is taken in several goes */

/* Joins the pieces of a batch, as writev() does. */
static void gather(struct bytes *out, const struct bpfrec_writer *w)
{
	for (unsigned i = 0; i < w->n; i++)
		bytes_add(out, w->pieces[i].base, w->pieces[i].len);
}

static void write_again(const struct frame *frames, unsigned n)
{
	struct seg pieces[3 * FRAMES];
	struct dw_bpf_hdr headers[FRAMES];
	struct bpfrec_writer w = { .pieces = pieces, .max = 3 * FRAMES };
	struct frame again[FRAMES + 1];
	struct bytes b = { 0 };
	for (unsigned i = 0; i < n; i++)
		must(bpfrec_add(&w, &headers[i], &frames[i]));
	gather(&b, &w);
	must(b.len % DW_BPF_ALIGN == 0); /* the last one is padded too */
	uint8_t *copy = exact_copy(b.data, b.len);
	struct bpfrec_reader r = { .data = copy, .len = b.len };
	must(bpfrec_next(&r, again, FRAMES + 1) == n && r.at == r.len && !r.cut && !r.bad);
	for (unsigned i = 0; i < n; i++)
		must(again[i].len == frames[i].len &&
			!memcmp(again[i].head, frames[i].head, frames[i].len));
	free(copy);
	free(b.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy = exact_copy(data, len);
	struct bpfrec_reader r = { .data = copy, .len = len };
	struct frame frames[FRAMES];
	unsigned n;
	while ((n = bpfrec_next(&r, frames, FRAMES))) {
		must(n <= FRAMES && r.at <= r.len);
		for (unsigned i = 0; i < n; i++) {
			must(frames[i].len >= FETH_FRAME_MIN && frames[i].len <= FETH_FRAME_MAX);
			must(frames[i].head_len == frames[i].len && !frames[i].more_n);
			must(frames[i].head >= copy + DW_BPF_HDR);
			must(frames[i].len <= (size_t)(copy + len - frames[i].head));
		}
		write_again(frames, n);
	}
	must(r.at == r.len);
	free(copy);
	return 0;
}
