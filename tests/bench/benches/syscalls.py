"""System calls a frame under load: goal 5."""
import signal
import subprocess
import tempfile
import time

import flow
import lab as L


def calls_of(path):
    """name → calls, from what `strace -c` wrote."""
    out = {}
    with open(path, encoding="ascii") as f:
        for line in f:
            words = line.split()
            if len(words) >= 5 and words[0][:1].isdigit() and words[-1] != "total":
                out[words[-1]] = int(words[3])
    return out


def cell(kinds, batch, backend="none"):
    def run(lab, size):
        strace = L.need("strace", "strace")
        with flow.fethd(lab, size, kinds, backend) as ends, tempfile.TemporaryDirectory() as dir:
            with flow.receiver(lab, *ends.recv) as (rx, mac):
                s = subprocess.Popen([strace, "-c", "-f", "-o", f"{dir}/out", "-p", str(ends.pids[0])],
                                     stderr=subprocess.PIPE, text=True)
                if "attached" not in s.stderr.readline():
                    raise L.Absent("strace cannot attach here")
                time.sleep(0.1)
                sent = flow.sent_by(flow.sender(lab, ends.send, mac, size, batch))
                time.sleep(0.1)
                s.send_signal(signal.SIGINT)
                s.communicate(timeout=10)
                got = flow.counted(rx)
            calls = calls_of(f"{dir}/out")
        total = sum(calls.values())
        if not got["frames"] or not total:
            raise RuntimeError("nothing was counted")
        return {"delivered": got["frames"], "sent": sent["frames"], "calls": calls,
                "per_64": round(64 * total / got["frames"], 3)}
    return run


PER_64 = L.field("per_64")
ROWS = [("native to native", cell(("native", "native"), 64)),
        ("native to qemu", cell(("native", "qemu"), 64)),
        ("a frame a write", cell(("native", "native"), 1))]


def cells(lab, _):
    return ROWS + ([("native to host", cell(("native", "packet"), 64, "veth")),
                    ("host to native", cell(("packet", "native"), 64, "veth"))] if lab.netns else [])


BENCH = L.Bench(
    "syscalls",
    "System calls of the daemon, all of them, for 64 frames delivered under load, counted by `strace -c -f`, which slows "
    "it down: batches are the greater for it.",
    [60, 1514], cells, PER_64,
    [L.Column("system calls for 64 frames", PER_64, 2),
     *[L.Column(name, lambda c, n=name: 64 * c["calls"].get(n, 0) / c["delivered"], 2)
       for name in ("epoll_wait", "read", "recvmsg", "sendmsg", "recvmmsg", "sendmmsg", "ioctl")]],
    head="calls", less=True, seconds=0.5, quick=0,
    goals=[
        L.Goal("5", "system calls for 64 frames of 60 bytes, client to client", 4,
               lambda r: PER_64(r["60"]["native to native"]), most=True, unit="calls"),
        L.Goal("5", "system calls for 64 frames of 1514 bytes, client to client", 4,
               lambda r: PER_64(r["1514"]["native to native"]), most=True, unit="calls"),
    ])
