#!/usr/bin/env python3
"""ping.py - a guest of one file: joins a network of fethd as a QEMU would, and pings or is pinged.

    ping.py SOCKET ping   ADDRESS OWN-ADDRESS [BYTES [COUNT]]   status 0 if every answer came whole
    ping.py SOCKET answer OWN-ADDRESS SECONDS                   answers ARP and ping for so long

SOCKET is RUN/NETWORK/qemu.sock: a 32-bit big-endian length, then a frame. Nothing but Python's own
library; verify.sh uses it.
"""
import os
import socket
import struct
import sys
import time

MAC = bytes.fromhex("02fe00c0ffee")
BROADCAST = b"\xff" * 6
ARP, IPV4 = 0x0806, 0x0800
WAIT = 5.0  # seconds for one answer


def checksum(data):
    """RFC 1071"""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Port:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.data = b""

    def send(self, destination, ethertype, payload):
        frame = destination + MAC + struct.pack("!H", ethertype) + payload
        self.sock.sendall(struct.pack("!I", len(frame)) + frame)

    def recv(self, end):
        """The next frame as (source, ethertype, payload), or None after the time `end`."""
        while True:
            if len(self.data) >= 4:
                size = struct.unpack("!I", self.data[:4])[0]
                if len(self.data) >= 4 + size:
                    frame, self.data = self.data[4:4 + size], self.data[4 + size:]
                    return frame[6:12], struct.unpack("!H", frame[12:14])[0], frame[14:]
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(262144)
            except socket.timeout:
                return None
            if not data:
                sys.exit("ping.py: fethd closed the connection")
            self.data += data


def arp(operation, own, target_mac, target):
    """RFC 826"""
    return struct.pack("!HHBBH", 1, IPV4, 6, 4, operation) + MAC + own + target_mac + target


def ip(own, to, icmp):
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(icmp), 0, 0, 64, 1, 0) + own + to
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + icmp


def echo(kind, rest):
    """ICMP of this kind; `rest` is identifier, number and data."""
    head = struct.pack("!BBH", kind, 0, 0)
    return head[:2] + struct.pack("!H", checksum(head + rest)) + rest


def answer(port, own, frame):
    """Does what a host does with ARP and ping. Whoever is looked for must be able to look back."""
    source, ethertype, payload = frame
    if ethertype == ARP and len(payload) >= 28:
        operation = struct.unpack("!H", payload[6:8])[0]
        if operation == 1 and payload[24:28] == own:
            port.send(source, ARP, arp(2, own, payload[8:14], payload[14:18]))
    elif ethertype == IPV4 and len(payload) >= 28 and payload[9] == 1 and payload[16:20] == own:
        size = struct.unpack("!H", payload[2:4])[0]
        icmp = payload[20:size]
        if icmp[0] == 8:
            port.send(source, IPV4, ip(own, payload[12:16], echo(0, icmp[4:])))
            return True
    return False


def resolve(port, own, target):
    for _ in range(5):
        port.send(BROADCAST, ARP, arp(1, own, b"\0" * 6, target))
        end = time.monotonic() + 1.0
        while (frame := port.recv(end)) is not None:
            source, ethertype, payload = frame
            if ethertype == ARP and payload[6:8] == b"\0\2" and payload[14:18] == target:
                return payload[8:14]
            answer(port, own, frame)
    sys.exit("ping.py: nobody answers ARP")


def ping(port, target, own, size, count):
    mac = resolve(port, own, target)
    print("ping.py: the host is", mac.hex(":"))
    got = 0
    for number in range(count):
        rest = struct.pack("!HH", os.getpid() & 0xFFFF, number) + bytes(i & 255 for i in range(size))
        start = time.monotonic()
        port.send(mac, IPV4, ip(own, target, echo(8, rest)))
        while (frame := port.recv(start + WAIT)) is not None:
            source, ethertype, payload = frame
            if ethertype == IPV4 and payload[9] == 1 and payload[20] == 0 and payload[12:16] == target:
                length = struct.unpack("!H", payload[2:4])[0]
                if payload[24:length] == rest and checksum(payload[20:length]) == 0 and source == mac:
                    got += 1
                    print(f"ping.py: {size} bytes, number {number}: {(time.monotonic() - start) * 1000:.2f} ms")
                    break
            answer(port, own, frame)
    print(f"ping.py: {got} of {count} answers")
    return 0 if got == count else 1


def main(argv):
    if len(argv) == 5 and argv[2] == "answer":
        port, own = Port(argv[1]), socket.inet_aton(argv[3])
        end, pinged = time.monotonic() + float(argv[4]), 0
        port.send(BROADCAST, ARP, arp(1, own, b"\0" * 6, own))  # RFC 5227: here I am
        while (frame := port.recv(end)) is not None:
            pinged += answer(port, own, frame)
        print("ping.py: answered", pinged)
        return 0
    if 5 <= len(argv) <= 7 and argv[2] == "ping":
        size = int(argv[5]) if len(argv) > 5 else 56
        count = int(argv[6]) if len(argv) > 6 else 5
        return ping(Port(argv[1]), socket.inet_aton(argv[3]), socket.inet_aton(argv[4]), size, count)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv))
