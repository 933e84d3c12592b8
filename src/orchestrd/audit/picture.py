"""
A home at one moment: what its journal says, and where its files are.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from orchestrd import __version__
from orchestrd.address import holder
from orchestrd.ancestry import MARK
from orchestrd.audit.ledger import Ledger, read_ledger
from orchestrd.config import PRICES_FILE, load_prices
from orchestrd.domain import events as ev
from orchestrd.domain.budget import PriceTable
from orchestrd.domain.history import losses
from orchestrd.domain.rows import QuestionRow, RunRow, TaskRow
from orchestrd.domain.state import State
from orchestrd.storage.home import Home
from orchestrd.storage.rundir import RunDir, RunSpec


class Picture:
    """
    What every invariant looks at.  *environ* is the environment of whoever asks.

    Raises `ConfigError` when the home's prices cannot be read.
    """

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self.home = Home(root)
        self.environ = environ
        # Whoever serves the home is looked for first: a daemon that comes later finds what is read here already done.
        self.served_by = holder(self.home.lock_file)
        self.ledger: Ledger = read_ledger(self.home.database)
        prices = load_prices(root)
        self.prices = PriceTable.of(prices.date, prices.models)
        self.state = State(self.ledger.rows.values())
        self._specs: dict[str, RunSpec | None] = {}

    @property
    def readable(self) -> bool:
        """
        True when the whole journal could be read.
        """
        return not self.ledger.unreadable

    @cached_property
    def runs(self) -> list[RunRow]:
        """
        Every run's row.
        """
        return self.state.runs()

    @cached_property
    def questions(self) -> list[QuestionRow]:
        """
        Every question's row.
        """
        return self.state.questions()

    @cached_property
    def tasks(self) -> list[TaskRow]:
        """
        Every task's row.
        """
        return self.state.tasks()

    @cached_property
    def facts(self) -> dict[str, list[ev.Record]]:
        """
        Run to the facts about it, the questions it asked included.
        """
        found: dict[str, list[ev.Record]] = {}
        asked: dict[str, str] = {}
        for record in self.ledger.records:
            event = record.event
            if isinstance(event, ev.QuestionAsked):
                asked[event.question] = event.run
            run = asked.get(event.question) if isinstance(event, ev.QuestionEvent) else ev.run_of(event)
            if run is not None:
                found.setdefault(run, []).append(record)
        return found

    @cached_property
    def losses(self) -> int:
        """
        How many facts were lost with a damaged journal.
        """
        return losses(self.ledger.records)

    @cached_property
    def _daemons(self) -> list[tuple[int, str]]:
        """
        ``(number of the fact that it started, its version)`` of every daemon.
        """
        return [(r.seq, r.event.version) for r in self.ledger.records if isinstance(r.event, ev.DaemonStarted)]

    def foreign(self, run: str) -> bool:
        """
        True when another version of the program recorded some of the run's facts: it may have judged otherwise.
        """
        records = self.facts.get(run)
        if not records:
            return False
        first, last = records[0].seq, records[-1].seq
        before = [version for seq, version in self._daemons if seq < first]
        return any(
            version != __version__ for version in [*before[-1:], *(v for s, v in self._daemons if first < s < last)]
        )

    def repriced(self, run: RunRow) -> bool:
        """
        True when the prices may not be those that the run's readings were priced with.
        """
        file = self.home.root / PRICES_FILE
        # A list that was taken away, or put back as it was, leaves its mark on the folder alone.
        changed = (path.stat().st_mtime for path in (file, file.parent) if path.exists())
        return self.foreign(run.key) or max(changed, default=0.0) > run.started_at

    def begun_since(self) -> set[str]:
        """
        The runs that the journal knows by now and did not when it was read.
        """
        now = State(read_ledger(self.home.database).rows.values()).runs()
        return {row.key for row in now} - {row.key for row in self.runs}

    def rundir(self, run: str) -> RunDir:
        """
        The run's directory.
        """
        return RunDir(self.home.run_dir(run))

    def spec(self, run: str) -> RunSpec | None:
        """
        What the run's shim was told to start.
        """
        if run not in self._specs:
            self._specs[run] = self.rundir(run).read_spec()
        return self._specs[run]

    def origin(self, run: str) -> Home:
        """
        The home as the run knew it: this one, or the one that it was copied from.
        """
        spec = self.spec(run)
        known = spec.env.get(MARK, "") if spec is not None else ""
        tail = f"/{self.home.run_dir(run).relative_to(self.home.root)}"
        return Home(Path(known.removesuffix(tail))) if known.endswith(tail) else self.home
