#!/usr/bin/env python3
"""What criu has to bring back about pids, one case at a time, in a container and
in a pid namespace: from one into a fresh one of the same kind.

cases.py [PATTERN]         all of them; prints KTAP
cases.py costs             a table of what dump and restore cost
cases.py case NAME DIR     what is dumped: sets up, waits for SIGUSR2, verifies
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Callable

from container import Container, Mismatch, run, wait_for

Verify = Callable[[], None]
CASES: dict[str, Callable[[], Verify]] = {}
REFUSED = {"nested"}  # by criu, in both
DIR = Path("/tmp/cases")
IMAGES = DIR / "images"
FIRST = 20001
COSTS = (10, 100, 1000)


def case(function: Callable[[], Verify]) -> Callable[[], Verify]:
    CASES[function.__name__] = function
    return function


def same(what: str, expected: Any, seen: Any) -> None:
    if expected != seen:
        raise Mismatch(f"{what}: expected {expected}, seen {seen}")


def forked(life: Callable[[], Any], ends: bool = False) -> int:
    """A child that lives, then waits to be killed; or one that ends by itself."""
    ready, done = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            life()
            os.write(done, b"x")
            os.close(ready)
            os.close(done)
            while True:
                signal.pause()
        finally:
            os._exit(1)
    os.close(done)
    if not ends:
        os.read(ready, 1)
    os.close(ready)
    return pid


def ids(pid: int) -> tuple[int, ...]:
    """Its own and its parent's number, group, session; from /proc and the calls."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    same("getpgid and getsid", (os.getpgid(pid), os.getsid(pid)), tuple(map(int, fields[2:4])))
    return (pid, *map(int, fields[1:4]))


def unchanged(*pids: int) -> Verify:
    before = [ids(pid) for pid in pids]
    return lambda: same("pid, ppid, pgid, sid", before, [ids(pid) for pid in pids])


def subreaper_here() -> None:
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def tell(pipe: int) -> None:
    os.write(pipe, str(os.getpid()).encode())


@case
def pid() -> Verify:
    me = os.getpid(), os.getppid(), threading.get_native_id()
    return lambda: same("own", me, (os.getpid(), os.getppid(), threading.get_native_id()))


@case
def threads() -> Verify:
    tids: dict[int, int] = {}
    hit: list[int] = []
    signal.signal(signal.SIGUSR1, lambda *_: hit.append(1))

    def life(i: int) -> None:
        while True:
            tids[i] = threading.get_native_id()
            time.sleep(0.01)

    for i in range(5):
        threading.Thread(target=life, args=(i,), daemon=True).start()
    wait_for("the threads", lambda: len(tids) == 5)
    before = dict(tids)

    def verify() -> None:
        tids.clear()
        wait_for("the threads", lambda: len(tids) == 5)
        same("gettid", before, tids)
        same("/proc/self/task", {os.getpid(), *before.values()}, set(map(int, os.listdir("/proc/self/task"))))
        # tgkill by the number that glibc keeps
        signal.pthread_kill(threading.enumerate()[-1].ident or 0, signal.SIGUSR1)
        wait_for("the signal", lambda: hit)

    return verify


@case
def children() -> Verify:
    kids = [forked(lambda: None) for _ in range(3)]
    check = unchanged(*kids)

    def verify() -> None:
        check()
        os.kill(kids[1], signal.SIGKILL)
        same("waitpid", (kids[1], signal.SIGKILL), os.waitpid(-1, 0))

    return verify


@case
def sessions() -> Verify:
    return unchanged(forked(os.setsid), forked(lambda: None), forked(lambda: os.setpgid(0, 0)))


@case
def session_without_leader() -> Verify:
    subreaper_here()
    out, into = os.pipe()

    def leader() -> None:
        os.setsid()
        forked(lambda: tell(into))
        os._exit(0)

    os.waitpid(forked(leader, ends=True), 0)
    orphan = int(os.read(out, 20))
    leader_of = os.getsid(orphan)

    def verify() -> None:
        # Its parent is 1 then: criu does not bring the subreaper's adoption back.
        same("the session", leader_of, ids(orphan)[3])

    return verify


@case
def group_without_leader() -> Verify:
    leader = forked(lambda: os.setpgid(0, 0))
    member = forked(lambda: os.setpgid(0, leader))
    os.kill(leader, signal.SIGKILL)
    os.waitpid(leader, 0)
    check = unchanged(member)

    def verify() -> None:
        check()
        os.killpg(leader, signal.SIGTERM)
        same("waitpid of the group", (member, signal.SIGTERM), os.waitpid(-leader, 0))

    return verify


@case
def zombies() -> Verify:
    exited = forked(lambda: os._exit(42))
    killed = forked(lambda: os.kill(os.getpid(), signal.SIGKILL))
    for kid in exited, killed:
        os.waitid(os.P_PID, kid, os.WEXITED | os.WNOWAIT)

    def verify() -> None:
        same("exit status", (exited, 42 << 8), os.waitpid(exited, 0))
        same("signal", (killed, signal.SIGKILL), os.waitpid(killed, 0))

    return verify


@case
def subreaper() -> Verify:
    subreaper_here()
    out, into = os.pipe()

    def parent() -> None:
        forked(lambda: tell(into))
        os._exit(0)

    os.waitpid(forked(parent, ends=True), 0)
    orphan = int(os.read(out, 20))
    check = unchanged(orphan)

    def verify() -> None:
        check()
        # And it is one still.
        os.waitpid(forked(parent, ends=True), 0)
        same("the parent of a new orphan", os.getpid(), ids(int(os.read(out, 20)))[1])

    return verify


@case
def pidfd() -> Verify:
    kid = forked(lambda: None)
    fd = os.pidfd_open(kid)

    def verify() -> None:
        info = Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii")
        same("fdinfo", [str(kid)], [line.split()[1] for line in info.splitlines() if line.startswith("Pid:")])
        signal.pidfd_send_signal(fd, signal.SIGTERM)
        found = os.waitid(os.P_PIDFD, fd, os.WEXITED)
        same("waitid", (kid, signal.SIGTERM), found and (found.si_pid, found.si_status))

    return verify


@case
def pidfd_of_a_zombie() -> Verify:
    kid = forked(lambda: os._exit(5))
    fd = os.pidfd_open(kid)

    def verify() -> None:
        found = os.waitid(os.P_PIDFD, fd, os.WEXITED)
        same("waitid", (kid, 5), found and (found.si_pid, found.si_status))

    return verify


@case
def pending_signals() -> Verify:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGRTMIN})
    me = os.getpid()
    kid = forked(lambda: os.kill(me, signal.SIGTERM))
    libc = ctypes.CDLL(None)
    for value in 11, 22:
        libc.sigqueue(me, int(signal.SIGRTMIN), ctypes.c_void_p(value))

    def verify() -> None:
        info = signal.sigtimedwait({signal.SIGTERM}, 5)
        same("the sender of SIGTERM", kid, info and info.si_pid)
        for _ in range(2):
            info = signal.sigtimedwait({signal.SIGRTMIN}, 5)
            same("the sender of a queued signal", (me, -1), info and (info.si_pid, info.si_code))
        same("no more", None, signal.sigtimedwait({signal.SIGRTMIN}, 0))

    return verify


@case
def owner() -> Verify:
    left, right = socket.socketpair()
    kid = forked(lambda: os.setpgid(0, 0))
    fcntl.fcntl(left, fcntl.F_SETOWN, kid)
    fcntl.fcntl(right, fcntl.F_SETOWN, -kid)

    def verify() -> None:
        for end, kind in (left, 1), (right, 2):  # a process, a group
            answer = fcntl.fcntl(end, 16, bytes(8))  # F_GETOWN_EX
            same("F_GETOWN_EX", (kind, kid), struct.unpack("ii", answer))

    return verify


@case
def file_lock() -> Verify:
    path = DIR / "locked"
    path.touch()
    kid = forked(lambda: fcntl.lockf(os.open(path, os.O_RDWR), fcntl.LOCK_EX))
    file = os.open(path, os.O_RDWR)
    question = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)

    def verify() -> None:
        answer = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, question))
        same("F_GETLK", (fcntl.F_WRLCK, kid), (answer[0], answer[4]))

    verify()
    return verify


@case
def terminal() -> Verify:
    master, slave = pty.openpty()
    out, into = os.pipe()

    def leader() -> None:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        job = forked(lambda: (os.setpgid(0, 0), signal.signal(signal.SIGINT, signal.SIG_DFL)))
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(slave, job)
        os.write(into, str(job).encode())

    shell = forked(leader)
    job = int(os.read(out, 20))

    def verify() -> None:
        same("TIOCGSID", shell, struct.unpack("i", fcntl.ioctl(master, 0x5429, b"\0\0\0\0"))[0])
        same("the group in the foreground", job, os.tcgetpgrp(master))
        os.write(master, b"\x03")  # Ctrl-C
        wait_for("the job's end", lambda: state(job) in "Z-", 20)
        same("the shell", "S", state(shell))

    return verify


@case
def nested() -> Verify:
    unshare = subprocess.Popen(["unshare", "-p", "-f", "--mount-proc", "sleep", "1000"])
    wait_for("sleep", lambda: run("pgrep", "-x", "sleep"))
    return unchanged(unshare.pid)


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except OSError as e:
        return "-" if e.errno in (errno.ENOENT, errno.ESRCH) else "?"


def dumped(name: str) -> None:
    """The process that is dumped and restored."""
    os.setsid()
    for fd in (0, 1, 2):
        os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    result = "ok"
    try:
        verify = CASES[name]()
        (DIR / "ready").write_text("ready", encoding="ascii")
        signal.sigwait({signal.SIGUSR2})
        verify()
    except Exception as e:  # pylint: disable=broad-except
        result = f"{type(e).__name__}: {e}"
    (DIR / "result.tmp").write_text(result, encoding="utf-8")
    (DIR / "result.tmp").rename(DIR / "result")


# The other side


class Namespace(Container):
    """The same, in a pid namespace of the usual kind."""

    def __init__(self, name: str) -> None:
        # With a session and group of its own, as the root of a container has here.
        start = ["unshare", "-p", "-f", "--mount-proc", "--kill-child", "setsid", "bash", "--norc"]
        super().__init__(name, start=start)

    def kill(self) -> None:
        self.bash.kill()
        self.bash.wait()


def attempt(kind: Callable[[str], Container], command: str) -> tuple[str, Container]:
    """Start it in one, dump it, restore it in another; where this ended."""
    shutil.rmtree(DIR, ignore_errors=True)
    IMAGES.mkdir(parents=True)
    first, second = kind("first"), kind("second")
    try:
        first.sh(f"echo {FIRST - 1} > /proc/sys/kernel/ns_last_pid")
        first.sh(f"{command} > /dev/null 2>&1 &")
        wait_for("the case", lambda: (DIR / "ready").exists() or (DIR / "result").exists())
        if (DIR / "result").exists():
            return "set-up: " + (DIR / "result").read_text(encoding="utf-8"), second
        options = f"--file-locks --shell-job --timeout 600 -D {IMAGES} > /dev/null 2>&1"
        first.start(f"criu dump -t {FIRST} -o dump.log {options}")
        if first.answer(600)[1]:
            return "dump: " + complaint("dump"), second
        second.sh(f"echo {FIRST + 9999} > /proc/sys/kernel/ns_last_pid")
        second.start(f"criu restore -d -o restore.log {options}")
        if second.answer(600)[1]:
            return "restore: " + complaint("restore"), second
        return "", second
    finally:
        first.kill()


def complaint(verb: str) -> str:
    lines = (IMAGES / f"{verb}.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line[line.index("Error") :] for line in lines if "Error (" in line), "no word")


def outcome(kind: Callable[[str], Container], name: str) -> str:
    fault, second = attempt(kind, f"python3 /jobs/cases.py case {name}")
    try:
        if fault:
            return fault
        second.sh(f"kill -USR2 {FIRST}")
        try:
            wait_for("the verdict", (DIR / "result").exists, 60)
        except Mismatch as e:
            return f"restored, but {e}"
        return (DIR / "result").read_text(encoding="utf-8")
    finally:
        second.kill()


def checked(kind: Callable[[str], Container]) -> str:
    """What criu says of the kernel in there; all of it, of which some is optional."""
    where = kind("first")
    try:
        text, status = where.status("criu check 2>&1")
        if status or "Looks good." not in text:
            return f"criu check: {text}"
        # The lines have their time in them.
        return re.sub(r"^\(\d+\.\d+\) ", "", where.sh("criu check --all 2>&1"), flags=re.M)
    finally:
        where.kill()


def stats(verb: str) -> dict[int, int]:
    """The numbers in criu's stats-dump or stats-restore: field -> microseconds, pages."""
    data = (IMAGES / f"stats-{verb}").read_bytes()[12:]  # two magics, a length

    def varint() -> int:
        nonlocal data
        value = shift = 0
        while True:
            byte, data = data[0], data[1:]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    varint(), varint()  # the one message in it, and its length
    fields = {}
    while data:
        key = varint() >> 3
        fields[key] = varint()
    return fields


def cost(kind: Callable[[str], Container], count: int) -> tuple[float, ...]:
    """Microseconds a process: frozen, dumping memory; forking, restoring in all."""
    script = f"i=0; while [ $i -lt {count - 1} ]; do sleep 1000000 & i=$((i + 1)); done; echo > {DIR}/ready; wait"
    fault, second = attempt(kind, f"setsid dash -c '{script}'")
    try:
        if fault:
            raise Mismatch(fault)
        dump, restore = stats("dump"), stats("restore")
        return tuple(n / count for n in (dump[1], dump[2], dump[3], restore[3], restore[4]))
    finally:
        second.kill()


def costs() -> int:
    print("us a process: freezing, frozen, memory; forking, restoring", flush=True)
    for count in COSTS:
        rounds: dict[str, list[tuple[float, ...]]] = {"container": [], "namespace": []}
        # One after the other and back: the machine drifts.
        for kind in ("container", "namespace", "namespace", "container")[: 4 if count < 1000 else 2]:
            rounds[kind].append(cost(Container if kind == "container" else Namespace, count))
        best = {kind: [min(column) for column in zip(*rows)] for kind, rows in rounds.items()}
        for kind, row in best.items():
            print(f"{count:5} {kind:10}" + "".join(f"{value:9.0f}" for value in row))
        ratios = (a / b for a, b in zip(best["container"], best["namespace"]))
        print(f"{count:5} {'ratio':10}" + "".join(f"{value:9.2f}" for value in ratios), flush=True)
    return 0


def main(pattern: str = "*") -> int:
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    if pattern == "costs":
        return costs()
    names = [name for name in CASES if fnmatch(name, pattern)]
    print(f"KTAP version 1\n1..{len(names) + 1}", flush=True)
    inside, usual = checked(Container), checked(Namespace)
    good = inside == usual and not inside.startswith("criu check: ")
    for line in [] if good else [*inside.splitlines(), "-- in a pid namespace:", *usual.splitlines()]:
        print(f"# {line}")
    print(f"{'ok' if good else 'not ok'} 1 criu_check", flush=True)
    bad = not good
    for number, name in enumerate(names, 2):
        inside, usual = (outcome(kind, name) for kind in (Container, Namespace))
        print(f"# in a container: {inside}\n# in a pid namespace: {usual}")
        refused = name in REFUSED and inside == usual and inside.startswith("dump: ")
        bad += not refused and inside != "ok"
        if refused:
            print(f"ok {number} {name} # SKIP criu refuses it, in a pid namespace too", flush=True)
        else:
            print(f"{'ok' if inside == 'ok' else 'not ok'} {number} {name}", flush=True)
    return 1 if bad or not names else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["case"]:
        dumped(sys.argv[2])
    else:
        sys.exit(main(*sys.argv[1:2]))
