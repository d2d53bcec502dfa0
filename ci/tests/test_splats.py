"""The splat scanner finds what it must and nothing else."""

import datetime
import tempfile
import unittest
from pathlib import Path

from splats import CI, Scanner, read_allowed

SPLATS = [
    "[    1.234567] BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "[    1.234567] BUG: KASAN: slab-use-after-free in free_pid+0x10/0x90",
    "[    1.234567] WARNING: CPU: 0 PID: 1 at kernel/pid.c:123 alloc_pid+0x1/0x2",
    "[    1.234567] WARNING: possible circular locking dependency detected",
    "[    1.234567] WARNING: suspicious RCU usage",
    "[    1.234567] INFO: task init:1 blocked for more than 240 seconds.",
    "[    1.234567] rcu: INFO: rcu_preempt self-detected stall on CPU",
    "[    1.234567] refcount_t: underflow; use-after-free.",
    "[    1.234567] Kernel panic - not syncing: Attempted to kill init!",
    "[    1.234567] Oops: general protection fault, probably for non-canonical address",
    "[    1.234567][   T12] UBSAN: array-index-out-of-bounds in kernel/pid.c:1:2",
    "some program's half line[    1.234567] BUG: sleeping function called from invalid context",
    "[    1.234567] demo[12]: segfault at 0 ip 0000000000401000 sp 00007ffd error 4",
    "[    1.234567] watchdog: BUG: soft lockup - CPU#1 stuck for 26s!",
]
CALM = [
    "# BUG: this is what a test says",
    "not ok 3 WARNING: a test's own words",
    "[    1.234567] Linux version 7.3.4",
    "[    1.234567] random: crng init done",
    "[    1.234567] rcu: Hierarchical RCU implementation.",
    "[    1.234567] RCU Tasks: Setting shift to 1 and lim to 1",
    "[    1.234567] rcu: \tRCU debug extended QS entry/exit.",
    "[    1.234567] debug: no bugs here",
    "[    1.234567] kunit: leak detector on",
]


class Splats(unittest.TestCase):
    def test_finds_each(self) -> None:
        scanner = Scanner.load()
        for line in SPLATS:
            with self.subTest(line=line):
                self.assertEqual(scanner.scan(f"before\n{line}\nafter\n"), [line])

    def test_leaves_the_rest(self) -> None:
        self.assertEqual(Scanner.load().scan("\n".join(CALM)), [])

    def allowed(self, line: str) -> Scanner:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "allowed"
            path.write_text(line + "\n", encoding="utf-8")
            allowed = read_allowed(path, datetime.date(2026, 1, 1))
        return Scanner(Scanner.load(CI).patterns, allowed)

    def test_exception(self) -> None:
        scanner = self.allowed("NULL pointer\t2026-02-01\tthe test provokes it")
        self.assertEqual(scanner.scan(SPLATS[0]), [])
        self.assertEqual(scanner.scan(SPLATS[1]), [SPLATS[1]])

    def test_exception_without_reason_or_expired(self) -> None:
        for line in ("NULL pointer", "NULL\t2026-02-01\t ", "NULL\t2025-12-31\told"):
            with self.subTest(line=line), self.assertRaises(ValueError):
                self.allowed(line)
