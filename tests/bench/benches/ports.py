"""Cost of a frame as ports grow: goal 6."""
import crowd
import flow
import lab as L
import plot

BROADCAST = "ff:ff:ff:ff:ff:ff"
HEADER = 2  # of a 60-byte frame in the native framing


def unicast(lab, count):
    """From one port to another; the others are there."""
    with flow.fethd(lab, 60, ("native", "native")) as ends:
        if count == 2:
            return priced(flow.measure(lab, ends, 60, 64))
        with crowd.crowd(lab, ends.send[1], count - 2):
            return priced(flow.measure(lab, ends, 60, 64))


def to_crowd(dst, *options):
    """From one port to all others, by broadcasts or to each in turn."""
    def run(lab, count):
        with flow.fethd(lab, 60, ("native", "native"), defaults={"storm": 0}) as ends:
            with crowd.crowd(lab, ends.send[1], count - 1) as p:
                used = L.run_times(ends.pids)
                stations = ["-s", str(count - 1)] if options else []
                sent = flow.sent_by(flow.sender(lab, ends.send, dst, 60, 64, *stations))
                L.wait_until("all has been read", lambda: quiet(ends.pids))
                used = L.run_times(ends.pids) - used
                got = crowd.told(p)
        frames = got["bytes"] // (60 + HEADER)
        if not frames:
            raise RuntimeError("no frame arrived")
        copies = sent["frames"] if options else sent["frames"] * (count - 1)
        return priced({"delivered": frames, "sent": copies, "cpu_switch_s": round(used, 4),
                       "kframes_per_s": round(frames / sent["seconds"] / 1e3, 2), "seconds": sent["seconds"]})
    return run


def quiet(pids):
    before = L.run_times(pids)
    L.time.sleep(0.05)
    return L.run_times(pids) - before < 0.001


def priced(c):
    return {**c, "ns": round(c["cpu_switch_s"] / c["delivered"] * 1e9, 2)}


NS = L.field("ns")
def alone(lab, _):
    """What 512 ports are compared with, at the same moment."""
    return unicast(lab, 2)


ROWS = [("unicast", unicast), ("each in turn", to_crowd("02:be:55:00:00:00", "in turn")),
        ("broadcast", to_crowd(BROADCAST))]

BENCH = L.Bench(
    "ports",
    "60-byte frames, 64 a write, as ports grow. *unicast*: from one port to another, the others idle; *each in "
    "turn*: to all others one after the other, so that no two neighbours of a batch have the same port; "
    "*broadcast*: for each copy that is delivered, without the limit on storms. Every port but the sender reads.",
    [2, 16, 128, 512], lambda lab, point: ROWS + [("unicast, 2 ports", alone)] * (point == 512), NS,
    [L.Column("switch-CPU ns a frame delivered", NS, 0), L.Column("kframes/s delivered", flow.rate),
     L.Column("not delivered, %", flow.lost, 0)],
    head="ns", point_head="ports", less=True, seconds=0.4, quick=0,
    goals=[L.Goal("6", "switch CPU of a unicast frame, 512 ports / 2 ports", 1.3,
                  lambda r: NS(r["512"]["unicast"]) / NS(r["512"]["unicast, 2 ports"]), most=True)],
    plots=[plot.Lines("ports", "Cost of a 60-byte frame as ports grow", NS, "switch-CPU ns a frame", "ports",
                      log=True, labels=["unicast", "each in turn", "broadcast"])])
