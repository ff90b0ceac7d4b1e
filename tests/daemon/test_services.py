"""test_services.py - how a dnsmasq is kept, and what fethctl makes of --dhcp and --nat, without privilege: the
dnsmasq is a script. (A real one: tests/netns/test_dhcp.py; rules: test_nat.py.)
"""
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

RANGE = "10.77.0.128-10.77.0.254"


class Base(unittest.TestCase):
    def setUp(self):
        self.d = self.enterContext(h.Daemon(wait=None))
        self.tools = f"{self.d.dir}/tools"
        os.mkdir(self.tools)
        self.d.env["FETHD_TOOLS"] = self.tools
        self.d.start()

    def dnsmasq(self, script):
        with open(f"{self.tools}/new", "w") as f:
            f.write(f"#!/bin/sh\n{script}\n")
        os.chmod(f"{self.tools}/new", 0o755)
        os.rename(f"{self.tools}/new", f"{self.tools}/dnsmasq")

    def create(self, **params):
        return self.d.create(**{"backend": h.HOST_BACKEND, "addresses": ["10.77.0.1/24"], "dhcp": True, **params})

    def logged(self, words, n=1, seconds=10):
        h.poll_until(f"{words} is logged", lambda: self.d.log.count(words) >= n, seconds)


class Kept(Base):
    def test_what_it_says_is_logged_without_what_could_do_harm(self):
        self.dnsmasq(r"printf 'dnsmasq-dhcp[1]: one\ntwo\033[31m\n\377\nno head]: three\n' >&2; exec sleep 1000")
        self.create()
        self.logged("net=lab no head]: three")
        for line in ("net=lab one\n", r"net=lab two\x1b[31m" "\n", r"net=lab \xff" "\n"):
            self.assertIn(f"info: dnsmasq: {line}", self.d.log)

    def test_a_line_without_end_and_many_lines(self):
        self.dnsmasq("head -c 100000 /dev/zero | tr '\\0' x >&2; echo >&2; i=0\n"
                     "while [ $i -lt 500 ]; do echo line >&2; i=$((i + 1)); done; exec sleep 1000")
        self.create()
        self.logged("net=lab line")
        self.assertLessEqual(max(map(len, self.d.log.splitlines())), 400)
        self.d.call("network.set", network="lab", dhcp=False)
        self.assertLess(self.d.log.count("net=lab line"), 60)  # ten a second

    def test_it_is_started_again_less_and_less_often(self):
        self.dnsmasq("echo no >&2; exit 3")
        self.create()
        for wait in (200, 400, 800, 1600):
            self.logged(f"next try in {wait} ms")
        self.assertGreaterEqual(self.d.log.count("ended with status 3"), 4)
        self.dnsmasq("echo good >&2; exec sleep 1000")
        self.logged("net=lab good")

    def test_one_that_cannot_be_run(self):
        with open(f"{self.tools}/dnsmasq", "w") as f:
            f.write("#!/nonexistent/sh\n")
        os.chmod(f"{self.tools}/dnsmasq", 0o755)
        self.create()
        self.logged("cannot run")
        self.logged("ended with status 127")

    def test_one_that_goes_away_between(self):
        self.dnsmasq("exit 1")
        self.create()
        self.logged("next try")
        os.unlink(f"{self.tools}/dnsmasq")
        self.logged("there is no dnsmasq here")
        self.dnsmasq("echo good >&2; exec sleep 1000")
        self.logged("net=lab good")

    def test_it_ends_with_all_its_children(self):
        """Its own way to end is not asked for: neither signals that it ignores nor children of its hinder."""
        self.dnsmasq(f"trap '' TERM INT HUP\nsleep 1000 & echo $! >{self.d.dir}/child; echo $$ >{self.d.dir}/pid\n"
                     "echo up >&2; while :; do wait; done")
        for end in (lambda: self.d.call("network.set", network="lab", dhcp=False),
                    lambda: self.d.call("network.delete", network="lab"), self.d.stop, self.d.kill):
            ups = self.d.log.count("net=lab up")
            if "lab" in [n["name"] for n in self.d.call("network.list")["items"]]:
                self.d.call("network.delete", network="lab")
            self.create()
            self.logged("net=lab up", ups + 1)
            pids = [int(h.text_of(f"{self.d.dir}/{name}")) for name in ("pid", "child")]
            end()
            h.poll_until("both are gone", lambda p=pids: not any(map(self.runs, p)))
            if self.d.proc.poll() is not None:
                self.d.start()

    @staticmethod
    def runs(pid):
        try:
            with open(f"/proc/{pid}/stat") as f:
                return f.read().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    def test_what_the_terminal_sends_is_for_the_daemon(self):
        """^C goes to the foreground process group, and neither keeper nor dnsmasq is in it."""
        self.dnsmasq(f"echo $$ >{self.d.dir}/pid; echo up >&2; exec sleep 1000")
        self.create()
        self.logged("net=lab up")
        pid = int(h.text_of(f"{self.d.dir}/pid"))
        keeper = int(h.text_of(f"/proc/{pid}/stat").rpartition(")")[2].split()[1])
        groups = {os.getpgid(p) for p in (pid, keeper, self.d.proc.pid)}
        self.assertEqual(len(groups), 3)
        os.kill(keeper, signal.SIGINT)
        os.kill(keeper, signal.SIGHUP)
        self.assertTrue(self.runs(pid) and self.runs(keeper))

    def test_it_inherits_nothing(self):
        self.dnsmasq(f"ls -l /proc/$$/fd >{self.d.dir}/fds; echo up >&2; exec sleep 1000")
        with self.d.control() as c:
            c.call("hello")
            self.create()
            self.logged("net=lab up")
        fds = [line.split(" -> ")[1] for line in h.text_of(f"{self.d.dir}/fds").splitlines() if " -> " in line]
        own = [f for f in fds if "tools/dnsmasq" in f or f.endswith("/fds")]  # the script's
        self.assertEqual(sorted(f.split(":")[0] for f in fds if f not in own), ["/dev/null", "/dev/null", "pipe"])


class CommandLine(Base):
    def setUp(self):
        super().setUp()
        self.dnsmasq("exec sleep 1000")

    def ctl(self, *args):
        return self.d.ctl(*args)

    def shown(self):
        n = self.d.call("network.show", network="lab")
        return n["dhcp"]

    def test_dhcp(self):
        address = ("--backend", h.HOST_BACKEND, "--address", "10.77.0.1/24")
        p = self.ctl("create", "lab", *address, "--dhcp")
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertIn(RANGE, p.stdout)
        for words, shown in ((["--dhcp", "10.77.0.5-10.77.0.9"], "10.77.0.5-10.77.0.9"), (["--dhcp", "off"], False),
                             (["--dhcp=10.77.0.5-10.77.0.6"], "10.77.0.5-10.77.0.6"), (["--dhcp=off"], False),
                             (["--dhcp", "on"], RANGE), (["--dhcp", "off"], False), (["--dhcp"], RANGE)):
            self.assertEqual(self.ctl("set", "lab", *words).returncode, 0)
            self.assertEqual(self.shown(), shown)
        self.d.call("network.delete", network="lab")
        self.assertEqual(self.ctl("create", "--dhcp", "lab", *address).returncode, 0)  # lab is no range
        self.assertEqual(self.shown(), RANGE)
        for words, says in ((["--dhcp=maybe"], "on or off"), (["--dhcp", "10.77.0.5"], "FROM-TO"),
                            (["--dhcp", "10.77.0.9-10.77.0.5"], "above"), (["--dhcp=a-b"], "two IPv4 addresses"),
                            (["--nat=maybe"], "on or off"), (["--nat", "10.0.0.1"], "on or off")):
            p = self.ctl("set", "lab", *words)
            self.assertEqual(p.returncode, 1, words)
            self.assertIn(says, p.stderr)
        self.assertEqual(self.shown(), RANGE)

    def test_nat_without_nft(self):
        p = self.ctl("create", "lab", "--backend", h.HOST_BACKEND, "--address", "10.77.0.1/24", "--nat")
        self.assertEqual(p.returncode, 1)
        self.assertIn("there is no nft here; install the package nftables", p.stderr)
        p = self.ctl("create", "lab", "--backend", h.HOST_BACKEND, "--nat", "off")
        self.assertEqual(p.returncode, 0, p.stderr)


if __name__ == "__main__":
    h.main()
