"""
Scenarios and tasks in few words: what the rehearsal model does, and what a task file says.
"""

from __future__ import annotations

import re
import sys
from typing import Any

DAY = "2026-11-22"
Step = dict[str, Any]

PRICES = {
    "claude-opus-5-5": {
        "input": 4000,
        "output": 20000,
        "cache_read": 200,
        "cache_write_5m": 5000,
        "cache_write_1h": 8000,
    },
    "claude-sonnet-5-5": {
        "input": 2000,
        "output": 10000,
        "cache_read": 100,
        "cache_write_5m": 2500,
        "cache_write_1h": 4000,
    },
    "claude-opus-4-8": {
        "input": 5000,
        "output": 25000,
        "cache_read": 500,
        "cache_write_5m": 6250,
        "cache_write_1h": 10000,
    },
    "claude-sonnet-5": {
        "input": 2000,
        "output": 10000,
        "cache_read": 200,
        "cache_write_5m": 2500,
        "cache_write_1h": 4000,
    },
    # Only the CLI has heard of it.
    "claude-3-5-haiku-20241022": {
        "input": 800,
        "output": 4000,
        "cache_read": 80,
        "cache_write_5m": 1000,
        "cache_write_1h": 1600,
    },
    # Nobody has heard of it: it is counted as the dearest.
    "claude-zeta-9": {
        "input": 10000,
        "output": 50000,
        "cache_read": 1000,
        "cache_write_5m": 12500,
        "cache_write_1h": 20000,
    },
}
"""Nano-USD a token, written down apart from the program's own table."""


def scenario(task: str, *steps: Step, day: str = DAY, **more: Any) -> dict[str, Any]:
    """
    The model's part in the conversations on *task*.
    """
    return {
        "name": task,
        "pattern": rf"{re.escape(f'{day}/{task}')}(:| again)",
        "vars": {"tree": "Working tree: (.+)", "workspace": "Instructions: (.+)/agent_instructions.md"},
        "steps": list(steps),
        **more,
    }


def conversation(match: str, *steps: Step) -> dict[str, Any]:
    """
    A subagent's conversation: its prompt holds *match*.
    """
    return {"name": match, "match": match, "steps": list(steps)}


def say(text: str, **more: Any) -> Step:
    return {"text": text, **more}


def use(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "input": arguments}


def call(*tools: dict[str, Any], **more: Any) -> Step:
    return {"tools": list(tools), **more}


def bash(command: str, **more: Any) -> Step:
    return call(use("Bash", command=command, description="run it"), **more)


def write(path: str, content: str, **more: Any) -> Step:
    """
    Write a file; *path* is relative to the tree.
    """
    return call(use("Write", file_path=f"{{tree}}/{path}", content=content), **more)


def gate(name: str, **more: Any) -> Step:
    """
    A command that stays at the gate under *name*.
    """
    return bash(gate_command(name), **more)


def gate_command(name: str) -> str:
    return f"{sys.executable} gate.py {name}"


def agent(prompt: str, **more: Any) -> Step:
    """
    Start a subagent.
    """
    return call(use("Agent", description="a part", prompt=prompt, subagent_type="general-purpose"), **more)


def ask(*questions: dict[str, Any], **more: Any) -> Step:
    return call({"name": "AskUserQuestion", "input": {"questions": list(questions)}}, **more)


def question(text: str, *labels: str, multi: bool = False) -> dict[str, Any]:
    options = [{"label": label, "description": f"take {label}"} for label in labels]
    return {"question": text, "header": "Choice", "multiSelect": multi, "options": options}


def task(name: str, **more: Any) -> dict[str, Any]:
    """
    One entry of a task file.
    """
    return {"id": name, "name": f"Name of {name}", "description": f"Do {name}.", **more}
