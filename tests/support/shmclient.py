"""shmclient.py - a native client whose frames go by rings in shared memory: docs/protocol.md, 8, written
once more.

Python has no memory barrier. What needs one (a flag is set, then a position is read) has a system call in
between, which is far more than a processor keeps to itself.
"""
import mmap
import os
import random
import struct
import time

import harness as h

TO_SERVER, TO_CLIENT = 0, 1
HEAD, FULL, TAIL, EMPTY = 0, 128, 256, 384
DATA = 4096
SKIP, OFFLOAD = 0x80000000, 0x01000000
WAKE = b"\xd4\x03\x00"


class Shm(h.Native):
    """As Native, once attached by attach_shm()."""

    def attach_shm(self, shm=True, **params):
        self.info = self.call("attach", shm=shm, **params)
        fd = self.fds.pop()
        self.ring = self.info["shm"]["ring"]
        self.map = mmap.mmap(fd, self.info["shm"]["size"])
        os.close(fd)
        self.words = memoryview(self.map).cast("I")  # one store each; struct writes zeroes first
        self.owed = []  # frames that came behind a virtio_net_hdr, and that
        self.head = self.tail = 0  # of the ring to the server, and of the one from it
        return self

    def word(self, way, which, value=None):
        """One of a ring's four words, in shared memory; sets it, too."""
        at = way * 512 + which
        if value is not None:
            self.words[at // 4] = value & 0xFFFFFFFF
        return self.words[at // 4]

    def put(self, body, flags=0):
        """One record, for show(). False: there is no room."""
        at, span = self.head % self.ring, (4 + len(body) + 7) // 8 * 8
        skip = self.ring - at if at + span > self.ring else 0
        if (self.head - self.word(TO_SERVER, TAIL)) % (1 << 32) + skip + span > self.ring:
            return False
        if skip:
            self.words[(DATA + at) // 4] = SKIP
            at = 0
        self.map[DATA + at + 4 : DATA + at + 4 + len(body)] = body
        self.words[(DATA + at) // 4] = len(body) | flags
        self.head = (self.head + skip + span) % (1 << 32)
        return True

    def show(self):
        """What was put is there for the daemon; wakes it if it sleeps. Returns whether it did."""
        self.word(TO_SERVER, HEAD, self.head)
        os.getppid()
        if not self.word(TO_SERVER, EMPTY):
            return False
        self.word(TO_SERVER, EMPTY, 0)
        self.send_raw(WAKE)
        return True

    def send(self, *frames, seconds=10.0):
        end = time.monotonic() + seconds
        for f in frames:
            while not self.put(f):
                self.show()
                assert time.monotonic() < end, "the daemon takes nothing out of the ring"
                time.sleep(0.001)
        self.show()

    def idle(self):
        """Whether the daemon has taken all, and sleeps."""
        return self.word(TO_SERVER, TAIL) == self.head and self.word(TO_SERVER, EMPTY)

    def taken(self, seconds=10.0):
        h.poll_until("the daemon has read the ring", self.idle, seconds)
        return self

    def take(self):
        """All records that are there, as frames; the room is the daemon's again."""
        head, got = self.word(TO_CLIENT, HEAD), []
        while self.tail != head:
            at = self.tail % self.ring
            word = self.words[(DATA + self.ring + at) // 4]
            if word == SKIP:
                self.tail = (self.tail + self.ring - at) % (1 << 32)
                continue
            start = DATA + self.ring + at + 4
            body = bytes(self.map[start : start + (word & 0xFFFFFF)])
            if word & OFFLOAD:
                self.owed.append((struct.unpack("<BBHHHHH", body[:12]), body[12:]))
                body = body[12:]
            got.append(body)
            self.tail = (self.tail + (4 + (word & 0xFFFFFF) + 7) // 8 * 8) % (1 << 32)
        self.word(TO_CLIENT, TAIL, self.tail)
        os.getppid()
        if got and self.word(TO_CLIENT, FULL):
            self.word(TO_CLIENT, FULL, 0)
            self.send_raw(WAKE)
        return got

    def recv(self, ethertype=h.ETHERTYPE, seconds=10.0):
        end = time.monotonic() + seconds
        while True:
            self.frames += self.take()
            while self.frames:
                f = self.frames.pop(0)
                if ethertype is None or f[12:14] == struct.pack("!H", ethertype):
                    return f
            self.word(TO_CLIENT, EMPTY, 1)
            os.getppid()
            if self.word(TO_CLIENT, HEAD) != self.tail:
                continue
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no frame came")
            self._timed(left)

    def scribble(self, rng: random.Random):
        """Something of the memory is not what it should be."""
        value = rng.choice([rng.getrandbits(32), rng.randrange(0, 2 * self.ring, 8), SKIP,
                            rng.randrange(0, 70000), (self.head + rng.randrange(-64, 64, 8)) & 0xFFFFFFFF])
        if rng.random() < 0.5:
            at = rng.randrange(2) * 512 + rng.choice([HEAD, FULL, TAIL, EMPTY])
        else:
            at = DATA + 8 * rng.randrange(0, 2 * self.ring // 8)
        self.words[at // 4] = value


def attach(daemon, network="lab", shm=True, **params):
    c = Shm(daemon.path(network, "feth.sock"))
    try:
        return c.attach_shm(shm, **params)
    except BaseException:
        c.close()
        raise
