"""test_vde.py - vde/ctl: clients of vde_switch's protocol as they are, and as they should not be."""
import os
import socket
import stat
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
# pylint: disable=wrong-import-position
import harness as h  # noqa: E402
import vdeclient  # noqa: E402
from vdeclient import Vde  # noqa: E402

STRANGER = 65533


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.d = cls.enterClassContext(h.Daemon())
        cls.d.create("lab")
        cls.d.create("jumbo", mtu=16000)
        cls.pair = h.Pair(cls.d)
        cls.addClassCleanup(cls.pair.close)
        cls.ctl = cls.d.path("lab/vde/ctl")

    def setUp(self):
        self.here = self.files()
        self.addCleanup(self.all_is_as_before)  # the last, when clients are closed

    def all_is_as_before(self):
        h.poll_until("every client is gone", lambda: len(self.d.clients()) == 2)
        h.poll_until("nothing of it is left", lambda: self.files() == self.here)
        self.pair.check()

    def files(self):
        return sorted(os.listdir(self.d.path("lab/vde")))

    def vde(self, *args, **kw):
        return self.enterContext(Vde(self.ctl, *args, **kw))

    def refused(self, path, why=None, **kw):
        """A client that names this socket is let go unanswered; @why is in the log."""
        before = len(self.d.log)
        with h.connected(self.ctl) as c:
            c.sendall(vdeclient.request(path, **kw))
            with self.assertRaises(h.Closed):
                vdeclient.answer(c)
        if why:
            self.assertIn(why, self.d.log[before:])
        self.assertEqual(len(self.d.clients()), 2)


class Clients(Base):
    def test_both_versions_are_ports_that_send_and_receive(self):
        for version in (1, 3):
            a = self.vde(version=version)
            b = self.vde(version=version)
            self.assertEqual([p["kind"] for p in self.d.clients()][2:], ["vde", "vde"])
            a.send(h.frame(h.BROADCAST, h.mac(1), b"to all"))
            self.assertEqual(b.recv()[14:], b"to all")
            for n in range(3):
                b.send(h.frame(h.mac(1), h.mac(2), b"%d" % n, size=60 + 700 * n))
            for n in range(3):
                f = a.recv()
                self.assertEqual((f[14:15], len(f)), (b"%d" % n, 60 + 700 * n))
            self.assertTrue(a.silent() and b.silent())
            a.close()
            b.close()
            h.poll_until("both are gone", lambda: len(self.d.clients()) == 2)

    def test_who_a_port_is_is_who_connected(self):
        self.vde()
        p = self.d.port("vde-1")
        self.assertEqual((p["kind"], p["uid"], p["pid"], p["cap"]), ("vde", os.geteuid(), os.getpid(), 1518))

    def test_its_end_is_the_connections_end_and_the_sockets_end(self):
        a, b = self.vde(), self.vde()
        a.ctl.close()
        h.poll_until("its port is gone", lambda: len(self.d.clients()) == 3)
        with self.assertRaises(OSError):
            a.send(bytes(60))
        b.sock.close()  # and the next frame finds that out
        h.poll_until("its port is gone", lambda: self.pair.ends[0].send(
            h.frame(h.BROADCAST, self.pair.macs[0], b"", 0x9999)) or len(self.d.clients()) == 2)
        self.assertTrue(b.ended())

    def test_rights_that_change_while_clients_go_away(self):
        """Each is judged until it has left the list of clients."""
        c = self.enterContext(self.d.control())
        for i in range(60):
            vms = [self.vde() for _ in range(4)]
            asked = [c.request("network.set", network="lab", mode=("0660", "0600")[n & 1]) for n in range(8)]
            for vm in vms:
                vm.close()
            for a in asked:
                c.reply(a)

    def test_requests_in_pieces_and_what_a_client_says_of_itself(self):
        name = self.ctl[:-3].encode() + b".pieces"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s, h.connected(self.ctl) as c:
            s.bind(name)
            data = vdeclient.request(name, says=b"\x1b]0;\n" * 25)
            for i in range(0, len(data), 5):
                c.sendall(data[i:i + 5])
            path = vdeclient.answer(c)
            s.connect(path)
            s.send(h.frame(h.mac(9), h.mac(3), b"hello"))
            h.poll_until("it came", lambda: self.d.stats("vde-1")["rx_frames"] == 1)
        self.assertNotIn("\x1b", self.d.log)
        os.unlink(name)

    def test_a_client_that_is_not_connected_back_sends_by_path_like_user_mode_linux(self):
        name = b"\0" + struct.pack("=Iq", os.getpid(), 7)
        a = self.vde(name=name.ljust(108, b"\0"), connect=False)
        f = h.frame(h.BROADCAST, h.mac(4), b"abstract")
        a.sock.sendto(f, a.path)
        self.assertEqual(self.pair.ends[0].recv(), f)
        self.pair.ends[0].send(h.frame(h.mac(4), self.pair.macs[0], b"back"))
        self.assertEqual(a.recv()[14:], b"back")

    def test_frames_are_as_long_as_libvdeplug_has_room_for(self):
        a = self.enterContext(Vde(self.d.path("jumbo/vde/ctl")))
        b = self.enterContext(self.d.attach("jumbo"))
        self.assertEqual(self.d.port("vde-1", "jumbo")["cap"], 9234)
        for size in (9014, 9230):
            f = h.frame(h.mac(1), h.mac(2), size=size)
            a.send(h.frame(h.BROADCAST, h.mac(1)))
            b.send(f)
            self.assertEqual(a.recv(), f)
        b.send(h.frame(h.mac(1), h.mac(2), size=9231))
        h.poll_until("it is dropped", lambda: self.d.stats("vde-1", "jumbo")["drops"]["too_big_for_port"] == 1)
        a.send(h.frame(h.mac(2), h.mac(1), size=9231))
        h.poll_until("so is this", lambda: self.d.stats("vde-1", "jumbo")["drops"]["oversize"] == 1)

    def test_a_declared_port_has_a_socket_that_libvdeplug_reaches_as_a_group(self):
        self.d.call("port.add", network="lab", name="box", kind="vde", mac="02:00:00:00:00:77", locked=True)
        self.addCleanup(self.d.call, "port.remove", network="lab", name="box")
        path = self.d.path("lab/ports/box")
        a = self.enterContext(Vde(path, name=f"{self.d.dir}/client".encode()))
        self.assertEqual(self.d.port("box")["state"], "attached")
        self.assertEqual(os.path.dirname(a.path), os.fsencode(self.d.path("lab/vde")))
        a.send(h.frame(h.BROADCAST, h.mac(0x78), b"spoofed"), h.frame(h.BROADCAST, h.mac(0x77), b"own"))
        self.assertEqual(self.pair.ends[1].recv()[14:], b"own")
        self.assertEqual(self.d.stats("box")["drops"]["spoofed"], 1)
        with self.assertRaises(h.Closed):  # one client at a time
            Vde(path, name=f"{self.d.dir}/second".encode())
        a.close()
        h.poll_until("it waits", lambda: self.d.port("box")["state"] == "waiting")
        with Vde(path, name=f"{self.d.dir}/third".encode()):
            self.assertEqual(self.d.port("box")["state"], "attached")
        h.poll_until("it waits", lambda: self.d.port("box")["state"] == "waiting")
        self.d.call("port.remove", network="lab", name="box")
        self.assertFalse(os.path.exists(path))
        self.d.call("port.add", network="lab", name="box", kind="vde")

    def test_a_removed_port_and_network_close_their_clients(self):
        a = self.vde()
        self.d.call("port.remove", network="lab", name="vde-1")
        self.assertTrue(a.ended())
        self.d.create("gone")
        b = self.enterContext(Vde(self.d.path("gone/vde/ctl")))
        self.d.call("network.delete", network="gone")
        self.assertTrue(b.ended())
        self.assertFalse(os.path.exists(self.d.path("gone")))


class Crash(unittest.TestCase):
    def test_what_a_crash_leaves_is_gone_at_the_next_start(self):
        with h.Daemon() as d:
            d.create("lab")
            ctl = d.path("lab/vde/ctl")
            with Vde(ctl, connect=False) as a:
                d.kill()
                self.assertTrue(a.ended())
                self.assertEqual(len(os.listdir(d.path("lab/vde"))), 2)
                d.start()
                d.create("lab")
                self.assertEqual(os.listdir(d.path("lab/vde")), ["ctl"])
            with Vde(ctl):
                self.assertEqual(d.port("vde-1")["kind"], "vde")


class Hostile(Base):
    """What is wrong costs only who did it."""

    def errors(self):
        return self.d.call("daemon.show")["counters"]["protocol_error"]

    def test_greetings_that_are_none(self):
        good = vdeclient.request(b"/tmp/nobody")
        rows = [b"\0\0\0\x0e" + bytes(14), b"GET / HTTP/1.1\r\n\r\n", good[:4] + struct.pack("=I", 2) + good[8:],
                good[:4] + struct.pack("=I", 0) * 30, bytes(4096), b"\xff" * 4096,
                vdeclient.request(b"/tmp/nobody", kind=2), vdeclient.request(b"x" * 108),
                vdeclient.request(b"/tmp/x", family=socket.AF_INET)]
        before = self.errors()
        for data in rows:
            with self.subTest(data[:16]), h.connected(self.ctl) as c:
                c.sendall(data)
                with self.assertRaises(h.Closed):
                    vdeclient.answer(c)
        self.assertEqual(self.errors() - before, len(rows))

    def test_greetings_cut_anywhere(self):
        data = vdeclient.request(b"/tmp/nobody")
        for n in (0, 1, 3, 4, 7, 8, 11, 12, 13, 100, 121):
            with h.connected(self.ctl) as c:
                c.sendall(data[:n])
                c.shutdown(socket.SHUT_WR)
                with self.assertRaises(h.Closed):
                    vdeclient.answer(c)

    def test_one_that_says_too_much_of_itself(self):
        before = self.errors()
        a = self.vde()
        a.ctl.sendall(b"x" * 124)  # beside the 4 bytes it came with
        a.send(h.frame(h.mac(9), h.mac(3)))
        h.poll_until("it came", lambda: self.d.stats("vde-1")["rx_frames"] == 1)
        a.ctl.sendall(b"x")
        self.assertTrue(a.ended())
        self.assertEqual(self.errors() - before, 1)

    def test_many_that_ask_and_never_listen(self):
        a = [self.vde() for _ in range(20)]
        for _ in range(1000):
            self.pair.ends[0].send(h.frame(h.BROADCAST, self.pair.macs[0], size=1500, ethertype=0x9999))
        h.taken(self.pair.ends[0])
        self.pair.check()
        drops = h.poll_until("some is dropped", lambda: self.d.stats("vde-1")["drops"]["queue_full"])
        self.assertLess(drops, 1000)
        h.drain(*self.pair.ends)
        for c in a:
            c.close()

    def test_lengths_that_no_frame_has(self):
        a = self.vde()
        a.send(b"", b"x", bytes(13), bytes(1519), bytes(60000))
        a.send(h.frame(h.BROADCAST, h.mac(5), b"still here"))
        self.assertEqual(self.pair.ends[0].recv()[14:], b"still here")
        self.assertEqual({k: v for k, v in self.d.stats("vde-1")["drops"].items() if v}, {"runt": 3, "oversize": 2})

    def test_connections_that_ask_nothing_are_the_users_own_affair(self):
        idle = [h.connected(self.ctl) for _ in range(100)]
        with Vde(self.ctl) as a:
            a.send(h.frame(h.BROADCAST, h.mac(6), b"through"))
            self.assertEqual(self.pair.ends[0].recv()[14:], b"through")
        for c in idle:
            c.close()

    def test_nobody_else_sends_to_a_clients_socket(self):
        a = self.vde()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            with self.assertRaises(PermissionError):
                other.sendto(h.frame(h.BROADCAST, h.mac(7)), a.path)


class Named(Base):
    """Sockets that a client names in vain. A daemon of its own: of one uid 16 lines are written in 10 s."""

    def counted(self):
        got = self.d.call("daemon.show")["counters"]
        return got["protocol_error"], got["unreachable"], got["denied"]

    def test_sockets_that_are_not_the_clients_to_name(self):
        d = self.d.dir
        with open(f"{d}/file", "w", encoding="ascii"):
            pass
        os.mkdir(f"{d}/dir")
        listener = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.bind(f"{d}/stream")
        listener.listen()
        mine = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        mine.bind(f"{d}/mine")
        os.symlink("mine", f"{d}/link")
        closed = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        closed.bind(f"{d}/closed")
        closed.close()
        for path, why in ((f"{d}/none", f"{d}/none"), (f"{d}/file", "is no socket"), (f"{d}/dir", "is no socket"),
                          (f"{d}/link", "is no socket"), (f"{d}/stream", "Protocol wrong type"),
                          (f"{d}/closed", "Connection refused"), ("mine", "not absolute"),
                          (f"{d}/../{os.path.basename(d)}/mine", "goes up"), ("/" + "x" * 107, "has no end")):
            with self.subTest(path):
                self.refused(path.encode(), why)
        self.assertEqual(self.counted(), (3, 6, 0))
        self.refused(b"\0nobody has this name", "onnection refused")
        self.refused(b"/tmp/\n\x1b[31mfethd: info: forged\xff", r"/tmp/\x0a\x1b[31mfethd")
        self.assertEqual(self.counted(), (3, 8, 0))

    def test_who_asks_without_end_is_counted_and_does_not_fill_the_log(self):
        before, at = self.counted(), len(self.d.log)
        for n in range(200):
            self.refused(b"/tmp/nobody" if n & 1 else b"no path")
        self.assertEqual([a - b for a, b in zip(self.counted(), before)], [100, 100, 0])
        lines = [line for line in self.d.log[at:].splitlines() if "refused" in line or "protocol error" in line]
        self.assertLessEqual(len(lines), 16 * 4, "16 in 10 s, and nobody is so slow")


@unittest.skipUnless(os.geteuid() == 0, "becomes other users, so it needs root")
class Users(Base):
    """Root's daemon, and a client who is somebody else."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.d.call("network.set", network="lab", mode="0666")

    def test_the_directory_is_ours_and_sticky(self):
        def modes():
            return [(stat.S_IMODE(s.st_mode), s.st_uid) for s in map(os.stat, (self.d.path("lab/vde"), self.ctl))]
        self.assertEqual(modes(), [(0o1777, 0), (0o666, 0)])
        self.d.call("network.set", network="lab", mode="0660", owner=str(STRANGER), group=str(STRANGER))
        self.assertEqual(modes(), [(0o1777, 0), (0o666, 0)])  # the owner may not replace it
        self.d.call("network.set", network="lab", mode="0660", owner="root", group=str(STRANGER))
        self.assertEqual(modes(), [(0o1770, 0), (0o660, 0)])
        self.d.call("network.set", network="lab", mode="0666")

    def test_a_user_attaches_with_a_socket_of_its_own(self):
        def client():
            with Vde(self.ctl) as a:
                a.send(h.frame(h.BROADCAST, h.mac(8), b"of a user"))
                s = os.stat(a.path)
                return s.st_uid, stat.S_IMODE(s.st_mode), a.recv()[14:]
        f = h.frame(h.mac(8), self.pair.macs[0], b"back")
        import threading  # the answer comes while the client is in another process
        t = threading.Thread(target=lambda: (self.pair.ends[0].recv(), self.pair.ends[0].send(f)))
        t.start()
        self.assertEqual(h.run_as((STRANGER, STRANGER, []), client), (STRANGER, 0o600, b"back"))
        t.join()

    def test_a_user_cannot_have_frames_sent_to_others_sockets(self):
        victim = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        victim.bind(f"{self.d.dir}/victim")
        os.chmod(f"{self.d.dir}/victim", 0o666)
        hidden = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        hidden.bind(b"\0fethd-test-%d" % os.getpid())
        full = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        full.bind((b"\0fethd-test-%d" % os.getpid()).ljust(108, b"\0"))
        before = self.d.call("daemon.show")["counters"]["denied"]
        for path in (f"{self.d.dir}/victim".encode(), b"\0fethd-test-%d" % os.getpid()):
            def ask(path=path):
                with h.connected(self.ctl) as c:
                    c.sendall(vdeclient.request(path))
                    try:
                        return vdeclient.answer(c)
                    except h.Closed:
                        return None
            self.assertIsNone(h.run_as((STRANGER, STRANGER, []), ask))
        self.assertEqual(self.d.call("daemon.show")["counters"]["denied"] - before, 2)
        for s in (victim, hidden, full):
            s.setblocking(False)
            with self.assertRaises(BlockingIOError):
                s.recv(1)

    def test_a_user_attaches_by_an_abstract_name_of_its_own(self):
        def client():
            name = (b"\0\1\2" + struct.pack("=I", os.getpid())).ljust(108, b"\0")
            with Vde(self.ctl, name=name) as a:
                a.send(h.frame(h.BROADCAST, h.mac(8), b"abstract"))
                return a.ended(0.05)
        self.assertFalse(h.run_as((STRANGER, STRANGER, []), client))
        self.assertEqual(self.pair.ends[0].recv()[14:], b"abstract")

    def test_what_a_user_leaves_there_does_not_keep_the_network(self):
        self.d.create("mess", mode="0666")
        vde = self.d.path("mess/vde")

        def litter():
            os.mkdir(f"{vde}/a")
            os.mkdir(f"{vde}/ctl.new")
            os.mkdir(f"{vde}/full")
            for name in ("file", "full/file", "ctl.new/file"):
                with open(f"{vde}/{name}", "w", encoding="ascii"):
                    pass
            os.symlink("/etc", f"{vde}/link")
            for name in ("ctl", "."):
                try:
                    os.rename(f"{vde}/{name}", f"{vde}/x")
                    return "renamed"
                except OSError:
                    pass
            return "kept"
        self.assertEqual(h.run_as((STRANGER, STRANGER, []), litter), "kept")
        self.d.call("network.delete", network="mess")
        self.assertEqual(sorted(os.listdir(vde)), ["ctl.new", "full"])
        self.d.create("mess")
        with Vde(f"{vde}/ctl"):
            pass
        self.d.call("network.delete", network="mess")
        for name in ("full", "ctl.new"):
            os.unlink(f"{vde}/{name}/file")
        self.d.create("mess")
        self.d.call("network.delete", network="mess")
        self.assertFalse(os.path.exists(self.d.path("mess")))

    def test_a_right_that_is_taken_away_ends_the_port(self):
        r, w = os.pipe()

        def client():
            with Vde(self.ctl) as a, h.connected(self.ctl) as idle:
                os.write(w, b"x")
                idle.settimeout(10)
                return a.ended(), idle.recv(1)
        import threading
        out = []
        t = threading.Thread(target=lambda: out.append(h.run_as((STRANGER, STRANGER, []), client)))
        t.start()
        os.read(r, 1)
        self.d.call("network.set", network="lab", mode="0600")
        t.join()
        self.assertEqual(out, [(True, b"")])
        self.assertIn(f"revoked port net=lab uid={STRANGER}", self.d.log)
        self.d.call("network.set", network="lab", mode="0666")
        os.close(r)
        os.close(w)


if __name__ == "__main__":
    if sys.platform != "linux":
        h.skip_all("vdeclient.py packs Linux' addresses")
    h.main()
