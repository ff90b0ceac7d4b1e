"""test_tap.py - a tap interface as the host side of a network, and as a port of one.

Needs root; namespaces of its own.
"""
import contextlib
import pathlib
import random
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from harness import BROADCAST, Daemon, RpcError, frame, mac, main, poll_until
from netlab import CTAG, Namespace, Station, Tap, VnetTap, require
from still import WAITS, standing_still, threads

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


class Port(unittest.TestCase):
    """The kernel of another namespace, or of the daemon's own, as a client."""

    def setUp(self):
        self.ns = self.enterContext(Namespace())
        self.box = self.enterContext(Namespace())
        self.d = self.enterContext(Daemon(prefix=self.ns.prefix))
        self.net = self.d.create(backend="veth", addresses=["10.1.2.1/24"], mtu=1400)

    def add(self, name="box", **params):
        return self.d.call("port.add", network="lab", kind="tap", name=name,
                           **{"ifname": "eth0", "netns": self.box.name, **params})

    def address(self, address="10.1.2.5/24", dev="eth0"):
        self.box.ip(f"addr add {address} dev {dev}")

    def made(self, box=None, name="eth0"):
        return (box or self.box).link(name)

    def state(self, name="box"):
        return self.d.port(name)["state"]

    def test_a_whole_namespace_is_a_port_until_that_is_removed(self):
        port = self.add()
        self.assertEqual((port["kind"], port["state"], port["ifname"], port["netns"]),
                         ("tap", "attached", "eth0", self.box.name))
        self.assertTrue({"path", "uid", "pid"}.isdisjoint(port))
        link = self.made()
        self.assertEqual((link["address"], link["mtu"], link["ifalias"]),
                         (port["mac"], 1400, f"fethd:{self.d.run_dir}:lab:box"))
        self.address()
        self.assertTrue(self.ns.ping("10.1.2.5", "-s", "1372"))
        self.assertTrue(self.box.ping("10.1.2.1", "-s", "1372"))
        with Station(self.d.attach(), "10.1.2.7") as station:
            self.assertTrue(station.ping("10.1.2.5"))
        stats = self.d.stats("box")
        self.assertTrue(stats["rx_frames"] and stats["tx_frames"], stats)
        self.d.call("port.remove", network="lab", name="box")
        self.assertIsNone(self.made())
        self.assertIsNone(self.d.port("box"))
        self.assertEqual(set(self.ns.links()), {self.net["host"], self.net["service"]})

    def test_it_can_be_anywhere_and_is_told_by_a_path_as_well(self):
        self.add("here", ifname="here0", netns=None)
        self.add("path", ifname="path0", netns=f"/run/netns/{self.box.name}", mac="02:00:00:00:00:05", locked=True)
        self.assertIn("here0", self.ns.links())
        self.assertEqual(self.made(name="path0")["address"], "02:00:00:00:00:05")
        self.address(dev="path0")
        self.assertTrue(self.box.ping("10.1.2.1"))
        self.box.ip("link set path0 address 02:00:00:00:00:06")
        self.assertFalse(self.box.ping("10.1.2.1", seconds=1))
        self.assertTrue(self.d.stats("path")["drops"]["spoofed"])

    def test_where_it_is_is_known_before_it_sends(self):
        self.box.sysctl("ipv6/conf/default/disable_ipv6", 1)
        port = self.add()
        self.assertIn((port["mac"], "box"), [(a["mac"], a["name"]) for a in self.d.call("fdb.list", network="lab")["items"]])
        self.assertEqual(self.d.stats("box")["rx_frames"], 0)

    def test_its_mtu_is_the_networks(self):
        self.add()
        for mtu in (9000, 1300):
            self.d.call("network.set", network="lab", mtu=mtu)
            self.assertEqual(self.made()["mtu"], mtu)

    def test_what_cannot_be_made_is_not_declared(self):
        self.box.ip("link add taken type veth peer name other")
        self.box.ip("tuntap add tuntap0 mode tap")
        for params, why in (({"ifname": "taken"}, "already"), ({"ifname": "tuntap0"}, "already"),
                            ({"netns": "fethd-nosuch"}, "/run/netns/fethd-nosuch"),
                            ({"netns": "/dev/null"}, "no network namespace"),
                            ({"netns": "/proc/self/ns/mnt"}, "no network namespace")):
            with self.subTest(**params), self.assertRaises(RpcError) as e:
                self.add(**params)
            self.assertIn(why, str(e.exception))
            self.assertIsNone(self.d.port("box"))
        self.assertEqual(set(self.box.links()), {"taken", "other", "tuntap0"})
        self.add(ifname="fine")

    def test_one_that_was_deleted_is_made_again_as_is_its_namespace(self):
        port = self.add()
        index = self.made()["ifindex"]
        self.box.ip("link del eth0")
        poll_until("it is there again", lambda: (self.made() or {"ifindex": index})["ifindex"] != index)
        poll_until("it is a port", lambda: self.state() == "attached")
        self.assertEqual(self.made()["address"], port["mac"])
        subprocess.run(["ip", "netns", "del", self.box.name], check=True)
        poll_until("its port waits", lambda: self.state() == "waiting")
        subprocess.run(["ip", "netns", "add", self.box.name], check=True)
        poll_until("it is there again", self.made)
        poll_until("it is a port", lambda: self.state() == "attached")
        self.address()
        self.assertTrue(self.box.ping("10.1.2.1"))

    def test_a_network_that_goes_takes_it_along_and_so_does_a_crash(self):
        self.add()
        self.d.call("network.delete", network="lab")
        self.assertIsNone(self.made())
        self.d.create(backend="none")
        self.add()
        self.d.kill()
        poll_until("it went with the daemon", lambda: not self.made())

    def test_it_is_kept_in_a_file_and_waits_for_its_namespace(self):
        self.add()
        self.d.call("network.set", network="lab", save=True)
        self.assertEqual(self.d.stop(), 0)
        self.assertIsNone(self.made())
        subprocess.run(["ip", "netns", "del", self.box.name], check=True)
        self.d.start()
        self.assertEqual(self.state(), "waiting")
        self.assertTrue(self.ns.link(self.net["host"]))
        subprocess.run(["ip", "netns", "add", self.box.name], check=True)
        poll_until("it is there", self.made)
        self.address()
        poll_until("it is a port", lambda: self.state() == "attached")
        self.assertTrue(self.box.ping("10.1.2.1"))

    def test_applied_again_it_stays_and_elsewhere_it_is_made_anew(self):
        def ports(**params):
            port = {"name": "box", "kind": "tap", "ifname": "eth0", "netns": self.box.name, **params}
            return {"network": "lab", "backend": "veth", "addresses": ["10.1.2.1/24"], "mtu": 1400, "ports": [port]}

        self.assertEqual(self.d.call("network.apply", **ports())["ports"]["added"], ["box"])
        index = self.made()["ifindex"]
        done = self.d.call("network.apply", **ports())
        self.assertEqual((done["ports"]["added"], done["changed"]), ([], []))
        with self.assertRaises(RpcError) as e:
            self.d.call("network.apply", **ports(ifname="eth1"))
        self.assertIn("replace", str(e.exception))
        self.assertEqual(self.made()["ifindex"], index)
        self.d.call("network.apply", replace=True, **ports(ifname="eth1"))
        poll_until("the other is there", lambda: set(self.box.links()) == {"eth1"})
        self.d.call("network.apply", **{**ports(), "ports": []})
        self.assertEqual(self.box.links(), {})

    @unittest.skipUnless(WAITS, "knows this machine's calls by number")
    def test_declared_elsewhere_it_does_not_get_what_was_made_where_it_was(self):
        def ports(netns):
            port = {"name": "box", "kind": "tap", "ifname": "eth0", "netns": netns}
            return {"network": "two", "backend": "none", "ports": [port]}

        other = self.enterContext(Namespace())
        before = threads(self.d)
        self.d.call("network.apply", **ports(self.box.name))
        loop, = threads(self.d) - before
        subprocess.run(["ip", "netns", "del", self.box.name], check=True)
        poll_until("it is tried now and then", lambda: "no interface yet" in self.d.log)
        with self.d.control() as c, self.d.native("two") as of_loop:
            with contextlib.ExitStack() as main_still, contextlib.ExitStack() as loop_still:
                loop_still.enter_context(standing_still(self.d, loop))
                asked = c.request("network.apply", replace=True, **ports(other.name))
                self.d.call("network.list")  # main has begun
                main_still.enter_context(standing_still(self.d))
                loop_still.close()
                for _ in range(2):
                    of_loop.call("hello")  # the ports are checked
                loop_still.enter_context(standing_still(self.d, loop))
                main_still.close()
                for _ in range(2):
                    self.d.call("network.list")  # and are to be applied
                subprocess.run(["ip", "netns", "add", self.box.name], check=True)
                time.sleep(1.2)  # RETRY_MS and some
            c.reply(asked)
        poll_until("it is there", lambda: self.made(other))
        poll_until("it is a port", lambda: self.d.port("box", network="two")["state"] == "attached")
        self.assertIsNone(self.made())
        with self.d.attach("two") as tx, Tap(other, "eth0") as tap:
            f = frame(BROADCAST, mac(0xA2), size=60)
            tx.send(f)
            self.assertEqual(tap.recv(), f)

    def test_who_sends_nonsense_is_alone_in_it(self):
        self.add()
        rng = random.Random(6)
        self.box.ip("link set eth0 mtu 9000")
        plain = bytes(10)
        with Station(self.d.attach(), "10.1.2.7") as station, VnetTap(self.box, "eth0") as tap:
            for n in range(2000):
                f = frame(BROADCAST, mac(0xA2), size=rng.choice((14, 60, 1414, 5000, 9014)))
                with contextlib.suppress(OSError):  # of most headers the kernel says itself that they are wrong
                    tap.send_vnet(plain if n % 4 == 0 else rng.randbytes(10), f)
                with contextlib.suppress(OSError):
                    tap.send_vnet(rng.randbytes(1) + b"\1" + rng.randbytes(8), f[:12] + rng.randbytes(60))
                if n % 500 == 0:
                    self.assertTrue(station.ping("10.1.2.1"))
            for n in range(400):
                if n == 200:
                    self.box.ip("link del eth0")
                with contextlib.suppress(OSError):
                    tap.send_vnet(plain, frame(BROADCAST, mac(0xA2), size=1414))
            self.assertTrue(station.ping("10.1.2.1"))
            drops = self.d.stats("box")["drops"]
            self.assertTrue(drops["oversize"], drops)
            poll_until("it is made again", lambda: self.made() and self.state() == "attached")
        self.address()
        self.assertTrue(self.box.ping("10.1.2.1"))

    def test_fethctl_adds_and_shows_it(self):
        out = self.d.ctl("port", "add", "lab", "box", "--kind", "tap", "--ifname", "eth0", "--netns", self.box.name,
                         check=True).stdout
        self.assertIn("Interface", out)
        self.assertIn(self.box.name, out)
        self.assertIn("tap", self.d.ctl("port", "list", "lab", check=True).stdout)
        p = self.d.ctl("port", "add", "lab", "two", "--kind", "tap")
        self.assertEqual(p.returncode, 1)
        self.assertIn("ifname: a port of kind tap needs the name of its interface", p.stderr)


if __name__ == "__main__":
    require("ping")
    main()
