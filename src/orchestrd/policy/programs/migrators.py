"""
Migration tools, framework by framework, and the words with which each runs migrations or changes a database's shape.

What only tells or writes a file is not among them.  Sources: the tools' own references (see docs/POLICY.md).
"""

from __future__ import annotations

from orchestrd.policy.programs import options as o

RUNNING = {
    program: tuple(tuple(sequence.split()) for sequence in sequences)
    for program, sequences in o.rows("""
        alembic: upgrade, downgrade, stamp
        manage.py: migrate, flush, sqlflush, loaddata, reset_db, dbshell, migrate_schemas, syncdb,
            sqlmigrate --run, createcachetable, squashmigrations --run, reset_schema, drop_test_database,
            tenant_command migrate, zero, unapply, delete_all, dropdb, clearsessions --db,
            remove_stale_contenttypes, loadtestdata, testserver, createsuperuser,
            changepassword
        django-admin: migrate, flush, loaddata, dbshell, createcachetable, sqlflush, createsuperuser,
            changepassword
        rails: db:, dbconsole, db, data:migrate, app:update:db, ts:rebuild, after_party:run
        rake: db:, data:migrate, multitenancy:migrate, apartment:migrate, ts:rebuild
        hanami: db migrate, db drop, db create, db prepare, db reset, db rollback, db structure load
        sequel: -m, -M
        prisma: migrate dev, migrate deploy, migrate reset, migrate resolve, db push, db execute, db seed,
            db drop, migrate up, migrate down, migrate save, db:
        drizzle-kit: push, migrate, drop, up, push:
        knex: migrate:latest, migrate:up, migrate:down, migrate:rollback, migrate:unlock, migrate:forceunlock,
            seed:run, migrate:run
        flyway: migrate, clean, undo, baseline, repair
        liquibase: update, rollback, drop-all, dropAll, update-count, update-to-tag, updateCount, updateToTag,
            rollback-count, rollbackCount, rollback-to-date, rollback-one-changeset, changelog-sync,
            changelogSync, mark-next-changeset-ran, release-locks, releaseLocks, tag, execute-sql, executeSql,
            clear-checksums, clearCheckSums, update-testing-rollback, update-one-changeset, flow
        supabase: db push, db reset, migration up, migration down, migration repair, db pull --apply, reset,
            db restore, seed, db execute, migration squash,
            db remote commit, db remote set
        sqlx: migrate run, migrate revert, database drop, database reset, database create, database setup,
            db drop, db reset, db create, db setup, mig run, mig revert
        diesel: migration run, migration revert, migration redo, database setup, database reset,
            database drop, setup
        goose: up, down, redo, reset, up-to, down-to, up-by-one, fix
        dbmate: up, down, migrate, rollback, drop, create, load
        migrate: up, down, drop, force, goto
        typeorm: migration:run, migration:revert, schema:sync, schema:drop, query, cache:clear
        typeorm-ts-node-commonjs typeorm-ts-node-esm: migration:run, migration:revert, schema:sync,
            schema:drop, query
        mikro-orm: migration:up, migration:down, migration:fresh, schema:update, schema:drop, schema:fresh,
            schema:create, database:create, seeder:run
        mikro-orm-esm: migration:up, migration:down, migration:fresh, schema:
        sequelize: db:migrate, db:migrate:undo, db:migrate:undo:all, db:seed, db:seed:, db:drop, db:create,
            db:migrate:schema:timestamps:add
        umzug node-migrate umzug.js migrate-mongo crystal-micrate: up, down
        sequelize-cli: db:migrate, db:migrate:undo, db:migrate:undo:all, db:seed, db:seed:, db:drop,
            db:create
        dagster: instance migrate
        grate psqldef mysqldef sqlite3def mssqldef postgrator kysely-migrate cotta bytebase gormigrate: *
        fluentmigrator roundhouse rh dbup sqlpackage dbdeploy planetscale cqlmigrate: *
        schemachange: deploy, -f
        dbt: run, build, run-operation, seed, snapshot, clone, retry
        peewee-migrate: upgrade, downgrade, run, migrate
        pem dotnet-fm rel: migrate, rollback
        pg-migrations nomad-migrate schemahero evolutions: apply
        snow: sql -q, object drop
        tortoise-cli: upgrade
        arangosh: --javascript.execute, --javascript.execute-string
        console: doctrine:migrations:migrate, doctrine:migrations:execute, doctrine:migrations:rollup,
            doctrine:migrations:version, doctrine:schema:update, doctrine:schema:drop, doctrine:schema:create,
            doctrine:database:drop, doctrine:database:create, doctrine:fixtures:load, doctrine:query:sql,
            dbal:run-sql, d:m:m, d:m:e, d:s:u, d:s:d, d:d:d, d:d:c, d:f:l, doctrine:mi:mi, d:mi:mi,
            migrations:migrate, migrations:execute, hautelook:fixtures:load,
            doctrine:migrations:sync-metadata-storage, sylius:install, messenger:setup-transports
        sentry: upgrade, cleanup, migrations run
        mlflow: db upgrade
        prefect: server database, database upgrade, database reset, database downgrade
        netbox synapse spicedb authentik sonar rover-db peewee mayim tern refinery barrel darwin: migrate
        ravendb jooq refinerycms persistent clickhouse-migrations: migrate
        conduit aqueduct: db upgrade, db generate --apply, migrate
        vapor: migrate, run migrate
        sqlmesh: apply, run, --auto-apply, migrate, rollback
        encore: db reset
        keystone-manage glance-manage cinder-manage nova-manage heat-manage: db_sync, db sync, api_db sync
        movine: up, down, redo, fix
        pgschema pg-schema-diff: apply
        ridgepole: --apply, -a
        zenstack: db push, db execute, migrate dev, migrate deploy, migrate reset
        prisma-client-py: db push, db execute, db seed, migrate dev, migrate deploy, migrate reset
        triplit: schema push
        instant-cli: push
        xata: schema upload, push
        typo3: database:updateschema, database:import, upgrade:run
        oil: refine migrate, r migrate
        couchbase-cli: bucket-delete, bucket-flush, bucket-create, collection-manage
        mariadb-admin: drop, create, flush-tables, reload, shutdown, kill, password
        nats: stream purge, stream rm, stream delete, stream rmm, consumer rm, kv del, kv purge, kv rm, object rm
        surrealkit: sync, apply, seed
        ley: up, down
        ddev: import-db, snapshot restore, delete
        lando: db-import, destroy
        Update-Database update-database Drop-Database drop-database: *
        postgres-migrations: *
        ckan: db, datastore set-permissions
        odoo odoo-bin: -u, -i, --update, --init
        bench: migrate, reinstall, restore, drop-site, new-site
        discourse: restore
        temporal-sql-tool: setup-schema, update-schema, create-database, drop-database, create
        temporal-cassandra-tool: setup-schema, update-schema
        kratos hydra: migrate sql
        keto: migrate up
        zitadel: setup, init
        grafana-cli: admin data-migration
        mattermost: db migrate, db reset, db downgrade
        gitea: migrate, doctor --fix
        cockroach-migrate elasticsearch-migrate: up
        sqlite-utils: drop-table, drop-view, transform, insert, upsert, insert-files, create-table,
            create-database, create-index, create-view, enable-fts, disable-fts, delete-rows, bulk,
            memory --save, rename-table, duplicate, add-column, add-foreign-key, vacuum, optimize, convert,
            extract, populate-fts, rebuild-fts, reset-counts, add-geometry-column, install
        db-migrate: up, down, reset, db:, check --run
        node-pg-migrate: up, down, redo
        graphile-migrate: migrate, watch, commit, uncommit, reset, run
        kysely: migrate:latest, migrate:up, migrate:down, migrate:rollback, seed:run, migrate latest,
            migrate up, migrate down, migrate rollback
        payload: migrate, migrate:down, migrate:refresh, migrate:reset, migrate:fresh
        keystone: migrate deploy, prisma db push, prisma migrate
        medusa: migrations run, db:migrate, db:setup, db:rollback, db:sync-links, migrations revert, seed
        directus: bootstrap, database migrate:, database install, schema apply
        strapi: import, transfer, configuration:restore, data:import
        adonis: migration:run, migration:rollback, migration:reset, migration:refresh, migration:fresh, db:
        ace: migration:run, migration:rollback, migration:reset, migration:refresh, migration:fresh, db:seed,
            db:wipe, db:truncate
        blitz: prisma migrate, prisma db, db seed
        redwood rw: prisma migrate, prisma db, dataMigrate up, data-migrate up
        hasura: migrate apply, migrate delete, metadata apply, metadata clear, seed apply, deploy,
            migrate squash --delete-source
        wrangler: d1 migrations apply, d1 execute, d1 delete, d1 time-travel restore, d1 create, deploy,
            publish, kv key put, kv key delete, r2 object delete
        mix: ecto.migrate, ecto.rollback, ecto.reset, ecto.drop, ecto.setup, ecto.create, ecto.load,
            ash.migrate, ash.reset, ash.setup, ash_postgres.migrate, ash_postgres.drop, ash_postgres.create,
            ash_postgres.rollback, ash.tear_down, triplex.migrate, ecto.migrate_all, event_store.drop,
            event_store.init, event_store.create
        artisan: migrate, migrate:fresh, migrate:refresh, migrate:reset, migrate:rollback, migrate:install,
            db:seed, db:wipe, db, tenants:migrate, schema:dump --prune, module:migrate, tinker-db
        doctrine: migrations:migrate, migrations:execute, migrations:rollup, migrations:version,
            schema:update, schema:drop, schema:create, orm:schema-tool:, dbal:run-sql, database:drop,
            database:create, fixtures:load, query:sql, migrations:sync-metadata-storage
        phinx: migrate, rollback, seed:run, breakpoint
        phalcon: migration run
        spark: migrate, migrate:refresh, migrate:rollback, db:seed, db:create
        yii: migrate, migrate/up, migrate/down, migrate/redo, migrate/fresh, migrate/to, migrate/mark,
            fixture/load
        cake: migrations migrate, migrations rollback, migrations seed, migrations mark_migrated,
            schema_cache
        drush: updatedb, updb, sql-drop, sql:drop, sql-query, sql:query, sqlq, site:install, si,
            entity:updates, sql-cli, sql:cli, sql-create, sql:create, config:import, cim
        wp: db, search-replace, core update-db, site empty, site delete, core install
        magento: setup:upgrade, setup:db-schema:upgrade, setup:db-data:upgrade, setup:rollback,
            setup:uninstall, setup:install
        occ: db:, upgrade, maintenance:repair, maintenance:install
        craft: migrate, migrate/all, migrate/up, up, db/restore, db/drop-all-tables, db/drop-table-prefix
        flask: db upgrade, db downgrade, db stamp, db-upgrade, init-db, drop-db, create-db
        quart: db upgrade, db downgrade, db stamp
        litestar: database upgrade, database downgrade, database stamp, database drop-all,
            database stamp-revision
        superset: db upgrade, db downgrade, init
        airflow: db, resetdb, initdb, upgradedb
        aerich: upgrade, downgrade, init-db
        tortoise: upgrade, downgrade, migrate
        piccolo: migrations forwards, migrations backwards, schema, tables drop, tables create, fixtures load
        yoyo: apply, rollback, reapply, mark, unmark, break-lock, develop
        yoyo-migrate: apply, rollback, reapply, mark, unmark
        pw_migrate: migrate, rollback, merge
        masonite: migrate, migrate:rollback, migrate:refresh, migrate:reset, seed:run
        orator: migrate, migrate:rollback, migrate:reset, migrate:refresh, db:seed
        caribou: upgrade, downgrade
        edgedb: migrate, migration apply, query, database wipe, database drop, branch wipe, branch drop,
            instance destroy, restore, dump-restore
        gel: migrate, migration apply, query, database wipe, database drop, branch wipe, branch drop,
            instance destroy, restore
        atlas: migrate apply, migrate down, schema apply, schema clean, migrate set
        skeema: push
        sqitch: deploy, revert, rebase, checkout, rework --deploy
        pgroll: start, complete, rollback, migrate, init
        reshape: migrate, migration start, migration complete, migration abort
        sea-orm-cli: migrate, migrate up, migrate down, migrate fresh, migrate refresh, migrate reset
        cargo-sqlx: sqlx migrate run, sqlx database
        butane: migrate, rollback, clear data, unmigrate
        rambler: apply, reverse
        bun: db migrate, db rollback
        soda: migrate, drop, reset, create
        buffalo: pop migrate, pop drop, pop reset, pop create, db migrate, db drop, db reset, task db:
        sql-migrate: up, down, redo, skip
        mgrt: run, up
        shmig: up, down, migrate, rollback, pending --apply
        evolve: migrate, erase, repair
        ef dotnet-ef: database update, database drop
        play: evolutions apply
        mybatis: up, down, pending, version
        lein: migratus, ragtime, migrate, rollback, joplin
        micrate: up, down, redo, dbversion --set
        lucky: db.
        stack: exec migrate
        codd: up, add --apply
        dbdeployer: deploy, delete
        nx: migrate-db, db:migrate
        snaplet: restore, seed
        pscale: deploy-request, branch delete, database delete, shell, branch promote, database create
        turso: db destroy, db create, db import, group destroy
        neonctl: branches delete, projects delete, databases delete, branches reset, databases create
        neon: branches delete, projects delete, databases delete, branches reset
        fauna: schema push, database delete, delete-database, eval, schema commit
        amplify: push, delete
        convex: deploy, import, run
        pgmigrate: migrate, clean, baseline
        pg-migrate: up, down, migrate
        cassandra-migrate: migrate, reset
        neo4j-migrations: apply, clean, repair, run
        neo4j-admin: database, import, load, restore
        mongock: migrate, undo
        mongrate: up, down, up-all
        schema: apply, push
        heroku: pg:reset, pg:push, pg:pull, pg:restore, pg:backups:restore, pg:copy, pg:promote, pg:psql,
            pg:killall, pg:backups restore, addons:destroy
        fly: postgres, pg, mpg destroy, volumes destroy, apps destroy, deploy, machine destroy
        flyctl: postgres, pg, volumes destroy, apps destroy, deploy, machine destroy
        railway: down, delete, up, volume delete
        firebase: firestore:delete, database:remove, database:set, database:update, database:push, deploy,
            firestore:databases:delete, auth:import
        gcloud: sql, spanner, firestore import, firestore databases delete, bigtable, datastore, alloydb
        aws: rds, dynamodb, redshift, docdb, neptune, elasticache, rds-data
        az: sql, postgres, mysql, cosmosdb, redis, mariadb
        doctl: databases delete, databases create, databases db, databases user, databases migrate
    """).items()
}
"""
Program → sequences of words; a word that ends in ``:`` or ``.`` fits whatever begins so, ``*`` stands for anything.
"""
