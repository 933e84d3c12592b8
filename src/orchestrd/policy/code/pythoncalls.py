"""
Python's calls that matter to a rule, by their full names or by the names of methods.
"""

from __future__ import annotations

import re

from orchestrd.policy.tables import words

# -- what they run ---------------------------------------------------------------------------------------------------

RUNS_TEXT = words("""
    os.system os.popen subprocess.getoutput subprocess.getstatusoutput commands.getoutput pexpect.run
    pexpect.spawn asyncio.create_subprocess_shell asyncio.subprocess.create_subprocess_shell popen2.popen3
    invoke.run fabric.run envoy.run delegator.run pexpect.spawnu IPython.get_ipython.system
""")
RUNS = words("""
    subprocess.run subprocess.call subprocess.check_call subprocess.check_output subprocess.Popen pty.spawn
    sh.Command asyncio.create_subprocess_exec ptyprocess.PtyProcess.spawn anyio.run_process anyio.open_process
    trio.run_process psutil.Popen
""")
MODULES = words("os posix shutil subprocess pathlib builtins")
"""Modules of which a function may be looked up by its name."""
EXEC = re.compile(r"os\.(?:exec|spawn|posix_spawn)[lvep]*")
DYNAMIC = words("""
    eval exec compile builtins.eval builtins.exec runpy.run_path execfile code.interact types.FunctionType
    marshal.loads pickle.loads importlib.import_module __import__ pickle.load
""")
EVALUATES = frozenset({"eval", "exec", "builtins.eval", "builtins.exec"})
IMPORTS = frozenset({"__import__", "importlib.import_module"})
COMMAND = re.compile(r"\s*(?:git|rm|gh|psql|alembic|sudo|curl|sh|bash)\s")
"""A text that would be a command line, where a method that is not known is given it."""
AGENTS = words("claude_agent_sdk claude_code_sdk aider interpreter openai_codex autogen crewai smolagents")
RELEASING = frozenset({"bumpversion", "semantic_release", "commitizen", "ghp_import"})
# -- what they do to files -------------------------------------------------------------------------------------------
DELETES = words("""
    os.remove os.unlink os.rmdir os.removedirs shutil.rmtree send2trash.send2trash pathlib.Path.unlink
    pathlib.Path.rmdir os.truncate
""")
MOVES = words("os.rename os.renames os.replace shutil.move")
COPIES = words("shutil.copy shutil.copy2 shutil.copyfile shutil.copytree shutil.copymode")
LINKS = words("os.link os.symlink")
WRITES = words("os.mkdir os.makedirs os.chmod os.chown os.mkfifo os.utime shutil.chown os.mknod")
SINKS = (
    RUNS_TEXT
    | RUNS
    | DELETES
    | MOVES
    | COPIES
    | LINKS
    | WRITES
    | words("os.environ os.getenv os.kill os.listdir os.walk")
)
"""What a ``from … import *`` may bring in."""
READS = words("""
    fileinput.input fileinput.FileInput linecache.getline linecache.getlines numpy.loadtxt pandas.read_csv
    csv.reader configparser.ConfigParser.read tokenize.open zipfile.ZipFile tarfile.open
""")
OPENS = words("open io.open codecs.open builtins.open os.open gzip.open aiofiles.open")
LOOKS = words("os.listdir os.scandir os.walk glob.glob glob.iglob os.chdir os.stat")
GLOBS = frozenset({"glob.glob", "glob.iglob"})
METHOD_DELETES = frozenset({"unlink", "rmdir", "rmtree"})
METHOD_LINKS = words("symlink_to hardlink_to link_to")
METHOD_WRITES = words("write_text write_bytes touch mkdir chmod symlink_to hardlink_to link_to")
METHOD_READS = frozenset({"read_text", "read_bytes"})
MAKES_PATH = words("Path PurePath PosixPath joinpath cwd home with_suffix with_name")
# -- what they show --------------------------------------------------------------------------------------------------
ENVIRONMENT = frozenset({"os.environ", "os.environ.items", "os.environb"})
SHOWS = words("print json.dumps dict pprint.pprint str repr requests.post os.environ.items os.environ.values pprint")
# -- what they do to databases and repositories ----------------------------------------------------------------------
MIGRATES = words("""
    alembic.command.upgrade alembic.command.downgrade alembic.command.stamp flask_migrate.upgrade
    flask_migrate.downgrade flask_migrate.stamp yoyo.apply_migrations aerich.Command.upgrade
    playhouse.migrate.migrate
""")
MANAGES = words("""
    django.core.management.call_command call_command management.call_command
    django.core.management.execute_from_command_line execute_from_command_line
""")
SQL_METHODS = words("""
    execute executemany executescript raw exec_driver_sql query run_sql read_sql text sql fetch fetchval
    fetchrow do command
""")
DROPS = words("""
    drop_all create_all drop_database create_database drop_collection delete_many delete_one insert_one
    insert_many update_one update_many replace_one flushall flushdb drop_tables create_tables truncate_table
    drop_table drop_index bulk_write find_one_and_update find_one_and_delete drop_indexes drop_schema
""")
MODEL_CHANGES = words("delete update create save bulk_create bulk_update get_or_create update_or_create")
"""Of Django's ``Model.objects``."""
CLOUD_CHANGES = words("""
    delete delete_table drop batch_write_item put_item delete_item update_item delete_db_instance
    terminate_instances
""")
"""Of boto3's clients and resources."""
DATABASES = words("""
    sqlite3 psycopg psycopg2 pymysql MySQLdb asyncpg mysql sqlalchemy pymongo motor redis aioredis cx_Oracle
    oracledb pyodbc duckdb django peewee tortoise databases aiosqlite aiomysql aiopg cassandra clickhouse_driver
    clickhouse_connect snowflake pg8000 records dataset sqlmodel neo4j elasticsearch pony mongoengine
    flask_sqlalchemy app models db boto3 supabase psycopg_pool
""")
REPOSITORIES = words("git pygit2 dulwich gitdb hglib github gitlab ghapi github3 jj")
REPOSITORY_CHANGES = words("""
    add commit push pull fetch merge rebase reset checkout stash tag create_tag create_head create_remote
    delete_head delete_tag move remove rm write create_commit set_target create_reference create_branch stage
    add_all create write_tree set_head delete_remote delete_ref init init_repository set_reference checkout_tree
    checkout_head branch cherry_pick revert clean do_commit symbolic_ref update_ref config_writer set_value
    create_pull create_issue create_file update_file delete_file create_git_ref create_git_tag
    create_git_release create_release edit delete upload rename update_index am apply create_tree create_blob
    switch restore gc prune worktree submodule_add porcelain
""")

TALKING = words("""
    print len info debug warning error exception log append add join compile match search sub findall split
    fullmatch startswith endswith in_ format write assertEqual assertIn assertTrue get post put patch skipif
    mark route parametrize raises warn Exception ValueError RuntimeError SystemExit dict str int list set tuple
    isinstance replace strip count index equal Path PurePath PosixPath PurePosixPath
""")
"""Calls of which a path among the arguments is only a word."""
ELSEWHERE = re.compile(r"(?:/(?:etc|home|root|var|proc|sys|opt|srv|mnt|boot|Users|private)(?:/|$)|~/)")
