"""fusefs.py - a file system that a user serves (FUSE, <linux/fuse.h>), with sockets in it, that stops to answer."""
import ctypes
import os
import stat
import struct
import subprocess
import sys

LOOKUP, GETATTR, SETATTR, INIT, ACCESS, MKNOD = 1, 3, 4, 26, 34, 8
SILENT = (2, 42, 36)  # FORGET, BATCH_FORGET, INTERRUPT: have no answer


def can():
    return sys.platform == "linux" and os.geteuid() == 0 and os.path.exists("/dev/fuse")


def serve(fd, mounted, frozen, uid):
    """Until it is unmounted. Names are known for an hour; attributes are asked for each time, and after freeze() in
    vain."""
    modes, names = {1: stat.S_IFDIR | 0o777}, {}

    def attr(ino):
        return struct.pack("<6Q10I", ino, 0, 0, 0, 0, 0, 0, 0, 0, modes[ino], 1, uid, uid, 0, 4096, 0)

    def entry(ino):
        return struct.pack("<4Q2I", ino, 0, 3600, 0, 0, 0) + attr(ino)

    os.write(mounted, b"x")
    while True:
        try:
            data = os.read(fd, 1 << 18)
        except OSError:
            return
        _, op, unique, node, _, _, _, _ = struct.unpack_from("<2I2Q4I", data)
        body, error, out = data[40:], 0, b""
        if op == INIT:
            out = struct.pack("<4I2H2I2H", 7, 31, 0, 0, 10, 10, 65536, 1, 1, 0).ljust(64, b"\0")
        elif op == LOOKUP and body.split(b"\0")[0] in names:
            out = entry(names[body.split(b"\0")[0]])
        elif op == LOOKUP:
            error = 2
        elif op == MKNOD:
            ino = len(modes) + 1
            names[body[16:].split(b"\0")[0]] = ino
            modes[ino] = struct.unpack_from("<I", body)[0]
            out = entry(ino)
        elif op in (GETATTR, SETATTR):
            if op == GETATTR and os.pread(frozen, 1, 0):
                continue
            out = struct.pack("<Q2I", 3600 if node == 1 and op == GETATTR else 0, 0, 0) + attr(node)
        elif op in SILENT:
            continue
        elif op != ACCESS:
            error = 38
        os.write(fd, struct.pack("<IiQ", 16 + len(out), -error, unique) + out)


class Mount:
    def __init__(self, path, uid):
        self.path = path
        libc = ctypes.CDLL(None, use_errno=True)
        self.frozen = os.memfd_create("frozen")
        fd = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={fd},rootmode=40000,user_id={uid},group_id={uid},allow_other,default_permissions"
        if libc.mount(b"fuse", path.encode(), b"fuse", 6, options.encode()):
            raise OSError(ctypes.get_errno(), "cannot mount")
        r, w = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                serve(fd, w, self.frozen, uid)
            finally:
                os._exit(0)
        os.close(fd)
        os.close(w)
        os.read(r, 1)
        os.close(r)

    def freeze(self):
        os.pwrite(self.frozen, b"x", 0)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.frozen)
        subprocess.run(["umount", "-l", self.path], check=True)
