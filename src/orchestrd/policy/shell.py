"""
A command line as the simple commands it would run: words, redirections, and where each one stands.

Plain splitting, not a shell: it follows operators, substitutions, here-documents, ``cd``, literal variables, ``sh -c`` and
the usual wrappers.  What it cannot read it says so, and the engine refuses.  It judges nothing.
"""

from __future__ import annotations

import re
import shlex

import msgspec
from msgspec.structs import replace

from orchestrd.policy.words import Scanner, Token, Unreadable

_KEYWORDS = frozenset(
    {
        "if",
        "then",
        "else",
        "elif",
        "fi",
        "do",
        "done",
        "while",
        "until",
        "for",
        "case",
        "esac",
        "time",
        "{",
        "}",
        "!",
        "coproc",
    }
)
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\+?=")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish"})
_WRAPPERS: dict[str, frozenset[str]] = {
    # wrapper -> its options that take a value
    "sudo": frozenset({"-u", "-g", "-h", "-p", "-C"}),
    "doas": frozenset({"-u"}),
    "env": frozenset({"-u", "-C", "-P", "--unset", "--chdir"}),
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
    "parallel": frozenset({"-j", "-P", "-S"}),
    "watch": frozenset({"-n", "--interval"}),
    "busybox": frozenset(),
    "chronic": frozenset(),
    "unbuffer": frozenset(),
    "xvfb-run": frozenset({"-n", "-s"}),
    "firejail": frozenset(),
    "unshare": frozenset(),
    "systemd-run": frozenset({"-p", "--unit"}),
    "rlwrap": frozenset(),
    "cross-env": frozenset(),
    "dotenv": frozenset({"-e"}),
}
_RUNS_AFTER: dict[str, int] = {"timeout": 1, "faketime": 1}
"""Wrappers that take so many words of their own before the command."""
_CARRIERS: dict[str, frozenset[str]] = {
    # programs that run a command somewhere else -> the word after which it stands
    "docker": frozenset({"run", "exec"}),
    "podman": frozenset({"run", "exec"}),
    "docker-compose": frozenset({"run", "exec"}),
    "kubectl": frozenset({"--"}),
    "heroku": frozenset({"run"}),
    "fly": frozenset({"-C"}),
    "asdf": frozenset({"exec"}),
    "mise": frozenset({"exec", "x"}),
    "direnv": frozenset({"exec"}),
    "gdb": frozenset({"--args"}),
    "ssh": frozenset(),
    "screen": frozenset(),
    "tmux": frozenset(),
}
ELSEWHERE = "elsewhere"
"""`Command.outer` of a command whose files are not those of this machine."""
_MAX_DEPTH = 8


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """
    One simple command: its *words*, the first one the program, and the paths it *writes* and *reads* by redirection.

    *stdin* is the text it is given by a here-document or here-string, *piped* that another command writes to it, *moves*
    the folders that ``cd`` went to before it, *outer* that it is given arguments by a wrapper such as xargs.
    """

    words: tuple[str, ...]
    writes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    stdin: str | None = None
    piped: bool = False
    moves: tuple[str, ...] = ()
    outer: str = ""


def commands(text: str, depth: int = 0, moves: tuple[str, ...] = ()) -> list[Command]:
    """
    Every simple command in *text*, inner ones included.

    Raises `Unreadable`.
    """
    if depth > _MAX_DEPTH:
        raise Unreadable("nested too deeply")
    scanner = Scanner(text)
    found: list[Command] = []
    for inner in scanner.inner:
        found += commands(inner, depth + 1, moves)
    for command in _simple(scanner.tokens, moves):
        found.append(command)
        found += _inner(command, depth)
    return found


def unwrap(words: tuple[str, ...]) -> tuple[str, ...]:
    """
    *words* without leading assignments, keywords and wrappers such as ``env``, ``timeout 5`` or ``xargs``.
    """
    rest = list(words)
    while rest:
        first = base(rest[0])
        if first in {"for", "case", "select"}:
            return ()  # names and values; what is run stands behind `do` or a pattern
        if _ASSIGNMENT.match(rest[0]) or first in _KEYWORDS:
            del rest[0]
            continue
        if first not in _WRAPPERS and first not in _RUNS_AFTER:
            break
        if first in {"command", "builtin"} and rest[1:2] and rest[1] in {"-v", "-V"}:
            break  # only asks where a program is
        valued = _WRAPPERS.get(first, frozenset())
        del rest[0]
        while rest and (rest[0].startswith("-") or _ASSIGNMENT.match(rest[0])):
            if first == "env" and rest[0].startswith(("-S", "--split-string")):
                joined = " ".join([re.sub(r"^(-S|--split-string=?)", "", rest[0]), *rest[1:]])
                rest = shlex.split(joined) if joined.count("'") % 2 == 0 and joined.count('"') % 2 == 0 else []
                break
            if rest[0] == "--":
                del rest[0]
                break
            takes_value = rest[0] in valued
            del rest[: 2 if takes_value else 1]
        del rest[: _RUNS_AFTER.get(first, 0)]
    return tuple(rest)


def base(word: str) -> str:
    """
    A program's name without its folder.
    """
    return word.rsplit("/", 1)[-1]


def _inner(command: Command, depth: int) -> list[Command]:
    words = unwrap(command.words)
    if not words:
        return []
    program = base(words[0])
    found: list[Command] = []
    if words != command.words:
        outer = base(command.words[len(command.words) - len(words) - 1]) if len(words) < len(command.words) else ""
        found.append(replace(command, words=words, outer="xargs" if "xargs" in command.words else outer))
    texts: list[str] = []
    if program in _SHELLS:
        texts += _shell_texts(command, words)
    elif program in {"eval", "trap"}:
        texts.append(" ".join(words[1:]) if program == "eval" else words[1] if len(words) > 2 else "")
    elif program == "script" and "-c" in words[1:-1]:
        texts.append(words[words.index("-c") + 1])
    elif program in {"find", "fd"}:
        for position, word in enumerate(words):
            if word in {"-exec", "-execdir", "-ok", "-okdir", "-x", "-X", "--exec"}:
                texts.append(shlex.join(w for w in words[position + 1 :] if w not in {";", "+"}))
                break
    for text in texts:
        found += commands(text, depth + 1, command.moves)
    if program in _CARRIERS:
        found += _carried(words, _CARRIERS[program], depth)
    return found


def _carried(words: tuple[str, ...], after: frozenset[str], depth: int) -> list[Command]:
    """
    What might be run elsewhere: where the command begins is not known, so every rest of the line is one.
    """
    begin = next((at for at, word in enumerate(words) if word in after), None) if after else 0
    if begin is None:
        return []
    found = [Command(words=words[at:], outer=ELSEWHERE) for at in range(begin + 1, min(len(words), begin + 20))]
    for text in (word for word in words[begin + 1 :] if " " in word):
        try:
            found += [replace(command, outer=ELSEWHERE) for command in commands(text, depth + 1)]
        except Unreadable:
            continue
    return found


def _shell_texts(command: Command, words: tuple[str, ...]) -> list[str]:
    """
    What a shell is told to run: by ``-c``, or on its input.
    """
    for position, word in enumerate(words[1:], 1):
        if re.fullmatch(r"-[a-z]*c", word):
            return [text for text in words[position + 1 :] if text != "--"][:1]
    if any(not word.startswith(("-", "+")) for word in words[1:]) and "-s" not in words:
        return []  # a script file
    if command.stdin is not None:
        return [command.stdin]
    if command.piped:
        raise Unreadable("a shell reads its commands from a pipe")
    return []


class _Builder:
    """
    Tokens → simple commands.
    """

    def __init__(self, moves: tuple[str, ...]) -> None:
        self.found: list[Command] = []
        self._moves = moves
        self._outside: list[tuple[str, ...]] = []
        self._variables: dict[str, str] = {}
        self._piped = False
        self._clear()

    def _clear(self) -> None:
        self._words: list[str] = []
        self._writes: list[str] = []
        self._reads: list[str] = []
        self._stdin: str | None = None

    def word(self, token: Token) -> None:
        text = _VARIABLE.sub(lambda m: self._variables.get(m.group(1) or m.group(2), m.group()), token.text)
        if token.plain and text != token.text:
            self._words += text.split()
        else:
            self._words.append(text)

    def redirect(self, sign: str, target: Token) -> None:
        if sign in ("<<", "<<-"):
            self._stdin = target.body or ""
        elif sign == "<<<":
            self._stdin = target.text
        elif sign == "<":
            self._reads.append(target.text)
        elif sign != "<&" and not (sign == ">&" and re.fullmatch(r"\d+-?|-", target.text)):
            name = _VARIABLE.sub(lambda m: self._variables.get(m.group(1) or m.group(2), m.group()), target.text)
            self._writes.append(name)

    def end(self, operator: str) -> None:
        if "[[" in self._words and "]]" not in self._words and operator not in ("", ";"):
            self._words.append(operator)  # a condition's own
            return
        if self._words or self._writes or self._stdin is not None:
            command = Command(
                words=tuple(self._words), writes=tuple(self._writes), reads=tuple(self._reads), stdin=self._stdin,
                piped=self._piped, moves=self._moves,
            )  # fmt: skip
            self.found.append(command)
            self._remember(unwrap(command.words), command.words)
        self._clear()
        self._piped = operator in ("|", "|&") or (self._piped and operator == "(")
        if operator == "(":
            self._outside.append(self._moves)
        elif operator == ")" and self._outside:
            self._moves = self._outside.pop()

    def _remember(self, words: tuple[str, ...], whole: tuple[str, ...]) -> None:
        """
        What ``cd`` and literal assignments mean for the commands after them.
        """
        if words[:1] in (("cd",), ("pushd",)):
            places = [word for word in words[1:] if not word.startswith("-") or word == "-"]
            self._moves = (*self._moves, places[0] if places else "~")
            return
        assigned = words[1:] if words[:1] in (("export",), ("declare",), ("local",)) else () if words else whole
        for word in assigned:
            match = _ASSIGNMENT.match(word)
            if match and not re.search(r"[$`]", word[match.end() :]):
                self._variables[match.group(1)] = word[match.end() :]


def _simple(tokens: list[Token], moves: tuple[str, ...]) -> list[Command]:
    builder = _Builder(moves)
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token.kind == "word":
            builder.word(token)
        elif token.kind == "operator":
            builder.end(token.text)
        elif position < len(tokens) and tokens[position].kind == "word":
            builder.redirect(token.text, tokens[position])
            position += 1
    builder.end("")
    return builder.found
