"""
Migration tools, framework by framework: writing a migration and asking about one is allowed, running one is not.

Each table has of a program the sequences of words that run migrations or change a database's shape; what only tells or
writes a file passes.  Sources: the tools' own references (see docs/POLICY.md).
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.migrators import RUNNING
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE

_ASKING_VERBS = re.compile(r"(?:describe|list|get|show|view|status|info|download|ls|versions|help)[\w-]*")
"""Of the clouds' own clients: subcommands that tell."""
_CLOUDS = o.words("gcloud aws az")
_HOSTS = o.words("fly flyctl heroku railway gcloud render eb")
"""Where an application runs: their clients run commands there."""
_ASKS = o.words("""
    --help -h --plan --check --dry-run --dryRun --sql --create-only --list status --version --noop --pretend
    --explain --show-sql --simulate --dump-sql
""")
_PART = re.compile(
    r"""
    (?:^|[:./_-])(?:status|version|show|list|info|log|lint|history|generate|gen\.\w+|migrations|make|create
    |diff|validate|current|heads|help|new|add|pending|print|check|routes|structure:dump|schema:dump|dump
    |abort_if_pending_migrations|version|draft|inspect|pull|introspect|format|studio|check_pending
    |up_to_date|uptodate|is_up_to_date)(?:$|[:](?:list|status))
    """,
    re.VERBOSE,
)
"""Words with which a migration tool tells or writes a file, and changes no database."""
_CREATES_DATABASE = re.compile(
    r"""
    (?:^|\.)(?:ecto\.create|db:create\w*|database:create|ash_postgres\.create|event_store\.create)$
    |^(?:create|createdb)$
    """,
    re.VERBOSE,
)
_VALUED = o.words("""
    -c -x -n --config --name --settings --env -e --context --app -A --prefix --schema -d --dataSource --cwd
    --project --database-url --url -f --file -r --repo --path --source -p
""")
_ANYWHERE = o.words("""
    craft manage.py goose migrate alembic dbmate tern sql-migrate micrate rambler heroku flask mix rails rake
    artisan pgmigrate lein shmig flyway sequelize mikro-orm
""")
"""Programs that have words of their own before those that run migrations."""
_ASKING_NEXT = o.words("""
    status list show info help history log diff generate create new plan print lint validate
""")
"""Words behind those that make them harmless."""


def migrates(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Judge a migration tool.
    """
    program, argv = call.program, call.argv
    if program in _HOSTS:
        for text in o.options(argv[1:], "-C", "--command"):
            with inquiry.away():
                inquiry.text(text)
        if program != "gcloud" and argv[1:2] in (("run",), ("run:detached",)):
            rest = argv[o.after_options(argv, o.words("-a --app -s --size --service --environment"), start=2) :]
            return inquiry.argv(call, rest, elsewhere=program != "railway") if rest else HOLE
    if program in _CLOUDS:
        return _cloud(inquiry, call)
    found = running(program, argv[1:])
    if found is None:
        return None
    inquiry.object("db", call, f"`{program} {found}`".rstrip() + " runs migrations or changes a database")
    return HOLE


def running(program: str, arguments: tuple[str, ...]) -> str | None:
    """
    The words in *arguments* with which *program* runs migrations, or None when it only tells or writes files.
    """
    sequences = RUNNING.get(program)
    if sequences is None or set(arguments) & _ASKS:
        return None
    words = o.plain(arguments, _VALUED)
    for wanted in sequences:
        if wanted == ("*",):
            return None if set(words[:1]) & _ASKING_NEXT else ""
        among = list(arguments) if any(word.startswith("-") for word in wanted) else words
        anywhere = program in _ANYWHERE or wanted[0].startswith("-") or ":" in wanted[0] or "." in wanted[0]
        given = _find(among, wanted, 6 if anywhere else 1)
        if given is None:
            continue
        end = given + len(wanted)
        last, following = among[end - 1], among[end : end + 1]
        if wanted[-1][-1] in ":." and _PART.search(last) and not _CREATES_DATABASE.search(last):
            continue
        if set(following) & _ASKING_NEXT:
            continue
        return " ".join([*wanted[:-1], last])
    return None


def _find(words: list[str], wanted: tuple[str, ...], places: int) -> int | None:
    """
    At which of the first *places* of *words* the sequence *wanted* begins.
    """
    for at in range(min(len(words) - len(wanted) + 1, places)):
        if all(_fits(words[at + i], want) for i, want in enumerate(wanted)):
            return at
    return None


def _fits(word: str, wanted: str) -> bool:
    return word == wanted or (wanted[-1] in ":." and word.startswith(wanted))


def _cloud(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    A cloud's own client, when it speaks of databases.
    """
    words = o.plain(
        call.argv[1:],
        o.words("""
            --region --profile --project --format --output --query --resource-group -g -n --name --sql --account
        """),
    )
    if not any(_find(words, service, 1) == 0 for service in RUNNING[call.program]):
        return None
    verbs = [*words[1:4], *(words[-1:] if call.program == "gcloud" else [])]
    if not any(_ASKING_VERBS.fullmatch(word) for word in verbs):
        inquiry.object("db", call, f"`{call.program} {' '.join(words[:3])}` may change a database")
        return HOLE
    return None


HANDLERS: dict[str, Handler] = dict.fromkeys(RUNNING, migrates)
