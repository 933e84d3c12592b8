"""
What is spent beyond a limit is at most what was under way when it was passed; the benchmark ``overshoot`` shows it for many
more seeds.
"""

from __future__ import annotations

import pytest
from kit.crossing import AGENTS, SETTLED, begin, delegated, scenarios, settle
from kit.processes import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
CONFIG = {"max_concurrent_agents": AGENTS, "budget": {"reserve": {"low": 0, "medium": 0, "high": 0}}}


@pytest.mark.parametrize("killed", [False, True], ids=["daemon up", "daemon killed over it"])
def test_six_agents_pass_the_limit(make_world, killed, record_property):
    world = make_world(scenarios(range(2)), config=CONFIG)
    for seed in range(2):
        begin(world, seed)
        if killed:
            until(lambda: world.status()["cost"]["fraction"] > 0.8, timeout=SETTLED)
            world.kill()
            world.start()
        found = settle(world, seed)
        record_property("crossing", found.line())
        assert found.spent == pytest.approx(found.billed, abs=found.unsure)
        assert found.beyond <= found.under_way + found.unsure, found.line()
        assert found.curtailed + found.halted > 0
        assert world.agents() == []


@pytest.mark.parametrize("killed", [False, True], ids=["daemon up", "daemon killed over it"])
def test_the_subagents_of_one_agent_pass_the_limit(make_world, killed, record_property):
    """
    By the model's own books, answer for answer: whatever is spent beyond it was asked for before.
    """
    world = make_world(delegated(range(2)), config=CONFIG)
    for seed in range(2):
        begin(world, seed, parts=True)
        if killed:
            until(lambda: world.status()["cost"]["fraction"] > 0.5)
            world.kill()
            world.start()
        found = settle(world, seed, parts=True)
        record_property("crossing", found.line())
        assert found.billed_beyond <= found.under_way, found.line()
        assert found.curtailed + found.halted > 0
        assert world.agents() == []
