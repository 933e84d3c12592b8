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


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is known when the process is gone.

    *lost* says that nobody recorded its exit; *finished* that the agent had nothing left to do when it ended;
    *resumable* that its conversation is on disk;
    *broken* that the daemon could not follow it, and why; *api_status* is the last result's API error; *stderr* its last lines.
    """

    exit_code: int | None = None
    signal: int | None = None
    lost: bool = False
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
    return Outcome.FAILED, f"the agent exited with status {end.exit_code} before it was done: {detail}"


def _gone(end: Ending) -> str:
    """
    How the process ended, when it was not with status 0.
    """
    if end.lost:
        return "vanished without a record of its end (reboot, or its shim was killed)"
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
