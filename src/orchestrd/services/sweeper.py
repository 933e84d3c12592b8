"""
Ends what lives of runs that nobody carries: those that are over, and those that the journal does not know.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from orchestrd.domain import events as ev
from orchestrd.domain.unknown import held_back, names, overtaken
from orchestrd.logs import get_logger
from orchestrd.runner.sweep import end_heirs, strays
from orchestrd.services.change import Change
from orchestrd.services.store import Store
from orchestrd.storage.home import Home
from orchestrd.storage.rundir import RunDir

log = get_logger(__name__)


class Sweeper:
    """
    The sweeper of one home; an agent that is told to stop has *grace* seconds.
    """

    def __init__(self, home: Home, store: Store, grace: float) -> None:
        self._home = home
        self._store = store
        self._grace = grace
        self._unknown: list[RunDir] = []
        """Of which something lived when this daemon looked, and which the journal does not know."""

    async def hold_back(self, group: TaskGroup, patience: float) -> None:
        """
        Before anything is begun or ended: no task begins anew by itself that has a run which an older journal does not know.  What the
        run came to is for the person to see, and so is what still lives of it.

        That is recorded in *group*, and waited for *patience* seconds.
        """
        if not (runs := await self._overlooked()):
            return
        done = anyio.Event()

        async def hold() -> None:
            await self._store.do(lambda state: Change(None, *held_back(state, runs)))
            log.warning("run.unknown_held", runs=runs)
            done.set()

        group.start_soon(hold)
        # On a full disk it comes later, as everything does that is to be recorded.
        with anyio.move_on_after(patience):
            await done.wait()

    async def _overlooked(self) -> list[str]:
        """
        The runs of unfinished tasks that came after all that the journal knows of them, and that it does not know: it is an older copy,
        or lost them.  Not those of which that was recorded before: since then the person has decided.
        """
        tasks = {row.key: row.attempts for row in self._store.state.tasks() if not row.state.ended}
        found = overtaken(self._store.state, await anyio.to_thread.run_sync(self._begun, tasks))
        return [run for run in found if not await self._told(run)]

    async def left_alone(self, task: str) -> bool:
        """
        True when a person is to look at a run of *task* first that the journal does not know.
        """
        row = self._store.state.task(task)
        if row is None or not row.held:
            return False
        return bool(overtaken(self._store.state, await anyio.to_thread.run_sync(self._begun, {task: row.attempts})))

    def unknown(self) -> list[str]:
        """
        The runs that live and that nobody follows, as of now.
        """
        living = [rundir for rundir in self._unknown if rundir.shim_alive() or rundir.agent_alive()]
        runs = [str(rundir.path.relative_to(self._home.logs)) for rundir in living]
        return [run for run in runs if self._store.state.run(run) is None]

    def _begun(self, tasks: dict[str, int]) -> list[str]:
        """
        The runs with a higher number than each of *tasks* has come to for whose agents everything was there.
        """
        runs = [f"{task}/{n}" for task, last in tasks.items() for n in self._home.taken_attempts(task) if n > last]
        dirs = {run: RunDir(self._home.run_dir(run)) for run in runs}
        # Through a link it would be another run's.
        return [run for run, rundir in dirs.items() if rundir.spec.is_file() and not rundir.path.is_symlink()]

    async def _told(self, run: str) -> bool:
        task, since = run.rpartition("/")[0], 0
        while page := await self._store.events(since=since, task=task):
            if any(names(record.event, run) for record in page):
                return True
            since = page[-1].seq
        return False

    async def sweep(self) -> None:
        """
        End what lives of runs that are over: an earlier daemon may have died between their end and the end of their tree.
        """
        found = await anyio.to_thread.run_sync(strays, self._home.logs)
        for path in found:
            run = str(path.relative_to(self._home.logs))
            row = self._store.state.run(run)
            if row is None:
                # Its start was lost with a part of the journal, and it waits for a person, as does its task; or it belongs to
                # a home that was here before and is elsewhere now.
                log.warning("run.unknown", run=run)
                self._unknown.append(RunDir(path))
            elif not row.open and (ended := await self._end_tree(path)):
                await self._store.record(ev.RunSwept(run=run, processes=len(ended)))

    async def _end_tree(self, path: Path) -> list[str]:
        """
        End what lives of the run with this directory.
        """
        rundir = RunDir(path)
        rundir.tell(f"stop {self._grace}")
        ended = await anyio.to_thread.run_sync(end_heirs, rundir)
        log.warning("run.swept", run=str(path.relative_to(self._home.logs)), processes=ended)
        return ended

    async def end_unknown(self, task: str) -> None:
        """
        End what lives of runs of *task* that the journal does not know, now that a person wants another.
        """
        numbers = await anyio.to_thread.run_sync(self._home.taken_attempts, task)
        unknown = [
            f"{task}/{number}" for number in sorted(numbers) if self._store.state.run(f"{task}/{number}") is None
        ]
        for path in await anyio.to_thread.run_sync(self._living, unknown):
            await self._end_tree(path)

    def _living(self, runs: list[str]) -> list[Path]:
        """
        The directories of those *runs* of which something lives, found by one look at all processes.
        """
        marked = strays(self._home.logs)
        dirs = [RunDir(self._home.run_dir(run)) for run in runs]
        # Through a link it would be another run's.
        own = [rundir for rundir in dirs if not rundir.path.is_symlink()]
        return [rundir.path for rundir in own if rundir.path in marked or rundir.shim_alive() or rundir.agent_alive()]
