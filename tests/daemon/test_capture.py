"""test_capture.py - who watches a network sees each frame once, with what became of it, and costs the others
nothing.
"""
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

# docs/protocol.md: verdicts, and reasons by their place in the table of stats.get
DROPPED, TO_PORT, TO_ALL, TO_GROUP = range(4)
RUNT, OVERSIZE, SPOOFED, LOCAL, LINK_DOWN = 1, 2, 3, 6, 11
BY_SWITCH = 0xFFFF
SNAPLEN_MAX = 65549

# `tcpdump -ddd`: arp; and the type for local experiments, at most 20 bytes of each
ARP = [[0x28, 0, 0, 12], [0x15, 0, 1, 0x806], [6, 0, 0, 65535], [6, 0, 0, 0]]
OURS_20 = [[0x28, 0, 0, 12], [0x15, 0, 1, h.ETHERTYPE], [6, 0, 0, 20], [6, 0, 0, 0]]


class Base(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon(prefix=h.ISOLATED)
        self.addCleanup(self.d.__exit__, None, None, None)

    def attach(self, **params):
        c = self.d.attach("lab", **params)
        self.addCleanup(c.close)
        return c

    def refused(self, code, words, **monitor):
        with self.d.native("lab") as c:
            with self.assertRaises(h.RpcError) as e:
                c.call("attach", monitor=monitor)
            self.assertEqual(e.exception.code, code)
            self.assertTrue(e.exception.message.startswith("monitor:") or code == "not_found", e.exception.message)
            self.assertIn(words, e.exception.message)
            c.call("attach")  # the connection is as good as new


class Records(Base):
    def test_every_frame_once_with_where_it_came_from_and_what_became_of_it(self):
        self.d.create("lab", backend=h.HOST_BACKEND, multicast="snoop")
        host = h.host(self.d)
        self.addCleanup(host.close)
        a = self.attach(name="a", mac="02:00:00:00:00:01", locked=True)
        b = self.attach(name="b")
        m = self.attach(monitor=True)
        self.assertEqual({k: m.info[k] for k in ("name", "network", "mtu", "monitor", "snaplen", "features")},
                         {"name": "monitor-1", "network": "lab", "mtu": 1500, "monitor": True,
                          "snaplen": SNAPLEN_MAX, "features": []})
        one, two, group = h.mac(1), h.mac(2), bytes.fromhex("01005e010203")
        before = time.time_ns()
        sent = []

        def step(client, f, verdict, reason=0, port=None):
            client.send(f)
            sent.append(f)
            r = m.record(None)
            while r.frame != f and r.frame[12:14] != f[12:14]:
                r = m.record(None)  # what the host's stack says of itself
            self.assertEqual((r.frame, r.length, r.verdict, r.reason), (f, len(f), verdict, reason), r)
            self.assertEqual(r.port, 0 if client is host else client.info["port"] if port is None else port)
            self.assertLessEqual(before, r.ns)
            self.assertLessEqual(r.ns, time.time_ns())

        step(a, h.frame(h.BROADCAST, one, b"all"), TO_ALL)
        step(b, h.frame(one, two, b"one"), TO_PORT)
        step(a, h.frame(two, one, b"back"), TO_PORT)
        step(host, h.frame(one, h.mac(9), b"from the host"), TO_PORT)
        b.call("group.join", groups=["01:00:5e:01:02:03"])
        step(a, h.frame(group, one, b"group"), TO_GROUP)
        step(a, h.frame(h.BROADCAST, h.mac(7), b"spoofed"), DROPPED, SPOOFED)
        step(b, h.frame(h.mac(2), h.mac(3), b"to itself"), DROPPED, LOCAL)
        step(b, h.frame(h.mac(5), two, b"unknown"), TO_ALL)
        step(b, h.frame(one, two, bytes(1600)), DROPPED, OVERSIZE)
        b.send(b"\x02" * 13)
        r = m.record(None)
        self.assertEqual((r.frame, r.length, r.verdict, r.reason), (b"\x02" * 13, 13, DROPPED, RUNT))
        self.d.call("port.set", network="lab", name="b", up=False)
        step(b, h.frame(one, two, b"link"), DROPPED, LINK_DOWN)
        self.assertTrue(m.silent(0.1, None), "no frame comes as a frame")

    def test_frames_of_one_read_have_one_time_and_their_order(self):
        self.d.create("lab", backend="none")
        a, b, m = self.attach(), self.attach(), self.attach(monitor=True)
        frames = [h.frame(h.BROADCAST, h.mac(1), struct.pack("!I", i), size=60) for i in range(3000)]
        a.send(*frames)
        got = [m.record() for _ in frames]
        self.assertEqual([r.frame for r in got], frames)
        self.assertEqual([b.recv() for _ in frames], frames)
        self.assertEqual([r.ns for r in got], sorted(r.ns for r in got))
        self.assertLess(len({r.ns for r in got}), len(frames) / 4)  # a clock asked once a batch

    def test_snaplen_cuts_and_says_how_long_the_frame_was(self):
        mtu = 65521
        self.d.create("lab", backend="none", mtu=mtu)
        a = self.attach()
        whole, short, least = (self.attach(monitor=m) for m in (True, {"snaplen": 100}, {"snaplen": 1}))
        self.assertEqual([c.info["snaplen"] for c in (whole, short, least)], [SNAPLEN_MAX, 100, 1])
        for size in (15, 99, 100, 101, 1514, 14 + mtu):
            f = h.frame(h.BROADCAST, h.mac(1), bytes(i % 251 for i in range(size - 14)))
            a.send(f)
            for c, n in ((whole, size), (short, min(size, 100)), (least, 1)):
                r = c.record(None)
                self.assertEqual((r.length, r.frame), (size, f[:n]))
        tagged = h.frame(h.BROADCAST, h.mac(1), b"\0\x07\x88\xb5" + bytes(mtu), 0x8100)
        a.send(tagged)
        self.assertEqual(whole.record(None).frame, tagged)

    def test_the_switchs_own_frames_come_from_nowhere(self):
        self.d.create("lab", backend="none", multicast="snoop", querier=True)
        m = self.attach(monitor=True)
        a = self.attach()
        seen = []
        while {r.frame[12:14].hex() for r in seen} != {"0800", "86dd"}:  # IGMP and MLD
            seen.append(m.record(None, 20))
        self.assertEqual({(r.port, r.verdict, r.reason) for r in seen}, {(BY_SWITCH, TO_GROUP, 0)})
        self.assertIn(a.recv(None), [r.frame for r in seen])

    def test_announcements_of_the_switch_are_seen_too(self):
        self.d.create("lab", backend="none", multicast="flood")
        m = self.attach(monitor=True)
        b = self.attach(name="b", mac="02:00:00:00:00:02", locked=True)
        r = m.record(0x8035)
        self.assertEqual((r.port, r.verdict, r.frame[6:12]), (BY_SWITCH, TO_ALL, h.mac(2)))
        self.assertTrue(b.silent(0.1, 0x8035))

    def test_a_monitor_that_comes_later_sees_what_comes_later(self):
        self.d.create("lab", backend="none")
        a, b = self.attach(), self.attach()
        a.send(h.frame(h.BROADCAST, h.mac(1), b"before"))
        b.recv()
        m = self.attach(monitor=True)
        after = h.frame(h.BROADCAST, h.mac(1), b"after")
        a.send(after)
        self.assertEqual(m.record().frame, after)


class Wanted(Base):
    def test_the_filter_passes_what_it_wants_and_as_much_of_it(self):
        self.d.create("lab", backend="none")
        a = self.attach()
        arp = self.attach(monitor={"filter": ARP})
        ours = self.attach(monitor={"filter": OURS_20})
        less = self.attach(monitor={"filter": OURS_20, "snaplen": 10})
        one = h.frame(h.BROADCAST, h.mac(1), b"one", size=60)
        who_has = h.frame(h.BROADCAST, h.mac(1), bytes(28), 0x0806)
        a.send(one, who_has, one)
        self.assertEqual(arp.record(None).frame, who_has)
        for c, n in ((ours, 20), (less, 10)):
            self.assertEqual([(r.frame, r.length) for r in (c.record(None), c.record(None))], [(one[:n], 60)] * 2)
        # nothing of what is not wanted has met their queues
        h.taken(a)
        self.assertEqual(self.d.stats(arp.info["name"])["tx_frames"], 1)
        self.assertEqual([c.records for c in (arp, ours, less)], [[], [], []])

    def test_the_longest_filter_is_taken_and_one_longer_is_not(self):
        self.d.create("lab", backend="none")
        a = self.attach()
        longest = [[0, 0, 0, i] for i in range(511)] + [[6, 0, 0, 14]]
        m = self.attach(monitor={"filter": longest})
        a.send(h.frame(h.BROADCAST, h.mac(1), b"x"))
        self.assertEqual(len(m.record().frame), 14)
        self.refused("too_large", "at most 512", filter=[[0, 0, 0, 0], *longest])

    def test_what_is_no_filter_is_refused_with_a_sentence(self):
        self.d.create("lab", backend="none")
        for code, words, filter in (
                ("invalid", "filter is empty", []),
                ("invalid", "must be an array", 7),
                ("invalid", "must be an array", "arp"),
                ("invalid", "instruction 0 of filter must be", [[6, 0, 0]]),
                ("invalid", "instruction 1 of filter must be", [[6, 0, 0, 1], [6, 0, 0, 2 ** 32]]),
                ("invalid", "instruction 0 of filter must be", [[6, 256, 0, 1]]),
                ("invalid", "instruction 0 of filter must be", [[65536, 0, 0, 1]]),
                ("invalid", "instruction 0 of filter must be", [[6, 0, 0, -1]]),
                ("invalid", "instruction 0 of filter must be", [{}]),
                ("invalid", "is the last, and returns nothing", [[0, 0, 0, 1]]),
                ("invalid", "instruction 0 of filter jumps out of the program", [[5, 0, 0, 1], [6, 0, 0, 1]]),
                ("invalid", "instruction 1 of filter jumps out", [[6, 0, 0, 1], [5, 0, 0, 0xFFFFFFFF], [6, 0, 0, 1]]),
                ("invalid", "is no instruction", [[0xFFFF, 0, 0, 1], [6, 0, 0, 1]]),
                ("invalid", "divides by zero", [[0x34, 0, 0, 0], [6, 0, 0, 1]]),
                ("invalid", "memory over 15", [[2, 0, 0, 16], [6, 0, 0, 1]])):
            self.refused(code, words, filter=filter)
        for snaplen in (0, SNAPLEN_MAX + 1, -1, "100", 2 ** 40):
            self.refused("invalid", "snaplen must be", snaplen=snaplen)
        for port in (-1, "", "a b", 2 ** 40, [], 1025):
            self.refused("invalid", "port must be", port=port)
        with self.d.native("lab") as c:
            for monitor in (1, "yes", [True]):
                with self.assertRaises(h.RpcError) as e:
                    c.call("attach", monitor=monitor)
                self.assertEqual(e.exception.code, "invalid")
                self.assertTrue(e.exception.message.startswith("monitor:"))
            for more in ({"mac": "02:00:00:00:00:05"}, {"locked": True}, {"groups": "all"}, {"isolated": True}):
                with self.assertRaises(h.RpcError) as e:
                    c.call("attach", monitor=True, **more)
                self.assertEqual((e.exception.code, e.exception.message[:8]), ("invalid", "monitor:"))
            self.assertIn("mac", c.call("attach", monitor=False))  # as if it were not there

    def test_only_frames_from_or_for_one_port(self):
        self.d.create("lab", backend=h.HOST_BACKEND, multicast="snoop")
        host = h.host(self.d)
        self.addCleanup(host.close)
        a, b, c = self.attach(name="a"), self.attach(name="b"), self.attach(name="c")
        by_name = self.attach(monitor={"port": "B"})
        by_number = self.attach(monitor={"port": b.info["port"]})
        of_host = self.attach(monitor={"port": "host"})
        both = self.attach(monitor=True)

        def told(*monitors):
            return [m.record().frame[14:].rstrip(b"\0") for m in monitors]

        for n, x in enumerate((a, b, c)):
            x.send(h.frame(h.BROADCAST, h.mac(n + 1), b"hello %d" % n))
            self.assertEqual(told(by_name, by_number, of_host, both), [b"hello %d" % n] * 4)
        c.call("group.join", groups=["01:00:5e:01:02:03"])
        steps = [
            (a, h.mac(2), b"a to b", True), (b, h.mac(1), b"b to a", True), (a, h.mac(3), b"a to c", False),
            (a, bytes.fromhex("01005e010203"), b"c's group", False), (b, h.mac(2), b"to itself", True),
            (a, h.mac(1), b"a to itself", False), (c, h.mac(7), b"flooded", True),
        ]
        for x, to, text, of_b in steps:
            src = h.mac({a: 1, b: 2, c: 3}[x])
            x.send(h.frame(to, src, text))
            self.assertEqual(told(both), [text])
            if of_b:
                self.assertEqual(told(by_name, by_number), [text] * 2)
        host.send(h.frame(h.mac(2), h.mac(9), b"host to b"))
        self.assertEqual(told(by_name, by_number, of_host, both)[0], b"host to b")
        self.assertEqual([m.records for m in (by_name, by_number)], [[], []])
        self.refused("not_found", "there is no port nobody to watch", port="nobody")
        self.refused("not_found", "there is no port 77 to watch", port=77)
        self.refused("not_found", "to watch", port=both.info["name"])  # a monitor is no port

    def test_a_port_that_is_watched_by_name_may_go_and_come_back(self):
        self.d.create("lab", backend="none")
        self.refused("not_found", "there is no port host", port="host")  # a private switch
        a, b = self.attach(name="a"), self.attach(name="b")
        m = self.attach(monitor={"port": "b"})
        b.close()
        h.poll_until("b is gone", lambda: not self.d.port("b"))
        c = self.attach(name="c")  # has b's number
        self.assertEqual(c.info["port"], b.info["port"])
        c.send(h.frame(h.mac(77), h.mac(3), b"not b"))
        a.recv()
        b = self.attach(name="b")
        f = h.frame(h.mac(77), h.mac(2), b"b again")
        b.send(f)
        self.assertEqual(m.record().frame, f)


class Apart(Base):
    """A monitor is no port, and nobody's trouble."""

    def test_it_is_listed_and_told_of_but_counts_as_no_port(self):
        self.d.create("lab", backend="none")
        with self.d.native("lab") as watcher:
            watcher.call("event.subscribe", events=["port.*"])
            a = self.attach(name="a")
            m = self.attach(name="eye", monitor=True)
            b = self.attach(name="b")
            self.assertEqual((a.info["port"], b.info["port"]), (1, 2), "numbers of ports are as without it")
            told = [watcher.note("port.attached") for _ in range(3)]
            self.assertEqual([(p["name"], p.get("monitor")) for p in told], [("a", None), ("eye", True), ("b", None)])
            row = self.d.port("eye")
            self.assertEqual({k: row[k] for k in ("kind", "state", "monitor")},
                             {"kind": "native", "state": "attached", "monitor": True})
            self.assertEqual((row["pid"], row["uid"]), (os.getpid(), os.getuid()))
            self.assertNotIn("mac", row)
            self.assertEqual(self.d.call("network.show", network="lab")["ports"], 2)
            f = h.frame(h.BROADCAST, h.mac(1), b"x", size=100)
            a.send(f)
            b.recv()
            m.record()
            s = self.d.stats("eye")
            self.assertEqual((s["tx_frames"], s["tx_bytes"], s["drops"]), (1, 116, {}))
            self.assertEqual(self.d.stats()["tx_frames"], 1, "the network's sum is of ports")
            m.close()
            gone = watcher.note("port.detached")
            self.assertEqual((gone["name"], gone["state"], gone["monitor"]), ("eye", "gone", True))
        self.assertEqual(self.d.stats()["tx_frames"], 1)

    def test_what_it_sends_is_dropped_and_counted(self):
        self.d.create("lab", backend="none")
        a, m = self.attach(name="a"), self.attach(name="eye", monitor=True)
        m.send(*[h.frame(h.BROADCAST, h.mac(9), b"sent", size=60)] * 5)
        for method, params in (("group.join", {"groups": "all"}), ("port.set", {"isolated": True})):
            with self.assertRaises(h.RpcError) as e:
                m.call(method, **params)
            self.assertEqual(e.exception.code, "invalid")
        with self.assertRaises(h.RpcError) as e:
            m.call("attach", monitor=True)
        self.assertEqual(e.exception.code, "exists")
        self.assertEqual(self.d.stats("eye")["drops"], {"detached": 5})
        self.assertEqual((self.d.stats("eye")["rx_frames"], self.d.stats()["rx_frames"]), (5, 0))
        with self.d.control() as c:
            self.assertEqual(c.items("fdb.list", network="lab"), [])
            with self.assertRaises(h.RpcError) as e:
                c.call("port.set", network="lab", name="eye", isolated=True)
            self.assertEqual(e.exception.code, "invalid")
        self.assertTrue(a.silent())
        # it may stop, and be a port like any other on the same connection
        m.call("detach")
        m.info = m.call("attach", name="eye")
        self.assertEqual(m.info["port"], 2)
        f = h.frame(h.BROADCAST, h.mac(9), b"as a port")
        m.send(f)
        self.assertEqual(a.recv(), f)
        a.send(f)
        self.assertTrue(m.recv())
        self.assertEqual(m.records, [])

    def test_sixteen_watch_and_a_seventeenth_is_told_so(self):
        self.d.create("lab", backend="none")
        a = self.attach()
        eyes = [self.attach(monitor=True) for _ in range(16)]
        with self.d.native("lab") as c, self.assertRaises(h.RpcError) as e:
            c.call("attach", monitor=True)
        self.assertEqual(e.exception.code, "busy")
        f = h.frame(h.BROADCAST, h.mac(1), b"x")
        a.send(f)
        for m in eyes:
            self.assertEqual(m.record().frame, f)
        eyes.pop().close()
        h.poll_until("there is room again", lambda: len(self.d.clients()) == 16)
        self.attach(monitor=True)
        with self.d.native("lab") as c, self.assertRaises(h.RpcError) as e:
            c.call("attach", name=eyes[0].info["name"])
        self.assertEqual(e.exception.code, "busy", "its name is taken")

    def test_it_comes_and_goes_while_others_exchange_numbered_frames(self):
        self.d.create("lab", backend="none")
        pair = h.Pair(self.d)
        self.addCleanup(pair.close)
        for round in range(40):
            m = self.d.attach("lab", monitor={"filter": OURS_20} if round % 2 else True)
            pair.check(frames=20)
            if round % 4 == 0:
                m.call("detach")
            if round % 4 == 1:
                m.send_raw(b"\xc5\x05\xdc" + bytes(100))  # a frame begun
            if round % 4 == 2:
                self.d.call("port.remove", network="lab", name=m.info["name"])
                self.assertTrue(m.closed())
            m.close()
            pair.check(frames=20)
        h.poll_until("all have gone", lambda: len(self.d.clients()) == 2)

    def test_one_that_does_not_read_loses_records_of_its_own_only(self):
        self.d.create("lab", backend="none")
        pair = h.Pair(self.d)
        self.addCleanup(pair.close)
        slow, quick = (self.attach(name=n, monitor=True) for n in ("slow", "quick"))
        total = seen = 0
        while not self.d.stats("slow")["drops"]["queue_full"] > 500:
            pair.check(frames=16, size=1400)
            total += 32
            while seen < total:
                self.assertEqual(quick.record(h.Pair.TYPE).length, 1400)
                seen += 1
            self.assertLess(total, 100000)
        self.assertEqual(self.d.stats("quick")["drops"], {})
        for end in self.d.clients():
            if end["name"] != "slow":
                self.assertEqual(self.d.stats(end["name"])["drops"], {})
        s = self.d.stats("slow")
        self.assertLessEqual(s["queued_bytes"], 1 << 20)
        self.assertEqual(s["tx_frames"] + s["drops"]["queue_full"], total)
        # what was kept comes whole and in order, and then it goes on
        got = [slow.record(h.Pair.TYPE) for _ in range(s["tx_frames"])]
        numbers = [struct.unpack("!Q", r.frame[14:22])[0] for r in got]
        self.assertEqual(numbers, sorted(numbers))
        self.assertEqual({len(r.frame) for r in got}, {1400})
        pair.check(frames=1)
        self.assertEqual(struct.unpack("!Q", slow.record(h.Pair.TYPE).frame[14:22])[0], pair.n - 1)

    def test_it_hears_of_its_network_and_is_answered_between_records(self):
        self.d.create("lab", backend="none")
        a, m = self.attach(), self.attach(monitor=True)
        f = h.frame(h.BROADCAST, h.mac(1), bytes(1000))
        with h.Flood(a, *[f] * 64):
            for _ in range(50):
                self.assertEqual(m.call("network.show")["name"], "lab")
        self.d.call("network.set", network="lab", mtu=9000)
        self.assertEqual(m.note("network.changed")["mtu"], 9000)
        self.d.call("network.delete", network="lab")
        self.assertEqual(m.note("network.removed")["network"], "lab")
        self.assertTrue(m.closed())

    @unittest.skipIf(os.geteuid(), "needs root, to be several users")
    def test_it_needs_the_right_to_observe_and_no_other(self):
        # others may: observe, attach
        self.d.create("eyes", backend="none", mode="0604")
        self.d.create("hands", backend="none", mode="0602")
        path = self.d.path

        def tried(network):
            def run():
                out = []
                with h.Native(path(network, "feth.sock")) as c:
                    for params in ({"monitor": True}, {"monitor": {"snaplen": 64}}, {}):
                        for method in ("attach", "detach"):
                            try:
                                c.call(method, **(params if method == "attach" else {}))
                                out.append("ok")
                            except h.RpcError as e:
                                out.append(e.code)
                return out
            return h.run_as((54321, 54321, []), run)

        self.assertEqual(tried("eyes"), ["ok"] * 4 + ["denied", "not_found"])
        self.assertEqual(tried("hands"), (["denied", "not_found"] * 2) + ["ok"] * 2)

        def revoked():
            with h.Native(path("eyes", "feth.sock")) as c:
                c.call("attach", monitor=True)
                return c.closed()
        taken = []
        t = threading.Thread(target=lambda: taken.append(h.run_as((54321, 54321, []), revoked)))
        t.start()
        h.poll_until("it watches", lambda: self.d.port("monitor-1", "eyes"))
        self.d.call("network.set", network="eyes", mode="0602")  # it may be a port now, but watch no more
        t.join(20)
        self.assertEqual(taken, [True])
        self.assertEqual(self.d.clients("eyes"), [])

    def test_port_add_and_port_open_make_no_monitors(self):
        self.d.create("lab", backend="none")
        with self.d.control() as c:
            for method, params in (("port.add", {"name": "x", "kind": "native"}), ("port.open", {"kind": "native"})):
                with self.assertRaises(h.RpcError) as e:
                    c.call(method, network="lab", monitor=True, **params)
                self.assertEqual(e.exception.code, "unsupported")
            c.call("port.add", network="lab", name="decl", kind="native")
        with h.Native(self.d.path("lab", "ports", "decl")) as c:
            with self.assertRaises(h.RpcError) as e:
                c.call("attach", monitor=True)
            self.assertEqual(e.exception.code, "invalid")
            self.assertEqual(c.call("attach")["name"], "decl")


def pcap(data):
    """The packets of a pcap file: (time in ns, length of the frame, its bytes). Asserts that it is one of
    Ethernet, with nanoseconds, and whole."""
    magic, major, minor, _, _, snaplen, link = struct.unpack_from("=IHHiIII", data)
    assert (magic, major, minor, link) == (0xA1B23C4D, 2, 4, 1), data[:24].hex()
    at, packets = 24, []
    while at < len(data):
        sec, ns, caplen, length = struct.unpack_from("=IIII", data, at)
        assert caplen <= snaplen and ns < 10 ** 9 and len(data) - at - 16 >= caplen
        packets.append((sec * 10 ** 9 + ns, length, data[at + 16 : at + 16 + caplen]))
        at += 16 + caplen
    return snaplen, packets


class Fethctl(Base):
    def setUp(self):
        super().setUp()
        self.d.create("lab", backend="none")
        self.a, self.b = self.attach(name="a"), self.attach(name="b", mac="02:00:00:00:00:02", locked=True)

    def start(self, *args, **kw):
        """fethctl capture lab ARGS, which watches already."""
        before = len(self.d.clients())
        kw = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kw}
        p = subprocess.Popen([h.FETHCTL, "--run-dir", self.d.run_dir, "capture", "lab", *args], **kw)
        self.addCleanup(self.end, p)
        h.poll_until("it watches", lambda: p.poll() is not None or len(self.d.clients()) > before)
        return p

    @staticmethod
    def end(p):
        if p.poll() is None:
            p.kill()
        p.wait()
        for f in (p.stdout, p.stderr):
            if f:
                f.close()

    def done(self, p, status=0, seconds=20):
        """What it said, when it has ended."""
        out, err = p.communicate(timeout=seconds)
        err = err.decode()
        self.assertEqual(p.returncode, status, err)
        self.assertNotIn("ERROR: ", err)
        return out, err

    def five(self):
        """Five frames: to all, a runt, to a port, back, spoofed."""
        tagged = h.frame(h.mac(2), h.mac(1), b"\0\7\x08\0" + bytes(50), 0x8100)
        sent = [h.frame(h.BROADCAST, h.mac(1), bytes(range(46))), b"\x01" * 5, tagged,
                h.frame(h.mac(1), h.mac(2), b"back", size=60), h.frame(h.mac(1), h.mac(7), b"who?", 0x0806, 60)]
        for i, f in enumerate(sent):
            c = self.b if i > 2 else self.a
            c.send(f)
            h.taken(c)
        return sent

    def test_lines_for_people(self):
        p = self.start("--count", "5", env={**self.d.env, "TZ": "UTC"})
        self.five()
        out, err = self.done(p)
        lines = out.decode().splitlines()
        clock = r"\d\d:\d\d:\d\d\.\d{9}  "
        for line, want in zip(lines, (
                "a > all           02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff  type 0x88b5, 60 bytes",
                "a DROPPED (runt)  5 bytes",
                "a > port          02:00:00:00:00:01 > 02:00:00:00:00:02  VLAN 7, IPv4, 68 bytes",
                "b > port          02:00:00:00:00:02 > 02:00:00:00:00:01  type 0x88b5, 60 bytes",
                "b DROPPED (spoofed)  02:00:00:00:00:07 > 02:00:00:00:00:01  ARP, 60 bytes")):
            self.assertRegex(line, "^" + clock + re.escape(want) + "$")
        self.assertEqual(len(lines), 5)
        self.assertEqual(err, "fethctl: 5 frames captured, 2 of them dropped by the switch, 0 missed\n")

    def test_names_of_ports_that_come_later(self):
        p = self.start("--count", "1", "--port", "a", "arp")
        late = self.attach(name="late")
        late.send(h.frame(h.BROADCAST, h.mac(8), b"no ARP"))
        self.a.recv()
        late.send(h.frame(h.BROADCAST, h.mac(8), bytes(28), 0x0806))
        out, _ = self.done(p)
        self.assertIn("  late > all  ", out.decode())

    def test_lines_of_json(self):
        p = self.start("--json", "--count", "5")
        before = time.time_ns()
        self.five()
        out, _ = self.done(p)
        rows = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([(r["port"], r["name"], r["verdict"], r.get("reason"), r.get("type"), r.get("vlan"), r["length"])
                          for r in rows],
                         [(1, "a", "all", None, 0x88B5, None, 60), (1, "a", "dropped", "runt", None, None, 5),
                          (1, "a", "port", None, 0x0800, 7, 68), (2, "b", "port", None, 0x88B5, None, 60),
                          (2, "b", "dropped", "spoofed", 0x0806, None, 60)])
        self.assertEqual((rows[0]["src"], rows[0]["dst"]), ("02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff"))
        for r in rows:
            self.assertTrue(before <= r["time_ns"] <= time.time_ns())

    def test_a_pcap_file_that_tcpdump_reads(self):
        path = f"{self.d.dir}/out.pcap"
        p = self.start("-w", path, "--count", "5")
        before = time.time_ns()
        sent = self.five()
        out, err = self.done(p)
        self.assertEqual(out, b"")
        self.assertIn("5 frames captured", err)
        with open(path, "rb") as f:
            snaplen, packets = pcap(f.read())
        self.assertEqual(snaplen, SNAPLEN_MAX)
        self.assertEqual([(n, data) for _, n, data in packets], [(len(f), f) for f in sent])
        self.assertTrue(all(before <= ns <= time.time_ns() for ns, _, _ in packets))
        read = subprocess.run(["tcpdump", "-r", path, "-n", "-e", "arp"], capture_output=True, text=True)
        self.assertEqual(read.returncode, 0, read.stderr)
        self.assertEqual(len(read.stdout.splitlines()), 1, read.stdout)
        self.assertIn("02:00:00:00:00:07 > 02:00:00:00:00:01", read.stdout)

    def test_snaplen_and_filter_of_a_file(self):
        p = self.start("-w", "-", "--snaplen", "20", "--count", "2", "ether", "src", "02:00:00:00:00:01", "and", "len >= 60")
        sent = self.five()
        out, _ = self.done(p)
        self.assertEqual(pcap(out)[0], 20)
        self.assertEqual([(n, d) for _, n, d in pcap(out)[1]], [(60, sent[0][:20]), (68, sent[2][:20])])

    def test_it_is_live(self):
        """Each frame is there before the next is sent, in a file as well."""
        path = f"{self.d.dir}/live.pcap"
        p = self.start("-w", path)
        h.poll_until("the file's header", lambda: os.path.exists(path) and os.path.getsize(path) == 24)
        for n in range(1, 4):
            self.a.send(h.frame(h.BROADCAST, h.mac(1), b"live", size=84))
            h.poll_until("the next packet", lambda: os.path.getsize(path) == 24 + 100 * n)
        p.send_signal(signal.SIGTERM)
        self.assertIn("3 frames captured, 0 missed", self.done(p)[1])

    @unittest.skipUnless(shutil.which("tshark"), "no tshark")
    def test_tshark_reads_it_live_with_a_filter_through_a_pipe(self):
        p = self.start("-w", "-", "arp", "or", "udp", "port", "53")
        tshark = subprocess.Popen(["tshark", "-l", "-n", "-i", "-", "-Y", "arp", "-T", "fields", "-e", "frame.len",
                                   "-e", "eth.src", "-e", "arp.dst.proto_ipv4"], stdin=p.stdout,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(self.end, tshark)
        p.stdout.close()  # tshark alone has it
        p.stdout = None
        dns = bytes.fromhex("4500001c000000004011000a0a0000010a000002" "00350035") + struct.pack("!HH", 8, 0)
        for n in range(1, 4):
            who_has = bytes.fromhex("0001080006040001") + h.mac(1) + bytes([10, 0, 0, 1]) + bytes(6) + bytes([10, 0, 0, n])
            self.a.send(h.frame(h.BROADCAST, h.mac(1), b"other", size=60),
                        h.frame(h.BROADCAST, h.mac(1), dns, 0x0800, 60),
                        h.frame(h.BROADCAST, h.mac(1), who_has, 0x0806, 60))
            self.assertEqual(tshark.stdout.readline().split(), ["60", "02:00:00:00:00:01", f"10.0.0.{n}"])
        # the daemon has passed on what fethctl's filter wants, and no more
        monitor = next(c["name"] for c in self.d.clients() if c.get("monitor"))
        self.assertEqual(self.d.stats(monitor)["tx_frames"], 6)
        # Wireshark is closed: that ends it, though no frame comes, and it is no failure
        tshark.terminate()
        tshark.wait()
        self.assertEqual(p.wait(20), 0)
        self.assertEqual(p.stderr.read(), b"")

    def test_a_reader_that_goes_ends_it_quietly(self):
        for how in (["-w", "-"], [], ["--json"]):
            p = self.start(*how)
            p.stdout.close()
            p.stdout = None
            self.assertEqual(p.wait(20), 0)
            self.assertEqual(p.stderr.read(), b"")

    def test_what_ends_it(self):
        for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            p = self.start()
            p.send_signal(s)
            self.assertEqual(self.done(p), (b"", "fethctl: 0 frames captured, 0 missed\n"))
        p = self.start()
        self.d.call("port.remove", network="lab", name="monitor-1")
        self.assertRegex(self.done(p, 1)[1], "^fethctl: no more frames: ")
        p = self.start()
        self.d.call("network.delete", network="lab")
        self.assertEqual(self.done(p)[1], "fethctl: the network was removed: 0 frames captured\n")

    def test_what_it_missed_is_said_and_a_stuck_reader_holds_nobody(self):
        p = self.start("-w", "-")  # nobody reads
        pair = h.Pair(self.d)
        self.addCleanup(pair.close)
        while not self.d.stats("monitor-1")["drops"]["queue_full"]:
            pair.check(frames=64, size=1400)
        p.send_signal(signal.SIGINT)  # it is in the middle of a write
        self.assertEqual(p.wait(20), 0)
        err = p.stderr.read().decode()
        self.assertRegex(err, r"^fethctl: \d+ frames captured, \d+ missed: they came faster than they were written\n$")
        self.assertNotIn(" 0 missed", err)

    def test_what_is_wrong_is_one_sentence(self):
        longer = " or ".join(f"(host 10.0.{i}.1 and port {i + 1})" for i in range(60))
        for status, words, args in (
                (1, "'tcp port' is no filter: ", ["tcp", "port"]),
                (1, "is too long a filter: ", [longer]),
                (1, "there is no port nope to watch", ["--port", "nope"]),
                (1, "there is no port 77 to watch", ["--port", "77"]),
                (1, "it must be a port's number or name", ["--port", "70000"]),
                (1, "it must be a port's number or name", ["--port", "-"]),
                (1, "--count 0: ", ["--count", "0"]),
                (1, "cannot write to /nonexistent/x: No such file", ["-w", "/nonexistent/x"]),
                (2, "-w: FILE is missing", ["-w"]),
                (2, "-w and --json", ["-w", "x", "--json"]),
                (2, "-q: there is no such option", ["-q"])):
            p = self.d.ctl("capture", "lab", *args)
            self.assertEqual((p.returncode, p.stdout), (status, ""), p.stderr)
            self.assertIn(words, p.stderr)
            self.assertEqual(len(p.stderr.splitlines()), 1, p.stderr)
        full = subprocess.run([h.FETHCTL, "--run-dir", self.d.run_dir, "capture", "lab", "-w", "/dev/full"],
                              capture_output=True, text=True)
        self.assertEqual((full.returncode, full.stderr),
                         (1, "fethctl: cannot write to /dev/full: No space left on device\n"))


if __name__ == "__main__":
    h.main()
