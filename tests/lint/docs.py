#!/usr/bin/env python3
"""docs.py WIREDUMP - docs/protocol.md says what the source does.

Every line of its ```wire blocks is decoded twice, by python3-msgpack and by our own decoder; its tables
of methods, error codes and drop reasons are those of the source; its limits are the source's.
"""
import json
import pathlib
import re
import subprocess
import sys

import msgpack

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs/protocol.md").read_text()
faults = []


def check(ok, what):
    if not ok:
        faults.append(what)


def source(path):
    return (ROOT / path).read_text()


def literal(text):
    """The value that a comment stands for: `bin HEX`, or JSON with msgpack's nil."""
    if text.startswith("bin "):
        return bytes.fromhex(text[4:])
    parts = re.split(r'("(?:[^"\\]|\\.)*")', text)
    return json.loads("".join(p if p.startswith('"') else p.replace("nil", "null") for p in parts))


def same(a, b):
    """Equal in type too: true is not 1."""
    return a == b if isinstance(a, bytes) or isinstance(b, bytes) else json.dumps(a) == json.dumps(b)


def ours(value):
    """What wiredump says of a value."""
    if isinstance(value, bytes):
        return f"frame {value.hex()}"
    if value[0] == 0:
        return f"request {value[1]} {value[2]}"
    return f"response {value[1]} " if value[0] == 1 else f"notification 0 {value[1]}"


def check_wire(wiredump):
    lines = [line for block in re.findall(r"```wire\n(.*?)```", DOC, re.S) for line in block.splitlines()]
    check(len(lines) >= 5, "fewer than five wire examples")
    for line in lines:
        hexes, _, comment = line.partition("#")
        data = bytes.fromhex(hexes)
        want = literal(comment.strip())
        check(same(msgpack.unpackb(data, strict_map_key=False), want), f"msgpack decodes otherwise: {line}")
        out = subprocess.run([wiredump, data.hex()], capture_output=True, text=True)
        check(out.returncode == 0 and out.stdout.rstrip("\n") == ours(want),
              f"wiredump says {out.returncode} {out.stdout.strip()!r}: {line}")


def table(header):
    """The rows of a table, as lists of cells without backticks, by its header line."""
    text = DOC.partition(header + "\n")[2]
    check(text, f"there is no table {header}")
    rows = []
    for line in text.splitlines()[1:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("`", "") for cell in line.strip("|").split("|")])
    return rows


def check_tables():
    methods = re.findall(r'^METHOD\(\w+, "([^"]+)", (\w+), (\w+), "([^"]*)"\)', source("protocol/methods.def"), re.M)
    check(len(methods) == source("protocol/methods.def").count("\nMETHOD("), "a METHOD line is not understood")
    want = [[name, " ".join(sockets), right.lower(), summary] for name, sockets, right, summary in methods]
    found = table("| method | socket | right | what |")
    for row in want + found:
        check((row in want) and (row in found), f"methods.def and the table of methods differ in {row}")
    check(found == want, "the table of methods has another order than methods.def")
    for name, *_ in methods:
        check(re.search(rf"^### .*\b{re.escape(name)}(,|$)", DOC, re.M), f"{name} has no section")

    for path, header in (("include/feth/errors.h", "| code | meaning |"),
                         ("server/core/drop.h", "| reason | dropped because |")):
        names = re.findall(r'^\s*X\(\w+, "(\w+)"', source(path), re.M)
        check(names and names == [row[0] for row in table(header)], f"{path} and its table differ")


def check_limits():
    for path, name in (("include/feth/types.h", "FETH_FRAME_MIN"), ("include/feth/types.h", "FETH_FRAME_MAX"),
                       ("include/feth/types.h", "FETH_RPC_MAX"), ("protocol/qemu.h", "QEMU_FRAME_MAX"),
                       ("protocol/wire.h", "WIRE_DEPTH_MAX"), ("server/core/sendq.h", "SENDQ_RPC_MAX"),
                       ("server/core/command.h", "LIST_LIMIT"), ("server/core/command.h", "LIST_DEFAULT")):
        found = re.search(rf"#define {name} (\d+)u", source(path))
        check(found and re.search(rf"\b{found[1]}\b", DOC), f"{name} of {path} is not in the text")


check_wire(sys.argv[1])
check_tables()
check_limits()
for fault in faults:
    print(f"docs/protocol.md: {fault}")
sys.exit(1 if faults else 0)
