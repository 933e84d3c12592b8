"""
Responses that said something and not what they used: a gateway leaves it out.  One is too many, because what cannot be known
cannot be limited.

Whatever was said took output: none at its end is a gateway's way to leave it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrd.domain.model import Usage
from orchestrd.protocol.messages import MessageUsage
from orchestrd.runner.coverage import Reading, sum_of

REMEMBERED = 16
"""How many are remembered."""


class Unmetered:
    """
    Those of one process, while no account knows more than was read.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        """Their message ids."""
        self._said: set[str] = set()
        """Message ids of open responses that said something."""

    def answered(self, name: str, reading: Reading | None, *, settled: bool) -> None:
        """
        A response has said something, of which so much is read.
        """
        self._said.add(name)
        if reading is None or not reading.usage.prompt or (reading.final and not reading.usage.output):
            self._note(name, settled=settled)

    def read(self, message: MessageUsage, *, settled: bool) -> None:
        """
        One more reading of a response.
        """
        name = message.message_id
        if not message.told or (message.final and not message.usage.output and name in self._said):
            self._note(name, settled=settled)
        elif message.usage.prompt:
            self.names.discard(name)

    def _note(self, name: str, *, settled: bool) -> None:
        if name and not settled and len(self.names) < REMEMBERED:
            self.names.add(name)

    def explained(self, readings: Mapping[str, Reading], told: Iterable[Usage]) -> None:
        """
        The CLI has *told* what it used since the last result, *readings* is what was read of it.  More than was sent by what was
        read is of responses that told nothing; more than was received, of those that did not tell their end, where all others
        have told it.
        """
        read, whole = sum_of(r.usage for r in readings.values()), sum_of(told)
        if whole.prompt > read.prompt:
            self.names = {name for name in self.names if name in readings and readings[name].usage.prompt}
        elif whole.prompt == read.prompt and whole.output > read.output and all(r.final for r in readings.values()):
            self.names.clear()

    def settled(self, readings: Mapping[str, Reading]) -> None:
        """
        Only *readings* are open any more.
        """
        self._said &= readings.keys()
