"""
A day on a clock of its own: two used-up usage windows, an hour of overload and a login that is gone, seen through by the same
decisions as the daemon's, with agents that only make requests.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from factories import DAY, LIMITS, OPUS, make_day, make_rules, make_task_row, tell
from orchestrd.domain import account
from orchestrd.domain import events as ev
from orchestrd.domain.account import Manners, blocked
from orchestrd.domain.consequences import due
from orchestrd.domain.model import Cause, TaskState, Usage
from orchestrd.domain.quiet import Quiet
from orchestrd.domain.retries import REFUSALS, REMEDIES, follow_up, refusals
from orchestrd.domain.rows import RunPhase
from orchestrd.domain.schedule import decide
from orchestrd.domain.state import State

SLOTS, TASKS = 4, 36
MANNERS = Manners(first=60.0, quiet=Quiet(after=22 * 60, until=7 * 60))
CLI_TRIES = {Cause.WINDOW: 1, Cause.OVERLOADED: 3, Cause.UNAUTHORIZED: 11, Cause.SERVER_ERROR: 11}
"""
How often Claude Code 2.1.330 asks before it gives up: a used-up window is told at once, a 529 is asked three times (with a
subscription's token as often as anything else).
"""


def at(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


BEGIN = at("2026-11-22T10:00:00")
TROUBLES = (
    (at("2026-11-22T12:00:00"), at("2026-11-22T13:30:00"), Cause.WINDOW),
    (at("2026-11-22T15:00:00"), at("2026-11-22T16:00:00"), Cause.OVERLOADED),
    (at("2026-11-22T17:30:00"), at("2026-11-22T18:10:00"), Cause.UNAUTHORIZED),
    (at("2026-11-22T20:30:00"), at("2026-11-22T23:10:00"), Cause.WINDOW),
)


class Day:
    """
    The home, its agents and the service, event by event, with *troubles*; of the *poisoned* tasks every request fails.
    """

    def __init__(
        self, seed: int, *, troubles: Sequence[tuple[float, float, Cause]] = TROUBLES, poisoned: Sequence[str] = ()
    ) -> None:
        self.troubles = troubles
        self.poisoned = {f"{DAY}/{name}" for name in poisoned}
        self.chance = random.Random(seed)
        self.now = BEGIN
        names = [f"t{number:02}" for number in range(TASKS)]
        self.state = State(
            [make_day(limit=10**15), *(make_task_row(n, order=i, retries=0) for i, n in enumerate(names))]
        )
        self.left = {f"{DAY}/{name}": self.chance.randrange(15, 50) for name in names}
        self.requests: Counter[int] = Counter()
        """Requests in each minute of the day."""
        self.starts: list[tuple[float, bool]] = []
        """When each run started, and whether it went on with a conversation."""
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def run(self, until: float) -> None:
        self._settle()
        while self._heap and self._heap[0][0] <= until:
            self.now, _, act = heapq.heappop(self._heap)
            act()
            self._settle()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (self.now + seconds, self._count, act))

    def _settle(self) -> None:
        """
        What the daemon does after every change.
        """
        while facts := due(self.state, LIMITS):
            self._tell(*facts)
            for fact in facts:
                if isinstance(fact, ev.RunStopping):
                    self.after(3.0, lambda run=fact.run, cause=fact.cause: self._end(run, cause))
                elif isinstance(fact, ev.QuestionAsked):
                    # The person logs in again when the trouble is over, and says so.
                    end = next(stop for _, stop, cause in self.troubles if cause is Cause.UNAUTHORIZED)
                    self.after(end - self.now, lambda name=fact.question: self._answer(name))
        decision = decide(self.state, make_rules(max_concurrent=SLOTS, quiet=MANNERS.quiet), self.now, zone=UTC)
        for key in decision.starts:
            self._start(key)
        if decision.starts:
            self._settle()
        elif decision.look_again is not None:
            self.after(max(0.05, decision.look_again - self.now), lambda: None)

    def _tell(self, *facts: ev.AnyEvent) -> None:
        tell(self.state, *facts, at=self.now)

    def _start(self, key: str) -> None:
        task = self.state.task(key)
        run = f"{key}/{task.attempts + 1}"
        self.starts.append((self.now, task.session is not None))
        self._tell(
            ev.RunStarted(
                run=run,
                task=key,
                attempt=task.attempts + 1,
                session=task.session or f"s-{key}",
                resumes=task.session is not None,
                tree="/t",
            ),
            ev.RunInitialised(run=run, model=OPUS, cli_version="2.1.330"),
        )
        self.after(self.chance.uniform(2, 10), lambda: self._ask(run))

    def _ask(self, run: str) -> None:
        """
        The agent asks the model for something.
        """
        row = self.state.run(run)
        if row.phase is not RunPhase.STREAMING:
            return
        trouble = next((cause for begin, end, cause in self.troubles if begin <= self.now < end), None)
        if trouble is None and row.task in self.poisoned:
            trouble = Cause.SERVER_ERROR
        if trouble is not None:
            self.requests[int(self.now // 60)] += CLI_TRIES[trouble]
            self.after(1.0, lambda: self._end(run, trouble))
            return
        self.requests[int(self.now // 60)] += 1
        self._tell(ev.SpendSeen(run=run, message=f"m{self.now}", model=OPUS, usage=Usage(input=1), cost=1))
        self.left[row.task] -= 1
        if self.left[row.task]:
            self.after(self.chance.uniform(20, 150), lambda: self._ask(run))
        else:
            self.after(5.0, lambda: self._end(run, Cause.DONE))

    def _end(self, run: str, cause: Cause) -> None:
        row = self.state.run(run)
        if not row.open:
            return
        task, reason = self.state.task(row.task), "" if cause is Cause.DONE else str(cause)
        resets = next(
            (end for begin, end, why in self.troubles if why is Cause.WINDOW and begin <= self.now < end), None
        )
        trouble = blocked(
            self.state.home(), row, cause, reason=reason, resets_at=resets, manners=MANNERS, now=self.now, zone=UTC
        )
        refused = refusals(task, row, cause, self.state.home().recovered_at, self.now)
        following = follow_up(task, row, cause=cause, reason=reason, now=self.now, default_retries=0, refused=refused)
        exited = ev.RunExited(run=run, outcome=REMEDIES[cause].outcome, cause=cause, reason=reason)
        self._tell(exited, following, *([trouble] if trouble and refused < REFUSALS else []))

    def _answer(self, name: str) -> None:
        facts = account.follow(name, account.AGAIN, "cli")
        self._tell(ev.QuestionAnswered(question=name, answer=account.AGAIN, by="cli"), *facts)


@pytest.mark.parametrize("seed", range(8))
def test_every_task_ends_and_nobody_storms(seed, record_property):
    day = Day(seed)
    day.run(at("2026-11-23T12:00:00"))
    states = Counter(task.state for task in day.state.tasks())
    assert states == {TaskState.SUCCEEDED: TASKS}, states
    assert set(day.left.values()) == {0}

    # Nobody comes back in the quiet hours, and what had begun goes on with its conversation.
    quiet = [moment for moment, _ in day.starts if at("2026-11-22T22:00:00") <= moment < at("2026-11-23T07:00:00")]
    assert quiet == []
    attempts = sum(task.attempts for task in day.state.tasks())
    assert sum(resumed for _, resumed in day.starts) == attempts - TASKS

    # At work each of four agents asks three times a minute at most.  In trouble each of them runs into it once, and after that
    # one alone tries, ever more seldom.
    busiest = max(day.requests.values())
    record_property("requests a minute", busiest)
    assert busiest <= SLOTS * max(CLI_TRIES.values())
    for begin, end, cause in TROUBLES:
        asked = sum(count for minute, count in day.requests.items() if begin + 180 <= minute * 60 < end)
        tries = asked / CLI_TRIES[cause]
        assert tries <= (8 if cause is Cause.OVERLOADED else 0), (cause, tries)
    # It costs no task a try, though none had one to spare.
    assert all(task.failures == 0 for task in day.state.tasks())
    assert day.state.home().block is None
    assert len([e for e in (day.state.question(f"{DAY}/_account#{n}") for n in (1, 2)) if e is not None]) == 1


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("poisoned", [("t00",), ("t00", "t01", "t20")])
def test_a_task_that_the_service_always_fails_keeps_nobody_from_work(seed, poisoned):
    day = Day(seed, troubles=(), poisoned=poisoned)
    day.run(at("2026-11-22T21:00:00"))
    states = Counter(task.state for task in day.state.tasks())
    assert states == {TaskState.SUCCEEDED: TASKS - len(poisoned), TaskState.FAILED: len(poisoned)}
    for name in poisoned:
        task = day.state.task(f"{DAY}/{name}")
        assert task.reason == "the service failed it 5 times more, though it had answered in between: server_error"
        assert task.attempts <= 20
    assert max(day.requests.values()) <= SLOTS * max(CLI_TRIES.values())


@pytest.mark.parametrize("cause", [Cause.OVERLOADED, Cause.SERVER_ERROR, Cause.UNREACHABLE, Cause.RATE_LIMIT])
def test_a_service_that_is_down_for_all_fails_nobody(cause, monkeypatch):
    monkeypatch.setitem(CLI_TRIES, cause, 1)
    begin, end = at("2026-11-22T10:20:00"), at("2026-11-22T20:00:00")
    earlier = (begin - 900, begin - 720, cause)
    day = Day(0, troubles=(earlier, (begin, end, cause)))
    day.run(at("2026-11-22T19:59:59"))
    assert Counter(task.state for task in day.state.tasks())[TaskState.FAILED] == 0
    assert sum(count for minute, count in day.requests.items() if begin + 180 <= minute * 60 < end) < 50
    day.run(at("2026-11-23T15:00:00"))
    assert Counter(task.state for task in day.state.tasks()) == {TaskState.SUCCEEDED: TASKS}
