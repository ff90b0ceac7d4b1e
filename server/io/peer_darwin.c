/* peer_darwin.c - see peer.h.
 *
 * LOCAL_PEERCRED tells who called connect() (XNU, uipc_usrreq.c:unp_connect), with at most 16
 * groups, the effective one first (kern_credential.c:cru2x). A user may be in more of them than a
 * credential holds; the kernel then asks the directory service (kauth_cred_ismember_gid), and so do
 * we. That may be a server far away, which all networks wait for: so its answers are kept for a
 * while, also that it had none. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/ucred.h>
#include <sys/un.h>

#include <uv.h>

#include "server/core/membership.h"
#include "server/io/msgio.h"
#include "server/io/peer.h"

/* <membership.h>, which not every set of headers has; the numbers are its. */
int mbr_uid_to_uuid(uid_t uid, unsigned char uuid[16]);
int mbr_gid_to_uuid(gid_t gid, unsigned char uuid[16]);
int mbr_check_membership(unsigned char user[16], unsigned char group[16], int *out_is_member);

#ifndef SOL_LOCAL
#define SOL_LOCAL 0
#endif
#define GROUPS_ATTESTED ((unsigned)(sizeof(((struct xucred *)0)->cr_groups) / sizeof(gid_t)))
_Static_assert(sizeof(struct xucred) == 76, "xucred as uipc_ctloutput() gives it");
_Static_assert(PEER_GROUPS >= sizeof(((struct xucred *)0)->cr_groups) / sizeof(gid_t),
	"all groups that come have room");

int peer_of(int fd, struct peer *out)
{
	struct xucred cred;
	socklen_t len = sizeof(cred);
	if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERCRED, &cred, &len) < 0)
		return -errno;
	if (len != sizeof(cred) || cred.cr_version != XUCRED_VERSION || cred.cr_ngroups < 1 ||
		(unsigned)cred.cr_ngroups > GROUPS_ATTESTED)
		return -EPROTO;
	out->uid = cred.cr_uid;
	out->gid = cred.cr_groups[0];
	out->n_groups = (unsigned)cred.cr_ngroups;
	for (unsigned i = 0; i < out->n_groups; i++)
		out->groups[i] = cred.cr_groups[i];

	pid_t pid = 0; /* ENOTCONN: it has gone already, and what it sent is still to be read */
	len = sizeof(pid);
	if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &pid, &len) < 0 || pid < 0)
		pid = 0;
	out->pid = (uint32_t)pid;
	return 0;
}

int peer_of_sender(const struct msgio_in *m, struct peer *out)
{
	char path[sizeof(m->from->sun_path) + 1] = "";
	struct stat st;
	memcpy(path, m->from->sun_path,
		m->from_len - (uint32_t)offsetof(struct sockaddr_un, sun_path));
	if (lstat(path, &st) < 0)
		return -errno;
	out->uid = st.st_uid;
	out->gid = ACCESS_NO_ONE; /* a file's group is its directory's here, not its maker's */
	out->pid = 0;
	out->n_groups = 0;
	return 0;
}

static bool ask_directory(uint32_t uid, uint32_t gid)
{
	unsigned char user[16], group[16];
	int member = 0;
	return mbr_uid_to_uuid(uid, user) == 0 && mbr_gid_to_uuid(gid, group) == 0 &&
	       mbr_check_membership(user, group, &member) == 0 && member;
}

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000u;
}

bool peer_group_elsewhere(const struct peer *peer, uint32_t gid)
{
	static _Thread_local struct memberships
		known; /* a loop that has to ask holds up no other */
	bool member;
	if (peer->n_groups && peer->n_groups < GROUPS_ATTESTED)
		return false; /* that was all */
	if (membership_get(&known, peer->uid, gid, now_ms(), &member))
		return member;
	member = ask_directory(peer->uid, gid);
	/* the minute begins now: asking may have taken as long */
	membership_put(&known, peer->uid, gid, member, now_ms());
	return member;
}
