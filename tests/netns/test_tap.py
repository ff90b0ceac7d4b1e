"""test_tap.py - a tap interface as the host side of a network.

Needs root; namespaces of its own.
"""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from harness import BROADCAST, Daemon, RpcError, frame, mac, main, poll_until
from netlab import CTAG, Namespace, Station, Tap, require

PARAMS = {"mtu": 1400, "mac": "02:aa:00:00:00:01", "addresses": ["10.1.2.1/24", "fd01::1/64"]}


class Backend(unittest.TestCase):
    def setUp(self):
        self.ns = self.enterContext(Namespace())
        self.d = self.enterContext(Daemon(prefix=self.ns.prefix))

    def create(self, network="lab", **params):
        return self.d.create(network, backend="tap", **{**PARAMS, **params})

    def station(self, address="10.1.2.7"):
        return self.enterContext(Station(self.d.attach(), address))

    def assert_as_declared(self, net):
        link = self.ns.link(net["host"])
        self.assertEqual((link["mtu"], link["address"], link["ifalias"]),
                         (net["mtu"], net["mac"], f"fethd:{self.d.run_dir}:lab"))
        self.assertEqual(self.ns.addresses(net["host"]), set(net["addresses"]))

    def test_it_is_one_interface_as_declared_and_carries_frames_both_ways(self):
        net = self.create()
        self.assertEqual(set(self.ns.links()), {net["host"]})
        self.assertNotIn("service", net)
        self.assertTrue(net["carrier"])
        self.assert_as_declared(net)
        station = self.station()
        self.assertTrue(station.ping("10.1.2.1", size=1372))
        self.assertTrue(self.ns.ping("10.1.2.7", "-s", "1372"))
        self.assertEqual(self.d.stats("host")["drops"], {})

    def test_frames_keep_their_tags_and_every_length(self):
        net = self.create(mtu=65521)
        with self.d.attach() as c, Tap(self.ns, net["host"]) as tap:
            for size in (60, 1514, 9014, 65535):
                for tag in (b"", bytes([0x81, 0, 0, 7])):
                    f = frame(BROADCAST, mac(0xA2), size=size)
                    f = f[:12] + tag + f[12:]
                    c.send(f)
                    self.assertEqual(tap.recv(), f)
                    f = f[:6] + mac(0xA1) + f[12:]
                    tap.send(f)
                    got = c.recv(ethertype=CTAG if tag else int.from_bytes(f[12:14], "big"))
                    self.assertEqual(got, f)

    def test_a_change_is_the_kernels_and_one_it_refuses_changes_nothing(self):
        net = self.create()
        changed = self.d.call("network.set", network="lab", mtu=9000, mac="02:aa:00:00:00:02",
                              addresses=["10.1.2.9/24"])
        self.assert_as_declared({**net, **changed})
        self.assertFalse(self.d.call("network.set", network="lab", up=False)["carrier"])
        self.assertTrue(self.d.call("network.set", network="lab", up=True)["carrier"])
        self.ns.ip(f"link set {net['host']} alias foreign")
        with self.assertRaises(RpcError) as e:
            self.d.call("network.set", network="lab", mtu=1500)
        self.assertIn("not ours", str(e.exception))
        self.assertEqual(self.ns.link(net["host"])["mtu"], 9000)
        self.assertEqual(self.d.call("network.show", network="lab")["mtu"], 9000)

    def test_one_that_was_deleted_is_made_again_and_clients_stay(self):
        net = self.create()
        station = self.station()
        for _ in range(3):
            index = self.ns.link(net["host"])["ifindex"]
            self.ns.ip(f"link del {net['host']}")
            poll_until("it is there again",
                       lambda index=index: (self.ns.link(net["host"]) or {}).get("ifindex", index) != index)
            poll_until("frames pass again", lambda: station.ping("10.1.2.1", seconds=1))
        self.assert_as_declared(net)

    def test_one_that_was_moved_works_where_it_is(self):
        net = self.create()
        station = self.station()
        with Namespace() as box:
            self.ns.ip(f"link set {net['host']} netns {box.name}")
            box.ip(f"addr add 10.1.2.1/24 dev {net['host']}")
            box.ip(f"link set {net['host']} up")
            self.assertTrue(station.ping("10.1.2.1"))
            self.assertTrue(self.d.call("network.show", network="lab")["carrier"])
            self.d.call("network.delete", network="lab")
            self.assertEqual((self.ns.links(), box.links()), ({}, {}))

    def test_a_foreign_interface_is_left_alone(self):
        net = self.create()
        self.d.call("network.delete", network="lab")
        self.assertEqual(self.ns.links(), {})
        for kind in (f"link add {net['host']} type veth peer name other", f"tuntap add {net['host']} mode tap"):
            self.ns.ip(kind)
            index = self.ns.link(net["host"])["ifindex"]
            again = self.create()
            self.assertNotEqual(again["host"], net["host"])
            with self.assertRaises(RpcError) as e:
                self.create("two", mac=None, addresses=None, unit=net["unit"])
            self.assertIn("is taken", str(e.exception))
            self.d.call("network.delete", network="lab")
            self.assertEqual(self.ns.link(net["host"])["ifindex"], index)
            self.ns.ip(f"link del {net['host']}")

    def test_nothing_is_left_by_an_end_or_a_crash(self):
        self.create()
        self.assertEqual(self.d.stop(), 0)
        self.assertEqual(self.ns.links(), {})
        self.d.start()
        net = self.create()
        self.d.kill()
        poll_until("it went with the daemon", lambda: not self.ns.links())
        self.d.start()
        self.assertEqual(self.create()["host"], net["host"])


if __name__ == "__main__":
    require("ping")
    main()
