"""Client to client, batches: goal 3."""
import flow
import lab as L
import plot

BENCH = L.Bench(
    "clients",
    "Client to client over the native socket, 64 frames a write, 128 of the short ones; vde_switch with two libvdeplug clients, "
    "which knows one frame a call; a blind relay that reads 256 KiB and writes it; *shm*: both clients by rings in "
    "shared memory; and no switch at all, the two ends on one Unix stream or on one ring.",
    [60, 1514, 9014],
    flow.cells(("fethd", flow.between("native", "native"), None), ("fethd shm", flow.shm, None), ("relay", flow.relay, None),
               ("vde_switch", flow.vde, None), ("no switch", flow.direct, None),
               ("no switch, ring", flow.direct_shm, None)),
    flow.rate, flow.COLUMNS, head="kframes/s", seconds=0.5,
    goals=[
        L.Goal("3", "socket, batches, 60 bytes / vde_switch", 80, L.ratio("60", flow.rate, "fethd", "vde_switch")),
        L.Goal("3", "socket, batches, 1514 bytes / vde_switch", 12,
               L.ratio("1514", flow.rate, "fethd", "vde_switch")),
        L.Goal("3", "socket, batches, 60 bytes / blind relay", 0.85, L.ratio("60", flow.rate, "fethd", "relay")),
        L.Goal("3", "socket, batches, 1514 bytes / blind relay", 0.85,
               L.ratio("1514", flow.rate, "fethd", "relay")),
        L.Goal("3", "shared memory / socket, frames a CPU second of the switch, 60 bytes", 2.5,
               L.ratio("60", flow.per_cpu, "fethd shm", "fethd")),
        L.Goal("3", "shared memory / socket, frames a CPU second of the switch, 1514 bytes", 2,
               L.ratio("1514", flow.per_cpu, "fethd shm", "fethd")),
    ],
    plots=[plot.Bars("clients", "Client to client, batches", flow.rate, "kframes/s", log=True)])
