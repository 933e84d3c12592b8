"""
Forbidden acts are denied before they run, told to the agent, and reported; everything else is left alone.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from kit.script import agent, bash, call, conversation, say, scenario, task, use, write
from kit.world import World

pytestmark = [pytest.mark.timeout(180)]

FORBIDDEN = [
    ("git", 'git commit --allow-empty -m "x"'),
    ("git", "git add -A && git status"),
    ("git", "sh -c 'git push origin main'"),
    ("git", "git checkout -b other"),
    ("git", "git stash"),
    ("delete", "rm README.md"),
    ("delete", "rm -rf src"),
    ("db", "python manage.py migrate"),
    ("db", "npx prisma migrate deploy"),
    ("outside", "echo owned > PROJECT/owned.txt"),
    ("outside", "cp README.md PROJECT/copy.md"),
]
ALLOWED = ["git status --short", "git log --oneline", "git diff", "ls src", "cat README.md", "echo x > $TMPDIR/note"]


def tree_state(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_forbidden_acts(make_world):
    def scenarios(world: World) -> list[dict]:
        steps = [
            *(bash(command.replace("PROJECT", str(world.project))) for _, command in FORBIDDEN),
            call(use("Write", file_path=f"{world.project}/owned.txt", content="owned")),
            call(use("Write", file_path=f"{world.home}/config/owned.txt", content="owned")),
            *(bash(command) for command in ALLOWED),
            write("mine.txt", "mine"),
            say("I tried everything."),
        ]
        return [scenario("bad", *steps)]

    world = make_world(scenarios)
    before, refs = tree_state(world.project), world.git("for-each-ref")
    world.submit(task("bad"))
    assert world.wait() == {"bad": "succeeded"}
    # Nothing happened, neither here nor there.
    assert tree_state(world.project) == before
    assert world.git("for-each-ref") == refs
    assert world.git("status", "--porcelain") == ""
    assert not (world.home / "config" / "owned.txt").exists()
    tree = world.workspace("bad") / "tree"
    left = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()} - {".git"}
    assert left == {"README.md", "src/app.py", "gate.py", "mine.txt"}
    files = [file["path"] for file in world.events("run.exited")[0]["event"]["files"]]
    assert files == ["mine.txt"]
    # Each is known, with the rule that decided; the agent was told what to do instead.
    wanted = [*(rule for rule, _ in FORBIDDEN), "outside", "outside"]
    seen = [e["event"] for e in world.events("run.violation_seen")]
    assert [violation["rule"] for violation in seen] == wanted
    assert world.status("bad")["violations"] == len(wanted)
    calls = [e["event"] for e in world.events("run.tool_called")]
    returned = {e["event"]["call"]: e["event"]["is_error"] for e in world.events("run.tool_returned")}
    assert [returned[found["call"]] for found in calls] == [*(True for _ in wanted), *(False for _ in ALLOWED), False]
    raw = (world.run_dir("bad/1") / "stdout.jsonl").read_text()
    assert "Leave your changes uncommitted" in raw
    assert "Create the migration file" in raw
    # The person reads of it.
    report = world.orchctl("report", "--json").json
    assert [v["rule"] for v in report["data"]["violations"]] == wanted
    section = report["markdown"].partition("## Violations")[2].partition("\n## ")[0]
    for words in (
        "git commit",
        "git push origin main",
        "rm README.md",
        "manage.py migrate",
        "prisma migrate",
        "copy.md",
    ):
        assert words in section, words
    assert world.rpc("task.diff", task="bad")["text"].count("diff --git") == 1


def test_a_subagent_is_held_to_the_same_rules(make_world):
    world = make_world(
        [
            scenario("boss", agent("do the dirty work"), say("Waiting."), say("Done.")),
            conversation("do the dirty work", bash("git commit -am x"), bash("rm README.md"), say("Denied.")),
        ]
    )
    world.submit(task("boss"))
    assert world.wait() == {"boss": "succeeded"}
    assert [e["event"]["rule"] for e in world.events("run.violation_seen")] == ["git", "delete"]
    assert (world.workspace("boss") / "tree" / "README.md").exists()
