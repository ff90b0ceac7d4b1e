"""test_hostside.py - the veth pair of a network as `ip` sees it: made, changed, refused, moved away.

Needs root; namespaces of its own.
"""
import pathlib
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from harness import BROADCAST, Daemon, RpcError, frame, mac, main, poll_until
from netlab import Namespace, Station, Tap, require

V4, V6 = "10.1.2.1/24", "fd01::1/64"


class HostSide(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ns = cls.enterClassContext(Namespace())
        cls.d = cls.enterClassContext(Daemon(prefix=cls.ns.prefix))

    def setUp(self):
        self.addCleanup(self.leave_nothing)

    def leave_nothing(self):
        for net in self.d.call("network.list")["items"]:
            self.d.call("network.delete", network=net["name"])
        self.assertEqual(self.ns.links(), {})

    def create(self, network="lab", **params):
        return self.d.create(network, backend="veth", **params)

    def set(self, **params):
        return self.d.call("network.set", network="lab", **params)

    def refused(self, code, method, **params):
        """The sentence with which it is refused."""
        with self.assertRaises(RpcError) as caught:
            self.d.call(method, **params)
        self.assertEqual(caught.exception.code, code, caught.exception.message)
        return caught.exception.message

    def assert_is(self, net, mtu, mac_text, addresses, up=True, ns=None):
        """The pair is as said, for everybody who asks the kernel or the daemon."""
        links = (ns or self.ns).links()
        host, service = links[net["host"]], links[net["service"]]
        self.assertEqual((host["mtu"], service["mtu"]), (mtu, mtu))
        self.assertEqual(host["address"], mac_text)
        self.assertEqual("UP" in host["flags"], up)
        self.assertEqual((ns or self.ns).addresses(net["host"]), set(addresses))
        self.assertEqual(service["addr_info"], [])
        self.assertIn("UP", service["flags"])
        self.assertIn("NOARP", service["flags"])
        self.assertNotIn(service["address"], (mac_text, "00:00:00:00:00:00"))
        tag = f"fethd:{self.d.run_dir}:{net['name']}"
        self.assertEqual((host["ifalias"], service["ifalias"]), (tag, tag))
        shown = self.d.call("network.show", network=net["name"])
        self.assertEqual((shown["mtu"], shown["mac"], shown["up"]), (mtu, mac_text, up))
        self.assertEqual(set(shown["addresses"]), set(addresses))

    def assert_passes(self, net, ns=None):
        """A frame gets through from a client to the host member and back."""
        with Tap(ns or self.ns, net["host"]) as tap, self.d.attach(net["name"]) as c:
            c.send(frame(BROADCAST, mac(0xA1), b"to the host"))
            self.assertIn(b"to the host", tap.recv())
            tap.send(frame(BROADCAST, mac(0xA2), b"from the host"))
            self.assertIn(b"from the host", c.recv())

    # -- made --

    def test_a_network_has_a_pair_as_asked_for(self):
        net = self.create(mtu=1400, mac="02:00:00:00:00:01", addresses=[V4, V6])
        self.assert_is(net, 1400, "02:00:00:00:00:01", [V4, V6])
        unit = net["unit"]
        self.assertEqual((net["host"], net["service"]), (f"feth{unit}", f"feth{unit + 5000}"))
        self.assertEqual(set(self.ns.links()), {net["host"], net["service"]})
        self.assert_passes(net)

    def test_what_is_not_asked_for_follows_from_the_name(self):
        for name, unit in (("8056c2e21c000001", 3533), ("0000000000000001", 101),
                           ("ffffffffffffffff", 1555)):
            net = self.create(name)
            self.assertEqual(net["unit"], unit)
            self.assert_is(net, 1500, net["mac"], [])
            self.assertRegex(net["mac"], "^02:")

    def test_a_network_that_is_down_passes_nothing_until_it_is_up(self):
        net = self.create(up=False, addresses=[V4, V6])
        host = self.ns.link(net["host"])
        self.assertNotIn("UP", host["flags"])
        with self.d.attach() as c:
            c.send(frame(BROADCAST, mac(1)))
            poll_until("it is counted", lambda: self.d.stats("host")["drops"]["host_refused"])
        self.set(up=True)
        self.assert_is(net, 1500, net["mac"], [V4, V6])
        self.assert_passes(net)

    def test_what_the_host_sends_to_a_daemon_that_does_not_read_is_counted(self):
        net = self.create()
        source = bytes.fromhex(net["mac"].replace(":", ""))
        with Tap(self.ns, net["host"]) as host, self.d.attach() as c:
            self.d.proc.send_signal(signal.SIGSTOP)
            try:
                for i in range(12000):
                    host.send(frame(BROADCAST, source, i.to_bytes(2, "big")))
            finally:
                self.d.proc.send_signal(signal.SIGCONT)
            poll_until("all are read or counted", lambda: self.d.stats("host")["rx_frames"] >= 12000)
            missed = self.d.stats("host")["drops"]["missed"]
            self.assertGreater(missed, 0)
            self.assertLess(missed, 12000)
            self.assertEqual(self.d.stats()["drops"]["missed"], missed)
            host.send(frame(BROADCAST, source, b"after"))
            while b"after" not in c.recv():
                pass

    def test_sixteen_addresses_are_taken_and_seventeen_are_not(self):
        many = [f"10.1.{i}.1/24" for i in range(7)] + ["10.1.6.2/24"] + [f"fd0{i}::1/64" for i in range(8)]
        net = self.create(addresses=many)
        self.assert_is(net, 1500, net["mac"], many)
        self.refused("too_large", "network.set", network="lab", addresses=many + ["10.9.9.9/8"])
        self.refused("too_large", "network.create", network="two", backend="veth",
                     addresses=many + ["10.9.9.9/8"])
        self.assert_is(net, 1500, net["mac"], many)
        self.assertEqual(len(self.ns.links()), 2)

    def test_unit_base_moves_all_units(self):
        with Daemon("--unit-base", "20000", prefix=self.ns.prefix) as d:
            net = d.create("0000000000000001", backend="veth")
            self.assertEqual((net["unit"], net["host"], net["service"]), (20101, "feth20101", "feth25101"))
            self.assertEqual(d.create("two", backend="veth", unit=24999)["host"], "feth24999")
            for unit in (20099, 25000, 150):
                with self.assertRaises(RpcError) as caught:
                    d.create("three", backend="veth", unit=unit)
                self.assertEqual(caught.exception.code, "invalid")
            self.assertEqual(set(self.ns.links()), {"feth20101", "feth25101", "feth24999", "feth29999"})
        self.assertEqual(self.ns.links(), {})

    def test_sixty_four_networks_stand_beside_each_other(self):
        nets = [self.create(f"net{i}", addresses=[f"10.7.{i}.1/24"]) for i in range(64)]
        self.assertEqual(len(self.ns.links()), 128)
        message = self.refused("too_large", "network.create", network="more", backend="veth")
        self.assertIn("64", message)
        self.assertEqual(len(self.ns.links()), 128)
        self.assert_passes(nets[0])
        self.assert_passes(nets[63])

    # -- others' interfaces --

    def foreign(self, name, kind="bridge"):
        """Makes an interface that is not ours, and sees to it that it stays as it is."""
        self.ns.ip(f"link add {name} type {kind}")
        self.ns.ip(f"link set {name} alias somebody's")
        self.addCleanup(self.ns.ip, f"link del {name}")
        seen = self.identity(name)
        self.addCleanup(lambda: self.assertEqual(self.identity(name), seen))

    def identity(self, name):
        link = self.ns.link(name)
        return {key: link.get(key) for key in ("ifindex", "ifalias", "address", "flags", "mtu")}

    def test_a_taken_unit_is_left_alone_and_the_next_one_used(self):
        """Whether the one name is taken or the other; two in a row."""
        self.foreign("feth101")
        self.foreign("feth5102")
        net = self.create("0000000000000001")
        self.assertEqual(net["unit"], 103)
        self.assert_passes(net)

    def test_a_taken_unit_that_was_asked_for_is_refused(self):
        self.foreign("feth2000")
        self.foreign("feth7001", "veth peer name other")
        for unit in (2000, 2001):
            message = self.refused("exists", "network.create", network="lab", backend="veth", unit=unit)
            self.assertIn(str(unit), message)
        self.assertEqual(set(self.ns.links()), {"feth2000", "feth7001", "other"})
        self.assertEqual(self.create(unit=2002)["host"], "feth2002")
        self.refused("exists", "network.create", network="two", backend="veth", unit=2002)

    def test_an_alternative_name_is_taken_as_well(self):
        self.foreign("other")
        self.ns.ip("link property add dev other altname feth101")
        self.assertEqual(self.create("0000000000000001")["unit"], 102)

    def test_interfaces_of_ours_in_name_only_are_not_removed(self):
        """Neither by delete nor by the end: what somebody renamed or retagged is his."""
        net = self.create()
        self.ns.ip(f"link set {net['host']} alias mine")
        self.ns.ip(f"link set {net['service']} alias mine")
        self.d.call("network.delete", network="lab")
        self.assertEqual(set(self.ns.links()), {net["host"], net["service"]})
        self.ns.ip(f"link del {net['host']}")

    # -- changed --

    def test_everything_can_be_changed_while_it_lives(self):
        net = self.create(addresses=[V4])
        was = net["mac"]
        with self.d.attach() as c:
            self.set(mtu=9000)
            self.assert_is(net, 9000, was, [V4])
            self.assertEqual(c.note("network.changed")["mtu"], 9000)
            self.set(mac="02:aa:00:00:00:01")
            self.assert_is(net, 9000, "02:aa:00:00:00:01", [V4])
            self.assertEqual(c.note("network.changed")["mac"], "02:aa:00:00:00:01")
            self.set(addresses=["10.9.9.9/16", V6])
            self.assert_is(net, 9000, "02:aa:00:00:00:01", ["10.9.9.9/16", V6])
            self.assertEqual(c.note("network.changed")["addresses"], ["10.9.9.9/16", V6])
            self.set(mtu=1300, mac=was, addresses=[V4, V6], up=True)
            self.assert_is(net, 1300, was, [V4, V6])
            self.assertEqual(c.note("network.changed")["mtu"], 1300)
        self.assert_passes(net)

    def test_a_new_mac_is_the_one_the_host_answers_to(self):
        self.create(addresses=[V4])
        self.set(mac="02:aa:00:00:00:01")
        with Station(self.d.attach(), "10.1.2.2") as station:
            self.assertTrue(self.ns.ping("10.1.2.2"))
            self.assertTrue(station.ping("10.1.2.1"))
            self.assertEqual([m.hex() for m in station.neighbours.values()], ["02aa00000001"])

    def test_ipv6_addresses_are_back_after_down_and_up(self):
        net = self.create(addresses=[V4, V6, "fd02::1/64"])
        for _ in range(3):
            self.set(up=False)
            self.assertNotIn("UP", self.ns.link(net["host"])["flags"])
            self.assertEqual(self.ns.addresses(net["host"]) & {V4}, {V4})
            self.set(up=True)
            self.assert_is(net, 1500, net["mac"], [V4, V6, "fd02::1/64"])
        # ... and can be used at once: not tentative, waiting for nobody.
        for a in self.ns.link(net["host"])["addr_info"]:
            if a["local"].startswith("fd"):
                self.assertNotIn("tentative", a)
        self.assertTrue(self.ns.ping("fd01::1"))

    def test_down_by_somebody_else_is_mended_by_the_next_set(self):
        net = self.create(addresses=[V4, V6])
        self.ns.ip(f"link set {net['host']} down")
        self.ns.ip(f"link set {net['host']} mtu 1000")
        self.set(up=True)
        self.assert_is(net, 1500, net["mac"], [V4, V6])

    def test_small_mtus_and_ipv6_exclude_each_other(self):
        net = self.create(addresses=[V6])
        self.set(mtu=1280)
        self.assert_is(net, 1280, net["mac"], [V6])
        for mtu in (1279, 68):
            self.assertIn("1280", self.refused("invalid", "network.set", network="lab", mtu=mtu))
        self.assert_is(net, 1280, net["mac"], [V6])
        self.set(mtu=68, addresses=[V4])
        self.assert_is(net, 68, net["mac"], [V4])
        self.refused("invalid", "network.set", network="lab", addresses=[V6])
        self.set(mtu=1500, addresses=[V4, V6])
        self.assert_is(net, 1500, net["mac"], [V4, V6])
        self.assert_passes(net)

    def test_mtus_outside_the_range_name_the_range(self):
        net = self.create()
        self.assertEqual((net["mtu_min"], net["mtu_max"]), (68, 65521))
        for mtu in (0, 67, 65522, 65536):
            message = self.refused("invalid", "network.set", network="lab", mtu=mtu)
            self.assertIn("68", message)
            self.assertIn("65521", message)
        self.assert_is(net, 1500, net["mac"], [])
        self.set(mtu=65521)
        self.assert_is(net, 65521, net["mac"], [])

    def test_what_somebody_else_added_stays(self):
        """And an address that leaves the list takes none of its subnet with it."""
        net = self.create(addresses=[V4, "10.1.2.7/24"])
        self.ns.ip(f"addr add 192.0.2.1/24 dev {net['host']}")
        self.set(addresses=["10.1.2.7/24", V6])
        self.assertEqual(self.ns.addresses(net["host"]), {"10.1.2.7/24", V6, "192.0.2.1/24"})

    def test_a_change_that_the_kernel_refuses_changes_nothing(self):
        net = self.create(addresses=[V4])
        was = self.ns.links()
        self.ns.sysctl(f"ipv6/conf/{net['host']}/disable_ipv6", 1)
        disabled = self.ns.links()
        with self.d.attach() as c:
            for params in ({"mtu": 9000}, {"mtu": 1300}, {"up": False}, {"mac": "02:aa:00:00:00:01"}):
                with self.subTest(params):
                    message = self.refused("system", "network.set", network="lab",
                                           addresses=["10.5.5.5/24", V6], **params)
                    self.assertIn(V6, message)
                    # the kernel tells of a carrier that came back up to a second late
                    poll_until("the links are as they were", lambda: self.ns.links() == disabled, 5)
                    self.assert_is(net, 1500, net["mac"], [V4])
                    self.assertEqual(self.d.call("network.show", network="lab")["mtu"], 1500)
            # A frame of the size that stays passes; the port's cap is back where it was.
            big = frame(BROADCAST, mac(1), size=1514)
            with Tap(self.ns, net["host"]) as tap:
                c.send(big)
                self.assertEqual(tap.recv(), big)
                c.send(frame(BROADCAST, mac(1), size=1515))
                poll_until("it is counted", lambda: self.d.stats("native-1")["drops"]["oversize"])
        self.assertEqual(was[net["host"]]["ifindex"], self.ns.link(net["host"])["ifindex"])

    def test_what_the_kernel_cannot_make_leaves_nothing(self):
        self.ns.sysctl("ipv6/conf/default/disable_ipv6", 1)
        try:
            message = self.refused("system", "network.create", network="lab", backend="veth",
                                   addresses=[V4, V6])
        finally:
            self.ns.sysctl("ipv6/conf/default/disable_ipv6", 0)
        self.assertIn(V6, message)
        self.assertEqual(self.ns.links(), {})
        self.assertEqual(self.d.call("network.list")["items"], [])
        self.assert_passes(self.create(addresses=[V4, V6]))

    # -- moved to another namespace --

    def test_the_host_member_can_live_in_another_namespace(self):
        """That of a container, say; clients do not notice."""
        net = self.create()
        with Namespace() as box, Station(self.d.attach(), "10.1.2.2") as station:
            self.ns.ip(f"link set {net['host']} netns {box.name}")
            box.ip(f"link set {net['host']} name eth0")
            box.ip("link set eth0 up")
            box.ip("addr add 10.1.2.1/24 dev eth0")
            self.assertTrue(box.ping("10.1.2.2"))
            self.assertTrue(station.ping("10.1.2.1"))
            self.assertEqual(set(self.ns.links()), {net["service"]})
            # It is out of our reach now, and nothing is half done.
            message = self.refused("system", "network.set", network="lab", mtu=9000)
            self.assertIn(net["host"], message)
            self.assertTrue(box.ping("10.1.2.2"))
            self.d.call("network.delete", network="lab")
            self.assertEqual(box.links(), {})

    def test_a_namespace_that_ends_gives_the_pair_back(self):
        net = self.create(addresses=[V4])
        with Station(self.d.attach(), "10.1.2.2") as station:
            with Namespace() as box:
                self.ns.ip(f"link set {net['host']} netns {box.name}")
            poll_until("the pair is here again", lambda: net["host"] in self.ns.links(), 10)
            poll_until("it answers", lambda: station.ping("10.1.2.1", seconds=1), 5)
            self.assert_is(net, 1500, net["mac"], [V4])


class Unprivileged(unittest.TestCase):
    def test_a_daemon_without_the_capability_says_so(self):
        with Namespace() as ns:
            drop = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]
            with Daemon(prefix=[*ns.prefix, *drop]) as d:
                for params in ({"backend": "veth"}, {"backend": "auto", "addresses": [V4]}):
                    with self.assertRaises(RpcError) as caught:
                        d.call("network.create", network="lab", **params)
                    self.assertEqual(caught.exception.code, "denied")
                    self.assertIn("CAP_NET_ADMIN", caught.exception.message)
                    self.assertIn("--rootless", caught.exception.message)
                self.assertEqual(d.call("network.create", network="lab")["backend"], "none")
                self.assertEqual(ns.links(), {})


if __name__ == "__main__":
    require("ping", "setpriv")
    main()
