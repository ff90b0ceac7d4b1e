/* server_door.c - a test's door into the machine. See server.h.
 *
 * A request is a line, then whatever bytes belong to it; words are separated by one space. The
 * answer is "ok ..." or "error N", N one of DW_E*, a newline, then bytes. Frames among bytes are
 * each a length (4 bytes, the machine's order) and that many.
 *
 *   output IF            + frames   the stack sends them; answers how many it took, or why none
 *   input IF                        the frames that came in: + frames
 *   join|leave IF 4|6 GROUP         an IP group, as hexadecimal digits
 *   knob NAME [VALUE]               struct sim_knobs
 *   refuse CALL N                   each call of that name (as knob fail_call) that a process makes
 *                                   fails with N; "-": none does
 *   run                             sim_run()
 *   interface NAME TYPE             sim_host_interface()
 *   list                            + lines: name, peer or -, index, flags, mtu, max_mtu, MAC,
 *                                   IPv4, IPv6, NDRV, BPF
 *   addresses                       + lines: name, address
 *   descriptors                     how many processes have open
 * and, as another program of root's would do it:
 *   create IF, destroy IF [OTHER]
 *   peer IF OTHER, unpeer IF
 *   flags IF SET CLEAR, mtu IF N, mac IF XX:..
 *   sysctl NAME [VALUE]             answers the value */
#include "tests/darwin/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 4u
#define LINE_MAX_BYTES 256u
#define INTERFACES_MAX 512u
#define FRAME_MAX 70000u
#define INPUT_AT_ONCE (4u << 20) /* bytes; the rest at the next asking */

struct request {
	struct machine *m;
	unsigned n;
	const char *word[WORDS_MAX + 1];
	const uint8_t *tail;
	size_t len;
	struct bytes *out;
};

static bool answer(struct request *rq, int rc)
{
	if (rc < 0)
		bytes_text(rq->out, "error %d\n", -rc);
	else
		bytes_text(rq->out, "ok %d\n", rc);
	return true;
}

/* -- what the host does -- */

static bool do_output(struct request *rq)
{
	int sent = 0, rc = 0;
	for (size_t at = 0; at < rq->len;) {
		uint32_t n;
		if (rq->len - at < sizeof(n))
			return false;
		memcpy(&n, rq->tail + at, sizeof(n));
		at += sizeof(n);
		if (rq->len - at < n)
			return false;
		const int one = sim_host_output(rq->m->sim, rq->word[1], rq->tail + at, n);
		at += n;
		if (one < 0)
			rc = one;
		else
			sent++;
	}
	return answer(rq, rc < 0 ? rc : sent);
}

static bool do_input(struct request *rq)
{
	static uint8_t frame[FRAME_MAX];
	size_t n;
	bytes_text(rq->out, "ok\n");
	while (rq->out->len < INPUT_AT_ONCE &&
		(n = sim_host_input(rq->m->sim, rq->word[1], frame, sizeof(frame))) > 0) {
		const uint32_t len = (uint32_t)n;
		memcpy(bytes_add(rq->out, sizeof(len)), &len, sizeof(len));
		memcpy(bytes_add(rq->out, n), frame, n);
	}
	return true;
}

static bool do_join(struct request *rq)
{
	uint8_t group[16];
	const int family = *rq->word[2] == '4' ? DW_AF_INET : DW_AF_INET6;
	const size_t n = family == DW_AF_INET ? 4 : 16;
	if (strlen(rq->word[3]) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned byte;
		if (sscanf(rq->word[3] + 2 * i, "%2x", &byte) != 1)
			return false;
		group[i] = (uint8_t)byte;
	}
	return answer(rq, sim_host_join(rq->m->sim, rq->word[1], family, group,
				  !strcmp(rq->word[0], "join")));
}

static bool do_knob(struct request *rq)
{
	struct sim_knobs *k = sim_knobs(rq->m->sim);
	const char *name = rq->word[1], *text = rq->word[2];
	const unsigned long long value = text ? strtoull(text, NULL, 0) : 0;
	unsigned long long now;
#define NUMBER(field, type)                                                                        \
	if (!strcmp(name, #field)) {                                                               \
		if (text)                                                                          \
			k->field = (type)value;                                                    \
		now = (unsigned long long)k->field;                                                \
		goto found;                                                                        \
	}
	NUMBER(busy_calls, unsigned)
	NUMBER(busy_us, uint64_t)
	NUMBER(queue_limit, unsigned)
	NUMBER(hold_output, bool)
	NUMBER(enobufs_every, unsigned)
	NUMBER(lose_every, unsigned)
	NUMBER(fail_after, unsigned)
	NUMBER(fail_errno, int)
	NUMBER(no_ndrv, bool)
	NUMBER(bpf_group_only, bool)
	NUMBER(bpf_max, unsigned)
#undef NUMBER
	if (!strcmp(name, "fail_call") && text && strlen(text) < sizeof(k->fail_call)) {
		snprintf(k->fail_call, sizeof(k->fail_call), "%s", text);
		return answer(rq, 0);
	}
	return false;
found:
	bytes_text(rq->out, "ok %llu\n", now);
	return true;
}

static bool do_refuse(struct request *rq)
{
	struct machine *m = rq->m;
	const bool none = !strcmp(rq->word[1], "-");
	snprintf(m->refused, sizeof(m->refused), "%s", none ? "" : rq->word[1]);
	m->refused_errno = atoi(rq->word[2]);
	return answer(rq, 0);
}

static bool do_run(struct request *rq)
{
	sim_run(rq->m->sim);
	return answer(rq, 0);
}

static bool do_interface(struct request *rq)
{
	sim_host_interface(rq->m->sim, rq->word[1], (uint8_t)atoi(rq->word[2]));
	return answer(rq, 0);
}

static bool do_list(struct request *rq)
{
	static struct sim_if_info info[INTERFACES_MAX];
	const unsigned n = sim_interfaces(rq->m->sim, info, INTERFACES_MAX);
	bytes_text(rq->out, "ok %u\n", n);
	for (unsigned i = 0; i < n && i < INTERFACES_MAX; i++) {
		const struct sim_if_info *f = &info[i];
		bytes_text(rq->out, "%s %s %u %u %u %u %02x:%02x:%02x:%02x:%02x:%02x %u %u %u %u\n",
			f->name, f->peer[0] ? f->peer : "-", f->index, f->flags, f->mtu, f->max_mtu,
			f->mac[0], f->mac[1], f->mac[2], f->mac[3], f->mac[4], f->mac[5], f->n_inet,
			f->n_inet6, f->n_ndrv, f->n_bpf);
	}
	return true;
}

static bool do_addresses(struct request *rq)
{
	static struct sim_if_info info[INTERFACES_MAX];
	const unsigned n = sim_interfaces(rq->m->sim, info, INTERFACES_MAX);
	char text[8192];
	bytes_text(rq->out, "ok\n");
	for (unsigned i = 0; i < n && i < INTERFACES_MAX; i++) {
		char *rest = NULL;
		if (sim_addresses(rq->m->sim, info[i].name, text, sizeof(text)) >= sizeof(text))
			return false;
		for (char *a = strtok_r(text, "\n", &rest); a; a = strtok_r(NULL, "\n", &rest))
			bytes_text(rq->out, "%s %s\n", info[i].name, a);
	}
	return true;
}

static bool do_descriptors(struct request *rq)
{
	int n = 0;
	for (const struct conn *c = rq->m->conns; c; c = c->next)
		for (unsigned i = 0; i < DESCS_MAX; i++)
			n += c->descs[i] != NULL;
	return answer(rq, n);
}

/* -- what other programs do -- */

static int others(struct request *rq, unsigned long request, void *arg)
{
	return sim_ioctl(rq->m->others, rq->m->others_fd, request, arg);
}

static struct dw_ifreq ifreq_of(const struct request *rq)
{
	struct dw_ifreq ifr = { .name = "" };
	snprintf(ifr.name, sizeof(ifr.name), "%s", rq->word[1]);
	return ifr;
}

static bool do_create(struct request *rq)
{
	struct dw_ifreq ifr = ifreq_of(rq);
	return answer(rq, others(rq, DW_SIOCIFCREATE, &ifr));
}

static bool do_destroy(struct request *rq)
{
	struct dw_ifreq ifr = ifreq_of(rq);
	int rc = others(rq, DW_SIOCIFDESTROY, &ifr);
	if (rc >= 0 && rq->n > 2) { /* before anybody else has a turn */
		snprintf(ifr.name, sizeof(ifr.name), "%s", rq->word[2]);
		rc = others(rq, DW_SIOCIFDESTROY, &ifr);
	}
	return answer(rq, rc);
}

static bool do_peer(struct request *rq)
{
	struct dw_fake_request fake = { .reserved = { 0 } };
	struct dw_ifdrv drv = {
		.cmd = DW_FETH_SET_PEER,
		.len = sizeof(fake),
		.data = &fake,
	};
	snprintf(drv.name, sizeof(drv.name), "%s", rq->word[1]);
	if (rq->n > 2)
		snprintf(fake.u.peer_name, sizeof(fake.u.peer_name), "%s", rq->word[2]);
	return answer(rq, others(rq, DW_SIOCSDRVSPEC, &drv));
}

static bool do_flags(struct request *rq)
{
	struct dw_ifreq ifr = ifreq_of(rq);
	const int rc = others(rq, DW_SIOCGIFFLAGS, &ifr);
	if (rc < 0)
		return answer(rq, rc);
	const unsigned set = (unsigned)strtoul(rq->word[2], NULL, 0),
		       clear = (unsigned)strtoul(rq->word[3], NULL, 0);
	ifr.u.flags = (int16_t)(((uint16_t)ifr.u.flags | set) & ~clear);
	return answer(rq, others(rq, DW_SIOCSIFFLAGS, &ifr));
}

static bool do_mtu(struct request *rq)
{
	struct dw_ifreq ifr = ifreq_of(rq);
	ifr.u.mtu = atoi(rq->word[2]);
	return answer(rq, others(rq, DW_SIOCSIFMTU, &ifr));
}

static bool do_mac(struct request *rq)
{
	struct dw_ifreq ifr = ifreq_of(rq);
	uint8_t *a = ifr.u.addr.data;
	ifr.u.addr.len = 6;
	ifr.u.addr.family = DW_AF_LINK;
	if (sscanf(rq->word[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &a[0], &a[1], &a[2], &a[3], &a[4],
		    &a[5]) != 6)
		return false;
	return answer(rq, others(rq, DW_SIOCSIFLLADDR, &ifr));
}

static bool do_sysctl(struct request *rq)
{
	int32_t old = 0, value = rq->n > 2 ? atoi(rq->word[2]) : 0;
	size_t old_len = sizeof(old);
	const int rc = sim_sysctlbyname(rq->m->others, rq->word[1], &old, &old_len,
		rq->n > 2 ? &value : NULL, rq->n > 2 ? sizeof(value) : 0);
	return answer(rq, rc < 0 ? rc : rq->n > 2 ? value : old);
}

bool door_serve(struct conn *conn, const uint8_t *data, size_t len, struct bytes *out)
{
	static const struct {
		const char *word;
		unsigned least, most; /* words */
		bool (*act)(struct request *rq);
	} acts[] = {
		{ "output", 2, 2, do_output },
		{ "input", 2, 2, do_input },
		{ "join", 4, 4, do_join },
		{ "leave", 4, 4, do_join },
		{ "knob", 2, 3, do_knob },
		{ "refuse", 3, 3, do_refuse },
		{ "run", 1, 1, do_run },
		{ "interface", 3, 3, do_interface },
		{ "list", 1, 1, do_list },
		{ "addresses", 1, 1, do_addresses },
		{ "descriptors", 1, 1, do_descriptors },
		{ "create", 2, 2, do_create },
		{ "destroy", 2, 3, do_destroy },
		{ "peer", 3, 3, do_peer },
		{ "unpeer", 2, 2, do_peer },
		{ "flags", 4, 4, do_flags },
		{ "mtu", 3, 3, do_mtu },
		{ "mac", 3, 3, do_mac },
		{ "sysctl", 2, 3, do_sysctl },
	};
	char line[LINE_MAX_BYTES];
	const uint8_t *end = memchr(data, '\n', len);
	if (!end || (size_t)(end - data) >= sizeof(line))
		return false;
	const size_t n = (size_t)(end - data);
	memcpy(line, data, n);
	line[n] = '\0';
	struct request rq = { .m = conn->m, .tail = end + 1, .len = len - n - 1, .out = out };
	char *rest = NULL;
	for (char *w = strtok_r(line, " ", &rest); w && rq.n <= WORDS_MAX;
		w = strtok_r(NULL, " ", &rest))
		rq.word[rq.n++] = w;
	for (size_t i = 0; rq.n && i < sizeof(acts) / sizeof(acts[0]); i++)
		if (!strcmp(rq.word[0], acts[i].word) && rq.n >= acts[i].least &&
			rq.n <= acts[i].most)
			return acts[i].act(&rq);
	return false; /* the test made a mistake: its connection ends */
}
