"""test_fields.py - each field of each method as rpc.methods tells of them: left out, given twice, of each wrong
type, and out of bounds. The call is refused as `invalid`, naming the field, and nothing has changed.

What is tested comes from the daemon: a field that a later version adds is tested without a line here.
"""
import os
import random
import sys
import unittest

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

JUNK_ROUNDS = 4000 if os.environ.get("FETHD_FULL") == "1" else 400

# A value of each type that no field of another type takes.
WRONG = {
    "bool": True, "uint": 7, "text": "\u00ff x", "array": [{"x": []}], "map": {"x": [1, {"y": 2}]}, "negative": -1,
    "float": 1.5, "bytes": b"\x00\x01",
}
TEXTS = {"text", "name", "mac"}
# What makes the rest of a call good, so that it is the field in question that is refused.
GOOD = {"network": "lab", "name": "fresh", "kind": "qemu", "groups": [], "events": [], "version": 1}
# Methods that end what is tested, or change all of it, if a junk call happens to be good.
ENDS = {"daemon.stop", "detach", "network.delete"}


def map_of(pairs):
    """A map packed from pairs, so that a key may stand there twice."""
    out = b"\xde" + len(pairs).to_bytes(2, "big")
    for key, value in pairs:
        out += msgpack.packb(key) + (value if isinstance(value, Raw) else msgpack.packb(value))
    return out


class Raw(bytes):
    """A value that is packed already."""


class Fields(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.d = h.Daemon(prefix=h.ISOLATED)
        cls.addClassCleanup(cls.d.__exit__, None, None, None)
        cls.control = cls.d.control()
        cls.d.create("lab")
        cls.d.create("other", backend="none")
        cls.control.call("port.add", network="lab", name="declared", kind="qemu")
        cls.native = cls.d.attach("lab", name="client", mac="02:00:00:00:00:77")
        cls.methods = cls.control.items("rpc.methods")

    def sockets(self, method):
        """The connections on which it can be called, and what `needed` says there."""
        return [(name, {"control": self.control, "native": self.native}[name]) for name in method["sockets"]]

    def everything(self):
        out = []
        for n in self.control.items("network.list"):
            name = n["name"]
            fdb = [{k: v for k, v in row.items() if k != "age"}
                   for row in self.control.items("fdb.list", network=name)]
            groups = [(g["group"], g["port"], [w for w in g["how"] if w != "snooped"])
                      for g in self.control.items("group.list", network=name)]
            out += [n, self.control.items("port.list", network=name), fdb, groups]
        shown = self.control.call("daemon.show")
        for moving in ("uptime", "counters"):
            shown.pop(moving, None)
        return [*out, shown, self.d.system.everything()]

    def raw_call(self, c, method, packed):
        """The error of a call with these params, or None."""
        c.send_raw(b"\x94\x00\xcd\x77\x77" + msgpack.packb(method) + b"\x91" + packed)
        try:
            c.reply(0x7777)
        except h.RpcError as e:
            return e
        return None

    def good(self, method, where):
        pairs = {f["field"]: GOOD.get(f["field"], self.plain(f["type"])) for f in method["fields"]
                 if f["needed"] == "yes" or (f["needed"] == "control" and where == "control")}
        if method["method"] == "network.create":
            pairs["network"] = "made"
        return pairs

    @staticmethod
    def plain(kind):
        return {"bool": True, "uint": 1, "text": "x", "name": "x", "mac": "02:00:00:00:00:01", "array": [],
                "map": {}}[kind.split("|")[0]]

    def refused(self, c, method, pairs, field, what):
        before = self.everything()
        e = self.raw_call(c, method["method"], map_of(pairs))
        told = f"{method['method']}: {field} {what}: {e and (e.code, e.message)}"
        self.assertIsNotNone(e, told)
        self.assertEqual(e.code, "invalid", told)
        self.assertTrue(e.message.startswith(field + ":"), told)
        self.assertEqual(self.everything(), before, told)

    def test_there_are_methods_and_fields(self):
        self.assertGreaterEqual(len(self.methods), 22)
        self.assertGreaterEqual(sum(len(m["fields"]) for m in self.methods), 50)
        self.assertEqual(self.methods, self.native.items("rpc.methods", limit=3), "by pages, and on the other socket")
        names = [m["method"] for m in self.methods]
        self.assertEqual(self.control.call("rpc.methods", after=names[2], limit=1)["items"], [self.methods[3]])

    def test_missing(self):
        for m in self.methods:
            for where, c in self.sockets(m):
                good = self.good(m, where)
                for field in good:
                    self.refused(c, m, [(k, v) for k, v in good.items() if k != field], field, "missing")
                    self.refused(c, m, [(k, v if k != field else None) for k, v in good.items()], field, "nil")

    def test_wrong_types(self):
        for m in self.methods:
            for where, c in self.sockets(m):
                good = self.good(m, where)
                for f in m["fields"]:
                    if f["field"] == "network" and where == "native":
                        continue  # not looked at: the socket says which
                    takes = {"text" if t in TEXTS else t for t in f["type"].split("|")}
                    for kind, value in WRONG.items():
                        if kind in takes:
                            continue
                        pairs = {**good, f["field"]: value}
                        self.refused(c, m, list(pairs.items()), f["field"], f"as {kind}")

    def test_twice(self):
        for m in self.methods:
            for where, c in self.sockets(m):
                good = self.good(m, where)
                for f in m["fields"]:
                    name = f["field"]
                    if name == "network" and where == "native":
                        continue
                    value = good.get(name, self.plain(f["type"]))
                    pairs = [*((k, v) for k, v in good.items() if k != name), (name, value), (name, value)]
                    self.refused(c, m, pairs, name, "twice")

    def test_names_and_addresses_that_are_none(self):
        bad = {"name": ["", "-x", "a" * 33, "a/b", "a b", "\u00e9", "a\0b"],
               "mac": ["", "02:00:00:00:00", "02:00:00:00:00:00:00", "zz:00:00:00:00:00", "x" * 60000]}
        for m in self.methods:
            for where, c in self.sockets(m):
                good = self.good(m, where)
                for f in m["fields"]:
                    if f["field"] == "network" and where == "native":
                        continue
                    for value in bad.get(f["type"], []):
                        self.refused(c, m, list({**good, f["field"]: value}.items()), f["field"], repr(value)[:40])
                    if "uint" in f["type"].split("|") and f["field"] not in ("version",):
                        self.refused(c, m, list({**good, f["field"]: 2**64 - 1}.items()), f["field"], "2^64-1")
                    if TEXTS & set(f["type"].split("|")):  # not UTF-8
                        self.refused(c, m, list({**good, f["field"]: Raw(b"\xa2\xff\xfe")}.items()), f["field"],
                                     "not UTF-8")

    def junk(self, rng, depth=0):
        pick = rng.randrange(14 if depth < 3 else 10)
        if pick < 2:
            return rng.choice([0, 1, 2, 63, 255, 1500, 65535, 2**31, 2**32 - 1, 2**32, 2**64 - 1, -1, -2**63])
        if pick < 4:
            return rng.choice(["", "lab", "other", "declared", "host", "all", "none", "snoop", "10.9.0.1/24", "fd00::1/64",
                               "02:00:00:00:00:77", "01:00:5e:00:00:01", "0660", "*", "port.*", "x" * rng.randrange(300)])
        if pick < 6:
            return rng.choice([True, False])
        if pick < 10:
            return rng.choice([None, 0.5, b"x", b""])
        if pick < 12:
            return [self.junk(rng, depth + 1) for _ in range(rng.randrange(6))]
        return {rng.choice(["x", "user", "group", "rights", "native", "tagged", "name", "kind", "snaplen", "filter"]):
                self.junk(rng, depth + 1) for _ in range(rng.randrange(5))}

    def test_junk(self):
        """Any values in any fields: what is refused has changed nothing, and the daemon goes on."""
        seed = random.randrange(2**32)
        rng = random.Random(seed)
        methods = [m for m in self.methods if m["method"] not in ENDS and m["fields"]]
        state = self.everything()
        refused = 0
        for n in range(JUNK_ROUNDS):
            m = rng.choice(methods)
            where, c = rng.choice(self.sockets(m))
            pairs = {**self.good(m, where)}
            for f in rng.sample(m["fields"], rng.randrange(1, len(m["fields"]) + 1)):
                pairs[f["field"]] = self.junk(rng) if rng.randrange(4) else self.plain(f["type"])
            e = self.raw_call(c, m["method"], map_of(list(pairs.items())))
            after = self.everything()
            told = f"seed {seed}, call {n}: {m['method']} on {where}: {pairs}"[:1500]
            if e:
                refused += 1
                self.assertEqual(after, state, f"{told}: {e.code} {e.message}")
            if m["method"].startswith("network.") or self.control.fds or self.native.fds:
                self.restore()
                after = self.everything()
            state = after
        self.assertGreater(refused, JUNK_ROUNDS // 3)

    def restore(self):
        """The networks that every test finds, and no descriptors of ours."""
        for name in {n["name"] for n in self.control.items("network.list")} - {"lab", "other"}:
            self.control.call("network.delete", network=name)
        for fd in self.control.fds + self.native.fds:
            os.close(fd)
        self.control.fds, self.native.fds = [], []
        h.poll_until("ports that were opened have gone", lambda: all(
            p["name"] == "client" for p in self.control.items("port.list", network="lab")
            if p["state"] == "attached" and p["kind"] != "host"))


if __name__ == "__main__":
    h.main()
