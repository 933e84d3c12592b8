"""
What follows from forbidden acts that were tried: the halt of the run.

A rule that says no for certain halts at the first; what merely could not be read before it ran is denied, and halts only when it
is tried again and again.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrd.domain import events as ev
from orchestrd.domain.model import Cause, Outcome
from orchestrd.domain.rows import RunRow
from orchestrd.domain.state import State

MOST_TARGET = 120
"""Characters of what was tried that the reason for a halt shows."""


def due(state: State, unknown: int) -> list[ev.AnyEvent]:
    """
    The halts that are due: of each open run with a confirmed violation, or with *unknown* calls that nobody could judge.  One that
    is being ended for another reason is halted all the same: it is to end at once, and not to be tried again by itself.
    """
    live = (run for day in state.active_days() for run in state.live(day))
    return [
        ev.RunStopping(run=run.key, outcome=Outcome.VIOLATION, reason=reason, cause=Cause.VIOLATION)
        for run in live
        if not run.struck and (reason := _why(state, run, unknown))
    ]


def strikes(run: RunRow, heard: Iterable[ev.AnyEvent], unknown: int) -> bool:
    """
    True when what was just *heard* of the *run*, and is not recorded yet, makes its halt due.
    """
    denied = [fact for fact in heard if isinstance(fact, ev.ViolationSeen) and fact.denied]
    unread = sum(not fact.confirmed for fact in denied)
    return any(fact.confirmed for fact in denied) or (unread > 0 and run.unknown + unread >= unknown)


def _why(state: State, run: RunRow, unknown: int) -> str:
    found = state.violation(run.confirmed) if run.confirmed else None
    if found is not None:
        return f"it tried what is forbidden ({found.rule}): {found.tool} {_short(found.target)}".strip()
    if run.unknown >= unknown:
        times = "once" if run.unknown == 1 else f"{run.unknown} times"
        return f"it tried {times} to run what cannot be read before it runs (exec-unknown)"
    return ""


def _short(target: str) -> str:
    line = " ".join(target.split())
    return line if len(line) <= MOST_TARGET else f"{line[: MOST_TARGET - 1]}…"
