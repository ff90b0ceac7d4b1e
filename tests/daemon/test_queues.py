"""test_queues.py - what waits, and what it takes: memory of ports that are idle, and of broadcasts that
nobody reads.

Memory is measured of the release build that FETHD_RELEASE names; ASan's is its own.
"""
import os
import sys
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


if __name__ == "__main__":
    h.main()
