"""test_passt.py - fethd calls: a QEMU that listens (server=on), itself, and passt, by which a guest gets an
address and reaches a server on this machine; and again after passt was killed.

    guest - QEMU's own socket <- lab -> up's qemu.sock, up -> passt - this machine

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
from guest import Guest, Netns, prepare, tcp_transfer
from harness import Daemon, main, poll_until
from netlab import Namespace, require

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
        cls.guest = Guest("penguin", GUESTDIR, ["-netdev", stream], mac="02:00:00:00:00:0a", addr="dhcp")
        cls.enterClassContext(cls.guest)
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

    def transfer(self, port):
        t = tcp_transfer(self.guest, self.host, ROUTER, port, 1 << 20)
        self.assertEqual(t.sent, t.received)
        print(f"\n  1 MiB in {t.seconds:.2f} s", flush=True)


if __name__ == "__main__":
    if not shutil.which("passt"):
        print("SKIPPED: there is no passt here (Debian: passt)", file=sys.stderr)
        sys.exit(77)
    require()
    GUESTDIR = prepare()
    main()
