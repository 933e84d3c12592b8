"""
Facts read from an agent's stream.
"""

from __future__ import annotations

from orchestrd.domain.events.base import RunEvent


class TurnEnded(RunEvent, frozen=True, kw_only=True, tag="run.turn_ended"):
    """
    The CLI reported a result; *is_error* and *terminal_reason* decide, never its subtype.
    """

    is_error: bool
    terminal_reason: str | None
    text: str
    turns: int = 0


class ToolCalled(RunEvent, frozen=True, kw_only=True, tag="run.tool_called"):
    """
    The agent asked for a tool; *target* is the file, command or pattern it is about, cut to 200 characters.
    """

    call: str
    tool: str
    target: str = ""
    subagent: str | None = None


class ToolReturned(RunEvent, frozen=True, kw_only=True, tag="run.tool_returned"):
    """
    A tool call's result came back.
    """

    call: str
    is_error: bool


class RetrySeen(RunEvent, frozen=True, kw_only=True, tag="run.retry_seen"):
    """
    The CLI waits before repeating a failed API request.
    """

    attempt: int
    status: int | None
    error: str


class RateLimitSeen(RunEvent, frozen=True, kw_only=True, tag="run.rate_limit_seen"):
    """
    The account's usage window as the service reported it; *resets_at* is wall seconds, *overage* that what is asked beyond it is
    answered and paid for by use.
    """

    status: str
    window: str
    utilization: float | None = None
    resets_at: float | None = None
    overage: bool = False


class StreamDamaged(RunEvent, frozen=True, kw_only=True, tag="run.stream_damaged"):
    """
    Bytes of the agent's stream that are no message: one line, skipped; the next line counts again.

    *cut*: they are not there any more, because the file became shorter than it was; what was recorded of them stands.
    """

    offset: int
    length: int
    reason: str
    cut: bool = False


UNREADABLE = "exec-unknown"
"""The rule of what cannot be judged before it runs."""


class ViolationSeen(RunEvent, frozen=True, kw_only=True, tag="run.violation_seen"):
    """
    A forbidden act was tried and denied before it ran; or it was seen to have happened.

    *decision* is ``deny``, and empty where it is not told (0.1.0), or where nobody was asked: then nothing follows from the fact
    alone.  *act* is the mark by which the same act is known again (`policy.acts`); *fixed*: it touches what protects this program
    itself, and nobody can allow it.
    *seen_by*: ``hook``, the CLI asked and was told no; ``rules``, the CLI's own rules refused it unasked; ``monitor``, it ran though
    leave was not given; ``watch``, what may not change has changed.  *evidence* is what tells so, for a person.
    """

    call: str
    tool: str
    rule: str
    target: str
    reason: str
    seen_by: str = "hook"
    evidence: str = ""
    decision: str = ""
    act: str = ""
    fixed: bool = False

    @property
    def denied(self) -> bool:
        """
        True when the act was kept from happening.
        """
        return self.decision == "deny"

    @property
    def confirmed(self) -> bool:
        """
        True when a rule says no for certain, not only because what would run could not be read.
        """
        return self.denied and self.rule != UNREADABLE
