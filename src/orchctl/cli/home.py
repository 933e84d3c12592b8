"""
``init``, ``doctor``, ``schema``.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.options import Group, Look, invocation

if TYPE_CHECKING:
    from orchctl.invocation import Invocation
    from orchestrd.protocol import api

schema = typer.Typer(cls=Group, no_args_is_help=True, help="The shapes of the files that people write.")


def init(
    ctx: typer.Context,
    project: Annotated[
        Path,
        typer.Option("--project", metavar="PATH", help="The git repository that agents work on.", show_default=False),
    ],
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The home to make; the current folder by default.")
    ] = None,
) -> None:
    """
    Make a home: settings, texts for agents, an example day.

    Files that exist already are kept as they are.
    """
    from orchctl.founding import found

    here = invocation(ctx)
    made = found(directory or here.named_home or Path(), project)
    if here.json:
        here.emit(made)
        return
    from orchctl.render.founding import founding

    here.screen.show(founding(made, cwd=Path.cwd(), today=time.strftime("%Y-%m-%d")))


def doctor(
    ctx: typer.Context,
    deep: Annotated[
        bool, typer.Option("--deep", help="Look whether the home itself is whole: journal, streams, money, processes.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend before what is safe, and say what; not while a daemon runs.")
    ] = False,
) -> None:
    """
    Check what agents need.

    The agent CLI, its login, the project, the settings.  Works without a daemon.

    Exit status 1 when there is a problem.
    """
    from orchctl import launcher

    here = invocation(ctx)
    whole = deep or repair
    result = launcher.examine(here.home, deep=True, repair=repair) if whole else _needs(here)
    if here.json:
        here.emit(result)
    else:
        from orchctl.render.checkup import checkup

        here.screen.show(checkup(result, verdict="Whole." if whole else "Ready.", ascii_only=here.screen.ascii))
    if not result.ok:
        raise typer.Exit(1)


def _needs(here: Invocation) -> api.Doctor:
    """
    What agents need, asked of the daemon when there is one.
    """
    from orchctl import launcher
    from orchestrd.protocol import api

    client = here.client()
    daemon = launcher.running(client)
    result: api.Doctor = launcher.examine(here.home) if daemon is None else client.call("daemon.doctor")
    if not any(check.name == "daemon" for check in result.checks):
        detail = "not running" if daemon is None else f"running, process {daemon.pid}, version {daemon.version}"
        hint = "orchctl daemon start" if daemon is None else ""
        status = "warning" if daemon is None else "ok"
        result.checks.append(api.DoctorCheck(name="daemon", status=status, detail=detail, hint=hint))
    return result


@schema.command("tasks", cls=Look)
def schema_tasks(ctx: typer.Context) -> None:
    """
    Print the JSON Schema of a task file, for editors.
    """
    from orchestrd.domain.taskfile.schema import task_file_schema

    invocation(ctx).emit(task_file_schema())
