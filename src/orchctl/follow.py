"""
Follow a day: ask again whenever the journal says that something happened, at most four times a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from orchctl.client import OUTLAST_SECONDS, Client
from orchestrd.protocol import api

REFRESH_SECONDS = 0.25
"""The least time between two questions to the daemon."""
TICK_SECONDS = 1.0
"""How often running clocks move on the screen."""
QUIET_SECONDS = 10.0
"""After this long without news the day is asked for all the same: reserved money and reasons may change silently."""


def look(client: Client, query: api.StatusQuery) -> tuple[api.Status, dict[str, api.Question]]:
    """
    The day as it is now, and its open questions by id.
    """
    status: api.Status = client.call("task.status", query, outlast=OUTLAST_SECONDS)
    return status, open_questions(client, status)


def open_questions(client: Client, status: api.Status) -> dict[str, api.Question]:
    """
    The questions that tasks of *status* wait for; asks the daemon only when there are some.
    """
    if not any(task.question for task in status.tasks):
        return {}
    found: list[api.Question] = client.call("question.list", api.QuestionList(day=status.day), outlast=OUTLAST_SECONDS)
    return {question.id: question for question in found}


def follow(
    client: Client,
    query: api.StatusQuery,
    *,
    show: Callable[[api.Status, dict[str, api.Question]], None],
    tick: Callable[[], None],
    until: Callable[[api.Status], bool],
) -> api.Status:
    """
    Show the day, and again after every change, until *until*; gives the last status.

    Outlasts a daemon that is being restarted.  Raises `Unreachable` when it stays away.
    """
    status, questions = look(client, query)
    show(status, questions)
    if until(status):
        return status
    news = client.subscribe(status.seq)
    try:
        asked, changed = time.monotonic(), False
        while not until(status):
            wait = REFRESH_SECONDS - (time.monotonic() - asked) if changed else TICK_SECONDS
            record = news.next(wait) if wait > 0 else None
            if record is not None and record.seq > status.seq:
                changed = True
            age = time.monotonic() - asked
            if (changed and age >= REFRESH_SECONDS) or age >= QUIET_SECONDS:
                status, questions = look(client, query)
                asked, changed = time.monotonic(), False
                show(status, questions)
            elif not changed:
                tick()
    finally:
        news.close()
    return status
