"""The map of the boundary: call sites are found, and what is not in the map is said."""

import contextlib
import io
import unittest
from collections import Counter

import boundary
from boundary import Known, Site
from fixture import temporary

SYS_C = """// SPDX-License-Identifier: GPL-2.0
/* find_vpid(in, a comment) */
pid_t pid_vnr(struct pid *pid)
{
	return pid_nr_ns(pid, task_active_pid_ns(current));
}
EXPORT_SYMBOL_GPL(pid_vnr);
struct pid *find_get_pid(pid_t nr);

SYSCALL_DEFINE1(getsid, pid_t, pid)
{
	p = find_task_by_vpid(pid);
out:
	printk("pid_vnr(x)\\n"); // pid_vnr(y)
	return pid_vnr(sid) + pid_vnr(
		other);
}

static struct task_struct *
helper(int nr)
{
	return __find_vpid(nr) + x->find_vpid(nr);
}

#define log_user(fmt)				\\
	pr_info(fmt, task_tgid_vnr(current))
"""
RUST = """
pub fn nr(pid: &Pid) -> i32 {
    // SAFETY: pid_vnr() is
    unsafe { bindings::pid_nr_ns(pid.as_ptr(), ns) }
}
unsafe extern "C" fn find_vpid(nr: i32) {}
"""
ROWS = """
[sid]
group: Sessions
what: getsid(2)
way: both
view: the caller
test: boundary.getsid view.sid
[inside]
what: helpers
way: both
view: as their callers say
untested: through their callers
"""
SITES = """# a comment
kernel/sys.c getsid find_task_by_vpid 1 sid
kernel/sys.c getsid pid_vnr 2 sid
kernel/sys.c log_user task_tgid_vnr 1 inside
kernel/sys.c pid_vnr pid_nr_ns 1 inside
"""
BOUNDARY_TEST = '\t{ .name = "getsid", .run = run_getsid },\n'
VIEW_TEST = "TEST_F(view, sid)\n{\n}\n"


class Sites(unittest.TestCase):
    def test_c(self) -> None:
        found = boundary.sites_of("kernel/sys.c", SYS_C)
        self.assertEqual(found, {
            Site("kernel/sys.c", "pid_vnr", "pid_nr_ns"): 1,
            Site("kernel/sys.c", "getsid", "find_task_by_vpid"): 1,
            Site("kernel/sys.c", "getsid", "pid_vnr"): 2,
            Site("kernel/sys.c", "log_user", "task_tgid_vnr"): 1,
        })

    def test_rust(self) -> None:
        found = boundary.sites_of("rust/kernel/pid.rs", RUST)
        self.assertEqual(found, {Site("rust/kernel/pid.rs", "nr", "pid_nr_ns"): 1})


class Compare(unittest.TestCase):
    SITE = Site("a.c", "f", "pid_vnr")

    def faults(self, found: int, known: int) -> list[str]:
        return boundary.compare(Counter({self.SITE: found} if found else {}),
                                {self.SITE: Known(known, "row")} if known else {})

    def test_same(self) -> None:
        self.assertEqual(self.faults(2, 2), [])

    def test_new(self) -> None:
        self.assertEqual(self.faults(1, 0), ["unmapped: a.c: f() calls pid_vnr() 1 times, known are 0"])

    def test_one_more_in_the_function(self) -> None:
        self.assertEqual(self.faults(3, 2), ["unmapped: a.c: f() calls pid_vnr() 3 times, known are 2"])

    def test_gone(self) -> None:
        self.assertEqual(self.faults(0, 1), ["stale: a.c: f() calls pid_vnr() 0 times, known are 1"])


class Check(unittest.TestCase):
    """All of it on a tiny tree."""

    def setUp(self) -> None:
        top = temporary(self)
        self.tree, data = top / "tree", top / "data"
        data.mkdir()
        (data / "rows").write_text(ROWS)
        (data / "sites").write_text(SITES)
        (data / "head.rst").write_text("Title\n=====\n")
        self.addCleanup(setattr, boundary, "DATA", boundary.DATA)
        boundary.DATA = data
        self.write("kernel/sys.c", SYS_C)
        self.write(f"{boundary.TESTS}/boundary_test.c", BOUNDARY_TEST)
        self.write(f"{boundary.TESTS}/view_test.c", VIEW_TEST)
        self.write(boundary.DOCUMENT, self.run_it("--document")[1])

    def write(self, file: str, text: str) -> None:
        path = self.tree / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def change(self, name: str, old: str, new: str) -> None:
        path = boundary.DATA / name
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new))

    def run_it(self, mode: str) -> tuple[int, str]:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            status = boundary.main([mode, str(self.tree)])
        return status, out.getvalue()

    def assert_fault(self, text: str) -> None:
        status, out = self.run_it("--check")
        self.assertIn(text, out)
        self.assertEqual(status, 1)

    def test_fits(self) -> None:
        self.assertEqual(self.run_it("--check"), (0, "5 call sites in 2 rows\n"))

    def test_added_call_is_unmapped(self) -> None:
        self.write("drivers/new.c", "int probe(void)\n{\n\treturn task_pid_vnr(current);\n}\n")
        self.assert_fault("unmapped: drivers/new.c: probe() calls task_pid_vnr() 1 times, known are 0")
        self.assertIn("drivers/new.c probe task_pid_vnr 1 UNMAPPED", self.run_it("--sites")[1])

    def test_call_that_is_gone_is_stale(self) -> None:
        self.write("kernel/sys.c", SYS_C.replace("find_task_by_vpid", "find_task"))
        self.assert_fault("stale: kernel/sys.c: getsid() calls find_task_by_vpid() 0 times, known are 1")

    def test_unknown_row(self) -> None:
        self.change("sites", "1 sid", "1 other")
        self.assert_fault("no such row: other")

    def test_unknown_test(self) -> None:
        self.change("rows", "view.sid", "view.six")
        self.assert_fault("sid: no such test: view.six")

    def test_neither_test_nor_reason(self) -> None:
        self.change("rows", "untested:", "tested:")
        self.assert_fault("inside: no test, and no reason")

    def test_row_without_a_place(self) -> None:
        self.change("rows", "[inside]", "[outside]\nwhat: x\nway: in\nview: y\nuntested: z\n[inside]")
        self.assert_fault("outside: no call site, and no where")

    def test_test_that_is_not_in_the_map(self) -> None:
        self.write(f"{boundary.TESTS}/boundary_test.c", BOUNDARY_TEST + BOUNDARY_TEST.replace("getsid", "more"))
        self.assert_fault("not in the map: boundary.more")

    def test_old_document(self) -> None:
        self.change("rows", "the caller", "the receiver")
        self.assert_fault("is not what --document prints")

    def test_document(self) -> None:
        out = self.run_it("--document")[1]
        self.assertIn("sid\n  getsid(2)\n\n  :way: both\n  :view: the caller\n"
                      "  :where: kernel/sys.c: getsid()\n  :test: boundary.getsid, view.sid\n", out)
        self.assertTrue(all(len(line) <= 80 for line in out.splitlines()))
