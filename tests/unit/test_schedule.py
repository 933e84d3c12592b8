"""
Who may start, who waits and why, and when to look again.
"""

import pytest

from factories import DAY, LIMITS, NOW, TASK, make_day, make_question, make_rules, make_run, make_task_row, spend
from orchestrd.domain.budget import Limits
from orchestrd.domain.model import NANO, Isolation, Priority, TaskState
from orchestrd.domain.room import Promise, Room, Stock
from orchestrd.domain.rows import RunPhase
from orchestrd.domain.schedule import Decision, Wait, decide, settled, view, waits_for
from orchestrd.domain.state import State


def state_of(*rows) -> State:
    return State([make_day(), *rows])


def queue(*ids: str, **overrides) -> list:
    return [make_task_row(name, order=number, **overrides) for number, name in enumerate(ids)]


def live(name: str, **overrides):
    """
    A running task and its run.
    """
    return [
        make_task_row(name, state=TaskState.RUNNING, run=f"{DAY}/{name}/1", order=50),
        make_run(f"{DAY}/{name}/1", **overrides),
    ]


def starts(state: State, now: float = NOW, *, hold: str | None = None, **rules) -> list[str]:
    return [key.partition("/")[2] for key in decide(state, make_rules(**rules), now, hold=hold).starts]


def test_nothing_known_nothing_to_do():
    assert decide(State(), make_rules(), NOW) == Decision(starts=(), waits={}, look_again=None)


def test_urgent_first_then_the_order_of_the_file():
    state = state_of(
        make_task_row("low", order=0, priority=Priority.LOW),
        make_task_row("b", order=2),
        make_task_row("a", order=3),
        make_task_row("high", order=4, priority=Priority.HIGH),
        make_task_row("urgent", order=5, priority=Priority.URGENT),
    )
    assert starts(state, max_concurrent=9) == ["urgent", "high", "b", "a", "low"]


def test_an_older_day_comes_before_a_newer_one():
    old = make_task_row("z", day="2026-11-21", order=9)
    state = State([make_day(), make_day("2026-11-21"), make_task_row("a", order=0), old])
    assert decide(state, make_rules(), NOW).starts == (old.key, f"{DAY}/a")


def test_only_as_many_as_there_are_slots():
    decision = decide(state_of(*live("x"), *queue("a", "b", "c")), make_rules(max_concurrent=3), NOW)
    assert decision.starts == (f"{DAY}/a", f"{DAY}/b")
    assert decision.waits == {f"{DAY}/c": Wait(reason="all 3 agent slots are taken")}
    assert decision.look_again is None


@pytest.mark.parametrize("phase", [phase for phase in RunPhase if phase is not RunPhase.EXITED])
def test_every_open_run_holds_a_slot(phase):
    assert starts(state_of(*live("x", phase=phase), *queue("a")), max_concurrent=1) == []


def test_an_exited_run_holds_none():
    assert starts(state_of(*live("x", phase=RunPhase.EXITED), *queue("a")), max_concurrent=1) == ["a"]


@pytest.mark.parametrize("state", [s for s in TaskState if s is not TaskState.QUEUED])
def test_only_queued_tasks_start(state):
    assert starts(state_of(make_task_row("a", state=state))) == []


class TestWaitingForThePerson:
    def test_a_slot_is_kept_for_a_while_and_then_lent(self):
        state = state_of(*live("x", phase=RunPhase.WAITING, waiting_since=NOW), *queue("a"))
        held = decide(state, make_rules(max_concurrent=1), NOW + 299)
        assert (held.starts, held.look_again) == ((), NOW + 300)
        lent = decide(state, make_rules(max_concurrent=1), held.look_again)
        assert (lent.starts, lent.look_again) == ((f"{DAY}/a",), None)

    @pytest.mark.parametrize("since", [NOW + 0.1, NOW + 1 / 3, 1.1, 7e9 + 0.7])
    def test_looking_when_told_to_is_never_too_early(self, since):
        state = state_of(*live("x", phase=RunPhase.WAITING, waiting_since=since), *queue("a"))
        for after in (0.1, 0.3, 300.0, 1e-6):
            rules = make_rules(max_concurrent=1, waiting_frees_slot_after=after)
            again = decide(state, rules, since).look_again
            if again is not None:
                assert decide(state, rules, again).starts == (f"{DAY}/a",)

    def test_who_comes_back_from_waiting_does_not_make_slots_negative_for_ever(self):
        rows = [*live("x"), *live("y"), *queue("a")]
        assert starts(state_of(*rows), max_concurrent=1) == []


class TestDependencies:
    def test_a_task_waits_for_what_it_needs(self):
        state = state_of(*queue("a"), make_task_row("b", order=1, depends_on=("a",)))
        decision = decide(state, make_rules(), NOW)
        assert decision.starts == (f"{DAY}/a",)
        assert decision.waits[f"{DAY}/b"] == Wait(reason="needs a, which is queued", blocked=True)

    def test_it_starts_once_all_of_it_succeeded(self):
        done = [make_task_row(name, state=TaskState.SUCCEEDED) for name in ("a", "b")]
        assert starts(state_of(*done, make_task_row("c", depends_on=("a", "b")))) == ["c"]
        assert starts(state_of(done[0], *live("b"), make_task_row("c", depends_on=("a", "b")))) == []

    @pytest.mark.parametrize(
        ("rows", "reason", "stuck"),
        [
            ([], "needs a, which was never submitted", True),
            ([make_task_row("a", state=TaskState.FAILED)], "needs a, which failed", True),
            ([make_task_row("a", state=TaskState.CANCELLED)], "needs a, which was cancelled", True),
            ([make_task_row("a", state=TaskState.RUNNING)], "needs a, which is running", False),
            ([make_task_row("a", state=TaskState.WAITING)], "needs a, which is waiting", False),
            ([make_task_row("a", state=TaskState.CHECKING)], "needs a, which is checking", False),
        ],
        ids=lambda value: value if isinstance(value, str) else None,
    )
    def test_why_it_waits(self, rows, reason, stuck):
        wait = decide(state_of(*rows, make_task_row("b", depends_on=("a",))), make_rules(), NOW).waits[f"{DAY}/b"]
        assert wait == Wait(reason=reason, blocked=True, stuck=stuck)

    def test_stuck_goes_through_the_whole_chain(self):
        state = state_of(
            make_task_row("a", state=TaskState.FAILED),
            make_task_row("b", depends_on=("a",)),
            make_task_row("c", depends_on=("b",)),
            make_task_row("d", depends_on=("c",)),
        )
        waits = decide(state, make_rules(), NOW).waits
        assert all(waits[f"{DAY}/{name}"].stuck for name in "bcd")
        assert waits[f"{DAY}/d"].reason == "needs c, which is blocked"

    def test_a_dependency_of_another_day_with_the_same_name_does_not_count(self):
        other = make_task_row("a", day="2026-11-21", state=TaskState.SUCCEEDED)
        state = State([make_day(), other, make_task_row("b", depends_on=("a",))])
        assert decide(state, make_rules(), NOW).waits[f"{DAY}/b"].stuck

    def test_a_long_chain_is_no_problem(self):
        names = [f"t{number}" for number in range(1500)]
        rows = [make_task_row(names[0], state=TaskState.FAILED)]
        rows += [make_task_row(name, order=n, depends_on=(names[n - 1],)) for n, name in enumerate(names) if n]
        state = state_of(*rows)
        assert waits_for(state, rows[-1], LIMITS, NOW).stuck


class TestMoney:
    def test_at_the_limit_nothing_starts(self):
        run = make_run(f"{DAY}/x/1", phase=RunPhase.EXITED, settled=spend(50))
        decision = decide(state_of(make_task_row("x", state=TaskState.SUCCEEDED), run, *queue("a")), make_rules(), NOW)
        assert decision.waits[f"{DAY}/a"] == Wait(
            reason="the day's limit of $50.00 is used up ($50.00 spent)", stuck=True
        )

    @pytest.mark.parametrize(
        ("spent", "shares"), [(0, [3, 3, 3]), (43.5, [3, 3]), (44, [3, 3]), (46, [3]), (48, [2]), (49.7, [0.3])]
    )
    def test_below_it_they_start_as_far_as_what_they_may_need_is_left(self, spent, shares):
        run = make_run(f"{DAY}/x/1", phase=RunPhase.EXITED, settled=spend(spent))
        state = state_of(make_task_row("x", state=TaskState.SUCCEEDED), run, *queue("a", "b", "c"))
        decision = decide(state, make_rules(), NOW)
        assert decision.starts == tuple(f"{DAY}/{name}" for name in "abc"[: len(shares)])
        assert list(decision.shares.values()) == [pytest.approx(share * NANO) for share in shares]
        for wait in decision.waits.values():
            assert wait.reason.startswith("waits for money: it may need $3.00; of the day's $50.00, $4")
            assert not wait.stuck

    def test_what_is_kept_for_those_at_work_is_not_given_twice(self):
        task = make_task_row("x", state=TaskState.RUNNING, run=f"{DAY}/x/1")
        run = make_run(f"{DAY}/x/1", settled=spend(1), reserved=8 * NANO)
        rows = [make_day(limit=12 * NANO), task, run, *queue("a", "b")]
        decision = decide(State(rows), make_rules(), NOW)
        assert decision.shares == {f"{DAY}/a": 3 * NANO}
        assert decision.waits[f"{DAY}/b"].reason == (
            "waits for money: it may need $3.00; of the day's $12.00, $1.00 are spent and $10.00 kept for tasks at work"
        )
        # It took more than was kept for it: that is gone, and no more.
        over = make_run(f"{DAY}/x/1", settled=spend(10), reserved=8 * NANO)
        decision = decide(State([make_day(limit=12 * NANO), task, over, *queue("a")]), make_rules(), NOW)
        assert decision.starts == ()

    def test_a_little_that_is_left_is_no_beginning(self):
        run = make_run(f"{DAY}/x/1", phase=RunPhase.EXITED, settled=spend(49.8))
        state = state_of(make_task_row("x", state=TaskState.SUCCEEDED), run, *queue("a"))
        wait = decide(state, make_rules(), NOW).waits[f"{DAY}/a"]
        assert wait == Wait(
            reason="waits for money: it may need $3.00; of the day's $50.00, $49.80 are spent", stuck=True
        )

    def test_a_stop_holds_even_when_the_account_comes_out_lower(self):
        assert starts(State([make_day(stopped_at=10**15), *queue("a")])) == []

    def test_a_days_own_limit_counts_instead_of_the_configured_one(self):
        run = make_run(f"{DAY}/x/1", phase=RunPhase.EXITED, settled=spend(2))
        tasks = [make_task_row("x", state=TaskState.SUCCEEDED), run, *queue("a")]
        assert starts(State([make_day(limit=2 * NANO), *tasks])) == []
        assert starts(State([make_day(limit=60 * NANO), *tasks]), limits=Limits(daily=NANO)) == ["a"]

    def test_another_days_spend_does_not_count(self):
        old = "2026-11-21"
        run = make_run(f"{old}/x/1", phase=RunPhase.EXITED, settled=spend(99))
        done = make_task_row("x", day=old, state=TaskState.SUCCEEDED)
        assert starts(State([make_day(), make_day(old), done, run, *queue("a")])) == ["a"]

    def test_a_tasks_own_limit_counts_over_all_its_runs(self):
        runs = [make_run(f"{TASK}/{n}", phase=RunPhase.EXITED, settled=spend(0.5)) for n in (1, 2)]
        decision = decide(state_of(make_task_row(max_cost=NANO), *runs), make_rules(), NOW)
        assert decision.waits[TASK] == Wait(reason="the task's own limit of $1.00 is reached", stuck=True)


class TestTime:
    def test_a_start_time(self):
        state = state_of(make_task_row("a", start_at=NOW + 60), make_task_row("b", order=1))
        decision = decide(state, make_rules(), NOW)
        assert (decision.starts, decision.look_again) == ((f"{DAY}/b",), NOW + 60)
        assert decision.waits[f"{DAY}/a"] == Wait(reason="waits for its start time")
        assert "a" in starts(state, NOW + 60)

    def test_a_pause_before_another_try(self):
        state = state_of(make_task_row("a", not_before=NOW + 5, reason="retry 1 of 2 after: it was killed"))
        decision = decide(state, make_rules(), NOW)
        assert decision.waits[f"{DAY}/a"] == Wait(reason="retry 1 of 2 after: it was killed")
        assert decision.look_again == NOW + 5
        assert starts(state, NOW + 5) == ["a"]

    def test_the_later_of_both_holds(self):
        for start_at, not_before in ((NOW + 9, NOW + 5), (NOW + 5, NOW + 9)):
            state = state_of(make_task_row("a", start_at=start_at, not_before=not_before))
            assert decide(state, make_rules(), NOW).look_again == NOW + 9
            assert starts(state, NOW + 8) == []
            assert starts(state, NOW + 9) == ["a"]

    def test_the_earliest_moment_is_told(self):
        state = state_of(
            *live("x", phase=RunPhase.WAITING, waiting_since=NOW - 100),
            make_task_row("a", start_at=NOW + 500),
            make_task_row("b", start_at=NOW + 400),
        )
        assert decide(state, make_rules(), NOW).look_again == NOW + 200


class TestInPlace:
    def test_one_at_a_time(self):
        state = state_of(*queue("a", "b", isolation=Isolation.IN_PLACE), make_task_row("c", order=5))
        decision = decide(state, make_rules(), NOW)
        assert decision.starts == (f"{DAY}/a", f"{DAY}/c")
        assert decision.waits[f"{DAY}/b"].reason == "another task works in the project's own tree"

    def test_a_waiting_one_keeps_the_tree_even_without_its_slot(self):
        rows = [
            make_task_row("x", state=TaskState.WAITING, isolation=Isolation.IN_PLACE),
            make_run(f"{DAY}/x/1", phase=RunPhase.WAITING, waiting_since=NOW - 999),
            make_task_row("a", isolation=Isolation.IN_PLACE, order=1),
        ]
        assert starts(state_of(*rows)) == []


class TestHold:
    def test_nothing_starts_and_everyone_is_told_why(self):
        decision = decide(state_of(*queue("a", "b")), make_rules(), NOW, hold=Wait(reason="not logged in", stuck=True))
        assert decision.starts == ()
        assert set(decision.waits.values()) == {Wait(reason="not logged in", stuck=True)}

    def test_the_reason_that_lasts_comes_first(self):
        state = state_of(make_task_row("a", start_at=NOW + 60))

        def told(**hold) -> Wait:
            return decide(state, make_rules(), NOW, hold=Wait(reason="x", **hold)).waits[f"{DAY}/a"]

        assert told() == told(until=NOW + 60) == Wait(reason="waits for its start time")
        both = "x; beside that, waits for its start time"
        assert told(stuck=True) == Wait(reason=both, stuck=True)
        assert told(until=NOW + 61) == Wait(reason=both, until=NOW + 61)
        assert settled(state, DAY, decide(state, make_rules(), NOW, hold=Wait(reason="x", stuck=True)))


GB = 10**9


def memory(free: float, *, each: float = 1.5, total: float = 64.0, **used: float) -> Room:
    """
    *free* GB of memory, of which each agent is promised *each*, and what the tasks' runs have *used*.
    """
    stock = Stock(
        name="memory", promise=Promise(each=round(each * GB), keep=0), total=round(total * GB), free=round(free * GB),
        used={f"{DAY}/{name}/1": round(number * GB) for name, number in used.items()},
    )  # fmt: skip
    return (stock,)


class TestRoom:
    def test_as_many_start_as_fit_the_most_wanted_first(self):
        state = state_of(*queue("a", "b", "c"), make_task_row("urgent", order=9, priority=Priority.URGENT))
        decision = decide(state, make_rules(max_concurrent=9), NOW, room=memory(3.9))
        assert decision.starts == (f"{DAY}/urgent", f"{DAY}/a")
        assert [*decision.waits] == [f"{DAY}/b", f"{DAY}/c"]
        assert {(w.reason, w.stuck) for w in decision.waits.values()} == {
            (
                "waits for memory: 1.5 GB an agent, 900 MB left (3.9 GB free, 3 GB still promised to 2 live agents)",
                False,
            )
        }

    @pytest.mark.parametrize("phase", [phase for phase in RunPhase if phase is not RunPhase.EXITED])
    def test_what_a_live_run_may_still_take_is_kept_for_it(self, phase):
        state = state_of(*live("x", phase=phase, waiting_since=NOW - 999), *queue("a"))
        assert decide(state, make_rules(), NOW, room=memory(2.9)).starts == ()
        assert decide(state, make_rules(), NOW, room=memory(2.9, x=0.1)).starts == (f"{DAY}/a",)

    def test_it_is_looked_for_again(self):
        state = state_of(*queue("a"))
        decision = decide(state, make_rules(), NOW, room=memory(1.4))
        assert (decision.look_again, decision.short) == (NOW + 3.0, "too little memory for another agent")
        assert not settled(state, DAY, decision)
        enough = decide(state, make_rules(), NOW, room=memory(1.5))
        assert (enough.starts, enough.look_again, enough.short) == ((f"{DAY}/a",), None, "")

    def test_what_waits_for_something_else_does_not_make_anyone_look(self):
        state = state_of(*live("x"), *queue("a"))
        decision = decide(state, make_rules(max_concurrent=1), NOW, room=memory(0))
        assert decision.waits[f"{DAY}/a"].reason == "all 1 agent slots are taken"
        assert (decision.look_again, decision.short) == (None, "")
        assert decide(state_of(*live("x")), make_rules(), NOW, room=memory(0, total=1)).short == ""

    def test_on_a_machine_that_is_too_small_all_that_wait_are_stuck(self):
        state = state_of(*queue("a"), make_task_row("b", order=1, depends_on=("a",)))
        decision = decide(state, make_rules(), NOW, room=memory(1.0, total=1.4))
        reason = "never enough memory: 1.5 GB an agent and 0 B kept free, of 1.4 GB in all; lower agent.memory"
        assert decision.waits == {
            f"{DAY}/a": Wait(reason=reason, stuck=True),
            f"{DAY}/b": Wait(reason="needs a, which is queued", blocked=True, stuck=True),
        }
        assert (decision.starts, decision.look_again, decision.short) == ((), NOW + 3.0, reason)
        assert settled(state, DAY, decision)

    def test_a_hold_is_told_first(self):
        hold = Wait(reason="not logged in", stuck=True)
        decision = decide(state_of(*queue("a")), make_rules(), NOW, hold=hold, room=memory(1.0, total=1.4))
        assert decision.waits == {f"{DAY}/a": hold}
        assert decision.short == ""


class TestView:
    def test_a_task_behind_another_shows_as_blocked(self):
        state = state_of(*queue("a"), make_task_row("b", order=1, depends_on=("a",)))
        decision = decide(state, make_rules(max_concurrent=0), NOW)
        assert view(state.task(f"{DAY}/b"), decision) == (TaskState.BLOCKED, "needs a, which is queued")
        assert view(state.task(f"{DAY}/a"), decision)[0] is TaskState.QUEUED

    def test_others_show_as_they_are(self):
        row = make_task_row(state=TaskState.FAILED, reason="it broke")
        assert view(row, decide(state_of(row), make_rules(), NOW)) == (TaskState.FAILED, "it broke")


class TestSettled:
    def is_settled(self, *rows, now: float = NOW, hold: str | None = None) -> bool:
        state = state_of(*rows)
        return settled(state, DAY, decide(state, make_rules(), now, hold=hold))

    def test_when_all_have_ended(self):
        assert self.is_settled()
        assert self.is_settled(*(make_task_row(str(s), state=s) for s in TaskState if s.ended))

    def test_not_while_one_works_or_may_start(self):
        assert not self.is_settled(*queue("a"))
        assert not self.is_settled(*live("a"))
        assert not self.is_settled(make_task_row("a", start_at=NOW + 9))
        assert not self.is_settled(make_task_row(state=TaskState.WAITING), make_question())

    def test_when_the_rest_is_stuck(self):
        assert self.is_settled(make_task_row("a", state=TaskState.FAILED), make_task_row("b", depends_on=("a",)))
        assert self.is_settled(*queue("a"), hold=Wait(reason="not logged in", stuck=True))
        assert self.is_settled(
            *queue("a"), make_task_row("b", depends_on=("a",)), hold=Wait(reason="not logged in", stuck=True)
        )

    def test_when_tasks_wait_for_each_other_in_a_circle(self):
        assert self.is_settled(make_task_row("a", depends_on=("b",)), make_task_row("b", depends_on=("a",)))

    def test_another_day_does_not_matter(self):
        other = make_task_row("z", day="2026-11-21", state=TaskState.RUNNING)
        assert self.is_settled(other, make_task_row("a", state=TaskState.SUCCEEDED))
