"""test_uplink.py - `bridge`: the host member in a bridge of the system, by which a network goes on to
other machines.

The kernel's own bridge, Open vSwitch, and two namespaces as two machines with a VXLAN between them.
Needs root; namespaces of its own.
"""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from harness import BROADCAST, Daemon, RpcError, drain, frame, main, poll_until
from netlab import Namespace, Station, require


def bridge(ns, name="br0", ports=()):
    """A bridge that is up, with ports that are."""
    ns.ip(f"link add {name} type bridge")
    ns.ip(f"link set {name} up")
    for port in ports:
        ns.ip(f"link set {port} master {name} up")


class Base(unittest.TestCase):
    backend = "veth"

    def setUp(self):
        self.ns = self.enterContext(Namespace())
        self.d = self.enterContext(Daemon(prefix=self.ns.prefix))

    def create(self, network="lab", **params):
        return self.d.create(network, **{"backend": self.backend, "bridge": "br0", **params})

    def set(self, network="lab", **params):
        return self.d.call("network.set", network=network, **params)

    def show(self, network="lab"):
        return self.d.call("network.show", network=network)

    def master(self, name):
        return self.ns.link(name).get("master")

    def refused(self, method, code, **params):
        """The sentence."""
        with self.assertRaises(RpcError) as e:
            method(**params)
        self.assertEqual(e.exception.code, code)
        return str(e.exception)

    def doctor(self):
        checks = json.loads(self.d.ctl("doctor", "--json").stdout)["checks"]
        return next((c["verdict"], c["what"]) for c in checks if c["check"] == "bridge")

    def becomes(self, what, **facts):
        poll_until(f"the network is {what}", lambda: facts.items() <= self.show().items(), 10)


class InBridge(Base):
    """In a bridge of the kernel's."""

    def setUp(self):
        super().setUp()
        bridge(self.ns)
        self.ns.ip("addr add 10.9.0.1/24 dev br0")

    def station(self, address="10.9.0.7", network="lab"):
        return self.enterContext(Station(self.d.attach(network), address))


class Places(InBridge):
    def test_the_host_member_goes_in_and_out(self):
        net = self.create()
        self.assertEqual((net["bridge"], net["bridged"], net["carrier"]), ("br0", True, True))
        self.assertNotIn("bridge_mtu", net)  # there is no other port
        self.assertEqual(self.master(net["host"]), "br0")
        station = self.station()
        self.assertTrue(station.ping("10.9.0.1", size=1472))
        bridge(self.ns, "br1")
        self.set(bridge="br1")
        self.assertEqual(self.master(net["host"]), "br1")
        self.assertFalse(station.ping("10.9.0.1", seconds=0.3))
        self.assertIs(self.set(bridge=False)["bridge"], False)
        self.assertIsNone(self.master(net["host"]))
        self.d.ctl("set", "lab", "--bridge", "br0", check=True)
        self.assertTrue(station.ping("10.9.0.1"))
        self.assertRegex(self.d.ctl("show", "lab", check=True).stdout, r"Bridge:\s+br0\nBridged:\s+yes")
        self.d.ctl("set", "lab", "--bridge", "off", check=True)
        self.assertIsNone(self.master(net["host"]))
        self.set(bridge="br0")
        self.d.call("network.delete", network="lab")
        self.assertEqual(set(self.ns.links()), {"br0", "br1"})

    def test_it_is_put_back_after_a_loss_and_left_where_people_put_it(self):
        net = self.create()
        host = net["host"]
        with self.d.attach() as client:
            self.ns.ip(f"link del {host}")
            poll_until("it is in it again", lambda: host in self.ns.links() and self.master(host) == "br0", 10)
            self.becomes("bridged", bridged=True, carrier=True)
            self.ns.ip("link del br0")
            self.becomes("cut off", bridged=False, carrier=False)
            drain(client)
            bridge(self.ns)
            self.ns.ip("addr add 10.9.0.1/24 dev br0")
            self.becomes("bridged", bridged=True, carrier=True)
            while not client.note("network.changed")["carrier"]:
                pass
        self.assertTrue(self.station().ping("10.9.0.1"))
        self.ns.ip("link set br0 down")
        self.becomes("cut off", bridged=False, carrier=False)
        self.ns.ip("link set br0 up")
        self.becomes("bridged", bridged=True)
        # by hand: so it stays, until somebody says again what he wants
        self.ns.ip(f"link set {host} nomaster")
        self.becomes("cut off", bridged=False)
        self.assertEqual(self.doctor(), ("warn", "network lab is not in its bridge br0, or that is down"))
        self.ns.ip("link set br0 mtu 1400")
        self.set(querier=True)
        self.assertIsNone(self.master(host))
        self.assertTrue(self.set(up=True)["bridged"])
        self.assertEqual(self.master(host), "br0")
        self.assertEqual(self.doctor(), ("ok", "network lab is in br0"))


class TapPlaces(Places):
    backend = "tap"


class Kernel(InBridge):
    def test_what_cannot_be_is_said_and_nothing_changes(self):
        self.assertIn("no bridge br7", self.refused(self.create, "invalid", bridge="br7"))
        self.ns.ip("link add other type veth peer name otherp")
        self.assertIn("other is no bridge", self.refused(self.create, "invalid", bridge="other"))
        self.ns.ip("tuntap add tap7 mode tap")
        self.assertIn("tap7 is no bridge", self.refused(self.create, "invalid", bridge="tap7"))
        said = self.refused(self.create, "invalid", addresses=["10.1.2.1/24"])
        self.assertIn("give 10.1.2.1/24 to br0", said)
        for odd in ("", "a/b", "x" * 16, True, 7, ["br0"]):
            self.refused(self.create, "invalid", bridge=odd)
        self.refused(self.create, "invalid", backend="none")
        self.assertEqual(self.d.call("network.list")["items"], [])

        net = self.create(bridge=None, addresses=["10.1.2.1/24"])
        self.refused(self.set, "invalid", bridge="br0")
        self.refused(self.set, "invalid", bridge="br7", addresses=[])
        self.assertEqual(self.show(), net)
        self.assertIsNone(self.master(net["host"]))
        self.set(bridge="br0", addresses=[])
        self.refused(self.set, "invalid", addresses=["10.1.2.1/24"])
        self.refused(self.set, "invalid", bridge="br7")
        self.assertEqual(self.master(net["host"]), "br0")

    def test_a_network_is_no_wider_than_what_carries_it(self):
        self.ns.ip("link add thin mtu 1450 type veth peer name thinp")
        self.ns.ip("link set thin master br0 up")
        said = self.refused(self.create, "invalid")
        self.assertIn("carries packets of 1450 bytes at most, by thin", said)
        self.assertEqual(self.create(mtu=1450)["bridge_mtu"], 1450)
        self.refused(self.set, "invalid", mtu=1500)
        # what says nothing of either is not refused, whatever became of the bridge
        self.ns.ip("link set thin mtu 1400")
        self.becomes("narrow", bridge_mtu=1400)
        self.assertEqual(self.doctor(), ("warn", "network lab has an MTU of 1450, and a port of its bridge br0 "
                                                 "one of 1400: longer packets are dropped"))
        self.assertEqual(self.set(querier=True)["mtu"], 1450)
        self.assertIn("by=thin bridge_mtu=1400 mtu=1450", self.d.log)
        # and what would be lost there is counted here
        a = self.station()
        a.neighbours[socket.inet_aton("10.9.0.1")] = bytes.fromhex(
            self.ns.link("br0")["address"].replace(":", ""))
        self.assertTrue(a.ping("10.9.0.1", size=1400 - 28))
        self.assertFalse(a.ping("10.9.0.1", size=1401 - 28, seconds=0.3))
        self.assertEqual(self.d.stats("host")["drops"], {"too_big_for_port": 1})
        self.ns.ip("link set thin nomaster")
        poll_until("it is as wide as before", lambda: "bridge_mtu" not in self.show(), 10)
        self.assertTrue(a.ping("10.9.0.1", size=1450 - 28))

    def test_a_bridge_that_was_wider_is_said(self):
        """It takes the least MTU of its ports by itself."""
        self.ns.ip("link add wide mtu 9000 type veth peer name widep")
        self.ns.ip("link set wide master br0 up")
        self.assertEqual(self.ns.link("br0")["mtu"], 9000)
        self.create()
        self.assertEqual(self.ns.link("br0")["mtu"], 1500)
        self.assertIn("lowered net=lab bridge=br0 was=9000 now=1500", self.d.log)
        self.create("two")
        self.assertNotIn("lowered net=two", self.d.log)

    def test_it_leaves_a_bridge_that_was_renamed(self):
        host = self.create()["host"]
        self.ns.ip("link set br0 down")
        self.ns.ip("link set br0 name br5")
        self.ns.ip("link set br5 up")
        self.becomes("cut off", bridged=False)
        self.assertEqual(self.master(host), "br5")
        self.set(bridge=False)
        self.assertIsNone(self.master(host))

    def test_a_file_may_come_before_its_bridge(self):
        self.ns.ip("link del br0")
        os.makedirs(self.d.conf_dir + "/networks.d", mode=0o755)
        with open(self.d.conf_dir + "/networks.d/lab.conf", "w", encoding="ascii") as f:
            f.write(f"[network]\nbackend = {self.backend}\nbridge = br0\n")
        self.d.ctl("reload", check=True)
        net = self.show()
        self.assertEqual((net["bridge"], net["bridged"]), ("br0", False))
        self.assertIn("there is no bridge br0", self.d.log)
        bridge(self.ns)
        self.becomes("bridged", bridged=True)
        self.assertEqual(self.master(net["host"]), "br0")
        self.assertRegex(self.d.ctl("reload", check=True).stdout, r"Unchanged:\s+lab")
        self.d.ctl("set", "lab", "--mtu", "1450", "--save", check=True)
        with open(self.d.conf_dir + "/networks.d/lab.conf", encoding="ascii") as f:
            self.assertIn("\nbridge = br0\n", f.read())

    def test_a_loop_by_way_of_the_bridge_is_cut_at_our_port(self):
        """A port's interface in the same bridge as the host member."""
        self.create()
        self.d.call("port.add", network="lab", name="back", kind="tap", ifname="back0")
        station = self.station()
        self.assertTrue(station.ping("10.9.0.1"))
        self.ns.ip("link set back0 master br0")
        station.send(frame(BROADCAST, station.mac, os.urandom(40)))
        looped = lambda: [p["name"] for p in self.d.ports() if p.get("looped")]
        poll_until("it is cut", looped, 20)
        self.assertEqual(looped(), ["back"])
        station.neighbours.clear()
        self.assertTrue(station.ping("10.9.0.1"))
        self.assertIn("there is a loop behind it", self.d.log)


class OpenVswitch(Base):
    """The real one, its switch a process of its own."""

    def setUp(self):
        self.ns = self.enterContext(Namespace())
        self.dir = self.enterContext(tempfile.TemporaryDirectory(prefix="ovs-"))
        self.env = {**os.environ, "OVS_RUNDIR": self.dir, "OVS_LOGDIR": self.dir, "OVS_DBDIR": self.dir}
        self.ovs = contextlib.ExitStack()
        self.addCleanup(self.ovs.close)
        subprocess.run(["ovsdb-tool", "create", f"{self.dir}/conf.db",
                        "/usr/share/openvswitch/vswitch.ovsschema"], check=True, env=self.env)
        self.run_in("ovsdb-server", f"{self.dir}/conf.db", f"--remote=punix:{self.dir}/db.sock", "--no-chdir")
        poll_until("there is a database", lambda: os.path.exists(f"{self.dir}/db.sock"), 20)
        self.vsctl("--no-wait", "init")
        self.switch = self.run_in("ovs-vswitchd", f"unix:{self.dir}/db.sock", "--no-chdir")
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
        self.ns.ip("link set br0 up")
        self.ns.ip("addr add 10.9.0.1/24 dev br0")
        self.tool()
        self.d = self.enterContext(Daemon(prefix=self.ns.prefix, env={**self.env, "FETHD_TOOLS": self.dir}))

    def tool(self):
        """The daemon's own: it keeps a list of its calls, and what it is told to does not answer."""
        with open(f"{self.dir}/ovs-vsctl", "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o755)) as f:
            f.write(f"""#!/bin/sh
echo "$*" >>{self.dir}/calls
for word; do
	[ ! -e "{self.dir}/no-$word" ] || {{ echo "db.sock: database connection failed ()"; exit 1; }}
done
exec {shutil.which("ovs-vsctl")} "$@"
""")

    def answers(self, yes, *commands):
        for command in commands or ("list-ports", "add-port", "del-port", "find"):
            path = pathlib.Path(self.dir, f"no-{command}")
            if yes:
                path.unlink()
            else:
                path.touch()

    def calls(self, command):
        return pathlib.Path(self.dir, "calls").read_text("ascii").count(f" {command} ")

    def event(self):
        """Something happens to the bridge that the network need not mind."""
        self.ns.ip("link set br0 alias x")
        self.ns.ip("link set br0 alias y")

    def looked(self):
        """The daemon looked once more, for whatever reason."""
        before = self.calls("list-ports")
        self.event()
        poll_until("it looked", lambda: self.calls("list-ports") > before, 20)

    def run_in(self, *argv):
        p = subprocess.Popen([*self.ns.prefix, *argv], env=self.env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.ovs.callback(p.wait)
        self.ovs.callback(p.kill)
        return p

    def vsctl(self, *words):
        return subprocess.run([*self.ns.prefix, "ovs-vsctl", "--timeout=20", *words], check=True, text=True,
                              env=self.env, capture_output=True).stdout.split()

    def test_the_host_member_is_a_port_of_it_as_long_as_it_shall_be(self):
        net = self.create()
        self.assertTrue(net["bridged"])
        self.assertEqual(self.vsctl("list-ports", "br0"), [net["host"]])
        station = self.enterContext(Station(self.d.attach(), "10.9.0.7"))
        self.assertTrue(station.ping("10.9.0.1", size=1472))
        self.set(bridge=False)
        self.assertEqual(self.vsctl("list-ports", "br0"), [])
        self.set(bridge="br0")
        # the pair, and the bridge, made anew
        self.ns.ip(f"link del {net['host']}")
        self.becomes("bridged", bridged=True, carrier=True)
        poll_until("frames pass again", lambda: station.ping("10.9.0.1", seconds=1), 20)
        self.vsctl("del-br", "br0")
        self.becomes("cut off", bridged=False, carrier=False)
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
        self.ns.ip("link set br0 up")
        self.becomes("bridged", bridged=True)
        self.assertEqual(self.vsctl("list-ports", "br0"), [net["host"]])
        # its ports limit the network, too
        self.ns.ip("link add thin mtu 1450 type veth peer name thinp")
        self.vsctl("add-port", "br0", "thin")
        self.assertIn("by thin", self.refused(self.create, "invalid", network="two"))
        # a daemon that is killed leaves a line behind, which the next one removes, and only that
        self.d.kill()
        self.assertEqual(set(self.vsctl("list-ports", "br0")), {net["host"], "thin"})
        self.d.start()
        self.assertEqual(self.vsctl("list-ports", "br0"), ["thin"])
        self.create(mtu=1450)
        self.d.call("network.delete", network="lab")
        self.assertEqual(self.vsctl("list-ports", "br0"), ["thin"])
        self.create(mtu=1450)
        self.assertEqual(self.d.stop(), 0)
        self.assertEqual(self.vsctl("list-ports", "br0"), ["thin"])
        self.assertFalse(os.path.exists(self.d.path("bridge.state")))

    def test_a_look_that_fails_changes_nothing_and_is_not_often_repeated(self):
        host = self.create(mtu=1400)["host"]
        self.ns.ip("link add thin mtu 1450 type veth peer name thinp")
        self.vsctl("add-port", "br0", "thin")
        self.ns.ip("link set br0 alias w")
        self.becomes("limited", bridge_mtu=1450)
        was = self.show()
        self.answers(False)
        self.looked()
        before = self.calls("list-ports")
        for _ in range(12):
            self.event()
            time.sleep(0.1)  # longer than it waits for more of them
        self.assertLess(self.calls("list-ports") - before, 6)  # a second, then two, then four
        self.assertEqual(self.show(), was)
        self.assertEqual(self.d.log.count("cannot look at br0 of Open vSwitch"), 1)
        # whom a person takes out meanwhile stays out, and that is seen without an event
        self.vsctl("del-port", "br0", host)
        self.answers(True)
        self.becomes("cut off", bridged=False)
        self.assertEqual(self.vsctl("list-ports", "br0"), ["thin"])

    def test_it_is_tried_again_where_it_could_not_be_put_in(self):
        host = self.create()["host"]
        self.answers(False, "add-port")
        before = self.calls("add-port")
        self.ns.ip(f"link del {host}")
        poll_until("it was tried", lambda: self.calls("add-port") > before, 20)
        self.becomes("cut off", bridged=False, carrier=False)
        self.answers(True, "add-port")
        self.becomes("bridged", bridged=True, carrier=True)
        self.assertEqual(self.vsctl("list-ports", "br0"), [host])

    def test_what_it_could_not_be_told_is_told_later(self):
        """A line of a network that is no more must not take in another one's interface."""
        net = self.create()
        host, unit = net["host"], net["unit"]
        self.answers(False)
        self.looked()
        said = self.refused(self.set, "system", bridge=False)
        self.assertIn("database connection failed", said)
        self.assertEqual(self.show()["bridge"], "br0")
        self.d.call("network.delete", network="lab")
        self.assertEqual(self.vsctl("list-ports", "br0"), [host])
        other = self.create(bridge=None)
        self.assertNotEqual(other["host"], host)
        self.assertIn(f"{host} may still be a port", self.refused(
            self.create, "busy", network="two", bridge=None, unit=unit))
        # the next daemon knows of it too, whether this one is killed or ends in order
        for end in self.d.stop, self.d.kill:
            end()
            self.d.start()
            self.assertNotEqual(self.create("two", bridge=None)["host"], host)
            self.assertNotEqual(self.create(bridge=None)["host"], host)
        self.assertEqual(self.vsctl("list-ports", "br0"), [host])
        self.answers(True)
        poll_until("the line is gone", lambda: not self.vsctl("list-ports", "br0"), 30)
        poll_until("the unit is free", lambda: not os.path.exists(self.d.path("bridge.state")), 10)
        self.assertEqual(self.create("three", bridge=None, unit=unit)["host"], host)
        self.assertEqual(self.vsctl("list-ports", "br0"), [])

    @unittest.skipUnless(os.environ.get("FETHD_FULL") == "1", "six seconds, of the long run")
    def test_one_that_does_not_answer_is_said_and_does_not_hold_up(self):
        self.switch.send_signal(signal.SIGSTOP)
        self.addCleanup(self.switch.send_signal, signal.SIGCONT)
        self.assertIn("cannot put", self.refused(self.create, "system"))
        self.assertEqual(self.d.call("network.list")["items"], [])
        self.assertEqual([n for n in self.ns.links() if n.startswith("feth")], [])
        self.assertEqual(self.vsctl("--no-wait", "list-ports", "br0"), [])


class Machine:
    """A namespace as a machine, with a wire to the other one, a VXLAN on it, and a fethd."""

    def __init__(self, test, number):
        self.number = number
        self.ns = test.enterContext(Namespace())
        self.box = test.enterContext(Namespace())  # a container on it
        self.machine_id = test.enterContext(tempfile.NamedTemporaryFile("w"))
        self.machine_id.write(f"{number:032x}\n")
        self.machine_id.flush()
        self.test = test

    def join(self, other):
        """By a wire of 1500 bytes. Then both have their networks."""
        self.ns.ip(f"link add eth0 type veth peer name eth0 netns {other.ns.name}")
        for m in (self, other):
            m.wire(1500)
        for m in (self, other):
            m.start()

    def wire(self, mtu):
        self.ns.ip(f"addr add 192.0.2.{self.number}/24 dev eth0")
        self.ns.ip(f"link set eth0 mtu {mtu} up")
        self.ns.ip(f"link add vx0 type vxlan id 42 remote 192.0.2.{3 - self.number} dstport 4789 dev eth0")
        bridge(self.ns, ports=["vx0"])

    def start(self):
        # `ip netns exec` has a mount namespace of its own
        own = ["sh", "-c", f'mount --bind {self.machine_id.name} /etc/machine-id && exec "$@"', "sh"]
        self.d = self.test.enterContext(Daemon(prefix=[*self.ns.prefix, *own]))
        self.net = self.d.create("lab", backend="veth", bridge="br0", mtu=1450)
        self.d.call("port.add", network="lab", name="box", kind="tap", ifname="eth0", netns=self.box.name)
        self.box.ip(f"addr add 10.9.0.{10 + self.number}/24 dev eth0")
        self.station = self.test.enterContext(Station(self.d.attach(), f"10.9.0.{self.number}"))

    def mtu(self, mtu):
        self.ns.ip(f"link set eth0 mtu {mtu + 50}")
        self.ns.ip(f"link set vx0 mtu {mtu}")
        self.d.call("network.set", network="lab", mtu=mtu)


class TwoMachines(unittest.TestCase):
    def setUp(self):
        self.a, self.b = Machine(self, 1), Machine(self, 2)
        self.a.join(self.b)

    def transfer(self, megabytes):
        """By TCP from one container to the other; whether all arrived as it was sent."""
        with self.b.box.entered():
            server = socket.create_server(("10.9.0.12", 5001))
        heard = hashlib.sha256()

        def serve():
            with server, server.accept()[0] as s:
                while data := s.recv(1 << 18):
                    heard.update(data)

        thread = threading.Thread(target=serve)
        thread.start()
        with self.a.box.entered():
            client = socket.create_connection(("10.9.0.12", 5001), timeout=60)
        sent = hashlib.sha256()
        with client:
            for _ in range(megabytes):
                data = os.urandom(1 << 20)
                sent.update(data)
                client.sendall(data)
        thread.join(60)
        return heard.digest() == sent.digest()

    def test_clients_of_both_reach_one_another_at_the_full_mtu(self):
        a, b = self.a, self.b
        self.assertNotEqual(a.net["mac"], b.net["mac"])  # of one name, and two machines
        for mtu in (1450, 9000):
            if mtu == 9000:
                # not over a wire of 1500 bytes
                with self.assertRaises(RpcError) as e:
                    a.d.call("network.set", network="lab", mtu=mtu)
                self.assertIn("carries packets of 1450 bytes at most, by vx0", str(e.exception))
                for m in (a, b):
                    m.mtu(mtu)
            for one, other in ((a, b), (b, a)):
                self.assertTrue(one.station.ping(f"10.9.0.{other.number}", size=mtu - 28))
                self.assertTrue(one.station.ping(f"10.9.0.{10 + other.number}", size=mtu - 28))
                self.assertTrue(one.box.ping(f"10.9.0.{10 + other.number}", "-M", "do", "-s", str(mtu - 28)))
                # and IPv6, by multicast at first
                link = next(x for x in other.box.link("eth0")["addr_info"] if x["family"] == "inet6")
                self.assertTrue(one.box.ping(link["local"] + "%eth0", "-s", str(mtu - 48)))
            self.assertTrue(self.transfer(8))
            for m in (a, b):
                self.assertEqual(m.d.stats("host")["drops"], {})
        # the wire shrinks: nothing is lost without a word
        b.ns.ip("link set vx0 mtu 1450")
        poll_until("it is told", lambda: b.d.call("network.show", network="lab").get("bridge_mtu") == 1450, 10)
        self.assertIn("narrow net=lab bridge=br0 by=vx0 bridge_mtu=1450 mtu=9000", b.d.log)
        self.assertFalse(b.station.ping("10.9.0.1", size=9000 - 28, seconds=0.3))
        self.assertEqual(b.d.stats("host")["drops"], {"too_big_for_port": 1})
        self.assertTrue(b.station.ping("10.9.0.1", size=1450 - 28))


if __name__ == "__main__":
    require("ping", "ovs-vsctl", "ovsdb-server", "ovs-vswitchd")
    main()
