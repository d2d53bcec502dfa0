#!/usr/bin/env python3
"""Every configuration of ci/options: build what the series touches, without a warning.

options.py [PATTERN...]     of names in ci/options; the last line is "N passed, N failed"
"""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
import time
from pathlib import Path

from kbuild import ROOT, failures, run, say

# What CONFIG_PIDSPACE depends on, and no more.
LEAST = {"64BIT": "y", "EXPERT": "y", "MULTIUSER": "y", "RUST": "y", "NAMESPACES": "y",
         "PID_NS": "y", "PROC_FS": "y", "SMP": "y", "PIDSPACE": "y"}
TARGETS = ("kernel/", "fs/", "ipc/", "block/ioprio.o")
SHELL = ". {root}/scripts/lib.sh; {root}/scripts/tree.sh >&2; {what}"


def lib(what: str) -> subprocess.CompletedProcess[str]:
    """Run shell code with what scripts/lib.sh defines."""
    return run("bash", "-c", SHELL.format(root=ROOT, what=what))


def read_fragment(path: Path) -> dict[str, str]:
    """The symbols that a fragment sets."""
    found = {}
    for line in path.read_text().splitlines():
        if on := re.fullmatch(r"CONFIG_(\w+)=(.*)", line):
            found[on[1]] = on[2]
        elif off := re.fullmatch(r"# CONFIG_(\w+) is not set", line):
            found[off[1]] = "n"
    return found


def rows(text: str) -> dict[str, dict[str, str]]:
    """Name -> symbols, of what ci/options says."""
    found = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        name, *changes = line.split()
        config = dict(LEAST)
        if changes[:1] == ["+"]:
            del changes[0]
            for fragment in ("boot", "base", "pidspace"):
                config |= read_fragment(ROOT / f"ci/config/{fragment}.config")
        for change in changes:
            symbol, _, value = change.partition("=")
            config[symbol] = value or "n"
        found[name] = config
    return found


def fragment(config: dict[str, str]) -> str:
    """The lines of a configuration."""
    return "".join(f"# CONFIG_{s} is not set\n" if v == "n" else f"CONFIG_{s}={v}\n"
                   for s, v in config.items())


def lost(config: dict[str, str], dot_config: str, wanted: set[str]) -> list[str]:
    """What was asked for by this row and is not in .config."""
    lines = set(dot_config.splitlines())
    return [s for s in sorted(wanted)
            if (f"CONFIG_{s}={config[s]}" not in lines if config[s] != "n"
                else any(line.startswith(f"CONFIG_{s}=") for line in lines))]


def build(name: str, config: dict[str, str], tree: str, out: Path) -> str:
    """Build a row; returns what is wrong with it."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "wanted").write_text(fragment(config))
    done = lib(f"kmake {tree} {out} -s KCONFIG_ALLCONFIG={out}/wanted allnoconfig")
    if done.returncode:
        return done.stderr.strip() or "no configuration"
    wanted = {"PIDSPACE", "PIDSPACE_VPID_BITS", "RUST"} & config.keys()
    wanted |= {c.partition("=")[0] for c in changes_of(name)}
    if missing := lost(config, (out / ".config").read_text(), wanted):
        return f"not what ci/options asks for: {' '.join(missing)}"
    targets = [t for t in TARGETS if t != "block/ioprio.o" or config.get("BLOCK") == "y"]
    done = lib(f"kmake {tree} {out} -k --output-sync=target prepare {' '.join(targets)}")
    log = done.stdout + done.stderr
    (out.parent / f"options-{name}.log").write_text(log)
    if done.returncode:
        return "; ".join(f"{k}: {v}" for k, v in list(failures(log).items())[:5]) or log[-2000:]
    warnings = re.findall(r"^.*warning: .*$", log, re.M)
    return "; ".join(warnings[:5])


def changes_of(name: str) -> list[str]:
    """What a row of ci/options changes."""
    for line in (ROOT / "ci/options").read_text().splitlines():
        words = line.split()
        if words and words[0] == name:
            return [w for w in words[1:] if w != "+"]
    return []


def main() -> int:
    """Build all rows that match."""
    patterns = sys.argv[1:] or ["*"]
    table = {n: c for n, c in rows((ROOT / "ci/options").read_text()).items()
             if any(fnmatch.fnmatch(n, p) for p in patterns)}
    if not table:
        sys.exit(f"error: no row of ci/options matches {' '.join(patterns)}")
    tree, builds = lib("echo $tree; echo $builds").stdout.split()
    bad = 0
    for name, config in table.items():
        start = time.monotonic()
        why = build(name, config, tree, Path(builds) / "options")
        bad += bool(why)
        say(f"  {'FAILED' if why else 'ok'} {name} ({time.monotonic() - start:.0f} s)"
            + (f": {why}" if why else ""))
    print(f"{len(table) - bad} passed, {bad} failed")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
