"""
A task's work: look at it, and bring it over into the person's tree.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import anyio
import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.lookup import resolve
from orchestrd.domain.model import Isolation
from orchestrd.domain.rows import RunRow, TaskRow
from orchestrd.domain.state import State
from orchestrd.errors import NotFound, Refused
from orchestrd.failpoint import failpoint
from orchestrd.logs import get_logger
from orchestrd.protocol import api
from orchestrd.services.change import Change
from orchestrd.services.store import Store
from orchestrd.workspace import apply as applying
from orchestrd.workspace.changes import changed_files, diff
from orchestrd.workspace.git import shown
from orchestrd.workspace.merge import Work
from orchestrd.workspace.repository import Repository

log = get_logger(__name__)
FILES = 2000
"""Paths that one reply lists; beyond it, it only counts them."""
PART = 128 * 1024
"""Bytes of a diff that one reply carries."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """
    An apply that is to be recorded: the *answer* to *request*.  It lies with the files, so that whoever finds those in their
    places knows whose they are.
    """

    request: str
    method: str
    answer: api.Applied


class Works:
    """
    Diffs and applies.
    """

    def __init__(self, store: Store, repo: Repository) -> None:
        self._store = store
        self._repo = repo
        self._applying = anyio.Lock()

    async def diff(self, query: api.DiffQuery) -> api.Diff:
        """
        What the task's run changed so far.

        Raises `NotFound`, `Refused`.
        """
        row = resolve(self._store.state, query.task)
        run = self._run(row, query.attempt)
        work = await self._work(row, run)
        data = await diff(self._repo, work.base, work.result, color=query.color, stat=query.stat)
        part = data[query.offset : query.offset + PART]
        while part and query.offset + len(part) < len(data) and (data[query.offset + len(part)] & 0xC0) == 0x80:
            part = part[:-1]  # never cut inside a character
        end = query.offset + len(part)
        files = await changed_files(self._repo, work.base, work.result) if query.offset == 0 else ()
        return api.Diff(
            task=row.key,
            run=run.key,
            text=part.decode("utf-8", "replace"),
            files=[
                api.FileChangeInfo(path=shown(c.path), kind=str(c.kind), additions=c.additions, deletions=c.deletions)
                for c in files[:FILES]
            ],
            file_count=len(files),
            next_offset=end if end < len(data) else None,
        )

    async def apply(self, wanted: api.Apply) -> api.Applied:
        """
        Bring the tasks' changes over, unstaged: all of them, or nothing when anything stands in the way.

        Asked again under the same request id, it does nothing more and gives the first answer.  Raises `NotFound`,
        `Refused`, `NotNow`.
        """
        method = wanted.named("task.apply")
        async with self._applying:
            if not wanted.dry_run:
                # First what a daemon that died, or a disk without room, left unrecorded: it may be this request's.
                if (given := await self._given(wanted.request_id, method)) is not None:
                    return given
                self._store.refuse_hindered()
                await self.settle()
                if (given := await self._given(wanted.request_id, method)) is not None:
                    return given
            rows = [resolve(self._store.state, name) for name in dict.fromkeys(wanted.tasks)]
            # Dependencies stand before what builds on them in every valid file order.
            rows.sort(key=lambda row: _depth(self._store.state, row))
            works: list[Work] = []
            for row in rows:
                if row.state.alive:
                    raise Refused(f"{row.key} is {row.state}: its work is not done", hint="Wait for it, or cancel it.")
                if row.spec.isolation is Isolation.IN_PLACE:
                    raise Refused(f"{row.key} worked in the project's own tree: its changes are there already")
                works.append(await self._work(row, self._run(row, None)))
            plan = await applying.plan(self._repo, works)
            answer = api.Applied(
                tasks=[row.key for row in rows],
                created=[shown(path) for path in plan.created[:FILES]],
                modified=[shown(path) for path in plan.modified[:FILES]],
                deleted=[shown(path) for path in plan.deleted[:FILES]],
                already=[shown(path) for path in plan.already[:FILES]],
                conflicts=[api.Conflict(path=shown(c.path), reason=c.reason) for c in plan.conflicts[:FILES]],
                count=len(plan.steps),
                dry_run=wanted.dry_run,
            )
            if plan.conflicts or wanted.dry_run:
                return answer
            self._store.refuse_hindered()
            done = Done(request=wanted.request_id or _new_request(), method=method, answer=answer)
            await applying.apply(self._repo, plan, note=msgspec.json.encode(done).decode())
            failpoint("apply.landed")
            return (await self.settle()).get(done.request) or await self._record(done)

    async def _given(self, request: str | None, method: str) -> api.Applied | None:
        given = await self._store.given(request, method)
        return None if given is None else msgspec.convert(given, api.Applied)

    async def settle(self) -> dict[str, api.Applied]:
        """
        Record what was brought over and is not recorded yet; again, if need be, which changes nothing.  Gives what each
        request is answered.
        """
        answers: dict[str, api.Applied] = {}
        for landing in await applying.landed(self._repo):
            try:
                done = msgspec.json.decode(landing.note, type=Done)
            except msgspec.DecodeError:
                log.exception("apply.note_unreadable", place=str(landing.place))
                continue
            try:
                answers[done.request] = await self._record(done)
            except Refused:
                # Somebody else used its id for another write meanwhile; the files are there all the same.
                answers[done.request] = await self._record(msgspec.structs.replace(done, request=_new_request()))
            failpoint("apply.recorded")
            await applying.forget(landing)
        return answers

    async def _record(self, done: Done) -> api.Applied:
        answer = done.answer
        files = (*answer.created, *answer.modified, *answer.deleted)

        def decide(state: State) -> Change[api.Applied]:
            rows = [state.task(key) for key in answer.tasks]
            keys = [row.key for row in rows if row is not None and row.state.ended]
            return Change(answer, *(ev.TaskApplied(task=key, files=files) for key in keys))

        # It is in the tree already: that it is, is recorded as soon as it can be.
        given = await self._store.do(decide, request=done.request, method=done.method, patient=True)
        return msgspec.convert(msgspec.to_builtins(given), api.Applied)

    def _run(self, row: TaskRow, attempt: int | None) -> RunRow:
        runs = [r for r in self._store.state.runs(task=row.key) if r.base]
        if attempt is not None:
            runs = [r for r in runs if r.attempt == attempt]
        if not runs:
            which = f"run {attempt}" if attempt is not None else "run with a working tree"
            raise NotFound(f"{row.key} has no {which} yet")
        return runs[-1]

    async def _work(self, row: TaskRow, run: RunRow) -> Work:
        """
        The run's base and result; of a live run, its tree as it is now.
        """
        if run.result is not None:
            for commit in (run.base, run.result):
                await self._there(run, commit)
            return Work(base=run.base, result=run.result)
        if not run.open:
            raise NotFound(f"the work of {run.key} was not kept: its tree may still be at {run.tree}")
        now = await self._repo.snapshot(Path(run.tree), parents=(run.base,), message=f"{row.key} at work")
        return Work(base=run.base, result=now.commit)

    async def _there(self, run: RunRow, commit: str) -> None:
        try:
            await self._repo.resolve(commit)
        except NotFound:
            raise NotFound(
                f"the work of {run.key} is lost: its commit {commit} is not in var/git",
                hint="`orchctl doctor --deep` says what can be done.",
            ) from None


def _new_request() -> str:
    return f"apply-{uuid.uuid4()}"


def _depth(state: State, row: TaskRow) -> tuple[int, int]:
    """
    How deep the task stands in its dependencies, then its place in the file.
    """
    below = [state.task(f"{row.spec.day}/{name}") for name in row.spec.depends_on]
    return (1 + max((_depth(state, task)[0] for task in below if task is not None), default=-1), row.spec.order)
