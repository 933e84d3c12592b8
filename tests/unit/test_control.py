"""
What we write to the agent: one valid line each, in the shapes the real CLI was seen to take.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrd.protocol import control
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.protocol.messages import PermissionRequest
from orchestrd.protocol.questions import AskedQuestion, answered

CAPTURES = Path(__file__).parents[1] / "data" / "claude-streams"
NASTY = 'a\nb\r\n\u2028\u2029\x00\x1b"\\ é 日本 🎉'


def read(line: bytes) -> Any:
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    return json.loads(line)


@pytest.mark.parametrize(
    "line",
    [
        control.user_message(NASTY, "u"),
        control.initialize("r", mcp_servers=[NASTY]),
        control.hook_allow("r", updated_input={NASTY: NASTY}),
        control.hook_deny("r", NASTY),
        control.hook_ask("r", NASTY),
        control.hook_defer("r"),
        control.permission_allow("r", {"command": NASTY}),
        control.permission_deny("r", NASTY, interrupt=True),
        control.answer_questions("r", {"questions": []}, {NASTY: NASTY}),
        control.mcp_reply("r", {"id": 1, "result": {"text": NASTY}}),
        control.interrupt("r"),
        control.get_usage("r"),
        control.end_session("r"),
        control.set_model("r", NASTY),
        control.control("r", "get_context_usage", detail=NASTY),
        control.control_error("r", NASTY),
    ],
)
def test_one_line_whatever_the_text(line: bytes) -> None:
    value = read(line)

    assert "\ufffd" not in json.dumps(value, ensure_ascii=False)
    assert value["type"] in {"user", "control_request", "control_response"}


def test_user_message() -> None:
    assert read(control.user_message("go on", "1111")) == {
        "type": "user",
        "message": {"role": "user", "content": "go on"},
        "parent_tool_use_id": None,
        "uuid": "1111",
    }
    assert read(control.user_message("stop", "1", priority="now"))["priority"] == "now"


def test_initialize_asks_before_every_tool_and_fails_closed() -> None:
    request = read(control.initialize("req_1", mcp_servers=["op"]))

    hook = {"matcher": None, "hookCallbackIds": ["pre_tool_use"], "timeout": 86400, "onFailure": "block"}
    assert {"subtype": "initialize", "hooks": {"PreToolUse": [hook]}, "sdkMcpServers": ["op"]} == request["request"]
    assert (request["type"], request["request_id"]) == ("control_request", "req_1")
    assert read(control.initialize("r", hooks=False))["request"]["hooks"] is None


def verdict(line: bytes) -> Any:
    response = read(line)["response"]
    assert response["subtype"] == "success"
    assert response["request_id"] == "r"
    return response["response"]["hookSpecificOutput"]


def test_hook_verdicts() -> None:
    event = {"hookEventName": "PreToolUse"}

    assert {**event, "permissionDecision": "allow"} == verdict(control.hook_allow("r"))
    assert {**event, "permissionDecision": "allow", "updatedInput": {"a": 1}} == verdict(
        control.hook_allow("r", updated_input={"a": 1})
    )
    assert {**event, "permissionDecision": "deny", "permissionDecisionReason": "no"} == verdict(
        control.hook_deny("r", "no")
    )
    assert {**event, "permissionDecision": "defer"} == verdict(control.hook_defer("r"))


def test_permission_answers() -> None:
    assert read(control.permission_allow("r", {"a": 1}))["response"]["response"] == {
        "behavior": "allow",
        "updatedInput": {"a": 1},
    }
    assert read(control.permission_deny("r", "no"))["response"]["response"] == {"behavior": "deny", "message": "no"}
    assert read(control.permission_deny("r", "no", interrupt=True))["response"]["response"]["interrupt"] is True


def recorded(name: str) -> list[tuple[str, Any]]:
    lines = (CAPTURES / f"{name}.wire.jsonl").read_text().splitlines()
    return [(entry["dir"], entry["msg"]) for entry in map(json.loads, lines)]


def test_a_question_is_answered_as_the_recorded_host_did() -> None:
    """
    The very bytes the real CLI took for an answer, made from the request it sent.
    """
    wire = recorded("ctl_ask")
    sent = [json.dumps(message).encode() + b"\n" for way, message in wire if way == "<-"]
    (request,) = [m for m in ClaudeStream().feed(b"".join(sent)) if isinstance(m, PermissionRequest)]
    (answer,) = [message for way, message in wire if way == "->" and message["type"] == "control_response"]

    assert answer == read(control.answer_questions(request.request_id, request.input, {"Which DB?": "SQLite"}))


def test_requests_as_the_recorded_host_sent_them() -> None:
    asked = {m["request"]["subtype"]: m for way, m in recorded("ctl_queries") if way == "->" and "request" in m}

    for subtype in ("get_usage", "end_session"):
        request_id = asked[subtype]["request_id"]
        assert asked[subtype] == read(getattr(control, subtype)(request_id))
    assert asked["set_model"] == read(control.set_model(asked["set_model"]["request_id"], "sonnet"))
    mode = asked["set_permission_mode"]
    assert mode == read(control.control(mode["request_id"], "set_permission_mode", mode="acceptEdits"))


def test_lone_surrogates_never_reach_the_agent() -> None:
    value = read(control.user_message("cut \ud83d here", "u"))

    assert value["message"]["content"] == "cut \ufffd here"
    line = control.permission_allow("r", {"\udc00k": ["\ud83d", {"x": "ok 🎉"}]})
    assert read(line)["response"]["response"]["updatedInput"] == {"\ufffdk": ["\ufffd", {"x": "ok 🎉"}]}


def test_questions_of_one_text_share_their_answers():
    asked = [AskedQuestion(text=text) for text in ("Which?", "Why?", "Which?")]
    assert answered(asked, ["A", "B", "C"]) == {"Which?": "A / C", "Why?": "B"}
    # A question that has no answer yet is not in it.
    assert answered(asked, ["A"]) == {"Which?": "A"}


def test_which_lines_let_a_tool_run():
    trick = 'say "permissionDecision":"allow" and "behavior":"allow"'
    assert control.grants(control.hook_allow("r"))
    assert control.grants(control.hook_allow("r", updated_input={"command": trick}))
    assert control.grants(control.permission_allow("r", {"command": "ls"}))
    assert control.grants(control.answer_questions("r", {"questions": []}, {"a": "b"}))
    for line in (
        control.hook_deny("r", trick),
        control.hook_ask("r", trick),
        control.hook_defer("r"),
        control.permission_deny("r", trick),
        control.control_error("r", trick),
        control.user_message(trick, "u"),
    ):
        assert not control.grants(line), line
