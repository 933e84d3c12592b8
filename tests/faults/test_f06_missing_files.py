"""
F6: the journal, its log or its mark is gone, is something else, or is an older copy; or the repository of the agents' work
is.  Never a silent clean start.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from harness.check import check
from harness.journals import Writer, content, die, snapshot
from harness.mutant import Mutant
from harness.script import ask, gate, leave, say, stream, write
from kit.ground import Ground
from kit.processes import of_runs, until
from kit.rpc import RpcError
from kit.script import DAY, question, task

from factories import NOW
from orchestrd.audit.finding import problems
from orchestrd.audit.home import check_home
from orchestrd.audit.ledger import read_ledger
from orchestrd.errors import DamagedJournal
from orchestrd.storage.integrity import log_of, salvaged_of
from orchestrd.storage.journal import Journal
from orchestrd.storage.mark import path_of
from orchestrd.storage.salvage import salvage
from orchestrd.storage.schema import EVENTS, RECORDS, crc

RECORD_KEYS = {"meta": "key", "events": "seq", "rows": "key", "cursors": "run", "replies": "request"}


@pytest.fixture
def dead(tmp_path):
    """
    What a killed daemon left, with transactions in its log.
    """
    (tmp_path / "live").mkdir()
    writer = Writer(tmp_path / "live" / "orchestrd.db")
    writer.begin()
    path = die(writer.path, tmp_path / "dead")
    writer.journal.close()
    return path


def refused(path, match: str) -> None:
    """
    The start is refused with exit status 78 and changes nothing, each time.
    """
    before = snapshot(path.parent)
    for _ in range(2):
        with pytest.raises(DamagedJournal, match=match) as caught:
            Journal(path)
        assert caught.value.exit_status == 78
        assert "doctor --deep --repair" in caught.value.hint
        assert snapshot(path.parent) == before


def test_the_database_is_gone(dead, tally):
    dead.unlink()
    refused(dead, "the journal is gone, but orchestrd.db-wal is still there")
    log_of(dead).unlink()
    refused(dead, "the journal is gone: it held 6 facts")
    tally("F6", note="database gone")


def test_the_log_is_gone(dead, tally):
    log_of(dead).unlink()
    refused(dead, "facts 1 to 6 are missing")
    tally("F6", note="log gone")


def test_only_the_mark_is_gone(dead):
    """
    A mark is a witness: without it there is one witness less, and a journal that is whole is served.
    """
    before = content(die(dead, dead.parent.with_name("copy")))
    path_of(dead).unlink()
    assert content(dead) == before
    assert path_of(dead).exists()


@pytest.mark.parametrize("data", [b"", b"garbage " * 4096, bytes(40960)], ids=["empty", "garbage", "zeros"])
@pytest.mark.parametrize("which", ["database", "log", "mark"])
def test_something_else_lies_there(dead, which, data, tally):
    place = {"database": dead, "log": log_of(dead), "mark": path_of(dead)}[which]
    place.write_bytes(data)
    refused(dead, "orchestrd")
    tally("F6", note="garbage in place of each")


def test_an_older_copy_was_put_back(tmp_path, tally):
    path = tmp_path / "orchestrd.db"
    writer = Writer(path)
    writer.begin()
    writer.journal.close()
    older = path.read_bytes()
    writer = Writer(path)
    writer.work(1)
    writer.journal.close()
    path.write_bytes(older)
    refused(path, "fact 7 is missing: its log was cut or lost, or this is an older copy")
    found = salvage(path, now=0.0)
    # Nothing is wrong with it, and nobody can say what the lost fact was: what may have been of one part with it goes too.
    assert (found.facts, found.lost_facts) == (6, 1)
    assert len(content(path)[0]) == 6
    tally("F6", note="older copy")


def test_the_identity_is_gone(dead, tally):
    with closing(sqlite3.connect(dead)) as db:
        db.execute("DELETE FROM meta WHERE key = 'identity'")
        db.commit()
    refused(dead, "meta: there is no identity")
    told = read_ledger(dead)
    assert ([fault.detail for fault in told.faults], told.damaged) == (["meta: there is no identity"], True)
    found = salvage(dead, now=0.0)
    assert (found.facts, found.lost_facts, found.lost_replies, found.damaged) == (6, 0, 0, ("meta",))
    assert len(content(dead)[0]) == 6
    tally("F6", note="identity gone")


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ("UPDATE events SET run = 7 WHERE seq = 3", 5),
        ("UPDATE events SET day = 'x' WHERE seq = 3", 5),
        ("UPDATE events SET start = start + 3 WHERE seq = (SELECT max(seq) FROM events WHERE start IS NOT NULL)", None),
        ("UPDATE rows SET key = CAST(key AS BLOB) WHERE kind = 'run'", 6),
        ("UPDATE cursors SET offset = 'x'", 6),
        ("UPDATE replies SET seq = 'x'", 6),
    ],
)
def test_a_record_that_nobody_wrote(dead, change, kept, tally):
    """
    Its checksum is right.  Doctor and salvage do not fall over it, and what is made anew is whole.
    """
    with closing(sqlite3.connect(dead)) as db:
        assert db.execute(change).rowcount
        for table, query in {"events": EVENTS, **RECORDS}.items():
            key = RECORD_KEYS[table]
            for record in db.execute(query).fetchall():
                db.execute(f"UPDATE {table} SET crc = ? WHERE {key} = ?", (crc(record[:-1]), record[key == "key"]))
        db.commit()
    assert read_ledger(dead).damaged
    found = salvage(dead, now=0.0)
    assert kept is None or found.facts == kept
    told = read_ledger(dead)
    assert (told.faults, told.unreadable) == ([], "")
    tally("F6", note="records of other kinds")


def test_another_home_s_journal(tmp_path, dead, tally):
    other = Writer(tmp_path / "orchestrd.db")
    other.begin()
    other.journal.close()
    log_of(dead).unlink()
    dead.write_bytes(other.path.read_bytes())
    refused(dead, "belongs to another journal")
    tally("F6", note="another journal")


def test_a_lost_reply_is_noticed(tmp_path, tally):
    path = tmp_path / "orchestrd.db"
    writer = Writer(path)
    writer.begin()
    writer.journal.close()
    older = path.read_bytes()
    writer = Writer(path)
    writer.put(request="r3")
    writer.journal.close()
    path.write_bytes(older)
    refused(path, "replies are missing, 1 of 3")
    tally("F6", note="a reply lost")


@pytest.mark.parametrize("place", ["before_swap", "mid_swap"])
def test_a_salvage_that_is_cut_off_is_finished_by_the_next(dead, place, monkeypatch, tally):
    before = content(die(dead, dead.parent.with_name("copy")))
    with log_of(dead).open("r+b") as file:
        file.truncate(log_of(dead).stat().st_size - 1)
    monkeypatch.setenv("ORCHESTRD_TESTING", "1")
    monkeypatch.setenv("ORCHESTRD_FAILPOINTS", f"journal.salvaged.{place}=raise")
    monkeypatch.setattr("orchestrd.failpoint._counts", {})
    with pytest.raises(RuntimeError, match="failpoint"):
        salvage(dead, now=0.0)
    monkeypatch.undo()
    assert salvaged_of(dead).exists()
    refused(dead, "the journal's salvage was cut off")
    found = salvage(dead, now=1.0)
    # The lost fact may have been of one part of the stream with the two before it.
    assert (found.facts, found.lost_facts) == (3, 3)
    assert all("19700101T000000Z" in copy for copy in found.quarantined)
    assert content(dead)[0] == before[0][:3]
    assert not salvaged_of(dead).exists()
    tally("F6", note="salvage killed")


def test_a_salvage_of_which_nothing_was_told_is_told_by_the_next(fault_world, tally):
    """
    A repair died when the new journal was in its place, and before it could say so.
    """
    world = fault_world()
    world.script("a", [stream(2), say()])
    world.submit_tasks(task("a"), day=DAY)
    assert world.wait() == {"a": "succeeded"}
    world.stop()
    path = world.home / "var" / "orchestrd.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE events SET at = at + 1 WHERE seq = 3")
        db.commit()
    saved = salvage(path, now=0.0)
    told = world.orchctl("doctor", "--deep", "--repair")
    assert told.code == 0, told
    assert "the damaged file was kept as orchestrd.db.bad-19700101T000000Z" in told.out
    assert f"made anew from {saved.facts} whole facts" in told.out
    assert "lost: 1 facts, the first is number 3" in told.out
    # Once.
    assert "mended" not in world.orchctl("doctor", "--deep", "--repair").out
    world.start()
    assert world.status("a")["state"] == "succeeded"
    tally("F6", note="a salvage that was not told yet")


def test_a_salvage_without_room_changes_nothing(dead, monkeypatch):
    dead.write_bytes(b"garbage")
    before = snapshot(dead.parent)
    monkeypatch.setattr("shutil.copyfileobj", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(Exception, match="the disk is full"):
        salvage(dead, now=0.0)
    assert snapshot(dead.parent) == before


@pytest.mark.parametrize("witness", ["agent_logs/2026-11-22/a/1/spec.json", "agent_status/2026-11-22/a.json"])
@pytest.mark.parametrize("left", ["nothing", "an empty one"])
def test_tasks_bear_witness_of_a_journal_that_is_gone(tmp_path, left, witness, tally):
    """
    Neither log nor mark tells of it, but a task and a run are recorded before their first files are made.
    """
    path = tmp_path / "orchestrd.db"
    if left != "nothing":
        Journal(path).close()
        path_of(path).unlink()
    (tmp_path / witness).parent.mkdir(parents=True)
    (tmp_path / witness).write_text("{}")
    for _ in range(2):
        with pytest.raises(DamagedJournal, match="and there are files of tasks that it knew") as caught:
            Journal(path)
        assert caught.value.exit_status == 78
        assert path.exists() is (left != "nothing")
    saved = salvage(path, now=NOW)
    assert not saved.counted
    # Of that the person was told.
    Journal(path).close()
    tally("F6", note=f"everything gone but {witness.partition('/')[0]} ({left} in its place)")


def test_everything_is_gone(tmp_path):
    """
    Then nothing tells of a journal that was, and there is a new one.
    """
    path = tmp_path / "orchestrd.db"
    assert content(path) == ([], [], {}, {})


def test_what_was_asked_before_is_not_asked_or_answered_again(fault_world, tally):
    """
    The files of a lost conversation lie where those of the next will be.
    """
    world = fault_world()
    which, push = question("Delete the old table?", "Yes", "No"), question("Push to production?", "Yes", "No")
    world.script("a", [ask(which), say()], [gate("again"), ask(push), gate("asked"), say()])
    world.submit_tasks(task("a"), day=DAY)
    world.wait_event("question.asked")
    folder = world.home / "var" / "agent_questions" / DAY
    (folder / "a-answer.md").write_text("Yes, delete it.\n", encoding="utf-8")
    assert world.wait() == {"a": "succeeded"}
    world.kill()
    for file in (world.home / "var").glob("orchestrd.db*"):
        file.unlink()
    assert world.orchctl("doctor", "--deep", "--repair").code == 0
    Ground.start(world)
    world.submit_tasks(task("a"), day=DAY)
    again = world.gate.arrive("again")
    assert sorted(path.name for path in folder.iterdir()) == ["a-answer.md.unknown", "a.md.unknown"]
    again.release()
    world.wait_event("question.asked")
    world.kill()
    Ground.start(world)
    world.write("question.answer", task="a", text="No, wait.")
    world.gate.arrive("asked").release()
    assert world.wait() == {"a": "succeeded"}
    assert [e["event"]["text"] for e in world.events("question.asked")] == ["Push to production?"]
    assert [e["event"]["answer"] for e in world.events("question.answered")] == ["No, wait."]
    assert not problems(check_home(world.home, environ=world.environ))
    tally("F6", kills=2, note="old questions and answers")


# -- the repository ----------------------------------------------------------------------------------------------------


def at_work(fault_world, **more):
    """
    A daemon was killed: one task is done, of another the agent is at work.  Gives the agent's gate too.
    """
    world = fault_world(files={"kept.txt": "one\n"}, **more)
    world.script("done", [write("done.txt", "done\n"), say()])
    world.script("on", [write("on.txt", "on\n"), gate("on"), say()])
    world.submit_tasks(task("done", retries=0), task("on", retries=0), day=DAY)
    world.wait("done")
    held = world.gate.arrive("on")
    if more:
        world.wait_event("task.snapshot_taken")
    world.kill()
    # A git that it had started may be writing yet.
    until(lambda: not of_runs(world.home, "ORCHESTRD_REPOSITORY"))
    return world, held, world.home / "var" / "git" / "work.git"


def start(world) -> tuple[int, str]:
    """
    Start a daemon that does not come to serve: its exit status and what it said.
    """
    words = [sys.executable, "-m", "orchestrd", "--home", str(world.home)]
    done = subprocess.run(words, env=world.environ, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("gone", [".", "objects", "objects/all"])
def test_the_repository_is_gone(fault_world, tally, gone):
    world, held, path = at_work(fault_world, config={"snapshots": {"interval": "1s"}})
    if gone == "objects/all":
        # As from a clean start: a repository in good order that has nothing in it.
        shutil.rmtree(path)
        subprocess.run(["git", "init", "-q", "--bare", path], check=True, umask=0o077)
    else:
        shutil.rmtree(path / gone)
    before = sorted(path.rglob("*"))
    for _ in range(2):
        code, said = start(world)
        assert code == 78
        assert "work.git: it " in said
        assert re.search(r"\b[3-9] commits of agents' work were kept in it", said)
        assert "orchctl doctor --deep --repair" in said
        assert sorted(path.rglob("*")) == before
    (named,) = [c for c in world.orchctl("doctor", "--deep", "--json").json["checks"] if c["status"] == "problem"]
    assert named["name"] == "I10 work"
    assert world.orchctl("doctor", "--deep", "--repair").code == 0
    world.start()
    # Nor is anybody offered what is lost.
    until(lambda: world.status("on")["snapshots"] == world.status("done")["snapshots"] == 0)
    held.release()
    # Its tree went with the repository; that nobody can see what it did is told, and new work is done.
    assert world.wait("on") == {"on": "failed"}
    world.script("new", [write("new.txt", "new\n"), say()])
    world.submit_tasks(task("new", retries=0), day="2026-11-23")
    assert world.wait("2026-11-23/new") == {"new": "succeeded"}
    assert world.rpc("task.apply", tasks=["2026-11-23/new"])["created"] == ["new.txt"]
    for method, more in (("task.diff", {"task": f"{DAY}/done"}), ("task.apply", {"tasks": [f"{DAY}/done"]})):
        with pytest.raises(RpcError, match=f"the work of {DAY}/done/1 is lost"):
            world.rpc(method, **more)
    tally("F6", kills=1, note="repository gone", **check(world).counts)


@pytest.mark.slow
def test_some_of_what_was_kept_is_gone(fault_world, tally):
    """
    The rest can be used: the daemon serves, and says what is lost.
    """
    world, held, path = at_work(fault_world)
    (result,) = [e["event"]["result"] for e in world.events("run.exited")]
    (path / "objects" / result[:2] / result[2:]).unlink()
    world.start()
    assert "git.work_lost" in world.log.read_text()
    with pytest.raises(RpcError, match=f"the work of {DAY}/done/1 is lost"):
        world.rpc("task.apply", tasks=["done"])
    held.release()
    assert world.wait("on") == {"on": "succeeded"}
    assert world.rpc("task.apply", tasks=["on"])["created"] == ["on.txt"]
    (named,) = [c for c in world.orchctl("doctor", "--deep", "--json").json["checks"] if c["status"] == "problem"]
    assert (named["name"], named["subject"]) == ("I10 work", f"{DAY}/done/1/result")
    tally("F6", kills=1, note="a commit gone")


@pytest.mark.slow
def test_what_a_tree_was_made_from_is_gone(fault_world, tally):
    """
    Of a task that is tried again: what its agent left is kept, the tree made anew, and the other tasks do not notice.
    """
    world = fault_world(files={"kept.txt": "one\n"})
    world.script("a", [write("left.txt", "left\n"), leave(3)], [write("mine.txt", "mine\n"), say()])
    world.script("b", [say()])
    world.submit_tasks(task("a", retries=0), day=DAY)
    assert world.wait("a") == {"a": "failed"}
    world.kill()
    path = world.home / "var" / "git" / "work.git"
    (base,) = [e["event"]["base"] for e in world.events("run.prepared")]
    (path / "objects" / base[:2] / base[2:]).unlink()
    world.start()
    assert "git.work_lost" in world.log.read_text()
    world.submit_tasks(task("b", retries=0), day="2026-11-23")
    assert world.wait("2026-11-23/b") == {"b": "succeeded"}
    world.rpc("task.retry", tasks=[f"{DAY}/a"])
    assert world.wait("a") == {"a": "succeeded"}
    assert world.rpc("task.apply", tasks=[f"{DAY}/a"])["created"] == ["mine.txt"]
    assert "left.txt" in world.left()
    tally("F6", kills=1, note="a tree's commit gone")


@pytest.mark.slow
@pytest.mark.parametrize("what", ["HEAD", "config", "refs"])
def test_what_makes_a_repository_of_it_is_gone(fault_world, tally, what):
    """
    Only this program writes it, and knows what it said.
    """
    world, held, path = at_work(fault_world)
    if what == "refs":
        shutil.rmtree(path / "refs")
    else:
        (path / what).write_bytes(b"[core\n")
    world.start()
    held.release()
    assert world.wait() == {"done": "succeeded", "on": "succeeded"}
    assert sorted(world.rpc("task.apply", tasks=["done", "on"])["created"]) == ["done.txt", "on.txt"]
    tally("F6", kills=1, note="repository's settings gone", **check(world).counts)


MUTANTS = (
    Mutant(
        "snapshots are offered that were given up",
        file="services/snapshots.py",
        old="                group.start_soon(self._let_go)\n",
        new="",
        test="test_the_repository_is_gone[objects]",
    ),
    Mutant(
        "what an earlier repair saved is told by nobody",
        file="audit/repair.py",
        old="            if ledger.salvaged:\n",
        new="            if False:\n",
        test="test_a_salvage_of_which_nothing_was_told_is_told_by_the_next",
    ),
    Mutant(
        "what a repair saved is told each time",
        file="audit/worklog.py",
        old="        return [e for e in entries if not begun or ",
        new="        return [e for e in entries if True or ",
        test="test_a_salvage_of_which_nothing_was_told_is_told_by_the_next",
    ),
    Mutant(
        "questions begin where those of a lost conversation lie",
        file="services/runs.py",
        old="            self._desk.beginning(row.key)\n",
        new="",
        test="test_what_was_asked_before_is_not_asked_or_answered_again",
    ),
    Mutant(
        "nothing bears witness of a journal that is gone",
        file="storage/integrity.py",
        old="        if witnessed(path):\n            raise DamagedJournal(",
        new="        if False:\n            raise DamagedJournal(",
        test="test_tasks_bear_witness_of_a_journal_that_is_gone[nothing-agent_logs/2026-11-22/a/1/spec.json]",
    ),
    Mutant(
        "an empty journal is as good as any",
        file="storage/integrity.py",
        old="    if found.seq or not witnessed(path):\n",
        new="    if True:\n",
        test="test_tasks_bear_witness_of_a_journal_that_is_gone[an empty one-agent_logs/2026-11-22/a/1/spec.json]",
    ),
    Mutant(
        "only runs bear witness of a journal that is gone",
        file="storage/integrity.py",
        old='("agent_logs/*/*/*/spec.json", "agent_status/*/*.json")',
        new='("agent_logs/*/*/*/spec.json",)',
        test="test_tasks_bear_witness_of_a_journal_that_is_gone[nothing-agent_status/2026-11-22/a.json]",
    ),
    Mutant(
        "a repository is made anew whatever was kept in it",
        file="workspace/custody.py",
        old="    if found.gone and not found.mendable:\n        raise lost(path, found)\n",
        new="",
        test="test_the_repository_is_gone[objects]",
    ),
    Mutant(
        "an empty repository is taken for the one that was used",
        file="workspace/custody.py",
        old='return "it is not the one that was used" if',
        new='return "" if',
        test="test_the_repository_is_gone[objects/all]",
    ),
    Mutant(
        "damaged settings of the repository keep the daemon from starting",
        file="workspace/custody.py",
        old="    if found.mendable:\n",
        new="    if False:\n",
        test="test_what_makes_a_repository_of_it_is_gone[config]",
    ),
    Mutant(
        "a tree of what is lost stops every fetch",
        file="workspace/custody.py",
        old="        heads = detached(path)\n",
        new="        heads: dict[str, str] = {}\n",
        test="test_what_a_tree_was_made_from_is_gone",
    ),
    Mutant(
        "what is made of a lost commit cannot be kept",
        file="workspace/snapshots.py",
        old="    parents = (base,) if base and await repo.holds(base) else ()\n",
        new="    parents = (base,)\n",
        test="test_what_a_tree_was_made_from_is_gone",
    ),
    Mutant(
        "a ref of what is lost stops every fetch",
        file="workspace/custody.py",
        old="        await anyio.to_thread.run_sync(drop, path, found.dangling)\n",
        new="",
        test="test_some_of_what_was_kept_is_gone",
    ),
    Mutant(
        "refs that are lost stay lost",
        file="workspace/custody.py",
        old="        await anyio.to_thread.run_sync(name, path, found.unnamed)\n",
        new="",
        test="test_what_makes_a_repository_of_it_is_gone[refs]",
    ),
    Mutant(
        "a missing database is made anew whatever its mark says",
        file="storage/journal.py",
        old="                refuse_without(path)\n",
        new="",
        test="test_the_database_is_gone",
    ),
    Mutant(
        "an identity is expected whatever was found",
        file="storage/integrity.py",
        old='    return "" if found is None else str(found[0])\n',
        new="    return str(found[0])\n",
        test="test_the_identity_is_gone",
    ),
    Mutant(
        "what a record's columns hold is not looked at",
        file="storage/schema.py",
        old="    return shaped(table, record[:-1]) and intact(record)\n",
        new="    return intact(record)\n",
        test="test_a_record_that_nobody_wrote",
    ),
    Mutant(
        "a salvage keeps parts of a stream that do not follow each other",
        file="storage/salvage.py",
        old="            if source.start != read.get(source.run, (0, 0))[1] or source.end < 0:\n",
        new="            if False:\n",
        test="test_a_record_that_nobody_wrote",
    ),
    Mutant(
        "where a fact is filed is not looked at",
        file="storage/remains.py",
        old="            if filed(fact) == record[2:6]:\n",
        new="            if True:\n",
        test="test_a_record_that_nobody_wrote",
    ),
    Mutant(
        "an older copy is taken",
        file="storage/integrity.py",
        old="    if mark.seq > found.seq:",
        new="    if mark.seq > found.seq + 1:",
        test="test_an_older_copy_was_put_back",
    ),
    Mutant(
        "whose journal it is is not asked",
        file="storage/integrity.py",
        old="    if found.identity and mark.identity != found.identity:",
        new="    if False:",
        test="test_another_home_s_journal",
    ),
    Mutant(
        "a start passes over a salvage that was cut off",
        file="storage/integrity.py",
        old="    if salvaged_of(path).exists():",
        new="    if False:",
        test="test_a_salvage_that_is_cut_off_is_finished_by_the_next[mid_swap]",
    ),
    Mutant(
        "the old log stays beside the salvaged journal",
        file="storage/salvage.py",
        old='    for suffix in ("-wal", "-shm"):',
        new='    for suffix in ("-shm",):',
        test="test_a_salvage_that_is_cut_off_is_finished_by_the_next[mid_swap]",
    ),
    Mutant(
        "a journal without a fact owes its mark nothing",
        file="storage/integrity.py",
        old="    if mark is None or not (mark.seq or mark.replies):\n",
        new="    if mark is None or not found.seq:\n",
        test="test_the_log_is_gone",
    ),
    Mutant(
        "a journal is refused when its mark is gone",
        file="storage/integrity.py",
        old='    if mark is None or not (mark.seq or mark.replies):\n        return ""\n',
        new='    if mark is None:\n        return "the mark beside it is gone" if found.seq else ""\n',
        test="test_only_the_mark_is_gone",
    ),
    Mutant(
        "an empty mark is taken for none",
        file="storage/mark.py",
        old="    found = _FORM.fullmatch(data)\n",
        new="    if not data:\n        return None\n    found = _FORM.fullmatch(data)\n",
        test="test_something_else_lies_there[mark-empty]",
    ),
    Mutant(
        "the mark does not count the replies",
        file="storage/journal.py",
        old="replies=self._mark.replies + len(batch.replies))",
        new="replies=self._mark.replies)",
        test="test_a_lost_reply_is_noticed",
    ),
    Mutant(
        "a copy that found no room stays, half written",
        file="storage/salvage.py",
        old="        for _, copy in copies:\n            copy.unlink(missing_ok=True)\n        raise\n",
        new="        raise\n",
        test="test_a_salvage_without_room_changes_nothing",
    ),
    Mutant(
        "a new journal is taken for one that was emptied",
        file="storage/integrity.py",
        old="    if found.seq or not witnessed(path):\n",
        new="    if found.seq:\n",
        test="test_everything_is_gone",
    ),
)
