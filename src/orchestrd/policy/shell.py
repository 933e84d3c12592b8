"""
A command line as the simple commands it would run: words and redirections, unwrapped.

Plain splitting, not a shell: it follows operators, substitutions, ``sh -c`` and the usual wrappers.  What it cannot read
it says so, and the engine refuses.  It judges nothing.
"""

from __future__ import annotations

import re
import shlex

import msgspec

_OPERATORS = frozenset({";", "&", "&&", "|", "||", "|&", "(", ")", "{", "}", "!", ";;", "\n"})
_KEYWORDS = frozenset(
    {"if", "then", "else", "elif", "fi", "do", "done", "while", "until", "for", "case", "esac", "time"}
)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_SUBSTITUTION = re.compile(r"\$\(([^()]*(?:\([^()]*\)[^()]*)*)\)|`([^`]*)`|[<>]\(([^()]*)\)")
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1[^\n]*\n.*?^\s*\2\s*$", re.DOTALL | re.MULTILINE)
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish"})
_WRAPPERS: dict[str, frozenset[str]] = {
    # wrapper -> its options that take a value
    "sudo": frozenset({"-u", "-g", "-h", "-p", "-C"}),
    "doas": frozenset({"-u"}),
    "env": frozenset({"-u", "-C", "-S", "--unset", "--chdir"}),
    "nice": frozenset({"-n"}),
    "ionice": frozenset({"-c", "-n"}),
    "nohup": frozenset(),
    "setsid": frozenset(),
    "command": frozenset(),
    "builtin": frozenset(),
    "exec": frozenset({"-a"}),
    "stdbuf": frozenset({"-i", "-o", "-e"}),
    "timeout": frozenset({"-s", "-k", "--signal", "--kill-after"}),
    "xargs": frozenset({"-I", "-n", "-P", "-d", "-L", "-s", "-a", "-E"}),
    "busybox": frozenset(),
}
_MAX_DEPTH = 8


class Unreadable(ValueError):
    """
    The text is not a command line this module can follow.
    """


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """
    One simple command: its *words*, the first one the program, and the paths it writes by redirection.
    """

    words: tuple[str, ...]
    writes: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """
        The program's base name, empty for a bare redirection.
        """
        return self.words[0].rsplit("/", 1)[-1] if self.words else ""


def commands(text: str, depth: int = 0) -> list[Command]:
    """
    Every simple command in *text*, inner ones included.

    Raises `Unreadable`.
    """
    if depth > _MAX_DEPTH:
        raise Unreadable("nested too deeply")
    found: list[Command] = []
    text = _HEREDOC.sub(lambda m: m.group(0).split("\n", 1)[0] if m.group(1) else m.group(0), text)
    for match in _SUBSTITUTION.finditer(text):
        found += commands(next(g for g in match.groups() if g is not None), depth + 1)
    for words, writes in _simple(text):
        command = Command(words=tuple(words), writes=tuple(writes))
        found.append(command)
        found += _inner(command, depth)
    return found


def unwrap(words: tuple[str, ...]) -> tuple[str, ...]:
    """
    *words* without leading assignments, keywords and wrappers such as ``env``, ``timeout 5`` or ``xargs``.
    """
    rest = list(words)
    while rest:
        first = rest[0].rsplit("/", 1)[-1]
        if _ASSIGNMENT.match(rest[0]) or first in _KEYWORDS:
            del rest[0]
            continue
        if first not in _WRAPPERS:
            break
        valued = _WRAPPERS[first]
        del rest[0]
        while rest and (rest[0].startswith("-") or _ASSIGNMENT.match(rest[0])):
            takes_value = rest[0] in valued
            del rest[: 2 if takes_value else 1]
        if first == "timeout" and rest:
            del rest[0]
    return tuple(rest)


def _inner(command: Command, depth: int) -> list[Command]:
    words = unwrap(command.words)
    if not words:
        return []
    program = words[0].rsplit("/", 1)[-1]
    found: list[Command] = []
    if words != command.words:
        found.append(Command(words=words))
    if program in _SHELLS:
        for position, word in enumerate(words[1:], 1):
            if re.fullmatch(r"-[a-z]*c", word) and position + 1 < len(words):
                found += commands(words[position + 1], depth + 1)
                break
    elif program == "eval":
        found += commands(" ".join(words[1:]), depth + 1)
    elif program in {"find", "fd"}:
        for position, word in enumerate(words):
            if word in {"-exec", "-execdir", "-ok", "-okdir", "-x", "-X", "--exec"}:
                found += commands(shlex.join(w for w in words[position + 1 :] if w not in {";", "+"}), depth + 1)
                break
    return found


def _simple(text: str) -> list[tuple[list[str], list[str]]]:
    lexer = shlex.shlex(text.replace("\\\n", " ").replace("\n", " ; "), posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        tokens = list(lexer)
    except ValueError as error:
        raise Unreadable(str(error)) from None
    result: list[tuple[list[str], list[str]]] = []
    words: list[str] = []
    writes: list[str] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if re.fullmatch(r"[<>&|]*[<>][<>&|]*", token):
            if words and words[-1].isdigit():
                words.pop()
            if position < len(tokens):
                target = tokens[position]
                position += 1
                if ">" in token and not target.isdigit() and target != "-":
                    writes.append(target)
        elif token in _OPERATORS or set(token) <= set("();|&"):
            if words or writes:
                result.append((words, writes))
            words, writes = [], []
        else:
            words.append(token)
    if words or writes:
        result.append((words, writes))
    return result
