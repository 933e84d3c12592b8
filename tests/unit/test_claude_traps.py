"""
What surprised us in the real CLI's stream, each on its capture.  The captures were read with plain ``json`` for these.
"""

from pathlib import Path
from typing import TypeVar

import pytest

from orchestrd.domain.model import Usage
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.protocol.messages import (
    ApiFailure,
    ApiRetry,
    BackgroundTask,
    BackgroundTasks,
    Compacted,
    ControlCancel,
    ControlReply,
    HookRequest,
    Init,
    Lifecycle,
    McpRequest,
    Message,
    MessageUsage,
    ModelFallback,
    Notice,
    PermissionDenied,
    PermissionRequest,
    RateLimit,
    Result,
    StateChanged,
    StatusChanged,
    Text,
    Thinking,
    ToolCall,
    ToolProgress,
    ToolResult,
    UserEcho,
    read_ask,
)
from orchestrd.protocol.notices import read_notice

CAPTURES = Path(__file__).parents[1] / "data" / "claude-streams"
M = TypeVar("M")


def say(name: str) -> list[Message]:
    return ClaudeStream().feed((CAPTURES / f"{name}.jsonl").read_bytes())


def only(kind: type[M], name: str) -> list[M]:
    return [message for message in say(name) if isinstance(message, kind)]


def test_init_comes_with_every_turn() -> None:
    first, second = only(Init, "bgbash")

    assert first == second
    assert (first.model, first.permission_mode, first.cli_version) == ("claude-opus-5-5", "acceptEdits", "2.1.330")
    # The tool is listed as Task and called as Agent.
    assert "Task" in only(Init, "subagent")[0].tools
    assert only(ToolCall, "subagent")[0].name == "Agent"


def test_a_failed_mcp_server_only_shows_in_init() -> None:
    assert only(Init, "mcp_bad")[0].mcp_servers == (("op", "failed"),)
    assert only(Init, "mcp_ask5")[0].mcp_servers == (("op", "connected"),)


def test_subtype_lies_about_api_failures() -> None:
    for name in ("e400", "e401", "e403", "e404model", "e429long", "e500forever_mr2", "e529forever_mr2", "nokey"):
        (result,) = only(Result, name)
        assert (result.subtype, result.is_error, result.terminal_reason) == ("success", True, "api_error")
    (long,) = only(Result, "e413long")
    assert (long.subtype, long.is_error, long.terminal_reason) == ("success", True, "prompt_too_long")


def test_api_failures_tell_their_kind() -> None:
    found = {
        name: [(failure.kind, failure.status) for failure in only(ApiFailure, name)]
        for name in ("e401", "e404model", "e429long", "e529forever_mr2", "noserver", "nokey")
    }

    assert found["e401"] == [("authentication_failed", 401)]
    assert found["e404model"] == [("model_not_found", 404)]
    assert found["e429long"] == [("rate_limit", 429)]
    # The retries said "overloaded"; the final failure does not: only its status tells.
    assert found["e529forever_mr2"] == [("server_error", 529)]
    assert {"overloaded"} == {retry.error for retry in only(ApiRetry, "e529forever_mr2")}
    assert [status for _, status in found["noserver"]] == [None]
    assert found["nokey"] == [("authentication_failed", None)]
    assert only(Result, "noserver")[0].api_error == "connection_failed"


def test_a_synthetic_line_is_no_text_and_no_usage() -> None:
    assert only(Text, "e401") == []
    assert only(MessageUsage, "e401") == []


def test_several_results_in_one_process() -> None:
    first, second = only(Result, "bgbash")

    assert [(first.index, first.origin), (second.index, second.origin)] == [(0, None), (1, "task-notification")]
    assert first.models_since is not None
    assert second.models_since is not None
    assert [
        first.models_since["claude-opus-5-5"].cost_usd,
        second.models_since["claude-opus-5-5"].cost_usd,
    ] == [0.0025, 0.00125]
    assert only(Result, "subagent")[1].models_since == {}


def test_totals_carry_over_a_resume_and_the_since_figure_does_not() -> None:
    (result,) = only(Result, "resume1")

    assert result.total_cost_usd == 0.0777
    assert result.models_since is not None
    assert result.models_since["claude-opus-5-5"].cost_usd == 0.07276
    assert Usage(input=160, output=590, cache_read=43800, cache_write_5m=11300) == (
        result.models_total["claude-opus-5-5"].usage
    )


def test_the_older_cli_has_no_since_figure() -> None:
    (result,) = only(Result, "v197_resume")

    assert result.models_since is None
    assert result.total_cost_usd == 0.006675


def test_usage_of_a_result_is_this_turn_without_subagents() -> None:
    first, _ = only(Result, "subagent")

    assert Usage(input=20, output=150, cache_read=1000, cache_write_5m=1100) == first.usage
    assert first.models_total["claude-opus-5-5"].usage.output == 320


def test_lines_of_one_response_share_their_usage() -> None:
    """
    Nine assistant lines, five responses: 52,750 input tokens in all, not 83,800.
    """
    usages = only(MessageUsage, "multi_acceptEdits")

    assert len(usages) == 5
    assert not any(usage.final for usage in usages)
    assert sum(u.usage.input + u.usage.cache_read + u.usage.cache_write for u in usages) == 52_750
    assert {1} == {usage.usage.output for usage in usages}


def test_partial_messages_give_final_figures() -> None:
    usages = only(MessageUsage, "partial")

    assert [usage.final for usage in usages] == [False, True] * 5
    assert sum(usage.usage.output for usage in usages if usage.final) == 490
    assert {"claude-opus-5-5"} == {usage.model for usage in usages}


def test_the_non_streaming_fallback_gives_final_figures_at_once() -> None:
    for name in ("cut", "streamerr"):
        assert [(usage.final, usage.usage.output) for usage in only(MessageUsage, name)] == [(True, 20)]


def test_cache_writes_without_their_split_are_five_minutes() -> None:
    (usage,) = only(MessageUsage, "simple")

    assert (usage.usage.cache_write_5m, usage.usage.cache_write_1h) == (500, 0)


def test_subagents_are_told_apart() -> None:
    agent, bash = only(ToolCall, "subagent")

    assert (agent.subagent, bash.subagent) == (None, agent.id)
    assert [None, agent.id] == [result.subagent for result in only(ToolResult, "subagent")]
    assert [agent.id] == [thought.subagent for thought in only(Thinking, "subagent")]


def test_background_work() -> None:
    tasks = only(BackgroundTask, "subagent")

    assert [task.status for task in tasks] == ["started", "progress", "completed", "completed"]
    assert (tasks[0].kind, tasks[0].backgrounded, tasks[3].summary) == ("local_agent", True, "sub final report")
    assert [len(now.ids) for now in only(BackgroundTasks, "subagent")] == [1, 0]
    assert {only(ToolCall, "subagent")[0].id} == {task.tool_use_id for task in tasks if task.tool_use_id}


def test_who_said_no() -> None:
    """
    A hook's denial has no event of its own; the mode's has; both show in the tool result.
    """
    bash, write = only(ToolResult, "hook_pre_deny")

    assert (bash.is_error, bash.denied, bash.not_executed) == (True, True, True)
    assert (write.denied, write.not_executed) == (True, True)
    assert [write.id] == [denied.tool_use_id for denied in only(PermissionDenied, "hook_pre_deny")]
    assert len(only(Result, "hook_pre_deny")[0].permission_denials) == 2
    (interrupted,) = only(ToolResult, "ctl_interrupt")
    assert (interrupted.denied, interrupted.not_executed) == (False, True)


def test_a_failing_command_hook_fails_open_and_says_so() -> None:
    tags = [notice.tag for notice in only(Notice, "hook_missing")]

    assert tags == ["hook_no_verdict"]
    assert only(Notice, "hook_missing")[0].tool_use_id == only(ToolCall, "hook_missing")[0].id
    assert not only(ToolResult, "hook_missing")[0].is_error


def test_start_up_failures_write_one_zeroed_result_alone() -> None:
    (result,) = say("sandbox_fail")
    assert isinstance(result, Result)
    assert (result.startup_failure_reason, result.is_error) == ("sandbox_required_unavailable", True)
    (missing,) = say("resume_missing")
    assert isinstance(missing, Result)
    assert missing.terminal_reason is None
    assert missing.errors[0].startswith("No conversation found with session ID")


def test_budget_and_deferral() -> None:
    (budget,) = only(Result, "resume_budget")
    assert (
        budget.is_error,
        budget.terminal_reason,
        budget.errors,
    ) == (True, "budget_exhausted", ("Reached maximum budget ($0.05)",))
    (deferred,) = only(Result, "defer1")
    assert (deferred.is_error, deferred.terminal_reason) == (False, "tool_deferred")
    assert deferred.deferred_tool is not None
    assert (deferred.deferred_tool.id, deferred.deferred_tool.name) == ("toolu_fake000648", "Bash")


def test_a_schema_that_was_never_obeyed_is_told_by_absence() -> None:
    assert only(Result, "schema")[0].structured_output is not None
    assert only(Result, "schemanever")[0].structured_output is None


def test_interruptions() -> None:
    assert [(result.terminal_reason, result.is_error) for result in only(Result, "ctl_interrupt")] == [
        ("aborted_tools", True),
        ("completed", False),
    ]
    echoes = [(echo.text, echo.synthetic, echo.replay) for echo in only(UserEcho, "ctl_interrupt")]
    assert echoes == [("[Request interrupted by user for tool use]", False, False)]
    assert len(only(ControlCancel, "ctl_cancel")) == 1


def test_the_cli_speaks_for_the_user() -> None:
    assert [(echo.synthetic, echo.replay) for echo in only(UserEcho, "refusal")] == [(True, False)]
    assert only(UserEcho, "maxtokens")[0].text.startswith("Output token limit hit")
    assert [echo.text for echo in only(UserEcho, "ctl_steer") if echo.replay] == [
        "[[slowtool2]] go",
        "STEER: please also do X",
    ]


def test_what_became_of_our_messages() -> None:
    states = [event.state for event in only(Lifecycle, "ctl_steer")]

    assert {"queued", "started", "completed"} == set(states)


def test_only_the_state_says_that_a_run_is_over() -> None:
    states = [change.state for change in only(StateChanged, "ctl_hooks_sdkmcp")]

    assert "requires_action" in states
    assert (states[0], states[-1]) == ("running", "idle")


def test_compaction_keeps_the_session() -> None:
    (compacted,) = only(Compacted, "autocompact")

    assert (compacted.trigger, compacted.pre_tokens, compacted.post_tokens) == ("auto", 93011, 2604)
    assert [change.status for change in only(StatusChanged, "autocompact")] == ["compacting", None]
    assert only(StatusChanged, "autocompact")[1].compact_result == "success"


def test_retries_and_limits() -> None:
    retries = only(ApiRetry, "e429forever_mr2")
    assert [(retry.attempt, retry.max_retries, retry.status, retry.error) for retry in retries] == [
        (1, 2, 429, "rate_limit"),
        (2, 2, 429, "rate_limit"),
    ]
    (limit,) = only(RateLimit, "e429long_oauth")
    assert (
        limit.status,
        limit.resets_at,
        limit.kind,
        limit.utilization,
    ) == ("rejected", 1795400000.0, "five_hour", None)
    (fallback,) = only(ModelFallback, "fallback")
    assert (
        fallback.trigger,
        fallback.original,
        fallback.fallback,
    ) == ("overloaded", "claude-opus-5-5", "claude-haiku-4-5")


@pytest.mark.parametrize(
    ("told", "read"),
    [
        (1_795_400_000, 1_795_400_000.0), (1_795_400_000_000, 1_795_400_000.0), (1_577_836_800, 1_577_836_800.0),
        (1_577_836_799, None), (4_102_444_800, None), (2**53, None), (0, None), (-1, None), (1e300, None),
        (True, None), ("1795400000", None), (None, None),
    ],
)  # fmt: skip
def test_a_reset_is_a_moment_of_these_years(told, read) -> None:
    (limit,) = read_notice({"type": "rate_limit_event", "rate_limit_info": {"status": "allowed", "resetsAt": told}})
    assert limit.resets_at == read


@pytest.mark.parametrize(
    ("told", "overage"),
    [
        ({"status": "rejected", "overageStatus": "allowed", "isUsingOverage": True}, True),
        ({"status": "rejected", "overageStatus": "rejected", "isUsingOverage": False}, False),
        ({"status": "rejected", "overageStatus": "allowed_warning"}, True),
        ({"status": "rejected", "overageStatus": "rejected", "isUsingOverage": "yes"}, False),
        ({"status": "allowed", "overageStatus": "allowed"}, False),
        ({"status": "rejected"}, False),
    ],
)
def test_what_goes_beyond_a_window_may_be_paid_for(told, overage) -> None:
    (limit,) = read_notice({"type": "rate_limit_event", "rate_limit_info": told})
    assert limit.overage is overage


def test_a_heartbeat_names_the_real_call() -> None:
    (call,) = only(ToolCall, "mcp_long")
    beats = only(ToolProgress, "mcp_long")

    assert {(call.id, True)} == {(beat.tool_use_id, beat.heartbeat) for beat in beats}
    assert [30.0 * n for n in range(1, 12)] == [float(round(beat.elapsed)) for beat in beats]


def test_questions_come_as_requests_for_leave() -> None:
    for name in ("ctl_ask", "ctl_ask_acceptEdits", "ctl_ask_bypassPermissions"):
        (request,) = only(PermissionRequest, name)
        assert (request.tool_name, request.requires_user) == ("AskUserQuestion", True)
        (asked,) = read_ask(request.input)
        assert (asked.text, asked.header, asked.multi) == ("Which DB?", "DB", False)
        assert asked.options == (("Postgres", "pg"), ("SQLite", "lite"))
    assert only(PermissionRequest, "ctl_ask_dontAsk") == []
    assert ["disabled" in result.text for result in only(ToolResult, "ask")] == [True]


def test_hooks_and_mcp_over_the_channel() -> None:
    hook = next(request for request in only(HookRequest, "ctl_hooks_sdkmcp") if request.event == "PreToolUse")
    assert (
        hook.callback_id,
        hook.tool_name,
        hook.tool_use_id,
        hook.subagent,
    ) == ("hook_0", "Bash", "toolu_fake000431", None)
    assert hook.tool_input["command"] == "rm -f /home/dev/project/a/nothing && touch /home/dev/project/a/perm.txt"
    methods = [request.message["method"] for request in only(McpRequest, "ctl_hooks_sdkmcp")]
    assert methods == ["initialize", "notifications/initialized", "tools/list", "tools/call"]


def test_replies() -> None:
    replies = {reply.request_id: reply for reply in only(ControlReply, "ctl_queries")}

    assert replies["req_3"].response["session"]["total_cost_usd"] == 0.00125
    assert (replies["req_12"].ok, replies["req_12"].error) == (False, "Unsupported control request subtype: bogus")
    # An answer may have no body at all.
    assert (replies["req_14"].ok, replies["req_14"].response) == (True, {})


def test_long_lines() -> None:
    (text,) = only(Text, "bigtext")

    assert len(text.text) > 200_000
    assert all(len(result.text) <= 2000 for result in only(ToolResult, "big"))
