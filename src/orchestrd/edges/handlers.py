"""
One function a method: parameters → service call → result.  No logic of its own.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import anyio

from orchestrd.clock import Clock, iso
from orchestrd.domain import lookup, why
from orchestrd.domain.model import TaskState
from orchestrd.domain.rows import QuestionState
from orchestrd.domain.schedule import settled
from orchestrd.edges.connection import Connection
from orchestrd.edges.feed import Feed
from orchestrd.edges.openrpc import document
from orchestrd.edges.rpc import Handler
from orchestrd.errors import NotFound
from orchestrd.protocol import api
from orchestrd.services import views
from orchestrd.services.bus import Bus
from orchestrd.services.commands import Commands
from orchestrd.services.preflight import Preflight
from orchestrd.services.questions import Questions
from orchestrd.services.reports import Reports
from orchestrd.services.restoring import Restorer
from orchestrd.services.runs import Runs
from orchestrd.services.sandboxes import Sandboxes
from orchestrd.services.scheduler import Scheduler
from orchestrd.services.settings import Settings
from orchestrd.services.standstill import Standstill
from orchestrd.services.store import Store
from orchestrd.services.submissions import Submissions
from orchestrd.services.work import Works
from orchestrd.storage.home import Home
from orchestrd.storage.rundir import RunDir

ResultT = TypeVar("ResultT")


class Handlers:
    """
    What the methods reach.
    """

    def __init__(
        self,
        *,
        home: Home,
        project: Path,
        version: str,
        started_at: float,
        stop: Callable[[], None],
        store: Store,
        bus: Bus,
        settings: Settings,
        clock: Clock,
        runs: Runs,
        scheduler: Scheduler,
        questions: Questions,
        reports: Reports,
        preflight: Preflight,
        sandboxes: Sandboxes,
        submissions: Submissions,
        works: Works,
        restorer: Restorer,
        commands: Commands,
        standstill: Standstill,
    ) -> None:
        self._home = home
        self._project = project
        self._version = version
        self._started_at = started_at
        self._stop = stop
        self._store = store
        self._bus = bus
        self._settings = settings
        self._clock = clock
        self._runs = runs
        self._scheduler = scheduler
        self._questions = questions
        self._reports = reports
        self._preflight = preflight
        self._sandboxes = sandboxes
        self._submissions = submissions
        self._works = works
        self._restorer = restorer
        self._commands = commands
        self._standstill = standstill
        self._feed = Feed(store, bus)

    def table(self) -> dict[str, Handler]:
        """
        Method name → handler, for every method of the interface.
        """
        return {name: getattr(self, name.replace(".", "_")) for name in api.METHODS}

    async def _once(self, p: api.Write, method: str, act: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """
        What was answered to this very request before; what *act* gives when it was not.  For what looks at files and
        programs first: they may be gone since.
        """
        known: ResultT | None = await self._store.given(p.request_id, p.named(method))
        return await act() if known is None else known

    # -- tasks -------------------------------------------------------------------------------------------------------

    async def task_submit(self, p: api.TaskSubmit, _: Connection) -> api.Submitted:
        return await self._once(p, "task.submit", lambda: self._submissions.submit(p))

    async def task_status(self, p: api.StatusQuery, _: Connection) -> api.Status:
        state = self._store.state
        task = lookup.resolve(state, p.task, p.day) if p.task is not None else None
        day = p.day or (task.spec.day if task else lookup.newest_day(state))
        if p.day is not None and state.day(p.day) is None:
            raise NotFound(f"nothing was submitted for {p.day}", hint=self._days())
        decision = self._scheduler.decide()
        now = self._clock.wall()
        rows = [task] if task is not None else (state.tasks(day) if day is not None else [])
        live, hitch = self._runs.live, self._questions.refusal
        limits = self._settings.rules.limits
        tasks = [views.task_status(state, row, decision, now, live, hitch, limits) for row in rows]
        return api.Status(
            day=day,
            cost=views.day_cost(state, self._settings.rules.limits, day) if day is not None else api.CostStatus(),
            tasks=tasks,
            daemon=self._daemon(),
            settled=settled(state, day, decision) if day is not None else True,
            asks=views.asks(state, day, now, hitch),
            windows=views.windows(state, now),
            warnings=[
                *views.unfollowed(self._runs.unknown()),
                *(views.warnings(state, self._settings.rules.limits, day) if day is not None else []),
            ],
            account=views.account(state, self._settings.rules, now, self._clock.zone()),
            history=views.history(state, task.key) if task is not None else [],
            seq=self._store.seq,
        )

    async def task_why(self, p: api.TaskName, _: Connection) -> api.Why:
        state, clock = self._store.state, self._clock
        task = lookup.resolve(state, p.task, p.day)
        activity = self._runs.live(task.run).activity if task.run else ""
        hitch = views.first(state.questions(task=task.key), self._questions.refusal)
        decision, now, zone = self._scheduler.decide(), clock.wall(), clock.zone()
        limits = self._settings.rules.limits
        shown, text = why.line(state, task, decision, now=now, zone=zone, activity=activity, hitch=hitch, limits=limits)
        return api.Why(task=task.key, state=str(shown), why=text)

    async def task_cancel(self, p: api.TaskNames, _: Connection) -> api.Changed:
        return await self._commands.cancel(p)

    async def task_retry(self, p: api.TaskRetry, _: Connection) -> api.Changed:
        return await self._commands.retry(p)

    async def task_disallow(self, p: api.Disallow, _: Connection) -> api.Changed:
        return await self._commands.disallow(p)

    async def task_wait(self, p: api.Wait, connection: Connection) -> api.Waited:
        state = self._store.state
        day = p.day or lookup.newest_day(state)
        if p.tasks:
            keys = [lookup.resolve(state, name, p.day).key for name in p.tasks]
        elif day is None:
            raise NotFound("nothing was submitted yet", hint="orchctl submit FILE")
        else:
            keys = [row.key for row in state.tasks(day)]
        timed_out = True
        with anyio.move_on_after(p.timeout):
            while not connection.closed.is_set():
                changes = self._bus.changes()
                if self._nothing_more(keys):
                    timed_out = False
                    break
                await changes.wait()
        rows = [row for row in (state.task(key) for key in keys) if row is not None]
        return api.Waited(
            done=all(row.state.ended for row in rows),
            timed_out=timed_out,
            states={row.key: str(row.state) for row in rows},
        )

    def _nothing_more(self, keys: list[str]) -> bool:
        decision = self._scheduler.decide()
        for key in keys:
            row = self._store.state.task(key)
            wait = decision.waits.get(key)
            if row is None or row.state.ended:
                continue
            if row.state is not TaskState.QUEUED or wait is None or not wait.stuck:
                return False
        return True

    async def task_diff(self, p: api.DiffQuery, _: Connection) -> api.Diff:
        return await self._works.diff(p)

    async def task_apply(self, p: api.Apply, _: Connection) -> api.Applied:
        return await self._works.apply(p)

    async def task_snapshots(self, p: api.SnapshotsQuery, _: Connection) -> api.SnapshotList:
        return self._restorer.listed(p)

    async def task_restore(self, p: api.Restore, _: Connection) -> api.Restored:
        return await self._restorer.restore(p)

    async def task_logs(self, p: api.LogsQuery, _: Connection) -> api.Logs:
        row = lookup.resolve(self._store.state, p.task)
        runs = [r for r in self._store.state.runs(task=row.key) if p.attempt is None or r.attempt == p.attempt]
        if not runs:
            raise NotFound(f"{row.key} has no run{f' {p.attempt}' if p.attempt is not None else ' yet'}")
        run = runs[-1]
        rundir = RunDir(self._home.run_dir(run.key))
        return api.Logs(
            task=row.key,
            run=run.key,
            attempt=run.attempt,
            stdout=str(rundir.stdout),
            stderr=str(rundir.stderr),
            live=run.open,
        )

    # -- questions ---------------------------------------------------------------------------------------------------

    async def question_list(self, p: api.QuestionList, _: Connection) -> list[api.Question]:
        state, now = self._store.state, self._clock.wall()
        rows = [row for row in state.questions(day=p.day) if p.all or row.state is QuestionState.OPEN]
        notes = await self._questions.notes(rows)
        return [views.question(state, row, now, notes.get(row.id, "")) for row in rows]

    async def question_answer(self, p: api.AnswerQuestion, _: Connection) -> api.Question:
        name = await self._questions.answer(
            task=p.task,
            question=p.question,
            text=p.text,
            options=p.options,
            by=p.by,
            request=p.request_id,
            method=p.named("question.answer"),
        )
        row = self._store.state.question(name)
        if row is None:
            raise NotFound(f"question {name} is gone")
        return views.question(self._store.state, row, self._clock.wall())

    # -- reports and events ------------------------------------------------------------------------------------------

    async def report_get(self, p: api.ReportQuery, _: Connection) -> api.ReportFiles:
        day = p.day or lookup.newest_day(self._store.state)
        if day is None or self._store.state.day(day) is None:
            raise NotFound(f"nothing was submitted{f' for {day}' if day else ' yet'}", hint=self._days())
        text, data = await self._reports.report(day)
        return api.ReportFiles(
            day=day,
            markdown=text,
            data=data,
            path=str(self._home.report_file(day, "md")),
            json_path=str(self._home.report_file(day, "json")),
        )

    async def cost_list(self, p: api.CostQuery, _: Connection) -> api.Costs:
        if p.day is not None and self._store.state.day(p.day) is None:
            raise NotFound(f"nothing was submitted for {p.day}", hint=self._days())
        return views.costs(self._store.state, self._settings.prices, self._settings.rules.limits, p)

    async def event_list(self, p: api.EventQuery, _: Connection) -> api.Events:
        return await self._feed.page(p)

    async def events_subscribe(self, p: api.Subscribe, connection: Connection) -> api.Subscribed:
        return await self._feed.subscribe(p, connection)

    # -- the home ----------------------------------------------------------------------------------------------------

    async def home_freeze(self, p: api.Freeze, _: Connection) -> api.Frozen:
        return await self._standstill.freeze(p)

    async def home_thaw(self, p: api.Freeze, _: Connection) -> api.Frozen:
        return await self._standstill.thaw(p)

    async def account_retry(self, p: api.AccountRetry, _: Connection) -> api.AccountRetried:
        return await self._commands.retry_account(p)

    # -- the daemon --------------------------------------------------------------------------------------------------

    async def daemon_status(self, _p: api.Nothing, _: Connection) -> api.DaemonStatus:
        return self._daemon()

    async def daemon_stop(self, _p: api.Nothing, _: Connection) -> api.Stopping:
        self._stop()
        return api.Stopping(pid=os.getpid(), agents=self._agents())

    async def daemon_doctor(self, _p: api.Nothing, _: Connection) -> api.Doctor:
        checks = await self._preflight.findings(self._project)
        return api.Doctor(ok=all(check.status != "problem" for check in checks), checks=checks)

    async def rpc_discover(self, _p: api.Nothing, _: Connection) -> dict[str, object]:
        return document(self._version)

    def _daemon(self) -> api.DaemonStatus:
        state = self._store.state
        return api.DaemonStatus(
            pid=os.getpid(),
            started_at=iso(self._started_at) or "",
            version=self._version,
            home=str(self._home.root),
            agents=self._agents(),
            hold=self._scheduler.held,
            frozen_since=iso(state.home().frozen_since),
            sandbox=views.sandbox(self._sandboxes.held),
        )

    def _agents(self) -> int:
        return sum(run.open for run in self._store.state.runs())

    def _days(self) -> str:
        days = [row.day for row in self._store.state.days()]
        return f"Known days: {', '.join(days[-7:])}" if days else "Submit a task file: orchctl submit FILE"
