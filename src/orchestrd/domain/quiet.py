"""
The hours of the day in which agents do not come back by themselves.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta, tzinfo

import msgspec

from orchestrd.moments import dated


class Quiet(msgspec.Struct, frozen=True, kw_only=True):
    """
    The hours of the day, in minutes after midnight, in which no agent comes back by itself: from *after*, to *until*.
    """

    after: int
    until: int

    def end(self, at: float, zone: tzinfo) -> float:
        """
        *at* (wall seconds), or the end of the quiet hours it falls into.
        """
        there = dated(at, zone)
        minute = there.hour * 60 + there.minute
        quiet = self.after <= minute < self.until
        if self.after > self.until:
            quiet = minute >= self.after or minute < self.until
        if not quiet:
            return at
        day = there.date() + timedelta(days=1 if minute >= self.until else 0)
        # In the second of two equal hours, when clocks are put back, the end is that of the second one.
        end = time(self.until // 60, self.until % 60, fold=there.fold if day == there.date() else 0)
        return datetime.combine(day, end, tzinfo=zone).timestamp()
