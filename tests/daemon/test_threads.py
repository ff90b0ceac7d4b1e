"""test_threads.py - main stands still, and the networks go on: what goes by messages between main's loop and a
network's waits, in order, and all else does not.

Main's thread alone is stopped, by ptrace(2): so nothing here depends on how long anything takes.
"""
import contextlib
import os
import socket
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402
from still import WAITS, standing_still, threads  # noqa: E402


def connected_as(uid, path):
    """Somebody else's connection, in our hands."""
    ours, theirs = socket.socketpair()

    def connect():
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            socket.send_fds(theirs, [b"x"], [s.fileno()])
    with ours, theirs:
        h.run_as((uid, uid, []), connect)
        return h.Native.from_fd(socket.recv_fds(ours, 1, 1)[1][0])


class Still(unittest.TestCase):
    def setUp(self):
        self.d = self.enterContext(h.Daemon())
        self.c = self.opened(self.d.control())
        for name in ("one", "two"):
            self.d.create(name)

    def opened(self, c):
        self.addCleanup(c.close)
        return c

    def test_networks_do_not_wait_for_main(self):
        pairs = [h.Pair(self.d, name) for name in ("one", "two")]
        for p in pairs:
            self.addCleanup(p.close)
        with standing_still(self.d):
            asked = self.c.request("network.list")
            for name, p in zip(("one", "two"), pairs):
                p.check(frames=64, rounds=5)
                new = self.opened(self.d.attach(name, name="new", groups=["01:00:5e:01:02:03"]))
                self.assertEqual(new.call("network.show")["ports"], 3)
                self.assertEqual([r["port"] for r in new.items("group.list")], [new.info["port"]])
                with self.assertRaises(h.RpcError):
                    new.call("attach")
                p.check()
            self.assertNotIn(asked, self.c.replies)
        self.assertEqual([(n["name"], n["ports"]) for n in self.c.reply(asked)["items"]], [("one", 3), ("two", 3)])

    def test_who_removes_a_port_is_answered_when_nothing_is_left_of_it(self):
        self.c.call("port.add", network="one", name="p", kind="qemu")
        self.assertEqual(os.listdir(self.d.path("one/ports")), ["p"])
        with standing_still(self.d):
            n = self.opened(self.d.native("one"))
            asked = n.request("port.remove", name="p")
            other = self.opened(self.d.native("one"))  # who is behind it on the same loop
            self.assertEqual([p["name"] for p in other.items("port.list") if p["kind"] != "host"], [])
            added = self.c.request("port.add", network="one", name="p", kind="native")
        n.reply(asked)
        self.c.reply(added)
        self.assertEqual(os.listdir(self.d.path("one/ports")), ["p"])  # the new one's
        self.assertEqual(self.opened(h.Native(self.d.path("one/ports/p"))).call("attach")["name"], "p")

    def test_a_client_that_goes_before_its_answer(self):
        self.c.call("port.add", network="one", name="p", kind="qemu")
        with standing_still(self.d):
            n = self.d.native("one")
            n.request("port.remove", name="p")
            h.taken(n)
            n.close()
            self.d.attach("one").close()
            self.c.request("network.delete", network="one")
        h.poll_until("it is gone", lambda: [x["name"] for x in self.d.call("network.list")["items"]] == ["two"])

    def test_who_missed_events_is_told_and_closed(self):
        every = self.opened(self.d.control())
        every.call("event.subscribe", events=["port.*"])
        two = self.opened(self.d.control())
        two.call("event.subscribe", events=["port.*"], network="two")
        groups = self.opened(self.d.control())
        groups.call("event.subscribe", events=["group.*"])
        n = self.opened(self.d.native("one"))
        with standing_still(self.d):
            for _ in range(2500):  # two events of 230 bytes and more each
                n.call("attach", name="a-long-name-of-a-port-in-network")
                n.call("detach")
            self.opened(self.d.attach("two"))
        self.assertTrue(every.closed())  # with a word why, if its socket had room for that
        groups.call("hello")
        self.assertEqual(groups.notes, [])
        self.assertEqual(two.note("port.attached")["network"], "two")
        self.assertEqual(self.c.call("daemon.show")["counters"]["slow"], 1)
        again = self.opened(self.d.control())
        again.call("event.subscribe", events=["port.*"])
        n.call("attach")
        self.assertEqual(again.note("port.attached")["port"], n.call("port.list")["items"][-1]["port"])


    def test_what_is_removed_while_it_is_made_leaves_nothing(self):
        before = len(os.listdir(f"/proc/{self.d.proc.pid}/fd"))
        n = self.opened(self.d.native("one"))
        for i in range(150):
            added = self.c.request("port.add", network="one", name=f"x{i}", kind="qemu")
            asked = [n.request("port.remove", name=f"x{i}") for _ in range(4)]
            for c, msgid in [(n, x) for x in asked] + [(self.c, added)]:
                with contextlib.suppress(h.RpcError):
                    c.reply(msgid)
        for p in self.d.clients("one"):
            self.c.call("port.remove", network="one", name=p["name"])
        h.poll_until("descriptors are back",
                     lambda: len(os.listdir(f"/proc/{self.d.proc.pid}/fd")) <= before + 1)
        self.assertEqual(os.listdir(self.d.path("one/ports")), [])


@unittest.skipIf(os.geteuid(), "needs root, for another user's connections")
class Rights(unittest.TestCase):
    """What was taken away is gone, whichever loop heard of it first."""
    USER = 5003

    def setUp(self):
        self.d = self.enterContext(h.Daemon(prefix=h.ISOLATED))
        self.c = self.enterContext(self.d.control())
        self.d.create("lab", backend="none")
        self.allow(["attach", "observe"])
        for path in ("control.sock", "lab/feth.sock"):
            os.chmod(self.d.path(path), 0o666)
        os.chmod(self.d.dir, 0o755)

    def allow(self, rights):
        rules = [{"user": str(self.USER), "rights": rights}] if rights else []
        self.c.call("network.set", network="lab", allow=rules)

    def test_no_port_outlives_the_right_to_it(self):
        """Ports are opened while it is taken away."""
        for _ in range(8):
            self.allow(["attach"])
            with connected_as(self.USER, self.d.path("lab/feth.sock")) as user:
                asked = [user.request("port.open", kind="qemu") for _ in range(60)]
                self.allow([])
                for msgid in asked:
                    with contextlib.suppress(h.RpcError):
                        user.reply(msgid)
                h.poll_until("its ports are gone", lambda: not self.d.clients("lab"))

    def test_a_subscription_is_judged_when_it_begins(self):
        user = self.enterContext(connected_as(self.USER, self.d.path("control.sock")))
        self.d.create("other", backend="none")  # whose loop makes it wait
        with standing_still(self.d, max(threads(self.d))):
            asked = user.request("event.subscribe", network="lab", events=["port.attached"])
            h.taken(user)
            self.allow([])
        with self.assertRaisesRegex(h.RpcError, "denied"):
            user.reply(asked)


if __name__ == "__main__":
    if not sys.platform.startswith("linux") or not WAITS:
        h.skip_all("ptrace(2) as on Linux is needed to stop one thread, and to know what it does")
    h.main()
