"""test_config.py - saved networks keep their interfaces, and a reload touches none that did not change.

Needs root; namespaces of its own.
"""
import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from harness import Daemon, main, poll_until
from netlab import Namespace, Station, require


class Config(unittest.TestCase):
    def setUp(self):
        self.ns = self.enterContext(Namespace())
        self.d = self.enterContext(Daemon(prefix=self.ns.prefix))

    def write(self, name, text):
        folder = pathlib.Path(self.d.conf_dir, "networks.d")
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        (folder / f"{name}.conf").write_text(text)
        os.chmod(folder / f"{name}.conf", 0o644)

    def kernel(self):
        """What `ip` says of every interface that a person could tell apart."""
        return {name: (link["address"], link["mtu"], "UP" in link["flags"], link.get("ifalias"),
                       frozenset(self.ns.addresses(name))) for name, link in self.ns.links().items()}

    def shown(self):
        return {n["name"]: {k: n[k] for k in ("unit", "host", "service", "mac", "mtu", "addresses", "up")}
                for n in self.d.call("network.list")["items"]}

    def test_a_restart_brings_back_the_same_interfaces(self):
        theirs = self.d.create("other", backend="veth")["unit"]
        self.d.call("network.delete", network="other")
        # a unit that `other` would have by its name, and an address that nothing gives away
        self.d.create("lab", backend="veth", unit=theirs, mac="02:12:34:56:78:9a", mtu=1400,
                      addresses=["10.1.0.1/24", "fd01::1/64"], save=True)
        taken = self.d.create("other", backend="veth", addresses=["10.2.0.1/24"], save=True)["unit"]
        self.assertNotEqual(taken, theirs)
        self.d.create("down", backend="veth", up=False, save=True)
        self.d.call("port.add", network="lab", name="p", kind="qemu", mac="02:00:00:00:00:01", locked=True)
        self.d.call("network.set", network="lab", save=True)
        before = self.kernel(), self.shown(), self.d.port("p")
        self.assertEqual(len(before[0]), 6)

        self.assertEqual(self.d.stop(), 0)
        self.assertEqual(self.ns.links(), {})
        self.d.start()
        self.assertEqual((self.kernel(), self.shown(), self.d.port("p")), before)
        self.d.kill()
        self.d.start()
        self.assertEqual((self.kernel(), self.shown(), self.d.port("p")), before)
        # without RUN/state, as after a reboot
        self.assertEqual(self.d.stop(), 0)
        self.assertFalse(os.path.exists(self.d.path("state")))
        self.d.start()
        self.assertEqual((self.kernel(), self.shown(), self.d.port("p")), before)

    def test_a_unit_that_is_taken_at_start_is_waited_for(self):
        self.write("lab", "[network]\nunit = 1234\naddress = 10.1.0.1/24\n")
        self.write("two", "[network]\n")
        self.assertEqual(self.d.stop(), 0)
        self.ns.ip("link add feth1234 type veth peer name theirs")
        self.d.start()
        self.assertEqual(list(self.shown()), ["two"])
        self.assertIn("unit 1234 is taken", self.d.new_log)
        self.ns.ip("link del feth1234")
        poll_until("it is made", lambda: "lab" in self.shown(), 20)
        self.assertEqual(self.shown()["lab"]["unit"], 1234)
        self.assertEqual(self.ns.addresses("feth1234"), {"10.1.0.1/24"})

    def test_not_a_ping_is_lost_on_networks_that_did_not_change(self):
        for i, name in enumerate("abc"):
            self.write(name, f"[network]\naddress = 10.{i}.0.1/24\n")
        self.d.call("daemon.reload")
        before = self.kernel()
        hosts = {n: v["host"] for n, v in self.shown().items()}
        stations = [self.enterContext(Station(self.d.attach(n), f"10.{i}.0.2"))
                    for i, n in enumerate("abc")]
        self.assertEqual(len(stations), 3)
        for i in range(3):
            self.assertTrue(self.ns.ping(f"10.{i}.0.2"))
        count = 200
        pings = [subprocess.Popen([*self.ns.prefix, "ping", "-q", "-n", "-c", str(count), "-i", "0.02", "-W", "5",
                                   f"10.{i}.0.2"], stdout=subprocess.PIPE, text=True) for i in (0, 2)]
        reloads = 0
        while any(p.poll() is None for p in pings):
            reloads += 1
            self.write("b", f"[network]\naddress = 10.1.0.1/24\nmtu = {1300 + reloads % 100}\n"
                            f"[port p{reloads}]\nkind = qemu\n")
            r = self.d.call("daemon.reload")
            self.assertEqual((r["changed"], r["unchanged"], r["failed"]), (["b"], ["a", "c"], []))
        self.assertGreater(reloads, 5)
        for p in pings:
            out = p.stdout.read()
            p.stdout.close()
            self.assertIn(f"{count} packets transmitted, {count} received, 0% packet loss", out)
        after = self.kernel()
        for name, host in hosts.items():
            service = re.sub(r"\d+", lambda m: str(int(m[0]) + 5000), host)
            for member in (host, service):
                self.assertEqual(after[member] == before[member], name != "b", member)
        self.assertTrue(self.ns.ping("10.1.0.2"))


if __name__ == "__main__":
    require("ping")
    main()
