"""netlab.py - network namespaces, and the two ends of a wire in them, for tests of the host side.

Namespace  a network namespace of the test's own; nothing here touches the machine's.
Tap        a packet socket on an interface of it: sends frames, and sees them as they were on the wire.
Station    a native client with an IP address, which answers ARP and pings, and pings others.

Plain Python on the kernel's own interfaces, so that no code of ours stands between a test and what
is true.
"""
import atexit
import contextlib
import ctypes
import errno
import itertools
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import threading
import time

from harness import BROADCAST, Closed, poll_until, skip_all

CLONE_NEWNET = 0x40000000
PACKET_OUTGOING = 4
FRAME_MAX = 65600

ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
CTAG, STAG = 0x8100, 0x88A8
NOISE = {ARP, IPV4, IPV6}  # what a kernel says by itself

_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)


def require(*tools):
    """Ends the program as skipped where it cannot make namespaces, or a tool is missing."""
    if os.geteuid() != 0:
        skip_all("network namespaces need root; run this by sudo")
    for tool in ("ip", *tools):
        if not shutil.which(tool):
            skip_all(f"there is no {tool} here (Debian: iproute2, iputils-ping, util-linux)")
    try:
        Namespace().delete()
    except subprocess.CalledProcessError as e:
        skip_all(f"no network namespace can be made: {e.stderr.strip()}")


class Namespace:
    """A network namespace with a name nobody else uses. Deleted with all that is in it."""

    def __init__(self):
        self.name = f"fethd-{os.getpid()}-{next(_numbers)}"
        self.prefix = ["ip", "netns", "exec", self.name]
        subprocess.run(["ip", "netns", "add", self.name], check=True, text=True, capture_output=True)
        atexit.register(self.delete)
        self.ip("link set lo up")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.delete()

    def delete(self):
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)
        atexit.unregister(self.delete)

    def run(self, *cmd, check=True, timeout=60):
        p = subprocess.run([*self.prefix, *cmd], text=True, stdin=subprocess.DEVNULL,
                           capture_output=True, timeout=timeout, check=False)
        if check and p.returncode:
            raise AssertionError(f"{' '.join(cmd)}: {p.returncode}\n{p.stdout}{p.stderr}")
        return p

    def ip(self, words):
        """ip(8), by one line of words; returns what it printed."""
        p = subprocess.run(["ip", "-n", self.name, *words.split()], text=True, timeout=60,
                           stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if p.returncode:
            raise AssertionError(f"ip {words}: {p.stderr}")
        return p.stdout

    def links(self):
        """Every interface but lo: name -> what `ip -j address show` says of it."""
        return {link["ifname"]: link for link in json.loads(self.ip("-d -j address show") or "[]")
                if link and link["ifname"] != "lo"}

    def link(self, name):
        return self.links().get(name)

    def addresses(self, name):
        """The addresses of an interface, but for link-local ones; a set of "10.0.0.1/24"."""
        return {f'{a["local"]}/{a["prefixlen"]}' for a in self.link(name)["addr_info"]
                if not (a["family"] == "inet6" and a["scope"] == "link")}

    def sysctl(self, path, value):
        self.run("sh", "-c", f"echo {value} >/proc/sys/net/{path}")

    @contextlib.contextmanager
    def entered(self):
        """This thread is in the namespace; what is opened here stays there."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        away = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            _setns(away)
            yield
        finally:
            _setns(home)
            os.close(home)
            os.close(away)

    def ping(self, dst, *options, count=1, seconds=5):
        """Whether the kernel in here gets `count` answers from `dst`."""
        return self.run("ping", "-q", "-n", "-c", str(count), "-i", "0.1", "-w", str(seconds),
                        *options, dst, check=False).returncode == 0


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "setns")


def frame_type(f):
    return int.from_bytes(f[12:14], "big")


class Tap:
    """A packet socket on an interface. Frames are those that came in by it unless said otherwise.
    While one is promiscuous on a host member, every multicast frame is sent there."""

    def __init__(self, ns, ifname, promisc=True):
        with ns.entered():
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock = self.sock
        sock.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: tags the kernel put aside
        sock.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
        index = int(ns.link(ifname)["ifindex"])
        if promisc:
            sock.setsockopt(263, 1, struct.pack("iHH8x", index, 1, 0))  # PACKET_MR_PROMISC
        sock.bind((ifname, 3))  # ETH_P_ALL
        sock.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, f):
        """Raises OSError where the kernel refuses; EMSGSIZE above the MTU."""
        end = time.monotonic() + 10
        while True:
            try:
                self.sock.send(f)
                return
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                select.select([], [self.sock], [], 1)

    def read(self):
        """(frame, went out) of the next one; None where there is none now."""
        try:
            f, control, flags, addr = self.sock.recvmsg(FRAME_MAX, socket.CMSG_SPACE(20))
        except BlockingIOError:
            return None
        except OSError as e:
            if e.errno != errno.ENETDOWN:  # said once, when it went down
                raise
            return self.read()
        assert not flags & socket.MSG_TRUNC
        f = _tagged(f, control)
        return f, addr[2] == PACKET_OUTGOING

    def recv(self, seconds=10.0, noise=False):
        """The next frame that came in; those of a kernel's own types are skipped unless `noise`."""
        end = time.monotonic() + seconds
        while True:
            got = self.read()
            if got is None:
                left = end - time.monotonic()
                if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                    raise TimeoutError("no frame came")
            elif not got[1] and (noise or frame_type(got[0]) not in NOISE):
                return got[0]

    def drain(self):
        """All (frame, went out) that are there now."""
        return list(iter(self.read, None))


class VnetTap(Tap):
    """A Tap with a virtio_net_hdr of 10 bytes before each frame, both ways: it sees and sends what is
    unfinished, super-frames too."""

    def __init__(self, ns, ifname):
        super().__init__(ns, ifname)
        self.sock.setsockopt(263, 15, 1)  # PACKET_VNET_HDR

    def send_vnet(self, header, f):
        self.send(header + f)

    def read_vnet(self):
        """(header, frame, went out) of the next one; None where there is none now."""
        try:
            data, control, flags, addr = self.sock.recvmsg(FRAME_MAX + 10, socket.CMSG_SPACE(20))
        except BlockingIOError:
            return None
        assert not flags & socket.MSG_TRUNC
        header, f = data[:10], data[10:]
        tagged = _tagged(f, control)
        if tagged is not f and header[0]:
            start = int.from_bytes(header[6:8], "little") + 4
            header = header[:6] + start.to_bytes(2, "little") + header[8:]
        return header, tagged, addr[2] == PACKET_OUTGOING

    def recv_vnet(self, seconds=10.0):
        """(header, frame) of the next one that came in; None where none came."""
        end = time.monotonic() + seconds
        while True:
            got = self.read_vnet()
            if got and not got[2]:
                return got[:2]
            left = end - time.monotonic()
            if left <= 0 or (not got and not select.select([self.sock], [], [], left)[0]):
                return None

    def drain_vnet(self):
        """All that are there now."""
        return list(iter(self.read_vnet, None))


def _tagged(f, control):
    """A frame with the tag that the kernel put aside, if there was one."""
    for level, kind, body in control:
        if (level, kind) == (263, 8):
            status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", body[:20])
            if status & 0x10:  # TP_STATUS_VLAN_VALID
                tpid = tpid if status & 0x40 else CTAG
                return f[:12] + struct.pack("!HH", tpid, tci) + f[12:]
    return f


def _sum16(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Station:
    """The smallest IPv4 host, on a native client; runs in a thread of its own until close()."""

    def __init__(self, client, address):
        self.client, self.mac = client, bytes.fromhex(client.info["mac"].replace(":", ""))
        self.ip = socket.inet_aton(address)
        self.neighbours, self.answers = {}, []
        self.heard = []    # group frames
        self.taken = None  # all frames, where a test makes this a list
        self.error = None
        self._lock = threading.Lock()
        self._wake, self._woken = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        os.close(self._woken)
        self._thread.join()
        os.close(self._wake)
        self.client.close()

    def send(self, *frames):
        with self._lock:
            self.client.send(*frames)

    def ping(self, address, size=56, seconds=5):
        """Whether `address` answers, with all that it was sent."""
        dst = socket.inet_aton(address)
        body = os.urandom(size)
        who = struct.pack("!HHBBH6s4s6s4s", 1, IPV4, 6, 4, 1, self.mac, self.ip, bytes(6), dst)
        try:
            if dst not in self.neighbours:
                self.send(BROADCAST + self.mac + struct.pack("!H", ARP) + who)
                poll_until(f"{address} answers ARP", lambda: dst in self.neighbours, seconds)
            echo = struct.pack("!BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, 1) + body
            self._send_ip(self.neighbours[dst], dst, echo)
            poll_until(f"{address} answers a ping", lambda: (dst, body) in self.answers, seconds)
        except AssertionError:
            return False
        return True

    def _send_ip(self, mac, dst, icmp):
        icmp = icmp[:2] + struct.pack("!H", _sum16(icmp[:2] + b"\0\0" + icmp[4:])) + icmp[4:]
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(icmp), 0, 0x4000, 64, 1, 0, self.ip, dst)
        head = head[:10] + struct.pack("!H", _sum16(head)) + head[12:]
        self.send(mac + self.mac + struct.pack("!H", IPV4) + head + icmp)

    def _serve(self):
        try:
            while self._wake not in select.select([self.client.sock, self._wake], [], [])[0]:
                self.client.read()
                frames, self.client.frames = self.client.frames, []
                for f in frames:
                    self._take(f)
        except (Closed, OSError) as e:
            self.error = e

    def _take(self, f):
        if self.taken is not None:
            self.taken.append(f)
        if f[0] & 1:
            self.heard.append(f)
        if frame_type(f) == ARP and len(f) >= 42:
            op, src_mac, src, _, dst = struct.unpack("!6xH6s4s6s4s", f[14:42])
            if op == 1 and dst == self.ip:
                body = struct.pack("!HHBBH6s4s6s4s", 1, IPV4, 6, 4, 2, self.mac, self.ip, src_mac, src)
                self.send(src_mac + self.mac + struct.pack("!H", ARP) + body)
            elif op == 2:
                self.neighbours[src] = src_mac
        elif frame_type(f) == IPV4 and f[23] == 1 and f[30:34] == self.ip and f[:6] == self.mac:
            icmp = f[14 + (f[14] & 15) * 4 : 14 + int.from_bytes(f[16:18], "big")]
            if _sum16(icmp):
                return
            if icmp[0] == 8:
                self._send_ip(f[6:12], f[26:30], b"\0\0" + icmp[2:])
            elif icmp[0] == 0:
                self.answers.append((f[26:30], icmp[8:]))
