"""test_life.py - starting, stopping, crashing, starting again; options; what is left behind."""
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402


def tree(path):
    """Everything below a directory, as a set of relative paths."""
    return {os.path.relpath(os.path.join(at, f), path)
            for at, dirs, files in os.walk(path) for f in dirs + files}


def at(unit):
    """A unit of the range that is used if nobody says otherwise."""
    return h.UNIT_BASE + unit


class Base(unittest.TestCase):
    def daemon(self, *args, **kw):
        d = h.Daemon(*args, **kw)
        self.addCleanup(d.__exit__, None, None, None)
        return d

    def nothing_left(self, d):
        self.assertEqual(tree(d.dir), {"log", "fake"})
        self.assertEqual(d.system.left(), [])

    def fethd(self, *args, env=None, prefix=()):
        """Runs fethd to its end: status, stdout, stderr."""
        p = subprocess.run([*prefix, h.FETHD, *args], stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, timeout=20, env=dict(os.environ, **(env or {})))
        return p.returncode, p.stdout, p.stderr

    def fails(self, status, words, *args, **kw):
        """It ends with this status and one line that has these words."""
        code, out, err = self.fethd(*args, **kw)
        self.assertEqual((code, out), (status, ""), err)
        self.assertRegex(err, r"\Afethd: [^\n]{10,400}\n\Z", args)
        for word in words if isinstance(words, tuple) else (words,):
            self.assertIn(word, err, args)


class Options(Base):
    def test_bad_ones_exit_2(self):
        self.fails(2, "--help", "--nonsense")
        self.fails(2, "--help", "-x")
        self.fails(2, "--help", "stray")
        self.fails(2, "value", "--run-dir")
        self.fails(2, "value", "--admin-group")
        self.fails(2, "--run-dir", "--run-dir", "")
        self.fails(2, "--run-dir", "--run-dir", "/" + "x" * 200)
        self.fails(2, "--admin-group", "--admin-group", "")
        self.fails(2, "--admin-group", "--admin-group", "g" * 33)
        for base in ("", "-1", "22769", "x", "1x", "1 ", " 1", "99999999999999999999", "0x10", "+1"):
            self.fails(2, ("--unit-base", "22768"), "--unit-base", base)
        for level in ("", "loud", "INFO", "info "):
            self.fails(2, "--log-level", "--log-level", level)

    def test_help_and_version_go_to_stdout(self):
        for args in (("--help",), ("-h",), ("--run-dir", "/nowhere/at/all", "--help")):
            code, out, err = self.fethd(*args)
            self.assertEqual((code, err), (0, ""))
            for option in ("--run-dir", "--admin-group", "--rootless", "--dial-anywhere", "--unit-base", "--log-level",
                           "--version", "--help"):
                self.assertIn(option, out)
            self.assertLessEqual(max(map(len, out.splitlines())), 100)
        code, out, err = self.fethd("--version")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"\Afethd \d+\.\d+\.\d+\n\Z")

    def test_bad_admin_group_exits_1(self):
        with h.Daemon(wait=None) as d:
            for group in ("no-such-group", "-1", "4294967295", "0x0", "99999999999999999999"):
                self.fails(1, group, "--run-dir", d.run_dir, "--admin-group", group)
                self.assertEqual(tree(d.dir), {"fake"})

    def test_unit_base(self):
        for base, unit in ((0, 3533), (10000, 13533), (22768, 26301)):
            with self.subTest(base), h.Daemon("--unit-base", str(base)) as d:
                r = d.create("8056c2e21c000001", backend=h.HOST_BACKEND)
                self.assertEqual((r["unit"], r["host"], r["service"]),
                                 (unit, f"feth{unit}", f"feth{unit + 5000}"))
                for bad in (base + 99, base + 5000):
                    with self.assertRaises(h.RpcError) as e:
                        d.create("x", backend=h.HOST_BACKEND, unit=bad)
                    self.assertEqual(e.exception.code, "invalid")
                self.assertEqual(d.create("x", backend=h.HOST_BACKEND, unit=base + 4999)["unit"], base + 4999)

    def test_log_level(self):
        d = self.daemon("--log-level", "error", wait=False)
        h.poll_until("it serves", lambda: os.path.exists(d.path("control.sock")))
        d.create("lab")
        self.assertEqual(d.stop(), 0)
        self.assertEqual(d.log, "")
        d = self.daemon("--log-level", "debug")
        d.create("lab")
        with d.attach() as c:
            c.call("hello", client="evil\n\x1b[31mname\\")
        h.poll_until("closed", lambda: "why=" in d.log)
        self.assertIn(r"client=evil\x0a\x1b[31mname\x5c", d.log)
        for line in d.log.splitlines():
            self.assertRegex(line, r"\Afethd: (info|debug|warn): \w+: ")

    def test_where_the_run_directory_is(self):
        with h.Daemon(wait=None) as d:
            for env, want in ((dict(FETHD_RUN_DIR=d.dir + "/a"), "/a"),
                              (dict(FETHD_RUN_DIR=d.dir + "/b", XDG_RUNTIME_DIR="/nowhere"), "/b")):
                log = open(d.log_path, "wb")
                p = subprocess.Popen([h.FETHD], stderr=log,
                                     env=dict(os.environ, **d.system.env, **env))
                log.close()
                h.poll_until("ready", lambda: ": ready " in h.text_of(d.log_path))
                self.assertTrue(stat.S_ISSOCK(os.stat(d.dir + want + "/control.sock").st_mode))
                p.terminate()
                self.assertEqual(p.wait(20), 0)
        if os.geteuid():
            self.fails(2, "--run-dir", env=dict(FETHD_RUN_DIR="", XDG_RUNTIME_DIR=""))


class RunDir(Base):
    def test_one_that_is_not_ours_alone_is_refused(self):
        d = self.daemon(wait=None)

        def refused(words, path):
            before = tree(d.dir)
            self.fails(1, words, "--run-dir", path)
            self.assertEqual(tree(d.dir), before)
        refused("absolute", "relative/run")
        refused("absolute", "./run")
        refused(("too long", "/"), d.dir + "/" + "x" * 60)
        refused("cannot make", d.dir + "/missing/run")
        os.mkdir(d.dir + "/real")
        os.symlink(d.dir + "/real", d.dir + "/link")
        os.symlink(d.dir + "/nowhere", d.dir + "/dangling")
        for name in ("link", "link/", "link//", "dangling", "dangling/"):
            refused("", d.dir + "/" + name)
        open(d.dir + "/file", "w").close()
        refused("not a directory", d.dir + "/file")
        for mode in (0o775, 0o757, 0o777, 0o1777):
            os.chmod(d.dir + "/real", mode)
            refused("writable by others", d.dir + "/real")
        os.chmod(d.dir + "/real", 0o755)
        if os.geteuid() == 0:
            os.chown(d.dir + "/real", 4242, 0)
            refused("4242", d.dir + "/real")
            os.chown(d.dir + "/real", 0, 0)
        # what cannot be had inside it ends the start as well
        os.mkdir(d.dir + "/real/control.sock")
        refused("control.sock", d.dir + "/real")

    def test_an_existing_one_keeps_its_mode_and_what_is_in_it(self):
        d = self.daemon(wait=None)
        os.mkdir(d.run_dir, 0o700)
        os.mkdir(d.path("keep"))
        d.start()
        d.create("lab")
        self.assertEqual(os.stat(d.run_dir).st_mode & 0o7777, 0o700)
        self.assertEqual(d.stop(), 0)
        self.assertEqual(tree(d.run_dir), {"keep"})

    def test_modes(self):
        d = self.daemon()
        d.create("lab", backend=h.HOST_BACKEND)
        d.call("port.add", network="lab", name="p", kind="qemu")
        modes = {p: oct(os.lstat(d.path(p)).st_mode) for p in tree(d.run_dir)}
        sock, directory = oct(stat.S_IFSOCK | 0o600), oct(stat.S_IFDIR | 0o755)
        self.assertEqual(modes, {
            "control.sock": sock, "lab": directory, "lab/feth.sock": sock, "lab/qemu.sock": sock,
            "lab/ports": directory, "lab/ports/p": sock, "lab/vde": oct(stat.S_IFDIR | 0o1700), "lab/vde/ctl": sock,
            "lab/dgram": oct(stat.S_IFDIR | 0o1700), "lab/dgram/sock": sock, "state": oct(stat.S_IFREG | 0o600),
            **({} if sys.platform == "darwin" else {"lab/seqpacket.sock": sock})})
        self.assertEqual(os.stat(d.run_dir).st_mode & 0o7777, 0o755)

    def test_trailing_slashes_mean_the_same_directory(self):
        d = self.daemon(wait=None)
        run = d.run_dir
        d.run_dir += "//"
        d.start()
        r = d.create("lab", backend=h.HOST_BACKEND)
        self.assertEqual(r["path"], run + "/lab")
        self.fails(1, "another fethd", "--run-dir", run)
        d.kill()
        d.run_dir = run
        d.start()
        self.assertIn("removed pairs=1", d.new_log)

    def test_a_second_daemon_is_refused(self):
        d = self.daemon()
        d.create("lab", backend=h.HOST_BACKEND)
        pair = h.Pair(d)
        self.addCleanup(pair.close)
        before = tree(d.dir)
        for path in (d.run_dir, d.run_dir + "/", d.dir + "/./run"):
            self.fails(1, ("another fethd", d.dir), "--run-dir", path,
                       env=d.system.env)
            pair.check()
        self.assertEqual(tree(d.dir), before)
        self.assertEqual(d.call("network.show", network="lab")["ports"], 2)
        # two run directories are two daemons
        other = self.daemon()
        self.assertEqual(other.create("lab")["name"], "lab")


class Stop(Base):
    def fill(self, d):
        """Networks, ports and clients of every kind, some in the middle of something."""
        d.create("lab", backend="none")
        r = d.create("fk", backend=h.HOST_BACKEND, addresses=["10.0.0.1/24"])
        self.assertTrue(d.system.agrees(r))
        for n in ("lab", "fk"):
            d.call("port.add", network=n, name="q", kind="qemu", locked=True)
            d.call("port.add", network=n, name="n", kind="native")
        clients = [d.attach(), d.attach("fk"), d.qemu(), d.native(), d.control(), d.control(),
                   h.Qemu(d.path("lab/ports/q")), h.Native(d.path("fk/ports/n"))]
        clients[0].send_raw(b"\xc5\x05\xdc" + b"x" * 700)
        clients[2].send_raw(b"\0\0\5\0xyz")
        clients[4].send_raw(b"\x94\x00\x01")
        for c in clients:
            self.addCleanup(c.close)
        h.taken(clients[4])
        return clients

    def test_signals_leave_nothing(self):
        for sig in (signal.SIGTERM, signal.SIGINT):
            d = self.daemon()
            clients = self.fill(d)
            d.proc.send_signal(sig)
            self.assertEqual(d.proc.wait(20), 0)
            self.nothing_left(d)
            for c in clients:
                self.assertTrue(c.closed(2))
            self.assertEqual(clients[0].notes, [("network.removed", {"network": "lab"})])
            self.assertEqual(clients[1].notes, [("network.removed", {"network": "fk"})])

    def test_daemon_stop(self):
        d = self.daemon()
        clients = self.fill(d)
        with d.control() as c:
            c.order = []
            c.send_raw(b"\x94\x00\x01\xabdaemon.stop\x90\x94\x00\x02\xabdaemon.show\x90")
            self.assertEqual(c.reply(1), {})
            self.assertTrue(c.closed())
            self.assertEqual([o[1] for o in c.order], [1])
        self.assertEqual(d.proc.wait(20), 0)
        self.nothing_left(d)
        for c in clients:
            self.assertTrue(c.closed(2))

    def test_signals_that_do_not_stop_it(self):
        d = self.daemon()
        d.create("lab")
        pair = h.Pair(d)
        self.addCleanup(pair.close)
        for sig in (signal.SIGHUP, signal.SIGPIPE):
            d.proc.send_signal(sig)
            pair.check()
        d.proc.send_signal(signal.SIGSTOP)
        d.proc.send_signal(signal.SIGCONT)
        pair.check()

    def test_started_without_standard_files(self):
        """What it opens must not get their numbers: the log would go there, and libuv would not close it."""
        d = self.daemon(wait=None)
        d.proc = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *d.prefix, h.FETHD, "--run-dir", d.run_dir],
                                  env=d.env)
        h.poll_until("it serves", lambda: os.path.exists(d.path("control.sock")))
        for fd in range(3):
            self.assertEqual(os.readlink(f"/proc/{d.proc.pid}/fd/{fd}"), "/dev/null")
        d.create("lab")
        with d.attach("lab") as a, d.attach("lab") as b:
            a.send(h.frame(h.BROADCAST, h.mac(1), b"hello"))
            self.assertEqual(b.recv()[14:], b"hello")
        d.proc.terminate()
        self.assertEqual(d.proc.wait(20), 0)
        self.assertFalse(os.path.exists(d.run_dir))

    def test_twice_at_once(self):
        d = self.daemon()
        self.fill(d)
        for _ in range(5):
            d.proc.send_signal(signal.SIGTERM)
        self.assertEqual(d.proc.wait(20), 0)
        self.nothing_left(d)

    def test_what_is_not_ours_stays(self):
        d = self.daemon()
        self.fill(d)
        keep = ["foreign", "lab/foreign", "lab/ports/foreign", "lab/sub/deep"]
        os.mkdir(d.path("lab/sub"))
        for name in keep:
            open(d.path(name), "w").close()
        os.symlink("/etc/passwd", d.path("fk/link"))
        foreign = d.system.foreign()
        self.assertEqual(d.stop(), 0)
        self.assertEqual(tree(d.run_dir), {*keep, "lab", "lab/ports", "lab/sub", "fk", "fk/link"})
        self.assertEqual(d.system.left(), [foreign])
        d.start()
        self.assertEqual(d.create("lab")["name"], "lab")  # such leftovers are no hindrance
        self.assertEqual(d.create("fk")["name"], "fk")


class Crash(Base):
    def test_a_new_daemon_cleans_what_the_old_one_left_and_only_that(self):
        d = self.daemon()
        Stop.fill(self, d)
        # the same run directory, but for one more letter
        other = self.daemon(run_dir=d.run_dir + "2", system=d.system)
        theirs = other.create("other", backend=h.HOST_BACKEND)
        os.mkdir(d.path("mine"))
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(d.path("mine/sock"))
        for name in ("file", "lab/file", "lab/ports/file", "mine/file"):
            open(d.path(name), "w").close()
        os.symlink(d.path("mine/sock"), d.path("lab/ports/link"))
        os.symlink(d.path("mine"), d.path("lab/dirlink"))
        d.kill()
        self.assertTrue(os.path.exists(d.path("lab/feth.sock")))
        self.assertGreater(set(d.system.left()), set(d.system.names(theirs)))
        d.start()
        self.assertEqual(tree(d.run_dir), {
            "control.sock", "state", "file", "mine", "mine/sock", "mine/file", "lab", "lab/file",
            "lab/ports", "lab/ports/file", "lab/ports/link", "lab/dirlink"})
        self.assertEqual(d.system.left(), d.system.names(theirs))
        self.assertEqual(len(d.system.left()), 2 if h.DARWIN else 4)
        self.assertIn("removed pairs=1", d.new_log)
        self.assertEqual(d.call("network.list"), {"items": [], "next": None})
        # nothing of it hinders what is made anew
        for n in ("lab", "fk"):
            d.create(n, backend=h.HOST_BACKEND)
        pair = h.Pair(d)
        self.addCleanup(pair.close)
        pair.check()
        self.assertEqual(other.call("network.show", network="other")["name"], "other")
        other.stop()

    def test_units_are_remembered(self):
        d = self.daemon()
        unit = d.create("lab", backend=h.HOST_BACKEND)["unit"]
        d.call("network.delete", network="lab")
        d.system.take(f"feth{unit}")
        self.assertEqual(d.create("lab", backend=h.HOST_BACKEND)["unit"], unit + 1)
        self.assertEqual(d.create("asked", backend=h.HOST_BACKEND, unit=at(4242))["unit"], at(4242))
        d.create("gone", backend=h.HOST_BACKEND, unit=at(4243))
        d.call("network.delete", network="gone")
        d.system.give_back(f"feth{unit}")
        for _ in range(3):  # also if it crashes again before they are made again
            d.kill()
            d.start()
        self.assertEqual(d.create("lab", backend=h.HOST_BACKEND)["unit"], unit + 1)
        d.kill()
        d.start()
        self.assertEqual(d.create("asked", backend=h.HOST_BACKEND)["unit"], at(4242))
        self.assertNotEqual(d.create("gone", backend=h.HOST_BACKEND)["unit"], at(4243))
        # who asks for another unit gets it
        self.assertEqual(d.create("lab", backend=h.HOST_BACKEND, unit=at(4300))["unit"], at(4300))
        # deleted in order it is forgotten
        d.call("network.delete", network="lab")
        self.assertEqual(d.create("lab", backend=h.HOST_BACKEND)["unit"], unit)
        self.assertEqual(d.stop(), 0)
        d.start()
        self.assertNotEqual(d.create("asked", backend=h.HOST_BACKEND)["unit"], at(4242))

    def test_a_remembered_unit_that_is_taken_by_now(self):
        d = self.daemon()
        d.create("lab", backend=h.HOST_BACKEND, unit=at(4242))
        d.kill()
        d.system.take(f"feth{at(4242)}")
        d.start()
        self.assertEqual(d.create("lab", backend=h.HOST_BACKEND)["unit"], at(4243))

    def test_nonsense_in_the_state_file(self):
        d = self.daemon(wait=None)
        os.mkdir(d.run_dir)
        victim = d.dir + "/victim"
        os.mkdir(victim)
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.bind(victim + "/sock")
        for text in (b"", b"\0" * 5000, os.urandom(5000), b"lab\n", b"lab x y\n", b"lab -1 z\n",
                     b"../victim 100 -\n", b"/etc 100 -\n", b"a/../../victim 1 -\n",
                     b"x" * 100000 + b"\n", b"lab 99999999999999999999 -\n", b"state 100 -\n",
                     b"lab 4242 -\n" * 5000, b"".join(b"n%d 200 -\n" % i for i in range(500)),
                     b"control 0 -\nlab 4294967295 -"):
            with open(d.path("state"), "wb") as f:
                f.write(text)
            d.start()
            unit = d.create("lab", backend=h.HOST_BACKEND)["unit"]
            self.assertTrue(at(100) <= unit <= at(4999), unit)
            self.assertEqual(d.stop(), 0)
            self.assertEqual(tree(d.run_dir), set(), text[:40])
            self.assertEqual(tree(victim), {"sock"})

    def test_stale_temporary_files(self):
        """What a crash between making and renaming leaves."""
        d = self.daemon(wait=None)
        os.mkdir(d.run_dir)
        for path in ("control.sock.new", "control.sock"):
            with socket.socket(socket.AF_UNIX) as s:
                s.bind(d.path(path))
        with open(d.path("state.new"), "w") as f:
            f.write("lab 4000 -\n")
        d.start()
        self.assertEqual(d.call("network.list")["items"], [])
        self.assertEqual(d.stop(), 0)
        self.assertEqual(tree(d.run_dir), set())
        # a link there is not followed
        victim = d.dir + "/victim"
        with open(victim, "w") as f:
            f.write("keep")
        os.symlink(victim, d.path("state.new"))
        os.symlink(victim, d.path("control.sock.new"))
        d.start()
        d.create("lab")
        self.assertEqual(h.text_of(victim), "keep")
        self.assertEqual(d.stop(), 0)
        self.assertEqual(tree(d.run_dir), set())
        self.assertEqual(h.text_of(victim), "keep")

    def test_state_that_is_a_link_or_a_directory(self):
        d = self.daemon(wait=None)
        os.mkdir(d.run_dir)
        victim = d.dir + "/victim"
        with open(victim, "w") as f:
            f.write("lab 4242 -\n")
        os.symlink(victim, d.path("state"))
        d.start()
        d.create("lab", backend=h.HOST_BACKEND)
        self.assertEqual(d.stop(), 0)
        self.assertEqual(h.text_of(victim), "lab 4242 -\n")
        os.mkdir(d.path("state"))
        d.start()
        if h.DARWIN:  # where nothing else would tell whose the pair is
            with self.assertRaisesRegex(h.RpcError, "system.*run/state"):
                d.create("lab", backend=h.HOST_BACKEND)
        made = d.create("lab", backend="none" if h.DARWIN else h.HOST_BACKEND)
        self.assertEqual(made["name"], "lab")  # it serves, and says that it forgets
        self.assertIn("warn: state:", d.new_log)
        self.assertEqual(d.stop(), 0)
        self.assertEqual(tree(d.run_dir), {"state"})


class Descriptors(Base):
    def test_none_are_lost(self):
        d = self.daemon()
        d.create("lab", backend=h.HOST_BACKEND)

        def fds():
            return len(os.listdir(f"/proc/{d.proc.pid}/fd"))
        with d.control() as c:
            c.call("hello")  # now it is accepted, and counts
            before = fds()
            for i in range(20):
                c.call("port.open", network="lab", name=f"x{i}")
                c.call("port.add", network="lab", name=f"d{i}", kind="qemu")
                c.call("network.enter", network="lab")
            clients = [d.attach() for _ in range(20)] + [d.qemu() for _ in range(20)]
            with self.assertRaises(h.RpcError):
                c.call("port.open", network="lab", name="x1")
            for x in clients:
                x.close()
            for fd in c.fds:
                os.close(fd)
            c.fds = []
            for i in range(20):
                c.call("port.remove", network="lab", name=f"d{i}")
            h.poll_until("as before", lambda: fds() <= before)
            for _ in range(5):
                c.call("network.create", network="more", backend=h.HOST_BACKEND)
                c.call("network.delete", network="more")
                with self.assertRaises(h.RpcError):
                    c.call("network.create", network="more", backend=h.HOST_BACKEND, unit=5)
            h.poll_until("as before", lambda: fds() <= before)

    def test_those_that_clients_send_are_closed(self):
        """Nobody asked for them; the connection goes on."""
        d = self.daemon()
        d.create("lab")
        pair = h.Pair(d)
        self.addCleanup(pair.close)
        before = len(os.listdir(f"/proc/{d.proc.pid}/fd"))
        clients = [d.native(), d.control(), *pair.ends]
        f = h.frame(pair.macs[0], pair.macs[1], b"with descriptors")
        data = [b"\x94\x00\x01\xa5hello\x90"] * 2 + [b"\xc4" + bytes([len(f)]) + f,
                                                       struct.pack("!I", len(f)) + f]
        for n in (1, 16, 253):
            for c, sent in zip(clients, data):
                try:
                    socket.send_fds(c.sock, [sent], [2] * n)
                except PermissionError:  # SO_PASSRIGHTS, Linux 6.16: the sender is refused
                    c.send_raw(sent)
                h.taken(c)
        for c in clients[:2]:
            self.addCleanup(c.close)
            self.assertEqual(c.reply(1)["version"], 1)
        h.poll_until("all are closed",
                     lambda: len(os.listdir(f"/proc/{d.proc.pid}/fd")) <= before + 2)
        h.drain(*pair.ends)
        pair.check()

    def cpu(self, d):
        """Seconds of processor time so far."""
        fields = h.text_of(f"/proc/{d.proc.pid}/stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_an_idle_daemon_is_idle(self):
        d = self.daemon()
        for i in range(5):
            d.create(f"n{i}", backend=h.HOST_BACKEND if i else "none")
        d.call("network.set", network="n1", mtu=1400, up=False, addresses=["10.0.0.1/24"])
        d.call("port.add", network="n2", name="p", kind="qemu")
        with d.attach("n1"), d.qemu("n2"), d.native("n0"), d.control():
            time.sleep(0.3)
            was = self.cpu(d)
            time.sleep(1.5)
            self.assertLess(self.cpu(d) - was, 0.1)

    def test_running_out_of_them(self):
        """Accepting pauses, without spinning, and goes on when there are some again."""
        d = self.daemon(prefix=[*h.ISOLATED, "prlimit", "--nofile=64"])
        d.create("lab")
        pair = h.Pair(d)
        self.addCleanup(pair.close)
        control = d.control()
        control.call("daemon.show")
        crowd = [d.native() for _ in range(70)]
        for c in crowd:
            self.addCleanup(c.close)
            c.request("hello")
        h.poll_until("out of descriptors", lambda: "out of descriptors" in d.log)
        pair.check(rounds=20)
        before = tree(d.dir)
        for method, params in (("network.create", dict(network="x", backend=h.HOST_BACKEND)),
                               ("network.create", dict(network="x", backend="none")),
                               ("port.add", dict(network="lab", name="x", kind="qemu")),
                               ("port.open", dict(network="lab")),
                               ("network.create", dict(network="y", backend=h.SYSTEM_BACKEND))):
            with self.assertRaises(h.RpcError, msg=method) as e:
                control.call(method, **params)
            self.assertIn(e.exception.code, ("system", "denied"), e.exception)
            self.assertRegex(e.exception.message, r"Too many open files|CAP_NET", method)
        self.assertEqual(tree(d.dir), before)
        self.assertEqual([p["name"] for p in d_ports(control) if p["kind"] != "host"],
                         ["native-1", "qemu-1"])
        was = self.cpu(d)
        time.sleep(1.0)
        self.assertLess(self.cpu(d) - was, 0.3, "it spins")
        for c in crowd[:50]:
            c.close()
        for c in crowd[50:]:
            self.assertEqual(c.reply(1)["network"], "lab")
        pair.check()
        self.assertEqual(control.call("network.create", network="x", backend="none")["name"], "x")
        control.close()


def d_ports(control):
    return control.items("port.list", network="lab")


if __name__ == "__main__":
    h.main()
