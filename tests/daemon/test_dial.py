"""test_dial.py - ports that call: fethd connects, to whoever an administrator named, again and again."""
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402


class Listener:
    """A program that serves QEMU's framing, as QEMU with server=on and passt do."""

    def __init__(self, path=None, host=None):
        if path:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.bind(path)
            self.to = path
        else:
            self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            self.sock.bind((host, 0))
            self.to = f"tcp:[{host}]:" if ":" in host else f"tcp:{host}:"
            self.to += str(self.sock.getsockname()[1])
        self.path = path
        self.sock.listen()
        self.sock.settimeout(10)

    def accept(self):
        return h.Qemu(fd=self.sock.accept()[0].detach())

    def close(self):
        self.sock.close()
        if self.path:
            os.unlink(self.path)


class Base(unittest.TestCase):
    def setUp(self):
        self.dir = self.enterContext(tempfile.TemporaryDirectory())
        self.d = self.enterContext(self.daemon())
        self.d.create("lab", multicast="flood")  # nobody is sent a query

    def daemon(self, **kw):
        return h.Daemon(**kw)

    def listen(self, path="up.sock", host=None):
        server = Listener(None if host else os.path.join(self.dir, path), host)
        self.addCleanup(server.close)
        return server

    def add(self, to, name="up", **params):
        return self.d.call("port.add", network="lab", name=name, kind="qemu", connect=to, **params)

    def state(self, name="up"):
        p = self.d.port(name)
        return p and (p["state"], p.get("why"))

    def wait_for(self, why, name="up"):
        h.poll_until(f"it waits: {why}", lambda: why in (self.state(name)[1] or ""))

    def attached(self, name="up"):
        h.poll_until("it is attached", lambda: self.state(name) == ("attached", None))

    def peer(self, host="127.0.0.1"):
        s = self.enterContext(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM))
        s.bind((host, 0))
        s.settimeout(10)
        return s

    def at(self, s):
        host, port = s.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def free(self, host="127.0.0.1"):
        """An address that is nobody's."""
        s = self.peer(host)
        where = self.at(s), s.getsockname()
        s.close()
        return where

    def exchange(self, a, b, src=1):
        """A frame each way between two clients that are ports."""
        there, back = (h.frame(h.BROADCAST, h.mac(src + n), os.urandom(20)) for n in (0, 1))
        a.send(there)
        self.assertEqual(b.recv(), there)
        b.send(back)
        self.assertEqual(a.recv(), back)


class Calls(Base):
    def test_whoever_listens_is_a_port(self):
        native = self.d.attach(name="n")
        self.addCleanup(native.close)
        for i, host in enumerate((None, "127.0.0.1", "::1")):
            with self.subTest(host=host):
                server = self.listen(f"{i}.sock", host)
                p = self.add(server.to, f"up{i}", mac=h.mac_text(h.mac(0x50 + i)), locked=True)
                self.assertEqual((p["kind"], p["connect"], p["locked"]), ("qemu", server.to, True))
                self.assertNotIn("path", p)
                with server.accept() as peer:
                    self.attached(f"up{i}")
                    p = self.d.port(f"up{i}")
                    # who listens there, as far as the kernel says
                    self.assertEqual((p.get("uid"), p.get("pid")),
                                     (None, None) if host else (os.getuid(), os.getpid()))
                    f = h.frame(h.BROADCAST, h.mac(1), os.urandom(20))
                    native.send(f)
                    self.assertEqual(peer.recv(), f)
                    f = h.frame(h.mac(1), h.mac(0x50 + i), os.urandom(20))
                    peer.send(f)
                    self.assertEqual(native.recv(), f)
                    peer.send(h.frame(h.mac(1), h.mac(0x99)))
                    h.poll_until("the lock holds", lambda: self.d.stats(f"up{i}")["drops"]["spoofed"] == 1)
                self.assertEqual(os.listdir(self.d.path("lab/ports")), [])

    def test_it_calls_again_when_the_other_comes_back(self):
        with self.d.control() as events:
            events.call("event.subscribe", events=["port.*"], network="lab")
            self.add(os.path.join(self.dir, "up.sock"))
            self.wait_for("No such file")
            server = self.listen()
            peer = server.accept()
            self.attached()
            peer.close()
            server.accept().close()  # at once, and once more
            with server.accept():
                self.attached()
                server.close()
            self._cleanups.pop()
            self.wait_for("No such file")
            with self.listen().accept():
                self.attached()
            whys = []
            attached = 0
            while attached < 3:
                method, params = next_event(events)
                attached += method == "port.attached"
                if "why" in params:
                    self.assertEqual((method, params["state"]), ("port.changed", "waiting"))
                    whys.append(params["why"])
            self.assertIn("No such file", whys[0])
            self.assertTrue(any("the connection has ended: closed by peer" in w for w in whys), whys)
        self.assertIn("not connected, trying again net=lab port=up: ", self.d.log)

    def test_what_is_in_the_way_is_said_once(self):
        os.mkfifo(os.path.join(self.dir, "fifo"))
        os.symlink("up.sock", os.path.join(self.dir, "link"))
        os.symlink(self.dir, os.path.join(self.dir, "way"))
        server = self.listen()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dgram, socket.socket() as tcp:
            dgram.bind(os.path.join(self.dir, "dgram"))
            tcp.bind(("127.0.0.1", 0))  # deaf
            for name, to, why in (
                    ("missing", "nosuch", "No such file"), ("pipe", "fifo", "no socket"),
                    ("folder", "", "no socket"), ("link", "link", "a link in that path; name the real one"),
                    ("way", "way/up.sock", "a link in that path; name the real one"),
                    ("other", "dgram", "of another type"),
                    ("deaf", f"tcp:127.0.0.1:{tcp.getsockname()[1]}", "nobody listens there")):
                self.add(to if ":" in to else os.path.join(self.dir, to), name)
                self.wait_for(why, name)
            server.sock.settimeout(0.3)
            with self.assertRaises(TimeoutError):  # nobody goes by the link, however often it is tried
                server.accept()
            for name in ("missing", "pipe", "folder", "link", "way", "other", "deaf"):
                self.assertEqual(self.d.log.count(f"port={name}: "), 1, self.d.log)

    def test_who_takes_us_in_and_closes_is_told_of_once(self):
        server = self.listen()
        self.add(server.to)
        for _ in range(6):
            server.accept().close()
        self.wait_for("the connection has ended")
        self.assertEqual(self.d.log.count("trying again net=lab port=up: "), 1, self.d.log)

    @unittest.skipUnless(os.environ.get("FETHD_FULL") == "1", "six seconds, of the long run")
    def test_the_end_of_one_that_held_is_told_of_again(self):
        server = self.listen()
        self.add(server.to)
        server.accept().close()
        self.wait_for("the connection has ended")
        with server.accept():
            self.attached()
            time.sleep(5.5)  # DIAL_STEADY_MS
        h.poll_until("it is told", lambda: self.d.log.count("trying again net=lab port=up: ") == 2)

    def test_who_takes_nobody_in(self):
        """Its queue of connections is full; a try never waits for that."""
        server = Listener(os.path.join(self.dir, "full.sock"))
        self.addCleanup(server.close)
        server.sock.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(server.path)
            self.add(server.to)
            self.wait_for("too many wait")
            self.d.call("network.show", network="lab")
            server.accept().close()
            h.poll_until("it got in", lambda: self.state()[0] == "attached")

    def test_hostile_ones_lose_only_themselves(self):
        pair = h.Pair(self.d)
        self.addCleanup(pair.close)
        server = self.listen()
        self.add(server.to)
        for hurt in (b"\xff\xff\xff\xff", struct.pack("!I", 65554), b"\0\0\0\0" * 1000, os.urandom(4000),
                     b"\0\0\0\x3c" + b"x" * 20):
            with server.accept() as peer:
                self.attached()
                try:
                    peer.send_raw(hurt)
                except OSError:
                    pass
                pair.check()
        with server.accept() as peer:  # who never reads
            self.attached()
            flood = h.frame(h.BROADCAST, h.mac(7), size=1400)
            a = pair.ends[0]
            while not self.d.stats("up")["drops"]["queue_full"]:
                a.send(*[flood] * 64)
                h.drain(pair.ends[1])
            h.drain(pair.ends[1])
            peer.close()
        h.poll_until("it is gone", lambda: self.state()[0] == "waiting")

    def test_removed_it_calls_no_more(self):
        server = self.listen()
        self.add(server.to)
        peer = server.accept()
        self.attached()
        self.d.call("port.remove", network="lab", name="up")
        self.assertTrue(peer.closed())
        peer.close()
        self.assertIsNone(self.d.port("up"))
        self.add("/nosuch")  # the name is free, and the end of the old one is not its own
        self.wait_for("No such file")
        self.d.call("port.remove", network="lab", name="up")
        self.add(server.to)
        with server.accept() as peer:
            self.attached()
            self.d.call("network.delete", network="lab")
            self.assertTrue(peer.closed())
        server.sock.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            server.accept()

    def test_nobody_else_has_the_name(self):
        server = self.listen()
        self.add(server.to, mac="02:00:00:00:00:09", locked=True)
        with server.accept(), self.d.control() as c:
            self.attached()
            self.assertIn("has a client", h.refused(self, "busy", c, "port.open", network="lab", name="up"))
            self.assertIn("already", h.refused(self, "exists", c, "port.add", network="lab", name="up",
                                               kind="qemu", connect="/x"))

    def test_removed_while_a_configuration_is_applied(self):
        """By a session of the network's; nobody is called for a port that is no more."""
        server = self.listen()
        server.sock.listen(64)
        ports = [{"name": f"n{i}", "kind": "native"} for i in range(8)]
        ports.append({"name": "up", "kind": "qemu", "connect": server.to})
        with self.d.native("lab") as session, Remover(session, "up") as remover:
            for n in range(2000):  # often, and until it was there at least once
                if n >= 60 and remover.removed:
                    break
                self.d.call("network.apply", network="lab", ports=ports)
                self.d.call("network.apply", network="lab", ports=[])
        self.assertGreater(remover.removed, 0)
        self.assertEqual(self.d.clients(), [])
        server.sock.settimeout(1.5)  # tries that go on are more often at first
        h.poll_until("nobody calls", lambda: not self.calls(server), 4)
        self.assertFalse(self.calls(server))

    @staticmethod
    def calls(server):
        """Whether somebody does, of whom nothing was heard yet."""
        try:
            server.sock.accept()[0].close()
            return True
        except TimeoutError:
            return False

    def test_what_is_refused(self):
        with self.d.control() as c:
            for to, kind, words in ((5, "qemu", "absolute path"), ("", "qemu", "absolute path"),
                                    ("x", "qemu", "absolute path"), ("/" + "x" * 107, "qemu", "absolute path"),
                                    ("tcp:localhost:1", "qemu", "names are not looked up"),
                                    ("tcp:127.0.0.1:0", "qemu", "a port of 1"), ("/x", "native", "kind qemu"),
                                    ("/x", "tap", "kind qemu")):
                words_said = h.refused(self, "invalid", c, "port.add", network="lab", name="x", kind=kind,
                                       connect=to, **({"ifname": "x"} if kind == "tap" else {}))
                self.assertIn(words, words_said)
            self.assertIn("dial-anywhere", h.refused(self, "denied", c, "port.add", network="lab", name="x",
                                                     kind="qemu", connect="tcp:192.0.2.1:5000"))
            ports = [{"name": "x", "kind": "qemu", "connect": "tcp:192.0.2.1:5000"}]
            self.assertIn("port x: connect: ", h.refused(self, "denied", c, "network.apply", network="lab",
                                                         ports=ports))
        self.assertIsNone(self.d.port("x"))

    def test_two_daemons(self):
        """One calls the other's qemu.sock: one network."""
        with h.Daemon() as other:
            other.create("lab")
            self.add(other.path("lab", "qemu.sock"))
            self.attached()
            with self.d.attach(name="a") as a, other.attach(name="b") as b:
                self.exchange(a, b)
                # joined twice, it is a loop, which is found and cut
                pair = h.Pair(other, first=0xFB00)
                self.addCleanup(pair.close)
                self.add(other.path("lab", "qemu.sock"), "twice")
                self.attached("twice")
                a.send(h.frame(h.BROADCAST, h.mac(1), os.urandom(40)))
                h.poll_until("it is cut", lambda: any(
                    p.get("looped") for d in (self.d, other) for p in d.ports()), 20)
                h.drain(a, b, *pair.ends)

    def test_an_uplink_that_sends_everything_back(self):
        """It is reported and cut off, and what it sends back goes no further than once."""
        pair = h.Pair(self.d)
        self.addCleanup(pair.close)
        server = self.listen()
        self.add(server.to)
        with server.accept() as peer, self.d.attach(name="a") as a, Mirror(peer):
            for n in range(200):
                a.send(h.frame(h.BROADCAST, h.mac(1), struct.pack("!I", n) + os.urandom(30)))
                h.taken(a)
                if self.d.port("up").get("looped"):
                    break
            self.assertTrue(self.d.port("up").get("looped"))
            h.drain(a, *pair.ends)
            before = self.d.stats("up")
            pair.check(rounds=20)
            f = h.frame(h.BROADCAST, h.mac(1), os.urandom(40))
            a.send(f)
            for end in pair.ends:
                self.assertEqual(end.recv(), f)
            self.assertTrue(a.silent())
            self.assertEqual(self.d.stats("up")["tx_frames"], before["tx_frames"])
        self.assertIn("port up brings back what was sent to all", self.d.log)


    def test_an_uplink_that_sends_back_what_is_for_one(self):
        """Nothing of it goes any further, and the address that is on two ports now is told of."""
        server = self.listen()
        self.add(server.to)
        with server.accept() as peer, self.d.attach(name="a") as a, self.d.attach(name="b") as b, \
                self.d.control() as events:
            self.attached()
            events.call("event.subscribe", events=["fdb.*"], network="lab")
            hello = h.frame(h.BROADCAST, h.mac(2), os.urandom(30))
            peer.send(hello)  # beyond the uplink
            self.assertEqual((a.recv(), b.recv()), (hello, hello))
            before = self.d.stats("up")
            with Mirror(peer):
                for n in range(100):
                    a.send(h.frame(h.mac(2), h.mac(1), struct.pack("!I", n)))
                    h.taken(a)
                h.poll_until("all came back", lambda: self.d.stats("up")["rx_frames"] - before["rx_frames"] == 100)
            self.assertTrue(a.silent())
            self.assertTrue(b.silent())
            self.assertEqual(self.d.stats("up")["tx_frames"] - before["tx_frames"], 100)
            name, params = next_event(events)
            self.assertEqual((name, params["mac"], {params["from_name"], params["to_name"]}),
                             ("fdb.moved", h.mac_text(h.mac(1)), {"a", "up"}))


def next_event(c):
    """(name, params) of the next notification."""
    while not c.notes:
        c.read()
    return c.notes.pop(0)


class Remover(h.Worker):
    """Removes a port, whenever it is there."""

    def __init__(self, session, port):
        super().__init__()
        self.session, self.port, self.removed = session, port, 0

    def turn(self):
        try:
            self.session.call("port.remove", name=self.port)
            self.removed += 1
        except h.RpcError as e:
            assert e.code in ("not_found", "busy"), e


class SendTo(h.Worker):
    """Sends the same datagram, whether or not somebody is there."""

    def __init__(self, sock, data, where):
        super().__init__()
        self.args = sock, data, where

    def turn(self):
        sock, data, where = self.args
        sock.sendto(data, where)


class Mirror(h.Worker):
    """Sends back what it gets."""

    def __init__(self, client):
        super().__init__()
        self.client = client

    def turn(self):
        self.client.sock.settimeout(0.05)
        try:
            self.client.sock.sendall(self.client.sock.recv(1 << 16))
        except TimeoutError:
            pass


class Datagrams(Base):
    """Kind udp: a frame a datagram, and the other end is fixed."""

    def udp(self, remote, local, name="up", **params):
        return self.d.call("port.add", network="lab", name=name, kind="udp", local=local, remote=remote, **params)

    def test_frames_both_ways_and_nobody_elses(self):
        with self.d.attach(name="n") as n:
            for i, host in enumerate(("127.0.0.1", "::1")):
                s, other = self.peer(host), self.peer(host)
                local, where = self.free(host)
                p = self.udp(self.at(s), local, f"up{i}")
                self.assertEqual((p["kind"], p["local"], p["remote"]), ("udp", local, self.at(s)))
                self.assertNotIn("path", p)
                self.attached(f"up{i}")
                self.assertNotIn("uid", self.d.port(f"up{i}"))
                frames = [h.frame(h.BROADCAST, h.mac(0x70 + i), os.urandom(20), size=size)
                          for size in (14, 60, 1514)]
                for f in frames:
                    other.sendto(b"x" + f[1:], where)
                    s.sendto(f, where)
                    self.assertEqual(n.recv(), f)
                self.assertTrue(n.silent())
                for f in frames:
                    n.send(f[:6] + h.mac(1) + f[12:])
                    self.assertEqual(s.recv(1 << 16), f[:6] + h.mac(1) + f[12:])
                self.d.call("port.remove", network="lab", name=f"up{i}")

    def test_nobody_elses_while_it_is_made(self):
        """From bind() to connect() the socket is anybody's to send to. One more may be on its way
        from there, on another processor (make_udp())."""
        s, other = self.peer(), self.peer()
        local, where = self.free()
        heard = 0
        with SendTo(other, h.frame(h.BROADCAST, h.mac(1)), where):
            for _ in range(150):
                self.udp(self.at(s), local)
                self.attached()
                heard += self.d.stats("up")["rx_frames"]
                self.d.call("port.remove", network="lab", name="up")
        self.assertLessEqual(heard, 2)

    def test_cap_is_what_a_datagram_holds(self):
        self.d.create("jumbo", backend="none", mtu=65521, multicast="flood")
        for i, (host, room) in enumerate((("127.0.0.1", 65507), ("::1", 65527))):
            s = self.peer(host)
            self.d.call("port.add", network="jumbo", name=f"up{i}", kind="udp", local=self.free(host)[0],
                        remote=self.at(s))
            h.poll_until("it is attached", lambda i=i: self.d.port(f"up{i}", "jumbo")["state"] == "attached")
            self.assertEqual(self.d.port(f"up{i}", "jumbo")["cap"], room)
            with self.d.attach("jumbo", name="n") as n:
                n.send(h.frame(h.BROADCAST, h.mac(1), size=room - 4))  # with a tag it is as long as that
                self.assertEqual(len(s.recv(1 << 17)), room - 4)
                n.send(h.frame(h.BROADCAST, h.mac(1), size=room - 3))
                h.poll_until("it is dropped", lambda i=i:
                             self.d.stats(f"up{i}", "jumbo")["drops"]["too_big_for_port"] == 1)

    def test_what_is_no_frame_is_counted(self):
        pair = h.Pair(self.d)
        self.addCleanup(pair.close)
        s = self.peer()
        local, where = self.free()
        self.udp(self.at(s), local)
        self.attached()
        for bad in (b"", b"x" * 13, os.urandom(1519), os.urandom(65507)):
            s.sendto(bad, where)
        h.poll_until("two of each are counted", lambda: [
            self.d.stats("up")["drops"][r] for r in ("runt", "oversize")] == [2, 2])
        for _ in range(200):  # from anybody to anybody, of a type that is no test's
            s.sendto(os.urandom(12) + b"\x99\x99" + os.urandom(86), where)
        h.drain(*pair.ends)
        pair.check()
        self.assertEqual(self.state(), ("attached", None))

    def test_the_other_may_come_later_and_go(self):
        remote, where = self.free()
        local, _ = self.free()
        with self.d.attach(name="n") as n:
            self.udp(remote, local)
            self.attached()
            f = h.frame(h.BROADCAST, h.mac(1), os.urandom(20))
            for _ in range(3):
                for _ in range(4):  # refused, and lost
                    n.send(f)
                    h.taken(n)
                self.assertEqual(self.state(), ("attached", None))
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    s.bind(where)
                    s.settimeout(0.2)
                    for _ in range(20):
                        n.send(f)
                        try:
                            self.assertEqual(s.recv(2000), f)
                            break
                        except TimeoutError:  # it was told of the last that was refused
                            continue
                    else:
                        self.fail("nothing comes")

    def test_an_address_that_is_taken(self):
        s, taken = self.peer(), self.peer()
        self.udp(self.at(s), self.at(taken))
        self.wait_for("cannot get datagrams at " + self.at(taken))
        taken.close()
        self.attached()

    def test_what_is_refused(self):
        good = {"local": "127.0.0.1:9", "remote": "127.0.0.1:7"}
        with self.d.control() as c:
            for code, params, words in (
                    ("invalid", {}, "needs both"), ("invalid", {"local": "127.0.0.1:9"}, "needs both"),
                    ("invalid", {**good, "remote": "[::1]:9"}, "both of IPv4"),
                    ("invalid", {**good, "remote": "127.0.0.1:9"}, "local itself"),
                    ("invalid", {**good, "remote": "/path"}, "give an address"),
                    ("invalid", {**good, "connect": "/x"}, "kind qemu"),
                    ("denied", {**good, "remote": "192.0.2.1:9"}, "192.0.2.1:9 is on another machine"),
                    ("denied", {**good, "local": "0.0.0.0:9"}, "0.0.0.0:9 is reached from other machines")):
                self.assertIn(words, h.refused(self, code, c, "port.add", network="lab", name="x", kind="udp",
                                               **params))
        self.assertIsNone(self.d.port("x"))


class Files(Base):
    """What a configuration says of them."""

    def daemon(self, **kw):
        self.conf = os.path.join(self.dir, "etc")
        os.makedirs(os.path.join(self.conf, "networks.d"))
        return h.Daemon("--config", self.conf, **kw)

    def write(self, name, text):
        with open(os.path.join(self.conf, name), "w", encoding="utf-8") as f:
            f.write(text)

    def test_saved_and_read_again(self):
        server = self.listen()
        self.add(server.to)
        self.add(os.path.join(self.dir, "later"), "later")
        remote, local = self.at(self.peer()), self.free()[0]
        self.d.call("port.add", network="lab", name="udp", kind="udp", local=local, remote=remote)
        with server.accept():
            self.attached()
            self.d.ctl("set", "lab", "--save", "--mtu", "1400", check=True)
            text = h.text_of(os.path.join(self.conf, "networks.d/lab.conf"))
            self.assertIn(f"[port up]\nkind = qemu\nconnect = {server.to}\n", text)
            self.assertIn(f"[port udp]\nkind = udp\nlocal = {local}\nremote = {remote}\n", text)
            self.assertNotIn("why", text)
            self.assertEqual(self.d.stop(), 0)
        self.d.start()
        with server.accept():
            self.attached()
            self.wait_for("No such file", "later")
            # as before: nobody is disturbed
            self.assertEqual(self.d.call("daemon.reload")["unchanged"], ["lab"])
            self.write("networks.d/lab.conf", text.replace("/later", "/sooner"))
            self.assertIn("cannot change", self.d.call("daemon.reload")["failed"][0]["message"])
            self.d.call("daemon.reload", replace=True)
            self.assertTrue(self.d.port("later")["connect"].endswith("/sooner"))
            self.attached()

    def test_other_machines_only_where_it_is_allowed(self):
        ports = "[network]\n[port up]\nkind = qemu\nconnect = tcp:192.0.2.1:5000\n"
        self.assertEqual(self.d.stop(), 0)
        self.write("networks.d/lab.conf", ports)
        check = [h.FETHD, "--check-config", "--config", self.conf]
        p = subprocess.run(check, capture_output=True, text=True, check=False)
        self.assertEqual(p.returncode, 1)
        self.assertIn("lab.conf:4: port up: connect: tcp:192.0.2.1:5000 is on another machine", p.stderr)
        self.write("fethd.conf", "[daemon]\ndial-anywhere = maybe\n")
        p = subprocess.run(check, capture_output=True, text=True, check=False)
        self.assertIn("dial-anywhere: must be yes or no", p.stderr)
        self.write("fethd.conf", "[daemon]\ndial-anywhere = yes\n")
        subprocess.run(check, check=True, capture_output=True)


class Ctl(Base):
    def test_shown(self):
        to = os.path.join(self.dir, "up.sock")
        out = self.d.ctl("port", "add", "lab", "up", "--kind", "qemu", "--connect", to, check=True).stdout
        self.assertRegex(out, rf"Connects to: +{to}\n")
        self.wait_for("No such file")
        remote, local = self.at(self.peer()), self.free()[0]
        self.d.ctl("port", "add", "lab", "udp", "--kind", "udp", "--local", local, "--remote", remote, check=True)
        out = self.d.ctl("port", "list", "lab", check=True).stdout
        self.assertRegex(out, rf" up +qemu +waiting .* to {to}, not now: cannot connect to {to}: No such file")
        self.assertRegex(out, rf" udp +udp .* {re.escape(f'{local} to {remote}')}\n")
        p = self.d.ctl("port", "add", "lab", "x", "--connect", to)
        self.assertEqual(p.returncode, 1)
        self.assertIn("only ports of kind qemu", p.stderr)


if __name__ == "__main__":
    h.main()
