"""
The harness itself: a day of fake agents without any fault is told whole, and what is not so is found.
"""

from __future__ import annotations

import json
import sqlite3

import pytest
import soak
from harness.check import check, look
from harness.mutant import FAULTS, files_of
from harness.script import ask, busy, gate, grandchild, say, stream, write
from kit.processes import belonging
from kit.script import DAY, question, task

pytestmark = pytest.mark.slow


def test_a_row_is_found_by_each_of_its_names():
    seventh = [FAULTS / "test_f07_disk_full.py"]
    assert files_of(["F07"]) == files_of(["f7"]) == files_of(["f07_disk_full"]) == seventh
    assert files_of(["hostile_rundir"]) == [FAULTS / "test_hostile_rundir.py"]
    assert {path.name[:9] for path in files_of(["F1", "F30"])} == {"test_f01_", "test_f30_"}
    assert set(seventh) < set(files_of([]))


@pytest.mark.parametrize("row", ["F99", "F29", "F39", "F", "F0", "harness", ""])
def test_a_row_without_seeded_bugs_is_an_error(row):
    with pytest.raises(ValueError, match=f"no seeded bugs of {row}; there are f01_named_points"):
        files_of(["F07", row])


@pytest.mark.parametrize(
    "arguments",
    [["--minutes", text] for text in ("nan", "inf", "9", "x")]
    + [["--agents", text] for text in ("1", "-3", "2.5")]
    + [["--kill-every", text] for text in ("0", "-1", "nan")],
)
def test_a_soak_that_could_say_nothing_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        soak.arguments_of(arguments)
    assert caught.value.code == 2
    assert f"argument {arguments[0]}" in capsys.readouterr().err


def test_a_soak_never_submits_a_day_twice():
    days = [soak.day_of(wave) for wave in range(5000)]
    assert days[0] == "2026-01-01"
    assert days == sorted(set(days))


@pytest.mark.parametrize(
    ("kib", "tasks", "over"),
    [
        # KiB and tasks a minute.
        (0, 0, False),
        (50, 0, False),
        (1000, 0, True),
        (1000, 1, True),
        (900, 200, False),
        (4000, 200, True),
    ],
)
def test_growth_is_judged_by_tasks_and_by_time(kib, tasks, over):
    found = soak.Soak.__new__(soak.Soak)
    found.life, found.shims = 0, {}
    found.samples = [
        soak.Sample(at=at, life=0, rss=int(100_000 + kib * at / 60), files=20, tasks=int(tasks * at / 60))
        for at in range(0, 900, 2)
    ]
    daemon, _ = soak.growths(found)
    assert daemon.over is over, daemon


def test_a_day_without_a_fault(fault_world, tally):
    world = fault_world()
    world.script("asks", [ask(question("Which?", "One", "Two")), say("Thanks.")])
    world.script("again", [stream(2), busy()], [stream(2), say()])
    world.script("works", [stream(20), write("a.txt", "a"), grandchild(), say()])
    checks = [{"name": "there", "run": "test -f a.txt"}]
    world.submit_tasks(task("asks"), task("again"), task("works", checks=checks), day=DAY)
    world.wait_event("question.asked")
    world.write("question.answer", task="asks", options=["B"])
    assert world.wait() == dict.fromkeys(("asks", "again", "works"), "succeeded")
    assert [row["answers"] for row in world.truth_rows("answer")] == [{"Which?": "Two"}]
    assert [row["resumes"] for row in world.truth_rows("start") if row["run"].endswith("again/2")] == [True]
    assert world.truth_rows("grandchild")
    assert [pid for pid, _ in belonging(world.root)] == [world.daemon.pid]
    found = check(world)
    tally("kit", note="a day without a fault", **found.counts)
    assert found.events > 100


def test_what_is_wrong_is_found(fault_world):
    """
    Each tampering with the journal or the ledger is one trouble at least, of the right kind.
    """
    world = fault_world()
    world.script("works", [stream(3), say()])
    world.submit_tasks(task("works"), day=DAY)
    world.wait()
    world.stop()
    assert not look(world).trouble
    database = world.home / "var" / "orchestrd.db"
    whole = database.read_bytes()
    for tamper, lost, doubled in (
        ("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events WHERE type = 'run.tool_called')", 1, 0),
        ("UPDATE events SET seq = seq + 100 WHERE type = 'daemon.stopped'", 0, 0),
        (
            'INSERT INTO events SELECT seq + 100, at, type, day, task, run, body, start, "end", crc FROM events '
            "WHERE type LIKE 'run.tool%'",
            0,
            6,
        ),
        ("DELETE FROM replies", 0, 0),
        ("DELETE FROM rows WHERE kind = 'run'", 0, 0),
    ):
        with sqlite3.connect(database) as db:
            db.execute(tamper)
        db.close()
        found = look(world)
        assert found.trouble, tamper
        assert (found.lost, found.doubled) == (lost, doubled), tamper
        database.write_bytes(whole)
    with world.truth_file.open("ab") as ledger:
        for row in (
            {"kind": "message", "id": "msg_1", "cost": 10, "first": 1, "calls": ["toolu_1"]},
            {"kind": "told", "id": "msg_1"},
            {"kind": "repeat", "what": "answer", "id": "1", "same": False},
        ):
            ledger.write(json.dumps({"run": f"{DAY}/works/1", **row}).encode() + b"\n")
    found = look(world)
    assert (found.lost, found.doubled, found.cents) == (2, 1, 10 / 10_000_000)


def test_an_agent_is_missed_and_found(fault_world):
    """
    The daemon is killed: agents stay who they are, and are followed again.
    """
    world = fault_world()
    world.script("works", [stream(2), gate("held"), stream(2), say()])
    world.submit_tasks(task("works"), day=DAY)
    held = world.gate.arrive("held")
    before = world.living()
    assert before == {f"{DAY}/works/1": held.pid}
    world.restart()
    assert world.living() == before
    assert world.lives[-1].attached is not None
    held.release()
    assert world.wait() == {"works": "succeeded"}
    check(world)
