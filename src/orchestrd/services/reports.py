"""
Status files and reports: what people and scripts read from disk.  Written, never read back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import structlog
from anyio.abc import TaskStatus

from orchestrd.clock import Clock
from orchestrd.domain import events as ev
from orchestrd.domain.model import usd
from orchestrd.domain.report import DayReport, day_report
from orchestrd.domain.reportpage import page
from orchestrd.domain.schedule import settled
from orchestrd.services.bus import Bus, Gap
from orchestrd.services.htmlpage import html_page
from orchestrd.services.runs import Runs
from orchestrd.services.scheduler import Scheduler
from orchestrd.services.settings import Settings
from orchestrd.services.store import Store
from orchestrd.services.views import task_status
from orchestrd.storage.home import Home, write_atomic

log = structlog.get_logger(__name__)
SETTLE_SECONDS = 0.2
"""How long changes are collected before the files are written."""


class Reports:
    """
    Keeps the status file of each task and the report of each day.
    """

    def __init__(
        self, home: Home, store: Store, bus: Bus, settings: Settings, clock: Clock, runs: Runs, scheduler: Scheduler
    ) -> None:
        self._home = home
        self._store = store
        self._bus = bus
        self._settings = settings
        self._clock = clock
        self._runs = runs
        self._scheduler = scheduler
        self._written: dict[Path, bytes] = {}

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Write until cancelled.
        """
        with self._bus.follow(self._store.seq) as facts:
            task_status.started()
            days: set[str | None] = {row.day for row in self._store.state.days()[-1:]}
            while True:
                await self._write(days)
                days = _days(await facts.receive())
                await anyio.sleep(SETTLE_SECONDS)
                while facts.statistics().current_buffer_used:
                    days |= _days(facts.receive_nowait())
                if None in days:
                    days = {row.day for row in self._store.state.days()}

    async def _write(self, days: set[str | None]) -> None:
        decision = self._scheduler.decide()
        now = self._clock.wall()
        for day in sorted(day for day in days if day is not None):
            for row in self._store.state.tasks(day):
                shown = task_status(self._store.state, row, decision, now, self._runs.activity)
                body = msgspec.json.format(msgspec.json.encode(shown), indent=2) + b"\n"
                await self._save(self._home.status_file(row.key), body)
            if settled(self._store.state, day, decision):
                await self.report(day)

    async def _save(self, path: Path, body: bytes) -> None:
        """
        Write the file unless it was written like this before.
        """
        if self._written.get(path) == body and path.exists():
            return
        try:
            await anyio.to_thread.run_sync(write_atomic, path, body)
        except OSError as error:
            # The journal has it all; a full disk must not end the daemon over a copy.
            log.warning("status.unwritten", path=str(path), error=error.strerror)
        else:
            self._written[path] = body

    async def report(self, day: str) -> tuple[str, dict[str, Any]]:
        """
        Write the day's report; gives its Markdown and its data.
        """
        report = day_report(self._store.state, day, self._settings.rules.limits)
        text, data = page(report), report_data(report)
        await self._save(self._home.report_file(day, "md"), text.encode())
        await self._save(self._home.report_file(day, "html"), html_page(f"Report for {day}", text).encode())
        body = msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n"
        await self._save(self._home.report_file(day, "json"), body)
        return text, data


def report_data(report: DayReport) -> dict[str, Any]:
    """
    The report as JSON values, money in USD under names that end in ``_usd``.
    """
    return dict(_in_usd(msgspec.to_builtins(report)))


def _in_usd(value: Any) -> Any:
    if isinstance(value, dict):
        named = {"cost", "spent", "limit", "drift"}
        found = {f"{k}_usd" if k in named else k: usd(v) if k in named else _in_usd(v) for k, v in value.items()}
        if "by_module" in found:
            found["by_module"] = {name: usd(cost) for name, cost in value["by_module"].items()}
        return found
    if isinstance(value, list):
        return [_in_usd(entry) for entry in value]
    return value


def _days(fact: ev.Record | Gap) -> set[str | None]:
    """
    The days a fact is about; None stands for any.
    """
    if isinstance(fact, Gap):
        return {None}
    day = ev.day_of(fact.event)
    return {day} if day is not None else set()
