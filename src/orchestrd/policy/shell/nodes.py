"""
The parts of a shell text, as the POSIX grammar and bash's own manual name them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec


class Unreadable(ValueError):
    """
    The text is not a command line that can be followed.
    """


class Text(msgspec.Struct, frozen=True, gc=False):
    """
    Characters that stand for themselves; *quoted* ones are no pattern and are never split.
    """

    text: str
    quoted: bool = False


class Parameter(msgspec.Struct, frozen=True):
    """
    ``$name`` or ``${name…}``: *operator* is one of bash's (``:-``, ``#``, ``/``, ``:``, ``@`` …) or empty, *length* is
    ``${#name}``, *indirect* ``${!name}``, *index* what stands in ``[…]``.  A *bare* one has no braces: it ends where no
    letter follows, also one that only an expansion of braces brings there.
    """

    name: str
    quoted: bool = False
    operator: str = ""
    argument: Word | None = None
    index: Word | None = None
    length: bool = False
    indirect: bool = False
    bare: bool = False


class Substitution(msgspec.Struct, frozen=True):
    """
    ``$(…)``: what the *script* prints.
    """

    script: Script
    quoted: bool = False


class Process(msgspec.Struct, frozen=True):
    """
    ``<(…)`` or ``>(…)``: a file that the *script* writes or reads.
    """

    script: Script
    reads: bool


class Arithmetic(msgspec.Struct, frozen=True):
    """
    ``$((…))``: a number; *parts* are the expansions in it.
    """

    parts: tuple[Part, ...]
    quoted: bool = False


Part: TypeAlias = "Text | Parameter | Substitution | Process | Arithmetic"
Word: TypeAlias = tuple[Part, ...]


class Redirect(msgspec.Struct):
    """
    *operator* with its *target*; of a here-document the target is its text, which a quoted delimiter keeps as it is.
    """

    operator: str
    target: Word
    descriptor: str = ""


class Assignment(msgspec.Struct, frozen=True):
    """
    ``name=value``, ``name+=value``, ``name[index]=value`` or, with *items*, ``name=(…)``, of which those that say their
    own place (``[2]=…``) are assignments without a name.
    """

    name: str
    value: Word = ()
    items: tuple[Word | Assignment, ...] | None = None
    index: Word | None = None
    append: bool = False


class Simple(msgspec.Struct, frozen=True):
    """
    Assignments, words and redirections; a declaration (``export a=b``) has its assignments among its *declared*.
    """

    assignments: tuple[Assignment, ...] = ()
    words: tuple[Word, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    declared: tuple[Assignment, ...] = ()


class Pipeline(msgspec.Struct, frozen=True):
    """
    Commands, each of which reads what the one before it writes.
    """

    commands: tuple[Command, ...]


class Chain(msgspec.Struct, frozen=True):
    """
    ``left && right`` or ``left || right``.
    """

    left: Command
    operator: Literal["&&", "||"]
    right: Command


class Script(msgspec.Struct, frozen=True):
    """
    Commands, one after another; ``background`` has the places of those that are not waited for.
    """

    commands: tuple[Command, ...] = ()
    background: frozenset[int] = frozenset()


class Group(msgspec.Struct, frozen=True):
    """
    ``{ …; }``, or ``( … )`` in a shell of its own.
    """

    body: Script
    redirects: tuple[Redirect, ...] = ()
    subshell: bool = False


class Branches(msgspec.Struct, frozen=True):
    """
    ``if``, ``case`` and ``[[ … ]]``: *always* is run, or its words expanded, and then at most one of *branches*; behind
    those at the places *onward* a later one may follow (``;&``, ``;;&``).
    """

    always: Script = Script()
    words: tuple[Word, ...] = ()
    branches: tuple[Script, ...] = ()
    onward: frozenset[int] = frozenset()
    redirects: tuple[Redirect, ...] = ()


class Loop(msgspec.Struct, frozen=True):
    """
    ``for`` and ``select`` with a *name*: the body, once for each word.  Without a name, ``while`` and ``until`` with a
    *condition*, and ``for ((…))``: nobody knows how often.
    """

    body: Script
    condition: Script = Script()
    name: str = ""
    words: tuple[Word, ...] | None = None
    redirects: tuple[Redirect, ...] = ()


class Function(msgspec.Struct, frozen=True):
    """
    A command that gets a name.
    """

    name: str
    body: Command


class Coprocess(msgspec.Struct, frozen=True):
    """
    ``coproc NAME command``: it runs beside the others, its output in ``${NAME[0]}``.
    """

    name: str
    body: Command


Command: TypeAlias = "Simple | Pipeline | Chain | Group | Branches | Loop | Function | Coprocess"
