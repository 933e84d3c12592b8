"""
What a command does to git and to other version control: reading is allowed, everything else is not.
"""

from __future__ import annotations

import re

from orchestrd.policy import programs as p
from orchestrd.policy.database import without_runners
from orchestrd.policy.shell import Command, base, unwrap
from orchestrd.policy.verdict import Scope, Verdict, deny

_RULE = (
    "Git may only be read here: no staging, committing, pushing or any other change. Leave your changes uncommitted."
)
_RUNS = re.compile(
    r"subprocess|os\.(?:system|popen|exec|spawn)|child_process|\bsystem\b|\bspawn|\bexec|popen|%x|`|\bopen\b|\brun\b",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(r"\$(?:\w+|@|\*|\{[^}]*\}|\(.*\)?)|`.*`?|\{.*,.*\}?", re.DOTALL)
"""A program's name that is computed."""
_GIT_WRITES = re.compile(rf"\bgit['\"]?[\s,]+['\"]?(?:{'|'.join(sorted(p.GIT_WRITING))})\b")


def judge_versions(command: Command, _scope: Scope, _cwd: str) -> Verdict | None:
    """
    The denial of a command that changes a repository, or None.
    """
    words = unwrap(command.words)
    if words and _UNKNOWN.fullmatch(base(words[0])):
        return deny("exec-unknown", "Which program this runs cannot be read; write its name out.", " ".join(words))
    shown = " ".join(words)
    words = tuple(without_runners(list(words))) if words and base(words[0]) in p.RUNNERS else words
    program = base(words[0]) if words else ""
    if program in p.OTHER_VCS and words[1:2] and words[1] not in p.VCS_READING:
        return deny("git", f"{program} may not be used. {_RULE}", shown)
    if program in p.FORGES and not _reads_forge(words[1:]):
        return deny("git", f"{program} may not change anything at the forge. {_RULE}", shown)
    if program.startswith("git-") and program[4:] in p.GIT_WRITING | p.GIT_READING:
        words, program = ("git", program[4:], *words[1:]), "git"
    if program == "git":
        return _judge_git(list(words[1:]), shown)
    if re.sub(r"[\d.]+$", "", program) in p.INTERPRETERS | p.EDITORS:
        # A program in the program: only what plainly runs git is seen here.
        text = "\n".join([*words[1:], command.stdin or ""])
        if _GIT_WRITES.search(text) and _RUNS.search(text):
            return deny("git", f"{program} may not run git either. {_RULE}", shown)
    return None


def _judge_git(rest: list[str], shown: str) -> Verdict | None:
    while rest and rest[0].startswith("-"):
        if rest[0] in {"--version", "--help", "-h", "-v"}:
            return None
        if rest[0] == "-c" and len(rest) > 1 and p.GIT_HARMLESS_SETTING.fullmatch(rest[1]):
            del rest[:2]
            continue
        if rest[0] == "-c" or rest[0].startswith(("--exec-path", "--config-env")):
            return deny("git", f"`git {rest[0]}` may not be used. {_RULE}", shown)
        del rest[: 2 if rest[0] in p.GIT_VALUE_OPTIONS else 1]
    if not rest or rest[1:] in (["-h"], ["--help"]):
        return None
    verb, arguments = rest[0], rest[1:]
    if verb in p.GIT_READING:
        writes = [
            w for w in arguments if w.startswith("--ext-diff") or (verb == "grep" and w.startswith(("-O", "--open")))
        ]
        return deny("git", f"`git {verb} {writes[0]}` may not be used. {_RULE}", shown) if writes else None
    if _lists(verb, arguments):
        return None
    if verb.startswith("$"):
        return deny("exec-unknown", "The git command is not written out; write it out.", shown)
    return deny("git", f"`git {verb}` may not be run. {_RULE}", shown)


def _lists(verb: str, arguments: list[str]) -> bool:
    """
    True when this use of a subcommand that can do both only reads.
    """
    first = arguments[0] if arguments else ""
    if verb in {"branch", "tag"}:
        known = all(
            word.startswith(p.GIT_LIST_OPTIONS) or re.fullmatch(r"-[arvlin]+\d*", word)
            for word in arguments
            if word[0:1] == "-"
        )
        selects = any(
            word.startswith(p.GIT_SELECT_OPTIONS) or re.fullmatch(r"-[arvl]*l[arv]*", word) for word in arguments
        )
        return known and (selects or all(word.startswith("-") for word in arguments))
    if verb == "config":
        one_name = len(arguments) == 1 and not first.startswith("-") and first not in {"edit", "unset"}
        return one_name or first in p.GIT_LISTING["config"]
    if verb == "apply":
        return (
            any(word in {"--check", "--stat", "--numstat", "--summary"} for word in arguments)
            and "--apply" not in arguments
        )
    if verb == "hash-object":
        return "-w" not in arguments
    if verb == "symbolic-ref":
        return sum(not word.startswith("-") for word in arguments) == 1 and not {"-d", "--delete"} & set(arguments)
    listing = p.GIT_LISTING.get(verb)
    return listing is not None and (first in listing or (not arguments and verb not in p.GIT_NEVER_BARE))


def _reads_forge(arguments: tuple[str, ...]) -> bool:
    if arguments[:1] == ("api",):
        return not any(
            word.startswith(("-X", "--method", "-f", "-F", "--field", "--raw-field", "--input")) for word in arguments
        )
    if arguments[:1] in (("search",), ("status",), ("--version",), ("--help",)):
        return True
    return len(arguments) >= 2 and arguments[1] in {"view", "list", "status", "diff", "checks"}
