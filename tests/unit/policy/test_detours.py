"""
Programs that delete, run, show or write by a detour that nobody would look for, and honest ones that look like it: each case of
``detours.jsonl`` by itself, for the rule that it names.
"""

from __future__ import annotations

import pytest

from policyworld import corpus, rule, verdict


@pytest.mark.parametrize("case", corpus("detours"), ids=lambda case: f"{case.category}: {case.command}"[:80])
def test_detours(case):
    found = verdict(case.command)
    assert (found.rule, found.decision) == (case.rule, case.verdict), found


def test_a_home_with_settings_in_it():
    assert rule("mkdir h; printf x > h/.npmrc; HOME=$PWD/h npm test") == "exec-unknown"
    assert rule("echo x > /tmp/agent/git/config; XDG_CONFIG_HOME=/tmp/agent git status") == "exec-unknown"
    assert rule("mkdir h; HOME=$PWD/h npm test") == "none"


@pytest.mark.parametrize(
    "command", ["uniq a .git/HEAD", "cargo build --target-dir .git", "ln -s .claude c", "x --out=.mcp.json"]
)
def test_what_protects_this_program_is_fixed(command):
    assert verdict(command).fixed
