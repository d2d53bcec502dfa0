#!/usr/bin/env python3
"""Run the Python tests in a directory; the last line is "N passed, N failed".

pytests.py DIR
"""

from __future__ import annotations

import sys
import unittest
from pathlib import Path


def main(directory: str) -> int:
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    tests = unittest.defaultTestLoader.discover(directory, pattern="test_*.py")
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    passed = result.testsRun - failed - skipped
    if not result.testsRun:
        failed = 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
