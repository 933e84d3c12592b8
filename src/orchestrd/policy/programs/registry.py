"""
Which handlers each program has.

The order is the order in which they judge: the shell's own commands, what a program runs, what it does itself, and at
last what everybody's arguments name and what the program prints.
"""

from __future__ import annotations

import re
from collections import defaultdict

from orchestrd.policy.inquiry import Handler, Handlers, Inquiry
from orchestrd.policy.programs import (
    archives,
    arguments,
    asking,
    builtins,
    clouds,
    compilers,
    consoles,
    containers,
    copying,
    databases,
    deeds,
    deleting,
    editing,
    editors,
    emptying,
    environment,
    executors,
    finding,
    forges,
    frameworks,
    fresh,
    git,
    installing,
    interpreters,
    javascript,
    launchers,
    makefiles,
    migrations,
    naming,
    network,
    output,
    pip,
    protecting,
    publishing,
    remote,
    repeaters,
    secrets,
    shells,
    sqlshells,
    strangers,
    system,
    taskfiles,
    tasks,
    wrappers,
    writing,
)  # fmt: skip
from orchestrd.policy.shell.invocation import Invocation

_TABLES: tuple[dict[str, Handler], ...] = (
    asking.HANDLERS, launchers.HANDLERS, publishing.HANDLERS, emptying.HANDLERS,
    consoles.HANDLERS, builtins.HANDLERS, secrets.HANDLERS, frameworks.HANDLERS, migrations.HANDLERS, sqlshells.HANDLERS,
    databases.HANDLERS, system.HANDLERS, installing.HANDLERS, wrappers.HANDLERS, environment.HANDLERS, repeaters.HANDLERS,
    shells.HANDLERS, interpreters.HANDLERS, executors.HANDLERS, javascript.HANDLERS, makefiles.HANDLERS,
    tasks.HANDLERS, pip.HANDLERS, compilers.HANDLERS, containers.HANDLERS, git.HANDLERS, forges.HANDLERS,
    network.HANDLERS, remote.HANDLERS, clouds.HANDLERS, deleting.HANDLERS, copying.HANDLERS, writing.HANDLERS,
    finding.HANDLERS, archives.HANDLERS, editing.HANDLERS, editors.HANDLERS, compilers.LATER, fresh.LATER,
)  # fmt: skip
"""In the order in which they judge."""


def _table() -> dict[str, list[Handler]]:
    found: defaultdict[str, list[Handler]] = defaultdict(lambda: [_checked])
    for table in _TABLES:
        for name, handler in table.items():
            found[name].append(handler)
    for name, handler in output.HANDLERS.items():
        found[name] += [arguments.judge_arguments, handler]
    return dict(found)


def _checked(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Of every program: what its environment and its files of tasks make it do, and which variables it is given.
    """
    if call.environment:
        environment.check_environment(inquiry, call)
    naming.check_variables(inquiry, call)
    protecting.guard(inquiry, call)
    taskfiles.task_sources(inquiry, call)
    return None


_NAMED = _table()
_VERSION = re.compile(r"-?\d[\d.]*$")
_LOADER = re.compile(r"ld-(?:linux|musl)[\w.-]*")


def _name(invocation: Invocation) -> str:
    """
    The name by which a program's handlers are found: without its folder, ``.exe`` and version.
    """
    name = invocation.program.removesuffix(".exe")
    if name in _NAMED:
        return name
    return "ld.so" if _LOADER.match(name) else _VERSION.sub("", name) or name


_LAST: tuple[Handler, ...] = (shells.run_script, arguments.judge_arguments)
HANDLERS = Handlers(
    named={program: (*handlers, *_LAST) for program, handlers in _NAMED.items()},
    others=(_checked, *_LAST),
    name=_name,
    guarded=tuple(sorted(strangers.GUARDED)),
    script=shells.run_script,
    environment=environment.check_environment,
    code=deeds.judge_code,
)
"""Every program's handlers."""
