"""
Whether an agent goes round in circles: how often in a row it made the very same call and had it fail.

Each conversation of a process, the main one and every subagent's, goes round for itself, whatever the others do meanwhile.
"""

from __future__ import annotations

import msgspec

from orchestrd.protocol import messages as m


class _Round(msgspec.Struct, frozen=True):
    """
    The call that failed last in one conversation, what it is about, and how often in a row it did.
    """

    call: bytes = b""
    what: str = ""
    count: int = 0


class Repetition:
    """
    The calls of one process, as they are made and return.
    """

    def __init__(self) -> None:
        self.unpaid: set[str] = set()
        """Ids of the agent's requests that were denied for want of money; told from outside."""
        self._leave: dict[str, str] = {}
        """Tool call to the request for leave to make it."""
        self._made: dict[str, bytes] = {}
        self._rounds: dict[str | None, _Round] = {}
        """By conversation, as the messages name it; none of one whose last call has not failed."""

    @property
    def count(self) -> int:
        """
        How often in a row the very same call was made in one conversation and has failed, where that is most.
        """
        return self._worst.count

    @property
    def call(self) -> str:
        """
        What that call is about.
        """
        return self._worst.what

    @property
    def _worst(self) -> _Round:
        return max(self._rounds.values(), key=lambda found: found.count, default=_Round())

    def made(self, call: m.ToolCall) -> None:
        """
        A tool is called.
        """
        self._made[call.id] = msgspec.json.encode([call.name, call.input], order="sorted")

    def asked(self, call: str, request: str) -> None:
        """
        The agent asks by *request* for leave to make the tool *call*.
        """
        self._leave[call] = request

    def returned(self, result: m.ToolResult, what: str) -> None:
        """
        A call about *what* has returned: it counts when it is the last one of its conversation over again, and fails as that
        did.  That there is no money for one tells nothing of it.
        """
        made = self._made.pop(result.id, b"")
        if self._leave.pop(result.id, "") in self.unpaid:
            return
        last = self._rounds.pop(result.subagent, _Round())
        if result.is_error:
            again = bool(made) and made == last.call
            self._rounds[result.subagent] = _Round(made, what, last.count + 1 if again else 1)
