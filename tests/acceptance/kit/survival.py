"""
What a daemon's death must not change: held against what was recorded before it, and against the agents' own output.
"""

from __future__ import annotations

import json
from typing import Any

from kit.ground import Ground


def check_journal(world: Ground, before: list[dict[str, Any]]) -> None:
    """
    What was recorded before a crash stands unchanged, numbers have no gap, and no fact about a call came twice.
    """
    after = world.events()
    assert after[: len(before)] == before
    assert [e["seq"] for e in after] == list(range(1, len(after) + 1))
    for kind, key in (
        ("run.tool_called", "call"),
        ("run.tool_returned", "call"),
        ("question.asked", "question"),
        ("question.answered", "question"),
        ("question.delivered", "question"),
        ("run.exited", "run"),
        ("run.started", "run"),
    ):
        names = [(e["event"].get("run"), e["event"][key]) for e in after if e["type"] == kind]
        assert len(names) == len(set(names)), f"{kind} came twice: {names}"


def tool_calls_in_stream(world: Ground, run: str) -> set[str]:
    """
    The ids of the tool calls in the agent's own output.
    """
    found = set()
    for line in (world.run_dir(run) / "stdout.jsonl").read_bytes().splitlines():
        message = json.loads(line)
        if message["type"] == "assistant":
            found |= {part["id"] for part in message["message"]["content"] if part["type"] == "tool_use"}
    return found
