"""
A home of every version that was ever released is opened by today's code: brought to today's schema, and nothing of it lost.
"""

import shutil
import sqlite3
import stat
from pathlib import Path

import msgspec
import pytest
from kit.world import World

from orchestrd.domain.fold import fold
from orchestrd.domain.model import TaskState
from orchestrd.domain.state import State
from orchestrd.storage.journal import Journal
from orchestrd.storage.rundir import RunDir
from orchestrd.storage.schema import SCHEMA_VERSION

HOMES = Path(__file__).parents[1] / "data" / "homes"
DAY = "2026-11-22"

# Written down when the home was made, from what the model billed: nano-USD of each run.
COSTS = {
    "0.1.0-schema1": {
        "asks/1": 12_000_000,
        "forbidden/1": 18_000_000,
        "good/1": 18_000_000,
        "open/1": 12_000_000,
        "resumed/1": 12_000_000,
        "resumed/2": 12_000_000,
        "unchecked/1": 12_000_000,
        "unwanted/1": 6_000_000,
    }
}
FACTS = {"0.1.0-schema1": 126}
STATES = {
    "0.1.0-schema1": {
        "asks": TaskState.SUCCEEDED,
        "forbidden": TaskState.SUCCEEDED,
        "good": TaskState.SUCCEEDED,
        "open": TaskState.RUNNING,
        "resumed": TaskState.SUCCEEDED,
        "unchecked": TaskState.FAILED,
        "unwanted": TaskState.CANCELLED,
    }
}


@pytest.fixture(params=sorted(path.name for path in HOMES.iterdir() if path.is_dir() and path.name[0].isdigit()))
def home(request, tmp_path) -> Path:
    """
    A copy of a golden home, as private as a home is.
    """
    copy = tmp_path / request.param
    shutil.copytree(HOMES / request.param, copy)
    for path in copy.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return copy


def plain(rows) -> list[bytes]:
    return sorted(map(msgspec.json.encode, rows))


def test_it_is_opened_and_says_what_it_said(home):
    path = home / "var" / "orchestrd.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        stored = sorted(body for (body,) in db.execute("SELECT body FROM rows"))
        facts = list(db.execute("SELECT seq, at, body FROM events ORDER BY seq"))
        cursors = dict(db.execute("SELECT run, offset FROM cursors"))
        replies = {row[0]: row[1:] for row in db.execute("SELECT request, method, body FROM replies")}
    db.close()
    journal = Journal(path)
    try:
        records = journal.events(limit=10_000)
        assert len(records) == FACTS[home.name]
        for (seq, at, body), record in zip(facts, records, strict=True):
            assert (record.seq, record.at) == (seq, at)
            assert within(msgspec.json.decode(body), to_plain(record.event))
        state = State()
        for record in records:
            for row in fold(state, record):
                state.put(row)
        rows = journal.rows()
        assert plain(state.own_rows()) == plain(rows)
        for old, new in zip(by_key(stored), by_key(map(msgspec.json.encode, rows)), strict=True):
            assert within(old, new)
        assert {run.key.partition("/")[2]: run.cost for run in state.runs()} == COSTS[home.name]
        assert {task.spec.id: task.state for task in state.tasks()} == STATES[home.name]
        assert journal.cursors() == cursors
        given = journal.replies(replies)
        assert {name: (reply.method, reply.body) for name, reply in given.items()} == replies
    finally:
        journal.close()


def to_plain(value) -> dict:
    return msgspec.json.decode(msgspec.json.encode(value))


def by_key(bodies) -> list[dict]:
    """
    Rows as plain values, in an order that no later field changes.
    """
    found = map(msgspec.json.decode, bodies)
    return sorted(
        found, key=lambda row: (row["type"], row.get("key") or row.get("id") or row.get("day") or row["spec"]["id"])
    )


def within(old, new) -> bool:
    """
    True when *new* says all that *old* says: fields that came later have their defaults, none that was there has changed.
    """
    if isinstance(old, dict):
        return isinstance(new, dict) and all(key in new and within(value, new[key]) for key, value in old.items())
    if isinstance(old, list):
        return len(old) == len(new) and all(map(within, old, new))
    return old == new


def test_every_fact_of_a_stream_is_within_what_was_read_of_it(home):
    journal = Journal(home / "var" / "orchestrd.db")
    try:
        cursors = journal.cursors()
        sources = [record.source for record in journal.events(limit=10_000) if record.source is not None]
        assert {source.run for source in sources} == set(cursors)
        for run, end in cursors.items():
            assert end <= RunDir(home / "var" / "agent_logs" / run).stdout.stat().st_size
            assert {source.end for source in sources if source.run == run} == {end}
    finally:
        journal.close()


def test_the_old_file_is_kept_beside_it(home):
    path = home / "var" / "orchestrd.db"
    before = path.read_bytes()
    version = sqlite3.connect(f"file:{path}?immutable=1", uri=True).execute("PRAGMA user_version").fetchone()[0]
    Journal(path).close()
    if version == SCHEMA_VERSION:
        return
    [kept] = path.parent.glob(f"orchestrd.db.schema{version}-*")
    assert kept.name == f"orchestrd.db.schema{version}-{FACTS[home.name]}"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    with sqlite3.connect(f"file:{kept}?immutable=1", uri=True) as db:
        assert db.execute("SELECT count(*) FROM events").fetchone()[0] == FACTS[home.name]
        assert db.execute("PRAGMA user_version").fetchone()[0] == version
    assert before[:16] == kept.read_bytes()[:16]
    # The one that was kept is a home's journal like any other.
    kept.replace(path)
    (path.parent / "orchestrd.mark").unlink()
    journal = Journal(path)
    assert journal.last_seq() == FACTS[home.name]
    journal.close()


@pytest.mark.slow
def test_a_daemon_serves_it_and_settles_what_was_open(home):
    with World([], start=False) as world:
        shutil.copytree(home / "var", world.home / "var")
        # Of its repository nothing was kept.
        assert world.orchctl("doctor", "--deep", "--repair").code == 0
        world.start()
        exited = world.wait_event("run.exited", run=f"{DAY}/open/1")
        assert exited["event"]["outcome"] == "abandoned"
        costs = {e["run"]: e["event"] for e in world.events("run.spend_settled")}
        assert f"{DAY}/good/1" in costs
        shown = world.status("good")
        assert shown["cost_usd"] == pytest.approx(COSTS[home.name]["good/1"] / 1e9)
        assert world.stop() == 0
