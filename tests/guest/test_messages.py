"""test_messages.py - real programs whose frames are messages, on one network: QEMU by datagrams to a path, User Mode
Linux by SOCK_SEQPACKET, and with FETHD_FULL QEMU with a datagram descriptor. All reach all, at full size, IPv4 and
IPv6; and who is killed and started again at the same path is heard.

Needs root, QEMU, linux.uml and what build.sh needs.
"""
import itertools
import os
import unittest

import lan  # noqa: F401  (sets the paths)
from guest import Guest, boot, prepare, tcp_transfer
import harness
from harness import Daemon
from netlab import require
from uml import Uml, require_uml

FULL = os.environ.get("FETHD_FULL") == "1"
BYTES = (32 if FULL else 2) << 20
GUESTDIR = None


def address(n):
    return {"mac": f"02:00:00:00:00:{n:02x}", "addr": f"10.77.0.{n}/24", "addr6": f"fd77::{n}/64"}


class Messages(unittest.TestCase):
    def setUp(self):
        self.d = Daemon()
        self.addCleanup(self.d.__exit__, None, None, None)
        self.d.create("lab", backend="none")

    def by_path(self, name, n):
        own, door = self.d.path(f"lab/dgram/{name}.sock"), self.d.path("lab/dgram/sock")
        return Guest(name, GUESTDIR, ["-netdev", f"dgram,id=net0,local.type=unix,local.path={own},"
                                      f"remote.type=unix,remote.path={door}"], **address(n))

    def by_descriptor(self, name, n):
        with self.d.control() as c:
            c.call("port.open", network="lab", kind="dgram", name=name, mac=address(n)["mac"], locked=True)
            fd = c.fds.pop()
        guest = Guest(name, GUESTDIR, ["-netdev", f"dgram,id=net0,local.type=fd,local.str={fd}"],
                      pass_fds=[fd], **address(n))
        return guest, fd

    def bess(self, name, n):
        path = self.d.path("lab/seqpacket.sock")
        return Uml(name, GUESTDIR, f"vec0:transport=bess,dst={path},depth=128", **address(n))

    def ping(self, a, n):
        a.check(f"busybox ping -q -c 2 -w 20 -s 1472 10.77.0.{n} && busybox ping -q -c 2 -w 20 -s 1452 fd77::{n}")

    def test_all_reach_all_and_one_that_is_killed_comes_back(self):
        guests = {11: self.by_path("a", 11), 13: self.bess("c", 13)}
        fd = None
        if FULL:
            guests[12], fd = self.by_descriptor("b", 12)
        with boot(*guests.values()):
            if FULL:
                os.close(fd)
            for n, other in itertools.permutations(guests, 2):
                self.ping(guests[n], other)
            tcp_transfer(guests[11], guests[13], "10.77.0.13", 4000, BYTES)
            guests[11].stop()  # as kill -9; nothing tells of it, and its path is there again soon
            with boot(self.by_path("a", 11)) as (again,):
                self.ping(again, 13)
                self.ping(guests[13], 11)
                self.assertEqual([p["kind"] for p in self.d.clients()].count("dgram"), len(guests) - 1)


if __name__ == "__main__":
    require("ping")
    require_uml()
    GUESTDIR = prepare()
    harness.main()
