"""
Shells for SQL: what they are told must only read.
"""

from __future__ import annotations

import re

from orchestrd.policy.code.sql import changes, only_reads
from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.databases import may_change
from orchestrd.policy.scope import Place
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
    "h2": ("-sql", "--sql"),
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
    "taos": ("-s", "--commands"),
    "cbq": ("-s", "--script"),
    "bteq": (),
    "dbaccess": (),
    "ij": (),
    **o.each("Invoke-Sqlcmd invoke-sqlcmd", ("-Query", "-query")),
}
_FILES = ("-f", "--file", "-i", "--input-file", "--queries-file", "--input", "-script", "-InputFile")
_TAKE_FILES = o.words("dbaccess ij h2 db2")
"""Those that are given a file of SQL without an option."""
_VALUED = o.words("""
    -h --host -p --port -U --username -d --dbname -u --user -D --database -S --socket -v --set -F -P --pset -o
    --output -L --log-file -cmd -init -separator -newline -nullvalue -maxsize -vfs --password -s -m --multiline
    --format --ssl-mode -T
""")
_SIGNS = 60
"""So many characters of SQL are read in a step."""
_READING_OPTIONS = o.words("-l --list --version -V --help -? -h -version")


def sql_shell(inquiry: Inquiry, call: Invocation) -> str:
    """
    A shell for SQL: what it is told must only read.
    """
    argv = call.argv[1:]
    inquiry.spend(len(call.stdin or "") / _SIGNS)
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
    files += [word for word in argv if call.program in _TAKE_FILES and word.endswith(".sql") and word not in files]
    for text in texts:
        inquiry.spend(len(text) / _SIGNS)
        if not _seen_to_read(text):
            return may_change(inquiry, call)
    for path in files:
        content = inquiry.content(path)
        inquiry.spend(len(content) / _SIGNS)
        if not _seen_to_read(content):
            return may_change(inquiry, call)
    if (
        texts
        or files
        or set(argv) & _READING_OPTIONS - ({"-h"} if call.program in {"psql", "mysql", "mariadb"} else set())
    ):
        return HOLE
    if call.program in {"bq", "turso", "surreal", "steampipe", "cockroach", "clickhouse", "monetdb"}:
        return _with_verbs(inquiry, call)
    if call.stdin is not None and (not is_known(call.stdin) or not only_reads(call.stdin)):
        return may_change(inquiry, call)
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
        return may_change(inquiry, call)
    interactive = bool({"sql", "shell", "query", "client", "local"} & set(words[:2]))
    if interactive and call.stdin is not None and (not is_known(call.stdin) or not only_reads(call.stdin)):
        return may_change(inquiry, call)
    if "shell" in words and any(" " in word and not only_reads(word) for word in words):
        return may_change(inquiry, call)
    return HOLE


_DOT_RUNS = ("shell", "system")
_DOT_OPENS = ("output", "once", "backup", "save", "excel", "read", "open", "import", "log", "restore")
_DOT = re.compile(r"\s*\.(\w\w+)\s+(?:main\s+)?(.*)")


def _dot_command(inquiry: Inquiry, call: Invocation, line: str) -> None:
    """
    A command of sqlite's own, which may run a program or open a file; its name may be cut short.
    """
    match = _DOT.match(line)
    verb, rest = match.groups() if match else ("", "")
    if verb and any(one.startswith(verb) for one in _DOT_RUNS):
        inquiry.text(rest.strip().strip("'\""))
    elif "|" in line:
        inquiry.text(line.rpartition("|")[2].strip().strip("'\""))
    elif rest and any(one.startswith(verb) for one in _DOT_OPENS):
        inquiry.use(
            rest.split()[0].strip("'\""), call, writes=not "read".startswith(verb) and not "open".startswith(verb)
        )


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
    texts += map(inquiry.content, o.options(call.argv[1:], "-init"))
    inquiry.spend(sum(map(len, texts)) / _SIGNS)
    for text in texts:
        for line in text.splitlines():
            if line.lstrip().startswith("."):
                _dot_command(inquiry, call, line)
    if words and (words[0] == ":memory:" or inquiry.scope.place(words[0], call.cwd[0]) is Place.SCRATCH):
        return HOLE
    if any(not is_known(text) or not only_reads(text) for text in texts):
        return may_change(inquiry, call)
    if not texts and call.stdin is not None and (not is_known(call.stdin) or not only_reads(call.stdin)):
        return may_change(inquiry, call)
    return HOLE


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_COMMANDS, sql_shell),
    **o.each("sqlite3 sqlite sqlcipher sqlite-utils-query", sqlite),
}
