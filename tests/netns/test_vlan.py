"""test_vlan.py - VLANs and the host side: what leaves the host member with a tag, as it does from its
feth101.10, reaches the clients of that VLAN without one, and back.

The host's end in a VLAN is a station behind a packet socket on the host member, as the kernel's VLAN
interfaces are behind it, and those interfaces themselves where the kernel has them (8021q); a guest's
kernel has them in guest/test_vlan.py. Needs root; a namespace of its own.
"""
import pathlib
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from harness import BROADCAST, Daemon, frame, mac, mac_text, main, poll_until
from netlab import ARP, CTAG, Namespace, Station, Tap, frame_type, require


def has_8021q():
    with Namespace() as probe:
        try:
            probe.ip("link add a type veth peer name b")
            probe.ip("link add link a name a.10 type vlan id 10")
        except AssertionError:
            return False
    return True


class InVlan:
    """What Station takes for a client: the host member, in one VLAN."""

    def __init__(self, tap, vlan, address):
        self.tap, self.sock, self.frames = tap, tap.sock, []
        self.tag = struct.pack("!HH", CTAG, vlan)
        self.info = {"mac": mac_text(address)}

    def send(self, *frames):
        for f in frames:
            self.tap.send(f[:12] + self.tag + f[12:])

    def read(self):
        for f, out in self.tap.drain():
            if not out and f[12:16] == self.tag:
                self.frames.append(f[:12] + f[16:])

    def close(self):
        self.tap.close()


class Base(unittest.TestCase):
    def setUp(self):
        self.ns = self.enterContext(Namespace())
        self.d = self.enterContext(Daemon(prefix=self.ns.prefix))
        self.net = self.d.create("lab", backend="veth", addresses=["10.1.0.1/24"])
        self.host = self.net["host"]

    def station(self, address, **params):
        s = self.enterContext(Station(self.d.attach(**params), address))
        s.taken = []
        return s


class Frames(Base):
    def behind_host(self, vlan):
        """10.VLAN.0.1, a station with an address of its own on the host's side."""
        return self.enterContext(
            Station(InVlan(Tap(self.ns, self.host), vlan, mac(0xA00 + vlan)), f"10.{vlan}.0.1"))

    def test_each_vlan_reaches_its_clients(self):
        at_ten, at_twenty = self.behind_host(10), self.behind_host(20)
        plain = self.station("10.1.0.2")
        ten, twenty = self.station("10.10.0.2", vlan=10), self.station("10.20.0.2", vlan=20)
        for size in (56, 1472):  # as much as fits
            self.assertTrue(self.ns.ping("10.1.0.2", "-s", str(size), "-M", "do"))
            for here, there, n in ((at_ten, ten, 10), (at_twenty, twenty, 20)):
                self.assertTrue(here.ping(f"10.{n}.0.2", size), (n, size))
                self.assertTrue(there.ping(f"10.{n}.0.1", size), (n, size))
        for s, n in ((ten, 10), (twenty, 20)):  # nothing of another VLAN, and nothing with a tag
            self.assertFalse([f for f in s.taken if frame_type(f) == CTAG])
            self.assertEqual({f[29] for f in s.taken if frame_type(f) == ARP}, {n})
        self.assertTrue([f for f in plain.taken if frame_type(f) == CTAG])

    def test_vlans_do_not_meet(self):
        at_ten = self.behind_host(10)
        ten, other = self.station("10.10.0.2", vlan=10), self.station("10.10.0.3", vlan=20)
        mate = self.station("10.10.0.4", vlan=10)
        self.assertTrue(ten.ping("10.10.0.4"))
        self.assertTrue(mate.ping("10.10.0.1"))
        self.assertFalse(ten.ping("10.10.0.3", seconds=1))
        self.assertFalse(at_ten.ping("10.10.0.3", seconds=1))
        self.assertFalse(self.ns.ping("10.10.0.3", seconds=1))
        self.d.call("port.set", network="lab", name=other.client.info["name"], vlan=10)
        self.assertTrue(at_ten.ping("10.10.0.3"))
        self.assertTrue(other.ping("10.10.0.2"))

    def test_clients_keep_their_vlan_when_the_pair_is_made_anew(self):
        ten = self.station("10.10.0.2", vlan=10)
        self.ns.ip(f"link del {self.host}")
        poll_until("it is made anew", lambda: "made anew" in self.d.log and self.ns.link(self.host))
        at_ten = self.behind_host(10)
        self.assertTrue(ten.ping("10.10.0.1"))
        self.assertTrue(at_ten.ping("10.10.0.2"))


class Kernel(Base):
    """The kernel's own VLAN interfaces."""

    def setUp(self):
        if not has_8021q():
            self.skipTest("this kernel has no VLAN interfaces (8021q)")
        super().setUp()

    def vlan(self, number):
        name = f"{self.host}.{number}"
        self.ns.ip(f"link add link {self.host} name {name} type vlan id {number} egress 0:5")
        self.ns.ip(f"addr add 10.{number}.0.1/24 dev {name}")
        self.ns.ip(f"link set {name} up")
        return name

    def test_an_interface_of_the_host_in_a_vlan(self):
        name = self.vlan(10)
        ten = self.station("10.10.0.2", vlan=10)
        for size in (56, 1472):
            self.assertTrue(self.ns.ping("10.10.0.2", "-s", str(size), "-M", "do"))
            self.assertTrue(ten.ping("10.10.0.1", size))
        with self.d.attach(vlan={"native": 7, "tagged": [[10, 19]]}) as trunk, Tap(self.ns, name) as there:
            f = frame(BROADCAST, mac(0xA1), b"there", size=1514)
            there.send(f)
            self.assertEqual(trunk.recv(CTAG), f[:12] + struct.pack("!HH", CTAG, 5 << 13 | 10) + f[12:])
            f = frame(BROADCAST, mac(0xA2), b"back", size=1514)
            trunk.send(f[:12] + struct.pack("!HH", CTAG, 10) + f[12:])
            self.assertEqual(there.recv(), f)


if __name__ == "__main__":
    require("ping")
    main()
