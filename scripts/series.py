#!/usr/bin/env python3
"""What the series file and the patches must agree on.

series.py check ROOT         series <-> patches/, headers of the patches
series.py rust ROOT          the .rs files that the series adds <-> ROOT/rust/
series.py regenerate OLD DIR the new series for the patches in DIR, on stdout,
                             with the comments of the series file OLD
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

NAME = re.compile(r"(\d{4})-(.+)\.patch")


def slug(name: str) -> str:
    """What is left of a patch's name when the series is renumbered."""
    return re.sub(r"^\d{4}-", "", name)


@dataclass
class Entry:
    name: str
    comments: list[str] = field(default_factory=list)


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


def regenerate(old: str, names: list[str]) -> str:
    """Comments stay with the patch that they stand above; if it is gone, with
    the next one that is not."""
    entries, tail = parse(old)
    by_slug = {slug(name): name for name in names}
    comments: dict[str, list[str]] = {}
    pending: list[str] = []
    for entry in entries:
        pending += entry.comments
        name = by_slug.get(slug(entry.name))
        if name:
            comments.setdefault(name, []).extend(pending)
            pending = []
    lines = [line for name in names for line in [*comments.get(name, []), name]]
    return "".join(line + "\n" for line in [*lines, *pending, *tail])


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
    prose = [x for x in body.splitlines() if x.strip() and not re.match(r"[A-Z][\w-]+: ", x)]
    if not prose:
        faults.append("no reasons: its body is empty")
    if re.search(r"^Signed-off-by:", header, re.M):
        faults.append("has a Signed-off-by; whoever submits it adds that")
    if "\ndiff --git " not in text:
        faults.append("changes nothing")
    return [f"{name}: {fault}" for fault in faults]


def check(root: Path) -> list[str]:
    entries, _ = parse((root / "series").read_text(encoding="utf-8"))
    names = [entry.name for entry in entries]
    present = {p.name for p in (root / "patches").iterdir() if not p.name.startswith(".")}
    faults = [f"series lists {name} twice" for name in set(names) if names.count(name) > 1]
    faults += [f"series lists {name}, patches/ has no such file" for name in names if name not in present]
    faults += [f"patches/{name} is not in series" for name in sorted(present - set(names))]
    for number, name in enumerate(names, 1):
        match = NAME.fullmatch(name)
        if not match or int(match.group(1)) != number:
            faults.append(f"{name}: number {number} of the series is not called {number:04}-SLUG.patch")
        if name in present:
            text = (root / "patches" / name).read_text(encoding="utf-8")
            faults += check_header(name, text)
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
    entries, _ = parse((root / "series").read_text(encoding="utf-8"))
    added: set[str] = set()
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["git", "init", "-q", scratch], check=True)
        for entry in entries:
            patch = (root / "patches" / entry.name).read_text(encoding="utf-8")
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
    if verb == "regenerate":
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        print(regenerate(old, sorted(p.name for p in Path(argv[2]).glob("*.patch"))), end="")
        return 0
    faults = check(path) if verb == "check" else check_rust(path)
    print("".join(f"{fault}\n" for fault in faults), end="")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
