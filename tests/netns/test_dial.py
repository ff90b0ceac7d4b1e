"""test_dial.py - ports that call, by the network.

Nobody is connected to himself: in a namespace of its own the kernel has one number to give to callers,
and that is the one that is called. A machine that does not answer: a neighbour of whom the kernel knows
the address, and who is not there. Needs root.
"""
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from harness import BROADCAST, Daemon, frame, mac, main, poll_until
from netlab import Namespace, require

NUMBER = 40000
ITSELF = f"import socket; s = socket.create_connection(('127.0.0.1', {NUMBER})); " \
    "assert s.getsockname() == s.getpeername()"

LISTENER = "import socket; s = socket.create_server(('192.0.2.2', 5000)); print('ready', flush=True); " \
    "c = [s.accept() for _ in range(9)]"


class Itself(unittest.TestCase):
    def test_it_waits(self):
        ns = self.enterContext(Namespace())
        d = self.enterContext(Daemon(prefix=ns.prefix))
        d.create("lab", backend="none")
        ns.sysctl("ipv4/ip_local_port_range", f"{NUMBER} {NUMBER}")
        ns.run(sys.executable, "-c", ITSELF)  # the kernel does it
        d.call("port.add", network="lab", name="up", kind="qemu", connect=f"tcp:127.0.0.1:{NUMBER}")
        poll_until("it says why", lambda: "nobody listens" in d.port("up").get("why", ""))
        self.assertNotIn("attached", d.log)

    def test_udp_whose_local_is_any(self):
        ns = self.enterContext(Namespace())
        d = self.enterContext(Daemon("--dial-anywhere", prefix=ns.prefix))
        d.create("lab", backend="none")
        for i, (any_, own) in enumerate((("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]"))):
            d.call("port.add", network="lab", name=f"up{i}", kind="udp", local=f"{any_}:{NUMBER}",
                   remote=f"{own}:{NUMBER}")
            poll_until("it says why", lambda i=i: "that is itself" in d.port(f"up{i}").get("why", ""))
        d.call("port.add", network="lab", name="other", kind="udp", local=f"0.0.0.0:{NUMBER}",
               remote=f"127.0.0.1:{NUMBER + 1}")
        poll_until("it is attached", lambda: d.port("other")["state"] == "attached")


class Far(unittest.TestCase):
    """Another machine."""

    def setUp(self):
        self.ns, self.far = self.enterContext(Namespace()), self.enterContext(Namespace())
        self.ns.ip("link add v type veth peer name w")
        self.ns.ip(f"link set w netns {self.far.name}")
        self.ns.ip("addr add 192.0.2.1/24 dev v")
        self.ns.ip("link set v up")
        self.far.ip("addr add 192.0.2.2/24 dev w")
        self.far.ip("link set w up")
        self.ns.ip("neigh add 192.0.2.9 lladdr 02:00:00:00:00:99 dev v")
        self.d = self.enterContext(Daemon("--dial-anywhere", prefix=self.ns.prefix))
        self.d.create("lab", backend="none")

    def add(self, name="up", to="192.0.2.9"):
        self.d.call("port.add", network="lab", name=name, kind="qemu", connect=f"tcp:{to}:5000")

    def tries(self):
        return self.ns.run("ss", "-Htn", "state", "syn-sent").stdout.count("192.0.2.9")

    def fds(self):
        return len(os.listdir(f"/proc/{self.d.proc.pid}/fd"))

    def test_a_try_under_way_ends_with_its_port(self):
        before = self.fds()
        for _ in range(3):
            self.add()
            self.assertEqual(self.tries(), 1)
            self.d.call("port.remove", network="lab", name="up")
            poll_until("it ends", lambda: not self.tries())
        self.add()
        poll_until("it took too long", lambda: "nobody answers there" in self.d.port("up").get("why", ""))
        self.d.call("port.remove", network="lab", name="up")
        poll_until("nothing is left", lambda: self.fds() <= before)
        self.add()
        self.d.call("network.apply", network="lab", replace=True,
                    ports=[{"name": "up", "kind": "qemu", "connect": "/nosuch"}])
        poll_until("it is another", lambda: "No such file" in self.d.port("up").get("why", ""))
        self.assertEqual(self.tries(), 0)
        self.add("more")
        self.assertEqual(self.tries(), 1)
        self.d.call("network.delete", network="lab")
        poll_until("it ends", lambda: not self.tries())
        self.d.create("lab", backend="none")
        self.add()
        self.assertEqual((self.tries(), self.d.stop()), (1, 0))

    def listen(self):
        p = self.enterContext(subprocess.Popen(
            [*self.far.prefix, sys.executable, "-c", LISTENER], stdout=subprocess.PIPE))
        self.addCleanup(p.kill)
        self.assertEqual(p.stdout.readline(), b"ready\n")
        self.add(to="192.0.2.2")
        poll_until("it is attached", lambda: self.d.port("up")["state"] == "attached")

    def test_one_that_is_silent_is_asked(self):
        self.listen()
        self.assertRegex(self.ns.run("ss", "-Htno").stdout, r"192\.0\.2\.2:5000 +timer:\(keepalive,[12]?[0-9]sec")

    @unittest.skipUnless(os.environ.get("FETHD_FULL") == "1", "a minute, of the long run")
    def test_one_that_was_switched_off_is_noticed(self):
        """With something on its way to it, and without."""
        self.listen()
        for say in (True, False):
            poll_until("it is attached", lambda: self.d.port("up")["state"] == "attached")
            self.far.ip("link set w down")
            if say:
                with self.d.attach("lab", name="n") as n:
                    n.send(frame(BROADCAST, mac(1)))
            poll_until("it is noticed", lambda: self.d.port("up")["state"] == "waiting", 100)
            self.far.ip("link set w up")


if __name__ == "__main__":
    require("ss")
    main()
