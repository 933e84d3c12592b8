"""
Words of a shell text: quotes, expansions and substitutions, each with what is in it.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrd.policy.shell.escapes import unescaped
from orchestrd.policy.shell.nodes import (
    Arithmetic,
    Parameter,
    Part,
    Process,
    Script,
    Substitution,
    Text,
    Unreadable,
    Word,
)

MAX_DEPTH = 30
"""How deep substitutions and compound commands may stand in each other."""
_ORDINARY = re.compile(r"[^\s\\'\"$`<>;|&()?*+@!]+")
_IN_DOUBLE_QUOTES = re.compile(r"[^\"\\$`]+")
_IN_DOCUMENT = re.compile(r"[^\\$`]+")
_IN_BRACES = re.compile(r"[^\s\\'\"$`{}/]+")
_IN_INDEX = re.compile(r"[^\]\\'\"$`]+")
_IN_ARITHMETIC = re.compile(r"[^\\'\"$`()]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]|[@*#?$!-]")
_BRACED_NAME = re.compile(r"([!#]?)([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-])")
_OPERATOR = re.compile(r":[-=?+]|##?|%%?|//?|\^\^?|,,?|@|[-=?+:]")
_LETTER = re.compile(r"[A-Za-z0-9_]+")
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_META = frozenset(" \t\n;|&()<>")
MAX_PARTS = 4000
"""So many words, quotations and expansions are read of one text, a command counting as two of them, an escape as half of one."""
_PATTERNS = frozenset({"#", "##", "%", "%%", "/", "//", "^", "^^", ",", ",,"})
"""Operators behind which a pattern stands."""


class WordReader:
    """
    A text and a place in it, from which words are read.
    """

    def __init__(self, text: str, depth: int = 0) -> None:
        """
        Raises `Unreadable` when the text stands in too many others.
        """
        if depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        self._text = text
        self._at = 0
        self._depth = depth
        self.parts = 0.0
        """How much was read so far, as `MAX_PARTS` counts."""

    @abstractmethod
    def inner(self, closer: str) -> Script:
        """
        The script from here up to *closer*, which is consumed.
        """

    def word(self) -> Word | None:
        """
        The word that begins here, or None where none does.
        """
        parts: list[Part] = []
        text, size = self._text, len(self._text)
        started = False
        while self._at < size:
            here = text[self._at]
            if here in _META:
                if here in "<>" and text.startswith("(", self._at + 1) and not parts:
                    self._process(parts)
                    started = True
                    continue
                break
            started = True
            if here == "\\":
                if text.startswith("\\\n", self._at):
                    self._at += 2
                    started = bool(parts)
                    continue
                self._count(0.5)
                parts.append(Text(text[self._at + 1 : self._at + 2] or "\\", quoted=True))
                self._at += 2
            elif not self.part(parts):
                if here in "?*+@!" and text.startswith("(", self._at + 1):
                    parts.append(Text(self._extended_pattern()))
                    continue
                match = _ORDINARY.match(text, self._at)
                found = match.group() if match else here
                extended(parts, found)
                self._at += len(found)
        return tuple(parts) if started else None

    def part(self, parts: list[Part], *, quoted: bool = False) -> bool:
        """
        Read a quotation or an expansion that begins here into *parts*; False when none does.
        """
        text, at = self._text, self._at
        here = text[at]
        self._count(1)
        if here == "'" and not quoted:
            end = text.find("'", at + 1)
            if end < 0:
                raise Unreadable("a quote is not closed")
            parts.append(Text(text[at + 1 : end], quoted=True))
            self._at = end + 1
        elif here == '"' and not quoted:
            self._at += 1
            self._double_quoted(parts)
        elif here == "`":
            parts.append(Substitution(self._backticks(escaped='"' if quoted else ""), quoted))
        elif here != "$":
            return False
        elif text.startswith("$'", at) and not quoted:
            parts.append(Text(self._ansi_quoted(), quoted=True))
        elif text.startswith('$"', at) and not quoted:
            self._at += 2
            self._double_quoted(parts)
        elif text.startswith("$((", at) and self._arithmetic(parts, quoted=quoted):
            pass
        elif text.startswith("$(", at):
            self._at += 2
            parts.append(Substitution(self.inner(")"), quoted))
        elif text.startswith("$[", at):
            raise Unreadable("`$[…]` is not followed; write $((…))")
        elif text.startswith("${", at):
            parts.append(self._braced(quoted=quoted))
        elif match := _NAME.match(text, at + 1):
            parts.append(Parameter(match.group(), quoted, bare=True))
            self._at = match.end()
        else:
            parts.append(Text("$", quoted=True))
            self._at += 1
        return True

    def _count(self, parts: float) -> None:
        self.parts += parts
        if self.parts > MAX_PARTS:
            raise Unreadable("it is too long to follow")

    def document(self) -> Word:
        """
        The whole text as a here-document's: quotes are only characters.
        """
        parts: list[Part] = []
        text, size = self._text, len(self._text)
        while self._at < size:
            if text[self._at] == "\\":
                self._count(0.5)
                following = text[self._at + 1 : self._at + 2]
                if following != "\n":
                    parts.append(Text(following if following in "$`\\" else "\\" + following, quoted=True))
                self._at += 2
            elif match := _IN_DOCUMENT.match(text, self._at):
                parts.append(Text(match.group(), quoted=True))
                self._at = match.end()
            elif text[self._at] == "`":
                parts.append(Substitution(self._backticks(), True))
            else:
                self.part(parts, quoted=True)
        return tuple(parts)

    def arithmetic(self, closer: str) -> tuple[Part, ...] | None:
        """
        The expansions in an arithmetic expression up to *closer*, which is consumed; None, and nothing is read, when
        its parentheses do not end in it.
        """
        with self._within():
            return self._arithmetic_parts(closer)

    def _arithmetic_parts(self, closer: str) -> tuple[Part, ...] | None:
        start, level = self._at, 0
        parts: list[Part] = []
        text, size = self._text, len(self._text)
        while self._at < size:
            here = text[self._at]
            if level == 0 and text.startswith(closer, self._at):
                self._at += len(closer)
                return tuple(part for part in parts if not isinstance(part, Text))
            if here == ")" and level == 0:
                break
            if here in "()":
                self._count(0.5)  # they are read again, each time that they turn out to be no calculation
                level += 1 if here == "(" else -1
                self._at += 1
            elif here == "\\":
                self._at += 2
            elif match := _IN_ARITHMETIC.match(text, self._at):
                self._at = match.end()
            elif not self.part(parts):
                self._at += 1
        self._at = start
        return None

    def _double_quoted(self, parts: list[Part]) -> None:
        text, size = self._text, len(self._text)
        before = len(parts)
        while self._at < size:
            here = text[self._at]
            if here == '"':
                self._at += 1
                if len(parts) == before:
                    parts.append(Text("", quoted=True))
                return
            if here == "\\":
                self._count(0.5)
                following = text[self._at + 1 : self._at + 2]
                if following != "\n":
                    parts.append(Text(following if following in '$`"\\' else "\\" + following, quoted=True))
                self._at += 2
            elif match := _IN_DOUBLE_QUOTES.match(text, self._at):
                parts.append(Text(match.group(), quoted=True))
                self._at = match.end()
            else:
                self.part(parts, quoted=True)
        raise Unreadable("a quote is not closed")

    def _ansi_quoted(self) -> str:
        end = self._at + 2
        while end < len(self._text) and self._text[end] != "'":
            end += 2 if self._text[end] == "\\" else 1
        if end >= len(self._text):
            raise Unreadable("a quote is not closed")
        found = self._text[self._at + 2 : end]
        self._at = end + 1
        return unescaped(found).partition("\0")[0]  # where a C string ends, the quotation does

    def _backticks(self, escaped: str = "") -> Script:
        """
        What stands between two backticks, in which a backslash escapes the signs *escaped* too.
        """
        end = self._at + 1
        while end < len(self._text) and self._text[end] != "`":
            end += 2 if self._text[end] == "\\" else 1
        if end >= len(self._text):
            raise Unreadable("a backtick is not closed")
        inside = re.sub(rf"\\([$`\\{escaped}])", r"\1", self._text[self._at + 1 : end])
        self._at = end + 1
        reader = type(self)(inside, self._depth + 1)
        reader.parts = self.parts
        try:
            return reader.inner("")
        finally:
            self.parts = reader.parts

    def _process(self, parts: list[Part]) -> None:
        reads = self._text[self._at] == "<"
        self._at += 2
        parts.append(Process(self.inner(")"), reads))

    def _arithmetic(self, parts: list[Part], *, quoted: bool) -> bool:
        self._at += 3
        found = self.arithmetic("))")
        if found is None:
            self._at -= 3
            return False
        parts.append(Arithmetic(found, quoted))
        return True

    def _extended_pattern(self) -> str:
        """
        ``@(a|b)`` and the like, as text.
        """
        start, level = self._at, 0
        while self._at < len(self._text):
            here = self._text[self._at]
            if here in "`$\"'\\\n":
                raise Unreadable("a pattern with an expansion in it")
            level += (here == "(") - (here == ")")
            self._at += 1
            if here == ")" and level == 0:
                return self._text[start : self._at]
        raise Unreadable("a parenthesis is not closed")

    def _braced(self, *, quoted: bool) -> Parameter:
        with self._within():
            return self._braced_parameter(quoted=quoted)

    @contextmanager
    def _within(self) -> Iterator[None]:
        """
        What is read inside stands one deeper.
        """
        if self._depth >= MAX_DEPTH:
            raise Unreadable("nested too deeply")
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def _braced_parameter(self, *, quoted: bool) -> Parameter:
        self._at += 2
        text = self._text
        if text.startswith("#}", self._at):
            self._at += 2
            return Parameter("#", quoted)
        match = _BRACED_NAME.match(text, self._at)
        if match is None:
            raise Unreadable("an expansion without a name")
        prefix, name = match.groups()
        self._at = match.end()
        index = None
        if text.startswith("[", self._at):
            self._at += 1
            index = self._index()
        indirect = prefix == "!"
        if indirect and text.startswith(("*}", "@}"), self._at):
            self._at += 1  # the names that begin so
        operator = ""
        argument = None
        if not text.startswith("}", self._at):
            found = _OPERATOR.match(text, self._at)
            if found is None:
                raise Unreadable("an expansion that is not known")
            operator = found.group()
            self._at = found.end()
            # A pattern stays one in double quotes.
            argument = self._braced_argument(quoted=quoted and operator not in _PATTERNS)
        self._expect("}")
        return Parameter(name, quoted, operator, argument, index, prefix == "#", indirect)

    def _index(self) -> Word:
        parts: list[Part] = []
        while self._at < len(self._text) and self._text[self._at] != "]":
            if not self.part(parts):
                match = _IN_INDEX.match(self._text, self._at)
                parts.append(Text(match.group() if match else self._text[self._at]))
                self._at = match.end() if match else self._at + 1
        self._expect("]")
        return tuple(parts)

    def _braced_argument(self, *, quoted: bool) -> Word:
        """
        What stands behind an operator, up to the brace that closes the expansion: the first, whatever it looks like.
        """
        parts: list[Part] = []
        text, size = self._text, len(self._text)
        while self._at < size:
            here = text[self._at]
            if here == "}":
                return tuple(parts)
            if here == "\\":
                if not text.startswith("\\\n", self._at):
                    self._count(0.5)
                    parts.append(Text(text[self._at + 1 : self._at + 2] or "\\", quoted=True))
                self._at += 2
            elif here == '"' and quoted:
                # Inside of double quotes they begin a part that is quoted no more than the rest.
                self._at += 1
                self._double_quoted(parts)
            elif not self.part(parts, quoted=quoted):
                found = _IN_BRACES.match(text, self._at)
                piece = found.group() if found else here
                parts.append(Text(piece, quoted=quoted))
                self._at += len(piece)
        raise Unreadable("an expansion is not closed")

    def _expect(self, sign: str) -> None:
        if not self._text.startswith(sign, self._at):
            raise Unreadable(f"`{sign}` is missing")
        self._at += len(sign)


def extended(parts: list[Part], text: str) -> None:
    """
    Add plain *text* to *parts*: letters behind a bare ``$name`` belong to the name.
    """
    if parts and type(last := parts[-1]) is Parameter and last.bare and not last.quoted and last.name[0] in _LETTERS:
        match = _LETTER.match(text)
        if match is not None:
            parts[-1] = Parameter(last.name + match.group(), last.quoted, bare=True)
            text = text[match.end() :]
    if text:
        parts.append(Text(text))
