/* loopguard.c - see loopguard.h. */
#include "server/core/loopguard.h"

#define TAG 4u             /* bytes of a VLAN tag, behind the addresses */
#define ETH_P_LOOP 0x9000u /* Ethernet 2.0, chapter 8 */

static bool is_tagged(const struct frame *frame)
{
	return frame_type(frame) == ETH_P_CTAG && frame->head_len >= 14 + TAG;
}

/* Of the content alone, however it lies in memory, and in a VLAN without the tag, which one port
 * may be sent and another not. Never 0. */
static uint64_t print_of(const struct loopguard *lg, const struct frame *frame, uint16_t vlan)
{
	const uint32_t tag = vlan != LOOPGUARD_NO_VLAN && is_tagged(frame) ? TAG : 0;
	const uint32_t frame_len = frame->len - tag;
	uint8_t scratch[LOOPGUARD_PRINT + TAG], text[sizeof(vlan) + 4 + LOOPGUARD_PRINT], *t = text;
	uint32_t len;
	const uint8_t *p = frame_whole(frame, scratch, sizeof(scratch), &len);
	len -= tag;
	if (len > LOOPGUARD_PRINT)
		len = LOOPGUARD_PRINT;
	memcpy(t, &vlan, sizeof(vlan));
	t += sizeof(vlan);
	memcpy(t, &frame_len, sizeof(frame_len));
	t += sizeof(frame_len);
	memcpy(t, p, 12);
	memcpy(t + 12, p + 12 + tag, len - 12);
	const uint64_t h = siphash24(&lg->key, text, (size_t)(t - text) + len);
	return h ? h : 1;
}

/* Who is to foretell a print must know both, of which one may be guessed. */
void loopguard_init(struct loopguard *lg, const struct netid_key *key, uint64_t seed)
{
	for (uint64_t half = 0; half < 2; half++) {
		const uint64_t text[] = { seed, half };
		const uint64_t h = siphash24(key, text, sizeof(text));
		memcpy(lg->key.b + half * sizeof(h), &h, sizeof(h));
	}
	lg->suspect.from = PORT_NONE;
}

static void begin_anew(struct loopguard *lg)
{
	memset(lg->seen, 0, sizeof(lg->seen));
	memset(lg->probes, 0, sizeof(lg->probes));
	for (unsigned i = 0; i < FDB_PORTS; i++) {
		struct loopguard_port *p = &lg->ports[i];
		p->hits = p->storm = p->repeats = (struct bucket){ 0 };
	}
	lg->suspect.from = PORT_NONE;
	lg->backs = 0;
}

static void cut(struct loopguard *lg, uint16_t in, uint16_t first, uint64_t now_ms)
{
	struct loopguard_port *p = &lg->ports[in];
	const bool again = p->hold_ms && now_ms < p->until_ms;
	p->hold_ms = again ? 2 * p->hold_ms : LOOPGUARD_HOLD_MS;
	if (p->hold_ms > LOOPGUARD_HOLD_MAX_MS)
		p->hold_ms = LOOPGUARD_HOLD_MAX_MS;
	p->until_ms = now_ms + p->hold_ms;
	p->first = first;
	p->looped = true;
	lg->n_looped++;
	begin_anew(lg);
}

/* Whether that is the @most-th; then they are counted anew. */
static bool count(struct bucket *b, uint32_t leak, uint32_t most, uint64_t now_ms)
{
	bucket_fill(b, leak, most - 1, now_ms);
	if (bucket_take(b, 1))
		return false;
	*b = (struct bucket){ 0 };
	return true;
}

static void suspect(struct loopguard *lg, const struct frame *frame, uint16_t vlan, uint16_t from,
	uint16_t first)
{
	lg->suspect.from = from;
	lg->suspect.first = first;
	lg->suspect.vlan = vlan;
	memcpy(lg->suspect.src.b, frame->head + 6, sizeof(lg->suspect.src.b));
}

static bool is_loopback(const struct frame *frame)
{
	const uint8_t *type = frame->head + 12 + (is_tagged(frame) ? TAG : 0);
	return (type[0] << 8 | type[1]) == ETH_P_LOOP;
}

static struct loopguard_probe *find_probe(struct loopguard *lg, uint64_t print, uint64_t now_ms)
{
	for (unsigned i = 0; i < LOOPGUARD_PROBES; i++) {
		struct loopguard_probe *probe = &lg->probes[i];
		if (probe->print == print && now_ms - probe->sent_ms <= LOOPGUARD_PROBE_MS)
			return probe;
	}
	return NULL;
}

/* A probe has come back from a port. */
static bool probe_back(
	struct loopguard *lg, struct loopguard_probe *probe, uint16_t in, uint64_t now_ms)
{
	if (in == PORT_HOST) {
		lg->backs += !probe->back;
		probe->back = true;
		if (lg->backs < LOOPGUARD_PROBES_HOST)
			return false;
	}
	cut(lg, in, probe->first, now_ms);
	return true;
}

/* In turn it goes the way of the frame, and as if from where that came back: in a loop through the
 * host what goes the one way comes back from the host side, and what goes the other from the
 * client, which is the end to be cut. */
static uint16_t probe_from(const struct loopguard *lg, uint16_t first, uint16_t in)
{
	const bool other = first == PORT_HOST;
	return lg->n_probes % 2 == other ? first : in;
}

/* A frame that is about to be flooded: whether it makes @in looped. */
static bool comes(struct loopguard *lg, const struct frame *frame, uint64_t print, uint16_t vlan,
	uint16_t in, uint64_t now_ms)
{
	struct loopguard_seen *s = &lg->seen[print % LOOPGUARD_SEEN];
	struct loopguard_port *p = &lg->ports[in];
	if (s->print != print || now_ms - s->at_ms > LOOPGUARD_BACK_MS) {
		*s = (struct loopguard_seen){ print, now_ms, in };
		return false;
	}
	if (s->port == in) {
		s->at_ms = now_ms;
		if (count(&p->repeats, LOOPGUARD_REPEATS_LEAK, LOOPGUARD_REPEATS, now_ms))
			suspect(lg, frame, vlan, in, in);
		return false;
	}
	/* the time stays: repeats from here do not make it last */
	if (count(&p->hits, LOOPGUARD_LEAK, LOOPGUARD_HITS, now_ms))
		suspect(lg, frame, vlan, probe_from(lg, s->port, in), s->port);
	if (!count(&p->storm, LOOPGUARD_STORM_LEAK,
		    in == PORT_HOST ? LOOPGUARD_STORM_HOST : LOOPGUARD_STORM, now_ms))
		return false;
	cut(lg, in, s->port, now_ms);
	return true;
}

/* While one may come back, probes are looked for among all, lest they be lost in a storm. */
bool loopguard_look(struct loopguard *lg, const struct frame *frames, unsigned n, unsigned flooded,
	uint16_t vlan, uint16_t in, uint64_t now_ms)
{
	const bool awaited = lg->n_probes && now_ms - lg->probed_ms <= LOOPGUARD_PROBE_MS;
	for (unsigned i = 0; i < n && (awaited || i < LOOPGUARD_LOOKS); i++) {
		const bool first = i < flooded && i < LOOPGUARD_LOOKS;
		const bool loopback = is_loopback(&frames[i]);
		if (!first && !loopback)
			continue;
		const uint64_t print = print_of(lg, &frames[i], vlan);
		struct loopguard_probe *probe = loopback ? find_probe(lg, print, now_ms) : NULL;
		if (probe ? probe_back(lg, probe, in, now_ms)
			  : first && comes(lg, &frames[i], print, vlan, in, now_ms))
			return true;
	}
	return false;
}

/* Ethernet's own loopback frame: skip count 0, function 1, a reply, which nobody answers; receipt
 * number 0, and data that nobody knows before. */
uint16_t loopguard_probe(
	struct loopguard *lg, uint64_t now_ms, uint8_t out[LOOPGUARD_PROBE_LEN], uint16_t *vlan)
{
	struct loopguard_probe *probe = &lg->probes[lg->n_probes++ % LOOPGUARD_PROBES];
	const struct frame frame = {
		.head = out, .head_len = LOOPGUARD_PROBE_LEN, .len = LOOPGUARD_PROBE_LEN
	};
	const uint64_t text[] = { lg->n_probes, now_ms };
	const uint64_t data = siphash24(&lg->key, text, sizeof(text));
	memset(out, 0, LOOPGUARD_PROBE_LEN);
	memset(out, 0xff, 6);
	memcpy(out + 6, lg->suspect.src.b, 6);
	out[12] = ETH_P_LOOP >> 8;
	out[13] = ETH_P_LOOP & 0xff;
	out[16] = 1;
	memcpy(out + 20, &data, sizeof(data));
	if ((probe->print && !probe->back) || now_ms - lg->probed_ms > LOOPGUARD_PROBE_MS)
		lg->backs = 0; /* one was lost; or it is another time */
	*vlan = lg->suspect.vlan;
	*probe = (struct loopguard_probe){
		.print = print_of(lg, &frame, *vlan), .sent_ms = now_ms, .first = lg->suspect.first
	};
	lg->probed_ms = now_ms;
	const uint16_t from = lg->suspect.from;
	lg->suspect.from = PORT_NONE; /* until there is more */
	return from;
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
	if (lg->suspect.from == port || lg->suspect.first == port)
		lg->suspect.from = PORT_NONE;
	for (unsigned i = 0; i < LOOPGUARD_SEEN; i++)
		if (lg->seen[i].port == port)
			lg->seen[i].print = 0;
	lg->ports[port] = (struct loopguard_port){ 0 };
}
