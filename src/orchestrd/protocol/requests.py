"""
The control channel's half of the messages: what the agent asks of us and answers to us, as frozen Structs.

``subagent`` is the CLI's own agent id, None for the main conversation.  Every request must be answered by a line of
`orchestrd.protocol.control`, or the agent waits.  Shapes: Claude Code 2.1.330.
"""

from __future__ import annotations

from typing import Any

import msgspec


class HookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """
    The agent waits for a hook's verdict; answered with `control.hook_allow` and its siblings.
    """

    request_id: str
    callback_id: str
    event: str
    tool_name: str
    tool_input: dict[str, Any]
    tool_use_id: str
    subagent: str | None = None
    cwd: str = ""


class PermissionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """
    The agent waits for leave to use a tool.  *requires_user*: only a person can answer (AskUserQuestion).
    """

    request_id: str
    tool_name: str
    input: dict[str, Any]
    tool_use_id: str
    subagent: str | None = None
    requires_user: bool = False
    reason: str = ""


class McpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """
    A JSON-RPC message for an MCP server that lives on this channel.
    """

    request_id: str
    server: str
    message: dict[str, Any]


class ControlCancel(msgspec.Struct, frozen=True, kw_only=True):
    """
    The agent no longer waits for the answer to *request_id*.
    """

    request_id: str


class ControlReply(msgspec.Struct, frozen=True, kw_only=True):
    """
    The answer to a control request of ours.
    """

    request_id: str
    ok: bool
    response: dict[str, Any]
    error: str = ""


class ControlUnknown(msgspec.Struct, frozen=True, kw_only=True):
    """
    A request of a kind we do not know; to be answered with `control.control_error`, or the agent waits for ever.
    """

    request_id: str
    subtype: str
