"""
YAML as a tree in which every value knows its line and column, read from bytes nobody vouches for.

Only the *shape* of YAML is used: mappings, lists and the literal text of scalars.  Nothing is resolved, so ``001`` is
never an octal number, ``yes`` never a boolean, ``14:30`` never a base-60 integer, and no tag can build an object.  The
parser's events are read one at a time and never through ``yaml.compose``: libyaml's composer recurses in C without a
limit, so deep nesting would end the process, while an event stream can be left at the first value that is too deep.

What a file may hold is bounded (``MAX_DEPTH``, ``MAX_NODES``), with aliases counted as if they were written out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from orchestrd.domain.taskfile.yamltext import Flaw, UnreadableYaml, decode, refuse, shown, syntax_flaw

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 20
MAX_NODES = 20_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "<<"
_PLAIN_TAGS = {"!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_CONTROL = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\ufffe\\uffff]")
"""Characters an escape in double quotes can still bring in."""
_NULLS = {"", "~", "null", "Null", "NULL"}


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where a value begins, 1-based, and *end*, the first (line, column) after it.

    *size* counts it and all below it, and *height* the levels below it, both with aliases written out.
    """

    line: int
    column: int
    end: tuple[int, int]
    size: int = 1
    height: int = 0


class Scalar(Node, frozen=True, kw_only=True):
    """
    One value's literal *text*; *plain* when it stood without quotes.
    """

    text: str
    plain: bool

    @property
    def null(self) -> bool:
        """
        True for nothing after the colon, ``~`` and ``null``.
        """
        return self.plain and self.text in _NULLS


class Sequence(Node, frozen=True, kw_only=True):
    """
    A list.
    """

    items: tuple[Node, ...]


class Mapping(Node, frozen=True, kw_only=True):
    """
    Keys and values, in the order of the file and without duplicates.
    """

    pairs: tuple[tuple[Scalar, Node], ...]


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """
    A document; *root* is None when it holds nothing.  *flaws* are the ones that leave the rest readable.
    """

    root: Node | None
    flaws: tuple[Flaw, ...] = ()


def read_tree(data: bytes) -> Tree:
    """
    The one YAML document in *data*, UTF-8 with or without a byte order mark.

    Raises `UnreadableYaml` for what ends the reading; everything else that is wrong is in the tree's flaws.
    """
    text = decode(data)
    builder = _Builder(text)
    try:
        return builder.tree()
    except yaml.YAMLError as error:
        raise UnreadableYaml(syntax_flaw(error, text)) from error


class _Builder:
    """
    Makes nodes of parser events, bottom up; recursion ends at `MAX_DEPTH`.
    """

    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=_LOADER))
        self._anchors: dict[str, Node | None] = {}
        self._flaws: list[Flaw] = []
        self._count = 0

    def tree(self) -> Tree:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    line, column = _start(event)
                    refuse(line, column, "a second document begins here; a task file holds one (remove this '---')")
                root = self._node(next(self._events), 1)
        if isinstance(root, Scalar) and root.null:
            root = None
        return Tree(root=root, flaws=tuple(self._flaws))

    def _node(self, event: Any, depth: int) -> Node:
        line, column = _start(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        self._counted(1, line, column)
        if depth > MAX_DEPTH:
            refuse(line, column, f"nested deeper than {MAX_DEPTH} levels")
        if event.tag is not None and event.tag not in _PLAIN_TAGS:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._flaw(event, f"tag {shown(tag)} is not allowed; remove it")
        if event.anchor is not None:
            # Until the node is whole, an alias to it would be a loop.
            self._anchors[event.anchor] = None
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any, depth: int) -> Node:
        line, column = _start(event)
        if event.anchor not in self._anchors:
            advice = "a value that begins with '*' must be in quotes"
            refuse(line, column, f"no anchor {shown('&' + event.anchor)} before this alias; {advice}")
        node = self._anchors[event.anchor]
        if node is None:
            refuse(line, column, f"alias {shown('*' + event.anchor)} holds itself")
        self._counted(node.size, line, column)
        if depth + node.height > MAX_DEPTH:
            refuse(line, column, f"nested deeper than {MAX_DEPTH} levels")
        return node

    def _scalar(self, event: Any) -> Scalar:
        line, column = _start(event)
        if found := _CONTROL.search(event.value):
            self._flaw(event, f"control character U+{ord(found[0]):04X} in a value; remove it")
        return Scalar(
            line=line,
            column=column,
            end=_end(event),
            text=_CONTROL.sub("\ufffd", event.value),
            plain=not event.style and event.tag is None,
        )

    def _sequence(self, event: Any, depth: int) -> Sequence:
        line, column = _start(event)
        items: list[Node] = []
        while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(inner, depth + 1))
        return Sequence(
            line=line,
            column=column,
            end=_end(inner),
            size=1 + sum(item.size for item in items),
            height=1 + max((item.height for item in items), default=0),
            items=tuple(items),
        )

    def _mapping(self, event: Any, depth: int) -> Mapping:
        line, column = _start(event)
        pairs: dict[str, tuple[Scalar, Node]] = {}
        size, height = 1, 0
        while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
            key = self._node(inner, depth + 1)
            value = self._node(next(self._events), depth + 1)
            size += key.size + value.size
            height = max(height, key.height, value.height)
            if not isinstance(key, Scalar):
                self._flaw(inner, "a key must be plain text; quote a value that begins with '[', '{' or '?'")
            elif key.plain and key.text == _MERGE:
                self._flaw(inner, "merge keys are not supported; write the fields out", _MERGE)
            elif key.text in pairs:
                first = pairs[key.text][0].line
                self._flaw(inner, f"duplicate key; it is already on line {first}", key.text)
            else:
                pairs[key.text] = (key, value)
        return Mapping(
            line=line, column=column, end=_end(inner), size=size, height=1 + height, pairs=tuple(pairs.values())
        )

    def _counted(self, nodes: int, line: int, column: int) -> None:
        self._count += nodes
        if self._count > MAX_NODES:
            refuse(line, column, f"more than {MAX_NODES} values, with aliases written out")

    def _flaw(self, event: Any, message: str, key: str | None = None) -> None:
        line, column = _start(event)
        self._flaws.append(Flaw(line=line, column=column, message=message, key=key))


def _start(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _end(event: Any) -> tuple[int, int]:
    return event.end_mark.line + 1, event.end_mark.column + 1
