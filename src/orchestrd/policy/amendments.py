"""
What a person allows, forbids or wants to be asked, beyond the rules: ``config/policy.yaml``.

A pattern is written as Claude Code's own permission rules are: ``Bash(npm publish *)``, ``Write(docs/legal/**)``,
``WebFetch(domain:example.com)``, ``mcp__tracker__*``; without a tool's name it is a command line.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from orchestrd.policy.shell.marks import is_known, shown
from orchestrd.policy.shell.paths import absolute
from orchestrd.policy.verdict import Decision, Rule, Verdict, printable, short

COMMANDS = "Bash"
_WRITTEN = re.compile(r"([A-Za-z_][\w*-]*)\((.*)\)|(mcp__[\w*-]+)", re.DOTALL)
_REASONS: dict[Decision, str] = {
    "allow": "",
    "deny": "The person does not allow this here. Go on without it, or say in the summary why it is needed.",
    "ask": "config/policy.yaml says that you are asked before this is done.",
}


class Amendment(msgspec.Struct, frozen=True, kw_only=True):
    """
    One line of the person's: *tool* and *argument* are patterns, *words* those of a command line's words.
    """

    decision: Decision
    tool: str
    argument: str = ""
    words: tuple[str, ...] = ()
    rule: Rule = "none"
    reason: str = ""

    def verdict(self, target: str) -> Verdict:
        """
        What it says about *target*.
        """
        if self.decision == "allow":
            return Verdict()
        reason = self.reason or _REASONS[self.decision]
        rule = "exec-unknown" if self.rule == "none" and self.decision == "deny" else self.rule
        return Verdict(decision=self.decision, rule=rule, reason=printable(reason), target=short(target), person=True)


def amendment(decision: Decision, written: str, *, rule: Rule = "none", reason: str = "") -> Amendment:
    """
    The line that says *decision* of what is *written*.

    Raises `ValueError` when it is empty, its quotes do not end, or it allows every command there is.
    """
    match = _WRITTEN.fullmatch(written.strip())
    tool, argument = (COMMANDS, written.strip()) if match is None else (match[1] or match[3], match[2] or "")
    words = tuple(shlex.split(argument)) if tool == COMMANDS else ()
    if tool == COMMANDS and not words:
        raise ValueError("a command line is expected, such as `npm publish *`")
    if decision == "allow" and (set(words[:1]) & {"*", "**"} or not tool.strip("*")):
        raise ValueError("what is allowed begins with a program, or a tool, that is named")
    return Amendment(decision=decision, tool=tool, argument=argument, words=words, rule=rule, reason=reason)


class Amendments:
    """
    The person's lines, of which the first that fits decides.

    None of them opens what protects this program itself (`Verdict.fixed`), and an *allow* or *ask* is of the program it names and
    what that runs, not of its redirections, its environment, or the rest of the command line.
    """

    def __init__(self, lines: Iterable[Amendment] = ()) -> None:
        given = tuple(lines)
        self._commands = [line for line in given if line.tool == COMMANDS]
        self._calls = [line for line in given if line.tool != COMMANDS]

    @property
    def opens_commands(self) -> bool:
        """
        True when a line may let a program run that the rules deny.
        """
        return any(line.decision != "deny" for line in self._commands)

    @property
    def opens_calls(self) -> bool:
        """
        True when a line may let another tool do what the rules deny.
        """
        return any(line.decision != "deny" for line in self._calls)

    def command(self, argv: tuple[str, ...]) -> Verdict | None:
        """
        What the person says of a program with its arguments, or None where no line fits.
        """
        for line in self._commands:
            if _fits(line.words, argv, by_name=line.decision != "allow"):
                return line.verdict(shown(" ".join(argv)))
        return None

    def call(self, tool: str, arguments: Mapping[str, Any], tree: str, cwd: str) -> Verdict | None:
        """
        What the person says of a call of another *tool*, or None where no line fits.
        """
        for line in self._calls:
            if fnmatch.fnmatchcase(tool, line.tool) and _about(line.argument, arguments, tree, cwd):
                return line.verdict(tool)
        return None


def _fits(words: tuple[str, ...], argv: tuple[str, ...], *, by_name: bool) -> bool:
    """
    True when every word fits its pattern; a last ``*`` fits any number of words.  A program is known *by its name* wherever it
    lies; what is allowed only as it is written, for anything may have that name.
    """
    if not argv or not all(is_known(word) for word in argv):
        return False
    if by_name and "/" not in words[0]:
        argv = (argv[0].rsplit("/", 1)[-1], *argv[1:])
    rest = words[-1] == "*"
    wanted = words[:-1] if rest else words
    if len(argv) < len(wanted) or (len(argv) > len(wanted) and not rest):
        return False
    return all(fnmatch.fnmatchcase(word, pattern) for word, pattern in zip(argv, wanted, strict=False))


def _about(pattern: str, arguments: Mapping[str, Any], tree: str, cwd: str) -> bool:
    """
    True when *pattern* is empty or fits the path, address or text that a call is about.
    """
    if pattern in {"", "*"}:
        return True
    if pattern.startswith("domain:"):
        url = arguments.get("url")
        host = re.sub(r"^[a-z]+://([^/@]*@)?([^/:?#]*).*$", r"\2", url.lower()) if isinstance(url, str) else ""
        domain = pattern.removeprefix("domain:").lower()
        return host == domain or host.endswith("." + domain)
    for key in ("file_path", "notebook_path", "path", "url", "pattern", "query"):
        value = arguments.get(key)
        if isinstance(value, str):
            path = absolute(value, cwd) if key.endswith("path") else value
            inside = posixpath.relpath(path, tree) if key.endswith("path") and path.startswith(tree + "/") else path
            return fnmatch.fnmatchcase(inside, pattern) or fnmatch.fnmatchcase(path, pattern)
    return False
