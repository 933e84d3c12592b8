"""
The task file as a JSON Schema, so that an editor completes and checks it while it is written.

It says what `tasks.parse_task_file` says wherever a schema can: it refuses no file the parser accepts, and of what the
parser refuses it cannot know ids that collide, days that do not exist, circles, and paths that lead outside.
"""

from __future__ import annotations

from typing import Any

from orchestrd.domain import tasks
from orchestrd.domain.model import Complexity, Isolation, Priority
from orchestrd.domain.taskfile import fields, measures

_TEXT = ["string", "number", "boolean"]
"""An unquoted ``001`` or ``yes`` is its own text to the parser, and a number or a boolean to an editor."""
_NUMBER = r"^\s*\+?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,2})?\s*$"
_DURATION = (
    r"^(?=\s*[0-9.])\s*(?:[0-9.]+\s*[dD])?\s*(?:[0-9.]+\s*[hH])?\s*(?:[0-9.]+\s*[mM])?\s*(?:[0-9.]+\s*[sS]?)?\s*$"
)
_MOMENT = r"^\s*(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]\s*)?[0-9]{1,2}:[0-9]{2}"
_NOT_BLANK = r"\S"


def task_file_schema() -> dict[str, Any]:
    """
    A JSON Schema, draft 2020-12.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Task file",
        "description": "One day's tasks.",
        "type": "object",
        "additionalProperties": False,
        "required": ["date", "tasks"],
        "properties": {
            "date": {
                "title": "Day",
                "description": "The day these tasks are for.",
                "type": "string",
                "pattern": r"^\s*2[0-9]{3}-[0-9]{2}-[0-9]{2}\s*$",
                "examples": ["2026-11-22"],
            },
            "max_cost_usd": _money("What all tasks of the day may cost together, in USD."),
            "priority": _choice(Priority, "The priority of tasks that state none.", "normal"),
            "tasks": {
                "title": "Tasks",
                "description": "In the order they are wanted.",
                "type": "array",
                "minItems": 1,
                "maxItems": tasks.MAX_TASKS,
                "items": _task(),
            },
        },
    }


def _task() -> dict[str, Any]:
    return {
        "title": "Task",
        "type": "object",
        "additionalProperties": False,
        "required": ["id", "name", "description"],
        "properties": {
            "id": {
                "title": "Id",
                "description": "Names the task's files and folders; unique in the file.",
                "type": _TEXT,
                "pattern": r"^\s*(?!.*\.\.)(?!.*-[aA][nN][sS][wW][eE][rR]\s*$)[A-Za-z0-9][A-Za-z0-9._-]{0,63}\s*$",
                "examples": ["task-001"],
            },
            "name": _text("Name", "One line, for people.", ["Create documentation"], required=True),
            "description": _text(
                "Description",
                "What to do: the agent reads this.",
                ["Detailed description of what needs to be done"],
                limit=fields.MAX_DESCRIPTION,
                required=True,
            ),
            "module": _text("Module", "The part of the project it is about.", ["baptisms"]),
            "estimated_complexity": {
                "title": "Complexity",
                "description": "Gives the default time limit. Of several words the first counts: medium (2.5 hours).",
                "anyOf": [
                    {"enum": [str(one) for one in Complexity]},
                    {"type": "string", "pattern": rf"^\W*(?:{'|'.join(map(_any_case, Complexity))})(?![A-Za-z])"},
                    _EMPTY,
                ],
                "default": "medium",
                "examples": ["low", "medium (2.5 hours)"],
            },
            "context_files": _list(
                "Context files",
                "Files, folders (docs/) and globs the agent should read, relative to the project.",
                {"type": _TEXT, "pattern": r"^(?!\s*(?:/|~|[A-Za-z]:/|[A-Za-z][A-Za-z0-9+.-]*://|\.\./))[^\\]*\S"},
                tasks.MAX_PATHS,
                ["CLAUDE.md", "docs/TESTING_GUIDE.md", "src/app/(main)/baptisms/"],
            ),
            "deliverables": _list(
                "Deliverables",
                "What there should be at the end: paths, or sentences with a path in them. The rest is unverified prose.",
                # An unquoted `Updated docs/X.md: add section` is a mapping to YAML.
                {
                    "anyOf": [
                        {"type": _TEXT, "pattern": _NOT_BLANK},
                        {"type": "object", "maxProperties": 1, "minProperties": 1},
                    ]
                },
                tasks.MAX_DELIVERABLES,
                ["docs/NEW_DOC.md", "Updated docs/MODULE_REGISTRY.md (add reference if needed)"],
            ),
            "priority": _choice(Priority, "Urgent first; the file's priority when left out."),
            "depends_on": _list(
                "Depends on",
                "Ids of tasks that must succeed first.",
                {"type": _TEXT, "pattern": _NOT_BLANK},
                tasks.MAX_TASKS,
                ["task-001"],
            ),
            "max_cost_usd": _money("What all attempts of the task may cost together, in USD."),
            "timeout": _duration("How long one run may work: seconds, or 90m, 2.5h, 1h30m."),
            "model": _nullable(
                "Model", "The model the agent uses.", f"^\\s*{fields.MODEL.pattern}\\s*$", ["opus", "claude-sonnet-4-5"]
            ),
            "agent": {
                "title": "Agent",
                "description": "The program that does the work.",
                "anyOf": [{"enum": [*fields.AGENTS]}, {"type": "string", "pattern": r"^\s*claude\s*$"}, _EMPTY],
                "default": "claude",
            },
            "checks": _list(
                "Checks",
                "Commands run in the agent's tree afterwards; exit status 0 passes.",
                _check(),
                tasks.MAX_CHECKS,
                ["npm test"],
            ),
            "isolation": _choice(
                Isolation, "Where the agent works: a git worktree of its own, or your tree.", "worktree"
            ),
            "retries": {
                "title": "Retries",
                "description": "Further runs after one that failed.",
                "anyOf": [
                    {"type": "integer", "minimum": 0, "maximum": measures.MAX_RETRIES},
                    {"type": "string", "pattern": r"^\s*0*(?:[0-9]|10)\s*$"},
                    _EMPTY,
                ],
            },
            "start_at": _nullable(
                "Start at", "Not before HH:MM that day, or an ISO date and time.", _MOMENT, ["14:30"]
            ),
        },
    }


_EMPTY: dict[str, Any] = {"anyOf": [{"type": "null"}, {"type": "string", "pattern": r"^\s*$"}]}
"""A field left empty is a field left out."""


def _check() -> dict[str, Any]:
    run = _text("Command", "A shell command.", ["npm test"], limit=fields.MAX_COMMAND, required=True)
    details = {
        "type": "object",
        "additionalProperties": False,
        "required": ["run"],
        "properties": {
            "name": _text("Name", "The command when left out.", ["unit tests"]),
            "run": run,
            "timeout": _duration("How long it may take.", default=600),
        },
    }
    return {"anyOf": [{"type": _TEXT, "pattern": _NOT_BLANK}, details]}


def _text(
    title: str, description: str, examples: list[str], *, limit: int | None = None, required: bool = False
) -> dict[str, Any]:
    schema: dict[str, Any] = {"title": title, "description": description, "examples": examples}
    schema |= {"type": _TEXT, "pattern": _NOT_BLANK} if required else {"type": [*_TEXT, "null"]}
    return schema if limit is None else schema | {"maxLength": limit}


def _nullable(title: str, description: str, pattern: str, examples: list[str]) -> dict[str, Any]:
    given = {"type": _TEXT, "pattern": pattern}
    return {"title": title, "description": description, "examples": examples, "anyOf": [given, _EMPTY]}


def _list(title: str, description: str, entry: dict[str, Any], limit: int, examples: list[str]) -> dict[str, Any]:
    return {
        "title": title,
        "description": description,
        "anyOf": [{"type": "array", "items": entry, "maxItems": limit}, entry, _EMPTY],
        "examples": [examples],
    }


def _choice(kind: type[Priority | Isolation], description: str, default: str | None = None) -> dict[str, Any]:
    words = [str(one) for one in kind]
    schema = {
        "title": kind.__name__,
        "description": description,
        "anyOf": [
            {"enum": words},
            {"type": "string", "pattern": rf"^\s*(?:{'|'.join(map(_any_case, words))})\s*$"},
            _EMPTY,
        ],
    }
    return schema if default is None else schema | {"default": default}


def _any_case(word: str) -> str:
    """
    A pattern of *word* in any case; the patterns of JSON Schema have no flag for it.
    """
    return "".join(f"[{letter}{letter.upper()}]" if letter.isalpha() else letter for letter in word)


def _money(description: str) -> dict[str, Any]:
    return {
        "title": "Cost limit",
        "description": description,
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": measures.MAX_COST_USD},
            {"type": "string", "pattern": _NUMBER},
            _EMPTY,
        ],
        "examples": [50.0],
    }


def _duration(description: str, default: float | None = None) -> dict[str, Any]:
    schema = {
        "title": "Time limit",
        "description": description,
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": measures.MAX_TIMEOUT},
            {"type": "string", "pattern": _DURATION},
            {"type": "string", "pattern": _NUMBER},
            _EMPTY,
        ],
        "examples": ["90m"],
    }
    return schema if default is None else schema | {"default": default}
