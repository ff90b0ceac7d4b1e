/* loopguard.c - see loopguard.h. */
#include "server/core/loopguard.h"

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15;
	return h ^ h >> 32;
}

/* Of the content alone, however it lies in memory. Never 0. */
static uint64_t print_of(const struct loopguard *lg, const struct frame *frame, uint16_t vlan)
{
	uint8_t scratch[LOOPGUARD_PRINT];
	uint32_t len;
	const uint8_t *p = frame_whole(frame, scratch, sizeof(scratch), &len);
	uint64_t h = mix(lg->seed, (uint64_t)vlan << 32 | frame->len), word;
	size_t left = len < LOOPGUARD_PRINT ? len : LOOPGUARD_PRINT;
	for (; left >= sizeof(word); p += sizeof(word), left -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = mix(h, word);
	}
	word = 0;
	memcpy(&word, p, left);
	h = mix(mix(h, word), lg->seed);
	return h ? h : 1;
}

void loopguard_init(struct loopguard *lg, uint64_t seed)
{
	lg->seed = seed;
	lg->probe.port = PORT_NONE;
}

static void begin_anew(struct loopguard *lg)
{
	memset(lg->seen, 0, sizeof(lg->seen));
	for (unsigned i = 0; i < FDB_PORTS; i++)
		lg->ports[i].hits = lg->ports[i].repeats = (struct bucket){ 0 };
	lg->probe.print = 0;
	lg->probe.port = PORT_NONE;
	lg->probe.backs = 0;
}

static void cut(struct loopguard *lg, uint16_t in, uint64_t now_ms)
{
	struct loopguard_port *p = &lg->ports[in];
	const bool again = p->hold_ms && now_ms < p->until_ms;
	p->hold_ms = again ? 2 * p->hold_ms : LOOPGUARD_HOLD_MS;
	if (p->hold_ms > LOOPGUARD_HOLD_MAX_MS)
		p->hold_ms = LOOPGUARD_HOLD_MAX_MS;
	p->until_ms = now_ms + p->hold_ms;
	p->looped = true;
	lg->n_looped++;
	begin_anew(lg);
}

/* Whether that was one too many. */
static bool count(struct bucket *b, uint32_t leak, uint32_t most, uint64_t now_ms)
{
	bucket_fill(b, leak, most, now_ms);
	return !bucket_take(b, 1);
}

/* The probe has come back from a port. */
static bool probe_back(struct loopguard *lg, uint16_t in, uint64_t now_ms)
{
	struct loopguard_probe *probe = &lg->probe;
	if (in == PORT_HOST) {
		probe->backs += !probe->back;
		probe->back = true;
		if (probe->backs < LOOPGUARD_PROBES_HOST)
			return false;
	}
	cut(lg, in, now_ms);
	return true;
}

bool loopguard_look(struct loopguard *lg, const struct frame *frame, uint16_t vlan, uint16_t in,
	uint64_t now_ms)
{
	const uint64_t print = print_of(lg, frame, vlan);
	struct loopguard_seen *s = &lg->seen[print % LOOPGUARD_SEEN];
	struct loopguard_port *p = &lg->ports[in];
	if (print == lg->probe.print)
		return probe_back(lg, in, now_ms);
	if (s->print != print || now_ms - s->at_ms > LOOPGUARD_BACK_MS) {
		*s = (struct loopguard_seen){ print, now_ms, in };
		return false;
	}
	if (s->port == in) {
		s->at_ms = now_ms;
		if (count(&p->repeats, LOOPGUARD_REPEATS_LEAK, LOOPGUARD_REPEATS, now_ms)) {
			lg->probe.port = in;
			lg->probe.vlan = vlan;
		}
		return false;
	}
	/* the time stays: repeats from here do not make it last */
	if (!count(&p->hits, LOOPGUARD_LEAK,
		    (in == PORT_HOST ? LOOPGUARD_HITS_HOST : LOOPGUARD_HITS) - 1, now_ms))
		return false;
	cut(lg, in, now_ms);
	return true;
}

/* Ethernet's own loopback frame (Ethernet 2.0, chapter 8): skip count 0, function 1, a reply, which
 * nobody answers; receipt number 0, and data that nobody knows before. */
uint16_t loopguard_probe(struct loopguard *lg, struct feth_mac own, uint64_t now_ms,
	uint8_t out[LOOPGUARD_PROBE_LEN], uint16_t *vlan)
{
	struct loopguard_probe *probe = &lg->probe;
	const struct frame frame = {
		.head = out, .head_len = LOOPGUARD_PROBE_LEN, .len = LOOPGUARD_PROBE_LEN
	};
	const uint16_t port = probe->port;
	memset(out, 0, LOOPGUARD_PROBE_LEN);
	memset(out, 0xff, 6);
	memcpy(out + 6, own.b, 6);
	out[12] = 0x90;
	out[16] = 1;
	probe->n++;
	const uint64_t data = mix(mix(lg->seed, probe->n), now_ms);
	memcpy(out + 20, &data, sizeof(data));
	probe->backs = probe->back ? probe->backs : 0;
	probe->back = false;
	probe->sent_ms = now_ms;
	probe->print = print_of(lg, &frame, probe->vlan);
	probe->port = PORT_NONE; /* until it repeats itself again */
	*vlan = probe->vlan;
	return port;
}

uint16_t loopguard_over(struct loopguard *lg, uint64_t now_ms)
{
	for (unsigned i = 0; lg->n_looped && i < FDB_PORTS; i++) {
		struct loopguard_port *p = &lg->ports[i];
		if (!p->looped || now_ms < p->until_ms)
			continue;
		p->looped = false;
		p->until_ms = now_ms + LOOPGUARD_HOLD_MAX_MS;
		lg->n_looped--;
		return (uint16_t)i;
	}
	return PORT_NONE;
}

void loopguard_forget(struct loopguard *lg, uint16_t port)
{
	lg->n_looped -= lg->ports[port].looped;
	if (lg->probe.port == port)
		lg->probe.port = PORT_NONE;
	lg->ports[port] = (struct loopguard_port){ 0 };
}
