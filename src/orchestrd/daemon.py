"""
The composition root: build everything, start it in order, drain it in order.

Start-up is recovery: there is no other start.  The order is lock, journal, repository, writer, adoption of live runs,
loops, socket; whoever can connect finds the daemon whole.  At the end agents are left running: the next daemon takes
them up.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TextIO

import anyio
import structlog
from anyio.abc import TaskStatus

from orchestrd.clock import Clock, SystemClock
from orchestrd.config import load_config, load_prices, project_path, socket_path
from orchestrd.domain import events as ev
from orchestrd.edges.handlers import Handlers
from orchestrd.edges.rpc import Server
from orchestrd.protocol.api import Doctor
from orchestrd.services.bus import Bus
from orchestrd.services.commands import Commands
from orchestrd.services.preflight import Preflight
from orchestrd.services.questions import Questions
from orchestrd.services.reports import Reports
from orchestrd.services.runs import Runs
from orchestrd.services.scheduler import Scheduler
from orchestrd.services.settings import settings_from
from orchestrd.services.store import Store
from orchestrd.services.submissions import Submissions
from orchestrd.services.work import Works
from orchestrd.storage.home import Home, announce
from orchestrd.workspace import apply as applying
from orchestrd.workspace.repository import Repository

log = structlog.get_logger(__name__)
VERSION = metadata.version("orchestrd")


async def serve(
    root: Path,
    environ: dict[str, str],
    *,
    clock: Clock | None = None,
    task_status: TaskStatus[Path] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """
    Serve the home *root* until told to stop by SIGTERM, SIGINT or ``daemon.stop``; started with the socket's path.

    Raises `ConfigError`, `StorageError`, `AlreadyRunning`.
    """
    clock = clock or SystemClock()
    config = load_config(root)
    settings = settings_from(config, load_prices(root))
    home = Home(root)
    home.create()
    lock = home.lock()
    path = socket_path(root, environ)
    project = project_path(root, config)
    bus = Bus()
    store = Store(home.database, bus, clock)
    repo = await Repository.open(home.git / "work.git", project, keep_out=[home.var])
    await applying.recover(repo)
    preflight = Preflight(home, settings, bus, environ)
    stopping = anyio.Event()
    questions = Questions(home, store, bus)
    runs = Runs(home, store, bus, settings, clock, repo, preflight, questions, environ)
    scheduler = Scheduler(home, store, bus, settings, clock, runs, preflight, project)
    reports = Reports(home, store, bus, settings, clock, runs, scheduler)
    handlers = Handlers(
        home=home,
        project=project,
        version=VERSION,
        started_at=clock.wall(),
        stop=stopping.set,
        store=store,
        bus=bus,
        settings=settings,
        clock=clock,
        runs=runs,
        scheduler=scheduler,
        questions=questions,
        reports=reports,
        preflight=preflight,
        submissions=Submissions(store, settings, clock, preflight, project),
        works=Works(store, repo),
        commands=Commands(store),
    )
    server = Server(path, handlers.table())
    async with anyio.create_task_group() as writing:
        await writing.start(store.run)
        await store.record(ev.DaemonStarted(pid=os.getpid(), version=VERSION))
        async with anyio.create_task_group() as loops:
            for loop in (preflight, runs, reports, questions, scheduler, server):
                await loops.start(loop.run)
            loops.start_soon(_watch_signals, stopping.set)
            announce(lock, path)
            log.info("daemon.ready", socket=str(path), project=str(project))
            task_status.started(path)
            await stopping.wait()
            loops.cancel_scope.cancel()
        with anyio.CancelScope(shield=True), anyio.move_on_after(3):
            await store.record(ev.DaemonStopped(pid=os.getpid()))
        writing.cancel_scope.cancel()
    log.info("daemon.stopped", agents=sum(run.open for run in store.state.runs()))


async def check(root: Path, environ: dict[str, str]) -> Doctor:
    """
    What agents of this home need, looked at without a daemon.

    Raises `ConfigError`.
    """
    config = load_config(root)
    preflight = Preflight(Home(root), settings_from(config, load_prices(root)), Bus(), environ)
    checks = await preflight.findings(project_path(root, config))
    return Doctor(ok=all(found.status != "problem" for found in checks), checks=checks)


def configure_logging(level: str, stream: TextIO) -> None:
    """
    Log events as lines: for people on a terminal, as JSON anywhere else.  No prompt, no environment.
    """
    plain = stream.isatty()
    # A traceback's local variables hold prompts and the agents' environment: places only.
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if plain else [structlog.processors.ExceptionRenderer(tracebacks)]),
            console if plain else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )


async def _watch_signals(stop: Callable[[], None]) -> None:
    """
    The first signal drains; the second ends the process at once.
    """
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        first = True
        async for number in signals:
            if not first:
                sys.exit(128 + number)
            first = False
            log.info("daemon.draining", signal=number.name)
            stop()
