"""test_dhcp.py - `--dhcp`: a real dnsmasq on the host member, found by a client that asks; and that none is
left, however the daemon, the keeper or dnsmasq itself ends. Needs root; namespaces of its own.
"""
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from dhcpclient import Host
from harness import Daemon, RpcError, main, poll_until, run_as
from netlab import Namespace, require

ADDRESS, RANGE = "10.77.0.1/24", "10.77.0.128-10.77.0.254"
FILES = ["dnsmasq.conf", "dnsmasq.leases", "dnsmasq.pid"]


def processes(word):
    """pid -> arguments of every process that has this word among its arguments."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            args = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if word.encode() in args:
                found[int(pid)] = [a.decode() for a in args if a]
    return found


class Base(unittest.TestCase):
    def setUp(self):
        self.ns = self.enterContext(Namespace())
        self.d = self.enterContext(Daemon(prefix=self.ns.prefix))

    def create(self, network="lab", **params):
        return self.d.create(network, **{"backend": "veth", "addresses": [ADDRESS], "dhcp": True, **params})

    def mine(self, network="lab"):
        return processes(f"--conf-file={self.d.path(network, 'dnsmasq.conf')}")

    def keeper(self):
        return next((pid for pid, args in self.mine().items() if "--keeper" in args), None)

    def server(self):
        """The dnsmasq that is through with its beginning: it has its pid file, and is nobody."""
        for pid, args in self.mine().items():
            if "--keeper" not in args and os.path.exists(self.d.path("lab", "dnsmasq.pid")):
                with contextlib.suppress(OSError):
                    if os.stat(f"/proc/{pid}").st_uid != 0:
                        return pid
        return None

    def serving(self):
        return poll_until("dnsmasq serves", self.server)

    def nothing_left(self, network="lab"):
        poll_until("no dnsmasq is left", lambda: not self.mine(network))
        for name in FILES:
            self.assertFalse(os.path.exists(self.d.path(network, name)), name)

    def host(self, name=None):
        return Host(self.enterContext(self.d.attach()), name)


class Serves(Base):
    def test_a_client_gets_an_address_of_the_range(self):
        net = self.create()
        self.assertEqual((net["dhcp"], net["nat"]), (RANGE, False))
        host = self.host("penguin")
        self.assertIn(int(host.lease().rpartition(".")[2]), range(128, 255))
        self.assertTrue(host.ip.startswith("10.77.0."))
        self.assertEqual(host.option(1), "255.255.255.0")
        self.assertEqual(host.option(6), "10.77.0.1")
        self.assertIsNone(host.option(3))  # nothing is forwarded, so nobody is told to send it here
        self.assertEqual(host.server_mac.hex(":"), net["mac"])
        self.assertEqual(host.resolve("penguin"), host.ip)
        with open(self.d.path("lab", "dnsmasq.leases")) as f:
            self.assertIn(f"{host.client.info['mac']} {host.ip} penguin", f.read())
        again = self.host()
        self.assertNotEqual(again.lease(), host.ip)

    def test_a_range_that_was_asked_for(self):
        self.assertEqual(self.create(dhcp="10.77.0.9-10.77.0.9")["dhcp"], "10.77.0.9-10.77.0.9")
        self.assertEqual(self.host().lease(), "10.77.0.9")

    def test_dnsmasq_is_nobody_and_on_one_interface(self):
        net = self.create()
        pid = self.serving()
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
        self.assertNotIn("0", uids)
        sockets = self.ns.run("ss", "-Hlnutp").stdout
        local = [line.split()[4] for line in sockets.splitlines() if f"pid={pid}," in line]
        self.assertTrue(local)
        for address in local:
            ip = address.rpartition(":")[0]
            self.assertTrue(ip == "10.77.0.1" or ip.endswith(f"%{net['host']}") or
                            ip == f"[{self.link_local(net)}]%{net['host']}", address)
        for name, mode in zip(FILES, (0o600, 0o644, 0o644)):
            st = os.stat(self.d.path("lab", name))
            self.assertEqual(st.st_mode & 0o777, mode, name)

    def link_local(self, net):
        return next((a["local"] for a in self.ns.link(net["host"])["addr_info"] if a["family"] == "inet6"), "")

    def test_several_networks_have_one_each(self):
        self.create()
        self.create("dmz", addresses=["10.78.0.1/24"], dhcp="10.78.0.40-10.78.0.49")
        self.assertTrue(self.host().lease().startswith("10.77.0."))
        with self.d.attach("dmz") as c:
            self.assertTrue(Host(c).lease().startswith("10.78.0.4"))
        self.d.call("network.delete", network="dmz")
        self.nothing_left("dmz")
        self.assertEqual(len(self.mine()), 2)

    def test_without_root(self):
        """--rootless: in a namespace where one user is all there are."""
        with Daemon("--rootless", uid=1000) as d:
            word = f"--conf-file={d.path('lab', 'dnsmasq.conf')}"

            def ask():
                d.call("network.create", network="lab", addresses=[ADDRESS], dhcp=True)
                with d.attach() as c:
                    return Host(c).lease()
            self.assertTrue(run_as((1000, 1000, []), ask).startswith("10.77.0."))
            self.assertEqual({os.stat(f"/proc/{pid}").st_uid for pid in processes(word)}, {1000})
            d.kill()
            poll_until("nothing is left", lambda: not processes(word))

    def test_without_root_as_root(self):
        with Daemon("--rootless") as d:
            d.call("network.create", network="lab", backend="veth", addresses=[ADDRESS], dhcp=True)
            self.assertTrue(Host(self.enterContext(d.attach())).lease().startswith("10.77.0."))


class Changes(Base):
    def test_on_and_off(self):
        self.create(dhcp=False)
        self.nothing_left()
        self.assertEqual(self.d.call("network.set", network="lab", dhcp=True)["dhcp"], RANGE)
        self.serving()
        self.assertIs(self.d.call("network.set", network="lab", dhcp=False)["dhcp"], False)
        self.nothing_left()

    def test_another_range_and_other_addresses(self):
        self.create()
        self.d.call("network.set", network="lab", dhcp="10.77.0.20-10.77.0.29")
        self.assertTrue(self.host().lease().startswith("10.77.0.2"))
        with self.assertRaises(RpcError) as e:  # the range that was asked for is not in this subnet
            self.d.call("network.set", network="lab", addresses=["10.99.0.1/24"])
        self.assertEqual(e.exception.code, "invalid")
        self.d.call("network.set", network="lab", dhcp=True)
        shown = self.d.call("network.set", network="lab", addresses=["10.99.0.1/24"])
        self.assertEqual(shown["dhcp"], "10.99.0.128-10.99.0.254")  # one that was not follows
        self.assertTrue(self.host().lease().startswith("10.99.0."))

    def test_what_does_not_matter_to_it_leaves_it_alone(self):
        self.create()
        pid = self.serving()
        self.d.call("network.set", network="lab", mtu=9000, multicast="snoop")
        self.d.call("network.set", network="lab", addresses=[ADDRESS, "10.5.0.1/24"])
        self.assertEqual(self.server(), pid)

    def test_down_and_up(self):
        self.create()
        self.serving()
        self.d.call("network.set", network="lab", up=False)
        poll_until("none runs", lambda: not self.mine())
        self.d.call("network.set", network="lab", up=True)
        self.serving()

    def test_what_cannot_be(self):
        self.create(dhcp=False)
        before = self.d.call("network.show", network="lab")
        for dhcp, words in (("10.77.0.1-10.77.0.9", "own address"), ("10.78.0.1-10.78.0.9", "not in the subnet"),
                            ("10.77.0.9-10.77.0.1", "above"), ("10.77.0.9", "two IPv4 addresses"),
                            ("10.77.0.9-10.77.0.255", "broadcast"), (7, "dhcp"), ("", "dhcp")):
            with self.subTest(dhcp=dhcp), self.assertRaises(RpcError) as e:
                self.d.call("network.set", network="lab", dhcp=dhcp)
            self.assertEqual(e.exception.code, "invalid")
            self.assertIn(words, e.exception.message)
        with self.assertRaises(RpcError) as e:
            self.d.call("network.set", network="lab", dhcp=True, addresses=["fd00::1/64"])
        self.assertIn("no IPv4 address", e.exception.message)
        self.assertEqual(self.d.call("network.show", network="lab"), before)
        with self.assertRaises(RpcError) as e:
            self.d.create("private", backend="none", dhcp=True)
        self.assertEqual(e.exception.code, "invalid")
        self.assertIn("no host side", e.exception.message)
        self.nothing_left()


class Ends(Base):
    """None is left, and where one is wanted there is one again."""

    def test_delete_and_stop(self):
        self.create()
        self.serving()
        self.d.call("network.delete", network="lab")
        self.nothing_left()
        self.create()
        self.serving()
        self.assertEqual(self.d.stop(), 0)
        self.nothing_left()

    def test_dnsmasq_is_killed(self):
        self.create()
        pid = self.serving()
        os.kill(pid, signal.SIGKILL)
        poll_until("there is another", lambda: self.server() not in (None, pid))
        self.assertIn("killed by signal 9", self.d.log)

    def test_the_keeper_is_killed(self):
        self.create()
        pid, keeper = self.serving(), self.keeper()
        os.kill(keeper, signal.SIGKILL)
        poll_until("there are others", lambda: self.server() not in (None, pid) and self.keeper() not in (None, keeper))
        self.assertNotIn(pid, self.mine())
        self.assertEqual(len(self.mine()), 2)

    def test_the_daemon_is_killed(self):
        self.create()
        self.serving()
        self.d.kill()
        poll_until("the keeper has ended it", lambda: not self.mine())
        self.d.start()
        self.nothing_left()
        self.create()
        self.serving()

    def test_daemon_and_keeper_are_killed(self):
        """Then dnsmasq is alone in the world, until the next daemon comes."""
        self.create()
        pid, keeper = self.serving(), self.keeper()
        os.kill(self.d.proc.pid, signal.SIGSTOP)  # so that it does not see the keeper go
        os.kill(keeper, signal.SIGKILL)
        self.d.kill()
        self.assertEqual(list(self.mine()), [pid])
        self.d.start()
        self.nothing_left()

    def test_one_that_nobody_remembers(self):
        """Daemon, keeper and RUN/state gone: it has the port, and the name of the network to be known by."""
        self.create()
        pid, keeper = self.serving(), self.keeper()
        os.kill(self.d.proc.pid, signal.SIGSTOP)
        os.kill(keeper, signal.SIGKILL)
        self.d.kill()
        os.unlink(self.d.path("state"))
        self.d.start()
        self.create()
        self.assertNotIn(pid, self.mine())
        self.serving()
        self.assertNotIn("not running", self.d.new_log)

    def test_somebody_else_s_dnsmasq_is_left_alone(self):
        with subprocess.Popen([*self.ns.prefix, "dnsmasq", "--conf-file=/dev/null", "-k", "--port=0",
                               f"--pid-file={self.d.dir}/other.pid"], stdin=subprocess.DEVNULL) as other:
            try:
                self.create()
                self.serving()
                self.d.kill()
                self.d.start()
                self.create()
                self.serving()
                self.assertEqual(self.d.stop(), 0)
                self.assertIsNone(other.poll())
            finally:
                other.terminate()

    def test_the_pair_is_made_anew(self):
        net = self.create()
        pid = self.serving()
        self.ns.ip(f"link del {net['host']}")
        poll_until("there is another", lambda: self.server() not in (None, pid))
        self.assertTrue(self.host().lease().startswith("10.77.0."))

    def test_one_that_cannot_start_is_tried_less_and_less(self):
        """Somebody has port 53 of the address."""
        self.ns.ip("addr add 10.77.0.1/32 dev lo")
        with self.ns.entered():
            taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with taken:
            taken.bind(("10.77.0.1", 53))
            self.create()
            for wait in (200, 400, 800):
                poll_until(f"next try in {wait} ms", lambda w=wait: f"next try in {w} ms" in self.d.log)
            self.assertIn("ended with status 2", self.d.log)
        self.ns.ip("addr del 10.77.0.1/32 dev lo")
        self.d.call("network.set", network="lab", addresses=[ADDRESS])
        self.serving()

    def test_nothing_is_lost_by_many_changes(self):
        """Processes, descriptors."""
        self.create()
        self.serving()
        before = len(os.listdir(f"/proc/{self.d.proc.pid}/fd"))
        for _ in range(10):
            self.d.call("network.set", network="lab", dhcp=False)
            self.d.call("network.set", network="lab", dhcp=True)
        self.serving()
        poll_until("as many descriptors", lambda: len(os.listdir(f"/proc/{self.d.proc.pid}/fd")) == before)
        self.assertEqual(len(self.mine()), 2)
        children = pathlib.Path(f"/proc/{self.d.proc.pid}/task/{self.d.proc.pid}/children").read_text().split()
        self.assertEqual(len(children), 1, "zombies")


class Missing(unittest.TestCase):
    def test_without_dnsmasq_it_is_refused(self):
        with Namespace() as ns, Daemon(prefix=ns.prefix, env={"FETHD_TOOLS": "/nonexistent"}) as d:
            for params, word in (({"dhcp": True}, "dnsmasq"), ({"nat": True}, "nftables")):
                with self.assertRaises(RpcError) as e:
                    d.create("lab", backend="veth", addresses=[ADDRESS], **params)
                self.assertEqual(e.exception.code, "unsupported")
                self.assertIn(f"install the package {word}", e.exception.message)
            self.assertEqual(ns.links(), {})


if __name__ == "__main__":
    require("ping", "dnsmasq", "setpriv", "ss")
    main()
