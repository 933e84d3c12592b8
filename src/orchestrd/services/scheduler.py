"""
Start what may start, halt what must stop: wakes on every recorded change and at the next due time.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import anyio
import msgspec
import structlog
from anyio.abc import TaskStatus

from orchestrd.clock import Clock
from orchestrd.domain import enforcement, schedule
from orchestrd.domain import events as ev
from orchestrd.domain.model import TaskState
from orchestrd.domain.state import State
from orchestrd.services.bus import Bus
from orchestrd.services.preflight import Preflight
from orchestrd.services.runs import Runs
from orchestrd.services.settings import Settings
from orchestrd.services.store import Change, Store
from orchestrd.storage.home import Home

log = structlog.get_logger(__name__)


class Scheduler:
    """
    Turns decisions of `domain.schedule` into runs.
    """

    def __init__(
        self,
        home: Home,
        store: Store,
        bus: Bus,
        settings: Settings,
        clock: Clock,
        runs: Runs,
        preflight: Preflight,
        project: Path,
    ) -> None:
        self._home = home
        self._store = store
        self._bus = bus
        self._settings = settings
        self._clock = clock
        self._runs = runs
        self._preflight = preflight
        self._project = project

    def decide(self) -> schedule.Decision:
        """
        What would be done now, and why the rest waits.
        """
        problem = self._preflight.problem
        # Until the first look is over nothing is known, and nobody may conclude that nothing will happen.
        hold = None if problem is None else schedule.Wait(reason=problem, stuck=self._preflight.looked.is_set())
        return schedule.decide(self._store.state, self._settings.rules, self._clock.wall(), hold=hold)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Schedule until cancelled.
        """
        task_status.started()
        while True:
            changes = self._bus.changes()
            await self._enforce()
            decision = self.decide()
            for key in decision.starts:
                await self._start(key)
            if decision.starts:
                continue
            pause = None if decision.look_again is None else max(0.05, decision.look_again - self._clock.wall())
            with anyio.move_on_after(pause):
                await changes.wait()

    async def _enforce(self) -> None:
        limits = self._settings.rules.limits
        if not enforcement.due(self._store.state, limits):
            return

        def decide(state: State) -> Change[list[ev.AnyEvent]]:
            facts = enforcement.due(state, limits)
            return Change(facts, *facts)

        for fact in await self._store.do(decide):
            log.warning(fact.name, **msgspec.structs.asdict(fact))

    async def _start(self, key: str) -> None:
        session = str(uuid.uuid4())

        def decide(state: State) -> Change[str | None]:
            # The state may have moved since the decision: cancelled, or its limit reached.
            if key not in schedule.decide(state, self._settings.rules, self._clock.wall()).starts:
                return Change(None)
            task = state.task(key)
            if task is None or task.state is not TaskState.QUEUED:
                return Change(None)
            attempt = task.attempts + 1
            run = f"{key}/{attempt}"
            tree = self._project if task.spec.isolation == "in_place" else self._home.workspace(key) / "tree"
            started = ev.RunStarted(
                run=run,
                task=key,
                attempt=attempt,
                session=task.session or session,
                resumes=task.session is not None,
                tree=str(tree),
            )
            return Change(run, started)

        run = await self._store.do(decide)
        if run is not None:
            self._runs.begin(run)
