"""Of scripts/options.py: what ci/options says becomes what is asked of the kernel."""

from __future__ import annotations

import unittest

import options


class Rows(unittest.TestCase):
    def test_changes_apply_to_the_least(self) -> None:
        rows = options.rows("# no\n\nfew  SMP A=y B=12\n")
        self.assertEqual(list(rows), ["few"])
        self.assertEqual(rows["few"]["SMP"], "n")
        self.assertEqual(rows["few"]["A"], "y")
        self.assertEqual(rows["few"]["B"], "12")
        self.assertEqual(rows["few"]["PIDSPACE"], "y")
        self.assertNotIn("SYSCTL", rows["few"])

    def test_plus_starts_from_base(self) -> None:
        row = options.rows("more + SYSCTL\n")["more"]
        self.assertEqual(row["SYSCTL"], "n")
        self.assertEqual(row["KUNIT"], "y")
        self.assertEqual(row["WERROR"], "y")

    def test_fragment(self) -> None:
        self.assertEqual(options.fragment({"A": "y", "B": "n", "C": "12"}),
                         "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=12\n")

    def test_what_did_not_stick_is_named(self) -> None:
        config = {"A": "y", "B": "n", "C": "12"}
        self.assertEqual(options.lost(config, "CONFIG_A=y\nCONFIG_C=12\n", {"A", "B", "C"}), [])
        self.assertEqual(options.lost(config, "CONFIG_B=y\nCONFIG_C=13\n", {"A", "B", "C"}),
                         ["A", "B", "C"])

    def test_every_row_of_the_list_changes_something(self) -> None:
        text = (options.ROOT / "ci/options").read_text()
        for name in options.rows(text):
            self.assertTrue(options.changes_of(name), name)


if __name__ == "__main__":
    unittest.main()
