"""test_matrix.py - every kind of packet through every pair of kinds of ports.

What each receiver is given, finished as it would be on a wire, is what the sender meant: byte for byte,
and in the order of its flow. Senders that may leave checksums and the cutting of TCP and UDP to others do.
Checksums that were wrong stay wrong. Needs root; namespaces of its own.
"""
import itertools
import os
import pathlib
import socket
import struct
import sys
import tempfile
import unittest

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
import shmclient
from harness import BROADCAST, Daemon, Messages, Qemu, frame, mac, mac_text, main, poll_until, taken
from netlab import CTAG, Namespace, VnetTap, require
from offload import ACK, PSH, TCP, UDP, VNET, Parts, finished, ip_sum, owing, packet, put
from shmclient import attach as attach_shm
from vdeclient import Vde

MTU = 1500
TAG5 = struct.pack("!HH", CTAG, 0x6005)
MARK = b"\x88\xb5"  # of frames that only mark an end, or say hello
HELLO, END = b"hello", b"end"
RARP = b"\x80\x35"
OFFLOADS = ["csum", "tso4", "tso6", "ecn", "uso4", "uso6"]


# -- ports, as the test sees them: send() takes what the functions below make; next() is what came next,
# finished, [] where nothing came for a while --


class Plain:
    """A client without offloads: native, QEMU."""
    owing = {}  # kinds of what it may leave to others
    at_once = True  # the switch gets in one read what is sent
    super_frames = None  # how many it got; None: it takes none

    def __init__(self, client, address):
        self.client, self.mac = client, address

    def send(self, items):
        self.client.send(*[f for _, f in items])
        taken(self.client)

    def next(self):
        try:
            return [self.client.recv(None, 10)]
        except (TimeoutError, socket.timeout):
            return []

    def close(self):
        self.client.close()


class Owed(bytes):
    """A frame with its virtio_net_hdr."""
    header = None


class Offloaded(Plain):
    """A native client that may owe all there is, and takes some."""

    def __init__(self, d, n, takes):
        self.owing = OWING
        c = d.native()
        c.unpacker = msgpack.Unpacker(raw=False, ext_hook=self.of_ext)
        c.call("attach", mac=mac_text(mac(n)), offload={"rx": takes, "tx": OFFLOADS})
        super().__init__(c, mac(n))
        self.super_frames = 0 if "tso4" in takes else None

    @staticmethod
    def of_ext(code, data):
        assert code == 1
        f = Owed(data[12:])
        f.header = data[:10]
        return f

    def send(self, items):
        self.client.send_raw(b"".join(msgpack.packb(
            msgpack.ExtType(1, header + bytes(2) + f) if header else f) for header, f in items))
        taken(self.client)

    def next(self):
        got = super().next()
        if not got or not isinstance(got[0], Owed):
            return got
        kind = got[0].header[1]
        if self.super_frames is not None:
            self.super_frames += kind != 0
        else:
            assert not kind, "a super-frame for who takes none"
        return finished(got[0].header, bytes(got[0]))


class OffloadedShm(Plain):
    """The same by rings in shared memory."""

    def __init__(self, d, n):
        super().__init__(attach_shm(d, mac=mac_text(mac(n)), offload={"rx": OFFLOADS, "tx": OFFLOADS}), mac(n))
        self.owing, self.super_frames = OWING, 0

    def send(self, items):
        for header, f in items:
            assert self.client.put(header + bytes(2) + f if header else f, shmclient.OFFLOAD if header else 0)
        self.client.show()
        taken(self.client)

    def next(self):
        got, owed = super().next(), self.client.owed
        if not got or not owed or owed[0][1] != got[0]:
            return got
        fields, f = owed.pop(0)
        self.super_frames += fields[1] != 0
        return finished(VNET.pack(*fields[:6]), f)


class Raw(Plain):
    """One of QEMU's framing whose frames owe work though nothing says so, as libkrun's do."""

    def __init__(self, client, address):
        super().__init__(client, address)
        self.owing = RAW


class Messaged(Plain):
    """A client that sends and gets a frame a message."""
    at_once = False


def datagrams(path, own):
    """A client as vfkit is one."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(own)
    sock.connect(path)
    sock.send(b"VFKT")
    return Messages(fd=sock.detach())


def dialled(d, dir):
    """Who listens, in QEMU's framing, and is called."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{dir}/dialled")
        listener.listen()
        listener.settimeout(10)
        d.call("port.add", network="lab", name="dialled", kind="qemu", connect=f"{dir}/dialled")
        return Qemu(fd=listener.accept()[0].detach())


class Udp(Messages):
    """The other end of a port of kind udp, in the daemon's namespace."""

    def __init__(self, d, ns):
        with ns.entered():
            sock, free = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for s in (sock, free):
            s.bind(("127.0.0.1", 0))
        local, remote = (f"127.0.0.1:{s.getsockname()[1]}" for s in (free, sock))
        sock.connect(free.getsockname())
        free.close()
        super().__init__(fd=sock.detach())
        d.call("port.add", network="lab", name="udp", kind="udp", local=local, remote=remote)

    def taken(self, seconds):
        """Nobody says; what is awaited comes behind what was sent."""


class Kernel:
    """An interface: the host member, or a tap port in a namespace. A packet socket with a virtio_net_hdr
    before each frame."""
    at_once = False

    def __init__(self, ns, ifname, address):
        self.mac, self.tap, self.owing = address, VnetTap(ns, ifname), OWING
        self.super_frames = 0

    def send(self, items):
        for header, f in items:
            self.tap.send_vnet(header or bytes(VNET.size), f)

    def next(self):
        got = self.tap.recv_vnet()
        self.super_frames += bool(got and got[0][1])
        return finished(*got) if got else []

    def close(self):
        self.tap.close()


class InVlan(Kernel):
    """The host member as somebody in VLAN 5 sees it, whose other ports know nothing of that."""

    def send(self, items):
        def tagged(header, f):
            if header:
                fields = list(VNET.unpack(header))
                fields[4] += len(TAG5)
                header = VNET.pack(*fields)
            return header, f[:12] + TAG5 + f[12:]
        super().send([tagged(*item) for item in items])

    def next(self):
        got = super().next()
        assert all(f[12:14] == TAG5[:2] and f[15] == 5 for f in got), "not in the VLAN"
        return [f[:12] + f[16:] for f in got]


# -- what is sent: lists of (header or None, frame); what is meant by it is finished() --


def burst(dst, src, protocol, n=12, size=1000, *, last=300, **how):
    """Segments of one flow in a row."""
    data = os.urandom(size * (n - 1) + last)
    seq = how.pop("seq", 0xFFFFE000)
    out = []
    for i in range(n):
        part = data[i * size : (i + 1) * size]
        flags = ACK | (PSH if i == n - 1 else 0)
        out.append((None, packet(dst, src, protocol, part, ident=65530 + i & 0xFFFF,
                                 seq=seq + i * size & 0xFFFFFFFF, flags=flags, **how)))
    return out


def one_owing(dst, src, protocol, size=1000, n=12, **how):
    """The same as one super-frame."""
    payload = os.urandom(size * (n - 1) + 300)
    return [owing(packet(dst, src, protocol, payload, ident=65530, seq=0xFFFFE000, flags=ACK | PSH, **how), size)]


def broken(items, which, at=200):
    """One of them with a byte that its checksum is not of."""
    header, f = items[which]
    return [*items[:which], (header, put(f, at, "!B", f[at] ^ 0x10)), *items[which + 1:]]


def fragments(dst, src):
    """A UDP datagram in three pieces."""
    whole = packet(dst, src, UDP, os.urandom(3000), ident=99)
    head, data = whole[:34], whole[34:]
    out = []
    for at in range(0, len(data), 1400):
        part = data[at : at + 1400]
        more = 0x2000 if at + 1400 < len(data) else 0
        f = put(head, 16, "!HHH", 20 + len(part), 99, more | at // 8) + part
        out.append((None, ip_sum(f, 14)))
    return out


def fragments6(dst, src):
    """The same with a fragment header (RFC 8200, 4.5)."""
    whole = packet(dst, src, UDP, os.urandom(3000), v6=True)
    head, data = whole[:54], whole[54:]
    out = []
    for at in range(0, len(data), 1400):
        part = data[at : at + 1400]
        more = 1 if at + 1400 < len(data) else 0
        f = put(head, 18, "!HB", 8 + len(part), 44)
        out.append((None, f + struct.pack("!BBHI", UDP, 0, at | more, 77) + part))
    return out


def extended(protocol):
    """Destination options with padding."""
    return bytes([protocol, 0, 1, 4, 0, 0, 0, 0])


KINDS = {
    "TCP": lambda d, s: burst(d, s, TCP),
    "TCP over IPv6": lambda d, s: burst(d, s, TCP, v6=True),
    "TCP in a VLAN": lambda d, s: burst(d, s, TCP, tag=TAG5),
    "TCP over IPv6 with extension headers": lambda d, s: burst(d, s, TCP, v6=True, extensions=extended(TCP)),
    "TCP, one checksum wrong": lambda d, s: broken(burst(d, s, TCP), 5),
    "TCP over IPv6, one checksum wrong": lambda d, s: broken(burst(d, s, TCP, v6=True), 0),
    "TCP, two flows": lambda d, s: [f for pair in zip(burst(d, s, TCP), burst(d, s, TCP, ports=(1, 2))) for f in pair],
    "UDP": lambda d, s: burst(d, s, UDP),
    "UDP over IPv6": lambda d, s: burst(d, s, UDP, v6=True),
    "UDP, one checksum wrong": lambda d, s: broken(burst(d, s, UDP), 3),
    "UDP without a checksum": lambda d, s: [(None, put(f, 40, "!H", 0)) for _, f in burst(d, s, UDP)],
    "fragments": fragments,
    "fragments of IPv6": fragments6,
    "no IP": lambda d, s: [(None, frame(d, s, os.urandom(1200))) for _ in range(3)],
}
COALESCED = {"TCP", "TCP over IPv6", "TCP in a VLAN", "TCP, one checksum wrong", "TCP over IPv6, one checksum wrong",
             "TCP, two flows"}  # UDP where the kernel takes that
OWING = {
    "a checksum owed": lambda d, s: [owing(packet(d, s, TCP, os.urandom(999)))],
    "a checksum owed, UDP over IPv6": lambda d, s: [owing(packet(d, s, UDP, os.urandom(998), v6=True))],
    "a super-frame of TCP": lambda d, s: one_owing(d, s, TCP),
    "a super-frame of TCP over IPv6": lambda d, s: one_owing(d, s, TCP, v6=True),
    "a super-frame of TCP in a VLAN": lambda d, s: one_owing(d, s, TCP, tag=TAG5),
    "one of 64 KiB": lambda d, s: one_owing(d, s, TCP, size=1448, n=45),
}
# where nobody says how long segments are they are the longest that fit
RAW = {
    "a checksum owed": OWING["a checksum owed"],
    "a checksum owed, UDP over IPv6": OWING["a checksum owed, UDP over IPv6"],
    "a super-frame of TCP": lambda d, s: one_owing(d, s, TCP, size=MTU - 52),
    "a super-frame of TCP over IPv6": lambda d, s: one_owing(d, s, TCP, size=MTU - 72, v6=True),
    "a super-frame of TCP in a VLAN": lambda d, s: one_owing(d, s, TCP, size=MTU - 52, tag=TAG5),
}


def meant(items):
    return [f for header, f in items for f in finished(header or bytes(VNET.size), f)]


def flows(frames):
    """The frames of each flow in their order: those of different ones may change places."""
    out = {}
    for f in frames:
        p = Parts(f)
        out.setdefault((f[12:16], f[p.l4 : p.l4 + 4]) if p.protocol else None, []).append(f)
    return out


class Matrix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ns, cls.box = (cls.enterClassContext(Namespace()) for _ in range(2))
        for ns in (cls.ns, cls.box):  # nobody but the tests is to speak
            ns.sysctl("ipv6/conf/all/disable_ipv6", 1)
            ns.sysctl("ipv6/conf/default/disable_ipv6", 1)
        cls.d = cls.enterClassContext(Daemon(prefix=cls.ns.prefix))

    def ports(self, backend, vlan=False):
        net = self.d.create(backend=backend, mtu=MTU, multicast="flood", defaults={"vlan": 5} if vlan else {})
        self.addCleanup(self.d.call, "network.delete", network="lab")
        dir = self.enterContext(tempfile.TemporaryDirectory())
        self.d.call("port.add", network="lab", name="box", kind="tap", ifname="eth0", netns=self.box.name,
                    mac="02:00:00:00:00:0c")
        self.d.call("port.add", network="lab", name="raw", kind="qemu", mac="02:00:00:00:00:10", raw_offload=True)
        made = {
            "host": (InVlan if vlan else Kernel)(self.ns, net["host"], bytes.fromhex(net["mac"].replace(":", ""))),
            "native": Plain(self.d.attach(mac="02:00:00:00:00:0a"), mac(0x0A)),
            "qemu": Plain(self.d.qemu(), mac(0x0B)),
            "raw": Raw(Qemu(self.d.path("lab", "ports", "raw")), mac(0x10)),
            "offload": Offloaded(self.d, 0x0E, OFFLOADS),
            "checksums": Offloaded(self.d, 0x0F, ["csum"]),
            "shm": Plain(attach_shm(self.d, mac="02:00:00:00:00:0d"), mac(0x0D)),
            "shm offload": OffloadedShm(self.d, 0x11),
            "tap": Kernel(self.box, "eth0", mac(0x0C)),
            "seqpacket": Messaged(Messages(self.d.path("lab", "seqpacket.sock")), mac(0x12)),
            "dgram": Messaged(datagrams(self.d.path("lab", "dgram", "sock"), f"{dir}/dgram"), mac(0x13)),
            "vde": Messaged(Vde(self.d.path("lab", "vde", "ctl")), mac(0x15)),
            "dialled": Plain(dialled(self.d, dir), mac(0x16)),
            "udp": Messaged(Udp(self.d, self.ns), mac(0x14)),
        }
        for port in made.values():
            self.addCleanup(port.close)
        poll_until("all are ports", lambda: {"dgram", "seqpacket", "udp", "vde"} <= {
            c["kind"] for c in self.d.clients() if c.get("state") != "waiting"})
        for name, port in made.items():  # everybody knows where everybody is
            port.send([(None, frame(BROADCAST, port.mac, HELLO, size=60))])
            for other in made:
                if other != name:
                    self.until(made[other], HELLO)
        return made

    def until(self, port, mark):
        """All frames before the one that says so."""
        came = []
        while True:
            got = port.next()
            self.assertTrue(got, f"nothing more came, after {len(came)} frames")
            for f in got:
                if f[12:14] == MARK and f[14:].startswith(mark):
                    return came
                if f[12:14] != RARP:  # the switch says who has come
                    came.append(f)

    def every_pair(self, backend, vlan=False):
        ports = self.ports(backend, vlan)
        for a, b in itertools.permutations(ports, 2):
            src, dst = ports[a], ports[b]
            for kind, make in {**KINDS, **src.owing}.items():
                if vlan and "VLAN" in kind:
                    continue  # clients have no tags there
                with self.subTest(sender=a, receiver=b, kind=kind):
                    items = make(dst.mac, src.mac)
                    before = dst.super_frames
                    src.send([*items, (None, frame(dst.mac, src.mac, END, size=60))])
                    came, want = self.until(dst, END), meant(items)
                    self.assertEqual(len(came), len(want))
                    self.assertEqual(flows(came), flows(want))
                    if kind in COALESCED and before is not None and src.at_once:
                        self.assertGreater(dst.super_frames, before)

    def test_veth_host_side(self):
        self.every_pair("veth")

    def test_tap_host_side(self):
        self.every_pair("tap")

    def test_ports_in_a_vlan(self):
        self.every_pair("veth", vlan=True)


if __name__ == "__main__":
    require()
    main()
