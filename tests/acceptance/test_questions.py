"""
Questions: asked by tool or by file, answered on any channel, once.
"""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path

import pytest
from kit.files import wait_file
from kit.rpc import RpcError
from kit.script import DAY, ask, bash, call, gate, question, say, scenario, task, use
from kit.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DATABASE = question("Which database?", "SQLite", "Postgres")


def folder(world: World) -> Path:
    return world.home / "var" / "agent_questions" / DAY


def answers(world: World) -> dict[str, tuple[str, str]]:
    return {
        e["event"]["question"].rpartition("/")[2]: (e["event"]["answer"], e["event"]["by"])
        for e in world.events("question.answered")
    }


def told(task_name: str, *fragments: str) -> list[dict]:
    """
    Steps after a question: what the agent says shows what it was told.
    """
    return [
        *({"when": {"result": fragment}, **say(f"Told {fragment}.")} for fragment in fragments),
        say(f"{task_name} was told something else."),
    ]


def test_options_answered_by_letter_label_and_in_words(make_world):
    world = make_world(
        [
            scenario("letter", ask(DATABASE), *told("letter", "Postgres")),
            scenario("label", ask(DATABASE), *told("label", "SQLite")),
            scenario("words", ask(DATABASE), *told("words", 'Neither: use "DuckDB"')),
            scenario("bare", ask(DATABASE), *told("bare", "Postgres")),
        ],
        config={"max_concurrent_agents": 4},
    )
    names = ["letter", "label", "words", "bare"]
    world.submit(*(task(name) for name in names))
    for name in names:
        world.wait_event("question.asked", question=f"{DAY}/{name}#1")
    listed = world.orchctl("questions", "--json").json
    assert sorted(q["task"] for q in listed) == sorted(f"{DAY}/{name}" for name in names)
    one = next(q for q in listed if q["task"].endswith("letter"))
    assert set(one) >= {"id", "task", "asked_at", "text", "options", "state", "answered_by"}
    assert (one["text"], one["state"], one["answered_by"]) == ("Which database?", "open", None)
    assert [(o["key"], o["label"]) for o in one["options"]] == [("A", "SQLite"), ("B", "Postgres")]
    assert world.status("letter")["state"] == "waiting"
    assert world.status("letter")["question"] == f"{DAY}/letter#1"
    text = wait_file(folder(world) / "letter.md", lambda data: data.decode())
    assert "Which database?" in text
    assert "B) Postgres" in text
    wrong = world.orchctl("answer", "letter", "--option", "Z")
    assert wrong.code == 4
    assert "A) SQLite, B) Postgres" in wrong.err
    assert world.orchctl("answer", "letter", "--option", "B").code == 0
    assert world.orchctl("answer", "label", "--option", "sqlite").code == 0
    assert world.orchctl("answer", "words", 'Neither: use "DuckDB"\nand say why.').code == 0
    assert world.orchctl("answer", "bare", "b").code == 0
    assert world.wait() == dict.fromkeys(names, "succeeded")
    ends = {e["event"]["run"].split("/")[1]: e["event"]["text"] for e in world.events("run.turn_ended")}
    assert ends == {
        "letter": "Told Postgres.",
        "label": "Told SQLite.",
        "words": 'Told Neither: use "DuckDB".',
        "bare": "Told Postgres.",
    }
    assert len(world.events("question.delivered")) == 4
    assert world.orchctl("questions", "--json").json == []
    assert len(world.orchctl("questions", "--all", "--json").json) == 4
    assert world.orchctl("answer", "letter", "again").code == 4
    assert world.orchctl("answer", "nobody", "x").code == 5


def test_several_questions_in_one_call(make_world):
    several = [
        DATABASE,
        question("Which colours?", "Red", "Green", "Blue", multi=True),
        question("Which name?", "Ann", "Bob"),
    ]
    world = make_world([scenario("many", ask(*several), *told("many", '"Which colours\\?"="Red, Blue".*'))])
    world.submit(task("many"))
    world.wait_event("question.asked", question=f"{DAY}/many#3")
    assert world.orchctl("answer", "many", "--question", "2", "--option", "A", "--option", "C").code == 0
    assert world.status("many")["state"] == "waiting"
    assert world.orchctl("answer", "many", "--question", f"{DAY}/many#3", "Carol").code == 0
    assert not world.events("question.delivered"), "handed over before the last one was answered"
    assert world.orchctl("answer", "many", "--option", "A").code == 0
    assert world.wait() == {"many": "succeeded"}
    assert answers(world) == {"many#2": ("Red, Blue", "cli"), "many#3": ("Carol", "cli"), "many#1": ("SQLite", "cli")}
    raw = (world.run_dir("many/1") / "stdout.jsonl").read_text()
    assert '\\"Which database?\\"=\\"SQLite\\"' in raw
    assert '\\"Which name?\\"=\\"Carol\\"' in raw
    assert "something else" not in world.events("run.turn_ended")[-1]["event"]["text"]


def test_an_answer_file_written_by_a_person(make_world):
    world = make_world([scenario("filed", ask(DATABASE), gate("answered"), *told("filed", "ended"))])
    world.submit(task("filed"))
    world.wait_event("question.asked", question=f"{DAY}/filed#1")
    wait_file(folder(world) / "filed.md", bool)
    began = time.time()
    (folder(world) / "filed-answer.md").write_text("# Answer to filed\n\nPostgres, please.\nIt is there already.\n")
    answered = world.wait_event("question.answered", question=f"{DAY}/filed#1")
    assert datetime.fromisoformat(answered["at"]).timestamp() - began < 1.0 + slack()
    assert answered["event"] == {
        "question": f"{DAY}/filed#1",
        "answer": "Postgres, please.\nIt is there already.",
        "by": "file",
    }
    held = world.gate.arrive("answered")
    # The first answer won; who comes later is told which it was.
    late = world.orchctl("answer", "filed", "--option", "A")
    assert late.code == 4
    assert "answered before by file: Postgres, please." in late.err
    with pytest.raises(RpcError, match="answered before by file") as refused:
        world.rpc("question.answer", task="filed", question="1", text="SQLite")
    assert refused.value.data["exit_status"] == 4
    (folder(world) / "filed-answer.md").write_text("I have changed my mind: SQLite.\n")
    held.release()
    assert world.wait() == {"filed": "succeeded"}
    assert len(world.events("question.answered")) == 1
    assert len(world.events("question.delivered")) == 1
    raw = (world.run_dir("filed/1") / "stdout.jsonl").read_text()
    assert "Postgres, please." in raw
    assert "changed my mind" not in raw


def slack() -> float:
    """
    Seconds of grace for a machine on which everybody waits for a processor.
    """
    return os.getloadavg()[0] / (os.cpu_count() or 1)


WRITTEN = """\
# Question from Agent written

## Context
I found two layouts.

## Question
Which layout shall I use?

## Options
A) Flat
B) Nested

## Impact
Every file moves.
"""


def test_a_question_file_written_by_the_agent(make_world):
    world = make_world(
        [
            scenario(
                "written",
                call(
                    use(
                        "Write",
                        file_path="{workspace}/../../../agent_questions/" + f"{DAY}/written.md",
                        content=WRITTEN,
                    )
                ),
                say("I have asked, and wait."),
                bash("echo go on"),
                say("Nested it is."),
            )
        ]
    )
    world.submit(task("written"))
    asked = world.wait_event("question.asked", question=f"{DAY}/written#1")
    written = (folder(world) / "written.md").stat().st_mtime
    assert datetime.fromisoformat(asked["at"]).timestamp() - written < 1.0 + slack()
    assert asked["event"]["text"].startswith("Which layout shall I use?")
    assert "Every file moves." in asked["event"]["text"]
    assert [o["label"] for o in asked["event"]["options"]] == ["Flat", "Nested"]
    world.wait_event("run.turn_ended", text="I have asked, and wait.")
    pid = world.agent_pid("written/1")
    assert world.status("written")["state"] == "waiting"
    assert world.orchctl("answer", "written", "--option", "B").code == 0
    assert world.wait() == {"written": "succeeded"}
    assert len(world.events("run.started")) == 1
    assert world.agent_pid("written/1") == pid
    assert [e["event"]["text"] for e in world.events("run.turn_ended")] == ["I have asked, and wait.", "Nested it is."]
    assert (folder(world) / "written.md").read_text() == WRITTEN
    assert "Nested" in (folder(world) / "written-answer.md").read_text()
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)


def test_who_waits_for_a_person_frees_the_slot_and_is_not_charged_with_the_time(make_world):
    world = make_world(
        [
            scenario("asks", ask(DATABASE), say("Thanks.")),
            scenario("next", gate("next"), say("Done.")),
        ],
        config={"max_concurrent_agents": 1, "question_frees_slot_after": "2s"},
    )
    world.submit(task("asks", timeout="10s"), task("next"))
    asked = world.wait_event("question.asked")
    # The slot is kept for a moment, then goes to the next task.
    assert world.status("next")["why"] == "all 1 agent slots are taken"
    started = world.wait_event("run.started", run=f"{DAY}/next/1")
    seconds = datetime.fromisoformat(started["at"]) - datetime.fromisoformat(asked["at"])
    assert seconds.total_seconds() >= 1.99
    held = world.gate.arrive("next")
    assert world.orchctl("answer", "asks", "A").code == 0
    assert world.wait("asks") == {"asks": "succeeded"}
    held.release()
    assert world.wait() == {"asks": "succeeded", "next": "succeeded"}
    shown, row = world.status("asks"), world.rpc("question.list", all=True)[0]
    lasted = datetime.fromisoformat(shown["ended_at"]) - datetime.fromisoformat(shown["started_at"])
    assert row["waited_seconds"] >= seconds.total_seconds()
    assert 0 < shown["worked_seconds"] <= lasted.total_seconds() - row["waited_seconds"] + 0.1
