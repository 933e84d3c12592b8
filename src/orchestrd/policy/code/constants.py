"""
What the names and expressions of a Python program stand for, as far as they are literal.

Strings are followed through assignments, concatenation, formatting, joins and paths; what is not known in one is a
hole.
"""

from __future__ import annotations

import ast
import base64
import binascii
import posixpath
import re
from collections.abc import Sequence

from orchestrd.policy.code.pythoncalls import DYNAMIC, GLOBS, IMPORTS, MAKES_PATH, SINKS
from orchestrd.policy.shell.marks import HOLE
from orchestrd.policy.tables import words

_MAX_NODES = 20_000
_MAX_LENGTH = 20_000
"""
A longer string (characters) or list that a program puts together is not worked out: a few doublings fill a memory.
"""
_MAX_REPEATS = 64
_WIDE = re.compile(r"%[-+ #0]*(?:\d{4,}|\*|\d*\.(?:\d{4,}|\*))")
"""A conversion that makes a text as long as it likes."""
_TRANSPARENT = words("Path PurePath PosixPath str abspath expanduser realpath fspath normpath list tuple")
"""Calls that give back what they are given, as far as it matters here."""
_ORDERING = frozenset({"sorted", "list", "reversed", "iter", "set"})
_DECODING = frozenset({"b64decode", "urlsafe_b64decode", "fromhex", "unhexlify"})
_KEPT = words("expanduser resolve absolute decode encode as_posix")
"""Methods whose result is the string itself, as far as it matters here."""


class Constants:
    """
    *modules* has the top level of everything that is imported.
    """

    def __init__(self, nodes: Sequence[ast.AST]) -> None:
        """
        Learn imports and literal assignments among the *nodes* of a program.
        """
        self.modules: set[str] = set()
        self._names: dict[str, str] = {}
        """What a name was imported as: ``s`` → ``subprocess``."""
        self._values: dict[str, object] = {}
        self._calls: dict[ast.Call, object] = {}
        """What calls give, as long as nothing new is learned: they may stand in each other."""
        for node in nodes[:_MAX_NODES]:
            self._learn_import(node)
        for node in nodes:
            self._calls.clear()
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                self._learn_value(node.targets[0].id, node.value)
            elif isinstance(node, ast.For | ast.comprehension) and isinstance(node.target, ast.Name):
                self._values[node.target.id] = self._each(node.iter)
        self._calls.clear()

    def dotted(self, node: ast.AST) -> str | None:
        """
        The full name of what *node* names: ``s.run`` → ``subprocess.run``; of what a call returns, ``Path().unlink``.
        """
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Call):
            inner = self.dotted(node.func)
            if inner in IMPORTS and node.args and isinstance(module := self.value(node.args[0]), str):
                return ".".join([module, *reversed(parts)])
            return ".".join([f"{inner}()", *reversed(parts)]) if inner and parts else None
        if not isinstance(node, ast.Name):
            return None
        return ".".join([self._names.get(node.id, node.id), *reversed(parts)])

    def value(self, node: ast.AST | None) -> object:
        """
        The literal value of an expression, as a string, a number or a list of such, or None.
        """
        if isinstance(node, ast.Constant):
            return node.value.decode(errors="replace") if isinstance(node.value, bytes) else node.value
        if isinstance(node, ast.Name):
            return self._values.get(node.id)
        found = self._composed(node)
        return None if isinstance(found, str | list) and len(found) > _MAX_LENGTH else found

    def is_path(self, node: ast.AST) -> bool:
        """
        True when *node* is one of pathlib's paths, by what it was made from.
        """
        match node:
            case ast.Name():
                known = self._values.get(node.id)
                made = self._names.get(node.id, "")
                return made.startswith("pathlib.") or (isinstance(known, str) and "/" in known)
            case ast.BinOp():
                return self.is_path(node.left)
            case ast.Call():
                return (self.dotted(node.func) or "").rsplit(".", 1)[-1] in MAKES_PATH
            case ast.Attribute():
                return self.is_path(node.value)
            case _:
                return False

    def is_plain(self, name: str) -> bool:
        """
        True when the variable *name* holds a literal string or list.
        """
        return isinstance(self._values.get(name), list | str)

    # -- learning ----------------------------------------------------------------------------------------------------

    def _learn_import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for one in node.names:
                top = one.name.split(".")[0]
                self._names[one.asname or top] = one.name if one.asname else top
                self.modules.add(top)
        elif isinstance(node, ast.ImportFrom) and node.module:
            self.modules.add(node.module.split(".")[0])
            for one in node.names:
                if one.name == "*":
                    self._names |= {
                        name.rsplit(".", 1)[-1]: name for name in SINKS if name.rpartition(".")[0] == node.module
                    }
                    self._names |= {"Path": "pathlib.Path"} if node.module == "pathlib" else {}
                else:
                    self._names[one.asname or one.name] = f"{node.module}.{one.name}"

    def _learn_value(self, name: str, node: ast.expr) -> None:
        dotted = self.dotted(node)
        made = self.dotted(node.func) if isinstance(node, ast.Call) else None
        if dotted and dotted != name and ("." in dotted or dotted in DYNAMIC or dotted in self._names.values()):
            self._names[name] = dotted
        elif made and made.startswith(("pathlib.", "git.", "pygit2.", "dulwich.")):
            self._names.setdefault(name, made + "()")
            self._values[name] = self.value(node)
        else:
            value = self.value(node)
            self._values[name] = None if name in self._values and self._values[name] != value else value

    def _each(self, node: ast.AST) -> object:
        """
        What stands for each item of *node*: of files that are looked for, the pattern.
        """
        while isinstance(node, ast.Call) and self.dotted(node.func) in _ORDERING and node.args:
            node = node.args[0]
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr in {"glob", "rglob", "iterdir"}:
                owner = self.value(node.func.value)
                pattern = self.value(node.args[0]) if node.args else "*"
                if isinstance(owner, str):
                    return f"{owner}/{pattern if isinstance(pattern, str) else '*'}"
            if self.dotted(node.func) in GLOBS and node.args:
                return self.value(node.args[0])
        value = self.value(node)
        return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) else None

    # -- expressions -------------------------------------------------------------------------------------------------

    def _composed(self, node: ast.AST | None) -> object:
        match node:
            case ast.List() | ast.Tuple():
                items: list[object] = []
                for one in node.elts:
                    value = self.value(one.value if isinstance(one, ast.Starred) else one)
                    items += value if isinstance(one, ast.Starred) and isinstance(value, list) else [value]
                return items
            case ast.JoinedStr():
                parts = (one.value if isinstance(one, ast.FormattedValue) else one for one in node.values)
                return _together([_text(self.value(one)) for one in parts])
            case ast.BinOp():
                return self._joined(node)
            case ast.Call():
                if node not in self._calls:
                    self._calls[node] = self._called(node)
                return self._calls[node]
            case ast.Attribute():
                if self.dotted(node) == "sys.executable":
                    return "python3"
                owner = self.value(node.value)
                return owner if node.attr == "parent" and isinstance(owner, str) else None
            case ast.Subscript():
                return self._part(node)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)):
                return -number
            case _:
                return None

    def _part(self, node: ast.Subscript) -> object:
        """
        An item or a slice of a string or a list.
        """
        whole = self.value(node.value)
        if not isinstance(whole, str | list):
            return None
        if isinstance(node.slice, ast.Slice):
            bounds = [self.value(one) for one in (node.slice.lower, node.slice.upper, node.slice.step)]
            start, stop, step = (one if isinstance(one, int) else None for one in bounds)
            return whole[slice(start, stop, step)] if step != 0 else None
        at = self.value(node.slice)
        return whole[at] if isinstance(at, int) and -len(whole) <= at < len(whole) else None

    def _joined(self, node: ast.BinOp) -> object:
        left, right = self.value(node.left), self.value(node.right)
        match node.op:
            case ast.Add() if isinstance(left, list) and isinstance(right, list):
                return left + right
            case ast.Add() if isinstance(left, str) or isinstance(right, str):
                return _text(left) + _text(right)
            case ast.Div() if isinstance(left, str) or isinstance(right, str):
                return _path([left, right])
            case ast.Mod() if isinstance(left, str):
                return _formatted(left, right if isinstance(right, list) else [right])
            case ast.Mult() if isinstance(left, str) and isinstance(right, int):
                return left * min(right, _MAX_REPEATS)
            case _:
                return None

    def _called(self, node: ast.Call) -> object:
        name = self.dotted(node.func) or ""
        arguments = [self.value(one) for one in node.args]
        owner = self.value(node.func.value) if isinstance(node.func, ast.Attribute) else None
        last = node.func.attr if isinstance(node.func, ast.Attribute) else name.rsplit(".", 1)[-1]
        first = arguments[0] if arguments else None
        if arguments and name.rsplit(".", 1)[-1] in _TRANSPARENT:
            parts = [one for one in arguments if isinstance(one, str)]
            return _path(arguments) if last == "Path" and 1 < len(parts) == len(arguments) else first
        if name == "os.path.join" and isinstance(first, str):
            return _path(arguments)
        if name.endswith(("Path.home", "path.expanduser")):
            return "~"
        if name.endswith(("Path.cwd", "os.getcwd")):
            return "."
        if name == "shlex.split" and isinstance(first, str):
            return first.split()
        if last in _DECODING and isinstance(first, str):
            return _decoded(last, first)
        if last == "chr" and isinstance(first, int):
            return chr(first) if 0 <= first < 0x110000 else None
        return _method(owner, last, arguments) if isinstance(owner, str) else None


def _text(value: object) -> str:
    return HOLE if value is None or isinstance(value, list) else str(value)


def _string(value: object) -> str:
    return value if isinstance(value, str) else HOLE


def _together(parts: list[str], separator: str = "") -> str | None:
    size = len(separator) * len(parts) + sum(map(len, parts))
    return separator.join(parts) if size <= _MAX_LENGTH else None


def _path(parts: list[object]) -> str | None:
    strings = [_string(one) for one in parts]
    return None if _together(strings) is None else posixpath.join(*strings)


def _formatted(pattern: str, values: list[object]) -> str:
    if _WIDE.search(pattern) or _together([_text(one) for one in values]) is None:
        return pattern
    try:
        return pattern % tuple(HOLE if one is None else one for one in values)
    except (TypeError, ValueError):
        return pattern


def _method(owner: str, name: str, arguments: list[object]) -> object:
    """
    What the string *owner* gives when its method *name* is called.
    """
    first = arguments[0] if arguments else None
    match name:
        case "join" if isinstance(first, list):
            return _together([_string(one) for one in first], owner)
        case "split":
            return owner.split(first if isinstance(first, str) and first else None)
        case "format":
            values = iter([_text(one) for one in arguments])
            known = _together([_text(one) for one in arguments]) is not None
            return re.sub(r"\{[^{}]*\}", lambda _: next(values, HOLE), owner) if known else None
        case "replace" if len(arguments) > 1 and isinstance(first, str) and isinstance(arguments[1], str):
            short = owner.count(first) * len(arguments[1]) <= _MAX_LENGTH
            return owner.replace(first, arguments[1]) if short else None
        case "lower":
            return owner.lower()
        case "upper":
            return owner.upper()
        case "strip" | "lstrip" | "rstrip":
            return owner.strip()
        case "joinpath" | "with_name" if isinstance(first, str):
            return posixpath.join(owner, first)
        case _:
            return owner if name in _KEPT else None


def _decoded(name: str, text: str) -> str | None:
    try:
        if name in {"fromhex", "unhexlify"}:
            return bytes.fromhex(text).decode(errors="replace")
        return base64.b64decode(text, altchars=b"-_" if name.startswith("url") else None).decode(errors="replace")
    except (binascii.Error, ValueError):
        return None
