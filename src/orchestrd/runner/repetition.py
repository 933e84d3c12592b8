"""
Whether an agent goes round in circles: how often in a row it made the very same call and had it fail.
"""

from __future__ import annotations

import msgspec

from orchestrd.protocol import messages as m


class Repetition:
    """
    The calls of one process, as they are made and return.
    """

    def __init__(self) -> None:
        self.count = 0
        """How often in a row the very same call was made and has failed."""
        self.call = ""
        """What that call is about."""
        self.unpaid: set[str] = set()
        """Ids of the agent's requests that were denied for want of money; told from outside."""
        self._leave: dict[str, str] = {}
        """Tool call to the request for leave to make it."""
        self._made: dict[str, bytes] = {}
        self._failed = b""

    def made(self, call: m.ToolCall) -> None:
        """
        A tool is called.
        """
        self._made[call.id] = msgspec.json.encode([call.name, call.input, call.subagent], order="sorted")

    def asked(self, call: str, request: str) -> None:
        """
        The agent asks by *request* for leave to make the tool *call*.
        """
        self._leave[call] = request

    def returned(self, result: m.ToolResult, what: str) -> None:
        """
        A call about *what* has returned: it counts when it is the last one over again, and fails as that did.  That there is no
        money for one tells nothing of it.
        """
        made = self._made.pop(result.id, b"")
        if self._leave.pop(result.id, "") in self.unpaid:
            return
        if not result.is_error:
            self.count, self._failed = 0, b""
        elif made and made == self._failed:
            self.count += 1
        else:
            self.count, self._failed, self.call = 1, made, what
