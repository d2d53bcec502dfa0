#!/usr/bin/env python3
"""The series file: what is in it, and what it and the patches must agree on.

The one place that reads it. Its parts are directories of patches/, each numbered from
0001, in this order: ahead (fixes of mainline that need nothing of us), series (what is
sent as the RFC), tests.

series.py list ROOT [PART]       the names of the patches, in order
series.py check ROOT             series <-> patches/, headers of the patches
series.py rust ROOT              the .rs files that the series adds <-> ROOT/rust/
series.py arrange OLD DIR TO     the patches that format-patch wrote to DIR, in their
                                 parts and numbered, to TO/patches, and TO/series with
                                 the comments of the series file OLD. A patch is in the
                                 part that it was in, a new one in that of the one before it
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

NAME = re.compile(r"(?:([a-z]+)/)?(\d{4})-(.+)\.patch")
PARTS = ("ahead", "series", "tests")
# Where the sweep begins, and the last patch of it, after which raw pids do not compile.
SWEEP, GATE = "The sweep", "raw-access"
TRAILERS = ("Assisted-by", "Fixes", "Cc", "Link", "Closes", "Reported-by", "Suggested-by", "Acked-by",
            "Reviewed-by", "Tested-by", "Co-developed-by")


def slug(name: str) -> str:
    """What is left of a patch's name when the series is renumbered."""
    return re.sub(r"^(?:[a-z]+/)?\d{4}-", "", name)


@dataclass
class Entry:
    name: str
    comments: list[str] = field(default_factory=list)
    top: Path = Path()

    @property
    def part(self) -> str:
        """The directory that it is in."""
        return self.name.rpartition("/")[0]

    @property
    def path(self) -> Path:
        """The patch."""
        return self.top / "patches" / self.name

    def text(self) -> str:
        """What is in it, byte for byte."""
        return self.path.read_bytes().decode("latin-1")


def parse(text: str) -> tuple[list[Entry], list[str]]:
    """The entries, each with the comment and blank lines above it, and what
    follows the last one."""
    entries, comments = [], []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            entries.append(Entry(line.split()[0], comments))
            comments = []
        else:
            comments.append(line)
    return entries, comments


def load(top: Path | None = None) -> list[Entry]:
    """The entries of TOP/series; without TOP of SERIES_DIR, or our own."""
    top = top or Path(os.environ.get("SERIES_DIR") or Path(__file__).resolve().parent.parent)
    entries, _ = parse((top / "series").read_text(encoding="utf-8"))
    for entry in entries:
        entry.top = top
    return entries


def sweep(entries: list[Entry]) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """The entries before the sweep, those of it up to the gate, and the others."""
    begin = next((i for i, e in enumerate(entries) if heading(e).startswith(SWEEP)), None)
    end = next((i for i, e in enumerate(entries) if GATE in e.name), None)
    if begin is None or end is None:
        sys.exit(f"error: series has no section '# {SWEEP}' with a patch *{GATE}*")
    return entries[:begin], entries[begin:end + 1], entries[end + 1:]


def heading(entry: Entry) -> str:
    """The first line of the comment right above a patch, which starts a section."""
    lines: list[str] = []
    for line in reversed(entry.comments):
        if not line.startswith("#"):
            break
        lines.insert(0, line)
    return lines[0].lstrip("# ") if lines else ""


def sections_of(entries: list[Entry]) -> dict[str, list[Entry]]:
    """The patches by the heading that they stand under."""
    found: dict[str, list[Entry]] = {}
    current = ""
    for entry in entries:
        current = heading(entry) or current
        found.setdefault(current, []).append(entry)
    return found


def arrange(old: str, names: list[str]) -> tuple[str, dict[str, str]]:
    """The series of the patches NAMES, and what each is called in it.

    Comments stay with the patch that they stand above; if it is gone, with the next one
    that is not."""
    entries, tail = parse(old)
    part_of = {slug(entry.name): entry.part for entry in entries}
    part = entries[0].part if entries else ""
    called: dict[str, str] = {}
    counts: dict[str, int] = {}
    for name in names:
        before, part = part, part_of.get(slug(name), part)
        if part != before and counts.get(part):
            sys.exit(f"error: {slug(name)} is of part {part}, and comes after one of {before}")
        counts[part] = counts.get(part, 0) + 1
        called[name] = (part and f"{part}/") + f"{counts[part]:04}-{slug(name)}"
    by_slug = {slug(name): name for name in names}
    comments: dict[str, list[str]] = {}
    pending: list[str] = []
    for entry in entries:
        pending += entry.comments
        found = by_slug.get(slug(entry.name))
        if found:
            comments.setdefault(found, []).extend(pending)
            pending = []
    lines = [line for name in names for line in [*comments.get(name, []), called[name]]]
    return "".join(line + "\n" for line in [*lines, *pending, *tail]), called


def check_header(name: str, text: str) -> list[str]:
    """A patch says who, what and why."""
    faults = []
    header, separator, _ = text.partition("\n---\n")
    if not separator:
        header = text.partition("\ndiff --git ")[0]
        faults.append("no --- line between its reasons and its diff")
    fields, _, body = header.partition("\n\n")
    fields = re.sub(r"\n[ \t]+", " ", fields)
    if not re.search(r"^From: .+ <.+@.+>$", fields, re.M):
        faults.append("no From: NAME <ADDRESS>")
    subject = re.search(r"^Subject: \[PATCH\] (.*)$", fields, re.M)
    if not subject or not re.fullmatch(r"[A-Za-z0-9_./,{}+ -]+: \S.*", subject.group(1)):
        faults.append("subject is not '[PATCH] area: what it does'")
    trailer = re.compile(f"(?:{'|'.join(TRAILERS)}): ")
    prose = [x for x in body.splitlines() if x.strip() and not trailer.match(x)]
    if not prose:
        faults.append("no reasons: its body is empty")
    if not re.search(r"^Assisted-by: \S", header, re.M):
        faults.append("no Assisted-by: (Documentation/process/coding-assistants.rst)")
    if re.search(r"^Signed-off-by:", header, re.M):
        faults.append("has a Signed-off-by; whoever submits it adds that")
    if "\ndiff --git " not in text:
        faults.append("changes nothing")
    return [f"{name}: {fault}" for fault in faults]


def check(root: Path) -> list[str]:
    entries = load(root)
    names = [entry.name for entry in entries]
    patches = root / "patches"
    present = {str(p.relative_to(patches)) for p in patches.rglob("*") if p.is_file() and p.name[0] != "."}
    faults = [f"series lists {name} twice" for name in set(names) if names.count(name) > 1]
    faults += [f"series lists {name}, patches/ has no such file" for name in names if name not in present]
    faults += [f"patches/{name} is not in series" for name in sorted(present - set(names))]
    parts = list(dict.fromkeys(entry.part for entry in entries))
    if parts != [part for part in ("", *PARTS) if part in parts]:
        faults.append(f"series has the parts {', '.join(parts)}; they are {', '.join(PARTS)}, in this order")
    numbers: dict[str, int] = {}
    for entry in entries:
        number = numbers[entry.part] = numbers.get(entry.part, 0) + 1
        match = NAME.fullmatch(entry.name)
        if not match or int(match.group(2)) != number:
            faults.append(f"{entry.name}: number {number} of its part is not called {number:04}-SLUG.patch")
        if entry.name in present:
            faults += check_header(entry.name, entry.path.read_text(encoding="utf-8"))
    return faults


def sections(patch: str) -> dict[str, str]:
    """The diff of each file, by its name in the new tree."""
    found = {}
    for part in re.split(r"^(?=diff --git )", patch, flags=re.M)[1:]:
        match = re.match(r"diff --git a/(\S+) b/(\S+)\n", part)
        if match:
            found[match.group(2)] = part
    return found


def added_rust(root: Path) -> dict[str, bytes]:
    """The .rs files that the series adds, as the whole of it leaves them."""
    entries = load(root)
    added: set[str] = set()
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["git", "init", "-q", scratch], check=True)
        for entry in entries:
            patch = entry.path.read_text(encoding="utf-8")
            # The end of a format-patch mail is no part of the last diff.
            patch = re.sub(r"\n-- \n[^\n]*\n*\Z", "\n", patch)
            files = {k: v for k, v in sections(patch).items() if k.endswith(".rs")}
            added |= {k for k, v in files.items() if "\nnew file mode " in v}
            diff = "".join(v for k, v in files.items() if k in added)
            if diff:
                subprocess.run(["git", "apply", "-"], input=diff, cwd=scratch, text=True, check=True)
        paths = {name: Path(scratch) / name for name in sorted(added)}
        return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


def check_rust(root: Path) -> list[str]:
    faults = []
    wanted = added_rust(root)
    for name, content in wanted.items():
        copy = root / "rust" / name
        if not copy.is_file():
            faults.append(f"rust/{name} is missing (make refresh)")
        elif copy.read_bytes() != content:
            faults.append(f"rust/{name} is not what the series adds (make refresh)")
    for top in ("kernel", "rust"):
        for path in sorted((root / "rust" / top).rglob("*.rs")):
            name = str(path.relative_to(root / "rust"))
            if name not in wanted:
                faults.append(f"rust/{name} is in no patch (make refresh)")
    return faults


def main(argv: list[str]) -> int:
    verb, path = argv[0], Path(argv[1])
    if verb == "list":
        print("".join(f"{e.name}\n" for e in load(path) if e.part in (argv[2:] or [e.part])), end="")
        return 0
    if verb == "arrange":
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        made, to = Path(argv[2]), Path(argv[3])
        text, called = arrange(old, sorted(p.name for p in made.glob("*.patch")))
        for name, new in called.items():
            (to / "patches" / new).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made / name, to / "patches" / new)
        (to / "series").write_text(text, encoding="utf-8")
        return 0
    faults = check(path) if verb == "check" else check_rust(path)
    print("".join(f"{fault}\n" for fault in faults), end="")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
