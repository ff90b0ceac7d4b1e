"""A guest and the host, TCP: goal 4."""
import contextlib
import glob
import os
import re
import shutil
import subprocess
import tempfile

import hosts
import lab as L
import plot

HOST, GUEST = f"{hosts.NET}.1", f"{hosts.NET}.2"
MAC = "02:00:00:00:00:0a"
OFF = ",".join(f"{what}=off" for what in (
    "csum", "gso", "host_tso4", "host_tso6", "host_ecn", "host_ufo", "guest_csum", "guest_tso4", "guest_tso6",
    "guest_ecn", "guest_ufo"))


def image(lab):
    """The tests' guest with iperf3 in it: kernel and initrd in a directory."""
    base = os.environ.get("FETHD_GUEST_DIR", os.path.join(L.ROOT, "build", "guest"))
    done = subprocess.run(["bash", os.path.join(L.ROOT, "tests", "guest", "build.sh"), base],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise L.Absent(f"no test guest: {done.stderr.strip()}")
    dir = f"{base}-iperf3"
    os.makedirs(dir, exist_ok=True)
    shutil.copy(f"{base}/vmlinuz", dir)
    iperf3 = L.need("iperf3", "iperf3")
    files = [iperf3, *re.findall(r"(/\S+) \(0x", L.run("ldd", iperf3))]
    with tempfile.TemporaryDirectory() as root, open(f"{dir}/initrd.img", "wb") as out:
        for file in files:
            to = f"{root}/bin/iperf3" if file == iperf3 else root + file
            os.makedirs(os.path.dirname(to), exist_ok=True)
            shutil.copy(file, to)
        with open(f"{base}/initrd.img", "rb") as f:
            shutil.copyfileobj(f, out)
        out.write(b"\0" * (-out.tell() % 4))  # the next archive begins at a multiple of 4
        names = "\n".join(os.path.relpath(p, root) for p in
                          sorted(glob.glob(f"{root}/**", recursive=True)) if p != f"{root}/")
        out.write(subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=root, check=True,
                                 input=names.encode(), capture_output=True).stdout)
    return dir


# -- ways to attach: contexts that give (QEMU's arguments, where the host is, pids of what lies between) --

def stream(path):
    return ["-netdev", f"stream,id=net0,server=off,addr.type=unix,addr.path={path}"]


@contextlib.contextmanager
def fethd(lab, space):
    with L.daemon(lab) as d:
        d.create("bench", backend="veth", addresses=[f"{HOST}/24"])
        yield stream(d.path("bench", "qemu.sock")), L.Here, [d.proc.pid]
        d.call("network.delete", network="bench")


@contextlib.contextmanager
def tap(lab, space):
    space.ip("tuntap add dev tap0 mode tap")
    hosts.dress(space, "tap0", 1)
    yield ["-netdev", "tap,id=net0,ifname=tap0,script=no,downscript=no"], space, []


@contextlib.contextmanager
def passt(lab, space):
    program = L.need("passt", "passt")
    # it takes what it tells the guest from an interface with a route; what is used is given
    space.ip("link add up0 type veth peer name up1")
    space.ip("addr add 10.99.0.1/24 dev up0")
    space.ip("link set up0 up")
    space.ip("link set up1 up")
    space.ip("route add default via 10.99.0.2")
    with tempfile.TemporaryDirectory() as dir:
        os.chmod(dir, 0o777)  # it gives up root's rights
        path = f"{dir}/passt"
        with L.process(program, "-f", "-q", "-s", path, "-a", GUEST, "-n", "24", "-g", HOST, "-4",
                       prefix=space.prefix) as p:
            L.wait_until("passt listens", lambda: os.path.exists(path) or p.poll() is not None)
            if p.poll() is not None:
                raise L.Absent(f"passt does not start here: {p.stderr.read().strip()[-200:]}")
            yield stream(path), space, [p.pid]


@contextlib.contextmanager
def vde(lab, space):
    switch = L.need("vde_switch", "vde2")
    with tempfile.TemporaryDirectory() as dir:
        with L.process(switch, "--sock", f"{dir}/vde", "-tap", "tap0", prefix=space.prefix) as p:
            L.wait_until("vde_switch listens", lambda: os.path.exists(f"{dir}/vde/ctl"))
            hosts.dress(space, "tap0", 1)
            yield ["-netdev", f"vde,id=net0,sock={dir}/vde"], space, [p.pid]


@contextlib.contextmanager
def bess(lab, space):
    with L.daemon(lab, space.prefix) as d:  # the address is that of the other daemon's host member
        d.create("bench", backend="veth", addresses=[f"{HOST}/24"])
        # no gro=1: with it the guest's driver asks for 64 KiB of memory for every frame
        yield f"vec0:transport=bess,dst={d.path('bench', 'seqpacket.sock')},depth=128", space, [d.proc.pid]
        d.call("network.delete", network="bench")


@contextlib.contextmanager
def uml_tap(lab, space):
    space.ip("tuntap add dev tap0 mode tap")
    hosts.dress(space, "tap0", 1)
    yield "vec0:transport=tap,ifname=tap0,depth=128,gro=1", space, []


@contextlib.contextmanager
def tuntap(lab, space):
    space.ip("tuntap add dev tap0 mode tap")
    hosts.dress(space, "tap0", 1)
    yield f"eth0=tuntap,tap0,{MAC}", space, []


WAYS = [("fethd", fethd, ""), ("QEMU tap, no offloads", tap, OFF), ("passt", passt, ""),
        ("vde_switch", vde, ""), ("QEMU tap", tap, "")]
UML_WAYS = [("UML, fethd", bess), ("UML tap, no offloads", tuntap), ("UML tap", uml_tap)]


def qemus(guestdir):
    import guest
    L.need("qemu-system-x86_64", "qemu-system-x86")
    for label, way, device in WAYS:
        yield label, way, lambda name, netdev, where, device=device: guest.Guest(
            name, guestdir, netdev, mac=MAC, addr=f"{GUEST}/24", device_opts=device, prefix=where.prefix)


def umls(guestdir):
    import uml
    for label, way in UML_WAYS:
        yield label, way, lambda name, nic, where: uml.Uml(
            name, guestdir, nic, mac=MAC, addr=f"{GUEST}/24", prefix=where.prefix)


@contextlib.contextmanager
def around(lab):
    """All guests at once: they boot in parallel, and one that has nothing to do costs nothing."""
    import guest
    guestdir = image(lab)
    lab.guests = {}
    with contextlib.ExitStack() as stack:
        machines = []
        for label, way, make in (*qemus(guestdir), *umls(guestdir)):
            (space,) = stack.enter_context(L.spaces(1))
            try:
                if label.startswith("UML"):
                    L.need("linux.uml", "user-mode-linux")
                nic, where, pids = stack.enter_context(way(lab, space))
            except L.Absent as why:
                lab.guests[label] = why
                continue
            machine = make(label.replace(" ", "").replace(",", ""), nic, where)
            stack.enter_context(L.process("iperf3", "-s", "-p", "5201", prefix=where.prefix))
            lab.guests[label] = (machine, pids)
            machines.append(machine)
        stack.enter_context(guest.boot(*machines))
        yield


def cell(label):
    def run(lab, way):
        if isinstance(lab.guests[label], L.Absent):
            raise lab.guests[label]
        machine, pids = lab.guests[label]
        amount = "-n 1M" if lab.quick else f"-t {max(1, round(lab.seconds))}"
        used, busy = L.run_times(pids), L.machine_time()
        out = machine.check(f"iperf3 -c {HOST} -p 5201 -J -C cubic {amount} {'-R' if way == 'down' else ''}", 60)
        used, busy = L.run_times(pids) - used, L.machine_time() - busy
        got = hosts.iperf_said(out[out.index("{"):])
        if not got:
            raise RuntimeError(f"iperf3 in the guest: {out[-300:]}")
        return {**got, "cpu_switch_s": round(used, 4) if pids else None,
                "cpu_machine_s": round(busy, 2)}
    return run


def mbit(c):
    return c["gbit_per_s"] * 1000


BENCH = L.Bench(
    "guest",
    "iperf3 in a QEMU guest (TCG, one processor), one TCP connection, MTU 1500; *up* is from the guest. *fethd*: `-netdev "
    "stream` and a veth host member; QEMU's own tap, with the guest's offloads off and as it comes; `-netdev "
    "stream` to passt; `-netdev vde`. Emulating the guest takes a whole processor, whatever it is attached to. And in "
    "User Mode Linux: *fethd* by `transport=bess`, its old tap driver, which has no offloads, and the one that has.",
    ["up", "down"], lambda lab, point: [(label, cell(label)) for label, *_ in (*WAYS, *UML_WAYS)], mbit,
    [L.Column("Mbit/s", mbit, 0), *hosts.TCP_COLUMNS[1:3]], head="Mbit/s", point_head="way", root=True,
    around=around, seconds=2, quick=0,
    goals=[
        L.Goal("4", f"QEMU guest {what} TCP / {name}", bound, L.ratio(way, mbit, "fethd", label))
        for label, name, bound in (("QEMU tap, no offloads", "QEMU's tap without offloads", 0.95),
                                   ("passt", "passt", 1.0))
        for way, what in (("up", "to host"), ("down", "from host"))
    ] + [
        L.Goal("4", f"UML guest {what} TCP / UML's tap without offloads", 0.95,
               L.ratio(way, mbit, "UML, fethd", "UML tap, no offloads"))
        for way, what in (("up", "to host"), ("down", "from host"))
    ],
    plots=[plot.Bars("guest", "A QEMU guest and the host, one TCP connection", mbit, "Mbit/s")])
