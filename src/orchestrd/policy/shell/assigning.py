"""
What a shell assigns and declares, what of it ends with a function, and where it does not go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from orchestrd.policy.shell.expansion import Expansion, unbraced
from orchestrd.policy.shell.marks import HOLE, UNSET
from orchestrd.policy.shell.nodes import Assignment
from orchestrd.policy.shell.state import Held, Items, State
from orchestrd.policy.shell.streams import Streams

_MAX_PLACE = 64
"""An item at a later place of an array makes all of its places unknown."""
_LOCAL = frozenset({"local", "declare", "typeset"})


class Assigning(Streams):
    """
    A shell with variables, some of which belong to a function.
    """

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._frames: list[dict[str, tuple[Held, bool]]] = []
        """For each function that is followed, what its local names were before, and whether they may still be it."""
        self._unsure = 0
        self._left: list[State] | None = None
        """The states in which the innermost loop is left; None outside of loops."""

    def assigned(self, name: str) -> None:
        """
        *name* has got another value.
        """
        del name

    def assign(self, assignment: Assignment, expansion: Expansion, *, declared: bool = False) -> None:
        """
        Carry out an assignment in the state; of one that is *declared* the braces are expanded, the last way counts.
        """
        name, state = assignment.name, self.state
        if assignment.items is not None:
            items = self._before(name) if assignment.append else ()
            for one in assignment.items:
                if isinstance(one, Assignment):
                    items = _placed(items, expansion.value(one.index or ()), expansion.value(one.value))
                else:
                    found = expansion.fields(one)
                    items = (*items, *(found[0] if len(found) == 1 else (HOLE,)))
            state.assign_items(name, items)
        elif assignment.index is not None:
            at, value = expansion.value(assignment.index), expansion.value(assignment.value)
            if assignment.append:
                value = HOLE
            state.assign_items(name, _placed(self._before(name), at, value))
        else:
            for one in unbraced(assignment.value) if declared else (assignment.value,):
                values = expansion.values(one)
                if assignment.append:
                    values = tuple(before + value for before in state.value(name) for value in values)
                state.assign(name, *values)

    def _before(self, name: str) -> Items:
        """
        The items that *name* has so far.
        """
        if self.state.is_unknown(name):
            return ()
        found = self.state.items(name)
        return found[0] if len(found) == 1 else (HOLE,)

    def declare(self, declared: tuple[Assignment, ...], expansion: Expansion, argv: list[str]) -> None:
        """
        Carry out the assignments of a declaration by *argv*, whose values are all expanded first.
        """
        before = self.state.copy()
        earlier = Expansion(before, self.capture, self.attach, self.spend)
        for assignment in declared:
            self.spend(0.5)
            begun_anew = self.localize(assignment.name, argv) and assignment.append
            if begun_anew:
                self.state.unset(assignment.name)
            self.assign(assignment, earlier if begun_anew or len(declared) > 1 else expansion, declared=True)
            self.assigned(assignment.name)

    def localize(self, name: str, argv: Sequence[str]) -> bool:
        """
        True when *argv* gives the function that is followed a variable *name* of its own, which ends with it; one that has
        it already keeps it.
        """
        if not self._frames or argv[0] not in _LOCAL:
            return False
        if any(word.startswith("-") and "g" in word for word in argv[1:]):
            return False
        if name in self._frames[-1]:
            return False
        self._frames[-1][name] = (self.state.held(name), self._unsure > 0)
        return True

    def _end_locals(self) -> None:
        for name, (held, unsure) in self._frames.pop().items():
            after = self.state.copy()
            self.state.put_back(name, held)
            if unsure:
                self.state.join(after)  # it was declared on one way only

    @contextmanager
    def perhaps(self) -> Iterator[None]:
        """
        What is followed inside may not be run at all.
        """
        self._unsure += 1
        try:
            yield
        finally:
            self._unsure -= 1

    def leave(self, what: str) -> None:
        """
        The shell does not go on here: it leaves a ``loop``, a ``call`` or, altogether, the ``shell``.
        """
        if what == "loop":
            if self._left is None:
                return  # there is none, and the shell goes on
            self._left.append(self.state.copy())
        if what == "call" and not self._frames:
            return
        if what == "shell":
            self.end()
        self.state.gone = what


def _placed(items: Items, place: str, value: str) -> Items:
    """
    *items* with *value* at a *place*; where that cannot be told, no place is known.
    """
    if not place.isdecimal() or int(place) > _MAX_PLACE:
        return (HOLE, *items, value)
    at = int(place)
    return (*items[:at], *[UNSET] * (at - len(items)), value, *items[at + 1 :])
