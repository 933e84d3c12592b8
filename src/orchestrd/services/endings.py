"""
The end of a run: what it left is gathered and checked, and its exit is recorded with what follows from it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from orchestrd.beside import beside
from orchestrd.clock import Clock
from orchestrd.config import agent_environment
from orchestrd.domain import events as ev
from orchestrd.domain.account import blocked
from orchestrd.domain.model import Cause, TaskState
from orchestrd.domain.outcomes import Ending, cause_of
from orchestrd.domain.retries import REFUSALS, REMEDIES, follow_up, refusals
from orchestrd.domain.rows import QuestionState, RunRow, TaskRow
from orchestrd.domain.state import State
from orchestrd.errors import OrchestrdError
from orchestrd.failpoint import failpoint
from orchestrd.logs import get_logger
from orchestrd.redaction import Redactor, secrets_of
from orchestrd.runner.checks import run_check
from orchestrd.runner.evidence import Evidence, gather
from orchestrd.runner.sight import setting_up
from orchestrd.services.change import Change
from orchestrd.services.desk import Desk
from orchestrd.services.patience import when_room
from orchestrd.services.preparation import Preparation
from orchestrd.services.sandboxes import Cell, Sandboxes
from orchestrd.services.settings import Settings
from orchestrd.services.store import Store
from orchestrd.storage.home import Home
from orchestrd.storage.rundir import RunDir
from orchestrd.storage.shortage import is_shortage
from orchestrd.workspace.descent import remove
from orchestrd.workspace.repository import Repository
from orchestrd.workspace.steering import RECORD, read_steering

log = get_logger(__name__)
CLEAR_SECONDS = 30.0
"""How long the end of a run's checks waits until what they left in their homes is gone."""
INTERRUPTED_LIMIT = 20
"""Tool calls that are remembered of those an agent's end cut off."""


class Endings:
    """
    Finishes runs whose process tree is gone.
    """

    def __init__(
        self,
        home: Home,
        store: Store,
        desk: Desk,
        settings: Settings,
        clock: Clock,
        repo: Repository,
        preparation: Preparation,
        sandboxes: Sandboxes,
        environ: dict[str, str],
    ) -> None:
        self._home = home
        self._store = store
        self._desk = desk
        self._settings = settings
        self._clock = clock
        self._repo = repo
        self._preparation = preparation
        self._sandboxes = sandboxes
        self._environ = environ
        self._keeping: set[str] = set()

    def keeps(self, run: str) -> bool:
        """
        True while the work of *run*, whose agent has ended, is being kept.
        """
        return run in self._keeping

    async def finish(self, row: RunRow, ending: Ending, facts: list[ev.AnyEvent]) -> None:
        """
        Gather the evidence, run the checks, and record the end of the run and what follows from it, in one transaction.
        """
        cause, reason = cause_of(row, ending)
        evidence, missing = await self._kept(row)
        if evidence is not None and evidence.settings:
            found = setting_up(row.key, evidence.settings)
            await self._desk.violated(row.key, found, f"settings of agents were changed: {found.target}")
            cause, reason = cause_of(self._desk.row(row.key), ending)
        if missing and cause is Cause.DONE:
            # Work that nobody can see is not done, whatever the agent says.
            cause = Cause.NO_WORK
        checks: tuple[ev.CheckResult, ...] = ()
        task = self._store.state.task(row.task)
        if cause is Cause.DONE and task is not None and task.spec.checks:
            checks = await self._checks(row, task)
            failed = [check.name for check in checks if check.status != "passed"]
            if failed:
                cause, reason = Cause.CHECK_FAILED, f"check failed: {', '.join(failed)}"
        failpoint("run.evidence.before_record")
        verdict = (cause, reason)
        await self.record(row, ending, facts, verdict=verdict, evidence=evidence, missing=missing, checks=checks)

    async def record(
        self,
        row: RunRow,
        ending: Ending,
        facts: list[ev.AnyEvent],
        *,
        verdict: tuple[Cause, str] | None = None,
        evidence: Evidence | None = None,
        missing: str = "",
        checks: tuple[ev.CheckResult, ...] = (),
    ) -> None:
        """
        Record the end of the run and what follows from it; *verdict* is its cause and why, that of *ending* by default,
        *missing* why there is no *evidence* though there should be.
        """
        run = row.key
        await self._desk.last_answers(run)
        spec = await anyio.to_thread.run_sync(RunDir(self._home.run_dir(run)).read_spec)
        # An error may quote anything, an agent's summary too.
        redact = Redactor(secrets_of(self._environ) | (spec.secrets if spec is not None else frozenset()))

        def decide(state: State) -> Change[ev.RunExited | None]:
            now_row, now_task = state.run(run), state.task(row.task)
            if now_row is None or now_task is None or not now_row.open:
                return Change(None)
            # A cancel may have come while the checks ran; nothing else is said against an agent that is gone.
            cause, why = cause_of(now_row, ending) if verdict is None or now_row.cancelled else verdict
            why = redact("; ".join(part for part in (why, missing) if part))
            outcome, now = REMEDIES[cause].outcome, self._clock.wall()
            unanswered = (QuestionState.OPEN, QuestionState.ANSWERED)
            withdrawn = [
                ev.QuestionWithdrawn(question=q.id, reason="the run ended")
                for q in state.questions(run=run)
                if q.state in unanswered
            ]
            exited = ev.RunExited(
                run=run,
                outcome=outcome,
                cause=cause,
                reason=why,
                exit_code=ending.exit_code,
                signal=ending.signal,
                result=evidence.result if evidence else None,
                files=evidence.files if evidence else (),
                file_count=evidence.file_count if evidence else 0,
                left_out=evidence.left_out if evidence else (),
                deliverables=evidence.deliverables if evidence else (),
                checks=checks,
                summary=redact(evidence.summary) if evidence else "",
                leftovers=ending.leftovers,
                interrupted=ending.interrupted[:INTERRUPTED_LIMIT],
                quarantined=cause is Cause.UNUSABLE,
                work=ending.work,
            )
            refused = refusals(now_task, now_row, cause, state.home().recovered_at, now)
            following = follow_up(
                now_task,
                now_row,
                cause=cause,
                reason=why,
                now=now,
                default_retries=self._settings.config.retries,
                # Of an agent that never began it is as it was.
                conversation=ending.resumable or ending.unbegun or bool(ending.spawn_error),
                refused=refused,
            )
            trouble = blocked(
                state.home(),
                now_row,
                cause,
                reason=why,
                resets_at=ending.resets_at,
                manners=self._settings.manners,
                now=now,
                zone=self._clock.zone(),
            )
            return Change(
                exited, *facts, *withdrawn, exited, following, *([trouble] if trouble and refused < REFUSALS else [])
            )

        exited = await self._store.do(decide)
        if exited is not None:
            # Not the reason: it may be the agent's own words, which are for the report.
            log.info("run.exited", run=run, cause=str(exited.cause))

    async def _kept(self, row: RunRow) -> tuple[Evidence | None, str]:
        """
        What the run left, once its work is kept; None, and why, when it is not, or when the person calls that off: a tree may
        hold more than anybody wants to wait for.
        """
        task = self._store.state.task(row.task)
        if not row.base or task is None:
            return None, ""
        found: tuple[Evidence | None, str] = (None, f"its work was not kept, that was called off: it is in {row.tree}")
        try:
            async with beside() as group:
                # As an agent that is cancelled, it may finish what takes only a moment.
                grace = self._settings.stop_grace
                await group.start(self._desk.until_called_off, row.key, group.cancel_scope, grace)
                self._keeping.add(row.key)
                found = await self._evidence(row, task)
        finally:
            self._keeping.discard(row.key)
        return found

    async def _evidence(self, row: RunRow, task: TaskRow) -> tuple[Evidence | None, str]:
        tree = self._home.tree(row.task, row.tree)
        try:
            if not await anyio.to_thread.run_sync(self._preparation.intact, self._repo, task, tree):
                log.warning("run.tree_replaced", run=row.key, tree=row.tree)
                return None, f"the working tree {row.tree} is gone or was replaced"
            before = await anyio.to_thread.run_sync(read_steering, self._home.run_dir(row.key) / RECORD)
            act = partial(
                gather,
                self._repo,
                run=row.key,
                base=row.base,
                tree=tree,
                deliverables=task.spec.deliverables,
                summary=self._home.workspace(row.task) / "summary.md",
                before=before,
            )
            return await when_room(act, what=row.key), ""
        except Exception as error:
            if is_shortage(error):
                raise
            # The agent's files are still in its tree; that nothing can be told of them is told.
            log.exception("run.evidence_missing", run=row.key)
            why = error.message if isinstance(error, OrchestrdError) else type(error).__name__
            return None, f"its work could not be kept ({why}): it is in {row.tree}"

    async def _checks(self, row: RunRow, task: TaskRow) -> tuple[ev.CheckResult, ...]:
        def decide(state: State) -> Change[None]:
            now = state.task(task.key)
            alive = now is not None and now.state is TaskState.RUNNING
            return Change(None, *([ev.TaskChecking(task=task.key)] if alive else []))

        await self._store.do(decide)
        rundir = RunDir(self._home.run_dir(row.key))
        env = agent_environment(self._settings.config.agent, self._environ)
        tree = self._home.tree(row.task, row.tree)
        # What an agent wrote is run by them as much as by itself.
        view = await when_room(partial(self._sandboxes.view, self._repo, tree), what=row.key)
        shell = partial(self._sandboxes.command, task, tree, rundir.path, env, view=view)
        results: list[ev.CheckResult] = []
        async with anyio.create_task_group() as group, _cleared(rundir.path / "homes"):
            group.start_soon(self._desk.until_cancelled, row.key, group.cancel_scope)
            for number, check in enumerate(task.spec.checks, 1):
                path = rundir.path / f"check-{number}.log"
                act = partial(
                    run_check,
                    check,
                    rundir=rundir,
                    tree=tree,
                    env=env,
                    log=path,
                    clock=self._clock,
                    overseer=self._desk,
                    wrap=lambda argv: _held(shell(argv)),
                )
                results.append(await when_room(act, what=row.key))
            group.cancel_scope.cancel()
        return tuple(results)


@asynccontextmanager
async def _cleared(folder: Path) -> AsyncIterator[None]:
    """
    What is in *folder* is gone afterwards, as far as it can be: it is caches.
    """
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLEAR_SECONDS):
            await anyio.to_thread.run_sync(_clear, folder, abandon_on_cancel=True)


def _clear(folder: Path) -> None:
    # However deep what a check ran has made it.
    with suppress(OSError):
        remove(folder)


def _held(cell: Cell) -> tuple[list[str], dict[str, str]]:
    return cell.argv, cell.env
