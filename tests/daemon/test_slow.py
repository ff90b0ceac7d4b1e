"""test_slow.py - clients that read too slowly, or stop, or vanish: they alone lose by it.

A frame is numbered and its body follows from the number, so that a cut or mixed-up one shows.
"""
import contextlib
import fcntl
import os
import random
import struct
import sys
import termios
import time
import unittest

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

LARGEST = h.MTU_MAX + 14  # bytes of a frame
QUEUE = 256 * 1024  # docs: what waits for one port
# ASan would keep what is freed for a while, and count as a leak here
ENV = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}


def numbered(n, dst, src=1, size=60):
    """Frame number n: its body is the number over and over."""
    body = struct.pack("!I", n) * (size // 4)
    return (dst + h.mac(src) + struct.pack("!H", h.ETHERTYPE) + body)[:size]


def number(f):
    """The number of a frame, which must be whole and unchanged."""
    n = struct.unpack("!I", f[14:18])[0]
    want = numbered(n, f[:6], struct.unpack("!H", f[10:12])[0], len(f))
    assert f == want, f"frame {n} of {len(f)} bytes is damaged"
    return n


def waiting(c):
    """Bytes that lie in the kernel for this client to read."""
    return struct.unpack("i", fcntl.ioctl(c.sock, termios.FIONREAD, b"\0" * 4))[0]


class Slow(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon(env=ENV)
        self.addCleanup(self.d.__exit__, None, None, None)
        self.d.create("lab", mtu=h.MTU_MAX, multicast="flood",  # frames are counted: no queries
                      defaults={"storm": 0})  # and floods are what fills queues here
        self.a = self.d.attach(name="a")
        self.addCleanup(self.a.close)
        self.pair = h.Pair(self.d)
        self.addCleanup(self.pair.close)

    def attached(self, kind, mac=None):
        """A client that is a port and known by its address; with its name."""
        if kind == "native":
            c = self.d.attach()
            c.name = c.info["name"]
        else:
            before = {p["name"] for p in self.d.ports()}
            c = self.d.qemu()
            c.name = h.poll_until("it is a port", lambda: {
                p["name"] for p in self.d.ports()} - before).pop()
        self.addCleanup(c.close)
        if mac:
            c.send(h.frame(h.BROADCAST, mac, b"here I am"))
            self.a.recv()
            h.drain(*self.pair.ends)
        return c

    def full(self, name):
        return self.d.stats(name)["drops"]["queue_full"]

    def read_all(self, c, last):
        """All frames up to number `last`; they must be whole and in order."""
        got = []
        while not got or got[-1] != last:
            f = c.recv(seconds=10)
            if f[14:23] != b"here I am":
                got.append(number(f))
        self.assertEqual(got, sorted(set(got)), "not in order")
        return got

    @contextlib.contextmanager
    def fresh(self):
        """The next size starts over with a daemon of its own."""
        try:
            yield
        finally:
            self.doCleanups()
            self.setUp()

    def stops(self, kind, unicast, size):
        """One client stops reading; what it loses is counted, and nobody else loses anything."""
        c = self.attached(kind, h.mac(0x51))
        dst = h.mac(0x51) if unicast else h.BROADCAST
        n = 0
        while self.full(c.name) < 50:
            batch = [numbered(n + i, dst, size=size) for i in range(min(40, 150000 // size))]
            n += len(batch)
            self.a.send(*batch)
            h.taken(self.a)
            h.drain(*self.pair.ends)
            self.pair.check(2)
        row = self.d.stats(c.name)
        with self.d.control() as ctl:
            queued = next(r for r in ctl.items("stats.get", network="lab") if r["name"] == c.name)
        self.assertLessEqual(queued["queued_bytes"], QUEUE + size)
        self.assertGreater(queued["queued_bytes"], QUEUE - 2 * size - 64)
        in_kernel = waiting(c)
        self.a.send(*[numbered(n + i, dst, size=size) for i in range(10)])
        h.taken(self.a)
        self.assertEqual(self.full(c.name), row["drops"]["queue_full"] + 10)
        n += 10
        dropped = self.full(c.name)
        # it reads again: first what waited, without a gap, then what comes now
        kept = n - dropped
        got = [number(c.recv()) for _ in range(kept)]
        self.assertEqual(got, list(range(kept)))
        header = 4 if kind == "qemu" else 2 if size < 256 else 3
        self.assertLessEqual(kept * (size + header), QUEUE + in_kernel + 2 * size)
        self.a.send(numbered(n, dst, size=size))
        self.assertEqual(number(c.recv()), n)
        self.assertEqual(self.full(c.name), dropped)
        row = self.d.stats(c.name)
        self.assertEqual(row["drops"], {"queue_full": dropped})
        self.assertEqual(row["tx_frames"], kept + 1)
        h.drain(*self.pair.ends)
        self.pair.check()
        others = self.d.stats()["drops"]
        self.assertEqual(others, {"queue_full": dropped})

    def test_native_unicast(self):
        for size in (60, 1514, LARGEST):
            with self.subTest(size), self.fresh():
                self.stops("native", True, size)

    def test_native_flood(self):
        for size in (60, 1514, LARGEST):
            with self.subTest(size), self.fresh():
                self.stops("native", False, size)

    def test_qemu_unicast(self):
        for size in (60, 1514, LARGEST):
            with self.subTest(size), self.fresh():
                self.stops("qemu", True, size)

    def test_qemu_flood(self):
        for size in (60, 1514, LARGEST):
            with self.subTest(size), self.fresh():
                self.stops("qemu", False, size)

    def test_whole_frames_in_order_however_slowly_it_reads(self):
        """Sizes and pieces at random, floods and unicast in turn, calls in between."""
        for seed in (1, 2, 3):
            rnd = random.Random(seed)
            n, q = self.attached("native", h.mac(0x61)), self.attached("qemu", h.mac(0x62))
            sent = {n.name: 0, q.name: 0}
            base = {c: self.d.stats(c)["tx_frames"] for c in sent}
            got = {n.name: [], q.name: []}
            asked, answered = 0, []
            n.order = []
            buf = b""
            h.drain(n, q)
            base_order = len(n.order)
            for i in range(1200):
                dst, to = rnd.choice(((h.mac(0x61), (n,)), (h.mac(0x62), (q,)), (h.BROADCAST, (n, q))))
                size = min(rnd.choice((18, 60, 250, 1514, 3000, 9014, 30000, 65535)), LARGEST)
                self.a.send(numbered(i, dst, size=size))
                for c in to:
                    sent[c.name] += 1
                if rnd.random() < 0.05:
                    h.taken(self.a)
                    asked += 1
                    n.send_raw(msgpack.packb([0, asked, "hello", []]))
                for _ in range(rnd.choice((0, 0, 1, 2))):
                    for c in (n, q):
                        size = rnd.choice((1, 3, 100, 5000 * LARGEST // 65535, 20000 * LARGEST // 65535))
                        c.sock.settimeout(0)
                        try:
                            if c is n:
                                n.unpacker.feed(n.sock.recv(size))
                            else:
                                buf += q.sock.recv(size)
                        except BlockingIOError:
                            pass
                        c.sock.settimeout(10)
                for item in n.unpacker:
                    if isinstance(item, bytes):
                        got[n.name].append(number(item))
                    else:
                        answered.append(item[1])
                if i % 50 == 0:
                    h.drain(*self.pair.ends)
                    self.pair.check(1)
            # the last ones, so that both know when to stop
            h.taken(self.a)
            end = time.monotonic() + 10
            while True:
                got[n.name] += [number(f) for f in h.come(n)]
                buf, q.buf = b"", q.buf + buf
                got[q.name] += [number(f) for f in h.come(q)]
                rows = {c: self.d.stats(c) for c in sent}
                if all(len(got[c]) == sent[c] - rows[c]["drops"]["queue_full"] for c in sent):
                    break
                self.assertLess(time.monotonic(), end)
            for c in sent:
                self.assertEqual(got[c], sorted(set(got[c])), (seed, c))
                self.assertEqual(rows[c]["tx_frames"] - base[c], len(got[c]))
                self.assertGreater(rows[c]["drops"]["queue_full"], 0, "nothing was slow here")
            answered += [o[1] for o in n.order[base_order:] if isinstance(o, list)]
            answered += sorted(n.replies)
            self.assertEqual(sorted(set(answered)), list(range(1, asked + 1)), seed)
            h.drain(*self.pair.ends)
            self.pair.check()
            n.close()
            q.close()
            h.poll_until("gone", lambda: len(self.d.clients()) == 3)

    def test_answers_come_before_the_frames_that_wait(self):
        c = self.attached("native")
        i = 0
        while not self.full(c.name):
            self.a.send(*[numbered(i + k, h.BROADCAST, size=9014) for k in range(20)])
            i += 20
            h.taken(self.a)
            h.drain(*self.pair.ends)
        held = waiting(c)
        c.order = []
        asked = [c.request("network.show") for _ in range(10)]
        h.taken(c)
        c.reply(asked[-1])
        while isinstance(c.order[-1], bytes):
            c.order.pop()
        before = [o for o in c.order if isinstance(o, bytes)]
        self.assertEqual([o[1] for o in c.order if isinstance(o, list)], asked)
        # only what the kernel had already, and the one frame that was begun
        self.assertLessEqual(sum(len(f) for f in before), held + 9014)
        self.assertEqual([number(f) for f in before], list(range(len(before))))
        self.pair.check()

    def test_small_frames_in_both_shapes_do_not_eat_the_pool(self):
        """A slow port that gets unicast and floods in turn holds no more than its queue."""
        c = self.attached("native", h.mac(0x51))
        while not self.full(c.name):
            self.a.send(*[numbered(k, h.mac(0x51) if k % 2 else h.BROADCAST) for k in range(400)])
            h.taken(self.a)
            h.drain(*self.pair.ends)
        before = self.d.rss_kib()
        for _ in range(100):
            self.a.send(*[numbered(k, h.mac(0x51) if k % 2 else h.BROADCAST) for k in range(400)])
            h.taken(self.a)
            h.drain(*self.pair.ends)
        self.assertEqual(set(self.d.stats()["drops"]), {"queue_full"})
        self.assertLess(self.d.grown_kib(before), 2048)
        self.pair.check()

    def test_memory_is_bounded_with_30_stopped_readers(self):
        readers = [self.attached("native" if i % 2 else "qemu", h.mac(0x700 + i)) for i in range(30)]
        self.pair.check()
        before = self.d.rss_kib()
        for r in range(40):  # floods are shared, unicast is each port's own
            self.a.send(*[numbered(k, h.BROADCAST, size=9014) for k in range(20)])
            for i in range(30):
                self.a.send(*[numbered(k, h.mac(0x700 + i), size=9014) for k in range(20)])
            h.taken(self.a)
            h.drain(*self.pair.ends)
            if r % 5 == 0:
                self.pair.check(1)
        for c in readers:
            self.assertGreater(self.full(c.name), 0)
        grown = self.d.grown_kib(before)
        self.assertLess(grown, 30 * (QUEUE // 1024) + 5120)
        for c in readers[:15]:
            c.close()
        for c in readers[15:]:
            h.drain(c)
        h.poll_until("15 left", lambda: len(self.d.clients()) == 18)
        h.drain(*self.pair.ends)
        self.pair.check(rounds=20)

    def test_a_network_never_keeps_more_than_64_mib(self):
        """Enough stopped readers to use up what all queues together may hold."""
        n = 240
        readers = [self.attached("native" if i % 2 else "qemu", h.mac(0x700 + i)) for i in range(n)]
        before = self.d.rss_kib()
        for r in range(8):
            for i in range(n):
                self.a.send(*[numbered(k, h.mac(0x700 + i), size=9014) for k in range(14)])
            h.taken(self.a)
            self.pair.check()
        drops = self.d.stats()["drops"]
        self.assertGreater(drops["no_memory"], 0)
        self.assertEqual(set(drops), {"no_memory", "queue_full"})
        self.assertLess(self.d.grown_kib(before), 72 * 1024)
        for c in readers[: n // 2]:
            c.close()
        h.poll_until("half left", lambda: len(self.d.clients()) == n // 2 + 3)
        # there is room again, for those who could have none before
        last = readers[-1]
        while waiting(last):
            h.drain(last)
            self.pair.check(1)  # in between the daemon writes more
        f = [numbered(k, h.mac(0x700 + n - 1), size=9014) for k in range(100, 120)]
        self.a.send(*f)
        self.assertEqual([number(last.recv()) for _ in f], list(range(100, 120)))
        self.pair.check(rounds=10)

    def test_frames_of_the_host_wait_in_the_same_way(self):
        self.d.create("fk", backend=h.HOST_BACKEND, mtu=9000)
        host = h.host(self.d, "fk")
        self.addCleanup(host.close)
        rnd = random.Random(5)
        for kind in ("native", "qemu"):
            c = self.d.attach("fk") if kind == "native" else self.d.qemu("fk")
            self.addCleanup(c.close)
            name = h.poll_until("a port", lambda: [
                p["name"] for p in self.d.ports("fk") if p["kind"] == kind]).pop()
            n, kept = 0, 0
            while self.d.stats(name, "fk")["drops"]["queue_full"] < 20:
                host.send(*[numbered(n + k, h.BROADCAST, size=rnd.choice((18, 60, 1514, 9014)))
                            for k in range(50)])
                h.taken(host)
                n += 50
            row = self.d.stats(name, "fk")
            kept = n - row["drops"]["queue_full"]
            self.assertEqual(row["tx_frames"], kept)
            got = [number(c.recv()) for _ in range(kept)]
            self.assertEqual(got, sorted(set(got)))
            c.close()
            h.poll_until("it left", lambda: len(self.d.ports("fk")) == 1)
        self.pair.check()

    def test_clients_that_vanish_while_frames_wait_for_them(self):
        for i in range(30):
            c = self.attached("native" if i % 2 else "qemu")
            dst = h.BROADCAST if i % 3 else h.mac(0x9999)
            for _ in range(60):
                self.a.send(*[numbered(k, dst, size=1514) for k in range(20)])
                h.drain(*self.pair.ends)
            if i % 4 == 0:
                c.sock.recv(1000)  # the middle of a frame
            if i % 2 and i % 4 == 3:
                c.send_raw(b"\x94\x00\x01\xa5he")  # the middle of a call
            self.a.send(*[numbered(k, dst, size=9014) for k in range(3)])
            c.close()
            self.a.send(*[numbered(k, dst, size=9014) for k in range(3)])
            h.taken(self.a)
            h.drain(*self.pair.ends)
            self.pair.check(2)
        h.poll_until("gone", lambda: len(self.d.clients()) == 3)

    def test_clients_killed_while_they_are_served(self):
        for i in range(6):
            before = len(self.d.clients())
            r, w = os.pipe()
            pid = os.fork()
            if not pid:
                try:
                    c = self.d.attach() if i % 2 else self.d.qemu()
                    os.write(w, b"x")
                    while True:  # reads, a little
                        c.sock.recv(3000)
                except BaseException:
                    pass
                os._exit(0)
            os.read(r, 1)
            os.close(r)
            os.close(w)
            h.poll_until("attached", lambda: len(self.d.clients()) == before + 1)
            with h.Flood(self.a, *[numbered(k, h.BROADCAST, size=1514) for k in range(20)]):
                for _ in range(20):
                    h.drain(*self.pair.ends)
                os.kill(pid, 9)
                os.waitpid(pid, 0)
                h.poll_until("gone", lambda: h.drain(*self.pair.ends) or
                             len(self.d.clients()) == before)
            h.taken(self.a)
            h.drain(*self.pair.ends)
            self.pair.check()

    def test_stopping_does_not_wait_for_them(self):
        readers = [self.attached("native" if i % 2 else "qemu") for i in range(10)]
        while not all(self.full(c.name) for c in readers):
            self.a.send(*[numbered(k, h.BROADCAST, size=9014) for k in range(20)])
            h.taken(self.a)
            h.drain(*self.pair.ends)
        self.d.call("network.delete", network="lab")
        for c in readers[1::2]:
            self.assertTrue(c.closed())  # and what came before was whole, or msgpack would choke
        self.assertEqual(self.d.stop(10), 0)


if __name__ == "__main__":
    h.main()
