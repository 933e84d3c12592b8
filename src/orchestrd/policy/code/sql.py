"""
SQL: does a text only read?

Statements are told apart by their first word, and only those that are known to read pass.
"""

from __future__ import annotations

import re
from functools import lru_cache

from orchestrd.policy.tables import words

_BEGIN = r"""--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^'\\]|''|\\.)*'|\"(?:[^\"]|\"\")*\"|`[^`]*`"""
_END = r"|[A-Za-z_][\w$]*|;|\(|\)|[^\sA-Za-z_]"
_TOKEN = re.compile(_BEGIN + r"|\$(\w*)\$.*?\$\1\$" + _END, re.DOTALL)
_DOLLARS = 200
"""Where there are more of them they quote nothing: it would take long to see what each of them begins."""
_KEPT = 64
"""Texts of which it is remembered what they do: a loop has the same again and again."""
_UNQUOTED = re.compile(_BEGIN + _END, re.DOTALL)
_READING = words("""
    select with explain show describe desc values table pragma use set begin start commit rollback end abort
    fetch declare close analyze discard reset help exists summarize from list info if go print checkpoint
    savepoint release listen unlisten prepare
""")
_CHANGING = words("""
    insert update delete drop alter create truncate grant revoke replace merge vacuum reindex cluster refresh
    copy call do exec execute rename comment lock import load attach detach optimize kill restore backup dbcc
    upsert undrop purge shutdown flush
""")
_EXPLAINING = words("analyze verbose query plan ( ) , buffers format json costs true false extended")
_OBJECTS = words("""
    table database schema index view materialized user role function procedure trigger sequence type extension
    column constraint temp temporary unique or if keyspace collection tablespace policy domain foreign server
    virtual aggregate external on global local unlogged recursive rule publication subscription login event
""")
_FUNCTIONS = re.compile(
    r"""
    \b(?:pg_terminate_backend|pg_cancel_backend|lo_import|lo_export|lo_unlink|pg_read_file|pg_write_file
    |dblink_exec|pg_reload_conf|setval|nextval|xp_cmdshell|load_extension|writefile
    |pg_drop_replication_slot|sys_exec|sys_eval|load_file|edit|fts3_tokenizer)\s*\(
    """,
    re.IGNORECASE | re.VERBOSE,
)
_BACKSLASH = re.compile(
    r"""
    ^\s*\\(?:d\w*\+?|l\+?|c(?:onnect)?|x|timing|conninfo|encoding|h|\?|q|z|sf\+?|sv\+?|pset|a|t|H|echo|set
    |unset|df\w*|du|dn|dx)\b|^\s*\\[?]
    """,
    re.MULTILINE | re.VERBOSE,
)
_DOT = re.compile(
    r"""
    ^\s*\.(?:schema|tables?|indexes|indices|headers?|mode|databases|dump|width|separator|nullvalue|show
    |fullschema|stats|timer|eqp|explain|print|quit|exit|help|version|dbinfo|lint|echo|bail|changes|sha3sum
    |once\s+/dev/stdout)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_WRITING_PRAGMA = re.compile(
    r"\bpragma\s+[\w.]+\s*=|\bpragma\s+(?:optimize|incremental_vacuum|wal_checkpoint)\b", re.IGNORECASE
)
_BACKSLASH_RUNS = re.compile(r"\\g(?:exec|set)?\s*\||\\gexec\b|\\!|\\o\s|\\w\s|\\copy|\\i\b")


@lru_cache(_KEPT)
def only_reads(text: str) -> bool:
    """
    True when every statement in *text* is known to change nothing.

    >>> only_reads("SELECT 'DROP TABLE x'; EXPLAIN SELECT 1")
    True
    >>> only_reads("WITH gone AS (DELETE FROM a RETURNING *) SELECT * FROM gone")
    False
    """
    if _BACKSLASH_RUNS.search(text):
        return False
    lines: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("\\"):
            if not _BACKSLASH.match(line):
                return False
        elif stripped.startswith(".") and not stripped.startswith((".*", "./")):
            if not _DOT.match(line):
                return False
        else:
            lines.append(line)
    return all(_reads(statement) for statement in _statements("\n".join(lines)))


@lru_cache(_KEPT)
def changes(text: str) -> bool:
    """
    True when *text* holds a statement that is known to change something; a text that is no SQL does not.
    """
    for statement in _statements(text):
        first = statement[0]
        if first in _CHANGING and len(statement) > 1 and _is_statement(statement):
            return True
        if first == "with" and _writes_inside(statement):
            return True
    return False


def _is_statement(tokens: list[str]) -> bool:
    first, second = tokens[:2]
    match first:
        case "insert" | "replace" | "merge":
            return second in {"into", "or", "ignore", "low_priority", "overwrite"}
        case "update":
            return "set" in tokens[2:8]
        case "delete":
            return second == "from"
        case "truncate":
            return len(tokens) <= 6
        case "drop" | "alter" | "create" | "rename" | "comment":
            return second in _OBJECTS
        case "grant" | "revoke":
            return bool({"on", "to", "from"} & set(tokens[2:]))
        case "vacuum" | "reindex" | "flush" | "optimize":
            return True
        case "copy":
            return bool({"from", "to"} & set(tokens[2:]))
        case _:
            return False


def _statements(text: str) -> list[list[str]]:
    """
    The statements in *text*, each as its words in small letters, without comments.
    """
    found: list[list[str]] = [[]]
    token = _TOKEN if text.count("$") <= _DOLLARS else _UNQUOTED
    for match in token.finditer(text):
        part = match.group().lower()
        if part.startswith("/*!"):
            found[-1] += part[3:-2].split()  # MySQL runs what stands in such a comment
        elif part == ";":
            found.append([])
        elif not part.startswith(("--", "/*")):
            found[-1].append(part)
    return [statement for statement in found if any(word[0].isalpha() for word in statement)]


def _reads(tokens: list[str]) -> bool:
    first = next(word for word in tokens if word[0].isalpha() or word[0] == "_")
    bare = [word for word in tokens if word[0] not in "'\"`$"]
    if first == "copy":
        return "stdout" in tokens and ("select" in tokens[:3] or "to" in tokens[:4])
    if first not in _READING:
        return False
    if first in {"begin", "if", "from", "prepare", "declare"} and set(bare) & _CHANGING:
        return False
    text = " ".join(bare)
    if _FUNCTIONS.search(text) or _WRITING_PRAGMA.search(text):
        return False
    if first == "with" and _writes_inside(tokens):
        return False
    if first == "explain":
        explained = next((word for word in bare[1:] if word not in _EXPLAINING), "")
        return "analyze" not in bare or explained not in _CHANGING
    if first == "select" and ("into" in bare and _selects_into(bare)):
        return False
    return not (first == "set" and {"password", "global", "persist"} & set(bare[1:3]))


def _selects_into(bare: list[str]) -> bool:
    at = bare.index("into")
    return at + 1 < len(bare) and not bare[at + 1].startswith("@")


def _writes_inside(tokens: list[str]) -> bool:
    return any(
        word in {"insert", "update", "delete", "merge"} and (at == 0 or tokens[at - 1] in {"(", ")"})
        for at, word in enumerate(tokens)
    )
