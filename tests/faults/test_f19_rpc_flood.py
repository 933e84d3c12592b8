"""
F19: clients that ask too much, are too many, say half a line, or leave the daemon without file descriptors.  Each call is
answered or refused as busy, a polite client is served all the while, and nothing grows.

The quick part runs on every push, the long one (a minute, and lines of a byte a second) only when asked for (`soak`).
`tests/integration/test_rpc.py` (the limits one by one, with the clock of the half lines made short) belongs to this row too.
"""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import subprocess
import sys
import time

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import say, stream, tool
from harness.world import HARNESS, open_files, rss_kib
from kit.processes import alive
from kit.rpc import Link
from kit.script import DAY, task

from orchestrd.edges.connection import MAX_IN_FLIGHT
from orchestrd.edges.rpc import MAX_CONNECTIONS
from orchestrd.protocol.jsonrpc import BUSY

pytestmark = pytest.mark.slow
BURST = 1000
WAIT = 4.0
SPARE_FILES = 32
"""Above what the programs that the daemon starts by itself (git, for a snapshot) have open for it at one moment."""
GROWTH = 12 * 1024
"""KiB by which the daemon may grow: buffers of every connection that it keeps for the next one."""

MUTANTS = (
    Mutant(
        "any number of calls may be under way",
        file="edges/connection.py",
        old="        if self._in_flight >= MAX_IN_FLIGHT:\n",
        new="        if False:\n",
        test="test_ten_who_flood_and_one_who_does_not",
    ),
    Mutant(
        "who sends a thousand calls keeps the others waiting",
        file="edges/connection.py",
        old="LINES_A_TURN = 8\n",
        new="LINES_A_TURN = 1000\n",
        test="test_ten_who_flood_and_one_who_does_not",
    ),
    Mutant(
        "a call that is refused is not answered",
        file="edges/connection.py",
        old="            self.write(\n                rpc.error_line(number, rpc.ErrorObject(code=rpc.BUSY, "
        'message="too many requests in flight; wait"))\n            )\n            return\n',
        new="            return\n",
        test="test_ten_who_flood_and_one_who_does_not",
    ),
    Mutant(
        "who asks for too much is hung up on",
        file="edges/connection.py",
        old="            self.write(\n                rpc.error_line(number, rpc.ErrorObject(code=rpc.BUSY, "
        'message="too many requests in flight; wait"))\n            )\n            return\n',
        new="            self.write(\n                rpc.error_line(number, rpc.ErrorObject(code=rpc.BUSY, "
        'message="too many requests in flight; wait"))\n            )\n            self.close()\n            return\n',
        test="test_ten_who_flood_for_a_minute",
    ),
    Mutant(
        "each byte of a line gives it time anew",
        file="edges/connection.py",
        old="        self._pending += data\n",
        new="        self._pending += data\n        self._stop_timer()\n",
        test="test_a_byte_a_second_holds_no_line_open",
    ),
    Mutant(
        "who has left keeps the place",
        file="edges/rpc.py",
        old="        self._connections.discard(connection)\n",
        new="",
        test="test_a_thousand_connections",
    ),
    Mutant(
        "any number of connections is kept",
        file="edges/rpc.py",
        old="        if len(self._connections) >= MAX_CONNECTIONS:\n",
        new="        if len(self._connections) >= 10**6:\n",
        test="test_a_thousand_connections",
    ),
    Mutant(
        "an agent is taken for dead when nobody can look",
        file="storage/shortage.py",
        old="_SHORT = _FULL | {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}\n",
        new="_SHORT = _FULL\n",
        test="test_without_file_descriptors_nobody_is_taken_for_dead",
    ),
)


def flood(world, seconds: float, *, wait: float) -> tuple[list[int], list[float]]:
    """
    What the flooder counted, whose waiting calls wait so many seconds, and how long each call of a polite client took
    meanwhile, in seconds.
    """
    numbers = (seconds, BURST, BUSY, wait)
    argv = [sys.executable, str(HARNESS / "flooder.py"), str(world.socket), *map(str, numbers)]
    took = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as flooder, Link(world.socket) as link:
        try:
            while flooder.poll() is None:
                began = time.monotonic()
                link.call("daemon.status")
                took.append(time.monotonic() - began)
        finally:
            flooder.kill()
        assert flooder.returncode == 0
        counts = [int(word) for word in flooder.stdout.read().split()]
    return counts, sorted(took)


def survives(world, tally, seconds: float) -> None:
    # For those who wait to have something to wait for.
    world.submit_tasks(task("later", start_at="2031-01-01T00:00:00Z"), day=DAY)
    flood(world, 0.5, wait=0.2)  # its caches are warm
    before, files = rss_kib(world.daemon.pid), open_files(world.daemon.pid)
    # They wait for much longer than the daemon takes to read them all: they are under way together.
    began = time.monotonic()
    (sent, answered, busy, hurried, twice), took = flood(world, seconds, wait=WAIT)
    lasted = time.monotonic() - began
    assert (answered, twice) == (sent, 0)
    assert busy > 0
    # Their calls are answered at once: they only have to wait until the others had their turn.
    assert hurried == 0
    assert answered - busy >= MAX_IN_FLIGHT * 10
    assert len(took) > seconds
    world.rpc("daemon.status")
    assert open_files(world.daemon.pid) <= files + 1
    grown = rss_kib(world.daemon.pid) - before
    assert grown <= GROWTH
    tally(
        row="F19",
        checked=answered,
        note=f"{answered / lasted:,.0f} calls a second on 10 connections, {busy:,} refused; a polite client meanwhile: "
        f"{len(took)} calls, p99 {1000 * took[int(len(took) * 0.99)]:.0f} ms; {grown / 1024:+.1f} MiB",
    )


def test_ten_who_flood_and_one_who_does_not(fault_world, tally):
    survives(fault_world(), tally, WAIT)


@pytest.mark.soak
def test_ten_who_flood_for_a_minute(fault_world, tally):
    survives(fault_world(), tally, 60)


@pytest.mark.soak
def test_a_byte_a_second_holds_no_line_open(fault_world, tally):
    world = fault_world()
    began = time.monotonic()
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(world.socket))
        link.settimeout(1.0)
        while True:
            try:
                link.sendall(b"x")
                if not link.recv(1):
                    break
            except TimeoutError:
                assert time.monotonic() - began < 60
            except OSError:
                break
    assert time.monotonic() - began >= 29
    tally(row="F19", note="a byte a second")


def test_a_thousand_connections(fault_world, tally):
    """
    The first are served, the others told and hung up on; when they leave there is room again.  Among them are some that
    began a line and say no more.
    """
    world = fault_world()
    world.script("works", [stream(30), say()])
    pid = world.daemon.pid
    world.rpc("daemon.status")
    files, before = open_files(pid), rss_kib(pid)
    with contextlib.ExitStack() as stack:
        polite = stack.enter_context(Link(world.socket))
        polite.call("daemon.status")
        refused = 0
        for n in range(1000):
            link = stack.enter_context(socket.socket(socket.AF_UNIX))
            link.settimeout(60)
            link.connect(str(world.socket))
            if n < MAX_CONNECTIONS - 1:
                with contextlib.suppress(BrokenPipeError):
                    link.sendall(b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"}\n' + b'{"jsonrpc"' * (n % 2))
                assert b"result" in link.recv(65536)
            else:
                with link.makefile("rb") as lines:
                    assert json.loads(lines.readline())["error"]["code"] == BUSY
                    assert lines.readline() == b""
                refused += 1
            if n % 100 == 0:
                polite.call("daemon.status")
        path = world.day(task("works"), day=DAY)
        polite.call("task.submit", path=str(path), text=path.read_text(encoding="utf-8"), request_id="one")
        assert polite.call("task.wait", tasks=[], timeout=50)["states"] == {f"{DAY}/works": "succeeded"}
        assert open_files(pid) <= files + MAX_CONNECTIONS + 4
    assert refused == 1000 - (MAX_CONNECTIONS - 1)
    deadline = time.monotonic() + 30
    while open_files(pid) > files + 1:
        assert time.monotonic() < deadline, "what left is kept open"
        world.rpc("daemon.status")
    assert rss_kib(pid) - before <= GROWTH
    found = check(world)
    tally(row="F19", note=f"1000 connections, {refused} refused", **found.counts)


def answered(link: socket.socket) -> bool:
    """
    False when the daemon hangs up on *link* without a word.
    """
    try:
        return link.recv(1) != b""
    except ConnectionResetError:
        return False


def test_without_file_descriptors_nobody_is_taken_for_dead(fault_world, tally):
    """
    EMFILE: who cannot be taken is hung up on, the daemon and the agents that live go on, and then all is as before.
    """
    world = fault_world()
    world.script("works", [stream(5), tool("Bash", gate="held"), stream(5), say()])
    world.submit_tasks(task("works"), day=DAY)
    held = world.gate.arrive("held")
    pid = world.daemon.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    with Link(world.socket) as polite:
        polite.call("daemon.status")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_files(pid), hard))
        # What a program under way had open at that moment is free again: those who get it keep it.
        with contextlib.ExitStack() as kept:
            hung_up = 0
            for _ in range(30 + SPARE_FILES):
                link = kept.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX)))
                link.settimeout(60)
                link.connect(str(world.socket))
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    link.sendall(b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"}\n')
                hung_up += not answered(link)
        # Long enough for a run that seems to be gone to be given up.
        assert hung_up >= 30
        began = time.monotonic()
        while time.monotonic() - began < 1.0:
            polite.call("daemon.status")
        assert alive(held.pid)
        assert not world.events("run.exited")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        polite.call("daemon.status")
    assert world.rpc("daemon.status")["pid"] == pid
    held.release()
    assert world.wait() == {"works": "succeeded"}
    found = check(world)
    tally(row="F19", note="30 connections without a file descriptor for them", **found.counts)
