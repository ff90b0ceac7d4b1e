"""test_darwin.py - what only exists on macOS, on a simulated Darwin kernel: pairs that outlive their
daemon and are destroyed under it, limits captured at create, faults of the kernel, both ways in.

FETHD_DARWIN_PROFILE names the release; FETHD_SEED the soak's random numbers.
"""
import contextlib
import os
import random
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402
import simhost as s  # noqa: E402

if not h.DARWIN:
    h.skip_all("FETHD_DARWIN_PROFILE names no release of macOS")
SEED = int(os.environ.get("FETHD_SEED", "1"))
OPERATIONS = int(os.environ.get("FETHD_OPERATIONS", "2000"))
RELEASE = float(h.DARWIN)
MTU_BPF_OLD = 2034  # 2048 bytes less a header: BPF's limit up to macOS 13


def unasked(recv, *args):
    """The next frame that is not of the switch's own: no query, and no announcement of the host."""
    while (f := recv(*args))[12:14] != h.ETHERTYPE.to_bytes(2, "big"):
        pass
    return f


class Base(unittest.TestCase):
    def setUp(self):
        self.d = h.Daemon()
        self.addCleanup(self.d.__exit__, None, None, None)
        self.system, self.machine = self.d.system, self.d.system.machine

    def whole(self, row, seconds=10.0):
        h.poll_until(f"{row['name']} is as it is declared to be", lambda: self.system.agrees(row), seconds)

    @contextlib.contextmanager
    def anew(self, *readers):
        """Whatever is done within has a network's host side made anew."""
        was = self.d.log.count("made anew")
        yield
        h.poll_until("it was made anew",
                     lambda: h.drain(*readers) or self.d.log.count("made anew") > was)

    @contextlib.contextmanager
    def frozen(self):
        """The daemon sees what is done within when it is over."""
        self.d.proc.send_signal(signal.SIGSTOP)
        stat = f"/proc/{self.d.proc.pid}/stat"
        h.poll_until("it stands still", lambda: ") T " in h.text_of(stat))
        try:
            yield
        finally:
            self.d.proc.send_signal(signal.SIGCONT)

    def talk(self, row, a, mac=h.mac(1), size=60, n=3):
        """Broadcasts go both ways, unchanged and in order; `a` is a client."""
        host = h.host(self.d, row["name"])
        own = bytes.fromhex(row["mac"].replace(":", ""))
        h.drain(a)
        self.machine.input(row["host"])
        for i in range(n):
            f = h.frame(h.BROADCAST, mac, b"from a client %d" % i, size=size)
            a.send(f)
            self.assertEqual(unasked(host.recv), f)
            f = h.frame(h.BROADCAST, own, b"from the host %d" % i, size=size)
            host.send(f)
            self.assertEqual(unasked(a.recv, None), f)

    def refused(self, code, words, **params):
        """A create that fails, leaves nothing and takes nothing from the others."""
        before = self.system.everything(), self.d.call("network.list")
        descriptors = self.descriptors()
        with self.assertRaises(h.RpcError) as e:
            self.d.create(**params)
        self.assertEqual(e.exception.code, code, e.exception)
        for word in words:
            self.assertIn(word, e.exception.message)
        self.assertRegex(e.exception.message, r"\A[^\n]{20,400}\Z")
        self.assertEqual((self.system.everything(), self.d.call("network.list")), before)
        self.assertEqual(self.descriptors(), descriptors)

    def descriptors(self):
        """What the daemon has open when it is idle: once it has looked at the news."""
        n, same = self.machine.descriptors(), 0
        while same < 5:
            self.d.call("daemon.show")
            was, n = n, self.machine.descriptors()
            same = same + 1 if n == was else 0
        return n


class Destroyed(Base):
    """By another program, as ZeroTier's start does."""

    def test_it_comes_back_and_its_clients_stay(self):
        r = self.d.create("lab", mtu=4000, mac="02:00:00:00:00:77",
                          addresses=["10.0.0.1/24", "2001:db8::1/64"])
        self.assertTrue(self.system.agrees(r))
        with self.d.attach(name="a") as a, self.d.qemu() as q:
            h.poll_until("two ports", lambda: len(self.d.ports()) == 3)
            for members in (("host", "service"), ("service", "host"), ("host",), ("service",)):
                for busy_calls, busy_us in ((0, 0), (3, 0), (0, 50000)):
                    with self.subTest(members, busy_calls=busy_calls, busy_us=busy_us):
                        self.machine.knob("busy_calls", busy_calls)
                        self.machine.knob("busy_us", busy_us)
                        with self.anew():
                            for m in members:
                                with contextlib.suppress(s.SimError):  # the daemon may be quicker
                                    self.machine.destroy(r[m])
                        self.whole(r)
                        self.talk(r, a)
                        self.talk(r, q)
            self.assertEqual(a.call("network.show"), dict(r, ports=2))
            # all they hear is that the wire to the host was broken for a moment
            self.assertEqual({name for name, _ in a.notes}, {"network.changed"})
            self.assertEqual([dict(n, carrier=True) for _, n in a.notes], [dict(r, ports=2)] * len(a.notes))
            self.assertTrue(a.notes[-1][1]["carrier"])
            self.assertEqual({p["name"] for p in self.d.ports()}, {"host", "a", "qemu-1"})

    def test_while_its_name_is_taken_by_somebody_else_it_waits(self):
        r = self.d.create("lab", addresses=["10.0.0.1/24"])
        with self.d.attach() as a, self.d.attach() as b:
            with self.frozen():
                self.machine.destroy(r["host"], r["service"])
                self.machine.act("create", r["host"])
            theirs = self.machine.interface(r["host"])
            h.poll_until("it was noticed", lambda: "lost its host side" in self.d.log)
            f = h.frame(h.BROADCAST, h.mac(1), b"meanwhile")
            a.send(f)
            self.assertEqual(b.recv(), f)
            time.sleep(1.2)  # another try
            self.assertEqual(self.machine.interface(r["host"]), theirs)
            self.assertEqual(self.d.call("network.show", network="lab")["host"], r["host"])
            self.machine.destroy(r["host"])
            self.whole(r)
            self.talk(r, a)

    def test_all_networks_at_once(self):
        rows = [self.d.create(f"n{i}", addresses=[f"10.0.{i}.1/24"]) for i in range(10)]
        self.machine.knob("busy_calls", 2)
        for _ in range(3):
            for r in rows:
                with contextlib.suppress(s.SimError):
                    self.machine.destroy(r["service"])
                with contextlib.suppress(s.SimError):
                    self.machine.destroy(r["host"])
            for r in rows:
                self.whole(r, 20)
        with self.d.attach("n7") as a:
            self.talk(rows[7], a)

    def test_a_host_side_removed_while_frames_flow(self):
        r = self.d.create("lab")
        with self.d.attach() as a, self.d.attach() as b:
            with h.Flood(a, *[h.frame(h.BROADCAST, h.mac(1), size=600)] * 8, pause=0.001):
                for _ in range(10):
                    with self.anew(b):
                        self.machine.destroy(r["service"])
                    h.poll_until("whole", lambda: h.drain(b) or self.system.agrees(r))
            h.taken(a)
            h.drain(b)
            self.talk(r, a)

    def test_what_others_do_to_the_service_member_is_put_right(self):
        r = self.d.create("lab", mtu=2000)
        with self.d.attach() as a:
            for _ in range(3):
                self.machine.up(r["service"], False)
                self.whole(r)
                self.talk(r, a)
                self.machine.act("mtu", r["service"], 1000)
                self.whole(r)
                self.talk(r, a, size=2014)
        self.assertNotIn("made anew", self.d.log)

    def test_a_pair_that_was_parted_is_joined_again(self):
        r = self.d.create("lab", addresses=["10.0.0.1/24"])
        self.machine.act("create", "feth50")
        with self.d.attach() as a:
            self.talk(r, a)
            self.machine.act("unpeer", r["host"])
            self.assertFalse(self.system.agrees(r))
            self.whole(r, 20)
            self.talk(r, a)
            # somebody else's peer is theirs: it waits until it is let go
            with self.frozen():
                self.machine.act("unpeer", r["service"])
                self.machine.act("peer", r["host"], "feth50")
            h.poll_until("it was noticed", lambda: "lost its host side" in self.d.log, 20)
            time.sleep(1.2)  # another try
            self.assertEqual(self.machine.interface("feth50").peer, r["host"])
            self.machine.act("unpeer", "feth50")
            self.whole(r, 20)
            self.talk(r, a)


class Restart(Base):
    def test_the_old_pair_is_swept_and_made_again_under_the_same_names(self):
        want = dict(mtu=9000, mac="02:00:00:00:00:77", addresses=["10.0.0.1/24", "2001:db8::1/64"])
        r = self.d.create("lab", **want)
        self.d.kill()
        there = self.machine.feths()
        self.assertEqual(sorted(there), self.system.names(r))  # nothing held them but themselves
        self.assertEqual((there[r["service"]].n_bpf, there[r["service"]].n_ndrv), (0, 0))
        self.machine.knob("busy_us", 30000)
        self.d.start()
        self.assertEqual(self.system.left(), [])
        self.assertIn("removed pairs=1", self.d.new_log)
        self.assertEqual(self.d.create("lab", **want), r)
        self.assertTrue(self.system.agrees(r))
        with self.d.attach() as a:
            self.talk(r, a, size=9014)

    def test_one_that_was_half_gone_or_parted_or_changed(self):
        m = self.machine
        for what, damage in (
                ("host gone", lambda r: m.destroy(r["host"])),
                ("service gone", lambda r: m.destroy(r["service"])),
                ("both gone", lambda r: m.destroy(r["host"], r["service"])),
                ("parted", lambda r: m.act("unpeer", r["host"])),
                ("down", lambda r: (m.up(r["host"], False), m.up(r["service"], False))),
                ("other MAC", lambda r: m.act("mac", r["host"], "02:00:00:00:99:99"))):
            with self.subTest(what):
                r = self.d.create("lab")
                self.d.kill()
                damage(r)
                self.d.start()
                self.assertEqual(self.system.left(), [])
                self.assertEqual(self.d.create("lab"), r)
                self.assertTrue(self.system.agrees(r))
                self.d.call("network.delete", network="lab")

    def test_what_is_not_ours_is_left_alone(self):
        m = self.machine
        for name in ("feth0", "feth5000", "feth100", "feth12345"):
            m.act("create", name)
        m.act("peer", "feth0", "feth5000")
        m.up("feth0")
        r = self.d.create("lab")
        gone = self.d.create("gone")
        foreign = {n: i for n, i in m.feths().items() if n not in self.system.names(r, gone)}
        self.d.kill()
        # meanwhile somebody else has made what has our names
        m.destroy(gone["host"], gone["service"])
        m.act("create", gone["host"])
        m.act("create", gone["service"])
        m.act("peer", gone["host"], gone["service"])
        foreign.update({n: m.interface(n) for n in self.system.names(gone)})
        self.d.start()
        self.assertEqual(m.feths(), foreign)
        again = self.d.create("gone")
        self.assertNotIn(again["host"], foreign)
        self.d.create("lab")
        self.d.call("network.delete", network="gone")
        self.assertEqual(self.d.stop(), 0)
        self.assertEqual(m.feths(), foreign)

    def test_killed_many_times_at_any_moment(self):
        rnd = random.Random(SEED)
        for i in range(15):
            c = self.d.control()
            for k in range(4):
                c.request("network.create", network=f"n{k}", backend="feth", addresses=[f"10.0.{k}.1/24"])
                c.request("network.set", network=f"n{k}", mtu=2000 + i)
            time.sleep(rnd.random() * 0.06)
            self.d.kill()
            c.close()
            self.d.start()
            left = self.machine.feths()
            # between the create of an interface and its MAC there is nothing to know it by
            nobodys = {n for n, f in left.items() if f.mac.startswith("66:65:74:68")}
            self.assertEqual(set(left) - nobodys, set(), self.d.log[-2000:])
            self.assertLessEqual(len(nobodys), 1)
            for n in nobodys:
                self.machine.destroy(n)

    def test_stopping_leaves_nothing(self):
        for i in range(5):
            self.d.create(f"n{i}", addresses=[f"10.0.{i}.1/24"])
        with self.d.attach("n0"), self.d.qemu("n1"):
            self.assertEqual(self.d.stop(), 0)
        self.assertEqual(self.system.left(), [])
        self.assertEqual(self.machine.descriptors(), 0)


class Refused(Base):
    def test_settings_that_would_damage_frames(self):
        settings = [("hwcsum", 1, 0), ("bsd_mode", 0, 1)]
        if RELEASE >= 12:
            settings += [("fcs", 1, 0), ("trailer_length", 4, 0)]
        if RELEASE >= 13:
            settings += [("tso_support", 1, 0)]
        if RELEASE >= 15:
            settings += [("lro", 1, 0), ("separate_frame_header", 1, 0)]
        for name, bad, good in settings:
            with self.subTest(name):
                self.machine.sysctl(name, bad)
                self.refused("system", (f"net.link.fake.{name}={good}",), network="lab")
                self.machine.sysctl(name, good)
                self.d.create("lab")
                self.d.call("network.delete", network="lab")

    def test_each_call_in_turn(self):
        """The first call of each name fails, the second, and so on, until there are no more."""
        r = self.d.create("other")
        want = dict(network="lab", mtu=3000, addresses=["10.0.0.1/24", "2001:db8::1/64"], up=False)
        failed, open_ones = 0, self.descriptors()
        for call in ("SIOCIFCREATE", "SIOCSIFLLADDR", "SIOCSDRVSPEC", "SIOCSIFMTU", "SIOCSIFFLAGS",
                     "SIOCAIFADDR", "SIOCAIFADDR_IN6", "socket", "open", "bind", "connect",
                     "BIOCSBLEN", "BIOCIMMEDIATE", "BIOCSSEESENT", "BIOCSHDRCMPLT", "BIOCSETIF",
                     "BIOCSNOTSTAMP", "BIOCSDVRTIN", "sysctlbyname"):
            for after in range(1, 100):
                for number, code in ((s.EPERM, "denied"), (s.ENOBUFS, "system")):
                    with self.subTest(call, after=after, number=number):
                        self.machine.fail(call, number, after)
                        before = self.system.everything()
                        try:
                            row = self.d.create(**want)
                        except h.RpcError as e:
                            failed += 1
                            self.assertIn(e.code, (code, "invalid") if call == "sysctlbyname" else (code,), e)
                            self.assertRegex(e.message, r"\Alab: [^\n]{20,400}\Z")
                            row = None
                        more = self.machine.knob("fail_after") == 0  # it was used
                        self.machine.knob("fail_after", 0)
                        if row:
                            self.assertTrue(self.system.agrees(row))
                            self.d.call("network.delete", network="lab")
                        self.assertEqual(self.system.everything(), before)
                        self.assertEqual(self.descriptors(), open_ones)
                if not more:
                    break
        self.assertGreater(failed, 30)
        with self.d.attach("other") as a:
            self.talk(r, a)

    def test_no_bpf_devices(self):
        # the highest number there is, and each network has one
        self.machine.knob("bpf_max", 4)
        made = []
        with self.assertRaises(h.RpcError) as e:
            for i in range(10):
                made.append(self.d.create(f"n{i}"))
        self.assertIn("/dev/bpf", e.exception.message)
        self.assertGreater(len(made), 1)
        self.assertEqual(self.system.left(), self.system.names(*made))
        self.refused("busy", ("/dev/bpf",), network="more")
        self.d.call("network.delete", network="n0")
        r = self.d.create("more")
        with self.d.attach("more") as a:
            self.talk(r, a)

    def test_not_root(self):
        uid = 501
        with h.Daemon(env={"FETHD_DARWIN_UID": str(uid)}) as d:
            self.assertEqual(d.call("network.create", network="lab")["backend"], "none")
            for params in (dict(mac="02:00:00:00:00:01"), dict(addresses=["10.0.0.1/24"]),
                           dict(up=True), dict(unit=h.UNIT_BASE + 200), dict(backend="feth")):
                with self.subTest(**params), self.assertRaises(h.RpcError) as e:
                    d.call("network.create", network="no", **params)
                self.assertEqual(e.exception.code, "denied", e.exception)
                self.assertIn("root", e.exception.message)
            pair = h.Pair(d)
            pair.check()
            pair.close()
            self.assertEqual(d.system.left(), [])
        # BPF devices that a group may open (Wireshark's ChmodBPF) do not make it root
        self.machine.knob("bpf_group_only", 1)

    def test_auto_is_feth_for_root(self):
        self.assertEqual(self.d.call("network.create", network="lab")["backend"], "feth")


class Mtu(Base):
    def test_what_was_captured_counts(self):
        if RELEASE < 12:  # no setting, so no limit but feth's own
            self.assertEqual(self.d.create("lab")["mtu_max"], 16370)
            return
        self.assertEqual(self.machine.sysctl("max_mtu"), 2048)
        r = self.d.create("lab")
        self.assertEqual((r["mtu_min"], r["mtu_max"]), (72, 16370))
        self.assertEqual(self.machine.sysctl("max_mtu"), 2048)  # put back
        # it cannot be raised: then it is what it is, for the life of the pair
        self.machine.refuse("sysctlbyname")
        low = self.d.create("low", mtu=2048)
        self.assertEqual(low["mtu_max"], 2048)
        self.refused("invalid", ("2048", "max_mtu"), network="lower", mtu=2049)
        self.machine.refuse(None)
        with self.assertRaises(h.RpcError) as e:
            self.d.call("network.set", network="low", mtu=2049)
        self.assertEqual(e.exception.code, "invalid")
        self.assertIn("2048", e.exception.message)
        self.assertTrue(self.system.agrees(low))
        self.assertEqual(self.d.call("network.set", network="lab", mtu=16370)["mtu"], 16370)
        with self.d.attach("low") as a:
            self.talk(low, a, size=2062)
        # made anew it captures what can be had by then
        self.machine.sysctl("max_mtu", 5000)
        self.machine.refuse("sysctlbyname")
        self.d.call("network.delete", network="low")
        self.assertEqual(self.d.create("low")["mtu_max"], 5000)
        self.machine.refuse(None)
        self.assertEqual(self.machine.sysctl("max_mtu"), 5000)


class Frames(Base):
    def exchange(self, host, a, own, frames):
        """Each of these goes both ways, alone and in one batch."""
        a.send(*frames)
        self.assertEqual([host.recv() for _ in frames], frames)
        back = [f[:6] + own + f[12:] for f in frames]
        host.send(*back)
        self.assertEqual([a.recv(None) for _ in back], back)

    def every_size(self, row, step=1):
        rnd = random.Random(SEED)
        host = h.host(self.d, row["name"])
        own = bytes.fromhex(row["mac"].replace(":", ""))
        mtu = row["mtu"]
        for attach in (self.d.attach, self.d.qemu):
            with attach(row["name"]) as a:
                h.poll_until("a port", lambda: len(self.d.ports(row["name"])) == 2)
                sizes = [n for n in range(14, mtu + 15) if n < 400 or n > mtu - 40 or not n % step]
                for at in range(0, len(sizes), 20):
                    self.exchange(host, a, own, [
                        h.frame(h.BROADCAST, h.mac(1), rnd.randbytes(n - 14)) for n in sizes[at : at + 20]])
                # with a tag they may be four bytes longer
                tagged = [h.BROADCAST + h.mac(1) + b"\x81\x00\x00\x07\x88\xb5" + rnd.randbytes(n - 18)
                          for n in (18, 19, 60, 61, mtu + 14, mtu + 15, mtu + 17, mtu + 18)]
                self.exchange(host, a, own, tagged)
            h.poll_until("it left", lambda: len(self.d.ports(row["name"])) == 1)
        self.assertEqual(self.d.stats("host", row["name"])["drops"], {})

    def test_every_size_and_jumbo(self):
        self.every_size(self.d.create("lab", multicast="flood"))
        self.every_size(self.d.create("big", mtu=16370, multicast="flood"), 61)

    def test_without_ndrv(self):
        """BPF injects then, within what the release's can."""
        self.machine.knob("no_ndrv", 1)
        row = self.d.create("lab", multicast="flood")  # frames are compared one by one: no queries between
        self.assertEqual(self.machine.interface(row["service"]).n_ndrv, 0)
        if RELEASE >= 14:
            self.assertEqual(row["mtu_max"], 16370)
            self.every_size(row)
            self.every_size(self.d.create("big", mtu=16370, multicast="flood"), 61)
            return
        self.assertEqual(row["mtu_max"], MTU_BPF_OLD)
        host = h.host(self.d)
        with self.d.attach() as a:  # no room for a tag at full MTU there
            own = bytes.fromhex(row["mac"].replace(":", ""))
            for n in range(14, 1515):
                self.exchange(host, a, own, [h.frame(h.BROADCAST, h.mac(1), size=n)])
            self.d.call("network.set", network="lab", mtu=MTU_BPF_OLD)
            self.exchange(host, a, own, [h.frame(h.BROADCAST, h.mac(1), size=2048)])
        self.refused("invalid", (str(MTU_BPF_OLD),), network="big", mtu=MTU_BPF_OLD + 1)

    def test_runts_never_reach_the_kernel(self):
        """One would be its panic: the machine would be gone."""
        for ndrv in (True, False):
            self.machine.knob("no_ndrv", not ndrv)
            name = f"n{ndrv:d}"
            row = self.d.create(name)
            host = h.host(self.d, name)
            with self.d.attach(name) as a, self.d.qemu(name) as q:
                good = h.frame(h.BROADCAST, h.mac(1))  # 14 bytes, the least
                for c in (a, q):
                    c.send(*[good[:n] for n in range(14)], good)
                    self.assertEqual(host.recv(), good)
                self.assertEqual(self.d.stats(network=name)["drops"], {"runt": 28})
                self.talk(row, a)

    def test_own_frames_do_not_come_back(self):
        row = self.d.create("lab")
        with self.d.attach() as a, self.d.attach() as b:
            for i in range(50):
                a.send(h.frame(h.BROADCAST, h.mac(1), b"%d" % i))
                b.recv()
            self.assertTrue(a.silent(0.2, None))
            self.assertEqual(self.d.stats("host")["rx_frames"], 0)
            self.assertEqual(len(self.machine.input(row["host"])), 50)

    def test_a_host_that_is_faster_than_the_daemon(self):
        """The kernel keeps what it has room for; what it has not is lost, and the rest goes on."""
        row = self.d.create("lab")
        own = bytes.fromhex(row["mac"].replace(":", ""))
        with self.d.attach() as a:
            self.talk(row, a)
            with self.frozen():
                frames = [h.frame(h.BROADCAST, own, b"%06d" % i, size=1000) for i in range(3000)]
                self.assertEqual(self.machine.output(row["host"], *frames), 3000)
            got = [a.recv(None)]
            while True:
                try:
                    got.append(a.recv(None, 0.5))
                except (TimeoutError, OSError):
                    break
            self.assertGreater(len(got), 100)
            numbers = [int(f[14:20]) for f in got]
            self.assertEqual(numbers, sorted(set(numbers)))
            self.talk(row, a)


class Soak(Base):
    """Anything at any time; in the end there is what is declared, and nothing else."""

    NAMES = [f"n{i}" for i in range(8)]

    def setUp(self):
        super().setUp()
        self.rnd = random.Random(SEED)
        self.rows = {}
        self.machine.act("create", "feth3")
        self.foreign = {"feth3": self.machine.interface("feth3")}
        self.done = {}

    def fields(self):
        rnd = self.rnd
        out = {}
        if rnd.random() < 0.5:
            out["mtu"] = rnd.choice((1280, 1500, 2048, 2049, 9000, 16370, rnd.randrange(1280, 16370)))
        if rnd.random() < 0.3:
            out["mac"] = h.mac_text(h.mac(rnd.randrange(1000, 60000)))
        if rnd.random() < 0.4:
            n = rnd.randrange(4)
            out["addresses"] = [f"10.{rnd.randrange(250)}.{i}.1/24" for i in range(n)] + (
                ["2001:db8::%x/64" % rnd.randrange(1, 9)] if rnd.random() < 0.5 else [])
        if rnd.random() < 0.3:
            out["up"] = rnd.random() < 0.7
        return out

    def attempt(self, damaged, method, **params):
        """The result, or None where it was refused because of what others did."""
        try:
            return self.d.call(method, **params)
        except h.RpcError as e:
            if not damaged:
                raise
            self.assertIn(e.code, ("system", "exists", "busy", "denied", "not_found"), e)
            return None

    def create(self, name):
        row = self.attempt(False, "network.create", network=name, backend="feth", **self.fields())
        self.rows[name] = row
        self.assertTrue(self.system.agrees(row), row)

    def change(self, name):
        damaged = not self.system.agrees(self.rows[name])
        row = self.attempt(damaged, "network.set", network=name, **self.fields())
        self.rows[name] = row or self.d.call("network.show", network=name)

    def delete(self, name):
        self.d.call("network.delete", network=name)
        self.rows.pop(name)

    def destroy(self, name):
        row = self.rows[name]
        for m in self.rnd.choice((("host",), ("service",), ("host", "service"))):
            with contextlib.suppress(s.SimError):
                self.machine.destroy(row[m])

    def meddle(self, name):
        row, rnd = self.rows[name], self.rnd
        with contextlib.suppress(s.SimError):
            what = rnd.randrange(12)
            if what < 5:
                self.machine.up(row["service"], False)
            elif what < 10:
                self.machine.act("mtu", row["service"], rnd.randrange(72, 2000))
            else:
                self.machine.act("unpeer", rnd.choice((row["host"], row["service"])))

    def frames(self, name):
        self.whole(self.rows[name], 20)
        if not self.rows[name]["up"]:
            return
        with self.d.attach(name) as a:
            self.talk(self.rows[name], a, size=self.rnd.choice((14, 60, 61, 1294)), n=1)

    def crash(self, name):
        self.d.kill()
        self.rows.clear()
        self.d.start()
        self.assertEqual(self.machine.feths(), self.foreign)

    def test_random_operations(self):
        print(f"seed {SEED}", file=sys.stderr, flush=True)
        acts = [(self.create, 20), (self.change, 25), (self.delete, 12), (self.destroy, 6),
                (self.meddle, 6), (self.frames, 30), (self.crash, 1)]
        for _ in range(OPERATIONS):
            if self.rnd.random() < 0.02:
                self.machine.knob("busy_calls", self.rnd.randrange(4))
                self.machine.knob("busy_us", self.rnd.choice((0, 0, 1000, 20000)))
            act, = self.rnd.choices([a for a, _ in acts], [w for _, w in acts])
            free = [n for n in self.NAMES if n not in self.rows]
            names = free if act == self.create else sorted(self.rows)
            if not names and act != self.crash:
                continue
            act(self.rnd.choice(names) if names else None)
            self.done[act.__name__] = self.done.get(act.__name__, 0) + 1
        print(self.done, file=sys.stderr, flush=True)
        # the last client may just be going
        h.poll_until("all are as they were made", lambda: {n["name"]: n for n in self.d.call(
            "network.list")["items"]} == self.rows)
        for row in self.rows.values():
            self.whole(row, 20)
        self.assertEqual(self.system.left(), sorted(self.system.names(*self.rows.values()) + ["feth3"]))
        self.assertEqual(self.d.stop(), 0)
        self.assertEqual(self.machine.feths(), self.foreign)
        self.assertEqual(self.machine.descriptors(), 0)


if __name__ == "__main__":
    h.main()
