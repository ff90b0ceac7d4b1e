"""bench.py - the lab behind bench.sh: chooses benches, runs them, keeps the figures, writes the page.

Each file of tests/bench/benches is one bench (lab.py says what that is).
"""
import argparse
import contextlib
import datetime
import importlib
import os
import platform
import subprocess
import sys
import time

import lab as L
import report

HERE = os.path.dirname(os.path.abspath(__file__))
# in the order of the page
NAMES = ["hosttcp", "hostframes", "stream", "guest", "clients", "single", "qemu", "tohost", "fromhost", "latency",
         "flood", "networks", "syscalls", "memory", "ports", "fdb"]
MINUTES = 14.5  # and a quarter for instr.sh


def benches(names):
    return [importlib.import_module(f"benches.{name}").BENCH for name in names]


def git(*args):
    try:
        return subprocess.run(["git", "-C", L.ROOT, *args], capture_output=True, text=True,
                              check=True).stdout.strip()
    except (subprocess.CalledProcessError, FileNotFoundError):
        return ""


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def facts(lab):
    # what a run writes, and what is only read, is in docs
    dirty = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs") and "-dirty"
    memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    return {
        "machine": f"{os.cpu_count()} CPUs, {cpu_model()}, {memory} GiB",
        "kernel": platform.release(),
        "commit": (git("rev-parse", "--short=12", "HEAD") or "unknown") + dirty,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "load_before": os.getloadavg()[0],
        "command": "tests/bench/bench.sh " + " ".join(lab.args),
    }


def run_bench(lab, bench):
    about = facts(lab)
    started = time.monotonic()
    try:
        rounds, absent = L.run_rounds(lab, bench)
    except L.Absent as why:
        print(f"SKIPPED: bench {bench.name}: {why}", flush=True)
        return False
    rounds = [r for r in rounds if r]
    if not rounds:
        return False
    took = time.monotonic() - started
    print(f"\n{bench.name}: {bench.what}\n{report.table(bench, rounds)}\n", flush=True)
    for row in report.verdict_rows([report.judge(g, rounds) for g in bench.goals]):
        print(row)
    print(f"({bench.name}: {took:.0f} s)\n", flush=True)
    if not lab.quick:
        report.save(lab, bench, {**about, "what": bench.what, "seconds_per_cell": lab.seconds,
                                 "took": round(took), "absent": absent, "rounds": rounds})
    return True


def count_instructions(lab):
    """instr.sh, where it is part of the whole; it writes its own section."""
    p = subprocess.run([os.path.join(HERE, "instr.sh"), "--build", lab.build, "--out", lab.out], check=False)
    if p.returncode not in (0, 77):
        lab.failures.append("instr.sh")


def prepare_netns():
    """The namespace of this run, as those that it makes."""
    L.run("ip", "link", "set", "lo", "up")
    for path, value in L.SYSCTLS.items():
        with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
            with open(f"/proc/sys/net/{path}", "w", encoding="ascii") as f:
                f.write(value)


def shown(args):
    """The command line as others would write it: without where things lie on this machine."""
    out, args = [], iter(args)
    for a in args:
        name = a.split("=")[0]
        if name in ("--build", "--out", "--against"):
            if "=" not in a:
                next(args, None)
            out += ["--against OTHER/fethd"] if name == "--against" else []
        elif a != "--netns":
            out.append(a)
    return out


def arguments():
    p = argparse.ArgumentParser(prog="bench.sh")
    p.add_argument("names", nargs="*", metavar="NAME", help=" ".join(NAMES))
    p.add_argument("--rounds", type=int, default=0)
    p.add_argument("--seconds", type=float, default=0, help="of each cell")
    p.add_argument("--points", help="only these (sizes, directions, …), with commas between")
    p.add_argument("--minutes", type=float, default=MINUTES, help="when no further round begins")
    p.add_argument("--build", default=os.path.join(L.ROOT, "build", "release"))
    p.add_argument("--out", default=os.path.join(L.ROOT, "docs"))
    p.add_argument("--against", metavar="FETHD", help="another fethd to measure beside ours")
    p.add_argument("--quick", action="store_true", help="only that every cell delivers frames")
    p.add_argument("--page", action="store_true", help="only write the page from the figures kept")
    p.add_argument("--list", action="store_true", help="what there is, and the goals of each")
    p.add_argument("--netns", action="store_true", help=argparse.SUPPRESS)
    lab = p.parse_args()
    unknown = set(lab.names) - set(NAMES)
    if unknown:
        p.error(f"there is no bench {' '.join(sorted(unknown))}; there are {' '.join(NAMES)}")
    lab.args = shown(sys.argv[1:])
    lab.seconds_asked, lab.failures = lab.seconds, []
    lab.points = lab.points.split(",") if lab.points else []
    lab.fethd = os.path.join(lab.build, "server", "fethd")
    lab.deadline = time.monotonic() + 60 * lab.minutes if lab.minutes and not lab.quick else 0
    return lab


def main():
    lab = arguments()
    chosen = benches(lab.names or NAMES)
    if lab.list:
        for b in chosen:
            print(f"{b.name:10} {b.what}")
            for g in b.goals:
                print(f"{'':10}   {g.line}: {g.what} {'≤' if g.most else '≥'} {g.goal:g} {g.unit}")
        return 0
    if not lab.page:
        for path in (lab.fethd, L.tool(lab, "bench_client")):
            if not os.access(path, os.X_OK):
                raise SystemExit(f"bench: no {path}; build the release preset first "
                                 "(cmake --preset release && cmake --build --preset release)")
        if lab.against and not os.access(lab.against, os.X_OK):
            raise SystemExit(f"bench: --against {lab.against}: there is no such program")
        if lab.netns:
            prepare_netns()
        ran = False
        for bench in chosen:
            if lab.quick and not bench.quick and not lab.names:
                continue
            if bench.root and not lab.netns:
                print(f"SKIPPED: bench {bench.name}: host sides need root", flush=True)
                continue
            ran = run_bench(lab, bench) or ran
        if not lab.names and not lab.quick:
            count_instructions(lab)
        if lab.failures:
            print("\n".join(["", *(f"FAILED: {f}" for f in lab.failures)]), flush=True)
        if lab.quick or not ran:
            return 1 if lab.failures else 0 if ran else 77
    judged = report.write_page(lab, benches(NAMES))
    print("\n".join(report.GOAL_HEAD + report.verdict_rows(judged)), flush=True)
    return 1 if lab.failures else 0


if __name__ == "__main__":
    sys.path.insert(0, HERE)
    sys.exit(main())
