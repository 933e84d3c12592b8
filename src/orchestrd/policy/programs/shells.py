"""
Shells: what they are told to run by ``-c``, by a script, or on their input.
"""

from __future__ import annotations

import base64
import binascii
import re
from itertools import pairwise
from typing import NamedTuple

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.fish import as_posix
from orchestrd.policy.programs.targets import is_migrating_target
from orchestrd.policy.scope import Place
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, filled, is_known, is_printed
from orchestrd.policy.shell.nodes import Unreadable
from orchestrd.policy.shell.paths import STDIN

SHELLS = o.words("""
    sh bash dash zsh ksh mksh ash rbash yash fish csh tcsh nu elvish xonsh posh oksh pwsh powershell
""")
_FOREIGN = o.words("fish csh tcsh nu elvish xonsh pwsh powershell")
_POWERSHELLS = frozenset({"pwsh", "powershell"})
_COMMANDS = frozenset({"-Command", "-EncodedCommand", "-enc", "--commands"})
_ENCODED = frozenset({"-encodedcommand", "-enc", "-e", "-ec"})
_VALUED = o.words("-o +o -O +O --rcfile --init-file --login-file")
_SHEBANG = re.compile(r"#!\s*(?:/usr/bin/env\s+(?:-S\s+)?)?(?:\S*/)?([\w.+-]+)")


class _Started(NamedTuple):
    """
    How a shell is started: with a *command*, reading its *input*, or only as a *check* of what it reads; what stands
    behind its options is *rest*.
    """

    command: bool
    input: bool
    check: bool
    rest: tuple[str, ...]


def _started(call: Invocation) -> _Started:
    argv = call.argv
    command = reads = check = False
    at = 1
    while at < len(argv) and argv[at][:1] in {"-", "+"} and len(argv[at]) > 1:
        word = argv[at]
        if word == "--":
            at += 1
            break
        letters = "" if word.startswith("--") else word[1:]
        if word[0] == "-":
            command = command or "c" in letters or word in _COMMANDS
            check = check or ("n" in letters and call.program not in _FOREIGN)
        elif "n" in letters:
            check = False
        reads = reads or "s" in letters
        at += 2 if word in _VALUED or (len(letters) > 1 and letters[-1] == "o") else 1
    return _Started(command, reads, check, argv[at:])


def run_shell(inquiry: Inquiry, call: Invocation) -> str:
    """
    A shell that is started.
    """
    argv = call.argv
    for name in ("--rcfile", "--init-file"):
        if (path := o.option(argv[1:], name)) is not None:
            _script(inquiry, call, path, ())
    started = _started(call)
    options = argv[1 : len(argv) - len(started.rest)]
    if not {"--version", "--help"}.isdisjoint(options):
        return HOLE
    if started.check:
        for path in started.rest[:1]:
            inquiry.use(path, call)
        return ""  # it only reads what it is given
    if call.program in _POWERSHELLS:
        for word, value in pairwise(argv):
            if word.lower() in _ENCODED:
                return _text(inquiry, call, _decoded(value), ())
    rest = started.rest
    if started.command:
        return _text(inquiry, call, rest[0] if rest else "", rest[2:])
    if rest and not started.input and rest[0] != "-":
        return _script(inquiry, call, rest[0], rest[1:])
    if call.stdin is None:
        return HOLE  # it would wait for what is typed
    if not is_known(call.stdin):
        inquiry.object("exec-unknown", call, "a shell would run what another program prints")
        return HOLE
    return _text(inquiry, call, call.stdin, rest[1:] if started.input else ())


def run_script(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    A program given by its path: what is in it is followed, where that is known.
    """
    path = call.argv[0]
    if "/" not in path and path not in inquiry.state.links:
        return None
    for cwd in call.cwd:
        if (place := inquiry.place(path, cwd)) in {Place.OUTSIDE, Place.OWN}:
            inquiry.object("outside", call, f"`{path}` is outside of the project", fixed=place is Place.OWN)
            return HOLE
    judge_script_name(inquiry, call, path)
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
    if interpreter not in SHELLS:
        return inquiry.argv(call, (interpreter, path, *arguments))
    with inquiry.following(inquiry.origin(path), content):
        return inquiry.text(content, stdin=call.stdin, arguments=arguments)
    return HOLE


def judge_script_name(inquiry: Inquiry, call: Invocation, path: str) -> None:
    """
    A script whose name says that it runs migrations.
    """
    name = re.sub(r"\.\w{1,4}$", "", path.rsplit("/", 1)[-1]) if is_known(path) else ""
    if name != "migrate-mongo" and is_migrating_target(name):
        inquiry.object("db", call, f"`{path}` runs migrations or changes a database, by its name")


_CMDLETS = {
    **o.each("remove-item ri del erase rd", "rm"),
    **o.each("get-content gc", "cat"),
    **o.each("set-content add-content out-file", "tee"),
    **o.each("move-item rename-item", "mv"),
    **o.each("invoke-expression iex", "eval"),
    **o.each("invoke-webrequest iwr", "curl"),
    "copy-item": "cp",
    "start-process": "command",
    "new-item": "touch",
    "clear-content": "truncate -s 0",
    **o.each("get-childitem gci dir", "ls"),
    "invoke-sqlcmd": "sqlcmd",
}
"""PowerShell's commands, and programs that do the same."""
_SWITCHES = re.compile(
    r"(?<![\w-])-(?:Recurse|Force|Confirm:\$false|Path|LiteralPath|ArgumentList|FilePath|Encoding\s+\w+)\b",
    re.IGNORECASE,
)
_QUERY = re.compile(r"-Query\b", re.IGNORECASE)
_NAMES = re.compile(r"-(?:Value|Destination)\s+", re.IGNORECASE)
_CMDLET = re.compile(r"(?<![\w./-])([A-Za-z]+-[A-Za-z]+|iex|iwr|gci|gc|ri|rd|del|erase)(?=\s|$)")
_PIPED = re.compile(r"\|\s*(?=(?:rm|mv|truncate)\b)")
"""Where PowerShell hands on what is deleted or moved."""
_DOS_COMMANDS = {**o.each("del erase rd rmdir", "rm"), **o.each("move ren rename", "mv"), "copy": "cp", "type": "cat"}
_DOS = re.compile(rf"((?:^|[&|(])\s*)({'|'.join(_DOS_COMMANDS)})(?=\s|$)", re.IGNORECASE)
_DOS_SWITCH = re.compile(r"(?<=\s)/[a-zA-Z](?::\w+)?(?=\s|$)")
_EXTERNAL = re.compile(r"(?<![\w])e:(?=\w)|(?<![\w.])\^(?=[\w/])")
"""Elvish's and nu's marks of programs."""


def _powershell(text: str) -> str:
    """
    *text* as nearly as it can be said to a POSIX shell.
    """
    text = _NAMES.sub("", _QUERY.sub("-Q", _SWITCHES.sub("", text)))
    text = _CMDLET.sub(lambda match: _CMDLETS.get(match.group(1).lower(), match.group(1)), text)
    return _PIPED.sub("| xargs ", text)


def run_cmd(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Windows' ``cmd /c COMMAND``.
    """
    for at, word in enumerate(call.argv[1:], 2):
        if word.lower() in {"/c", "/k"}:
            text = _DOS_SWITCH.sub("", " ".join(call.argv[at:]))
            return inquiry.text(_DOS.sub(lambda match: match.group(1) + _DOS_COMMANDS[match.group(2).lower()], text))
    return None


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode("utf-16-le")
    except (binascii.Error, ValueError):
        return HOLE


def _text(inquiry: Inquiry, call: Invocation, text: str, arguments: tuple[str, ...]) -> str:
    if is_printed(text) or (not is_known(text) and not re.search(r"[\w\s]", filled(text, ""))):
        inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
        return HOLE
    if call.program not in _FOREIGN:
        return inquiry.text(text, stdin=call.stdin, arguments=arguments)
    if call.program in _POWERSHELLS:
        text = _powershell(text)
    else:
        text = _EXTERNAL.sub("", as_posix(text) if call.program == "fish" else text)
    try:
        return inquiry.text(text, stdin=call.stdin, arguments=arguments)
    except Unreadable:
        raise Unreadable(f"a text for {call.program} that cannot be followed") from None


def _script(inquiry: Inquiry, call: Invocation, path: str, arguments: tuple[str, ...]) -> str:
    if path in STDIN:
        return _text(inquiry, call, call.stdin or HOLE, arguments)
    if match := re.fullmatch(r"/(?:dev|proc/self)/fd/(\d+)", path):
        path = next((one.path for one in call.redirections if one.descriptor == match.group(1)), path)
    if not is_known(path):
        inquiry.object("exec-unknown", call, "which script it would run is only known when it runs")
        return HOLE
    inquiry.use(path, call)
    judge_script_name(inquiry, call, path)
    content = inquiry.content(path)
    if is_known(content):
        return run_content(inquiry, call, path, content.replace("#!", "# ", 1), arguments)
    if inquiry.is_new(path):
        inquiry.object("exec-unknown", call, f"what `{path}` holds is only known when it runs")
    return HOLE


HANDLERS: dict[str, Handler] = {**dict.fromkeys(SHELLS, run_shell), "cmd": run_cmd}
