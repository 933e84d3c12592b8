"""
Programs of which nothing is known: SQL that they are told, and guarded programs among their arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrd.policy.code.sql import changes
from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.frameworks import judge_release
from orchestrd.policy.programs.publishing import judge_publishing
from orchestrd.policy.programs.verbs import judge_words
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import is_known
from orchestrd.policy.shell.nodes import Unreadable

UNGUARDED = o.words("""
    echo printf cat ls grep egrep fgrep rg ag head tail sort uniq wc cut tr sed awk test [ jq yq diff cmp file
    stat tree less more bat nl tac rev fold fmt tee xxd od strings basename dirname realpath readlink date cal
    which whereis type man info help tldr apropos whatis hash pytest jest vitest mocha ruff mypy eslint prettier
    tsc black isort flake8 pylint docker podman kubectl curl wget read return exit cd pushd export mkdir touch
    cp mv ln rm chmod rsync tar zip unzip find fd npm yarn pnpm pip pip3 pipx uv poetry apt brew go cargo gh
    glab kill pkill pgrep sleep seq true false : let local declare python python3 node ruby perl php make just
    task git-cliff commitlint cspell codespell vale markdownlint shellcheck shfmt sqlfluff rspec rails rake mix
    phpunit ctest bazel gradle mvn dotnet tox nox invoke id whoami ps lsof mapfile readarray trap alias compgen
    complete column paste join comm nproc uname hostname expr bc logger say notify-send figlet cowsay cowthink lolcat toilet gron fx dasel
    ansible-lint hadolint actionlint playwright cypress ava tap karma bats nu watchexec entr hyperfine ast-grep
    sg semgrep tokei cloc scc loc sloccount du df http xh expand unexpand iconv dos2unix unix2dos csplit split
    patch bundle rubocop sequelize typeorm knex prisma alembic
""")
"""Known programs that never run what their arguments name."""
_DATABASE_NAME = re.compile(
    r"sql|(?:^|[-_])db|db$|base$|java$|mongo|redis|cassandra|neo4j|dynamo|couch|elastic|influx|^query$"
)
_SQL_OPTION = re.compile(
    r"-[ceqsQxE]|--?(?:[\w-]+-)?(?:sql|query|exec(?:ute)?|commands?|cmd|statements?|stmt|cql|eval|run)", re.IGNORECASE
)
"""Options whose value may be a command, and so SQL: what says anything in words is none of them."""
_SQL_VERBS = o.words("sql query exec execute shell")
TOLD = o.words("java dolt sqlite-utils databricks")
"""Programs that are known for something else, and may be told SQL."""
GUARDED = o.words("""
    git rm rmdir psql mysql sqlite3 redis-cli alembic prisma shred unlink dropdb createdb mongosh gh hg svn
    rimraf sudo sh bash zsh dash
""")
_READS_TEXTS = re.compile(r"format|lint|fluff|pars|fmt|prett|grep|search|find|^ack$|check|glot|highlight")
_DROPS_ALL = re.compile(r"\s*drop\s+all\s+objects", re.IGNORECASE)
_NO_SQL = re.compile(
    r"\s*create\s(?![^;]*(?:\(|\bas\b))(?!(?:\s*\w+){0,3}\s*(?:database|schema|user|role|extension)\b)", re.IGNORECASE
)
"""``create view template``: what makes a table or a view says of what."""
_MAX_WORDS = 12


def judge_stranger(inquiry: Inquiry, call: Invocation) -> None:
    """
    A program of which nothing is known: SQL that it is told, a word that asks for migrations.
    """
    argv = call.argv[1:]
    if _READS_TEXTS.search(call.program):
        return
    if any((changes(text) and not _NO_SQL.match(text)) or _DROPS_ALL.match(text) for text in _sql_in(call)):
        inquiry.object("db", call, "its SQL changes a database")
        return
    if judge_words(inquiry, call, call.program, argv):
        return
    judge_publishing(inquiry, call)
    if "/" in call.argv[0] and argv[:1] in (("eval",), ("rpc",)):
        for text in argv[1:2]:
            judge_release(inquiry, call, text)


def _sql_in(call: Invocation) -> Iterator[str]:
    """
    What in *call* may be SQL: anything for a program with a database's name, and what options and verbs for it are given.
    """
    argv = call.argv[1:]
    whole = _DATABASE_NAME.search(call.program) or not _SQL_VERBS.isdisjoint(o.plain(argv[:2]))
    before = ""
    for word in argv:
        name, sign, value = word.partition("=")
        if sign and _SQL_OPTION.fullmatch(name):
            yield value
        elif " " in word and (whole or _SQL_OPTION.fullmatch(before)):
            yield word
        before = word
    if whole and call.stdin:
        yield call.stdin


def judge_guarded(inquiry: Inquiry, call: Invocation) -> None:
    """
    A program that is not known may run what its arguments name: objected to only where that would be.
    """
    for at, word in enumerate(call.argv[1:_MAX_WORDS], 1):
        before = len(inquiry.found)
        if word.rsplit("/", 1)[-1] in GUARDED and at < len(call.argv) - 1:
            inquiry.argv(call, call.argv[at:], stdin=None)
            if len(inquiry.found) > before:
                inquiry.found[before + 1 :] = []
                return
        elif " " in word.strip() and is_known(word):
            first = word.split(None, 1)[0].rsplit("/", 1)[-1]
            if first in GUARDED:
                _judge_text(inquiry, word, first)


def _judge_text(inquiry: Inquiry, text: str, first: str) -> None:
    """
    An argument that would be a command line; when it only begins with the word git, nothing but git counts.
    """
    before = len(inquiry.found)
    try:
        inquiry.text(text)
    except Unreadable:
        return
    found = [one for one in inquiry.found[before:] if one.rule == "git" or first != "git"]
    inquiry.found[before:] = found[:1]
