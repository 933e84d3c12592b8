"""
F8: the disk answers with an I/O error.

Nobody is told that anything was written, nothing is tried again, the daemon leaves with status 74, and the next one finds
what was promised.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from functools import partial

import pytest
from harness.check import check
from harness.disk import Disk
from harness.journals import Writer, content, die
from harness.mutant import Mutant
from harness.script import gate, say, stream, write
from harness.world import GONE, FaultWorld
from kit.files import wait_file
from kit.processes import alive
from kit.rpc import RpcError
from kit.script import DAY, task

from orchestrd.storage import integrity

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

COMMITS = """
import sys
from pathlib import Path
from harness.journals import Writer
from orchestrd.errors import DiskFull, StorageError
from orchestrd.storage import failure, journal
journal.CHECKPOINT_COMMITS = int(sys.argv[2])
if sys.argv[3:]:
    failure.no_room = lambda folder: True
writer = Writer(Path(sys.argv[1]))
writer.begin()
print(writer.journal.last_seq(), flush=True)
sys.stdin.readline()
try:
    for _ in range(3):
        writer.work(1)
        print(writer.journal.last_seq(), flush=True)
except StorageError as error:
    print("full" if isinstance(error, DiskFull) else "failed", flush=True)
    import os
    os._exit(error.exit_status)
print("done")
"""


def live(folder, disk, order, *, checkpoint: int = 1000, full: bool = False) -> tuple[list[str], int]:
    """
    Commit with an *order* given to the disk after the first facts; gives what was said after that and the exit status.  *full*:
    whoever tries finds that there is no room either.
    """
    disk.mend()
    with subprocess.Popen(
        [sys.executable, "-c", COMMITS, folder / "orchestrd.db", str(checkpoint), *["full"] * full],
        env={**os.environ, **disk.environ, "PYTHONPATH": ":".join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdout.readline() == "6\n"
        order()
        process.stdin.write("\n")
        said = process.stdout.read().split()
    disk.mend()
    return said, process.returncode


@pytest.mark.parametrize(("kind", "suffix", "checkpoint"), [
    ("write", "orchestrd.db-wal", 1000),
    ("sync", "orchestrd.db-wal", 1000),
    ("write", "orchestrd.db", 1),
    ("sync", "orchestrd.db", 1),
], ids=["writing the log", "syncing the log", "folding the log", "syncing the database"])  # fmt: skip
def test_each_call_of_a_commit_fails(tmp_path, kind, suffix, checkpoint, tally):
    disk = Disk(tmp_path / "var", tmp_path)
    nth = 0
    seen = set()
    while True:
        nth += 1
        folder = tmp_path / "var" / str(nth)
        folder.mkdir(parents=True)
        said, status = live(folder, disk, lambda nth=nth: disk.fail(kind, suffix, nth), checkpoint=checkpoint)
        acknowledged = [int(word) for word in said if word.isdigit()]
        promised = max(acknowledged, default=6)
        records = content(folder / "orchestrd.db")[0]
        # What was not promised may be there too: it was on its way.
        assert promised <= len(records) <= promised + 1
        if "done" in said:
            break
        assert said[-1] == "failed"
        assert status == 74
        seen.add(len(acknowledged))
    # Every call of one commit at least, and of the next.
    assert {0, 1} <= seen
    tally("F8", checked=nth, note=f"{kind} {suffix}: {nth - 1} places")


class FailingWorld(FaultWorld):
    """
    A world whose daemon's disk obeys.
    """

    def furnish(self) -> dict[str, str]:
        self.disk = Disk(self.home / "var", self.root)
        return super().furnish()

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, **self.disk.environ}


@pytest.mark.parametrize("kind", ["write", "sync"])
def test_a_daemon_whose_journal_fails(kind, tally):
    with FailingWorld(agents=1) as world:
        world.script("a", [stream(2), gate("on"), stream(2), say()])
        world.submit_tasks(task("a"), task("b"), day=DAY)
        held = world.gate.arrive("on")
        agent = world.agent_pid("a/1")
        world.disk.fail(kind, "orchestrd.db-wal")
        with pytest.raises((RpcError, *GONE)) as refused:
            world.rpc("task.cancel", tasks=["b"], request_id="r1")
        assert world.died() == 74
        # The write that failed may have been one of the agent's, a moment before: then this was never begun.
        untouched = "nothing was changed" in str(refused.value)
        assert "could not be written" in world.log.read_text()
        assert alive(agent)
        held.release()
        world.disk.mend()
        assert not (untouched and world.events("task.cancelled"))
        world.start()
        assert world.agent_pid("a/1") == agent
        world.write("task.cancel", tasks=["b"], request_id="r1")
        assert world.wait() == {"a": "succeeded", "b": "cancelled"}
        assert len(world.events("task.cancelled")) == 1
        tally("F8", kills=1, **check(world).counts)


def test_another_program_holds_the_journal(fault_world, tally):
    """
    A shell that somebody left open in the middle of a transaction: writes are refused, agents and reads go on, and all is as
    before when it ends.
    """
    world = fault_world()
    world.script("a", [stream(2), gate("on"), say()])
    world.script("done", [write("done.txt", "done"), say()])
    world.submit_tasks(task("a"), task("done"), day=DAY)
    held = world.gate.arrive("on")
    world.wait(f"{DAY}/done")
    with closing(sqlite3.connect(world.home / "var" / "orchestrd.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RpcError, match="another program holds it"):
            world.rpc("task.retry", tasks=["a"], request_id="r")
        assert world.status("a")["state"] == "running"
        held.release()
        with pytest.raises(RpcError, match="another program holds it"):
            world.rpc("home.freeze", request_id="f")
        with pytest.raises(RpcError, match="another program holds it"):
            world.rpc("task.apply", tasks=["done"], request_id="d")
        assert not (world.project / "done.txt").exists()
        world.rpc("home.thaw", request_id="t")
        assert world.daemon.poll() is None
        other.execute("ROLLBACK")
    assert world.wait() == {"a": "succeeded", "done": "succeeded"}
    assert "journal.locked" in world.log.read_text()
    tally("F8", note="held by another program", **check(world).counts)


def test_a_start_waits_for_another_program(fault_world, tally):
    """
    Longer than a service manager bears that it leaves and is started again and again.
    """
    world = fault_world()
    world.kill()
    with closing(sqlite3.connect(world.home / "var" / "orchestrd.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        world.daemon = world.spawn()
        with pytest.raises(subprocess.TimeoutExpired):
            world.daemon.wait(10)
        other.execute("ROLLBACK")
    wait_file(world.log, lambda data: data.count(b"daemon.ready") == 2)
    assert world.rpc("daemon.status")["pid"] == world.daemon.pid
    assert world.stop() == 0
    tally("F8", kills=1, note="held while a daemon starts")


def test_another_program_looks_while_a_large_journal_is_proven(tmp_path, monkeypatch, tally):
    """
    Whoever closes the database while nobody seems to have it open removes its log.
    """
    monkeypatch.setattr(integrity, "WHOLE_BYTES", 0)
    writer = Writer(tmp_path / "orchestrd.db")
    writer.begin()
    assert not writer.journal.proven
    writer.journal.prove(threading.Event())
    assert writer.journal.proven
    look = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); print(db.execute('SELECT count(*) FROM events').fetchone()[0]); db.close()"
    looked = subprocess.run([sys.executable, "-c", look, writer.path], capture_output=True, text=True, check=True)
    assert looked.stdout == "6\n"
    writer.work(3)
    copy = die(writer.path, tmp_path / "dead")
    writer.journal.close()
    assert len(content(copy)[0]) == 9
    tally("F8", kills=1, checked=9, note="looked at by another program")


def test_an_error_that_speaks_of_room_after_a_failed_sync_is_no_matter_of_room(tmp_path):
    disk = Disk(tmp_path / "var", tmp_path)
    (tmp_path / "var").mkdir()
    order = partial(disk.fail, "sync", "orchestrd.db-wal", 1, errno.ENOSPC)
    said, status = live(tmp_path / "var", disk, order, full=True)
    assert (said, status) == (["failed"], 74)


MUTANTS = (
    Mutant(
        "a start gives up as soon as any write does",
        file="storage/integrity.py",
        old="OPEN_SECONDS = 20.0\n",
        new="OPEN_SECONDS = 1.0\n",
        test="test_a_start_waits_for_another_program",
    ),
    Mutant(
        "a journal at work is proven as one at rest is",
        file="storage/journal.py",
        old="            prove(self.path, halt.is_set)\n",
        new="            examine(self.path, whole=True)\n",
        test="test_another_program_looks_while_a_large_journal_is_proven",
    ),
    Mutant(
        "a journal that another program holds is one that fails",
        file="storage/failure.py",
        old="in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):",
        new="in ():",
        test="test_another_program_holds_the_journal",
    ),
    Mutant(
        "an I/O error is told, and the daemon goes on",
        file="services/store.py",
        old="            self._broken = isinstance(error, StorageError)\n            for job in jobs:\n                job.finish(error)\n            raise",
        new="            for job in jobs:\n                job.finish(error)\n            if not isinstance(error, StorageError):\n                raise",
        test="test_a_daemon_whose_journal_fails[sync]",
    ),
    Mutant(
        "a write is answered before it is on disk",
        file="services/store.py",
        old="        if batch.records or batch.replies:\n            async with",
        new="        for job in jobs:\n            job.finish()\n        if batch.records or batch.replies:\n            async with",
        test="test_a_daemon_whose_journal_fails[write]",
    ),
    Mutant(
        "what goes wrong when the log is folded is kept secret",
        file="storage/journal.py",
        old="            if not isinstance(failure, NotNow):",
        new="            if False:",
        test="test_each_call_of_a_commit_fails[syncing the database]",
    ),
    Mutant(
        "a failed sync may be a matter of room",
        file="storage/failure.py",
        old="code & 0xFF in _PERHAPS and code not in _SYNCING and no_room",
        new="code & 0xFF in _PERHAPS and no_room",
        test="test_an_error_that_speaks_of_room_after_a_failed_sync_is_no_matter_of_room",
    ),
)
