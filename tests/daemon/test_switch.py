"""test_switch.py - every frame goes exactly where a learning switch would send it, unchanged.

The host side is the fake backend's, two datagram sockets (server/hostif/fake.c), or a simulated
Darwin's network stack.
"""
import hashlib
import os
import random
import socket
import struct
import sys
import threading
import unittest

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402


class Base(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon()
        self.addCleanup(self.d.__exit__, None, None, None)

    def ports(self, *kinds, network="lab", **params):
        """Attached clients p0, p1, … of these kinds; a QEMU port's name is chosen by the daemon."""
        out = []
        for i, kind in enumerate(kinds):
            if kind == "native":
                c = self.d.attach(network, name=f"p{i}", **params)
                c.name = f"p{i}"
            else:
                before = {p["name"] for p in self.d.ports(network)}
                c = self.d.qemu(network)
                c.name = h.poll_until("it is a port", lambda: {
                    p["name"] for p in self.d.ports(network)} - before).pop()
            self.addCleanup(c.close)
            out.append(c)
        return out

    def fdb(self, network="lab", host=False):
        """Who has which address; host: also the host side's own."""
        with self.d.control() as c:
            return {r["mac"]: r["name"] for r in c.items("fdb.list", network=network)
                    if host or r["name"] != "host" or not r["static"]}


class Switch(Base):
    def test_flood_learn_unicast_and_move(self):
        self.d.create("lab")
        a, b, c, q = self.ports("native", "native", "qemu", "qemu")
        unknown = h.frame(h.mac(2), h.mac(1), b"unknown")
        a.send(unknown)
        for x in (b, c, q):
            self.assertEqual(x.recv(), unknown)
        back = h.frame(h.mac(1), h.mac(2), b"back")
        c.send(back)
        self.assertEqual(a.recv(), back)
        known = h.frame(h.mac(2), h.mac(1), b"known")
        a.send(known)
        self.assertEqual(c.recv(), known)
        self.assertEqual(self.fdb(), {"02:00:00:00:00:01": "p0", "02:00:00:00:00:02": c.name})
        # the station moves: at once, with the frame it sends from there
        moved = h.frame(h.mac(1), h.mac(2), b"moved")
        b.send(moved)
        self.assertEqual(a.recv(), moved)
        a.send(known)
        self.assertEqual(b.recv(), known)
        self.assertEqual(self.fdb()["02:00:00:00:00:02"], "p1")
        self.assertEqual(self.d.stats()["moves"], 1)
        # a group address as the source is not learned, but the frame passes
        group = h.frame(h.mac(1), h.BROADCAST, b"odd")
        q.send(group)
        self.assertEqual(a.recv(), group)
        # multicast floods, and is never learned
        multi = h.frame(bytes.fromhex("01005e000001"), h.mac(1), b"multicast")
        a.send(multi)
        for x in (b, c, q):
            self.assertEqual(x.recv(), multi)
        # to itself, or to a neighbour behind the same port
        a.send(h.frame(h.mac(1), h.mac(1), b"self"), h.frame(h.mac(1), h.mac(7), b"neighbour"))
        h.taken(a)
        self.assertEqual(self.d.stats("p0")["drops"], {"local": 2})
        for x in (a, b, c, q):
            self.assertTrue(x.silent(0.05))
        # who leaves is forgotten
        b.close()
        h.poll_until("forgotten", lambda: "02:00:00:00:00:02" not in self.fdb())
        a.send(known)
        for x in (c, q):
            self.assertEqual(x.recv(), known)

    def test_counters_are_exact(self):
        self.d.create("lab")
        a, b, q = self.ports("native", "native", "qemu")
        f = h.frame(h.BROADCAST, h.mac(1), size=100)
        a.send(*[f] * 5)
        q.send(h.frame(h.mac(1), h.mac(3), size=60), b"runt")
        for _ in range(5):
            b.recv()
            q.recv()
        a.recv()
        a.send(h.frame(h.mac(3), h.mac(1), size=1000))
        q.recv()

        def row(rx, rxb, tx, txb, **drops):
            return dict(rx_frames=rx, rx_bytes=rxb, tx_frames=tx, tx_bytes=txb, drops=drops)
        quiet = dict.fromkeys(("reports", "queries", "bad", "full", "unwanted"), 0)
        with self.d.control() as c:
            page = c.call("stats.get", network="lab")
        rows = {}
        for r in page["items"]:
            self.assertEqual(r.pop("queued_bytes"), 0)
            r.pop("port")
            r.pop("age", None)  # the host side has none
            rows[r.pop("name")] = r
        host = rows.pop("host", row(0, 0, 0, 0))
        self.assertEqual(host, row(0, 0, 5, 500) if h.DARWIN else row(0, 0, 0, 0))
        self.assertEqual(rows, {
            "p0": row(6, 1500, 1, 60), "p1": row(0, 0, 5, 500),
            q.name: row(2, 64, 6, 1500, runt=1)})
        all_of = row(8, 1564, 12 + host["tx_frames"], 2060 + host["tx_bytes"], runt=1)
        self.assertEqual(page["network"], dict(
            all_of, moves=0, multicast=quiet, too_big=dict(answered=0, limited=0),
            addresses={"learned": 2, "static": int(bool(h.DARWIN))}, groups=0,
            queue_memory=0))
        for x in (a, b, q):
            x.close()
        h.poll_until("all gone", lambda: not self.d.clients())
        self.assertEqual(self.d.stats(), dict(
            all_of, moves=0, multicast=quiet, too_big=dict(answered=0, limited=0),
            addresses={"learned": 0, "static": int(bool(h.DARWIN))}, groups=0,
            queue_memory=0))

    def test_locked_ports(self):
        self.d.create("lab")
        a, b = self.ports("native", "native", locked=True)
        q, = self.ports("qemu")
        mac_a = bytes.fromhex(a.info["mac"].replace(":", ""))
        mac_b = bytes.fromhex(b.info["mac"].replace(":", ""))
        good = h.frame(h.BROADCAST, mac_a, b"good")
        a.send(h.frame(h.BROADCAST, h.mac(1), b"no"), h.frame(h.BROADCAST, mac_b, b"no"),
               h.frame(h.BROADCAST, h.BROADCAST, b"no"), h.frame(mac_b, b"\0" * 6, b"no"), good)
        q.send(h.frame(h.BROADCAST, mac_a, b"no"), h.frame(mac_a, mac_b, b"no"))
        h.taken(q)
        for x in (b, q):
            self.assertEqual(x.recv(), good)
            self.assertTrue(x.silent(0.1))
        self.assertTrue(a.silent(0.1))
        self.assertEqual(self.d.stats("p0")["drops"], {"spoofed": 4})
        self.assertEqual(self.d.stats(q.name)["drops"], {"spoofed": 2})
        self.assertEqual(self.fdb(), {a.info["mac"]: "p0", b.info["mac"]: "p1"})
        # what is locked is known before it was ever heard
        f = h.frame(mac_b, h.mac(9), b"direct")
        q.send(f)
        self.assertEqual(b.recv(), f)
        self.assertTrue(a.silent(0.1))

    def test_registered_addresses(self):
        self.d.create("lab", backend=h.HOST_BACKEND)
        host = self.d.call("network.show", network="lab")["mac"]
        a = self.d.attach(mac="02:00:00:00:00:01")
        b, c = self.ports("native", "qemu")
        self.addCleanup(a.close)
        with self.d.native() as x:
            for params in ({"mac": "02:00:00:00:00:01"}, {"mac": "02:00:00:00:00:01", "locked": True},
                           {"mac": host}, {"mac": a.info["mac"].upper()}):
                with self.assertRaises(h.RpcError) as e:
                    x.call("attach", **params)
                self.assertEqual(e.exception.code, "exists")
            self.assertEqual(self.d.call("network.show", network="lab")["ports"], 3)
            x.call("attach", mac="02:00:00:00:00:02")
        f = h.frame(h.mac(1), h.mac(3), b"never heard, but registered")
        c.send(f)
        self.assertEqual(a.recv(), f)
        self.assertTrue(b.silent(0.1))

    def test_the_host_side(self):
        r = self.d.create("lab", backend=h.HOST_BACKEND)
        host = h.host(self.d)
        self.addCleanup(host.close)
        mac = bytes.fromhex(r["mac"].replace(":", ""))
        a, q = self.ports("native", "qemu")
        f = h.frame(h.BROADCAST, h.mac(1), b"to all")
        a.send(f)
        self.assertEqual((host.recv(), q.recv()), (f, f))
        f = h.frame(mac, h.mac(1), b"to the host")
        a.send(f)
        self.assertEqual(host.recv(), f)
        self.assertTrue(q.silent(0.1))
        f = h.frame(h.mac(1), mac, b"from the host")
        host.send(f)
        self.assertEqual(a.recv(), f)
        f = h.frame(h.BROADCAST, mac, b"from the host to all")
        host.send(f)
        self.assertEqual((a.recv(), q.recv()), (f, f))
        # its address is its own
        a.send(h.frame(h.BROADCAST, mac, b"no"))
        q.send(h.frame(h.mac(1), mac, b"no"))
        h.taken(q)
        self.assertEqual(self.d.stats("p0")["drops"], {"spoofed": 1})
        self.assertEqual(self.d.stats(q.name)["drops"], {"spoofed": 1})
        self.assertEqual(self.fdb(host=True)[r["mac"]], "host")
        # a bridge on the host: other sources come from there too, and are learned
        f = h.frame(h.BROADCAST, h.mac(50), b"behind the host")
        host.send(f)
        self.assertEqual((a.recv(), q.recv()), (f, f))
        f = h.frame(h.mac(50), h.mac(1), b"and back")
        a.send(f)
        self.assertEqual(host.recv(), f)
        self.assertTrue(q.silent(0.1))
        # longer than the network's MTU: not let in
        host.send(h.frame(h.BROADCAST, h.mac(50), size=1515), f)
        tagged = (h.BROADCAST + h.mac(50) + b"\x81\x00\x00\x07").ljust(1518, b"t")
        host.send(tagged)
        self.assertEqual((a.recv(None), q.recv(None)), (tagged, tagged))
        stats = self.d.stats("host")
        self.assertEqual(stats["drops"], {"oversize": 1, "local": 1})
        self.assertEqual((stats["rx_frames"], stats["tx_frames"]), (6, 3))
        # a new address: the old one is free, the new one guarded
        self.d.call("network.set", network="lab", mac="02:00:00:00:00:77")
        a.send(h.frame(h.BROADCAST, h.mac(0x77), b"no"), h.frame(h.BROADCAST, mac, b"free"))
        self.assertEqual(q.recv()[14:], b"free")
        self.assertEqual(host.recv()[14:], b"free")
        self.assertEqual(self.d.stats("p0")["drops"], {"spoofed": 2})

    def test_what_the_host_does_not_take_is_counted(self):
        self.d.create("lab", backend=h.HOST_BACKEND)
        host = h.host(self.d)
        self.addCleanup(host.close)
        host.take_few()
        a, b = self.ports("native", "native")
        n = 400
        frames = [h.frame(h.BROADCAST, h.mac(1), b"%d" % i, size=1000) for i in range(n)]
        for f in frames:
            a.send(f)
        for f in frames:
            self.assertEqual(b.recv(), f)  # nobody else loses by it
        stats = self.d.stats("host")
        self.assertGreater(stats["drops"]["host_refused"], 0)
        self.assertEqual(stats["tx_frames"] + stats["drops"]["host_refused"], n)

    def test_broadcast_to_100_ports(self):
        others = 99 + ("host" in self.d.create("lab"))
        clients = [self.d.attach() if i % 2 else self.d.qemu() for i in range(100)]
        for c in clients:
            self.addCleanup(c.close)
        h.poll_until("100 ports",
                     lambda: self.d.call("network.show", network="lab")["ports"] == 100)
        for i in (0, 1, 57, 98):
            fs = [h.frame(h.BROADCAST, h.mac(i), struct.pack("!I", k), size=60 + k) for k in range(20)]
            clients[i].send(*fs)
            for k, c in enumerate(clients):
                if k != i:
                    self.assertEqual([c.recv() for _ in fs], fs)
        for i in (0, 1):
            self.assertTrue(clients[i].silent(0.05))
        stats = self.d.stats()
        self.assertEqual((stats["rx_frames"], stats["tx_frames"], stats["drops"]),
                         (80, 80 * others, {}))

    def test_order_is_kept_for_each_destination(self):
        """Unicast, flooded and multicast frames in turn, from both framings at once, to both."""
        self.d.create("lab")
        a, q, b, r = self.ports("native", "qemu", "native", "qemu")
        for i, c in enumerate((a, q, b, r)):
            c.send(h.frame(h.BROADCAST, h.mac(i), b"here"))
            for other in (a, q, b, r):
                if other is not c:
                    other.recv()
        n = 4000

        def sender(c, me):
            rnd = random.Random(me)
            batch = []
            for i in range(n):
                dst = rnd.choice((h.mac(2), h.mac(3), h.BROADCAST, h.mac(99),
                                  bytes.fromhex("01005e000001")))
                batch.append(h.frame(dst, h.mac(me), struct.pack("!I", i), size=rnd.randrange(18, 200)))
                if len(batch) == 40:
                    c.send(*batch)
                    batch = []
                    gate[me].acquire()
        # a sender is at most four batches ahead of the slower receiver, so nothing is dropped
        gate = [threading.Semaphore(4), threading.Semaphore(4)]
        seen = {}

        def receiver(k, c, me):
            rnds = random.Random(0), random.Random(1)
            want = [[], []]
            for s, rnd in enumerate(rnds):
                for i in range(n):
                    dst = rnd.choice((2, 3, "all", "all", "all"))
                    rnd.randrange(18, 200)
                    if dst in (me, "all"):
                        want[s].append(i)
            got = [[], []]
            while any(len(g) < len(w) for g, w in zip(got, want)):
                f = c.recv()
                got[f[11]].append(struct.unpack("!I", f[14:18])[0])
                if k == 0 and len(got[f[11]]) % 32 == 0:
                    gate[f[11]].release()
            seen[k] = got == want
        threads = [threading.Thread(target=sender, args=x) for x in ((a, 0), (q, 1))]
        threads += [threading.Thread(target=receiver, args=x) for x in ((0, b, 2), (1, r, 3))]
        # senders hear each other's floods; they throw them away
        stop = threading.Event()
        for t in threads:
            t.daemon = True
            t.start()
        while any(t.is_alive() for t in threads):
            if stop.wait(0.005):
                break
            h.drain(a, q)
        self.assertEqual(seen, {0: True, 1: True})
        self.assertEqual(self.d.stats()["drops"], {})

    def test_jumbo_frames_arrive_unchanged(self):
        most = h.MTU_MAX
        self.d.create("lab", mtu=most)
        rnd = random.Random(7)
        for kinds in (("native", "qemu", "native"), ("qemu", "native", "qemu")):
            a, b, c = self.ports(*kinds)
            self.assertEqual(self.d.port(b.name)["cap"], most + 18)
            for size in (14, 255, 256, 257, 1514, 9014, 9018, 32768, most + 13, most + 14, most + 15,
                         most + 18):
                if size > most + 18:
                    continue
                fs = []
                for _ in range(3):
                    kind = 0x8100 if size > most + 14 else h.ETHERTYPE
                    head = h.BROADCAST + h.mac(1) + struct.pack("!H", kind)
                    fs.append(head + rnd.randbytes(size - 14))
                a.send(*fs)
                for x in (b, c):
                    got = [hashlib.sha256(x.recv(None)).digest() for _ in fs]
                    self.assertEqual(got, [hashlib.sha256(f).digest() for f in fs], size)
            a.close()
            b.close()
            c.close()
            h.poll_until("all gone", lambda: not self.d.clients())
        self.assertEqual(self.d.stats()["drops"], {})

    def test_every_size_through_every_framing(self):
        """The seams of bin 8, 16 and of one read lie in here."""
        self.d.create("lab", mtu=9000)
        a, q, b, r = self.ports("native", "qemu", "native", "qemu")
        rnd = random.Random(11)
        for sender in (a, q):
            for start in range(14, 9015, 750):
                fs = [h.BROADCAST + h.mac(1) + struct.pack("!H", h.ETHERTYPE) + rnd.randbytes(n - 14)
                      for n in range(start, min(start + 750, 9015), 1 if start < 400 else 7)]
                t = threading.Thread(target=sender.send, args=fs)
                t.start()
                it = [iter(fs), iter(fs)]
                for _ in fs:
                    for x, want in zip((b, r), it):
                        self.assertTrue(x.recv() == next(want))
                t.join()
                h.drain(a, q)


class Model:
    """What a learning switch does with a frame; ports are numbers, `locks` maps some to addresses."""

    def __init__(self, n, cap, locks):
        self.n, self.cap, self.locks = n, cap, locks
        self.static = {m: p for p, m in locks.items()}
        self.fdb = {}
        self.out = [[] for _ in range(n)]
        self.drops = [{} for _ in range(n)]

    def drop(self, port, why):
        self.drops[port][why] = self.drops[port].get(why, 0) + 1

    def input(self, port, f):
        if len(f) < 14:
            return self.drop(port, "runt")
        dst, src, kind = f[:6], f[6:12], f[12:14]
        if len(f) > (self.cap if kind in (b"\x81\x00", b"\x88\xa8") else self.cap - 4):
            return self.drop(port, "oversize")
        if self.locks.get(port, src) != src or self.static.get(src, port) != port:
            return self.drop(port, "spoofed")
        if not src[0] & 1:
            self.fdb[src] = port
        to = None if dst[0] & 1 else self.static.get(dst, self.fdb.get(dst))
        if to == port:
            return self.drop(port, "local")
        for p in range(self.n) if to is None else [to]:
            if p != port:
                self.out[p].append(f)


class Random(Base):
    def test_20000_random_frames_in_random_pieces(self):
        seed = int(os.environ.get("FETHD_SEED", "1"))
        rnd = random.Random(seed)
        self.d.create("lab", mtu=500, multicast="flood")  # frames are counted: no queries
        kinds = ("native", "qemu", "native", "qemu", "native", "qemu")
        clients = self.ports(*kinds[:5])
        self.d.call("port.add", network="lab", name="locked", kind="qemu", locked=True,
                    mac="02:00:00:00:00:07")
        clients.append(h.Qemu(self.d.path("lab/ports/locked")))
        self.addCleanup(clients[5].close)
        clients[5].name = "locked"
        h.poll_until("six ports", lambda: self.d.call("network.show", network="lab")["ports"] == 6)
        model = Model(6, 518, {5: h.mac(7)})
        macs = [h.mac(i) for i in range(12)]
        groups = [h.BROADCAST, bytes.fromhex("01005e000001"), bytes.fromhex("333300000001")]

        def random_frame(n):
            size = rnd.choice((14, 18, 60, 100, 253, 254, 255, 256, 257, 300, 514))
            kind = h.ETHERTYPE
            what = rnd.random()
            if what < 0.03:
                size = rnd.choice((515, 518, 519, 1000))
                kind = rnd.choice((h.ETHERTYPE, 0x8100, 0x88A8))
            dst = rnd.choice(macs) if rnd.random() < 0.8 else rnd.choice(groups)
            src = rnd.choice(macs) if rnd.random() < 0.99 else rnd.choice(groups)
            f = (dst + src + struct.pack("!HI", kind, n)).ljust(size, bytes([n & 255]))[:size]
            return f[: rnd.randrange(14)] if what > 0.99 else f

        def framed(i, f):
            if kinds[i] == "qemu":
                return struct.pack("!I", len(f)) + f
            wide = rnd.randrange(3)
            if wide == 1:
                return b"\xc5" + struct.pack("!H", len(f)) + f
            if wide == 2:
                return b"\xc6" + struct.pack("!I", len(f)) + f
            return msgpack.packb(f)

        got = [[] for _ in kinds]
        rest = [b""] * 6  # bytes not yet sent
        ends = [[] for _ in kinds]  # (where in `rest` a frame ends, the frame)
        n = 0
        while n < 20000 or any(rest):
            i = rnd.randrange(6)
            if n < 20000 and len(rest[i]) < 8000:
                for _ in range(rnd.randrange(1, 40)):
                    f = random_frame(n)
                    n += 1
                    rest[i] += framed(i, f)
                    ends[i].append((len(rest[i]), f))
            cut = rnd.choice((1, 2, 5, 17, 300, 1500, 5000, 9000))
            clients[i].send_raw(rest[i][:cut])
            h.taken(clients[i])
            rest[i] = rest[i][cut:]
            ends[i] = [(at - cut, f) for at, f in ends[i]]
            while ends[i] and ends[i][0][0] <= 0:
                model.input(i, ends[i].pop(0)[1])
            if rnd.random() < 0.2:
                self.collect(clients, got)
        h.poll_until("all frames", lambda: self.collect(clients, got) or all(
            len(g) >= len(w) for g, w in zip(got, model.out)))
        for i in range(6):
            self.assertEqual(len(got[i]), len(model.out[i]), (seed, i))
            self.assertTrue(got[i] == model.out[i], (seed, i))
            self.assertEqual(self.d.stats(clients[i].name)["drops"], model.drops[i], (seed, i))

    def collect(self, clients, got):
        for c, out in zip(clients, got):  # but for what the network says of the port with an address, at a tick
            out += [f for f in h.come(c) if f[12:14] != b"\x80\x35"]


if __name__ == "__main__":
    h.main()
