/* capture.c - see capture.h. */
#include "clients/ctl/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAY_COLUMNS 16        /* "qemu-12 > group" */
#define BUFFER (256u * 1024u) /* as much as one read of the connection brings */

static FILE *open_file(const char *path)
{
	const int fd = path && strcmp(path, "-") != 0
			       ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)
			       : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");
	if (fd >= 0 && !file)
		close(fd);
	return file;
}

int capture_open(struct capture_out *out, enum capture_form form, pcap_t *pcap, const char *path)
{
	out->form = form;
	out->file = form == CAPTURE_PCAP ? open_file(path) : stdout;
	if (!out->file)
		return -errno;
	setvbuf(out->file, NULL, _IOFBF, BUFFER);
	if (form != CAPTURE_PCAP)
		return 0;
	errno = 0;
	out->dump = pcap_dump_fopen(pcap, out->file);
	if (out->dump)
		return 0;
	const int rc = errno ? -errno : -EIO;
	fclose(out->file);
	out->file = NULL;
	return rc;
}

int capture_flush(struct capture_out *out)
{
	return fflush(out->file) || ferror(out->file) ? -(errno ? errno : EIO) : 0;
}

int capture_close(struct capture_out *out)
{
	if (!out->file || out->file == stdout) /* main() flushes that */
		return 0;
	const int rc = ferror(out->file) ? 0 : capture_flush(out); /* what failed is known */
	fclose(out->file); /* pcap_dump_close() does no more */
	out->file = NULL;
	return rc;
}

/* -- pcap -- */

static void put_pcap(struct capture_out *out, const struct feth_record *r)
{
	/* with PCAP_TSTAMP_PRECISION_NANO the microseconds are nanoseconds */
	const struct pcap_pkthdr head = {
		.ts = { .tv_sec = (time_t)(r->time_ns / 1000000000u),
			.tv_usec = (suseconds_t)(r->time_ns % 1000000000u) },
		.caplen = r->len,
		.len = r->frame_len,
	};
	pcap_dump((uint8_t *)out->dump, &head, r->data);
}

/* -- for people -- */

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* IEEE's registry of EtherTypes, as far as people meet them. */
static const char *type_name(uint16_t type)
{
	static const struct {
		uint16_t type;
		const char *name;
	} names[] = {
		{ 0x0800, "IPv4" },
		{ 0x0806, "ARP" },
		{ 0x86dd, "IPv6" },
		{ 0x8035, "RARP" },
		{ 0x88cc, "LLDP" },
		{ 0x888e, "EAPOL" },
		{ 0x8809, "LACP" },
		{ 0x8863, "PPPoE" },
		{ 0x8864, "PPPoE" },
		{ 0x8847, "MPLS" },
		{ 0x809b, "AppleTalk" },
		{ 0x80f3, "AARP" },
		{ 0x6002, "MOP" },
		{ 0x6003, "DECnet" },
		{ 0x6004, "LAT" },
		{ 0x8137, "IPX" },
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == type)
			return names[i].name;
	return NULL;
}

/* What is read of a frame's header. */
struct header {
	bool whole; /* addresses and type are there */
	const uint8_t *dst, *src;
	int vlan; /* of the first tag; -1: none */
	uint16_t type;
};

static struct header header_of(const struct feth_record *r)
{
	struct header h = { .vlan = -1 };
	uint32_t at = 12;
	if (r->len < 14)
		return h;
	h.dst = r->data;
	h.src = r->data + 6;
	h.type = be16(r->data + at);
	while ((h.type == 0x8100 || h.type == 0x88a8) && r->len >= at + 6) {
		if (h.vlan < 0)
			h.vlan = be16(r->data + at + 2) & 0xfff;
		at += 4;
		h.type = be16(r->data + at);
	}
	h.whole = true;
	return h;
}

static void print_mac(FILE *f, const uint8_t *mac)
{
	fprintf(f, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

/* Where it came from: a name; "" where only the number is known. */
static const char *port_name(const struct capture_out *out, uint16_t port)
{
	if (port == FETH_PORT_NONE)
		return "(switch)";
	return port < CAPTURE_PORTS ? out->names->name[port] : "";
}

static const char *verdict_name(uint8_t verdict)
{
	static const char *const names[] = { "dropped", "port", "all", "group" };
	return verdict < sizeof(names) / sizeof(names[0]) ? names[verdict] : "?";
}

static void put_line(const struct capture_out *out, const struct feth_record *r)
{
	FILE *f = out->file;
	const struct header h = header_of(r);
	const time_t sec = (time_t)(r->time_ns / 1000000000u);
	const char *name = port_name(out, r->port);
	struct tm tm;
	char clock[16] = "";
	if (localtime_r(&sec, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	fprintf(f, "%s.%09u  ", clock, (unsigned)(r->time_ns % 1000000000u));
	char number[16], way[2 * FETH_NAME_MAX + 16];
	snprintf(number, sizeof(number), "port %u", r->port);
	if (!*name)
		name = number;
	if (r->verdict == FETH_DROPPED)
		snprintf(way, sizeof(way), "%s DROPPED (%s)", name, feth_drop_name(r->reason));
	else
		snprintf(way, sizeof(way), "%s > %s", name, verdict_name(r->verdict));
	fprintf(f, "%-*s  ", WAY_COLUMNS, way);
	if (h.whole) {
		print_mac(f, h.src);
		fputs(" > ", f);
		print_mac(f, h.dst);
		fputs("  ", f);
		if (h.vlan >= 0)
			fprintf(f, "VLAN %d, ", h.vlan);
		if (type_name(h.type))
			fprintf(f, "%s, ", type_name(h.type));
		else if (h.type < 1536) /* a length: IEEE 802.3, 3.2.6 */
			fputs("802.3, ", f);
		else
			fprintf(f, "type 0x%04x, ", h.type);
	}
	fprintf(f, "%" PRIu32 " bytes\n", r->frame_len);
}

/* Names and reasons have no character that JSON would escape. */
static void put_json(const struct capture_out *out, const struct feth_record *r)
{
	FILE *f = out->file;
	const struct header h = header_of(r);
	fprintf(f, "{\"time_ns\": %" PRIu64, r->time_ns);
	if (r->port != FETH_PORT_NONE)
		fprintf(f, ", \"port\": %u", r->port);
	if (*port_name(out, r->port))
		fprintf(f, ", \"name\": \"%s\"", port_name(out, r->port));
	fprintf(f, ", \"verdict\": \"%s\"", verdict_name(r->verdict));
	if (r->verdict == FETH_DROPPED)
		fprintf(f, ", \"reason\": \"%s\"", feth_drop_name(r->reason));
	if (h.whole) {
		fputs(", \"src\": \"", f);
		print_mac(f, h.src);
		fputs("\", \"dst\": \"", f);
		print_mac(f, h.dst);
		fputs("\"", f);
		if (h.vlan >= 0)
			fprintf(f, ", \"vlan\": %d", h.vlan);
		fprintf(f, ", \"type\": %u", h.type);
	}
	fprintf(f, ", \"length\": %" PRIu32 "}\n", r->frame_len);
}

int capture_put(struct capture_out *out, const struct feth_record *r)
{
	errno = 0;
	switch (out->form) {
	case CAPTURE_LINES:
		put_line(out, r);
		break;
	case CAPTURE_JSON:
		put_json(out, r);
		break;
	case CAPTURE_PCAP:
		put_pcap(out, r);
		break;
	}
	return ferror(out->file) ? -(errno ? errno : EIO) : 0;
}
