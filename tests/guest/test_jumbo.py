"""test_jumbo.py - guests, a Python client and the host on a network with an MTU of 9000.

Needs root, QEMU and what build.sh needs.
"""
import unittest

import lan
from lan import A_IP, B_IP, C_IP, HOST_IP, MAC_A, MAC_B, MAC_C, Everybody, unhex
from netlab import IPV4, frame_type


class Jumbo(Everybody, unittest.TestCase):
    MTU = 9000
    KINDS = "plain", "DECnet", "802.1Q", "QinQ"
    SIZES = (0,)

    def test_pings_of_9000_bytes_pass_between_all_in_one_piece(self):
        lab = self.lab
        self.capture(lab.b, "0800")
        lab.tap.drain()
        for machine, others in ((lab.a, (HOST_IP, B_IP, C_IP)), (lab.b, (HOST_IP, A_IP, C_IP)),
                                (lab.host, (A_IP, B_IP, C_IP))):
            for ip in others:
                machine.check(f"busybox ping -q -c 2 -i 0.2 -w 10 -s 8972 {ip}")
        for ip in (HOST_IP, A_IP, B_IP):
            self.assertTrue(lab.station.ping(ip, 8972), ip)
        at_b = self.captured(lab.b)
        # The host's side is seen in both directions, b's in one.
        for frames, peers in (([f for f, _ in lab.tap.drain()], [MAC_A, MAC_B, MAC_C, lab.net["mac"]]),
                              ([unhex(line) for line in at_b], [MAC_A, MAC_C, lab.net["mac"]])):
            packets = [f for f in frames if frame_type(f) == IPV4]
            self.assertEqual([f.hex() for f in packets if int.from_bytes(f[20:22], "big") & 0x3FFF], [])
            full = [f for f in packets if len(f) == 9014]
            self.assertEqual({f[6:12] for f in full}, {unhex(m) for m in peers})
            asked = [f for f in full if f[34] == 8]  # Linux answers without it
            self.assertTrue(asked and all(f[20] & 0x40 for f in asked), "don't fragment")

    def test_one_byte_more_does_not_pass_unfragmented(self):
        self.assertFalse(self.lab.ns.ping(A_IP, "-M", "do", "-s", "8973", seconds=1))
        self.assertTrue(self.lab.ns.ping(A_IP, "-M", "do", "-s", "8972"))

    def test_bulk_data(self):
        self.transfer(self.lab.a, self.lab.b, B_IP, 4000)
        self.transfer(self.lab.host, self.lab.a, A_IP, 4001)
        self.transfer(self.lab.b, self.lab.host, HOST_IP, 4002)


if __name__ == "__main__":
    lan.main()
