"""
Functions of Python's that are handed on and not called: whoever has one may call it with anything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from orchestrd.policy.code import pythoncalls as known
from orchestrd.policy.code.acts import Act
from orchestrd.policy.code.constants import Constants

_SINKS = known.RUNS_TEXT | known.RUNS | known.DELETES | known.MOVES | known.LINKS
_METHODS = frozenset({"pathlib.Path.unlink", "pathlib.Path.rmdir", "pathlib.Path.rename", "pathlib.Path.replace"})
_INSPECTS = frozenset(
    {"isinstance", "issubclass", "hasattr", "callable", "print", "type", "id", "repr", "str", "signature"}
)
"""Calls that only look at what they are given."""
_TYPES = frozenset({"subprocess.Popen"})
"""What is named as a type as well."""


def handed_on(nodes: Iterable[ast.AST], constants: Constants) -> Iterator[Act]:
    """
    The functions that run or delete something among the arguments and the items of lists; with `map` and its like, what they are given.
    """
    for node in nodes:
        if isinstance(node, ast.Call):
            last = (constants.dotted(node.func) or "").rsplit(".", 1)[-1]
            if last in _INSPECTS or last.startswith(("patch", "setattr", "mock")):
                continue
            given = [*node.args, *(one.value for one in node.keywords)]
            for sink in _sinks(given, constants):
                yield from _deeds(sink, [constants.value(one) for one in given])
        elif isinstance(node, ast.List | ast.Tuple | ast.Set):
            for sink in _sinks(node.elts, constants):
                if sink not in _TYPES:
                    yield _unknown(sink)
        elif isinstance(node, ast.Dict):
            for sink in _sinks(node.values, constants):
                yield _unknown(sink)


def _sinks(nodes: list[ast.expr] | list[ast.expr | None], constants: Constants) -> Iterator[str]:
    for one in nodes:
        if isinstance(one, ast.Attribute | ast.Name):
            name = constants.dotted(one)
            if name in _SINKS or name in _METHODS:
                yield name


def _deeds(sink: str, given: list[object]) -> Iterator[Act]:
    """
    What *sink* would do with each item of the lists and with the texts among what is *given* beside it.
    """
    items = [
        item for one in given for item in (one if isinstance(one, list) else [one]) if isinstance(item, str | list)
    ]
    if sink in known.DELETES:
        yield from (Act("delete", item) for item in items if isinstance(item, str))
    elif sink in known.RUNS_TEXT | known.RUNS:
        yield from (Act("argv" if isinstance(item, list) else "text", item) for item in items)
    if not items:
        yield _unknown(sink)


def _unknown(sink: str) -> Act:
    return Act("opaque", f"what {sink} would be given is only known when it runs")
