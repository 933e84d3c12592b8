"""
What an agent tells us, one frozen Struct per *meaning*.

A line of Claude Code's stream-json becomes zero or more of these; text deltas become none.  Field names are ours, not
the wire's.  ``subagent`` is, in messages of the transcript, the id of the Agent tool call that the line belongs to, and
in requests and denials the CLI's own agent id; None means the main conversation.  Texts are as the agent wrote them;
counts are tokens unless said otherwise, ``cost_usd`` is USD as the CLI prices it.  Shapes: Claude Code 2.1.330.

This module must not parse: the readers are `orchestrd.protocol.turns` and `orchestrd.protocol.notices`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from orchestrd.domain.model import Usage
from orchestrd.protocol.questions import AskedQuestion, read_ask
from orchestrd.protocol.requests import (
    ControlCancel,
    ControlReply,
    ControlUnknown,
    HookRequest,
    McpRequest,
    PermissionRequest,
)
from orchestrd.protocol.results import DeferredTool, Denial, ModelCost, Result, read_account

__all__ = [
    "AskedQuestion", "ControlCancel", "ControlReply", "ControlUnknown", "DeferredTool", "Denial", "HookRequest",
    "McpRequest", "ModelCost", "PermissionRequest", "Result", "read_account", "read_ask",
]  # fmt: skip


class Init(msgspec.Struct, frozen=True, kw_only=True):
    """
    A turn begins.  Comes again with every turn of one process, and only after the first user message.
    """

    session: str
    model: str = ""
    cwd: str = ""
    cli_version: str = ""
    permission_mode: str = ""
    api_key_source: str = ""
    tools: tuple[str, ...] = ()
    mcp_servers: tuple[tuple[str, str], ...] = ()
    """Pairs of name and status: connected, failed, pending."""


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """
    A whole block of the model's text.
    """

    message_id: str
    text: str
    subagent: str | None = None


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """
    The model thought; what it thought is not kept.
    """

    message_id: str
    subagent: str | None = None


class ThinkingTokens(msgspec.Struct, frozen=True, kw_only=True):
    """
    The model thinks what it does not tell: *more* tokens than when this was said last, as the CLI estimates.
    """

    more: int


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """
    The model wants a tool; whether it ran is told by the `ToolResult` of the same id.
    """

    id: str
    name: str
    input: dict[str, Any]
    message_id: str = ""
    subagent: str | None = None


class ToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """
    What came of a tool call.

    *text* is cut after 2,000 characters.  *accepted*: leave was given, so the tool ran.  *denied*: a rule, hook, mode or the host
    said no.  *not_executed*: the CLI says that the tool did not run to its end (denied, or interrupted).  2.1.197 tells none of
    them; all are false then, see `orchestrd.protocol.refusals`.
    """

    id: str
    is_error: bool
    text: str
    subagent: str | None = None
    accepted: bool = False
    denied: bool = False
    not_executed: bool = False


class MessageUsage(msgspec.Struct, frozen=True, kw_only=True):
    """
    Tokens of one API response, told once per change; the newest of a *message_id* replaces the earlier ones.

    Unless *final*, ``usage.output`` is the snapshot at the start of the response (about 1), the other figures are right.
    *told* is False when a count could not be read, or the end did not say how many tokens the model gave: then *usage* is
    what is known all the same.
    """

    message_id: str
    model: str
    usage: Usage
    final: bool
    subagent: str | None = None
    told: bool = True


class ApiFailure(msgspec.Struct, frozen=True, kw_only=True):
    """
    The API refused or failed for good; *kind* is the CLI's word (``rate_limit``, ``overloaded``, ``model_not_found``).
    """

    kind: str
    status: int | None
    text: str
    message_id: str = ""


class ApiRetry(msgspec.Struct, frozen=True, kw_only=True):
    """
    The CLI will ask the API again after *delay_ms*.
    """

    attempt: int
    max_retries: int
    delay_ms: int
    status: int | None
    error: str


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """
    A subscription's window.  *status*: allowed, allowed_warning, rejected; *resets_at*: wall seconds of
    a plausible year, or None; *kind*: five_hour ...; *overage*: what is asked beyond it is answered all the same, and paid for
    by use.
    """

    status: str
    resets_at: float | None
    kind: str
    utilization: float | None
    overage: bool = False


class ModelFallback(msgspec.Struct, frozen=True, kw_only=True):
    """
    The CLI went on with another model.
    """

    trigger: str
    original: str
    fallback: str
    text: str


class PermissionDenied(msgspec.Struct, frozen=True, kw_only=True):
    """
    A rule or the mode refused a tool call.  Not sent when a hook or the host refused.
    """

    tool_name: str
    tool_use_id: str
    reason: str
    subagent: str | None = None


class StateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """
    The session is ``running``, ``requires_action`` or ``idle``: the only sure sign that a turn is over.
    """

    state: str


class StatusChanged(msgspec.Struct, frozen=True, kw_only=True):
    """
    ``requesting``, ``compacting``, or None for neither.  Said again during an automatic compaction, with the *characters* of the
    summary so far, which begin anew with each try at it.
    """

    status: str | None
    characters: int = 0
    compact_result: str | None = None
    permission_mode: str | None = None


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """
    The conversation was summarised; *trigger* is manual or auto.
    """

    trigger: str
    pre_tokens: int
    post_tokens: int


class BackgroundTask(msgspec.Struct, frozen=True, kw_only=True):
    """
    A subagent or command beside the conversation.

    *status*: started, progress, or the CLI's word for its end (completed, failed, stopped).  *kind*: local_agent,
    local_bash, or empty when the line does not say.  *backgrounded* is false for a slow command in the foreground.
    """

    task_id: str
    tool_use_id: str
    status: str
    kind: str = ""
    description: str = ""
    summary: str = ""
    backgrounded: bool | None = None
    total_tokens: int = 0


class BackgroundTasks(msgspec.Struct, frozen=True, kw_only=True):
    """
    The background tasks alive now; *commands* are those of them that are the shell's, each with processes of its own.
    """

    ids: tuple[str, ...]
    commands: tuple[str, ...] = ()


class ToolProgress(msgspec.Struct, frozen=True, kw_only=True):
    """
    A long tool call is still going on; *elapsed* in seconds.
    """

    tool_use_id: str
    tool_name: str
    elapsed: float
    heartbeat: bool = False


class Lifecycle(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of the user message we sent as *uuid*: queued, started, completed.
    """

    uuid: str
    state: str


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """
    Told for information: informational, notification, hook_started, hook_response, attachment.

    *tag* ``hook_no_verdict`` means that a command hook failed and the tool *ran*.
    """

    subtype: str
    text: str
    tag: str = ""
    tool_use_id: str = ""


class UserEcho(msgspec.Struct, frozen=True, kw_only=True):
    """
    Text on the user's side: written by the CLI itself (*synthetic*), or a message of ours come back (*replay*).
    """

    text: str
    synthetic: bool = False
    replay: bool = False
    subagent: str | None = None


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """
    A well-formed event of a type this version does not know.
    """

    type: str
    subtype: str = ""


class Malformed(msgspec.Struct, frozen=True, kw_only=True):
    """
    A line that is no event: *offset* and *length* in bytes, without the LF.  *torn*: the last line, cut off.
    """

    offset: int
    length: int
    reason: str
    torn: bool = False


class Oversize(msgspec.Struct, frozen=True, kw_only=True):
    """
    A line over the limit, dropped unread: *offset* and *length* in bytes, without the LF.
    """

    offset: int
    length: int


Message: TypeAlias = (
    Init
    | Text
    | Thinking
    | ThinkingTokens
    | ToolCall
    | ToolResult
    | MessageUsage
    | ApiFailure
    | Result
    | ApiRetry
    | RateLimit
    | ModelFallback
    | PermissionDenied
    | StateChanged
    | StatusChanged
    | Compacted
    | BackgroundTask
    | BackgroundTasks
    | ToolProgress
    | Lifecycle
    | Notice
    | UserEcho
    | HookRequest
    | PermissionRequest
    | McpRequest
    | ControlCancel
    | ControlReply
    | ControlUnknown
    | Unknown
    | Malformed
    | Oversize
)
