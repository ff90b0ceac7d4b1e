/* metrics.c - see metrics.h. */
#include "clients/ctl/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

enum type { counter, gauge, info };
enum scope { DAEMON, NETWORK, PORT };

enum metric {
#define METRIC(symbol, scope, name, type, unit, help) METRIC_##symbol,
#include "clients/ctl/metrics.def"
#undef METRIC
	METRICS
};

static const struct family {
	enum scope scope;
	const char *name;
	enum type type;
	const char *unit;
	const char *help;
} families[] = {
#define METRIC(symbol, scope, name, type, unit, help) { scope, name, type, unit, help },
#include "clients/ctl/metrics.def"
#undef METRIC
};

struct writer {
	FILE *f;
	enum metrics_format format;
	const struct family *family;
	const struct snapshot *s;
	const struct snap_network *net; /* in scope NETWORK and PORT */
	const struct snap_port *port;   /* in scope PORT */
};

const char *metrics_content_type(enum metrics_format format)
{
	static const char *const types[METRICS_FORMATS] = {
		"application/openmetrics-text; version=1.0.0; charset=utf-8",
		"text/plain; version=0.0.4; charset=utf-8",
	};
	return types[format];
}

/* -- lines -- */

static const char *suffix(const struct family *family)
{
	return family->type == counter ? "_total" : family->type == info ? "_info" : "";
}

static void put_head(const struct writer *w)
{
	static const char *const types[] = { "counter", "gauge", "info" };
	const struct family *fam = w->family;
	const bool open = w->format == METRICS_OPEN;
	const char *end = open ? "" : suffix(fam);
	const char *type = !open && fam->type == info ? "gauge" : types[fam->type];
	fprintf(w->f, "# TYPE %s%s %s\n", fam->name, end, type);
	if (open && fam->unit[0])
		fprintf(w->f, "# UNIT %s %s\n", fam->name, fam->unit);
	fprintf(w->f, "# HELP %s%s %s\n", fam->name, end, fam->help);
}

/* The length of the well-formed UTF-8 sequence at @p (RFC 3629, 4), 0: there is none. */
static unsigned utf8_length(const unsigned char *p)
{
	const unsigned n = p[0] < 0x80   ? 1
			   : p[0] < 0xc2 ? 0
			   : p[0] < 0xe0 ? 2
			   : p[0] < 0xf0 ? 3
			   : p[0] < 0xf5 ? 4
					 : 0;
	for (unsigned i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/* A daemon may send anything; what is no text becomes '?'. */
static void put_value(FILE *f, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	while (*p) {
		const unsigned n = utf8_length(p);
		if (*p == '\n')
			fputs("\\n", f);
		else if (*p == '"' || *p == '\\')
			fprintf(f, "\\%c", *p);
		else if (!n || *p < 0x20 || *p == 0x7f)
			fputc('?', f);
		else
			fwrite(p, 1, n, f);
		p += n ? n : 1;
	}
}

static void put_labels(const struct writer *w, va_list labels)
{
	char before = '{';
	const struct {
		const char *name, *value;
	} own[] = {
		{ "network", w->net ? w->net->name : NULL },
		{ "port", w->port ? w->port->name : NULL },
	};
	for (unsigned i = 0; i < 2 && own[i].value; i++) {
		fprintf(w->f, "%c%s=\"", before, own[i].name);
		put_value(w->f, own[i].value);
		fputc('"', w->f);
		before = ',';
	}
	for (const char *name; (name = va_arg(labels, const char *)); before = ',') {
		fprintf(w->f, "%c%s=\"", before, name);
		put_value(w->f, va_arg(labels, const char *));
		fputc('"', w->f);
	}
	if (before == ',')
		fputc('}', w->f);
}

/* One sample; further labels are names and values in turn, then NULL. */
static void put(const struct writer *w, uint64_t value, ...)
{
	va_list labels;
	fprintf(w->f, "%s%s", w->family->name, suffix(w->family));
	va_start(labels, value);
	put_labels(w, labels);
	va_end(labels);
	fprintf(w->f, " %" PRIu64 "\n", value);
}

static void put_counts(const struct writer *w, const struct snap_counts *counts, const char *label)
{
	for (size_t i = 0; i < counts->n; i++)
		put(w, counts->items[i].n, label, counts->items[i].name, NULL);
}

/* -- values -- */

static void put_daemon(const struct writer *w, enum metric metric)
{
	const struct snapshot *s = w->s;
	switch (metric) {
	case METRIC_BUILD:
		return put(w, 1, "version", s->version, NULL);
	case METRIC_UPTIME:
		fprintf(w->f, "%s %" PRIu64 ".%03u\n", w->family->name, s->uptime_ms / 1000,
			(unsigned)(s->uptime_ms % 1000));
		return;
	case METRIC_NETWORKS:
		return put(w, s->n_networks, NULL);
	case METRIC_EVENTS:
		return put_counts(w, &s->counters, "event");
	default:
		return;
	}
}

static void put_ports(const struct writer *w)
{
	uint64_t attached = 0, waiting = 0;
	for (size_t i = 0; i < w->net->n_ports; i++) {
		const struct snap_port *p = &w->net->ports[i];
		if (!p->id) /* the host side */
			continue;
		attached += p->attached;
		waiting += !p->attached;
	}
	put(w, attached, "state", "attached", NULL);
	put(w, waiting, "state", "waiting", NULL);
}

static void put_network(const struct writer *w, enum metric metric)
{
	const struct snap_network *n = w->net;
	switch (metric) {
	case METRIC_NETWORK_INFO:
		return put(w, 1, "backend", n->backend, "host", n->host, NULL);
	case METRIC_NETWORK_UP:
		if (n->has_up)
			put(w, n->up, NULL);
		return;
	case METRIC_NETWORK_CARRIER:
		if (n->has_carrier)
			put(w, n->carrier, NULL);
		return;
	case METRIC_NETWORK_MTU:
		return put(w, n->mtu, NULL);
	case METRIC_NETWORK_CAP:
		return put(w, n->cap, NULL);
	case METRIC_NETWORK_PORTS:
		return put_ports(w);
	case METRIC_NETWORK_RX_FRAMES:
		return put(w, n->traffic.rx_frames, NULL);
	case METRIC_NETWORK_RX_BYTES:
		return put(w, n->traffic.rx_bytes, NULL);
	case METRIC_NETWORK_TX_FRAMES:
		return put(w, n->traffic.tx_frames, NULL);
	case METRIC_NETWORK_TX_BYTES:
		return put(w, n->traffic.tx_bytes, NULL);
	case METRIC_NETWORK_DROPS:
		return put_counts(w, &n->traffic.drops, "reason");
	case METRIC_NETWORK_MOVES:
		return put(w, n->moves, NULL);
	case METRIC_NETWORK_MULTICAST:
		return put_counts(w, &n->multicast, "event");
	case METRIC_NETWORK_ADDRESSES:
		put(w, n->learned, "type", "learned", NULL);
		return put(w, n->statics, "type", "static", NULL);
	case METRIC_NETWORK_GROUPS:
		return put(w, n->groups, NULL);
	case METRIC_NETWORK_QUEUES:
		return put(w, n->queue_memory, NULL);
	default:
		return;
	}
}

static void put_port(const struct writer *w, enum metric metric)
{
	const struct snap_port *p = w->port;
	char number[16];
	switch (metric) {
	case METRIC_PORT_INFO:
		snprintf(number, sizeof(number), "%" PRIu32, p->id);
		return put(w, 1, "number", number, "kind", p->kind, "mac", p->mac, NULL);
	case METRIC_PORT_ATTACHED:
		return put(w, p->attached, NULL);
	case METRIC_PORT_UP:
		return put(w, p->up, NULL);
	case METRIC_PORT_RX_FRAMES:
		return put(w, p->traffic.rx_frames, NULL);
	case METRIC_PORT_RX_BYTES:
		return put(w, p->traffic.rx_bytes, NULL);
	case METRIC_PORT_TX_FRAMES:
		return put(w, p->traffic.tx_frames, NULL);
	case METRIC_PORT_TX_BYTES:
		return put(w, p->traffic.tx_bytes, NULL);
	case METRIC_PORT_DROPS:
		return put_counts(w, &p->traffic.drops, "reason");
	case METRIC_PORT_QUEUED:
		if (p->id)
			put(w, p->queued_bytes, NULL);
		return;
	case METRIC_PORT_QUEUE:
		if (p->queue_bytes)
			put(w, p->queue_bytes, NULL);
		return;
	default:
		return;
	}
}

/* All samples of a family stand together. */
static void put_family(struct writer *w, enum metric metric)
{
	w->family = &families[metric];
	w->net = NULL;
	w->port = NULL;
	if (w->family->scope == DAEMON && !w->s->has_daemon)
		return;
	put_head(w);
	if (w->family->scope == DAEMON)
		return put_daemon(w, metric);
	for (size_t i = 0; i < w->s->n_networks; i++) {
		w->net = &w->s->networks[i];
		w->port = NULL;
		if (w->family->scope == NETWORK)
			put_network(w, metric);
		for (size_t k = 0; w->family->scope == PORT && k < w->net->n_ports; k++) {
			w->port = &w->net->ports[k];
			put_port(w, metric);
		}
	}
}

void metrics_write(FILE *f, const struct snapshot *s, enum metrics_format format)
{
	struct writer w = { .f = f, .format = format, .s = s };
	for (unsigned m = 0; m < METRICS; m++)
		put_family(&w, (enum metric)m);
	if (format == METRICS_OPEN)
		fputs("# EOF\n", f);
}
