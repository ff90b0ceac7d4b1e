"""Client to host member, raw frames."""
import flow
import lab as L

BENCH = L.Bench(
    "tohost",
    "Client to the host member (native socket, 64 frames a write; AF_PACKET reads at the host member), "
    "against a Linux bridge with two veths and AF_PACKET at both ends.",
    [60, 1514],
    flow.cells(("fethd", flow.between("native", "packet", backend="veth"), 64),
               ("fethd single", flow.between("native", "packet", backend="veth"), 1),
               ("bridge", flow.bridge, 64)),
    flow.rate, flow.COLUMNS, head="kframes/s", root=True, seconds=0.3)
