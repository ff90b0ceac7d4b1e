/* cmd_watch.c - stats --watch: the rates of ports, again and again.
 *
 * People get a table each time, programs a line of JSON: {"time", "networks": [{"network", "ports",
 * "total"}]}. What is not known, as of a port that was not there before, is nil. */
#include <string.h>
#include <time.h>

#include "clients/ctl/clock.h"
#include "clients/ctl/ctl.h"
#include "clients/ctl/rates.h"
#include "clients/ctl/snapread.h"

#define EVERY_MAX_S 86400u

static const struct out_field columns[] = {
	{ "NETWORK", "network", out_any, false },
	{ "PORT", "port", out_any, true },
	{ "NAME", "name", out_any, false },
	{ "RX-FRAMES/S", "rx_frames_rate", out_rate, true },
	{ "RX-BYTES/S", "rx_bytes_rate", out_rate, true },
	{ "TX-FRAMES/S", "tx_frames_rate", out_rate, true },
	{ "TX-BYTES/S", "tx_bytes_rate", out_rate, true },
	{ "DROPS/S", "drops_rate", out_rate, true },
	{ "REASON", "reason", out_any, false },
	{ "QUEUED", "queued_bytes", out_any, true },
};

/* -- writing; who cannot write runs out of memory when it is read again -- */

static void put_text(msgpack_packer *pk, const char *text)
{
	msgpack_pack_str_with_body(pk, text, strlen(text));
}

static void put_double(msgpack_packer *pk, const char *key, bool known, double value)
{
	put_text(pk, key);
	if (known)
		msgpack_pack_double(pk, value);
	else
		msgpack_pack_nil(pk);
}

/* Six fields. */
static void put_rate(msgpack_packer *pk, const struct rate *r)
{
	put_double(pk, "rx_frames_rate", r->known, r->rx_frames);
	put_double(pk, "rx_bytes_rate", r->known, r->rx_bytes);
	put_double(pk, "tx_frames_rate", r->known, r->tx_frames);
	put_double(pk, "tx_bytes_rate", r->known, r->tx_bytes);
	put_double(pk, "drops_rate", r->known, r->drops);
	put_text(pk, "reason");
	if (r->reason)
		put_text(pk, r->reason);
	else
		msgpack_pack_nil(pk);
}

static void put_port(msgpack_packer *pk, const struct snapshot *before,
	const struct snap_network *net, const struct snap_port *port)
{
	struct rate rate;
	rates_port(before, net, port, &rate);
	msgpack_pack_map(pk, 10);
	put_text(pk, "network");
	put_text(pk, net->name);
	put_text(pk, "port");
	msgpack_pack_uint32(pk, port->id);
	put_text(pk, "name");
	put_text(pk, port->name);
	put_rate(pk, &rate);
	put_text(pk, "queued_bytes");
	msgpack_pack_uint32(pk, port->queued_bytes);
}

static void put_network(
	msgpack_packer *pk, const struct snapshot *before, const struct snap_network *net)
{
	struct rate rate;
	rates_network(before, net, &rate);
	msgpack_pack_map(pk, 3);
	put_text(pk, "network");
	put_text(pk, net->name);
	put_text(pk, "ports");
	msgpack_pack_array(pk, net->n_ports);
	for (size_t i = 0; i < net->n_ports; i++)
		put_port(pk, before, net, &net->ports[i]);
	put_text(pk, "total");
	msgpack_pack_map(pk, 8);
	put_text(pk, "network");
	put_text(pk, net->name);
	put_text(pk, "name");
	put_text(pk, "(total)");
	put_rate(pk, &rate);
}

static void put_doc(msgpack_packer *pk, const struct snapshot *before, const struct snapshot *now)
{
	struct timespec ts; /* what people call the time; nothing is measured by it */
	clock_gettime(CLOCK_REALTIME, &ts);
	msgpack_pack_map(pk, 2);
	put_text(pk, "time");
	msgpack_pack_uint64(pk, (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000);
	put_text(pk, "networks");
	msgpack_pack_array(pk, now->n_networks);
	for (size_t i = 0; i < now->n_networks; i++)
		put_network(pk, before, &now->networks[i]);
}

/* -- printing -- */

static bool add_rows(struct rows *rows, const msgpack_object *doc)
{
	const msgpack_object_array *nets = &out_get(doc, "networks")->via.array;
	for (uint32_t i = 0; i < nets->size; i++) {
		const msgpack_object_array *ports = &out_get(&nets->ptr[i], "ports")->via.array;
		for (uint32_t k = 0; k < ports->size; k++)
			if (!rows_add(rows, &ports->ptr[k]))
				return false;
		if (!rows_add(rows, out_get(&nets->ptr[i], "total")))
			return false;
	}
	return true;
}

static int print(struct ctl *ctl, const struct snapshot *before, const struct snapshot *now)
{
	msgpack_sbuffer buf;
	msgpack_packer pk;
	msgpack_unpacked doc;
	struct rows rows = { 0 };
	size_t used = 0;
	msgpack_sbuffer_init(&buf);
	msgpack_packer_init(&pk, &buf, msgpack_sbuffer_write);
	msgpack_unpacked_init(&doc);
	put_doc(&pk, before, now);
	const bool good =
		msgpack_unpack_next(&doc, buf.data, buf.size, &used) == MSGPACK_UNPACK_SUCCESS &&
		used == buf.size && add_rows(&rows, &doc.data);
	if (good)
		ctl->out->stream(ctl->out, OUT_FIELDS(columns), &rows, &doc.data);
	rows_fini(&rows);
	msgpack_unpacked_destroy(&doc);
	msgpack_sbuffer_destroy(&buf);
	return good ? 0 : ctl_fail("out of memory");
}

static void pause_until(uint64_t until_ms)
{
	for (uint64_t now; (now = clock_now_ms()) < until_ms;) {
		const uint64_t left = until_ms - now;
		const struct timespec ts = { (time_t)(left / 1000), (long)(left % 1000) * 1000000 };
		nanosleep(&ts, NULL);
	}
}

int ctl_watch(struct ctl *ctl, const char *network, uint32_t seconds, uint32_t count)
{
	struct snapshot *before = NULL;
	uint64_t due = clock_now_ms();
	int status = 0;
	if (!seconds || seconds > EVERY_MAX_S)
		return ctl_fail(
			"--watch %u: it must be 1 to %u seconds", (unsigned)seconds, EVERY_MAX_S);
	for (uint32_t printed = 0; !status && (!count || printed < count);) {
		char why[1024];
		struct snapshot *now =
			snapread_wait(&ctl->conn, network, CTL_TIMEOUT_MS, why, sizeof(why));
		if (!now) {
			status = ctl_fail("cannot read the counters%s%s: %s",
				network ? " of network " : "", network ? network : "", why);
			break;
		}
		if (before) {
			status = print(ctl, before, now);
			printed++;
		}
		snapshot_free(before);
		before = now;
		if (ctl->out->failed || ferror(stdout) || (count && printed == count))
			break; /* the end of main() says which */
		due += 1000u * (uint64_t)seconds;
		if (due < clock_now_ms()) /* it took longer: no storm to catch up */
			due = clock_now_ms();
		pause_until(due);
	}
	snapshot_free(before);
	return status;
}
