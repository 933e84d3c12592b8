"""
What facts about snapshots of a task's tree change.
"""

from __future__ import annotations

from msgspec.structs import replace

from orchestrd.domain import events as ev
from orchestrd.domain.fold.base import Folds, known_run, known_task
from orchestrd.domain.rows import Row, SnapshotsRow, Taken
from orchestrd.domain.state import State


def _snapshot_taken(state: State, e: ev.SnapshotTaken, at: float) -> list[Row]:
    row = _known(state, e.task)
    taken = Taken(commit=e.commit, tree_id=e.tree_id, at=at, occasion=e.occasion, left_out=len(e.left_out))
    return [replace(row, taken=(*row.taken, taken))]


def _snapshots_dropped(state: State, e: ev.SnapshotsDropped, _: float) -> list[Row]:
    row = _known(state, e.task)
    return [replace(row, taken=tuple(taken for taken in row.taken if taken.commit not in e.commits))]


def _tree_removed(state: State, e: ev.TreeRemoved, _: float) -> list[Row]:
    row = _known(state, e.task)
    return [] if e.commit in row.removed else [replace(row, removed=(*row.removed, e.commit))]


def _tree_restored(state: State, e: ev.TreeRestored, at: float) -> list[Row]:
    rows: list[Row] = [replace(_known(state, e.task), restored_at=at)]
    if e.result:
        rows.append(replace(known_run(state, e.run), result=e.result, files=e.files, file_count=e.file_count))
    return rows


def _known(state: State, task: str) -> SnapshotsRow:
    return state.snapshots(known_task(state, task).key) or SnapshotsRow(task=task)


FOLDS: Folds = {
    ev.SnapshotTaken: _snapshot_taken,
    ev.SnapshotsDropped: _snapshots_dropped,
    ev.TreeRemoved: _tree_removed,
    ev.TreeRestored: _tree_restored,
}
