"""
``python -m MODULE``: the program that a module is.
"""

from __future__ import annotations

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.deeds import judge_code
from orchestrd.policy.programs.scripts import run_file
from orchestrd.policy.secrecy import is_secret
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE

_MODULES = {
    "alembic": "alembic",
    "django": "django-admin",
    "flask": "flask",
    "aerich": "aerich",
    "yoyo": "yoyo",
    "piccolo": "piccolo",
    "pip": "pip",
    "pytest": "pytest",
    "commitizen": "cz",
    "pre_commit": "pre-commit",
    "twine": "twine",
    "bumpversion": "bumpversion",
    "invoke": "invoke",
    "poetry": "poetry",
    "uv": "uv",
    "pipx": "pipx",
    "pipenv": "pipenv",
    "celery": "celery",
    "airflow": "airflow",
    "semantic_release": "semantic-release",
    "mkdocs": "mkdocs",
    "mike": "mike",
    "IPython": "ipython",
    "superset": "superset",
    "litestar": "litestar",
    "nox": "nox",
    "tox": "tox",
    "hatch": "hatch",
    "pdm": "pdm",
    "coverage": "coverage",
    "ghp_import": "ghp-import",
    "virtualenv": "virtualenv",
    "pgcli": "pgcli",
    "sqlite3": "sqlite3",
    "aider": "aider",
    "interpreter": "interpreter",
    "keyring": "keyring",
    "httpie": "http",
    "send2trash": "trash",
    "tarfile": "tarfile",
    "zipfile": "zipfile",
}


def run_module(inquiry: Inquiry, call: Invocation, module: str, rest: tuple[str, ...]) -> str:
    """
    ``python -m MODULE``.
    """
    top = module.split(".", maxsplit=1)[0]
    if top in o.words("""
        coverage kernprof viztracer cProfile profile trace pdb scalene memray memory_profiler debugpy ddtrace
        pyinstrument line_profiler austin cprofile dotenv honcho
    """):
        words = [word for word in rest if not word.startswith("-")]
        if "-m" in rest:
            at = rest.index("-m")
            return run_module(inquiry, call, rest[at + 1], rest[at + 2 :]) if at + 1 < len(rest) else HOLE
        for text in o.options(rest, "-c"):
            judge_code(inquiry, call, "python", text.lstrip("!"))
        scripts_ = [at for at, word in enumerate(words) if word.endswith(".py")]
        return run_file(inquiry, call, "python", ("python", *words[scripts_[0] :]), 1) or HOLE if scripts_ else HOLE
    if module in o.words("""
        py_compile compileall ast tokenize pyclbr dis tabnanny symtable pydoc this site platform ensurepip
        calendar inspect
    """):
        return HOLE
    if module == "timeit":
        for text in [
            *o.options(rest, "-s", "--setup"),
            *o.plain(rest, o.words("-s -n -r -u --setup --number --repeat --unit")),
        ]:
            judge_code(inquiry, call, "python", text)
        return HOLE
    if top in {"pdb", "code", "doctest", "trace"}:
        for text in o.options(rest, "-c"):
            judge_code(inquiry, call, "python", text.lstrip("!"))
    if top == "tarfile" or top == "zipfile":
        for at, word in enumerate(rest):
            if not word.startswith("-"):
                inquiry.use(word, call, writes=at > 1 and rest[0] == "-e")
        return HOLE
    if top == "http" or top == "json" or top == "base64":
        for word in o.plain(rest, o.words("-d --directory -b --bind")):
            if "/" in word or is_secret(word):
                inquiry.use(word, call)
        for path in o.options(rest, "-d", "--directory"):
            inquiry.use(path, call)
        return HOLE
    program = _MODULES.get(module, _MODULES.get(top))
    if program is not None:
        return inquiry.argv(call, (program, *rest))
    return inquiry.argv(call, (top.replace("_", "-"), *rest))
