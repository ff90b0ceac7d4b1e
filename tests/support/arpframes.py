"""arpframes.py - ARP and IPv6 neighbour discovery of tests, written once more from the RFCs."""
import socket
import struct

BROADCAST = b"\xff" * 6
ALL_NODES = bytes.fromhex("333300000001")
OFFSETS = {133: 4, 134: 12, 135: 20, 136: 20, 137: 36}  # of what follows the checksum, up to the options


def arp(src, sender, sender_ip="10.0.0.9", target_ip="10.0.0.1", op=1, tags=b"", kind=0x0806, hlen=6):
    """RFC 826; `sender` is the hardware address that the packet itself names."""
    return (BROADCAST + src + tags + struct.pack("!HHHBBH", kind, 1, 0x0800, hlen, 4, op) + sender +
            socket.inet_aton(sender_ip) + bytes(6) + socket.inet_aton(target_ip)).ljust(60, b"\0")


def rarp(mac):
    """RFC 903: who has come asks for its own address, which tells bridges where it is."""
    return (BROADCAST + mac + struct.pack("!HHHBBH", 0x8035, 1, 0x0800, 6, 4, 3) + mac + bytes(4) + mac).ljust(
        60, b"\0")


def announcement(mac, ip):
    """RFC 5227, 2.3; RFC 4861, 7.2.6."""
    if ":" not in ip:
        return (BROADCAST + mac + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + mac + socket.inet_aton(ip) +
                bytes(6) + socket.inet_aton(ip)).ljust(60, b"\0")
    rest = b"\xa0\0\0\0" + ip6(ip) + b"\2\1" + mac
    pseudo = ip6(ip) + ip6("ff02::1") + struct.pack("!IHBB", 4 + len(rest), 0, 0, 58)
    message = struct.pack("!BBH", 136, 0, checksum(pseudo + bytes([136, 0, 0, 0]) + rest)) + rest
    return (ALL_NODES + mac + b"\x86\xdd\x60\0\0\0" + struct.pack("!HBB", len(message), 58, 255) + ip6(ip) +
            ip6("ff02::1") + message)


def ip6(addr):
    return socket.inet_pton(socket.AF_INET6, addr)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def nd(src, sender, kind=135, source="fe80::9", target="fe80::1", tags=b"", extension=b"", first=58):
    """RFC 4861: a message whose link-layer address option names `sender`. extension: headers before
    it, of which `first` is the kind of the first."""
    rest = ip6(target) if kind in (135, 136, 137) else b""
    rest = (b"\0\0\0\0" + rest).ljust(OFFSETS[kind], b"\0") + bytes([1 if kind < 136 else 2, 1]) + sender
    source, destination = ip6(source), ip6("ff02::1")
    pseudo = source + destination + struct.pack("!IHBB", 4 + len(rest), 0, 0, 58)
    message = struct.pack("!BBH", kind, 0, checksum(pseudo + bytes([kind, 0, 0, 0]) + rest)) + rest
    payload = extension + message
    return (ALL_NODES + src + tags + b"\x86\xdd\x60\0\0\0" + struct.pack("!HBB", len(payload), first, 255) +
            source + destination + payload)
