"""
Judges the tool calls of one run: by the rules, by the person's own lines, and by what the person allows this task.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from orchestrd.domain.rows import RunRow
from orchestrd.policy import acts
from orchestrd.policy.amendments import Amendments
from orchestrd.policy.engine import judge, lets_pass, objections
from orchestrd.policy.inquiry import REASONS
from orchestrd.policy.scope import Files, Scope
from orchestrd.policy.verdict import ALLOW, COMMAND_TOOLS, Verdict, recorded
from orchestrd.services.store import Store

ALL = frozenset[str](REASONS)
"""A line of the person's own that names a command lets it do what it does."""


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
        self._pardoned: dict[str, frozenset[str]] = {}

    def judge(self, tool: str, arguments: dict[str, Any], cwd: str | None, call: str | None) -> Verdict:
        """
        The verdict, as `policy.engine.Judge` gives it; whatever is not allowed carries the mark of its act.
        """
        asked = self._asked_about(call)
        if asked is not None:
            # Read again after a restart: whatever the rules say by now, a person has been asked.
            self._pardon(tool, arguments, cwd, call)
            return asked
        verdict = judge(tool, arguments, self._scope, cwd, self._files)
        if verdict.allowed:
            if self._let_pass(tool, arguments, cwd):
                self._pardon(tool, arguments, cwd, call, wholly=tool in COMMAND_TOOLS)
            return verdict
        act = acts.mark(tool, arguments, self._scope.tree, cwd, followed=verdict.followed)
        task = self._store.state.task(self._task)
        if task is not None and task.allows(act) and not verdict.fixed:
            self._pardon(tool, arguments, cwd, call)
            return ALLOW
        if verdict.decision == "ask":
            # It is made only if the person says so.
            self._pardon(tool, arguments, cwd, call)
        return replace(verdict, act=act)

    def pardoned(self, call: str) -> frozenset[str]:
        """
        The rules by which this *call* would have been stopped had not a person let it pass: those that the rules alone say, or all
        where a line of the person's names a program that it runs.  Of what no person spoke of, none: what the rules alone would say
        may be otherwise by now, of a file that is gone for one.
        """
        return self._pardoned.get(call, frozenset())

    def _pardon(
        self, tool: str, arguments: dict[str, Any], cwd: str | None, call: str | None, *, wholly: bool = False
    ) -> None:
        if call is None or call in self._pardoned:
            return
        alone = replace(self._scope, amendments=Amendments())
        found = () if wholly else objections(tool, arguments, alone, cwd, self._files)
        self._pardoned[call] = ALL if wholly else frozenset(one.rule for one in found)

    def _let_pass(self, tool: str, arguments: dict[str, Any], cwd: str | None) -> bool:
        """
        True when a line of the person's is why a call may be made.
        """
        lines, here = self._scope.amendments, cwd or self._scope.tree
        if tool in COMMAND_TOOLS:
            command = arguments.get("command")
            return (
                lines.opens_commands and isinstance(command, str) and lets_pass(command, self._scope, here, self._files)
            )
        said = lines.call(tool, arguments, self._scope.tree, here) if lines.opens_calls else None
        return said is not None and said.allowed

    def _asked_about(self, call: str | None) -> Verdict | None:
        """
        The verdict by which a person was asked for leave for this very *call*.
        """
        for question in self._store.state.questions(run=self._run):
            if question.permit is not None and question.permit.call == call:
                return recorded(question.permit)
        return None
