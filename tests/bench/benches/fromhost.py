"""Host member to client, raw frames."""
import flow
import lab as L

BENCH = L.Bench(
    "fromhost",
    "Host member to client.",
    [60, 1514],
    flow.cells(("fethd", flow.between("packet", "native", backend="veth"), 64),
               ("bridge", flow.bridge, 64)),
    flow.rate, flow.COLUMNS, head="kframes/s", root=True, seconds=0.3)
