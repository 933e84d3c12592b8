"""
Paths as a task file writes them: relative to the project, inside it, with ``/`` between folders.

Lexical only: where a path really leads (symbolic links) is for those who open it.
"""

from __future__ import annotations

import re

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
MAX_PATH = 1024
_GLOB = re.compile(r"[*?]")


INVISIBLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u200b\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff\\ufeff]")
"""Control characters, line breaks, marks that reorder what is shown, and spaces of no width."""


class BadPath(ValueError):
    """
    Not a path inside the project; the message says what is wrong and what to write.
    """


def relative_path(text: str) -> str:
    """
    *text* in one spelling: ``./a//b/../c`` is ``a/c``; a trailing ``/`` stays, and the project itself is ``.``.

    Globs and the brackets and parentheses of file-based routers are left as they are.  Raises `BadPath` for an absolute
    path, ``~``, a way out of the project, a URL, a backslash, a line break or more than `MAX_PATH` characters.
    """
    text = text.strip()
    if not text:
        raise BadPath("a path may not be empty")
    if len(text) > MAX_PATH:
        raise BadPath(f"a path of {len(text)} characters; at most {MAX_PATH} are allowed")
    if INVISIBLE.search(text):
        raise BadPath("a path may not hold line breaks or invisible characters")
    _check_start(text)
    if "\\" in text:
        raise BadPath("a backslash; write '/' between folders")
    parts: list[str] = []
    for part in text.split("/"):
        if part in ("", "."):
            continue
        if part != part.strip():
            raise BadPath("a space beside a '/'; remove it")
        if part != "..":
            parts.append(part)
        elif not parts or _GLOB.search(parts[-1]):
            raise BadPath("'..' leads out of the project; write a path inside it")
        else:
            parts.pop()
    if not parts:
        return "."
    # `./~x` and `./C:/x` would be read differently without the `./`.
    _check_start("/".join(parts[:2]))
    return "/".join(parts) + ("/" if text.endswith(("/", "/.", "/..")) else "")


def _check_start(text: str) -> None:
    if _URL.match(text):
        raise BadPath("a URL, expected a path inside the project")
    if text.startswith("/") or _DRIVE.match(text):
        raise BadPath("an absolute path; write it relative to the project")
    if text.startswith("~"):
        raise BadPath("'~' is outside the project; write a path relative to the project")
