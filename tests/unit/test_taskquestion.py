"""
What is asked at a task's own limit, and what each answer does.
"""

from datetime import UTC

import pytest
from msgspec.structs import replace

from factories import (
    DAY,
    LIMITS,
    NOW,
    RUN,
    TASK,
    asked,
    initialised,
    make_question,
    make_rules,
    make_task,
    started,
    submitted,
    tell,
)
from orchestrd.domain import ceiling, lookup, submission
from orchestrd.domain import events as ev
from orchestrd.domain.enforcement import due
from orchestrd.domain.model import NANO, Cause, Outcome, TaskFile, TaskState, Usage
from orchestrd.domain.retries import follow_up
from orchestrd.domain.rows import QuestionState, RunPhase
from orchestrd.domain.schedule import decide
from orchestrd.domain.state import State
from orchestrd.domain.taskquestion import LEAVE, follow
from orchestrd.domain.why import line
from orchestrd.errors import Refused, RequestError

ASKED = f"{TASK}#1"


def follows(state: State, *facts: ev.AnyEvent) -> list[type]:
    """
    What *facts* make necessary, as the store records it with them.
    """
    draft = state.draft()
    tell(draft, *facts)
    found = due(draft, LIMITS)
    tell(draft, *found)
    state.put_all(draft.own_rows())
    return [type(fact) for fact in found]


def spends(dollars: float, run: str = RUN, message: str = "m") -> ev.SpendSeen:
    return ev.SpendSeen(run=run, message=message, model="x", usage=Usage(input=1), cost=round(dollars * NANO))


def ends(state: State, run: str = RUN) -> list[type]:
    """
    The end of *run* by the task's limit, and what the table says that follows.
    """
    row = state.run(run)
    after = follow_up(state.task(TASK), row, cause=Cause.TASK_LIMIT, reason="limit", now=NOW, default_retries=1)
    return follows(state, ev.RunExited(run=run, outcome=Outcome.OVER_BUDGET, cause=Cause.TASK_LIMIT), after)


def answer(state: State, text: str, question: str = ASKED) -> list[type]:
    facts = follow(state, state.question(question), text, "cli")
    return follows(state, ev.QuestionAnswered(question=question, answer=text, by="cli"), *facts)


def crashes(session: str | None = "session-of-1") -> list[ev.AnyEvent]:
    """
    Its agent dies, and *session* is gone on with.
    """
    crashed = ev.RunExited(run=RUN, outcome=Outcome.FAILED, cause=Cause.CRASHED)
    return [crashed, ev.TaskRequeued(task=TASK, reason="it crashed", session=session)]


@pytest.fixture
def state() -> State:
    """
    A task that may cost a dollar has cost 1.02.
    """
    found = State()
    tell(found, *submitted(make_task(max_cost=NANO)), started(), initialised())
    assert follows(found, spends(1.02)) == [ev.TaskLimitReached, ev.RunStopping, ev.QuestionAsked]
    return found


def test_the_question(state):
    row = state.question(ASKED)
    assert (row.state, row.run, row.task, row.about_task) == (QuestionState.OPEN, "", TASK, True)
    assert row.text == (
        "The own limit of $1.00 of task-001 is used up: $1.02 are spent. It waits with its conversation. "
        "Another sum is as good an answer: +12.50."
    )
    assert [option.label for option in row.options] == ["+$5.00", LEAVE]
    assert (state.task(TASK).asked, state.task(TASK).questions, state.day(DAY).asked) == (ASKED, 1, None)
    assert follows(state, spends(0.01, message="n")) == [], "asked once"


def test_with_more_money_it_goes_on_with_its_conversation(state):
    assert ends(state) == []
    task = state.task(TASK)
    assert (task.state, task.session, task.failures) == (TaskState.QUEUED, "session-of-1", 0)
    assert decide(state, make_rules(), NOW).starts == ()
    shown, words = line(state, task, decide(state, make_rules(), NOW), now=NOW, zone=UTC)
    assert shown is TaskState.QUEUED
    assert words.endswith(f"+12.50.; answer with: orchctl answer {TASK} TEXT")
    assert answer(state, "+$5.00") == []
    assert state.task(TASK).limit == round(6.02 * NANO)
    assert (state.question(ASKED).state, state.task(TASK).asked) == (QuestionState.DELIVERED, None)
    assert decide(state, make_rules(), NOW).starts == (TASK,)
    # And is asked about anew at that limit.
    tell(state, started(attempt=2))
    second = f"{TASK}/2"
    assert follows(state, spends(6, run=second)) == [ev.TaskLimitReached, ev.RunStopping, ev.QuestionAsked]
    assert state.task(TASK).asked == f"{TASK}#2"


def test_an_answer_before_its_agent_has_ended(state):
    assert answer(state, "+2") == []
    assert state.task(TASK).limit == round(3.02 * NANO)
    assert ends(state) == []
    assert decide(state, make_rules(), NOW).starts == (TASK,)


@pytest.mark.parametrize("first", [True, False], ids=["its agent has ended", "its agent is being ended"])
def test_it_is_left_as_it_is(state, first):
    reason = "left at its own limit of $1.00, as you said ($1.02 spent)"
    if first:
        ends(state)
    assert answer(state, "leave it AS it is") == []
    if not first:
        assert ends(state) == []
        reason += "; before that: limit"
    task = state.task(TASK)
    assert (task.state, task.outcome, task.reason) == (TaskState.FAILED, Outcome.OVER_BUDGET, reason)
    # Who wants it after all is asked anew.
    again = ev.TaskRequeued(task=TASK, reason="asked for again", by_person=True)
    assert follows(state, again) == [ev.QuestionAsked]


@pytest.mark.parametrize("text", ["yes", "5", "+0", "Stop for today"])
def test_anything_else_is_refused(state, text):
    with pytest.raises(RequestError) as caught:
        answer(state, text)
    assert caught.value.hint == f"Say one of: +$5.00; {LEAVE}; or a sum, such as +12.50."


def test_it_is_taken_back(state):
    ends(state)
    spec = state.task(TASK).spec
    higher = ev.TaskUpdated(task=TASK, spec=replace(spec, max_cost=3 * NANO))
    assert follows(state, higher) == [ev.QuestionWithdrawn]
    assert decide(state, make_rules(), NOW).starts == (TASK,)
    lower = ev.TaskUpdated(task=TASK, spec=replace(spec, max_cost=NANO // 2))
    assert follows(state, lower) == [ev.TaskLimitReached, ev.QuestionAsked]
    lowest = ev.TaskUpdated(task=TASK, spec=replace(spec, max_cost=NANO // 4))
    assert follows(state, lowest) == [ev.TaskLimitReached, ev.QuestionWithdrawn, ev.QuestionAsked]
    assert follows(state, ev.TaskUpdated(task=TASK, spec=replace(spec, max_cost=None))) == [ev.QuestionWithdrawn]
    assert follows(state, ev.TaskUpdated(task=TASK, spec=spec)) == [ev.TaskLimitReached, ev.QuestionAsked]
    assert follows(state, ev.TaskCancelled(task=TASK)) == [ev.QuestionWithdrawn]
    assert (state.task(TASK).asked, state.active_days()) == (None, [])


class TestTheLastOfIt:
    """
    Where two more responses would pass the limit its agent is denied a call, and says where it stands.
    """

    @pytest.fixture
    def state(self) -> State:
        found = State()
        tell(found, *submitted(make_task(max_cost=NANO)), started(), initialised())
        assert follows(found, spends(0.88), spends(0.04, message="n")) == [ev.TaskLimitWarned]
        cause, reason = ceiling.curb(found, found.run(RUN), LIMITS)
        curtailed = ev.RunCurtailed(run=RUN, cause=cause, reason=reason)
        assert follows(found, curtailed) == [ev.TaskLimitReached, ev.QuestionAsked]
        return found

    def test_it_is_asked_about_once_and_waits(self, state):
        assert state.question(ASKED).text.startswith("The own limit of $1.00 of task-001 is all but used up: $0.92")
        assert follows(state, spends(0.01, message="o")) == []
        assert ends(state) == []
        assert decide(state, make_rules(), NOW).starts == (), "its summary was cheap, and it is not begun anew for that"

    def test_it_is_granted_calls_again_with_more(self, state):
        assert answer(state, "+5") == []
        assert ceiling.curb(state, state.run(RUN), LIMITS) is None


def test_one_that_would_be_stopped_at_once_is_asked_about_before_it_starts():
    state = State()
    tell(state, *submitted(make_task(max_cost=NANO)), started(), initialised(), spends(0.95))
    assert follows(state, *crashes()) == [ev.TaskLimitReached, ev.QuestionAsked]


def test_one_that_would_pass_it_with_the_first_thing_it_is_told_is_asked_about_before_it_starts():
    """
    Its last response cost 40 cents, and 15 are left.
    """
    state = State()
    tell(state, *submitted(make_task(max_cost=NANO)), started(), initialised(), spends(0.45), spends(0.4, message="n"))
    assert follows(state) == [ev.TaskLimitWarned]
    assert follows(state, *crashes()) == [ev.TaskLimitReached, ev.QuestionAsked]
    assert " is not enough for what comes next: $0.85 are spent." in state.question(ASKED).text
    assert decide(state, make_rules(), NOW).starts == ()
    assert answer(state, "+0.25") == []
    assert decide(state, make_rules(), NOW).starts == (TASK,)


def test_what_an_older_conversation_cost_is_nothing_to_a_fresh_one():
    state = State()
    tell(state, *submitted(make_task(max_cost=NANO)), started(), initialised(), spends(0.6))
    assert follows(state, *crashes(session=None)) == []
    assert decide(state, make_rules(), NOW).starts == (TASK,)


def test_more_for_the_day_is_no_use_to_it(state):
    assert ceiling.wanting(state, DAY) == []


def test_it_is_found_beside_what_its_agent_asks(state):
    state.put(make_question(f"{TASK}#2", asked_at=NOW + 1))
    assert lookup.question(state, "task-001", None).id == ASKED
    assert lookup.question(state, TASK, "2").id == f"{TASK}#2"
    assert lookup.question(state, "task-001", "1").about_task


def test_an_agents_question_is_numbered_after_it(state):
    assert state.task(TASK).questions == 1
    state.put(replace(state.run(RUN), phase=RunPhase.STREAMING))
    tell(state, asked(f"{TASK}#2"))
    assert (state.task(TASK).questions, state.task(TASK).asked) == (2, ASKED)


@pytest.mark.parametrize("task_state", [TaskState.RUNNING, TaskState.WAITING, TaskState.CHECKING])
def test_its_limit_alone_may_change_while_it_is_worked_on(task_state):
    state = State()
    spec = make_task(max_cost=NANO)
    tell(state, *submitted(spec), started(), initialised())
    state.put(replace(state.task(TASK), state=task_state, raised=7))
    file = TaskFile(day=DAY, tasks=(replace(spec, max_cost=3 * NANO),))
    plan = submission.compare(state, file, f"tasks/{DAY}.yaml")
    assert plan.updated == ("task-001",)
    tell(state, *plan.facts)
    assert (state.task(TASK).limit, state.task(TASK).state) == (3 * NANO, task_state)
    other = TaskFile(day=DAY, tasks=(replace(spec, max_cost=3 * NANO, description="Else."),))
    with pytest.raises(Refused):
        submission.compare(state, other, f"tasks/{DAY}.yaml")
