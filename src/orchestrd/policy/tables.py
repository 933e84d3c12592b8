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
