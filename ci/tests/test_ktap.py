"""Counting what kunit.py says about KTAP."""

import unittest

from ktap import count


class Count(unittest.TestCase):
    def test_counts(self) -> None:
        report = "x\n[1:2:3] Testing complete. Ran 6 tests: passed: 3, failed: 1, crashed: 1, skipped: 1\n"
        self.assertEqual(count(report), (3, 2, 1))

    def test_colour(self) -> None:
        report = "\x1b[1;32mTesting complete. Ran 2 tests: passed: 2\x1b[0m\n"
        self.assertEqual(count(report), (2, 0, 0))

    def test_errors_are_failures(self) -> None:
        self.assertEqual(count("Testing complete. Ran 2 tests: passed: 2, errors: 1\n"), (2, 1, 0))

    def test_nothing_is_a_failure(self) -> None:
        for report in ("", "Testing complete. Ran 0 tests: errors: 1\n", "Testing complete. Ran 1 tests: skipped: 1\n"):
            with self.subTest(report=report):
                self.assertEqual(count(report)[1], 1)
