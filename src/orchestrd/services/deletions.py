"""
What a person allowed one task of deleting files of the project, and which of them are only somewhere else.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from msgspec.structs import replace

from orchestrd.domain.rows import RunRow
from orchestrd.policy import acts
from orchestrd.policy.amendments import Amendments
from orchestrd.policy.engine import judge
from orchestrd.policy.scope import Scope
from orchestrd.protocol.messages import ToolCall
from orchestrd.services.store import Store
from orchestrd.treefiles import TreeFiles
from orchestrd.workspace.changes import renamed
from orchestrd.workspace.repository import Repository


class Deletions:
    """
    Those of one run, see `runner.watch.Pardon`.
    """

    act = acts.DELETION

    def __init__(self, store: Store, repo: Repository, run: RunRow, scope: Scope) -> None:
        self._store = store
        self._repo = repo
        self._run = run.key
        self._task = run.task
        self._scope = scope
        self._files = TreeFiles()

    @property
    def given(self) -> bool:
        """
        True when the programs that it runs may.
        """
        task = self._store.state.task(self._task)
        return task is not None and task.allows(self.act)

    def covers(self, call: ToolCall) -> bool:
        """
        True when it was a person who let this *call* pass: the rules alone would not have, or a line of the person's names it.
        """
        alone = replace(self._scope, amendments=Amendments())
        if not judge(call.name, call.input, alone, None, self._files).allowed:
            return True
        command = call.input.get("command")
        try:
            words = tuple(shlex.split(command)) if isinstance(command, str) else ()
        except ValueError:
            return False
        said = self._scope.amendments.command(words)
        return said is not None and said.allowed

    async def moved(self) -> frozenset[str]:
        """
        The files that git finds elsewhere in the tree by now, as `git.shown` writes where they were.

        Raises `StorageError`.
        """
        run = self._store.state.run(self._run)
        if run is None or not run.base:
            return frozenset()
        return await renamed(self._repo, run.base, await self._repo.tree_of(Path(self._scope.tree), parent=run.base))
