"""
One program that would be run: its arguments, and what it is given and writes.
"""

from __future__ import annotations

import msgspec
import msgspec.structs


class Redirection(msgspec.Struct, frozen=True):
    """
    A *path* that is opened for reading or, with *writes*, for writing; *descriptor* as a number, empty for the usual
    one.
    """

    path: str
    writes: bool
    descriptor: str = ""


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """
    *argv*, the program first; empty for redirections alone.  Texts may have holes (`marks`).

    *environment* has what is assigned just for it, *stdin* what it reads there (None: nothing that was said), *cwd*
    every folder it may stand in, *through* the wrappers it is run by (outermost first), *elsewhere* says that its
    files are those of another machine.
    """

    argv: tuple[str, ...]
    environment: dict[str, str] = {}
    redirections: tuple[Redirection, ...] = ()
    stdin: str | None = None
    cwd: tuple[str, ...] = ()
    through: tuple[str, ...] = ()
    elsewhere: bool = False

    @property
    def program(self) -> str:
        """
        The program's name without its folder.
        """
        return self.argv[0].rsplit("/", 1)[-1] if self.argv else ""

    def renamed(self, program: str) -> Invocation:
        """
        The same with another *program*.
        """
        return msgspec.structs.replace(self, argv=(program, *self.argv[1:]))
