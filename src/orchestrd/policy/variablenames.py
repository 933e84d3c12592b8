"""
A command line that shows the names of the environment's variables and no value: ``env | cut -d= -f1 | sort``.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from orchestrd.policy.shell.nodes import Chain, Command, Pipeline, Script, Simple, Text

_LINES = re.compile(r"e?grep(?: -[iEvFw]+)* [^-\n][^\n]*|sort(?: -[bdfhinruV]+)*")
"""What leaves lines out or puts them into another order."""
_NAMES = re.compile(
    r"""
      cut[ ](?:-s[ ])?(?:-d[ ]?=[ ]-f[ ]?1|-f[ ]?1[ ]-d[ ]?=)(?:[ ]-s)?
    | cut[ ]--delimiter==[ ]--fields=1
    | sed[ ](?:-E[ ])?s([/|,])=\.\*\$?\1{2}g?
    | [mg]?awk[ ]-F[ ]?=[ ]\{[ ]*print[ ]\$1;?[ ]*\}
    | e?grep[ ]-(?:oE|Eo|o)[ ]\^\[[\w-]+\][*+]=?
    | e?grep[ ](?:-[iEvFw]+[ ])*-[iEvFw]*[cq][iEvFw]*[ ][^-\n][^\n]*
    | wc(?:[ ]-[lwc])?
    """,
    re.VERBOSE,
)
"""What shows of a line nothing but what stands before its ``=``, or only counts."""
_SHOWS = re.compile(r"(?:sort(?!.* -\w*o)|uniq|wc|column|nl|tr|e?grep|head|tail|paste|cat)(?: [^/~\n]*)?")
"""What may follow: it runs nothing for what it reads, and keeps it nowhere."""
_REDEFINES = re.compile(r"(?:alias|eval|source|\.|hash|enable|trap|exec|shopt|set)(?: |$)")
_NOTHING = Simple(words=((Text("env"),), (Text("-i"),)))


def without_values(script: Script) -> Script:
    """
    *script* with an environment of nothing where only the names of what is in it are shown; as it is where a program's name may be
    something else there.
    """
    if not all(map(_is_plain, script.commands)):
        return script
    return replace(script, commands=tuple(map(_emptied, script.commands)))


def _is_plain(command: Command) -> bool:
    """
    True for simple commands, pipelines and chains of such, that define nothing.
    """
    match command:
        case Chain():
            return _is_plain(command.left) and _is_plain(command.right)
        case Pipeline():
            return all(map(_is_plain, command.commands))
        case Simple():
            named = (*command.assignments, *command.declared)
            return not any(one.name == "PATH" for one in named) and not _REDEFINES.match(_said(command))
    return False


def _emptied(command: Command) -> Command:
    match command:
        case Chain():
            return replace(command, left=_emptied(command.left), right=_emptied(command.right))
        case Pipeline() if _names_only([_said(one) for one in command.commands]):
            return replace(command, commands=(_NOTHING, *command.commands[1:]))
    return command


def _names_only(said: list[str]) -> bool:
    first, *rest = said
    if first not in {"env", "printenv"}:
        return False
    while rest and not _NAMES.fullmatch(rest[0]):
        if not _LINES.fullmatch(rest.pop(0)):
            return False
    return bool(rest) and all(map(_SHOWS.fullmatch, rest[1:]))


def _said(command: Command) -> str:
    """
    A simple command as it is written out, its words without their quotes; nothing where it reads, writes or expands anything.
    """
    if not isinstance(command, Simple) or command.assignments or command.declared:
        return ""
    if any(one.operator != ">" or one.descriptor != "2" for one in command.redirects):
        return ""
    words = ["".join(part.text if isinstance(part, Text) else "\n" for part in word) for word in command.words]
    return " ".join(words)
