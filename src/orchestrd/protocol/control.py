"""
What we write to the agent's stdin: each function gives one whole line of UTF-8 JSON with its LF.

Facts (Claude Code 2.1.330): one malformed line ends the process, so nothing else may be written there; a repeated answer
to the same request, and a repeated user message of the same uuid, are ignored, so every line may be written again after a
crash.  Every lone surrogate in a text becomes U+FFFD, for the line must be UTF-8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

HOOK_CALLBACK = "pre_tool_use"
HOOK_TIMEOUT = 86_400
"""Seconds a tool call waits for a verdict.  A callback that is not answered fails closed: the tool does not run."""

_ENCODER = msgspec.json.Encoder()


def user_message(text: str, uuid: str, *, priority: str | None = None) -> bytes:
    """
    A message to the model.  During a turn it joins it; *priority* ``now`` ends the turn after the running tool.
    """
    line: dict[str, Any] = {
        "type": "user",
        "message": {"role": "user", "content": text},
        "parent_tool_use_id": None,
        "uuid": uuid,
    }
    if priority is not None:
        line["priority"] = priority
    return _line(line)


def initialize(
    request_id: str, *, hook_timeout: int = HOOK_TIMEOUT, hooks: bool = True, mcp_servers: Sequence[str] = ()
) -> bytes:
    """
    The first line: every tool call asks us first, and the named MCP servers live on this channel.

    *hook_timeout* in seconds; without *hooks* no tool call asks.
    """
    fields: dict[str, Any] = {"hooks": None}
    if hooks:
        matcher = {
            "matcher": None,
            "hookCallbackIds": [HOOK_CALLBACK],
            "timeout": hook_timeout,
            "onFailure": "block",
        }
        fields["hooks"] = {"PreToolUse": [matcher]}
    if mcp_servers:
        fields["sdkMcpServers"] = list(mcp_servers)
    return control(request_id, "initialize", **fields)


def hook_allow(request_id: str, *, updated_input: Mapping[str, Any] | None = None) -> bytes:
    """
    The tool may run, with *updated_input* in place of its input if given; no permission is asked after this.
    """
    extra = {} if updated_input is None else {"updatedInput": dict(updated_input)}
    return _verdict(request_id, "allow", **extra)


def hook_deny(request_id: str, reason: str) -> bytes:
    """
    The tool may not run; *reason* is told to the model.
    """
    return _verdict(request_id, "deny", permissionDecisionReason=reason)


def hook_ask(request_id: str, reason: str = "") -> bytes:
    """
    The hook has no opinion: the question goes on to the permission prompt, which is this channel.
    """
    return _verdict(request_id, "ask", permissionDecisionReason=reason)


def hook_defer(request_id: str) -> bytes:
    """
    The turn ends here (``tool_deferred``); resuming the session asks the same hook again.
    """
    return _verdict(request_id, "defer")


def permission_allow(request_id: str, updated_input: Mapping[str, Any]) -> bytes:
    """
    The tool may run with *updated_input*: usually the input that was asked about.
    """
    return respond(request_id, {"behavior": "allow", "updatedInput": dict(updated_input)})


def permission_deny(request_id: str, message: str, *, interrupt: bool = False) -> bytes:
    """
    The tool may not run; *message* is told to the model.  *interrupt* ends the turn as well.
    """
    answer: dict[str, Any] = {"behavior": "deny", "message": message}
    if interrupt:
        answer["interrupt"] = True
    return respond(request_id, answer)


def answer_questions(request_id: str, original_input: Mapping[str, Any], answers: Mapping[str, str]) -> bytes:
    """
    Answer AskUserQuestion: *answers* maps the text of each question to a label or to free text.
    """
    return permission_allow(request_id, {**original_input, "answers": dict(answers)})


def mcp_reply(request_id: str, message: Mapping[str, Any]) -> bytes:
    """
    The JSON-RPC reply of an MCP server on this channel.
    """
    return respond(request_id, {"mcp_response": dict(message)})


STOP = "stop"
"""Id of our request that the agent end its turn."""


def interrupt(request_id: str) -> bytes:
    """
    End the turn now; the process lives on and takes the next message.
    """
    return control(request_id, "interrupt")


def get_usage(request_id: str) -> bytes:
    """
    Ask for the session's cost; the reply is read by `results.read_account`.
    """
    return control(request_id, "get_usage")


def end_session(request_id: str) -> bytes:
    """
    Ask the process to exit with status 0.
    """
    return control(request_id, "end_session")


def set_model(request_id: str, model: str) -> bytes:
    """
    Use *model* from the next request on.
    """
    return control(request_id, "set_model", model=model)


def control(request_id: str, subtype: str, **fields: object) -> bytes:
    """
    Any control request; answered by a `ControlReply` of the same id.
    """
    request = {"subtype": subtype, **fields}
    return _line({"type": "control_request", "request_id": request_id, "request": request})


def respond(request_id: str, response: Mapping[str, Any]) -> bytes:
    """
    Answer a request of the agent with *response*.
    """
    about = {"subtype": "success", "request_id": request_id, "response": dict(response)}
    return _line({"type": "control_response", "response": about})


def grants(line: bytes) -> bool:
    """
    True for one of our own lines that lets a tool call run.
    """
    # Quotes within a text are escaped, so these words are keys and values.
    return b'"permissionDecision":"allow"' in line or b'"behavior":"allow"' in line


def control_error(request_id: str, message: str) -> bytes:
    """
    Answer a request of the agent that we cannot serve, so that it does not wait for ever.
    """
    return _line(
        {
            "type": "control_response",
            "response": {"subtype": "error", "request_id": request_id, "error": message},
        }
    )


def _verdict(request_id: str, decision: str, **extra: object) -> bytes:
    specific = {"hookEventName": "PreToolUse", "permissionDecision": decision, **extra}
    return respond(request_id, {"hookSpecificOutput": specific})


def _line(value: dict[str, Any]) -> bytes:
    try:
        return _ENCODER.encode(value) + b"\n"
    except UnicodeEncodeError:
        return _ENCODER.encode(_clean(value)) + b"\n"


def _clean(value: Any) -> Any:
    """
    *value* with lone surrogates replaced in every string, keys too.
    """
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_clean(key): _clean(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(entry) for entry in value]
    return value
