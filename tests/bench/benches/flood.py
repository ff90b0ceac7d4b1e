"""A flooder, and what it does to others of its network: goal 7."""
import statistics
import time

import flow
import lab as L
import plot
from benches import latency

CALLS = 100
BROADCAST = "ff:ff:ff:ff:ff:ff"


def rpc_times(d, count):
    """Milliseconds of so many calls, one after the other, 5 ms between them."""
    times = []
    with d.control() as c:
        for _ in range(count):
            start = time.monotonic()
            c.call("stats.get", network="bench")
            times.append((time.monotonic() - start) * 1e3)
            time.sleep(0.005)
    return sorted(times)


def run(lab, point):
    with L.daemon(lab) as d:
        rules = {"storm": 0} if point == "broadcast unlimited" else {}
        d.create("bench", backend="none", mtu=1500, defaults=rules)
        end = ("native", d.path("bench", "feth.sock"))
        ends = flow.Ends(end, end, [d.proc.pid])
        with flow.receiver(lab, *end) as (_, mac):
            seconds, lab.seconds = lab.seconds, 30
            tx = flow.sender(lab, end, BROADCAST if point.startswith("broadcast") else mac,
                             60 if point != "unicast 1514" else 1514, 64) if point != "idle" else None
            lab.seconds = seconds
            try:
                got = latency.ping(lab, ends)
                calls = rpc_times(d, 20 if lab.quick else CALLS)
            finally:
                if tx:
                    tx.kill()
                    tx.communicate()
        d.call("network.delete", network="bench")
    got["rpc_p50_ms"] = round(statistics.median(calls), 3)
    got["rpc_p99_ms"] = round(calls[int(0.99 * (len(calls) - 1) + 0.5)], 3)
    got["rpc_max_ms"] = round(calls[-1], 3)
    return got


def goal(what, point, value, bound, unit):
    return L.Goal("7", what, bound, lambda r: value(r[point]["fethd"]), most=True, unit=unit)


PING, RPC = (lambda c: c["p50_us"] / 1000), L.field("rpc_p99_ms")

BENCH = L.Bench(
    "flood",
    "A client that floods, 64 frames a write and never waiting: to one that reads, with 60 and 1514 bytes, and "
    "to everybody, under the usual limit on storms (10000 a second) and with none. Beside it two others of the same network ping each other, and then 100 calls of `stats.get` go to the "
    "control socket.",
    ["idle", "unicast 60", "unicast 1514", "broadcast", "broadcast unlimited"], lambda lab, point: [("fethd", run)],
    latency.p50,
    [L.Column("ping: median, ms", PING, 3), L.Column("99 %, ms", lambda c: c["p99_us"] / 1000, 2),
     L.Column("lost", L.field("lost"), 0), L.Column("call: median, ms", L.field("rpc_p50_ms"), 2),
     L.Column("99 %, ms", RPC, 2), L.Column("longest, ms", L.field("rpc_max_ms"), 2)],
    head="µs", point_head="flood", less=True, seconds=latency.COUNT * latency.GAP_US / 1e6, quick=0,
    goals=[
        goal("a ping beside a flood of 60-byte frames, median", "unicast 60", PING, 2, "ms"),
        goal("a ping beside a flood of 1514-byte frames, median", "unicast 1514", PING, 2, "ms"),
        goal("a ping beside a flood of broadcasts, median", "broadcast", PING, 2, "ms"),
        goal("a call beside a flood of 60-byte frames, 99 of 100", "unicast 60", RPC, 20, "ms"),
        goal("a call beside a flood of 1514-byte frames, 99 of 100", "unicast 1514", RPC, 20, "ms"),
        goal("a call beside a flood of broadcasts, 99 of 100", "broadcast", RPC, 20, "ms"),
    ],
    plots=[plot.Bars("flood", "A ping beside a flooder, median", latency.p50, "µs", log=True)])
