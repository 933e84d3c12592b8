"""
The CLI's own rules never forbid what the policy allows, and say nothing that would make the CLI drop them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from orchestrd.policy import backstop
from orchestrd.policy.engine import judge
from orchestrd.policy.scope import Scope

SCOPE = Scope(tree="/home/dev/project", scratch=("/tmp/agent",), home="/home/dev")
CORPUS = Path(__file__).parents[1] / "data" / "policy" / "corpus.jsonl"
TAILS = ("", " x", " -m x", " --help", " -h", " --list", " -l", " --dry-run", " -v", " --get x")


def commands() -> list[tuple[str, bool]]:
    """
    What each rule on commands begins with, and whether more may follow.
    """
    found = [re.fullmatch(r"Bash\((.*?)(:\*)?\)", rule) for rule in backstop.rules()]
    return [(match[1], match[2] is not None) for match in found if match]


def allowed(command: str) -> bool:
    return judge("Bash", {"command": command}, SCOPE).allowed


def path_of(rule: str) -> str:
    path = rule.partition("(")[2].removesuffix(")").replace("**/", "deep/").replace("**", "some/file")
    if path.startswith("//"):
        return path[1:]
    return path.replace("~", "/home/dev") if path.startswith("~") else f"/home/dev/project/{path}"


@pytest.mark.parametrize(("command", "more"), commands())
def test_a_rule_on_commands_forbids_nothing_that_the_policy_allows(command: str, *, more: bool) -> None:
    for tail in TAILS if more else ("",):
        assert not allowed(command + tail), command + tail


@pytest.mark.parametrize("rule", [rule for rule in backstop.rules() if not rule.startswith("Bash")])
def test_a_rule_on_files_forbids_nothing_that_the_policy_allows(rule: str) -> None:
    for tool in ("Edit", "Write") if rule.startswith("Edit") else ("Read",):
        arguments = {"file_path": path_of(rule), "content": "x"}
        assert not judge(tool, arguments, SCOPE).allowed, (tool, rule)


def test_no_honest_command_of_the_corpus_begins_as_a_rule_does() -> None:
    rows = map(json.loads, CORPUS.read_text(encoding="utf-8").splitlines())
    honest = {row["command"].strip() for row in rows if row["verdict"] == "allow"}
    assert len(honest) > 500
    for command, more in commands():
        assert command not in honest
        assert not more or not [one for one in honest if one.startswith(f"{command} ")], command


def test_the_settings_are_what_the_cli_takes() -> None:
    said = json.loads(backstop.settings())
    assert list(said) == ["permissions"]
    assert said["permissions"]["deny"] == backstop.rules()
    assert all(re.fullmatch(r"(?:Bash|Edit|Read)\([^()]+\)", rule) for rule in backstop.rules())
    # It is one argument of every agent's command line.
    assert len(backstop.settings()) < 16_000
