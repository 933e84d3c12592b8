"""
``restore``: a task's tree as it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchctl.cli.options import TaskArgument, invocation


def restore(
    ctx: typer.Context,
    task: TaskArgument,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="As it was then: 10m (ago), 14:05, or '2026-11-22 14:05:30'; or a name from --list.  By default the newest that differs.",
        ),
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="Only list the snapshots there are.")] = False,
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="DIR", help="Into a new folder, and leave the task's tree as it is."),
    ] = None,
) -> None:
    """
    Put a task's tree back as it was, what was deleted in it too.

    What is there now is kept first, so the same command takes it back.  Your project is not touched.
    """
    from orchctl.failures import Misuse
    from orchctl.render.snapshots import listed, restored
    from orchestrd.protocol import api

    here = invocation(ctx)
    if list_only:
        if at is not None or into is not None:
            raise Misuse("--list only lists", hint="Leave out --at and --into.")
        found: api.SnapshotList = here.client().call("task.snapshots", api.SnapshotsQuery(task=task))
        if here.json:
            here.emit(found)
        else:
            here.screen.show(listed(found))
        return
    folder = None if into is None else str(Path.cwd() / into.expanduser())
    wanted = api.Restore(task=task, at=at, into=folder, by="orchctl")
    done: api.Restored = here.client().call("task.restore", wanted, timeout=600.0)
    if here.json:
        here.emit(done)
    else:
        here.screen.show(restored(done))
