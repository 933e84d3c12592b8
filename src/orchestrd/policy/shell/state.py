"""
What a shell knows at a point of its text: variables, functions, where it stands, what it has written.
"""

from __future__ import annotations

from orchestrd.policy.shell.marks import HOLE, UNSET, hole, is_known
from orchestrd.policy.shell.nodes import Branches, Command, Script

MAX_ALTERNATIVES = 8
"""So many values of one variable are followed; of more, none is known."""

MAX_TEXT = 100_000
"""
A longer text (characters), put together of variables or of what was printed, is not known: some doublings are enough.
"""

Values = tuple[str, ...]
"""What a variable may hold, one value for each way to come here; `UNSET` among them where it may be unset."""
Items = tuple[str, ...]
"""The items of an array by their places, `UNSET` where there is none."""
Held = tuple[Values | None, Items | None]
"""What a name is: a variable, an array, both where it may be either, or nothing."""


class State:
    """
    *cwd* has every folder that the shell may stand in, *files* what was written to a path, *links* which program or
    path another path is now, *traps* the texts that a signal, or the shell's end, may run, *ways* what the positional
    parameters may be.

    A name that is both a variable and an array is the one or the other.  Where the shell does not go on from here,
    *gone* says what was left: a ``loop``, a ``call`` or the ``shell``.
    """

    __slots__ = (
        "_cwd",
        "aliases",
        "arrays",
        "files",
        "functions",
        "gone",
        "links",
        "previous",
        "traps",
        "variables",
        "ways",
    )

    def __init__(self, cwd: tuple[str, ...], variables: dict[str, Values]) -> None:
        self._cwd = cwd
        self.previous = cwd
        self.variables = variables
        self.arrays: dict[str, Items] = {}
        self.functions: dict[str, Command] = {}
        self.aliases: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.traps: dict[str, Values] = {}
        self.ways: tuple[Items, ...] = ((),)
        self.gone = ""

    @property
    def cwd(self) -> tuple[str, ...]:
        """
        Where the shell stands, whatever ``PWD`` was made to say; to go elsewhere gives that its own value again.
        """
        return self._cwd

    @cwd.setter
    def cwd(self, folders: tuple[str, ...]) -> None:
        self._cwd = folders
        self.variables.pop("PWD", None)

    @property
    def told(self) -> Values:
        """
        The value of ``PWD``.
        """
        return self._cwd if self.is_unknown("PWD") else self.possible("PWD")

    @property
    def positional(self) -> Items:
        """
        The positional parameters on the way that was followed last.
        """
        return self.ways[-1]

    @positional.setter
    def positional(self, items: Items) -> None:
        self.ways = (items,)

    def copy(self) -> State:
        """
        The state of a subshell.  What it writes is there afterwards, so files and links are shared.
        """
        other = State(self.cwd, dict(self.variables))
        other.previous = self.previous
        other.arrays = dict(self.arrays)
        other.functions = dict(self.functions)
        other.aliases = dict(self.aliases)
        other.traps = dict(self.traps)
        other.files, other.links, other.ways, other.gone = self.files, self.links, self.ways, self.gone
        return other

    def snapshot(self) -> State:
        """
        A copy that later writes do not reach.
        """
        other = self.copy()
        other.files = {path: text for path, text in self.files.items() if not path.startswith("/dev/fd/")}
        other.links = dict(self.links)
        return other

    def differs(self, other: State) -> bool:
        """
        True when a command could tell this state from *other*, both of them snapshots.
        """
        return any(getattr(self, name) != getattr(other, name) for name in State.__slots__)

    # -- variables ---------------------------------------------------------------------------------------------------

    def assign(self, name: str, *values: str) -> None:
        """
        Give *name* a value, or several that it may have.
        """
        if name == "OLDPWD" and UNSET not in values:
            self.previous = values  # where `cd -` goes
        self.variables[name] = _distinct(name, values)
        self.arrays.pop(name, None)

    def assign_items(self, name: str, items: Items) -> None:
        """
        Make *name* an array.
        """
        self.arrays[name] = items
        self.variables.pop(name, None)

    def unset(self, name: str) -> None:
        """
        Take the value of *name* away.
        """
        self.assign(name, UNSET)

    def held(self, name: str) -> Held:
        """
        What *name* is, for `put_back`.
        """
        return self.variables.get(name), self.arrays.get(name)

    def put_back(self, name: str, held: Held) -> None:
        """
        Make *name* what it was when it *held* that.
        """
        self.variables.pop(name, None)
        self.arrays.pop(name, None)
        values, items = held
        if values is not None:
            self.variables[name] = values
        if items is not None:
            self.arrays[name] = items

    def is_unknown(self, name: str) -> bool:
        """
        True when *name* was never given a value, so that only the environment can tell.
        """
        return name not in self.variables and name not in self.arrays

    def possible(self, name: str) -> Values:
        """
        What *name* may hold, `UNSET` where it may be nothing.
        """
        found = self.variables.get(name)
        items = self.arrays.get(name) if self.arrays else None
        if items is not None:
            return (*(found or ()), item(items, 0))
        return (hole(name),) if found is None else found

    def value(self, name: str) -> Values:
        """
        What *name* may hold: of a name that was never given a value only the environment can tell.
        """
        found = self.possible(name)
        return tuple("" if one == UNSET else one for one in found) if UNSET in found else found

    def items(self, name: str) -> tuple[Items, ...]:
        """
        What the array *name* may be; a variable is an array of one item.
        """
        found: list[Items] = [() if value == UNSET else (value,) for value in self.variables.get(name, ())]
        if name in self.arrays:
            found.append(self.arrays[name])
        return tuple(found) or ((hole(f"{name}[@]"),),)

    def separators(self) -> str:
        """
        The signs at which fields are split (IFS).
        """
        found = self.variables.get("IFS", (UNSET,))[-1]
        return found if found != UNSET and is_known(found) else " \t\n"

    # -- ways --------------------------------------------------------------------------------------------------------

    def join(self, other: State) -> None:
        """
        This state or *other*: nobody can say which of the two ways was taken.  One that is gone is none.
        """
        if other.gone:
            return
        if self.gone:
            self._become(other)
            return
        if self.variables != other.variables or self.arrays != other.arrays:
            self._join_variables(other)
        if self.functions != other.functions:
            for name, body in other.functions.items():
                mine = self.functions.setdefault(name, body)
                if mine is not body:
                    self.functions[name] = Branches(branches=(Script((body,)), Script((mine,))))
        if other.aliases:
            self.aliases = {**other.aliases, **self.aliases}
        if other.traps:
            names = {**other.traps, **self.traps}
            joined = {name: (*other.traps.get(name, ()), *self.traps.get(name, ())) for name in names}
            self.traps = {name: tuple(dict.fromkeys(texts)) for name, texts in joined.items()}
        if self.cwd != other.cwd:
            self._cwd = tuple(dict.fromkeys((*self.cwd, *other.cwd)))[:MAX_ALTERNATIVES]
        if self.previous != other.previous:
            self.previous = tuple(dict.fromkeys((*self.previous, *other.previous)))[:MAX_ALTERNATIVES]
        if self.ways != other.ways:
            ways = tuple(dict.fromkeys((*other.ways, *self.ways)))
            self.ways = ways if len(ways) <= MAX_ALTERNATIVES else ((HOLE,),)

    def _join_variables(self, other: State) -> None:
        for name in {**other.variables, **self.variables, **other.arrays, **self.arrays}:
            mine, theirs = self.held(name), other.held(name)
            if mine == theirs:
                continue
            # What is nothing at all on one way may be unset there.
            before = (UNSET,) if theirs == (None, None) else theirs[0] or ()
            after = (UNSET,) if mine == (None, None) else mine[0] or ()
            if before or after:
                self.variables[name] = _distinct(name, (*before, *after))
            if theirs[1] is not None and self.arrays.setdefault(name, theirs[1]) != theirs[1]:
                self.arrays[name] = (HOLE,)

    def _become(self, other: State) -> None:
        for name in State.__slots__:
            setattr(self, name, getattr(other.copy(), name))


def _distinct(name: str, values: Values) -> Values:
    distinct = tuple(dict.fromkeys(values))
    return distinct if len(distinct) <= MAX_ALTERNATIVES else (hole(name),)


def item(items: Items, at: int) -> str:
    """
    The item of an array at a place; it is not known where one that is not known comes before it: that may be many.
    """
    if not -len(items) <= at < len(items):
        return HOLE if any(not is_known(one) for one in items) else UNSET
    if any(not is_known(one) for one in (items[:at] if at >= 0 else items[at + 1 :])):
        return HOLE
    return items[at]
