"""test_unprivileged.py - fethd run by an ordinary user: hostless networks at once, and with
--rootless everything, in namespaces of its own.

Root runs it as uid 1000; anybody else as himself.
"""
import ctypes
import os
import socket
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

UID = os.geteuid() or 1000
ME = None if os.geteuid() else (UID, UID, [])  # for h.run_as()
PREFIX = [] if os.geteuid() else h.become(UID)


def why_no_namespaces():
    """None, or why this user may not have a user namespace with interfaces in it."""
    p = subprocess.run([*PREFIX, "unshare", "-Urn", "ip", "link", "add", "type", "veth"],
                       capture_output=True, text=True)
    return p.stderr.strip() if p.returncode else None


def interfaces():
    return sorted(name for _, name in socket.if_nameindex())


class Plain(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon(uid=UID)
        self.addCleanup(self.d.__exit__, None, None, None)

    def call(self, method, **params):
        return h.run_as(ME, lambda: self.d.call(method, **params))

    def refused(self, code, words, method, **params):
        def attempt():
            try:
                self.d.call(method, **params)
            except h.RpcError as e:
                return e.code, e.message
        got = h.run_as(ME, attempt)
        self.assertIsNotNone(got, f"{method} {params} was carried out")
        self.assertEqual(got[0], code, got)
        for word in words:
            self.assertIn(word, got[1])

    def test_a_hostless_network_at_once(self):
        shown = self.call("daemon.show")
        self.assertEqual((shown["uid"], shown["rootless"]), (UID, False))
        r = self.call("network.create", network="lab")
        self.assertEqual(r["backend"], "none")
        self.assertEqual(self.call("network.create", network="b", backend="auto", mtu=9000)["backend"],
                         "none")

        def talk():
            pair = h.Pair(self.d)
            pair.check(rounds=20)
            pair.close()
            return True
        self.assertTrue(h.run_as(ME, talk))
        self.refused("unsupported", ("lab",), "network.enter", network="lab")

    def test_a_host_side_is_denied_and_the_ways_out_are_named(self):
        before = interfaces()
        for field, value in (("mac", "02:00:00:00:00:01"), ("addresses", ["10.0.0.1/24"]),
                             ("addresses", []), ("up", True), ("unit", 200)):
            for backend in ({}, {"backend": "auto"}, {"backend": None}):
                self.refused("denied", ("root", "--rootless"), "network.create", network="lab",
                             **backend, **{field: value})
        words = ("root",) if h.DARWIN else ("root", "--rootless")
        self.refused("denied", words, "network.create", network="lab", backend=h.SYSTEM_BACKEND)
        self.assertEqual(self.call("network.list")["items"], [])
        self.assertEqual(sorted(os.listdir(self.d.run_dir)), ["control.sock"])
        self.assertEqual(interfaces(), before)

    def test_where_its_run_directory_is(self):
        env = {k: v for k, v in self.d.env.items() if k not in ("FETHD_RUN_DIR", "XDG_RUNTIME_DIR")}
        p = subprocess.run([*PREFIX, self.d.binary], env=env, capture_output=True, text=True,
                           timeout=20)
        self.assertEqual(p.returncode, 2)
        self.assertIn("--run-dir", p.stderr)
        self.assertEqual(p.stderr.count("\n"), 1)
        runtime = self.d.dir + "/runtime"
        os.mkdir(runtime)
        os.chown(runtime, UID, -1)
        log = open(self.d.dir + "/log2", "wb")
        p = subprocess.Popen([*PREFIX, self.d.binary], stderr=log,
                             env=dict(env, XDG_RUNTIME_DIR=runtime))
        log.close()
        h.poll_until("ready", lambda: ": ready " in h.text_of(self.d.dir + "/log2"))
        self.assertEqual(os.listdir(runtime + "/fethd"), ["control.sock"])
        p.terminate()
        self.assertEqual(p.wait(20), 0)

    def test_leaves_nothing(self):
        self.call("network.create", network="lab")
        self.d.kill()
        self.d.start()
        self.assertEqual(sorted(os.listdir(self.d.run_dir)), ["control.sock", "state"])
        self.assertEqual(self.d.stop(), 0)
        self.assertEqual(os.listdir(self.d.run_dir), [])


@unittest.skipIf(h.DARWIN, "macOS has no namespaces, so no --rootless")
class NoNamespaces(unittest.TestCase):
    def test_where_they_are_forbidden_it_says_so(self):
        """A user namespace in which no further ones may be made stands for such a system."""
        why = why_no_namespaces()
        if why:
            why = h.Daemon("--rootless", uid=UID, wait=False)
            self.addCleanup(why.kill)
            self.assertEqual(why.proc.wait(20), 1)
            self.assertIn("sysctl", why.log)
            return
        with h.Daemon(uid=UID, wait=None) as d:
            p = subprocess.run(
                [*PREFIX, "unshare", "-Ur", "sh", "-c",
                 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$0" --rootless --run-dir "$1"',
                 d.binary, d.run_dir], capture_output=True, text=True, timeout=20)
            self.assertEqual(p.returncode, 1, p.stderr)
            self.assertRegex(p.stderr, r"\Afethd: error: daemon: --rootless: [^\n]+sysctl[^\n]+\n\Z")
            self.assertFalse(os.path.exists(d.run_dir))


@unittest.skipIf(h.DARWIN, "macOS has no namespaces, so no --rootless")
class Rootless(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        why = why_no_namespaces()
        if why:
            print(f"SKIPPED: --rootless needs user namespaces, and they are not allowed here: {why}")
            raise unittest.SkipTest(why)

    def setUp(self):
        self.before = interfaces()
        self.d = h.Daemon("--rootless", uid=UID)
        self.addCleanup(self.d.__exit__, None, None, None)
        self.net = self.call("network.create", network="lab", addresses=["10.77.0.1/24"])

    def call(self, method, **params):
        return h.run_as(ME, lambda: self.d.call(method, **params))

    def inside(self, fn):
        """fn() in a child of the user, in the namespaces that network.enter gives."""
        def enter():
            libc = ctypes.CDLL(None, use_errno=True)
            with self.d.control() as c:
                r = c.call("network.enter", network="lab")
                assert r["fds"] == len(c.fds) == 2, r
                for fd in c.fds:
                    if libc.setns(fd, 0):
                        raise OSError(ctypes.get_errno(), "setns")
            return fn(r)
        return h.run_as(ME, enter)

    def test_the_host_side_is_inside(self):
        self.assertEqual((self.net["backend"], self.net["up"]), ("veth", True))
        self.assertEqual(self.call("daemon.show")["rootless"], True)
        self.assertEqual(interfaces(), self.before)  # and not outside
        names = self.inside(lambda r: (r["host"], interfaces(), os.getuid()))
        self.assertEqual(names, (self.net["host"],
                                 sorted(["lo", self.net["host"], self.net["service"]]), UID))

    @unittest.skipIf(os.geteuid(), "only root can be somebody else")
    def test_no_rule_fits_who_is_not_mapped(self):
        """All others look like one user to it, 65534: to allow that one would allow everybody."""
        def tries(uid, gid):
            def attempt():
                with self.d.native("lab") as c:
                    try:
                        return c.call("network.show")["mode"]
                    except h.RpcError as e:
                        return e.code
            return h.run_as((uid, gid, []), attempt)
        every = ((65534, 65534), (5005, 5005), (5005, UID), (0, 0))
        self.call("network.set", network="lab", owner="65534", group=str(UID), mode="0660", allow=[
            {"user": "65534", "rights": ["control"]}, {"user": "5005", "rights": ["observe"]},
            {"group": "65534", "rights": ["observe"]}, {"group": "5005", "rights": ["observe"]}])
        self.assertEqual({tries(*who) for who in every}, {"denied"})
        self.call("network.set", network="lab", mode="0664")
        self.assertEqual({tries(*who) for who in every}, {"0664"})

    def test_the_host_side_talks(self):
        def talk():
            with self.d.attach() as c:
                me = bytes.fromhex(c.info["mac"].replace(":", ""))
                host = bytes.fromhex(self.net["mac"].replace(":", ""))
                ours, theirs = socket.inet_aton("10.77.0.2"), socket.inet_aton("10.77.0.1")
                c.send(h.frame(h.BROADCAST, me, struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + me + ours
                               + b"\0" * 6 + theirs, 0x0806))
                reply = c.recv(0x0806)
                while reply[20:22] != b"\0\2":
                    reply = c.recv(0x0806)
                assert reply[:12] == me + host and reply[28:32] == theirs, reply.hex()
                # an echo request, and its answer
                icmp = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + b"ping" * 4
                icmp = icmp[:2] + checksum(icmp) + icmp[4:]
                ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(icmp), 1, 0, 64, 1, 0) + ours + theirs
                ip = ip[:10] + checksum(ip) + ip[12:]
                c.send(h.frame(host, me, ip + icmp, 0x0800))
                pong = c.recv(0x0800)
                while pong[23] != 1:
                    pong = c.recv(0x0800)
                return pong[34:35], pong[42:58], pong[26:34] == theirs + ours
        self.assertEqual(h.run_as(ME, talk), (b"\0", b"ping" * 4, True))

    def test_programs_inside_reach_the_clients(self):
        def send(_):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                s.sendto(b"from inside", ("10.77.0.255", 7))
            return True

        def both():
            with self.d.attach() as c:
                assert h.run_as(None, lambda: self.inside(send))
                f = c.recv(0x0800)
                while f[23] != 17:
                    f = c.recv(0x0800)
                return f[42:53]
        # the outer one is the user already
        global ME
        outer, ME_ = ME, None
        try:
            self.assertEqual(h.run_as(outer, lambda: swap_me(ME_) or both()), b"from inside")
        finally:
            ME = outer

    def test_it_is_changed_and_made_anew(self):
        r = self.call("network.set", network="lab", mtu=9000, mac="02:00:00:00:00:09", up=False,
                      addresses=["10.78.0.1/24", "2001:db8::1/64"])

        def look(_):
            p = subprocess.run(["ip", "-o", "addr", "show", r["host"]], capture_output=True, text=True)
            q = subprocess.run(["ip", "-o", "link", "show", r["host"]], capture_output=True, text=True)
            return p.stdout + q.stdout
        seen = self.inside(look)
        for what in ("mtu 9000", "02:00:00:00:00:09", "10.78.0.1/24"):
            self.assertIn(what, seen)
        self.call("network.set", network="lab", up=True)
        self.assertIn("2001:db8::1/64", self.inside(look))
        self.inside(lambda e: delete_link(e["host"]))
        h.poll_until("it is back", lambda: "2001:db8::1/64" in self.inside(look))
        self.assertIn("mtu 9000", self.inside(look))

    def test_root_outside_is_nobody_inside(self):
        if os.geteuid():
            self.skipTest("becomes others, so it needs root")
        os.chmod(self.d.path("control.sock"), 0o666)
        for ids in ((0, 0, []), (5005, 5005, [])):
            def ask():
                with self.d.control() as c:
                    assert c.call("hello")["version"] == 1
                    try:
                        return c.call("daemon.show")
                    except h.RpcError as e:
                        return e.code
            self.assertEqual(h.run_as(ids, ask), "denied")

    def test_after_a_crash_nothing_is_left_on_the_machine(self):
        ns = os.stat(f"/proc/{self.d.proc.pid}/ns/net").st_ino

        def holders():
            found = []
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    if os.stat(f"/proc/{pid}/ns/net").st_ino == ns:
                        found.append(pid)
                except OSError:
                    pass
            return found
        self.assertEqual(holders(), [str(self.d.proc.pid)])
        self.d.kill()
        self.assertEqual(interfaces(), self.before)
        self.assertEqual(holders(), [])
        self.d.start()
        self.assertEqual(sorted(os.listdir(self.d.run_dir)), ["control.sock", "state"])
        again = self.call("network.create", network="lab", addresses=["10.77.0.1/24"])
        self.assertEqual(again, self.net)
        self.assertEqual(self.d.stop(), 0)
        self.assertEqual(os.listdir(self.d.run_dir), [])


def delete_link(name):
    """RTM_DELLINK by hand: ip(8) would lose its capabilities as it is run."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
        body = struct.pack("BxHiII", 0, 0, socket.if_nametoindex(name), 0, 0)
        s.send(struct.pack("IHHII", 16 + len(body), 17, 5, 1, 0) + body)
        assert struct.unpack_from("i", s.recv(4096), 16)[0] == 0


def swap_me(value):
    global ME
    ME = value


def checksum(data):
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return struct.pack("!H", ~s & 0xFFFF)


if __name__ == "__main__":
    h.main()
