"""
Status files and reports: what people and scripts read from disk.  Written, and read back only to see whether they are as
they should be: an earlier daemon may have died between a commit and the files that tell of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import TaskStatus

from orchestrd.clock import Clock
from orchestrd.domain import events as ev
from orchestrd.domain.model import usd
from orchestrd.domain.report import DayReport, day_report
from orchestrd.domain.reportpage import page
from orchestrd.domain.schedule import settled
from orchestrd.logs import get_logger
from orchestrd.redaction import BY_LOOKS
from orchestrd.services.bus import Bus, Gap
from orchestrd.services.htmlpage import html_page
from orchestrd.services.pulse import Pulse
from orchestrd.services.runs import Runs
from orchestrd.services.scheduler import Scheduler
from orchestrd.services.settings import Settings
from orchestrd.services.store import Store
from orchestrd.services.views import task_status
from orchestrd.storage.home import Home, write_atomic
from orchestrd.storage.regular import read_regular

log = get_logger(__name__)
SETTLE_SECONDS = 0.2
"""How long changes are collected before the files are written."""
AGAIN_SECONDS = 1.0
"""After this a file that could not be written is tried again."""
PAST_SECONDS = 0.05
"""Between two days of the past that are looked through: a home may hold years of them, and nobody waits for these."""


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
        self._written: dict[Path, int] = {}
        """The hash of what each file holds."""
        self._unwritten: dict[Path, str] = {}

    async def run(self, pulse: Pulse, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Write until cancelled.
        """
        with self._bus.follow(self._store.seq) as facts:
            task_status.started()
            # Of an earlier life, or after a break, any day's files may be behind.
            days: set[str | None] = {None}
            past: list[str] = []
            while True:
                await pulse.turn("reports")
                if None in days:
                    present, past = self._apart()
                    days = days - {None} | present
                await self._write({day for day in days if day is not None})
                days = {*self._unwritten.values(), *past[-1:]}
                pause = PAST_SECONDS if past else AGAIN_SECONDS if days else pulse.idle
                del past[-1:]
                with anyio.move_on_after(pause):
                    days |= _days(await facts.receive())
                    await anyio.sleep(SETTLE_SECONDS)
                while facts.statistics().current_buffer_used:
                    days |= _days(facts.receive_nowait())

    def _apart(self) -> tuple[set[str | None], list[str]]:
        """
        The days people look at, those at work and the newest, and all others, oldest first.
        """
        known = [row.day for row in self._store.state.days()]
        present = {*self._store.state.active_days(), *known[-1:]}
        return {*present}, [day for day in known if day not in present]

    async def _write(self, days: set[str]) -> None:
        for day in sorted(days):
            # All of a day is taken at one moment, before anything is waited for: who finds its report finds each of its
            # tasks ended.
            decision, now, limits = self._scheduler.decide(), self._clock.wall(), self._settings.rules.limits
            shown = [
                (row.key, task_status(self._store.state, row, decision, now, self._runs.live, limits=limits))
                for row in self._store.state.tasks(day)
            ]
            report = self._report(day) if settled(self._store.state, day, decision) else None
            for key, status in shown:
                body = msgspec.json.format(msgspec.json.encode(status), indent=2) + b"\n"
                await self._save(day, self._home.status_file(key), body)
            if report is not None:
                await self._save_report(day, report)

    async def _save(self, day: str, path: Path, body: bytes) -> None:
        """
        Write the file of *day* unless it is like this already; one that cannot be written now is written later.
        """
        if self._written.get(path) == hash(body) and path.exists():
            return
        try:
            if path in self._written or not await anyio.to_thread.run_sync(_holds, path, body):
                await anyio.to_thread.run_sync(write_atomic, path, body)
        except OSError as error:
            # The journal has it all; a full disk must not end the daemon over a copy.
            if path not in self._unwritten:
                log.warning("status.unwritten", path=str(path), error=error.strerror)
            self._unwritten[path] = day
        else:
            self._written[path] = hash(body)
            self._unwritten.pop(path, None)

    async def report(self, day: str) -> tuple[str, dict[str, Any]]:
        """
        Write the day's report; gives its Markdown and its data.
        """
        return await self._save_report(day, self._report(day))

    def _report(self, day: str) -> DayReport:
        return day_report(self._store.state, day, self._settings.rules.limits)

    async def _save_report(self, day: str, report: DayReport) -> tuple[str, dict[str, Any]]:
        # Names, questions and answers are people's own words; what looks like a key in them is not for a page that is passed on.
        text, data = BY_LOOKS(page(report)), BY_LOOKS.clean(report_data(report))
        await self._save(day, self._home.report_file(day, "md"), text.encode())
        await self._save(day, self._home.report_file(day, "html"), html_page(f"Report for {day}", text).encode())
        body = msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n"
        await self._save(day, self._home.report_file(day, "json"), body)
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
    if isinstance(value, tuple):
        # Under the bare names version 0.1.0 wrote nano-USD here; who reads them finds them.
        return [{**entry, **_in_usd(entry)} if isinstance(entry, dict) else entry for entry in value]
    return value


def _holds(path: Path, body: bytes) -> bool:
    """
    True when the file at *path* holds *body* and nothing else.
    """
    try:
        return read_regular(path, len(body) + 1) == body
    except OSError:
        return False


def _days(fact: ev.Record | Gap) -> set[str | None]:
    """
    The days a fact is about; None stands for any.
    """
    if isinstance(fact, Gap):
        return {None}
    day = ev.day_of(fact.event)
    return {day} if day is not None else set()
