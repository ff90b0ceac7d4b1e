"""test_loops.py - real loops: two networks joined twice, by a bridge of the host's and by a client.

What goes round does so through the host's kernel. The storm must end by itself, at the client's end
and not the host's, and all others go on as before. Needs root; a namespace of its own.
"""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from harness import BROADCAST, Bridge, Daemon, Pair, drain, frame, mac, main, poll_until, taken
from netlab import Namespace, Station, require


class Loops(unittest.TestCase):
    def setUp(self):
        self.ns = self.enterContext(Namespace())
        self.d = self.enterContext(Daemon(prefix=self.ns.prefix))
        self.nets = {n: self.d.create(n, backend="veth") for n in ("one", "two")}
        self.ns.ip("link add br0 type bridge")
        for net in self.nets.values():
            self.ns.ip(f"link set {net['host']} master br0")
        self.ns.ip("link set br0 up")

    def station(self, network, address):
        return self.enterContext(Station(self.d.attach(network), address))

    def looped(self):
        return {(n, p["name"]) for n in self.nets for p in self.d.ports(n) if p.get("looped")}

    def test_two_networks_joined_twice(self):
        pairs = [Pair(self.d, n, first) for n, first in (("one", 0xFA00), ("two", 0xFB00))]
        for pair in pairs:
            self.addCleanup(pair.close)
        a, b = self.station("one", "10.0.0.1"), self.station("two", "10.0.0.2")
        self.assertTrue(a.ping("10.0.0.2"))  # by the host's bridge
        x, y = self.d.attach("one", name="x"), self.d.attach("two", name="y")
        self.addCleanup(x.close)
        self.addCleanup(y.close)
        with Bridge(x, y) as join:  # and now by a client, too
            a.send(frame(BROADCAST, a.mac, os.urandom(40)))
            poll_until("it is cut", self.looped, 20)
            join.quiet(20, noise=9)  # the kernel says something now and then
            cut = self.looped()
            self.assertLessEqual(cut, {("one", "x"), ("two", "y")})  # never the host side
            drain(*(end for pair in pairs for end in pair.ends))  # they heard the storm
            for pair in pairs:
                pair.check(rounds=20)
            # what is still joined by the host works
            b.neighbours.clear()
            a.neighbours.clear()
            self.assertTrue(b.ping("10.0.0.1"))
            self.assertTrue(a.ping("10.0.0.2"))
            join.quiet(20, noise=9)  # the kernel says something now and then
        self.assertIn("there is a loop behind it", self.d.log)
        self.assertNotIn("two machines have the address", self.d.log)
        # without the client it is tried again, and stays
        poll_until("it is tried again", lambda: not self.looped(), 20)
        c = self.d.attach("two", name="c")
        self.addCleanup(c.close)
        for n in range(100):
            f = frame(BROADCAST, mac(0xC), b"%d" % n)
            c.send(f)
            taken(c)
        self.assertEqual(self.looped(), set())

    def test_one_network_whose_host_side_is_joined_to_a_port(self):
        """A client takes what the bridge has and gives it to the network that the bridge is on."""
        a = self.station("one", "10.0.0.1")
        pair = Pair(self.d, "one")
        self.addCleanup(pair.close)
        x, y = self.d.attach("one", name="x"), self.d.attach("two", name="y")
        self.addCleanup(x.close)
        self.addCleanup(y.close)
        self.ns.ip("address add 10.0.0.9/24 dev br0")
        self.assertTrue(a.ping("10.0.0.9"))
        with Bridge(x, y) as join:
            self.assertFalse(self.ns.ping("10.0.0.77", seconds=1))  # the kernel asks all for nobody
            poll_until("it is cut", self.looped, 20)
            join.quiet(20, noise=9)  # the kernel says something now and then
            drain(*pair.ends)
            pair.check(rounds=20)
            a.neighbours.clear()
            self.assertTrue(a.ping("10.0.0.9"))
            self.assertLessEqual(self.looped(), {("one", "x"), ("two", "y")})


if __name__ == "__main__":
    require()
    main()
