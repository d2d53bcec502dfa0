#!/usr/bin/env python3
"""Compile what the sweep touches before and after it, and compare the code.

For each architecture and compiler: allmodconfig without what records line or
column numbers everywhere (debug info, sanitizers, coverage), then every touched .c
file, and for a touched header up to three files that include it. All sections that
end up in memory, and their relocations, must be the same. An object that is not is
compiled again with __LINE__ fixed, before and after: line numbers may differ. So may
the order of independent instructions: gcc's scheduler breaks ties by numbers of its own.

"Before" has the patches that the series has before the sweep. The sweep counts up
to the gate, "raw access [...] a compile error"; the patch after it, READ_ONCE(), is
the one that may change code.

usage: sweep-objects.py [ARCH-COMPILER...]     such as x86-clang or sparc64-gcc
(ci/sweep/cross-packages.txt lists the compilers). What has been compared is not
compared again until a patch changes.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pidspace"
SERIES = Path(os.environ.get("SERIES_DIR", ROOT))
WORK = CACHE / "sweep-objects"
SRC = WORK / "src"
REPORT = Path(os.environ.get("REPORT", ROOT / "Documentation/sweep-objects.txt"))
JOBS = os.environ.get("JOBS", "1")
LLVM = "19"
# name: (ARCH=, directories under arch/ and elsewhere that only it builds, gcc triplet, defconfig)
ARCHES = {
    "x86": ("x86_64", "", "x86_64-linux-gnu", "allmodconfig"),
    "arm64": ("arm64", "arch/arm64", "aarch64-linux-gnu", "allmodconfig"),
    "arm": ("arm", "arch/arm", "arm-linux-gnueabi", "allmodconfig"),
    "powerpc": ("powerpc", "arch/powerpc", "powerpc64le-linux-gnu", "allmodconfig"),
    "s390": ("s390", "arch/s390 drivers/s390", "s390x-linux-gnu", "allmodconfig"),
    "mips": ("mips", "arch/mips", "mips64-linux-gnuabi64", "allmodconfig"),
    "riscv": ("riscv", "arch/riscv", "riscv64-linux-gnu", "allmodconfig"),
    "loongarch": ("loongarch", "arch/loongarch", "loongarch64-linux-gnu", "allmodconfig"),
    "sparc64": ("sparc64", "arch/sparc drivers/sbus", "sparc64-linux-gnu", "allmodconfig"),
    "parisc": ("parisc", "arch/parisc", "hppa-linux-gnu", "allmodconfig"),
    "m68k": ("m68k", "arch/m68k", "m68k-linux-gnu", "allmodconfig"),
    "alpha": ("alpha", "arch/alpha", "alpha-linux-gnu", "allmodconfig"),
    "sh": ("sh", "arch/sh", "sh4-linux-gnu", "allmodconfig"),
    "arc": ("arc", "arch/arc", "arc-linux-gnu", "allmodconfig"),
    "hexagon": ("hexagon", "arch/hexagon", "", "allmodconfig"),
    "um": ("um", "arch/um", "", "allmodconfig"),
}
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
# CONFIG_GCC_PLUGINS is not set
# CONFIG_MODVERSIONS is not set
# CONFIG_RUST is not set
CONFIG_RANDSTRUCT_NONE=y
"""
# Directories that another directory's Makefile builds.
BUILT_BY = {
    "drivers/gpu/drm/amd/amdkfd": "drivers/gpu/drm/amd/amdgpu/../amdkfd",
    "virt/kvm": "arch/{arch}/kvm/../../../virt/kvm",
}
SHT_RELA, SHT_REL, SHT_NOBITS, SHF_ALLOC = 4, 9, 8, 2


def say(message: str) -> None:
    """Progress."""
    print(message, file=sys.stderr, flush=True)


def run(*args: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command, quietly."""
    return subprocess.run(args, capture_output=True, text=True, errors="replace",
                          check=False, **options)  # type: ignore[call-overload, no-any-return]


def sections(path: Path) -> dict[str, object]:
    """What of an ELF object is loaded: contents and relocations by section name."""
    data = path.read_bytes()
    if data[:4] != b"\x7fELF":
        return {"": data}
    wide, end = data[4] == 2, "<" if data[5] == 1 else ">"
    mips64 = wide and struct.unpack_from(end + "H", data, 18)[0] == 8
    offset, = struct.unpack_from(end + ("Q" if wide else "I"), data, 40 if wide else 32)
    size, count, names = struct.unpack_from(end + "HHH", data, 58 if wide else 46)
    if not count:  # more than 65279 sections
        count, = struct.unpack_from(end + ("Q" if wide else "I"), data,
                                    offset + (32 if wide else 20))
    if names == 0xffff:
        names, = struct.unpack_from(end + "I", data, offset + (40 if wide else 24))
    head = [struct.unpack_from(end + ("IIQQQQIIQQ" if wide else "10I"), data, offset + i * size)
            for i in range(count)]

    def body(index: int) -> bytes:
        return data[head[index][4]:head[index][4] + head[index][5]]

    def string(table: int, at: int) -> str:
        start = head[table][4] + at
        return data[start:data.index(b"\0", start)].decode("latin-1")

    # The numbers in names such as .rodata.CSWTCH.195 are the compiler's counter.
    name = [re.sub(r"\.\d+$", "", string(names, h[0])) for h in head]

    def symbol(table: int, index: int) -> object:
        entry = head[table]
        if wide:
            st = struct.unpack_from(end + "IBBHQQ", data, entry[4] + index * 24)
            label, info, where, value = st[0], st[1], st[3], st[4]
        else:
            st = struct.unpack_from(end + "IIIBBH", data, entry[4] + index * 16)
            label, value, info, where = st[0], st[1], st[3], st[5]
        text = string(entry[6], label)
        if info & 15 == 3:
            return name[where] if where < count else where
        # A local label's name is the compiler's affair, where it points is not.
        local = info >> 4 == 0 and where < count
        return (name[where], value) if local else text

    found: dict[str, object] = {}
    for index, entry in enumerate(head):
        if entry[2] & SHF_ALLOC and entry[1] not in (SHT_RELA, SHT_REL):
            content = entry[5] if entry[1] == SHT_NOBITS else body(index)
            found.setdefault(name[index], []).append(content)  # type: ignore[attr-defined]
        elif entry[1] in (SHT_RELA, SHT_REL) and head[entry[7]][2] & SHF_ALLOC:
            rela = entry[1] == SHT_RELA
            form = end + (("QQq" if rela else "QQ") if wide else ("IIi" if rela else "II"))
            relocations = []
            for rel in struct.iter_unpack(form, body(index)):
                if mips64:
                    raw = struct.pack(end + "Q", rel[1])
                    sym, kind = struct.unpack(end + "I", raw[:4])[0], raw[4:]
                elif wide:
                    sym, kind = rel[1] >> 32, rel[1] & 0xffffffff
                else:
                    sym, kind = rel[1] >> 8, rel[1] & 0xff
                relocations.append((rel[0], symbol(entry[6], sym), kind, rel[2:]))
            found.setdefault(name[index], []).append(relocations)  # type: ignore[attr-defined]
    return found


def differing(before: Path, after: Path) -> list[str]:
    """The names of the sections that differ."""
    one, two = sections(before), sections(after)
    return sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))


def reordered(name: str, before: Path, after: Path) -> bool:
    """Whether both objects have the same instructions, in another order."""
    arch, compiler = name.rsplit("-", 1)
    tool = f"llvm-objdump-{LLVM}" if compiler == "clang" else f"{ARCHES[arch][2]}-objdump"
    lines = []
    for path in before, after:
        text = run(tool, "-dr", "--no-show-raw-insn", path).stdout
        # Without addresses: "12:\tmove.l %d0,%d1" and "<f+0x12>"
        lines.append(sorted(re.sub(r"^\s*[0-9a-f]+:|[0-9a-f]+ <.*>", "", line)
                            for line in text.splitlines()[3:]))
    return bool(lines[0]) and lines[0] == lines[1]


def series() -> tuple[list[Path], list[Path]]:
    """The patches before the sweep, and those of it up to the gate."""
    where = SERIES / "patches" if (SERIES / "patches").is_dir() else SERIES
    earlier: list[Path] = []
    found: list[Path] | None = None
    for line in (SERIES / "series").read_text().splitlines():
        if re.match(r"# The sweep\b", line):
            found = []
        name = line.split("#")[0].strip()
        if not name:
            continue
        (earlier if found is None else found).append(where / name)
        if found is not None and "raw-access" in name:
            return earlier, found
    sys.exit(f"error: {SERIES}/series has no section '# The sweep' with a patch *raw-access*")


def touched() -> list[str]:
    """The C files that the patches change."""
    files: set[str] = set()
    for patch in series()[1]:
        files |= set(re.findall(r"^\+\+\+ b/(\S+\.[ch])$", patch.read_text("latin-1"), re.M))
    return sorted(f for f in files if not f.startswith("tools/"))


def apply(patches: list[Path], *options: str) -> None:
    """Patch SRC."""
    for patch in patches:
        done = run("patch", "-p1", "-s", "-f", "--fuzz=0", *options, "-i", patch, cwd=SRC)
        if done.returncode:
            sys.exit(f"error: {patch.name}: {done.stdout}")


def switch(after: bool) -> None:
    """Apply the sweep to SRC, or take it back."""
    state = WORK / "state"
    if state.read_text() != ("after" if after else "before"):
        state.unlink()
        patches = series()[1]
        apply(patches if after else patches[::-1], *([] if after else ["-R"]))
        state.write_text("after" if after else "before")


def objects(arch: str, files: list[str]) -> dict[str, str]:
    """The object to compile for each touched file: {target: file}."""
    real, own = ARCHES[arch][0], ARCHES[arch][1].split()
    targets: dict[str, str] = {}
    headers = []
    for file in files:
        if arch == "x86":
            if file.startswith("arch/") and not file.startswith("arch/x86/"):
                continue
        elif not any(file.startswith(d + "/") for d in own) and file not in CORE:
            continue
        if file.endswith(".h"):
            headers.append(file)
        elif not file.endswith("asm-offsets.c"):  # prepare compiles it
            targets[file[:-2] + ".o"] = file
    for header in headers:
        top = header.split("/")[0]
        short = header.split("include/", 1)[1] if "include/" in header else Path(header).name
        where = ["kernel", "mm", "fs", "drivers", "net", "security"] if top == "include" \
            else [str(Path(header).parent)]
        if top == "samples":
            where = ["samples"]
        users = run("grep", "-rlE", "--include=*.c",
                    rf'^#include [<"]([^">]*/)?{re.escape(short)}[>"]',
                    *where, cwd=SRC).stdout.splitlines()
        makers = [u for u in users if "CREATE_TRACE_POINTS" in (SRC / u).read_text("latin-1")]
        for user in sorted(makers or users)[:3]:
            targets.setdefault(user[:-2] + ".o", header)
    built: dict[str, str] = {}
    for target, file in targets.items():
        for directory, other in BUILT_BY.items():
            if target.startswith(directory + "/"):
                target = other.format(arch=real.split("_")[0]) + target[len(directory):]
        built[target] = file
    return built


def make(name: str, *args: str) -> subprocess.CompletedProcess[str]:
    """The kernel's make for one architecture and compiler."""
    arch, compiler = name.rsplit("-", 1)
    kernel_arch, _, triplet, _ = ARCHES[arch]
    tools = [f"LLVM=-{LLVM}"]
    if compiler == "gcc":
        tools = ["CC=gcc"] if arch == "x86" else [f"CROSS_COMPILE={triplet}-"]
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return run("nice", "-n", "19", "make", "-C", SRC, f"O={WORK / name}", f"ARCH={kernel_arch}",
               *tools, f"-j{JOBS}", "KBUILD_BUILD_TIMESTAMP=0", *args,
               env=env | {"KCONFIG_ALLCONFIG": str(WORK / "all.config")})


def build(name: str, targets: list[str], *flags: str) -> dict[str, str]:
    """Compile targets; return what the log says about those that failed."""
    out = WORK / name
    for target in targets:
        (out / target).unlink(missing_ok=True)
    log = make(name, "-k", *flags, *targets)
    text = log.stdout + log.stderr
    (WORK / f"{name}.log").open("a").write(text)
    failed = {}
    for target in targets:
        if not (out / target).exists():
            source = re.escape(target.rsplit("/", 1)[1][:-2])
            reason = re.search(rf"^\S*{source}\.c:\S+ (?:fatal )?(error: .*)$", text, re.M) or \
                re.search(r"^\S+: (?:fatal )?(error: .*)$", text, re.M) \
                if f"{target}] Error" in text else None
            failed[target] = reason[1] if reason else "not built by this configuration"
    return failed


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
    arch, compiler = name.rsplit("-", 1)
    triplet = ARCHES[arch][2]
    if compiler == "gcc" and not (triplet and shutil.which(f"{triplet}-gcc")):
        return f"{name:18} no compiler: {triplet or arch}-gcc\n"
    (WORK / name).mkdir(parents=True, exist_ok=True)
    (WORK / f"{name}.log").unlink(missing_ok=True)
    switch(False)
    targets = list(found := objects(arch, touched()))
    prepared = make(name, ARCHES[arch][3])
    if not prepared.returncode:
        prepared = make(name, "-s", "prepare", "modules_prepare")
    if prepared.returncode:
        lines = [line for line in prepared.stderr.splitlines() if "rror" in line]
        return f"{name:18} make prepare fails: {lines[0] if lines else '?'}\n"
    say(f"  {name}: {len(targets)} objects, before")
    failed = build(name, targets)
    keep(name, targets, "before")
    good = [t for t in targets if t not in failed]
    switch(True)
    say(f"  {name}: {len(good)} objects, after")
    make(name, "-s", "prepare", "modules_prepare")
    broken = build(name, good)
    keep(name, good, "after")
    good = [t for t in good if t not in broken]

    def different(some: list[str]) -> dict[str, list[str]]:
        result = {}
        for target in some:
            flat = target.replace("/", "%")
            if names := differing(WORK / name / "before" / flat, WORK / name / "after" / flat):
                result[target] = names
        return result

    first = different(good)
    lines_fixed: dict[str, list[str]] = first
    if first:
        say(f"  {name}: {len(first)} differ; again with __LINE__ fixed")
        flags = "KCFLAGS=-Wno-builtin-macro-redefined -D__LINE__=1"
        again = list(first)
        for when in ("after", "before"):
            switch(when == "after")
            unbuilt = build(name, again, flags)
            keep(name, again, when)
            again = [t for t in again if t not in unbuilt]
        lines_fixed = different(again) | {t: v for t, v in first.items() if t not in again}
    only_lines = [t for t in first if t not in lines_fixed]
    order = [t for t, names in lines_fixed.items()
             if all(n.startswith((".text", ".rel", ".init.text", ".exit.text")) for n in names)
             and reordered(name, *(WORK / name / when / t.replace("/", "%")
                                   for when in ("before", "after")))]
    row = (f"{name:18} {len(found):7} {len(good):6} {len(good) - len(first):9} "
           f"{len(only_lines):10} {len(order):9} {len(lines_fixed) - len(order):9}\n")
    for target, reason in failed.items():
        row += f"    {target}: before: {reason}\n"
    for target, reason in broken.items():
        row += f"    {target}: AFTER ONLY: {reason}\n"
    for target, names in lines_fixed.items():
        how = "order of instructions" if target in order else "DIFFERS"
        row += f"    {target}: {how}, in {' '.join(names)}\n"
    for target in only_lines:
        row += f"    {target}: line numbers, in {' '.join(first[target])}\n"
    return row


def main() -> None:
    """The command line."""
    wanted = sys.argv[1:] or ["x86-clang", "x86-gcc"]
    for name in wanted:
        if name.rsplit("-", 1)[0] not in ARCHES or name.rsplit("-", 1)[-1] not in ("gcc", "clang"):
            sys.exit(f"error: {name}: not one of {' '.join(ARCHES)}, with -gcc or -clang")
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "all.config").write_text(CONFIG)
    # Another series, or an interrupted switch: from the start.
    changes = b"".join(p.read_bytes().partition(b"\ndiff ")[2] for part in series() for p in part)
    version = hashlib.sha256(changes).hexdigest()
    of = WORK / "series"
    if not (WORK / "state").exists() or not of.exists() or of.read_text() != version:
        (WORK / "state").unlink(missing_ok=True)
        script = f". {ROOT}/scripts/lib.sh; {ROOT}/scripts/source.sh >&2; echo $pristine"
        pristine = run("bash", "-c", script).stdout.strip()
        if not pristine:
            sys.exit("error: no pristine tree")
        done = run("rsync", "-a", "--delete", "--exclude=.git", f"{pristine}/", f"{SRC}/")
        if done.returncode:
            sys.exit(done.stderr)
        apply(series()[0])
        shutil.rmtree(WORK / "rows", ignore_errors=True)
        of.write_text(version)
        (WORK / "state").write_text("before")
    rows = WORK / "rows"
    rows.mkdir(exist_ok=True)
    head = ("Objects before and after the sweep, by `make sweep-objects`; see the head of\n"
            "scripts/sweep-objects.py for how. No compiler here for: " + " ".join(NONE) + ".\n\n"
            f"{'':18} {'touched':>7} {'built':>6} {'identical':>9} {'but lines':>10} "
            f"{'but order':>9} {'different':>9}\n")
    REPORT.parent.mkdir(exist_ok=True)
    for name in wanted:
        if not (rows / name).exists():
            (rows / name).write_text(compare(name))
        print((rows / name).read_text(), end="", flush=True)
        known = [n for a in ARCHES for n in (f"{a}-clang", f"{a}-gcc") if (rows / n).exists()]
        REPORT.write_text(head + "".join((rows / n).read_text() for n in known))
    bad = [n for n in wanted
           if re.search("DIFFERS|AFTER ONLY|fails|no compiler", (rows / n).read_text())]
    if bad:
        sys.exit(f"error: not compared, or not the same code: {' '.join(bad)}")


if __name__ == "__main__":
    main()
