"""
``freeze``, ``thaw``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from orchctl.cli.options import invocation

if TYPE_CHECKING:
    from orchctl.invocation import Invocation
    from orchestrd.protocol import api

PATIENCE = 3.0
"""Seconds for the daemon to answer before the trees are stopped without it."""


def freeze(ctx: typer.Context) -> None:
    """
    Stop everything now, reversibly.

    No task starts, and every process of every agent stands still, until `orchctl thaw`.  Works without a daemon, too.
    """
    from orchctl import offline

    here = invocation(ctx)
    _tell(here, _done(here, "home.freeze", offline.freeze))


def thaw(ctx: typer.Context) -> None:
    """
    Let everything that was frozen go on.
    """
    from orchctl import offline

    here = invocation(ctx)
    _tell(here, _done(here, "home.thaw", offline.thaw))


def _done(here: Invocation, method: str, without: Callable[[Path], api.Frozen]) -> Any:
    from orchctl.failures import Unreachable
    from orchestrd.protocol import api

    try:
        return here.client().call(method, api.Freeze(), timeout=PATIENCE)
    except Unreachable:
        return without(here.home)


def _tell(here: Invocation, found: api.Frozen) -> None:
    if here.json:
        here.emit(found)
        return
    from orchctl.render import figures

    agents = figures.many(len(found.runs), "run")
    if found.frozen:
        since = f" since {figures.clock_time(found.since)}" if found.since else ""
        here.screen.line(f"Frozen{since}: {agents} stand still, nothing starts.  Go on with: orchctl thaw")
    else:
        here.screen.line(f"Thawed: {agents} go on.")
    for note in found.notes:
        here.screen.line(figures.one_line(note))
