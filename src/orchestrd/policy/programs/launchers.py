"""
What builds and runs the project's own program, or a task of its own: its name and the words behind it.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.migrators import RUNNING
from orchestrd.policy.programs.own import judge_target
from orchestrd.policy.programs.verbs import judge_launched
from orchestrd.policy.shell.invocation import Invocation

_LAUNCHERS: dict[str, tuple[str, frozenset[str]]] = {
    # program -> its words before the project's program, its options that take a value
    "swift": ("run", o.words("-c --configuration --package-path --scratch-path --build-path -Xswiftc")),
    "dart": ("run", o.words("--define -D --packages")),
    "stack": ("run", o.words("--package --flag --ghc-options")),
    "cabal": ("run", o.words("-w --project-file --builddir -f")),
    "crystal": ("run", o.words("-D --define -o -e")),
    **o.each("dub nimble gleam spago lein", ("run", o.words("--config -c --root --module -m --target -t"))),
    "zig": ("build run", frozenset()),
    "mix": ("run", o.words("-e --eval -r --require -p")),
    "deno": ("run", o.words("-c --config")),
}
_NAMESPACE = re.compile(r"-[MXTA](:.+)")
"""Clojure's aliases, which name what is run."""
_CLASS_OPTIONS = o.words("-cp -classpath --class-path -p --module-path --add-modules -javaagent")
_JAR = re.compile(r"(?:-\d[\w.-]*)?\.jar$")
_SQL_CLASSES = o.words("RunScript SqlTool")
"""Classes of databases that run the SQL they are told."""


def launch(inquiry: Inquiry, call: Invocation) -> None:
    """
    ``swift run APP migrate`` and its like.
    """
    argv = call.argv
    verbs, valued = _LAUNCHERS[call.program]
    at = o.after_options(argv, valued)
    if at < len(argv) and argv[at] in verbs.split():
        judge_launched(inquiry, call, o.plain(argv[at + 1 :], valued))
    elif call.program == "deno" and argv[at : at + 1] == ("task",):
        for name in o.plain(argv[at + 1 :], o.words("--cwd -c --config -f --filter"))[:1]:
            judge_target(inquiry, call, name)


def clojure(inquiry: Inquiry, call: Invocation) -> None:
    """
    ``clj -M:ALIAS``, ``clj -M -m NAMESPACE``.
    """
    for word in call.argv[1:]:
        for alias in match.group(1)[1:].split(":") if (match := _NAMESPACE.fullmatch(word)) else ():
            judge_target(inquiry, call, alias.replace("/", ":"))
    names = o.options(call.argv[1:], "-m", "--main")
    if names:
        rest = call.argv[call.argv.index(names[0]) + 1 :] if names[0] in call.argv else ()
        judge_launched(inquiry, call, (names[0].rpartition(".")[2], *rest))


def java(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``java -jar JAR``, ``java CLASS``: a migration tool's own, a database's, or the project's.
    """
    argv = call.argv
    at = o.after_options(argv, _CLASS_OPTIONS)
    if at >= len(argv):
        return None
    name, rest = argv[at].rsplit("/", 1)[-1], argv[at + 1 :]
    if "-jar" in argv[:at]:
        name = _JAR.sub("", name)
        if name in RUNNING:
            return inquiry.argv(call, (name, *rest))
    else:
        name = name.rpartition(".")[2]
        if name in _SQL_CLASSES:
            return inquiry.argv(call, ("h2", *rest))
    judge_launched(inquiry, call, (name, *rest))
    return None


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_LAUNCHERS, launch),
    **o.each("clj clojure", clojure),
    "java": java,
}
