"""test_mend.py - a daemon that cannot have its way with the kernel at once: names that stay busy,
limits that changed, interfaces that cannot be removed, a state file that cannot be written.

On a simulated Darwin kernel, whose release FETHD_DARWIN_PROFILE names.
"""
import contextlib
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402
import simhost as s  # noqa: E402

if not h.DARWIN:
    h.skip_all("FETHD_DARWIN_PROFILE names no release of macOS")
FOR_EVER = 3_600_000_000  # microseconds


class Base(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon()
        self.addCleanup(self.d.__exit__, None, None, None)
        self.machine = self.d.system.machine

    def busy(self, us):
        self.machine.knob("busy_us", us)

    def lose(self, *rows):
        for row in rows:
            for member in ("service", "host"):
                with contextlib.suppress(s.SimError):  # the daemon may be quicker
                    self.machine.destroy(row[member])

    def whole(self, row, seconds=20.0):
        h.poll_until(f"{row['name']} is whole", lambda: self.d.system.agrees(row), seconds)


class Busy(Base):
    def again(self):
        """Makes a network, and leaves its names busy."""
        row = self.d.create("lab", addresses=["10.0.0.1/24"])
        self.busy(FOR_EVER)
        self.d.call("network.delete", network="lab")
        return row

    def later(self, c):
        """A create that cannot work yet; the number of the call."""
        call = c.request("network.create", network="lab", backend="feth", addresses=["10.0.0.1/24"])
        h.poll_until("it waits", lambda: self.refused_as_there())
        return call

    def refused_as_there(self):
        with self.assertRaises(h.RpcError) as e:
            self.d.call("network.create", network="LAB", backend="none")
        return e.exception.code == "exists"

    def test_a_create_waits_for_its_name_and_holds_nobody_up(self):
        row = self.again()
        with self.d.control() as c:
            call = self.later(c)
            other = self.d.create("other", backend="none")  # answered while the first one waits
            self.assertEqual([n["name"] for n in self.d.call("network.list")["items"]], ["other"])
            self.assertNotIn(call, c.replies)
            self.busy(0)
            made = c.reply(call)
        self.assertEqual((made["host"], made["unit"]), (row["host"], row["unit"]))
        self.assertTrue(self.d.system.agrees(made))
        self.assertEqual(other["name"], "other")

    def test_one_that_waits_too_long_says_so_and_leaves_nothing(self):
        self.again()
        with self.assertRaises(h.RpcError) as e:
            self.d.create("lab", backend="feth")
        self.assertEqual(e.exception.code, "busy")
        for word in ("lab", "feth", "SIOCIFCREATE", "try again"):
            self.assertIn(word, e.exception.message)
        self.assertEqual(self.machine.feths(), {})
        self.assertFalse(os.path.exists(self.d.path("lab")))
        self.busy(0)
        self.assertTrue(self.d.system.agrees(self.d.create("lab")))

    def test_whoever_asked_may_go_and_the_daemon_may_end_meanwhile(self):
        self.again()
        c = self.d.control()
        self.later(c)
        c.close()
        self.busy(0)
        h.poll_until("it was made all the same", lambda: self.d.call("network.list")["items"])
        self.busy(FOR_EVER)
        self.d.call("network.delete", network="lab")
        with self.d.control() as c:
            call = self.later(c)
            self.d.proc.terminate()
            with self.assertRaises((h.RpcError, h.Closed, ConnectionError)) as e:
                c.reply(call)
            if isinstance(e.exception, h.RpcError):
                self.assertEqual(e.exception.code, "busy")
        self.assertEqual(self.d.proc.wait(20), 0)
        self.busy(0)
        self.machine.run()
        self.assertEqual(self.machine.feths(), {})

    def test_lost_pairs_that_cannot_be_made_leave_the_others_alone(self):
        rows = [self.d.create(f"n{i}") for i in range(8)]
        kept = self.d.create("kept")
        with self.d.attach("kept") as a, self.d.attach("kept") as b, self.d.attach("n3") as c:
            self.busy(FOR_EVER)
            self.lose(*rows)
            h.poll_until("all are missed",
                         lambda: self.d.log.count("lost its host side") == len(rows))
            f = h.frame(h.BROADCAST, h.mac(1), b"as ever")
            for _ in range(50):  # each a turn of the loop, and some of them a try
                a.send(f)
                self.assertEqual(b.recv(), f)
                self.d.call("daemon.show")
            self.assertTrue(self.d.system.agrees(kept))
            self.busy(0)
            for row in rows:
                self.whole(row)
            c.send(f)
            self.assertEqual(h.host(self.d, "n3").recv(), f)
        self.assertEqual(self.d.log.count("made anew"), len(rows))

    def test_an_end_while_pairs_are_lost(self):
        rows = [self.d.create(f"n{i}") for i in range(4)]
        self.busy(FOR_EVER)
        self.lose(*rows)
        h.poll_until("all are missed", lambda: self.d.log.count("lost its host side") == len(rows))
        self.assertEqual(self.d.stop(), 0)
        self.assertEqual(self.machine.feths(), {})


class Limits(Base):
    @unittest.skipIf(h.DARWIN == "10.14", "its limit is not a setting")
    def test_what_the_new_pair_captured_counts(self):
        row = self.d.create("lab")
        self.assertEqual(row["mtu_max"], 16370)
        self.machine.refuse("sysctlbyname")  # so that 2048 stays
        with self.d.attach() as a:
            self.lose(row)
            h.poll_until("made anew", lambda: "made anew" in self.d.log)
            h.poll_until("it is told", lambda: a.call("network.show")["mtu_max"] == 2048)
            with self.assertRaises(h.RpcError) as e:
                self.d.call("network.set", network="lab", mtu=9000)
            self.assertEqual(e.exception.code, "invalid")
            self.assertIn("2048", e.exception.message)
            self.machine.refuse(None)
            self.lose(row)
            h.poll_until("it is told", lambda: a.call("network.show")["mtu_max"] == 16370)
            self.assertEqual(self.d.call("network.set", network="lab", mtu=9000)["mtu"], 9000)
            self.assertEqual(self.d.call("network.list")["items"][0]["mtu_max"], 16370)


class Left(Base):
    def swept(self):
        self.d.start()
        self.assertEqual(self.machine.feths(), {})

    def test_what_could_not_be_removed_is_removed_by_the_next(self):
        row = self.d.create("lab")
        self.machine.refuse("SIOCIFDESTROY")
        self.d.call("network.delete", network="lab")
        self.assertEqual(sorted(self.machine.feths()), self.d.system.names(row))
        self.assertIn("not removed", self.d.log)
        self.d.create("other")
        self.assertEqual(self.d.stop(), 0)  # nor can the other's be
        self.assertEqual(len(self.machine.feths()), 4)
        # and the next fethd cannot either
        self.d.start()
        self.assertEqual(len(self.machine.feths()), 4)
        self.d.kill()
        self.machine.refuse(None)
        self.swept()
        self.assertEqual(self.d.stop(), 0)
        self.assertEqual(os.path.exists(self.d.path("state")), False)

    def test_without_a_state_file_no_pair_is_made(self):
        os.makedirs(self.d.path("state.new", "x"))
        with self.assertRaises(h.RpcError) as e:
            self.d.create("lab")
        self.assertEqual(e.exception.code, "system")
        self.assertIn(self.d.path("state"), e.exception.message)
        self.assertEqual(self.machine.feths(), {})
        self.d.create("none", backend="none")
        os.removedirs(self.d.path("state.new", "x"))
        self.d.create("lab")


class Two(Base):
    def test_two_daemons_with_a_network_of_one_name(self):
        other = h.Daemon(wait=None, system=self.d.system)
        self.addCleanup(other.__exit__, None, None, None)
        other.start()
        mine = self.d.create("lab")
        theirs = other.create("lab")
        self.assertNotEqual(mine["host"], theirs["host"])
        self.assertTrue(self.d.system.agrees(mine))
        self.assertTrue(self.d.system.agrees(theirs))
        other.kill()
        other.start()  # sweeps its own
        self.assertEqual(sorted(self.machine.feths()), self.d.system.names(mine))
        with self.d.attach() as a:
            f = h.frame(h.BROADCAST, h.mac(1), b"still there")
            a.send(f)
            self.assertEqual(h.host(self.d).recv(), f)
        self.assertNotIn("made anew", self.d.log)


if __name__ == "__main__":
    h.main()
