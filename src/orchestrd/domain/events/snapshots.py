"""
Facts about snapshots of a task's tree: taken, let go, and what stands on them.
"""

from __future__ import annotations

from enum import StrEnum

from orchestrd.domain.events.base import TaskEvent
from orchestrd.domain.events.runs import FileChange


class Occasion(StrEnum):
    """
    Why a snapshot was taken: time had passed, a tool call may delete or overwrite, the tree was about to be removed, or to be
    restored.
    """

    INTERVAL = "interval"
    CALL = "call"
    CLEANUP = "cleanup"
    RESTORE = "restore"


class SnapshotTaken(TaskEvent, frozen=True, kw_only=True, tag="task.snapshot_taken"):
    """
    The tree of the task was kept as it lay on disk: *commit*, in the daemon's own repository, is named by a ref, and both were
    on disk before this was written.

    *tree_id* is the id of the git tree in it; *call* the tool call that it was taken for.  *left_out* are the first paths that
    are not in it, a folder's with a ``/`` at its end: they are too large, lie too deep
    or are closed to the daemon.
    """

    commit: str
    tree_id: str
    occasion: Occasion
    run: str = ""
    call: str = ""
    left_out: tuple[str, ...] = ()


class SnapshotsDropped(TaskEvent, frozen=True, kw_only=True, tag="task.snapshots_dropped"):
    """
    The snapshots *commits* of the task are not kept any more: they are old, and others stand for them, or they were given up with
    a lost repository.
    """

    commits: tuple[str, ...]


class TreeRemoved(TaskEvent, frozen=True, kw_only=True, tag="task.tree_removed"):
    """
    The tree of the task is about to be removed; all that was in it is in *commit*.
    """

    commit: str


class TreeRestored(TaskEvent, frozen=True, kw_only=True, tag="task.tree_restored"):
    """
    The person had the snapshot *commit* put back: into the task's tree, or, when *into* names one, into that folder.

    *before* is the snapshot of what was in the tree until then, empty where there was no tree.
    """

    commit: str
    before: str = ""
    into: str = ""
    run: str = ""
    """The run whose work it is, where it had work; its *result* is a commit then, and *files* the first paths it changes."""
    result: str = ""
    files: tuple[FileChange, ...] = ()
    file_count: int = 0
    by: str = ""
