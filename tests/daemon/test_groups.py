"""test_groups.py - multicast: who gets which group, by RPC, by IGMP and MLD, and by the host's kernel.

"Not one frame of it" is seen without waiting: one broadcast is sent before the group's frames and one
behind them, and nothing comes in between.
"""
import os
import struct
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import groupframes as g  # noqa: E402
import harness as h  # noqa: E402

IP4, IP6 = "239.1.2.3", "ff15::1:2:3"
OTHER4, OTHER6 = "239.1.2.4", "ff15::1:2:4"
MARK = b"beside the groups"


def text(group):
    """A group as the daemon writes it: of an IP address, or a MAC."""
    return h.mac_text(group if isinstance(group, bytes) else g.group_mac(group))


class Base(unittest.TestCase):
    network = {"backend": "none"}

    def setUp(self):
        self.d = h.Daemon(prefix=h.ISOLATED)
        self.d.create_with = {"multicast": "snoop"}
        self.addCleanup(self.d.__exit__, None, None, None)
        self.d.create("lab", **self.network)
        self.c = self.d.control()
        self.addCleanup(self.c.close)
        self.n = 0
        self.sender = self.native(name="sender")

    def native(self, **params):
        c = self.d.attach(**params)
        c.name, c.port = c.info["name"], c.info["port"]
        return self.known(c)

    def qemu(self):
        before = {p["name"] for p in self.d.ports()}
        c = self.d.qemu()
        row = h.poll_until("it is a port", lambda: [p for p in self.d.ports() if p["name"] not in before])
        c.name, c.port = row[0]["name"], row[0]["port"]
        return self.known(c)

    def known(self, c):
        self.n += 1
        c.mac = h.mac(self.n)
        self.addCleanup(c.close)
        return c

    def say(self, c, *frames):
        """The daemon has read these when it returns."""
        c.send(*frames)
        h.taken(c)

    def set(self, **params):
        return self.c.call("network.set", network="lab", **params)

    def members(self, how=None):
        """{(group, port name)} of those that are in it for this reason."""
        rows = self.c.items("group.list", network="lab")
        return {(r["group"], r["name"]) for r in rows if how is None or how in r["how"]}

    def get(self, clients, *frames, by=None):
        """The clients, by name, that get all of these frames, in order; the others must get none."""
        by = by or self.sender
        begin, end = self.marks(by)
        self.say(by, begin, *frames, end)
        return {c.name for c in clients if self.between(begin, end, frames, lambda: c.recv(None), c.name)}

    def marks(self, by):
        return [h.frame(h.BROADCAST, by.mac, MARK + os.urandom(8), size=60) for _ in range(2)]

    def between(self, begin, end, frames, recv, name):
        """Whether these frames came between the marks; else none may have."""
        while recv() != begin:
            pass
        got = []
        while (f := recv()) != end:
            got += [f] if f[6:12] == begin[6:12] else []
        self.assertIn(got, ([], list(frames)), name)
        return bool(got)

    def stats(self):
        return self.d.stats()["multicast"]


class Rpc(Base):
    def test_joins_restrict(self):
        a, b, q = self.native(name="a"), self.native(name="b"), self.qemu()
        every = [a, b, q]
        for ip in (IP4, IP6):  # nobody is in it: it goes to all
            self.assertEqual(self.get(every, g.data(self.sender.mac, ip)), {"a", "b", q.name})
        self.assertEqual(a.call("group.join", groups=[text(IP4), text(IP6)]), {"groups": 2, "all": False})
        for ip in (IP4, IP6):
            frames = [g.data(self.sender.mac, ip, b"%d" % i) for i in range(100)]
            self.assertEqual(self.get(every, *frames), {"a"})
        # of another group, nobody's yet, a client that says what it wants gets nothing
        self.assertEqual(self.get(every, g.data(self.sender.mac, OTHER4)), {"b", q.name})
        self.assertEqual(b.call("group.join", groups=[text(IP4)]), {"groups": 1, "all": False})
        self.assertEqual(self.get(every, g.data(self.sender.mac, IP4)), {"a", "b"})
        self.assertEqual(self.get(every, g.data(self.sender.mac, IP6)), {"a"})
        # a member's own frames do not come back
        self.assertEqual(self.get([b, q], g.data(a.mac, IP4), by=a), {"b"})
        self.assertEqual(a.call("group.leave", groups=[text(IP4)]), {"groups": 1, "all": False})
        self.assertEqual(self.get(every, g.data(self.sender.mac, IP4)), {"b"})
        self.assertEqual(b.call("group.leave", groups=[text(IP4)]), {"groups": 0, "all": False})
        self.assertEqual(self.get(every, g.data(self.sender.mac, IP4)), {q.name})
        self.assertEqual(self.members(), {(text(IP6), "a")})

    def test_it_takes_effect_where_it_stands(self):
        """Between the frames of one stream; here the sender's own membership ends the flood."""
        q, other = self.qemu(), self.native(name="other")
        a = self.native(name="a")
        begin, end = self.marks(a)
        f = [g.data(a.mac, IP4, b"%d" % i) for i in range(3)]
        join = [[0, i, method, [{"groups": [text(IP4)]}]]
                for i, method in ((900, "group.join"), (901, "group.leave"))]
        a.send_raw(b"".join(h.msgpack.packb(x) for x in (begin, f[0], join[0], f[1], join[1], f[2], end)))
        for c in (q, other):
            self.assertTrue(self.between(begin, end, [f[0], f[2]], lambda: c.recv(None), c.name))
        self.assertEqual((a.reply(900)["groups"], a.reply(901)["groups"]), (1, 0))

    def test_joins_are_idempotent(self):
        a = self.native(name="a")
        one, two = text(IP4), text(IP6)
        for _ in range(3):
            self.assertEqual(a.call("group.join", groups=[one, two, one, one.upper(), one.replace(":", "-")]),
                             {"groups": 2, "all": False})
        self.assertEqual(a.call("group.join", groups=[]), {"groups": 2, "all": False})
        self.assertEqual(self.members(), {(one, "a"), (two, "a")})
        for _ in range(3):
            self.assertEqual(a.call("group.leave", groups=[one, one, text(OTHER4)]),
                             {"groups": 1, "all": False})
        self.assertEqual(self.members(), {(two, "a")})

    def test_all(self):
        a, b, q = self.native(name="a"), self.native(name="b"), self.qemu()
        b.call("group.join", groups=[text(IP4)])
        self.set(multicast="strict")
        self.assertEqual(self.get([a, b, q], g.data(self.sender.mac, OTHER4)), set())
        self.assertEqual(a.call("group.join", groups="all"), {"groups": 0, "all": True})
        self.assertEqual(a.call("group.join", groups="all"), {"groups": 0, "all": True})
        for ip in (IP4, IP6, OTHER4, OTHER6):
            want = {"a", "b"} if ip == IP4 else {"a"}
            self.assertEqual(self.get([a, b, q], g.data(self.sender.mac, ip)), want)
        # nobody gets others' unicast by it
        self.say(b, h.frame(h.BROADCAST, b.mac))
        self.assertEqual(self.get([a, b, q], h.frame(b.mac, self.sender.mac, size=60)), {"b"})
        self.assertIn(("all", "a"), self.members("all"))
        self.assertEqual(a.call("group.join", groups=[text(IP6)]), {"groups": 1, "all": True})
        self.assertEqual(a.call("group.leave", groups="all"), {"groups": 1, "all": False})
        self.assertEqual(self.get([a, b, q], g.data(self.sender.mac, OTHER4)), set())
        self.assertEqual(self.get([a, b, q], g.data(self.sender.mac, IP6)), {"a"})
        self.assertEqual(a.call("group.leave", groups="all"), {"groups": 1, "all": False})

    def test_attach_with_groups(self):
        q = self.qemu()
        a = self.native(name="a", groups=[text(IP4)])
        none = self.native(name="none", groups=[])
        every = self.native(name="every", groups="all")
        clients = [a, none, every, q]
        self.assertEqual(self.members(), {(text(IP4), "a"), ("all", "every")})
        self.assertEqual(self.get(clients, g.data(self.sender.mac, IP4)), {"a", "every"})
        self.assertEqual(self.get(clients, g.data(self.sender.mac, OTHER4)), {"every", q.name})
        # to detach is to forget; who attaches without groups is as a guest is
        for c in (a, none, every):
            c.call("detach")
        self.assertEqual(self.members(), set())
        c = a.call("attach", name="a")
        self.assertEqual(c["name"], "a")
        self.assertEqual(self.get([a, q], g.data(self.sender.mac, OTHER4)), {"a", q.name})
        self.assertEqual(a.call("group.join", groups=[]), {"groups": 0, "all": False})
        self.assertEqual(self.get([a, q], g.data(self.sender.mac, OTHER4)), {q.name})

    def test_a_dead_client_is_in_no_group(self):
        a, b = self.native(name="a"), self.native(name="b")
        a.call("group.join", groups=[text(IP4), text(IP6)])
        a.call("group.join", groups="all")
        b.call("group.join", groups=[text(IP4)])
        q = self.qemu()
        self.say(q, g.igmp2_report(q.mac, OTHER4))
        self.assertEqual(len(self.members()), 5)
        a.sock.close()
        q.sock.close()
        h.poll_until("forgotten", lambda: self.members() == {(text(IP4), "b")})
        q = self.qemu()  # the same number
        self.assertEqual(self.get([b, q], g.data(self.sender.mac, IP6)), {q.name})

    def test_only_ports_join(self):
        for method in ("group.join", "group.leave"):
            with self.assertRaises(h.RpcError) as e:
                self.c.call(method, network="lab", groups="all")
            self.assertEqual(e.exception.code, "unsupported")
            with self.d.native() as c:
                with self.assertRaises(h.RpcError) as e:
                    c.call(method, groups="all")
                self.assertEqual(e.exception.code, "not_found")
                self.assertIn("attach", e.exception.message)
        self.assertEqual(self.members(), set())

    def test_limits(self):
        a, b = self.native(name="a"), self.native(name="b")

        def many(first, n):
            return [text(b"\x33\x33" + struct.pack("!I", i)) for i in range(first, first + n)]

        def too_large(c, groups):
            before = self.members()
            with self.assertRaises(h.RpcError) as e:
                c.call("group.join", groups=groups)
            self.assertEqual(e.exception.code, "too_large")
            self.assertIn("groups", e.exception.message)
            self.assertIn("256", e.exception.message)
            self.assertEqual(self.members(), before)
        too_large(a, many(1, 257))
        self.assertEqual(a.call("group.join", groups=many(1, 250))["groups"], 250)
        too_large(a, many(245, 13))  # six are old, and seven do not fit
        too_large(a, many(300, 7))
        self.assertEqual(a.call("group.join", groups=many(245, 12))["groups"], 256)
        self.assertEqual(a.call("group.join", groups=many(1, 256))["groups"], 256)
        too_large(a, many(300, 1))
        self.assertEqual(a.call("group.join", groups="all"), {"groups": 256, "all": True})
        self.assertEqual(b.call("group.join", groups=many(1000, 256))["groups"], 256)
        too_large(b, many(1, 1))
        a.call("group.leave", groups=many(1, 1))
        self.assertEqual(a.call("group.join", groups=many(300, 1))["groups"], 256)
        with self.d.native() as c:  # an attach that is refused is none
            with self.assertRaises(h.RpcError):
                c.call("attach", name="c", groups=many(1, 257))
            self.assertIsNone(self.d.port("c"))
            c.call("attach", name="c", groups=many(1, 256))

    def test_the_network_is_full(self):
        """What does not fit in the network's table is refused whole, and who was there stays."""
        clients, codes, first = [], [], 1
        for i in range(6):
            clients.append(self.native(name=f"n{i}"))
            groups = [text(b"\x33\x33" + struct.pack("!I", k)) for k in range(first, first + 170)]
            first += 170
            before = self.members()
            try:
                clients[-1].call("group.join", groups=groups)
                codes.append(None)
            except h.RpcError as e:
                codes.append(e.code)
                self.assertEqual(self.members(), before)
        self.assertEqual(codes, [None] * 5 + ["too_large"])
        self.assertEqual(len(self.members()), 850)
        self.assertEqual(clients[-1].call("group.leave", groups="all"), {"groups": 0, "all": False})


class List(Base):
    def rows(self, c=None, **params):
        return (c or self.c).call("group.list", **params)["items"]

    def test_rows(self):
        a, q = self.native(name="a"), self.qemu()
        a.call("group.join", groups=[text(IP4)])
        a.call("group.join", groups="all")
        self.say(a, g.igmp2_report(a.mac, IP4))
        self.say(q, g.igmp2_report(q.mac, IP4), g.mld2_report(q.mac, (g.IS_EX, IP6, [])),
                 g.igmp_query(q.mac))
        rows = self.rows(network="lab")
        self.assertEqual(self.rows(a), rows)
        for r in rows:
            self.assertLess(r.pop("age"), 10000)
        router = rows[1].pop("expires")
        self.assertTrue(200000 < router <= 260000, router)
        snooped = rows[3].pop("expires")
        self.assertTrue(200000 < snooped <= 260000, snooped)
        self.assertEqual(rows, [
            {"group": "all", "port": a.port, "name": "a", "how": ["all"]},
            {"group": "01:00:5e:00:00:00", "port": q.port, "name": q.name, "how": ["router"]},
            {"group": text(IP4), "port": a.port, "name": "a", "how": ["rpc", "snooped"]},
            {"group": text(IP4), "port": q.port, "name": q.name, "how": ["snooped"]},
            # nobody asks by MLD, so nobody would say it again
            {"group": text(IP6), "port": q.port, "name": q.name, "how": ["snooped"]}])

    def test_pages(self):
        for i in range(3):
            c = self.native(name=f"n{i}")
            c.call("group.join", groups=[text(b"\x33\x33\0\0\0" + bytes([k])) for k in range(10, 110)])
            c.call("group.join", groups="all")
        want = [(r["group"], r["port"]) for r in self.rows(network="lab", limit=256)]
        want += [(r["group"], r["port"]) for r in self.rows(
            network="lab", limit=256, after=[want[-1][0], want[-1][1]])]
        self.assertEqual(len(want), 303)
        self.assertEqual(want, sorted(want, key=lambda r: ("" if r[0] == "all" else r[0], r[1])))
        for limit in (1, 2, 3, 7, 64, 255, 256):
            got, after = [], None
            while True:
                page = self.c.call("group.list", network="lab", limit=limit, after=after)
                self.assertLessEqual(len(page["items"]), limit)
                got += [(r["group"], r["port"]) for r in page["items"]]
                after = page["next"]
                if after is None:
                    break
            self.assertEqual(got, want, limit)
        page = self.c.call("group.list", network="lab", after=["33:33:00:00:00:ff", 0])
        self.assertEqual(page, {"items": [], "next": None})

    def test_fethctl(self):
        a, q = self.native(name="a"), self.qemu()
        self.assertEqual(self.d.ctl("groups", "lab", check=True).stdout.split(),
                         ["GROUP", "PORT", "NAME", "HOW", "AGE", "EXPIRES"])
        self.assertEqual(self.d.ctl("groups", "lab", "--json", check=True).stdout, "[]\n")
        a.call("group.join", groups=[text(IP4)])
        self.say(q, g.igmp_query(q.mac), g.igmp3_report(q.mac, (g.TO_EX, IP4, [])))
        lines = self.d.ctl("groups", "lab", check=True).stdout.splitlines()
        self.assertEqual(len(lines), 4)
        self.assertRegex(lines[1], rf"\A01:00:5e:00:00:00 +{q.port} +{q.name} +router +\d+\.\d s +2\d\d\.\d s\Z")
        self.assertRegex(lines[2], rf"\A{text(IP4)} +{a.port} +a +rpc +\d+\.\d s +stays\Z")
        self.assertRegex(lines[3], rf"\A{text(IP4)} +{q.port} +{q.name} +snooped +\d+\.\d s +2\d\d\.\d s\Z")
        p = self.d.ctl("groups", "nosuch")
        self.assertEqual((p.returncode, p.stdout), (1, ""))
        self.assertIn("nosuch", p.stderr)


class Snooping(Base):
    def test_reports_of_every_version_restrict(self):
        q, other, a = self.qemu(), self.qemu(), self.native(name="a")
        reports = {
            "239.2.0.1": lambda m, ip: g.igmp1_report(m, ip),
            "239.2.0.2": lambda m, ip: g.igmp2_report(m, ip),
            "239.2.0.3": lambda m, ip: g.igmp3_report(m, (g.IS_EX, ip, [])),
            "239.2.0.4": lambda m, ip: g.igmp3_report(m, (g.TO_EX, ip, ["10.0.0.1"])),
            "239.2.0.5": lambda m, ip: g.igmp3_report(m, (g.IS_IN, ip, ["10.0.0.1", "10.0.0.2"])),
            "239.2.0.6": lambda m, ip: g.igmp3_report(m, (g.ALLOW, ip, ["10.0.0.1"])),
            "239.2.0.7": lambda m, ip: g.igmp3_report(
                m, (g.TO_IN, "239.9.9.9", []), (g.TO_IN, ip, ["10.0.0.1"])),
            "239.2.0.8": lambda m, ip: g.igmp2_report(m, ip, vlan=5),
            "ff15::2:1": lambda m, ip: g.mld1_report(m, ip),
            "ff15::2:2": lambda m, ip: g.mld2_report(m, (g.IS_EX, ip, [])),
            "ff15::2:3": lambda m, ip: g.mld2_report(m, (g.TO_EX, ip, ["fe80::9"])),
            "ff15::2:4": lambda m, ip: g.mld2_report(m, (g.ALLOW, ip, ["fe80::9"]), src="::"),
        }
        for ip, report in reports.items():
            with self.subTest(ip):
                self.assertEqual(self.get([q, other, a], g.data(self.sender.mac, ip)),
                                 {q.name, other.name, "a"})
                self.say(q, report(q.mac, ip))
                self.assertIn((text(ip), q.name), self.members("snooped"))
                self.assertEqual(self.get([q, other, a], g.data(self.sender.mac, ip)), {q.name})
        self.assertEqual(self.stats(), {"reports": len(reports), "queries": 0, "bad": 0, "full": 0,
                                        "unwanted": 0})

    def test_leaves(self):
        """A leave takes effect when nobody behind the port objects: two seconds (RFC 3376, 8.8)."""
        q, r = self.qemu(), self.qemu()
        for ip, join, leave in (
                (IP4, g.igmp2_report(q.mac, IP4), g.igmp2_leave(q.mac, IP4)),
                (OTHER4, g.igmp3_report(q.mac, (g.IS_EX, OTHER4, [])),
                 g.igmp3_report(q.mac, (g.TO_IN, OTHER4, []))),
                (IP6, g.mld1_report(q.mac, IP6), g.mld1_done(q.mac, IP6)),
                (OTHER6, g.mld2_report(q.mac, (g.IS_EX, OTHER6, [])),
                 g.mld2_report(q.mac, (g.TO_IN, OTHER6, [])))):
            self.say(q, join)
            self.say(r, g.igmp2_report(r.mac, ip) if "." in ip else g.mld1_report(r.mac, ip))
            self.say(q, leave)
        both = [q, r]
        self.assertEqual(self.get(both, g.data(self.sender.mac, IP4)), {q.name, r.name})
        rows = self.c.items("group.list", network="lab")
        left = [x["expires"] for x in rows if x["name"] == q.name]
        self.assertEqual(len(left), 4)
        self.assertTrue(all(0 < ms <= 3000 for ms in left), left)
        self.say(q, g.igmp2_report(q.mac, OTHER4))  # somebody objects
        want = {(text(OTHER4), q.name)} | {(text(ip), r.name) for ip in (IP4, OTHER4, IP6, OTHER6)}
        h.poll_until("q has left three", lambda: self.members() == want, 6)
        for ip in (IP4, IP6, OTHER6):
            self.assertEqual(self.get(both, g.data(self.sender.mac, ip)), {r.name})
        self.assertEqual(self.get(both, g.data(self.sender.mac, OTHER4)), {q.name, r.name})

    def test_router_ports_get_every_group_of_their_family(self):
        a, q4, q6, pim = self.native(name="a"), self.qemu(), self.qemu(), self.qemu()
        every = [a, q4, q6, pim]
        a.call("group.join", groups=[text(ip) for ip in (IP4, IP6)])
        self.assertEqual(self.get(every, g.data(self.sender.mac, IP4)), {"a"})
        self.say(q4, g.igmp_query(q4.mac))
        self.say(q6, g.mld_query(q6.mac))
        self.say(pim, g.pim_hello(pim.mac, src="10.9.0.9"))
        self.assertEqual(self.get(every, g.data(self.sender.mac, IP4)), {"a", q4.name, pim.name})
        self.assertEqual(self.get(every, g.data(self.sender.mac, IP6)), {"a", q6.name})
        self.set(multicast="strict")
        self.assertEqual(self.get(every, g.data(self.sender.mac, OTHER4)), {q4.name, pim.name})
        self.assertEqual(self.get(every, g.data(self.sender.mac, OTHER6)), {q6.name})
        # reports go to routers alone (RFC 4541, 2.1.1, 1a), and it is no report of theirs
        report = g.igmp2_report(self.sender.mac, OTHER4)
        self.assertEqual(self.get(every, report), {q4.name, pim.name})
        # a goodbye ends it: RFC 7761, 4.9.2
        self.say(pim, g.pim_hello(pim.mac, src="10.9.0.9", hold=0))
        self.assertEqual(self.get(every, g.data(self.sender.mac, IP4)), {"a", q4.name})
        # a query from nobody makes no router: RFC 4541, 2.1.1, 1b
        self.say(pim, g.igmp_query(pim.mac, src="0.0.0.0"))
        self.assertEqual(self.get(every, g.data(self.sender.mac, IP4)), {"a", q4.name})

    def test_policies(self):
        a, q, r = self.native(name="a", groups=[text(IP4)]), self.qemu(), self.qemu()
        every = [a, q, r]
        self.say(q, g.mld2_report(q.mac, (g.IS_EX, IP6, [])))
        names = {"a", q.name, r.name}
        for policy, want in (("snoop", [{"a"}, {q.name}, {q.name, r.name}, {q.name, r.name}]),
                             ("strict", [{"a"}, {q.name}, set(), set()]),
                             ("flood", [names] * 4),
                             ("strict", [{"a"}, set(), set(), set()])):  # reports were not looked at
            shown = self.set(multicast=policy)
            self.assertEqual((shown["multicast"], shown["querier"]), (policy, False))
            self.assertEqual(self.c.call("network.show", network="lab"), shown)
            for ip, who in zip((IP4, IP6, OTHER4, OTHER6), want):
                self.assertEqual(self.get(every, g.data(self.sender.mac, ip)), who, (policy, ip))
        self.assertGreater(self.stats()["unwanted"], 0)

    def test_what_is_not_ip_goes_to_all(self):
        """Under every policy, also to who has joined something else."""
        a, q = self.native(name="a", groups=[text(OTHER4)]), self.qemu()
        self.say(q, g.igmp2_report(q.mac, OTHER4))
        src = self.sender.mac
        frames = {
            "DECnet end nodes": h.frame(bytes.fromhex("ab0000040000"), src, b"\x22\0", 0x6003),
            "DECnet routers": h.frame(bytes.fromhex("ab0000030000"), src, b"\x22\0", 0x6003),
            "AppleTalk AARP": h.frame(bytes.fromhex("090007ffffff"), src, b"\xaa\xaa\3\0\0\0\x80\xf3", 36),
            "AppleTalk zone": h.frame(bytes.fromhex("0900070000fc"), src, b"\xaa\xaa\3\x08\0\7\x80\x9b", 40),
            "IS-IS": h.frame(bytes.fromhex("0180c2000014"), src, b"\xfe\xfe\3\x83", 30),
            "STP": h.frame(bytes.fromhex("0180c2000000"), src, b"\x42\x42\3", 38),
            "LACP": h.frame(bytes.fromhex("0180c2000002"), src, b"\1\1", 0x8809),
            "EAPOL": h.frame(bytes.fromhex("0180c2000003"), src, b"\2\1\0\0", 0x888E),
            "LLDP": h.frame(bytes.fromhex("0180c200000e"), src, b"\2\7", 0x88CC),
            "CDP": h.frame(bytes.fromhex("01000ccccccc"), src, b"\xaa\xaa\3", 30),
            "NetBEUI": h.frame(bytes.fromhex("030000000001"), src, b"\xf0\xf0\3", 47),
            "IPX": h.frame(h.BROADCAST, src, b"\xff\xff", 0x8137),
            "mDNS": g.data(src, "224.0.0.251"),
            "OSPF": g.data(src, "224.0.0.5"),
            "all hosts": g.data(src, "224.0.0.1"),
            "all nodes": g.data(src, "ff02::1"),
            "01:00:5e, but no IP group": h.frame(bytes.fromhex("01005e800001"), src, b"mpls", 0x8847),
        }
        for policy in ("snoop", "strict", "flood"):
            self.set(multicast=policy)
            for name, f in frames.items():
                self.assertEqual(self.get([a, q], f.ljust(60, b"\0")), {"a", q.name}, (policy, name))

    def test_mdns_over_ipv6_and_neighbour_discovery_reach_who_reported(self):
        """ff02::fb and solicited-node groups are reported by whoever wants them, also when strict."""
        q, r = self.qemu(), self.qemu()
        self.set(multicast="strict")
        solicited = "ff02::1:ff00:2"
        self.say(q, g.mld2_report(q.mac, (g.IS_EX, "ff02::fb", []), (g.IS_EX, solicited, []), src="::"))
        for ip in ("ff02::fb", solicited):
            self.assertEqual(self.get([q, r], g.data(self.sender.mac, ip)), {q.name})

    def test_malformed_ones_change_nothing_and_are_counted(self):
        q, r = self.qemu(), self.qemu()
        m = q.mac
        good4, good6 = g.igmp2_report(m, IP4), g.mld1_report(m, IP6)

        def cut(f, n):
            return f[:n]

        def flip(f, at):
            return f[:at] + bytes([f[at] ^ 1]) + f[at + 1:]
        bad = [
            flip(good4, 14 + 24 + 2), flip(good4, 14 + 10), flip(good4, 14 + 24 + 7),
            flip(good6, 14 + 48 + 2), flip(good6, 14 + 40 + 8 + 30 - 14),
            cut(good4, 14 + 24 + 7), cut(good6, 14 + 48 + 20),
            g.igmp3_report(m, (g.IS_EX, IP4, []), count=2), g.igmp3_report(m, count=65535),
            g.mld2_report(m, (g.IS_EX, IP6, []), count=3), g.mld2_report(m, count=65535),
            g.igmp3_report(m, (g.IS_EX, "10.1.2.3", [])), g.mld2_report(m, (g.IS_EX, "fe80::1", [])),
            g.igmp(m, IP4, g.igmp_message(0x16, 0, g.packed("10.0.0.1"))),
            g.igmp(m, IP4, g.igmp_message(0x16, 0, b"\0\0")),
            g.igmp(m, "224.0.0.1", g.igmp_message(0x11, 100, g.packed("10.0.0.1"))),
            g.igmp(m, IP4, g.igmp_message(0x16, 0, g.packed(IP4)), flags=0x2000),
            g.igmp(m, IP4, g.igmp_message(0x16, 0, g.packed(IP4)), src="239.9.9.9"),
            g.mld1_report(m, IP6, hops=2), g.mld1_report(m, IP6, src="2001:db8::1"),
            g.mld1_report(m, IP6, alert=b"\1\4\0\0\0\0"), g.mld1_report(m, IP6, alert=b"\5\x7f\0\0\1\0"),
            g.mld_query(m, src="::"),
        ]
        # lengths that say more than there is
        long = g.igmp3_report(m, (g.IS_EX, IP4, ["10.0.0.1"] * 3))
        body = long[14:]
        for n in (24, 30, 40, 43):
            bad.append(long[:14] + g.ipv4("224.0.0.22", "10.9.0.2", 2, body[24:n], options=b"\x94\x04\0\0"))
        for i, f in enumerate(bad):
            before = self.stats()
            self.say(q, f)
            after = self.stats()
            self.assertEqual((self.members(), after), (set(), dict(before, bad=before["bad"] + 1)), i)
        self.assertEqual(self.get([q, r], g.data(self.sender.mac, IP4)), {q.name, r.name})
        self.say(q, good4, good6)
        self.assertEqual(self.members(), {(text(IP4), q.name), (text(IP6), q.name)})

    def test_a_guest_fills_its_own_share_only(self):
        """A flood of joins takes 256 places; all later groups go to its port, and others can join."""
        q, r, a = self.qemu(), self.qemu(), self.native(name="a")
        for i in range(0, 2000, 100):
            self.say(q, g.igmp3_report(q.mac, *[
                (g.IS_EX, f"239.7.{k // 250}.{k % 250}", []) for k in range(i, i + 100)]))
        self.assertEqual(len(self.members()), 256)
        self.assertEqual(self.stats()["full"], 2000 - 256)
        self.say(r, g.igmp2_report(r.mac, IP4))
        a.call("group.join", groups=[text(OTHER4)])
        self.assertEqual(self.get([q, r, a], g.data(self.sender.mac, IP4)), {q.name, r.name})
        self.assertEqual(self.get([q, r, a], g.data(self.sender.mac, OTHER4)), {q.name, "a"})

    def test_our_own_querier(self):
        """It asks as a switch does, by 0.0.0.0, in both families, and a guest's answer holds."""
        q = self.qemu()
        self.assertEqual(self.set(querier=True)["querier"], True)
        queries = {}
        while len(queries) < 2:
            f = q.recv(None)
            queries[f[12:14]] = f
        four, six = queries[b"\x08\0"], queries[b"\x86\xdd"]
        self.assertEqual(four[:6], g.group_mac("224.0.0.1"))
        head = four[14:14 + (four[14] & 15) * 4]
        self.assertEqual((g.checksum(head), head[8], head[9], head[12:16], head[16:20]),
                         (0, 1, 2, bytes(4), g.packed("224.0.0.1")))
        message = four[14 + len(head):14 + int.from_bytes(head[2:4], "big")]
        self.assertEqual((message[0], message[4:8], g.checksum(message)), (0x11, bytes(4), 0))
        self.assertEqual((six[:6], six[14 + 7], six[22:24], six[38:54]),
                         (g.group_mac("ff02::1"), 1, b"\xfe\x80", g.packed("ff02::1")))
        message = six[14 + 48:14 + 40 + int.from_bytes(six[18:20], "big")]
        self.assertEqual(g.icmp6("ff02::1", str(g.ipaddress.ip_address(six[22:38])),
                                 message[:2] + bytes(2) + message[4:]), message)
        self.assertEqual((message[0], message[8:24]), (130, bytes(16)))
        self.say(q, g.igmp3_report(q.mac, (g.IS_EX, IP4, [])))
        row = self.c.items("group.list", network="lab")[0]
        self.assertEqual((row["group"], row["name"], row["how"]), (text(IP4), q.name, ["snooped"]))
        self.assertTrue(200000 < row["expires"] <= 260000, row)
        self.assertEqual(self.stats()["queries"], 0)  # heard: our own are not
        # who comes later is asked as well
        late = self.qemu()
        while (f := late.recv(None, 5))[12:14] != b"\x08\0" or f[23] != 2:
            pass
        self.assertEqual(self.set(querier=False)["querier"], False)


class Host(Base):
    # who has no address of a family joins none of its groups
    network = {"backend": h.HOST_BACKEND, "addresses": ["10.9.0.1/24", "fd00:9::1/64"]}

    def setUp(self):
        super().setUp()
        self.row = self.c.call("network.show", network="lab")
        self.joined = set()
        self.own = h.poll_until("its kernel's", lambda: self.d.system.standing(self.row) <= self.hosts() and [
            self.hosts()])[0]
        self.meet()

    def hosts(self):
        return {group for group, _ in self.members("host")}

    def meet(self):
        """The host's end of the pair that there is now."""
        self.host = h.host(self.d)
        self.addCleanup(self.host.close)

    def listens(self, *groups):
        """What programs of the host listen to from now on, beside what its kernel does itself."""
        more, less = set(groups) - self.joined, self.joined - set(groups)
        if more:
            self.d.system.join(self.row, *more)
        if less:
            self.d.system.leave(self.row, *less)
        self.joined = set(groups)
        self.agree()

    def agree(self):
        want = self.own | {text(ip) for ip in self.joined}
        h.poll_until("the daemon knows", lambda: self.hosts() == want)

    def host_gets(self, *frames):
        begin, end = self.marks(self.sender)
        self.say(self.sender, begin, *frames, end)
        return self.between(begin, end, frames, self.host.recv, "host")

    def test_its_own_memberships_count(self):
        q, a = self.qemu(), self.native(name="a")
        a.call("group.join", groups=[text(OTHER4)])
        # no program listens to anything, and the kernel says so
        self.assertFalse(self.host_gets(g.data(self.sender.mac, IP4)))
        self.assertFalse(self.host_gets(g.data(self.sender.mac, OTHER4)))
        self.assertTrue(self.host_gets(g.data(self.sender.mac, "224.0.0.251")))
        self.listens(IP4, IP6)
        for ip in (IP4, IP6):
            self.assertTrue(self.host_gets(g.data(self.sender.mac, ip)))
            self.assertEqual(self.get([q], g.data(self.sender.mac, ip)), set())
            for _ in range(3):
                self.host.recv()
        self.listens(IP6)
        self.assertFalse(self.host_gets(g.data(self.sender.mac, IP4)))
        self.assertTrue(self.host_gets(g.data(self.sender.mac, IP6)))
        self.listens()
        self.assertFalse(self.host_gets(g.data(self.sender.mac, IP6)))

    def test_a_pair_made_anew_is_asked_again(self):
        self.listens(IP4)
        self.assertFalse(self.host_gets(g.data(self.sender.mac, IP6)))
        self.d.system.remove_pair(self.row)
        h.poll_until("made anew", lambda: "made anew net=lab" in self.d.log)
        self.host.close()
        self.meet()
        self.agree()
        self.assertTrue(self.host_gets(g.data(self.sender.mac, IP4)))
        self.assertFalse(self.host_gets(g.data(self.sender.mac, IP6)))
        self.listens(IP6)
        self.assertFalse(self.host_gets(g.data(self.sender.mac, IP4)))
        self.assertTrue(self.host_gets(g.data(self.sender.mac, IP6)))

    def test_a_subscriber_hears_what_its_programs_do(self):
        """On a network's own socket, of each family, and soon."""
        s = self.native(name="s")
        s.call("event.subscribe", events=["host.groups"])
        known = set(s.note("host.groups")["groups"])
        self.assertTrue(self.d.system.standing(self.row) <= known)
        took = []
        for _ in range(5):
            for ip in (IP4, IP6):
                for act, change in ((self.d.system.join, "joined"), (self.d.system.leave, "left")):
                    begin = time.monotonic()
                    act(self.row, ip)
                    got = s.note("host.groups")
                    took.append(time.monotonic() - begin)
                    known ^= {text(ip)}
                    self.assertEqual(got, {"network": "lab", "groups": sorted(known), "joined": [],
                                           "left": [], "more": False, change: [text(ip)]})
        print(f"host.groups after {1000 * min(took):.1f} to {1000 * max(took):.1f} ms", flush=True)


class Attaching(Base):
    def queries(self, c, seconds=2.5):
        """The queries that a port gets in this time: the addresses they are for."""
        got, end = [], time.monotonic() + seconds
        try:
            while (left := end - time.monotonic()) > 0:
                f = c.recv(None, left)
                got += [f[:6]] if f[:6] in (g.group_mac("224.0.0.1"), g.group_mac("ff02::1")) else []
        except (TimeoutError, OSError):
            pass
        return sorted(got)

    def test_who_attaches_is_asked_once(self):
        both = [g.group_mac("224.0.0.1"), g.group_mac("ff02::1")]
        for policy, querier, want in (("snoop", False, both), ("strict", False, both), ("flood", False, []),
                                      ("flood", True, [])):
            self.set(multicast=policy, querier=querier)
            old = self.qemu()
            self.assertEqual(self.queries(old), want, policy)
            new = self.qemu()
            self.assertEqual(self.queries(new), want, policy)
            self.assertEqual(self.queries(old, 0.1), [], policy)  # others are not asked again
            for c in (old, new):
                c.close()

    def test_a_guest_that_comes_back_hears_its_group_again(self):
        other = self.qemu()
        self.say(other, g.igmp2_report(other.mac, IP4))
        q = self.qemu()
        self.assertEqual(self.get([other, q], g.data(self.sender.mac, IP4)), {other.name})
        while q.recv(None)[:6] != g.group_mac("224.0.0.1"):  # it reports nothing unasked
            pass
        self.say(q, g.igmp2_report(q.mac, IP4))
        self.assertEqual(self.get([other, q], g.data(self.sender.mac, IP4)), {other.name, q.name})

    def test_a_refused_join_changes_nothing(self):
        """Who has not joined yet still gets what nobody asked for."""
        others = [self.native(name=f"n{i}") for i in range(3)]
        for i, c in enumerate(others):
            c.call("group.join", groups=[text(b"\x33\x33" + struct.pack("!I", 256 * i + k)) for k in range(250)])
        a = self.native(name="a")
        for n in (257, 256):  # over a port's limit; over the network's, after some that had room
            with self.assertRaises(h.RpcError) as e:
                a.call("group.join", groups=[text(b"\x33\x33\x01" + struct.pack("!I", k)[1:]) for k in range(n)])
            self.assertEqual(e.exception.code, "too_large")
            self.assertEqual(self.get([a], g.data(self.sender.mac, OTHER4)), {"a"})


del Base

if __name__ == "__main__":
    h.main()
