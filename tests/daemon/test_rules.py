"""test_rules.py - the rules of ports: what they let pass, who may set them, and what is told of them."""
import json
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

USERS, USER = 6002, 5003  # a group and a user of it; the kernel does not ask whether they have names


class Base(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon()
        self.addCleanup(self.d.__exit__, None, None, None)
        self.c = self.d.control()
        self.addCleanup(self.c.close)
        self.d.create("lab")

    def opened(self, client):
        self.addCleanup(client.close)
        return client

    def native(self, name, **params):
        return self.opened(self.d.attach(name=name, **params))

    def qemu(self):
        have = len(self.d.clients())
        q = self.opened(self.d.qemu())
        h.poll_until("it is a port", lambda: len(self.d.clients()) > have)
        return q

    def set(self, name, **rules):
        return self.c.call("port.set", network="lab", name=name, **rules)

    def refused(self, code, c, method, **params):
        return h.refused(self, code, c, method, **params)

    def drops(self, name):
        return self.d.stats(name)["drops"]


class Rules(Base):
    def test_isolated_ports_of_both_kinds(self):
        a, q, r = self.native("a", isolated=True), self.qemu(), self.native("r")
        self.set("qemu-1", isolated=True)
        self.assertEqual([self.d.port(n)["isolated"] for n in ("a", "qemu-1", "r")], [True, True, False])
        for me, src, other in ((a, 1, q), (q, 2, a)):
            f = h.frame(h.BROADCAST, h.mac(src), os.urandom(20))
            me.send(f)
            self.assertEqual(r.recv(), f)
            f = h.frame(h.mac(src), h.mac(3), os.urandom(20))
            r.send(f)
            self.assertEqual(me.recv(), f)
        a.send(h.frame(h.mac(2), h.mac(1)))
        h.taken(a)
        self.assertEqual(self.drops("a"), {"isolated": 1})
        a.silent()
        q.silent()
        self.set("qemu-1", isolated=False)
        f = h.frame(h.mac(2), h.mac(1), b"now")
        a.send(f)
        self.assertEqual(q.recv(), f)

    def test_a_link_goes_down_and_up(self):
        a, q = self.native("a"), self.qemu()
        f = h.frame(h.BROADCAST, h.mac(2), b"here")
        q.send(f)
        self.assertEqual(a.recv(), f)
        s = self.opened(self.d.control())
        s.call("event.subscribe", events=["port.changed"])
        self.assertFalse(self.set("qemu-1", up=False)["up"])
        self.assertEqual((lambda p: (p["name"], p["up"], p["state"]))(s.note("port.changed")),
                         ("qemu-1", False, "attached"))
        self.assertNotIn("02:00:00:00:00:02", [x["mac"] for x in a.items("fdb.list")])
        q.send(f)
        h.poll_until("it is counted", lambda: self.drops("qemu-1") == {"link_down": 1})
        a.send(h.frame(h.BROADCAST, h.mac(1)))
        a.silent()
        q.silent()
        self.set("qemu-1", up=True)
        self.assertTrue(s.note("port.changed")["up"])
        self.set("qemu-1", up=True)  # nothing new: nothing is told
        self.set("qemu-1", isolated=True)
        self.assertTrue(s.note("port.changed")["isolated"])
        q.send(f)
        self.assertEqual(a.recv(), f)

    def test_a_client_sets_its_own(self):
        with self.d.native() as c:
            self.refused("not_found", c, "port.set", isolated=True)
            c.call("attach", name="a")
            r = c.call("port.set", isolated=True, cap=1000)
            self.assertEqual((r["name"], r["isolated"], r["cap"]), ("a", True, 1000))
            self.assertEqual(self.d.port("a"), r)
            self.assertEqual(c.call("port.set"), r)
            c.call("port.set", isolated=False)
            self.refused("not_found", c, "port.set", name="nosuch", isolated=True)
            self.refused("unsupported", c, "port.set", kind="qemu")

    def test_the_cap(self):
        a, b = self.native("a"), self.native("b", cap=600)
        self.assertEqual(b.info["cap"], 600)
        fits = h.frame(h.BROADCAST, h.mac(1), size=596)
        a.send(h.frame(h.BROADCAST, h.mac(1), size=597), fits)
        self.assertEqual(b.recv(), fits)
        self.assertEqual(self.drops("b"), {"too_big_for_port": 1})
        b.send(h.frame(h.BROADCAST, h.mac(2), size=597))
        h.taken(b)
        self.assertEqual(self.drops("b"), {"too_big_for_port": 1, "oversize": 1})
        self.assertEqual(self.set("b", cap=65553)["cap"], 1518)  # never over the network's

    def test_rates_of_both_kinds_and_directions(self):
        """A rate of a byte a second leaves the burst: 128 KiB are 86 frames of 1514 bytes."""
        a, q = self.native("a", rx_rate=1), self.qemu()
        for me, name, src, dst in ((a, "a", 1, 2), (q, "qemu-1", 2, 1)):
            me.send(h.frame(h.BROADCAST, h.mac(src)))  # 60 bytes, or less
        q.recv()
        full = [h.frame(h.mac(2), h.mac(1), size=1514)] * 200
        a.send(*full)
        h.poll_until("all are counted", lambda: self.d.stats("a")["rx_frames"] == 201)
        self.assertEqual(self.drops("a"), {"rate": 114})
        for _ in range(86):
            q.recv()
        q.silent()
        r = self.set("qemu-1", tx_rate=1, rx_rate=4000000000)
        self.assertEqual((r["tx_rate"], r["rx_rate"]), (1, 4000000000))
        self.set("a", rx_rate=0)
        a.send(*full)
        h.poll_until("all are counted", lambda: self.d.stats("a")["rx_frames"] == 401)
        self.assertEqual(self.drops("a"), {"rate": 114})
        self.assertEqual(self.drops("qemu-1"), {"rate": 114})

    def test_a_storm(self):
        a, b = self.native("a", storm=1), self.native("b")
        start = time.monotonic()
        a.send(*[h.frame(h.BROADCAST, h.mac(1))] * 500)
        h.taken(a)
        dropped = self.drops("a")["storm"]
        passed = self.d.stats("b")["tx_frames"]
        self.assertEqual(dropped + passed, 500)
        self.assertLessEqual(passed, 2 + (time.monotonic() - start))
        self.assertGreaterEqual(passed, 1)
        f = h.frame(h.BROADCAST, h.mac(2), b"other")
        b.send(f, h.frame(h.mac(1), h.mac(2), b"x"))
        self.assertEqual(a.recv(), f)
        self.assertEqual(self.d.port("b")["storm"], 10000)

    def test_the_queue(self):
        """A client that does not read: what waits in the daemon is what its port's queue may hold."""
        a, slow = self.native("a"), self.native("slow", queue=20000)
        f = h.frame(h.BROADCAST, h.mac(1), size=1514)

        def fill():
            before = self.drops("slow")["queue_full"]
            while self.drops("slow")["queue_full"] < before + 50:
                a.send(*[f] * 50)
                h.taken(a)
            return self.d.stats("slow")["queued_bytes"]
        self.set("a", storm=0)
        self.assertTrue(15000 <= fill() <= 20000 + 1517)
        self.set("slow", queue=100000)
        self.assertTrue(95000 <= fill() <= 100000 + 1517)
        self.set("slow", queue=4096)  # what waits stays
        self.assertGreater(fill(), 95000)
        self.assertEqual(self.d.port("slow")["queue"], 4096)

    def test_the_host_side(self):
        self.d.create("fk", backend=h.HOST_BACKEND)
        set_host = dict(network="fk", name="host")
        r = self.c.call("port.set", **set_host, rx_rate=1000, tx_rate=2000, storm=3)
        self.assertEqual((r["port"], r["rx_rate"], r["tx_rate"], r["storm"]), (0, 1000, 2000, 3))
        self.assertEqual(self.d.port("host", "fk"), r)
        for rule in ({"up": False}, {"isolated": True}, {"cap": 900}, {"queue": 9000}, {"locked": False},
                     {"mac": "02:00:00:00:00:09"}, {"macs": []}):
            self.assertIn(next(iter(rule)), self.refused("invalid", self.c, "port.set", **set_host, **rule))
        self.assertEqual(self.d.port("host", "fk"), r)
        self.d.create("without", backend="none")
        self.refused("not_found", self.c, "port.set", network="without", name="host", storm=1)

    def test_a_declared_port_keeps_its_rules(self):
        self.c.call("port.add", network="lab", name="vm", kind="native", isolated=True)
        self.assertTrue(self.d.port("vm")["isolated"])
        with self.d.attach(name="vm") as vm:
            self.assertTrue(vm.call("port.set")["isolated"])
            vm.call("port.set", up=False)
        h.poll_until("it waits", lambda: self.d.port("vm")["state"] == "waiting")
        self.assertFalse(self.d.port("vm")["up"])  # this client has the right `control`
        self.set("vm", up=True)
        self.assertEqual((lambda p: (p["up"], p["isolated"]))(self.d.port("vm")), (True, True))

    def test_defaults(self):
        before = self.native("before")
        r = self.c.call("network.set", network="lab", defaults={"isolated": True, "cap": 800})
        self.assertEqual(r["defaults"], {"isolated": True, "cap": 800})
        self.qemu()
        self.native("n")
        self.native("said", isolated=False)
        opened = self.c.call("port.open", network="lab", name="o")
        self.addCleanup(os.close, self.c.fds.pop(0))
        self.assertEqual(opened["cap"], 800)
        self.c.call("port.add", network="lab", name="d", kind="qemu")
        got = {p["name"]: (p["isolated"], p["cap"]) for p in self.d.ports() if p["port"]}
        self.assertEqual(got, {"before": (False, 1518), "qemu-1": (True, 800), "n": (True, 800),
                               "said": (False, 800), "o": (True, 800), "d": (True, 800)})
        self.assertEqual(before.call("network.show")["defaults"], {"isolated": True, "cap": 800})
        self.assertEqual(before.note("network.changed")["defaults"], {"isolated": True, "cap": 800})
        self.assertEqual(self.c.call("network.set", network="lab", mtu=1400)["defaults"],
                         {"isolated": True, "cap": 800})
        self.assertEqual(self.c.call("network.set", network="lab", defaults={"up": False})["defaults"],
                         {"up": False})
        self.assertEqual(self.c.call("network.set", network="lab", defaults={})["defaults"], {})
        self.assertEqual(self.d.create("two", defaults={"up": False})["defaults"], {"up": False})

    def test_fethctl(self):
        self.native("a")
        ctl = self.d.ctl
        r = ctl("port", "set", "lab", "a", "--isolated", "on", "--link", "down", check=True)
        self.assertRegex(r.stdout, r"(?m)^Rules: +isolated, link down$")
        self.assertEqual((lambda p: (p["isolated"], p["up"]))(self.d.port("a")), (True, False))
        self.assertRegex(ctl("port", "list", "lab", check=True).stdout, r" isolated, link down ")
        ctl("port", "set", "lab", "a", "--rx-rate", "10Mbit", "--tx-rate", "3MB", "--storm", "off",
            "--queue", "9000", "--isolated", "off", "--link", "up", check=True)
        p = self.d.port("a")
        self.assertEqual((p["rx_rate"], p["tx_rate"], p["storm"], p["queue"]), (1250000, 3000000, 0, 9000))
        self.assertRegex(ctl("port", "list", "lab").stdout, r" rx 10 Mbit/s, tx 24 Mbit/s ")
        for text, rate in (("off", 0), ("1kbit", 125), ("34Gbit", 4250000000), ("1B", 1), ("3kB", 3000),
                           ("4GB", 4000000000)):
            ctl("port", "set", "lab", "a", "--rx-rate", text, check=True)
            self.assertEqual(self.d.port("a")["rx_rate"], rate)
        for text in ("10", "10M", "1mbit", "Mbit", "-1Mbit", "1.5Mbit", "0B", "35Gbit", "5GB", "1Mbit "):
            r = ctl("port", "set", "lab", "a", "--rx-rate", text)
            self.assertEqual(r.returncode, 1, text)
            self.assertIn("Gbit", r.stderr)
        ctl("port", "add", "lab", "vm", "--isolated", "on", "--cap", "900", check=True)
        self.assertEqual((lambda p: (p["isolated"], p["cap"]))(self.d.port("vm")), (True, 900))
        for args, words in (((), "what is to be changed"), (("--isolated", "yes"), "on or off"),
                            (("--link", "on"), "up or down"), (("--cap", "1k"), "decimal"),
                            (("--cap", "5"), "86 to 65553")):
            r = ctl("port", "set", "lab", "a", *args)
            self.assertNotEqual(r.returncode, 0)
            self.assertIn(words, r.stderr)
        r = ctl("set", "lab", "--default", "isolated=on", "--default", "cap=900", check=True)
        self.assertRegex(r.stdout, r"(?m)^Port defaults: +isolated yes, cap 900$")
        self.assertIn("isolated=on", ctl("set", "lab", "--default", "isolated").stderr)
        self.assertIn("on or off", ctl("set", "lab", "--default", "isolated=1").stderr)
        ctl("set", "lab", "--default", "none", check=True)
        self.assertEqual(self.c.call("network.show", network="lab")["defaults"], {})

    def test_fethctl_run(self):
        r = self.d.ctl("run", "lab", "--isolated", "on", "--rx-rate", "1MB", "--", h.FETHCTL, "--run-dir",
                       self.d.run_dir, "--json", "port", "list", "lab", check=True)
        self.assertEqual([(p["isolated"], p["rx_rate"]) for p in json.loads(r.stdout) if p["port"]], [(True, 1000000)])
        r = self.d.ctl("run", "lab", "--rx-rate", "1", "--", "true")
        self.assertEqual(r.returncode, 1)
        self.assertIn("10Mbit", r.stderr)


class Who(unittest.TestCase):
    """Members of a network's group may attach, not control: they may be stricter with themselves, not looser."""

    def setUp(self):
        if os.geteuid():
            self.skipTest("to be somebody else needs root; run this by sudo")
        self.d = h.Daemon(prefix=h.ISOLATED)
        self.addCleanup(self.d.__exit__, None, None, None)
        self.d.create("lab", group=str(USERS), defaults={"isolated": True, "rx_rate": 5000, "storm": 7})
        self.d.call("port.add", network="lab", name="vm", kind="native", tx_rate=9000)

    def member(self, calls, attach=()):
        """What each call gives a member: an error's code and field, or the result."""
        def run():
            out = []
            with h.Native(self.d.path("lab/feth.sock")) as c:
                c.call("attach", **dict(attach))
                for method, params in calls:
                    try:
                        out.append(c.call(method, **params))
                    except h.RpcError as e:
                        out.append([e.code, e.message.split(":")[0]])
            return out
        return h.run_as((USER, USER, [USERS]), run)

    def test_of_the_networks_defaults(self):
        loose = [{"isolated": False}, {"rx_rate": 0}, {"rx_rate": 5001}, {"storm": 0}, {"queue": 300000}]
        got = self.member([("port.set", p) for p in loose] + [("port.open", p) for p in loose])
        self.assertEqual(got, 2 * [["denied", next(iter(p))] for p in loose])
        own, same, again = self.member([("port.set", {"rx_rate": 1000, "up": False, "cap": 900}),
                                        ("port.set", {"rx_rate": 5000, "up": True, "cap": 1000}),
                                        ("port.set", {"rx_rate": 5000, "storm": 8})])
        self.assertEqual((own["rx_rate"], own["up"], own["cap"]), (1000, False, 900))
        self.assertEqual((same["rx_rate"], same["up"], same["cap"]), (5000, True, 1000))
        self.assertEqual(again, ["denied", "storm"])
        [r] = self.member([("port.set", {})], attach={"rx_rate": 100})
        self.assertEqual((r["isolated"], r["rx_rate"], r["storm"]), (True, 100, 7))
        with self.assertRaises(h.RpcError) as e:  # who controls may
            with h.Native(self.d.path("lab/feth.sock")) as c:
                c.call("attach", isolated=False, storm=0)
                c.call("port.set", name="nosuch")
        self.assertEqual(e.exception.code, "not_found")

    def test_of_a_declared_port(self):
        got = self.member([("port.set", {"tx_rate": 0}), ("port.set", {"tx_rate": 8000, "up": False}),
                           ("port.set", {"name": "vm", "tx_rate": 1}), ("port.set", {"name": "host", "storm": 1})],
                          attach={"name": "vm"})
        self.assertEqual(got[0], ["denied", "tx_rate"])
        self.assertEqual((got[1]["tx_rate"], got[1]["up"]), (8000, False))
        self.assertEqual([got[2][0], got[3][0]], ["denied", "denied"])
        vm = h.poll_until("it waits", lambda: self.d.port("vm")["state"] == "waiting" and self.d.port("vm"))
        self.assertEqual((vm["tx_rate"], vm["up"]), (9000, True))  # what the client asked for went with it


if __name__ == "__main__":
    h.main()
