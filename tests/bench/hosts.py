"""hosts.py - two hosts and what may lie between them: contexts that give Hosts.

Each host is a network namespace with one interface and a kernel's own TCP. Where fethd is in between, host A
is the namespace it runs in, by its host member, and host B is a tap port in a namespace; or both are tap ports.
"""
import contextlib
import json
import os
import subprocess
import tempfile
import time

import flow
import lab as L

NET = "10.77.0"
CONGESTION = ["-C", "cubic"]  # Linux's own default, whatever the machine's is: BBR paces by a model, and idles
MTU = 1500


class Hosts:
    """a, b: where to run programs; interfaces: of each; pids: what lies between."""

    def __init__(self, a, b, interfaces, pids=()):
        self.a, self.b, self.interfaces, self.pids = a, b, interfaces, list(pids)
        self.address = f"{NET}.2"  # of b


def dress(space, interface, n):
    """The address of host n (1 or 2) and up."""
    space.ip(f"addr add {NET}.{n}/24 dev {interface}")
    space.ip(f"link set {interface} mtu {MTU} up")


def lend(interface, space):
    """Moves an interface of ours to a namespace; it stays connected to whoever holds it."""
    L.run("ip", "link", "set", interface, "netns", space.name)


def wire(space, n):
    """A veth: port{n} here, eth0 with the address of host n in the namespace."""
    L.run("ip", "link", "add", f"port{n}", "mtu", str(MTU), "type", "veth", "peer", "name", "eth0", "netns",
          space.name)
    L.run("ip", "link", "set", f"port{n}", "up")
    dress(space, "eth0", n)


def plain(space, interface="eth0"):
    """No offloads: for a switch whose frames are as they are on a wire."""
    L.run(L.need("ethtool", "ethtool"), "-K", interface, "tx", "off", "tso", "off", "gso", "off", "gro",
          "off", prefix=space.prefix)


def tap_port(d, space, network="bench", name="b", **more):
    """A port of kind tap, its interface eth0 in the namespace."""
    import harness
    try:
        d.call("port.add", network=network, name=name, kind="tap", ifname="eth0", netns=space.name, **more)
    except harness.RpcError as e:
        raise L.Absent(f"this fethd has no tap ports ({e})") from None
    L.wait_until("the tap port's interface is there", lambda: space.link("eth0"))


@contextlib.contextmanager
def fethd_veth(lab):
    """From a host member to a tap port."""
    with L.spaces(1) as (b,), L.daemon(lab) as d:
        net = d.create("bench", backend="veth", addresses=[f"{NET}.1/24"])
        tap_port(d, b)
        dress(b, "eth0", 2)
        yield Hosts(L.Here, b, (net["host"], "eth0"), [d.proc.pid])
        d.call("network.delete", network="bench")


@contextlib.contextmanager
def fethd_tap(lab):
    """From a tap port to a tap port."""
    with L.spaces() as (a, b), L.daemon(lab) as d:
        d.create("bench", backend="none")
        for n, space in enumerate((a, b), 1):
            tap_port(d, space, name=f"host{n}")
            dress(space, "eth0", n)
        yield Hosts(a, b, ("eth0", "eth0"), [d.proc.pid])
        d.call("network.delete", network="bench")


@contextlib.contextmanager
def bridge(lab, offloads=True):
    with L.spaces() as (a, b):
        try:
            L.run("ip", "link", "add", "br0", "type", "bridge")
            for n, space in enumerate((a, b), 1):
                wire(space, n)
                if not offloads:
                    plain(space)
                L.run("ip", "link", "set", f"port{n}", "master", "br0")
            L.run("ip", "link", "set", "br0", "up")
            L.wait_until("the bridge forwards",
                         lambda: all(flow.forwards(f"port{n}") for n in (1, 2)))
            yield Hosts(a, b, ("eth0", "eth0"))
        finally:
            L.run("ip", "link", "del", "br0", check=False)


@contextlib.contextmanager
def vde(lab):
    switch = L.need("vde_switch", "vde2")
    with L.spaces() as (a, b), tempfile.TemporaryDirectory() as dir:
        with L.process(switch, "--sock", f"{dir}/vde", "-tap", "tap1", "-tap", "tap2") as p:
            L.wait_until("vde_switch listens", lambda: os.path.exists(f"{dir}/vde/ctl"))
            for n, space in enumerate((a, b), 1):
                lend(f"tap{n}", space)
                dress(space, f"tap{n}", n)
            yield Hosts(a, b, ("tap1", "tap2"), [p.pid])


@contextlib.contextmanager
def relay(lab):
    """A process that polls, reads one frame and writes one."""
    with L.spaces() as (a, b):
        wire(a, 1)
        plain(a)
        with L.process(L.tool(lab, "bench_pump"), "tap2", "packet", "port1", ready="ready") as p:
            lend("tap2", b)
            dress(b, "tap2", 2)
            yield Hosts(a, b, ("eth0", "tap2"), [p.pid])
        L.run("ip", "link", "del", "port1", check=False)


@contextlib.contextmanager
def openvswitch(lab, tso):
    """Open vSwitch's userspace datapath; nothing of an installed one is touched."""
    for program in ("ovsdb-server", "ovsdb-tool", "ovs-vsctl", "ovs-vswitchd"):
        L.need(program, "openvswitch-switch")
    schema = "/usr/share/openvswitch/vswitch.ovsschema"
    with L.spaces() as (a, b), tempfile.TemporaryDirectory() as dir, contextlib.ExitStack() as stack:
        env = {**os.environ, "OVS_RUNDIR": dir, "OVS_LOGDIR": dir, "OVS_DBDIR": dir,
               "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        db = f"unix:{dir}/db.sock"

        def vsctl(*words):
            subprocess.run(["ovs-vsctl", f"--db={db}", "--timeout=20", *words], check=True, env=env,
                           capture_output=True)
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["ovsdb-tool", "create", f"{dir}/conf.db", schema], check=True, env=env)

        def start(*argv):
            p = subprocess.Popen(argv, env=env, **quiet)
            stack.callback(lambda: (p.terminate(), p.wait()))
            return p
        start("ovsdb-server", f"--remote=punix:{dir}/db.sock", f"{dir}/conf.db")
        L.wait_until("ovsdb-server listens", lambda: os.path.exists(f"{dir}/db.sock"))
        vsctl("--no-wait", "init")
        if tso:
            vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:userspace-tso-enable=true")
        p = start("ovs-vswitchd", db)
        for n, space in enumerate((a, b), 1):
            wire(space, n)
            if not tso:
                plain(space)
        vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
        vsctl("add-port", "br0", "port1", "--", "add-port", "br0", "port2")
        try:
            yield Hosts(a, b, ("eth0", "eth0"), [p.pid])
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                vsctl("del-br", "br0")
            for n in (1, 2):
                L.run("ip", "link", "del", f"port{n}", check=False)


def ovs(tso):
    return lambda lab: openvswitch(lab, tso)


# -- what is measured between two hosts --

def tcp(lab, h, reverse=False):
    """iperf3 from A to B (reverse: from B to A) for lab.seconds, whole ones."""
    L.need("iperf3", "iperf3")
    long = ["-n", "4M"] if lab.quick else ["-t", str(max(1, round(lab.seconds)))]
    with L.process("iperf3", "-s", "-p", "5201", prefix=h.b.prefix):
        # not by a connection: iperf3 would take it for the start of a test
        L.wait_until("A reaches B", lambda: subprocess.run(
            [*h.a.prefix, "ping", "-q", "-c", "1", "-W", "1", h.address], capture_output=True,
            check=False).returncode == 0)
        end = time.monotonic() + 3
        while True:
            used, busy = L.run_times(h.pids), L.machine_time()
            p = subprocess.run([*h.a.prefix, "iperf3", "-c", h.address, "-p", "5201", "-J", *long, *CONGESTION,
                                *(["-R"] if reverse else [])], capture_output=True, text=True, check=False,
                               timeout=60)
            out = iperf_said(p.stdout)
            if out:
                break
            if time.monotonic() > end:
                raise RuntimeError(f"iperf3: {p.stdout[-300:]} {p.stderr}")
            time.sleep(0.05)
        used, busy = L.run_times(h.pids) - used, L.machine_time() - busy
    return {**out, "cpu_switch_s": round(used, 4) if h.pids else None, "cpu_machine_s": round(busy, 2)}


def iperf_said(text):
    """What came, from iperf3's JSON; None where it says that it failed (its status may be 0 then)."""
    try:
        end = json.loads(text)["end"]
        got = end["sum_received"]
    except (ValueError, KeyError):
        return None
    return {"gbit_per_s": round(got["bits_per_second"] / 1e9, 4), "seconds": got["seconds"],
            "bytes": got["bytes"], "retransmits": end["sum_sent"].get("retransmits")}


def frames(lab, h, size):
    """Raw frames from A as fast as it can, counted at B's interface."""
    b = h.interfaces[1]
    mac = L.address(h.b, b)
    before, used = L.received(h.b, b), L.run_times(h.pids)
    p = subprocess.run([*h.a.prefix, L.tool(lab, "bench_client"), "send", "packet", h.interfaces[0], mac,
                        str(size), "64", str(lab.seconds)], capture_output=True, text=True, check=True)
    sent = json.loads(p.stdout)
    got = L.received(h.b, b)
    while True:  # what is still in queues
        time.sleep(0.02)
        now = L.received(h.b, b)
        if now == got:
            break
        got = now
    used = L.run_times(h.pids) - used
    if got == before:
        raise RuntimeError(f"{size} bytes: no frame arrived")
    return {
        "delivered": got - before, "sent": sent["frames"], "seconds": sent["seconds"],
        "kframes_per_s": round((got - before) / sent["seconds"] / 1e3, 2),
        "gbit_per_s": round((got - before) * size * 8 / sent["seconds"] / 1e9, 4),
        "cpu_switch_s": round(used, 4) if h.pids else None,
        "cpu_sender_s": sent["cpu"],
    }


def moved(h, nbytes, reverse=False):
    """So many random bytes by TCP; raises unless what came has the SHA-256 of what went."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "moved.py")
    with L.process("/usr/bin/python3", script, "serve", h.address, "5202", str(nbytes),
                   "send" if reverse else "take", ready="ready", prefix=h.b.prefix) as p:
        there = L.run("/usr/bin/python3", script, "call", h.address, "5202", str(nbytes),
                      "take" if reverse else "send", prefix=h.a.prefix).strip()
        here = p.stdout.readline().strip()
    if there != here or len(here) != 64:
        raise RuntimeError(f"what came is not what was sent: {here or 'nothing'}, {there or 'nothing'}")
    return here


def per_gbit(c, what):
    return c[what] / (c["bytes"] * 8 / 1e9) if c.get(what) else None


def gbit(c):
    return c["gbit_per_s"]


TCP_COLUMNS = [
    L.Column("Gbit/s", gbit),
    L.Column("switch CPU, cores",
             lambda c: c["cpu_switch_s"] / c["seconds"] if c.get("cpu_switch_s") else None, 2),
    L.Column("switch-CPU-s per Gbit", lambda c: per_gbit(c, "cpu_switch_s"), 3),
    L.Column("CPU-s of the machine per Gbit", lambda c: per_gbit(c, "cpu_machine_s"), 2),
]


def rows(measure):
    """A row of a bench for each switch between the hosts: measure(lab, hosts, point)."""
    def cell(between):
        def run(lab, point):
            with between(lab) as h:
                return measure(lab, h, point)
        return run
    return [(name, cell(between)) for name, between in (
        ("fethd veth", fethd_veth), ("fethd tap", fethd_tap), ("bridge", bridge), ("vde_switch", vde),
        ("ovs userspace", ovs(False)), ("ovs userspace, TSO", ovs(True)), ("poll relay", relay))]
