"""
The schema editors use, against the parser.
"""

from datetime import UTC
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from orchestrd.domain.taskfile.schema import task_file_schema
from orchestrd.domain.tasks import FILE_FIELDS, TASK_FIELDS, TaskFileProblems, parse_task_file

FILES = Path(__file__).parent.parent / "data" / "taskfiles"
SCHEMA = task_file_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


class EditorLoader(yaml.SafeLoader):
    """
    As an editor reads YAML: dates are text.
    """


EditorLoader.yaml_implicit_resolvers = {
    first: [(tag, shape) for tag, shape in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def editor(text: str) -> Any:
    return yaml.load(text, Loader=EditorLoader)


BAD = {
    "nothing": "{}",
    "no date": "tasks: [{id: t, name: N, description: D}]",
    "no tasks": "date: 2026-11-22",
    "empty tasks": "date: 2026-11-22\ntasks: []",
    "date": "date: 22.11.2026\ntasks: [{id: t, name: N, description: D}]",
    "moment": "date: 2026-11-22 10:00\ntasks: [{id: t, name: N, description: D}]",
    "top field": "date: 2026-11-22\nmax_cost: 5\ntasks: [{id: t, name: N, description: D}]",
    "no name": "date: 2026-11-22\ntasks: [{id: t, description: D}]",
} | {
    more: "date: 2026-11-22\ntasks:\n  - id: t\n    name: N\n    description: D\n    " + more
    for more in (
        "estimated_complexty: low",
        "estimated_complexity: hard",
        "estimated_complexity: lowish",
        "context_files: [/etc/passwd]",
        "context_files: [../x]",
        "context_files: {a: b}",
        "deliverables: ['']",
        "deliverables: [{a: b, c: d}]",
        "priority: medium",
        "max_cost_usd: 0",
        "max_cost_usd: $5",
        "max_cost_usd: true",
        "max_cost_usd: 1000000",
        "timeout: soon",
        "timeout: -1",
        "timeout: 700000",
        "model: --help",
        "agent: codex",
        "isolation: container",
        "retries: 11",
        "retries: 1.5",
        "start_at: noon",
        "checks: [{name: x}]",
        "checks: [{run: x, retries: 1}]",
        "date: 2026-11-22",
    )
} | {
    name: f"date: 2026-11-22\ntasks: [{{id: {name}, name: N, description: D}}]"
    for name in ("a/b", "../x", "a..b", "x-answer", "-x", "x" * 65, "[a]", "''")
}  # fmt: skip


def test_is_a_schema() -> None:
    """
    The schema itself is one, and knows the parser's fields.
    """
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    assert tuple(SCHEMA["properties"]) == FILE_FIELDS
    assert tuple(SCHEMA["properties"]["tasks"]["items"]["properties"]) == TASK_FIELDS


@pytest.mark.parametrize("name", ["minimal", "full", "everything"])
def test_good(name: str) -> None:
    """
    Good files are good for both.
    """
    data = (FILES / f"{name}.yaml").read_bytes()

    parse_task_file(data, source=name, zone=UTC)

    assert [error.message for error in VALIDATOR.iter_errors(editor(data.decode()))] == []


@pytest.mark.parametrize("name", BAD)
def test_bad(name: str) -> None:
    """
    Common mistakes are mistakes for both.
    """
    with pytest.raises(TaskFileProblems):
        parse_task_file(BAD[name].encode(), source=name, zone=UTC)

    assert not VALIDATOR.is_valid(editor(BAD[name]))


def test_examples_and_defaults() -> None:
    """
    Every example and default in the schema is valid where it stands.
    """

    def walk(schema: Any) -> None:
        if isinstance(schema, list):
            for item in schema:
                walk(item)
        elif isinstance(schema, dict):
            for value in [*schema.get("examples", ()), *([schema["default"]] if "default" in schema else ())]:
                jsonschema.validate(value, schema)
            for value in schema.values():
                walk(value)

    walk(SCHEMA)
