"""test_top.py - `fethctl top` in a pseudo terminal (tmux), and `fethctl stats --watch`."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

HEAD = ["NETWORK", "RX-F/S", "RX-B/S", "TX-F/S", "TX-B/S", "DROP/S", "REASON", "QUEUE"]
FRAME = h.frame(h.mac(2), h.mac(1), b"x" * 486)  # 500 bytes, for one port


class Screen:
    """`fethctl top` in a terminal of its own, whose screen can be read. It is a job of a shell, so that
    what it leaves behind is seen; where it was stopped, Enter has it go on."""

    n = 0

    def __init__(self, d, columns, rows, *args):
        self.d = d
        Screen.n += 1
        self.socket = f"{d.dir}/tmux{Screen.n}"
        command = " ".join([h.FETHCTL, "--run-dir", d.run_dir, "top", *args])
        script = (f"set -m; echo BEFORE; sh -c 'echo $$ > {d.dir}/top.pid; exec {command}'; echo STATUS=$?; "
                  r"stty -a | grep -ow -- '-*\(icanon\|echo\)'; read; fg; echo AGAIN=$?; exec sleep 1000")
        env = {k: v for k, v in d.env.items() if k not in ("TMUX", "LC_ALL")}
        subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", "-u", "new-session", "-d", "-x", str(columns),
                        "-y", str(rows), "bash", "--norc", "-c", script], check=True,
                       env={**env, "TERM": "xterm-256color", "LANG": "C.UTF-8"})

    def tmux(self, *args):
        return subprocess.run(["tmux", "-S", self.socket, *args], check=True, text=True, capture_output=True).stdout

    def lines(self):
        return self.tmux("capture-pane", "-p").split("\n")[:-1]

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def is_(self, what):
        return self.tmux("display-message", "-p", f"#{{{what}}}").strip()

    def wait(self, what, test):
        """The lines of the first screen that passes."""
        def look():
            lines = self.lines()
            return lines if test(lines) else None
        try:
            return h.poll_until(what, look, 20)
        except AssertionError as e:
            raise AssertionError(f"{e}\n" + "\n".join(self.lines())) from None

    def row(self, name):
        """The cells of a line by the heading's words; {} where it is not shown."""
        lines = self.lines()
        head = next((line for line in lines if line.startswith("NETWORK")), None)
        line = next((line for line in lines if line.split() and line.split()[0] == name), None)
        if not head or not line:
            return {}
        cells = {}
        for m in re.finditer(r"\S+", head):
            word = m[0]
            # numbers end where their heading does, texts begin there
            cells[word] = (line[m.start():].split("  ")[0].strip() if word in ("NETWORK", "REASON", "KIND", "MAC") else
                           line[:m.end()].split(" ")[-1])
        return cells

    def pid(self):
        return int(h.text_of(f"{self.d.dir}/top.pid"))

    def is_clean(self, before=True):
        """Whether the terminal is as it was, and shows what it showed."""
        lines = self.lines()
        return (self.is_("alternate_on") == "0" and self.is_("cursor_flag") == "1" and "icanon" in lines and
                "echo" in lines and any(x.startswith("STATUS=") for x in lines) and
                (not before or "BEFORE" in lines))

    def status(self):
        return int(re.search(r"STATUS=(\d+)", "\n".join(self.lines()))[1])

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True)


class WithTraffic(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon(prefix=h.ISOLATED)
        self.addCleanup(self.d.__exit__, None, None, None)
        self.make_networks()

    def make_networks(self):
        for name in ("lab", "wan"):  # where nobody is asked for groups, so that all frames are ours
            self.d.create(name, backend="none", multicast="flood")
        self.sender = self.d.attach(name="sender", mac="02:00:00:00:00:01")
        self.reader = self.d.attach(name="reader", mac="02:00:00:00:00:02")
        self.sleeper = self.d.attach("wan", name="sleeper")
        for c in (self.sender, self.reader, self.sleeper):
            self.addCleanup(c.close)

    def flood(self):
        """Frames that nobody reads: soon they are dropped."""
        return h.Flood(self.sender, *[FRAME] * 20, pause=0.02)


@unittest.skipUnless(shutil.which("tmux"), "tmux is needed (package tmux)")
class Top(WithTraffic):
    def screen(self, columns=80, rows=24, *args):
        s = Screen(self.d, columns, rows, *args)
        self.addCleanup(s.close)
        s.wait("the heading", lambda lines: any(x.startswith("NETWORK") for x in lines))
        return s

    def shows_rates(self, s, columns, rows):
        head = next(x for x in s.lines() if x.startswith("NETWORK"))
        self.assertEqual([w for w in head.split() if w not in ("KIND", "MAC")], HEAD)
        s.wait("all ports", lambda lines: all(s.row(n) for n in ("lab", "sender", "reader", "wan", "sleeper")))
        with self.flood():
            s.wait("frames", lambda _: s.row("sender").get("RX-F/S", "0") not in ("0", "-"))
            s.wait("drops", lambda _: s.row("reader").get("REASON") == "queue_full")
            s.wait("a full queue", lambda _: s.row("reader")["QUEUE"] in ("99%", "100%"))
            row = s.row("sender")
            self.assertRegex(row["RX-B/S"], r"^[\d.]+[kM]$")
            self.assertEqual((row["TX-F/S"], row["TX-B/S"]), ("0", "0"))
            self.assertEqual(s.row("sleeper")["RX-F/S"], "0")
        s.wait("nothing moves", lambda _: s.row("sender")["RX-F/S"] == "0" and s.row("lab")["DROP/S"] == "0")
        lines = s.lines()
        self.assertEqual(len(lines), rows)
        self.assertTrue(all(len(x) <= columns for x in lines), lines)
        self.assertIn("networks 2", lines[0])
        self.assertTrue(lines[-1].startswith("q quit"), lines[-1])

    def quits(self, s):
        s.keys("q")
        h.poll_until("a clean terminal", s.is_clean)
        self.assertEqual(s.status(), 0)

    def test_80_by_24(self):
        s = self.screen(80, 24)
        self.shows_rates(s, 80, 24)
        self.quits(s)

    def test_200_by_50(self):
        s = self.screen(200, 50)
        self.shows_rates(s, 200, 50)
        row = s.row("reader")
        self.assertEqual((row["KIND"], row["MAC"]), ("native", "02:00:00:00:00:02"))
        self.quits(s)

    def test_it_follows_the_size_of_the_terminal(self):
        s = self.screen(80, 24)
        for columns, rows in ((200, 50), (40, 8), (30, 4), (132, 24), (80, 24)):
            s.resize(columns, rows)
            lines = s.wait(f"{columns} by {rows}", lambda x, c=columns, r=rows: (
                len(x) == r and x[1].startswith("NETWORK") and x[-1].startswith("q quit") and
                x[0].startswith("fethd") and (c < 110 or "MAC" in x[1]) and (c > 100 or "MAC" not in x[1])))
            self.assertTrue(all(len(x) <= columns for x in lines))
            self.assertTrue(any(x.startswith(("lab", "wan")) for x in lines))
        self.shows_rates(s, 80, 24)
        self.quits(s)

    def test_keys(self):
        for i in range(30):
            self.d.call("port.add", network="wan", name=f"d{i:02}", kind="qemu")
        s = self.screen(80, 12, "--interval", "2")
        s.wait("rows", lambda x: "1-9 of " in x[-1])
        for sort in ("rx", "tx", "drops", "queue", "name"):
            s.keys("s")
            s.wait(f"by {sort}", lambda x, sort=sort: f"all, by {sort}, 2 s" in x[0])
        self.assertEqual([x.split()[0] for x in s.lines()[2:5]], ["lab", "reader", "sender"])
        s.keys("Down")
        s.wait("a line on", lambda x: "2-10 of 35" in x[-1])
        s.keys("PPage")
        s.wait("the begin", lambda x: "1-9 of 35" in x[-1])
        s.keys("NPage", "NPage")
        s.wait("two pages on", lambda x: "19-27 of 35" in x[-1])
        s.keys("G")
        s.wait("the end", lambda x: "27-35 of 35" in x[-1] and x[-2].startswith("  sleeper"))
        s.keys("Up", "Home")
        s.wait("the begin", lambda x: "1-9 of 35" in x[-1])
        s.keys("n")
        s.wait("lab alone", lambda x: "lab, by name" in x[0] and " of " not in x[-1] and not any("sleeper" in y for y in x))
        s.keys("n")
        s.wait("wan alone", lambda x: "wan, by name" in x[0] and "1-9 of 32" in x[-1])
        s.keys("n")
        s.wait("all", lambda x: "all, by name" in x[0])
        s.keys("b")
        s.wait("bits", lambda x: "RX-b/S" in x[1])
        s.keys("+", "+")
        s.wait("faster", lambda x: ", 0.5 s" in x[0])
        s.keys("x", "Escape", "-")
        s.wait("slower", lambda x: ", 1 s" in x[0])
        self.quits(s)

    def test_signals_leave_the_terminal_clean(self):
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV, signal.SIGABRT):
            with self.subTest(sig=sig.name):
                s = self.screen()
                self.assertEqual((s.is_("alternate_on"), s.is_("cursor_flag")), ("1", "0"))
                if sig == signal.SIGINT:
                    s.keys("C-c")
                else:
                    os.kill(s.pid(), sig)
                # what a sanitizer says of a fault may need all of the screen
                fault = sig in (signal.SIGSEGV, signal.SIGABRT)
                s.wait("a clean terminal", lambda _, s=s, fault=fault: s.is_clean(not fault))
                self.assertEqual(s.status() != 0, fault)
                s.close()

    def test_it_can_be_stopped_and_goes_on(self):
        s = Screen(self.d, 80, 24)
        self.addCleanup(s.close)
        s.wait("the heading", lambda lines: any(x.startswith("NETWORK") for x in lines))
        s.keys("C-z")
        h.poll_until("a clean terminal", s.is_clean)
        s.keys("Enter")
        s.wait("it is back", lambda lines: lines[1].startswith("NETWORK") and s.row("sender"))
        self.assertEqual((s.is_("alternate_on"), s.is_("cursor_flag")), ("1", "0"))
        s.keys("q")
        s.wait("it has ended", lambda lines: "AGAIN=0" in lines)
        self.assertEqual(s.is_("alternate_on"), "0")

    def test_it_outlives_the_daemon(self):
        s = self.screen()
        self.d.kill()
        s.wait("it is told", lambda x: "trying again" in x[0])
        self.d.start()
        self.make_networks()
        s.wait("a new daemon", lambda x: "networks 2" in x[0])
        self.shows_rates(s, 80, 24)
        # one that does not answer holds nobody up
        self.d.proc.send_signal(signal.SIGSTOP)
        s.wait("it is told", lambda x: "does not answer" in x[0])
        s.keys("s")
        s.wait("keys are heard", lambda x: "by rx" in x[0])
        self.d.proc.send_signal(signal.SIGCONT)
        s.wait("it answers", lambda x: "networks 2" in x[0])
        self.d.proc.send_signal(signal.SIGSTOP)
        self.quits(s)
        self.d.proc.send_signal(signal.SIGCONT)

    def test_one_network_that_goes_and_comes(self):
        s = self.screen(80, 24, "wan")
        s.wait("its port", lambda x: s.row("sleeper") and not s.row("sender"))
        self.d.call("network.delete", network="wan")
        s.wait("it is told", lambda x: "there is no network wan" in x[0])
        self.d.create("wan", backend="none")
        s.wait("it is back", lambda x: x[0].startswith("fethd") and s.row("wan"))
        self.quits(s)


class Without(WithTraffic):
    def test_top_needs_a_terminal_and_a_network_that_exists(self):
        p = self.d.ctl("top")
        self.assertEqual((p.returncode, p.stdout), (1, ""))
        self.assertIn("top needs a terminal", p.stderr)
        self.assertEqual(self.d.ctl("top", "--json").returncode, 2)
        p = self.d.ctl("top", "nosuch")
        self.assertEqual((p.returncode, p.stdout), (1, ""))
        self.assertIn("there is no network nosuch", p.stderr)
        self.assertEqual(self.d.ctl("top", "--interval", "0").returncode, 1)

    def watch(self, *args, lines):
        """The JSON lines of stats --watch, while frames flow."""
        with self.flood():
            h.poll_until("drops", lambda: self.d.stats("reader")["drops"]["queue_full"])
            p = self.d.ctl("stats", "--watch", "1", "--count", str(lines), "--json", *args, check=True)
        docs = [json.loads(x) for x in p.stdout.splitlines()]
        self.assertEqual(len(docs), lines)
        return docs

    def test_watch_tells_rates(self):
        docs = self.watch(lines=2)
        self.assertLess(docs[0]["time"], docs[1]["time"])
        for doc in docs:
            self.assertEqual([n["network"] for n in doc["networks"]], ["lab", "wan"])
            lab, wan = doc["networks"]
            ports = {p["name"]: p for p in lab["ports"]}
            self.assertEqual(set(ports), {"sender", "reader"})
            sender, reader = ports["sender"], ports["reader"]
            self.assertGreater(sender["rx_frames_rate"], 0)
            # bytes and frames are of one moment, so they agree however long it took
            self.assertAlmostEqual(sender["rx_bytes_rate"] / sender["rx_frames_rate"], 500, places=3)
            self.assertEqual((sender["tx_frames_rate"], sender["drops_rate"], sender["reason"]), (0, 0, None))
            self.assertAlmostEqual(lab["total"]["rx_frames_rate"], sender["rx_frames_rate"], places=3)
            self.assertAlmostEqual(reader["tx_frames_rate"] + reader["drops_rate"], sender["rx_frames_rate"], places=3)
            self.assertEqual(wan["total"]["rx_frames_rate"], 0)
        self.assertEqual(ports["reader"]["reason"], "queue_full")

    def test_watch_of_one_network_as_a_table(self):
        p = self.d.ctl("stats", "wan", "--watch=1", "--count", "2", check=True)
        first, second = p.stdout.split("\n\n")
        for text in (first, second):
            head, port, total = text.strip().splitlines()
            self.assertEqual(head.split()[:4], ["NETWORK", "PORT", "NAME", "RX-FRAMES/S"])
            self.assertEqual(port.split()[:4], ["wan", "1", "sleeper", "0"])
            self.assertEqual(total.split()[:4], ["wan", "-", "(total)", "0"])

    def test_watch_ends_with_a_sentence(self):
        for args, status, words in ((("nosuch", "--watch"), 1, "there is no network nosuch"),
                                    (("--watch=x",), 1, "must be a decimal number"), (("--watch", "0"), 1, "1 to"),
                                    (("--count", "2"), 2, "--watch"), (("--watch", "1", "--count", "0"), 2, "1 or more")):
            p = self.d.ctl("stats", *args)
            self.assertEqual((p.returncode, p.stdout), (status, ""), args)
            self.assertIn(words, p.stderr)
        p = subprocess.Popen([h.FETHCTL, "--run-dir", self.d.run_dir, "stats", "--watch"], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertIn("NETWORK", p.stdout.readline())
        self.d.kill()
        out, err = p.communicate(timeout=30)
        self.assertEqual(p.returncode, 1)
        self.assertRegex(err, r"^fethctl: cannot read the counters: .+\n$")


if __name__ == "__main__":
    h.main()
