"""
Checks as they are run: real shells, their output kept, their whole group ended.
"""

import os
from pathlib import Path

import anyio
import pytest

from orchestrd.clock import SystemClock
from orchestrd.domain.model import Check
from orchestrd.runner.checks import run_check

pytestmark = pytest.mark.anyio


@pytest.fixture
def run(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    env = {"PATH": os.environ["PATH"], "MINE": "1"}

    async def run(command: str, *, timeout: float = 20.0, where: Path = tree):  # noqa: ASYNC109 - a field of the check
        check = Check(name="it", run=command, timeout=timeout)
        log = tmp_path / "run" / "check-1.log"
        result = await run_check(check, tree=where, env=env, log=log, clock=SystemClock())
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
