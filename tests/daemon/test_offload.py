"""test_offload.py - clients that leave work on their frames to others, and clients that take it: whoever does not
gets frames that tshark finds nothing wrong with.
"""
import os
import random
import shutil
import struct
import subprocess
import sys
import unittest

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

FETH_OFFLOAD = os.environ.get("FETH_OFFLOAD", "build/dev/tests/feth_offload")
ALL = ["csum", "tso4", "tso6", "ecn", "uso4", "uso6"]
NEEDS_CSUM, TCPV4, TCPV6, UDP_L4, ECN = 1, 1, 4, 5, 0x80
TCP, UDP = 6, 17


def fold(total):
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def words(data):
    return fold(sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))))


def packet(dst, src, payload, v6=False, protocol=TCP, tag=None, ext=0, flags=0x18, partial=True, ident=7):
    """(frame, where its checksum begins, and where behind that it goes)"""
    head = dst + src + (struct.pack("!HH", 0x8100, tag) if tag else b"")
    if protocol == TCP:
        l4, at = struct.pack("!HHIIBBHHH", 1000, 2000, 0xFFFFF000, 9, 0x50, flags, 8000, 0, 0), 16
    else:
        l4, at = struct.pack("!HHHH", 1000, 2000, 8 + len(payload), 0), 6
    body = l4 + payload
    if v6:
        addresses = b"\xfd" + bytes(14) + src[5:] + b"\xfd" + bytes(14) + dst[5:]
        options = b"".join(struct.pack("!BBBB4x", 60 if i + 1 < ext else protocol, 0, 1, 4) for i in range(ext))
        ip = struct.pack("!IHBB", 6 << 28, len(options) + len(body), 60 if ext else protocol, 64) + addresses + options
    else:
        addresses = bytes([10, 0, 0, src[5], 10, 0, 0, dst[5]])
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), ident, 0x4000, 64, protocol, 0) + addresses
        ip = ip[:10] + struct.pack("!H", 0xFFFF ^ words(ip)) + ip[12:]
    seed = fold(words(addresses) + protocol + len(body))
    if not partial:
        seed = 0xFFFF ^ fold(seed + words(body)) or 0xFFFF
    body = body[:at] + struct.pack("!H", seed) + body[at + 2:]
    head += struct.pack("!H", 0x86DD if v6 else 0x0800) + ip
    return head + body, len(head), at


def owing(frame, start, offset, gso=0, size=0, flags=NEEDS_CSUM, claimed=(0, 0)):
    """An ext of type 1. @claimed: hdr_len and num_buffers, which nobody believes."""
    hdr = struct.pack("<BBHHHHH", flags, gso, claimed[0], size, start, offset, claimed[1])
    return msgpack.packb(msgpack.ExtType(1, hdr + frame))


class Offload(h.Native):
    """A client that is sent ext of type 1 too: they go to `owed`."""

    def _setup(self):
        super()._setup()
        self.owed = []

        def hook(code, data):
            if code != 1:
                return msgpack.ExtType(code, data)
            self.owed.append((struct.unpack("<BBHHHHH", data[:12]), data[12:]))
            return data[12:]  # in self.frames as well, as a frame

        self.unpacker = msgpack.Unpacker(raw=False, max_buffer_size=64 << 20, ext_hook=hook)

    def read(self):
        super().read()
        self.frames = [f for f in self.frames if f[12:14] != b"\x80\x35"]  # announcements


def attach(case, name, n, offload=None, **params):
    c = Offload(case.d.path("lab", "feth.sock"))
    case.addCleanup(c.close)
    c.port = c.call("attach", name=name, mac=h.mac_text(h.mac(n)), offload=offload, **params)
    return c


def judged(case, frames):
    """What tshark says of each."""
    path = os.path.join(case.d.dir, "frames.pcap")
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for frame in frames:
            f.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
    fields = ["frame.len", "ip.checksum.status", "tcp.checksum.status", "udp.checksum.status", "tcp.seq_raw",
              "tcp.flags", "ip.id"]
    options = [f"{p}.check_checksum:TRUE" for p in ("ip", "tcp", "udp")]
    out = subprocess.run(
        ["tshark", "-n", "-r", path, "-T", "fields", *sum((["-o", o] for o in options), []),
         *sum((["-e", f] for f in fields), [])],
        check=True, capture_output=True, text=True).stdout
    rows = [dict(zip(fields, line.split("\t"))) for line in out.splitlines()]
    case.assertEqual(len(rows), len(frames))
    return rows


class Base(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon(prefix=h.ISOLATED)
        self.addCleanup(self.d.__exit__, None, None, None)
        self.d.create("lab", backend="none")


class Granting(Base):
    def test_what_is_asked_for_is_granted_as_far_as_it_makes_sense(self):
        for asked, rx, tx, most in [
                ({}, [], [], 65553), ({"rx": ALL, "tx": ALL}, ALL, ALL, 65553),
                ({"rx": ["csum"], "tx": ["tso4", "csum"], "max": 9000}, ["csum"], ["csum", "tso4"], 9000),
                ({"rx": ["tso4"], "tx": ["csum", "ecn", "ufo"]}, [], ["csum"], 65553)]:
            with self.d.native("lab") as c:
                port = c.call("attach", name="a", offload=asked)
                self.assertEqual(port["offload"], {"rx": rx, "tx": tx, "max": most})
                self.assertEqual(port["features"], ["offload"] if rx + tx else [])
                self.assertEqual(self.d.port("a").get("offload"), port["offload"] if rx + tx else None)
                c.call("detach")
                self.assertNotIn("offload", c.call("attach", name="a"))
        with self.d.native("lab") as c:
            for method in ("port.open",):
                with self.assertRaises(h.RpcError) as e:
                    c.call(method, offload={})
                self.assertEqual(e.exception.code, "unsupported")

    def test_who_did_not_ask_may_not_send_and_is_sent_none(self):
        a, b = attach(self, "a", 1, {"rx": ALL, "tx": ["csum"]}), attach(self, "b", 2)
        frame, start, at = packet(h.mac(2), h.mac(1), bytes(3000))
        a.send_raw(owing(frame, start, at, TCPV4, 1000))  # only csum was granted
        b.send_raw(owing(frame, start, at))
        b.call("network.show")
        a.call("network.show")
        for name in "ab":
            self.assertEqual(self.d.stats(name)["drops"], {"bad_offload": 1})
        self.assertTrue(b.silent(0.1, None))


class Work(Base):
    KINDS = [(protocol, v6) for protocol in (TCP, UDP) for v6 in (False, True)]

    def gso(self, protocol, v6):
        return UDP_L4 if protocol == UDP else TCPV6 if v6 else TCPV4

    @unittest.skipUnless(shutil.which("tshark"), "tshark is not installed")
    def test_super_frames_are_cut_for_who_does_not_take_them(self):
        a = attach(self, "a", 1, {"rx": [], "tx": ALL})
        b, c = attach(self, "b", 2), attach(self, "c", 3, {"rx": ALL})
        rng, sent, got = random.Random(5), [], []
        for i, (protocol, v6) in enumerate(self.KINDS * 2):
            payload = rng.randbytes(20000 + i)
            frame, start, at = packet(h.BROADCAST, h.mac(1), payload, v6, protocol, tag=5 if i > 3 else None,
                                      ext=i % 3 if v6 else 0, flags=0x99)
            gso = self.gso(protocol, v6) | (ECN if protocol == TCP else 0)
            a.send_raw(owing(frame, start, at, gso, 1300, claimed=(65535, 9)))
            sent.append((payload, protocol, len(frame) - len(payload)))
            n = -(-len(payload) // 1300)
            got.append([b.recv(None) for _ in range(n)])
            self.assertEqual(c.recv(None), frame)
            self.assertEqual(c.owed.pop(), ((NEEDS_CSUM, gso, len(frame) - len(payload), 1300, start, at, 1), frame))
        rows = judged(self, sum(got, []))
        for (payload, protocol, head), frames in zip(sent, got):
            mine, rows = rows[:len(frames)], rows[len(frames):]
            self.assertEqual(b"".join(f[head:] for f in frames), payload)
            for i, row in enumerate(mine):
                self.assertEqual(row["tcp.checksum.status"] or row["udp.checksum.status"], "1", row)  # good
                self.assertIn(row["ip.checksum.status"], ("", "1"))
                if row["ip.id"]:
                    self.assertEqual(int(row["ip.id"], 0), 7 + i)
                if protocol == TCP:
                    self.assertEqual(int(row["tcp.seq_raw"]), (0xFFFFF000 + 1300 * i) % 2**32)
                    cwr, end = 0x80 if i == 0 else 0, 0x9 if i == len(mine) - 1 else 0
                    self.assertEqual(int(row["tcp.flags"], 0), 0x10 | cwr | end)
        self.assertFalse(b.owed)

    @unittest.skipUnless(shutil.which("tshark"), "tshark is not installed")
    def test_checksums_are_written_for_who_does_not_take_that(self):
        a = attach(self, "a", 1, {"tx": ALL})
        b, c = attach(self, "b", 2), attach(self, "c", 3, {"rx": ["csum"]})
        with self.d.qemu("lab") as q:
            frames = []
            for protocol, v6 in self.KINDS:
                for size in (0, 1, 2, 700, 1301):
                    payload = os.urandom(size)
                    frame, start, at = packet(h.BROADCAST, h.mac(1), payload, v6, protocol)
                    whole = packet(h.BROADCAST, h.mac(1), payload, v6, protocol, partial=False)[0]
                    a.send_raw(owing(frame, start, at))
                    self.assertEqual(b.recv(None), whole)
                    self.assertEqual(q.recv(None), whole)
                    self.assertEqual(c.recv(None), frame)
                    self.assertEqual(c.owed.pop(), ((NEEDS_CSUM, 0, start + at + 2, 0, start, at, 1), frame))
                    frames.append(whole)
            for row in judged(self, frames):
                self.assertEqual(row["tcp.checksum.status"] or row["udp.checksum.status"], "1", row)

    def test_a_frame_is_not_longer_than_its_taker_said(self):
        a = attach(self, "a", 1, {"tx": ALL})
        frame, start, at = packet(h.mac(2), h.mac(1), bytes(3000))
        b = attach(self, "b", 2, {"rx": ALL, "max": len(frame)})
        a.send_raw(owing(frame, start, at, TCPV4, 1000))
        self.assertEqual(b.recv(None), frame)
        self.assertEqual(len(b.owed), 1)
        frame, start, at = packet(h.mac(2), h.mac(1), bytes(3001))
        a.send_raw(owing(frame, start, at, TCPV4, 1000))
        self.assertEqual([len(b.recv(None)) for _ in range(4)], [1054] * 3 + [55])
        self.assertEqual(len(b.owed), 1)

    def test_frames_of_both_kinds_keep_their_order(self):
        a, b, c = attach(self, "a", 1, {"tx": ALL}), attach(self, "b", 2), attach(self, "c", 3, {"rx": ALL})
        raw, want = b"", []
        for i in range(300):
            payload = struct.pack("!I", i) + bytes(i)
            frame, start, at = packet(h.BROADCAST, h.mac(1), payload, partial=bool(i % 3))
            raw += owing(frame, start, at) if i % 3 else msgpack.packb(frame)
            want.append(packet(h.BROADCAST, h.mac(1), payload, partial=False)[0])
        a.send_raw(raw)
        self.assertEqual([b.recv(None) for _ in want], want)
        self.assertEqual([len(c.recv(None)) for _ in want], [len(f) for f in want])
        self.assertEqual(len(c.owed), 200)


class Raw(Base):
    """A guest of libkrun with offloading on: frames of QEMU's framing, and nothing says what they owe."""

    @unittest.skipUnless(shutil.which("tshark"), "tshark is not installed")
    def test_a_guest_whose_frames_do_not_say_what_they_owe(self):
        with self.d.control() as c:
            c.call("port.open", network="lab", kind="qemu", name="krun", mac=h.mac_text(h.mac(1)), raw_offload=True)
            self.assertTrue(self.d.port("krun")["raw_offload"])
            with h.Qemu(fd=os.dup(c.fds[0])) as krun:
                b, o = attach(self, "b", 2), attach(self, "c", 3, {"rx": ALL, "tx": ALL})
                frames = []
                for v6, protocol, size in ((False, TCP, 30000), (True, TCP, 60000), (False, UDP, 700), (True, UDP, 7),
                                           (False, TCP, 0)):
                    payload = os.urandom(size)
                    frame, start, at = packet(h.BROADCAST, h.mac(1), payload, v6, protocol)
                    krun.send(frame)
                    n = max(1, -(-size // (1500 - (60 if v6 else 40)))) if protocol == TCP else 1
                    got = [b.recv(None) for _ in range(n)]
                    self.assertTrue(all(len(f) <= 1514 for f in got))
                    self.assertEqual(o.recv(None), frame)
                    (flags, gso, _, size, *_), _ = o.owed.pop()
                    self.assertEqual((flags, bool(gso), bool(size)), (NEEDS_CSUM, n > 1, n > 1))
                    frames += got
                    self.assertEqual(b"".join(f[len(frame) - len(payload):] for f in got), payload)
                whole = packet(h.BROADCAST, h.mac(1), b"whole", partial=False)[0]
                krun.send(whole)
                self.assertEqual(o.recv(None), whole)
                self.assertFalse(o.owed)
                # and to it: finished, since it could not be told anything
                payload = os.urandom(4000)
                frame, start, at = packet(h.mac(1), h.mac(3), payload)
                o.send_raw(owing(frame, start, at, TCPV4, 1000))
                back = [krun.recv(0x0800) for _ in range(4)]
                self.assertEqual(b"".join(f[54:] for f in back), payload)
                for row in judged(self, frames + back):
                    self.assertEqual(row["tcp.checksum.status"] or row["udp.checksum.status"], "1", row)


class Library(Base):
    def test_libfeth(self):
        p = subprocess.run([FETH_OFFLOAD, self.d.path("lab", "feth.sock")], capture_output=True, text=True, timeout=60)
        self.assertEqual((p.returncode, p.stderr), (0, ""))


class Hostile(Base):
    def test_what_contradicts_itself_is_dropped_and_counted(self):
        a, b = attach(self, "a", 1, {"rx": ALL, "tx": ALL}), attach(self, "b", 2, {"rx": ALL})
        frame, start, at = packet(h.mac(2), h.mac(1), bytes(3000))
        bad = [
            owing(frame, start, at, TCPV4, 0), owing(frame, start, at, TCPV4, 1461), owing(frame, start, at, TCPV4, 5),
            owing(frame, start, at, TCPV6, 1000), owing(frame, start, at, UDP_L4, 1000), owing(frame, start, at, 3, 1000),
            owing(frame, start, at, 0x41, 1000), owing(frame, start, at, TCPV4, 1000, flags=0),
            owing(frame, start + 1, at, TCPV4, 1000), owing(frame, 65535, 65535), owing(frame, 13, 2),
            owing(frame, 200, 100), owing(frame[:-1], start, at, TCPV4, 1000), owing(frame[:40], start, at),
        ]
        rng = random.Random(3)
        for _ in range(300):  # and whatever else; none of it is for anybody
            body = bytearray(owing(b"\x02\0\0\0\0\x02" + frame[6:60], start, at, 1, 9)[3:])
            for _ in range(8):
                body[rng.randrange(12)] = rng.randrange(256)
            a.send_raw(b"\xc7" + bytes([len(body)]) + b"\x01" + bytes(body))
        before = self.drops(a)
        for raw in bad:
            a.send_raw(raw)
        self.assertEqual(self.drops(a) - before, len(bad))
        short = [b"\xc7\x0b\x01" + bytes(11), b"\xd8\x01" + bytes(16), b"\xc7\x00\x01"]
        for raw in short:
            a.send_raw(raw)
        self.assertEqual(self.drops(a) - before, len(bad) + len(short))
        a.send_raw(owing(b"", 0, 0, flags=0) + owing(b"\x02" * 13, 0, 0, flags=0))
        a.call("network.show")
        self.assertEqual(self.d.stats("a")["drops"]["runt"], 2)
        a.send_raw(owing(frame, start, at, TCPV4, 1000))
        h.poll_until("the good frame", lambda: b.recv(None) == frame)

    def drops(self, client):
        client.call("network.show")
        return self.d.stats("a")["drops"].get("bad_offload", 0)

    def test_who_does_not_read_gets_whole_objects_all_the_same(self):
        """What waits is in the queue in the same form."""
        a = attach(self, "a", 1, {"tx": ALL}, storm=0)
        takers = [attach(self, n, i, {"rx": ALL}) for i, n in enumerate("bc", 2)]
        frame, start, at = packet(h.BROADCAST, h.mac(1), os.urandom(30000))
        for _ in range(60):
            a.send_raw(owing(frame, start, at, TCPV4, 1000))
            a.send(frame[:60])
        a.call("network.show")
        for name, taker in zip("bc", takers):
            self.assertGreater(self.d.stats(name)["drops"]["queue_full"], 0)
            while not taker.silent(0.1, None):
                taker.seen = getattr(taker, "seen", 0) + 1
            self.assertGreater(len(taker.owed), 5)
            self.assertGreater(taker.seen, len(taker.owed))
            self.assertTrue(all(f == frame for _, f in taker.owed))


if __name__ == "__main__":
    unittest.main()
