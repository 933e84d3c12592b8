"""
The questions inside a tool call: AskUserQuestion, and the operator tool of an MCP server.

Tolerant: the model wrote the input, so any part of it may be missing or of another type.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from orchestrd.protocol.fields import items, mapping, text

ASK_TOOL = "AskUserQuestion"
_OPERATOR = "__ask_operator"


class AskedQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """
    One question: *header* is its short title, *options* are pairs of label and description, *multi* allows several.
    """

    text: str
    header: str = ""
    multi: bool = False
    options: tuple[tuple[str, str], ...] = ()


def read_ask(tool_input: dict[str, Any]) -> tuple[AskedQuestion, ...]:
    """
    The questions of an AskUserQuestion *tool_input*, in order; a single ``question`` counts as a list of one.
    """
    asked = [mapping(entry) or {"question": entry} for entry in items(tool_input.get("questions"))]
    found = [_read(entry) for entry in asked or [tool_input]]
    return tuple(question for question in found if question.text)


def questions_in(tool_name: str, tool_input: dict[str, Any]) -> tuple[AskedQuestion, ...]:
    """
    What a call of *tool_name* asks the person; empty for every tool that asks nothing.
    """
    if tool_name == ASK_TOOL or (tool_name.startswith("mcp__") and tool_name.endswith(_OPERATOR)):
        return read_ask(tool_input)
    return ()


def answered(questions: Sequence[AskedQuestion], answers: Iterable[str]) -> dict[str, str]:
    """
    The *answers* in order as AskUserQuestion takes them: by the question's text, so that two questions of one text share theirs.
    """
    given: dict[str, str] = {}
    for question, answer in zip(questions, answers, strict=False):
        before = given.get(question.text)
        given[question.text] = answer if before is None else f"{before} / {answer}"
    return given


def _read(entry: dict[str, Any]) -> AskedQuestion:
    options = [mapping(option) or {"label": option} for option in items(entry.get("options"))]
    pairs = ((text(option, "label"), text(option, "description")) for option in options)
    return AskedQuestion(
        text=text(entry, "question"),
        header=text(entry, "header"),
        multi=entry.get("multiSelect") is True,
        options=tuple(pair for pair in pairs if pair[0]),
    )
