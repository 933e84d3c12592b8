"""
Every way of spending there is a case of, held against the model's own books: in the middle, and at the end.
"""

from __future__ import annotations

import pytest
from kit.spending import CASES, TOLERANCE, Case, Watch, play, standing, standings
from kit.versions import BUNDLED, VERSION, oldest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("version", [BUNDLED, VERSION])
def test_each_way_of_spending(make_world, version):
    """
    At no moment more than the newest answer of each conversation is unknown, and where one stands still in a tool call, none of
    its own; when all has ended, nothing is.
    """
    binary = BUNDLED if version == BUNDLED else oldest()
    world = make_world(
        [scenario for case in CASES for scenario in case.scenarios],
        config={"max_concurrent_agents": 4, "agent": {"binary": binary}},
    )

    def seen(case: Case) -> None:
        now = standing(world, case)
        assert now.lacking < case.conversations, (case.name, now)
        assert now.off <= TOLERANCE, (case.name, now)

    watch = Watch(world, CASES)
    watch.start()
    try:
        assert play(world, CASES, seen) == {case.name: case.ends for case in CASES}
    finally:
        watch.end()
    assert watch.behind() == {}
    assert watch.looks.total() > 100
    assert {e["event"]["cli_version"] for e in world.events("run.initialised")} == {VERSION} or version == BUNDLED
    found = standings(world, CASES)
    assert found.keys() == {case.name for case in CASES}
    assert {name: now.off for name, now in found.items() if abs(now.off) > TOLERANCE} == {}
    truth = sum(now.truth for now in found.values())
    assert truth == world.truth()
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(truth, abs=TOLERANCE)
