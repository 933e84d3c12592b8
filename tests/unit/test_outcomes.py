"""
Why a run ended: from what is known to its cause.
"""

from pathlib import Path

import pytest
from msgspec import structs

from factories import PRICES, make_run
from orchestrd.domain.model import Cause, Outcome
from orchestrd.domain.outcomes import Ending, cause_of
from orchestrd.domain.retries import REMEDIES
from orchestrd.policy.verdict import ALLOW
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.runner.interpreter import Interpreter

CAPTURES = Path(__file__).parents[1] / "data" / "claude-streams"

GOOD = {"has_result": True, "is_error": False, "terminal_reason": "completed"}
API = {"has_result": True, "is_error": True, "terminal_reason": "api_error", "exit_code": 1}


@pytest.mark.parametrize(
    ("end", "cause", "reason"),
    [
        ({**GOOD, "exit_code": 0}, Cause.DONE, ""),
        # Done is done, whatever becomes of the process after that; an earlier turn's success is not.
        (
            {**GOOD, "finished": True, "exit_code": 143},
            Cause.DONE,
            "the agent reported success, then exited with status 143",
        ),
        (
            {**GOOD, "finished": True, "signal": 9},
            Cause.DONE,
            "the agent reported success, then was ended by SIGKILL",
        ),
        ({**GOOD, "signal": 9}, Cause.KILLED, "the agent was ended by SIGKILL"),
        (
            {"signal": 9, "out_of_memory": True},
            Cause.OUT_OF_MEMORY,
            "the agent was ended by the kernel (SIGKILL): out of memory",
        ),
        (
            {**GOOD, "exit_code": 143},
            Cause.KILLED,
            "the agent exited with status 143",
        ),
        # The subtype of an API failure is "success": only is_error tells.
        ({**API, "api_status": 529, "text": "API Error: Overloaded"}, Cause.OVERLOADED, "API Error: Overloaded"),
        ({**API, "api_status": 429, "text": "limit · resets 2:13am"}, Cause.RATE_LIMIT, "limit · resets 2:13am"),
        ({**API, "api_status": 401, "text": "Invalid API key"}, Cause.UNAUTHORIZED, "Invalid API key"),
        ({**API, "api_status": 500, "text": ""}, Cause.SERVER_ERROR, "api_error"),
        ({**API, "terminal_reason": "prompt_too_long"}, Cause.TOO_LONG, "prompt_too_long"),
        ({**API, "terminal_reason": None}, Cause.GAVE_UP, "the agent reported an error"),
        ({**API, "terminal_reason": "budget_exhausted", "text": "dear"}, Cause.AGENT_BUDGET, "dear"),
        ({**API, "terminal_reason": "max_turns", "text": "one\n\n two \n"}, Cause.TURN_LIMIT, "two"),
        ({**API, "exit_code": 0, "terminal_reason": "aborted_tools"}, Cause.GAVE_UP, "aborted_tools"),
        ({**API, "exit_code": None, "signal": 9, "text": "no", "finished": True}, Cause.UNEXPLAINED, "no"),
        ({**API, "exit_code": None, "signal": 9, "text": "no"}, Cause.KILLED, "the agent was ended by SIGKILL"),
        ({"signal": 9}, Cause.KILLED, "the agent was ended by SIGKILL"),
        # What the machine did to it is not its own failure.
        (
            {"exit_code": 127, "stderr": "x: error while loading shared libraries: libz.so.1"},
            Cause.LET_DOWN,
            "the agent exited with status 127 before it was done: x: error while loading shared libraries: libz.so.1",
        ),
        (
            {"exit_code": 1, "stderr": "Error: ENOSPC: no space left on device, write"},
            Cause.LET_DOWN,
            "the agent exited with status 1 before it was done: Error: ENOSPC: no space left on device, write",
        ),
        ({"signal": 15}, Cause.KILLED, "the agent was ended by SIGTERM"),
        ({"signal": 63}, Cause.KILLED, "the agent was ended by signal 63"),
        (
            {"lost": True},
            Cause.VANISHED,
            "the agent vanished without a record of its end (reboot, or its shim was killed)",
        ),
        (
            {"exit_code": 1, "stderr": "warning: x\nerror: unknown option '--y'\n"},
            Cause.CRASHED,
            "the agent exited with status 1 before it was done: error: unknown option '--y'",
        ),
        ({"exit_code": 0}, Cause.CRASHED, "the agent exited with status 0 before it was done: it said nothing"),
        (
            {"spawn_error": "no such file: claude"},
            Cause.NOT_STARTED,
            "the agent could not be started: no such file: claude",
        ),
    ],
    ids=lambda value: "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_the_table(end, cause, reason):
    assert cause_of(make_run(base="0" * 40), Ending(**end)) == (cause, reason)


def test_what_was_not_ready_was_never_to_be_started():
    end = Ending(spawn_error="worktree.setup `false` failed")
    reason = "the agent could not be started: worktree.setup `false` failed"
    assert cause_of(make_run(), end) == (Cause.NOT_READY, reason)


WORDS = {
    "connection_failed": {"api_error": "connection_failed"},
    "usage_limit_reached": {"api_error": "usage_limit_reached"},
}
TOO_MUCH = "API Error: Claude's response exceeded the 128000 output token maximum."
FULL = "API Error: The model has reached its context window limit."
FLAGGED = "API Error: safeguards flagged this message.\nMessage ID: msg_1"
ORGANIZATION = "OAuth authentication is currently not allowed for this organization."
INTERCEPTED = "API Error: malformed response (HTTP 200): check for a proxy or gateway intercepting the request"
LATE = {"window": True, "resets_at": 1_795_400_000.0}


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        ({"api_status": 429, "text": "You've hit your 5-hour limit", **LATE}, Cause.WINDOW),
        ({"api_status": 429, **WORDS["usage_limit_reached"]}, Cause.WINDOW),
        # What was said of a window earlier does not make another error one.
        ({"api_status": 401, "text": "x", **LATE}, Cause.UNAUTHORIZED),
        ({"api_status": 402, "text": "x", **LATE}, Cause.UNPAID),
        ({"api_status": 500, "text": "x", **LATE}, Cause.SERVER_ERROR),
        ({"api_status": 529, "text": "x", **LATE}, Cause.OVERLOADED),
        ({"text": "Not logged in · Please run /login", **LATE}, Cause.UNAUTHORIZED),
        ({"text": "API Error: Connection refused (ECONNREFUSED)", **LATE}, Cause.UNREACHABLE),
        ({"text": "You've hit your limit", **LATE}, Cause.WINDOW),
        ({"api_status": 401, "text": "Invalid API key"}, Cause.UNAUTHORIZED),
        ({"api_status": 403, "text": "Failed to authenticate. API Error: 403 forbidden"}, Cause.UNAUTHORIZED),
        ({"text": "Not logged in · Please run /login"}, Cause.UNAUTHORIZED),
        ({"api_status": 400, "text": "Credit balance is too low"}, Cause.UNPAID),
        ({"api_status": 402, "text": "no"}, Cause.UNPAID),
        ({"api_status": 404, "text": "There's an issue with the selected model (x)"}, Cause.NO_MODEL),
        ({"api_status": 403, "text": "Your account does not have access to this model"}, Cause.NO_MODEL),
        # What was forbidden to one request is forbidden to no other, and may pass on the way another time.
        ({"api_status": 403, "text": "API Error: 403 Forbidden: prompt rejected by WAF"}, Cause.BAD_REQUEST),
        ({"api_status": 403, "text": "x", "failure": "unknown"}, Cause.BAD_REQUEST),
        ({"api_status": 403, "text": "x", "failure": "authentication_failed"}, Cause.UNAUTHORIZED),
        ({"api_status": 403, "text": "x", "failure": "oauth_org_not_allowed"}, Cause.UNAUTHORIZED),
        ({"api_status": 403, "text": "API Error: 403 permission_error: no"}, Cause.UNAUTHORIZED),
        ({"api_status": 403, "text": ORGANIZATION}, Cause.UNAUTHORIZED),
        ({"api_status": 401, "text": "x", "failure": "unknown"}, Cause.UNAUTHORIZED),
        ({"api_status": 404, "text": "no such path"}, Cause.BAD_REQUEST),
        ({"api_status": 400, "text": "messages.0: bad"}, Cause.BAD_REQUEST),
        ({"api_status": 413, "text": "too large"}, Cause.BAD_REQUEST),
        ({"api_status": 503, "text": ""}, Cause.SERVER_ERROR),
        ({"api_status": 529, "text": ""}, Cause.OVERLOADED),
        ({"api_status": 408, "text": ""}, Cause.UNREACHABLE),
        ({"text": "API Error: Connection refused (ECONNREFUSED)"}, Cause.UNREACHABLE),
        ({"text": "x", **WORDS["connection_failed"]}, Cause.UNREACHABLE),
        # What nothing is known of is no reason for anybody else to wait.
        ({"text": "API Error: something else"}, Cause.UNEXPLAINED),
        ({"text": "API Error: something else", "failure": "unknown"}, Cause.UNEXPLAINED),
        ({"text": TOO_MUCH, "api_error": "max_output_tokens"}, Cause.OUTPUT_LIMIT),
        ({"text": TOO_MUCH, "failure": "max_output_tokens", **LATE}, Cause.OUTPUT_LIMIT),
        ({"text": FULL, "api_error": "max_output_tokens"}, Cause.TOO_LONG),
        ({"text": FULL, "failure": "max_output_tokens"}, Cause.TOO_LONG),
        ({"text": "x", "api_error": "autocompact_thrashing", "failure": "unknown"}, Cause.TOO_LONG),
        ({"text": FLAGGED, "failure": "invalid_request", "stop_reason": "refusal", **LATE}, Cause.DECLINED),
        ({"text": "API Error: no", "failure": "invalid_request"}, Cause.BAD_REQUEST),
        ({"text": "x", "failure": "authentication_failed"}, Cause.UNAUTHORIZED),
        ({"text": "x", "failure": "billing_error"}, Cause.UNPAID),
        ({"text": "x", "failure": "rate_limit"}, Cause.RATE_LIMIT),
        ({"text": "x", "failure": "overloaded"}, Cause.OVERLOADED),
        ({"text": "x", "failure": "model_not_found"}, Cause.NO_MODEL),
        ({"text": "x", "failure": "server_error"}, Cause.SERVER_ERROR),
        ({"text": "x", "failure": "server_error", "api_error": "no_response"}, Cause.UNREACHABLE),
        ({"text": INTERCEPTED, "failure": "unknown"}, Cause.UNREACHABLE),
        # A status says more than the CLI's word for it.
        ({"api_status": 529, "text": "x", "failure": "server_error"}, Cause.OVERLOADED),
    ],
    ids=lambda value: str(value.get("api_status", value.get("text"))) if isinstance(value, dict) else "",
)
def test_what_the_service_said(end, cause):
    assert cause_of(make_run(), Ending(**API | end))[0] is cause
    if "failure" in end or "api_status" in end:
        # 2.1.197 has no reason and no code of its own for it.
        old = {**API, "terminal_reason": "completed"} | end | {"api_error": None}
        same = cause in (Cause.WINDOW, Cause.UNREACHABLE) or "thrashing" in str(end)
        assert same or cause_of(make_run(), Ending(**old))[0] is cause


@pytest.mark.parametrize(
    ("code", "failure", "text", "cause"),
    [
        ("network_edge_blocked", "invalid_request", "API Error: 403 blocked by edge", Cause.UNREACHABLE),
        ("network_edge_blocked", "unknown", "Your account's network does not reach the model", Cause.UNREACHABLE),
        ("dlp_request_denied", "invalid_request", "Denied by a policy of your organization", Cause.BAD_REQUEST),
        ("hook_denied", "invalid_request", "API Error: 403 no account numbers", Cause.BAD_REQUEST),
        ("api_key_auth_disabled", "invalid_request", "Your organization has disabled API keys", Cause.UNAUTHORIZED),
    ],
)
def test_a_code_says_more_of_what_is_forbidden_than_the_status(code, failure, text, cause):
    end = Ending(**API, api_status=403, api_error=code, failure=failure, text=text)
    assert cause_of(make_run(), end)[0] is cause


def test_of_a_refusal_it_is_told_what_was_refused():
    end = Ending(**API, text=FLAGGED, stop_reason="refusal")
    assert cause_of(make_run(), end) == (Cause.DECLINED, "API Error: safeguards flagged this message.")


def test_the_oldest_cli_says_of_a_lost_connection_that_the_turn_was_completed():
    said = "API Error: Unable to connect to API (ConnectionRefused)"
    old = Ending(
        has_result=True, is_error=True, exit_code=1, terminal_reason="completed", failure="server_error", text=said
    )
    assert cause_of(make_run(), old)[0] is Cause.UNREACHABLE
    # Nor is the conversation to blame that was taken up then.
    assert cause_of(make_run(resumes=True), structs.replace(old, spoke=False))[0] is Cause.UNREACHABLE
    assert cause_of(make_run(), structs.replace(old, failure=""))[0] is Cause.GAVE_UP


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("mcp server: authentication failed for api key of tracker", Cause.CRASHED),
        ("Not logged in · Please run /login", Cause.UNAUTHORIZED),
        ("Error: Invalid API key", Cause.UNAUTHORIZED),
    ],
)
def test_what_an_agents_own_programs_say_is_no_word_of_the_account(said, cause):
    assert cause_of(make_run(), Ending(exit_code=1, stderr=said))[0] is cause


@pytest.mark.parametrize(
    ("capture", "cause"),
    [
        ("e429long_oauth", Cause.WINDOW),
        ("e401", Cause.UNAUTHORIZED),
        ("e403", Cause.UNAUTHORIZED),
        ("nokey", Cause.UNAUTHORIZED),
        ("e400credit", Cause.UNPAID),
        ("e400", Cause.BAD_REQUEST),
        ("e404model", Cause.NO_MODEL),
        ("e413long", Cause.TOO_LONG),
        ("e429forever_mr2", Cause.RATE_LIMIT),
        ("e500forever_mr2", Cause.SERVER_ERROR),
        ("e529forever_mr2", Cause.OVERLOADED),
        ("noserver", Cause.UNREACHABLE),
        ("simple", Cause.DONE),
    ],
)
def test_the_causes_of_real_streams(capture, cause):
    interpreter = Interpreter("2026-11-22/a/1", PRICES, lambda *_: ALLOW)
    stream = ClaudeStream()
    interpreter.take(stream.feed((CAPTURES / f"{capture}.jsonl").read_bytes()))
    interpreter.take(stream.finish())
    result, window = interpreter.result, interpreter.window
    assert result is not None
    end = Ending(
        exit_code=1 if result.is_error else 0,
        has_result=True,
        is_error=result.is_error,
        terminal_reason=result.terminal_reason,
        api_status=result.api_error_status,
        api_error=result.api_error,
        failure=interpreter.failure,
        stop_reason=result.stop_reason,
        window=window is not None,
        resets_at=window.resets_at if window is not None else None,
        text=result.text or "",
    )
    assert cause_of(make_run(), end)[0] is cause
    assert end.resets_at == (1_795_400_000.0 if capture == "e429long_oauth" else None)


def test_an_agent_that_stopped_for_want_of_money_is_not_done():
    run = make_run(curtailed="the day's limit is reached", curtailed_cause=Cause.DAY_LIMIT)
    assert cause_of(run, Ending(**GOOD, exit_code=0)) == (Cause.DAY_LIMIT, "the day's limit is reached")
    # How it ended otherwise is not for want of money.
    assert cause_of(run, Ending(**API, api_status=529))[0] is Cause.OVERLOADED
    assert cause_of(run, Ending(signal=9))[0] is Cause.KILLED


@pytest.mark.parametrize(
    "end",
    [{**GOOD, "exit_code": 0}, API, {"signal": 9}, {"lost": True}, {"spawn_error": "x"}],
    ids=["success", "failure", "signal", "lost", "spawn"],
)
@pytest.mark.parametrize("asked", [Outcome.TIMED_OUT, Outcome.OVER_BUDGET, Outcome.STALLED, Outcome.VIOLATION])
def test_what_the_daemon_asked_for_comes_first(asked, end):
    run = make_run(stopping=asked, stopping_reason="it was time")
    cause, reason = cause_of(run, Ending(**end))
    assert (REMEDIES[cause].outcome, reason) == (asked, "it was time")
    told = make_run(stopping=asked, stopping_reason="it was time", stopping_cause=Cause.DAY_LIMIT)
    assert cause_of(told, Ending(**end)) == (Cause.DAY_LIMIT, "it was time")


STOPPED = {"stopping": Outcome.OVER_BUDGET, "stopping_reason": "the day's limit is reached"}
DONE_BEFORE = {**GOOD, "finished": True, "exit_code": 143}
LIMITS = [
    Cause.DAY_LIMIT, Cause.TASK_LIMIT, Cause.TIMED_OUT, Cause.STALLED, Cause.LOOPED, Cause.UNAUTHORIZED, Cause.UNPAID,
]  # fmt: skip


@pytest.mark.parametrize("limit", LIMITS)
def test_what_was_done_before_a_limit_took_effect_is_done(limit):
    run = make_run(**STOPPED, stopping_cause=limit)
    why = "the agent had reported success before it was stopped: the day's limit is reached"
    assert cause_of(run, Ending(**DONE_BEFORE)) == (Cause.DONE, why)


@pytest.mark.parametrize(
    ("run", "end"),
    [
        # A turn that went on, or one that failed, had something left to do; so had one that was told to leave it undone.
        ({}, {**DONE_BEFORE, "finished": False}),
        ({}, {**DONE_BEFORE, "is_error": True, "terminal_reason": "aborted_streaming"}),
        ({}, {"finished": True, "exit_code": 143}),
        ({}, {**DONE_BEFORE, "broken": "OSError"}),
        ({"curtailed": "no money", "curtailed_cause": Cause.DAY_LIMIT}, DONE_BEFORE),
        # Nobody knows what it said last.
        ({"cut": True}, DONE_BEFORE),
        ({"cancelled": True}, DONE_BEFORE),
    ],
)
def test_else_it_is_stopped(run, end):
    run = make_run(**STOPPED, stopping_cause=Cause.DAY_LIMIT, **run)
    assert cause_of(run, Ending(**end))[0] is Cause.DAY_LIMIT


@pytest.mark.parametrize("cause", [Cause.CANCELLED, Cause.VIOLATION, Cause.UNMETERED, Cause.KILLED])
def test_what_is_no_limit_stands_whatever_it_reported(cause):
    assert cause_of(make_run(**STOPPED, stopping_cause=cause), Ending(**DONE_BEFORE))[0] is cause


def test_a_reason_is_one_line_of_bounded_length():
    _, reason = cause_of(make_run(), Ending(**API, text=f"first\n{'x' * 5000}"))
    assert reason == "x" * 300
