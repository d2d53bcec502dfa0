#!/usr/bin/env python3
"""Find splats (warnings, oopses, lockdep reports, stalls) in a kernel log.

splats.py LOG...: prints them; exit status 1 if there is one.
"""

from __future__ import annotations

import datetime
import re
import sys
from dataclasses import dataclass
from pathlib import Path

CI = Path(__file__).resolve().parent.parent / "ci"
# "[    1.234567] text", with the caller that CONFIG_PRINTK_CALLER adds. It may
# follow a program's unfinished line.
PRINTK = re.compile(r"\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? (.*)")


def read_list(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def read_allowed(path: Path, today: datetime.date) -> list[re.Pattern[str]]:
    allowed = []
    for line in read_list(path):
        fields = line.split("\t")
        if len(fields) != 3 or not fields[2].strip():
            raise ValueError(f"{path}: not 'regex<tab>expires<tab>reason': {line}")
        if datetime.date.fromisoformat(fields[1]) < today:
            raise ValueError(f"{path}: expired: {line}")
        allowed.append(re.compile(fields[0]))
    return allowed


@dataclass
class Scanner:
    patterns: list[re.Pattern[str]]
    allowed: list[re.Pattern[str]]

    @classmethod
    def load(cls, directory: Path = CI) -> Scanner:
        patterns = [re.compile(p) for p in read_list(directory / "splats.txt")]
        today = datetime.date.today()
        return cls(patterns, read_allowed(directory / "splats-allowed.txt", today))

    def is_splat(self, line: str) -> bool:
        match = PRINTK.search(line)
        if not match:
            return False
        text = match.group(1)
        if any(p.search(text) for p in self.allowed):
            return False
        return any(p.search(text) for p in self.patterns)

    def scan(self, log: str) -> list[str]:
        return [line for line in log.splitlines() if self.is_splat(line)]


def main(paths: list[str]) -> int:
    scanner = Scanner.load()
    found = 0
    for path in paths:
        for line in scanner.scan(Path(path).read_text(encoding="utf-8", errors="replace")):
            print(f"{path}: {line}")
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
