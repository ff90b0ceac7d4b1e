"""Host to host, TCP: goal 1."""
import hosts
import lab as L
import plot


ROWS = hosts.rows(lambda lab, h, _: hosts.tcp(lab, h))


def against(ours, theirs):
    return L.ratio("tcp", hosts.gbit, ours, theirs)


BENCH = L.Bench(
    "hosttcp",
    "iperf3, one TCP connection between two network namespaces, MTU 1500. *fethd veth*: from a veth "
    "host member to a tap port; *fethd tap*: from a tap port to a tap port; *bridge*: two veths in a Linux bridge; "
    "vde_switch with two taps; Open vSwitch's userspace datapath with two veths, as it comes and with "
    "userspace-tso-enable; *poll relay*: a process that polls, reads one frame and writes one.",
    ["tcp"], lambda lab, point: ROWS, hosts.gbit, hosts.TCP_COLUMNS, head="Gbit/s", point_head="",
    root=True, seconds=2,
    goals=[
        L.Goal("1", "host to host TCP, veth / Linux bridge", 0.75, against("fethd veth", "bridge")),
        L.Goal("1", "host to host TCP, tap / Linux bridge", 0.85, against("fethd tap", "bridge")),
        L.Goal("1", "host to host TCP, veth / vde_switch", 7, against("fethd veth", "vde_switch")),
        L.Goal("1", "host to host TCP, tap / vde_switch", 7, against("fethd tap", "vde_switch")),
        L.Goal("1", "host to host TCP, veth / Open vSwitch userspace with TSO", 1.2,
               against("fethd veth", "ovs userspace, TSO")),
        L.Goal("1", "host to host TCP, tap / Open vSwitch userspace with TSO", 1.2,
               against("fethd tap", "ovs userspace, TSO")),
    ],
    plots=[plot.Bars("hosttcp", "Host to host, one TCP connection", hosts.gbit, "Gbit/s")])
