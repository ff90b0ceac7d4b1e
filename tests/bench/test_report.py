"""test_report.py - what is made of figures: verdicts, tables, the page. Measures nothing."""
import os
import re
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
import bench
import lab as L
import page
import report


def verdict(values, goal, most=False):
    g = L.Goal("1", "something", goal, L.field("v"), most=most)
    return report.judge(g, [{"v": v} for v in values])["verdict"]


class Verdicts(unittest.TestCase):
    def test_the_median_counts(self):
        self.assertEqual(verdict([0.1, 2.0, 2.1], 2), "reached")
        self.assertEqual(verdict([3, 1, 1], 2), "missed")

    def test_near_is_enough_where_a_round_reached_it(self):
        self.assertEqual(verdict([0.5, 0.94, 1.0], 1), "within the spread")
        self.assertEqual(verdict([0.5, 0.94, 0.99], 1), "missed")
        self.assertEqual(verdict([0.5, 0.92, 1.5], 1), "missed")

    def test_of_an_upper_bound_less_is_better(self):
        self.assertEqual(verdict([1, 2, 30], 2, most=True), "reached")
        self.assertEqual(verdict([1.9, 2.1, 30], 2, most=True), "within the spread")
        self.assertEqual(verdict([2.1, 2.1, 30], 2, most=True), "missed")
        self.assertEqual(verdict([1, 2.2, 2.2], 2, most=True), "missed")

    def test_what_is_missing_is_said(self):
        g = L.Goal("1", "something", 1, L.ratio("60", L.field("v"), "a", "b"))
        rounds = [{"60": {"a": {"v": 1}}}, {}, {"60": {"a": {"v": 1}, "b": {"v": 0}}}]
        self.assertEqual(report.judge(g, rounds)["verdict"], "not measured")
        rounds.append({"60": {"a": {"v": 3}, "b": {"v": 2}}})
        judged = report.judge(g, rounds)
        self.assertEqual((judged["median"], judged["rounds"]), (1.5, 1))


class Tables(unittest.TestCase):
    def table(self, less):
        b = L.Bench("x", "", [60], None, L.field("v"), [L.Column("v", L.field("v"))], less=less)
        rounds = [{"60": {"ours": {"v": 2.0}, "theirs": {"v": 1.0}}}, {"60": {"ours": {"v": 9.0}, "theirs": {"v": 3.0}}}]
        return report.table(b, rounds).splitlines()

    def test_ratios_are_taken_within_a_round(self):
        self.assertIn("| 2.50 (2.00–3.00) |", self.table(False)[3])

    def test_where_less_is_better_the_ratio_is_of_the_other(self):
        self.assertIn("this / ours", self.table(True)[0])
        self.assertIn("| 0.42 (0.33–0.50) |", self.table(True)[3])


class Page(unittest.TestCase):
    def test_a_section_is_replaced_where_it_stands(self):
        with tempfile.TemporaryDirectory() as dir:
            path = os.path.join(dir, "benchmarks.md")
            with open(path, "w", encoding="utf-8") as f:
                f.write("before\n<!-- bench:a -->\nold\n<!-- /bench:a -->\nafter\n")
            page.write(dir, "a", "new \\1\n")
            with open(path, encoding="utf-8") as f:
                self.assertEqual(f.read(), "before\n<!-- bench:a -->\nnew \\1\n<!-- /bench:a -->\nafter\n")

    def test_every_bench_has_its_place(self):
        with open(os.path.join(L.ROOT, "docs", "benchmarks.md"), encoding="utf-8") as f:
            places = re.findall(r"<!-- bench:(\S+) -->", f.read())
        self.assertEqual(sorted(places), sorted([*bench.NAMES, "goals", "instr"]))
        files = {f[:-3] for f in os.listdir(os.path.join(bench.HERE, "benches")) if f.endswith(".py")}
        self.assertEqual(files - {"__init__"}, set(bench.NAMES))
        for b, name in zip(bench.benches(bench.NAMES), bench.NAMES):
            self.assertEqual(b.name, name)
            self.assertEqual(len({p.name for p in b.plots}), len(b.plots))

    def test_nothing_of_this_machine_is_in_a_command(self):
        self.assertEqual(bench.shown(["--build", "/here/build", "--rounds", "3", "--out=/there", "--against", "/x/fethd", "--netns", "fdb"]),
                         ["--rounds", "3", "--against OTHER/fethd", "fdb"])


if __name__ == "__main__":
    unittest.main()
