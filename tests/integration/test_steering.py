"""
What sets up the agent's own program is found wherever links lead, and whether git lists it or not.
"""

from __future__ import annotations

import msgspec
import pytest

from orchestrd.workspace.steering import FILES, read_steering, steering


@pytest.fixture
def tree(tmp_path):
    tree = tmp_path / "tree"
    for name in ("tools/claude/settings.json", "notes/AGENTS.md", "src/x.py"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("{}")
    return tree


def test_settings_by_their_names(tree):
    (tree / ".claude").mkdir()
    (tree / ".claude/settings.local.json").write_text("{}")
    (tree / ".mcp.json").write_text("{}")
    found = steering(tree)
    assert sorted(found.held) == [".claude/settings.local.json", ".mcp.json"]
    assert found.places == ()
    assert [name for name in ("src/x.py", ".mcp.json", ".claude/new") if found.steers(name)] == [
        ".mcp.json",
        ".claude/new",
    ]


def test_a_link_leads_to_settings(tree):
    (tree / ".claude").symlink_to("tools/claude")
    found = steering(tree)
    assert found.places == ("tools/claude",)
    told = [
        name for name in (".claude", "tools/claude/settings.json", "tools/claude/new", "tools/x") if found.steers(name)
    ]
    assert told == [".claude", "tools/claude/settings.json", "tools/claude/new"]


def test_a_link_on_the_way_and_one_in_the_folder(tree):
    (tree / "kit").symlink_to("tools")
    (tree / ".claude").mkdir()
    (tree / ".claude/CLAUDE.md").symlink_to("../notes/AGENTS.md")
    (tree / ".claude/skills").symlink_to(tree / "kit" / "claude")
    (tree / ".claude/later").symlink_to("../not/yet")
    found = steering(tree)
    assert set(found.places) == {"notes/AGENTS.md", "tools/claude", "not/yet"}
    assert [name for name in ("kit", "notes/AGENTS.md", "not/yet", "src/x.py") if found.steers(name)] == [
        "kit",
        "notes/AGENTS.md",
        "not/yet",
    ]


def test_what_leads_away_round_or_to_everything(tree, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "settings.json").write_text("secret")
    (tree / ".claude").mkdir()
    (tree / ".claude/away").symlink_to(outside)
    (tree / ".claude/round").symlink_to("round")
    (tree / ".claude/all").symlink_to("..")
    found = steering(tree)
    assert sorted(found.held) == [".claude/all", ".claude/away", ".claude/round"]
    assert found.places == ()
    assert not found.steers("src/x.py")


@pytest.mark.parametrize("name", [".claude/settings.local.json", "CLAUDE.local.md", ".mcp.json"])
def test_what_changed_on_the_disk(tree, tmp_path, name):
    record = tmp_path / "settings.json"
    before = steering(tree)
    record.write_bytes(msgspec.json.encode(before))
    (tree / name).parent.mkdir(exist_ok=True)
    (tree / name).write_text("obey me")
    assert steering(tree).changed(read_steering(record)) == [name]
    assert steering(tree, FILES).changed(steering(tree, FILES)) == []


def test_no_record(tmp_path):
    assert read_steering(tmp_path / "none") is None
    (tmp_path / "bad").write_text("{")
    assert read_steering(tmp_path / "bad") is None
