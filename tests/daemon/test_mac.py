"""test_mac.py - the addresses of ports: locked, guarded, changed, moved, in twice."""
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import arpframes as af  # noqa: E402
import harness as h  # noqa: E402

TAG, STAG = b"\x81\x00\x00\x07", b"\x88\xa8\x00\x08"
T = h.mac_text


class Base(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon()
        self.addCleanup(self.d.__exit__, None, None, None)
        self.c = self.d.control()
        self.addCleanup(self.c.close)
        self.net = self.d.create("lab", backend=h.HOST_BACKEND)
        self.host_mac = bytes.fromhex(self.net["mac"].replace(":", ""))

    def opened(self, client):
        self.addCleanup(client.close)
        return client

    def native(self, name, **params):
        return self.opened(self.d.attach(name=name, **params))

    def set(self, name, **rules):
        return self.c.call("port.set", network="lab", name=name, **rules)

    def refused(self, code, c, method, **params):
        return h.refused(self, code, c, method, **params)

    def spoofed(self, name):
        return self.d.stats(name)["drops"]["spoofed"]

    def passes(self, a, b, *frames):
        """All of them, sent by a, come to b, in order."""
        a.send(*frames)
        for f in frames:
            self.assertEqual(b.recv(None), f)

    def dropped(self, a, b, name, *frames):
        """None of them does; each is counted at port `name` as spoofed. One behind them comes."""
        before = self.spoofed(name)
        last = h.frame(h.BROADCAST, self.own, os.urandom(8))
        a.send(*frames, last)
        self.assertEqual(b.recv(None), last)
        self.assertEqual(self.spoofed(name) - before, len(frames))


class Locked(Base):
    def test_several_addresses_and_arp_and_nd_of_others(self):
        own = [h.mac(n) for n in (1, 2, 3)]
        self.own = own[0]
        a = self.native("a", mac=T(own[0]), macs=[T(m) for m in own[1:]], locked=True)
        b = self.native("b")
        h.drain(b)
        row = self.d.port("a")
        self.assertEqual((row["mac"], row["macs"], row["locked"]), (T(own[0]), [T(m) for m in own[1:]], True))
        self.assertEqual({e["mac"] for e in self.c.items("fdb.list", network="lab") if e["name"] == "a"
                          and e["static"]}, {T(m) for m in own})
        other = h.mac(9)
        for tags in (b"", TAG, STAG + TAG):
            for i, src in enumerate(own):
                mine = own[(i + 1) % 3]
                self.passes(a, b, af.arp(src, mine, tags=tags), af.arp(src, mine, op=2, tags=tags),
                            *(af.nd(src, mine, kind=k, tags=tags) for k in range(133, 138)))
                self.dropped(a, b, "a", af.arp(src, other, tags=tags), af.arp(src, other, op=2, tags=tags),
                             *(af.nd(src, other, kind=k, tags=tags) for k in range(133, 138)))
        self.dropped(a, b, "a", h.frame(h.BROADCAST, other), af.arp(other, own[0]),
                     af.arp(own[0], own[0], hlen=8), af.arp(own[0], other, kind=0x8035),
                     af.nd(own[0], other, extension=b"\x3a\0" + bytes(6), first=0),
                     # fragments: even of its own, for who believes ND in pieces believes anything
                     af.nd(own[0], own[0], extension=b"\x3a\0\0\1" + bytes(4), first=44))
        # one batch of equal addresses hides none of them
        self.dropped(a, b, "a", *[af.arp(own[0], other)] * 20)

    def test_what_is_locked_or_the_hosts_is_guarded_everywhere(self):
        self.native("a", mac=T(h.mac(1)), macs=[T(h.mac(2))], locked=True)
        b, c = self.native("b"), self.native("c")
        h.drain(b, c)
        self.own = h.mac(9)
        for victim in (self.host_mac, h.mac(1), h.mac(2)):
            self.dropped(b, c, "b", h.frame(h.BROADCAST, victim), af.arp(self.own, victim, op=2),
                         af.arp(self.own, victim, op=2, tags=STAG + TAG),
                         *(af.nd(self.own, victim, kind=k) for k in range(133, 137)))
            # a router may name who is a better way than itself
            self.passes(b, c, af.nd(self.own, victim, kind=137))
        self.passes(b, c, af.arp(self.own, h.mac(10)))  # a proxy for somebody whom nobody has locked

    def test_the_host_claims_no_locked_address_but_its_own(self):
        host = self.opened(h.host(self.d))
        a = self.native("a", mac=T(h.mac(1)), locked=True)
        h.drain(a)
        host.send(af.arp(self.host_mac, h.mac(1), op=2))
        f = af.arp(self.host_mac, self.host_mac)
        host.send(f)
        while True:  # the system's own stack may have said something
            got = a.recv(0x0806)
            self.assertNotEqual(got[22:28], h.mac(1))
            if got == f:
                break

    def test_unlocked_ports_may_change_their_address_as_decnet_does(self):
        a, b = self.native("a", mac=T(h.mac(1))), self.native("b")
        decnet = bytes.fromhex("aa00040001fc")  # 63.1
        first = h.frame(h.BROADCAST, h.mac(1), b"before", 0x6003)
        hello = h.frame(bytes.fromhex("ab0000030000"), decnet, b"hello", 0x6003)
        h.drain(b)
        self.passes(a, b, first, hello)
        answer = h.frame(decnet, h.mac(2), b"answer", 0x6003)
        b.send(answer)
        self.assertEqual(a.recv(0x6003), answer)
        # who locks it to both lets it do so again
        self.set("a", macs=[T(decnet)], locked=True)
        self.passes(a, b, first, hello)
        self.own = h.mac(1)
        self.dropped(a, b, "a", h.frame(h.BROADCAST, bytes.fromhex("aa00040002fc"), b"", 0x6003))


class Changes(Base):
    def test_port_set_moves_what_is_guarded(self):
        a, b = self.native("a", mac=T(h.mac(1)), locked=True), self.native("b")
        h.drain(b)
        row = self.set("a", mac=T(h.mac(5)), macs=[T(h.mac(6))])
        self.assertEqual((row["mac"], row["macs"], row["locked"]), (T(h.mac(5)), [T(h.mac(6))], True))
        self.own = h.mac(5)
        self.dropped(a, b, "a", h.frame(h.BROADCAST, h.mac(1)))
        self.passes(a, b, h.frame(h.BROADCAST, h.mac(6)))
        self.passes(b, a, h.frame(h.BROADCAST, h.mac(1)))  # free for others
        self.assertEqual(self.set("a", macs=[], locked=False).get("macs"), None)
        self.passes(a, b, h.frame(h.BROADCAST, h.mac(7)))
        fdb = {e["mac"]: e for e in self.c.items("fdb.list", network="lab")}
        self.assertFalse(fdb[T(h.mac(7))]["static"])
        self.assertNotIn(T(h.mac(6)), fdb)

    def test_addresses_that_are_taken_are_refused_and_change_nothing(self):
        self.native("a", mac=T(h.mac(1)), macs=[T(h.mac(2))], locked=True)
        self.native("b", mac=T(h.mac(3)))
        before = self.d.ports()
        for taken in (T(h.mac(3)), self.net["mac"]):
            self.assertIn(taken, self.refused("exists", self.c, "port.set", network="lab", name="a", mac=taken))
            self.refused("exists", self.c, "port.set", network="lab", name="a", macs=[T(h.mac(8)), taken])
        for taken in (h.mac(1), h.mac(2), h.mac(3)):
            self.refused("exists", self.c, "network.set", network="lab", mac=T(taken))
            self.refused("exists", self.c, "port.add", network="lab", name="new", kind="qemu", mac=T(taken))
        self.refused("too_large", self.c, "port.set", network="lab", name="a",
                     macs=[T(h.mac(100 + n)) for n in range(17)])
        self.assertEqual(self.d.ports(), before)
        row = self.set("a", macs=[T(h.mac(100 + n)) for n in range(16)])
        self.assertEqual(len(row["macs"]), 16)

    def test_a_client_changes_its_own_port_but_no_declared_lock(self):
        with self.native("own") as own:
            h.drain(own)
            row = own.call("port.set", mac=T(h.mac(4)), macs=[T(h.mac(5))], locked=True)
            self.assertEqual((row["name"], row["mac"], row["locked"]), ("own", T(h.mac(4)), True))
            self.assertFalse(own.call("port.set", locked=False)["locked"])

    def test_the_hosts_address_moves_with_its_guard(self):
        a, b = self.native("a"), self.native("b")
        self.c.call("network.set", network="lab", mac=T(h.mac(0x77)))
        h.drain(a, b)
        self.own = h.mac(9)
        self.dropped(a, b, "a", af.arp(self.own, h.mac(0x77)), h.frame(h.BROADCAST, h.mac(0x77)))
        self.passes(a, b, af.arp(self.own, self.host_mac))

    def test_fethctl_sets_and_shows_them(self):
        self.d.ctl("port", "add", "lab", "vm", "--kind", "qemu", "--mac", T(h.mac(1)), "--also", T(h.mac(2)),
                   "--also", T(h.mac(3)), "--lock", check=True)
        row = self.d.port("vm")
        self.assertEqual((row["mac"], row["macs"], row["locked"]), (T(h.mac(1)), [T(h.mac(2)), T(h.mac(3))], True))
        out = self.d.ctl("port", "set", "lab", "vm", "--also", T(h.mac(4)), "--locked", "off", check=True).stdout
        self.assertIn(T(h.mac(4)), out)
        self.assertEqual((self.d.port("vm")["macs"], self.d.port("vm")["locked"]), ([T(h.mac(4))], False))
        self.d.ctl("port", "set", "lab", "vm", "--also", "none", "--mac", T(h.mac(9)), check=True)
        self.assertEqual((self.d.port("vm").get("macs"), self.d.port("vm")["mac"]), (None, T(h.mac(9))))
        self.assertIn("macs", self.d.ctl("port", "set", "lab", "vm", "--also", "x").stderr)


QEMU_MAC = bytes.fromhex("525400123456")  # of every QEMU without mac=


class Twice(Base):
    def twins(self, *clients):
        """All of them send from one address, in turn, for a while."""
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            for c in clients:
                c.send(h.frame(h.BROADCAST, QEMU_MAC, os.urandom(20)))
                h.taken(c)
                time.sleep(0.02)

    def two_qemus(self):
        have = len(self.d.clients())
        clients = [self.opened(self.d.qemu()) for _ in range(2)]
        h.poll_until("they are ports", lambda: len(self.d.clients()) == have + 2)
        return clients

    def test_two_qemus_with_one_address_are_told_of_once_and_what_to_do(self):
        self.c.call("event.subscribe", events=["fdb.duplicate"])
        clients = self.two_qemus()
        self.twins(*clients)
        e = self.c.note("fdb.duplicate")
        self.assertEqual((e["network"], e["mac"]), ("lab", T(QEMU_MAC)))
        self.assertEqual({(e["from"], e["from_name"]), (e["to"], e["to_name"])},
                         {(p["port"], p["name"]) for p in self.d.clients()})
        own = self.d.port(e["to_name"])["mac"]
        self.assertIn(f"mac={own} at port {e['to_name']}", e["advice"])
        line = h.poll_until("it is logged", lambda: [x for x in self.d.log.splitlines() if T(QEMU_MAC) in x])
        self.assertEqual(len(line), 1)
        for text in ("qemu-1", "qemu-2", "net=lab", "start each QEMU with its own mac="):
            self.assertIn(text, line[0])
        # again, and no word more of it for a minute
        before = self.d.stats()["moves"]
        self.twins(*clients)
        self.assertGreater(self.d.stats()["moves"], before + 6)
        with self.d.control() as c:  # two ticks of the network later at the latest it would be told
            c.call("event.subscribe", events=["fdb.duplicate"])
            with self.assertRaises((TimeoutError, OSError)):
                c.note("fdb.duplicate", 2.2)
        self.assertEqual(self.d.log.count(T(QEMU_MAC)), 1)

    def test_three_are_told_of_too(self):
        self.c.call("event.subscribe", events=["fdb.*"])
        self.twins(*self.two_qemus(), self.native("third"))
        self.assertEqual(self.c.note("fdb.duplicate")["mac"], T(QEMU_MAC))

    def test_an_address_that_moves_there_and_back_is_none(self):
        self.c.call("event.subscribe", events=["fdb.*"])
        a, b = self.native("a"), self.native("b")
        for c in (a, b, a, b):  # three moves
            c.send(h.frame(h.BROADCAST, h.mac(7)))
            h.taken(c)
        self.assertEqual(self.c.note("fdb.moved")["mac"], T(h.mac(7)))
        # somebody else's twins are told of, and not this one
        self.twins(a, b)
        self.assertEqual(self.c.note("fdb.duplicate")["mac"], T(QEMU_MAC))
        self.assertFalse([n for n in self.c.notes if n[0] == "fdb.duplicate"])

    def test_fethctl_events_prints_it(self):
        p = subprocess.Popen([h.FETHCTL, "--run-dir", self.d.run_dir, "events", "lab", "--event", "fdb.duplicate",
                              "--count", "1"], stdout=subprocess.PIPE, text=True)
        clients = self.two_qemus()
        try:  # it may subscribe when all is over, so on it goes
            with h.Flood(clients[0], h.frame(h.BROADCAST, QEMU_MAC, b"a"), pause=0.01), \
                    h.Flood(clients[1], h.frame(h.BROADCAST, QEMU_MAC, b"b"), pause=0.01):
                out = p.communicate(timeout=30)[0]
        finally:
            p.kill()
            p.wait()
        self.assertRegex(out, r"^\S+ \S+ lab fdb\.duplicate mac=52:54:00:12:34:56 from=\d .*from_name=qemu-\d .*"
                              r"advice=start each QEMU with its own mac=")


class Announced(Base):
    RARP = 0x8035

    def test_who_comes_with_an_address_is_announced_to_all_others(self):
        host, b = self.opened(h.host(self.d)), self.native("b")
        q = self.opened(self.d.qemu())
        h.poll_until("it is a port", lambda: len(self.d.clients()) == 2)
        a = self.native("a", mac=T(h.mac(1)), macs=[T(h.mac(2))])
        for c in (b, q):
            self.assertEqual({c.recv(self.RARP), c.recv(self.RARP)}, {af.rarp(h.mac(1)), af.rarp(h.mac(2))})
        got = set()
        while len(got) < 2:  # the system's own stack may have said something
            f = host.recv()
            got |= {f} if f[12:14] == b"\x80\x35" else set()
        self.assertEqual(got, {af.rarp(h.mac(1)), af.rarp(h.mac(2))})
        # another, whose address nobody gave, is not: the next one is
        self.native("c")
        self.native("d", mac=T(h.mac(4)))
        self.assertEqual([c.recv(self.RARP) for c in (a, b, q)], [af.rarp(h.mac(4))] * 3)
        self.assertEqual(self.d.stats("a")["rx_frames"], 0)  # what the switch says is not counted as theirs
        self.assertEqual(self.d.stats()["moves"], 0)

    def test_a_declared_port_of_either_kind_is_announced_each_time(self):
        b = self.native("b")
        for kind, n in (("qemu", 1), ("native", 2)):
            path = self.c.call("port.add", network="lab", name=kind, kind=kind, mac=T(h.mac(n)), locked=True)["path"]
            for _ in range(2):
                with h.Qemu(path) if kind == "qemu" else h.Native(path) as c:
                    if kind == "native":
                        c.call("attach")
                    self.assertEqual(b.recv(self.RARP), af.rarp(h.mac(n)))
                h.poll_until("it is gone", lambda: self.d.port(kind)["state"] == "waiting")

    def test_what_changes_or_comes_up_is_announced(self):
        self.native("a")
        b = self.native("b")
        self.set("a", mac=T(h.mac(5)))
        self.assertEqual(b.recv(self.RARP), af.rarp(h.mac(5)))
        self.set("a", up=False)
        self.set("a", up=True)
        self.assertEqual(b.recv(self.RARP), af.rarp(h.mac(5)))

    def test_it_goes_where_a_broadcast_of_the_port_goes(self):
        own, other, trunk = self.native("own", vlan=7), self.native("other", vlan=8), self.native(
            "trunk", vlan={"native": 0, "tagged": [7, 8]})
        plain = self.native("plain")
        self.native("a", mac=T(h.mac(1)), vlan=7)
        f = af.rarp(h.mac(1))
        tagged = f[:12] + TAG + f[12:]
        self.assertEqual([own.recv(self.RARP), trunk.recv(0x8100), plain.recv(0x8100)], [f, tagged, tagged])
        # a trunk without a native VLAN has none that it could be said in
        self.native("t", mac=T(h.mac(2)), vlan={"native": 0, "tagged": [8]})
        self.native("b", mac=T(h.mac(3)), vlan=8)
        self.assertEqual(other.recv(self.RARP), af.rarp(h.mac(3)))
        self.assertEqual(self.d.stats("t")["drops"], {})
        self.set("own", isolated=True)
        self.native("i", mac=T(h.mac(4)), vlan=7, isolated=True)
        self.native("c", mac=T(h.mac(5)), vlan=7)
        self.assertEqual(own.recv(self.RARP), af.rarp(h.mac(5)))

    def test_who_comes_and_goes_is_announced_seldom(self):
        b = self.native("b")
        start = time.monotonic()
        for _ in range(100):
            self.d.attach(name="a", mac=T(h.mac(1))).close()
            h.poll_until("it is gone", lambda: not self.d.port("a"))
        self.native("z", mac=T(h.mac(9)))
        n, f = 0, b.recv(self.RARP)
        while f != af.rarp(h.mac(9)):
            self.assertEqual(f, af.rarp(h.mac(1)))
            n, f = n + 1, b.recv(self.RARP)
        self.assertLessEqual(n, time.monotonic() - start + 1)  # one a second

    def test_an_address_that_is_elsewhere_meanwhile_is_not(self):
        a, b = self.native("a", mac=T(h.mac(1))), self.native("b")
        a.send(h.frame(h.BROADCAST, h.mac(3)))
        b.recv()
        h.drain(b)
        # the announcement waits for a tick: whoever spoke from it before that is where it is
        self.native("c", mac=T(h.mac(7)))
        b.send(h.frame(h.BROADCAST, h.mac(7)))
        h.taken(b)
        where = {e["mac"]: e["name"] for e in self.c.items("fdb.list", network="lab")}
        self.native("d", mac=T(h.mac(8)))
        seen = [f for f in iter(lambda: a.recv(self.RARP), af.rarp(h.mac(8)))]
        self.assertEqual(where[T(h.mac(7))], "b")
        self.assertEqual({e["mac"]: e["name"] for e in self.c.items("fdb.list", network="lab")}[T(h.mac(7))], "b")
        self.assertLessEqual(len(seen), 1)  # c's, where the tick came just before b spoke

    def test_the_host_is_announced_when_it_is_made_anew_or_changes(self):
        addresses = ["10.77.0.1/24", "fd00:77::1/64"]
        self.c.call("network.set", network="lab", addresses=addresses)
        b = self.native("b")
        for n in range(2):
            mac = self.host_mac if n == 0 else h.mac(0x99)
            if n == 0:
                self.d.system.remove_pair(self.net)
            else:
                self.c.call("network.set", network="lab", mac=T(mac))
            want = {af.announcement(mac, a.split("/")[0]) for a in addresses}
            while want:
                want.discard(b.recv(None))
        self.c.call("network.set", network="lab", mac=T(self.host_mac), addresses=[])
        b.recv(self.RARP)


class Loop(Base):
    def looped(self):
        return [p["name"] for p in self.d.ports() if p.get("looped")]

    def test_a_storm_ends_by_itself_and_others_are_served(self):
        self.c.call("event.subscribe", events=["port.changed", "fdb.duplicate"])
        pair = h.Pair(self.d)
        self.addCleanup(pair.close)
        a, x, y = self.native("a"), self.native("x"), self.native("y")
        with h.Bridge(x, y) as bridge:
            a.send(h.frame(h.BROADCAST, h.mac(1), b"round and round"))
            e = self.c.note("port.changed")
            self.assertTrue(e["looped"])
            cut, = self.looped()
            self.assertEqual(e["name"], cut)
            self.assertIn(cut, ("x", "y"))
            bridge.quiet()
            pair.check(rounds=10)
            h.drain(a)
            for n in range(20):  # broadcasts reach everybody else, once each
                f = h.frame(h.BROADCAST, h.mac(0xFA00), b"news %d" % n)
                pair.ends[0].send(f)
                self.assertEqual(a.recv(), f)
            bridge.quiet()
            self.assertTrue(a.silent(0.05))
            self.assertGreater(self.d.stats(cut)["drops"]["looped"], 0)
            lines = [x for x in self.d.log.splitlines() if "there is a loop behind it" in x]
            self.assertEqual(len(lines), 1)
            self.assertIn(f"net=lab: port {cut} ", lines[0])
            self.assertIn("LOOPED", self.d.ctl("port", "list", "lab", check=True).stdout)
        # then it is tried again, and is well
        e = self.c.note("port.changed", 12)
        self.assertEqual((e["name"], e.get("looped")), (cut, None))
        h.drain(x, y)
        f = h.frame(h.BROADCAST, h.mac(1), b"is it well?")
        a.send(f)
        self.assertEqual([x.recv(), y.recv()], [f, f])
        self.assertFalse([n for n in self.c.notes if n[0] == "fdb.duplicate"])

    def test_a_client_that_sends_back_what_it_gets_is_found(self):
        a, b, echo = self.native("a"), self.native("b"), self.native("echo")
        for n in range(200):  # each frame comes back once, so it is no storm
            f = h.frame(h.BROADCAST, h.mac(1), b"%d" % n)
            a.send(f)
            while b.recv() != f:
                pass  # what came back before
            if self.looped():
                break
            echo.send(echo.recv(None))  # in the end the probe, too
            h.taken(echo)
        self.assertEqual(self.looped(), ["echo"])
        # a is where it was: what echo brought back was forgotten
        h.drain(a, b)
        f = h.frame(h.mac(1), h.mac(2), b"for a")
        b.send(f)
        self.assertEqual(a.recv(), f)

    def test_what_is_no_loop_is_not_cut(self):
        a, b = self.native("a"), self.native("b")
        x = self.native("x")
        others = [self.native(f"o{n}") for n in range(2)]
        for _ in range(500):  # ARP that nobody answers, again and again
            a.send(af.arp(h.mac(1), h.mac(1)))
        # a reflector: what x gets comes back, of another sender
        with h.Bridge(x, x, lambda f: f[6:12] != h.mac(0x55) and f[:6] + h.mac(0x55) + f[12:]):
            for n in range(300):
                b.send(h.frame(bytes.fromhex("01005e0000fb"), h.mac(2), b"%d" % n, 0x0800))
            h.taken(b)
        # two guests behind each of two bridges, and two machines with one address that say the same
        for n in range(12):
            for i, c in enumerate(others):
                c.send(h.frame(h.BROADCAST, QEMU_MAC, b"discover"), h.frame(h.BROADCAST, h.mac(30 + i), b"%d" % n),
                       h.frame(h.BROADCAST, h.mac(40 + i), b"%d" % n))
                h.taken(c)
        # somebody says first, with its address, what a is going to say
        for n in range(100):
            for c in (x, a):
                c.send(af.arp(h.mac(1), h.mac(1), target_ip=f"10.0.0.{n}"))
                h.taken(c)
        self.assertEqual(self.looped(), [])
        self.assertNotIn("loop behind", self.d.log)

    def test_the_guard_can_be_taken_off(self):
        a, x, y = self.native("a"), self.native("x", loop_guard=False), self.native("y", loop_guard=False)
        self.assertFalse(self.d.port("x")["loop_guard"])
        for port in ("a", "host"):
            self.d.ctl("port", "set", "lab", port, "--loop-guard", "off", check=True)
            self.assertFalse(self.d.port(port)["loop_guard"])
            self.d.ctl("port", "set", "lab", port, "--loop-guard", "on", check=True)
            self.assertTrue(self.d.port(port)["loop_guard"])
        with h.Bridge(x, y) as bridge:
            a.send(h.frame(h.BROADCAST, h.mac(1), b"round and round"))
            h.poll_until("it goes on", lambda: bridge.n > 1000)
            self.assertEqual(self.looped(), [])
            self.set("x", loop_guard=True)
            self.set("y", loop_guard=True)
            h.poll_until("one is cut", self.looped)


if __name__ == "__main__":
    h.main()
