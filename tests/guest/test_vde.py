"""test_vde.py - guests that attach by VDE, each with its own code for it: QEMU and a User Mode Linux by
libvdeplug, and one by its kernel's older `daemon` transport, whose socket has an abstract name.

All pairs ping, by IPv4 and IPv6, and bytes come through as they were. Needs root, QEMU, user-mode-linux and
what build.sh needs.
"""
import pathlib
import sys
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "netns")]
# pylint: disable=wrong-import-position
from guest import Guest, Netns, boot, prepare, tcp_transfer
from harness import Daemon, main
from netlab import Namespace, require
from uml import Uml, require_uml

HOST_IP, HOST_IP6 = "10.77.0.1", "fd77::1"
BULK = 4 << 20
GUESTDIR = None


class Vde(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ns = cls.enterClassContext(Namespace())
        cls.d = cls.enterClassContext(Daemon(prefix=cls.ns.prefix))
        cls.d.create(backend="veth", addresses=[f"{HOST_IP}/24", f"{HOST_IP6}/64"])
        cls.vde = cls.d.path("lab", "vde")
        cls.guests = [cls.qemu(), cls.uml(3, "eth0=vde,{vde},{mac}"), cls.uml(4, "eth0=daemon,{mac},unix,{vde}/ctl")]
        cls.enterClassContext(boot(*cls.guests))
        cls.host = cls.enterClassContext(Netns(cls.ns.name, GUESTDIR))

    @staticmethod
    def words(n):
        return {"mac": f"02:00:00:00:00:{n:02x}", "addr": f"10.77.0.{n}/24", "addr6": f"fd77::{n}/64"}

    @classmethod
    def qemu(cls):
        return Guest("qemu", GUESTDIR, ["-netdev", f"vde,id=net0,sock={cls.vde}"], **cls.words(2))

    @classmethod
    def uml(cls, n, nic):
        words = cls.words(n)
        # in the daemon's namespace, for abstract names are a network namespace's own
        return Uml(f"uml{n}", GUESTDIR, nic.format(vde=cls.vde, mac=words["mac"]), prefix=cls.ns.prefix, **words)

    def test_all_pairs_ping_each_other(self):
        self.assertEqual([p["kind"] for p in self.d.clients()], ["vde"] * 3)
        for i, machine in enumerate([self.host, *self.guests], 1):
            for n in range(1, 5):
                if n != i:
                    machine.check(f"busybox ping -q -c 1 -w 10 -s 1472 10.77.0.{n}")
                    machine.check(f"busybox ping6 -q -c 1 -w 10 fd77::{n}")

    def test_bytes_come_through_as_they_were(self):
        qemu, a, b = self.guests
        for sender, receiver, ip in ((qemu, self.host, HOST_IP), (a, b, "10.77.0.4")):
            t = tcp_transfer(sender, receiver, ip, 7000, BULK)
            self.assertEqual(t.sent, t.received)


if __name__ == "__main__":
    require("qemu-system-x86_64")
    require_uml()
    GUESTDIR = prepare()
    main()
