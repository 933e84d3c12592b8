"""
Why a run ended: the table from what is known to the outcome.
"""

import pytest

from factories import make_run
from orchestrd.domain.model import Outcome
from orchestrd.domain.outcomes import Ending, outcome_of

GOOD = {"has_result": True, "is_error": False, "terminal_reason": "completed"}
API = {"has_result": True, "is_error": True, "terminal_reason": "api_error", "exit_code": 1}


@pytest.mark.parametrize(
    ("end", "outcome", "reason"),
    [
        ({**GOOD, "exit_code": 0}, Outcome.SUCCEEDED, ""),
        # Done is done, whatever becomes of the process after that; an earlier turn's success is not.
        (
            {**GOOD, "finished": True, "exit_code": 143},
            Outcome.SUCCEEDED,
            "the agent reported success, then exited with status 143",
        ),
        (
            {**GOOD, "finished": True, "signal": 9},
            Outcome.SUCCEEDED,
            "the agent reported success, then was ended by SIGKILL",
        ),
        ({**GOOD, "signal": 9}, Outcome.KILLED, "the agent was ended by SIGKILL"),
        (
            {"signal": 9, "out_of_memory": True},
            Outcome.KILLED,
            "the agent was ended by the kernel (SIGKILL): out of memory",
        ),
        (
            {**GOOD, "exit_code": 143},
            Outcome.KILLED,
            "the agent exited with status 143",
        ),
        # The subtype of an API failure is "success": only is_error tells.
        ({**API, "api_status": 529, "text": "API Error: Overloaded"}, Outcome.RATE_LIMITED, "API Error: Overloaded"),
        ({**API, "api_status": 429, "text": "limit · resets 2:13am"}, Outcome.RATE_LIMITED, "limit · resets 2:13am"),
        ({**API, "api_status": 401, "text": "Invalid API key"}, Outcome.FAILED, "Invalid API key"),
        ({**API, "api_status": 500, "text": ""}, Outcome.FAILED, "api_error"),
        ({**API, "terminal_reason": "prompt_too_long"}, Outcome.FAILED, "prompt_too_long"),
        ({**API, "terminal_reason": None}, Outcome.FAILED, "the agent reported an error"),
        ({**API, "terminal_reason": "budget_exhausted", "text": "dear"}, Outcome.OVER_BUDGET, "dear"),
        ({**API, "terminal_reason": "max_turns", "text": "one\n\n two \n"}, Outcome.FAILED, "two"),
        ({**API, "exit_code": 0, "terminal_reason": "aborted_tools"}, Outcome.FAILED, "aborted_tools"),
        ({**API, "exit_code": None, "signal": 9, "text": "no", "finished": True}, Outcome.FAILED, "no"),
        ({**API, "exit_code": None, "signal": 9, "text": "no"}, Outcome.KILLED, "the agent was ended by SIGKILL"),
        ({"signal": 9}, Outcome.KILLED, "the agent was ended by SIGKILL"),
        # What the machine did to it is not its own failure.
        (
            {"exit_code": 127, "stderr": "x: error while loading shared libraries: libz.so.1"},
            Outcome.KILLED,
            "the agent exited with status 127 before it was done: x: error while loading shared libraries: libz.so.1",
        ),
        (
            {"exit_code": 1, "stderr": "Error: ENOSPC: no space left on device, write"},
            Outcome.KILLED,
            "the agent exited with status 1 before it was done: Error: ENOSPC: no space left on device, write",
        ),
        ({"signal": 15}, Outcome.KILLED, "the agent was ended by SIGTERM"),
        ({"signal": 63}, Outcome.KILLED, "the agent was ended by signal 63"),
        (
            {"lost": True},
            Outcome.ABANDONED,
            "the agent vanished without a record of its end (reboot, or its shim was killed)",
        ),
        (
            {"exit_code": 1, "stderr": "warning: x\nerror: unknown option '--y'\n"},
            Outcome.FAILED,
            "the agent exited with status 1 before it was done: error: unknown option '--y'",
        ),
        ({"exit_code": 0}, Outcome.FAILED, "the agent exited with status 0 before it was done: it said nothing"),
        (
            {"spawn_error": "no such file: claude"},
            Outcome.FAILED,
            "the agent could not be started: no such file: claude",
        ),
    ],
    ids=lambda value: "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_the_table(end, outcome, reason):
    assert outcome_of(make_run(), Ending(**end)) == (outcome, reason)


@pytest.mark.parametrize(
    "end",
    [{**GOOD, "exit_code": 0}, API, {"signal": 9}, {"lost": True}, {"spawn_error": "x"}],
    ids=["success", "failure", "signal", "lost", "spawn"],
)
@pytest.mark.parametrize("asked", [Outcome.TIMED_OUT, Outcome.OVER_BUDGET, Outcome.STALLED, Outcome.VIOLATION])
def test_what_the_daemon_asked_for_comes_first(asked, end):
    run = make_run(stopping=asked, stopping_reason="it was time")
    assert outcome_of(run, Ending(**end)) == (asked, "it was time")


def test_a_reason_is_one_line_of_bounded_length():
    _, reason = outcome_of(make_run(), Ending(**API, text=f"first\n{'x' * 5000}"))
    assert reason == "x" * 300
