"""test_clock.py - time that jumps under a whole daemon: hours ahead at once, as after a suspend where the clock
goes on meanwhile; a clock that stands still; a wall clock that is set; and a daemon that starts long after the
machine did. The clock is tests/support/jumpclock.c, linked into fethd and fethctl; or a time namespace."""
import json
import mmap
import os
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

SECOND = 10 ** 9
HOUR, DAY = 3600 * SECOND, 86400 * SECOND
JUMPS = (61 * SECOND, HOUR, 9 * HOUR, 3 * DAY, 60 * DAY, 20 * 365 * DAY)
FETHD, FETHCTL = os.environ.get("FETHD_CLOCK", ""), os.environ.get("FETHCTL_CLOCK", "")


class Clock:
    """The dials of jumpclock.c."""

    def __init__(self, path):
        with open(path, "wb") as f:
            f.write(bytes(24))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 24)

    def _set(self, i, ns):
        self.map[8 * i:8 * i + 8] = struct.pack("q", ns)

    def _get(self, i):
        return struct.unpack_from("q", self.map, 8 * i)[0]

    def jump(self, ns):
        self._set(0, self._get(0) + ns)

    def stop(self):
        """It stands still from now on."""
        self._set(1, time.clock_gettime_ns(time.CLOCK_MONOTONIC) + self._get(0))

    def go_on(self):
        """And goes on from there, as if no time had passed."""
        self._set(0, self._get(1) - time.clock_gettime_ns(time.CLOCK_MONOTONIC))
        self._set(1, 0)

    def set_wall(self, ns):
        self._set(2, ns)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@unittest.skipUnless(FETHD, "fethd-clock is not built here")
class Jumps(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon(prefix=h.ISOLATED, wait=None)
        self.addCleanup(self.d.__exit__, None, None, None)
        self.clock = Clock(f"{self.d.dir}/clock")
        self.d.binary = FETHD
        self.d.env["FETHD_TEST_CLOCK"] = f"{self.d.dir}/clock"
        self.d.start()
        self.net = self.d.create("lab", backend=h.HOST_BACKEND, multicast="snoop", querier=True)
        self.pair = h.Pair(self.d)
        self.addCleanup(self.pair.close)

    def ticked(self):
        """Waits until the daemon has come round: its timers have seen the time that it is."""
        with self.d.control() as c:
            now = c.call("daemon.show")["uptime"]
            h.poll_until("another second", lambda: c.call("daemon.show")["uptime"] > now + 1100)

    def test_the_clock_is_ours(self):
        before = self.d.call("daemon.show")["uptime"]
        self.clock.jump(DAY)
        self.assertGreaterEqual(self.d.call("daemon.show")["uptime"], before + 86400000)

    def test_ahead(self):
        native, qemu = self.pair.ends
        members = self.d.attach(name="member")
        self.addCleanup(members.close)
        members.call("group.join", groups=["01:00:5e:01:02:03"])
        control = self.d.control()
        self.addCleanup(control.close)
        control.call("event.subscribe", events=["network.*", "port.*", "group.*"])
        log = len(self.d.log)
        for jump in JUMPS:
            self.clock.jump(jump)
            self.pair.check(rounds=3)
            self.ticked()
            self.pair.check(rounds=3)
            groups = {(r["group"], r["name"]) for r in native.items("group.list")}
            self.assertIn(("01:00:5e:01:02:03", "member"), groups)
        self.assertEqual(len(self.d.clients()), 3)
        # nobody was closed, made anew, or told of anything that did not happen
        self.assertEqual([line for line in self.d.log[log:].splitlines() if "debug" not in line], [])
        self.assertEqual([n for n in control.notes if n[0] != "group.changed"], [])
        self.assertEqual(self.d.call("network.show", network="lab"), {**self.net, "ports": 3})
        shown = self.d.call("daemon.show")
        self.assertGreater(shown["uptime"], 20 * 365 * 86400 * 1000)
        self.assertEqual(shown["counters"]["slow"], 0)
        # new ones are served as ever
        with self.d.attach(name="late") as late:
            late.send(h.frame(h.BROADCAST, h.mac(77), b"late"))
            self.assertEqual(native.recv()[14:18], b"late")
        self.assertGreater(self.d.port("member")["pid"], 0)
        ages = {r["name"]: r["age"] for r in control.items("stats.get", network="lab") if r["port"]}
        self.assertGreater(ages["member"], 20 * 365 * 86400 * 1000)

    def queries(self, c):
        """IGMP and MLD queries that have come to a client."""
        return [f for f in h.come(c) if f[12:14] in (b"\x08\x00", b"\x86\xdd")]

    def test_ahead_again_and_again_is_no_storm(self):
        with self.d.attach(name="listener") as c:
            for _ in range(3):
                self.ticked()
            self.queries(c)
            cpu = cpu_seconds(self.d.proc.pid)
            begin = time.monotonic()
            for _ in range(10):
                self.clock.jump(DAY)
                self.ticked()
            # two families, twice in the 600 s that ten gaps count for at most, and once for each start
            self.assertLessEqual(len(self.queries(c)), 24)
            # the loop slept in between: all it did took a fraction of the time it had
            self.assertLess(cpu_seconds(self.d.proc.pid) - cpu, (time.monotonic() - begin) / 2)

    def test_standing_still(self):
        self.clock.stop()
        before = self.d.call("daemon.show")["uptime"]
        cpu, begin = cpu_seconds(self.d.proc.pid), time.monotonic()
        for _ in range(20):
            self.pair.check(rounds=2)
        with self.d.attach(name="now") as c:
            c.send(h.frame(h.BROADCAST, h.mac(77), b"now"))
            self.assertEqual(self.pair.ends[0].recv()[14:17], b"now")
        self.d.create("more", backend="none")
        self.d.call("network.delete", network="more")
        # a reader that lags gets its frames when it reads, though pauses between batches have no end now
        with self.d.attach(name="lagging") as lagging, \
                h.Flood(self.pair.ends[0], *[h.frame(h.BROADCAST, self.pair.macs[0], b"x" * 1000)] * 50, pause=0.005):
            h.poll_until("drops", lambda: self.d.stats("lagging")["drops"]["queue_full"])
            for _ in range(100):
                lagging.recv()
        self.assertEqual(self.d.call("daemon.show")["uptime"], before)
        # a second of its own time never passes, and it does not turn round and round to see
        time.sleep(max(0.0, begin + 2 - time.monotonic()))
        idle = cpu_seconds(self.d.proc.pid)
        time.sleep(1)
        self.assertLess(cpu_seconds(self.d.proc.pid) - idle, 0.5)
        self.assertGreaterEqual(idle, cpu)
        self.clock.go_on()
        self.ticked()
        h.drain(*self.pair.ends)
        self.pair.check()

    def test_the_wall_clock_is_nobodys(self):
        control = self.d.control()
        self.addCleanup(control.close)
        groups = self.d.attach(name="member")
        self.addCleanup(groups.close)
        groups.call("group.join", groups=["01:00:5e:01:02:03"])
        log = len(self.d.log)
        for wall in (100 * 365 * DAY, -50 * 365 * DAY, -HOUR, HOUR, 0):
            up = control.call("daemon.show")["uptime"]
            known = {r["mac"] for r in control.items("fdb.list", network="lab")}
            self.clock.set_wall(wall)
            self.ticked()
            # what was known is known, before anybody sends again
            rows = control.items("fdb.list", network="lab")
            self.assertEqual({r["mac"] for r in rows}, known)
            self.assertTrue(all(r["age"] < 60000 for r in rows if not r["static"]), rows)
            self.assertLess(control.call("daemon.show")["uptime"] - up, 60000)
            self.pair.check(rounds=2)
        self.assertEqual(self.d.log[log:], "")

    def watch(self, *args):
        p = subprocess.Popen([FETHCTL, "--run-dir", self.d.run_dir, *args], text=True, env=self.d.env,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(p.communicate)
        self.addCleanup(p.kill)
        return p

    def test_fethctl_watches_over_a_jump(self):
        """A night's sleep is no second's worth of rates, and no line for every second of it."""
        p = self.watch("stats", "lab", "--watch", "--count", "4", "--json")
        with h.Flood(self.pair.ends[0], *[h.frame(self.pair.macs[1], self.pair.macs[0], b"x" * 486)] * 10, pause=0.02):
            for i in range(4):
                doc = json.loads(p.stdout.readline())
                rate = doc["networks"][0]["total"]["rx_frames_rate"]
                if i == 1:
                    self.clock.jump(9 * HOUR)
                self.assertTrue(rate is None or rate >= 0)
                if i == 2:  # what came in a second, over nine hours
                    self.assertLess(rate, 1)
        self.assertEqual(p.wait(20), 0)

    def test_calls_of_libfeth_wait_for_their_answer(self):
        """A daemon that was asked before the jump is heard after it."""
        import signal
        self.d.proc.send_signal(signal.SIGSTOP)
        p = self.watch("show", "lab", "--json")
        h.poll_until("it waits", lambda: "poll" in h.text_of(f"/proc/{p.pid}/wchan") or
                     h.text_of(f"/proc/{p.pid}/syscall").split()[0] in ("7", "271"))
        self.clock.jump(9 * HOUR)
        self.d.proc.send_signal(signal.SIGCONT)
        out, err = p.communicate(timeout=20)
        self.assertEqual((p.returncode, err), (0, ""))
        self.assertEqual(json.loads(out)["name"], "lab")


class Late(unittest.TestCase):
    def test_started_long_after_the_machine(self):
        """A monotonic clock of 60 days, beyond 2^32 milliseconds, and of twenty years."""
        for days in (60, 7300):
            prefix = ["unshare", "-T", "--monotonic", str(days * 86400), "--boottime", str(days * 86400), "--"]
            if subprocess.run([*prefix, "true"], capture_output=True).returncode:
                self.skipTest("time namespaces need root, and Linux 5.6")
            with h.Daemon(prefix=[*prefix, *h.ISOLATED]) as d:
                d.create("lab", backend=h.HOST_BACKEND, querier=True)
                pair = h.Pair(d)
                pair.check(rounds=3)
                shown = d.call("daemon.show")
                self.assertLess(shown["uptime"], 60000)
                with d.control() as c:
                    h.poll_until("a tick", lambda: c.call("daemon.show")["uptime"] > shown["uptime"] + 1100)
                    rows = [r for r in c.items("fdb.list", network="lab") if not r["static"]]
                    self.assertEqual(len(rows), 2)
                    self.assertTrue(all(r["age"] < 60000 for r in rows), rows)
                    self.assertTrue(all(r["age"] < 60000 for r in c.items("stats.get", network="lab") if r["port"]))
                pair.check()
                pair.close()


if __name__ == "__main__":
    h.main()
