"""
``report``, ``events``, ``inspect``: what happened.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.options import DayOption, invocation

if TYPE_CHECKING:
    from orchctl.client import Client
    from orchctl.history import History
    from orchctl.invocation import Invocation
    from orchestrd.domain.budget import PriceTable
    from orchestrd.protocol import api
    from orchestrd.protocol.inspection import Inspection

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_CHUNK = 1024 * 1024
NEWEST = 200
"""Facts shown when nothing else is said."""
FOLLOWED = 10
"""Facts shown before following, as ``tail -f`` does."""


def report(
    ctx: typer.Context,
    day: Annotated[
        str | None, typer.Argument(metavar="[DAY|FILE]", help="2026-11-22, or a task file; the newest day by default.")
    ] = None,
) -> None:
    """
    Write and print a day's report.
    """
    from orchestrd.protocol import api

    here = invocation(ctx)
    named = None if day is None else _day_of(day)
    found: api.ReportFiles = here.client().call("report.get", api.ReportQuery(day=named))
    if here.json:
        here.emit(found)
        return
    if here.screen.terminal:
        from rich.markdown import Markdown

        from orchctl.render.figures import safe

        here.screen.show(Markdown(safe(found.markdown)))
    else:
        here.screen.write(found.markdown if found.markdown.endswith("\n") else f"{found.markdown}\n")
    # Not part of the report: a file it is written to stays clean.
    typer.echo(f"\n{found.path}", err=True)


def events(
    ctx: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with each new fact.")] = False,
    since: Annotated[
        int | None, typer.Option("--since", metavar="SEQ", min=0, help="Facts above this number, all of them.")
    ] = None,
    task: Annotated[str | None, typer.Option("--task", metavar="TASK", help="Only facts about this task.")] = None,
    day: DayOption = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", metavar="N", min=1, help="At most so many; the newest 200 by default."),
    ] = None,
) -> None:
    """
    The journal: what happened, one line each.

    With --json, one object a line.
    """
    from orchctl.history import History

    here = invocation(ctx)
    client = here.client()
    history = History(client, task=task, day=day)
    if since is None:
        backlog: Iterable[api.EventRecord] = history.newest(limit or (FOLLOWED if follow else NEWEST))
    else:
        backlog = history.since(since)
    new = _from_now_on(client, history, task, day) if follow else ()
    for record in islice(chain(backlog, new), limit if since is not None else None):
        _tell(here, record)


def inspect(
    ctx: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Captured stream-json files.")],
) -> None:
    """
    What captured streams hold.

    Session, model, cost, tokens, tool calls, questions, errors.  Works without a daemon.
    """
    here = invocation(ctx)
    prices = _prices(here)
    found = [_inspect(name, prices) for name in files]
    if here.json:
        here.emit(found[0] if len(found) == 1 else found)
        return
    from orchctl.render.captured import captured

    for place, one in enumerate(found):
        here.screen.show(*([""] if place else []), captured(one))


def _from_now_on(client: Client, history: History, task: str | None, day: str | None) -> Iterator[api.EventRecord]:
    """
    The facts that come after those of *history*, as they come.
    """
    from orchctl.render.fact import about

    wanted = _full_name(client, task, day) if task else day
    with closing(client.subscribe(history.last)) as news:
        for record in news:
            subject = about(record.event)
            if wanted is None or subject == wanted or subject.startswith(f"{wanted}/"):
                yield record


def _tell(here: Invocation, record: api.EventRecord) -> None:
    if here.json:
        here.emit(record, lines=True)
        return
    from orchctl.render.fact import fact

    here.screen.line(fact(record))


def _full_name(client: Client, task: str, day: str | None) -> str:
    from orchestrd.protocol import api

    if "/" in task:
        return task
    found: api.Status = client.call("task.status", api.StatusQuery(task=task, day=day))
    return f"{found.tasks[0].day}/{found.tasks[0].id}" if found.tasks else task


def _day_of(text: str) -> str:
    """
    *text* when it is a date, else the date of the task file it names.
    """
    from orchctl.failures import Misuse
    from orchestrd.errors import NotFound

    if _DAY.fullmatch(text):
        return text
    import yaml

    try:
        data = yaml.safe_load(Path(text).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"{text}: neither a date nor a file", hint="Name a day as 2026-11-22.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Misuse(f"{text}: cannot be read as a task file: {error}") from None
    date = str(data.get("date", "")) if isinstance(data, dict) else ""
    if not _DAY.fullmatch(date):
        raise Misuse(f"{text}: has no date: YYYY-MM-DD")
    return date


def _prices(here: Invocation) -> PriceTable:
    """
    The home's prices, or the packaged ones outside of any home.
    """
    import msgspec

    from orchctl.failures import Misuse
    from orchestrd.config import load_prices, packaged_prices
    from orchestrd.domain.budget import PriceTable

    try:
        settings = load_prices(here.home)
    except Misuse:
        if here.named_home is not None:
            raise
        settings = packaged_prices()
    return msgspec.convert(msgspec.to_builtins(settings), PriceTable)


def _inspect(name: str, prices: PriceTable) -> Inspection:
    from orchctl.failures import Misuse
    from orchestrd.errors import NotFound
    from orchestrd.protocol.inspection import Inspector

    inspector = Inspector(name, price=prices.cost)
    try:
        if name == "-":
            while chunk := sys.stdin.buffer.read(_CHUNK):
                inspector.feed(chunk)
        else:
            with Path(name).open("rb", buffering=0) as file:
                while chunk := file.read(_CHUNK):
                    inspector.feed(chunk)
    except FileNotFoundError:
        raise NotFound(f"{name}: no such file") from None
    except OSError as error:
        raise Misuse(f"{name}: cannot be read: {error.strerror}") from None
    return inspector.finish()
