"""What `make same` takes for the same, for unstable, and for a difference."""

import json
import tempfile
import unittest
from pathlib import Path

import same

OUTPUT = """TAP version 13
1..4
# a note
ok 1 global.pid 4711 is at 0xdeadbeef
not ok 2 a.b
ok 3 # SKIP no such thing
ok 4 - d # XFAIL later
    ok 1 of a subtest
[   12.3] ok is not a result in here
"""
BASE, NEW, IN, NS = ("pristine", "default"), ("patched", "default"), ("patched", "container"), ("patched", "pidns")


class Parse(unittest.TestCase):
    def test_lines(self) -> None:
        self.assertEqual(same.parse(1, OUTPUT), {
            "exit status": "1",
            "1": "ok global.pid N is at N",
            "2": "not ok a.b",
            "3": "skip",
            "4": "xfail",
            "1/2": "ok of a subtest",
        })

    def test_without_numbers(self) -> None:
        self.assertEqual(same.parse(0, "ok\nok\n"), {"exit status": "0", "-": "ok", "-/2": "ok"})

    def test_disk(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            disk = Path(directory) / "disk"
            disk.write_bytes(json.dumps({"a:b": [{"exit": "timeout", "output": "ok 1 x\n"}]}).encode() + bytes(100))
            self.assertEqual(same.load(disk), {"a:b": [{"exit status": "timeout", "1": "ok x"}]})
            disk.write_bytes(bytes(100))
            self.assertEqual(same.load(disk), {})


class Compare(unittest.TestCase):
    def compare(self, first: dict, again: dict, left: tuple = BASE, right: tuple = NEW,
                pristine: tuple = BASE, allowed: str = "") -> same.Verdict:
        """first, again: what the line 1 of a:b ends with in each place"""
        self.booted: list = []

        def boot(kernel: str, mode: str, times: int, programs: list[str]) -> same.Runs:
            self.booted.append((kernel, mode))
            self.assertEqual(programs, ["a:b"])
            return {"a:b": [{"1": result} for result in again[(kernel, mode)]]}

        runs = {place: {"a:b": [{"1": result}], "a:c": [{"1": "ok"}]} for place, result in first.items()}
        return same.compare(boot, left, right, pristine, runs, same.read_allowed(allowed))

    def test_same_is_not_run_again(self) -> None:
        verdict = self.compare({BASE: "ok", NEW: "ok"}, {})
        self.assertEqual((verdict.same, verdict.faults, self.booted), (2, [], []))

    def test_different(self) -> None:
        verdict = self.compare({BASE: "ok", NEW: "not ok"}, {BASE: ["ok"] * 3, NEW: ["not ok"] * 3})
        self.assertEqual((verdict.same, len(verdict.faults)), (1, 1))
        self.assertEqual(str(verdict.faults[0]), "a:b 1: ok (4x) -> not ok (4x)")

    def test_different_once(self) -> None:
        verdict = self.compare({BASE: "ok", NEW: "not ok"}, {BASE: ["ok"] * 4, NEW: ["ok"] * 4})
        self.assertEqual((len(verdict.unstable), verdict.faults), (1, []))

    def test_different_often(self) -> None:
        """Results in common, and still too uneven for chance."""
        verdict = self.compare({BASE: "ok", NEW: "not ok"}, {BASE: ["ok"] * 7, NEW: ["not ok"] * 6 + ["ok"]})
        self.assertEqual((verdict.unstable, len(verdict.faults)), ([], 1))

    def test_fisher(self) -> None:
        self.assertAlmostEqual(same.fisher(3, 1, 1, 3), 0.4857, 4)
        self.assertAlmostEqual(same.fisher(8, 0, 1, 7), 0.0014, 4)
        self.assertEqual(same.fisher(5, 0, 5, 0), 1)

    def test_unstable_before_as_well(self) -> None:
        verdict = self.compare({BASE: "ok", NEW: "not ok"}, {BASE: ["ok", "not ok", "ok"], NEW: ["not ok"] * 3})
        self.assertEqual((len(verdict.unstable), verdict.faults), (1, []))

    def test_a_line_that_is_gone(self) -> None:
        left: same.Runs = {"a:b": [{"1": "ok", "2": "ok"}]}
        right: same.Runs = {"a:b": [{"1": "ok"}]}
        self.assertEqual([str(d) for d in same.differences(left, right)], ["a:b 2: ok -> (no such line)"])
        self.assertEqual(len(same.differences(left, {})), 2)

    def test_allowed(self) -> None:
        place = ("pristine", "pidns")
        again = {place: ["ok"] * 3, NS: ["ok"] * 3, IN: ["not ok"] * 3}
        for allowed, faults in (("a:*\t1\tfor a reason\n", 0), ("a:b\t2\tfor a reason\n", 1), ("", 1)):
            with self.subTest(allowed=allowed):
                verdict = self.compare({NS: "ok", IN: "not ok"}, again, NS, IN, place, allowed)
                self.assertEqual((len(verdict.faults), len(verdict.allowed)), (faults, 1 - faults))
        # What a pid namespace has on the pristine kernel counts with it.
        again[NS] = ["ok", "not ok", "ok"]
        again[place] = ["ok"] * 9
        verdict = self.compare({NS: "ok", IN: "not ok"}, again, NS, IN, place)
        self.assertEqual((len(verdict.faults), verdict.unstable), (1, []))

    def test_allowed_needs_a_reason(self) -> None:
        with self.assertRaises(SystemExit):
            same.read_allowed("a:b\t1\n")
