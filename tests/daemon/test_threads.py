"""test_threads.py - main stands still, and the networks go on: what goes by messages between main's loop and a
network's waits, in order, and all else does not.

Main's thread alone is stopped, by ptrace(2): so nothing here depends on how long anything takes.
"""
import contextlib
import ctypes
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17  # linux/ptrace.h
WALL = 0x40000000  # waitpid(2): also of a thread
WAITS = {"x86_64": (232, 281), "aarch64": (22,)}.get(os.uname().machine)  # epoll_wait, epoll_pwait


def ptrace(request, pid):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, pid, None, None) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")


def stop(pid):
    """Whether the thread is stopped, and had nothing to do: elsewhere it might hold a lock."""
    ptrace(SEIZE, pid)
    ptrace(INTERRUPT, pid)
    os.waitpid(pid, WALL)
    if h.text_of(f"/proc/{pid}/syscall").split()[0] in map(str, WAITS):
        return True
    ptrace(DETACH, pid)
    return False


@contextlib.contextmanager
def standing_still(d):
    """The daemon's first thread does nothing meanwhile."""
    pid = d.proc.pid
    h.poll_until("main has nothing to do", lambda: stop(pid))
    try:
        yield
    finally:
        ptrace(DETACH, pid)


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
            self.assertEqual([p["name"] for p in other.items("port.list")], [])
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


if __name__ == "__main__":
    if not sys.platform.startswith("linux") or not WAITS:
        h.skip_all("ptrace(2) as on Linux is needed to stop one thread, and to know what it does")
    h.main()
