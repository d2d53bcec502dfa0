#!/usr/bin/env python3
"""The tree that criu.py has checkpointed: nine processes that do something.

tree.py DIRECTORY [--no-zombie]: writes DIRECTORY/ready when all are there. On SIGUSR1 the top
asks each of them how it is and writes the answers to DIRECTORY/report-N, a new N
each time. Nobody has a file of DIRECTORY open but for `keeper`, whose log it is.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable

Answer = dict[str, Any]
TIMER = 25  # seconds until the pending one goes off


def numbers() -> Answer:
    return {"pid": os.getpid(), "ppid": os.getppid(), "pgid": os.getpgid(0), "sid": os.getsid(0)}


def serve(channel: socket.socket, act: Callable[[bool], Answer]) -> None:
    """Answer until the top has gone. True asks to go on with the work."""
    while question := channel.recv(16):
        channel.send(json.dumps({**numbers(), **act(question == b"go on")}).encode())
    os._exit(0)


class Tree:
    def __init__(self, directory: Path, zombie: bool) -> None:
        self.directory = directory
        self.has_zombie = zombie
        self.channels: dict[str, socket.socket] = {}
        self.pids: dict[str, int] = {}
        self.reports = 0

    def spawn(self, name: str, life: Callable[[socket.socket], None], group: bool = False, session: bool = False) -> None:
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if not pid:
            for channel in (mine, *self.channels.values()):
                channel.close()
            if group:
                os.setpgid(0, 0)
            if session:
                os.setsid()
            life(its)
            os._exit(1)
        its.close()
        self.channels[name] = mine
        self.pids[name] = pid
        self.ask(name)  # it is there, and has its group and session

    def ask(self, name: str, question: bytes = b"how are you") -> Answer:
        self.channels[name].send(question)
        answer: Answer = json.loads(self.channels[name].recv(65536))
        return answer

    def grow(self) -> None:
        # A pipe between two of them: what is written before is read after.
        out, into = os.pipe()
        self.spawn("writer", lambda c: writer(c, into))
        self.spawn("reader", lambda c: reader(c, out))
        os.close(out)
        os.close(into)
        # A pair of UNIX sockets, with a message on its way.
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.spawn("sender", lambda c: sender(c, left), group=True)
        self.spawn("receiver", lambda c: receiver(c, right))
        left.close()
        right.close()
        self.spawn("counter", counter, session=True)
        self.spawn("keeper", lambda c: keeper(c, self.directory / "log"))
        self.spawn("timer", timer)
        self.shell()
        if self.has_zombie:
            self.zombie()

    def shell(self) -> None:
        """A real one, in a process group of its own; it counts the lines it gets."""
        to, stdin = os.pipe()
        stdout, back = os.pipe()
        pid = os.fork()
        if not pid:
            os.setpgid(0, 0)
            os.dup2(to, 0)
            os.dup2(back, 1)
            script = "n=0; while read -r line; do n=$((n + 1)); echo $n $$ $PPID $line; done"
            os.execv("/bin/dash", ["dash", "-c", script])
        os.close(to)
        os.close(back)
        self.pids["shell"] = pid
        self.to_shell, self.from_shell = os.fdopen(stdin, "w"), os.fdopen(stdout)

    def ask_shell(self) -> Answer:
        print("line", file=self.to_shell, flush=True)
        count, pid, ppid, line = self.from_shell.readline().split()
        assert line == "line"
        child = self.pids["shell"]
        return {"pid": int(pid), "ppid": int(ppid), "pgid": os.getpgid(child), "sid": os.getsid(child), "lines": int(count)}

    def zombie(self) -> None:
        self.pids["zombie"] = os.fork()
        if not self.pids["zombie"]:
            os._exit(7)
        os.waitid(os.P_PID, self.pids["zombie"], os.WEXITED | os.WNOWAIT)

    def ask_zombie(self) -> Answer:
        child = self.pids["zombie"]
        found = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        state = Path(f"/proc/{child}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return {
            "pid": found.si_pid if found else 0,
            "ppid": int(state[1]),
            "pgid": int(state[2]),
            "sid": int(state[3]),
            "status": found.si_status if found else None,
            "state": state[0],
        }

    def report(self, question: bytes) -> None:
        answers = {"top": {**numbers(), "children": self.pids}}
        for name in self.channels:
            answers[name] = self.ask(name, question)
        answers["shell"] = self.ask_shell()
        if self.has_zombie:
            answers["zombie"] = self.ask_zombie()
        path = self.directory / f"report-{self.reports}"
        self.reports += 1
        path.with_suffix(".tmp").write_text(json.dumps(answers), encoding="ascii")
        path.with_suffix(".tmp").rename(path)


def writer(channel: socket.socket, pipe: int) -> None:
    os.write(pipe, b"before,")

    def act(go_on: bool) -> Answer:
        if go_on:
            os.write(pipe, b"after.")
        return {}

    serve(channel, act)


def reader(channel: socket.socket, pipe: int) -> None:
    serve(channel, lambda go_on: {"read": os.read(pipe, 100).decode()} if go_on else {})


def sender(channel: socket.socket, pair: socket.socket) -> None:
    pair.send(b"one")

    def act(go_on: bool) -> Answer:
        if go_on:
            pair.send(b"two")
        return {}

    serve(channel, act)


def receiver(channel: socket.socket, pair: socket.socket) -> None:
    serve(channel, lambda go_on: {"messages": [pair.recv(9).decode(), pair.recv(9).decode()]} if go_on else {})


def counter(channel: socket.socket) -> None:
    """Three threads that count, each with the tid that the kernel tells it now."""
    counts = [0, 0, 0]
    tids = [0, 0, 0]

    def count(i: int) -> None:
        while True:
            tids[i] = threading.get_native_id()
            counts[i] += 1
            time.sleep(0.01)

    for i in range(3):
        threading.Thread(target=count, args=(i,), daemon=True).start()
    while not all(counts):
        time.sleep(0.01)

    def act(_: bool) -> Answer:
        tids[:] = [0, 0, 0]
        while not all(tids):
            time.sleep(0.01)
        return {"tids": [threading.get_native_id(), *tids], "counts": counts[:]}

    serve(channel, act)


def keeper(channel: socket.socket, path: Path) -> None:
    """An open file with an offset."""
    log = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(log, b"first half, ")

    def act(go_on: bool) -> Answer:
        offset = os.lseek(log, 0, os.SEEK_CUR)
        if go_on:
            os.write(log, b"second half")
        return {"offset": offset, "log": path.read_text(encoding="ascii")}

    serve(channel, act)


def timer(channel: socket.socket) -> None:
    """A timer that is pending, and what became of it."""
    fired = []
    signal.signal(signal.SIGALRM, lambda *_: fired.append(1))
    signal.setitimer(signal.ITIMER_REAL, TIMER)
    serve(channel, lambda _: {"left": signal.getitimer(signal.ITIMER_REAL)[0], "fired": len(fired)})


def main(directory: Path, zombie: bool) -> None:
    os.setsid()
    for fd in (0, 1, 2):
        os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
    tree = Tree(directory, zombie)
    tree.grow()
    (directory / "ready").write_text("", encoding="ascii")
    while True:
        # USR1: how are they? USR2: and go on.
        caught = signal.sigwait({signal.SIGUSR1, signal.SIGUSR2})
        tree.report(b"go on" if caught == signal.SIGUSR2 else b"how are you")


if __name__ == "__main__":
    main(Path(sys.argv[1]), "--no-zombie" not in sys.argv)
