"""
The text of a YAML file: how bytes become characters, and what the parser's complaints mean to the person who wrote it.

Directives are refused because libyaml 0.2.5 compares every ``%TAG`` with all earlier ones: a megabyte of them takes
seven seconds.
"""

from __future__ import annotations

import re
from typing import NoReturn

import msgspec
import yaml

MAX_BYTES = 1024 * 1024
_UNREADABLE = re.compile("[^\\t\\n\\r -~\\x85\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""Characters YAML 1.1 does not allow in a stream."""
_WIDE = re.compile(rb"\xff\xfe|\xfe\xff|\0\0\xfe\xff|[^\0]\0[^\0]\0|\0[^\0]\0[^\0]|[^\0]\0\0\0|\0\0\0[^\0]")
"""How UTF-16 and UTF-32 begin, with or without a byte order mark."""
_DIRECTIVE = re.compile("(?:\\A|[\\r\\n\\x85\\u2028\\u2029])\\ufeff?(%)")

_ADVICE = (
    ("unknown escape character", "unknown escape; write \\\\ for a backslash, or use single quotes"),
    ("mapping values are not allowed", "a second ': ' in one line; put the value that holds a colon in quotes"),
    ("while scanning an alias", "a value that begins with '*' must be in quotes"),
    ("while scanning an anchor", "a value that begins with '&' must be in quotes"),
    ("undefined alias", "no such anchor; a value that begins with '*' must be in quotes"),
    ("while scanning a quoted scalar", "this quote is never closed, or holds an escape YAML does not know"),
    ("expected ',' or ']'", "this '[' list is not closed, or a ',' is missing; quote a value that begins with '['"),
    ("expected ',' or '}'", "this '{' mapping is not closed, or a ',' is missing; quote a value that begins with '{'"),
    ("expected '-' indicator", "wrong indentation, text after a closing quote or bracket, or a '- ' is missing"),
    ("expected <block end>", "wrong indentation, or text after a closing quote or bracket"),
    ("did not find expected key", "wrong indentation, or text after a closing quote or bracket"),
    ("could not find expected ':'", "expected 'name: value'; the ':' is missing"),
    ("undefined tag handle", "unknown tag; a value that begins with '!' must be in quotes"),
    ("while scanning a tag", "a value that begins with '!' must be in quotes"),
    ("while scanning a block scalar", "after '|' or '>' the text begins on the next line, indented with spaces"),
)
"""What libyaml and PyYAML say, and what the person has to do; first match wins."""
_AT_OPENING = (
    "while scanning a quoted scalar",
    "while parsing a flow",
    "while scanning an alias",
    "while scanning an anchor",
)
"""Here the opening quote, bracket or sign is the useful place, not where the parser gave up."""


class Flaw(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something wrong at a place: 1-based *line* and *column*, and the *key* it is about when that is known.
    """

    line: int
    column: int
    message: str
    key: str | None = None


class UnreadableYaml(ValueError):
    """
    Not a single bounded YAML document; *flaw* says where and why.
    """

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.message)
        self.flaw = flaw


def shown(text: str, limit: int = 60) -> str:
    """
    *text* in quotes on one line, cut to *limit* characters, safe to print.
    """
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


def refuse(line: int, column: int, message: str) -> NoReturn:
    """
    Raise `UnreadableYaml` with a flaw at a place.
    """
    raise UnreadableYaml(Flaw(line=line, column=column, message=message))


def decode(data: bytes) -> str:
    """
    The text of a file that may be read as YAML, without a byte order mark.

    Raises `UnreadableYaml` for more than `MAX_BYTES`, another encoding than UTF-8, control characters and directives.
    """
    if len(data) > MAX_BYTES:
        refuse(1, 1, f"the file has more than {MAX_BYTES} bytes, and no more are read")
    if _WIDE.match(data):
        refuse(1, 1, "the file is UTF-16 or UTF-32; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # `utf-8-sig` counts from after the byte order mark.
        bad = error.object[error.start]
        line, column = _place(error.object[: error.start].decode("utf-8", "replace"))
        refuse(line, column, f"byte 0x{bad:02x} is not UTF-8; save the file as UTF-8")
    if found := _UNREADABLE.search(text):
        line, column = _place(text[: found.start()])
        refuse(line, column, f"control character U+{ord(found[0]):04X}; a task file is plain text")
    if found := _DIRECTIVE.search(text):
        line, column = _place(text[: found.start(1)])
        refuse(line, column, "a line may not begin with '%': YAML directives are not supported; remove or indent it")
    return text


def _place(before: str) -> tuple[int, int]:
    """
    The 1-based line and column right after the text *before*.
    """
    before = before.replace("\r\n", "\n").replace("\r", "\n")
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def syntax_flaw(error: yaml.YAMLError, text: str) -> Flaw:
    """
    What the parser said about *text*, in words that tell what to do.
    """
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    context = getattr(error, "context", None) or ""
    said = f"{context}: {problem}"
    mark = getattr(error, "problem_mark", None)
    if any(opening in context for opening in _AT_OPENING):
        mark = getattr(error, "context_mark", None) or mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    advice = next((advice for words, advice in _ADVICE if words in said), None)
    if "cannot start any token" in said:
        lines = text.splitlines()
        character = lines[line - 1][column - 1 : column] if line <= len(lines) else ""
        advice = (
            "a tab; indent with spaces"
            if character == "\t"
            else f"put a value that begins with {character!r} in quotes"
        )
    return Flaw(line=line, column=column, message=f"not YAML: {advice or problem}")
