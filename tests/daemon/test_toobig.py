"""test_toobig.py - answers to packets that are too long: to whom, in which VLAN, and how many.

That kernels believe them is for netns/test_toobig.py, who is answered at all for unit/test_toobig.c.
"""
import os
import socket
import struct
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

IPV4, CTAG = 0x0800, 0x8100


def sum16(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(size, src="10.0.0.7", dst="10.9.9.9", to=2, sender=1):
    """A frame with an IPv4 packet of `size` bytes that may not be fragmented."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, 1, 0x4000, 64, 17, 0, socket.inet_aton(src), socket.inet_aton(dst))
    ip = ip[:10] + struct.pack("!H", sum16(ip)) + ip[12:]
    return h.frame(h.mac(to), h.mac(sender), ip, IPV4, 14 + size)


def tagged(f, vlan):
    return f[:12] + struct.pack("!HH", CTAG, vlan) + f[12:]


class TooBig(unittest.TestCase):
    def setUp(self):
        self.d = self.enterContext(h.Daemon())
        self.net = self.d.create("lab", backend=h.HOST_BACKEND, mtu=2000, too_big=True, multicast="flood",
                                 addresses=["10.0.0.1/24"])
        self.c = self.enterContext(self.d.control())

    def native(self, name, **params):
        return self.enterContext(self.d.attach(name=name, **params))

    def counts(self):
        return self.c.call("stats.get", network="lab")["network"]["too_big"]

    def check(self, answer, asked, mtu):
        """An answer to the frame `asked`, both without a tag."""
        self.assertEqual(answer[:6], asked[6:12])
        self.assertEqual(h.mac_text(answer[6:12]), self.net["mac"])
        ip = answer[14:]
        self.assertEqual((len(ip), sum16(ip[:20]), sum16(ip[20:])), (int.from_bytes(ip[2:4], "big"), 0, 0))
        self.assertEqual((ip[12:16], ip[16:20]), (socket.inet_aton("10.0.0.1"), asked[26:30]))
        self.assertEqual(ip[20:22] + ip[24:28], struct.pack("!BBHH", 3, 4, 0, mtu))
        self.assertEqual(ip[28:], asked[14 : 14 + len(ip) - 28])

    def test_both_kinds_of_ports_are_told_of_the_networks_mtu(self):
        a, q = self.native("a"), self.enterContext(self.d.qemu())
        for c, sender in ((a, 1), (q, 3)):
            f = packet(2001, sender=sender)
            c.send(f)
            self.check(c.recv(IPV4), f, 2000)
        self.assertEqual(self.counts(), {"answered": 2, "limited": 0})
        self.assertEqual(self.d.stats("a")["drops"], {"oversize": 1})

    def test_the_cap_of_a_port_counts_from_it_and_to_it(self):
        a, b = self.native("a"), self.native("b", cap=1018)
        b.send(packet(100, to=1, sender=2))
        a.recv(IPV4)
        for size in (1001, 2000):
            f = packet(size)
            a.send(f)
            self.check(a.recv(IPV4), f, 1000)
        f = packet(1500, to=1, sender=2)
        b.send(f)
        self.check(b.recv(IPV4), f, 1000)
        f = packet(1000)
        a.send(f)
        self.assertEqual(b.recv(IPV4), f)
        self.assertEqual(self.d.stats("b")["drops"], {"too_big_for_port": 2, "oversize": 1})

    def test_a_flood_is_not_answered(self):
        """Who it is for may be behind another port, where it fits."""
        a, b, other = self.native("a"), self.native("b", cap=1018), self.native("other")
        f = packet(1500)
        a.send(f)
        self.assertEqual(other.recv(IPV4), f)
        self.assertTrue(a.silent(ethertype=IPV4))
        b.silent(0)
        self.assertEqual(self.counts(), {"answered": 0, "limited": 0})

    def test_the_answer_is_in_the_form_that_its_port_has(self):
        access = self.native("access", vlan=10)
        trunk = self.native("trunk", vlan={"native": 20, "tagged": [10]})
        small = self.native("small", vlan={"tagged": [10]}, cap=1018)
        small.send(tagged(packet(100, to=1, sender=2), 10))  # is known
        access.recv(IPV4)
        trunk.recv(CTAG)
        f = packet(1500)
        access.send(f)  # left with a tag, and was too long then
        self.check(access.recv(None), f, 1000)
        f = packet(1500, sender=3)
        trunk.send(tagged(f, 10))
        answer = trunk.recv(None)
        self.assertEqual(answer[12:16], struct.pack("!HH", CTAG, 10))
        self.check(answer[:12] + answer[16:], f, 1000)
        f = packet(2001, sender=3)
        trunk.send(f)
        self.check(trunk.recv(None), f, 2000)
        access.send(tagged(packet(2001), 20))  # that it may not send, so nothing comes back
        trunk.send(tagged(packet(2001, sender=3), 30))
        small.send(packet(1500, sender=2))
        for name in ("access", "trunk", "small"):
            h.poll_until("it is counted", lambda n=name: self.d.stats(n)["drops"].get("oversize"))
        self.assertEqual(self.counts(), {"answered": 3, "limited": 0})
        self.assertTrue(access.silent(ethertype=None))

    def test_many_are_answered_some(self):
        a = self.native("a")
        for _ in range(100):
            a.send(*[packet(2001, sender=1)] * 100)
        h.poll_until("all are counted", lambda: self.d.stats("a")["drops"] == {"oversize": 10000})
        counts = self.counts()
        self.assertEqual(counts["answered"] + counts["limited"], 10000)
        self.assertGreaterEqual(counts["answered"], 8)  # of one batch
        self.assertLess(counts["answered"], 5000)
        for _ in range(counts["answered"]):
            self.check(a.recv(IPV4), packet(2001, sender=1), 2000)

    def test_who_is_not_set_to_or_has_no_address_says_nothing(self):
        a = self.native("a")
        for change in ({"too_big": False}, {"too_big": True, "addresses": []}):
            shown = self.c.call("network.set", network="lab", **change)
            self.assertIs(shown["too_big"], change["too_big"])
            a.send(packet(2001))
            self.assertTrue(a.silent(ethertype=IPV4))
        self.d.ctl("set", "lab", "--too-big", "off", check=True)
        self.assertIs(self.c.call("network.show", network="lab")["too_big"], False)
        self.assertNotEqual(self.d.ctl("set", "lab", "--too-big", "maybe").returncode, 0)
        self.d.create("alone", backend="none", too_big=True)
        with self.d.attach("alone") as b:
            b.send(packet(2001))
            self.assertTrue(b.silent(ethertype=IPV4))


if __name__ == "__main__":
    h.main()
