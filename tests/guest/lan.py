"""lan.py - one network with two QEMU guests, a Python client and the host, for test_*.py beside it.

Guest a comes by `-netdev stream` to qemu.sock, guest b by `fethctl run` with descriptor 3. A test's
classes are unittest.TestCases that inherit Everybody; main() here ends the file.
"""
import contextlib
import hashlib
import os
import pathlib
import re
import struct
import subprocess
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "netns")]
# pylint: disable=wrong-import-position
from guest import Guest, GuestError, Netns, boot, prepare, tcp_transfer
import harness
from harness import BROADCAST, FETHCTL, Daemon, poll_until, skip_all
from netlab import CTAG, IPV4, STAG, Namespace, Station, Tap, frame_type, require

BULK_FULL = 64 << 20
BULK = (64 if os.environ.get("FETHD_FULL") == "1" else 16) << 20
MAC_A, MAC_B, MAC_C = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c"
HOST_IP, A_IP, B_IP, C_IP = (f"10.77.0.{n}" for n in (1, 2, 3, 4))
HOST_IP6, A_IP6, B_IP6 = (f"fd77::{n}" for n in (1, 2, 3))
NOISE_SEED = 7
GUESTDIR, NOISE_BYTES = None, b""  # set by main()

DECNET = "ab:00:00:03:00:00"
APPLETALK = "09:00:07:ff:ff:ff"
ALL_HOSTS = "01:00:5e:00:00:fb"  # mDNS, in an IPX-like frame that no kernel looks into

# name -> group or None, tags, ethertype
KINDS = {
    "plain": (None, b"", 0x88B5),
    "IPX": (None, b"", 0x8137),
    "broadcast IPX": ("ff:ff:ff:ff:ff:ff", b"", 0x8137),
    "DECnet": (DECNET, b"", 0x6003),
    "AppleTalk": (APPLETALK, b"", 0x809B),
    "IP multicast address": (ALL_HOSTS, b"", 0x88B5),
    "802.1Q": (None, struct.pack("!HH", CTAG, 5), 0x88B5),
    "priority tag": (None, struct.pack("!HH", CTAG, 5 << 13), 0x88B5),
    "QinQ": (None, struct.pack("!HHHH", STAG, 7, CTAG, 5), 0x88B5),
    "QinQ multicast": (DECNET, struct.pack("!HHHH", STAG, 7, CTAG, 5), 0x6003),
}


def unhex(text):
    return bytes.fromhex(text.replace(":", ""))


def full_size(tags, mtu):
    return mtu + 14 + (4 if tags[:2] == struct.pack("!H", CTAG) else 0)


# A frame as a line of text: the beginning of it, its digits, a hash of them; in Python and in a guest.
DIGEST_SH = 'while read l; do echo "${l:0:64} ${#l} $(echo $l | md5sum)"; done'


def digest(f):
    text = f.hex()
    return f"{text[:64]} {len(text)} {hashlib.md5((text + chr(10)).encode()).hexdigest()}  -"


def in_order(frames, digested=False):
    """The digests of ours among these; the tagged ones behind the others.

    A Linux that receives by the list, as with virtio-net, shows tagged frames to packet sockets before
    untagged ones that came just before them (net/core/dev.c: __netif_receive_skb_list_core()).
    """
    lines = [line if digested else digest(line) for line in frames]
    ours = [line for line in lines if line[24:28] not in ("0800", "0806", "86dd")]
    return sorted(ours, key=lambda line: line[24:28] in ("8100", "88a8"))


class Pings:
    """Pings that go on from a machine to an address, until end()."""

    def __init__(self, machine, address, interval=0.1):
        self.machine, self.address = machine, address
        self.job = machine.spawn(f"exec busybox ping -i {interval} {address} -w 900")

    def answered(self):
        return [int(n) for n in re.findall(r"seq=(\d+) ", self.job.output())]

    def go_on(self):
        """Waits until another three have come back."""
        n = len(self.answered())
        poll_until(f"{self.machine.name} hears from {self.address}", lambda: len(self.answered()) >= n + 3, 30)

    def lost(self):
        """How many of those sent before the last answer have none."""
        seen = self.answered()
        return sorted(set(range(seen[-1] + 1)) - set(seen))

    def end(self):
        with contextlib.suppress(GuestError):  # whose machine may be gone
            self.job.kill()


class Lab:
    """A daemon with the network `lab`, two guests, a Station and a Tap on the host member."""

    def __init__(self, case, mtu, backend="veth"):
        self.ns = case.enterClassContext(Namespace())
        self.d = case.enterClassContext(Daemon(prefix=self.ns.prefix))
        self.net = self.d.create(backend=backend, mtu=mtu, addresses=[f"{HOST_IP}/24", f"{HOST_IP6}/64"])
        self.host = case.enterClassContext(Netns(self.ns.name, GUESTDIR))
        self.host.name = "host"
        stream = f"stream,id=net0,server=off,addr.type=unix,addr.path={self.d.path('lab', 'qemu.sock')}"
        self.a = Guest("a", GUESTDIR, ["-netdev", stream], mac=MAC_A, mtu=mtu,
                       addr=f"{A_IP}/24", addr6=f"{A_IP6}/64")
        self.b = Guest("b", GUESTDIR, ["-netdev", "socket,id=net0,fd=3"], mac=MAC_B, mtu=mtu,
                       addr=f"{B_IP}/24", addr6=f"{B_IP6}/64",
                       prefix=[FETHCTL, "--run-dir", self.d.run_dir, "run", "lab", "--mac", MAC_B, "--"])
        start = time.monotonic()
        case.enterClassContext(boot(self.a, self.b))
        print(f"  two guests booted in {time.monotonic() - start:.1f} s", flush=True)
        self.station = case.enterClassContext(Station(self.d.attach(mac=MAC_C), C_IP))
        self.tap = case.enterClassContext(Tap(self.ns, self.net["host"]))


class Everybody:
    """What holds for networks of any MTU."""

    MTU = 0
    KINDS = ()
    SIZES = ()

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(cls, cls.MTU)
        cls.macs = {"host": cls.lab.net["mac"], "a": MAC_A, "b": MAC_B, "c": MAC_C}

    def build(self, kind, sender, receiver, size, at=0):
        """A frame of `size` bytes; its payload is the noise from `at` on."""
        group, tags, ethertype = KINDS[kind]
        head = unhex(group or self.macs[receiver]) + unhex(self.macs[sender]) + tags
        head += struct.pack("!H", ethertype)
        return head + NOISE_BYTES[at : at + size - len(head)]

    def all_kinds(self):
        """What everybody sends: (sender, receivers, frame, where its noise begins)."""
        number = 0
        for sender in self.macs:
            others = [name for name in self.macs if name != sender]
            for kind in self.KINDS:
                group, tags, _ = KINDS[kind]
                for size in [size or full_size(tags, self.MTU) for size in self.SIZES]:
                    for receivers in [others] if group else [[name] for name in others]:
                        number += 1
                        f = self.build(kind, sender, receivers[0], size, number)
                        yield sender, receivers, f, number

    def test_frames_of_every_kind_arrive_unchanged(self):
        """Guest to host, host to guest, guest to guest, and to and from the Python client."""
        lab, guests = self.lab, {"a": self.lab.a, "b": self.lab.b}
        to, commands = {name: [] for name in self.macs}, {}
        before = lab.d.stats()["drops"]
        for g in guests.values():
            commands[g.name] = [f"noise=$(bulk {NOISE_SEED} {len(NOISE_BYTES)} | xxd -p | tr -d '\\n')"]
            self.capture(g)
        lab.tap.drain()
        lab.station.taken = []
        for sender, receivers, f, at in self.all_kinds():
            for name in receivers:
                to[name].append(f)
            if sender == "host":
                lab.tap.send(f)
            elif sender == "c":
                lab.station.send(f)
            else:
                # The console of a guest is slow: it makes most of the frame itself.
                head = next(n for n in (14, 18, 22) if f[n:] == NOISE_BYTES[at : at + len(f) - n])
                noise = f"${{noise:{2 * at}:{2 * (len(f) - head)}}}"
                commands[sender].append(f"rawframe send eth0 {f[:head].hex()}{noise}")
        for name, g in guests.items():
            # One last frame: when it is there, so is all that came before.
            last = BROADCAST + unhex(self.macs[name]) + b"\x88\xb5last" + bytes(46)
            g.check("\n".join([*commands[name], f"rawframe send eth0 {last.hex()}"]), 60)
            other = guests["b" if name == "a" else "a"]
            other.check(f"until grep -q {last.hex()} /tmp/frames; do usleep 50000; done", 20)
            poll_until("the Python client has it", lambda last=last: last in lab.station.taken)
            for receiver in to:
                to[receiver] += [last] if receiver != name else []
        got = {"host": in_order(f for f, out in lab.tap.drain() if not out),
               "c": in_order(lab.station.taken)}
        lab.station.taken = None
        for name, g in guests.items():
            got[name] = in_order(self.captured(g, DIGEST_SH), digested=True)
        for name, lines in got.items():
            for sender, m in self.macs.items():
                with self.subTest(receiver=name, sender=sender):
                    m = m.replace(":", "")
                    self.assertEqual(*([line for line in some if line[12:24] == m]
                                       for some in (lines, in_order(to[name]))))
        self.assertEqual(lab.d.stats()["drops"], before)

    @staticmethod
    def capture(guest, what="all"):
        """From now on the frames that come to a guest are in its /tmp/frames."""
        guest.check(f"rm -f /tmp/frames; rawframe recv eth0 {what} 100000 90000 >/tmp/frames & "
                    "until grep -qs ready /tmp/frames; do usleep 20000; done")

    @staticmethod
    def captured(guest, command="cat"):
        """What came since capture(), a line each, through a command."""
        return guest.check(f"killall rawframe; sed 1d /tmp/frames | {command}").splitlines()

    def transfer(self, sender, receiver, ip, port, nbytes=BULK):
        t = tcp_transfer(sender, receiver, ip, port, nbytes, seed=port)
        rate = nbytes / t.seconds / 1e6
        print(f"  {sender.name} to {receiver.name}, MTU {self.MTU}: {nbytes >> 20} MiB in {t.seconds:.1f} s, "
              f"{rate:.0f} MB/s", flush=True)
        self.assertEqual(t.sent, t.received)


def main():
    """Skips the whole file where there can be no guests; else runs its tests."""
    global GUESTDIR, NOISE_BYTES
    require("ping")
    if not os.access(FETHCTL, os.X_OK):
        skip_all(f"there is no fethctl at {FETHCTL}")
    GUESTDIR = prepare()
    NOISE_BYTES = subprocess.check_output([f"{GUESTDIR}/bulk", str(NOISE_SEED), "16384"])
    harness.main()
