"""test_simh.py - a VAX of SIMH's, which knows interfaces only (libpcap), on a port of kind tap: MOP frames go
to it and come from it.

Its software is four instructions: switch the receiver of the DELQA on, and go round. The DELQA itself then
tells a group who it is, and answers MOP's Request ID with a System ID, as the card did (DECnet DNA
Maintenance Operations, version 3.0).
Needs root; namespaces of its own.
"""
import pathlib
import select
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
# pylint: disable=wrong-import-position
from harness import Daemon, main, poll_until
from netlab import Namespace, require

MOP_RC = b"\x60\x02"  # remote console
REQUEST_ID, SYSTEM_ID = 5, 7
RECEIPT = 0x1234
CONSOLES = "ab:00:00:02:00:00"  # the group
VAX = "aa:00:04:00:01:04"  # DECnet's area 1, node 1
CSR = 0x2000192E           # of the first DELQA: 17774456 of the Q-bus
CODE = (b"\xb0\x01\x9f" + struct.pack("<I", CSR)  # movw #1, @#csr     receiver enable
        + b"\x01\x01"                            # 1: nop; nop
        + b"\x11\xfc")                           # brb 1b


def mop(dst, src, message):
    data = MOP_RC + struct.pack("<H", len(message)) + message
    return (bytes.fromhex(dst.replace(":", "") + src.replace(":", "")) + data).ljust(60, b"\0")


def parameters(message):
    """The parameters of a System ID: number to value; behind code, reserved byte and receipt."""
    at, found = 4, {}
    while at + 3 <= len(message):
        number, size = struct.unpack_from("<HB", message, at)
        found[number] = message[at + 3 : at + 3 + size]
        at += 3 + size
    return found


class Vax(unittest.TestCase):
    def setUp(self):
        self.ns = self.enterContext(Namespace())
        self.box = self.enterContext(Namespace())
        self.d = self.enterContext(Daemon(prefix=self.ns.prefix))
        self.d.create(backend="none")
        self.d.call("port.add", network="lab", name="vax", kind="tap", ifname="xq0", netns=self.box.name)

    def vax(self):
        script = self.enterContext(tempfile.NamedTemporaryFile("w", suffix=".ini"))
        lines = [f"set xq mac={VAX.replace(':', '-')}", "attach xq xq0"]
        lines += [f"deposit -b {0x1000 + i:X} {byte:02X}" for i, byte in enumerate(CODE)]
        script.write("\n".join([*lines, "go 1000", "exit", ""]))
        script.flush()
        p = subprocess.Popen([*self.box.prefix, "vax", script.name], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        return p

    def test_mop_frames_reach_it_and_come_back(self):
        with self.d.attach() as client:
            mac = client.info["mac"]
            vax = self.vax()
            said = {}

            def answered():
                """Asks until there is an answer: it takes a while to be there."""
                self.assertIsNone(vax.poll())
                client.send(mop(VAX, mac, struct.pack("<BBH", REQUEST_ID, 0, RECEIPT)))
                if select.select([client.sock], [], [], 0.2)[0]:
                    client.read()
                said.update((f[:6].hex(":"), f) for f in client.frames if f[12:14] == MOP_RC)
                return said.keys() >= {mac, CONSOLES}

            poll_until("the VAX says who it is, to all and to who asked", answered, 30)
        for to, receipt in ((CONSOLES, 0), (mac, RECEIPT)):
            f = said[to]
            self.assertEqual(f[6:12].hex(":"), VAX)
            message = f[16 : 16 + struct.unpack_from("<H", f, 14)[0]]
            self.assertEqual(struct.unpack_from("<BBH", message), (SYSTEM_ID, 0, receipt))
            found = parameters(message)
            self.assertEqual(found[1], bytes([3, 1, 0]))  # MOP 3.1.0
            self.assertEqual(found[7].hex(":"), VAX)      # hardware address
        # it is where it should be, by the address it was given at run time
        fdb = {e["mac"]: e["name"] for e in self.d.call("fdb.list", network="lab")["items"]}
        self.assertEqual(fdb[VAX], "vax")
        # at first it looks for a twin by a frame to itself, which goes no further
        self.assertLessEqual(self.d.stats("vax")["drops"].keys(), {"local"})


if __name__ == "__main__":
    require("vax")
    main()
