"""
The journal's facts as callers get them: a page of those that were, and each that comes while somebody follows.
"""

from __future__ import annotations

import anyio
import msgspec

from orchestrd.clock import iso
from orchestrd.domain import events as ev
from orchestrd.domain import lookup
from orchestrd.edges.connection import Connection
from orchestrd.failpoint import failpoint
from orchestrd.protocol import api
from orchestrd.protocol.jsonrpc import notification_line
from orchestrd.redaction import BY_LOOKS
from orchestrd.services.bus import Bus, Gap
from orchestrd.services.store import Store

PAGE = 500
"""Facts that are read from the journal at once."""
PAGE_BYTES = 512 * 1024
"""A page of facts ends here, so that it fits into a reply."""


class Feed:
    """
    Gives facts out, without the secrets and prompts in them.
    """

    def __init__(self, store: Store, bus: Bus) -> None:
        self._store = store
        self._bus = bus
        self._lines: dict[int, bytes] = {}

    async def page(self, p: api.EventQuery) -> api.Events:
        """
        The facts above ``p.since`` that were asked for, as many as fit.
        """
        task = lookup.resolve(self._store.state, p.task, p.day).key if p.task else None
        records = await self._store.events(
            since=p.since, limit=max(1, min(p.limit, PAGE)), task=task, day=None if task else p.day
        )
        page: list[api.EventRecord] = []
        size = 0
        for record in records:
            page.append(_shown(record))
            size += len(msgspec.json.encode(page[-1]))
            if size > PAGE_BYTES:
                break
        return api.Events(events=page, last=page[-1].seq if page else p.since)

    async def subscribe(self, p: api.Subscribe, connection: Connection) -> api.Subscribed:
        """
        From now on, send every fact above ``p.since``, by default every new one, until the connection is closed.
        """
        since = self._store.seq if p.since is None else p.since
        connection.spawn(self._follow, since, connection)
        return api.Subscribed(seq=self._store.seq)

    async def _follow(self, since: int, connection: Connection) -> None:
        """
        Send every fact above *since*, the old ones from the journal, the new ones as they come.
        """
        with self._bus.follow(self._store.seq) as facts:
            while not connection.closed.is_set():
                page = await self._store.events(since=since, limit=PAGE)
                failpoint("rpc.following")
                for record in page:
                    connection.write(notification_line("event", _shown(record)))
                    since = record.seq
                if len(page) < PAGE:
                    break
                await connection.drained()
            while not connection.closed.is_set():
                news: list[ev.Record | Gap] = []
                with anyio.move_on_after(1.0):
                    news.append(await facts.receive())
                # What has come together is sent together: one wait for each fact is what costs.
                while news and len(news) < PAGE and facts.statistics().current_buffer_used:
                    news.append(facts.receive_nowait())
                lines: list[bytes] = []
                for fact in news:
                    if isinstance(fact, Gap):
                        lines.append(notification_line("gap", {"since": max(since, fact.since)}))
                        connection.write(b"".join(lines))
                        return
                    if fact.seq > since:
                        lines.append(self._line(fact))
                        since = fact.seq
                connection.write(b"".join(lines))
                await connection.drained()

    def _line(self, record: ev.Record) -> bytes:
        """
        A fact as every follower gets it; kept for a moment, because they all want it in the same one.
        """
        line = self._lines.get(record.seq)
        if line is None:
            if len(self._lines) >= PAGE:
                self._lines.clear()
            line = self._lines[record.seq] = notification_line("event", _shown(record))
        return line


def _shown(record: ev.Record) -> api.EventRecord:
    body = BY_LOOKS.clean(msgspec.to_builtins(record.event))
    if isinstance(record.event, ev.TaskSubmitted | ev.TaskUpdated):
        # The prompt is in the task file; whoever follows the journal has no use for it.
        body["spec"]["description"] = f"[{len(record.event.spec.description)} characters]"
    return api.EventRecord(seq=record.seq, at=iso(record.at) or "", type=body.pop("type"), event=body)
