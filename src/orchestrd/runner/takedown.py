"""
Bring one agent to its end when no daemon follows it: the same way down, watched from outside.
"""

from __future__ import annotations

import os

import anyio
import anyio.lowlevel
import anyio.to_thread

from orchestrd.clock import Clock
from orchestrd.domain.budget import PriceTable
from orchestrd.policy.verdict import ALLOW
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.runner import freezing
from orchestrd.runner.interpreter import Interpreter
from orchestrd.runner.ladder import INTERRUPT_SECONDS, Ladder
from orchestrd.runner.liveness import Finding, Vigil, look
from orchestrd.runner.sweep import end_heirs, heirs
from orchestrd.runner.voice import Voice
from orchestrd.storage.output import OUTPUT_LIMIT, read_piece
from orchestrd.storage.regular import open_regular
from orchestrd.storage.rundir import RunDir

TICK = 0.05
FOLLOW_SECONDS = 0.5
"""How long its output is read before the next step of the way down is looked at."""
MARGIN = 10.0
"""Seconds beyond interrupt and grace that a shim may take to end its tree."""


async def take_down(rundir: RunDir, *, frozen: bool, clock: Clock) -> str:
    """
    Interrupt the agent, wait a moment for its account, end its tree; one that is *frozen* is killed where it stands.

    Nothing is recorded: whoever follows the run next reads what it wrote to its end.  Gives what became of it, in a few words
    for the person.
    """
    # A shim that a dead daemon was about to start may still come.
    rundir.bar()
    lived = look(rundir) in (Finding.ALIVE, Finding.ORPHANED)
    spec = rundir.read_spec()
    grace = spec.grace if spec is not None else 0.0
    ladder = Ladder(rundir, Voice(rundir), grace=grace, clock=clock)
    # One without its shim hears nothing, so there is nothing to wait for.
    vigil = Vigil(rundir, grace=0.0, clock=clock)
    follower = _Follower(rundir, clock)
    if frozen:
        ladder.fell()
        await anyio.to_thread.run_sync(freezing.fell, rundir)
    with anyio.move_on_after(INTERRUPT_SECONDS + grace + MARGIN):
        while not await vigil.over():
            if not frozen:
                ladder.climb(accounted=await follower.accounted())
            await anyio.sleep(TICK)
    # A command that a dead daemon began, a shim that does not act, or what has none.
    await anyio.to_thread.run_sync(end_heirs, rundir)
    left = await anyio.to_thread.run_sync(heirs, rundir)
    if left:
        return f"not ended: {', '.join(f'{name} ({pid})' for pid, name in left.items())}"
    return "its agent was ended" if lived else "no agent of it lived"


async def close(rundir: RunDir, clock: Clock, why: str = "") -> None:
    """
    See that nothing lives of a run that was not followed, because of *why*, and that nothing of it starts later: a daemon
    that died may have been about to start its shim, and left a command at work in the tree that is looked at next.

    Raises `OSError` when that cannot be done now.
    """
    try:
        if not await anyio.to_thread.run_sync(rundir.bar, why):
            vigil, began = Vigil(rundir, grace=0.0, clock=clock), clock.monotonic()
            while not await vigil.over(told=clock.monotonic() - began):
                # Again and again: it may have its lock and not listen yet.
                rundir.tell("stop 0")
                await anyio.sleep(TICK)
    finally:
        await anyio.to_thread.run_sync(end_heirs, rundir)


class _Follower:
    """
    Reads an agent's output only to see whether its turn is over.
    """

    def __init__(self, rundir: RunDir, clock: Clock) -> None:
        self._dir = rundir
        self._clock = clock
        self._stream = ClaudeStream()
        # Nothing of what it says is acted on, so nothing is priced and nothing forbidden.
        self._interpreter = Interpreter("", PriceTable(date="", models={}), lambda *_: ALLOW)
        self._offset = 0

    async def accounted(self) -> bool:
        """
        True when the agent has accounted for everything it did, as far as its output could be read in the time for it.
        """
        try:
            file = open_regular(self._dir.stdout)
        except OSError:
            return False
        try:
            until = self._clock.monotonic() + FOLLOW_SECONDS
            while (piece := read_piece(file, self._offset, OUTPUT_LIMIT)).length:
                self._offset += piece.length
                self._interpreter.take(piece.told_by(self._stream))
                await anyio.lowlevel.checkpoint()
                if self._clock.monotonic() > until:
                    return False
        finally:
            os.close(file)
        return self._interpreter.state == "idle" and not self._interpreter.meter.open
