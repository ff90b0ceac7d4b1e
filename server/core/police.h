/* police.h - the frames of ports with rules of their own (rules.h): what comes in, what goes out.
 *
 * Plain ports never come here: network.c looks at one flag of struct vport and goes its short way.
 * What passes goes on as it would have, by the network_pass_*() of network_priv.h, in runs as long
 * as they were. */
#ifndef SERVER_CORE_POLICE_H
#define SERVER_CORE_POLICE_H

#include "server/core/network_priv.h"

/* What a bucket of rx_rate or tx_rate holds: what comes in so long, and may come at once after a
 * silence. TCP that loses the end of a burst rests for its smallest timeout, 200 ms on Linux; a
 * bucket that is full before that wastes the rest. Of the rate one TCP connection got, at 10 and
 * 100 Mbit/s: with 50 ms 48 and 35 %, with 100 ms 52 and 50 %, with 250 ms 95 and 96 %. */
#define POLICE_BURST_MS 250u
/* Two of the longest frames: with less, one of them might never pass. (1 Mbit/s: 97 %.) */
#define POLICE_BURST_MIN (128u * 1024u)
uint32_t police_burst(uint32_t rate);

/* Frames from a special port: those it may send are switched, the others counted at it. */
void police_input(struct network *net, uint16_t in, struct frame *frames, unsigned n);

/* Frames for a special port @rec that has a client, or for the host side, from port @in: those it
 * may get are sent. A frame that another may not send to it is counted at that other; @flooded
 * ones, which have other ways to go, are not. */
void police_output(struct network *net, uint16_t in, struct port_rec *rec, struct frame *frames,
	unsigned n, bool flooded);

/* How many of @n frames from a port, special or not, may be flooded. One that is to be cut counts
 * as its segments, or as many as may pass at once, if that is less. */
unsigned police_storm(struct network *net, uint16_t in, const struct frame *frames, unsigned n);

#endif
