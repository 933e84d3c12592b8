"""
What follows from forbidden acts: the halt, and what a person allows all the same.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from factories import DAY, LIMITS, initialised, make_task, started, submitted, tell
from orchestrd.domain import allowances, permission
from orchestrd.domain import events as ev
from orchestrd.domain.consequences import due
from orchestrd.domain.model import Cause, Containment, Credentials, Network, Outcome
from orchestrd.domain.permission import Leave
from orchestrd.domain.state import State
from orchestrd.domain.violations import strikes
from orchestrd.errors import NotFound, Refused

TASK = f"{DAY}/task-001"
RUN = f"{TASK}/1"


def violation(call: str = "t1", rule: str = "git", run: str = RUN, **more) -> ev.ViolationSeen:
    given = {"tool": "Bash", "target": f"forbidden {call}", "reason": "No.", "decision": "deny", "act": f"act {call}"}
    return ev.ViolationSeen(run=run, call=call, rule=rule, **{**given, **more})


CALLED = ev.ToolCalled(run=RUN, call="c", tool="Bash", target="ls", subagent=None)
UNREAD = violation(rule="exec-unknown")


def state_of(*facts: ev.AnyEvent) -> State:
    state = State()
    tell(state, *facts)
    return state


def running(*facts: ev.AnyEvent) -> State:
    return state_of(*submitted(make_task()), started(TASK), initialised(RUN), *facts)


def halts(state) -> list[ev.RunStopping]:
    return [fact for fact in due(state, LIMITS) if isinstance(fact, ev.RunStopping)]


@pytest.mark.parametrize("rule", ["git", "db", "delete", "outside", "secret"])
def test_a_rule_that_says_no_for_certain_halts_at_the_first(rule):
    (halt,) = halts(running(violation(rule=rule)))
    assert (halt.run, halt.outcome, halt.cause) == (RUN, Outcome.VIOLATION, Cause.VIOLATION)
    assert halt.reason == f"it tried what is forbidden ({rule}): Bash forbidden t1"


def test_what_nobody_could_judge_halts_at_the_third():
    seen = [violation(f"t{number}", "exec-unknown") for number in range(3)]
    assert halts(running(*seen[:2])) == []
    (halt,) = halts(running(*seen))
    assert "3 times" in halt.reason


def test_what_an_earlier_version_recorded_halts_nobody():
    assert halts(running(*(violation(f"t{number}", decision="") for number in range(5)))) == []


def test_it_is_halted_once_and_stays_so_whatever_else_ends_it():
    limit = ev.RunStopping(run=RUN, outcome=Outcome.OVER_BUDGET, reason="the limit", cause=Cause.DAY_LIMIT)
    state = running(limit, violation())
    (halt,) = halts(state)
    after = running(limit, violation(), halt)
    row = after.run(RUN)
    assert (row.struck, row.stopping, row.stopping_cause) == (True, Outcome.VIOLATION, Cause.VIOLATION)
    assert halts(after) == []
    # Another reason that comes later takes nothing back.
    assert running(violation(), halt, limit).run(RUN).stopping_cause is Cause.VIOLATION


class TestAllowances:
    def test_an_act_is_allowed_by_any_of_its_names(self):
        state = running(violation())
        for name in ("task-001/1.1", "1.1", f"{TASK}/1.1"):
            (fact,) = allowances.allow(state, state.task(TASK), [name], "cli")
            assert (fact.allowance, fact.act, fact.target) == ("task-001/1.1", "act t1", "forbidden t1")
        after = running(violation(), fact)
        assert after.task(TASK).allows("act t1")
        assert not after.task(TASK).allows("act t2")

    def test_what_cannot_be_allowed_says_why(self):
        state = running(violation(), violation("t2", fixed=True), violation("t3", act=""))
        row = state.task(TASK)
        with pytest.raises(NotFound, match=r"has no violation 1\.9"):
            allowances.allow(state, row, ["1.9"], "cli")
        with pytest.raises(Refused, match="keeps this program in charge"):
            allowances.allow(state, row, ["1.2"], "cli")
        with pytest.raises(Refused, match="earlier version"):
            allowances.allow(state, row, ["1.3"], "cli")
        (fact,) = allowances.allow(state, row, ["1.1", "1.1"], "cli")
        known = running(violation(), violation("again", act="act t1"), fact)
        with pytest.raises(Refused, match="allowed already"):
            allowances.allow(known, known.task(TASK), ["1.2"], "cli")

    def test_another_tasks_violation_is_named_as_such(self):
        other = make_task("task-002", order=1)
        state = state_of(*submitted(make_task(), other), started(TASK), initialised(RUN), violation())
        with pytest.raises(NotFound, match=f"is a violation of {TASK}, not of {DAY}/task-002"):
            allowances.allow(state, state.task(f"{DAY}/task-002"), ["task-001/1.1"], "cli")

    @pytest.mark.parametrize("rule", ["git", "outside"])
    @pytest.mark.parametrize("sandbox", [True, False])
    def test_who_allows_what_a_sandbox_hinders_is_told(self, rule, sandbox):
        held = Containment(sandbox=sandbox, network=Network.FULL, credentials=Credentials.ENV)
        state = running(ev.RunContained(run=RUN, containment=held), violation(rule=rule))
        facts = allowances.allow(state, state.task(TASK), ["1.1"], "cli")
        told = allowances.hindered(state, state.task(TASK), facts)
        assert [line.partition(":")[0] for line in told] == (["task-001/1.1"] if sandbox and rule == "git" else [])

    def test_it_is_taken_back(self):
        state = running(violation())
        (fact,) = allowances.allow(state, state.task(TASK), ["1.1"], "cli")
        allowed = running(violation(), fact)
        for name in ("task-001/1.1", "1.1", f"{TASK}/1.1"):
            assert allowances.disallow(allowed.task(TASK), name, "cli").allowance == "task-001/1.1"
        back = running(violation(), fact, ev.TaskDisallowed(task=TASK, allowance="task-001/1.1"))
        assert not back.task(TASK).allows("act t1")
        with pytest.raises(NotFound, match=r"allowed nothing called 1\.1"):
            allowances.disallow(back.task(TASK), "1.1", "cli")


PERMIT = ev.Permit(call="t1", tool="Bash", rule="none", reason="You wanted it.", target="npm publish", act="act t1")


class TestLeave:
    @pytest.mark.parametrize("answer", ["Allow once", "yes", "OK.", "allow it", "Allow once\n\nbut quickly"])
    def test_once(self, answer):
        assert permission.ruling(answer).leave is Leave.ONCE

    @pytest.mark.parametrize("answer", ["Allow for this task", "always", "Yes, always", "allow for this task"])
    def test_for_the_task(self, answer):
        assert permission.ruling(answer).leave is Leave.TASK

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            ("Deny", ""),
            ("Deny\n\nuse pnpm", "use pnpm"),
            ("no: use pnpm", "use pnpm"),
            ("Allow once, or perhaps not", "Allow once, or perhaps not"),
            ("yes, but only on Tuesday", "yes, but only on Tuesday"),
            ("notice the time", "notice the time"),
            ("Deny, Allow once", "Allow once"),
        ],
    )
    def test_whatever_else_is_said_denies(self, answer, words):
        given = permission.ruling(answer)
        assert (given.leave, given.words) == (Leave.NONE, words)
        assert ("They say" in permission.denial(PERMIT, given)) is bool(words)

    def test_leave_for_the_task_is_kept_with_it(self):
        asked = ev.QuestionAsked(
            question=f"{TASK}#1", run=RUN, text="?", options=permission.OPTIONS, request="h1", permit=PERMIT
        )
        state = running(asked)
        row = state.question(f"{TASK}#1")
        (fact,) = permission.follow(state, row, "Allow for this task", "cli")
        assert (fact.allowance, fact.act) == ("task-001#1", "act t1")
        assert permission.follow(state, row, "Allow once", "cli") == []
        known = running(asked, fact)
        assert permission.follow(known, row, "Allow for this task", "cli") == []

    def test_a_long_command_is_shown_with_its_length(self):
        text = permission.text(PERMIT, "x" * 10_000)
        assert "10000 characters in all" in text
        assert len(text) < 5000


@pytest.mark.parametrize(
    ("before", "heard", "ends"),
    [
        (0, [], False),
        (0, [CALLED], False),
        (0, [CALLED, violation()], True),
        (0, [violation(decision="")], False),
        (0, [UNREAD, UNREAD], False),
        (0, [UNREAD, UNREAD, UNREAD], True),
        (2, [UNREAD], True),
        (1, [UNREAD, violation(decision="")], False),
        # What was recorded was looked at then.
        (3, [CALLED], False),
    ],
)
def test_what_is_heard_ends_the_run_as_its_record_will(before, heard, ends):
    run = running().run(RUN)
    assert run is not None
    assert strikes(replace(run, unknown=before), heard, unknown=3) is ends
