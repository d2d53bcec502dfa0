"""A container in the guest: a bash that became its root and does as it is told,
and the host's own look at /proc to compare with. For programs.py and criu.py,
which run in the default container."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, NamedTuple, Optional, TypeVar

VPID_BITS = 16
PATIENCE = 120  # seconds for anything awaited: emulation is slow
T = TypeVar("T")


class Mismatch(Exception):
    """Something is not as it should be."""


def wait_for(what: str, poll: Callable[[], T], patience: float = PATIENCE) -> T:
    """The first true result of poll()."""
    deadline = time.monotonic() + patience
    while not (result := poll()):
        if time.monotonic() > deadline:
            raise Mismatch(f"waited in vain for {what}")
        time.sleep(0.05)
    return result


class Process(NamedTuple):
    """/proc/PID/stat, as the host sees it."""

    pid: int
    comm: str
    state: str
    ppid: int
    pgid: int
    sid: int


def read_stat(pid: int) -> Optional[Process]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    comm, rest = text[text.index("(") + 1 :].rsplit(")", 1)
    state, ppid, pgid, sid = rest.split()[:4]
    return Process(pid, comm, state, int(ppid), int(pgid), int(sid))


def processes() -> list[Process]:
    """All there are, for the host."""
    pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    return [found for pid in pids if (found := read_stat(pid))]


def rows() -> dict[str, tuple[int, int, int]]:
    """/proc/containers: name -> id, root, members."""
    lines = Path("/proc/containers").read_text(encoding="ascii").splitlines()
    if lines[0].split() != "#name id root members".split():
        raise Mismatch(f"/proc/containers starts with {lines[0]}")
    return {line.split()[0]: tuple(map(int, line.split()[1:])) for line in lines[1:]}  # type: ignore[misc]


class Container:
    """`bash`, and the container that it has entered by its own echo."""

    def __init__(self, name: str, start: Optional[list[str]] = None) -> None:
        self.name = name
        self.pending = b""
        self.bash = subprocess.Popen(
            start or ["sh", "-c", f"echo {name} > /proc/container && exec bash --norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        self.root = self.bash.pid
        self.output = selectors.DefaultSelector()
        assert self.bash.stdout
        self.output.register(self.bash.stdout, selectors.EVENT_READ)
        self.sh(":")
        self.id = 0 if start else rows()[name][0]

    def sh(self, command: str, patience: float = PATIENCE) -> str:
        """Type a line at the container's root; what it printed, less the last newline."""
        self.start(command)
        return self.answer(patience)[0]

    def status(self, command: str) -> tuple[str, int]:
        """The same with the exit status."""
        self.start(command)
        return self.answer()

    def start(self, command: str) -> None:
        """Type a line and go on."""
        assert self.bash.stdin
        self.bash.stdin.write(f"{{ {command}\n}} < /dev/null; printf '\\005%d\\006' $?\n".encode())

    def answer(self, patience: float = PATIENCE) -> tuple[str, int]:
        """Wait until the line that was typed has been answered."""
        assert self.bash.stdout
        deadline = time.monotonic() + patience
        while not (end := re.search(rb"\x05(\d+)\x06", self.pending)):
            if not self.output.select(max(0, deadline - time.monotonic())):
                raise Mismatch(f"no answer; so far: {self.pending.decode(errors='replace')}")
            data = os.read(self.bash.stdout.fileno(), 65536)
            if not data:
                raise Mismatch(f"the shell of {self.name} has gone: {self.pending.decode()}")
            self.pending += data
        text = self.pending[: end.start()].decode(errors="replace")
        self.pending = self.pending[end.end() :]
        return text.rstrip("\n"), int(end.group(1))

    # The numbers, from the host's side: a native's is made of the id and the vpid,
    # the root keeps the one it had.

    def host(self, vpid: int) -> int:
        return self.root if vpid == 1 else (self.id << VPID_BITS) + vpid

    def inside(self, pid: int) -> int:
        """The vpid of a host pid; 0 for a process that is not in here."""
        if pid == self.root:
            return 1
        return pid & ((1 << VPID_BITS) - 1) if pid >> VPID_BITS == self.id else 0

    def members(self) -> list[Process]:
        """What is in here, with the numbers that it should see of itself. By vpid."""
        found = [p for p in processes() if self.inside(p.pid)]
        return sorted(
            Process(self.inside(p.pid), p.comm, p.state, *map(self.inside, (p.ppid, p.pgid, p.sid)))
            for p in found
        )

    def named(self, comm: str) -> list[int]:
        """The vpids of the members that run this."""
        return [p.pid for p in self.members() if p.comm == comm]

    def wait_named(self, comm: str, count: int = 1) -> list[int]:
        return wait_for(
            f"{count} {comm} in {self.name}",
            lambda: len(found := self.named(comm)) == count and found or [],
        )

    def kill(self) -> None:
        """End it and all that is in it, by number."""
        deadline = time.monotonic() + PATIENCE
        while self.name in rows() or self.bash.poll() is None:
            for process in processes():
                if self.inside(process.pid):
                    try:
                        os.kill(process.pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
            self.bash.poll()
            if time.monotonic() > deadline:
                raise Mismatch(f"{self.name} does not end: {rows()}")
            time.sleep(0.02)
        assert self.bash.stdin and self.bash.stdout
        self.bash.stdin.close()
        self.bash.stdout.close()
        self.output.close()


def run(*command: str, patience: float = PATIENCE) -> str:
    """What a program on the host prints, both streams."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=patience,
        check=False,
    ).stdout.rstrip("\n")
