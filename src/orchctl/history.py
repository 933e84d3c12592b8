"""
The journal read page by page: from a number on, or the newest facts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from orchctl.client import Client
from orchctl.failures import Remote
from orchestrd.protocol import api, jsonrpc

PAGE = 200
"""Facts asked for at a time."""


class History:
    """
    The recorded facts about *task* and *day*, or all.  *last* is the number to go on from.
    """

    def __init__(self, client: Client, *, task: str | None = None, day: str | None = None) -> None:
        self._client = client
        self._task = task
        self._day = day
        self.last = 0

    def since(self, seq: int) -> Iterator[api.EventRecord]:
        """
        The facts above *seq*, oldest first.
        """
        self.last = seq
        limit = PAGE
        while True:
            query = api.EventQuery(since=self.last, limit=limit, task=self._task, day=self._day)
            try:
                page: api.Events = self._client.call("event.list", query)
            except Remote as error:
                if error.code != jsonrpc.INTERNAL_ERROR or limit == 1:
                    raise
                # The page was longer than a reply may be.
                limit //= 2
                continue
            yield from page.events
            if page.last <= self.last:
                return
            self.last = page.last

    def newest(self, count: int) -> list[api.EventRecord]:
        """
        The newest *count* facts, oldest first.
        """
        newest: int = self._client.call("task.status", api.StatusQuery()).seq
        # Unfiltered, the newest facts have the highest numbers; filtered, everything must be looked through.
        filtered = self._task is not None or self._day is not None
        return list(deque(self.since(0 if filtered else max(0, newest - count)), maxlen=count))
