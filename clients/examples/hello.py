#!/usr/bin/env python3
"""hello.py - hello.c in Python, with nothing but msgpack: the whole protocol in a few lines.

    hello.py PATH-OF-feth.sock MAC TEXT SECONDS
"""
import socket, sys, time
import msgpack

path, mac, text, seconds = sys.argv[1:]
sock = socket.socket(socket.AF_UNIX)
sock.connect(path)
objects = msgpack.Unpacker(raw=False)

source = bytes.fromhex(mac.replace(":", ""))
frame = b"\xff" * 6 + source + b"\x88\xb5" + text.encode()
sock.sendall(msgpack.packb([0, 1, "attach", [{"mac": mac}]]) + msgpack.packb(frame))

end = time.monotonic() + float(seconds)
while (left := end - time.monotonic()) > 0:
    sock.settimeout(left)
    try:
        data = sock.recv(262144)
    except TimeoutError:
        break
    if not data:
        sys.exit("hello.py: the server closed the connection")
    objects.feed(data)
    for item in objects:
        if isinstance(item, bytes):  # bin: a frame
            what = item[14:].decode(errors="replace") if item[12:14] == b"\x88\xb5" else f"({len(item)} bytes)"
            print(item[6:12].hex(":"), what, flush=True)
        elif isinstance(item, list):  # array: a reply or a notification
            print("hello.py:", item, file=sys.stderr)
            if item[:2] == [1, 1] and item[2]:
                sys.exit(1)
