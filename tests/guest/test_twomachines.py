"""test_twomachines.py - guests on two machines (namespaces, each with a fethd), whose networks are joined by
bridges and a VXLAN. (With clients that are no guests, and all that can go wrong: tests/netns/test_uplink.py.)

Needs root and what build.sh needs.
"""
import pathlib
import sys
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "netns")]
# pylint: disable=wrong-import-position
from guest import Guest, boot, prepare, tcp_transfer
from harness import main
from netlab import require
from test_uplink import Machine

MTU = 1450
GUESTDIR = None  # set by main


class Guests(unittest.TestCase):
    def guest(self, machine):
        stream = f"stream,id=net0,server=off,addr.type=unix,addr.path={machine.d.path('lab', 'qemu.sock')}"
        n = machine.number
        return Guest(f"on{n}", GUESTDIR, ["-netdev", stream], mac=f"02:00:00:00:01:{n:02x}", mtu=MTU,
                     addr=f"10.9.0.{20 + n}/24", addr6=f"fd99::{n}/64")

    def test_they_reach_one_another(self):
        machines = Machine(self, 1), Machine(self, 2)
        machines[0].join(machines[1])
        a, b = (self.guest(m) for m in machines)
        with boot(a, b):
            a.check(f"ping -q -c 3 -w 20 -s {MTU - 28} 10.9.0.22")
            b.check(f"ping -q -c 3 -w 20 -s {MTU - 48} fd99::1")
            b.check(f"ping -q -c 1 -w 20 -s {MTU - 28} 10.9.0.11")  # the container on the other machine
            for sender, receiver, ip in ((a, b, "10.9.0.22"), (b, a, "10.9.0.21")):
                t = tcp_transfer(sender, receiver, ip, 5000, 4 << 20)
                self.assertEqual(t.sent, t.received)


if __name__ == "__main__":
    require("ping")
    GUESTDIR = prepare()
    main()
