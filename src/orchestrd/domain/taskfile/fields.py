"""
The values of a task file's fields: one reader for each kind, from a node of the file to the value the program uses.

A reader returns None after saying what is wrong at its `Spot`; it never raises for what a person wrote.  Values are read
from the literal text, quoted or not: ``id: 001`` is ``001`` and ``name: yes`` is ``yes``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping as MappingOf
from enum import StrEnum
from typing import TypeVar

from orchestrd.domain.model import Complexity
from orchestrd.domain.taskfile.paths import INVISIBLE, MAX_PATH, BadPath, relative_path
from orchestrd.domain.taskfile.problems import Spot
from orchestrd.domain.taskfile.yamltext import MAX_BYTES, shown
from orchestrd.domain.taskfile.yamltree import Mapping, Node, Scalar, Sequence

MAX_DESCRIPTION = 100 * 1024
MAX_NAME = 300
MAX_VALUE = 200
MAX_LINE = 2000
MAX_COMMAND = 10_000
AGENTS = ("claude",)
_OTHER_AGENTS = {"codex", "gemini", "opencode", "aider", "amp", "copilot", "cursor", "goose", "qwen"}

MODEL = re.compile(r"[A-Za-z0-9._:/@\[\]][A-Za-z0-9._:/@\[\]-]{0,199}")
_FIRST_WORD = re.compile(r"\W*([^\W\d_]+)")

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
Reader = Callable[[Node, Spot], T | None]


def literal(node: Node, spot: Spot, limit: int = MAX_VALUE) -> str | None:
    """
    The stripped text of a value that must be a single one, of at most *limit* characters.
    """
    if not isinstance(node, Scalar):
        kind = "a list" if isinstance(node, Sequence) else "a mapping; put a text that holds ': ' in quotes"
        spot.say(node, f"expected a single value, found {kind}")
        return None
    text = node.text.strip()
    if len(text) > limit:
        spot.say(node, f"has {len(text)} characters; at most {limit} are allowed")
        return None
    return text


def line(node: Node, spot: Spot, limit: int = MAX_NAME) -> str | None:
    """
    A text on one line, not blank, of at most *limit* characters.
    """
    text = literal(node, spot, limit)
    if text is None:
        return None
    if is_blank(node):
        spot.say(node, "is empty; expected some text")
    elif len(text.splitlines()) > 1:
        spot.say(node, "expected one line of text, found several")
    elif INVISIBLE.search(text):
        spot.say(node, "holds invisible characters; write plain text")
    else:
        return text
    return None


def block(node: Node, spot: Spot, limit: int = MAX_DESCRIPTION) -> str | None:
    """
    A text of any number of lines, not blank, of at most *limit* bytes; blank lines around it are dropped.
    """
    if literal(node, spot, MAX_BYTES) is None or not isinstance(node, Scalar):
        return None
    if is_blank(node):
        spot.say(node, "is empty; expected some text")
        return None
    size = len(node.text.encode("utf-8", "replace"))
    if size > limit:
        spot.say(node, f"has {size} bytes; at most {limit} are allowed")
        return None
    return node.text.strip("\n").rstrip()


def choice(kind: type[E], also: MappingOf[str, str] | None = None) -> Reader[E]:
    """
    A reader of one word of *kind*, in any case; *also* maps what people write instead to what to suggest.
    """

    def read(node: Node, spot: Spot) -> E | None:
        text = literal(node, spot)
        if text is None:
            return None
        try:
            return kind(text.casefold())
        except ValueError:
            other = (also or {}).get(text.casefold())
            hint = f"; did you mean {other!r}?" if other else spot.nearest(text, list(kind))
            spot.say(node, f"expected {_either(list(kind))}, found {shown(text)}{hint}")
            return None

    return read


def complexity(node: Node, spot: Spot) -> Complexity | None:
    """
    The first of several words, in any case: ``medium (2.5 hours)`` is medium and ``low|medium|high`` is low.
    """
    text = literal(node, spot)
    if text is None:
        return None
    first = _FIRST_WORD.match(text)
    word = first[1].casefold() if first else ""
    try:
        return Complexity(word)
    except ValueError:
        later = next((known for known in Complexity if known in text.casefold().split()), None)
        hint = f"; did you mean {str(later)!r}?" if later else spot.nearest(word, list(Complexity))
        spot.say(node, f"expected {_either(list(Complexity))} as the first word, found {shown(text)}{hint}")
        return None


def model(node: Node, spot: Spot) -> str | None:
    """
    A model's name or alias.  It becomes an argument of the agent's command line, so it may not begin with ``-``.
    """
    text = literal(node, spot)
    if text is None or MODEL.fullmatch(text):
        return text
    spot.say(node, f"expected a model's name, such as opus or claude-sonnet-4-5, found {shown(text)}")
    return None


def agent(node: Node, spot: Spot) -> str | None:
    """
    The program that does the work.
    """
    text = literal(node, spot)
    if text is None or text in AGENTS:
        return text
    if text.casefold() in _OTHER_AGENTS:
        spot.say(node, f"agent {text!r} is not supported by this version; only {_either(AGENTS)}")
    else:
        spot.say(node, f"expected {_either(AGENTS)}, found {shown(text)}{spot.nearest(text, AGENTS)}")
    return None


def path(node: Node, spot: Spot) -> str | None:
    """
    A file, folder or glob of the project, in one spelling.
    """
    if isinstance(node, Mapping):
        spot.say(node, "expected a path, found a mapping; put a path that holds ': ' in quotes")
        return None
    text = literal(node, spot, MAX_PATH)
    if text is None:
        return None
    try:
        return relative_path("" if is_blank(node) else text)
    except BadPath as error:
        spot.say(node, f"{shown(text)}: {error}")
        return None


def each(node: Node, spot: Spot, reader: Reader[T], limit: int) -> list[tuple[Node, T]]:
    """
    What *reader* makes of each entry of a list, or of a single value; what it refused is left out.
    """
    if not isinstance(node, Sequence):
        entries: tuple[tuple[Node, Spot], ...] = ((node, spot),)
    else:
        entries = tuple((item, spot.at(index)) for index, item in enumerate(node.items))
    if len(entries) > limit:
        spot.say(node, f"has {len(entries)} entries; at most {limit} are allowed")
        return []
    values = ((item, reader(item, inner)) for item, inner in entries)
    return [(item, value) for item, value in values if value is not None]


def _either(names: list[E] | tuple[str, ...]) -> str:
    *most, last = [str(name) for name in names]
    return f"{', '.join(most)} or {last}" if most else f"'{last}'"


def is_blank(node: Node) -> bool:
    """
    True for a value that says nothing: left out, ``null``, or only spaces.
    """
    return isinstance(node, Scalar) and (node.null or not node.text.strip())
