"""
The live runs: each is carried from its decision to its recorded end, through any number of daemon lives.

Carrying a run is the same whether it was decided a moment ago or is found in the journal at start: what has been done is
seen in the journal and in the run directory, and the rest is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import TaskGroup, TaskStatus

from orchestrd.beside import beside
from orchestrd.clock import Clock
from orchestrd.domain import events as ev
from orchestrd.domain.model import Isolation, TaskState
from orchestrd.domain.outcomes import Ending
from orchestrd.domain.rows import RunPhase, RunRow, TaskRow
from orchestrd.domain.why import KEEPING
from orchestrd.errors import AgentError, OrchestrdError, StorageError
from orchestrd.failpoint import failpoint
from orchestrd.logs import get_logger
from orchestrd.redaction import secrets_of
from orchestrd.runner.checks import end_commands
from orchestrd.runner.gitwatch import Commons
from orchestrd.runner.liveness import begun
from orchestrd.runner.reach import scope_of, sight_of
from orchestrd.runner.scopes import Scopes
from orchestrd.runner.session import Session
from orchestrd.runner.sight import Sight
from orchestrd.runner.takedown import close
from orchestrd.runner.watch import Watch
from orchestrd.services.bench import Bench
from orchestrd.services.bus import Bus
from orchestrd.services.desk import Desk
from orchestrd.services.endings import Endings
from orchestrd.services.pardons import Pardons
from orchestrd.services.patience import when_room
from orchestrd.services.preflight import Preflight
from orchestrd.services.preparation import Preparation
from orchestrd.services.pulse import Pulse
from orchestrd.services.questions import Questions
from orchestrd.services.sandboxes import Sandboxes
from orchestrd.services.settings import Settings
from orchestrd.services.snapshots import Snapshots
from orchestrd.services.store import Store
from orchestrd.services.sweeper import Sweeper
from orchestrd.services.views import Left, Live
from orchestrd.storage.home import Home
from orchestrd.storage.rundir import RunDir
from orchestrd.storage.shortage import patiently
from orchestrd.treefiles import TreeFiles
from orchestrd.workspace.ownfiles import OwnFiles
from orchestrd.workspace.repository import Repository

log = get_logger(__name__)
DoneT = TypeVar("DoneT")
ADOPTION_SECONDS = 10.0
"""
How long a start waits, all in all, for every live run to be taken up; what takes longer goes on beside the service.  Until then no
agent is granted anything, nor begun: nobody knows yet what is left of the money.
"""


class Runs:
    """
    Starts, adopts and finishes runs.
    """

    def __init__(
        self,
        home: Home,
        store: Store,
        bus: Bus,
        settings: Settings,
        clock: Clock,
        repo: Repository,
        preflight: Preflight,
        questions: Questions,
        environ: dict[str, str],
        snapshots: Snapshots,
        sandboxes: Sandboxes,
        scopes: Scopes | None = None,
    ) -> None:
        self._home = home
        self._store = store
        self._bus = bus
        self._settings = settings
        self._clock = clock
        self._repo = repo
        self._environ = environ
        self._scopes = scopes
        self._group: TaskGroup | None = None
        self._sessions: dict[str, Session] = {}
        self._adopting: dict[str, anyio.Event] = {}
        self._followed = anyio.Event()
        """Set once every agent that lived when the daemon started is followed again, or the time for that is up."""
        self._preflight = preflight
        self._snapshots = snapshots
        self._sweeper = Sweeper(home, store, settings.stop_grace)
        self._desk = Desk(store, bus, questions, settings.rules.limits, self._attached, snapshots.keep_tree)
        self._commons = Commons()
        self._preparation = Preparation(home, settings, clock, self._desk, snapshots, sandboxes)
        self._endings = Endings(home, store, self._desk, settings, clock, repo, self._preparation, sandboxes, environ)

    async def run(self, pulse: Pulse, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Take up every open run of the journal, then carry what is started, until cancelled; agents are left alone.

        Started once every live run is followed again, or the time for that is up.
        """
        failpoint("recovery.before_adopt")
        async with anyio.create_task_group() as group:
            self._group = group
            try:
                await self._adopt(group)
                task_status.started()
                await self._supervise(pulse)
            finally:
                # Not once the group has ended, but before it does: what is started in a group that only waits for its last
                # task may never hear that it is cancelled (anyio 4.16 on asyncio), and the drain would wait for it.
                self._group = None

    async def _adopt(self, group: TaskGroup) -> None:
        """
        Take up every open run, and wait for it as long as a start may take.
        """
        await self._sweeper.hold_back(group, ADOPTION_SECONDS)
        adopted = {row.key: anyio.Event() for row in self._store.state.runs() if row.open}
        self._adopting = dict(adopted)
        for run in adopted:
            group.start_soon(self._carry, run)
        self._reckon()
        with anyio.move_on_after(ADOPTION_SECONDS) as budget:
            for event in adopted.values():
                await event.wait()
        if budget.cancelled_caught:
            log.warning("adoption.late", runs=list(self._adopting), seconds=ADOPTION_SECONDS)
        self._followed.set()
        self._snapshots.begin()
        group.start_soon(patiently, self._sweeper.sweep)

    async def _supervise(self, pulse: Pulse) -> None:
        """
        Go round while every session that follows an agent does.
        """
        while True:
            since = self._clock.monotonic() - pulse.late_after
            stuck = [name for name, session in self._sessions.items() if (session.attended or since) < since]
            if not stuck:
                await pulse.turn("runs")
            elif not pulse.writers_excused():
                log.error("run.unattended", runs=stuck)
            await anyio.sleep(pulse.idle)

    def begin(self, run: str) -> None:
        """
        Carry a run whose `RunStarted` is recorded.
        """
        if self._group is None:
            # The daemon ends just now: the next one takes the run up.
            log.info("run.left", run=run)
            return
        self._group.start_soon(self._carry, run)

    def unknown(self) -> list[str]:
        """
        The runs that live and that the journal does not know: nobody follows them.
        """
        return self._sweeper.unknown()

    def live(self, run: str) -> Live:
        """
        What is seen of a run that is open: by the session that follows it here and now, or, before there is one and once its
        agent is gone, as it was left in its directory.
        """
        if self._endings.keeps(run):
            return Left(worked=self._worked(run), activity=KEEPING)
        return self._sessions.get(run) or Left(worked=self._worked(run))

    def _worked(self, run: str) -> float:
        left = RunDir(self._home.run_dir(run)).work_record()
        return left.worked if left is not None else 0.0

    # -- one run -----------------------------------------------------------------------------------------------------

    async def _carry(self, run: str) -> None:
        row = self._desk.row(run)
        task = self._store.state.task(row.task)
        if task is None:
            raise StorageError(f"task {row.task} of run {run} is not in the journal")
        facts: list[ev.AnyEvent] = []
        session: Session | None = None
        if task.state is TaskState.CHECKING:
            # Before its end is looked at once more: a check of a daemon that was killed is nothing the agent left.
            await end_commands(RunDir(self._home.run_dir(run)))
        try:
            session = await self._ready(task, row)
        except StorageError:
            raise
        except OrchestrdError as error:
            ending = Ending(spawn_error=error.message)
        except Exception as error:
            # What an agent or a person left in the workspace may be anything; it is this run's trouble, nobody else's.
            log.exception("run.not_ready", run=run)
            ending = Ending(spawn_error=f"{type(error).__name__}: {error}")
        else:
            ending, facts = await self._follow(session) if session is not None else (Ending(unbegun=True), [])
        self._adopted(run)
        if ending.work is None:
            ending = msgspec.structs.replace(ending, work=self._worked(run))
        if session is None or ending.unbegun:
            try:
                await patiently(lambda: close(RunDir(self._home.run_dir(run)), self._clock, ending.spawn_error))
            except OSError:
                log.exception("run.unclosed", run=run)
        await self._desk.let_go(run)
        await self._end(run, ending, facts)

    async def _end(self, run: str, ending: Ending, facts: list[ev.AnyEvent]) -> None:
        """
        Record the end of the run with all that it left; what cannot be gathered or checked fails this run, nobody else.
        """
        row = self._desk.row(run)
        try:
            await patiently(lambda: self._endings.finish(row, ending, facts))
        except StorageError:
            raise
        except Exception as error:
            log.exception("run.unfinished", run=run)
            broken = msgspec.structs.replace(ending, broken=f"{type(error).__name__}: {error}")
            await self._endings.record(row, broken, facts)

    async def _ready(self, task: TaskRow, row: RunRow) -> Session | None:
        """
        Everything made ready for the agent; None when the run was stopped before it had one.

        Raises `OrchestrdError` when it cannot be.
        """
        rundir = RunDir(self._home.run_dir(row.key))
        cursor = self._store.cursors.get(row.key, 0)
        if row.phase is RunPhase.STOPPING and not begun(rundir, row, cursor):
            return None
        if not begun(rundir, row, cursor) and (why := rundir.given_up()) is not None:
            # By a daemon that died before it could say so.
            raise AgentError(why or "the run was given up before its agent was started")
        if not row.base:
            await self._step_aside(row.key)
            failpoint("spawn.recorded.before_prepare")
            if await self._sweeper.left_alone(task.key):
                raise AgentError("nothing was begun beside a run that the journal does not know")
            await patiently(lambda: self._sweeper.end_unknown(task.key))
            self._desk.beginning(row.key)
            base = await self._base(task, row)
            if base is None:
                return None
            failpoint("spawn.prepared.before_record")
            await self._store.record(ev.RunPrepared(run=row.key, base=base))
        started = await patiently(lambda: anyio.to_thread.run_sync(rundir.read_spec))
        if started is None or not rundir.started():
            await self._step_aside(row.key)
        if started is None:
            await self._preflight.looked.wait()
        if not begun(rundir, row, cursor) and not await self._desk.cleared(row.key):
            return None
        order = await self._when_room(
            row.key,
            lambda: self._preparation.order(
                self._repo,
                self._store.state,
                task,
                self._desk.row(row.key),
                cli=self._preflight.cli,
                started=started,
            ),
        )
        if order.held is not None:
            await self._store.record(ev.RunContained(run=row.key, containment=order.held))
        tree = str(self._home.tree(row.task, row.tree))
        held = order.held or row.containment
        contained = held is not None and held.sandbox
        scope = scope_of(self._home, row.task, tree, order.spec.env, self._settings.rulebook, contained=contained)
        sight = await anyio.to_thread.run_sync(sight_of, self._repo, self._home.tree(row.task, row.tree))
        files = self._files(task, self._desk.row(row.key), sight)
        bench = Bench(self._store, row, scope, files)
        return Session(
            order,
            rundir,
            desk=self._desk,
            judge=bench.judge,
            prices=self._settings.prices,
            clock=self._clock,
            cursor=cursor,
            scopes=self._scopes,
            watch=self._watch(row, rundir, bench, sight),
            secrets=secrets_of(self._environ),
        )

    def _files(self, task: TaskRow, row: RunRow, sight: Sight | None) -> TreeFiles:
        """
        The files of the run's tree, as they were before the first agent came that worked in it: a tree that is made anew begins with
        a commit of its own, the person's is the same for every attempt.
        """
        in_place = task.spec.isolation is Isolation.IN_PLACE
        first = next(run for run in self._store.state.runs(task=task.key) if in_place or run.base == row.base)
        mark = RunDir(self._home.run_dir(first.key)).spec
        if sight is None:
            return TreeFiles(mark)
        return OwnFiles(mark, root=sight.root, index=sight.tree.entry / "index", oid=sight.tree.oid)

    def _watch(self, row: RunRow, rundir: RunDir, bench: Bench, sight: Sight | None) -> Watch | None:
        """
        The watch over the run's tree and what git keeps for it; None where there is nothing to be watched.
        """
        if sight is None:
            return None
        pardons = Pardons(self._store, self._repo, row, sight.root, bench)
        return Watch(sight, rundir.path, pardons, pardons.moved, commons=self._commons)

    async def _base(self, task: TaskRow, row: RunRow) -> str | None:
        """
        The commit that the agent's tree was made from; None when the run is to stop before it is made.
        """
        base: str | None = None
        async with beside() as group:
            group.start_soon(self._desk.until_stopped, row.key, group.cancel_scope)
            try:
                base = await self._when_room(
                    row.key, lambda: self._preparation.base(self._repo, self._store.state, task, row)
                )
            except (StorageError, OSError) as error:
                raise AgentError(f"the working tree could not be made: {error}") from error
        return base

    async def _when_room(self, run: str, act: Callable[[], Awaitable[DoneT]]) -> DoneT:
        """
        A full disk does not fail a run: it begins when there is room, unless it is stopped before.
        """
        return await when_room(act, what=run, give_up=lambda: self._desk.row(run).stopping is not None)

    async def _follow(self, session: Session) -> tuple[Ending, list[ev.AnyEvent]]:
        """
        Drive the session; one that cannot be followed is ended, so that it harms no other run and not the daemon.
        """
        self._sessions[session.run] = session
        try:
            log.info("run.driven", run=session.run)
            return await session.drive()
        except StorageError:
            raise
        except Exception as error:
            log.exception("run.broken", run=session.run)
            try:
                await session.abandon()
            except Exception:
                log.exception("run.unended", run=session.run)
            return Ending(broken=f"{type(error).__name__}: {error}"), await self._unheard(session)
        finally:
            del self._sessions[session.run]
            self._commons.leave(self._home.run_dir(session.run))
            if session.unfamiliar:
                # A newer CLI than this program knows: nothing is lost, the raw lines are in the run's directory.
                log.warning("run.unfamiliar", run=session.run, types=session.unfamiliar)

    async def _unheard(self, session: Session) -> list[ev.AnyEvent]:
        """
        What an agent spent that could not be followed to its end.
        """
        try:
            return await session.remainder()
        except Exception:
            log.exception("run.unaccounted", run=session.run)
            return []

    def _adopted(self, run: str) -> None:
        """
        The run is followed again, or there is nothing of it that could be.
        """
        event = self._adopting.pop(run, None)
        if event is not None:
            event.set()
            self._reckon()

    def _reckon(self) -> None:
        """
        What all have spent is known once the last of those that lived when the daemon started is followed again, or gone.
        """
        if not self._adopting:
            self._desk.reckon()

    async def _step_aside(self, run: str) -> None:
        """
        Nothing lives of the run that could be taken up: it goes on once every agent that does live is followed again.
        """
        self._adopted(run)
        await self._followed.wait()

    def _attached(self, run: str) -> None:
        """
        The run is followed: everything that was there of it has been read.
        """
        failpoint("recovery.attached")
        log.info("run.attached", run=run)
        self._adopted(run)
