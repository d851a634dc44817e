#!/usr/bin/env python3
"""test_compat.py - does compat judge right? A suite of its own making, whose answers are known"""
import html.parser
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import sys
import tempfile
import unittest
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.environ["GTHREAD_COMPAT_WORK"] = tempfile.mkdtemp()
loader = importlib.machinery.SourceFileLoader("compat", str(HERE / "compat"))
compat = importlib.util.module_from_spec(importlib.util.spec_from_loader("compat", loader))
loader.exec_module(compat)
import charts
import report
import work


class FakeSuite:
    """Answers from a list, one for each try."""
    name, selects = "fake", True

    def __init__(self, answers):
        self.answers = answers

    def run(self, library, folder, only=None):
        results = self.answers.pop(0)
        return {t: w for t, w in results.items() if only is None or t in only}, 1.0


class Judging(unittest.TestCase):
    def setUp(self):
        compat.HERE = pathlib.Path(tempfile.mkdtemp())
        (compat.HERE / "baseline").mkdir()
        (compat.HERE / "baseline" / "fake.tsv").write_text(
            "# a comment\na\tPASS\nb\tPASS\nc\tPASS\nd\tFAIL\ne\tPASS\nf\tPASS\n")
        (compat.HERE / "known.tsv").write_text("fake\te*\tissue 9\nfake\tf\tissue 10\n")
        (compat.HERE / "flaky.tsv").write_text("fake\tc\t3 of 20 on NPTL\n")

    def judge(self, *answers):
        return compat.judge_suite(FakeSuite(list(answers)), None)

    def test_all_hold(self):
        r = self.judge({"a": "PASS", "b": "PASS", "c": "FAIL", "d": "FAIL", "e": "PASS", "f": "PASS"})
        self.assertEqual((r["judged"], r["regressions"], r["known"]), (4, {}, {}))
        self.assertEqual(r["gone"], ["f"])

    def test_lost_in_two_of_three(self):
        first = {"a": "TIMEOUT", "b": "FAIL", "e": "FAIL", "f": "PASS"}
        r = self.judge(first, {"a": "FAIL", "b": "PASS", "e": "FAIL"}, {"b": "FAIL"})
        self.assertEqual(r["regressions"], {"a": "TIMEOUT", "b": "FAIL"})
        self.assertEqual(r["known"], {"e": ("FAIL", "issue 9")})

    def test_failed_once_only(self):
        first = {"a": "FAIL", "b": "PASS", "e": "PASS", "f": "PASS"}
        r = self.judge(first, {"a": "PASS"}, {"a": "PASS"})
        self.assertEqual(r["regressions"], {})

    def test_absent_is_a_failure(self):
        r = self.judge({"b": "PASS", "e": "PASS", "f": "PASS"}, {}, {})
        self.assertEqual(r["regressions"], {"a": "ABSENT"})

    def test_a_bad_table_is_said(self):
        (compat.HERE / "known.tsv").write_text("two\tcolumns\n")
        with self.assertRaises(SystemExit) as end:
            self.judge({}, {}, {})
        self.assertEqual(end.exception.code, 125)


class Tap(unittest.TestCase):
    def test_words(self):
        for log, status, word in (("1..2\nok 1\nok 2\n", 0, "PASS"), ("ok 1\n1..1\n", 0, "PASS"),
                                  ("1..2\nok 1\nnot ok 2\n", 0, "FAIL"), ("1..2\nok 1\n", 0, "INCOMPLETE"),
                                  ("1..2\nok 1\nok 2\n", 1, "FAIL"), ("1..0 # SKIP none\n", 0, "SKIP"),
                                  ("1..2\nok 1\nnot ok 2 # TODO later\n", 0, "PASS"), ("", 0, "INCOMPLETE")):
            self.assertEqual(work.tap(status, log), word, log)


class Running(unittest.TestCase):
    def test_ends(self):
        folder = pathlib.Path(tempfile.mkdtemp())
        tests = [work.Test("good", ["true"], folder), work.Test("bad", ["sh", "-c", "exit 3"], folder),
                 work.Test("killed", ["sh", "-c", "kill -9 $$"], folder), work.Test("slow", ["sleep", "60"], folder, 0.3),
                 work.Test("none", ["/nowhere/program"], folder)]
        results, _ = work.run_tests(tests, None, folder / "logs", 2, "test")
        self.assertEqual(results, {"good": "PASS", "bad": "STATUS3", "killed": "SIGNAL9", "slow": "TIMEOUT",
                                   "none": "CANNOT-RUN No such file or directory"})


class Report(unittest.TestCase):
    passed = {"about": "x", "word": "PASS", "why": "", "unit": "ops/s", "tries": 2, "bad": 0,
              "ratios": {"figure": [2.0, 1.9, 2.1], "cpu": [1, 1, 1]}, "nptl": {"kernel_threads": 9.0, "peak_bytes": 2.5e6},
              "gthread": {"kernel_threads": 5.0, "peak_bytes": 3e8}}
    failed = {"about": "<y>", "word": "FAIL", "why": "a & b", "tries": 2, "bad": 1}
    suite = {"about": "s", "judged": 3, "not_judged": 1, "seconds": 2.0, "regressions": {"t<1>": "FAIL"},
             "known": {"k": ("FAIL", "why")}, "gone": ["g"]}

    def data(self, **programs):
        return {"date": "d", "commit": "c", "machine": "m", "pairs": 2, "seconds": 1, "programs": programs,
                "suites": {"s": self.suite}}

    def test_page_is_whole_and_loads_nothing(self):
        page = report.page(self.data(one=self.passed, two=self.failed), self.data(one=self.passed))
        tags = []

        class Parser(html.parser.HTMLParser):
            def handle_starttag(self, tag, attrs):
                tags.append(tag)
                for name, value in attrs:
                    assert name not in ("src", "href"), (tag, name, value)
        Parser().feed(page)
        self.assertIn("table", tags)
        self.assertNotIn("<y>", page)
        self.assertIn("a &amp; b", page)
        self.assertIn("t&lt;1&gt;", page)

    def test_figures_are_those_of_the_json(self):
        data = json.loads(json.dumps(self.data(one=self.passed, two=self.failed)))
        found = []

        class Parser(html.parser.HTMLParser):
            at = None

            def handle_starttag(self, tag, attrs):
                self.at = dict(attrs) if tag == "data" else None

            def handle_data(self, shown):
                if self.at:
                    found.append((self.at["data-of"], self.at["value"], shown))
                self.at = None
        Parser().feed(report.page(data, None))
        for path, value, shown in found:
            there = data
            for key in map(urllib.parse.unquote, path.split("/")):
                there = there[int(key) if isinstance(there, list) else key]
            self.assertEqual(str(there), value, path)
            scale = 1e6 if path.endswith("peak_bytes") else 1
            self.assertAlmostEqual(float(shown), there / scale, delta=abs(there / scale) * 0.01 + 0.5, msg=path)
        for path in ("programs/one/ratios/figure/0", "programs/one/gthread/peak_bytes", "programs/one/nptl/kernel_threads",
                     "suites/s/judged"):
            self.assertIn(path, [f[0] for f in found])

    def test_history(self):
        entries = [report.entry_of(self.data(one=p)) for p in (self.passed, self.failed, self.passed)]
        self.assertEqual(report.rates_of("one", entries), [2.0, None, 2.0])
        page = report.page(self.data(one=self.passed), None, entries)
        self.assertIn("2.00, failed, 2.00", page)
        self.assertIn("class=failed", page)
        self.assertEqual(report.rates_of("other", entries), [])
        self.assertNotIn("class=history", report.page(self.data(one=self.passed), None, entries[:1]))

    def test_drawings(self):
        self.assertEqual([charts.tone(1.3, 2), charts.tone(0.5, 0.7), charts.tone(0.7, 1.4)], ["good", "bad", "same"])
        places = [charts.place(r) for r in (0.001, 0.5, 1, 2, 1000)]
        self.assertEqual(places, sorted(places))
        self.assertEqual((places[0], places[2], places[4]), (-1, 0, 1))

    def test_changes(self):
        slower = dict(self.passed, ratios={"figure": [1.0, 0.9, 1.1]})
        self.assertEqual([k for k, _ in report.changes(self.data(one=slower), self.data(one=self.passed))], ["bad"])
        self.assertEqual([k for k, _ in report.changes(self.data(one=self.passed), self.data(one=self.failed))], ["good"])
        near = dict(self.passed, ratios={"figure": [1.7, 1.6, 1.8]})
        self.assertEqual(report.changes(self.data(one=near), self.data(one=self.passed)), [])
        self.assertEqual(report.changes(self.data(one=self.passed), None), [])
        without = dict(self.data(), suites={"s": dict(self.suite, regressions={}, known={})})
        self.assertEqual(sorted(report.changes(self.data(), without)),
                         [("bad", "s: k is lost"), ("bad", "s: t<1> is lost")])


if __name__ == "__main__":
    unittest.main()
