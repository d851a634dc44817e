#!/usr/bin/env python3
"""test_compat.py - does compat judge right? A suite of its own making, whose answers are known"""
import html.parser
import importlib.machinery
import importlib.util
import os
import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.environ["GTHREAD_COMPAT_WORK"] = tempfile.mkdtemp()
loader = importlib.machinery.SourceFileLoader("compat", str(HERE / "compat"))
compat = importlib.util.module_from_spec(importlib.util.spec_from_loader("compat", loader))
loader.exec_module(compat)
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
              "ratios": {"figure": [2.0, 1.9, 2.1], "cpu": [1, 1, 1]}, "nptl": {"kernel_threads": 9.0},
              "gthread": {"kernel_threads": 5.0}}
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
