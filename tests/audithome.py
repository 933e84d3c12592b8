"""
A small real home for the audit: a day of four tasks, carried by the real daemon through a crash, and every way of asking
and spending in it.  What it made is kept, and copied for each test.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from kit.script import DAY, ask, bash, call, gate, question, say, scenario, task, use, write
from kit.world import World

from orchestrd.audit.finding import Finding
from orchestrd.audit.home import check_home
from orchestrd.storage.schema import EVENTS, RECORDS, crc, intact
from orchestrd.workspace.repository import ref_name

PROMPT = "Ask which of the two databases is meant, and then use that one."
FILED = "# Question\n\n## Question\nWhich layout shall I use?\n\n## Options\nA) Flat\nB) Nested\n"
KEYS = {"events": ["seq"], "rows": ["kind", "key"], "cursors": ["run"], "replies": ["request"], "meta": ["key"]}
"""The columns by which a record of a table is found: the first of it."""
SCENARIOS = [
    scenario(
        "asks",
        ask(question("Which database?", "SQLite", "Postgres"), question("Which name?", "Ann", "Bob")),
        write("a.txt", "a"),
        say("Done."),
    ),
    scenario(
        "files",
        call(
            use("Write", file_path="{workspace}/../../../agent_questions/" + f"{DAY}/files.md", content=FILED),
        ),
        say("I have asked, and wait."),
        say("Nested it is."),
    ),
    scenario("works", bash('sh -c "$UNREAD"'), bash("echo 1"), gate("tool"), bash("false"), say("Done.")),
    scenario("dies", bash("echo 1"), gate("dies"), say("Done.")),
]


class Kept(NamedTuple):
    """
    Two copies of one home: *amid* the day, with its daemon just killed, and *after* it.
    """

    amid: Path
    after: Path


def make(keep: Path) -> Kept:
    """
    Live through the day; gives what was kept of it under *keep*.
    """
    kept = Kept(keep / "amid", keep / "after")
    with World(SCENARIOS, config={"max_concurrent_agents": 4, "retries": 0}) as world:
        world.submit(
            task("asks", description=PROMPT, checks=["test -f a.txt"]), task("files"), task("works"), task("dies")
        )
        tool = world.gate.arrive("tool")
        world.gate.arrive("dies")
        world.wait_event("question.asked", question=f"{DAY}/asks#2")
        world.wait_event("question.asked", question=f"{DAY}/files#1")
        world.wait_transcript("dies/1", ("dies", 1))
        world.kill()
        copy(world.home, kept.amid)
        world.start()
        assert world.orchctl("answer", "asks", "--question", "1", "--option", "B").code == 0
        assert world.orchctl("answer", "asks", "--question", "2", "Carol").code == 0
        assert world.orchctl("answer", "files", "--option", "B").code == 0
        os.kill(world.agent_pid("dies/1"), signal.SIGKILL)
        tool.release()
        states = {"asks": "succeeded", "files": "succeeded", "works": "succeeded", "dies": "failed"}
        assert world.wait() == states
        assert world.orchctl("report").code == 0
        assert world.stop() == 0
        shutil.copy(world.root / "daemon.log", world.home / "var" / "orchestrd.out")
        (world.home / "var" / "orchestrd.out").chmod(0o600)
        copy(world.home, kept.after)
    return kept


def copy(home: Path, to: Path) -> Path:
    """
    ``cp -a``: FIFOs, links, modes and times as they are.
    """
    subprocess.run(["cp", "-a", str(home), str(to)], check=True)
    return to


def found(home: Path, **more: object) -> dict[str, list[Finding]]:
    """
    Invariant to its findings that are not ok.
    """
    result: dict[str, list[Finding]] = {}
    for one in check_home(home, **more):  # type: ignore[arg-type]
        if one.status != "ok":
            result.setdefault(one.invariant, []).append(one)
    return result


@contextmanager
def database(home: Path, *, seal: bool = True) -> Iterator[sqlite3.Connection]:
    """
    The journal, to be damaged: with *seal* as a mistake of the program would do it, else as a disk would.
    """
    db = sqlite3.connect(home / "var" / "orchestrd.db")
    try:
        yield db
        if seal:
            for table, query in {"events": EVENTS, **RECORDS}.items():
                wrong = [record for record in db.execute(query).fetchall() if not intact(record)]
                names = KEYS[table]
                where = " AND ".join(f"{name} = ?" for name in names)
                db.executemany(
                    f"UPDATE {table} SET crc = ? WHERE {where}",
                    [(crc(record[:-1]), *record[: len(names)]) for record in wrong],
                )
        db.commit()
    finally:
        db.close()


def edit_row(home: Path, kind: str, key: str, **fields: object) -> None:
    """
    Change fields of one row.
    """
    with database(home) as db:
        (body,) = db.execute("SELECT body FROM rows WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        changed = json.dumps({**json.loads(body), **fields}).encode()
        db.execute("UPDATE rows SET body = ? WHERE kind = ? AND key = ?", (changed, kind, key))


def edit_fact(home: Path, kind: str, number: int = 0, **fields: object) -> int:
    """
    Change fields of the fact of this type that is the *number*-th; gives its place in the journal.
    """
    with database(home) as db:
        rows = db.execute("SELECT seq, body FROM events WHERE type = ? ORDER BY seq", (kind,)).fetchall()
        seq, body = rows[number]
        db.execute(
            "UPDATE events SET body = ? WHERE seq = ?", (json.dumps({**json.loads(body), **fields}).encode(), seq)
        )
    return int(seq)


def run_dir(home: Path, run: str) -> Path:
    """
    The files of ``asks/1``.
    """
    return home / "var" / "agent_logs" / DAY / run


WAITING = "import sys; print('here', flush=True); sys.stdin.read()"


@contextmanager
def running(
    program: str | None = None, *, command: tuple[str, ...] = (), **env: str
) -> Iterator[subprocess.Popen[bytes]]:
    """
    A process (of a Python *program*, or a *command*) that has said that it is here, and lives until its stdin ends.
    """
    argv = command or (sys.executable, "-c", program or WAITING)
    with subprocess.Popen(
        argv, env={**os.environ, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"here\n"
            yield process
        finally:
            process.kill()


def repository(home: Path) -> Path:
    """
    Where the work of the home's agents is kept.
    """
    return home / "var" / "git" / "work.git"


def held_object(home: Path, name: str) -> Path:
    """
    The file of the object that *name* stands for, such as ``REF:PATH``.
    """
    words = ["git", "--git-dir", str(repository(home)), "rev-parse", "--verify", name]
    oid = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    return repository(home) / "objects" / oid[:2] / oid[2:]


def ref_of(run: str, kind: str) -> str:
    """
    The ref that keeps what a run began with (*kind* ``base``) or made (``result``).
    """
    return ref_name("orchestrd", DAY, *run.split("/"), kind)
