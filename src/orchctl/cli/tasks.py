"""
``submit``, ``status``, ``why``, ``wait``, ``cancel``, ``retry``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.options import DayOption, MaybeTaskArgument, TaskArgument, TasksArgument, invocation

if TYPE_CHECKING:
    from orchctl.client import Client
    from orchctl.invocation import Invocation
    from orchestrd.protocol import api

CHANGE_SECONDS = 30.0
"""How long the daemon may take to record a change: a busy disk holds up an fsync for a while."""
AllOption = Annotated[bool, typer.Option("--all", help="Every task of the day.")]


def submit(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A task file; - reads it from standard input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the day until nothing more happens by itself.")] = False,
) -> None:
    """
    Validate a day's task file and start its tasks.

    Submitting the same file again is safe: it shows what changed.
    """
    from orchctl.failures import Misuse
    from orchestrd.protocol import api

    if dry_run and wait:
        raise Misuse("--dry-run and --wait exclude each other: a dry run starts nothing")
    here = invocation(ctx)
    client = here.client()
    if file == "-":
        params = api.TaskSubmit(path="(standard input)", text=sys.stdin.read(), dry_run=dry_run)
    else:
        params = api.TaskSubmit(path=str(Path(file).absolute()), dry_run=dry_run)
    submitted: api.Submitted = client.call("task.submit", params)
    if here.json:
        here.emit(submitted, lines=wait)
    else:
        from orchctl.render.submission import submission

        here.screen.show(submission(submitted), *([""] if wait else []))
    if wait:
        _follow_day(here, client, submitted)


def status(
    ctx: typer.Context,
    task: MaybeTaskArgument = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay, and show every change.")] = False,
    day: DayOption = None,
) -> None:
    """
    The day at a glance, or everything about one task.
    """
    from orchestrd.protocol import api

    here = invocation(ctx)
    client = here.client()
    query = api.StatusQuery(day=day, task=task)
    if watch:
        _watch(here, client, query)
        return
    found: api.Status = client.call("task.status", query)
    if here.json:
        here.emit(found)
        return
    from orchctl.follow import open_questions

    asked = open_questions(client, found)
    if task is not None and len(found.tasks) == 1:
        from orchctl.render.task import task as detailed

        one = found.tasks[0]
        logs = client.call("task.logs", api.LogsQuery(task=f"{one.day}/{one.id}")) if one.run else None
        question = asked.get(one.question or "")
        here.screen.show(detailed(one, question, logs, found.history, now=time.time(), ascii_only=here.screen.ascii))
        return
    from orchctl.render.day import day as glance

    screen = here.screen
    screen.show(glance(found, asked, width=screen.width, now=time.time(), ascii_only=screen.ascii))


def why(ctx: typer.Context, task: TaskArgument, day: DayOption = None) -> None:
    """
    Why a task is not moving, in one line.
    """
    from orchestrd.protocol import api

    here = invocation(ctx)
    found: api.Why = here.client().call("task.why", api.TaskName(task=task, day=day))
    if here.json:
        here.emit(found)
        return
    from orchctl.render.figures import one_line

    here.screen.line(one_line(found.why))


def wait(
    ctx: typer.Context,
    tasks: TasksArgument = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="TIME", help="Give up after this long: 90, 45s, 90m, 2.5h.")
    ] = None,
    day: DayOption = None,
) -> None:
    """
    Wait until tasks have ended.

    Those named, or all of the day.

    Exit status 0 when all of them succeeded, 1 when one did not or the time was up.
    """
    from orchctl.client import OUTLAST_SECONDS
    from orchctl.failures import Misuse
    from orchestrd.config import seconds
    from orchestrd.protocol import api

    here = invocation(ctx)
    try:
        limit = None if timeout is None else seconds(timeout)
    except ValueError as error:
        raise Misuse(f"--timeout: {error}") from None
    params = api.Wait(tasks=tasks or [], day=day, timeout=limit)
    patience = None if limit is None else limit + 30.0
    waited: api.Waited = here.client().call("task.wait", params, timeout=patience, outlast=OUTLAST_SECONDS)
    if here.json:
        here.emit(waited)
    else:
        from rich.text import Text

        from orchctl.render import states

        for name, state in waited.states.items():
            here.screen.line(Text(f"{name}  ") + states.state(state, ascii_only=here.screen.ascii))
        if waited.timed_out:
            here.screen.line("The time was up before every task had ended.")
        elif not waited.done:
            here.screen.line("Nothing more happens by itself: see orchctl status.")
    if not waited.done or any(state != "succeeded" for state in waited.states.values()):
        raise typer.Exit(1)


def cancel(
    ctx: typer.Context, tasks: TasksArgument = None, everything: AllOption = False, day: DayOption = None
) -> None:
    """
    Stop tasks for good; what they did so far is kept.

    Works without a daemon, too.
    """
    from orchestrd.protocol import api

    _change(ctx, "task.cancel", "cancelled", api.TaskNames(tasks=tasks or [], day=day, all=everything))


def retry(
    ctx: typer.Context,
    tasks: TasksArgument = None,
    everything: AllOption = False,
    day: DayOption = None,
    account: Annotated[
        bool,
        typer.Option("--account", help="No task, but the account: have it tried now, whatever all agents wait for."),
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="ID",
            help="Let the one task go on where it was, and do exactly what it was denied: a violation's id, as status shows "
            "it.  Repeatable; taken back with orchctl policy disallow.",
        ),
    ] = None,
) -> None:
    """
    Try ended tasks again, or the account that all agents share.
    """
    from orchctl.failures import Misuse
    from orchestrd.protocol import api

    if account:
        _retry_account(ctx, alone=not tasks and not everything and day is None and not allow)
        return
    if allow and (everything or len(tasks or []) != 1):
        raise Misuse("--allow goes with one task", hint="What is denied, and under which id: orchctl status TASK")
    names = api.TaskRetry(tasks=tasks or [], day=day, all=everything, allow=allow or [])
    _change(ctx, "task.retry", "queued again", names)


def _retry_account(ctx: Any, *, alone: bool) -> None:
    from orchctl.failures import Misuse
    from orchestrd.protocol import api

    if not alone:
        raise Misuse("--account goes with no task", hint="Tasks that wait for the account go on by themselves.")
    here = invocation(ctx)
    found: api.AccountRetried = here.client().call("account.retry", api.AccountRetry(), timeout=CHANGE_SECONDS)
    if here.json:
        here.emit(found)
        return
    from orchctl.render.figures import one_line

    done = "Tried now" if found.changed else "Being tried already"
    here.screen.line(one_line(f"{done}: one agent first, then the others.  What was the matter: {found.reason}"))


def _change(ctx: Any, method: str, done: str, names: api.TaskNames) -> None:
    from orchctl.failures import Misuse

    if bool(names.tasks) == names.all:
        raise Misuse("name tasks, or say --all", hint="Their names: orchctl status")
    here = invocation(ctx)
    changed = _changed(here, method, names)
    if here.json:
        here.emit(changed)
        return
    for name in changed.changed:
        here.screen.line(f"{name}  {done}")
    for name in changed.unchanged:
        here.screen.line(f"{name}  unchanged")
    for text in changed.notes:
        here.screen.line(text)
    if not changed.changed and not changed.unchanged and not changed.notes:
        here.screen.line("Nothing to do.")


def _changed(here: Invocation, method: str, names: api.TaskNames) -> api.Changed:
    """
    What the daemon did, or, where an end may not wait for one, what was done without it.
    """
    from orchctl import launcher, offline
    from orchctl.failures import Unreachable

    try:
        changed: api.Changed = here.client().call(method, names, timeout=CHANGE_SECONDS)
    except Unreachable:
        # One that holds the home and does not answer may act on the call yet: only it, or its end, can tell.
        if method != "task.cancel" or launcher.running(here.client()) is not None:
            raise
        return offline.cancel(here.home, names)
    return changed


def _watch(here: Invocation, client: Client, query: api.StatusQuery) -> None:
    from orchctl.follow import follow

    if here.json:
        follow(
            client,
            query,
            show=lambda status, _: here.emit(status, lines=True),
            tick=lambda: None,
            until=lambda _: False,
        )
        return
    from orchctl.render.live import view

    with view(here.screen) as shown:
        follow(client, query, show=shown.show, tick=shown.tick, until=lambda _: False)


def _follow_day(here: Invocation, client: Client, submitted: api.Submitted) -> None:
    """
    Show the day until it is settled; exit status 1 unless every task of the file succeeded.
    """
    from orchctl.follow import follow
    from orchestrd.protocol import api

    names = [*submitted.accepted, *submitted.unchanged, *submitted.updated]
    query = api.StatusQuery(day=submitted.day)
    try:
        if here.json:
            last = follow(client, query, show=lambda *_: None, tick=lambda: None, until=lambda status: status.settled)
        else:
            from orchctl.render.live import closing, view

            with view(here.screen) as shown:
                last = follow(client, query, show=shown.show, tick=shown.tick, until=lambda status: status.settled)
            here.screen.line(closing(last, names))
    except KeyboardInterrupt:
        typer.echo("\nThe agents go on.  Look again with: orchctl status --watch", err=True)
        raise
    if any(task.state != "succeeded" for task in last.tasks if task.id in names):
        raise typer.Exit(1)
