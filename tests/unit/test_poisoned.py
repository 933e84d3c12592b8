"""
A conversation that cannot be taken up again: how it is told from bad luck, and what it costs the task.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from factories import NOW, OPUS, TASK, make_run, make_task_row
from orchestrd.domain import events as ev
from orchestrd.domain.budget import Price, PriceTable
from orchestrd.domain.model import Cause, Outcome
from orchestrd.domain.outcomes import Ending, cause_of, poisoned
from orchestrd.domain.retries import follow_up
from orchestrd.policy.verdict import ALLOW
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.runner.interpreter import Interpreter

CAPTURES = Path(__file__).parents[1] / "data" / "claude-streams"
PRICES = PriceTable(
    date="2026-11-20",
    models={"m": Price(input=4.0, output=20.0, cache_write_5m=5.0, cache_write_1h=8.0, cache_read=0.2)},
)
API = {"has_result": True, "is_error": True, "terminal_reason": "api_error", "exit_code": 1}
SILENT = {"spoke": False}


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        # The CLI does not know the session: one zeroed result.
        ({"has_result": True, "is_error": True, "exit_code": 1, "text": "No conversation found"}, True),
        # Nothing at all, or a turn without a word.
        ({"exit_code": 1, "stderr": "no"}, True),
        ({"has_result": True, "is_error": False, "exit_code": 0}, True),
        ({"hollow": True, "exit_code": 0}, True),
        # The service refuses the stored messages; they grew too long.
        ({**API, "api_status": 400, "text": "API Error: 400 messages.3: tool_use without tool_result"}, True),
        ({**API, "api_status": 400, "terminal_reason": "prompt_too_long"}, True),
        # The account, the service, the network or a signal was at fault.
        ({**API, "api_status": 400, "text": "Credit balance is too low"}, False),
        ({**API, "api_status": 401}, False),
        ({"exit_code": 1, "stderr": "Error: ENOSPC: no space left on device, write"}, False),
        ({"exit_code": 127, "stderr": "claude: not found"}, False),
        ({"exit_code": 1, "stderr": "Error: getaddrinfo EAI_AGAIN api.anthropic.com"}, False),
        ({"exit_code": 1, "stderr": "Invalid API key · Please run /login"}, False),
        ({"has_result": True, "is_error": True, "exit_code": 1, "text": "Not logged in · Please run /login"}, False),
        ({**API, "api_status": 429}, False),
        ({**API, "api_status": 529}, False),
        ({**API, "api_status": None, "text": "connection failed"}, False),
        ({"signal": 9}, False),
        ({"exit_code": 143}, False),
        ({"lost": True}, False),
        ({"spawn_error": "no such file"}, False),
        # It answered: whatever came later is a matter of the task.
        ({**API, "api_status": 400, "spoke": True}, False),
    ],
)
def test_a_resumed_conversation_is_judged(end, expected):
    end = Ending(**{**SILENT, **end})

    assert poisoned(make_run(resumes=True), end) is expected
    assert poisoned(make_run(resumes=False), end) is False
    assert poisoned(make_run(resumes=True, stopping=Outcome.KILLED), end) is False


def test_the_reason_names_what_the_cli_said():
    end = Ending(has_result=True, is_error=True, exit_code=1, text="No conversation found", spoke=False)

    cause, reason = cause_of(make_run(resumes=True), end)

    assert cause is Cause.UNUSABLE
    assert reason == "the conversation could not be taken up again: No conversation found"


def test_it_costs_the_task_no_try_but_only_once():
    run = make_run(model=OPUS, session="s1", resumes=True)

    def after(**task: int):
        row = make_task_row(**task)
        return follow_up(row, run, cause=Cause.UNUSABLE, reason="gone", now=NOW, default_retries=1)

    first = after(failures=1)
    second = after(failures=1, fresh_starts=1)
    third = after(failures=0, fresh_starts=1)

    assert first == ev.TaskRequeued(task=TASK, reason="starts afresh: gone", not_before=NOW, fresh=True)
    assert isinstance(second, ev.TaskFailed)
    assert isinstance(third, ev.TaskRequeued)
    assert (third.fresh, third.session) == (False, None)


def heard(text: bytes) -> Interpreter:
    interpreter = Interpreter("2026-11-22/a/1", PRICES, lambda *_: ALLOW)
    stream = ClaudeStream()
    interpreter.take(stream.feed(text))
    interpreter.take(stream.finish())
    return interpreter


@pytest.mark.parametrize(
    ("capture", "spoke"), [("resume_missing", False), ("e400", False), ("noserver", False), ("resume1", True)]
)
def test_whether_the_model_answered_is_read_off_real_streams(capture, spoke):
    assert heard((CAPTURES / f"{capture}.jsonl").read_bytes()).spoke is spoke


def test_an_agent_that_takes_our_message_and_asks_nobody_is_hollow():
    empty = b'{"type":"result","subtype":"success","is_error":false,"num_turns":0,"modelUsage":{},"total_cost_usd":1}\n'
    taken = b'{"type":"command_lifecycle","command_uuid":"u1","state":"completed"}\n'
    idle = b'{"type":"system","subtype":"session_state_changed","state":"idle"}\n'

    assert heard(empty + taken + idle).hollow({"u1"})
    # The empty turn alone comes before every resume after a kill.
    assert not heard(empty + idle).hollow({"u1"})
    assert not heard(taken + idle).hollow({"u1"})
    assert not heard(empty + taken).hollow({"u1"})


def test_calls_that_never_returned_are_remembered_until_the_turn_ends():
    def use(name: str) -> bytes:
        block = f'{{"type":"tool_use","id":"{name}","name":"Bash","input":{{"command":"make {name}"}}}}'
        message = f'{{"id":"m{name}","model":"m","role":"assistant","content":[{block}],"usage":{{"input_tokens":1}}}}'
        return f'{{"type":"assistant","message":{message}}}\n'.encode()

    back = b'{"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"ok"}]}}\n'
    result = b'{"type":"result","is_error":false,"num_turns":1,"modelUsage":{},"model_usage_since_last_result":{}}\n'

    found = heard(use("a") + use("b") + back)

    assert found.calls == {"b": "Bash make b"}
    assert found.occupied
    assert heard(use("a") + use("b") + back + result).calls == {}
