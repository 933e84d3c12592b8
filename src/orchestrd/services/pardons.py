"""
What a person allowed one run beyond the rules, and which files of the project are only somewhere else.
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from orchestrd.domain.rows import RunRow
from orchestrd.policy import acts
from orchestrd.policy.amendments import Amendments
from orchestrd.policy.engine import lets_pass, objections
from orchestrd.policy.inquiry import REASONS
from orchestrd.policy.scope import Files, Scope
from orchestrd.protocol.messages import ToolCall
from orchestrd.services.store import Store
from orchestrd.workspace.changes import renamed
from orchestrd.workspace.repository import Repository

ALL = frozenset(REASONS)
"""A line of the person's own that names a command lets it do what it does."""


class Pardons:
    """
    Those of one run, see `runner.watch.Pardon`.
    """

    act = acts.DELETION

    def __init__(self, store: Store, repo: Repository, run: RunRow, scope: Scope, files: Files) -> None:
        self._store = store
        self._repo = repo
        self._run = run.key
        self._task = run.task
        self._scope = scope
        self._files = files

    @property
    def given(self) -> bool:
        """
        True when the programs that it runs may.
        """
        task = self._store.state.task(self._task)
        return task is not None and task.allows(self.act)

    def covers(self, call: ToolCall) -> frozenset[str]:
        """
        The rules by which this *call* would have been stopped had not a person let it pass: those that the rules alone say, or all
        where a line of the person's names a program that it runs.
        """
        command = call.input.get("command")
        if isinstance(command, str) and lets_pass(command, self._scope, self._scope.tree, self._files):
            return ALL
        alone = replace(self._scope, amendments=Amendments())
        return frozenset(one.rule for one in objections(call.name, call.input, alone, None, self._files))

    async def moved(self) -> frozenset[str]:
        """
        The files that git finds elsewhere in the tree by now, as `git.shown` writes where they were.

        Raises `StorageError`.
        """
        run = self._store.state.run(self._run)
        if run is None or not run.base:
            return frozenset()
        return await renamed(self._repo, run.base, await self._repo.tree_of(Path(self._scope.tree), parent=run.base))
