"""What several tests stand on."""

import tempfile
import unittest
from pathlib import Path

import kbuild


def temporary(test: unittest.TestCase) -> Path:
    """An empty directory, which goes with the test."""
    directory = tempfile.TemporaryDirectory()
    test.addCleanup(directory.cleanup)
    return Path(directory.name).resolve()


class SourceTree(unittest.TestCase):
    """A kernel tree that has only what a test writes into it."""

    def setUp(self) -> None:
        self.tree = temporary(self)
        for where in kbuild.EVERYWHERE:
            (self.tree / where).mkdir()

    def write(self, name: str, text: str) -> None:
        (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
        (self.tree / name).write_text(text)
