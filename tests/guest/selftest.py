"""selftest.py - tests of the guest test tools themselves, without the daemon.

Two guests connected with each other by QEMU's own `-netdev stream`. Run it by
`python3 tests/guest/selftest.py`; it exits 77, saying so, where there is no QEMU or no guest can be
built. $FETHD_GUEST_DIR says where the guest is kept; $FETHD_QEMU names another QEMU,
$FETHD_QEMU10 one that can reconnect (see qemu10.sh), for the one test that wants it.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

from guest import (CommandTimeout, Guest, GuestError, Host, Netns, boot, prepare, tcp_transfer,
                   wait_unix_listening)
from uml import Uml

QEMU = os.environ.get('FETHD_QEMU', 'qemu-system-x86_64')
QEMU10 = os.environ.get('FETHD_QEMU10')
GUESTDIR = None
MAC_A, MAC_B = '02:00:00:00:00:0a', '02:00:00:00:00:0b'


def frame(tags, size=64):
    """A frame from A to B of the local experimental ethertype, behind `tags` (hex), `size` long."""
    head = (MAC_B + MAC_A).replace(':', '') + tags + '88b5'
    return head + ''.join(f'{i & 0xff:02x}' for i in range(size - len(head) // 2))


class TwoGuests(unittest.TestCase):
    """A (a QEMU stream server) and B (its client)."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix='fethd-guest.')
        cls.addClassCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, 'link')
        stream = f'stream,id=net0,addr.type=unix,addr.path={path},server='
        cls.a = Guest('a', GUESTDIR, ['-netdev', stream + 'on'], mac=MAC_A, qemu=QEMU,
                      addr='10.0.0.1/24', addr6='fd00::1/64')
        cls.b = Guest('b', GUESTDIR, ['-netdev', stream + 'off'], mac=MAC_B, qemu=QEMU,
                      addr='10.0.0.2/24', addr6='fd00::2/64', mtu=1500)
        for guest in (cls.a, cls.b):
            cls.addClassCleanup(guest.stop)
        cls.a.launch()
        wait_unix_listening(path)
        cls.b.launch()
        cls.a.wait_ready()
        cls.b.wait_ready()

    def test_ping_works_both_ways(self):
        self.a.check('ping -c 3 -w 20 10.0.0.2')
        self.b.check('ping -c 3 -w 20 10.0.0.1')
        self.a.check('ping6 -c 3 -w 20 fd00::2')

    def test_nobody_answers_for_an_absent_address(self):
        self.assertEqual(self.a.run('ping -c 1 -W 1 10.0.0.3')[0], 1)

    def test_run_returns_status_and_output_as_they_are(self):
        for status in (0, 1, 77, 255):
            self.assertEqual(self.a.run(f'exit {status}'), (status, ''))
        self.assertEqual(self.a.run("printf 'no end of line'"), (0, 'no end of line'))
        self.assertEqual(self.a.run('echo out; echo err >&2'), (0, 'out\nerr\n'))
        self.assertEqual(self.a.run('echo "a  \'b\'\n\\$(x)"\ncat\nfalse\n\n'),
                         (1, "a  'b'\n$(x)\n"))
        self.assertEqual(self.a.run('echo é; nosuchcommand 2>/dev/null'), (127, 'é\n'))
        with self.assertRaisesRegex(GuestError, 'status 3 .*\nwhy'):
            self.a.check('echo why; exit 3')

    def test_run_carries_long_commands_and_long_output(self):
        text = secrets.token_hex(20000)
        self.assertEqual(self.a.run(f'echo {text}'), (0, text + '\n'))

    def test_kernel_messages_do_not_disturb_the_console(self):
        self.assertEqual(self.a.run('echo "<0>loud" >/dev/kmsg; echo x >/tmp/x; cat /tmp/x')[0], 0)
        self.assertEqual(self.a.run('echo quiet'), (0, 'quiet\n'))

    def test_a_job_can_be_watched_awaited_and_killed(self):
        job = self.a.spawn('echo one; read x; echo "two $x"; exit 7')
        job.wait_for('one')
        self.assertEqual(job.wait(), (7, 'one\ntwo \n'))
        job = self.a.spawn('echo begun; sleep 1000 | cat')
        job.wait_for('begun')
        with self.assertRaises(CommandTimeout):
            job.wait(0.2)
        self.assertEqual(job.status(), 137)
        self.assertNotIn('sleep 1000', self.a.check('ps').replace('grep', ''))

    def test_frames_arrive_as_they_were_sent(self):
        """Also tagged, twice tagged, minimal, full-sized, and by outer or inner type.

        20 bytes is the least a Linux kernel takes with a tag: it wants two bytes of payload.
        """
        for tags, size, wanted in (('', 14, '88b5'), ('', 1514, 'all'), ('81002005', 64, '88b5'),
                                   ('8100e005', 1518, '8100'), ('88a80007', 64, '88a8'),
                                   ('88a8000781000005', 64, '8100'), ('81000000', 20, '88b5')):
            with self.subTest(tags=tags, size=size, wanted=wanted):
                # IPv6 is never quite silent, so "all" is given a few more frames to look at.
                sent = frame(tags, size)
                job = self.b.spawn(f'rawframe recv eth0 {wanted} 1000 60000 | '
                                   f'while read l; do echo $l; [ $l != {sent} ] || exit 0; done')
                job.wait_for('ready')
                self.a.check(f'rawframe send eth0 {sent}')
                job.wait_for(sent)
                job.kill()

    def test_rawframe_counts_and_times_out(self):
        job = self.b.spawn('rawframe recv eth0 88b5 5 20000')
        job.wait_for('ready')
        self.a.check(f'rawframe send eth0 {frame("81000005")} 5')
        self.assertEqual(job.wait(), (0, 'ready\n' + 5 * (frame('81000005') + '\n')))
        self.assertEqual(self.b.run('rawframe recv eth0 9999 1 200'), (1, 'ready\n'))
        self.assertEqual(self.a.run(f'rawframe send eth0 {frame("", 1516)}')[0], 1)
        self.assertEqual(self.a.run('rawframe send nosuch 00')[0], 2)

    def test_a_vlan_of_the_guest_kernel_works(self):
        for guest, addr in ((self.a, '10.0.5.1/24'), (self.b, '10.0.5.2/24')):
            guest.check(f'vconfig add eth0 5 && ip addr add {addr} dev eth0.5 && '
                        'ip link set eth0.5 up')
        self.a.check('ping -c 3 -w 20 10.0.5.2')
        for guest in (self.a, self.b):
            guest.check('vconfig rem eth0.5')

    def test_bulk_data_is_intact_both_ways(self):
        size = 8 << 20
        # bulk 1 8388608 | sha256sum, so that bulk.c stays what it is
        known = '9d73bb75ca7065f6801b69e018d816813f4308d223d041c9c3448dc124c6d236'
        for sender, receiver, addr in ((self.a, self.b, '10.0.0.2'), (self.b, self.a, '10.0.0.1')):
            moved = tcp_transfer(sender, receiver, addr, 5000, size)
            self.assertEqual(moved.sent, known)
            self.assertEqual(moved.received, known)
            print(f'  {size >> 20} MB {sender.name} to {receiver.name}: {moved.seconds:.1f} s',
                  file=sys.stderr)

    def test_a_transfer_to_nowhere_says_so(self):
        with self.assertRaisesRegex(GuestError, r'0 of 1000 bytes came'):
            tcp_transfer(self.a, self.b, '10.0.0.99', 5000, 1000, timeout=10)
        self.a.check('true')


class Life(unittest.TestCase):
    """How guests begin and end."""

    def test_guests_boot_together_on_inherited_descriptors(self):
        left, right = socket.socketpair()
        with left, right:
            guests = [Guest(name, GUESTDIR, ['-netdev', f'socket,id=net0,fd={end.fileno()}'],
                            mac=mac, addr=f'{addr}/24', mtu=9000, qemu=QEMU,
                            pass_fds=[end.fileno()], prefix=['env', 'X=1'])
                      for name, mac, addr, end in (('c', MAC_A, '10.1.0.1', left),
                                                   ('d', MAC_B, '10.1.0.2', right))]
            with boot(*guests) as (c, d):
                c.check('ping -c 2 -w 20 -s 8972 10.1.0.2')
                self.assertIn('mtu 9000', d.check('ip link show eth0'))
            self.assertFalse(c.running() or d.running())
            with self.assertRaisesRegex(GuestError, 'stopped'):
                c.run('true')

    def test_a_guest_that_cannot_start_says_why(self):
        guest = Guest('e', GUESTDIR, ['-netdev', 'nonsense,id=net0'], mac=MAC_A, qemu=QEMU)
        with self.assertRaisesRegex(GuestError, '(?s)QEMU is gone.*nonsense'):
            with guest:
                pass
        self.assertFalse(guest.running())

    def test_a_guest_that_dies_says_what_it_last_said(self):
        with Guest('f', GUESTDIR, ['-netdev', 'hubport,id=net0,hubid=0'], mac=MAC_A,
                   qemu=QEMU) as guest:
            with self.assertRaisesRegex(GuestError, '(?s)QEMU is gone.*the last words'):
                guest.run('echo the last words; echo o >/proc/sysrq-trigger; sleep 60', timeout=60)
            self.assertFalse(guest.running())

    def test_a_slow_command_loses_the_guest_and_says_so(self):
        with Guest('g', GUESTDIR, ['-netdev', 'hubport,id=net0,hubid=0'], mac=MAC_A,
                   qemu=QEMU) as guest:
            with self.assertRaisesRegex(CommandTimeout, 'no answer within 1 s from: sleep 60'):
                guest.run('sleep 60', timeout=1)
            with self.assertRaisesRegex(GuestError, 'no commands any more'):
                guest.run('true')

    @unittest.skipUnless(QEMU10, 'SKIPPED: set $FETHD_QEMU10 to what qemu10.sh made')
    def test_a_newer_qemu_reconnects_when_its_server_returns(self):
        folder = tempfile.mkdtemp(prefix='fethd-guest.')
        self.addCleanup(shutil.rmtree, folder)
        stream = f'stream,id=net0,addr.type=unix,addr.path={folder}/link,server='
        client = Guest('h', GUESTDIR, ['-netdev', stream + 'off,reconnect-ms=500'], mac=MAC_A,
                       addr='10.2.0.1/24', qemu=QEMU10)
        with client:  # before there is any server
            for name in ('i', 'j'):
                with Guest(name, GUESTDIR, ['-netdev', stream + 'on'], mac=MAC_B,
                           addr='10.2.0.2/24', qemu=QEMU) as server:
                    server.check('ping -c 1 -w 30 10.2.0.1')
                    client.check('ping -c 1 -w 30 10.2.0.2')


@unittest.skipUnless(shutil.which('linux.uml'), 'SKIPPED: there is no linux.uml')
class UserMode(unittest.TestCase):
    def test_two_of_them_reach_one_another_and_nothing_is_left_of_one_that_was_killed(self):
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        a, b = (Uml(f'u{n}', GUESTDIR, f'vec0:transport=fd,fd={s.fileno()}', mac=mac, addr=f'10.3.0.{n}/24',
                    addr6=f'fd03::{n}/64', pass_fds=[s.fileno()])
                for n, (s, mac) in enumerate(zip(pair, (MAC_A, MAC_B)), 1))
        with pair[0], pair[1], boot(a, b):
            a.check('ping -c 1 -w 10 10.3.0.2')
            b.check('ping6 -c 1 -w 10 fd03::1')
            self.assertIn(MAC_A, a.check('cat /sys/class/net/eth0/address'))
        self.assertEqual(subprocess.run(['pgrep', '-f', a.folder], check=False).returncode, 1)


class OnTheHost(unittest.TestCase):
    """The same tools on this machine and in its namespaces."""

    def test_the_host_runs_commands_and_moves_data(self):
        with Host(GUESTDIR) as host:
            self.assertEqual(host.run('echo x; exit 3'), (3, 'x\n'))
            with self.assertRaises(CommandTimeout):
                host.run('sleep 1000 | cat', timeout=0.2)
            moved = tcp_transfer(host, host, '127.0.0.1', 45678, 1 << 20)
            self.assertEqual(moved.sent, moved.received)

    @unittest.skipUnless(os.geteuid() == 0, 'needs root')
    def test_rawframe_puts_the_tag_back_on_a_veth(self):
        name = f'feth-self-{os.getpid()}'
        subprocess.run(['ip', 'netns', 'add', name], check=True)
        self.addCleanup(subprocess.run, ['ip', 'netns', 'del', name], check=True)
        with Netns(name, GUESTDIR) as netns:
            netns.check('ip link add left type veth peer name right && '
                        'ip link set left up && ip link set right up')
            left = netns.spawn('rawframe recv left 88b5 1 500')
            right = netns.spawn('rawframe recv right 88b5 2 20000')
            left.wait_for('ready')
            right.wait_for('ready')
            netns.check(f'rawframe send left {frame("8100a005")}')
            netns.check(f'rawframe send left {frame("88a80007")}')
            self.assertEqual(right.wait(),
                             (0, f'ready\n{frame("8100a005")}\n{frame("88a80007")}\n'))
            self.assertEqual(left.wait(), (1, 'ready\n'))  # what it sent itself does not come in


if __name__ == '__main__':
    GUESTDIR = prepare(qemu=QEMU)
    unittest.main(verbosity=2)
