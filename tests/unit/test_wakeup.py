"""
The end of background work wakes an agent that was idle: it may not be told to leave in the moment in between.
"""

from __future__ import annotations

import pytest

from orchestrd.domain.budget import Price, PriceTable
from orchestrd.policy.verdict import ALLOW
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.runner.interpreter import Interpreter

PRICES = PriceTable(
    date="2026-11-20",
    models={"m": Price(input=4.0, output=20.0, cache_write_5m=5.0, cache_write_1h=8.0, cache_read=0.2)},
)
STATE = '{{"type":"system","subtype":"session_state_changed","state":"{}"}}\n'
TASKS = '{{"type":"system","subtype":"background_tasks_changed","tasks":[{}]}}\n'
RESULT = (
    '{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"ok","terminal_reason":"completed",'
    '"total_cost_usd":0,"modelUsage":{},"model_usage_since_last_result":{}}\n'
)
ONE = '{"task_id":"t1","task_type":"local_bash","description":"long"}'


@pytest.fixture
def hear():
    """
    Feeds lines to one interpreter; gives it.
    """
    interpreter = Interpreter("2026-11-22/a/1", PRICES, lambda *_: ALLOW)
    stream = ClaudeStream()

    def feed(*lines: str) -> Interpreter:
        interpreter.take(stream.feed("".join(lines).encode()))
        return interpreter

    return feed


def test_a_plain_turn_needs_no_patience(hear):
    found = hear(STATE.format("running"), RESULT, STATE.format("idle"))
    assert found.turn_over(set())
    assert found.patience == 0.0


def test_an_idle_agent_is_about_to_wake(hear):
    found = hear(STATE.format("running"), TASKS.format(ONE), RESULT, STATE.format("idle"))
    assert not found.turn_over(set())
    found = hear(TASKS.format(""))
    assert found.turn_over(set())
    assert found.patience >= 1.0
    found = hear(STATE.format("running"))
    assert not found.turn_over(set())
    found = hear(RESULT, STATE.format("idle"))
    assert found.turn_over(set())
    assert 0.0 < found.patience < 1.0


def test_work_that_ends_while_the_agent_is_busy_wakes_nobody(hear):
    found = hear(STATE.format("running"), TASKS.format(ONE), TASKS.format(""), RESULT, STATE.format("idle"))
    assert found.turn_over(set())
    assert 0.0 < found.patience < 1.0


def started(kind: str = "local_bash") -> str:
    """
    As Claude Code 2.1.197 says it, which never lists what is alive.
    """
    return f'{{"type":"system","subtype":"task_started","task_id":"t1","tool_use_id":"c1","task_type":"{kind}"}}\n'


CALL = (
    '{"type":"assistant","message":{"id":"m1","model":"m","content":[{"type":"tool_use","id":"c1","name":"Bash",'
    '"input":{"command":"make"}}]}}\n'
)
RETURN = '{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"c1","content":"It runs."}]}}\n'
UPDATED = '{"type":"system","subtype":"task_updated","task_id":"t1","patch":{"status":"completed"}}\n'
NOTICE = '{"type":"system","subtype":"task_notification","task_id":"t1","tool_use_id":"c1","status":"completed"}\n'


def test_work_that_outlives_its_call_is_in_the_background_without_a_list(hear):
    found = hear(STATE.format("running"), CALL, started(), RETURN, RESULT, STATE.format("idle"))
    assert not found.turn_over(set())
    assert found.background.tasks == {"t1"}
    assert not found.background.delegates
    found = hear(UPDATED)
    assert found.turn_over(set())
    assert found.patience >= 1.0
    found = hear(STATE.format("running"), NOTICE, RESULT, STATE.format("idle"))
    assert found.turn_over(set())
    assert 0.0 < found.patience < 1.0


def test_a_subagent_that_outlives_its_call_is_a_delegate_without_a_list(hear):
    found = hear(STATE.format("running"), CALL, started("local_agent"), RETURN)
    assert found.background.delegates == {"t1"}
    assert found.background.began("c1")
    found = hear(UPDATED, NOTICE)
    assert not found.background.delegates
    assert not found.background.began("c1")


@pytest.mark.parametrize("kind", ["local_bash", "local_agent"])
def test_work_that_ends_before_its_call_returns_was_in_the_foreground(hear, kind):
    found = hear(STATE.format("running"), CALL, started(kind), NOTICE, RETURN, RESULT, STATE.format("idle"))
    assert found.turn_over(set())
    assert found.patience == 0.0


def test_a_list_says_it_all(hear):
    found = hear(STATE.format("running"), CALL, started(), TASKS.format(ONE), RETURN, TASKS.format(""), RESULT)
    assert not found.background.tasks
    assert hear(STATE.format("idle")).turn_over(set())
