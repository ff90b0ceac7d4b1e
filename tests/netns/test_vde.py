"""test_vde.py - VDE's own programs on a network of ours: vde_plug, dpipe and vde_plug2tap, with taps in
namespaces; and libvdeplug_feth.so, loaded by the library it is for.

Needs root and the packages vdeplug, vde2 and qemu-system-x86.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from harness import BROADCAST, Daemon, frame, mac, main, poll_until
from netlab import Namespace, require

PLUGIN = os.environ.get("VDEPLUG_FETH", "build/dev/clients/libvdeplug_feth.so")


def plugins():
    """Where libvdeplug shall look: for ours, and for its own, which are beside it."""
    needed = subprocess.run(["ldd", shutil.which("vde_plug")], text=True, capture_output=True, check=True).stdout
    library = next(line.split()[2] for line in needed.splitlines() if "libvdeplug.so" in line)
    return f"{os.path.dirname(PLUGIN)}:{os.path.dirname(os.path.realpath(library))}/vdeplug"


class Box:
    """A namespace with a tap that a program of VDE's has opened."""

    def __init__(self, test, n, argv, env=None, mtu=1500):
        self.ns = test.enterContext(Namespace())
        self.n, self.argv, self.env, self.mtu = n, argv, env, mtu
        self.proc = None
        test.addCleanup(self.kill)
        self.start()

    def start(self):
        self.proc = subprocess.Popen([*self.ns.prefix, *self.argv], stdin=subprocess.DEVNULL, env=self.env,
                                     start_new_session=True)
        poll_until("its tap is there", lambda: self.ns.link("tap0"), 20)
        self.ns.ip(f"link set tap0 address 02:00:00:00:00:{self.n:02x} mtu {self.mtu} up")
        self.ns.ip(f"addr add 10.77.0.{self.n}/24 dev tap0")
        self.ns.ip(f"addr add fd77::{self.n}/64 dev tap0 nodad")

    def kill(self):
        """All of it at once, with what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.proc.pid, signal.SIGKILL)
        self.proc.wait()

    def ping(self, n, size=1472):
        return self.ns.ping(f"10.77.0.{n}", "-M", "do", "-s", str(size)) and \
            self.ns.ping(f"fd77::{n}", "-s", str(size - 20))


class Plugs(unittest.TestCase):
    def setUp(self):
        self.d = self.enterContext(Daemon())
        self.d.create("lab", backend="none")

    def vde(self, network="lab"):
        return self.d.path(network, "vde")

    def test_vde_plug_and_vde_plug2tap_reach_one_another_and_come_again(self):
        a = Box(self, 2, ["vde_plug", f"vde://{self.vde()}", "tap://tap0"])
        b = Box(self, 3, ["vde_plug2tap", f"--sock={self.vde()}", "tap0"])
        self.assertTrue(a.ping(3) and b.ping(2))
        witness = self.enterContext(self.d.attach())
        for box, other in ((a, b), (b, a)):
            before = {p["name"] for p in self.d.clients()}
            box.kill()
            poll_until("its port is gone", lambda n=len(before): len(self.d.clients()) == n - 1)
            box.start()
            self.assertTrue(box.ping(other.n) and other.ping(box.n))
        self.assertEqual(self.d.port("native-1")["state"], "attached")
        witness.send(frame(BROADCAST, mac(9)))

    def test_jumbo_frames_as_far_as_libvdeplug_goes(self):
        self.d.create("jumbo", backend="none", mtu=9216)
        plug = ["vde_plug", f"vde://{self.vde('jumbo')}", "tap://tap0"]
        a, b = (Box(self, n, plug, mtu=9216) for n in (2, 3))
        self.assertTrue(a.ping(3, 9216 - 28) and b.ping(2, 9216 - 28))

    def test_a_cable_between_two_networks(self):
        self.d.create("two", backend="none")
        cable = subprocess.Popen(["dpipe", "vde_plug", self.vde(), "=", "vde_plug", self.vde("two")],
                                 stdin=subprocess.DEVNULL)
        self.addCleanup(cable.wait)
        self.addCleanup(cable.terminate)  # which ends both plugs
        poll_until("both plugs are in", lambda: self.d.clients() and self.d.clients("two"), 20)
        with self.d.attach() as a, self.d.attach("two") as b:
            f = frame(BROADCAST, mac(1), b"over", size=1514)
            a.send(f)
            self.assertEqual(b.recv(), f)
            f = frame(mac(1), mac(2), b"back", size=60)
            b.send(f)
            self.assertEqual(a.recv(), f)

    def test_a_declared_port_by_its_group(self):
        self.d.call("port.add", network="lab", name="box", kind="vde", mac="02:00:00:00:00:02", locked=True)
        a = Box(self, 2, ["vde_plug", f"vde://{self.d.path('lab', 'ports')}[box]", "tap://tap0"])
        b = Box(self, 3, ["vde_plug", f"vde://{self.vde()}", "tap://tap0"])
        self.assertTrue(a.ping(3) and b.ping(2))
        self.assertEqual(self.d.port("box")["state"], "attached")

    def test_who_is_plugged_in_sees_the_daemon_go(self):
        a = Box(self, 2, ["vde_plug", f"vde://{self.vde()}", "tap://tap0"])
        self.d.call("network.delete", network="lab")
        self.assertEqual(a.proc.wait(10), 0)


class Plugin(unittest.TestCase):
    def setUp(self):
        self.d = self.enterContext(Daemon())
        self.d.create("lab", backend="none")
        self.env = {**os.environ, "FETHD_RUN_DIR": self.d.run_dir, "VDEPLUGIN_PATH": plugins()}

    def test_feth_by_name_by_path_and_by_port(self):
        self.d.call("port.add", network="lab", name="box", kind="seqpacket", mac="02:00:00:00:00:04", locked=True)
        boxes = [Box(self, n, ["vde_plug", url, "tap://tap0"], self.env) for n, url in (
            (2, "feth://lab"), (3, f"feth://{self.d.path('lab')}"), (4, "feth://lab[box]"))]
        self.assertEqual([p["kind"] for p in self.d.clients()], ["seqpacket"] * 3)
        for a in boxes:
            for b in boxes:
                self.assertTrue(a is b or a.ping(b.n), (a.n, b.n))
        self.assertEqual(self.d.port("box")["state"], "attached")
        self.d.call("network.delete", network="lab")
        for box in boxes:  # and none of them spins
            self.assertEqual(box.proc.wait(10), 0)

    def test_qemu_has_a_port_by_it(self):
        qemu = subprocess.Popen(["qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none",
                                 "-netdev", "vde,id=n,sock=feth://lab"], env=self.env, stdin=subprocess.DEVNULL)
        self.addCleanup(qemu.wait)
        self.addCleanup(qemu.kill)
        port = poll_until("it is plugged in", self.d.clients, 20)[0]
        self.assertEqual((port["kind"], port["pid"]), ("seqpacket", qemu.pid))

    def test_what_is_not_there_is_said_and_refused(self):
        for url, why in (("feth://none", "No such file"), ("feth:///nowhere/at/all", "No such file"),
                         ("feth://lab[no such]", "name"), ("feth://lab[a", "Invalid"), ("feth://" + "x" * 300, "too long")):
            p = subprocess.run(["vde_plug", url], env=self.env, stdin=subprocess.DEVNULL, text=True,
                               capture_output=True, timeout=30, check=False)
            self.assertEqual(p.returncode, 1, url)
            self.assertIn(why, p.stderr, url)
        self.assertEqual(self.d.clients(), [])


if __name__ == "__main__":
    require("vde_plug", "vde_plug2tap", "dpipe", "qemu-system-x86_64")
    main()
