"""test_dgram.py - clients that come by datagram: NET/dgram/sock, and declared ports of kind dgram."""
import os
import shutil
import signal
import socket
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import fusefs  # noqa: E402
import harness as h  # noqa: E402

DGRAM = socket.SOCK_DGRAM


class Client(h.Messages):
    """Bound at @own. With @connect as vfkit and krunkit: it takes datagrams from where it connected to alone. Else as
    QEMU: it names the path with each datagram."""

    def __init__(self, path, own, connect=True, greeting=None):
        sock = socket.socket(socket.AF_UNIX, DGRAM)
        sock.bind(own)
        super().__init__(fd=sock.detach())
        self.to = None if connect else path
        if connect:
            self.sock.connect(path)
        if greeting:
            self.send(greeting)

    def send(self, *frames):
        for f in frames:
            if self.to:
                self.sock.sendto(f, self.to)
            else:
                self.sock.send(f)


class Base(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon()
        self.addCleanup(self.d.__exit__, None, None, None)
        self.c = self.d.control()
        self.addCleanup(self.c.close)
        self.d.create("lab", multicast="flood")  # nobody is sent a query
        self.r = self.d.attach(name="r")
        self.addCleanup(self.r.close)
        self.tmp = tempfile.mkdtemp(prefix="client-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.tmp)
        self.path = self.d.path("lab/dgram/sock")
        self.n = 0

    def come(self, connect=True, greeting=None, path=None, own=None):
        self.n += 1
        c = Client(path or self.path, own or f"{self.tmp}/c{self.n}", connect, greeting)
        self.addCleanup(c.close)
        return c

    def ports(self):
        return sorted(p["name"] for p in self.d.clients() if p["kind"] == "dgram")

    def gone(self, n=0):
        h.poll_until(f"{n} are left", lambda: len(self.ports()) == n, 20)


class Ways(Base):
    def test_one_that_connects_greets_and_is_a_port(self):
        """vfkit: its socket lies beside ours."""
        vm = self.come(greeting=b"VFKT", own=self.d.path("lab/dgram/vfkit-1-2.sock"))
        h.poll_until("it is a port", self.ports)
        p = self.d.port("dgram-1")
        self.assertEqual((p["state"], p["kind"], p["uid"]), ("attached", "dgram", os.getuid()))
        h.exchange(vm, self.r, 5)
        h.exchange(vm, self.r, 5, 1514)
        self.assertEqual(self.d.stats("dgram-1")["drops"].get("runt", 0), 0)  # a greeting is none
        vm.close()
        self.r.send(h.frame(h.BROADCAST, h.mac(1)))
        self.gone()

    def test_the_first_datagram_may_be_a_frame_and_is_not_lost(self):
        for connect in (True, False):
            vm = self.come(connect)
            f = h.frame(h.BROADCAST, h.mac(5), b"first")
            vm.send(f)
            h.gets(self.r, f)
            h.exchange(vm, self.r, 5)
            vm.close()

    def test_many_of_both_ways_at_one_path(self):
        vms = [self.come(i % 2 == 0, b"VFKT" if i % 3 == 0 else None) for i in range(12)]
        for i, vm in enumerate(vms):
            h.exchange(vm, self.r, 10 + i)
        self.assertEqual(len(self.ports()), 12)
        f = h.frame(h.BROADCAST, h.mac(1), b"all")
        self.r.send(f)
        for vm in vms:
            h.gets(vm, f)
        h.exchange(vms[0], vms[1], 10)
        h.exchange(vms[2], vms[4], 12)
        for vm in vms[:5]:
            vm.close()
        self.r.send(h.frame(h.BROADCAST, h.mac(1)))
        self.gone(7)
        for i, vm in enumerate(vms[5:]):
            h.exchange(vm, self.r, 15 + i)

    def test_those_that_connected_before_the_first_had_spoken_are_all_served(self):
        """krunkit says nothing before its guest does."""
        vms = [self.come() for _ in range(4)]
        for i, vm in enumerate(vms):
            h.exchange(vm, self.r, 10 + i)
        late = self.come()
        h.exchange(late, self.r, 20)
        for vm in vms[1:]:
            vm.close()
        self.r.send(h.frame(h.BROADCAST, h.mac(1)))
        self.gone(2)
        h.exchange(vms[0], self.r, 10)
        silent = self.come()
        h.exchange(self.come(), self.r, 30)  # which makes a fresh one
        h.exchange(silent, self.r, 31)

    def test_one_that_is_silent_and_gone_is_found_out(self):
        for connect in (True, False):
            vm = self.come(connect, b"VFKT")
            h.poll_until("it is a port", self.ports)
            vm.close()
            self.gone()
        self.assertEqual(self.d.log.count("why=nobody has its socket open"), 2)

    def test_started_again_at_the_same_path(self):
        """As QEMU is: it unlinks what it left, and binds anew."""
        for _ in range(3):
            vm = self.come(False, own=f"{self.tmp}/qemu")
            f = h.frame(h.BROADCAST, h.mac(5), os.urandom(9))
            vm.send(f)
            h.gets(self.r, f)
            back = h.frame(h.mac(5), h.mac(1), b"back")

            def there():
                self.r.send(back)  # the first may find the one before, which is gone
                vm.send(f)
                return not vm.silent(0.2)
            h.poll_until("it is reached", there)
            h.exchange(vm, self.r, 5)
            vm.close()
            os.unlink(f"{self.tmp}/qemu")

    def test_a_declared_one_has_one_client_at_a_time(self):
        r = self.c.call("port.add", network="lab", name="vm", kind="dgram", mac="02:00:00:00:00:05", locked=True)
        path = r["path"]
        self.assertEqual(path, self.d.path("lab/ports/vm"))
        for connect in (True, False, True):
            vm = self.come(connect, path=path)
            h.exchange(vm, self.r, 5)
            second = self.come(False, path=path)
            second.send(h.frame(h.BROADCAST, h.mac(5), b"second"))
            self.assertTrue(self.r.silent())
            self.assertEqual(self.d.port("vm")["state"], "attached")
            second.close()
            vm.close()
            self.r.send(h.frame(h.BROADCAST, h.mac(1)))
            h.poll_until("waiting", lambda: self.d.port("vm")["state"] == "waiting")
        self.c.call("port.remove", network="lab", name="vm")
        self.assertFalse(os.path.exists(path))

    def test_who_names_the_path_outlives_a_network_and_the_daemon(self):
        """QEMU cannot bind again what it lost."""
        own = self.d.path("lab/dgram/vm.sock")
        vm = self.come(False, own=own)
        h.exchange(vm, self.r, 5)
        self.come(own=self.d.path("lab/dgram/gone.sock")).close()
        self.c.call("network.delete", network="lab")
        self.assertEqual(os.listdir(self.d.path("lab")), ["dgram"])
        self.assertEqual(os.listdir(self.d.path("lab/dgram")), ["vm.sock"])
        self.d.create("lab", multicast="flood")
        with self.d.attach() as r:
            h.exchange(vm, r, 5)
        self.come(own=self.d.path("lab/dgram/gone.sock")).close()
        self.d.kill()
        self.d.start()
        self.d.create("lab", multicast="flood")
        self.assertEqual(sorted(os.listdir(self.d.path("lab/dgram"))), ["sock", "vm.sock"])
        with self.d.attach() as r:
            h.exchange(vm, r, 5)

    def test_a_machine_started_again_on_a_declared_one_is_heard_at_once(self):
        """By another path, as krunkit's, which has the process id in it; and before the one before is found out."""
        path = self.c.call("port.add", network="lab", name="vm", kind="dgram")["path"]
        for i in range(5):
            vm = self.come(path=path)

            def heard():
                vm.send(h.frame(h.BROADCAST, h.mac(5), b"%d" % i))
                return not self.r.silent(0.05)
            h.poll_until("it is heard", heard, 4)  # five until it is asked otherwise
            vm.close()

    def test_a_network_that_goes_takes_all_that_is_its_own(self):
        vms = [self.come(connect, b"VFKT", own=self.d.path(f"lab/dgram/{connect}.sock")) for connect in (True, False)]
        h.poll_until("both", lambda: len(self.ports()) == 2)
        for vm in vms:
            vm.close()
        self.c.call("network.delete", network="lab")
        self.assertFalse(os.path.exists(self.d.path("lab")))

    def test_a_network_goes_while_strangers_come(self):
        """All are connected to one socket, which is read as long as one of them is a port."""
        vms = [self.come() for _ in range(200)]
        for vm in vms:
            vm.sock.setblocking(False)
        pid = os.fork()
        while not pid:
            for n, vm in enumerate(vms):
                try:
                    vm.send(h.frame(h.BROADCAST, h.mac(100 + n)))
                except OSError:
                    pass
        try:
            h.poll_until("as many as may be are ports", lambda: len(self.ports()) >= 120)
            with self.d.control() as c:
                c.sock.settimeout(10)
                c.call("network.delete", network="lab")
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def test_frames_without_offload_said_are_finished_where_that_is_known(self):
        """libkrun: raw_offload is a rule of the port, as on a stream."""
        self.c.call("port.add", network="lab", name="kr", kind="dgram", raw_offload=True)
        vm = self.come(path=self.d.path("lab/ports/kr"))
        payload = os.urandom(20000)
        ip = bytes.fromhex("4500") + (40 + len(payload)).to_bytes(2, "big") + bytes.fromhex("000140004006")
        ip += b"\0\0" + bytes([10, 0, 0, 1, 10, 0, 0, 2])
        total = sum(int.from_bytes(ip[i:i + 2], "big") for i in range(0, 20, 2))
        total = (total & 0xffff) + (total >> 16)
        ip = ip[:10] + (0xffff ^ ((total & 0xffff) + (total >> 16))).to_bytes(2, "big") + ip[12:]
        pseudo = sum(int.from_bytes(ip[i:i + 2], "big") for i in range(12, 20, 2)) + 6 + 20 + len(payload)
        pseudo = (pseudo & 0xffff) + (pseudo >> 16)
        tcp = bytes.fromhex("03e807d00000000100000001") + bytes.fromhex("50101000") + pseudo.to_bytes(2, "big") + b"\0\0"
        vm.send(h.BROADCAST + h.mac(5) + b"\x08\x00" + ip + tcp + payload)
        got = b""
        while len(got) < len(payload):
            f = self.r.recv(0x0800)
            self.assertLessEqual(len(f), 1514)
            got += f[54:]
        self.assertEqual(got, payload)


class Said(Base):
    """A port whose client's path its administrator has said."""

    def setUp(self):
        super().setUp()
        self.own = f"{self.tmp}/vm"

    def add(self, **params):
        r = self.c.call("port.add", network="lab", name="vm", kind="dgram", remote=self.own, **params)
        self.assertEqual((r["remote"], r["path"]), (self.own, self.d.path("lab/ports/vm")))
        return r["path"]

    def attached(self):
        h.poll_until("it is attached", lambda: self.d.port("vm")["state"] == "attached")
        self.assertNotIn("why", self.d.port("vm"))

    def waits(self, why):
        h.poll_until(f"it waits: {why}", lambda: why in self.d.port("vm").get("why", ""))

    def unheard(self, n):
        """That @n datagrams came of nobody who is known."""
        h.poll_until("they are counted", lambda: self.d.stats()["drops"]["detached"] >= n)
        self.assertTrue(self.r.silent())

    def test_it_is_reached_before_it_has_sent_anything(self):
        for connect in (False, True):
            path = self.add(mac="02:00:00:00:00:05", locked=True)
            for _ in range(2):  # the second is started anew, where the first was
                self.waits(self.own)
                vm = self.come(connect, path=path, own=self.own)
                self.attached()
                f = h.frame(h.BROADCAST, h.mac(1), os.urandom(9))
                self.r.send(f)
                h.gets(vm, f)
                h.exchange(vm, self.r, 5)
                vm.close()
                self.r.send(f)
                self.waits("Connection refused")
                os.unlink(self.own)
            self.c.call("port.remove", network="lab", name="vm")
            self.assertFalse(os.path.exists(path))

    def test_one_that_is_there_already_and_is_bound_anew(self):
        vm = self.come(False, path=self.d.path("lab/ports/vm"), own=self.own)
        self.add()
        self.attached()
        h.exchange(vm, self.r, 5)
        os.unlink(self.own)
        again = self.come(False, path=vm.to, own=self.own)
        vm.close()

        def there():
            self.r.send(h.frame(h.BROADCAST, h.mac(1)))  # what shows that the first is gone
            return not again.silent(0.2)
        h.poll_until("the second is reached", there)
        h.exchange(again, self.r, 5)

    def test_nobody_else_is_heard_or_becomes_it(self):
        path = self.add()
        f = h.frame(h.BROADCAST, h.mac(9), b"foreign")
        foreign = self.come(False, path=path)
        foreign.send(f)  # while it waits
        self.unheard(1)
        self.assertIn("calls itself", h.refused(self, "busy", self.c, "port.open", network="lab", name="vm",
                                                 kind="dgram"))
        self.assertEqual(self.d.port("vm")["state"], "waiting")
        vm = self.come(False, path=path, own=self.own)
        self.attached()
        foreign.send(f, f)
        self.unheard(3)
        h.exchange(vm, self.r, 5)
        self.assertTrue(foreign.silent())

    @unittest.skipIf(os.geteuid() != 0 or h.DARWIN, "becomes another user")
    def test_another_user_at_a_path_of_the_same_name(self):
        """As in a namespace or root directory of his own, where he may have any name."""
        self.c.call("network.set", network="lab", mode="0666")
        os.chmod(self.tmp, 0o777)
        path = self.add()
        vm = self.come(False, path=path, own=self.own)
        self.attached()
        os.rename(self.own, f"{self.tmp}/aside")

        def attack():
            with socket.socket(socket.AF_UNIX, DGRAM) as s:
                s.bind(self.own)
                s.sendto(h.frame(h.BROADCAST, h.mac(9)), path)

        h.run_as((12345, 12345, []), attack)
        self.unheard(1)
        self.assertEqual(self.d.port("vm")["state"], "attached")
        h.exchange(vm, self.r, 5)

    def test_what_waits_for_it_when_it_goes_is_counted_once(self):
        self.add(queue=4096)
        vm = self.come(False, path=self.d.path("lab/ports/vm"), own=self.own)
        self.attached()

        def counted():
            stats = self.d.stats("vm")
            return stats["tx_frames"] + sum(stats["drops"].values())

        sent = 0
        while not self.d.stats("vm")["drops"]["queue_full"]:
            self.r.send(h.frame(h.BROADCAST, h.mac(1), size=1000))
            sent += 1
        self.assertLess(self.d.stats("vm")["tx_frames"], sent - 1)  # what waits is not sent yet
        vm.close()  # what waits has no other end any more
        h.poll_until("it is detached", lambda: self.d.port("vm")["state"] == "waiting")
        stats = self.d.stats("vm")
        self.assertEqual(counted(), sent)
        self.assertEqual(stats["tx_bytes"], 1000 * stats["tx_frames"])

    def test_a_link_is_not_followed(self):
        victim = self.come(False, path=self.path, own=f"{self.tmp}/victim")
        os.symlink(f"{self.tmp}/victim", self.own)
        path = self.add()
        self.waits("is no socket")
        os.unlink(self.own)
        vm = self.come(False, path=path, own=self.own)
        self.attached()
        os.unlink(self.own)
        os.symlink(f"{self.tmp}/victim", self.own)
        vm.close()
        self.r.send(h.frame(h.BROADCAST, h.mac(1)))
        self.waits("is no socket")
        self.r.send(h.frame(h.BROADCAST, h.mac(1)))
        self.assertTrue(victim.silent())

    def test_what_is_refused(self):
        for kind, remote, words in (("dgram", "vm", "absolute path"), ("dgram", "", "absolute path"),
                                    ("dgram", 5, "absolute path"), ("dgram", "127.0.0.1:9", "absolute path"),
                                    ("dgram", "/" + "x" * 107, "absolute path"), ("dgram", "/a\nb", "printable"),
                                    ("qemu", "/x", "of kind udp and dgram"), ("udp", "/x", "needs both")):
            said = h.refused(self, "invalid", self.c, "port.add", network="lab", name="vm", kind=kind, remote=remote)
            self.assertRegex(said, "^(remote|local): ")
            self.assertIn(words, said)
        h.refused(self, "invalid", self.c, "port.add", network="lab", name="vm", kind="dgram", local="127.0.0.1:9")
        self.assertIsNone(self.d.port("vm"))

    def test_kept_in_files(self):
        conf = self.d.conf_dir
        os.makedirs(f"{conf}/networks.d")
        with h.Daemon("--config", conf) as d:
            d.create("lab")
            self.d, first = d, self.d
            self.addCleanup(setattr, self, "d", first)
            d.ctl("port", "add", "lab", "vm", "--kind", "dgram", "--remote", self.own, check=True)
            self.assertIn(self.own, d.ctl("port", "list", "lab", check=True).stdout)
            d.ctl("set", "lab", "--save", "--mtu", "1400", check=True)
            text = h.text_of(f"{conf}/networks.d/lab.conf")
            self.assertIn(f"[port vm]\nkind = dgram\nremote = {self.own}\n", text)
            d.stop()
            d.start()
            vm = self.come(False, path=d.path("lab/ports/vm"), own=self.own)
            self.attached()
            port = d.port("vm")
            same = dict(network="lab", backend=d.call("network.show", network="lab")["backend"], mtu=1400,
                        ports=[dict(name="vm", kind="dgram", remote=self.own)])
            self.assertEqual(d.call("network.apply", **same)["ports"]["changed"], [])
            self.assertEqual(d.port("vm"), port)
            same["ports"][0]["remote"] = "/elsewhere"
            with d.control() as c:
                self.assertIn("port vm: remote: ", h.refused(self, "busy", c, "network.apply", **same))
            d.call("network.apply", replace=True, **same)
            self.waits("/elsewhere")
            vm.send(h.frame(h.BROADCAST, h.mac(5)))
            h.poll_until("it is counted", lambda: d.stats()["drops"]["detached"])


class Hostile(Base):
    def refused(self, why):
        h.poll_until(why, lambda: why in self.d.log)
        self.assertEqual(self.ports(), [])

    def test_who_cannot_be_answered_is_no_port(self):
        s = socket.socket(socket.AF_UNIX, DGRAM)
        self.addCleanup(s.close)
        for _ in range(50):
            s.sendto(h.frame(h.BROADCAST, h.mac(5)), self.path)
        self.assertTrue(self.r.silent())
        self.assertEqual(self.ports(), [])
        h.exchange(self.come(), self.r, 6)

    def test_a_path_that_says_nothing_here(self):
        here = os.getcwd()
        os.chdir(self.tmp)
        try:
            self.come(False, b"", own="relative").send(h.frame(h.BROADCAST, h.mac(5)))
        finally:
            os.chdir(here)
        self.refused("relative says nothing")

    def test_a_link_in_place_of_its_socket_is_not_followed(self):
        victim = socket.socket(socket.AF_UNIX, DGRAM)
        self.addCleanup(victim.close)
        victim.bind(f"{self.tmp}/victim")
        vm = self.come(False, own=f"{self.tmp}/vm")
        os.unlink(f"{self.tmp}/vm")
        os.symlink(f"{self.tmp}/victim", f"{self.tmp}/vm")
        vm.send(h.frame(h.BROADCAST, h.mac(5)))
        self.refused("is no socket")
        self.r.send(h.frame(h.BROADCAST, h.mac(1)))
        victim.settimeout(0.2)
        self.assertRaises(TimeoutError, victim.recv, 9)

    @unittest.skipIf(os.geteuid() != 0 or h.DARWIN, "becomes another user")
    def test_a_socket_of_another_user_is_not_reached(self):
        """Nor is what we send taken for root's word by whoever has it."""
        self.c.call("network.set", network="lab", mode="0666")
        victim = socket.socket(socket.AF_UNIX, DGRAM)  # root's
        self.addCleanup(victim.close)
        os.chmod(self.tmp, 0o777)
        victim.bind(f"{self.tmp}/victim")

        def attack():
            s = socket.socket(socket.AF_UNIX, DGRAM)
            s.bind(f"{self.tmp}/evil")
            os.rename(f"{self.tmp}/evil", f"{self.tmp}/aside")
            os.rename(f"{self.tmp}/victim", f"{self.tmp}/evil")  # nothing there is sticky
            s.sendto(h.frame(h.BROADCAST, h.mac(5)), self.path)

        h.run_as((12345, 12345, []), attack)
        self.assertTrue(self.r.silent(0.5))
        self.assertEqual(self.ports(), [])
        victim.settimeout(0.1)
        self.r.send(h.frame(h.BROADCAST, h.mac(1)))
        self.assertRaises(TimeoutError, victim.recv, 9)

    @unittest.skipIf(os.geteuid() != 0 or h.DARWIN, "becomes another user")
    def test_who_may_attach_is_judged_as_on_every_socket(self):
        os.chmod(self.tmp, 0o777)

        def try_it(groups=()):
            def fn():
                try:
                    c = Client(self.path, tempfile.mktemp(dir=self.tmp), False)
                    c.send(h.frame(h.BROADCAST, h.mac(5)))
                    return "sent"
                except PermissionError:
                    return "fence"
            return h.run_as((12345, 12345, list(groups)), fn)

        self.assertEqual(try_it(), "fence")
        self.c.call("network.set", network="lab", mode="0664")
        self.assertEqual(try_it(), "sent")
        self.assertTrue(self.r.silent())
        h.poll_until("it is told", lambda: "denied method=attach net=lab uid=12345" in self.d.log)
        self.assertIn("socket=dgram/sock", self.d.log)
        self.c.call("network.set", network="lab", mode="0664", group="4711")
        self.assertTrue(self.r.silent())
        self.assertEqual(try_it(), "sent")  # not refused by the file, but by the right
        self.assertTrue(self.r.silent())
        pid = os.fork()
        if not pid:  # a group that the process has beside its own, for as long as it is asked
            os.setgroups([4711])
            os.setgid(12345)
            os.setuid(12345)
            c = Client(self.path, f"{self.tmp}/member", True, b"VFKT")
            c.send(h.frame(h.BROADCAST, h.mac(5), b"member"))
            c.recv()
            os._exit(0)
        h.gets(self.r, h.frame(h.BROADCAST, h.mac(5), b"member"))
        self.r.send(h.frame(h.BROADCAST, h.mac(1)))
        self.assertEqual(os.waitpid(pid, 0)[1], 0)

    @unittest.skipIf(os.geteuid() != 0 or h.DARWIN, "gives files to another user")
    def test_one_on_its_way_to_its_place_is_given_to_nobody(self):
        """As dgram.new is: whoever owned it there would own it in dgram/, too, and could replace it."""
        s = socket.socket(socket.AF_UNIX, DGRAM)
        self.addCleanup(s.close)
        s.bind(self.d.path("lab/some.new"))
        self.c.call("network.set", network="lab", owner="12345")
        self.assertEqual(os.stat(self.d.path("lab/qemu.sock")).st_uid, 12345)
        self.assertEqual(os.stat(self.d.path("lab/some.new")).st_uid, 0)

    @unittest.skipIf(os.geteuid() != 0 or h.DARWIN, "becomes another user")
    def test_what_a_user_leaves_there_does_not_keep_the_network(self):
        self.d.create("mess", mode="0666")
        left = self.d.path("mess/dgram/sock.new")

        def litter():
            os.mkdir(left)
            with open(f"{left}/file", "w", encoding="ascii"):
                pass

        h.run_as((12345, 12345, []), litter)
        self.c.call("network.delete", network="mess")
        self.assertEqual(os.listdir(self.d.path("mess/dgram")), ["sock.new"])
        self.d.create("mess", multicast="flood")
        with self.d.attach("mess") as r:
            h.exchange(self.come(path=self.d.path("mess/dgram/sock")), r, 5)

    @unittest.skipUnless(fusefs.can(), "mounts a file system of its own: needs root and /dev/fuse")
    def test_a_file_system_that_never_answers_holds_up_nobody(self):
        os.chmod(self.tmp, 0o755)
        self.c.call("network.set", network="lab", mode="0666")
        with fusefs.Mount(tempfile.mkdtemp(dir=self.tmp), 12345) as fs:
            def client():
                with socket.socket(socket.AF_UNIX, DGRAM) as s:
                    s.bind(f"{fs.path}/s")
                    os.stat(fs.path)
                    fs.freeze()
                    s.sendto(h.frame(h.BROADCAST, h.mac(5)), self.path)
                    h.poll_until("it is refused", lambda: "is on a file system of type fuse" in self.d.log)

            h.run_as((12345, 12345, []), client)
            h.exchange(self.come(), self.r, 6)

    @unittest.skipIf(os.geteuid() != 0 or h.DARWIN, "becomes another user")
    def test_those_that_come_and_go_cut_off_nobody_elses_that_is_silent(self):
        self.c.call("network.set", network="lab", mode="0666")
        os.chmod(self.tmp, 0o777)
        first, silent = self.come(), self.come()  # both are connected to one socket
        h.exchange(first, self.r, 5)
        first.close()
        self.r.send(h.frame(h.BROADCAST, h.mac(1)))
        self.gone()

        def come_and_go():
            clients = []
            for i in range(20):  # more than are kept for one user
                before = os.stat(self.path).st_ino
                clients.append(Client(self.path, f"{self.tmp}/f{i}", greeting=b"VFKT"))
                h.poll_until("there is a fresh socket", lambda b=before: os.stat(self.path).st_ino != b)

        h.run_as((12345, 12345, []), come_and_go)
        self.r.send(h.frame(h.BROADCAST, h.mac(1)))
        self.gone()
        h.exchange(self.come(), self.r, 6)  # with whom the path has another socket
        h.exchange(silent, self.r, 7)

    @unittest.skipIf(os.geteuid() != 0 or h.DARWIN, "becomes another user")
    def test_a_flood_of_newcomers_pushes_out_its_own_only(self):
        self.c.call("network.set", network="lab", mode="0666")
        os.chmod(self.tmp, 0o777)
        mine = []
        for i in range(3):  # one by one, so that each has a socket of its own
            mine.append(self.come(i % 2 == 0))
            h.exchange(mine[i], self.r, 10 + i)

        def flood():
            socks = []
            for i in range(300):
                s = socket.socket(socket.AF_UNIX, DGRAM)
                s.bind(f"{self.tmp}/f{i}")
                socks.append(s)
            for _ in range(10):  # of many strangers at once not all are looked at
                for i, s in enumerate(socks):
                    s.sendto(h.frame(h.BROADCAST, h.mac(1000 + i)), self.path)
            h.poll_until("they came", lambda: "too many datagram clients" in self.d.log)
            for s in socks:
                s.close()
            return len(socks)

        self.assertEqual(h.run_as((12345, 12345, []), flood), 300)
        self.assertLessEqual(len(self.ports()), 128 + 3)
        for vm in (self.r, *mine):
            while not vm.silent(0.1):
                pass  # what the flood has filled its queue with
        for i, vm in enumerate(mine):
            h.exchange(vm, self.r, 10 + i)
        self.r.send(h.frame(h.BROADCAST, h.mac(1)))  # nobody has theirs open any more
        self.gone(3)

    def test_who_names_the_path_is_known_while_others_connect(self):
        """With each of them the path has another socket, which says from its first moment who sends."""
        pid = os.fork()
        if not pid:
            s = socket.socket(socket.AF_UNIX, DGRAM)
            s.bind(f"{self.tmp}/qemu")
            s.setblocking(False)
            while True:
                try:
                    s.sendto(h.frame(h.mac(9), h.mac(5)), self.path)
                except OSError:
                    pass
        try:
            for i in range(100):
                c = self.come(greeting=b"VFKT")
                h.poll_until("it is a port", lambda: len(self.ports()) == 2)
                c.close()
                self.r.send(h.frame(h.BROADCAST, h.mac(1)))
                self.gone(1)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.assertFalse("another user" in self.d.log or "uid=65534" in self.d.log)

    @unittest.skipIf(os.geteuid() != 0 or h.DARWIN, "becomes another user")
    def test_a_name_that_another_user_says_is_his(self):
        os.chmod(self.tmp, 0o777)
        vm = self.come(False, own=f"{self.tmp}/vm")
        h.exchange(vm, self.r, 5)

        def say():
            s = socket.socket(socket.AF_UNIX, DGRAM)
            s.bind(f"{self.tmp}/vm")
            s.sendto(h.frame(h.BROADCAST, h.mac(6)), self.path)

        os.rename(f"{self.tmp}/vm", f"{self.tmp}/aside")
        self.c.call("network.set", network="lab", mode="0664")  # the file lets all, no right does
        h.run_as((12345, 12345, []), say)
        h.poll_until("it is told", lambda: "denied method=attach net=lab uid=12345" in self.d.log)
        h.exchange(vm, self.r, 5)
        self.c.call("network.set", network="lab", mode="0666")
        os.unlink(f"{self.tmp}/vm")
        h.run_as((12345, 12345, []), say)
        h.poll_until("it was his", lambda: "its path is another user's now" in self.d.log)

    def test_many_that_come_speak_and_go_leave_nothing(self):
        fds = len(os.listdir(f"/proc/{self.d.proc.pid}/fd")) if not h.DARWIN else 0
        for i in range(100):
            c = self.come(i % 2 == 0)
            c.send(h.frame(h.BROADCAST, h.mac(100 + i)))
            c.close()
        self.r.send(h.frame(h.BROADCAST, h.mac(1)))
        self.gone()
        if not h.DARWIN:  # those that the path had are kept for a while, DGRAM_KEPT of them
            h.poll_until("the others are closed", lambda: len(os.listdir(f"/proc/{self.d.proc.pid}/fd")) <= fds + 18)

    def test_runts_oversize_and_nothing_are_counted(self):
        for connect in (True, False):
            vm = self.come(connect, b"VFKT")
            h.exchange(vm, self.r, 5)
            name = self.ports()[-1]
            before = self.d.stats(name)["drops"]
            for size in (0, 4, 13):
                vm.send(b"VFKT"[:size] + bytes(max(0, size - 4)))
            for size in (1519, 9000, 65600, 65601, 100000):
                vm.send(h.frame(h.BROADCAST, h.mac(5), size=size))
            h.exchange(vm, self.r, 5)
            drops = self.d.stats(name)["drops"]
            self.assertEqual((drops["runt"] - before.get("runt", 0), drops["oversize"] - before.get("oversize", 0)), (3, 5))
            vm.close()
            self.r.send(h.frame(h.BROADCAST, h.mac(1)))
            self.gone()

    def test_who_never_reads_delays_nobody(self):
        stuck = [self.come(connect, b"VFKT") for connect in (True, False)]
        h.poll_until("both", lambda: len(self.ports()) == 2)
        vm = self.come(False)
        h.exchange(vm, self.r, 5)
        for i in range(3000):
            self.r.send(h.frame(h.BROADCAST, h.mac(1), i.to_bytes(4, "big"), size=1514))
            if i % 50 == 0:
                while vm.recv()[14:18] != i.to_bytes(4, "big"):
                    pass
        for name in self.ports()[:2]:
            self.assertGreater(self.d.stats(name)["drops"]["queue_full"], 1000)
        last, seen = -1, 0
        for s in stuck:
            try:
                while True:
                    f = s.recv(seconds=0.3)
                    if len(f) < 1514:
                        continue  # of before
                    number = int.from_bytes(f[14:18], "big")
                    self.assertGreater(number, last)
                    last, seen = number, seen + 1
            except TimeoutError:
                pass
            self.assertGreater(seen, 100)
            last, seen = -1, 0
            h.exchange(s, self.r, 6)


if __name__ == "__main__":
    h.main()
