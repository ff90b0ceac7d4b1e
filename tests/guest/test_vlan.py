"""test_vlan.py - a guest whose kernel has VLAN interfaces, and one that knows of no VLAN.

Needs root, QEMU and what build.sh needs.
"""
import unittest

import lan
from lan import A_IP, HOST_IP, MAC_B, Lab

IN_10, IN_20, PLAIN = "10.10.0.2", "10.20.0.2", "10.10.0.3"


class Vlans(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(cls, 1500)
        for vlan, ip in ((10, IN_10), (20, IN_20)):
            cls.lab.a.check(f"vconfig add eth0 {vlan} && ip addr add {ip}/24 dev eth0.{vlan} && "
                            f"ip link set eth0.{vlan} up")
        cls.lab.b.check(f"ip addr add {PLAIN}/24 dev eth0 && ip addr add 10.20.0.3/24 dev eth0")
        macs = {p["mac"]: p["name"] for p in cls.lab.d.clients()}
        cls.b = macs[MAC_B]
        cls.a = next(p["name"] for p in cls.lab.d.clients() if p["kind"] == "qemu" and p["name"] != cls.b)

    def set(self, name, vlan):
        self.lab.d.call("port.set", network="lab", name=name, vlan=vlan)
        for machine in (self.lab.a, self.lab.b, self.lab.host):  # who is where has changed
            machine.check("ip neigh flush all")

    def tearDown(self):
        self.set(self.a, 0)
        self.set(self.b, 0)

    def pings(self, machine, ip, size=56):
        return not machine.run(f"busybox ping -q -c 1 -w 5 -s {size} {ip}")[0]

    def silent(self, machine, ip):
        return bool(machine.run(f"busybox ping -q -c 1 -w 1 {ip}")[0])

    def test_the_kernels_vlan_reaches_an_access_port(self):
        self.set(self.b, 10)
        for size in (56, 1472):
            self.assertTrue(self.pings(self.lab.a, PLAIN, size), size)
            self.assertTrue(self.pings(self.lab.b, IN_10, size), size)
        self.assertTrue(self.silent(self.lab.b, IN_20))
        self.assertTrue(self.silent(self.lab.b, HOST_IP))  # which is in no VLAN
        self.assertTrue(self.pings(self.lab.a, HOST_IP))
        self.set(self.b, 20)
        self.assertTrue(self.silent(self.lab.b, IN_10))
        self.assertTrue(self.pings(self.lab.b, IN_20))

    def test_a_trunk_carries_what_it_is_told_to(self):
        self.set(self.b, 10)
        self.set(self.a, {"tagged": [20]})
        self.assertTrue(self.silent(self.lab.a, PLAIN))
        self.assertTrue(self.silent(self.lab.a, HOST_IP))  # without a tag it is in none
        self.set(self.a, {"native": 30, "tagged": [[10, 19]]})
        self.assertTrue(self.pings(self.lab.a, PLAIN, 1472))
        self.assertTrue(self.silent(self.lab.host, A_IP))

    def test_bulk_data(self):
        self.set(self.b, 10)
        self.set(self.a, {"native": 20, "tagged": [10]})
        for sender, receiver, ip in ((self.lab.a, self.lab.b, PLAIN), (self.lab.b, self.lab.a, IN_10)):
            moved = lan.tcp_transfer(sender, receiver, ip, 5000, 4 << 20)
            self.assertEqual(moved.sent, moved.received)


if __name__ == "__main__":
    lan.main()
