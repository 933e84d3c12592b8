"""
The doctor's findings.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchctl.render import figures, states
from orchestrd.protocol import api


def checkup(result: api.Doctor, *, verdict: str = "Ready.", ascii_only: bool = False) -> RenderableType:
    """
    What was mended, then one line a finding, its hint below, and *verdict* when there is no problem.
    """
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for check in result.checks:
        detail = Text(figures.one_line(check.detail))
        if check.hint and check.status != "ok":
            detail.append(f"\n{figures.safe(check.hint).strip()}", style="dim")
        grid.add_row(states.finding(check.status, ascii_only=ascii_only), check.name, detail)
    problems = sum(check.status == "problem" for check in result.checks)
    mended = [
        Text(f"mended {figures.one_line(f'{done.what} {done.subject}: {done.detail}')}") for done in result.repairs
    ]
    said = (
        Text(verdict, style="green") if result.ok else Text(f"{figures.many(problems, 'problem')}.", style="bold red")
    )
    return Group(*mended, *([Text("")] if mended else []), grid, Text(""), said)
