/* verbs.h - everything that needs privilege, as a closed list of verbs: plain data in, descriptors
 * and an error sentence out.
 *
 * Today they run in this process. Later a small root process serves them while the switch runs
 * unprivileged, so a verb takes no pointer to anything of ours and checks its own arguments: it
 * acts only on interface names that netid.h can produce, and only on paths inside the run
 * directory. */
#ifndef SERVER_PRIV_VERBS_H
#define SERVER_PRIV_VERBS_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "server/base/err.h"
#include "server/core/access.h"
#include "server/core/command.h"
#include "server/core/dial.h"
#include "server/core/hostif.h"

/* Once, before any other: where all paths must be. Makes the directory if it is missing, or checks
 * that it is ours: a directory, no link, our owner, writable by nobody else. Takes its lock for the
 * life of the process; -EBUSY where another daemon has it. @path becomes its one real name, so that
 * tags and locks agree however it was spelled. */
int verb_run_dir(char path[PATH_TEXT], struct err *err);
void verb_run_dir_leave(void); /* removes it, if we made it and it is empty */

/* Moves this process, which must have one thread, into a user and a network namespace of its own,
 * its user mapped to the same number, and tries that interfaces can be made there. */
int verb_rootless(struct err *err);
bool verb_is_rootless(void);

/* hostif_ops' control half, by the backend's name. */
bool verb_pair_allowed(const char *backend);
int verb_pair_make(const char *backend, const struct hostif_spec *spec, struct hostif_made *out,
	struct err *err);
int verb_pair_change(const char *backend, const struct hostif_spec *now,
	const struct hostif_spec *want, struct err *err);
int verb_pair_remove(const char *backend, const struct hostif_spec *spec);
bool verb_name_free(const char *backend, const char *name);
bool verb_pair_whole(const char *backend, const struct hostif_spec *spec);
bool verb_pair_carrier(const char *backend, const struct hostif_spec *spec);
/* Of every backend. @known: what RUN/state remembers, see hostif_ops. */
int verb_pair_sweep(
	const char *prefix, const struct hostif_spec *known, unsigned n, struct err *err);
int verb_watch(const char *backend, struct err *err); /* a descriptor for watch_read() */

/* Longest path of a socket and its end: with 32 bytes more for a client's companion socket beside
 * it, it must fit macOS' sun_path of 104. */
#define VERB_PATH_MAX (104u - 32u)

/* A directory below the run directory, 0755 of our user. An existing one must be ours. */
int verb_dir_make(const char *path, struct err *err);
/* Removes the sockets in a directory of ours, and it, if nothing else is there. */
void verb_dir_clear(const char *path);

/* A socket of @type at @path, whose file is as @files says: SOCK_STREAM and SOCK_SEQPACKET are
 * listening. Bound under another name, then renamed, so that the path never shows a socket that is
 * too open or deaf. May be called on any thread, as may the verbs about peers' sockets. */
int verb_listen(
	const char *path, int type, const struct access_files *files, int *out_fd, struct err *err);
/* Makes all sockets in a directory of ours, and in its `ports`, as @files says. Some may be and
 * others not where that failed. */
int verb_dir_give(const char *path, const struct access_files *files, struct err *err);
void verb_unlink(const char *path); /* only a socket */

/* Directories that a network's clients make sockets of their own in, beside one of ours. Made, or
 * emptied if it is there, of all but the sockets that clients have open, and nobody else's to write
 * to yet; */
int verb_shared_make(const char *path, struct err *err);
/* then verb_shared_listen() puts a socket there, with what access_files_shared() says, and both are
 * given to those who may, as later when these are others. */
int verb_shared_give(
	const char *path, const char *socket, const struct access_files *files, struct err *err);
/* verb_listen() at @dir/@name, in place of the one that may be there. It is bound beside @dir,
 * never under a name there that a client could have taken. May be called on any thread. */
int verb_shared_listen(const char *dir, const char *name, int type,
	const struct access_files *files, int *out_fd, struct err *err);
/* Removes it, unless a client has a socket there open, or has left a directory that is not empty.
 */
void verb_shared_clear(const char *path);
/* Gives a datagram socket, which is connected to a client's, a name there that this client alone
 * can send to. May be called on any thread. */
int verb_shared_bind(
	int fd, const char *dir, uint32_t uid, char out_path[PATH_TEXT], struct err *err);

/* Where a peer's socket is: an address that means this one socket and no other, whatever happens to
 * its path. Linux: through the descriptor of its file. macOS has no such thing: there it is the
 * path, and good for what was connected to it only. */
struct verb_place {
	int fd;                  /* owned: the file, O_PATH; -1 where there is none */
	uint32_t uid;            /* whose the file is; ACCESS_NO_ONE of an abstract address */
	socklen_t len;           /* of addr */
	struct sockaddr_un addr; /* what connect() and sendto() take */
};

/**
 * verb_connect_peer() - connect a message socket to one that a peer named
 * @fd:		a SOCK_DGRAM socket of ours
 * @name:	where it is, as the peer said or the kernel says it is bound: may be anything
 * @uid:	the peer's, attested; ACCESS_NO_ONE: an administrator's path, whoever's that is
 * @out:	where it is, to be closed by verb_place_close(); given also with -EPERM. NULL: not
 *		wanted
 *
 * Nothing is followed at its end (with ACCESS_NO_ONE nowhere on the way: -ELOOP). It must be
 * a socket, and @uid's, and that one is what @fd is connected to, though the path were another's
 * meanwhile. A path that cannot be looked up at once, or is on a file system that somebody else
 * serves, a user's own program perhaps, is refused, so nobody waits (Linux, 5.12 and 5.8). Whose an
 * abstract address is says the kernel, of the socket that was reached (Linux 5.3), for what we send
 * there would be believed to be ours. It is the peer's effective ids that connect on macOS.
 *
 * Return: 0; -EPERM: it is connected to somebody else, so only that one can write to it;
 * -ECONNREFUSED: nobody has it open; others; then with a sentence in @err
 */
int verb_connect_peer(int fd, const struct sockaddr_un *name, socklen_t len, uint32_t uid,
	struct verb_place *out, struct err *err);
/* Whether somebody still has the socket open. */
bool verb_place_held(const struct verb_place *place);
void verb_place_close(struct verb_place *place); /* one that has none is fine: fd -1 */

/* Writes a small file of ours whole or not at all; NULL text removes it. */
int verb_write(const char *path, const char *text, struct err *err);

/* dnsmasq for one network, behind a keeper (keeper.h): what fethd holds of it. */
struct dhcp_server {
	int pid; /* the keeper's */
	int fd;  /* what it says, a line each; at its end both are gone, and verb_dhcp_end() is due
		  */
};

/* Whether a dnsmasq is there; if not, the sentence says which package has it. */
int verb_dhcp_available(struct err *err);
/* Starts one that serves @dhcp on the host member of @spec; @router: guests are told to send there
 * what is for elsewhere. Its files are dnsmasq.* in the network's directory, which exists. That it
 * ends at once shows at its descriptor. */
int verb_dhcp_start(struct dhcp_server *out, const struct hostif_spec *spec,
	const struct dhcp_facts *dhcp, bool router, struct err *err);
/* Ends it, if it has not, and waits for that: a few milliseconds. Leases stay for the next. */
void verb_dhcp_end(struct dhcp_server *server, const char *network);
/* Removes its files, leases too. @crashed: first ends a dnsmasq that a daemon before us left, if
 * both it and its keeper were killed. */
void verb_dhcp_clear(const char *network, bool crashed);

/* NAT for a network. Whether the system's tool for it is there. */
int verb_nat_available(struct err *err);
/* The rules are what @spec says, and the system forwards; or an error, and the rules are as they
 * were, but for -ETIMEDOUT: then nobody knows. */
int verb_nat_set(const struct hostif_spec *spec, struct err *err);
/* They are gone, or an error. @network may be NULL: it has none.
 * @last: no other network has any, so forwarding is what it was before the first. */
int verb_nat_clear(const char *network, bool last, struct err *err);
/* After a crash: all rules of this run directory, and forwarding. How many networks had any. */
int verb_nat_sweep(void);
/* The directory of configuration files, as the administrator named it (through links, if he likes);
 * "" for none. What is in it must be of root or our user, writable by nobody else, and no link:
 * whoever can write a configuration can do all that we can. */
int verb_conf_dir(const char *path, struct err *err);
#define VERB_CONF_NAME 64u /* bytes of a file's name there, and its end */
/* The names NAME.conf in DIR/networks.d, sorted, at most @max; those of editors and packagers
 * (NAME.conf~, .NAME.conf.swp) are none. Return: how many there are, 0 also without such a
 * directory; or -errno. */
int verb_conf_names(char out[][VERB_CONF_NAME], unsigned max, struct err *err);
/* The text of DIR/@name ("networks.d/lab.conf", "fethd.conf"): owned, of at most @max bytes and
 * one. -ENOENT: it is not there. */
int verb_conf_read(const char *name, size_t max, char **out, size_t *len, struct err *err);
/* Writes DIR/networks.d/NETWORK.conf whole or not at all, and to the disk; NULL removes it. */
int verb_conf_write(const char *network, const char *text, struct err *err);

/* The host member in a bridge that others made: on Linux the kernel's, or one of Open vSwitch. */
struct bridge_state {
	bool in;   /* the host member is in it, and it is up */
	bool tool; /* of Open vSwitch: to look again takes a program, some 10 ms */
	int index; /* of the bridge's interface */
	uint32_t
		mtu; /* the least of its other ports, in bytes; 0: it has none, or none that says */
	char narrow[HOSTIF_NAME]; /* which one that is */
	uint32_t was, now;        /* its own MTU, where joining made it less; else 0 */
};
/* How the bridge that @spec names is, whether or not the host member is in it, or exists.
 * -ENODEV: there is none of that name; -EINVAL: the interface is no bridge; another: it cannot be
 * told now. */
int verb_bridge_look(const struct hostif_spec *spec, struct bridge_state *out, struct err *err);
/* Puts the host member into it, out of any other of the kernel's. 0, or nothing has changed. */
int verb_bridge_join(const struct hostif_spec *spec, struct bridge_state *out, struct err *err);
/* Takes it out, where it is in that one or in that of index @joined (0: none), whatever that is
 * called now. 0, also where it was in neither; or an error: it may be in it still. @wait: until the
 * switch has let go of the interface, else until it is told. */
int verb_bridge_leave(const struct hostif_spec *spec, int joined, bool wait, struct err *err);
/* Removes host members of this run directory's daemons, but those of @keep, from databases of
 * bridges, where they stay when the interface goes. 0, or an error: there may be some. */
int verb_bridge_sweep(const struct hostif_spec *const keep[], unsigned n, struct err *err);

/* The interface of a port of kind tap. */
struct tap_spec {
	char network[FETH_NAME_MAX + 1], port[FETH_NAME_MAX + 1];
	struct tap_place place;
	struct feth_mac mac;
	uint32_t mtu;
};
/* Makes it, up, and gives its descriptor, with which it goes. -EEXIST where its name is taken. */
int verb_tap_make(const struct tap_spec *spec, int *out_fd, struct err *err);
/* Gives it another MTU. -ENODEV where it is not there, or not ours. */
int verb_tap_mtu(const struct tap_spec *spec, struct err *err);

/* Once, before any verb_dial(): other machines may be called, too. */
void verb_dial_anywhere(void);
/* A socket to whom @dial says, which never blocks. A path must be that of a socket itself, no link
 * at its end; whose it is does not matter, for an administrator named it. UDP: bound, and the other
 * end is the only one that is heard. DIAL_PLACE: not connected yet (verb_connect_peer()). Return:
 * 0; 1: under way, and decided when it is writable (verb_dialled()); or a negative errno, and the
 * sentence. */
int verb_dial(const struct dial *dial, int *out_fd, struct err *err);
/* How a try that was under way ended: 0, or a negative errno and the sentence. */
int verb_dialled(const struct dial *dial, int fd, struct err *err);

/* Descriptors of the namespaces this process is in: user (only if @user), network. */
int verb_namespaces(bool user, int out_fds[2], uint8_t *out_n, struct err *err);

#endif
