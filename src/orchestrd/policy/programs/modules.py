"""
``python -m MODULE``: the program that a module is.
"""

from __future__ import annotations

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.deeds import judge_code
from orchestrd.policy.programs.imports import follow_imports, module_file
from orchestrd.policy.programs.scripts import run_file
from orchestrd.policy.programs.targets import is_migrating_target
from orchestrd.policy.secrecy import is_secret
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE

_PROGRAMS = {
    "django": "django-admin",
    "commitizen": "cz",
    "IPython": "ipython",
    "httpie": "http",
    "send2trash": "trash",
}
"""Modules whose program has another name."""
_RUNNERS = o.words("""
    coverage kernprof viztracer cProfile profile trace pdb scalene memray memory_profiler debugpy ddtrace
    pyinstrument line_profiler austin cprofile dotenv honcho
""")
"""Modules that run another module or a script."""
_HARMLESS = o.words("""
    py_compile compileall ast tokenize pyclbr dis tabnanny symtable pydoc this site platform ensurepip calendar
    inspect
""")

_TELLS = o.words("--help -h --dry-run --check --plan --status --list status list")


def run_module(inquiry: Inquiry, call: Invocation, module: str, rest: tuple[str, ...]) -> str:
    """
    Judge ``python -m MODULE``, which is given *rest*.
    """
    parents, _, _ = module.rpartition(".")
    if parents:
        follow_imports(inquiry, call, f"import {parents}")
    path = module_file(inquiry, call, module, ("__main__.py",))
    if path is not None and inquiry.is_fresh(path):
        return run_file(inquiry, call, "python", (path, *rest)) or HOLE
    top = module.split(".", maxsplit=1)[0]
    if top in _RUNNERS:
        return _runner(inquiry, call, rest)
    if module in _HARMLESS:
        return HOLE
    match top:
        case "timeit" if module == top:
            valued = o.words("-s -n -r -u --setup --number --repeat --unit")
            for text in [*o.options(rest, "-s", "--setup"), *o.plain(rest, valued)]:
                judge_code(inquiry, call, "python", text)
            return HOLE
        case "tarfile" | "zipfile":
            for at, word in enumerate(rest):
                if not word.startswith("-"):
                    inquiry.use(word, call, writes=at > 1 and rest[0] == "-e")
            return HOLE
        case "http" | "json" | "base64":
            for word in o.plain(rest, o.words("-d --directory -b --bind")):
                if "/" in word or is_secret(word):
                    inquiry.use(word, call)
            for path in o.options(rest, "-d", "--directory"):
                inquiry.use(path, call)
            return HOLE
        case "code" | "doctest":
            for text in o.options(rest, "-c"):
                judge_code(inquiry, call, "python", text.lstrip("!"))
            if top == "code":
                return judge_code(inquiry, call, "python", call.stdin) if call.stdin is not None else HOLE
    if parents and is_migrating_target(module.rpartition(".")[2]) and _TELLS.isdisjoint(rest):
        inquiry.object("db", call, f"`{module}` runs migrations or changes a database, by its name")
    program = _PROGRAMS.get(module) or _PROGRAMS.get(top) or top.replace("_", "-")
    return inquiry.argv(call, (program, *rest))


def _runner(inquiry: Inquiry, call: Invocation, rest: tuple[str, ...]) -> str:
    """
    A profiler, a debugger and the like: the module or the script that it runs.
    """
    if "-m" in rest:
        at = rest.index("-m") + 1
        return run_module(inquiry, call, rest[at], rest[at + 1 :]) if at < len(rest) else HOLE
    for text in o.options(rest, "-c"):
        judge_code(inquiry, call, "python", text.lstrip("!"))
    words = tuple(word for word in rest if not word.startswith("-"))
    start = next((at for at, word in enumerate(words) if word.endswith(".py")), None)
    return HOLE if start is None else run_file(inquiry, call, "python", words[start:]) or HOLE
