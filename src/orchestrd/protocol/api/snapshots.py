"""
Snapshots of a task's tree: listed, and put back.
"""

from __future__ import annotations

import msgspec

from orchestrd.protocol.api.base import Params, Write


class SnapshotsQuery(Params, kw_only=True):
    """
    The snapshots of a task.
    """

    task: str


class SnapshotInfo(msgspec.Struct, kw_only=True):
    """
    One snapshot: *occasion* is interval, call, cleanup or restore; *left_out* counts the paths, at most 20, that are not in it.
    """

    commit: str
    at: str
    occasion: str
    left_out: int = 0


class SnapshotList(msgspec.Struct, kw_only=True):
    """
    The snapshots that are kept of a task's tree, newest first.
    """

    task: str
    snapshots: list[SnapshotInfo] = []
    restored_at: str | None = None


class Restore(Write, kw_only=True):
    """
    Put the newest snapshot taken *at* that moment or before back: so long ago (``10m``), a time of day (``14:05``), or a date and
    time; or one by the first digits of its commit; by default the newest that differs from what is there.  *into* is a folder, absolute, that is made for it, in the place
    of the task's tree.
    """

    task: str
    at: str | None = None
    into: str | None = None
    by: str = ""


class Restored(msgspec.Struct, kw_only=True):
    """
    The snapshot *commit*, taken *at* that moment, is in *place*; *paths* differ from what was there, of which *before* is a
    snapshot, None where there was nothing.
    """

    task: str
    commit: str
    at: str
    occasion: str
    place: str
    paths: int
    before: str | None = None
    left_out: int = 0
