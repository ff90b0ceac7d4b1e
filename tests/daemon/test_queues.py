"""test_queues.py - what waits, how long, and what it takes: memory of ports that are idle, and of
broadcasts that nobody reads; and what a slow reader gets.

Memory is measured of the release build that FETHD_RELEASE names; ASan's is its own.
"""
import fcntl
import os
import struct
import sys
import termios
import threading
import time
import unittest

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

PORTS = 400
IDLE_KIB = 16  # resident memory that an idle port may cost


def empty(clients):
    """Reads whatever is there."""
    for c in clients:
        c.sock.setblocking(False)
        try:
            while c.sock.recv(1 << 18):
                pass
        except BlockingIOError:
            pass
        c.sock.settimeout(10)


def release():
    path = os.environ.get("FETHD_RELEASE")
    if not path or not os.path.exists(path):
        raise unittest.SkipTest("FETHD_RELEASE names no release build; memory is not measured under ASan")
    old, h.FETHD = h.FETHD, path
    try:
        return h.Daemon()
    finally:
        h.FETHD = old


class Memory(unittest.TestCase):
    def network(self, ports, **params):
        self.d = self.enterContext(release())
        self.d.create("lab", multicast="flood", defaults={"storm": 0}, **params)
        self.clients = []
        self.add(ports)
        return self.clients

    def add(self, ports):
        for i in range(ports):
            c = self.d.qemu() if i % 2 else self.d.attach()
            self.addCleanup(c.close)
            self.clients.append(c)
        h.poll_until("all are ports", lambda: len(self.d.ports()) == len(self.clients))

    def test_an_idle_port_costs_little(self):
        """Also one that was not idle before."""
        clients = self.network(4)
        clients[0].send(h.frame(h.BROADCAST, h.mac(1), size=1514))  # buffers are there
        h.taken(clients[0])
        before = self.d.rss_kib()
        self.add(PORTS)
        for i, c in enumerate(clients):
            c.send(h.frame(h.BROADCAST, h.mac(i + 1), b"x" * 1000))
            h.taken(clients[0])
            if i % 16 == 0:
                empty(clients)
        with self.d.control() as ctl:
            h.poll_until("all have sent", lambda: all(
                r["rx_frames"] for r in ctl.items("stats.get", network="lab") if r["name"] != "host"))
            empty(clients)
            h.poll_until("nothing waits", lambda: not sum(
                r["queued_bytes"] for r in ctl.items("stats.get", network="lab")))
        each = (self.d.rss_kib() - before) / PORTS
        print(f"{each:.1f} KiB a port", flush=True)
        self.assertLess(each, IDLE_KIB)

    def test_a_broadcast_that_nobody_reads_is_kept_once(self):
        clients = self.network(64, mtu=h.MTU_MAX)
        tx = self.d.attach()
        self.addCleanup(tx.close)
        size = 60000
        tx.send(h.frame(h.BROADCAST, h.mac(1), size=size))
        h.taken(tx)
        before = self.d.rss_kib()
        some = msgpack.packb(h.frame(h.BROADCAST, h.mac(1), size=size))

        def rows():
            with self.d.control() as ctl:
                return [r for r in ctl.items("stats.get", network="lab") if r["tx_frames"]]

        def all_full():
            tx.send_raw(some)
            return len(rows()) == len(clients) and all(
                r["drops"].get("queue_full") for r in rows())
        h.poll_until("all are full", all_full, 30)
        queued = sum(r["queued_bytes"] for r in rows())
        self.assertGreater(queued, len(clients) * 2 * size)
        grown = self.d.rss_kib() - before
        print(f"{queued // 1024} KiB queued at {len(clients)} ports take {grown} KiB", flush=True)
        self.assertLess(grown, queued / 1024 / 4)


def unread(c):
    """Bytes that lie in the kernel for this client to read."""
    return struct.unpack("i", fcntl.ioctl(c.sock, termios.FIONREAD, b"\0" * 4))[0]


class Age(unittest.TestCase):
    """A slow reader finds little waiting, and so nothing old; one that is fast again has all the room
    there is."""

    def setUp(self):
        self.d = self.enterContext(h.Daemon())
        self.d.create("lab", multicast="flood")
        self.rx = self.enterContext(self.d.attach(mac=h.mac_text(h.mac(2))))
        self.tx = self.enterContext(self.d.attach(mac=h.mac_text(h.mac(1))))
        self.sent, self.got, self.last, self.stop = 0, 0, -1, False

    def flood(self):
        """20 frames, and so on, until it is told to stop."""
        while not self.stop:
            self.tx.send(*[h.frame(h.mac(2), h.mac(1), struct.pack("!I", self.sent + i), size=1514)
                           for i in range(20)])
            self.sent += 20
            time.sleep(0.001)

    def take(self, size):
        """Reads once; what comes is in order."""
        self.rx.unpacker.feed(self.rx.sock.recv(size))
        for f in self.rx.unpacker:
            if isinstance(f, bytes) and f[12:14] == h.ETHERTYPE.to_bytes(2, "big"):
                n = struct.unpack("!I", f[14:18])[0]
                self.assertGreater(n, self.last)
                self.last = n
                self.got += 1

    def slowly(self):
        self.take(1500)
        time.sleep(0.001)
        return unread(self.rx)

    def room(self):
        """What is there to read a moment after it had read everything for a while."""
        end = self.sent + 2000
        while self.sent < end or unread(self.rx):
            self.take(1 << 18)
        end = self.sent + 500
        h.poll_until("there is more", lambda: self.sent > end)
        return unread(self.rx)

    def test_what_waits_for_a_slow_reader_is_soon_little(self):
        thread = threading.Thread(target=self.flood)
        thread.start()
        try:
            h.poll_until("much waits", lambda: unread(self.rx) > 150000)
            h.poll_until("little waits", lambda: self.slowly() < 100000, 30)
            for _ in range(300):
                self.assertLess(self.slowly(), 150000)
            h.poll_until("much may wait for a fast one", lambda: self.room() > 150000, 30)
        finally:
            self.stop = True
            thread.join()
        h.taken(self.tx)
        while self.d.stats(self.rx.info["name"])["queued_bytes"] or unread(self.rx):
            if unread(self.rx):
                self.take(1 << 18)
        row = self.d.stats(self.rx.info["name"])
        self.assertEqual(set(row["drops"]), {"queue_full"})
        # and what the network itself says to all: who has come
        self.assertIn(row["tx_frames"] - self.got, range(4))
        self.assertIn(row["drops"]["queue_full"] - (self.sent - self.got), range(4))


if __name__ == "__main__":
    h.main()
