"""tree, work, refresh and rfc on a tiny tree, in a cache of their own."""

import os
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from fixture import temporary

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "scripts"
MAKEFILE = "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 9\nEXTRAVERSION =\n"
PID_C = "".join(f"line {n}\n" for n in range(1, 21))
LIB_RS = "pub mod pid;\n"
X_RS = "pub fn x() {}\n"


class Tree(unittest.TestCase):
    def setUp(self) -> None:
        top = temporary(self)
        self.user, self.product, self.git_tree = top / "user", top / "product", top / "git"
        self.cache = top / "cache"
        me = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
              for what, value in (("NAME", "A U Thor"), ("EMAIL", "author@example.com"))}
        self.environment = {
            **{k: v for k, v in os.environ.items() if k not in ("TREE", "WORK", "MAKEFLAGS")},
            **me,
            "XDG_CACHE_HOME": str(self.cache),
            "SERIES_DIR": str(self.product),
        }
        self.fill(self.user)
        self.product.mkdir()
        (self.product / "patches").mkdir()
        (self.product / "series").write_text("")

    def fill(self, tree: Path) -> None:
        for name, text in (
            ("Makefile", MAKEFILE),
            ("kernel/pid.c", PID_C),
            ("kernel/fork.c", PID_C),
            ("rust/kernel/lib.rs", LIB_RS),
        ):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text)

    def script(self, name: str, **environment: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(SCRIPTS / name)],
            env={**self.environment, **{k: str(v) for k, v in environment.items()}},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )

    def succeed(self, name: str, **environment: object) -> str:
        result = self.script(name, **environment)
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout

    def fail_saying(self, words: str, name: str, **environment: object) -> None:
        result = self.script(name, **environment)
        self.assertNotEqual(result.returncode, 0, result.stdout)
        self.assertIn(words, result.stdout)

    def git(self, *args: str, tree: Path | None = None) -> str:
        return subprocess.run(
            ["git", "-C", str(tree or self.git_tree), *args],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    def commit(self, subject: str, **files: str | None) -> None:
        for name, text in files.items():
            path = self.git_tree / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject, "-m", "Because of the test.")

    def make_series(self) -> None:
        """Two patches: one changes pid.c, one adds x.rs and changes lib.rs."""
        self.fill(self.git_tree)
        self.git("init", "-q", "-b", "base")
        self.commit("base")
        self.git("checkout", "-q", "-b", "pidspace")
        self.commit("pid: say ten", kernel__pid_dot_c=PID_C.replace("line 10\n", "ten\n"))
        self.commit("rust: add x", rust__kernel__x_dot_rs=X_RS, rust__kernel__lib_dot_rs=LIB_RS + "pub mod x;\n")
        self.succeed("refresh.sh", WORK=self.git_tree)

    def tree(self) -> Path:
        (tree,) = (self.cache / "pidspace").glob("user-*/tree")
        return tree

    def files(self, top: Path) -> dict[str, tuple[str, int]]:
        return {
            str(p.relative_to(top)): (p.read_text(), p.stat().st_mtime_ns)
            for p in top.rglob("*")
            if p.is_file() and ".git" not in p.parts
        }

    # tree

    def test_applies_and_leaves_the_original_alone(self) -> None:
        self.make_series()
        before = self.files(self.user)
        self.succeed("tree.sh", TREE=self.user)
        self.assertEqual(self.files(self.user), before)
        self.assertIn("ten\n", (self.tree() / "kernel/pid.c").read_text())
        self.assertEqual((self.tree() / "rust/kernel/x.rs").read_text(), X_RS)

    def test_empty_series(self) -> None:
        self.succeed("tree.sh", TREE=self.user)
        self.assertEqual((self.tree() / "kernel/pid.c").read_text(), PID_C)

    def test_changed_series_touches_only_what_it_changes(self) -> None:
        self.make_series()
        self.succeed("tree.sh", TREE=self.user)
        before = self.files(self.tree())
        time.sleep(0.02)
        self.commit("fork: say five", kernel__fork_dot_c=PID_C.replace("line 5\n", "five\n"))
        self.commit("rust: drop x", rust__kernel__x_dot_rs=None)
        self.succeed("refresh.sh", WORK=self.git_tree)
        self.succeed("tree.sh", TREE=self.user)
        after = self.files(self.tree())
        self.assertEqual({k for k in before if after.get(k) != before[k]}, {"kernel/fork.c", "rust/kernel/x.rs"})
        self.assertNotIn("rust/kernel/x.rs", after)
        self.assertGreater(after["kernel/fork.c"][1], before["kernel/fork.c"][1])

    def test_shrunk_series_restores(self) -> None:
        self.make_series()
        self.succeed("tree.sh", TREE=self.user)
        self.git("reset", "-q", "--hard", "base")
        self.succeed("refresh.sh", WORK=self.git_tree)
        self.succeed("tree.sh", TREE=self.user)
        self.assertEqual({k: v[0] for k, v in self.files(self.tree()).items()},
                         {k: v[0] for k, v in self.files(self.user).items()})

    def test_recovers_from_a_kill(self) -> None:
        self.make_series()
        self.succeed("tree.sh", TREE=self.user)
        state = self.tree().parent
        (state / "tree.state.key").unlink()
        (self.tree() / "kernel/pid.c").unlink()
        (self.tree() / "kernel/pid.c").write_text("half")
        (self.tree() / "rust/kernel/x.rs").unlink()
        self.succeed("tree.sh", TREE=self.user)
        self.assertIn("ten\n", (self.tree() / "kernel/pid.c").read_text())
        self.assertTrue((self.tree() / "rust/kernel/x.rs").exists())
        self.assertEqual((state / "linux/kernel/pid.c").read_text(), PID_C)

    def test_fuzz_is_refused_and_named(self) -> None:
        self.make_series()
        (self.user / "kernel/pid.c").write_text(PID_C.replace("line 7\n", "seven\n"))
        result = self.script("tree.sh", TREE=self.user)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("0001-pid-say-ten.patch does not apply", result.stdout)
        self.assertIn("kernel/pid.c", result.stdout)

    def test_file_that_is_not_there_is_named(self) -> None:
        self.make_series()
        (self.user / "rust/kernel/lib.rs").unlink()
        result = self.script("tree.sh", TREE=self.user)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("0002-rust-add-x.patch does not apply", result.stdout)
        self.assertIn("lib.rs", result.stdout)

    def test_patch_that_is_not_there(self) -> None:
        (self.product / "series").write_text("0001-a.patch\n")
        self.fail_saying("series names 0001-a.patch", "tree.sh", TREE=self.user)

    def test_wrong_trees(self) -> None:
        self.fail_saying("no such file", "tree.sh", TREE=self.user / "nowhere")
        (self.user / "Makefile").write_text(MAKEFILE.replace("PATCHLEVEL = 3", "PATCHLEVEL = 2"))
        self.fail_saying("is Linux 7.2.9; this series is for 7.3.y", "tree.sh", TREE=self.user)
        self.fail_saying("not a kernel tree", "tree.sh", TREE=self.product)
        junk = self.product / "series"
        junk.write_text("no tarball")
        self.fail_saying("", "tree.sh", TREE=junk)

    def test_checkout_uses_head_and_says_so(self) -> None:
        self.make_series()
        self.git("checkout", "-q", "base")
        (self.git_tree / "kernel/fork.c").write_text("not committed\n")
        status = self.git("status", "--porcelain")
        self.assertIn("uncommitted changes", self.succeed("tree.sh", TREE=self.git_tree))
        self.assertEqual((self.tree() / "kernel/fork.c").read_text(), PID_C)
        self.assertEqual(self.git("status", "--porcelain"), status)
        self.assertEqual(len(self.git("worktree", "list").splitlines()), 1)

    def test_tarball(self) -> None:
        self.make_series()
        tarball = self.user.parent / "linux-7.3.9.tar.xz"
        subprocess.run(["tar", "-cJf", tarball, "-C", self.user.parent, "user"], check=True)
        self.succeed("tree.sh", TREE=tarball)
        self.assertIn("ten\n", (self.tree() / "kernel/pid.c").read_text())

    # work and refresh

    def test_refresh(self) -> None:
        self.make_series()
        names = sorted(p.name for p in (self.product / "patches").iterdir())
        self.assertEqual(names, ["0001-pid-say-ten.patch", "0002-rust-add-x.patch"])
        self.assertEqual((self.product / "series").read_text().split(), names)
        self.assertEqual((self.product / "rust/rust/kernel/x.rs").read_text(), X_RS)
        self.assertFalse((self.product / "rust/rust/kernel/lib.rs").exists())
        patch = (self.product / "patches" / names[0]).read_text()
        self.assertTrue(patch.startswith("From 0000000000000000000000000000000000000000 "))
        self.assertNotRegex(patch, r"\n-- \n")
        self.assertRegex(patch, r"\nindex [0-9a-f]{12}\.\.[0-9a-f]{12} 100644\n")

    def test_refresh_renumbers_and_removes(self) -> None:
        self.make_series()
        series = self.product / "series"
        series.write_text("# first\n0001-pid-say-ten.patch\n\n# second\n0002-rust-add-x.patch\n")
        self.commit("fork: say five", kernel__fork_dot_c="five\n")
        self.git("rebase", "-q", "--onto", "base", "pidspace~2")
        self.succeed("refresh.sh", WORK=self.git_tree)
        self.assertEqual(series.read_text(), "# first\n\n# second\n0001-rust-add-x.patch\n0002-fork-say-five.patch\n")
        self.assertEqual(sorted(p.name for p in (self.product / "patches").iterdir()),
                         ["0001-rust-add-x.patch", "0002-fork-say-five.patch"])

    def test_refresh_removes_stale_copies(self) -> None:
        self.make_series()
        own = self.product / "rust/src/lib.rs"
        own.parent.mkdir()
        own.write_text("")
        self.git("reset", "-q", "--hard", "pidspace~1")
        self.succeed("refresh.sh", WORK=self.git_tree)
        self.assertFalse((self.product / "rust/rust/kernel/x.rs").exists())
        self.assertTrue(own.exists())

    def test_refresh_refuses(self) -> None:
        self.fail_saying("has no branch pidspace", "refresh.sh", WORK=self.user)
        self.make_series()
        self.git("checkout", "-q", "-b", "side", "base")
        self.commit("fork: say five", kernel__fork_dot_c="five\n")
        self.git("checkout", "-q", "pidspace")
        self.git("merge", "-q", "-m", "merge", "side")
        self.fail_saying("has a merge", "refresh.sh", WORK=self.git_tree)

    def test_round_trip(self) -> None:
        self.make_series()
        before = self.files(self.product)
        work = self.cache / "work"
        self.succeed("work.sh", TREE=self.user, WORK=work)
        self.assertEqual(self.git("log", "--format=%s", "base..pidspace", tree=work),
                         "rust: add x\npid: say ten\n")
        self.succeed("refresh.sh", WORK=work)
        self.assertEqual(self.files(self.product), before)
        self.fail_saying("is there already", "work.sh", TREE=self.user, WORK=work)

    # rfc

    def test_rfc_applies_and_is_signed(self) -> None:
        self.make_series()
        self.succeed("rfc.sh")
        mails = sorted((self.cache / "pidspace/rfc").iterdir())
        self.assertEqual([m.name for m in mails],
                         ["0000-cover-letter.patch", "0001-pid-say-ten.patch", "0002-rust-add-x.patch"])
        self.assertIn("Subject: [RFC PATCH 0/2] ", mails[0].read_text())
        self.assertIn("Subject: [RFC PATCH 2/2] rust: add x\n", mails[2].read_text())
        self.git("checkout", "-q", "-b", "mailed", "base")
        self.git("am", "-q", *map(str, mails[1:]))
        self.assertEqual(self.git("diff", "pidspace"), "")
        self.assertIn("Because of the test.\n\nSigned-off-by: A U Thor <author@example.com>\n",
                      self.git("log", "-1", "--format=%B"))

    def test_rfc_of_a_section(self) -> None:
        self.make_series()
        series = self.product / "series"
        first, second = series.read_text().split()
        series.write_text(f"# the product\n\n# Numbers: pids\n{first}\n\n# Rust parts\n# of it\n{second}\n")
        self.succeed("rfc.sh", ARGS="rust")
        mails = sorted((self.cache / "pidspace/rfc").iterdir())
        self.assertEqual([m.name for m in mails], ["0000-cover-letter.patch", "0001-rust-add-x.patch"])
        self.assertIn("Subject: [RFC PATCH 1/1] rust: add x\n", mails[1].read_text())
        self.assertNotIn("pid: say ten", mails[0].read_text())
        self.fail_saying("0 sections of the series have 'none'", "rfc.sh", ARGS="none")
        self.fail_saying("2 sections of the series have 'r'", "rfc.sh", ARGS="r")
        self.fail_saying("Numbers: pids", "rfc.sh", ARGS="product")

    def test_rfc_needs_an_identity(self) -> None:
        self.make_series()
        for name in list(self.environment):
            if name.startswith("GIT_"):
                del self.environment[name]
        self.fail_saying("no identity", "rfc.sh", HOME=self.cache, GIT_CONFIG_NOSYSTEM=1)


class Lock(unittest.TestCase):
    def test_one_at_a_time(self) -> None:
        with tempfile.TemporaryDirectory() as cache:
            script = f". {SCRIPTS}/lib.sh; f() {{ echo in; sleep 0.4; echo out; }}; with_lock x f"
            log = Path(cache) / "log"
            with log.open("w") as out:
                runs = [
                    subprocess.Popen(["bash", "-c", script], stdout=out, stderr=subprocess.DEVNULL,
                                     env={**os.environ, "XDG_CACHE_HOME": cache, "TREE": ""})
                    for _ in range(3)
                ]
                for run in runs:
                    self.assertEqual(run.wait(60), 0)
            self.assertEqual(log.read_text().split(), ["in", "out"] * 3)
