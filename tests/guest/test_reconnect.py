"""test_reconnect.py - a guest is back after the daemon was restarted, without anybody's help.

That takes a QEMU whose `-netdev stream` can reconnect: qemu10.sh unpacks one, or $FETHD_QEMU10 names
it. Needs root and what build.sh needs.
"""
import os
import pathlib
import re
import subprocess
import sys
import time
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "netns")]
# pylint: disable=wrong-import-position
from guest import Guest, boot, prepare
from harness import Daemon, main, poll_until, skip_all
from netlab import IPV4, Namespace, Tap, frame_type, require

INSTALLED = os.environ.get("FETHD_QEMU", "qemu-system-x86_64")
LIMIT_S = 3.0
MAC, HOST_IP, GUEST_IP = "02:00:00:00:00:0a", "10.77.0.1", "10.77.0.2"
GUESTDIR = QEMU10 = None


def version(qemu):
    text = subprocess.check_output([qemu, "--version"], text=True)
    return tuple(int(n) for n in re.search(r"version (\d+)\.(\d+)", text).groups())


def takes(qemu, option):
    """Whether `-netdev stream` knows the option; QEMU stays up if it does."""
    netdev = "stream,id=n,server=off,addr.type=unix,addr.path=/nonexistent/socket," + option
    with subprocess.Popen([qemu, "-nodefaults", "-display", "none", "-machine", "none", "-S",
                           "-monitor", "stdio", "-netdev", netdev], text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
        said, _ = p.communicate("quit\n", timeout=30)
    if p.returncode == 0:
        return True
    assert "is unexpected" in said or "not supported" in said, said
    return False


class Options(unittest.TestCase):
    """What the README says of QEMU's versions."""

    def test_which_qemu_takes_which_option(self):
        for qemu in (INSTALLED, QEMU10):
            v = version(qemu)
            got = {option: takes(qemu, option) for option in ("reconnect=1", "reconnect-ms=500")}
            print(f"\n  QEMU {v[0]}.{v[1]} takes {[o for o, yes in got.items() if yes] or 'neither'}", flush=True)
            self.assertEqual(got["reconnect-ms=500"], v >= (9, 2))
            if v < (10, 1):  # deprecated since 9.2, and to go
                self.assertEqual(got["reconnect=1"], v >= (8, 0))


class Reconnect(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ns = cls.enterClassContext(Namespace())
        cls.d = cls.enterClassContext(Daemon(prefix=cls.ns.prefix))
        cls.create()
        stream = f"stream,id=net0,server=off,addr.type=unix,addr.path={cls.d.path('lab', 'qemu.sock')}"
        cls.guest = Guest("a", GUESTDIR, ["-netdev", stream + ",reconnect-ms=500"], mac=MAC, qemu=QEMU10,
                          addr=f"{GUEST_IP}/24")
        cls.enterClassContext(boot(cls.guest))
        cls.guest.check(f"ping -q -c 1 -w 10 {HOST_IP}")
        # Pings on and on, whatever happens: a new one every 0.2 s. A line for each that is answered.
        cls.pings = cls.guest.spawn(f"while :; do ( ping -q -c 1 -W 2 {HOST_IP} >/dev/null 2>&1 && "
                                    "echo >>/tmp/answered ) & usleep 200000; done")

    @classmethod
    def create(cls):
        cls.net = cls.d.create(backend="veth", addresses=[f"{HOST_IP}/24"])

    def answered(self):
        return int(self.guest.check("cat /tmp/answered 2>/dev/null | wc -l"))

    def back_after(self, what, stop, start):
        """Ends and starts the network; how long until the host has answered the guest again."""
        for _ in range(3):
            poll_until("the guest pings", lambda n=self.answered(): self.answered() > n)
            stop()
            before = self.answered()
            since = time.monotonic()
            start()
            ready = time.monotonic() - since
            with Tap(self.ns, self.net["host"]) as tap:
                self.reply(tap)
            seconds = time.monotonic() - since
            print(f"\n  {what}: network there after {ready:.2f} s, guest pings after {seconds:.2f} s",
                  end="", flush=True)
            self.assertLess(seconds, LIMIT_S)
            poll_until("the guest sees the answers", lambda n=before: self.answered() > n, 3)
            self.assertTrue(self.ns.ping(GUEST_IP))
        print()

    @staticmethod
    def reply(tap):
        """Returns when an echo reply leaves towards the guest."""
        def left():
            return any(out and frame_type(f) == IPV4 and f[:6].hex(":") == MAC and f[34] == 0
                       for f, out in tap.drain())
        poll_until("the host answers the guest", left, 20)

    def test_after_sigterm(self):
        def start():
            self.d.start()
            self.create()
        self.back_after("SIGTERM and start", lambda: self.assertEqual(self.d.stop(), 0), start)

    def test_after_a_crash(self):
        def start():
            self.d.start()
            self.create()
        self.back_after("kill -9 and start", self.d.kill, start)

    def test_after_the_network_alone_was_deleted(self):
        self.back_after("delete and create", lambda: self.d.call("network.delete", network="lab"), self.create)


def newer_qemu(guestdir):
    """The QEMU to test with; exits 77 where there is none."""
    named = os.environ.get("FETHD_QEMU10")
    if named:
        return named
    outdir = os.path.join(os.path.dirname(guestdir), "qemu10")
    script = TESTS / "guest" / "qemu10.sh"
    status = subprocess.run([script, outdir], stdin=subprocess.DEVNULL, check=False).returncode
    if status:
        if status == 77:
            skip_all("there is no QEMU that can reconnect")
        sys.exit(status)
    return os.path.join(outdir, "qemu10")


if __name__ == "__main__":
    require("ping")
    GUESTDIR = prepare()
    QEMU10 = newer_qemu(GUESTDIR)
    main()
