"""
Python's modules that lie in the tree as files: what ``-m`` and ``import`` run.
"""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterator

from orchestrd.policy.code.syntax import program
from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs.deeds import judge_code
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import is_known
from orchestrd.policy.shell.nodes import Unreadable

_FOLDERS = (".", "src")
"""Where a project's modules lie, besides what PYTHONPATH says."""
_LOADERS = frozenset({"__import__", "import_module", "run_module"})
_MOST = 40
"""So many modules are followed from one program."""


def module_file(inquiry: Inquiry, call: Invocation, module: str, names: tuple[str, ...]) -> str | None:
    """
    The file of the *module* in the tree: its own, or in its folder the first of *names* that there is.
    """
    said = (*call.environment.get("PYTHONPATH", "").split(":"), *inquiry.state.value("PYTHONPATH")[-1].split(":"))
    place = module.replace(".", "/")
    for folder in (*_FOLDERS, *(one for one in said if one and is_known(one))):
        for name in (f"{place}.py", *(f"{place}/{one}" for one in names)):
            path = posixpath.normpath(posixpath.join(folder, name))
            if inquiry.is_new(path) or inquiry.on_disk(path) is not None:
                return path
    return None


def follow_imports(inquiry: Inquiry, call: Invocation, text: str) -> None:
    """
    Judge the modules that a program *text* imports, where the command line or the agent wrote them: of a file of the project's that
    the agent has only changed, what is run when it is imported.
    """
    seen: set[str] = set()
    waiting = [text]
    while waiting and len(seen) < _MOST:
        for module in _imported(waiting.pop()):
            path = module_file(inquiry, call, module, ("__init__.py",))
            if path is None or path in seen or not inquiry.is_fresh(path):
                continue
            seen.add(path)
            content = inquiry.content(path)
            if not is_known(content):
                inquiry.object("exec-unknown", call, f"what `{path}` holds is only known when it runs")
                continue
            made = inquiry.is_made(path)
            with inquiry.following(inquiry.origin(path), content):
                judge_code(inquiry, call, "python", content if made else _at_import(content))
            waiting.append(content)


def _imported(text: str) -> Iterator[str]:
    """
    The names of the modules that the program *text* imports.
    """
    found = program(text)
    for node in found.nodes if found is not None else ():
        if isinstance(node, ast.Import):
            for one in node.names:
                yield from _with_parents(one.name)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from _with_parents(node.module)
            for one in node.names:
                yield f"{node.module}.{one.name}"
        elif isinstance(node, ast.Call) and node.args and isinstance(name := node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in _LOADERS and isinstance(name.value, str):
                yield from _with_parents(name.value)


def _with_parents(module: str) -> Iterator[str]:
    parts = module.split(".")
    return (".".join(parts[:at]) for at in range(1, len(parts) + 1))


def _at_import(text: str) -> str:
    """
    What of the module *text* is run when it is imported.
    """
    found = program(text)
    if found is None:
        raise Unreadable("a module that is no Python, or too long")
    kept = [
        one for one in found.tree.body if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    kept = [one for one in kept if not (isinstance(one, ast.If) and "__name__" in ast.unparse(one.test))]
    return ast.unparse(ast.Module(kept, []))
