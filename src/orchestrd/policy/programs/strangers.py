"""
Programs of which nothing is known: SQL that they are told, and guarded programs among their arguments.
"""

from __future__ import annotations

import re

from orchestrd.policy.code.sql import changes
from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.targets import is_migrating_target
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import is_known

UNGUARDED = o.words("""
    echo printf cat ls grep egrep fgrep rg ag head tail sort uniq wc cut tr sed awk test [ jq yq diff cmp file
    stat tree less more bat nl tac rev fold fmt tee xxd od strings basename dirname realpath readlink date cal
    which whereis type man info help tldr apropos whatis hash pytest jest vitest mocha ruff mypy eslint prettier
    tsc black isort flake8 pylint docker podman kubectl curl wget read return exit cd pushd export mkdir touch
    cp mv ln rm chmod rsync tar zip unzip find fd npm yarn pnpm pip pip3 pipx uv poetry apt brew go cargo gh
    glab kill pkill pgrep sleep seq true false : let local declare python python3 node ruby perl php make just
    task git-cliff commitlint cspell codespell vale markdownlint shellcheck shfmt sqlfluff rspec rails rake mix
    phpunit ctest bazel gradle mvn dotnet tox nox invoke id whoami ps lsof mapfile readarray trap alias compgen
    complete column paste join comm nproc uname hostname expr bc logger say notify-send figlet gron fx dasel
    ansible-lint hadolint actionlint playwright cypress ava tap karma bats nu watchexec entr hyperfine ast-grep
    sg semgrep tokei cloc scc loc sloccount du df http xh expand unexpand iconv dos2unix unix2dos csplit split
    patch bundle rubocop sequelize typeorm knex prisma alembic
""")
"""Known programs that never run what their arguments name."""


def judge_stranger(inquiry: Inquiry, call: Invocation) -> None:
    """
    A program of which nothing is known: SQL that it is told, a word that asks for migrations.
    """
    texts = [word for word in call.argv[1:] if " " in word]
    if re.search(r"format|lint|fluff|pars|fmt|prett", call.program):
        return
    if _DATABASE_NAME.search(call.program) or any(word in _SQL_OPTIONS for word in call.argv[1:]):
        texts += [call.stdin or ""]
        if any(changes(text) or re.match(r"(?i)\s*drop\s+all\s+objects", text) for text in texts):
            inquiry.object("db", call, "its SQL changes a database")
            return
    if call.program in _NO_MIGRATION or set(call.argv[1:]) & o.words(
        "--help -h --dry-run --check --plan --status status"
    ):
        return
    words = o.plain(call.argv[1:4])
    if any(word == "migrate" or (is_migrating_target(word) and ":" in word) for word in words[:2]) and not set(
        words
    ) & o.words("status list create new generate show test build"):
        inquiry.object("db", call, "it runs migrations, by what it is told")


def judge_guarded(inquiry: Inquiry, call: Invocation) -> None:
    """
    A program that is not known may run what its arguments name: objected to only where that would be.
    """
    for at, word in enumerate(call.argv[1:12], 1):
        name = word.rsplit("/", 1)[-1]
        if name in GUARDED and at < len(call.argv) - 1:
            before = len(inquiry.found)
            inquiry.argv(call, call.argv[at:], stdin=None)
            if len(inquiry.found) > before:
                inquiry.found[before + 1 :] = []
                return
        elif " " in word and (first := word.split(None, 1)[0].rsplit("/", 1)[-1]) in GUARDED and is_known(word):
            before = len(inquiry.found)
            try:
                inquiry.text(word)
            except ValueError:
                continue
            inquiry.found[before:] = [
                one for one in inquiry.found[before:] if one.rule == "git" or first not in {"git"}
            ][:1]


_DATABASE_NAME = re.compile(
    r"sql|(?:^|[-_])db|base$|java$|mongo|redis|cassandra|neo4j|dynamo|couch|elastic|influx|^query$"
)
_SQL_OPTIONS = o.words("-sql --sql -query --query --execute -Q --statement --cql")
_NO_MIGRATION = o.words("""
    nx ng expo storybook sb turbo biome eslint ruff tslint-to-eslint-config codemod svelte-migrate
    ember-cli-update nuxi shadcn stylelint prettier jest vitest golangci-lint flutter dart pulumi terraform
    gradle poetry tailwindcss upgrade npm yarn pnpm bun cargo cspell commitlint renovate sveltekit svelte-kit
    astro playwright webpack vite rollup swc babel lerna changeset hygen plop volta pip-tools poetry-migrate vue
    hardhat truffle forge anchor near foundry sentry-wizard sass-migrator gatsby next docusaurus
""")
GUARDED = o.words("""
    git rm rmdir psql mysql sqlite3 redis-cli alembic prisma shred unlink dropdb createdb mongosh gh hg svn
    rimraf sudo sh bash zsh dash
""")
