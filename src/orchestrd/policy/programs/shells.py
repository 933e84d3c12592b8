"""
Shells: what they are told to run by ``-c``, by a script, or on their input.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, holes, is_known, is_printed
from orchestrd.policy.shell.nodes import Unreadable

SHELLS = o.words("sh bash dash zsh ksh mksh ash rbash yash fish csh tcsh nu elvish xonsh posh oksh pwsh powershell")
_FOREIGN = o.words("fish csh tcsh nu elvish xonsh pwsh powershell")
_VALUED = o.words("-o +o -O +O --rcfile --init-file --login-file")
_SHEBANG = re.compile(r"#!\s*(?:/usr/bin/env\s+(?:-S\s+)?)?(?:\S*/)?([\w.+-]+)")


def run_shell(inquiry: Inquiry, call: Invocation) -> str:
    """
    A shell that is started.
    """
    argv = call.argv
    for name in ("--rcfile", "--init-file"):
        if (path := o.option(argv[1:], name)) is not None:
            _script(inquiry, call, path, ())
    at = 1
    command = login = False
    while at < len(argv) and argv[at][:1] in {"-", "+"} and len(argv[at]) > 1:
        word = argv[at]
        if word in {"--version", "--help"}:
            return HOLE
        if word == "--":
            at += 1
            break
        group = not word.startswith("--")
        if word in {"-Command", "-EncodedCommand", "-enc", "--commands"} or (group and word[0] == "-" and "c" in word[1:]):
            command = True
        login = login or (group and "s" in word)
        at += 2 if word in _VALUED else 1
    rest = argv[at:]
    if command:
        return _text(inquiry, call, rest[0] if rest else "", rest[2:])
    if rest and not login and rest[0] != "-":
        return _script(inquiry, call, rest[0], rest[1:])
    if call.stdin is None:
        return HOLE  # it would wait for what is typed
    if "…" in call.stdin or is_printed(call.stdin) or not is_known(call.stdin):
        inquiry.object("exec-unknown", call, "a shell would run what another program prints")
        return HOLE
    return _text(inquiry, call, call.stdin, rest[1:] if login else ())


def run_script(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    A program given by its path: what is in it is followed, where that is known.
    """
    path = call.argv[0]
    if "/" not in path and path not in inquiry.state.links:
        return None
    for cwd in call.cwd:
        from orchestrd.policy.scope import Place

        if inquiry.place(path, cwd) is Place.OUTSIDE:
            inquiry.object("outside", call, f"`{path}` is outside of the project")
            return HOLE
    content = inquiry.content(path)
    if not is_known(content):
        if inquiry.is_new(path):
            inquiry.object("exec-unknown", call, f"what `{path}` holds is only known when it runs")
            return HOLE
        return None
    return run_content(inquiry, call, path, content, call.argv[1:])


def run_content(inquiry: Inquiry, call: Invocation, path: str, content: str, arguments: tuple[str, ...]) -> str:
    """
    Follow the script *content* of *path* by the interpreter that it names.
    """
    match = _SHEBANG.match(content)
    interpreter = match.group(1) if match else "sh"
    ours = not inquiry.is_new(path)
    if interpreter not in SHELLS:
        return inquiry.argv(call, (interpreter, path, *arguments))
    inquiry.trusted += ours
    try:
        return inquiry.text(content, stdin=call.stdin, arguments=arguments)
    except Unreadable:
        if not ours:
            raise
        return HOLE
    finally:
        inquiry.trusted -= ours


def _text(inquiry: Inquiry, call: Invocation, text: str, arguments: tuple[str, ...]) -> str:
    if is_printed(text) or (holes(text) and not re.search(r"[\w\s]", re.sub("\ue000[^\ue001]*\ue001", "", text))):
        inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
        return HOLE
    if call.program in _FOREIGN:
        text = re.sub(r";\s*(?:end|and|or)\b", ";", text) if call.program == "fish" else text
        try:
            return inquiry.text(text, stdin=call.stdin, arguments=arguments)
        except Unreadable:
            raise Unreadable(f"a text for {call.program} that cannot be followed") from None
    return inquiry.text(text, stdin=call.stdin, arguments=arguments)


def _script(inquiry: Inquiry, call: Invocation, path: str, arguments: tuple[str, ...]) -> str:
    if path in {"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"}:
        return _text(inquiry, call, call.stdin or HOLE, arguments)
    if not is_known(path):
        inquiry.object("exec-unknown", call, "which script it would run is only known when it runs")
        return HOLE
    inquiry.use(path, call)
    content = inquiry.content(path)
    if is_known(content):
        return run_content(inquiry, call, path, content.replace("#!", "# ", 1), arguments)
    if inquiry.is_new(path):
        inquiry.object("exec-unknown", call, f"what `{path}` holds is only known when it runs")
    return HOLE


HANDLERS: dict[str, Handler] = dict.fromkeys(SHELLS, run_shell)
