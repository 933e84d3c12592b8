"""
Followers: the fast ones get every fact, the slow ones get a gap, and the publisher never waits.
"""

import anyio
import pytest

from factories import records
from orchestrd.domain import events as ev
from orchestrd.services import bus as service
from orchestrd.services.bus import Bus, Gap

pytestmark = pytest.mark.anyio


def facts(count: int, seq: int = 0) -> list:
    return records([ev.DaemonStopped(pid=n) for n in range(count)], seq=seq)


def taken(stream) -> list:
    found = []
    while True:
        try:
            found.append(stream.receive_nowait())
        except anyio.WouldBlock:
            return found


async def test_every_follower_gets_every_fact_in_order():
    bus = Bus()
    with bus.follow(0) as one, bus.follow(0) as two:
        bus.publish(facts(3))
        assert [r.seq for r in taken(one)] == [r.seq for r in taken(two)] == [1, 2, 3]


async def test_only_from_now_on():
    bus = Bus()
    bus.publish(facts(3))
    with bus.follow(3) as stream:
        assert taken(stream) == []
        bus.publish(facts(1, seq=3))
        assert [r.seq for r in taken(stream)] == [4]


async def test_a_slow_follower_gets_a_gap_and_then_goes_on(monkeypatch):
    monkeypatch.setattr(service, "QUEUE", 4)
    bus = Bus()
    with bus.follow(0) as slow, bus.follow(0) as quick:
        bus.publish(facts(3))
        assert len(taken(quick)) == 3
        bus.publish(facts(7, seq=3))
        # The mark comes at once: perhaps nothing ever follows.  From there on it must look into the journal.
        for stream, first in ((slow, 1), (quick, 4)):
            *some, mark = taken(stream)
            assert [r.seq for r in some] == list(range(first, first + 4))
            assert mark == Gap(since=first + 3)
        bus.publish(facts(3, seq=10))
        for stream in (slow, quick):
            assert [r.seq for r in taken(stream)] == [11, 12, 13]


async def test_a_gap_is_marked_again_when_the_queue_is_full_again(monkeypatch):
    monkeypatch.setattr(service, "QUEUE", 1)
    bus = Bus()
    with bus.follow(0) as stream:
        for seq in (0, 5):
            bus.publish(facts(5, seq=seq))
            first, mark = taken(stream)
            assert first.seq == seq + 1
            assert mark == Gap(since=seq + 1)


async def test_one_mark_stands_for_all_that_is_lost_until_there_is_room(monkeypatch):
    monkeypatch.setattr(service, "QUEUE", 2)
    bus = Bus()
    with bus.follow(0) as stream:
        bus.publish(facts(5))
        assert stream.receive_nowait().seq == 1
        bus.publish(facts(3, seq=5))
        assert stream.receive_nowait().seq == 2
        bus.publish(facts(2, seq=8))
        mark, nine, again = taken(stream)
        assert (mark, nine.seq, again) == (Gap(since=2), 9, Gap(since=9))


async def test_fifty_who_never_read_hold_up_nobody():
    bus = Bus()
    from contextlib import ExitStack

    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(bus.follow(0))
        quick = stack.enter_context(bus.follow(0))
        seen = 0
        for start in range(0, 20_000, 1000):
            bus.publish(facts(1000, seq=start))
            seen += len(taken(quick))
        assert seen == 20_000


async def test_who_has_left_is_forgotten():
    bus = Bus()
    with bus.follow(0):
        pass
    assert not bus._followers
    bus.publish(facts(1))


async def test_a_change_wakes_whoever_waits_for_it():
    bus = Bus()
    first = bus.changes()
    assert not first.is_set()
    bus.publish([])
    assert first.is_set()
    assert not bus.changes().is_set()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(bus.changes().wait)
            await anyio.wait_all_tasks_blocked()
            bus.publish(facts(1))
