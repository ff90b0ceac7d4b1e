"""test_metrics.py - `fethctl metrics`: the text as prometheus_client's own parser reads it, and as we read the
specification; `--listen`: the server of it, and clients that are no good."""
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import time
import unittest

from prometheus_client import parser as old_parser
from prometheus_client.openmetrics import parser

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
LABELS = r'\{[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"(?:,[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*")*\}'
SUFFIX = {"counter": "_total", "gauge": "", "info": "_info"}


def strict(text):
    """Holds a text to the grammar of OpenMetrics 1.0, as far as it is used; {sample with labels: value}."""
    assert text.endswith("# EOF\n") and text.count("# EOF") == 1, "the end"
    samples, families, family = {}, {}, None
    for line in text[:-len("# EOF\n")].split("\n")[:-1]:
        if line.startswith("# "):
            kind, name, rest = line[2:].split(" ", 2)
            if kind == "TYPE":
                assert name not in families, f"{name} is there twice, or in two places"
                assert rest in SUFFIX, line
                families[name], family, seen = rest, name, {"TYPE"}
                continue
            assert name == family and kind in ("UNIT", "HELP") and kind not in seen, line
            seen.add(kind)
            assert kind != "UNIT" or name.endswith("_" + rest), line
            assert kind != "HELP" or (rest.endswith(".") and "\\" not in rest), line
            continue
        m = re.fullmatch(rf"([a-zA-Z_:][\w:]*)({LABELS})? (\d+(?:\.\d+)?)", line)
        assert m, line
        assert "HELP" in seen and m[1] == family + SUFFIX[families[family]], line
        assert families[family] != "info" or m[3] == "1", line
        assert m[1] + (m[2] or "") not in samples, f"{line} is there twice"
        samples[m[1] + (m[2] or "")] = float(m[3])
    return samples


def read_by_prometheus(text):
    return {(s.name, tuple(sorted(s.labels.items()))): s.value
            for f in parser.text_string_to_metric_families(text) for s in f.samples}


class Metrics(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon(prefix=h.ISOLATED)
        self.addCleanup(self.d.__exit__, None, None, None)
        self.d.create("lab", backend=h.HOST_BACKEND, multicast="flood")
        self.d.create("wan", backend="none", mtu=9000, multicast="flood")
        self.a = self.d.attach(name="a", mac="02:00:00:00:00:01")
        self.b = self.d.attach(name="b", mac="02:00:00:00:00:02", locked=True)
        self.d.call("port.add", network="wan", name="idle", kind="qemu")
        for c in (self.a, self.b):
            self.addCleanup(c.close)
        f = h.frame(h.mac(2), h.mac(1), b"x" * 86)
        self.a.send(f, f, f, b"short")
        for _ in range(3):
            self.b.recv()
        self.b.send(h.frame(h.BROADCAST, h.mac(9)))  # spoofed
        h.taken(self.a), h.taken(self.b)

    def text(self, *args):
        return self.d.ctl("metrics", *args, check=True).stdout

    def test_what_is_counted_is_told(self):
        text = self.text()
        got, ours = read_by_prometheus(text), strict(text)
        self.assertEqual(len(got), len(ours))
        self.assertEqual(sorted(got.values()), sorted(ours.values()))

        def value(name, **labels):
            return got[(name, tuple(sorted(labels.items())))]
        self.assertEqual(value("fethd_networks"), 2)
        self.assertEqual(value("fethd_network_mtu_bytes", network="wan"), 9000)
        self.assertEqual(value("fethd_network_up", network="lab"), 1)
        self.assertEqual(value("fethd_network_ports", network="lab", state="attached"), 2)
        self.assertEqual(value("fethd_network_ports", network="wan", state="waiting"), 1)
        self.assertEqual(value("fethd_port_received_frames_total", network="lab", port="a"), 4)
        self.assertEqual(value("fethd_port_sent_bytes_total", network="lab", port="b"), 300)
        self.assertEqual(value("fethd_port_dropped_frames_total", network="lab", port="a", reason="runt"), 1)
        self.assertEqual(value("fethd_port_dropped_frames_total", network="lab", port="b", reason="spoofed"), 1)
        self.assertEqual(value("fethd_network_dropped_frames_total", network="lab", reason="runt"), 1)
        self.assertEqual(value("fethd_network_addresses", network="lab", type="static"), 2)
        self.assertEqual(value("fethd_port_attached", network="wan", port="idle"), 0)
        self.assertEqual(value("fethd_port_queue_limit_bytes", network="wan", port="idle"), 262144)
        self.assertGreater(value("fethd_daemon_events_total", event="accepted"), 2)
        self.assertIn("fethd_port_info", {name for name, _ in got})
        # of each network what stats.get says, of every port
        with self.d.control() as c:
            for network in ("lab", "wan"):
                for row in c.items("stats.get", network=network):
                    for field, name in (("rx_frames", "received_frames"), ("tx_bytes", "sent_bytes")):
                        self.assertEqual(value(f"fethd_port_{name}_total", network=network, port=row["name"]), row[field])

    def test_one_network_by_its_own_socket(self):
        text = self.text("lab")
        strict(text)
        got = read_by_prometheus(text)
        self.assertEqual({dict(labels)["network"] for name, labels in got if "network" in dict(labels)}, {"lab"})
        p = self.d.ctl("metrics", "nosuch")
        self.assertEqual((p.returncode, p.stdout), (1, ""))
        self.assertIn("there is no network nosuch", p.stderr)
        self.assertEqual(self.d.ctl("metrics", "--json").returncode, 2)

    def test_many_ports(self):
        for i in range(600):  # over pages of 256
            self.d.call("port.add", network="wan", name=f"p{i}", kind="native")
        samples = strict(self.text())
        self.assertEqual(sum(s.startswith("fethd_port_attached{network=\"wan\"") for s in samples), 601)

    def test_no_daemon_is_told(self):
        p = subprocess.run([h.FETHCTL, "--run-dir", "/nonexistent", "metrics"], text=True, capture_output=True)
        self.assertEqual((p.returncode, p.stdout), (1, ""))


class Listen(Metrics):
    """What is tested once by a file is tested here by a socket."""

    test_no_daemon_is_told = test_many_ports = None

    def serve(self, where, *args):
        p = subprocess.Popen([h.FETHCTL, "--run-dir", self.d.run_dir, "metrics", *args, "--listen", where], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.d.env)
        self.addCleanup(self.end, p)
        name = p.stdout.readline().strip()
        self.assertTrue(name, p.stderr.read() if not name else "")
        m = re.fullmatch(r"http://(?:\[(::1)\]|(127\.[\d.]+)):(\d+)/metrics", name)
        self.address = (m[1] or m[2], int(m[3])) if m else name
        return p

    def end(self, p):
        """Ends a server in order, unless it was killed."""
        if p.poll() is None:
            p.send_signal(signal.SIGTERM)
        if p.returncode != -signal.SIGKILL:
            out, err = p.communicate(timeout=20)
            self.assertEqual((p.returncode, out, err), (0, "", ""))

    def connect(self):
        tcp = isinstance(self.address, tuple)
        s = socket.socket(socket.AF_UNIX if not tcp else socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET)
        s.connect(self.address)  # blocking, so that it waits where many are in line
        s.settimeout(15)
        self.addCleanup(s.close)
        return s

    def answer(self, s):
        """(status, headers, body) of all that comes until the end."""
        data = b""
        while True:
            more = s.recv(1 << 16)
            if not more:
                break
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        self.assertEqual(headers["Connection"], "close")
        return int(status.split()[1]), headers, body

    def get(self, request=b"GET /metrics HTTP/1.0\r\n\r\n"):
        s = self.connect()
        s.sendall(request)
        got = self.answer(s)
        s.close()
        return got

    def text(self, *args):
        self.serve(self.d.dir + "/metrics.sock", *args)
        status, headers, body = self.get()
        self.assertEqual((status, headers["Content-Type"]), (200, OPEN))
        self.assertEqual(int(headers["Content-Length"]), len(body))
        return body.decode()

    def test_one_network_by_its_own_socket(self):
        strict(self.text("lab"))

    def test_both_formats_and_both_doors(self):
        for where in (self.d.dir + "/m.sock", "127.0.0.1:0", "[::1]:0", "localhost:0"):
            with self.subTest(where):
                if "::1" in where and not os.path.exists("/proc/net/if_inet6"):
                    continue
                p = self.serve(where)
                status, headers, body = self.get(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertEqual((status, headers["Content-Type"]), (200, OPEN))
                strict(body.decode())
                status, headers, body = self.get(b"GET /metrics HTTP/1.0\r\nAccept: text/plain\r\n\r\n")
                self.assertEqual((status, headers["Content-Type"]), (200, TEXT))
                families = list(old_parser.text_string_to_metric_families(body.decode()))
                self.assertIn("fethd_port_received_bytes", {f.name for f in families})
                self.assertNotIn(b"# EOF", body)
                status, headers, empty = self.get(b"HEAD /metrics HTTP/1.0\r\n\r\n")
                self.assertEqual((status, empty), (200, b""))
                self.assertGreater(int(headers["Content-Length"]), 1000)
                for request, want in ((b"GET / HTTP/1.0\r\n\r\n", 404), (b"POST /metrics HTTP/1.0\r\n\r\nbody", 405),
                                      (b"GET /metrics HTTP/1.1\r\n\r\n", 400), (b"\x16\x03\x01\n\n", 400),
                                      (b"GET /metrics HTTP/2.0\r\n\r\n", 505)):
                    self.assertEqual(self.get(request)[0], want, request)
                rebound = self.get(b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n")[0]
                self.assertEqual(rebound, 200 if where.startswith("/") else 403)
                self.end(p)

    def test_addresses_that_are_none(self):
        taken = self.d.dir + "/taken"
        with open(taken, "w"):
            pass
        for where, words in (("0.0.0.0:0", "loopback"), ("10.0.0.1:9464", "loopback"), ("example.com:80", "loopback"),
                             ("127.0.0.1:99999", "loopback"), ("127.0.0.1:", "loopback"), ("/" + "x" * 200, "too long"),
                             ("", "empty"), (taken, "no socket"), ("/nonexistent/m", "No such file")):
            p = self.d.ctl("metrics", "--listen", where)
            self.assertEqual((p.returncode, p.stdout), (1, ""), where)
            self.assertIn(words, p.stderr)
        self.assertTrue(os.path.isfile(taken))

    def test_the_socket_is_ours_alone_and_goes_with_us(self):
        path = self.d.dir + "/m.sock"
        p = self.serve(path)
        self.assertTrue(stat.S_ISSOCK(os.lstat(path).st_mode))
        second = self.d.ctl("metrics", "--listen", path)
        self.assertEqual(second.returncode, 1)
        self.assertIn("somebody listens there already", second.stderr)
        self.assertEqual(self.get()[0], 200)
        self.end(p)
        self.assertFalse(os.path.lexists(path))
        # one that died leaves its socket, which is replaced
        p = self.serve(path)
        p.kill()
        p.communicate()
        self.assertTrue(os.path.lexists(path))
        p = subprocess.Popen([h.FETHCTL, "--run-dir", self.d.run_dir, "metrics", "--listen", path], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(p.stdout.readline().strip(), path)
        os.unlink(path)
        with open(path, "w"):  # somebody else's now
            pass
        self.end(p)
        self.assertTrue(os.path.isfile(path))

    def test_a_request_may_come_in_pieces(self):
        self.serve(self.d.dir + "/m.sock")
        s = self.connect()
        for byte in b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n":
            s.sendall(bytes([byte]))
        self.assertEqual(self.answer(s)[0], 200)

    def test_clients_that_are_no_good_harm_nobody(self):
        server = self.serve(self.d.dir + "/m.sock")
        silent = [self.connect() for _ in range(40)]  # never say anything
        half = [self.connect() for _ in range(40)]  # together more than there are places
        for s in half:
            s.sendall(b"GET /metrics HT")
        deaf = [self.connect() for _ in range(20)]  # ask, and never read
        for s in deaf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        gone = [self.connect() for _ in range(20)]
        for s in gone:
            s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            s.close()
        for _ in range(5):
            self.assertEqual(self.get()[0], 200)
        # the oldest who were owed nothing have made room
        self.assertTrue(any(select.select([s], [], [], 0)[0] for s in silent))

        endless = self.connect()
        endless.sendall(b"GET /metrics HTTP/1.0\r\n" + b"X: " + b"a" * 9000)
        self.assertEqual(self.answer(endless)[0], 431)
        target = self.connect()
        target.sendall(b"GET /" + b"a" * 9000)
        self.assertEqual(self.answer(target)[0], 414)
        never = self.connect()  # goes on sending behind its request
        never.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        with self.assertRaises((BrokenPipeError, ConnectionResetError, socket.timeout)):
            for _ in range(10000):
                never.sendall(b"x" * 1000)
        self.assertEqual(self.get()[0], 200)
        self.assertIsNone(server.poll())
        fds = len(os.listdir(f"/proc/{server.pid}/fd"))
        self.assertLessEqual(fds, 64 + 8)

    def test_slow_ones_are_closed_in_time(self):
        self.serve(self.d.dir + "/m.sock")
        silent, half = self.connect(), self.connect()
        half.sendall(b"GET")
        begin = time.monotonic()
        for s in (silent, half):
            s.settimeout(60)
            self.assertEqual(s.recv(1), b"")
        self.assertGreater(time.monotonic() - begin, 5)  # not at once: they had their time
        self.assertEqual(self.get()[0], 200)

    def test_many_ask_at_once(self):
        self.serve(self.d.dir + "/m.sock")
        all_ = [self.connect() for _ in range(50)]
        for s in all_:
            s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        for s in all_:
            status, _, body = self.answer(s)
            self.assertEqual(status, 200)
            strict(body.decode())

    def test_it_outlives_the_daemon(self):
        self.serve(self.d.dir + "/m.sock")
        self.assertEqual(self.get()[0], 200)
        self.d.kill()
        status, _, body = self.get()
        self.assertEqual(status, 503)
        self.assertIn(b"fethd does not answer", body)
        self.d.start()
        status, _, body = h.poll_until("it is back", lambda: (lambda g: g if g[0] == 200 else None)(self.get()))
        self.assertEqual(strict(body.decode())["fethd_networks"], 0)
        self.d.proc.send_signal(signal.SIGSTOP)
        try:
            self.assertEqual(self.get()[0], 503)
        finally:
            self.d.proc.send_signal(signal.SIGCONT)
        self.assertEqual(self.get()[0], 200)

    def test_nothing_is_answered_that_is_older_than_the_question(self):
        self.serve(self.d.dir + "/m.sock")
        f = h.frame(h.mac(2), h.mac(1), b"x" * 86)
        for i in range(20):
            self.a.send(f)
            self.b.recv()
            samples = strict(self.get()[2].decode())
            self.assertEqual(samples['fethd_port_received_frames_total{network="lab",port="a"}'], 5 + i)


if __name__ == "__main__":
    h.main()
