"""dhcpclient.py - the smallest DHCP client and DNS asker, on any client that sends and gets frames.

Written by RFC 2131, 2132 and 1035; shares no code with dnsmasq. Frames go out through `send`, and come in
through `recv(ethertype, seconds)`, as harness.Native has them.
"""
import os
import socket
import struct
import time

from harness import BROADCAST

DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6
IPV4, ARP = 0x0800, 0x0806


def _sum16(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_packet(src, dst, proto, body):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64, proto, 0,
                       socket.inet_aton(src), socket.inet_aton(dst))
    return head[:10] + struct.pack("!H", _sum16(head)) + head[12:] + body


def udp(src, sport, dst, dport, body):
    return ip_packet(src, dst, 17, struct.pack("!HHHH", sport, dport, 8 + len(body), 0) + body)


class Host:
    """A station that asks for its address."""

    def __init__(self, client, name=None):
        self.client, self.name = client, name
        self.mac = bytes.fromhex(client.info["mac"].replace(":", ""))
        self.ip, self.options, self.server_mac = None, {}, None

    def _dhcp(self, kind, xid, **options):
        head = struct.pack("!BBBBIHHIIII16s64s128s", 1, 1, 6, 0, xid, 0, 0x8000, 0, 0, 0, 0,
                           self.mac, b"", b"")
        opts = b"\x63\x82\x53\x63" + bytes((53, 1, kind)) + bytes((55, 4, 1, 3, 6, 51))
        if self.name:
            opts += bytes((12, len(self.name))) + self.name.encode()
        for code, value in options.items():
            value = socket.inet_aton(value)
            opts += bytes((int(code[1:]), len(value))) + value
        packet = udp("0.0.0.0", 68, "255.255.255.255", 67, head + opts + b"\xff")
        self.client.send(BROADCAST + self.mac + struct.pack("!H", IPV4) + packet)

    def _answer(self, xid, end):
        """(kind, address, options, from which MAC) of the next answer to us."""
        while True:
            f = self.client.recv(IPV4, max(end - time.monotonic(), 0.001))
            if f[23] != 17 or f[34:38] != struct.pack("!HH", 67, 68):
                continue
            body = f[42:]
            if body[4:8] != struct.pack("!I", xid) or body[28:34] != self.mac:
                continue
            options, at = {}, 240
            while body[at] != 255:
                options[body[at]] = body[at + 2 : at + 2 + body[at + 1]]
                at += 2 + body[at + 1]
            return options[53][0], socket.inet_ntoa(body[16:20]), options, f[6:12]

    def lease(self, seconds=20):
        """DISCOVER to ACK, asked again every second as clients do; the address."""
        end = time.monotonic() + seconds
        while True:
            xid = int.from_bytes(os.urandom(4), "big")
            self._dhcp(DISCOVER, xid)
            try:
                kind, address, options, _ = self._answer(xid, min(end, time.monotonic() + 4))
                if kind != OFFER:
                    continue
                self._dhcp(REQUEST, xid, _50=address, _54=socket.inet_ntoa(options[54]))
                while kind == OFFER:
                    kind, address, options, server = self._answer(xid, end)
            except (TimeoutError, socket.timeout):
                if time.monotonic() > end:
                    raise
                continue
            if kind == ACK:
                self.ip, self.options, self.server_mac = address, options, server
                return address

    def option(self, code):
        """An option of addresses, as text; None: it was not given."""
        value = self.options.get(code)
        return value and socket.inet_ntoa(value)

    def resolve(self, name, seconds=20):
        """The first IPv4 address of a name, by the server that DHCP named; None: there is none."""
        server = self.option(6)
        question = b"".join(bytes((len(p),)) + p.encode() for p in name.split(".")) + b"\0\0\1\0\1"
        end = time.monotonic() + seconds
        while True:
            number = os.urandom(2)
            packet = udp(self.ip, 5353, server, 53, number + struct.pack("!HHHHH", 0x100, 1, 0, 0, 0) + question)
            self.client.send(self.server_mac + self.mac + struct.pack("!H", IPV4) + packet)
            try:
                body = self._udp_from(53, min(end, time.monotonic() + 2))
            except (TimeoutError, socket.timeout):
                if time.monotonic() > end:
                    raise
                continue
            if body[:2] != number:
                continue
            answers = struct.unpack("!H", body[6:8])[0]
            if not answers:
                return None
            return socket.inet_ntoa(body[12 + len(question) :][12:16])

    def _udp_from(self, port, end):
        """The body of the next datagram; ARP for us is answered meanwhile."""
        while True:
            f = self.client.recv(None, max(end - time.monotonic(), 0.001))
            if self._is_arp(f):
                continue
            if f[12:14] == b"\x08\0" and f[23] == 17 and f[34:36] == struct.pack("!H", port):
                return f[42:]

    def _is_arp(self, f):
        if f[12:14] != struct.pack("!H", ARP):
            return False
        op, src_mac, src, _, dst = struct.unpack("!6xH6s4s6s4s", f[14:42])
        if op == 1 and self.ip and dst == socket.inet_aton(self.ip):
            body = struct.pack("!HHBBH6s4s6s4s", 1, IPV4, 6, 4, 2, self.mac, dst, src_mac, src)
            self.client.send(src_mac + self.mac + struct.pack("!H", ARP) + body)
        return True

    def ping(self, dst, seconds=5):
        """Whether dst answers a ping that is sent to the server's MAC, as the gateway."""
        ident = os.urandom(4)
        echo = struct.pack("!BBH", 8, 0, 0) + ident + b"ping"
        echo = echo[:2] + struct.pack("!H", _sum16(echo)) + echo[4:]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.client.send(self.server_mac + self.mac + struct.pack("!H", IPV4) +
                             ip_packet(self.ip, dst, 1, echo))
            try:
                stop = min(end, time.monotonic() + 1)
                while True:
                    f = self.client.recv(None, max(stop - time.monotonic(), 0.001))
                    if not self._is_arp(f) and f[12:14] == b"\x08\0" and f[23] == 1 and f[34] == 0 and \
                            f[38:42] == ident and f[26:30] == socket.inet_aton(dst):
                        return True
            except (TimeoutError, socket.timeout):
                continue
        return False

    def hears_ping(self, seconds):
        """Whether somebody's echo request comes to us within this time."""
        end = time.monotonic() + seconds
        try:
            while True:
                f = self.client.recv(None, max(end - time.monotonic(), 0.001))
                if not self._is_arp(f) and f[12:14] == b"\x08\0" and f[23] == 1 and f[34] == 8:
                    return True
        except (TimeoutError, socket.timeout):
            return False
