"""
The harness itself: a day of fake agents without any fault is told whole, and what is not so is found.
"""

from __future__ import annotations

import json
import sqlite3

import pytest
from harness.check import check, look
from harness.script import ask, busy, gate, grandchild, say, stream, write
from kit.processes import belonging
from kit.script import DAY, question, task

pytestmark = pytest.mark.slow


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
