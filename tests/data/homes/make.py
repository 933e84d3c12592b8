"""
Make a golden home with the code as it is now: ``PYTHONPATH=tests/acceptance python tests/data/homes/make.py FOLDER``.

Run once for each released version and each schema, never again for an old one: what lies beside this file was written by
the code of its time, and today's code must open it for ever.  The real daemon, client and CLI do the work, against the
rehearsal model.  Paths are then replaced, length for length, so that offsets into streams stay true.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import sys
from pathlib import Path

from kit.processes import belonging
from kit.script import ask, bash, gate, question, say, scenario, task, write
from kit.world import World

KEPT = ("var/orchestrd.db", "var/agent_logs", "config")
LEFT_OUT = ("*.fifo", "*.new")

SCENARIOS = [
    scenario("good", write("good.txt", "good"), bash("cat good.txt"), say("Done.")),
    scenario("unchecked", write("bad.txt", "bad"), say("Done.")),
    scenario("asks", ask(question("Which?", "One", "Two")), {"when": {"result": "Two"}, **say("Two.")}),
    scenario("unwanted", gate("unwanted"), say("Done.")),
    scenario("forbidden", bash("git push origin main"), write("mine.txt", "mine"), say("I may not.")),
    scenario("resumed", write("a.txt", "a"), gate("resumed"), bash("cat a.txt"), say("Done.")),
    scenario("open", write("open.txt", "open"), gate("open"), say("Done.")),
]


def live(world: World) -> None:
    """
    A day with one of everything; at its end one run is open, and no process is left.
    """
    world.submit(task("good", checks=[{"name": "there", "run": "test -s good.txt"}]))
    assert world.wait("good") == {"good": "succeeded"}
    world.submit(
        task("good", checks=[{"name": "there", "run": "test -s good.txt"}]),
        task("unchecked", retries=0, checks=[{"name": "never", "run": "false"}]),
        task("asks"),
        task("unwanted"),
        task("forbidden"),
        task("resumed"),
    )
    world.wait_event("question.asked")
    assert world.orchctl("answer", "asks", "--option", "B").code == 0
    world.gate.arrive("unwanted")
    assert world.orchctl("cancel", "unwanted").code == 0
    held = world.gate.arrive("resumed")
    world.wait_transcript("resumed/1", ("resumed", 1))
    assert world.wait("unwanted", "unchecked", "asks", "forbidden")["unwanted"] == "cancelled"
    world.kill()
    end_agents(world)
    assert held.gone()
    world.start()
    assert world.wait()["resumed"] == "succeeded"
    world.submit(task("good"), task("open"))
    held = world.gate.arrive("open")
    world.wait_transcript("open/1", ("open", 1))
    world.wait_event("run.tool_called", run="2026-11-22/open/1", tool="Bash")
    assert world.stop() == 0
    end_agents(world)
    assert held.gone()


def end_agents(world: World) -> None:
    """
    Everything of this world dies at once, but the model.
    """
    for pid, words in belonging(world.home):
        if "orchestrd.rehearsal" not in words:
            os.kill(pid, signal.SIGKILL)


def fake(path: str) -> str:
    """
    A path of nobody's, as long as *path*.
    """
    return f"/home/{'x' * len(path)}"[: len(path)]


def keep(world: World, to: Path) -> None:
    """
    Copy what a daemon needs, with nobody's paths.
    """
    # Without its random end: the CLI tells long texts in pieces, and cuts them anywhere.
    names = {path: fake(path) for path in (str(world.root)[:-8], sys.prefix)}
    for name in KEPT:
        source, target = world.home / name, to / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*LEFT_OUT))
        else:
            target.parent.mkdir(parents=True)
            shutil.copy2(source, target)
    for path in (path for path in to.rglob("*") if path.is_file() and path.suffix != ".db"):
        path.write_bytes(replaced(path.read_bytes(), names))
    with sqlite3.connect(to / "var" / "orchestrd.db", isolation_level=None) as db:
        for table in [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]:
            for column in [row[1] for row in db.execute(f"PRAGMA table_info({table})")]:
                db.create_function("replaced", 1, lambda value: replaced(value, names))
                db.execute(
                    f"UPDATE {table} SET {column} = replaced({column}) WHERE typeof({column}) IN ('text', 'blob')"
                )
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("VACUUM")
    db.close()


def replaced(value: str | bytes, names: dict[str, str]) -> str | bytes:
    if isinstance(value, str):
        return replaced(value.encode(), names).decode()
    for path, other in names.items():
        assert len(path) == len(other)
        value = value.replace(path.encode(), other.encode())
        # The CLI names folders after paths.
        value = value.replace(re.sub(r"\W", "-", path).encode(), re.sub(r"\W", "-", other).encode())
    return value


if __name__ == "__main__":
    with World(SCENARIOS, config={"max_concurrent_agents": 6}) as made:
        live(made)
        keep(made, Path(sys.argv[1]))
