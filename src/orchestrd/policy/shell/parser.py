"""
A shell text → its commands: a recursive descent through the grammar of POSIX sh and bash.

It expands nothing and judges nothing, and what it does not know it refuses (`Unreadable`).  It is written for bash as
it runs without options of its own: no aliases, no history.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrd.policy.shell.nodes import (
    Branches,
    Chain,
    Command,
    Coprocess,
    Function,
    Group,
    Loop,
    Part,
    Pipeline,
    Script,
    Simple,
    Text,
    Unreadable,
    Word,
)
from orchestrd.policy.shell.simple import SimpleReader
from orchestrd.policy.shell.words import MAX_DEPTH

_FUNCTION = re.compile(r"([^ \t\n;|&()<>'\"`$\\=]+)[ \t]*\([ \t]*\)")
_PARENTHESES = re.compile(r"\([ \t]*\)")
_COPROCESS = re.compile(r"([A-Za-z_]\w*)(?=[ \t]+(?:\{|\(|while\b|until\b|for\b|if\b|case\b))")
_TIMING = re.compile(r"(-p|--)(?=[ \t\n])")
_IN = re.compile(r"in(?=[ \t\n;])")
_BRANCH_END = re.compile(r";;&|;;|;&")
_CONDITION_END = re.compile(r"\]\](?=[ \t\n;|&()<>]|$)")
_CONDITION_SIGN = re.compile(r"&&|\|\||[()<>]")
_CLOSERS = frozenset({"then", "elif", "else", "fi", "do", "done", "esac", "}"})


def parse(text: str, depth: int = 0, *, spend: Callable[[float], None] = lambda _: None) -> Script:
    """
    The commands of *text*; *depth* says in how many others it stands, *spend* is told how much was read of it
    (`orchestrd.policy.shell.words.MAX_PARTS`), whatever came of that.

    Raises `Unreadable`.
    """
    parser = Parser(text, depth)
    try:
        return parser.inner("")
    finally:
        spend(parser.parts)


class Parser(SimpleReader):
    """
    Reads commands from a place in a text on.
    """

    def inner(self, closer: str) -> Script:
        self._level += 1
        self._count(2)
        if self._level > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        script = self._script()
        self._skip(lines=True)
        if closer:
            self._expect(closer)
        elif self._at < len(self._text):
            raise Unreadable(f"`{self._text[self._at : self._at + 10]}` is not expected here")
        else:
            self._read_documents()
        self._level -= 1
        return script

    # -- lists -------------------------------------------------------------------------------------------------------

    def _script(self) -> Script:
        commands: list[Command] = []
        background: set[int] = set()
        while True:
            self._skip(lines=True)
            if self._ends():
                return Script(tuple(commands), frozenset(background))
            commands.append(self._chain())
            self._skip()
            if self._text.startswith("&", self._at) and not self._text.startswith("&&", self._at):
                background.add(len(commands) - 1)
                self._at += 1
            elif self._text.startswith(";", self._at) and not self._text.startswith((";;", ";&"), self._at):
                self._at += 1
            elif self._at < len(self._text) and self._text[self._at] not in "\n)" and not self._ends():
                raise Unreadable(f"`{self._text[self._at : self._at + 10]}` is not expected here")

    def _ends(self) -> bool:
        text, at = self._text, self._at
        return at >= len(text) or text[at] == ")" or text.startswith((";;", ";&"), at) or self._reserved() in _CLOSERS

    def _chain(self) -> Command:
        left = self._pipeline()
        while True:
            self._skip()
            operator = self._text[self._at : self._at + 2]
            if operator not in ("&&", "||"):
                return left
            self._at += 2
            self._skip(lines=True)
            left = Chain(left, "&&" if operator == "&&" else "||", self._pipeline())

    def _pipeline(self) -> Command:
        while self._reserved() in {"!", "time"}:
            self._count(0.5)
            self._at += len(self._reserved())
            self._skip()
            while match := _TIMING.match(self._text, self._at):
                self._at = match.end()
                self._skip()
            if self._at >= len(self._text) or self._text[self._at] in ";\n&|)":
                return Simple()
        commands = [self._command()]
        while True:
            self._skip()
            text, at = self._text, self._at
            if not text.startswith("|", at) or text.startswith("||", at):
                break
            self._at += 2 if text.startswith("|&", at) else 1
            self._skip(lines=True)
            commands.append(self._command())
        return commands[0] if len(commands) == 1 else Pipeline(tuple(commands))

    # -- commands ----------------------------------------------------------------------------------------------------

    def _command(self) -> Command:
        self._level += 1
        if self._level > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        try:
            return self._one_command()
        finally:
            self._level -= 1

    def _one_command(self) -> Command:
        text, at = self._text, self._at
        if text.startswith("((", at):
            self._at += 2
            found = self.arithmetic("))")
            if found is not None:
                return Branches(words=(found,), redirects=self._redirects())
            self._at = at
        if text.startswith("(", at):
            self._at += 1
            return Group(self.inner(")"), self._redirects(), subshell=True)
        reserved = self._reserved()
        if reserved in _CLOSERS:
            raise Unreadable(f"`{reserved}` is not expected here")
        if reserved:
            self._at += len(reserved)
            return self._compound(reserved)
        if match := _FUNCTION.match(text, at):
            self._at = match.end()
            self._skip(lines=True)
            return Function(match.group(1), self._command())
        return self._simple()

    def _compound(self, reserved: str) -> Command:
        match reserved:
            case "{":
                body = self._script()
                self._close("}")
                return Group(body, self._redirects())
            case "if":
                return self._if()
            case "while" | "until":
                condition = self._script()
                return Loop(self._body(), condition, redirects=self._redirects())
            case "for" | "select":
                return self._for()
            case "case":
                return self._case()
            case "[[":
                return self._condition()
            case "function":
                name = self._name()
                self._skip()
                if match := _PARENTHESES.match(self._text, self._at):
                    self._at = match.end()
                self._skip(lines=True)
                return Function(name, self._command())
            case "coproc":
                self._skip()
                match = _COPROCESS.match(self._text, self._at)
                name = match.group(1) if match and match.group(1) not in {"while", "until", "for", "if"} else "COPROC"
                if match and name != "COPROC":
                    self._at = match.end()
                    self._skip()
                return Coprocess(name, self._command())
            case _:
                return self._pipeline()  # `!` and `time` inside of a pipeline

    def _if(self) -> Command:
        conditions: list[Command] = []
        branches: list[Script] = []
        while True:
            conditions += self._script().commands
            self._close("then")
            branches.append(self._script())
            self._skip(lines=True)
            reserved = self._reserved()
            if reserved == "else":
                self._at += 4
                branches.append(self._script())
                self._close("fi")
                break
            if reserved != "elif":
                self._close("fi")
                break
            self._at += 4
        return Branches(Script(tuple(conditions)), branches=tuple(branches), redirects=self._redirects())

    def _for(self) -> Command:
        self._skip()
        if self._text.startswith("((", self._at):
            self._at += 2
            parts: list[Part] = []
            found = self.arithmetic("))")
            if found is None:
                raise Unreadable("a parenthesis is not closed")
            parts += found
            self._skip()
            self._terminator()
            return Loop(self._body(), words=(tuple(parts),), name="", redirects=self._redirects())
        name = self._name()
        self._skip(lines=True)
        words: list[Word] | None = None
        if _IN.match(self._text, self._at):
            self._at += 2
            words = []
            self._skip()
            while (word := self.word()) is not None:
                words.append(word)
                self._skip()
        self._terminator()
        return Loop(self._body(), name=name, words=None if words is None else tuple(words), redirects=self._redirects())

    def _terminator(self) -> None:
        self._skip()
        if self._text.startswith(";", self._at):
            self._at += 1

    def _body(self) -> Script:
        self._skip(lines=True)
        if self._reserved() == "{":
            self._at += 1
            body = self._script()
            self._close("}")
            return body
        self._close("do")
        body = self._script()
        self._close("done")
        return body

    def _case(self) -> Command:
        self._skip()
        subject = self.word()
        if subject is None:
            raise Unreadable("`case` without a word")
        self._skip(lines=True)
        self._literal("in")
        branches: list[Script] = []
        onward: set[int] = set()
        words: list[Word] = [subject]
        while True:
            self._skip(lines=True)
            if self._reserved() == "esac":
                self._at += 4
                return Branches(Script(), tuple(words), tuple(branches), frozenset(onward), self._redirects())
            if self._text.startswith("(", self._at):
                self._at += 1
            while True:
                self._skip()
                pattern = self.word()
                if pattern is None:
                    raise Unreadable("a pattern is missing")
                words.append(pattern)
                self._skip()
                if not self._text.startswith("|", self._at):
                    break
                self._at += 1
            self._expect(")")
            self._count(2)
            branches.append(self._script())
            self._skip(lines=True)
            if match := _BRANCH_END.match(self._text, self._at):
                self._at = match.end()
                if match.group() != ";;":
                    onward.add(len(branches) - 1)

    def _condition(self) -> Command:
        """
        ``[[ … ]]``: only what is expanded in it matters.
        """
        words: list[Word] = []
        pattern = False
        text = self._text
        while True:
            self._skip(lines=True)
            if self._at >= len(text):
                raise Unreadable("`[[` is not closed")
            if _CONDITION_END.match(text, self._at):
                self._at += 2
                return Branches(words=tuple(words), redirects=self._redirects())
            if not pattern and (match := _CONDITION_SIGN.match(text, self._at)):
                self._at = match.end()
                continue
            word = self._regular_expression() if pattern else self.word()
            if word is None:
                raise Unreadable("a condition that is not known")
            pattern = word == (Text("=~"),)
            words.append(word)

    def _regular_expression(self) -> Word | None:
        parts: list[Part] = []
        level = 0
        text = self._text
        while self._at < len(text):
            here = text[self._at]
            if here in " \t\n" and level == 0:
                break
            if here == "\\":
                self._at += 2
            elif not self.part(parts):
                level += (here == "(") - (here == ")")
                self._at += 1
        return (Text("…"), *(part for part in parts if not isinstance(part, Text)))
