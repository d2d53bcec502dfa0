#!/usr/bin/env python3
"""Compile what the sweep touches before and after it, and compare the code.

For each architecture and compiler: allmodconfig without what records line or
column numbers everywhere (debug info, sanitizers, coverage), without the text of what
WARN_ON() looks at, and without kCFI, whose type ids change with a const; then every touched .c
file, and for a touched header up to three files that include it, with __LINE__ fixed:
line numbers may differ. All sections that end up in memory, and their relocations, must
be the same. What may differ besides, with gcc, is the order of independent
instructions, since its scheduler breaks ties by numbers of its own, and which side of a
comparison is which: the result of an inline function comes second where a member came first.

"Before" has the patches that the series has before the sweep. The sweep counts up
to the gate, "raw access [...] a compile error"; the patch after it, READ_ONCE(), is
the one that may change code.

usage: sweep_objects.py [ARCH-COMPILER...]     such as x86-clang or sparc64-gcc
(ci/sweep/cross-packages.txt lists the compilers). What has been compared is not
compared again until a patch changes what that row sees, all but other architectures.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import kbuild
from kbuild import LLVM, ROOT, run, say
from loaded import differing
from sweep import version_of

WORK = kbuild.CACHE / "sweep-objects"
SRC = WORK / "src"
REPORT = Path(os.environ.get("REPORT", ROOT / "Documentation/sweep-objects.txt"))
JOBS = os.environ.get("JOBS") or str(os.cpu_count())
# What allmodconfig of x86 leaves out: options that exclude others, and limits of the default.
# KASAN=y is for mm/kasan; nothing is compiled with it, see make().
REST = """
CONFIG_CONNECTOR=y
CONFIG_PROC_EVENTS=y
# CONFIG_TRIM_UNUSED_KSYMS is not set
CONFIG_LIVEPATCH=y
CONFIG_UNWINDER_FRAME_POINTER=y
CONFIG_RV_PER_TASK_MONITORS=8
CONFIG_KASAN=y
# CONFIG_DEBUG_INFO_NONE is not set
CONFIG_DEBUG_INFO_DWARF4=y
# CONFIG_DEBUG_INFO_REDUCED is not set
# CONFIG_DEBUG_INFO_SPLIT is not set
CONFIG_DEBUG_INFO_BTF=y
"""


class Arch(NamedTuple):
    """One configuration."""

    arch: str                   # ARCH=
    own: str = ""               # directories and files that are compiled here, besides CORE
    triplet: str = ""           # of gcc
    config: str = "allmodconfig"
    options: str = ""           # besides CONFIG


ARCHES = {
    "x86": Arch("x86_64", triplet="x86_64-linux-gnu"),
    "x86-rest": Arch("x86_64", "kernel/trace/rv include/rv kernel/livepatch kernel/sched/ext mm/kasan "
                     "drivers/connector arch/x86/kernel/unwind_frame.c", "x86_64-linux-gnu", options=REST),
    "arm64": Arch("arm64", "arch/arm64", "aarch64-linux-gnu"),
    "arm": Arch("arm", "arch/arm", "arm-linux-gnueabi"),
    "arm-nommu": Arch("arm", "mm/nommu.c fs/binfmt_elf_fdpic.c", "arm-linux-gnueabi", "mps2_defconfig"),
    "powerpc": Arch("powerpc", "arch/powerpc drivers/misc/ocxl drivers/crypto/nx", "powerpc64le-linux-gnu",
                    options="# CONFIG_COMPAT is not set\n"),  # one vdso less that does not link with FIXED
    "s390": Arch("s390", "arch/s390 drivers/s390", "s390x-linux-gnu"),
    "mips": Arch("mips", "arch/mips", "mips64-linux-gnuabi64"),
    "mips-abis": Arch("mips", "arch/mips/kernel/signal_n32.c arch/mips/kernel/signal_o32.c", "mips64-linux-gnuabi64",
                      "ip27_defconfig"),
    "riscv": Arch("riscv", "arch/riscv", "riscv64-linux-gnu"),
    "loongarch": Arch("loongarch", "arch/loongarch"),
    "sparc64": Arch("sparc64", "arch/sparc drivers/sbus", "sparc64-linux-gnu"),
    "parisc": Arch("parisc", "arch/parisc", "hppa-linux-gnu"),
    "m68k": Arch("m68k", "arch/m68k", "m68k-linux-gnu"),
    "m68k-coldfire": Arch("m68k", "arch/m68k/coldfire", "m68k-linux-gnu", "m5475evb_defconfig"),
    "alpha": Arch("alpha", "arch/alpha", "alpha-linux-gnu"),
    "sh": Arch("sh", "arch/sh", "sh4-linux-gnu"),
    "arc": Arch("arc", "arch/arc", "arc-linux-gnu"),
    "hexagon": Arch("hexagon", "arch/hexagon"),
    "um": Arch("um", "arch/um arch/x86/um"),
}
# An object for which this does not work is compiled without it.
FIXED = "KCFLAGS=-Wno-builtin-macro-redefined -D__LINE__=1"
PLAIN = "KCFLAGS="
# No compiler in Debian, and no usable clang target.
NONE = ("csky", "microblaze", "nios2", "openrisc", "xtensa")
# What every architecture compiles besides its own.
CORE = ("kernel/fork.c", "kernel/pid.c", "kernel/exit.c", "kernel/signal.c",
        "kernel/sched/core.c", "fs/locks.c", "mm/oom_kill.c")
CONFIG = """
CONFIG_DEBUG_INFO_NONE=y
# CONFIG_WERROR is not set
# CONFIG_KASAN is not set
# CONFIG_KCSAN is not set
# CONFIG_KMSAN is not set
# CONFIG_KCOV is not set
# CONFIG_UBSAN is not set
# CONFIG_GCOV_KERNEL is not set
# CONFIG_DEBUG_BUGVERBOSE_DETAILED is not set
# CONFIG_CFI is not set
# CONFIG_GCC_PLUGINS is not set
# CONFIG_MODVERSIONS is not set
# CONFIG_RUST is not set
CONFIG_RANDSTRUCT_NONE=y
"""


def split(name: str) -> tuple[Arch, str]:
    """What a row is of: the configuration and the compiler."""
    arch, compiler = name.rsplit("-", 1)
    return ARCHES[arch], compiler


def instructions(name: str, path: Path) -> list[str]:
    """The instructions and relocations of an object, without where they are."""
    here, compiler = split(name)
    tool = f"llvm-objdump-{LLVM}" if compiler == "clang" else f"{here.triplet}-objdump"
    # "12:\tmove.l %d0,%d1", "<f+0x12>", and "13: R_X86_64_32S\tdata"
    lines = run(tool, "-dr", "--no-show-raw-insn", path).stdout.splitlines()[3:]
    return [re.sub(r"^\s*[0-9a-f]+:|[0-9a-f]+ <.*>", "", line).strip() for line in lines]


def same_but(name: str, before: Path, after: Path) -> str:
    """In what way two objects have the same instructions; nothing if they do not."""
    one, two = instructions(name, before), instructions(name, after)
    if sorted(one) == sorted(two) and any(one):
        return "order of instructions"

    def operands(lines: list[str]) -> list[str]:
        """The instructions, but of loads and comparisons the operands one by one; which
        register is used in between does not matter, where a load is from does."""
        found = []
        for line in lines:
            if move := re.match(r"(mov|cmp)[a-z]*\s+(.*?)\s*(#.*)?$", line):
                parts = re.findall(r"[^,(]*\([^)]*\)|[^,]+", move[2])
                found += [move[1], *(re.sub(r"^%\w+$", "%", part.strip()) for part in parts)]
            else:
                found.append(line)
        return sorted(found)

    return "sides of a comparison" if operands(one) == operands(two) and any(one) else ""


def parts() -> tuple[list[Path], list[Path]]:
    """The patches before the sweep, and those of it up to the gate."""
    earlier, found, _ = series.sweep(series.load())
    return [entry.path for entry in earlier], [entry.path for entry in found]


@functools.cache
def key(name: str) -> str:
    """A checksum of what the patches change, without the files of other architectures."""
    arch = split(name)[0].arch
    own = {"x86_64": ("x86",), "um": ("um", "x86")}.get(arch, (arch,))
    digest = hashlib.sha256(version_of(SRC).encode())
    for part in parts():
        for patch in part:
            for change in re.split(rb"^diff --git (?=a/)", patch.read_bytes(), flags=re.M)[1:]:
                where = change.decode("latin-1").split()[0].split("/")
                if where[1] != "arch" or where[2] in own:
                    # The lines of a hunk; where it is depends on the patches before it.
                    digest.update(re.sub(rb"^(index|@@) .*$|^-- \n.*$", b"", change, flags=re.M))
    return digest.hexdigest()


def touched() -> list[str]:
    """The C files that the patches change."""
    files: set[str] = set()
    for patch in parts()[1]:
        files |= set(re.findall(r"^\+\+\+ b/(\S+\.[ch])$", patch.read_text("latin-1"), re.M))
    return sorted(f for f in files if not f.startswith("tools/"))


def switch(after: bool) -> None:
    """Apply the sweep to SRC, or take it back."""
    state = WORK / "state"
    if state.read_text() != ("after" if after else "before"):
        state.unlink()
        patches = parts()[1]
        kbuild.apply(SRC, patches if after else patches[::-1], *([] if after else ["-R"]))
        state.write_text("after" if after else "before")


def objects(arch: str, files: list[str]) -> dict[str, str]:
    """The object to compile for each touched file: {target: file}."""
    here = ARCHES[arch]
    own = here.own.split()
    sources: dict[str, str] = {}
    headers = []
    for file in files:
        if arch == "x86":
            if file.startswith("arch/") and not file.startswith("arch/x86/"):
                continue
        elif not any(file == d or file.startswith(d + "/") for d in own) and file not in CORE:
            continue
        if file.endswith(".h"):
            headers.append(file)
        elif not file.endswith("asm-offsets.c"):  # prepare compiles it
            sources[file] = file
    for header in headers:
        for source in kbuild.users(SRC, header)[:3]:
            sources.setdefault(source, header)
    return {kbuild.target(source, here.arch.split("_")[0]): file for source, file in sources.items()}


def make(name: str, *args: str) -> subprocess.CompletedProcess[str]:
    """The kernel's make for one architecture and compiler."""
    here, compiler = split(name)
    tools = [f"LLVM=-{LLVM}"]
    if compiler == "gcc":
        tools = ["CC=gcc"] if here.arch == "x86_64" else [f"CROSS_COMPILE={here.triplet}-"]
    return run("nice", "-n", "19", "make", "-C", SRC, f"O={WORK / name}", f"ARCH={here.arch}",
               *tools, "CFLAGS_KASAN=", f"-j{JOBS}", "--output-sync=target", "KBUILD_BUILD_TIMESTAMP=0", *args,
               stderr=subprocess.STDOUT, env=kbuild.environment(KCONFIG_ALLCONFIG=str(WORK / name / "all.config")))


def build(name: str, targets: list[str], flags: str) -> dict[str, str]:
    """Compile targets; return what the log says about those that failed."""
    out = WORK / name
    for target in targets:
        (out / target).unlink(missing_ok=True)
    text = make(name, flags, "-k", *targets).stdout
    (WORK / f"{name}.log").open("a").write(text)
    said = kbuild.failures(text)
    return {t: said.get(t, "not built by this configuration") for t in targets if not (out / t).exists()}


def keep(name: str, targets: list[str], when: str) -> None:
    """Set the objects aside."""
    for target in targets:
        source, copy = WORK / name / target, WORK / name / when / target.replace("/", "%")
        copy.parent.mkdir(exist_ok=True)
        copy.unlink(missing_ok=True)
        if source.exists():
            shutil.copy(source, copy)


def compare(name: str) -> str:
    """One row of the table, and its exceptions."""
    here, compiler = split(name)
    if compiler == "gcc" and not (here.triplet and shutil.which(f"{here.triplet}-gcc")):
        return f"{name:18} no compiler: {here.triplet or here.arch}-gcc\n"
    (WORK / name).mkdir(parents=True, exist_ok=True)
    asked = set(re.findall(r"CONFIG_\w+", here.options))
    (WORK / name / "all.config").write_text(here.options + "\n".join(
        line for line in CONFIG.splitlines() if not asked & set(re.findall(r"CONFIG_\w+", line))) + "\n")
    (WORK / f"{name}.log").unlink(missing_ok=True)
    switch(False)
    targets = list(objects(name.rsplit("-", 1)[0], touched()))

    def prepare(flags: str) -> subprocess.CompletedProcess[str]:
        return make(name, flags, "-s", "prepare", "modules_prepare")

    prepared = make(name, here.config)
    flags = FIXED
    if not prepared.returncode and (prepared := prepare(flags)).returncode:
        flags = PLAIN
        prepared = prepare(flags)
    if prepared.returncode:
        lines = [line for line in prepared.stdout.splitlines() if "rror" in line]
        return f"{name:18} make prepare fails: {lines[0] if lines else '?'}\n"
    say(f"  {name}: {len(targets)} objects, before")
    failed = build(name, targets, flags)
    plain = list(failed) if flags == FIXED else targets
    if flags == FIXED and failed:
        failed = build(name, plain, PLAIN)
    plain = [t for t in plain if t not in failed]
    keep(name, targets, "before")
    switch(True)
    good = [t for t in targets if t not in failed]
    say(f"  {name}: {len(good)} objects, after")
    prepare(flags)
    broken: dict[str, str] = {}
    for some, those in ((FIXED, [t for t in good if t not in plain]), (PLAIN, plain)):
        if those:
            broken |= build(name, those, some)
    keep(name, good, "after")
    return row(name, len(targets), failed, broken, [t for t in good if t not in broken], plain)


def row(name: str, count: int, failed: dict[str, str], broken: dict[str, str], good: list[str],
        plain: list[str]) -> str:
    """What has been set aside, compared: a row of the table, and its exceptions. The
    plain ones could not be compiled with __LINE__ fixed."""
    lines, equivalent, different = [], 0, 0
    for target in good:
        before, after = (WORK / name / when / target.replace("/", "%") for when in ("before", "after"))
        if not (names := differing(before, after)):
            continue
        # Relocations of data are not in what same_but() looks at.
        code = all(re.match(r"(\.rela?)?\.(init\.|exit\.)?text", n) for n in names)
        if names == ["__bug_table"] and target in plain:
            how = "line numbers, which cannot be fixed there"
        else:
            how = same_but(name, before, after) if code else ""
        equivalent += bool(how)
        different += not how
        lines.append(f"    {target}: {how or 'DIFFERS'}, in {' '.join(names)}\n")
    return (f"{name:18} {count:7} {len(good):6} {len(good) - equivalent - different:9} {equivalent:10} {different:9}\n"
            + "".join(f"    {t}: before: {reason}\n" for t, reason in failed.items())
            + "".join(f"    {t}: AFTER ONLY: {reason}\n" for t, reason in broken.items()) + "".join(lines))


def explained() -> dict[tuple[str, str], str]:
    """Why an object differs, by row and object: ci/sweep/explained."""
    found = {}
    for line in (ROOT / "ci/sweep/explained").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, target, reason = line.split(None, 2)
            found[name, target] = reason
    return found


def main() -> None:
    """The command line."""
    wanted = sys.argv[1:] or ["x86-clang", "x86-gcc"]
    for name in wanted:
        if name.rsplit("-", 1)[0] not in ARCHES or name.rsplit("-", 1)[-1] not in ("gcc", "clang"):
            sys.exit(f"error: {name}: not one of {' '.join(ARCHES)}, with -gcc or -clang")
    WORK.mkdir(parents=True, exist_ok=True)
    # Another series, or an interrupted switch: from the start.
    changes = b"".join(p.read_bytes().partition(b"\ndiff ")[2] for part in parts() for p in part)
    version = hashlib.sha256(changes).hexdigest()
    of = WORK / "series"
    if not (WORK / "state").exists() or not of.exists() or of.read_text() != version:
        (WORK / "state").unlink(missing_ok=True)
        # What differs gets a new date, so that what was made of it is made again.
        done = run("rsync", "-a", "--no-times", "--checksum", "--delete", "--exclude=.git",
                   f"{kbuild.pristine_tree()}/", f"{SRC}/")
        if done.returncode:
            sys.exit(done.stderr)
        kbuild.apply(SRC, parts()[0])
        of.write_text(version)
        (WORK / "state").write_text("before")
    rows = WORK / "rows"
    rows.mkdir(exist_ok=True)
    head = ("Objects before and after the sweep, by `make sweep-objects`; see the head of\n"
            "scripts/sweep_objects.py for how. What allmodconfig of x86 leaves out is in x86-rest,\n"
            "or with the architecture that has it. No compiler here for:\n" + " ".join(NONE) + ".\n"
            f"Linux {version_of(SRC)}\n\n"
            f"{'':18} {'touched':>7} {'built':>6} {'identical':>9} "
            f"{'equivalent':>10} {'different':>9}\n")
    REPORT.parent.mkdir(exist_ok=True)
    reasons = explained()

    def text(name: str) -> str:
        """A row, with the reasons that a person has found."""
        return re.sub(r"^    (\S+): DIFFERS, in .*$",
                      lambda m: f"    {m[1]}: {reasons[name, m[1]]}" if (name, m[1]) in reasons else m[0],
                      (rows / name).read_text(), flags=re.M)

    def known(name: str) -> bool:
        of = rows / f"{name}.key"
        return of.exists() and of.read_text() == key(name)

    for name in wanted:
        if not known(name):
            (rows / f"{name}.key").unlink(missing_ok=True)
            (rows / name).write_text(compare(name))
            (rows / f"{name}.key").write_text(key(name))
        print(text(name), end="", flush=True)
        every = [n for a in ARCHES for n in (f"{a}-clang", f"{a}-gcc") if known(n)]
        REPORT.write_text(head + "".join(text(n) for n in every))
    bad = [n for n in wanted if re.search("DIFFERS|AFTER ONLY|fails|no compiler", text(n))]
    if bad:
        sys.exit(f"error: not compared, or not the same code: {' '.join(bad)}")


if __name__ == "__main__":
    main()
