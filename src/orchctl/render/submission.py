"""
What a submission did.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from orchctl.render import figures
from orchctl.render.screen import pairs
from orchestrd.protocol import api


def submission(done: api.Submitted) -> RenderableType:
    """
    The tasks by what became of them, the limit, the forecast when there is one, and the notes.
    """
    heading = Text.assemble((done.day, "bold"))
    if done.dry_run:
        heading.append("  dry run: nothing was started", style="yellow")
    labels = (
        ("New", done.accepted, "green"),
        ("Updated", done.updated, "yellow"),
        ("Unchanged", done.unchanged, "dim"),
        ("Missing", done.missing, "yellow"),
    )
    rows: list[tuple[str, RenderableType]] = [
        (label, Text(", ".join(ids), style=style)) for label, ids, style in labels if ids
    ]
    rows.append(("Limit", f"{figures.money(done.limit_usd)} for the day"))
    forecast = done.forecast
    if forecast.basis_runs and forecast.usd_p50 is not None:
        band = ""
        if forecast.usd_p10 is not None and forecast.usd_p90 is not None:
            band = f", between {figures.money(forecast.usd_p10)} and {figures.money(forecast.usd_p90)} in 8 of 10 cases"
        basis = figures.many(forecast.basis_runs, "run")
        rows.append(("Forecast", f"about {figures.money(forecast.usd_p50)}{band} (from {basis})"))
    notes = [Text(f"Note: {figures.one_line(text)}", style="yellow") for text in done.notes]
    return Group(heading, pairs(rows), *notes)
