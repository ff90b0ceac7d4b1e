"""test_pxe.py - a guest without a disk and without a kernel boots over a network of ours: QEMU's own iPXE ROM,
and a dnsmasq of the lab's on the host member for DHCP and TFTP.

TFTP has one packet under way: 14 MB of kernel take half a minute here. So that much is for the long run; else
the kernel comes by HTTP, as in labs that mind. Needs root and what build.sh needs.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "netns")]
# pylint: disable=wrong-import-position
from guest import Guest, prepare
from harness import Daemon, main
from netlab import Namespace, require

HOST_IP, MAC = "10.77.0.1", "02:00:00:00:00:0a"
BOOT_TIMEOUT = 240.0
BY_TFTP = os.environ.get("FETHD_FULL") == "1"
GUESTDIR = None       # set by main


class Diskless(unittest.TestCase):
    def start(self, *argv):
        p = subprocess.Popen([*self.ns.prefix, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        self.addCleanup(p.wait)
        self.addCleanup(p.terminate)

    def serve(self, host, words):
        """What docs/host.md says: a dnsmasq on the host member, and a folder."""
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="tftp-")))
        folder.chmod(0o755)  # dnsmasq is nobody by then
        for name in ("vmlinuz", "initrd.img"):
            shutil.copy(os.path.join(GUESTDIR, name), folder)
            (folder / name).chmod(0o644)
        kernel = "vmlinuz" if BY_TFTP else f"http://{HOST_IP}/vmlinuz"
        (folder / "boot.ipxe").write_text(f"#!ipxe\nkernel {kernel} initrd=initrd.img {words}\ninitrd initrd.img\nboot\n")
        self.start(f"{GUESTDIR}/busybox", "httpd", "-f", "-p", f"{HOST_IP}:80", "-h", str(folder))
        self.start("dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground", "--pid-file", "--port=0",
                   f"--interface={host}", "--bind-interfaces", "--dhcp-range=10.77.0.50,10.77.0.99,1h",
                   "--leasefile-ro", "--no-ping", "--enable-tftp", f"--tftp-root={folder}", "--dhcp-boot=boot.ipxe")

    def test_it_boots_what_the_network_gives_it(self):
        self.ns = self.enterContext(Namespace())
        d = self.enterContext(Daemon(prefix=self.ns.prefix))
        net = d.create(backend="veth", addresses=[f"{HOST_IP}/24"])
        stream = f"stream,id=net0,server=off,addr.type=unix,addr.path={d.path('lab', 'qemu.sock')}"
        guest = Guest("penguin", GUESTDIR, ["-netdev", stream], mac=MAC, addr="dhcp", append="came=by-wire",
                      diskless=True)
        self.serve(net["host"], guest.kernel_words)
        start = time.monotonic()
        self.addCleanup(guest.stop)
        guest.launch()
        guest.wait_ready(BOOT_TIMEOUT)
        print(f"  it booted in {time.monotonic() - start:.1f} s", flush=True)
        self.assertIn("came=by-wire", guest.check("cat /proc/cmdline"))
        guest.check(f"ping -q -c 1 -w 10 {HOST_IP}")
        # all of it came by its port
        size = sum(os.path.getsize(os.path.join(GUESTDIR, name)) for name in ("vmlinuz", "initrd.img"))
        self.assertGreater(d.stats("qemu-1")["tx_bytes"], size)


if __name__ == "__main__":
    require("ping", "dnsmasq")
    GUESTDIR = prepare()
    main()
