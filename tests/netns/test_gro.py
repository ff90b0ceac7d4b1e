"""test_gro.py - what a plain client sends in segments, and the host's own TCP and UDP get in super-frames.

The client's TCP is a few lines here; the other end is the kernel's. Needs root; namespaces of its own.
"""
import os
import pathlib
import socket
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from harness import Daemon, main, poll_until
from netlab import Namespace, VnetTap, require
from offload import ACK, PSH, SYN, TCP, UDP, Parts, packet, put, with_sums

MAC = "02:00:00:00:00:07"
SIZE = 1400


class Peer:
    """One connection of a plain client to the host."""

    def __init__(self, client, host_mac, v6):
        self.client, self.v6 = client, v6
        self.dst, self.src = bytes.fromhex(host_mac.replace(":", "")), bytes.fromhex(MAC.replace(":", ""))
        self.seq, self.ack, self.ident = 0xFFFF0000, 0, 1
        self.ports = (40000, 5001)

    def segment(self, data=b"", flags=ACK):
        f = packet(self.dst, self.src, TCP, data, v6=self.v6, ident=self.ident & 0xFFFF, seq=self.seq, flags=flags,
                   ports=self.ports)
        f = with_sums(put(f, Parts(f).l4 + 8, "!I", self.ack))
        self.seq = self.seq + len(data) + (1 if flags & SYN else 0) & 0xFFFFFFFF
        self.ident += 1
        return f

    def connect(self):
        self.client.send(self.segment(flags=SYN))
        while True:
            f = self.client.recv(0x86DD if self.v6 else 0x0800)
            at = Parts(f).l4
            if Parts(f).protocol == TCP and f[at + 13] == SYN | ACK:
                break
        self.ack = int.from_bytes(f[at + 4 : at + 8], "big") + 1 & 0xFFFFFFFF
        self.client.send(self.segment())

    def segments(self, data):
        pieces = [data[at : at + SIZE] for at in range(0, len(data), SIZE)]
        return [self.segment(p, ACK | (PSH if p is pieces[-1] else 0)) for p in pieces]


class Gro(unittest.TestCase):
    def setUp(self):
        self.ns = self.enterContext(Namespace())
        self.d = self.enterContext(Daemon(prefix=self.ns.prefix))

    def start(self, backend, v6):
        net = self.d.create(backend=backend, addresses=[])
        self.net = net
        peer = Peer(self.enterContext(self.d.attach(mac=MAC)), net["mac"], v6)
        mine, its = self.addresses(peer)
        self.ns.ip(f"address add {mine}/{64 if v6 else 8} dev {net['host']}" + (" nodad" if v6 else ""))
        self.ns.ip(f"neigh replace {its} lladdr {MAC} dev {net['host']} nud permanent")
        self.address = mine
        self.tap = self.enterContext(VnetTap(self.ns, net["host"]))
        return peer

    def addresses(self, peer):
        """As packet() makes them: the host's, the client's."""
        f = peer.segment(flags=SYN)
        peer.seq -= 1
        at, n = (22, 16) if peer.v6 else (26, 4)
        family = socket.AF_INET6 if peer.v6 else socket.AF_INET
        return socket.inet_ntop(family, f[at + n : at + 2 * n]), socket.inet_ntop(family, f[at : at + n])

    def accepted(self, peer):
        family = socket.AF_INET6 if peer.v6 else socket.AF_INET
        with self.ns.entered():
            listener = self.enterContext(socket.socket(family))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.settimeout(10)
        listener.bind((self.address, peer.ports[1]))
        listener.listen()
        peer.connect()
        conn = self.enterContext(listener.accept()[0])
        conn.settimeout(10)
        return conn

    def super_frames(self, protocol):
        """How many came to the host since the last time, and the segments in them."""
        n = segments = 0
        for header, f, out in self.tap.drain_vnet():
            if not out and Parts(f).protocol == protocol and header[1]:
                n += 1
                size = int.from_bytes(header[4:6], "little")
                segments += -(-(len(f) - Parts(f).payload) // size)
        return n, segments

    def csum_errors(self):
        lines = [line.split() for line in self.ns.run("cat", "/proc/net/snmp").stdout.splitlines()
                 if line.startswith("Tcp:")]
        return int(dict(zip(*lines))["InCsumErrors"])

    def read(self, conn, n):
        got = b""
        while len(got) < n:
            part = conn.recv(n - len(got))
            self.assertTrue(part, "closed early")
            got += part
        return got

    def tcp(self, backend, v6):
        peer = self.start(backend, v6)
        conn = self.accepted(peer)
        self.super_frames(TCP)
        for _ in range(8):  # no more than the first window at once
            data = os.urandom(32 * SIZE + 7)
            peer.client.send(*peer.segments(data))
            self.assertEqual(self.read(conn, len(data)), data)
        n, segments = self.super_frames(TCP)
        self.assertGreater(n, 0)
        self.assertGreaterEqual(segments, 8 * 33 // 2, f"{n} super-frames")

        # a broken one is refused by the kernel, and by it alone
        before = self.csum_errors()
        data = os.urandom(20 * SIZE)
        frames = peer.segments(data)
        broken = frames[9][:500] + bytes([frames[9][500] ^ 1]) + frames[9][501:]
        peer.client.send(*frames[:9], broken, *frames[10:])
        self.assertEqual(self.read(conn, 9 * SIZE), data[: 9 * SIZE])
        poll_until("the kernel has counted it", lambda: self.csum_errors() == before + 1)
        peer.client.send(frames[9])
        self.assertEqual(self.read(conn, 11 * SIZE), data[9 * SIZE :])

    def udp(self, backend, v6):
        peer = self.start(backend, v6)
        with self.ns.entered():
            sock = self.enterContext(socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM))
        sock.settimeout(10)
        sock.bind((self.address, peer.ports[1]))
        sent = [os.urandom(n) for n in [1200] * 30 + [77] + [1200] * 5]
        peer.client.send(*[packet(peer.dst, peer.src, UDP, data, v6=v6, ident=i, ports=peer.ports)
                           for i, data in enumerate(sent)])
        self.assertEqual([sock.recv(2000) for _ in sent], sent)

    def test_tcp_over_a_veth(self):
        self.tcp("veth", False)

    def test_tcp_over_a_tap(self):
        self.tcp("tap", False)

    def test_tcp_of_ipv6_over_a_veth(self):
        self.tcp("veth", True)

    def test_tcp_of_ipv6_over_a_tap(self):
        self.tcp("tap", True)

    def test_a_socket_gets_each_datagram(self):
        self.udp("veth", False)

    def test_a_socket_gets_each_datagram_of_ipv6(self):
        self.udp("tap", True)


if __name__ == "__main__":
    require()
    main()
