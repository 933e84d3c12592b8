"""
String literals in languages that are read without a grammar.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

from orchestrd.policy.shell.escapes import unescaped
from orchestrd.policy.shell.marks import HOLE
from orchestrd.policy.tables import words

_QUOTED = r"""\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`"""
_LITERAL = re.compile(
    _QUOTED
    + r"""
    |%x[\[({<|!]([^\])}>|!]{0,2000})[\])}>|!]
    |qx[\[({</|!]([^\])}>/|!]{0,2000})[\])}>/|!]
    |\bq[qw]?[\[({<|!/]([^\])}>|!/]{0,2000})[\])}>|!/]
    |%[wWqQ][\[({<|]([^\])}>|]{0,2000})[\])}>|]
    |\[\[(.{0,2000}?)\]\]
    """,
    re.DOTALL | re.VERBOSE,
)
"""Quotes of all kinds, Perl's and Ruby's by letter, Lua's long brackets."""
_STEP = re.compile(_QUOTED + r"|[(\[{]|[)\]}]", re.DOTALL)
_ENDS = re.compile(r"[;\n]")
_INSERTED = re.compile(r"\$\{[^}]*\}|#\{[^}]*\}")
_LETTERED = words("%x qx %w %W %q %Q qw qq")
_FAR = 400
"""A quote (characters) that ends further away is taken for an apostrophe."""
_MAX_ARGUMENTS = 4000


class Source:
    """
    A program's *text*.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._spans: dict[int, list[tuple[int, int]]] = {}
        """The literals of each line, by its start: where they begin and end."""

    def in_literal(self, place: int) -> bool:
        """
        True when *place* lies inside of a quoted string.
        """
        line = self.text.rfind("\n", 0, place) + 1
        spans = self._spans.get(line)
        if spans is None:
            spans = self._spans[line] = self._quoted(line)
        at = bisect_left(spans, (place, 0)) - 1
        return at >= 0 and place < spans[at][1] <= place + _FAR

    def _quoted(self, line: int) -> list[tuple[int, int]]:
        end = self.text.find("\n", line)
        limit = (len(self.text) if end < 0 else end) + _FAR
        return [one.span() for one in _LITERAL.finditer(self.text, line, limit) if one.group()[0] in "\"'`"]

    def arguments(self, at: int) -> str:
        """
        What a call is given whose name ends at *at*: in parentheses, or up to the end of the statement.
        """
        text = self.text
        while at < len(text) and text[at] in " \t":
            at += 1
        if text[at : at + 1] not in {"(", "[", "{"}:
            bare = _LITERAL.sub(lambda one: "x" * len(one.group()), text[at : at + 2000])
            stop = _ENDS.search(bare)
            return text[at : at + stop.start()] if stop else text[at : at + 2000]
        level = 0
        limit = min(len(text), at + _MAX_ARGUMENTS)
        for step in _STEP.finditer(text, at):
            if step.start() >= limit:
                break
            if step.end() - step.start() > 1:
                limit = max(limit, step.end()) if step.end() >= limit else limit
                continue
            level += 1 if step.group() in "([{" else -1
            if level == 0:
                return text[at : step.end()]
        return text[at:limit]


def literals(text: str) -> Iterator[str]:
    """
    The literals in *text*, with their quotes.
    """
    for one in _LITERAL.finditer(text):
        yield one.group()


def content(literal: str) -> str:
    """
    What a *literal* says: its escapes are replaced, and what is inserted is a hole.
    """
    if literal[:2] in _LETTERED:
        return literal[3:-1]
    if literal.startswith("[["):
        return literal[2:-2]
    if literal[:1] == "q" and not literal[1:2].isalnum():
        return literal[2:-1]
    inside = literal[1:-1]
    if literal[0] in '"`':
        inside = _INSERTED.sub(HOLE, inside)
    return unescaped(inside) if "\\" in inside else inside


def quoted(text: str) -> str:
    """
    *text* as a literal.
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
