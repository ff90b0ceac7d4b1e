"""test_offload.py - kernels hand over super-frames, and take them: at a veth, a tap, a port that is a tap.

Between two that take them nothing is cut; and what leaves for a client that knows whole frames only is whole,
with its checksums, as is all where FETHD_OFFLOAD=off. Needs root; namespaces of its own.
"""
import hashlib
import os
import pathlib
import socket
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from harness import Daemon, main, poll_until
from netlab import Namespace, Station, require

DATA = os.urandom(1 << 20) * 6
SHA = hashlib.sha256(DATA).hexdigest()
ADDRESSES = {socket.AF_INET: ("10.1.2.1", "10.1.2.2"), socket.AF_INET6: ("fd01::1", "fd01::2")}


def transfer(source, sink, family, to):
    """The digest of DATA as it arrives over TCP in another namespace."""
    with sink.entered():
        listener = socket.create_server((to, 5001), family=family)
    with source.entered():
        out = socket.socket(family, socket.SOCK_STREAM)
    with listener, out:
        out.settimeout(20)
        listener.settimeout(20)
        out.connect((to, 5001))
        got, digest = listener.accept()[0], hashlib.sha256()
        sender = threading.Thread(target=lambda: (out.sendall(DATA), out.shutdown(socket.SHUT_WR)))
        sender.start()
        got.settimeout(20)
        with got:
            while chunk := got.recv(1 << 18):
                digest.update(chunk)
        sender.join()
    return digest.hexdigest()


class Kernels(unittest.TestCase):
    ENV = {}

    def lab(self, backend, mtu):
        """The host side lives in a namespace, a tap port in another."""
        self.ns, self.box = self.enterContext(Namespace()), self.enterContext(Namespace())
        self.d = self.enterContext(Daemon(prefix=self.ns.prefix, env=self.ENV))
        self.host = self.d.create(backend=backend, mtu=mtu, addresses=["10.1.2.1/24", "fd01::1/64"])["host"]
        self.d.call("port.add", network="lab", kind="tap", name="box", ifname="eth0", netns=self.box.name)
        self.box.ip("addr add 10.1.2.2/24 dev eth0")
        self.box.ip("addr add fd01::2/64 dev eth0 nodad")
        poll_until("IPv6 works", lambda: self.ns.ping("fd01::2", seconds=1))

    def per_frame(self, before):
        """Bytes of a frame on the average, to and from the port."""
        now = self.d.stats("box")
        return [(now[f"{way}_bytes"] - before[f"{way}_bytes"]) / max(1, now[f"{way}_frames"] - before[f"{way}_frames"])
                for way in ("tx", "rx")]

    def both_ways(self, backend, mtu):
        self.lab(backend, mtu)
        for family, (host, box) in ADDRESSES.items():
            before = self.d.stats("box")
            self.assertEqual(transfer(self.ns, self.box, family, box), SHA)
            down = self.per_frame(before)[0]
            before = self.d.stats("box")
            self.assertEqual(transfer(self.box, self.ns, family, host), SHA)
            self.judge(mtu, down, self.per_frame(before)[1])
        for name in ("host", "box"):
            drops = self.d.stats(name)["drops"]
            self.assertEqual((drops["bad_offload"], drops["oversize"], drops["too_big_for_port"]), (0, 0, 0))

    def judge(self, mtu, down, up):
        self.assertGreater(down, 2 * mtu)
        self.assertGreater(up, 2 * mtu)

    def test_veth(self):
        self.both_ways("veth", 1500)

    def test_tap_of_another_mtu(self):
        self.both_ways("tap", 4000)


class Off(Kernels):
    """The same with nothing left to us."""
    ENV = {"FETHD_OFFLOAD": "off"}

    def judge(self, mtu, down, up):
        self.assertLessEqual(max(down, up), mtu + 14)


class Plain(Kernels):
    """A client without offloads sees frames as on a wire, whoever sends."""

    def test_veth(self):
        self.check("veth")

    def test_tap_of_another_mtu(self):
        self.check("tap")

    def check(self, backend):
        self.lab(backend, 1500)
        with Station(self.d.attach(), "10.1.2.7") as station:
            for ns in (self.ns, self.box):
                self.assertTrue(ns.ping("10.1.2.7", "-s", "1472"))
                with ns.entered():
                    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                taken = station.taken = []
                with s:
                    s.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
                    s.sendto(b"x" * 4500, ("10.1.2.7", 9))
                poll_until("all segments come", lambda taken=taken: len(udp(taken)) == 5)
                self.assertEqual([len(f) for f in udp(taken)], [1042] * 4 + [542])
                self.assertTrue(all(is_sound(f) for f in udp(taken)))


def udp(frames):
    return [f for f in frames if f[12:14] == b"\x08\x00" and f[23] == 17]


def is_sound(f):
    """The checksums of IPv4 and of UDP."""
    return total(f[14:34]) == 0xFFFF and total(f[26:34] + bytes([0, 17]) + f[38:40] + f[34:]) == 0xFFFF


def total(data):
    s = sum(int.from_bytes(data[i:i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return s


if __name__ == "__main__":
    require("ping")
    main()
