"""
Shells: what they are told to run by ``-c``, by a script, or on their input.
"""

from __future__ import annotations

import base64
import binascii
import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.targets import is_migrating_target
from orchestrd.policy.scope import Place
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, filled, is_known, is_printed
from orchestrd.policy.shell.nodes import Unreadable

SHELLS = o.words("""
    sh bash dash zsh ksh mksh ash rbash yash fish csh tcsh nu elvish xonsh posh oksh pwsh powershell
""")
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
    command = login = checks = False
    while at < len(argv) and argv[at][:1] in {"-", "+"} and len(argv[at]) > 1:
        word = argv[at]
        if word in {"--version", "--help"}:
            return HOLE
        if word == "--":
            at += 1
            break
        group = not word.startswith("--")
        if word in {"-Command", "-EncodedCommand", "-enc", "--commands"} or (
            group and word[0] == "-" and "c" in word[1:]
        ):
            command = True
        login = login or (group and "s" in word)
        checks = checks or (call.program not in _FOREIGN and group and word[0] == "-" and "n" in word[1:])
        checks = checks and not (word[0] == "+" and "n" in word)
        at += 2 if word in _VALUED or (group and len(word) > 2 and word[-1] == "o") else 1
    rest = argv[at:]
    if checks:
        for path in rest[:1]:
            inquiry.use(path, call)
        return ""  # it only reads what it is given
    if word_encoded := next(
        (
            argv[i + 1]
            for i, word in enumerate(argv[:-1])
            if word.lower() in {"-encodedcommand", "-enc", "-e", "-ec"} and call.program in {"pwsh", "powershell"}
        ),
        None,
    ):
        return _text(inquiry, call, _decoded(word_encoded), ())
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
        if inquiry.place(path, cwd) is Place.OUTSIDE:
            inquiry.object("outside", call, f"`{path}` is outside of the project")
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
    ours = not inquiry.is_new(path)
    if interpreter not in SHELLS:
        return inquiry.argv(call, (interpreter, path, *arguments))
    with inquiry.following(ours=ours):
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
    "remove-item": "rm",
    "ri": "rm",
    "del": "rm",
    "erase": "rm",
    "rd": "rm",
    "get-content": "cat",
    "gc": "cat",
    "set-content": "tee",
    "add-content": "tee",
    "out-file": "tee",
    "copy-item": "cp",
    "move-item": "mv",
    "rename-item": "mv",
    "invoke-expression": "eval",
    "iex": "eval",
    "start-process": "command",
    "new-item": "touch",
    "clear-content": "truncate -s 0",
    "get-childitem": "ls",
    "invoke-sqlcmd": "sqlcmd",
    "invoke-webrequest": "curl",
    "iwr": "curl",
}


def _powershell(text: str) -> str:
    text = re.sub(
        r"(?<![\w-])-(?:Recurse|Force|Confirm:\$false|Path|LiteralPath|ArgumentList|FilePath|Encoding\s+\w+)\b",
        "",
        text,
        flags=re.IGNORECASE,
    )
    text = re.sub(r"-Query\b", "-Q", text, flags=re.IGNORECASE)
    text = re.sub(r"-(?:Value|Destination)\s+", "", text, flags=re.IGNORECASE)
    return re.sub(
        r"(?<![\w./-])([A-Za-z]+-[A-Za-z]+|iex|iwr|gc|ri|rd|del|erase)(?=\s|$)",
        lambda match: _CMDLETS.get(match.group(1).lower(), match.group(1)),
        text,
    )


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode("utf-16-le")
    except (binascii.Error, ValueError):
        return HOLE


def _text(inquiry: Inquiry, call: Invocation, text: str, arguments: tuple[str, ...]) -> str:
    if is_printed(text) or (not is_known(text) and not re.search(r"[\w\s]", filled(text, ""))):
        inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
        return HOLE
    if call.program in _FOREIGN:
        text = re.sub(r";\s*(?:end|and|or)\b", ";", text) if call.program == "fish" else text
        text = (
            _powershell(text)
            if call.program in {"pwsh", "powershell"}
            else re.sub(r"(?<![\w])e:(?=\w)|(?<![\w.])\^(?=[\w/])", "", text)
        )
        try:
            return inquiry.text(text, stdin=call.stdin, arguments=arguments)
        except Unreadable:
            raise Unreadable(f"a text for {call.program} that cannot be followed") from None
    return inquiry.text(text, stdin=call.stdin, arguments=arguments)


def _script(inquiry: Inquiry, call: Invocation, path: str, arguments: tuple[str, ...]) -> str:
    if path in {"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"}:
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


HANDLERS: dict[str, Handler] = dict.fromkeys(SHELLS, run_shell)
