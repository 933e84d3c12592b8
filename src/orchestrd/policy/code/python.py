"""
Python given as text: what it runs, deletes, writes, reads and imports, by its syntax tree.

Strings are followed through assignments, concatenation, formatting and joins, as far as they are literal.
"""

from __future__ import annotations

import ast
import posixpath
import re
import warnings

from orchestrd.policy.code.acts import Act
from orchestrd.policy.tables import words

_RUNS_TEXT = words("""
    os.system os.popen subprocess.getoutput subprocess.getstatusoutput commands.getoutput pexpect.run
    pexpect.spawn asyncio.create_subprocess_shell asyncio.subprocess.create_subprocess_shell popen2.popen3
    invoke.run fabric.run envoy.run delegator.run pexpect.spawnu plumbum.local.cmd IPython.get_ipython.system
""")
_RUNS = words("""
    subprocess.run subprocess.call subprocess.check_call subprocess.check_output subprocess.Popen pty.spawn
    sh.Command asyncio.create_subprocess_exec ptyprocess.PtyProcess.spawn anyio.run_process anyio.open_process
    trio.run_process
""")
_EXEC = re.compile(r"os\.(?:exec|spawn|posix_spawn)[lvep]*")
_DELETES = words("""
    os.remove os.unlink os.rmdir os.removedirs shutil.rmtree send2trash.send2trash pathlib.Path.unlink
    pathlib.Path.rmdir os.truncate
""")
_MOVES = words("os.rename os.renames os.replace shutil.move")
_COPIES = words("""
    shutil.copy shutil.copy2 shutil.copyfile shutil.copytree os.link shutil.make_archive_ os.symlink
    shutil.copymode
""")
_WRITES = words("os.mkdir os.makedirs os.chmod os.chown os.mkfifo os.utime shutil.chown os.mknod")
_LOOKS = words("os.listdir os.scandir os.walk glob.glob glob.iglob os.chdir os.stat")
_METHOD_DELETES = frozenset({"unlink", "rmdir", "rmtree"})
_METHOD_WRITES = words("write_text write_bytes touch mkdir chmod symlink_to hardlink_to link_to")
_METHOD_READS = frozenset({"read_text", "read_bytes"})
_DYNAMIC = words("""
    eval exec compile builtins.eval builtins.exec runpy.run_path execfile code.interact types.FunctionType
    marshal.loads pickle.loads importlib.import_module __import__ pickle.load
""")
_REPOSITORY = words("git pygit2 dulwich gitdb hglib github gitlab ghapi github3 jj")
_REPOSITORY_CHANGES = words("""
    add commit push pull fetch merge rebase reset checkout stash tag create_tag create_head create_remote
    delete_head delete_tag move remove rm write create_commit set_target create_reference create_branch stage
    add_all create write_tree set_head delete_remote delete_ref init init_repository set_reference checkout_tree
    checkout_head branch cherry_pick revert clean do_commit symbolic_ref update_ref config_writer set_value
    create_pull create_issue create_file update_file delete_file create_git_ref create_git_tag
    create_git_release create_release edit delete upload rename update_index am apply create_tree create_blob
    switch restore gc prune worktree submodule_add porcelain
""")
_MIGRATES = words("""
    alembic.command.upgrade alembic.command.downgrade alembic.command.stamp flask_migrate.upgrade
    flask_migrate.downgrade flask_migrate.stamp yoyo.apply_migrations aerich.Command.upgrade
    playhouse.migrate.migrate
""")
_SQL_METHODS = words("""
    execute executemany executescript raw exec_driver_sql query run_sql read_sql text sql fetch fetchval
    fetchrow do command
""")
_DROPS = words("""
    drop_all create_all drop_database create_database drop_collection delete_many delete_one insert_one
    insert_many update_one update_many replace_one flushall flushdb drop_tables create_tables truncate_table
    drop_table drop_index bulk_write find_one_and_update find_one_and_delete drop_indexes drop_schema
""")
_DATABASES = words("""
    sqlite3 psycopg psycopg2 pymysql MySQLdb asyncpg mysql sqlalchemy pymongo motor redis aioredis cx_Oracle
    oracledb pyodbc duckdb django peewee tortoise databases aiosqlite aiomysql aiopg cassandra clickhouse_driver
    clickhouse_connect snowflake pg8000 records dataset sqlmodel neo4j elasticsearch pony mongoengine
    flask_sqlalchemy app models db boto3 supabase psycopg_pool
""")
_TALKING = words("""
    print len info debug warning error exception log append add join compile match search sub findall split
    fullmatch startswith endswith in_ format write assertEqual assertIn assertTrue get post put patch skipif
    mark route parametrize raises warn Exception ValueError RuntimeError SystemExit dict str int list set tuple
    isinstance replace strip count index equal Path PurePath PosixPath PurePosixPath
""")
"""Calls of which a path among the arguments is only a word."""
_ELSEWHERE = re.compile(r"(?:/(?:etc|home|root|var|proc|sys|opt|srv|mnt|boot|Users|private)(?:/|$)|~/)")
_MAX_NODES = 20_000


def acts(text: str) -> list[Act] | None:
    """
    What the program *text* would do, as far as it matters to any rule; None when it is no Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    reader = _Reader()
    try:
        reader.learn(tree)
        reader.agents()
        reader.read(tree)
    except RecursionError:
        return None
    return reader.found


class _Reader:
    def __init__(self) -> None:
        self.found: list[Act] = []
        self._names: dict[str, str] = {}
        """What a name was imported as: ``s`` → ``subprocess``."""
        self._values: dict[str, object] = {}
        self._modules: set[str] = set()
        self._tree: ast.AST = ast.Module(body=[], type_ignores=[])

    def learn(self, tree: ast.AST) -> None:
        """
        Imports and literal assignments, wherever they stand.
        """
        count = 0
        self._tree = tree
        for node in ast.walk(tree):
            count += 1
            if count > _MAX_NODES:
                break
            if isinstance(node, ast.Import):
                for one in node.names:
                    self._names[one.asname or one.name.split(".")[0]] = (
                        one.name if one.asname else one.name.split(".")[0]
                    )
                    self._modules.add(one.name.split(".")[0])
            elif isinstance(node, ast.ImportFrom) and node.module:
                self._modules.add(node.module.split(".")[0])
                for one in node.names:
                    self._names[one.asname or one.name] = f"{node.module}.{one.name}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                dotted = self._dotted(node.value)
                if (
                    dotted
                    and dotted != name
                    and not isinstance(node.value, ast.Constant)
                    and ("." in dotted or dotted in _DYNAMIC or dotted in self._names.values())
                ):
                    self._names[name] = dotted
                elif (
                    isinstance(node.value, ast.Call)
                    and (made := self._dotted(node.value.func))
                    and made.startswith(("pathlib.", "git.", "pygit2.", "dulwich."))
                ):
                    self._names.setdefault(name, made + "()")
                    self._values[name] = self._value(node.value)
                else:
                    value = self._value(node.value)
                    self._values[name] = None if name in self._values and self._values[name] != value else value
            elif isinstance(node, ast.For | ast.comprehension) and isinstance(node.target, ast.Name):
                self._values[node.target.id] = self._each(node.iter)

    def agents(self) -> None:
        """
        Libraries that are agents, or release tools.
        """
        for module in sorted(
            self._modules
            & words("""
                claude_agent_sdk claude_code_sdk aider interpreter openai_codex autogen crewai smolagents
            """)
        ):
            self._add("agent", module)
        for module in sorted(self._modules & {"bumpversion", "semantic_release", "commitizen", "ghp_import"}):
            self._add("git", module)

    def _each(self, node: ast.AST) -> object:
        while (
            isinstance(node, ast.Call)
            and self._dotted(node.func) in {"sorted", "list", "reversed", "iter", "set"}
            and node.args
        ):
            node = node.args[0]
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"glob", "rglob", "iterdir"}
        ):
            owner = self._value(node.func.value)
            pattern = self._value(node.args[0]) if node.args else "*"
            if isinstance(owner, str):
                return f"{owner}/{pattern if isinstance(pattern, str) else '*'}"
        if isinstance(node, ast.Call) and self._dotted(node.func) in {"glob.glob", "glob.iglob"} and node.args:
            return self._value(node.args[0])
        value = self._value(node)
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            return value[0] if len(value) == 1 else None
        return None

    def read(self, tree: ast.AST) -> None:
        """
        Every call, and what is looked up in the environment.
        """
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                self._call(node)
            elif isinstance(node, ast.Subscript) and self._dotted(node.value) == "os.environ":
                self._add("variable", self._value(node.slice) or "*")
            elif isinstance(node, (ast.Attribute, ast.Name)) and self._dotted(node) == "os.environ":
                self._whole_environment(node)

    def _whole_environment(self, node: ast.AST) -> None:
        self._environment = node

    def _call(self, node: ast.Call) -> None:
        name = self._dotted(node.func) or ""
        last = name.rsplit(".", 1)[-1] if name else node.func.attr if isinstance(node.func, ast.Attribute) else ""
        arguments = [self._value(one) for one in node.args]
        keywords = {one.arg: self._value(one.value) for one in node.keywords if one.arg}
        first = arguments[0] if arguments else keywords.get("args", keywords.get("command", keywords.get("cmd")))
        if name == "getattr" and len(node.args) > 1:
            return
        if isinstance(node.func, ast.Call) and self._dotted(node.func.func) == "getattr" and len(node.func.args) > 1:
            module, attribute = self._dotted(node.func.args[0]), self._value(node.func.args[1])
            name = f"{module}.{attribute}" if module and isinstance(attribute, str) else "exec"
            last = name.rsplit(".", 1)[-1]
        if (
            isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Call)
            and self._dotted(node.func.value.func) in {"__import__", "importlib.import_module"}
        ):
            module = self._value(node.func.value.args[0]) if node.func.value.args else None
            name = f"{module}.{node.func.attr}" if isinstance(module, str) else "exec"
            last = node.func.attr
        for one in node.args:
            if isinstance(one, ast.Attribute | ast.Name) and (passed := self._dotted(one)) in _RUNS_TEXT | _RUNS:
                for other in arguments:
                    for text in other if isinstance(other, list) else []:
                        self._add("argv" if isinstance(text, list) else "text", text)
                del passed
        if name in _RUNS_TEXT:
            self._add("text", first)
        elif name in _RUNS or (name.startswith("sh.") and "sh" in self._modules):
            self._runs(name, node, first, arguments, keywords)
        elif _EXEC.fullmatch(name):
            listed = next((one for one in arguments if isinstance(one, list)), None)
            argv = listed if listed is not None else [one for one in arguments[1:] if isinstance(one, str)]
            program = next((one for one in arguments if isinstance(one, str)), None)
            self._add("argv", [program, *argv[1:]] if isinstance(program, str) and argv else program)
        elif name in _DYNAMIC:
            self._dynamic(name, first, node)
        elif name in _DELETES or (
            isinstance(node.func, ast.Attribute) and last in _METHOD_DELETES and not name.startswith(("os.", "shutil."))
        ):
            self._add(
                "delete", first if name in _DELETES and not name.startswith("pathlib.") else self._owner(node.func)
            )
        elif name in _MOVES:
            self._add("move", arguments[:2] if len(arguments) > 1 else None)
        elif name in _COPIES:
            self._add("read", first)
            self._add("write", arguments[1] if len(arguments) > 1 else None)
        elif name in _WRITES:
            self._add("write", first)
        elif name in {"shutil.make_archive", "shutil.unpack_archive"}:
            self._add("write" if name.endswith("make_archive") else "read", first)
            self._add("look", arguments[-1])
        elif name in words("""
            fileinput.input fileinput.FileInput linecache.getline linecache.getlines numpy.loadtxt
            pandas.read_csv csv.reader configparser.ConfigParser.read tokenize.open zipfile.ZipFile tarfile.open
        """) or (
            name in {"glob.glob", "glob.iglob"} and isinstance(first, str) and first.rsplit("/", 1)[-1].startswith(".")
        ):
            self._add("read", first)
        elif name in _LOOKS:
            self._add("look", first)
        elif name in words("open io.open codecs.open builtins.open os.open gzip.open aiofiles.open"):
            mode = arguments[1] if len(arguments) > 1 else keywords.get("mode", "r")
            writes = not isinstance(mode, str) or any(letter in mode for letter in "wax+")
            self._add("write" if writes and name != "os.open" else "read", first)
        elif isinstance(node.func, ast.Attribute) and last == "open" and self._is_path(node.func.value):
            writes = isinstance(first, str) and any(letter in first for letter in "wax+")
            self._add("write" if writes else "read", self._owner(node.func))
        elif isinstance(node.func, ast.Attribute) and last in _METHOD_WRITES and not name.startswith("os."):
            self._add("write", self._owner(node.func))
            if last == "write_text":
                self._add("content", [self._owner(node.func), first])
        elif (
            isinstance(node.func, ast.Attribute)
            and last == "write"
            and isinstance(node.func.value, ast.Call)
            and self._dotted(node.func.value.func) == "open"
            and node.func.value.args
        ):
            self._add("content", [self._value(node.func.value.args[0]), first])
        elif isinstance(node.func, ast.Attribute) and last in _METHOD_READS:
            self._add("read", self._owner(node.func))
        elif isinstance(node.func, ast.Attribute) and last in {"rename", "replace"} and self._is_path(node.func.value):
            self._add("move", [self._owner(node.func), first])
        elif name in {"os.getenv", "os.environ.get"}:
            self._add("variable", first)
        elif name in words("""
            print json.dumps dict pprint.pprint str repr list sorted requests.post os.environ.items
            os.environ.copy pprint
        """):
            inner = [*node.args, node.func.value] if isinstance(node.func, ast.Attribute) else node.args
            if (
                any(self._dotted(one) in {"os.environ", "os.environ.items", "os.environb"} for one in inner)
                and name != "os.environ.copy"
            ):
                self._add("variable", "*")
        elif name in _MIGRATES:
            self._add("db", name)
        elif name in {
            "django.core.management.call_command",
            "call_command",
            "management.call_command",
            "django.core.management.execute_from_command_line",
            "execute_from_command_line",
        }:
            argv = (
                first if isinstance(first, list) else ["manage.py", *(one for one in arguments if isinstance(one, str))]
            )
            self._add("argv", ["manage.py", *argv[1:]])
        elif name in {"alembic.config.main", "config.main"} and "alembic" in self._modules:
            argv = keywords.get("argv", first)
            self._add("argv", ["alembic", *argv] if isinstance(argv, list) else None)
        elif last in _DROPS and self._modules & _DATABASES:
            self._add("db", last)
        elif (last in {"system", "popen", "getoutput"} and isinstance(first, str) and " " in first) or (
            last in {"run", "sudo", "local", "shell", "command", "cmd"}
            and isinstance(node.func, ast.Attribute)
            and isinstance(first, str)
            and re.match(r"\s*(?:git|rm|gh|psql|alembic|sudo|curl|sh|bash)\s", first)
        ):
            self._add("text", first)
        elif last in {"apply_migrations", "run_migrations", "upgrade_db", "remove_tree"}:
            self._add("delete" if last == "remove_tree" else "db", first if last == "remove_tree" else last)
        elif self._modules & {"git", "dulwich"} and last == "execute" and isinstance(first, list):
            self._add("argv", first)
        elif (
            last in words("delete update create save bulk_create bulk_update get_or_create update_or_create")
            and isinstance(node.func, ast.Attribute)
            and ".objects" in ast.unparse(node.func)[:200]
        ):
            self._add("db", last)
        elif last in {"dotenv_values", "load_dotenv"} and isinstance(first, str) and last == "dotenv_values":
            self._add("read", first)
        elif last == "executescript" and not isinstance(first, str) and not self._memory(node.func):
            self._add("sql", None)
        elif name in {"sys.path.insert", "sys.path.append", "site.addsitedir"}:
            self._add("look", arguments[-1] if arguments else None)
        elif last in _SQL_METHODS and isinstance(first, str):
            if not (name.startswith("sqlite3.connect") and self._memory(node.func)):
                self._add("sql", first)
        elif self._modules & _REPOSITORY and last in _REPOSITORY_CHANGES and self._of_repository(node.func):
            self._add("git", name or last)
        elif last in {"dup2", "spawn"} and "socket" in self._modules:
            self._add("opaque", "a shell for whoever connects")
        elif last == "expandvars" and isinstance(first, str):
            self._add("variable", first.strip("${}"))
        elif (
            name in {"os.kill", "os.killpg"}
            and node.args
            and self._dotted(node.args[0].func if isinstance(node.args[0], ast.Call) else node.args[0]) == "os.getppid"
        ):
            self._add("opaque", "its parent process would be ended")
        elif name.startswith(("ctypes.CDLL", "ctypes.cdll")) or last == "LoadLibrary":
            self._add("foreign", name)
        elif (
            last
            in words("""
                delete delete_table drop batch_write_item put_item delete_item update_item delete_db_instance
                terminate_instances
            """)
            and "boto3" in self._modules
        ):
            self._add("db", last)
        elif name == "os.fork" and any(isinstance(one, ast.While) for one in ast.walk(self._tree)):
            self._add("opaque", "it would start itself again and again")
        elif name.rsplit(".", 1)[-1] not in _TALKING and not (
            isinstance(node.func, ast.Attribute) and isinstance(self._value(node.func.value), str)
        ):
            for one in [*arguments, *keywords.values()]:
                if isinstance(one, str) and _ELSEWHERE.match(one) and "\n" not in one:
                    self._add("look", one)

    def _memory(self, func: ast.AST) -> bool:
        return ":memory:" in ast.dump(func)

    def _runs(
        self, name: str, node: ast.Call, first: object, arguments: list[object], keywords: dict[str, object]
    ) -> None:
        if name.startswith("sh.") and name != "sh.Command":
            self._add(
                "argv", [*name[3:].replace("_", "-").split("."), *(one for one in arguments if isinstance(one, str))]
            )
        elif name in {"asyncio.create_subprocess_exec"}:
            self._add("argv", arguments if arguments and all(isinstance(one, str) for one in arguments) else first)
        elif isinstance(first, str) and (keywords.get("shell") or " " in first):
            self._add("text", first)
        else:
            self._add("argv", [first] if isinstance(first, str) else first)

    def _dynamic(self, name: str, first: object, node: ast.Call) -> None:
        if name == "compile" or name in {"importlib.import_module", "__import__"}:
            if isinstance(first, str):
                self._modules.add(first.split(".")[0])
                if name == "compile":
                    self._add("python", first)
            return
        if name.startswith(("pickle", "marshal")) and not isinstance(first, bytes | str):
            return
        plain = bool(node.args) and isinstance(node.args[0], ast.Constant | ast.JoinedStr | ast.Name)
        if isinstance(first, str) and plain and name in {"eval", "exec", "builtins.eval", "builtins.exec"}:
            self._add("python", first)
        elif (
            node.args
            and isinstance(node.args[0], ast.Call)
            and self._dotted(node.args[0].func) in {"compile", "open"}
            and name == "exec"
            and isinstance(self._value(node.args[0].args[0]) if node.args[0].args else None, str)
        ):
            pass  # followed by itself
        else:
            self._add("opaque", f"what {name} would run is only known when it runs")

    def _of_repository(self, node: ast.AST) -> bool:
        while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
            node = node.func if isinstance(node, ast.Call) else node.value
        return (
            isinstance(node, ast.Name)
            and node.id not in words("print set list dict os re json sys")
            and not isinstance(self._values.get(node.id), list | str)
        )

    def _is_path(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return self._names.get(node.id, "").startswith("pathlib.") or (
                isinstance(self._values.get(node.id), str) and "/" in str(self._values.get(node.id))
            )
        if isinstance(node, ast.BinOp):
            return self._is_path(node.left)
        return (
            isinstance(node, ast.Call)
            and (self._dotted(node.func) or "").rsplit(".", 1)[-1]
            in words("Path PurePath PosixPath joinpath cwd home with_suffix with_name")
        ) or (isinstance(node, ast.Attribute) and self._is_path(node.value))

    def _owner(self, func: ast.expr) -> object:
        return self._value(func.value) if isinstance(func, ast.Attribute) else None

    def _add(self, kind: str, what: object) -> None:
        self.found.append(Act(kind, what))  # type: ignore[arg-type]

    def _dotted(self, node: ast.AST) -> str | None:
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Call):
            inner = self._dotted(node.func)
            if (
                inner in {"__import__", "importlib.import_module"}
                and node.args
                and isinstance(module := self._value(node.args[0]), str)
            ):
                parts.append(module)
                return ".".join(reversed(parts))
            return ".".join([f"{inner}()", *reversed(parts)]) if inner and parts else None
        if not isinstance(node, ast.Name):
            return None
        parts.append(self._names.get(node.id, node.id))
        return ".".join(reversed(parts))

    # -- values ------------------------------------------------------------------------------------------------------

    def _value(self, node: ast.AST | None) -> object:
        """
        The literal value of an expression, as a string or a list of strings, or None.
        """
        match node:
            case ast.Constant():
                return node.value.decode(errors="replace") if isinstance(node.value, bytes) else node.value
            case ast.Name():
                return self._values.get(node.id)
            case ast.List() | ast.Tuple():
                items: list[object] = []
                for one in node.elts:
                    value = self._value(one.value if isinstance(one, ast.Starred) else one)
                    items += value if isinstance(one, ast.Starred) and isinstance(value, list) else [value]
                return items
            case ast.JoinedStr():
                parts = [
                    self._value(one.value) if isinstance(one, ast.FormattedValue) else self._value(one)
                    for one in node.values
                ]
                return "".join("\ue000(…)\ue001" if part is None else str(part) for part in parts)
            case ast.BinOp():
                return self._joined(node)
            case ast.Call():
                return self._called(node)
            case ast.Attribute():
                if self._dotted(node) == "sys.executable":
                    return "python3"
                inner = self._value(node.value)
                return inner if node.attr in {"parent"} and isinstance(inner, str) else None
            case ast.Subscript():
                inner, at = self._value(node.value), self._value(node.slice)
                if isinstance(node.slice, ast.Slice) and isinstance(inner, str | list):
                    bounds = [self._value(one) for one in (node.slice.lower, node.slice.upper, node.slice.step)]
                    return (
                        inner[slice(*(one if isinstance(one, int) else None for one in bounds))]
                        if not any(isinstance(one, int) and one == 0 for one in bounds[2:])
                        else None
                    )
                return (
                    inner[at]
                    if isinstance(inner, str | list) and isinstance(at, int) and -len(inner) <= at < len(inner)
                    else None
                )
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)):
                return -number
            case _:
                return None

    def _joined(self, node: ast.BinOp) -> object:
        left, right = self._value(node.left), self._value(node.right)
        if isinstance(node.op, ast.Add):
            if isinstance(left, list) and isinstance(right, list):
                return left + right
            if isinstance(left, str) or isinstance(right, str):
                return "".join("\ue000(…)\ue001" if one is None else str(one) for one in (left, right))
        elif isinstance(node.op, ast.Div) and (isinstance(left, str) or isinstance(right, str)):
            return posixpath.join(
                left if isinstance(left, str) else "\ue000(…)\ue001",
                right if isinstance(right, str) else "\ue000(…)\ue001",
            )
        elif isinstance(node.op, ast.Mod) and isinstance(left, str):
            values = right if isinstance(right, list) else [right]
            try:
                return left % tuple("\ue000(…)\ue001" if one is None else one for one in values)
            except (TypeError, ValueError):
                return left
        elif isinstance(node.op, ast.Mult) and isinstance(left, str) and isinstance(right, int):
            return left * min(right, 64)
        return None

    def _called(self, node: ast.Call) -> object:
        name = self._dotted(node.func) or ""
        arguments = [self._value(one) for one in node.args]
        last = node.func.attr if isinstance(node.func, ast.Attribute) else name.rsplit(".", 1)[-1]
        first = arguments[0] if arguments else None
        owner = self._value(node.func.value) if isinstance(node.func, ast.Attribute) else None
        if (
            name.rsplit(".", 1)[-1]
            in words("Path PurePath PosixPath str abspath expanduser realpath fspath normpath list tuple")
            and arguments
        ):
            if last == "Path" and len(arguments) > 1 and all(isinstance(one, str) for one in arguments):
                return posixpath.join(*arguments)  # type: ignore[arg-type]
            return first
        if name in {"os.path.join"} and isinstance(first, str):
            return posixpath.join(*(one if isinstance(one, str) else "\ue000(…)\ue001" for one in arguments))  # type: ignore[arg-type]
        if name.endswith(("Path.home", "path.expanduser")):
            return "~"
        if name.endswith(("Path.cwd", "os.getcwd")):
            return "."
        if last == "split" and name == "shlex.split" and isinstance(first, str):
            return first.split()
        if last in {"b64decode", "urlsafe_b64decode", "fromhex", "unhexlify"} and isinstance(first, str):
            return _decoded(last, first)
        if last == "chr" and isinstance(first, int):
            return chr(first) if 0 <= first < 0x110000 else None
        if isinstance(owner, str):
            return _method(owner, last, arguments)
        if last == "decode" and owner is None and isinstance(node.func, ast.Attribute):
            return self._value(node.func.value)
        return None


def _method(owner: str, name: str, arguments: list[object]) -> object:
    first = arguments[0] if arguments else None
    match name:
        case "join" if isinstance(first, list):
            return owner.join(one if isinstance(one, str) else "\ue000(…)\ue001" for one in first)
        case "split":
            return owner.split(first if isinstance(first, str) and first else None)
        case "format":
            return re.sub(
                r"\{[^{}]*\}",
                lambda _: str(arguments.pop(0)) if arguments and arguments[0] is not None else "\ue000(…)\ue001",
                owner,
            )
        case "replace" if len(arguments) > 1 and isinstance(first, str) and isinstance(arguments[1], str):
            return owner.replace(first, arguments[1])
        case (
            "strip"
            | "lower"
            | "upper"
            | "lstrip"
            | "rstrip"
            | "expanduser"
            | "resolve"
            | "absolute"
            | "decode"
            | "encode"
            | "as_posix"
        ):
            return (
                owner.lower()
                if name == "lower"
                else owner.upper()
                if name == "upper"
                else owner.strip()
                if "strip" in name
                else owner
            )
        case "joinpath" | "with_name" if isinstance(first, str):
            return posixpath.join(owner, first)
        case "glob" | "rglob" | "iterdir":
            return None
        case _:
            return None


def _decoded(name: str, text: str) -> str | None:
    import base64
    import binascii

    try:
        if name in {"fromhex", "unhexlify"}:
            return bytes.fromhex(text).decode(errors="replace")
        return base64.b64decode(text, altchars=b"-_" if name.startswith("url") else None).decode(errors="replace")
    except (binascii.Error, ValueError):
        return None
