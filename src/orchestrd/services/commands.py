"""
What the person does to tasks, cancel and try again, to the home, freeze and thaw, and to the account: try it now.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestrd.clock import Clock, SystemClock, iso
from orchestrd.domain import account, allowances
from orchestrd.domain import events as ev
from orchestrd.domain.lookup import newest_day, resolve
from orchestrd.domain.model import Cause, Outcome, TaskState
from orchestrd.domain.rows import TaskRow
from orchestrd.domain.state import State
from orchestrd.errors import RequestError
from orchestrd.protocol.api import AccountRetried, AccountRetry, Changed, Disallow, Freeze, Frozen, TaskNames, TaskRetry
from orchestrd.services.change import Change
from orchestrd.services.store import Store


class Commands:
    """
    Writes that touch only the journal; the scheduler and the sessions act on what is recorded.
    """

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()

    async def cancel(self, names: TaskNames) -> Changed:
        """
        Stop the tasks for good: a queued one at once, a live one as soon as its agent is ended.

        Raises `NotFound`, `RequestError`.
        """

        def decide(state: State) -> Change[Changed]:
            facts: list[ev.AnyEvent] = []
            answer = Changed()
            for row in _named(state, names, lambda row: not row.state.ended):
                if row.state.ended:
                    answer.unchanged.append(row.key)
                    answer.notes.append(f"{row.spec.id} has ended already: it is {row.state}")
                elif row.state is TaskState.QUEUED:
                    facts.append(ev.TaskCancelled(task=row.key, by="the person"))
                    answer.changed.append(row.key)
                elif row.run is not None:
                    facts.append(
                        ev.RunStopping(
                            run=row.run,
                            outcome=Outcome.KILLED,
                            reason="cancelled",
                            cancelled=True,
                            cause=Cause.CANCELLED,
                        )
                    )
                    answer.changed.append(row.key)
            return Change(answer, *facts)

        return await self._store.do(decide, request=names.request_id, method=names.named("task.cancel"))

    async def retry(self, names: TaskRetry) -> Changed:
        """
        Queue ended tasks again, each with a fresh conversation and a fresh tree; earlier work stays in the snapshots.  One that is
        allowed what it was denied goes on in its conversation and its tree.

        Raises `NotFound`, `RequestError`, `Refused`.
        """

        def decide(state: State) -> Change[Changed]:
            facts: list[ev.AnyEvent] = []
            answer = Changed()
            wanted = (TaskState.FAILED, TaskState.CANCELLED)
            rows = _named(state, names, lambda row: row.state in wanted)
            if names.allow and (names.all or len(rows) != 1):
                raise RequestError("what is allowed is allowed to one task", hint="Name that one, without --all.")
            for row in rows:
                allowed = allowances.allow(state, row, names.allow, names.by)
                facts += allowed
                answer.notes += [f"{row.spec.id} may now: {fact.tool} {fact.target}" for fact in allowed]
                answer.notes += allowances.hindered(state, row, allowed)
                if row.state.ended:
                    session = allowances.session(state, row) if allowed else None
                    reason = "goes on with what it was denied" if allowed else "asked for again"
                    facts.append(ev.TaskRequeued(task=row.key, reason=reason, session=session, by_person=True))
                    answer.changed.append(row.key)
                else:
                    answer.unchanged.append(row.key)
                    answer.notes.append(f"{row.spec.id} has not ended: it is {row.state}")
            return Change(answer, *facts)

        return await self._store.do(decide, request=names.request_id, method=names.named("task.retry"))

    async def disallow(self, p: Disallow) -> Changed:
        """
        Take back what a task was allowed beyond the rules.

        Raises `NotFound`.
        """

        def decide(state: State) -> Change[Changed]:
            row = resolve(state, p.task, p.day)
            fact = allowances.disallow(row, p.allowance, p.by)
            taken = row.allowed[fact.allowance]
            note = f"{row.spec.id} may no longer: {taken.tool} {taken.target}"
            return Change(Changed(changed=[row.key], notes=[note]), fact)

        return await self._store.do(decide, request=p.request_id, method=p.named("task.disallow"))

    async def retry_account(self, p: AccountRetry) -> AccountRetried:
        """
        One agent is to try the account now, whatever it waits for.

        Raises `Refused` when nothing is the matter with it.
        """

        def decide(state: State) -> Change[AccountRetried]:
            block, facts = account.retry(state, p.by, self._clock.wall())
            told = {"cause": str(block.cause), "reason": block.reason, "since": iso(block.since) or ""}
            return Change(AccountRetried(changed=bool(facts), **told), *facts)

        return await self._store.do(decide, request=p.request_id, method=p.named("account.retry"))

    async def freeze(self, p: Freeze) -> Frozen:
        """
        Everything is to stand still from now on; freezing what is frozen changes nothing.
        """

        def decide(state: State) -> Change[Frozen]:
            facts = [] if state.home().frozen else [ev.HomeFrozen(by=p.by)]
            return Change.answered(answer, *facts)

        def answer(state: State) -> Frozen:
            return Frozen(frozen=True, since=iso(state.home().frozen_since), runs=live_runs(state))

        return await self._store.do(decide, request=p.request_id, method=p.named("home.freeze"))

    async def thaw(self, p: Freeze) -> Frozen:
        """
        Everything is to go on; thawing what is not frozen changes nothing.
        """

        def decide(state: State) -> Change[Frozen]:
            facts = [ev.HomeThawed(by=p.by)] if state.home().frozen else []
            return Change(Frozen(frozen=False, runs=live_runs(state)), *facts)

        return await self._store.do(decide, request=p.request_id, method=p.named("home.thaw"))


def live_runs(state: State) -> list[str]:
    """
    The full names of the runs that are open.
    """
    return [run.key for day in state.active_days() for run in state.runs(day=day) if run.open]


def _named(state: State, names: TaskNames, fits: Callable[[TaskRow], bool]) -> list[TaskRow]:
    """
    The tasks that are named, or with ``all`` those of the day that *fit*.
    """
    if names.all:
        day = names.day or newest_day(state)
        return [row for row in state.tasks(day) if fits(row)] if day is not None else []
    if not names.tasks:
        raise RequestError("no task was named", hint="Name tasks, or use --all.")
    return [resolve(state, name, names.day) for name in dict.fromkeys(names.tasks)]
