"""
What calls in a Python program do to databases and repositories.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cached_property

from orchestrd.policy.code import pythoncalls as known
from orchestrd.policy.code.acts import Act, Kind
from orchestrd.policy.code.call import Call
from orchestrd.policy.code.connections import opened
from orchestrd.policy.code.constants import Constants
from orchestrd.policy.code.syntax import Program


class Stores:
    """
    Reads the calls of the program *whole*; *name* tells what a call calls, and *add* is given each act.
    """

    def __init__(
        self,
        whole: Program,
        constants: Constants,
        name: Callable[[ast.Call], str],
        add: Callable[[Kind, object], None],
    ) -> None:
        self._whole = whole
        self._constants = constants
        self._modules = constants.modules
        self._name = name
        self._add = add

    @cached_property
    def _files(self) -> list[str] | None:
        """
        The files of the databases that are opened, where no other can be meant.
        """
        return opened(self._whole.nodes, self._constants, self._name)

    def _changes(self, call: Call, kind: Kind, what: object) -> None:
        """
        Something is done to a database: it counts unless it, or all that are opened, lie in memory, or in scratch.
        """
        if call.name.startswith("sqlite3.connect") and ":memory:" in ast.dump(call.node.func):
            return
        if self._files is None:
            self._add(kind, what)
        elif self._files:
            self._add("within", [self._files, Act(kind, what)])

    def migrates(self, call: Call) -> bool:
        """
        True for a call that migrates a database, or may.
        """
        if call.name in known.MIGRATES:
            self._add("db", call.name)
        elif call.name in known.MANAGES:
            argv = call.first if isinstance(call.first, list) else ["manage.py", *call.strings]
            self._add("argv", ["manage.py", *argv[1:]])
        elif call.name in {"alembic.config.main", "config.main"} and "alembic" in self._modules:
            given = call.keywords.get("argv", call.first)
            self._add("argv", ["alembic", *given] if isinstance(given, list) else None)
        elif call.last in known.DROPS and self._modules & known.DATABASES:
            self._changes(call, "db", call.last)
        elif call.last in {"apply_migrations", "run_migrations", "upgrade_db"}:
            self._add("db", call.last)
        else:
            return False
        return True

    def tells_a_database(self, call: Call) -> bool:
        """
        True for a call that gives a database something to do.
        """
        last, first = call.last, call.first
        if (
            last in known.MODEL_CHANGES
            and isinstance(call.node.func, ast.Attribute)
            and ".objects" in ast.unparse(call.node.func)[:200]
        ) or last == "to_sql":
            self._changes(call, "db", last)
        elif last == "executescript" and not isinstance(first, str):
            self._changes(call, "sql", None)
        elif last in known.REPOSITORY_CHANGES and self.changes_repository(call):
            pass  # `repo.fetch("main")` is no SQL
        elif last in known.SQL_METHODS and isinstance(first, str):
            self._changes(call, "sql", first)
        else:
            return False
        return True

    def changes_repository(self, call: Call) -> bool:
        """
        True for a call that changes a repository, or what a cloud stores.
        """
        if self._modules & {"git", "dulwich"} and call.last == "execute" and isinstance(call.first, list):
            self._add("argv", call.first)
        elif (
            self._modules & known.REPOSITORIES
            and call.last in known.REPOSITORY_CHANGES
            and self._is_of_repository(call.node.func)
        ):
            self._add("git", call.name or call.last)
        elif call.last in known.CLOUD_CHANGES and "boto3" in self._modules:
            self._add("db", call.last)
        else:
            return False
        return True

    def _is_of_repository(self, node: ast.AST) -> bool:
        while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
            node = node.func if isinstance(node, ast.Call) else node.value
        if not isinstance(node, ast.Name) or self._constants.is_plain(node.id):
            return False
        return node.id not in {"print", "set", "list", "dict", "os", "re", "json", "sys"}
