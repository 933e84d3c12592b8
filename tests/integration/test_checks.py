"""
Checks as they are run: real shells, their output kept, their whole group ended.
"""

import os
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from factories import FixedClock
from gitworld import nest
from orchestrd.clock import Clock, SystemClock
from orchestrd.domain.model import Check
from orchestrd.runner.checks import run_check
from orchestrd.services import endings
from orchestrd.storage.rundir import RunDir

pytestmark = pytest.mark.anyio


class Switch:
    """
    Says whether all is frozen, and tells when that changes; counts how often somebody asked what to wait for.
    """

    def __init__(self) -> None:
        self.frozen = False
        self._changed = anyio.Event()
        self._asked = anyio.Event()
        self._looks = 0

    def changes(self) -> anyio.Event:
        self._looks += 1
        asked, self._asked = self._asked, anyio.Event()
        asked.set()
        return self._changed

    async def looked(self, times: int) -> None:
        """
        Wait until somebody has asked so often.
        """
        with anyio.fail_after(20):
            while self._looks < times:
                await self._asked.wait()

    async def look(self) -> None:
        """
        Have whoever waits look again, and wait until that is done.
        """
        looks = self._looks
        self.turn(frozen=self.frozen)
        await self.looked(looks + 1)

    def turn(self, *, frozen: bool) -> None:
        self.frozen = frozen
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


@pytest.fixture
def overseer():
    return Switch()


@pytest.fixture
def run(tmp_path, overseer):
    tree = tmp_path / "tree"
    tree.mkdir()
    env = {"PATH": os.environ["PATH"], "MINE": "1"}

    async def run(
        command: str,
        *,
        timeout: float = 20.0,  # noqa: ASYNC109 - a field of the check
        where: Path = tree,
        clock: Clock | None = None,
    ):
        check = Check(name="it", run=command, timeout=timeout)
        log = tmp_path / "run" / "check-1.log"
        clock = clock or SystemClock()
        result = await run_check(
            check, rundir=RunDir(log.parent), tree=where, env=env, log=log, clock=clock, overseer=overseer
        )
        return result, log.read_text(encoding="utf-8")

    return run


async def test_it_passes(run, tmp_path):
    result, log = await run("echo out; echo err >&2; pwd; echo $MINE$HOME; cat")
    assert (result.name, result.status, result.exit_code) == ("it", "passed", 0)
    assert log == f"out\nerr\n{tmp_path}/tree\n1\n"
    assert Path(result.log) == tmp_path / "run" / "check-1.log"
    assert Path(result.log).stat().st_mode & 0o077 == 0
    assert 0 <= result.seconds < 20


@pytest.mark.parametrize(
    ("command", "code"), [("exit 3", 3), ("false", 1), ("nonsense-command", 127), ("kill -9 $$", -9), ("(", 2)]
)
async def test_it_fails(run, command, code):
    result, _ = await run(command)
    assert (result.status, result.exit_code) == ("failed", code)


async def test_it_takes_too_long(run):
    result, log = await run("echo begun; sleep 600", timeout=0.2)
    assert (result.status, result.exit_code) == ("timed_out", None)
    assert log == "begun\n"
    assert 0.2 <= result.seconds < 10


async def test_what_it_leaves_running_is_ended(run):
    result, log = await run("sleep 600 & echo $!; sleep 600 & echo $!")
    assert result.status == "passed"
    await gone([int(pid) for pid in log.split()])


async def test_also_when_it_takes_too_long(run):
    _, log = await run("sleep 600 & echo $!; echo $$; wait", timeout=0.2)
    await gone([int(pid) for pid in log.split()])


async def test_a_tree_that_is_not_there(run, tmp_path):
    result, log = await run("true", where=tmp_path / "none")
    assert (result.status, result.exit_code) == ("error", None)
    assert "could not be run" in log


async def test_who_is_cancelled_leaves_nothing_running(run, tmp_path):
    log = tmp_path / "run" / "check-1.log"
    async with anyio.create_task_group() as group:
        group.start_soon(run, "echo $$; sleep 600")
        with anyio.fail_after(20):
            while not (log.exists() and log.read_text(encoding="utf-8").endswith("\n")):
                await anyio.sleep(0.005)
        group.cancel_scope.cancel()
    await gone([int(log.read_text(encoding="utf-8"))])


async def test_the_log_is_that_of_the_newest_try(run):
    await run("echo one; echo two")
    _, log = await run("echo three")
    assert log == "three\n"


async def test_one_that_is_called_off_while_it_is_started_leaves_nothing(run, slow_spawn):
    async with anyio.create_task_group() as group:
        group.start_soon(run, "sleep 600 & wait")
        await slow_spawn.call_off(group)
    await gone(slow_spawn.pids)


async def gone(pids: list[int]) -> None:
    with anyio.fail_after(60):
        for pid in pids:
            while is_running(pid):
                await anyio.sleep(0.005)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


async def test_nothing_is_begun_while_all_is_frozen(run, overseer, tmp_path):
    overseer.turn(frozen=True)
    async with anyio.create_task_group() as group:
        group.start_soon(run, "touch begun")
        await anyio.wait_all_tasks_blocked()
        assert not (tmp_path / "run" / "check-1.log").exists()
        overseer.turn(frozen=False)
    assert (tmp_path / "tree" / "begun").exists()


async def test_a_limit_stands_still_with_the_rest(run, overseer):
    """
    Half an hour of a limit of one is over; two days pass frozen; then the other half is left.
    """
    results, clock = [], FixedClock()

    async def check():
        results.append((await run("sleep 600", timeout=3600.0, clock=clock))[0])

    async with anyio.create_task_group() as group:
        group.start_soon(check)
        # Once before it is begun, once when its limit is waited for.
        await overseer.looked(2)
        clock.now += 1800.0
        overseer.frozen = True
        await overseer.look()
        clock.now += 2 * 86_400.0
        # Whoever found that it is over would look no more.
        for _ in range(2):
            await overseer.look()
        assert not results
        overseer.frozen = False
        await overseer.look()
        clock.now += 1799.0
        for _ in range(2):
            await overseer.look()
        assert not results
        clock.now += 1.0
        overseer.turn(frozen=False)
    assert results[0].status == "timed_out"
    assert results[0].seconds == 3600.0


async def test_what_they_leave_in_their_homes_is_cleared_however_deep_it_lies(tmp_path):
    homes = tmp_path / "homes"
    async with endings._cleared(homes):
        assert not homes.exists(), "there is none without a sandbox"
    homes.mkdir()
    async with endings._cleared(homes):
        await anyio.to_thread.run_sync(nest, homes, "deep", "d", 1300)
    assert not homes.exists()
