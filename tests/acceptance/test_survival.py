"""
The daemon dies; nothing else does, nothing is lost, nothing happens twice.
"""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from kit.processes import alive
from kit.script import DAY, ask, bash, gate, question, say, scenario, task, write
from kit.world import World

pytestmark = pytest.mark.timeout(300)


def check_journal(world: World, before: list[dict]) -> None:
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


def tool_calls_in_stream(world: World, run: str) -> set[str]:
    """
    The ids of the tool calls in the agent's own output.
    """
    found = set()
    for line in (world.run_dir(run) / "stdout.jsonl").read_bytes().splitlines():
        message = json.loads(line)
        if message["type"] == "assistant":
            found |= {part["id"] for part in message["message"]["content"] if part["type"] == "tool_use"}
    return found


def test_killed_while_a_question_waits_and_a_tool_runs(make_world):
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


@pytest.mark.slow
def test_killed_before_the_answer_is_handed_over(make_world):
    """
    The answer file is written while no daemon lives: the next one takes it.
    """
    world = make_world(
        [scenario("asks", ask(question("Which?", "One", "Two")), {"when": {"result": "Two"}, **say("Two.")})]
    )
    world.submit(task("asks"))
    world.wait_event("question.asked")
    world.kill()
    before = world.events()
    folder = world.home / "var" / "agent_questions" / DAY
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "asks-answer.md").write_text("Two\n")
    world.start()
    assert world.wait() == {"asks": "succeeded"}
    check_journal(world, before)
    assert world.events("question.answered")[0]["event"]["by"] == "file"
    assert world.events("run.turn_ended")[-1]["event"]["text"] == "Two."


@pytest.mark.slow
def test_killed_right_after_submit_again_and_again(make_world):
    names = [f"t{number}" for number in range(4)]
    world = make_world([scenario(name, write(f"{name}.txt", name), bash("echo hi"), say("Done.")) for name in names])
    world.submit(*(task(name) for name in names))
    for moment in (
        "task.submitted",
        "run.started",
        "run.prepared",
        "run.initialised",
        "run.tool_called",
        "run.turn_ended",
    ):
        world.wait_event(moment)
        world.kill()
        before = world.events()
        world.start()
        check_journal(world, before)
    assert world.wait() == dict.fromkeys(names, "succeeded")
    check_journal(world, [])
    assert {t["attempts"] for t in world.status()["tasks"]} == {1}
    for name in names:
        assert (world.workspace(name) / "tree" / f"{name}.txt").read_text() == name
        assert {e["event"]["call"] for e in world.events("run.tool_called", run=f"{DAY}/{name}/1")} == (
            tool_calls_in_stream(world, f"{name}/1")
        )
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)


@pytest.mark.slow
def test_everything_dies_with_the_machine(make_world):
    """
    Daemon, shim and agent are gone together, as after a power cut: the run is abandoned and resumed.
    """
    world = make_world([scenario("a", write("a.txt", "a"), gate("working"), bash("cat a.txt"), say("Done."))])
    world.submit(task("a"))
    held = world.gate.arrive("working")
    world.wait_transcript("a/1", ("a", 1))
    process = json.loads((world.run_dir("a/1") / "process.json").read_text())
    world.kill()
    for pid in (process["shim"], process["agent"], held.pid):
        os.kill(pid, signal.SIGKILL)
    assert held.gone()
    world.start()
    assert world.wait() == {"a": "succeeded"}
    exited = world.events("run.exited")
    assert [e["event"]["outcome"] for e in exited] == ["abandoned", "succeeded"]
    started = [e["event"] for e in world.events("run.started")]
    assert started[1]["resumes"]
    assert started[1]["session"] == started[0]["session"]
    assert "a.txt" in [f["path"] for f in exited[1]["event"]["files"]]
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)


def test_a_stopped_daemon_leaves_its_agents_and_a_second_one_is_refused(make_world):
    world = make_world([scenario("a", gate("working"), bash("echo on"), say("Done."))])
    world.submit(task("a"))
    held = world.gate.arrive("working")
    pid = world.agent_pid("a/1")
    second = world.spawn()
    assert second.wait(30) == 75
    assert f"process {world.daemon.pid}" in (world.root / "daemon.log").read_text()
    assert world.status("a")["state"] == "running"
    began = time.monotonic()
    assert world.stop() == 0
    assert time.monotonic() - began < 10
    assert not world.socket.exists()
    assert world.events("daemon.stopped")
    assert alive(pid)
    world.start()
    held.release()
    assert world.wait() == {"a": "succeeded"}
    assert world.agent_pid("a/1") == pid
    check_journal(world, [])
    stopped = world.orchctl("daemon", "stop")
    assert stopped.code == 0, stopped
    assert world.daemon.wait(30) == 0
