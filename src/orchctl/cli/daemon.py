"""
``daemon start|stop|restart|status``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from orchctl.cli.options import Command, Group, Look, invocation

if TYPE_CHECKING:
    from orchctl.client import Client
    from orchctl.invocation import Invocation
    from orchestrd.protocol import api

app = typer.Typer(cls=Group, no_args_is_help=True, help="Start and stop the daemon of this home; agents outlive it.")


@app.command("start", cls=Command)
def start(ctx: typer.Context) -> None:
    """
    Start the daemon in the background.
    """
    from orchctl import launcher

    here = invocation(ctx)
    client = here.client()
    already = launcher.running(client)
    _tell(here, already or launcher.start(here.home, client), "already running" if already else "started")


@app.command("stop", cls=Command)
def stop(ctx: typer.Context) -> None:
    """
    End the daemon.

    Its agents go on, and the next daemon takes them over.
    """
    here = invocation(ctx)
    gone = _stop(here, here.client())
    if here.json:
        here.emit(gone)


@app.command("restart", cls=Command)
def restart(ctx: typer.Context) -> None:
    """
    End the daemon if one runs, and start another.

    Agents go on all the while.
    """
    from orchctl import launcher

    here = invocation(ctx)
    _tell(here, launcher.restart(here.home, here.client()), "restarted")


@app.command("status", cls=Look)
def status(ctx: typer.Context) -> None:
    """
    Which daemon serves this home.

    Exit status 3 when none does.
    """
    from orchctl.client import LOOK_SECONDS

    here = invocation(ctx)
    _tell(here, here.client().call("daemon.status", timeout=LOOK_SECONDS), "running")


def _stop(here: Invocation, client: Client) -> api.Stopping | None:
    from orchctl import launcher
    from orchctl.render.figures import many

    gone = launcher.stop(here.home, client)
    if not here.json:
        if gone is None:
            typer.echo("No daemon was running.")
        else:
            agents = f"  {many(gone.agents, 'agent')} still at work; the next daemon takes over." if gone.agents else ""
            typer.echo(f"Daemon stopped (process {gone.pid}).{agents}")
    return gone


def _tell(here: Invocation, found: api.DaemonStatus, what: str) -> None:
    if here.json:
        here.emit(found)
        return
    from orchctl.render import figures

    started = figures.moment(found.started_at)
    age = f", up {figures.span(time.time() - started)}" if started is not None and not what.endswith("started") else ""
    typer.echo(f"Daemon {what}: process {found.pid}, version {found.version}{age}")
    typer.echo(f"Home {found.home or here.home}, {figures.many(found.agents, 'agent')} at work")
    if found.sandbox is not None:
        typer.echo(f"Agents: {figures.one_line(found.sandbox.text)}")
    if found.hold:
        typer.echo(f"Nothing new starts: {figures.one_line(found.hold)}")
