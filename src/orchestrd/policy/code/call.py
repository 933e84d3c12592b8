"""
One call in a Python program, as far as it can be read.
"""

from __future__ import annotations

import ast
from typing import NamedTuple


class Call(NamedTuple):
    """
    A call: its full *name* (empty when that is not known), the *last* part of it, and its arguments as far as they are
    literal; *first* is the first one, or the one that names a command.
    """

    node: ast.Call
    name: str
    last: str
    arguments: list[object]
    keywords: dict[str, object]
    first: object

    @property
    def owner(self) -> ast.expr | None:
        """
        What a method is called of.
        """
        return self.node.func.value if isinstance(self.node.func, ast.Attribute) else None

    @property
    def strings(self) -> list[str]:
        """
        The arguments that are texts.
        """
        return [one for one in self.arguments if isinstance(one, str)]
