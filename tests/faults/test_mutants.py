"""
Every seeded bug can still be planted, and every fault test has one that it must find.
"""

from __future__ import annotations

import re

import pytest
from harness.mutant import FAULTS, declared, modules

PLACES = [(path, mutant) for path in modules() for mutant in declared(path)]
UNSEEDED = {
    "test_random_kills_for_long": "the loop of test_random_kills, for longer",
    "test_the_service_limits_each_agent": "runs only where the memory controller is delegated",
}
OF_THE_HARNESS = ("test_harness.py", "test_mutants.py")


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0].stem}-{place[1].what}")
def test_a_mutant_applies_and_names_a_test(place):
    path, mutant = place
    assert mutant.mutated()
    assert f"def {mutant.test.partition('[')[0]}(" in path.read_text(encoding="utf-8")


def test_every_fault_test_has_a_mutant():
    unseeded: set[str] = set()
    for path in FAULTS.glob("test_*.py"):
        if path.name not in OF_THE_HARNESS:
            tests = re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
            unseeded |= {*tests} - {mutant.test.partition("[")[0] for mutant in declared(path)}
    assert unseeded == UNSEEDED.keys()
