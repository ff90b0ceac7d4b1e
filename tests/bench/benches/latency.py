"""How long a frame is on its way and back, alone and beside a load."""
import contextlib
import json
import subprocess

import flow
import lab as L
import plot

COUNT, GAP_US = 400, 1000


def ping(lab, ends, *options):
    """(kind, where) of who asks and who answers: round-trip times in µs."""
    count = 50 if lab.quick else COUNT
    with flow.receiver(lab, *ends.recv, run="echo") as (_, mac):
        p = subprocess.run([L.tool(lab, "bench_client"), *options, "ping", *ends.send, mac, str(count),
                            str(GAP_US)], capture_output=True, text=True, check=True, timeout=120)
    got = json.loads(p.stdout)
    if not got["count"]:
        raise RuntimeError("no frame came back")
    return got


@contextlib.contextmanager
def loaded(lab, load):
    """Another pair of the same switch, a sender that never waits."""
    if not load:
        yield
        return
    with flow.receiver(lab, *load.recv) as (_, mac):
        seconds, lab.seconds = lab.seconds, 30
        tx = flow.sender(lab, load.send, mac, 1514, 64)
        lab.seconds = seconds
        try:
            yield
        finally:
            tx.kill()
            tx.communicate()


def cell(switch):
    def run(lab, point):
        with switch(lab, 1514) as ends:
            with loaded(lab, ends if point == "loaded" else None):
                return ping(lab, ends)
    return run


def to_host(lab, size):
    return flow.fethd(lab, size, ("native", "packet"), "veth")


def cells(lab, point):
    rows = [("fethd", cell(flow.between("native", "native"))),
            ("fethd shm", cell(flow.shm)), ("fethd qemu", cell(flow.between("qemu", "qemu"))), ("vde_switch", cell(flow.vde))]
    if lab.against:
        rows.insert(1, ("other", cell(flow.other(flow.between("native", "native")))))
    if lab.netns and point == "idle":  # a load would be on the same interface, and in the way of both ends
        rows += [("fethd, to host", cell(to_host)), ("bridge", cell(flow.bridge))]
    return rows


def p50(c):
    return c["p50_us"]


BENCH = L.Bench(
    "latency",
    "Round-trip time of one 60-byte frame, client to client and back, 1 ms between them; *loaded*: beside another "
    "pair on the same switch that sends 1514-byte frames and never waits. With five processes on two "
    "processors this is also how soon each of them is scheduled.",
    ["idle", "loaded"], cells, p50,
    [L.Column("median, µs", p50), L.Column("90 %", L.field("p90_us")), L.Column("99 %", L.field("p99_us")),
     L.Column("99.9 %", L.field("p999_us")), L.Column("lost", L.field("lost"), 0)],
    head="µs", point_head="", less=True, seconds=COUNT * GAP_US / 1e6, quick=0,
    plots=[plot.Bars("latency", "Round trip, median", p50, "µs", log=True),
           plot.Bars("latency99", "Round trip, 99 of 100", L.field("p99_us"), "µs", log=True)])
