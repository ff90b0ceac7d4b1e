"""test_dial.py - a port that calls a TCP number nobody listens on is not connected to itself.

Needs root: in a namespace of its own the kernel has one number to give to callers, and that is the one
that is called.
"""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from harness import Daemon, main, poll_until
from netlab import Namespace, require

NUMBER = 40000
ITSELF = f"import socket; s = socket.create_connection(('127.0.0.1', {NUMBER})); " \
    "assert s.getsockname() == s.getpeername()"


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


if __name__ == "__main__":
    require()
    main()
