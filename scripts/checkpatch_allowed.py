#!/usr/bin/env python3
"""Print what checkpatch said about the patches named on stdin, without what
the list allows; exit status 1 if something is left.

checkpatch_allowed.py LIST RESULTS VERSION
"""

from __future__ import annotations

import hashlib
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

LINE = re.compile(r".*?:(\d+): (?:ERROR|WARNING|CHECK):([A-Z0-9_]+): (.*)")


def read_list(text: str) -> list[tuple[str, str]]:
    """TYPE <tab> PATCH (a pattern) <tab> REASON"""
    allowed = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            fields = line.split("\t")
            if len(fields) != 3 or not fields[2].strip():
                raise ValueError(f"not 'TYPE<tab>PATCH<tab>REASON': {line}")
            allowed.append((fields[0], fields[1]))
    return allowed


def left(name: str, output: str, allowed: list[tuple[str, str]]) -> list[str]:
    faults = []
    for line in output.splitlines():
        if not line.strip():
            continue
        match = LINE.match(line)
        if not match:
            faults.append(f"{name}: {line}")
        elif not any(match.group(2) == t and fnmatch(name, p) for t, p in allowed):
            faults.append(f"{name}:{match.group(1)}: {match.group(2)}: {match.group(3)}")
    return faults


def main(argv: list[str]) -> int:
    allowed = read_list(Path(argv[0]).read_text(encoding="utf-8"))
    faults = []
    for path in map(Path, sys.stdin.read().split()):
        digest = hashlib.sha256(path.read_bytes())
        # As scripts/checkpatch.sh names it.
        result = Path(argv[1]) / f"{digest.hexdigest()[:16]}-{argv[2]}"
        faults += left(path.name, result.read_text(encoding="utf-8"), allowed)
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
