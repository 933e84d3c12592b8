"""
``config/policy.yaml``: what a person changes about the rules, read and checked.
"""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import msgspec
import yaml

from orchestrd.errors import ConfigError

RULES_FILE = Path("config") / "policy.yaml"
RULES = ("git", "db", "delete", "outside", "secret", "exec-unknown")
DECISIONS = ("allow", "deny", "ask")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """
    *decision* on what is *written*, under *rule*, for *reason*; *where* it stands, for messages.
    """

    decision: str
    written: str
    rule: str = "exec-unknown"
    reason: str = ""
    where: str = ""


class Rulebook(msgspec.Struct, frozen=True, kw_only=True):
    """
    The person's own *rules* in their order, those for single *tasks* (pattern of a task's id → lines) before them, and
    folders outside of the tree that agents may read or write.
    """

    rules: tuple[Line, ...] = ()
    tasks: tuple[tuple[str, tuple[Line, ...]], ...] = ()
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()

    def of(self, task: str) -> tuple[Line, ...]:
        """
        The lines that hold for the task with the id *task*, in the order in which they are looked at.
        """
        own = [line for pattern, lines in self.tasks if fnmatch.fnmatchcase(task, pattern) for line in lines]
        return (*own, *self.rules)


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
        raise ConfigError(f"{path} cannot be read: {error}") from None
    try:
        data = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected `rules:` and the like at its top")
    known = ("rules", "tasks", "readable", "writable")
    for key in data:
        if key not in known:
            raise ConfigError(f"{path}: unknown key {key!r}", hint=f"There are {', '.join(known)}.")
    tasks = data.get("tasks") or {}
    if not isinstance(tasks, dict):
        raise ConfigError(f"{path}: tasks: expected a task's id, or a pattern of ids, with its rules")
    return Rulebook(
        rules=_lines(data.get("rules"), f"{path}: rules"),
        tasks=tuple((str(pattern), _lines(lines, f"{path}: tasks.{pattern}")) for pattern, lines in tasks.items()),
        readable=_folders(data.get("readable"), f"{path}: readable"),
        writable=_folders(data.get("writable"), f"{path}: writable"),
    )


def _lines(found: Any, where: str) -> tuple[Line, ...]:
    if found is None:
        return ()
    if not isinstance(found, list):
        raise ConfigError(f"{where}: expected a list, such as `- allow: rm -rf dist`")
    return tuple(_line(one, f"{where}[{at}]") for at, one in enumerate(found))


def _line(one: Any, where: str) -> Line:
    if not isinstance(one, dict):
        raise ConfigError(f"{where}: expected `allow:`, `deny:` or `ask:` with a command line")
    decisions = [key for key in DECISIONS if key in one]
    others = sorted(set(map(str, one)) - {*DECISIONS, "rule", "reason"})
    if others:
        raise ConfigError(f"{where}: unknown key {others[0]!r}", hint="There are allow, deny, ask, rule and reason.")
    if len(decisions) != 1:
        raise ConfigError(f"{where}: exactly one of allow, deny and ask is expected")
    written, rule, reason = one[decisions[0]], one.get("rule", "exec-unknown"), one.get("reason", "")
    if not isinstance(written, str) or not written.strip():
        raise ConfigError(f"{where}.{decisions[0]}: expected a command line, or a tool such as Write(docs/**)")
    if rule not in RULES:
        raise ConfigError(f"{where}.rule: {rule!r} is no rule", hint=f"There are {', '.join(RULES)}.")
    if not isinstance(reason, str):
        raise ConfigError(f"{where}.reason: expected words for the agent")
    return Line(decision=decisions[0], written=written, rule=rule, reason=reason, where=where)


def _folders(found: Any, where: str) -> tuple[str, ...]:
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(one, str) and one.strip() for one in found):
        raise ConfigError(f"{where}: expected a list of folders")
    folders = [Path(one).expanduser() for one in found]
    for folder in folders:
        if not folder.is_absolute() or str(folder) == "/":
            raise ConfigError(f"{where}: {folder} is no absolute path below /")
    return tuple(str(folder) for folder in folders)
