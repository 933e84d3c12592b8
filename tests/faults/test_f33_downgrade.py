"""
F33: an older daemon finds a newer home: it refuses, names both versions, and changes nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys

import pytest
from harness.journals import Writer, die, snapshot
from harness.mutant import Mutant
from harness.script import gate, say, stream
from kit.ground import Ground
from kit.processes import alive, until
from kit.script import DAY, task

from orchestrd.errors import NewerJournal
from orchestrd.storage.integrity import log_of
from orchestrd.storage.journal import Journal
from orchestrd.storage.mark import path_of
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


def put_back(world, kept) -> None:
    """
    As docs/OPERATIONS.md has it: the kept copy takes the journal's place.
    """
    database = world.home / "var" / "orchestrd.db"
    for path in (database, log_of(database), database.with_name("orchestrd.db-shm"), path_of(database)):
        path.unlink(missing_ok=True)
    shutil.copy(kept, database)


def keep(world, folder):
    """
    What a newer version keeps of the journal before it changes it, without a daemon.
    """
    kept = folder / "kept.db"
    shutil.copy(world.home / "var" / "orchestrd.db", kept)
    return kept


@pytest.mark.slow
def test_what_an_older_copy_does_not_know_is_neither_done_again_nor_ended(fault_world, tmp_path, tally):
    """
    One task was queued in the copy and is done since, one is at work since, one was submitted since.
    """
    world = fault_world()
    world.script("done", [stream(3), say()])
    world.script("late", [stream(2), gate("late"), say()], [gate("again"), say()])
    world.script("new", [stream(2), gate("new"), say()])
    world.rpc("home.freeze")
    world.submit_tasks(task("done"), task("late"), day=DAY)
    world.stop()
    kept = keep(world, tmp_path)
    world.start()
    world.rpc("home.thaw")
    assert world.wait(f"{DAY}/done") == {"done": "succeeded"}
    late = world.gate.arrive("late")
    world.submit_tasks(task("new"), day="2026-11-23")
    new = world.gate.arrive("new")
    world.stop()
    put_back(world, kept)
    # Not the world's own start: that waits until every agent is followed.
    Ground.start(world)
    world.rpc("home.thaw")
    for name in ("done", "late"):
        shown = world.status(name)
        assert shown["state"] == "failed"
        assert f"run {DAY}/{name}/1, whose files are still there" in shown["why"]
    assert world.events("run.started") == []
    assert alive(late.pid)
    assert alive(new.pid)
    # Nobody follows them, and everybody can see that.
    until(lambda: len(world.rpc("task.status")["warnings"]) == 2)
    assert all("nobody follows it or counts" in words for words in world.rpc("task.status")["warnings"])
    # The person has looked, and wants one of them again: no other start takes that back.
    world.rpc("home.freeze")
    world.write("task.retry", tasks=["late"])
    world.stop()
    Ground.start(world)
    assert world.status("late")["state"] == "queued"
    assert alive(late.pid)
    world.rpc("home.thaw")
    world.gate.arrive("again").release()
    assert late.gone()
    assert world.wait(f"{DAY}/late") == {"late": "succeeded"}
    assert [e["run"] for e in world.events("run.started")] == [f"{DAY}/late/2"]
    assert alive(new.pid)
    os.kill(new.pid, signal.SIGKILL)
    until(lambda: not world.rpc("task.status")["warnings"])
    tally("F33", note="an older copy of the journal: nothing done twice, nobody ended")


@pytest.mark.slow
def test_a_run_that_an_older_copy_shows_at_work_is_followed_by_none(fault_world, tmp_path, tally):
    """
    In the copy run 1 is at work; since then it died, and run 2 is at work.
    """
    world = fault_world()
    world.script("a", [stream(2), gate("first")], [stream(2), gate("second"), say()])
    world.submit_tasks(task("a"), day=DAY)
    first = world.gate.arrive("first")
    world.stop()
    kept = keep(world, tmp_path)
    world.start()
    os.kill(first.pid, signal.SIGKILL)
    second = world.gate.arrive("second")
    world.stop()
    put_back(world, kept)
    Ground.start(world)
    world.wait_event("task.failed")
    assert f"run {DAY}/a/2, whose files are still there" in world.status("a")["why"]
    assert alive(second.pid)
    assert [e["run"] for e in world.events("run.started")] == [f"{DAY}/a/1"]
    tally("F33", kills=1, note="an older copy that shows a run at work")


MUTANTS = (
    Mutant(
        "what an older journal does not know is begun anew",
        file="services/runs.py",
        old="        await self._sweeper.hold_back(group, ADOPTION_SECONDS)\n",
        new="",
        test="test_what_an_older_copy_does_not_know_is_neither_done_again_nor_ended",
    ),
    Mutant(
        "a person's retry is taken back by the next start",
        file="services/sweeper.py",
        old="        return [run for run in found if not await self._told(run)]\n",
        new="        return found\n",
        test="test_what_an_older_copy_does_not_know_is_neither_done_again_nor_ended",
    ),
    Mutant(
        "that nobody follows an agent is only in the log",
        file="edges/handlers.py",
        old="                *views.unfollowed(self._runs.unknown()),\n",
        new="",
        test="test_what_an_older_copy_does_not_know_is_neither_done_again_nor_ended",
    ),
    Mutant(
        "only a task that waits for its turn is looked at",
        file="services/sweeper.py",
        old="for row in self._store.state.tasks() if not row.state.ended}",
        new='for row in self._store.state.tasks() if row.state == "queued"}',
        test="test_a_run_that_an_older_copy_shows_at_work_is_followed_by_none",
    ),
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
