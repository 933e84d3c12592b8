"""
What every fact has: a tag, and a subject.
"""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """
    Base of every fact.
    """

    @property
    def name(self) -> str:
        """
        The tag, ``run.exited``.
        """
        return str(self.__struct_config__.tag)


class DayEvent(Event, frozen=True, kw_only=True):
    """
    A fact about a day.
    """

    day: str


class TaskEvent(Event, frozen=True, kw_only=True):
    """
    A fact about a task; *task* is its full name, ``2026-11-22/task-001``.
    """

    task: str


class RunEvent(Event, frozen=True, kw_only=True):
    """
    A fact about a run; *run* is its full name, ``2026-11-22/task-001/1``.
    """

    run: str


class QuestionEvent(Event, frozen=True, kw_only=True):
    """
    A fact about a question; *question* is its id, ``2026-11-22/task-001#1``.
    """

    question: str
