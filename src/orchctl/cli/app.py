"""
The root command: what it is, its options, and where its commands are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from orchctl.cli import costs, daemon, freeze, home, policy, questions, reports, service, snapshots, tasks, work
from orchctl.cli.options import Command, Group, Look
from orchestrd import __version__

app = typer.Typer(
    name="orchctl",
    cls=Group,
    help="Hand a day's work to a fleet of agents, and look after it.",
    epilog="Exit status: 0 done, 1 the answer is no, 2 usage, 3 daemon not reachable, 4 refused, 5 not found.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", is_eager=True, callback=lambda v: _version(wanted=v)
        ),
    ] = False,
) -> None:
    """
    Hand a day's work to a fleet of agents, and look after it.
    """


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"orchctl {__version__}")
        raise typer.Exit


_HOME = "Home and daemon"
_COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "The day": {"submit": tasks.submit, "status": tasks.status, "why": tasks.why, "wait": tasks.wait},
    "Tasks and questions": {
        "questions": questions.questions,
        "answer": questions.answer,
        "cancel": tasks.cancel,
        "retry": tasks.retry,
        "logs": work.logs,
    },
    "Work and reports": {
        "diff": work.diff,
        "apply": work.apply,
        "restore": snapshots.restore,
        "report": reports.report,
        "costs": costs.costs,
        "events": reports.events,
        "inspect": reports.inspect,
    },
    _HOME: {"init": home.init, "doctor": home.doctor, "freeze": freeze.freeze, "thaw": freeze.thaw},
}
_LOOKS = frozenset(
    ("status", "why", "wait", "questions", "logs", "diff", "report", "costs", "events", "inspect", "doctor")
)
"""What agents may ask for; everything else is for the person."""
for panel, commands in _COMMANDS.items():
    for name, act in commands.items():
        app.command(name, cls=Look if name in _LOOKS else Command, rich_help_panel=panel)(act)
app.add_typer(daemon.app, name="daemon", rich_help_panel=_HOME)
app.add_typer(service.app, name="service", rich_help_panel=_HOME)
app.add_typer(policy.app, name="policy", rich_help_panel="Work and reports")
app.add_typer(home.schema, name="schema", rich_help_panel=_HOME)
