"""
What a person allowed one run beyond the rules, and which files of the project are only somewhere else.
"""

from __future__ import annotations

from pathlib import Path

from orchestrd.domain.rows import RunRow
from orchestrd.policy import acts
from orchestrd.protocol.messages import ToolCall
from orchestrd.services.bench import Bench
from orchestrd.services.store import Store
from orchestrd.workspace.changes import renamed
from orchestrd.workspace.repository import Repository


class Pardons:
    """
    Those of one run, see `runner.watch.Pardon`.
    """

    act = acts.DELETION

    def __init__(self, store: Store, repo: Repository, run: RunRow, tree: Path, bench: Bench) -> None:
        self._store = store
        self._repo = repo
        self._run = run.key
        self._task = run.task
        self._tree = tree
        self._bench = bench

    @property
    def given(self) -> bool:
        """
        True when the programs that it runs may.
        """
        task = self._store.state.task(self._task)
        return task is not None and task.allows(self.act)

    def covers(self, call: ToolCall) -> frozenset[str]:
        """
        The rules that would have stopped this *call* had not a person let it pass, see `Bench.pardoned`.
        """
        return self._bench.pardoned(call.id)

    async def moved(self) -> frozenset[str]:
        """
        The files that git finds elsewhere in the tree by now, as `git.shown` writes where they were.

        Raises `StorageError`.
        """
        run = self._store.state.run(self._run)
        if run is None or not run.base:
            return frozenset()
        return await renamed(self._repo, run.base, await self._repo.tree_of(self._tree, parent=run.base))
