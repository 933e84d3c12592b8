"""
A frozen home: its own row, the clocks of its runs in every order of things, and what may start.
"""

from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import DAY, NOW, QUESTION, RUN, TASK, make_rules, make_task
from orchestrd.domain import events as ev
from orchestrd.domain.fold import fold
from orchestrd.domain.model import Outcome
from orchestrd.domain.rows import RunPhase
from orchestrd.domain.schedule import decide, frozen, settled
from orchestrd.domain.state import State
from orchestrd.domain.transitions import IllegalTransition

FREEZE, THAW = ev.HomeFrozen(by="cli"), ev.HomeThawed(by="cli")
ASK = ev.QuestionAsked(question=QUESTION, run=RUN, text="?", request="req-1")
ANSWER = ev.QuestionAnswered(question=QUESTION, answer="x", by="cli")
WITHDRAW = ev.QuestionWithdrawn(question=QUESTION)
STOP = ev.RunStopping(run=RUN, outcome=Outcome.KILLED, reason="cancelled", cancelled=True)
EXIT = ev.RunExited(run=RUN, outcome=Outcome.KILLED)


def lived(*steps: tuple[float, ev.AnyEvent]) -> State:
    """
    The state after a run was started at `NOW` and these facts followed, each at so many seconds after that.
    """
    begun = (
        (0, ev.TaskSubmitted(task=TASK, spec=make_task())),
        (0, ev.RunStarted(run=RUN, task=TASK, attempt=1, session="s", tree="/t")),
        (0, ev.RunInitialised(run=RUN, model="m", cli_version="2")),
    )
    state = State()
    for number, (after, event) in enumerate((*begun, *steps), 1):
        for row in fold(state, ev.Record(seq=number, at=NOW + after, event=event)):
            state.put(row)
    return state


class TestTheHome:
    def test_it_knows_since_when_and_by_whom(self):
        home = lived((5, FREEZE)).home()
        assert (home.frozen, home.frozen_since, home.frozen_by) == (True, NOW + 5, "cli")
        home = lived((5, FREEZE), (9, THAW)).home()
        assert (home.frozen, home.frozen_since) == (False, None)

    @pytest.mark.parametrize("steps", [((1, THAW),), ((1, FREEZE), (2, FREEZE)), ((1, FREEZE), (2, THAW), (3, THAW))])
    def test_it_is_frozen_once_and_thawed_once(self, steps):
        with pytest.raises(IllegalTransition):
            lived(*steps)


class TestTheClock:
    """
    Seconds of work at 100, of a run that was started at 0.
    """

    @pytest.mark.parametrize(
        ("steps", "worked", "waited"),
        [
            ([(10, FREEZE)], 10, 0),
            ([(10, FREEZE), (30, THAW)], 80, 0),
            ([(10, FREEZE), (30, THAW), (50, FREEZE), (60, THAW)], 70, 0),
            # It waits when it is frozen, is answered while frozen, is thawed later.
            ([(10, ASK), (20, FREEZE), (40, ANSWER), (70, THAW)], 40, 30),
            ([(10, ASK), (20, FREEZE), (40, ANSWER)], 10, 30),
            # It is thawed before it is answered.
            ([(10, ASK), (20, FREEZE), (40, THAW), (70, ANSWER)], 40, 60),
            # The question is read only when it is frozen already, and taken back.
            ([(10, FREEZE), (20, ASK), (40, WITHDRAW), (70, THAW)], 40, 20),
            ([(10, FREEZE), (20, ASK), (40, THAW), (70, ANSWER)], 40, 50),
            ([(10, FREEZE), (20, STOP), (50, THAW)], 60, 0),
            ([(10, ASK), (20, FREEZE), (30, STOP), (50, THAW)], 60, 20),
            ([(10, STOP), (20, ASK), (30, FREEZE), (50, THAW)], 80, 0),
            ([(10, FREEZE), (60, EXIT)], 10, 0),
            ([(10, ASK), (20, FREEZE), (60, EXIT)], 10, 50),
            # The wall clock goes back while it is frozen.
            ([(10, FREEZE), (5, THAW)], 100, 0),
        ],
    )
    def test_it_stands_still(self, steps, worked, waited):
        run = lived(*steps).run(RUN)
        assert run.worked(NOW + 100) == worked
        assert run.waited == waited

    def test_a_run_that_is_started_in_a_frozen_home_stands_still_from_the_start(self):
        state = lived((10, FREEZE), (20, EXIT))
        requeued = ev.TaskRequeued(task=TASK, reason="again")
        again = ev.RunStarted(run=f"{TASK}/2", task=TASK, attempt=2, session="s", tree="/t")
        for at, event in ((21, requeued), (30, again)):
            for row in fold(state, ev.Record(seq=9, at=NOW + at, event=event)):
                state.put(row)
        assert state.run(f"{TASK}/2").worked(NOW + 100) == 0

    @given(
        st.lists(
            st.tuples(st.integers(0, 50), st.sampled_from([FREEZE, THAW, ASK, ANSWER, WITHDRAW, STOP])), max_size=12
        )
    )
    def test_against_a_model_that_counts_every_second(self, moves):
        """
        The model has three switches and looks at them each second.
        """
        steps, states, at = [], [], 0
        is_frozen = waits = stopping = False
        question = "unasked"
        for pause, event in moves:
            allowed = {
                FREEZE: not is_frozen,
                THAW: is_frozen,
                ASK: question == "unasked",
                ANSWER: question == "open",
                WITHDRAW: question == "open",
                STOP: True,
            }
            if not allowed[event]:
                continue
            states += [is_frozen or waits] * pause
            at += pause
            steps.append((at, event))
            is_frozen = event is FREEZE or (is_frozen and event is not THAW)
            stopping = stopping or event is STOP
            question = {ASK: "open", ANSWER: "closed", WITHDRAW: "closed"}.get(event, question)
            waits = question == "open" and not stopping
        states += [is_frozen or waits] * 7
        run = lived(*steps).run(RUN)
        assert run.worked(NOW + at + 7) == states.count(False)
        assert run.stands_still == (is_frozen or waits)
        assert run.waiting_since is None or run.frozen_since is None


class TestTheSchedule:
    def test_nothing_starts_and_the_reason_is_told(self):
        state = lived((5, FREEZE), (6, EXIT), (7, ev.TaskRequeued(task=TASK, reason="again")))
        hold = frozen(state, timezone(timedelta(hours=3)))
        assert (hold.reason, hold.stuck) == ("frozen since 13:00; orchctl thaw", True)
        decision = decide(state, make_rules(), NOW + 8, hold=hold)
        assert decision.starts == ()
        assert decision.waits[TASK] == hold
        assert settled(state, DAY, decision)

    def test_a_run_that_stands_still_is_not_settled(self):
        state = lived((5, FREEZE))
        assert not settled(state, DAY, decide(state, make_rules(), NOW + 8, hold=frozen(state, UTC)))

    def test_a_home_that_is_not_frozen_holds_nothing(self):
        assert frozen(State(), UTC) is None
        assert lived((1, STOP)).run(RUN).phase is RunPhase.STOPPING
