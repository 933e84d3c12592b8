"""
Forbidden acts are denied before they run, told to the agent, and reported; everything else is left alone.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from kit.script import DAY, bash, call, say, scenario, task, use, write

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
    ("outside", "echo owned > {project}/owned.txt"),
    ("outside", "cp README.md {project}/copy.md"),
]
ALLOWED = ["git status --short", "git log --oneline", "git diff", "ls src", "cat README.md", "echo x > $TMPDIR/note"]


def tree_state(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_forbidden_acts(make_world):
    project = Path("/nowhere")
    steps = [
        *(bash(command) for _, command in FORBIDDEN),
        call(use("Write", file_path="{project}/owned.txt", content="owned")),
        call(use("Edit", file_path="{project}/README.md", old_string="# Example", new_string="# Owned")),
        *(bash(command) for command in ALLOWED),
        write("mine.txt", "mine"),
        say("I tried everything."),
    ]
    # The project's place is only known in the agent's own tree: its scenario reads it from there.
    world = make_world([], start=False)
    project = world.project
    world.close()
    del project
    world = make_world([scenario("bad", *steps, usage={"input": 10})], start=False)
    world.close()
    del world, steps
    pytest.skip("made below")


