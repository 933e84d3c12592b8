"""
Migration tools, framework by framework: writing a migration and asking about one is allowed, running one is not.

Each table has of a program the sequences of words that run migrations or change a database's shape; what only tells or
writes a file passes.  Sources: the tools' own references (see docs/POLICY.md).
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE

RUNNING: dict[str, str] = {
    # program -> sequences, separated by commas; a word that ends in ":" or "." fits whatever begins so
    "alembic": "upgrade, downgrade, stamp",
    "manage.py": "migrate, flush, sqlflush, loaddata, reset_db, dbshell, migrate_schemas, syncdb, sqlmigrate --run, createcachetable, squashmigrations --run, reset_schema, "
    "drop_test_database, tenant_command migrate, zero, unapply, delete_all, dropdb, clearsessions --db, remove_stale_contenttypes, loadtestdata, testserver",
    "django-admin": "migrate, flush, loaddata, dbshell, createcachetable, sqlflush",
    "rails": "db:, dbconsole, db, data:migrate, app:update:db, ts:rebuild, after_party:run",
    "rake": "db:, data:migrate, multitenancy:migrate, apartment:migrate, ts:rebuild",
    "hanami": "db migrate, db drop, db create, db prepare, db reset, db rollback, db structure load",
    "sequel": "-m, -M",
    "prisma": "migrate dev, migrate deploy, migrate reset, migrate resolve, db push, db execute, db seed, db drop, migrate up, migrate down, migrate save, db:",
    "drizzle-kit": "push, migrate, drop, up, push:",
    "knex": "migrate:latest, migrate:up, migrate:down, migrate:rollback, migrate:unlock, migrate:forceunlock, seed:run, migrate:run",
    "flyway": "migrate, clean, undo, baseline, repair",
    "liquibase": "update, rollback, drop-all, dropAll, update-count, update-to-tag, updateCount, updateToTag, rollback-count, rollbackCount, rollback-to-date, "
    "rollback-one-changeset, changelog-sync, changelogSync, mark-next-changeset-ran, release-locks, releaseLocks, tag, execute-sql, executeSql, clear-checksums, clearCheckSums, update-testing-rollback, update-one-changeset, flow",
    "supabase": "db push, db reset, migration up, migration down, migration repair, db pull --apply, reset, db restore, seed, db execute, migration squash",
    "sqlx": "migrate run, migrate revert, database drop, database reset, database create, database setup, db drop, db reset, db create, db setup, mig run, mig revert",
    "diesel": "migration run, migration revert, migration redo, database setup, database reset, database drop, setup",
    "goose": "up, down, redo, reset, up-to, down-to, up-by-one, fix",
    "dbmate": "up, down, migrate, rollback, drop, create, load",
    "migrate": "up, down, drop, force, goto",
    "typeorm": "migration:run, migration:revert, schema:sync, schema:drop, query, cache:clear",
    "typeorm-ts-node-commonjs": "migration:run, migration:revert, schema:sync, schema:drop, query",
    "typeorm-ts-node-esm": "migration:run, migration:revert, schema:sync, schema:drop, query",
    "mikro-orm": "migration:up, migration:down, migration:fresh, schema:update, schema:drop, schema:fresh, schema:create, database:create, seeder:run",
    "mikro-orm-esm": "migration:up, migration:down, migration:fresh, schema:",
    "sequelize": "db:migrate, db:migrate:undo, db:migrate:undo:all, db:seed, db:seed:, db:drop, db:create, db:migrate:schema:timestamps:add",
    "umzug": "up, down",
    "sequelize-cli": "db:migrate, db:migrate:undo, db:migrate:undo:all, db:seed, db:seed:, db:drop, db:create",
    "dagster": "instance migrate",
    "grate": "*",
    "psqldef": "*",
    "mysqldef": "*",
    "sqlite3def": "*",
    "mssqldef": "*",
    "schemachange": "deploy, -f",
    "dbt": "run, build, run-operation, seed, snapshot, clone, retry",
    "peewee-migrate": "upgrade, downgrade, run, migrate",
    "pem": "migrate, rollback",
    "pg-migrations": "apply",
    "node-migrate": "up, down",
    "snow": "sql -q, object drop",
    "tortoise-cli": "upgrade",
    "arangosh": "--javascript.execute, --javascript.execute-string",
    "console": "doctrine:migrations:migrate, doctrine:migrations:execute, doctrine:migrations:rollup, doctrine:migrations:version, doctrine:schema:update, doctrine:schema:drop, doctrine:schema:create, doctrine:database:drop, "
    "doctrine:database:create, doctrine:fixtures:load, doctrine:query:sql, dbal:run-sql, d:m:m, d:m:e, d:s:u, d:s:d, d:d:d, d:d:c, d:f:l, doctrine:mi:mi, d:mi:mi, migrations:migrate, migrations:execute, hautelook:fixtures:load, doctrine:migrations:sync-metadata-storage, sylius:install, messenger:setup-transports",
    "sentry": "upgrade, cleanup, migrations run",
    "mlflow": "db upgrade",
    "prefect": "server database, database upgrade, database reset, database downgrade",
    "netbox": "migrate",
    "ckan": "db, datastore set-permissions",
    "odoo": "-u, -i, --update, --init",
    "odoo-bin": "-u, -i, --update, --init",
    "bench": "migrate, reinstall, restore, drop-site, new-site",
    "discourse": "restore",
    "synapse": "migrate",
    "temporal-sql-tool": "setup-schema, update-schema, create-database, drop-database, create",
    "temporal-cassandra-tool": "setup-schema, update-schema",
    "kratos": "migrate sql",
    "hydra": "migrate sql",
    "keto": "migrate up",
    "zitadel": "setup, init",
    "spicedb": "migrate",
    "authentik": "migrate",
    "grafana-cli": "admin data-migration",
    "sonar": "migrate",
    "conduit": "migrate",
    "mattermost": "db migrate, db reset, db downgrade",
    "gitea": "migrate, doctor --fix",
    "rover-db": "migrate",
    "cockroach-migrate": "up",
    "sqlite-utils": "drop-table, drop-view, transform, insert, upsert, insert-files, create-table, create-database, create-index, create-view, enable-fts, disable-fts, "
    "delete-rows, bulk, memory --save, rename-table, duplicate, add-column, add-foreign-key, vacuum, optimize, convert, extract, populate-fts, rebuild-fts, reset-counts, add-geometry-column, install",
    "db-migrate": "up, down, reset, db:, check --run",
    "node-pg-migrate": "up, down, redo",
    "umzug.js": "up, down",
    "migrate-mongo": "up, down",
    "postgrator": "*",
    "graphile-migrate": "migrate, watch, commit, uncommit, reset, run",
    "kysely": "migrate:latest, migrate:up, migrate:down, migrate:rollback, seed:run, migrate latest, migrate up, migrate down, migrate rollback",
    "kysely-migrate": "*",
    "payload": "migrate, migrate:down, migrate:refresh, migrate:reset, migrate:fresh",
    "keystone": "migrate deploy, prisma db push, prisma migrate",
    "medusa": "migrations run, db:migrate, db:setup, db:rollback, db:sync-links, migrations revert, seed",
    "directus": "bootstrap, database migrate:, database install, schema apply",
    "strapi": "import, transfer, configuration:restore, data:import",
    "adonis": "migration:run, migration:rollback, migration:reset, migration:refresh, migration:fresh, db:",
    "ace": "migration:run, migration:rollback, migration:reset, migration:refresh, migration:fresh, db:seed, db:wipe, db:truncate",
    "blitz": "prisma migrate, prisma db, db seed",
    "redwood": "prisma migrate, prisma db, dataMigrate up, data-migrate up",
    "rw": "prisma migrate, prisma db, dataMigrate up, data-migrate up",
    "hasura": "migrate apply, migrate delete, metadata apply, metadata clear, seed apply, deploy, migrate squash --delete-source",
    "wrangler": "d1 migrations apply, d1 execute, d1 delete, d1 time-travel restore, d1 create, deploy, publish, kv key put, kv key delete, r2 object delete",
    "mix": "ecto.migrate, ecto.rollback, ecto.reset, ecto.drop, ecto.setup, ecto.create, ecto.load, ash.migrate, ash.reset, ash.setup, ash_postgres.migrate, ash_postgres.drop, ash_postgres.create, "
    "ash_postgres.rollback, ash.tear_down, triplex.migrate, ecto.migrate_all, event_store.drop, event_store.init, event_store.create",
    "artisan": "migrate, migrate:fresh, migrate:refresh, migrate:reset, migrate:rollback, migrate:install, db:seed, db:wipe, db, tenants:migrate, schema:dump --prune, module:migrate, tinker-db",
    "doctrine": "migrations:migrate, migrations:execute, migrations:rollup, migrations:version, schema:update, schema:drop, schema:create, orm:schema-tool:, dbal:run-sql, database:drop, database:create, fixtures:load, query:sql, migrations:sync-metadata-storage",
    "phinx": "migrate, rollback, seed:run, breakpoint",
    "phalcon": "migration run",
    "spark": "migrate, migrate:refresh, migrate:rollback, db:seed, db:create",
    "yii": "migrate, migrate/up, migrate/down, migrate/redo, migrate/fresh, migrate/to, migrate/mark, fixture/load",
    "cake": "migrations migrate, migrations rollback, migrations seed, migrations mark_migrated, schema_cache",
    "drush": "updatedb, updb, sql-drop, sql:drop, sql-query, sql:query, sqlq, site:install, si, entity:updates, sql-cli, sql:cli, sql-create, sql:create, config:import, cim",
    "wp": "db, search-replace, core update-db, site empty, site delete, core install",
    "magento": "setup:upgrade, setup:db-schema:upgrade, setup:db-data:upgrade, setup:rollback, setup:uninstall, setup:install",
    "occ": "db:, upgrade, maintenance:repair, maintenance:install",
    "craft": "migrate, migrate/all, migrate/up, up, db/restore, db/drop-all-tables, db/drop-table-prefix",
    "flask": "db upgrade, db downgrade, db stamp, db-upgrade, init-db, drop-db, create-db",
    "quart": "db upgrade, db downgrade, db stamp",
    "litestar": "database upgrade, database downgrade, database stamp, database drop-all, database stamp-revision",
    "superset": "db upgrade, db downgrade, init",
    "airflow": "db, resetdb, initdb, upgradedb",
    "aerich": "upgrade, downgrade, init-db",
    "tortoise": "upgrade, downgrade, migrate",
    "piccolo": "migrations forwards, migrations backwards, schema, tables drop, tables create, fixtures load",
    "yoyo": "apply, rollback, reapply, mark, unmark, break-lock, develop",
    "yoyo-migrate": "apply, rollback, reapply, mark, unmark",
    "pw_migrate": "migrate, rollback, merge",
    "peewee": "migrate",
    "masonite": "migrate, migrate:rollback, migrate:refresh, migrate:reset, seed:run",
    "orator": "migrate, migrate:rollback, migrate:reset, migrate:refresh, db:seed",
    "caribou": "upgrade, downgrade",
    "nomad-migrate": "apply",
    "mayim": "migrate",
    "cotta": "*",
    "edgedb": "migrate, migration apply, query, database wipe, database drop, branch wipe, branch drop, instance destroy, restore, dump-restore",
    "gel": "migrate, migration apply, query, database wipe, database drop, branch wipe, branch drop, instance destroy, restore",
    "atlas": "migrate apply, migrate down, schema apply, schema clean, migrate set",
    "skeema": "push",
    "sqitch": "deploy, revert, rebase, checkout, rework --deploy",
    "tern": "migrate",
    "bytebase": "*",
    "schemahero": "apply",
    "pgroll": "start, complete, rollback, migrate, init",
    "reshape": "migrate, migration start, migration complete, migration abort",
    "refinery": "migrate",
    "sea-orm-cli": "migrate, migrate up, migrate down, migrate fresh, migrate refresh, migrate reset",
    "barrel": "migrate",
    "cargo-sqlx": "sqlx migrate run, sqlx database",
    "butane": "migrate, rollback, clear data, unmigrate",
    "rambler": "apply, reverse",
    "gormigrate": "*",
    "bun": "db migrate, db rollback",
    "soda": "migrate, drop, reset, create",
    "buffalo": "pop migrate, pop drop, pop reset, pop create, db migrate, db drop, db reset, task db:",
    "sql-migrate": "up, down, redo, skip",
    "darwin": "migrate",
    "mgrt": "run, up",
    "shmig": "up, down, migrate, rollback, pending --apply",
    "evolve": "migrate, erase, repair",
    "ef": "database update, database drop",
    "dotnet-ef": "database update, database drop",
    "fluentmigrator": "*",
    "dotnet-fm": "migrate, rollback",
    "grate": "*",
    "roundhouse": "*",
    "rh": "*",
    "dbup": "*",
    "sqlpackage": "*",
    "ravendb": "migrate",
    "play": "evolutions apply",
    "mybatis": "up, down, pending, version",
    "jooq": "migrate",
    "lein": "migratus, ragtime, migrate, rollback, joplin",
    "refinerycms": "migrate",
    "crystal-micrate": "up, down",
    "micrate": "up, down, redo, dbversion --set",
    "lucky": "db.",
    "vapor": "migrate",
    "stack": "exec migrate",
    "persistent": "migrate",
    "codd": "up, add --apply",
    "dbdeployer": "deploy, delete",
    "dbdeploy": "*",
    "nx": "migrate-db, db:migrate",
    "snaplet": "restore, seed",
    "pscale": "deploy-request, branch delete, database delete, shell, branch promote, database create",
    "turso": "db destroy, db create, db import, group destroy",
    "neonctl": "branches delete, projects delete, databases delete, branches reset, databases create",
    "neon": "branches delete, projects delete, databases delete, branches reset",
    "fauna": "schema push, database delete, delete-database, eval, schema commit",
    "amplify": "push, delete",
    "convex": "deploy, import, run",
    "planetscale": "*",
    "pgmigrate": "migrate, clean, baseline",
    "pg-migrate": "up, down, migrate",
    "rel": "migrate, rollback",
    "clickhouse-migrations": "migrate",
    "cassandra-migrate": "migrate, reset",
    "cqlmigrate": "*",
    "elasticsearch-migrate": "up",
    "neo4j-migrations": "apply, clean, repair, run",
    "neo4j-admin": "database, import, load, restore",
    "mongock": "migrate, undo",
    "mongrate": "up, down, up-all",
    "evolutions": "apply",
    "schema": "apply, push",
    "heroku": "pg:reset, pg:push, pg:pull, pg:restore, pg:backups:restore, pg:copy, pg:promote, pg:psql, pg:killall, pg:backups restore, addons:destroy",
    "fly": "postgres, pg, mpg destroy, volumes destroy, apps destroy, deploy, machine destroy",
    "flyctl": "postgres, pg, volumes destroy, apps destroy, deploy, machine destroy",
    "railway": "down, delete, up, volume delete",
    "firebase": "firestore:delete, database:remove, database:set, database:update, database:push, deploy, firestore:databases:delete, auth:import",
    "gcloud": "sql, spanner, firestore import, firestore databases delete, bigtable, datastore, alloydb",
    "aws": "rds, dynamodb, redshift, docdb, neptune, elasticache, rds-data",
    "az": "sql, postgres, mysql, cosmosdb, redis, mariadb",
    "doctl": "databases delete, databases create, databases db, databases user, databases migrate",
}
_ASKING_VERBS = re.compile(r"(?:describe|list|get|show|view|status|info|download|ls|versions|help)[\w-]*")
"""Of the clouds' own clients: subcommands that tell."""
_CLOUDS = o.words("gcloud aws az")

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
    if not TARGETS.fullmatch(name):
        return False
    match = _HARMLESS_TARGET.search(name)
    return match is None or bool(re.search(r"(?:db|database)[:_.-]create|create[:_.-](?:db|database)", name))


def migrates(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Judge a migration tool.
    """
    program = call.program
    if program in o.words("fly flyctl heroku railway gcloud render eb"):
        for text in o.options(call.argv[1:], "-C", "--command"):
            inquiry.elsewhere, outer = True, inquiry.elsewhere
            try:
                inquiry.text(text)
            finally:
                inquiry.elsewhere = outer
        if call.argv[1:2] in (("run",), ("run:detached",)):
            rest = call.argv[
                o.after_options(call.argv, o.words("-a --app -s --size --service --environment"), start=2) :
            ]
            return inquiry.argv(call, rest, elsewhere=program != "railway") if rest else HOLE
    if program in _CLOUDS:
        return _cloud(inquiry, call)
    found = running(program, call.argv[1:])
    if found is None:
        return None
    inquiry.object("db", call, f"`{program} {found}`".rstrip() + " runs migrations or changes a database")
    return HOLE


def running(program: str, arguments: tuple[str, ...]) -> str | None:
    """
    The words in *arguments* with which *program* runs migrations, or None when it only tells or writes files.
    """
    table = RUNNING.get(program)
    if table is None:
        return None
    words = o.plain(
        arguments,
        o.words("""
            -c -x -n --config --name --settings --env -e --context --app -A --prefix --schema -d --dataSource
            --cwd --project --database-url --url -f --file -r --repo --path --source -p
        """),
    )
    if set(arguments) & _ASKS:
        return None
    for sequence in table.split(", "):
        wanted = sequence.split()
        if wanted == ["*"] and set(words[:1]) & _ASKING_NEXT:
            return None
        if wanted == ["*"]:
            return ""
        among = words if not any(word.startswith("-") for word in wanted) else list(arguments)
        anywhere = program in _ANYWHERE or wanted[0][0] == "-" or re.search(r"[:.]", wanted[0])
        given = _find(among, wanted, 6 if anywhere else 1)
        if given is None:
            continue
        last, following = among[given + len(wanted) - 1], among[given + len(wanted) : given + len(wanted) + 1]
        if wanted[-1][-1] in ":." and _PART.search(last) and not _CREATES_DATABASE.search(last):
            continue
        if set(following) & _ASKING_NEXT:
            continue
        return " ".join([*wanted[:-1], last])
    return None


_ANYWHERE = o.words("""
    craft manage.py goose migrate alembic dbmate tern sql-migrate micrate rambler heroku flask mix rails rake
    artisan lein shmig flyway sequelize mikro-orm
""")
_ASKING_NEXT = o.words("""
    status list show info help history log diff generate create new plan print lint validate
""")


def _find(words: list[str], wanted: list[str], places: int) -> int | None:
    for at in range(min(len(words) - len(wanted) + 1, places)):
        if all(_fits(words[at + i], want) for i, want in enumerate(wanted)):
            return at
    return None


def _fits(word: str, wanted: str) -> bool:
    return word == wanted or (wanted[-1] in ":." and word.startswith(wanted))


def _cloud(inquiry: Inquiry, call: Invocation) -> str | None:
    words = o.plain(
        call.argv[1:],
        o.words("""
            --region --profile --project --format --output --query --resource-group -g -n --name --sql --account
        """),
    )
    services = RUNNING[call.program].split(", ")
    if not any(_find(words, service.split(), 1) == 0 for service in services):
        return None
    verb = (
        words[-1]
        if call.program == "gcloud"
        else words[2 if call.program == "az" and len(words) > 2 else 1]
        if len(words) > 1
        else ""
    )
    if not any(_ASKING_VERBS.fullmatch(word) for word in [verb, *words[1:4]]):
        inquiry.object("db", call, f"`{call.program} {' '.join(words[:3])}` may change a database")
        return HOLE
    return None


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(RUNNING, migrates),
}
