#!/usr/bin/env python3
"""Every patch builds on its own: apply them one after the other, and after each
compile what it touches, with W=1, by clang and by gcc.

Of a touched header up to eight files that see it are compiled, of a touched Rust file
of the kernel crate or the core that crate, and the file is looked at by rustfmt. What comes before the core of the series is tried with allmodconfig, without
Rust; what follows with ci/config/base.config, CONFIG_PIDSPACE switched on (clang) and
off (both), and after each of these the kernel of ci/config/step.config is built and
booted, switched on, with the one job that every kernel can do. After the switch a patch
of kselftests has the tests run that it adds, in the kernel of the base configuration.
What a compiler does not like is held against a patch unless it says the same, of the
same file, without that patch.

What has been found out about a patch, with the same patches before it, is not tried
again. BOOT=0: compile only.

each_patch.py [PATTERN...]      of file names; the last line is "N passed, N failed, N
skipped", which are those of which nothing is compiled here
"""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import kbuild
import series
from kbuild import CACHE, LLVM, ROOT, run, say

WORK = CACHE / "each-patch"
SRC = WORK / "src"
JOBS = os.environ.get("JOBS") or str(os.cpu_count())
COMPILERS = os.environ.get("COMPILERS", "clang gcc").split()
USERS = 8
BOOT = os.environ.get("BOOT", "1") != "0"
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


def patches() -> list[tuple[str, str]]:
    """(kind of configuration, patch) in order."""
    entries = series.load()
    earlier, swept, _ = series.sweep(entries)
    # Up to the one after the gate, which changes the accessors once more.
    end = len(earlier) + len(swept) + 1
    return [("modules" if i < end else "core", entry.name) for i, entry in enumerate(entries)]


def path(patch: str) -> Path:
    """The file of a patch."""
    return Path(os.environ.get("SERIES_DIR") or ROOT) / "patches" / patch


def touched(patch: str) -> list[str]:
    """The files that a patch changes and does not delete."""
    return sorted(set(re.findall(r"^\+\+\+ b/(\S+)$", path(patch).read_text("latin-1"), re.M)))


def objects(kind: str, patch: str) -> list[str]:
    """What to compile after a patch."""
    found: list[str] = list(CORE) if kind != "modules" else []
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
        self.rust = kind in ("on", "off", "boot") and compiler == "clang"

    def make(self, *args: str) -> subprocess.CompletedProcess[str]:
        """The kernel's make."""
        tools = [f"LLVM=-{LLVM}", f"CC=ccache clang-{LLVM}"] if self.compiler == "clang" else ["CC=ccache gcc"]
        rust = ["RUSTC=/usr/bin/rustc", f"BINDGEN={CACHE}/bindgen/bin/bindgen"]
        env = kbuild.environment(
            PATH=f"/usr/bin:/bin:{os.environ['PATH']}", CCACHE_DIR=str(CACHE / "ccache"),
            CCACHE_BASEDIR=str(CACHE), KCONFIG_ALLCONFIG=str(WORK / "all.config"))
        return run("make", "-C", SRC, f"O={self.out}", "ARCH=x86_64", *tools, *rust,
                   f"-j{JOBS}", "--output-sync=target", "KBUILD_BUILD_TIMESTAMP=0", *([] if self.kind == "boot" else ["W=1"]), *args,
                   stderr=subprocess.STDOUT, env=env)

    def configure(self) -> None:
        """Write .config."""
        self.out.mkdir(parents=True, exist_ok=True)
        if self.kind == "modules":
            text, base = MODULES, "allmodconfig"
        else:
            fragments = {"on": ["boot", "base", "pidspace"], "off": ["boot", "base"],
                         "boot": ["step", "pidspace"]}[self.kind]
            text = "".join((ROOT / f"ci/config/{f}.config").read_text(encoding="utf-8") for f in fragments)
            if not self.rust:
                text = text.replace("CONFIG_RUST=y", "# CONFIG_RUST is not set")
            if self.kind != "boot":
                text = text.replace("CONFIG_WERROR=y", "")
            base = "allnoconfig"
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


def write_log(patch: str, build: Build, text: str) -> None:
    """Keep what make said."""
    (WORK / f"{patch.replace('/', '-')}-{build.out.name}.log").write_text(text, encoding="utf-8")


def check(build: Build, patch: str, targets: list[str]) -> tuple[int, list[str]]:
    """How much of a patch that has been applied was compiled, and what is wrong with it."""
    files = touched(patch)
    configures = any(Path(f).name.startswith("Kconfig") for f in files)
    if configures or not (build.out / ".config").exists():
        build.configure()
    now = build.compile(targets)
    write_log(patch, build, now.log)
    complaints = {f: now.warnings[f] for f in files if f in now.warnings}
    if not now.failed and not complaints:
        return len(targets), []
    where = [path(patch)]
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


def boots(build: Build, patch: str) -> list[str]:
    """Build the small kernel and boot it."""
    if not (build.out / ".config").exists() or any(Path(f).name.startswith("Kconfig") for f in touched(patch)):
        build.configure()
    done = build.make("bzImage")
    write_log(patch, build, done.stdout)
    if done.returncode:
        return [f"boot: {error}" for error in kbuild.failures(done.stdout).values()] or ["boot: it does not link"]
    return guest(patch, build.out / "arch/x86/boot/bzImage", build.out, "off")


def guest(patch: str, image: Path, out: Path, job: str, *options: str) -> list[str]:
    """Run a job in a guest; what is wrong."""
    log = WORK / f"{patch.replace('/', '-')}-{job}.console"
    initrd = run("bash", ROOT / "scripts/initramfs.sh", SRC, out)
    if initrd.returncode:
        return [f"{job}: no initramfs: {initrd.stderr.strip().splitlines()[-1:]}"]
    done = run("bash", ROOT / "scripts/guest.sh", SRC, image, initrd.stdout.split()[-1], job, log, *options)
    print("".join(f"      {line}\n" for line in done.stdout.splitlines()[-1:] if "passed" in line), end="")
    return [f"{job} failed: {log}"] if done.returncode else []


def selftests(patch: str, build: Build) -> list[str]:
    """Run the kselftests that a patch adds, in the kernel of the base configuration."""
    programs = [Path(f).stem for f in touched(patch) if re.search(r"selftests/pidspace/\w+_test\.c$", f)]
    if not programs:
        return []
    if not (build.out / ".config").exists():
        build.configure()
    if not (build.out / ".image").exists():
        done = build.make("bzImage")
        write_log(patch, build, done.stdout)
        if done.returncode:
            return ["kselftest: the kernel does not build"]
        (build.out / ".image").touch()
    return guest(patch, build.out / "arch/x86/boot/bzImage", build.out, "kselftest", "--timeout", "1500",
                 "--args", ",".join(programs))


def format_of(patch: str) -> list[str]:
    """What rustfmt says of the touched Rust files."""
    files = [SRC / f for f in touched(patch) if f.endswith(".rs")]
    if not files:
        return []
    done = run("/usr/bin/rustfmt", "--check", "--edition", "2021", "--config-path", SRC / ".rustfmt.toml", *files)
    return [f"rustfmt: {line}" for line in done.stdout.splitlines() if line.startswith("Diff in")]


@dataclasses.dataclass
class Verdict:
    """What was found out about a patch."""

    compiled: int = 0
    count: int = 0
    wrong: list[str] = dataclasses.field(default_factory=list)


def judge(kind: str, patch: str, builds: dict[tuple[str, str], Build], boot: bool) -> Verdict:
    """Try a patch that has been applied."""
    found = Verdict(wrong=format_of(patch))
    rust = any(f.startswith("rust/") for f in touched(patch))
    for compiler, which in itertools.product(COMPILERS, ("modules", "on", "off")):
        # Before the core there is Rust here and there, which the modules have not.
        wanted = which == "modules" if kind == "modules" else which == "off" or which == "on" and compiler == "clang"
        if not wanted and not (rust and which == "off" and compiler == "clang"):
            continue
        build = builds[compiler, which]
        targets = objects(which, patch)
        if not build.rust:
            targets = [t for t in targets if not t.startswith(("rust/", "kernel/pidspace/"))]
        if which == "off":
            targets = [t for t in targets if not t.startswith(("kernel/pidspace/", "fs/proc/pidspace"))]
        targets = [t for t in targets if t.startswith("rust/") or (SRC / t).with_suffix(".c").exists()
                   or (SRC / t).with_suffix(".rs").exists() or ".." in t]
        if targets:
            done, complaints = check(build, patch, targets)
            found.compiled, found.count = found.compiled + done, found.count + len(targets)
            found.wrong += [f"{which}: {line}" for line in complaints]
    if boot and not found.wrong and "clang" in COMPILERS:
        tests = patch.startswith("tests/")
        found.wrong += selftests(patch, builds["clang", "tests"]) if tests else boots(builds["clang", "boot"], patch)
        found.compiled, found.count = found.compiled + tests, found.count + tests
    return found


def main() -> int:
    """The command line."""
    patterns = sys.argv[1:] or ["*"]
    every = patches()
    wanted = {p for _, p in every if any(fnmatch.fnmatch(p, x) or fnmatch.fnmatch(p, f"*/{x}") for x in patterns)}
    if not wanted:
        sys.exit("error: no patch has a name like that")
    pristine = kbuild.pristine_tree()
    (WORK / "results").mkdir(parents=True, exist_ok=True)
    # A file that has changed is newer than all that was made of it, also on the way back.
    if run("rsync", "-a", "--no-times", "--delete", "--checksum", f"{pristine}/", f"{SRC}/").returncode:
        sys.exit("error: rsync")
    builds = {(c, k): Build(c, k) for c in COMPILERS for k in ("modules", "on", "off")}
    builds |= {("clang", "boot"): Build("clang", "boot"), ("clang", "tests"): Build("clang", "on")}
    builds["clang", "tests"].out = WORK / "tests-clang"
    for build in builds.values():
        (build.out / ".config").unlink(missing_ok=True)
        (build.out / ".image").unlink(missing_ok=True)
    say(f"  {len(wanted)} patches")

    passed = failed = skipped = 0
    switchable = False
    before = hashlib.sha256(Path(__file__).read_bytes())
    for config in sorted((ROOT / "ci/config").iterdir()):
        before.update(config.read_bytes())
    for kind, patch in every:
        kbuild.apply(SRC, [path(patch)])
        # Not what only says where the patch has been made.
        before.update(re.sub(rb"^(index |@@ ).*$", b"", path(patch).read_bytes().partition(b"\ndiff ")[2], flags=re.M))
        switchable = switchable or "kernel/pidspace/Kconfig" in touched(patch)
        if patch not in wanted:
            continue
        start = time.monotonic()
        boot = BOOT and switchable
        known = WORK / "results" / f"{before.hexdigest()[:24]}-{'-'.join(COMPILERS)}-{boot}"
        if known.exists():
            found = Verdict(**json.loads(known.read_text(encoding="utf-8")))
        else:
            found = judge(kind, patch, builds, boot)
            if not found.wrong:
                known.write_text(json.dumps(dataclasses.asdict(found)), encoding="utf-8")
        if not found.compiled and not found.wrong:
            skipped += 1
            print(f"  skipped: {patch} (0 of {found.count} objects)", flush=True)
            continue
        passed, failed = passed + (not found.wrong), failed + bool(found.wrong)
        print(f"  {'FAILED' if found.wrong else 'ok'}: {patch} ({found.compiled} of {found.count} objects"
              f"{', booted' if boot and not found.wrong else ''}, {time.monotonic() - start:.0f} s)", flush=True)
        for line in found.wrong:
            print(f"      {line}", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
