"""
Limits on money hold while agents run.
"""

from __future__ import annotations

import pytest
from kit.script import DAY, bash, gate, say, scenario, task, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CENTS = {"input": 2500, "output": 0}
"""An answer for exactly one cent."""


def test_the_limit_of_the_day(make_world):
    """
    8 cents for the day: one task spends 6 and stays at work, the next crosses the threshold and then the limit.
    """
    world = make_world(
        [
            scenario("steady", gate("steady", usage={"input": 15000, "output": 0}), say("Done.", usage=CENTS)),
            scenario(
                "spender",
                gate("quiet", usage={"input": 250, "output": 0}),
                bash("echo warn", usage={"input": 500, "output": 0}),
                gate("warned", usage={"input": 500, "output": 0}),
                write("half.txt", "half", usage={"input": 4000, "output": 0}),
                gate("over", usage={"input": 5000, "output": 0}),
                say("Too late.", usage=CENTS),
            ),
            scenario("later", say("Later.", usage=CENTS)),
        ],
        config={"max_concurrent_agents": 2, "cost_warning_threshold": 0.75},
    )
    tasks = [task("steady"), task("spender"), task("later")]
    world.submit(*tasks, max_cost_usd=0.08)
    steady = world.gate.arrive("steady")
    world.gate.arrive("quiet").release()
    warned = world.wait_event("day.limit_warned", day=DAY)
    assert 0.75 <= warned["event"]["spent"] / warned["event"]["limit"] < 1
    assert warned["event"]["limit"] == 80_000_000
    # A warning stops nobody.
    held = world.gate.arrive("warned")
    assert not world.events("run.stopping")
    assert len(world.agents()) == 2
    held.release()
    reached = world.wait_event("day.limit_reached", day=DAY)
    assert reached["event"]["spent"] >= 80_000_000
    assert steady.gone(), "an agent at work was not halted"
    states = world.wait()
    assert states == {"steady": "failed", "spender": "failed", "later": "queued"}
    assert world.agents() == []
    shown = {t["id"]: t for t in world.status()["tasks"]}
    assert {shown[name]["outcome"] for name in ("steady", "spender")} == {"over_budget"}
    assert shown["later"]["why"].startswith("the day's limit of $0.08 is reached")
    assert shown["later"]["attempts"] == 0
    assert len(world.events("day.limit_warned")) == len(world.events("day.limit_reached")) == 1
    assert not [e for e in world.events("run.started") if e["seq"] > reached["seq"]]
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)
    report = world.orchctl("report").out
    assert "The day's limit was reached; agents were halted." in report
    assert "raise max_cost_usd" in report
    # Trying again under the same limit starts nothing.
    assert world.orchctl("retry", "spender").code == 0
    assert world.wait()["spender"] == "queued"
    before = len(world.events("run.started"))

    raised = world.submit(*tasks, max_cost_usd=10.0)
    assert raised["limit_usd"] == 10.0
    assert world.orchctl("retry", "steady").code == 0
    for name in ("steady", "quiet", "warned", "over"):
        world.gate.arrive(name).release()
    assert world.wait() == {"steady": "succeeded", "spender": "succeeded", "later": "succeeded"}
    assert len(world.events("run.started")) == before + 3
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)


def test_the_limit_of_a_task(make_world):
    """
    One task may spend three cents; its neighbour is not concerned.
    """
    world = make_world(
        [
            scenario(
                "small", bash("echo 1", usage=CENTS), gate("two", usage=CENTS), gate("three", usage=CENTS), say("No.")
            ),
            scenario("other", gate("other", usage={"input": 25000, "output": 0}), say("Done.", usage=CENTS)),
        ]
    )
    world.submit(task("small", max_cost_usd=0.03), task("other"))
    other = world.gate.arrive("other")
    small = world.gate.arrive("two")
    reserved = world.status()["cost"]["reserved_usd"]
    assert reserved == pytest.approx(0.01, abs=1e-6)
    small.release()
    assert world.wait("small") == {"small": "failed"}
    shown = world.status("small")
    assert (shown["state"], shown["outcome"]) == ("failed", "over_budget")
    assert shown["cost_usd"] == pytest.approx(0.03, abs=1e-6)
    assert "$0.03" in shown["why"]
    assert not world.events("day.limit_warned", "day.limit_reached")
    other.release()
    assert world.wait() == {"small": "failed", "other": "succeeded"}
