#!/usr/bin/env python3
"""Checkpoint and restart with Debian's criu: a tree of processes moves from one
container to another. Every claim is checked; the last line counts the checks.

criu.py [demo|arrive|root]: `demo` leaves the images on the second disk, if there is
one; `arrive` restores from there, in another boot.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any, Optional

from container import Container, Process, processes, rows, run, wait_for

DIR = Path("/tmp/criu")
IMAGES = DIR / "images"
ROOT_IMAGES = DIR / "root-images"
FIRST = 20001  # the vpid of the tree's top
THREADS = 13  # in the tree
DISK = Path("/dev/vdb")
Report = dict[str, dict[str, Any]]

CHECKS = 0
FAILURES = 0


def say(text: str) -> None:
    print(textwrap.fill(" ".join(text.split()), 79), end="\n\n", flush=True)


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def check(what: str, expected: Any, seen: Any) -> bool:
    global CHECKS, FAILURES
    CHECKS += 1
    if expected == seen:
        return True
    FAILURES += 1
    print(f"!!! MISMATCH: {what}\n!!!   expected {expected!r}\n!!!   seen     {seen!r}", flush=True)
    return False


def claim(what: str, true: bool, seen: Any) -> bool:
    return check(what, "so", "so" if true else seen)


# The tree


class Tree:
    """The one in a container, with the reports that it writes on a signal."""

    def __init__(self, where: Optional[Container], first: int = FIRST) -> None:
        self.where = where
        self.first = first

    def report(self, sign: str = "USR1") -> Report:
        for old in DIR.glob("report-*"):
            old.unlink()
        top = self.where.host(self.first) if self.where else self.first
        os.kill(top, getattr(signal, f"SIG{sign}"))
        path = wait_for("the tree's report", lambda: list(DIR.glob("report-*[0-9]")))[0]
        report: Report = json.loads(path.read_text(encoding="ascii"))
        return report

    def seen(self) -> dict[int, Process]:
        """The host's view of it, in the tree's own numbers."""
        if self.where:
            found = self.where.members()
        else:
            found = processes()
        return {p.pid: p for p in found if self.first <= p.pid < self.first + THREADS}

    def tids(self) -> set[int]:
        """All of its threads, by the host's view."""
        where = self.where
        tids = set()
        for pid in self.seen():
            names = map(int, os.listdir(f"/proc/{where.host(pid) if where else pid}/task"))
            tids |= {where.inside(t) if where else t for t in names}
        return tids

    def table(self, report: Report) -> None:
        print("                 vpid   ppid   pgid    sid  state  host pid  threads")
        for pid, p in sorted(self.seen().items()):
            (name,) = [n for n, r in report.items() if r["pid"] == pid] or ["?"]
            host = self.where.host(pid) if self.where else pid
            tids = " ".join(map(str, report[name].get("tids", [])[1:])) if name in report else ""
            row = f"    {name:10} {pid:6} {p.ppid:6} {p.pgid:6} {p.sid:6}  {p.state:5} {host:9}  {tids}"
            print(row.rstrip())
        print(flush=True)


def ids(report: Report) -> dict[str, tuple[int, ...]]:
    return {name: tuple(r[k] for k in ("pid", "ppid", "pgid", "sid")) for name, r in report.items()}


def check_numbers(tree: Tree, before: Report, report: Report, what: str) -> None:
    """The same for itself, for the host and, by ps, for its container."""
    for name, expected in ids(before).items():
        check(f"{what}: the numbers of {name}, for itself", expected, ids(report).get(name))
        p = tree.seen().get(expected[0])
        check(f"{what}: the numbers of {name}, in /proc", expected, p and (p.pid, p.ppid, p.pgid, p.sid))
    check(f"{what}: the tids of the counter", before["counter"]["tids"], report["counter"]["tids"])
    check(f"{what}: the threads, in /proc", pids_of(before), tree.tids())
    if tree.where:
        text = tree.where.sh("ps -eo pid=,ppid=,pgid=,sid=")
        seen = {tuple(map(int, line.split())) for line in text.splitlines()}
        claim(f"{what}: ps inside lists them", set(ids(before).values()) <= seen, text)


def pids_of(report: Report) -> set[int]:
    return {r["pid"] for r in report.values()} | set(report["counter"]["tids"])


def check_life(tree: Tree, before: Report, what: str) -> Report:
    """It goes on from where it was."""
    after = tree.report("USR2")
    check_numbers(tree, before, after, what)
    old, new = before["counter"]["counts"], after["counter"]["counts"]
    claim(f"{what}: the counters go on", all(a > b for a, b in zip(new, old)), (old, new))
    check(f"{what}: the pipe, written before and after", "before,after.", after["reader"]["read"])
    check(f"{what}: the socket pair", ["one", "two"], after["receiver"]["messages"])
    check(f"{what}: the file's offset", before["keeper"]["offset"], after["keeper"]["offset"])
    check(f"{what}: the file", "first half, second half", after["keeper"]["log"])
    check(f"{what}: the shell's variables", before["shell"]["lines"] + 1, after["shell"]["lines"])
    if "zombie" in before:
        check(f"{what}: the zombie", ("Z", 7), (after["zombie"]["state"], after["zombie"]["status"]))
    left = after["timer"]["left"]
    claim(f"{what}: the timer is pending still", 0 < left < before["timer"]["left"], left)
    check(f"{what}: the timer has not gone off", 0, after["timer"]["fired"])
    print(f"    counters   {' '.join(map(str, old))} -> {' '.join(map(str, new))}")
    print(f"    pipe       {after['reader']['read']}")
    print(f"    sockets    {', '.join(after['receiver']['messages'])}")
    print(f"    file       offset {after['keeper']['offset']}: {after['keeper']['log']}")
    print(f"    shell      {after['shell']['lines']} lines")
    if "zombie" in after:
        print(f"    zombie     exit status {after['zombie']['status']}")
    print(f"    timer      {before['timer']['left']:.1f} s -> {left:.1f} s\n", flush=True)
    return after


# criu


def criu(where: Optional[Container], arguments: str, images: Path = IMAGES, env: str = "") -> tuple[bool, str]:
    """Run it there; did it succeed, and what its log complains about."""
    verb = arguments.split()[0]
    log = images / f"{verb}.log"
    log.unlink(missing_ok=True)
    command = f"{env}criu {arguments} -D {images}"
    print(f"    {where.name if where else 'host'}# {command}")
    start = time.monotonic()
    command += f" -o {verb}.log > {DIR}/out 2>&1"
    status = where.status(command)[1] if where else subprocess.run(["sh", "-c", command], check=False).returncode
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    errors = [line[line.index("Error") :] for line in text.splitlines() if "Error (" in line]
    print(f"    {'done' if not status else 'failed'} in {time.monotonic() - start:.1f} s\n", flush=True)
    return not status, "\n".join(errors)


def restore(where: Optional[Container]) -> tuple[bool, str]:
    """As often as wanted: the open file must be as it was at the dump."""
    (DIR / "log").write_bytes((IMAGES / "log").read_bytes())
    # criu's own helpers must not sit on the tree's numbers.
    command = f"echo {FIRST + 9999} > /proc/sys/kernel/ns_last_pid"
    if where:
        where.sh(command)
    else:
        run("sh", "-c", command)
    return criu(where, "restore --restore-detached")


def untouched(takers: dict[int, subprocess.Popen[bytes]], other: Container, napper: int) -> None:
    for pid, process in takers.items():
        check(f"the host's own {pid}", None, process.poll())
        comm = Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()
        check(f"the name of the host's {pid}", "sleep", comm)
    check("the other container", [1, napper], [p.pid for p in other.members()])


def host_processes() -> set[tuple[int, str]]:
    """But for kernel threads, which come and go, and members of containers."""
    return {(p.pid, p.comm) for p in processes() if p.pid != 2 and p.ppid != 2 and p.pid < 1 << 22}


# The acts


def dump(a: Container) -> Optional[Report]:
    heading('1. Ten processes in container "a"')
    say("""A Python with eight children and a dash: a pipe with something in it, a UNIX
        socket pair with a message on its way, a counter with three more threads in a
        session of its own, an open file, a timer that is pending, a zombie. The shell
        and the sender have process groups of their own.""")
    a.sh(f"echo {FIRST - 1} > /proc/sys/kernel/ns_last_pid")
    a.sh(f"python3 /jobs/tree.py {DIR} &")
    wait_for("the tree", (DIR / "ready").exists)
    tree = Tree(a)
    before = tree.report()
    tree.table(before)
    check("the top's number", FIRST, before["top"]["pid"])
    check("ten processes", 10, len(tree.seen()))
    check("sessions", 2, len({p.sid for p in tree.seen().values()}))
    check("process groups", 4, len({p.pgid for p in tree.seen().values()}))
    check_numbers(tree, before, before, "in a")

    heading("2. criu dumps it, from inside")
    IMAGES.mkdir()
    ok, errors = criu(a, f"dump -t {FIRST}")
    if not check("criu dump", (True, ""), (ok, errors)):
        return None
    check("what is left in a", [1], [p.pid for p in a.members()])
    (IMAGES / "log").write_bytes((DIR / "log").read_bytes())
    (IMAGES / "before").write_text(json.dumps(before), encoding="ascii")
    size = sum(f.stat().st_size for f in IMAGES.iterdir())
    say(f"The tree has gone; there are {size >> 20} MB of images.")
    return before


def take(before: Report) -> dict[int, subprocess.Popen[bytes]]:
    heading("3. The host takes those very numbers")
    takers: dict[int, subprocess.Popen[bytes]] = {}
    for pid in sorted(pids_of(before)):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1), encoding="ascii")
        process = subprocess.Popen(["sleep", "1000000"])
        check("the number of the host's process", pid, process.pid)
        takers[process.pid] = process
    print(textwrap.indent(run("ps", "-o", "pid,ppid,comm", "-p", ",".join(map(str, takers))), "    "), end="\n\n")
    return takers


def arrives(where: Container, before: Report) -> Optional[Tree]:
    """Restore there and look at it closely."""
    tree = Tree(where)
    ok, errors = restore(where)
    if not check(f"criu restore in {where.name}", (True, ""), (ok, errors)):
        return None
    tree.table(before)
    check_life(tree, before, f"in {where.name}")
    return tree


def side_by_side(before: Report, b: Tree) -> None:
    heading("5. The same images twice more, at once")
    c, d = Container("c"), Container("d")
    (DIR / "log").write_bytes((IMAGES / "log").read_bytes())
    trees = [b]
    for where in c, d:
        where.sh(f"echo {FIRST + 9999} > /proc/sys/kernel/ns_last_pid")
        print(f"    {where.name}# criu restore --restore-detached -D {IMAGES}")
        where.start(f"criu restore --restore-detached -D {IMAGES} -o {where.name}.log > /dev/null 2>&1")
    for where in c, d:
        check(f"criu restore in {where.name}", 0, where.answer()[1])
        trees.append(Tree(where))
    print()
    for line in Path("/proc/containers").read_text(encoding="ascii").splitlines():
        print("    " + line.expandtabs(10))
    print()
    for tree in trees[1:]:
        check_numbers(tree, before, tree.report(), f"in {tree.where.name}")  # type: ignore[union-attr]
    counter = before["counter"]["pid"]
    c.sh(f"kill -STOP {counter}")
    wait_for("the stop", lambda: trees[1].seen()[counter].state == "T")
    check(f"the state of {counter} in b, c and d", ["S", "T", "S"], [t.seen()[counter].state for t in trees])
    say(f"Now three processes are {counter}; kill -STOP {counter} in c stops only that of c.")
    for where in c, d:
        where.kill()


def conflict(before: Report, takers: dict[int, subprocess.Popen[bytes]], other: Container, napper: int) -> None:
    heading("6. Why it needs a container: the same in the default one")
    there = host_processes()
    ok, errors = restore(None)
    print("    " + "\n    ".join(line[:76] for line in errors.splitlines()[:3]) + "\n")
    check("criu restore where the pids are taken", False, ok)
    claim("it says that a pid exists", f"Can't fork for {FIRST}: File exists" in errors, errors)
    untouched(takers, other, napper)
    check("the processes of the host", there, host_processes())
    for process in takers.values():
        process.kill()
        process.wait()
    say("Those processes end, and now the same command works there:")
    tree = Tree(None)
    ok, errors = restore(None)
    if check("criu restore where they are free", (True, ""), (ok, errors)):
        check("the threads, in /proc", pids_of(before), tree.tids())
        for pid in tree.seen():
            # Some end with others of them.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Joined(Container):
    """A bash that has joined a container, and is not its root."""

    def __init__(self, name: str) -> None:
        super().__init__(name, start=["sh", "-c", f"echo {name} >> /proc/container && exec bash --norc"])
        self.find()

    def find(self) -> None:
        self.id, self.root, _ = rows()[self.name]

    def kill(self) -> None:
        # Its number outside is none of the container's.
        self.bash.kill()
        super().kill()


def nspid(pid: int) -> list[int]:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith("NSpid:")]
    return [int(word) for word in line.split()[1:]]


def top_is_root() -> None:
    heading("7. A tree whose top is the root of its container")
    say("""The tree's Python makes the container itself, and so is number 1 in it. criu on
        the host dumps it: from there a container looks like a pid namespace. The
        tree has no zombie this time: criu would lose it.""")
    (DIR / "ready").unlink(missing_ok=True)
    top = subprocess.Popen(["sh", "-c", f"echo e > /proc/container && exec python3 /jobs/tree.py {DIR} --no-zombie"])
    wait_for("the tree", (DIR / "ready").exists)
    e = Joined("e")
    tree = Tree(e, 1)
    before = tree.report()
    tree.table(before)
    check("the top's numbers", (1, 0, 1, 1), ids(before)["top"])
    check_numbers(tree, before, before, "in e")
    ROOT_IMAGES.mkdir()
    ok, errors = criu(None, f"dump -t {e.root}", ROOT_IMAGES)
    if not check("criu dump of the root", (True, ""), (ok, errors)):
        e.kill()
        return
    # As long as it is a zombie it is there, and so is its number.
    check("how the top ended", -signal.SIGKILL, top.wait())
    e.find()
    check("e has no root any more", 0, e.root)
    log = (DIR / "log").read_bytes()

    say("""criu restores a tree with a number 1 in a pid namespace that it makes for it,
        with one clone3() that asks for CLONE_NEWPID and for number 1. In here that gives a
        pid namespace in the container, whose processes have one number more:""")
    ok, errors = criu(e, "restore --restore-detached", ROOT_IMAGES)
    check("criu restore in a pid namespace inside", (True, ""), (ok, errors))
    e.find()
    check("that is no root of e", 0, e.root)
    inner = [p.pid for p in e.members()]
    print(f"    NSpid of the top: {nspid(e.host(inner[0]))}\n")
    check("the numbers of the top", [e.host(inner[0]), inner[0], 1], nspid(e.host(inner[0])))
    os.kill(e.host(inner[0]), signal.SIGKILL)
    wait_for("their end", lambda: not e.members())

    say("""What e is, a container that has lost its root, needs the number alone: a child
        with number 1 becomes its new root. set_tid_1.so takes the flag away from that one
        clone3(); nothing else about criu is changed.""")
    (DIR / "log").write_bytes(log)
    e.sh(f"echo {FIRST} > /proc/sys/kernel/ns_last_pid")
    ok, errors = criu(e, "restore --restore-detached", ROOT_IMAGES, "LD_PRELOAD=/jobs/set_tid_1.so ")
    if check("criu restore of a root", (True, ""), (ok, errors)):
        e.find()
        claim("e has a root again", e.root > 0, rows())
        tree.table(before)
        check_life(tree, before, "with a new root")
        orphan = int(e.sh("(sleep 1000 & echo $!)"))
        check("the new root adopts orphans", 1, {p.pid: p.ppid for p in e.members()}.get(orphan))
    e.kill()


def demo() -> None:
    other = Container("other")
    napper = int(other.sh("sleep 1000000 & echo $!"))
    a = Container("a")
    before = dump(a)
    if not before:
        return
    takers = take(before)

    heading('4. A new container, "b", restores it')
    b = Container("b")
    tree = arrives(b, before)
    untouched(takers, other, napper)
    if tree:
        side_by_side(before, tree)
        conflict(before, takers, other, napper)
        fired = wait_for("the timer in b", lambda: tree.report()["timer"]["fired"])
        check("the timer in b has gone off once", 1, fired)
        say("Meanwhile the timer in b has gone off, once.")
    top_is_root()
    if DISK.exists():
        print(f"    host# tar -cf {DISK} {IMAGES}\n")
        check("the images on the disk", "", run("tar", "-cf", str(DISK), "-C", str(DIR), "images"))
    for container in a, b, other:
        container.kill()
    check("no container is left", {}, rows())


def arrive() -> None:
    heading("8. Another boot of another guest")
    print(f"    host# tar -xf {DISK}\n")
    check("the images from the disk", "", run("tar", "-xf", str(DISK), "-C", str(DIR)))
    before: Report = json.loads((IMAGES / "before").read_text(encoding="ascii"))
    a = Container("a")
    tree = arrives(a, before)
    if tree:
        fired = wait_for("the timer", lambda: tree.report()["timer"]["fired"])
        check("the timer has gone off once", 1, fired)
    a.kill()
    check("no container is left", {}, rows())


def main(act: str = "demo") -> int:
    DIR.mkdir()
    # Where criu keeps what it found out about the kernel.
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    print(f"\n{run('criu', '--version').splitlines()[0]} on {' '.join(run('uname', '-sr').split())}", flush=True)
    try:
        {"demo": demo, "arrive": arrive, "root": top_is_root}[act]()
    except Exception as e:  # pylint: disable=broad-except
        check("the demonstration", "an end", repr(e))
    print(f"\n{CHECKS} checks, {FAILURES} failed", flush=True)
    return 1 if FAILURES or not CHECKS else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
