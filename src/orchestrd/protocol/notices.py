"""
Lines about the run → messages: system events, results, limits, and the control channel's requests and replies.

Dispatch is a table from (type, subtype) to a small function over plain values.  To add an event: write its function and
its row.  No function raises on an odd shape; a field of another type becomes its default.  A row of None is an event
known to say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from orchestrd.protocol.fields import count, items, mapping, number, text, text_or_none, wall_time, whole
from orchestrd.protocol.messages import (
    ApiRetry,
    BackgroundTask,
    BackgroundTasks,
    Compacted,
    ControlCancel,
    ControlReply,
    ControlUnknown,
    HookRequest,
    Init,
    Lifecycle,
    McpRequest,
    Message,
    ModelFallback,
    Notice,
    PermissionDenied,
    PermissionRequest,
    RateLimit,
    StateChanged,
    StatusChanged,
    ThinkingTokens,
    ToolProgress,
    Unknown,
)
from orchestrd.protocol.results import read_result

_Values: TypeAlias = dict[str, Any]
_Reader: TypeAlias = Callable[[_Values], Message]

_HEARTBEAT = re.compile(r"-heartbeat-\d+\Z")


def read_notice(value: _Values) -> list[Message]:
    """
    The messages of a line that is not part of the conversation; `Unknown` for a type or subtype without a row.
    """
    kind, subtype = text(value, "type"), text(value, "subtype")
    key = (kind, subtype) if kind == "system" else (kind, "")
    if key not in _READERS:
        return [Unknown(type=kind, subtype=subtype)]
    reader = _READERS[key]
    return [] if reader is None else [reader(value)]


def _init(value: _Values) -> Init:
    servers = (mapping(server) for server in items(value.get("mcp_servers")))
    return Init(
        session=text(value, "session_id"),
        model=text(value, "model"),
        cwd=text(value, "cwd"),
        cli_version=text(value, "claude_code_version"),
        permission_mode=text(value, "permissionMode"),
        api_key_source=text(value, "apiKeySource"),
        tools=tuple(tool for tool in items(value.get("tools")) if isinstance(tool, str)),
        mcp_servers=tuple((text(server, "name"), text(server, "status")) for server in servers),
    )


def _api_retry(value: _Values) -> ApiRetry:
    return ApiRetry(
        attempt=count(value, "attempt"),
        max_retries=count(value, "max_retries"),
        delay_ms=round(number(value.get("retry_delay_ms")) or 0),
        status=whole(value.get("error_status")),
        error=text(value, "error"),
    )


def _model_fallback(value: _Values) -> ModelFallback:
    return ModelFallback(
        trigger=text(value, "trigger"),
        original=text(value, "original_model"),
        fallback=text(value, "fallback_model"),
        text=text(value, "content"),
    )


def _permission_denied(value: _Values) -> PermissionDenied:
    return PermissionDenied(
        tool_name=text(value, "tool_name"),
        tool_use_id=text(value, "tool_use_id"),
        reason=text(value, "decision_reason") or text(value, "message"),
        subagent=text_or_none(value, "agent_id"),
    )


def _status(value: _Values) -> StatusChanged:
    return StatusChanged(
        status=text_or_none(value, "status"),
        characters=count(value, "compact_output_chars"),
        compact_result=text_or_none(value, "compact_result"),
        permission_mode=text_or_none(value, "permissionMode"),
    )


def _compacted(value: _Values) -> Compacted:
    about = mapping(value.get("compact_metadata"))
    return Compacted(
        trigger=text(about, "trigger"),
        pre_tokens=count(about, "pre_tokens"),
        post_tokens=count(about, "post_tokens"),
    )


def _state(value: _Values) -> StateChanged:
    return StateChanged(state=text(value, "state"))


def _task(value: _Values, status: str) -> BackgroundTask:
    backgrounded = value.get("is_backgrounded")
    return BackgroundTask(
        task_id=text(value, "task_id"),
        tool_use_id=text(value, "tool_use_id"),
        status=status,
        kind=text(value, "task_type"),
        description=text(value, "description"),
        summary=text(value, "summary"),
        backgrounded=backgrounded if isinstance(backgrounded, bool) else None,
        total_tokens=count(mapping(value.get("usage")), "total_tokens"),
    )


def _task_started(value: _Values) -> BackgroundTask:
    return _task(value, "started")


def _task_progress(value: _Values) -> BackgroundTask:
    return _task(value, "progress")


def _task_updated(value: _Values) -> BackgroundTask:
    return _task(value, text(mapping(value.get("patch")), "status"))


def _task_ended(value: _Values) -> BackgroundTask:
    return _task(value, text(value, "status"))


def _tasks(value: _Values) -> BackgroundTasks:
    tasks = [task for task in map(mapping, items(value.get("tasks"))) if text(task, "task_id")]
    return BackgroundTasks(
        ids=tuple(text(task, "task_id") for task in tasks),
        commands=tuple(text(task, "task_id") for task in tasks if text(task, "task_type") == "local_bash"),
    )


def _thinking_tokens(value: _Values) -> ThinkingTokens:
    return ThinkingTokens(more=count(value, "estimated_tokens_delta"))


def _informational(value: _Values) -> Notice:
    verdict = mapping(value.get("hook_no_verdict"))
    return Notice(
        subtype="informational",
        text=text(value, "content"),
        tag=text(value, "tag"),
        tool_use_id=text(verdict, "tool_use_id"),
    )


def _notification(value: _Values) -> Notice:
    return Notice(subtype="notification", text=text(value, "text"), tag=text(value, "key"))


def _hook(value: _Values) -> Notice:
    return Notice(subtype=text(value, "subtype"), text=text(value, "hook_name"), tag=text(value, "outcome"))


def _attachment(value: _Values) -> Notice:
    about = mapping(value.get("attachment"))
    return Notice(
        subtype="attachment",
        text=text(about, "hookName"),
        tag=text(about, "type"),
        tool_use_id=text(about, "toolUseID"),
    )


def _rate_limit(value: _Values) -> RateLimit:
    about = mapping(value.get("rate_limit_info"))
    status, told = text(about, "status"), about.get("isUsingOverage")
    # The CLI calls it so where the window is used up and overage is allowed (2.1.330).
    paid = status == "rejected" and text(about, "overageStatus") in ("allowed", "allowed_warning")
    return RateLimit(
        status=status,
        resets_at=wall_time(about.get("resetsAt")),
        kind=text(about, "rateLimitType"),
        utilization=number(about.get("utilization")),
        overage=told if isinstance(told, bool) else paid,
    )


def _tool_progress(value: _Values) -> ToolProgress:
    return ToolProgress(
        # A heartbeat's own id is the real one with a suffix.
        tool_use_id=_HEARTBEAT.sub("", text(value, "tool_use_id")),
        tool_name=text(value, "tool_name"),
        elapsed=number(value.get("elapsed_time_seconds")) or 0.0,
        heartbeat=value.get("heartbeat") is True,
    )


def _lifecycle(value: _Values) -> Lifecycle:
    return Lifecycle(uuid=text(value, "command_uuid"), state=text(value, "state"))


def _control_request(value: _Values) -> Message:
    request_id, request = text(value, "request_id"), mapping(value.get("request"))
    subtype = text(request, "subtype")
    if subtype == "hook_callback":
        about = mapping(request.get("input"))
        return HookRequest(
            request_id=request_id,
            callback_id=text(request, "callback_id"),
            event=text(about, "hook_event_name"),
            tool_name=text(about, "tool_name"),
            tool_input=mapping(about.get("tool_input")),
            tool_use_id=text(request, "tool_use_id") or text(about, "tool_use_id"),
            subagent=text_or_none(about, "agent_id"),
            cwd=text(about, "cwd"),
        )
    if subtype == "can_use_tool":
        return PermissionRequest(
            request_id=request_id,
            tool_name=text(request, "tool_name"),
            input=mapping(request.get("input")),
            tool_use_id=text(request, "tool_use_id"),
            subagent=text_or_none(request, "agent_id"),
            requires_user=request.get("requires_user_interaction") is True,
            reason=text(request, "decision_reason") or text(request, "decision_reason_type"),
        )
    if subtype == "mcp_message":
        message = mapping(request.get("message"))
        return McpRequest(request_id=request_id, server=text(request, "server_name"), message=message)
    return ControlUnknown(request_id=request_id, subtype=subtype)


def _control_response(value: _Values) -> ControlReply:
    about = mapping(value.get("response"))
    return ControlReply(
        request_id=text(about, "request_id"),
        ok=about.get("subtype") == "success",
        response=mapping(about.get("response")),
        error=text(about, "error"),
    )


def _control_cancel(value: _Values) -> ControlCancel:
    return ControlCancel(request_id=text(value, "request_id"))


_READERS: Mapping[tuple[str, str], _Reader | None] = MappingProxyType(
    {
        ("system", "init"): _init,
        ("system", "api_retry"): _api_retry,
        ("system", "model_fallback"): _model_fallback,
        ("system", "permission_denied"): _permission_denied,
        ("system", "status"): _status,
        ("system", "compact_boundary"): _compacted,
        ("system", "session_state_changed"): _state,
        ("system", "task_started"): _task_started,
        ("system", "task_progress"): _task_progress,
        ("system", "task_updated"): _task_updated,
        ("system", "task_notification"): _task_ended,
        ("system", "background_tasks_changed"): _tasks,
        ("system", "informational"): _informational,
        ("system", "notification"): _notification,
        ("system", "hook_started"): _hook,
        ("system", "hook_response"): _hook,
        ("system", "thinking_tokens"): _thinking_tokens,
        ("system", "ui_invalidate"): None,
        ("result", ""): read_result,
        ("rate_limit_event", ""): _rate_limit,
        ("keep_alive", ""): None,
        ("tool_progress", ""): _tool_progress,
        ("command_lifecycle", ""): _lifecycle,
        ("attachment", ""): _attachment,
        ("control_request", ""): _control_request,
        ("control_response", ""): _control_response,
        ("control_cancel_request", ""): _control_cancel,
    }
)
