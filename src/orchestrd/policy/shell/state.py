"""
What a shell knows at a point of its text: variables, functions, where it stands, what it has written.
"""

from __future__ import annotations

from orchestrd.policy.shell.marks import HOLE, hole
from orchestrd.policy.shell.nodes import Command

MAX_ALTERNATIVES = 8
"""So many values of one variable are followed; of more, none is known."""

MAX_TEXT = 100_000
"""
A longer text (characters), put together of variables or of what was printed, is not known: some doublings are enough.
"""

Values = tuple[str, ...]
"""What a variable may hold, one value for each way to come here."""


class State:
    """
    *cwd* has every folder that the shell may stand in, *files* what was written to a path, *links* which program or
    path another path is now.
    """

    __slots__ = ("aliases", "arrays", "cwd", "files", "functions", "links", "positional", "previous", "variables")

    def __init__(self, cwd: tuple[str, ...], variables: dict[str, Values]) -> None:
        self.cwd = cwd
        self.previous = cwd
        self.variables = variables
        self.arrays: dict[str, tuple[str, ...]] = {}
        self.functions: dict[str, Command] = {}
        self.aliases: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.positional: tuple[str, ...] = ()

    def copy(self) -> State:
        """
        The state of a subshell.  What it writes is there afterwards, so files and links are shared.
        """
        other = State(self.cwd, dict(self.variables))
        other.previous = self.previous
        other.arrays = dict(self.arrays)
        other.functions = dict(self.functions)
        other.aliases = dict(self.aliases)
        other.files, other.links, other.positional = self.files, self.links, self.positional
        return other

    def assign(self, name: str, *values: str) -> None:
        """
        Give *name* a value, or several that it may have.
        """
        distinct = tuple(dict.fromkeys(values))
        self.variables[name] = distinct if len(distinct) <= MAX_ALTERNATIVES else (hole(name),)
        self.arrays.pop(name, None)

    def value(self, name: str) -> Values:
        """
        What *name* may hold: of a name that was never given a value only the environment can tell.
        """
        found = self.variables.get(name)
        if found is not None:
            return found
        if name in self.arrays:
            return self.arrays[name][:1] or ("",)
        return (hole(name),)

    def join(self, other: State) -> None:
        """
        This state or *other*: nobody can say which of the two ways was taken.
        """
        for name, values in self.variables.items():
            before = other.variables.get(name)
            if before is not None and before is not values and before != values:
                both = tuple(dict.fromkeys((*before, *values)))
                self.variables[name] = both if len(both) <= MAX_ALTERNATIVES else (hole(name),)
        for name, values in other.variables.items():
            self.variables.setdefault(name, values)
        for name, items in other.arrays.items():
            if self.arrays.setdefault(name, items) != items:
                self.arrays[name] = (HOLE,)
        self.functions = {**other.functions, **self.functions}
        self.cwd = tuple(dict.fromkeys((*self.cwd, *other.cwd)))[:MAX_ALTERNATIVES]
