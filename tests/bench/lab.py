"""lab.py - what every bench is made of: cells, rounds, processes, CPU time, network namespaces.

A *cell* is one switch doing one thing at one *point* (a frame size, a direction, a number of ports), and
gives a few figures. A *bench* is the cells that are to be compared. All cells of a bench run one after the
other, and that again for every round, there and back (A B C, C B A, …): what a neighbour on this machine
does to one it does to all. Ratios are taken within a round; their median is shown with the least and the
greatest.
"""
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
for part in ("support", "netns", "guest"):
    sys.path.insert(0, os.path.join(ROOT, "tests", part))


class Absent(Exception):
    """What a cell needs is not here; says what."""


class Column:
    """A column of a bench's table: value(cell) is a number or None."""

    def __init__(self, head, value, digits=None, unit=""):
        self.head, self.value, self.digits, self.unit = head, value, digits, unit


class Goal:
    """One line of what this switch is to reach: value(round) is what is held against `goal`; KeyError or
    TypeError of it means that this round has no such figure. `most`: the goal is a bound from above."""

    def __init__(self, line, what, goal, value, most=False, unit="×"):
        self.line, self.what, self.goal, self.value = line, what, goal, value
        self.most, self.unit = most, unit


def ratio(point, metric, ours, theirs):
    """A Goal's value: the metric of one cell by that of another, of the same round and point."""
    return lambda r: metric(r[point][ours]) / metric(r[point][theirs])


def field(name):
    return lambda cell: cell[name]


class Bench:
    """name, what: as on the page. points: what is varied. cells(lab, point): (label, fn(lab, point) →
    figures), ours first. rate: the figure that is compared (its unit: head); `less` where less of it is better.
    point_head: what the points are.
    columns, goals, plots (plot.py). root: needs namespaces. around(lab): a context that lasts for all
    rounds. quick: how many points --quick takes. note: what stands below the table."""

    def __init__(self, name, what, points, cells, rate, columns, *, head="", point_head="bytes", less=False,
                 goals=(), plots=(), root=False, around=None, seconds=1.0, rounds=None, quick=1, note=""):
        self.name, self.what, self.points, self.cells = name, what, points, cells
        self.rate, self.columns, self.head, self.less = rate, columns, head, less
        self.point_head = point_head
        self.goals, self.plots, self.root, self.note = list(goals), list(plots), root, note
        self.around = around or (lambda lab: contextlib.nullcontext())
        self.seconds, self.rounds, self.quick = seconds, rounds, quick


# -- processes --

@contextlib.contextmanager
def process(*argv, ready=None, prefix=(), **kw):
    """A program in the background, from when it says `ready` until it is terminated."""
    p = subprocess.Popen([*prefix, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, **kw)
    try:
        if ready and not p.stdout.readline().startswith(ready):
            raise RuntimeError(f"{argv[0]}: {p.stderr.read().strip()}")
        yield p
    finally:
        p.terminate()
        try:
            p.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()


def run(*argv, prefix=(), check=True):
    p = subprocess.run([*prefix, *argv], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                       check=False, timeout=120)
    if check and p.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {p.stderr.strip() or p.stdout.strip()}")
    return p.stdout


def wait_until(what, test, seconds=10.0):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)


def have(program):
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    return shutil.which(program, path=path)


def need(program, package):
    """The program's path; without it the cell is left out."""
    path = have(program)
    if not path:
        raise Absent(f"no {program} here (Debian: {package})")
    return path


def tool(lab, name):
    return os.path.join(lab.build, "tests", "bench", name)


# -- what a process took --

def run_time(pid):
    """CPU seconds of a process so far, all its threads."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
    return total / 1e9


def run_times(pids):
    return sum(run_time(p) for p in pids)


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise RuntimeError(f"process {pid} has no VmRSS")


def steal():
    """(stolen, all) CPU time of this machine so far, in ticks."""
    with open("/proc/stat", encoding="ascii") as f:
        t = [int(x) for x in f.readline().split()[1:9]]
    return t[7], sum(t)


def machine_time():
    """CPU seconds of all processors so far in which something ran, interrupts included: what a bridge in the
    kernel costs is nobody's in particular."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _, _, irq, softirq = [int(x) for x in f.readline().split()[1:8]]
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


# -- network namespaces --

# What is set in all of them: no IPv6, so that nothing but our frames is on the wire; and TCP does not
# begin with BBR, where that is the machine's. It paces, and goes on pacing when a connection is told to use
# another: 22,000 timers a second in a run of iperf3 -C cubic. Reno is what every namespace may have.
SYSCTLS = {"ipv6/conf/all/disable_ipv6": "1", "ipv6/conf/default/disable_ipv6": "1",
           "ipv4/tcp_congestion_control": "reno"}


class Here:
    """The namespace of this run, where the switches are; like netlab.Namespace."""
    prefix = []

    @staticmethod
    def ip(words):
        return run("ip", *words.split())


@contextlib.contextmanager
def spaces(count=2):
    """So many namespaces, with SYSCTLS."""
    import netlab
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(netlab.Namespace()) for _ in range(count)]
        for s in made:
            for path, value in SYSCTLS.items():
                s.sysctl(path, value)
        yield made


def received(space, interface):
    """Frames that an interface has received so far."""
    text = run("ip", "-json", "-s", "link", "show", interface, prefix=space.prefix)
    return json.loads(text)[0]["stats64"]["rx"]["packets"]


def address(space, interface):
    return json.loads(run("ip", "-json", "link", "show", interface, prefix=space.prefix))[0]["address"]


# -- the daemon --

@contextlib.contextmanager
def daemon(lab, prefix=(), **env):
    """Our fethd, and the socket of its control plane there."""
    import harness
    harness.FETHD = lab.fethd
    with harness.Daemon("--log-level", "warn", wait=None, prefix=prefix, env=env) as d:
        d.start(wait=False)
        wait_until("the daemon listens", lambda: os.path.exists(d.path("control.sock")))
        yield d


def drops(d, network="bench"):
    return d.call("stats.get", network=network)["network"]["drops"]


# -- rounds --

def run_rounds(lab, bench):
    """Runs a bench: (rounds, {label: why it is missing}). A round is {point: {label: figures}}. What fails
    has no figures in that round, is told, and is counted in lab.failures."""
    rounds, absent = [], {}
    count = lab.rounds or bench.rounds or 5
    lab.seconds = lab.seconds_asked or bench.seconds
    if lab.quick:
        count, lab.seconds = 1, 0.1
    points = [p for p in bench.points if not lab.points or str(p) in lab.points] or bench.points
    points = points[:bench.quick or 1] if lab.quick else points
    started = time.monotonic()
    if lab.deadline and started > lab.deadline:
        raise Absent("the time is over")
    with bench.around(lab):
        for n in range(count):
            # the end of the time is the end of the round before, never the middle of one
            each = (time.monotonic() - started) / n if n else 0
            if lab.deadline and time.monotonic() + each > lab.deadline:
                print(f"{bench.name}: the time is over after {n} of {count} rounds", flush=True)
                break
            results = {}
            for point in points:
                cells = [c for c in bench.cells(lab, point) if c[0] not in absent]
                for label, fn in cells if n % 2 == 0 else list(reversed(cells)):
                    stolen, ticks = steal()
                    try:
                        cell = fn(lab, point)
                    except Absent as why:
                        absent[label] = str(why)
                        print(f"SKIPPED: bench {bench.name}: {label}: {why}", flush=True)
                        continue
                    except (RuntimeError, AssertionError, OSError, subprocess.SubprocessError) as why:
                        lab.failures.append(f"{bench.name}, {point}, {label}: {why}")
                        print(f"FAILED: {lab.failures[-1]}", flush=True)
                        continue
                    now_stolen, now_ticks = steal()
                    cell["steal"] = round((now_stolen - stolen) / max(1, now_ticks - ticks), 4)
                    results.setdefault(str(point), {})[label] = cell
                    figure = bench.rate(cell)
                    print(f"{bench.name} round {n + 1}/{count}: {point!s:>6} {label:22} "
                          f"{figure:12.2f} {bench.head}", flush=True)
            rounds.append(results)
    return rounds, absent


def spread(values, digits=None):
    mid = statistics.median(values)
    if digits is None:
        digits = 0 if abs(mid) >= 100 else 1 if abs(mid) >= 10 else 2
    return f"{mid:.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"
