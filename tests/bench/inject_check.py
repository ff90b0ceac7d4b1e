#!/usr/bin/env python3
"""inject_check.py BENCH_INJECT - on the simulated kernel it measures, says that this means nothing, and
leaves nothing behind, also when it is interrupted."""
import json
import signal
import subprocess
import sys

CELLS = 20
faults = []


def check(ok, what):
    if not ok:
        faults.append(what)


def figures(bench, *more):
    """Its output before the JSON, and the JSON."""
    run = subprocess.run([bench, "--seconds", "4", "--json", "-", *more], capture_output=True, text=True, timeout=50)
    check(run.returncode == 0, f"exit {run.returncode}: {run.stderr.strip()}")
    text, brace, rest = run.stdout.partition("\n{\n")
    return text, json.loads(brace + rest)


def check_figures(bench):
    text, data = figures(bench)
    check("SIMULATED KERNEL" in text and text.count("figures mean nothing") == 2, "the table does not say what it is of")
    check(data["simulated"] is True and "mean nothing" in data["warning"], "the JSON does not say what it is of")
    check(len(data["send"]) == CELLS and len(data["receive"]) == 16, "there are cells missing")
    for cell in data["send"]:
        check("absent" not in cell and cell["frames_per_s"]["median"] > 0, f"no figure in {cell}")
        check(0 < cell["arrived"]["median"] <= 1, f"more arrived than was sent, or nothing: {cell}")
    for cell in data["receive"]:
        check(cell["us_per_frame"] and cell["frames_per_read"]["median"] >= 1, f"no figure in {cell}")
        check(cell["waiting"] > 64 or cell["bytes"] * cell["waiting"] > 500000 or cell["lost"]["median"] == 0,
              f"lost although the buffer holds it: {cell}")
    _, data = figures(bench, "--uncounted", "--profile", "13")
    check(data["counted"] is False and all(not cell.get("arrived") for cell in data["send"]), "--uncounted counts")
    check(sum("absent" in cell for cell in data["send"]) == 14, "macOS 13 has no batches and no long BPF writes")


def check_interrupted(bench):
    run = subprocess.Popen([bench, "--seconds", "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    run.stdout.readline()
    run.send_signal(signal.SIGTERM)
    _, errors = run.communicate(timeout=30)
    check(run.returncode == 1, f"interrupted, it exits {run.returncode}")
    check("not as it was" not in errors and " stays " not in errors, f"interrupted, it leaves something: {errors}")


check_figures(sys.argv[1])
check_interrupted(sys.argv[1])
for fault in faults:
    print(f"bench_inject: {fault}")
sys.exit(1 if faults else 0)
