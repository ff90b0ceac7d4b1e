"""guest.py - real QEMU guests for tests: boot one, run commands in it, push data through it.

A test says `guestdir = prepare()` (which builds the guest by build.sh, or exits 77), then

    a = Guest('a', guestdir, ['-netdev', 'stream,id=net0,...'], mac='02:00:00:00:00:0a',
              addr='10.0.0.1/24')
    with boot(a, b):                    # both boot at the same time; stopped whatever happens
        a.check('ping -c 3 -w 10 10.0.0.2')

Guest, Host (this machine) and Netns (a network namespace of it) have the same run(), check() and
spawn(), so helpers like tcp_transfer() take any of them. The tools rawframe, bulk and busybox are
on the PATH everywhere. The other end of the conversation with a guest is ./init.

Plain standard library. A Guest or Host belongs to one thread.
"""

import atexit
import base64
import collections
import contextlib
import itertools
import os
import re
import secrets
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

BOOT_TIMEOUT = 90.0     # seconds; 3 on an idle machine, but tests run beside each other
RUN_TIMEOUT = 30.0
POLL = 0.05             # seconds between two looks at what cannot be waited for
PIECE = 3000            # base64 characters per console line: below the tty's 4095, whole triples
CONSOLE_KEPT = 64 * 1024

HERE = os.path.dirname(os.path.abspath(__file__))


class GuestError(Exception):
    """A machine or a command did not do what was asked; says what was last seen."""


class CommandTimeout(GuestError):
    """A command took too long."""


def prepare(outdir=None, qemu='qemu-system-x86_64'):
    """Build the guest where needed and return its folder; exit 77 where this cannot be done.

    The folder is `outdir`, else $FETHD_GUEST_DIR, else build/guest beside tests/.
    """
    if not shutil.which(qemu):
        print(f'SKIPPED: no {qemu} here; install QEMU to run the guest tests', file=sys.stderr)
        sys.exit(77)
    outdir = outdir or os.environ.get('FETHD_GUEST_DIR') or os.path.join(
        HERE, '..', '..', 'build', 'guest')
    rc = subprocess.run([os.path.join(HERE, 'build.sh'), outdir], stdin=subprocess.DEVNULL,
                        check=False).returncode
    if rc:
        print(f'{"SKIPPED" if rc == 77 else "FAILED"}: build.sh made no guest', file=sys.stderr)
        sys.exit(rc)
    return os.path.abspath(outdir)


# --- processes of ours -------------------------------------------------------------------------

class Process:
    """A program in a session of its own, ended as a whole, and never anything else.

    It is not reaped before its group has been killed: until then the group's number cannot be
    given to anybody else.
    """

    def __init__(self, argv, **popen):
        # Should this process be killed outright (as a test runner does after its time limit), the
        # kernel kills the program. It really does so when the *thread* ends, hence only here.
        if threading.current_thread() is threading.main_thread() and shutil.which('setpriv'):
            argv = ['setpriv', '--pdeathsig', 'KILL', '--', *argv]
        self.popen = subprocess.Popen(argv, start_new_session=True, **popen)

    def status(self):
        """The exit status (128 + signal, as a shell has it), or None while it runs."""
        rc = self.popen.returncode
        if rc is not None:
            return rc if rc >= 0 else 128 - rc
        info = os.waitid(os.P_PID, self.popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if info is None:
            return None
        return info.si_status if info.si_code == os.CLD_EXITED else 128 + info.si_status

    def end(self, grace=0.0):
        """Kill what is left of it, after `grace` seconds to end by itself on SIGTERM."""
        if self.popen.returncode is not None:
            return
        if grace and self.status() is None:
            os.killpg(self.popen.pid, signal.SIGTERM)
            deadline = time.monotonic() + grace
            while self.status() is None and time.monotonic() < deadline:
                time.sleep(0.01)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


# --- machines ----------------------------------------------------------------------------------

class Job:
    """A command that runs in the background of a machine; made by spawn()."""

    def __init__(self, cmd):
        self.cmd = cmd

    def status(self):
        """The exit status, or None while it runs."""
        raise NotImplementedError

    def output(self):
        """What it has printed so far, standard error included."""
        raise NotImplementedError

    def kill(self):
        """End it and its children; harmless when it has ended."""
        raise NotImplementedError

    def wait(self, timeout=RUN_TIMEOUT):
        """Return (status, output) when it has ended; kill it and raise after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        pause = POLL
        while (status := self.status()) is None:
            if time.monotonic() >= deadline:
                self.kill()
                raise CommandTimeout(
                    f'still running after {timeout:g} s: {self.cmd}\n{self.output()}')
            time.sleep(pause)
            pause = min(2 * pause, 0.5)  # a look costs a guest 25 ms of its only CPU
        return status, self.output()

    def wait_for(self, line, timeout=RUN_TIMEOUT):
        """Return when it has printed `line`; raise if it ends or `timeout` passes before."""
        deadline = time.monotonic() + timeout
        while True:
            status = self.status()  # before the output: what it said last is not to be missed
            if line in self.output().splitlines():
                return
            if status is not None or time.monotonic() >= deadline:
                self.kill()
                how = 'still running' if status is None else f'ended with {status}'
                raise GuestError(f'never said {line!r}, {how}: {self.cmd}\n{self.output()}')
            time.sleep(POLL)


class Machine:
    """What a Guest, a Host and a Netns have in common."""

    name = '?'

    def run(self, cmd, timeout=RUN_TIMEOUT):
        """Run a shell command and return (status, output); raise after `timeout` seconds."""
        raise NotImplementedError

    def spawn(self, cmd):
        """Start a shell command in the background and return its Job."""
        raise NotImplementedError

    def check(self, cmd, timeout=RUN_TIMEOUT):
        """Run a shell command that must succeed, and return its output."""
        status, output = self.run(cmd, timeout)
        if status:
            raise GuestError(f'{self.name}: status {status} from: {cmd}\n{output}')
        return output


class HostJob(Job):
    """A Job that is a child of this process."""

    def __init__(self, cmd, argv, env, path):
        super().__init__(cmd)
        self._path = path
        with open(path, 'wb') as out:
            self._process = Process(argv, stdin=subprocess.DEVNULL, stdout=out,
                                    stderr=subprocess.STDOUT, env=env)

    def status(self):
        return self._process.status()

    def output(self):
        with open(self._path, encoding='utf-8', errors='replace') as file:
            return file.read()

    def kill(self):
        self._process.end()


class Host(Machine):
    """This machine: commands run by /bin/sh, behind `prefix` (a list) where one is given.

    What run() leaves in the background is killed as it returns; what spawn() started is killed by
    stop(), the end of a `with` block, or the end of the program.
    """

    def __init__(self, guestdir, prefix=(), name='host'):
        self.name = name
        self._prefix = list(prefix)
        self._env = dict(os.environ, PATH=f'{guestdir}:{os.environ["PATH"]}')
        self._dir = tempfile.mkdtemp(prefix='fethd-host.')
        self._numbers = itertools.count()
        self._jobs = []
        atexit.register(self.stop)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for job in self._jobs:
            job.kill()
        self._jobs.clear()
        shutil.rmtree(self._dir, ignore_errors=True)
        atexit.unregister(self.stop)

    def spawn(self, cmd):
        path = os.path.join(self._dir, str(next(self._numbers)))
        job = HostJob(cmd, [*self._prefix, '/bin/sh', '-c', cmd], self._env, path)
        self._jobs.append(job)
        return job

    def run(self, cmd, timeout=RUN_TIMEOUT):
        job = self.spawn(cmd)
        try:
            return job.wait(timeout)
        finally:
            job.kill()
            self._jobs.remove(job)


class Netns(Host):
    """A network namespace that `ip netns add` made."""

    def __init__(self, netns, guestdir):
        super().__init__(guestdir, ['ip', 'netns', 'exec', netns], netns)


class GuestJob(Job):
    """A Job in a guest: a session of its own, its output and status in files."""

    def __init__(self, cmd, guest, number):
        super().__init__(cmd)
        self._guest = guest
        self._dir = f'/tmp/job.{number}'
        body = f'sh {self._dir}/cmd >{self._dir}/out 2>&1; echo $? >{self._dir}/new; ' \
               f'mv {self._dir}/new {self._dir}/status'
        guest.check(f'mkdir {self._dir} && printf %s {shlex.quote(cmd)} >{self._dir}/cmd && '
                    f': >{self._dir}/out && '
                    f'{{ setsid sh -c {shlex.quote(body)} >/dev/null 2>&1 & '
                    f'echo $! >{self._dir}/pid; }}')

    def status(self):
        _, text = self._guest.run(f'[ ! -e {self._dir}/status ] || cat {self._dir}/status')
        return int(text) if text else None

    def output(self):
        return self._guest.check(f'cat {self._dir}/out')

    def kill(self):
        # 137 = 128 + SIGKILL, unless it has ended by itself before. Never a number used again.
        self._guest.check(f'cd {self._dir} && [ -e status ] || '
                          f'{{ kill -KILL -$(cat pid); echo 137 >status; }}')


class Guest(Machine):
    """A virtual machine with one virtio NIC, eth0.

    netdev_args  QEMU arguments that make a netdev with id=net0: ['-netdev', 'stream,id=net0,…']
    mac          of eth0; always give one, QEMU's default is the same for every guest
    addr, addr6  address with prefix length for eth0; mtu: its MTU
    qemu         the program; qemu_args: more arguments; append: more words for the kernel
    device_opts  more properties of the NIC: 'vectors=0' (else QEMU 7.2 crashes with vhost-user)
    pass_fds     descriptors to leave open, for -netdev …,fd=N
    diskless     has no kernel: its NIC's boot ROM is to find one. kernel_words says with which words
    prefix       a program to start QEMU through, e.g. ['ip', 'netns', 'exec', 'x']

    Nothing runs before launch(); `with guest:` and boot() do that, wait, and stop it at the end.
    The console is QEMU's standard input and output, so a prefix must leave these alone.
    """

    def __init__(self, name, guestdir, netdev_args=(), *, mac, addr=None, addr6=None, mtu=None,
                 qemu='qemu-system-x86_64', qemu_args=(), device_opts='', append='', memory=256,
                 pass_fds=(), prefix=(), diskless=False):
        self.name = name
        self.mac = mac
        words = ['console=ttyS0 quiet loglevel=1 panic=-1', f'host={name}']
        words += [f'{key}={value}' for key, value in
                  (('addr', addr), ('addr6', addr6), ('mtu', mtu)) if value]
        words += [append] if append else []
        self.kernel_words = ' '.join(words)
        device = f'virtio-net-pci,netdev=net0,mac={mac}'
        kernel = ['-kernel', os.path.join(guestdir, 'vmlinuz'),
                  '-initrd', os.path.join(guestdir, 'initrd.img'), '-append', self.kernel_words]
        if diskless:
            kernel = ['-boot', 'n']
        else:
            device += ',romfile='
        if device_opts:
            device += ',' + device_opts
        self._argv = [
            *prefix, qemu, '-name', name, '-nodefaults', '-no-user-config', '-no-reboot',
            '-display', 'none', '-vga', 'none',
            '-accel', 'tcg',  # never kvm: where it is emulated badly, guests just hang
            '-smp', '1', '-m', str(memory),
            *kernel, '-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console',
            *netdev_args, '-device', device, *qemu_args]
        self._pass_fds = tuple(pass_fds)
        self._numbers = itertools.count()
        self._process = None
        self._stderr = None
        self._buffer = bytearray()   # from the console, not yet looked at
        self._console = bytearray()  # the last of everything it said
        self._lost = None            # why no more commands can be run
        self._ready = False

    # --- life

    def launch(self):
        """Start QEMU. Does not wait: several guests can boot at the same time."""
        if self._process:
            raise GuestError(f'{self.name}: launched twice')
        self._stderr = tempfile.TemporaryFile()
        atexit.register(self.stop)
        self._process = Process(self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=self._stderr, bufsize=0, pass_fds=self._pass_fds)

    def wait_ready(self, timeout=BOOT_TIMEOUT):
        """Wait until the guest has booted and set its network up."""
        if not self._ready:
            self._expect(rb'guest ready\n', time.monotonic() + timeout,
                         f'not ready after {timeout:g} s')
            self._ready = True

    def stop(self):
        """End QEMU and whatever it was started through; harmless when there is nothing to end."""
        atexit.unregister(self.stop)
        self._lost = self._lost or 'it was stopped'
        if self._process:
            self._process.end(grace=5.0)
            self._process.popen.stdin.close()
            self._process.popen.stdout.close()
            self._stderr.close()
            self._process = None

    def kill(self):
        """End it at once, as a crash would."""
        self._process.end()
        self.stop()

    def running(self):
        """Whether QEMU is alive."""
        return self._process is not None and self._process.status() is None

    def __enter__(self):
        try:
            self.launch()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    # --- commands

    def run(self, cmd, timeout=RUN_TIMEOUT):
        """Run a shell command (busybox) and return (status, output).

        Standard input is /dev/null. A command that takes longer than `timeout` seconds is the end
        of this guest's console: it raises, and so does every later call. Where that may happen
        use timeout(1) or spawn().
        """
        if not self._ready and not self._lost:
            self.wait_ready()
        if self._lost:
            raise GuestError(f'{self.name}: no commands any more, {self._lost}')
        deadline = time.monotonic() + timeout
        late = f'no answer within {timeout:g} s from: {cmd}'
        mark = f'{secrets.token_hex(4)}.{next(self._numbers)}'
        text = base64.b64encode(cmd.encode()).decode()
        pieces = [text[i:i + PIECE] for i in range(0, len(text), PIECE)]
        for number, piece in enumerate(pieces, 1):
            sign = '=' if number == len(pieces) else '+'
            self._write(f'{sign} {mark} {piece}\n')
            self._expect(rb'%s\+\n' % re.escape(mark.encode()), deadline, late)
        output, status = self._expect(rb'%s:(\d+)\n' % re.escape(mark.encode()), deadline, late)
        return int(status), output.decode(errors='replace')

    def spawn(self, cmd):
        return GuestJob(cmd, self, next(self._numbers))

    # --- the console

    def _write(self, text):
        try:
            self._process.popen.stdin.write(text.encode())
        except BrokenPipeError:
            self._fail('QEMU is gone')

    def _expect(self, pattern, deadline, late):
        """Wait for `pattern`; return what came before it and its group, if it has one."""
        if not self._process:
            raise GuestError(f'{self.name}: not launched')
        stdout = self._process.popen.stdout.fileno()
        while True:
            match = re.search(pattern, self._buffer)
            if match:
                before = bytes(self._buffer[:match.start()])
                group = match.group(1) if match.lastindex else None
                del self._buffer[:match.end()]
                return before, group
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([stdout], [], [], left)[0]:
                self._fail(late, CommandTimeout)
            data = os.read(stdout, 65536)
            if not data:
                self._fail('QEMU is gone')
            self._buffer += data
            self._console += data
            del self._console[:-CONSOLE_KEPT]

    def _fail(self, why, kind=GuestError):
        """Raise, with all that may help to see what happened."""
        if why == 'QEMU is gone':
            self._process.end(grace=2.0)
            why += f' (status {self._process.status()})'
        self._lost = why
        self._stderr.seek(0)
        errors = self._stderr.read().decode(errors='replace').strip()
        lines = self._console.decode(errors='replace').splitlines()[-20:]
        raise kind('\n'.join([
            f'{self.name}: {why}',
            'console, last lines:', *[f'  | {line}' for line in lines or ['(nothing)']],
            'QEMU said:', *[f'  | {line}' for line in errors.splitlines() or ['(nothing)']]]))


@contextlib.contextmanager
def boot(*guests):
    """Boot guests side by side; stop them all at the end of the `with` block."""
    try:
        for guest in guests:
            guest.launch()
        for guest in guests:
            guest.wait_ready()
        yield guests
    finally:
        for guest in guests:
            guest.stop()


# --- bulk data ---------------------------------------------------------------------------------

Transfer = collections.namedtuple('Transfer', 'sent received seconds')


def listening(machine, port):
    """Whether something listens on TCP `port` there."""
    table = machine.check('cat /proc/net/tcp; [ ! -e /proc/net/tcp6 ] || cat /proc/net/tcp6')
    rows = [line.split() for line in table.splitlines()]
    return any(len(row) > 3 and row[1].endswith(f':{port:04X}') and row[3] == '0A' for row in rows)


def wait_listening(machine, port, timeout=RUN_TIMEOUT):
    """Return when something listens on TCP `port` there."""
    deadline = time.monotonic() + timeout
    while not listening(machine, port):
        if time.monotonic() >= deadline:
            raise GuestError(f'{machine.name}: nothing listens on TCP port {port}')
        time.sleep(POLL)


def wait_unix_listening(path, timeout=RUN_TIMEOUT):
    """Return when something on this machine listens on the stream socket `path`, e.g. QEMU.

    Does not connect: that would use up the only connection a QEMU server takes.
    """
    deadline = time.monotonic() + timeout
    while True:
        with open('/proc/net/unix', encoding='utf-8', errors='replace') as table:
            rows = [line.split() for line in table]
        # Num RefCount Protocol Flags Type St Inode Path; 0x10000 is __SO_ACCEPTCON
        if any(row[-1] == path and int(row[3], 16) & 0x10000 for row in rows[1:]):
            return
        if time.monotonic() >= deadline:
            raise GuestError(f'nothing listens on {path}')
        time.sleep(POLL)


def tcp_transfer(sender, receiver, dst_ip, port, nbytes, timeout=180.0, seed=1):
    """Send `nbytes` of noise from one machine to a TCP listener on another.

    Returns Transfer(sent, received, seconds): the SHA-256 of both ends, equal when all is well, and
    the time from connect to the last byte's arrival. Raises when it does not end in `timeout`
    seconds, when the connection fails, or when fewer or more bytes come out than went in.

    The data lies in files (in a guest these are memory: in QEMU's 64 MB fit, in UML's 44 MB do).
    Pipes into or out of nc would be slower than the network: each kilobyte is a context switch,
    dear under TCG.

    How it ends: nc shuts its side down when its input ends and exits when the other side has. So
    the listener's input must not end first (a FIFO open both ways never does); it exits at the
    sender's FIN, that closes the connection, and then the sender exits.
    """
    source = sender.check('mktemp -d').strip()
    sink = receiver.check('mktemp -d').strip()
    listener = None
    try:
        sender.check(f'bulk {seed} {nbytes} >{source}/data', timeout)
        sent = sender.check(f'busybox sha256sum {source}/data', timeout).split()[0]
        listener = receiver.spawn(f'mkfifo {sink}/in && '
                                  f'busybox nc -l -p {port} 0<>{sink}/in >{sink}/data')
        wait_listening(receiver, port)

        start = time.monotonic()
        # timeout(1), for a guest whose command overruns run()'s own would be lost.
        status, said = sender.run(f'busybox timeout {timeout:.0f} busybox nc -w 10 {dst_ip} {port} '
                                  f'<{source}/data', timeout + RUN_TIMEOUT)
        if status:
            came = receiver.check(f'wc -c <{sink}/data').strip()
            raise GuestError(f'{sender.name} to {dst_ip}:{port}: status {status} after '
                             f'{time.monotonic() - start:.1f} s, {came} of {nbytes} bytes came: '
                             f'{said}')
        status, said = listener.wait()
        seconds = time.monotonic() - start

        came = int(receiver.check(f'wc -c <{sink}/data'))
        if status or came != nbytes:
            raise GuestError(f'{receiver.name}: status {status}, {came} of {nbytes} bytes: {said}')
        received = receiver.check(f'busybox sha256sum {sink}/data', timeout).split()[0]
        return Transfer(sent, received, seconds)
    finally:
        # Also after a failure, when a machine may be gone; that would hide what went wrong.
        with contextlib.suppress(GuestError):
            if listener:
                listener.kill()
        for machine, folder in ((sender, source), (receiver, sink)):
            with contextlib.suppress(GuestError):
                machine.check(f'rm -rf {folder}')
