"""
Judges the tool calls of one run: by the rules, by the person's own lines, and by what the person allows this task.
"""

from __future__ import annotations

import shlex
from typing import Any

from msgspec.structs import replace

from orchestrd.domain.rows import RunRow
from orchestrd.policy import acts
from orchestrd.policy.amendments import Amendments
from orchestrd.policy.engine import judge
from orchestrd.policy.scope import Scope
from orchestrd.policy.verdict import ALLOW, Verdict, recorded
from orchestrd.protocol.messages import ToolCall
from orchestrd.services.store import Store
from orchestrd.treefiles import TreeFiles


class Bench:
    """
    The judge of one run.
    """

    def __init__(self, store: Store, run: RunRow, scope: Scope) -> None:
        self._store = store
        self._run = run.key
        self._task = run.task
        self._scope = scope
        self._files = TreeFiles()

    def judge(self, tool: str, arguments: dict[str, Any], cwd: str | None, call: str | None) -> Verdict:
        """
        The verdict, as `policy.engine.Judge` gives it; whatever is not allowed carries the mark of its act.
        """
        asked = self._asked_about(call)
        if asked is not None:
            # Read again after a restart: whatever the rules say by now, a person has been asked.
            return asked
        verdict = judge(tool, arguments, self._scope, cwd, self._files)
        if verdict.allowed:
            return verdict
        act = acts.mark(tool, arguments, self._scope.tree, cwd)
        task = self._store.state.task(self._task)
        if task is not None and task.allows(act) and not verdict.fixed:
            return ALLOW
        return replace(verdict, act=act)

    def _asked_about(self, call: str | None) -> Verdict | None:
        """
        The verdict by which a person was asked for leave for this very *call*.
        """
        for question in self._store.state.questions(run=self._run):
            if question.permit is not None and question.permit.call == call:
                return recorded(question.permit)
        return None


class Deletions:
    """
    What a person allowed one task of deleting files of the project, see `runner.watch.Pardon`.
    """

    act = acts.DELETION

    def __init__(self, store: Store, task: str, scope: Scope) -> None:
        self._store = store
        self._task = task
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
