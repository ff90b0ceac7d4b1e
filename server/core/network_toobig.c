/* network_toobig.c - tells who sent a packet that was too long (toobig.h), where the network is set
 * to.
 *
 * Only ports are told: the host's kernel knows the MTU of its interface, and would take an answer
 * from its own address for forged. */
#include "server/core/network_priv.h"

#define PIECES 8u /* of a frame that is answered; one of a stream has two at most */

/* The frame as the port that sent it would have it. On its way to another its tag may have changed.
 * False: the port may not send such a frame, or its client would not take the answer for its own.
 */
static bool as_sent(const struct network *net, uint16_t port, const struct frame *frame,
	uint8_t header[VLAN_HEADER], struct seg segs[PIECES], struct frame *out)
{
	const struct vlan_rule *rule = net->sw.ports[net->from].vlan;
	*out = *frame;
	if (!net->sw.vlans)
		return true;
	if (port == net->from) /* its length comes first: its VLAN was not looked at yet */
		return vlan_of(rule, frame) != VLAN_REFUSED;
	const enum vlan_form form = vlan_form(rule, net->vlan.vlan);
	if (form == VLAN_AS_IS)
		return true;
	return form != VLAN_NOT && frame->more_n < PIECES &&
	       vlan_edit(frame, form, net->vlan.vlan, header, segs, out) >= 0;
}

static void answer(struct network *net, uint16_t port, const struct frame *frame)
{
	struct network_toobig *tb = &net->toobig;
	const struct hostif_spec *host = &net->facts.spec;
	uint8_t header[VLAN_HEADER], *out = tb->answers[tb->n];
	struct seg segs[PIECES];
	struct frame sent;
	if (!as_sent(net, port, frame, header, segs, &sent))
		return;
	const uint32_t len = toobig_answer(&sent, net->sw.ports[port].mtu,
		net->sw.ports[net->from].mtu, host->mac, host->addrs, host->n_addrs, out);
	if (!len)
		return;
	struct frame frame_out = { .head = out, .head_len = len, .len = len };
	toobig_take(&tb->bucket, net->now_ms);
	tb->n++;
	if (net->n_monitors)
		network_watch(net, PORT_NONE, (struct verdict){ VERDICT_PORT, 0, net->from }, NULL,
			&frame_out, 1);
	network_pass_out(net, net->recs[net->from], &frame_out, 1, false);
}

void network_tell_too_big(
	struct network *net, uint16_t port, const struct frame *frames, unsigned n)
{
	struct network_toobig *tb = &net->toobig;
	if (!net->facts.too_big || net->from == PORT_HOST || !net->recs[net->from]->client)
		return;
	for (unsigned i = 0; i < n; i++) {
		if (tb->n < TOOBIG_BATCH && toobig_may(&tb->bucket, net->now_ms))
			answer(net, port, &frames[i]);
		else
			tb->bucket.limited++;
	}
}
