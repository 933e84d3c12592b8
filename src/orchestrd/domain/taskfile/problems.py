"""
What is wrong with a task file: every problem at once, each with its place, and the nearest valid name.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import msgspec

from orchestrd.domain.taskfile.yamltext import shown
from orchestrd.domain.taskfile.yamltree import Node
from orchestrd.errors import InvalidTaskFile

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_SHOWN = 50
_MAX_SUGGESTIONS = 4 * MAX_SHOWN
"""difflib takes 0.1 ms a name; nobody sees the suggestions of a file with more problems than this."""
_MAX_WORD = 64
_NAME = re.compile(r"[\w .()$@/-]{1,64}")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """
    One thing to mend: 1-based *line* and *column* in *source*, the id of the *task* and the *field* when known.

    As text it reads as a compiler's: ``tasks/2026-11-22.yaml:12:5: task-001: timeout: expected ...``.
    """

    source: str
    line: int
    column: int
    message: str
    task: str | None = None
    field: str | None = None

    def __str__(self) -> str:
        parts = (f"{self.source}:{self.line}:{self.column}", self.task, self.field, self.message)
        return ": ".join(part for part in parts if part)


class TaskFileProblems(InvalidTaskFile):
    """
    A task file with *problems*, all of them in the order of the file; the message shows the first `MAX_SHOWN`.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[:MAX_SHOWN]]
        if more := len(self.problems) - MAX_SHOWN:
            lines += [f"… and {more} more"] if more > 0 else []
        super().__init__("\n".join(lines))


class Problems:
    """
    Gathers the problems of one *source*.
    """

    def __init__(self, source: str) -> None:
        self._source = _one_line(source)
        self._found: dict[tuple[int, int, str | None, str | None, str], Problem] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, line: int, column: int, message: str, *, task: str | None = None, field: str | None = None) -> None:
        """
        Note a problem; the same one at the same place, met again through an alias, counts once.
        """
        problem = Problem(
            source=self._source, line=line, column=column, message=_one_line(message), task=task, field=field
        )
        self._found.setdefault((line, column, task, field, message), problem)

    def nearest(self, word: str, names: Iterable[str]) -> str:
        """
        ``; did you mean 'name'?`` for the name most like *word*, or nothing.
        """
        if len(self) > _MAX_SUGGESTIONS or len(word) > _MAX_WORD:
            return ""
        known = {name.casefold(): str(name) for name in names}
        found = difflib.get_close_matches(word.casefold(), known, n=1, cutoff=0.6)
        return f"; did you mean {known[found[0]]!r}?" if found else ""

    def check(self) -> None:
        """
        Raise `TaskFileProblems` when there is any problem.
        """
        if self._found:
            raise TaskFileProblems(sorted(self._found.values(), key=lambda problem: (problem.line, problem.column)))


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where a reader is: in which *task* and *field*; problems it finds go to *problems* under these names.
    """

    problems: Problems
    task: str | None = None
    field: str | None = None

    def within(self, field: str) -> Spot:
        """
        The spot of a field below this one: ``checks[0]`` and ``run`` give ``checks[0].run``.
        """
        name = field if _NAME.fullmatch(field) else shown(field)
        return self._named(name if self.field is None else f"{self.field}.{name}")

    def at(self, index: int) -> Spot:
        """
        The spot of an entry of this list: ``checks[0]``.
        """
        return self._named(f"{self.field}[{index}]")

    def _named(self, field: str) -> Spot:
        return Spot(problems=self.problems, task=self.task, field=field)

    def say(self, node: Node, message: str) -> None:
        """
        Note a problem with the value *node*.
        """
        self.problems.add(node.line, node.column, message, task=self.task, field=self.field)

    def nearest(self, word: str, names: Iterable[str]) -> str:
        """
        See `Problems.nearest`.
        """
        return self.problems.nearest(word, names)


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
