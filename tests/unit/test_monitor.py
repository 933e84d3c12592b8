"""
What ran without leave is found, whatever sign tells of it, and nothing else is.

The streams in ``tests/data/hooked-streams`` are output of the real CLIs, shortened, in which every hook request was answered with
"allow": every tool in the main conversation, a subagent, what the CLI refuses by itself, commands in the background.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrd.policy.verdict import ALLOW, Verdict, deny
from orchestrd.protocol import messages as m
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.redaction import BY_LOOKS, Redactor
from orchestrd.runner.monitor import DENIED, EXCHANGED, UNANSWERED, UNASKED, Bypass, Monitor, violation

DATA = Path(__file__).parents[1] / "data"
HOOKED = sorted((DATA / "hooked-streams").glob("*.jsonl"))
CAPTURES = sorted((DATA / "claude-streams").glob("*.jsonl"))


def judge(_tool: str, arguments: dict[str, Any], _cwd: str | None, _call: str | None) -> Verdict:
    return deny("git", "No commits.", "git commit") if "commit" in str(arguments.get("command")) else ALLOW


def read(path: Path) -> list[m.Message]:
    stream = ClaudeStream()
    return [*stream.feed(path.read_bytes()), *stream.finish()]


def requests(messages: list[m.Message]) -> set[str]:
    return {msg.request_id for msg in messages if isinstance(msg, m.HookRequest | m.PermissionRequest)}


def look(messages: list[m.Message], granted: set[str] = frozenset(), denied: set[str] = frozenset()) -> list[Bypass]:
    monitor = Monitor(judge)
    return [
        bypass
        for message in messages
        for bypass in monitor.take([message], granted=granted, answered=set(granted) | set(denied))
    ]


def call(name: str = "c", command: str = "ls", subagent: str | None = None) -> m.ToolCall:
    return m.ToolCall(id=name, name="Bash", input={"command": command}, subagent=subagent)


def hook(name: str = "c", command: str = "ls", request: str = "r") -> m.HookRequest:
    return m.HookRequest(
        request_id=request,
        callback_id="h",
        event="PreToolUse",
        tool_name="Bash",
        tool_input={"command": command, "default": True},
        tool_use_id=name,
    )


def result(name: str = "c", text: str = "done", *, error: bool = False, **more: bool) -> m.ToolResult:
    return m.ToolResult(id=name, is_error=error, text=text, **more)


@pytest.mark.parametrize("path", HOOKED, ids=lambda path: path.stem)
def test_a_stream_in_which_every_call_asked_is_clean(path: Path) -> None:
    messages = read(path)
    assert len(requests(messages)) > 25
    assert look(messages, requests(messages)) == []


@pytest.mark.parametrize("path", HOOKED, ids=lambda path: path.stem)
def test_every_call_that_ran_would_be_missed_by_its_hook(path: Path) -> None:
    messages = read(path)
    told = {msg.id: msg for msg in messages if isinstance(msg, m.ToolCall)}
    asked = [msg for msg in messages if isinstance(msg, m.HookRequest) and msg.tool_use_id in told]
    everything = requests(messages)
    for hidden in asked:
        # A call that goes by both ways, as ExitPlanMode, is still asked about by the other.
        rest = [msg for msg in messages if getattr(msg, "tool_use_id", None) != hidden.tool_use_id or msg is None]
        rest = [
            msg for msg in rest if not isinstance(msg, m.PermissionRequest) or msg.tool_use_id != hidden.tool_use_id
        ]
        rest += [msg for msg in messages if isinstance(msg, m.ToolResult) and msg.id == hidden.tool_use_id]
        found = look(rest, everything & requests(rest))
        assert [(bypass.call, bypass.how) for bypass in found] == [(hidden.tool_use_id, UNASKED)], hidden


@pytest.mark.parametrize("path", HOOKED, ids=lambda path: path.stem)
def test_what_was_denied_and_ran_is_found(path: Path) -> None:
    messages = read(path)
    told = {msg.id for msg in messages if isinstance(msg, m.ToolCall)}
    failed = {msg.id for msg in messages if isinstance(msg, m.ToolResult) and msg.is_error and not msg.accepted}
    for asked in [msg for msg in messages if isinstance(msg, m.HookRequest)]:
        granted = requests(messages) - {
            msg.request_id
            for msg in messages
            if isinstance(msg, m.HookRequest | m.PermissionRequest) and msg.tool_use_id == asked.tool_use_id
        }
        found = look(messages, granted, requests(messages) - granted)
        if asked.tool_use_id in told and asked.tool_use_id not in failed:
            assert [(bypass.call, bypass.how) for bypass in found] == [(asked.tool_use_id, DENIED)], asked


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_captures_without_our_hook_show_what_ran_and_not_what_was_refused(path: Path) -> None:
    messages = read(path)
    found = {bypass.call for bypass in look(messages, requests(messages))}
    results = {msg.id: msg for msg in messages if isinstance(msg, m.ToolResult)}
    refused = {name for name, told in results.items() if told.denied or told.not_executed}
    assert found.isdisjoint(refused)
    asked = {msg.tool_use_id for msg in messages if isinstance(msg, m.HookRequest | m.PermissionRequest)}
    worked = {name for name, told in results.items() if not told.is_error or told.accepted}
    assert worked - asked <= found


def test_the_ways_around_the_hook() -> None:
    assert look([call(), hook(), result()], {"r"}) == []
    assert [found.how for found in look([call(), result()])] == [UNASKED]
    assert [found.how for found in look([call(), hook(), result()])] == [UNANSWERED]
    assert [found.how for found in look([call(), hook(), result()], denied={"r"})] == [DENIED]
    assert [found.how for found in look([call(), hook(), result(text="Exit code 1", error=True)], denied={"r"})] == [
        DENIED
    ]
    assert look([call(), hook(), result(text="No commits.", error=True)], denied={"r"}) == []
    swapped = [call(command="git commit"), hook(command="ls"), result()]
    assert [found.how for found in look(swapped, {"r"})] == [EXCHANGED]
    # The same words with a default more are no exchange: the hook's verdict stands, whatever the tree looked like before.
    assert look([call(command="git commit"), hook(command="git commit"), result()], {"r"}) == []


def test_signs_before_the_result() -> None:
    begun = m.BackgroundTask(task_id="t", tool_use_id="c", status="started")
    assert [found.call for found in look([call(), begun])] == ["c"]
    assert [
        found.call for found in look([call(), m.ToolProgress(tool_use_id="c", tool_name="Bash", elapsed=30.0)])
    ] == ["c"]
    assert look([call(), hook(), begun, result()], {"r"}) == []
    # Told once, however often it shows.
    assert len(look([call(), begun, result()])) == 1


@pytest.mark.parametrize(
    "text",
    [
        "<tool_use_error>InputValidationError: Bash failed</tool_use_error>",
        "<tool_use_error>Error: No such tool available: Grep</tool_use_error>",
        "The user doesn't want to proceed with this tool use. The tool use was rejected",
        "Permission to use Bash with command git commit has been denied.",
        "PreToolUse:Bash hook error: denied",
        "PreToolUse hook did not respond before its timeout (host client may be unreachable).",
        "Tool permission request failed: Error: Stream closed",
        "The user doesn't want to take this action right now. STOP what you are doing",
    ],
)
def test_what_the_cli_refuses_by_itself_is_no_bypass(text: str) -> None:
    assert look([call(), result(text=text, error=True)]) == []
    # Said of a call that succeeded, or that leave was given for, the words are the tool's own.
    assert len(look([call(), result(text=text)])) == 1
    assert len(look([call(), result(text=text, error=True, accepted=True)])) == 1


def test_a_request_that_was_lost_with_the_output_excuses_one_call() -> None:
    messages: list[m.Message] = [call("a"), result("a"), call("b"), result("b")]
    assert [found.call for found in look(messages, {"lost"})] == ["a", "b"]
    damaged = m.Malformed(offset=0, length=3, reason="no JSON")
    assert [found.call for found in look([damaged, *messages], {"lost"})] == ["b"]


def test_what_is_recorded_of_it() -> None:
    (found,) = look([call(command="git commit -m x", subagent="agent"), result(text="[main 1] x")])
    fact = violation("2026-11-22/a/1", found, BY_LOOKS)
    assert (fact.rule, fact.seen_by, fact.call, fact.target) == ("git", "monitor", "c", "git commit")
    assert "a subagent called Bash (c); it succeeded: [main 1] x" in fact.evidence
    assert UNASKED in fact.reason
    (found,) = look([call(), result()])
    assert violation("2026-11-22/a/1", found, BY_LOOKS).rule == "exec-unknown"


def test_what_is_recorded_of_it_tells_no_secret() -> None:
    secret = "planted-in-the-environment"
    # At the end of what is shown of the output, too.
    text = "x" * 220 + f" {secret}"
    (found,) = look([call(command=f"git commit -m {secret}"), result(text=text)])
    fact = violation("2026-11-22/a/1", found, Redactor([secret]))
    assert secret not in f"{fact.target} {fact.reason} {fact.evidence}"
    assert secret[:6] not in fact.evidence
    assert "[secret]" in fact.evidence


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["call", "hook", "answer", "deny", "ran", "refused"])))
)
def test_no_call_that_was_granted_before_it_ran_is_ever_found(steps: list[tuple[str, str]]) -> None:
    monitor, granted, answered = Monitor(judge), set[str](), set[str]()
    live: dict[str, set[str]] = {}
    for number, (name, step) in enumerate(steps):
        key, messages = f"{name}", list[m.Message]()
        match step:
            case "call":
                messages = [call(key)]
            case "hook":
                live.setdefault(key, set()).add(f"r{number}")
                messages = [hook(key, request=f"r{number}")]
            case "answer":
                granted |= live.get(key, set())
                answered |= live.get(key, set())
            case "deny":
                answered |= live.get(key, set())
            case "ran":
                messages = [result(key)]
            case _:
                messages = [result(key, "<tool_use_error>no</tool_use_error>", error=True)]
        found = monitor.take(messages, granted=granted, answered=answered)
        if found:
            assert step == "ran"
            assert not (live.get(key, set()) & granted)
        if step in {"ran", "refused"}:
            live.pop(key, None)
