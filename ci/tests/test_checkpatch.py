"""What checkpatch says, without what is allowed."""

import unittest

from checkpatch_allowed import left, read_list

OUTPUT = """/p/0001-a.patch:12: WARNING:LONG_LINE: line length of 105 exceeds 100 columns
/p/0001-a.patch:99: ERROR:MISSING_SIGN_OFF: Missing Signed-off-by: line(s)
"""


class Left(unittest.TestCase):
    def test_allowed_by_type_and_patch(self) -> None:
        allowed = read_list("# c\nMISSING_SIGN_OFF\t*\tlater\nLONG_LINE\t0002-*\ttable\n")
        faults = left("0001-a.patch", OUTPUT, allowed)
        self.assertEqual(faults, ["0001-a.patch:12: LONG_LINE: line length of 105 exceeds 100 columns"])

    def test_what_is_not_understood_is_a_fault(self) -> None:
        self.assertEqual(left("p", "Must be run from the top\n", []), ["p: Must be run from the top"])

    def test_reason_is_demanded(self) -> None:
        with self.assertRaises(ValueError):
            read_list("LONG_LINE\t*\n")
