"""
Every way of spending there is a case of, held against the model's own books: in the middle, and at the end.
"""

from __future__ import annotations

import pytest
from kit.processes import until
from kit.spending import CASES, TOLERANCE, Case, play, standing, standings
from kit.versions import BUNDLED, VERSION, oldest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("version", [BUNDLED, VERSION])
def test_each_way_of_spending(make_world, version):
    """
    While it stands still in a tool call an agent's newest answer may be unknown for a moment, and no other; when it has
    ended, nothing is.
    """
    binary = BUNDLED if version == BUNDLED else oldest()
    world = make_world(
        [scenario for case in CASES for scenario in case.scenarios],
        config={"max_concurrent_agents": 4, "agent": {"binary": binary}},
    )

    def seen(case: Case) -> None:
        until(lambda: standing(world, case).lacking <= 1)
        assert standing(world, case).off <= TOLERANCE

    assert play(world, CASES, seen) == {case.name: case.ends for case in CASES}
    assert {e["event"]["cli_version"] for e in world.events("run.initialised")} == {VERSION} or version == BUNDLED
    found = standings(world, CASES)
    assert found.keys() == {case.name for case in CASES}
    assert {name: now.off for name, now in found.items() if abs(now.off) > TOLERANCE} == {}
    truth = sum(now.truth for now in found.values())
    assert truth == world.truth()
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(truth, abs=TOLERANCE)
