"""
A decision on its way through the writer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio

from orchestrd.domain import events as ev
from orchestrd.services.change import Decide


class Job:
    """
    One decision on its way through the writer.  *patient*: it waits when there is no room.
    """

    def __init__(self, decide: Decide[Any], request: str | None, method: str, *, patient: bool) -> None:
        self.decide = decide
        self.request = request
        self.method = method
        self.patient = patient
        self.seen = anyio.Event()
        """Set once it is done, or waits for room."""
        self.done = anyio.Event()
        self.given_up = False
        self.followed: Sequence[ev.AnyEvent] = ()
        """The facts that it made necessary, beside those it wanted."""
        self.result: Any = None
        self.error: Exception | None = None

    def finish(self, error: Exception | None = None) -> None:
        """
        Tell the caller.
        """
        self.error = self.error or error
        self.done.set()
        self.seen.set()
