"""
A moment as people name it.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

from orchestrd.moments import dated

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AGO = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
SECOND = 0.999_999
"""A moment that is named to the second is all of that second: what is shown of a time can be given back."""
THOUSANDTH = 0.000_999
"""And one to the thousandth all of that.  (`clock.iso`)"""


def moment_of(text: str, now: float, zone: tzinfo) -> float:
    """
    The wall seconds that *text* names at *now* for people in *zone*: so long ago (``10m``, ``1h30m``), a time of day (``14:05``,
    ``14:05:30``; the last one there was), or a date and time (``2026-11-22 14:05:30``, ``2026-11-22T14:05:30Z``).

    Raises ValueError for anything else, and for a date that has no moment.
    """
    given = text.strip()
    if _AGO.fullmatch(given):
        return now - sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smhd])", given))
    clock = _CLOCK.fullmatch(given)
    if clock:
        here = dated(now, zone)
        then = here.replace(hour=int(clock[1]), minute=int(clock[2]), second=int(clock[3] or 0), microsecond=0)
        if then > here:
            then -= timedelta(days=1)
        return then.timestamp() + (SECOND if clock[3] else 0.0)
    try:
        found = datetime.fromisoformat(given.replace("T", " ").replace("t", " "))
        at = (found if found.tzinfo is not None else found.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text!r} names no moment; write 10m or 1h30m (ago), 14:05 or 14:05:30, or 2026-11-22 14:05:30"
        ) from None
    if "." in given:
        return at + THOUSANDTH
    return at + SECOND if re.search(r":\d\d:\d\d", given) else at
