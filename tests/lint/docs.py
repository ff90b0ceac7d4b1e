#!/usr/bin/env python3
"""docs.py WIREDUMP FETHCTL - docs/protocol.md and docs/macos.md say what the source does.

protocol.md: every line of its ```wire blocks is decoded twice, by python3-msgpack and by our own decoder; its
tables of methods, error codes and drop reasons are those of the source, and so are the fields each method
takes; its limits are the source's.
attach.md: the tests that it names exist.
macos.md: every rule of the kernel's is in its table, with tests that exist; every sentence of fethd's that it
explains is one that fethd says. The property list for launchd is one.
"""
import json
import pathlib
import plistlib
import re
import subprocess
import sys

import msgpack

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs/protocol.md").read_text()
MACOS = (ROOT / "docs/macos.md").read_text()
RULES = 59
faults = []


def check(ok, what):
    if not ok:
        faults.append(what)


def source(path):
    return (ROOT / path).read_text()


def literal(text):
    """The value that a comment stands for: `bin HEX`, `ext TYPE HEX`, or JSON with msgpack's nil."""
    if text.startswith("bin "):
        return bytes.fromhex(text[4:])
    if text.startswith("ext "):
        _, kind, data = text.split()
        return msgpack.ExtType(int(kind), bytes.fromhex(data))
    parts = re.split(r'("(?:[^"\\]|\\.)*")', text)
    return json.loads("".join(p if p.startswith('"') else p.replace("nil", "null") for p in parts))


def same(a, b):
    """Equal in type too: true is not 1."""
    binary = (bytes, msgpack.ExtType)
    return a == b if isinstance(a, binary) or isinstance(b, binary) else json.dumps(a) == json.dumps(b)


def ours(value):
    """What wiredump says of a value."""
    if isinstance(value, msgpack.ExtType):
        return f"ext {value.data.hex()}"
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


def table(header, doc=DOC):
    """The rows of a table, as lists of cells without backticks, by its header line."""
    text = doc.partition(header + "\n")[2]
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

    events = re.findall(r'^EVENT\(\w+, "([^"]+)", "([^"]*)"\)', source("protocol/events.def"), re.M)
    check(len(events) == source("protocol/events.def").count("\nEVENT("), "an EVENT line is not understood")
    check([list(e) for e in events] == table("| event | when |"), "events.def and the table of events differ")
    told = " ".join(row[0] for row in table("| event | params |")).replace(",", "").split()
    check(told == [name for name, _ in events], "the params of some event are not told")

    for path, header in (("include/feth/errors.h", "| code | meaning |"),
                         ("protocol/drops.def", "| reason | dropped because |")):
        names = re.findall(r'^\s*(?:X|DROP)\(\w+, "(\w+)"', source(path), re.M)
        check(names and names == [row[0] for row in table(header)], f"{path} and its table differ")


def sections():
    """Of each method the text of its section."""
    texts = {}
    for heads, text in re.findall(r"^### (.*)\n((?:(?!^##).*\n)*)", DOC, re.M):
        for name in heads.split(", "):
            texts[name] = text
    return texts


def fields_told(text):
    """The sets of fields before each arrow of a section: `{a, b}` →"""
    return [[word for word in group.split(", ") if word] for group in re.findall(r"`\{([^{}`]*)\}` →", text)]


def check_fields(fethctl):
    methods = json.loads(subprocess.run([fethctl, "help", "rpc", "--json"], capture_output=True, check=True).stdout)
    texts = sections()
    of_text = {}
    for method in methods:
        name, fields = method["method"], [f["field"] for f in method["fields"]]
        text = texts.get(name, "")
        told = fields_told(text)
        nth = of_text.setdefault(text, 0)  # a section of two methods has two lists, or one for both
        of_text[text] += 1
        check(told, f"{name}: its section does not begin with `{{fields}}` → result")
        mine = told[min(nth, len(told) - 1)] if told else []
        check(mine == fields, f"{name}: the section says it takes {mine}, protocol/fields.def {fields}")
        for f in method["fields"]:
            check(set(f["type"].split("|")) <= {"bool", "uint", "text", "name", "mac", "array", "map"},
                  f"{name}: {f['field']} has a type that is none: {f['type']}")
            check(len(fields) == len(set(fields)), f"{name}: a field is there twice")


def check_limits():
    for path, name in (("include/feth/types.h", "FETH_FRAME_MIN"), ("include/feth/types.h", "FETH_FRAME_MAX"),
                       ("include/feth/types.h", "FETH_RPC_MAX"), ("protocol/qemu.h", "QEMU_FRAME_MAX"),
                       ("protocol/wire.h", "WIRE_DEPTH_MAX"), ("server/core/sendq.h", "SENDQ_RPC_MAX"),
                       ("server/core/command.h", "LIST_LIMIT"), ("server/core/command.h", "LIST_DEFAULT"),
                       ("server/core/command.h", "PORT_GROUPS_MAX"), ("server/core/groups.h", "GROUPS_MAX"),
                       ("server/core/access.h", "ALLOW_MAX"), ("server/core/audit.h", "AUDIT_LINES"),
                       ("server/core/news.h", "NEWS_MOVED_MAX"), ("server/rpc/event.h", "EVENTS_MAX"),
                       ("server/core/monitor.h", "MONITORS_MAX"), ("server/core/monitor.h", "MONITOR_SNAPLEN_MAX"),
                       ("server/core/bpf.h", "BPF_STEPS_MAX")):
        found = re.search(rf"#define {name} (\d+)u", source(path))
        check(found and re.search(rf"\b{found[1]}\b", DOC), f"{name} of {path} is not in the text")


def c_sources(*folders):
    return {path: path.read_text() for folder in folders for path in sorted((ROOT / folder).glob("**/*.c"))}


def check_rules():
    sources = c_sources("tests/darwin")
    functions = set(re.findall(r"^static void (\w+)\(", "\n".join(sources.values()), re.M))
    tested = {(int(n), fn) for path, text in sources.items() if path.name.startswith("rules_")
              for n, fn in re.findall(r'\{\s*(\d+),\s*(?:"(?:[^"\\]|\\.)*"\s*)+,\s*(?:\.fn\s*=\s*)?(\w+)\b', text)}
    rows = table("| rule | what the kernel does | held to it: the simulation, a Mac | the backend |", MACOS)
    check([row[0] for row in rows] == [str(n) for n in range(1, RULES + 1)], f"the rules are not 1 to {RULES}")
    found = set()
    for number, what, kernel, backend in rows:
        check(what and kernel, f"rule {number} says nothing, or has no test")
        found |= {(int(number), name) for name in re.findall(r"\w+", kernel)}
        for name in re.findall(r"\w+", backend):
            check(name in functions, f"rule {number}: tests/darwin has no {name}()")
    for number, name in sorted(found ^ tested):
        check(False, f"rule {number}: {name}() is " + ("in no rules_*.c" if (number, name) in found else "not in the table"))


def check_sentences():
    """What fethd is said to say: text with `…` where names and numbers go."""
    literals = r'(?:"(?:[^"\\]|\\.)*"\s*)+'
    said = ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text)) for source in c_sources("server").values()
            for text in re.findall(literals, source)]
    said = [re.sub(r"%[-#0-9.*]*[hlz]*[a-zA-Z]", "…", text).replace('\\"', '"').replace("%%", "%") for text in said]
    rows = table("| fethd says | it means | do |", MACOS)
    check(len(rows) >= 8, "fewer than eight sentences are explained")
    for sentence, *_ in rows:
        check(any(sentence in text for text in said), f"nothing in server/ says: {sentence}")


def check_conf():
    """fethd.conf(5) explains exactly the keys that there are; the examples of docs/conf have no others."""
    keys = {table: re.findall(r'^\t\{ "([a-z-]+)", "', body, re.M) for table, body in
            re.findall(r"const struct key (keys_\w+)\[\] = \{(.*?)^\};", source("server/conf/keys.c"), re.M | re.S)}
    daemon = re.search(r"\} settings\[\] = \{(.*?)^\};", source("server/conf/daemonfile.c"), re.M | re.S)[1]
    want = {"[daemon]": re.findall(r'\{ "([a-z-]+)"', daemon), "[network]": keys["keys_network"],
            "[port": keys["keys_port"]}
    told = {}
    for part in source("docs/man/fethd.conf.5").split("\n.Ss ")[1:]:
        told[part.split()[0].rstrip(",")] = re.findall(r"^\.It Cm ([a-z-]+)$", part.partition("\n.Sh ")[0], re.M)
    for section, names in want.items():
        check(names and sorted(names) == sorted(told.get(section, [])),
              f"fethd.conf.5, {section}: {sorted(set(names) ^ set(told.get(section, [])))}")
    options = re.findall(r'\{ "([a-z-]+)", (?:required|no)_argument', source("server/main.c"))
    check(set(want["[daemon]"]) <= set(options), "a key of [daemon] is no option of fethd")


def check_metrics():
    text = source("clients/ctl/metrics.def")
    metrics = re.findall(r'^METRIC\(\w+, (\w+), "([^"]+)", (\w+), "([^"]*)", "([^"]*)"\)', text, re.M)
    check(len(metrics) == text.count("\nMETRIC("), "a METRIC line is not understood")
    rows = table("| metric | type | labels | what |", (ROOT / "docs/metrics.md").read_text())
    check([[name, kind, what] for _, name, kind, _, what in metrics] == [[r[0], r[1], r[3]] for r in rows],
          "metrics.def and the table of metrics differ")
    first = {"DAEMON": [], "NETWORK": ["network"], "PORT": ["network", "port"]}
    for (scope, name, _, unit, _), row in zip(metrics, rows):
        labels = [word for word in row[2].split(", ") if word]
        check(labels[:len(first[scope])] == first[scope], f"{name} has the labels {first[scope]}")
        check(name.endswith(unit), f"{name} does not end with its unit")


def check_plist():
    job = plistlib.loads((ROOT / "docs/launchd/dev.fethd.plist").read_bytes())
    check(job["Label"] == "dev.fethd" and job["ProgramArguments"][0].endswith("/fethd"), "the property list is another's")
    options = re.findall(r'\{ "([a-z-]+)", (?:required|no)_argument', source("server/main.c"))
    for word in job["ProgramArguments"][1:]:
        check(not word.startswith("--") or word[2:] in options, f"fethd has no option {word}")


def check_attach():
    text = (ROOT / "docs/attach.md").read_text()
    for test in set(re.findall(r"`(tests/[\w/.]+)`", text)):
        check((ROOT / test).exists(), f"attach.md names {test}, which is not there")
    anchors = {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", text, re.M)}
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        check(anchor in anchors, f"attach.md has no part #{anchor}")


check_wire(sys.argv[1])
check_attach()
check_tables()
check_fields(sys.argv[2])
check_limits()
check_rules()
check_sentences()
check_conf()
check_plist()
check_metrics()
for fault in faults:
    print(f"docs: {fault}")
sys.exit(1 if faults else 0)
