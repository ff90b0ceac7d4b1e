"""simhost.py - a test's hand on the simulated Darwin machine (tests/darwin/server.c) that a daemon
runs on: the machine as a process, its door, and the host's end of a network on it.

The door's language is described in tests/darwin/server_door.c.
"""
import collections
import ipaddress
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

DARWINSIM = os.environ.get("DARWINSIM", "build/dev/tests/darwin/darwinsim")
UP, RUNNING = 0x1, 0x40
EPERM, ENXIO, EBUSY, EEXIST, EINVAL, ENETDOWN, ENOBUFS = 1, 6, 16, 17, 22, 50, 55  # Darwin's

Interface = collections.namedtuple(
    "Interface", "name peer index flags mtu max_mtu mac n_inet n_inet6 n_ndrv n_bpf")


class SimError(Exception):
    def __init__(self, request, number):
        super().__init__(f"{request}: Darwin's error {number}")
        self.number = number


class Machine:
    """A simulated machine with a directory of its own. It outlives the processes on it."""

    def __init__(self, profile):
        self.dir = tempfile.mkdtemp(prefix="darwinsim-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.path = f"{self.dir}/sock"
        self.log_path = f"{self.dir}/log"
        log = open(self.log_path, "wb")
        self.proc = subprocess.Popen([DARWINSIM, "--socket", self.path, "--profile", profile],
                                     stdin=subprocess.PIPE, stdout=log, stderr=log)
        log.close()
        self.profile = profile
        self.sock = None
        end = time.monotonic() + 20
        while self.sock is None:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(self.path)
                self.sock = sock
            except (FileNotFoundError, ConnectionRefusedError):
                sock.close()
                if self.proc.poll() is not None or time.monotonic() > end:
                    raise AssertionError(f"darwinsim does not start: {self.log}") from None
                time.sleep(0.002)
        self.sock.settimeout(20)
        self._send(b"test")

    @property
    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def _send(self, data):
        self.sock.sendall(struct.pack("=I", len(data)) + data)

    def _recv(self, n):
        out = b""
        while len(out) < n:
            data = self.sock.recv(n - len(out))
            if not data:
                raise AssertionError(f"darwinsim closed its door: {self.log}")
            out += data
        return out

    def ask(self, *words, tail=b""):
        """The number of the answer and the bytes behind it."""
        request = " ".join(str(w) for w in words)
        self._send(request.encode() + b"\n" + tail)
        line, rest = self._recv(struct.unpack("=I", self._recv(4))[0]).split(b"\n", 1)
        kind, *value = line.decode().split(" ")
        if kind != "ok":
            raise SimError(request, int(value[0]))
        return int(value[0]) if value else 0, rest

    # -- what there is --

    def interfaces(self):
        """All interfaces by name."""
        out = {}
        for line in self.ask("list")[1].decode().splitlines():
            name, peer, index, flags, mtu, max_mtu, mac, *counts = line.split(" ")
            out[name] = Interface(name, "" if peer == "-" else peer, int(index), int(flags), int(mtu),
                                  int(max_mtu), mac, *map(int, counts))
        return out

    def interface(self, name):
        return self.interfaces().get(name)

    def feths(self):
        return {n: i for n, i in self.interfaces().items() if n.startswith("feth")}

    def all_addresses(self):
        """ "10.0.0.1/24" and so on, as a set for each interface."""
        out = collections.defaultdict(set)
        for line in self.ask("addresses")[1].decode().splitlines():
            name, address = line.split(" ")
            out[name].add(str(ipaddress.ip_interface(address)))
        return out

    def addresses(self, name, link_local=True):
        """Of one; link_local=False: without fe80::."""
        return {a for a in self.all_addresses()[name] if link_local or not a.startswith("fe80:")}

    def descriptors(self):
        return self.ask("descriptors")[0]

    # -- what goes wrong --

    def knob(self, name, value=None):
        return self.ask("knob", name, *(() if value is None else (int(value),)))[0]

    def fail(self, call, number, after=1):
        """The `after`-th call of this name fails once."""
        self.ask("knob", "fail_call", call)
        self.knob("fail_errno", number)
        self.knob("fail_after", after)

    def refuse(self, call, number=EPERM):
        """Every call of this name that a process makes fails, until call is None."""
        self.ask("refuse", call or "-", number)

    def run(self):
        self.ask("run")

    # -- what other programs do --

    def act(self, *words):
        return self.ask(*words)[0]

    def destroy(self, *names):
        """One, or two at once."""
        self.act("destroy", *names)

    def up(self, name, up=True):
        self.act("flags", name, UP if up else 0, 0 if up else UP)

    def sysctl(self, name, value=None):
        return self.act("sysctl", f"net.link.fake.{name}", *(() if value is None else (value,)))

    # -- what the host does --

    def output(self, name, *frames):
        """The stack sends frames; how many the interface took."""
        return self.ask("output", name, tail=b"".join(struct.pack("=I", len(f)) + f for f in frames))[0]

    def input(self, name):
        """The frames that came in since the last time."""
        tail, at, out = self.ask("input", name)[1], 0, []
        while at < len(tail):
            n = struct.unpack_from("=I", tail, at)[0]
            out.append(tail[at + 4 : at + 4 + n])
            at += 4 + n
        return out

    def join(self, name, group, join=True):
        ip = ipaddress.ip_address(group)
        self.act("join" if join else "leave", name, ip.version, ip.packed.hex())

    # -- the end --

    def end(self):
        """Its exit status, 0 unless something is wrong; the log is in `last_log`."""
        if self.sock:
            self.sock.close()
        self.sock = None
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        try:
            status = self.proc.wait(20)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            status = "still running 20 s after SIGTERM"
        self.proc.stdin.close()
        self.last_log = self.log if os.path.exists(self.log_path) else ""
        if not status and os.path.exists(self.path):
            status = "its socket is left behind"
        shutil.rmtree(self.dir, ignore_errors=True)
        return status


class SimHost:
    """The host's end of a daemon's network on a simulated machine: its network stack."""

    def __init__(self, daemon, network):
        self.daemon, self.network, self.frames = daemon, network, []
        self.machine = daemon.system.machine
        self.name = daemon.call("network.show", network=network)["host"]
        self.base = self._received()
        self.sent = 0

    def _received(self):
        return self.daemon.stats("host", self.network)["rx_frames"]

    def send(self, *frames):
        self.sent += self.machine.output(self.name, *frames)

    def taken(self, seconds=10.0):
        """Waits until the daemon has read all that was sent."""
        end = time.monotonic() + seconds
        while self._received() - self.base < self.sent:
            if time.monotonic() > end:
                raise AssertionError(f"the daemon got {self._received() - self.base} of {self.sent}")
            time.sleep(0.001)
        return self

    def recv(self, seconds=10.0):
        end = time.monotonic() + seconds
        while not self.frames:
            self.frames = self.machine.input(self.name)
            if not self.frames:
                if time.monotonic() > end:
                    raise TimeoutError("no frame came in at the host")
                time.sleep(0.002)
        return self.frames.pop(0)

    def take_few(self):
        """From now on the kernel takes two of three frames, and has no buffer for the third."""
        self.machine.knob("enobufs_every", 3)

    def silent(self, seconds=0.2):
        try:
            self.recv(seconds)
        except TimeoutError:
            return True
        return False

    def close(self):
        pass
