"""Two busy networks: goal 7."""
import contextlib

import flow
import lab as L
import plot


def pairs(names):
    """Two senders and two receivers at once, a pair on each of these networks of one daemon."""
    def run(lab, size):
        with L.daemon(lab) as d, contextlib.ExitStack() as stack:
            for name in set(names):
                d.create(name, backend="none", mtu=flow.mtu_for(size))
            where = [("native", d.path(name, "feth.sock")) for name in names]
            rx = [stack.enter_context(flow.receiver(lab, *w, "-n", str(10 + n)))
                  for n, w in enumerate(where)]
            used = L.run_time(d.proc.pid)
            tx = [flow.sender(lab, w, mac, size, 64, "-n", str(20 + n))
                  for n, (w, (_, mac)) in enumerate(zip(where, rx))]
            sent = [flow.sent_by(p) for p in tx]
            got = [flow.counted(p) for p, _ in rx]
            used = L.run_time(d.proc.pid) - used
            for name in set(names):
                d.call("network.delete", network=name)
        if not all(g["frames"] for g in got):
            raise RuntimeError("a pair got no frame")
        both = {"frames": sum(g["frames"] for g in got), "bytes": sum(g["bytes"] for g in got),
                "cpu": sum(g["cpu"] for g in got), "calls": sum(g["calls"] for g in got)}
        return flow.figures({"frames": sum(s["frames"] for s in sent), "cpu": sum(s["cpu"] for s in sent)},
                            both, used, max(g["seconds"] for g in got))
    return run


def cells(lab, _):
    rows = [("two networks", pairs(["bench1", "bench2"])), ("one network", pairs(["bench1", "bench1"]))]
    if lab.against:
        rows.append(("other, two networks", flow.other_cell(pairs(["bench1", "bench2"]))))
    return rows


BENCH = L.Bench(
    "networks",
    "Two pairs of clients, each sending 64 frames a write and never waiting: each pair on a network of its own, "
    "or both on one, which is one loop's. Six processes' worth of work on as many processors as there are.",
    [60, 1514], cells, flow.rate, flow.COLUMNS, head="kframes/s", seconds=0.7, quick=0,
    goals=[
        L.Goal("7", "two busy networks / both on one loop, 60 bytes", 1.3,
               L.ratio("60", flow.rate, "two networks", "one network")),
        L.Goal("7", "two busy networks / both on one loop, 1514 bytes", 1.3,
               L.ratio("1514", flow.rate, "two networks", "one network")),
    ],
    plots=[plot.Bars("networks", "Two pairs of clients", flow.rate, "kframes/s", log=True)])
