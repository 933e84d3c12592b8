"""
Fan-out of recorded facts to whoever follows them.

The publisher never waits: a follower that is too slow loses facts and is told so with a *gap*, after which it resumes
from the journal by number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from orchestrd.domain.events import Record

QUEUE = 4096
"""Facts a follower may lag behind before it gets a gap."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """
    Facts above *since* were not delivered.
    """

    since: int


class _Follower:
    """
    One follower's queue.  *seq* is the number of the newest fact in it; *lost* that its last entry is a gap.
    """

    def __init__(self, send: MemoryObjectSendStream[Record | Gap], seq: int) -> None:
        self.send = send
        self.seq = seq
        self.lost = False


class Bus:
    """
    The newest facts, to any number of followers.
    """

    def __init__(self) -> None:
        self._followers: set[_Follower] = set()
        self._changed = anyio.Event()

    def publish(self, records: Sequence[Record]) -> None:
        """
        Offer the facts to every follower and wake whoever waits for a change.
        """
        for follower in self._followers:
            self._offer(follower, records)
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    def _offer(self, follower: _Follower, records: Sequence[Record]) -> None:
        room = max(0, QUEUE - follower.send.statistics().current_buffer_used)
        for record in records[:room]:
            follower.send.send_nowait(record)
            follower.seq, follower.lost = record.seq, False
        if len(records) > room and not follower.lost:
            # There is always room for this one, and it comes at once: perhaps no fact ever follows the one that is lost.
            follower.send.send_nowait(Gap(since=follower.seq))
            follower.lost = True

    @contextmanager
    def follow(self, seq: int) -> Iterator[MemoryObjectReceiveStream[Record | Gap]]:
        """
        A stream of the facts from now on; *seq* is the newest one the follower already has.
        """
        send, receive = anyio.create_memory_object_stream[Record | Gap](QUEUE + 1)
        follower = _Follower(send, seq)
        self._followers.add(follower)
        try:
            with send, receive:
                yield receive
        finally:
            self._followers.discard(follower)

    def changes(self) -> anyio.Event:
        """
        An event that is set at the next publication; ask again after each.
        """
        return self._changed
