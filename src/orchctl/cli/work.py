"""
``diff``, ``apply``, ``logs``: look at an agent's work and take it over.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.options import TaskArgument, TasksArgument, invocation

if TYPE_CHECKING:
    from orchctl.client import Client
    from orchestrd.protocol import api

AttemptOption = Annotated[
    int | None, typer.Option("--attempt", metavar="N", min=1, help="Which run; the newest by default.")
]
ASK_SECONDS = 2.0
"""How often a followed run's end is asked for, beside its own exit record."""


def diff(
    ctx: typer.Context,
    task: TaskArgument,
    stat: Annotated[bool, typer.Option("--stat", help="A summary instead of the lines.")] = False,
    attempt: AttemptOption = None,
) -> None:
    """
    What a task changed.

    On a terminal in colour and through your pager.
    """
    from orchctl.pager import page
    from orchestrd.protocol import api

    here = invocation(ctx)
    colour = sys.stdout.isatty() and not here.json and not os.environ.get("NO_COLOR")
    query = api.DiffQuery(task=task, stat=stat, color=colour, attempt=attempt)
    client = here.client()
    first: api.Diff = client.call("task.diff", query)
    if here.json:
        first.text, first.next_offset = "".join(_parts(client, query, first)), None
        here.emit(first)
        return
    if not first.text and not first.files:
        typer.echo(f"{first.run}: no changes.", err=True)
        return
    page(_parts(client, query, first))


def apply(
    ctx: typer.Context,
    tasks: TasksArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
) -> None:
    """
    Bring tasks' changes over into your tree, unstaged.

    All of them, or nothing when something is in the way: then the exit status is 4.
    """
    from orchctl.failures import REFUSED, Misuse
    from orchestrd.protocol import api

    if not tasks:
        raise Misuse("name at least one task", hint="Their names: orchctl status")
    here = invocation(ctx)
    done: api.Applied = here.client().call("task.apply", api.Apply(tasks=tasks, dry_run=dry_run), timeout=600.0)
    if here.json:
        here.emit(done)
    else:
        from orchctl.render.application import application

        here.screen.show(application(done))
    if done.conflicts:
        raise typer.Exit(REFUSED)


def logs(
    ctx: typer.Context,
    task: TaskArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The agent's own stream, byte for byte.")] = False,
    attempt: AttemptOption = None,
) -> None:
    """
    What an agent said and did, readable.
    """
    from orchctl import tail
    from orchctl.failures import Failed
    from orchestrd.protocol import api

    here = invocation(ctx)
    client = here.client()
    found: api.Logs = client.call("task.logs", api.LogsQuery(task=task, attempt=attempt))
    if here.json:
        here.emit(found)
        return
    read = tail.chunks(Path(found.stdout), live=_Liveness(client, found) if follow else None)
    try:
        if raw:
            for chunk in read:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
            return
        from orchctl.render.transcript import Transcript
        from orchestrd.protocol.claude import ClaudeStream

        stream, transcript = ClaudeStream(), Transcript(ascii_only=here.screen.ascii)
        for chunk in read:
            for message in stream.feed(chunk):
                for line in transcript.lines(message):
                    here.screen.line(line)
        if not found.live or follow:
            for message in stream.finish():
                for line in transcript.lines(message):
                    here.screen.line(line)
    except FileNotFoundError:
        raise Failed(f"{found.stdout}: not there: {found.run} wrote nothing yet") from None
    except PermissionError as error:
        raise Failed(f"{found.stdout}: cannot be read: {error.strerror}") from None


class _Liveness:
    """
    Whether a run goes on: its exit record tells at once; the daemon, asked now and then, when there never is one.
    """

    def __init__(self, client: Client, found: api.Logs) -> None:
        self._client = client
        self._found = found
        self._exit = Path(found.stdout).with_name("exit.json")
        self._asked = time.monotonic()
        self._live = found.live

    def __call__(self) -> bool:
        from orchctl.failures import Unreachable
        from orchestrd.protocol import api

        if self._live and self._exit.exists():
            self._live = False
        if self._live and time.monotonic() - self._asked >= ASK_SECONDS:
            self._asked = time.monotonic()
            query = api.LogsQuery(task=self._found.task, attempt=self._found.attempt)
            try:
                self._live = self._client.call("task.logs", query).live
            except Unreachable:
                # The agent goes on without a daemon, and so do we.
                pass
        return self._live


def _parts(client: Client, query: api.DiffQuery, first: api.Diff) -> Iterator[str]:
    import msgspec

    part = first
    while True:
        yield part.text
        if part.next_offset is None:
            return
        part = client.call("task.diff", msgspec.structs.replace(query, offset=part.next_offset))
