#!/usr/bin/env python3
"""Make the directory that `git send-email` takes: the series numbered, signed
off by whoever sends it (the identity git has), with a cover letter to fill in.

rfc.py ROOT DIRECTORY [PART]: the RFC, which is the part "series"; or the part PART, or
the patches under the one heading that has PART in it, numbered as a series of their own
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from series import Entry, load, sections_of, slug

COVER = """From: {sender}
Subject: [RFC PATCH 0/{count}] *** SUBJECT ***

*** Motivation ***

*** What is not done here, and why ***

*** Design, and the objections it has to answer ***

*** Testing: what was run, with which compilers ***

*** Performance: tables, with sample sizes ***

{shortlog}
base: Linux 7.3.y
"""


def identity() -> str:
    """NAME <ADDRESS> as the user has set it; no guess from the host's name."""
    command = ["git", "-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    match = re.match(r"(.+ <.+@.+>) \d+", result.stdout)
    if result.returncode or not match:
        sys.exit("error: git has no identity to sign off with: set user.name and user.email")
    return match.group(1)


def sign(patch: str, number: int, count: int, sender: str) -> str:
    width = len(str(count))
    tag = f"[RFC PATCH {number:0{width}}/{count}] "
    patch, found = re.subn(r"^Subject: \[PATCH\] ", f"Subject: {tag}", patch, count=1, flags=re.M)
    header, separator, rest = patch.partition("\n---\n")
    if not found or not separator:
        sys.exit(f"error: patch {number} has no subject or no --- line (make lint)")
    # Trailers stand together, after a blank line.
    last = header.rstrip().rsplit("\n", 1)[-1]
    gap = "" if re.match(r"[A-Z][\w-]+: ", last) else "\n"
    return f"{header.rstrip()}\n{gap}Signed-off-by: {sender}{separator}{rest}"


def choose(entries: list[Entry], section: str) -> list[Entry]:
    """The patches of the part or the section that is meant, which has to be a single one."""
    if part := [entry for entry in entries if entry.part == section]:
        return part
    sections = sections_of(entries)
    fitting = [name for name in sections if section.lower() in name.lower()]
    if len(fitting) != 1:
        known = "".join(f"\n  {name}" for name in sections)
        sys.exit(f"error: {len(fitting)} sections of the series have '{section}' in their name:{known}")
    return sections[fitting[0]]


def main(root: Path, directory: Path, section: str = "") -> int:
    sender = identity()
    entries = load(root)
    if not entries:
        sys.exit("error: the series is empty")
    entries = choose(entries, section) if section else [e for e in entries if e.part in ("", "series")]
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    subjects = []
    for number, entry in enumerate(entries, 1):
        patch = entry.path.read_text(encoding="utf-8")
        match = re.search(r"^Subject: \[PATCH\] (.*(?:\n .*)*)", patch, re.M)
        subjects.append("  " + re.sub(r"\n ", " ", match.group(1)) if match else entry.name)
        signed = sign(patch, number, len(entries), sender)
        (directory / f"{number:04}-{slug(entry.name)}").write_text(signed, encoding="utf-8")
    cover = COVER.format(sender=sender, count=len(entries), shortlog="\n".join(subjects))
    (directory / "0000-cover-letter.patch").write_text(cover, encoding="utf-8")
    print(f"  {directory}: {len(entries)} patches, signed off by {sender}")
    print("  fill in 0000-cover-letter.patch, then: git send-email --dry-run --to=... DIRECTORY")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:4]))
