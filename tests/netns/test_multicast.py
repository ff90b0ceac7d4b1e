"""test_multicast.py - multicast with real kernels: programs of the host, and of machines behind ports, join
and leave by setsockopt(2), and the kernels say so by IGMPv3 and MLDv2.

Needs root; namespaces of its own.
"""
import array
import contextlib
import fcntl
import os
import pathlib
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
import groupframes as g
from harness import Closed, Daemon, mac_text, main, poll_until, taken
from netlab import Namespace, Tap, require

GROUP, OTHER = "239.1.2.3", "239.1.2.4"
GROUP6 = "ff15::1:2:3"
PORT = 5004


def text(group):
    return mac_text(g.group_mac(group))


class Program:
    """A UDP socket of a program in a namespace, on one of its interfaces."""

    def __init__(self, ns, ifname, family=socket.AF_INET):
        self.index, self.family = int(ns.link(ifname)["ifindex"]), family
        with ns.entered():
            self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(("", PORT))
        if family == socket.AF_INET:
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                                 struct.pack("4s4si", bytes(4), bytes(4), self.index))
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
        self.sock.settimeout(10)

    def _member(self, group, four, six):
        if self.family == socket.AF_INET:
            mreq = struct.pack("4s4si", g.packed(group), bytes(4), self.index)
            self.sock.setsockopt(socket.IPPROTO_IP, four, mreq)
        else:
            self.sock.setsockopt(socket.IPPROTO_IPV6, six, g.packed(group) + struct.pack("i", self.index))

    def join(self, group):
        self._member(group, socket.IP_ADD_MEMBERSHIP, socket.IPV6_JOIN_GROUP)

    def leave(self, group):
        self._member(group, socket.IP_DROP_MEMBERSHIP, socket.IPV6_LEAVE_GROUP)

    def send(self, group, n):
        for i in range(n):
            self.sock.sendto(b"stream %d" % i, (group, PORT))

    def got(self, n):
        return [self.sock.recv(2000) for _ in range(n)] == [b"stream %d" % i for i in range(n)]

    def close(self):
        self.sock.close()


def without_offload(ns, ifname):
    """The kernel makes the checksums itself: a veth would leave them to a card there is none of."""
    value = array.array("I", [0x17, 0])  # ETHTOOL_STXCSUM: off
    with ns.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8946, struct.pack("16sP16x", ifname.encode(), value.buffer_info()[0]))  # SIOCETHTOOL


class Machine:
    """A namespace of its own behind a port: what its kernel sends on eth0 the port sends, and the other
    way round. `seen` is every frame that the port got."""

    def __init__(self, daemon, address, network="lab"):
        self.ns = Namespace()
        self.ns.ip("link add eth0 type veth peer name wire")
        self.ns.sysctl("ipv6/conf/wire/disable_ipv6", 1)
        self.ns.ip("link set wire up")
        self.ns.ip("link set eth0 up")
        without_offload(self.ns, "eth0")
        self.ns.ip(f"address add {address}/24 dev eth0")
        self.tap = Tap(self.ns, "wire")
        self.client = daemon.attach(network)
        self.port = self.client.info["port"]
        self.seen = []
        self._wake, self._woken = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _carry(self):
        with contextlib.suppress(Closed, OSError):
            while True:
                ready = select.select([self.client.sock, self.tap.sock, self._wake], [], [])[0]
                if self._wake in ready:
                    return
                if self.client.sock in ready:
                    self.client.read()
                    frames, self.client.frames = self.client.frames, []
                    for f in frames:
                        self.seen.append(f)
                        self.tap.send(f)
                self.client.send(*[f for f, out in self.tap.drain() if not out])

    def of(self, group):
        return [f for f in list(self.seen) if f[:6] == g.group_mac(group) and f[23:24] == b"\x11"]

    def close(self):
        os.close(self._woken)
        self._thread.join()
        os.close(self._wake)
        self.client.close()
        self.tap.close()
        self.ns.delete()


def listened_to(ns, ifname):
    """The groups of an interface by `ip maddr`, but for those nobody may report (RFC 3376, 6; RFC 3810, 6)."""
    out = ns.run("ip", "maddr", "show", "dev", ifname).stdout
    macs = set(re.findall(r"^\tlink +([0-9a-f:]{17})", out, re.M))
    return macs - {"01:00:5e:00:00:01", "33:33:00:00:00:01"}


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ns = cls.enterClassContext(Namespace())
        cls.d = cls.enterClassContext(Daemon(prefix=cls.ns.prefix))

    def setUp(self):
        self.net = self.d.create("lab", backend="veth", addresses=["10.9.0.1/24"], multicast="snoop")
        self.addCleanup(self.d.call, "network.delete", network="lab")

    def program(self, ns=None, ifname=None, family=socket.AF_INET):
        p = Program(ns or self.ns, ifname or self.net["host"], family)
        self.addCleanup(p.close)
        return p

    def machine(self, address):
        m = Machine(self.d, address)
        self.addCleanup(m.close)
        return m

    def members(self, group):
        """Numbers of the ports in a group."""
        with self.d.control() as c:
            return {r["port"] for r in c.items("group.list", network="lab") if r["group"] == text(group)}

    def groups_of(self, port):
        with self.d.control() as c:
            return {r["group"] for r in c.items("group.list", network="lab") if r["port"] == port}

    def subscriber(self):
        c = self.d.native()
        self.addCleanup(c.close)
        c.call("event.subscribe", events=["host.groups"])
        return c, c.note("host.groups")


class Multicast(Base):
    # -- the host's own --

    def test_the_host_joins_and_leaves_and_it_is_told_at_once(self):
        for family, group in ((socket.AF_INET, GROUP), (socket.AF_INET6, GROUP6)):
            p = self.program(family=family)
            c, first = self.subscriber()
            self.assertNotIn(text(group), first["groups"])
            took = []
            for _ in range(5):
                for change, key in ((p.join, "joined"), (p.leave, "left")):
                    begin = time.monotonic()
                    change(group)
                    note = c.note("host.groups")
                    took.append(time.monotonic() - begin)
                    self.assertEqual((note[key], note["network"], note["more"]), ([text(group)], "lab", False))
                    self.assertEqual(text(group) in note["groups"], key == "joined")
            print(f"{group}: told after {min(took) * 1000:.1f} to {max(took) * 1000:.1f} ms")
            self.assertLess(sorted(took)[len(took) // 2], 0.1)

    def test_what_the_host_listens_to_is_what_ip_maddr_says(self):
        p = self.program()
        for group in (GROUP, OTHER):
            p.join(group)
        want = listened_to(self.ns, self.net["host"])
        self.assertLessEqual({text(GROUP), text(OTHER)}, want)
        ours = {"01:00:5e:00:00:01", "33:33:00:00:00:01"}  # the kernel has them, `ip maddr` too
        poll_until("the daemon says the same", lambda: self.groups_of(0) - ours == want)
        self.ns.ip(f"link set {self.net['host']} down")
        self.ns.ip(f"link set {self.net['host']} up")
        poll_until("and when the link was down",
                   lambda: self.groups_of(0) - ours == listened_to(self.ns, self.net["host"]))

    def test_the_host_gets_what_it_listens_to_and_not_one_frame_else(self):
        a = self.d.attach()
        self.addCleanup(a.close)
        p = self.program()
        p.join(GROUP)
        poll_until("the daemon knows", lambda: 0 in self.members(GROUP))
        src = b"\x02\0\0\0\0\x09"
        with Tap(self.ns, self.net["host"], promisc=False) as tap:
            for i in range(50):
                a.send(g.data(src, OTHER, b"other"), g.data(src, GROUP, b"stream %d" % i))
            self.assertTrue(p.got(50))
            seen = [f[:6] for f, out in tap.drain() if not out and f[6:12] == src]
            self.assertEqual(seen, [g.group_mac(GROUP)] * 50)
            # once it has left, none
            p.leave(GROUP)
            poll_until("the daemon knows", lambda: 0 not in self.members(GROUP))
            a.send(g.data(src, GROUP), g.ether(b"\xff" * 6, src, 0x88B5, b"mark"))
            taken(a)
            self.assertEqual(tap.recv()[:6], b"\xff" * 6)

    def test_a_bridged_host_gets_every_group(self):
        """A bridge joins nothing: who is behind it may want any group, also one that others are in."""
        ns, host = self.ns, self.net["host"]
        a, b = self.d.attach(), self.d.attach()
        self.addCleanup(a.close)
        self.addCleanup(b.close)
        src, mark, group = b"\x02\0\0\0\0\x09", b"\xff" * 6, "ff02::1234"
        b.send(g.mld2_report(b"\x02\0\0\0\0\x0a", (4, group, [])))
        poll_until("its report was heard", lambda: self.members(group) == {b.info["port"]})

        def reaches(ifname):
            with Tap(ns, ifname, promisc=False) as tap:
                a.send(g.data(src, group), g.ether(mark, src, 0x88B5, b"mark"))
                seen = []
                while mark not in seen:
                    f = tap.recv(noise=True)
                    if f[6:12] == src:
                        seen.append(f[:6])
                return g.group_mac(group) in seen
        self.assertFalse(reaches(host))
        c, _ = self.subscriber()
        ns.ip("link add br0 type bridge mcast_snooping 0")
        self.addCleanup(ns.ip, "link delete br0")
        ns.ip("link set br0 up")
        ns.ip(f"link set {host} master br0")
        while not c.note("host.groups")["more"]:
            pass
        self.assertTrue(reaches("br0"))
        ns.ip(f"link set {host} nomaster")
        while c.note("host.groups")["more"]:
            pass
        self.assertFalse(reaches(host))
        # and who looks at it by tcpdump, say
        with ns.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
            s.setsockopt(263, 1, struct.pack("iHH8x", int(ns.link(host)["ifindex"]), 1, 0))  # PACKET_MR_PROMISC
            while not c.note("host.groups")["more"]:
                pass
            self.assertTrue(reaches(host))

    # -- machines behind ports --

    def test_a_receiver_and_a_sender(self):
        """A joined port gets the stream; one that did not, not one frame of it; a router all of it."""
        b, c, r = (self.machine(f"10.9.0.{n}") for n in (2, 3, 4))
        sender, receiver = self.program(), self.program(b.ns, "eth0")
        receiver.join(GROUP)
        poll_until("its report was heard", lambda: self.members(GROUP) == {b.port})
        sender.send(GROUP, 100)
        self.assertTrue(receiver.got(100))
        self.assertEqual(len(b.of(GROUP)), 100)
        r.client.send(g.igmp_query(b"\x02\0\0\0\0\x0a", src="10.9.0.4"))
        poll_until("there is a router", lambda: r.port in self.members("224.0.0.0"))
        sender.send(GROUP, 100)
        self.assertTrue(receiver.got(100))
        poll_until("the router has it all", lambda: len(r.of(GROUP)) == 100)
        sender.sock.sendto(b"behind", ("224.0.0.250", PORT))
        poll_until("what is for all has come", lambda: c.of("224.0.0.250"))
        self.assertEqual(c.of(GROUP), [])
        # from behind a port as well, and to the host if that listens
        back, host = self.program(c.ns, "eth0"), self.program()
        host.join(GROUP)
        poll_until("the daemon knows", lambda: 0 in self.members(GROUP))
        back.send(GROUP, 30)
        self.assertTrue(receiver.got(30))
        self.assertTrue(host.got(30))

    def test_a_machine_leaves(self):
        """Under strict: then nobody gets it any more."""
        self.d.call("network.set", network="lab", multicast="strict")
        b, c = self.machine("10.9.0.2"), self.machine("10.9.0.3")
        sender, receiver, other = self.program(), self.program(b.ns, "eth0"), self.program(c.ns, "eth0")
        for p in (receiver, other):
            p.join(GROUP)
        poll_until("both are in it", lambda: self.members(GROUP) == {b.port, c.port})
        receiver.leave(GROUP)
        poll_until("one has left", lambda: self.members(GROUP) == {c.port})
        b.seen.clear()
        sender.send(GROUP, 20)
        self.assertTrue(other.got(20))
        self.assertEqual(b.of(GROUP), [])
        c.client.sock.shutdown(socket.SHUT_RDWR)  # a dead client's groups are gone at once
        poll_until("nobody is in it", lambda: self.members(GROUP) == set())

    def test_a_machine_is_in_what_its_ip_maddr_says(self):
        """Its kernel reports all by itself, IPv6 too; and says it once more when it is asked."""
        self.d.call("network.set", network="lab", querier=True)
        b = self.machine("10.9.0.2")
        p4, p6 = self.program(b.ns, "eth0"), self.program(b.ns, "eth0", socket.AF_INET6)
        p4.join(GROUP)
        p6.join(GROUP6)
        want = listened_to(b.ns, "eth0")
        self.assertLessEqual({text(GROUP), text(GROUP6)}, want)
        poll_until("the daemon says the same", lambda: self.groups_of(b.port) == want, 30)

    def test_neighbours_are_found(self):
        """ARP and neighbour discovery work under the strictest policy."""
        self.d.call("network.set", network="lab", multicast="strict", querier=True)
        b, c = self.machine("10.9.0.2"), self.machine("10.9.0.3")
        for ns, dst in ((b.ns, "10.9.0.1"), (b.ns, "10.9.0.3"), (self.ns, "10.9.0.3")):
            self.assertTrue(ns.ping(dst), dst)

        def local(ns, ifname):
            return [a["local"] for a in ns.link(ifname)["addr_info"]
                    if a["family"] == "inet6" and "tentative" not in a][:1]
        ends = [(self.ns, self.net["host"]), (b.ns, "eth0"), (c.ns, "eth0")]
        addresses = [poll_until("an address that is nobody else's", lambda e=e: local(*e), 20)[0] for e in ends]
        for ns, ifname in ends:
            for a in addresses:
                self.assertTrue(ns.ping(f"{a}%{ifname}", seconds=10), (ifname, a))


class Mdns(Base):
    """avahi-daemon in machines behind ports finds the others, by IPv4 and by IPv6."""

    def avahi(self, ns, name, ifname):
        """Starts one in a namespace; its files and its socket are its own. Returns how to ask it."""
        conf = pathlib.Path(tempfile.mkdtemp(prefix="fethd-avahi-"))
        self.addCleanup(shutil.rmtree, conf)
        (conf / "conf").write_text(f"[server]\nhost-name={name}\nuse-ipv4=yes\nuse-ipv6=yes\nenable-dbus=no\n"
                                   f"allow-interfaces={ifname}\n[publish]\npublish-hinfo=no\n"
                                   "publish-workstation=no\n[wide-area]\nenable-wide-area=no\n")
        script = ("mount -t tmpfs none /run && mkdir /run/avahi-daemon && "
                  f"exec avahi-daemon --no-drop-root --no-chroot --no-rlimits -f {conf}/conf")
        p = subprocess.Popen([*ns.prefix, "unshare", "-m", "sh", "-c", script],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (p.terminate(), p.wait(20)))

        def ask(question):
            """An answer of its simple protocol, the one that nss-mdns speaks."""
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10)
                s.connect(os.path.join(f"/proc/{p.pid}/root", "run/avahi-daemon/socket"))
                s.sendall(question.encode() + b"\n")
                return s.makefile().readline().split()
            return None
        poll_until(f"{name} is up", lambda: ask(f"RESOLVE-HOSTNAME-IPV4 {name}.local"), 20)
        return ask

    def test_machines_resolve_each_other(self):
        b, c = self.machine("10.9.0.2"), self.machine("10.9.0.3")
        ask = {"alpha": self.avahi(b.ns, "alpha", "eth0"), "beta": self.avahi(c.ns, "beta", "eth0"),
               "gamma": self.avahi(self.ns, "gamma", self.net["host"])}
        where = {"alpha": "10.9.0.2", "beta": "10.9.0.3", "gamma": "10.9.0.1"}
        for asker in ask:
            for name, address in where.items():
                got = poll_until(f"{asker} finds {name}", lambda a=asker, n=name: [
                    answer for answer in [ask[a](f"RESOLVE-HOSTNAME-IPV4 {n}.local")] if answer and answer[0] == "+"], 30)
                self.assertEqual(got[0][3:], [f"{name}.local", address][: len(got[0][3:])], got)
                self.assertIn(address, got[0])
            got = poll_until(f"{asker} finds beta by IPv6", lambda a=asker: [
                answer for answer in [ask[a]("RESOLVE-HOSTNAME-IPV6 beta.local")] if answer and answer[0] == "+"], 30)
            self.assertIn("fe80", " ".join(got[0]))
        # and nothing had to be flooded for it but 224.0.0.251: ff02::fb has members
        for m in (b, c):
            self.assertIn(text("ff02::fb"), self.groups_of(m.port))


if __name__ == "__main__":
    require("avahi-daemon")
    main()
