/* watch_darwin.c - see watch_darwin.h.
 *
 * A message names its interface by index. What has become of it is looked up in the kernel's list
 * afterwards, once for all messages of a call. Of an interface that goes there is nothing but
 * RTM_IFINFO, since it goes down first (dlil.c:ifnet_detach() calls if_down()); later its index is
 * in no list, and who it was cannot be told: then everything is to be looked at.
 *
 * This is the only thing that tells: a reader of the interface's BPF device that waits in kqueue is
 * not woken when it goes (rule 40). */
#include "server/hostif/watch_darwin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/hostif/darwin_abi.h"
#include "server/hostif/darwin_sys.h"
#include "server/hostif/errno_darwin.h"
#include "server/hostif/iflist_darwin.h"

#define MESSAGE_BYTES 4096u /* the longest, of a route, is below 1200 */
#define MESSAGES_MAX 256u   /* of one call; the rest makes the socket readable again */
#define CHANGED_MAX 64u     /* interfaces of one call */

/* Messages that find no room are dropped without a word (raw_usrreq.c:raw_input()), and a pair may
 * be among them; the socket's own 8 KiB take some 70 (RAWRCVQ), these hundreds. */
#define RECEIVE_BYTES (256 * 1024)

/* Between RTM_IFINFO and the moment an interface that goes is off the list lie some lines of
 * ifnet_detach(). Whoever is down may be about to go, and is looked at a second time. */
#define DETACH_US 1000u

struct changed {
	uint16_t index;
	bool link, groups; /* what of it */
};

struct news {
	struct changed all[CHANGED_MAX];
	unsigned n, messages;
	bool fell; /* some interface is down */
};

int watch_open(struct err *err)
{
	int on = 1;
	const int fd = darwin_sys.socket(DW_AF_ROUTE, DW_SOCK_RAW, 0);
	int rc = fd < 0 ? fd : darwin_sys.ioctl(fd, DW_FIONBIO, &on);
	if (rc < 0) {
		if (fd >= 0)
			darwin_sys.close(fd);
		rc = dw_native(rc);
		return err_set(err, rc, "cannot watch interfaces (PF_ROUTE): %s", strerror(-rc));
	}
	(void)darwin_sys.setsockopt(fd, DW_SOL_SOCKET, DW_SO_RCVBUF, RECEIVE_BYTES);
	return fd;
}

/* Room for one more interface is there: watch_read() sees to it. */
static void note(struct news *news, const struct route_record *rec)
{
	unsigned i = 0;
	while (i < news->n && news->all[i].index != rec->index)
		i++;
	if (i == news->n)
		news->all[news->n++] = (struct changed){ .index = rec->index };
	news->all[i].link |= rec->kind == ROUTE_LINK_NEWS;
	news->all[i].groups |= rec->kind == ROUTE_GROUPS_NEWS;
	news->fell |= rec->kind == ROUTE_LINK_NEWS && !(rec->flags & DW_IFF_UP);
}

static int collect(int fd, struct news *news)
{
	uint8_t buf[MESSAGE_BYTES];
	while (news->messages < MESSAGES_MAX && news->n < CHANGED_MAX) {
		const long got = darwin_sys.read(fd, buf, sizeof(buf));
		if (got == -DW_EAGAIN)
			return 0;
		if (got == -DW_EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? (int)got : -DW_EIO;
		struct route_reader r = { buf, (size_t)got };
		struct route_record rec;
		news->messages++;
		if (route_next(&r, true, &rec) && rec.index) /* each read gives one message */
			note(news, &rec);
	}
	return 0;
}

static struct hostif_event *add(struct hostif_event *e, const struct route_record *link)
{
	*e = (struct hostif_event){ 0 };
	memcpy(e->name, link->name, sizeof(e->name));
	return e;
}

/* Whether somebody of the news is not in the list, or is down. */
static void judge(
	const struct news *news, const struct iflist *list, bool *out_gone, bool *out_down)
{
	struct route_record link;
	*out_gone = *out_down = false;
	for (unsigned i = 0; i < news->n; i++) {
		if (!iflist_find_index(list, news->all[i].index, &link))
			*out_gone = true;
		else if (news->all[i].link && !(link.flags & DW_IFF_UP))
			*out_down = true;
	}
}

static int list_settled(const struct news *news, struct iflist *out, bool *out_gone)
{
	bool down;
	int rc = iflist_get(out, DW_AF_LINK, 0);
	if (rc < 0)
		return rc;
	judge(news, out, out_gone, &down);
	if (*out_gone || !news->fell || !down)
		return 0;
	iflist_free(out);
	darwin_sys.sleep_us(DETACH_US);
	rc = iflist_get(out, DW_AF_LINK, 0);
	if (!rc)
		judge(news, out, out_gone, &down);
	return rc;
}

/* Writes the events; -1 where they are more than @max. */
static int tell(const struct news *news, const struct iflist *list, struct hostif_event *events,
	unsigned max)
{
	struct route_record link;
	unsigned n = 0;
	for (unsigned i = 0; i < news->n; i++) {
		const struct changed *c = &news->all[i];
		if (!iflist_find_index(list, c->index, &link))
			continue;
		if ((unsigned)c->link + c->groups > max - n)
			return -1;
		if (c->link) {
			struct hostif_event *e = add(&events[n++], &link);
			e->down = !(link.flags & DW_IFF_UP);
			e->mtu = link.mtu;
		}
		if (c->groups)
			add(&events[n++], &link)->groups = true;
	}
	return (int)n;
}

int watch_read(int fd, struct hostif_event *events, unsigned max)
{
	struct news news = { .n = 0 };
	struct iflist list;
	bool gone;
	int rc = collect(fd, &news);
	if (rc < 0)
		return rc == -DW_ENOBUFS ? -ENOBUFS : dw_native(rc);
	if (!news.n)
		return 0;
	rc = list_settled(&news, &list, &gone);
	if (rc < 0)
		return -ENOBUFS; /* what changed is not known, that something did is */
	rc = gone ? -1 : tell(&news, &list, events, max);
	iflist_free(&list);
	return rc < 0 ? -ENOBUFS : rc;
}
