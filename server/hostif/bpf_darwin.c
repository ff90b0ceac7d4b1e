/* bpf_darwin.c - see bpf_darwin.h. XNU bpf.c. */
#include "server/hostif/bpf_darwin.h"

#include <stdio.h>
#include <string.h>

#include "server/hostif/darwin_abi.h"
#include "server/hostif/darwin_sys.h"

/* More than there ever are (debug.bpf_maxdevices is 256), so that the search ends. */
#define DEVICES_MAX 4096u

/* Bytes the kernel keeps for us twice, and that one read takes. 512 KiB is the most up to macOS 12
 * (debug.bpf_maxbufsize), 350 frames of 1500 bytes or 31 of 16 KiB. */
#define BUFFER_BYTES (512u * 1024u)

#define FRAME_OLD 2048u /* MCLBYTES: up to 13.6 a written frame is one cluster (bpf_movein()) */
#define HEADER 14u

/* Every device can be open once, and opening the last makes another (bpf.c:bpfopen(),
 * bpf_make_dev_t()): the first that is not busy is ours. There is no /dev/bpf that would choose. */
static int open_any(const char **out_call)
{
	char path[32];
	int rc = -DW_EBUSY;
	*out_call = "open /dev/bpf";
	for (unsigned i = 0; i < DEVICES_MAX; i++) {
		snprintf(path, sizeof(path), "/dev/bpf%u", i);
		rc = darwin_sys.open(path);
		if (rc != -DW_EBUSY)
			return rc == -DW_ENOENT && i ? -DW_EBUSY : rc;
	}
	return rc;
}

struct step {
	const char *call;
	unsigned long request;
	uint32_t value;
};

static int apply(int fd, const struct step *step, const char **out_call)
{
	uint32_t value = step->value;
	*out_call = step->call;
	return darwin_sys.ioctl(fd, step->request, &value);
}

#define NAMED(request) #request, DW_##request

static int set_up(int fd, const char *name, const char **out_call)
{
	/* The size first, for it is fixed once the device has an interface (rule 28). IMMEDIATE:
	 * readable with the first frame, not when a buffer is full (rule 32). SEESENT 0: what goes
	 * out of the service member are our own frames, which would come back to us as if the host
	 * had sent them, and circle (rule 33). HDRCMPLT: source addresses are left alone, and a
	 * write works without IPv4 on the interface (rule 35). */
	static const struct step steps[] = {
		{ NAMED(BIOCSBLEN), BUFFER_BYTES },
		{ NAMED(BIOCIMMEDIATE), 1 },
		{ NAMED(BIOCSSEESENT), 0 },
		{ NAMED(BIOCSHDRCMPLT), 1 },
	};
	int rc = 0;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && rc >= 0; i++)
		rc = apply(fd, &steps[i], out_call);
	if (rc < 0)
		return rc;

	struct dw_ifreq req;
	memset(&req, 0, sizeof(req));
	snprintf(req.name, sizeof(req.name), "%s", name);
	*out_call = "BIOCSETIF";
	rc = darwin_sys.ioctl(fd, DW_BIOCSETIF, &req);
	if (rc < 0)
		return rc;

	uint32_t dlt = 0;
	*out_call = "BIOCGDLT";
	rc = darwin_sys.ioctl(fd, DW_BIOCGDLT, &dlt);
	return rc < 0 ? rc : dlt == DW_DLT_EN10MB ? 0 : -DW_EPROTONOSUPPORT;
}

/* What saves work where the release has it (15.0), and is not missed otherwise: no time stamps; and
 * the kernel drops frames behind the tap, where it would queue them to a thread that finds no
 * protocol for them (dlil_input.c: IFXF_DISABLE_INPUT). */
static void set_up_more(int fd)
{
	static const struct step steps[] = { { NAMED(BIOCSNOTSTAMP), 1 },
		{ NAMED(BIOCSDVRTIN), 1 } };
	const char *call;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		(void)apply(fd, &steps[i], &call);
}

int bpf_open(const char *name, const char **out_call)
{
	const int fd = open_any(out_call);
	if (fd < 0)
		return fd;
	const int rc = set_up(fd, name, out_call);
	if (rc < 0) {
		darwin_sys.close(fd);
		return rc;
	}
	set_up_more(fd);
	return fd;
}

/* The releases show in which calls they know (EINVAL is for one they do not):
 *   up to 13.6  a frame has at most 2048 bytes, and at most the interface's MTU behind its header:
 *               a tagged one at full MTU is refused
 *   14.0        MTU + 18 bytes; BIOCGDIRECTION came with it
 *   14.1        no test against the MTU where BIOCSWRITEMAX says so; batches
 * Batches are used only where nothing but a frame over that size, which inject_darwin.c holds back,
 * could have the kernel refuse the whole of one. */
int bpf_inject(int fd, uint32_t *out_mtu, const char **out_call)
{
	const struct step most = { NAMED(BIOCSWRITEMAX), DW_FETH_MTU_MAX };
	const struct step batch = { NAMED(BIOCSBATCHWRITE), 1 };
	uint32_t direction;
	*out_mtu = DW_FETH_MTU_MAX;
	if (apply(fd, &most, out_call) >= 0) {
		(void)apply(fd, &batch, out_call);
		return 0;
	}
	*out_call = "BIOCGDIRECTION";
	const int rc = darwin_sys.ioctl(fd, DW_BIOCGDIRECTION, &direction);
	if (rc == -DW_EINVAL)
		*out_mtu = FRAME_OLD - HEADER;
	return rc == -DW_EINVAL ? 0 : rc;
}
