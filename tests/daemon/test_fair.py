"""test_fair.py - what one client does to the loop, the memory and the descriptors is its own affair.

Each of these was a hole once: words lost at a close, calls that held the loop, descriptors that did, a
limit of everybody's that one could use up.
"""
import array
import os
import select
import signal
import socket
import struct
import unittest

import msgpack

import harness as h
import test_offload
from harness import Daemon, Native, RpcError, frame, mac


def request(method, msgid, **params):
    return msgpack.packb([0, msgid, method, [params]])


def refuses_descriptors():
    """Whether the kernel knows SO_PASSRIGHTS (83); the simulated Darwin kernel has Linux's sockets."""
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.setsockopt(socket.SOL_SOCKET, 83, 0)
        except OSError:
            return False
    return True


def stopped(pid):
    """Whether no thread of a process runs, after SIGSTOP."""
    return all(h.text_of(f"/proc/{pid}/task/{t}/stat").rpartition(")")[2].split()[0] == "T"
               for t in os.listdir(f"/proc/{pid}/task"))


class Fair(unittest.TestCase):
    def setUp(self):
        self.d = self.enterContext(Daemon())
        self.d.create()

    def test_what_was_sent_before_a_close_is_carried_out(self):
        """A close with unread bytes resets the connection: what was sent is taken all the same."""
        rx = self.enterContext(self.d.attach())
        for i in range(50):
            c = self.d.native()
            c.send_raw(request("attach", 1))
            self.assertTrue(select.select([c.sock], [], [], 10)[0])  # the answer stays unread
            f = frame(h.BROADCAST, mac(i), b"last words")
            c.send(f)
            c.close()
            self.assertEqual(rx.recv(), f)
        for i in range(20):
            c = self.d.control()
            c.send_raw(request("daemon.show", 1))
            self.assertTrue(select.select([c.sock], [], [], 10)[0])
            c.send_raw(request("network.create", 2, network=f"n{i}", backend="none"))
            c.close()
        h.poll_until("all networks are made",
                     lambda: len(self.d.call("network.list", limit=256)["items"]) == 21)

    def test_a_frame_for_who_has_gone_does_not_swallow_what_that_one_sent(self):
        rx = self.enterContext(self.d.attach(mac=h.mac_text(mac(1))))
        for i in range(50):
            c = self.d.attach()
            last = frame(mac(1), mac(1000 + i), b"last words")
            c.send(last)
            c.close()
            rx.send(frame(h.BROADCAST, mac(1), b"anybody"))
            self.assertEqual(rx.recv(), last)

    def test_calls_by_the_thousand_wait_for_each_other_not_others_for_them(self):
        """Frames between two others overtake the calls of a third, in thousands in one write."""
        a, b = self.enterContext(self.d.attach()), self.enterContext(self.d.attach())
        for i in range(2000):  # a full list is the dearest call
            a.send(frame(h.BROADCAST, mac(2000 + i), b"learn me"))
        with self.d.control() as c:
            h.poll_until("the table is filled", lambda: b.recv() and
                         len(c.items("fdb.list", network="lab", limit=256)) >= 2000)
        noisy = self.enterContext(self.d.native())
        n = 5000
        noisy.send_raw(b"".join(request("fdb.list", i, limit=1) for i in range(n)))
        rounds = 0
        while len(noisy.replies) < n:
            noisy.read()
            if len(noisy.replies) < n:
                f = frame(h.BROADCAST, mac(1), rounds.to_bytes(4, "big"))
                a.send(f)
                while b.recv() != f:
                    pass
                rounds += 1
        self.assertGreater(rounds, 10)
        self.assertEqual(sorted(noisy.replies), list(range(n)))

    def assert_a_call_comes_between(self, c, tx, one, many):
        """A call of `c` is answered before half of the frames are dealt with that lie in the socket of
        `tx` when the daemon wakes."""
        dealt_with = 0
        while not dealt_with:  # the call may be the first to be seen
            before = c.call("stats.get", limit=1)["network"]["rx_frames"]
            self.d.proc.send_signal(signal.SIGSTOP)
            try:
                h.poll_until("it has stopped", lambda: stopped(self.d.proc.pid))
                tx.send_raw(one * many)
                asked = c.request("stats.get", limit=1)
            finally:
                self.d.proc.send_signal(signal.SIGCONT)
            dealt_with = c.reply(asked)["network"]["rx_frames"] - before
            self.assertLess(dealt_with, many / 2)
            h.poll_until("the others were, too", lambda: c.call("stats.get", limit=1)[
                "network"]["rx_frames"] == before + many)

    def test_broadcasts_to_many_do_not_hold_the_others(self):
        """What lies in a socket was dealt with in one go once: a call behind it waited for thousands
        of frames to each of these ports."""
        self.d.create("wide", defaults={"storm": 0})
        ports = 150
        for i in range(ports):
            c = self.d.qemu("wide") if i % 2 else self.d.attach("wide")
            self.addCleanup(c.close)
        h.poll_until("all are ports", lambda: len(self.d.clients("wide")) == ports)
        many = 2000
        one = {"native": msgpack.packb(frame(h.BROADCAST, mac(1), size=60)),
               "qemu": struct.pack("!I", 60) + frame(h.BROADCAST, mac(2), size=60)}
        for kind in one:
            with self.subTest(kind), self.d.native("wide") as c:
                tx = self.enterContext(self.d.qemu("wide") if kind == "qemu" else self.d.attach("wide"))
                h.poll_until("it is a port", lambda: len(self.d.clients("wide")) == ports + 1)
                ports += 1
                self.assert_a_call_comes_between(c, tx, one[kind], many)

    def test_frames_that_are_to_be_cut_do_not_hold_the_others(self):
        """One of 554 bytes becomes 500."""
        self.d.create("cut", backend="none")
        self.enterContext(self.d.attach("cut", name="rx", mac=h.mac_text(mac(2))))
        tx = self.enterContext(self.d.native("cut"))
        tx.call("attach", name="tx", mac=h.mac_text(mac(1)), offload={"tx": ["csum", "tso4"]})
        data, start, at = test_offload.packet(mac(2), mac(1), bytes(500))
        one = test_offload.owing(data, start, at, test_offload.TCPV4, 1)
        many = 120
        c = self.enterContext(self.d.native("cut"))
        self.assert_a_call_comes_between(c, tx, one, many)

    def test_descriptors_sent_unasked_are_closed(self):
        for how in "connected", "opened":
            with self.subTest(how):
                self.descriptors_sent_unasked_are_closed(how)

    def descriptors_sent_unasked_are_closed(self, how):
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        with self.d.native() as c:
            if how == "opened":
                c.call("port.open", kind="native")
                c = self.enterContext(Native.from_fd(c.fds.pop()))
                c.call("port.open", kind="native")
                self.assertEqual(len(c.fds), 1, "it takes what is sent to it")
            try:
                c.sock.sendmsg([request("hello", 1)], [
                    (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [write]))])
                refused = False
                c.reply(1)
            except PermissionError:
                refused = True
            self.assertEqual(refused, refuses_descriptors(), "Linux 6.16 and later refuse them for us")
            os.close(write)
            self.assertTrue(select.select([read], [], [], 10)[0], "the pipe is closed everywhere")
            self.assertEqual(os.read(read, 1), b"")
            self.assertEqual(c.call("hello")["version"], 1)

    def test_a_pool_that_others_filled_costs_a_reader_frames_not_its_connection(self):
        reader = self.enterContext(self.d.attach(mac=h.mac_text(mac(1))))
        full = [self.d.attach() for _ in range(280)]
        for c in full:
            self.addCleanup(c.close)
        tx = self.enterContext(self.d.attach())
        tx.sock.settimeout(30)
        some = msgpack.packb(frame(h.BROADCAST, mac(2), b"x" * 200)) * 100  # each is copied
        for _ in range(100):
            tx.send_raw(some)
            while reader.frames or not reader.silent(0.001):
                reader.frames.clear()
            if self.d.stats()["drops"]["no_memory"]:
                break
        self.assertGreater(self.d.stats()["drops"]["no_memory"], 0)
        f = frame(mac(1), mac(2), b"still here")
        tx.send(f)
        while reader.recv(seconds=20) != f:
            pass
        self.assertEqual(reader.call("hello")["version"], 1)

    def test_tiny_broadcasts_that_wait_take_little_more_than_their_bytes(self):
        with open(f"/proc/{self.d.proc.pid}/maps") as f:
            maps = f.read()
        if "asan" in maps or "tsan" in maps:
            self.d.stop()
            self.d = self.enterContext(self.release())
            self.d.create()
        full = [self.d.attach() for _ in range(60)]
        for c in full:
            self.addCleanup(c.close)
        tx = self.enterContext(self.d.attach(storm=0))
        before = self.d.rss_kib()
        tiny = msgpack.packb(frame(h.BROADCAST, mac(2)))
        for _ in range(60):
            tx.send_raw(tiny * 2000)
        h.poll_until("all are full", lambda: self.d.stats()["drops"]["queue_full"] > 60)
        with self.d.control() as c:
            queued = sum(r["queued_bytes"] for r in c.items("stats.get", network="lab"))
        self.assertLess(self.d.rss_kib() - before, 1.5 * queued / 1024 + 4096)

    @staticmethod
    def release():
        path = os.environ.get("FETHD_RELEASE")
        if not path or not os.path.exists(path):
            raise unittest.SkipTest("FETHD_RELEASE names no release build; memory is not measured under ASan")
        old, h.FETHD = h.FETHD, path
        try:
            return Daemon()
        finally:
            h.FETHD = old

    def test_run_directory_is_the_same_by_any_name(self):
        link = self.d.dir + "/link"
        os.symlink(self.d.dir, link)
        other = self.enterContext(Daemon(run_dir=link + "/run", wait=False))
        self.assertEqual(other.proc.wait(20), 1)
        self.assertIn("another fethd serves", other.log)
        other.proc = None
        colon = self.enterContext(Daemon(run_dir=self.d.dir + "/a:b", wait=False))
        self.assertEqual(colon.proc.wait(20), 1)
        self.assertIn("without ':'", colon.log)
        colon.proc = None


if __name__ == "__main__":
    h.main()
