"""test_order.py - one ordered stream: calls take effect where they stand, answers come in order,
and a network that changes under its clients says so before they can notice.
"""
import os
import socket
import sys
import threading
import unittest

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402


def call(method, msgid, **params):
    return msgpack.packb([0, msgid, method, [params] if params else []])


def bins(*frames):
    return b"".join(msgpack.packb(f) for f in frames)


class Base(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon()
        self.addCleanup(self.d.__exit__, None, None, None)
        self.c = self.d.control()
        self.addCleanup(self.c.close)


class Order(Base):
    def setUp(self):
        super().setUp()
        self.d.create("lab")
        self.r = self.d.attach(name="r")
        self.addCleanup(self.r.close)

    def numbered(self, n, first=0):
        return [h.frame(h.BROADCAST, h.mac(1), i.to_bytes(4, "big"), size=60)
                for i in range(first, first + n)]

    def test_calls_take_effect_where_they_stand(self):
        f = self.numbered(8)
        with self.d.native() as c:
            c.send_raw(bins(f[0]) + call("attach", 1) + bins(f[1]) + call("hello", 2) + bins(f[2])
                       + call("detach", 3) + bins(f[3], f[4]) + call("stats.get", 4)
                       + call("attach", 5, mac="02:00:00:00:00:07") + bins(f[5])
                       + call("attach", 6) + bins(f[6]) + call("fdb.list", 7)
                       + call("detach", 8) + bins(f[7]) + call("stats.get", 9))
            for n in (1, 2, 5, 6):
                self.assertEqual(self.r.recv(), f[n])
            self.assertEqual(c.reply(4)["network"]["drops"], {"detached": 3})
            self.assertEqual(c.reply(9)["network"]["drops"], {"detached": 4})
            with self.assertRaises(h.RpcError):
                c.reply(6)
            self.assertEqual({r["mac"] for r in c.reply(7)["items"] if r["name"] != "host"},
                             {"02:00:00:00:00:01", "02:00:00:00:00:07"})
            self.assertTrue(self.r.silent(0.1))

    def test_thousands_of_frames_behind_an_attach_that_nobody_awaited(self):
        f = self.numbered(4000)
        with self.d.native() as c:
            t = threading.Thread(target=c.send_raw, args=(call("attach", 1) + bins(*f),))
            t.start()
            for want in f:
                self.assertEqual(self.r.recv(), want)
            t.join()
            c.reply(1)

    def test_no_frame_before_attach_or_after_detach(self):
        a = self.d.attach(mac="02:00:00:00:00:01")
        self.addCleanup(a.close)
        f = self.numbered(16)
        self.r.close()
        with h.Flood(a, *f), self.d.native() as c:
            for _ in range(60):
                c.order = []
                c.call("attach")
                self.assertIsInstance(c.order[0], list, "a frame before attach's result")
                c.recv()
                c.call("detach")
                c.call("hello")
                kinds = [type(o) for o in c.order]
                self.assertEqual(kinds[-2:], [list, list])
                self.assertEqual(kinds.count(list), 3)
                self.assertIn(bytes, kinds)
                c.frames.clear()

    def test_frames_that_wait_are_gone_with_detach(self):
        """But for the one that was begun, which stands before the answer."""
        with self.d.attach(name="a") as a, self.d.attach(name="slow") as slow:
            while not self.d.stats("slow")["drops"]["queue_full"]:
                a.send(*[h.frame(h.BROADCAST, h.mac(1), size=1514)] * 64)
                h.taken(a)
                h.drain(self.r)
            slow.order = []
            detached = slow.request("detach")
            hello = slow.request("hello")
            h.taken(slow)
            slow.reply(hello)
            answers = [o[1] for o in slow.order if isinstance(o, list)]
            self.assertEqual(answers, [detached, hello])
            at = next(i for i, o in enumerate(slow.order) if isinstance(o, list))
            self.assertEqual([o[1] for o in slow.order[at:]], answers)
            again = slow.call("attach", name="slow")
            self.assertEqual(again["name"], "slow")
            self.assertIsInstance(slow.order[-1], list)

    def test_a_thousand_pipelined_calls_are_answered_in_order(self):
        for path in ("control.sock", "lab/feth.sock"):
            with h.Native(self.d.path(path)) as c:
                c.order = []
                # 1100 and not 1 to 1000: ids are the caller's own, and may repeat
                ids = [(i * 7919) % 1100 for i in range(1000)]
                c.send_raw(b"".join(call("network.show", i, network="lab") for i in ids))
                h.poll_until("all answers", lambda: len(c.order) == 1000 or c.read())
                self.assertEqual([o[1] for o in c.order], ids)
                self.assertEqual({o[2] for o in c.order}, {None})

    def test_tens_of_thousands_pipelined_by_one_who_reads(self):
        """More answers to one read of the daemon than an RPC queue holds."""
        n = 30000
        with self.d.native() as c:
            sent = threading.Thread(
                target=c.send_raw, args=(b"".join(call("network.show", i) for i in range(n)),))
            sent.start()
            c.order = []
            h.poll_until("all answers", lambda: len(c.order) == n or c.read(), 30)
            sent.join()
            self.assertEqual([o[1] for o in c.order], list(range(n)))
        self.assertEqual(self.c.call("daemon.show")["counters"]["slow"], 0)

    def test_who_never_reads_long_answers_hurts_nobody_else(self):
        """64 answers are far over the 64 KiB of an RPC queue. Such a caller is closed and counted, or
        has to wait for itself; then it gets every answer, in order, once it reads."""
        pair = h.Pair(self.d)
        self.addCleanup(pair.close)
        for i in range(256):
            self.c.request("port.add", network="lab", name=f"p{i}", kind="qemu")
        self.c.reply(256)
        n = 256
        calls = b"".join(call("port.list", i, network="lab", limit=256) for i in range(n))
        for path in ("lab/feth.sock", "control.sock"):
            before = self.c.call("daemon.show")["counters"]["slow"]
            rss = self.d.rss_kib()
            with h.Native(self.d.path(path)) as c:
                c.send_raw(calls)
                pair.check(rounds=20)
                self.assertLess(self.d.rss_kib() - rss, 12288)  # 64 of them are 4 MiB, all 16; and the sanitizers' share
                c.order = []
                closed = False
                try:
                    h.poll_until("all answers", lambda: len(c.order) == n or c.read())
                except h.Closed:
                    closed = True
                self.assertEqual([o[1] for o in c.order], list(range(len(c.order))))
            pair.check()
            self.assertEqual(self.c.call("daemon.show")["counters"]["slow"], before + closed)

    def test_who_pipelines_without_end_waits_for_itself(self):
        """At 64 answers that wait to be read reading pauses; nobody is closed, none is lost."""
        pair = h.Pair(self.d)
        self.addCleanup(pair.close)
        n = 40000
        calls = b"".join(call("network.show", i) for i in range(n))
        with self.d.native() as c:
            c.sock.settimeout(0)
            sent, stuck = 0, 0
            while stuck < 20:
                try:
                    sent += c.sock.send(calls[sent : sent + 100000])
                    stuck = 0
                except BlockingIOError:
                    pair.check(rounds=10)
                    stuck += 1
            self.assertLess(sent, len(calls))
            c.sock.settimeout(10)
            c.order = []
            t = threading.Thread(target=c.send_raw, args=(calls[sent:],))
            t.start()
            h.poll_until("all answers", lambda: len(c.order) == n or c.read(), 30)
            t.join()
            self.assertEqual([o[1] for o in c.order], list(range(n)))
        pair.check()
        self.assertEqual(self.c.call("daemon.show")["counters"]["slow"], 0)

    def test_who_has_sent_all_and_says_so_still_gets_its_answers(self):
        with self.d.native() as c:
            c.order = []
            c.send_raw(b"".join(call("hello", i) for i in range(1000)))
            c.sock.shutdown(socket.SHUT_WR)
            self.assertTrue(c.closed())
            self.assertEqual([o[1] for o in c.order], list(range(1000)))

    def test_the_answers_may_be_more_than_the_socket_holds(self):
        pair = h.Pair(self.d)
        self.addCleanup(pair.close)
        n = 8000
        with self.d.native() as c:
            c.order = []
            c.send_raw(b"".join(call("network.show", i) for i in range(n)))
            c.sock.shutdown(socket.SHUT_WR)
            pair.check(rounds=100)
            self.assertTrue(c.closed())
            self.assertEqual([o[1] for o in c.order], list(range(len(c.order))))
            self.assertEqual(len(c.order), n)

    def test_calls_behind_one_that_takes_its_time(self):
        """network.delete is answered when all is gone; what stands behind it waits."""
        with self.d.attach() as a:
            self.c.order = []
            self.c.send_raw(
                call("network.delete", 1, network="lab") + call("network.show", 2, network="lab")
                + call("network.create", 3, network="lab", backend="none")
                + call("port.add", 4, network="lab", name="p", kind="qemu")
                + call("network.show", 5, network="lab") + call("network.delete", 6, network="lab")
                + call("network.list", 7))
            with self.assertRaises(h.RpcError) as e:
                self.c.reply(2)
            self.assertEqual(e.exception.code, "not_found")
            self.assertEqual(self.c.reply(7)["items"], [])
            self.assertEqual([o[1] for o in self.c.order], list(range(1, 8)))
            self.assertEqual([o[1] for o in self.c.order if o[2]], [2])
            self.assertTrue(a.closed())

    def test_two_who_delete_the_same(self):
        with self.d.control() as other, self.d.attach():
            first = self.c.request("network.delete", network="lab")
            second = other.request("network.delete", network="lab")
            self.assertEqual(self.c.reply(first), {"saved": False})
            with self.assertRaises(h.RpcError) as e:
                other.reply(second)
            self.assertEqual(e.exception.code, "not_found")

    def test_who_deletes_and_leaves(self):
        for i in range(20):
            self.d.create(f"n{i}")
            with self.d.attach(f"n{i}"), self.d.control() as other:
                other.send_raw(call("network.delete", 1, network=f"n{i}") * 2)
        h.poll_until("all gone", lambda: len(self.c.items("network.list")) == 1)

    def test_a_port_removed_is_gone_for_the_next_call(self):
        for kind in ("native", "qemu"):
            self.c.call("port.add", network="lab", name="p", kind=kind)
            opened = self.c.call("port.open", network="lab", name="p", kind=kind)
            self.c.send_raw(call("port.remove", 900, network="lab", name="p")
                            + call("port.list", 901, network="lab")
                            + call("port.add", 902, network="lab", name="p", kind="qemu")
                            + call("port.remove", 903, network="lab", name="p"))
            self.c.reply(900)
            self.assertEqual([p["name"] for p in self.c.reply(901)["items"] if p["port"]], ["r"])
            self.assertEqual(self.c.reply(902)["port"], opened["port"])
            self.c.reply(903)
        self.assertEqual(os.listdir(self.d.path("lab/ports")), [])


class Changes(Base):
    """network.set on a living network: attached native clients hear of it."""

    def cap(self, mtu):
        return mtu + 18

    def flood_frames(self):
        """One frame of each size that some MTU lets through, tagged and untagged."""
        tag = b"\x81\x00\x00\x07\x88\xb5"
        return [h.frame(h.BROADCAST, h.mac(1), size=n) for n in (60, 1514, 1600, 9014)] + [
            (h.BROADCAST + h.mac(1) + tag).ljust(n, b"t") for n in (1518, 9018)]

    def test_no_larger_frame_before_the_word(self):
        for backend in ("none", h.HOST_BACKEND):
            name = f"n-{backend}"
            self.d.create(name, backend=backend)
            a = self.d.attach(name, mac="02:00:00:00:00:01")
            q = self.d.qemu(name)
            self.addCleanup(a.close)
            self.addCleanup(q.close)
            with h.Flood(a, *self.flood_frames()):
                for _ in range(12):
                    with self.d.attach(name) as b:
                        self.assertEqual(b.info["cap"], 1518)
                        b.order = []
                        self.c.call("network.set", network=name, mtu=9000)
                        h.poll_until("a large frame", lambda: any(
                            len(f) == 9018 for f in b.frames) or b.read())
                        heard = False
                        for o in b.order:
                            if isinstance(o, list):
                                self.assertEqual((o[1], o[2][0]["mtu"]), ("network.changed", 9000))
                                heard = True
                            elif not heard:
                                self.assertLessEqual(len(o), 1518, "before network.changed")
                        self.c.call("network.set", network=name, mtu=1500)
                        self.assertEqual(b.call("network.show")["mtu"], 1500)
                        self.assertEqual([n[1]["mtu"] for n in b.notes], [9000, 1500])
                        # what is read from now on came after the lowering, but for one queue
                        b.frames.clear()
                        b.call("detach")
                    h.drain(a)
            q.close()

    def test_the_switch_follows(self):
        self.d.create("lab")
        with self.d.attach(name="a") as a, self.d.attach(name="b") as b, self.d.qemu() as q:
            last = h.frame(h.BROADCAST, h.mac(1), b"last")
            for mtu in (h.MTU_MIN, 1280, 1500, 1501, 9000, h.MTU_MAX, 100, 1500):
                self.c.call("network.set", network="lab", mtu=mtu)
                self.assertEqual(b.note("network.changed")["mtu"], mtu)
                tag = (h.BROADCAST + h.mac(1) + b"\x81\x00\x00\x07\x88\xb5")
                fits = [h.frame(h.BROADCAST, h.mac(1), size=mtu + 14), tag.ljust(mtu + 18, b"t")]
                before = self.d.stats("a")["drops"]["oversize"]
                a.send(fits[0], fits[0] + b"x", fits[1], fits[1] + b"x", last)
                for c in (b, q):
                    got = [c.recv(None), c.recv(None), c.recv(None)]
                    self.assertEqual(got, [*fits, last], mtu)
                self.assertEqual(self.d.stats("a")["drops"]["oversize"] - before, 2)
                self.assertEqual({p["cap"] for p in self.d.ports()}, {mtu + 18})
            with self.d.attach() as c:
                self.assertEqual((c.info["mtu"], c.info["cap"]), (1500, 1518))

    def test_only_what_changed_is_told_and_only_to_the_attached(self):
        self.d.create("lab", backend=h.HOST_BACKEND)
        self.d.create("other")
        with self.d.attach() as a, self.d.native() as idle, self.d.attach("other") as other, \
                self.d.qemu() as q:
            h.poll_until("two ports", lambda: a.call("network.show")["ports"] == 2)
            changes = ({"mtu": 1400}, {"mac": "02:00:00:00:00:09"}, {"up": False},
                       {"addresses": ["10.0.0.1/24"]}, {"mtu": 9000, "up": True, "addresses": []},
                       {"mtu": 1300, "mac": "02:00:00:00:00:0a", "addresses": ["2001:db8::1/64"]})
            for change in changes:
                r = self.c.call("network.set", network="lab", **change)
                self.assertEqual({k: r[k] for k in change}, change)
                a.call("hello")
                self.assertEqual(a.notes[-1], ("network.changed", r))
                a.notes.clear()
                # once more changes nothing, so nothing is told
                self.assertEqual(self.c.call("network.set", network="lab", **change), r)
                a.call("hello")
                self.assertEqual(a.notes, [])
            for c in (idle, other):
                c.call("hello")
                self.assertEqual(c.notes, [])
            self.assertTrue(q.silent(0.1, None))
            a.call("detach")
            self.c.call("network.set", network="lab", mtu=2000)
            a.call("hello")
            self.assertEqual(a.notes, [])

    def test_changes_for_one_who_does_not_read_are_merged(self):
        self.d.create("lab")
        pair = h.Pair(self.d)
        self.addCleanup(pair.close)
        with self.d.attach(name="slow") as slow, self.d.attach(name="a") as a:
            f = h.frame(h.BROADCAST, h.mac(1), size=1514)
            # ends when the queue of `slow` is full; the pair is read meanwhile
            while not self.d.stats("slow")["drops"]["queue_full"]:
                a.send(*[f] * 64)
                h.drain(*pair.ends)
            for i in range(600):
                want = self.c.call("network.set", network="lab", mtu=1500 + i)
            pair.check()
            slow.order = []
            slow.call("hello")
            h.poll_until("the last word", lambda: any(
                p["mtu"] == want["mtu"] for _, p in slow.notes) or slow.read())
            self.assertLessEqual(len(slow.notes), 3)
            self.assertEqual(slow.notes[-1], ("network.changed", want))
        self.assertEqual(self.c.call("daemon.show")["counters"]["slow"], 0)
        pair.check()


if __name__ == "__main__":
    h.main()
