"""make sweep: what it refuses, and the steps that need no Coccinelle."""

import os
import subprocess
import unittest
from pathlib import Path

import sweep
from fixture import temporary

SWEEP = Path(sweep.__file__)
MAKEFILE = "VERSION = 7\nPATCHLEVEL = {}\nSUBLEVEL = {}\nEXTRAVERSION =\n"
SCHED_H = "struct task_struct {\n\tpid_t\t\t\t\tpid;\n\tpid_t\t\t\t\ttgid;\n};\n"
SWEPT_H = SCHED_H.replace("\tpid;", "\t__pid;").replace("\ttgid;", "\t__tgid;")
PID_H = "static inline pid_t task_pid_nr({}struct task_struct *tsk)\n"


class Refused(unittest.TestCase):
    def setUp(self) -> None:
        self.top = temporary(self)
        self.tree = self.top / "linux"
        self.fill()

    def fill(self, patchlevel: int = 3, sublevel: int = 9, sched: str = SCHED_H,
             const: str = "") -> None:
        for name, text in (
            ("Makefile", MAKEFILE.format(patchlevel, sublevel)),
            ("include/linux/sched.h", sched),
            ("include/linux/pid.h", PID_H.format(const)),
            ("kernel/pid.c", "/* nothing */\n"),
        ):
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text(text)

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=A U Thor", "-c", "user.email=author@example.com",
                        "-C", self.tree, *arguments], check=True, capture_output=True)

    def refused(self, message: str, tree: Path | None = None) -> None:
        """It fails with one line that says why; neither tree, cache nor OUT is written."""
        before = self.content()
        result = subprocess.run(
            [str(SWEEP), "--out", str(self.top / "out")],
            env={**{k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "JOBS", "OUT")},
                 "TREE": str(tree or self.tree), "XDG_CACHE_HOME": str(self.top / "cache"),
                 "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertRegex(result.stderr, rf"\Aerror: [^\n]*{message}[^\n]*\n\Z")
        self.assertEqual(result.stdout, "")
        self.assertEqual(self.content(), before)

    def content(self) -> dict[str, bytes]:
        """Everything there is, but for git's own files."""
        return {str(path): path.read_bytes() for path in self.top.rglob("*")
                if path.is_file() and ".git" not in path.parts}

    def test_no_tree(self) -> None:
        self.refused("nowhere: no such file", self.top / "nowhere")

    def test_not_a_kernel(self) -> None:
        (self.top / "empty").mkdir()
        self.refused("empty is not a kernel tree", self.top / "empty")

    def test_other_version(self) -> None:
        self.fill(patchlevel=2)
        self.refused(r"is Linux 7\.2\.9; the sweep is for 7\.3\.y")

    def test_swept_already(self) -> None:
        self.fill(sched=SWEPT_H)
        self.refused("has been swept already")

    def test_swept_partly(self) -> None:
        self.fill(const="const ")
        self.refused("has part of the series applied")

    def test_unknown_task_struct(self) -> None:
        self.fill(sched="struct task_struct {\n\tint ids[2];\n};\n")
        self.refused(r"no pid and tgid in include/linux/sched\.h")

    def test_local_changes(self) -> None:
        self.git("init", "-q")
        self.git("add", ".")
        self.git("commit", "-q", "-m", "Linux 7.3.9")
        (self.tree / "kernel/pid.c").write_text("/* something */\n")
        self.refused(r"has local changes, kernel/pid\.c for one")

    def test_swept_checkout(self) -> None:
        self.fill(sched=SWEPT_H)
        self.git("init", "-q")
        self.git("add", ".")
        self.git("commit", "-q", "-m", "swept")
        self.refused("has been swept already")

    def test_unknown_directory(self) -> None:
        self.refused(r"nothing tells whether Linux 7\.3\.9 has local changes")


class Steps(unittest.TestCase):
    def test_current(self) -> None:
        text, count = sweep.sub_accesses(
            'f("current->pid", current->pid, /* current->pid */ a.current->pid, '
            "current->pidfd, current->tgid);\n// current->pid\n", "current")
        self.assertEqual(
            text, 'f("current->pid", task_pid_nr(current), /* current->pid */ a.current->pid, '
            "current->pidfd, task_tgid_nr(current));\n// current->pid\n")
        self.assertEqual(count, 2)

    def test_write_is_left(self) -> None:
        text, count = sweep.sub_accesses("p->pid = 1; p->tgid == 1;", "p")
        self.assertEqual((text, count), ("p->pid = 1; task_tgid_nr(p) == 1;", 1))

    def test_tracepoint(self) -> None:
        before = ("p->pid;\nTRACE_EVENT(a, TP_PROTO(struct task_struct *p),\n"
                  "  __entry->pid = p->pid; q->pid)\n"
                  "TRACE_EVENT(b, TP_PROTO(struct other *p), p->pid)\n")
        after = ("p->pid;\nTRACE_EVENT(a, TP_PROTO(struct task_struct *p),\n"
                 "  __entry->pid = task_pid_nr(p); q->pid)\n"
                 "TRACE_EVENT(b, TP_PROTO(struct other *p), p->pid)\n")
        self.assertEqual(sweep.sub_tracepoints(before), after)

    def test_casts(self) -> None:
        spatch = "(u16) task_tgid_nr(current) + (int) task_pid_nr(f(x))"
        self.assertEqual(sweep.sub_casts(spatch, "(u16)current->tgid + (int) f(x)->pid"),
                         "(u16)task_tgid_nr(current) + (int) task_pid_nr(f(x))")

    def test_accesses(self) -> None:
        self.assertEqual(sweep.accesses("if (a->b[f(i)].pid == (c)->tgid || x.pidfd)"),
                         ["a->b[f(i)].pid", "(c)->tgid"])

    def test_area(self) -> None:
        areas = [["all-arches", "arch"], ["mips", "arch/mips"]]
        self.assertEqual(sweep.area_of("arch/mips/kernel/x.c", areas), "mips")
        self.assertEqual(sweep.area_of("arch/arm/kernel/x.c", areas), "all-arches")


if __name__ == "__main__":
    unittest.main()
