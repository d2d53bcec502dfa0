"""The checks of the series, and series.py's regeneration of it."""

import unittest

import series
from fixture import temporary

PATCH = """From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A U Thor <author@example.com>
Date: Sun, 1 Jan 2006 00:00:00 +0000
Subject: [PATCH] kernel/pid: do it

Because it was not done.

Assisted-by: LLM
---
 kernel/pid.c | 1 +

diff --git a/kernel/pid.c b/kernel/pid.c
index 111111111111..222222222222 100644
--- a/kernel/pid.c
+++ b/kernel/pid.c
@@ -1 +1,2 @@
 one
+two
"""
RUST = """From: A U Thor <author@example.com>
Subject: [PATCH] rust: add it

Reasons.
---
diff --git a/rust/kernel/x.rs b/rust/kernel/x.rs
new file mode 100644
index 000000000000..222222222222
--- /dev/null
+++ b/rust/kernel/x.rs
@@ -0,0 +1,2 @@
+one
+two
diff --git a/rust/kernel/lib.rs b/rust/kernel/lib.rs
index 111111111111..222222222222 100644
--- a/rust/kernel/lib.rs
+++ b/rust/kernel/lib.rs
@@ -5 +5,2 @@
 five
+pub mod x;
"""
CHANGE = """From: A U Thor <author@example.com>
Subject: [PATCH] rust: change it

Reasons.
---
diff --git a/rust/kernel/x.rs b/rust/kernel/x.rs
index 222222222222..333333333333 100644
--- a/rust/kernel/x.rs
+++ b/rust/kernel/x.rs
@@ -1,2 +1,2 @@
 one
-two
+three
"""


class Header(unittest.TestCase):
    def test_good(self) -> None:
        self.assertEqual(series.check_header("p", PATCH), [])

    def test_faults(self) -> None:
        for old, new, fault in (
            ("From: A U Thor <author@example.com>\n", "", "no From"),
            ("[PATCH] kernel/pid: do it", "[PATCH] do it", "subject"),
            ("[PATCH] kernel/pid: do it", "kernel/pid: do it", "subject"),
            ("Because it was not done.\n", "", "no reasons"),
            ("Because it was not done.\n", "Link: https://example.com/\n", "no reasons"),
            ("LLM\n", "LLM\nSigned-off-by: A <a@example.com>\n", "Signed-off-by"),
            ("LLM\n---\n", "LLM\n", "no --- line"),
            ("Assisted-by: LLM\n", "Link: https://example.com/\n", "no Assisted-by"),
        ):
            with self.subTest(fault=fault, new=new):
                self.assertNotEqual(PATCH, PATCH.replace(old, new))
                self.assertIn(fault, " ".join(series.check_header("p", PATCH.replace(old, new))))


class Directory(unittest.TestCase):
    def setUp(self) -> None:
        self.root = temporary(self)
        (self.root / "patches").mkdir()

    def put(self, text: str, **patches: str) -> None:
        (self.root / "series").write_text(text, encoding="utf-8")
        for name, patch in patches.items():
            name = f"{name[1:].replace('_', '-')}.patch"
            (self.root / "patches" / name).write_text(patch, encoding="utf-8")

    def test_agrees(self) -> None:
        self.put("# Preparation\n\n0001-a.patch\n0002-b.patch\n", p0001_a=PATCH, p0002_b=PATCH)
        self.assertEqual(series.check(self.root), [])

    def test_missing_extra_twice_misnumbered(self) -> None:
        for text, fault in (
            ("0001-a.patch\n0002-b.patch\n0003-c.patch\n", "no such file"),
            ("0001-a.patch\n", "patches/0002-b.patch is not in series"),
            ("0001-a.patch\n0002-b.patch\n0002-b.patch\n", "twice"),
            ("0002-b.patch\n0001-a.patch\n", "number 1 of its part"),
        ):
            with self.subTest(fault=fault):
                self.put(text, p0001_a=PATCH, p0002_b=PATCH)
                self.assertIn(fault, " ".join(series.check(self.root)))

    def test_parts(self) -> None:
        for name in ("ahead/0001-a", "series/0001-b"):
            (self.root / "patches" / name).parent.mkdir()
            (self.root / f"patches/{name}.patch").write_text(PATCH, encoding="utf-8")
        self.put("ahead/0001-a.patch\nseries/0001-b.patch\n")
        self.assertEqual(series.check(self.root), [])
        self.assertEqual([e.name for e in series.load(self.root) if e.part == "series"], ["series/0001-b.patch"])
        self.put("series/0001-b.patch\nahead/0001-a.patch\n")
        self.assertIn("in this order", " ".join(series.check(self.root)))
        self.put("ahead/0001-a.patch\n")
        self.assertIn("patches/series/0001-b.patch is not in series", " ".join(series.check(self.root)))

    def test_rust_copies(self) -> None:
        self.put("0001-a.patch\n0002-b.patch\n", p0001_a=RUST, p0002_b=CHANGE)
        copy = self.root / "rust/rust/kernel/x.rs"
        self.assertIn("missing", series.check_rust(self.root)[0])
        copy.parent.mkdir(parents=True)
        copy.write_text("one\nthree\n", encoding="utf-8")
        self.assertEqual(series.check_rust(self.root), [])
        copy.write_text("one\nthree \n", encoding="utf-8")
        self.assertIn("not what the series adds", series.check_rust(self.root)[0])
        copy.write_text("one\nthree\n", encoding="utf-8")
        (copy.parent / "stale.rs").write_text("", encoding="utf-8")
        self.assertIn("in no patch", series.check_rust(self.root)[0])


class Sections(unittest.TestCase):
    def names(self, text: str) -> dict[str, list[str]]:
        entries, _ = series.parse(text)
        return {k: [e.name for e in v] for k, v in series.sections_of(entries).items()}

    def test_a_comment_starts_one(self) -> None:
        text = "# all\n#\n# of it\n\n# A: first\n# more\n1.patch\n2.patch\n\n# B\n3.patch\n"
        self.assertEqual(self.names(text), {"A: first": ["1.patch", "2.patch"], "B": ["3.patch"]})

    def test_without_one(self) -> None:
        self.assertEqual(self.names("# all\n\n1.patch\n# B\n2.patch\n"), {"": ["1.patch"], "B": ["2.patch"]})


class Sweep(unittest.TestCase):
    def test_split(self) -> None:
        entries, _ = series.parse("a.patch\n\n# The sweep: of pids\nb.patch\nc-raw-access.patch\nd.patch\n")
        self.assertEqual([[e.name[0] for e in part] for part in series.sweep(entries)], [["a"], ["b", "c"], ["d"]])

    def test_none(self) -> None:
        with self.assertRaises(SystemExit):
            series.sweep(series.parse("a.patch\n")[0])


class Arrange(unittest.TestCase):
    def test_comments_follow_their_patch(self) -> None:
        old = "# A\n0001-a.patch\n\n# B\n0002-b.patch\n0003-c.patch\n# end\n"
        names = ["0001-new.patch", "0002-a.patch", "0003-b.patch", "0004-c.patch"]
        new = "0001-new.patch\n# A\n0002-a.patch\n\n# B\n0003-b.patch\n0004-c.patch\n# end\n"
        self.assertEqual(series.arrange(old, names), (new, {n: n for n in names}))

    def test_comment_of_a_gone_patch_moves_on(self) -> None:
        old = "# A\n0001-a.patch\n# B\n0002-b.patch\n"
        self.assertEqual(series.arrange(old, ["0001-b.patch"])[0], "# A\n# B\n0001-b.patch\n")

    def test_from_nothing(self) -> None:
        self.assertEqual(series.arrange("", ["0001-a.patch"])[0], "0001-a.patch\n")

    def test_parts(self) -> None:
        old = "# A\nahead/0001-a.patch\n# B\nseries/0001-b.patch\nseries/0002-c.patch\n"
        new = "# A\nahead/0001-a.patch\nahead/0002-new.patch\n# B\nseries/0001-b.patch\nseries/0002-c.patch\n"
        text, called = series.arrange(old, ["0001-a.patch", "0002-new.patch", "0003-b.patch", "0004-c.patch"])
        self.assertEqual(text, new)
        self.assertEqual(called["0004-c.patch"], "series/0002-c.patch")
        with self.assertRaises(SystemExit):
            series.arrange(old, ["0001-b.patch", "0002-a.patch", "0003-c.patch"])
