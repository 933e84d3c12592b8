"""
Judges the tool calls of one run: by the rules, by the person's own lines, and by what the person allows this task.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from orchestrd.domain.rows import RunRow
from orchestrd.policy import acts
from orchestrd.policy.engine import judge
from orchestrd.policy.scope import Files, Scope
from orchestrd.policy.verdict import ALLOW, Verdict, recorded
from orchestrd.services.store import Store


class Bench:
    """
    The judge of one run.
    """

    def __init__(self, store: Store, run: RunRow, scope: Scope, files: Files) -> None:
        self._store = store
        self._run = run.key
        self._task = run.task
        self._scope = scope
        self._files = files

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
        act = acts.mark(tool, arguments, self._scope.tree, cwd, followed=verdict.followed)
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
