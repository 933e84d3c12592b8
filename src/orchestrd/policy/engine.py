"""
Judge one tool call: may the agent do this?

The first rules: git only for reading, no migration and no change to a database, no deletion of project files, no write
outside the working tree.  Each denial says what is forbidden and what to do instead.  What cannot be read is denied.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from orchestrd.policy import programs as p
from orchestrd.policy.shell import Command, Unreadable, commands, unwrap
from orchestrd.policy.verdict import ALLOW, Scope, Verdict

_WRITING_TOOLS = {"Write": "file_path", "Edit": "file_path", "MultiEdit": "file_path", "NotebookEdit": "notebook_path"}
_WORKTREE_TOOLS = frozenset({"EnterWorktree", "ExitWorktree"})
_GIT = "Git may only be read here: no staging, committing, pushing or any other change. Leave your changes uncommitted."
_DB = "Databases may not be changed and migrations may not be run. Create the migration file and leave running it to the person."
_DELETE = "Project files may not be deleted. Say in summary.md which files should go, or empty them if that is enough."
_OUTSIDE = "Only the working tree and the scratch folder ($TMPDIR) may be written."


def judge(tool: str, arguments: dict[str, Any], scope: Scope, cwd: str | None = None) -> Verdict:
    """
    The verdict on a call of *tool* with *arguments* by an agent that stands in *cwd* (the tree by default).
    """
    here = cwd or scope.tree
    if tool in _WRITING_TOOLS:
        path = arguments.get(_WRITING_TOOLS[tool])
        if not isinstance(path, str) or not path:
            return ALLOW  # the tool itself refuses a call without a path
        if not scope.writable(path, here):
            return _deny("outside", f"{path} is outside the working tree. {_OUTSIDE}", path)
        return ALLOW
    if tool in _WORKTREE_TOOLS:
        return _deny("git", "You already work in a worktree of your own; stay in it.", tool)
    if tool in {"Bash", "Monitor"}:
        command = arguments.get("command")
        return judge_command(command, scope, here) if isinstance(command, str) else ALLOW
    return ALLOW


def judge_command(text: str, scope: Scope, cwd: str) -> Verdict:
    """
    The verdict on a shell command line.
    """
    try:
        found = commands(text)
    except (Unreadable, RecursionError) as error:
        return _deny("exec-unknown", f"The command line could not be read ({error}); write it more simply.", text)
    for command in found:
        for judging in (_git, _database, _deletion, _writing):
            verdict = judging(command, scope, cwd)
            if verdict is not None:
                return verdict
    return ALLOW


def _git(command: Command, _scope: Scope, _cwd: str) -> Verdict | None:
    words = unwrap(command.words)
    program = words[0].rsplit("/", 1)[-1] if words else ""
    shown = " ".join(words)
    if program in p.OTHER_VCS:
        return _deny("git", f"{program} may not be used. {_GIT}", shown)
    if program in p.FORGES and not _reads_forge(words[1:]):
        return _deny("git", f"{program} may not change anything at the forge. {_GIT}", shown)
    if program.startswith("git-"):
        words, program = ("git", program[4:], *words[1:]), "git"
    if program != "git":
        return None
    rest = list(words[1:])
    while rest and rest[0].startswith("-"):
        if rest[0] in {"-c", "--exec-path"} or rest[0].startswith("--config-env"):
            return _deny("git", f"`git {rest[0]}` may not be used. {_GIT}", shown)
        if rest[0] in {"--version", "--help"}:
            return None
        del rest[: 2 if rest[0] in p.GIT_VALUE_OPTIONS else 1]
    if not rest or rest[0] in p.GIT_READING:
        writes = [w for w in rest[1:] if w.startswith(("--output", "--ext-diff")) or w == "-O"]
        return _deny("git", f"`git {rest[0]} {writes[0]}` may not be used. {_GIT}", shown) if writes else None
    verb, arguments = rest[0], rest[1:]
    listing = p.GIT_LISTING.get(verb)
    if listing is not None and (
        (not arguments and verb not in {"config", "stash"}) or (arguments[:1] and arguments[0] in listing)
    ):
        return None
    return _deny("git", f"`git {verb}` may not be run. {_GIT}", shown)


def _reads_forge(arguments: tuple[str, ...]) -> bool:
    return len(arguments) >= 2 and arguments[1] in {"view", "list", "status", "diff", "checks"}


def _database(command: Command, _scope: Scope, _cwd: str) -> Verdict | None:
    words = list(unwrap(command.words))
    while words and words[0].rsplit("/", 1)[-1] in p.RUNNERS:
        del words[0]
        while words and (words[0] in p.RUNNER_VERBS or words[0].startswith("-")):
            del words[0]
    while len(words) > 1 and re.sub(r"[\d.]+$", "", words[0].rsplit("/", 1)[-1]) in p.INTERPRETERS:
        del words[0]
        while words and words[0].startswith("-"):
            del words[0]
    if not words:
        return None
    program = words[0].rsplit("/", 1)[-1]
    arguments = [w for w in words[1:] if not w.startswith("-")]
    shown = " ".join(words)
    for sequence in p.MIGRATIONS.get(program, ()):
        if len(arguments) >= len(sequence) and all(
            given == wanted or (wanted[-1] in ":." and given.startswith(wanted))
            for given, wanted in zip(arguments, sequence, strict=False)
        ):
            return _deny("db", f"`{program} {' '.join(sequence)}` may not be run. {_DB}", shown)
    if program in p.DATABASE_TOOLS:
        return _deny("db", f"`{program}` may not be run. {_DB}", shown)
    if program in p.DATABASE_SHELLS:
        text = " ".join(words[1:]).lower()
        if any(re.search(rf"\b{verb}\b", text) for verb in p.SQL_CHANGES) or re.search(r"(^| )(-f|--file|<)", text):
            return _deny("db", f"`{program}` may not change a database. {_DB}", shown)
    return None


def _deletion(command: Command, scope: Scope, cwd: str) -> Verdict | None:
    words = unwrap(command.words)
    program = words[0].rsplit("/", 1)[-1] if words else ""
    shown = " ".join(words)
    if program in p.DELETERS:
        targets = [w for w in words[1:] if not w.startswith("-")]
        for target in targets:
            if scope.in_tree(target, cwd) or not scope.writable(target, cwd):
                return _deny("delete", f"`{program} {target}` may not be run. {_DELETE}", shown)
    if program == "find" and "-delete" in words:
        return _deny("delete", f"`find … -delete` may not be run. {_DELETE}", shown)
    return None


def _writing(command: Command, scope: Scope, cwd: str) -> Verdict | None:
    words = unwrap(command.words)
    program = words[0].rsplit("/", 1)[-1] if words else ""
    targets = list(command.writes)
    plain = [w for w in words[1:] if not w.startswith("-")]
    if program in p.WRITERS_LAST and len(plain) >= 2:
        targets.append(plain[-1])
    elif program in p.WRITERS_ALL:
        targets += plain if program not in {"chmod", "chown", "chgrp"} else plain[1:]
    elif program == "dd":
        targets += [w[3:] for w in words if w.startswith("of=")]
    for target in targets:
        # A variable is judged by where it is known to lead; others are left to the operating system's own limits.
        known = re.match(r"(~|\$\{?(?:HOME|ORCHESTRD_\w*|CLAUDE_\w*|XDG_\w*)\b)", target)
        if known is None and target.startswith(("$", "&")):
            continue
        path = "/outside" if known is not None else target
        if not scope.writable(path, cwd):
            return _deny("outside", f"{target} is outside the working tree. {_OUTSIDE}", " ".join(words) or target)
    return None


def _deny(rule: str, reason: str, target: str) -> Verdict:
    return Verdict(allowed=False, rule=rule, reason=reason, target=target[:200])


Judge = Callable[[str, dict[str, Any], str | None], Verdict]
"""``(tool, arguments, cwd) -> Verdict`` with the scope already known."""
