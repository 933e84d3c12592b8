"""
Twelve hours on a clock of its own, and the morning after: two used-up usage windows, an hour of overload, a login that is gone, quiet
hours and a daemon that is killed twice.  Every task ends, and the service is never stormed.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from kit.gateway import Kind
from kit.longday import BOUNDS, KILLS, QUIET, SLOTS, STORM, TASKS, LongDay, distribution

from orchestrd.domain.account import STAGGER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
RIPPLE = 0.5
"""Seconds between the clock as it is when a start is decided, and as it is when that is recorded."""


@pytest.fixture
def day():
    with LongDay() as day:
        yield day


def test_every_task_ends_and_nobody_storms(day, record_property):
    told = day.live()
    assert told.ended == dict.fromkeys(told.ended, "succeeded")
    assert len(told.ended) == TASKS
    assert day.agents() == []
    assert len(told.of("daemon.started")) == 1 + len(KILLS)
    assert [event["seq"] for event in told.events] == list(range(1, len(told.events) + 1))

    # Each trouble was met, and each was waited for by all.
    causes = {Kind.WINDOW: "window", Kind.OVERLOADED: "overloaded", Kind.UNAUTHORIZED: "unauthorized"}
    assert [episode.cause for episode in told.episodes] == [causes[trouble.kind] for trouble in day.troubles]
    for trouble, episode in zip(day.troubles, told.episodes, strict=True):
        assert trouble.begin < episode.known < trouble.end < episode.over
        _one_alone_tries(day, told, episode)
        # And once it is over they come back one after another.
        gaps = [later.at - earlier.at for earlier, later in pairwise(episode.after)]
        assert min(gaps, default=STAGGER) >= STAGGER - RIPPLE, (episode.cause, gaps)
    assert max(len(episode.after) for episode in told.episodes) >= SLOTS - 1

    # Nobody tries at a window that is known to be used up, nor comes back in the quiet hours.
    for trouble, episode in zip(day.troubles, told.episodes, strict=True):
        if trouble.kind is Kind.WINDOW:
            assert [start for start in told.starts if episode.known < start.at < trouble.end] == []
    begin, end = map(day.at, QUIET)
    assert [start for start in told.starts if begin <= start.at < end] == []
    assert [asked for asked in day.gateway.asked if begin + 900 < asked.at < end] == []

    # The service is asked seldom, in trouble more seldom yet: each agent runs into it once, and then one alone tries.
    print(distribution(day.gateway.minutes))
    record_property("requests", distribution(day.gateway.minutes))
    assert day.gateway.busiest <= STORM
    for trouble in day.troubles:
        met = day.gateway.met[trouble]
        record_property(f"{trouble.kind} from {day.hour(trouble.begin)}", met)
        assert 0 < met <= BOUNDS[trouble.kind], (trouble.kind, met)

    # It costs nobody a try, and what was begun goes on with its conversation.
    again = [event["event"] for event in told.of("task.requeued")]
    assert [fact for fact in again if fact.get("counted", True) or not fact.get("parked")] == []
    assert sum(start.resumes for start in told.starts) == len(told.starts) - TASKS
    assert len(told.of("question.asked")) == 1

    # What is recorded is what the model billed.
    assert day.rpc("task.status", day=day.name)["cost"]["spent_usd"] * 1e9 == pytest.approx(day.truth(), abs=1000)


def _one_alone_tries(day, told, episode):
    for number, start in enumerate(episode.tries):
        beside = [other for other in episode.tries[:number] if told.exits[other.run] > start.at]
        assert beside == [], f"{episode.cause}: {start.run} tries at {day.hour(start.at)} beside {beside}"
