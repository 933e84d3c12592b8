"""
What the canary makes of programs that are no obedient CLI; the real ones are in ``tests/acceptance/test_obedience.py``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from orchestrd.errors import AgentError
from orchestrd.runner.claude_cli import AgentCli
from orchestrd.services import canary
from orchestrd.services.canary import Canary

pytestmark = pytest.mark.anyio
ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/home/of/the/person",
    "ANTHROPIC_API_KEY": "sk-secret",
    "CLAUDE_CODE_OAUTH_TOKEN": "secret",
    "HTTPS_PROXY": "http://proxy",
    "LANG": "C.UTF-8",
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def program(folder: Path, *lines: str) -> AgentCli:
    path = folder / "claude"
    path.write_text("\n".join([f"#!{sys.executable}", "import os, sys, time", *lines, ""]))
    path.chmod(0o755)
    return AgentCli(path=str(path), version="2.1.330")


async def refused(folder: Path, cli: AgentCli) -> str:
    with pytest.raises(AgentError) as raised:
        await Canary(folder).prove(cli, ENV, [])
    assert "agent.canary: false" in (raised.value.hint or "")
    assert not (folder / "canary.json").exists()
    return raised.value.message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("denied", "ran a command that was denied"),
        ("inner", "ran a subagent's command that was denied"),
        ("ruled", "its own rules"),
        ("late", "the hook's answer never came"),
        ("gone", "nobody was there to be asked"),
    ],
)
async def test_a_trace_is_enough(tmp_path: Path, name: str, words: str) -> None:
    assert words in await refused(tmp_path, program(tmp_path, f"open('../{name}', 'w')"))


async def test_a_cli_that_does_nothing_is_not_proved(tmp_path: Path) -> None:
    message = await refused(tmp_path, program(tmp_path, "sys.exit('unknown option --settings')"))
    assert "could not be tried" in message
    assert "unknown option --settings" in message
    # Nor is one that only does what is granted, and asks for nothing.
    assert "did not ask" in await refused(tmp_path, program(tmp_path, "open('../granted', 'w')"))


async def test_a_cli_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "SECONDS", 1.0)
    cli = program(tmp_path, "print('x', flush=True)", "time.sleep(600)")
    assert "could not be tried within 1 seconds" in await refused(tmp_path, cli)


async def test_nothing_of_the_person_is_handed_on(tmp_path: Path) -> None:
    out = tmp_path / "seen"
    await refused(tmp_path, program(tmp_path, f"open({str(out)!r}, 'w').write(repr(sorted(os.environ.items())))"))
    seen = out.read_text()
    assert "secret" not in seen
    assert "/home/of/the/person" not in seen
    assert "proxy" not in seen
    assert "('ANTHROPIC_API_KEY', 'canary')" in seen
    assert "http://127.0.0.1:" in seen


async def test_what_was_proved_holds_for_that_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    async def attempt(cli: AgentCli, _env: object, _args: object) -> None:
        tried.append(cli.path)

    monkeypatch.setattr(canary, "_try", attempt)
    cli = program(tmp_path, "pass")
    first = Canary(tmp_path)
    await first.prove(cli, ENV, [])
    await first.prove(cli, ENV, [])
    # A restart costs nothing; another key is no other CLI.
    await Canary(tmp_path).prove(cli, {**ENV, "ANTHROPIC_API_KEY": "sk-other"}, [])
    assert len(tried) == 1
    assert "secret" not in (tmp_path / "canary.json").read_text()
    await Canary(tmp_path).prove(cli, ENV, ["--bare"])
    assert len(tried) == 2
    await Canary(tmp_path).prove(cli, {**ENV, "CLAUDE_CODE_SIMPLE": "1"}, [])
    assert len(tried) == 3
    cli = program(tmp_path, "pass # another")
    await Canary(tmp_path).prove(cli, ENV, [])
    assert len(tried) == 4
    (tmp_path / "canary.json").write_text("no JSON")
    await Canary(tmp_path).prove(cli, ENV, [])
    assert len(tried) == 5
