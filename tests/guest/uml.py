"""uml.py - User Mode Linux as a guest: a kernel that is an ordinary program, fast, with drivers of its own.

    a = Uml('a', guestdir, f'vec0:transport=bess,dst={path},depth=128', mac='02:00:00:00:00:0a', addr='10.0.0.1/24')
    with boot(a):
        a.check('ping -c 3 -w 10 10.0.0.2')

It boots the initrd of the QEMU guests, whose ./init knows it. Its serial line is the console.
"""
import os
import shutil
import sys
import tempfile

from guest import Guest


class Uml(Guest):
    """A User Mode Linux with one NIC, eth0.

    nic        `vec0:…` without the address, to which `mac` is added, or `eth0=…` of the older drivers with it
    the rest   as of Guest; pass_fds: for transport=fd
    """

    def __init__(self, name, guestdir, nic, *, mac, addr=None, addr6=None, mtu=None, pass_fds=(), prefix=()):
        super().__init__(name, guestdir, mac=mac, pass_fds=pass_fds)
        words = [f'{key}={value}' for key, value in
                 (('addr', addr), ('addr6', addr6), ('mtu', mtu)) if value]
        self.folder = tempfile.mkdtemp(prefix='fethd-uml.')
        self._argv = [
            *prefix, 'linux.uml', 'mem=128M', f'initrd={os.path.join(guestdir, "initrd.img")}',
            f'uml_dir={self.folder}', f'umid={name}', 'con=null', 'ssl=null', 'ssl0=fd:0,fd:1',
            'quiet', 'loglevel=1', 'panic=-1', f'host={name}',
            f'{nic},mac={mac}' if nic.startswith('vec0:') else nic, *words]

    def stop(self):
        super().stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def require_uml():
    """Ends the program as skipped where there is none."""
    if not shutil.which('linux.uml'):
        print('SKIPPED: no linux.uml here (Debian: user-mode-linux)', file=sys.stderr)
        sys.exit(77)
