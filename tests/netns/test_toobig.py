"""test_toobig.py - kernels whose packets are too long for a network are told so, and believe it.

A guest is a namespace whose interface has an MTU of 9000, connected to a port by a thread that carries
frames. Needs root; namespaces of its own.
"""
import ctypes
import fcntl
import hashlib
import os
import pathlib
import re
import select
import socket
import struct
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from harness import Closed, Daemon, main, poll_until
from netlab import Namespace, Tap, require

SIOCETHTOOL = 0x8946
TX_CHECKSUM, TSO, GSO = 0x17, 0x1F, 0x24  # ETHTOOL_STXCSUM, _STSO, _SGSO


class Guest:
    """A kernel behind a port."""

    def __init__(self, case, daemon, addresses, network="lab", **params):
        self.ns = case.enterContext(Namespace())
        self.ns.ip("link add eth0 type veth peer name wire")
        self.offload_off()
        self.ns.sysctl("ipv6/conf/wire/disable_ipv6", 1)
        for address in addresses:
            self.ns.ip(f"addr add {address} dev eth0" + (" nodad" if ":" in address else ""))
        for name in ("eth0", "wire"):
            self.ns.ip(f"link set {name} mtu 9000 up")
        self.tap = case.enterContext(Tap(self.ns, "wire"))
        self.client = case.enterContext(daemon.attach(network, mac=self.ns.link("eth0")["address"], **params))
        self._wake, self._woken = os.pipe()
        thread = threading.Thread(target=self._carry, daemon=True)
        case.addCleanup(thread.join)
        case.addCleanup(os.close, self._woken)
        thread.start()

    def offload_off(self):
        """So that what leaves is as it would be on a wire."""
        with self.ns.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for what in (TX_CHECKSUM, TSO, GSO):
                value = ctypes.create_string_buffer(struct.pack("II", what, 0), 8)
                fcntl.ioctl(s, SIOCETHTOOL, struct.pack("16sP16x", b"eth0", ctypes.addressof(value)))

    def _carry(self):
        try:
            while True:
                ready = select.select([self.tap.sock, self.client.sock, self._wake], [], [])[0]
                if self._wake in ready:
                    return
                if self.tap.sock in ready:
                    self.client.send(*[f for f, out in self.tap.drain() if not out])
                if self.client.sock in ready:
                    self.client.read()
                    frames, self.client.frames = self.client.frames, []
                    for f in frames:
                        self.tap.send(f)
        except (Closed, OSError):
            pass

    def told(self, dst, size):
        """The MTU that ping was told of, 0 if of none."""
        p = self.ns.run("ping", "-n", "-c", "1", "-w", "1", "-M", "do", "-s", str(size), dst, check=False)
        found = re.search(r"mtu ?= ?(\d+)|Packet too big: mtu=(\d+)", p.stdout + p.stderr)
        return int(found.group(1) or found.group(2)) if found else 0

    def path_mtu(self, dst):
        """What the kernel believes."""
        found = re.search(r"mtu (\d+)", self.ns.ip(f"route get {dst}"))
        return int(found.group(1)) if found else 9000


class TooBig(unittest.TestCase):
    def setUp(self):
        self.ns = self.enterContext(Namespace())
        self.d = self.enterContext(Daemon(prefix=self.ns.prefix))

    def network(self, **params):
        return self.d.create("lab", backend="veth", addresses=["10.1.0.1/24", "fd01::1/64"], **params)

    def test_ping_is_told_the_mtu_of_the_network(self):
        self.network(too_big=True)
        a = Guest(self, self.d, ["10.1.0.2/24", "fd01::2/64"])
        poll_until("they reach each other", lambda: self.ns.ping("10.1.0.2") and self.ns.ping("fd01::2"))
        for dst in ("10.1.0.1", "fd01::1"):
            self.assertEqual(a.path_mtu(dst), 9000)
            self.assertEqual(a.told(dst, 4000), 1500)
            self.assertEqual(a.path_mtu(dst), 1500)
            self.assertTrue(a.ns.ping(dst, "-M", "do", "-s", "1400"))
        self.assertTrue(a.ns.ping("10.1.0.1", "-M", "dont", "-s", "4000"))  # in pieces
        self.assertEqual(self.d.call("stats.get", network="lab")["network"]["too_big"], {"answered": 2, "limited": 0})

    def test_it_is_off_unless_it_is_on(self):
        self.network()
        a = Guest(self, self.d, ["10.1.0.2/24"])
        poll_until("they reach each other", lambda: self.ns.ping("10.1.0.2"))
        self.assertEqual(a.told("10.1.0.1", 4000), 0)
        self.assertIs(self.d.call("network.set", network="lab", too_big=True)["too_big"], True)
        self.assertEqual(a.told("10.1.0.1", 4000), 1500)

    def test_tcp_between_guests_finds_its_way_to_a_port_with_a_cap(self):
        """Both ends believe in 9000, and say so by the MSS; one port takes 1400."""
        self.network(mtu=9000, too_big=True)
        a, b = Guest(self, self.d, ["10.1.0.2/24", "fd01::2/64"]), \
            Guest(self, self.d, ["10.1.0.3/24", "fd01::3/64"], cap=1418)
        poll_until("they reach each other", lambda: a.ns.ping("10.1.0.3") and a.ns.ping("fd01::3"))
        for family, dst in ((socket.AF_INET, "10.1.0.3"), (socket.AF_INET6, "fd01::3")):
            for here, there, address in ((a, b, dst), (b, a, dst.replace("3", "2"))):
                for words in ("route flush cache", "-6 route flush cache"):  # else the MSS says it already
                    there.ns.ip(words)
                self.assertEqual(here.path_mtu(address), 9000)
                self.transfer(here, there, family, address)
                self.assertEqual(here.path_mtu(address), 1400, address)

    def transfer(self, here, there, family, address):
        data = os.urandom(300_000)
        with there.ns.entered():
            server = socket.create_server((address, 7000), family=family)
        with server:
            with here.ns.entered():
                client = socket.socket(family)
            client.settimeout(20)
            server.settimeout(20)
            client.connect((address, 7000))
            with client, server.accept()[0] as end:
                thread = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
                thread.start()
                end.settimeout(20)
                got = b"".join(iter(lambda: end.recv(1 << 16), b""))
                thread.join()
        self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(data).digest())


if __name__ == "__main__":
    require("ping")
    main()
