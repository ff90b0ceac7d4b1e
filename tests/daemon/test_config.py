"""test_config.py - network.apply, configuration files, reload, save."""
import os
import re
import signal
import stat
import struct
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

SETTINGS = ("backend", "unit", "host", "service", "mac", "mtu", "addresses", "up", "multicast", "querier",
            "too_big", "defaults", "owner", "group", "mode", "allow")


class Base(unittest.TestCase):
    def daemon(self, *args, **kw):
        d = h.Daemon(*args, **kw)
        self.addCleanup(d.__exit__, None, None, None)
        return d

    def write(self, d, name, text, mode=0o644):
        """A file of the configuration."""
        path = f"{d.conf_dir}/{name}"
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def net(self, d, name, text=""):
        return self.write(d, f"networks.d/{name}.conf", f"[network]\nbackend = {h.HOST_BACKEND}\n{text}")

    def refused(self, code, *words, call):
        with self.assertRaises(h.RpcError) as e:
            call()
        if code:
            self.assertEqual(e.exception.code, code, e.exception)
        for word in words:
            self.assertIn(word, e.exception.message)
        return e.exception.message

    def does_not_start(self, d):
        d.start(wait=False)
        self.assertEqual(d.proc.wait(20), 1)
        d.proc = None  # and that was right

    def settings(self, d, network="lab"):
        row = d.call("network.show", network=network)
        return {k: row.get(k) for k in SETTINGS}, [
            {k: v for k, v in p.items() if k != "port"} for p in d.clients(network)]


class Apply(Base):
    FULL = dict(network="lab", backend=h.HOST_BACKEND, mtu=1400, addresses=["10.0.0.1/24"], multicast="strict",
                querier=True, too_big=True, defaults={"isolated": True},
                ports=[dict(name="a", kind="qemu", mac="02:00:00:00:00:0a", locked=True),
                       dict(name="b", kind="native", isolated=False, cap=1000)])

    def test_makes_a_network(self):
        d = self.daemon()
        r = d.call("network.apply", **self.FULL)
        self.assertTrue(r["created"])
        self.assertEqual(r["changed"], [])
        self.assertEqual(r["ports"], dict(added=["a", "b"], changed=[], removed=[], more=False))
        self.assertEqual(r["network"], d.call("network.show", network="lab"))
        self.assertEqual((r["network"]["mtu"], r["network"]["multicast"]), (1400, "strict"))
        self.assertTrue(d.system.agrees(r["network"]))
        a, b = d.port("a"), d.port("b")
        self.assertEqual((a["kind"], a["mac"], a["locked"], a["isolated"]), ("qemu", "02:00:00:00:00:0a", True, True))
        self.assertEqual((b["kind"], b["isolated"], b["cap"]), ("native", False, 1000))
        for p in (a, b):
            self.assertTrue(stat.S_ISSOCK(os.stat(p["path"]).st_mode))
        h.Qemu(a["path"]).close()

    def test_twice_changes_nothing(self):
        d = self.daemon()
        d.call("network.apply", **self.FULL)
        with d.control() as c, d.attach("lab", name="b") as b:
            c.call("event.subscribe", events=["*"])
            before, kernel, log = self.settings(d), d.system.everything(), d.log
            r = d.call("network.apply", **self.FULL)
            self.assertFalse(r["created"])
            self.assertEqual(r["changed"], [])
            self.assertEqual(r["ports"], dict(added=[], changed=[], removed=[], more=False))
            self.assertEqual((self.settings(d), d.system.everything(), d.log), (before, kernel, log))
            c.call("daemon.show")
            self.assertEqual([n for n, _ in c.notes if n != "host.groups"], [])  # that is told at once
            b.call("hello")
            self.assertEqual(b.notes, [])

    def test_a_bridge_may_come_later(self):
        """(What comes of it: tests/netns/test_uplink.py.)"""
        d = self.daemon()
        with self.assertRaises(h.RpcError) as e:
            d.create(bridge="nosuchbridge0")
        self.assertEqual(e.exception.code, "invalid")
        apply = dict(network="lab", backend=h.HOST_BACKEND, bridge="nosuchbridge0")
        net = d.call("network.apply", **apply)["network"]
        self.assertEqual((net["bridge"], net["bridged"], net["carrier"]), ("nosuchbridge0", False, False))
        self.assertNotIn("bridge_mtu", net)
        self.assertEqual(d.call("network.apply", **apply)["changed"], [])
        self.assertEqual(d.call("network.apply", network="lab")["changed"], ["bridge"])
        self.assertTrue(d.call("network.show", network="lab")["carrier"])

    def test_what_is_missing_is_the_default(self):
        d = self.daemon()
        made = d.call("network.apply", **self.FULL)["network"]
        r = d.call("network.apply", network="lab")
        self.assertEqual(set(r["changed"]), {"mtu", "cap", "addresses", "multicast", "querier", "too_big",
                                             "defaults"})
        self.assertEqual(sorted(r["ports"]["removed"]), ["a", "b"])
        now = r["network"]
        self.assertEqual([now[k] for k in ("mtu", "addresses", "multicast", "querier", "too_big", "defaults")],
                         [1500, [], "snoop", False, False, {}])
        for kept in ("unit", "host", "mac", "backend", "path"):
            self.assertEqual(now[kept], made[kept])
        self.assertEqual(d.clients(), [])
        self.assertEqual(os.listdir(d.path("lab", "ports")), [])

    def test_a_client_keeps_what_it_asked_of_itself(self):
        """As far as it is no looser than what the port is declared with now, and until it goes."""
        d = self.daemon()
        port = dict(name="b", kind="native", cap=1200)
        d.call("network.apply", network="lab", backend="none", ports=[port])

        def now():
            p = d.port("b")
            return p["isolated"], p["cap"], p["storm"], p["rx_rate"]
        with d.attach("lab", name="b", isolated=True, cap=1000, rx_rate=5000):
            self.assertEqual(now(), (True, 1000, 10000, 5000))
            d.call("network.apply", network="lab", backend="none", ports=[dict(port, storm=50)])
            self.assertEqual(now(), (True, 1000, 50, 5000))
            d.call("network.apply", network="lab", backend="none", ports=[dict(port, cap=900, rx_rate=4000)])
            self.assertEqual(now(), (True, 900, 10000, 4000))
        h.poll_until("it has gone", lambda: d.port("b")["state"] == "waiting")
        self.assertEqual(now(), (False, 900, 10000, 4000))

    def test_ports_by_hand_and_clients_are_left(self):
        d = self.daemon()
        d.create("lab", backend=h.HOST_BACKEND)
        d.call("port.add", network="lab", name="hand", kind="qemu")
        with d.attach("lab", name="me") as me:
            d.call("network.apply", network="lab", mtu=1400, ports=[dict(name="a", kind="qemu")])
            r = d.call("network.apply", network="lab", mtu=1400)
            self.assertEqual(r["ports"]["removed"], ["a"])
            self.assertEqual({p["name"] for p in d.clients()}, {"hand", "me"})
            self.assertEqual(me.note("network.changed")["mtu"], 1400)
            # removed and declared by hand, it is nobody's but theirs
            d.call("network.apply", network="lab", mtu=1400, ports=[dict(name="x", kind="qemu")])
            d.call("port.remove", network="lab", name="x")
            d.call("port.add", network="lab", name="x", kind="qemu")
            self.assertEqual(d.call("network.apply", network="lab", mtu=1400)["ports"]["removed"], [])

    def test_clients_of_changed_ports_stay(self):
        d = self.daemon()
        ports = [dict(name="a", kind="native", mac="02:00:00:00:00:01", locked=True), dict(name="b", kind="native")]
        d.call("network.apply", network="lab", backend="none", ports=ports)
        with d.attach("lab", name="a") as a, d.attach("lab", name="b") as b:
            ports[0]["mac"] = "02:00:00:00:00:02"
            r = d.call("network.apply", network="lab", ports=ports)
            self.assertEqual((r["changed"], r["ports"]["changed"]), ([], ["a"]))
            a.send(h.frame(h.BROADCAST, h.mac(1), b"spoofed"))
            a.send(h.frame(h.BROADCAST, h.mac(2), b"good"))
            self.assertIn(b"good", b.recv())
        self.assertEqual(d.stats("a")["drops"]["spoofed"], 1)

    def test_who_may_use_it_is_declared_too(self):
        d = self.daemon()
        rules = dict(owner="0", group="0", mode="0600", allow=[dict(user="0", rights=["attach"])])
        d.call("network.apply", network="lab", backend="none", **rules)
        d.call("network.apply", network="two", backend="none", owner="0", mode="0600")
        self.assertEqual(stat.S_IMODE(os.stat(d.path("two", "feth.sock")).st_mode), 0o600)
        r = d.call("network.apply", network="lab")
        self.assertEqual(set(r["changed"]), set(rules))
        self.assertEqual((r["network"]["mode"], r["network"]["allow"]), ("0660", []))

    def test_sockets_of_removed_ports_are_gone(self):
        d = self.daemon()
        d.call("network.apply", network="lab", backend="none")
        with d.control() as c:
            c.call("hello")
            before = len(os.listdir(f"/proc/{d.proc.pid}/fd"))
            ports = [dict(name=f"p{i}", kind="qemu") for i in range(10)]
            c.call("network.apply", network="lab", ports=ports)
            self.assertEqual(len(os.listdir(d.path("lab", "ports"))), 10)
            ends = [h.Qemu(d.path("lab", "ports", f"p{i}")) for i in range(5)]
            h.poll_until("attached", lambda: sum(p["state"] == "attached" for p in d.clients()) == 5)
            c.call("network.apply", network="lab")
            for e in ends:
                self.assertTrue(e.closed())
                e.close()
            self.assertEqual(os.listdir(d.path("lab", "ports")), [])
            h.poll_until("no descriptor is left", lambda: len(os.listdir(f"/proc/{d.proc.pid}/fd")) == before)
            # the same names again, at once
            for _ in range(3):
                c.call("network.apply", network="lab", ports=ports)
                h.Qemu(d.path("lab", "ports", "p0")).close()
                kinds = [dict(name=f"p{i}", kind="native") for i in range(10)]
                c.call("network.apply", network="lab", ports=kinds, replace=True)
                h.Native(d.path("lab", "ports", "p0")).close()
                c.call("network.apply", network="lab", ports=ports, replace=True)
                c.call("network.apply", network="lab")

    def test_what_cannot_change_is_refused(self):
        d = self.daemon()
        made = d.call("network.apply", network="lab", backend=h.HOST_BACKEND)["network"]
        before, kernel = self.settings(d), d.system.everything()
        other = made["unit"] + 1 if made["unit"] < h.UNIT_BASE + 4999 else made["unit"] - 1
        self.refused("busy", "unit", "replace", call=lambda: d.call("network.apply", network="lab", unit=other))
        self.refused("busy", "backend", "replace",
                     call=lambda: d.call("network.apply", network="lab", backend="none"))
        self.assertEqual((self.settings(d), d.system.everything()), (before, kernel))
        self.assertEqual(d.call("network.apply", network="lab", unit=made["unit"])["changed"], [])
        with d.attach("lab") as c:
            r = d.call("network.apply", network="lab", unit=other, replace=True)
            self.assertTrue(r["created"])
            self.assertEqual(r["network"]["unit"], other)
            self.assertTrue(c.closed())
        self.assertEqual(d.system.left(), d.system.names(r["network"]))

    def test_all_or_nothing(self):
        """What can be known before is refused before anything is done."""
        d = self.daemon()
        d.call("network.apply", **self.FULL)
        d.call("network.apply", network="other", backend="none")
        before, kernel = self.settings(d), d.system.everything()
        with d.attach("lab", name="me", mac="02:00:00:00:00:77"):
            full = self.settings(d)
            for code, word, change in (
                    ("invalid", "mtu", dict(mtu=5)),
                    ("invalid", "mtu", dict(mtu=1000, addresses=["fd00::1/64"])),
                    ("invalid", "port a: it is declared twice", dict(ports=[dict(name="a", kind="qemu")] * 2)),
                    ("invalid", "port q: kind", dict(ports=[dict(name="q")])),
                    ("invalid", "ports: the one at 2: name", dict(ports=[dict(name="a", kind="qemu"), {}])),
                    ("invalid", "ports", dict(ports=[5])),
                    ("invalid", "ports", dict(ports={})),
                    ("invalid", "port c: mac: port b", dict(ports=[
                        dict(name=n, kind="qemu", mac="02:00:00:00:00:01") for n in "bc"])),
                    ("exists", "port c: mac", dict(ports=[dict(name="c", kind="qemu", mac="02:00:00:00:00:77")])),
                    ("busy", "port me", dict(ports=[dict(name="me", kind="native")])),
                    ("busy", "port a: its kind", dict(ports=[dict(name="a", kind="native")])),
                    ("not_found", "no-such-group", dict(group="no-such-group"))):
                self.refused(code, word, call=lambda: d.call("network.apply", network="lab", **{
                    "mtu": 1300, "multicast": "flood", **change}))
                self.assertEqual(self.settings(d), full, word)
        self.assertEqual((self.settings(d), d.system.everything()), (before, kernel))
        words = d.system.refuse("change-mtu")
        self.refused(None, *words, call=lambda: d.call("network.apply", network="lab", mtu=1300))
        d.system.allow()
        self.assertEqual((self.settings(d), d.system.everything()), (before, kernel))

    def test_an_address_that_a_name_gives(self):
        """A locked port's address is its own although nobody wrote it down."""
        d = self.daemon()
        a = dict(name="a", kind="native", locked=True)
        d.call("network.apply", network="lab", backend=h.HOST_BACKEND, ports=[a, dict(name="old", kind="native")])
        own, before = d.port("a")["mac"], self.settings(d)
        for b in (dict(mac=own), dict(macs=[own])):
            for first in (True, False):
                ports = [dict(name="b", kind="native", **b)]
                ports.insert(1 if first else 0, a)
                self.refused("exists", "port b: mac: that address belongs to a", call=lambda: d.call(
                    "network.apply", network="lab", mtu=1400, ports=ports))
                self.assertEqual(self.settings(d), before)
        # to one that gives it up, it may go
        r = d.call("network.apply", network="lab", ports=[dict(a, locked=False), dict(name="b", kind="native", mac=own)])
        self.assertEqual(r["ports"]["added"], ["b"])

    def test_a_new_network_whose_ports_cannot_be_is_none(self):
        d = self.daemon()
        host = d.call("network.apply", network="lab", backend=h.HOST_BACKEND)["network"]["mac"]
        d.call("network.delete", network="lab")
        self.refused("exists", "port a", call=lambda: d.call(
            "network.apply", network="lab", backend=h.HOST_BACKEND,
            ports=[dict(name="z", kind="qemu"), dict(name="a", kind="qemu", mac=host)]))
        self.assertEqual(d.call("network.list")["items"], [])
        self.assertEqual(d.system.left(), [])


class Files(Base):
    def test_a_start_with_networks(self):
        d = self.daemon(wait=None)
        self.write(d, "fethd.conf", "[daemon]\nlog-level = debug\nunit-base = 200\n")
        self.net(d, "lab", "mtu = 1400\naddress = 10.0.0.1/24\n[port a]\nkind = qemu\nlocked = yes\n")
        self.net(d, "two", f"unit = 4321\n")
        self.write(d, "networks.d/three.conf", "[network]\nbackend = none\n")
        self.write(d, "networks.d/three.conf~", "nonsense")
        self.write(d, "networks.d/.three.conf.swp", "nonsense")
        self.write(d, "networks.d/README", "nonsense")
        d.start()
        rows = {r["name"]: r for r in d.call("network.list")["items"]}
        self.assertEqual(sorted(rows), ["lab", "three", "two"])
        self.assertTrue(all(r["saved"] for r in rows.values()))
        self.assertEqual((rows["lab"]["mtu"], rows["lab"]["addresses"]), (1400, ["10.0.0.1/24"]))
        self.assertEqual(rows["two"]["unit"], 4321)
        self.assertTrue(300 <= rows["lab"]["unit"] <= 5199)
        self.assertTrue(d.port("a")["locked"])
        h.Qemu(d.path("lab", "ports", "a")).close()
        h.poll_until("debug lines", lambda: ": debug: " in d.log)

    def test_an_error_at_start_stops_it_before_anything_is_made(self):
        d = self.daemon(wait=None)
        self.net(d, "good")
        self.net(d, "lab", "mtu = 1400\ncolour = red\n")
        self.net(d, "zoo", "mtu = 5\n")
        self.does_not_start(d)
        self.assertRegex(d.log, r"\Afethd: error: daemon: networks.d/lab.conf:4: there is no key colour in "
                                r"\[network\]; [^\n]*\n\Z")
        self.assertFalse(os.path.exists(d.run_dir))
        self.assertEqual(d.system.left(), [])
        # one that only the daemon can find
        os.unlink(f"{d.conf_dir}/networks.d/lab.conf")
        self.does_not_start(d)
        self.assertIn("networks.d/zoo.conf:3: mtu: 5 is out of range", d.new_log)
        self.assertFalse(os.path.exists(d.run_dir))
        self.assertEqual(d.system.left(), [])

    def check(self, d, *args, prefix=()):
        p = subprocess.run([*prefix, h.FETHD, "--check-config", "--config", d.conf_dir, *args], text=True,
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=20, env=d.env)
        return p.returncode, p.stdout, p.stderr

    def test_check_config_says_all(self):
        d = self.daemon(wait=None)
        self.assertEqual(self.check(d), (0, "0 networks, all is well\n", ""))
        self.net(d, "lab", "address = 10.0.0.1/24\n")
        self.net(d, "two")
        self.assertEqual(self.check(d), (0, "2 networks, all is well\n", ""))
        self.net(d, "two", "mtu = x\ncolour = red\n[port a]\n")
        self.write(d, "networks.d/-bad.conf", "")
        self.write(d, "fethd.conf", "[daemon]\nlog-level = loud\n")
        code, out, err = self.check(d)
        self.assertEqual((code, out), (1, ""))
        at = d.conf_dir
        want = [f"{at}/fethd.conf:2: log-level: must be", f"{at}/networks.d/-bad.conf: a file is called",
                f"{at}/networks.d/two.conf:3: mtu: must be", f"{at}/networks.d/two.conf:4: there is no key colour"]
        lines = err.splitlines()
        self.assertEqual(len(lines), len(want), err)
        for line, start in zip(lines, want):
            self.assertTrue(line.startswith(start), line)
        self.assertFalse(os.path.exists(d.run_dir))
        self.assertEqual(d.system.left(), [])

    def test_what_files_say_together(self):
        d = self.daemon(wait=None)
        at = d.conf_dir
        self.net(d, "a", f"unit = {h.UNIT_BASE + 777}\n")
        self.net(d, "b", f"unit = {h.UNIT_BASE + 777}\n")
        self.net(d, "C")
        self.net(d, "c")
        self.net(d, "state")
        self.net(d, "v6", "mtu = 1200\naddress = fd00::1/64\n")
        self.write(d, "networks.d/n.conf", "[network]\nbackend = none\naddress = 10.0.0.1/24\n")
        self.net(d, "g", "group = no-such-group\n")
        code, _, err = self.check(d)
        self.assertEqual(code, 1)
        # two kinds: what a file says by itself comes first
        self.assertIn(f"{at}/networks.d/c.conf: there is networks.d/C.conf as well", err)
        self.assertIn("networks.d/state.conf", err)
        for name in ("c", "state"):
            os.unlink(f"{at}/networks.d/{name}.conf")
        code, _, err = self.check(d)
        self.assertEqual(code, 1)
        for want in (f"{at}/networks.d/b.conf:3: unit: {h.UNIT_BASE + 777} is the one of networks.d/a.conf",
                     f"{at}/networks.d/v6.conf:3: mtu: 1200 is under the 1280",
                     f"{at}/networks.d/n.conf:2: n: backend none has no host side",
                     f"{at}/networks.d/g.conf:"):
            self.assertIn(want, err)
        self.assertEqual(len(err.splitlines()), 4, err)

    @unittest.skipUnless(os.geteuid() == 0, "SKIPPED: only root can give files away")
    def test_files_that_others_could_write(self):
        d = self.daemon(wait=None)
        path = self.net(d, "lab")

        def refused(*words):
            code, _, err = self.check(d)
            self.assertEqual(code, 1)
            for word in words:
                self.assertIn(word, err)
            self.does_not_start(d)
            self.assertFalse(os.path.exists(d.run_dir))
        for mode in (0o664, 0o646):
            os.chmod(path, mode)
            refused("lab.conf is writable by others", "chmod go-w")
        os.chmod(path, 0o600)
        self.assertEqual(self.check(d)[0], 0)
        os.chown(path, 12345, 0)
        refused("lab.conf belongs to user 12345")
        os.chown(path, 0, 0)
        os.chmod(f"{d.conf_dir}/networks.d", 0o777)
        refused("networks.d is writable by others")
        os.chmod(f"{d.conf_dir}/networks.d", 0o755)
        os.chmod(d.conf_dir, 0o775)
        refused("is writable by others")
        os.chmod(d.conf_dir, 0o755)
        # a link, a directory, a FIFO
        os.rename(path, d.dir + "/moved")
        os.symlink(d.dir + "/moved", path)
        refused("lab.conf is a link")
        os.unlink(path)
        os.mkdir(path)
        refused("lab.conf is no file")
        os.rmdir(path)
        os.mkfifo(path)
        refused("lab.conf is no file")
        os.unlink(path)
        os.rename(d.dir + "/moved", path)
        os.rename(f"{d.conf_dir}/networks.d", d.dir + "/elsewhere")
        os.symlink(d.dir + "/elsewhere", f"{d.conf_dir}/networks.d")
        refused("networks.d")
        # the directory itself may be reached by a link
        os.unlink(f"{d.conf_dir}/networks.d")
        os.rename(d.dir + "/elsewhere", f"{d.conf_dir}/networks.d")
        os.rename(d.conf_dir, d.dir + "/real")
        os.symlink(d.dir + "/real", d.conf_dir)
        self.assertEqual(self.check(d), (0, "1 networks, all is well\n", ""))

    @unittest.skipUnless(os.geteuid() == 0, "SKIPPED: only root can be somebody else")
    def test_check_config_needs_no_privilege(self):
        d = self.daemon(wait=None)
        self.write(d, "networks.d/lab.conf", "[network]\naddress = 10.0.0.1/24\n")
        os.chmod(d.conf_dir, 0o755)
        os.chmod(f"{d.conf_dir}/networks.d", 0o755)
        binary = d.dir + "/fethd"
        subprocess.run(["cp", h.FETHD, binary], check=True)
        os.chmod(binary, 0o755)
        p = subprocess.run([*h.become(12345), binary, "--check-config", "--config", d.conf_dir, "--run-dir", "/x"],
                           capture_output=True, text=True, timeout=20)
        self.assertEqual((p.returncode, p.stdout), (0, "1 networks, all is well\n"), p.stderr)

    def test_options_go_over_fethd_conf(self):
        d = self.daemon("--log-level", "error", wait=None)
        self.write(d, "fethd.conf", "[daemon]\nlog-level = debug\n")
        d.start(wait=False)
        h.poll_until("it serves", lambda: os.path.exists(d.path("control.sock")))
        d.create("lab")
        self.assertEqual(d.stop(), 0)
        self.assertEqual(d.log, "")

    def test_what_the_system_refuses_at_start_is_tried_again(self):
        d = self.daemon(wait=None)
        self.write(d, "networks.d/good.conf", "[network]\nbackend = none\n")
        self.net(d, "lab", "address = 10.0.0.1/24\n")
        words = d.system.refuse("make")
        d.start()
        self.assertEqual([r["name"] for r in d.call("network.list")["items"]], ["good"])
        self.assertRegex(d.new_log, r"error: config: networks.d/lab.conf cannot be applied, trying again [^\n]*" + words[1])
        d.system.allow()
        h.poll_until("it is made", lambda: len(d.call("network.list")["items"]) == 2, 20)
        self.assertEqual(d.call("network.show", network="lab")["addresses"], ["10.0.0.1/24"])
        self.assertEqual(d.new_log.count("cannot be applied"), 1)


    @unittest.skipIf(h.DARWIN, "tools of its own")
    def test_a_program_that_is_not_there_is_no_error_of_a_file(self):
        d = self.daemon(wait=None, env={"FETHD_TOOLS": "/nowhere"})
        self.net(d, "good")
        self.net(d, "lab", "address = 10.0.0.1/24\ndhcp = yes\n")
        self.assertEqual(self.check(d), (0, "2 networks, all is well\n", ""))
        d.start()
        self.assertEqual([r["name"] for r in d.call("network.list")["items"]], ["good"])
        self.assertRegex(d.new_log, "lab.conf cannot be applied, trying again [^\n]* no dnsmasq here")
        failed = d.call("daemon.reload")["failed"]
        self.assertEqual([f["network"] for f in failed], ["lab"])
        # what is wrong in the file is found all the same
        self.net(d, "lab", "dhcp = yes\n")
        self.refused("invalid", "networks.d/lab.conf:3: dhcp: ", call=lambda: d.call("daemon.reload"))


class Reload(Base):
    def three(self, d):
        for i, name in enumerate(("a", "b", "c")):
            self.net(d, name, f"address = 10.0.{i}.1/24\n[port p]\nkind = native\n")

    def test_the_difference_is_applied(self):
        d = self.daemon(wait=None)
        self.three(d)
        d.start()
        d.create("hand", backend=h.HOST_BACKEND)
        units = {r["name"]: r["unit"] for r in d.call("network.list")["items"]}
        self.net(d, "b", "mtu = 1300\naddress = 10.0.1.1/24\n[port q]\nkind = native\n")
        self.net(d, "new")
        self.net(d, "c", "# only a remark\naddress = 10.0.2.1/24\n\n[port p]\n  kind=native ; as before\n")
        r = d.call("daemon.reload")
        self.assertEqual(r, dict(created=["new"], changed=["b"], removed=[], unchanged=["a", "c"], failed=[],
                                 restart=[]))
        b = d.call("network.show", network="b")
        self.assertEqual((b["mtu"], b["unit"]), (1300, units["b"]))
        self.assertEqual([p["name"] for p in d.clients("b")], ["q"])
        os.unlink(f"{d.conf_dir}/networks.d/a.conf")
        os.unlink(f"{d.conf_dir}/networks.d/new.conf")
        p = d.ctl("--json", "reload", check=True)
        self.assertIn('"removed":["a","new"]', p.stdout.replace(" ", "").replace("\n", ""))
        self.assertEqual([r["name"] for r in d.call("network.list")["items"]], ["b", "c", "hand"])
        # what was changed by hand stays as long as the file does
        d.call("network.set", network="c", mtu=1200)
        self.assertEqual(d.call("daemon.reload")["unchanged"], ["b", "c"])
        self.assertEqual(d.call("network.show", network="c")["mtu"], 1200)

    def test_by_signal(self):
        d = self.daemon(wait=None)
        self.three(d)
        d.start()
        self.net(d, "b", "mtu = 1300\n")
        d.proc.send_signal(signal.SIGHUP)
        h.poll_until("reloaded", lambda: d.call("network.show", network="b")["mtu"] == 1300)
        self.net(d, "b", "mtu = 13\n")
        d.proc.send_signal(signal.SIGHUP)
        h.poll_until("refused", lambda: "not reloaded, all is as it was: networks.d/b.conf:3: mtu: 13" in d.log)
        self.assertEqual(d.call("network.show", network="b")["mtu"], 1300)

    def test_a_signal_during_a_reload_is_not_lost(self):
        d = self.daemon()
        with d.control() as c:
            for _ in range(10):
                for i in range(20):
                    self.net(d, f"n{i}")
                c.call("daemon.reload")
                for i in range(20):
                    os.unlink(f"{d.conf_dir}/networks.d/n{i}.conf")
                before = d.log.count("reloaded networks=")
                call = c.request("daemon.reload")
                d.proc.send_signal(signal.SIGHUP)
                want = 2
                try:
                    c.reply(call)
                except h.RpcError as e:  # the signal came first
                    self.assertEqual(e.code, "busy")
                    want = 1
                h.poll_until("both are done", lambda: d.log.count("reloaded networks=") == before + want)

    def test_what_no_file_made_is_not_removed_with_it(self):
        d = self.daemon()
        d.create("lab", backend="none")
        with d.attach("lab", name="me") as me:
            self.net(d, "lab")
            failed = d.call("daemon.reload")["failed"]
            self.assertIn("backend: lab has another", failed[0]["message"])
            os.unlink(f"{d.conf_dir}/networks.d/lab.conf")
            self.assertEqual(d.call("daemon.reload")["removed"], [])
            me.call("hello")
        # one that a file has changed is the file's
        self.write(d, "networks.d/lab.conf", "[network]\nmtu = 1300\n")
        self.assertEqual(d.call("daemon.reload")["changed"], ["lab"])
        os.unlink(f"{d.conf_dir}/networks.d/lab.conf")
        self.assertEqual(d.call("daemon.reload")["removed"], ["lab"])

    def test_an_error_leaves_all_as_it_was(self):
        d = self.daemon(wait=None)
        self.three(d)
        d.start()
        before = [self.settings(d, n) for n in "abc"], d.system.everything()
        self.net(d, "a", "mtu = 1300\n")
        os.unlink(f"{d.conf_dir}/networks.d/c.conf")
        for name, text, words in (
                ("networks.d/b.conf", "[network]\nmtu = 1300\nnonsense\n", "networks.d/b.conf:3: this is neither"),
                ("networks.d/b.conf", "[network]\nmtu = 5\ncap = 1\nx = 2\n", "(and 1 more"),
                ("networks.d/b.conf", "[network]\nbackend = veth5\n", "networks.d/b.conf:2: backend: "),
                ("networks.d/b.conf", "", "networks.d/b.conf:1: there is no section [network]"),
                ("networks.d/b.conf", "[network]\n" + "\n" * 65536, "networks.d/b.conf: the file has more than the 65536"),
                ("networks.d/b.conf", "[network]\n[port x]\nkind = qemu\nmac = 02:00:00:00:00:01\n[port y]\n"
                 "kind = qemu\nmac = 02:00:00:00:00:01\n", "networks.d/b.conf:7: "),
                ("fethd.conf", "[daemon]\nwhat = 1\n", "fethd.conf:2: there is no key what")):
            path = self.write(d, name, text)
            message = self.refused("invalid", words, call=lambda: d.call("daemon.reload"))
            p = d.ctl("reload")
            self.assertEqual((p.returncode, p.stdout), (1, ""))
            self.assertIn(message, p.stderr)
            self.assertEqual(([self.settings(d, n) for n in "abc"], d.system.everything()), before, words)
            os.unlink(path)
        self.net(d, "b", "address = 10.0.1.1/24\n[port p]\nkind = native\n")
        r = d.call("daemon.reload")
        self.assertEqual((r["changed"], r["removed"], r["unchanged"]), (["a"], ["c"], ["b"]))

    def test_not_a_frame_is_lost_on_networks_that_did_not_change(self):
        d = self.daemon(wait=None)
        self.three(d)
        d.start()
        pairs = [h.Pair(d, "a"), h.Pair(d, "c")]
        for p in pairs:
            self.addCleanup(p.close)
        count = [0]
        stop = threading.Event()
        failed = []

        def talk():
            try:
                while not stop.is_set():
                    for p in pairs:
                        p.check(frames=8)
                    count[0] += 1
            except BaseException as e:
                failed.append(e)
        thread = threading.Thread(target=talk)
        thread.start()
        try:
            with d.attach("b") as b, d.native("a") as other:
                other.call("event.subscribe", events=["*"])
                for i in range(20):
                    seen = count[0]
                    self.net(d, "b", f"mtu = {1300 + i}\naddress = 10.0.1.{i + 1}/24\n[port p{i}]\nkind = qemu\n")
                    r = d.call("daemon.reload")
                    self.assertEqual((r["changed"], r["unchanged"], r["failed"]), (["b"], ["a", "c"], []))
                    h.poll_until("frames passed", lambda: count[0] > seen or failed)
                self.assertEqual(b.note("network.changed")["mtu"], 1300)
                b.call("hello")
                other.call("hello")
                self.assertEqual([n for n, _ in other.notes if n != "host.groups"], [])
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failed, [])
        self.assertEqual([p["name"] for p in d.clients("b") if p["state"] == "waiting"], ["p19"])

    def test_what_only_replace_can_change(self):
        d = self.daemon(wait=None)
        self.three(d)
        d.start()
        unit = d.call("network.show", network="a")["unit"]
        other = unit + 1 if unit < h.UNIT_BASE + 4000 else unit - 1
        self.net(d, "a", f"unit = {other}\n")
        self.net(d, "b", "mtu = 1300\n")
        r = d.call("daemon.reload")
        self.assertEqual((r["changed"], [f["network"] for f in r["failed"]]), (["b"], ["a"]))
        self.assertIn("replace", r["failed"][0]["message"])
        self.assertEqual(d.call("network.show", network="a")["unit"], unit)
        p = d.ctl("reload")
        self.assertEqual(p.returncode, 1)
        self.assertIn("cannot apply the configuration of a: unit: ", p.stderr)
        d.ctl("reload", "--replace", check=True)
        self.assertEqual(d.call("network.show", network="a")["unit"], other)
        self.assertEqual(d.call("daemon.reload")["unchanged"], ["a", "b", "c"])

    def test_fethd_conf(self):
        d = self.daemon(wait=None)
        self.write(d, "fethd.conf", "[daemon]\nlog-level = info\n")
        d.start()
        self.write(d, "fethd.conf", "[daemon]\nlog-level = debug\nunit-base = 7\nadmin-group = root\n")
        self.assertEqual(d.call("daemon.reload")["restart"], ["admin-group", "unit-base"])
        with d.create("lab") and d.attach() as c:
            c.call("hello", client="x")
        h.poll_until("debug lines", lambda: ": debug: " in d.log)

    def test_without_a_configuration(self):
        d = self.daemon()
        d.create("lab")
        self.assertEqual(d.call("daemon.reload"), dict(created=[], changed=[], removed=[], unchanged=[], failed=[],
                                                       restart=[]))
        self.assertEqual([r["name"] for r in d.call("network.list")["items"]], ["lab"])


class Save(Base):
    def everything(self, d):
        return {n: self.settings(d, n) for n in sorted(r["name"] for r in d.call("network.list")["items"])}

    def make(self, d):
        d.ctl("create", "lab", "--backend", h.HOST_BACKEND, "--mtu", "1400", "--address", "10.0.0.1/24",
              "--address", "fd00::1/64", "--mac", "02:11:22:33:44:55", "--multicast", "strict", "--querier", "on", "--too-big", "on",
              "--default", "isolated=on", "--unit", str(h.UNIT_BASE + 1234), "--down", "--save", check=True)
        d.create("two", backend=h.HOST_BACKEND, save=True)
        d.call("port.add", network="two", name="a", kind="qemu", mac="02:00:00:00:00:0a", locked=True, cap=900)
        d.call("port.add", network="two", name="b", kind="native", isolated=True, up=False)
        self.assertTrue(d.call("network.set", network="two", save=True)["saved"])
        d.create("three", backend="none", save=True)

    def test_a_restart_brings_back_the_same(self):
        d = self.daemon()
        self.make(d)
        d.create("not-kept", backend="none")
        d.call("network.delete", network="not-kept")
        before = self.everything(d)
        self.assertEqual(sorted(before), ["lab", "three", "two"])
        for f in os.listdir(f"{d.conf_dir}/networks.d"):
            st = os.stat(f"{d.conf_dir}/networks.d/{f}")
            self.assertEqual((stat.S_IMODE(st.st_mode), st.st_uid), (0o644, os.geteuid()))
        self.assertEqual(sorted(os.listdir(f"{d.conf_dir}/networks.d")), ["lab.conf", "three.conf", "two.conf"])
        self.assertEqual(d.stop(), 0)
        self.assertEqual(d.system.left(), [])
        d.start()
        self.assertEqual(self.everything(d), before)
        d.kill()
        d.start()
        self.assertEqual(self.everything(d), before)
        self.assertEqual(d.call("daemon.reload")["unchanged"], ["lab", "three", "two"])

    def test_a_file_that_was_saved_is_no_change(self):
        d = self.daemon()
        self.make(d)
        self.assertEqual(d.call("daemon.reload")["unchanged"], ["lab", "three", "two"])
        # its ports are the file's now
        text = h.text_of(f"{d.conf_dir}/networks.d/two.conf")
        head, _, tail = text.partition("[port b]")
        self.write(d, "networks.d/two.conf", head)
        self.assertEqual(d.call("daemon.reload")["changed"], ["two"])
        self.assertEqual([p["name"] for p in d.clients("two")], ["a"])

    def test_a_default_that_came_later(self):
        """The ports that were there have it not, nor after a restart."""
        d = self.daemon()
        d.create("lab", backend=h.HOST_BACKEND)
        d.call("port.add", network="lab", name="a", kind="native")
        self.assertTrue(d.call("network.set", network="lab", save=True,
                               defaults={"cap": 1000, "isolated": True, "vlan": 7, "storm": 1})["saved"])
        before = self.settings(d)
        self.assertEqual(before[1][0]["cap"], 1518)
        d.stop()
        d.start()
        self.assertEqual(self.settings(d), before)

    def test_delete(self):
        d = self.daemon()
        self.make(d)
        p = d.ctl("delete", "lab", check=True)
        self.assertIn("comes back at the next start", p.stderr)
        self.assertEqual(d.call("network.delete", network="two"), dict(saved=True))
        self.assertTrue(os.path.exists(f"{d.conf_dir}/networks.d/lab.conf"))
        self.assertEqual(d.call("daemon.reload")["created"], ["lab", "two"])
        p = d.ctl("delete", "lab", "--save", check=True)
        self.assertEqual(p.stderr, "")
        self.assertFalse(os.path.exists(f"{d.conf_dir}/networks.d/lab.conf"))
        self.assertEqual(d.call("daemon.reload")["created"], [])
        d.create("x")
        self.assertEqual(d.call("network.delete", network="x"), dict(saved=False))
        # a network that is not there has a file, too
        d.call("network.delete", network="two")
        self.assertEqual(d.call("network.delete", network="two", save=True), dict(saved=False))
        self.refused("not_found", "two", call=lambda: d.call("network.delete", network="two", save=True))
        self.assertEqual(os.listdir(f"{d.conf_dir}/networks.d"), ["three.conf"])

    def test_apply_may_save(self):
        d = self.daemon()
        r = d.call("network.apply", network="lab", backend="none", mtu=1400, save=True,
                   ports=[dict(name="a", kind="qemu")])
        self.assertTrue(r["network"]["saved"])
        self.assertEqual(re.sub(r"#.*\n", "", h.text_of(f"{d.conf_dir}/networks.d/lab.conf")),
                         "[network]\nbackend = none\nmtu = 1400\n\n[port a]\nkind = qemu\n")

    def test_what_cannot_be_saved_is_said(self):
        d = self.daemon(wait=None)
        with open(d.conf_dir, "w"):
            pass  # a file where the directory should be
        self.does_not_start(d)
        os.unlink(d.conf_dir)
        d.start()
        os.mkdir(d.conf_dir, 0o755)
        os.mkdir(f"{d.conf_dir}/networks.d", 0o755)
        os.mkdir(f"{d.conf_dir}/networks.d/lab.conf", 0o755)
        self.refused("system", "lab is as you asked, but was not saved", "lab.conf",
                     call=lambda: d.create("lab", save=True))
        self.assertFalse(d.call("network.show", network="lab")["saved"])
        self.assertEqual(os.listdir(f"{d.conf_dir}/networks.d"), ["lab.conf"])
        os.rmdir(f"{d.conf_dir}/networks.d/lab.conf")
        self.assertTrue(d.call("network.set", network="lab", save=True)["saved"])
        # a network that was refused has no file
        self.refused("exists", "lab", call=lambda: d.create("lab", save=True))
        self.refused("invalid", "mtu", call=lambda: d.create("x", mtu=1, save=True))
        self.assertEqual(os.listdir(f"{d.conf_dir}/networks.d"), ["lab.conf"])

    def test_what_a_crash_left_of_a_file_is_not_read(self):
        d = self.daemon()
        d.create("lab", save=True)
        self.write(d, "networks.d/lab.conf.new", "[netw")
        self.assertEqual(d.call("daemon.reload")["unchanged"], ["lab"])
        self.assertTrue(d.call("network.set", network="lab", mtu=1300, save=True)["saved"])
        self.assertEqual(os.listdir(f"{d.conf_dir}/networks.d"), ["lab.conf"])


if __name__ == "__main__":
    h.main()
