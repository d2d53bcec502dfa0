#!/usr/bin/env python3
"""Every patch builds on its own: apply them one after the other, and after each
compile what it touches, with W=1, by clang and by gcc.

Of a touched header up to eight files that see it are compiled, of a touched Rust
file of the kernel crate or the core that crate. The leaks and the sweep are tried
with allmodconfig, without Rust; what follows with ci/config/base.config, and by gcc
without Rust, which leaves out what depends on it.
What a compiler does not like is held against a patch unless it says the same, of the
same file, without that patch.

each_patch.py [PATTERN...]      of file names; the last line is "N passed, N failed, N
skipped", which are those of which nothing is compiled here
"""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import kbuild
from kbuild import CACHE, LLVM, ROOT, run, say

WORK = CACHE / "each-patch"
SRC = WORK / "src"
JOBS = os.environ.get("JOBS") or str(os.cpu_count())
COMPILERS = os.environ.get("COMPILERS", "clang gcc").split()
USERS = 8
MODULES = """
# CONFIG_WERROR is not set
# CONFIG_DRM_WERROR is not set
CONFIG_DEBUG_INFO_NONE=y
# CONFIG_GCC_PLUGINS is not set
# CONFIG_MODVERSIONS is not set
# CONFIG_KASAN is not set
# CONFIG_KCOV is not set
# CONFIG_RUST is not set
"""
# What a Rust file is part of.
CRATES = {"rust/kernel/": "rust/kernel.o", "rust/helpers/": "rust/helpers/helpers.o",
          "rust/bindings/": "rust/kernel.o", "kernel/pidspace/": "kernel/pidspace/pidspace.o"}
# Always, once the core has begun: they include most of what it changes.
CORE = ("kernel/pid.o", "kernel/fork.o", "kernel/exit.o", "kernel/signal.o",
        "kernel/pid_namespace.o", "fs/proc/base.o")
# The compilers, kernel-doc, and rustc, which says where in the next line.
WARNING = re.compile(r"^(?P<file>\S+?):\d+(?::\d+)?: (?P<text>warning: .*)$"
                     r"|^Warning: (?P<kdoc>\S+?):\d+ (?P<about>.*)$"
                     r"|^(?P<lint>warning: .*)\n *--> (?P<rust>\S+?):\d+:\d+$", re.M)


def series() -> list[tuple[str, str]]:
    """(kind of configuration, patch) in order."""
    kind, found = "modules", []
    for line in (ROOT / "series").read_text(encoding="utf-8").splitlines():
        name = line.split("#")[0].strip()
        if name:
            found.append((kind, name))
            if "READ_ONCE" in name:
                kind = "base"
    if kind != "base":
        sys.exit("error: series: no patch of READ_ONCE, where the sweep ends")
    return found


def touched(patch: str) -> list[str]:
    """The files that a patch changes and does not delete."""
    text = (ROOT / "patches" / patch).read_text("latin-1")
    return sorted(set(re.findall(r"^\+\+\+ b/(\S+)$", text, re.M)))


def objects(kind: str, patch: str) -> list[str]:
    """What to compile after a patch."""
    found: list[str] = list(CORE) if kind == "base" else []
    for file in touched(patch):
        if file.startswith(("Documentation/", "tools/", "scripts/", "samples/pidspace")):
            continue
        if file.startswith("arch/") and not file.startswith("arch/x86/"):
            continue
        if file.endswith(".rs") or file.startswith(("rust/helpers/", "rust/bindings/")):
            found += [crate for where, crate in CRATES.items() if file.startswith(where)]
        elif file.endswith("asm-offsets.c"):
            continue
        elif file.endswith(".c"):
            found.append(kbuild.target(file, "x86"))
        elif file.endswith(".h"):
            found += [kbuild.target(user, "x86") for user in kbuild.users(SRC, file)[:USERS]]
    return list(dict.fromkeys(found))


def warnings(log: str) -> dict[str, set[str]]:
    """The warnings in a log of make, by file; without the line, which a patch may move."""
    result: dict[str, set[str]] = {}
    for found in WARNING.finditer(log):
        file = found["file"] or found["kdoc"] or found["rust"]
        name = re.sub(r"^(\.\./)+|^" + re.escape(f"{SRC}/"), "", file)
        result.setdefault(name, set()).add(found["text"] or found["about"] or found["lint"])
    return result


@dataclasses.dataclass
class Result:
    """What came of a compilation: reasons by target, warnings by file."""

    log: str
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    warnings: dict[str, set[str]] = dataclasses.field(default_factory=dict)


class Build:
    """One compiler with one configuration."""

    def __init__(self, compiler: str, kind: str) -> None:
        self.compiler, self.kind = compiler, kind
        self.out = WORK / f"{kind}-{compiler}"
        self.rust = kind == "base" and compiler == "clang"

    def make(self, *args: str) -> subprocess.CompletedProcess[str]:
        """The kernel's make."""
        tools = [f"LLVM=-{LLVM}", f"CC=ccache clang-{LLVM}"] if self.compiler == "clang" else ["CC=ccache gcc"]
        rust = ["RUSTC=/usr/bin/rustc", f"BINDGEN={CACHE}/bindgen/bin/bindgen"]
        env = kbuild.environment(
            PATH=f"/usr/bin:/bin:{os.environ['PATH']}", CCACHE_DIR=str(CACHE / "ccache"),
            CCACHE_BASEDIR=str(CACHE), KCONFIG_ALLCONFIG=str(WORK / "all.config"))
        return run("make", "-C", SRC, f"O={self.out}", "ARCH=x86_64", *tools, *rust,
                   f"-j{JOBS}", "--output-sync=target", "KBUILD_BUILD_TIMESTAMP=0", "W=1", *args,
                   stderr=subprocess.STDOUT, env=env)

    def configure(self) -> None:
        """Write .config."""
        self.out.mkdir(parents=True, exist_ok=True)
        if self.kind == "modules":
            text, base = MODULES, "allmodconfig"
        else:
            fragments = ["boot", "base", *(["pidspace"] if self.rust else [])]
            text = "".join((ROOT / f"ci/config/{f}.config").read_text(encoding="utf-8") for f in fragments)
            if not self.rust:
                text = text.replace("CONFIG_RUST=y", "# CONFIG_RUST is not set")
            text, base = text.replace("CONFIG_WERROR=y", ""), "allnoconfig"
        (WORK / "all.config").write_text(text, encoding="utf-8")
        if (done := self.make(base)).returncode:
            sys.exit(f"error: {self.out.name}: make {base}: {done.stdout}")

    def compile(self, targets: list[str]) -> Result:
        """Compile targets, whether they are there or not."""
        for target in targets:
            (self.out / target).unlink(missing_ok=True)
        done = self.make("-k", *targets)
        said = kbuild.failures(done.stdout)
        failed = {t: said.get(t, "not built by this configuration") for t in targets if not (self.out / t).exists()}
        return Result(done.stdout, failed, warnings(done.stdout))


def check(build: Build, patch: str, targets: list[str]) -> tuple[int, list[str]]:
    """How much of a patch that has been applied was compiled, and what is wrong with it."""
    files = touched(patch)
    configures = any(Path(f).name.startswith("Kconfig") for f in files)
    if configures or not (build.out / ".config").exists():
        build.configure()
    now = build.compile(targets)
    (WORK / f"{patch}-{build.out.name}.log").write_text(now.log, encoding="utf-8")
    complaints = {f: now.warnings[f] for f in files if f in now.warnings}
    if not now.failed and not complaints:
        return len(targets), []
    where = [ROOT / "patches" / patch]
    kbuild.apply(SRC, where, "-R")
    if configures:
        build.configure()
    # Only what complains; a header may do so in any object. Rust's are crates, with or
    # without that file.
    sources = {kbuild.target(f, "x86") for f in complaints if f.endswith(".c")}
    again = [t for t in targets if t in now.failed or t in sources or len(sources) < len(complaints)]
    before = build.compile([t for t in again if t.startswith(("rust/", "kernel/pidspace/"))
                            or (SRC / f"{t[:-2]}.c").exists()])
    kbuild.apply(SRC, where)
    if configures:
        build.configure()
    wrong = [f"{target}: {reason}" for target, reason in now.failed.items() if target not in before.failed]
    for file, texts in complaints.items():
        wrong += [f"{file}: {text}" for text in sorted(texts - before.warnings.get(file, set()))]
    return len(targets) - len(now.failed), [f"{build.compiler}: {line}" for line in wrong]


def main() -> int:
    """The command line."""
    patterns = sys.argv[1:] or ["*"]
    patches = series()
    wanted = {p for _, p in patches if any(fnmatch.fnmatch(p, x) for x in patterns)}
    if not wanted:
        sys.exit("error: no patch has a name like that")
    pristine = kbuild.pristine_tree()
    WORK.mkdir(parents=True, exist_ok=True)
    # A file that has changed is newer than all that was made of it, also on the way back.
    if run("rsync", "-a", "--no-times", "--delete", "--checksum", f"{pristine}/", f"{SRC}/").returncode:
        sys.exit("error: rsync")
    builds = {(c, k): Build(c, k) for c in COMPILERS for k in ("modules", "base")}
    for build in builds.values():
        (build.out / ".config").unlink(missing_ok=True)
    say(f"  {len(wanted)} patches")

    passed = failed = skipped = 0
    for kind, patch in patches:
        kbuild.apply(SRC, [ROOT / "patches" / patch])
        if patch not in wanted:
            continue
        start = time.monotonic()
        wrong: list[str] = []
        compiled = count = 0
        rust = any(f.startswith("rust/") for f in touched(patch))
        for compiler, which in itertools.product(COMPILERS, ("modules", "base")):
            # Before the core there is Rust here and there, which the modules have not.
            if which != kind and not (rust and which == "base" and compiler == "clang"):
                continue
            build = builds[compiler, which]
            targets = objects(which, patch)
            if not build.rust:
                targets = [t for t in targets if not t.startswith(("rust/", "kernel/pidspace/"))]
            if targets:
                done, complaints = check(build, patch, targets)
                compiled, count, wrong = compiled + done, count + len(targets), wrong + complaints
        if not compiled and not wrong:
            skipped += 1
            print(f"  skipped: {patch} (0 of {count} objects)", flush=True)
            continue
        passed, failed = passed + (not wrong), failed + bool(wrong)
        print(f"  {'FAILED' if wrong else 'ok'}: {patch} ({compiled} of {count} objects, {time.monotonic() - start:.0f} s)", flush=True)
        for line in wrong:
            print(f"      {line}", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
