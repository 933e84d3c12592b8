"""
A shim in a scope, with a stand-in for ``systemd-run``: made where it can be, done without where it cannot, never twice.
"""

import json
import sys
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from factories import RUN
from orchestrd.errors import AgentError
from orchestrd.runner import launch as launching
from orchestrd.runner.launch import launch
from orchestrd.runner.scopes import Scopes
from orchestrd.storage.rundir import RunDir, RunSpec

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
RUNS = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'
"""What ``systemd-run --scope`` does once the scope is there."""


@pytest.fixture
def stand_in(tmp_path):
    """
    Scopes whose ``systemd-run`` notes its words and then does what a script says; and those words.
    """

    def make(script: str, **more) -> tuple[Scopes, Path]:
        noted = tmp_path / "noted"
        program = tmp_path / "bin" / "systemd-run"
        program.parent.mkdir()
        program.write_text(
            f'#!/bin/sh\nprintf "%s " "$@" >> {noted}\nenv | sort | tr "\\n" " " >> {noted}\necho >> {noted}\n{script}\n'
        )
        program.chmod(0o700)
        environ = {"PATH": f"{program.parent}:/usr/bin:/bin", "XDG_RUNTIME_DIR": "/run/user/1", "SECRET": "s"}
        return Scopes(**{"home": "0123abcd", "memory_max": None, "environ": environ, **more}), noted

    return make


@pytest.fixture
async def rundir(tmp_path):
    made = RunDir(tmp_path / "run")
    made.create(RunSpec(run=RUN, argv=["/bin/sleep", "600"], cwd=str(tmp_path), env={"PATH": "/bin"}, grace=1.0))
    yield made
    made.tell("stop 0")
    with anyio.fail_after(20):
        while made.shim_alive():
            await anyio.sleep(0.01)


async def test_a_scope_is_named_after_the_run_and_limited(stand_in, rundir):
    scopes, noted = stand_in(RUNS, memory_max=3 << 30)
    await launch(rundir, run="2026-11-22/a b%/1", scopes=scopes)
    assert rundir.shim_alive()
    words = noted.read_text()
    assert words.startswith(
        "--user --scope --collect --quiet --slice=orchestrd.slice --unit=orchestrd-agent-0123abcd-2026-11-22-a-b--1-"
    )
    assert "--property=MemoryMax=3221225472 --property=OOMPolicy=continue -- env -i PATH=" in words
    assert "XDG_RUNTIME_DIR=/run/user/1" in words
    assert "SECRET" not in words
    shim = json.loads((rundir.path / "process.json").read_bytes())["shim"]
    names = Path(f"/proc/{shim}/environ").read_bytes().rstrip(b"\0").split(b"\0")
    assert {name.partition(b"=")[0] for name in names} == {b"PATH", b"LC_ALL"}


async def test_without_a_manager_the_agent_starts_and_the_log_says_so_once(stand_in, rundir, tmp_path):
    scopes, noted = stand_in("echo 'Failed to connect to bus' >&2; exit 1")
    other = RunDir(tmp_path / "other")
    other.create(RunSpec(run=RUN, argv=["/bin/true"], cwd=str(tmp_path), env={}))
    with capture_logs() as logs:
        await launch(rundir, run="a", scopes=scopes)
        await launch(other, run="b", scopes=scopes)
    assert rundir.shim_alive()
    assert [(line["event"], line["error"]) for line in logs] == [("scope.refused", "Failed to connect to bus")]
    assert len(noted.read_text().splitlines()) == 2


async def test_an_older_manager_is_asked_again_for_less(stand_in, rundir):
    refuse = 'case "$*" in *OOMPolicy*) echo "Unknown assignment: OOMPolicy=continue" >&2; exit 1;; esac'
    scopes, noted = stand_in(f"{refuse}\n{RUNS}")
    with capture_logs() as logs:
        await launch(rundir, run="a", scopes=scopes)
    assert rundir.shim_alive()
    assert logs == []
    first, second = noted.read_text().splitlines()
    assert "OOMPolicy" in first
    assert "OOMPolicy" not in second


async def test_a_manager_that_hangs_is_not_waited_for(stand_in, rundir, monkeypatch):
    monkeypatch.setattr(launching, "SCOPE_SECONDS", 0.5)
    scopes, _ = stand_in("exec sleep 600")
    with capture_logs() as logs:
        await launch(rundir, run="a", scopes=scopes)
    assert rundir.shim_alive()
    assert [line["event"] for line in logs] == ["scope.refused"]


async def test_an_agent_that_cannot_start_is_not_tried_again_outside(stand_in, tmp_path):
    scopes, noted = stand_in(RUNS)
    broken = RunDir(tmp_path / "broken")
    broken.create(RunSpec(run=RUN, argv=[str(tmp_path / "missing")], cwd=str(tmp_path), env={}))
    with pytest.raises(AgentError, match="missing"):
        await launch(broken, run="a", scopes=scopes)
    assert len(noted.read_text().splitlines()) == 1
    assert sys.executable in noted.read_text()
