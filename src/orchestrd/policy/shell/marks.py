"""
Characters of Unicode's private use area that mark, in a text under expansion, what plain text cannot say.

A *hole* stands for what only the running shell would know; it carries the name of what it stands for.
"""

from __future__ import annotations

import re

_OPEN, _CLOSE = "\ue000", "\ue001"
SPLIT = "\ue002"
"""Here a word ends and the next one begins."""
QUOTED = "\ue003"
"""Something was quoted here: even when it is empty, it is a word."""
UNSET = "\ue004"
"""Instead of a variable's value: it may have none; instead of an array's item: there is none at this place."""
_BASE = 0xE100
_SPECIAL = "*?[]{},~!^-#%/&\\"
_QUOTE = {ord(sign): chr(_BASE + ord(sign)) for sign in _SPECIAL}
_PLAIN = {_BASE + ord(sign): sign for sign in _SPECIAL} | {ord(QUOTED): None}
_TILDE = {ord("~"): chr(_BASE + ord("~"))}
_MARKED = re.compile(f"[{chr(_BASE)}-{chr(_BASE + 0x7F)}]")
_HOLE = re.compile("\ue000([^\ue000\ue001]*)\ue001")
_PRIVATE = re.compile("[\ue000-\uf8ff]")
FREE = 0xE200
"""From here on are characters that stand for whatever their user says."""


def hole(name: str = "(…)") -> str:
    """
    A text that is not known, called *name*: a variable of the environment, or in parentheses what printed it.
    """
    return f"{_OPEN}{name}{_CLOSE}"


HOLE = hole()


def is_known(text: str) -> bool:
    """
    True when there is no hole in *text*.
    """
    return _OPEN not in text


def holes(text: str) -> list[str]:
    """
    The names of the holes in *text*.
    """
    return _HOLE.findall(text) if _OPEN in text else []


def is_printed(text: str) -> bool:
    """
    True when a part of *text* is what some program would print, which may be anything.
    """
    return any(name.startswith("(") for name in holes(text))


def starts_with_hole(text: str) -> bool:
    """
    True when nothing is known of how *text* begins.
    """
    return text.startswith(_OPEN)


def only_holes(text: str) -> bool:
    """
    True when *text* has a hole and beside it nothing but blanks.
    """
    return _OPEN in text and not _HOLE.sub("", text).strip()


def filled(text: str, filling: str) -> str:
    """
    *text* with *filling* in its holes.
    """
    return _HOLE.sub(lambda _: filling, text) if _OPEN in text else text


def shown(text: str) -> str:
    """
    *text* as a person reads it: a hole is ``$name``.
    """
    return _HOLE.sub(lambda match: "$" + match.group(1), text) if _OPEN in text else text


def cleaned(text: str) -> str:
    """
    *text* as it came from outside, without characters that would pass for marks.
    """
    return _PRIVATE.sub("\ufffd", text) if _PRIVATE.search(text) else text


def quoted(text: str) -> str:
    """
    *text* as quoted: no character of it is a pattern.
    """
    return QUOTED + text.translate(_QUOTE)


def inert(text: str) -> str:
    """
    *text* as the value of a variable, in which no tilde is expanded.
    """
    return text.translate(_TILDE) if "~" in text else text


def plain(text: str) -> str:
    """
    *text* without the marks of quoting.
    """
    return text.translate(_PLAIN)


def escaped(expression: str) -> str:
    """
    The regular *expression* of a marked text with every sign that was quoted as nothing but that sign.
    """
    return _MARKED.sub(lambda match: "\\" + chr(ord(match.group()) - _BASE), expression.replace(QUOTED, ""))
