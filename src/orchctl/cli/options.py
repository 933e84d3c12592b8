"""
The options that every command takes, before or after its name: ``--home`` and ``--json``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from orchctl.invocation import Invocation
from orchestrd.ancestry import refuse_runs

BROKEN_PIPE = 141
"""128 + SIGPIPE: whoever read our output went away."""


class Command(TyperCommand):
    """
    A command with the common options, for the person: it changes something, and is refused to agents unless it is only tried.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(_common())

    def changes(self, params: Mapping[str, Any]) -> bool:
        """
        True when something is changed by the command with these *params*.
        """
        return not params.get("dry_run")

    def invoke(self, ctx: Any) -> Any:
        """
        Run the command.  Raises `InsideRun` when an agent gives one that is not for it.
        """
        if self.changes(ctx.params):
            refuse_runs(ctx.command_path, os.environ)
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Else the interpreter's own flush at exit would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(BROKEN_PIPE) from None
        return result


class Look(Command):
    """
    A command that only looks, for agents too.
    """

    def changes(self, params: Mapping[str, Any]) -> bool:
        return bool(params.get("repair"))


class Group(TyperGroup):
    """
    A group of commands with the common options; lists its commands as they were written.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(_common())

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base's signature
        return list(self.commands)


def invocation(ctx: Any) -> Invocation:
    """
    What the command line says apart from its command; any context of one command line gives the same.
    """
    found = ctx.find_root().ensure_object(Invocation)
    assert isinstance(found, Invocation)
    return found


def _common() -> list[TyperOption]:
    home = TyperOption(
        param_decls=["--home"],
        metavar="DIR",
        callback=_take_home,
        expose_value=False,
        help="The home folder; else $ORCHESTRD_HOME, else the nearest one above.",
        rich_help_panel="Everywhere",
    )
    as_json = TyperOption(
        param_decls=["--json"],
        is_flag=True,
        default=False,
        callback=_take_json,
        expose_value=False,
        help="Print JSON instead of text.",
        rich_help_panel="Everywhere",
    )
    return [home, as_json]


def _take_home(ctx: Any, _parameter: Any, value: str | None) -> None:
    if value:
        invocation(ctx).named_home = Path(value).expanduser()


def _take_json(ctx: Any, _parameter: Any, value: bool | None) -> None:
    if value:
        invocation(ctx).json = True


def _complete_task(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    from orchctl.cli.completion import task_names

    return [pair for pair in task_names(invocation(ctx)) if pair[0].startswith(incomplete)]


TASK_HELP = "A task: task-001, or 2026-11-22/task-001."

TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help=TASK_HELP, autocompletion=_complete_task)]
MaybeTaskArgument = Annotated[
    str | None, typer.Argument(metavar="[TASK]", help=TASK_HELP, autocompletion=_complete_task)
]
TasksArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[TASK]...", help=TASK_HELP, autocompletion=_complete_task)
]
DayOption = Annotated[
    str | None, typer.Option("--day", metavar="DATE", help="The day, 2026-11-22; the newest one by default.")
]
