"""
What a program's text would do, judged act by act.
"""

from __future__ import annotations

import re
from functools import lru_cache

from orchestrd.policy.code import python, scripts
from orchestrd.policy.code.acts import Act
from orchestrd.policy.code.sql import changes
from orchestrd.policy.code.syntax import MAX_CODE
from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.origin import Origin
from orchestrd.policy.programs.deleting import delete
from orchestrd.policy.scope import Place
from orchestrd.policy.secrecy import is_secret_variable
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, filled, only_holes
from orchestrd.policy.shell.nodes import Unreadable

_ESCAPED_LINE = re.compile(r"(?m)^[^\S\n]*!\s*(.+)$")
"""IPython's ``!command``."""
_ESCAPED = re.compile(r"(?m)^([^\S\n]*)[!%].*$")


def judge_code(inquiry: Inquiry, call: Invocation, language: str, text: str) -> str:
    """
    Judge the program *text*, which *call* runs.
    """
    if only_holes(text):
        inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
        return HOLE
    if len(text) > MAX_CODE:
        raise Unreadable("a program that is too long to follow")
    # The project's own programs are long, and were there before: two of them in a line must not be too much.
    inquiry.spend(len(text) / (400 if inquiry.author is not Origin.LINE else 30))
    if language == "python":
        for line in _ESCAPED_LINE.findall(text):
            inquiry.text(line)
        text = _ESCAPED.sub(r"\1pass", text)
    for act in _acts(language, text):
        _follow(inquiry, call, act)
    return HOLE


@lru_cache(maxsize=32)
def _acts(language: str, text: str) -> list[Act]:
    """
    What the program *text* does.  A loop runs the same one again and again.
    """
    found = python.acts(text) if language == "python" else scripts.acts(text, language)
    return python.acts(filled(text, "0")) or scripts.acts(text, language) if found is None else found


def _follow(inquiry: Inquiry, call: Invocation, act: Act) -> None:
    what = act.what
    match act.kind:
        case "text" if isinstance(what, str):
            inquiry.text(what)
        case "argv" if isinstance(what, list) and what and isinstance(what[0], str):
            inquiry.argv(call, tuple(one if isinstance(one, str) else HOLE for one in what), stdin=None)
        case "text" | "argv":
            inquiry.object("exec-unknown", call, "the command that it runs is only known when it runs")
        case "python" if isinstance(what, str):
            judge_code(inquiry, call, "python", what)
        case "content" if isinstance(what, list):
            path, written = what
            if isinstance(path, str) and isinstance(written, str):
                inquiry.write(path, written)
        case "delete":
            delete(inquiry, call, what if isinstance(what, str) else HOLE)
        case "move" if isinstance(what, list):
            source, target = (one if isinstance(one, str) else HOLE for one in what[:2])
            inquiry.argv(call, ("mv", source, target), stdin=None)
        case "read" | "look" if isinstance(what, str):
            inquiry.use(what, call, only_looks=act.kind == "look")
        case "write" if isinstance(what, str):
            inquiry.use(what, call, writes=True)
        case "variable" if what == "*" or (isinstance(what, str) and is_secret_variable(what)):
            inquiry.object("secret", call, "the environment's secrets would be shown")
        case "agent":
            inquiry.object("exec-unknown", call, f"`{what}` is an agent of its own")
        case "within" if isinstance(what, list):
            files, inner = what
            if any(inquiry.place(file, cwd) is not Place.SCRATCH for file in files for cwd in call.cwd):
                _follow(inquiry, call, inner)
        case "sql" if what is None:
            inquiry.object("db", call, "the SQL that it runs is only known when it runs")
        case "sql" if isinstance(what, str) and changes(what):
            inquiry.object("db", call, "its SQL changes a database")
        case "db":
            inquiry.object("db", call, f"`{what}` changes a database")
        case "git":
            inquiry.object("git", call, f"`{what}` changes a repository")
        case "opaque":
            inquiry.object("exec-unknown", call, str(what))
        case _:
            pass
