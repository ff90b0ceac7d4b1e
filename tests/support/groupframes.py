"""groupframes.py - IGMP, MLD and PIM messages, and data for groups, as whole frames.

Written from RFC 1112, 2236, 3376, 2710, 3810 and 7761, with checksums of its own, so that a mistake of
ours in server/core/snoop.c cannot hide in its own mirror.
"""
import ipaddress
import struct

IP4, IP6 = 0x0800, 0x86DD
IS_IN, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK = range(1, 7)  # RFC 3376, 4.2.12; RFC 3810, 5.2.12
LINK_LOCAL = "fe80::2"


def packed(address):
    return ipaddress.ip_address(address).packed


def group_mac(group):
    """RFC 1112, 6.4: the low 23 bits; RFC 2464, 7: the low 32."""
    p = packed(group)
    if len(p) == 4:
        return bytes([1, 0, 0x5E, p[1] & 0x7F, p[2], p[3]])
    return b"\x33\x33" + p[12:]


def checksum(data):
    """RFC 1071, over 16-bit words."""
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total = sum(words)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def ether(dst, src, ethertype, payload, vlan=None):
    tag = b"" if vlan is None else struct.pack("!HH", 0x8100, vlan)
    return (dst + src + tag + struct.pack("!H", ethertype) + payload).ljust(60, b"\0")


def ipv4(dst, src, proto, body, ttl=1, options=b"", flags=0x4000):
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | (5 + len(options) // 4), 0, 20 + len(options) + len(body), 0,
                       flags, ttl, proto, 0, packed(src), packed(dst)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def igmp_message(kind, code, rest):
    message = struct.pack("!BBH", kind, code, 0) + rest
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def igmp(mac, dst, message, src="10.9.0.2", **kw):
    """A message with the router alert option of RFC 2236, 2."""
    vlan = kw.pop("vlan", None)
    return ether(group_mac(dst), mac, IP4, ipv4(dst, src, 2, message, options=b"\x94\x04\0\0", **kw), vlan)


def records(*recs):
    """Group records of version 3 of IGMP or 2 of MLD: (type, group, sources)."""
    return b"".join(struct.pack("!BBH", kind, 0, len(sources)) + packed(group) +
                    b"".join(packed(s) for s in sources) for kind, group, sources in recs)


def igmp1_report(mac, group):
    return igmp(mac, group, igmp_message(0x12, 0, packed(group)))


def igmp2_report(mac, group, **kw):
    return igmp(mac, group, igmp_message(0x16, 0, packed(group)), **kw)


def igmp2_leave(mac, group, **kw):
    return igmp(mac, "224.0.0.2", igmp_message(0x17, 0, packed(group)), **kw)


def igmp3_report(mac, *recs, count=None, **kw):
    n = len(recs) if count is None else count
    return igmp(mac, "224.0.0.22", igmp_message(0x22, 0, struct.pack("!HH", 0, n) + records(*recs)), **kw)


def igmp_query(mac, src="10.9.0.1", group="0.0.0.0", response=100, version=3, interval=125):
    rest = packed(group) + (struct.pack("!BBH", 2, interval, 0) if version == 3 else b"")
    dst = "224.0.0.1" if group == "0.0.0.0" else group
    return igmp(mac, dst, igmp_message(0x11, response if version > 1 else 0, rest), src=src)


def icmp6(dst, src, message):
    """The ICMPv6 message with its checksum: RFC 8200, 8.1."""
    pseudo = packed(src) + packed(dst) + struct.pack("!II", len(message), 58)
    return message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]


def mld(mac, dst, kind, rest, src=LINK_LOCAL, hops=1, alert=b"\x05\x02\0\0\x01\0"):
    """An MLD message with hop limit 1 and a router alert in a hop-by-hop header (RFC 2710, 3)."""
    message = icmp6(dst, src, struct.pack("!BBH", kind, 0, 0) + rest)
    options = b"\x3a\0" + alert
    head = struct.pack("!IHBB", 0x60000000, len(options) + len(message), 0, hops) + packed(src) + packed(dst)
    return ether(group_mac(dst), mac, IP6, head + options + message)


def mld1_report(mac, group, **kw):
    return mld(mac, group, 131, b"\0\0\0\0" + packed(group), **kw)


def mld1_done(mac, group, **kw):
    return mld(mac, "ff02::2", 132, b"\0\0\0\0" + packed(group), **kw)


def mld2_report(mac, *recs, count=None, **kw):
    n = len(recs) if count is None else count
    return mld(mac, "ff02::16", 143, struct.pack("!HH", 0, n) + records(*recs), **kw)


def mld_query(mac, src="fe80::1", response=10000):
    return mld(mac, "ff02::1", 130, struct.pack("!HH", response, 0) + packed("::") +
               struct.pack("!BBH", 2, 125, 0), src=src)


def pim_hello(mac, src="10.9.0.1", hold=105):
    message = struct.pack("!BBHHHH", 0x20, 0, 0, 1, 2, hold)
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    return ether(group_mac("224.0.0.13"), mac, IP4, ipv4("224.0.0.13", src, 103, message))


def data(mac, group, payload=b"stream"):
    """A UDP datagram for a group, IPv4 (without UDP checksum, RFC 768) or IPv6."""
    if len(packed(group)) == 4:
        udp = struct.pack("!HHHH", 5004, 5004, 8 + len(payload), 0) + payload
        return ether(group_mac(group), mac, IP4, ipv4(group, "10.9.0.3", 17, udp, ttl=4))
    src = "fe80::3"
    udp = struct.pack("!HHHH", 5004, 5004, 8 + len(payload), 0) + payload
    pseudo = packed(src) + packed(group) + struct.pack("!II", len(udp), 17)
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp)) + udp[8:]
    head = struct.pack("!IHBB", 0x60000000, len(udp), 17, 4) + packed(src) + packed(group)
    return ether(group_mac(group), mac, IP6, head + udp)


def is_query(f):
    """Whether it is a general query of the switch's: IGMPv3 (RFC 3376, 4.1) or MLDv2 (RFC 3810, 5.1)."""
    if f[:6] == b"\x01\0\x5e\0\0\x01":
        return f[12:14] == b"\x08\0" and f[23] == 2 and f[14 + 4 * (f[14] & 15)] == 0x11
    return f[:6] == b"\x33\x33\0\0\0\x01" and f[12:14] == b"\x86\xdd" and f[20] == 0 and f[62] == 130
