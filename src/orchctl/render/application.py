"""
What ``apply`` brought over, or what stood in its way.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchctl.render import figures
from orchestrd.protocol import api


def application(done: api.Applied) -> RenderableType:
    """
    One line a path, and the sum; with conflicts only those.
    """
    if done.conflicts:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(overflow="fold", style="red")
        grid.add_column(overflow="fold")
        for conflict in done.conflicts:
            grid.add_row(figures.one_line(conflict.path), figures.one_line(conflict.reason))
        heading = f"{figures.many(len(done.conflicts), 'path')} in the way; nothing was touched:"
        return Group(Text(heading, style="bold red"), grid)
    kinds = (
        ("created", "A", done.created, "green"),
        ("modified", "M", done.modified, "yellow"),
        ("deleted", "D", done.deleted, "red"),
    )
    lines = [
        Text.assemble((f"{letter} ", style), figures.one_line(path))
        for _, letter, paths, style in kinds
        for path in paths
    ]
    told = [f"{len(paths)} {kind}" for kind, _, paths, _ in kinds if paths]
    if done.already:
        told.append(f"{len(done.already)} already there")
    names = figures.one_line(", ".join(done.tasks))
    if not told:
        return Text(f"{names}: no changes to bring over.")
    if done.dry_run:
        lines.append(
            Text(f"{names}: would bring over {', '.join(told)}.  Dry run: nothing was touched.", style="yellow")
        )
    else:
        lines.append(Text(f"{names}: {', '.join(told)}.  Unstaged: look with git status, commit when you like it."))
    return Group(*lines)
