"""
A task's work: diff, apply, logs.
"""

from __future__ import annotations

import msgspec

from orchestrd.protocol.api.base import Count, Params, Write


class DiffQuery(Params, kw_only=True):
    """
    The work of a task: *stat* gives a summary instead of the lines, *color* ANSI colours; *attempt* is a run's number,
    the newest by default.
    """

    task: str
    stat: bool = False
    color: bool = False
    attempt: Count | None = None
    offset: Count = 0
    """Bytes already received: a long diff comes in parts."""


class FileChangeInfo(msgspec.Struct, kw_only=True):
    """
    One changed path: *kind* is created, modified, deleted or renamed.
    """

    path: str
    kind: str
    additions: int | None = None
    deletions: int | None = None


class Diff(msgspec.Struct, kw_only=True):
    """
    *text* is a part of at most 128 KiB; *next_offset* asks for the rest, None when this was the end.
    """

    task: str
    run: str
    text: str
    files: list[FileChangeInfo] = []
    """The first of the changed paths."""
    file_count: int = 0
    next_offset: int | None = None


class Apply(Write, kw_only=True):
    """
    Bring the tasks' changes over into the person's tree, unstaged, all of them or nothing.
    """

    tasks: list[str]
    dry_run: bool = False


class Conflict(msgspec.Struct, kw_only=True):
    """
    A path that stands in the way, and why.
    """

    path: str
    reason: str


class Applied(msgspec.Struct, kw_only=True):
    """
    What came over, the first 2000 paths of each kind; *count* is all of them.  With *conflicts* nothing was touched.
    """

    tasks: list[str]
    created: list[str] = []
    modified: list[str] = []
    deleted: list[str] = []
    already: list[str] = []
    conflicts: list[Conflict] = []
    count: int = 0
    dry_run: bool = False


class Logs(msgspec.Struct, kw_only=True):
    """
    Where a run's files are, absolute; *live* while the run goes on.
    """

    task: str
    run: str
    attempt: int
    stdout: str
    stderr: str
    live: bool


class LogsQuery(Params, kw_only=True):
    """
    The files of a task's run: the newest, or *attempt*.
    """

    task: str
    attempt: Count | None = None
