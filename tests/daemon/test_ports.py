"""test_ports.py - declared ports and ports that are handed out as descriptors."""
import fcntl
import os
import socket
import stat
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402


class Base(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon()
        self.addCleanup(self.d.__exit__, None, None, None)
        self.c = self.d.control()
        self.addCleanup(self.c.close)
        self.d.create("lab")
        self.r = self.d.attach(name="r")
        self.addCleanup(self.r.close)

    def refused(self, code, c, method, **params):
        with self.assertRaises(h.RpcError, msg=f"{method} {params}") as e:
            c.call(method, **params)
        self.assertEqual(e.exception.code, code, e.exception)

    def add(self, name, kind, **params):
        r = self.c.call("port.add", network="lab", name=name, kind=kind, **params)
        self.assertEqual(r["path"], self.d.path("lab/ports", name))
        return r

    def state(self, name):
        p = self.d.port(name)
        return p and p["state"]

    def exchange(self, a, b, src=1):
        """A frame each way between two clients that are ports."""
        f = h.frame(h.BROADCAST, h.mac(src), os.urandom(20))
        a.send(f)
        self.assertEqual(b.recv(), f)
        f = h.frame(h.mac(src), h.mac(0x4444), os.urandom(20))
        b.send(f)
        self.assertEqual(a.recv(), f)


class Opened(Base):
    def take(self, c, result):
        self.assertEqual(len(c.fds), 1)
        return c.fds.pop(0)

    def test_each_kind_from_each_socket(self):
        with self.d.native() as n:
            for c in (self.c, n):
                for kind in (None, "qemu", "native"):
                    r = c.call("port.open", network="lab", kind=kind, name="vm",
                               mac="02:00:00:00:00:05")
                    fd = self.take(c, r)
                    self.assertTrue(stat.S_ISSOCK(os.fstat(fd).st_mode))
                    self.assertFalse(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK)
                    self.assertEqual(r, {
                        "fds": 1, "port": 2, "name": "vm", "kind": kind or "qemu", "cap": 1518,
                        "network": "lab", "mtu": 1500, "mac": "02:00:00:00:00:05"})
                    p = self.d.port("vm")
                    self.assertEqual((p["state"], p["kind"], p["uid"], p["pid"]),
                                     ("attached", kind or "qemu", os.getuid(), os.getpid()))
                    self.assertNotIn("path", p)
                    vm = h.Native.from_fd(fd) if kind == "native" else h.Qemu(fd=fd)
                    with vm:
                        self.exchange(vm, self.r, 5)
                    h.poll_until("it is gone", lambda: self.d.port("vm") is None)

    def test_a_native_one_is_a_port_and_can_call(self):
        r = self.c.call("port.open", network="lab", kind="native")
        with h.Native.from_fd(self.take(self.c, r)) as vm:
            self.assertEqual(vm.call("network.show")["name"], "lab")
            self.refused("exists", vm, "attach")
            self.assertEqual(vm.call("detach"), {})
            self.assertIsNone(self.d.port(r["name"]))
            self.assertEqual(vm.call("attach", name="again")["name"], "again")
            self.exchange(vm, self.r)
            self.c.call("network.set", network="lab", mtu=2000)
            self.assertEqual(vm.note("network.changed")["mtu"], 2000)
            self.c.call("network.delete", network="lab")
            self.assertEqual(vm.note("network.removed"), {"network": "lab"})
            self.assertTrue(vm.closed())

    def test_many_pipelined_each_with_its_own_descriptor(self):
        """Each answer comes in a read of its own, the descriptor with it."""
        n = 40
        for i in range(n):
            self.c.request("port.open", network="lab", name=f"vm{i}", mac=h.mac_text(h.mac(100 + i)))
        vms = []
        for i in range(n):
            before = len(self.c.fds)
            self.c.reply(i + 1)
            if before != len(self.c.fds):
                self.assertEqual(len(self.c.fds), before + 1)
        self.assertEqual(len(self.c.fds), n)
        for i, fd in enumerate(self.c.fds):
            vms.append(h.Qemu(fd=fd))
            f = h.frame(h.mac(100 + i), h.mac(1), str(i).encode())
            self.r.send(f)
            self.assertEqual(vms[i].recv(), f)
        self.c.fds = []
        for vm in vms:
            vm.close()
        h.poll_until("all gone", lambda: len(self.d.clients()) == 1)

    def test_descriptors_for_one_who_full_of_frames(self):
        """The answer with the descriptor comes whole, although frames wait before it."""
        with self.d.attach(name="s") as s:
            f = h.frame(h.BROADCAST, h.mac(1), size=1000)
            while not self.d.stats("s")["drops"]["queue_full"]:
                self.r.send(*[f] * 64)
            msgid = s.request("port.open", name="vm")
            s.request("hello")
            second = s.request("port.open", name="vm2")
            h.taken(s)
            s.reply(msgid)
            s.reply(second)
            self.assertEqual(len(s.fds), 2)
            self.assertEqual({bytes(x) for x in s.frames}, {f})

    def test_who_does_not_take_its_descriptors(self):
        """Unread descriptors die with the connection, and the ports with them."""
        with self.d.native() as n:
            for i in range(20):
                n.request("port.open", name=f"vm{i}")
            h.poll_until("all are open", lambda: len(self.d.clients()) == 21)
        h.poll_until("all gone", lambda: len(self.d.clients()) == 1)
        # read() instead of recvmsg(): the kernel closes them
        with self.d.native() as n:
            n.request("port.open", name="vm")
            n.sock.recv(1000)
            h.poll_until("gone", lambda: self.state("vm") is None)

    def test_names_in_use(self):
        self.refused("busy", self.c, "port.open", network="lab", name="R")
        self.refused("busy", self.c, "port.open", network="lab", name="r", kind="native")
        self.add("decl", "qemu", mac="02:00:00:00:00:09", locked=True)
        self.refused("exists", self.c, "port.open", network="lab", name="decl", kind="native")
        self.refused("exists", self.c, "port.open", network="lab", name="decl",
                     mac="02:00:00:00:00:0a")
        self.refused("exists", self.c, "port.open", network="lab", name="x", mac="02:00:00:00:00:09")
        self.assertEqual((len(self.d.clients()), len(self.c.fds)), (2, 0))
        r = self.c.call("port.open", network="lab", name="DECL")
        self.assertEqual((r["name"], r["mac"]), ("decl", "02:00:00:00:00:09"))
        self.refused("busy", self.c, "port.open", network="lab", name="decl")
        self.assertEqual(self.d.port("decl")["locked"], True)
        with h.Qemu(fd=self.take(self.c, r)) as vm:
            vm.send(h.frame(h.BROADCAST, h.mac(1), b"not mine"))
            self.exchange(vm, self.r, 9)
            self.assertEqual(self.d.stats("decl")["drops"], {"spoofed": 1})
        h.poll_until("it waits", lambda: self.state("decl") == "waiting")

    def test_a_bad_stream_ends_the_port(self):
        r = self.c.call("port.open", network="lab", name="vm")
        with h.Qemu(fd=self.take(self.c, r)) as vm:
            vm.send_raw(b"\xff\xff\xff\xff")
            self.assertTrue(vm.closed())
        h.poll_until("gone", lambda: self.state("vm") is None)
        self.assertEqual(self.c.call("daemon.show")["counters"]["protocol_error"], 1)


class Declared(Base):
    def test_life(self):
        for kind in ("native", "qemu"):
            r = self.add("vm", kind, mac="02:00:00:00:00:07")
            self.assertEqual((r["state"], r["mac"], r["locked"]), ("waiting", "02:00:00:00:00:07", False))
            self.assertTrue(stat.S_ISSOCK(os.stat(r["path"]).st_mode))
            for turn in range(3):
                if kind == "qemu":
                    vm = h.Qemu(r["path"])
                else:
                    vm = h.Native(r["path"])
                    self.assertEqual(self.state("vm"), "waiting")
                    info = vm.call("attach", name="other", mac="02:00:00:00:00:07")
                    self.assertEqual((info["name"], info["port"]), ("vm", r["port"]))
                with vm:
                    h.poll_until("attached", lambda: self.state("vm") == "attached")
                    self.assertEqual(self.d.port("vm")["pid"], os.getpid())
                    self.exchange(vm, self.r, 7)
                    self.assertEqual(self.d.stats("vm")["rx_frames"], turn + 1)  # outlives clients
                h.poll_until("waiting", lambda: self.state("vm") == "waiting")
                self.assertNotIn("pid", self.d.port("vm"))
                self.assertEqual([x["name"] for x in self.c.items("fdb.list", network="lab")
                                  if x["name"] != "host"], ["r"])
            self.assertEqual(self.d.stats("vm")["tx_frames"], 3)
            self.assertEqual(self.c.call("port.remove", network="lab", name="vm"), {})
            self.assertFalse(os.path.exists(r["path"]))
            self.assertIsNone(self.d.port("vm"))

    def test_one_client_at_a_time(self):
        path = self.add("q", "qemu")["path"]
        with h.Qemu(path) as first:
            h.poll_until("attached", lambda: self.state("q") == "attached")
            for _ in range(3):
                with h.Qemu(path) as second:
                    try:
                        second.send(h.frame(h.BROADCAST, h.mac(2), b"no"))
                    except (BrokenPipeError, ConnectionResetError):
                        pass  # it was that quick
                    self.assertTrue(second.closed(5))
            self.exchange(first, self.r)
            self.assertTrue(self.r.silent(0.1))
        path = self.add("n", "native")["path"]
        with h.Native(path) as first, h.Native(path) as second:
            first.call("attach")
            self.refused("busy", second, "attach")
            self.refused("busy", second, "attach", name="elsewhere")
            self.exchange(first, self.r)
            first.call("detach")
            self.assertEqual(second.call("attach")["name"], "n")
            self.exchange(second, self.r)

    def test_taken_over_on_the_networks_socket(self):
        self.add("n", "native", mac="02:00:00:00:00:08", locked=True)
        self.add("q", "qemu")
        with self.d.native() as c:
            self.refused("exists", c, "attach", name="q")
            self.refused("exists", c, "attach", name="n", mac="02:00:00:00:00:09")
            # the declared settings win
            info = c.call("attach", name="N", locked=False)
            self.assertEqual((info["name"], info["mac"]), ("n", "02:00:00:00:00:08"))
            self.assertTrue(self.d.port("n")["locked"])
            c.send(h.frame(h.BROADCAST, h.mac(1), b"spoofed"))
            self.exchange(c, self.r, 8)
            self.assertEqual(self.d.stats("n")["drops"], {"spoofed": 1})
            with h.Native(self.d.path("lab/ports/n")) as other:
                self.refused("busy", other, "attach")

    def test_its_locked_address_is_kept_while_it_waits(self):
        self.add("q", "qemu", mac="02:00:00:00:00:08", locked=True)
        f = h.frame(h.BROADCAST, h.mac(8), b"spoofed")
        self.r.send(f, h.frame(h.mac(8), h.mac(1), b"for nobody"))
        h.taken(self.r)
        self.assertEqual(self.d.stats("r")["drops"], {"spoofed": 1})
        self.assertEqual(self.d.stats("q")["drops"], {"detached": 1})
        with self.d.native() as c:
            self.refused("exists", c, "attach", mac="02:00:00:00:00:08")
        with h.Qemu(self.d.path("lab/ports/q")) as q:
            h.poll_until("attached", lambda: self.state("q") == "attached")
            self.exchange(q, self.r, 8)
        h.poll_until("waiting", lambda: self.state("q") == "waiting")
        self.r.send(f)
        h.taken(self.r)
        self.assertEqual(self.d.stats("r")["drops"], {"spoofed": 2})
        self.c.call("port.remove", network="lab", name="q")
        with self.d.attach(mac="02:00:00:00:00:08") as c:
            self.exchange(c, self.r, 8)

    def test_removing_closes_the_client_of_any_port(self):
        for kind in ("native", "qemu"):
            path = self.add("vm", kind)["path"]
            vm = h.Qemu(path) if kind == "qemu" else h.Native(path)
            with vm:
                if kind == "native":
                    vm.call("attach")
                h.poll_until("attached", lambda: self.state("vm") == "attached")
                self.c.call("port.remove", network="lab", name="vm")
                self.assertIsNone(self.d.port("vm"))
                self.assertTrue(vm.closed(5))
            self.assertFalse(os.path.exists(path))
            with self.assertRaises(OSError):
                h.Qemu(path)
        with self.d.attach(name="plain") as c, self.d.qemu() as q:
            h.poll_until("there", lambda: self.state("qemu-1"))
            self.c.call("port.remove", network="lab", name="plain")
            self.c.call("port.remove", network="lab", name="qemu-1")
            self.assertTrue(c.closed(5) and q.closed(5))
            self.assertEqual([p["name"] for p in self.d.clients()], ["r"])
        # a connection that is no port yet outlives the port it was for
        with h.Native(self.add("vm", "native")["path"]) as idle:
            idle.call("hello")
            self.c.call("port.remove", network="lab", name="vm")
            self.refused("not_found", idle, "attach")
            self.assertEqual(idle.call("network.show")["name"], "lab")

    def test_what_waits_for_a_removed_port_still_goes_out(self):
        with self.d.attach(name="x") as x:
            f = [h.frame(h.BROADCAST, h.mac(1), bytes([i])) for i in range(100)]
            self.r.send(*f)
            h.taken(self.r)
            self.c.call("port.remove", network="lab", name="x")
            self.assertTrue(x.closed())
            self.assertEqual(x.frames, f)

    def test_the_path_is_the_sockets_own(self):
        """Something else at the path is not followed, and not removed."""
        victim = self.d.path("victim")
        with open(victim, "w") as f:
            f.write("keep")
        os.symlink(victim, self.d.path("lab/ports/link"))
        r = self.add("link", "qemu")
        self.assertTrue(stat.S_ISSOCK(os.lstat(r["path"]).st_mode))
        os.unlink(r["path"])
        os.symlink(victim, r["path"])
        self.c.call("port.remove", network="lab", name="link")
        self.assertTrue(os.path.islink(r["path"]))
        self.assertEqual(h.text_of(victim), "keep")
        # the rename cannot replace a directory: refused, and no port is left
        os.mkdir(self.d.path("lab/ports/dir"))
        self.refused("system", self.c, "port.add", network="lab", name="dir", kind="qemu")
        self.assertIsNone(self.d.port("dir"))
        self.assertEqual(sorted(os.listdir(self.d.path("lab/ports"))), ["dir", "link"])

    def test_derived_addresses(self):
        """Without `mac` an address follows from network and name: the same after every start."""
        a = self.add("vm", "qemu")["mac"]
        self.c.call("port.remove", network="lab", name="vm")
        self.assertEqual(self.add("vm", "native")["mac"], a)
        self.d.create("other")
        b = self.c.call("port.add", network="other", name="vm", kind="qemu")["mac"]
        self.assertNotEqual(a, b)
        for m in (a, b):
            self.assertEqual(m[:2], "02")


if __name__ == "__main__":
    h.main()
