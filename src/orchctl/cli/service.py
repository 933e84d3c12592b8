"""
``service install|uninstall|status``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from orchctl.cli.options import Command, Group, Look, invocation

if TYPE_CHECKING:
    from orchctl.invocation import Invocation
    from orchctl.service import ServiceState

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="The daemon as a systemd user service: started at boot, again when it fails or hangs.",
)


@app.command("install", cls=Command)
def install(ctx: typer.Context) -> None:
    """
    Make this home's daemon a service, and start it.

    Writes a service and a socket unit, or writes them anew; a daemon that runs already hands over, and agents go on.
    """
    from orchctl import service

    here = invocation(ctx)
    state = service.install(here.home, here.client(), os.environ)
    if not here.json:
        for path in state.changed:
            typer.echo(f"Written: {path}")
    _tell(here, state)
    if not here.json:
        typer.echo(f"Agents find what PATH named just now. Keys belong into {here.home / service.ENV_FILE}, NAME=value")
        typer.echo("a line, readable for you alone (chmod 600); then: orchctl daemon restart")


@app.command("uninstall", cls=Command)
def uninstall(ctx: typer.Context) -> None:
    """
    End the service and remove its units.

    Agents go on; `orchctl daemon start` takes them over.
    """
    from orchctl import service

    here = invocation(ctx)
    state = service.uninstall(here.home, os.environ)
    if here.json:
        here.emit(state)
        return
    for path in state.changed:
        typer.echo(f"Removed: {path}")
    if not state.changed:
        typer.echo("This home has no service.")


@app.command("status", cls=Look)
def status(ctx: typer.Context) -> None:
    """
    How the service stands.

    Exit status 1 when it does not run.
    """
    from orchctl import service

    here = invocation(ctx)
    state = service.status(here.home, os.environ)
    _tell(here, state)
    if state.state != "active":
        raise typer.Exit(1)


def _tell(here: Invocation, state: ServiceState) -> None:
    if here.json:
        here.emit(state)
        return
    if not state.installed:
        typer.echo("This home has no service. Make one: orchctl service install")
        return
    process = f", process {state.pid}" if state.pid else ""
    boot = "starts by itself" if state.enabled else "does not start by itself"
    typer.echo(f"Service {state.unit}: {state.state}{process}, {boot}")
    if state.says:
        typer.echo(state.says)
    for note in state.notes:
        typer.echo(f"! {note}")
