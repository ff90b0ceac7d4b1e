/* refused_darwin.c - what a person reads when the kernel says no. See feth_darwin.h. */
#include <errno.h>
#include <string.h>

#include "server/hostif/darwin_abi.h"
#include "server/hostif/errno_darwin.h"
#include "server/hostif/feth_darwin.h"

/* What to do, where the error says it and the call too (NULL: any, else how it begins). The first
 * that fits counts. */
static const struct advice {
	int error;
	const char *call;
	const char *text;
} advice[] = {
	{ DW_EPERM, NULL, "needs root; run fethd as root" },
	{ DW_EACCES, NULL, "needs root and no sandbox; run fethd as root" },
	{ DW_EBUSY, "open /dev/bpf",
		"all BPF devices are in use; end a program that captures, such as Wireshark or "
		"tcpdump, or delete networks" },
	{ DW_EBUSY, "SIOCIFCREATE",
		"macOS is still removing one of this name; try again in a few seconds" },
	{ DW_EBUSY, "SIOCSDRVSPEC",
		"another program has paired it meanwhile; end that program, or give the network "
		"another unit" },
	{ DW_EBUSY, NULL, "something else uses it; try again" },
	{ DW_EINVAL, "SIOCIFCREATE",
		"this system has no feth interfaces; macOS 10.14 or later has, or use the backend "
		"none" },
	{ DW_ENOENT, "open /dev/bpf",
		"this system has no BPF devices; use the backend none, or a kernel with them" },
	{ DW_ENXIO, NULL,
		"another program has removed it, as ZeroTier does to feth0 to feth9999 when it "
		"starts; try again" },
	{ DW_EADDRNOTAVAIL, "bind",
		"another program has removed it, as ZeroTier does to feth0 to feth9999 when it "
		"starts; try again" },
	{ DW_EMFILE, NULL,
		"fethd has too many files open; raise its limit (launchd.plist: NumberOfFiles)" },
	{ DW_ENOMEM, NULL, "the system is short of memory; try again, or delete networks" },
	{ DW_ENOBUFS, NULL, "the system is short of memory; try again, or delete networks" },
	{ DW_EPROTONOSUPPORT, "BIOCGDLT",
		"it does not carry Ethernet; give the network another unit" },
};

static const char *what_to_do(int error, const char *call)
{
	for (size_t i = 0; i < sizeof(advice) / sizeof(advice[0]); i++) {
		const char *of = advice[i].call;
		if (advice[i].error == error && (!of || !strncmp(call, of, strlen(of))))
			return advice[i].text;
	}
	return "try again; the kernel's log may say more (log show --last 5m --predicate "
	       "'process == \"kernel\"')";
}

/* ENXIO: the interface has gone under the call; the next try finds what there is then. ENODEV would
 * be told as if the network did not exist, and EEXIST as if its name were taken, which is for
 * feth_darwin.c:taken() to say; from other calls it is about an address, or nothing we know. */
static int native(int dw)
{
	switch (dw) {
	case -DW_EACCES:
		return -EPERM;
	case -DW_ENXIO:
		return -EBUSY;
	case -DW_EEXIST:
		return -EIO;
	default:
		return dw_native(dw);
	}
}

int feth_refused(struct err *err, const struct attempt *a, int dw)
{
	const int rc = native(dw);
	return err_set(err, rc, "%s: cannot %s interface %s (%s): %s: %s", a->network, a->verb,
		a->name, a->call, strerror(-dw_native(dw)), what_to_do(-dw, a->call));
}
