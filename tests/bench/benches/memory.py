"""Memory of an idle port: goal 6."""
import time

import crowd
import lab as L


def run(lab, count):
    with L.daemon(lab) as d:
        d.create("bench", backend="none")
        with d.native("bench") as c:  # what the first connection costs is not a port's
            c.call("attach")
        time.sleep(0.2)
        before = L.resident_kib(d.proc.pid)
        with crowd.crowd(lab, d.path("bench", "feth.sock"), count):
            got = []
            for _ in range(5):  # what is pooled may take a moment to be given back
                time.sleep(0.2)
                got.append(L.resident_kib(d.proc.pid))
            ports = len(d.ports("bench"))
        if ports < count:
            raise RuntimeError(f"{ports} ports of {count}")
    return {"ports": ports, "before_kib": before, "after_kib": got[-1], "peak_kib": max(got),
            "kib_per_port": round((got[-1] - before) / count, 3)}


EACH = L.field("kib_per_port")

BENCH = L.Bench(
    "memory",
    "Resident memory of the daemon with so many ports that have each sent a broadcast, got those of all others and "
    "then been idle for a second, less what it had without them, for each port.",
    [512], lambda lab, point: [("fethd", run)], EACH,
    [L.Column("KiB a port", EACH, 1), L.Column("daemon without them, KiB", L.field("before_kib"), 0),
     L.Column("with them, KiB", L.field("after_kib"), 0)],
    head="KiB", point_head="ports", less=True, seconds=1, rounds=5, quick=0,
    goals=[L.Goal("6", "resident memory of an idle port, of 512", 16, lambda r: EACH(r["512"]["fethd"]), most=True,
                  unit="KiB")])
