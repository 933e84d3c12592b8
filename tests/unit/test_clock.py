"""
A clock that can be made to stand still.
"""

from factories import NOW, FixedClock
from orchestrd.clock import StillClock


def test_it_stands_still_while_it_is_told_to():
    real = FixedClock()
    watch = StillClock(real)
    began = watch.monotonic()
    real.now += 5
    watch.stand(still=True)
    real.now += 100
    assert watch.monotonic() - began == 5
    # Told again, it neither starts afresh nor forgets.
    watch.stand(still=True)
    real.now += 10
    assert watch.monotonic() - began == 5
    watch.stand(still=False)
    watch.stand(still=False)
    real.now += 2
    assert watch.monotonic() - began == 7
    assert watch.wall() == NOW + 117
