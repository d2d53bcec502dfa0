"""What counts as a mutation that was caught."""

import tempfile
import unittest
from pathlib import Path

import mutate

CONSOLE = """KTAP version 1
1..2
  TAP version 13
  ok 1 signal.forged
  not ok 2 signal.groups
  not ok 3 held.pidfd.name_is_free
  ok 4 restore.pid_max # SKIP no pid_max
not ok 1 signal_test
"""


class Mutate(unittest.TestCase):
    def test_outcomes(self) -> None:
        self.assertEqual(
            mutate.outcomes(CONSOLE.replace("\n", "\r\n")),
            {"signal.forged": True, "signal.groups": False, "held.pidfd.name_is_free": False},
        )

    def test_no_end(self) -> None:
        begun = "  #  RUN           restore.pid_max ...\n  #  RUN           held.pidfd.hangs ...\n"
        seen = mutate.outcomes(CONSOLE + begun)
        self.assertEqual([seen.get("held.pidfd.hangs"), seen.get("restore.pid_max")], [False, None])

    def test_caught_only_if_all_fail(self) -> None:
        batch = [
            {"name": "caught", "fails": ["signal.groups", "held.pidfd.name_is_free"]},
            {"name": "half", "fails": ["signal.groups", "signal.forged"]},
            {"name": "did not run", "fails": ["restore.pid_max"]},
        ]
        missing = [names for _, names in mutate.judge(batch, mutate.outcomes(CONSOLE))]
        self.assertEqual(missing, [[], ["signal.forged"], ["restore.pid_max (not run)"]])

    def test_nothing_ran(self) -> None:
        self.assertEqual(mutate.judge([{"name": "x", "fails": ["a.b"]}], mutate.outcomes("")), [({"name": "x", "fails": ["a.b"]}, ["a.b (not run)"])])

    def test_line_is_not_there(self) -> None:
        mutation = {"name": "x", "file": "f", "old": "gone", "new": ""}
        self.assertEqual(mutate.mutate("a gone b gone", mutation), "a  b ")
        with self.assertRaises(SystemExit):
            mutate.mutate("something else", mutation)

    def test_table(self) -> None:
        names = [m["name"] for m in mutate.load()]
        self.assertEqual(len(names), len(set(names)))

    def test_bad_table(self) -> None:
        good = '[[mutation]]\nname = "n"\nbatch = "b"\nfile = "f"\nold = "o"\nnew = ""\nfails = ["a.b"]\n'
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "t.toml"
            path.write_text(good, encoding="utf-8")
            self.assertEqual(len(mutate.load(path)), 1)
            for bad in (good.replace('["a.b"]', "[]"), good.replace('new = ""', 'new = "o"'), good.replace("batch", "batsch")):
                path.write_text(bad, encoding="utf-8")
                with self.assertRaises(SystemExit):
                    mutate.load(path)
