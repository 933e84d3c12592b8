"""
The scheduler and the room it is told of: it looks when that matters, again by itself, and never all the time.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE

import anyio
import msgspec
import pytest

from factories import DAY, FixedClock, make_task, submitted
from orchestrd.ancestry import MARK
from orchestrd.clock import Clock, SystemClock
from orchestrd.config import Config, packaged_prices
from orchestrd.domain import schedule
from orchestrd.domain.model import TaskState
from orchestrd.runner.memory import Memory
from orchestrd.services import admission
from orchestrd.services.bus import Bus
from orchestrd.services.pulse import Pulse
from orchestrd.services.scheduler import Scheduler
from orchestrd.services.settings import settings_from
from orchestrd.services.store import Store
from orchestrd.storage.home import Home

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
GB = 10**9


class Machine:
    """
    A machine whose memory is what a test says; counts how often it is looked at.
    """

    def __init__(self) -> None:
        self.free, self.total = 1.9, 64
        self.looks = 0

    def memory(self) -> Memory:
        self.looks += 1
        return Memory(self.total * GB, round(self.free * GB))


class Ready:
    """
    Stands for the runs and the preflight: nothing is really started.
    """

    problem: str | None = None

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.looked = anyio.Event()

    def begin(self, run: str) -> None:
        self.begun.append(run.split("/")[1])


class Rounds(Pulse):
    """
    A pulse that can be felt: the scheduler's.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._next = anyio.Event()

    async def turn(self, loop: str, *, work: float = 0.0) -> None:
        await super().turn(loop, work=work)
        turned, self._next = self._next, anyio.Event()
        turned.set()

    async def one(self) -> None:
        """
        Wait until the next round begins.
        """
        with anyio.fail_after(60):
            await self._next.wait()


class Place:
    def __init__(self, home: Home, store: Store, bus: Bus, scheduler: Scheduler, ready: Ready, rounds: Rounds) -> None:
        self.home, self.store, self.bus, self.scheduler, self.ready = home, store, bus, scheduler, ready
        self.rounds = rounds

    async def change(self) -> None:
        """
        Tell of a change, and wait until the scheduler goes round for it.
        """
        self.bus.publish([])
        await self.rounds.one()

    async def until(self, done: int) -> None:
        """
        Wait until so many runs were begun.
        """
        with anyio.fail_after(60):
            while len(self.ready.begun) < done:
                await anyio.sleep(0.02)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(admission, "memory", made.memory)
    return made


@asynccontextmanager
async def place(root: Path, clock: Clock | None = None, **config: object) -> AsyncIterator[Place]:
    home, bus, clock, ready = Home(root), Bus(), clock or SystemClock(), Ready()
    home.root.mkdir(exist_ok=True)
    home.create()
    settings = settings_from(msgspec.convert({"project": ".", **config}, Config), packaged_prices())
    store = Store(home.database, bus, clock)
    scheduler = Scheduler(home, store, bus, settings, clock, ready, ready, root)
    rounds = Rounds(clock)
    async with anyio.create_task_group() as group:
        await group.start(store.run)
        await group.start(scheduler.run, rounds)
        yield Place(home, store, bus, scheduler, ready, rounds)
        group.cancel_scope.cancel()


async def test_it_looks_again_by_itself(tmp_path, machine, monkeypatch):
    monkeypatch.setattr(schedule, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(admission, "FRESH_SECONDS", 0.1)
    async with place(tmp_path) as here:
        await here.store.record(*submitted(make_task("a"), make_task("b", order=1)))
        with anyio.fail_after(60):
            while here.scheduler.held is None:
                await here.bus.changes().wait()
        assert here.scheduler.held == "too little memory for another agent"
        assert (
            here.scheduler.decide()
            .waits[f"{DAY}/a"]
            .reason.startswith("waits for memory: 1.5 GB an agent, 1.3 GB left")
        )
        assert here.ready.begun == []
        # Nothing is recorded and nobody asks: some other program of the machine has ended.
        machine.free = 2.1
        await here.until(1)
        assert here.ready.begun == ["a"]
        assert here.store.state.task(f"{DAY}/b").state is TaskState.QUEUED
        machine.free = 3.6
        await here.until(2)
        assert here.scheduler.held is None


async def test_whoever_waits_is_woken_when_the_reason_changes(tmp_path, machine, monkeypatch):
    """
    ``task.wait`` and ``submit --wait`` must learn that nothing but the person will change it, though no fact says so.
    """
    monkeypatch.setattr(schedule, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(admission, "FRESH_SECONDS", 0.1)
    async with place(tmp_path) as here:
        await here.store.record(*submitted(make_task("a")))
        with anyio.fail_after(60):
            while here.scheduler.held is None:
                await anyio.sleep(0.01)
        assert not here.scheduler.decide().waits[f"{DAY}/a"].stuck
        changes = here.bus.changes()
        machine.total = 1  # a control group's limit was lowered
        with anyio.fail_after(20):
            await changes.wait()
        assert here.scheduler.decide().waits[f"{DAY}/a"].stuck


async def test_many_changes_make_few_looks(tmp_path, machine):
    clock = FixedClock()
    async with place(tmp_path, clock) as here:
        await here.store.record(*submitted(make_task("a")))
        before = machine.looks
        for _ in range(3):
            clock.now += admission.FRESH_SECONDS
            for _ in range(100):
                await here.change()
        assert machine.looks - before == 3


async def test_nobody_looks_while_nothing_waits_for_room(tmp_path, machine):
    machine.free, clock = 60.0, FixedClock()
    async with place(tmp_path, clock, max_concurrent_agents=1) as here:
        await here.store.record(*submitted(make_task("a"), make_task("b")))
        await here.until(1)
        before = machine.looks
        for _ in range(200):
            clock.now += admission.FRESH_SECONDS
            await here.change()
        assert machine.looks == before


async def test_a_start_does_not_rest_on_an_old_look(tmp_path, machine):
    machine.free, clock = 60.0, FixedClock()
    async with place(tmp_path, clock) as here:
        assert machine.looks == 1
        machine.free = 0.1
        clock.now += admission.FRESH_SECONDS
        await here.store.record(*submitted(make_task("a")))
        with anyio.fail_after(60):
            while here.scheduler.held is None:
                await anyio.sleep(0.02)
        assert here.ready.begun == []


async def test_a_promise_of_nothing_holds_nobody_up(tmp_path, machine):
    machine.free = 0.0
    async with place(tmp_path, agent={"memory": 0, "disk": 0}) as here:
        await here.store.record(*submitted(make_task("a")))
        await here.until(1)
        assert machine.looks == 0


async def test_what_a_live_run_has_taken_is_not_kept_for_it_twice(tmp_path, machine):
    """
    The names under which use is measured are those of the runs.
    """
    run = f"{DAY}/a/1"
    code = "kept = b'x' * (300 << 20); print('held', flush=True); input()"
    env = {MARK: str(Home(tmp_path).run_dir(run))}
    with subprocess.Popen([sys.executable, "-c", code], env=env, stdin=PIPE, stdout=PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        async with place(tmp_path) as here:
            (memory, *_) = here.scheduler._admission.room
            assert 1.0 * GB < memory.owed([run]) < 1.2 * GB
            assert memory.owed([f"{DAY}/b/1"]) == 1.5 * GB
        process.kill()


async def test_the_disk_of_the_home_is_looked_at(tmp_path, machine):
    machine.free = 60.0
    async with place(tmp_path, agent={"disk": "900TB"}) as here:
        await here.store.record(*submitted(make_task("a")))
        wait = here.scheduler.decide().waits[f"{DAY}/a"]
        assert wait.reason.startswith("never enough disk: 900 TB an agent and 1 GB kept free, of ")
        assert wait.stuck


async def test_what_was_not_looked_at_yet_holds_nothing_up(tmp_path, machine):
    """
    A daemon that has just started knows nothing of the agent CLI: the task's own reason says so, and no alarm is raised.
    """
    async with place(tmp_path) as here:
        here.ready.problem = "nobody is logged in"
        await here.store.record(*submitted(make_task("a")))
        assert here.scheduler.held is None
        wait = here.scheduler.decide().waits[f"{DAY}/a"]
        assert (wait.reason, wait.stuck) == ("nobody is logged in", False)
        here.ready.looked.set()
        assert here.scheduler.held == "nobody is logged in"
        assert here.scheduler.decide().waits[f"{DAY}/a"].stuck
