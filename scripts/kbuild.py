"""Shared by what compiles single objects of a kernel tree: which objects see a header,
and commands that are run quietly."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pidspace"
LLVM = "19"
# Where the users of a header in include/ are looked for.
EVERYWHERE = ("kernel", "mm", "fs", "drivers", "net", "security")
# Directories that another directory's Makefile builds.
BUILT_BY = {
    "drivers/gpu/drm/amd/amdkfd": "drivers/gpu/drm/amd/amdgpu/../amdkfd",
    "virt/kvm": "arch/{arch}/kvm/../../../virt/kvm",
}


def say(message: str) -> None:
    """Progress."""
    print(message, file=sys.stderr, flush=True)


def run(*args: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command, quietly."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(args, text=True, errors="replace", check=False,
                          **pipes | options)  # type: ignore[call-overload, no-any-return]


def environment(**more: str) -> dict[str, str]:
    """The environment for a make that is not a part of the one that called us."""
    kept = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return kept | more


def pristine_tree() -> str:
    """The path of the pristine tree, which is fetched if need be."""
    path = run("bash", "-c", f". {ROOT}/scripts/lib.sh; {ROOT}/scripts/source.sh >&2; echo $pristine").stdout.strip()
    if not path:
        sys.exit("error: no pristine tree")
    return path


def apply(tree: Path, patches: list[Path], *options: str) -> None:
    """Patch a tree, without fuzz."""
    for patch in patches:
        done = run("patch", "-p1", "-s", "-f", "--fuzz=0", *options, "-i", patch, cwd=tree)
        if done.returncode:
            sys.exit(f"error: {patch.name}: {done.stdout}")


def failures(log: str) -> dict[str, str]:
    """Targets that failed and the first error of each, in a log of make with
    --output-sync=target: all about a target in one place, and then that it failed."""
    found: dict[str, str] = {}
    error = ""
    for line in log.splitlines():
        if failed := re.search(r"\*\*\* \[\S+: (\S+)\] Error", line):
            found[failed[1]] = error or "it failed"
        if failed or re.match(r"  [A-Z]+ ", line):
            error = ""
        elif said := re.match(r"\S+: (?:fatal )?(error: .*)$|(error(?:\[\w+\])?: .*)$", line):
            error = error or said[1] or said[2]
    return found


def users(tree: Path, header: str) -> list[str]:
    """The files that see what is in a header: those that make tracepoints of it, or,
    if it has none, all that include it."""
    short = header.split("include/", 1)[1] if "include/" in header else Path(header).name
    top = header.split("/")[0]
    where = {"include": EVERYWHERE, "samples": ("samples",)}.get(top, (str(Path(header).parent),))
    files = run("grep", "-rlE", "--include=*.c", rf'^#include [<"]([^">]*/)?{re.escape(short)}[>"]',
                *where, cwd=tree).stdout.splitlines()
    makers = [f for f in files if "CREATE_TRACE_POINTS" in (tree / f).read_text("latin-1")]
    return sorted(makers or files)


def target(source: str, arch: str) -> str:
    """What make calls the object of a source file."""
    for directory, other in BUILT_BY.items():
        if source.startswith(directory + "/"):
            source = other.format(arch=arch) + source[len(directory):]
    return source[:-2] + ".o"
