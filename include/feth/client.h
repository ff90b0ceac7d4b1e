/* client.h - libfeth: be a port of a fethd network, or call its daemon, from C and C++.
 *
 * One `struct feth_conn` is one connection that speaks the native protocol (docs/protocol.md):
 * frames after feth_attach(), calls and their answers, notices. It blocks where a timeout says so,
 * and only there; a program with an event loop watches feth_fd() and gives timeouts of 0. Nothing
 * that a server sends can abort the program or exceed the limits below.
 *
 * A connection is used by one thread at a time; different connections are independent. All integers
 * returned are 0, a count, or a negative errno. Params and results are msgpack bytes, so that no
 * msgpack library becomes part of this interface. (Longer than our headers usually are, because it
 * is the manual of those who have only this file.)
 */
#ifndef FETH_CLIENT_H
#define FETH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "feth/types.h"

#define FETH_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

#define FETH_CALLS_MAX 64u     /* calls unanswered at once; the server stops reading there */
#define FETH_FDS_MAX 4u        /* descriptors one reply may bring */
#define FETH_KEEP_MAX 1048576u /* bytes of frames kept while feth_call() waits */
#define FETH_FILTER_MAX 512u   /* instructions of a monitor's filter */
#define FETH_FOREVER (-1)      /* a timeout */

struct feth_conn;

/* A frame: destination address first, no FCS. FETH_FRAME_MIN to FETH_FRAME_MAX bytes. */
struct feth_frame {
	const uint8_t *data; /* borrowed */
	uint32_t len;
};

/* The answer to a call. */
struct feth_reply {
	int status;       /* 0, or the negative errno that stands for `code` */
	const char *code; /* errors.h's names; "" where the server did not answer */
	const char
		*message; /* a sentence if status is not 0, else ""; at most 1023 bytes of UTF-8 */
	const uint8_t *result; /* one msgpack value; NULL if status is not 0 */
	size_t result_len;     /* bytes */
	int fds[FETH_FDS_MAX]; /* given: close them. FD_CLOEXEC is set */
	uint32_t n_fds;        /* 0 if status is not 0 */
};

/* Something the server says unasked. */
struct feth_notice {
	const char *method;    /* "network.changed", "network.removed", ...; unknown ones occur */
	const uint8_t *params; /* one msgpack map, or NULL for none */
	size_t params_len;
	uint32_t mtu; /* of "network.changed": the MTU from here on in the stream; else 0 */
};

/* Called during feth_recv() or feth_close(), never during other functions. It may call all but
 * feth_close(). What @reply and @notice point to lives until it returns, or itself makes a call
 * that ends the life of views; the reply's descriptors are given. */
typedef void feth_reply_fn(struct feth_conn *conn, const struct feth_reply *reply, void *user);
typedef void feth_notice_fn(struct feth_conn *conn, const struct feth_notice *notice, void *user);

/* Work on frames that is left to others (docs/protocol.md, attach): bits of struct feth_offload. */
enum {
	FETH_OFFLOAD_CSUM = 1, /* the checksum is still to be written; the others need this one */
	FETH_OFFLOAD_TSO4 = 2, /* TCP over IPv4, still to be cut into segments */
	FETH_OFFLOAD_TSO6 = 4,
	FETH_OFFLOAD_ECN = 8, /* with CWR set */
	FETH_OFFLOAD_USO4 = 16,
	FETH_OFFLOAD_USO6 = 32,
};

#define FETH_VNET_LEN 12u /* bytes of a virtio_net_hdr with num_buffers */

/* What of it is asked for, or was granted. */
struct feth_offload {
	uint32_t rx;  /* what the client takes unfinished */
	uint32_t tx;  /* what its own frames may owe */
	uint32_t max; /* bytes of the longest frame that it takes; 0 in a request: any */
};

/* What to ask for in feth_attach(). All zero is a good request. */
struct feth_attach_opts {
	const char *name;            /* of the port; NULL: the server numbers it */
	const struct feth_mac *mac;  /* registered with the port; NULL: derived from the names */
	bool locked;                 /* frames from any other source address are dropped */
	bool shm;                    /* frames go by shared memory, where the server can */
	struct feth_offload offload; /* all zero: none */
};

/* An instruction of the classic BSD Packet Filter, laid out as libpcap's struct bpf_insn. */
struct feth_insn {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

/* What to ask for in feth_monitor(). All zero: every frame, whole. */
struct feth_monitor_opts {
	const char *name;               /* of the monitor; NULL: the server numbers it */
	const char *port_name;          /* only frames from or for this port; NULL: see port */
	const uint16_t *port;           /* the same, by its number; NULL: of all ports */
	uint32_t snaplen;               /* bytes of each frame, up to 65549; 0: all */
	const struct feth_insn *filter; /* which frames; borrowed; NULL: every one */
	size_t n_filter;                /* instructions, up to FETH_FILTER_MAX */
};

/* What the switch did with a frame. */
enum feth_verdict {
	FETH_DROPPED,  /* `reason` says why */
	FETH_TO_PORT,  /* sent to one port */
	FETH_TO_ALL,   /* to all others */
	FETH_TO_GROUP, /* to the members of its multicast group */
};

#define FETH_PORT_NONE 65535u /* in feth_record.port: the switch itself made the frame */

/* A frame as a monitor sees it. */
struct feth_record {
	uint64_t time_ns;    /* since 1970, when the frame was taken up */
	uint16_t port;       /* the port it came from; 0: the host side */
	uint8_t verdict;     /* enum feth_verdict; later servers may know more */
	uint8_t reason;      /* for feth_drop_name(); 0: not dropped */
	uint32_t frame_len;  /* bytes of the frame */
	const uint8_t *data; /* borrowed: the first `len` bytes of it */
	uint32_t len;
};

/* The port that a connection became; of a monitor mac and cap are zero. */
struct feth_port {
	uint16_t port; /* its number within the network */
	char name[FETH_NAME_MAX + 1];
	char network[FETH_NAME_MAX + 1];
	struct feth_mac mac;
	uint32_t mtu; /* bytes of payload */
	uint32_t cap; /* bytes of the longest frame sent or taken; changes with the MTU */
	bool shm;     /* its frames go by shared memory */
	struct feth_offload offload; /* what was granted; all zero where none was asked for */
};

struct feth_counters {
	uint64_t frames_dropped; /* arrived during a call that waited, and over FETH_KEEP_MAX */
	uint64_t ignored;        /* objects skipped: unknown ext types, requests, stray responses */
	uint64_t fds_closed;     /* descriptors that no reply had announced */
};

/* The version of the library, such as "0.1.0". */
FETH_API const char *feth_version(void);

/**
 * feth_socket_path() - where a daemon listens
 * @run_dir:	its run directory; NULL: $FETHD_RUN_DIR, else the user's own daemon if it answers,
 * 		else the system's
 * @network:	a network, for its feth.sock; NULL for the daemon's control.sock
 * @out:	the path, terminated
 * @size:	bytes of room there; 108 hold any path that can be connected to
 *
 * Return: 0 (which does not say that somebody listens), -EINVAL: no such name can exist,
 * -ENAMETOOLONG
 */
FETH_API int feth_socket_path(const char *run_dir, const char *network, char *out, size_t size);

/**
 * feth_open() - connect
 * @out:	a connection; feth_close() it
 * @path:	a feth.sock or control.sock; NULL: as feth_socket_path(NULL, @network) finds it
 * @network:	looked at only without @path
 *
 * The socket gets the send buffer of 416 KiB that batches need (twice the speed of the default at
 * 1514 bytes). Waits at most 10 s, for a daemon that does not accept.
 *
 * Return: 0, -ENOENT or -ECONNREFUSED: no daemon there, -EACCES: not for this user, -ETIMEDOUT, or
 * another negative errno
 */
FETH_API int feth_open(struct feth_conn **out, const char *path, const char *network);

/**
 * feth_open_fd() - use a stream socket that is connected already
 * @fd:		given if 0 is returned, and closed by feth_close(). Its flags are left alone, but
 * 		on macOS it becomes non-blocking
 *
 * Return: 0, -ENOMEM; on macOS also what fcntl(2) says
 */
FETH_API int feth_open_fd(struct feth_conn **out, int fd);

/* Ends the connection and frees everything. Calls still unanswered get their callback, with
 * -ECANCELED or the reason why the connection had failed. NULL is fine. */
FETH_API void feth_close(struct feth_conn *conn);

/**
 * feth_attach() - become a port
 * @opts:	may be NULL
 * @out:	may be NULL
 * @timeout_ms:	most milliseconds to wait, 0 or more, or FETH_FOREVER
 *
 * With opts->shm frames go by rings in shared memory where the server knows them, else by the
 * socket: out->shm says which, and nothing else is different but that replies and notices then have
 * no order to frames.
 *
 * With opts->offload work on frames may be left to others: out->offload says how much of it was
 * granted, and feth_send_vnet() and feth_recv_vnet() do it.
 *
 * Return: 0, -EEXIST: attached already, -EBUSY: the name is in use, -EACCES, -EINVAL, -EOPNOTSUPP:
 * this is a control socket; or as feth_call(). feth_error() has the sentence
 */
FETH_API int feth_attach(struct feth_conn *conn, const struct feth_attach_opts *opts,
	struct feth_port *out, int timeout_ms);

/**
 * feth_monitor() - watch a network instead of being a port of it
 * @opts:	may be NULL
 * @out:	may be NULL
 *
 * From here on feth_recv_records() is what receives, and nothing can be sent.
 *
 * Return: as feth_attach(); also -ENOENT: no such port to watch, -EMSGSIZE: the filter is too long
 */
FETH_API int feth_monitor(struct feth_conn *conn, const struct feth_monitor_opts *opts,
	struct feth_port *out, int timeout_ms);

/* What feth_recv() is for frames. -EINVAL where the connection has not become a monitor. */
FETH_API int feth_recv_records(
	struct feth_conn *conn, struct feth_record *records, size_t max, int timeout_ms);

/* Why a frame was dropped: "spoofed"; "unknown" where the server knows more reasons than this
 * library; "" for 0. */
FETH_API const char *feth_drop_name(uint8_t reason);

/* Stops being a port; frames that came before may still be received. As feth_call(). */
FETH_API int feth_detach(struct feth_conn *conn, int timeout_ms);

/**
 * feth_send() - send a batch of frames
 * @frames:	of FETH_FRAME_MIN to FETH_FRAME_MAX bytes each, borrowed for the call; views from
 * 		feth_recv() may be sent on
 * @n:		how many. Batches are what makes it fast: 64 frames are one system call
 *
 * Waits until all is taken, unless feth_set_nonblocking(); then it takes what fits. A frame begun
 * is always finished, from a copy.
 *
 * Return: how many frames were taken, the first ones (of the last one a rest may wait, see
 * feth_wants_write()); 0 only when nonblocking (then wait for feth_fd(): feth_events()) or if
 * @n is 0. -EINVAL: the first frame is too short or too long; -EPIPE: the server is gone
 * (feth_recv() still has what it sent, and the reason); -EINTR: a signal, and nothing was taken. An
 * error behind the first frame is told by the next call
 */
FETH_API int feth_send(struct feth_conn *conn, const struct feth_frame *frames, size_t n);

/**
 * feth_recv() - receive a batch of frames
 * @frames:	out: views, borrowed until the next feth_recv(), feth_call(), feth_attach(),
 * 		feth_detach() or feth_close()
 * @max:	room there, at least 1; 64 is a good number
 * @timeout_ms:	most milliseconds to wait for the first, 0 or more, or FETH_FOREVER
 *
 * One system call reads up to 256 KiB, and feeds as many calls of this function as it takes.
 * Callbacks of replies and notices run in here, in the order of the stream: one that stands between
 * two frames is told before the second is returned.
 *
 * Return: how many frames; -EINVAL: this is a monitor; 0: time is up, or a callback has run and no
 * frame was ready; at a timeout of 0 that means: wait for feth_fd() (level-triggered). -EINTR: a
 * signal. -ECONNRESET: the server closed the connection; -ENODEV: the same, because the network was
 * removed; -EPROTO: one side broke the protocol. These last, and feth_error() has the sentence
 */
FETH_API int feth_recv(
	struct feth_conn *conn, struct feth_frame *frames, size_t max, int timeout_ms);

/**
 * feth_send_vnet() - send frames that may owe work
 * @vnet:	beside each of @frames NULL, or FETH_VNET_LEN bytes of little-endian virtio_net_hdr
 * 		(virtio 1.2, 5.1.6) that say what it owes, of what feth_attach() was granted to
 * send: else the server drops it, as one that is wrong about itself
 *
 * Return: as feth_send()
 */
FETH_API int feth_send_vnet(struct feth_conn *conn, const struct feth_frame *frames,
	const uint8_t *const *vnet, size_t n);

/**
 * feth_recv_vnet() - receive frames that may owe work
 * @vnet:	out: beside each of @frames NULL, or its header, which lives as long as the frame
 *
 * Where feth_attach() was granted something to receive, this is what receives it: feth_recv()
 * passes frames over that owe work, and counts them as ignored.
 *
 * Return: as feth_recv()
 */
FETH_API int feth_recv_vnet(struct feth_conn *conn, struct feth_frame *frames, const uint8_t **vnet,
	size_t max, int timeout_ms);

/**
 * feth_call() - call a method and wait for its answer
 * @method:	such as "network.show"
 * @params:	one msgpack map; NULL: none
 * @params_len:	bytes there; the whole message may have FETH_RPC_MAX
 * @reply:	out, written whatever is returned; NULL: not wanted (descriptors are closed). What
 * it points to lives as long as views of frames do
 * @timeout_ms:	0 or more, or FETH_FOREVER
 *
 * Frames, notices and replies to other calls that arrive meanwhile are kept for feth_recv(), in
 * order. Of frames up to FETH_KEEP_MAX bytes are kept, the rest is dropped and counted. Signals do
 * not interrupt it.
 *
 * Return: reply->status: 0, or what the server said, as errors.h translates it; -ETIMEDOUT: no
 * answer yet (the call may still take effect); -EINVAL: also params that are not one map;
 * -EMSGSIZE: too long; -EBUSY: also FETH_CALLS_MAX calls unanswered; or why the connection ended,
 * as feth_recv()
 */
FETH_API int feth_call(struct feth_conn *conn, const char *method, const uint8_t *params,
	size_t params_len, struct feth_reply *reply, int timeout_ms);

/**
 * feth_call_start() - call a method, and have the answer from feth_recv()
 * @fn:		called exactly once if 0 is returned: with the answer, or with the reason why none
 * came
 * @user:	for @fn
 *
 * Never waits; what the socket does not take now goes with feth_flush(), feth_send() or
 * feth_recv().
 *
 * Return: 0, -EINVAL, -EMSGSIZE, -EBUSY, -ENOMEM, -ENOBUFS (1 MiB wait to be written), or why the
 * connection ended
 */
FETH_API int feth_call_start(struct feth_conn *conn, const char *method, const uint8_t *params,
	size_t params_len, feth_reply_fn *fn, void *user);

/* Who is told of notices; NULL: nobody. */
FETH_API void feth_on_notice(struct feth_conn *conn, feth_notice_fn *fn, void *user);

/* Whether feth_send() takes what fits instead of waiting. Timeouts are not touched by it. */
FETH_API void feth_set_nonblocking(struct feth_conn *conn, bool nonblocking);

/* The socket, for poll(2) and the like. Borrowed; neither read nor write it. Wait for it after
 * feth_recv() has returned 0, also behind feth_attach(), feth_call() and feth_send(): what had come
 * by then they may have read, and it does not make the socket readable again. */
FETH_API int feth_fd(const struct feth_conn *conn);

/* What to poll(2) feth_fd() for: POLLIN, and POLLOUT while feth_send() or feth_flush() waits for
 * the socket. (In shared memory room is made known like what has come: by POLLIN.) */
FETH_API short feth_events(const struct feth_conn *conn);

/* Whether bytes wait for the socket to become writable: then call feth_flush(). */
FETH_API bool feth_wants_write(const struct feth_conn *conn);

/* Writes what waits, as far as the socket takes it now. Return: 0 (look at feth_wants_write()),
 * -EPIPE: the server is gone, or another negative errno. */
FETH_API int feth_flush(struct feth_conn *conn);

/* The sentence to the last negative return on this connection, for a person; lives until the next.
 * "" if there was none. */
FETH_API const char *feth_error(const struct feth_conn *conn);

FETH_API void feth_get_counters(const struct feth_conn *conn, struct feth_counters *out);

#ifdef __cplusplus
}
#endif

#endif
