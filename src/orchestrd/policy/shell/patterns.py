"""
Patterns, as a shell has them in names and values: ``*``, ``?`` and ``[…]``.

A pattern is read in one go, and no further than a text can be long that it is held against: who writes one of 50,000 signs means no
file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_PIECE = re.compile(r"(\*+)|(\?)|(\[)|([^*?\[]+)")
_BRACKET = re.compile(r"\[([!^]?+)(\]?+(?:\[:[a-z]*:\]|\[=.=\]|\[\..\.\]|[^\]])*)\]", re.DOTALL)
_MEMBER = re.compile(r"\[:([a-z]*):\]|\[[=.](.)[=.]\]|(.)-(.)|(.)", re.DOTALL)
_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "blank": " \t",
    "word": r"\w",
    "xdigit": "0-9a-fA-F",
    "punct": "!-/:-@\\[-`{-~",
    "graph": "!-~",
    "print": " -~",
}
_NOTHING = "(?!)"


def expression(pattern: str, longest: int) -> str:
    """
    The regular expression that matches the texts of at most *longest* characters which a shell's *pattern* does.
    """
    runs, least = [""], 0  # what stands between the stars
    at, closes = 0, True
    while at < len(pattern):
        match = _PIECE.match(pattern, at)
        assert match is not None
        at = match.end()
        stars, mark, opening, literal = match.groups()
        if stars:
            runs.append("")
            continue
        closes = closes and (not opening or pattern.find("]", at) >= 0)
        bracket = _BRACKET.match(pattern, at - 1) if opening and closes else None
        least += len(literal) if literal else 1
        if least > longest:
            return _NOTHING
        if bracket is not None:
            at = bracket.end()
            runs[-1] += _one_of(bracket.group(2), other=bool(bracket.group(1)))
        else:
            runs[-1] += "." if mark else re.escape(literal or "[")
    first, *others = runs
    if not others:
        return first
    # What stands between two stars is looked for once: should the rest not match, it does not behind a later place either.
    return first + "".join(f"(?>.*?{one})" for one in others[:-1] if one) + ".*" + others[-1]


def _one_of(inside: str, *, other: bool) -> str:
    """
    The regular expression of ``[…]``: one of the signs *inside*, or any *other*.
    """
    members = set()
    for name, named, low, high, sign in _MEMBER.findall(inside):
        if low:
            members.add(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "")
        else:
            members.add(re.escape(named or sign) if named or sign else _CLASSES.get(name, ""))
    signs = "".join(sorted(members))
    if not signs:
        return "." if other else _NOTHING
    return f"[{'^' if other else ''}{signs}]"


def fitting(names: Iterable[str], pattern: str) -> list[str]:
    """
    Those of *names* that a shell's *pattern* matches.

    >>> fitting([".env", ".git"], ".[^a-f[:digit:]]*")
    ['.git']
    """
    known = list(names)
    fits = re.compile(expression(pattern, max(map(len, known), default=0)), re.DOTALL)
    return [name for name in known if fits.fullmatch(name)]
