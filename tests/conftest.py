"""
Fixtures of every suite.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Test modules are imported by path: what they share needs a place on the path of its own.
sys.path.insert(0, str(Path(__file__).parent / "acceptance"))
sys.path.insert(0, str(Path(__file__).parent / "faults"))

from kit.world import World

# A busy machine is no finding: what properties promise has nothing to do with time.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """
    Makes worlds, see `World`; each is ended with all its processes when the test is over.
    """
    with ExitStack() as stack:
        yield lambda *args, **more: stack.enter_context(World(*args, **more))
