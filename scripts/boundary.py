#!/usr/bin/env python3
"""Where pids cross between user space and kernel: check the map of it.

boundary.py --check TREE    compare the call sites in TREE with ci/boundary/sites, and
                            the document in TREE with what follows from both lists
boundary.py --sites TREE    print the sites of TREE, with the rows they are known under
boundary.py --document TREE print the document

A site is a file, a function, the helper that it calls and how often, and belongs to a row
of ci/boundary/rows. A new one is "unmapped", and one that is gone is "stale": edit sites,
which --sites prints again.
"""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).resolve().parent.parent / "ci/boundary"
DOCUMENT = "Documentation/core-api/pidspace-boundary.rst"
TESTS = "tools/testing/selftests/pidspace"
LEAKS = "tools/testing/selftests/pid_namespace/leaks.c"

# Those that make a number for current, for somebody else, and a process of a number.
HELPERS = """
pid_is_own pid_vnr task_pid_vnr task_tgid_vnr task_pgrp_vnr task_session_vnr task_ppid_vnr
pid_nr_ns task_pid_nr_ns task_tgid_nr_ns task_pgrp_nr_ns task_session_nr_ns task_ppid_nr_ns
__task_pid_nr_ns
find_vpid vpid_is find_get_pid find_task_by_vpid find_get_task_by_vpid find_pid_ns
find_task_by_pid_ns find_ge_pid pidfd_get_pid pidfd_get_task pidfd_prepare ns_of_pid
""".split()
CALL = re.compile(r"(?<![\w.>])(" + "|".join(HELPERS) + r")\s*\(")
DEFINITION = re.compile(r"[A-Za-z_][\w \t*]*\b(" + "|".join(HELPERS) + r")\s*\(")
DIRECTORIES = """
arch block certs crypto drivers fs include init io_uring ipc kernel lib mm net rust samples
security sound virt
""".split()
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
STRING = re.compile(r'"(?:\\.|[^"\\\n])*"')
# A function begins in the first column, in Rust anywhere.
HEAD = re.compile(r"(?:#\s*define\s+)?(?:[A-Za-z_][\w \t*]*[ \t*])?(\w+)\(")
RUST_HEAD = re.compile(r"[^\n]*?\bfn\s+(\w+)")
NOT_HEAD = re.compile(r"(?:if|for|while|switch|return|else|typedef)\b|#(?!\s*define)|EXPORT_SYMBOL")


class Site(NamedTuple):
    file: str
    function: str
    helper: str


def blank(match: re.Match[str]) -> str:
    """As many lines as before, and nothing in them."""
    return "\n" * match.group().count("\n")


def sites_of(file: str, text: str) -> Counter[Site]:
    """The calls of helpers in a C or Rust file."""
    found: Counter[Site] = Counter()
    function = "-"
    text = STRING.sub('""', COMMENT.sub(blank, text))
    for line in text.split("\n"):
        if file.endswith(".rs"):
            if head := RUST_HEAD.match(line):
                function = head.group(1)
                if function in HELPERS:
                    continue
            line = line.replace("bindings::", " ")
        elif line[:1] not in (" ", "\t", "}", "{", "") and not NOT_HEAD.match(line):
            if defined := DEFINITION.match(line):
                function = defined.group(1)
                continue
            if (head := HEAD.match(line)) and not line.rstrip().endswith(";"):
                function = head.group(1)
                if function.isupper() or re.match(r"[A-Z_]+\d?$", function):
                    # SYSCALL_DEFINE1(getsid, ...
                    argument = re.match(r"\s*(\w+)", line[head.end() :])
                    function = argument.group(1) if argument and "define" not in line else function
        for call in CALL.finditer(line):
            found[Site(file, function, call.group(1))] += 1
    return found


def scan(tree: Path) -> Counter[Site]:
    """All of a tree."""
    words = [arg for helper in HELPERS if not helper.startswith("__") for arg in ("-e", helper)]
    names = [d for d in DIRECTORIES if (tree / d).is_dir()]
    grep = ["grep", "-rlF", "--include=*.[ch]", "--include=*.rs", *words, "--", *names]
    result = subprocess.run(grep, cwd=tree, stdout=subprocess.PIPE, text=True, check=False)
    found: Counter[Site] = Counter()
    for file in result.stdout.split():
        found += sites_of(file, (tree / file).read_text(errors="replace"))
    return found


class Known(NamedTuple):
    count: int
    row: str


def read_sites(path: Path) -> dict[Site, Known]:
    known = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            file, function, helper, count, row = line.split()
            known[Site(file, function, helper)] = Known(int(count), row)
    return known


def read_rows(path: Path) -> configparser.ConfigParser:
    rows = configparser.ConfigParser(interpolation=None, delimiters=(":",))
    rows.read_string(path.read_text())
    return rows


def compare(found: Counter[Site], known: dict[Site, Known]) -> list[str]:
    """What is not in the list, or only there."""
    faults = []
    for site in sorted(found):
        was = known[site].count if site in known else 0
        if found[site] > was:
            faults.append(f"unmapped: {site.file}: {site.function}() calls {site.helper}()"
                          f" {found[site]} times, known are {was}")
    for site in sorted(known):
        if found[site] < known[site].count:
            faults.append(f"stale: {site.file}: {site.function}() calls {site.helper}()"
                          f" {found[site]} times, known are {known[site].count}")
    return faults


def tests_in(tree: Path) -> set[str]:
    """boundary.ROW, and FIXTURE.TEST of the other programs."""
    names = set()
    for path in sorted((tree / TESTS).glob("*_test.c")):
        program = path.name[: -len("_test.c")]
        names.update(f"{program}.{test}" for test in re.findall(r"^TEST_F\(\w+, (\w+)\)", path.read_text(), re.M))
    for path in sorted((tree / TESTS).glob("boundary_*.c")):
        names.update("boundary." + row for row in re.findall(r'^\t\{ \.name = "(\w+)"', path.read_text(), re.M))
    # The same tests from a pid namespace and, as leak_test, from a container.
    leaks = tree / LEAKS
    if leaks.is_file():
        names.update("leak." + test for test in re.findall(r"^TEST_F\(leaks, (\w+)\)", leaks.read_text(), re.M))
    return names


def agree(rows: configparser.ConfigParser, known: dict[Site, Known], tests: set[str]) -> list[str]:
    """Do the two lists and the tests fit?"""
    faults = []
    used = {site.row for site in known.values()}
    faults += [f"no such row: {row}" for row in sorted(used - set(rows.sections()))]
    for key in rows.sections():
        row = rows[key]
        missing = {"what", "way", "view"} - set(row)
        if missing or not ("test" in row or "untested" in row):
            faults.append(f"{key}: no {', '.join(sorted(missing)) or 'test, and no reason'}")
            continue
        if key not in used and "where" not in row:
            faults.append(f"{key}: no call site, and no where")
        if row["way"] not in ("in", "out", "both"):
            faults.append(f"{key}: way {row['way']}?")
        faults += [f"{key}: no such test: {test}" for test in row.get("test", "").split() if test not in tests]
    mapped = {test for key in rows.sections() for test in rows[key].get("test", "").split()}
    faults += [f"not in the map: {test}" for test in sorted(tests - mapped)
               if test.startswith("boundary.") and test != "boundary.row"]
    return faults


def places(key: str, rows: configparser.ConfigParser, known: dict[Site, Known]) -> list[str]:
    """Where the row is translated: file and functions."""
    functions: dict[str, list[str]] = {}
    for site in sorted(known):
        if known[site].row == key:
            names = functions.setdefault(site.file, [])
            name = site.function + "()" if site.function != "-" else "a macro"
            if name not in names:
                names.append(name)
    lines = [f"{file}: {', '.join(names)}" for file, names in functions.items()]
    return lines + rows[key].get("where", "").strip().split("\n") * ("where" in rows[key])


def wrap(first: str, text: str, later: str = "") -> list[str]:
    """Lines of at most 80 columns, the later ones below the text of the first."""
    out, line, empty = [], first, True
    for word in text.split():
        if len(line) + len(word) > 80 and not empty:
            out.append(line.rstrip())
            line = later or " " * len(first)
        line += word + " "
        empty = False
    return [*out, line.rstrip()]


def document(rows: configparser.ConfigParser, known: dict[Site, Known]) -> str:
    out = [(DATA / "head.rst").read_text().rstrip("\n")]
    for title, keys in groups(rows):
        out += ["", title, "-" * len(title), ""]
        for key in keys:
            row = rows[key]
            out.append(key)
            out += wrap("  ", " ".join(row["what"].split()))
            out.append("")
            for name in ("way", "view"):
                out += wrap(f"  :{name}: ", " ".join(row[name].split()), "    ")
            where = places(key, rows, known)
            if len(where) == 1:
                out += wrap("  :where: ", where[0], "    ")
            for place in where if len(where) > 1 else []:
                out += wrap("  :where: | " if place is where[0] else "          | ", place)
            if "test" in row:
                out += wrap("  :test: ", ", ".join(row["test"].split()), "    ")
            if "untested" in row:
                out += wrap("  :no test: ", " ".join(row["untested"].split()), "    ")
            out.append("")
        out.pop()
    return "\n".join(out) + "\n"


def groups(rows: configparser.ConfigParser) -> list[tuple[str, list[str]]]:
    """Rows by the group that the first of them names."""
    result: list[tuple[str, list[str]]] = []
    for key in rows.sections():
        if "group" in rows[key]:
            result.append((rows[key]["group"], []))
        result[-1][1].append(key)
    return result


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] not in ("--check", "--sites", "--document"):
        print(__doc__, file=sys.stderr)
        return 2
    mode, tree = arguments[0], Path(arguments[1])
    known = read_sites(DATA / "sites")
    if mode == "--sites":
        found = scan(tree)
        for site in sorted(found):
            row = known[site].row if site in known else "UNMAPPED"
            print(*site, found[site], row)
        return 0
    rows = read_rows(DATA / "rows")
    if mode == "--document":
        print(document(rows, known), end="")
        return 0
    found = scan(tree)
    faults = compare(found, known) + agree(rows, known, tests_in(tree))
    path = tree / DOCUMENT
    if not path.exists() or path.read_text() != document(rows, known):
        faults.append(f"{DOCUMENT} is not what --document prints")
    print("\n".join(faults) or f"{sum(found.values())} call sites in {len(rows.sections())} rows")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
