"""test_tun.py - two QEMU guests and a host whose interface knows IP packets only.

The guests' kernels ask for the host's addresses and are asked for theirs, and do not notice. Needs root,
QEMU and what build.sh needs.
"""
import unittest

import lan
from lan import A_IP, A_IP6, B_IP, B_IP6, HOST_IP, HOST_IP6, Everybody, Lab


class Tun(unittest.TestCase):
    MTU = 1500
    transfer = Everybody.transfer

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(cls, cls.MTU, backend="tun")

    def test_the_host_and_two_guests(self):
        """One boot for all of it."""
        lab = self.lab
        self.assertEqual(lab.ns.link(lab.net["host"])["link_type"], "none")
        for guest in (lab.a, lab.b):
            guest.check(f"busybox ping -q -c 2 -i 0.2 -w 10 -s {self.MTU - 28} {HOST_IP}")
            guest.check(f"busybox ping6 -q -c 2 -i 0.2 -w 10 -s {self.MTU - 48} {HOST_IP6}")
        for ip in (A_IP, B_IP):
            lab.host.check(f"busybox ping -q -c 2 -i 0.2 -w 10 -s {self.MTU - 28} {ip}")
        for ip in (A_IP6, B_IP6):
            lab.host.check(f"busybox ping6 -q -c 2 -i 0.2 -w 10 -s {self.MTU - 48} {ip}")
        lab.a.check(f"busybox ping -q -c 2 -i 0.2 -w 10 {B_IP}")
        self.assertIn(lab.net["mac"], lab.a.check("cat /proc/net/arp"))
        self.transfer(lab.a, lab.host, HOST_IP, 4000)
        self.transfer(lab.host, lab.b, B_IP, 4001)
        lab.d.call("network.set", network="lab", mac="02:aa:00:00:00:77")
        lab.a.check("until grep -q 02:aa:00:00:00:77 /proc/net/arp; do usleep 100000; done", 30)  # it was announced
        lab.a.check(f"busybox ping -q -c 2 -i 0.2 -w 10 {HOST_IP}")
        lab.host.check(f"busybox ping6 -q -c 2 -i 0.2 -w 10 {A_IP6}")


if __name__ == "__main__":
    lan.main()
