"""
Why a run ended: from what the daemon asked for, what the agent's last result said and how its process died.
"""

from __future__ import annotations

import signal as signals

import msgspec

from orchestrd.domain.model import Outcome
from orchestrd.domain.rows import RunRow

_KILLED_STATUS = frozenset({128 + 1, 128 + 2, 128 + 9, 128 + 15})
"""Exit statuses of a process that caught a signal somebody sent it, or of a shell around it."""
_BUSY = frozenset({429, 529})
"""API statuses that mean: later."""
_REFUSED = 400
"""API status of a request that will be refused again in just this form."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is known when the process is gone.

    *lost* says that nobody recorded its exit; *out_of_memory* that the kernel killed it for lack of memory; *finished* that the agent had nothing left to do when it ended;
    *resumable* that its conversation is on disk;
    *broken* that the daemon could not follow it, and why; *api_status* is the last result's API error; *stderr* its last lines;
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
    text: str = ""
    stderr: str = ""
    spawn_error: str = ""
    broken: str = ""
    spoke: bool = True
    hollow: bool = False
    interrupted: tuple[str, ...] = ()
    leftovers: int = 0
    work: float | None = None


_ACCOUNT = ("credit balance", "please run /login", "not logged in", "api key", "authentica", "oauth token")
"""What the CLI speaks of when it has no account to work with, or one that is used up."""
_MACHINE = (
    "enospc", "no space left", "edquot", "quota exceeded", "emfile", "enfile", "too many open files", "enomem",
    "out of memory", "cannot allocate memory", "shared librar", "shared object", "eacces", "erofs", "eio",
    "econnrefused", "econnreset", "enotfound", "eai_again", "etimedout", "getaddrinfo", "certificate",
)  # fmt: skip
"""What a program speaks of that the machine or the network let down."""
_NO_PROGRAM = (126, 127)
"""How a shell, or the shim, says that there was nothing to execute."""


def outcome_of(run: RunRow, end: Ending) -> tuple[Outcome, str]:
    """
    The outcome and one line that says why.

    ``is_error`` and ``terminal_reason`` decide, never the result's subtype, which calls every API failure a success
    (Claude Code 2.1.330).
    """
    if run.stopping is not None:
        return run.stopping, run.stopping_reason
    if end.spawn_error:
        return Outcome.FAILED, f"the agent could not be started: {_line(end.spawn_error)}"
    if end.broken:
        return Outcome.FAILED, f"the daemon could not follow the agent and ended it: {_line(end.broken)}"
    if poisoned(run, end):
        detail = _line(end.text) or _line(end.stderr) or "the agent did nothing"
        return Outcome.FAILED, f"the conversation could not be taken up again: {detail}"
    gone = _gone(end)
    if end.has_result and not end.is_error and (end.finished or end.exit_code == 0):
        # The work was reported done and nothing was left to do: how the process ended after that is a remark.
        return Outcome.SUCCEEDED, f"the agent reported success, then {gone}" if gone else ""
    if end.has_result and end.is_error and (end.finished or end.exit_code is not None):
        return _failed_turn(end)
    if end.lost:
        return Outcome.ABANDONED, f"the agent {gone}"
    if end.signal is not None or end.exit_code in _KILLED_STATUS:
        return Outcome.KILLED, f"the agent {gone}"
    detail = _line(end.stderr) or "it said nothing"
    # What the machine did to it is not its own failure: it goes on where it was.
    outcome = Outcome.KILLED if _let_down(end) else Outcome.FAILED
    return outcome, f"the agent exited with status {end.exit_code} before it was done: {detail}"


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
    return end.terminal_reason != "api_error"


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


def _failed_turn(end: Ending) -> tuple[Outcome, str]:
    reason = _line(end.text) or end.terminal_reason or "the agent reported an error"
    if end.api_status in _BUSY:
        return Outcome.RATE_LIMITED, reason
    if end.terminal_reason == "budget_exhausted":
        return Outcome.OVER_BUDGET, reason
    return Outcome.FAILED, reason


def _line(text: str, limit: int = 300) -> str:
    """
    The last non-blank line of *text*, cut to *limit* characters.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:limit] if lines else ""


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
