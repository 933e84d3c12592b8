"""
F2 with the real Claude Code CLI: the daemon dies while a question waits, while a tool runs, and in the middle of an answer.
"""

from __future__ import annotations

import json

import pytest
from harness.mutant import Mutant
from kit.files import wait_file
from kit.processes import alive
from kit.script import DAY, ask, bash, gate, question, say, scenario, task
from kit.survival import check_journal, tool_calls_in_stream

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_killed_while_a_question_waits_and_a_tool_runs(make_world, tally):
    world = make_world(
        [
            scenario(
                "asks", ask(question("Which?", "One", "Two")), gate("told"), {"when": {"seen": "Two"}, **say("Two.")}
            ),
            scenario("works", bash("echo 1"), gate("tool"), *(bash(f"echo {n}") for n in range(2, 6)), say("Done.")),
        ]
    )
    world.submit(task("asks"), task("works"))
    world.wait_event("question.asked")
    tool = world.gate.arrive("tool")
    pids = [world.agent_pid("asks/1"), world.agent_pid("works/1")]
    world.kill()
    before = world.events()
    assert all(alive(pid) for pid in pids)
    assert world.orchctl("status").code == 3
    # While nobody looks the tool ends; the agent goes on to its next call and waits there for leave.
    tool.release()
    world.start()
    assert [world.agent_pid("asks/1"), world.agent_pid("works/1")] == pids
    assert sorted(world.agents()) == sorted(pids)
    assert world.wait("works") == {"works": "succeeded"}
    assert [q["id"] for q in world.orchctl("questions", "--json").json] == [f"{DAY}/asks#1"]
    assert world.orchctl("answer", "asks", "--option", "B").code == 0
    told = world.gate.arrive("told")
    world.kill()
    world.start()
    told.release()
    assert world.wait() == {"asks": "succeeded", "works": "succeeded"}
    check_journal(world, before)
    assert [e["event"]["attempt"] for e in world.events("run.started")] == [1, 1]
    calls = {e["event"]["call"] for e in world.events("run.tool_called", run=f"{DAY}/works/1")}
    assert calls == tool_calls_in_stream(world, "works/1")
    assert len(calls) == 6
    sent = [json.loads(line) for line in (world.run_dir("asks/1") / "stdin.jsonl").read_bytes().splitlines()]
    answers = [line for line in sent if "answers" in json.dumps(line)]
    assert len(answers) == 1
    assert world.events("run.turn_ended", run=f"{DAY}/asks/1")[-1]["event"]["text"] == "Two."
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)
    tally("F2", kills=2, checked=len(world.events()), note="real CLI: a question waits, a tool runs, an answer streams")


def test_killed_in_the_middle_of_an_answer(make_world, tally):
    """
    Nobody reads while the answer streams on; what it said and cost is told whole by the next daemon.
    """
    words = " ".join(f"word{number}" for number in range(150))
    world = make_world([scenario("talks", bash("echo 1"), say(words, pace=0.05))])
    world.submit(task("talks"))
    stream = world.run_dir("talks/1") / "stdout.jsonl"
    wait_file(stream, lambda data: b"word3 " in data or b'word3"' in data)
    pid = world.agent_pid("talks/1")
    world.kill()
    before = world.events()
    assert before[-1]["type"] != "run.turn_ended"
    size = stream.stat().st_size
    wait_file(stream, lambda data: len(data) > size + 2000)
    assert alive(pid)
    world.start()
    assert world.wait() == {"talks": "succeeded"}
    assert world.agent_pid("talks/1") == pid
    check_journal(world, before)
    assert world.events("run.turn_ended")[-1]["event"]["text"] == words
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)
    tally("F2", kills=1, checked=len(world.events()), note="real CLI: a question waits, a tool runs, an answer streams")


MUTANTS = (
    Mutant(
        "what was read before is recorded again",
        file="runner/session.py",
        old="await self._take(heard, known=known)\n",
        new="await self._take(heard, known=False)\n",
        test="test_killed_in_the_middle_of_an_answer",
    ),
    Mutant(
        "a new daemon reads on where the last one stopped, and knows nothing of what came before",
        file="runner/intake.py",
        old="        self._stream = ClaudeStream()\n        self._output: int | None = None\n        self._offset = 0\n",
        new="        self._stream = ClaudeStream(start=cursor)\n        self._output: int | None = None\n        self._offset = cursor\n",
        test="test_killed_while_a_question_waits_and_a_tool_runs",
    ),
)
