"""
Every way in which a home can be damaged is found, under the right invariant, and no other invariant cries wolf.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from kit.script import DAY
from msgspec.structs import replace

from audithome import (
    PROMPT,
    WAITING,
    database,
    edit_fact,
    edit_row,
    found,
    held_object,
    ref_of,
    repository,
    run_dir,
    running,
)
from orchestrd.ancestry import MARK
from orchestrd.audit.facts import Acknowledged
from orchestrd.audit.finding import INVARIANTS, problems
from orchestrd.audit.home import check_home
from orchestrd.runner.session import SHORTER
from orchestrd.storage import integrity
from orchestrd.storage.mark import read

pytestmark = pytest.mark.slow

SECRET = "sk-rehearsal"
TOOL_LINE = {
    "type": "assistant",
    "message": {
        "id": "msg_late",
        "model": "claude-opus-5-5",
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "toolu_late", "name": "Bash", "input": {"command": "ls"}}],
    },
}


def test_a_whole_home_is_found_whole_and_left_as_it_was(home):
    before = tree_of(home)
    findings = check_home(home)
    assert [(f.invariant, f.status) for f in findings] == [(name, "ok") for name in INVARIANTS]
    looked = {f.invariant: f.looked for f in findings}
    assert looked["I1"]["facts"] > 50
    assert looked["I2"]["runs"] == 4
    assert looked["I3"]["nano-USD"] > 0
    assert looked["I7"]["questions"] == 3
    # Of each of four runs what it began with and what came of it, and what was kept in between.
    assert looked["I10"].keys() == {"commits"}
    assert looked["I10"]["commits"] >= 8
    assert looked["I9"] == {"secrets": 1, "prompts": 1, "logs": 1, "files": 7}
    assert tree_of(home) == before


def test_a_home_whose_daemon_was_killed_says_only_what_the_next_one_does(cut):
    assert {name: {f.status for f in several} for name, several in found(cut).items()} == {"I6": {"warning"}}
    runs = [f for f in check_home(cut) if f.invariant == "I6"]
    assert {f.subject for f in runs} == {f"{DAY}/{name}/1" for name in ("asks", "files", "works", "dies")}
    assert "abandoned" in runs[0].hint


def test_a_copy_on_a_disk_that_is_read_only(cut):
    """
    Its log is read all the same, and nothing is left beside it.
    """
    assert (cut / "var" / "orchestrd.db-wal").stat().st_size > 0
    before = found(cut)
    mounted = subprocess.run(["mount", "--bind", cut, cut], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", cut], check=True)
        assert found(cut) == before
    finally:
        subprocess.run(["umount", cut], check=True)


def test_the_record_of_an_end(home):
    path = run_dir(home, "works/1") / "exit.json"
    for damage, state in ((lambda: path.write_bytes(b"{"), "holds no record"), (path.unlink, "is gone")):
        damage()
        (told,) = [f for several in found(home).values() for f in several]
        assert (told.invariant, told.status, told.subject) == ("I6", "warning", f"{DAY}/works/1")
        assert told.detail == f"exit.json, its shim's record of the end, {state}"
        assert "is in the journal" in told.hint


def test_the_spec_of_an_open_run(cut):
    path = run_dir(cut, "works/1") / "spec.json"
    for damage, state in ((lambda: path.write_bytes(b"{"), "holds no spec"), (path.unlink, "is gone")):
        damage()
        (told,) = [f for f in check_home(cut) if "spec.json" in f.detail]
        assert (told.invariant, told.status, told.subject) == ("I6", "warning", f"{DAY}/works/1")
        assert told.detail == f"spec.json, which says what its agent was started with, {state}"
        assert "cancel the task" in told.hint


def tree_of(home: Path) -> dict[str, tuple[int, int, int]]:
    """
    Every path with its mode, size and time; what SQLite needs for reading a log comes and goes.
    """
    return {
        str(path.relative_to(home)): (status.st_mode, status.st_size, status.st_mtime_ns)
        for path in sorted(home.rglob("*"))
        if not path.name.endswith(("-wal", "-shm")) and path.name != "var" and (status := path.lstat())
    }


@pytest.mark.parametrize("name", ["orchestrd.lock", "orchestrd.db", "orchestrd.mark"])
def test_a_fifo_in_the_place_of_a_file_holds_nobody_up(home, name):
    path = home / "var" / name
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    wrong = found(home)
    assert "I1" in wrong if name != "orchestrd.lock" else wrong == {}


# -- damages: each changes a home, and says which invariants see it and in which words -----------------------------------


def drop_a_fact(home: Path) -> None:
    with database(home) as db:
        db.execute("DELETE FROM events WHERE seq = ?", (silent_fact(db),))


def silent_fact(db: sqlite3.Connection) -> int:
    """
    A fact of a stream that changes no row.
    """
    query = "SELECT seq FROM events WHERE type = 'run.tool_returned' AND CAST(body AS TEXT) LIKE '%\"is_error\":false%'"
    return int(db.execute(query).fetchone()[0])


def garble_a_fact(home: Path) -> None:
    with database(home) as db:
        db.execute("""UPDATE events SET body = CAST('{"type":"daemon' AS BLOB) WHERE seq = 1""")


def flip_a_bit_of_a_fact(home: Path) -> None:
    with database(home, seal=False) as db:
        db.execute("UPDATE events SET at = at + 1 WHERE seq = 1")


def flip_a_bit_of_a_row(home: Path) -> None:
    with database(home, seal=False) as db:
        db.execute(
            "UPDATE rows SET body = CAST(replace(CAST(body AS TEXT), 'works', 'workt') AS BLOB) WHERE kind = 'violation'"
        )


def go_back_to_an_older_copy(home: Path) -> None:
    path = home / "var" / "orchestrd.mark"
    mark = read(path)
    assert mark is not None
    path.write_bytes(replace(mark, seq=mark.seq + 1).encoded())


def misfile_a_fact(home: Path) -> None:
    with database(home) as db:
        db.execute("UPDATE events SET run = 'x' WHERE seq = (SELECT max(seq) FROM events WHERE run IS NOT NULL)")


def unlearn_the_schema(home: Path) -> None:
    with database(home) as db:
        db.execute("PRAGMA user_version = 99")


def cut_the_database(home: Path) -> None:
    path = home / "var" / "orchestrd.db"
    os.truncate(path, path.stat().st_size // 2)


def lose_the_database(home: Path) -> None:
    (home / "var" / "orchestrd.db").unlink()


def say_more_after_the_end(home: Path) -> None:
    with (run_dir(home, "works/1") / "stdout.jsonl").open("a") as file:
        file.write(json.dumps(TOOL_LINE) + "\n")


def record_a_fact_twice(home: Path) -> None:
    with database(home) as db:
        names = "at, type, day, task, run, body, crc"
        db.execute(f"INSERT INTO events ({names}) SELECT {names} FROM events WHERE seq = ?", (silent_fact(db),))


def record_what_was_never_said(home: Path) -> None:
    edit_fact(home, "run.tool_called", target="rm -rf /")


def cut_the_output(home: Path) -> None:
    path = run_dir(home, "works/1") / "stdout.jsonl"
    os.truncate(path, path.stat().st_size // 2)


def lose_the_output(home: Path) -> None:
    (run_dir(home, "works/1") / "stdout.jsonl").unlink()


def set_the_cursor_back(home: Path) -> None:
    with database(home) as db:
        db.execute("UPDATE cursors SET offset = 100 WHERE run = ?", (f"{DAY}/works/1",))


def keep_a_strange_cursor(home: Path) -> None:
    with database(home) as db:
        db.execute("INSERT INTO cursors VALUES (?, 100, 0)", (f"{DAY}/nobody/1",))


def set_the_cursor_into_a_line(cut: Path) -> None:
    with database(cut) as db:
        db.execute("UPDATE cursors SET offset = offset - 3 WHERE run = ?", (f"{DAY}/works/1",))


def settle_more(home: Path) -> None:
    """
    A cent more in the fact and in the row.
    """
    for kind, change in (("fact", settled_fact), ("row", settled_row)):
        assert change(home, 10_000_000), kind


def settled_fact(home: Path, more: int) -> bool:
    with database(home) as db:
        (body,) = db.execute(
            "SELECT body FROM events WHERE type = 'run.spend_settled' AND run = ?", (f"{DAY}/works/1",)
        ).fetchone()
    spends = json.loads(body)["spends"]
    spends[0]["cost"] += more
    with database(home) as db:
        changed = json.dumps({**json.loads(body), "spends": spends}).encode()
        return db.execute("UPDATE events SET body = ? WHERE body = ?", (changed, body)).rowcount == 1


def settled_row(home: Path, more: int) -> bool:
    with database(home) as db:
        (body,) = db.execute("SELECT body FROM rows WHERE kind = 'run' AND key = ?", (f"{DAY}/works/1",)).fetchone()
    row = json.loads(body)
    for spend in row["settled"].values():
        spend["cost"] += more
    edit_row(home, "run", f"{DAY}/works/1", settled=row["settled"], drift=row["drift"] + more)
    return len(row["settled"]) == 1


def pay_more_in_the_row(home: Path) -> None:
    settled_row(home, 1)


def change_a_row(home: Path) -> None:
    edit_row(home, "task", f"{DAY}/works", state="failed", attempts=7)


def lose_a_row(home: Path) -> None:
    with database(home) as db:
        assert db.execute("DELETE FROM rows WHERE kind = 'violation'").rowcount == 1


def lose_a_task(home: Path) -> None:
    with database(home) as db:
        assert db.execute("DELETE FROM rows WHERE kind = 'task' AND key = ?", (f"{DAY}/works",)).rowcount == 1


def lose_a_run(home: Path) -> None:
    with database(home) as db:
        assert db.execute("DELETE FROM rows WHERE kind = 'run' AND key = ?", (f"{DAY}/asks/1",)).rowcount == 1


def invent_a_row(home: Path) -> None:
    with database(home) as db:
        db.execute(
            """INSERT INTO rows VALUES ('day', '2026-11-23', CAST('{"type":"day","day":"2026-11-23","source":"x","submitted_at":1.0}' AS BLOB), 0)"""
        )


def answer_otherwise_again(home: Path) -> None:
    path = run_dir(home, "asks/1") / "stdin.jsonl"
    line = next(line for line in path.read_text().splitlines() if "Carol" in line)
    with path.open("a") as file:
        file.write(line.replace("Carol", "Dave") + "\n")


def give_another_answer(home: Path) -> None:
    path = run_dir(home, "asks/1") / "stdin.jsonl"
    path.write_text(path.read_text().replace("Carol", "Dave"))


def lose_an_answer(home: Path) -> None:
    path = run_dir(home, "asks/1") / "stdin.jsonl"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "Carol" not in line))


def lose_a_message(home: Path) -> None:
    path = run_dir(home, "files/1") / "stdin.jsonl"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "Nested" not in line))


def garble_what_was_said(home: Path) -> None:
    path = run_dir(home, "files/1") / "stdin.jsonl"
    path.write_text(path.read_text().replace('{"type":"user"', '{"type:"user"', 1))


def answer_before_anybody_did(cut: Path) -> None:
    with database(cut) as db:
        (request,) = db.execute("SELECT json_extract(body, '$.request') FROM rows WHERE key = ?", (f"{DAY}/asks#1",))
    said = {"subtype": "success", "request_id": request[0], "response": {}}
    with (run_dir(cut, "asks/1") / "stdin.jsonl").open("a") as file:
        file.write(json.dumps({"type": "control_response", "response": said}) + "\n")


def open_to_others(home: Path) -> None:
    (home / "var" / "orchestrd.db").chmod(0o640)
    run_dir(home, "works/1").chmod(0o755)
    (run_dir(home, "works/1") / "control.fifo").chmod(0o620)


def log_a_token(home: Path) -> None:
    with (home / "var" / "orchestrd.out").open("a") as file:
        file.write(json.dumps({"event": "x", "env": f"KEY={SECRET}"}) + "\n")


def log_a_prompt(home: Path) -> None:
    with (home / "var" / "orchestrd.out").open("a") as file:
        file.write(json.dumps({"event": "x", "text": f"Task: {PROMPT}"}) + "\n")


def show_a_token(home: Path) -> None:
    path = home / "var" / "agent_status" / DAY / "works.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "why": SECRET}))


def show_a_prompt(home: Path) -> None:
    path = home / "var" / "agent_status" / DAY / "works.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "name": PROMPT}))


def report_a_token(home: Path) -> None:
    with (home / "var" / "results" / f"{DAY}-report.md").open("a") as file:
        file.write(f"It said {SECRET}.\n")


def record_a_token(home: Path) -> None:
    edit_fact(home, "day.submitted", source=f"tasks/{SECRET}.yaml")
    edit_row(home, "day", DAY, source=f"tasks/{SECRET}.yaml")


def lose_the_repository(home: Path) -> None:
    shutil.rmtree(repository(home))


def lose_every_object(home: Path) -> None:
    shutil.rmtree(repository(home) / "objects")


def lose_what_an_agent_made(home: Path) -> None:
    held_object(home, ref_of("asks/1", "result")).unlink()


def lose_a_file_that_an_agent_wrote(home: Path) -> None:
    held_object(home, f"{ref_of('asks/1', 'result')}:a.txt").unlink()


def empty_what_an_agent_made(home: Path) -> None:
    path = held_object(home, ref_of("asks/1", "result"))
    path.chmod(0o600)
    path.write_bytes(b"")


def lose_a_ref(home: Path) -> None:
    (repository(home) / ref_of("asks/1", "result")).unlink()


def garble_a_ref(home: Path) -> None:
    (repository(home) / ref_of("asks/1", "result")).write_bytes(bytes(41))


def garble_the_settings(home: Path) -> None:
    (repository(home) / "config").write_bytes(b"[core\n")


def empty_the_head(home: Path) -> None:
    (repository(home) / "HEAD").write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        (drop_a_fact, {"I1": "missing", "I2": "not recorded"}),
        (flip_a_bit_of_a_fact, {"I1": "fact 1 is not as written"}),
        (flip_a_bit_of_a_row, {"I1": "rows: .*is not as written", "I5": "violation"}),
        (go_back_to_an_older_copy, {"I1": "older copy"}),
        (garble_a_fact, {"I1": "fact 1 .*cannot be read"}),
        (misfile_a_fact, {"I1": "is filed as"}),
        (say_more_after_the_end, {"I2": "behind the cursor, were never read"}),
        (record_a_fact_twice, {"I2": "recorded more than once"}),
        (record_what_was_never_said, {"I2": "that the output does not hold"}),
        (cut_the_output, {"I2": "its end was cut off"}),
        (lose_the_output, {"I2": "its output cannot be read"}),
        (set_the_cursor_back, {"I1": "its cursor says 100", "I2": "the cursor stands before"}),
        (keep_a_strange_cursor, {"I2": "a run that is not known"}),
        (settle_more, {"I3": "off by 10000000 .*settled"}),
        (pay_more_in_the_row, {"I3": "off by 1 ", "I5": "settled differs"}),
        (change_a_row, {"I5": "task .*attempts is 7, the facts make 1"}),
        (lose_a_row, {"I5": "the database has none"}),
        (lose_a_task, {"I5": f"run {DAY}/works/1 it belongs to task {DAY}/works, which is not known"}),
        (
            lose_a_run,
            {
                "I2": "a cursor of a run that is not known",
                "I5": f"question {DAY}/asks#1 it belongs to run {DAY}/asks/1, which is not known",
            },
        ),
        (invent_a_row, {"I5": "no fact made"}),
        (answer_otherwise_again, {"I7": "answered in 2 different ways"}),
        (give_another_answer, {"I7": "not the one that is recorded"}),
        (lose_an_answer, {"I7": "no answer was written"}),
        (lose_a_message, {"I7": "no message was written"}),
        (garble_what_was_said, {"I7": "cannot be read"}),
        (open_to_others, {"I8": "mode 0640"}),
        (log_a_token, {"I9": "holds the value of ANTHROPIC_API_KEY"}),
        (log_a_prompt, {"I9": f"holds the prompt of {DAY}/asks"}),
        (show_a_token, {"I9": "holds the value of"}),
        (show_a_prompt, {"I9": f"works.json .*holds the prompt of {DAY}/asks"}),
        (report_a_token, {"I9": "report.md .*holds the value of"}),
        (record_a_token, {"I9": "fact .*holds the value of"}),
        (lose_the_repository, {"I10": "work.git it is gone, and [0-9]+ commits"}),
        (lose_every_object, {"I10": "work.git it has no objects any more, and [0-9]+ commits"}),
        (lose_what_an_agent_made, {"I10": f"{DAY}/asks/1/result something of its commit .* is missing"}),
        (lose_a_file_that_an_agent_wrote, {"I10": f"{DAY}/asks/1/result something of its commit .* is missing"}),
        (empty_what_an_agent_made, {"I10": f"{DAY}/asks/1/result something of its commit .* is missing"}),
        (lose_a_ref, {"I10": f"{DAY}/asks/1/result its commit .* is kept by no ref"}),
        (garble_a_ref, {"I10": f"{DAY}/asks/1/result its commit .* is kept by no ref"}),
        (garble_the_settings, {"I10": "work.git .*bad config"}),
        (empty_the_head, {"I10": "work.git .*not a git repository"}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_damage_is_named(home: Path, damage: Callable[[Path], None], seen: dict[str, str]):
    damage(home)
    told(home, seen)


def told(home: Path, seen: dict[str, str], **more: object) -> None:
    wrong = found(home, **more)
    assert wrong.keys() == seen.keys(), wrong
    for name, words in seen.items():
        said = [f"{f.subject} {f.detail}" for f in wrong[name] if f.status == "problem"]
        assert any(re.search(words, line) for line in said), said


def test_every_loose_mode_is_named(home):
    open_to_others(home)
    loose = found(home)["I8"]
    names = {f.subject.rpartition("/")[2] for f in loose}
    # SQLite gives its side files the mode of the database.
    assert names - {"orchestrd.db-wal", "orchestrd.db-shm"} == {"1", "control.fifo", "orchestrd.db"}
    assert all(f.mendable for f in loose)


def test_a_person_answers_by_a_file_as_editors_make_it(home):
    folder = home / "var" / "agent_questions" / DAY
    folder.mkdir(mode=0o700, exist_ok=True)
    answer = folder / "asks-answer.md"
    answer.write_text("Two\n", encoding="utf-8")
    answer.chmod(0o644)
    assert "I8" not in found(home)
    folder.chmod(0o755)
    assert [f.subject for f in found(home)["I8"]] == [f"var/agent_questions/{DAY}"]


def test_an_end_of_the_output_that_was_cut_off_and_told(cut):
    """
    As after a power loss: what was recorded of the lost end stands, and is not held against what is left.
    """
    path = run_dir(cut, "works/1") / "stdout.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    with database(cut) as db:
        (cursor,) = db.execute("SELECT offset FROM cursors WHERE run = ?", (f"{DAY}/works/1",)).fetchone()
    path.write_bytes(b"".join(lines[: len(lines) // 2]))
    assert {(f.invariant, f.status) for f in check_home(cut) if "cut off" in f.detail} == {("I2", "warning")}
    end = path.stat().st_size
    told = {"type": "run.stream_damaged", "run": f"{DAY}/works/1", "offset": end, "length": cursor - end}
    with database(cut) as db:
        db.execute(
            'INSERT INTO events (at, type, day, task, run, body, start, "end", crc) VALUES (1.0, ?, ?, ?, ?, ?, ?, ?, 0)',
            (
                told["type"],
                DAY,
                f"{DAY}/works",
                told["run"],
                json.dumps({**told, "reason": SHORTER, "cut": True}).encode(),
                cursor,
                end,
            ),
        )
        db.execute("UPDATE cursors SET offset = ? WHERE run = ?", (end, told["run"]))
    edit_row(cut, "run", f"{DAY}/works/1", damaged=1, cut=True)
    assert problems(check_home(cut)) == []
    assert "I2" not in found(cut)
    # What is recorded of the part that is left still has to be what it says.
    lines[len(lines) // 2 :] = []
    path.write_bytes(b"".join(lines).replace(b"toolu_", b"other_"))
    assert "I2" in found(cut)


def test_an_answer_nobody_gave(cut):
    answer_before_anybody_did(cut)
    wrong = problems(check_home(cut))
    assert [(f.invariant, f.subject) for f in wrong] == [("I7", f"{DAY}/asks#1")]


def test_a_cursor_inside_a_line(cut):
    set_the_cursor_into_a_line(cut)
    assert {f.invariant for f in problems(check_home(cut))} == {"I1", "I2"}


@pytest.mark.parametrize("damage", [unlearn_the_schema, cut_the_database], ids=lambda value: value.__name__)
def test_a_journal_that_cannot_be_read(home, damage):
    damage(home)
    wrong = found(home)
    assert [f.status for f in wrong["I1"]] == ["problem"]
    assert wrong["I1"][0].hint
    # What needs the journal is not judged, and said to be so; what does not is.
    for name in ("I2", "I3", "I4", "I5", "I6", "I7", "I10"):
        assert [(f.status, "cannot be told" in f.detail) for f in wrong[name]] == [("warning", True)]
    assert "I8" not in wrong


def test_a_lost_journal(home):
    lose_the_database(home)
    assert re.search("it held [0-9]{2,3} facts", found(home)["I1"][0].detail)
    (home / "var" / "orchestrd.mark").unlink()
    assert "and there are files of tasks that it knew" in found(home)["I1"][0].detail
    (home / "var" / "orchestrd.db-wal").write_bytes(b"x" * 100)
    (home / "var" / "orchestrd.db-wal").chmod(0o600)
    assert "the journal is gone, but orchestrd.db-wal" in found(home)["I1"][0].detail


def test_a_journal_that_another_program_holds(home, monkeypatch):
    monkeypatch.setattr(integrity, "OPEN_SECONDS", 0.1)
    with closing(sqlite3.connect(home / "var" / "orchestrd.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        (one,) = found(home)["I1"]
        other.execute("ROLLBACK")
    assert "another program holds it" in one.detail
    assert "fuser" in one.hint
    assert "--repair" not in one.hint


def test_a_mark_that_nobody_can_read(home):
    lose_the_database(home)
    (home / "var" / "orchestrd.mark").unlink()
    os.mkfifo(home / "var" / "orchestrd.mark", 0o600)
    assert "not a regular file" in found(home)["I1"][0].detail


def test_files_of_a_run_that_is_not_known(home):
    shutil.copytree(run_dir(home, "works/1"), run_dir(home, "works/2"), ignore=shutil.ignore_patterns("*.fifo"))
    (one,) = found(home)["I2"]
    assert (one.status, one.subject) == ("warning", f"{DAY}/works/2")


def test_a_home_that_was_never_served(tmp_path):
    shutil.copytree(Path(__file__).parents[2] / "src/orchestrd/defaults", tmp_path / "home" / "config")
    assert found(tmp_path / "home") == {}


# -- acknowledged requests ---------------------------------------------------------------------------------------------


def test_acknowledged_requests_are_held_against_the_journal(home):
    with database(home) as db:
        rows = db.execute("SELECT request, method, body FROM replies").fetchall()
    ledger = {r: Acknowledged(method=m.partition(" ")[0], result=json.loads(body)) for r, m, body in rows}
    assert len(ledger) >= 4
    assert found(home, ledger=ledger) == {}
    told(home, {"I4": "request never .*knows nothing"}, ledger={"never": Acknowledged(method="task.submit")})
    name = next(iter(ledger))
    told(home, {"I4": "answered otherwise"}, ledger={name: Acknowledged(method=ledger[name].method, result=[1])})
    told(home, {"I4": "recorded is"}, ledger={name: Acknowledged(method="task.apply")})
    with database(home) as db:
        db.execute("DELETE FROM replies WHERE request = ?", (name,))
    told(home, {"I1": "replies are missing", "I4": "knows nothing"}, ledger=ledger)


# -- processes ---------------------------------------------------------------------------------------------------------


def test_a_process_that_outlived_its_run(home):
    with running(**{MARK: str(run_dir(home, "works/1"))}) as left:
        told(home, {"I6": f"{DAY}/works/1 process {left.pid} .* lives, and the run was settled"})
    # A process of the home that this one was copied from is none of ours.
    with running(**{MARK: str(run_dir(home.parent / "other", "works/1"))}):
        assert found(home) == {}


def test_a_lock_that_outlived_its_run(home):
    with (run_dir(home, "works/1") / "agent.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told(home, {"I6": "agent.lock is held"})


def test_two_shims_of_one_run(cut, tmp_path):
    shim = tmp_path / "shim.py"
    shim.write_text(WAITING)
    command = (sys.executable, "-I", "-S", str(shim), str(run_dir(cut, "works/1")))
    with ExitStack() as stack:
        stack.enter_context(running(command=command))
        assert problems(check_home(cut)) == []
        stack.enter_context(running(command=command))
        (one,) = problems(check_home(cut))
        assert (one.invariant, one.subject) == ("I6", f"{DAY}/works/1")
        assert "2 shims" in one.detail
