"""
Words by which any program, whoever wrote it, is asked for migrations.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.targets import is_migrating_target
from orchestrd.policy.shell.invocation import Invocation

_NO_MIGRATION = o.words("""
    nx ng expo storybook sb turbo biome eslint ruff tslint-to-eslint-config codemod svelte-migrate
    ember-cli-update nuxi shadcn stylelint prettier jest vitest golangci-lint flutter dart pulumi terraform
    gradle poetry tailwindcss upgrade npm yarn pnpm bun cargo cspell commitlint renovate sveltekit svelte-kit
    astro playwright webpack vite rollup swc babel lerna changeset hygen plop volta pip-tools poetry-migrate vue
    hardhat truffle forge anchor near foundry sentry-wizard sass-migrator gatsby next docusaurus
""")
"""Programs that migrate code or settings."""
_TELLS = o.words("--help -h --dry-run --check --plan --status --list --pretend --version status")
_WRITES = o.words("status list create new generate show test build diff history")
"""Words beside which ``migrate`` runs nothing."""
_PAIR = re.compile(
    r"""
    (?:db|database|schema)\ (?:reset|drop|push|upgrade|downgrade|migrate|sync|wipe|rollback)
    |(?:migrations?|schema)\ (?:apply|up|down|run|rollback|revert)
    """,
    re.VERBOSE,
)
_NAMES_DATABASE = re.compile(r"(?=.*(?:db|database))[\w:-]+")
"""A word, and no file, that says which thing is changed."""
_MIGRATOR = re.compile(r"(?:^|[-_.])(?:db[-_]?)?migrat(?:e|ions?|or)$", re.IGNORECASE)
_MOVES = o.words("up down redo reset rollback apply run latest deploy fresh")
"""What a program that is named after migrations is told to run them."""
_ENDING = re.compile(r"\.\w{1,5}$")
_LOOKED_AT = 4


def asks_to_migrate(program: str, arguments: Collection[str]) -> bool:
    """
    True when a *program* of which nothing else is known is asked by its *arguments* to run migrations.
    """
    given = tuple(arguments)
    if program in _NO_MIGRATION or not _TELLS.isdisjoint(given):
        return False
    words = o.plain(given[:_LOOKED_AT])[: _LOOKED_AT - 1]
    if not _WRITES.isdisjoint(words):
        return False
    return (
        any(word == "migrate" or (":" in word and is_migrating_target(word)) for word in words[:2])
        or any(_NAMES_DATABASE.fullmatch(word) and is_migrating_target(word) for word in words[:1])
        or any(_PAIR.fullmatch(" ".join(words[at : at + 2])) for at in range(2))
        or bool(_MIGRATOR.search(_ENDING.sub("", program)) and not _MOVES.isdisjoint(words[:1]))
    )


def judge_words(inquiry: Inquiry, call: Invocation, program: str, arguments: Collection[str]) -> bool:
    """
    Object where the *program* that *call* runs is asked for migrations; True when it is.
    """
    if asks_to_migrate(program, arguments):
        inquiry.object("db", call, "it runs migrations, by what it is told")
        return True
    return False


def judge_launched(inquiry: Inquiry, call: Invocation, words: Sequence[str]) -> None:
    """
    A program of the project's own that *call* builds and runs: *words* are its name or its file, and what it is told.
    """
    if not words:
        return
    name = _ENDING.sub("", words[0].rstrip("/").rsplit("/", 1)[-1])
    tells = not (_TELLS | _WRITES).isdisjoint(words[1:])
    if not tells and (is_migrating_target(name) or _MIGRATOR.fullmatch(name)):
        inquiry.object("db", call, f"`{words[0]}` runs migrations or changes a database, by its name")
    else:
        judge_words(inquiry, call, name, words[1:])
