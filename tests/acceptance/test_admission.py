"""
No agent starts where what it is promised does not fit; the person is told why, and it starts as soon as it does.
"""

from __future__ import annotations

import time

import pytest
from kit.script import DAY, gate, say, scenario, task

from orchestrd.runner.memory import memory

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_promise_that_no_machine_can_keep(make_world):
    world = make_world([scenario("a", say("Done."))], config={"agent": {"memory": "100TB"}})
    world.submit(task("a"))
    reason = "never enough memory: 100 TB an agent and 0 B kept free, of "
    shown = world.status("a")
    assert (shown["state"], shown["run"]) == ("queued", None)
    assert shown["why"].startswith(reason)
    assert shown["why"].endswith("lower agent.memory")
    told = world.orchctl("why", "a")
    assert (told.code, told.out) == (0, f"queued: {shown['why']}; only you can change that\n")
    assert world.orchctl("why", "a", "--json").json == {
        "task": f"{DAY}/a",
        "state": "queued",
        "why": told.out.rstrip("\n"),
    }
    assert world.orchctl("why", "b").code == 5
    # Nothing else will change it: who waits is told so, at once and with the reason.
    began = time.monotonic()
    waited = world.orchctl("submit", str(world.home / "tasks" / f"{DAY}.yaml"), "--wait")
    assert waited.code == 1
    assert time.monotonic() - began < 60
    assert f"nothing new starts: {reason}" in waited.out
    assert world.orchctl("wait", "a").code == 1
    assert world.agents() == []
    assert world.events("run.started") == []
    assert world.stop() == 0
    world.configure(agent={"memory": "100MB"})
    world.start()
    assert world.wait() == {"a": "succeeded"}
    assert world.orchctl("why", "a").out.startswith("succeeded at ")


def test_the_second_waits_until_the_first_has_ended(make_world):
    found = memory()
    assert found is not None
    # One fits whatever else the machine does meanwhile, two cannot.
    promised = round(found.available * 0.6)
    world = make_world(
        [scenario(name, gate(name), say("Done.")) for name in ("a", "b")], config={"agent": {"memory": promised}}
    )
    world.submit(task("a"), task("b", priority="high"))
    first = world.gate.arrive()
    assert first.name == "b"
    told = world.orchctl("why", "a").out
    assert told.startswith("queued: waits for memory: ")
    assert "still promised to 1 live agent" in told
    assert world.status()["daemon"]["hold"] == "too little memory for another agent"
    assert not world.status()["settled"]
    assert len(world.agents()) == 1
    first.release()
    second = world.gate.arrive()
    assert second.name == "a"
    assert world.status()["daemon"]["hold"] is None
    second.release()
    assert world.wait() == {"a": "succeeded", "b": "succeeded"}
    starts = [(e["seq"], e["event"]["task"]) for e in world.events("run.started")]
    assert [name for _, name in starts] == [f"{DAY}/b", f"{DAY}/a"]
    assert world.events("run.exited")[0]["seq"] < starts[1][0]
