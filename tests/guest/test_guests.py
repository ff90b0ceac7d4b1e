"""test_guests.py - real QEMU guests, a Python client and the host, all on one network at once.

What everybody sends reaches whom it should as it was, by frames, pings and streams. Bulk data is 64 MB
once in each way, else 16 MB (64 MB with FETHD_FULL=1). Needs root, QEMU and what build.sh needs.
"""
import json
import unittest

import lan
import groupframes
from harness import BROADCAST, poll_until
from lan import (A_IP, A_IP6, B_IP, B_IP6, BULK_FULL, C_IP, HOST_IP, HOST_IP6, KINDS, MAC_A, MAC_B, Everybody,
                 unhex)
from netlab import IPV4, frame_type


class Lan(Everybody, unittest.TestCase):
    MTU = 1500
    KINDS = tuple(KINDS)
    SIZES = 64, 0  # 0: full size

    def test_all_pairs_ping_each_other(self):
        lab = self.lab
        for machine, others in ((lab.a, (HOST_IP, B_IP, C_IP)), (lab.b, (HOST_IP, A_IP, C_IP)),
                                (lab.host, (A_IP, B_IP, C_IP))):
            for ip in others:
                machine.check(f"busybox ping -q -c 2 -i 0.2 -w 10 {ip}")
        for ip in (HOST_IP, A_IP, B_IP):
            self.assertTrue(lab.station.ping(ip), ip)

    def test_all_pairs_ping_each_other_by_ipv6(self):
        """Which needs multicast: neighbours are found by their groups."""
        lab = self.lab
        for machine, others in ((lab.a, (HOST_IP6, B_IP6)), (lab.b, (HOST_IP6, A_IP6)),
                                (lab.host, (A_IP6, B_IP6))):
            for ip in others:
                machine.check(f"busybox ping6 -q -c 2 -i 0.2 -w 10 {ip}")

    def test_ports_are_what_they_are(self):
        for ip in (HOST_IP, A_IP, B_IP):
            self.assertTrue(self.lab.station.ping(ip), ip)
        ports = {p["mac"]: p for p in self.lab.d.ports()}
        kinds = {"host": "host", "a": "qemu", "b": "qemu", "c": "native"}
        self.assertEqual({n: ports[m]["kind"] for n, m in self.macs.items() if n != "a"},
                         {n: k for n, k in kinds.items() if n != "a"})
        self.assertTrue(ports[MAC_B]["locked"])
        with self.lab.d.control() as c:
            learned = {f["mac"]: f["name"] for f in c.items("fdb.list", network="lab")}
        self.assertTrue(set(self.macs.values()) <= set(learned), learned)

    def test_qinq_over_the_mtu_is_dropped_by_the_rule_and_counted(self):
        """The kernel of a guest sends none; another client may, and other clients take it."""
        lab = self.lab
        f = self.build("QinQ", "a", "b", self.MTU + 18)
        self.assertEqual(lab.a.run(f"rawframe send eth0 {f.hex()}")[0], 1)
        before = lab.d.stats("host")["drops"]["host_refused"]
        f = self.build("QinQ", "c", "b", self.MTU + 18)
        job = lab.b.spawn("rawframe recv eth0 88a8 1 20000")
        job.wait_for("ready")
        lab.station.send(f)
        job.wait_for(f.hex())
        lab.station.send(self.build("QinQ", "c", "host", self.MTU + 18))
        lab.station.send(self.build("QinQ multicast", "c", None, self.MTU + 18))
        poll_until("both are counted", lambda: lab.d.stats("host")["drops"]["host_refused"] == before + 2)
        before = lab.d.stats("native-1")["drops"]["oversize"]
        lab.station.send(self.build("QinQ", "c", "b", self.MTU + 19))
        lab.station.send(self.build("IPX", "c", "b", self.MTU + 15))
        poll_until("it is counted", lambda: lab.d.stats("native-1")["drops"]["oversize"] == before + 2)

    def test_a_dhcp_broadcast_reaches_everybody(self):
        """A real client's, from either guest; there is no server, and that is as it should be."""
        lab = self.lab
        for guest, m, other in ((lab.a, MAC_A, lab.b), (lab.b, MAC_B, lab.a)):
            self.capture(other, "0800")
            lab.tap.drain()
            lab.station.heard.clear()
            guest.run("udhcpc -i eth0 -n -q -f -t 2 -T 1 -s /bin/true 2>&1", 30)

            def discover(frames, m=m):
                return [f.hex() for f in frames
                        if f[:12] == BROADCAST + unhex(m) and f[34:38] == b"\0\x44\0\x43"]

            at_host = discover(f for f, out in lab.tap.drain() if not out and frame_type(f) == IPV4)
            self.assertEqual(len(at_host), 2)
            self.assertEqual(discover(lab.station.heard), at_host)
            self.assertEqual(discover(map(unhex, self.captured(other))), at_host)

    def groups_of(self, m):
        """The groups of the port behind which a guest's address is, as fethctl shows them."""
        done = self.lab.d.ctl("fdb", "lab", "--json", check=True)
        port = next(row["port"] for row in json.loads(done.stdout) if row["mac"] == m)
        done = self.lab.d.ctl("groups", "lab", "--json", check=True)
        return {row["group"] for row in json.loads(done.stdout) if row["port"] == port}

    @staticmethod
    def listened_to(guest):
        """What `ip maddr` would show: the kernel's list, but for the groups that nobody may report."""
        rows = [line.split() for line in guest.check("cat /proc/net/dev_mcast").splitlines()]
        macs = {":".join(row[4][i:i + 2] for i in range(0, 12, 2)) for row in rows if row[1] == "eth0"}
        return macs - {"01:00:5e:00:00:01", "33:33:00:00:00:01"}

    def test_a_guest_is_in_the_groups_that_its_kernel_lists(self):
        lab = self.lab
        for guest, m in ((lab.a, MAC_A), (lab.b, MAC_B)):
            job = guest.spawn("rawframe join eth0 239.1.2.3 ff15::1:2:3")
            job.wait_for("joined")
            want = self.listened_to(guest)
            self.assertLessEqual({"01:00:5e:01:02:03", "33:33:00:02:00:03"}, want)
            poll_until(f"the daemon says the same of {guest.name}", lambda m=m, w=want: self.groups_of(m) == w, 30)
            job.kill()
            want = self.listened_to(guest)
            self.assertNotIn("01:00:5e:01:02:03", want)
            poll_until(f"and when {guest.name} left", lambda m=m, w=want: self.groups_of(m) == w, 30)

    def test_a_stream_goes_to_the_guest_that_joined(self):
        """The other guest gets not one frame of it, though both take all that comes."""
        lab = self.lab
        job = lab.a.spawn("rawframe join eth0 239.1.2.9")
        job.wait_for("joined")
        poll_until("its report was heard", lambda: "01:00:5e:01:02:09" in self.groups_of(MAC_A))
        for guest in (lab.a, lab.b):
            self.capture(guest)
        frames = [groupframes.data(unhex(lan.MAC_C), "239.1.2.9", b"stream %d" % i) for i in range(50)]
        last = BROADCAST + unhex(lan.MAC_C) + b"\x88\xb5last" + bytes(46)
        lab.station.send(*frames, last)
        for guest, want in ((lab.a, [f.hex() for f in frames]), (lab.b, [])):
            guest.check(f"until grep -q {last.hex()} /tmp/frames; do usleep 50000; done", 20)
            got = [f for f in self.captured(guest) if f.startswith("01005e010209")]
            self.assertEqual(got, want, guest.name)
        job.kill()

    def test_bulk_data_guest_to_guest(self):
        self.transfer(self.lab.a, self.lab.b, B_IP, 4000, BULK_FULL)
        self.transfer(self.lab.b, self.lab.a, A_IP, 4001)

    def test_bulk_data_guest_to_host_and_back(self):
        self.transfer(self.lab.a, self.lab.host, HOST_IP, 4002, BULK_FULL)
        self.transfer(self.lab.host, self.lab.a, A_IP, 4003, BULK_FULL)
        self.transfer(self.lab.b, self.lab.host, HOST_IP, 4004)
        self.transfer(self.lab.host, self.lab.b, B_IP, 4005)


if __name__ == "__main__":
    lan.main()
