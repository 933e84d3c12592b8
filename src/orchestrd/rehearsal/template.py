"""
Variables in a scenario's strings: ``{tree}``, ``{cwd}``, ``{now+3600}``.  Pure.

Only the names of known variables are replaced, once and from left to right; every other brace stays as it is, so code and
JSON need no escapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from orchestrd.errors import RequestError

BUILT_IN = frozenset({"cwd", "session", "model", "now", "n"})

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)([+-]\d{1,9})?\}")

T = TypeVar("T")


def fill(text: str, values: Mapping[str, str | None], now: int) -> str:
    """
    *text* with its variables replaced; *now* is wall seconds, and ``{now+60}`` a minute later.

    Raises `RequestError` for a variable that is known and has no value.
    """

    def replace(found: re.Match[str]) -> str:
        name, offset = found[1], found[2]
        if name == "now":
            return str(now + int(offset or 0))
        if offset or name not in values:
            return found[0]
        value = values[name]
        if value is None:
            raise RequestError(f"rehearsal: the variable {{{name}}} is not in the first user message")
        return value

    return _NAME.sub(replace, text)


def fill_all(value: T, values: Mapping[str, str | None], now: int) -> T:
    """
    `fill` for every string inside *value*, keys of mappings included.
    """
    if isinstance(value, str):
        return fill(value, values, now)  # type: ignore[return-value]
    if isinstance(value, dict):
        return {fill_all(key, values, now): fill_all(item, values, now) for key, item in value.items()}  # type: ignore[return-value]
    if isinstance(value, list):
        return [fill_all(item, values, now) for item in value]  # type: ignore[return-value]
    return value
