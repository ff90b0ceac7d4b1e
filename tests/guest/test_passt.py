"""test_passt.py - fethd calls: a QEMU that listens (server=on), itself, and passt, by which a guest gets an
address and reaches a server on this machine; and again after passt was killed. A second guest by UDP.

    guest - QEMU's own socket <- lab -> up's qemu.sock, up -> passt - this machine
    other - UDP - lab

Needs root (for a namespace that passt takes for the machine), passt and what build.sh needs.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "netns")]
# pylint: disable=wrong-import-position
from guest import Guest, Netns, boot, prepare, tcp_transfer
from harness import Daemon, main, poll_until
from netlab import Namespace, require

OTHER = "10.99.0.11"
ADDRESS, ROUTER = "10.99.0.5", "10.99.0.1"  # the namespace's own; passt gives them on
GUESTDIR = None  # set by main


class Uplink(unittest.TestCase):
    """The tests build on one another, in the order of their names."""

    @classmethod
    def setUpClass(cls):
        cls.ns = cls.enterClassContext(Namespace())
        cls.ns.ip("link add wan type veth peer name beyond")
        cls.ns.ip(f"addr add {ADDRESS}/24 dev wan")
        for name in ("wan", "beyond"):
            cls.ns.ip(f"link set {name} up")
        cls.ns.ip(f"route add default via {ROUTER}")
        cls.dir = cls.enterClassContext(tempfile.TemporaryDirectory())
        os.chmod(cls.dir, 0o777)  # passt makes its socket as nobody
        cls.passt = None
        cls.addClassCleanup(cls.end_passt)
        cls.d = cls.enterClassContext(Daemon(prefix=cls.ns.prefix))
        for name in ("lab", "up"):
            cls.d.create(name, backend="none")
        # none of them is there yet, but for the second
        for network, port, to in (("lab", "vm", f"{cls.dir}/vm.sock"), ("lab", "up", cls.d.path("up/qemu.sock")),
                                  ("up", "passt", f"{cls.dir}/passt.sock")):
            cls.d.ctl("port", "add", network, port, "--kind", "qemu", "--connect", to, check=True)
        cls.start_passt()
        stream = f"stream,id=net0,server=on,addr.type=unix,addr.path={cls.dir}/vm.sock"
        cls.guest = Guest("penguin", GUESTDIR, ["-netdev", stream], mac="02:00:00:00:00:0a", addr="dhcp",
                          addr6="fd00::a/64")
        # in the namespace, whose ports nobody else has
        cls.d.ctl("port", "add", "lab", "other", "--kind", "udp", "--local", "127.0.0.1:10001", "--remote",
                  "127.0.0.1:10002", check=True)
        dgram = "dgram,id=net0,local.type=inet,local.host=127.0.0.1,local.port=10002," \
                "remote.type=inet,remote.host=127.0.0.1,remote.port=10001"
        cls.other = Guest("other", GUESTDIR, ["-netdev", dgram], mac="02:00:00:00:00:0b", addr=f"{OTHER}/24",
                          addr6="fd00::b/64", prefix=cls.ns.prefix)
        cls.enterClassContext(boot(cls.guest, cls.other))
        cls.host = cls.enterClassContext(Netns(cls.ns.name, GUESTDIR))

    @classmethod
    def start_passt(cls):
        cls.passt = subprocess.Popen(
            [*cls.ns.prefix, "passt", "--foreground", "--quiet", "--socket", f"{cls.dir}/passt.sock", "-m", "1500"],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @classmethod
    def end_passt(cls):
        if cls.passt:
            cls.passt.send_signal(signal.SIGKILL)
            cls.passt.wait()
            cls.passt = None

    def attached(self):
        poll_until("all are attached", lambda: all(
            self.d.port(port, net)["state"] == "attached"
            for net, port in (("lab", "vm"), ("lab", "up"), ("up", "passt"))), 20)

    def test_1_the_guest_has_the_machines_address(self):
        self.attached()
        self.assertIn(f" inet {ADDRESS}/24 ", self.guest.check("ip -4 -o addr show dev eth0"))
        self.assertIn(f"default via {ROUTER}", self.guest.check("ip route"))
        self.assertEqual(self.d.port("passt", "up")["pid"], self.passt.pid)
        self.assertEqual(self.d.stats("passt", "up")["drops"]["oversize"], 0)

    def test_2_it_reaches_a_server_on_this_machine(self):
        """What passt is sent for the router goes to the machine's loopback."""
        self.transfer(8080)

    def test_3_and_again_after_passt_was_killed(self):
        self.end_passt()
        poll_until("it is missed", lambda: self.d.port("passt", "up").get("why"))
        self.start_passt()
        started = time.monotonic()
        self.attached()
        print(f"\n  attached {time.monotonic() - started:.2f} s after its start", flush=True)
        self.transfer(8081)

    def test_4_another_guest_by_udp(self):
        """Without passt, which answers ARP for every address but the one it gave."""
        self.d.ctl("port", "remove", "lab", "up", check=True)
        self.guest.check("ip neigh flush dev eth0")
        for there in (OTHER, "fd00::b"):
            self.guest.check(f"ping -q -c 3 -w 10 {there}")
        self.transfer(8082, self.other, OTHER)

    def test_5_qemu_listens_again(self):
        """As after fethd's restart: it serves one connection at a time."""
        self.d.ctl("port", "remove", "lab", "vm", check=True)
        self.d.ctl("port", "add", "lab", "vm", "--kind", "qemu", "--connect", f"{self.dir}/vm.sock", check=True)
        poll_until("it is attached", lambda: self.d.port("vm")["state"] == "attached", 20)
        self.other.check(f"ping -q -c 3 -w 10 {ADDRESS}")

    def transfer(self, port, receiver=None, to=ROUTER):
        t = tcp_transfer(self.guest, receiver or self.host, to, port, 1 << 20)
        self.assertEqual(t.sent, t.received)
        print(f"\n  1 MiB in {t.seconds:.2f} s", flush=True)


if __name__ == "__main__":
    if not shutil.which("passt"):
        print("SKIPPED: there is no passt here (Debian: passt)", file=sys.stderr)
        sys.exit(77)
    require()
    GUESTDIR = prepare()
    main()
