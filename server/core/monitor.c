/* monitor.c - see monitor.h. */
#include "server/core/monitor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64u /* records handed over together: HOSTIF_BATCH's reason */

struct monitor {
	struct monitor_conf conf;
	struct port *port;            /* borrowed */
	bool touched;                 /* has got records since the last flush */
	unsigned n_out;               /* of out[], not handed over yet */
	uint32_t used;                /* bytes of stage */
	struct frame out[BATCH];      /* views of records in stage */
	uint8_t stage[MONITOR_STAGE]; /* stays as it is until the flush */
};

int monitor_new(struct monitor **out, const struct monitor_conf *conf, struct port *port)
{
	struct monitor *m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->conf = *conf;
	m->port = port;
	m->touched = false;
	m->n_out = 0;
	m->used = 0;
	*out = m;
	return 0;
}

void monitor_free(struct monitor *m)
{
	free(m);
}

struct monitor_conf *monitor_conf(struct monitor *m)
{
	return &m->conf;
}

uint8_t monitor_reason(struct verdict verdict)
{
	return verdict.kind == VERDICT_DROP ? (uint8_t)(verdict.reason + 1) : 0;
}

/* -- records -- */

static void put_be(uint8_t *out, uint64_t v, unsigned n)
{
	while (n--) {
		out[n] = (uint8_t)v;
		v >>= 8;
	}
}

static void copy_start(uint8_t *out, const struct frame *frame, uint32_t len)
{
	uint32_t part = frame->head_len < len ? frame->head_len : len;
	if (part)
		memcpy(out, frame->head, part);
	for (const struct seg *seg = frame->more; part < len; seg++) {
		const uint32_t n = seg->len < len - part ? (uint32_t)seg->len : len - part;
		if (n)
			memcpy(out + part, seg->base, n);
		part += n;
	}
}

static void hand_over(struct monitor *m)
{
	if (m->n_out)
		m->port->ops->send(m->port, m->out, m->n_out, false);
	m->n_out = 0;
}

void monitor_flush(struct monitor *m)
{
	if (!m->touched)
		return;
	m->touched = false;
	hand_over(m);
	m->port->ops->flush(m->port);
	m->used = 0;
}

/* Whether a record of @need bytes can be made: there is memory for it, and what waits for the
 * client leaves room in its queue. */
static bool room(struct monitor *m, uint32_t need)
{
	if (need > MONITOR_STAGE - m->used)
		monitor_flush(m);
	const uint64_t waiting = m->port->ops->queued(m->port);
	return !waiting || waiting + m->used + need <= MONITOR_QUEUE;
}

/* @len: bytes of the frame that the record gets. */
static void put(
	struct monitor *m, const struct sighting *seen, const struct frame *frame, uint32_t len)
{
	const uint32_t body = WIRE_MONITOR_LEN + len;
	if (!room(m, WIRE_HDR_MAX + body)) {
		m->port->stats->drops[DROP_QUEUE_FULL]++;
		return;
	}
	uint8_t *p = m->stage + m->used;
	const uint8_t hdr = wire_ext_header(p, WIRE_EXT_MONITOR, body);
	m->used += hdr + body;
	p += hdr;
	m->out[m->n_out++] = (struct frame){
		.head = p,
		.head_len = body,
		.len = body,
		.framing = FRAMING_NATIVE,
		.wire_hdr = hdr,
	};
	put_be(p, seen->ns, 8);
	put_be(p + 8, seen->in, 2);
	p[10] = seen->verdict.kind;
	p[11] = monitor_reason(seen->verdict);
	put_be(p + 12, frame->len, 4);
	copy_start(p + WIRE_MONITOR_LEN, frame, len);
	m->touched = true;
	if (m->n_out == BATCH)
		hand_over(m);
}

void monitor_take(
	struct monitor *m, const struct sighting *seen, const struct frame *frames, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t len = m->conf.snaplen;
		if (m->conf.n_steps) {
			const uint32_t wanted = bpf_run(m->conf.steps, &frames[i]);
			if (!wanted)
				continue;
			len = wanted < len ? wanted : len;
		}
		put(m, seen, &frames[i], frames[i].len < len ? frames[i].len : len);
	}
}
