"""
A shell text → its commands: a recursive descent through the grammar of POSIX sh and bash.

It expands nothing and judges nothing, and what it does not know it refuses (`Unreadable`).  It is written for bash as
it runs without options of its own: no aliases, no history.
"""

from __future__ import annotations

import re

from orchestrd.policy.shell.nodes import (
    Assignment,
    Branches,
    Chain,
    Command,
    Coprocess,
    Function,
    Group,
    Loop,
    Part,
    Pipeline,
    Redirect,
    Script,
    Simple,
    Text,
    Unreadable,
    Word,
)
from orchestrd.policy.shell.words import WordReader
from orchestrd.policy.tables import words

_BLANK = re.compile(r"(?:[ \t\r]|\\\n)+")
_COMMENT = re.compile(r"#[^\n]*")
_REDIRECT = re.compile(r"(\d+|\{[A-Za-z_]\w*\})?(<<<|<<-|<<|<>|<&|>&|>>|>\||&>>|&>|<(?!\()|>(?!\())")
_ASSIGN = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[[^\]\n]*\])?(\+)?=")
_RESERVED = re.compile(
    r"""
    (if|then|elif|else|fi|for|select|while|until|do|done|case|esac|function|coproc|time|\{|\}|!
    |\[\[)(?=[\s;|&()<>]|$)
    """,
    re.VERBOSE,
)
_NAME = re.compile(r"[^\s;|&()<>'\"`$\\]+")
_FUNCTION = re.compile(r"([^\s;|&()<>'\"`$\\=]+)[ \t]*\([ \t]*\)")
_COPROCESS = re.compile(r"([A-Za-z_]\w*)(?=[ \t]+(?:\{|\(|while\b|until\b|for\b|if\b|case\b))")
_PLAIN = re.compile(r"[\w./:=@%+,^\-]+(?=[\s;|&<>]|$)")
_CLOSERS = words("then elif else fi do done esac }")
_DECLARING = words("export declare typeset local readonly")
_META = frozenset(" \t\n\r;|&()<>")
_NO_WORD: Word = ()


def parse(text: str, depth: int = 0) -> Script:
    """
    The commands of *text*; *depth* says in how many others it stands.

    Raises `Unreadable`.
    """
    return Parser(text, depth).inner("")


class Parser(WordReader):
    """
    Reads commands from a place in a text on.
    """

    def __init__(self, text: str, depth: int = 0) -> None:
        super().__init__(text, depth)
        self._level = depth
        self._documents: list[tuple[Redirect, str, bool, bool]] = []

    def inner(self, closer: str) -> Script:
        self._level += 1
        if self._level > 30:
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
            self._at += len(self._reserved())
            self._skip()
            while match := re.compile(r"(-p|--)(?=\s)").match(self._text, self._at):
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
        if self._level > 30:
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
                if match := re.compile(r"\([ \t]*\)").match(self._text, self._at):
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
        return Branches(Script(tuple(conditions)), (), tuple(branches), self._redirects())

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
        if re.compile(r"in(?=[\s;])").match(self._text, self._at):
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
        words: list[Word] = [subject]
        while True:
            self._skip(lines=True)
            if self._reserved() == "esac":
                self._at += 4
                return Branches(words=tuple(words), branches=tuple(branches), redirects=self._redirects())
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
            branches.append(self._script())
            self._skip(lines=True)
            if match := re.compile(r";;&|;;|;&").match(self._text, self._at):
                self._at = match.end()

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
            if re.compile(r"\]\](?=[\s;|&()<>]|$)").match(text, self._at):
                self._at += 2
                return Branches(words=tuple(words), redirects=self._redirects())
            if match := re.compile(r"&&|\|\||[()<>]").match(text, self._at) if not pattern else None:
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

    def _simple(self) -> Command:
        assignments: list[Assignment] = []
        declared: list[Assignment] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        declares = False
        text = self._text
        while True:
            self._skip()
            if self._redirect(redirects):
                continue
            if match := _PLAIN.match(text, self._at):
                plain = match.group()
                if "=" not in plain and plain != "=":
                    self._at = match.end()
                    words.append((Text(plain),))
                    declares = declares or (len(words) == 1 and plain in _DECLARING)
                    continue
            if (not words or declares) and (match := _ASSIGN.match(text, self._at)):
                self._at = match.end()
                (declared if words else assignments).append(self._assignment(match))
                continue
            word = self.word()
            if word is None:
                break
            words.append(word)
        if not (words or assignments or redirects):
            raise Unreadable(f"`{text[self._at : self._at + 10]}` is not expected here")
        return Simple(tuple(assignments), tuple(words), tuple(redirects), tuple(declared))

    def _assignment(self, match: re.Match[str]) -> Assignment:
        name, index, append = match.groups()
        where: Word | None = Parser(index[1:-1], self._level).document() if index else None
        if not self._text.startswith("(", self._at):
            return Assignment(name, self.word() or _NO_WORD, index=where, append=bool(append))
        self._at += 1
        items: list[Word] = []
        while True:
            self._skip(lines=True)
            word = self.word()
            if word is None:
                self._expect(")")
                return Assignment(name, items=tuple(items), append=bool(append))
            items.append(word)

    # -- redirections ------------------------------------------------------------------------------------------------

    def _redirects(self) -> tuple[Redirect, ...]:
        found: list[Redirect] = []
        self._skip()
        while self._redirect(found):
            self._skip()
        return tuple(found)

    def _redirect(self, found: list[Redirect]) -> bool:
        match = _REDIRECT.match(self._text, self._at)
        if match is None:
            return False
        self._at = match.end()
        self._skip()
        descriptor, operator = match.group(1) or "", match.group(2)
        start = self._at
        target = self.word()
        if target is None:
            raise Unreadable(f"nothing follows `{operator}`")
        redirect = Redirect(operator, target, descriptor)
        if operator in {"<<", "<<-"}:
            raw = self._text[start : self._at]
            quoted = any(sign in raw for sign in "'\"\\")
            delimiter = "".join(part.text for part in target if isinstance(part, Text)) if quoted else raw
            self._documents.append((redirect, delimiter, quoted, operator == "<<-"))
        found.append(redirect)
        return True

    def _read_documents(self) -> None:
        """
        The here-documents that the line before announced.
        """
        waiting, self._documents = self._documents, []
        for redirect, delimiter, quoted, indented in waiting:
            lines: list[str] = []
            while self._at < len(self._text):
                end = self._text.find("\n", self._at)
                line = self._text[self._at : len(self._text) if end < 0 else end + 1]
                self._at += len(line)
                if indented:
                    line = line.lstrip("\t")
                if line.rstrip("\n") == delimiter:
                    break
                lines.append(line)
            body = "".join(lines)
            text: Word = (Text(body, quoted=True),) if quoted else Parser(body, self._level).document()
            redirect.operator, redirect.target = "<<", text

    # -- signs -------------------------------------------------------------------------------------------------------

    def _skip(self, *, lines: bool = False) -> None:
        """
        Pass blanks and comments, and with *lines* the ends of lines.
        """
        text, size = self._text, len(self._text)
        while self._at < size:
            here = text[self._at]
            if here == "\n":
                if not lines:
                    return
                self._at += 1
                if self._documents:
                    self._read_documents()
            elif match := _BLANK.match(text, self._at):
                self._at = match.end()
            elif here == "#" and (self._at == 0 or text[self._at - 1] in _META):
                match = _COMMENT.match(text, self._at)
                self._at = match.end() if match else size
            else:
                return

    def _reserved(self) -> str:
        match = _RESERVED.match(self._text, self._at)
        return match.group(1) if match else ""

    def _close(self, reserved: str) -> None:
        self._skip(lines=True)
        if self._reserved() != reserved:
            raise Unreadable(f"`{reserved}` is missing")
        self._at += len(reserved)

    def _literal(self, text: str) -> None:
        if not re.compile(rf"{text}(?=\s)").match(self._text, self._at):
            raise Unreadable(f"`{text}` is missing")
        self._at += len(text)

    def _name(self) -> str:
        self._skip()
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise Unreadable("a name is missing")
        self._at = match.end()
        return match.group()
