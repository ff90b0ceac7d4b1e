"""test_wire.py - what bad input gets on the wire: answered, dropped and counted, or closed.

Every offence is committed beside a pair of clients that must not lose a frame by it. Bytes are
written out by hand where msgpack would not let us.
"""
import os
import random
import struct
import sys
import unittest

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

FRAME_MAX = 65553
RPC_MAX = 65536


def request(method, params=None, msgid=1):
    return msgpack.packb([0, msgid, method, [] if params is None else [params]])


def bin8(f):
    return b"\xc4" + bytes([len(f)]) + f


def bin16(f):
    return b"\xc5" + struct.pack("!H", len(f)) + f


def bin32(f):
    return b"\xc6" + struct.pack("!I", len(f)) + f


def ext32(kind, body):
    return b"\xc9" + struct.pack("!Ib", len(body), kind) + body


class Wire(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon()
        self.addCleanup(self.d.__exit__, None, None, None)
        self.d.create("lab", multicast="flood")  # frames are counted: no queries
        self.pair = h.Pair(self.d)
        self.addCleanup(self.pair.close)
        self.pair.check()

    def counters(self):
        return self.d.call("daemon.show")["counters"]

    def errors(self):
        return self.counters()["protocol_error"]

    def drops(self, name=None):
        return self.d.stats(name)["drops"]

    # -- closed --

    def assert_closes(self, what, data, attached=False, code="invalid", path="lab/feth.sock"):
        """The data ends the connection, after a protocol.error that says why."""
        c = h.Native(self.d.path(path))
        try:
            if attached:
                c.call("attach")
            try:
                c.send_raw(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # closed in the middle of it
            self.assertTrue(c.closed(5), f"{what}: still open")
            self.assertEqual([n for n, _ in c.notes], ["protocol.error"], what)
            error = c.notes[0][1]
            self.assertEqual(error["code"], code, what)
            self.assertRegex(error["message"], r"\w+ \w+", what)
            self.assertEqual(c.frames, [], what)
        finally:
            c.close()

    def closing(self, rows):
        before = self.errors()
        for what, data in rows:
            for attached in (False, True):
                with self.subTest(what, attached=attached):
                    self.assert_closes(what, data, attached)
            self.pair.check(2)
        self.assertEqual(self.errors() - before, 2 * len(rows))
        self.assertEqual(self.d.log.count(": protocol error "), self.errors())

    def test_a_byte_that_begins_neither_bin_ext_nor_array_closes(self):
        begins = [*range(0x90, 0xa0), *range(0xc4, 0xca), *range(0xd4, 0xd9), 0xdc, 0xdd]
        before = self.errors()
        rest = [b for b in range(256) if b not in begins]
        for b in rest:
            with self.subTest(f"{b:02x}"):
                self.assert_closes(f"byte {b:02x}", bytes([b]), attached=b % 2)
        self.assertEqual(self.errors() - before, len(rest))
        self.pair.check()

    def test_what_cannot_be_skipped_closes(self):
        self.closing([
            ("bin over 65553", b"\xc6" + struct.pack("!I", FRAME_MAX + 1)),
            ("bin of 4 GiB", b"\xc6\xff\xff\xff\xff"),
            ("bin of 2 GiB", b"\xc6\x80\x00\x00\x00" + b"x" * 100),
            ("ext over 65565", b"\xc9" + struct.pack("!Ib", FRAME_MAX + 13, 1)),
            ("ext of 4 GiB", b"\xc9\xff\xff\xff\xff\x01"),
            ("array of 50 million", b"\xdd\x03\x00\x00\x00"),
            ("array of 4 billion", b"\xdd\xff\xff\xff\xff"),
            ("map of 4 billion in a call", b"\x94\x00\x01\xa1x\x91\xdf\xff\xff\xff\xff"),
            ("str of 4 GiB in a call", b"\x94\x00\x01\xdb\xff\xff\xff\xff"),
            ("bin of 4 GiB in a call", b"\x94\x00\x01\xa1x\x91\x81\xa1y\xc6\xff\xff\xff\xff"),
            ("ext of 4 GiB in a call", b"\x94\x00\x01\xa1x\x91\x81\xa1y\xc9\xff\xff\xff\xff\x01"),
            ("array owing one byte more than may follow", b"\xdd\x00\x00\xff\xfc"),
            ("two containers owing too much together",
             b"\x92\xdd\x00\x00\x80\x00" + b"\xc0" * 0x8000 + b"\xdd\x00\x00\x7f\xf6"),
            ("c1", b"\x91\xc1"),
            ("c1 deep in a call", b"\x94\x00\x01\xa1x\x91\x82\xa1y\xc0\xa1z\xc1"),
            ("c1 for a method", b"\x94\x00\x01\xc1"),
            ("nested 17 deep", b"\x91" * 17),
            ("nested 17 deep in maps", b"\x91" + b"\x81\xa1x" * 16),
            ("nested 60000 deep", b"\x91" * 60000),
            ("a call over 65536 bytes", b"\x94\x00\x01\xa1x\x91\x81\xa1y\xdb\x00\x00\xff\xf4"),
        ])

    def test_an_array_that_is_no_envelope_closes(self):
        p = msgpack.packb
        self.closing([
            ("nothing in it", p([])),
            ("another kind", p([3, 1, "network.show", []])),
            ("negative kind", p([-1, 1, "network.show", []])),
            ("text for a kind", p(["0", 1, "network.show", []])),
            ("true for a kind", p([True, 1, "network.show", []])),
            ("float for a kind", p([0.0, 1, "network.show", []])),
            ("array for a kind", p([[0], 1, "network.show", []])),
            ("a kind alone", p([0])),
            ("msgid negative", p([0, -1, "network.show", []])),
            ("msgid of 33 bits", p([0, 1 << 32, "network.show", []])),
            ("msgid of 64 bits", p([0, (1 << 64) - 1, "network.show", []])),
            ("msgid text", p([0, "1", "network.show", []])),
            ("msgid nil", p([0, None, "network.show", []])),
            ("response too short", p([1, 1, None])),
            ("response too long", p([1, 1, None, {}, {}])),
            ("notification too short", p([2, "x"])),
            ("notification too long", p([2, "x", [], 1])),
            ("notification of a number", p([2, 5, []])),
            ("notification with two params", p([2, "x", [{}, {}]])),
            ("nested 16 deep, of nothing", b"\x91" * 16 + b"\xc0"),
        ])

    def test_what_stands_before_the_error_still_counts(self):
        with self.d.attach(name="w") as c, self.d.attach(name="r") as r:
            f = h.frame(h.BROADCAST, h.mac(1), b"last words")
            c.send_raw(bin8(f) + request("network.show", msgid=70) + b"\xc1" + bin8(f))
            self.assertTrue(c.closed())
            self.assertEqual(r.recv(), f)
            self.assertTrue(r.silent())
            self.assertEqual(c.replies[70][1]["name"], "lab")
            self.assertEqual(c.notes[0][0], "protocol.error")
        self.pair.check()

    def test_frames_on_the_control_socket_close(self):
        before = self.errors()
        f = h.frame(h.BROADCAST, h.mac(1), b"x")
        rows = (bin8(f), bin8(b""), bin16(f), bin32(f), ext32(1, b"0" * 12 + f), ext32(63, b"x"))
        for data in rows:
            self.assert_closes(data[:8].hex(), data, code="unsupported", path="control.sock")
        for data in (b"\xc6\xff\xff\xff\xff", b"\xc1", b"\xdd\x03\x00\x00\x00"):
            self.assert_closes(data[:8].hex(), data, path="control.sock")
        self.assertEqual(self.errors() - before, len(rows) + 3)
        self.assertEqual(self.drops(), {})
        self.pair.check()

    def test_a_huge_promise_takes_no_memory(self):
        self.assert_closes("warm up", b"\xc1")
        before = self.d.rss_kib()
        held = []
        for data in (b"\xdd\x00\x00\xff\xf0", b"\xc6" + struct.pack("!I", FRAME_MAX),
                     b"\x94\x00\x01\xdb\x00\x00\xff\xf0") * 10:
            c = self.d.native()
            c.send_raw(data)
            held.append(h.taken(c))
        for data in (b"\xdd\x03\x00\x00\x00", b"\xc6\xff\xff\xff\xff") * 10:
            self.assert_closes("promise", data)
        # 30 objects that may yet come, of at most 64 KiB each
        self.assertLess(self.d.rss_kib() - before, 30 * 64 + 2048)
        for c in held:
            c.close()
        self.pair.check()

    # -- answered --

    def test_requests_with_a_usable_msgid_are_answered_invalid(self):
        with self.d.native() as c:
            for i, rest in enumerate(([], ["hello"], [5, []], ["hello", {}], ["hello", None],
                                      ["hello", [1]], ["hello", [[]]], ["hello", [None]],
                                      ["hello", [{}, {}]], ["hello", "x"], [None, []],
                                      ["hello", [], 1], [b"hello", []])):
                for msgid in (i, 0xffffffff - i):
                    c.send_raw(msgpack.packb([0, msgid, *rest]))
                    with self.assertRaises(h.RpcError, msg=rest) as e:
                        c.reply(msgid)
                    self.assertEqual(e.exception.code, "invalid", rest)
            self.assertEqual(c.call("network.show")["name"], "lab")
        self.assertEqual(self.errors(), 0)
        self.pair.check()

    def test_unknown_methods_are_unsupported(self):
        names = ["", "x", "attach ", "Attach", "attach\0", "network.showx", "x" * 60000, "network",
                 "\xff", "network.show\n", "protocol.error", "network.changed"]
        for path in ("lab/feth.sock", "control.sock"):
            with h.Native(self.d.path(path)) as c:
                for name in names:
                    with self.assertRaises(h.RpcError, msg=name[:30]) as e:
                        c.call(name)
                    self.assertEqual(e.exception.code, "unsupported", name[:30])
                for raw in (b"\xff", b"hello\xff", b"\xc0\x80"):
                    c.send_raw(b"\x94\x00\x09" + bytes([0xa0 + len(raw)]) + raw + b"\x90")
                    with self.assertRaises(h.RpcError) as e:
                        c.reply(9)
                    self.assertEqual(e.exception.code, "unsupported")
        self.pair.check()

    def test_methods_not_for_this_socket_are_unsupported(self):
        native = {"attach", "detach"}
        control = {"port.add", "network.create", "network.delete", "network.list",
                   "network.set", "network.enter", "daemon.show", "daemon.set", "daemon.stop"}
        for path, methods in (("lab/feth.sock", control), ("control.sock", native)):
            with h.Native(self.d.path(path)) as c:
                for method in sorted(methods):
                    with self.assertRaises(h.RpcError, msg=method) as e:
                        c.call(method, network="lab", name="x", kind="qemu")
                    self.assertEqual(e.exception.code, "unsupported", method)
        self.assertEqual(self.d.call("network.show", network="lab")["ports"], 2)
        self.pair.check()

    def test_invalid_utf8_is_invalid_and_names_the_field(self):
        bad = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"a\0b",
               b"\x80", b"lab\xff")
        rows = [("control.sock", m, {"network": "lab"}, f) for m, f in (
            ("network.create", "network"), ("network.create", "backend"),
            ("network.create", "mac"), ("network.create", "group"),
            ("network.create", "addresses"), ("network.set", "network"), ("network.set", "mac"),
            ("network.set", "addresses"), ("network.show", "network"),
            ("network.delete", "network"), ("network.enter", "network"),
            ("network.list", "after"), ("port.add", "network"), ("port.add", "name"),
            ("port.add", "kind"), ("port.add", "mac"), ("port.open", "name"),
            ("port.open", "kind"), ("port.open", "mac"), ("port.remove", "name"),
            ("port.list", "network"), ("fdb.list", "after"), ("stats.get", "network"),
            ("hello", "client"))]
        rows += [("lab/feth.sock", m, {}, f) for m, f in (
            ("attach", "name"), ("attach", "mac"), ("port.open", "name"), ("port.open", "kind"),
            ("fdb.list", "after"), ("hello", "client"))]
        before = self.d.call("network.list"), self.d.ports()
        for path, method, params, field in rows:
            with h.Native(self.d.path(path)) as c:
                for i, text in enumerate(bad):
                    params = dict(params)
                    if method in ("network.create", "port.add") and field != "name":
                        params.update(name="x", kind="qemu")
                    if method == "network.create":
                        params["network"] = "new"
                    value = text.decode("utf-8", "surrogateescape")
                    params[field] = [value] if field == "addresses" else value
                    c.send_raw(msgpack.packb([0, i, method, [params]],
                                             unicode_errors="surrogateescape"))
                    with self.assertRaises(h.RpcError, msg=(method, field, text)) as e:
                        c.reply(i)
                    self.assertEqual(e.exception.code, "invalid", (method, field, text))
                    self.assertIn(field, e.exception.message, (method, field, text))
        self.assertEqual((self.d.call("network.list"), self.d.ports()), before)
        self.pair.check()

    def test_keys_of_params_that_are_no_text_are_ignored(self):
        with self.d.native() as c:
            for key in (5, b"name", None, True, (1, 2), 1.5):
                c.send_raw(msgpack.packb([0, 3, "network.show", [{key: b"\xff"}]]))
                self.assertEqual(c.reply(3)["name"], "lab")
            c.send_raw(b"\x94\x00\x04\xacnetwork.show\x91\x82\xa2\xff\xfe\x01\xa0\x02")
            self.assertEqual(c.reply(4)["name"], "lab")
            # the same key twice, as text and as bin, is one field
            c.send_raw(b"\x94\x00\x05\xa6attach\x91\x82\xa4name\xa1a\xc4\x04name\xa1b")
            self.assertEqual(c.reply(5)["name"], "a")

    def test_the_largest_and_deepest_call_is_carried_out(self):
        with self.d.native() as c:
            fixed = len(request("network.show", {"pad": "x" * 65000}))
            call = request("network.show", {"pad": "x" * (RPC_MAX - fixed + 65000)})
            self.assertEqual(len(call), RPC_MAX)
            c.send_raw(call)
            self.assertEqual(c.reply(1)["name"], "lab")
            deep = []  # request, params, map: 13 more make 16
            for _ in range(12):
                deep = [deep, 1]
            c.send_raw(request("network.show", {"deep": deep, "wide": [None] * 40000}))
            self.assertEqual(c.reply(1)["name"], "lab")
            # every kind of value there is, skipped rightly
            every = [None, True, 0, 127, -1, -32, 200, 60000, 1 << 31, 1 << 63, -100, -30000,
                     -(1 << 31), -(1 << 63), 1.5, "", "x" * 31, "x" * 255, "x" * 9000, b"",
                     b"y" * 255, b"y" * 9000, {}, {1: {2: 3}}, list(range(300)),
                     *(msgpack.ExtType(5, b"z" * n) for n in (0, 1, 2, 3, 4, 8, 16, 255, 9000))]
            c.send_raw(request("network.show", {"e": every, "f": 1}))
            self.assertEqual(c.reply(1)["name"], "lab")
            self.assertEqual(c.call("attach", x=every)["network"], "lab")
        self.assert_closes("one byte more", request("network.show",
                                                    {"pad": "x" * (RPC_MAX - fixed + 65001)}))
        self.pair.check()

    def test_notifications_and_stray_responses_are_ignored_and_counted(self):
        p = msgpack.packb
        rows = [p([2, "x", []]), p([2, "attach", [{}]]), p([2, "network.delete", [{"network": "lab"}]]),
                p([1, 1, None, {}]), p([1, 0xffffffff, ["denied", "no"], None]), p([1, 5, 7, 8]),
                p([2, "daemon.stop", []])]
        for path in ("lab/feth.sock", "control.sock"):
            before = self.counters()["ignored"]
            with h.Native(self.d.path(path)) as c:
                for row in rows:
                    c.send_raw(row)
                self.assertEqual(c.call("network.show", network="lab")["ports"], 2)
                self.assertEqual((c.notes, c.replies), ([], {}))
            self.assertEqual(self.counters()["ignored"] - before, len(rows))
        self.assertEqual(self.errors(), 0)
        self.pair.check()

    # -- dropped and counted --

    def test_frames_outside_the_bounds_are_dropped_and_counted(self):
        with self.d.attach(name="w") as w, self.d.attach(name="r") as r, self.d.qemu() as q:
            dst = h.BROADCAST
            for pack in (bin8, bin16, bin32):
                before = self.d.stats("w")
                for n in range(14):
                    w.send_raw(pack((dst + h.mac(1) + b"\x88")[:n]))
                    w.send_raw(request("hello"))  # and the stream is still in step
                    w.reply(1)
                h.taken(w)
                after = self.d.stats("w")
                self.assertEqual(after["drops"]["runt"] - before["drops"]["runt"], 14)
                self.assertEqual(after["rx_frames"] - before["rx_frames"], 14)
            least = h.frame(dst, h.mac(1))
            w.send_raw(bin8(least) + bin16(least) + bin32(least))
            for _ in range(3):
                self.assertEqual(r.recv(), least)
                self.assertEqual(q.recv(), least)

            cap = w.info["cap"]
            self.assertEqual(cap, 1518)
            tag = b"\x81\x00\x00\x05\x88\xb5"
            tagged = (dst + h.mac(1) + tag).ljust(cap, b"t")
            untagged = h.frame(dst, h.mac(1), size=cap - 4)
            self.pair.check()
            w.send(tagged, untagged)
            self.assertEqual([r.recv(None), r.recv(None)], [tagged, untagged])
            self.assertEqual([q.recv(None), q.recv(None)], [tagged, untagged])
            before = self.drops("w")["oversize"]
            over = [untagged + b"x", tagged + b"x", tagged.ljust(2000), tagged.ljust(FRAME_MAX)]
            for f in over:
                w.send_raw(bin32(f))
            self.assertTrue(r.silent(0.2, None))
            self.assertTrue(q.silent(0.1, None))
            self.assertEqual(self.drops("w")["oversize"] - before, len(over))
        self.pair.check()

    def test_frames_before_attach_and_after_detach_are_dropped_and_counted(self):
        f = h.frame(h.BROADCAST, h.mac(1), b"too early")
        with self.d.native() as c, self.d.attach(name="r") as r:
            c.send(*[f] * 7)
            c.send_raw(bin8(b"") + bin32(f.ljust(FRAME_MAX)))  # nobody looks at these either
            c.send_raw(ext32(1, b"0" * 12 + f))
            self.assertEqual(c.call("hello")["network"], "lab")
            self.assertEqual(self.drops(), {"detached": 9, "bad_offload": 1})
            r.send(f)
            c.call("attach", name="c")
            self.assertEqual(c.frames, [])
            r.send(f)
            self.assertEqual(c.recv(), f)
            c.call("detach")
            r.send(f)
            c.send(*[f] * 3)
            self.assertTrue(r.silent())
            self.assertTrue(c.silent())
            self.assertEqual(self.drops(), {"detached": 12, "bad_offload": 1})
            with self.assertRaises(h.RpcError) as e:
                c.call("detach")
            self.assertEqual(e.exception.code, "not_found")
            c.call("attach", name="c")
            c.send(f)
            self.assertEqual(r.recv(), f)
        self.pair.check()

    def test_ext_objects_are_dropped_and_counted(self):
        with self.d.attach(name="w") as w, self.d.attach(name="r") as r:
            n = 0
            body = b"\0" * 12 + h.frame(h.BROADCAST, h.mac(1), b"offload")
            for kind in (0, 1, 2, 3, 63, 64, 127, -1, -128):
                k = struct.pack("b", kind)
                for raw in (b"\xd4" + k + b"a", b"\xd5" + k + b"ab", b"\xd6" + k + b"abcd",
                            b"\xd7" + k + b"a" * 8, b"\xd8" + k + b"a" * 16, b"\xc7\x00" + k,
                            b"\xc7" + bytes([len(body)]) + k + body,
                            b"\xc8" + struct.pack("!H", len(body)) + k + body,
                            b"\xc9" + struct.pack("!I", len(body)) + k + body,
                            ext32(kind, b"z" * (FRAME_MAX + 12))):
                    w.send_raw(raw)
                    n += 1
                w.call("network.show")
            self.assertEqual(self.drops("w"), {"bad_offload": n})
            self.assertTrue(r.silent(0.2, None))
            f = h.frame(h.BROADCAST, h.mac(1), b"plain")
            w.send(f)
            self.assertEqual(r.recv(), f)
        self.pair.check()

    # -- cut --

    def mixed(self, n):
        """A stream with one of everything: its bytes, the frames a peer gets, the msgids answered."""
        fs = [h.frame(h.BROADCAST, h.mac(1), struct.pack("!I", n), size=s) for s in (14, 18, 60)]
        stream = b"".join((
            request("detach", msgid=1), bin8(fs[0]),  # dropped: detached
            request("attach", {"mac": "02:00:00:00:77:01", "name": "cut"}, 2), bin8(fs[1]),
            b"\xd7\x01abcdefgh", bin16(fs[2]), msgpack.packb([2, "note", [{"x": b"y"}]]),
            b"\xc4\x03abc",  # dropped: runt
            request("network.show", {"x": [1, -7, 2.5, None, "z" * 40]}, 3), b"\xc7\x02\x03ab",
            bin32(fs[0]), b"\xdc\x00\x04\x00\xcd\x00\x04\xd9\x05hello\xdc\x00\x00"))
        return stream, [fs[1], fs[2], fs[0]], {1, 2, 3, 4}

    def expect(self, c, r, frames, msgids):
        for f in frames:
            self.assertEqual(r.recv(), f)
        for msgid in msgids:
            c.reply(msgid)
        self.assertEqual((c.frames, c.notes, c.replies, r.frames), ([], [], {}, []))

    def test_cut_anywhere_in_two(self):
        with self.d.attach(name="cut") as c, self.d.attach(name="r") as r:
            length = len(self.mixed(0)[0])
            for cut in range(1, length):
                stream, frames, msgids = self.mixed(cut)
                c.send_raw(stream[:cut])
                h.taken(c)
                if cut % 16 == 0:
                    self.pair.check(1)
                c.send_raw(stream[cut:])
                self.expect(c, r, frames, msgids)
        drops = self.drops()
        self.assertEqual(drops, {"detached": length - 1, "runt": length - 1,
                                 "bad_offload": 2 * (length - 1)})
        self.assertEqual(self.counters()["ignored"], length - 1)

    def test_byte_by_byte(self):
        with self.d.attach(name="cut") as c, self.d.attach(name="r") as r:
            for n in range(4):
                stream, frames, msgids = self.mixed(n)
                for b in stream:
                    c.send_raw(bytes([b]))
                    h.taken(c)
                self.expect(c, r, frames, msgids)
        self.pair.check()

    def test_cut_around_the_size_of_one_read(self):
        """A frame, a call and a frame lie across the 256 KiB that are read at once."""
        with self.d.attach(name="cut") as c, self.d.attach(name="r") as r:
            for shift in range(-64, 65, 3):
                filler = b"\xc5\x00\x01x" * ((262144 - shift - 100) // 4)  # runts
                stream, frames, msgids = self.mixed(shift + 100)
                c.send_raw(filler + stream)
                self.expect(c, r, frames, msgids)
        self.pair.check()

    def test_clients_vanish_at_every_byte(self):
        stream, _, _ = self.mixed(0)
        for cut in range(1, len(stream), 2):
            with self.d.attach() as c:
                c.send_raw(stream[:cut])
                if cut % 3:
                    h.taken(c)
        self.pair.check()
        h.poll_until("only the pair is left",
                     lambda: self.d.call("network.show", network="lab")["ports"] == 2)

    def test_random_and_mutilated_streams(self):
        rnd = random.Random(42)
        good = self.mixed(1)[0]
        for i in range(300):
            data = bytearray(good * 3)
            for _ in range(rnd.randrange(1, 6)):
                at = rnd.randrange(len(data))
                if rnd.random() < 0.5:
                    data[at] = rnd.randrange(256)
                else:
                    del data[at : at + rnd.randrange(1, 9)]
            if i % 5 == 0:
                data = rnd.randbytes(rnd.randrange(1, 3000))
            path = "control.sock" if i % 7 == 0 else "lab/feth.sock"
            with h.Native(self.d.path(path)) as c:
                try:
                    c.send_raw(bytes(data))
                    h.taken(c)
                except (BrokenPipeError, ConnectionResetError):
                    pass
            if i % 20 == 0:
                self.pair.check(2)
        self.assertEqual(self.d.call("network.show", network="lab")["name"], "lab")
        self.pair.check()


class QemuWire(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon()
        self.addCleanup(self.d.__exit__, None, None, None)
        self.d.create("lab")
        self.pair = h.Pair(self.d)
        self.addCleanup(self.pair.close)

    def drops(self, name):
        return self.d.stats(name)["drops"]

    def attached(self):
        """A QEMU client that is a port, and its name."""
        before = {p["name"] for p in self.d.ports()}
        q = self.d.qemu()
        name = h.poll_until("it is a port",
                            lambda: {p["name"] for p in self.d.ports()} - before).pop()
        return q, name

    def test_lengths_that_are_dropped_and_counted(self):
        q, name = self.attached()
        with q, self.d.attach(name="r") as r:
            dst = h.BROADCAST
            good = h.frame(dst, h.mac(1), b"good")
            for n in (0, 1, 12, 13):
                q.send((dst + h.mac(1) + b"\x88\xb5")[:n])
                q.send(good)
                self.assertEqual(r.recv(), good)
            self.assertEqual(self.drops(name), {"runt": 4})
            least = h.frame(dst, h.mac(1))
            cap = (dst + h.mac(1) + b"\x88\xa8\x00\x05").ljust(1518, b"t")
            q.send(least, cap)
            self.assertEqual([r.recv(None), r.recv(None)], [least, cap])
            for n in (1519, 9000, 65553, 65554, 69631, 69632):
                q.send(cap.ljust(n, b"x"), good)
                self.assertEqual(r.recv(None), good)
            self.assertEqual(self.drops(name), {"runt": 4, "oversize": 6})
            self.assertEqual(self.d.stats(name)["rx_frames"], 4 * 2 + 2 + 6 * 2)
        self.pair.check()

    def test_lengths_over_69632_close(self):
        before = self.d.call("daemon.show")["counters"]["protocol_error"]
        rows = (69633, 70000, 0x00ffffff, 0x7fffffff, 0x80000000, 0xffffffff)
        good = h.frame(h.BROADCAST, h.mac(1), b"good")
        with self.d.attach(name="r") as r:
            for n in rows:
                for lead in (b"", struct.pack("!I", len(good)) + good):
                    q, name = self.attached()
                    with q:
                        try:
                            q.send_raw(lead + struct.pack("!I", n) + b"x" * 100)
                        except (BrokenPipeError, ConnectionResetError):
                            pass
                        self.assertTrue(q.closed(5), n)
                    if lead:
                        self.assertEqual(r.recv(), good)
                self.pair.check(2)
            self.assertTrue(r.silent())
        counters = self.d.call("daemon.show")["counters"]
        self.assertEqual(counters["protocol_error"] - before, 2 * len(rows))
        self.assertEqual(self.d.log.count(": protocol error "), 2 * len(rows))

    def stream(self, n):
        fs = [h.frame(h.BROADCAST, h.mac(1), struct.pack("!I", n), size=s) for s in (14, 60, 200)]
        fs.insert(1, b"")
        fs.insert(3, b"x")
        fs.insert(4, b"x" * 13)
        return b"".join(struct.pack("!I", len(f)) + f for f in fs), [f for f in fs if len(f) > 13]

    def test_cut_anywhere_in_two(self):
        q, name = self.attached()
        with q, self.d.attach(name="r") as r:
            length = len(self.stream(0)[0])
            for cut in range(1, length):
                data, frames = self.stream(cut)
                q.send_raw(data[:cut])
                h.taken(q)
                q.send_raw(data[cut:])
                for f in frames:
                    self.assertEqual(r.recv(), f)
                if cut % 16 == 0:
                    self.pair.check(1)
            self.assertEqual(self.drops(name), {"runt": 3 * (length - 1)})
            for b in self.stream(9999)[0]:
                q.send_raw(bytes([b]))
                h.taken(q)
            for f in self.stream(9999)[1]:
                self.assertEqual(r.recv(), f)
            self.assertTrue(r.silent())
        self.pair.check()

    def test_clients_vanish_at_every_byte(self):
        data, _ = self.stream(0)
        for cut in range(0, len(data), 3):
            with self.d.qemu() as q:
                q.send_raw(data[:cut])
        self.pair.check()
        h.poll_until("only the pair is left",
                     lambda: self.d.call("network.show", network="lab")["ports"] == 2)

    def test_native_bytes_on_the_qemu_socket_close(self):
        for data in (request("attach", {"name": "x"}), bin8(h.frame(h.BROADCAST, h.mac(1)))):
            q, _ = self.attached()
            with q:
                q.send_raw(data)
                self.assertTrue(q.closed(5))
        self.pair.check()


if __name__ == "__main__":
    h.main()
