"""vdeclient.py - a client of vde/ctl, as vde_switch's clients are, and what a hostile one can say."""
import os
import socket
import struct
import time

import harness

MAGIC = 0xFEEDFACE
ADDR = 110  # struct sockaddr_un, on Linux


def address(path, family=socket.AF_UNIX):
    return struct.pack("=H", family) + path.ljust(ADDR - 2, b"\0")


def request(path, version=3, kind=0, says=b"test", family=socket.AF_UNIX):
    """What a client sends; version 1 has a MAC address where 3 has its number."""
    if version == 1:
        return struct.pack("=II6s", MAGIC, kind, b"\2\0\0\0\0\1") + address(path, family) + says
    return struct.pack("=III", MAGIC, version, kind) + address(path, family) + says


def answer(sock, seconds=10.0):
    """The path that the daemon says; Closed where it says none."""
    sock.settimeout(seconds)
    data = b""
    while len(data) < ADDR:
        try:
            more = sock.recv(ADDR - len(data))
        except ConnectionResetError:
            more = b""
        if not more:
            raise harness.Closed()
        data += more
    family, path = struct.unpack(f"=H{ADDR - 2}s", data)
    assert family == socket.AF_UNIX, family
    return path.rstrip(b"\0")


class Vde:
    """A client in the way of libvdeplug: its own socket beside `ctl`, unlinked when both are connected."""

    n = 0

    def __init__(self, ctl, name=None, version=3, seconds=10.0, connect=True):
        Vde.n += 1
        self.ctl = harness.connected(ctl)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.settimeout(10)
        self.name = name or f"{os.path.dirname(ctl)}/.{os.getpid()}-{Vde.n}".encode()
        self.path = None
        try:
            self.sock.bind(self.name)
            self.ctl.sendall(request(self.name, version))
            self.path = answer(self.ctl, seconds)
            if connect:
                self.sock.connect(self.path)
        except BaseException:
            self.close()
            raise
        finally:
            if self.name[:1] == b"/" and os.path.exists(self.name):
                os.unlink(self.name)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.ctl.close()
        self.sock.close()

    def send(self, *frames):
        for f in frames:
            self.sock.send(f)

    def recv(self, ethertype=harness.ETHERTYPE, seconds=10.0):
        end = time.monotonic() + seconds
        while True:
            self.sock.settimeout(max(end - time.monotonic(), 0.001))
            f = self.sock.recv(1 << 17)
            if ethertype is None or f[12:14] == struct.pack("!H", ethertype):
                return f

    def silent(self, seconds=0.2, ethertype=harness.ETHERTYPE):
        try:
            self.recv(ethertype, seconds)
        except (TimeoutError, socket.timeout):
            return True
        return False

    def ended(self, seconds=10.0):
        """Whether the daemon closes the connection, having said nothing more."""
        self.ctl.settimeout(seconds)
        try:
            return self.ctl.recv(1) == b""
        except ConnectionResetError:
            return True
        except (TimeoutError, socket.timeout):
            return False
