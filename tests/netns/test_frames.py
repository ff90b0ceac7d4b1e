"""test_frames.py - frames between the host side (veth) and clients, byte for byte.

What enters a network on one side leaves it on all others unchanged, tags and all, or is dropped by
the stated rule and counted (docs/protocol.md, 3 and 5). Needs root; namespaces of its own.
"""
import contextlib
import errno
import os
import pathlib
import socket
import struct
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from groupframes import is_query
from harness import BROADCAST, Daemon, mac, main, poll_until
from netlab import ARP, CTAG, IPV4, IPV6, STAG, Namespace, Station, Tap, frame_type, require

RARP = 0x8035
DECNET = bytes.fromhex("ab0000030000")     # all level 1 routers, ethertype 6003
APPLETALK = bytes.fromhex("090007ffffff")  # broadcast of EtherTalk 2, in 802.3 with SNAP
SNAP_APPLETALK = bytes.fromhex("aaaa03080007809b")
TAG5 = struct.pack("!HH", CTAG, 5)
PRIORITY = struct.pack("!HH", CTAG, 7 << 13)  # VLAN 0
QINQ = struct.pack("!HHHH", STAG, 7, CTAG, 5)
CTAG2 = struct.pack("!HHHH", CTAG, 7, CTAG, 5)

# name -> group address or None, tags, ethertype (None: an 802.3 length), what follows it
KINDS = {
    "plain": (None, b"", 0x88B5, b""),
    "IPX": (None, b"", 0x8137, b"\xff\xff"),
    "802.3 length": (None, b"", None, b"\xe0\xe0\x03"),
    "broadcast": (BROADCAST, b"", 0x88B5, b""),
    "DECnet": (DECNET, b"", 0x6003, b""),
    "AppleTalk": (APPLETALK, b"", None, SNAP_APPLETALK),
    "802.1Q": (None, TAG5, 0x88B5, b""),
    "802.1Q multicast": (DECNET, TAG5, 0x6003, b""),
    "priority tag": (None, PRIORITY, 0x88B5, b""),
    "QinQ": (None, QINQ, 0x88B5, b""),
    "two C-tags": (None, CTAG2, 0x88B5, b""),
}


def build(kind, src, dst, size):
    """A frame of `size` bytes with noise in it, all that is left of a kind's header in front."""
    group, tags, ethertype, head = KINDS[kind]
    rest = size - 14 - len(tags)
    if ethertype is None:
        ethertype = min(rest, 1500)
    f = (group or dst) + src + tags + struct.pack("!H", ethertype) + head
    return f + os.urandom(size - len(f))


def full_size(kind, mtu):
    """The longest frame that every part of a network takes: one C-tag does not count."""
    outer = KINDS[kind][1][:2]
    return mtu + 14 + (4 if outer == struct.pack("!H", CTAG) else 0)


class HostPort:
    """The host member seen as a port, like harness.Native and harness.Qemu."""

    def __init__(self, ns, network):
        self.tap = Tap(ns, network["host"])
        self.send = self.tap.send
        self.mac = bytes.fromhex(network["mac"].replace(":", ""))

    def recv(self, seconds=10.0):
        return self.tap.recv(seconds)

    def close(self):
        self.tap.close()


class ClientPort:
    def __init__(self, client, address):
        self.client, self.mac = client, address
        self.send = client.send

    def recv(self, seconds=10.0):
        while True:
            f = self.client.recv(None, seconds)
            if frame_type(f) not in (ARP, IPV4, IPV6):
                return f

    def close(self):
        self.client.close()


class Frames(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ns = cls.enterClassContext(Namespace())
        # Nobody but the tests is to speak here.
        cls.ns.sysctl("ipv6/conf/all/disable_ipv6", 1)
        cls.ns.sysctl("ipv6/conf/default/disable_ipv6", 1)
        cls.d = cls.enterClassContext(Daemon(prefix=cls.ns.prefix))

    @contextlib.contextmanager
    def network(self, name="lab", **params):
        """A network with all three kinds of port; everybody knows where everybody is."""
        net = self.d.create(name, backend="veth", **params)
        ports = {
            "host": HostPort(self.ns, net),
            "native": ClientPort(self.d.attach(name, mac="02:00:00:00:00:0a"), mac(0x0A)),
            "qemu": ClientPort(self.d.qemu(name), mac(0x0B)),
        }
        try:
            self.introduce(ports)
            yield net, ports
        finally:
            for p in ports.values():
                p.close()
            self.d.call("network.delete", network=name)

    def introduce(self, ports):
        for name, port in ports.items():
            self.deliver(ports, name, None, build("broadcast", port.mac, None, 60))

    def deliver(self, ports, sender, receiver, f):
        """`f` reaches `receiver` (None: everybody else) next, exactly as it is."""
        ports[sender].send(f)
        for name in [receiver] if receiver else [n for n in ports if n != sender]:
            got = ports[name].recv()
            self.assertEqual(got.hex(), f.hex(), f"{sender} to {name}, {len(f)} bytes")

    def silent_until_marker(self, ports, sender):
        """What was sent before this reached nobody who did not say so."""
        self.deliver(ports, sender, None, build("broadcast", ports[sender].mac, None, 61))

    def every_kind_both_ways(self, ports, mtu):
        for kind, (group, *_) in KINDS.items():
            for size in (60, full_size(kind, mtu)):
                for sender, port in ports.items():
                    with self.subTest(kind=kind, size=size, sender=sender):
                        if group:
                            self.deliver(ports, sender, None, build(kind, port.mac, None, size))
                            continue
                        for receiver in (r for r in ports if r != sender):
                            f = build(kind, port.mac, ports[receiver].mac, size)
                            self.deliver(ports, sender, receiver, f)
                        self.silent_until_marker(ports, sender)

    def test_every_kind_of_frame_passes_unchanged_in_every_direction(self):
        with self.network() as (_, ports):
            self.every_kind_both_ways(ports, 1500)
            self.assertEqual(self.d.stats()["drops"], {})

    def test_the_shortest_frames_pass(self):
        with self.network() as (_, ports):
            for sender, port in ports.items():
                for receiver in (r for r in ports if r != sender):
                    f = ports[receiver].mac + port.mac + b"\x88\xb5"
                    self.deliver(ports, sender, receiver, f)

    def test_jumbo_frames_pass_up_to_the_largest_mtu(self):
        for mtu in (9000, 65521):
            with self.subTest(mtu=mtu), self.network(mtu=mtu) as (_, ports):
                self.every_kind_both_ways(ports, mtu)
                self.assertEqual(self.d.stats()["drops"], {})

    def test_the_smallest_mtu_works(self):
        with self.network(mtu=68) as (_, ports):
            self.every_kind_both_ways(ports, 68)

    def drops(self, sender, to_host, f):
        """By how much each counter rises when `sender` sends `f`."""
        before = {n: self.d.stats(n)["drops"] for n in ("host", "native-1", "qemu-1")}
        sender.send(f)
        sender.send(build("plain", sender.mac, to_host, 62))
        rise = {}
        for n, old in before.items():
            rise.update({(n, k): v - old[k] for k, v in self.d.stats(n)["drops"].items() if v != old[k]})
        return rise

    def test_frames_over_the_mtu_are_dropped_and_counted_where_they_come_from(self):
        with self.network() as (_, ports):
            host, native, qemu = ports.values()
            for name, port in (("native-1", native), ("qemu-1", qemu)):
                for kind, size in (("plain", 1515), ("IPX", 1518), ("802.1Q", 1519),
                                   ("priority tag", 1519), ("QinQ", 1519), ("two C-tags", 1522)):
                    with self.subTest(port=name, kind=kind, size=size):
                        f = build(kind, port.mac, host.mac, size)
                        self.assertEqual(self.drops(port, host.mac, f), {(name, "oversize"): 1})
                        self.assertEqual(len(host.recv()), 62)
            # The kernel does not let the host send them in the first place.
            for kind, size in (("plain", 1515), ("802.1Q", 1519), ("QinQ", 1515)):
                with self.subTest(kind=kind, size=size), self.assertRaises(OSError) as caught:
                    host.send(build(kind, host.mac, native.mac, size))
                self.assertEqual(caught.exception.errno, errno.EMSGSIZE)

    def test_qinq_over_the_mtu_passes_between_clients_and_is_refused_by_the_host(self):
        """An outer S-tag is not counted in our cap, but the kernel takes MTU + 4 from C-tags only."""
        with self.network() as (_, ports):
            host, native, qemu = ports.values()
            for size in (1515, 1518):
                self.deliver(ports, "native", "qemu", build("QinQ", native.mac, qemu.mac, size))
                self.deliver(ports, "qemu", "native", build("QinQ", qemu.mac, native.mac, size))
                for port in (native, qemu):
                    f = build("QinQ", port.mac, host.mac, size)
                    self.assertEqual(self.drops(port, host.mac, f), {("host", "host_refused"): 1})
                    self.assertEqual(len(host.recv()), 62)

    def test_a_refused_frame_does_not_take_others_of_its_batch_with_it(self):
        with self.network() as (_, ports):
            host, native, _ = ports.values()
            good = [build("plain", native.mac, host.mac, 100) for _ in range(40)]
            batch = []
            for i, f in enumerate(good):
                batch += [f] if i % 4 else [build("QinQ", native.mac, host.mac, 1518), f]
            native.client.send(*batch)
            for f in good:
                self.assertEqual(host.recv(), f)
            self.assertEqual(self.d.stats("host")["drops"], {"host_refused": 10})

    def test_a_burst_arrives_whole_and_in_order(self):
        with self.network() as (_, ports):
            host, native, qemu = ports.values()
            burst = [build("plain", native.mac, host.mac, 60 + i % 1400) for i in range(2000)]
            native.client.send(*burst)
            for f in burst:
                self.assertEqual(host.recv(), f)
            burst = [build("plain", host.mac, qemu.mac, 60 + i % 1400) for i in range(300)]
            for i in range(0, len(burst), 50):
                for f in burst[i : i + 50]:
                    host.send(f)
                for f in burst[i : i + 50]:
                    self.assertEqual(qemu.recv(), f)

    def test_a_client_cannot_speak_for_the_host(self):
        with self.network() as (_, ports):
            host, native, qemu = ports.values()
            f = build("plain", host.mac, qemu.mac, 60)
            self.assertEqual(self.drops(native, host.mac, f), {("native-1", "spoofed"): 1})
            self.assertEqual(len(host.recv()), 62)
            self.silent_until_marker(ports, "native")

    def test_two_networks_share_nothing(self):
        """Also where stations of both have the same address."""
        with self.network("left") as (_, left), self.network("right") as (_, right):
            for name, port in left.items():
                port.send(build("broadcast", port.mac, None, 100))
                port.send(build("plain", port.mac, mac(0xFE), 100))  # nobody's: flooded
                twin = {"native": right["qemu"], "qemu": right["native"]}.get(name)
                if twin:
                    port.send(build("plain", port.mac, twin.mac, 100))
            self.introduce(right)
            self.assertEqual(self.d.stats(network="right")["drops"], {})

    def test_the_networks_of_two_daemons_share_nothing(self):
        with self.network() as (net, left), Daemon("--unit-base", "10000", prefix=self.ns.prefix) as other:
            theirs = other.create("lab", backend="veth")
            self.assertNotEqual(net["host"], theirs["host"])
            with other.attach() as c, Tap(self.ns, theirs["host"]) as tap:
                self.introduce(left)
                c.send(build("broadcast", mac(0x0C), None, 77))
                self.assertEqual(len(tap.recv()), 77)
                tap.send(build("broadcast", mac(0x0D), None, 78))
                self.assertEqual(len(c.recv(None)), 78)
                self.introduce(left)


class Stations(unittest.TestCase):
    """The host's own network stack talks to clients."""

    @classmethod
    def setUpClass(cls):
        cls.ns = cls.enterClassContext(Namespace())
        cls.d = cls.enterClassContext(Daemon(prefix=cls.ns.prefix))

    def test_host_and_client_ping_each_other(self):
        for mtu, sizes in ((1500, (0, 56, 1472)), (9000, (8972,)), (65521, (20000, 65493))):
            with self.subTest(mtu=mtu):
                self.d.create(backend="veth", mtu=mtu, addresses=["10.1.2.1/24"])
                with Station(self.d.attach(), "10.1.2.2") as station:
                    for size in sizes:
                        self.assertTrue(self.ns.ping("10.1.2.2", "-M", "do", "-s", str(size)), size)
                        self.assertTrue(station.ping("10.1.2.1", size), size)
                    self.assertFalse(self.ns.ping("10.1.2.3", seconds=1))
                self.d.call("network.delete", network="lab")

    def test_clients_ping_each_other_past_the_host(self):
        self.d.create(backend="veth")
        with Station(self.d.attach(), "10.1.2.2") as a, Station(self.d.attach(), "10.1.2.3") as b:
            self.assertTrue(a.ping("10.1.2.3"))
            self.assertTrue(b.ping("10.1.2.2"))
        self.d.call("network.delete", network="lab")

    def test_frames_come_finished_from_the_host(self):
        """No offload leaves a checksum or a segmentation to us: TCP and UDP are whole on the wire."""
        self.d.create(backend="veth", addresses=["10.1.2.1/24"])
        with Station(self.d.attach(), "10.1.2.2") as station:
            taken = station.taken = []
            self.ns.run(sys.executable, "-c", "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
                        "s.sendto(b'x' * 1000, ('10.1.2.2', 9)); s.sendto(b'x' * 5001, ('10.1.2.2', 9))")
            packets = poll_until("UDP comes", lambda: [f for f in taken if f[12:14] == b"\x08\x00"
                                                        and f[23] == 17 and not f[20] & 0x3F])
            f = packets[0]
            udp = f[34 : 14 + int.from_bytes(f[16:18], "big")]
            pseudo = f[26:34] + struct.pack("!HH", 17, len(udp))
            words = pseudo + udp + b"\0" * (len(udp) % 2)
            total = sum(struct.unpack(f"!{len(words) // 2}H", words))
            while total >> 16:
                total = (total & 0xFFFF) + (total >> 16)
            self.assertEqual(total, 0xFFFF)
            self.assertTrue(all(len(f) <= 1514 for f in taken))
        self.d.call("network.delete", network="lab")

    def test_the_service_member_is_silent_and_answers_nobody(self):
        """10 s of what it sends: nothing but what clients send. And nobody sees its address."""
        # A lively host: two addresses of each family, and one network that crosses IPv6's least MTU.
        quiet = self.d.create("quiet", backend="veth",
                              addresses=["10.1.2.1/24", "10.1.3.1/24", "fd01::1/64", "fd02::1/64"])
        moved = self.d.create("moved", backend="veth", mtu=1200, addresses=["10.1.4.1/24"])
        try:
            with Tap(self.ns, quiet["host"]) as tap, Tap(self.ns, moved["host"]) as tap2, \
                    self.d.attach("quiet", mac="02:00:00:00:00:0a") as client:
                host = bytes.fromhex(quiet["mac"].replace(":", ""))
                service = bytes.fromhex(self.ns.link(quiet["service"])["address"].replace(":", ""))
                end = time.monotonic() + 10
                for addr in ("10.1.2.1", "10.1.3.1", "10.1.4.1"):
                    for sender in ("10.1.2.98", "0.0.0.0"):
                        tap.send(arp_request(host, sender, addr))
                tap.send(ndp_request(host, "fd01::1"))
                # As from a neighbour bridged to the host member. An answer would look for 10.1.2.99.
                tap.send(icmp_echo(mac(0xA1), service, "10.1.2.99", "10.1.2.1"))
                self.d.call("network.set", network="moved", mtu=1500)
                self.d.call("network.set", network="moved", up=False)
                self.d.call("network.set", network="moved", up=True)
                # The host is pinged away into it, broadcasts and all.
                self.ns.ping("10.1.2.77", count=10, seconds=1)
                self.ns.ping("10.1.2.255", "-b", seconds=1)
                self.ns.ping("fd01::77", seconds=1)
                self.ns.ping(f"ff02::1%{quiet['host']}", seconds=1)
                said = []
                with contextlib.suppress(TimeoutError):
                    while True:
                        said.append(tap.recv(end - time.monotonic(), noise=True))
                said += [f for f, out in tap2.drain() if not out]
                # The switch asks once what the host listens to, and says where the client is; neither is from
                # the service member.
                announced = [f for f in said if frame_type(f) == RARP]
                self.assertEqual({f[6:12] for f in announced}, {mac(0x0A)})
                self.assertEqual([f.hex() for f in said if not is_query(f) and f not in announced], [])
                self.assertNotIn(service, [f[6:12] for f in said])
                # All that the client heard in that time was the host's own; it was not made to speak.
                sealed = "not sealed" not in self.d.log  # a kernel without cls_bpf
                with contextlib.suppress(TimeoutError):
                    while True:
                        f = client.recv(None, 0.2)
                        if is_query(f):
                            continue
                        self.assertIn(f[6:12], (host, mac(0xA1)), f.hex())
                        self.assertFalse(sealed and frame_type(f) == ARP and f[38:42] == ip4("10.1.2.99"))
                # Asked by a client, the host answers once, with the host member's address.
                client.send(arp_request(mac(0x0A), "10.1.2.5", "10.1.2.1"))
                replies = []
                with contextlib.suppress(TimeoutError):
                    while True:
                        f = client.recv(ARP, 0.5)
                        replies += [f] if f[20:22] == b"\0\2" else []
                self.assertEqual([f[6:12] + f[22:28] for f in replies], [host + host])
                # Its own address reaches nobody, above all not the host's stack.
                client.send(icmp_echo(mac(0x0A), service, "10.1.2.5", "10.1.2.1"))
                with self.assertRaises(TimeoutError):
                    client.recv(IPV4, 0.5)
        finally:
            self.d.call("network.delete", network="quiet")
            self.d.call("network.delete", network="moved")


def ip4(text):
    return bytes(int(n) for n in text.split("."))


def arp_request(src, sender, target):
    return BROADCAST + src + struct.pack("!HHHBBH6s4s6s4s", ARP, 1, IPV4, 6, 4, 1, src, ip4(sender),
                                         bytes(6), ip4(target))


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def icmp_echo(src, dst, sender, target):
    icmp = struct.pack("!BBHHH", 8, 0, 0, 1, 1)
    icmp = icmp[:2] + checksum(icmp) + icmp[4:]
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 1, 0, ip4(sender), ip4(target))
    head = head[:10] + checksum(head) + head[12:]
    return dst + src + struct.pack("!H", IPV4) + head + icmp


def ndp_request(src, target):
    group = bytes.fromhex("3333ff000001")
    sender, target = (socket.inet_pton(socket.AF_INET6, a) for a in ("fd01::9", target))
    to = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:1")
    icmp = struct.pack("!BBHI", 135, 0, 0, 0) + target + b"\1\1" + src
    pseudo = sender + to + struct.pack("!II", len(icmp), 58)
    icmp = icmp[:2] + checksum(pseudo + icmp) + icmp[4:]
    return group + src + struct.pack("!HIHBB", IPV6, 6 << 28, len(icmp), 58, 255) + sender + to + icmp


if __name__ == "__main__":
    require("ping")
    main()
