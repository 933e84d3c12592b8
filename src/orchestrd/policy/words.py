"""
A command line as a shell would cut it: words without their quotes, operators, redirections, and the texts of the command
substitutions in it.

Follows the grammar of POSIX sh and the common parts of bash.  It expands nothing and judges nothing.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

_REDIRECTIONS = ("<<<", "<<-", "&>>", "<<", ">>", ">|", ">&", "<&", "<>", "&>", ">", "<")
_OPERATOR = re.compile(r";;&|;;|;&|;|&&|\|\||\|&|\||&|\(|\)")
_ORDINARY = re.compile(r"[^\s\\'\"$`<>;|&()#]+")
_QUOTED = re.compile(r"[^\"\\$`]+")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "v": "\v"}
_ANSI = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|[0-7]{1,3}|.)", re.DOTALL)


class Unreadable(ValueError):
    """
    The text is not a command line this module can follow.
    """


class Token(msgspec.Struct, kw_only=True):
    """
    A *word*, an *operator* (also ``;`` for a line end), or a *redirection*, whose target is the next word.

    *plain* says that no character of a word was quoted; *body* is a here-document's text.
    """

    kind: Literal["word", "operator", "redirection"]
    text: str
    plain: bool = True
    body: str | None = None


class Scanner:
    """
    One text, cut once: `tokens`, and in `inner` the texts of its substitutions.
    """

    def __init__(self, text: str) -> None:
        """
        Raises `Unreadable`.
        """
        self.tokens: list[Token] = []
        self.inner: list[str] = []
        self._text = text
        self._at = 0
        self._word: list[str] | None = None
        self._plain = True
        self._documents: list[Token] = []
        while self._at < len(text):
            self._step()
        self._flush()

    def _step(self) -> None:
        text, at = self._text, self._at
        here = text[at]
        if here == "\n":
            self._flush()
            self._at += 1
            self._add("operator", ";")
            self._read_documents()
        elif here in " \t\r\f\v":
            self._flush()
            self._at += 1
        elif here == "#" and self._word is None:
            end = text.find("\n", at)
            self._at = len(text) if end < 0 else end
        elif text.startswith("((", at) and self._word is None and (close := _arithmetic(text, at)) is not None:
            self.inner += substituted(text[at + 2 : close])
            self._at = close + 2
        elif text.startswith(("<(", ">("), at):
            self._substitution(at + 2)
        elif redirection := next((sign for sign in _REDIRECTIONS if text.startswith(sign, at)), None):
            self._redirection(redirection)
        elif match := _OPERATOR.match(text, at):
            self._flush()
            self._at = match.end()
            self._add("operator", match.group())
        else:
            self._character(here)

    def _character(self, here: str) -> None:
        text, at = self._text, self._at
        if here == "\\":
            if text[at + 1 : at + 2] != "\n":
                self._put(text[at + 1 : at + 2] or "\\", plain=False)
            self._at += 2
        elif here == "'":
            end = text.find("'", at + 1)
            if end < 0:
                raise Unreadable("a quote is not closed")
            self._put(text[at + 1 : end], plain=False)
            self._at = end + 1
        elif here == '"':
            self._at += 1
            self._double_quoted()
        elif text.startswith("$'", at):
            self._ansi_quoted()
        elif text.startswith('$"', at):
            self._at += 1
        elif text.startswith("$(", at):
            self._substitution(at + 2)
        elif here == "`":
            self._backticks()
        else:
            match = _ORDINARY.match(text, at)
            self._put(match.group() if match else here)
            self._at = match.end() if match else at + 1

    def _double_quoted(self) -> None:
        self._put("", plain=False)
        while self._at < len(self._text):
            text, at = self._text, self._at
            here = text[at]
            if here == '"':
                self._at += 1
                return
            if here == "\\" and text[at + 1 : at + 2] in ("$", "`", '"', "\\", "\n"):
                self._put("" if text[at + 1] == "\n" else text[at + 1])
                self._at += 2
            elif text.startswith("$(", at):
                self._substitution(at + 2)
            elif here == "`":
                self._backticks()
            else:
                match = _QUOTED.match(text, at)
                self._put(match.group() if match else here)
                self._at = match.end() if match else at + 1
        raise Unreadable("a quote is not closed")

    def _ansi_quoted(self) -> None:
        end = self._at + 2
        while end < len(self._text) and self._text[end] != "'":
            end += 2 if self._text[end] == "\\" else 1
        if end >= len(self._text):
            raise Unreadable("a quote is not closed")
        self._put(_ANSI.sub(_unescape, self._text[self._at + 2 : end]), plain=False)
        self._at = end + 1

    def _substitution(self, start: int) -> None:
        """
        ``$(…)``, ``<(…)`` or ``>(…)`` whose text begins at *start*; of ``$((…))`` only what is substituted inside.
        """
        end = closing(self._text, start)
        body = self._text[start:end]
        self._put(self._text[self._at : end + 1])
        if self._text.startswith("$((", self._at) and body.endswith(")"):
            self.inner += substituted(body)
        else:
            self.inner.append(body)
        self._at = end + 1

    def _backticks(self) -> None:
        end = self._at + 1
        while end < len(self._text) and self._text[end] != "`":
            end += 2 if self._text[end] == "\\" else 1
        if end >= len(self._text):
            raise Unreadable("a backtick is not closed")
        self.inner.append(re.sub(r"\\([$`\\])", r"\1", self._text[self._at + 1 : end]))
        self._put(self._text[self._at : end + 1])
        self._at = end + 1

    def _redirection(self, sign: str) -> None:
        if self._word is not None and self._plain and "".join(self._word).isdecimal():
            self._word = None  # the number of the file that is redirected
        self._flush()
        self._at += len(sign)
        self._add("redirection", sign)

    def _put(self, text: str, *, plain: bool = True) -> None:
        self._word = self._word if self._word is not None else []
        self._word.append(text)
        self._plain = self._plain and plain

    def _flush(self) -> None:
        if self._word is None:
            return
        token = Token(kind="word", text="".join(self._word), plain=self._plain)
        if self.tokens and self.tokens[-1].kind == "redirection" and self.tokens[-1].text in ("<<", "<<-"):
            self._documents.append(token)
        self.tokens.append(token)
        self._word, self._plain = None, True

    def _add(self, kind: Literal["operator", "redirection"], text: str) -> None:
        self.tokens.append(Token(kind=kind, text=text))

    def _read_documents(self) -> None:
        """
        The here-documents that the line before announced.
        """
        for token in self._documents:
            lines: list[str] = []
            while self._at < len(self._text):
                end = self._text.find("\n", self._at)
                end = len(self._text) if end < 0 else end
                line = self._text[self._at : end]
                self._at = end + 1
                if line.strip() == token.text:
                    break
                lines.append(line)
            token.body = "\n".join(lines)
            if token.plain:
                self.inner += substituted(token.body)
        self._documents = []


def _arithmetic(text: str, start: int) -> int | None:
    """
    Where the ``((…))`` that begins at *start* closes, or None when it is two subshells.
    """
    end = closing(text, start + 2)
    return end if text.startswith("))", end) else None


def closing(text: str, start: int) -> int:
    """
    Where the parenthesis that was opened just before *start* is closed.

    Raises `Unreadable`.
    """
    depth, at = 1, start
    while at < len(text):
        here = text[at]
        if here == "\\":
            at += 1
        elif here in "'\"":
            at += 1
            while at < len(text) and text[at] != here:
                at += 2 if here == '"' and text[at] == "\\" else 1
        elif here in "()":
            depth += 1 if here == "(" else -1
            if depth == 0:
                return at
        at += 1
    raise Unreadable("a parenthesis is not closed")


def substituted(text: str) -> list[str]:
    """
    The command substitutions in *text*, whatever quotes stand around them: in a here-document quotes are only text.
    """
    found: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 2
        elif text.startswith("$(", at):
            end = closing(text, at + 2)
            found.append(text[at + 2 : end])
            at = end + 1
        elif text[at] == "`":
            end = text.find("`", at + 1)
            if end < 0:
                break
            found.append(text[at + 1 : end])
            at = end + 1
        else:
            at += 1
    return found


def _unescape(match: re.Match[str]) -> str:
    code = match.group(1)
    if code[0] in "xu" and len(code) > 1:
        return chr(int(code[1:], 16))
    return chr(int(code, 8)) if code[0] in "01234567" else _ESCAPES.get(code, code)
