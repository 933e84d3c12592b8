"""
Which databases a program opens: in memory, or in files that may lie in scratch.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Sequence

from orchestrd.policy.code import pythoncalls as known
from orchestrd.policy.code.constants import Constants
from orchestrd.policy.tables import words

_OPENS = words("""
    sqlite3.connect sqlite3.dbapi2.connect aiosqlite.connect duckdb.connect apsw.Connection
    sqlalchemy.create_engine sqlalchemy.ext.asyncio.create_async_engine sqlmodel.create_engine
    sqlite_utils.Database
""")
"""Calls whose first argument, or keyword, says where a database lies."""
_EMBEDDED = words("sqlite3 aiosqlite duckdb apsw sqlalchemy sqlmodel sqlite_utils")
"""Libraries that know no database but one that was opened, or one in memory."""
_HARMLESS = sys.stdlib_module_names | words("pandas numpy polars pyarrow tabulate pytest rich faker")
"""Modules that open no database by themselves."""
_PLACES = frozenset({"database", "url", "filename", "filename_or_conn"})
_URL = re.compile(r"(?:sqlite|duckdb)(?:\+\w+)?://(?:/(.*))?", re.DOTALL)
_MEMORY = re.compile(r"|:memory:.*|file::memory:.*")
_LEAVES = re.compile(r"\b(?:attach|copy|export|install|load|load_extension|vacuum|outfile|writefile)\b", re.IGNORECASE)
"""Words of SQL that reach for another file than the database's own."""
_SQLITE = r"['\"](?:better-sqlite3|(?:node:|bun:)?sqlite3?)['\"]"
_LOADED = re.compile(
    rf"(?<!\w)(?:import\s*)?(\w+|\{{\s*\w+\s*\}})\s*(?:=|\bfrom\b)\s*(?:await\s+import\s*\(\s*|require\s*\(\s*)?{_SQLITE}"
)
"""What a library for SQLite is loaded as, in JavaScript."""
_CALLED = re.compile(rf"(?:require\s*\(\s*{_SQLITE}\s*\)\)?(?:\.\w+)*|@)\s*\(\s*(?:(['\"`])([^'\"`$]*)\1\s*[,)]|(\)))?")
_MOST = 8
"""It is loaded under no more names than so many."""
_OTHERS = re.compile(
    r"""
    \b(?:pg|mysql2?|knex|sequelize|typeorm|mongoose|mongodb|ioredis|redis|prisma|drizzle|kysely|postgres)\b
    |(?:\brequire|\bimport|\bfrom)\b\s*\(?\s*['"`][./]
    """,
    re.VERBOSE,
)
"""Other libraries for databases, and modules of the project's, which may open one."""


def opened_by(text: str) -> list[str] | None:
    """
    As `opened`, for a program *text* in JavaScript.
    """
    if _OTHERS.search(text) or _LEAVES.search(text):
        return None
    names = {name.strip("{} ") for name in _LOADED.findall(text)}
    if len(names) > _MOST:
        return None
    for name in names:
        called = re.compile(rf"\b{name}(?:\.Database)?(?=\s*\()")
        if len(called.findall(text)) + 1 != len(re.findall(rf"\b{name}\b(?!['\"])", text)):
            return None  # it goes by another name as well
        text = called.sub("@", text)
    found: list[str] = []
    calls = _CALLED.findall(text)
    for _, path, nothing in calls:
        if not path and not nothing:
            return None
        found += [path] if path and not _MEMORY.fullmatch(path) else []
    return found if calls else None


def opened(nodes: Sequence[ast.AST], constants: Constants, name: Callable[[ast.Call], str]) -> list[str] | None:
    """
    The files of all databases that the program of these *nodes* opens, none of those in memory; *name* tells what a call calls.

    None where that cannot be said: of a database nothing is known, or another one may be reached.
    """
    used = constants.modules & (_EMBEDDED | known.DATABASES)
    if not used or not constants.modules <= _EMBEDDED | _HARMLESS:
        return None
    found: list[str] = []
    calls = named = 0
    for node in nodes:
        if isinstance(node, ast.Call) and name(node) in _OPENS:
            calls += 1
            place = _place(node, constants)
            if place is None:
                return None
            found += [place] if place else []
        elif isinstance(node, ast.Name | ast.Attribute):
            named += constants.dotted(node) in _OPENS
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _LEAVES.search(node.value):
            return None
    return found if named <= calls and (calls or used == {"duckdb"}) else None


def _place(node: ast.Call, constants: Constants) -> str | None:
    """
    The file of the database that a call opens, empty for one in memory; None when that is not known.
    """
    given = [*node.args[:1], *(one.value for one in node.keywords if one.arg in _PLACES)]
    if any(one.arg is None for one in node.keywords):
        return None
    if not given:
        return ""
    value = constants.value(given[0])
    if not isinstance(value, str):
        return None
    if "://" in value:
        url = _URL.fullmatch(value)
        if url is None:
            return None
        value = (url.group(1) or "").partition("?")[0]
    return "" if _MEMORY.fullmatch(value) else value
