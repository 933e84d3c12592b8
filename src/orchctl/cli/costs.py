"""
``costs``: what was spent.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.options import invocation

if TYPE_CHECKING:
    from orchestrd.domain.model import Grouping


def _complete(incomplete: str) -> list[str]:
    from orchestrd.domain.model import Grouping

    return [name for name in Grouping if name.startswith(incomplete)]


def costs(
    ctx: typer.Context,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="WHAT",
            help="day, task, run, model or module; day by default, task when --day is given.",
            autocompletion=_complete,
        ),
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
    from msgspec.structs import replace

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
    query = api.CostQuery(by=_grouping(by or ("task" if day is not None else "day")), day=day, since=since)
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


def _grouping(name: str) -> Grouping:
    from orchctl.failures import Misuse
    from orchestrd.domain.model import Grouping

    try:
        return Grouping(name)
    except ValueError:
        raise Misuse(f"--by {name}: expected one of {', '.join(Grouping)}") from None


def _is_date(text: str) -> bool:
    from datetime import date

    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
