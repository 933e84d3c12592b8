"""
Names of package scripts, make targets and tasks that say what these do.
"""

from __future__ import annotations

import re

TARGETS = re.compile(
    r"""
    (?:[\w@/.-]*[:_./-])?(?:db[:_.-]?)?(?:migrate|migration[:_-]?run|migrations?[:_-](?:run|up|down|apply
    |deploy|revert|rollback)|run[_:-]?migrations?|apply[_:-]?migrations?|migrate[_:-]?db|upgrade[_:-]?db
    |rollback[_:-]?(?:db|migrations?))(?:[:_.-](?:up|down|run|deploy|latest|fresh|reset|rollback|undo
    |refresh|prod\w*|dev\w*|test|local|staging|all|apply|revert|redo|force|head|one|last))*
    |(?:[\w@/.-]*[:_./-])?(?:db|database|schema|ecto|prisma|drizzle|alembic|knex|typeorm|sequelize|supabase
    |pg|postgres|sql)[:_.-](?:migrate|push|reset|drop|seed|create|setup|prepare|rollback|wipe|truncate
    |upgrade|downgrade|nuke|clean|destroy|init|restore|recreate|load|sync|up|down|deploy|apply|flush
    |rebuild|refresh|revert|update)(?:[:_.-](?!status|check|list|file|types?|client|docs|test$)\w+)*
    |(?:reset|drop|nuke|wipe|seed|setup|create|recreate|truncate|flush|prepare|restore
    |init)[:_.-](?:the[:_-])?(?:db|database|schema|dev[:_-]?db|test[:_-]?db)(?:[:_.-]\w+)*|dropdb|createdb
    |migrateup|migratedown|migrate-?(?:up|down)|syncdb|resetdb|initdb
    """,
    re.VERBOSE,
)
"""Names of package scripts and make targets that run migrations or change a database."""
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""Where a word begins in a name like ``dropDb``."""
_HARMLESS_TARGET = re.compile(
    r"""
    (?:^|[:_.-])(?:status|check|list|lint|generate|gen|create|new|make|diff|validate|types?|docs?|test
    |tests|help|dry|dry[-_]run|show|info|history|typecheck|studio|format|pull|dump|backup|client|introspect
    |console)(?:$|[:_.-])
    """,
    re.VERBOSE,
)


def is_migrating_target(name: str) -> bool:
    """
    True when a script or target of that *name* runs migrations or changes a database, as far as its name says.
    """
    name = _HUMP.sub("-", name).lower() if _HUMP.search(name) else name
    if not TARGETS.fullmatch(name):
        return False
    match = _HARMLESS_TARGET.search(name)
    return match is None or bool(re.search(r"(?:db|database)[:_.-]create|create[:_.-](?:db|database)", name))
