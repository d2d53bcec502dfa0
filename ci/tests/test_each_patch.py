"""Every patch builds on its own: what counts as a warning, and what a patch makes be compiled."""

import unittest
from pathlib import Path
from unittest import mock

import each_patch
from fixture import temporary

LOG = f"""  CC      kernel/pid.o
../kernel/pid.c:12:5: warning: unused variable 'x' [-Wunused-variable]
   12 |         int x;
      |             ^
{each_patch.SRC}/kernel/fork.c:7: warning: "BIT" redefined
Warning: ../kernel/exit.c:44 function parameter 'p' not described in 'wait_it'
warning: unused import: `crate::sync`
 --> kernel/pidspace/lib.rs:3:5
  |
warning: 1 warning emitted
ld.lld: warning: something of no file
"""


class Warnings(unittest.TestCase):
    def test_by_file_without_lines(self) -> None:
        self.assertEqual(each_patch.warnings(LOG), {
            "kernel/pid.c": {"warning: unused variable 'x' [-Wunused-variable]"},
            "kernel/fork.c": {'warning: "BIT" redefined'},
            "kernel/exit.c": {"function parameter 'p' not described in 'wait_it'"},
            "kernel/pidspace/lib.rs": {"warning: unused import: `crate::sync`"},
        })


class Build:
    """Stands in for a compiler: what it says of a tree, given by a function."""

    compiler, rust = "clang", False

    def __init__(self, out: Path, say) -> None:  # type: ignore[no-untyped-def]
        self.out, self.say, self.configured = out, say, 0

    def configure(self) -> None:
        self.configured += 1
        (self.out / ".config").touch()

    def compile(self, targets: list[str]):  # type: ignore[no-untyped-def]
        return each_patch.Result("", *self.say((each_patch.SRC / "kernel/pid.c").read_text(), targets))


class Check(unittest.TestCase):
    """A patch of one line, on a tree of one file."""

    def setUp(self) -> None:
        self.top = temporary(self)
        for name in ("src/kernel", "out", "patches"):
            (self.top / name).mkdir(parents=True)
        (self.top / "src/kernel/pid.c").write_text("new\n")
        (self.top / "patches/one.patch").write_text(
            "--- a/kernel/pid.c\n+++ b/kernel/pid.c\n@@ -1 +1 @@\n-old\n+new\n")
        for name, value in (("SRC", self.top / "src"), ("ROOT", self.top), ("WORK", self.top)):
            patcher = mock.patch.object(each_patch, name, value)
            patcher.start()
            self.addCleanup(patcher.stop)

    def check(self, say) -> tuple[int, list[str]]:  # type: ignore[no-untyped-def]
        found = each_patch.check(Build(self.top / "out", say), "one.patch", ["kernel/pid.o"])
        self.assertEqual((self.top / "src/kernel/pid.c").read_text(), "new\n")
        return found  # type: ignore[no-any-return]

    def test_nothing_is_wrong(self) -> None:
        self.assertEqual(self.check(lambda text, targets: ({}, {})), (1, []))

    def test_it_does_not_compile(self) -> None:
        self.assertEqual(self.check(lambda text, targets: ({targets[0]: "no"} if text == "new\n" else {}, {})),
                         (0, ["clang: kernel/pid.o: no"]))

    def test_it_did_not_compile_before(self) -> None:
        self.assertEqual(self.check(lambda text, targets: ({targets[0]: "no"}, {})), (0, []))

    def test_a_new_warning(self) -> None:
        self.assertEqual(self.check(
            lambda text, targets: ({}, {"kernel/pid.c": {"old", text.strip()}})),
            (1, ["clang: kernel/pid.c: new"]))

    def test_a_warning_of_another_file(self) -> None:
        self.assertEqual(self.check(lambda text, targets: ({}, {"kernel/fork.c": {text}})), (1, []))
