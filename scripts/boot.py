#!/usr/bin/env python3
"""Boot a kernel in QEMU, run one job in the guest, and judge the run.

A run has passed when the guest said "guest: exit 0" and the kernel printed no
splat (ci/splats.txt). The exit status is that verdict; the whole console is in
the log. KVM is used where it works, emulation otherwise.
"""

from __future__ import annotations

import argparse
import os
import re
import selectors
import subprocess
import sys
import time
from pathlib import Path

from splats import Scanner

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pidspace"
START = re.compile(rb"guest: start (\S+)")
EXIT = re.compile(rb"guest: exit (\d+)")
# How long the machine may take to go off when the job has ended, in seconds.
GRACE = 20
# kunit needs the informational messages; nobody else wants them on the console.
LOGLEVEL = {"kunit": 7}


def tsc_parameters(icount: bool) -> list[str]:
    """The guest has no timer to calibrate the TSC by when it is emulated, and
    without the TSC it would have a clock of 10 ms. Emulation passes the host's
    TSC on; /proc/cpuinfo says its frequency (about: the guest's second may be a
    little off, which nothing here minds). With icount one instruction takes 1 ns
    and the TSC counts them."""
    if icount:
        return ["tsc=reliable", "tsc_early_khz=1000000"]
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    mhz = re.search(r"^cpu MHz\s*: ([\d.]+)$", cpuinfo, re.M)
    return ["tsc=reliable", f"tsc_early_khz={float(mhz.group(1)) * 1000:.0f}"] if mhz else []


def qemu(args: argparse.Namespace, accel: str) -> list[str]:
    append = [
        "console=ttyS0",
        f"loglevel={LOGLEVEL.get(args.job, 5)}",
        "panic=-1",
        f"pidspace.job={args.job}",
        *([f"pidspace.args={args.args}"] if args.args else []),
        *(["kunit.enable=1 kunit.autorun=1"] if args.job == "kunit" else []),
        *(tsc_parameters(args.icount) if accel == "tcg" else []),
        # microvm has no keyboard controller to reset it by.
        *(["reboot=t"] if args.disk else []),
        *args.append,
    ]
    cpu = ["-accel", "kvm", "-cpu", "host"]
    if accel == "tcg":
        threads = ["tcg,thread=single", "-icount", "shift=0"] if args.icount else ["tcg,thread=multi"]
        cpu = ["-accel", *threads, "-cpu", "max"]
    # Without PCI a disk needs virtio-mmio, which only microvm has.
    machine = ["-machine", "pc"]
    if args.disk:
        machine = ["-machine", "microvm,acpi=off,pic=on,pit=on,rtc=on,isa-serial=on"]
    disks = [f"readonly=on,file={disk}" for disk in args.disk] + [f"file={disk}" for disk in args.data]
    for number, disk in enumerate(disks):
        machine += ["-drive", f"if=none,id=disk{number},format=raw,{disk}"]
        machine += ["-device", f"virtio-blk-device,drive=disk{number}"]
    return [
        # A guest does not outlive this program, however that ends.
        *("setpriv", "--pdeathsig", "KILL"),
        *("qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot"),
        *(*machine, *cpu, "-smp", f"{args.smp},sockets={args.smp},cores=1,threads=1", "-m", args.memory),
        *("-kernel", str(args.kernel), "-initrd", str(args.initrd)),
        *("-append", " ".join(append)),
    ]


def kvm_works(args: argparse.Namespace) -> bool:
    """/dev/kvm may be there and useless: boot once with it, remember the answer."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    answer = CACHE / "kvm" / boot_id
    if not answer.exists():
        more = {"job": "off", "args": "", "append": ["loglevel=7"]}
        probe = argparse.Namespace(**{**vars(args), **more})
        try:
            out = subprocess.run(
                [*qemu(probe, "kvm"), "-serial", "stdio"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=20,
                check=False,
            ).stdout
        except subprocess.TimeoutExpired as expired:
            out = expired.stdout or b""
        found = EXIT.search(out)
        works = bool(found and found.group(1) == b"0")
        if not works and b"Linux version" in out:
            return False  # the kernel's fault, perhaps: ask again next time
        answer.parent.mkdir(parents=True, exist_ok=True)
        answer.write_text("yes" if works else "no", encoding="ascii")
    return answer.read_text(encoding="ascii") == "yes"


def watch(command: list[str], args: argparse.Namespace) -> bool:
    """Run qemu, copy its console to the log and, from the job's start on, to the
    user. Returns False when the time is over and the job has not ended."""
    deadline = time.monotonic() + args.timeout
    ended = False
    shown = args.show == "all"
    with (
        args.log.open("wb") as log,
        subprocess.Popen(
            [*command, "-serial", "stdio"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        ) as proc,
        selectors.DefaultSelector() as selector,
    ):
        assert proc.stdout is not None
        selector.register(proc.stdout, selectors.EVENT_READ)
        pending = b""
        try:
            while (left := deadline - time.monotonic()) > 0:
                if not selector.select(left):
                    continue
                data = os.read(proc.stdout.fileno(), 65536)
                if not data:
                    return True
                log.write(data)
                log.flush()
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    if not ended and EXIT.search(line):
                        ended = True
                        deadline = time.monotonic() + GRACE
                    if args.show == "job" and EXIT.search(line):
                        shown = False
                    if shown:
                        sys.stdout.buffer.write(line.rstrip(b"\r") + b"\n")
                        sys.stdout.buffer.flush()
                    if args.show == "job" and START.search(line):
                        shown = True
            return ended
        finally:
            proc.kill()


def interactive(command: list[str], args: argparse.Namespace) -> bool:
    """The user's terminal is the guest's; Ctrl-C goes to the guest, Ctrl-A x ends it."""
    console = f"stdio,id=console,mux=on,signal=off,logfile={args.log}"
    serial = ["-chardev", console, "-serial", "chardev:console", "-mon", "chardev=console"]
    subprocess.run([*command, *serial], check=False)
    return True


def judge(args: argparse.Namespace, in_time: bool) -> str:
    """What is wrong with the run; an empty string if nothing is."""
    log = args.log.read_bytes()
    splats = Scanner.load().scan(log.decode(errors="replace").replace("\r", ""))
    if splats:
        return f"the kernel complained {len(splats)} times, first: {splats[0].strip()}"
    if not in_time:
        return f"no end after {args.timeout} s"
    status = EXIT.findall(log)
    if not status:
        return "the guest died without a word"
    if status[-1] != b"0":
        return f"the guest's job ended with status {status[-1].decode()}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", type=Path, required=True)
    parser.add_argument("--initrd", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--disk", action="append", default=[], type=Path,
                        help="a squashfs: the guest's root; read only")
    parser.add_argument("--data", action="append", default=[], type=Path, help="a disk to write to")
    parser.add_argument("--job", default="off", help="a file of ci/guest/jobs")
    parser.add_argument("--args", default="", help="passed to the job as JOB_ARGS; no blanks")
    parser.add_argument("--timeout", type=int, default=300, help="seconds")
    parser.add_argument("--show", choices=("none", "job", "all"), default="job")
    parser.add_argument("--smp", type=int, default=2)
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--icount", action="store_true",
                        help="emulate with a clock that counts instructions: figures can be repeated")
    parser.add_argument("--append", action="append", default=[], help="kernel parameters")
    args = parser.parse_args()

    args.log.parent.mkdir(parents=True, exist_ok=True)
    args.log.unlink(missing_ok=True)
    accel = "kvm" if not args.icount and kvm_works(args) else "tcg"
    start = time.monotonic()
    run = interactive if args.job == "shell" else watch
    fault = judge(args, run(qemu(args, accel), args))
    took = f"{time.monotonic() - start:.0f} s, {accel}"
    print(f"boot {args.job}: {fault or 'ok'} ({took}; {args.log})", file=sys.stderr)
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
