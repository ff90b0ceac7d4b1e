"""test_clients.py - fethctl and the examples against the real daemon, without privilege.

FETHD and FETHCTL name the binaries (harness.py); `hello` stands beside fethctl. Networks have the
backend `none`.
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import harness as h  # noqa: E402

FETHCTL = os.path.abspath(h.FETHCTL)
HELLO = str(pathlib.Path(FETHCTL).with_name("hello"))
HELLO_PY = str(ROOT / "clients/examples/hello.py")
TIMEOUT_S = 30


def run_ctl(args, **kwargs):
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    kwargs.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(
        [FETHCTL, *args], stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S, **kwargs
    )


class WithoutDaemon(unittest.TestCase):
    def fails(self, status, *args, **kwargs):
        done = run_ctl(args, **kwargs)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertRegex(done.stderr, r"^fethctl: .+\n$")
        self.assertEqual(done.stderr.count("\n"), 1, "one sentence")
        self.assertEqual(done.stdout, "")
        return done.stderr

    def test_wrong_command_lines_are_status_2_with_a_pointer_to_the_help(self):
        for args in (
            [],
            ["bogus"],
            ["port"],
            ["port", "bogus"],
            ["list", "x"],
            ["list", "--frob"],
            ["list", "--", "true"],
            ["--run-dir"],
            ["--run-dir="],
            ["--json=1", "list"],
            ["--mtu", "1500", "list"],
            ["create"],
            ["create", "x", "--mtu", "1", "--mtu", "2"],
            ["set", "x"],
            ["set", "x", "--up", "--down"],
            ["port", "add", "x"],
            ["run", "x"],
            ["run", "x", "true"],
            ["run", "x", "-m", "1"],
            ["run", "x", "--"],
            ["help", "bogus"],
        ):
            with self.subTest(args=args):
                self.assertIn("see `fethctl help", self.fails(2, *args))

    def test_wrong_values_are_status_1_and_need_no_daemon(self):
        for args in (
            ["create", "a/b"],
            ["create", "x" * 33],
            ["create", "x", "--mtu", "abc"],
            ["create", "x", "--mtu", "-1"],
            ["create", "x", "--mtu", "99999999999999999999"],
            ["create", "x", "--mac", "02:00"],
            ["create", "x", "--mac", "ff:ff:ff:ff:ff:ff"],
            ["create", "x", "--address", "10.0.0.1"],
            ["create", "x", "--address", "none", "--address", "10.0.0.1/24"],
            ["create", "x", "--unit", "many"],
            ["create", "x", "--allow", "alice=attach"],
            ["create", "x", "--allow", "user:alice"],
            ["create", "x", "--allow", "none", "--allow", "user:alice=attach"],
            ["set", "x", "--allow", "user:alice=attach,fly"],
            ["port", "add", "x", "y", "--mac", "z"],
        ):
            with self.subTest(args=args):
                self.assertNotIn("no daemon", self.fails(1, *args))

    def test_missing_daemon_is_told_with_the_way_to_start_it(self):
        for line in ("list", "show x", "stats", "run x -- true", "enter x"):
            args = line.split()
            with self.subTest(args=args):
                text = self.fails(1, "--run-dir", "/nonexistent", *args)
                self.assertIn("no daemon answers at /nonexistent/control.sock: start it", text)
        text = self.fails(1, "list", env={"FETHD_RUN_DIR": "/nowhere"})
        self.assertIn("/nowhere/control.sock", text)

    def test_run_directory_that_is_too_long_is_told(self):
        self.assertIn("too long", self.fails(1, "--run-dir", "/" + "x" * 200, "list"))

    def test_dead_socket_is_no_daemon(self):
        with tempfile.TemporaryDirectory() as run_dir:
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(run_dir + "/control.sock")
            self.assertIn("no daemon answers", self.fails(1, "--run-dir", run_dir, "list"))

    def test_own_daemon_is_asked_only_if_it_answers(self):
        text = self.fails(1, "list", env={"XDG_RUNTIME_DIR": "/tmp", "FETHD_RUN_DIR": ""})
        self.assertIn("/run/fethd/control.sock", text)

    def test_version_needs_no_daemon(self):
        done = run_ctl(["--version"])
        self.assertRegex(done.stdout, r"^fethctl \d+\.\d+\.\d+\n$")
        done = run_ctl(["--run-dir", "/nonexistent", "version", "--json"])
        self.assertEqual(done.returncode, 0)
        doc = json.loads(done.stdout)
        self.assertEqual(doc["protocol"], 1)
        self.assertEqual(doc["error"], "No such file or directory")

    def test_help_names_every_command(self):
        done = run_ctl(["help"])
        self.assertEqual(done.returncode, 0)
        self.assertEqual(run_ctl(["--help"]).stdout, done.stdout)
        names = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", done.stdout, re.M)
        self.assertGreaterEqual(len(names), 16)
        for name in names:
            with self.subTest(name=name):
                one = run_ctl(["help", *name.split()])
                self.assertIn("usage: fethctl " + name, one.stdout)
                self.assertEqual(run_ctl([*name.split(), "-h"]).stdout, one.stdout)

    def test_help_rpc_lists_the_methods_of_the_protocol(self):
        text = (ROOT / "protocol/methods.def").read_text()
        methods = re.findall(r'^METHOD\(\w+, "([^"]+)"', text, re.M)
        done = run_ctl(["help", "rpc", "--json"])
        self.assertEqual([m["method"] for m in json.loads(done.stdout)], methods)

    def test_man_page_has_every_command_and_option(self):
        page = (ROOT / "docs/man/fethctl.1").read_text().replace("\\-", "-")
        names = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", run_ctl(["help"]).stdout, re.M)
        for name in names:
            self.assertRegex(page, rf"(?m)^\.It (Cm|Xo\n\.Cm) {name}\b")
            text = run_ctl(["help", *name.split()]).stdout
            for option in re.findall(r"^  --([a-z-]+)", text, re.M):
                self.assertIn("Fl -" + option, page)

    def test_output_that_cannot_be_written_is_a_failure(self):
        with open("/dev/full", "w") as full:
            for args in (["help"], ["help", "rpc"], ["help", "rpc", "--json"]):
                done = run_ctl(args, stdout=full)
                self.assertEqual(done.returncode, 1, args)
                self.assertIn("standard output", done.stderr)


class WithDaemon(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = h.Daemon()
        cls.addClassCleanup(cls.daemon.__exit__, None, None, None)

    def setUp(self):
        self.net = "net" + str(time.monotonic_ns() % 10**12)
        self.ctl("create", self.net, "--backend", "none")
        self.addCleanup(lambda: run_ctl([*self.where(), "delete", self.net]))
        self.sock = f"{self.daemon.run_dir}/{self.net}/feth.sock"

    def where(self):
        return ["--run-dir", self.daemon.run_dir]

    def ctl(self, *args, status=0, **kwargs):
        done = run_ctl([*self.where(), *args], **kwargs)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr if status else done.stdout

    def port(self, n):
        """A native client that is a port with the address of station n."""
        port = self.daemon.attach(self.net, mac=h.mac_text(h.mac(n)))
        self.addCleanup(port.close)
        return port

    def json(self, *args):
        return json.loads(self.ctl("--json", *args))

    # -- networks --

    def test_network_is_listed_shown_changed_and_deleted(self):
        net = self.json("show", self.net)
        self.assertEqual((net["name"], net["backend"], net["mtu"]), (self.net, "none", 1500))
        self.assertIn(net, self.json("list"))
        self.assertEqual(self.json("set", self.net, "--mtu", "9000")["mtu"], 9000)
        self.assertRegex(self.ctl("show", self.net), r"(?m)^MTU: +9000$")
        self.assertEqual(self.json("delete", self.net), {})
        self.assertNotIn(self.net, [n["name"] for n in self.json("list")])

    def test_tables_have_aligned_columns(self):
        head, *lines = self.ctl("list").splitlines()
        at = head.index("BACKEND")
        self.assertTrue(lines)
        for line in lines:
            self.assertEqual(line[at - 2 : at], "  ")
            self.assertNotEqual(line[at], " ")

    def test_the_server_is_the_judge(self):
        for args, what in (
            (["create", self.net], "exists"),
            (["create", self.net.upper()], "exists"),
            (["create", "x", "--backend", "bogus"], "backend"),
            (["set", self.net, "--mtu", "1"], "mtu"),
            (["show", "nonet"], "nonet"),
            (["delete", "nonet"], "nonet"),
            (["port", "remove", self.net, "nobody"], "nobody"),
        ):
            with self.subTest(args=args):
                text = self.ctl(*args, status=1)
                self.assertRegex(text, r"^fethctl: cannot .+: .+\n$")
                if what != "exists":
                    self.assertIn(what, text.lower())

    def test_environment_says_where_the_daemon_is(self):
        env = dict(os.environ, FETHD_RUN_DIR=self.daemon.run_dir)
        done = run_ctl(["show", self.net], env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        env["FETHD_RUN_DIR"] = "/nonexistent"
        done = run_ctl([*self.where(), "show", self.net], env=env)
        self.assertEqual(done.returncode, 0, "--run-dir goes first")

    def test_every_command_prints_one_json_document(self):
        for args in (
            ["list"],
            ["show", self.net],
            ["port", "list", self.net],
            ["fdb", self.net],
            ["stats"],
            ["stats", self.net],
            ["daemon", "show"],
            ["version"],
            ["port", "add", self.net, "p"],
            ["port", "remove", self.net, "p"],
        ):
            with self.subTest(args=args):
                self.json(*args)

    # -- ports --

    def test_declared_port_is_added_listed_and_removed(self):
        mac = "02:00:00:00:00:07"
        port = self.json("port", "add", self.net, "vm1", "--kind", "qemu", "--mac", mac, "--lock")
        fields = {"name": "vm1", "kind": "qemu", "mac": mac, "locked": True}
        self.assertEqual({k: port[k] for k in fields}, fields)
        self.assertTrue(os.path.exists(port["path"]))
        self.assertIn("vm1", [p["name"] for p in self.json("port", "list", self.net)])
        self.assertIn(port["path"], self.ctl("port", "list", self.net))
        self.ctl("port", "remove", self.net, "vm1")
        self.assertNotIn("vm1", [p["name"] for p in self.json("port", "list", self.net)])

    def test_lists_are_read_to_their_end(self):
        port = self.port(1)
        macs = {h.mac_text(h.mac(100 + i)) for i in range(600)}
        port.send(*(h.frame(h.BROADCAST, h.mac(100 + i)) for i in range(600)))
        h.taken(port)
        entries = self.json("fdb", self.net)
        self.assertLessEqual(macs, {e["mac"] for e in entries})
        self.assertEqual(len(entries), len({e["mac"] for e in entries}), "none twice")
        self.assertGreaterEqual(len(self.ctl("fdb", self.net).splitlines()), 601)

    def test_stats_count_frames_of_one_network_and_of_all(self):
        a, b = self.port(1), self.port(2)
        a.send(h.frame(h.mac(2), h.mac(1), size=60))
        b.recv()
        doc = self.json("stats", self.net)
        self.assertEqual(doc["network"], self.net)
        self.assertEqual(sum(p["rx_frames"] for p in doc["ports"]), 1)
        self.assertEqual(doc["total"]["rx_bytes"], 60)
        self.assertIn(self.net, [n["network"] for n in self.json("stats")])
        self.assertRegex(self.ctl("stats"), rf"(?m)^{self.net} +- +\(total\) +1 +60 ")

    # -- run --

    def test_run_gives_the_program_a_port_at_descriptor_3(self):
        other = self.port(2)
        mac = h.mac_text(h.mac(0xAA))
        program = (
            "import json, os, socket, sys\n"
            "s = socket.socket(fileno=3)\n"
            "names = ('FETH_NET', 'FETH_SOCKET', 'FETH_FD', 'FETH_MAC', 'FETH_MTU')\n"
            "env = {k: os.environ.get(k) for k in names}\n"
            "data = s.recv(65536)\n"
            "s.sendall(data[:4] + data[10:16] + data[4:10] + data[16:])\n"
            "print(json.dumps(env)); sys.exit(7)\n"
        )
        child = subprocess.Popen(
            [FETHCTL, *self.where(), "run", self.net, "--mac", mac, "--name", "vm", "--",
             sys.executable, "-c", program],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.addCleanup(child.stdout.close)
        vm = h.poll_until("the port is there", lambda: self.daemon.port("vm", self.net))
        self.assertEqual((vm["mac"], vm["locked"], vm["kind"]), (mac, True, "qemu"))
        other.send(h.frame(h.mac(0xAA), h.mac(2), b"hello"))
        self.assertEqual(other.recv(), h.frame(h.mac(2), h.mac(0xAA), b"hello"))
        out, _ = child.communicate(timeout=TIMEOUT_S)
        self.assertEqual(child.returncode, 7)
        self.assertEqual(
            json.loads(out),
            {"FETH_NET": self.net, "FETH_SOCKET": self.daemon.path(self.net, "qemu.sock"),
             "FETH_FD": "3", "FETH_MAC": mac, "FETH_MTU": "1500"},
        )

    def test_run_passes_the_kind_and_the_descriptor_that_are_asked_for(self):
        program = (
            "import os, socket\n"
            "s = socket.socket(fileno=int(os.environ['FETH_FD']))\n"
            "print(s.type.name, s.fileno(), os.environ['FETH_SOCKET'], flush=True)\n"
            "f = bytes.fromhex('ffffffffffff' + os.environ['FETH_MAC'].replace(':', '') + '88b5') + b'hello'\n"
            "s.sendall({'native': b'\\xc4' + bytes([len(f)]), 'qemu': len(f).to_bytes(4, 'big')}.get('KIND', b'') + f)\n"
        )
        other = self.port(2)
        for kind, type_, path in (
            ("qemu", "SOCK_STREAM", "qemu.sock"),
            ("native", "SOCK_STREAM", "feth.sock"),
            ("dgram", "SOCK_DGRAM", "dgram/sock"),
            ("seqpacket", "SOCK_SEQPACKET", "seqpacket.sock"),
        ):
            if kind == "seqpacket" and h.DARWIN:
                continue  # has none
            with self.subTest(kind=kind):
                said = self.ctl("run", self.net, "--kind", kind, "--fd", "9", "--",
                                sys.executable, "-c", program.replace("KIND", kind))  # fmt: skip
                self.assertEqual(said.split(), [type_, "9", self.daemon.path(self.net, path)])
                self.assertEqual(other.recv()[12:], b"\x88\xb5hello")

    def test_run_tells_a_vde_client_where_to_connect(self):
        env = {**os.environ, "FETH_FD": "3", "FETH_MAC": "02:00:00:00:00:01"}  # of another run around this one
        show = "env | grep -E '^FETH_(NET|SOCKET|FD|MAC|MTU)=' | sort"
        said = self.ctl("run", self.net, "--kind", "vde", "--", "sh", "-c", show, env=env)
        folder = self.daemon.path(self.net, "vde")
        self.assertEqual(said.splitlines(), ["FETH_MTU=1500", f"FETH_NET={self.net}", f"FETH_SOCKET={folder}"])
        said = self.ctl("run", self.net, "--kind", "vde", "--fd", "4", "--", "true", status=1)
        self.assertIn("connects by itself", said)

    def test_run_places_the_port_whatever_descriptors_are_open(self):
        check = (
            "import os, socket, stat, sys\n"
            "assert stat.S_ISSOCK(os.fstat(3).st_mode)\n"
            "s = socket.socket(fileno=3); assert s.getpeername() is not None\n"
            "open_fds = sorted(int(f) for f in os.listdir('/proc/self/fd'))\n"
            "modes = [os.stat(f'/proc/self/fd/{f}').st_mode for f in open_fds[:-1]]\n"
            "print(sum(map(stat.S_ISSOCK, modes)))\n"
        )
        run = [FETHCTL, *self.where(), "run", self.net, "--", sys.executable, "-c", check]
        for shell in (
            '"$@"',
            '"$@" 3</dev/null',
            '"$@" 3</dev/null 4</dev/null 5</dev/null',
            '"$@" <&-',
            '"$@" 4</dev/null',
        ):
            with self.subTest(shell=shell):
                done = subprocess.run(
                    ["sh", "-c", shell, "sh", *run],
                    stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S,
                )  # fmt: skip
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(done.stdout, "1\n", "the port, and no other socket of ours")

    def test_port_of_run_ends_with_its_program(self):
        self.ctl("run", self.net, "--name", "short", "--", "true")
        h.poll_until("the port is gone", lambda: not self.daemon.port("short", self.net))

    def test_run_tells_why_it_cannot(self):
        self.ctl("port", "add", self.net, "native1")
        for args, status, what in (
            (["nonet", "--", "true"], 1, "there is no network nonet"),
            ([self.net, "--", "/nonexistent"], 127, "cannot run /nonexistent"),
            ([self.net, "--", "/etc"], 126, "cannot run /etc"),
            ([self.net, "--name", "native1", "--", "true"], 1, "cannot open"),
            ([self.net, "--kind", "tap", "--", "true"], 2, "--kind tap"),
            ([self.net, "--fd", "2", "--", "true"], 1, "--fd 2: it must be 3 to 1023"),
            ([self.net, "--fd", "1024", "--", "true"], 1, "--fd 1024"),
            (["nonet", "--kind", "vde", "--", "true"], 1, "there is no network nonet"),
        ):
            self.assertIn(what, self.ctl("run", *args, status=status))

    # -- enter, examples, the end --

    def test_network_without_host_side_cannot_be_entered(self):
        self.assertIn("cannot enter network", self.ctl("enter", self.net, "--", "true", status=1))

    def test_examples_hear_each_other(self):
        in_c, in_python = [HELLO], [sys.executable, HELLO_PY]
        for first, second in ((in_c, in_python), (in_python, in_c)):
            with self.subTest(first=first):
                listener = subprocess.Popen(
                    [*first, self.sock, "02:00:00:00:00:0a", "one", "3"],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                )  # fmt: skip
                listener.stderr.readline()  # it is attached
                done = subprocess.run(
                    [*second, self.sock, "02:00:00:00:00:0b", "two", "1"],
                    capture_output=True, text=True, timeout=TIMEOUT_S,
                )  # fmt: skip
                self.assertEqual(done.returncode, 0, done.stderr)
                out, err = listener.communicate(timeout=TIMEOUT_S)
                self.assertEqual(listener.returncode, 0, err)
                # beside the two queries that the switch sends to who attaches
                lines = [x for x in out.splitlines(True) if not re.match(r"[0-9a-f:]{17} \(\d+ bytes\)\n", x)]
                self.assertEqual(lines, ["02:00:00:00:00:0b two\n"])

    def test_examples_tell_when_the_network_goes(self):
        for program, what in (
            ([HELLO], "network gone was removed"),
            ([sys.executable, HELLO_PY], "network.removed"),
        ):
            self.ctl("create", "gone", "--backend", "none")
            child = subprocess.Popen(
                [*program, f"{self.daemon.run_dir}/gone/feth.sock", "02:00:00:00:00:0a", "x", "20"],
                stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            child.stderr.readline()
            self.ctl("delete", "gone")
            _, err = child.communicate(timeout=TIMEOUT_S)
            self.assertEqual(child.returncode, 1)
            self.assertIn(what, err)


class Stopping(unittest.TestCase):
    def test_daemon_stop_ends_the_daemon(self):
        daemon = h.Daemon()
        self.addCleanup(daemon.__exit__, None, None, None)
        done = run_ctl(["--run-dir", daemon.run_dir, "create", "lab", "--backend", "none"])
        self.assertEqual(done.returncode, 0, done.stderr)
        done = run_ctl(["--run-dir", daemon.run_dir, "daemon", "stop", "--json"])
        self.assertEqual((done.returncode, done.stdout), (0, "{}\n"), done.stderr)
        self.assertEqual(daemon.proc.wait(TIMEOUT_S), 0)
        self.assertFalse(os.path.exists(daemon.run_dir + "/control.sock"))


if __name__ == "__main__":
    unittest.main()
