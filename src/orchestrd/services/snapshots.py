"""
Keeps the trees of tasks: now and then while agents work, before a call that may delete or overwrite, and before a tree is removed.

A snapshot is on disk, and named, before it is recorded, and recorded before anybody goes on who waits for it: a kill at any moment
leaves the tree, or the snapshot of it.  Trees of different tasks are kept beside each other, those of one task one after another.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup, TaskStatus

from orchestrd.clock import Clock
from orchestrd.domain import events as ev
from orchestrd.domain.events import Occasion
from orchestrd.domain.model import Isolation
from orchestrd.domain.retention import outdated
from orchestrd.domain.rows import RunPhase, RunRow, SnapshotsRow, TaskRow
from orchestrd.domain.state import State
from orchestrd.errors import OrchestrdError
from orchestrd.failpoint import failpoint
from orchestrd.logs import get_logger
from orchestrd.runner.desk import Keeping
from orchestrd.services.change import Change
from orchestrd.services.pulse import Pulse
from orchestrd.services.settings import Snapshotting
from orchestrd.services.store import Store
from orchestrd.storage.home import Home
from orchestrd.storage.shortage import is_shortage
from orchestrd.workspace import snapshots, worktree
from orchestrd.workspace.git import shown
from orchestrd.workspace.repository import Repository, Snapshot

log = get_logger(__name__)
LOOK_SECONDS = 1.0
"""Between two looks which trees are due."""
SHARE = 20.0
"""A tree is not kept again before so many times what that took last: a large one must not keep the machine busy."""
TIDY_SECONDS = 1800.0
"""Between two looks which snapshots need not be kept any more."""
ABREAST = 2
"""How many trees are kept by time at once: nobody waits for them, and everybody else would wait for the processor."""
LEFT_OUT_LIMIT = 20
"""How many paths that are not in a snapshot the journal names."""


class Snapshots:
    """
    The snapshots of one home's trees.
    """

    def __init__(self, home: Home, store: Store, rules: Snapshotting, clock: Clock, repo: Repository) -> None:
        self._home = home
        self._store = store
        self._rules = rules
        self._clock = clock
        self._repo = repo
        self._group: TaskGroup | None = None
        self._locks: dict[str, anyio.Lock] = {}
        self._due: dict[str, float] = {}
        self._busy: set[str] = set()
        self._begun = False
        self._abreast = anyio.CapacityLimiter(ABREAST)
        self._tidying = False

    async def run(self, pulse: Pulse, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Keep what is due until cancelled.
        """
        async with anyio.create_task_group() as group:
            self._group = group
            try:
                task_status.started()
                group.start_soon(self._let_go)
                tidied = self._clock.monotonic()
                while True:
                    await pulse.turn("snapshots")
                    for run in self._open_runs():
                        group.start_soon(self._keep_now_and_then, run)
                    if not self._tidying and self._clock.monotonic() - tidied >= TIDY_SECONDS:
                        tidied, self._tidying = self._clock.monotonic(), True
                        group.start_soon(self._tidy)
                    await anyio.sleep(min(LOOK_SECONDS, pulse.idle))
            finally:
                self._group = None

    def begin(self) -> None:
        """
        Keep trees by time from now on: not before all agents are followed again, which that would hold up.
        """
        self._begun = True

    def keep_tree(self, run: str, call: str) -> Keeping:
        """
        Keep the tree of *run* as it is now, before the tool *call*.
        """
        kept = Keeping()
        if self._group is None:
            # The daemon ends, or the loop has just broken: nobody would keep it.
            log.warning("snapshot.missed", run=run)
            kept.done.set()
        else:
            self._group.start_soon(self._keep_for, run, call, kept)
        return kept

    @asynccontextmanager
    async def alone(self, task: str) -> AsyncIterator[None]:
        """
        Held while the tree of *task* is made, removed or changed by this program, or looked at.
        """
        lock = self._locks.setdefault(task, anyio.Lock())
        async with lock:
            yield

    async def take(
        self, task: TaskRow, tree: Path, *, base: str, occasion: Occasion, run: str = "", call: str = ""
    ) -> Snapshot:
        """
        Keep the *tree* of *task*, which started from the commit *base*, and record that; the one before stands for it when
        nothing has changed, unless the tree is to be removed or restored.  To be called while `alone`.

        Raises StorageError.
        """
        present = occasion in (Occasion.INTERVAL, Occasion.CALL)
        failpoint("snapshot.begun")
        most = self._rules.max_file if present else self._repo.max_file
        taken = await snapshots.look(self._repo, tree, base=base, max_file=most)
        row = self._store.state.snapshots(task.key)
        last = row.newest if row is not None else None
        if present and last is not None and last.tree_id == taken.tree_id:
            return Snapshot(commit=last.commit, tree_id=last.tree_id)
        about = f"{'left in the tree of' if occasion is Occasion.CLEANUP else f'{occasion}:'} {task.key}"
        kept = await snapshots.keep(self._repo, taken, tree, task=task.key, base=base, about=about)
        failpoint("snapshot.kept.before_record")
        left_out = (*map(shown, kept.left_out), *map(shown, kept.passed_over))
        await self._store.record(
            ev.SnapshotTaken(
                task=task.key,
                run=run,
                call=call,
                commit=kept.commit,
                tree_id=kept.tree_id,
                occasion=occasion,
                left_out=left_out[:LEFT_OUT_LIMIT],
            )
        )
        return kept

    async def remove(self, task: TaskRow, tree: Path) -> None:
        """
        Remove the *tree* of *task*, of which all is kept: that is proved, and recorded first.  To be called while `alone`.

        Raises Refused when it is not kept, StorageError.
        """
        expendable = await worktree.prove(self._repo, tree)
        if expendable.commit is not None:
            failpoint("tree.proved")
            await self._store.record(ev.TreeRemoved(task=task.key, commit=expendable.commit))
        await worktree.remove(self._repo, expendable)
        failpoint("tree.removed")

    # -- while agents work -------------------------------------------------------------------------------------------

    def _open_runs(self) -> list[str]:
        """
        The runs whose tree is due: of agents that may be at work.
        """
        state, now = self._store.state, self._clock.monotonic()
        if state.home().frozen or not self._begun:
            return []
        runs = [row for day in state.active_days() for row in state.live(day)]
        self._due = {row.key: self._due.get(row.key, now) for row in runs}
        due = [row.key for row in runs if row.base and row.phase is not RunPhase.EXITED and self._due[row.key] <= now]
        return [run for run in due if run not in self._busy]

    async def _keep_now_and_then(self, run: str) -> None:
        if run in self._busy:
            return
        self._busy.add(run)
        try:
            async with self._abreast:
                began = self._clock.monotonic()
                try:
                    await self._keep_open(run, Occasion.INTERVAL)
                finally:
                    now = self._clock.monotonic()
                    self._due[run] = now + max(self._rules.interval, SHARE * (now - began))
        finally:
            self._busy.discard(run)

    async def _keep_for(self, run: str, call: str, kept: Keeping) -> None:
        kept.trouble = await self._keep_open(run, Occasion.CALL, call)
        # Not when it is broken off: whoever waits then waits for as long as a call is held.
        kept.done.set()

    async def _keep_open(self, run: str, occasion: Occasion, call: str = "") -> str:
        """
        Keep the tree of the open *run*; that it cannot be is told in the log, and nobody's end.  Gives what is wrong with the tree: empty
        where it was kept, and where the machine is short of something, which says nothing about it.
        """
        row = self._store.state.run(run)
        task = self._store.state.task(row.task) if row is not None else None
        if row is None or task is None or not row.open or not row.base:
            return ""
        try:
            async with self.alone(task.key):
                tree = self._home.tree(task.key, row.tree)
                if await anyio.to_thread.run_sync(self._there, task, tree):
                    await self.take(task, tree, base=row.base, occasion=occasion, run=run, call=call)
        except (OrchestrdError, OSError) as error:
            log.warning("snapshot.failed", run=run, occasion=str(occasion), error=_plain(error))
            return "" if is_shortage(error) else _plain(error)
        except Exception as error:
            # What an agent made of its tree is its own trouble.
            log.exception("snapshot.broken", run=run)
            return type(error).__name__
        return ""

    def _there(self, task: TaskRow, tree: Path) -> bool:
        if task.spec.isolation is Isolation.IN_PLACE:
            return tree.is_dir()
        return worktree.intact(self._repo, tree, under=self._home.workspaces)

    # -- old ones ----------------------------------------------------------------------------------------------------

    async def _tidy(self) -> None:
        try:
            for row in self._store.state.all_snapshots():
                await self.thin_out(row)
            await snapshots.pack(self._repo)
        except (OrchestrdError, OSError) as error:
            log.warning("snapshots.untidy", error=_plain(error))
        except Exception:
            log.exception("snapshots.untidy")
        finally:
            self._tidying = False

    async def _let_go(self) -> None:
        """
        Nobody is offered a snapshot that was given up with a lost repository.
        """
        for row in self._store.state.all_snapshots():
            gone = tuple(taken.commit for taken in row.taken if taken.commit in self._repo.given_up)
            if gone:
                await self._store.record(ev.SnapshotsDropped(task=row.task, commits=gone))

    async def thin_out(self, row: SnapshotsRow) -> None:
        """
        Let go the snapshots of one task that others stand for; first that is recorded, then their refs go, and with them those
        that a daemon made which died before it could record them.

        Raises StorageError.
        """

        def decide(state: State) -> Change[frozenset[str]]:
            now = state.snapshots(row.task) or row
            old = outdated(now, self._clock.wall(), self._rules.keep)
            kept = frozenset({*(taken.commit for taken in now.taken), *now.removed}.difference(old))
            return Change(kept, *([ev.SnapshotsDropped(task=row.task, commits=old)] if old else []))

        async with self.alone(row.task):
            kept = await self._store.do(decide)
            wanted = {snapshots.snapshot_ref(row.task, commit) for commit in kept}
            refs = await self._repo.refs(snapshots.snapshots_ref(row.task))
            await snapshots.drop(self._repo, [ref for ref in refs if ref not in wanted])


def newest_run(state: State, task: str) -> RunRow | None:
    """
    The last run of *task* that had a tree.
    """
    return next((row for row in reversed(state.runs(task=task)) if row.base), None)


def _plain(error: Exception) -> str:
    return error.message if isinstance(error, OrchestrdError) else str(error)
