"""
Every seeded bug can still be planted.
"""

from __future__ import annotations

import pytest
from harness.mutant import declared, modules

PLACES = [(path, mutant) for path in modules() for mutant in declared(path)]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0].stem}-{place[1].what}")
def test_a_mutant_applies_and_names_a_test(place):
    path, mutant = place
    assert mutant.mutated()
    assert f"def {mutant.test.partition('[')[0]}(" in path.read_text(encoding="utf-8")
