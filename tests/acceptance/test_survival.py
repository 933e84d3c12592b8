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
from kit.survival import check_journal, tool_calls_in_stream

pytestmark = pytest.mark.timeout(300)


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
