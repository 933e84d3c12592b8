"""
What an agent may say to `orchctl`: whatever only looks, and nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.main import get_command

from orchctl.__main__ import main
from orchctl.cli.app import app
from orchctl.cli.options import Look
from orchestrd.ancestry import MARK

RUN = "2026-11-22/task-001/1"
CHANGES = {
    "submit day.yaml",
    "answer task-001 yes",
    "cancel task-001",
    "retry task-001",
    "apply task-001",
    "restore task-001",
    "init --project .",
    "freeze",
    "thaw",
    "doctor --repair",
    "daemon start",
    "daemon stop",
    "daemon restart",
    "service install",
    "service uninstall",
    "policy disallow task-001 1.1",
}
LOOKS = {
    "policy check ls",
    "policy explain",
    "policy test corpus.jsonl",
    "status",
    "why task-001",
    "wait",
    "questions",
    "logs task-001",
    "diff task-001",
    "report",
    "costs",
    "events",
    "inspect stream.jsonl",
    "schema tasks",
    "daemon status",
    "service status",
    "submit day.yaml --dry-run",
    "apply task-001 --dry-run",
    "doctor --deep",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    No daemon serves it: a command that is not refused says so, or does without.
    """
    root = tmp_path / "h"
    (root / "config").mkdir(parents=True)
    (root / "config" / "orchestrd.yaml").write_text("project: .\n")
    (root / "stream.jsonl").touch()
    (root / "corpus.jsonl").write_text('{"command": "ls", "verdict": "allow", "rule": "none", "category": "safe"}\n')
    monkeypatch.chdir(root)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv(MARK, str(root / "var" / "agent_logs" / RUN))
    return root


@pytest.mark.parametrize("command", sorted(CHANGES))
def test_what_changes_something_is_refused(home, capsys, command):
    before = sorted(home.rglob("*"))
    assert main(command.split()) == 4
    out, err = capsys.readouterr()
    assert out == ""
    name = _name(command)
    assert err.startswith(f"error: orchctl {name}: ")
    assert f"this is a process of the run {RUN}, and an agent may only look" in err
    assert sorted(home.rglob("*")) == before


def test_the_refusal_as_json(home, capsys):
    assert main(["answer", "task-001", "yes", "--json"]) == 4
    out, err = capsys.readouterr()
    assert (out, json.loads(err)["error"]["code"]) == ("", -32022)


@pytest.mark.parametrize("command", sorted(LOOKS))
def test_what_only_looks_is_not(home, capsys, command):
    assert main(command.split()) in {0, 1, 3, 4}
    assert "an agent may only look" not in capsys.readouterr().err


def test_every_command_is_one_or_the_other():
    """
    A command that is new is for the person, until somebody says that it only looks.
    """
    found = dict(_leaves(get_command(app), ()))
    looks = {name for name, command in found.items() if isinstance(command, Look)}
    named = {_name(line) for line in LOOKS | CHANGES}
    assert set(found) == named
    assert looks == named - {_name(line) for line in CHANGES if line != "doctor --repair"}


def _leaves(command, path):
    for name, child in getattr(command, "commands", {}).items():
        if hasattr(child, "commands"):
            yield from _leaves(child, (*path, name))
        else:
            yield " ".join((*path, name)), child


def _name(line: str) -> str:
    words = line.split()
    return " ".join(words[:2] if words[0] in {"daemon", "policy", "service", "schema"} else words[:1])
