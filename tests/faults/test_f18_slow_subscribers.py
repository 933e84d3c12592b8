"""
F18: fifty who subscribe and never read, while 20,000 facts are recorded.  Recording never waits for them, each costs a
bounded amount of memory, and each finds a mark with the number from which to go on; going on, it gets every fact once.

`tests/integration/test_bus.py` (queues and marks) belongs to this row too.
"""

from __future__ import annotations

import json
import socket
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from harness.indoors import aside
from harness.mutant import Mutant

from factories import FixedClock
from orchestrd.domain import events as ev
from orchestrd.edges.connection import BACKLOG
from orchestrd.edges.endpoint import Endpoint
from orchestrd.edges.feed import PAGE, Feed
from orchestrd.edges.rpc import Server
from orchestrd.services.bus import QUEUE, Bus
from orchestrd.services.store import Store

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SUBSCRIBERS, FACTS, BATCH = 50, 20_000, 100

MUTANTS = (
    Mutant(
        "nobody is told that facts were lost",
        file="services/bus.py",
        old="        if len(records) > room and not follower.lost:\n",
        new="        if False:\n",
        test="test_fifty_who_never_read",
    ),
    Mutant(
        "the mark waits for the next fact",
        file="services/bus.py",
        old="            follower.send.send_nowait(Gap(since=follower.seq))\n            follower.lost = True\n",
        new="            follower.lost = True\n",
        test="test_fifty_who_never_read",
    ),
    Mutant(
        "queues have no end",
        file="services/bus.py",
        old="QUEUE = 4096\n",
        new="QUEUE = 10**6\n",
        test="test_fifty_who_never_read",
    ),
    Mutant(
        "who does not read is written to all the same",
        file="edges/feed.py",
        old='                connection.write(b"".join(lines))\n                await connection.drained()\n',
        new='                connection.write(b"".join(lines))\n',
        test="test_fifty_who_never_read",
    ),
    Mutant(
        "what came while the journal was read comes twice",
        file="edges/feed.py",
        old="if fact.seq > since:",
        new="if True:",
        test="test_going_on_while_facts_are_recorded",
    ),
    Mutant(
        "the mark is one too far",
        file="edges/feed.py",
        old='{"since": max(since, fact.since)}',
        new='{"since": max(since, fact.since) + 1}',
        test="test_fifty_who_never_read",
    ),
)


class Serving:
    """
    Store, bus, feed and socket as the daemon has them, and nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self.bus = Bus()
        self.store = Store(folder / "orchestrd.db", self.bus, FixedClock())
        self.path = folder / "run" / "x.sock"
        self.server = Server(Endpoint(lambda: [self.path]), {"events.subscribe": Feed(self.store, self.bus).subscribe})

    async def __aenter__(self):
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        await self._group.start(self.store.run)
        await self._group.start(self.server.run)
        return self

    async def __aexit__(self, *about):
        self._group.cancel_scope.cancel()
        return await self._group.__aexit__(*about)

    async def record(self, count: int) -> None:
        for _ in range(0, count, BATCH):
            await self.store.record(*(ev.DaemonStopped(pid=n) for n in range(BATCH)))


class Reader:
    """
    One subscriber: a socket that is read when the test wants.
    """

    def __init__(self, path: Path, since: int) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        call = {"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": {"since": since}}
        self.socket.sendall(json.dumps(call).encode() + b"\n")
        self.lines = self.socket.makefile("rb")

    def take(self, until: int) -> tuple[list[int], int | None]:
        """
        The numbers of the facts, up to *until* or a mark; and what the mark says.
        """
        seen: list[int] = []
        for line in self.lines:
            value = json.loads(line)
            if value.get("method") == "gap":
                return seen, value["params"]["since"]
            if value.get("method") == "event":
                seen.append(value["params"]["seq"])
                if seen[-1] == until:
                    return seen, None
        raise EOFError

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="orch-") as name:
        yield Path(name)


async def test_fifty_who_never_read(folder, tally, monkeypatch):
    async with Serving(folder) as serving:
        with ExitStack() as stack:
            readers = [await aside(Reader, serving.path, 0) for _ in range(SUBSCRIBERS)]
            for reader in readers:
                stack.callback(reader.close)
            while len(serving.bus._followers) < SUBSCRIBERS:
                await anyio.sleep(0.01)
            began = time.monotonic()
            await serving.record(FACTS)
            took = time.monotonic() - began
            held = [c._transport.get_write_buffer_size() for c in serving.server._connections]
            queued = [f.send.statistics().current_buffer_used for f in serving.bus._followers]
            assert len(held) == len(queued) == SUBSCRIBERS
            assert max(held) <= BACKLOG + PAGE * 1000
            assert max(queued) <= QUEUE + 1 < FACTS / 2
            for reader in readers[:3]:
                seen: list[int] = []
                since: int | None = 0
                marks = 0
                while seen[-1:] != [FACTS]:
                    if marks:
                        again = await aside(Reader, serving.path, since)
                        stack.callback(again.close)
                        reader = again  # noqa: PLW2901 - the same subscriber, by a new connection
                    some, since = await aside(reader.take, FACTS)
                    seen += some
                    if since is not None:
                        marks += 1
                        assert since == seen[-1], "the mark names another place than where it stands"
                assert seen == list(range(1, FACTS + 1))
                assert marks
    tally(
        row="F18",
        checked=3 * FACTS,
        note=f"{FACTS} facts recorded in {took:.1f} s beside {SUBSCRIBERS} who do not read; at most {max(held) >> 10} KiB "
        f"and {max(queued)} facts held for each",
    )


async def test_going_on_while_facts_are_recorded(folder, tally):
    """
    The journal is read while it grows: where the two meet nothing is missing and nothing comes twice.
    """
    async with Serving(folder) as serving:
        await serving.record(2000)
        async with anyio.create_task_group() as group:
            group.start_soon(serving.record, 3000)
            readers = [await aside(Reader, serving.path, since) for since in (0, 17, 1999)]
            for reader, since in zip(readers, (0, 17, 1999), strict=True):
                seen, mark = await aside(reader.take, 5000)
                assert mark is None
                assert seen == list(range(since + 1, 5001))
                reader.close()
    tally(row="F18", checked=15_000)
