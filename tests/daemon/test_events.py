"""test_events.py - event.subscribe: each event, who hears it, what a slow subscriber gets, fethctl events."""
import json
import os
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import groupframes as g  # noqa: E402
import harness as h  # noqa: E402

NAMES = ["network.changed", "network.removed", "port.attached", "port.changed", "port.detached",
         "group.changed", "host.groups", "fdb.moved", "fdb.duplicate"]
GROUP = "01:00:5e:01:02:03"


def text(i):
    """A group as the daemon writes it; ip() is one that becomes it."""
    return f"33:33:01:00:{i >> 8:02x}:{i & 255:02x}"


def ip(i):
    return f"ff15::100:{i:x}"


class Base(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon(prefix=h.ISOLATED)
        self.d.create_with = {"multicast": "snoop"}
        self.addCleanup(self.d.__exit__, None, None, None)
        self.c = self.d.control()
        self.addCleanup(self.c.close)

    def opened(self, c):
        self.addCleanup(c.close)
        return c

    def subscriber(self, *events, network=None):
        """A connection that hears of these: on control, or of a network."""
        c = self.opened(self.d.native(network) if network else self.d.control())
        c.call("event.subscribe", events=list(events or ["*"]))
        return c

    def heard(self, *subscribers):
        """What each has heard until now; all the same."""
        self.c.call("daemon.show")
        lists = []
        for s in subscribers:
            s.call("hello")  # what happened before is told before the answer, or in the same turn
            s.call("hello")
            lists.append(s.notes)
            s.notes = []
        for other in lists[1:]:
            self.assertEqual(other, lists[0])
        return lists[0]

    def hears(self, subscribers, *want):
        """Each subscriber hears exactly this: names with the params that are given."""
        for s in subscribers:
            got = []
            for name, params in want:
                if not s.notes:
                    h.poll_until(f"{name} comes", lambda s=s: self.poll(s))
                got.append(s.notes.pop(0))
                self.assertEqual(got[-1][0], name, f"{got}, {s.notes}")
                self.assertEqual(got[-1][1], dict(got[-1][1], **params))
        return got[-1][1]

    @staticmethod
    def poll(s):
        s.call("hello")
        return s.notes

    def quiet(self, *subscribers):
        for s in subscribers:
            for _ in range(3):
                s.call("hello")
            self.assertEqual(s.notes, [])

    def know(self, subscribers, enough, before=frozenset()):
        """The groups that the host listens to when enough(groups), of what host.groups told since those
        `before`: by and by or at once, but each change leads from the list before to the list after."""
        for s in subscribers:
            known, p = set(before), None
            while p is None or not enough(known):
                p = s.note("host.groups")
                self.assertTrue(set(p["left"]) <= known, p)
                self.assertFalse(set(p["joined"]) & known, p)
                known = (known - set(p["left"])) | set(p["joined"])
                self.assertEqual(sorted(known), p["groups"])
        return known


class Subscribe(Base):
    def test_what_is_subscribed_is_answered(self):
        self.d.create("lab")
        n = self.opened(self.d.native())
        for asked, want in ((["*"], NAMES), ([], []), (["fdb.moved", "network.changed", "fdb.moved"],
                                                       ["network.changed", "fdb.moved"]),
                            (["port.*"], NAMES[2:5]), (["network.*", "host.groups"], NAMES[:2] + NAMES[6:7]),
                            (["group.*", "fdb.*", "host.*"], NAMES[5:]), (["*"] * 64, NAMES)):
            self.assertEqual(self.c.call("event.subscribe", events=asked), {"events": want})
            self.assertEqual(self.c.call("event.subscribe", events=asked, network="lab"),
                             {"events": want, "network": "lab"})
            # on a network's own socket the network is implied
            self.assertEqual(n.call("event.subscribe", events=asked, network="elsewhere"),
                             {"events": want, "network": "lab"})
        with self.assertRaises(h.RpcError) as e:
            self.c.call("event.subscribe", events=["*"] * 65)
        self.assertEqual(e.exception.code, "too_large")

    def test_wrong_names_say_which_there_are_and_leave_the_old(self):
        self.d.create("lab")
        n = self.opened(self.d.native())
        for c in (self.c, n):
            c.call("event.subscribe", events=["port.*"])
            for bad in (["port.gone"], ["*", "x"], "port.*", [5], None, [["*"]]):
                with self.assertRaises(h.RpcError) as e:
                    c.call("event.subscribe", events=bad)
                self.assertEqual(e.exception.code, "invalid")
                for word in ("events", "port.*", *NAMES):
                    self.assertIn(word, e.exception.message)
        with self.assertRaises(h.RpcError) as e:
            self.c.call("event.subscribe", events=["*"], network="nosuch")
        self.assertEqual(e.exception.code, "not_found")
        with self.d.attach(name="a"):
            self.hears([self.c, n], ("port.attached", {"name": "a", "network": "lab"}))

    def test_a_call_replaces_the_one_before_and_an_empty_one_ends_it(self):
        self.d.create("one")
        self.d.create("two")
        s = self.subscriber("port.*")
        s.call("event.subscribe", events=["port.attached"], network="two")
        with self.d.attach("one"), self.d.attach("two"):
            self.hears([s], ("port.attached", {"network": "two"}))
        self.quiet(s)
        s.call("event.subscribe", events=[])
        with self.d.attach("two"):
            self.quiet(s)

    def test_only_what_happens_behind_the_answer(self):
        """In one stream: attach, subscribe, detach, attach again."""
        self.d.create("lab")
        c = self.opened(self.d.native())
        c.order = []
        calls = [["attach", {"name": "a"}], ["event.subscribe", {"events": ["port.*"]}], ["detach", {}],
                 ["attach", {"name": "b"}], ["event.subscribe", {"events": []}], ["detach", {}]]
        c.send_raw(b"".join(h.msgpack.packb([0, i, m, [p]]) for i, (m, p) in enumerate(calls)))
        for i in range(len(calls)):
            c.reply(i)
        self.assertEqual([(x[1], x[2][0]["name"]) for x in c.order if x[0] == 2],
                         [("port.detached", "a"), ("port.attached", "b")])
        self.assertEqual(len(c.notes), 2)
        c.notes = []
        self.quiet(c)

    def test_rights(self):
        """A stranger is denied on both sockets; a network's user hears of that network."""
        if os.geteuid():
            self.skipTest("becoming others needs root")
        with h.Daemon(prefix=h.ISOLATED) as d:
            d.create("lab", group="6002")
            for s in ("control.sock", "lab/feth.sock"):
                os.chmod(d.path(s), 0o666)

            def ask(path):
                with h.Native(path) as c:
                    try:
                        return c.call("event.subscribe", events=["network.*"])["events"]
                    except h.RpcError as e:
                        return e.code
            stranger, user = (5005, 5005, []), (5003, 6002, [])
            for who, s, want in ((stranger, "control.sock", "denied"), (stranger, "lab/feth.sock", "denied"),
                                 (user, "control.sock", "denied"), (user, "lab/feth.sock", NAMES[:2])):
                self.assertEqual(h.run_as(who, lambda s=s: ask(d.path(s))), want, (who, s))

    def test_who_leaves_is_forgotten(self):
        self.d.create("lab")
        for _ in range(30):
            for c in (self.d.control(), self.d.native(), self.d.attach()):
                c.call("event.subscribe", events=["*"])
                c.sock.close()
        with self.d.attach(name="last") as a:
            a.call("event.subscribe", events=["*"])
            self.d.call("network.set", network="lab", mtu=1400)
            self.assertEqual(a.note("network.changed")["mtu"], 1400)
        h.poll_until("they left", lambda: not self.d.clients())


class Each(Base):
    def test_networks(self):
        s = self.subscriber("network.*")
        self.d.create("lab", mtu=1400)
        made = self.hears([s], ("network.changed", {"name": "lab", "mtu": 1400}))
        self.assertEqual(made, self.c.call("network.show", network="lab"))
        n = self.subscriber("network.*", network="lab")
        other = self.opened(self.d.control())
        other.call("event.subscribe", events=["network.*"], network="lab")
        a = self.opened(self.d.attach())
        a.call("event.subscribe", events=["network.*"])
        b = self.opened(self.d.attach())  # hears it unasked
        idle = self.opened(self.d.native())
        for params in ({"mtu": 9000}, {"mtu": 1280}, {"multicast": "strict"}, {"querier": True}):
            shown = self.c.call("network.set", network="lab", **params)
            self.hears([s, n, other, a, b], ("network.changed", shown))
        self.c.call("network.set", network="lab", mtu=1280, multicast="strict")  # as it is
        self.quiet(s, n, other, a, b, idle)
        self.assertEqual(self.d.call("network.delete", network="lab"), {"saved": False})
        self.hears([s, other], ("network.removed", {"network": "lab"}))
        for c in (n, a, b, idle):
            self.assertTrue(c.closed())
            self.assertEqual(c.notes, [("network.removed", {"network": "lab"})] if c is not idle else [])
        self.d.create("lab")  # a name that comes back is heard of
        self.hears([s], ("network.changed", {"name": "lab", "mtu": 1500}))

    def test_a_network_that_could_not_be_made_is_no_news(self):
        s = self.subscriber()
        words = self.d.system.refuse("make")
        with self.assertRaises(h.RpcError) as e:
            self.d.create("lab", backend=h.HOST_BACKEND)
        for word in words:
            self.assertIn(word, e.exception.message)
        self.quiet(s)
        self.d.system.allow()

    def test_a_refused_change_tells_the_truth_in_the_end(self):
        self.d.create("lab", backend=h.HOST_BACKEND)
        s = self.subscriber("network.changed")
        self.d.system.refuse("change-mtu")
        with self.assertRaises(h.RpcError):
            self.c.call("network.set", network="lab", mtu=1000)
        notes = self.heard(s)
        self.assertTrue(all(p["mtu"] == 1500 for _, p in notes[-1:]), notes)

    def test_ports(self):
        self.d.create("lab")
        s, n = self.subscriber("port.*"), self.subscriber("port.*", network="lab")
        both = [s, n]
        a = self.opened(self.d.attach(name="a", mac="02:00:00:00:00:01", locked=True))
        row = self.hears(both, ("port.attached", {"network": "lab", "name": "a", "state": "attached"}))
        self.assertEqual({k: v for k, v in row.items() if k != "network"}, self.d.port("a"))
        a.call("detach")
        gone = self.hears(both, ("port.detached", {"port": row["port"], "name": "a", "state": "gone"}))
        self.assertNotIn("pid", gone)
        q = self.opened(self.d.qemu())
        self.hears(both, ("port.attached", {"name": "qemu-1", "kind": "qemu", "pid": os.getpid()}))
        q.close()
        self.hears(both, ("port.detached", {"name": "qemu-1", "state": "gone"}))
        declared = self.c.call("port.add", network="lab", name="vm", kind="native")
        self.assertEqual(self.hears(both, ("port.changed", {"name": "vm", "state": "waiting"})),
                         dict(declared, network="lab"))
        c = self.opened(self.d.attach(name="vm"))
        self.hears(both, ("port.attached", {"name": "vm", "path": declared["path"]}))
        c.close()
        self.hears(both, ("port.detached", {"name": "vm", "state": "waiting"}))
        self.c.call("port.remove", network="lab", name="vm")
        self.hears(both, ("port.detached", {"name": "vm", "state": "gone"}))
        self.c.call("port.open", network="lab", name="opened")
        self.hears(both, ("port.attached", {"name": "opened"}))
        self.c.call("port.remove", network="lab", name="opened")
        self.hears(both, ("port.detached", {"name": "opened", "state": "gone"}))
        self.quiet(*both)

    def test_of_a_network_that_goes_it_is_told_once(self):
        self.d.create("lab", backend=h.HOST_BACKEND)
        clients = [self.opened(self.d.attach()) for _ in range(20)]
        s = self.subscriber()
        self.hears([s], ("host.groups", {"groups": []}))  # at once
        self.c.call("network.delete", network="lab")
        self.assertTrue(all(c.closed() for c in clients))
        self.assertEqual(self.heard(s), [("network.removed", {"network": "lab"})])

    def test_groups(self):
        self.d.create("lab")
        a, b = (self.opened(self.d.attach(name=n)) for n in "ab")
        q = self.opened(self.d.qemu())
        port = h.poll_until("it is a port", lambda: self.d.port("qemu-1"))["port"]
        subs = [self.subscriber("group.changed"), self.subscriber("group.changed", network="lab")]
        a.call("group.join", groups=[GROUP])
        only = {"network": "lab", "group": GROUP, "joined": True, "only": a.info["port"]}
        self.assertEqual(self.hears(subs, ("group.changed", {})), only)
        b.call("group.join", groups=[GROUP])  # it is not the only one any more
        self.assertEqual(self.hears(subs, ("group.changed", {})),
                         {"network": "lab", "group": GROUP, "joined": True})
        q.send(g.igmp2_report(h.mac(9), "239.1.2.3"), g.mld2_report(h.mac(9), (g.IS_EX, "ff15::9", [])))
        h.taken(q)
        self.assertEqual(self.hears(subs, ("group.changed", {})), {
            "network": "lab", "group": "33:33:00:00:00:09", "joined": True, "only": port})
        a.call("group.leave", groups=[GROUP])
        b.close()
        self.assertEqual(self.hears(subs, ("group.changed", {})), dict(only, only=port))
        q.close()
        for s in subs:
            got = h.poll_until("both have ended", lambda s=s: len(self.poll(s)) == 2 and s.notes)
            self.assertEqual(sorted(p["group"] for _, p in got), [GROUP, "33:33:00:00:00:09"])
            self.assertEqual([p["joined"] for _, p in got], [False, False])

    def test_addresses_that_move(self):
        self.d.create("lab")
        a, b = (self.opened(self.d.attach(name=n)) for n in "ab")
        subs = [self.subscriber("fdb.moved"), self.subscriber("fdb.moved", network="lab")]
        moved = {"network": "lab", "mac": "02:00:00:00:00:05"}
        end = time.monotonic() + 2.5
        n = 0
        while time.monotonic() < end:  # two stations of one address
            for c in (a, b):
                c.send(h.frame(h.BROADCAST, h.mac(5), b"%d" % n))  # the same again would be a loop
                h.taken(c)
                n += 1
        moves = self.d.stats()["moves"]
        self.assertEqual(moves, n - 1)
        for s in subs:
            for _ in range(3):
                s.call("hello")
            self.assertIn(len(s.notes), (2, 3), "at most one a second")
            name, first = s.notes[0]
            self.assertEqual((name, first), ("fdb.moved", dict(
                moved, **{"from": a.info["port"], "from_name": "a", "to": b.info["port"], "to_name": "b"})))
            s.notes = []
        # another address is told of at once, and of many some
        a.send(*[h.frame(h.BROADCAST, h.mac(100 + i)) for i in range(200)])
        h.taken(a)
        b.send(*[h.frame(h.BROADCAST, h.mac(100 + i)) for i in range(200)])
        h.taken(b)
        self.assertEqual(self.d.stats()["moves"], moves + 200)
        for s in subs:
            for _ in range(3):
                s.call("hello")
            macs = {p["mac"] for _, p in s.notes}
            self.assertEqual(len(macs), len(s.notes))
            self.assertTrue(50 <= len(macs) <= 64, len(macs))

    def test_the_hosts_groups(self):
        system, row = self.d.system, self.d.create("lab", backend=h.HOST_BACKEND, addresses=["fd00::1/64"])
        s, n = self.subscriber("host.groups"), self.subscriber("host.groups", network="lab")
        own = self.know([s, n], lambda known: system.standing(row) <= known)  # what there is, at once
        none = {"network": "lab", "joined": [], "left": [], "more": False}
        one, two, three = (text(i) for i in (1, 2, 3))

        def now(*groups):
            return sorted(own | set(groups))
        begin = time.monotonic()
        system.join(row, ip(2))
        got = n.note("host.groups")
        took = time.monotonic() - begin
        self.assertEqual(got, dict(none, groups=now(two), joined=[two]))
        self.assertLess(took, 0.1)
        self.hears([s], ("host.groups", got))
        for act, i, want in ((system.join, 1, dict(groups=now(one, two), joined=[one])),
                             (system.join, 3, dict(groups=now(one, two, three), joined=[three])),
                             (system.leave, 1, dict(groups=now(two, three), left=[one]))):
            act(row, ip(i))
            self.assertEqual(self.hears([s, n], ("host.groups", {})), dict(none, **want))
        late = self.subscriber("host.groups", network="lab")
        self.assertEqual(self.hears([late], ("host.groups", {})),
                         dict(none, groups=now(two, three), joined=now(two, three)))
        # in a pair made anew they are as they were, and what changes is heard
        system.remove_pair(row)
        h.poll_until("made anew", lambda: "made anew net=lab" in self.d.log)
        system.leave(row, ip(2))
        self.know([s, n, late], lambda known: known == own | {three}, own | {two, three})
        self.quiet(s, n, late)
        # a network without a host side has none
        self.d.create("plain", backend="none")
        plain = self.subscriber("host.groups", network="plain")
        self.quiet(plain)
        a = self.opened(self.d.attach("lab"))
        a.call("event.subscribe", events=["host.groups"])
        self.assertEqual(a.note("host.groups")["joined"], now(three))
        system.join(row, ip(1))
        self.assertEqual(a.note("host.groups")["joined"], [one])

    @unittest.skipIf(h.DARWIN, "of the fake backend's file: several changes at once, and what is no change")
    def test_the_hosts_groups_as_a_whole(self):
        self.d.create("lab", backend="fake")
        path = f"{self.d.fake_dir}/lab.groups"

        def listens(*groups):
            with open(path, "w") as f:
                f.write("\n".join(groups) + "\n")
        s, n = self.subscriber("host.groups"), self.subscriber("host.groups", network="lab")
        none = {"network": "lab", "groups": [], "joined": [], "left": [], "more": False}
        self.assertEqual(self.hears([s, n], ("host.groups", {})), none)  # what there is, at once
        one, two, three = (text(i) for i in (1, 2, 3))
        listens(two, one)
        self.assertEqual(self.hears([s, n], ("host.groups", {})),
                         dict(none, groups=[one, two], joined=[one, two]))
        listens(three, two, "02:00:00:00:00:01")  # the last is no group
        self.assertEqual(self.hears([s, n], ("host.groups", {})),
                         dict(none, groups=[two, three], joined=[three], left=[one]))
        with open(path + "2", "w") as f:
            f.write(f"{three}\n{two}\n{two}\n")
        os.rename(path + "2", path)  # the same in another order is no news
        self.quiet(s, n)
        os.unlink(path)
        self.assertEqual(self.hears([s, n], ("host.groups", {})), dict(none, left=[two, three]))

    def test_one_network_or_all(self):
        for name in ("one", "two"):
            self.d.create(name)
        every, two = self.subscriber("port.attached"), self.opened(self.d.control())
        two.call("event.subscribe", events=["port.attached"], network="two")
        native = self.subscriber("port.attached", network="one")
        for name in ("one", "two", "one"):  # networks tell what happens on them each on its own
            self.opened(self.d.attach(name))
            self.hears([every], ("port.attached", {"network": name}))
        self.hears([two], ("port.attached", {"network": "two"}))
        self.hears([native], *[("port.attached", {"network": "one"})] * 2)
        self.quiet(every, two, native)


class Slow(Base):
    """A subscriber that does not read."""

    def deaf(self, *events, network=None):
        """Subscribed, with room for little in its socket on this side."""
        c = self.subscriber(*events, network=network)
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return c

    def counter(self, name):
        return self.c.call("daemon.show")["counters"][name]

    def fill(self, n=3000):
        """More changes than fit in any socket; the last leaves the MTU at 9000."""
        for i in range(n):  # one by one: of several in one turn only the last is told
            self.c.call("network.set", network="lab", mtu=9000 if i % 2 else 1500)

    def test_changes_coalesce_to_the_newest(self):
        self.d.create("lab")
        deaf = [self.deaf("network.changed"), self.deaf("network.changed", network="lab")]
        attached = self.opened(self.d.attach())
        self.fill()
        for c in (*deaf, attached):
            c.call("hello")
            mtus = [p["mtu"] for name, p in c.notes if name == "network.changed"]
            self.assertEqual(mtus[-1], 9000)
            if c is not attached:
                self.assertLess(len(mtus), 2990)
            self.assertGreater(len(mtus), 10)
        self.assertEqual(self.c.call("daemon.show")["counters"]["slow"], 0)

    def test_what_the_host_joined_and_left_adds_up(self):
        """However many changes became one, they lead from the list before to the list after."""
        system, row = self.d.system, self.d.create("lab", backend=h.HOST_BACKEND, addresses=["fd00::1/64"])

        def known():
            rows = self.c.items("group.list", network="lab")
            return {r["group"] for r in rows if "host" in r["how"]}
        own = h.poll_until("its own", lambda: system.standing(row) <= known() and [known()])[0]
        subs = [self.deaf("network.changed", "host.groups"),
                self.deaf("network.changed", "host.groups", network="lab")]
        self.fill(2000)
        joined = set()
        for i in range(40):
            now = {k for k in range(1, 60) if (k * i) % 7 < 3}
            if joined - now:
                system.leave(row, *(ip(k) for k in joined - now))
            if now - joined:
                system.join(row, *(ip(k) for k in now - joined))
            joined = now
            want = own | {text(k) for k in joined}
            h.poll_until("known", lambda want=want: known() == want)
        for s in subs:
            s.call("hello")
            self.assertEqual([name for name, _ in s.notes].count("host.groups"), 2)  # at first, and all since
            self.know([s], lambda known: known == want)
            self.assertNotIn("host.groups", [name for name, _ in s.notes])
            s.notes = []
        # and from here on it goes on as ever
        first = min(joined)
        system.leave(row, *(ip(k) for k in joined - {first}))
        self.know(subs, lambda known: known == own | {text(first)}, want)
        self.assertEqual(self.c.call("daemon.show")["counters"]["slow"], 0)

    def test_order_with_answers(self):
        """What an answer says is not older than the events before it, nor newer than those behind."""
        self.d.create("lab")
        s = self.deaf("network.changed", network="lab")
        s.order = []
        with self.d.control() as c:
            for i in range(1500):
                mtu = 1500 + i
                c.call("network.set", network="lab", mtu=mtu)
                if i % 100 == 0:
                    s.request("network.show")
                    h.taken(s)
        s.call("hello")
        mtu = 0
        for x in s.order:
            now = x[2][0]["mtu"] if x[0] == 2 else (x[3] or {}).get("mtu", mtu)
            self.assertGreaterEqual(now, mtu)
            mtu = now
        self.assertEqual(mtu, 2999)

    def test_too_slow_is_closed_and_the_others_hear_all(self):
        self.d.create("lab")
        slow = self.deaf("*", network="lab")
        clients = [self.opened(self.d.attach(name=f"c{i}")) for i in range(4)]
        self.fill()  # its socket is full
        well = self.subscriber("group.changed", network="lab")
        for i, c in enumerate(clients):
            c.call("group.join", groups=[text(256 * i + k) for k in range(220)])
            time.sleep(1.1)  # 256 a second are told
            well.call("hello")
        self.assertEqual(len({p["group"] for _, p in well.notes}), 880)
        for i, c in enumerate(clients):
            c.call("group.leave", groups=[text(256 * i + k) for k in range(220)])
        time.sleep(2.5)  # some of these were lost, and that is told
        more = [text(1024 + k) for k in range(220)]
        clients[0].call("group.join", groups=more)
        h.poll_until("closed, and counted", lambda: self.counter("slow") == 1)
        clients[0].call("group.leave", groups=more)
        self.assertTrue(slow.closed())
        well.call("hello")
        self.assertEqual(self.c.call("group.list", network="lab")["items"], [])

    def test_a_storm_of_changes_holds_nobody(self):
        """Reports without end, and a subscriber: pings of others are answered in good time."""
        self.d.create("lab")
        q = self.opened(self.d.qemu())
        s = self.deaf("*", network="lab")
        frames = [g.igmp3_report(h.mac(1), *[(g.IS_EX if k % 2 else g.TO_IN, f"239.3.{i}.{k}", [])
                                             for k in range(100)]) for i in range(20)]
        for _ in range(20):
            q.send(*frames)
            begin = time.monotonic()
            self.c.call("daemon.show")
            self.assertLess(time.monotonic() - begin, 1.0)
        s.sock.close()


class Ctl(Base):
    def events(self, *args):
        """A running `fethctl events`, subscribed."""
        before = self.c.call("daemon.show")["counters"]["accepted"]
        p = subprocess.Popen([h.FETHCTL, "--run-dir", self.d.run_dir, "events", *args], text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        def end():
            p.kill()
            p.communicate()
        self.addCleanup(end)
        h.poll_until("it is there", lambda: self.c.call("daemon.show")["counters"]["accepted"] > before)
        time.sleep(0.05)  # its one call
        return p

    def test_lines(self):
        self.d.create("lab", backend=h.HOST_BACKEND)
        p = self.events("lab", "--event", "port.*", "--event", "network.removed")
        j = self.events("--json", "--count", "3")
        with self.d.attach(name="vm") as a:
            a.call("group.join", groups=[GROUP])
            h.poll_until("three events", lambda: j.poll() is not None)
            line = p.stdout.readline()
            self.assertRegex(line, r"\A\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} lab port\.attached port=1 name=vm "
                                   r"kind=native state=attached mac=[0-9a-f:]{17} ")
        self.assertRegex(p.stdout.readline(), r" lab port\.detached port=1 name=vm .*state=gone")
        out, err = j.communicate(timeout=20)
        lines = [json.loads(x) for x in out.splitlines()]
        self.assertEqual([x["event"] for x in lines], ["host.groups", "port.attached", "group.changed"])
        self.assertEqual((lines[2]["params"]["group"], j.returncode, err), (GROUP, 0, ""))
        self.assertTrue(all(abs(x["time"] / 1000 - time.time()) < 60 for x in lines))
        self.c.call("network.delete", network="lab")
        out, err = p.communicate(timeout=20)
        self.assertRegex(out, r"\A\S+ \S+ lab network\.removed\n\Z")
        self.assertEqual((p.returncode, err), (0, ""))

    def test_mistakes(self):
        self.d.create("lab")
        for args, status, words in ((["nosuch"], 1, "no network nosuch"), (["lab", "--count", "0"], 1, "count"),
                                    (["lab", "--event", "nosuch"], 1, "port.attached"),
                                    (["lab", "more"], 2, "more"), (["a/b"], 1, "name")):
            p = self.d.ctl("events", *args)
            self.assertEqual((p.returncode, p.stdout), (status, ""), args)
            self.assertIn(words, p.stderr)
        p = self.d.ctl("help", "events", check=True)
        for name in NAMES:
            self.assertIn(name, p.stdout)

    def test_the_end_of_the_daemon_is_told(self):
        p = self.events()
        self.d.stop()
        out, err = p.communicate(timeout=20)
        self.assertEqual((p.returncode, out), (1, ""))
        self.assertIn("no more events", err)
        self.d.start()
        self.c = self.d.control()

    def test_network_options(self):
        p = self.d.ctl("create", "lab", "--backend", "none", "--multicast", "strict", "--querier", "on", check=True)
        self.assertRegex(p.stdout, r"Multicast: +strict\n")
        self.assertRegex(p.stdout, r"Querier: +yes\n")
        p = self.d.ctl("set", "lab", "--multicast=flood", "--querier=off", check=True)
        self.assertRegex(p.stdout, r"Multicast: +flood\nQuerier: +no\n")
        self.assertIn(" flood ", self.d.ctl("list", check=True).stdout)
        self.assertEqual(json.loads(self.d.ctl("show", "lab", "--json", check=True).stdout)["multicast"], "flood")
        for args, words in ((["--multicast", "some"], "multicast"), (["--querier", "maybe"], "querier")):
            p = self.d.ctl("set", "lab", *args)
            self.assertEqual((p.returncode, p.stdout), (1, ""))
            self.assertIn(words, p.stderr)
        self.assertEqual(self.c.call("network.show", network="lab")["multicast"], "flood")


class Flood(Base):
    def test_of_more_groups_than_can_be_told_it_is_told_that_there_were_more(self):
        self.d.create("lab")
        both = self.subscriber("group.changed"), self.subscriber("group.changed", network="lab")
        a = self.opened(self.d.attach())
        groups = [text(i) for i in range(250)]
        for _ in range(4):
            a.call("group.join", groups=groups)
            a.call("group.leave", groups=groups)
        for s in both:
            told = []
            while not told or "lost" not in told[-1]:
                told.append(s.note("group.changed"))
            self.assertEqual(told[-1], {"network": "lab", "lost": True})
            self.assertTrue(250 <= len(told) <= 600, len(told))
        self.assertEqual(self.d.log.count("not all are told"), 1)
        # and then all is as before
        self.d.call("network.show", network="lab")
        a.call("group.join", groups=[GROUP])
        for s in both:
            self.assertEqual(s.note("group.changed")["group"], GROUP)
        self.assertEqual(self.c.call("daemon.show")["counters"]["slow"], 0)


del Base

if __name__ == "__main__":
    h.main()
