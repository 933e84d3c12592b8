"""
Slots, priorities and dependencies, seen on the agent processes themselves.
"""

from __future__ import annotations

import pytest
from kit.script import DAY, gate, say, scenario, task
from kit.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NAMES = [f"t{number}" for number in range(1, 9)]
MORE = {
    "t2": {"priority": "low"},
    "t5": {"priority": "high", "depends_on": ["t1", "t3"]},
    "t6": {"priority": "urgent"},
    "t7": {"priority": "high"},
}


def open_runs(world: World) -> list[int]:
    """
    How many runs were open after each start or end, from the journal.
    """
    counts, now = [], 0
    for event in world.events("run.started", "run.exited"):
        now += 1 if event["type"] == "run.started" else -1
        counts.append(now)
    return counts


def test_eight_tasks_on_three_slots(make_world):
    world = make_world([scenario(name, gate(name), say("Done.")) for name in NAMES])
    world.submit(*(task(name, **MORE.get(name, {})) for name in NAMES))
    working = [world.gate.arrive(), world.gate.arrive(), world.gate.arrive()]
    # Urgent, then high, then in the order of the file; t5 is high too, but must wait.
    assert sorted(a.name for a in working) == ["t1", "t6", "t7"]
    most, order = 3, [a.name for a in working]
    while working:
        agents = world.agents()
        most = max(most, len(agents))
        assert len(agents) == len(working)
        shown = {t["id"]: t for t in world.status()["tasks"]}
        for name, found in shown.items():
            if name in {a.name for a in working}:
                assert found["state"] == "running"
            elif name == "t5" and found["state"] != "succeeded" and not {"t1", "t3"} <= done_of(shown):
                assert found["state"] == "blocked"
                assert found["why"].startswith("needs t")
            elif name not in order:
                assert (found["state"], found["why"]) == ("queued", "all 3 agent slots are taken")
        leaving = working.pop(0)
        leaving.release()
        world.wait_event("task.succeeded", task=f"{DAY}/{leaving.name}")
        if len(order) < len(NAMES):
            working.append(world.gate.arrive())
            order.append(working[-1].name)
    assert world.wait() == dict.fromkeys(NAMES, "succeeded")
    assert most == 3
    assert max(open_runs(world)) == 3
    # t6 or t1 or t7 first, then what was next each time a slot came free.
    started = [e["event"]["task"].rpartition("/")[2] for e in world.events("run.started")]
    assert started[:3] == ["t6", "t7", "t1"]
    assert started[3] == "t3"
    assert started.index("t5") < started.index("t2"), "high priority as soon as its dependencies were done"
    assert started[-1] == "t2", "low priority last"
    ends = {e["event"]["task"].rpartition("/")[2]: e["seq"] for e in world.events("task.succeeded")}
    five = next(e["seq"] for e in world.events("run.started") if e["event"]["task"].endswith("/t5"))
    assert max(ends["t1"], ends["t3"]) < five


def done_of(shown: dict) -> set[str]:
    return {name for name, found in shown.items() if found["state"] == "succeeded"}


def test_submit_and_wait(make_world):
    world = make_world([scenario("a", say("Done.")), scenario("b", say("Done."))])
    done = world.orchctl("submit", str(world.day(task("a"), task("b", depends_on=["a"]))), "--wait")
    assert done.code == 0, done
    assert {t["state"] for t in world.status()["tasks"]} == {"succeeded"}
    # What can never work out is refused, and nothing of it is kept.
    before = world.events()
    cycle = world.day(task("c", depends_on=["d"]), task("d", depends_on=["c"]), task("e"), day="2026-11-23")
    done = world.orchctl("submit", str(cycle))
    assert done.code == 2
    assert "depends_on" in done.err
    assert "c" in done.err
    assert "d" in done.err
    assert world.events() == before


def test_what_depends_on_a_failed_task_is_blocked_and_the_wait_ends(make_world):
    world = make_world([scenario("a", {"error": "prompt_too_long"}, say("never"))])
    path = world.day(task("a", retries=0), task("b", depends_on=["a"]), task("c", depends_on=["b"]))
    done = world.orchctl("submit", str(path), "--wait")
    assert done.code == 1, done
    shown = {t["id"]: (t["state"], t["why"]) for t in world.status()["tasks"]}
    assert shown["a"][0] == "failed"
    assert shown["b"] == ("blocked", "needs a, which failed")
    assert shown["c"][0] == "blocked"
    assert world.status()["settled"]
