#!/usr/bin/env python3
"""Every patch builds on its own: apply them one after the other, and after each
compile what it touches, with W=1, by clang and by gcc.

Of a touched header up to eight files that include it are compiled, of a touched
Rust file of the kernel crate or the core that crate. The leaks and the sweep are
tried with allmodconfig, without Rust; what follows with ci/config/base.config,
and by gcc without Rust, which leaves out what depends on it.
What fails to compile before the series, or is not built by that configuration, is
not tried. A warning is new if that file did not have it before the series.

each-patch.py [PATTERN...]      of file names; the last line is "N passed, N failed"
"""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pidspace"
WORK = CACHE / "each-patch"
SRC = WORK / "src"
JOBS = os.environ.get("JOBS") or str(os.cpu_count())
COMPILERS = os.environ.get("COMPILERS", "clang gcc").split()
LLVM = "19"
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
WARNING = re.compile(r"^(\S+?):\d+(?::\d+)?: (warning: .*)$", re.M)


def say(message: str) -> None:
    """Progress."""
    print(message, file=sys.stderr, flush=True)


def run(*args: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command, quietly."""
    return subprocess.run(args, capture_output=True, text=True, errors="replace",
                          check=False, **options)  # type: ignore[call-overload, no-any-return]


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


def users(header: str) -> list[str]:
    """Objects of files that include a header, those that trace through it first."""
    short = header.split("include/", 1)[1] if "include/" in header else Path(header).name
    top = header.split("/")[0]
    where = ["kernel", "mm", "fs", "drivers", "net", "security"] if top == "include" \
        else [str(Path(header).parent)]
    files = run("grep", "-rlE", "--include=*.c", rf'^#include [<"]([^">]*/)?{re.escape(short)}[>"]',
                *where, cwd=SRC).stdout.splitlines()
    files.sort(key=lambda f: ("CREATE_TRACE_POINTS" not in (SRC / f).read_text("latin-1"), f))
    return [f[:-2] + ".o" for f in files[:USERS]]


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
            found.append(file[:-2] + ".o")
        elif file.endswith(".h"):
            found += users(file)
    return list(dict.fromkeys(found))


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
        env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        env |= {"PATH": f"/usr/bin:/bin:{env['PATH']}", "CCACHE_DIR": str(CACHE / "ccache"),
                "CCACHE_BASEDIR": str(CACHE), "KCONFIG_ALLCONFIG": str(WORK / "all.config")}
        return run("make", "-C", SRC, f"O={self.out}", "ARCH=x86_64", *tools, *rust,
                   f"-j{JOBS}", "KBUILD_BUILD_TIMESTAMP=0", "W=1", *args, env=env)

    def configure(self) -> str:
        """Write .config and what everything includes; an error or nothing."""
        self.out.mkdir(parents=True, exist_ok=True)
        if self.kind == "modules":
            (WORK / "all.config").write_text(MODULES, encoding="utf-8")
            done = self.make("allmodconfig")
        else:
            fragments = ["boot", "base", *(["pidspace"] if self.rust else [])]
            text = "".join((ROOT / f"ci/config/{f}.config").read_text(encoding="utf-8") for f in fragments)
            if not self.rust:
                text = text.replace("CONFIG_RUST=y", "# CONFIG_RUST is not set")
            (WORK / "all.config").write_text(text.replace("CONFIG_WERROR=y", ""), encoding="utf-8")
            done = self.make("allnoconfig")
        if not done.returncode:
            done = self.make("prepare")
        return "" if not done.returncode else "\n".join((done.stdout + done.stderr).splitlines()[-12:])

    def compile(self, targets: list[str]) -> tuple[str, dict[str, set[str]]]:
        """The log, and the warnings of each file."""
        done = self.make("-k", *targets)
        log = done.stdout + done.stderr
        warnings: dict[str, set[str]] = {}
        for file, text in WARNING.findall(log):
            warnings.setdefault(re.sub(r"^(\.\./)+|^" + re.escape(f"{SRC}/"), "", file), set()).add(text)
        return log, warnings


def apply(patch: str) -> None:
    """Patch SRC."""
    done = run("patch", "-p1", "-s", "-f", "--fuzz=0", "-i", ROOT / "patches" / patch, cwd=SRC)
    if done.returncode:
        sys.exit(f"error: {patch}: {done.stdout}")


def check(build: Build, patch: str, targets: list[str], known: set[str]) -> list[str]:
    """What is wrong with a patch."""
    if not targets:
        return []
    if error := build.configure():
        return [f"{build.compiler}: make prepare: {error}"]
    for target in targets:
        (build.out / target).unlink(missing_ok=True)
    log, warnings = build.compile(targets)
    wrong = []
    for target in targets:
        if not (build.out / target).exists() and not re.search(rf"No rule to make target '{re.escape(target)}'", log):
            reason = re.search(r"^(\S+:\d+:\d+: (?:fatal )?error: .*)$", log, re.M)
            wrong.append(f"{build.compiler}: {target}: {reason.group(1) if reason else 'not built'}")
    files = set(touched(patch))
    for file, texts in warnings.items():
        wrong += [f"{build.compiler}: {file}: {text}" for text in sorted(texts)
                  if file in files and f"{build.compiler} {file} {text}" not in known]
    (WORK / f"{patch}-{build.compiler}.log").write_text(log, encoding="utf-8")
    return wrong


def main() -> int:
    """The command line."""
    patterns = sys.argv[1:] or ["*"]
    patches = series()
    wanted = {p for _, p in patches if any(fnmatch.fnmatch(p, x) for x in patterns)}
    if not wanted:
        sys.exit("error: no patch has a name like that")
    script = f". {ROOT}/scripts/lib.sh; {ROOT}/scripts/source.sh >&2; echo $pristine"
    pristine = run("bash", "-c", script).stdout.strip()
    if not pristine:
        sys.exit("error: no pristine tree")
    WORK.mkdir(parents=True, exist_ok=True)
    # Checksums: a tree that is the same but for its dates compiles nothing again.
    if run("rsync", "-a", "--delete", "--checksum", f"{pristine}/", f"{SRC}/").returncode:
        sys.exit("error: rsync")
    builds = {(c, k): Build(c, k) for c in COMPILERS for k in ("modules", "base")}
    say(f"  {len(wanted)} patches")

    # What those files say before the series: with the names that the patches touch.
    known: set[str] = set()
    unbuilt: dict[tuple[str, str], set[str]] = {key: set() for key in builds}
    for (compiler, kind), build in builds.items():
        targets = sorted({t for k, p in patches if k == kind and p in wanted
                          for t in objects(kind, p) if (SRC / (t[:-2] + ".c")).exists()})
        if not targets:
            continue
        say(f"  {compiler}, {kind}: {len(targets)} objects before the series")
        if error := build.configure():
            sys.exit(f"error: {compiler}, {kind}: make prepare: {error}")
        log, warnings = build.compile(targets)
        (WORK / f"before-{kind}-{compiler}.log").write_text(log, encoding="utf-8")
        unbuilt[compiler, kind] = {t for t in targets if not (build.out / t).exists()}
        known |= {f"{compiler} {file} {text}" for file, texts in warnings.items() for text in texts}

    passed = failed = 0
    for kind, patch in patches:
        apply(patch)
        if patch not in wanted:
            continue
        wrong: list[str] = []
        count = 0
        for compiler in COMPILERS:
            build = builds[compiler, kind]
            targets = [t for t in objects(kind, patch) if t not in unbuilt[compiler, kind]]
            if not build.rust:
                targets = [t for t in targets if not t.startswith(("rust/", "kernel/pidspace/"))]
            count += len(targets)
            wrong += check(build, patch, targets, known)
        passed, failed = passed + (not wrong), failed + bool(wrong)
        print(f"  {'FAILED' if wrong else 'ok'}: {patch} ({count} objects)", flush=True)
        for line in wrong:
            print(f"      {line}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
