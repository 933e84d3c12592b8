"""
What two locks and a record say of a run: every combination, with real locks.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from factories import FixedClock
from orchestrd.ancestry import MARK
from orchestrd.runner.liveness import CLOSING_SECONDS, FINDINGS, SETTLE_SECONDS, Finding, Vigil, look
from orchestrd.runner.sweep import end_heirs, heirs, strays
from orchestrd.storage.rundir import RunDir

EXIT = b'{"version":1,"exit_code":0,"started_at":0.0,"ended_at":1.0}'
MEANING = {
    # shim.lock, agent.lock, exit.json
    (1, 1, 0): Finding.ALIVE,
    (1, 0, 0): Finding.ALIVE,
    (0, 0, 1): Finding.FINISHED,
    (0, 0, 0): Finding.ABANDONED,
    (0, 1, 0): Finding.ORPHANED,
    (0, 1, 1): Finding.LEFTOVER,
    (1, 1, 1): Finding.CLOSING,
    (1, 0, 1): Finding.CLOSING,
}


def hold(stack: ExitStack, path: Path) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    stack.callback(os.close, fd)
    fcntl.flock(fd, fcntl.LOCK_EX)


def sleeper(stack: ExitStack, **env: str) -> subprocess.Popen[bytes]:
    """
    A process that lives until it is ended; it is up when this returns.
    """
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    stack.enter_context(process)
    stack.callback(process.kill)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def test_every_combination_has_a_meaning():
    assert len(FINDINGS) == len(MEANING) == 8


@pytest.mark.parametrize(("shim", "agent", "record"), list(itertools.product((0, 1), repeat=3)))
def test_the_table_holds_on_real_files(tmp_path, shim, agent, record):
    rundir = RunDir(tmp_path)
    with ExitStack() as stack:
        for wanted, path in ((shim, rundir.shim_lock), (agent, rundir.agent_lock)):
            path.touch(0o600)
            if wanted:
                hold(stack, path)
        if record:
            rundir.exit.write_bytes(EXIT)

        assert look(rundir) is MEANING[shim, agent, record]


@pytest.mark.anyio
class TestVigil:
    """
    When a run is over, on a clock that the test moves.
    """

    async def test_an_orphan_may_finish_its_turn_and_is_then_ended(self, tmp_path):
        rundir, clock = RunDir(tmp_path), FixedClock()
        rundir.shim_lock.touch()
        vigil = Vigil(rundir, grace=10.0, clock=clock)
        with ExitStack() as stack:
            orphan = sleeper(stack, **{MARK: str(tmp_path)})
            hold(stack, rundir.agent_lock)
            assert not await vigil.over()
            clock.now += 9.9
            assert not await vigil.over()
            assert orphan.poll() is None
            clock.now += 0.2
            assert await vigil.over()
            assert orphan.wait(30) == -9
        assert vigil.finding is Finding.ORPHANED

    async def test_a_record_may_still_be_on_its_way(self, tmp_path):
        rundir, clock = RunDir(tmp_path), FixedClock()
        rundir.shim_lock.touch()
        vigil = Vigil(rundir, grace=10.0, clock=clock)
        assert not await vigil.over()
        clock.now += SETTLE_SECONDS / 2
        assert not await vigil.over()
        rundir.exit.write_bytes(EXIT)
        assert await vigil.over()
        assert vigil.finding is Finding.FINISHED

    async def test_a_shim_that_hangs_after_its_record_is_not_waited_for_for_ever(self, tmp_path):
        rundir, clock = RunDir(tmp_path), FixedClock()
        rundir.exit.write_bytes(EXIT)
        vigil = Vigil(rundir, grace=1.0, clock=clock)
        with ExitStack() as stack:
            hold(stack, rundir.shim_lock)
            assert not await vigil.over()
            clock.now += CLOSING_SECONDS + 0.1
            assert await vigil.over()


class TestSweep:
    """
    Who belongs to a run, and who does not.
    """

    def test_only_the_marked_are_ended_and_named(self, tmp_path):
        mine, other = RunDir(tmp_path / "a/1"), RunDir(tmp_path / "a/11")
        with ExitStack() as stack:
            marked = sleeper(stack, **{MARK: str(mine.path)})
            neighbour = sleeper(stack, **{MARK: str(other.path)})
            unmarked = sleeper(stack, NAME=str(mine.path))

            assert strays(tmp_path) == {mine.path: {marked.pid}, other.path: {neighbour.pid}}
            assert len(end_heirs(mine)) == 1
            assert marked.wait(30) == -9
            assert neighbour.poll() is None
            assert unmarked.poll() is None

    def test_an_heir_without_the_mark_is_known_by_the_lock(self, tmp_path):
        rundir = RunDir(tmp_path)
        with ExitStack() as stack:
            fd = os.open(rundir.agent_lock, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
            os.set_inheritable(fd, True)
            heir = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", "input()"], env={}, stdin=subprocess.PIPE, pass_fds=(fd,)
            )
            stack.enter_context(heir)
            stack.callback(heir.kill)
            os.close(fd)
            assert rundir.agent_alive()
            assert list(heirs(rundir)) == [heir.pid]
            end_heirs(rundir)
            assert heir.wait(30) == -9
            assert not rundir.agent_alive()

    def test_one_that_only_looks_at_the_lock_is_left_alone(self, tmp_path):
        rundir = RunDir(tmp_path)
        rundir.agent_lock.touch()
        with ExitStack() as stack:
            fd = os.open(rundir.agent_lock, os.O_RDONLY)
            fcntl.flock(fd, fcntl.LOCK_SH)
            looker = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", "input()"], env={}, stdin=subprocess.PIPE, pass_fds=(fd,)
            )
            stack.enter_context(looker)
            stack.callback(looker.kill)
            stack.callback(os.close, fd)

            assert heirs(rundir) == {}
