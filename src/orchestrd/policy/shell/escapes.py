"""
Texts quoted and escaped, as shells, ``echo`` and ``printf`` read them.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}|[0-7]{1,3}|c.|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}


def as_word(text: str) -> str:
    """
    *text* as a word that a shell reads back as it is.
    """
    return "'" + text.replace("'", "'\\''") + "'"


def unescaped(text: str, *, zero: bool = False) -> str:
    r"""
    *text* with the escapes of ``$'…'``, ``echo -e`` and ``printf`` replaced by what they stand for; with *zero* an
    octal number has a zero before its three digits.

    >>> unescaped(r"\x67it\tpush")
    'git\tpush'
    """
    if zero:
        text = re.sub(r"\\0([0-7]{1,3})", lambda match: chr(int(match.group(1), 8)), text)
    return _ESCAPE.sub(_unescape, text) if "\\" in text else text


def _unescape(match: re.Match[str]) -> str:
    code = match.group(1)
    if code[0] in "xuU" and len(code) > 1:
        return chr(min(int(code[1:], 16), 0x10FFFF))
    if code[0] in "01234567":
        return chr(int(code, 8))
    if code[0] == "c" and len(code) > 1:
        return "\x7f" if code[1] == "?" else chr(ord(code[1]) & 0x1F)
    return _ESCAPES.get(code, code if code in "\\'\"?" else "\\" + code)
