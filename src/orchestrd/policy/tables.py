"""
Tables of names, written as texts: many names are read more easily in lines than one below the other.
"""

from __future__ import annotations

from functools import cache
from typing import TypeVar

_Value = TypeVar("_Value")


@cache
def words(text: str) -> frozenset[str]:
    """
    The words of *text*, as a table.  Each text is taken apart once, so tables may stand where they are used.
    """
    return frozenset(text.split())


def each(text: str, value: _Value) -> dict[str, _Value]:
    """
    *value* for each word of *text*.
    """
    return dict.fromkeys(text.split(), value)


def rows(text: str) -> dict[str, tuple[str, ...]]:
    """
    A table of several columns: each line has names, a colon, and what holds for each of them, separated by commas; a
    line that is indented further than the first goes on with the one before.

    >>> rows("sqlx diesel: migrate run, database drop")["diesel"]
    ('migrate run', 'database drop')
    """
    lines = text.strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    whole: list[str] = []
    for line in lines:
        if not line.strip():
            continue
        if line[indent : indent + 1].isspace():
            whole[-1] += " " + line.strip()
        else:
            whole.append(line.strip())
    found: dict[str, tuple[str, ...]] = {}
    for names, _, items in (line.partition(": ") for line in whole):
        found.update(each(names, tuple(items.split(", "))))
    return found
