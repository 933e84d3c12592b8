"""
``config/policy.yaml``: what a person changes about the rules, read and checked.

Every error names file and line, and says what is expected there.
"""

from __future__ import annotations

import difflib
import fnmatch
import os
from pathlib import Path
from typing import cast

import msgspec
import yaml

from orchestrd.errors import ConfigError
from orchestrd.policy.amendments import Amendment, Amendments, amendment
from orchestrd.policy.verdict import Decision, Rule

RULES_FILE = "config/policy.yaml"
RULES = ("git", "db", "delete", "outside", "secret", "exec-unknown")
DECISIONS = ("allow", "deny", "ask")
_KEYS = ("rules", "tasks", "readable", "writable")
_LINE_KEYS = (*DECISIONS, "rule", "reason")
_STATE = ("config", "var")
"""Folders of a home that no agent is lent."""


class Rulebook(msgspec.Struct, frozen=True, kw_only=True):
    """
    The person's own *rules* in their order, those for single *tasks* (pattern of a task's id → lines) before them, and
    absolute folders outside of the tree that agents may read, or read, write and delete in.
    """

    rules: tuple[Amendment, ...] = ()
    tasks: tuple[tuple[str, tuple[Amendment, ...]], ...] = ()
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()

    def of(self, task: str) -> Amendments:
        """
        The lines that hold for *task* (full name, ``2026-11-22/task-001``), in the order in which they are looked at.
        """
        short = task.partition("/")[2]
        own = [
            line
            for pattern, lines in self.tasks
            if fnmatch.fnmatchcase(short, pattern) or fnmatch.fnmatchcase(task, pattern)
            for line in lines
        ]
        return Amendments((*own, *self.rules))


def load_rulebook(home: Path) -> Rulebook:
    """
    What the home's ``config/policy.yaml`` says; nothing where there is none.

    Raises `ConfigError`.
    """
    path = home / RULES_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Rulebook()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    try:
        top = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not valid YAML: {getattr(error, 'problem', error)}") from None
    return _Reader(path, home).book(top)


class _Reader:
    """
    Turns the nodes of one file into values, with the line of each at hand.
    """

    def __init__(self, path: Path, home: Path) -> None:
        self._path = path
        self._home = os.path.realpath(home)

    def book(self, top: yaml.Node | None) -> Rulebook:
        if top is None or _empty(top):
            return Rulebook()
        found = self._mapping(top, "expected `rules:`, `tasks:`, `readable:` or `writable:` at its top", _KEYS)
        tasks = found.get("tasks")
        return Rulebook(
            rules=self._lines(found.get("rules"), "rules"),
            tasks=() if tasks is None or _empty(tasks) else self._tasks(tasks),
            readable=self._folders(found.get("readable"), "readable"),
            writable=self._folders(found.get("writable"), "writable"),
        )

    def _tasks(self, node: yaml.Node) -> tuple[tuple[str, tuple[Amendment, ...]], ...]:
        what = "tasks: expected a task's id, or a pattern such as `release-*`, with its rules below it"
        found = self._mapping(node, what)
        return tuple((pattern, self._lines(lines, f"tasks.{pattern}")) for pattern, lines in found.items())

    def _lines(self, node: yaml.Node | None, name: str) -> tuple[Amendment, ...]:
        if node is None or _empty(node):
            return ()
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(node, f"{name}: expected a list, such as `- allow: npm publish --dry-run`")
        return tuple(self._line(one, name) for one in node.value)

    def _line(self, node: yaml.Node, name: str) -> Amendment:
        found = self._mapping(node, f"{name}: expected `allow:`, `deny:` or `ask:` with a command line", _LINE_KEYS)
        decisions = [key for key in DECISIONS if key in found]
        if len(decisions) != 1:
            raise self._error(node, f"{name}: exactly one of allow, deny and ask is expected in a line")
        decision = decisions[0]
        written = self._text(found[decision], f"{decision}: expected a command line, or a tool such as Write(docs/**)")
        rule = self._text(found["rule"], f"rule: expected one of {', '.join(RULES)}") if "rule" in found else "none"
        if "rule" in found and rule not in RULES:
            raise self._error(found["rule"], f"rule: {rule!r} is no rule", f"There are {', '.join(RULES)}.")
        reason = self._text(found["reason"], "reason: expected words for the agent") if "reason" in found else ""
        try:
            return amendment(cast("Decision", decision), written, rule=cast("Rule", rule), reason=reason)
        except ValueError as error:
            raise self._error(found[decision], f"{decision}: {written!r}: {error}") from None

    def _folders(self, node: yaml.Node | None, name: str) -> tuple[str, ...]:
        if node is None or _empty(node):
            return ()
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(node, f"{name}: expected a list of folders")
        return tuple(self._folder(one, name) for one in node.value)

    def _folder(self, node: yaml.Node, name: str) -> str:
        written = self._text(node, f"{name}: expected a folder, as an absolute path or one below ~")
        given = os.path.expanduser(written)  # noqa: PTH111 - what is no folder of anybody's stays as it is
        if not os.path.isabs(given):  # noqa: PTH117 - a text, looked at as one
            raise self._error(node, f"{name}: {written} is no absolute path")
        folder = os.path.realpath(given)
        kept = [os.path.join(self._home, part) for part in _STATE]  # noqa: PTH118 - likewise
        if folder == "/" or any(_within(folder, part) for part in kept):
            raise self._error(node, f"{name}: {written} cannot be opened to agents: it is, or holds, what runs them")
        if name == "writable" and any(_within(part, folder) for part in kept):
            raise self._error(
                node, f"{name}: {written} holds {self._home}, which runs the agents; name folders beside it"
            )
        return folder

    def _mapping(self, node: yaml.Node, expected: str, known: tuple[str, ...] = ()) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, expected)
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self._text(key, expected)
            if known and name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(known)}."
                raise self._error(key, f"{name}: unknown setting", hint)
            if name in found:
                raise self._error(key, f"{name}: it is there already, further up")
            found[name] = value
        return found

    def _text(self, node: yaml.Node, expected: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            raise self._error(node, expected)
        return str(node.value)

    def _error(self, node: yaml.Node, what: str, hint: str = "") -> ConfigError:
        return ConfigError(f"{self._path}:{node.start_mark.line + 1}: {what}", hint=hint)


def _empty(node: yaml.Node) -> bool:
    """
    True for a key without a value.
    """
    return isinstance(node, yaml.ScalarNode) and node.value.strip() in ("", "~", "null")


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
