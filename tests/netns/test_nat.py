"""test_nat.py - `--nat`: a client behind the host reaches another namespace, nobody there reaches the client;
rules and switches are as they were afterwards, also after kill -9. Needs root; namespaces of its own.
"""
import json
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from dhcpclient import Host
from harness import FETHCTL, Daemon, RpcError, main, poll_until, run_as, skip_all
from netlab import Namespace, Tap, require

ADDRESS = "10.77.0.1/24"
INSIDE, OUTSIDE = "192.0.2.1", "192.0.2.2"  # of the host towards the world, and of the world
FOREIGN = "table ip somebody { chain c { type filter hook forward priority 5; policy accept; }; }"


def living_groups():
    """The process group of each process that is no zombie, as text."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            state, _, group = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[:3]
            if state != "Z":
                yield group


class Base(unittest.TestCase):
    def setUp(self):
        self.ns = self.enterContext(Namespace())
        self.world = self.enterContext(Namespace())
        self.ns.ip(f"link add up0 type veth peer name up1 netns {self.world.name}")
        self.ns.ip(f"addr add {INSIDE}/24 dev up0")
        self.world.ip(f"addr add {OUTSIDE}/24 dev up1")
        self.ns.ip("link set up0 up")
        self.world.ip("link set up1 up")
        self.d = self.enterContext(Daemon(prefix=self.ns.prefix))

    def create(self, network="lab", **params):
        return self.d.create(network, **{"backend": "veth", "addresses": [ADDRESS], "nat": True, **params})

    def tables(self):
        return self.ns.run("nft", "list", "tables").stdout.split("\n")[:-1]

    def rules(self):
        return self.ns.run("nft", "list", "ruleset").stdout

    def switch(self, name, value=None):
        if value is not None:
            self.ns.sysctl(f"ipv4/{name}", value)
        return int(self.ns.run("cat", f"/proc/sys/net/ipv4/{name}").stdout)

    def switches(self):
        """All that forwarding touches."""
        return {name: self.switch(name) for name in
                ("ip_forward", "conf/all/accept_redirects", "conf/default/forwarding", "conf/up0/forwarding",
                 "conf/lo/forwarding")}

    def client(self, network="lab", address="10.77.0.9"):
        """A client that has its address by hand, and the host for its gateway."""
        c = Host(self.enterContext(self.d.attach(network)))
        c.ip = address
        c.server_mac = bytes.fromhex(self.d.call("network.show", network=network)["mac"].replace(":", ""))
        return c


class Translates(Base):
    def test_a_client_reaches_the_world_by_the_host_s_address(self):
        self.create(nat=False)
        client = self.client()
        self.assertFalse(client.ping(OUTSIDE, 1))
        self.assertIs(self.d.call("network.set", network="lab", nat=True)["nat"], True)
        with Tap(self.world, "up1") as tap:
            self.assertTrue(client.ping(OUTSIDE))
            sources = {f[26:30] for f, out in tap.drain() if not out and f[12:14] == b"\x08\0" and f[23] == 1}
            self.assertEqual(sources, {bytes((192, 0, 2, 1))})
        self.d.call("network.set", network="lab", nat=False)
        self.assertFalse(client.ping(OUTSIDE, 1))

    def test_nobody_reaches_the_client_unasked(self):
        self.create()
        client = self.client()
        self.assertTrue(client.ping(OUTSIDE))
        self.world.ip(f"route add 10.77.0.0/24 via {INSIDE}")
        self.assertFalse(self.world.ping("10.77.0.9", seconds=1))
        self.assertFalse(client.hears_ping(0.5))
        self.d.call("network.set", network="lab", nat=False)
        self.switch("ip_forward", 1)  # the same with forwarding alone: it was the rules that kept it out
        with subprocess.Popen([*self.world.prefix, "ping", "-q", "-c", "20", "-i", "0.1", "10.77.0.9"],
                              stdout=subprocess.DEVNULL) as ping:
            self.assertTrue(client.hears_ping(5))
            ping.kill()

    def test_two_networks_are_apart_and_both_get_out(self):
        self.create()
        self.create("dmz", addresses=["10.78.0.1/24"])
        a, b = self.client(), self.client("dmz", "10.78.0.9")
        self.assertTrue(a.ping(OUTSIDE) and b.ping(OUTSIDE))
        self.assertFalse(a.ping("10.78.0.9", 1))
        self.assertEqual(len(self.tables()), 2)
        self.d.call("network.delete", network="lab")
        self.assertEqual(len(self.tables()), 1)
        self.assertTrue(b.ping(OUTSIDE))

    def test_other_addresses(self):
        self.create()
        self.d.call("network.set", network="lab", addresses=["10.99.0.1/16", "fd00::1/64"])
        self.assertIn("ip saddr 10.99.0.0/16", self.rules())
        self.assertNotIn("10.77", self.rules())
        self.assertTrue(self.client(address="10.99.3.3").ping(OUTSIDE))

    def doctor(self):
        p = self.ns.run(FETHCTL, "--run-dir", self.d.run_dir, "doctor", "--json", check=False)
        return {c["check"]: c["verdict"] for c in json.loads(p.stdout)["checks"]}

    def test_what_somebody_flushed_is_there_again_after_a_set(self):
        self.create()
        doctor = self.doctor()
        self.assertEqual((doctor["nat-rules"], doctor["forwarding"], doctor["firewall"]), ("ok",) * 3)
        self.ns.run("nft", "flush", "ruleset")
        self.switch("ip_forward", 0)
        doctor = self.doctor()
        self.assertEqual((doctor["nat-rules"], doctor["forwarding"]), ("fail", "fail"))
        self.d.call("network.set", network="lab", nat=True)
        self.assertTrue(self.client().ping(OUTSIDE))
        doctor = self.doctor()
        self.assertEqual((doctor["nat-rules"], doctor["forwarding"]), ("ok", "ok"))

    def test_doctor_sees_a_firewall(self):
        self.create()
        self.ns.run("nft", "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }")
        self.assertFalse(self.client().ping(OUTSIDE, 1))
        self.assertEqual(self.doctor()["firewall"], "warn")

    def test_the_pair_is_made_anew(self):
        net = self.create()
        client = self.client()
        self.ns.ip(f"link del {net['host']}")
        poll_until("it is here again", lambda: net["host"] in self.ns.links())
        self.assertTrue(client.ping(OUTSIDE))

    def test_dhcp_names_the_gateway(self):
        self.create(dhcp=True)
        client = Host(self.enterContext(self.d.attach()))
        client.lease()
        self.assertEqual(client.option(3), "10.77.0.1")
        self.assertTrue(client.ping(OUTSIDE))


class Restores(Base):
    def setUp(self):
        super().setUp()
        self.ns.run("nft", FOREIGN)
        self.switch("conf/up0/forwarding", 1)  # one that forwarded by itself
        self.switch("conf/all/accept_redirects", 0)
        self.before = self.switches()
        self.assertEqual(self.before["ip_forward"], 0)

    def as_before(self, tables=("table ip somebody",)):
        self.assertEqual(self.tables(), list(tables))
        self.assertEqual(self.switches(), self.before)
        self.assertFalse(os.path.exists(self.d.path("nat.state")))

    def on(self, **params):
        self.create(**params)
        self.assertEqual(len(self.tables()), 2)
        self.assertEqual(self.switch("ip_forward"), 1)

    def test_off(self):
        self.on()
        self.d.call("network.set", network="lab", nat=False)
        self.as_before()

    def test_delete(self):
        self.on()
        self.d.call("network.delete", network="lab")
        self.as_before()

    def test_stop(self):
        self.on()
        self.assertEqual(self.d.stop(), 0)
        self.as_before()

    def test_the_last_of_two(self):
        self.on()
        self.create("dmz", addresses=["10.78.0.1/24"])
        self.d.call("network.delete", network="lab")
        self.assertEqual(self.switch("ip_forward"), 1)
        self.d.call("network.set", network="dmz", nat=False)
        self.as_before()

    def test_a_crash(self):
        self.on()
        with Daemon(prefix=self.ns.prefix) as other:  # whose run directory is another
            other.create("lab", backend="veth", unit=222, addresses=["10.88.0.1/24"], nat=True)
            self.d.kill()
            self.d.start()
            self.assertEqual(len(self.tables()), 2, "that of the other is left alone")
            self.assertIn("10.88.0.0/24", self.rules())
            self.assertFalse(os.path.exists(self.d.path("nat.state")))
            self.assertIn("removed rules=1", self.d.log)
        self.assertEqual(self.tables(), ["table ip somebody"])

    def test_a_crash_and_nobody_else(self):
        self.on()
        self.d.kill()
        self.assertEqual(len(self.tables()), 2)
        self.d.start()
        self.as_before()
        self.on()

    def test_what_is_remembered_counts_for_this_boot_and_namespace_only(self):
        self.on()
        self.d.kill()
        path = self.d.path("nat.state")
        with open(path) as f:
            lines = f.read().split("\n")
        with open(path, "w") as f:
            f.write("\n".join(["another-boot net:[1]", *lines[1:]]))
        self.d.start()
        self.assertEqual(self.tables(), ["table ip somebody"])
        self.assertEqual(self.switch("ip_forward"), 1)

    def test_nonsense_in_the_file_writes_nowhere(self):
        self.on()
        self.d.kill()
        with open(self.d.path("nat.state"), "a") as f:
            f.write("conf/../tcp_sack/forwarding 0\n../ipv6/conf/all/forwarding 1\ntcp_timestamps 0\nconf/up0/forwarding 7\n"
                    "conf/./forwarding 1\nconf//forwarding 1\n\nip_forward\n" + "x" * 900 + " 1\n")
        names = ("tcp_sack", "tcp_timestamps", "../ipv6/conf/all/forwarding")
        before = [self.switch(n) for n in names]
        self.d.start()
        self.as_before()
        self.assertEqual([self.switch(n) for n in names], before)

    def test_forwarding_that_was_on_stays_on(self):
        self.switch("ip_forward", 1)
        self.create()
        self.d.call("network.set", network="lab", nat=False)
        self.assertEqual(self.switch("ip_forward"), 1)
        self.assertEqual(self.tables(), ["table ip somebody"])

    def test_without_root(self):
        """--rootless: rules and forwarding are those of the daemon's own namespace."""
        with Daemon("--rootless", uid=1000) as d:
            def use():
                d.call("network.create", network="lab", addresses=[ADDRESS], nat=True)
                inside = d.ctl("enter", "lab", "--", "sh", "-c", "nft list tables; cat /proc/sys/net/ipv4/ip_forward")
                d.call("network.set", network="lab", nat=False)
                after = d.ctl("enter", "lab", "--", "sh", "-c", "nft list tables; cat /proc/sys/net/ipv4/ip_forward")
                return inside.stdout, after.stdout
            inside, after = run_as((1000, 1000, []), use)
            self.assertRegex(inside, r"\Atable ip fethd-[0-9a-f]{16}-lab\n1\n\Z")
            self.assertEqual(after, "0\n")

    def tool(self, script):
        """What the daemon finds for nft from now on."""
        tools = f"{self.d.dir}/tools"
        os.makedirs(tools, exist_ok=True)
        with open(f"{tools}/new", "w") as f:
            f.write(f"#!/bin/sh\n{script}\n")
        os.chmod(f"{tools}/new", 0o755)
        os.rename(f"{tools}/new", f"{tools}/nft")
        if "FETHD_TOOLS" not in self.d.env:
            self.d.stop()
            self.d.env["FETHD_TOOLS"] = tools
            self.d.start()

    REFUSES = "cat >/dev/null; echo 'Error: Operation not supported' >&2; exit 1"
    REAL = f'exec {shutil.which("nft")} "$@"'

    def test_what_nft_refuses_changes_nothing(self):
        net = self.create(nat=False)
        before = (self.d.call("network.show", network="lab"), self.ns.addresses(net["host"]))
        self.tool(self.REFUSES)
        self.create(nat=False)
        for call in (lambda: self.d.call("network.set", network="lab", nat=True, addresses=["10.99.0.1/24"]),
                     lambda: self.create("dmz", addresses=["10.78.0.1/24"])):
            with self.assertRaises(RpcError) as e:
                call()
            self.assertEqual(e.exception.code, "system")
            self.assertIn("Operation not supported", e.exception.message)
        self.assertEqual((self.d.call("network.show", network="lab"), self.ns.addresses(net["host"])), before)
        self.assertEqual([n["name"] for n in self.d.call("network.list")["items"]], ["lab"])
        self.as_before()

    def test_a_table_that_could_not_be_removed_is_removed_by_the_next_daemon(self):
        self.tool(self.REAL)
        self.on()
        self.tool(self.REFUSES)
        self.d.call("network.delete", network="lab")
        self.assertEqual(len(self.tables()), 2)
        self.assertEqual(self.switches(), self.before)
        self.assertRegex(self.d.log, "(?m)services: the rules of nat are still there net=lab: .*Operation not supported")
        for _ in range(2):  # the next one cannot, either
            self.assertEqual(self.d.stop(), 0)
            self.d.start()
            self.assertEqual(len(self.tables()), 2)
        self.tool(self.REAL)
        self.create("dmz", addresses=["10.78.0.1/24"])  # what that switches on is put back all the same
        self.assertEqual(self.switch("ip_forward"), 1)
        self.d.call("network.delete", network="dmz")
        self.assertEqual(self.switches(), self.before)
        self.d.stop()
        self.d.start()
        self.as_before()

    def test_forwarding_that_somebody_switched_off_and_fethd_on_again(self):
        self.on()
        self.switch("ip_forward", 0)
        self.switch("conf/up0/forwarding", 0)
        self.create("dmz", addresses=["10.78.0.1/24"])
        self.assertEqual(self.switch("ip_forward"), 1)
        for network in ("lab", "dmz"):
            self.d.call("network.delete", network=network)
        self.assertEqual((self.switch("ip_forward"), self.switch("conf/up0/forwarding")), (0, 0))

    def test_a_tool_that_does_not_end_is_killed(self):
        """With whatever it started, and also if it says no more."""
        self.tool(f"echo $$ >>{self.d.dir}/pids; exec >&- 2>&-; sleep 1000 & wait")
        with self.d.control() as c, self.assertRaises(RpcError) as e:
            c.sock.settimeout(60)
            c.call("network.create", network="lab", backend="veth", addresses=[ADDRESS], nat=True)
        self.assertEqual(e.exception.code, "system")
        self.assertIn("did not end", e.exception.message)
        with open(f"{self.d.dir}/pids") as f:
            groups = set(f.read().split())
        self.assertTrue(groups)
        poll_until("all are dead", lambda: not groups & set(living_groups()))
        self.assertEqual(self.d.call("network.list")["items"], [])
        self.assertEqual(self.switches(), self.before)

    def test_without_an_address_it_is_refused(self):
        for addresses in ([], ["fd00::1/64"]):
            with self.assertRaises(RpcError) as e:
                self.create(addresses=addresses)
            self.assertEqual(e.exception.code, "invalid")
            self.assertIn("no IPv4 address", e.exception.message)
        self.create()
        with self.assertRaises(RpcError) as e:
            self.d.call("network.set", network="lab", addresses=[])
        self.assertEqual(e.exception.code, "invalid")
        self.assertIn("10.77.0.0/24", self.rules())


if __name__ == "__main__":
    require("ping", "nft", "dnsmasq")
    with Namespace() as probe:
        if probe.run("nft", "add table ip t", check=False).returncode:
            skip_all("this kernel has no nftables")
    main()
