"""
What the shell itself does: where it stands, its variables, and texts that it runs.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.output import formatted
from orchestrd.policy.secrecy import is_secret
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, hole, is_known, is_printed
from orchestrd.policy.shell.nodes import Unreadable
from orchestrd.policy.shell.paths import STDIN, absolute
from orchestrd.policy.shell.state import MAX_ALTERNATIVES
from orchestrd.policy.shell.walk import has_hidden_run

_NAME = re.compile(r"[A-Za-z_]\w*")


def change_folder(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``cd``, ``pushd``, ``popd``: the folders may be left to no other place than the project.
    """
    places = [word for word in call.argv[1:] if word == "-" or not word.startswith(("-", "+"))]
    state = inquiry.state
    if call.program == "popd" or places[:1] == ["-"]:
        state.cwd, state.previous = state.previous, state.told
        return ""
    target = places[0] if places else inquiry.scope.home
    inquiry.use(target, call, only_looks=True)
    before = state.told
    state.cwd = tuple(absolute(target, cwd) if is_known(target) and is_known(cwd) else HOLE for cwd in state.cwd)
    state.previous = before
    return ""


def evaluate(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``eval``: its arguments are a command line, in this very shell.
    """
    words = call.argv[2:] if call.argv[1:2] == ("--",) else call.argv[1:]
    if not words and call.stdin is not None:
        inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
        return HOLE
    return in_this_shell(inquiry, call, " ".join(words))


def in_this_shell(inquiry: Inquiry, call: Invocation, text: str) -> str:
    """
    Follow *text* in the state as it is.
    """
    if is_printed(text):
        inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
        return HOLE
    return inquiry.text_here(text, call.stdin)


def source(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``source FILE``: what is in the file is run in this shell.
    """
    if len(call.argv) < 2:
        return ""
    path = call.argv[1]
    inquiry.use(path, call)
    if is_secret(path):
        inquiry.on_disk(path)  # it is run all the same, and so a part of the act
        return ""
    content = (call.stdin or HOLE) if path in STDIN else inquiry.content(path)
    if path in STDIN and not is_known(content):
        inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
    if is_known(content):
        printed = inquiry.text_here(content, call.stdin)
        inquiry.state.gone = ""  # a `return` in it goes on here
        return printed
    if inquiry.is_new(path) or not is_known(path):
        inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
    return HOLE


def assign_words(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``export``, ``declare`` and their like, with what the grammar did not already take for assignments.
    """
    state = inquiry.state
    _no_hidden_run(call)
    flags = "".join(word[1:] for word in call.argv[1:] if word.startswith("-"))
    named = [word for word in call.argv[1:] if not word.startswith(("-", "+"))]
    for word in named:
        name, sign, value = word.partition("=")
        local = _NAME.fullmatch(name) and inquiry.localize(name, (call.program, *call.argv[1:]))
        if sign and _NAME.fullmatch(name):
            state.assign(name, value)
            inquiry.assigned(name)
        elif local:
            state.unset(name)
        if "n" in flags and call.program != "export" and _NAME.fullmatch(name):
            inquiry.assigned(state.value(name)[0])
            state.assign(name, hole(name))  # another variable's name
    if (not named and not set(flags) & set("fFaA")) or "p" in flags:
        inquiry.object("secret", call, "all variables of the environment would be shown")
    return HOLE


def _no_hidden_run(call: Invocation) -> None:
    """
    An index in a variable's name is calculated, and a calculation may run commands.
    """
    if any(has_hidden_run(word, "[") for word in call.argv[1:]):
        raise Unreadable("an index that runs commands")


def unset(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``unset NAME``.
    """
    _no_hidden_run(call)
    functions = o.has_flag(call.argv[1:], "f")
    for name in o.plain(call.argv[1:]):
        if not functions:
            inquiry.state.unset(name.partition("[")[0])
        if functions or inquiry.state.is_unknown(name):
            inquiry.state.functions.pop(name, None)
    return ""


def set_options(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``set``: options, or the positional parameters.
    """
    rest = call.argv[1:]
    if not rest:
        inquiry.object("secret", call, "all variables of the environment would be shown")
        return HOLE
    if "histexpand" in rest or o.has_flag(rest, "H"):
        inquiry.object("exec-unknown", call, "earlier commands would be run by their numbers")
    at = o.after_options(call.argv, {"-o", "+o"})
    if "--" in rest or at < len(call.argv):
        inquiry.state.positional = call.argv[at:]
    return ""


def shift(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``shift [N]``.
    """
    count = call.argv[1] if len(call.argv) > 1 else "1"
    by = int(count) if count.isdecimal() else 1
    inquiry.state.ways = tuple(way[by:] for way in inquiry.state.ways)
    return ""


def read(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``read`` gives variables what it is given, each line of it in turn.
    """
    names = o.plain(call.argv[1:], {"-d", "-n", "-N", "-p", "-t", "-u", "-i"}) or ["REPLY"]
    array = o.option(call.argv[1:], "-a")
    lines = call.stdin.splitlines() if call.stdin is not None and is_known(call.stdin) else None
    state = inquiry.state
    if array is not None:
        state.assign_items(array, tuple(_cut(lines[0], call.environment.get("IFS"))) if lines else (HOLE,))
    elif lines is None or len(lines) > MAX_ALTERNATIVES:
        for name in names:
            state.assign(name, HOLE)
    else:
        for at, name in enumerate(names):
            fields = [_cut(line, call.environment.get("IFS"), len(names) - 1) for line in lines]
            values = (
                [one[at] if at < len(one) else "" for one in fields]
                if len(names) > 1
                else [line.strip() for line in lines]
            )
            state.assign(name, *(values or [""]))
    return ""


def _cut(line: str, separators: str | None, count: int = -1) -> list[str]:
    if not separators or separators.isspace():
        return line.split(None, count)
    return re.split(f"[{re.escape(separators)}]", line, maxsplit=max(count, 0))


def map_file(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``mapfile``: an array of the lines that it is given.
    """
    name = (o.plain(call.argv[1:], {"-d", "-n", "-O", "-s", "-u", "-C", "-c"}) or ["MAPFILE"])[0]
    if callback := o.option(call.argv[1:], "-C"):
        in_this_shell(inquiry, call, callback)
    known = call.stdin is not None and is_known(call.stdin)
    delimiter = o.option(call.argv[1:], "-d") or "\n"
    lines = tuple(one for one in (call.stdin or "").rstrip("\n").split(delimiter) if one)
    inquiry.state.assign_items(name, lines if known else (HOLE,))
    return ""


def print_formatted(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``printf -v NAME``; without it, printing is nothing of the shell's own.
    """
    if call.argv[1:2] != ("-v",):
        return None
    inquiry.state.assign(call.argv[2] if len(call.argv) > 2 else "_", formatted(call.argv[3:]))
    return ""


def alias(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``alias NAME=TEXT``.
    """
    for word in call.argv[1:]:
        name, sign, value = word.partition("=")
        if sign:
            inquiry.state.aliases[name] = value
    return ""


_END = frozenset({"EXIT", "0"})


def trap(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``trap TEXT SIGNAL …``: the text is run at the end, which sees what the shell is by then; or at any time from now on.
    """
    text, *signals = o.plain(call.argv[1:]) or ("",)
    state, named = inquiry.state, [signal.upper().removeprefix("SIG") for signal in signals]
    if text == "-" or not signals:
        for name in named:
            state.traps.pop(name, None)
        return ""
    state.traps.update(dict.fromkeys(named, (text,)))
    if _END.isdisjoint(named) or is_printed(text):
        gone = state.gone
        in_this_shell(inquiry, call, text)
        state.gone = gone  # it does not leave now
    return ""


_LEFT = {"exit": "shell", "return": "call", "break": "loop", "continue": "loop"}


def leave(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``exit``, ``return``, ``break``, ``continue``: only where a shell would surely obey is what follows not reached.
    """
    within = call.through[len(inquiry.outer) :]
    if len(call.argv) <= 2 and not call.redirections and set(within) <= {"command", "builtin"}:
        inquiry.leave(_LEFT[call.program])
    return ""


def loads(inquiry: Inquiry, call: Invocation) -> str:
    """
    Ways to give a name another program: ``hash -p``, ``enable -f``, ``bind -x``, ``complete -C``.
    """
    flags = {"hash": "p", "enable": "f", "bind": "x", "complete": "CF"}[call.program]
    if call.program == "hash" and "-p" in call.argv and len(call.argv) > 3:
        at = call.argv.index("-p")
        inquiry.state.aliases[call.argv[at + 2]] = call.argv[at + 1]
    elif o.has_flag(call.argv[1:], flags):
        inquiry.object("exec-unknown", call, f"`{call.program}` would give a name another meaning")
    return ""


def replace_shell(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``exec`` with redirections alone: they hold for what follows.
    """
    if len(call.argv) > 1:
        return None
    if call.stdin is not None:
        inquiry.stdin = call.stdin
    for one in call.redirections:
        if not one.writes and one.descriptor in {"", "0"}:
            inquiry.stdin = inquiry.content(one.path)
    return ""


def quiet(inquiry: Inquiry, call: Invocation) -> str:
    """
    What neither prints nor does anything that matters here.
    """
    del inquiry, call
    return ""


def calculate(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``let``: numbers.
    """
    for word in call.argv[1:]:
        name, sign, _ = word.partition("=")
        if sign and _NAME.fullmatch(name.rstrip("+-*/%")):
            inquiry.state.assign(name.rstrip("+-*/%"), hole("number"))
        if "$(" in word or "`" in word:
            raise Unreadable("a calculation that runs commands")
    return ""


def compgen(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``compgen -e``, ``-v``: the names of all variables.
    """
    if o.has_flag(call.argv[1:], "ev"):
        inquiry.object("secret", call, "all variables of the environment would be gone through")
    return HOLE


HANDLERS: dict[str, Handler] = {
    **o.each("cd pushd popd chdir", change_folder),
    "eval": evaluate,
    **o.each("source .", source),
    **o.each("export declare typeset local readonly", assign_words),
    "unset": unset,
    "set": set_options,
    "shift": shift,
    "read": read,
    **o.each("mapfile readarray", map_file),
    "printf": print_formatted,
    "alias": alias,
    "trap": trap,
    **o.each("hash enable bind complete", loads),
    "exec": replace_shell,
    "let": calculate,
    "compgen": compgen,
    **dict.fromkeys(_LEFT, leave),
    **o.each(": true false wait bg fg shopt umask ulimit unalias", quiet),
}
