"""
The scenario file: what it says, and how its errors read.
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from orchestrd.domain.model import Usage
from orchestrd.errors import ConfigError, RequestError
from orchestrd.rehearsal.scenario_file import load_scenarios
from orchestrd.rehearsal.template import fill, fill_all


def test_usage_defaults_run_down_the_file() -> None:
    (scenario,) = load_scenarios(
        dedent("""\
            usage: {input: 10, cache_read: 5}
            scenarios:
              - match: x
                usage: {output: 7, cache_write: 3}
                steps:
                  - text: a
                  - {text: b, usage: {input: 1, cache_write_1h: 9}}
            """).encode(),
        "s.yaml",
    )

    assert Usage(input=10, output=7, cache_read=5, cache_write_5m=3) == scenario.steps[0].usage
    assert Usage(input=1, output=7, cache_read=5, cache_write_5m=3, cache_write_1h=9) == scenario.steps[1].usage


def test_an_error_alone_comes_before_the_next_answer() -> None:
    (scenario,) = load_scenarios(
        b"scenarios: [{match: x, steps: [{error: {status: 429, retry_after: 1.5}, delay: 2}, {text: a}, {error: 401}]}]",
        "s",
    )
    limited, refused = (step.faults[0] for step in scenario.steps)

    assert [step.text for step in scenario.steps] == ["a", "Done."]
    assert (
        limited.status,
        limited.type,
        limited.headers,
        limited.delay,
    ) == (429, "rate_limit_error", {"retry-after": "1.5"}, 2.0)
    assert (refused.status, refused.type) == (401, "authentication_error")


def test_a_prompt_too_long_is_a_400_in_the_apis_words() -> None:
    (scenario,) = load_scenarios(b"scenarios: [{match: x, steps: [{error: prompt_too_long}]}]", "s")
    (fault,) = scenario.steps[0].faults

    assert fault.status == 400
    assert fault.message.startswith("prompt is too long: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "scenarios:\n- match: x\n  stepz: []\n",
            "s.yaml:3: scenarios[0].stepz: unknown key 'stepz'; did you mean 'steps'?",
        ),
        (
            "scenarios:\n- match: x\n  steps:\n  - text: a\n  - text: b\n    tool: []\n",
            "s.yaml:6: scenarios[0].steps[1].tool: unknown key 'tool'; did you mean 'tools'?",
        ),
        (
            "scenarios:\n- match: x\n  steps:\n  - text: 5\n",
            "s.yaml:4: scenarios[0].steps[0].text: expected `str | null`, got `int`",
        ),
        ("scenarios:\n- steps: [{text: a}]\n", "s.yaml:2: scenarios[0]: give exactly one of 'match'"),
        ("scenarios:\n- {match: x, pattern: x, steps: [{text: a}]}\n", "s.yaml:2: scenarios[0]: give exactly one"),
        ("scenarios:\n- pattern: '('\n  steps: [{text: a}]\n", "s.yaml:2: scenarios[0].pattern: not a regex"),
        (
            "scenarios:\n- match: x\n  vars:\n    cwd: .+\n  steps: [{text: a}]\n",
            "s.yaml:4: scenarios[0].vars.cwd: not a variable",
        ),
        ("scenarios:\n- match: x\n  steps: []\n", "s.yaml:3: scenarios[0].steps: at least one step"),
        ("scenarios:\n- match: x\n  steps: [{delay: 1}]\n", "s.yaml:3: scenarios[0].steps[0]: a step needs text"),
        (
            "scenarios:\n- match: x\n  steps: [{hang: true}]\n",
            "s.yaml:3: scenarios[0].steps[0]: hang, cut and sse_error break",
        ),
        ("scenarios:\n- match: x\n  steps: [{hang: true, cut: true, text: a}]\n", "give one of error, hang"),
        ("scenarios:\n- match: x\n  steps: [{text: a, times: 2}]\n", "scenarios[0].steps[0].times: belongs to"),
        ("scenarios:\n- match: x\n  steps: [{error: {times: 0}}]\n", "steps[0].error.times: expected a number from 1"),
        ("scenarios:\n- match: x\n  steps: [{error: 200}]\n", "steps[0].error.status: expected an HTTP status"),
        ("scenarios:\n- match: x\n  steps: [{text: a, usage: {input: -1}}]\n", "steps[0].usage.input: expected tokens"),
        ("scenarios:\n- match: x\n  steps: [{text: a, repeat: 0}]\n", "steps[0].repeat: expected a number from 1"),
        ("scenarios:\n- match: x\n  steps: [{text: a, pace: -1}]\n", "steps[0].pace: expected seconds"),
        ("scenarios:\n- match: x\n  steps: [{text: a, when: {}}]\n", "steps[0].when: expected at least one"),
        ('scenarios:\n- match: x\n  steps: [{text: a, headers: {x: "a\\nb"}}]\n', "headers.x: not an HTTP header"),
        ("scenarios: [", "s.yaml: not a scenario file"),
        ("", "s.yaml:1: file: expected `object`, got `null`"),
        ('scenarios:\n- match: "\\uD800"\n', "s.yaml: not "),
    ],
)
def test_errors_name_file_line_and_key(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_scenarios(text.encode(), "s.yaml")

    assert message in str(caught.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_scenarios(b"\xff\xfe", "s.yaml")


def test_only_known_variables_are_replaced_and_only_once() -> None:
    values = {"tree": "/w/{cwd}", "cwd": "/c"}

    assert fill("{tree}/x {other} {} {{cwd}} {tree+1}", values, 0) == "/w/{cwd}/x {other} {} {/c} {tree+1}"
    assert fill("at {now}, {now+60}, {now-60}", values, 100) == "at 100, 160, 40"
    assert fill_all({"{cwd}": ["{cwd}", 1, None, {"a": "{cwd}"}]}, values, 0) == {"/c": ["/c", 1, None, {"a": "/c"}]}


def test_a_variable_without_a_value_is_named() -> None:
    with pytest.raises(RequestError, match="tree"):
        fill("{tree}", {"tree": None}, 0)


def test_the_examples_of_the_manual_are_valid() -> None:
    manual = (Path(__file__).parents[2] / "docs/REHEARSAL.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(.+?)```", manual, re.DOTALL)

    assert [len(load_scenarios(example.encode(), "REHEARSAL.md")) for example in examples] == [2, 2]
