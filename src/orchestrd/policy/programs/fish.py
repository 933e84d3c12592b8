"""
Fish's blocks, which begin with a word of their own and end with ``end``, as a POSIX shell has them.
"""

from __future__ import annotations

import re

_STATEMENT = re.compile(r"(?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|\\.|[^;\n'\"\\])+", re.DOTALL)
_SUBSTITUTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|\\.|\$?\(", re.DOTALL)
_WORD = re.compile(r"\s*([a-z]+)(?=\s|$)\s*")
_OPENS = re.compile(r"(?:.*\|)?\s*(for|while|if|begin)(?=\s|$)", re.DOTALL)
_BLOCKS = {"for": ("do", "done"), "while": ("do", "done"), "if": ("then", "fi"), "begin": ("", "}")}
"""What a block begins with -> what stands before its commands, and at its end."""


def as_posix(text: str) -> str:
    """
    *text* for fish as nearly as it can be said to a POSIX shell.

    >>> as_posix("for f in *; echo $f; end")
    'for f in *; do echo $f; done'
    >>> as_posix("echo (ls '(')")
    "echo $(ls '(')"
    >>> as_posix("if test -f a; and test -f b; cat a; else; echo; end")
    'if test -f a; test -f b; then cat a; else echo; fi'
    """
    if _STATEMENT.sub("", text).strip(";\n"):
        return text  # a quote that is not closed
    text = _SUBSTITUTED.sub(lambda match: "$(" if match.group() == "(" else match.group(), text)
    line = ""
    blocks: list[str] = []
    waiting = ""
    opened = True
    """True where no semicolon may stand."""

    def say(words: str, *, opens: bool = False) -> None:
        nonlocal line, opened
        line += ("" if not line else " " if opened else "; ") + words
        opened = opens

    for statement in map(str.strip, _STATEMENT.findall(text)):
        match = _WORD.match(statement)
        word, rest = (match.group(1), statement[match.end() :]) if match else ("", statement)
        if word in {"and", "or"}:
            say(rest)
            continue
        if waiting:
            say(waiting, opens=True)
            waiting = ""
        if word == "end" and blocks:
            say(f"{_BLOCKS[blocks.pop()][1]} {rest}".strip())
        elif word == "else" and rest.startswith("if "):
            say("el" + rest)
            waiting = "then"
        elif word == "else":
            say("else", opens=True)
        elif opener := _OPENS.match(statement):
            blocks.append(opener.group(1))
            waiting = _BLOCKS[blocks[-1]][0]
            if waiting:
                say(statement)
            else:
                say(statement[: opener.start(1)] + "{", opens=True)
        elif statement:
            say(statement)
    return line
