"""
I10: what agents worked from and what they made is still in our repository, and no apply is half-way.
"""

from __future__ import annotations

import os

from orchestrd.audit.finding import Notes
from orchestrd.audit.picture import Picture
from orchestrd.config import load_config, project_path
from orchestrd.errors import ConfigError, StorageError
from orchestrd.workspace.custody import WAY_OUT, examine, held
from orchestrd.workspace.transaction import leftovers

LOST = "Put var/git back from a copy of the home; nobody can diff or apply this work, or build on it, until then."

MEND = "The next daemon makes its settings anew: if that is all that is damaged, start it."


def check_work(picture: Picture) -> Notes:
    """
    I10.
    """
    notes = Notes("I10")
    path = picture.home.git / "work.git"
    name = str(path.relative_to(picture.home.root))
    holds = held(picture.runs, picture.state.all_snapshots())
    notes.count("commits", len(set(holds.values())))
    try:
        found = examine(path, holds, deep=True)
    except (StorageError, ConfigError) as error:
        notes.warning(name, f"it could not be looked at: {error.message}", hint="Look again in a moment.")
        return notes
    if found.gone:
        detail = f"{found.gone}, and {len(found.wanted)} commits were kept in it"
        hint = f"{MEND}  {WAY_OUT}" if found.mendable else WAY_OUT
        notes.problem(name, detail, hint=hint, mendable=True)
    else:
        for ref, commit in found.lost.items():
            notes.problem(_told(ref), f"something of its commit {commit} is missing in {name}", hint=LOST)
        for ref, commit in found.unnamed.items():
            hint = "The next daemon does it, and so does `orchctl doctor --deep --repair`."
            notes.problem(_told(ref), f"its commit {commit} is kept by no ref in {name}", hint=hint, mendable=True)
    if found.given_up:
        aside = sorted(left.name for left in path.parent.glob(f"{path.name}.bad-*"))
        hint = f"What is left of it lies beside, in {', '.join(aside)}" if aside else "Nothing is left of it."
        notes.warning(name, f"{len(found.given_up)} commits were given up when an earlier one was lost", hint=hint)
    _check_project(picture, os.path.realpath(path), notes)
    return notes


def _check_project(picture: Picture, owner: str, notes: Notes) -> None:
    try:
        project = project_path(picture.home.root, load_config(picture.home.root))
    except ConfigError:
        return
    left = leftovers(project, owner)
    for place in left.cut:
        hint = "The next daemon, or the next apply, puts back what it had moved; what is in the way is in the daemon's log."
        notes.warning(str(place), "an apply was cut off: files of the project lie here", hint=hint)
    for place in left.kept:
        hint = "Compare them with those in your tree, take what you miss, then remove this folder."
        detail = "files as they were before an apply that was cut off; you wrote others in their places"
        notes.warning(str(place), detail, hint=hint)
    if picture.served_by is None:
        for place in left.landed:
            notes.warning(str(place), "an apply is not recorded yet", hint="The next daemon records it.")


def _told(ref: str) -> str:
    """
    The run and the kind that a ref is of: ``DAY/TASK/RUN/result``.
    """
    return ref.removeprefix("refs/orchestrd/orchestrd/")
