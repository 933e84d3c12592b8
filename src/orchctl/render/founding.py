"""
What ``init`` made, and what to do next.
"""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from orchctl.founding import EXAMPLE_FILE, Founded


def founding(made: Founded, *, cwd: Path, today: str) -> RenderableType:
    """
    The files, the notes and the next steps, written for somebody who stands in *cwd* on the day *today*.
    """
    lines: list[RenderableType] = [
        Text.assemble(("Home     ", "dim"), made.home),
        Text.assemble(("Project  ", "dim"), made.project),
        *(Text.assemble(("made     ", "green"), name) for name in made.created),
        *(Text.assemble(("kept     ", "yellow"), f"{name} (was there already)") for name in made.kept),
        *(Text(f"Note: {note}", style="yellow") for note in made.notes),
    ]
    steps = [
        *([] if Path(made.home) == cwd else [(f"cd {os.path.relpath(made.home, cwd)}", "")]),
        ("orchctl doctor", "is everything there that agents need?"),
        (f"cp {EXAMPLE_FILE} tasks/{today}.yaml", "write what you want done, with its date"),
        ("orchctl daemon start", ""),
        (f"orchctl submit tasks/{today}.yaml --wait", "follow the day"),
        ("orchctl report", "in the evening"),
    ]
    wide = max(len(command) for command, why in steps if why)
    lines += [Text(""), Text("Next:", style="bold")]
    lines += [Text.assemble(f"  {command:<{wide}}", (f"  {why}" if why else "", "dim")) for command, why in steps]
    return Group(*lines)
