#!/usr/bin/env python3
"""Take lines out of the kernel part and see kselftests fail: ci/mutations.toml
says which. Builds and boots one kernel for each batch.

mutate.py [BATCH-OR-NAME-PATTERN]     the last line is "N passed, N failed"
"""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pidspace"
# Copies, mounted over what `make build` uses: compilers see the same paths, so that
# only what is mutated is compiled again.
COPIES = {CACHE / "tree": CACHE / "mutate/tree", CACHE / "build/base": CACHE / "mutate/base"}
TREE = COPIES[CACHE / "tree"]
Mutation = dict[str, Any]
RUN = re.compile(r"^ *# +RUN +(\S+) \.\.\.", re.M)
RESULT = re.compile(r"^ *(not ok|ok) \d+ (\w+)\.(\S+)(?!.*# SKIP)", re.M)


def load(path: Path = ROOT / "ci/mutations.toml") -> list[Mutation]:
    """The table, checked for what could make a mutation that nothing catches look caught."""
    table: list[Mutation] = tomllib.loads(path.read_text(encoding="utf-8"))["mutation"]
    for mutation in table:
        if set(mutation) != {"name", "batch", "file", "old", "new", "fails"}:
            raise SystemExit(f"error: {path.name}: {mutation.get('name')}: wrong keys")
        if not mutation["fails"] or mutation["old"] == mutation["new"]:
            raise SystemExit(f"error: {path.name}: {mutation['name']}: changes or expects nothing")
    return table


def mutate(text: str, mutation: Mutation) -> str:
    if mutation["old"] not in text:
        raise SystemExit(f"error: {mutation['file']} has no {mutation['old']!r} ({mutation['name']})")
    return text.replace(mutation["old"], mutation["new"])


def outcomes(console: str) -> dict[str, bool]:
    """suite.test: passed. The lines of fixtures with variants name those too: suite.variant.test
    What began and has no result has failed: the kernel hung or died under it."""
    results = {f"{suite}.{test}": word == "ok" for word, suite, test in RESULT.findall(console)}
    skipped = re.findall(r"^ *ok \d+ (\S+) # SKIP", console, re.M)
    return {name: False for name in RUN.findall(console) if name not in skipped} | results


def judge(batch: list[Mutation], seen: dict[str, bool]) -> list[tuple[Mutation, list[str]]]:
    """Of each mutation what should have failed and did not: what passed, and what did not run."""
    def word(name: str) -> str:
        return name if name in seen else f"{name} (not run)"
    return [(m, [word(name) for name in m["fails"] if seen.get(name) is not False]) for m in batch]


def changed(batch: list[Mutation]) -> dict[Path, str]:
    texts: dict[Path, str] = {}
    for mutation in batch:
        path = TREE / mutation["file"]
        texts[path] = mutate(texts.get(path) or path.read_text(encoding="utf-8"), mutation)
    return texts


def boot(batch: list[Mutation]) -> str:
    """Build and boot it; its console."""
    saved = {path: path.read_text(encoding="utf-8") for path in changed(batch)}
    log = CACHE / "log/base-kselftest.console"
    kept = CACHE / f"log/mutate-{batch[0]['batch']}.console"
    programs = ",".join(sorted({name.split(".")[0] + "_test" for m in batch for name in m["fails"]}))
    mounts = "".join(f"mount --bind {copy} {place} && " for place, copy in COPIES.items())
    # The tests wait less for what does not come.
    job = f"{ROOT}/scripts/job.sh kselftest base --timeout 600 --append PIDSPACE_PATIENCE_MS=8000"
    try:
        for path, text in changed(batch).items():
            path.write_text(text, encoding="utf-8")
        (COPIES[CACHE / "build/base"] / ".key").unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        kept.unlink(missing_ok=True)
        # That it fails is the point.
        subprocess.run(
            ["unshare", "--mount", "sh", "-c", f"{mounts}exec {job}"],
            env={**os.environ, "ARGS": programs}, stdout=subprocess.DEVNULL, check=False)
        if log.exists():
            log.rename(kept)
        return kept.read_text(encoding="utf-8", errors="replace") if kept.exists() else ""
    finally:
        for path, text in saved.items():
            path.write_text(text, encoding="utf-8")


def main(pattern: str = "*") -> int:
    table = [m for m in load() if fnmatch.fnmatch(m["batch"], pattern) or fnmatch.fnmatch(m["name"], pattern)]
    if not table:
        raise SystemExit(f"error: no mutation and no batch is called {pattern}")
    if os.environ.get("TREE"):
        raise SystemExit("error: the mutations are of Debian's tree, not of TREE")
    subprocess.run([ROOT / "scripts/build.sh", "base"], check=True)
    for place, copy in COPIES.items():
        copy.mkdir(parents=True, exist_ok=True)
        subprocess.run(["rsync", "-a", "--delete", f"{place}/", f"{copy}/"], check=True)
    passed = failed = 0
    for name in dict.fromkeys(m["batch"] for m in table):
        batch = [m for m in table if m["batch"] == name]
        print(f"  building {name}, {len(batch)} mutations", flush=True)
        seen = outcomes(boot(batch))
        for mutation, missing in judge(batch, seen):
            caught = not missing
            passed, failed = passed + caught, failed + (not caught)
            said = ", ".join(missing if missing else mutation["fails"])
            print(f"  {'ok' if caught else 'FAILED'}: {mutation['name']}: {'not ' if missing else ''}caught by {said}", flush=True)
        expected = {test for m in batch for test in m["fails"]}
        others = sorted(test for test, ok in seen.items() if not ok and test not in expected)
        if others:
            print(f"      these fail too: {', '.join(others)}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
