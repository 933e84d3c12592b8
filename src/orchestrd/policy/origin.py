"""
Whose text it is that a command line runs, and what is left alone of it.
"""

from __future__ import annotations

from enum import Enum

from orchestrd.policy.verdict import Rule


class Origin(Enum):
    """
    Who wrote a text that is followed.
    """

    LINE = "line"
    """The command line itself."""
    AGENT = "agent"
    """Whoever worked in the tree since the agent came: most likely it."""
    PROJECT = "project"
    """It is as it was before the agent came."""


_CONTAINED: dict[Origin, frozenset[Rule]] = {
    Origin.LINE: frozenset(),
    Origin.AGENT: frozenset({"exec-unknown"}),
    Origin.PROJECT: frozenset({"exec-unknown", "secret"}),
}
_FREE: dict[Origin, frozenset[Rule]] = {**_CONTAINED, Origin.AGENT: frozenset()}


def forgiven(origin: Origin, *, contained: bool) -> frozenset[Rule]:
    """
    The rules under which nothing is objected to in a text of this *origin*, save what protects this program itself.

    A project's own scripts are full of what cannot be read, and may use its secrets.  In those that the agent wrote, what cannot be
    read is left to the sandbox that the agent is *contained* in, and to nobody where there is none.
    """
    return (_CONTAINED if contained else _FREE)[origin]
