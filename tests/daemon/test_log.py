"""test_log.py - what is logged: levels that change while the daemon runs, and who did what."""
import os
import re
import socket
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

ME = f"uid={os.getuid()} pid={os.getpid()}"


class Log(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon(prefix=h.ISOLATED)
        self.addCleanup(self.d.__exit__, None, None, None)
        self.c = self.d.control()
        self.addCleanup(self.c.close)

    def said(self, text):
        """The line with this in it, as soon as there is one."""
        return h.poll_until(f"the log has {text!r}", lambda: next(
            (line for line in self.d.log.splitlines() if text in line), None))

    def test_level_changes_while_it_runs(self):
        self.d.create("lab")
        self.assertEqual(self.c.call("daemon.show")["log_level"], "info")
        self.d.native().close()
        with self.d.attach(name="quiet"):
            pass
        self.said("detached net=lab")
        self.assertNotIn("debug:", self.d.log)

        self.assertEqual(self.c.call("daemon.set", log_level="debug")["log_level"], "debug")
        self.said(f"log_level=debug {ME}")
        with self.d.native() as n:
            n.call("hello", client="somebody")
        self.assertIn(ME, self.said("client=somebody"))
        self.assertIn(ME, self.said("debug: session: closed net=lab"))

        self.assertEqual(self.c.call("daemon.set", log_level="error")["log_level"], "error")
        self.said(f"log_level=error {ME}")
        before = len(self.d.log)
        with self.d.attach(name="unheard"), self.d.native() as bad:
            bad.send_raw(b"\xc1")
            self.assertTrue(bad.closed())
        self.assertEqual(self.c.call("network.delete", network="lab"), {"saved": False})
        self.assertEqual(self.d.log[before:], "")

        self.assertEqual(self.c.call("daemon.set", log_level="info")["log_level"], "info")
        self.assertEqual(self.c.call("daemon.set")["log_level"], "info")  # nothing given, nothing changed
        self.assertEqual(self.d.log[before:].count("log_level="), 1)

    def test_fethctl_sets_the_level(self):
        p = self.d.ctl("daemon", "set", "--log-level", "warn", check=True)
        self.assertRegex(p.stdout, r"(?m)^Log level: +warn$")
        self.assertEqual(self.c.call("daemon.show")["log_level"], "warn")
        p = self.d.ctl("daemon", "set", "--log-level", "loud")
        self.assertEqual((p.returncode, p.stdout), (1, ""))
        self.assertIn("log_level: must be error, warn, info or debug", p.stderr)
        self.assertEqual(self.d.ctl("daemon", "set").returncode, 2)
        self.assertEqual(self.c.call("daemon.show")["log_level"], "warn")

    def test_every_line_about_a_peer_says_who(self):
        self.c.call("daemon.set", log_level="debug")
        self.d.create("lab")
        self.c.call("network.set", network="lab", multicast="flood")
        self.c.call("port.add", network="lab", name="vm", kind="qemu")
        with h.Qemu(self.d.path("lab/ports/vm")) as q, h.Qemu(self.d.path("lab/ports/vm")) as second:
            self.assertTrue(second.closed())  # one client at a time
            q.send_raw(b"\xff\xff\xff\xff")
            self.assertTrue(q.closed())
        self.c.call("port.remove", network="lab", name="vm")
        with self.d.native() as bad:
            bad.send_raw(b"\x93\x01\x02\x03")
            self.assertTrue(bad.closed())
        if not h.DARWIN:
            self.d.create("fk", backend=h.HOST_BACKEND)
            self.c.call("network.set", network="fk", mtu=1400)
            self.c.call("network.delete", network="fk")
        self.c.call("network.delete", network="lab")
        for text in ("created net=lab", "changed net=lab", "declared net=lab", "attached net=lab", "protocol error net=lab port=",
                     "detached net=lab", "refused uid=", "removed net=lab path=", "session: protocol error",
                     "removed net=lab uid="):
            self.said(text)
        about = [line for line in self.d.log.splitlines()
                 if not re.search(r": (ready|stopping|made anew|put right) |hostwatch:", line)]
        self.assertGreater(len(about), 10)
        for line in about:
            self.assertRegex(line, r" uid=\d+ pid=\d+")
        self.c.call("daemon.stop")
        self.said(f"asked to stop {ME}")
        self.d.proc.wait(20)


class Flush(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon(prefix=h.ISOLATED)
        self.addCleanup(self.d.__exit__, None, None, None)
        self.net = self.d.create("lab", backend=h.HOST_BACKEND)
        self.a = self.d.attach(name="a", mac="02:00:00:00:0a:01", locked=True)
        self.b = self.d.attach(name="b", mac="02:00:00:00:0b:01")
        for c, first in ((self.a, 0x0a01), (self.b, 0x0b01)):
            self.addCleanup(c.close)
        self.b.send(*(h.frame(h.BROADCAST, h.mac(0x0b00 + i)) for i in range(1, 6)))
        h.taken(self.b)

    def known(self):
        with self.d.control() as c:
            return {r["mac"]: r["name"] for r in c.items("fdb.list", network="lab")}

    def test_learned_addresses_are_forgotten_and_static_ones_stay(self):
        self.assertEqual(len(self.known()), 7)
        static = {self.net["mac"]: "host", "02:00:00:00:0a:01": "a"}
        for params in ({"mac": self.net["mac"]}, {"port": "a"}, {"port": "host"}, {"port": 0},
                       {"mac": "02:00:00:00:0b:02", "port": "a"}, {"mac": "02:00:00:00:ff:02"}):
            self.assertEqual(self.b.call("fdb.flush", **params), {"flushed": 0}, params)
        self.assertEqual(self.b.call("fdb.flush", mac="02:00:00:00:0b:02"), {"flushed": 1})
        self.assertEqual(self.b.call("fdb.flush", mac="02:00:00:00:0b:03", port="B"), {"flushed": 1})
        self.assertEqual(len(self.known()), 5)
        self.assertEqual(self.d.call("fdb.flush", network="lab", port=self.b.info["port"]), {"flushed": 3})
        self.assertEqual(self.known(), static)
        # unknown, so it goes to all; and known again when it sends
        self.a.send(h.frame(h.mac(0x0b01), h.mac(0x0a01), b"to b"))
        self.assertEqual(self.b.recv()[14:18], b"to b")
        self.b.send(h.frame(h.BROADCAST, h.mac(0x0b01)))
        h.taken(self.b)
        self.assertEqual(self.known(), {**static, "02:00:00:00:0b:01": "b"})
        self.assertEqual(self.d.call("fdb.flush", network="lab"), {"flushed": 1})
        self.assertEqual(self.known(), static)

    def test_what_is_not_there_is_told(self):
        for port in ("c", 7, 1024):
            with self.assertRaises(h.RpcError) as e:
                self.b.call("fdb.flush", port=port)
            self.assertEqual((e.exception.code, str(port) in e.exception.message), ("not_found", True))
        self.d.create("none", backend="none")
        for port in ("host", 0):
            with self.assertRaises(h.RpcError) as e:
                self.d.call("fdb.flush", network="none", port=port)
            self.assertEqual(e.exception.code, "not_found")
        self.assertEqual(len(self.known()), 7)

    def test_fethctl_flushes(self):
        p = self.d.ctl("fdb", "flush", "lab", "--port", "b", "--mac", "02:00:00:00:0b:05", check=True)
        self.assertEqual(p.stdout, "Forgotten:  1\n")
        self.assertEqual(self.d.ctl("fdb", "flush", "lab", "--port", "2", "--json", check=True).stdout,
                         '{\n  "flushed": 4\n}\n')
        self.assertEqual(len(self.known()), 2)
        for args in (("--port", "a b"), ("--port", ""), ("--mac", "x"), ("--port", "c")):
            self.assertEqual(self.d.ctl("fdb", "flush", "lab", *args).returncode, 1, args)
        self.assertEqual(self.d.ctl("fdb", "flush").returncode, 2)
        self.assertIn("static", self.d.ctl("fdb", "lab", check=True).stdout)  # the shorter name is still one


if __name__ == "__main__":
    h.main()
