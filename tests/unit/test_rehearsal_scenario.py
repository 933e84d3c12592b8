"""
Which scenario fits, which step is next, which fault is due; and how a request is read.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from orchestrd.errors import RequestError
from orchestrd.rehearsal.conversation import Conversation, marker, read_request, tool_id
from orchestrd.rehearsal.reply import step_reply, summary_reply
from orchestrd.rehearsal.scenario import Scenario, choose, due_fault, next_position
from orchestrd.rehearsal.scenario_file import load_scenarios

Json = dict[str, Any]


def load(steps: str, **more: str) -> Scenario:
    extra = "".join(f"    {key}: {value}\n" for key, value in more.items())
    (scenario,) = load_scenarios(f"scenarios:\n  - match: task\n{extra}    steps: {steps}\n".encode(), "s.yaml")
    return scenario


def ask(*messages: Json, **more: Any) -> Conversation:
    return read_request(msgspec.json.encode({"model": "claude-opus-5-5", "messages": list(messages), **more}))


def user(*texts: str) -> Json:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


def said(text: str) -> Json:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def result(content: object) -> Json:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": content}]}


def called(position: int) -> Json:
    block = {"type": "tool_use", "id": tool_id("ab" * 20, position, 0), "name": "Bash", "input": {}}
    return {"role": "assistant", "content": [{"type": "text", "text": "x"}, block]}


def test_reminders_are_not_the_first_words() -> None:
    conversation = ask(
        user("<system-reminder>\ntask? no\n</system-reminder>\n", "do the task"),
        {"role": "system", "content": "# Environment\n - Primary working directory: /w/tree\n - Git: yes"},
        metadata={"user_id": '{"session_id":"s-1"}'},
    )

    assert conversation.first == "do the task"
    assert conversation.cwd == "/w/tree"
    assert conversation.session == "s-1"


def test_the_directory_may_stand_in_the_system_prompt() -> None:
    conversation = ask(user("hi"), system=[{"type": "text", "text": "Primary working directory: /elsewhere"}])

    assert conversation.cwd == "/elsewhere"


def test_the_first_scenario_that_fits_is_taken() -> None:
    scenarios = load_scenarios(
        b"scenarios:\n- {match: apple pie, steps: [{text: a}]}\n"
        b"- {pattern: 'app.e\\b', steps: [{text: b}]}\n- {match: '', name: rest, steps: [{text: c}]}\n",
        "s.yaml",
    )
    names = [choose(scenarios, text).name for text in ("an apple pie", "apple", "apples")]  # type: ignore[union-attr]

    assert names == ["apple pie", "app.e\\b", "rest"]
    assert choose(scenarios[:1], "apples") is None


def test_answers_are_counted_whatever_the_user_says_between() -> None:
    scenario = load("[{text: a}, {text: b}, {text: c}]")

    assert next_position(scenario, ask(user("task"))) == 0
    assert next_position(scenario, ask(user("task"), said("a"), user("and?"))) == 1
    assert next_position(scenario, ask(user("task"), said("a"), user("and?"), said("b"), user("<b>"), user("?"))) == 2
    assert next_position(scenario, ask(user("task"), said("a"), user("1"), said("b"), user("2"), said("c"))) == 3


def test_an_answer_the_cli_made_up_does_not_count() -> None:
    scenario = load("[{text: a}, {text: b}]")
    conversation = ask(user("task"), said("a"), said("No response requested."), user("go on"))

    assert next_position(scenario, conversation) == 1


def test_a_tool_id_of_ours_is_certain() -> None:
    scenario = load("[{text: a}, {text: b}, {text: c}, {text: d}, {text: e}]")
    conversation = ask(user("task"), called(2), result("done"), said("d"), user("more"))

    assert next_position(scenario, conversation) == 4


def test_steps_that_do_not_fit_are_passed_over() -> None:
    scenario = load(
        "[{text: ask}, {when: {result: SQLite}, text: lite}, {when: {result: SQLite}, text: lite2},"
        " {unless: {seen: SQLite}, text: other}, {text: end}]"
    )
    lite = [user("task"), called(0), result("SQLite")]
    other = [user("task"), called(0), result([{"type": "text", "text": "Postgres"}])]

    assert next_position(scenario, ask(*lite)) == 1
    assert next_position(scenario, ask(*lite, said("lite"), user("so SQLite it is?"))) == 4
    assert next_position(scenario, ask(*other)) == 3
    assert next_position(scenario, ask(*other, said("other"), user("fine"))) == 4


def test_the_users_words_can_choose() -> None:
    scenario = load("[{text: a}, {when: {user: faster}, text: hurry}, {text: b}]")

    assert next_position(scenario, ask(user("task"), said("a"), user("do it faster"))) == 1
    assert next_position(scenario, ask(user("task, faster"), said("a"), user("go on"))) == 2


def test_a_compaction_keeps_the_place_and_the_name() -> None:
    scenario = load("[{text: a}, {text: b}, {text: c}, {text: d}]")
    before = ask(
        user("the task"), said("a"), user("x"), said("b"), user("Your task is to create a detailed summary of it")
    )
    assert before.compaction
    position = next_position(scenario, before)
    summary = summary_reply(before, position, nth=0).blocks[0]["text"]
    after = ask(user(f"This session is being continued.\n{summary}"))

    assert position == 2
    assert scenario.fits(after.first)
    assert before.key == after.key
    assert next_position(scenario, after) == 2


def test_the_newest_mark_of_two_compactions_counts() -> None:
    scenario = load("[{text: a}, {text: b}, {text: c}, {text: d}]")
    text = f"the task {marker('0' * 12, 1)} {marker('0' * 12, 3)}"

    assert next_position(scenario, ask(user(text))) == 3


def test_faults_come_in_their_order_and_end() -> None:
    scenario = load("[{error: {status: 429, times: 2}}, {error: 500}, {hang: true, text: a}]")
    (step,) = scenario.steps
    shown = [due_fault(step, count) for count in range(5)]

    assert [fault.status if fault else None for fault in shown] == [429, 429, 500, 529, None]
    assert shown[3].kind == "hang"  # type: ignore[union-attr]


def test_a_fault_for_ever_never_ends() -> None:
    (step,) = load("[{error: {times: forever}}]").steps

    assert due_fault(step, 10**6) is not None


def test_an_answer_is_the_same_for_the_same_request_and_new_when_repeated() -> None:
    scenario = load("[{text: 'n{n}', tools: [{name: Bash, input: {command: 'cd {cwd}'}}], repeat: 2}]")
    system = "Primary working directory: /w"
    first, again, second = (
        step_reply(scenario, 0, ask(user("task"), system=system), nth=nth, now=0) for nth in (0, 0, 1)
    )

    assert first == again
    assert first.id != second.id
    assert first.blocks[1]["id"] != second.blocks[1]["id"]
    assert first.blocks[1]["input"] == {"command": "cd /w"}
    assert first.stop_reason == "tool_use"
    assert step_reply(scenario, 1, ask(user("task"), system=system), nth=0, now=0).blocks[0]["text"] == "n2"


def test_after_the_last_step_comes_a_short_closing() -> None:
    reply = step_reply(load("[{text: a, usage: {input: 7}}]"), 1, ask(user("task"), said("a")), nth=0, now=0)

    assert reply.stop_reason == "end_turn"
    assert reply.usage.input == 7


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"model":"m","messages":[]}', b'{"model":"m","messages":[{"role":"assistant"}]}', b"\xff"],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        read_request(body)
