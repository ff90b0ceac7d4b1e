"""Client to client, a frame a write: goal 3."""
import flow
import lab as L
import plot

BENCH = L.Bench(
    "single",
    "The same with a sender that writes frames singly.",
    [60, 1514, 9014],
    flow.cells(("fethd", flow.between("native", "native"), 1), ("relay", flow.relay, 1),
               ("vde_switch", flow.vde, 1), ("no switch", flow.direct, 1)),
    flow.rate, flow.COLUMNS, head="kframes/s", seconds=0.5,
    goals=[
        L.Goal("3", "socket, a frame a write, 60 bytes / vde_switch", 3.5,
               L.ratio("60", flow.rate, "fethd", "vde_switch")),
        L.Goal("3", "socket, a frame a write, 1514 bytes / vde_switch", 3.5,
               L.ratio("1514", flow.rate, "fethd", "vde_switch")),
    ],
    plots=[plot.Bars("single", "Client to client, a frame a write", flow.rate, "kframes/s")])
