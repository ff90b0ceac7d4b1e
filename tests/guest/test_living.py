"""test_living.py - a living network is changed: MTU, MAC, addresses, link, with two guests and a native client.

All of them have pings and streams under way; nothing may be lost but where the wire itself was cut. What the
kernel denies leaves everything as it was. Needs root, QEMU and what build.sh needs.
"""
import ctypes
import socket
import struct
import unittest

import lan
from guest import wait_listening
from harness import RpcError, mac_text, poll_until
from lan import A_IP, B_IP, C_IP, HOST_IP, HOST_IP6, Lab, Pings
from netlab import _libc

ADDRESSES = [f"{HOST_IP}/24", f"{HOST_IP6}/64"]
OTHER_IP, OTHER_IP6 = "10.77.0.99", "fd77::99"


class Stream:
    """15 MiB by TCP that take some ten seconds: in pieces, with pauses between."""

    def __init__(self, sender, receiver, address, port=4100):
        self.sender, self.receiver = sender, receiver
        sender.check("bulk 1 15728640 >/tmp/data")
        self.listener = receiver.spawn(f"mkfifo /tmp/in; exec busybox nc -l -p {port} 0<>/tmp/in >/tmp/got")
        wait_listening(receiver, port)
        self.job = sender.spawn("i=0; while [ $i -lt 60 ]; do dd if=/tmp/data bs=256k skip=$i count=1 2>/dev/null; "
                                f"usleep 150000; i=$((i+1)); done | busybox nc -w 30 {address} {port}")

    def sums(self):
        for job, machine in ((self.job, self.sender), (self.listener, self.receiver)):
            status, said = job.wait(120)
            assert status == 0, f"{machine.name}: {status} {said}"
        return (self.sender.check("sha256sum </tmp/data").split()[0], self.receiver.check("sha256sum </tmp/got").split()[0])


def deny_mtu(ns, ifname):
    """An XDP program on an interface of a veth pair limits the MTU of the other (linux, veth_xdp_set())."""
    insns = struct.pack("=BBhiBBhi", 0xB7, 0, 0, 2, 0x95, 0, 0, 0)  # r0 = XDP_PASS; exit
    code, licence = ctypes.create_string_buffer(insns), ctypes.create_string_buffer(b"GPL")
    attr = struct.pack("=IIQQ", 6, 2, ctypes.addressof(code), ctypes.addressof(licence)).ljust(128, b"\0")
    prog = _libc.syscall(321, 5, ctypes.create_string_buffer(attr), 128)  # bpf(BPF_PROG_LOAD) on x86-64
    if prog < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    nested = struct.pack("=HHi", 8, 1, prog)  # IFLA_XDP_FD
    body = struct.pack("=BxHiII", 0, 0, int(ns.link(ifname)["ifindex"]), 0, 0) + struct.pack("=HH", 12, 43 | 0x8000) + nested
    with ns.entered(), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
        s.send(struct.pack("=IHHII", 16 + len(body), 19, 5, 1, 0) + body)  # RTM_SETLINK, with an answer
        error = struct.unpack("=i", s.recv(4096)[16:20])[0]
    if error:
        raise OSError(-error, "XDP")


class Living(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(cls, 1500)
        cls.pairs = [(cls.lab.a, HOST_IP), (cls.lab.b, A_IP), (cls.lab.a, C_IP), (cls.lab.host, B_IP)]
        for machine, address in cls.pairs:
            machine.check(f"busybox ping -q -c 1 -w 10 {address}")

    def setUp(self):
        self.lab.station.client.notes.clear()

    def set(self, **params):
        return self.lab.d.call("network.set", network="lab", **params)

    def heard(self, **want):
        """The native client was told, of its own network, unasked."""
        def told():
            return [p for name, p in list(self.lab.station.client.notes)
                    if name == "network.changed" and all(p.get(k) == v for k, v in want.items())]
        poll_until(f"the client heard of {want}", told, 10)

    def pinging(self):
        pings = [Pings(machine, address) for machine, address in self.pairs]
        self.addCleanup(lambda: [p.end() for p in pings])
        for p in pings:
            p.go_on()
        return pings

    def nothing_lost(self, pings):
        for p in pings:
            p.go_on()
            self.assertEqual(p.lost(), [], f"{p.machine.name} to {p.address}; dropped: {self.lab.d.stats()['drops']}")

    def test_the_mtu_goes_up_and_down(self):
        """Not one ping is lost, and a stream with segments of the old size finds the new one."""
        pings = self.pinging()
        self.assertTrue(self.set(too_big=True)["too_big"])
        stream = Stream(self.lab.a, self.lab.b, B_IP)

        def change(mtu):
            self.assertEqual(self.set(mtu=mtu)["mtu"], mtu)
            self.heard(mtu=mtu)
            for p in pings:
                p.go_on()
        for mtu in (9000, 1400, 1280):
            change(mtu)
        sent, received = stream.sums()  # which ends while the segments it began with do not pass
        self.assertEqual(sent, received)
        for mtu in (1500, 9014, 1500):
            change(mtu)
        self.assertEqual(self.lab.ns.addresses(self.lab.net["host"]), set(ADDRESSES))
        self.set(too_big=False)
        self.nothing_lost(pings)

    def test_the_mac_of_the_host_changes(self):
        """Who had the old one in its cache is told by the announcement, or asks again."""
        lab, old = self.lab, self.lab.net["mac"]
        pings = self.pinging()
        new = mac_text(b"\x02\xaa\0\0\0\x01")
        for m in (new, old):
            self.set(mac=m)
            self.heard(mac=m)
            self.assertEqual(lab.ns.link(lab.net["host"])["address"], m)
            for p in pings:
                p.go_on()
        for p in pings[1:3]:  # those that do not concern the host
            p.go_on()
            self.assertEqual(p.lost(), [], f"{p.machine.name} to {p.address}")

    def test_addresses_come_and_go(self):
        lab, pings = self.lab, self.pinging()
        self.set(addresses=[*ADDRESSES, f"{OTHER_IP}/24", f"{OTHER_IP6}/64"])
        self.heard(addresses=[*ADDRESSES, f"{OTHER_IP}/24", f"{OTHER_IP6}/64"])
        lab.a.check(f"busybox ping -q -c 2 -i 0.2 -w 10 {OTHER_IP}")
        lab.b.check(f"busybox ping6 -q -c 2 -i 0.2 -w 20 {OTHER_IP6}")
        self.set(addresses=ADDRESSES)
        self.assertNotEqual(lab.a.run(f"busybox ping -q -c 2 -i 0.2 -w 2 {OTHER_IP}")[0], 0)
        self.nothing_lost(pings)

    def test_the_link_goes_down_and_up(self):
        """The host is away meanwhile, and back with all its addresses; the others do not notice."""
        lab, pings = self.lab, self.pinging()
        self.set(up=False)
        self.heard(up=False)
        self.assertNotEqual(lab.b.run(f"busybox ping -q -c 1 -w 2 {HOST_IP}")[0], 0)
        self.set(up=True)
        self.heard(up=True)
        for p in pings[:3]:
            p.go_on()
        lab.host.check(f"busybox ping -q -c 2 -i 0.2 -w 10 {B_IP}")  # its own ping gave up without a link
        lab.a.check(f"busybox ping6 -q -c 2 -i 0.2 -w 20 {HOST_IP6}")
        self.assertEqual(lab.ns.addresses(lab.net["host"]), set(ADDRESSES))
        for p in pings[1:3]:
            self.assertEqual(p.lost(), [], f"{p.machine.name} to {p.address}")

    def test_what_the_kernel_denies_changes_nothing(self):
        lab, pings = self.lab, self.pinging()

        def everything():
            link = lab.ns.link(lab.net["host"])
            return (lab.d.call("network.show", network="lab"), lab.d.ports(), link["mtu"], link["address"],
                    lab.ns.addresses(lab.net["host"]))
        before = everything()
        deny_mtu(lab.ns, lab.net["service"])
        lab.station.client.notes.clear()
        for params in ({"mtu": 9000}, {"mtu": 9000, "mac": "02:aa:00:00:00:02"}, {"mtu": 9000, "addresses": []}):
            with self.assertRaises(RpcError) as e:
                self.set(**params)
            self.assertEqual(e.exception.code, "system")
            self.assertIn("MTU", e.exception.message)
            self.assertEqual(everything(), before)
            for p in pings:
                p.go_on()
        self.assertEqual([n for n in lab.station.client.notes if n[1].get("mtu") == 9000], [])
        self.nothing_lost(pings)


if __name__ == "__main__":
    lan.main()
