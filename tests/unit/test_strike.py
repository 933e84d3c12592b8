"""
When an agent that tried the forbidden is killed, with the clock in hand.
"""

import anyio
import pytest

from factories import FixedClock
from orchestrd.runner.strike import BUSY_SECONDS, TRAILING_SECONDS, Strike

MOMENT = 0.001


class Scene:
    """
    An agent of which it is not told what its response used, until the test says so.
    """

    def __init__(self) -> None:
        self.clock = FixedClock(0.0)
        self.felled = False
        self.told = False
        self.busy = False
        self.strike_it = Strike(self, self.clock, unaccounted=lambda: not self.told, busy=lambda: self.busy)

    def strike(self) -> None:
        self.felled = True

    def falls(self, after: float = 0.0) -> bool:
        """
        Whether it is killed, so many seconds later.
        """
        self.clock.now += after
        self.strike_it.fall()
        return self.felled


@pytest.fixture
def scene():
    return Scene()


def test_who_is_accounted_for_is_killed_at_once(scene):
    scene.told = True
    assert scene.falls()


def test_who_tells_in_time_is_killed_then(scene):
    assert not scene.falls()
    assert not scene.falls(TRAILING_SECONDS / 2)
    scene.told = True
    assert scene.falls()


def test_who_is_at_nothing_is_killed_after_a_moment(scene):
    assert not scene.falls()
    assert not scene.falls(TRAILING_SECONDS - MOMENT)
    assert scene.falls(2 * MOMENT)


def test_who_is_at_something_has_a_little_longer(scene):
    scene.busy = True
    assert not scene.falls()
    assert not scene.falls(BUSY_SECONDS - MOMENT)
    assert scene.falls(2 * MOMENT)


def test_who_comes_to_rest_is_killed_then(scene):
    scene.busy = True
    assert not scene.falls()
    assert not scene.falls(TRAILING_SECONDS)
    scene.busy = False
    assert scene.falls(2 * MOMENT)


@pytest.mark.anyio
async def test_that_moment_ends_while_the_record_is_made(scene, anyio_backend):
    struck = anyio.Event()
    scene.strike = lambda: (struck.set(), setattr(scene, "felled", True))

    async def record() -> bool:
        await struck.wait()
        return True

    with anyio.fail_after(10):
        assert await scene.strike_it.beside(record)
    assert scene.felled
