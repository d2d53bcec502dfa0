"""The verdict over a run, and the watching of it, with a stand-in for QEMU."""

import argparse
import contextlib
import io
import sys
import tempfile
import time
import unittest
import unittest.mock
from pathlib import Path

import boot


class Verdict(unittest.TestCase):
    def run_guest(self, script: str, timeout: float = 20) -> str:
        with tempfile.TemporaryDirectory() as name:
            args = argparse.Namespace(log=Path(name) / "log", timeout=timeout, show="none")
            in_time = boot.watch([sys.executable, "-u", "-c", script], args)
            return boot.judge(args, in_time)

    def test_ok(self) -> None:
        self.assertEqual(self.run_guest("print('guest: start x\\r\\nhello\\r\\nguest: exit 0\\r')"), "")

    def test_status(self) -> None:
        self.assertIn("status 3", self.run_guest("print('guest: exit 3')"))

    def test_silent_death(self) -> None:
        self.assertIn("without a word", self.run_guest("print('guest: start x')"))

    def test_splat_beats_ok(self) -> None:
        script = "print('[    1.000000] WARNING: CPU: 0 PID: 1 at x.c:1'); print('guest: exit 0')"
        self.assertIn("complained 1 times", self.run_guest(script))

    def test_hang(self) -> None:
        script = "import time; print('guest: start x'); time.sleep(60)"
        self.assertIn("no end after", self.run_guest(script, timeout=1))

    def test_machine_does_not_go_off(self) -> None:
        with unittest.mock.patch.object(boot, "GRACE", 1):
            splat = "[    1.000000] WARNING: CPU: 0 PID: 1 at x.c:1"
            script = f"import time; print('guest: exit 0'); time.sleep(0.2); print('{splat}'); time.sleep(60)"
            start = time.monotonic()
            self.assertIn("complained 1 times", self.run_guest(script))
            self.assertEqual(self.run_guest(script.replace(splat, "all well")), "")
            self.assertLess(time.monotonic() - start, 20)

    def test_shows_the_job_only(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            args = argparse.Namespace(log=Path(name) / "log", timeout=20, show="job")
            out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
            script = "print('noise\\nguest: start x\\nseen\\nguest: exit 0\\nnoise')"
            with contextlib.redirect_stdout(out):
                boot.watch([sys.executable, "-c", script], args)
            self.assertEqual(out.buffer.getvalue(), b"seen\n")  # type: ignore[attr-defined]


class Qemu(unittest.TestCase):
    def command(self, *disks: str) -> str:
        args = argparse.Namespace(
            kernel="k", initrd="i", job="off", args="", append=[], smp=2, memory="1G", icount=False, disk=[*map(Path, disks)], data=[]
        )
        return " ".join(boot.qemu(args, "kvm"))

    def test_disk(self) -> None:
        self.assertIn("-machine pc ", self.command())
        command = self.command("x.squashfs")
        self.assertIn("-machine microvm,", command)
        self.assertRegex(command, r"-drive \S*readonly=on,file=x\.squashfs ")
