"""test_dropins.py - the programs that stand in for others': socket_vmnet_client, vmnet-run, softnet.

Each by the command lines that its namesake documents. Networks have no host side; no privilege is
needed but for the one test of giving it up.
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
import harness as h

DROPINS = pathlib.Path(os.path.abspath(h.FETHCTL)).parent / "dropins"
VM = h.mac(0x51)
SECONDS = 30


def run(name, *args, env=None, **kw):
    return subprocess.run([DROPINS / name, *args], text=True, stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=SECONDS, env={**os.environ, **(env or {})}, check=False, **kw)


class Case(unittest.TestCase):
    def setUp(self):
        self.d = self.enterContext(h.Daemon())
        self.net = self.d.create("shared")
        self.other = self.attach(2)

    def attach(self, n, **params):
        c = self.d.attach("shared", mac=h.mac_text(h.mac(n)), **params)
        self.addCleanup(c.close)
        return c

    def fails(self, name, *args, what, env=None):
        p = run(name, *args, env=env)
        self.assertEqual((p.returncode, p.stdout), (1, ""), p.stderr)
        self.assertIn(what, p.stderr)
        self.assertEqual(p.stderr.count("\n"), 1, p.stderr)


# what a command does with its descriptor: answers the first frame of a test, and leaves with a status
STREAM = r"""
import socket, sys
s = socket.socket(fileno=3)
f = b""
while f[12:14] != b"\x88\xb5":
    n = s.recv(4, socket.MSG_WAITALL) or sys.exit("it was closed")
    f = s.recv(int.from_bytes(n, "big"), socket.MSG_WAITALL)
s.sendall(n + f[6:12] + f[:6] + f[12:])
sys.exit(7)
"""
DATAGRAM = r"""
import socket, sys
s = socket.socket(fileno=4)
f = b""
while f[12:14] != b"\x88\xb5":
    f = s.recv(65536)
s.send(f[6:12] + f[:6] + f[12:])
sys.exit(7 if s.type == socket.SOCK_DGRAM else 1)
"""


class SocketVmnetClient(Case):
    NAME = "socket_vmnet_client"

    def test_as_documented(self):
        """socket_vmnet_client SOCKET qemu-system-x86_64 … -netdev socket,id=net0,fd=3, also behind --"""
        path = self.d.path("shared", "qemu.sock")
        for dashes in ([], ["--"]):
            child = subprocess.Popen([DROPINS / self.NAME, path, *dashes, sys.executable, "-c", STREAM])
            h.poll_until("it is a port", lambda: any(p["kind"] == "qemu" for p in self.d.ports("shared")))
            f = h.frame(h.BROADCAST, h.mac(2), b"hello")
            self.other.send(f)
            self.assertEqual(self.other.recv(), h.frame(h.mac(2), h.BROADCAST, b"hello"))
            self.assertEqual(child.wait(SECONDS), 7)
            h.poll_until("the port is gone", lambda: not any(p["kind"] == "qemu" for p in self.d.ports("shared")))

    def test_what_it_says(self):
        path = self.d.path("shared", "qemu.sock")
        self.fails(self.NAME, what="usage: socket_vmnet_client SOCKET COMMAND")
        self.fails(self.NAME, path, what="usage")
        self.fails(self.NAME, path, "--", what="no command")
        self.fails(self.NAME, path + "x", "true", what=f"connect to {path}x: No such file")
        self.fails(self.NAME, "/" + "x" * 200, "true", what="too long")
        self.fails(self.NAME, path, "/nonexistent", what="cannot run /nonexistent")


class VmnetRun(Case):
    NAME = "vmnet-run"

    def asked(self, *args, env=None):
        """What fethctl is asked for."""
        with tempfile.TemporaryDirectory() as folder:
            fake = f"{folder}/fethctl"
            pathlib.Path(fake).write_text('#!/bin/sh\necho "$@"\n', encoding="ascii")
            os.chmod(fake, 0o755)
            p = run(self.NAME, *args, env={"FETHCTL": fake, "FETH_NET": "", **(env or {})})
        self.assertEqual(p.returncode, 0, p.stderr)
        return p.stdout.strip(), p.stderr

    def test_as_documented(self):
        """The command has a datagram socket at descriptor 4, with a frame a datagram."""
        env = {**os.environ, "FETHD_RUN_DIR": self.d.run_dir, "FETHCTL": h.FETHCTL}
        child = subprocess.Popen([DROPINS / self.NAME, "--enable-isolation", "--interface-id",
                                  "2835E074-9892-4A79-AFFB-7E41D2605678", "--", sys.executable, "-c", DATAGRAM],
                                 env=env)
        name = "2835e07498924a79affb7e41d2605678"
        port = h.poll_until("it is a port", lambda: self.d.port(name, "shared"))
        self.assertEqual((port["kind"], port["isolated"]), ("dgram", True))
        self.other.send(h.frame(h.BROADCAST, h.mac(2), b"hello"))
        self.assertEqual(self.other.recv(), h.frame(h.mac(2), h.BROADCAST, b"hello"))
        self.assertEqual(child.wait(SECONDS), 7)

    def test_options_become_those_of_fethctl_run(self):
        uuid = "2835E074-9892-4A79-AFFB-7E41D2605678"
        plain = "--kind dgram --fd 4"
        for args, env, want in (
            ([], {}, f"run shared {plain}"),
            (["--operation-mode", "host"], {}, f"run host {plain}"),
            (["--operation-mode=bridged", "-v"], {"FETH_NET": "lab"}, f"run lab {plain}"),
            (["--network", "net1"], {"FETH_NET": "lab"}, f"run net1 {plain}"),
            (["--interface-id", uuid], {}, f"run shared {plain} --name 2835e07498924a79affb7e41d2605678"),
            (["--enable-isolation"], {}, f"run shared {plain} --isolated on"),
            (["--enable-tso", "--enable-checksum-offload"], {}, f"run shared {plain} --raw-offload on"),
            (["--stats-interval", "1", "--verbose"], {}, f"run shared {plain}"),
        ):
            for dashes in ([], ["--"]):
                with self.subTest(args=args, dashes=dashes):
                    said = self.asked(*args, *dashes, "vfkit", "--device=virtio-net,fd=4", env=env)
                    self.assertEqual(said, (f"{want} -- vfkit --device=virtio-net,fd=4", ""))
        said, warning = self.asked("--start-address", "192.168.105.1", "--end-address", "192.168.105.254",
                                   "--subnet-mask", "255.255.255.0", "--", "true")
        self.assertEqual(said, f"run shared {plain} -- true")
        self.assertIn("ignored", warning)

    def test_what_it_says(self):
        for args, what in (
            (["--interface-id", "x", "--", "true"], "it must be a UUID"),
            (["--operation-mode", "x", "--", "true"], "shared, host or bridged"),
            (["--network", "a", "--operation-mode", "host", "--", "true"], "--network a"),
            (["--frob", "--", "true"], "option --frob"),
            (["--network"], "its value is missing"),
        ):
            self.fails(self.NAME, *args, what=what)
        self.fails(self.NAME, "--", "true", what="cannot run /nonexistent", env={"FETHCTL": "/nonexistent"})
        p = run(self.NAME, "--")
        self.assertEqual((p.returncode, "usage: vmnet-run" in p.stderr), (1, True))
        p = run(self.NAME, "--help")
        self.assertEqual((p.returncode, "usage: vmnet-run" in p.stderr), (0, True))
        self.assertIn("version: ", run(self.NAME, "--version").stdout)


class Softnet(Case):
    NAME = "softnet"

    def start(self, *args, network="shared", program=None, **kw):
        """As Tart starts it: the pair's end is its standard input. Returns the machine's end."""
        vm, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        vm = h.Messages(fd=vm.detach())
        self.addCleanup(vm.close)
        env = {**os.environ, "FETHD_RUN_DIR": self.d.run_dir, "FETH_NET": network}
        argv = [program or DROPINS / self.NAME, "--vm-fd", "0", "--vm-mac-address", h.mac_text(VM), *args]
        self.child = subprocess.Popen(argv, stdin=end, env=env, **kw)
        end.close()
        self.addCleanup(self.child.wait, SECONDS)
        self.addCleanup(self.child.kill)
        self.port()
        return vm

    def port(self):
        def find():
            self.assertIsNone(self.child.poll(), "it has ended")
            return next((p for p in self.d.ports(self.net["name"]) if p.get("mac") == h.mac_text(VM)), None)
        return h.poll_until("the machine is on the network", find)

    def both_ways(self, vm, other):
        """Frames up to a full one, in order, both ways."""
        frames = [(h.frame(h.mac(2), VM, bytes([n]), size=size), h.frame(VM, h.mac(2), bytes([n]), size=size))
                  for n, size in enumerate((60, 14 + 46, 590, 1514))]
        for up, _ in frames:
            vm.send(up)
        for _, down in frames:
            other.send(down)
        self.assertEqual([other.recv() for _ in frames], [up for up, _ in frames])
        self.assertEqual([vm.recv() for _ in frames], [down for _, down in frames])

    def test_frames_go_both_ways_and_the_port_is_locked_and_isolated(self):
        vm = self.start()
        port = self.port()
        self.assertEqual((port["locked"], port["isolated"], port["kind"]), (True, True, "native"))
        self.both_ways(vm, self.other)
        vm.send(h.frame(h.mac(2), h.mac(0x52)))
        vm.send(h.frame(h.mac(2), VM, b"mine"))
        self.assertEqual(self.other.recv(), h.frame(h.mac(2), VM, b"mine"), "and not the one from a foreign address")
        second = self.attach(3, isolated=True)
        second.send(h.frame(VM, h.mac(3), b"from one isolated to another"))
        self.other.send(h.frame(VM, h.mac(2), b"after it"))
        self.assertEqual(vm.recv(), h.frame(VM, h.mac(2), b"after it"))

    def test_what_allows_everything_is_not_isolated(self):
        self.start("--vm-net-type", "host", "--allow", "10.0.0.0/8,0.0.0.0/0", "--bootpd-lease-time", "600")
        self.assertFalse(self.port()["isolated"])

    def test_without_a_name_it_is_the_network_of_that_type(self):
        self.net = self.d.create("nat")
        self.start("--allow", "10.0.0.0/8", network="")
        self.assertTrue(self.port()["isolated"])

    def test_what_is_no_frame_disturbs_nothing(self):
        vm = self.start()
        for junk in (b"", b"x", bytes(13), b"VFKT"):
            vm.send(junk)
        vm.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        vm.send(h.frame(h.mac(2), VM, size=9000))  # over the port's cap
        vm.send(h.frame(h.mac(2), VM, size=70000))  # over what a frame can be: cut by recv(), and over the cap
        self.both_ways(vm, self.other)

    def test_a_machine_that_does_not_read_loses_frames_and_is_reached_again(self):
        vm = self.start()
        full = h.frame(VM, h.mac(2), size=1514)
        for _ in range(40):
            self.other.send(*[full] * 64)
        h.taken(self.other)
        for i in range(50):  # what comes from it goes on
            vm.send(h.frame(h.mac(2), VM, bytes([i])))
            self.assertEqual(self.other.recv(), h.frame(h.mac(2), VM, bytes([i])))
        last = h.frame(VM, h.mac(2), b"again")

        def reached():
            self.other.send(last)
            try:
                while vm.recv(seconds=0.2) != last:
                    pass
            except TimeoutError:
                return False
            return True
        h.poll_until("it gets frames again", reached, SECONDS)

    def test_a_flood_to_a_machine_that_does_not_read_does_not_keep_it_from_sending(self):
        vm, other = self.start(), self.attach(3)
        with h.Flood(self.other, *[h.frame(VM, h.mac(2), size=1514)] * 64):
            h.poll_until("the machine is full", lambda: self.child.poll() is None and self.port() and
                         self.d.stats(self.port()["name"], "shared")["drops"], SECONDS)
            for i in range(20):
                vm.send(h.frame(h.mac(3), VM, bytes([i])))
                self.assertEqual(other.recv(), h.frame(h.mac(3), VM, bytes([i])))

    def test_it_comes_back_after_a_restart(self):
        vm = self.start()
        self.both_ways(vm, self.other)
        self.d.kill()
        for _ in range(2000):  # far more than a socket holds: it is read, and dropped
            vm.send(h.frame(h.mac(2), VM, size=1514))
        self.d.start()
        self.net = self.d.create("shared")
        self.port()
        other = self.attach(2)
        vm.send(h.frame(h.mac(2), VM, b"there"))
        self.assertEqual(other.recv(), h.frame(h.mac(2), VM, b"there"))
        self.both_ways(vm, other)

    def test_it_ends_with_the_machine(self):
        vm = self.start()
        vm.close()
        self.other.send(h.frame(h.BROADCAST, h.mac(2)))
        self.assertEqual(self.child.wait(SECONDS), 0)

    def test_it_ends_as_tart_ends_it(self):
        self.start()
        self.child.send_signal(signal.SIGINT)
        self.child.wait(SECONDS)
        h.poll_until("the port is gone", lambda: not any(
            p.get("mac") == h.mac_text(VM) for p in self.d.ports("shared")))

    @unittest.skipIf(os.geteuid() != 0, "needs root: what it is to give up")
    def test_it_gives_up_the_privilege_that_tart_gives_it(self):
        self.d.call("network.delete", network="shared")
        self.net = self.d.create("shared", mode="0666")
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            program = shutil.copy(DROPINS / self.NAME, folder)
            os.chmod(program, 0o4755)
            self.start(program=program, user=65532, group=65532, extra_groups=[])
            status = h.text_of(f"/proc/{self.child.pid}/status")
        for line in ("Uid:", "Gid:"):
            self.assertIn(line + "\t65532" * 4, status)
        self.assertEqual(self.port()["uid"], 65532)

    def test_what_it_says(self):
        env = {"FETHD_RUN_DIR": self.d.run_dir, "FETH_NET": "shared"}
        good = ["--vm-fd", "0", "--vm-mac-address", h.mac_text(VM)]
        self.fails(self.NAME, *good, what="--vm-fd 0: it is no datagram socket", env=env)  # /dev/null
        for args, what in (
            ([], "are needed"),
            (["--vm-fd", "x"], "number of a descriptor"),
            (["--vm-mac-address", "02:00"], "must look like"),
            (["--vm-mac-address", "02:00:00:00:00:0g"], "must look like"),
            (["--block", "0.0.0.0/0"], "--block: fethd filters no addresses"),
            (["--expose", "2222:22"], "--expose: fethd"),
            (["--vm-net-type", "x"], "nat or host"),
            (["--user", "root"], "nothing to give up"),
            (["--frob"], "no such option"),
            (["x"], "no such thing"),
        ):
            self.fails(self.NAME, *args, what=what, env=env)
        vm, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with vm, end:
            for net, what in (("nosuch", "cannot reach network nosuch"), ("a/b", "cannot reach network a/b")):
                p = subprocess.run([DROPINS / self.NAME, *good], stdin=end, capture_output=True, text=True,
                                   timeout=SECONDS, env={**os.environ, **env, "FETH_NET": net}, check=False)
                self.assertEqual(p.returncode, 1)
                self.assertIn(what, p.stderr)
            self.d.call("port.add", network="shared", name="x", kind="qemu", mac=h.mac_text(VM), locked=True)
            p = subprocess.run([DROPINS / self.NAME, *good], stdin=end, capture_output=True, text=True,
                               timeout=SECONDS, env={**os.environ, **env}, check=False)
            self.assertIn("cannot attach to network shared", p.stderr)
        p = run(self.NAME, "--help")  # what Tart asks sudo, to see whether it may
        self.assertEqual((p.returncode, "usage: softnet" in p.stdout), (0, True))


if __name__ == "__main__":
    h.main()
