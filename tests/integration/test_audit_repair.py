"""
What is safe is mended and written down, what is not is named, and a second repair finds nothing to do.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.script import DAY

from audithome import copy, database, edit_row, found, ref_of, repository, run_dir, running
from orchestrd.ancestry import MARK
from orchestrd.audit import repair as repairing
from orchestrd.audit.finding import problems
from orchestrd.audit.home import check_home
from orchestrd.audit.repair import repair
from orchestrd.audit.report import deep
from orchestrd.audit.worklog import Repair
from orchestrd.clock import SystemClock
from orchestrd.errors import AlreadyRunning, DiskFull, StorageError
from orchestrd.storage.home import Home

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def private() -> Iterator[None]:
    """
    What a repair makes is its user's alone, as the program sees to.
    """
    before = os.umask(0o077)
    yield
    os.umask(before)


def mend(home: Path) -> list[Repair]:
    """
    Repair, see that it is written down, and that a second repair does nothing more.
    """
    log = home / "var" / "repairs.jsonl"
    before = log.read_bytes().splitlines() if log.exists() else []
    done = attempt(home)
    written = [json.loads(line) for line in log.read_bytes().splitlines()[len(before) :]] if log.exists() else []
    assert [line for line in written if "intends" not in line] == [
        {"at": r.at, "what": r.what, "subject": r.subject, "detail": r.detail} for r in done
    ]
    # Nothing was done that was not written down before.
    assert ("intends" in written[0]) if written else True
    files = sorted((home / "var").rglob("*"))
    assert attempt(home) == []
    assert sorted((home / "var").rglob("*")) == files
    return done


def attempt(home: Path) -> list[Repair]:
    mended = repair(home, environ={}, clock=SystemClock())
    assert mended.failed == []
    return mended.done


def test_a_whole_home_is_left_alone(home):
    assert mend(home) == []
    assert not (home / "var" / "repairs.jsonl").exists()
    assert found(home) == {}


def test_a_served_home_is_refused(home):
    lock = Home(home).lock()
    try:
        with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"):
            repair(home, environ={}, clock=SystemClock())
    finally:
        os.close(lock)


def test_where_repairs_are_written_down_nothing_else_lies(home):
    (home / "var" / "orchestrd.db").chmod(0o666)
    os.mkfifo(home / "var" / "repairs.jsonl", 0o600)
    with pytest.raises(StorageError, match=r"repairs.jsonl: not a regular file"):
        repair(home, environ={}, clock=SystemClock())
    assert (home / "var" / "orchestrd.db").stat().st_mode & 0o777 == 0o666


def test_loose_modes(home):
    (home / "var" / "orchestrd.db").chmod(0o666)
    run_dir(home, "works/1").chmod(0o755)
    assert found(home).keys() == {"I8"}
    done = [r for r in mend(home) if not r.subject.endswith(("-wal", "-shm"))]
    assert {(r.what, r.subject) for r in done} == {
        ("modes", "var/orchestrd.db"),
        ("modes", f"var/agent_logs/{DAY}/works/1"),
    }
    assert (home / "var" / "orchestrd.db").stat().st_mode & 0o777 == 0o600
    assert found(home) == {}


def test_files_that_never_came_into_their_place(home):
    names = [
        f"var/.room-{DEAD}-0123abcd",
        f"var/.freeze.{DEAD}-0123abcd.new",
        f"var/agent_status/{DAY}/.works.json.{DEAD}-0123abcd.new",
        f"var/agent_logs/{DAY}/works/.passwd.{DEAD}-0123abcd.new",
        f"var/agent_logs/{DAY}/works/1/.work.json.{DEAD}-0123abcd.new",
        f"var/agent_logs/{DAY}/works/1/exit.json.new",
    ]
    for name in names:
        leave(home / name)
    assert {(r.what, r.subject) for r in mend(home)} == {("file", name) for name in names}
    assert not any((home / name).exists() for name in names)


DEAD = 999_999_999
"""No process has such a number (proc_pid(5): at most 2²²)."""


def leave(path: Path) -> None:
    path.write_text("{")
    path.chmod(0o600)


def test_only_files_of_ours_are_removed(home):
    """
    What looks like them is somebody's own where others write, by another name, or while who may write it lives.
    """
    names = [
        f"var/agent_workspaces/{DAY}/works/.state.json.{DEAD}-0123abcd.new",
        f"var/agent_workspaces/{DAY}/works/tree/.spec.json.{DEAD}-0123abcd.new",
        f"var/feedback/.{DAY}.md.{DEAD}-0123abcd.new",
        f"var/agent_questions/.{DAY}.json.{DEAD}-0123abcd.new",
        f"var/agent_questions/{DAY}/.works.md.{DEAD}-0123abcd.new",
        f"var/agent_logs/{DAY}/works/1/.mine.{DEAD}-0123abcd.new",
        f"var/agent_logs/{DAY}/works/1/.work.json.{os.getpid()}-0123abcd.new",
        f"var/agent_logs/{DAY}/works/1/.work.json.12.new",
        f"var/agent_logs/{DAY}/strange/1/.work.json.{DEAD}-0123abcd.new",
        f"var/.room-{os.getpid()}-0123abcd",
    ]
    for name in names:
        (home / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        leave(home / name)
    for folder in (home / "var" / "agent_logs" / DAY / "strange", home / "var" / "agent_questions" / DAY):
        folder.chmod(0o700)
    shared = f"var/agent_status/{DAY}/.works.json.{DEAD}-0123abcd.new"
    leave(home / shared)
    os.link(home / shared, home.parent / "another name")
    assert mend(home) == []
    assert all((home / name).exists() for name in [*names, shared])


def test_the_files_of_an_open_run_are_left_to_whoever_carries_it(cut):
    name = cut / "var" / "agent_logs" / DAY / "works" / "1" / f".work.json.{DEAD}-0123abcd.new"
    leave(name)
    assert mend(cut) == []
    assert name.exists()


def test_the_mode_of_a_file_with_another_name_is_left_alone(home):
    """
    The other name may lie anywhere; what is in a workspace is its agent's, whose folder is closed.
    """
    outside, inside = home.parent / "program", home / "var" / "results" / "report.md"
    outside.write_text("#!/bin/sh")
    outside.chmod(0o755)
    os.link(outside, inside)
    own = home / "var" / "agent_workspaces" / DAY / "works" / "mine.sh"
    own.write_text("#!/bin/sh")
    own.chmod(0o755)
    for path in (home / "var" / "feedback" / "mine.md", home / "var" / "agent_questions" / DAY / "works-answer.md"):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text("A person's words.")
        path.chmod(0o644)
    (told,) = found(home)["I8"]
    assert (told.subject, told.mendable) == ("var/results/report.md", False)
    assert mend(home) == []
    assert outside.stat().st_mode & 0o777 == 0o755
    assert own.stat().st_mode & 0o777 == 0o755


def test_what_cannot_be_mended_holds_up_nothing_else(home, monkeypatch):
    loose = [home / "var" / "agent_status", home / "var" / "results", home / "var" / "orchestrd.db"]
    for path in loose:
        path.chmod(path.stat().st_mode | 0o055)
    left = home / "var" / f".room-{DEAD}-0123abcd"
    leave(left)
    real = repairing.close

    def close(path, seen):
        if path.name == "agent_status":
            raise PermissionError(errno.EPERM, "Operation not permitted", str(path))
        return real(path, seen)

    monkeypatch.setattr(repairing, "close", close)
    told = deep(home, {}, clock=SystemClock(), mend=True)
    assert {r.subject for r in told.repairs} >= {"var/results", "var/orchestrd.db", f"var/{left.name}"}
    assert not told.ok
    (refused,) = [check for check in told.checks if "could not be mended" in check.detail]
    assert (refused.subject, refused.status) == ("var/agent_status", "problem")
    assert "Operation not permitted" in refused.detail


def test_nothing_is_mended_that_cannot_be_written_down(home, monkeypatch):
    (home / "var" / "orchestrd.db").chmod(0o666)
    monkeypatch.setattr("orchestrd.audit.worklog.no_room", lambda _: True)
    with pytest.raises(DiskFull, match="the disk is full"):
        repair(home, environ={}, clock=SystemClock())
    monkeypatch.undo()
    log = home / "var" / "repairs.jsonl"
    log.symlink_to(home / "elsewhere")
    with pytest.raises(StorageError, match=r"repairs.jsonl: cannot be written"):
        repair(home, environ={}, clock=SystemClock())
    assert (home / "var" / "orchestrd.db").stat().st_mode & 0o777 == 0o666
    assert not (home / "elsewhere").exists()


def test_a_salvage_that_could_not_be_told_is_told_by_the_next(home, monkeypatch):
    """
    There was room to say what is done, and none any more when it was done.
    """
    with database(home, seal=False) as db:
        db.execute("UPDATE events SET at = at + 1 WHERE seq = 3")
    real = os.fsync

    def full(fd: int) -> None:
        if Path(f"/proc/self/fd/{fd}").readlink().name == "repairs.jsonl":
            lines = (home / "var" / "repairs.jsonl").read_bytes().splitlines()
            if lines and b"intends" not in lines[-1]:
                raise OSError(errno.ENOSPC, "No space left on device")
        real(fd)

    monkeypatch.setattr(os, "fsync", full)
    mended = repair(home, environ={}, clock=SystemClock())
    assert [found.invariant for found in mended.failed] == ["I1"]
    # What could not be written was said all the same; nothing of it is in the file.
    assert "was kept as" in mended.done[0].detail
    log = home / "var" / "repairs.jsonl"
    assert [json.loads(line).get("detail") for line in log.read_bytes().splitlines()] == [None]
    monkeypatch.undo()
    with log.open("ab") as file:
        file.write(b'{"at": "torn')
    details = [r.detail for r in mend_again(home)]
    assert "was kept as" in details[0]
    assert "made anew from" in details[1]
    assert "lost: 1 facts, the first is number 3" in details[2]


def mend_again(home: Path) -> list[Repair]:
    done = attempt(home)
    assert attempt(home) == []
    return done


def test_sockets_that_nobody_listens_on(home):
    folder = home / "var" / "run"
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as live, socket.socket(socket.AF_UNIX) as dead:
        for listener, name in ((live, "live.sock"), (dead, "dead.sock")):
            listener.bind(str(folder / name))
            (folder / name).chmod(0o600)
        live.listen()
        dead.close()
        assert [(r.what, r.subject) for r in mend(home)] == [("socket", "var/run/dead.sock")]
        assert (folder / "live.sock").exists()


def test_rows_are_made_again_from_the_facts(home):
    with database(home) as db:
        good = rows_of(db)
        db.execute("DELETE FROM rows WHERE kind = 'violation'")
        db.execute(
            """INSERT INTO rows VALUES ('day', 'x', CAST('{"type":"day","day":"x","source":"x","submitted_at":1.0}' AS BLOB), 0)"""
        )
    edit_row(home, "task", f"{DAY}/works", state="failed")
    assert found(home).keys() == {"I5"}
    assert all(f.mendable for f in found(home)["I5"])
    done = mend(home)
    assert [r.what for r in done] == ["journal", "rows", "rows", "rows"]
    assert {r.detail for r in done[1:]} == {
        "made again from the facts",
        "was missing; made from the facts",
        "removed: no fact made it",
    }
    with database(home) as db:
        assert rows_of(db) == good
    assert found(home) == {}
    (kept,) = (home / "var").glob("orchestrd.db.before-repair-*")
    assert kept.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(kept) as copy:
        assert rows_of(copy) != good


def rows_of(db: sqlite3.Connection) -> dict[tuple[str, str], dict[str, object]]:
    return {(kind, key): json.loads(body) for kind, key, body in db.execute("SELECT kind, key, body FROM rows")}


def test_a_damaged_journal_is_kept_and_made_anew(home):
    """
    A checksum of one fact is wrong, as after a bad sector: everything else is saved, and what is lost is said.
    """
    with database(home, seal=False) as db:
        (newest,) = db.execute("SELECT max(seq) FROM events").fetchone()
        (fact,) = db.execute("SELECT seq FROM events WHERE type = 'run.initialised'").fetchone()
        db.execute("UPDATE events SET at = at + 1 WHERE seq = ?", (fact,))
        good = rows_of(db)
    damaged = (home / "var" / "orchestrd.db").read_bytes()
    assert found(home)["I1"][0].mendable
    done = mend(home)
    assert {r.what for r in done} == {"journal"}
    said = [r.detail for r in done]
    assert any(
        f"made anew from {newest - 1} whole facts and 4 replies (events not as written)" in line for line in said
    )
    kept = "what they did to tasks, runs, questions and money is not lost"
    assert f"lost: 1 facts, the first is number {fact}; {kept}" in said
    (warning,) = [f for several in found(home).values() for f in several]
    assert (warning.invariant, warning.status) == ("I2", "warning")
    assert warning.detail == "facts: 1 of the output are not recorded (run.initialised)"
    assert "lost with a damaged journal" in warning.hint
    with database(home) as db:
        assert rows_of(db) == good
        numbers = db.execute("SELECT min(seq), count(*), max(seq) FROM events WHERE type NOT LIKE 'journal.row%'")
        assert numbers.fetchone() == (1, newest + 1, newest + 1)
    kept = [path for path in (home / "var").glob("orchestrd.db.bad-*") if not path.name.endswith(("-wal", "-shm"))]
    assert [path.read_bytes() == damaged for path in kept] == [True]


@pytest.mark.parametrize("chosen", ["first", "third", "every seventh", "all of a run", "all but the last"])
def test_whatever_facts_are_lost_the_rows_stand(home, chosen):
    """
    And the home is found whole: with fewer facts, and none of them twice.
    """
    where = {
        "first": "seq = 1",
        "third": "seq = 3",
        "every seventh": "seq % 7 = 0",
        "all of a run": f"run = '{DAY}/dies/1'",
        "all but the last": "seq < (SELECT max(seq) FROM events)",
    }[chosen]
    with database(home, seal=False) as db:
        total = db.execute("SELECT count(*) FROM events").fetchone()[0]
        lost = db.execute(f"UPDATE events SET body = CAST('{{}}' AS BLOB) WHERE {where}").rowcount
        good, cursors = rows_of(db), dict(db.execute("SELECT run, offset FROM cursors"))
    mend(home)
    assert problems(check_home(home)) == []
    with database(home) as db:
        assert rows_of(db) == good
        assert dict(db.execute("SELECT run, offset FROM cursors")) == cursors
        kept = "SELECT count(*) FROM events WHERE type NOT LIKE 'journal.%'"
        assert db.execute(kept).fetchone()[0] == total - lost
    assert mend(home) == []
    # A second time, behind the first.
    with database(home, seal=False) as db:
        newest = db.execute("SELECT max(seq) FROM events").fetchone()[0]
        db.execute("UPDATE events SET at = at + 1 WHERE seq IN (2, ?)", (newest,))
    mend(home)
    assert problems(check_home(home)) == []
    with database(home) as db:
        assert rows_of(db) == good


@pytest.mark.parametrize(
    "released", sorted((Path(__file__).parents[1] / "data" / "homes").glob("*-schema*")), ids=lambda p: p.name
)
def test_a_home_of_an_earlier_version(released, tmp_path):
    """
    Its rows are made again in today's schema.
    """
    old = copy(released, tmp_path / "home")
    for path in [old / "var", *(old / "var").rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)
    # Of its repository nothing was kept for this test; all else is whole as it is.
    assert {f.invariant for f in problems(check_home(old))} == {"I10"}
    assert [(r.what, r.subject) for r in mend(old)] == [("work", "var/git/work.git")]
    assert problems(check_home(old)) == []
    with sqlite3.connect(old / "var" / "orchestrd.db") as db:
        db.execute("DELETE FROM rows WHERE kind = 'task' AND key = ?", (f"{DAY}/good",))
    assert {f.invariant for f in problems(check_home(old))} == {"I5"}
    assert ("rows", f"task {DAY}/good") in [(r.what, r.subject) for r in mend(old)]
    assert problems(check_home(old)) == []


def test_cursors_are_set_where_the_recorded_facts_end(home):
    with database(home) as db:
        good = dict(db.execute("SELECT run, offset FROM cursors"))
        db.execute("UPDATE cursors SET offset = 100 WHERE run = ?", (f"{DAY}/works/1",))
        db.execute("DELETE FROM cursors WHERE run = ?", (f"{DAY}/asks/1",))
    assert found(home).keys() == {"I1", "I2"}
    mend(home)
    with database(home) as db:
        assert dict(db.execute("SELECT run, offset FROM cursors")) == good
    assert found(home) == {}


@pytest.mark.parametrize("gone", [".", "objects"])
def test_a_lost_repository_is_given_up(home, gone):
    shutil.rmtree(repository(home) / gone)
    assert [f.mendable for f in found(home)["I10"]] == [True]
    (done,) = mend(home)
    assert "commits were given up" in done.detail
    (told,) = found(home)["I10"]
    assert (told.status, told.mendable) == ("warning", False)
    assert "were given up" in told.detail
    assert ("lies beside, in work.git.bad-" in told.hint) is (gone != ".")
    # What is left of it may be of use to somebody who knows git.
    assert [(path / "HEAD").exists() for path in (home / "var" / "git").glob("work.git.bad-*")] == [True] * (
        gone != "."
    )


def test_what_no_ref_keeps_is_kept_again(home):
    for run, kind in (("asks/1", "result"), ("works/1", "base")):
        (repository(home) / ref_of(run, kind)).unlink()
    (repository(home) / ref_of("files/1", "result")).write_bytes(b"garbage")
    assert len(found(home)["I10"]) == 3
    (done,) = mend(home)
    assert done.detail == "3 commits that no ref kept are kept again"
    assert found(home) == {}


def test_settings_of_the_repository_are_made_anew(home):
    (repository(home) / "config").write_bytes(b"[core\n")
    (repository(home) / "HEAD").write_bytes(b"")
    shutil.rmtree(repository(home) / "refs")
    assert found(home).keys() == {"I10"}
    settings, kept = [r.detail.partition(" ")[0] for r in mend(home)]
    assert settings == "its"
    assert int(kept) >= 8
    assert found(home) == {}


def test_a_newer_journal_is_left_alone(home):
    with database(home, seal=False) as db:
        db.execute("PRAGMA user_version = 99")
    before = (home / "var" / "orchestrd.db").read_bytes()
    assert mend(home) == []
    assert (home / "var" / "orchestrd.db").read_bytes() == before
    assert "has schema 99" in found(home)["I1"][0].detail


STUBBORN = (
    "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); sys.stdin.read()"
)


@pytest.mark.parametrize("program", [None, STUBBORN])
def test_leftover_processes_end_and_no_others(home, monkeypatch, program):
    monkeypatch.setattr("orchestrd.audit.repair.GRACE_SECONDS", 0.5)
    theirs, ours = {MARK: str(run_dir(home.parent / "other", "works/1"))}, {MARK: str(run_dir(home, "works/1"))}
    with running(**theirs) as innocent, running(program, **ours) as leftover:
        assert found(home).keys() == {"I6"}
        (done,) = mend(home)
        assert (done.what, done.subject) == ("process", f"{DAY}/works/1")
        assert f"process {leftover.pid} " in done.detail
        assert ("had to be killed" in done.detail) == (program is STUBBORN)
        assert leftover.wait(10) == (-signal.SIGKILL if program is STUBBORN else -signal.SIGTERM)
        assert innocent.poll() is None
    assert found(home) == {}


def test_leftovers_end_by_whatever_name_the_home_is_called(home, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(home)
    with running(**{MARK: str(run_dir(home, "works/1"))}) as leftover:
        told = orchctl(link, "--deep", "--repair")
        assert f"process {leftover.pid} " in told.stdout, told
        assert leftover.wait(10) == -signal.SIGTERM


def test_an_agent_of_an_open_run_is_left_alone(cut):
    with running(**{MARK: str(run_dir(cut, "works/1"))}) as agent:
        assert mend(cut) == []
        assert agent.poll() is None


# -- as people call it ---------------------------------------------------------------------------------------------------


def orchctl(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchctl", "--home", str(home), "doctor", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        timeout=120,
        check=False,
    )


def test_the_doctor_looks_deep_and_mends(home):
    whole = orchctl(home, "--deep", "--json")
    assert whole.returncode == 0, whole
    checks = json.loads(whole.stdout)["checks"]
    assert [c["name"].split()[0] for c in checks] == [*(f"I{n}" for n in range(1, 11)), "daemon"]
    assert checks[0]["looked"]["facts"] > 50
    edit_row(home, "task", f"{DAY}/works", attempts=3)
    wrong = orchctl(home, "--deep")
    assert wrong.returncode == 1
    assert f"I5 rows       task {DAY}/works: attempts is 3, the facts make 1" in wrong.stdout
    assert "1 problem." in wrong.stdout
    mended = orchctl(home, "--deep", "--repair")
    assert mended.returncode == 0, mended
    assert f"mended rows task {DAY}/works: made again from the facts" in mended.stdout
    assert "Whole." in mended.stdout


def test_the_doctor_says_what_is_wrong_with_a_journal_that_cannot_be_opened(home):
    path = home / "var" / "orchestrd.db"
    path.write_bytes(b"no database" * 1000)
    wrong = orchctl(home, "--deep")
    assert wrong.returncode == 1
    assert "the journal is no database" in wrong.stdout
    assert "cannot be told: the journal cannot be read (I1)" in wrong.stdout
    assert wrong.stderr == ""
    mended = orchctl(home, "--deep", "--repair")
    # Whatever could not be saved is said; it is whole from here on.
    assert mended.returncode == 0, mended
    assert "mended journal var/orchestrd.db: the damaged file was kept as orchestrd.db.bad-" in mended.stdout
    assert "mended journal var/orchestrd.db: made anew from 0 whole facts" in mended.stdout
    assert re.search("lost: [0-9]{2,3}", mended.stdout)
    assert "there are files of a run that the journal does not know" in mended.stdout
    (kept,) = [path for path in (home / "var").glob("orchestrd.db.bad-*") if not path.name.endswith(("-wal", "-shm"))]
    assert kept.read_bytes() == b"no database" * 1000


def test_the_doctor_does_not_mend_a_served_home(home):
    lock = Home(home).lock()
    try:
        refused = orchctl(home, "--repair")
        assert refused.returncode == 4
        assert f"another daemon serves this home (process {os.getpid()})" in refused.stderr
        assert "orchctl daemon stop" in refused.stderr
        assert orchctl(home, "--deep").returncode == 0
    finally:
        os.close(lock)
