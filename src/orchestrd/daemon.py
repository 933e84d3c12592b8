"""
The composition root: build everything, start it in order, drain it in order.

Start-up is recovery: there is no other start.  The order is lock, journal, repository, writer, adoption of live runs,
loops, socket, and only then the word to the service manager; whoever can connect finds the daemon whole.  At the end agents are left running: the next daemon takes
them up.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus

from orchestrd import __version__, heap
from orchestrd.address import home_name, socket_places
from orchestrd.beside import beside
from orchestrd.clock import Clock, SystemClock
from orchestrd.config import load_config, load_prices, project_path
from orchestrd.domain import consequences
from orchestrd.domain import events as ev
from orchestrd.edges import signals
from orchestrd.edges.endpoint import Endpoint
from orchestrd.edges.handlers import Handlers
from orchestrd.edges.knock import knock
from orchestrd.edges.rpc import Server
from orchestrd.edges.systemd import Service
from orchestrd.errors import StorageError, Unsettled
from orchestrd.failpoint import failpoint
from orchestrd.logs import get_logger
from orchestrd.protocol.api import Doctor
from orchestrd.rulebook import load_rulebook
from orchestrd.runner.homelock import take
from orchestrd.runner.scopes import Scopes
from orchestrd.runner.sweep import end_marked
from orchestrd.services.bus import Bus
from orchestrd.services.commands import Commands
from orchestrd.services.freezer import Freezer
from orchestrd.services.preflight import Preflight
from orchestrd.services.pulse import WATCHDOG_SECONDS, Pulse
from orchestrd.services.questions import Questions
from orchestrd.services.reports import Reports
from orchestrd.services.restoring import Restorer
from orchestrd.services.runs import Runs
from orchestrd.services.sandboxes import Sandboxes
from orchestrd.services.scheduler import Scheduler
from orchestrd.services.settings import settings_from
from orchestrd.services.snapshots import Snapshots
from orchestrd.services.standstill import Standstill
from orchestrd.services.store import Store
from orchestrd.services.submissions import Submissions
from orchestrd.services.supervisor import Supervisor
from orchestrd.services.views import summary
from orchestrd.services.work import Works
from orchestrd.sizes import size
from orchestrd.storage.home import Home, announce
from orchestrd.workspace import worktree
from orchestrd.workspace.custody import held, open_whole
from orchestrd.workspace.git import MARK as GIT_MARK

log = get_logger(__name__)
HEAP_SECONDS = 60.0
HOME_SECONDS = 2.0
"""Between two looks whether the home is still there."""
Start = Callable[..., Coroutine[Any, Any, None]]
"""A loop as a task group starts it."""
DRAIN_SECONDS = 4.0
"""How long a daemon that was told to stop may take to leave in good order."""


class Daemon:
    """
    The parts of one daemon, put together.
    """

    def __init__(
        self, home: Home, environ: dict[str, str], clock: Clock, service: Service, stop: Callable[[], None]
    ) -> None:
        """
        Read the settings and take the home; *stop* is called when a client asks the daemon to leave.

        Raises `ConfigError`, `StorageError`, `AlreadyRunning`.
        """
        self._environ = environ
        self._clock = clock
        self._service = service
        self._stop = stop
        self.home = home
        config = load_config(home.root)
        self._settings = settings_from(config, load_prices(home.root), load_rulebook(home.root))
        home.create()
        service.starting("taking the home")
        self.lock = take(home)
        failpoint("home.locked.before_open")
        self.endpoint = Endpoint(partial(socket_places, home.root, environ), service.listener)
        self.project = project_path(home.root, config)
        self.bus = Bus()
        service.starting("reading the journal")
        follow = partial(consequences.due, limits=self._settings.rules.limits)
        self.store = Store(home.database, self.bus, clock, follow=follow)
        failpoint("recovery.rows_read")
        store, within = self.store, service.watchdog or WATCHDOG_SECONDS
        self.pulse = Pulse(clock, within=within, writers_wait=lambda: store.hindered is not None)
        self._supervisor = Supervisor(clock, self.pulse)
        self.works: Works

    async def loops(self) -> list[Start]:
        """
        Every loop, in the order in which they are started: whoever can connect finds the daemon whole.
        """
        home, store, bus, settings, clock = self.home, self.store, self.bus, self._settings, self._clock
        self._service.starting("opening the repository")
        # What a daemon that was killed left at work in it would go on beside us.
        left = await anyio.to_thread.run_sync(end_marked, GIT_MARK, os.path.realpath(home.git / "work.git"))
        if left:
            log.warning("git.swept", processes=left)
        holds = held(store.state.runs(), store.state.all_snapshots())
        repo = await open_whole(home.git / "work.git", self.project, holds, keep_out=[home.var])
        repo.max_file = size(settings.config.worktree.max_file)
        await worktree.follow(repo, home.workspaces)
        with suppress(Unsettled):
            # By another home's daemon: whoever needs the project waits for it.
            await repo.recover()
        sandboxes = Sandboxes(home, settings, self._environ)
        self._service.starting("trying the sandbox")
        await sandboxes.look()
        preflight = Preflight(home, settings, bus, self._environ, sandboxes)
        questions = Questions(home, store, bus, settings.rules.limits)
        scopes = Scopes(home=home_name(home.root)[:8], memory_max=settings.memory_max, environ=self._environ)
        snapshots = Snapshots(home, store, settings.snapshots, clock, repo)
        runs = Runs(
            home,
            store,
            bus,
            settings,
            clock,
            repo,
            preflight,
            questions,
            self._environ,
            snapshots,
            sandboxes,
            scopes=scopes if self._service.managed else None,
        )
        scheduler = Scheduler(home, store, bus, settings, clock, runs, preflight, self.project)
        freezer = Freezer(home, store, bus)
        reports = Reports(home, store, bus, settings, clock, runs, scheduler)
        self.works = Works(store, repo)
        commands = Commands(store, clock)
        handlers = Handlers(
            home=home,
            project=self.project,
            version=__version__,
            started_at=clock.wall(),
            stop=self._stop,
            store=store,
            bus=bus,
            settings=settings,
            clock=clock,
            runs=runs,
            scheduler=scheduler,
            questions=questions,
            reports=reports,
            preflight=preflight,
            sandboxes=sandboxes,
            submissions=Submissions(store, settings, clock, preflight, self.project),
            works=self.works,
            restorer=Restorer(home, store, clock, repo, snapshots),
            commands=commands,
            standstill=Standstill(store, commands, freezer),
        )
        server = Server(self.endpoint, handlers.table(), partial(announce, self.lock))
        core, side, pulse = self._supervisor.core, self._supervisor.side, self.pulse
        return [
            partial(core, "freezer", partial(freezer.run, pulse)),
            partial(side, "preflight", partial(preflight.run, pulse)),
            partial(side, "snapshots", partial(snapshots.run, pulse)),
            partial(core, "runs", partial(runs.run, pulse)),
            partial(side, "reports", partial(reports.run, pulse)),
            partial(side, "questions", partial(questions.run, pulse)),
            partial(core, "scheduler", partial(scheduler.run, pulse)),
            partial(core, "rpc", server.run),
            partial(side, "knock", partial(knock, self.endpoint, pulse)),
            partial(core, "pulse", partial(pulse.run, store.answer)),
            partial(side, "service", partial(self._service.run, pulse, lambda: summary(store.state), bus.changes)),
        ]

    async def settle(self) -> None:
        """
        Record what an apply brought over before it was recorded; what cannot be read of it holds up nothing else.
        """
        try:
            await self.works.settle()
        except Exception:
            log.exception("apply.unsettled")

    async def write(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Run the single writer.
        """
        await self._supervisor.core("store", self.store.run, task_status=task_status)


async def serve(
    root: Path,
    environ: dict[str, str],
    *,
    clock: Clock | None = None,
    service: Service | None = None,
    task_status: TaskStatus[Path] = anyio.TASK_STATUS_IGNORED,
    draining: Callable[[], None] = lambda: None,
) -> None:
    """
    Serve the home *root* until told to stop by SIGTERM, SIGINT or ``daemon.stop``, also while it starts; started with the
    socket's path.

    *service* is what a service manager gave; *draining* is called when the daemon is told to stop, by a thread too, and
    perhaps twice.

    Raises `ConfigError`, `StorageError`, `AlreadyRunning`, `ServiceFailed`.
    """
    clock = clock or SystemClock()
    service = service or Service()
    stopping = anyio.Event()

    def stop() -> None:
        if not stopping.is_set():
            draining()
            service.stopping()
            stopping.set()

    daemon = Daemon(Home(root.resolve()), environ, clock, service, stop)
    async with beside() as hearing:
        await hearing.start(signals.watch, stop, draining)
        with anyio.CancelScope() as starting:
            hearing.start_soon(_leave, stopping, starting)
            parts = await daemon.loops()
        if not stopping.is_set():
            service.starting("taking up live runs")
            await _live(daemon, parts, service, stopping, task_status)
    log.info("daemon.stopped", agents=sum(run.open for run in daemon.store.state.runs()))


async def _live(
    daemon: Daemon, parts: list[Start], service: Service, stopping: anyio.Event, task_status: TaskStatus[Path]
) -> None:
    """
    Run the *parts* until the daemon is told to stop, which it may be while they are started.
    """
    store = daemon.store
    async with anyio.create_task_group() as writing:
        await writing.start(daemon.write)
        # Not waited for: on a full disk it comes later, and whoever asks is answered all the same.
        writing.start_soon(store.record, ev.DaemonStarted(pid=os.getpid(), version=__version__))
        writing.start_soon(daemon.settle)
        async with anyio.create_task_group() as loops:
            loops.start_soon(_leave, stopping, loops.cancel_scope)
            for part in parts:
                await loops.start(part)
            loops.start_soon(_watch_home, daemon.home, daemon.lock)
            loops.start_soon(_stay_small)
            loops.start_soon(store.prove)
            announce(daemon.lock, daemon.endpoint.path)
            log.info("daemon.ready", socket=str(daemon.endpoint.path), project=str(daemon.project))
            service.ready()
            task_status.started(daemon.endpoint.path)
            await stopping.wait()
        with anyio.CancelScope(shield=True), anyio.move_on_after(3):
            await store.record(ev.DaemonStopped(pid=os.getpid()))
        writing.cancel_scope.cancel()


async def _leave(stopping: anyio.Event, scope: anyio.CancelScope) -> None:
    """
    Cancel *scope* once the daemon is told to stop.
    """
    await stopping.wait()
    scope.cancel()


async def check(root: Path, environ: dict[str, str]) -> Doctor:
    """
    What agents of this home need, looked at without a daemon.

    Raises `ConfigError`.
    """
    config = load_config(root)
    home, settings = Home(root), settings_from(config, load_prices(root), load_rulebook(root))
    preflight = Preflight(home, settings, Bus(), environ, Sandboxes(home, settings, environ))
    checks = await preflight.findings(project_path(root, config))
    return Doctor(ok=all(found.status != "problem" for found in checks), checks=checks)


async def _stay_small() -> None:
    """
    Give back now and then what the heap holds for nothing.
    """
    while True:
        await anyio.sleep(HEAP_SECONDS)
        await anyio.to_thread.run_sync(heap.trim)


async def _watch_home(home: Home, lock: int) -> None:
    """
    Leave when the home's state is moved or removed: what is open would go on being written where nobody looks for it, and
    another daemon could take the place.

    Raises `StorageError`; agents, which write into folders they hold open, go on.
    """
    while True:
        await anyio.sleep(HOME_SECONDS)
        if not await anyio.to_thread.run_sync(home.holds, lock):
            raise StorageError(
                f"{home.lock_file}: it was removed or replaced under this daemon, which leaves; agents go on",
                hint="Put the folder back where it was, then start the daemon again.",
            )


def bound_drain(seconds: float = DRAIN_SECONDS) -> None:
    """
    End this process, as a success, after *seconds*, whatever it still does.

    What holds a drain up (a thread on a disk that hangs, a program in its way) is not worth waiting for: what was acknowledged
    is on disk, what was not never happened, and the next daemon starts from that as from any other end.
    """

    def cut() -> None:
        sys.stderr.write(f"orchestrd: not drained within {seconds:g} s; left all the same, nothing is lost by it\n")
        sys.stderr.flush()
        os._exit(0)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
