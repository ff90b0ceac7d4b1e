"""test_rpc.py - every method with every field, what wrong params get, lists by pages, names, limits.

A call that is refused has changed nothing: each is followed by a look at all there is.
"""
import os
import re
import sys
import unittest

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")


def pairs_map(pairs):
    """A map packed from pairs, so that a key may stand there twice."""
    out = bytes([0x80 + len(pairs)])
    for key, value in pairs:
        out += msgpack.packb(key) + msgpack.packb(value)
    return out


class Rpc(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon(prefix=h.ISOLATED)  # should one of these make a real interface
        self.addCleanup(self.d.__exit__, None, None, None)
        self.c = self.d.control()
        self.addCleanup(self.c.close)

    def everything(self):
        """All that a refused call must not change."""
        names = [n["name"] for n in self.c.items("network.list")]
        files = sorted(os.path.join(at, f) for at, dirs, fs in os.walk(self.d.dir)
                       for f in fs + dirs if not f == "log")
        out = [files, self.d.system.everything()]
        for n in names:
            fdb = self.c.items("fdb.list", network=n)
            for row in fdb:
                row.pop("age", None)
            # the host answers the query of its own attaching when it likes
            groups = [(g["group"], g["port"], [w for w in g["how"] if w != "snooped"])
                      for g in self.c.items("group.list", network=n)]
            out += [self.c.call("network.show", network=n), self.c.items("port.list", network=n), fdb,
                    groups]
        return out

    def refused(self, code, words, method, via=None, raw=None, **params):
        """The call fails with this code and a sentence with these words, and nothing changed."""
        before = self.everything()
        c = via or self.c
        what = f"{method} {raw or params}"[:300]
        with self.assertRaises(h.RpcError, msg=what) as e:
            if raw is None:
                c.call(method, **params)
            else:
                c.send_raw(b"\x94\x00\xcd\x77\x77" + msgpack.packb(method) + b"\x91" + raw)
                c.reply(0x7777)
        self.assertEqual(e.exception.code, code, f"{what}: {e.exception}")
        for word in words if isinstance(words, tuple) else (words,):
            self.assertIn(word, e.exception.message, what)
        self.assertRegex(e.exception.message, r"\A[^\n]{8,400}\Z", what)
        self.assertEqual(self.everything(), before, what)


class Fields(Rpc):
    """Results have the fields of docs/protocol.md, of the types it says, and no others."""

    NETWORK = dict(name=str, id=str, backend=str, mtu=int, mtu_min=int, mtu_max=int, cap=int,
                   multicast=str, querier=bool, too_big=bool, defaults=dict, ports=int, mode=str,
                   allow=list, path=str, saved=bool)
    HOST = dict(unit=int, host=str, service=str, mac=str, addresses=list, up=bool, carrier=bool, dhcp=bool, nat=bool,
                bridge=bool, bridged=bool)
    RULES = dict(isolated=bool, up=bool, queue=int, rx_rate=int, tx_rate=int, storm=int, loop_guard=bool, raw_offload=bool)
    PORT = dict(port=int, name=str, kind=str, state=str, mac=str, locked=bool, cap=int)
    COUNTS = dict(rx_frames=int, rx_bytes=int, tx_frames=int, tx_bytes=int, drops=dict)

    def shape(self, value, fields):
        self.assertEqual({k: type(v) for k, v in value.items()}, fields)
        if "mac" in fields:
            self.assertRegex(value["mac"], MAC)
        if "id" in fields:
            self.assertRegex(value["id"], r"\A[0-9a-f]{16}\Z")
        return value

    def test_hello(self):
        hello = dict(version=int, server=str, limits=dict, features=list)
        r = self.shape(self.c.call("hello"), hello)
        self.assertEqual((r["version"], r["features"]), (1, ["shm", "offload"]))
        self.assertEqual(r["limits"], {"frame": 65553, "rpc": 65536, "calls": 64})
        self.d.create("lab")
        with self.d.native() as c:
            for version in (1, 2, 200, 1 << 40, (1 << 64) - 1):
                r = self.shape(c.call("hello", version=version, client="x" * 64),
                               dict(hello, network=str))
                self.assertEqual((r["version"], r["network"]), (1, "lab"))
            self.refused("unsupported", "1", "hello", via=c, version=0)
            c.call("hello", client=None, version=None, unknown=b"\xff")
            c.call("hello", client='"\n\\x1b[31m\x7f')

    def test_networks(self):
        r = self.shape(self.d.create("lab", backend="none"), self.NETWORK)
        self.assertEqual(r, {
            "name": "lab", "id": r["id"], "backend": "none", "mtu": 1500, "mtu_min": 68,
            "mtu_max": 65521, "cap": 1518, "multicast": "snoop", "querier": False, "too_big": False, "defaults": {},
            "ports": 0,
            "mode": "0660", "allow": [], "path": self.d.path("lab"), "saved": False})
        self.assertEqual(self.c.call("network.show", network="lab"), r)
        mine, unit = str(os.getgid()), h.UNIT_BASE + 4321
        addresses = ["10.0.0.1/24", "192.168.0.7/32", "2001:db8::1/64", "fe80::5/64"]
        r = self.shape(self.c.call(
            "network.create", network="fk", backend=h.HOST_BACKEND, mtu=9000,
            mac="02:00:00:00:00:07", addresses=addresses, up=False, group=mine, unit=unit),
            dict(self.NETWORK, **self.HOST, group=str))
        self.assertEqual(r, dict(r, backend=h.HOST_BACKEND, mtu=9000, mac="02:00:00:00:00:07",
                                 unit=unit, addresses=addresses, up=False, group=mine,
                                 host=f"feth{unit}", service=f"feth{unit + 5000}"))
        self.assertEqual((r["mtu_min"], r["mtu_max"]), (h.MTU_MIN, h.MTU_MAX))
        self.assertTrue(self.d.system.agrees(r))
        with self.d.attach("fk") as a, self.d.qemu("fk"):
            h.poll_until("two ports", lambda: a.call("network.show")["ports"] == 2)
            self.assertEqual(a.call("network.show"), dict(r, ports=2))
        h.poll_until("they left", lambda: self.c.call("network.show", network="fk") == r)
        page = self.shape(self.c.call("network.list"), dict(items=list, next=type(None)))
        self.assertEqual([n["name"] for n in page["items"]], ["fk", "lab"])
        self.assertEqual(page["items"][0], r)
        r = self.c.call("network.set", network="fk", mtu=1280, up=True, mac="02-00-00-00-00-0A")
        self.assertEqual((r["mtu"], r["up"], r["mac"]), (1280, True, "02:00:00:00:00:0a"))
        self.assertEqual(self.c.call("network.show", network="fk"), r)
        self.assertTrue(self.d.system.agrees(r))
        r = self.c.call("network.set", network="fk", addresses=[])
        self.assertEqual(r["addresses"], [])
        self.assertEqual(self.c.call("network.set", network="fk"), r)
        # nil is not given, unknown fields are ignored
        self.assertEqual(self.c.call("network.set", network="fk", mtu=None, addresses=None,
                                     colour="red"), r)
        self.assertEqual(self.c.call("network.delete", network="fk"), {"saved": False})
        self.refused("not_found", "fk", "network.delete", network="fk")
        self.assertEqual(self.d.system.left(), [])
        self.assertEqual(sorted(os.listdir(self.d.run_dir)), ["control.sock", "lab", "state"])

    def test_defaults_and_identity(self):
        r = self.c.call("network.create", network="8056c2e21c000001", backend=h.HOST_BACKEND)
        self.assertEqual((r["id"], r["unit"]), ("8056c2e21c000001", h.UNIT_BASE + 3533))
        self.assertEqual((r["up"], r["addresses"], r["mtu"]), (True, [], 1500))
        self.assertEqual(r["mac"][:2], "02")
        self.assertTrue(self.d.system.agrees(r))
        if not h.DARWIN:  # where interfaces have tags
            self.assertIn(f"tag=fethd:{self.d.run_dir}:8056c2e21c000001\n", self.d.system.state(r))
        again = self.c.call("network.create", network="lab", backend=h.HOST_BACKEND)
        self.c.call("network.delete", network="lab")
        self.assertEqual(self.c.call("network.create", network="lab", backend=h.HOST_BACKEND), again)

    def test_ports(self):
        self.d.create("lab", backend="none")
        self.d.create("fk", backend=h.HOST_BACKEND)
        attach = dict(port=int, name=str, network=str, mtu=int, mac=str, cap=int, features=list)
        with self.d.native() as a:
            r = self.shape(a.call("attach", mac="02:00:00:00:00:01"), attach)
            q = self.d.qemu()
            self.addCleanup(q.close)
            self.assertEqual(r, dict(r, port=1, name="native-1", network="lab", mtu=1500, cap=1518,
                                     mac="02:00:00:00:00:01", features=[]))
            h.poll_until("two ports", lambda: a.call("network.show")["ports"] == 2)
            rows = a.items("port.list")
            for row in rows:
                self.shape(row, dict(self.PORT, **self.RULES, uid=int, pid=int))
                self.assertEqual((row["uid"], row["pid"]), (os.getuid(), os.getpid()))
                self.assertEqual((row["state"], row["locked"], row["cap"]), ("attached", False, 1518))
            self.assertEqual([(p["port"], p["name"], p["kind"]) for p in rows],
                             [(1, "native-1", "native"), (2, "qemu-1", "qemu")])
            self.assertEqual(a.call("detach"), {})
            r = self.shape(a.call("attach", name="Zwei", locked=True), attach)
            self.assertEqual(r["name"], "Zwei")
            self.assertEqual(self.d.port("Zwei")["locked"], True)
        for kind in ("native", "qemu"):
            r = self.shape(self.c.call("port.add", network="lab", name=f"d-{kind}", kind=kind,
                                       locked=True), dict(self.PORT, **self.RULES, path=str))
            self.assertEqual((r["state"], r["path"]), ("waiting", self.d.path("lab/ports", r["name"])))
            self.assertEqual(self.d.port(r["name"]), r)
        opened = dict(fds=int, port=int, name=str, kind=str, network=str, mtu=int, mac=str, cap=int)
        r = self.shape(self.c.call("port.open", network="lab"), opened)
        self.assertEqual((r["fds"], r["kind"], r["network"]), (1, "qemu", "lab"))
        self.assertEqual(self.c.call("port.remove", network="lab", name="d-qemu"), {})
        self.refused("not_found", "d-qemu", "port.remove", network="lab", name="d-qemu")
        host = self.shape(self.d.ports("fk")[0], dict(self.PORT, rx_rate=int, tx_rate=int, storm=int, loop_guard=bool))
        self.assertEqual((host["port"], host["name"], host["kind"], host["state"]),
                         (0, "host", "host", "attached"))

    def test_fdb_and_stats(self):
        r = self.d.create("fk", backend=h.HOST_BACKEND)
        with self.d.attach("fk", name="a") as a, self.d.attach("fk", name="b", locked=True) as b:
            f = h.frame(h.BROADCAST, h.mac(1), b"x" * 86)
            a.send(f)
            b.recv()
            b.send(f)  # spoofed
            h.taken(b)
            entry = dict(mac=str, port=int, name=str, static=bool)
            rows = {x["mac"]: x for x in a.items("fdb.list")}
            self.assertEqual(set(rows), {r["mac"], b.info["mac"], "02:00:00:00:00:01"})
            learned = self.shape(rows["02:00:00:00:00:01"], dict(entry, age=int))
            self.assertEqual((learned["port"], learned["name"], learned["static"]), (1, "a", False))
            self.assertLess(learned["age"], 10000)
            self.shape(rows[r["mac"]], entry)
            self.assertEqual((rows[r["mac"]]["port"], rows[r["mac"]]["name"]), (0, "host"))
            self.assertEqual(rows[r["mac"]]["static"], True)
            self.assertEqual(rows[b.info["mac"]]["port"], 2)
            page = self.shape(b.call("stats.get"), dict(items=list, next=type(None), network=dict))
            for row in page["items"]:
                self.shape(row, dict(self.COUNTS, port=int, name=str, queued_bytes=int,
                                     **({"age": int} if row["port"] else {})))
            self.shape(page["network"], dict(self.COUNTS, moves=int, multicast=dict, too_big=dict, addresses=dict, groups=int,
                                             queue_memory=int))
            self.assertEqual(page["network"].pop("addresses"), {"learned": 1, "static": 2})
            self.assertLess(page["items"][1]["age"], 20000)
            for key in ("groups", "queue_memory"):
                page["network"].pop(key)
            self.assertEqual([x["name"] for x in page["items"]], ["host", "a", "b"])
            host, pa, pb = page["items"]
            self.assertEqual((host["tx_frames"], host["tx_bytes"], host["rx_frames"]), (1, 100, 0))
            self.assertEqual((pa["rx_frames"], pa["rx_bytes"], pa["tx_frames"]), (1, 100, 0))
            self.assertEqual((pb["rx_frames"], pb["tx_bytes"], pb["drops"]), (1, 100, {"spoofed": 1}))
            self.assertEqual(page["network"], {"rx_frames": 2, "rx_bytes": 200, "tx_frames": 2,
                                               "tx_bytes": 200, "drops": {"spoofed": 1}, "moves": 0,
                                               "too_big": {"answered": 0, "limited": 0},
                                               "multicast": dict.fromkeys((
                                                   "reports", "queries", "bad", "full", "unwanted"), 0)})
        h.poll_until("they left", lambda: len(self.d.ports("fk")) == 1)
        row = self.c.call("stats.get", network="fk")["network"]
        self.assertEqual({k: row[k] for k in page["network"]}, page["network"])
        self.assertEqual(row["addresses"], {"learned": 0, "static": 1})
        self.assertEqual([x["name"] for x in self.c.items("fdb.list", network="fk")], ["host"])

    def test_daemon(self):
        shown = dict(version=str, pid=int, uid=int, run_dir=str, rootless=bool, uptime=int,
                     log_level=str, networks=int, counters=dict)
        r = self.shape(self.c.call("daemon.show"), shown)
        self.assertEqual((r["pid"], r["uid"], r["run_dir"], r["rootless"], r["networks"]),
                         (self.d.proc.pid, os.getuid(), self.d.run_dir, False, 0))
        self.shape(r["counters"], dict.fromkeys(
            ("accepted", "denied", "slow", "protocol_error", "ignored", "revoked", "unreachable"), int))
        with h.Daemon("--admin-group", str(os.getgid())) as d:
            r = self.shape(d.call("daemon.show"), dict(shown, admin_group=str))
            self.assertEqual(r["admin_group"], str(os.getgid()))
            self.assertEqual(d.create("lab")["group"], str(os.getgid()))

    def test_enter(self):
        r = self.d.create("fk", backend=h.HOST_BACKEND)
        e = self.shape(self.c.call("network.enter", network="fk"), dict(fds=int, host=str))
        self.assertEqual((e["fds"], e["host"], len(self.c.fds)), (1, r["host"], 1))
        self.assertEqual(os.readlink(f"/proc/self/fd/{self.c.fds[0]}"),
                         os.readlink(f"/proc/{self.d.proc.pid}/ns/net"))
        self.d.create("lab", backend="none")
        self.refused("unsupported", "lab", "network.enter", network="lab")

    def test_remove_tells_and_closes(self):
        self.d.create("lab")
        with self.d.attach() as a, self.d.native() as idle, self.d.qemu() as q, \
                h.Native(self.d.path("control.sock")) as other:
            self.assertEqual(self.c.call("network.delete", network="lab"), {"saved": False})
            self.assertFalse(os.path.exists(self.d.path("lab")))  # all is gone by the answer
            self.assertTrue(a.closed() and idle.closed() and q.closed())
            self.assertEqual(a.notes, [("network.removed", {"network": "lab"})])
            self.assertEqual(idle.notes, [])
            self.assertEqual(other.call("network.list"), {"items": [], "next": None})


class Params(Rpc):
    """Wrong params: `invalid`, with the field's name in the sentence."""

    NAMES = ["", "-x", "_x", "a" * 33, "a b", "a/b", "..", ".", "a\n", "a.b", "é", "a%s",
             5, 0, True, [], {}, ["a"], b"lab", 1.5, "lab ", " lab", "x" * 60000]
    MACS = ["", "02:00:00:00:00", "02:00:00:00:00:01:02", "02:00:00:00:00-01", "0g:00:00:00:00:01",
            "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "020000000001",
            "2:0:0:0:0:1", "02:00:00:00:00:01 ", 5, b"\2\0\0\0\0\1", [], True, {}]
    NUMBERS = [-1, -(1 << 63), 1.5, "1500", "abc", True, False, [], {}, b"", 1 << 32, (1 << 64) - 1]
    BOOLS = [0, 1, "true", "", [], {}, b"", 1.0]
    ADDRESSES = ["10.0.0.1/24", 5, {}, True, [5], [None], [b"10.0.0.1/24"], [["10.0.0.1/24"]],
                 [""], ["x"], ["10.0.0.1"], ["10.0.0.1/"], ["10.0.0.1/33"], ["10.0.0.1/0"],
                 ["10.0.0.1/024"], ["10.0.0.256/24"], ["010.0.0.1/24"], ["10.0.0.1/24 "],
                 ["10.0.0.0/24"], ["10.0.0.255/24"], ["0.0.0.0/8"], ["127.0.0.1/8"],
                 ["224.0.0.1/24"], ["::/64"], ["::1/128"], ["ff02::1/64"], ["1::2::3/64"],
                 ["2001:db8::1/129"], ["12345::1/64"], ["2001:db8::1%eth0/64"],
                 ["10.0.0.1/24", "10.0.0.1/24"], ["2001:db8::1/64", "2001:DB8:0::1/64"],
                 ["10.0.0.1/24", "x"], ["1" * 500]]
    GROUPS = ["", "ALL", "all ", "none", "01:00:5e:00:00:01", 5, True, {}, b"all", "x" * 3000, ["all"],
              [5], [None], [[]], [b"\1\0\x5e\0\0\1"], [""], ["01:00:5e:00:00"], ["01:00:5e:00:00:0g"],
              ["01:00:5e:00:00:01:02"], ["02:00:00:00:00:01"], ["00:00:00:00:00:00"],
              ["ff:ff:ff:ff:ff:ff"], ["01:00:5e:00:00:01", "02:00:00:00:00:01"],
              ["01:00:5e:00:00:01"] * 200 + ["x"]]
    MEMBERS = [-1, 5, "x", "01:00:5e:00:00:01", True, {}, [], ["01:00:5e:00:00:01"],
               ["01:00:5e:00:00:01", -1], ["01:00:5e:00:00:01", 1025], ["01:00:5e:00:00:01", "1"],
               ["01:00:5e:00:00:01", 1, 1], [1, "01:00:5e:00:00:01"], ["all", 1], [None, None]]
    EVENTS = [5, "*", True, {}, b"*", [5], [None], [b"*"], [["*"]], [""], ["port"], ["port."],
              ["port.attached "], ["Port.*"], ["nosuch.*"], [".*"], ["p*"], ["port.a*"], ["**"],
              ["x" * 5000], ["*", "x"], ["port.attached", "port.nosuch"]]
    CAPS = [0, 85, 65554, 1 << 20, *NUMBERS]
    QUEUES = [0, 4095, (4 << 20) + 1, *NUMBERS]
    DEFAULTS = [True, 5, "x", [], b"x", {"isolated": 1}, {"up": "x"}, {"cap": 85}, {"mac": "02:00:00:00:00:09"},
                {"macs": []}, {"locked": True}]
    FURTHER = [True, 5, "x", {}, b"x", [5], ["x"], [b"\2\0\0\0\0\1"], ["ff:ff:ff:ff:ff:ff"], ["00:00:00:00:00:00"],
               ["02:00:00:00:00:0a", "01:00:5e:00:00:01"], ["02:00:00:00:00:0a", "02:00:00:00:00:0A"]]
    OF_NO_NETWORK = ("hello", "network.list", "daemon.set", "daemon.reload")
    UNIX = ["", "x" * 33, 5, True, [], b"0"]
    MODES = ["", "0", "66", "06600", "1660", "0661", "0678", "0x66", "rw-", " 660", "-660", "+660", 0o660, 660, [], b"0660"]
    RULE = {"user": "0", "rights": ["attach"]}
    ALLOW = [5, "user:0=attach", RULE, [5], [[]], [{}], [dict(RULE, group="0")], [{"rights": ["attach"]}],
             [{"user": "0"}], [{"user": "0", "rights": []}], [{"user": "0", "rights": "attach"}],
             [{"user": "0", "rights": ["Attach"]}], [{"user": "0", "rights": ["attach", "admin"]}],
             [{"user": "0", "rights": ["attach", "attach"]}], [{"user": "0", "rights": [1]}],
             [{"user": "0", "rights": ["x" * 300]}], [{"user": "", "rights": ["attach"]}],
             [{"user": "x" * 33, "rights": ["attach"]}], [{"user": 0, "rights": ["attach"]}], [RULE, RULE],
             [RULE, {"user": "00", "rights": ["observe"]}], [RULE, RULE, dict(RULE, user="1")]]
    PORTS = [5, "x", {}, True, [5], ["x"], [[]]]  # more is in test_config.py
    LIMITS = [0, 257, 1 << 20, *NUMBERS]

    def fields(self):
        mtu = [0, 1, h.MTU_MIN - 1, h.MTU_MAX + 1, 65535, 65536, *self.NUMBERS]
        settings = {"mtu": mtu, "mac": self.MACS, "up": self.BOOLS, "addresses": self.ADDRESSES,
                    "multicast": ["", "Snoop", "snoop ", "none", "x" * 300, 0, True, [], b"snoop"],
                    "querier": self.BOOLS, "too_big": self.BOOLS, "owner": self.UNIX, "group": self.UNIX, "mode": self.MODES,
                    "allow": self.ALLOW}
        settings["defaults"] = self.DEFAULTS
        creation = dict(settings, network=[*self.NAMES, "state", "State"], save=self.BOOLS,
                        backend=["", "vet", "x" * 16, "x" * 500, 5, True, [], b"none"],
                        unit=[0, 99, 5000, 65535, *self.NUMBERS])
        rules = {"isolated": self.BOOLS, "up": self.BOOLS, "cap": self.CAPS, "queue": self.QUEUES,
                 "rx_rate": self.NUMBERS, "tx_rate": self.NUMBERS, "storm": self.NUMBERS, "loop_guard": self.BOOLS, "raw_offload": self.BOOLS}
        port_names = [*self.NAMES, "host", "HOST", "Host"]
        kinds = ["", "tap", "native ", "QEMU", "x" * 300, 5, True, [], b"qemu"]
        page = {"after": [-1, 1.5, "x", 1025, 1 << 64 - 1, [], True], "limit": self.LIMITS}
        return {
            "network.create": creation,
            "network.apply": dict(creation, replace=self.BOOLS, ports=self.PORTS),
            "network.set": dict(settings, network=self.NAMES, save=self.BOOLS),
            "network.show": {"network": self.NAMES},
            "network.delete": {"network": self.NAMES, "save": self.BOOLS},
            "daemon.reload": {"replace": self.BOOLS},
            "network.enter": {"network": self.NAMES},
            "network.list": {"after": self.NAMES, "limit": self.LIMITS},
            "port.add": {"network": self.NAMES, "name": port_names, "kind": kinds,
                         "ifname": ["eth0", "", "a/b", "tap%d", "x" * 16, 5, []],
                         "netns": ["box", "", "../x", "x" * 300, True],
                         "connect": ["", "x", "tcp:127.0.0.1:0", "tcp:[::1]", "/" * 300, 5],
                         "local": ["127.0.0.1:1", "", "x", 5], "remote": ["127.0.0.1:1", "", "x", "/" * 300, 5],
                         "mac": self.MACS, "macs": self.FURTHER, "locked": self.BOOLS, **rules},
            "port.set": {"network": self.NAMES, "name": self.NAMES, "mac": self.MACS, "macs": self.FURTHER,
                         "locked": self.BOOLS, **rules},
            "port.open": {"network": self.NAMES, "name": port_names, "kind": kinds,
                          "mac": self.MACS, "macs": self.FURTHER, "locked": self.BOOLS, **rules},
            "port.remove": {"network": self.NAMES, "name": self.NAMES},
            "port.list": dict(page, network=self.NAMES),
            "stats.get": dict(page, network=self.NAMES),
            "fdb.list": {"network": self.NAMES, "limit": self.LIMITS,
                         "after": ["", "x", "02:00:00:00:00", 5, [], b"\2\0\0\0\0\1"]},
            "fdb.flush": {"network": self.NAMES, "mac": self.MACS,
                          "port": [-1, 1025, 1.5, "", "a b", True, [], {}, b"vm", "x" * 33, 1 << 32]},
            "daemon.set": {"log_level": ["", "Info", "info ", "none", "x" * 300, 0, True, [], b"info"]},
            "group.list": {"network": self.NAMES, "limit": self.LIMITS, "after": self.MEMBERS},
            "event.subscribe": {"network": self.NAMES, "events": self.EVENTS},
            "hello": {"version": [-1, 1.5, "1", True, []], "client": ["x" * 65, 5, b"x", []]},
        }

    def good(self, method):
        """Params with which the method would do something, but for the field under test."""
        good = {"network": "lab"}
        if method in ("network.create", "network.apply"):
            good = {"network": "new", "backend": h.HOST_BACKEND}
        if method.startswith("port."):
            good["name"] = "vm" if method in ("port.remove", "port.set") else "new"
        if method == "port.add":
            good["kind"] = "qemu"
        if method == "event.subscribe":
            good["events"] = ["port.*"]
        return good

    def setUp(self):
        super().setUp()
        self.d.create("lab", backend=h.HOST_BACKEND, addresses=["10.9.9.1/24"])
        self.c.call("port.add", network="lab", name="vm", kind="native", mac="02:00:00:00:00:99")
        a = self.d.attach("lab", name="a")
        self.addCleanup(a.close)
        a.send(h.frame(h.BROADCAST, h.mac(5)))
        h.taken(a)

    def test_wrong_values(self):
        for method, fields in self.fields().items():
            for field, values in fields.items():
                for value in values:
                    params = dict(self.good(method))
                    params[field] = value
                    with self.subTest(method, field=field, value=repr(value)[:50]):
                        self.refused("invalid", field, method, **params)

    def test_fields_given_twice(self):
        for method, fields in self.fields().items():
            for field in fields:
                values = {"network": "lab", "name": "zz", "kind": "qemu", "mac": "02:00:00:00:00:44",
                          "locked": True, "mtu": 1400, "up": False, "addresses": [], "limit": 5,
                          "after": 1, "backend": h.HOST_BACKEND, "group": "0", "owner": "0",
                          "mode": "0600", "allow": [],
                          "unit": h.UNIT_BASE + 200, "version": 1, "client": "x", "multicast": "flood", "querier": True, "too_big": True, "events": ["*"],
                          "isolated": True, "cap": 1000, "queue": 8192, "rx_rate": 1, "tx_rate": 1, "storm": 1, "loop_guard": True, "raw_offload": True, "defaults": {}, "macs": [],
                          "port": 1, "log_level": "info", "save": False, "replace": False, "ports": [],
                          "ifname": "tap0", "netns": "x", "connect": "/x",
                          "local": "127.0.0.1:1", "remote": "127.0.0.1:1"}
                pairs = list(self.good(method).items())
                if field in dict(pairs):
                    pairs.append((field, dict(pairs)[field]))
                else:
                    pairs += [(field, values[field])] * 2
                self.refused("invalid", field, method, raw=pairs_map(pairs))
                # nil and then a value is twice as well
                self.refused("invalid", field, method, raw=pairs_map([(field, None), *pairs]))

    def test_missing_fields(self):
        for method, field in [(m, "network") for m in self.fields() if m not in
                              (*self.OF_NO_NETWORK, "event.subscribe")] + [
                ("event.subscribe", "events"),
                ("port.add", "name"), ("port.add", "kind"), ("port.set", "name"), ("port.remove", "name")]:
            for value in ((), (None,)):
                params = self.good(method)
                params.pop(field)
                params.update({field: v for v in value})
                self.refused("invalid", field, method, **params)
            if method in ("network.show", "port.list"):
                self.c.send_raw(msgpack.packb([0, 9, method, []]))
                with self.assertRaises(h.RpcError) as e:
                    self.c.reply(9)
                self.assertEqual(e.exception.code, "invalid")

    def test_wrong_values_on_the_native_socket(self):
        attach = {"name": [*self.NAMES, "host"], "mac": self.MACS, "macs": self.FURTHER, "locked": self.BOOLS,
                  "isolated": self.BOOLS, "up": self.BOOLS, "cap": self.CAPS, "queue": self.QUEUES,
                 "rx_rate": self.NUMBERS, "tx_rate": self.NUMBERS, "storm": self.NUMBERS, "loop_guard": self.BOOLS, "raw_offload": self.BOOLS}
        with self.d.native() as c:
            for field, values in attach.items():
                for value in values:
                    self.refused("invalid", field, "attach", via=c, **{field: value})
            for value in (True, False, [], 0, "x", {"rx": "csum"}, {"tx": [1]}, {"rx": [None]}, {"max": 0},
                          {"max": -1}, {"max": "x"}):
                self.refused("invalid", "offload", "attach", via=c, offload=value)
            for value in (None, {}, {"rx": [], "tx": ["ufo", "x" * 99], "max": 2**40}):
                c.call("attach", offload=value)
                c.call("detach")
            for method in ("port.list", "group.list", "fdb.list", "stats.get"):
                for value in self.LIMITS:
                    self.refused("invalid", "limit", method, via=c, limit=value)
            for value in self.EVENTS:
                self.refused("invalid", ("events", "host.groups", "port.*"), "event.subscribe",
                             via=c, events=value)
            for value in self.GROUPS:
                self.refused("invalid", "groups", "attach", via=c, groups=value)
            c.call("attach", groups=["01:00:5e:01:01:01"])
            for value in self.GROUPS:
                for method in ("group.join", "group.leave"):
                    self.refused("invalid", "groups", method, via=c, groups=value)
            for method in ("group.join", "group.leave"):
                self.refused("invalid", "groups", method, via=c)
                self.refused("invalid", "groups", method, via=c, groups=None)
                twice = pairs_map([("groups", ["01:00:5e:01:01:02"]), ("groups", "all")])
                self.refused("invalid", "groups", method, via=c, raw=twice)
            c.call("detach")
            # the network is implied: what the field says does not matter
            for value in ("nosuch", "", 5, None, []):
                self.assertEqual(c.call("network.show", network=value)["name"], "lab")

    def test_groups_of_ports_without_a_session(self):
        for method in ("port.add", "port.open"):
            self.refused("unsupported", "groups", method, **dict(self.good(method), groups="all"))
            self.refused("unsupported", "groups", method, **dict(self.good(method), groups=[]))

    def test_mtu_says_its_bounds(self):
        least, most = h.MTU_MIN, h.MTU_MAX
        for mtu in (0, least - 1, most + 1, 65536):
            self.refused("invalid", ("mtu", str(least), str(most)), "network.set", network="lab", mtu=mtu)
        for mtu in (least, most, 1500):
            self.assertEqual(self.c.call("network.set", network="lab", mtu=mtu)["mtu"], mtu)

    def test_ipv6_needs_1280(self):
        six = ["2001:db8::1/64"]
        self.refused("invalid", ("mtu", "1280"), "network.create", network="new", backend=h.HOST_BACKEND,
                     mtu=1279, addresses=six)
        self.c.call("network.set", network="lab", addresses=six, mtu=1280)
        self.refused("invalid", ("mtu", "1280"), "network.set", network="lab", mtu=1279)
        self.c.call("network.set", network="lab", addresses=[], mtu=1279)
        self.refused("invalid", ("1280"), "network.set", network="lab", addresses=six)
        self.assertEqual(self.c.call("network.set", network="lab", addresses=six, mtu=1281)["mtu"],
                         1281)

    def test_too_many_addresses(self):
        many = [f"10.0.{i}.1/24" for i in range(17)]
        for method in ("network.create", "network.set"):
            self.refused("too_large", ("addresses", "16"), method,
                         **dict(self.good(method), addresses=many))
        r = self.c.call("network.set", network="lab", addresses=many[:16])
        self.assertEqual(r["addresses"], many[:16])

    def test_hostless_networks_take_no_host_side(self):
        self.d.create("plain", backend="none")
        for field, value in (("mac", "02:00:00:00:00:01"), ("addresses", ["10.0.0.1/24"]),
                             ("addresses", []), ("up", True), ("unit", h.UNIT_BASE + 200)):
            self.refused("invalid", (field, "none"), "network.create", network="new",
                         backend="none", **{field: value})
            if field != "unit":
                self.refused("invalid", (field, "none"), "network.set", network="plain",
                             **{field: value})
        self.assertEqual(self.c.call("network.set", network="plain", mtu=9000)["mtu"], 9000)

    def test_unknown_networks_groups_and_backends(self):
        for method in self.fields():
            if method not in ("network.create", "network.apply", *self.OF_NO_NETWORK):
                self.refused("not_found", "nosuch", method, **dict(self.good(method), network="nosuch"))
                # names are told apart by case where they are looked up
                self.refused("not_found", "LAB", method, **dict(self.good(method), network="LAB"))
        for group in ("no-such-group", "4294967295", "99999999999999999999", "-1", "0x0", "1 "):
            for field, what, value in (("group", "group", group), ("owner", "user", group),
                                       ("allow", "user", [{"user": group, "rights": ["attach"]}]),
                                       ("allow", "group", [self.RULE, {"group": group, "rights": ["control"]}])):
                self.refused("not_found", what, "network.create", network="new", backend="none", **{field: value})
                self.refused("not_found", what, "network.set", network="lab", mtu=1400, **{field: value})


class Lists(Rpc):
    def pages(self, method, limit, **params):
        """All items by pages of at most `limit`, how many pages it took."""
        items, after, n = [], None, 0
        while True:
            page = self.c.call(method, limit=limit, after=after, **params)
            self.assertLessEqual(len(page["items"]), limit)
            self.assertTrue(page["items"] or not after)
            items += page["items"]
            after, n = page["next"], n + 1
            if after is None:
                return items, n

    def check(self, method, want, key, limits, **params):
        for limit in limits:
            items, n = self.pages(method, limit, **params)
            self.assertEqual([i[key] for i in items], want, f"{method} limit {limit}")
            self.assertEqual(n, max(1, -(-len(want) // limit)), f"{method} limit {limit}")
        first = self.c.call(method, **params)
        self.assertEqual(len(first["items"]), min(64, len(want)))

    def test_networks(self):
        names = sorted([f"n-{i}" for i in range(50)] + [f"N{i}" for i in range(10)])
        for n in reversed(names):
            self.d.create(n)
        self.check("network.list", names, "name", [1, 2, 3, 7, 30, 59, 60, 61, 64, 255, 256])
        # `after` need not exist
        page = self.c.call("network.list", after="N95", limit=2)
        self.assertEqual([n["name"] for n in page["items"]], ["n-0", "n-1"])
        self.assertEqual(self.c.call("network.list", after="zz"), {"items": [], "next": None})

    def test_ports(self):
        self.d.create("lab", backend=h.HOST_BACKEND)
        for i in range(300):
            self.c.request("port.add", network="lab", name=f"port-{i}", kind="qemu")
        for i in range(1, 301):
            self.assertEqual(self.c.reply(i)["port"], i)
        numbers = list(range(301))  # and the host side
        self.check("port.list", numbers, "port", range(1, 257), network="lab")
        self.check("stats.get", numbers, "port", [1, 2, 64, 100, 150, 255, 256], network="lab")
        for i in range(0, 300, 3):
            self.c.call("port.remove", network="lab", name=f"port-{i}")
        left = [0] + [i + 1 for i in range(300) if i % 3]
        self.check("port.list", left, "port", [1, 7, 64, 256], network="lab")
        self.assertEqual(self.c.call("port.list", network="lab", after=1024)["items"], [])

    def test_fdb(self):
        self.d.create("lab", backend="none")
        with self.d.attach() as a:
            a.send(*[h.frame(h.BROADCAST, h.mac(i)) for i in range(1000)])
            h.taken(a)
        # the port has gone, and so have its addresses
        h.poll_until("forgotten", lambda: not self.c.call("fdb.list", network="lab")["items"])
        with self.d.attach() as a, self.d.attach() as b:
            a.send(*[h.frame(h.BROADCAST, h.mac(i * 7 % 1000)) for i in range(500)])
            b.send(*[h.frame(h.BROADCAST, h.mac(i * 7 % 1000)) for i in range(500, 1000)])
            h.taken(a)
            h.taken(b)
            macs = [h.mac_text(h.mac(i)) for i in range(1000)]
            self.check("fdb.list", macs, "mac", [3, 16, 63, 64, 100, 255, 256], network="lab")
            page = self.c.call("fdb.list", network="lab", after="02:00:00:00:00:ff", limit=1)
            self.assertEqual(page["items"][0]["mac"], "02:00:00:00:01:00")
            self.assertEqual(page["next"], "02:00:00:00:01:00")

    def test_an_answer_that_would_be_too_long_goes_on(self):
        """64 networks with 16 long addresses each are over 64 KiB."""
        names = sorted(f"a-network-with-a-long-name-{i:04}" for i in range(64))
        group = str(os.getgid()).zfill(32)
        for k, n in enumerate(names):
            self.c.call("network.create", network=n, backend=h.HOST_BACKEND, group=group, addresses=[
                f"2001:db8:1111:2222:3333:{k + 4096:x}:5555:{i + 4096:x}/112"
                for i in range(16)])
        before = self.everything()
        self.c.send_raw(msgpack.packb([0, 5, "network.list", [{"limit": 256}]]))
        page = self.c.reply(5)
        self.assertLess(len(page["items"]), 64)
        self.assertGreater(len(page["items"]), 32)
        self.assertLessEqual(len(msgpack.packb(page)), 65536)
        self.assertEqual(page["next"], page["items"][-1]["name"])
        items = page["items"] + self.pages("network.list", 256)[0][len(page["items"]):]
        self.assertEqual([i["name"] for i in items], names)
        self.assertEqual([i["name"] for i in self.c.items("network.list", limit=256)], names)
        self.refused("too_large", "64", "network.create", network="one-more", backend="none")
        self.assertEqual(self.everything(), before)
        self.c.call("network.delete", network=names[7])
        self.assertEqual(self.c.call("network.create", network="again", backend="none")["name"], "again")


class Names(Rpc):
    def test_networks(self):
        for name in ("a", "0", "a" * 32, "A-b_C", "9-_", "a--", "ports", "control", "host", "auto"):
            self.assertEqual(self.d.create(name)["name"], name)
            self.refused("exists", name, "network.create", network=name, backend="none")
            if name.swapcase() != name:
                self.refused("exists", name, "network.create", network=name.swapcase(),
                             backend="none")
            with self.d.attach(name) as c:
                self.assertEqual(c.info["network"], name)
            self.c.call("network.delete", network=name)

    def test_ports(self):
        self.d.create("lab")
        with self.d.attach(name="Vm") as a, self.d.native() as b:
            self.refused("exists", "vM", "port.add", network="lab", name="vM", kind="qemu")
            self.refused("busy", "Vm", "attach", via=b, name="VM")
            self.refused("busy", "Vm", "port.open", network="lab", name="vm", kind="native")
            self.refused("exists", "detach first", "attach", via=a, name="other")
            longest = "p" * 32
            self.assertEqual(b.call("attach", name=longest)["name"], longest)
        self.c.call("port.add", network="lab", name="Declared", kind="native")
        with self.d.attach(name="dEcLaReD") as a:
            self.assertEqual(a.info["name"], "Declared")
        # a name that is in use is not chosen
        self.c.call("port.add", network="lab", name="NATIVE-1", kind="native")
        with self.d.attach() as a:
            self.assertEqual(a.info["name"], "native-2")

    def test_a_port_is_removed_whatever_the_case(self):
        self.d.create("lab")
        self.c.call("port.add", network="lab", name="Vm1", kind="qemu")
        self.assertEqual(os.listdir(self.d.path("lab/ports")), ["Vm1"])
        self.c.call("port.remove", network="lab", name="vM1")
        self.assertEqual(os.listdir(self.d.path("lab/ports")), [])
        self.assertEqual(self.d.clients(), [])

    def test_paths_too_long(self):
        with h.Daemon(wait=None) as d:
            d.run_dir = d.dir + "/" + "r" * (50 - len(d.dir) - 1)
            d.start()
            with d.control() as c:
                self.c, outer = c, self.c
                self.d, d0 = d, self.d
                for n in range(6, 33):
                    self.refused("invalid", (d.run_dir + "/n", "bytes"), "network.create",
                                 network="n" * n, backend=h.HOST_BACKEND if n % 2 else "none")
                self.assertEqual(c.call("network.create", network="n" * 4)["name"], "nnnn")
                c.call("network.create", network="n", backend="none")
                self.refused("invalid", "/ports/", "port.add", network="n", name="p" * 32, kind="qemu")
                c.call("port.add", network="n", name="pp", kind="qemu")
                self.assertEqual([p["name"] for p in d.ports("n")], ["pp"])
                self.c, self.d = outer, d0

    def test_1024_ports(self):
        self.d.create("lab")
        for at in range(0, 1024, 64):  # as many as may be unanswered
            for i in range(at, at + 64):
                self.c.request("port.add", network="lab", name=f"p{i}", kind="native")
            for i in range(at, at + 64):
                self.c.reply(i + 1)
        with self.assertRaises(h.RpcError) as e:
            self.c.call("port.add", network="lab", name="more", kind="native")
        self.assertEqual(e.exception.code, "too_large")
        with self.d.native() as c:
            with self.assertRaises(h.RpcError) as e:
                c.call("attach")
            self.assertEqual(e.exception.code, "too_large")
            self.assertEqual(c.call("attach", name="p1023")["port"], 1024)
        with self.d.qemu() as q:
            self.assertTrue(q.closed(5))
        self.assertNotIn("more", os.listdir(self.d.path("lab/ports")))
        self.c.call("port.remove", network="lab", name="p5")
        with self.d.attach() as a:
            self.assertEqual(a.info["port"], 6)


class Refused(Rpc):
    """What the kernel refuses has changed nothing."""

    def test_create(self):
        system = self.d.system
        words = system.refuse("make")
        self.refused("denied", words, "network.create", network="lab", backend=h.HOST_BACKEND)
        system.allow()
        unit = h.UNIT_BASE + 200
        system.take_unit(unit)
        self.refused("exists", "lab", "network.create", network="lab", backend=h.HOST_BACKEND, unit=unit)
        system.give_unit_back(unit)
        r = self.c.call("network.create", network="lab", backend=h.HOST_BACKEND)
        self.c.call("network.delete", network="lab")
        # a foreign interface has the name: the next unit, or a refusal where it was asked for
        for name in (r["host"], r["service"]):
            system.take(name)
            self.refused("exists", (r["host"], "not ours"), "network.create", network="lab",
                         backend=h.HOST_BACKEND, unit=r["unit"])
            moved = self.c.call("network.create", network="lab", backend=h.HOST_BACKEND)
            self.assertEqual(moved["unit"], r["unit"] + 1)
            self.c.call("network.delete", network="lab")
            system.give_back(name)

    def test_units_collide(self):
        last = h.UNIT_BASE + 4999
        self.assertEqual(self.d.create("a", backend=h.HOST_BACKEND, unit=last)["unit"], last)
        self.refused("exists", (str(last), "choose"), "network.create", network="b",
                     backend=h.HOST_BACKEND, unit=last)
        # 13c4000000000000 prefers nothing special, ffff...: 1555; the one after 4999 is 100
        name = next(f"{i:016x}" for i in range(10000, 20000) if i % 4900 == 4899)
        self.assertEqual(self.d.create(name, backend=h.HOST_BACKEND)["unit"], h.UNIT_BASE + 100)

    def test_set(self):
        self.d.create("lab", backend=h.HOST_BACKEND, addresses=["10.0.0.1/24"], mtu=2000)
        with self.d.attach(name="a") as a, self.d.qemu():
            h.poll_until("two ports", lambda: a.call("network.show")["ports"] == 2)
            truth = self.c.call("network.show", network="lab")
            changes = {
                "change-mtu": {"mtu": 1000}, "change-mac": {"mac": "02:00:00:00:00:77"},
                "change-up": {"up": False}, "change-addr": {"addresses": ["10.0.0.2/24"]}}
            everything = {k: v for c in changes.values() for k, v in c.items()}
            for step, change in changes.items():
                for wanted in (change, everything, dict(everything, mtu=9000)):
                    words = self.d.system.refuse(step)
                    self.refused("denied", words, "network.set", network="lab", **wanted)
                # whatever was told meanwhile, the last word is the truth; and so is the switch
                a.call("hello")
                if a.notes:
                    self.assertEqual(a.notes[-1], ("network.changed", truth))
                    a.notes.clear()
                self.assertEqual({p["cap"] for p in self.d.ports()}, {2018})
                self.assertEqual({f["mac"] for f in a.items("fdb.list")}, {truth["mac"]})
            self.d.system.allow()
            r = self.c.call("network.set", network="lab", **everything)
            self.assertEqual({k: r[k] for k in everything}, everything)
            self.assertTrue(self.d.system.agrees(r))
            self.assertEqual(a.note("network.changed"), r) if len(a.notes) == 1 else None
            a.call("hello")
            self.assertEqual({p["cap"] for p in self.d.ports()}, {1018})
            self.assertEqual({f["mac"] for f in a.items("fdb.list")}, {r["mac"]})

    def test_a_registered_mac_is_not_given_to_the_host(self):
        self.d.create("lab", backend=h.HOST_BACKEND)
        with self.d.attach(mac="02:00:00:00:00:01"), self.d.attach(name="l", locked=True) as b:
            self.refused("exists", "native-1", "network.set", network="lab", mac="02:00:00:00:00:01")
            self.refused("exists", "port l", "network.set", network="lab", mac=b.info["mac"])
        self.c.call("port.add", network="lab", name="d", kind="qemu", mac="02:00:00:00:00:02")
        self.refused("exists", "port d", "network.set", network="lab", mac="02:00:00:00:00:02")
        self.assertEqual(
            self.c.call("network.set", network="lab", mac="02:00:00:00:00:01")["mac"],
            "02:00:00:00:00:01")

    def test_a_host_side_that_vanishes_is_made_anew(self):
        r = self.d.create("lab", backend=h.HOST_BACKEND, addresses=["10.0.0.1/24"], mtu=4000)
        system = self.d.system
        was = system.state(r)
        self.assertTrue(was)
        with self.d.attach(name="a") as a, self.d.attach(name="b") as b:
            for i in range(1, 4):
                system.refuse("make")
                system.remove_pair(r)
                h.poll_until("it was noticed", lambda: self.d.log.count("lost its host side") == i)
                f = h.frame(h.BROADCAST, h.mac(1), b"meanwhile")
                a.send(f)
                self.assertEqual(b.recv(), f)
                system.allow()
                h.poll_until("it is back", lambda: self.d.log.count("made anew") == i)
                self.assertEqual(system.state(r), was)
            self.assertEqual(a.call("network.show"), dict(r, ports=2))
            self.assertEqual([(n, p["carrier"]) for n, p in a.notes],
                             [("network.changed", False), ("network.changed", True)] * 3)


if __name__ == "__main__":
    h.main()
