"""
What a program does, as far as any rule cares.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal[
    "text",
    "argv",
    "python",
    "delete",
    "move",
    "read",
    "write",
    "look",
    "variable",
    "sql",
    "db",
    "git",
    "opaque",
    "foreign",
    "agent",
    "content",
    "within",
]


class Act(NamedTuple):
    """
    One act: a *text* for a shell or an *argv* that is run, *python* that is evaluated, a path that is deleted, moved
    (a pair), read, written or looked at, a *variable* of the environment, *sql*, a change of a database (*db*) or a
    repository (*git*), something that cannot be seen (*opaque*), a *foreign* library; *within* databases, a pair of
    their files and of the act that is done there.

    *what* is a string, a list of strings, or None where it is not literal.
    """

    kind: Kind
    what: object
