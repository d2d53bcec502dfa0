#!/usr/bin/env python3
"""Real programs, unchanged, in a container: each is judged by what it prints.

programs.py [PATTERN]: prints KTAP. What is expected comes from the host's own
look at /proc, or from what the test itself has set up. Every test has a fresh
container "web", next to a container "db" and processes on the host that must not
be seen or touched.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import traceback
import urllib.request
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Callable, Iterator

from container import PATIENCE, Container, Mismatch, processes, rows, run, wait_for

TMP = Path("/tmp/programs")
POSTGRES = "setpriv --reuid=postgres --regid=postgres --init-groups"
PID_MAX = "4194304"
PG = "/usr/lib/postgresql/17/bin"

# A process with three threads that says who they are and waits.
THREADS = """
import os, sys, threading, time
def note(): ids.append(threading.get_native_id()); time.sleep(1000)
ids = [os.getpid()]
for _ in range(3): threading.Thread(target=note, daemon=True).start()
while len(ids) < 4: time.sleep(.01)
with open(sys.argv[1] + '.tmp', 'w') as f: print(*ids, file=f)
os.rename(sys.argv[1] + '.tmp', sys.argv[1])
time.sleep(1000)
"""

TESTS: list[tuple[str, Callable[[Container], None], str]] = []


def test(name: str, fails: str = "") -> Callable[[Callable[[Container], None]], None]:
    """Register a test; `fails` is why it is known to fail."""
    return lambda function: TESTS.append((name, function, fails))


def equal(what: str, expected: Any, seen: Any) -> None:
    if expected != seen:
        raise Mismatch(f"{what}\nexpected {expected!r}\nseen     {seen!r}")


def holds(what: str, pattern: str, text: str) -> re.Match[str]:
    found = re.search(pattern, text, re.M)
    if not found:
        raise Mismatch(f"{what}\nexpected /{pattern}/\nseen     {text!r}")
    return found


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def table(text: str) -> list[tuple[Any, ...]]:
    """Lines of words, numbers as such."""
    lines = [line.split() for line in text.splitlines()]
    return [tuple(int(w) if w.isdigit() else w for w in line) for line in lines if line]


def others(container: Container, comm: str) -> list[tuple[Any, ...]]:
    """What ps -o pid,ppid,pgid,sid,comm is to print, but for itself."""
    return [
        (p.pid, p.ppid, p.pgid, p.sid, p.comm) for p in container.members() if p.comm != comm
    ]


def nappers(web: Container, count: int = 2) -> list[int]:
    """Start some, and let bash say what it thinks they are."""
    told = numbers(web.sh("; ".join(["napper 1000 & echo $!"] * count)))
    equal("bash's $! and the nappers in /proc", web.wait_named("napper", count), sorted(told))
    return told


def threads(web: Container) -> list[int]:
    """Start the process with threads; the numbers it knows, its own first."""
    said = TMP / "ids"
    said.unlink(missing_ok=True)
    web.sh(f"python3 {TMP}/threads.py {said} &")
    wait_for("the threads", said.exists)
    ids = numbers(said.read_text(encoding="ascii"))
    tasks = os.listdir(f"/proc/{web.host(ids[0])}/task")
    equal("what gettid() returned, and the host's /proc",
          sorted(map(web.host, ids)), sorted(map(int, tasks)))
    return ids


@contextmanager
def background(*command: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().rstrip("\n")


# bash, dash


def shell(web: Container, name: str) -> None:
    """$$, $PPID, $!, wait, kill and traps of a shell that is a child."""
    web.sh(f"{name} -c 'napper 1000 & echo $$ $PPID $!; wait $!; echo $?' > {TMP}/out 2> /dev/null &")
    napper = web.wait_named("napper")[0]
    (me,) = [pid for pid in web.named(name) if pid != 1]
    equal("$$ $PPID $!", [me, 1, napper], numbers((TMP / "out").read_text(encoding="ascii")))
    os.kill(web.host(napper), signal.SIGTERM)
    wait_for(f"{name} to end", lambda: me not in web.named(name))
    equal("the status of a child that the host killed", "143",
          (TMP / "out").read_text(encoding="ascii").splitlines()[1])
    script = 'trap "echo caught" USR1; kill -USR1 $$; napper 1000 & kill -KILL $!; wait $!; echo $?'
    equal("a trap and a killed child", "caught\n137", web.sh(f"{name} -c '{script}' 2>/dev/null"))
    script = f"kill -0 {os.getpid()}; echo $?; kill -0 1; echo $?"
    equal("kill of a host process, and of the root", "1\n0",
          web.sh(f"{name} -c '{script}' 2>/dev/null"))


@test("bash")
def bash(web: Container) -> None:
    equal("$$ $BASHPID $PPID of the root", "1 1 0", web.sh("echo $$ $BASHPID $PPID"))
    shell(web, "bash")
    equal("coproc, process substitution", "x 2", web.sh(
        "coproc cat; echo x >&${COPROC[1]}; read -r a <&${COPROC[0]}; kill $COPROC_PID; "
        "wait $COPROC_PID 2>/dev/null; echo $a $(cat <(echo a; echo b) | wc -l)"))


@test("bash: walks in by itself")
def bash_walks_in(_: Container) -> None:
    out = run("bash", "-c", "echo walk > /proc/container; echo $$ $BASHPID; trap 'echo me' USR1; "
              "kill -USR1 $$; napper 0 & echo $!; wait $!; echo $?; echo /proc/[0-9]*; "
              "cat /proc/container")
    former = out.split()[0]
    equal("what it printed", [former, "1", "me", "2", "0", "/proc/1", "walk"], out.split())
    equal("walk has ended", False, "walk" in rows())


@test("dash")
def dash(web: Container) -> None:
    shell(web, "dash")


# procps


@test("ps")
def ps(web: Container) -> None:
    nappers(web)
    web.sh("setsid dash -c 'napper 1000; :' &")
    web.wait_named("napper", 3)
    seen = table(web.sh("ps -eo pid,ppid,pgid,sid,comm --no-headers"))
    equal("ps -e", others(web, "ps"), [row for row in seen if row[4] != "ps"])
    equal("ps itself", (1, 1, 1), [row for row in seen if row[4] == "ps"][0][1:4])
    napper = web.named("napper")[0]
    equal("ps -p", f"{napper} napper 1000", web.sh(f"ps -o pid=,args= -p {napper}").strip())
    equal("ps --ppid 1 -C napper", [napper],
          numbers(web.sh(f"ps -o pid= -p {napper} --ppid 999"))[:1])
    equal("ps -p of a host process", "", web.sh(f"ps -o pid= -p {os.getpid()}"))
    equal("ps -p of a member's host number", "", web.sh(f"ps -o pid= -p {web.host(napper)}"))


@test("ps: threads")
def ps_threads(web: Container) -> None:
    ids = threads(web)
    seen = table(web.sh(f"ps -L -o pid=,lwp=,nlwp= -p {ids[0]}"))
    equal("inside", sorted((ids[0], tid, 4) for tid in ids), sorted(seen))
    pid = web.host(ids[0])
    seen = table(run("ps", "-L", "-o", "pid=,lwp=,nlwp=", "-p", str(pid)))
    equal("from the host", sorted((pid, web.host(tid), 4) for tid in ids), sorted(seen))


@test("ps: from the host")
def ps_host(web: Container) -> None:
    nappers(web)
    seen = table(run("ps", "-eo", "pid,ppid,pgid,sid,comm", "--no-headers"))
    for p in web.members():
        ppid = web.host(p.ppid) if p.ppid else os.getpid()
        row = (web.host(p.pid), ppid, web.host(p.pgid), web.host(p.sid), p.comm)
        equal("a row of ps -e", [row], [r for r in seen if r[0] == row[0]])
    equal("no pid twice", len(seen), len({row[0] for row in seen}))
    inode = os.stat(f"/proc/{web.root}/ns/pid").st_ino
    equal("ps -o pidns", [inode] * 3, numbers(run(
        "ps", "-o", "pidns=", "-p", ",".join(str(web.host(p.pid)) for p in web.members()))))


@test("top")
def top(web: Container) -> None:
    nappers(web, 3)
    out = web.sh("top -b -n 1 -w 200")
    total = int(holds("the summary", r"^Tasks: +(\d+) total", out).group(1))
    seen = table(out.split("COMMAND")[1])
    (me,) = [row[0] for row in seen if row[-1] == "top"]
    equal("the rows", sorted([p.pid for p in web.members()] + [me]), sorted(r[0] for r in seen))
    equal("the total", len(seen), total)


def top_host(web: Container) -> None:
    nappers(web)
    seen = table(run("top", "-b", "-n", "1", "-w", "200").split("COMMAND")[1])
    equal("the rows", {str(p.pid) for p in processes() if p.comm in ("bash", "napper")},
          {str(row[0]) for row in seen if row[-1] in ("bash", "napper")})


@test("top: from the host")
def top_wide(web: Container) -> None:
    top_host(web)


@test("top: from the host, with a small kernel.pid_max", fails="top makes its column as wide as that")
def top_narrow(web: Container) -> None:
    limit = Path("/proc/sys/kernel/pid_max")
    limit.write_text("32768", encoding="ascii")
    try:
        top_host(web)
    finally:
        limit.write_text(PID_MAX, encoding="ascii")


@test("pgrep")
def pgrep(web: Container) -> None:
    told = nappers(web)
    equal("inside", told, numbers(web.sh("pgrep -x napper")))
    equal("inside, with names", "\n".join(f"{v} napper" for v in told), web.sh("pgrep -l -P 1 nap"))
    equal("inside, newest and oldest", [told[-1], told[0]],
          numbers(web.sh("pgrep -n napper; pgrep -o napper")))
    equal("inside, by session and group", told, numbers(web.sh("pgrep -s 1 -g 1 -x napper")))
    mine = set(map(web.host, told))
    seen = set(numbers(run("pgrep", "-x", "napper")))
    equal("from the host", {p.pid for p in processes() if p.comm == "napper"}, seen)
    equal("and these are among them", True, mine < seen)


@test("pgrep: --ns")
def pgrep_ns(web: Container) -> None:
    nappers(web)
    members = sorted(web.host(p.pid) for p in web.members())
    seen = run("pgrep", "--ns", str(web.root), "--nslist", "pid")
    equal("of the root, from the host", members, sorted(numbers(seen)))
    seen = run("pgrep", "--ns", str(members[-1]), "--nslist", "pid")
    equal("of a native, from the host", members, sorted(numbers(seen)))
    equal("of the root, inside", sorted(p.pid for p in web.members()),
          sorted(numbers(web.sh("pgrep --ns 1 --nslist pid"))))


@test("pkill: inside")
def pkill(web: Container) -> None:
    nappers(web)
    equal("prints", "napper killed (pid 2)\nnapper killed (pid 3)", web.sh("pkill -e -x napper"))
    equal("the children", "143", web.sh("wait %1 2>/dev/null; echo $?"))
    wait_for("both to go", lambda: not web.named("napper"))


@test("pkill: --ns from the host")
def pkill_ns(web: Container) -> None:
    told = nappers(web, 5)
    web.sh("setsid dash -c 'trap : TERM; napper 1000; napper 1000' &")
    web.wait_named("napper", 6)
    out = run("pkill", "-e", "-x", "--ns", str(web.root), "--nslist", "pid", "-P", str(web.root), "napper")
    equal("prints", {f"napper killed (pid {web.host(v)})" for v in told}, set(out.splitlines()))
    run("pkill", "-KILL", "--ns", str(web.root), "--nslist", "pid")
    # bash is this process's child; the rest is not.
    web.bash.wait(PATIENCE)
    wait_for("web to end", lambda: "web" not in rows())


# psmisc


def draw(members: dict[int, tuple[int, str]], pid: int, number: Callable[[int], int]) -> list[str]:
    """pstree -A -n -p"""
    label = f"{members[pid][1]}({number(pid)})"
    blocks = [draw(members, p, number) for p, (ppid, _) in sorted(members.items()) if ppid == pid]
    lines = []
    for i, block in enumerate(blocks):
        last = i == len(blocks) - 1
        head = label if i == 0 else " " * len(label)
        joint = ("---" if last else "-+-") if i == 0 else (" `-" if last else " |-")
        lines.append(head + joint + block[0])
        rest = "   " if last else " | "
        lines += [" " * len(label) + rest + more for more in block[1:]]
    return lines or [label]


@test("pstree")
def pstree(web: Container) -> None:
    nappers(web)
    web.sh("dash -c 'napper 1000 & napper 1000; :' & ")
    web.wait_named("napper", 4)
    members = {p.pid: (p.ppid, p.comm) for p in web.members()}
    host = draw(members, 1, web.host)
    out = web.sh("pstree -A -n -p")
    me = int(holds("itself", r"pstree\((\d+)\)", out).group(1))
    members[me] = (1, "pstree")
    equal("inside", "\n".join(draw(members, 1, int)), out)
    equal("from the host", "\n".join(host), run("pstree", "-A", "-n", "-p", str(web.root)))


@test("killall")
def killall(web: Container) -> None:
    told = nappers(web)
    out = web.sh("killall -v napper")
    equal("inside", {f"Killed napper({v}) with signal 15" for v in told}, set(out.splitlines()))
    wait_for("both to go", lambda: not web.named("napper"))
    told = nappers(web)
    out = run("killall", "-v", "-n", str(web.root), "napper")
    equal("from the host, --ns", {f"Killed napper({web.host(v)}) with signal 15" for v in told},
          set(out.splitlines()))
    wait_for("both to go", lambda: not web.named("napper"))


@test("fuser")
def fuser(web: Container) -> None:
    held = TMP / "held"
    web.sh(f"napper 1000 > {held} & napper 1000 > /dev/null &")
    napper = min(web.wait_named("napper", 2))
    equal("inside", [napper], numbers(web.sh(f"fuser {held} 2>/dev/null")))
    equal("from the host", [web.host(napper)], numbers(run("fuser", str(held)).split(":")[1]))
    equal("from db", "", OUTSIDE[0].sh(f"fuser {held}"))
    equal("inside, -k", f"{held}: {napper}", " ".join(web.sh(f"fuser -k -TERM {held} 2>&1").split()))
    web.wait_named("napper", 1)


# htop, tmux: on a terminal


@test("htop")
def htop(web: Container) -> None:
    nappers(web)
    web.sh("tmux -L web new-session -d -x 120 -y 50 'htop --no-color --sort-key=PID'")
    web.wait_named("htop")
    seen: list[Any] = []

    def shown() -> bool:
        screen = web.sh("tmux -L web capture-pane -p")
        seen[:] = re.findall(r"^ *(\d+) root .* (\S+(?: 1000)?)$", screen, re.M)
        return sorted(int(row[0]) for row in seen) == [p.pid for p in web.members()]

    try:
        wait_for("htop", shown, 60)
    except Mismatch as e:
        raise Mismatch(f"{e}: {web.members()} on the screen as {seen}") from e
    # It kills by number: search, k, signal 15.
    before = web.named("napper")
    # Spelt, so that what types it does not match it, and in steps.
    for keys, shows in ("/ n a p p e r", "Search: napper"), ("Enter k", "Send signal"), ("Enter", ""):
        web.sh(f"tmux -L web send-keys {keys}")
        wait_for(shows, lambda text=shows: text in web.sh("tmux -L web capture-pane -p"))  # type: ignore[misc]
    wait_for("htop to kill one", lambda: len(web.named("napper")) == 1)
    equal("it was one of them", True, set(web.named("napper")) < set(before))
    web.sh("tmux -L web send-keys q")
    wait_for("htop to end", lambda: not web.named("htop"))


@test("tmux")
def tmux(web: Container) -> None:
    web.sh("tmux -L web new-session -d -x 80 -y 24 'exec napper 1000'")
    (napper,) = web.wait_named("napper")
    server = {p.pid: p for p in web.members()}[napper].ppid
    equal("the server's parent", 1, {p.pid: p for p in web.members()}[server].ppid)
    equal("the server and the pane", [server, napper],
          numbers(web.sh("tmux -L web display -p '#{pid}'; tmux -L web list-panes -F '#{pane_pid}'")))
    web.sh("tmux -L web kill-server")
    wait_for("the end of the server", lambda: len(web.members()) == 1)


@test("tmux: job control in a pane")
def tmux_jobs(web: Container) -> None:
    web.sh("tmux -L web new-session -d -x 80 -y 24 'PS1=: exec bash --norc'")
    pane = int(web.sh("tmux -L web list-panes -F '#{pane_pid}'"))

    def keys(*args: str) -> None:
        web.sh("tmux -L web send-keys " + " ".join(args))

    def screen(pattern: str) -> re.Match[str]:
        text = ""

        def found() -> Any:
            nonlocal text
            text = web.sh("tmux -L web capture-pane -p")
            return re.search(pattern, text, re.M)

        try:
            return wait_for(f"/{pattern}/ on the screen", found, 60)
        except Mismatch as e:
            raise Mismatch(f"{e}:\n{text.strip()}") from e

    keys("'echo $$ me' Enter")
    screen(rf"^{pane} me$")
    keys("'napper 1000' Enter")
    (napper,) = web.wait_named("napper")
    state = {p.pid: p for p in web.members()}
    equal("group and session of the job", (napper, pane), (state[napper].pgid, state[napper].sid))
    keys("C-z")
    screen(r"Stopped +napper 1000")
    equal("its state", "T", {p.pid: p for p in web.members()}[napper].state)
    keys("'jobs -l' Enter")
    screen(rf"^\[1\]\+ +{napper} Stopped")
    keys("fg Enter")
    wait_for("fg", lambda: {p.pid: p for p in web.members()}[napper].state == "S")
    keys("C-c")
    keys("'echo $? st' Enter")
    screen(r"^130 st$")


# util-linux


@test("lsns")
def lsns(web: Container) -> None:
    nappers(web)
    inode = os.stat(f"/proc/{web.root}/ns/pid").st_ino
    equal("inside", [(inode, 4, 1)],
          table(web.sh("lsns -t pid -n -o NS,NPROCS,PID")))
    seen = table(run("lsns", "-t", "pid", "-n", "-o", "NS,NPROCS,PID"))
    equal("from the host", [(inode, 3, web.root)], [row for row in seen if row[0] == inode])
    own = os.stat("/proc/self/ns/pid").st_ino
    equal("the host's own", 1, [row[2] for row in seen if row[0] == own][0])
    equal("there are three", 3, len(seen))


@test("lsns: the parent")
def lsns_parent(web: Container) -> None:
    inode = os.stat(f"/proc/{web.root}/ns/pid").st_ino
    own = os.stat("/proc/self/ns/pid").st_ino
    seen = dict(table(run("lsns", "-t", "pid", "-n", "-r", "-o", "NS,PNS")))
    equal("web is under the host's", own, seen.get(inode))


@test("nsenter")
def nsenter(web: Container) -> None:
    first = nappers(web)[0]
    command = "echo $$ $PPID; exec napper 1000"
    for target in web.root, web.host(first):
        with background("nsenter", "-t", str(target), "-p", "sh", "-c", command) as entered:
            told = numbers(line(entered))
            vpid = max(web.wait_named("napper", 3))
            equal("$$ and $PPID, from the host", [vpid, 0], told)
            os.kill(web.host(vpid), signal.SIGTERM)
            wait_for("nsenter to end", lambda: entered.poll() is not None)
    out = run("nsenter", "-t", str(web.root), "-p", "ps", "-eo", "pid,ppid,pgid,sid,comm", "--no-headers")
    equal("ps through nsenter", others(web, "ps"), [r for r in table(out) if r[4] != "ps"])
    me, seen = numbers(web.sh("nsenter -t 1 -p sh -c 'echo $$ $PPID'"))
    equal("inside, its parent is nsenter", me - 1, seen)


@test("unshare")
def unshare(web: Container) -> None:
    web.sh(f"unshare -p -f --mount-proc sh -c 'echo $$ $PPID; ps -eo pid=,ppid=,comm=; napper 1000; :' > {TMP}/out &")
    (napper,) = web.wait_named("napper")
    equal("inside of the nested one", [(1, 0), (1, 0, "sh"), (2, 1, "ps")],
          table((TMP / "out").read_text(encoding="ascii")))
    status = Path(f"/proc/{web.host(napper)}/status").read_text(encoding="ascii")
    equal("NSpid of the napper", [web.host(napper), napper, 3],
          numbers(holds("status", "^NSpid:(.*)$", status).group(1)))
    ((me, ppid),) = table(web.sh("ps -o pid=,ppid= -C napper"))
    equal("in the container", (napper, web.named("sh")[0]), (me, ppid))
    inode = os.stat(f"/proc/{web.host(napper)}/ns/pid").st_ino
    own = os.stat(f"/proc/{web.root}/ns/pid").st_ino
    seen = table(web.sh("lsns -t pid -n -r -o NS,PNS,PID"))
    equal("lsns inside: a child of the container", [(inode, own, web.named("sh")[0])],
          [row for row in seen if row[0] == inode])
    os.kill(web.host(web.named("sh")[0]), signal.SIGKILL)
    wait_for("the namespace to end", lambda: not web.named("napper"))


@test("taskset, renice, prlimit, chrt, ionice")
def by_number(web: Container) -> None:
    napper = nappers(web, 1)[0]
    pid = web.host(napper)
    equal("taskset", f"pid {napper}'s current affinity list: 0,1\npid {napper}'s new affinity list: 1",
          web.sh(f"taskset -cp 1 {napper}"))
    equal("what it did", {1}, os.sched_getaffinity(pid))
    equal("renice", f"{napper} (process ID) old priority 0, new priority 7", web.sh(f"renice 7 {napper}"))
    equal("what it did", 7, os.getpriority(os.PRIO_PROCESS, pid))
    web.sh(f"prlimit --pid {napper} --nofile=77:88")
    holds("what prlimit did", r"^Max open files +77 +88 ", Path(f"/proc/{pid}/limits").read_text(encoding="ascii"))
    web.sh(f"chrt -b -p 0 {napper}")
    equal("what chrt did", os.SCHED_BATCH, os.sched_getscheduler(pid))
    equal("chrt from the host", f"pid {pid}'s current scheduling policy: SCHED_BATCH",
          run("chrt", "-p", str(pid)).splitlines()[0])
    web.sh(f"ionice -c 3 -p {napper}")
    equal("ionice", "idle", web.sh(f"ionice -p {napper}"))
    equal("ionice from the host", "idle", run("ionice", "-p", str(pid)))


@test("lslocks")
def lslocks(web: Container) -> None:
    held = TMP / "lock"
    held.touch()
    web.sh(f"flock --no-fork {held} napper 1000 & napper 1000 &")
    web.wait_named("napper", 2)
    # The one that holds it has the file open.
    (owner,) = [v for v in web.named("napper")
                if str(held) in map(os.readlink, Path(f"/proc/{web.host(v)}/fd").iterdir())]
    out = "lslocks -n -r -o COMMAND,PID,PATH"
    equal("inside", f"napper {owner} {held}", web.sh(f"{out} | grep {held}"))
    equal("from the host", f"napper {web.host(owner)} {held}", run("sh", "-c", f"{out} | grep {held}"))


@test("ipcs")
def ipcs(web: Container) -> None:
    creator, made = web.sh("sh -c 'echo $$; exec ipcmk -M 4096'").splitlines()
    shmid = made.split()[-1]
    row = [r for r in web.sh("ipcs -m -p").splitlines() if r.startswith(shmid + " ")][0]
    equal("inside: the creator", [creator, "0"], row.split()[2:])
    row = [r for r in run("ipcs", "-m", "-p").splitlines() if r.startswith(shmid + " ")][0]
    equal("from the host", [str(web.host(int(creator))), "0"], row.split()[2:])
    web.sh(f"ipcrm -m {shmid}")


# lsof, time


@test("lsof")
def lsof(web: Container) -> None:
    held = TMP / "held"
    web.sh(f"napper 1000 > {held} &")
    (napper,) = web.wait_named("napper")
    equal("inside", ["p" + str(napper), "g1", "R1", "cnapper"],
          web.sh(f"lsof -w -F pRgc {held}").splitlines()[:4])
    pid = web.host(napper)
    equal("from the host", f"p{pid} g{web.root} R{web.root} cnapper".split(),
          run("lsof", "-w", "-F", "pRgc", str(held)).splitlines()[:4])
    equal("from db", "", OUTSIDE[0].sh(f"lsof -w {held}"))
    equal("lsof -p inside", f"{held}", web.sh(f"lsof -w -a -p {napper} -d 1 -F n | sed -n 's/^n//p'"))


@test("time")
def gnu_time(web: Container) -> None:
    equal("a child that kills itself", "Command terminated by signal 9\n0 sh",
          web.sh("command time -f '%x sh' sh -c 'kill -KILL $$' 2>&1"))
    equal("a status", ("Command exited with non-zero status 3\n3 sh", 3),
          web.status("command time -f '%x sh' sh -c 'exit 3' 2>&1"))


# strace, gdb


@test("strace -f: inside")
def strace(web: Container) -> None:
    trace = TMP / "trace"
    child, me = numbers(web.sh(
        f"strace -f -o {trace} sh -c 'napper 0.1 & echo $!; wait $!; kill -0 $!; echo $$' 2>/dev/null"))
    text = trace.read_text(encoding="utf-8")
    equal("the pids before the calls", {child, me}, {int(row.split()[0]) for row in text.splitlines()})
    holds("fork", rf"^{me} .*(clone3?|v?fork)(\(.*| resumed.*)\) = {child}$", text)
    holds("getpid", rf"^{me} +getpid\(\) += {me}$", text)
    holds("wait4", rf"^{me} .*wait4.* = {child}$", text)
    holds("SIGCHLD", rf"^{me} +--- SIGCHLD .*si_pid={child},", text)
    holds("kill", rf"^{me} +kill\({child}, 0\) += -1 ESRCH", text)
    holds("the child's exec", rf"^{child} +execve\(\"[^\"]*/napper\"", text)


def traced(web: Container, *options: str) -> tuple[int, str]:
    """strace -f from the host on a loop; the loop's vpid and the trace."""
    trace = TMP / "trace"
    trace.unlink(missing_ok=True)
    web.sh("dash -c 'while :; do napper 0.3; done' &")
    (loop,) = wait_for("the loop", lambda: web.named("dash"))
    with background("strace", "-f", "-o", str(trace), *options, "-e", "trace=process", "-p",
                    str(web.host(loop))) as strace_process:
        wait_for("a few rounds", lambda: trace.exists() and
                 trace.read_text(encoding="utf-8").count("+++ exited") > 2)
        strace_process.send_signal(signal.SIGINT)
        strace_process.wait(PATIENCE)
    equal("the loop goes on", True, loop in web.named("dash"))
    return loop, trace.read_text(encoding="utf-8")


@test("strace -f: from the host")
def strace_host(web: Container) -> None:
    loop, text = traced(web)
    pids = {int(row.split()[0]) for row in text.splitlines()}
    children = {web.inside(pid) for pid in pids} - {loop}
    equal("the pids are the host's", set(), {pid for pid in pids if not web.inside(pid)})
    equal("the children's too", True, len(children) > 2 and 0 not in children)
    seen = re.findall(rf"^{web.host(loop)} .*wait4.* = (\d+)$", text, re.M)
    # The first one may have been born before strace came.
    equal("what wait4 returns is the container's", [], [v for v in seen[1:] if int(v) not in children])
    equal("it returned", True, len(seen) > 2)


@test("strace -f --decode-pids: from the host")
def strace_decode(web: Container) -> None:
    loop, text = traced(web, "--decode-pids=pidns")
    seen = re.findall(r" = (\d+) /\* (\d+) in strace's PID NS \*/$", text, re.M)
    equal("there are some", True, len(seen) > 2)
    for vpid, pid in seen:
        equal("the two numbers", web.host(int(vpid)), int(pid))
    equal("of children", False, str(loop) in dict(seen))


def gdb_threads(number: Callable[[int], int], ids: list[int], out: str) -> None:
    seen = {int(lwp) for lwp in re.findall(r"\(LWP (\d+)\)|^[* ]+\d+ +LWP (\d+)", out, re.M) for lwp in lwp if lwp}
    equal("info threads", set(map(number, ids)), seen)


GDB = "gdb -nx -batch -iex 'set auto-load off' -iex 'set debuginfod enabled off'"


@test("gdb: inside")
def gdb(web: Container) -> None:
    ids = threads(web)
    out = web.sh(f"{GDB} -p {ids[0]} -ex 'info inferiors' -ex 'info threads' "
                 "-ex 'print (int) getpid()' -ex detach 2>&1")
    holds("the inferior", rf"process {ids[0]} ", out)
    gdb_threads(int, ids, out[out.index("Num"):])
    holds("libthread_db", r"Thread 0x[0-9a-f]+ \(LWP", out)
    holds("getpid", rf"^\$1 = {ids[0]}$", out)
    equal("it goes on", "S", {p.pid: p for p in web.members()}[ids[0]].state)


@test("gdb: run, breakpoint, fork")
def gdb_run(web: Container) -> None:
    out = web.sh(f"{GDB} -ex 'set breakpoint pending on' -ex 'break getppid' -ex run "
                 "-ex 'info inferiors' -ex 'print (int) getpid()' -ex continue "
                 "--args dash -c 'napper 0; echo I am $$' 2>&1")
    me = int(holds("the shell's own word", r"^I am (\d+)$", out).group(1))
    holds("the inferior", rf"process {me} ", out)
    holds("at the breakpoint", rf"^\$1 = {me}$", out)
    holds("the child", r"Detaching after v?fork from child process \d+\]", out)
    child = int(holds("the child", r"from child process (\d+)\]", out).group(1))
    equal("is of this container, and later", True, me < child < 1 << 16)
    holds("the end", rf"\[Inferior 1 \(process {me}\) exited normally\]", out)


@test("gdb: from the host")
def gdb_host(web: Container) -> None:
    ids = threads(web)
    pid = web.host(ids[0])
    out = run("sh", "-c", f"{GDB} -p {pid} -ex 'info inferiors' -ex 'info threads' "
              "-ex 'print (int) getpid()' -ex detach 2>&1")
    holds("the inferior", rf"process {pid} ", out)
    gdb_threads(web.host, ids, out[out.index("Num"):])
    holds("getpid is the container's", rf"^\$1 = {ids[0]}$", out)
    equal("it goes on", "S", {p.pid: p for p in web.members()}[ids[0]].state)


# Servers


@test("openssh")
def openssh(web: Container) -> None:
    ssh = [*("ssh", "-p", "2222", "-i", f"{TMP}/key", "-o", "StrictHostKeyChecking=no", "-o"),
           *("UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "root@127.0.0.1")]
    web.sh(f"/usr/sbin/sshd -o Port=2222 -o ListenAddress=127.0.0.1 -o PidFile={TMP}/sshd.pid "
           f"-o UsePAM=no -o StrictModes=no -o AuthorizedKeysFile={TMP}/key.pub -E {TMP}/sshd.log")
    wait_for("sshd", lambda: (TMP / "sshd.pid").exists() and (TMP / "sshd.pid").read_text(encoding="ascii"))
    master = int((TMP / "sshd.pid").read_text(encoding="ascii"))
    equal("the pid file", web.named("sshd"), [master])
    with background(*ssh, f"echo $$ $PPID; cat /proc/container; exec {TMP}/bin/napper 1000") as login:
        me, parent = numbers(line(login))
        equal("the container", "web", line(login))
        (napper,) = web.wait_named("napper")
        state = {p.pid: p for p in web.members()}
        equal("$$ and $PPID", [napper, state[napper].ppid], [me, parent])
        equal("whose child is that", (master, "sshd-session"),
              (state[state[parent].ppid].ppid, state[parent].comm))
        os.kill(web.host(napper), signal.SIGKILL)
        login.wait(PATIENCE)
    out = run(*ssh, "-tt", "echo $$; ps -o pid=,ppid=,pgid=,sid=,tpgid= -p $$; tty; :").replace("\r", "")
    me, row, tty = out.splitlines()
    seen = numbers(row)
    equal("a login on a terminal leads its session", [int(me)] * 4, [seen[0], *seen[2:]])
    holds("its terminal", "^/dev/pts/", tty)
    web.sh(f"kill $(cat {TMP}/sshd.pid)")
    wait_for("sshd to end", lambda: not web.named("sshd"))


@test("nginx")
def nginx(web: Container) -> None:
    pid_file = TMP / "nginx.pid"
    command = f"nginx -c {TMP}/nginx.conf"
    equal("starts silently", "", web.sh(command))

    def workers() -> tuple[int, set[int]]:
        master = int(wait_for("the pid file", lambda: pid_file.exists() and pid_file.read_text(encoding="ascii")))
        children = wait_for("two workers", lambda: len(
            found := {p.pid for p in web.members() if p.ppid == master}) == 2 and found)
        return master, children

    def serving() -> set[int]:
        """$pid as the workers know it, over HTTP."""
        seen = set()
        for _ in range(20):
            with urllib.request.urlopen("http://127.0.0.1:8080/", timeout=20) as answer:
                seen.add(int(answer.read()))
        return seen

    master, old = workers()
    equal("the pid file names a child of the root", True,
          (master, 1) in {(p.pid, p.ppid) for p in web.members()})
    equal("who answers", True, serving() <= old)
    equal("fuser of the port, inside", {master, *old}, set(numbers(web.sh("fuser 8080/tcp 2>/dev/null"))))
    equal("lsof of the port, from the host", set(map(web.host, {master, *old})),
          set(numbers(run("lsof", "-w", "-t", "-iTCP:8080", "-sTCP:LISTEN"))))
    web.sh(f"{command} -s reload")
    wait_for("new workers", lambda: not old & workers()[1])
    equal("the master stays", master, workers()[0])
    equal("who answers now", True, serving() <= workers()[1])
    web.sh(f"kill -TERM $(cat {pid_file})")
    wait_for("nginx to end", lambda: not web.named("nginx"))
    equal("the pid file", False, pid_file.exists())
    equal("stop without one", True, "No such file" in web.sh(f"{command} -s stop"))


@test("postgresql")
def postgresql(web: Container) -> None:
    data = Path("/var/lib/postgresql/17/main")
    ctl = f"{POSTGRES} {PG}/pg_ctl -D {data} -s -w -l {TMP}/pg.log " \
        f"-o '-c config_file=/etc/postgresql/17/main/postgresql.conf -k {TMP}'"
    sql = f"{POSTGRES} psql -h {TMP} -At"
    equal("starts silently", "", web.sh(f"{ctl} start"))
    master = int((data / "postmaster.pid").read_text(encoding="ascii").splitlines()[0])
    holds("pg_ctl status", rf"\(PID: {master}\)", web.sh(ctl.replace(" -s", "") + " status"))
    equal("the pid file names a child of the root", True,
          (master, 1, "postgres") in {(p.pid, p.ppid, p.comm) for p in web.members()})
    children = {p.pid for p in web.members() if p.ppid == master}
    seen = set(numbers(web.sh(f"{sql} -c 'select pid from pg_stat_activity where pid != pg_backend_pid()'")))
    equal("pg_stat_activity lists children of it", True, len(seen) > 3 and seen <= children)
    web.sh(f"{sql} -c 'select pg_sleep(1000)' > {TMP}/sleep.out 2>&1 &")

    def sleeper() -> list[int]:
        """By the title that it gives itself."""
        return [p.pid for p in web.members() if p.ppid == master and b"SELECT" in
                Path(f"/proc/{web.host(p.pid)}/cmdline").read_bytes()]

    (backend,) = wait_for("the sleeping backend", sleeper)
    equal("its pid", [backend], numbers(web.sh(
        f"{sql} -c \"select pid from pg_stat_activity where query ~ '^select pg_sleep'\"")))
    equal("pg_cancel_backend", "t", web.sh(f"{sql} -c 'select pg_cancel_backend({backend})'"))
    holds("what its client said", "canceling statement due to user request", wait_for(
        "the end of the client", lambda: (TMP / "sleep.out").read_text(encoding="utf-8")))
    equal("and of a host's number", "WARNING:  PID 1073741000 is not a PostgreSQL backend process\nf",
          web.sh(f"{sql} -c 'select pg_terminate_backend(1073741000)' 2>&1"))
    equal("pg_ctl reload", "", web.sh(f"{ctl} reload"))
    equal("pg_ctl stop", "", web.sh(f"{ctl} -m fast stop"))
    equal("nothing is left", [], web.named("postgres"))
    equal("the pid file", False, (data / "postmaster.pid").exists())


# The frame

OUTSIDE: list[Any] = []  # db, its napper, the host's napper


def too_long(*_: Any) -> None:
    raise Mismatch("no end")


def prepare() -> None:
    signal.signal(signal.SIGALRM, too_long)
    os.umask(0o022)
    os.environ.update(PATH=f"{TMP}/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C.UTF-8", TERM="screen")
    (TMP / "bin").mkdir(parents=True, exist_ok=True)
    TMP.chmod(0o777)
    # A program of that name is nobody else's.
    run("cp", "/usr/bin/sleep", f"{TMP}/bin/napper")
    (TMP / "threads.py").write_text(THREADS, encoding="ascii")
    (TMP / "nginx.conf").write_text(
        f"user root; worker_processes 2; pid {TMP}/nginx.pid; error_log {TMP}/nginx.log;\n"
        "events {} http { access_log off; server { listen 127.0.0.1:8080;\n"
        'location / { return 200 "$pid\\n"; } } }\n', encoding="ascii")
    # What Debian sets at boot; top takes the width of its column from it.
    Path("/proc/sys/kernel/pid_max").write_text(PID_MAX, encoding="ascii")
    Path("/run/sshd").mkdir(exist_ok=True)
    run("ssh-keygen", "-A")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{TMP}/key")
    db = Container("db")
    (inside,) = nappers(db, 1)
    OUTSIDE.extend([db, inside, subprocess.Popen(["napper", "100000"])])


def outside_untouched() -> None:
    db, inside, napper = OUTSIDE
    equal("db", [(1, "bash"), (inside, "napper")], [(p.pid, p.comm) for p in db.members()])
    equal("the host's napper", None, napper.poll())
    equal("the containers", {"db"}, set(rows()))


def one(function: Callable[[Container], None]) -> str:
    """What is wrong; nothing if all is well."""
    faults = []
    signal.alarm(3 * PATIENCE)
    try:
        web = Container("web")
        try:
            function(web)
        finally:
            if "web" in rows() or web.bash.poll() is None:
                web.kill()
        outside_untouched()
    except Mismatch as mismatch:
        faults.append(str(mismatch))
    except Exception:  # pylint: disable=broad-except
        faults.append(traceback.format_exc())
    signal.alarm(0)
    return "\n".join(faults)


def main(pattern: str = "*") -> int:
    prepare()
    tests = [t for t in TESTS if fnmatch(t[0], pattern)]
    print("KTAP version 1", f"1..{len(tests)}", sep="\n", flush=True)
    bad = 0
    for number, (name, function, fails) in enumerate(tests, 1):
        start = time.monotonic()
        fault = one(function)
        took = time.monotonic() - start
        for text in fault.splitlines():
            print(f"# {text}")
        if fails and fault:
            print(f"ok {number} {name} # SKIP known to fail: {fails}")
        elif fails:
            print(f"not ok {number} {name}: passes, and is said to fail")
            bad += 1
        else:
            print(f"{'not ok' if fault else 'ok'} {number} {name}")
            bad += bool(fault)
        print(f"# {took:.1f} s", flush=True)
    OUTSIDE[2].kill()
    return 1 if bad or not tests else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
