"""test_attach_all.py - one network that everybody is on at once, each in his own way.

QEMU by stream, by descriptor 3, by datagrams by path and by descriptor, by VDE, and with a tap of its own in a
bridge; User Mode Linux by seqpacket, by a descriptor and by VDE; vde_plug with a tap in a namespace; a port that
is a tap in a namespace; a native client with a kernel behind it; the host. All pairs ping at the full MTU, by
IPv4 and IPv6, and move data by TCP. Then each is killed, and begins again, and nobody else loses so much as a ping.

Without FETHD_FULL it is the short form: two QEMUs, less data, and three victims.
Needs root, QEMU, linux.uml, vde_plug, and what build.sh needs.
"""
import itertools
import os
import shutil
import sys
import time
import unittest

import lan
from guest import Guest, Netns, tcp_transfer
from harness import FETHCTL, Daemon, poll_until, skip_all
from netlab import Namespace
from uml import Uml, require_uml

FULL = os.environ.get("FETHD_FULL") == "1"
BULK = (16 if FULL else 1) << 20
DAILY = ("host", "umlvde", "native")  # the victims of the short form: those that begin again quickly
MTU = 1500
PUMP = str(lan.TESTS / "support" / "tappump.py")


class Member:
    """One that is on the network. `machine` is where its commands run, while it is there."""

    def __init__(self, lab, name, number):
        self.lab, self.name, self.number = lab, name, number
        self.mac = f"02:00:00:00:01:{number:02x}"
        self.ip, self.ip6 = f"10.77.0.{number}", f"fd77::{number:x}"
        self.machine = None

    def begin(self):
        raise NotImplementedError

    def wait(self):
        """Returns when its machine has its addresses."""

    def kill(self):
        """Ends it as a crash would."""
        raise NotImplementedError

    def end(self):
        """Leaves nothing of it."""


class Vm(Member):
    """A QEMU or a User Mode Linux; `make` gives one that is not launched."""

    def __init__(self, lab, name, number, make, opened=False):
        super().__init__(lab, name, number)
        self.make, self.opened = make, opened

    def begin(self):
        self.machine = self.make(self)
        self.machine.launch()

    def wait(self):
        self.machine.wait_ready()

    def kill(self):
        self.machine.kill()
        if self.opened:  # no kernel tells that the other end of a datagram socket is closed: fethd looks now and then
            poll_until(f"{self.name} is missed", lambda: self.mac not in [p.get("mac") for p in self.lab.d.ports()], 20)

    def end(self):
        if self.machine:
            self.machine.stop()


class Bridged(Vm):
    """A QEMU with a tap of its own, as Firecracker has one: in a bridge with a tap port's interface."""

    def __init__(self, lab, name, number):
        super().__init__(lab, name, number, self.guest)
        self.ns = Namespace()
        lab.d.call("port.add", network="lab", name=name, kind="tap", ifname="up0", netns=self.ns.name)
        for words in ("link add br0 type bridge", "tuntap add fc0 mode tap", "link set up0 master br0",
                      "link set fc0 master br0", "link set br0 up", "link set fc0 up"):
            self.ns.ip(words)

    def guest(self, m):
        return Guest(m.name, lan.GUESTDIR, ["-netdev", "tap,id=net0,ifname=fc0,script=no,downscript=no"], mac=m.mac,
                     addr=f"{m.ip}/24", addr6=f"{m.ip6}/64", prefix=self.ns.prefix)

    def end(self):
        super().end()
        self.ns.delete()


class InNamespace(Member):
    """A kernel of a namespace of its own, whose eth0 comes from somewhere else."""

    def __init__(self, lab, name, number):
        super().__init__(lab, name, number)
        self.ns = Namespace()
        self.machine = Netns(self.ns.name, lan.GUESTDIR)
        self.machine.name = name
        self.job = None

    def command(self):
        """What brings the interface, as long as it runs."""
        raise NotImplementedError

    def begin(self):
        self.job = self.machine.spawn("exec " + self.command())

    def wait(self):
        poll_until(f"{self.name} has an interface", lambda: self.ns.link("eth0"), 20)
        self.ns.ip(f"link set eth0 address {self.mac} up")
        self.ns.ip(f"address add {self.ip}/24 dev eth0")
        self.ns.ip(f"address add {self.ip6}/64 dev eth0 nodad")

    def kill(self):
        self.job.kill()
        poll_until(f"the interface of {self.name} is gone", lambda: not self.ns.link("eth0"), 20)

    def end(self):
        self.machine.stop()
        self.ns.delete()


class VdePlug(InNamespace):
    def command(self):
        return f"vde_plug vde://{self.lab.path('vde')} tap://eth0"


class Pump(InNamespace):
    def wait(self):
        self.job.wait_for("ready")  # it has an interface before it has set that up
        super().wait()

    def command(self):
        return f"{sys.executable} {PUMP} {self.lab.path('feth.sock')} {self.mac} eth0"


class TapPort(InNamespace):
    """Its interface is fethd's to make, and to make again."""

    def begin(self):
        self.lab.d.call("port.add", network="lab", name=self.name, kind="tap", ifname="eth0",
                        netns=self.ns.name, mac=self.mac)
        self.begin = lambda: None  # it is declared; what follows is fethd's affair

    def kill(self):
        old = self.ns.link("eth0")["ifindex"]
        self.ns.ip("link delete eth0")
        poll_until("there is another interface", lambda: (self.ns.link("eth0") or {}).get("ifindex", old) != old, 20)


class TheHost(Member):
    """The host side: killed, it is made anew with all its addresses."""

    def begin(self):
        self.machine = Netns(self.lab.ns.name, lan.GUESTDIR)
        self.machine.name = self.name
        self.begin = lambda: None

    def kill(self):
        host = self.lab.net["host"]
        old = self.lab.ns.link(host)["ifindex"]
        self.lab.ns.ip(f"link delete {host}")
        poll_until("there is another interface", lambda: (self.lab.ns.link(host) or {}).get("ifindex", old) != old, 20)

    def end(self):
        if self.machine:
            self.machine.stop()


class Lab:
    """The daemon, its network, and everybody on it."""

    def __init__(self, case):
        self.ns = case.enterClassContext(Namespace())
        self.d = case.enterClassContext(Daemon(prefix=self.ns.prefix))
        self.net = self.d.create(backend="veth", mtu=MTU, addresses=["10.77.0.1/24", "fd77::1/64"])
        numbers = itertools.count(2)
        dgram = self.d.call("port.add", network="lab", name="dgram", kind="dgram", remote=self.path("dgram/vm.sock"))
        unix = "addr.type=unix,addr.path="
        seqpacket = self.path("seqpacket.sock")
        self.members = [TheHost(self, "host", 1)]
        if FULL:
            self.members += [
                self.qemu("stream", next(numbers), f"stream,id=net0,server=off,{unix}{self.path('qemu.sock')}"),
                self.qemu("fd3", next(numbers), "socket,id=net0,fd=3", run="qemu"),
                self.qemu("dgram3", next(numbers), "dgram,id=net0,local.type=fd,local.str=3", run="dgram"),
                Bridged(self, "bridged", next(numbers)),
                self.uml("umlfd", next(numbers), lambda m: "vec0:transport=fd,fd=3,depth=128", run="seqpacket")]
        self.members += [
            self.qemu("dgram", next(numbers), f"dgram,id=net0,local.type=unix,local.path={self.path('dgram/vm.sock')},"
                      f"remote.type=unix,remote.path={dgram['path']}"),
            self.qemu("vde", next(numbers), f"vde,id=net0,sock={self.path('vde')}"),
            self.uml("bess", next(numbers), lambda m: f"vec0:transport=bess,dst={seqpacket},depth=128"),
            self.uml("umlvde", next(numbers), lambda m: f"eth0=vde,{self.path('vde')},{m.mac}"),
            VdePlug(self, "vdeplug", next(numbers)),
            TapPort(self, "tap", next(numbers)),
            Pump(self, "native", next(numbers))]
        for m in self.members:
            case.addClassCleanup(m.end)
        start = time.monotonic()
        for m in self.members:
            m.begin()
        for m in self.members:
            m.wait()
        print(f"  {len(self.members)} members after {time.monotonic() - start:.1f} s", flush=True)

    def path(self, name):
        return self.d.path("lab", name)

    def run(self, kind, m):
        return [FETHCTL, "--run-dir", self.d.run_dir, "run", "lab", "--kind", kind, "--mac", m.mac, "--"]

    def qemu(self, name, number, netdev, run=None):
        def make(m):
            return Guest(name, lan.GUESTDIR, ["-netdev", netdev], mac=m.mac, addr=f"{m.ip}/24", addr6=f"{m.ip6}/64",
                         prefix=self.run(run, m) if run else ())
        return Vm(self, name, number, make, opened=bool(run))

    def uml(self, name, number, nic, run=None):
        def make(m):
            return Uml(name, lan.GUESTDIR, nic(m), mac=m.mac, addr=f"{m.ip}/24", addr6=f"{m.ip6}/64",
                       prefix=self.run(run, m) if run else ())
        return Vm(self, name, number, make, opened=bool(run))

    def others(self, member):
        return [m for m in self.members if m is not member]


class AttachAll(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(cls)

    def reach(self, sender, receivers):
        """Full packets, IPv4 and IPv6, to all of them at once; one that a slow machine is late with is sent again."""
        words = " ".join(f"ping,1472,{m.ip} ping6,1452,{m.ip6}" for m in receivers)
        said = sender.machine.check(
            "try() { busybox $1 -q -c 1 -w 20 -s $2 $3 >/dev/null 2>&1; }; "
            f"for w in {words}; do (IFS=,; set -- $w; try $@ || try $@ || echo $w) & done; wait", 90)
        self.assertEqual(said, "", f"{sender.name} does not reach these")

    def test_1_all_pairs_ping_with_full_packets(self):
        for m in self.lab.members:
            with self.subTest(sender=m.name):
                self.reach(m, self.lab.others(m))
        self.assertEqual(self.lab.d.stats()["drops"], {})

    def test_2_all_pairs_move_data_by_tcp(self):
        """In the short form each to the next; in the long one every pair, in one direction or the other."""
        members = self.lab.members
        pairs = list(itertools.combinations(members, 2)) if FULL else zip(members, members[1:] + members[:1])
        for n, (a, b) in enumerate(pairs):
            sender, receiver = (a, b) if n % 2 else (b, a)
            with self.subTest(sender=sender.name, receiver=receiver.name):
                t = tcp_transfer(sender.machine, receiver.machine, receiver.ip, 4000 + n, BULK, seed=n)
                self.assertEqual(t.sent, t.received)
                print(f"  {sender.name} to {receiver.name}: {BULK / t.seconds / 1e6:.0f} MB/s", flush=True)

    @staticmethod
    def pings(sender, receiver):
        return lan.Pings(sender.machine, receiver.ip, 0.3)

    def ports(self):
        return {(p["name"], p["port"], p.get("pid")) for p in self.lab.d.ports()}

    def test_3_each_is_killed_and_begins_again_and_nobody_else_notices(self):
        members = self.lab.members
        following = dict(zip(members, members[1:] + members[:1]))
        ring = {m: self.pings(m, following[m]) for m in members}
        self.addCleanup(lambda: [p.end() for p in ring.values()])
        for victim in members:
            if not FULL and victim.name not in DAILY:
                continue
            with self.subTest(victim=victim.name):
                for p in ring.values():
                    p.go_on()
                before = self.ports()
                victim.kill()
                victim.begin()
                victim.wait()
                for m in members:
                    if victim in (m, following[m]):
                        ring[m].end()
                        ring[m] = self.pings(m, following[m])
                self.reach(victim, self.lab.others(victim))
                for m, p in ring.items():
                    p.go_on()
                    if victim not in (m, following[m]):
                        self.assertEqual(p.lost(), [], f"{m.name} to {following[m].name}")
                self.assertLessEqual(len(before - self.ports()), 1, "ports of others are the same")


if __name__ == "__main__":
    require_uml()
    if not shutil.which("vde_plug"):
        skip_all("there is no vde_plug here (Debian: vde2)")
    lan.main()
