"""test_recovery.py - the pair goes away under the daemon, or the daemon from over the pair.

What somebody removed is made again and clients stay; what a crashed daemon left is cleaned up by the
next, and nothing else; an ordered end leaves nothing. Needs root; namespaces of its own.
"""
import os
import pathlib
import shutil
import signal
import socket
import stat
import struct
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from harness import BROADCAST, Daemon, RpcError, frame, mac, main, poll_until
from netlab import Namespace, Station, Tap, require

PARAMS = {"mtu": 1400, "mac": "02:aa:00:00:00:01", "addresses": ["10.1.2.1/24", "fd01::1/64"]}


class Base(unittest.TestCase):
    def setUp(self):
        self.ns = self.enterContext(Namespace())
        self.d = self.enterContext(Daemon(prefix=self.ns.prefix))

    def create(self, network="lab", **params):
        return self.d.create(network, backend="veth", **{**PARAMS, **params})

    def assert_as_declared(self, net):
        links = self.ns.links()
        self.assertEqual(set(links), {net["host"], net["service"]})
        for name in (net["host"], net["service"]):
            self.assertEqual(links[name]["mtu"], PARAMS["mtu"])
            self.assertEqual(links[name]["ifalias"], f"fethd:{self.d.run_dir}:lab")
        self.assertEqual(links[net["host"]]["address"], PARAMS["mac"])
        self.assertEqual(self.ns.addresses(net["host"]), set(PARAMS["addresses"]))

    def works_again(self, net, since):
        """Seconds until a frame of the host reaches the clients that were there before, and back."""
        poll_until("the pair is here again", lambda: net["host"] in self.ns.links(), 5)
        poll_until("frames pass again", lambda: self.passes(net), 5)
        return time.monotonic() - since

    def passes(self, net):
        try:
            with Tap(self.ns, net["host"]) as tap:
                for c in self.clients:
                    there, back = os.urandom(20), os.urandom(20)
                    tap.send(frame(BROADCAST, mac(0xA1), there))
                    self.hear(c, there)
                    c.send(frame(BROADCAST, mac(0xA2), back))
                    self.hear(tap, back)
            return True
        except (OSError, TypeError):  # TypeError: the interface went just now; TimeoutError is OSError
            return False

    @staticmethod
    def hear(port, what, seconds=0.3):
        """Returns when a frame with this in it came; others may come before it."""
        while what not in port.recv(seconds=seconds):
            pass


class Removed(Base):
    """`ip link del` under the daemon."""

    def setUp(self):
        super().setUp()
        self.net = self.create()
        self.clients = [self.enterContext(self.d.attach()), self.enterContext(self.d.qemu())]
        poll_until("both are ports", lambda: self.d.port("qemu-1"))

    def remove(self, name):
        start = time.monotonic()
        self.ns.ip(f"link del {name}")
        return start

    def check(self, start):
        seconds = self.works_again(self.net, start)
        self.assertLess(seconds, 2)
        self.assert_as_declared(self.net)
        return seconds

    def test_a_removed_host_member_is_made_again(self):
        self.check(self.remove(self.net["host"]))

    def test_a_removed_service_member_is_made_again(self):
        self.check(self.remove(self.net["service"]))

    def test_ten_times_in_a_row(self):
        times = [self.check(self.remove(self.net["host" if i % 2 else "service"])) for i in range(10)]
        print(f"\n  removed -> traffic again: {max(times) * 1000:.0f} ms at most", flush=True)
        ports = {p["name"]: p["state"] for p in self.d.ports()}
        self.assertEqual(ports, {"host": "attached", "native-1": "attached", "qemu-1": "attached"})
        self.assertEqual(self.d.log.count("made anew"), 10)

    def test_ten_times_faster_than_anybody_could_watch(self):
        for _ in range(10):
            poll_until("it is there", lambda: self.net["host"] in self.ns.links(), 5)
            self.ns.ip(f"link del {self.net['host']}")
        self.check(time.monotonic())

    def test_changes_made_before_are_made_again_too(self):
        with self.d.attach() as c:
            self.d.call("network.set", network="lab", mtu=9000, addresses=["10.8.8.8/8"], mac="02:bb:00:00:00:01")
            self.check_changed(self.remove(self.net["host"]))
            c.send(frame(BROADCAST, mac(0xA1), size=9014))
            self.d.call("network.set", network="lab", **PARAMS)
            self.check(time.monotonic())

    def check_changed(self, start):
        self.works_again(self.net, start)
        link = self.ns.link(self.net["host"])
        self.assertEqual((link["mtu"], link["address"]), (9000, "02:bb:00:00:00:01"))
        self.assertEqual(self.ns.addresses(self.net["host"]), {"10.8.8.8/8"})

    def test_one_that_was_down_stays_down(self):
        self.d.call("network.set", network="lab", up=False)
        self.ns.ip(f"link del {self.net['service']}")
        poll_until("the pair is here again", lambda: self.net["host"] in self.ns.links(), 5)
        poll_until("and made anew", lambda: "made anew" in self.d.log, 5)
        self.assertNotIn("UP", self.ns.link(self.net["host"])["flags"])
        start = time.monotonic()
        self.d.call("network.set", network="lab", up=True)
        self.check(start)

    def test_only_the_removed_one_is_made_again(self):
        other = self.d.create("other", backend="veth")
        index = self.ns.link(other["host"])["ifindex"]
        start = self.remove(self.net["host"])
        self.assertLess(self.works_again(self.net, start), 2)
        self.assertEqual(self.ns.link(other["host"])["ifindex"], index)

    def test_stations_talk_on(self):
        with Station(self.d.attach(), "10.1.2.2") as station:
            self.assertTrue(self.ns.ping("10.1.2.2"))
            for name in (self.net["host"], self.net["service"]):
                self.remove(name)
                end = time.monotonic() + 2
                while not self.ns.ping("10.1.2.2", seconds=1):
                    self.assertLess(time.monotonic(), end)
                self.assertTrue(station.ping("10.1.2.1"))

    def test_a_foreign_interface_in_its_place_is_left_alone_until_it_goes(self):
        for n, taken in enumerate((self.net["host"], self.net["service"]), 1):
            self.d.proc.send_signal(signal.SIGSTOP)
            self.ns.ip(f"link del {self.net['host']}")
            self.ns.ip(f"link add {taken} type bridge")
            index = self.ns.link(taken)["ifindex"]
            self.d.proc.send_signal(signal.SIGCONT)
            poll_until("the loss is logged", lambda: self.d.log.count("lost its host side") == n, 5)
            # The network serves its clients meanwhile; for two tries.
            self.clients[0].send(frame(BROADCAST, mac(0xA1), b"still here"))
            self.hear(self.clients[1], b"still here", 5)
            time.sleep(2.2)
            self.assertEqual(set(self.ns.links()), {taken})
            self.assertEqual(self.ns.link(taken)["ifindex"], index)
            start = time.monotonic()
            if n == 1:
                self.ns.ip(f"link del {taken}")
            else:  # which nobody is told of as a removal
                self.ns.ip(f"link set {taken} name other")
            seconds = self.works_again(self.net, start)
            self.assertLess(seconds, 2)
            if n == 2:
                self.assertEqual(self.ns.link("other")["ifindex"], index)
                self.ns.ip("link del other")
            self.assert_as_declared(self.net)

    def test_a_network_without_its_pair_can_be_deleted(self):
        self.d.proc.send_signal(signal.SIGSTOP)
        self.ns.ip(f"link del {self.net['host']}")
        self.ns.ip(f"link add {self.net['host']} type bridge")
        self.d.proc.send_signal(signal.SIGCONT)
        poll_until("the loss is logged", lambda: "lost its host side" in self.d.log, 5)
        with self.assertRaises(RpcError):
            self.d.call("network.set", network="lab", mtu=1500)
        self.d.call("network.delete", network="lab")
        self.assertEqual(set(self.ns.links()), {self.net["host"]})
        self.assertTrue(self.clients[0].closed())

    def heard(self, on):
        """The client is told."""
        while self.clients[0].note("network.changed")["carrier"] != on:
            pass

    def carrier(self, on):
        """And it stays so."""
        self.heard(on)
        self.assertIs(self.d.call("network.show", network="lab")["carrier"], on)

    def test_clients_are_told_of_the_carrier(self):
        host = self.net["host"]
        self.assertIs(self.net["carrier"], True)
        self.ns.ip(f"link set {host} down")
        self.carrier(False)
        self.ns.ip(f"link set {host} up")
        self.carrier(True)
        with Namespace() as elsewhere:  # where it is down at first
            self.ns.ip(f"link set {host} netns {elsewhere.name}")
            self.carrier(False)
            elsewhere.ip(f"link set {host} up")
            self.carrier(True)
        self.heard(False)  # it went with the namespace
        self.carrier(True)
        self.d.proc.send_signal(signal.SIGSTOP)
        self.ns.ip(f"link del {host}")
        self.ns.ip(f"link add {host} type bridge")
        self.d.proc.send_signal(signal.SIGCONT)
        self.carrier(False)
        self.assertRegex(self.d.ctl("show", "lab", check=True).stdout, r"Carrier:\s+lost")
        self.ns.ip(f"link del {host}")
        self.carrier(True)
        self.check(time.monotonic())

    def test_a_service_member_changed_by_somebody_is_put_right(self):
        """By somebody who thought it useless."""
        service = self.net["service"]
        for change in ("down", "down", "mtu 1300"):
            start = time.monotonic()
            self.ns.ip(f"link set {service} {change}")
            poll_until("it is as it was", lambda: "UP" in self.ns.link(service)["flags"]
                       and self.ns.link(service)["mtu"] == PARAMS["mtu"], 5)
            self.check(start)
        self.assertNotIn("made anew", self.d.log)

    def test_what_people_do_to_the_host_member_stays(self):
        host = self.net["host"]
        self.ns.ip(f"link set {host} mtu 1300")
        self.ns.ip(f"link set {host} address 02:cc:00:00:00:01")
        self.ns.ip(f"addr del 10.1.2.1/24 dev {host}")
        self.ns.ip(f"link set {host} down")
        for _ in range(2):  # also when the daemon has had time to see it
            link = self.ns.link(host)
            self.assertNotIn("UP", link["flags"])
            self.assertEqual((link["mtu"], link["address"]), (1300, "02:cc:00:00:00:01"))
            self.assertNotIn("10.1.2.1/24", self.ns.addresses(host))
            time.sleep(0.3)
        # Until somebody says again what he wants.
        self.d.call("network.set", network="lab", up=True)
        self.check(time.monotonic())


    def join_and_leave(self, name, times):
        """As a program does, of whose business the daemon hears."""
        with self.ns.entered():
            index = socket.if_nametoindex(name)
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        group = socket.inet_aton("239.1.2.3") + bytes(4) + struct.pack("i", index)
        with sock:
            for _ in range(times):
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, group)

    def test_joined_groups_are_no_change_of_an_interface(self):
        host, service = self.net["host"], self.net["service"]
        self.ns.ip(f"link set {host} mtu 1300")
        for name in (host, service):
            self.join_and_leave(name, 200)
        self.ns.ip(f"link set {service} down")  # it still hears what is one
        poll_until("it is up again", lambda: "UP" in self.ns.link(service)["flags"], 5)
        self.check(time.monotonic())
        self.assertNotIn("hostwatch", self.d.log)

    def test_more_joins_than_are_told_hide_no_removed_pair(self):
        self.d.proc.send_signal(signal.SIGSTOP)
        self.join_and_leave(self.net["host"], 10000)
        start = self.remove(self.net["host"])
        self.d.proc.send_signal(signal.SIGCONT)
        self.check(start)

    def test_more_joins_than_are_told_hide_no_changed_service_member(self):
        service = self.net["service"]
        for change in ("down", "mtu 1300"):
            self.d.proc.send_signal(signal.SIGSTOP)
            self.join_and_leave(self.net["host"], 10000)
            self.ns.ip(f"link set {service} {change}")
            self.d.proc.send_signal(signal.SIGCONT)
            poll_until("it is as it was", lambda: "UP" in self.ns.link(service)["flags"]
                       and self.ns.link(service)["mtu"] == PARAMS["mtu"], 5)
        self.assertNotIn("made anew", self.d.log)


class Ended(Base):
    """The daemon's own end."""

    def foreigners(self):
        """Interfaces that look like ours to a careless eye; what `ip` says of them."""
        run = self.d.run_dir
        for name, alias in (("feth300", ""), ("feth301", f"fethd:{run}2:lab"), ("feth302", f"fethd:{run}"),
                            ("feth303", "fethd:/run/fethd:lab"), ("feth304", f"xfethd:{run}:lab")):
            self.ns.ip(f"link add {name} type veth peer name {name}p")
            if alias:
                self.ns.ip(f"link set {name} alias {alias}")
        self.ns.ip("link add feth305 type bridge")
        self.ns.ip(f"link set feth305 alias fethd:{run}:lab")
        return {name: link["ifindex"] for name, link in self.ns.links().items()}

    def test_sigterm_leaves_nothing(self):
        before = self.foreigners()
        nets = [self.create(), self.create("two", mac=None, addresses=None)]
        with self.d.attach() as a, self.d.qemu("two") as b:
            self.d.call("port.add", network="lab", name="spare", kind="qemu")
            self.assertTrue({n["host"] for n in nets} < set(self.ns.links()))
            self.assertEqual(self.d.stop(), 0)
            self.assertTrue(a.closed())
            self.assertTrue(b.closed())
        self.assertEqual({n: link["ifindex"] for n, link in self.ns.links().items()}, before)
        if os.path.exists(self.d.run_dir):
            self.assertEqual(os.listdir(self.d.run_dir), [])

    def test_sigterm_leaves_nothing_in_other_namespaces(self):
        net = self.create()
        with Namespace() as box:
            self.ns.ip(f"link set {net['host']} netns {box.name}")
            self.assertEqual(self.d.stop(), 0)
            self.assertEqual((self.ns.links(), box.links()), ({}, {}))

    def test_a_crash_is_cleaned_up_by_the_next_start_and_nothing_else_is(self):
        """Three times, the last with a pair whose host member lives elsewhere."""
        before = self.foreigners()
        with Namespace() as box:
            for round_ in range(3):
                net = self.create(unit=777)
                self.create("two", mac=None, addresses=None)
                self.d.call("port.add", network="lab", name="spare", kind="qemu")
                if round_ == 2:
                    self.ns.ip(f"link set {net['host']} netns {box.name}")
                self.d.kill()
                self.assertIn(net["service"], self.ns.links())
                self.assertTrue(os.path.exists(self.d.path("lab", "feth.sock")))
                self.d.start()
                now = {n: link["ifindex"] for n, link in self.ns.links().items()}
                self.assertEqual(now, before)
                self.assertEqual(box.links(), {})
                self.assertEqual(self.sockets(), ["control.sock"])
                self.assertEqual(self.d.call("network.list")["items"], [])
                # The network is as it was when it is made again: its interfaces have their names.
                again = self.create()
                self.assertEqual((again["host"], again["mac"]), (net["host"], net["mac"]))
                with Station(self.d.attach(), "10.1.2.2"):
                    self.assertTrue(self.ns.ping("10.1.2.2"))
                self.d.call("network.delete", network="lab")

    def sockets(self):
        found = []
        for folder, _, files in os.walk(self.d.run_dir):
            found += [os.path.relpath(os.path.join(folder, f), self.d.run_dir) for f in files
                      if stat.S_ISSOCK(os.lstat(os.path.join(folder, f)).st_mode)]
        return sorted(found)

    def test_a_crash_of_one_daemon_is_not_another_ones_to_clean(self):
        net = self.create()
        with Daemon("--unit-base", "10000", prefix=self.ns.prefix) as other:
            other.create("lab", backend="veth")
            other.kill()
            self.d.kill()
            left = set(self.ns.links())
            self.assertEqual(len(left), 4)
            other.start()
            self.assertEqual(set(self.ns.links()), {net["host"], net["service"]})
            self.d.start()
            self.assertEqual(self.ns.links(), {})

    def test_a_second_daemon_on_the_same_run_directory_disturbs_nothing(self):
        net = self.create()
        index = self.ns.link(net["host"])["ifindex"]
        second = Daemon(prefix=self.ns.prefix, run_dir=self.d.run_dir, wait=False)
        self.addCleanup(shutil.rmtree, second.dir)
        self.assertEqual(second.proc.wait(20), 1)
        self.assertIn("another fethd", second.log)
        self.assertEqual(self.ns.link(net["host"])["ifindex"], index)
        with Station(self.d.attach(), "10.1.2.2"):
            self.assertTrue(self.ns.ping("10.1.2.2"))


if __name__ == "__main__":
    require("ping")
    main()
