"""
F33: an older daemon finds a newer home: it refuses, names both versions, and changes nothing.
"""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys

import pytest
from harness.journals import Writer, die, snapshot
from harness.mutant import Mutant
from kit.ground import Ground

from orchestrd.errors import NewerJournal
from orchestrd.storage.integrity import log_of
from orchestrd.storage.journal import Journal
from orchestrd.storage.schema import SCHEMA_VERSION


def modernise(path) -> None:
    """
    As a later version would leave it: another schema, tables of its own.
    """
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE later (x)")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()


@pytest.mark.slow
def test_a_daemon_on_a_newer_home(tally):
    with Ground(start=False) as world:
        var = world.home / "var"
        var.mkdir(mode=0o700)
        writer = Writer(var / "orchestrd.db")
        writer.begin()
        writer.journal.close()
        modernise(var / "orchestrd.db")
        for folder in (
            "agent_workspaces",
            "agent_status",
            "agent_logs",
            "agent_questions",
            "results",
            "feedback",
            "git",
        ):
            (var / folder).mkdir(mode=0o700)
        (var / ".gitignore").write_text("*\n")
        before = everything(var)
        done = subprocess.run(
            [sys.executable, "-m", "orchestrd", "--home", str(world.home)],
            env=world.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 78
        assert f"has schema {SCHEMA_VERSION + 1}, this version reads {SCHEMA_VERSION}" in done.stderr
        assert "Nothing was changed." in done.stderr
        assert everything(var) == before
    tally("F33", note="a daemon on a newer home: exit 78, every byte as before")


def everything(folder) -> dict:
    """
    Every path below *folder* with its mode, time and content; but the lock, which says who held it last.
    """
    found = {}
    for path in (path for path in sorted(folder.rglob("*")) if path.name != "orchestrd.lock"):
        status = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
        found[str(path)] = (status.st_mode, status.st_mtime_ns if data is not None else None, data)
    return found


def test_the_newer_version_is_only_in_the_log_yet(tmp_path):
    """
    A newer daemon was killed right after it had brought the journal to its schema.
    """
    writer = Writer(tmp_path / "orchestrd.db")
    writer.begin()
    db = writer.journal._db
    db.execute("BEGIN")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 7}")
    db.execute("COMMIT")
    path = die(writer.path, tmp_path / "dead")
    writer.journal.close()
    assert log_of(path).exists()
    before = snapshot(path.parent)
    with pytest.raises(NewerJournal, match=f"has schema {SCHEMA_VERSION + 7}, this version reads {SCHEMA_VERSION}"):
        Journal(path)
    assert snapshot(path.parent) == before


MUTANTS = (
    Mutant(
        "the version is looked at after the home was opened for writing",
        file="storage/integrity.py",
        old="    if version > SCHEMA_VERSION:",
        new="    if version > SCHEMA_VERSION + 5:",
        test="test_a_daemon_on_a_newer_home",
    ),
    Mutant(
        "the log is folded before it is known whose it is",
        file="storage/integrity.py",
        old='"mode=ro" if log_of(path).exists() else "immutable=1"',
        new='"mode=rw"',
        test="test_the_newer_version_is_only_in_the_log_yet",
    ),
)
