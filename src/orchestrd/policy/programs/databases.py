"""
Database shells, which may read, and tools that create, drop, load or replicate databases, which may not be run.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known

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
_BROKERS = {
    # program -> what its words begin with when it only tells
    "kafka-topics": "--list --describe",
    "kafka-configs": "--describe",
    "kafka-consumer-groups": "--list --describe",
    "kafka-acls": "--list",
    "kafka-delete-records": "",
    "kafka-streams-application-reset": "",
    "rabbitmqctl": "list_ status version environment report ping cluster_status help",
    "rabbitmqadmin": "list show export help",
    "pulsar-admin": "list get stats info",
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
_MONGO_VALUED = o.words("--eval --host --port -u -p --username --password --authenticationDatabase -f --file")
_CYPHER = re.compile(
    r"\b(?:create|merge|set|delete|remove|drop|detach|load\s+csv|foreach|call\s+apoc)\b", re.IGNORECASE
)


def redis(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``redis-cli``: only commands that are known to read.
    """
    words = o.plain(
        call.argv[1:],
        o.words("-h -p -s -a -n -u -r -i -d -D --user --pass --pattern --cacert --cert --key -X"),
    )
    given = call.stdin or ""
    lines = [words] if words else [line.split() for line in given.splitlines()]
    if not {"--eval", "-x", "--pipe"}.isdisjoint(call.argv) or not (words or is_known(given)):
        return may_change(inquiry, call)
    for line in lines:
        verb = line[0].lower() if line else "ping"
        parts = _REDIS_PARTS.get(verb)
        if verb not in _REDIS_READING or (parts and line[1:2] and line[1].lower() not in parts):
            return may_change(inquiry, call)
    return HOLE


def mongo(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``mongosh``: nothing that changes a database in its scripts.
    """
    texts = [*o.options(call.argv[1:], "--eval", "-eval"), *([call.stdin] if call.stdin is not None else [])]
    for path in [*o.plain(call.argv[1:], _MONGO_VALUED), *o.options(call.argv[1:], "-f", "--file")]:
        texts += [inquiry.content(path)] if path.endswith((".js", ".mongodb", ".mjs")) else []
    for text in texts:
        changing = len(_MONGO.findall(text))
        if not is_known(text) or (changing and not (changing == 1 and _MONGO_ASKING.search(text))):
            return may_change(inquiry, call)
    return HOLE


def cypher(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``cypher-shell``: queries that match and return.
    """
    text = " ".join([*o.plain(call.argv[1:], o.words("-u -p -a -d --format")), call.stdin or ""])
    return may_change(inquiry, call) if _CYPHER.search(text) or not is_known(text) else HOLE


def tool(inquiry: Inquiry, call: Invocation) -> str:
    """
    A database's own tool.
    """
    telling = _TOOLS[call.program]
    words = o.plain(call.argv[1:], o.words("-h -u -p -P -S --host --user --password --port"))
    if call.program in {"influx", "etcdctl", "consul"}:
        words = words[:1]  # what follows are names and values
    tells = (
        bool(words and set(words) <= telling)
        or not {"--version", "--help", "-V", "-?"}.isdisjoint(call.argv)
        or (call.program == "pg_restore" and o.has_flag(call.argv, "l", "--list"))
    )
    return HOLE if tells else may_change(inquiry, call)


def broker(inquiry: Inquiry, call: Invocation) -> str:
    """
    A message broker's own tool: topics and queues hold data as tables do.
    """
    telling = tuple(_BROKERS[call.program.removesuffix(".sh")].split())
    words = call.argv[1:]
    if any(word.startswith(telling) for word in words if telling) or not words or "--help" in words:
        return HOLE
    return may_change(inquiry, call)


def may_change(inquiry: Inquiry, call: Invocation) -> str:
    """
    Object to *call*, which is not seen to only read.
    """
    inquiry.object("db", call, f"`{call.program}` would change a database, or cannot be seen to only read it")
    return HOLE


HANDLERS: dict[str, Handler] = {
    **o.each("redis-cli valkey-cli keydb-cli iredis", redis),
    **o.each("mongosh mongo", mongo),
    "cypher-shell": cypher,
    **dict.fromkeys(_TOOLS, tool),
    **dict.fromkeys(_BROKERS, broker),
    **{f"{name}.sh": broker for name in _BROKERS if name.startswith("kafka-")},
}
