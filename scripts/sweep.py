#!/usr/bin/env python3
"""Generate the patches that turn raw task->pid and task->tgid into accessors.

In a pristine 7.3.y tree, with the patches that the series has before the sweep:
  1. Coccinelle with ci/sweep/task-pid.cocci, where the other steps leave something
     that ci/sweep/known does not know; first without headers, which is quick, and
     where that is not enough with all of them;
  2. current->pid, for current is always a task, also where spatch does not parse:
     in macros; and the tasks that TP_PROTO() names in a tracepoint;
  3. ci/sweep/compiler-finds: the others that only a compiler could type;
  4. ci/sweep/finish.patch: what a person made of alignment and long lines.
Then whatever still looks like a raw access, and is not in ci/sweep/known, is
listed: that is a shape that the sweep does not know.

The tree is not touched. The patches, one per area of ci/sweep/areas, go to --out.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NoReturn

import series

ROOT = Path(__file__).resolve().parent.parent
SWEEP = ROOT / "ci" / "sweep"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pidspace"
KERNEL = "7.3"
EXACT = "7.3.4"
TOP = ("arch block certs crypto drivers fs include init io_uring ipc kernel lib mm net "
       "samples security sound tools/testing/selftests/bpf/test_kmods usr virt").split()
ACCESS = r"(?:->|\.)\s*(?:pid|tgid)\b"
COMMENT_OR_STRING = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"'
ACCESSOR = {"pid": "task_pid_nr", "tgid": "task_tgid_nr"}
# Who needs no more than the types in the file itself, and who its headers' too.
NO_INCLUDES = ["--no-includes"]
ALL_INCLUDES = ["--recursive-includes", "--include-headers-for-types"]
# The accessors themselves.
SKIP = {"include/linux/pid.h"}


def die(message: str) -> NoReturn:
    """Say what is wrong, and stop."""
    sys.exit(f"error: {message}")


def say(message: str) -> None:
    """Progress."""
    print(message, file=sys.stderr, flush=True)


@cache
def rules(name: str) -> list[list[str]]:
    """The lines of a file of ci/sweep, split at tabs."""
    lines = (SWEEP / name).read_text().splitlines()
    return [re.split(r"\t+", line) for line in lines if line and not line.startswith("#")]


def version_of(tree: Path) -> str:
    """The version that a kernel tree claims."""
    try:
        text = (tree / "Makefile").read_text()
        (tree / "kernel/pid.c").stat()
    except OSError:
        die(f"{tree} is not a kernel tree")
    found = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL) *= *(\d+)$", text, re.M))
    return ".".join(found.get(part, "?") for part in ("VERSION", "PATCHLEVEL", "SUBLEVEL"))


def check_pristine(tree: Path) -> str:
    """Refuse what the sweep must not run on; return the version."""
    version = version_of(tree)
    if not version.startswith(KERNEL + "."):
        die(f"{tree} is Linux {version}; the sweep is for {KERNEL}.y")
    sched = (tree / "include/linux/sched.h").read_text()
    pid_h = (tree / "include/linux/pid.h").read_text()
    if re.search(r"\b__tgid;", sched):
        die(f"{tree} has been swept already: task_struct has __pid and __tgid")
    if "task_pid_nr(const struct task_struct" in pid_h:
        die(f"{tree} has part of the series applied: task_pid_nr() takes a const task")
    if not re.search(r"^\tpid_t\s+pid;\n\tpid_t\s+tgid;$", sched, re.M):
        die(f"{tree}: no pid and tgid in include/linux/sched.h where {EXACT} has them")
    return version


def source(tree: str | None) -> Path:
    """A pristine copy of what the user named, or of Debian's source."""
    def fetch(env: dict[str, str]) -> Path:
        script = f". {ROOT}/scripts/lib.sh; {ROOT}/scripts/source.sh >&2; echo $pristine"
        run = subprocess.run(["bash", "-c", script], env=env, stdout=subprocess.PIPE, text=True,
                             check=False)
        if run.returncode or not run.stdout.strip():
            sys.exit(run.returncode or 1)
        return Path(run.stdout.strip())

    env = {name: value for name, value in os.environ.items() if name != "TREE"}
    if not tree:
        return fetch(env)
    path = Path(tree)
    if not path.exists():
        die(f"TREE={tree}: no such file or directory")
    path = path.resolve()
    if path.is_dir():
        version = check_pristine(path)
        if (path / ".git").exists():
            changed = subprocess.run(["git", "-C", path, "status", "--porcelain",
                                      "--untracked-files=no"], capture_output=True, text=True,
                                     check=True).stdout.splitlines()
            if changed:
                die(f"{path} has local changes, {changed[0][3:]} for one: commit or drop them")
        else:
            if version != EXACT:
                die(f"{path} is no git checkout: nothing tells whether Linux {version} has "
                    "local changes; name a checkout or a tarball")
            pristine = fetch(env)
            for file in grep(path, ACCESS) | grep(pristine, ACCESS):
                if not same(path / file, pristine / file):
                    die(f"{path} has local changes: {file} is not that of Linux {version}")
            return pristine
    return fetch(env | {"TREE": str(path)})


def earlier_patches() -> list[Path]:
    """The patches that the series has before those of the sweep."""
    return [entry.path for entry in series.sweep(series.load())[0]]


def fixed(tree: Path) -> Path:
    """The tree with these patches: a copy in the cache that shares what they leave alone."""
    patches = earlier_patches()
    if not patches:
        return tree
    text = "".join(patch.read_bytes().decode("latin-1") for patch in patches)
    touched = sorted(set(re.findall(r"^(?:---|\+\+\+) [ab]/(\S+)", text, re.M)))
    digest = hashlib.sha256((str(tree) + text).encode("latin-1"))
    for file in touched:
        digest.update((tree / file).read_bytes() if (tree / file).is_file() else b"")
    copy = CACHE / "sweep" / "fixed"
    key = copy.with_suffix(".key")
    if copy.is_dir() and key.is_file() and key.read_text() == digest.hexdigest():
        return copy
    say(f"  a copy of the tree with {len(patches)} patches before the sweep")
    key.unlink(missing_ok=True)
    shutil.rmtree(copy, ignore_errors=True)
    copy.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-al", tree, copy], check=True)
    for file in touched:
        if (tree / file).is_file():
            (copy / file).unlink()
            shutil.copy2(tree / file, copy / file)
    for patch_file in patches:
        run = subprocess.run(["patch", "-p1", "-s", "-f", "--fuzz=0", "-i", patch_file], cwd=copy,
                             stdout=subprocess.PIPE, text=True, check=False)
        if run.returncode:
            say(run.stdout.strip())
            die(f"{patch_file.name} does not apply to {tree}, and comes before the sweep")
    key.write_text(digest.hexdigest())
    return copy


def same(one: Path, two: Path) -> bool:
    """Whether both files exist and have the same content."""
    return one.is_file() and two.is_file() and one.read_bytes() == two.read_bytes()


def grep(tree: Path, pattern: str) -> set[str]:
    """The C files of a tree that match."""
    run = subprocess.run(["grep", "-rlP", "--include=*.[ch]", pattern, *TOP], cwd=tree,
                         env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True,
                         check=False)
    if run.returncode > 1:
        die(run.stderr.strip())
    # Build products are no source.
    return {f for f in run.stdout.splitlines() if "/generated/" not in f and ".mod.c" not in f}


def spatch(tree: Path, files: list[str], work: Path, name: str, arch: str,
           includes: list[str]) -> str:
    """The changes that Coccinelle makes to files, as a patch."""
    groups = work / f"{name}.groups"
    groups.write_text("\n\n".join(files) + "\n")
    run = subprocess.run(
        ["nice", "-n", "15", "spatch", "--sp-file", SWEEP / "task-pid.cocci", "-D", "patch",
         "--very-quiet", "--no-scanner", *includes,
         "--timeout", "300", "--max-width", "100",
         "-I", f"arch/{arch}/include", "-I", f"arch/{arch}/include/generated", "-I", "include",
         "-I", f"arch/{arch}/include/uapi", "-I", "include/uapi",
         "--include", "include/linux/kconfig.h", "--file-groups", groups],
        cwd=tree, capture_output=True, encoding="latin-1", check=False)
    (work / f"{name}.log").write_text(run.stderr)
    if run.returncode:
        die(f"spatch on {name}: {run.stderr[-500:]}")
    return run.stdout


def coccinelle(tree: Path, files: list[str], includes: list[str], jobs: int) -> str:
    """What spatch makes of files, from the cache if it has seen these very files."""
    digest = hashlib.sha256((SWEEP / "task-pid.cocci").read_bytes())
    digest.update(" ".join(includes).encode())
    for file in files:
        digest.update(file.encode() + hashlib.sha256((tree / file).read_bytes()).digest())
    work = CACHE / "sweep" / digest.hexdigest()[:16]
    result = work / "spatch.diff"
    if result.is_file():
        say(f"  spatch {includes[0]}: {result} has these {len(files)} files")
        return result.read_text("latin-1")
    work.mkdir(parents=True, exist_ok=True)
    lots: list[tuple[list[str], str, str]] = []
    common = [f for f in files if not f.startswith("arch/")]
    for job in range(jobs):
        part = common[len(common) * job // jobs:len(common) * (job + 1) // jobs]
        lots += [(part, f"common{job}", "x86")] if part else []
    for arch in sorted({f.split("/")[1] for f in files if f.startswith("arch/")}):
        lots.append(([f for f in files if f.startswith(f"arch/{arch}/")], arch, arch))
    say(f"  spatch {includes[0]}: {len(files)} files, {jobs} at a time")
    with ThreadPoolExecutor(jobs) as pool:
        parts = pool.map(lambda lot: spatch(tree, lot[0], work, lot[1], lot[2], includes), lots)
        text = "".join(parts)
    result.with_suffix(".new").write_text(text, "latin-1")
    result.with_suffix(".new").rename(result)
    return text


def patch(work: Path, diff: str, strip: int) -> list[str]:
    """Apply a patch to the files in work; return what patch says of failed hunks."""
    run = subprocess.run(["patch", f"-p{strip}", "-f", "--no-backup-if-mismatch", "--fuzz=0",
                          "-r", "-"], cwd=work, input=diff.encode("latin-1"),
                         capture_output=True, check=False)
    failed, file = [], ""
    for line in run.stdout.decode("latin-1").splitlines():
        if match := re.match(r"(?:patching file |\|--- )(?:a/)?(\S+)", line):
            file = match[1]
        elif re.match(r"Hunk #\d+ FAILED|No file to patch", line):
            failed.append(f"{file}: {line}")
    return failed


def sub_accesses(text: str, expression: str) -> tuple[str, int]:
    """Turn EXPRESSION->pid and EXPRESSION->tgid into accessor calls, but not in comments."""
    count = 0

    def one(match: re.Match[str]) -> str:
        nonlocal count
        if not match["field"]:
            return match[0]
        count += 1
        return f"{ACCESSOR[match['field']]}({expression})"

    read_access = (rf"(?<![\w.>]){re.escape(expression)}->(?P<field>pid|tgid)\b"
                   r"(?!\s*=[^=])")
    return re.sub(f"{COMMENT_OR_STRING}|{read_access}", one, text, flags=re.S), count


def sub_casts(text: str, original: str) -> str:
    """Take out the space that spatch puts after a cast, unless it was there before."""
    def one(match: re.Match[str]) -> str:
        cast, call, field, task = match.groups()
        return cast + call if f"{cast}{task}->{field}" in original else match[0]

    return re.sub(r"(\([\w ]+\)) (task_(pid|tgid)_nr\(((?:[^()]|\([^()]*\))*)\))", one, text)


def sub_tracepoints(text: str) -> str:
    """The same for the tasks that a tracepoint takes."""
    starts = [match.start() for match in re.finditer(f"{COMMENT_OR_STRING}|TP_PROTO", text, re.S)
              if match[0] == "TP_PROTO"]
    done = text[:starts[0]] if starts else text
    for start, end in zip(starts, [*starts[1:], len(text)]):
        part = text[start:end]
        for task in re.findall(r"\bstruct task_struct \*\s*(\w+)", part):
            part, _ = sub_accesses(part, task)
        done += part
    return done


def read(path: Path) -> str:
    """A source file, byte for byte: a few are not UTF-8."""
    return path.read_bytes().decode("latin-1")


def write(path: Path, text: str) -> None:
    """The inverse of read()."""
    path.write_bytes(text.encode("latin-1"))


def known_in(file: str) -> set[str]:
    """The accesses in a file that are something else."""
    return {expression for row in rules("known") if row[0] == file for expression in row[1:]}


def leftovers(work: Path, files: list[str]) -> list[str]:
    """What still looks like a raw access, and is not known to be something else."""
    found = []
    for file in files:
        known = known_in(file)
        for number, line in enumerate(read(work / file).splitlines(), 1):
            for expression in accesses(line):
                if not expression.startswith("__entry->") and expression not in known:
                    found.append(f"{file}:{number}: {line.strip()}")
    return found


def accesses(line: str) -> list[str]:
    """The member accesses named pid or tgid in a line: 'a->b.pid', or '.pid' alone."""
    found = []
    for match in re.finditer(ACCESS, line):
        start, depth = match.start(), 0
        # Walk back over the postfix expression.
        while start:
            char = line[start - 1]
            if char in ")]":
                depth += 1
            elif char in "([":
                if not depth:
                    break
                depth -= 1
            elif not depth and not (char.isalnum() or char in "_." or
                                    line[start - 2:start] == "->" or
                                    line[start - 1:start + 1] == "->"):
                break
            start -= 1
        found.append(re.sub(r"\s+", " ", line[start:match.end()]))
    return found


def convert(tree: Path, work: Path, jobs: int) -> tuple[list[str], list[str]]:
    """Run the steps; return the candidates, and what is left for a person."""
    candidates = sorted(grep(tree, ACCESS) - SKIP)
    finds = [(file, expression) for file, expression in rules("compiler-finds")]
    used: set[tuple[str, str]] = set()

    def others(file: str) -> None:
        """Steps 2 and 3."""
        text, _ = sub_accesses(read(work / file), "current")
        text = sub_tracepoints(text)
        for find in finds:
            if find[0] == file:
                text, count = sub_accesses(text, find[1])
                used.update([find] if count else [])
        write(work / file, text)

    for file in candidates:
        (work / file).parent.mkdir(parents=True, exist_ok=True)
        write(work / file, read(tree / file))
        others(file)
    left = []
    for includes in NO_INCLUDES, ALL_INCLUDES:
        given = [file for file in candidates if leftovers(work, [file])]
        if not given:
            break
        for file in given:
            write(work / file, read(tree / file))
        left = [f"spatch: {line}" for line in
                patch(work, coccinelle(tree, given, includes, jobs), 0)]
        for file in given:
            write(work / file, sub_casts(read(work / file), read(tree / file)))
            others(file)
    left += [f"ci/sweep/compiler-finds: {file} has no {expression}->pid or ->tgid"
             for file, expression in finds if (file, expression) not in used]
    left += [f"ci/sweep/finish.patch: {line}"
             for line in patch(work, (SWEEP / "finish.patch").read_text("latin-1"), 1)]
    return candidates, left + leftovers(work, candidates)


def area_of(file: str, areas: list[list[str]]) -> str:
    """The patch that a file belongs to."""
    fits = [(len(directory), name) for name, directories in areas
            for directory in directories.split() if file.startswith(directory + "/")]
    return max(fits)[1] if fits else die(f"{file}: no area in ci/sweep/areas")


def diff(tree: Path, work: Path, files: list[str]) -> dict[str, str]:
    """One patch per area."""
    areas = rules("areas")
    texts: dict[str, str] = {name: "" for name, _ in areas}
    for file in files:
        old, new = read(tree / file), read(work / file)
        if old != new:
            texts[area_of(file, areas)] += "".join(difflib.unified_diff(
                old.splitlines(True), new.splitlines(True), f"a/{file}", f"b/{file}"))
    return texts


def series_patch(name: str) -> Path:
    """The patch of the series that an area generates."""
    for entry in series.load():
        if re.match(rf"{re.escape(name)}\b", series.slug(entry.name)):
            return entry.path
    die(f"series has no NNNN-{name}*.patch")


def check(tree: Path, work: Path, candidates: list[str]) -> int:
    """Compare the sweep with patches/; return how many files differ."""
    differ = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, _ in rules("areas"):
            text = series_patch(name).read_bytes().decode("latin-1")
            files = set(re.findall(r"^\+\+\+ b/(\S+)", text, re.M))
            for file in files:
                (Path(scratch) / file).parent.mkdir(parents=True, exist_ok=True)
                (Path(scratch) / file).write_bytes((tree / file).read_bytes())
            subprocess.run(["patch", "-p1", "-s", "-f", "--fuzz=0"], cwd=scratch, check=True,
                           input=text.encode("latin-1"))
            generated = {f for f in candidates if not same(tree / f, work / f)
                         and area_of(f, rules("areas")) == name}
            for file in sorted(files | generated):
                if file not in generated:
                    say(f"  {file}: in patches/, the sweep does not touch it")
                elif file not in files:
                    say(f"  {file}: the sweep changes it, patches/ does not")
                elif not same(Path(scratch) / file, work / file):
                    say(f"  {file}: not the same")
                else:
                    continue
                differ += 1
    return differ


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Generate the sweep patches.")
    parser.add_argument("--tree", default=os.environ.get("TREE"),
                        help="pristine 7.3.y checkout or tarball (default: Debian's source)")
    parser.add_argument("--out", default=os.environ.get("OUT"), type=Path,
                        help="where the patches go (default: the cache)")
    parser.add_argument("--check", action="store_true", help="compare with patches/ instead")
    args = parser.parse_args()
    jobs = int(os.environ.get("JOBS") or os.cpu_count() or 1)

    tree = source(args.tree)
    version = check_pristine(tree)
    say(f"sweep: Linux {version} in {tree}")
    tree = fixed(tree)
    with tempfile.TemporaryDirectory(prefix="sweep-") as scratch:
        work = Path(scratch)
        candidates, left = convert(tree, work, jobs)
        for line in left:
            say(f"  left: {line}")
        if args.check:
            differ = check(tree, work, candidates)
            if differ or left:
                die(f"{differ} files differ from patches/, {len(left)} places are left")
            print(f"sweep-check: patches/ is what the sweep makes of Linux {version}")
            return
        texts = diff(tree, work, candidates)
    out = args.out or CACHE / "sweep" / version
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write(out / f"{name}.diff", text)
    files = sum(text.count("\n+++ b/") + text.startswith("+++ b/") for text in texts.values())
    print(f"sweep: {files} files, {len(texts)} patches in {out}")
    if left:
        die(f"{len(left)} places are left for a person")


if __name__ == "__main__":
    main()
