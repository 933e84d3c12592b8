"""
A deliverable's text cut into words, remarks in parentheses, and the punctuation that separates thoughts.

Parentheses inside a word are part of it: ``src/app/(main)/page.tsx`` is one word, and ``(if needed)`` is a remark.
"""

from __future__ import annotations

import re
from enum import Enum, auto

import msgspec

from orchestrd.domain.taskfile.pathwords import MAX_WORD, balanced, has_extension, is_rooted, trimmed


class Kind(Enum):
    """
    What a token is.
    """

    WORD = auto()
    QUOTED = auto()
    """In backticks or quotes, or the target of a Markdown link: a path may hold spaces here."""
    REMARK = auto()
    """In parentheses; `Token.inside` holds its tokens."""
    COMMA = auto()
    COLON = auto()
    """``:`` after a word, or a dash between two."""
    ARROW = auto()
    STOP = auto()
    """``;`` or the end of a sentence."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """
    A piece of a text; *text* is empty for punctuation.
    """

    kind: Kind
    text: str = ""
    inside: tuple[Token, ...] = ()

    @property
    def word(self) -> str:
        """
        The text in lower case when it is a word, else empty.
        """
        return self.text.casefold() if self.kind is Kind.WORD else ""


_PIECE = re.compile(
    r"\[[^\]]{0,200}\]\((?P<link>[^()\s]+)\)"
    r"|`+(?P<code>[^`]+)`+"
    r"|(?<!\w)[\"“](?P<double>[^\"“”]+)[\"”](?!\w)"
    r"|(?<!\w)['‘](?P<single>[^'‘’]+)['’](?!\w)"
    r"|(?P<word>(?:[^\s`\"“]|(?<=\w)[\"“])+|.)"
)
_PUNCTUATION = {",": Kind.COMMA, ":": Kind.COLON, ";": Kind.STOP, ".": Kind.STOP, "!": Kind.STOP, "?": Kind.STOP}
_SIGNS = {"-": Kind.COLON, "--": Kind.COLON, "–": Kind.COLON, "—": Kind.COLON, "•": Kind.STOP, "|": Kind.STOP}
_SIGNS |= dict.fromkeys(("->", "-->", "=>", "→", "⇒", "➜"), Kind.ARROW)
_ABBREVIATIONS = {"e.g.", "i.e.", "etc.", "vs.", "cf.", "incl.", "resp.", "approx.", "no."}
_MAX_DEPTH = 4
_OPEN = "("


def tokens(text: str) -> tuple[Token, ...]:
    """
    The tokens of *text*, which stands on one line.
    """
    stack: list[list[Token]] = [[]]
    for found in _PIECE.finditer(text):
        kind = found.lastgroup
        piece = found[kind] if kind else ""
        if kind in ("link", "code") or (kind in ("double", "single") and _is_quoted_path(piece)):
            stack[-1].append(Token(kind=Kind.QUOTED, text=piece.strip()))
            continue
        for raw in piece.split():
            for part in raw.split(",") if _is_list(raw) else [raw]:
                _add(part + ("," if _is_list(raw) else ""), stack)
    while len(stack) > 1:
        _close(stack)
    return tuple(_joined(stack[0], text))


def _is_quoted_path(text: str) -> bool:
    return has_extension(text) and ("/" in text or " " not in text)


def _is_list(raw: str) -> bool:
    return "," in raw.strip(",") and "{" not in raw and "/" in raw


def _add(raw: str, stack: list[list[Token]]) -> None:
    if raw.isalpha():
        stack[-1].append(Token(kind=Kind.WORD, text=raw))
        return
    if len(raw) > MAX_WORD:
        return
    if sign := _SIGNS.get(raw) or _PUNCTUATION.get(raw):
        stack[-1].append(Token(kind=sign))
        return
    after: list[Kind | None] = []
    opened = 0
    while raw.startswith(_OPEN) and opened <= _MAX_DEPTH and not balanced(raw, *"()"):
        raw, opened = raw[1:], opened + 1
    wrapped = raw.rstrip(",;:.!?")
    if wrapped.startswith(_OPEN) and wrapped.endswith(")") and balanced(wrapped[1:-1], *"()"):
        raw, opened = raw[1:], opened + 1
    for _ in range(8):
        if not raw or raw.casefold() in _ABBREVIATIONS or raw.endswith("..."):
            break
        if raw[-1] in _PUNCTUATION and raw.strip("."):
            after.append(_PUNCTUATION[raw[-1]])
        elif raw[-1] == ")" and raw.count(")") > raw.count(_OPEN):
            after.append(None)
        else:
            break
        raw = raw[:-1]
    for _ in range(opened):
        if len(stack) <= _MAX_DEPTH:
            stack.append([])
    if raw:
        stack[-1].append(Token(kind=Kind.WORD, text=trimmed(raw) or raw))
    for kind in reversed(after):
        if kind is not None:
            stack[-1].append(Token(kind=kind))
        elif len(stack) > 1:
            _close(stack)


def _close(stack: list[list[Token]]) -> None:
    inside = tuple(stack.pop())
    stack[-1].append(Token(kind=Kind.REMARK, inside=inside))


def _joined(found: list[Token], text: str) -> list[Token]:
    """
    Make one quoted token of ``docs/My`` ``Guide.md``: a path with spaces that nobody put in quotes.
    """
    joined: list[Token] = []
    index = 0
    while index < len(found):
        end = _end_of_path(found, index)
        path = " ".join(token.text for token in found[index:end])
        # Not when a bracket or quote stood between the words.
        if end > index + 1 and path in text:
            joined.append(Token(kind=Kind.QUOTED, text=path))
        else:
            joined += found[index:end]
        index = end
    return joined


def _end_of_path(found: list[Token], index: int) -> int:
    text = found[index].text
    if found[index].kind is not Kind.WORD or not is_rooted(text) or has_extension(text) or text.endswith("/"):
        return index + 1
    for end in range(index + 1, min(index + 6, len(found))):
        text = found[end].text
        if found[end].kind is not Kind.WORD or is_rooted(text) or not ("/" in text or has_extension(text)):
            break
        if has_extension(text):
            return end + 1
    return index + 1
