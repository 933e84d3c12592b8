"""
A clock that can be made to stand still, and the zone that the machine's own clock tells times in.
"""

import time
from datetime import UTC, datetime, timedelta

import pytest

from factories import NOW, FixedClock
from orchestrd.clock import StillClock, SystemClock
from orchestrd.domain.quiet import Quiet
from orchestrd.moments import FIRST, LAST, dated

# Forward on the last Sunday of March at 02:00, back on the last one of October at 03:00.
CENTRAL = "CET-1CEST,M3.5.0,M10.5.0/3"
NIGHT = Quiet(after=22 * 60, until=7 * 60)


@pytest.fixture
def local(monkeypatch):
    """
    The zone of a machine that is set to the one that is named.
    """

    def named(name: str):
        monkeypatch.setenv("TZ", name)
        time.tzset()
        return SystemClock().zone()

    yield named
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("evening", "morning"),
    [
        ("2026-10-24T23:30:00+02:00", "2026-10-25T07:00:00+01:00"),
        ("2027-03-27T23:30:00+01:00", "2027-03-28T07:00:00+02:00"),
        ("2026-11-22T23:30:00+01:00", "2026-11-23T07:00:00+01:00"),
    ],
)
def test_a_night_in_which_the_clocks_are_changed_ends_in_the_morning(local, evening, morning):
    at = datetime.fromisoformat(evening).timestamp()
    assert NIGHT.end(at, local(CENTRAL)) == datetime.fromisoformat(morning).timestamp()


def test_quiet_hours_that_end_in_an_hour_that_comes_twice(local):
    zone, short = local(CENTRAL), Quiet(after=22 * 60, until=2 * 60 + 30)
    first = datetime.fromisoformat("2026-10-25T02:30:00+02:00").timestamp()
    assert short.end(first - 60, zone) == first
    assert short.end(first, zone) == first
    # The clock shows 02:00 again half an hour later.
    assert short.end(first + 1800, zone) == first + 3600
    assert short.end(first + 3600, zone) == first + 3600


@pytest.mark.parametrize("midnight", ["2026-10-25T00:00:00+02:00", "2027-03-28T00:00:00+01:00"])
def test_every_moment_is_told_as_it_is_and_found_again(local, midnight):
    zone, start = local(CENTRAL), datetime.fromisoformat(midnight).timestamp()
    seen = [dated(start + 900 * n, zone) for n in range(24)]
    assert [there.timestamp() for there in seen] == [start + 900 * n for n in range(24)]
    assert len({(there.replace(tzinfo=None, fold=0), there.fold) for there in seen}) == 24
    assert {there.tzname() for there in seen} == {"CET", "CEST"}


@pytest.mark.parametrize(("name", "hours"), [("XXX-14", 14), ("XXX12", -12), ("UTC0", 0)])
def test_the_first_and_the_last_moment_have_a_date_in_every_zone(local, name, hours):
    zone = local(name)
    for seconds in (FIRST, LAST):
        there = dated(seconds, zone)
        assert there.utcoffset() == timedelta(hours=hours)
        assert there.astimezone(UTC) == dated(seconds, UTC)
        NIGHT.end(seconds, zone)


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
