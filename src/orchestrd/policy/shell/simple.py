"""
Simple commands of a shell text: words, assignments, redirections and here-documents.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from orchestrd.policy.shell.nodes import Assignment, Redirect, Simple, Text, Unreadable, Word
from orchestrd.policy.shell.words import WordReader

_BLANK = re.compile(r"(?:[ \t]|\\\n)+")
_SKIPPED = frozenset(" \t\n\\#")
_REDIRECT = re.compile(r"(\d+|\{[A-Za-z_]\w*\})?(<<<|<<-|<<|<>|<&|>&|>>|>\||&>>|&>|<(?!\()|>(?!\())")
_REDIRECT_STARTS = frozenset("0123456789<>&{")
_ASSIGN = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[[^\]\n]*\])?(\+)?=")
_RESERVED = re.compile(
    r"""
    (if|then|elif|else|fi|for|select|while|until|do|done|case|esac|function|coproc|time|\{|\}|!|\[\[)
    (?=[ \t\n;|&()<>]|$)
    """,
    re.VERBOSE,
)
_RESERVED_STARTS = frozenset("itefswudc{}![")
_NAME = re.compile(r"[^ \t\n;|&()<>'\"`$\\]+")
_PLAIN = re.compile(r"[\w./:=@%+,^\-]+(?=[ \t\n;|&<>]|$)")
"""A word in which nothing is expanded: the most frequent kind by far."""
_DECLARING = frozenset({"export", "declare", "typeset", "local", "readonly"})
_META = frozenset(" \t\n;|&()<>")
_PLACE = re.compile(r"\[([^\]\n]*)\](\+)?=")
"""The place of an array's item, before its value."""
_NO_WORD: Word = ()


class _Document(NamedTuple):
    """
    A here-document that was announced: its text follows behind the line.
    """

    redirect: Redirect
    delimiter: str
    quoted: bool
    indented: bool


class SimpleReader(WordReader):
    """
    Reads simple commands from a place in a text on.
    """

    def __init__(self, text: str, depth: int = 0) -> None:
        super().__init__(text, depth)
        self._level = depth
        self._documents: list[_Document] = []

    def _simple(self) -> Simple:
        assignments: list[Assignment] = []
        declared: list[Assignment] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        declares = False
        text = self._text
        self._count(2)
        while True:
            self._skip()
            if self._redirect(redirects):
                continue
            if match := _PLAIN.match(text, self._at):
                plain = match.group()
                if "=" not in plain:
                    self._count(1)
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
        where: Word | None = type(self)(index[1:-1], self._level).document() if index else None
        if not self._text.startswith("(", self._at):
            return Assignment(name, self.word() or _NO_WORD, index=where, append=bool(append))
        self._at += 1
        items: list[Word | Assignment] = []
        while True:
            self._skip(lines=True)
            if place := _PLACE.match(self._text, self._at):
                self._at = place.end()
                where = type(self)(place.group(1), self._level).document()
                items.append(Assignment("", self.word() or _NO_WORD, index=where, append=bool(place.group(2))))
                continue
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
        if self._text[self._at : self._at + 1] not in _REDIRECT_STARTS:
            return False
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
        self._count(1)
        redirect = Redirect(operator, target, descriptor)
        if operator in {"<<", "<<-"}:
            raw = self._text[start : self._at]
            quoted = any(sign in raw for sign in "'\"\\")
            delimiter = "".join(part.text for part in target if isinstance(part, Text)) if quoted else raw
            self._documents.append(_Document(redirect, delimiter, quoted, operator == "<<-"))
        found.append(redirect)
        return True

    def _read_documents(self) -> None:
        """
        The here-documents that the line before announced.
        """
        waiting, self._documents = self._documents, []
        for redirect, delimiter, quoted, indented in waiting:
            tabs = r"^\t*" if indented else "^"
            ends = re.compile(f"{tabs}{re.escape(delimiter)}$\n?", re.MULTILINE)
            end = ends.search(self._text, self._at) if "\n" not in delimiter else None
            body = self._text[self._at : end.start() if end else len(self._text)]
            self._at = end.end() if end else len(self._text)
            if indented:
                body = re.sub(tabs, "", body, flags=re.MULTILINE)
            text: Word = (Text(body, quoted=True),) if quoted else type(self)(body, self._level).document()
            redirect.operator, redirect.target = "<<", text

    # -- what stands between ----------------------------------------------------------------------------------------

    def _skip(self, *, lines: bool = False) -> None:
        """
        Pass blanks and comments, and with *lines* the ends of lines.
        """
        text, size = self._text, len(self._text)
        while self._at < size:
            here = text[self._at]
            if here not in _SKIPPED:
                return
            if here == "\n":
                if not lines:
                    return
                self._at += 1
                if self._documents:
                    self._read_documents()
            elif match := _BLANK.match(text, self._at):
                self._at = match.end()
            elif here == "#" and (self._at == 0 or text[self._at - 1] in _META):
                end = text.find("\n", self._at)
                self._at = size if end < 0 else end
            else:
                return

    def _reserved(self) -> str:
        if self._text[self._at : self._at + 1] not in _RESERVED_STARTS:
            return ""
        match = _RESERVED.match(self._text, self._at)
        return match.group(1) if match else ""

    def _close(self, reserved: str) -> None:
        self._skip(lines=True)
        if self._reserved() != reserved:
            raise Unreadable(f"`{reserved}` is missing")
        self._at += len(reserved)

    def _literal(self, text: str) -> None:
        end = self._at + len(text)
        if not self._text.startswith(text, self._at) or self._text[end : end + 1] not in tuple(" \t\n"):
            raise Unreadable(f"`{text}` is missing")
        self._at = end

    def _name(self) -> str:
        self._skip()
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise Unreadable("a name is missing")
        self._at = match.end()
        return match.group()
