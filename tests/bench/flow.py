"""flow.py - a sender that never waits, a receiver that counts, and the switches between the two.

Receivers count, not senders: what a switch drops does not count.
"""
import contextlib
import json
import os
import subprocess
import tempfile

import lab as L


class Ends:
    """(kind, where) of sender and receiver as bench_client takes them; the switch's processes."""

    def __init__(self, send, recv, pids=(), drops=lambda: None):
        self.send, self.recv, self.pids, self.drops = send, recv, list(pids), drops


# -- switches: contexts that give Ends, for frames of `size` bytes --

def mtu_for(size):
    return 9000 if size > 1514 else 1500


@contextlib.contextmanager
def fethd(lab, size, kinds, backend="none", **more):
    """kinds: of sender and receiver; `packet` is the host member."""
    with L.daemon(lab) as d:
        net = d.create("bench", backend=backend, mtu=mtu_for(size), **more)
        where = {"native": d.path("bench", "feth.sock"), "qemu": d.path("bench", "qemu.sock"),
                 "shm": d.path("bench", "feth.sock"), "packet": net.get("host")}
        yield Ends(*((k, where[k]) for k in kinds), [d.proc.pid], lambda: L.drops(d))
        d.call("network.delete", network="bench")


def between(*kinds, backend="none"):
    return lambda lab, size: fethd(lab, size, kinds, backend)


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


def other_cell(cell):
    """A cell of another fethd, that of --against."""
    def run(lab, point):
        ours, lab.fethd = lab.fethd, lab.against
        try:
            return cell(lab, point)
        finally:
            lab.fethd = ours
    return run


@contextlib.contextmanager
def relay(lab, size):
    with tempfile.TemporaryDirectory() as dir:
        path = f"{dir}/relay"
        with L.process(L.tool(lab, "bench_relay"), path, ready="ready") as p:
            yield Ends(("raw", path), ("raw", path), [p.pid])


@contextlib.contextmanager
def direct(lab, size):
    """Nothing between the two: what a Unix stream can do."""
    with tempfile.TemporaryDirectory() as dir:
        yield Ends(("raw", f"{dir}/end"), ("direct", f"{dir}/end"))


@contextlib.contextmanager
def direct_shm(lab, size):
    """The same with a ring in shared memory."""
    need_shm(lab)
    with tempfile.TemporaryDirectory() as dir:
        yield Ends(("raw-shm", f"{dir}/end"), ("direct-shm", f"{dir}/end"))


def shm(lab, size):
    """Both clients' frames go by rings in shared memory."""
    need_shm(lab)
    return fethd(lab, size, ("shm", "shm"))


def need_shm(lab):
    if not knows(lab, "shm"):
        raise L.Absent("bench_client was built without rings in shared memory")


def knows(lab, kind):
    """Whether bench_client was built with it: it refuses a kind it does not know with 2."""
    return subprocess.run([L.tool(lab, "bench_client"), "recv", kind, "/dev/null"],
                          capture_output=True, check=False).returncode != 2


@contextlib.contextmanager
def vde(lab, size):
    switch = L.need("vde_switch", "vde2")
    if not knows(lab, "vde"):
        raise L.Absent("bench_client was built without libvdeplug (Debian: libvdeplug-dev)")
    with tempfile.TemporaryDirectory() as dir:
        path = f"{dir}/vde"
        with L.process(switch, "--sock", path) as p:  # it ends at the end of its stdin
            L.wait_until("vde_switch listens", lambda: os.path.exists(f"{path}/ctl"))
            yield Ends(("vde", path), ("vde", path), [p.pid])


def forwards(member):
    """Whether a bridge's port does. (/sys shows the interfaces of another namespace.)"""
    text = L.run("ip", "-json", "-details", "link", "show", member)
    return json.loads(text)[0]["linkinfo"].get("info_slave_data", {}).get("state") == "forwarding"


@contextlib.contextmanager
def bridge(lab, size):
    """Two veths in a Linux bridge."""
    mtu = str(mtu_for(size))
    L.run("ip", "link", "add", "br0", "mtu", mtu, "type", "bridge")
    try:
        for n in "01":
            L.run("ip", "link", "add", f"bench{n}", "mtu", mtu, "type", "veth", "peer", "name",
                  f"port{n}", "mtu", mtu)
            L.run("ip", "link", "set", f"port{n}", "master", "br0", "up")
            L.run("ip", "link", "set", f"bench{n}", "up")
        L.run("ip", "link", "set", "br0", "mtu", mtu, "up")
        L.wait_until("the bridge forwards", lambda: all(forwards(f"port{n}") for n in "01"))
        yield Ends(("packet", "bench0"), ("packet", "bench1"))
    finally:
        for n in "01":
            L.run("ip", "link", "del", f"bench{n}", check=False)
        L.run("ip", "link", "del", "br0")


# -- one cell --

@contextlib.contextmanager
def receiver(lab, kind, where, *options, run="recv"):
    """A bench_client that waits for frames: (process, its address)."""
    p = subprocess.Popen([L.tool(lab, "bench_client"), *options, run, kind, where],
                         stdout=subprocess.PIPE, text=True)
    try:
        ready = p.stdout.readline().split()
        if ready[:1] != ["ready"]:
            raise RuntimeError(f"{kind} {where}: the receiver did not connect")
        yield p, ready[1]
    finally:
        p.kill()
        p.communicate()


def sender(lab, ends, dst, size, batch, *options):
    return subprocess.Popen(
        [L.tool(lab, "bench_client"), *options, "send", *ends, dst, str(size), str(batch),
         str(lab.seconds)], stdout=subprocess.PIPE, text=True)


def sent_by(process):
    out, _ = process.communicate(timeout=60)
    if process.returncode:
        raise RuntimeError("a sender failed")
    return json.loads(out)


def counted(process):
    process.terminate()
    out, _ = process.communicate(timeout=30)
    got = json.loads(out)
    if got["disorder"]:
        raise RuntimeError(f"{got['disorder']} frames came out of order")
    return got


def figures(sent, got, used, seconds):
    return {
        "delivered": got["frames"],
        "sent": sent["frames"],
        "kframes_per_s": round(got["frames"] / seconds / 1e3, 2),
        "gbit_per_s": round(got["bytes"] * 8 / seconds / 1e9, 4),
        "cpu_switch_s": round(used, 4) if used is not None else None,
        "cpu_sender_s": sent["cpu"],
        "cpu_receiver_s": got["cpu"],
        "seconds": seconds,
        "reads": got["calls"],
    }


def measure(lab, ends, size, batch, options=()):
    """One sender, one receiver, for lab.seconds."""
    with receiver(lab, *ends.recv, *options) as (rx, mac):
        used = L.run_times(ends.pids)
        sent = sent_by(sender(lab, ends.send, mac, size, batch, *options))
        got = counted(rx)
        used = L.run_times(ends.pids) - used
    if not got["frames"]:
        raise RuntimeError(f"{size} bytes: no frame arrived")
    cell = figures(sent, got, used if ends.pids else None, got["seconds"] or lab.seconds)
    return {**cell, "drops": ends.drops()}  # as the switch counts them, where it does


def batching(size):
    """Frames a write of a client that batches. Of 60 bytes the processor time of sender, switch and receiver
    together was 122 ns a frame with 64 of them, 83 with 128, 95 with 256."""
    return 128 if size <= 512 else 64


def cell(switch, batch=None):
    """batch: frames a write; None: what is good for their size."""
    def run(lab, size):
        with switch(lab, size) as ends:
            return measure(lab, ends, size, batch or batching(size))
    return run


def cells(*rows):
    """The `cells` of a Bench, of (label, switch, batch of cell()); with --against, fethd's rows twice."""
    def choose(lab, _):
        out = []
        for label, switch, batch in rows:
            out.append((label, cell(switch, batch)))
            if lab.against and label.startswith("fethd"):
                out.append((label.replace("fethd", "other"), cell(other(switch), batch)))
        return out
    return choose


# -- columns --

def rate(c):
    return c["kframes_per_s"]


def per_cpu(c):
    return c["delivered"] / c["cpu_switch_s"] / 1e6 if c.get("cpu_switch_s") else None


def lost(c):
    return 100 * (1 - c["delivered"] / c["sent"]) if c["sent"] else None


COLUMNS = [
    L.Column("kframes/s", rate),
    L.Column("Gbit/s", L.field("gbit_per_s"), 2),
    L.Column("not delivered, %", lost, 0),
    L.Column("switch CPU, cores",
             lambda c: c["cpu_switch_s"] / c["seconds"] if c.get("cpu_switch_s") and c["seconds"] else None, 2),
    L.Column("Mframes per switch-CPU-s", per_cpu, 2),
]
