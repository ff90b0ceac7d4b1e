"""Client to client, batches: goal 3."""
import flow
import lab as L
import plot

BENCH = L.Bench(
    "clients",
    "Client to client over the native socket, 64 frames a write; vde_switch with two libvdeplug clients, "
    "which knows one frame a call; a blind relay that reads 256 KiB and writes it; and no switch at all, "
    "the two ends on one Unix stream.",
    [60, 1514, 9014],
    flow.cells(("fethd", flow.between("native", "native"), 64), ("relay", flow.relay, 64),
               ("vde_switch", flow.vde, 64), ("no switch", flow.direct, 64)),
    flow.rate, flow.COLUMNS, head="kframes/s", seconds=0.5,
    goals=[
        L.Goal("3", "socket, batches, 60 bytes / vde_switch", 80, L.ratio("60", flow.rate, "fethd", "vde_switch")),
        L.Goal("3", "socket, batches, 1514 bytes / vde_switch", 12,
               L.ratio("1514", flow.rate, "fethd", "vde_switch")),
        L.Goal("3", "socket, batches, 60 bytes / blind relay", 0.85, L.ratio("60", flow.rate, "fethd", "relay")),
        L.Goal("3", "socket, batches, 1514 bytes / blind relay", 0.85,
               L.ratio("1514", flow.rate, "fethd", "relay")),
    ],
    plots=[plot.Bars("clients", "Client to client, 64 frames a write", flow.rate, "kframes/s", log=True)])
