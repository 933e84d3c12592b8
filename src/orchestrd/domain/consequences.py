"""
What a changed state makes necessary by itself: the store asks after every change, within its transaction.
"""

from __future__ import annotations

from orchestrd.domain import account, enforcement, violations
from orchestrd.domain import events as ev
from orchestrd.domain.budget import Limits
from orchestrd.domain.state import State


def due(state: State, limits: Limits) -> list[ev.AnyEvent]:
    """
    The facts that follow from *state* and are not recorded yet.
    """
    halts = violations.due(state, limits.unknown)
    return [*halts, *account.due(state, unmetered=limits.unmetered), *enforcement.due(state, limits)]
