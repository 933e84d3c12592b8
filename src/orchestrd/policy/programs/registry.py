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
    arguments,
    builtins,
    containers,
    databases,
    editors,
    files,
    forges,
    frameworks,
    git,
    interpreters,
    migrations,
    network,
    output,
    runners,
    secrets,
    shells,
    system,
    wrappers,
)
from orchestrd.policy.shell.invocation import Invocation

_TABLES = (
    builtins,
    secrets,
    frameworks,
    migrations,
    databases,
    system,
    wrappers,
    shells,
    interpreters,
    runners,
    containers,
    git,
    forges,
    network,
    files,
    editors,
)


def _table() -> dict[str, list[Handler]]:
    found: defaultdict[str, list[Handler]] = defaultdict(list)
    for module in _TABLES:
        for name, handler in module.HANDLERS.items():
            found[name].append(handler)
    for name, handler in runners.LATER.items():
        found[name].append(handler)
    for name, handler in output.HANDLERS.items():
        found[name] += [arguments.judge_arguments, handler]
    return dict(found)


_NAMED = _table()


def _name(invocation: Invocation) -> str:
    name = arguments.name_of(invocation)
    if re.match(r"ld-(?:linux|musl)[\w.-]*", name):
        return "ld.so"
    return name if name in _NAMED else re.sub(r"-?\d[\d.]*$", "", name) or name


def _checked(inquiry: Inquiry, call: Invocation) -> str | None:
    if call.environment:
        wrappers.check_environment(inquiry, call)
    arguments.check_variables(inquiry, call)
    return None


for _handlers in _NAMED.values():
    _handlers.insert(0, _checked)

arguments.KNOWN = frozenset(_NAMED)
HANDLERS = Handlers(
    _NAMED,
    [_checked, shells.run_script, arguments.judge_arguments],
    _name,
    arguments.GUARDED,
    shells.run_script,
    wrappers.check_environment,
    interpreters.judge_code,
)
"""Every program's handlers."""
