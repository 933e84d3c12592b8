"""
What the sessions know of the rest of the daemon: each of their words, recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio
from anyio.abc import TaskStatus

from orchestrd.domain import ceiling, violations
from orchestrd.domain import events as ev
from orchestrd.domain.budget import Limits
from orchestrd.domain.model import Cause
from orchestrd.domain.retries import REMEDIES
from orchestrd.domain.rows import QuestionRow, QuestionState, RunPhase, RunRow
from orchestrd.domain.state import State
from orchestrd.errors import StorageError
from orchestrd.logs import get_logger
from orchestrd.runner.desk import Keeping
from orchestrd.runner.heard import Heard
from orchestrd.services.bus import Bus, Gap
from orchestrd.services.change import Change
from orchestrd.services.questions import Questions
from orchestrd.services.store import Store

log = get_logger(__name__)


def _kept(_run: str, _call: str) -> Keeping:
    kept = Keeping()
    kept.done.set()
    return kept


class Desk:
    """
    Serves every session of this daemon, see `runner.desk.Desk`.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        questions: Questions,
        limits: Limits,
        attached: Callable[[str], None],
        keep_tree: Callable[[str, str], Keeping] = _kept,
    ) -> None:
        """
        *limits* hold for what agents spend; *attached* is called with the name of each run once it is followed, *keep_tree* with
        that and a tool call before which its tree is to be kept.
        """
        self._store = store
        self._bus = bus
        self._questions = questions
        self._limits = limits
        self.attached = attached
        self.reckoned = False
        """True once everything that was there when the daemon started has been read."""
        self.keep_tree = keep_tree

    def reckon(self) -> None:
        """
        Everything that was there when the daemon started has been read: who waited for that looks again.
        """
        self.reckoned = True
        self._bus.publish(())

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

    @property
    def frozen(self) -> bool:
        """
        True while every agent's processes stand still.
        """
        return self._store.state.home().frozen

    async def cleared(self, run: str) -> bool:
        """
        Wait until an agent may be started: not while everything is frozen, nor before it is known what all have spent.  False when
        the run is to stop first, as it is where there is no money for it.
        """
        while True:
            changes = self._bus.changes()
            if self.row(run).phase is RunPhase.STOPPING:
                return False
            if self.reckoned and not self.frozen:
                if (curb := self.curb(run)) is None:
                    return True
                await self.halt(run, *curb)
                continue
            await changes.wait()

    async def until_stopped(self, run: str, scope: anyio.CancelScope) -> None:
        """
        Cancel *scope* once the run is to stop.
        """
        while True:
            changes = self._bus.changes()
            row = self._store.state.run(run)
            if row is None or row.stopping is not None:
                break
            await changes.wait()
        scope.cancel()

    async def until_cancelled(self, run: str, scope: anyio.CancelScope) -> None:
        """
        Cancel *scope* once the person has cancelled the run's task.
        """
        while True:
            changes = self._bus.changes()
            row = self._store.state.run(run)
            if row is None or row.cancelled:
                break
            await changes.wait()
        scope.cancel()

    async def until_called_off(
        self,
        run: str,
        scope: anyio.CancelScope,
        grace: float,
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """
        Cancel *scope*, *grace* seconds after the person has cancelled the run's task; a cancel that came before this was
        started does not count.
        """
        with self._bus.follow(self._store.seq) as facts:
            task_status.started()
            async for fact in facts:
                if isinstance(fact, Gap):
                    called_off = self.row(run).cancelled
                else:
                    event = fact.event
                    called_off = isinstance(event, ev.RunStopping) and event.run == run and event.cancelled
                if called_off:
                    break
        await anyio.sleep(grace)
        scope.cancel()

    async def heard(self, run: str, heard: Heard, cursor: ev.Cursor) -> bool:
        """
        Record what a stream said, with how far it was read; False when that was nothing.
        """

        def decide(state: State) -> Change[bool]:
            facts = [*heard.facts]
            row = state.run(run)
            task = state.task(row.task) if row else None
            number = task.questions if task else 0
            known = {q.request for q in state.questions(run=run)}
            withdrawn = [
                q.id
                for q in state.questions(run=run)
                if q.request in heard.withdrawn and q.state in (QuestionState.OPEN, QuestionState.ANSWERED)
            ]
            for ask in (a for a in heard.asks if a.request not in known):
                for asked in ask.questions:
                    number += 1
                    name = f"{run.rpartition('/')[0]}#{number}"
                    if ask.request in heard.withdrawn:
                        # Asked and taken back within one look.
                        withdrawn.append(name)
                    facts.append(
                        ev.QuestionAsked(
                            question=name,
                            run=run,
                            text=asked.text,
                            header=asked.header,
                            multi=asked.multi,
                            options=tuple(
                                ev.QuestionOption(label=label, description=text) for label, text in asked.options
                            ),
                            request=ask.request,
                            permit=ask.permit,
                        )
                    )
            facts += [ev.QuestionWithdrawn(question=name, reason="the agent took it back") for name in withdrawn]
            return Change(bool(facts), *facts, cursor=cursor)

        recorded = await self._store.do(decide)
        for fact in heard.facts:
            if isinstance(fact, ev.ViolationSeen):
                # Not what was tried: a command line may hold what belongs into no log.
                log.warning("run.violation", run=run, rule=fact.rule, tool=fact.tool, halted=self.row(run).struck)
        return recorded

    async def delivered(self, questions: list[QuestionRow]) -> None:
        """
        Record that these answers are in the agent's hands.
        """

        def decide(state: State) -> Change[None]:
            rows = [state.question(q.id) for q in questions]
            due = [r for r in rows if r is not None and r.state is QuestionState.ANSWERED]
            return Change(None, *(ev.AnswerDelivered(question=r.id) for r in due))

        await self._store.do(decide)

    def curb(self, run: str) -> tuple[Cause, str] | None:
        """
        Why the agent gets no further tool call, or None.
        """
        return ceiling.curb(self._store.state, self.row(run), self._limits)

    async def curtailed(self, run: str, cause: Cause, reason: str) -> None:
        """
        Record that a tool call is denied for want of money.
        """

        def decide(state: State) -> Change[None]:
            now = state.run(run)
            told = now is None or bool(now.curtailed)
            return Change(None) if told else Change(None, ev.RunCurtailed(run=run, cause=cause, reason=reason))

        await self._store.do(decide)

    async def relieved(self, run: str) -> None:
        """
        Record that a tool call is granted after one was denied for want of money.
        """

        def decide(state: State) -> Change[None]:
            now = state.run(run)
            return Change(None, ev.RunRelieved(run=run)) if now is not None and now.curtailed else Change(None)

        await self._store.do(decide)

    async def halt(self, run: str, cause: Cause, reason: str) -> None:
        """
        Record that the run must stop, and why.
        """

        def decide(state: State) -> Change[None]:
            now = state.run(run)
            if now is None or now.phase in (RunPhase.STOPPING, RunPhase.EXITED):
                return Change(None)
            return Change(None, ev.RunStopping(run=run, outcome=REMEDIES[cause].outcome, reason=reason, cause=cause))

        await self._store.do(decide)

    def strikes(self, run: str, facts: Iterable[ev.AnyEvent]) -> bool:
        """
        True when these *facts* of the run, which are not recorded yet, make its halt due.
        """
        return violations.strikes(self.row(run), facts, self._limits.unknown)

    async def violated(self, run: str, violation: ev.ViolationSeen, reason: str) -> None:
        """
        Record a *violation* that was seen to have happened, once, and that the run must stop for it, because of *reason*.
        """

        def decide(state: State) -> Change[None]:
            now = state.run(run)
            if now is None or not now.open:
                return Change(None)
            known = {(seen.call, seen.seen_by) for seen in state.violations(task=now.task) if seen.run == run}
            facts: list[ev.AnyEvent] = []
            if (violation.call, violation.seen_by) not in known:
                facts.append(violation)
            if not now.struck:
                cause = Cause.VIOLATION
                facts.append(ev.RunStopping(run=run, outcome=REMEDIES[cause].outcome, reason=reason, cause=cause))
            return Change(None, *facts)

        await self._store.do(decide)

    async def leaving(self, run: str) -> None:
        """
        Take a question that the agent left as a file.
        """
        await self._questions.last_look(self.row(run).task)

    async def let_go(self, run: str) -> None:
        """
        Record that the agent of *run* is asked to leave, or is gone.
        """

        def decide(state: State) -> Change[None]:
            now = state.run(run)
            told = now is None or not now.open or now.leaves
            return Change(None) if told else Change(None, ev.RunLeaving(run=run))

        await self._store.do(decide)

    async def last_answers(self, run: str) -> None:
        """
        Record what a person has answered by file before the run's questions are closed.
        """
        await self._questions.last_answers(run)

    def beginning(self, run: str) -> None:
        """
        See that nothing lies where *run* will ask its questions, before it has an agent.
        """
        self._questions.clear(run)
