"""
Database shells, which may read, and tools that create, drop, load or replicate databases, which may not be run.
"""

from __future__ import annotations

import re

from orchestrd.policy.code.sql import changes, only_reads
from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, filled, is_known

_COMMANDS: dict[str, tuple[str, ...]] = {
    # SQL shells -> the options whose value is SQL
    "psql": ("-c", "--command"),
    "pgcli": ("-c", "--command"),
    "mysql": ("-e", "--execute"),
    "mariadb": ("-e", "--execute"),
    "mycli": ("-e", "--execute"),
    "mysqlsh": ("-e", "--execute"),
    "cockroach": ("-e", "--execute"),
    "clickhouse-client": ("-q", "--query"),
    "clickhouse": ("-q", "--query"),
    "clickhouse-local": ("-q", "--query"),
    "sqlcmd": ("-Q", "-q", "--query"),
    "usql": ("-c", "--command"),
    "cqlsh": ("-e", "--execute"),
    "duckdb": ("-c", "-s"),
    "trino": ("--execute",),
    "presto": ("--execute",),
    "beeline": ("-e",),
    "hive": ("-e",),
    "impala-shell": ("-q", "--query"),
    "snowsql": ("-q", "--query"),
    "vsql": ("-c",),
    "isql": ("-e",),
    "sqlplus": (),
    "ysqlsh": ("-c",),
    "litecli": ("-e",),
    "spanner-cli": ("-e", "--execute"),
    "surreal": ("--query",),
    "bq": (),
    "turso": (),
    "osqueryi": (),
    "steampipe": (),
    "isql-fb": (),
    "fbsql": (),
    "osql": ("-Q", "-q"),
    "sqlcl": (),
    "spark-sql": ("-e",),
    "presto-cli": ("--execute",),
    "trino-cli": ("--execute",),
    "ksql": ("-e", "--execute"),
    "drill-localhost": (),
    "h2": ("-sql",),
    "nzsql": ("-c",),
    "tsql": (),
    "mssql-cli": ("-Q",),
    "questdb": (),
    "monetdb": (),
    "mclient": ("-s",),
    "databricks-sql": ("-e",),
    "dsql": ("-q",),
    "octosql": (),
    "textql": ("-sql",),
    "influxql": (),
}
_FILES = ("-f", "--file", "-i", "--input-file", "--queries-file", "--input")
_VALUED = o.words("""
    -h --host -p --port -U --username -d --dbname -u --user -D --database -S --socket -v --set -F -P --pset -o
    --output -L --log-file -cmd -init -separator -newline -nullvalue -maxsize -vfs --password -s -m --multiline
    --format --ssl-mode -T
""")
_READING_OPTIONS = o.words("-l --list --version -V --help -? -h -version")

_TOOLS: dict[str, frozenset[str]] = {
    # program -> first words that are harmless
    **o.each(
        """
        dropdb createdb dropuser createuser pg_restore mysqlimport mongorestore mongoimport initdb pg_resetwal
        pg_upgrade pg_rewind reindexdb vacuumdb clusterdb mysql_install_db mysql_upgrade mysqlslap mongos
        pgloader pgbench pt-online-schema-change gh-ost pt-archiver sstableloader nodetool pg_createcluster
        pg_dropcluster mysql_secure_installation bulkwriter bcp pgcopydb pg_repack
        """,
        frozenset(),
    ),
    "mysqladmin": o.words("status ping version extended-status processlist variables"),
    "pg_ctl": o.words("status"),
    "pg_ctlcluster": o.words("status"),
    "influx": o.words("query ping version --version bucket-list org"),
    "etcdctl": o.words("get watch version endpoint"),
    "consul": o.words("members info version"),
    "curator": frozenset(),
    "memcflush": frozenset(),
    "memccp": frozenset(),
    "memcrm": frozenset(),
    "elasticdump": frozenset(),
    "arangorestore": frozenset(),
    "cypher-import": frozenset(),
}

_REDIS_READING = o.words("""
    get mget exists keys scan sscan hscan zscan type ttl pttl strlen getrange hget hgetall hkeys hvals hlen
    hmget hexists lrange llen lindex smembers scard sismember zrange zrangebyscore zrevrange zcard zscore zcount
    zrank info ping dbsize echo time memory object randomkey client command config slowlog latency lastsave role
    cluster xrange xlen xinfo xread pubsub monitor bitcount geopos geodist pfcount dump help module acl sort_ro
    select auth hello quit wait --version --help -v
""")
_REDIS_PARTS = {
    "config": {"get"},
    "client": {"list", "info", "getname", "id"},
    "memory": {"usage", "stats", "doctor"},
    "slowlog": {"get", "len"},
    "cluster": {"info", "nodes", "slots"},
    "acl": {"list", "whoami", "cat"},
    "module": {"list"},
}
_MONGO = re.compile(
    r"""
    \.\s*(?:drop\w*|delete\w*|insert\w*|update\w*|replace\w*|remove\w*|rename\w*|create\w*|bulkWrite
    |findOneAnd\w+|findAndModify|save|mapReduce|ensureIndex|reIndex|convertToCapped|shutdownServer|grant\w*
    |revoke\w*|changeUserPassword|addUser|initiate|reconfig|add|addShard|enableSharding|shardCollection
    |runCommand|adminCommand|fsyncLock|killOp|setProfilingLevel|load)\s*\(|\bload\s*\(|\$(?:out|merge)\b
    """,
    re.VERBOSE,
)
_MONGO_ASKING = re.compile(
    r"""
    (?:runCommand|adminCommand)\s*\(\s*\{?\s*['\"]?(?:ping|buildInfo|serverStatus|dbStats|collStats
    |listCollections|listDatabases|hello|isMaster|getParameter|replSetGetStatus|explain|count|find
    |aggregate)\b
    """,
    re.VERBOSE,
)
_CYPHER = re.compile(
    r"\b(?:create|merge|set|delete|remove|drop|detach|load\s+csv|foreach|call\s+apoc)\b", re.IGNORECASE
)


def sql_shell(inquiry: Inquiry, call: Invocation) -> str:
    """
    A shell for SQL: what it is told must only read.
    """
    argv = call.argv[1:]
    names = _COMMANDS[call.program]
    texts = [*o.options(argv, *names), *o.options(argv, "--init-command", "--init-file")]
    texts += [
        word
        for word in o.plain(argv, _VALUED | set(names))
        if " " in word.strip() and not re.match(r"\w+=|\w+://", word)
    ]
    for match in re.finditer(
        r"(?:read_\w+|from|into\s+outfile|infile|load_file|attach)\s*\(?\s*'((?:/|\.\./|~/)[^']*)'",
        " ".join(texts),
        re.IGNORECASE,
    ):
        inquiry.use(match.group(1), call)
    texts += [inquiry.content(word[1:]) for word in argv if re.match(r"@[\w./]", word)]
    files = o.options(argv, *(name for name in _FILES if name not in names))
    for text in texts:
        if not _seen_to_read(text):
            return _object(inquiry, call)
    for path in files:
        content = inquiry.content(path)
        if not _seen_to_read(content):
            return _object(inquiry, call)
    if (
        texts
        or files
        or set(argv) & _READING_OPTIONS - ({"-h"} if call.program in {"psql", "mysql", "mariadb"} else set())
    ):
        return HOLE
    if call.program in {"bq", "turso", "surreal", "steampipe", "cockroach", "clickhouse"}:
        return _with_verbs(inquiry, call)
    if call.stdin is not None and (not is_known(call.stdin) or not only_reads(call.stdin)):
        return _object(inquiry, call)
    return HOLE


def _seen_to_read(text: str) -> bool:
    """
    True when *text* is known to read: single values in it may be unknown, the statement may not.
    """
    return bool(re.search(r"[A-Za-z\\.]", filled(text, ""))) and only_reads(filled(text, "x"))


def _with_verbs(inquiry: Inquiry, call: Invocation) -> str:
    words = o.plain(call.argv[1:])
    reading = o.words("""
        query show list ls head version info status inspect extract sql shell export isready local
    """)
    if (
        not words
        or not set(words[:2]) & reading
        or any(changes(word) for word in words)
        or set(words[:2]) & o.words("destroy rm delete mk load cp update import create")
    ):
        return _object(inquiry, call)
    if "shell" in words and any(" " in word and not only_reads(word) for word in words):
        return _object(inquiry, call)
    return HOLE


def sqlite(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``sqlite3 FILE SQL…``.
    """
    words = o.plain(
        call.argv[1:],
        o.words("""
            -cmd -init -separator -newline -nullvalue -maxsize -vfs -mmap -heap -lookaside -pagecache -A
        """),
    )
    for path in words[:1]:
        if path != ":memory:":
            inquiry.use(path.removeprefix("file:").partition("?")[0], call)
    texts = [
        *words[1:],
        *o.options(call.argv[1:], "-cmd"),
        *([call.stdin] if call.stdin and is_known(call.stdin) and not words[1:] else []),
    ]
    for match in re.finditer(r"\b(readfile|writefile|edit|load_extension)\s*\(\s*'([^']+)'", " ".join(texts)):
        inquiry.use(match.group(2), call, writes=match.group(1) == "writefile")
    for path in o.options(call.argv[1:], "-init"):
        texts.append(inquiry.content(path))
    for text in texts:
        for line in text.splitlines():
            if match := re.match(
                r"\s*\.(?:shell|system)\s+(.*)|.*\|(.*)$", line if line.lstrip().startswith(".") else ""
            ):
                inquiry.text((match.group(1) or match.group(2) or "").strip().strip("'\""))
            elif match := re.match(
                r"\s*\.(?:output|once|backup|save|excel|read|open|import|log|restore)\s+(?:main\s+)?(\S+)", line
            ):
                inquiry.use(match.group(1).strip("'\""), call, writes=".read" not in line and ".open" not in line)
    memory = ":memory:" in words[:1] or (words and inquiry.scope.place(words[0], call.cwd[0]).value == "scratch")
    if memory:
        return HOLE
    if any(not is_known(text) or not only_reads(text) for text in texts):
        return _object(inquiry, call)
    if not texts and call.stdin is not None and (not is_known(call.stdin) or not only_reads(call.stdin)):
        return _object(inquiry, call)
    return HOLE


def redis(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``redis-cli``: only commands that are known to read.
    """
    words = o.plain(
        call.argv[1:],
        o.words("-h -p -s -a -n -u -r -i -d -D --user --pass --pattern --cacert --cert --key -X"),
    )
    lines = [words] if words else [line.split() for line in (call.stdin or "").splitlines()]
    if (
        "--eval" in call.argv
        or (call.stdin is not None and not is_known(call.stdin) and not words)
        or "-x" in call.argv
        or "--pipe" in call.argv
    ):
        return _object(inquiry, call)
    for line in lines:
        verb = line[0].lower() if line else "ping"
        parts = _REDIS_PARTS.get(verb)
        if verb not in _REDIS_READING or (parts and line[1:2] and line[1].lower() not in parts):
            return _object(inquiry, call)
    return HOLE


def mongo(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``mongosh``: nothing that changes a database in its scripts.
    """
    texts = [*o.options(call.argv[1:], "--eval", "-eval"), *([call.stdin] if call.stdin is not None else [])]
    for path in [
        *o.plain(
            call.argv[1:],
            o.words("--eval --host --port -u -p --username --password --authenticationDatabase -f --file"),
        ),
        *o.options(call.argv[1:], "-f", "--file"),
    ]:
        if path.endswith((".js", ".mongodb", ".mjs")):
            texts.append(inquiry.content(path))
    for text in texts:
        if not is_known(text) or (
            _MONGO.search(text) and not (_MONGO_ASKING.search(text) and len(_MONGO.findall(text)) == 1)
        ):
            return _object(inquiry, call)
    return HOLE


def cypher(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``cypher-shell``: queries that match and return.
    """
    text = " ".join([*o.plain(call.argv[1:], o.words("-u -p -a -d --format")), call.stdin or ""])
    return _object(inquiry, call) if _CYPHER.search(text) or not is_known(text) else HOLE


def tool(inquiry: Inquiry, call: Invocation) -> str:
    """
    A database's own tool.
    """
    words = o.plain(call.argv[1:], o.words("-h -u -p -P -S --host --user --password --port"))
    if (
        set(call.argv) & {"--version", "--help", "-V", "-?"}
        or (
            words
            and (
                set(words) <= _TOOLS[call.program]
                or (call.program in {"influx", "etcdctl", "consul"} and words[0] in _TOOLS[call.program])
            )
        )
        or (call.program == "pg_restore" and o.has_flag(call.argv, "l", "--list"))
    ):
        return HOLE
    return _object(inquiry, call)


def _object(inquiry: Inquiry, call: Invocation) -> str:
    inquiry.object("db", call, f"`{call.program}` would change a database, or cannot be seen to only read it")
    return HOLE


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_COMMANDS, sql_shell),
    **o.each("sqlite3 sqlite sqlcipher sqlite-utils-query", sqlite),
    **o.each("redis-cli valkey-cli keydb-cli iredis", redis),
    **o.each("mongosh mongo", mongo),
    "cypher-shell": cypher,
    **dict.fromkeys(_TOOLS, tool),
}
