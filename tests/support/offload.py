"""offload.py - packets of TCP and UDP, and super-frames with their virtio_net_hdr, cut and finished the
plain way. Written here once more, as harness.py is."""
import struct

NEEDS_CSUM = 1
TCPV4, TCPV6, UDP_L4, ECN = 1, 4, 5, 0x80
FIN, SYN, RST, PSH, ACK, CWR = 1, 2, 4, 8, 16, 128
TCP, UDP = 6, 17
EXTENSIONS = {0, 43, 60}  # hop-by-hop, routing, destination options
VNET = struct.Struct("<BBHHHH")  # virtio 1.2, 5.1.6, without num_buffers


def sum16(data):
    """The sum of 16-bit words (RFC 1071), not complemented."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Parts:
    """Where the headers of a frame begin; `protocol` None: neither TCP nor UDP, or a fragment."""

    def __init__(self, f):
        self.l3 = 14
        while f[self.l3 - 2 : self.l3] in (b"\x81\x00", b"\x88\xa8"):
            self.l3 += 4
        kind = f[self.l3 - 2 : self.l3]
        self.v6 = kind == b"\x86\xdd"
        self.protocol, self.l4 = None, len(f)
        if kind == b"\x08\x00":
            self.l4 = self.l3 + (f[self.l3] & 15) * 4
            fragment = int.from_bytes(f[self.l3 + 6 : self.l3 + 8], "big") & 0x3FFF
            self.protocol = None if fragment else f[self.l3 + 9]
        elif self.v6:
            self.l4, self.protocol = self.l3 + 40, f[self.l3 + 6]
            while self.protocol in EXTENSIONS:
                self.protocol, self.l4 = f[self.l4], self.l4 + (f[self.l4 + 1] + 1) * 8
        if self.protocol not in (TCP, UDP):
            self.protocol = None
            return
        self.payload = self.l4 + ((f[self.l4 + 12] >> 4) * 4 if self.protocol == TCP else 8)
        self.sum_at = self.l4 + (16 if self.protocol == TCP else 6)

    def pseudo(self, f):
        """The sum of the pseudo-header."""
        addresses = f[self.l3 + 8 : self.l3 + 40] if self.v6 else f[self.l3 + 12 : self.l3 + 20]
        return sum16(addresses + struct.pack("!HH", self.protocol, len(f) - self.l4))


def put(f, at, fmt, *values):
    return f[:at] + struct.pack(fmt, *values) + f[at + struct.calcsize(fmt):]


def ip_sum(f, l3):
    f = put(f, l3 + 10, "!H", 0)
    return put(f, l3 + 10, "!H", sum16(f[l3 : l3 + (f[l3] & 15) * 4]) ^ 0xFFFF)


def with_sums(f):
    """The same with the checksums that are due."""
    p = Parts(f)
    if not p.v6:
        f = ip_sum(f, p.l3)
    f = put(f, p.sum_at, "!H", 0)
    due = sum16(struct.pack("!H", p.pseudo(f)) + f[p.l4:]) ^ 0xFFFF
    return put(f, p.sum_at, "!H", due or 0xFFFF if p.protocol == UDP else due)


def packet(dst, src, protocol, payload, *, v6=False, tag=b"", extensions=b"", ident=1, seq=1, flags=ACK, ports=(4000, 5000)):
    """A packet with right checksums. @extensions: of IPv6, the first byte of the last says what follows."""
    if protocol == TCP:
        rest = struct.pack("!HHIIBBHHH", *ports, seq, 7, 8 << 4, flags, 500, 0, 0) + b"\1\1\x08\x0a" + bytes(8)
    else:
        rest = struct.pack("!HHHH", *ports, 8 + len(payload), 0)
    rest = extensions + rest + payload
    if v6:
        head = struct.pack("!IHBB", 6 << 28, len(rest), 60 if extensions else protocol, 64)
        head += b"\xfd" + bytes(9) + src + b"\xfd" + bytes(9) + dst
    else:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(rest), ident, 0x4000, 64, protocol, 0)
        head += b"\x0a" + src[-3:] + b"\x0a" + dst[-3:]
    return with_sums(dst + src + tag + (b"\x86\xdd" if v6 else b"\x08\x00") + head + rest)


def owing(f, size=0):
    """(header, frame) of a packet that leaves its checksum, and with @size the cutting, to others."""
    p = Parts(f)
    f = put(f, p.sum_at, "!H", p.pseudo(f))
    kind = 0
    if size:
        kind = UDP_L4 if p.protocol == UDP else TCPV6 if p.v6 else TCPV4
    return VNET.pack(NEEDS_CSUM, kind, p.payload if size else 0, size, p.l4, p.sum_at - p.l4), f


def finished(header, f):
    """The frames that are on a wire in the end."""
    flags, kind, _, size, start, offset = VNET.unpack(header[:10])
    if not flags & NEEDS_CSUM:
        assert not kind, "a super-frame owes its checksum"
        return [f]
    p = Parts(f)
    if not kind & ~ECN:
        # what is there is the sum of the pseudo-header; or whatever the sender thought fit
        due = sum16(f[start:]) ^ 0xFFFF
        return [put(f, start + offset, "!H", due or 0xFFFF if p.protocol == UDP else due)]
    assert (start, start + offset) == (p.l4, p.sum_at), "checksum of another layer"
    assert kind & ~ECN == (UDP_L4 if p.protocol == UDP else TCPV6 if p.v6 else TCPV4)
    assert int.from_bytes(f[p.sum_at : p.sum_at + 2], "big") == p.pseudo(f), "no sum of the pseudo-header"
    out = []
    data = f[p.payload:]
    for i, at in enumerate(range(0, len(data), size)):
        part = data[at : at + size]
        last = at + size >= len(data)
        g = f[: p.payload] + part
        if p.v6:
            g = put(g, p.l3 + 4, "!H", len(g) - p.l3 - 40)
        else:
            ident = int.from_bytes(f[p.l3 + 4 : p.l3 + 6], "big") + i & 0xFFFF
            g = put(g, p.l3 + 2, "!HH", len(g) - p.l3, ident)
        if p.protocol == UDP:
            g = put(g, p.l4 + 4, "!H", 8 + len(part))
        else:
            seq, tcp_flags = int.from_bytes(f[p.l4 + 4 : p.l4 + 8], "big"), f[p.l4 + 13]
            tcp_flags &= ~(0 if last else FIN | PSH) & ~(CWR if i else 0)
            g = put(put(g, p.l4 + 4, "!I", seq + at & 0xFFFFFFFF), p.l4 + 13, "!B", tcp_flags)
        out.append(with_sums(g))
    return out
