"""
The snapshots of a task's tree, and what was put back.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchctl.render import figures
from orchestrd.protocol import api

_OCCASIONS = {
    "interval": "while it worked",
    "call": "before a call that may delete",
    "cleanup": "before its tree was removed",
    "restore": "before a restore",
}


def listed(found: api.SnapshotList) -> RenderableType:
    """
    One line a snapshot, newest first.
    """
    if not found.snapshots:
        return Text(f"{found.task}: no snapshots.")
    grid = Table.grid(padding=(0, 2))
    for snapshot in found.snapshots:
        left_out = figures.many(snapshot.left_out, "path") + " left out" if snapshot.left_out else ""
        grid.add_row(
            figures.local_time(snapshot.at),
            _OCCASIONS.get(snapshot.occasion, snapshot.occasion),
            Text(snapshot.commit[:12], style="dim"),
            Text(left_out, style="yellow"),
        )
    return Group(Text(found.task, style="bold"), grid)


def restored(done: api.Restored) -> RenderableType:
    """
    What was put where, and how to take it back.
    """
    when = figures.local_time(done.at)
    lines = [Text(f"{done.task}: as it was {when}, in {done.place} ({figures.many(done.paths, 'path')} put back).")]
    if done.left_out:
        lines.append(Text("Some paths were too large for the snapshot, and are as they were before.", style="yellow"))
    if done.before:
        lines.append(Text(f"What was there before is kept: orchctl restore {done.task} takes it back."))
    return Group(*lines)
