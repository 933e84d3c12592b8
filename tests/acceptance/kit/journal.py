"""
The journal as others see it: followed over the socket, or read from the database itself.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kit.rpc import Link

Event = dict[str, Any]
"""``{"seq", "at", "type", "event"}``; *event* holds the fact's own fields."""


def wait_event(
    socket: Path,
    type_: str,
    where: Callable[[Event], bool] | None = None,
    *,
    since: int = 0,
    timeout: float = 60.0,
    **match: Any,
) -> Event:
    """
    The first fact above *since* of this type whose fields are as *match* and *where* say, past or to come.
    """
    limit = time.monotonic() + timeout
    seen: list[str] = []
    with Link(socket) as link:
        link.call("events.subscribe", since=since)
        while True:
            try:
                line = link.line(max(0.0, limit - time.monotonic()))
            except TimeoutError:
                raise TimeoutError(f"no {type_} {match} within {timeout:.0f} s; there was {seen}") from None
            if line.get("method") != "event":
                continue
            found: Event = line["params"]
            seen.append(found["type"])
            body = found["event"]
            fits = found["type"] == type_ and all(body.get(key) == value for key, value in match.items())
            if fits and (where is None or where(body)):
                return found


def events(database: Path, *types: str, run: str | None = None) -> list[Event]:
    """
    Every fact so far (of these *types*, of *run*), also without a daemon; with the *run* it is about.
    """
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT seq, at, type, run, body FROM events ORDER BY seq").fetchall()
    finally:
        connection.close()
    return [
        {"seq": seq, "at": at, "type": kind, "run": of, "event": json.loads(body)}
        for seq, at, kind, of, body in rows
        if (not types or kind in types) and (run is None or of == run)
    ]
