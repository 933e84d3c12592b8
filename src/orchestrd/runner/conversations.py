"""
What one more response of every conversation of an agent will cost, about: as much as its last one.  Pure arithmetic.

An agent and each of its subagents is a conversation, and each has one response under way at a time.
"""

from __future__ import annotations

import msgspec


class Newest(msgspec.Struct, kw_only=True):
    """
    The newest response of one conversation: *cost* is nano-USD as far as it is known, *before* what the one before it cost in the
    end, about which this one may still come to.
    """

    message: str
    cost: int
    before: int = 0
    ended: bool = False

    @property
    def size(self) -> int:
        """
        Nano-USD of one more such response.
        """
        return self.cost if self.ended else max(self.cost, self.before)


class Conversations:
    """
    Those that may be going on: the main one (None) and subagents, by the call that began them.
    """

    def __init__(self) -> None:
        self._newest: dict[str | None, Newest] = {}
        self._begun: set[str] = set()
        """Subagents of which nothing was read yet."""

    def begun(self, call: str) -> None:
        """
        The agent has called a subagent.
        """
        if call not in self._newest:
            self._begun.add(call)

    def read(self, subagent: str | None, message: str, cost: int, *, ended: bool) -> None:
        """
        A response is known to have cost *cost* so far.
        """
        if subagent is not None:
            self._begun.discard(subagent)
        known = self._newest.get(subagent)
        if known is None or known.message != message:
            before = 0 if known is None else known.size
            self._newest[subagent] = Newest(message=message, cost=cost, before=before, ended=ended)
        else:
            known.cost, known.ended = cost, ended or known.ended

    def told(self, message: str, cost: int) -> None:
        """
        A response is known to have cost *cost* in the end, if it is the newest of any.
        """
        for newest in self._newest.values():
            if newest.message == message:
                newest.cost, newest.ended = cost, True

    def over(self, call: str) -> bool:
        """
        That subagent is done; False when there was none.
        """
        known = call in self._begun or call in self._newest
        self._begun.discard(call)
        self._newest.pop(call, None)
        return known

    @property
    def next(self) -> int:
        """
        Nano-USD of one more response of each.  Of a subagent that has not answered yet it is the main conversation's that tells.
        """
        sizes = [newest.size for newest in self._newest.values()]
        main = self._newest.get(None)
        return sum(sizes) + len(self._begun) * (main.size if main is not None else 0)
