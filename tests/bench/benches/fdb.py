"""Cost of a frame as the forwarding table grows to its cap."""
import flow
import lab as L
import plot
from benches import ports


def run(lab, count):
    with flow.fethd(lab, 60, ("native", "native")) as ends:
        return ports.priced(flow.measure(lab, ends, 60, 64, ("-s", str(count))))


BENCH = L.Bench(
    "fdb",
    "60-byte frames from one port to another, 64 a write, to so many addresses there in turn; the table holds 8192.",
    [1, 16, 256, 2048, 8000], lambda lab, point: [("fethd", run)], ports.NS,
    [L.Column("switch-CPU ns a frame", ports.NS, 0), L.Column("kframes/s", flow.rate)],
    head="ns", point_head="addresses", less=True, seconds=0.3, quick=0,
    plots=[plot.Lines("fdb", "Cost of a 60-byte frame as addresses grow", ports.NS, "switch-CPU ns a frame", "addresses")])
