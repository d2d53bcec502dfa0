#!/usr/bin/env python3
"""Run installed kselftests in one of three places, and hand over what they print.

same.py MODE,TIMES[,COLLECTION:TEST...]: MODE is "default" (the default container),
"container" (each program in a fresh one) or "pidns" (each in a fresh pid namespace
with its own /proc). In all three the program is the child of a shell, which in the
latter two is pid 1. The second disk has the tests, the third takes the results:
JSON, {COLLECTION:TEST: [{"exit": STATUS, "output": TEXT}, one for each time]}.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

TESTS, RESULTS = "/dev/vdb", "/dev/vdc"
ROOT = Path("/root/kselftest")
# kselftest's own limit is 45 s; emulation takes several times as long as hardware.
TIMEOUT = 180
PR_SET_CHILD_SUBREAPER = 36
# These print how long something took, and whether that is much.
BENCHMARKS = {"seccomp:seccomp_benchmark"}

PRIVATE = ["unshare", "--mount", "--propagation", "private"]
PLACES = {
    "default": [*PRIVATE, "sh", "-c", './"$0"; exit $?'],
    "container": [*PRIVATE, "sh", "-c", 'echo "same-$1" > /proc/container || exit 99; ./"$0"; exit $?'],
    "pidns": [*PRIVATE, "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", './"$0"; exit $?'],
}


def limit(directory: Path) -> int:
    """The program's own limit, if it is the larger one."""
    seconds = TIMEOUT
    settings = directory / "settings"
    if settings.exists():
        for line in settings.read_text(encoding="utf-8").splitlines():
            if line.startswith("timeout="):
                seconds = max(seconds, int(line.partition("=")[2]))
    return seconds


def children() -> list[int]:
    return [int(word) for word in Path("/proc/self/task", str(os.getpid()), "children").read_text().split()]


def reap() -> None:
    """Nothing that a program leaves behind is there for the next one."""
    end = time.monotonic() + 20
    while (left := children()) and time.monotonic() < end:
        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def run(mode: str, test: str, number: int) -> dict[str, Any]:
    collection, _, program = test.partition(":")
    directory = ROOT / collection
    with open("/tmp/output", "w+b") as output:
        process = subprocess.Popen(
            [*PLACES[mode], program, str(number)], cwd=directory, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        status: int | str
        try:
            status = process.wait(limit(directory))
        except subprocess.TimeoutExpired:
            status = "timeout"
            process.kill()
            process.wait()
        reap()
        output.seek(0)
        text = output.read(1 << 20).decode(errors="replace")
    return {"exit": status, "output": text}


def main(arguments: str) -> int:
    mode, times, *patterns = arguments.split(",")
    subprocess.run(["mount", "-t", "squashfs", "-o", "ro", TESTS, "/mnt"], check=True)
    shutil.copytree("/mnt", ROOT, symlinks=True)
    import ctypes

    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError("PR_SET_CHILD_SUBREAPER")
    tests = (ROOT / "kselftest-list.txt").read_text(encoding="utf-8").split()
    tests = [t for t in tests if t not in BENCHMARKS]
    if patterns:
        tests = [t for t in tests if any(fnmatch(t, p) for p in patterns)]
    results: dict[str, list[dict[str, Any]]] = {}
    number = 0
    for test in tests:
        for _ in range(int(times)):
            number += 1
            start = time.monotonic()
            result = run(mode, test, number)
            results.setdefault(test, []).append(result)
            print(f"{mode} {test}: {result['exit']}, {time.monotonic() - start:.0f} s", flush=True)
    with open(RESULTS, "r+b") as disk:
        disk.write(json.dumps(results).encode() + b"\0")
        disk.flush()
        os.fsync(disk.fileno())
    return 0 if results else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
