"""Host to host, frames singly: goal 1."""
import flow
import hosts
import lab as L
import plot


ROWS = hosts.rows(hosts.frames)


def against(ours, theirs):
    return L.ratio("60", flow.rate, ours, theirs)


BENCH = L.Bench(
    "hostframes",
    "Frames between the same hosts, sent by AF_PACKET as fast as one core can, counted at the other "
    "host's interface.",
    [60, 1514], lambda lab, point: ROWS, flow.rate, flow.COLUMNS, head="kframes/s", root=True, seconds=0.5, quick=0,
    goals=[
        L.Goal("1", "host to host, 60-byte frames, veth / Linux bridge", 1.0, against("fethd veth", "bridge")),
        L.Goal("1", "host to host, 60-byte frames, tap / Linux bridge", 1.0, against("fethd tap", "bridge")),
    ],
    plots=[plot.Bars("hostframes", "Host to host, single frames", flow.rate, "kframes/s")])
