"""
Submit a task file: read, validate against the project, check that agents can run, record.
"""

from __future__ import annotations

from pathlib import Path

import aiofiles
import anyio.to_thread

from orchestrd.clock import Clock
from orchestrd.domain.model import TaskFile, usd
from orchestrd.domain.state import State
from orchestrd.domain.submission import Submission, compare, halted
from orchestrd.domain.taskfile.yamltext import MAX_BYTES
from orchestrd.domain.tasks import parse_task_file
from orchestrd.errors import InvalidTaskFile, NotFound
from orchestrd.protocol.api import Submitted, TaskSubmit
from orchestrd.services.change import Change
from orchestrd.services.preflight import Preflight
from orchestrd.services.settings import Settings
from orchestrd.services.store import Store
from orchestrd.storage.regular import open_regular
from orchestrd.workspace.context import missing


class Submissions:
    """
    Takes task files.
    """

    def __init__(self, store: Store, settings: Settings, clock: Clock, preflight: Preflight, project: Path) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._preflight = preflight
        self._project = project

    async def submit(self, wanted: TaskSubmit) -> Submitted:
        """
        Accept the file's tasks, or nothing of it.

        Raises `InvalidTaskFile` with every problem, `AgentError` when no agent could run, `Refused`, `NotFound`.
        """
        path, dry_run = Path(wanted.path), wanted.dry_run
        data = await _read(path) if wanted.text is None else wanted.text.encode("utf-8", "surrogatepass")
        file = parse_task_file(data, source=str(path), zone=self._clock.zone())
        absent = await self._missing_context(file)
        if not dry_run:
            await self._preflight.look()

        def decide(state: State) -> Change[Submitted]:
            plan = compare(state, file, str(path))
            held = halted(state, plan, self._settings.rules.limits)
            shown = self._shown(plan, [*absent, held] if held else absent, dry_run=dry_run)
            return Change(shown) if dry_run else Change(shown, *plan.facts)

        return await self._store.do(decide, request=wanted.request_id, method=wanted.named("task.submit"))

    def _shown(self, plan: Submission, notes: list[str], *, dry_run: bool) -> Submitted:
        return Submitted(
            day=plan.day,
            accepted=list(plan.accepted),
            unchanged=list(plan.unchanged),
            updated=list(plan.updated),
            missing=list(plan.missing),
            notes=[*notes, *plan.notes],
            limit_usd=usd(self._settings.rules.limits.total(plan.limit, plan.raised)),
            dry_run=dry_run,
        )

    async def _missing_context(self, file: TaskFile) -> list[str]:
        """
        A sentence for each context file that is not there and that no dependency promises to make.
        """
        notes: list[str] = []
        for task in file.tasks:
            absent = await anyio.to_thread.run_sync(missing, self._project, task.context_files)
            made = {d.path for other in file.tasks if other.id in task.depends_on for d in other.deliverables}
            notes += [
                f"{task.id}: context file {name} is not in {self._project}; its agent is told so"
                for name in absent
                if name.rstrip("/") not in made
            ]
        return notes


async def _read(path: Path) -> bytes:
    try:
        async with aiofiles.open(path, "rb", opener=lambda name, _: open_regular(name, follow=True)) as file:
            # One byte more than allowed: the parser then says that it is too large.
            return await file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidTaskFile(f"{str(path)!r}: cannot be read: {reason}") from None
