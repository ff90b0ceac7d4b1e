"""test_vlan.py - VLANs of ports: how they are said and shown, who may change them, and what passes.

What passes where is for property/prop_vlan.c; here are whole frames through real sockets, long ones
too, and what a person sees."""
import os
import struct
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

CTAG, STAG = 0x8100, 0x88A8


def tagged(f, vlan, kind=CTAG):
    return f[:12] + struct.pack("!HH", kind, vlan) + f[12:]


class Base(unittest.TestCase):
    def setUp(self):
        self.d = self.enterContext(h.Daemon())
        self.d.create("lab", backend=h.HOST_BACKEND, mtu=9000, multicast="flood")
        self.host = h.host(self.d)
        self.addCleanup(self.host.close)
        self.c = self.enterContext(self.d.control())

    def native(self, name, **params):
        return self.enterContext(self.d.attach(name=name, **params))

    def set(self, name, vlan):
        return self.c.call("port.set", network="lab", name=name, vlan=vlan)

    def refused(self, code, words, method, **params):
        with self.assertRaises(h.RpcError, msg=f"{method} {params}") as e:
            self.c.call(method, **params)
        self.assertEqual(e.exception.code, code, e.exception)
        self.assertIn(words, e.exception.message)


class Frames(Base):
    def setUp(self):
        super().setUp()
        self.a = self.native("a", vlan=10)
        self.b = self.native("b", vlan=10)
        self.other = self.native("other", vlan=20)
        self.trunk = self.native("trunk", vlan={"native": 20, "tagged": [10]})
        self.q = self.enterContext(self.d.qemu())
        h.poll_until("it is a port", lambda: self.d.port("qemu-1"))

    def quiet(self, *who):
        """Nobody got anything: what each gets first is what comes now."""
        end = h.frame(h.BROADCAST, h.mac(0xEE), os.urandom(8))
        for vlan, these in ((10, (self.a, self.b)), (20, (self.other,))):
            self.host.send(tagged(end, vlan))
            for c in who:
                if c in these:
                    self.assertEqual(c.recv(None), end)
                elif c is self.trunk:
                    self.assertEqual(c.recv(None), tagged(end, 10) if vlan == 10 else end)
                elif c is self.q:
                    self.assertEqual(c.recv(None), tagged(end, vlan))

    def test_the_address_of_a_trunk_without_a_native_vlan(self):
        """It is not known where the trunk is no member: what is for it there is not lost at it."""
        t = self.native("t", mac=h.mac_text(h.mac(5)), vlan={"tagged": [10]})
        self.assertNotIn(h.mac_text(h.mac(5)), [r["mac"] for r in self.c.items("fdb.list", network="lab")])
        f = h.frame(h.mac(5), h.mac(1), os.urandom(50))
        self.host.send(f)
        self.assertEqual(self.q.recv(None), f)
        t.send(tagged(h.frame(h.mac(6), h.mac(5)), 10))
        self.assertEqual(self.a.recv(None), h.frame(h.mac(6), h.mac(5)))
        self.quiet(self.other)

    def test_a_flood_reaches_the_members_in_the_form_of_each(self):
        for size in (60, 500, 513, 1514, 9014):  # copied, and as pieces
            for n in (1, 100):
                fs = [h.frame(h.BROADCAST, h.mac(1), os.urandom(20), size=size) for _ in range(n)]
                self.a.send(*fs)
                for f in fs:
                    self.assertEqual(self.b.recv(None), f)
                    self.assertEqual(self.trunk.recv(None), tagged(f, 10))
                    self.assertEqual(self.q.recv(None), tagged(f, 10))
                    if n == 1:  # a fake host has room for ten
                        self.assertEqual(self.host.recv(), tagged(f, 10))
                if n > 1:
                    for _ in range(n):
                        if self.host.silent(0.05):
                            break
        self.quiet(self.a, self.b, self.other, self.trunk, self.q)

    def test_one_station_is_reached_in_its_vlan(self):
        there, back = (h.frame(h.mac(2), h.mac(1), b"there", size=1514),
                       h.frame(h.mac(1), h.mac(2), b"back", size=1514))
        self.q.send(tagged(h.frame(h.BROADCAST, h.mac(2)), 10))  # so it is known
        self.assertEqual(self.a.recv(), h.frame(h.BROADCAST, h.mac(2)))
        self.b.recv()
        self.trunk.recv(None)
        self.a.send(there)
        self.assertEqual(self.q.recv(None), tagged(there, 10))
        self.q.send(tagged(back, 10))
        self.assertEqual(self.a.recv(None), back)
        self.other.send(there)  # another VLAN knows of no such station
        self.assertEqual(self.trunk.recv(None), there)
        self.assertEqual(self.q.recv(None), tagged(there, 20))
        self.quiet(self.a, self.b, self.other)
        rows = [(r["mac"], r.get("vlan"), r["name"]) for r in self.c.items("fdb.list", network="lab", limit=1)
                if not r["static"]]
        self.assertEqual(rows, [("02:00:00:00:00:01", 10, "a"), ("02:00:00:00:00:01", 20, "other"),
                                ("02:00:00:00:00:02", 10, "qemu-1"), ("02:00:00:00:00:ee", 10, "host"),
                                ("02:00:00:00:00:ee", 20, "host")])
        self.assertRegex(self.d.ctl("fdb", "lab", check=True).stdout, r"02:00:00:00:00:01 +20 +\d+ +other")
        self.assertEqual(self.c.call("fdb.flush", network="lab", mac="02:00:00:00:00:01"), {"flushed": 2})
        self.assertEqual(self.c.call("fdb.flush", network="lab"), {"flushed": 3})

    def test_what_a_port_may_not_send_is_counted(self):
        f = h.frame(h.BROADCAST, h.mac(1), b"x")
        self.a.send(tagged(f, 10), tagged(f, 20), tagged(f, 0, STAG), tagged(tagged(f, 20), 0))
        h.poll_until("it is counted", lambda: self.d.stats("a")["drops"] == {"vlan": 4})
        self.trunk.send(tagged(f, 30), tagged(f, 10, STAG), tagged(f, 10)[:16])
        h.poll_until("it is counted", lambda: self.d.stats("trunk")["drops"] == {"vlan": 3})
        self.a.send(tagged(f, 0xE000))  # a priority alone is none
        self.assertEqual(self.b.recv(), f)
        self.assertEqual(self.trunk.recv(None), tagged(f, 0xE00A))
        self.assertEqual(self.q.recv(None), tagged(f, 0xE00A))
        self.quiet(self.a, self.b, self.other, self.trunk, self.q)

    def test_of_no_vlan_is_for_those_alone_who_are_transparent(self):
        f = h.frame(h.BROADCAST, h.mac(9), b"x")
        for g in (f, tagged(f, 0x6000), tagged(f, 10, STAG), tagged(tagged(f, 10), 10, STAG)):
            self.q.send(g)
            self.assertEqual(self.host.recv(), g)
            self.host.send(g)
            self.assertEqual(self.q.recv(None), g)
        self.quiet(self.a, self.b, self.other, self.trunk, self.q)

    def test_the_host_is_guarded_in_every_vlan(self):
        host = bytes.fromhex(self.c.call("network.show", network="lab")["mac"].replace(":", ""))
        for c, vlan in ((self.a, None), (self.trunk, 10), (self.q, 30)):
            f = h.frame(h.BROADCAST, host)
            c.send(tagged(f, vlan) if vlan else f)
        for name in ("a", "trunk", "qemu-1"):
            h.poll_until("it is counted", lambda n=name: self.d.stats(n)["drops"] == {"spoofed": 1})
        f = h.frame(host, h.mac(1), b"to the host")
        self.a.send(f)
        self.assertEqual(self.host.recv(), tagged(f, 10))

    def test_rules_change_and_go_under_traffic(self):
        f = h.frame(h.BROADCAST, h.mac(2), b"x")
        self.b.send(f)
        self.assertEqual(self.a.recv(), f)
        self.trunk.recv(None)
        self.q.recv(None)
        self.host.recv()
        self.assertEqual(self.set("b", 20)["vlan"], 20)
        g = h.frame(h.mac(2), h.mac(3), b"y")
        self.other.send(g)  # it was known in its former VLAN only
        for c, want in ((self.b, g), (self.trunk, g), (self.q, tagged(g, 20))):
            self.assertEqual(c.recv(None), want)
        self.assertEqual(self.host.recv(), tagged(g, 20))
        for name in ("a", "b", "other", "trunk"):
            self.assertNotIn("vlan", self.set(name, 0))
        self.a.send(tagged(f, 77))
        for c in (self.b, self.other, self.trunk, self.q, self.host):
            self.assertEqual(c.recv(None) if c is not self.host else c.recv(), tagged(f, 77))
        self.assertEqual([r.get("vlan") for r in self.c.items("fdb.list", network="lab")], [None, None])


class Words(Base):
    def test_each_way_to_say_it(self):
        self.native("p")
        s = self.enterContext(self.d.control())
        s.call("event.subscribe", events=["port.changed"])
        full = [[n, n] for n in range(2, 66, 2)]
        for vlan, shown in (
                (1, 1), (4094, 4094), ({"native": 5}, {"native": 5, "tagged": []}),
                ({"tagged": [7, 3]}, {"native": 0, "tagged": [3, 7]}),
                ({"native": 0, "tagged": [[3, 5], [6, 9], 11, [10, 10]]}, {"native": 0, "tagged": [[3, 11]]}),
                ({"native": 3, "tagged": [[1, 4094]], "colour": 1}, {"native": 3, "tagged": [[1, 4094]]}),
                ({"tagged": full}, {"native": 0, "tagged": [n for n, _ in full]}), (0, None)):
            row = self.set("p", vlan)
            self.assertEqual((vlan, row.get("vlan")), (vlan, shown))
            self.assertEqual(self.d.port("p").get("vlan"), shown)
            self.assertEqual(s.note("port.changed").get("vlan"), shown)
            self.assertEqual(self.set("p", None).get("vlan"), shown)  # nil is not given

    def test_wrong_ones_change_nothing(self):
        self.native("p", vlan={"native": 1, "tagged": [2]})
        before = self.d.port("p")
        for vlan in (4095, 4096, -1, 1 << 40, "10", True, 1.5, [1], b"1", {}, {"native": 0}, {"native": 4095},
                     {"native": "1"}, {"tagged": []}, {"tagged": 5}, {"tagged": [0]}, {"tagged": [4095]},
                     {"tagged": [[5, 4]]}, {"tagged": [[1]]}, {"tagged": [[1, 2, 3]]}, {"tagged": [[]]},
                     {"tagged": [[1, "2"]]}, {"tagged": ["1-2"]}, {"tagged": [[0, 5]]}, {"tagged": [1, -1]}):
            self.refused("invalid", "vlan", "port.set", network="lab", name="p", vlan=vlan)
            self.refused("invalid", "vlan", "port.add", network="lab", name="x", kind="qemu", vlan=vlan)
        self.refused("too_large", "32 ranges", "port.set", network="lab", name="p",
                     vlan={"tagged": list(range(2, 68, 2))})
        self.assertEqual(self.d.port("p"), before)
        self.assertIsNone(self.d.port("x"))
        for after in (["02:00:00:00:00:01"], ["02:00:00:00:00:01", 4096], ["x", 1], [1, 1], {}, 5,
                      ["02:00:00:00:00:01", 1, 1]):
            self.refused("invalid", "after", "fdb.list", network="lab", after=after)

    def test_ports_that_do_not_say_take_the_networks_default(self):
        net = self.c.call("network.set", network="lab", defaults={"vlan": 30})
        self.assertEqual(net["defaults"], {"vlan": 30})
        self.native("p")
        self.native("own", vlan=40)
        self.assertEqual([self.d.port(n)["vlan"] for n in ("p", "own")], [30, 40])
        self.refused("invalid", "vlan", "network.set", network="lab", defaults={"vlan": "30"})

    def test_on_the_command_line(self):
        self.d.ctl("port", "add", "lab", "p", "--vlan", "10", check=True)
        self.assertEqual(self.d.port("p")["vlan"], 10)
        for text, vlan, shown in (
                ("native=1,tagged=10,20-29", {"native": 1, "tagged": [10, [20, 29]]}, "vlan native=1,tagged=10,20-29"),
                ("tagged=7", {"native": 0, "tagged": [7]}, "vlan native=0,tagged=7"),
                ("native=4", {"native": 4, "tagged": []}, "vlan native=4"), ("4094", 4094, "vlan 4094"),
                ("none", None, "-")):
            out = self.d.ctl("port", "set", "lab", "p", "--vlan", text, check=True).stdout
            self.assertEqual((text, self.d.port("p").get("vlan")), (text, vlan))
            self.assertIn(f"{shown}\n", out)
            self.assertIn(f" {shown} ", self.d.ctl("port", "list", "lab", check=True).stdout)
        for text in ("", "0", "4095", "10,20", "native", "native=", "native=x", "tagged=", "tagged=1,,2", "tagged=5-4",
                     "tagged=1-", "tagged=1,native=2", "native=1,20", "tagged=1,", "1-2", "native=1,tagged=x"):
            p = self.d.ctl("port", "set", "lab", "p", "--vlan", text)
            self.assertEqual((text, p.returncode), (text, 1))
            self.assertIn("native=1,tagged=10,20-29", p.stderr)
        self.d.ctl("set", "lab", "--default", "vlan=native=1,tagged=2", check=True)
        self.assertEqual(self.c.call("network.show", network="lab")["defaults"],
                         {"vlan": {"native": 1, "tagged": [2]}})


if __name__ == "__main__":
    h.main()
