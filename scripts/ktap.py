#!/usr/bin/env python3
"""Show the KTAP in a console log and count it, with the tree's own kunit.py.

ktap.py TREE LOG: the last line is "N passed, N failed, N skipped"; exit status 1
if a test failed or crashed, or if there was none.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SUMMARY = re.compile(r"Testing complete\. Ran (\d+) tests: (.*)$", re.M)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def count(report: str) -> tuple[int, int, int]:
    """(passed, failed, skipped) of a kunit.py report; nothing parsed is a failure."""
    match = SUMMARY.search(COLOUR.sub("", report))
    if not match:
        return 0, 1, 0
    # KTAP errors are not tests: a missing plan or a suite cut short.
    kinds = {kind: int(n) for kind, n in re.findall(r"(\w+): (\d+)", match.group(2))}
    failed = kinds.get("failed", 0) + kinds.get("crashed", 0) + kinds.get("errors", 0)
    passed = kinds.get("passed", 0)
    if passed + failed == 0:
        failed = 1
    return passed, failed, kinds.get("skipped", 0)


def main(tree: str, log: str) -> int:
    parser = Path(tree) / "tools/testing/kunit/kunit.py"
    result = subprocess.run(
        [sys.executable, str(parser), "parse", log],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    print(result.stdout, end="")
    passed, failed, skipped = count(result.stdout)
    if result.returncode and not failed:
        failed = 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
