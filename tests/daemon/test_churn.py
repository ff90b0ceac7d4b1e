"""test_churn.py - clients that come, broadcast and go, in any order, for a while: nothing is lost by
it, neither frames of those who stay nor memory nor descriptors.

FETHD_CHURN_SECONDS says how long (8); FETHD_RELEASE names a build without sanitizers, which alone
can show that resident memory comes back.
"""
import os
import random
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

SECONDS = float(os.environ.get("FETHD_CHURN_SECONDS", "8"))
CLIENTS = 200
STEPS_MIN, NETWORKS_MIN = 1000, 11  # however slow the machine
SEED = int(os.environ.get("FETHD_SEED", "0")) or random.randrange(1, 1 << 30)


def sanitized(path):
    with open(path, "rb") as f:
        program = f.read()
        return b"__asan_init" in program or b"__tsan_init" in program


class Crowd:
    """Up to CLIENTS clients of one network, each at some point of its life."""

    def __init__(self, d, rnd, network="lab"):
        self.d, self.rnd, self.network = d, rnd, network
        self.clients = [None] * CLIENTS  # None, or [client, whether it is attached, its address]
        self.done = dict.fromkeys(("attach", "broadcast", "detach", "leave"), 0)

    def join(self, i):
        kind = self.rnd.randrange(6)
        mac = h.mac(0x1000 + i)
        if kind < 2:
            c = self.d.qemu(self.network)
        elif kind == 2:
            with self.d.control() as ctl:
                native = self.rnd.random() < 0.5
                ctl.call("port.open", network=self.network, kind="native" if native else "qemu")
                fd = ctl.fds.pop()
                c = h.Native.from_fd(fd) if native else h.Qemu(fd=fd)
        else:
            c = self.d.native(self.network)
        attached = kind <= 2
        self.clients[i] = [c, attached, mac]
        self.done["attach"] += attached

    def step(self):
        i = self.rnd.randrange(CLIENTS)
        it = self.clients[i]
        if it is None:
            return self.join(i)
        c, attached, mac = it
        what = self.rnd.random()
        if what < 0.15:
            self.leave(i)
        elif not attached:
            params = {}
            if self.rnd.random() < 0.3:
                params = {"name": f"c{i}", "mac": h.mac_text(mac), "locked": self.rnd.random() < 0.5}
            h.poll_until("the name is free", lambda: self.attach(c, params))
            it[1] = True
            self.done["attach"] += 1
        elif what < 0.6:
            size = self.rnd.choice((60, 60, 300, 1514))
            c.send(*[h.frame(h.BROADCAST, mac, size=size)] * self.rnd.randrange(1, 20))
            self.done["broadcast"] += 1
        elif what < 0.75 and isinstance(c, h.Native):
            c.call("detach")
            it[1] = False
            self.done["detach"] += 1
        elif what < 0.95:
            h.drain(c)
        else:  # leaves in the middle of something
            c.send_raw(b"\xc5\x05\xdc" if isinstance(c, h.Native) else b"\0\0\5\xdc")
            c.send_raw(b"x" * self.rnd.randrange(1500))
            self.leave(i)

    @staticmethod
    def attach(c, params):
        """Whether it is. Its name may be that of the one before, whose end nobody has read yet."""
        try:
            c.call("attach", **params)
        except h.RpcError as e:
            if e.code != "busy":
                raise
            return False
        return True

    def leave(self, i):
        if self.clients[i]:
            self.clients[i][0].close()
            self.clients[i] = None
            self.done["leave"] += 1

    def leave_all(self):
        order = list(range(CLIENTS))
        self.rnd.shuffle(order)
        for i in order:
            self.leave(i)


class Churn(unittest.TestCase):
    def fds(self, d):
        return len(os.listdir(f"/proc/{d.proc.pid}/fd"))

    def churn(self, d, rnd, seconds, pair):
        crowd = Crowd(d, rnd)
        for i in range(CLIENTS):
            crowd.join(i)
        end = time.monotonic() + seconds
        n = 0
        while n < STEPS_MIN or time.monotonic() < end:
            crowd.step()
            n += 1
            if n % 50 == 0:
                h.drain(*pair.ends)
                pair.check(1)
        crowd.leave_all()
        h.poll_until("all have left", lambda: h.drain(*pair.ends) or d.call(
            "network.show", network="lab")["ports"] == 2)
        h.drain(*pair.ends)
        pair.check()
        for what, times in crowd.done.items():
            self.assertGreater(times, 10, what)
        return crowd.done

    def test_a_crowd_comes_and_goes(self):
        """Under ASan this also ends without a leak: the daemon's exit status says so."""
        rnd = random.Random(SEED)
        with h.Daemon("--log-level", "warn", wait=False) as d:
            h.poll_until("it serves", lambda: os.path.exists(d.path("control.sock")))
            d.create("lab")
            pair = h.Pair(d)
            before = self.fds(d)
            done = self.churn(d, rnd, SECONDS, pair)
            h.poll_until("descriptors are back", lambda: self.fds(d) <= before)
            self.assertEqual({x["name"] for x in d.clients()}, {"native-1", "qemu-1"})
            self.assertLessEqual(set(d.stats()["drops"]), {"queue_full", "detached", "spoofed"})
            pair.close()
            self.assertEqual(d.stop(), 0, d.log[-5000:])
            print(f"seed {SEED}: {done}", file=sys.stderr)

    def test_memory_comes_back(self):
        release = next((p for p in (os.environ.get("FETHD_RELEASE", ""), h.FETHD)
                        if os.path.exists(p) and not sanitized(p)), None)
        if not release:
            self.skipTest("FETHD_RELEASE names no build without sanitizers")
        rnd = random.Random(SEED)
        d = h.Daemon("--log-level", "warn", wait=None)
        d.binary = release
        with d:
            d.start(False)
            h.poll_until("it serves", lambda: os.path.exists(d.path("control.sock")))
            d.create("lab")
            pair = h.Pair(d)
            pair.check()
            cold, cold_anon = d.rss_kib(), d.anon_kib()
            self.churn(d, rnd, 1, pair)
            time.sleep(1.2)  # IOLOOP_TIDY_MS
            warm = d.rss_kib()
            self.churn(d, rnd, SECONDS, pair)
            h.poll_until("memory is back", lambda: d.rss_kib() <= warm + 1024)
            time.sleep(1.2)
            print(f"seed {SEED}: {cold} KiB, {warm - cold:+} after the first crowd, "
                  f"{d.rss_kib() - cold:+} after {SECONDS} s, of that {d.anon_kib() - cold_anon:+} its own",
                  file=sys.stderr)
            self.assertLessEqual(d.rss_kib() - warm, 1024)
            self.assertLessEqual(d.rss_kib() - cold, 1024)
            pair.close()

    def test_networks_come_and_go_under_their_clients(self):
        rnd = random.Random(SEED)
        with h.Daemon() as d:
            lab = d.create("lab", backend=h.HOST_BACKEND)  # from now on interfaces are watched
            pair = h.Pair(d)
            before = self.fds(d)
            end = time.monotonic() + SECONDS / 2
            n = 0
            while n < NETWORKS_MIN or time.monotonic() < end:
                n += 1
                name = f"n{n % 5}"
                d.create(name, backend=rnd.choice(("none", h.HOST_BACKEND)))
                clients = [d.attach(name) if rnd.random() < 0.5 else d.qemu(name) for _ in range(10)]
                for i, c in enumerate(clients):
                    if rnd.random() < 0.8:
                        c.send(*[h.frame(h.BROADCAST, h.mac(i), size=600)] * rnd.randrange(1, 300))
                    if rnd.random() < 0.2:
                        c.close()
                if rnd.random() < 0.3:
                    d.call("network.set", network=name, mtu=rnd.randrange(1000, 9000))
                d.call("network.delete", network=name)
                for c in clients:
                    c.close()
                pair.check(1)
            h.poll_until("descriptors are back", lambda: self.fds(d) <= before)
            self.assertEqual([x["name"] for x in d.call("network.list")["items"]], ["lab"])
            self.assertEqual(d.system.left(), d.system.names(lab))
            pair.close()


if __name__ == "__main__":
    h.main()
