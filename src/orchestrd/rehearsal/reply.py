"""
A step made into the answer of one conversation: variables filled in, ids given.  Pure.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from orchestrd.domain.model import Usage
from orchestrd.rehearsal.conversation import Conversation, marker, tool_id
from orchestrd.rehearsal.scenario import Scenario, Step
from orchestrd.rehearsal.template import fill_all

SIDE_USAGE = Usage(input=50, output=10)
"""What an answer costs that no step describes."""
MOMENT = 0.3
"""Seconds that an answer takes which no step tells of: no model answers in none."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """
    One answer, ready to be put on the wire.  *blocks* are content blocks of the Messages API.
    """

    id: str
    model: str
    blocks: tuple[dict[str, Any], ...]
    stop_reason: str
    usage: Usage
    headers: dict[str, str] = {}
    delay: float = 0.0
    pace: float = 0.0

    @property
    def request_id(self) -> str:
        """
        What the API sends as ``request-id``.
        """
        return self.id.replace("msg_", "req_", 1)


def values_for(scenario: Scenario, conversation: Conversation, n: int) -> dict[str, str | None]:
    """
    What each variable stands for; None where the conversation does not tell.
    """
    values: dict[str, str | None] = {
        "cwd": conversation.cwd or None,
        "session": conversation.session or None,
        "model": conversation.model,
        "n": str(n),
    }
    for name, pattern in scenario.vars.items():
        found = re.search(pattern, conversation.first)
        values[name] = None if found is None else found[1 if found.re.groups else 0]
    return values


def step_reply(scenario: Scenario, position: int, conversation: Conversation, *, nth: int, now: int) -> Reply:
    """
    The answer that the scenario's step at *position* gives.

    *nth* counts how often this conversation was answered at this step, from 0: an answer given again has ids of its own,
    as it is billed again.  Raises `RequestError` for a variable without a value.
    """
    digest = _digest(conversation, position, nth)
    if position >= len(scenario.steps):
        return _short(conversation, digest, "Done.", scenario.steps[-1].usage)
    step = scenario.steps[position]
    values = values_for(scenario, conversation, step.n)
    blocks: list[dict[str, Any]] = []
    if step.thinking is not None:
        thinking = fill_all(step.thinking, values, now)
        blocks.append({"type": "thinking", "thinking": thinking, "signature": digest})
    if step.text is not None:
        blocks.append({"type": "text", "text": fill_all(step.text, values, now)})
    for index, tool in enumerate(step.tools):
        call = {"name": tool.name, "input": fill_all(tool.input, values, now)}
        blocks.append({"type": "tool_use", "id": tool_id(digest, position, index), **call})
    return Reply(
        id=f"msg_{digest[:24]}" if step.message_id is None else step.message_id,
        model=conversation.model,
        blocks=tuple(blocks),
        stop_reason=stop_reason(step),
        usage=step.usage,
        headers=fill_all(step.headers, values, now),
        delay=step.delay,
        pace=step.pace,
    )


def side_reply(conversation: Conversation, *, nth: int) -> Reply:
    """
    The answer to a conversation that no scenario fits.
    """
    return _short(conversation, _digest(conversation, -1, nth), "OK.", SIDE_USAGE)


def summary_reply(conversation: Conversation, position: int, *, nth: int) -> Reply:
    """
    The answer to a request for a summary: the conversation's first words, and where it stands.
    """
    text = f"<summary>\n{conversation.first}\n{marker(conversation.key, position)}\n</summary>"
    return _short(conversation, _digest(conversation, -2, nth), text, SIDE_USAGE)


def stop_reason(step: Step) -> str:
    """
    Why the answer ends.
    """
    return step.stop_reason or ("tool_use" if step.tools else "end_turn")


def _short(conversation: Conversation, digest: str, text: str, usage: Usage) -> Reply:
    return Reply(
        id=f"msg_{digest[:24]}",
        model=conversation.model,
        blocks=({"type": "text", "text": text},),
        stop_reason="end_turn",
        usage=usage,
        delay=MOMENT,
    )


def _digest(conversation: Conversation, position: int, nth: int) -> str:
    text = f"{conversation.session}/{conversation.key}/{len(conversation.past)}/{position}/{nth}"
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
