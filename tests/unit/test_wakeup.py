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
