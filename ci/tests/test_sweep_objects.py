"""make sweep-objects: what is compiled for a touched file, and what a row says."""

import subprocess
import unittest
from unittest import mock

import kbuild
import sweep_objects
from fixture import SourceTree, temporary

ONE, TWO = "movl $1, %eax", "movl $2, %ecx"


class Row(unittest.TestCase):
    def setUp(self) -> None:
        self.top = temporary(self)
        patcher = mock.patch.object(sweep_objects, "WORK", self.top)
        patcher.start()
        self.addCleanup(patcher.stop)

    def object(self, when: str, target: str, *lines: str) -> None:
        """Set an object aside."""
        path = self.top / "x86-clang" / when / target.replace("/", "%")
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([f"clang-{kbuild.LLVM}", "--target=x86_64-linux-gnu", "-c", "-x", "assembler", "-", "-o", path],
                       input="\n".join(("\t.text", "f:", *lines, "ret", "")), text=True, check=True)

    def row(self, good: list[str], failed: dict[str, str] | None = None,
            broken: dict[str, str] | None = None, plain: list[str] | None = None) -> list[str]:
        return sweep_objects.row("x86-clang", 7, failed or {}, broken or {}, good, plain or []).splitlines()

    def test_the_same(self) -> None:
        for when in ("before", "after"):
            self.object(when, "fs/a.o", ONE, TWO)
        self.assertEqual([line.split() for line in self.row(["fs/a.o"])], [["x86-clang", "7", "1", "1", "0", "0"]])

    def test_other_code(self) -> None:
        self.object("before", "fs/a.o", ONE)
        self.object("after", "fs/a.o", TWO)
        found = self.row(["fs/a.o"])
        self.assertEqual(found[0].split(), ["x86-clang", "7", "1", "0", "0", "1"])
        self.assertEqual(found[1], "    fs/a.o: DIFFERS, in .text")

    def test_another_order(self) -> None:
        self.object("before", "fs/a.o", ONE, TWO)
        self.object("after", "fs/a.o", TWO, ONE)
        found = self.row(["fs/a.o"])
        self.assertEqual(found[0].split(), ["x86-clang", "7", "1", "0", "1", "0"])
        self.assertEqual(found[1], "    fs/a.o: order of instructions, in .text")

    def compared(self, before: list[str], after: list[str]) -> str:
        self.object("before", "fs/a.o", *before)
        self.object("after", "fs/a.o", *after)
        return self.row(["fs/a.o"])[1]

    def test_sides_of_a_comparison(self) -> None:
        for before, after in (
            (["cmpl %eax, 8(%rcx)", "je f"], ["cmpl 8(%rcx), %eax", "je f"]),
            (["movl 4(%rbx), %eax", "cmpl %eax, 8(%rcx)", "jne f"],
             ["movl 8(%rcx), %edx", "cmpl %edx, 4(%rbx)", "jne f"]),
        ):
            self.assertEqual(self.compared(before, after), "    fs/a.o: sides of a comparison, in .text")

    def test_another_comparison(self) -> None:
        for before, after in (
            (["cmpl %eax, 8(%rcx)", "jl f"], ["cmpl 8(%rcx), %eax", "jg f"]),
            (["cmpl %eax, 8(%rcx)", "je f"], ["cmpl %eax, 12(%rcx)", "je f"]),
            (["cmpl %eax, 8(%rcx)", "je f"], ["cmpl %eax, 8(%rdx)", "je f"]),
            (["cmpl $3, 8(%rcx)", "je f"], ["cmpl $4, 8(%rcx)", "je f"]),
            (["cmpl %eax, 8(%rcx)", "je f"], ["testl %eax, 8(%rcx)", "je f"]),
        ):
            self.assertEqual(self.compared(before, after), "    fs/a.o: DIFFERS, in .text")

    def test_line_numbers_that_could_not_be_fixed(self) -> None:
        for when, line in (("before", 1), ("after", 2)):
            self.object(when, "fs/a.o", '.section __bug_table, "a"', f".short {line}", ".text")
        self.assertEqual(self.row(["fs/a.o"], plain=["fs/a.o"])[1],
                         "    fs/a.o: line numbers, which cannot be fixed there, in __bug_table")
        self.assertEqual(self.row(["fs/a.o"])[1], "    fs/a.o: DIFFERS, in __bug_table")

    def test_where_data_points_counts(self) -> None:
        self.assertEqual(self.compared(["nop", ".data", ".quad f", ".text"], ["nop", ".data", ".quad f + 1", ".text"]),
                         "    fs/a.o: DIFFERS, in .rela.data")

    def test_the_order_of_data_counts(self) -> None:
        self.object("before", "fs/a.o", ".data", ".long 1, 2", ".text")
        self.object("after", "fs/a.o", ".data", ".long 2, 1", ".text")
        self.assertEqual(self.row(["fs/a.o"])[1], "    fs/a.o: DIFFERS, in .data")

    def test_what_could_not_be_compiled(self) -> None:
        found = self.row([], {"fs/b.o": "error: why"}, {"fs/c.o": "error: what"})
        self.assertEqual(found[0].split(), ["x86-clang", "7", "0", "0", "0", "0"])
        self.assertEqual(found[1:], ["    fs/b.o: before: error: why", "    fs/c.o: AFTER ONLY: error: what"])


class Objects(SourceTree):
    def setUp(self) -> None:
        super().setUp()
        self.write("kernel/user.c", "#include <linux/pid.h>\n")
        patcher = mock.patch.object(sweep_objects, "SRC", self.tree)
        patcher.start()
        self.addCleanup(patcher.stop)

    def objects(self, arch: str, *files: str) -> list[str]:
        return sorted(sweep_objects.objects(arch, list(files)))

    def test_x86_has_all_but_what_is_another_one_s(self) -> None:
        self.assertEqual(
            self.objects("x86", "arch/arm64/kernel/a.c", "arch/x86/kernel/b.c", "drivers/c.c", "include/linux/pid.h"),
            ["arch/x86/kernel/b.o", "drivers/c.o", "kernel/user.o"])

    def test_the_others_have_their_own_and_the_core(self) -> None:
        self.assertEqual(
            self.objects("arm64", "arch/arm64/kernel/a.c", "arch/x86/kernel/b.c", "drivers/c.c", "kernel/fork.c"),
            ["arch/arm64/kernel/a.o", "kernel/fork.o"])

    def test_a_single_file(self) -> None:
        self.assertEqual(self.objects("arm-nommu", "mm/nommu.c", "mm/nommu_other.c"), ["mm/nommu.o"])

    def test_what_another_directory_builds(self) -> None:
        self.assertEqual(self.objects("x86", "virt/kvm/kvm_main.c"), ["arch/x86/kvm/../../../virt/kvm/kvm_main.o"])
