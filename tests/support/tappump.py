"""tappump.py - a native client with a whole kernel behind it: frames between a tap interface and feth.sock.

    tappump.py PATH-OF-feth.sock MAC IFNAME

Makes the interface in the namespace it runs in, with that address and the MTU of the network, brings it up, and
says `ready`.
It ends when the server does. Plain Python and msgpack, so that none of our code is in it.
"""
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys

import msgpack

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000
READS = 64


def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def attached(path, mac):
    """The connection, what is unpacked of it, and the answer to attach."""
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    sock.sendall(msgpack.packb([0, 1, "attach", [{"mac": mac}]]))
    items = msgpack.Unpacker(raw=False)
    while True:
        data = sock.recv(1 << 18)
        if not data:
            sys.exit("tappump.py: closed before attach was answered")
        items.feed(data)
        for item in items:
            if isinstance(item, list) and item[:2] == [1, 1]:
                if item[2]:
                    sys.exit(f"tappump.py: attach: {item[2]}")
                return sock, items, item[3]


def gathered(fd):
    """What the kernel has to send now, up to a number of frames."""
    frames = []
    try:
        while len(frames) < READS:
            frames.append(msgpack.packb(os.read(fd, 65553)))
    except BlockingIOError:
        pass
    return b"".join(frames)


def main():
    path, mac, name = sys.argv[1:]
    sock, items, port = attached(path, mac)
    fd = tap(name)
    for words in (f"address {mac} mtu {port['mtu']}", "up"):
        subprocess.run(["ip", "link", "set", name, *words.split()], check=True)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([fd, sock], [], [])
        if fd in ready:
            sock.sendall(gathered(fd))
        if sock in ready:
            data = sock.recv(1 << 18)
            if not data:
                return
            items.feed(data)
            for item in items:
                if isinstance(item, bytes):
                    os.write(fd, item)


if __name__ == "__main__":
    main()
