"""
What a command does to databases: migrations are not run, and database shells may only read.
"""

from __future__ import annotations

import re

from orchestrd.policy import programs as p
from orchestrd.policy.shell import Command, base, unwrap
from orchestrd.policy.verdict import Scope, Verdict, deny

_RULE = "Databases may not be changed and migrations may not be run. Create the migration file and leave running it to the person."
_QUOTED = re.compile(r"'(?:[^']|'')*'")


def judge_database(command: Command, _scope: Scope, _cwd: str) -> Verdict | None:
    """
    The denial of a command that runs a migration or changes a database, or None.
    """
    words = list(unwrap(command.words))
    script = _script_of(words)
    if script is not None and p.MIGRATING_SCRIPT.fullmatch(script):
        return deny("db", f"`{script}` may not be run. {_RULE}", " ".join(words))
    words = without_runners(words)
    if not words:
        return None
    program = base(words[0])
    shown = " ".join(words)
    if program == "console" and words[1:2] and words[1].startswith("doctrine:"):
        words = ["doctrine", words[1].removeprefix("doctrine:"), *words[2:]]
        program = "doctrine"
    if program in {"django", "django-admin.py"}:
        program = "django-admin"
    arguments = [word for word in words[1:] if not word.startswith("-")]
    asks = any(word in p.ONLY_ASKS for word in words[1:]) or any(p.ASKING.search(word) for word in arguments)
    for sequence in p.MIGRATIONS.get(program, ()):
        if not asks and _contains(arguments, sequence):
            return deny("db", f"`{program} {' '.join(sequence)}` may not be run. {_RULE}", shown)
    if program in p.DATABASE_TOOLS:
        return deny("db", f"`{program}` may not be run. {_RULE}", shown)
    if program in p.DATABASE_SHELLS and _changes(command, program, words):
        return deny("db", f"`{program}` may not change a database. {_RULE}", shown)
    return None


def without_runners(words: list[str]) -> list[str]:
    """
    *words* without leading ``npx``, ``poetry run``, ``python -m`` and the like.
    """
    rest = list(words)
    while rest and base(rest[0]) in p.RUNNERS:
        if rest[1:2] and rest[1] in p.PACKAGE_VERBS:
            break
        del rest[0]
        while rest and (rest[0] in p.RUNNER_VERBS or rest[0].startswith("-")):
            del rest[: 2 if rest[0] in {"--prefix", "-C", "--filter", "-w", "--cwd", "-p", "--package"} else 1]
    while len(rest) > 1 and re.sub(r"[\d.]+$", "", base(rest[0])) in p.INTERPRETERS:
        if any(word in {"-c", "-e", "-r", "--eval"} for word in rest[1:3]):
            break  # a program of its own, no tool's command line
        del rest[0]
        while rest and rest[0].startswith("-"):
            del rest[0]
    return list(unwrap(tuple(rest)))


def _script_of(words: list[str]) -> str | None:
    """
    The script or target that a script runner is asked for.
    """
    if not words or base(words[0]) not in p.RUNNERS | p.SCRIPT_RUNNERS:
        return None
    runner = base(words[0])
    valued = {"--prefix", "-C", "--filter", "-w", "--cwd", "-f", "workspace"} - ({"-f"} if runner == "tox" else set())
    rest = words[1:]
    while rest and (rest[0] in p.RUNNER_VERBS or rest[0].startswith("-") or rest[0] == "workspace"):
        del rest[: 2 if rest[0] in valued else 1]
    if not rest:
        return None
    return rest[0].rpartition(":")[2] if runner in {"nx", "turbo"} else rest[0]


def _contains(arguments: list[str], sequence: tuple[str, ...]) -> bool:
    def fits(given: str, wanted: str) -> bool:
        return given == wanted or (wanted[-1] in ":." and given.startswith(wanted))

    size = len(sequence)
    return any(
        all(fits(given, wanted) for given, wanted in zip(arguments[at : at + size], sequence, strict=True))
        for at in range(len(arguments) - size + 1)
    )


def _changes(command: Command, program: str, words: list[str]) -> bool:
    if command.reads:
        return True
    text = " ".join([*words[1:], command.stdin or ""]).lower()
    if program == "redis-cli":
        return any(word.lower() in p.REDIS_CHANGES for word in text.split()) or command.piped
    if program in {"mongosh", "mongo"}:
        return bool(p.MONGO_CHANGES.search(text)) or command.piped
    bare = _QUOTED.sub("''", text)
    if any(re.search(rf"\b{verb}\b", bare) for verb in p.SQL_CHANGES) or re.search(
        r"(?:^|\s)(?:-f|--file|\.read|\\i|source)\b", bare
    ):
        return True
    asks = any(
        word.startswith(("-c", "-e", "-l", "--command", "--execute", "--list", "--version", "--help", "-V"))
        for word in words[1:]
    )
    return command.piped and not asks and not (program == "sqlite3" and len(words) > 2)
