"""
Wall times as dates, whatever they are: some are told by others.
"""

from __future__ import annotations

from datetime import datetime, tzinfo

FIRST, LAST = -62_135_424_000.0, 253_402_128_000.0
"""Wall seconds of the first and the last moment that have a date in every time zone: 0001-01-03 and 9999-12-30, in UTC."""


def dated(seconds: float, zone: tzinfo) -> datetime:
    """
    Wall *seconds* as a date and time in *zone*; before `FIRST` and after `LAST` these.
    """
    if not FIRST <= seconds <= LAST:
        seconds = FIRST if seconds < FIRST else LAST
    return datetime.fromtimestamp(seconds, zone)
