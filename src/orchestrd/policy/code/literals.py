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

_QUOTES = r"[\"'`]"
_LITERAL = re.compile(
    _QUOTES
    + r"""
    |%x[\[({<|!]
    |qx[\[({</|!]
    |\bq[qw]?[\[({<|!/]
    |%[wWqQ][\[({<|]
    |\[\[
    """,
    re.VERBOSE,
)
"""How a literal begins: quotes of all kinds, Perl's and Ruby's by letter, Lua's long brackets."""
_STEP = re.compile(_QUOTES + r"|[(\[{]|[)\]}]")
_BODIES = {
    '"': re.compile(r'(?:[^"\\\n]+|\\.)*', re.DOTALL),
    "'": re.compile(r"(?:[^'\\\n]+|\\.)*", re.DOTALL),
    "`": re.compile(r"(?:[^`\\]+|\\.)*", re.DOTALL),
}
_CLOSERS = {
    "%x": re.compile(r"[\])}>|!]"),
    **dict.fromkeys(("qx", "q", "qq", "qw"), re.compile(r"[\])}>/|!]")),
    **dict.fromkeys(("%w", "%W", "%q", "%Q"), re.compile(r"[\])}>|]")),
    "[": re.compile(r"\]\]"),
}
"""What ends a literal that begins so, with one more sign."""
_LONGEST = 2000
"""Characters of one: what ends further away is taken for none."""
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
        return [span for span in _spans(_LITERAL, self.text, line, limit) if self.text[span[0]] in "\"'`"]

    def arguments(self, at: int) -> str:
        """
        What a call is given whose name ends at *at*: in parentheses, or up to the end of the statement.
        """
        text = self.text
        while at < len(text) and text[at] in " \t":
            at += 1
        if text[at : at + 1] not in {"(", "[", "{"}:
            given = text[at : at + 2000]
            after = 0
            for begin, end in [*_spans(_LITERAL, given, 0, len(given)), (len(given), len(given))]:
                if stop := _ENDS.search(given, after, begin):
                    return given[: stop.start()]
                after = end
            return given
        level = 0
        limit = min(len(text), at + _MAX_ARGUMENTS)
        for begin, end in _spans(_STEP, text, at, len(text)):
            if begin >= limit:
                break
            if end - begin > 1:
                limit = max(limit, end)
                continue
            level += 1 if text[begin] in "([{" else -1
            if level == 0:
                return text[at:end]
        return text[at:limit]


def literals(text: str) -> Iterator[str]:
    """
    The literals in *text*, with their quotes.
    """
    for begin, end in _spans(_LITERAL, text, 0, len(text)):
        yield text[begin:end]


def _spans(opening: re.Pattern[str], text: str, at: int, limit: int) -> Iterator[tuple[int, int]]:
    """
    Where what begins as *opening* says begins and ends, between two places of *text*; a single bracket is what it is.

    No sign is looked at again and again, whatever the text is: of one kind of literal that has no end here, the next has
    none either.
    """
    unended: dict[str, int] = {}
    closers: dict[str, re.Match[str] | None] = {}
    while (found := opening.search(text, at, limit)) is not None:
        begin, end = found.span()
        at, sign = begin + 1, found.group()
        if (body := _BODIES.get(sign)) is not None:
            if begin < unended.get(sign, 0):
                continue
            inside = body.match(text, end, limit)
            end = inside.end() if inside is not None else end
            if text[end : min(end + 1, limit)] != sign:
                unended[sign] = end
                continue
            end += 1
        elif (closer := _CLOSERS.get(kind := sign[:-1])) is not None:
            last = closers.get(kind)
            if kind not in closers or (last is not None and last.start() < end):
                last = closers[kind] = closer.search(text, end, limit)
            if last is None or last.start() - end > _LONGEST:
                continue
            end = last.end()
        yield begin, end
        at = end


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
        end = inside.rfind("}") + 1
        inside = _INSERTED.sub(HOLE, inside[:end]) + inside[end:]
    return unescaped(inside) if "\\" in inside else inside


def quoted(text: str) -> str:
    """
    *text* as a literal.
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
