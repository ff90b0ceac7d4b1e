/* network_offload.c - frames that owe work (offload.h), for receivers that do not take that.
 *
 * A port or host side whose frames may owe work has its batches go through here, and no other has:
 * a network without such pays one look at a flag for each run of frames. What a frame owes is done
 * when the first receiver needs it, and its finished form is then everybody's, also that of
 * monitors, who see frames as they would be on a wire. The forms live until the ports have written,
 * which they do early where there would be no more room for the next frame. */
#include <errno.h>
#include <stdlib.h>

#include "server/core/network_priv.h"

int network_offload_init(struct network *net)
{
	struct network_offload *o = malloc(sizeof(*o)); /* not zeroed: see there */
	if (!o)
		return -ENOMEM;
	o->owing = false;
	o->host = 0;
	o->used = o->now = (struct gso_need){ 0 };
	o->n_made = o->n_frames = o->n_segs = o->n_bytes = 0;
	net->offload = o;
	return 0;
}

/* What a frame takes at most, in any form: with a tag it has 4 bytes more, and a new header brings
 * two pieces. */
static struct gso_need need_of(const struct frame *frame)
{
	struct gso_need need = { 0 };
	if (offload_needs(frame)) {
		need = gso_need(frame);
		need.segs += 2;
		need.bytes += need.frames * GSO_ALIGN;
	}
	return need;
}

static struct gso_need sum_of(struct gso_need a, struct gso_need b)
{
	return (struct gso_need){ a.frames + b.frames, a.segs + b.segs, a.bytes + b.bytes };
}

static bool has_room(struct gso_need need)
{
	return need.frames <= OFFLOAD_FRAMES && need.segs <= OFFLOAD_SEGS &&
	       need.bytes <= OFFLOAD_BYTES;
}

/* A client may leave when it is flushed. */
static bool is_there(const struct network *net, uint16_t in)
{
	return in == PORT_HOST || (net->recs[in] && net->recs[in]->client);
}

void network_offload_input(struct network *net, uint16_t in, struct frame *frames, unsigned n)
{
	struct network_offload *o = net->offload;
	if (net->recs[in]->info.rules.raw_offload)
		for (unsigned i = 0; i < n; i++)
			if (frames[i].len >= FETH_FRAME_MIN && !frames[i].offload.flags)
				offload_guess(&frames[i], net->sw.ports[in].mtu);
	while (n && is_there(net, in)) {
		struct gso_need now = { 0 };
		unsigned k = 0;
		for (; k < n; k++) {
			const struct gso_need more = sum_of(now, need_of(&frames[k]));
			if (!has_room(sum_of(o->used, more)))
				break;
			now = more;
		}
		if (k) {
			o->owing = now.frames != 0;
			o->used = sum_of(o->used, now);
			o->now = now;
			network_admit(net, in, frames, k);
			o->owing = false;
			o->now = (struct gso_need){ 0 };
		} else if (o->used.frames) {
			network_flush_ports(net);
		} else { /* in more pieces than anybody has */
			k = 1;
			network_refuse(net, in, DROP_BAD_OFFLOAD, frames, 1);
		}
		frames += k;
		n -= k;
	}
}

void network_offload_written(struct network *net)
{
	struct network_offload *o = net->offload;
	o->n_made = o->n_frames = o->n_segs = o->n_bytes = 0;
	o->used = o->now;
}

/* Makes the finished form of a frame. It has none where its headers are not what they were when it
 * was judged, as they may be in memory that its sender can write to. */
static void finish(struct network *net, struct frame *frame)
{
	struct network_offload *o = net->offload;
	const struct gso_need need = gso_need(frame);
	unsigned n = 0;
	if (o->n_frames + need.frames <= OFFLOAD_FORMS * OFFLOAD_FRAMES &&
		o->n_segs + need.segs <= OFFLOAD_FORMS * OFFLOAD_SEGS &&
		o->n_bytes + need.bytes <= OFFLOAD_FORMS * OFFLOAD_BYTES)
		n = gso_finish(
			frame, o->bytes + o->n_bytes, o->segs + o->n_segs, o->frames + o->n_frames);
	o->made[o->n_made].first = o->n_frames;
	o->made[o->n_made].n = n;
	frame->made = (uint16_t)++o->n_made;
	if (!n) {
		net->recs[net->from]->stats.drops[DROP_BAD_OFFLOAD]++;
		return;
	}
	net->work += n;
	o->n_frames += n;
	o->n_segs += need.segs;
	o->n_bytes += need.bytes;
}

static bool is_taken(const struct frame *frame, uint8_t takes, uint32_t max)
{
	const uint8_t needs = offload_needs(frame);
	return !needs || (!(needs & ~takes) && frame->len <= max);
}

unsigned network_offload_next(struct network *net, uint8_t takes, uint32_t max,
	struct frame *frames, unsigned n, struct frame **out, unsigned *n_out)
{
	struct network_offload *o = net->offload;
	unsigned i = 0;
	*out = frames;
	*n_out = 0;
	while (i < n && is_taken(&frames[i], takes, max))
		i++;
	if (i) {
		*n_out = i;
		return i;
	}
	for (; i < n && !is_taken(&frames[i], takes, max); i++) {
		if (!frames[i].made)
			finish(net, &frames[i]);
		const unsigned made = frames[i].made - 1u;
		if (i && o->frames + o->made[made].first != *out + *n_out)
			break; /* the forms of those before lie elsewhere */
		if (!i)
			*out = o->frames + o->made[made].first;
		*n_out += o->made[made].n;
	}
	return i;
}
