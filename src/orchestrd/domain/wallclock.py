"""
Moments on the wall clock, which a person or a machine may set.
"""

from __future__ import annotations

from datetime import tzinfo

from orchestrd.moments import dated

SET_BACK = 60.0
"""
Seconds of wall time: a clock that stands further before a moment it has shown was set back.  What waits from that moment on
would wait for as long again, so it waits no longer.
"""


def ahead(until: float, now: float, *, since: float) -> bool:
    """
    True while *until* is to be waited for at *now*, in a wait that began at *since* (wall seconds).
    """
    return since - SET_BACK <= now < until


def moment(seconds: float, now: float, zone: tzinfo) -> str:
    """
    A wall time in *zone* as ``17:42``, or ``2026-11-23 17:42`` when that is another day than *now*.
    """
    there, here = dated(seconds, zone), dated(now, zone)
    return f"{there:%H:%M}" if there.date() == here.date() else f"{there:%Y-%m-%d %H:%M}"
