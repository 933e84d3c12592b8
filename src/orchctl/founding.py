"""
Make a home: its settings, texts, an example, and the private folder for the daemon's state.

Never overwrites a file.  Knows nothing of the daemon.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import msgspec

from orchctl.failures import Failed, Misuse
from orchestrd.config import CONFIG_FILE, PRICES_FILE, TEXT_FILES, default_text, load_config, project_path, speakable
from orchestrd.rulebook import RULES_FILE

EXAMPLE_FILE = "tasks/example.yaml"

_PROJECT_LINE = re.compile(r"^project:.*$", re.MULTILINE)
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./ -]*[A-Za-z0-9_./-]|[A-Za-z0-9_.]")
_FAR = 2
"""Steps up that a relative path to the project may take."""

EXAMPLE = """\
# One day's tasks.  Copy this file to tasks/YYYY-MM-DD.yaml, write what you want done, and submit it:
#
#   orchctl submit tasks/YYYY-MM-DD.yaml --wait
#
# Submitting a changed file again is safe.  Every field: orchctl schema tasks

# The day, as 2026-11-22: until you write one, nobody can submit this file by accident.
date: YYYY-MM-DD

# The most this day may cost; else max_daily_cost_usd of config/orchestrd.yaml holds.
max_cost_usd: 20.00

tasks:
  - id: task-001
    name: "Describe the public API"
    # What you would tell a new colleague.  The better this is, the better the work.
    description: |
      Write docs/API.md: every public function with its parameters, result and errors, and one example each.
      Do not change any code.
    estimated_complexity: low      # low, medium or high: gives the time limit
    # context_files:               # what to read first: files, folders or globs that are in the project
    #   - README.md
    #   - src/
    deliverables:                  # what must be there in the evening
      - docs/API.md

  - id: task-002
    name: "Test the error paths"
    description: |
      Every error that docs/API.md names gets a test that provokes it.
    estimated_complexity: medium
    depends_on: [task-001]         # starts when task-001 has succeeded
    # checks:                      # commands the daemon runs in the agent's tree before it calls the task done
    #   - make test
    deliverables:
      - "Tests for every documented error"
"""


class Founded(msgspec.Struct, frozen=True, kw_only=True):
    """
    What was made: paths relative to *home*.  *kept* files existed before and were not touched.
    """

    home: str
    project: str
    created: list[str]
    kept: list[str]
    notes: list[str]


def found(home: Path, project: Path) -> Founded:
    """
    Make *home* a home for *project*.

    Raises `Misuse` when *project* is no git repository, `Failed` when files cannot be written, `ConfigError` when a
    settings file that exists already cannot be read, or when no home can have such a path.
    """
    home = speakable(Path(os.path.abspath(home)))  # noqa: PTH100 - keep symlinks as the person wrote them
    top = repository_of(project)
    created: list[str] = []
    kept: list[str] = []
    notes: list[str] = []
    if top != project.resolve():
        notes.append(f"{project} is a folder of the repository {top}: agents work on the whole of it.")
    try:
        for name, text in _files(home, top):
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                kept.append(name)
            else:
                path.write_text(text, encoding="utf-8")
                created.append(name)
        var = home / "var"
        var.mkdir(mode=0o700, exist_ok=True)
        var.chmod(0o700)
        if not (var / ".gitignore").exists():
            (var / ".gitignore").write_text("*\n", encoding="utf-8")
            (var / ".gitignore").chmod(0o600)
            created.append("var/.gitignore")
    except OSError as error:
        raise Failed(f"{error.filename or home}: cannot be written: {error.strerror}") from None
    if CONFIG_FILE in kept:
        actual = project_path(home, load_config(home))
        if actual != top:
            notes.append(f"{CONFIG_FILE} was there already and says project: {actual}; change it there.")
            top = actual
    return Founded(home=str(home), project=str(top), created=created, kept=kept, notes=notes)


def repository_of(project: Path) -> Path:
    """
    The top folder of the git repository that *project* is in.  Raises `Misuse` when there is none.
    """
    folder = project.expanduser().resolve()
    if not folder.is_dir():
        raise Misuse(f"{project}: no such folder", hint="--project names the git repository that agents work on.")
    for place in (folder, *folder.parents):
        # A file in linked worktrees and submodules, a folder elsewhere.
        if (place / ".git").exists():
            return place
    raise Misuse(
        f"{project}: not a git repository, nor in one",
        hint=f"Make it one first: git -C {folder} init && git -C {folder} add -A && git -C {folder} commit -m start",
    )


def _files(home: Path, project: Path) -> list[tuple[str, str]]:
    settings, count = _PROJECT_LINE.subn(
        lambda _: f"project: {_yaml(_from_home(home, project))}", default_text("orchestrd.yaml"), count=1
    )
    assert count == 1, "the packaged settings have a project line"
    return [
        (CONFIG_FILE, settings),
        (PRICES_FILE, default_text("prices.yaml")),
        (RULES_FILE, default_text("policy.yaml")),
        *((f"config/{name}", default_text(name)) for name in TEXT_FILES),
        (EXAMPLE_FILE, EXAMPLE),
    ]


def _from_home(home: Path, project: Path) -> str:
    """
    The project's path as the settings name it: relative when it is near and really leads there, else absolute.
    """
    relative = os.path.relpath(project, home)
    steps = Path(relative).parts.count("..")
    # A home behind a symlink: ".." leads elsewhere than the text says.
    if steps <= _FAR and (home / relative).resolve() == project:
        return relative
    return str(project)


def _yaml(text: str) -> str:
    # Every JSON string is a YAML string.
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
