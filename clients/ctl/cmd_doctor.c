/* cmd_doctor.c - doctor: what stands in the way of fethd on this machine, and what to do about it.
 * See doctor.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "clients/ctl/doctor.h"

static const struct out_field network_columns[] = {
	{ "NAME", "name", out_any, false },
	{ "BACKEND", "backend", out_any, false },
	{ "HOST", "host", out_any, false },
	{ "STATE", "up", out_up, false },
	{ "MTU", "mtu", out_any, false },
	{ "MULTICAST", "multicast", out_any, false },
	{ "PORTS", "ports", out_any, false },
	{ "ADDRESSES", "addresses", out_any, false },
	{ "DHCP", "dhcp", out_any, false },
	{ "NAT", "nat", out_any, false },
};

static unsigned count(const struct doctor *d, enum verdict v)
{
	unsigned n = 0;
	for (unsigned i = 0; i < d->n; i++)
		n += d->found[i].verdict == v;
	return n;
}

static void print_text(FILE *f, const struct doctor *d)
{
	for (unsigned i = 0; i < d->n; i++) {
		const struct finding *x = &d->found[i];
		fprintf(f, "%-4s  %-16s  ", verdict_name(x->verdict), x->check);
		out_print_text(f, x->what, strlen(x->what));
		fputc('\n', f);
		if (x->advice[0])
			fprintf(f, "%24sdo: %s\n", "", x->advice);
	}
	const unsigned fail = count(d, DOCTOR_FAIL), warn = count(d, DOCTOR_WARN);
	fprintf(f, "\n%u %s, %u %s\n", fail, fail == 1 ? "problem" : "problems", warn,
		warn == 1 ? "warning" : "warnings");
}

static int print_json(struct ctl *ctl, const struct doctor *d)
{
	struct rpc_out doc;
	msgpack_object value;
	size_t used = 0;
	rpc_out_init(&doc);
	rpc_out_map(&doc);
	rpc_put_uint(&doc, "problems", count(d, DOCTOR_FAIL));
	rpc_put_uint(&doc, "warnings", count(d, DOCTOR_WARN));
	rpc_put_array(&doc, "checks");
	for (unsigned i = 0; i < d->n; i++) {
		const struct finding *x = &d->found[i];
		rpc_out_map(&doc);
		rpc_put_text(&doc, "check", x->check);
		rpc_put_text(&doc, "verdict", verdict_name(x->verdict));
		rpc_put_text(&doc, "what", x->what);
		if (x->advice[0])
			rpc_put_text(&doc, "do", x->advice);
		rpc_out_close(&doc);
	}
	rpc_out_close(&doc);
	rpc_out_close(&doc);
	const bool good = rpc_out_ok(&doc) && msgpack_unpack(doc.buf.data, doc.buf.size, &used,
						      &ctl->zone, &value) == MSGPACK_UNPACK_SUCCESS;
	if (good)
		ctl->out->record(ctl->out, NULL, 0, &value);
	rpc_out_fini(&doc);
	return good ? 0 : ctl_fail("out of memory");
}

/* What may help somebody else to see what is wrong: no MAC address, no machine id, no environment,
 * nobody's name. */
static void print_networks(FILE *f, const struct doctor *d)
{
	const msgpack_object *items = out_get(&d->networks, "items");
	const size_t n_fields = sizeof(network_columns) / sizeof(network_columns[0]);
	for (uint32_t i = 0;
		items && items->type == MSGPACK_OBJECT_ARRAY && i < items->via.array.size; i++) {
		for (size_t k = 0; k < n_fields; k++) {
			const struct out_field *c = &network_columns[k];
			const msgpack_object *v = out_get(&items->via.array.ptr[i], c->key);
			if (!v)
				continue;
			fprintf(f, "%s%s ", k ? ", " : "", c->key);
			c->format(f, v);
		}
		fputc('\n', f);
	}
}

static void print_system(FILE *f, const struct doctor *d)
{
	char release[4096], *name;
	struct utsname u;
	const time_t now = time(NULL);
	struct tm tm;
	char when[40] = "";
	if (gmtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
	fprintf(f, "fethctl doctor, %s\nfethctl %s\n", when, feth_version());
	if (uname(&u) == 0)
		fprintf(f, "%s %s %s\n", u.sysname, u.release, u.machine);
	if (doctor_read(d, "/etc/os-release", release, sizeof(release)) &&
		(name = strstr(release, "PRETTY_NAME=")))
		fprintf(f, "%.*s\n", (int)strcspn(name, "\n"), name);
}

static int write_report(const char *path, const struct doctor *d)
{
	static const char *const shown[] = { "version", "uid", "rootless", "uptime", "networks",
		"counters" };
	FILE *f = fopen(path, "we");
	if (!f)
		return ctl_fail("cannot write %s: %s", path, strerror(errno));
	print_system(f, d);
	fputs("\n-- checks --\n", f);
	print_text(f, d);
	if (d->reached) {
		fputs("\n-- daemon --\n", f);
		for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
			fprintf(f, "%s: ", shown[i]);
			out_any(f, out_get(&d->daemon, shown[i]));
			fputc('\n', f);
		}
		fputs("\n-- networks --\n", f);
		print_networks(f, d);
	}
	const bool bad = ferror(f);
	return fclose(f) || bad ? ctl_fail("cannot write %s: %s", path, strerror(errno)) : 0;
}

int cmd_doctor(struct ctl *ctl, const struct args *args)
{
	const char *root = getenv("FETHCTL_DOCTOR_ROOT"); /* tests' */
	struct doctor *d = calloc(1, sizeof(*d));
	int status = 0;
	if (!d)
		return ctl_fail("out of memory");
	d->root = root ? root : "";
	d->ctl = ctl;
	doctor_examine(d);
	if (ctl->json)
		status = print_json(ctl, d);
	else
		print_text(stdout, d);
	if (!status && args_value(args, "report"))
		status = write_report(args_value(args, "report"), d);
	if (!status && count(d, DOCTOR_FAIL))
		status = CTL_FAILED;
	free(d);
	return status;
}
