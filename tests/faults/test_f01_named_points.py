"""
F1: the daemon, or a run's shim, dies by SIGKILL at every named point, at the first, second and last time it is passed.

One scenario has everything in it that passes a point, and is lived through in two lives of the daemon: the second begins
while all agents are in the middle of their work, so that the start is passed with runs to take up.  First it is lived
through undisturbed and every pass is counted; then once for each point and hit, with that kill.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import Step, ask, busy, gate, grandchild, say, stream, write
from harness.world import GONE, FaultWorld
from kit.files import wait_file
from kit.script import DAY, question, task

from orchestrd.failpoint import POINTS

pytestmark = [pytest.mark.slow, pytest.mark.loop, pytest.mark.timeout(600)]

LONG = "Take the second one. " * 600
"""An answer of several pieces: a kill may fall between two of them."""
SHIM = tuple(name for name in POINTS if name.startswith("shim."))
NAMES = ("asks", "again", "works")
ATTEMPTS = {"asks": 1, "again": 2, "works": 1}
OFTEN = 8


class Kill(NamedTuple):
    """
    Die at the *hit*th pass of *point*: the daemon in its first or second *life*, or each shim that comes so far.
    """

    point: str
    life: int
    hit: int

    @property
    def armed(self) -> str:
        return f"{self.point}=kill@{self.hit}"


class Passes:
    """
    How often points were passed, by a failpoint log.
    """

    def __init__(self, *logs: Path) -> None:
        lines = [line.split() for log in logs if log.exists() for line in log.read_text().splitlines()]
        self._count = Counter((name, pid) for name, pid in lines)

    def most(self, point: str) -> int:
        """
        The most often that one process passed *point*.
        """
        return max((count for (name, _), count in self._count.items() if name == point), default=0)


class Stage:
    """
    The scenario, again and again in one world, each time on a day of its own.
    """

    def __init__(self, world: FaultWorld) -> None:
        self.world = world
        self.days = 0

    @cached_property
    def undisturbed(self) -> tuple[list[Passes], Passes]:
        """
        How often each life passes each point, and each shim, when nobody is killed; lived through by who first asks.
        """
        return self.live(None), Passes(*self.logs)

    def live(self, kill: Kill | None) -> list[Passes]:
        """
        Live through the scenario, with this kill; gives how often each life passed each point.
        """
        self._begin()
        self._start(1, kill)
        self._first_life()
        if kill is None or kill.life == 2:
            self.world.kill()
            self._start(2, kill)
        self._second_life()
        self.world.kill()
        return [Passes(log) for log in self.logs]

    def die(self, kill: Kill) -> None:
        """
        Live through the scenario with this kill; when it does not come to that pass, as the last one may not, with the
        last it came to.
        """
        for _ in range(5):
            before = self.world.starts
            passes = self.live(kill)
            if self.world.starts > before + kill.life:
                return
            kill = kill._replace(hit=passes[kill.life - 1].most(kill.point))
        pytest.fail(f"nobody died: {kill}")

    def lose_shims(self, kill: Kill) -> None:
        """
        The day with shims that die, until its end; nobody waits at a gate, for a lost agent hears nothing more.
        """
        self._begin(gates=False)
        self._start(1, kill)
        self.world.submit_tasks(*(task(name) for name in NAMES), day=self.day)
        self._answer_until(lambda: Passes(self.logs[0]).most(kill.point) >= kill.hit)
        # What is tried again is tried with a shim that lives.
        self.world.stop()
        self.world.start()
        self._answer_until(lambda: set(self._states().values()) == {"succeeded"})
        self.world.kill()

    def _begin(self, *, gates: bool = True) -> None:
        """
        A new day.  Three agents: one asks and gets a long answer, one is sent away by a busy service and comes back, one
        works.
        """
        self.days += 1
        self.day = f"2026-{1 + self.days // 28:02}-{1 + self.days % 28:02}"
        self.logs = [self.world.root / f"passes-{self.days}-{life}" for life in (1, 2)]
        on, told = ([gate("on")], [gate("told")]) if gates else ([], [])
        # What a lost agent leaves behind must be found without its shim.
        left = [] if gates else [grandchild()]
        asks: list[Step] = [*left, stream(2), ask(question("Which?", "One", "Two")), *told, stream(2), say()]
        self.world.script("asks", asks)
        self.world.script("again", [*left, stream(2), *on, stream(1), busy()], [stream(2), say()])
        self.world.script("works", [*left, stream(4), *on, write("a.txt", "a"), stream(3), say()])

    def _start(self, life: int, kill: Kill | None) -> None:
        """
        Start the daemon, armed when this is the life to end; one that dies before it serves is followed by another.
        """
        armed = kill.armed if kill is not None and kill.life == life else ""
        try:
            self.world.start(armed, log=self.logs[life - 1])
        except TimeoutError:
            assert kill is not None
            assert self.world.died() == -9
            self.world.start()

    def _first_life(self) -> None:
        """
        Until every agent is in the middle: one asks, two are at the gate.
        """
        world = self.world
        checks = [{"name": "there", "run": "test -f a.txt"}]
        world.submit_tasks(task("asks"), task("again"), task("works", checks=checks), day=self.day)
        self.held = [world.kept(lambda seconds: world.gate.arrive("on", timeout=seconds)) for _ in range(2)]
        world.outlast(lambda: world.wait_event("question.asked", question=f"{self.day}/asks#1"))

    def _second_life(self) -> None:
        """
        To the end of the day, which is its report.
        """
        world = self.world
        world.write("question.answer", task=f"{self.day}/asks", text=LONG, by="cli")
        for arrival in self.held:
            arrival.release()
        world.kept(lambda seconds: world.gate.arrive("told", timeout=seconds)).release()
        states = world.outlast(lambda: world.wait(*(f"{self.day}/{name}" for name in NAMES)))
        assert states == dict.fromkeys(NAMES, "succeeded")
        tasks = world.outlast(lambda: world.rpc("task.status", day=self.day))["tasks"]
        assert {found["id"].rpartition("/")[2]: found["attempts"] for found in tasks} == ATTEMPTS
        report = world.home / "var" / "results" / f"{self.day}-report.json"
        world.kept(lambda seconds: wait_file(report, bool, timeout=seconds))

    def _answer_until(self, done) -> None:
        """
        Be the person who answers whatever is asked.
        """

        def look(seconds: float) -> bool:
            self.world.rpc("task.wait", day=self.day, timeout=seconds)
            for asked in self.world.rpc("question.list", day=self.day):
                self.world.write("question.answer", task=asked["task"], question=asked["id"], text=LONG)
            if not done():
                raise TimeoutError(self._states())
            return True

        self.world.kept(look)

    def _states(self) -> dict[str, str]:
        found: dict[str, str] = self.world.rpc("task.wait", day=self.day, timeout=0)["states"]
        return found


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    # How often agents are asked what they spent depends on the time: they do not tell, and so are not asked again.
    with FaultWorld(start=False, env={"FAKE_RETICENT": "1"}) as world:
        yield Stage(world)


def kills(stage: Stage, point: str) -> list[Kill]:
    """
    The first, second and last pass, in the life in which they are; of a point that is passed often the first, one in the
    middle, where agents stream, and the last.
    """
    first, second = (passes.most(point) for passes in stage.undisturbed[0])
    often = second >= OFTEN
    early = (1,) if often else (1, 2)
    found = [Kill(point, 1, hit) for hit in early if hit <= first]
    found += [Kill(point, 2, hit) for hit in early if not first and hit <= second]
    found += [Kill(point, 2, second // 2)] if often else []
    found += [Kill(point, 2, second) if second else Kill(point, 1, first)]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("point", [name for name in POINTS if name not in SHIM])
def test_the_daemon_dies_at(point, stage, tally):
    assert any(passes.most(point) for passes in stage.undisturbed[0]), f"nothing passes {point}: nobody can die there"
    lives, deaths = len(stage.world.lives), kills(stage, point)
    for kill in deaths:
        stage.die(kill)
    found = check(stage.world)
    tally("F1", kills=len(deaths), **found.counts)
    assert max(life.own for life in stage.world.lives[lives:]) <= stage.world.reattached_within


@pytest.mark.parametrize("point", SHIM)
def test_a_shim_dies_at(point, stage, tally):
    """
    What its shim leaves is swept, and the task is tried again.
    """
    last = stage.undisturbed[1].most(point)
    assert last, f"nothing passes {point}: no shim can die there"
    hits = sorted({1, min(2, last), last})
    for hit in hits:
        stage.lose_shims(Kill(point, 1, hit))
    tally("F1", kills=len(hits) * len(NAMES), **check(stage.world).counts)


def test_what_was_asked_is_answered_after_a_death_behind_its_record(fault_world, tally):
    """
    An agent asked for leave while no daemon lived.  One after the other dies a commit later than the one before: one of them
    when the journal has what was asked, and nobody has answered it.
    """
    world = fault_world()
    world.script("a", [gate("on"), stream(1), say()])
    world.submit_tasks(task("a", retries=0), day=DAY)
    held = world.gate.arrive("on")
    world.kill()
    held.release()
    wait_file(world.run_dir("a/1") / "stdout.jsonl", lambda data: b'"hook_callback"' in data)
    for hit in itertools.count(1):
        try:
            world.start(f"journal.committed=kill@{hit}")
        except TimeoutError:
            assert world.died() == -9
            continue
        try:
            assert world.wait("a") == {"a": "succeeded"}
            break
        except GONE:
            assert world.died() == -9
    assert hit > 2, "nobody died behind what was heard"
    tally("F1", kills=hit, **check(world).counts)


def test_files_of_a_past_day_catch_up_with_the_journal(fault_world, tally):
    """
    A day that is not the newest ends in the journal, and the daemon dies before any file says so.
    """
    world = fault_world()
    world.script("works", [stream(2), gate("on"), say()])
    world.script("quick", [say()])
    old, new = "2026-11-20", "2026-11-22"
    world.submit_tasks(task("works", retries=0), day=old)
    held = world.gate.arrive("on")
    world.submit_tasks(task("quick"), day=new)
    status, results = world.home / "var" / "agent_status", world.home / "var" / "results"
    wait_file(results / f"{new}-report.json", bool)
    wait_file(status / old / "works.json", lambda data: b'"running"' in data)
    kept = {path: path.stat().st_ino for path in (status / new / "quick.json", results / f"{new}-report.md")}
    world.kill()
    world.start("loop.reports=stuck")
    held.release()
    world.wait_event("run.exited", run=f"{old}/works/1")
    world.kill()
    assert b'"running"' in (status / old / "works.json").read_bytes()
    world.start()
    wait_file(status / old / "works.json", lambda data: b'"succeeded"' in data)
    wait_file(results / f"{old}-report.json", bool)
    assert {path: path.stat().st_ino for path in kept} == kept, "what is as it should be is left alone"
    tally("F1", kills=2, **check(world).counts)


MUTANTS = (
    Mutant(
        "files of past days are not looked at",
        file="services/reports.py",
        old="        return {*present}, [day for day in known if day not in present]\n",
        new="        return {*present}, []\n",
        test="test_files_of_a_past_day_catch_up_with_the_journal",
    ),
    Mutant(
        "the cursor is saved apart from the facts",
        file="storage/journal.py",
        old="""            write(self._db, batch, seq=seq)
            failpoint("journal.written.before_commit")
            self._db.execute("COMMIT")
            failpoint("journal.committed")
""",
        new="""            before = self._db.execute("SELECT * FROM cursors").fetchall()
            write(self._db, batch, seq=seq)
            late = self._db.execute("SELECT * FROM cursors").fetchall()
            self._db.execute("DELETE FROM cursors")
            self._db.executemany("INSERT INTO cursors VALUES (?, ?, ?)", before)
            failpoint("journal.written.before_commit")
            self._db.execute("COMMIT")
            failpoint("journal.committed")
            self._db.executemany("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?)", late)
""",
        test="test_the_daemon_dies_at[journal.committed]",
    ),
    Mutant(
        "what was read before is recorded again",
        file="runner/session.py",
        old="await self._take(heard, known=known)\n",
        new="await self._take(heard, known=False)\n",
        test="test_the_daemon_dies_at[recovery.rows_read]",
    ),
    Mutant(
        "what the agent asked before the restart is not answered after it",
        file="runner/session.py",
        old="        ready = self._accounts.ready(heard.replies)\n",
        new="        ready = self._accounts.ready([] if known else heard.replies)\n",
        test="test_what_was_asked_is_answered_after_a_death_behind_its_record",
    ),
    Mutant(
        "a reply is not stored with what it replies to",
        file="services/store.py",
        old="batch.replies.append(reply)",
        new="batch.replies += []",
        test="test_the_daemon_dies_at[rpc.synced.before_reply]",
    ),
    Mutant(
        "a torn line for the agent is written on to",
        file="storage/spool.py",
        old="            end = self._whole_lines(fd, end)\n",
        new="",
        test="test_the_daemon_dies_at[session.answer.mid_write]",
    ),
    Mutant(
        "what was written before the restart is not forwarded after it",
        file="runner/voice.py",
        old="        self._dir.wake()\n",
        new="",
        test="test_the_daemon_dies_at[session.spool.before_wake]",
    ),
    Mutant(
        "an answer counts as delivered before it is written",
        file="runner/delivery.py",
        old="""        failpoint("session.answer.before_write")
""",
        new="""        await desk.delivered([q for q in group if q.state == "answered"])
        failpoint("session.answer.before_write")
""",
        test="test_the_daemon_dies_at[session.answer.before_write]",
    ),
    Mutant(
        "what a dead shim leaves is left alone",
        file="runner/liveness.py",
        old="self.swept += await anyio.to_thread.run_sync(end_heirs, self._dir)",
        new="self.swept += []",
        test="test_a_shim_dies_at[shim.forwarded]",
    ),
)
