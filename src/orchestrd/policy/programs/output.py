"""
What simple programs print, where that follows from their arguments and what they are given.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
from collections.abc import Callable

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.escapes import unescaped
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, hole, is_known
from orchestrd.policy.shell.state import MAX_TEXT

_CONVERSION = re.compile(r"%(?:%|[-+ #0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?[a-zA-Z]|\([^)]*\)T)")
_CLASSES = {
    "[:upper:]": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "[:lower:]": "abcdefghijklmnopqrstuvwxyz",
    "[:digit:]": "0123456789",
}
_MAX = 20_000
"""Of longer texts (characters) nothing is worked out."""


def formatted(arguments: tuple[str, ...]) -> str:
    """
    What ``printf`` makes of its *arguments*.
    """
    if not arguments:
        return ""
    pattern, values = unescaped(arguments[0]), list(arguments[1:])
    if not is_known(pattern):
        return HOLE
    conversions = [one for one in _CONVERSION.findall(pattern) if one != "%%"]

    def one_pass() -> str:
        def convert(match: re.Match[str]) -> str:
            if match.group() == "%%":
                return "%"
            value = values.pop(0) if values else ""
            return unescaped(value, zero=True) if match.group().endswith("b") else value

        return _CONVERSION.sub(convert, pattern)

    printed = one_pass()
    while conversions and values and len(printed) < _MAX:
        printed += one_pass()
    return printed


def _echo(call: Invocation, _: Inquiry) -> str:
    rest = list(call.argv[1:])
    escapes = newline = False
    while rest and re.fullmatch(r"-[neE]+", rest[0]):
        flags = rest.pop(0)
        escapes = escapes or "e" in flags
        newline = newline or "n" in flags
    text = " ".join(rest)
    return (unescaped(text, zero=True) if escapes else text) + ("" if newline else "\n")


def _cat(call: Invocation, inquiry: Inquiry) -> str:
    files = o.plain(call.argv[1:])
    if not files:
        return call.stdin if call.stdin is not None else HOLE
    printed = ""
    for path in files:
        printed += (call.stdin or HOLE) if path == "-" else inquiry.content(path)
        if len(printed) > MAX_TEXT:
            return HOLE
    return printed


def _base64(call: Invocation, inquiry: Inquiry) -> str:
    text = _cat(call, inquiry) if o.plain(call.argv[1:], {"-w"}) else call.stdin
    if text is None or not is_known(text):
        return HOLE
    try:
        if o.has_flag(call.argv[1:], "dD", "--decode"):
            return base64.b64decode(re.sub(r"\s", "", text)).decode(errors="replace")
    except (binascii.Error, ValueError):
        return HOLE
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode() + "\n"


def _translate(call: Invocation, _: Inquiry) -> str:
    sets = [_characters(one) for one in o.plain(call.argv[1:])]
    if call.stdin is None or not is_known(call.stdin) or not sets:
        return HOLE
    if o.has_flag(call.argv[1:], "d", "--delete"):
        return "".join(sign for sign in call.stdin if sign not in sets[0])
    if len(sets) < 2 or not sets[1] or o.has_flag(call.argv[1:], "cCs"):
        return HOLE
    second = sets[1] + sets[1][-1] * (len(sets[0]) - len(sets[1]))
    return call.stdin.translate({ord(old): new for old, new in zip(sets[0], second, strict=False)})


def _characters(text: str) -> str:
    for name, characters in _CLASSES.items():
        text = text.replace(name, characters)
    return re.sub(
        r"(.)-(.)",
        lambda match: "".join(map(chr, range(ord(match.group(1)), min(ord(match.group(2)), 0x17F) + 1))),
        unescaped(text),
    )


def _lines(call: Invocation, inquiry: Inquiry) -> str:
    text = _cat(
        Invocation(argv=("cat", *o.plain(call.argv[1:], {"-n", "-c"})), stdin=call.stdin, cwd=call.cwd), inquiry
    )
    if not is_known(text):
        return HOLE
    count = o.option(call.argv[1:], "-n") or next(
        (word[1:] for word in call.argv[1:] if re.fullmatch(r"-\d+", word)), "10"
    )
    if not count.isdecimal():
        return HOLE
    lines = text.splitlines(keepends=True)
    return "".join(lines[: int(count)] if call.program == "head" else lines[-int(count) :])


def _sed(call: Invocation, inquiry: Inquiry) -> str:
    rest = [word for word in call.argv[1:] if word not in {"-n", "-e", "-E", "-r"}]
    if call.stdin is None or not is_known(call.stdin) or len(rest) != 1:
        return HOLE
    if rest[0] == "p" or re.fullmatch(r"\d+(?:,\d+)?p", rest[0]):
        return call.stdin
    del inquiry
    text = call.stdin
    for command in rest[0].split(";"):
        match = re.fullmatch(r"s(.)((?:(?!\1).)*)\1((?:(?!\1).)*)\1g?", command.strip())
        if match is None or re.search(r"[\\.*\[\]^$&]", match.group(2) + match.group(3)):
            return HOLE
        text = text.replace(match.group(2), match.group(3))
    return text


def _hexadecimal(call: Invocation, inquiry: Inquiry) -> str:
    del inquiry
    if not o.has_flag(call.argv[1:], "r") or call.stdin is None or not is_known(call.stdin):
        return HOLE
    try:
        return bytes.fromhex(re.sub(r"\s", "", call.stdin)).decode(errors="replace")
    except ValueError:
        return HOLE


def _reverse(call: Invocation, _: Inquiry) -> str:
    if call.stdin is None or not is_known(call.stdin):
        return HOLE
    return "\n".join(line[::-1] for line in call.stdin.split("\n"))


def _where(call: Invocation, _: Inquiry) -> str:
    names = o.plain(call.argv[1:])
    return f"/usr/bin/{names[0]}" if len(names) == 1 else HOLE


def _folder(call: Invocation, inquiry: Inquiry) -> str:
    del call
    return inquiry.state.cwd[0] if len(inquiry.state.cwd) == 1 else HOLE


def _path(call: Invocation, inquiry: Inquiry) -> str:
    names = o.plain(call.argv[1:], {"-s"})
    if not names or not is_known(names[0]):
        return HOLE
    match call.program:
        case "basename":
            name = posixpath.basename(names[0].rstrip("/"))
            return name.removesuffix(names[1]) if len(names) > 1 else name
        case "dirname":
            return posixpath.dirname(names[0].rstrip("/")) or "."
        case _:
            return posixpath.normpath(posixpath.join(inquiry.state.cwd[0], names[0]))


def _temporary(call: Invocation, inquiry: Inquiry) -> str:
    argv = [word for word in call.argv[1:] if word != "--tmpdir"]  # its value only stands in the same word
    folder = o.option(argv, "-p", "--tmpdir")
    given = [word for word in o.plain(argv, {"-p", "--suffix"}) if "/" in word]
    if given and folder is None:
        return given[0]
    if not folder and not inquiry.scope.scratch:
        return HOLE
    return "/".join((folder or inquiry.scope.scratch[0], f"tmp.{hole('mktemp')}"))


def _sequence(call: Invocation, _: Inquiry) -> str:
    numbers = o.plain(call.argv[1:])
    if not all(re.fullmatch(r"\d{1,6}", one) for one in numbers) or not 1 <= len(numbers) <= 2:
        return hole("number")
    low, high = (1, int(numbers[0])) if len(numbers) == 1 else map(int, numbers)
    return "\n".join(map(str, range(low, min(high, low + 16) + 1)))


def _text(call: Invocation, inquiry: Inquiry) -> str:
    del inquiry
    return hole("(orchestrd)" if "orchestr" in " ".join(call.argv) else f"({call.program})")


def _processes(call: Invocation, inquiry: Inquiry) -> str:
    del inquiry
    return hole("PPID") if "ppid" in " ".join(call.argv) else hole("(ps)")


def _nothing(call: Invocation, inquiry: Inquiry) -> str:
    """
    Of what sets up a shell (``eval "$(pyenv init -)"``) nothing matters here.
    """
    del inquiry
    return "" if set(call.argv[1:3]) & o.words("init hook shellenv env activate docker-env shell.bash shell") else HOLE


_PRINTING: dict[str, Callable[[Invocation, Inquiry], str]] = {
    "echo": _echo,
    "printf": lambda call, _: formatted(call.argv[2:] if call.argv[1:2] == ("--",) else call.argv[1:]),
    "cat": _cat,
    "tac": _cat,
    "base64": _base64,
    "tr": _translate,
    "head": _lines,
    "tail": _lines,
    "sed": _sed,
    "xxd": _hexadecimal,
    "rev": _reverse,
    **o.each("which type", _where),
    "pwd": _folder,
    **o.each("basename dirname realpath readlink", _path),
    "mktemp": _temporary,
    "seq": _sequence,
    "ps": _processes,
    **o.each("nproc wc date id stat expr bc grep jq sort uniq cut awk ls find fd rg", _text),
    **o.each(
        "pyenv rbenv nodenv goenv jenv fnm opam brew direnv mise asdf conda starship zoxide dircolors",
        _nothing,
    ),
}


def _prints(inquiry: Inquiry, call: Invocation) -> str | None:
    if any(len(word) > _MAX for word in call.argv) or len(call.stdin or "") > _MAX:
        return HOLE
    return _PRINTING[call.program](call, inquiry)


HANDLERS: dict[str, Handler] = dict.fromkeys(_PRINTING, _prints)
