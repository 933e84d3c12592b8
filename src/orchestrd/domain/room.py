"""
Is there room for another agent?  What was promised to those that live, against what the machine has.

Every live agent is promised the same amount of memory and of disk, and what it has not taken yet is kept for it.  Another
one starts only when its promise fits beside that and beside what stays free for the machine.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from orchestrd.sizes import size_text


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """
    Bytes that each agent is promised, and bytes that stay free for everything else; an *each* of 0 promises nothing and
    holds nobody up.
    """

    each: int = 0
    keep: int = 0


class Stock(msgspec.Struct, frozen=True, kw_only=True):
    """
    One thing that agents use up, as it was measured: *total* and *free* bytes of it, and bytes *used* by run (a run that
    is not named has used none).  *name* is ``memory`` or ``disk``, as in the setting ``agent.memory``.
    """

    name: str
    promise: Promise
    total: int
    free: int
    used: dict[str, int] = {}

    def owed(self, live: Collection[str]) -> int:
        """
        Bytes that the *live* runs were promised and have not taken.
        """
        return sum(max(0, self.promise.each - self.used.get(run, 0)) for run in live)

    def left(self, live: Collection[str]) -> int:
        """
        Bytes for another agent beside the *live* runs; below 0 when more was promised than there is.
        """
        return self.free - self.promise.keep - self.owed(live)


Room = tuple[Stock, ...]
"""Every stock that was measured; nothing in it, nothing limits."""


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """
    Why no further agent starts: with the figures of the moment, and in *brief*, which stays the same while it lasts.
    """

    reason: str
    brief: str


def shortage(room: Room, live: Collection[str]) -> Shortage | None:
    """
    What there is too little of for one more agent beside the *live* runs, or None.
    """
    for stock in room:
        left = stock.left(live)
        if left < stock.promise.each:
            brief = f"too little {stock.name} for another agent"
            figures = [f"{size_text(stock.free)} free"]
            if live:
                agents = f"{len(live)} live agent{'s' if len(live) > 1 else ''}"
                figures.append(f"{size_text(stock.owed(live))} still promised to {agents}")
            if stock.promise.keep:
                figures.append(f"{size_text(stock.promise.keep)} kept free")
            reason = f"waits for {stock.name}: {size_text(stock.promise.each)} an agent, {size_text(left)} left"
            return Shortage(reason=f"{reason} ({', '.join(figures)})", brief=brief)
    return None


def never(room: Room) -> Shortage | None:
    """
    What there is too little of for even one agent, whatever becomes free, or None.
    """
    for stock in room:
        if stock.promise.each + stock.promise.keep > stock.total:
            reason = (
                f"never enough {stock.name}: {size_text(stock.promise.each)} an agent and {size_text(stock.promise.keep)} "
                f"kept free, of {size_text(stock.total)} in all; lower agent.{stock.name}"
            )
            return Shortage(reason=reason, brief=reason)
    return None
