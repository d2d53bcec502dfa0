"""Objects are compared by what is loaded: which changes are seen, and which are none."""

import subprocess
import unittest
from pathlib import Path

import kbuild
from fixture import SourceTree, temporary
from loaded import differing, sections

# clang's targets: 32 and 64 bits, both byte orders, REL and RELA, MIPS with three types
# in one relocation.
TARGETS = ("x86_64-linux-gnu", "i386-linux-gnu", "aarch64-linux-gnu", "arm-linux-gnueabi",
           "powerpc64le-linux-gnu", "s390x-linux-gnu", "mips64-linux-gnuabi64",
           "riscv64-linux-gnu", "sparc64-linux-gnu")
SOURCE = """
struct task { int flags; int pid; };
extern int one(int), two(int);
static int counter = 5;
static char buffer[100];
static int last(struct task *t) { return t->pid; }
const char *name(void) { return "a name"; }
int first(struct task *t)
{
	buffer[one(3)] = counter++;
	return one(last(t)) + buffer[two(1)];
}
"""


class Compiled(unittest.TestCase):
    def setUp(self) -> None:
        self.top = temporary(self)
        self.count = 0

    def compile(self, text: str, target: str, *flags: str) -> Path:
        """An object of a text."""
        self.count += 1
        path = self.top / f"{self.count}.o"
        subprocess.run([f"clang-{kbuild.LLVM}", f"--target={target}", "-O2", *flags, "-c",
                        "-x", "c", "-", "-o", path], input=text, text=True, check=True)
        return path

    def change(self, old: str, new: str, *flags: str) -> dict[str, list[str]]:
        """Which sections differ after a change, by target."""
        self.assertIn(old, SOURCE)
        return {t: differing(self.compile(SOURCE, t, *flags),
                             self.compile(SOURCE.replace(old, new), t, *flags)) for t in TARGETS}

    def assert_seen(self, found: dict[str, list[str]], pattern: str) -> None:
        for target, names in found.items():
            self.assertTrue(any(pattern in name for name in names), f"{target}: {names}")

    def assert_same(self, found: dict[str, list[str]]) -> None:
        self.assertEqual(found, dict.fromkeys(TARGETS, []))

    def test_an_accessor_is_the_same(self) -> None:
        self.assert_same(self.change(
            "static int last(struct task *t) { return t->pid; }",
            "static inline int nr(const struct task *t) { return t->pid; }\n"
            "static int last(struct task *t) { return nr(t); }"))

    def test_another_member(self) -> None:
        self.assert_seen(self.change("t->pid;", "t->flags;"), ".text")

    def test_another_function_is_called(self) -> None:
        # The bytes are the same, where they lead is not.
        self.assert_seen(self.change("return one(", "return two("), ".text")

    def test_data(self) -> None:
        self.assert_seen(self.change("counter = 5", "counter = 6"), "data")

    def test_zeroed_data(self) -> None:
        self.assert_seen(self.change("buffer[100]", "buffer[200]"), "bss")

    def test_text_of_a_string(self) -> None:
        self.assert_seen(self.change("a name", "a nome"), ".rodata")

    def test_a_section_more(self) -> None:
        self.assert_seen(self.change(
            "extern int one", '__attribute__((section("more"), used)) static int further;\nextern int one'),
            "more")

    def test_names_of_local_labels(self) -> None:
        self.assert_same(self.change("static int counter = 5;\nstatic char buffer[100];",
                                     "static int tally = 5;\nstatic char space[100];\n"
                                     "#define counter tally\n#define buffer space"))

    def test_debug_information_is_not_loaded(self) -> None:
        self.assert_same(self.change("\nstruct task", "\n\n\nstruct task", "-g"))

    def test_line_numbers_are(self) -> None:
        text = SOURCE.replace("one(3)", "one(__LINE__)")
        for target in TARGETS:
            before = self.compile(text, target)
            self.assertTrue(differing(before, self.compile(f"\n\n{text}", target)), target)
            fixed = [self.compile(t, target, "-Wno-builtin-macro-redefined", "-D__LINE__=1")
                     for t in (text, f"\n\n{text}")]
            self.assertEqual(differing(*fixed), [], target)

    def test_sections_and_relocations_are_found(self) -> None:
        for target in TARGETS:
            found = sections(self.compile(SOURCE, target))
            self.assertTrue(any(isinstance(c, bytes) and c for c in found[".text"]), target)
            relocations = [r for contents in found.values() for c in contents
                           if isinstance(c, list) for r in c]
            self.assertIn("one", [meaning for meaning, _ in relocations] +
                          [meaning[0] for meaning, _ in relocations], target)


class Users(SourceTree):
    def test_all_that_include_it(self) -> None:
        self.write("kernel/b.c", "#include <linux/thing.h>\n")
        self.write("fs/a.c", "#include <linux/thing.h>\n")
        self.write("fs/other.c", "#include <linux/other_thing.h>\n")
        self.write("lib/no.c", "#include <linux/thing.h>\n")
        self.assertEqual(kbuild.users(self.tree, "include/linux/thing.h"), ["fs/a.c", "kernel/b.c"])

    def test_who_makes_the_tracepoints(self) -> None:
        self.write("kernel/a.c", "#include <trace/events/thing.h>\n")
        self.write("kernel/trace.c", "#define CREATE_TRACE_POINTS\n#include <trace/events/thing.h>\n")
        self.assertEqual(kbuild.users(self.tree, "include/trace/events/thing.h"), ["kernel/trace.c"])

    def test_a_header_beside_its_users(self) -> None:
        self.write("drivers/x/x.h", "")
        self.write("drivers/x/one.c", '#include "x.h"\n')
        self.write("drivers/y/one.c", '#include "x.h"\n')
        self.assertEqual(kbuild.users(self.tree, "drivers/x/x.h"), ["drivers/x/one.c"])


class Failures(unittest.TestCase):
    LOG = """  CC      kernel/fork.o
  CC      kernel/pid.o
../kernel/pid.c: In function 'f':
../kernel/pid.c:3:5: warning: unused variable 'error: no'
../kernel/pid.c:4:5: error: 'x' undeclared
../kernel/pid.c:5:5: error: 'y' undeclared
make[3]: *** [../scripts/Makefile.build:289: kernel/pid.o] Error 1
  CC      kernel/exit.o
../kernel/exit.c:9:10: fatal error: no.h: No such file or directory
make[3]: *** [../scripts/Makefile.build:289: kernel/exit.o] Error 1
make[2]: *** [../scripts/Makefile.build:548: kernel] Error 2
"""

    def test_the_first_error_of_each(self) -> None:
        found = kbuild.failures(self.LOG)
        self.assertEqual(found["kernel/pid.o"], "error: 'x' undeclared")
        self.assertEqual(found["kernel/exit.o"], "error: no.h: No such file or directory")
        self.assertNotIn("kernel/fork.o", found)
        # What another target said is not its reason.
        self.assertEqual(found["kernel"], "it failed")
