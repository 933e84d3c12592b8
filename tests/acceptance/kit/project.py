"""
A small git project that agents work on.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from kit.gate import COMMAND

TEXTS = {"README.md": "# Example\n", "src/app.py": "print('hello')\n", "gate.py": COMMAND}
PERSON = ("-c", "user.name=Person", "-c", "user.email=person@example.org")
"""Who commits; before the command's own words."""


def make(folder: Path, files: dict[str, str]) -> None:
    """
    A repository with one commit that holds `TEXTS` and *files*.
    """
    for name, text in {**TEXTS, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, *PERSON, "commit", "--quiet", "-m", "start")


def git(folder: Path, *arguments: str) -> str:
    """
    What git says in *folder*, whatever settings the machine has.
    """
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_OPTIONAL_LOCKS": "0"}
    done = subprocess.run(["git", *arguments], cwd=folder, env=env, check=True, capture_output=True, text=True)
    return done.stdout
