"""
F16: types of messages, parts and blocks that this program does not know, and a CLI that is newer than it.  They are kept in
the run's own file, counted and named in the log; everything beside them is read, and the run goes on.

`tests/unit/test_claude_lines.py` and `tests/unit/test_claude_captures.py` belong to this row too.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import emit, gate, result, say, stream
from hypothesis import given
from hypothesis import strategies as st
from kit.script import DAY, task

from orchestrd.protocol.claude import ClaudeStream
from orchestrd.protocol.messages import Unknown

CAPTURES = Path(__file__).parents[1] / "data" / "claude-streams"
LINES = (CAPTURES / "subagent.jsonl").read_bytes().splitlines()

MUTANTS = (
    Mutant(
        "whatever a service tells is a moment",
        file="protocol/notices.py",
        old='wall_time(about.get("resetsAt"))',
        new='number(about.get("resetsAt"))',
        test="test_a_window_that_resets_at_an_odd_moment",
    ),
    Mutant(
        "an unknown type is taken for damage",
        file="protocol/lines.py",
        old="        if kind in TYPED:\n            raise UnreadableError(str(error)) from None\n        return RareLine()\n",
        new="        raise UnreadableError(kind) from None\n",
        test="test_any_type_may_be_new",
    ),
    Mutant(
        "unknown blocks are not counted",
        file="protocol/turns.py",
        old='    return Unknown(type="assistant", subtype=kind)\n',
        new="    return Thinking(message_id=message_id, subagent=subagent)\n",
        test="test_a_newer_cli_is_listened_to",
    ),
    Mutant(
        "nobody is told of what was not understood",
        file="services/runs.py",
        old="            if session.unfamiliar:\n",
        new="            if False:\n",
        test="test_a_newer_cli_is_listened_to",
    ),
    Mutant(
        "a newer CLI is not let in",
        file="runner/claude_cli.py",
        old="    if tuple(int(part) for part in match.groups()) < OLDEST:\n",
        new="    if tuple(int(part) for part in match.groups())[:2] != OLDEST[:2]:\n",
        test="test_a_newer_cli_is_listened_to",
    ),
)


@given(at=st.integers(0, len(LINES) - 1), name=st.text(min_size=1, max_size=20), deep=st.booleans())
def test_any_type_may_be_new(at, name, deep):
    """
    One line of a real stream gets another type: it is at most not understood, and all others say what they said.
    """
    value = json.loads(LINES[at])
    if deep and isinstance(value.get("event"), dict):
        value["event"]["type"] = name
    elif deep and "subtype" in value:
        value["subtype"] = name
    else:
        value["type"] = f"new {name}"
    whole = ClaudeStream().feed(b"".join(line + b"\n" for line in [*LINES[:at], *LINES[at + 1 :]]))
    reader = ClaudeStream()
    told = reader.feed(b"".join(line + b"\n" for line in [*LINES[:at], json.dumps(value).encode(), *LINES[at + 1 :]]))
    assert reader.malformed == 0
    assert reader.events == len(LINES)
    assert sum(isinstance(message, Unknown) for message in told) >= len(reader.unknown)
    if value["type"] == f"new {name}":
        assert reader.unknown == {value["type"] + (f"/{s}" if (s := value.get("subtype")) else ""): 1}
        assert [message for message in told if not isinstance(message, Unknown)] == [
            message for message in whole if not isinstance(message, Unknown)
        ]


@pytest.mark.slow
def test_a_newer_cli_is_listened_to(fault_world, tally):
    world = fault_world(env={"FAKE_VERSION": "9.12.1"})
    block = {"id": "msg_x", "model": "claude-opus-5-5", "content": [{"type": "hologram", "data": "?"}]}
    news = [
        emit(type="telepathy", thought="hm"),
        emit(type="system", subtype="mood", mood="good"),
        emit(type="stream_event", event={"type": "aura_delta", "aura": 1}, parent_tool_use_id=None),
        emit(type="assistant", message=block, parent_tool_use_id=None),
        emit(type="user", message={"role": "user", "content": [{"type": "gesture"}]}),
        emit(type="result_v2", total=1),
    ]
    steps = [step for entry in news for step in (entry, stream(1))]
    world.script("new", [*steps, gate("half"), *steps, say("Done.")])
    world.submit_tasks(task("new"), day=DAY)
    held = world.gate.arrive("half")
    world.restart()
    held.release()
    assert world.wait() == {"new": "succeeded"}
    assert [e["event"]["cli_version"] for e in world.events("run.initialised")] == ["9.12.1"]
    assert not world.events("run.stream_damaged")
    (entry,) = [
        e for line in world.log.read_bytes().splitlines() if (e := json.loads(line))["event"] == "run.unfamiliar"
    ]
    names = {"telepathy", "system/mood", "stream_event/aura_delta", "assistant/hologram", "user/gesture", "result_v2"}
    assert entry["types"] == dict.fromkeys(names, 2)
    kept = (world.run_dir("new/1") / "stdout.jsonl").read_bytes()
    assert kept.count(b'"telepathy"') == 2
    shown = world.orchctl("inspect", str(world.run_dir("new/1") / "stdout.jsonl"), "--json")
    assert shown.code == 0, shown
    assert shown.json["unknown_types"] == dict.fromkeys(names, 2)
    found = check(world)
    tally(row="F16", kills=1, note="a CLI from the future", **found.counts)


@pytest.mark.slow
@pytest.mark.parametrize("status", ["allowed", "rejected"])
def test_a_window_that_resets_at_an_odd_moment(fault_world, tally, status):
    """
    In milliseconds, or thousands of years ahead: neither the daemon nor who asks it fails for it, nor does the next daemon.
    """
    world = fault_world()
    now = time.time()
    for name, resets in (("a", (now + 3600) * 1000), ("b", 2**53)):
        window = {"status": status, "resetsAt": resets, "rateLimitType": f"window_{name}"}
        ends = (
            say() if status == "allowed" else result(is_error=True, terminal_reason="api_error", api_error_status=429)
        )
        world.script(name, [stream(1), emit(type="rate_limit_event", rate_limit_info=window), ends])
    world.submit_tasks(task("a"), task("b"), day=DAY)
    for name in ("a", "b"):
        assert world.wait_event("run.exited", run=f"{DAY}/{name}/1")["event"]["cause"] == (
            "done" if status == "allowed" else "window"
        )
    for _ in range(2):
        shown = world.rpc("task.status", day=DAY)["windows"]
        resets = {window["kind"]: window["resets_at"] for window in shown}
        assert abs(datetime.fromisoformat(resets["window_a"]).timestamp() - now - 3600) < 1
        assert resets["window_b"] is None
        world.stop()
        world.start()
    if status == "rejected":
        [blocked, *_] = world.events("account.blocked")
        assert now + 800 < blocked["event"]["until"] < now + 2 * 3600
    tally("F16", note=f"windows that reset at odd moments, {status}", **check(world).counts)
