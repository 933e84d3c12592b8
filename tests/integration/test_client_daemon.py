"""
``orchctl daemon``: a real daemon process is started, found, replaced and stopped.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchctl.__main__ import main
from orchctl.founding import found

pytestmark = pytest.mark.slow
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    # Whatever agent CLI this machine has, and whoever is logged in, is none of this test's business.
    monkeypatch.setenv("HOME", str(tmp_path))
    project = tmp_path / "project"
    subprocess.run(["git", "init", "-q", project], check=True)
    root = tmp_path / "h"
    found(root, project)
    settings = root / "config" / "orchestrd.yaml"
    settings.write_text(settings.read_text().replace("binary: auto", "binary: /bin/false"))
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    def act(*args: str) -> tuple[int, str, str]:
        code = main(list(args))
        out, err = capsys.readouterr()
        return code, out, err

    yield act
    main(["daemon", "stop"])


# The daemon is meant to outlive whoever started it.
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_start_status_restart_stop(run: Run, home: Path) -> None:
    assert run("daemon", "status")[0] == 3

    code, out, _ = run("daemon", "start", "--json")
    first = json.loads(out)["pid"]
    assert code == 0
    assert os.getsid(first) == first
    assert (home / "var" / "orchestrd.out").stat().st_mode & 0o777 == 0o600

    code, out, _ = run("daemon", "start")
    assert code == 0
    assert f"already running: process {first}" in out

    code, out, _ = run("daemon", "restart", "--json")
    second = json.loads(out)["pid"]
    assert code == 0
    assert second != first
    assert json.loads(run("status", "--json")[1])["daemon"]["pid"] == second

    code, out, _ = run("daemon", "stop")
    assert code == 0
    assert f"process {second}" in out
    assert run("daemon", "status")[0] == 3


def test_a_daemon_that_dies_at_once_tells_its_last_words(run: Run, home: Path) -> None:
    (home / "var" / "orchestrd.out").write_text("words of an earlier life\n")
    with (home / "config" / "orchestrd.yaml").open("a") as settings:
        settings.write("max_concurent_agents: 3\n")
    code, out, err = run("daemon", "start")
    assert (code, out) == (4, "")
    assert "ended at once (exit status 78)" in err
    assert "max_concurent_agents" in err
    assert "earlier life" not in err


def test_the_doctor_works_without_a_daemon(run: Run, home: Path) -> None:
    code, out, _ = run("doctor", "--json")
    found_checks = {check["name"]: check["status"] for check in json.loads(out)["checks"]}
    assert code == 1
    assert found_checks["daemon"] == "warning"
    assert "problem" in found_checks.values()
