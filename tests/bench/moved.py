"""moved.py - one end of a TCP connection that carries random bytes, and prints their SHA-256.

    moved.py serve|call ADDRESS PORT BYTES send|take
"""
import hashlib
import os
import socket
import sys

BLOCK = 1 << 18


def main():
    how, address, port, left, what = sys.argv[1:]
    left, sha = int(left), hashlib.sha256()
    if how == "serve":
        with socket.create_server((address, int(port))) as s:
            print("ready", flush=True)
            c, _ = s.accept()
    else:
        c = socket.create_connection((address, int(port)), 10)
    c.settimeout(60)
    with c:
        while left:
            if what == "send":
                data = os.urandom(min(left, BLOCK))
                c.sendall(data)
            else:
                data = c.recv(BLOCK)
                if not data:
                    sys.exit(f"moved.py: {left} bytes did not come")
            sha.update(data)
            left -= len(data)
        if what == "take":
            c.sendall(b".")  # so that the sender does not close before all is read
        else:
            c.recv(1)
    print(sha.hexdigest(), flush=True)


if __name__ == "__main__":
    main()
