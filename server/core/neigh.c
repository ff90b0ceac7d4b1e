/* neigh.c - see neigh.h. */
#include "server/core/neigh.h"

#include <errno.h>
#include <stdlib.h>

#define END UINT32_MAX
#define NEVER UINT64_MAX
#define N_BUCKETS 4096u /* a power of two over NEIGH_MAX */
#define TOUCH_MS 1000u  /* a list is put in order so often, not with each packet */

static const uint32_t list_max[NEIGH_LISTS] = {
	[NEIGH_FRESH] = NEIGH_FRESH_MAX,
	[NEIGH_ASKED] = NEIGH_ASKED_MAX,
	[NEIGH_ANSWERED] = NEIGH_ANSWERED_MAX,
	[NEIGH_USED] = NEIGH_USED_MAX,
	[NEIGH_HEARD] = NEIGH_HEARD_MAX,
};

int neigh_init(struct neigh_cache *c, const struct netid_key *key)
{
	memset(c, 0, sizeof(*c));
	c->key = *key;
	c->random = siphash24(key, NULL, 0) | 1;
	c->free = END;
	c->due_ms = NEVER;
	for (unsigned l = 0; l < NEIGH_LISTS; l++)
		c->lists[l].oldest = c->lists[l].newest = END;
	c->entries = calloc(NEIGH_MAX, sizeof(*c->entries));
	c->buckets = malloc(N_BUCKETS * sizeof(*c->buckets));
	if (!c->entries || !c->buckets) {
		neigh_fini(c);
		return -ENOMEM;
	}
	for (unsigned b = 0; b < N_BUCKETS; b++)
		c->buckets[b] = END;
	return 0;
}

static void free_packets(struct neigh_packet *p)
{
	while (p) {
		struct neigh_packet *next = p->next;
		free(p);
		p = next;
	}
}

void neigh_fini(struct neigh_cache *c)
{
	for (uint32_t i = 0; c->entries && i < c->fresh; i++)
		free_packets(c->entries[i].first);
	free_packets(c->ready);
	free(c->entries);
	free(c->buckets);
	c->entries = NULL;
	c->buckets = NULL;
	c->ready = NULL;
}

/* -- the table -- */

static uint32_t *bucket_of(const struct neigh_cache *c, const struct ip *ip)
{
	return &c->buckets[siphash24(&c->key, ip, sizeof(*ip)) & (N_BUCKETS - 1)];
}

struct neigh *neigh_find(const struct neigh_cache *c, const struct ip *ip)
{
	for (uint32_t i = *bucket_of(c, ip); i != END; i = c->entries[i].chain)
		if (ip_equal(&c->entries[i].ip, ip))
			return &c->entries[i];
	return NULL;
}

static void list_append(struct neigh_cache *c, struct neigh *n, unsigned list)
{
	const uint32_t i = (uint32_t)(n - c->entries);
	n->list = (uint8_t)list;
	n->prev = c->lists[list].newest;
	n->next = END;
	if (n->prev != END)
		c->entries[n->prev].next = i;
	else
		c->lists[list].oldest = i;
	c->lists[list].newest = i;
	c->lists[list].n++;
}

static void list_remove(struct neigh_cache *c, const struct neigh *n)
{
	if (n->prev != END)
		c->entries[n->prev].next = n->next;
	else
		c->lists[n->list].oldest = n->next;
	if (n->next != END)
		c->entries[n->next].prev = n->prev;
	else
		c->lists[n->list].newest = n->prev;
	c->lists[n->list].n--;
}

static void packet_lost(struct neigh_cache *c, const struct neigh_packet *p)
{
	c->lost++;
	c->lost_bytes += p->frame.len;
}

static struct neigh_packet *take_packet(struct neigh_cache *c, struct neigh *n)
{
	struct neigh_packet *p = n->first;
	if (!p)
		return NULL;
	n->first = p->next;
	n->n_waiting--;
	c->waiting -= p->frame.len;
	p->next = NULL;
	return p;
}

static void drop_waiting(struct neigh_cache *c, struct neigh *n)
{
	for (struct neigh_packet *p; (p = take_packet(c, n));) {
		packet_lost(c, p);
		free(p);
	}
}

static void forget(struct neigh_cache *c, struct neigh *n)
{
	const uint32_t i = (uint32_t)(n - c->entries);
	uint32_t *link = bucket_of(c, &n->ip);
	if (ip_equal(&n->ip, &c->hint))
		c->hint.family = 0; /* it is to be noted anew */
	drop_waiting(c, n);
	list_remove(c, n);
	while (*link != i)
		link = &c->entries[*link].chain;
	*link = n->chain;
	n->chain = c->free;
	c->free = i;
}

/* Room for one more in a list: its oldest goes where it is full. */
static void make_room(struct neigh_cache *c, unsigned list)
{
	if (c->lists[list].n == list_max[list])
		forget(c, &c->entries[c->lists[list].oldest]);
}

static void move(struct neigh_cache *c, struct neigh *n, unsigned list)
{
	if (n->list != list)
		make_room(c, list);
	list_remove(c, n);
	list_append(c, n, list);
}

static struct neigh *add(struct neigh_cache *c, const struct ip *ip, unsigned list)
{
	make_room(c, list);
	uint32_t i = c->free; /* there is one: the limits of the lists make NEIGH_MAX */
	if (i != END)
		c->free = c->entries[i].chain;
	else
		i = c->fresh++;
	uint32_t *bucket = bucket_of(c, ip);
	struct neigh *n = &c->entries[i];
	*n = (struct neigh){ .ip = *ip, .chain = *bucket, .due_ms = NEVER };
	*bucket = i;
	list_append(c, n, list);
	return n;
}

/* -- states -- */

static void due(struct neigh_cache *c, struct neigh *n, uint64_t when_ms)
{
	n->due_ms = when_ms;
	if (when_ms < c->due_ms)
		c->due_ms = when_ms;
}

static void begin_asking(
	struct neigh_cache *c, struct neigh *n, enum neigh_state state, uint64_t when_ms)
{
	n->state = (uint8_t)state;
	n->asks = 0;
	due(c, n, when_ms);
}

static void reachable(struct neigh_cache *c, struct neigh *n, uint64_t now_ms)
{
	/* xorshift64 (Marsaglia, 2003): against steps of many hosts, not against a guess */
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	n->state = NEIGH_REACHABLE;
	n->due_ms = now_ms + NEIGH_REACHABLE_MS / 2 + c->random % NEIGH_REACHABLE_MS;
}

static void stale(struct neigh *n)
{
	n->state = NEIGH_STALE;
	n->due_ms = NEVER;
}

/* -- those that something came from -- */

static bool marked(const uint64_t *bits, uint64_t hash)
{
	const unsigned a = hash % NEIGH_MARK_BITS, b = (hash >> 32) % NEIGH_MARK_BITS;
	return bits[a / 64] >> a % 64 & bits[b / 64] >> b % 64 & 1;
}

static bool is_marked(const struct neigh_cache *c, const struct ip *ip)
{
	const uint64_t hash = siphash24(&c->key, ip, sizeof(*ip));
	return marked(c->marks[0], hash) || marked(c->marks[1], hash);
}

static void mark(struct neigh_cache *c, const struct ip *ip)
{
	const uint64_t hash = siphash24(&c->key, ip, sizeof(*ip));
	const unsigned a = hash % NEIGH_MARK_BITS, b = (hash >> 32) % NEIGH_MARK_BITS;
	if (marked(c->marks[0], hash))
		return;
	if (c->n_marked == NEIGH_MARKED) {
		memcpy(c->marks[1], c->marks[0], sizeof(c->marks[1]));
		memset(c->marks[0], 0, sizeof(c->marks[0]));
		c->n_marked = 0;
	}
	c->n_marked++;
	c->marks[0][a / 64] |= UINT64_C(1) << a % 64;
	c->marks[0][b / 64] |= UINT64_C(1) << b % 64;
}

/* -- what the host sends to -- */

/* The host wants something of one that is not known. */
static void begin_finding(struct neigh_cache *c, struct neigh *n, uint64_t now_ms)
{
	n->used_ms = now_ms;
	begin_asking(c, n, NEIGH_INCOMPLETE, now_ms);
	move(c, n, n->hinted || is_marked(c, &n->ip) ? NEIGH_ANSWERED : NEIGH_FRESH);
}

struct neigh *neigh_use(struct neigh_cache *c, const struct ip *ip, uint64_t now_ms)
{
	struct neigh *n = neigh_find(c, ip);
	if (!n) {
		n = add(c, ip, is_marked(c, ip) ? NEIGH_ANSWERED : NEIGH_FRESH);
		begin_finding(c, n, now_ms);
		return n;
	}
	if (n->state == NEIGH_FAILED && now_ms - n->used_ms < NEIGH_RETRANS_MS)
		return n;
	if (n->state == NEIGH_FAILED || (n->state == NEIGH_INCOMPLETE && n->list == NEIGH_HEARD)) {
		begin_finding(c, n, now_ms);
		return n;
	}
	if (n->state == NEIGH_STALE || (n->state == NEIGH_REACHABLE && now_ms >= n->due_ms))
		begin_asking(c, n, NEIGH_DELAY, now_ms + NEIGH_DELAY_MS);
	const unsigned list = n->state == NEIGH_INCOMPLETE ? n->list : NEIGH_USED;
	if (list == NEIGH_ASKED)
		return n; /* in the order of their questions */
	if (n->list != list || now_ms - n->used_ms >= TOUCH_MS) {
		n->used_ms = now_ms;
		move(c, n, list);
	}
	return n;
}

void neigh_wait(struct neigh_cache *c, struct neigh *n, const struct frame *frame)
{
	struct neigh_packet *p;
	if (n->n_waiting == NEIGH_WAITING) {
		p = take_packet(c, n);
		packet_lost(c, p);
		free(p);
	}
	const bool room = frame->len <= NEIGH_WAITING_BYTES - c->waiting;
	p = room ? malloc(sizeof(*p) + frame->len) : NULL;
	if (!p) {
		c->lost++;
		c->lost_bytes += frame->len;
		return;
	}
	memcpy(p->data, frame->head, frame->len);
	p->next = NULL;
	p->frame = *frame;
	p->frame.head = p->data;
	if (n->first)
		n->last->next = p;
	else
		n->first = p;
	n->last = p;
	n->n_waiting++;
	c->waiting += frame->len;
}

/* What waited goes, to the address that is known now. */
static void let_go(struct neigh_cache *c, struct neigh *n)
{
	for (struct neigh_packet *p; (p = take_packet(c, n));) {
		memcpy(p->data, n->mac.b, 6);
		if (c->ready)
			c->ready_last->next = p;
		else
			c->ready = p;
		c->ready_last = p;
	}
}

struct neigh_packet *neigh_ready(struct neigh_cache *c)
{
	struct neigh_packet *p = c->ready;
	if (p)
		c->ready = p->next;
	return p;
}

/* RFC 4861, 7.2.5: of one whose address was known. */
static void heard_again(struct neigh_cache *c, struct neigh *n, const struct feth_mac *mac,
	unsigned how, uint64_t now_ms)
{
	const bool other = mac && memcmp(mac->b, n->mac.b, 6) != 0;
	if (other && !(how & NEIGH_OVERRIDE)) {
		if (n->state == NEIGH_REACHABLE)
			stale(n);
		return;
	}
	if (other)
		n->mac = *mac;
	if (how & NEIGH_SOLICITED)
		reachable(c, n, now_ms);
	else if (other)
		stale(n);
}

void neigh_heard(struct neigh_cache *c, const struct ip *ip, const struct feth_mac *mac,
	unsigned how, uint64_t now_ms)
{
	struct neigh *n = neigh_find(c, ip);
	if (n && neigh_known(n)) {
		heard_again(c, n, mac, how, now_ms);
		return;
	}
	const bool wanted = n && n->list != NEIGH_HEARD; /* else at most something came from it */
	if (!mac || (!wanted && !(how & NEIGH_CREATE)))
		return;
	if (!n)
		n = add(c, ip, NEIGH_HEARD);
	else
		move(c, n, wanted ? NEIGH_USED : NEIGH_HEARD);
	n->mac = *mac;
	n->hinted = false;
	if (how & NEIGH_SOLICITED)
		reachable(c, n, now_ms);
	else
		stale(n);
	let_go(c, n);
}

void neigh_hint(
	struct neigh_cache *c, const struct ip *ip, const struct feth_mac *mac, uint64_t now_ms)
{
	if (ip_equal(ip, &c->hint) && mac_equal(*mac, c->hint_mac))
		return;
	c->hint = *ip;
	c->hint_mac = *mac;
	struct neigh *n = neigh_find(c, ip);
	if (n && neigh_known(n))
		return;
	mark(c, ip);
	if (!n)
		n = add(c, ip, NEIGH_HEARD); /* INCOMPLETE, and nothing is due */
	/* Where all are asked already, nobody can lead that astray. */
	if (n->list == NEIGH_ASKED || (n->asks && n->state == NEIGH_INCOMPLETE))
		return;
	n->mac = *mac;
	n->hinted = true;
	if (n->list == NEIGH_FRESH)
		begin_finding(c, n, now_ms);
}

/* Whether the limit lets all be asked for a neighbour. */
static bool may_ask_all(struct neigh_cache *c, const struct neigh *n)
{
	return bucket_take(n->list == NEIGH_ANSWERED ? &c->answering : &c->asking, 1);
}

/* Something is due of a neighbour; it may be gone afterwards. */
static void step(struct neigh_cache *c, struct neigh *n, uint64_t now_ms,
	void (*ask)(void *ctx, const struct neigh *n), void *ctx)
{
	if (n->state == NEIGH_DELAY)
		begin_asking(c, n, NEIGH_PROBE, now_ms);
	if (n->asks == NEIGH_SOLICITS) {
		if (n->state == NEIGH_PROBE) { /* perhaps somebody else has the address now */
			forget(c, n);
			return;
		}
		drop_waiting(c, n);
		n->state = NEIGH_FAILED;
		n->used_ms = now_ms;
		n->due_ms = NEVER;
		return;
	}
	const bool all = n->state == NEIGH_INCOMPLETE && !n->hinted;
	if (all && !may_ask_all(c, n)) {
		due(c, n, now_ms + 1000 / NEIGH_ASK_PER_SECOND); /* there is a token again */
		return;
	}
	ask(ctx, n);
	n->asks++;
	n->hinted = false;
	due(c, n, now_ms + NEIGH_RETRANS_MS);
	if (all && n->list != NEIGH_ANSWERED)
		move(c, n, NEIGH_ASKED);
}

void neigh_run(struct neigh_cache *c, uint64_t now_ms,
	void (*ask)(void *ctx, const struct neigh *n), void *ctx)
{
	if (now_ms < c->due_ms)
		return;
	bucket_fill(&c->asking, NEIGH_ASK_PER_SECOND, NEIGH_ASK_BURST, now_ms);
	bucket_fill(&c->answering, NEIGH_ANSWER_PER_SECOND, NEIGH_ANSWER_BURST, now_ms);
	c->due_ms = NEVER;
	for (unsigned l = NEIGH_FRESH; l <= NEIGH_USED; l++) {
		for (uint32_t i = c->lists[l].newest, prev; i != END; i = prev) {
			struct neigh *n = &c->entries[i];
			prev = n->prev;
			if (n->state == NEIGH_REACHABLE)
				continue;
			if (n->due_ms <= now_ms)
				step(c, n, now_ms, ask, ctx);
			else if (n->due_ms < c->due_ms)
				c->due_ms = n->due_ms;
		}
	}
}
