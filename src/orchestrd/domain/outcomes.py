"""
Why a run ended: from what the daemon asked for, what the agent's last result said and how its process died.
"""

from __future__ import annotations

import signal as signals

import msgspec

from orchestrd.domain.model import Cause, Outcome
from orchestrd.domain.rows import RunRow

_KILLED_STATUS = frozenset({128 + 1, 128 + 2, 128 + 9, 128 + 15})
"""Exit statuses of a process that caught a signal somebody sent it, or of a shell around it."""
_TOO_MANY = 429
"""API status of a request too many, for the rate or for a usage window."""
_REFUSED = 400
"""API status of a request that will be refused again in just this form."""
_FORBIDDEN = 403
"""API status of a login that may not do this, and of whatever a filter on the way did not let through."""
_STATUS: dict[int, Cause] = {
    401: Cause.UNAUTHORIZED,
    402: Cause.UNPAID,
    408: Cause.UNREACHABLE,
    _TOO_MANY: Cause.RATE_LIMIT,
    529: Cause.OVERLOADED,
}
"""What an API status means, where the words that come with it do not say more."""
_HALTED = {
    Outcome.TIMED_OUT: Cause.TIMED_OUT,
    Outcome.STALLED: Cause.STALLED,
    Outcome.OVER_BUDGET: Cause.TASK_LIMIT,
    Outcome.VIOLATION: Cause.VIOLATION,
    Outcome.KILLED: Cause.CANCELLED,
}
"""Of runs that an earlier version (0.1.0) was stopping, which told no cause."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is known when the process is gone.

    *lost* says that nobody recorded its exit; *out_of_memory* that the kernel killed it for lack of memory; *finished* that the agent had nothing left to do when it ended;
    *resumable* that its conversation is on disk;
    *unbegun* that the run was stopped before it had an agent;
    *broken* that the daemon could not follow it, and why; *api_status* and *api_error* are the last result's API error, *failure*
    is the CLI's word for it, *stop_reason* why the model's last answer ended;
    *window* that a subscription's usage window was used up, *resets_at* (wall seconds) until when; *stderr* its last lines;
    *spoke* that the model answered at least once; *hollow* that a resumed agent took our message and asked the model nothing;
    *interrupted* are the tool calls that never returned; *leftovers* counts what outlived the agent and was ended; *work* is
    how many seconds it was seen to work.
    """

    exit_code: int | None = None
    signal: int | None = None
    lost: bool = False
    out_of_memory: bool = False
    finished: bool = False
    resumable: bool = False
    has_result: bool = False
    is_error: bool = False
    terminal_reason: str | None = None
    api_status: int | None = None
    api_error: str | None = None
    window: bool = False
    resets_at: float | None = None
    text: str = ""
    stderr: str = ""
    failure: str = ""
    stop_reason: str | None = None
    spawn_error: str = ""
    unbegun: bool = False
    broken: str = ""
    spoke: bool = True
    hollow: bool = False
    interrupted: tuple[str, ...] = ()
    leftovers: int = 0
    work: float | None = None


_LIMITS = frozenset(set(Cause) - {Cause.CANCELLED, Cause.KILLED, Cause.VIOLATION, Cause.UNMETERED})
"""What a run may be stopped for that is nothing against one which had done all it had to do."""
_FAILURES: dict[str, Cause] = {
    "authentication_failed": Cause.UNAUTHORIZED,
    "billing_error": Cause.UNPAID,
    "rate_limit": Cause.RATE_LIMIT,
    "overloaded": Cause.OVERLOADED,
    "model_not_found": Cause.NO_MODEL,
    "invalid_request": Cause.BAD_REQUEST,
}
"""What the CLI's word for a failure means that has no status (Claude Code 2.1.197, 2.1.330)."""
_NETWORK = frozenset({
    "connection_failed", "no_response", "stream_idle_timeout", "network_edge_blocked", "gateway_content_type",
    "tls_untrusted_ca", "tls_cert_signature_failure", "computer_slept",
})  # fmt: skip
"""Its codes of failures on the way to the service (Claude Code 2.1.330)."""
_FULL = ("context window", "message_over_context_limit", "autocompact_thrashing")
"""What tells a full conversation from an answer that is too long: it says ``max_output_tokens`` of both (Claude Code 2.1.330)."""
_ACCOUNT = ("credit balance", "please run /login", "not logged in", "api key", "authentica", "oauth token")
"""What the CLI speaks of when it has no account to work with, or one that is used up."""
_LOGIN = ("please run /login", "not logged in", "invalid api key", "oauth token", "credit balance")
"""The same in words that nobody else uses: what an agent's own programs say on stderr stops no other agent."""
_LOGINS = frozenset({"authentication_failed", "oauth_org_not_allowed", "account_on_hold"})
"""The CLI's words for a failure of the login (Claude Code 2.1.330)."""
_WHOSE = (
    "authenticat", "permission_error", "oauth", "organization", "api key", "x-api-key", "account", "workspace", "/login",
)  # fmt: skip
"""What the service speaks of when it forbids something to a login, and not to one request."""
_CONTENT = frozenset({"dlp_request_denied", "safety_monitor_blocked", "hook_denied"})
"""The CLI's codes of what was refused for what one request says, by whomever; their words may name the organization all the same."""
_MACHINE = (
    "enospc", "no space left", "edquot", "quota exceeded", "emfile", "enfile", "too many open files", "enomem",
    "out of memory", "cannot allocate memory", "shared librar", "shared object", "eacces", "erofs", "eio",
    "econnrefused", "econnreset", "enotfound", "eai_again", "etimedout", "getaddrinfo", "certificate",
    "unable to connect", "proxy or gateway intercepting",
)  # fmt: skip
"""What a program speaks of that the machine or the network let down."""
_NO_PROGRAM = (126, 127)
"""How a shell, or the shim, says that there was nothing to execute."""


def cause_of(run: RunRow, end: Ending) -> tuple[Cause, str]:
    """
    What ended the run, and one line that says why.

    ``is_error`` and ``terminal_reason`` decide, never the result's subtype, which calls every API failure a success
    (Claude Code 2.1.330).
    """
    if run.stopping is not None:
        cause = run.stopping_cause or _HALTED.get(run.stopping, Cause.KILLED)
        if cause in _LIMITS and _did_all(run, end):
            return Cause.DONE, f"the agent had reported success before it was stopped: {run.stopping_reason}"
        return cause, run.stopping_reason
    if end.spawn_error:
        # The project's own commands and files, or the machine.
        return (
            Cause.NOT_STARTED if run.base else Cause.NOT_READY,
            f"the agent could not be started: {_line(end.spawn_error)}",
        )
    if end.broken:
        return Cause.UNFOLLOWED, f"the daemon could not follow the agent and ended it: {_line(end.broken)}"
    if poisoned(run, end):
        detail = _line(end.text) or _line(end.stderr) or "the agent did nothing"
        return Cause.UNUSABLE, f"the conversation could not be taken up again: {detail}"
    gone = _gone(end)
    if end.has_result and not end.is_error and (end.finished or end.exit_code == 0):
        if run.curtailed_cause is not None:
            # It was told to stop where it was, and did.
            return run.curtailed_cause, run.curtailed
        # The work was reported done and nothing was left to do: how the process ended after that is a remark.
        return Cause.DONE, f"the agent reported success, then {gone}" if gone else ""
    if end.has_result and end.is_error and (end.finished or end.exit_code is not None):
        cause = _failed_turn(end)
        # What was refused, and why, is said first.
        said = _line(end.text, 0 if cause is Cause.DECLINED else -1)
        return cause, said or end.terminal_reason or "the agent reported an error"
    if end.lost:
        return Cause.VANISHED, f"the agent {gone}"
    if end.signal is not None or end.exit_code in _KILLED_STATUS:
        return Cause.OUT_OF_MEMORY if end.out_of_memory else Cause.KILLED, f"the agent {gone}"
    detail = _line(end.stderr) or "it said nothing"
    why = f"the agent exited with status {end.exit_code} before it was done: {detail}"
    if _speaks_of(end, _LOGIN):
        return Cause.UNAUTHORIZED, why
    # What the machine did to it is not its own failure: it goes on where it was.
    return Cause.LET_DOWN if _let_down(end) else Cause.CRASHED, why


def _did_all(run: RunRow, end: Ending) -> bool:
    """
    True when a run that was to be stopped had reported success before that took effect, and nothing was left to do.
    """
    untouched = not run.cancelled and run.curtailed_cause is None and not run.cut and not end.broken
    return untouched and end.finished and end.has_result and not end.is_error


def poisoned(run: RunRow, end: Ending) -> bool:
    """
    True when *run* resumed a conversation that cannot be gone on with: no answer of the model came, and neither the service,
    the account, the machine nor a signal was to blame.

    Facts (Claude Code 2.1.330): an unknown session gives one zeroed result with ``errors``; an API that refuses the stored
    messages gives status 400; a conversation that grew too long gives ``prompt_too_long``.
    """
    if not run.resumes or run.stopping is not None or end.spoke or end.lost or end.spawn_error or end.broken:
        return False
    if end.signal is not None or end.exit_code in _KILLED_STATUS:
        return False
    if (end.exit_code or end.is_error) and _speaks_of(end, _ACCOUNT):
        return False
    if _let_down(end):
        return False
    if end.hollow or not end.has_result or not end.is_error or end.terminal_reason == "prompt_too_long":
        return True
    if end.api_status is not None:
        return end.api_status == _REFUSED
    return not _of_api(end)


def _let_down(end: Ending) -> bool:
    """
    True when the machine or the network, not the agent, is why there is no result.
    """
    return not end.has_result and (end.exit_code in _NO_PROGRAM or _speaks_of(end, _MACHINE))


def _speaks_of(end: Ending, words: tuple[str, ...]) -> bool:
    said = f"{end.text} {end.stderr}".lower()
    return any(word in said for word in words)


def _gone(end: Ending) -> str:
    """
    How the process ended, when it was not with status 0.
    """
    if end.lost:
        return "vanished without a record of its end (reboot, or its shim was killed)"
    if end.out_of_memory:
        return "was ended by the kernel (SIGKILL): out of memory"
    if end.signal is not None:
        return f"was ended by {_signal_name(end.signal)}"
    return f"exited with status {end.exit_code}" if end.exit_code else ""


def _failed_turn(end: Ending) -> Cause:
    """
    What the error was in which the agent's last turn ended.

    Facts (Claude Code 2.1.330): a used-up window gives status 429 with ``usage_limit_reached``; no login, and no connection,
    give no status; a missing balance gives 400; an edge of the network that turns a request away gives 403, as does a login that
    may not do it.  An answer that is too long, a conversation that is full and a refusal of the
    model give none either: they are this agent's alone, as is all that nothing is known of.
    """
    if end.terminal_reason == "budget_exhausted":
        return Cause.AGENT_BUDGET
    if end.terminal_reason == "max_turns":
        return Cause.TURN_LIMIT
    if end.terminal_reason == "prompt_too_long":
        return Cause.TOO_LONG
    if not _of_api(end):
        return Cause.GAVE_UP
    status = end.api_status
    if end.api_error == "usage_limit_reached" or (end.window and status == _TOO_MANY):
        return Cause.WINDOW
    if "credit balance" in end.text.lower():
        return Cause.UNPAID
    if status is None:
        return _without_status(end)
    if end.api_error in _NETWORK:
        return Cause.UNREACHABLE
    if status in (_FORBIDDEN, 404) and "model" in end.text.lower():
        return Cause.NO_MODEL
    if status == _FORBIDDEN and _forbids_login(end):
        return Cause.UNAUTHORIZED
    if status in _STATUS:
        return _STATUS[status]
    return Cause.SERVER_ERROR if status >= 500 else Cause.BAD_REQUEST


def _forbids_login(end: Ending) -> bool:
    """
    True when what was forbidden is forbidden to the login, and so to all agents; False when it may be this request alone.
    """
    if end.api_error in _CONTENT:
        return False
    return end.failure in _LOGINS or any(word in end.text.lower() for word in _WHOSE)


def _of_api(end: Ending) -> bool:
    """
    True when the turn that failed did so because a request to the model did.  2.1.197 calls such a turn completed.
    """
    told = end.terminal_reason == "completed" and (bool(end.failure) or end.api_status is not None)
    return told or end.terminal_reason == "api_error"


def _without_status(end: Ending) -> Cause:
    """
    What an error of the API was that has no status.
    """
    if end.stop_reason == "refusal":
        return Cause.DECLINED
    if "max_output_tokens" in (end.api_error, end.failure) or end.api_error in _FULL:
        full = any(word in f"{end.text} {end.api_error}".lower() for word in _FULL)
        return Cause.TOO_LONG if full else Cause.OUTPUT_LIMIT
    if end.api_error in _NETWORK:
        return Cause.UNREACHABLE
    if end.failure in _FAILURES:
        return _FAILURES[end.failure]
    if _speaks_of(end, _ACCOUNT):
        return Cause.UNAUTHORIZED
    if _speaks_of(end, _MACHINE):
        return Cause.UNREACHABLE
    if end.window:
        return Cause.WINDOW
    return Cause.SERVER_ERROR if end.failure == "server_error" else Cause.UNEXPLAINED


def _line(text: str, which: int = -1, *, limit: int = 300) -> str:
    """
    The last non-blank line of *text*, or *which* one, cut to *limit* characters.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[which][:limit] if lines else ""


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
