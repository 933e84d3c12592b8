"""
What is left of a day's limit, what is kept of it, and when it is time to stop.
"""

import pytest

from factories import DAY, LIMITS, RUN, TASK, make_day, make_run, make_task_row, spend
from orchestrd.domain import ceiling
from orchestrd.domain.budget import Limits
from orchestrd.domain.model import NANO, Cause, Complexity, TaskState
from orchestrd.domain.rows import RunPhase
from orchestrd.domain.state import State


def working(name: str = "task-001", *, spent: float = 0.0, reserved: float = 3.0, response: float = 0.0, **more):
    key = f"{DAY}/{name}/1"
    run = make_run(
        key, settled=spend(spent), reserved=round(reserved * NANO), response_cost=round(response * NANO), **more
    )
    return [make_task_row(name, state=TaskState.RUNNING, run=key), run]


def done(count: int, dollars: float, complexity: Complexity = Complexity.MEDIUM, day: str = "2026-11-20"):
    rows = [make_day(day)]
    for number in range(count):
        rows.append(make_task_row(f"old-{number}", day=day, state=TaskState.SUCCEEDED, complexity=complexity))
        rows.append(make_run(f"{day}/old-{number}/1", phase=RunPhase.EXITED, settled=spend(dollars + number)))
    return rows


class TestKept:
    def test_what_was_reserved_and_is_not_spent(self):
        state = State([make_day(), *working("a", spent=1), *working("b", spent=0.5, reserved=8)])
        assert ceiling.kept(state, DAY, 50 * NANO) == round(9.5 * NANO)

    def test_never_more_than_there_is(self):
        state = State([make_day(), *working("a", spent=1), *working("b", spent=5, reserved=8)])
        assert ceiling.kept(state, DAY, 8 * NANO) == 2 * NANO
        assert ceiling.kept(state, DAY, 5 * NANO) == 0

    def test_an_agent_that_took_more_keeps_nothing_and_owes_nothing(self):
        state = State([make_day(), *working("a", spent=4), *working("b")])
        assert ceiling.kept(state, DAY, 50 * NANO) == 3 * NANO

    def test_nothing_is_kept_for_one_that_has_nothing_left_to_do(self):
        assert ceiling.kept(State([make_day(), *working(spent=1, leaves=True)]), DAY, 50 * NANO) == 0

    def test_nothing_is_kept_for_what_is_over(self):
        assert ceiling.kept(State([make_day(), *working(spent=1, phase=RunPhase.EXITED)]), DAY, 50 * NANO) == 0


class TestExpected:
    def of(self, *rows, limits: Limits = LIMITS, **task) -> int:
        row = make_task_row(**task)
        return ceiling.expected(State([make_day(), row, *rows]), row, limits)

    @pytest.mark.parametrize(("complexity", "dollars"), [("low", 1), ("medium", 3), ("high", 8)])
    def test_by_complexity_while_nothing_is_known(self, complexity, dollars):
        assert self.of(complexity=Complexity(complexity)) == dollars * NANO

    def test_an_even_share_of_a_small_limit(self):
        row = make_task_row()
        assert ceiling.expected(State([make_day(limit=6 * NANO), row]), row, LIMITS) == 2 * NANO
        assert ceiling.expected(State([make_day(limit=6 * NANO), row]), row, Limits(daily=1, slots=6)) == NANO

    def test_no_more_than_its_own_limit_leaves(self):
        assert self.of(max_cost=2 * NANO) == 2 * NANO
        assert self.of(make_run(RUN, phase=RunPhase.EXITED, settled=spend(1.5)), max_cost=2 * NANO) == NANO // 2
        assert self.of(make_run(RUN, phase=RunPhase.EXITED, settled=spend(5)), max_cost=2 * NANO) == 0

    def test_what_nine_in_ten_cost_once_enough_are_known(self):
        assert self.of(*done(4, 0.1)) == 3 * NANO
        assert self.of(*done(5, 0.1)) == round(4.1 * NANO)
        assert self.of(*done(10, 0.1)) == round(8.1 * NANO)
        # Others tell nothing of it.
        assert self.of(*done(10, 0.1, Complexity.LOW)) == 3 * NANO

    def test_every_attempt_of_a_task_counts(self):
        more = [make_run("2026-11-20/old-4/2", phase=RunPhase.EXITED, settled=spend(2))]
        assert self.of(*done(5, 0.1), *more) == round(6.1 * NANO)


class TestAConversationIsTakenUpAgain:
    """
    What its next response is known to cost is kept for it, and a start that could not pay that does not come about.
    """

    def of(self, spent: float, *runs, limit: float = 20.0, session: str | None = "session-of-1", **task):
        run = make_run(RUN, phase=RunPhase.EXITED, settled=spend(spent), response_cost=4 * NANO)
        row = make_task_row(session=session, attempts=1 + len(runs), **task)
        return State([make_day(limit=round(limit * NANO)), row, run, *runs]), row

    def affordable(self, spent: float, *runs, alone: bool = True, **more):
        state, row = self.of(spent, *runs, **more)
        return ceiling.affordable(state, row, LIMITS, alone=alone)

    def test_two_responses_are_kept_where_they_are_there(self):
        assert self.affordable(5, alone=False) == 8 * NANO
        assert self.affordable(12, alone=False) == 8 * NANO
        assert self.affordable(12.1, alone=False) is None
        assert self.affordable(5, session=None) == 3 * NANO, "a fresh one is like any other"

    def test_alone_it_is_content_with_one_and_with_no_less(self):
        assert self.affordable(16) == 4 * NANO
        assert self.affordable(16.1) is None
        assert self.affordable(16.1, session=None) == 3 * NANO

    def test_one_that_was_taken_up_before_and_was_not_answered_has_told_nothing(self):
        again = make_run(f"{TASK}/2", phase=RunPhase.EXITED, session="session-of-1")
        assert self.affordable(16.1, again) is None
        assert self.affordable(16.1, make_run(f"{TASK}/2", phase=RunPhase.EXITED), session="session-of-2") == 3 * NANO

    def test_the_person_is_asked_where_it_is_not_there(self):
        assert not ceiling.used_up(self.of(16)[0], LIMITS, DAY)
        assert ceiling.used_up(self.of(16.1)[0], LIMITS, DAY)

    def test_no_more_than_its_own_limit_leaves(self):
        assert self.affordable(5, max_cost=10 * NANO) == 5 * NANO


class TestUsedUp:
    def test_at_the_limit(self):
        assert ceiling.used_up(State([make_day(), *working(spent=50)]), LIMITS, DAY)
        assert not ceiling.used_up(State([make_day(), *working(spent=49.99)]), LIMITS, DAY)

    @pytest.mark.parametrize(
        ("spent", "response", "expected"),
        [(44.0, 5.0, False), (44.9, 5.0, False), (45.0, 5.0, True), (49.5, 0.24, False), (49.5, 0.25, True)],
    )
    def test_where_two_more_responses_would_pass_it_and_little_is_left(self, spent, response, expected):
        assert ceiling.used_up(State([make_day(), *working(spent=spent, response=response)]), LIMITS, DAY) is expected

    def test_the_responses_of_all_agents_count_but_of_those_who_ask_nothing(self):
        rows = [make_day(), *working("a", spent=49.0, response=0.25), *working("b", response=0.25)]
        assert ceiling.used_up(State(rows), LIMITS, DAY)
        for phase in (RunPhase.WAITING, RunPhase.STOPPING, RunPhase.EXITED):
            rows = [make_day(), *working("a", spent=49.0, response=0.25), *working("b", response=0.25, phase=phase)]
            assert not ceiling.used_up(State(rows), LIMITS, DAY)
        behind = working("b", response=0.25, phase=RunPhase.WAITING, works_on=True)
        assert ceiling.used_up(State([make_day(), *working("a", spent=49.0, response=0.25), *behind]), LIMITS, DAY)

    def test_an_agent_that_is_gone_has_nothing_under_way(self):
        """
        Its checks go on: $9.20 of $10 are spent, and no more will be.
        """
        state = State([make_day(limit=10 * NANO), *working(spent=9.2, response=0.5, leaves=True)])
        assert ceiling.under_way(state, DAY) == 0
        assert not ceiling.used_up(state, LIMITS, DAY)
        assert ceiling.wanting(state, DAY) == []

    def test_where_what_is_left_is_enough_for_nothing(self):
        over = working("a", spent=49.8, phase=RunPhase.EXITED)[1:]
        assert ceiling.used_up(State([make_day(), *over, make_task_row("b")]), LIMITS, DAY)
        assert not ceiling.used_up(State([make_day(), *over]), LIMITS, DAY), "and nothing is wanted"
        small = make_task_row("c", complexity=Complexity.LOW)
        assert not ceiling.used_up(State([make_day(), *over, make_task_row("b"), small]), LIMITS, DAY)
        # Of a day that spent nothing it is not money that keeps it.
        assert not ceiling.used_up(State([make_day(limit=1), make_task_row("b", max_cost=10)]), LIMITS, DAY)


class TestCurb:
    def test_nobody_is_curbed_while_there_is_money(self):
        state = State([make_day(), *working(spent=49)])
        assert ceiling.curb(state, state.run(RUN), LIMITS) is None

    def test_all_are_once_the_day_is_stopped_until_there_is_more(self):
        state = State([make_day(stopped_at=50 * NANO), *working(spent=49)])
        assert ceiling.curb(state, state.run(RUN), LIMITS) == (
            Cause.DAY_LIMIT,
            "the day's limit of $50.00 is reached",
        )
        state.put(make_day(stopped_at=50 * NANO, raised=1))
        assert ceiling.curb(state, state.run(RUN), LIMITS) is None

    @pytest.mark.parametrize(
        ("spent", "response", "curbed"), [(1.7, 0.2, False), (1.8, 0.2, True), (1.9, 0.04, False), (1.9, 0.05, True)]
    )
    def test_one_whose_next_response_would_pass_its_own_limit(self, spent, response, curbed):
        task = make_task_row(state=TaskState.RUNNING, run=RUN, max_cost=2 * NANO)
        run = make_run(settled=spend(spent), response_cost=round(response * NANO))
        found = ceiling.curb(State([make_day(), task, run]), run, LIMITS)
        assert found == ((Cause.TASK_LIMIT, "the task's limit of $2.00 is reached") if curbed else None)


def test_what_is_affordable_beside_what_starts_with_it():
    state = State([make_day(limit=10 * NANO), row := make_task_row()])
    assert ceiling.affordable(state, row, LIMITS, alone=True) == 3 * NANO
    assert ceiling.affordable(state, row, LIMITS, 7 * NANO, alone=False) == 3 * NANO
    assert ceiling.affordable(state, row, LIMITS, 7 * NANO + 1, alone=False) is None
    assert ceiling.affordable(state, row, LIMITS, 8 * NANO, alone=True) == 2 * NANO
    assert row.key == TASK
