"""
The syntax tree of a Python program, read once however many look at it.
"""

from __future__ import annotations

import ast
import warnings
from functools import lru_cache
from typing import NamedTuple

MAX_CODE = 50_000
"""A longer program (characters) is not read."""
_KEPT = 4
"""Programs whose trees are remembered: those of one command line."""


class Program(NamedTuple):
    """
    A *tree*, and all its *nodes* as `ast.walk` gives them, without those that only say how a name is used.
    """

    tree: ast.Module
    nodes: tuple[ast.AST, ...]


@lru_cache(_KEPT)
def program(text: str) -> Program | None:
    """
    The program *text*, whose tree nobody may change; None when it is no Python, or too long.
    """
    if len(text) > MAX_CODE:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return Program(tree, _nodes(tree))


def _nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    found: list[ast.AST] = [tree]
    for node in found:
        for name in node._fields:
            if name == "ctx":
                continue
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                found.append(value)
            elif isinstance(value, list):
                found += [one for one in value if isinstance(one, ast.AST)]
    return tuple(found)
