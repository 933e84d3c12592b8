"""
What single programs do to git, databases and files, as tables.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


GIT_READING = frozenset(
    [
        "annotate",
        "blame",
        "cat-file",
        "check-attr",
        "check-ignore",
        "cherry",
        "count-objects",
        "describe",
        "diff",
        "diff-files",
        "diff-index",
        "diff-tree",
        "for-each-ref",
        "fsck",
        "grep",
        "help",
        "log",
        "ls-files",
        "ls-remote",
        "ls-tree",
        "merge-base",
        "name-rev",
        "range-diff",
        "rev-list",
        "rev-parse",
        "shortlog",
        "show",
        "show-branch",
        "show-ref",
        "status",
        "var",
        "verify-commit",
        "version",
        "whatchanged",
    ]
)
"""Git subcommands that change nothing, whatever their arguments."""

GIT_LISTING: dict[str, frozenset[str]] = {
    "remote": frozenset({"-v", "show", "get-url"}),
    "stash": frozenset({"list", "show"}),
    "worktree": frozenset({"list"}),
    "config": frozenset({"--get", "--list", "-l", "--get-all", "--get-regexp", "--get-urlmatch", "get", "list"}),
    "reflog": frozenset({"show"}),
    "submodule": frozenset({"status", "summary"}),
    "notes": frozenset({"list", "show"}),
    "bisect": frozenset({"log", "view"}),
    "rerere": frozenset({"status", "diff"}),
    "sparse-checkout": frozenset({"list"}),
    "lfs": frozenset({"ls-files", "status", "env", "version"}),
}
"""Git subcommands that read when their first argument is one of these, or (most of them) when they have none."""

GIT_NEVER_BARE = frozenset({"stash", "config", "rerere", "sparse-checkout", "lfs"})
GIT_SELECT_OPTIONS = ("--list", "--contains", "--no-contains", "--merged", "--no-merged", "--points-at")
GIT_LIST_OPTIONS = (
    *GIT_SELECT_OPTIONS, "--show-current", "--all", "--remotes", "--verbose", "--sort", "--format", "--color", "--no-color", "--column",
    "--no-column", "--abbrev", "--no-abbrev", "--ignore-case",
)  # fmt: skip
GIT_WRITING = _words(
    "add am apply bisect branch checkout checkout-index cherry-pick clean clone commit commit-tree config fast-import fetch filter-branch "
    "gc init lfs maintenance merge mv notes prune pull push read-tree rebase reflog remote replace reset restore revert rm "
    "send-email sparse-checkout stash submodule switch symbolic-ref tag update-index update-ref worktree write-tree"
)
GIT_HARMLESS_SETTING = re.compile(
    r"(?:color\.[\w.]+|core\.quotepath|core\.pager|log\.\w+|diff\.(?:renames|noprefix|context|algorithm)|advice\.\w+|i18n\.\w+)"
    r"(?:=(?:cat|less|true|false|always|never|auto|[\w-]*)?)?", re.IGNORECASE
)  # fmt: skip
"""Settings for one command that name no program but the two pagers."""

GIT_VALUE_OPTIONS = frozenset({"-C", "--git-dir", "--work-tree", "--namespace", "--super-prefix", "--config-env"})

OTHER_VCS = frozenset({"hg", "svn", "jj", "fossil", "bzr"})
VCS_READING = _words("status st log diff info annotate blame cat show ls list help --version root summary")
FORGES = frozenset({"gh", "glab", "hub", "tea"})

MIGRATIONS: dict[str, tuple[tuple[str, ...], ...]] = {
    # program -> argument sequences that run migrations or change a database's shape
    "alembic": (("upgrade",), ("downgrade",), ("stamp",)),
    "manage.py": (("migrate",), ("flush",), ("sqlflush",), ("loaddata",)),
    "django-admin": (("migrate",), ("flush",)),
    "rails": (("db:",), ("dbconsole",)),
    "rake": (("db:",),),
    "prisma": (("migrate",), ("db",)),
    "drizzle-kit": (("push",), ("migrate",), ("drop",)),
    "knex": (("migrate:",), ("seed:run",)),
    "flyway": (("migrate",), ("clean",), ("undo",), ("baseline",), ("repair",)),
    "liquibase": (("update",), ("rollback",), ("drop-all",), ("dropAll",)),
    "supabase": (("db",), ("migration", "up"), ("migration", "repair"), ("migration", "down"), ("reset",)),
    "sqlx": (("migrate", "run"), ("migrate", "revert"), ("database",)),
    "diesel": (("migration", "run"), ("migration", "revert"), ("migration", "redo"), ("database",), ("setup",)),
    "goose": (("up",), ("down",), ("redo",), ("reset",)),
    "dbmate": (("up",), ("down",), ("migrate",), ("rollback",), ("drop",), ("create",), ("load",)),
    "migrate": (("up",), ("down",), ("drop",), ("force",), ("goto",)),
    "typeorm": (("migration:run",), ("migration:revert",), ("schema:",)),
    "sequelize": (("db:",),),
    "sequelize-cli": (("db:",),),
    "mix": (("ecto.",),),
    "artisan": (("migrate",), ("migrate:",), ("db:",)),
    "doctrine": (("migrations:",), ("schema:",)),
    "flask": (("db", "upgrade"), ("db", "downgrade"), ("db", "stamp")),
    "atlas": (("migrate", "apply"), ("schema", "apply")),
    "yoyo": (("apply",), ("rollback",), ("reapply",)),
    "aerich": (("upgrade",), ("downgrade",)),
    "phinx": (("migrate",), ("rollback",), ("seed:run",)),
    "sea-orm-cli": (("migrate",),),
    "sqitch": (("deploy",), ("revert",), ("rebase",)),
    "tern": (("migrate",),),
    "payload": (("migrate",), ("migrate:",)),
    "skeema": (("push",),),
    "ef": (("database",),),
    "dotnet": (("ef", "database"),),
    "mvn": (("liquibase:",), ("flyway:",)),
}
ONLY_ASKS = _words("--help -h --plan --check --dry-run --sql --create-only --list status --version")
ASKING = re.compile(
    r"(?:^|[:.])(?:status|version|show|list|info|log|lint|history|generate|gen\.\w+|migrations|make|create|diff|validate|current|heads|help)$"
)
"""Arguments with which a migration tool tells or writes a file, and changes no database."""
MIGRATING_SCRIPT = re.compile(
    r"(?:.*[:_./-])?(?:migrate|migration:run)(?:[:_-](?:up|down|run|deploy|latest|fresh|reset|rollback|undo|refresh|prod\w*|dev|test))?"
    r"|(?:.*[:_-])?db[:_-](?:migrate|push|reset|drop|seed|create|setup|prepare|rollback|wipe|truncate)(?:[:_-](?!status)\w*)?"
)
"""Names of package scripts and make targets that run migrations."""
SCRIPT_RUNNERS = frozenset(
    {"make", "gmake", "invoke", "inv", "just", "task", "tox", "nox", "nx", "turbo", "composer", "rush", "lerna"}
)
RUNNERS = frozenset(
    {"npx", "cargo", "pnpx", "bunx", "yarn", "pnpm", "npm", "bun", "bundle", "poetry", "uv", "pipenv", "pdm", "hatch"}
)
PACKAGE_VERBS = _words(
    "add rm remove uninstall un install i ci up update upgrade link unlink init create version publish test t why list ls info config cache "
    "pack audit outdated prune sync lock build start stop login logout fmt check clippy bench doc new"
)
"""What package managers do themselves, where others run a program of that name."""
RUNNER_VERBS = frozenset({"exec", "run", "dlx", "x", "tool", "--"})
INTERPRETERS = frozenset(
    {"python", "python3", "php", "ruby", "node", "bun", "deno", "perl", "tsx", "ts-node", "Rscript"}
)
EDITORS = frozenset({"awk", "gawk", "mawk", "sed", "vim", "vi", "ed", "ex", "expect"})
"""Programs that can run commands out of their own scripts."""
DATABASE_SHELLS = frozenset(
    {
        "psql",
        "mysql",
        "mariadb",
        "sqlite3",
        "mongosh",
        "mongo",
        "redis-cli",
        "cockroach",
        "clickhouse-client",
        "sqlcmd",
        "usql",
        "cqlsh",
        "duckdb",
    }
)
DATABASE_TOOLS = frozenset({"dropdb", "createdb", "dropuser", "createuser", "pg_restore", "mysqladmin", "mongorestore"})
SQL_CHANGES = (
    "insert",
    "update",
    "delete",
    "drop",
    "alter",
    "create",
    "truncate",
    "grant",
    "revoke",
    "replace",
    "merge",
    "vacuum",
)

DELETERS = frozenset({"rm", "rmdir", "unlink", "shred", "srm", "trash", "trash-put", "rimraf"})
WRITERS_LAST = frozenset({"cp", "mv", "ln", "install", "rsync", "scp"})
WRITERS_ALL = frozenset({"tee", "touch", "mkdir", "truncate", "chmod", "chown", "chgrp"})

REDIS_CHANGES = _words(
    "set setex setnx mset append del unlink flushall flushdb expire persist rename incr decr incrby hset hdel hmset lpush rpush lpop rpop "
    "ltrim lset sadd srem spop zadd zrem xadd xdel eval evalsha script restore migrate copy move config shutdown swapdb getset"
)
MONGO_CHANGES = re.compile(r"\b(?:drop|delete|insert|update|remove|replace|rename|create|bulkwrite|findoneand\w+)")
TARGET_OPTIONS: dict[str, tuple[str, ...]] = {
    # program -> options whose value is a path it writes
    "cp": ("-t", "--target-directory"),
    "mv": ("-t", "--target-directory"),
    "install": ("-t", "--target-directory"),
    "ln": ("-t", "--target-directory"),
    "curl": ("-o", "--output", "--output-dir"),
    "wget": ("-O", "-P", "--output-document", "--directory-prefix"),
    "tar": ("-C", "--directory"),
    "unzip": ("-d",),
    "openssl": ("-out",),
    "git": ("--output",),
    "sort": ("-o", "--output"),
}
