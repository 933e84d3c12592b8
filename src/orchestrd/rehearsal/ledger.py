"""
What the rehearsal model billed: the truth that a cost account can be checked against.
"""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrd.clock import iso
from orchestrd.domain.model import Usage


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """
    One response.  It began *at* a wall time and *ended* at one, None while it was not sent to its end; *step* is None for an
    answer that no step describes.

    While *finished* is false only the usage of ``message_start`` was sent (one output token); an error has no usage.
    """

    n: int
    at: float
    scenario: str | None
    conversation: str
    session: str
    message: str
    model: str
    step: int | None
    status: int
    usage: Usage
    finished: bool
    ended: float | None = None


class Ledger:
    """
    Every response since the start, or since the last `clear`, in the order they began.
    """

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._count = 0

    @property
    def entries(self) -> tuple[Entry, ...]:
        """
        The responses, oldest first.
        """
        return tuple(self._entries.values())

    @property
    def spent(self) -> dict[str, Usage]:
        """
        Model to the usage of all its finished responses.
        """
        sums: dict[str, Usage] = {}
        for entry in self._entries.values():
            if entry.finished and entry.usage.total:
                sums[entry.model] = sums.get(entry.model, Usage()) + entry.usage
        return sums

    @property
    def next_n(self) -> int:
        """
        The number the next entry must carry.
        """
        return self._count + 1

    def open(self, entry: Entry) -> None:
        """
        Note a response that begins now.
        """
        self._count = entry.n
        self._entries[entry.n] = entry

    def finish(self, n: int, usage: Usage, at: float) -> None:
        """
        Note that response *n* was sent to its end *at* a wall time; nothing, when the ledger was cleared since.
        """
        entry = self._entries.get(n)
        if entry is not None:
            self._entries[n] = msgspec.structs.replace(entry, usage=usage, finished=True, ended=at)

    def clear(self) -> None:
        """
        Forget every response; numbers go on.
        """
        self._entries.clear()

    def as_json(self) -> list[dict[str, Any]]:
        """
        The entries as ``GET /rehearsal/ledger`` shows them; times are ISO-8601.
        """
        return [
            {**msgspec.to_builtins(entry), "at": iso(entry.at), "ended": iso(entry.ended)}
            for entry in self._entries.values()
        ]
