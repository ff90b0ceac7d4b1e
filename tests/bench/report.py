"""report.py - from the figures of docs/benchmarks/NAME.json to the tables and verdicts of the page."""
import json
import os
import statistics

import lab as L
import page
import plot

NEAR = 0.93  # a median this near passes where the spread reaches the goal: limits.md, 0, on noise


def column(values, digits, unit):
    values = [v for v in values if v is not None]
    if not values:
        return "–"
    return L.spread(values, digits) + unit if len(values) > 1 else f"{values[0]:.{digits or 2}f}{unit}"


def table(bench, rounds):
    """Median (least–greatest) of every cell, and how ours compares within a round."""
    labels = []
    for r in rounds:
        for cells in r.values():
            labels += [label for label in cells if label not in labels]
    points = [str(p) for p in bench.points if any(str(p) in r for r in rounds)]
    ours = labels[0]
    compare = f"this / {ours}" if bench.less else f"{ours} / this"
    head = [bench.point_head, "switch", *(c.head for c in bench.columns)]
    head += [compare] if len(labels) > 1 else []
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for point in points:
        for label in labels:
            cells = [(r[point][label], r[point].get(ours)) for r in rounds
                     if label in r.get(point, {})]
            if not cells:
                continue
            row = [point, label]
            row += [column([c.value(cell) for cell, _ in cells], c.digits, c.unit) for c in bench.columns]
            if len(labels) > 1:
                pairs = [(bench.rate(a), bench.rate(b)) for a, b in cells if b]
                if bench.less:
                    pairs = [(b, a) for a, b in pairs]
                ratios = [b / a for a, b in pairs if a]
                row.append("" if label == ours else L.spread(ratios, 2) if ratios else "–")
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def judge(goal, rounds):
    """{line, what, goal, median, least, greatest, rounds, verdict}"""
    values = []
    for r in rounds:
        try:
            values.append(goal.value(r))
        except (KeyError, TypeError, ZeroDivisionError):
            continue
    out = {"line": goal.line, "what": goal.what, "goal": goal.goal, "most": goal.most,
           "unit": goal.unit, "rounds": len(values)}
    if not values:
        return {**out, "verdict": "not measured"}
    mid, low, high = statistics.median(values), min(values), max(values)
    if goal.most:
        passed = mid <= goal.goal or (mid * NEAR <= goal.goal and low <= goal.goal)
        clear = mid <= goal.goal
    else:
        passed = mid >= goal.goal or (mid >= NEAR * goal.goal and high >= goal.goal)
        clear = mid >= goal.goal
    verdict = ("reached" if clear else "within the spread") if passed else "missed"
    return {**out, "median": mid, "least": low, "greatest": high, "verdict": verdict}


def figure(x):
    return f"{x:.3g}" if abs(x) < 1000 else f"{x:.0f}"


def verdict_rows(judged):
    rows = []
    for v in judged:
        sign, unit = "≤" if v["most"] else "≥", v["unit"]
        unit = unit if unit == "×" else f" {unit}"
        got = ""
        if "median" in v:
            got = f'{figure(v["median"])} ({figure(v["least"])}–{figure(v["greatest"])})'
        rows.append(f'| {v["line"]} | {v["what"]} | {sign} {figure(v["goal"])}{unit} | {got} | '
                    f'{v["rounds"]} | {v["verdict"]} |')
    return rows


GOAL_HEAD = ["| | what | goal | median (least–greatest) | rounds | |", "|---|---|---|---|---|---|"]


def section(lab, bench, data):
    """The bench's part of the page: its table, its plots, where and when it was measured."""
    rounds = data["rounds"]
    parts = [data["what"], table(bench, rounds)]
    for file, alt in plot.draw(lab.out, bench, rounds):
        parts.append(f"![{alt}](benchmarks/{file})")
    missing = data.get("absent") or {}
    if missing:
        parts.append("Not measured: " + "; ".join(f"{k}: {v}" for k, v in missing.items()) + ".")
    if bench.note:
        parts.append(bench.note)
    parts.append(f"{len(rounds)} rounds of {data['seconds_per_cell']:g} s a cell, {data['date']}, commit "
                 f"{data['commit']}, Linux {data['kernel']}, {data['machine']}: `{data['command'].strip()}`")
    return "\n\n".join(parts)


def load(lab, bench):
    try:
        with open(os.path.join(lab.out, "benchmarks", f"{bench.name}.json"), encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return None


def save(lab, bench, data):
    os.makedirs(os.path.join(lab.out, "benchmarks"), exist_ok=True)
    with open(os.path.join(lab.out, "benchmarks", f"{bench.name}.json"), "w", encoding="utf-8") as f:
        json.dump(data, f, indent=1)
        f.write("\n")


def instructions(lab):
    """What instr.sh counted, as the one round it takes."""
    try:
        with open(os.path.join(lab.out, "benchmarks", "instr.json"), encoding="utf-8") as f:
            return [json.load(f)]
    except FileNotFoundError:
        return []


def write_page(lab, benches):
    """Every section that has figures, and the table of goals from all of them. Returns the judged."""
    judged = []
    for bench in benches:
        data = load(lab, bench)
        rounds = data["rounds"] if data else []
        judged += [judge(g, rounds) for g in bench.goals]
        if rounds:
            page.write(lab.out, bench.name, section(lab, bench, data))
    judged += [judge(g, instructions(lab)) for g in (
        L.Goal("5", "instructions of a 60-byte frame, native to native", 120, L.field("native-native"), most=True,
               unit="instructions"),
        L.Goal("6", "instructions of a frame to one of 512 ports / of 2", 1.3,
               lambda r: r["native-crowd"] / r["native-native"], most=True))]
    judged.sort(key=lambda v: v["line"])
    page.write(lab.out, "goals", "\n".join(GOAL_HEAD + verdict_rows(judged)))
    return judged
