"""
The live runs: each is carried from its decision to its recorded end, through any number of daemon lives.

Carrying a run is the same whether it was decided a moment ago or is found in the journal at start: what has been done is
seen in the journal and in the run directory, and the rest is done.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup, TaskStatus

from orchestrd.clock import Clock
from orchestrd.config import agent_environment
from orchestrd.domain import events as ev
from orchestrd.domain.model import Outcome, TaskState
from orchestrd.domain.outcomes import Ending, outcome_of
from orchestrd.domain.reportpage import duration
from orchestrd.domain.retries import follow_up
from orchestrd.domain.rows import QuestionRow, QuestionState, RunPhase, RunRow, TaskRow
from orchestrd.domain.state import State
from orchestrd.errors import AgentError, OrchestrdError, StorageError
from orchestrd.policy.engine import judge
from orchestrd.runner.checks import run_check
from orchestrd.runner.evidence import Evidence, gather
from orchestrd.runner.interpreter import Heard
from orchestrd.runner.launch import MARK, end_marked
from orchestrd.runner.session import Session
from orchestrd.services.bus import Bus
from orchestrd.services.preflight import Preflight
from orchestrd.services.preparation import Preparation
from orchestrd.services.questions import Questions
from orchestrd.services.settings import Settings
from orchestrd.services.store import Change, Store
from orchestrd.storage.home import Home
from orchestrd.storage.journal import Cursor
from orchestrd.storage.rundir import RunDir
from orchestrd.workspace.repository import Repository

log = structlog.get_logger(__name__)


class Runs:
    """
    Starts, adopts and finishes runs; what a session knows of the daemon.
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
    ) -> None:
        self._home = home
        self._store = store
        self._bus = bus
        self._settings = settings
        self._clock = clock
        self._repo = repo
        self._environ = environ
        self._preparation = Preparation(home, settings, clock)
        self._group: TaskGroup | None = None
        self._sessions: dict[str, Session] = {}
        self._preflight = preflight
        self._questions = questions

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Take up every open run of the journal, then carry what is started, until cancelled; agents are left alone.
        """
        async with anyio.create_task_group() as group:
            self._group = group
            for row in [r for r in self._store.state.runs() if r.open]:
                log.info("run.adopted", run=row.key)
                group.start_soon(self._carry, row.key)
            task_status.started()
            await anyio.sleep_forever()

    def begin(self, run: str) -> None:
        """
        Carry a run whose `RunStarted` is recorded.
        """
        if self._group is None:
            raise RuntimeError("the run service is not running")
        self._group.start_soon(self._carry, run)

    def activity(self, run: str) -> str:
        """
        What the agent did last, one line; empty when it is not live here.
        """
        session = self._sessions.get(run)
        return session.interpreter.activity if session else ""

    # -- the desk ----------------------------------------------------------------------------------------------------

    def row(self, run: str) -> RunRow:
        """
        The run as recorded.
        """
        row = self._store.state.run(run)
        if row is None:
            raise StorageError(f"run {run} is not in the journal")
        return row

    def questions(self, run: str) -> list[QuestionRow]:
        """
        The run's questions as recorded.
        """
        return self._store.state.questions(run=run)

    def changes(self) -> anyio.Event:
        """
        Set at the next recorded change.
        """
        return self._bus.changes()

    async def heard(self, run: str, heard: Heard, cursor: Cursor) -> None:
        """
        Record what a stream said, with how far it was read.
        """

        def decide(state: State) -> Change[None]:
            facts = [*heard.facts]
            row = state.run(run)
            task = state.task(row.task) if row else None
            number = task.questions if task else 0
            known = {q.request for q in state.questions(run=run)}
            for ask in (a for a in heard.asks if a.request not in known):
                for asked in ask.questions:
                    number += 1
                    facts.append(
                        ev.QuestionAsked(
                            question=f"{run.rpartition('/')[0]}#{number}",
                            run=run,
                            text=asked.text,
                            header=asked.header,
                            multi=asked.multi,
                            options=tuple(
                                ev.QuestionOption(label=label, description=text) for label, text in asked.options
                            ),
                            request=ask.request,
                        )
                    )
            open_states = (QuestionState.OPEN, QuestionState.ANSWERED)
            facts += [
                ev.QuestionWithdrawn(question=q.id, reason="the agent took it back")
                for q in state.questions(run=run)
                if q.request in heard.withdrawn and q.state in open_states
            ]
            return Change(None, *facts, cursor=cursor)

        await self._store.do(decide)

    async def delivered(self, questions: list[QuestionRow]) -> None:
        """
        Record that these answers are in the agent's hands.
        """

        def decide(state: State) -> Change[None]:
            rows = [state.question(q.id) for q in questions]
            due = [r for r in rows if r is not None and r.state is QuestionState.ANSWERED]
            return Change(None, *(ev.AnswerDelivered(question=r.id) for r in due))

        await self._store.do(decide)

    async def timed_out(self, run: str) -> None:
        """
        Record that the run must stop because its time is over.
        """
        row = self.row(run)
        task = self._store.state.task(row.task)
        limit = duration(self._settings.timeout_of(task.spec)) if task else ""
        reason = f"it worked longer than its time limit of {limit}"

        def decide(state: State) -> Change[None]:
            now = state.run(run)
            if now is None or now.phase in (RunPhase.STOPPING, RunPhase.EXITED):
                return Change(None)
            return Change(None, ev.RunStopping(run=run, outcome=Outcome.TIMED_OUT, reason=reason))

        await self._store.do(decide)

    async def leaving(self, run: str) -> None:
        """
        Take a question that the agent left as a file.
        """
        await self._questions.last_look(self.row(run).task)

    # -- one run -----------------------------------------------------------------------------------------------------

    async def _carry(self, run: str) -> None:
        row = self.row(run)
        task = self._store.state.task(row.task)
        if task is None:
            raise StorageError(f"task {row.task} of run {run} is not in the journal")
        facts: list[ev.AnyEvent] = []
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
            ending, facts = await self._follow(session) if session is not None else (Ending(), [])
        await self._finish(run, ending, facts)

    async def _ready(self, task: TaskRow, row: RunRow) -> Session | None:
        """
        Everything made ready for the agent; None when the run was stopped before it had one.

        Raises `OrchestrdError` when it cannot be.
        """
        rundir = RunDir(self._home.run_dir(row.key))
        if row.phase is RunPhase.STOPPING and not rundir.spec.exists():
            return None
        if not row.base:
            try:
                base = await self._preparation.base(self._repo, self._store.state, task, row)
            except (StorageError, OSError) as error:
                raise AgentError(f"the working tree could not be made: {error}") from error
            await self._store.record(ev.RunPrepared(run=row.key, base=base))
        started = rundir.read_spec()
        if started is None:
            await self._preflight.looked.wait()
        order = await self._preparation.order(
            self._store.state, task, self.row(row.key), cli=self._preflight.cli, started=started
        )
        scope = self._preparation.scope(task, row.tree)
        return Session(
            order,
            rundir,
            desk=self,
            judge=lambda tool, arguments, cwd: judge(tool, arguments, scope, cwd),
            prices=self._settings.prices,
            clock=self._clock,
            cursor=self._store.cursors.get(row.key, 0),
        )

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
            await session.abandon()
            return Ending(broken=f"{type(error).__name__}: {error}"), []
        finally:
            del self._sessions[session.run]

    async def _finish(self, run: str, ending: Ending, facts: list[ev.AnyEvent]) -> None:
        """
        Gather the evidence, run the checks, and record the end of the run and what follows from it, in one transaction.
        """
        row = self.row(run)
        outcome, reason = outcome_of(row, ending)
        evidence = await self._evidence(row)
        if evidence is None and row.base:
            # Work that nobody can see is not done, whatever the agent says.
            outcome = Outcome.FAILED if outcome is Outcome.SUCCEEDED else outcome
            reason = "; ".join([*([reason] if reason else []), f"the working tree {row.tree} is gone or was replaced"])
        checks: tuple[ev.CheckResult, ...] = ()
        task = self._store.state.task(row.task)
        if outcome is Outcome.SUCCEEDED and task is not None and task.spec.checks:
            checks = await self._checks(row, task)
            failed = [check.name for check in checks if check.status != "passed"]
            if failed:
                outcome, reason = Outcome.FAILED, f"check failed: {', '.join(failed)}"
        record = RunDir(self._home.run_dir(run)).exit_record()
        leftovers = len(record.leftovers) if record else 0

        def decide(state: State) -> Change[None]:
            now_row, now_task = state.run(run), state.task(row.task)
            if now_row is None or now_task is None or not now_row.open:
                return Change(None)
            # A cancel may have come while the checks ran.
            final, why = (outcome, reason) if now_row.stopping is None else (now_row.stopping, now_row.stopping_reason)
            unanswered = (QuestionState.OPEN, QuestionState.ANSWERED)
            withdrawn = [
                ev.QuestionWithdrawn(question=q.id, reason="the run ended")
                for q in state.questions(run=run)
                if q.state in unanswered
            ]
            exited = ev.RunExited(
                run=run,
                outcome=final,
                reason=why,
                exit_code=ending.exit_code,
                signal=ending.signal,
                result=evidence.result if evidence else None,
                files=evidence.files if evidence else (),
                file_count=evidence.file_count if evidence else 0,
                deliverables=evidence.deliverables if evidence else (),
                checks=checks,
                summary=evidence.summary if evidence else "",
                leftovers=leftovers,
            )
            following = follow_up(
                now_task,
                now_row,
                outcome=final,
                reason=why,
                now=self._clock.wall(),
                default_retries=self._settings.config.retries,
                busy_pause=self._settings.busy_pause,
                conversation=ending.resumable,
            )
            return Change(None, *facts, *withdrawn, exited, following)

        await self._store.do(decide)
        log.info("run.exited", run=run, outcome=str(outcome), reason=reason)

    async def _evidence(self, row: RunRow) -> Evidence | None:
        task = self._store.state.task(row.task)
        if not row.base or task is None:
            return None
        tree = Path(row.tree)
        if not await anyio.to_thread.run_sync(self._preparation.intact, self._repo, task, tree):
            log.warning("run.tree_replaced", run=row.key, tree=row.tree)
            return None
        try:
            return await gather(
                self._repo,
                run=row.key,
                base=row.base,
                tree=tree,
                deliverables=task.spec.deliverables,
                summary=self._home.workspace(row.task) / "summary.md",
            )
        except Exception:
            # The agent's files are still in its tree; that nothing can be told of them is told.
            log.exception("run.evidence_missing", run=row.key)
            return None

    async def _checks(self, row: RunRow, task: TaskRow) -> tuple[ev.CheckResult, ...]:
        def decide(state: State) -> Change[None]:
            now = state.task(task.key)
            alive = now is not None and now.state is TaskState.RUNNING
            return Change(None, *([ev.TaskChecking(task=task.key)] if alive else []))

        await self._store.do(decide)
        rundir = RunDir(self._home.run_dir(row.key))
        env = {**agent_environment(self._settings.config.agent, self._environ), MARK: str(rundir.path)}
        # A daemon that was killed left its checks running: they would work in the same tree.
        await anyio.to_thread.run_sync(end_marked, rundir)
        results: list[ev.CheckResult] = []
        async with anyio.create_task_group() as group:
            group.start_soon(self._until_stopped, row.key, group.cancel_scope)
            for number, check in enumerate(task.spec.checks, 1):
                path = rundir.path / f"check-{number}.log"
                results.append(await run_check(check, tree=Path(row.tree), env=env, log=path, clock=self._clock))
                await anyio.to_thread.run_sync(end_marked, rundir)
            group.cancel_scope.cancel()
        return tuple(results)

    async def _until_stopped(self, run: str, scope: anyio.CancelScope) -> None:
        """
        Cancel *scope* once the run is to stop.
        """
        while self.row(run).stopping is None:
            await self._bus.changes().wait()
        scope.cancel()
