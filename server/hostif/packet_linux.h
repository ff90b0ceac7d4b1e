/* packet_linux.h - the data half of the veth backend: frames through an AF_PACKET socket.
 *
 * The socket is made by packet_socket() and bound by packet_bind(), which need CAP_NET_RAW;
 * everything behind packet_open() works on the descriptor alone.
 *
 * Frames come and go with a virtio_net_hdr (PACKET_VNET_HDR) where the system has that: the host's
 * stack then hands over segments of up to 64 KiB with the checksum unwritten, and takes them so.
 * Where it has not, those offloads of both members must be off (ethtool_linux.h).
 *
 * They come by a ring where the system has one that is fit for it (packetring_linux.h), by
 * recvmmsg() otherwise, and go by sendmmsg(). */
#ifndef SERVER_HOSTIF_PACKET_LINUX_H
#define SERVER_HOSTIF_PACKET_LINUX_H

#include "server/core/hostif.h"

struct packet_traits {
	bool bypass;     /* its frames go around traffic control */
	uint8_t offload; /* OFFLOAD_* that it gives and takes (core/offload.h); 0: plain frames */
};

/* A packet socket that receives nothing yet. Returns it, or -errno with *out_what: what could not
 * be done, "open a packet socket for". */
int packet_socket(struct packet_traits *out, const char **out_what);

/* From now on frames of this interface, and of no other, arrive. */
int packet_bind(int fd, int index);

int packet_open(struct hostif **out, const struct hostif_made *made, const struct hostif_spec *spec,
	struct err *err);
void packet_close(struct hostif *hif);
int packet_recv(struct hostif *hif, struct frame *frames, unsigned max, uint8_t *buf, size_t size);
void packet_done(struct hostif *hif);
uint32_t packet_missed(struct hostif *hif);
unsigned packet_send(struct hostif *hif, const struct frame *frames, unsigned n);
int packet_gathers(const struct hostif *hif);
int packet_fd(const struct hostif *hif);
uint8_t packet_offload(const struct hostif *hif);

#endif
