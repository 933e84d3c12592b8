"""
Which snapshots stay, and which one a moment names.
"""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrd.domain.events import Occasion
from orchestrd.domain.moment import moment_of
from orchestrd.domain.retention import MOST, at_or_before, called, outdated
from orchestrd.domain.rows import SnapshotsRow, Taken

NOW = 1_795_000_000.0
ZONE = ZoneInfo("Europe/Berlin")
KEEP = 14 * 86400.0


def row(*ages: float, removed: tuple[str, ...] = ()) -> SnapshotsRow:
    """
    Snapshots of so many seconds ago, named by their places.
    """
    times = sorted(NOW - age for age in ages)
    taken = tuple(
        Taken(commit=f"c{place}", tree_id=f"t{place}", at=at, occasion=Occasion.INTERVAL)
        for place, at in enumerate(times)
    )
    return SnapshotsRow(task="d/t", taken=taken, removed=removed)


def test_all_of_the_last_hour_stay():
    assert outdated(row(*range(0, 3600, 60)), NOW, KEEP) == ()


def test_of_the_day_one_of_ten_minutes_stays():
    found = row(*range(4000, 7600, 60), 0)
    assert 6 <= len(found.taken) - len(outdated(found, NOW, KEEP)) <= 9


def test_the_newest_and_what_stands_for_a_removed_tree_stay_for_ever():
    found = row(3 * KEEP, 2 * KEEP, 1.5 * KEEP, removed=("c0",))
    assert outdated(found, NOW, KEEP) == ("c1",)


def test_never_more_than_so_many():
    found = row(*(number / 10 for number in range(5 * MOST)))
    assert len(found.taken) - len(outdated(found, NOW, KEEP)) == MOST


@given(st.lists(st.floats(0, 30 * 86400.0), max_size=60, unique=True), st.floats(0, 2 * 86400.0))
def test_what_goes_once_has_no_need_to_come_back(ages, later):
    """
    Whoever looks twice keeps what whoever looks once, later, keeps: nothing is let go too early.
    """
    found = row(*ages)
    first = set(outdated(found, NOW, KEEP))
    left = SnapshotsRow(task="d/t", taken=tuple(t for t in found.taken if t.commit not in first))
    twice = first | set(outdated(left, NOW + later, KEEP))
    if found.taken:
        assert found.taken[-1].commit not in twice
    assert set(outdated(left, NOW, KEEP)) == set(), "what is kept is kept"


def test_the_newest_one_at_or_before_a_moment():
    found = row(300, 200, 100)
    assert at_or_before(found, NOW - 150).commit == "c1"
    assert at_or_before(found, NOW - 100).commit == "c2"
    assert at_or_before(found, NOW - 301) is None


@pytest.mark.parametrize(
    ("text", "ago"), [("10m", 600), ("1h30m", 5400), ("45s", 45), ("2d", 172_800), (" 1.5h ", 5400)]
)
def test_so_long_ago(text, ago):
    assert moment_of(text, NOW, ZONE) == NOW - ago


def test_a_time_of_day_is_the_last_one_there_was():
    from datetime import datetime

    here = datetime(2026, 11, 22, 14, 30, tzinfo=ZONE)
    now = here.timestamp()
    assert moment_of("14:05", now, ZONE) == here.replace(minute=5).timestamp()
    assert moment_of("23:00", now, ZONE) == here.replace(day=21, hour=23, minute=0).timestamp()
    # What is shown to the second is all of that second.
    assert here.replace(minute=5, second=30).timestamp() < moment_of("14:05:30", now, ZONE) < now
    assert moment_of("2026-11-22 14:05", now, ZONE) == here.replace(minute=5).timestamp()
    assert moment_of("2026-11-22T13:05Z", now, ZONE) == here.replace(minute=5).timestamp()


@pytest.mark.parametrize("text", ["", "10", "m", "25:00", "yesterday", "-5m", "2026-13-01"])
def test_what_names_no_moment(text):
    with pytest.raises(ValueError, match="names no moment"):
        moment_of(text, NOW, ZONE)


def test_what_the_list_shows_finds_the_snapshot_again():
    from orchestrd.clock import iso

    for at in (NOW + 20.0004, NOW + 0.1237, NOW + 0.0004, NOW + 0.9996, NOW):
        assert moment_of(iso(at), NOW + 60, ZONE) >= at - 1e-6
    found = row(300, 200)
    named = SnapshotsRow(
        task="d/t", taken=(found.taken[0], Taken(commit="ab12cd34ef", tree_id="t", at=NOW, occasion="call"))
    )
    assert called(named, "ab12cd3").tree_id == "t"
    assert called(named, "ab12") is None
    assert called(named, "10:30:00") is None
