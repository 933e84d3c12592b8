"""
F34: the machine starts anew: every process is gone and every lock is free, with several runs open.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter

import pytest
from harness.check import check, look
from harness.mutant import Mutant
from harness.script import ask, gate, say, stream
from harness.world import FaultWorld
from kit.files import wait_file
from kit.processes import belonging, end
from kit.script import DAY, question, task

MUTANTS = (
    Mutant(
        "whose end nobody recorded was not done",
        file="runner/session.py",
        old=" or self._voice.dismissed or rebooted)",
        new=" or self._voice.dismissed)",
        test="test_what_was_done_before_the_machine_went_down_is_done[another]",
    ),
    Mutant(
        "whoever reported success was done",
        file="runner/session.py",
        old="rebooted = self._dir.boot() not in",
        new="rebooted = True or self._dir.boot() not in",
        test="test_what_was_done_before_the_machine_went_down_is_done[the same]",
    ),
    Mutant(
        "only a run directory shows that a run was begun",
        file="runner/liveness.py",
        old="return rundir.started() or cursor > 0 or row.cut",
        new="return rundir.started()",
        test="test_power_goes_before_a_run_directory_is_on_the_disk[the folder]",
    ),
    Mutant(
        "another conversation is begun",
        file="services/scheduler.py",
        old="session=task.session or session,",
        new="session=session,",
        test="test_reboot[2 boots, 5 runs]",
    ),
    Mutant(
        "what the dead had spent is not looked up",
        file="runner/settlement.py",
        old="    facts: list[ev.AnyEvent] = [rest] if rest is not None and unaccounted else []\n",
        new="    facts: list[ev.AnyEvent] = []\n",
        test="test_power_goes_before_the_last_words_are_on_the_disk",
    ),
    Mutant(
        "what the dead had spent is counted beside what was seen of it",
        file="domain/fold/spend.py",
        old="return [replace(row, settled=settled, unsettled={}, drift=drift)]",
        new="return [replace(row, settled=settled, drift=drift)]",
        test="test_reboot[2 boots, 5 runs]",
    ),
    Mutant(
        "a reboot is given up as a failure",
        file="domain/retries.py",
        old="Cause.VANISHED: _lost(Outcome.ABANDONED)",
        new="Cause.VANISHED: _final(Outcome.ABANDONED, Fault.MACHINE)",
        test="test_reboot[2 boots, 5 runs]",
    ),
)


def power_off(world: FaultWorld) -> int:
    """
    Nothing is left but the disk; gives how many processes there were.
    """
    there = len(belonging(world.root))
    end(world.root)
    assert world.daemon is not None
    world.daemon.wait(30)
    return there


@pytest.mark.slow
@pytest.mark.parametrize(
    ("boots", "count"),
    [(2, 5), pytest.param(5, 12, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])],
    ids=["2 boots, 5 runs", "5 boots, 12 runs"],
)
def test_reboot(fault_world, tally, boots, count):
    world = fault_world(agents=count, config={"retries": 10})
    names = [f"t{number}" for number in range(count)]
    waiting = names[0]
    for name in names:
        world.script(name, *([stream(3), gate(f"{name}@{boot}"), say()] for boot in range(boots)), [stream(1), say()])
    world.script(waiting, *([stream(1), ask(question("Which?", "One", "Two")), say()] for _ in range(boots)), [say()])
    world.submit_tasks(*(task(name) for name in names), day=DAY)
    killed = 0
    for boot in range(boots):
        for name in names[1:]:
            world.gate.arrive(f"{name}@{boot}", timeout=120.0)
        world.wait_event("question.asked", run=f"{DAY}/{waiting}/{boot + 1}", timeout=120.0)
        killed += power_off(world)
        world.start()
    assert world.wait(timeout=170.0) == dict.fromkeys(names, "succeeded")
    ends = Counter((e["run"], e["event"]["outcome"]) for e in world.events("run.exited"))
    expected = {(f"{DAY}/{name}/{boot}", "abandoned") for name in names for boot in range(1, boots + 1)}
    expected |= {(f"{DAY}/{name}/{boots + 1}", "succeeded") for name in names}
    assert ends == Counter(expected)
    for name in names:
        started = [e["event"] for e in world.events("run.started") if e["event"]["task"] == f"{DAY}/{name}"]
        assert [e.get("resumes", False) for e in started] == [False] + [True] * boots
        assert len({e["session"] for e in started}) == 1
    tally("F34", kills=killed, note=f"{boots} boots with {count} runs", **check(world).counts)


@pytest.mark.slow
@pytest.mark.parametrize("boot", ["another", "the same"])
def test_what_was_done_before_the_machine_went_down_is_done(fault_world, tally, boot):
    """
    There was no daemon to hear of it.  In the same boot it is no end: without its shim an agent ends its turn early.
    """
    world = fault_world()
    world.script("a", [stream(2), gate("g"), say("All done.")], [say()])
    world.submit_tasks(task("a"), day=DAY)
    held = world.gate.arrive("g")
    world.kill()
    held.release()
    wait_file(world.run_dir("a/1") / "stdout.jsonl", lambda data: b'"type":"result"' in data.replace(b": ", b":"))
    killed = power_off(world)
    record = world.run_dir("a/1") / "process.json"
    if boot == "another":
        record.write_text(json.dumps({**json.loads(record.read_bytes()), "boot": "0" * 36}), encoding="utf-8")
    world.start()
    assert world.wait() == {"a": "succeeded"}
    outcomes = [e["event"]["outcome"] for e in world.events("run.exited")]
    assert outcomes == (["succeeded"] if boot == "another" else ["abandoned", "succeeded"])
    assert "vanished without a record of its end" in world.events("run.exited")[0]["event"]["reason"]
    tally("F34", kills=killed + 1, note=f"done, and {boot} boot", **check(world).counts)


@pytest.mark.slow
def test_power_goes_before_the_last_words_are_on_the_disk(fault_world, tally):
    """
    Of the last response the disk has the beginning in the run's output, and the whole in the CLI's transcript: the whole is
    what it cost.
    """
    world = fault_world()
    world.script("a", [stream(2), gate("before"), say("A long answer."), gate("after"), say()], [say()])
    world.submit_tasks(task("a"), day=DAY)
    run = f"{DAY}/a/1"
    before = world.gate.arrive("before")
    world.wait_event("run.tool_returned", lambda _: len(world.events("run.tool_returned", run=run)) == 2)
    world.kill()
    before.release()
    world.gate.arrive("after")
    told = world.truth_rows("told")[-1]["id"].encode()
    killed = power_off(world)
    output = world.run_dir("a/1") / "stdout.jsonl"
    lines = output.read_bytes().splitlines(keepends=True)
    start = next(n for n, line in enumerate(lines) if b'"message_start"' in line and told in line)
    output.write_bytes(b"".join(lines[: start + 1]))
    world.start()
    assert world.wait() == {"a": "succeeded"}
    assert world.events("run.stream_damaged", run=run) == []
    found = look(world)
    assert (found.doubled, found.cents) == (0, 0), found.trouble
    tally("F34", kills=killed + 1, **{**found.counts, "lost": 0})


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["the folder", "the spec", "all files"])
def test_power_goes_before_a_run_directory_is_on_the_disk(fault_world, tally, lost):
    """
    What the journal has of the agent shows that it was started: it is taken up again, not started a second time.
    """
    world = fault_world()
    world.script("a", [stream(5), gate("middle"), stream(3), say()], [stream(1), say()])
    world.submit_tasks(task("a", retries=1), day=DAY)
    run = f"{DAY}/a/1"
    world.gate.arrive("middle")
    world.wait_event("run.tool_returned", lambda _: len(world.events("run.tool_returned", run=run)) == 5)
    killed = power_off(world)
    folder = world.run_dir("a/1")
    if lost == "the folder":
        shutil.rmtree(folder)
    else:
        for path in [folder / "spec.json"] if lost == "the spec" else list(folder.iterdir()):
            path.unlink()
    world.start()
    assert world.wait() == {"a": "succeeded"}
    assert [e["event"]["outcome"] for e in world.events("run.exited")] == ["abandoned", "succeeded"]
    first, again = (e["event"] for e in world.events("run.started"))
    assert (again["session"], again["resumes"]) == (first["session"], True)
    assert len(world.truth_rows("start")) == 2
    tally("F34", kills=killed, note=f"without {lost} of a run", **check(world).counts)
