"""harness.py - a daemon in a directory of its own, and clients that share no code with it.

Used by every Python test. The wire is written here once more, on python3-msgpack and struct, so that a
mistake of ours in protocol/ cannot hide in its own mirror. Nothing here sleeps to wait for something:
it polls with a deadline.
"""
import array
import contextlib
import fcntl
import ipaddress
import os
import pickle
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import traceback
import unittest

import msgpack

import groupframes
import simhost

FETHD = os.environ.get("FETHD", "build/dev/server/fethd")
FETHCTL = os.environ.get("FETHCTL", "build/dev/clients/fethctl")
BROADCAST = bytes.fromhex("ffffffffffff")
ISOLATED = ["unshare", "-n"] if os.geteuid() == 0 else []  # root's daemon in a namespace of its own
ETHERTYPE = 0x88B5  # IEEE 802: for local experiments

# What the daemon runs on: this system with the host sides of server/hostif/fake.c, or, where this
# names a release of macOS, a simulated Darwin kernel (tests/darwin) with feth.
DARWIN = os.environ.get("FETHD_DARWIN_PROFILE", "")
HOST_BACKEND = "feth" if DARWIN else "fake"  # a network with a host side
BACKEND = "feth" if DARWIN else "none"  # of Daemon.create() by root, if it says none
SYSTEM_BACKEND = "feth" if DARWIN else "veth"  # what `auto` means for root
MTU_MIN, MTU_MAX = (72, 16370) if DARWIN else (68, 65521)  # of both
UNIT_BASE = 10000 if DARWIN else 0


def skip_all(why):
    """Ends the test program as skipped, loudly."""
    print(f"SKIPPED: {why}", flush=True)
    sys.exit(77)


def poll_until(what, test, seconds=10.0):
    """Returns the first true value of test(); fails with `what` when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = test()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.005)


def run_as(ids, fn):
    """fn() in a child process with this (uid, gid, supplementary groups), or as it is (None).
    Returns what it returned, if that can be pickled."""
    r, w = os.pipe()
    pid = os.fork()
    if not pid:
        out = None
        try:
            os.close(r)
            if ids and any(ids):
                uid, gid, groups = ids
                os.setgroups(groups)
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
            out = (fn(), None)
        except BaseException:
            out = (None, traceback.format_exc())
        finally:
            with os.fdopen(w, "wb") as f:
                pickle.dump(out, f)
            os._exit(0)
    os.close(w)
    with os.fdopen(r, "rb") as f:
        value, error = pickle.load(f)
    os.waitpid(pid, 0)
    if error:
        raise AssertionError(f"as {ids}: {error}")
    return value


def become(uid):
    """Root's way to run a command as an ordinary user, of a group of the same number."""
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]


def text_of(path):
    with open(path, errors="replace") as f:
        return f.read()


def mac(n):
    """A station's address, 02:00:00:00:xx:xx, as bytes."""
    return struct.pack("!HHH", 0x0200, 0, n)


def mac_text(m):
    return ":".join(f"{b:02x}" for b in m)


def frame(dst, src, payload=b"", ethertype=ETHERTYPE, size=0):
    """An Ethernet frame, padded with zeros to at least `size` bytes."""
    return (dst + src + struct.pack("!H", ethertype) + payload).ljust(size, b"\0")


def taken(client, seconds=10.0):
    """Waits until the daemon has read all that `client` sent; what it read it has also acted upon
    before it reads from anybody else, but for calls beyond the 16 of one turn. (SIOCOUTQ of a Unix
    socket: bytes not yet received.)"""
    if hasattr(client, "taken"):
        return client.taken(seconds)

    def unread():
        return struct.unpack("i", fcntl.ioctl(client.sock, termios.TIOCOUTQ, b"\0" * 4))[0]
    end = time.monotonic() + seconds
    while unread():
        if time.monotonic() > end:
            raise AssertionError(f"the daemon left {unread()} bytes unread for {seconds} s")
        time.sleep(0)
    return client


class Record:
    """What a monitor gets of a frame: ext 2 of docs/protocol.md."""

    def __init__(self, data):
        self.ns, self.port, self.verdict, self.reason, self.length = struct.unpack_from("!QHBBI", data)
        self.frame = data[16:]

    def __repr__(self):
        return (f"<{self.ns} port {self.port} verdict {self.verdict} reason {self.reason} "
                f"{self.length} {self.frame[:60].hex()}>")


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(f"{error[0]}: {error[1]}")
        self.code, self.message = error


class Closed(Exception):
    """The daemon closed the connection."""


def connected(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 10, 0))
    try:
        sock.connect(path)  # blocking, so that it waits where many are in line
    except OSError:
        sock.close()
        raise
    return sock


class Native:
    """A client of the native protocol: one stream, python3-msgpack, recvmsg for descriptors."""

    def __init__(self, path, timeout=10.0):
        self.sock = connected(path)
        self.sock.settimeout(timeout)
        self._setup()

    @classmethod
    def from_fd(cls, fd, timeout=10.0):
        self = cls.__new__(cls)
        self.sock = socket.socket(fileno=fd)
        self.sock.settimeout(timeout)
        self._setup()
        return self

    def _setup(self):
        self.unpacker = msgpack.Unpacker(raw=False, max_buffer_size=64 << 20)
        self.frames, self.notes, self.replies, self.fds, self.records = [], [], {}, [], []
        self.msgid = self.wakes = 0
        self.order = None  # a list: everything goes there as well, as it came

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def read(self):
        """Reads once and sorts what came. Raises Closed at the end of the stream."""
        try:
            data, anc, flags, _ = self.sock.recvmsg(1 << 18, socket.CMSG_SPACE(16))
        except ConnectionResetError:
            raise Closed() from None
        for level, kind, body in anc:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(body[: len(body) - len(body) % fds.itemsize])
                self.fds += list(fds)
        assert not flags & socket.MSG_CTRUNC
        if not data:
            raise Closed()
        self.unpacker.feed(data)
        for item in self.unpacker:
            if self.order is not None:
                self.order.append(item)
            if isinstance(item, bytes):
                self.frames.append(item)
            elif isinstance(item, list) and item[0] == 1:
                self.replies[item[1]] = item[2:]
            elif isinstance(item, list) and item[0] == 2:
                self.notes.append((item[1], item[2][0] if item[2] else {}))
            elif isinstance(item, msgpack.ExtType) and item.code == 2:
                self.records.append(Record(item.data))
            elif isinstance(item, msgpack.ExtType) and item.code == 3 and hasattr(self, "map"):
                self.wakes += 1  # of shmclient.py
            else:
                raise AssertionError(f"neither frame nor RPC from the daemon: {item!r}")

    def send_raw(self, data):
        self.sock.sendall(data)

    def request(self, method, **params):
        self.msgid += 1
        self.sock.sendall(msgpack.packb([0, self.msgid, method, [params] if params else []]))
        return self.msgid

    def reply(self, msgid):
        while msgid not in self.replies:
            self.read()
        error, result = self.replies.pop(msgid)
        if error is not None:
            raise RpcError(error)
        return result

    def call(self, method, **params):
        return self.reply(self.request(method, **params))

    def items(self, method, **params):
        """All items of a list method, over all its pages."""
        items, after = [], None
        while True:
            page = self.call(method, after=after, **params)
            items += page["items"]
            after = page["next"]
            if after is None:
                return items

    def send(self, *frames):
        self.sock.sendall(b"".join(msgpack.packb(f) for f in frames))

    def recv(self, ethertype=ETHERTYPE, seconds=10.0):
        """The next frame of this type (None: any); others are skipped."""
        end = time.monotonic() + seconds
        while True:
            while self.frames:
                f = self.frames.pop(0)
                if ethertype is None or f[12:14] == struct.pack("!H", ethertype):
                    return f
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no frame came")
            self._timed(left)

    def record(self, ethertype=ETHERTYPE, seconds=10.0):
        """The next record of a frame of this type (None: any); others are skipped."""
        end = time.monotonic() + seconds
        while True:
            while self.records:
                r = self.records.pop(0)
                if ethertype is None or r.frame[12:14] == struct.pack("!H", ethertype):
                    return r
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no record came")
            self._timed(left)

    def _timed(self, seconds):
        old = self.sock.gettimeout()
        self.sock.settimeout(max(seconds, 0.001))
        try:
            self.read()
        finally:
            self.sock.settimeout(old)

    def silent(self, seconds=0.2, ethertype=ETHERTYPE):
        """Whether no frame of this type comes for a while."""
        try:
            self.recv(ethertype, seconds)
        except (TimeoutError, socket.timeout):
            return True
        return False

    def note(self, method, seconds=10.0):
        """The params of the next notification of this name."""
        end = time.monotonic() + seconds
        while True:
            for i, (name, params) in enumerate(self.notes):
                if name == method:
                    del self.notes[i]
                    return params
            self._timed(end - time.monotonic())

    def closed(self, seconds=10.0):
        """Reads until the daemon closes; whether it did."""
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                self._timed(end - time.monotonic())
        except Closed:
            return True
        except (TimeoutError, socket.timeout):
            pass
        return False


class Qemu:
    """A client of QEMU's stream framing."""

    def __init__(self, path=None, fd=None, timeout=10.0):
        if fd is not None:
            self.sock = socket.socket(fileno=fd)
        else:
            self.sock = connected(path)
        self.sock.settimeout(timeout)
        self.buf = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, *frames):
        self.sock.sendall(b"".join(struct.pack("!I", len(f)) + f for f in frames))

    def send_raw(self, data):
        self.sock.sendall(data)

    def recv(self, ethertype=ETHERTYPE, seconds=10.0):
        self.sock.settimeout(seconds)
        while True:
            if len(self.buf) >= 4:
                n = struct.unpack("!I", self.buf[:4])[0]
                if len(self.buf) >= 4 + n:
                    f, self.buf = self.buf[4 : 4 + n], self.buf[4 + n :]
                    if ethertype is None or f[12:14] == struct.pack("!H", ethertype):
                        return f
                    continue
            data = self.sock.recv(1 << 18)
            if not data:
                raise Closed()
            self.buf += data

    def silent(self, seconds=0.2, ethertype=ETHERTYPE):
        try:
            self.recv(ethertype, seconds)
        except (TimeoutError, socket.timeout):
            return True
        return False

    def closed(self, seconds=10.0):
        try:
            while True:
                self.recv(None, seconds)
        except (Closed, ConnectionResetError):
            return True
        except (TimeoutError, socket.timeout):
            return False


class Messages:
    """A client whose socket carries a frame a message: a descriptor (port.open), or seqpacket.sock."""

    def __init__(self, path=None, fd=None, timeout=10.0):
        if fd is not None:
            self.sock = socket.socket(fileno=fd)
        else:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.sock.settimeout(timeout)
            self.sock.connect(path)
        self.sock.settimeout(timeout)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, *frames):
        for f in frames:
            self.sock.send(f)

    def recv(self, ethertype=ETHERTYPE, seconds=10.0):
        self.sock.settimeout(seconds)
        while True:
            f = self.sock.recv(1 << 17)
            if not f:
                raise Closed()
            if ethertype is None or f[12:14] == struct.pack("!H", ethertype):
                return f

    silent = Qemu.silent
    closed = Qemu.closed


def gets(client, f):
    """Waits until a frame comes, also where others came before."""
    for _ in range(20000):
        if client.recv() == f:
            return
    raise AssertionError("it did not come")


def exchange(a, b, src=1, size=0):
    """Two frames each way between two clients that are ports, @a's address being that of @src."""
    for _ in range(2):
        f = frame(BROADCAST, mac(src), os.urandom(20), size=size)
        a.send(f)
        gets(b, f)
        f = frame(mac(src), mac(0x4444), os.urandom(20), size=size)
        b.send(f)
        gets(a, f)


class Daemon:
    """fethd in a fresh run directory. Ends only the process it started; its log is kept in `log`."""

    def __init__(self, *args, prefix=(), env=None, run_dir=None, wait=True, uid=None, system=None):
        self.dir = tempfile.mkdtemp(prefix="fethd-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.run_dir = run_dir or f"{self.dir}/run"
        self.conf_dir = f"{self.dir}/etc"  # nobody's, until a test makes it
        self.fake_dir = f"{self.dir}/fake"
        os.mkdir(self.fake_dir)
        self.log_path = f"{self.dir}/log"
        self.args, self.prefix = list(args), list(prefix)
        self.backend = "none" if uid else BACKEND
        self.own_system = system is None  # where its host sides are; or another daemon's
        self.system = system or (SimSystem(uid or 0) if DARWIN else FakeSystem(self.fake_dir))
        self.env = {**os.environ, **self.system.env, **(env or {})}
        self.create_with = {}  # what create() says besides, in tests of one thing
        self.proc = None
        self.binary = FETHD
        if uid is not None and uid != os.geteuid():
            self.prefix += become(uid)
            self.binary = shutil.copy(FETHD, self.dir)  # where it was built others may not look
            os.chmod(self.binary, 0o755)
            for path in (self.dir, self.fake_dir):
                os.chown(path, uid, uid)
        if wait is not None:
            try:
                self.start(wait)
            except BaseException:
                if self.own_system:
                    self.system.end()
                raise

    def start(self, wait=True):
        log = open(self.log_path, "ab")
        self.log_from = log.tell()
        self.proc = subprocess.Popen(
            [*self.prefix, self.binary, "--run-dir", self.run_dir, "--config", self.conf_dir, *self.args],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        log.close()
        if wait:
            poll_until("the daemon is ready", self._ready, 20)
        return self

    def _ready(self):
        if self.proc.poll() is not None:
            raise AssertionError(f"fethd ended with {self.proc.returncode}:\n{self.log}")
        return ": ready " in self.new_log

    @property
    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    @property
    def new_log(self):
        """What was logged since the last start."""
        with open(self.log_path, "rb") as f:
            f.seek(self.log_from)
            return f.read().decode(errors="replace")

    def path(self, *parts):
        return "/".join((self.run_dir, *parts))

    def control(self):
        return Native(self.path("control.sock"))

    def call(self, method, **params):
        with self.control() as c:
            return c.call(method, **params)

    def create(self, network="lab", **params):
        params = {**self.create_with, **params}
        params.setdefault("backend", self.backend)
        return self.call("network.create", network=network, **params)

    def native(self, network="lab"):
        return Native(self.path(network, "feth.sock"))

    def attach(self, network="lab", **params):
        """A native client that is a port; `info` is what attach said."""
        c = self.native(network)
        c.info = c.call("attach", **params)
        return c

    def qemu(self, network="lab"):
        return Qemu(self.path(network, "qemu.sock"))

    def ctl(self, *args, check=False, **kw):
        """Runs fethctl; returns the finished process."""
        p = subprocess.run([FETHCTL, "--run-dir", self.run_dir, *args], text=True,
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=60, env=self.env, **kw)
        if check and p.returncode:
            raise AssertionError(f"fethctl {args}: {p.returncode}\n{p.stdout}{p.stderr}")
        return p

    def ports(self, network="lab"):
        with self.control() as c:
            return c.items("port.list", network=network)

    def clients(self, network="lab"):
        """Its ports but for the host side."""
        return [p for p in self.ports(network) if p["kind"] != "host"]

    def port(self, name, network="lab"):
        return next((p for p in self.ports(network) if p["name"] == name), None)

    def stats(self, name=None, network="lab"):
        """The counters of a port, or of the network; drops default to 0."""
        with self.control() as c:
            if name is None:
                row = c.call("stats.get", network=network)["network"]
            else:
                row = next(r for r in c.items("stats.get", network=network) if r["name"] == name)
        row["drops"] = Counts(row["drops"])
        return row

    def anon_kib(self):
        """Resident memory of its own: without the pages of programs and libraries it has run through."""
        with open(f"/proc/{self.proc.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("RssAnon"))

    def grown_kib(self, before):
        """How much resident memory there is more than `before`; nothing under TSan, whose shadow of each byte is
        four times as large."""
        with open(f"/proc/{self.proc.pid}/maps") as f:
            return 0 if "libtsan" in f.read() else self.rss_kib() - before

    def rss_kib(self):
        with open(f"/proc/{self.proc.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    def kill(self):
        """As a crash would: nothing is cleaned up."""
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGKILL)
            self.proc.wait()

    def stop(self, seconds=20):
        """Ends it in order; returns its exit status."""
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        return self.proc.wait(seconds)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            status = self.stop() if self.proc else 0
        except subprocess.TimeoutExpired:
            self.kill()
            status = "still running 20 s after SIGTERM"
        log = self.log if os.path.exists(self.log_path) else ""
        shutil.rmtree(self.dir, ignore_errors=True)
        bad = status not in (0, -signal.SIGKILL) or "ERROR: " in log or "runtime error" in log \
            or "WARNING: ThreadSanitizer" in log
        system = self.system.end() if self.own_system else ""
        if bad or kind or system:
            print(f"--- fethd's log (exit {status}):\n{log[-20000:]}---\n{system}", file=sys.stderr)
        if (bad or system) and not kind:
            raise AssertionError(f"fethd ended with {status}" if bad else system)


class Pair:
    """A native and a QEMU client that exchange numbered frames. Whatever others do to the daemon
    meanwhile may cost these two none: check() after each offence."""

    TYPE = 0x88B6  # IEEE 802: the second one for local experiments

    def __init__(self, daemon, network="lab", first=0xFA00):
        self.n = 0
        self.macs = mac(first), mac(first + 1)
        self.ends = daemon.attach(network), daemon.qemu(network)
        # whose frame came back is attached, and known to the switch
        for me, other in ((1, 0), (0, 1)):
            self.ends[me].send(frame(BROADCAST, self.macs[me], b"pair", self.TYPE))
            self.ends[other].recv(self.TYPE)

    def check(self, frames=4, size=60, rounds=1):
        """Fails if one frame between the two is lost, changed, doubled or out of order."""
        for _ in range(rounds):
            for me, other in ((0, 1), (1, 0)):
                sent = []
                for _ in range(frames):
                    self.n += 1
                    sent.append(frame(self.macs[other], self.macs[me], struct.pack("!Q", self.n),
                                      self.TYPE, size))
                self.ends[me].send(*sent)
                for f in sent:
                    got = self.ends[other].recv(self.TYPE)
                    assert got == f, f"frame {f[14:22].hex()} expected, {got[14:22].hex()} came"

    def close(self):
        for end in self.ends:
            end.close()


def come(c):
    """The frames that have come so far, of any type."""
    c.sock.settimeout(0)
    try:
        while True:
            if isinstance(c, Native):
                c.read()
                continue
            data = c.sock.recv(1 << 18)
            if not data:
                break
            c.buf += data
    except (BlockingIOError, Closed):
        pass
    finally:
        c.sock.settimeout(10.0)
    if isinstance(c, Native):
        frames, c.frames = c.frames, []
        return frames
    at, frames = 0, []
    while len(c.buf) - at >= 4:
        n = struct.unpack_from("!I", c.buf, at)[0]
        if len(c.buf) - at - 4 < n:
            break
        frames.append(c.buf[at + 4 : at + 4 + n])
        at += 4 + n
    c.buf = c.buf[at:]
    return frames


def drain(*clients):
    """Throws away the frames that have come so far."""
    for c in clients:
        come(c)


class FakeSystem:
    """What the fake backend's host sides are made of: files (server/hostif/fake.c)."""

    def __init__(self, path):
        self.dir = path
        self.env = {"FETHD_FAKE_DIR": path}
        self.joined = {}  # by network

    def _write(self, name, text):
        with open(f"{self.dir}/{name}", "w") as f:
            f.write(text)

    def everything(self):
        """All that the kernel knows, to be compared."""
        return {f: text_of(f"{self.dir}/{f}") for f in os.listdir(self.dir) if f.endswith(".state")}

    def left(self):
        """The names of all that is there."""
        return sorted(os.listdir(self.dir))

    def names(self, *rows):
        """The part of left() that networks, as network.show has them, are made of."""
        return sorted(f for r in rows for f in (
            f"{r['name']}.state", f"{r['name']}.host", f"{r['host']}.if", f"{r['service']}.if"))

    def state(self, row):
        """What the kernel knows of a network's pair; None where it is not there."""
        path = f"{self.dir}/{row['name']}.state"
        return text_of(path) if os.path.exists(path) else None

    def agrees(self, row):
        """Whether the kernel has what network.show says."""
        state = (self.state(row) or "").splitlines()
        return [x for x in state if x.startswith("addr=")] == [f"addr={a}" for a in row["addresses"]] and {
            f"host={row['host']}", f"service={row['service']}", f"mac={row['mac']}",
            f"mtu={row['mtu']}", f"up={'yes' if row['up'] else 'no'}"} <= set(state)

    def refuse(self, step, network="lab"):
        """From now on, or the next time, the kernel refuses a step: make, change-mtu, -mac, -up or
        -addr. Returns words that the sentence then has."""
        self._write(f"{network}.fail", step)
        return network, "refused"

    def allow(self, network="lab"):
        os.unlink(f"{self.dir}/{network}.fail")

    def take_unit(self, unit, network="lab"):
        """Somebody else has its interfaces."""
        self._write(f"{network}.fail", "taken")

    def give_unit_back(self, unit, network="lab"):
        self.allow(network)

    def take(self, name):
        """An interface of this name is somebody else's."""
        self._write(f"{name}.fail", "taken")

    def give_back(self, name):
        os.unlink(f"{self.dir}/{name}.fail")

    def foreign(self):
        """Something that is none of ours; returns its name in left()."""
        self._write("eth0.state", "")
        return "eth0.state"

    def remove_pair(self, row):
        """As somebody else would. Programs that joined groups there have them again in a pair of the
        same name: Darwin's ifnet comes back with its list (dlil.c:ifnet_attach(), DLIF_REUSE)."""
        os.unlink(f"{self.dir}/{row['name']}.state")

    def standing(self, row):
        """MACs of groups that the kernel itself listens to, for the addresses of a host side."""
        return set()

    def join(self, row, *groups):
        """A program of the host joins IP groups on its side of a network."""
        self.joined[row["name"]] = self.joined.get(row["name"], set()) | set(groups)
        self._tell_groups(row["name"])

    def leave(self, row, *groups):
        self.joined[row["name"]] -= set(groups)
        self._tell_groups(row["name"])

    def _tell_groups(self, network):
        path = f"{self.dir}/{network}.groups"
        if not self.joined[network]:
            os.unlink(path)
            return
        self._write(f"{network}.groups.new", "".join(
            mac_text(groupframes.group_mac(ip)) + "\n" for ip in self.joined[network]))
        os.rename(f"{path}.new", path)

    def host(self, daemon, network):
        return FakeHost(daemon, network)

    def end(self):
        return ""


class SimSystem:
    """A simulated Darwin machine (tests/darwin). For its methods see FakeSystem."""

    STEPS = {"make": "SIOCIFCREATE", "change-mtu": "SIOCSIFMTU", "change-mac": "SIOCSIFLLADDR",
             "change-up": "SIOCSIFFLAGS", "change-addr": "SIOCAIFADDR"}

    def __init__(self, uid):
        self.machine = simhost.Machine(DARWIN)
        self.env = {"FETHD_DARWIN_SIM": self.machine.path, "FETHD_DARWIN_UID": str(uid)}

    def everything(self):
        addresses = self.machine.all_addresses()
        return {n: (i, addresses[n]) for n, i in self.machine.feths().items()}

    def left(self):
        return sorted(self.machine.feths())

    def names(self, *rows):
        return sorted(n for r in rows for n in (r["host"], r["service"]))

    def state(self, row):
        """Without what a new pair of the same looks cannot share: the index."""
        there = self.machine.feths()
        members = [there.get(row[m]) for m in ("host", "service")]
        if None in members or members[0].peer != members[1].name:
            return None
        return [(m._replace(index=0), self.machine.addresses(m.name)) for m in members]

    def agrees(self, row):
        there = self.machine.feths()
        host, service = there.get(row["host"]), there.get(row["service"])
        return (host and service and host.peer == service.name and service.flags & simhost.UP and
                host.mac == row["mac"] and host.mtu == service.mtu == row["mtu"] and
                bool(host.flags & simhost.UP) == row["up"] and service.n_bpf == 1 and
                self.machine.addresses(host.name, False) == {
                    a for a in row["addresses"] if not a.startswith("fe80:")})

    def refuse(self, step, network="lab"):
        """What changes a pair is refused once, so that it can be undone."""
        if step == "make":
            self.machine.refuse(self.STEPS[step])
        else:
            self.machine.fail(self.STEPS[step], simhost.EPERM)
        return network, "feth"

    def allow(self, network="lab"):
        self.machine.refuse(None)
        self.machine.knob("fail_after", 0)

    def take_unit(self, unit, network="lab"):
        self.take(f"feth{unit}")

    def give_unit_back(self, unit, network="lab"):
        self.give_back(f"feth{unit}")

    def take(self, name):
        if self.machine.interface(name):
            self.machine.destroy(name)
        self.machine.act("create", name)

    def give_back(self, name):
        self.machine.destroy(name)

    def foreign(self):
        self.machine.act("create", "feth7")
        return "feth7"

    def remove_pair(self, row):
        self.machine.destroy(row["host"], row["service"])

    def standing(self, row):
        """All hosts, all nodes, and the solicited-node groups; there may be more."""
        groups = set()
        for address in self.machine.addresses(row["host"]):
            ip = ipaddress.ip_interface(address).ip
            groups |= {"224.0.0.1"} if ip.version == 4 else {
                "ff02::1", f"ff02::1:ff{ip.packed[13]:02x}:{ip.packed[14]:02x}{ip.packed[15]:02x}"}
        return {mac_text(groupframes.group_mac(ip)) for ip in groups}

    def join(self, row, *groups):
        for ip in groups:
            self.machine.join(row["host"], ip)

    def leave(self, row, *groups):
        for ip in groups:
            self.machine.join(row["host"], ip, False)

    def host(self, daemon, network):
        return simhost.SimHost(daemon, network)

    def end(self):
        """Ends the machine; a sentence if that was not in order."""
        try:
            n = self.machine.descriptors()
        except (AssertionError, OSError) as e:
            n = e
        status = self.machine.end()
        log = self.machine.last_log
        if n or status or "ERROR: " in log or "runtime error" in log:
            return f"darwinsim ended with {status}, descriptors still open: {n}\n{log[-20000:]}"
        return ""


def host(daemon, network="lab"):
    """The host's end of a network: what the system's own stack sends and gets there."""
    return daemon.system.host(daemon, network)


class FakeHost:
    """The host's end of a fake pair (server/hostif/fake.c)."""

    def __init__(self, daemon, network="lab"):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.path = f"{daemon.fake_dir}/{network}.peer"
        self.sock.bind(self.path)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.sock.connect(f"{daemon.fake_dir}/{network}.host")
        self.sock.settimeout(10)

    def send(self, *frames):
        for f in frames:
            self.sock.send(f)

    def recv(self):
        return self.sock.recv(1 << 17)

    def take_few(self):
        """From now on it takes some of what it gets, and refuses the rest."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def silent(self, seconds=0.2):
        self.sock.settimeout(seconds)
        try:
            self.sock.recv(1 << 17)
        except (TimeoutError, socket.timeout):
            return True
        finally:
            self.sock.settimeout(10)
        return False

    def close(self):
        self.sock.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


class Worker(threading.Thread):
    """Does its turn() over and over until the end of the with block, which fails if it did."""

    def __init__(self):
        super().__init__(daemon=True)
        self.n, self.error, self.done = 0, None, threading.Event()

    def run(self):
        try:
            while not self.done.is_set():
                self.turn()
        except OSError as e:
            self.error = e

    def turn(self):
        raise NotImplementedError

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.done.set()
        self.join(20)
        if not kind:
            assert not self.is_alive() and not self.error, self.error


class Flood(Worker):
    """Sends the same frames."""

    def __init__(self, client, *frames, pause=0.0):
        super().__init__()
        self.client, self.frames, self.pause = client, frames, pause

    def turn(self):
        self.client.send(*self.frames)
        self.n += len(self.frames)
        self.done.wait(self.pause) if self.pause else time.sleep(0)


class Bridge(Worker):
    """Sends by each of two clients what the other gets, through change() if that is something."""

    def __init__(self, a, b, change=lambda f: f):
        super().__init__()
        self.way = {a.sock: (a, b), b.sock: (b, a)}
        self.change = change

    def turn(self):
        for sock in select.select(list(self.way), [], [], 0.02)[0]:
            get, give = self.way[sock]
            frames = [f for f in map(self.change, come(get)) if f]
            give.send(*frames)
            self.n += len(frames)

    def quiet(self, seconds=10.0, noise=0):
        """Waits until nothing goes round any more but `noise` frames in a fifth of a second."""
        def same():
            before = self.n
            time.sleep(0.2)
            return self.n - before <= noise
        poll_until("it is quiet", same, seconds)


def refused(case, code, c, method, **params):
    """The sentence with which a call is refused."""
    with case.assertRaises(RpcError, msg=f"{method} {params}") as e:
        c.call(method, **params)
    case.assertEqual(e.exception.code, code, e.exception)
    return e.exception.message


class Counts(dict):
    def __missing__(self, key):
        return 0


def main():
    """Runs the tests of the calling program. Whole skips are exit 77, so that ctest shows them."""
    result = unittest.main(exit=False, verbosity=2).result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun and len(result.skipped) == result.testsRun:
        sys.exit(77)
    sys.exit(0)
