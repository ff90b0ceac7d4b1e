"""Client to client in QEMU's framing."""
import flow
import lab as L

BENCH = L.Bench(
    "qemu",
    "Client to client in QEMU's framing, and from native to QEMU's, 64 frames a write, 128 of the short ones.",
    [60, 1514],
    flow.cells(("fethd qemu-qemu", flow.between("qemu", "qemu"), None),
               ("fethd native-qemu", flow.between("native", "qemu"), None),
               ("fethd qemu-qemu single", flow.between("qemu", "qemu"), 1),
               ("vde_switch", flow.vde, None)),
    flow.rate, flow.COLUMNS, head="kframes/s", seconds=0.3)
