"""test_access.py - who gets in, and as whom: files, identities, limits. What each may do is test_rights.py's.

Root starts the daemons and becomes others in child processes. What file modes keep out is seen
first; then the modes are opened wide, and what the kernel attests of the peer must decide alone.
"""
import os
import stat
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

ADMIN, USERS = 6001, 6002  # groups; the kernel does not ask whether they have names
DAEMON_UID = 4001
CALLERS = {  # name: uid, gid, supplementary groups
    "root": (0, 0, []),
    "admin": (5001, ADMIN, []),
    "admin by a second group": (5002, 5002, [77, ADMIN]),
    "user": (5003, USERS, []),
    "user by a second group": (5004, 5004, [78, USERS, 79]),
    "stranger": (5005, 5005, []),
    "stranger of many groups": (5006, 5006, list(range(7000, 7060))),
    "nobody": (65534, 65534, []),
}
RIGHTS = {"root": "admin", "admin": "admin", "admin by a second group": "admin", "user": "user",
          "user by a second group": "user", "stranger": "", "stranger of many groups": "",
          "nobody": ""}
NATIVE = ("hello", "attach", "detach", "port.open", "port.list", "network.show", "fdb.list", "stats.get")
CONTROL = ("hello", "port.add", "port.list", "network.create", "network.delete", "network.list", "network.show",
           "network.set", "stats.get", "daemon.show", "daemon.stop")


def run_as(caller, fn):
    return h.run_as(CALLERS[caller] if isinstance(caller, str) else caller, fn)


def connects(path):
    """Whether this process may connect."""
    try:
        h.Native(path).close()
        return True
    except PermissionError:
        return False


def codes(path, methods):
    """What each call gives: an error code or None."""
    out = {}
    for method in methods:
        with h.Native(path) as c:
            try:
                c.call(method, network="nosuch", backend="none", name="nosuch", kind="native")
                out[method] = None
            except h.RpcError as e:
                out[method] = e.code
                assert e.code != "denied" or "group" in e.message, e.message
    return out


def qemu_serves(path):
    """Whether a QEMU connection stays open, and carries a frame."""
    try:
        with h.Qemu(path) as q:
            q.send(h.frame(h.BROADCAST, h.mac(1), b"let me in"))
            return not q.closed(0.3)
    except BrokenPipeError:
        return False


class Access(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon("--admin-group", str(ADMIN), prefix=h.ISOLATED)
        self.addCleanup(self.d.__exit__, None, None, None)
        for name, group in (("lab", {"group": str(USERS)}), ("adm", {})):
            self.d.create(name, **group)
            self.d.call("port.add", network=name, name="n", kind="native")
            self.d.call("port.add", network=name, name="q", kind="qemu")
        self.sockets = ["control.sock"] + [f"{n}/{s}" for n in ("lab", "adm") for s in (
            "feth.sock", "qemu.sock", "ports/n", "ports/q")]

    def open_wide(self):
        for s in self.sockets:
            os.chmod(self.d.path(s), 0o666)

    def counters(self):
        return self.d.call("daemon.show")["counters"]

    def test_modes_and_owners(self):
        def look(path):
            st = os.lstat(path)
            return stat.filemode(st.st_mode), st.st_uid, st.st_gid
        for s in self.sockets:
            self.assertEqual(look(self.d.path(s)),
                             ("srw-rw----", 0, USERS if s.startswith("lab") else ADMIN), s)
        for s in ("", "lab", "lab/ports", "adm", "adm/ports"):
            self.assertEqual(look(self.d.path(s)), ("drwxr-xr-x", 0, 0), s)
        self.assertEqual(look(self.d.path("state"))[0][7:], "---")
        with h.Daemon(prefix=h.ISOLATED) as plain:
            plain.create("lab")
            for s in ("control.sock", "lab/feth.sock", "lab/qemu.sock"):
                self.assertEqual(look(plain.path(s)), ("srw-------", 0, 0), s)
            plain.create("grp", group=str(USERS))
            self.assertEqual(look(plain.path("grp/feth.sock")), ("srw-rw----", 0, USERS))
            self.assertEqual(plain.call("network.show", network="grp")["group"], str(USERS))
            self.assertNotIn("group", plain.call("network.show", network="lab"))

    def test_modes_keep_others_out(self):
        for caller in CALLERS:
            got = run_as(caller, lambda: {s: connects(self.d.path(s)) for s in self.sockets})
            want = {s: RIGHTS[caller] == ("user" if s.startswith("lab") else "admin")
                    or caller == "root" for s in self.sockets}
            self.assertEqual(got, want, caller)

    def test_unknown_methods_are_unsupported_for_strangers_as_well(self):
        self.open_wide()
        for s in ("control.sock", "lab/feth.sock"):
            self.assertEqual(run_as("stranger", lambda: codes(self.d.path(s), ["x"])),
                             {"x": "unsupported"})

    def test_qemu_sockets_ask_the_kernel_too(self):
        self.open_wide()
        with self.d.attach("lab") as r:
            for caller in CALLERS:
                for s in ("lab/qemu.sock", "lab/ports/q"):
                    before = self.counters()["denied"]
                    allowed = RIGHTS[caller] != ""
                    self.assertEqual(run_as(caller, lambda: qemu_serves(self.d.path(s))), allowed,
                                     (caller, s))
                    if allowed:
                        self.assertEqual(r.recv()[14:], b"let me in")
                        h.poll_until("it left", lambda: self.d.call(
                            "network.show", network="lab")["ports"] == 1)
                    else:
                        self.assertTrue(r.silent(0.02))
                    self.assertEqual(self.counters()["denied"] - before, 0 if allowed else 1)
            for caller in CALLERS:
                self.assertEqual(run_as(caller, lambda: qemu_serves(self.d.path("adm/qemu.sock"))),
                                 RIGHTS[caller] == "admin", caller)

    def test_frames_of_a_stranger_go_nowhere(self):
        self.open_wide()

        def send():
            with h.Native(self.d.path("lab/feth.sock")) as c:
                c.send(*[h.frame(h.BROADCAST, h.mac(1), b"x")] * 10)
                c.request("attach")
                c.send(*[h.frame(h.BROADCAST, h.mac(1), b"x")] * 10)
                c.call("hello")
                return [e[0] for e, _ in c.replies.values()]
        with self.d.attach("lab") as r:
            self.assertEqual(run_as("stranger", send), ["denied"])
            self.assertTrue(r.silent(0.1))
            self.assertEqual(self.d.stats()["drops"], {"detached": 20})

    def test_ports_show_whose_they_are(self):
        def attach():
            with self.d.attach("lab", name="mine") as c, h.Qemu(self.d.path("lab/ports/q")):
                rows = h.poll_until("both", lambda: [
                    p for p in c.items("port.list") if p["name"] in ("mine", "q") and "uid" in p
                ][1:] and c.items("port.list"))
                return os.getpid(), [(p["uid"], p["pid"]) for p in rows if "uid" in p]
        pid, rows = run_as("user by a second group", attach)
        self.assertEqual(rows, [(5004, pid)] * 2)

        def opened():
            with self.d.native("lab") as c:
                c.call("port.open", name="vm")
                row = next(p for p in c.items("port.list") if p["name"] == "vm")
                return os.getpid(), row
        pid, row = run_as("user", opened)
        self.assertEqual((row["uid"], row["pid"]), (5003, pid))

    def test_identity_is_the_connectors_for_the_life_of_the_connection(self):
        """A connection that is handed on is delegation; an identity that is put on later is not."""
        def handed_on():
            with self.d.control() as c:
                os.setresuid(5005, 5005, 5005)
                return c.call("daemon.show")["pid"]
        self.assertEqual(run_as("root", handed_on), self.d.proc.pid)
        self.open_wide()

        def borrowed():
            # a set-uid program that connects for its caller speaks with its effective identity
            os.setresuid(0, 5005, 0)
            c = self.d.control()
            os.setresuid(0, 0, 0)
            with c:
                try:
                    c.call("daemon.show")
                except h.RpcError as e:
                    return e.code
        self.assertEqual(run_as("root", borrowed), "denied")

    def test_a_member_of_the_admin_group_administers(self):
        def work():
            with self.d.control() as c:
                c.call("network.create", network="mine", backend="none")
                c.call("network.set", network="mine", mtu=1400)
                c.call("port.add", network="mine", name="p", kind="qemu")
                c.call("network.delete", network="mine")
                return c.call("daemon.stop")
        self.assertEqual(run_as("admin by a second group", work), {})
        self.assertEqual(self.d.proc.wait(20), 0)

    def test_one_user_cannot_take_all_connections(self):
        """256 connections of an ordinary uid on one socket's network; root is not counted."""
        def crowd():
            held = [self.d.native("lab") for _ in range(300)]
            served = 0
            for c in held:
                try:
                    c.call("hello")
                    served += 1
                except (h.Closed, OSError):
                    pass
            for c in held:
                c.close()
            return served
        self.assertEqual(run_as("user", crowd), 256)
        self.assertEqual(self.counters()["denied"], 44)

        def descriptors():
            """Those that are handed out count as well."""
            with self.d.native("lab") as c:
                for n in range(300):
                    try:
                        c.call("port.open")
                    except h.RpcError as e:
                        return n, e.code
                    except (h.Closed, OSError):
                        return n, "closed"

        def all_are_gone():
            """The daemon may come to close them after their client did."""
            time.sleep(0.1)
            return run_as("user", descriptors) == (255, "busy")
        h.poll_until("all may be had again", all_are_gone)
        held = [self.d.native("lab") for _ in range(300)]
        for c in held:
            self.assertEqual(c.call("hello")["network"], "lab")
            c.close()


class NotRoot(unittest.TestCase):
    """A daemon of an ordinary user."""

    def setUp(self):
        self.d = h.Daemon(uid=DAEMON_UID)
        self.addCleanup(self.d.__exit__, None, None, None)
        self.d.create("lab")

    def test_its_own_user_and_root_hold_everything(self):
        me = (DAEMON_UID, DAEMON_UID, [])
        sockets = ("control.sock", "lab/feth.sock", "lab/qemu.sock")
        for s in sockets:
            st = os.lstat(self.d.path(s))
            self.assertEqual((stat.filemode(st.st_mode), st.st_uid), ("srw-------", DAEMON_UID))
        methods = [m for m in CONTROL if m != "daemon.stop"]
        for who in (me, "root"):
            got = run_as(who, lambda: codes(self.d.path("control.sock"), methods))
            self.assertNotIn("denied", got.values(), who)
            self.assertNotIn("denied", run_as(
                who, lambda: codes(self.d.path("lab/feth.sock"), NATIVE)).values())
        for who in ("stranger", "admin", (5009, DAEMON_UID, [DAEMON_UID])):
            self.assertEqual(run_as(who, lambda: [connects(self.d.path(s)) for s in sockets]),
                             [False] * 3, who)
        for s in sockets:
            os.chmod(self.d.path(s), 0o666)
        for who in ("stranger", "admin", (5009, DAEMON_UID, [DAEMON_UID])):
            got = run_as(who, lambda: codes(self.d.path("control.sock"), CONTROL))
            self.assertEqual({m for m, c in got.items() if c != "denied"}, {"hello", "network.list"}, who)
            self.assertFalse(run_as(who, lambda: qemu_serves(self.d.path("lab/qemu.sock"))))

    def test_groups_it_cannot_give(self):
        with self.assertRaises(h.RpcError) as e:
            self.d.create("x", group=str(USERS))
        self.assertEqual(e.exception.code, "denied")
        self.assertIn(str(USERS), e.exception.message)
        self.assertEqual(sorted(os.listdir(self.d.run_dir)), ["control.sock", "lab", "state"])
        self.assertEqual(self.d.create("x", group=str(DAEMON_UID))["group"], str(DAEMON_UID))
        self.assertTrue(run_as((5009, DAEMON_UID, []),
                               lambda: connects(self.d.path("x/feth.sock"))))

    def test_run_directories_of_others_are_refused(self):
        for make, words in ((lambda p: os.mkdir(p, 0o755), "belongs to user 0"),
                            (lambda p: None, "cannot make the directory")):
            with h.Daemon(wait=None) as d:
                make(d.run_dir)
                p = subprocess.run([*h.become(DAEMON_UID), self.d.binary, "--run-dir", d.run_dir],
                                   capture_output=True, text=True, timeout=20)
                self.assertEqual(p.returncode, 1)
                self.assertIn(words, p.stderr)
                self.assertEqual(p.stderr.count("\n"), 1)


if __name__ == "__main__":
    if os.geteuid() != 0:
        h.skip_all("test_access.py becomes other users, so it needs root")
    h.main()
