"""test_dhcp.py - the first minute: a guest whose image asks for DHCP gets an address, resolves a name, and
with --nat reaches a server in another namespace; nothing of it is left after delete, or kill -9 and a restart.

Needs root and what build.sh needs.
"""
import ipaddress
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "netns")]
# pylint: disable=wrong-import-position
from guest import Guest, Netns, boot, prepare, tcp_transfer
from harness import Daemon, main, poll_until
from netlab import Namespace, require

HOST_IP, INSIDE, OUTSIDE = "10.77.0.1", "192.0.2.1", "192.0.2.2"
MAC = "02:00:00:00:00:0a"
NAME = "server.example"
GUESTDIR = None  # set by main


class FirstMinute(unittest.TestCase):
    """The tests build on one another, in the order of their names."""

    @classmethod
    def setUpClass(cls):
        cls.ns = cls.enterClassContext(Namespace())
        cls.world = cls.enterClassContext(Namespace())
        cls.ns.ip(f"link add up0 type veth peer name up1 netns {cls.world.name}")
        cls.ns.ip(f"addr add {INSIDE}/24 dev up0")
        cls.world.ip(f"addr add {OUTSIDE}/24 dev up1")
        cls.ns.ip("link set up0 up")
        cls.world.ip("link set up1 up")
        # ip-netns(8): what lies here covers /etc in the namespace
        etc = pathlib.Path("/etc/netns") / cls.ns.name
        etc.mkdir(parents=True)
        cls.addClassCleanup(shutil.rmtree, etc)
        (etc / "resolv.conf").write_text(f"nameserver {OUTSIDE}\n")
        cls.dns = subprocess.Popen(
            [*cls.world.prefix, "dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground", "--no-resolv",
             "--no-hosts", f"--address=/{NAME}/{OUTSIDE}", "--pid-file"], stdin=subprocess.DEVNULL)
        cls.addClassCleanup(cls.dns.wait)
        cls.addClassCleanup(cls.dns.terminate)
        cls.d = cls.enterClassContext(Daemon(prefix=cls.ns.prefix))
        cls.ctl("create", "lab", "--backend", "veth", "--address", f"{HOST_IP}/24", "--dhcp", "--nat")
        stream = f"stream,id=net0,server=off,addr.type=unix,addr.path={cls.d.path('lab', 'qemu.sock')}"
        cls.guest = Guest("penguin", GUESTDIR, ["-netdev", stream], mac=MAC, addr="dhcp")
        cls.enterClassContext(boot(cls.guest))
        cls.server = cls.enterClassContext(Netns(cls.world.name, GUESTDIR))

    @classmethod
    def ctl(cls, *args):
        return cls.d.ctl(*args, check=True).stdout

    def tables(self):
        return self.ns.run("nft", "list", "tables").stdout

    def servers(self):
        """Processes of ours, by the run directory in their arguments."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                args = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if b"--conf-file=" + self.d.run_dir.encode() in args:
                found.append(pid)
        return found

    def address(self):
        text = self.guest.check("ip -4 -o addr show dev eth0")
        return ipaddress.ip_interface(text.split(" inet ")[1].split()[0])

    def test_1_it_has_an_address_and_a_gateway(self):
        shown = self.ctl("show", "lab")
        self.assertIn("10.77.0.128-10.77.0.254", shown)
        address = self.address()
        self.assertEqual(address.network, ipaddress.ip_network("10.77.0.0/24"))
        self.assertIn(int(address.ip) & 255, range(128, 255))
        self.assertIn(f"default via {HOST_IP}", self.guest.check("ip route"))
        self.guest.check(f"ping -q -c 1 -w 10 {HOST_IP}")

    def test_2_it_resolves_names(self):
        self.assertIn(OUTSIDE, self.guest.check(f"nslookup -type=a {NAME}"))
        self.assertIn(str(self.address().ip), self.guest.check("nslookup -type=a penguin"))

    def test_3_it_reaches_a_server_outside(self):
        t = tcp_transfer(self.guest, self.server, OUTSIDE, 5000, 1 << 20)
        self.assertEqual(t.sent, t.received)

    def test_4_without_nat_it_does_not(self):
        self.ctl("set", "lab", "--nat", "off")
        self.assertEqual(self.tables(), "")
        self.assertNotEqual(self.guest.run(f"ping -q -c 1 -w 2 {OUTSIDE}")[0], 0)
        self.ctl("set", "lab", "--nat")
        self.guest.check(f"ping -q -c 1 -w 10 {OUTSIDE}")

    def test_5_nothing_is_left_after_delete(self):
        self.assertEqual(len(self.servers()), 2)  # dnsmasq and its keeper
        self.ctl("delete", "lab")
        self.assertEqual((self.servers(), self.tables()), ([], ""))
        self.assertEqual(os.listdir(self.d.run_dir).count("lab"), 0)

    def test_6_nor_after_kill_9_and_a_restart(self):
        self.ctl("create", "lab", "--backend", "veth", "--address", f"{HOST_IP}/24", "--dhcp", "--nat")
        self.assertNotEqual(self.tables(), "")
        self.d.kill()
        poll_until("the keeper has ended dnsmasq", lambda: not self.servers())
        self.d.start()
        self.assertEqual((self.servers(), self.tables()), ([], ""))
        self.assertEqual(self.ns.run("cat", "/proc/sys/net/ipv4/ip_forward").stdout, "0\n")


if __name__ == "__main__":
    require("ping", "dnsmasq", "nft")
    GUESTDIR = prepare()
    main()
