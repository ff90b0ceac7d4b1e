/* doctor_darwin.c - what a Mac has to have for fethd, and what may stand in its way. See doctor.h,
 * docs/macos.md. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysctl.h>
#include <unistd.h>

#include "clients/ctl/doctor.h"

/* What a stream socket asks for (IOLOOP_SNDBUF). */
#define SEND_BUFFER (416 * 1024)

/* An integer of sysctl, or -1. */
static long number(const char *name)
{
	int v = 0;
	size_t size = sizeof(v);
	return sysctlbyname(name, &v, &size, NULL, 0) < 0 ? -1 : v;
}

/* As server/hostif/fakesysctl_darwin.c wants them. */
static const struct {
	const char *name;
	int value;
} wanted[] = {
	{ "net.link.fake.hwcsum", 0 },
	{ "net.link.fake.tso_support", 0 },
	{ "net.link.fake.lro", 0 },
	{ "net.link.fake.fcs", 0 },
	{ "net.link.fake.trailer_length", 0 },
	{ "net.link.fake.separate_frame_header", 0 },
	{ "net.link.fake.bsd_mode", 1 },
};

static void check_feth(struct doctor *d)
{
	const long most = number("net.link.fake.max_mtu");
	if (most < 0)
		doctor_note(d, DOCTOR_FAIL, "feth", "macOS 11 or later is needed",
			"this system has no feth interfaces");
	else
		doctor_note(d, DOCTOR_OK, "feth", NULL,
			"this system has feth interfaces; net.link.fake.max_mtu is %ld, and raised "
			"while one is made",
			most);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		const long v = number(wanted[i].name);
		char advice[80];
		if (v < 0 || v == wanted[i].value)
			continue;
		snprintf(advice, sizeof(advice), "sudo sysctl %s=%d", wanted[i].name,
			wanted[i].value);
		doctor_note(d, DOCTOR_FAIL, "feth-settings", advice,
			"%s is %ld, which spoils frames: fethd makes no host side with it",
			wanted[i].name, v);
	}
}

/* A network needs one; the system makes more as they are used, up to debug.bpf_maxdevices. */
static void check_bpf(struct doctor *d)
{
	DIR *dev = opendir("/dev");
	const struct dirent *e;
	unsigned n = 0;
	while (dev && (e = readdir(dev)))
		n += !strncmp(e->d_name, "bpf", 3);
	if (dev)
		closedir(dev);
	const long most = number("debug.bpf_maxdevices");
	if (!n)
		return doctor_note(d, DOCTOR_FAIL, "bpf", "restart the machine",
			"there is no /dev/bpf0, by which frames are read");
	const int fd = open("/dev/bpf0", O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == EACCES)
		doctor_note(d, DOCTOR_OK, "bpf", NULL, "%u of at most %ld are there, for root", n,
			most);
	else
		doctor_note(d, DOCTOR_OK, "bpf", NULL, "%u of at most %ld are there", n, most);
	if (fd >= 0)
		close(fd);
}

static void check_buffers(struct doctor *d)
{
	const long most = number("kern.ipc.maxsockbuf");
	if (most >= 0 && most < SEND_BUFFER)
		doctor_note(d, DOCTOR_WARN, "buffers", "sudo sysctl kern.ipc.maxsockbuf=8388608",
			"buffers are limited to %ld bytes; fethd wants %d for each client", most,
			SEND_BUFFER);
	else
		doctor_note(d, DOCTOR_OK, "buffers", NULL, "buffers may have %ld bytes", most);
}

static void check_services(struct doctor *d)
{
	char path[512], *conf = malloc(65536);
	if (doctor_tool(d, "dnsmasq", path))
		doctor_note(d, DOCTOR_OK, "dnsmasq", NULL, "is %s", path + strlen(d->root));
	else
		doctor_note(d, d->dhcp ? DOCTOR_FAIL : DOCTOR_WARN, "dnsmasq",
			"brew install dnsmasq", "is not there, which --dhcp needs");
	if (conf && doctor_read(d, "/etc/pf.conf", conf, 65536) &&
		strstr(conf, "nat-anchor \"com.apple/*\""))
		doctor_note(d, DOCTOR_OK, "pf", NULL, "/etc/pf.conf evaluates com.apple/*");
	else
		doctor_note(d, d->nat ? DOCTOR_FAIL : DOCTOR_WARN, "pf",
			"add nat-anchor \"com.apple/*\" to it, then sudo pfctl -f /etc/pf.conf",
			"/etc/pf.conf has no nat-anchor \"com.apple/*\", where --nat has its "
			"rules");
	free(conf);
	const long on = number("net.inet.ip.forwarding");
	if (d->nat && on != 1)
		doctor_note(d, DOCTOR_FAIL, "forwarding", "fethctl set NET --nat",
			"%u networks have nat, but somebody has switched forwarding off", d->nat);
	else
		doctor_note(d, DOCTOR_OK, "forwarding", NULL, "%s",
			on == 1 ? "is on" : "is off, and --nat switches it on while it is needed");
}

void doctor_system(struct doctor *d)
{
	check_feth(d);
	check_bpf(d);
	check_buffers(d);
	check_services(d);
}
