"""
What single programs do to git, databases and files, as tables.
"""

from __future__ import annotations

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
    "branch": frozenset({"--list", "-l", "-a", "-r", "-v", "-vv", "--show-current", "--contains", "--merged"}),
    "tag": frozenset({"--list", "-l", "-n", "--contains", "--points-at"}),
    "remote": frozenset({"-v", "show", "get-url"}),
    "stash": frozenset({"list", "show"}),
    "worktree": frozenset({"list"}),
    "config": frozenset({"--get", "--list", "-l", "--get-all", "--get-regexp"}),
    "reflog": frozenset({"show"}),
    "submodule": frozenset({"status", "summary"}),
    "notes": frozenset({"list", "show"}),
    "bisect": frozenset({"log", "view"}),
}
"""Git subcommands that read when their first argument is one of these, or (all but config) when they have none."""

GIT_VALUE_OPTIONS = frozenset({"-C", "--git-dir", "--work-tree", "--namespace", "--super-prefix", "--config-env"})

OTHER_VCS = frozenset({"hg", "svn", "jj", "fossil", "bzr"})
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
    "artisan": (("migrate",), ("db:",)),
    "doctrine": (("migrations:",), ("schema:",)),
    "flask": (("db", "upgrade"), ("db", "downgrade"), ("db", "stamp")),
    "atlas": (("migrate", "apply"), ("schema", "apply")),
    "yoyo": (("apply",), ("rollback",), ("reapply",)),
}
RUNNERS = frozenset(
    {"npx", "pnpx", "bunx", "yarn", "pnpm", "npm", "bun", "bundle", "poetry", "uv", "pipenv", "pdm", "hatch"}
)
RUNNER_VERBS = frozenset({"exec", "run", "dlx", "x", "tool", "--"})
INTERPRETERS = frozenset({"python", "python3", "php", "ruby", "node", "bun", "deno"})
DATABASE_SHELLS = frozenset(
    {"psql", "mysql", "mariadb", "sqlite3", "mongosh", "mongo", "redis-cli", "cockroach", "clickhouse-client", "sqlcmd"}
)
DATABASE_TOOLS = frozenset({"dropdb", "createdb", "pg_restore", "mysqladmin", "mongorestore"})
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
