"""
Command lines taken apart: options, their values, and what is left.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import pairwise

from orchestrd.policy.tables import each, rows, words

__all__ = ["after_options", "each", "has_flag", "left_out", "option", "options", "plain", "rows", "words"]

_LEAVES_OUT = re.compile(r"--[\w-]*(?:exclude|ignore|skip|omit)(?:-(?:dirs?|patterns?|regex|glob))?")
"""Not those that name a file in which it stands."""


def after_options(argv: tuple[str, ...], valued: Collection[str] = (), *, start: int = 1) -> int:
    """
    The place in *argv* of the first word from *start* on that is neither an option nor the value of one of *valued*.
    """
    at = start
    while at < len(argv):
        word = argv[at]
        if word == "--":
            return at + 1
        if not word.startswith("-") or word == "-":
            return at
        at += 2 if _takes_next(word, valued) else 1
    return len(argv)


def plain(argv: Iterable[str], valued: Collection[str] = ()) -> list[str]:
    """
    The words of *argv* (without its program) that are neither options nor the values of *valued* ones.
    """
    found: list[str] = []
    rest = iter(argv)
    for word in rest:
        if word == "--":
            found += rest
        elif not word.startswith("-") or word == "-":
            found.append(word)
        elif _takes_next(word, valued):
            next(rest, None)
    return found


def option(argv: Collection[str], *names: str) -> str | None:
    """
    The value of the first of the options *names* that is given, or None: ``-o x``, ``-ox``, ``--out x``, ``--out=x``.
    """
    return next(iter(options(argv, *names)), None)


def options(argv: Collection[str], *names: str) -> list[str]:
    """
    Every value of the options *names*, those with one dash and a long name, as ``go`` has them, too.
    """
    found: list[str] = []
    pending = False
    dashed = all(name.startswith("-") for name in names)
    for word in argv:
        if pending:
            found.append(word)
            pending = False
        elif dashed and not word.startswith("-"):
            continue
        elif word in names or (
            2 < len(word) <= 6 and word[1:].isalpha() and word[0] == "-" and "-" + word[-1] in names
        ):
            pending = True
        else:
            for name in names:
                if len(name) > 2 and word.startswith(name + "="):
                    found.append(word[len(name) + 1 :])
                elif len(name) == 2 and word.startswith(name) and not word.startswith("--"):
                    found.append(word[2:].removeprefix("="))
    return found


def left_out(argv: Iterable[str]) -> set[str]:
    """
    The words that say what is not looked at, as values of ``--exclude`` and its like or together with them.
    """
    given = list(argv)
    together = {word for word in given if "=" in word and _LEAVES_OUT.fullmatch(word.partition("=")[0])}
    return together | {word for option, word in pairwise(given) if _LEAVES_OUT.fullmatch(option)}


def has_flag(argv: Iterable[str], letters: str = "", *names: str) -> bool:
    """
    True when one of the *letters* stands in a group of short options, or one of the long *names* is given.
    """
    for word in argv:
        if word == "--":
            return False
        if word in names or any(word.startswith(name + "=") for name in names if name.startswith("--")):
            return True
        if (
            letters
            and len(word) > 1
            and word[0] == "-"
            and word[1] != "-"
            and any(letter in word for letter in letters)
        ):
            return True
    return False


def _takes_next(word: str, valued: Collection[str]) -> bool:
    """
    True when the option *word* has its value in the next one.
    """
    if word in valued:
        return True
    if word.startswith("--") or len(word) <= 2 or "=" in word:
        return False
    # A group of short options: one that takes a value ends it.
    for at, letter in enumerate(word[1:], 1):
        if "-" + letter in valued:
            return at == len(word) - 1
    return False
