"""
Whatever others say of a time can be shown.
"""

from datetime import UTC, timedelta, timezone

import pytest

from factories import NOW
from orchctl.render import figures
from orchestrd.clock import iso
from orchestrd.domain.quiet import Quiet
from orchestrd.domain.wallclock import moment
from orchestrd.moments import FIRST, LAST, dated

ABSURD = [-1e300, -1e12, FIRST - 1, FIRST, LAST, LAST + 1, NOW * 1000, 2.0**53, 1e300, float("inf"), float("nan")]
ZONES = [UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=12))]


@pytest.mark.parametrize("seconds", ABSURD)
@pytest.mark.parametrize("zone", ZONES)
def test_no_moment_is_too_odd_to_be_shown(seconds, zone):
    assert 1 <= dated(seconds, zone).year <= 9999
    assert moment(seconds, NOW, zone)
    assert moment(NOW, seconds, zone)
    assert figures.local_time(iso(seconds))
    assert figures.clock_time(iso(seconds))
    Quiet(after=1320, until=420).end(seconds, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_others_are_as_they_are(zone):
    for seconds in (0.0, NOW, NOW + 0.125, FIRST, LAST):
        assert dated(seconds, zone).timestamp() == seconds
    assert iso(NOW + 0.125) == "2026-11-22T10:00:00.125Z"
    assert iso(None) is None


@pytest.mark.parametrize("told", ["9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z", "soon", "10000-01-01T00:00:00Z"])
def test_nor_is_what_another_daemon_says(told, monkeypatch):
    figures.local_time(told)
    figures.clock_time(told)
