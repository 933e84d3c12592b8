"""
``costs``: what was spent.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer
from msgspec.structs import replace

from orchctl.cli.options import invocation


class By(StrEnum):
    """
    What spend is summed by.
    """

    DAY = "day"
    TASK = "task"
    RUN = "run"
    MODEL = "model"
    MODULE = "module"


def costs(
    ctx: typer.Context,
    by: Annotated[
        By | None, typer.Option("--by", help="Summed by what; by day, or by task when --day is given.")
    ] = None,
    day: Annotated[str | None, typer.Option("--day", metavar="DATE", help="Only this day, 2026-11-22.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="DATE", help="From this day on.")] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Comma-separated values with a heading, nothing rounded.")
    ] = False,
) -> None:
    """
    What was spent: every day, or the newest day by task, run, model or module.
    """
    from orchctl.failures import Misuse
    from orchestrd.protocol import api

    here = invocation(ctx)
    for name, value in (("--day", day), ("--since", since)):
        if value is not None and not _is_date(value):
            raise Misuse(f"{name} {value}: expected a date such as 2026-11-22")
    if day is not None and since is not None:
        raise Misuse("--day and --since exclude each other")
    if as_csv and here.json:
        raise Misuse("--csv and --json exclude each other")
    grouping = by or (By.TASK if day is not None else By.DAY)
    query = api.CostQuery(by=grouping.value, day=day, since=since)
    client = here.client()
    found: api.Costs = client.call("cost.list", query)
    page = found
    while page.next_offset is not None:
        page = client.call("cost.list", replace(query, offset=page.next_offset))
        found.lines += page.lines
    found.next_offset = None
    if here.json:
        here.emit(found)
    elif as_csv:
        from orchctl.render.cost import comma_separated

        comma_separated(found, sys.stdout)
    else:
        from orchctl.render.cost import table

        here.screen.show(table(found))


def _is_date(text: str) -> bool:
    from datetime import date

    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
