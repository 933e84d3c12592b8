"""
Reports and the journal.
"""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrd.protocol.api.base import Count, Params


class ReportQuery(Params, kw_only=True):
    """
    *day* or the newest.
    """

    day: str | None = None


class ReportFiles(msgspec.Struct, kw_only=True):
    """
    The report's text (Markdown), its data, and where both were written.
    """

    day: str
    markdown: str
    data: dict[str, Any]
    path: str
    json_path: str


class EventQuery(Params, kw_only=True):
    """
    Facts with a number above *since*, at most *limit*.
    """

    since: Count = 0
    limit: Count = 200
    task: str | None = None
    day: str | None = None


class EventRecord(msgspec.Struct, kw_only=True):
    """
    One fact of the journal.
    """

    seq: int
    at: str
    type: str
    event: dict[str, Any]


class Events(msgspec.Struct, kw_only=True):
    """
    A page of facts; *last* is the number to go on from.
    """

    events: list[EventRecord]
    last: int


class Subscribe(Params, kw_only=True):
    """
    From now on, notifications ``event`` carry each fact above *since* (from now, when None) as an `EventRecord`; a
    notification ``gap`` with ``{"since": seq}`` says that this client was too slow and where to resume.
    """

    since: Count | None = None


class Subscribed(msgspec.Struct, kw_only=True):
    """
    The number of the newest fact at the time of subscribing.
    """

    seq: int
