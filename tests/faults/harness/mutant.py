"""
Seeded bugs: a fault test counts only after it has failed on one.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

FAULTS = Path(__file__).parents[1]
SOURCE = FAULTS.parents[1] / "src"


class Mutant(NamedTuple):
    """
    A bug that *test*, in the module that declares it, must find: *old*, which is in *file* (below ``src/orchestrd``) exactly
    once, becomes *new*.
    """

    what: str
    file: str
    old: str
    new: str
    test: str

    def mutated(self, source: Path = SOURCE) -> str:
        """
        The text of *file* with the bug.

        Raises `ValueError` when *old* is not there exactly once, or changes nothing.
        """
        text = (source / "orchestrd" / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1 or self.old == self.new:
            raise ValueError(f"{self.what}: the text to replace is {text.count(self.old)} times in {self.file}")
        return text.replace(self.old, self.new)

    def plant(self, folder: Path) -> Path:
        """
        A copy of the program with the bug in *folder*; gives what ``PYTHONPATH`` must be.
        """
        copy = folder / "src"
        shutil.copytree(SOURCE, copy)
        (copy / "orchestrd" / self.file).write_text(self.mutated(), encoding="utf-8")
        return copy


def modules() -> list[Path]:
    """
    The fault tests' files.
    """
    return sorted(path for path in FAULTS.glob("test_*.py") if "MUTANTS = (" in path.read_text(encoding="utf-8"))


def files_of(rows: Iterable[str]) -> list[Path]:
    """
    The fault tests' files of *rows* of the fault table, such as F07 or F7, or of tests, such as hostile_rundir; all when none
    is named.

    Raises `ValueError` for one that has no seeded bugs.
    """
    paths = {row: _named(row) for row in rows}
    unknown = [row for row, found in paths.items() if not found]
    if unknown:
        known = sorted({path.stem.removeprefix("test_") for path in modules()})
        raise ValueError(f"no seeded bugs of {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = {path for found in paths.values() for path in found}
    return [path for path in modules() if not paths or path in chosen]


def _named(row: str) -> list[Path]:
    name = re.sub(r"^f(\d)(?!\d)", r"f0\1", row.lower())
    return [path for path in modules() if f"{path.stem}_".startswith(f"test_{name}_")]


def declared(path: Path) -> tuple[Mutant, ...]:
    """
    The mutants of a test module.
    """
    spec = importlib.util.spec_from_file_location(f"mutants_of_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return tuple(getattr(module, "MUTANTS", ()))
