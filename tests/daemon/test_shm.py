"""test_shm.py - ports whose frames go by rings in shared memory, and clients that break them."""
import errno
import fcntl
import os
import random
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402
import shmclient  # noqa: E402
import test_offload  # noqa: E402
from shmclient import EMPTY, FULL, HEAD, OFFLOAD, SKIP, TAIL, TO_CLIENT, TO_SERVER  # noqa: E402

FETH_SHM = os.environ.get("FETH_SHM", "build/dev/tests/feth_shm")
F_GET_SEALS, SEAL, SHRINK, GROW, EXEC = 1034, 1, 2, 4, 32
MTU = 9000
SIZES = 14, 15, 60, 64, 65, 255, 256, 1514, 9014


def numbered(dst, src, n, size=60):
    return (dst + src + struct.pack("!HI", h.ETHERTYPE, n)).ljust(size, bytes([n & 0xFF]))[:size]


def knows_noexec():
    """Whether memory can be made that nobody executes: MFD_NOEXEC_SEAL, Linux 6.3."""
    try:
        os.close(os.memfd_create("asks", 8))
        return True
    except OSError:
        return False


def advertisement(dst, src, target):
    """A neighbour advertisement behind SNAP (RFC 1042), with the address it tells of at its end."""
    options = bytes([14, 60]).ljust(480, b"\0") + bytes([2, 1]) + target
    icmp = bytes([136, 0, 0, 0, 0x20, 0, 0, 0]) + bytes(16) + options
    ip = struct.pack("!IHBB", 6 << 28, len(icmp), 58, 255) + bytes(32)
    snap = b"\xaa\xaa\x03\0\0\0\x86\xdd" + ip + icmp
    return dst + src + struct.pack("!H", len(snap)) + snap


class ShmTest(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon()
        self.addCleanup(self.d.__exit__, None, None, None)
        self.d.create("lab", mtu=MTU, multicast="flood", defaults={"storm": 0})

    def shm(self, n, **params):
        """A client with rings whose address is known to the switch."""
        c = shmclient.attach(self.d, name=f"s{n}", mac=h.mac_text(h.mac(n)), **params)
        self.addCleanup(c.close)
        c.mac = h.mac(n)
        return c

    def native(self, n, **params):
        c = self.d.attach(name=f"n{n}", mac=h.mac_text(h.mac(n)), **params)
        self.addCleanup(c.close)
        c.mac = h.mac(n)
        return c


    def fds(self):
        """The daemon's descriptors of shared memory."""
        folder = f"/proc/{self.d.proc.pid}/fd"
        links = [os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)] if not h.DARWIN else []
        return [link for link in links if "memfd" in link]


class Rings(ShmTest):
    def test_attach_gives_sealed_memory_and_says_what_it_is(self):
        with h.Native(self.d.path("lab", "feth.sock")) as c:
            r = c.call("attach", shm=True)
            self.assertEqual(r["shm"], {"size": 4096 + (2 << 20), "ring": 1 << 20})
            self.assertEqual((r["fds"], r["features"], len(c.fds)), (1, ["shm"], 1))
            self.assertEqual(self.d.port(r["name"])["ring"], 1 << 20)
            self.assertEqual(os.fstat(c.fds[0]).st_size, r["shm"]["size"])
            if not h.DARWIN:
                self.assertEqual(fcntl.fcntl(c.fds[0], F_GET_SEALS), SEAL | SHRINK | GROW | (EXEC if knows_noexec() else 0))
            for size in (0, 4096, 4 << 20):
                with self.assertRaises(OSError) as e:
                    os.ftruncate(c.fds[0], size)
                self.assertEqual(e.exception.errno, errno.EPERM)
            self.assertIn("shm", c.call("hello")["features"])
        with h.Native(self.d.path("lab", "feth.sock")) as c:
            r = c.call("attach", shm={"ring": 1 << 18})
            self.assertEqual(r["shm"], {"size": 4096 + (2 << 18), "ring": 1 << 18})

    def test_what_cannot_be_is_refused(self):
        with h.Native(self.d.path("lab", "feth.sock")) as c:
            for shm in (1, "yes", [], {"ring": 0}, {"ring": 1 << 17}, {"ring": 1 << 23}, {"ring": (1 << 20) + 8},
                        {"ring": -1}, {"ring": True}):
                with self.assertRaises(h.RpcError) as e:
                    c.call("attach", shm=shm)
                self.assertEqual(e.exception.code, "invalid", shm)
            with self.assertRaises(h.RpcError) as e:
                c.call("attach", shm=True, monitor=True)
            self.assertEqual(e.exception.code, "invalid")
            with self.assertRaises(h.RpcError) as e:
                c.call("port.open", shm=True)
            self.assertEqual(e.exception.code, "unsupported")
            r = c.call("attach", shm=False)
            self.assertNotIn("shm", r)
            self.assertEqual((r["features"], c.fds), ([], []))

    def test_a_port_that_cannot_be_attached_leaves_nothing(self):
        self.native(1)
        with h.Native(self.d.path("lab", "feth.sock")) as c:
            before = self.fds()
            for params in ({"name": "n1"}, {"groups": ["02:00:00:00:00:01"]}):
                with self.assertRaises(h.RpcError):
                    c.call("attach", shm=True, **params)
            self.assertEqual(self.fds(), before)
            self.assertEqual(c.fds, [])
            self.assertEqual(c.call("attach", shm=True)["features"], ["shm"])

    def test_memory_of_a_network_has_a_limit(self):
        clients = []
        with self.assertRaises(h.RpcError) as e:
            for _ in range(64):
                clients.append(shmclient.attach(self.d, shm={"ring": 4 << 20}))
        self.assertEqual(e.exception.code, "busy")
        self.assertEqual(len(clients), 31)  # 256 MiB
        clients[-1].call("detach")
        clients.append(shmclient.attach(self.d, shm={"ring": 4 << 20}))
        for c in clients:
            c.close()

    def test_the_daemon_keeps_no_descriptor_of_it(self):
        c = self.shm(1)
        c.call("hello")
        self.assertEqual(self.fds(), [])


class Frames(ShmTest):
    def test_frames_go_between_rings_and_everybody_else(self):
        a, b, n, q = self.shm(1), self.shm(2), self.native(3), self.d.qemu()
        self.addCleanup(q.close)
        q.mac = h.mac(4)
        q.send(h.frame(h.BROADCAST, q.mac, b"hello", 0x88B6))
        a.recv(0x88B6)
        ends = a, b, n, q
        for src in ends:
            for dst in ends:
                if src is dst:
                    continue
                sent = [numbered(dst.mac, src.mac, i, size) for i, size in enumerate(SIZES)]
                sent = [f[:12] + struct.pack("!H", h.ETHERTYPE) + f[14:] for f in sent]
                src.send(*sent)
                for f in sent:
                    self.assertEqual(dst.recv().hex()[:200], f.hex()[:200])
        a.send(numbered(h.BROADCAST, a.mac, 7))
        for c in (b, n, q):
            self.assertEqual(c.recv(), numbered(h.BROADCAST, a.mac, 7))
        self.assertTrue(a.silent(0.05))
        s = self.d.stats("s1")
        self.assertEqual(s["rx_frames"], 3 * len(SIZES) + 1)
        self.assertEqual(s["drops"], {})

    def test_long_frames_of_all_kinds_pass_whole(self):
        a, b, n = self.shm(1), self.shm(2), self.native(3)
        kinds = {"tcp4": (0x0800, 23, 6), "icmp4": (0x0800, 23, 1), "udp6": (0x86DD, 20, 17), "hop-by-hop": (0x86DD, 20, 0),
                 "tagged": (0x8100, 14, 0), "other": (0x88B7, 14, 1), "802.2": (500, 14, 0xAA)}
        for kind, (ethertype, at, byte) in kinds.items():
            for size in (512, 513, 1514, 8000):
                for dst in (b, n):
                    f = bytearray(numbered(dst.mac, a.mac, size, size))
                    f[12:14] = struct.pack("!H", ethertype)
                    f[14:18] = b"\x45\0" + struct.pack("!H", size - 14)
                    if ethertype == 0x86DD:
                        f[14:20] = b"\x60\0\0\0" + struct.pack("!H", size - 54)
                    f[at] = byte
                    a.send(bytes(f))
                    self.assertEqual(dst.recv(ethertype), bytes(f), kind)

    def test_many_frames_pass_the_end_of_both_rings_in_order(self):
        a, b = self.shm(1, shm={"ring": 1 << 18}), self.shm(2, shm={"ring": 1 << 18})
        rng, got = random.Random(5), []
        sizes = [rng.choice((60, 61, 1514, 8000, 9014)) for _ in range(1500)]
        sent = [numbered(b.mac, a.mac, i, size) for i, size in enumerate(sizes)]
        for f in sent:  # 4 MB by rings of 256 KiB
            a.send(f)
            while len(sent) > len(got) and len(got) < struct.unpack_from("!I", f, 14)[0] - 8:
                got.append(b.recv())
        while len(got) < len(sent):
            got.append(b.recv())
        self.assertEqual([len(f) for f in got], sizes)
        self.assertEqual(got, sent)

    def test_short_frames_of_one_turn_reach_who_keeps_them_as_they_were(self):
        """Of rings, which copy at once, and of a stream, which reads where they lie until the turn ends."""
        a, b, n = self.shm(1), self.shm(2), self.native(3)
        rng = random.Random(31)
        for dsts in ((b,), (n,), (b, n)):
            sent = {b: [], n: []}
            for i in range(2000):
                dst = rng.choice((*dsts, None))
                f = numbered(dst.mac if dst else h.BROADCAST, a.mac, i, rng.choice((18, 31, 60, 61, 66, 124, 125, 300)))
                self.assertTrue(a.put(f))
                for c in [dst] if dst else sent:
                    sent[c].append(f)
            a.show()
            for c, frames in sent.items():
                self.assertEqual([c.recv().hex() for _ in frames], [f.hex() for f in frames])

    def test_the_daemon_sleeps_until_it_is_woken_and_wakes_only_who_sleeps(self):
        a, n = self.shm(1), self.native(2)
        a.taken()
        self.assertTrue(a.put(numbered(n.mac, a.mac, 1)))
        a.word(TO_SERVER, HEAD, a.head)  # but nobody is told
        self.assertTrue(n.silent(0.1))
        a.send_raw(shmclient.WAKE)
        self.assertEqual(n.recv(), numbered(n.mac, a.mac, 1))
        a.taken()  # sleeps again

        n.send(numbered(a.mac, n.mac, 2))
        h.poll_until("a frame is in the ring", lambda: a.word(TO_CLIENT, HEAD))
        a.call("hello")  # and what was sent before its answer would be here
        self.assertEqual(a.wakes, 0)  # it did not say that it sleeps
        self.assertEqual(a.recv(), numbered(a.mac, n.mac, 2))
        a.word(TO_CLIENT, EMPTY, 1)
        n.send(*[numbered(a.mac, n.mac, i) for i in range(300)])
        h.poll_until("they are in the ring", lambda: self.d.stats("s1")["tx_frames"] == 301)
        a.call("hello")
        self.assertEqual(a.wakes, 1)
        self.assertEqual(a.word(TO_CLIENT, EMPTY), 0)

    def test_frames_on_the_stream_are_taken_as_well(self):
        a, n = self.shm(1), self.native(2)
        h.Native.send(a, numbered(n.mac, a.mac, 1))
        self.assertEqual(n.recv(), numbered(n.mac, a.mac, 1))
        n.send(numbered(a.mac, n.mac, 2))
        self.assertEqual(a.recv(), numbered(a.mac, n.mac, 2))
        self.assertEqual(a.frames, [])

    def test_what_finds_no_room_is_dropped_and_counted(self):
        a, n = self.shm(1, shm={"ring": 1 << 18}), self.native(2)
        total = 4000  # 6 MB
        for i in range(0, total, 50):
            n.send(*[numbered(a.mac, n.mac, k, 1514) for k in range(i, i + 50)])
        h.taken(n)
        s = h.poll_until("all are decided", lambda: (lambda s: s["tx_frames"] + s["drops"]["queue_full"] == total and s)
                         (self.d.stats("s1")))
        self.assertGreater(s["drops"]["queue_full"], 0)
        self.assertLessEqual(s["queued_bytes"], 1 << 18)
        self.assertEqual(s["queued_bytes"], a.word(TO_CLIENT, HEAD))
        self.assertEqual(a.word(TO_CLIENT, FULL), 1)  # it wants to hear of room
        first = a.take()
        self.assertEqual(len(first), s["tx_frames"])
        self.assertEqual(first, [numbered(a.mac, n.mac, struct.unpack_from("!I", f, 14)[0], 1514) for f in first])
        n.send(numbered(a.mac, n.mac, 9))
        self.assertEqual(a.recv(), numbered(a.mac, n.mac, 9))

    def test_a_queue_that_is_set_short_holds_less(self):
        a, n = self.shm(1, queue=65536), self.native(2)
        for i in range(2000):
            n.send(numbered(a.mac, n.mac, i, 1514))
        h.taken(n)
        h.poll_until("it is full", lambda: self.d.stats("s1")["drops"]["queue_full"])
        used = self.d.stats("s1")["queued_bytes"]
        self.assertLessEqual(used, 65536 + 672 * 1024)
        self.assertGreater(used, 672 * 1024)

    def test_runts_long_and_offloaded_frames_are_dropped(self):
        a, n = self.shm(1), self.native(2)
        n.call("port.set", cap=9018)
        a.put(b"")
        a.put(b"\0" * 13)
        a.put(numbered(n.mac, a.mac, 1, MTU + 15))
        a.put(numbered(n.mac, a.mac, 1, 60), OFFLOAD)
        a.put(bytes(65554))
        a.send(numbered(n.mac, a.mac, 2))
        self.assertEqual(n.recv(), numbered(n.mac, a.mac, 2))
        self.assertEqual(self.d.stats("s1")["drops"], {"runt": 2, "oversize": 1, "bad_offload": 2})

    def test_unfinished_frames_go_behind_their_header_where_both_agreed(self):
        both = {"rx": ["csum", "tso4"], "tx": ["csum", "tso4"]}
        a, b, n = self.shm(1, offload=both), self.shm(2, offload=both), self.native(3)
        self.assertEqual((b.info["offload"]["rx"], b.info["features"]), (both["rx"], ["offload", "shm"]))
        for size in (100, 40000):
            payload = random.Random(size).randbytes(size)
            gso = 1 if size > 1460 else 0
            for dst in (b, n):
                f, start, at = test_offload.packet(dst.mac, a.mac, payload)
                hdr = struct.pack("<BBHHHHH", 1, gso, 0, 1460 if gso else 0, start, at, 0)
                a.put(hdr + f, OFFLOAD)
                a.show()
                if dst is b:
                    self.assertEqual(b.recv(0x0800), f)
                    got, whole = b.owed.pop()
                    self.assertEqual((got[:2], got[3:], whole), ((1, gso), (1460 if gso else 0, start, at, 1), f))
                    continue
                parts = [n.recv(0x0800) for _ in range((size + 1459) // 1460)]
                self.assertEqual(b"".join(p[54:] for p in parts), payload)
                self.assertEqual(parts[0], test_offload.packet(n.mac, a.mac, payload[:1460], partial=False,
                                                               flags=0x18 if not gso else 0x10)[0])
        f, start, at = test_offload.packet(b.mac, a.mac, b"x" * 5000)
        for bad in (struct.pack("<BBHHHHH", 1, 1, 0, 0, start, at, 0), struct.pack("<BBHHHHH", 1, 4, 0, 1460, start, at, 0),
                    struct.pack("<BBHHHHH", 1, 1, 0, 1460, 60000, at, 0), b"\1" * 12, b"\1" * 5):
            a.put(bad + (f if len(bad) == 12 else b""), OFFLOAD)
        a.send(numbered(b.mac, a.mac, 1))
        self.assertEqual(b.recv(), numbered(b.mac, a.mac, 1))
        self.assertEqual(self.d.stats("s1")["drops"], {"bad_offload": 5})

    def test_detach_ends_the_rings_and_attach_gives_others(self):
        a, n = self.shm(1), self.native(2)
        a.call("detach")
        self.assertFalse([p for p in self.d.clients() if p["name"] == "s1"])
        a.put(numbered(n.mac, a.mac, 1))
        a.word(TO_SERVER, HEAD, a.head)
        a.send_raw(shmclient.WAKE)
        self.assertTrue(n.silent(0.1))
        a.attach_shm(name="s1", mac=h.mac_text(a.mac))
        a.send(numbered(n.mac, a.mac, 2))
        self.assertEqual(n.recv(), numbered(n.mac, a.mac, 2))
        a.call("detach")
        del a.words, a.map
        self.assertNotIn("shm", a.call("attach", name="s1"))
        n.send(numbered(h.BROADCAST, n.mac, 3))
        self.assertEqual(h.Native.read(a) or a.frames[0], numbered(h.BROADCAST, n.mac, 3))

    def test_events_and_the_end_come_by_the_stream(self):
        a = self.shm(1)
        self.d.call("network.set", network="lab", mtu=2000)
        self.assertEqual(a.note("network.changed")["mtu"], 2000)
        self.d.call("network.delete", network="lab")
        self.assertEqual(a.note("network.removed"), {"network": "lab"})
        self.assertTrue(a.closed())


class Library(ShmTest):
    def test_libfeth_hides_where_frames_go(self):
        p = subprocess.run([FETH_SHM, self.d.path("lab", "feth.sock"), str(self.d.proc.pid)],
                           capture_output=True, text=True, timeout=60, env=self.d.env)
        self.assertEqual((p.returncode, p.stdout), (0, "all is well\n"), p.stderr)
        self.d.proc.wait(10)  # killed


class Hostile(ShmTest):
    """Whatever is written into the memory, only its own connection ends."""

    def setUp(self):
        super().setUp()
        self.pair = h.Pair(self.d)
        self.addCleanup(self.pair.close)

    def ends(self, c):
        note = c.note("protocol.error")
        self.assertEqual(note["code"], "invalid")
        self.assertTrue(c.closed())
        self.pair.check()

    def test_a_ring_that_makes_no_sense_closes_the_connection(self):
        def record(c, at, word, head):
            struct.pack_into("=I", c.map, shmclient.DATA + at, word)
            c.word(TO_SERVER, HEAD, head)
        cases = {
            "head over the size": lambda c: record(c, 0, 60, c.ring + 8),
            "head behind": lambda c: record(c, 0, 60, -8),
            "head uneven": lambda c: record(c, 0, 60, 63),
            "length over the head": lambda c: record(c, 0, 61, 64),
            "length over any frame": lambda c: record(c, 0, 0xFFFFFF, c.ring),
            "skip at the beginning": lambda c: record(c, 0, SKIP, c.ring),
        }
        for n, (what, do) in enumerate(cases.items()):
            with self.subTest(what):
                c = self.shm(0x100 + n)
                do(c)
                c.send_raw(shmclient.WAKE)
                self.ends(c)
        self.assertEqual(self.d.call("daemon.show")["counters"]["protocol_error"], len(cases))

    def test_a_tail_that_makes_no_sense_closes_it_as_soon_as_it_is_looked_at(self):
        for n, tail in enumerate((1 << 21, 1 << 31, 1 << 20 | 64)):
            c = self.shm(0x200 + n)
            c.word(TO_CLIENT, TAIL, tail)
            self.pair.ends[0].send(h.frame(h.BROADCAST, self.pair.macs[0], b"x", self.pair.TYPE))
            self.pair.ends[1].recv(self.pair.TYPE)
            self.ends(c)

    def test_a_frame_that_changes_while_it_is_read_is_one_or_the_other(self):
        c = self.shm(1, locked=True)
        good, bad = numbered(self.pair.macs[0], c.mac, 1), numbered(self.pair.macs[0], h.mac(0x666), 2)
        for _ in range(300):
            at = shmclient.DATA + c.head % c.ring + 4
            c.put(good)
            c.show()
            c.map[at : at + 60] = bad  # too late, or in time: then it is spoofed
            c.map[at : at + 60] = good
        c.taken()
        for f in h.come(self.pair.ends[0]):
            self.assertEqual(f[6:12], c.mac)
        self.pair.check()

    def test_an_advertisement_behind_snap_that_changes_while_it_is_read_is_judged_as_it_is_sent(self):
        c = self.shm(1, locked=True)
        good, bad = (advertisement(self.pair.macs[0], c.mac, mac) for mac in (c.mac, h.mac(0x666)))
        c.send(bad, good)
        self.assertEqual(self.pair.ends[0].recv(len(good) - 14), good)
        self.assertEqual(self.d.stats("s1")["drops"], {"spoofed": 1})
        times, spoofed = 0, 1
        for _ in range(200):
            places = []
            while len(places) < 64 and c.put(good):
                places.append(shmclient.DATA + (c.head - 6) % c.ring)  # its end: 4 + 574 bytes of 584
            c.show()
            for _ in range(40):
                for last in (bad[-6:], good[-6:]):
                    for at in places:
                        c.map[at - 6 : at] = last
            c.taken()
            for f in h.come(self.pair.ends[0]):
                if f[12:14] == good[12:14]:
                    self.assertEqual(f[-6:], c.mac)
            before, spoofed = spoofed, self.d.stats("s1")["drops"]["spoofed"]
            times += spoofed > before
            if times == 5:  # enough were read while they changed
                break
        self.pair.check()

    def test_holes_in_the_memory_are_zeros(self):
        if h.DARWIN:
            self.skipTest("nothing can make them")
        with h.Native(self.d.path("lab", "feth.sock")) as c:
            size = c.call("attach", shm=True, name="hole")["shm"]["size"]
            import ctypes
            libc = ctypes.CDLL(None, use_errno=True)
            libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
            self.assertEqual(libc.fallocate(c.fds[0], 3, 0, size), 0)  # KEEP_SIZE, PUNCH_HOLE
            c.send_raw(shmclient.WAKE * 3)
            c.call("hello")
            self.pair.check()

    def test_memory_written_at_random(self):
        rng = random.Random(h.os.environ.get("FETHD_SEED", "rings"))
        c, opened = None, 0
        for _ in range(60):
            if c is None:
                c = self.shm(0x300 + opened, shm={"ring": 1 << 18})
                opened += 1
            try:
                for _ in range(rng.randrange(1, 20)):
                    c.scribble(rng)
                    if rng.random() < 0.3:
                        c.put(rng.randbytes(rng.randrange(0, 2000)))
                        c.word(TO_SERVER, HEAD, c.head)
                c.send_raw(shmclient.WAKE)
                c.call("hello")
            except (h.Closed, BrokenPipeError, ConnectionResetError):
                c = None
            self.pair.check(1)
        self.assertGreater(opened, 3)

    def test_clients_that_vanish(self):
        for n in range(20):
            c = self.shm(0x400 + n)
            c.put(numbered(self.pair.macs[0], c.mac, n))
            c.show()
            c.close()
        self.pair.check()
        h.poll_until("they are gone", lambda: len(self.d.clients()) == 2)


if __name__ == "__main__":
    unittest.main()
