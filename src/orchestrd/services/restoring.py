"""
Puts a snapshot of a task's tree back, on a person's word.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio.to_thread
import msgspec

from orchestrd.clock import Clock, iso
from orchestrd.domain import events as ev
from orchestrd.domain.events import Occasion
from orchestrd.domain.lookup import resolve
from orchestrd.domain.model import Isolation
from orchestrd.domain.moment import moment_of
from orchestrd.domain.retention import at_or_before, called
from orchestrd.domain.rows import RunRow, SnapshotsRow, Taken, TaskRow
from orchestrd.domain.state import State
from orchestrd.errors import NotFound, Refused, RequestError
from orchestrd.failpoint import failpoint
from orchestrd.logs import get_logger
from orchestrd.protocol import api
from orchestrd.runner.evidence import changes_of, first
from orchestrd.services.change import Change
from orchestrd.services.snapshots import Snapshots, newest_run
from orchestrd.services.store import Store
from orchestrd.storage.home import Home
from orchestrd.workspace import restoring, worktree
from orchestrd.workspace.entries import real
from orchestrd.workspace.repository import Repository, ref_name

log = get_logger(__name__)


class Restorer:
    """
    Restores trees of one home.
    """

    def __init__(self, home: Home, store: Store, clock: Clock, repo: Repository, snapshots: Snapshots) -> None:
        self._home = home
        self._store = store
        self._clock = clock
        self._repo = repo
        self._snapshots = snapshots

    def listed(self, query: api.SnapshotsQuery) -> api.SnapshotList:
        """
        The snapshots of a task.  Raises `NotFound`.
        """
        task = resolve(self._store.state, query.task)
        row = self._store.state.snapshots(task.key) or SnapshotsRow(task=task.key)
        found = [
            api.SnapshotInfo(
                commit=taken.commit, at=iso(taken.at) or "", occasion=str(taken.occasion), left_out=taken.left_out
            )
            for taken in reversed(row.taken)
        ]
        return api.SnapshotList(task=task.key, snapshots=found, restored_at=iso(row.restored_at))

    async def restore(self, wanted: api.Restore) -> api.Restored:
        """
        Put a snapshot back, into the task's tree or into a folder of its own, and record it.

        Asked again under the same request id, it does nothing more and gives the first answer.  Raises `NotFound`, `Refused`,
        `RequestError`, `NotNow`, `StorageError`.
        """
        method = wanted.named("task.restore")
        given = await self._store.given(wanted.request_id, method)
        if given is not None:
            return msgspec.convert(given, api.Restored)
        self._store.refuse_hindered()
        task = resolve(self._store.state, wanted.task)
        async with self._snapshots.alone(task.key):
            row = self._store.state.snapshots(task.key)
            if row is None or not row.taken:
                raise NotFound(f"no snapshot was taken of the tree of {task.key}")
            if wanted.into is not None:
                return await self._export(wanted, method, task, self._chosen(row, wanted.at) or row.taken[-1])
            return await self._put_back(wanted, method, task, row)

    def _chosen(self, row: SnapshotsRow, at: str | None) -> Taken | None:
        """
        The snapshot that *at* names, None when it names none.
        """
        if at is None:
            return None
        if (named := called(row, at)) is not None:
            return named
        try:
            moment = moment_of(at, self._clock.wall(), self._clock.zone())
        except ValueError as error:
            raise RequestError(str(error)) from None
        found = at_or_before(row, moment)
        if found is None:
            first = iso(row.taken[0].at)
            raise NotFound(
                f"no snapshot of {row.task} is so old; the first is of {first}",
                hint=f"See: orchctl restore {row.task} --list",
            )
        return found

    async def _put_back(self, wanted: api.Restore, method: str, task: TaskRow, row: SnapshotsRow) -> api.Restored:
        state = self._store.state
        if task.spec.isolation is Isolation.IN_PLACE:
            raise Refused(
                f"{task.key} worked in the project itself, which nothing is put back into",
                hint=f"Have it in a folder of its own: orchctl restore {task.key} --into DIR",
            )
        if any(run.open for run in state.runs(task=task.key)):
            raise Refused(
                f"the agent of {task.key} is at work in its tree",
                hint=f"End it first: orchctl cancel {task.key}; or look at it: orchctl restore {task.key} --into DIR",
            )
        run = newest_run(state, task.key)
        if run is None:
            raise NotFound(f"{task.key} has no run with a working tree yet")
        chosen = self._chosen(row, wanted.at)
        tree = self._home.tree(task.key, run.tree)
        before, kept = await self._present(task, run, tree, chosen or row.taken[-1])
        if chosen is None:
            # Once more goes back: what was there before the last restore differs, too.
            present = None if kept is None else kept.tree_id
            chosen = next((taken for taken in reversed(row.taken) if taken.tree_id != present), row.taken[-1])
        failpoint("restore.kept")
        paths = await restoring.restore(self._repo, tree, before=before, commit=chosen.commit)
        result, files = await self._result(run, tree)
        failpoint("restore.placed.before_record")
        restored = ev.TreeRestored(
            task=task.key,
            commit=chosen.commit,
            before="" if kept is None else kept.commit,
            run=run.key if result else "",
            result=result,
            files=first(files),
            file_count=len(files),
            by=wanted.by,
        )
        return await self._record(wanted, method, restored, _answer(restored, chosen, tree, paths))

    async def _present(self, task: TaskRow, run: RunRow, tree: Path, chosen: Taken) -> tuple[str, Taken | None]:
        """
        The commit of what is in *tree*, kept as a snapshot; where there is no tree it is made anew.
        """
        intact = partial(worktree.intact, self._repo, tree, under=self._home.workspaces)
        if await anyio.to_thread.run_sync(intact):
            made = await anyio.to_thread.run_sync(worktree.made_from, self._repo, tree)
            kept = await self._snapshots.take(task, tree, base=made or run.base, occasion=Occasion.RESTORE, run=run.key)
            return kept.commit, Taken(
                commit=kept.commit, tree_id=kept.tree_id, at=self._clock.wall(), occasion=Occasion.RESTORE
            )
        if await anyio.to_thread.run_sync(_taken, tree):
            raise Refused(
                f"{tree} is not the tree that was made there",
                hint=f"Move it away, or take the snapshot elsewhere: orchctl restore {task.key} --into DIR",
            )
        base = run.base if await self._repo.holds(run.base) else chosen.commit
        await worktree.make(self._repo, tree, base)
        return base, None

    async def _result(self, run: RunRow, tree: Path) -> tuple[str, tuple[ev.FileChange, ...]]:
        """
        What the work of an ended *run* is now, for `diff` and `apply`; empty where it had none.
        """
        if run.result is None:
            return "", ()
        held = [commit for commit in (run.base, run.result) if await self._repo.holds(commit)]
        if run.base not in held:
            return "", ()
        # On top of the work as the agent left it, which stays to be found.
        work = await self._repo.snapshot(
            tree,
            parents=tuple(held),
            message=f"restored work of {run.key}",
            ref=ref_name("orchestrd", *run.key.split("/"), "result"),
        )
        return work.commit, await changes_of(self._repo, run.base, work.commit)

    async def _export(self, wanted: api.Restore, method: str, task: TaskRow, chosen: Taken) -> api.Restored:
        folder = Path(wanted.into or "")
        if not folder.is_absolute():
            raise RequestError(f"{folder} is no absolute path")
        place = await anyio.to_thread.run_sync(lambda: real(folder.parent) / folder.name)
        for barred, what in ((self._repo.project.path, "the project"), (self._home.var, "the home's own folder")):
            if place.is_relative_to(await anyio.to_thread.run_sync(real, barred)):
                raise Refused(f"{place} lies in {what}", hint="Name a folder somewhere else.")
        paths = await restoring.export(self._repo, place, commit=chosen.commit)
        restored = ev.TreeRestored(task=task.key, commit=chosen.commit, into=str(place), by=wanted.by)
        return await self._record(wanted, method, restored, _answer(restored, chosen, place, paths))

    async def _record(
        self, wanted: api.Restore, method: str, restored: ev.TreeRestored, answer: api.Restored
    ) -> api.Restored:
        def decide(_: State) -> Change[api.Restored]:
            return Change(answer, restored)

        # It is in its place already: that it is, is recorded as soon as it can be.
        given = await self._store.do(decide, request=wanted.request_id, method=method, patient=True)
        log.info("tree.restored", task=answer.task, commit=answer.commit, paths=answer.paths)
        return msgspec.convert(msgspec.to_builtins(given), api.Restored)


def _answer(restored: ev.TreeRestored, chosen: Taken, place: Path, paths: int) -> api.Restored:
    return api.Restored(
        task=restored.task,
        commit=chosen.commit,
        at=iso(chosen.at) or "",
        occasion=str(chosen.occasion),
        place=str(place),
        paths=paths,
        before=restored.before or None,
        left_out=chosen.left_out,
    )


def _taken(tree: Path) -> bool:
    return tree.is_symlink() or tree.exists()
