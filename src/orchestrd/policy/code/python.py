"""
Python given as text: what it runs, deletes, writes, reads and imports, by its syntax tree.
"""

from __future__ import annotations

import ast

from orchestrd.policy.code import pythoncalls as known
from orchestrd.policy.code.acts import Act, Kind
from orchestrd.policy.code.call import Call
from orchestrd.policy.code.constants import Constants
from orchestrd.policy.code.references import handed_on
from orchestrd.policy.code.stores import Stores
from orchestrd.policy.code.syntax import Program, program


def acts(text: str) -> list[Act] | None:
    """
    What the program *text* would do, as far as it matters to any rule; None when it is no Python.
    """
    found = program(text)
    try:
        return None if found is None else _Reader(found).read()
    except (ValueError, RecursionError, MemoryError):
        return None


class _Reader:
    def __init__(self, whole: Program) -> None:
        self._nodes = whole.nodes
        self._constants = Constants(whole.nodes)
        self._modules = self._constants.modules
        self._found: list[Act] = []
        self._stores = Stores(whole, self._constants, self._name, self._add)
        self._kinds = (
            self._runs, self._evaluates, self._changes_files, self._reads_files, self._uses_path, self._shows,
            self._stores.migrates, self._tells_a_shell, self._stores.tells_a_database,
            self._stores.changes_repository, self._is_hostile, self._names_places,
        )  # fmt: skip
        """The first that knows a call has it."""

    def read(self) -> list[Act]:
        """
        Every import, every call, and what is looked up in the environment.
        """
        for module in sorted(self._modules & known.AGENTS):
            self._add("agent", module)
        for module in sorted(self._modules & known.RELEASING):
            self._add("git", module)
        for node in self._nodes:
            if isinstance(node, ast.Call):
                self._read_call(node)
            elif isinstance(node, ast.Subscript) and self._dotted(node.value) == "os.environ":
                self._add("variable", self._value(node.slice) or "*")
        self._found += handed_on(self._nodes, self._constants)
        return self._found

    def _read_call(self, node: ast.Call) -> None:
        name = self._name(node)
        if name == "getattr" and len(node.args) > 1:
            return
        attribute = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        arguments = [self._value(one) for one in node.args]
        keywords = {one.arg: self._value(one.value) for one in node.keywords if one.arg}
        first = arguments[0] if arguments else keywords.get("args", keywords.get("command", keywords.get("cmd")))
        call = Call(node, name, name.rsplit(".", 1)[-1] if name else attribute, arguments, keywords, first)
        for kind in self._kinds:
            if kind(call):
                return

    def _name(self, node: ast.Call) -> str:
        """
        The full name of what *node* calls; ``exec`` where that is only known when it runs.
        """
        func = node.func
        if isinstance(func, ast.Call) and self._dotted(func.func) == "getattr" and len(func.args) > 1:
            module, attribute = self._dotted(func.args[0]), self._value(func.args[1])
            return f"{module}.{attribute}" if module and isinstance(attribute, str) else "exec"
        if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Call):
            imported = func.value
            if self._dotted(imported.func) in known.IMPORTS:
                module = self._text(imported.args[0]) if imported.args else None
                return f"{module}.{func.attr}" if module is not None else "exec"
        if isinstance(func, ast.Subscript):
            return self._looked_up(func)
        return self._dotted(func) or ""

    def _looked_up(self, node: ast.Subscript) -> str:
        """
        ``os.__dict__["remove"]``, ``vars(os)["remove"]``.
        """
        base: ast.expr | None = None
        if isinstance(node.value, ast.Attribute) and node.value.attr == "__dict__":
            base = node.value.value
        elif isinstance(node.value, ast.Call) and self._dotted(node.value.func) == "vars" and node.value.args:
            base = node.value.args[0]
        module = self._dotted(base) if base is not None else None
        if module not in known.MODULES:
            return ""
        attribute = self._value(node.slice)
        return f"{module}.{attribute}" if isinstance(attribute, str) else "exec"

    # -- what is run -------------------------------------------------------------------------------------------------

    def _runs(self, call: Call) -> bool:
        name, first, strings = call.name, call.first, call.strings
        if name in known.RUNS_TEXT:
            self._add("text", first)
        elif name.startswith("sh.") and name != "sh.Command" and "sh" in self._modules:
            self._add("argv", [*name[3:].replace("_", "-").split("."), *strings])
        elif (bound := self._bound(call.node.func)) is not None:
            self._add("argv", [*bound, *strings])
        elif name in {"pydoc.pipepager", "webbrowser.GenericBrowser"}:
            command = call.arguments[-1] if call.arguments else None
            self._add("argv" if isinstance(command, list) else "text", command)
        elif name == "asyncio.create_subprocess_exec":
            self._add("argv", call.arguments if call.arguments and len(strings) == len(call.arguments) else first)
        elif name in known.RUNS:
            if isinstance(first, str) and (call.keywords.get("shell") or " " in first):
                self._add("text", first)
            else:
                self._add("argv", [first] if isinstance(first, str) else first)
        elif known.EXEC.fullmatch(name):
            listed = next((one for one in call.arguments if isinstance(one, list)), None)
            argv = listed if listed is not None else _strings(call.arguments[1:])
            program = strings[0] if strings else None
            self._add("argv", [program, *argv[1:]] if program is not None and argv else program)
        else:
            return False
        return True

    def _bound(self, node: ast.expr) -> list[object] | None:
        """
        The program, with arguments, that plumbum's ``git``, ``local["git"]`` or ``local["git"]["push"]`` stand for.
        """
        given: list[object] = []
        while isinstance(node, ast.Subscript):
            value = self._value(node.slice)
            given[:0] = value if isinstance(value, list) else [value]
            node = node.value
        name = self._dotted(node) or ""
        if name == "plumbum.local":
            return given or None
        module, _, program = name.rpartition(".")
        return [program.replace("_", "-"), *given] if module in {"plumbum.cmd", "plumbum.local.cmd"} else None

    def _evaluates(self, call: Call) -> bool:
        name, first = call.name, call.first
        if name not in known.DYNAMIC:
            return False
        argument = call.node.args[0] if call.node.args else None
        if name == "compile" or name in known.IMPORTS:
            if isinstance(first, str):
                self._modules.add(first.split(".")[0])
                if name == "compile":
                    self._add("python", first)
        elif name.startswith(("pickle", "marshal")) and not isinstance(first, str):
            pass  # data of its own, as far as is known
        elif (
            isinstance(first, str)
            and isinstance(argument, ast.Constant | ast.JoinedStr | ast.Name)
            and name in known.EVALUATES
        ):
            self._add("python", first)
        elif not (name == "exec" and self._followed_by_itself(argument)):
            self._add("opaque", f"what {name} would run is only known when it runs")
        return True

    def _followed_by_itself(self, node: ast.expr | None) -> bool:
        """
        ``compile("…")`` and ``open("…")`` are calls of their own.
        """
        if not isinstance(node, ast.Call) or self._dotted(node.func) not in {"compile", "open"}:
            return False
        return bool(node.args) and self._text(node.args[0]) is not None

    def _tells_a_shell(self, call: Call) -> bool:
        """
        Methods of libraries that are not known, when what they are given is a command line.
        """
        if not isinstance(call.first, str):
            return False
        runs = call.last in {"system", "popen", "getoutput"} and " " in call.first
        tells = call.last in {"run", "sudo", "local", "shell", "command", "cmd"} and call.owner is not None
        if not runs and not (tells and known.COMMAND.match(call.first)):
            return False
        self._add("text", call.first)
        return True

    # -- files -------------------------------------------------------------------------------------------------------

    def _changes_files(self, call: Call) -> bool:
        name, arguments = call.name, call.arguments
        method = call.owner is not None and call.last in known.METHOD_DELETES
        if name in known.DELETES or (method and not name.startswith(("os.", "shutil."))):
            plain = name in known.DELETES and not name.startswith("pathlib.")
            self._add("delete", call.first if plain else self._value(call.owner))
        elif call.last in {"extractall", "extract"} and call.owner is not None:
            place = call.keywords.get("path", call.first if call.last == "extractall" else None)
            self._add("write", place)
        elif call.last in {"remove_tree", "removetree"}:
            self._add("delete", call.first)
        elif name in known.MOVES:
            self._add("move", arguments[:2] if len(arguments) > 1 else None)
        elif name in known.LINKS:
            self._add("argv", ["ln", *(arguments[:2] if len(arguments) > 1 else [None])])
        elif name in known.COPIES:
            self._add("read", call.first)
            self._add("write", arguments[1] if len(arguments) > 1 else None)
        elif name in known.WRITES:
            self._add("write", call.first)
        elif name in {"shutil.make_archive", "shutil.unpack_archive"}:
            self._add("write" if name.endswith("make_archive") else "read", call.first)
            self._add("look", arguments[-1] if arguments else None)
        else:
            return False
        return True

    def _reads_files(self, call: Call) -> bool:
        name, first = call.name, call.first
        if call.last == "dotenv_values" and not (call.arguments or call.keywords):
            first = ".env"  # where it looks by itself
        hidden = name in known.GLOBS and isinstance(first, str) and first.rsplit("/", 1)[-1].startswith(".")
        if name in known.READS or hidden or (call.last == "dotenv_values" and isinstance(first, str)):
            self._add("read", first)
        elif call.last == "urlopen" and isinstance(first, str) and first.startswith("file:"):
            self._add("read", first.removeprefix("file:").removeprefix("//"))
        elif name in known.LOOKS:
            self._add("look", first)
        elif name in {"sys.path.insert", "sys.path.append", "site.addsitedir"}:
            self._add("look", call.arguments[-1] if call.arguments else None)
        elif name in known.OPENS:
            mode = call.arguments[1] if len(call.arguments) > 1 else call.keywords.get("mode", "r")
            writes = name != "os.open" and (not isinstance(mode, str) or _writes(mode))
            self._add("write" if writes else "read", first)
        else:
            return False
        return True

    def _uses_path(self, call: Call) -> bool:
        """
        Methods of pathlib's paths and of open files.
        """
        owner, last, first = call.owner, call.last, call.first
        if owner is None:
            return False
        if last == "open" and self._constants.is_path(owner):
            self._add("write" if isinstance(first, str) and _writes(first) else "read", self._value(owner))
        elif last in known.METHOD_WRITES and not call.name.startswith("os."):
            self._add("write", self._value(owner))
            if last in known.METHOD_LINKS:
                self._add("argv", ["ln", *([self._value(owner), first][:: 1 if last == "link_to" else -1])])
            if last == "write_text":
                self._add("content", [self._value(owner), first])
        elif last == "write" and isinstance(owner, ast.Call) and self._dotted(owner.func) == "open" and owner.args:
            self._add("content", [self._value(owner.args[0]), first])
        elif last in known.METHOD_READS:
            self._add("read", self._value(owner))
        elif last in {"rename", "replace"} and self._constants.is_path(owner):
            self._add("move", [self._value(owner), first])
        else:
            return False
        return True

    def _names_places(self, call: Call) -> bool:
        """
        Calls that are not known: a path outside among their arguments is one that they use.
        """
        of_string = call.owner is not None and isinstance(self._value(call.owner), str)
        if call.name.rsplit(".", 1)[-1] in known.TALKING or of_string:
            return False
        for one in [*call.arguments, *call.keywords.values()]:
            if isinstance(one, str) and known.ELSEWHERE.match(one) and "\n" not in one:
                self._add("look", one)
        return True

    # -- the environment ---------------------------------------------------------------------------------------------

    def _shows(self, call: Call) -> bool:
        if call.name in {"os.getenv", "os.environ.get"}:
            self._add("variable", call.first)
        elif call.last == "expandvars" and isinstance(call.first, str):
            self._add("variable", call.first.strip("${}"))
        elif call.name in known.SHOWS:
            shown = [*call.node.args, call.owner] if call.owner is not None else call.node.args
            if any(map(self._is_environment, shown)):
                self._add("variable", "*")
        elif call.name.startswith("keyring.get_"):
            self._add("variable", "*")
        else:
            return call.name == "os.environ.copy"
        return True

    def _is_environment(self, node: ast.expr) -> bool:
        """
        True for the environment, a copy of it, and what it is unpacked into.
        """
        if isinstance(node, ast.Dict):
            return any(
                key is None and self._is_environment(one) for key, one in zip(node.keys, node.values, strict=True)
            )
        if isinstance(node, ast.Call) and self._dotted(node.func) == "os.environ.copy":
            return True
        return self._dotted(node) in known.ENVIRONMENT

    # -- what nobody should do ---------------------------------------------------------------------------------------

    def _is_hostile(self, call: Call) -> bool:
        if call.last in {"dup2", "spawn"} and "socket" in self._modules:
            self._add("opaque", "a shell for whoever connects")
        elif call.name in {"os.kill", "os.killpg"} and self._is_parent(call.node.args):
            self._add("opaque", "its parent process would be ended")
        elif call.name in {"os.kill", "os.killpg"} and isinstance(call.first, int):
            self._add("opaque", "a process that is not its own would be ended")
        elif call.name.startswith(("ctypes.CDLL", "ctypes.cdll")) or call.last == "LoadLibrary":
            self._add("foreign", call.name)
        elif call.name == "os.fork" and any(isinstance(one, ast.While) for one in self._nodes):
            self._add("opaque", "it would start itself again and again")
        else:
            return False
        return True

    def _is_parent(self, arguments: list[ast.expr]) -> bool:
        first = arguments[0] if arguments else None
        return first is not None and self._dotted(first.func if isinstance(first, ast.Call) else first) == "os.getppid"

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _add(self, kind: Kind, what: object) -> None:
        self._found.append(Act(kind, what))

    def _dotted(self, node: ast.AST) -> str | None:
        return self._constants.dotted(node)

    def _value(self, node: ast.AST | None) -> object:
        return self._constants.value(node)

    def _text(self, node: ast.AST) -> str | None:
        value = self._constants.value(node)
        return value if isinstance(value, str) else None


def _strings(values: list[object]) -> list[str]:
    return [one for one in values if isinstance(one, str)]


def _writes(mode: str) -> bool:
    return any(letter in mode for letter in "wax+")
