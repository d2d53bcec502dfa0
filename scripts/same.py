#!/usr/bin/env python3
"""Mainline's selftests are as before: compare what they print, line by line.

same.py PRISTINE PATCHED INITRD ROOTFS TESTS ALLOWED LOGS [COLLECTION:TEST...]

The first two are kernels. Compared are, with each test program of TESTS (a
squashfs, see same.sh):

  before  the pristine kernel with the patched one, in the default container
  inside  on the patched kernel, a container with a pid namespace

What a place printed in the first run is kept in LOGS, and used until the kernel,
the tests or ci/guest/same.py change. A line that differs is run again, several
times. It is unstable if the two places have results in common and Fisher's exact
test does not tell them apart (5 %), and a difference otherwise. There must be none
in the first comparison; those of the second are in ALLOWED: PROGRAM <tab> LINE
<tab> REASON, patterns.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import comb
from pathlib import Path
from typing import Callable

LINE = re.compile(r"^\s*(not ok|ok)\b[ \t]*(\d*)[ \t]*(?:- )?(.*)$")
DIRECTIVE = re.compile(r"#\s*(SKIP|XFAIL|TODO|XPASS)\b", re.I)
TIMES = 4
SIZE = 64 << 20

# What each line of a program ended with, in each run of it.
Lines = dict[str, str]
Runs = dict[str, list[Lines]]


def parse(exit_status: int | str, output: str) -> Lines:
    """The result lines of one run by their number (and a count, where one is
    used again), and the program's exit status."""
    lines: Lines = {"exit status": str(exit_status)}
    seen: dict[str, int] = {}
    for text in output.splitlines():
        match = LINE.match(text)
        if not match:
            continue
        status, number, what = match.groups()
        directive = DIRECTIVE.search(what)
        if directive:
            # What was skipped says why in the place of its name.
            status, what = directive.group(1).lower(), ""
        # Numbers in a name are pids and times.
        name = re.sub(r"0x[0-9a-f]+|\d+", "N", what.partition("#")[0]).strip()
        seen[number] = seen.get(number, 0) + 1
        key = number or "-"
        if seen[number] > 1:
            key += f"/{seen[number]}"
        lines[key] = f"{status} {name}".strip()
    return lines


def load(disk: Path) -> Runs:
    data = disk.read_bytes().partition(b"\0")[0]
    results = json.loads(data) if data else {}
    return {test: [parse(r["exit"], r["output"]) for r in runs] for test, runs in results.items()}


@dataclass(frozen=True)
class Difference:
    test: str
    key: str
    left: tuple[tuple[str, int], ...]
    right: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        def text(side: tuple[tuple[str, int], ...]) -> str:
            return " | ".join(value if count == 1 else f"{value} ({count}x)" for value, count in side)
        return f"{self.test} {self.key}: {text(self.left)} -> {text(self.right)}"


def counts(runs: list[Lines], key: str) -> Counter[str]:
    return Counter(lines.get(key, "(no such line)") for lines in runs) or Counter({"(not run)": 1})


def differences(left: Runs, right: Runs) -> list[Difference]:
    found = []
    for test in sorted(left.keys() | right.keys()):
        a, b = left.get(test, []), right.get(test, [])
        for key in dict.fromkeys(k for lines in a + b for k in lines):
            x, y = counts(a, key), counts(b, key)
            if set(x) != set(y):
                found.append(Difference(test, key, tuple(sorted(x.items())), tuple(sorted(y.items()))))
    return found


def fisher(a: int, b: int, c: int, d: int) -> float:
    """Fisher's exact test, two-sided: the probability of a table of 2 x 2 at least as uneven."""
    def table(x: int) -> float:
        return comb(a + b, x) * comb(c + d, a + c - x) / comb(a + b + c + d, a + c)
    seen = table(a) * (1 + 1e-9)
    return sum(p for p in map(table, range(max(0, a - d), min(a + b, a + c) + 1)) if p <= seen)


def unstable(difference: Difference, pristine: Runs) -> bool:
    """Whether chance explains it: the results overlap, and are not more uneven than
    comes about once in twenty times. What the same place has on the pristine kernel
    counts with the left side."""
    left = Counter(dict(difference.left))
    if difference.test in pristine:
        left += counts(pristine[difference.test], difference.key)
    right = Counter(dict(difference.right))
    if not set(left) & set(right):
        return False
    return all(fisher(left[v], left.total() - left[v], right[v], right.total() - right[v]) >= 0.05
               for v in set(left) | set(right))


@dataclass
class Entry:
    program: str
    line: str
    reason: str
    used: bool = False


def read_allowed(text: str) -> list[Entry]:
    entries = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            parts = line.split("\t")
            if len(parts) != 3 or not all(part.strip() for part in parts):
                sys.exit(f"error: not PROGRAM<tab>LINE<tab>REASON: {line}")
            entries.append(Entry(*parts))
    return entries


def reason_for(difference: Difference, allowed: list[Entry]) -> str:
    for entry in allowed:
        if fnmatchcase(difference.test, entry.program) and fnmatchcase(difference.key, entry.line):
            entry.used = True
            return entry.reason
    return ""


def merge(into: Runs, more: Runs) -> None:
    for test, runs in more.items():
        into.setdefault(test, []).extend(runs)


@dataclass
class Verdict:
    same: int = 0
    unstable: list[Difference] = field(default_factory=list)
    allowed: list[tuple[Difference, str]] = field(default_factory=list)
    faults: list[Difference] = field(default_factory=list)


# Runs programs (all of them, if none is named) in a place, so many times.
Boot = Callable[[str, str, int, list[str]], Runs]


def compare(boot: Boot, left: tuple[str, str], right: tuple[str, str], pristine: tuple[str, str],
            first: dict[tuple[str, str], Runs], allowed: list[Entry]) -> Verdict:
    """Compare two places, (KERNEL, MODE), of which `first` has a run of all."""
    runs = {place: {t: list(r) for t, r in first.get(place, {}).items()} for place in (left, right, pristine)}
    again = sorted({d.test for d in differences(runs[left], runs[right])})
    if again:
        for place in dict.fromkeys((left, right, pristine)):
            merge(runs[place], boot(*place, TIMES, again))
    verdict = Verdict()
    lines = sum(len({k for lines in r for k in lines}) for r in runs[left].values())
    for difference in differences(runs[left], runs[right]):
        if unstable(difference, runs[pristine] if pristine != left else {}):
            verdict.unstable.append(difference)
        elif reason := reason_for(difference, allowed):
            verdict.allowed.append((difference, reason))
        else:
            verdict.faults.append(difference)
    verdict.same = lines - len(verdict.unstable) - len(verdict.allowed) - len(verdict.faults)
    return verdict


def show(what: str, verdict: Verdict) -> None:
    print(f"--- {what}: {verdict.same} lines the same, {len(verdict.faults)} different,"
          f" {len(verdict.allowed)} different with a reason, {len(verdict.unstable)} unstable")
    for difference in verdict.faults:
        print(f"  DIFFERENT  {difference}")
    for difference, reason in verdict.allowed:
        print(f"  reason     {difference}\n             {reason}")
    for difference in verdict.unstable:
        print(f"  unstable   {difference}")


def main(argv: list[str]) -> int:
    kernels = dict(zip(("pristine", "patched"), argv[:2]))
    initrd, rootfs, tests, allowed_file, logs, *patterns = argv[2:]
    allowed = read_allowed(Path(allowed_file).read_text(encoding="utf-8"))
    script = Path(__file__).resolve().parent / "boot.py"
    failed_boots = []
    guest = Path(__file__).resolve().parent.parent / "ci/guest/same.py"

    def boot(kernel: str, mode: str, times: int, programs: list[str]) -> Runs:
        name = f"same-{kernel}-{mode}{'' if times == 1 else '-again'}"
        disk, key = Path(logs) / f"{name}.results", Path(logs) / f"{name}.key"
        inputs = hashlib.sha256(" ".join(programs).encode())
        for path in (Path(kernels[kernel]), Path(tests), guest):
            inputs.update(hashlib.sha256(path.read_bytes()).digest())
        if times == 1 and key.exists() and disk.exists() and key.read_text() == inputs.hexdigest():
            print(f"{mode} on the {kernel} kernel: as it was run before", flush=True)
            return load(disk)
        key.unlink(missing_ok=True)
        disk.write_bytes(b"")
        with disk.open("r+b") as file:
            file.truncate(SIZE)
        log = Path(logs) / f"{name}.console"
        status = subprocess.run(
            [str(script), "--kernel", kernels[kernel], "--initrd", initrd, "--disk", rootfs, "--disk", tests,
             "--data", str(disk), "--job", "same", "--args", ",".join([mode, str(times), *programs]),
             "--log", str(log), "--timeout", "7200", "--memory", "2G"], check=False).returncode
        if status:
            failed_boots.append(f"{kernel} {mode}")
        elif times == 1:
            key.write_text(inputs.hexdigest())
        return load(disk)

    places = [("pristine", "default"), ("patched", "default"), ("patched", "container"), ("patched", "pidns")]
    first = {place: boot(*place, 1, patterns) for place in places}
    if not all(first.values()):
        print("0 passed, 1 failed")
        return 1
    before = compare(boot, places[0], places[1], places[0], first, [])
    inside = compare(boot, places[3], places[2], ("pristine", "pidns"), first, allowed)
    show("pristine -> patched, default container", before)
    show("pid namespace -> container", inside)
    stale = [e for e in allowed if not e.used] if not patterns else []
    for entry in stale:
        print(f"  not seen: {entry.program} {entry.line} of {allowed_file}")
    for name in failed_boots:
        print(f"  boot failed: {name}")
    failed = len(before.faults) + len(inside.faults) + len(failed_boots)
    print(f"{before.same + inside.same} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
