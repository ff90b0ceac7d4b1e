"""bench.py - the lab behind bench.sh: which cells there are, how they are run and what is made of them.

A *cell* is one switch, one frame size and one batch size: a sender that never waits, a receiver that
counts, for a few seconds. A *bench* is a list of cells that are to be compared. All cells of a bench run
one after the other, and that again for every round, there and back (A B C, C B A, …): what a neighbour on
this machine does to one it does to all. Ratios are taken within a round, and their median is shown with the
least and the greatest. Receivers count, not senders: what a switch drops does not count.
"""
import argparse
import contextlib
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

import page  # noqa: E402

SIZES = (60, 1514, 9014)


# -- switches: each gives what sender and receiver connect to, and a pid for its CPU time or None --

class Ends:
    def __init__(self, send, recv, pid=None, drops=lambda: None):
        self.send, self.recv, self.pid, self.drops = send, recv, pid, drops


def tool(lab, name):
    return os.path.join(lab.build, "tests", "bench", name)


@contextlib.contextmanager
def process(*argv, ready=None):
    """A program in the background, from when it says `ready` until it is terminated."""
    p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    try:
        if ready and not p.stdout.readline().startswith(ready):
            raise RuntimeError(f"{argv[0]}: {p.stderr.read().strip()}")
        yield p
    finally:
        p.terminate()
        p.communicate()


def wait_for(path, seconds=5.0):
    end = time.monotonic() + seconds
    while not os.path.exists(path):
        if time.monotonic() > end:
            raise RuntimeError(f"{path} did not appear")
        time.sleep(0.01)


@contextlib.contextmanager
def fethd(lab, size, kinds, backend="none"):
    """kinds: of sender and receiver; `packet` is the host member."""
    import harness
    harness.FETHD = lab.fethd
    with harness.Daemon("--log-level", "warn", wait=None) as d:
        d.start(wait=False)
        wait_for(d.path("control.sock"))
        net = d.create("bench", backend=backend, mtu=9000 if size > 1514 else 1500)
        where = {"native": d.path("bench", "feth.sock"), "qemu": d.path("bench", "qemu.sock"),
                 "packet": net.get("host")}
        yield Ends(*((k, where[k]) for k in kinds), d.proc.pid,
                   lambda: d.call("stats.get", network="bench")["network"]["drops"])
        d.call("network.delete", network="bench")


@contextlib.contextmanager
def relay(lab, size):
    with tempfile.TemporaryDirectory() as dir:
        path = f"{dir}/relay"
        with process(tool(lab, "bench_relay"), path, ready="ready") as p:
            yield Ends(("raw", path), ("raw", path), p.pid)


@contextlib.contextmanager
def vde(lab, size):
    with tempfile.TemporaryDirectory() as dir:
        path = f"{dir}/vde"
        with process("vde_switch", "--sock", path) as p:  # it ends at the end of its stdin
            wait_for(f"{path}/ctl")
            yield Ends(("vde", path), ("vde", path), p.pid)


def forwards(member):
    """Whether a bridge's port does. (/sys shows the interfaces of another namespace.)"""
    text = subprocess.run(["ip", "-json", "-details", "link", "show", member], check=True,
                          capture_output=True, text=True).stdout
    return json.loads(text)[0]["linkinfo"].get("info_slave_data", {}).get("state") == "forwarding"


@contextlib.contextmanager
def bridge(lab, size):
    """Two veths in a Linux bridge."""
    mtu = "9000" if size > 1514 else "1500"

    def ip(*args):
        subprocess.run(["ip", *args], check=True)
    ip("link", "add", "br0", "mtu", mtu, "type", "bridge")
    try:
        for n in "01":
            ip("link", "add", f"bench{n}", "mtu", mtu, "type", "veth", "peer", "name",
               f"port{n}", "mtu", mtu)
            ip("link", "set", f"port{n}", "master", "br0", "up")
            ip("link", "set", f"bench{n}", "up")
        ip("link", "set", "br0", "mtu", mtu, "up")
        end = time.monotonic() + 5
        while not all(forwards(f"port{n}") for n in "01"):
            if time.monotonic() > end:
                raise RuntimeError("the bridge does not forward")
            time.sleep(0.01)
        yield Ends(("packet", "bench0"), ("packet", "bench1"))
    finally:
        for n in "01":
            subprocess.run(["ip", "link", "del", f"bench{n}"], check=False)
        ip("link", "del", "br0")


# -- benches --

def native(lab, size):
    return fethd(lab, size, ("native", "native"))


def qemu(lab, size):
    return fethd(lab, size, ("qemu", "qemu"))


def native_to_qemu(lab, size):
    return fethd(lab, size, ("native", "qemu"))


def other(switch):
    """The same with the fethd of --against."""
    @contextlib.contextmanager
    def run(lab, size):
        ours, lab.fethd = lab.fethd, lab.against
        try:
            with switch(lab, size) as ends:
                yield ends
        finally:
            lab.fethd = ours
    return run


def to_host(lab, size):
    return fethd(lab, size, ("native", "packet"), "veth")


def from_host(lab, size):
    return fethd(lab, size, ("packet", "native"), "veth")


class Bench:
    def __init__(self, what, cells, netns=False):
        """cells: (name, switch, batch); the first is ours and is compared with the others."""
        self.what, self.cells, self.netns = what, cells, netns


BENCHES = {
    "clients": Bench(
        "Client to client over the native socket, 64 frames a write; vde_switch with two libvdeplug "
        "clients, which knows one frame a call; a blind relay that reads 256 KiB and writes it.",
        [("fethd", native, 64), ("relay", relay, 64), ("vde_switch", vde, 64)]),
    "single": Bench(
        "The same with a sender that writes frames singly.",
        [("fethd", native, 1), ("relay", relay, 1), ("vde_switch", vde, 1)]),
    "qemu": Bench(
        "Client to client in QEMU's framing, and from native to QEMU's, 64 frames a write.",
        [("fethd qemu-qemu", qemu, 64), ("fethd native-qemu", native_to_qemu, 64),
         ("fethd qemu-qemu single", qemu, 1), ("vde_switch", vde, 64)]),
    "tohost": Bench(
        "Client to the host member (native socket, 64 frames a write; AF_PACKET reads at the host "
        "member), against a Linux bridge with two veths and AF_PACKET at both ends.",
        [("fethd", to_host, 64), ("fethd single", to_host, 1), ("bridge", bridge, 64)], True),
    "fromhost": Bench(
        "Host member to client.",
        [("fethd", from_host, 64), ("bridge", bridge, 64)], True),
}


# -- one cell --

def run_time(pid):
    """CPU seconds of a process so far."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:  # a zombie still has one
        return int(f.read().split()[0]) / 1e9


def steal():
    """(stolen, all) CPU time of this machine so far, in ticks."""
    with open("/proc/stat", encoding="ascii") as f:
        t = [int(x) for x in f.readline().split()[1:9]]
    return t[7], sum(t)


def run_cell(lab, switch, size, batch):
    stolen, ticks = steal()
    with switch(lab, size) as ends:
        client = tool(lab, "bench_client")
        rx = subprocess.Popen([client, "recv", *ends.recv], stdout=subprocess.PIPE, text=True)
        try:
            ready = rx.stdout.readline().split()
            if ready[:1] != ["ready"]:
                raise RuntimeError("the receiver did not connect")
            used = run_time(ends.pid) if ends.pid else None
            tx = subprocess.run(
                [client, "send", *ends.send, ready[1], str(size), str(batch), str(lab.seconds)],
                stdout=subprocess.PIPE, text=True, check=True)
            rx.terminate()
            out, _ = rx.communicate(timeout=30)
            if ends.pid:
                used = run_time(ends.pid) - used
            drops = ends.drops()
        finally:
            rx.kill()
            rx.wait()
    sent, got = json.loads(tx.stdout), json.loads(out)
    if got["disorder"]:
        raise RuntimeError(f"{got['disorder']} frames came out of order")
    now_stolen, now_ticks = steal()
    seconds = got["seconds"] or lab.seconds
    return {
        "delivered": got["frames"],
        "sent": sent["frames"],
        "kframes_per_s": round(got["frames"] / seconds / 1e3, 2),
        "gbit_per_s": round(got["bytes"] * 8 / seconds / 1e9, 4),
        "cpu_switch_s": round(used, 4) if used is not None else None,
        "cpu_sender_s": sent["cpu"],
        "cpu_receiver_s": got["cpu"],
        "seconds": got["seconds"],
        "reads": got["calls"],
        "drops": drops,  # as the switch counts them, where it does
        "steal": round((now_stolen - stolen) / max(1, now_ticks - ticks), 4),
    }


# -- many, and what is made of them --

def median(values):
    return statistics.median(values)


def spread(values, digits):
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def digits(x):
    return 0 if x >= 100 else 1 if x >= 10 else 2


def row(rounds, size, name, first):
    cells = [r[str(size)][name] for r in rounds]
    ours = [r[str(size)][first] for r in rounds]
    rate = [c["kframes_per_s"] for c in cells]
    gbit = [c["gbit_per_s"] for c in cells]
    lost = [1 - c["delivered"] / c["sent"] for c in cells if c["sent"]]
    cpu = [c["cpu_switch_s"] for c in cells if c["cpu_switch_s"]]
    per_cpu = [c["delivered"] / c["cpu_switch_s"] / 1e6 for c in cells if c["cpu_switch_s"]]
    ratio = [a["kframes_per_s"] / b["kframes_per_s"] for a, b in zip(ours, cells) if b["kframes_per_s"]]
    cores = [c["cpu_switch_s"] / c["seconds"] for c in cells if c["cpu_switch_s"] and c["seconds"]]
    return [
        str(size), name, spread(rate, digits(median(rate))), spread(gbit, 2),
        f"{100 * median(lost):.0f} %", f"{median(cores):.2f}" if cpu else "–",
        f"{median(per_cpu):.2f}" if cpu else "–",
        "" if name == first else spread(ratio, 2) if ratio else "–",
    ]


HEAD = ["bytes", "switch", "kframes/s", "Gbit/s", "not delivered", "switch CPU, cores",
        "Mframes per switch-CPU-s", "{} / this"]


def table(rounds, sizes, names):
    head = list(HEAD)
    head[-1] = head[-1].format(names[0])
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for size in sizes:
        for name in names:
            lines.append("| " + " | ".join(row(rounds, size, name, names[0])) + " |")
    return "\n".join(lines)


def git(*args):
    try:
        return subprocess.run(["git", "-C", ROOT, *args], capture_output=True, text=True,
                              check=True).stdout.strip()
    except (subprocess.CalledProcessError, FileNotFoundError):
        return ""


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def memory_gib():
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def facts(lab):
    dirty = "-dirty" if git("status", "--porcelain", "--untracked-files=no") else ""
    return {
        "machine": f"{os.cpu_count()} CPUs, {cpu_model()}, {memory_gib()} GiB",
        "kernel": platform.release(),
        "commit": (git("rev-parse", "--short=12", "HEAD") or "unknown") + dirty,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "load_before": os.getloadavg()[0],
        "command": "tests/bench/bench.sh " + " ".join(lab.args),
    }


def run_bench(lab, name):
    bench = BENCHES[name]
    cells = []
    for label, switch, batch in bench.cells:
        if label not in lab.missing:
            cells.append((label, switch, batch))
        if lab.against and label.startswith("fethd"):
            cells.append((label.replace("fethd", "other"), other(switch), batch))
    names = [c[0] for c in cells]
    about = facts(lab)
    rounds = []
    for n in range(lab.rounds):
        results = {}
        for size in lab.sizes:
            for label, switch, batch in cells if n % 2 == 0 else reversed(cells):
                cell = run_cell(lab, switch, size, batch)
                results.setdefault(str(size), {})[label] = cell
                print(f"{name} round {n + 1}/{lab.rounds}: {size:5} {label:22} "
                      f"{cell['kframes_per_s']:10.1f} k/s {cell['gbit_per_s']:7.2f} Gbit/s", flush=True)
                if not cell["delivered"]:
                    raise SystemExit(f"bench: {name}, {size} bytes, {label}: no frame arrived")
        rounds.append(results)
    text = table(rounds, lab.sizes, names)
    print(f"\n{name}: {bench.what}\n{text}\n", flush=True)
    if lab.quick:
        return
    os.makedirs(os.path.join(lab.out, "benchmarks"), exist_ok=True)
    with open(os.path.join(lab.out, "benchmarks", f"{name}.json"), "w", encoding="utf-8") as f:
        json.dump({**about, "what": bench.what, "seconds_per_cell": lab.seconds, "rounds": rounds},
                  f, indent=1)
        f.write("\n")
    note = (f"{bench.what}\n\n{text}\n\n{lab.rounds} rounds of {lab.seconds:g} s a cell, {about['date']}, "
            f"commit {about['commit']}, Linux {about['kernel']}, {about['machine']}: "
            f"`{about['command']}`")
    page.write(lab.out, name, note)


def skip(what, why):
    print(f"SKIPPED: bench {what}: {why}", flush=True)


def have(program):
    return any(os.access(os.path.join(d, program), os.X_OK)
               for d in os.environ["PATH"].split(":") + ["/usr/sbin", "/sbin"])


def knows_vde(lab):
    """Whether bench_client was built with libvdeplug: it refuses a kind it does not know with 2."""
    return subprocess.run([tool(lab, "bench_client"), "recv", "vde", "/dev/null"],
                          capture_output=True, check=False).returncode != 2


def prepare_netns():
    """Quiet interfaces: nothing but our frames."""
    for path in ("all", "default"):
        with contextlib.suppress(OSError):
            with open(f"/proc/sys/net/ipv6/conf/{path}/disable_ipv6", "w", encoding="ascii") as f:
                f.write("1")


def main():
    p = argparse.ArgumentParser(prog="bench.sh")
    p.add_argument("names", nargs="*", metavar="NAME", help=" ".join(BENCHES))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=1.0, help="of each cell")
    p.add_argument("--sizes", help="of frames, with commas between")
    p.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    p.add_argument("--out", default=os.path.join(ROOT, "docs"))
    p.add_argument("--against", metavar="FETHD", help="another fethd to measure beside ours")
    p.add_argument("--quick", action="store_true", help="only that every cell delivers frames")
    p.add_argument("--netns", action="store_true", help=argparse.SUPPRESS)
    lab = p.parse_args()
    lab.args = [a for a in sys.argv[1:] if a != "--netns"]
    unknown = set(lab.names) - set(BENCHES)
    if unknown:
        p.error(f"there is no bench {' '.join(sorted(unknown))}; there are {' '.join(BENCHES)}")
    if lab.quick:
        lab.rounds, lab.seconds = 1, 0.1
    lab.sizes = [int(s) for s in lab.sizes.split(",")] if lab.sizes else SIZES

    lab.fethd = os.path.join(lab.build, "server", "fethd")
    for path in (lab.fethd, tool(lab, "bench_client")):
        if not os.access(path, os.X_OK):
            raise SystemExit(f"bench: no {path}; build the release preset first "
                             "(cmake --preset release && cmake --build --preset release)")
    lab.missing = set()
    if not have("vde_switch") or not knows_vde(lab):
        skip("vde_switch", "no vde_switch or no libvdeplug here (Debian: vde2 and libvdeplug-dev)")
        lab.missing.add("vde_switch")
    if lab.netns:
        prepare_netns()

    ran = False
    for name in lab.names or BENCHES:
        if BENCHES[name].netns and not lab.netns:
            skip(name, "host sides need root")
            continue
        run_bench(lab, name)
        ran = True
    return 0 if ran else 77


if __name__ == "__main__":
    sys.exit(main())
