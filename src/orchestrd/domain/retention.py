"""
Which snapshots of a tree are kept: the older they are, the fewer.
"""

from __future__ import annotations

from orchestrd.domain.rows import SnapshotsRow, Taken

HOUR, DAY = 3600.0, 86400.0
SPANS = ((HOUR, 0.0), (DAY, 600.0), (float("inf"), 6 * HOUR))
"""Up to which age (seconds), of how many seconds only the newest one is kept: all of the last hour, one of ten minutes, …"""
NAME_DIGITS = 7
MOST = 200
"""How many of one task are kept at most, beside those that stand for a removed tree."""


def outdated(row: SnapshotsRow, now: float, keep_for: float) -> tuple[str, ...]:
    """
    The commits of *row* that need not be kept any more at *now* (Unix seconds): others stand for them, or they are older than
    *keep_for* seconds.

    The newest stays, and what stands for a tree that was removed stays for ever.
    """
    stay: set[str] = set(row.removed)
    slots: set[tuple[float, float]] = set()
    if row.newest is not None:
        stay.add(row.newest.commit)
    for taken in reversed(row.taken):
        age = max(0.0, now - taken.at)
        each = next(each for limit, each in SPANS if age <= limit)
        slot = (each, taken.at // each if each else taken.at)
        # Slots are of the clock, not of the age: what is kept now is not let go because another look is later.
        if age <= keep_for and slot not in slots and len(slots) < MOST:
            slots.add(slot)
            stay.add(taken.commit)
    return tuple(taken.commit for taken in row.taken if taken.commit not in stay)


def called(row: SnapshotsRow, name: str) -> Taken | None:
    """
    The snapshot whose commit begins with *name*, of at least `NAME_DIGITS` digits; None when there is none.
    """
    if len(name) < NAME_DIGITS or not set(name) <= set("0123456789abcdef"):
        return None
    return next((taken for taken in reversed(row.taken) if taken.commit.startswith(name)), None)


def at_or_before(row: SnapshotsRow, moment: float) -> Taken | None:
    """
    The newest snapshot that was taken at *moment* (Unix seconds) or before; None when all are younger.
    """
    return next((taken for taken in reversed(row.taken) if taken.at <= moment), None)
