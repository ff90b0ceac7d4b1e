"""test_messages.py - ports whose clients send a frame a message: SOCK_SEQPACKET, and descriptors that port.open
gives away."""
import array
import os
import signal
import socket
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

KINDS = ["dgram"] if h.DARWIN else ["dgram", "seqpacket"]


class Base(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon()
        self.addCleanup(self.d.__exit__, None, None, None)
        self.c = self.d.control()
        self.addCleanup(self.c.close)
        self.d.create("lab")
        self.r = self.d.attach(name="r")
        self.addCleanup(self.r.close)

    def open(self, kind, **params):
        r = self.c.call("port.open", network="lab", kind=kind, **params)
        self.assertEqual((r["fds"], r["kind"]), (1, kind))
        c = h.Messages(fd=self.c.fds.pop(0))
        self.addCleanup(c.close)
        return c

    def connect(self):
        c = h.Messages(self.d.path("lab/seqpacket.sock"))
        self.addCleanup(c.close)
        return c

    def drops(self, name, reason):
        return self.d.stats(name)["drops"].get(reason, 0)


class Given(Base):
    def test_each_kind_is_a_port_until_it_is_closed(self):
        for kind in KINDS:
            vm = self.open(kind, name="vm", mac="02:00:00:00:00:05", locked=True)
            p = self.d.port("vm")
            self.assertEqual((p["state"], p["kind"], p["uid"], p["pid"]), ("attached", kind, os.getuid(), os.getpid()))
            self.assertEqual(vm.sock.type, socket.SOCK_DGRAM if kind == "dgram" else socket.SOCK_SEQPACKET)
            self.assertTrue(os.get_blocking(vm.sock.fileno()) or vm.sock.gettimeout())
            h.exchange(vm, self.r, 5)
            h.exchange(vm, self.r, 5, size=1514)
            spoofed = h.frame(h.BROADCAST, h.mac(6))
            vm.send(spoofed)
            h.poll_until("it is seen", lambda: self.drops("vm", "spoofed"))
            vm.close()
            h.poll_until("it is gone", lambda: self.d.port("vm") is None, 20)

    def test_two_of_them_reach_each_other(self):
        a, b = self.open(KINDS[0]), self.open(KINDS[-1])
        h.exchange(a, b, 7)
        h.exchange(b, a, 8)

    def test_a_datagram_socket_that_is_closed_is_found_out_without_a_frame(self):
        """Nothing tells the daemon: it asks."""
        self.c.call("network.set", network="lab", multicast="flood")  # so that nobody is sent a query
        vm = self.open("dgram", name="vm")
        vm.close()
        h.poll_until("it is gone", lambda: self.d.port("vm") is None, 20)
        self.assertIn("why=nobody has its socket open", self.d.log)

    def test_a_frame_for_a_datagram_socket_that_is_closed_ends_it_at_once(self):
        vm = self.open("dgram", name="vm")
        vm.close()
        self.r.send(h.frame(h.BROADCAST, h.mac(1)))
        h.poll_until("it is gone", lambda: self.d.port("vm") is None, 3)

    def test_removed_and_deleted_ports_are_closed(self):
        for kind in KINDS:
            vm = self.open(kind, name="vm")
            self.c.call("port.remove", network="lab", name="vm")
            self.assertIsNone(self.d.port("vm"))
            if kind == "seqpacket":
                self.assertTrue(vm.closed())
        vms = [self.open(kind) for kind in KINDS]
        self.c.call("network.delete", network="lab")
        self.assertEqual(self.c.items("network.list"), [])
        del vms

    @unittest.skipIf(h.DARWIN, "its simulation is of host sides; sockets are this system's")
    def test_no_more_than_the_connections_of_a_user(self):
        """Counted in and out, whatever becomes of them."""
        for _ in range(3):
            vms = [self.open(kind) for kind in KINDS for _ in range(20)]
            for vm in vms:
                vm.close()
            self.r.send(h.frame(h.BROADCAST, h.mac(1)))  # whoever is closed is found out
            h.poll_until("all are gone", lambda: len(self.d.clients()) == 1)

    def test_what_taps_and_others_are_is_said(self):
        for kind in ("tap", "vde", "udp", "host", "dgrams", ""):
            h.refused(self, "invalid", self.c, "port.open", network="lab", kind=kind)


class Hostile(Base):
    def test_runts_oversize_and_nothing_are_counted_and_the_port_stays(self):
        for kind in KINDS:
            vm = self.open(kind, name=kind)
            for size in (0, 1, 13):
                vm.send(bytes(size))
            vm.send(b"\0" * 14)
            for size in (1519, 9000, 65553, 65600, 65601, 100000):
                vm.send(h.frame(h.BROADCAST, h.mac(2), size=size))
            h.exchange(vm, self.r, 5)
            self.assertEqual((self.drops(kind, "runt"), self.drops(kind, "oversize")), (3, 6), kind)

    def test_descriptors_that_come_along_are_closed(self):
        """Where the kernel lets them in at all (Linux before 6.16)."""
        for kind in KINDS:
            vm = self.open(kind)
            r, w = os.pipe()
            f = h.frame(h.BROADCAST, h.mac(5), b"with one")
            try:
                vm.sock.sendmsg([f], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [w] * 200))])
                self.assertEqual(self.r.recv(), f)
            except PermissionError:
                pass
            os.close(w)
            os.set_blocking(r, True)
            self.assertEqual(os.read(r, 1), b"")  # nobody has the other end
            os.close(r)
            h.exchange(vm, self.r, 5)

    def test_a_flood_of_nothing_ends_nothing_else(self):
        vms = [self.open(kind) for kind in KINDS]
        for vm in vms:
            for _ in range(2000):
                vm.send(b"")
        h.exchange(vms[0], self.r, 5)
        h.exchange(vms[-1], self.r, 6)

    def test_who_never_reads_delays_nobody_and_loses_whole_frames(self):
        for kind in KINDS:
            stuck = self.open(kind, name=f"stuck-{kind}")
            vm = self.open(kind)
            for i in range(3000):
                self.r.send(h.frame(h.BROADCAST, h.mac(1), i.to_bytes(4, "big"), size=1514))
                if i % 100 == 0:
                    while not vm.recv()[14:18] == i.to_bytes(4, "big"):
                        pass
            self.assertGreater(self.drops(f"stuck-{kind}", "queue_full"), 1000)
            self.assertLessEqual(self.d.stats(f"stuck-{kind}")["queued_bytes"], 256 * 1024)
            seen, last = 0, -1
            try:
                while True:
                    f = stuck.recv(seconds=0.5)
                    self.assertEqual(len(f), 1514)
                    number = int.from_bytes(f[14:18], "big")
                    self.assertGreater(number, last)
                    seen, last = seen + 1, number
            except TimeoutError:
                pass
            self.assertGreater(seen, 100)
            h.exchange(stuck, self.r, 5)
            stuck.close()
            vm.close()


@unittest.skipIf(h.DARWIN, "macOS has no SOCK_SEQPACKET")
class Seqpacket(Base):
    def test_many_clients_at_one_path(self):
        vms = [self.connect() for _ in range(5)]
        h.poll_until("all are ports", lambda: len(self.d.clients()) == 6)
        self.assertEqual({p["kind"] for p in self.d.clients() if p["name"] != "r"}, {"seqpacket"})
        f = h.frame(h.BROADCAST, h.mac(1), b"all")
        self.r.send(f)
        for vm in vms:
            self.assertEqual(vm.recv(), f)
        for i, vm in enumerate(vms):
            h.exchange(vm, self.r, 10 + i)
        for vm in vms[:3]:
            vm.close()
        h.poll_until("they are gone", lambda: len(self.d.clients()) == 3)
        h.exchange(vms[4], vms[3], 77)

    def test_a_declared_one_has_a_socket_of_its_own(self):
        r = self.c.call("port.add", network="lab", name="uml", kind="seqpacket", mac="02:00:00:00:00:05", locked=True)
        self.assertEqual(r["path"], self.d.path("lab/ports/uml"))
        for _ in range(2):
            with h.Messages(r["path"]) as vm:
                h.poll_until("attached", lambda: self.d.port("uml")["state"] == "attached")
                h.exchange(vm, self.r, 5)
                with h.Messages(r["path"]) as second:  # one client at a time
                    self.assertTrue(second.closed())
            h.poll_until("waiting", lambda: self.d.port("uml")["state"] == "waiting")
        self.c.call("port.remove", network="lab", name="uml")
        self.assertFalse(os.path.exists(r["path"]))

    def test_what_was_sent_before_the_end_arrives(self):
        with h.Messages(self.d.path("lab/seqpacket.sock")) as vm:
            frames = [h.frame(h.BROADCAST, h.mac(9), bytes([i])) for i in range(20)]
            vm.send(*frames)
        for f in frames:
            self.assertEqual(self.r.recv(), f)

    def test_what_was_sent_behind_nothing_arrives_too(self):
        """More than is read at once: the last of that is empty, and what is behind it waits when the end is known."""
        frames = [h.frame(h.BROADCAST, h.mac(9), bytes([i])) for i in range(40)]
        with h.Messages(self.d.path("lab/seqpacket.sock")) as vm:
            vm.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)  # nobody reads until all is sent
            h.exchange(vm, self.r, 9)
            os.kill(self.d.proc.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, self.d.proc.pid, os.WSTOPPED)
            try:
                for f in frames:
                    vm.send(f, b"")
                vm.close()
            finally:
                os.kill(self.d.proc.pid, signal.SIGCONT)
        for f in frames:
            self.assertEqual(self.r.recv(), f)
        h.poll_until("it is no port", lambda: len(self.d.clients()) == 1)

    def test_one_that_sends_no_more_has_ended(self):
        """What there is to be read then, without end, is nothing."""
        with h.Messages(self.d.path("lab/seqpacket.sock")) as vm:
            h.exchange(vm, self.r, 5)
            vm.sock.shutdown(socket.SHUT_WR)
            h.poll_until("it is no port", lambda: len(self.d.clients()) == 1)

    @unittest.skipIf(os.geteuid() != 0, "becomes another user")
    def test_who_may_not_attach_is_closed(self):
        def try_it(seconds=10.0):
            try:
                with h.Messages(self.d.path("lab/seqpacket.sock")) as c:
                    return c.closed(seconds)
            except PermissionError:
                return "fence"

        self.assertEqual(h.run_as((12345, 12345, []), try_it), "fence")
        self.c.call("network.set", network="lab", mode="0664")
        self.assertEqual(h.run_as((12345, 12345, []), try_it), True)
        self.c.call("network.set", network="lab", mode="0666")
        self.assertEqual(h.run_as((12345, 12345, []), lambda: try_it(0.3)), False)

    @unittest.skipIf(os.geteuid() != 0, "becomes another user")
    def test_a_right_that_is_taken_away_ends_the_port(self):
        self.c.call("network.set", network="lab", mode="0666")
        pid = os.fork()
        if not pid:
            os.setgroups([])
            os.setgid(12345)
            os.setuid(12345)
            vm = h.Messages(self.d.path("lab/seqpacket.sock"))
            vm.send(h.frame(h.BROADCAST, h.mac(9)))
            os._exit(0 if vm.closed(20) else 1)
        self.r.recv()
        self.c.call("network.set", network="lab", mode="0660")
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertIn("revoked port net=lab", self.d.log)


if __name__ == "__main__":
    h.main()
