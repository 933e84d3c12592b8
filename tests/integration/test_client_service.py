"""
``orchctl service`` where there is no service manager, and what it writes where there is one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchctl.__main__ import main
from orchctl.failures import Misuse
from orchctl.founding import found
from orchctl.service import _notes
from orchctl.unit import Unit
from orchestrd.address import home_name, socket_path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project = tmp_path / "project"
    subprocess.run(["git", "init", "-q", project], check=True)
    root = tmp_path / "h"
    found(root, project)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(root)
    return root


def systemctl(folder: Path, script: str) -> str:
    """
    A PATH whose ``systemctl`` does what *script* says.
    """
    program = folder / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    return f"{program.parent}:/usr/bin:/bin"


@pytest.mark.parametrize("command", ["install", "uninstall", "status"])
def test_without_systemd_it_is_refused_and_says_what_to_use(
    home: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    monkeypatch.setenv("PATH", str(nothing))
    assert main(["service", command]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert "there is no systemctl on PATH" in err
    assert "orchctl daemon start" in err
    assert not (tmp_path / ".config").exists()


def test_a_manager_that_cannot_be_reached_is_told_from_none(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", systemctl(tmp_path, "echo 'Failed to connect to bus' >&2; exit 1"))
    assert main(["service", "install", "--json"]) == 4
    assert json.loads(capsys.readouterr().err)["error"]["message"].endswith("Failed to connect to bus")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert main(["service", "install"]) == 4
    assert "XDG_RUNTIME_DIR is not set" in capsys.readouterr().err


def test_files_are_written_once(home: Path, tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/somewhere/bin:/bin"}
    unit = Unit(home, environ)
    assert unit.name == f"orchestrd-{home_name(home)}"
    service, socket = unit.files
    assert service.parent == tmp_path / ".config" / "systemd" / "user"
    assert unit.write() == [str(service), str(socket)]
    assert unit.write() == []
    text = service.read_text()
    assert text.startswith("[Unit]\n")
    assert f'ExecStart="{sys.executable}" -P -m orchestrd --home "{home}"\n' in text
    assert 'Environment="PATH=/somewhere/bin:/bin"\n' in text
    assert f"ListenStream={socket_path(home, environ)}\n" in socket.read_text()
    assert "@" not in text + socket.read_text()
    service.write_text("changed by hand")
    assert unit.write() == [str(service)]
    elsewhere = Unit(home, {**environ, "XDG_CONFIG_HOME": str(tmp_path / "c")})
    assert elsewhere.files[0].parent == tmp_path / "c" / "systemd" / "user"
    assert not elsewhere.installed
    assert unit.installed


@pytest.mark.parametrize(
    "name",
    ["two\nlines", "ends in a backslash\\", "ends in a space ", pytest.param(os.fsdecode(b"\xff"), id="not UTF-8")],
)
def test_a_home_that_no_unit_can_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Misuse, match="cannot be written into a unit file"):
        Unit(tmp_path / name, {"HOME": str(tmp_path)}).write()


def test_what_agents_would_miss_is_named(home: Path, tmp_path: Path) -> None:
    path = systemctl(tmp_path, 'case "$*" in *show-environment*) echo "HTTPS_PROXY=x";; esac')
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": path}
    unit = Unit(home, environ)
    keys = {"ANTHROPIC_API_KEY": "secret", "CLAUDE_CODE_OAUTH_TOKEN": "secret", "HTTPS_PROXY": "x", "UNRELATED": "x"}
    names = ["PATH", "HOME", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "HTTPS_PROXY", "ANTHROPIC_BASE_URL"]
    (note,) = _notes(unit, names, {**environ, **keys})
    assert "ANTHROPIC_API_KEY, CLAUDE_CODE_OAUTH_TOKEN." in note
    assert "secret" not in note
    kept = home / "config" / "service.env"
    kept.write_text("ANTHROPIC_API_KEY=secret\nCLAUDE_CODE_OAUTH_TOKEN=secret\n")
    kept.chmod(0o644)
    (note,) = _notes(unit, names, {**environ, **keys})
    assert note.endswith(f"chmod 600 {kept}")
    kept.chmod(0o600)
    assert _notes(unit, names, {**environ, **keys}) == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="not installed: systemd-analyze")
@pytest.mark.slow
def test_the_units_verify_without_a_word(home: Path, tmp_path: Path) -> None:
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    unit = Unit(home, environ)
    files = unit.write()
    command = ["systemd-analyze", "--user", "--man=no", "verify", *files]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    # A key that it does not know is a warning, and exit status 0.
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
