"""test_doctor.py - fethctl doctor: each check is seen passing and failing, on a machine that is a folder.

FETHCTL_DOCTOR_ROOT names it: what doctor reads of the system, and the programs it runs, are below it. The
daemon is a real one. (What it says of real rules: tests/netns/test_nat.py.)
"""
import json
import os
import pathlib
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402

KERNEL = "6.1.0-test"
FORWARD_DROP = "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n"
OURS = ("table ip fethd-0123456789abcdef-lab {\n\tchain forward {\n\t\ttype filter hook forward priority filter; "
        "policy accept;\n\t\toifname != \"feth101\" accept\n\t}\n}\n")


class Machine:
    """A folder with what a healthy Linux has."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.write("proc/sys/kernel/osrelease", KERNEL)
        self.write(f"lib/modules/{KERNEL}/modules.builtin", "kernel/net/core/x.ko\nkernel/drivers/net/veth.ko\n")
        self.write("proc/net/packet", "")
        self.write("proc/sys/net/core/wmem_max", "4194304")
        self.write("proc/self/ns/user", "")
        self.write("proc/sys/user/max_user_namespaces", "31000")
        self.write("proc/net/udp", "  sl  local_address\n  1: 0100007F:0035 00000000:0000 07\n")
        self.write("proc/sys/net/ipv4/ip_forward", "0")
        self.write("etc/os-release", 'NAME="Test"\nPRETTY_NAME="Test Linux 1"\n')
        self.write("rules", "")
        self.program("dnsmasq", "exit 0")
        self.program("nft", 'cat "${0%/*}/../../rules"')

    def write(self, path, text):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n" if text else "")

    def remove(self, path):
        os.unlink(self.root / path)

    def program(self, name, body):
        self.write(f"usr/sbin/{name}", f"#!/bin/sh\n{body}")
        os.chmod(self.root / "usr/sbin" / name, 0o755)


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.d = cls.enterClassContext(h.Daemon())
        cls.d.create("lab", backend=h.HOST_BACKEND)

    def setUp(self):
        folder = f"{self.d.dir}/{self.id()}"
        os.mkdir(folder)
        self.m = Machine(folder)
        self.m.write(f"proc/{self.d.proc.pid}/limits", "Limit\nMax open files            20000                20000                files")

    def doctor(self, *args, run_dir=None):
        return subprocess.run([h.FETHCTL, "--run-dir", run_dir or self.d.run_dir, "doctor", *args], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
                              env={**self.d.env, "FETHCTL_DOCTOR_ROOT": str(self.m.root)})

    def checks(self, **kw):
        p = self.doctor("--json", **kw)
        doc = json.loads(p.stdout)
        self.assertEqual(p.stderr, "")
        verdicts = [c["verdict"] for c in doc["checks"]]
        self.assertEqual((doc["problems"], doc["warnings"]), (verdicts.count("fail"), verdicts.count("warn")))
        self.assertEqual(p.returncode, 1 if doc["problems"] else 0)
        for c in doc["checks"]:
            self.assertEqual("do" in c, c["verdict"] != "ok", c)
            self.assertTrue(c["what"])
        return {c["check"]: c for c in doc["checks"]}

    def says(self, check, verdict, *words, **kw):
        """This check, and no other, has this to say."""
        checks = self.checks(**kw)
        self.assertEqual(checks[check]["verdict"], verdict, checks[check])
        for word in words:
            self.assertIn(word, checks[check]["what"] + " / " + checks[check].get("do", ""))
        self.assertEqual([c for c in checks if c != check and checks[c]["verdict"] != "ok"], [])


class Linux(Base):
    def test_a_healthy_machine(self):
        p = self.doctor()
        self.assertEqual((p.returncode, p.stderr), (0, ""))
        self.assertTrue(p.stdout.endswith("\n0 problems, 0 warnings\n"), p.stdout)
        for line in p.stdout.splitlines()[:-2]:
            self.assertRegex(line, r"\Aok    \S+ +\S")
        self.assertEqual(set(self.checks()), {
            "daemon", "version", "run-dir", "descriptors", "kernel", "packet-sockets", "buffers", "namespaces",
            "NetworkManager", "systemd-networkd", "dnsmasq", "dns-port", "nft", "forwarding", "firewall"})

    def test_kernel(self):
        self.m.write(f"lib/modules/{KERNEL}/modules.builtin", "kernel/net/core/x.ko\n")
        self.says("kernel", "fail", KERNEL, "no veth", "--backend none")
        self.m.write(f"lib/modules/{KERNEL}/modules.dep", "kernel/drivers/net/veth.ko.xz:")
        self.says("kernel", "ok")
        self.m.remove(f"lib/modules/{KERNEL}/modules.builtin")
        self.m.remove(f"lib/modules/{KERNEL}/modules.dep")
        self.says("kernel", "warn", "cannot be seen")
        self.m.write("sys/module/veth/x", "")
        self.says("kernel", "ok")

    def test_packet_sockets(self):
        self.m.remove("proc/net/packet")
        self.says("packet-sockets", "fail", "af_packet")

    def test_buffers(self):
        self.m.write("proc/sys/net/core/wmem_max", "212992")
        self.says("buffers", "warn", "212992", "net.core.wmem_max=425984")
        self.m.remove("proc/sys/net/core/wmem_max")
        self.says("buffers", "warn", "cannot be read")

    def test_namespaces(self):
        self.m.write("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1")
        self.says("namespaces", "warn", "AppArmor", "kernel.apparmor_restrict_unprivileged_userns=0")
        self.m.write("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "0")
        self.says("namespaces", "ok")
        self.m.write("proc/sys/kernel/unprivileged_userns_clone", "0")
        self.says("namespaces", "warn", "unprivileged_userns_clone=1")
        self.m.write("proc/sys/user/max_user_namespaces", "0")
        self.says("namespaces", "warn", "user.max_user_namespaces=")
        self.m.remove("proc/self/ns/user")
        self.says("namespaces", "warn", "no user namespaces")

    def test_networkmanager(self):
        self.m.write("run/NetworkManager/x", "")
        self.m.write("etc/NetworkManager/conf.d/other.conf", "[keyfile]\nunmanaged-devices=interface-name:veth*")
        self.says("NetworkManager", "warn", "unmanaged-devices=interface-name:feth*", "conf.d/fethd.conf")
        self.m.write("etc/NetworkManager/conf.d/fethd.conf", "[keyfile]\nunmanaged-devices=interface-name:feth*")
        self.says("NetworkManager", "ok")

    def test_networkd(self):
        self.m.write("run/systemd/netif/x", "")
        self.says("systemd-networkd", "ok")
        self.m.write("etc/systemd/network/20-all.network", "[Match]\nName=*")
        self.says("systemd-networkd", "warn", "10-fethd.network")
        self.m.write("etc/systemd/network/10-fethd.network", "[Match]\nName=feth*\n\n[Link]\nUnmanaged=yes")
        self.says("systemd-networkd", "ok")

    def test_dnsmasq(self):
        self.m.remove("usr/sbin/dnsmasq")
        checks = self.checks()
        self.assertNotIn("dns-port", checks)
        self.says("dnsmasq", "warn", "dnsmasq-base")

    def test_somebody_serves_names_everywhere(self):
        self.m.write("proc/net/udp", "  sl\n  1: 00000000:0035 00000000:0000 07")
        self.says("dns-port", "warn", "bind-interfaces")
        self.m.write("proc/net/udp", "  sl\n  1: 00000000:0036 00000000:0035 07")
        self.says("dns-port", "ok")
        self.m.write("proc/net/udp6", "  sl\n  1: 00000000000000000000000000000000:0035 0:0 07")
        self.says("dns-port", "warn")

    def test_apparmor_confines_dnsmasq(self):
        self.m.write("sys/kernel/security/apparmor/profiles", "lsb_release (enforce)\ndnsmasq (complain)")
        self.says("apparmor", "ok")
        self.m.write("sys/kernel/security/apparmor/profiles", "lsb_release (enforce)\n/usr/sbin/dnsmasq (enforce)")
        self.says("apparmor", "warn", "/etc/apparmor.d/local/usr.sbin.dnsmasq", "/run/fethd/*/dnsmasq.*")
        self.m.write("etc/apparmor.d/local/usr.sbin.dnsmasq", "/run/fethd/*/dnsmasq.* rwk,")
        self.says("apparmor", "ok")

    def test_nft(self):
        self.m.remove("usr/sbin/nft")
        self.m.program("iptables", "echo '-P FORWARD ACCEPT'")
        self.says("nft", "warn", "nftables")

    def test_firewall_that_cannot_be_read(self):
        self.m.program("nft", "exit 1")
        self.says("firewall", "warn", "sudo fethctl doctor")

    def test_firewall_that_drops(self):
        self.m.write("rules", OURS)
        self.says("firewall", "ok")
        self.m.write("rules", OURS + FORWARD_DROP)
        self.says("firewall", "warn", "a policy of this machine's firewall", "docs/host.md")
        self.m.write("rules", FORWARD_DROP.replace("drop;", 'drop;\n\t\tiifname "feth101" accept') + OURS)
        self.says("firewall", "ok", "has rules")
        self.m.write("rules", FORWARD_DROP.replace("forward", "input"))
        self.says("firewall", "ok")

    def test_docker(self):
        self.m.write("rules", FORWARD_DROP + "table ip x {\n\tchain DOCKER-USER {\n\t}\n}\n")
        self.says("firewall", "warn", "Docker's policy", "iptables -I DOCKER-USER -i fethN -j ACCEPT")
        self.m.write("rules", "")
        self.m.program("iptables", "echo '-P FORWARD DROP\n-A FORWARD -j DOCKER-USER'")
        self.says("firewall", "warn", "Docker's policy")
        self.m.program("iptables", "echo '-P FORWARD DROP\n-A FORWARD -i feth101 -j ACCEPT'")
        self.says("firewall", "ok")

    def test_ufw(self):
        self.m.write("etc/ufw/ufw.conf", "ENABLED=no")
        self.assertNotIn("ufw", self.checks())
        self.m.write("etc/ufw/ufw.conf", "LOGLEVEL=low\nENABLED=yes")
        self.says("ufw", "warn", "ufw route allow in on fethN", "port 67")
        self.m.write("etc/ufw/user.rules", "-A ufw-user-input -i feth101 -j ACCEPT")
        self.says("ufw", "ok")

    def test_firewalld(self):
        self.m.write("rules", "table inet firewalld {\n}\n")
        self.says("firewalld", "warn", "--zone=trusted --add-interface=fethN")
        self.m.write("etc/firewalld/zones/trusted.xml", '<zone><interface name="feth101"/></zone>')
        self.says("firewalld", "ok")


class Everywhere(Base):
    def test_no_daemon(self):
        checks = self.checks(run_dir="/nonexistent/run")
        self.assertEqual(checks["daemon"]["verdict"], "fail")
        self.assertIn("sudo fethd", checks["daemon"]["do"])
        self.assertEqual(checks["run-dir"]["verdict"], "warn")
        self.assertNotIn("version", checks)

    def test_a_socket_that_one_may_not_open(self):
        if os.geteuid():
            self.skipTest("only root can become somebody who may not")
        os.chmod(self.m.root, 0o755)
        ctl = f"{self.d.dir}/fethctl"
        if not os.path.exists(ctl):
            subprocess.run(["cp", h.FETHCTL, ctl], check=True)
            os.chmod(ctl, 0o755)
        p = subprocess.run([*h.become(1000), ctl, "--run-dir", self.d.run_dir, "doctor"], text=True,
                           capture_output=True, timeout=60, check=False, env={**self.d.env, "FETHCTL_DOCTOR_ROOT": str(self.m.root)})
        self.assertIn("warn  daemon            you may not open", p.stdout)
        self.assertIn("usermod -aG", p.stdout)

    def test_run_directory(self):
        for mode, verdict, words in ((0o777, "fail", "go-w"), (0o775, "fail", "go-w"), (0o700, "warn", "755"), (0o755, "ok", "")):
            os.chmod(self.d.run_dir, mode)
            self.assertEqual(self.checks()["run-dir"]["verdict"], verdict)
            self.assertIn(words, self.checks()["run-dir"].get("do", ""))

    def test_a_run_directory_that_is_a_link(self):
        link = f"{self.d.dir}/link"
        os.symlink(self.d.run_dir, link)
        check = self.checks(run_dir=link)["run-dir"]
        self.assertEqual(check["verdict"], "fail")
        self.assertIn("no link", check["do"])

    def test_descriptors(self):
        if h.DARWIN:
            self.skipTest("the limits of the daemon are in /proc")
        self.m.write(f"proc/{self.d.proc.pid}/limits", "Max open files            1024                 524288               files")
        check = self.checks()["descriptors"]
        self.assertEqual(check["verdict"], "warn")
        self.assertIn("the daemon may open 1024", check["what"])
        self.assertIn("LimitNOFILE", check["do"])

    def test_a_daemon_of_another_version(self):
        """One that says hello, and knows nothing else."""
        run = f"{self.d.dir}/other"
        os.mkdir(run)
        os.chmod(run, 0o755)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{run}/control.sock")
            server.listen(4)
            pid = os.fork()
            if not pid:
                try:
                    while True:
                        conn, _ = server.accept()
                        unpacker = h.msgpack.Unpacker(raw=False)
                        while data := conn.recv(4096):
                            unpacker.feed(data)
                            for _, number, method, _ in unpacker:
                                good = method == "hello"
                                conn.sendall(h.msgpack.packb([1, number, None if good else ["unsupported", "no"],
                                                              {"version": 1, "server": "fethd 9.9.9"} if good else None]))
                finally:
                    os._exit(0)
            try:
                check = self.checks(run_dir=run)["version"]
                self.assertEqual(check["verdict"], "warn")
                self.assertIn("fethd 9.9.9", check["what"])
            finally:
                os.kill(pid, 9)
                os.waitpid(pid, 0)

    def test_report(self):
        path = f"{self.d.dir}/report"
        p = self.doctor("--report", path)
        self.assertEqual((p.returncode, p.stderr), (0, ""))
        text = h.text_of(path)
        for words in ("fethctl doctor, ", "Test Linux 1", "-- checks --", p.stdout.rstrip("\n"), "-- daemon --", "version: ",
                      "-- networks --", "name lab"):
            self.assertIn(words, text)
        secrets = [h.text_of("/etc/machine-id").strip()] if os.path.exists("/etc/machine-id") else []
        shown = self.d.call("network.show", network="lab")
        secrets.append(shown.get("mac", ""))
        for secret in filter(None, secrets):
            self.assertNotIn(secret, text)
        p = self.doctor("--report", "/nonexistent/report")
        self.assertEqual(p.returncode, 1)
        self.assertIn("cannot write /nonexistent/report", p.stderr)


if __name__ == "__main__":
    h.main()
