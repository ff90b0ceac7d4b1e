"""A plain stream client and the host, TCP: goal 2."""
import contextlib
import os
import tempfile

import hosts
import lab as L
import plot

QUEUE = 8000  # frames a plain client's tap keeps: with the 1000 it has its own kernel drops up to 1 % of them
MOVED = 32 << 20  # bytes whose SHA-256 is compared, once a run and cell


@contextlib.contextmanager
def pumped(lab, space, kind, path):
    """A tap in the namespace whose frames a client carries to fethd's native socket: plain (native), or
    with offload."""
    with L.process(L.tool(lab, "bench_pump"), "eth0", kind, path, ready="ready",
                   prefix=space.prefix) as p:
        hosts.dress(space, "eth0", 2)
        space.ip(f"link set eth0 txqueuelen {QUEUE}")
        yield p


@contextlib.contextmanager
def fethd(lab, backend, kind="native", **env):
    """Host B is the client: a tap in a namespace, carried by bench_pump; host A is the host member."""
    with L.spaces(1) as (b,), L.daemon(lab, **env) as d:
        net = d.create("bench", backend=backend, addresses=[f"{hosts.NET}.1/24"])
        with pumped(lab, b, kind, d.path("bench", "feth.sock")):
            yield hosts.Hosts(L.Here, b, (net["host"], "eth0"), [d.proc.pid])
        d.call("network.delete", network="bench")


@contextlib.contextmanager
def vde(lab):
    """The same with vde's own tools: a tap of vde_switch, and vde_plug2tap as the client."""
    switch, plug = L.need("vde_switch", "vde2"), L.need("vde_plug2tap", "vde2")
    with L.spaces() as (a, b), tempfile.TemporaryDirectory() as dir:
        with L.process(switch, "--sock", f"{dir}/vde", "-tap", "tap1") as p:
            L.wait_until("vde_switch listens", lambda: os.path.exists(f"{dir}/vde/ctl"))
            hosts.lend("tap1", a)
            hosts.dress(a, "tap1", 1)
            with L.process(plug, "--sock", f"{dir}/vde", "eth0", prefix=b.prefix):
                L.wait_until("vde_plug2tap has its tap", lambda: b.link("eth0"))
                hosts.dress(b, "eth0", 2)
                b.ip(f"link set eth0 txqueuelen {QUEUE}")
                yield hosts.Hosts(a, b, ("tap1", "eth0"), [p.pid])


def cell(label, between):
    def run(lab, direction):
        with between(lab) as h:
            # up: from the client (B) to the host (A)
            got = hosts.tcp(lab, h, reverse=direction == "up")
            if (label, direction) not in lab.moved:
                got["sha256"] = hosts.moved(h, MOVED >> 4 if lab.quick else MOVED, reverse=direction == "up")
                lab.moved.add((label, direction))
        return got
    return label, run


def cells(lab, _):
    return [cell(*row) for row in (
        ("fethd", lambda lab: fethd(lab, "veth")), ("fethd tap", lambda lab: fethd(lab, "tap")),
        ("fethd, client with offload", lambda lab: fethd(lab, "veth", "offload")),
        ("without offload work", lambda lab: fethd(lab, "veth", FETHD_OFFLOAD="off")),
        ("vde_switch", vde))]


@contextlib.contextmanager
def around(lab):
    lab.moved = set()
    yield


BENCH = L.Bench(
    "stream",
    "iperf3, one TCP connection between the host and a plain client of the native socket (`bench_pump`: a tap "
    f"without offloads, up to 64 frames a write, and a queue of {QUEUE} frames, as vde's client has here); *with "
    "offload*: one that attaches with `offload` and hands on "
    "what its tap leaves to others; *without offload work*: the plain one and `FETHD_OFFLOAD=off`; vde_switch with a tap and `vde_plug2tap`. *up* is from the "
    "client to the host. Once for each of them and each way 32 MiB of random bytes are moved, and the run ends where their "
    "SHA-256 differs.",
    ["up", "down"], cells, hosts.gbit, hosts.TCP_COLUMNS, head="Gbit/s", point_head="way", root=True,
    around=around, seconds=1, quick=2,
    goals=[
        L.Goal("2", "plain client to host TCP / vde_switch", 4,
               L.ratio("up", hosts.gbit, "fethd", "vde_switch")),
        L.Goal("2", "host to plain client TCP / vde_switch", 3,
               L.ratio("down", hosts.gbit, "fethd", "vde_switch")),
        L.Goal("2", "plain client to host TCP / without offload work", 2,
               L.ratio("up", hosts.gbit, "fethd", "without offload work")),
    ],
    plots=[plot.Bars("stream", "A plain client and the host, one TCP connection", hosts.gbit, "Gbit/s")])
