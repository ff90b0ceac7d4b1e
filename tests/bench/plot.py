"""plot.py - the plots of docs/benchmarks.md: SVG by gnuplot, from the same figures as the tables.

Bars  the compared figure of every cell, a group for each point, from the least to the greatest
Lines the same over points that are numbers, one line a cell
"""
import os
import shutil
import statistics
import subprocess

COLOURS = ["#1f6f8b", "#e07a3f", "#6a994e", "#9b5de5", "#c9a227", "#8d6b58", "#577590", "#b5446e"]


class Bars:
    def __init__(self, name, title, value, ylabel, points=None, log=False, labels=None):
        self.name, self.title, self.value, self.ylabel = name, title, value, ylabel
        self.points, self.log, self.labels = points, log, labels


class Lines(Bars):
    def __init__(self, name, title, value, ylabel, xlabel, logx=True, log=False, labels=None):
        super().__init__(name, title, value, ylabel, None, log, labels)
        self.xlabel, self.logx = xlabel, logx


def series(p, bench, rounds):
    """label → [(point, median, least, greatest)]"""
    out = {}
    for point in [str(x) for x in p.points or bench.points]:
        labels = []
        for r in rounds:
            labels += [x for x in r.get(point, {}) if x not in labels]
        for label in labels:
            if p.labels and label not in p.labels:
                continue
            values = [p.value(r[point][label]) for r in rounds if label in r.get(point, {})]
            values = [v for v in values if v is not None]
            if values:
                out.setdefault(label, []).append(
                    (point, statistics.median(values), min(values), max(values)))
    return out


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def script(p, bench, data, path):
    points = [str(x) for x in p.points or bench.points]
    lines = [
        "set terminal svg size 820,400 enhanced background '#ffffff' font 'Helvetica,12'",
        f"set output {quoted(path)}",
        f"set title {quoted(p.title)} noenhanced",
        f"set ylabel {quoted(p.ylabel)} noenhanced",
        "set grid ytics lc '#dddddd'", "set key outside right top noenhanced", "set border 3",
        "set tics nomirror", "set encoding utf8"]
    lines += ["set logscale y", "set format y '%.0f'"] if p.log else ["set yrange [0:*]"]
    blocks, plots = [], []
    if isinstance(p, Lines):
        lines += [f"set xlabel {quoted(p.xlabel)} noenhanced"] + (["set logscale x 2"] if p.logx else [])
        for n, (label, rows) in enumerate(data.items()):
            blocks.append(f"$d{n} << END\n" + "\n".join(
                f"{x} {m} {lo} {hi}" for x, m, lo, hi in rows) + "\nEND")
            plots.append(f"$d{n} using 1:2:3:4 with yerrorlines lw 2 pt 7 ps 0.6 "
                         f"lc '{COLOURS[n % len(COLOURS)]}' title {quoted(label)}")
    else:
        width = len(data) + 1
        ticks = ", ".join(f"{quoted(x)} {i * width + (len(data) - 1) / 2}" for i, x in enumerate(points))
        lines += [f"set xtics ({ticks})", "set boxwidth 0.85", "set style fill solid 0.85",
                  f"set xrange [-1:{len(points) * width - 1}]"]
        for n, (label, rows) in enumerate(data.items()):
            blocks.append(f"$d{n} << END\n" + "\n".join(
                f"{points.index(x) * width + n} {m} {lo} {hi}" for x, m, lo, hi in rows) + "\nEND")
            plots.append(f"$d{n} using 1:2:3:4:(0.85) with boxerrorbars lc '{COLOURS[n % len(COLOURS)]}' "
                         f"title {quoted(label)}")
    return "\n".join(blocks + lines + ["plot " + ", ".join(plots)]) + "\n"


def draw(out, bench, rounds):
    """Writes the plots of a bench; [(file, alternative text)]. Without gnuplot those of before stay."""
    made = []
    for p in bench.plots:
        data = series(p, bench, rounds)
        file = f"{p.name}.svg"
        path = os.path.join(out, "benchmarks", file)
        if data and shutil.which("gnuplot"):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            subprocess.run(["gnuplot"], input=script(p, bench, data, path), text=True, check=True)
        if os.path.exists(path):
            made.append((file, p.title))
    return made
