/* packet_linux.h - the data half of the veth backend: frames through an AF_PACKET socket.
 *
 * The socket is made by packet_socket() and bound by packet_bind(), which need CAP_NET_RAW;
 * everything behind packet_open() works on the descriptor alone.
 *
 * Frames are plain: no PACKET_VNET_HDR, so the offloads of both members must be off
 * (ethtool_linux.h). */
#ifndef SERVER_HOSTIF_PACKET_LINUX_H
#define SERVER_HOSTIF_PACKET_LINUX_H

#include "server/core/hostif.h"

/* A packet socket that receives nothing yet. Returns it, or -errno with *out_what: what could not
 * be done, "open a packet socket for". @out_bypass: whether its frames go around traffic control.
 */
int packet_socket(bool *out_bypass, const char **out_what);

/* From now on frames of this interface, and of no other, arrive. */
int packet_bind(int fd, int index);

int packet_open(struct hostif **out, const struct hostif_made *made, const struct hostif_spec *spec,
	struct err *err);
void packet_close(struct hostif *hif);
int packet_recv(struct hostif *hif, struct frame *frames, unsigned max, uint8_t *buf, size_t size);
unsigned packet_send(struct hostif *hif, const struct frame *frames, unsigned n);
int packet_fd(const struct hostif *hif);

#endif
